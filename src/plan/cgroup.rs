//! The container's cgroup: where it is, what is written into it, and the program that guards its devices.

mod limits;
mod program;
mod scope;
mod update;
pub mod v1;
mod weight;

pub use program::instruction_bound;
pub use scope::{Property, Scope, Value, of_limits as properties_of_limits};
pub use update::{Current, Update, undoing, undoing_devices, update};

use core::ffi::CStr;

use linux_raw_sys::general::CLONE_NEWCGROUP;

use super::namespaces::Namespaces;
use super::{Facts, Options, Setting};
use crate::error::{Error, Result};
use crate::mem::{Arena, List};
use crate::names::subjects::SYSTEMD;
use crate::spec::{Config, Resources};

/// A cgroup to make.
pub struct Cgroup<'a> {
    /// Where cgroup v2 is mounted.
    pub mount: &'a CStr,
    /// Whether missing rights are no error, as long as nothing is asked for.
    pub is_rootless: bool,
    /// Whether nothing is: neither a path nor a limit.
    pub is_optional: bool,
    /// The cgroup's path below it: begins with a slash, does not end with one, holds no `.` or `..`.
    pub path: &'a str,
    /// Files of the cgroup and what is written to them, in this order.
    pub limits: List<'a, Limit<'a>>,
    /// The eBPF program for BPF_CGROUP_DEVICE, one instruction a word.
    pub device_program: &'a [u64],
    /// Who may write the files that are for a delegate, as the host numbers users.
    pub owner: Option<u32>,
    /// The unit whose cgroup it is, if systemd makes it.
    pub scope: Option<Scope<'a>>,
    /// Cgroups of cgroup v1 that the container is in as well: absolute paths, a line each.
    pub others: &'a str,
    /// Its places in cgroup v1, where that is all there is.
    pub places: List<'a, v1::Place<'a>>,
    /// Whether processes have to be moved there, because no process can be born in a cgroup of v1.
    pub is_joined_by_move: bool,
}

/// Who makes the cgroup.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Manager<'a> {
    /// We do, in the cgroup file system.
    #[default]
    Cgroupfs,
    /// systemd, asked over its private socket.
    Systemd {
        /// Where that lies.
        socket: &'a CStr,
    },
    /// Nobody: the container stays in its caller's cgroup.
    Disabled,
}

/// A file of the cgroup, what is written to it, and what may be missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit<'a> {
    /// The file and its new text.
    pub setting: Setting<'a>,
    /// What is no error.
    pub rule: Rule,
}

/// How a limit is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// It must be written.
    Must,
    /// The same, for a file that the user named.
    Unified,
    /// Where the file is missing, things are as they should be.
    IfThere,
    /// Where the file is missing, the next limit is written instead of this one; else the next one is not.
    OrNext,
    /// It comes once more later, so that the kernel may find it too large now (EINVAL).
    WrittenAgain,
    /// Nothing is written: the text is a number that the memory in use must be below.
    AboveUse,
}

pub(super) fn build<'a>(
    config: &Config<'a>,
    namespaces: &Namespaces<'a>,
    facts: &Facts<'a>,
    options: &Options<'a>,
    arena: &Arena<'a>,
) -> Result<'a, Option<Cgroup<'a>>> {
    let linux = config.linux.as_ref();
    let resources = linux.and_then(|linux| linux.resources.as_ref());
    let written = linux.map(|linux| linux.cgroups_path).unwrap_or_default();
    let places = v1_places(written, facts, options, arena)?;
    let limits = limits::limits(resources.unwrap_or(&Resources::default()), &places, arena)?;
    if options.cgroup_manager == Manager::Disabled {
        return match limits.get(0) {
            Some(limit) => Err(Error::text(
                "--cgroup-manager=disabled",
                limit.setting.file.to_str().unwrap_or_default(),
                "linux.resources asks for a limit, which takes a cgroup",
            )),
            None => Ok(None),
        };
    }
    // Of cgroup v1 alone the freezer's hierarchy is the one by which the container is paused, killed and counted.
    let first = places.of("freezer").or(places.list.get(0)).filter(|_| facts.cgroup_mount.is_none());
    let Some(mount) = facts.cgroup_mount.or(first.map(|place| place.mount)) else {
        if options.is_rootless && resources.is_none() {
            return Ok(None);
        }
        return Err(Error::text("cgroup", "", "no cgroup v2 hierarchy is mounted on this host (mount -t cgroup2 none /sys/fs/cgroup)"));
    };
    let counts = |place: &v1::Place<'_>| match first {
        Some(first) => first.mount != place.mount,
        None => limits.iter().any(|limit| is_in(limit.setting.file, place)),
    };
    let others = v1::lines(&places, &counts, arena)?;
    let (scope, path) = match options.cgroup_manager {
        Manager::Systemd { .. } if !SYSTEMD => return Err(Error::said("cgroups made by systemd are left out of this binary")),
        Manager::Systemd { socket } => {
            let (scope, path) = scope::plan(written, socket, facts, options, config, arena)?;
            (Some(scope), path)
        }
        _ if options.is_rootless && written.is_empty() && facts.own_cgroup.is_empty() && first.is_none() => {
            return Err(Error::text("linux.cgroupsPath", written, "the runtime's own cgroup is not known"));
        }
        _ => (None, first.map_or_else(|| path(written, parent_of(facts.own_cgroup), options, arena), |first| Ok(first.below))?),
    };
    Ok(Some(Cgroup {
        mount: super::c_str(mount, arena)?,
        path,
        is_rootless: options.is_rootless,
        is_optional: options.is_rootless && written.is_empty() && limits.is_empty(),
        limits,
        device_program: if first.is_some() && (places.guards_devices || options.is_rootless) {
            &[]
        } else {
            program::assemble(resources, arena)?
        },
        owner: if first.is_some() { None } else { owner(config, namespaces) },
        scope,
        others,
        places: if first.is_some() { places.list } else { List::default() },
        is_joined_by_move: first.is_some() || !others.is_empty(),
    }))
}

/// Where the container is in the hierarchies of cgroup v1: below the runtime's own cgroup, unless the path is absolute, as runc has it.
fn v1_places<'a>(written: &'a str, facts: &Facts<'a>, options: &Options<'a>, arena: &Arena<'a>) -> Result<'a, v1::Places<'a>> {
    let mut places = v1::Places::default();
    if !v1::IS_BUILT || options.cgroup_manager != Manager::Cgroupfs {
        return Ok(places);
    }
    for v1::Hierarchy { mount, controllers, own } in &facts.v1 {
        let below = path(written, own, options, arena)?;
        places.list.push(arena, v1::Place { controllers, mount, below })?;
    }
    places.guards_devices = facts.cgroup_mount.is_none() && !options.is_rootless && places.of("devices").is_some();
    Ok(places)
}

/// Whether a limit is written in this place.
fn is_in(file: &CStr, place: &v1::Place<'_>) -> bool {
    file.to_bytes().strip_prefix(place.mount.as_bytes()).is_some_and(|below| below.starts_with(place.below.as_bytes()))
}

/// Who may go on in the container's own cgroup: its user, where the container has a user and a cgroup namespace of its own and may write.
fn owner(config: &Config<'_>, namespaces: &Namespaces<'_>) -> Option<u32> {
    let is_writable =
        |mount: &&crate::spec::Mount<'_>| matches!(mount.kind, "cgroup" | "cgroup2") && !mount.options.iter().any(|option| *option == "ro");
    let linux =
        config.linux.as_ref().filter(|_| namespaces.makes(CLONE_NEWCGROUP) && config.mounts.iter().any(|mount| is_writable(&mount)))?;
    let uid = config.process.as_ref().map_or(0, |process| process.user.uid);
    let map = linux.uid_mappings.iter().find(|map| (map.container_id..map.container_id.saturating_add(map.size)).contains(&uid))?;
    Some(map.host_id + (uid - map.container_id))
}

/// The parent of the runtime's own cgroup, because that one itself holds processes and so may not hand on controllers.
fn parent_of(own: &str) -> &str {
    own.rsplit_once('/').map_or("", |(parent, _)| parent)
}

/// An absolute path counts from the mount; a relative one, or else the id, from `parent`.
fn path<'a>(written: &'a str, parent: &str, options: &Options<'a>, arena: &Arena<'a>) -> Result<'a, &'a str> {
    if written.contains('\0') {
        return Err(Error::text("linux.cgroupsPath", written, "it may not hold NUL"));
    }
    let parent = if written.starts_with('/') { "" } else { parent };
    let own = if written.is_empty() { options.id } else { written };
    let below = || kept(own);
    let components = || parent.split('/').filter(|component| !component.is_empty()).chain(below());
    if below().count() == 0 {
        return Err(Error::text("linux.cgroupsPath", written, "it names the root of the hierarchy"));
    }
    struct Joined<I>(I);
    impl<'s, I: Iterator<Item = &'s str> + Clone> core::fmt::Display for Joined<I> {
        fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
            self.0.clone().try_for_each(|component| write!(f, "/{component}"))
        }
    }
    Ok(arena.format(format_args!("{}", Joined(components())))?)
}

/// The components that are left when `.` and `..` are taken by the letter, as runc does; no `..` leads above where the path begins.
fn kept(path: &str) -> impl Iterator<Item = &str> + Clone {
    let stays = move |index: usize| {
        let mut depth = 1;
        path.split('/').skip(index + 1).all(|component| {
            match component {
                "" | "." => {}
                ".." => depth -= 1,
                _ => depth += 1,
            }
            depth != 0
        })
    };
    let is_kept = move |(index, component): &(usize, &str)| !matches!(*component, "" | "." | "..") && stays(*index);
    path.split('/').enumerate().filter(is_kept).map(|(_, component)| component)
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::mem::MaybeUninit;

    fn path_of(written: &'static str, own_cgroup: &'static str) -> std::result::Result<String, String> {
        let mut room = [MaybeUninit::uninit(); 1024];
        let arena = Arena::new(&mut room);
        let options = Options {
            id: "c1",
            no_pivot: false,
            no_new_keyring: false,
            listen_fds: 0,
            preserve_fds: 0,
            is_rootless: false,
            cgroup_manager: Manager::Cgroupfs,
        };
        path(written, parent_of(own_cgroup), &options, &arena).map(str::to_owned).map_err(|error| error.to_string())
    }

    #[test]
    fn a_path_is_absolute_or_below_the_parent_of_our_own_cgroup() {
        assert_eq!(path_of("/a//b/", "/user/shell").unwrap(), "/a/b");
        assert_eq!(path_of("a/b", "/user/shell").unwrap(), "/user/a/b");
        assert_eq!(path_of("", "/user/shell").unwrap(), "/user/c1");
        assert_eq!(path_of("", "/").unwrap(), "/c1");
    }

    #[test]
    fn a_path_does_not_climb_nor_name_the_root() {
        assert_eq!(path_of("/a/../../b", "/user/shell").unwrap(), "/b");
        assert_eq!(path_of("../../a/./b/../c", "/user/shell").unwrap(), "/user/a/c");
        assert!(path_of("/a/..", "/").unwrap_err().contains("root of the hierarchy"));
        assert!(path_of("..", "/user/shell").unwrap_err().contains("root of the hierarchy"));
        assert!(path_of("///", "/").unwrap_err().contains("root of the hierarchy"));
    }
}
