//! cgroup.events: whether a cgroup is frozen or inhabited, and waiting until it is or is not, without asking again and again.

use core::ffi::CStr;

use super::{read_file, write_file};
use crate::mem::PathBuffer;
use crate::plan::cgroup::v1;
use crate::sys::{AsFd, BorrowedFd, Errno, OwnedFd, fs, task};

/// Freezes or thaws all that is in it and below, and waits, at most `timeout_ms`, until that is so.
/// Errors: EBUSY in the end; of freezing also, after which it is thawed again.
pub fn freeze(cgroup: BorrowedFd<'_>, wanted: Freezer, timeout_ms: u32) -> Result<(), Errno> {
    let (text, line): (_, &[u8]) = match wanted {
        Freezer::Frozen => (b"1", b"frozen 1"),
        Freezer::Thawed => (b"0", b"frozen 0"),
    };
    match write_file(cgroup, c"cgroup.freeze", text) {
        Err(Errno::NOENT) if v1::IS_BUILT => return super::v1::freeze(cgroup, wanted, timeout_ms),
        written => written?,
    }
    let reached = await_line(cgroup, line, timeout_ms);
    if reached.is_err() && wanted == Freezer::Frozen {
        let _ = write_file(cgroup, c"cgroup.freeze", b"0"); // the error that is told is the first one
    }
    reached
}

/// What [`freeze`] is to reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freezer {
    /// Nothing in it runs.
    Frozen,
    /// Everything in it runs.
    Thawed,
}

/// Whether all of its processes are frozen.
pub fn is_frozen(cgroup: BorrowedFd<'_>) -> bool {
    let mut buffer = [0; 256];
    match read_file(cgroup, c"cgroup.events", &mut buffer) {
        Ok(events) => has_line(events, b"frozen 1"),
        Err(_) => super::v1::is_frozen(cgroup),
    }
}

/// The same by its path, in one walk where it is of cgroup v2; not so, if it is gone.
pub fn is_frozen_at(path: &str) -> bool {
    let (mut buffer, mut file) = ([0; 256], PathBuffer::new());
    file.set(&[path.as_bytes(), b"/cgroup.events"]);
    match read_file(fs::CWD, file.as_c_str(), &mut buffer) {
        Ok(events) => has_line(events, b"frozen 1"),
        Err(_) => file.set(&[path.as_bytes()]) && super::open(file.as_c_str()).is_ok_and(|cgroup| is_frozen(cgroup.as_fd())),
    }
}

/// For cgroups of one container after the other: the directory in which the last one lay, since most lie in one.
#[derive(Default)]
pub struct Above {
    path: PathBuffer,
    directory: Option<OwnedFd>,
}

impl Above {
    /// The same as [`is_frozen_at`], without the walk from the root.
    pub fn is_frozen_at(&mut self, path: &str) -> bool {
        let Some((above, name)) = path.rsplit_once('/') else { return false };
        if self.path.as_c_str().to_bytes() != above.as_bytes() {
            let is_path = self.path.set(&[above.as_bytes()]);
            self.directory =
                fs::open(self.path.as_c_str(), super::DIRECTORY | fs::OFlags::PATH, fs::Mode::empty()).ok().filter(|_| is_path);
        }
        let (mut buffer, mut file) = ([0; 256], PathBuffer::new());
        let is_name = file.set(&[name.as_bytes(), b"/cgroup.events"]);
        let directory = self.directory.as_ref().filter(|_| is_name);
        match directory.ok_or(Errno::NOENT).and_then(|directory| read_file(directory.as_fd(), file.as_c_str(), &mut buffer)) {
            Ok(events) => has_line(events, b"frozen 1"),
            Err(_) => is_frozen_at(path),
        }
    }
}

/// Waits until no process is in it or below.
pub(super) fn await_empty(cgroup: BorrowedFd<'_>, timeout_ms: u32) -> Result<(), Errno> {
    await_line(cgroup, b"populated 0", timeout_ms)
}

/// Waits by poll(2), which the kernel wakes when the file changes (cgroup-v2.rst, "[Un]populated Notification").
fn await_line(cgroup: BorrowedFd<'_>, line: &[u8], timeout_ms: u32) -> Result<(), Errno> {
    let events = open_file(cgroup, c"cgroup.events")?;
    let deadline = task::now_ms() + u64::from(timeout_ms);
    loop {
        let mut buffer = [0; 256];
        let len = fs::pread(&events, &mut buffer, 0)?; // it also arms the notification
        if has_line(&buffer[..len], line) {
            return Ok(());
        }
        let left = deadline.saturating_sub(task::now_ms());
        if left == 0 {
            return Err(Errno::BUSY);
        }
        match task::poll(&mut [task::PollFd::new(&events, task::PollFlags::PRI)], Some(&task::milliseconds(left))) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}

fn open_file(cgroup: BorrowedFd<'_>, name: &CStr) -> Result<OwnedFd, Errno> {
    fs::openat(cgroup, name, fs::OFlags::RDONLY | fs::OFlags::NOFOLLOW | fs::OFlags::CLOEXEC, fs::Mode::empty())
}

fn has_line(text: &[u8], wanted: &[u8]) -> bool {
    text.split(|byte| *byte == b'\n').any(|line| line == wanted)
}
