//! `linux.namespaces`, and what makes sense only in a namespace of the container's own.

use super::{Report, Shown, TOP};
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
    list(&linux.namespaces, report);
    names(config, namespaces, report);
    let at = &TOP.key("linux");
    if !namespaces.has(Kind::Mount) {
        let paths = [("maskedPaths", &linux.masked_paths), ("readonlyPaths", &linux.readonly_paths)];
        for (key, _) in paths.iter().filter(|(_, list)| !list.is_empty()) {
            report.error(&at.key(key), format_args!("unable to restrict sys entries without a private MNT namespace"));
        }
        report.warning(&at.key("namespaces"), format_args!("without a mount namespace the container mounts into the host's"));
    }
    time(linux, namespaces, report);
}

fn list(list: &List<'_, Namespace<'_>>, report: &mut Report<'_>) {
    let mut seen = 0;
    for (index, space) in list.iter().enumerate() {
        let (linux, bit) = (TOP.key("linux"), namespace(space.kind).map_or(0, bit));
        let list = linux.key("namespaces");
        let at = &list.index(index);
        if bit == 0 {
            report.error(&at.key("type"), format_args!("namespace \"{}\" does not exist", Shown(space.kind)));
        }
        if seen & bit != 0 {
            report.error(&at.key("type"), format_args!("malformed spec file: duplicated ns \"{}\"", space.kind));
        }
        seen |= bit;
        if !space.path.is_empty() {
            report.absolute(&at.key("path"), space.path);
        }
    }
}

fn names(config: &Config<'_>, namespaces: &Namespaces, report: &mut Report<'_>) {
    for (key, name) in [("hostname", config.hostname), ("domainname", config.domainname)] {
        let at = &TOP.key(key);
        if !name.is_empty() && !namespaces.has(Kind::Uts) {
            report.error(at, format_args!("unable to set {key} without a private UTS namespace"));
        }
        if name.len() > NAME_MAX {
            report.error(at, format_args!("longer than {NAME_MAX} bytes"));
        }
        report.no_nul(at, name);
    }
}

fn time(linux: &Linux<'_>, namespaces: &Namespaces, report: &mut Report<'_>) {
    let top = TOP.key("linux");
    let at = &top.key("timeOffsets");
    if !linux.time_offsets.is_empty() && namespaces.is_joined(Kind::Time) {
        report.error(at, format_args!("time namespace offsets specified, but the time namespace is joined, not created"));
    } else if !linux.time_offsets.is_empty() && !namespaces.has(Kind::Time) {
        report.error(at, format_args!("time namespace offsets specified, but time namespace isn't enabled in the config"));
    }
    for entry in &linux.time_offsets {
        let at = &at.key(entry.key);
        if !matches!(entry.key, "monotonic" | "boottime") {
            report.error(at, format_args!("unknown clock; there are monotonic and boottime"));
        }
        report.within(&at.key("nanosecs"), entry.value.nanosecs, 0, 999_999_999);
    }
}
