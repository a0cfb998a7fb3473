//! The end of a cgroup: its processes are killed, its children removed, and it itself.

use core::ffi::CStr;

use linux_raw_sys::general::SIGKILL;

use super::events::{Freezer, await_empty, freeze, is_frozen};
use super::members::{BEGINNING, child_after, each_pid};
use super::{open, v1, write_file};
use crate::mem::PathBuffer;
use crate::plan::cgroup::v1::IS_BUILT;
use crate::sys::{self, AsFd, BorrowedFd, Errno, fs, task};

/// How long to try to freeze those who are to get a signal.
const FREEZING_MS: u32 = 500;

/// Kills every process in it and below, frozen or not.
pub fn kill_all(cgroup: BorrowedFd<'_>) -> Result<(), Errno> {
    match write_file(cgroup, c"cgroup.kill", b"1") {
        Err(Errno::NOENT) => signal_all(cgroup, SIGKILL as i32), // before Linux 5.14
        answer => answer,
    }
}

/// Sends a signal to every process in it and below. They are frozen meanwhile, so that nobody forks away from it; one that was paused
/// stays so, and gets the signal when it goes on.
pub fn signal_all(cgroup: BorrowedFd<'_>, signal: i32) -> Result<(), Errno> {
    let stays_paused = is_frozen(cgroup) && signal != SIGKILL as i32; // in cgroup v1 they die when they go on
    let _ = freeze(cgroup, Freezer::Frozen, FREEZING_MS); // without a freezer they get it as they are met
    let sent = each_pid(cgroup, &mut |pid| {
        if let Some(pid) = task::Pid::from_raw(pid as i32) {
            let _ = sys::kill(pid, signal); // ESRCH: it has ended meanwhile
        }
    });
    if !stays_paused {
        let _ = freeze(cgroup, Freezer::Thawed, 0); // nobody waits for it
    }
    sent
}

/// Removes the cgroup at `path` and those below it, and waits, at most `timeout_ms`, until its last process is gone.
pub fn remove(path: &CStr, timeout_ms: u32) -> Result<(), Errno> {
    match fs::unlinkat(fs::CWD, path, fs::AtFlags::REMOVEDIR) {
        Ok(()) | Err(Errno::NOENT) => return Ok(()),
        Err(Errno::BUSY | Errno::NOTEMPTY) => {}
        Err(errno) => return Err(errno),
    }
    let cgroup = match open(path) {
        Err(Errno::NOENT) => return Ok(()),
        cgroup => cgroup?,
    };
    match await_empty(cgroup.as_fd(), timeout_ms) {
        Err(Errno::NOENT) if IS_BUILT => return v1::remove(path, timeout_ms),
        empty => empty?,
    }
    remove_children(cgroup.as_fd())?;
    match fs::unlinkat(fs::CWD, path, fs::AtFlags::REMOVEDIR) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(errno) => Err(errno),
    }
}

/// Removes the directories above `path` that were made for it: as many as `levels` says, from the lowest up, as long as they are empty.
pub fn remove_levels(path: &CStr, levels: usize) {
    let mut above = PathBuffer::new();
    let mut rest = path.to_bytes();
    for _ in 0..levels {
        let Some(end) = rest.iter().rposition(|byte| *byte == b'/') else { return };
        rest = &rest[..end];
        above.set(&[rest]);
        if fs::unlinkat(fs::CWD, above.as_c_str(), fs::AtFlags::REMOVEDIR).is_err() {
            return;
        }
    }
}

/// Removes what is below, the deepest first, however deep a container has nested it: one chain is walked down at a time, and then anew.
pub(super) fn remove_children(cgroup: BorrowedFd<'_>) -> Result<(), Errno> {
    while let Some(mut lowest) = child_after(cgroup, BEGINNING)? {
        let mut parent = fs::fcntl_dupfd_cloexec(cgroup, 3)?;
        while let Some(below) = child_after(lowest.cgroup.as_fd(), BEGINNING)? {
            parent = core::mem::replace(&mut lowest, below).cgroup;
        }
        match fs::unlinkat(&parent, lowest.name.as_c_str(), fs::AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}
