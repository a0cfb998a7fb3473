//! Which namespaces the container makes, which it joins, and when.
//!
//! Most containers are made by one clone. A *staged* one needs a process in between, which joins and makes what its child is then born
//! in: a user namespace that is joined owns the new ones, what is joined beside a new user namespace needs the rights outside of it, and
//! pid and time namespaces that are joined, or whose clocks are set, are entered by children only.

use core::ffi::CStr;

use linux_raw_sys::general::{CLONE_NEWNET, CLONE_NEWPID, CLONE_NEWTIME, CLONE_NEWUSER, CLONE_NEWUTS};

use super::Facts;
use crate::error::{Error, Result};
use crate::mem::{Arena, List};
use crate::names;
use crate::spec::{Entry, IdMapping, Linux, TimeOffset};

/// How many kinds there are.
pub const KINDS: usize = names::NAMESPACES.len();

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
    /// Whether nobody asked for the user namespace, or for what it maps: the runtime's own user is root in it, and there is nobody else.
    pub is_automatic: bool,
    /// Whether an ordinary user makes a user namespace: of what is in it, the runtime may look at what is dumpable alone.
    pub is_of_ordinary_user: bool,
    /// What is written to timens_offsets of a new time namespace; empty without any.
    pub time_offsets: &'a str,
    /// CLONE_NEW* of those of a container that runs, which one more process joins.
    pub of_container: u32,
    /// Whether the clone makes the network namespace as well, so that its 80 KiB do not count against the container's limit of memory.
    pub spares_memory: bool,
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
    /// Whether the runtime may look into the process only if that lets it, and nobody else is there to look: an ordinary user's, and the
    /// first one of its pid namespace.
    pub fn must_be_dumpable_for_runtime(&self) -> bool {
        self.is_of_ordinary_user && self.makes(CLONE_NEWPID)
    }

    /// Whether all of `flags` are made anew.
    pub fn makes(&self, flags: u32) -> bool {
        self.new & flags == flags
    }

    /// Whether the namespace of that kind is joined.
    pub fn joins(&self, flag: u32) -> bool {
        self.join.iter().any(|join| join.flag == flag)
    }

    /// Whether the namespace of that kind is not the runtime's.
    pub fn has_own(&self, flag: u32) -> bool {
        self.makes(flag) || self.joins(flag)
    }

    /// Whether a process in between is needed.
    pub fn needs_stage(&self) -> bool {
        let joins_beside_user = self.makes(CLONE_NEWUSER) && !self.join.is_empty();
        joins_beside_user
            || [CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWTIME].iter().any(|flag| self.joins(*flag))
            || !self.time_offsets.is_empty()
    }

    /// What the clone makes. The network namespace takes the kernel so long that the parent had better work meanwhile; but what a clone makes
    /// is charged to the cgroup of its caller.
    pub fn in_clone(&self) -> u32 {
        self.new & !self.in_child()
    }

    /// What the process in between makes before its parent writes the id maps and the offsets of the clocks.
    pub fn before_the_maps(&self) -> u32 {
        let with_offsets = if self.time_offsets.is_empty() { 0 } else { CLONE_NEWTIME };
        self.new & (CLONE_NEWUSER | with_offsets)
    }

    /// What it makes afterwards.
    pub fn after_the_maps(&self) -> u32 {
        self.in_clone() & !self.before_the_maps()
    }

    /// What the child makes for itself.
    pub fn in_child(&self) -> u32 {
        if self.spares_memory { 0 } else { self.new & CLONE_NEWNET }
    }

    /// Whether the container's processes have user and group ids of their own.
    pub fn maps_ids(&self) -> bool {
        self.has_own(CLONE_NEWUSER) || self.of_container & CLONE_NEWUSER != 0
    }

    /// Whether the host name is the container's own to set.
    pub fn has_own_uts(&self) -> bool {
        self.has_own(CLONE_NEWUTS)
    }
}

pub(super) fn build<'a>(linux: Option<&Linux<'a>>, facts: &Facts<'a>, arena: &Arena<'a>) -> Result<'a, Namespaces<'a>> {
    let mut made = Namespaces::default();
    if let Some(linux) = linux {
        read(linux, &mut made, arena)?;
    }
    // Without root's rights nothing can be made without one. Who asks for one and for no mapping gets the same.
    let (uid, gid) = facts.user;
    if made.uid_map.is_empty() && made.gid_map.is_empty() && (made.makes(CLONE_NEWUSER) || uid != 0 && !made.maps_ids()) {
        made.new |= CLONE_NEWUSER;
        made.is_automatic = true;
        made.uid_map = arena.format(format_args!("0 {uid} 1\n"))?;
        made.gid_map = arena.format(format_args!("0 {gid} 1\n"))?;
    }
    let limit = linux.and_then(|linux| linux.resources.as_ref()?.memory?.limit);
    made.spares_memory = limit.is_some_and(|limit| limit > 0) && !made.needs_stage();
    made.is_of_ordinary_user = uid != 0 && made.makes(CLONE_NEWUSER);
    Ok(made)
}

fn read<'a>(linux: &Linux<'a>, made: &mut Namespaces<'a>, arena: &Arena<'a>) -> Result<'a, ()> {
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
    if made.makes(CLONE_NEWTIME) {
        made.time_offsets = arena.format(format_args!("{}", Offsets(&linux.time_offsets)))?;
    }
    if made.makes(CLONE_NEWUSER) {
        made.uid_map = map(&linux.uid_mappings, arena)?;
        made.gid_map = map(&linux.gid_mappings, arena)?;
    }
    Ok(())
}

/// `clock seconds nanoseconds` a line, as time_namespaces(7) wants it.
struct Offsets<'l, 'a>(&'l List<'a, Entry<'a, TimeOffset>>);

impl core::fmt::Display for Offsets<'_, '_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.0.iter().try_for_each(|entry| writeln!(f, "{} {} {}", entry.key, entry.value.secs, entry.value.nanosecs))
    }
}

/// `containerID hostID size` a line, as user_namespaces(7) wants it.
pub(super) fn map<'a>(mappings: &List<'a, IdMapping>, arena: &Arena<'a>) -> Result<'a, &'a str> {
    Ok(arena.format(format_args!("{}", Lines(mappings)))?)
}

struct Lines<'l, 'a>(&'l List<'a, IdMapping>);

impl core::fmt::Display for Lines<'_, '_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.0.iter().try_for_each(|line| writeln!(f, "{} {} {}", line.container_id, line.host_id, line.size))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::mem::MaybeUninit;

    fn of_linux(text: &'static str) -> (u32, u32) {
        let mut room = vec![MaybeUninit::uninit(); 1 << 14];
        let arena = Arena::new(&mut room);
        let (linux, _) = crate::json::read::<Linux<'_>>(text.as_bytes(), &arena).unwrap();
        let made = build(Some(linux), &Facts::default(), &arena).unwrap();
        (made.in_clone(), made.in_child())
    }

    #[test]
    fn where_memory_is_limited_the_clone_makes_the_network_namespace_too() {
        let both = CLONE_NEWPID | CLONE_NEWNET;
        let unlimited = r#"{ "namespaces": [{ "type": "pid" }, { "type": "network" }], "resources": { "memory": { "limit": -1 } } }"#;
        let limited = r#"{ "namespaces": [{ "type": "pid" }, { "type": "network" }], "resources": { "memory": { "limit": 180224 } } }"#;
        let staged =
            r#"{ "namespaces": [{ "type": "pid", "path": "/p" }, { "type": "network" }], "resources": { "memory": { "limit": 180224 } } }"#;
        assert_eq!(of_linux(unlimited), (CLONE_NEWPID, CLONE_NEWNET));
        assert_eq!(of_linux(limited), (both, 0));
        assert_eq!(of_linux(staged), (0, CLONE_NEWNET)); // the clone makes only the process in between
    }
}
