//! `mounts`, and the paths that are masked or made read-only.

use super::{At, Namespaces, Report, Shown, TOP, id_maps};
use crate::mem::List;
use crate::names::{self, MountOption, Namespace};
use crate::spec::{Config, Linux, Mount};

const PROPAGATIONS: [&str; 8] = ["private", "rprivate", "slave", "rslave", "shared", "rshared", "unbindable", "runbindable"];

pub(super) fn check(config: &Config<'_>, linux: &Linux<'_>, namespaces: &Namespaces, report: &mut Report<'_>) {
    for (index, mount) in config.mounts.iter().enumerate() {
        let list = TOP.key("mounts");
        let at = &list.index(index);
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

fn destination(mount: &Mount<'_>, at: &At<'_>, report: &mut Report<'_>) {
    let at = &at.key("destination");
    if mount.destination.is_empty() {
        report.error(at, format_args!("must not be empty"));
    } else if !mount.destination.starts_with('/') {
        report.warning(at, format_args!("relative destination path is **deprecated**, using it as relative to /"));
    }
    report.no_nul(at, mount.destination);
}

fn source(mount: &Mount<'_>, options: &Options, at: &At<'_>, report: &mut Report<'_>) {
    report.no_nul(&at.key("source"), mount.source);
    report.no_nul(&at.key("type"), mount.kind);
    for (index, option) in mount.options.iter().enumerate() {
        report.no_nul(&at.key("options").index(index), option);
    }
    if options.is_bind {
        if mount.source.is_empty() {
            report.error(&at.key("source"), format_args!("a bind mount needs a source"));
        }
        if let Some(index) = options.first_data {
            let at = &at.key("options");
            report.error(&at.index(index), format_args!("bind mounts cannot have any filesystem-specific options applied"));
        }
    } else if mount.kind.is_empty() && !options.is_remount {
        report.error(&at.key("type"), format_args!("must not be empty unless an option is bind or rbind"));
    } else if mount.kind == "bind" {
        report.warning(&at.key("type"), format_args!("bind is no type of file system; an option must be bind or rbind"));
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
        report.error(at, format_args!("id-mapped mounts are only supported for bind-mounts"));
    }
    if uids.is_empty() != gids.is_empty() || !is_given && !is_inherited {
        report.error(at, format_args!("id-mapped mounts must have both uid and gid mappings specified"));
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
        let (list, (key, id)) = (at.key("options"), option.split_once('=').unwrap_or_default());
        match (key, id.parse()) {
            ("uid", Ok(uid)) => id_maps::mapped(&linux.uid_mappings, uid, &list.index(index), report),
            ("gid", Ok(gid)) => id_maps::mapped(&linux.gid_mappings, gid, &list.index(index), report),
            _ => {}
        }
    }
}

/// The root's propagation, and the paths to hide and to protect.
pub(super) fn paths(linux: &Linux<'_>, report: &mut Report<'_>) {
    let at = &TOP.key("linux");
    let propagation = linux.rootfs_propagation;
    if !propagation.is_empty() && !PROPAGATIONS.contains(&propagation) {
        let at = &at.key("rootfsPropagation");
        report.error(at, format_args!("rootfsPropagation={} is not supported", Shown(propagation)));
    }
    absolute(&linux.masked_paths, &at.key("maskedPaths"), report);
    absolute(&linux.readonly_paths, &at.key("readonlyPaths"), report);
    report.no_nul(&at.key("mountLabel"), linux.mount_label);
}

fn absolute(paths: &List<'_, &str>, at: &At<'_>, report: &mut Report<'_>) {
    for (index, path) in paths.iter().enumerate() {
        report.absolute(&at.index(index), path);
    }
}
