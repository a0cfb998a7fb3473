//! `linux.uidMappings` and `linux.gidMappings`: the ids of a user namespace.

use super::namespaces::Namespaces;
use super::{At, Report, TOP};
use crate::mem::List;
use crate::names::Namespace;
use crate::spec::{IdMapping, Linux};

/// The most lines that the kernel takes (user_namespaces(7)); it also bounds the comparison of each with each.
const MOST: usize = 340;

pub(super) fn check(linux: &Linux<'_>, namespaces: &Namespaces, report: &mut Report<'_>) {
    let top = TOP.key("linux");
    let kinds = [("uidMappings", &linux.uid_mappings, "uid", "user"), ("gidMappings", &linux.gid_mappings, "gid", "group")];
    for (key, mappings, id, owner) in kinds {
        let at = &top.key(key);
        if namespaces.is_new(Namespace::User) {
            if mappings.is_empty() {
                report.error(at, format_args!("user namespaces enabled, but no {id} mappings found"));
            } else if !is_mapped(mappings, 0) {
                report.error(at, format_args!("user namespaces enabled, but no {owner} mapping found for {id} 0"));
            }
        } else if mappings.is_empty() {
            continue;
        } else if namespaces.is_joined(Namespace::User) {
            report
                .warning(at, format_args!("both a userns path to join and a mapping: the path's mappings count, you may only provide one"));
        } else {
            report.error(at, format_args!("user namespace mappings specified, but user namespace isn't enabled in the config"));
        }
        ranges(mappings, at, report);
    }
}

/// What the kernel wants of the ranges, here and in idmapped mounts.
pub(super) fn ranges(mappings: &List<'_, IdMapping>, at: &At<'_>, report: &mut Report<'_>) {
    if mappings.len() > MOST {
        return report.error(at, format_args!("{} ranges; the kernel takes at most {MOST}", mappings.len()));
    }
    for (index, mapping) in mappings.iter().enumerate() {
        let at = &at.index(index);
        let fits = |first: u32| mapping.size.checked_sub(1).is_some_and(|more| first.checked_add(more).is_some());
        if mapping.size == 0 {
            report.error(&at.key("size"), format_args!("must not be 0"));
        } else if !fits(mapping.container_id) || !fits(mapping.host_id) {
            report.error(&at.key("size"), format_args!("{} ids from there on are more than there are", mapping.size));
        }
        if let Some(other) = mappings.iter().take(index).position(|other| overlap(mapping, other)) {
            report.error(at, format_args!("overlaps with range {other}"));
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

fn is_mapped(mappings: &List<'_, IdMapping>, id: u32) -> bool {
    mappings.iter().any(|mapping| id.checked_sub(mapping.container_id).is_some_and(|offset| offset < mapping.size))
}

/// The kernel refuses an id that has no meaning outside the user namespace.
pub(super) fn mapped(mappings: &List<'_, IdMapping>, id: u32, at: &At<'_>, report: &mut Report<'_>) {
    // Without any mapping, and with too many, that is the problem to be told.
    if (1..=MOST).contains(&mappings.len()) && !is_mapped(mappings, id) {
        report.error(at, format_args!("{id} is not mapped in the user namespace"));
    }
}
