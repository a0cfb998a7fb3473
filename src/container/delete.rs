//! The end of a container: what is left of it is ended, emptied and removed, also after a runtime that was killed half-way.

use core::ffi::CStr;

use super::hooks::{self, Inherited};
use super::signal;
use super::state::{self, Directory, Record, SharedRoot, Status};
use super::{bundle, facts, rdt, systemd};
use crate::error::{Doing, Error, Result};
use crate::log::Log;
use crate::mem::{Arena, PathBuffer};
use crate::steps::cgroup;
use crate::sys::{self, AsFd, BorrowedFd, Errno};

/// How long a killed container may take to be gone; runc waits as long.
pub const CGROUP_TIMEOUT_MS: u32 = 10_000;

/// How long a child may take to die with the runtime that made it.
const DYING_CHILD_MS: u32 = 5_000;

/// `delete`: of a container that has stopped, or was never started; with `force` of any.
pub fn delete<'a>(root: &'a CStr, id: &'a str, is_forced: bool, inherited: Inherited<'_>, log: &Log, arena: &Arena<'a>) -> Result<'a, ()> {
    let mut directory = match Directory::open(root, id) {
        Err(error) if is_forced && error.is_said("container does not exist") => return Ok(()),
        directory => directory?,
    };
    let procfs = facts::open_procfs()?;
    if !is_forced || !directory.try_lock() {
        if is_forced {
            end_unlocked(&directory, procfs.as_fd(), arena)?;
        }
        directory.lock()?;
    }
    if !directory.is_current() {
        return if is_forced { Ok(()) } else { Err(Error::said("container does not exist")) };
    }
    let record = match directory.read(arena) {
        Ok(record) => record,
        Err(error) if !is_forced => return Err(error),
        Err(_) => match directory.read_remains(arena) {
            Some(record) => record,
            None => return directory.remove().doing("remove the state directory", id),
        },
    };
    match state::status(&record, &directory, procfs.as_fd()) {
        Status::Stopped | Status::Created => {}
        _ if is_forced => {}
        status => {
            let sentence = arena.format(format_args!("cannot delete container {id} that is not stopped: {}", status.word()))?;
            return Err(Error::said(sentence));
        }
    }
    // Read before it is removed, run when everything is gone.
    let bundle = if record.hooks & hooks::POSTSTOP != 0 { bundle::kept(&directory, record.bundle, arena).map(Some) } else { Ok(None) };
    destroy(&record, &mut directory, procfs.as_fd(), arena)?;
    match bundle {
        Ok(Some(bundle)) => hooks::poststop(&bundle, record.id, inherited, log),
        Ok(None) => {}
        Err(error) => log.warning(format_args!("poststop hooks: {error}")),
    }
    Ok(())
}

/// Whoever has the lock may be waiting for the container itself: for a hook in it, which ends with it, and with that the wait.
fn end_unlocked<'a>(directory: &Directory, procfs: BorrowedFd<'_>, arena: &Arena<'a>) -> Result<'a, ()> {
    let Ok(record) = directory.read(arena) else { return Ok(()) }; // it is being created, which comes to an end
    state::open_process(&record, procfs).map_or(Ok(()), |process| end(&record, &process, procfs))
}

/// Ends what still runs, then removes the cgroup and the state directory.
pub fn destroy<'a>(record: &Record<'a>, directory: &mut Directory, procfs: BorrowedFd<'_>, arena: &Arena<'a>) -> Result<'a, ()> {
    if let Some(process) = state::open_process(record, procfs) {
        if record.cgroup.is_empty() && record.shares_pids {
            signal::signal_others(record, directory, procfs, signal::SIGKILL, arena)?;
        }
        end(record, &process, procfs)?;
    }
    remove_cgroup(record, directory, arena)?;
    directory.shared_root = SharedRoot::of(record.rootfs, record.root_mount);
    rdt::remove(record)?;
    match directory.remove() {
        Err(Errno::NOENT) => Ok(()), // `run` in the foreground was faster
        answer => answer.doing("remove the state directory", record.id),
    }
}

/// Kills a container's first process, and waits for its end.
pub fn end<'a>(record: &Record<'_>, process: &state::Process, procfs: BorrowedFd<'_>) -> Result<'a, ()> {
    match sys::send_signal(process.pid, process.pidfd.as_ref().map(AsFd::as_fd), signal::SIGKILL) {
        Ok(()) | Err(Errno::SRCH) => {}
        Err(errno) => return Err(Error::errno("kill the container's first process", "", errno)),
    }
    cgroup::v1::let_die(record.cgroup);
    if signal::await_end(record, process, procfs, CGROUP_TIMEOUT_MS) { Ok(()) } else { Err(Error::said("container init still running")) }
}

fn remove_cgroup<'a>(record: &Record<'a>, directory: &Directory, arena: &Arena<'a>) -> Result<'a, ()> {
    let mut path = PathBuffer::new();
    if record.cgroup.is_empty() || !path.set(&[record.cgroup.as_bytes()]) {
        return Ok(());
    }
    if record.pid == 0 && !directory.has_fifo() {
        // Killed before it was sure that nobody else is in there: the FIFO is made after that, and before the child. The child of a
        // `run`, which has no FIFO, dies with its runtime; then the cgroup is empty and goes.
        let _ = cgroup::remove(path.as_c_str(), DYING_CHILD_MS).doing("", "").and_then(|()| remove_others(record.others));
        return stop_unit(record, arena);
    }
    empty_cgroup(path.as_c_str()).doing("remove the cgroup", record.cgroup)?;
    remove_others(record.others)?;
    stop_unit(record, arena)
}

fn stop_unit<'a>(record: &Record<'a>, arena: &Arena<'a>) -> Result<'a, ()> {
    if !record.systemd.is_empty() {
        let unit = record.cgroup.rsplit('/').next().unwrap_or_default();
        systemd::stop(unit, arena.c_str(&[record.systemd.as_bytes()])?, arena);
    }
    Ok(())
}

/// Removes the cgroups of cgroup v1 that `others` names by lines, once the container's processes have been killed.
pub fn remove_others(others: &str) -> Result<'_, ()> {
    cgroup::v1::each(others).try_for_each(|path| {
        let mut buffer = PathBuffer::new();
        buffer.set(&[path.as_bytes()]);
        cgroup::remove(buffer.as_c_str(), CGROUP_TIMEOUT_MS).doing("remove the cgroup", path)
    })
}

/// Kills what is left in a cgroup, and removes it. An empty one takes one system call.
pub fn empty_cgroup(path: &CStr) -> core::result::Result<(), Errno> {
    if cgroup::remove(path, 0).is_ok() {
        return Ok(());
    }
    if let Ok(cgroup) = cgroup::open(path) {
        let _ = cgroup::kill_all(cgroup.as_fd()); // what it could not kill shows when the cgroup is to be removed
    }
    cgroup::remove(path, CGROUP_TIMEOUT_MS)
}
