//! `pause` and `resume`: a container's cgroup is frozen, and thawed.

use core::ffi::CStr;

use super::facts;
use super::state::{self, Directory, Status};
use crate::error::{Error, Result};
use crate::mem::Arena;
use crate::steps::cgroup::{self, Freezer};
use crate::sys::{AsFd, Errno};

/// How long freezing may take; runc waits as long.
const TIMEOUT_MS: u32 = 10_000;

/// Freezes a container that runs or waits for its start. Errors: `container not running`.
pub fn pause<'a>(root: &'a CStr, id: &'a str, arena: &Arena<'a>) -> Result<'a, ()> {
    set(root, id, Freezer::Frozen, arena)
}

/// Thaws a paused container. Errors: `container not paused`.
pub fn resume<'a>(root: &'a CStr, id: &'a str, arena: &Arena<'a>) -> Result<'a, ()> {
    set(root, id, Freezer::Thawed, arena)
}

fn set<'a>(root: &'a CStr, id: &'a str, wanted: Freezer, arena: &Arena<'a>) -> Result<'a, ()> {
    let directory = Directory::open(root, id)?;
    directory.lock()?;
    let record = directory.read(arena)?;
    let procfs = facts::open_procfs()?;
    match (wanted, state::status(&record, &directory, procfs.as_fd())) {
        (Freezer::Frozen, Status::Created | Status::Running) | (Freezer::Thawed, Status::Paused) => {}
        (Freezer::Frozen, _) => return Err(Error::said("container not running")),
        (Freezer::Thawed, _) => return Err(Error::said("container not paused")),
    }
    let doing = if wanted == Freezer::Frozen { "freeze the cgroup" } else { "thaw the cgroup" };
    let cgroup = state::open_cgroup(&record)?;
    let why = match cgroup::freeze(cgroup.as_fd(), wanted, TIMEOUT_MS) {
        Ok(()) => return Ok(()),
        Err(Errno::NOENT) => "there is no cgroup.freeze: it needs Linux 5.2",
        Err(Errno::BUSY) if wanted == Freezer::Thawed => "it stays frozen: is a cgroup above it frozen?",
        Err(Errno::BUSY) => "a process in it did not freeze within 10 s: it hangs in the kernel",
        Err(errno) => return Err(Error::errno(doing, record.cgroup, errno)),
    };
    Err(Error::text(doing, record.cgroup, why))
}
