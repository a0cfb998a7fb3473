//! Which namespaces the container makes, which it joins, and when.

use core::ffi::CStr;

use linux_raw_sys::general::{CLONE_NEWCGROUP, CLONE_NEWNET, CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWUSER, CLONE_NEWUTS};

use crate::error::{Error, Result};
use crate::mem::{Arena, List};
use crate::names;
use crate::spec::{IdMapping, Linux};

/// Namespaces to make and to join.
#[derive(Default)]
pub struct Namespaces<'a> {
    /// CLONE_NEW* of all new ones.
    pub new: u32,
    /// Those joined by path, the user namespace first.
    pub join: List<'a, Join<'a>>,
    /// What is written to uid_map of a new user namespace; empty without one.
    pub uid_map: &'a str,
    /// The same for gid_map.
    pub gid_map: &'a str,
}

/// One namespace to join.
#[derive(Clone, Copy, Debug)]
pub struct Join<'a> {
    /// Its CLONE_NEW* flag.
    pub flag: u32,
    /// Where it is.
    pub path: &'a CStr,
}

impl Namespaces<'_> {
    /// Whether all of `flags` are made anew.
    pub fn makes(&self, flags: u32) -> bool {
        self.new & flags == flags
    }

    /// What clone3 makes. The network namespace is not among them: it takes the kernel so long that the parent had better work meanwhile.
    pub fn in_clone(&self) -> u32 {
        self.new & !CLONE_NEWNET
    }

    /// What the child makes for itself.
    pub fn in_child(&self) -> u32 {
        self.new & CLONE_NEWNET
    }

    /// Whether the container's processes have user and group ids of their own.
    pub fn maps_ids(&self) -> bool {
        self.makes(CLONE_NEWUSER) || self.join.iter().any(|join| join.flag == CLONE_NEWUSER)
    }

    /// Whether the host name is the container's own to set.
    pub fn has_own_uts(&self) -> bool {
        self.makes(CLONE_NEWUTS) || self.join.iter().any(|join| join.flag == CLONE_NEWUTS)
    }
}

pub(super) fn build<'a>(linux: Option<&Linux<'a>>, arena: &Arena<'a>) -> Result<'a, Namespaces<'a>> {
    let mut made = Namespaces::default();
    let Some(linux) = linux else { return Err(without_mount_namespace()) };
    for (index, namespace) in linux.namespaces.iter().enumerate() {
        let Some(known) = names::namespace(namespace.kind) else {
            return Err(Error::text(arena.format(format_args!("linux.namespaces[{index}].type"))?, namespace.kind, "unknown namespace"));
        };
        if namespace.path.is_empty() {
            made.new |= known.flag();
        } else {
            made.join.push(arena, Join { flag: known.flag(), path: super::c_str(namespace.path, arena)? })?;
        }
    }
    if !made.makes(CLONE_NEWNS) {
        return Err(without_mount_namespace());
    }
    refuse_combinations(&made)?;
    if made.makes(CLONE_NEWUSER) {
        made.uid_map = map(&linux.uid_mappings, arena)?;
        made.gid_map = map(&linux.gid_mappings, arena)?;
    }
    Ok(made)
}

fn without_mount_namespace<'a>() -> Error<'a> {
    Error::text("linux.namespaces", "", "a container without a new mount namespace is not supported yet")
}

/// Joining a user namespace, or a pid namespace together with a new user namespace, needs an order of its own.
fn refuse_combinations<'a>(made: &Namespaces<'a>) -> Result<'a, ()> {
    let joins = |flag| made.join.iter().any(|join| join.flag == flag);
    if joins(CLONE_NEWUSER) || (joins(CLONE_NEWPID) && made.makes(CLONE_NEWUSER)) || joins(CLONE_NEWNS) || joins(CLONE_NEWCGROUP) {
        return Err(Error::text("linux.namespaces", "", "this combination of namespaces joined by path is not supported yet"));
    }
    Ok(())
}

/// `containerID hostID size` a line, as user_namespaces(7) wants it.
fn map<'a>(mappings: &List<'a, IdMapping>, arena: &Arena<'a>) -> Result<'a, &'a str> {
    struct Lines<'l, 'a>(&'l List<'a, IdMapping>);
    impl core::fmt::Display for Lines<'_, '_> {
        fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
            self.0.iter().try_for_each(|line| writeln!(f, "{} {} {}", line.container_id, line.host_id, line.size))
        }
    }
    Ok(arena.format(format_args!("{}", Lines(mappings)))?)
}
