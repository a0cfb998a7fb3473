//! `mounts`, and the paths that are masked or made read-only.

use super::{At, Namespaces, Report, TOP, error, id_maps, warning};
use crate::mem::{Names, names};
use crate::names::{self, MountOption, Namespace};
use crate::plan::mounts::components;
use crate::spec::{Config, Linux, Mount};

const PROPAGATIONS: Names = names!["private", "rprivate", "slave", "rslave", "shared", "rshared", "unbindable", "runbindable"];

pub(super) fn check(config: &Config<'_>, linux: &Linux<'_>, namespaces: &Namespaces, report: &mut Report<'_>) {
    for (index, mount) in config.mounts.iter().enumerate() {
        let at = &TOP.item("mounts", index);
        let options = Options::new(mount);
        destination(mount, at, report);
        source(mount, &options, at, report);
        id_mapping(mount, &options, linux, namespaces, at, report);
        owners(mount, linux, namespaces, at, report);
    }
}

/// What the options of one mount say together.
struct Options {
    is_bind: bool,
    is_remount: bool,
    is_id_mapped: bool,
    /// The position of the first option that is the file system's to understand.
    first_data: Option<usize>,
}

impl Options {
    fn new(mount: &Mount<'_>) -> Self {
        let has = |wanted: &[&str]| mount.options.iter().any(|option| wanted.contains(option));
        Options {
            is_bind: has(&["bind", "rbind"]),
            is_remount: has(&["remount"]),
            is_id_mapped: mount.options.iter().any(|option| matches!(names::mount_option(option), Some(MountOption::IdMap { .. }))),
            first_data: mount.options.iter().position(|option| !option.is_empty() && names::mount_option(option).is_none()),
        }
    }
}

/// Whether nothing is left of the path once `..` has taken back what was before it.
fn is_root(path: &str) -> bool {
    components(path).fold(0usize, |depth, component| if component == ".." { depth.saturating_sub(1) } else { depth + 1 }) == 0
}

fn destination(mount: &Mount<'_>, at: &At<'_>, report: &mut Report<'_>) {
    if mount.destination.is_empty() {
        report.say(at, error!("destination", "must not be empty"));
    } else if is_root(mount.destination) {
        report.say(at, error!("destination", "nothing may be mounted over the root"));
    } else if !mount.destination.starts_with('/') {
        report.say(at, warning!("destination", "relative destination path is **deprecated**, using it as relative to /"));
    }
    report.no_nul(at, "destination", mount.destination);
}

fn source(mount: &Mount<'_>, options: &Options, at: &At<'_>, report: &mut Report<'_>) {
    report.no_nul(at, "source", mount.source);
    report.no_nul(at, "type", mount.kind);
    report.each_without_nul(at, "options", &mount.options);
    if options.is_bind {
        if mount.source.is_empty() {
            report.say(at, error!("source", "a bind mount needs a source"));
        }
        if let Some(index) = options.first_data {
            let at = &at.item("options", index);
            report.say(at, error!("", "bind mounts cannot have any filesystem-specific options applied"));
        }
    } else if mount.kind.is_empty() && !options.is_remount {
        report.say(at, error!("type", "must not be empty unless an option is bind or rbind"));
    } else if mount.kind == "bind" {
        report.say(at, warning!("type", "bind is no type of file system; an option must be bind or rbind"));
    }
}

fn id_mapping(mount: &Mount<'_>, options: &Options, linux: &Linux<'_>, namespaces: &Namespaces, at: &At<'_>, report: &mut Report<'_>) {
    let (uids, gids) = (&mount.uid_mappings, &mount.gid_mappings);
    let is_given = !uids.is_empty() || !gids.is_empty();
    if !options.is_id_mapped && !is_given {
        return;
    }
    let is_inherited = namespaces.is_joined(Namespace::User) || !linux.uid_mappings.is_empty() && !linux.gid_mappings.is_empty();
    if !options.is_bind {
        report.say(at, error!("", "invalid mount: id-mapped mounts are only supported for bind-mounts"));
    }
    if uids.is_empty() != gids.is_empty() || !is_given && !is_inherited {
        report.say(at, error!("", "invalid mount: id-mapped mounts must have both uid and gid mappings specified"));
    }
    id_maps::ranges(uids, &at.key("uidMappings"), report);
    id_maps::ranges(gids, &at.key("gidMappings"), report);
}

/// In a user namespace a file system cannot belong to an id that the namespace does not know.
fn owners(mount: &Mount<'_>, linux: &Linux<'_>, namespaces: &Namespaces, at: &At<'_>, report: &mut Report<'_>) {
    if !namespaces.is_new(Namespace::User) {
        return;
    }
    for (index, option) in mount.options.iter().enumerate() {
        let (mappings, id) = match (option.strip_prefix("uid="), option.strip_prefix("gid=")) {
            (Some(uid), _) => (&linux.uid_mappings, uid),
            (_, Some(gid)) => (&linux.gid_mappings, gid),
            _ => continue,
        };
        if let Ok(id) = id.parse() {
            id_maps::mapped(mappings, id, &at.item("options", index), report);
        }
    }
}

/// The root's propagation, and the paths to hide and to protect.
pub(super) fn paths(linux: &Linux<'_>, report: &mut Report<'_>) {
    let at = &TOP.key("linux");
    if !linux.rootfs_propagation.is_empty() {
        let rule = error!("rootfsPropagation", "rootfsPropagation={} is not supported");
        report.known(at, rule, PROPAGATIONS, linux.rootfs_propagation);
    }
    report.each_absolute(at, "maskedPaths", &linux.masked_paths);
    report.each_absolute(at, "readonlyPaths", &linux.readonly_paths);
    report.no_nul(at, "mountLabel", linux.mount_label);
}
