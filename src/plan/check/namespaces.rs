//! `linux.namespaces`, and what makes sense only in a namespace of the container's own.

use super::{At, Report, TOP, error, warning};
use crate::mem::List;
use crate::names::{Namespace as Kind, namespace};
use crate::spec::{Config, Linux, Namespace};

/// The longest host name (uname(2)).
const NAME_MAX: usize = 64;

/// Which kinds of namespaces the container does not share with the runtime.
pub(super) struct Namespaces {
    new: u8,
    joined: u8,
}

impl Namespaces {
    pub(super) fn new(list: &List<'_, Namespace<'_>>) -> Self {
        let mut found = Namespaces { new: 0, joined: 0 };
        for space in list {
            let bit = namespace(space.kind).map_or(0, bit);
            *(if space.path.is_empty() { &mut found.new } else { &mut found.joined }) |= bit;
        }
        found
    }

    /// Whether it is listed, with or without a path.
    pub(super) fn has(&self, kind: Kind) -> bool {
        (self.new | self.joined) & bit(kind) != 0
    }

    /// Whether it is to be created.
    pub(super) fn is_new(&self, kind: Kind) -> bool {
        self.new & bit(kind) != 0
    }

    /// Whether one that exists is to be joined.
    pub(super) fn is_joined(&self, kind: Kind) -> bool {
        self.joined & bit(kind) != 0
    }
}

fn bit(kind: Kind) -> u8 {
    1 << kind as u8
}

pub(super) fn check(config: &Config<'_>, linux: &Linux<'_>, namespaces: &Namespaces, report: &mut Report<'_>) {
    let at = &TOP.key("linux");
    list(linux, at, report);
    name("hostname", config.hostname, namespaces, report);
    name("domainname", config.domainname, namespaces, report);
    if !namespaces.has(Kind::Mount) {
        if !linux.masked_paths.is_empty() {
            report.say(at, error!("maskedPaths", "unable to restrict sys entries without a private MNT namespace"));
        }
        if !linux.readonly_paths.is_empty() {
            report.say(at, error!("readonlyPaths", "unable to restrict sys entries without a private MNT namespace"));
        }
        report.say(at, warning!("namespaces", "without a mount namespace the container mounts into the host's"));
    }
    time(linux, namespaces, at, report);
}

fn list(linux: &Linux<'_>, at: &At<'_>, report: &mut Report<'_>) {
    let mut seen = 0;
    for (index, space) in linux.namespaces.iter().enumerate() {
        let (at, bit) = (&at.item("namespaces", index), namespace(space.kind).map_or(0, bit));
        if bit == 0 {
            report.say_of(at, error!("type", "namespace \"{}\" does not exist"), space.kind);
        }
        if seen & bit != 0 {
            report.say_of(at, error!("type", "malformed spec file: duplicated ns \"{}\""), space.kind);
        }
        seen |= bit;
        if !space.path.is_empty() {
            report.absolute(at, "path", space.path);
        }
    }
}

fn name(key: &str, name: &str, namespaces: &Namespaces, report: &mut Report<'_>) {
    let at = &TOP.key(key);
    if !name.is_empty() && !namespaces.has(Kind::Uts) {
        report.say_of(at, error!("", "unable to set {} without a private UTS namespace"), key);
    }
    if name.len() > NAME_MAX {
        report.say(at, error!("", "longer than 64 bytes"));
    }
    report.no_nul(at, "", name);
}

fn time(linux: &Linux<'_>, namespaces: &Namespaces, at: &At<'_>, report: &mut Report<'_>) {
    let at = &at.key("timeOffsets");
    if !linux.time_offsets.is_empty() && !namespaces.is_new(Kind::Time) {
        report.say(
            at,
            match namespaces.is_joined(Kind::Time) {
                true => error!("", "time namespace offsets specified, but the time namespace is joined, not created"),
                false => error!("", "time namespace offsets specified, but time namespace isn't enabled in the config"),
            },
        );
    }
    for entry in &linux.time_offsets {
        let at = &at.key(entry.key);
        if !matches!(entry.key, "monotonic" | "boottime") {
            report.say(at, error!("", "unknown clock; there are monotonic and boottime"));
        }
        report.within(at, "nanosecs", entry.value.nanosecs.into(), 0, 999_999_999);
    }
}
