//! What cgroup v1 does otherwise: cpusets that begin empty, the freezer that has to be asked again, ends of which nobody is told.

use super::{Freezer, open, read_file, write_file};
use crate::mem::PathBuffer;
use crate::plan::cgroup::v1::IS_BUILT;
use crate::sys::{AsFd, BorrowedFd, Errno, fs, task};

/// How long to wait before the kernel is asked again.
const ASK_AGAIN_MS: u64 = 2;

/// The paths that `others` holds as lines.
pub fn each(others: &str) -> impl Iterator<Item = &str> {
    if IS_BUILT { others } else { "" }.lines()
}

/// Moves a process to a cgroup, or to one below it.
pub fn join(path: &str, below: &str, pid: &str) -> Result<(), Errno> {
    let mut buffer = PathBuffer::new();
    buffer.set(&[path.as_bytes(), b"/", below.as_bytes()]);
    super::join(open(buffer.as_c_str())?.as_fd(), pid)
}

/// Gives each level of a cpuset the processors and memory of the one above it: no process can live in one that has none.
pub(super) fn inherit_cpusets(top: BorrowedFd<'_>, path: &str) -> Result<(), Errno> {
    let mut above = super::make::open_level(top, "")?;
    let mut end = 0;
    while end < path.len() {
        end = path.get(end + 1..).and_then(|rest| rest.find('/')).map_or(path.len(), |len| end + 1 + len);
        let cgroup = super::make::open_level(top, &path[..end])?;
        for name in [c"cpuset.cpus", c"cpuset.mems"] {
            let (mut ours, mut theirs) = ([0; 1024], [0; 1024]);
            let Ok(b"\n" | b"") = read_file(cgroup.as_fd(), name, &mut ours) else { continue };
            if let Ok(theirs) = read_file(above.as_fd(), name, &mut theirs) {
                write_file(cgroup.as_fd(), name, theirs)?;
            }
        }
        above = cgroup;
    }
    Ok(())
}

/// freezer.state says so.
pub(super) fn is_frozen(cgroup: BorrowedFd<'_>) -> bool {
    IS_BUILT && read_file(cgroup, c"freezer.state", &mut [0; 16]).is_ok_and(|state| state.starts_with(b"FR"))
}

/// Freezes or thaws, and asks until it is done: while processes come and go the kernel stays FREEZING.
pub(super) fn freeze(cgroup: BorrowedFd<'_>, wanted: Freezer, timeout_ms: u32) -> Result<(), Errno> {
    let text: &[u8] = if wanted == Freezer::Frozen { b"FROZEN" } else { b"THAWED" };
    let reached = ask_until(timeout_ms, &mut || {
        write_file(cgroup, c"freezer.state", text)?;
        let mut buffer = [0; 16];
        if read_file(cgroup, c"freezer.state", &mut buffer)?.starts_with(text) { Ok(()) } else { Err(Errno::BUSY) }
    });
    if reached.is_err() && wanted == Freezer::Frozen {
        let _ = write_file(cgroup, c"freezer.state", b"THAWED"); // the error that is told is the first one
    }
    reached
}

/// Lets go on what was killed while it was frozen: only then it dies.
pub fn let_die(cgroup: &str) {
    let mut path = PathBuffer::new();
    if IS_BUILT && path.set(&[cgroup.as_bytes(), b"/freezer.state"]) {
        let _ = write_file(fs::CWD, path.as_c_str(), b"THAWED"); // in cgroup v2 there is no such file, and no need
    }
}

/// Removes an emptied cgroup. Errors: EBUSY if somebody still lives in it after `timeout_ms`.
pub(super) fn remove(path: &core::ffi::CStr, timeout_ms: u32) -> Result<(), Errno> {
    ask_until(timeout_ms, &mut || {
        match open(path).and_then(|cgroup| super::end::remove_children(cgroup.as_fd())) {
            Err(Errno::NOENT) => return Ok(()),
            removed => removed?,
        }
        fs::unlinkat(fs::CWD, path, fs::AtFlags::REMOVEDIR)
    })
}

fn ask_until(timeout_ms: u32, ask: &mut dyn FnMut() -> Result<(), Errno>) -> Result<(), Errno> {
    let deadline = task::now_ms() + u64::from(timeout_ms);
    loop {
        match ask() {
            Err(Errno::BUSY) if task::now_ms() < deadline => {}
            answer => return answer,
        }
        let _ = task::poll(&mut [], Some(&task::milliseconds(ASK_AGAIN_MS))); // it only passes the time
    }
}
