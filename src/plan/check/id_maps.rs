//! `linux.uidMappings` and `linux.gidMappings`: the ids of a user namespace.

use super::namespaces::Namespaces;
use super::{At, Report, Rule, TOP, error, warning};
use crate::mem::List;
use crate::names::Namespace;
use crate::spec::{IdMapping, Linux};

type Mappings<'a> = List<'a, IdMapping>;

/// The most lines that the kernel takes (user_namespaces(7)); this also bounds the comparison of each with each.
const MOST: usize = 340;

pub(super) fn check(linux: &Linux<'_>, namespaces: &Namespaces, report: &mut Report<'_>) {
    let at = &TOP.key("linux");
    let uid = error!("", "user namespaces enabled, but no uid mappings found");
    let gid = error!("", "user namespaces enabled, but no gid mappings found");
    if namespaces.is_new(Namespace::User) && linux.uid_mappings.is_empty() && linux.gid_mappings.is_empty() {
        report.say(
            at,
            warning!("uidMappings", "user namespaces enabled, but no mappings found: root is the caller, and nobody else is mapped"),
        );
    }
    presence(linux, &linux.uid_mappings, uid, namespaces, &at.key("uidMappings"), report);
    presence(linux, &linux.gid_mappings, gid, namespaces, &at.key("gidMappings"), report);
}

fn presence(linux: &Linux<'_>, mappings: &Mappings<'_>, missing: Rule, namespaces: &Namespaces, at: &At<'_>, report: &mut Report<'_>) {
    if namespaces.is_new(Namespace::User) {
        if mappings.is_empty() && (!linux.uid_mappings.is_empty() || !linux.gid_mappings.is_empty()) {
            report.say(at, missing);
        }
    } else if !mappings.is_empty() {
        report.say(
            at,
            match namespaces.is_joined(Namespace::User) {
                true => warning!("", "both a userns path to join and a mapping: the path's mappings count, you may only provide one"),
                false => error!("", "user namespace mappings specified, but user namespace isn't enabled in the config"),
            },
        );
    }
    ranges(mappings, at, report);
}

/// What the kernel wants of the ranges, here and in idmapped mounts.
#[inline(never)]
pub(super) fn ranges(mappings: &Mappings<'_>, at: &At<'_>, report: &mut Report<'_>) {
    if mappings.len() > MOST {
        return report.say(at, error!("", "the kernel takes at most 340 ranges"));
    }
    for (index, mapping) in mappings.iter().enumerate() {
        let at = &at.item("", index);
        let ends = |first: u32| u64::from(first) + u64::from(mapping.size);
        if mapping.size == 0 {
            report.say(at, error!("size", "must not be 0"));
        } else if ends(mapping.container_id.max(mapping.host_id)) > 1 << 32 {
            report.say(at, error!("size", "reaches beyond the last id"));
        }
        if mappings.iter().take(index).any(|other| overlap(mapping, other)) {
            report.say(at, error!("", "overlaps with a range before"));
        }
    }
}

fn overlap(a: &IdMapping, b: &IdMapping) -> bool {
    let meet = |a_first: u32, b_first: u32| {
        let (a_first, b_first) = (u64::from(a_first), u64::from(b_first));
        a_first < b_first + u64::from(b.size) && b_first < a_first + u64::from(a.size)
    };
    meet(a.container_id, b.container_id) || meet(a.host_id, b.host_id)
}

fn is_mapped(mappings: &Mappings<'_>, id: u32) -> bool {
    mappings.iter().any(|mapping| id.checked_sub(mapping.container_id).is_some_and(|offset| offset < mapping.size))
}

/// The kernel refuses an id that has no meaning outside the user namespace.
#[inline(never)]
pub(super) fn mapped(mappings: &Mappings<'_>, id: u32, at: &At<'_>, report: &mut Report<'_>) {
    // Without any mapping, and with too many, that is the problem to be told.
    if (1..=MOST).contains(&mappings.len()) && !is_mapped(mappings, id) {
        report.say_number(at, error!("", "{} is not mapped in the user namespace: add it to linux.uidMappings or gidMappings"), id.into());
    }
}
