//! The container's cgroup, as the runtime makes, fills, watches, empties and removes it.
//!
//! Mustn't: move a process by writing cgroup.procs where it can be born there; that costs a grace period of the kernel's RCU.

mod delegate;
mod end;
mod events;
mod limits;
mod make;
mod members;
pub mod v1;

pub use delegate::delegate;
pub use end::{kill_all, remove, remove_levels, signal_all};
pub use events::{Above, Freezer, freeze, is_frozen, is_frozen_at};
pub use limits::{apply, guard_devices, guard_devices_anew};
pub use make::{Missing, adopt, make, why_missing};
pub use members::each_pid;

use core::ffi::CStr;

use crate::plan::cgroup::Limit;
use crate::sys::{BorrowedFd, Errno, OwnedFd, fs};

/// Which step of the cgroup's making failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble<'a> {
    /// Making or opening the directory itself.
    Directory(Errno),
    /// It exists, and holds this many processes or more.
    NotEmpty(usize),
    /// It exists, and is frozen.
    Frozen,
    /// One of its files.
    Limit(Limit<'a>, Errno),
    /// A limit that is not above the memory in use, which is this.
    InUse(Limit<'a>, u64),
    /// The device program.
    Devices(Errno),
}

const DIRECTORY: fs::OFlags = fs::OFlags::DIRECTORY.union(fs::OFlags::NOFOLLOW).union(fs::OFlags::CLOEXEC).union(fs::OFlags::RDONLY);

/// Opens an existing cgroup.
pub fn open(path: &CStr) -> Result<OwnedFd, Errno> {
    fs::open(path, DIRECTORY, fs::Mode::empty())
}

/// Moves a process here: only for kernels without CLONE_INTO_CGROUP.
pub fn join(cgroup: BorrowedFd<'_>, pid: &str) -> Result<(), Errno> {
    write_file(cgroup, c"cgroup.procs", pid.as_bytes())
}

/// Writes one of its files. Errors: ENOENT where its controller is missing.
pub fn write_file(cgroup: BorrowedFd<'_>, name: &CStr, value: &[u8]) -> Result<(), Errno> {
    let flags = fs::OFlags::WRONLY | fs::OFlags::NOFOLLOW | fs::OFlags::CLOEXEC;
    let file = fs::openat(cgroup, name, flags, fs::Mode::empty())?;
    fs::write(&file, value).map(|_| ())
}

/// Reads one of its files, as far as the buffer goes.
pub fn read_file<'b>(cgroup: BorrowedFd<'_>, name: &CStr, buffer: &'b mut [u8]) -> Result<&'b [u8], Errno> {
    let flags = fs::OFlags::RDONLY | fs::OFlags::NOFOLLOW | fs::OFlags::CLOEXEC;
    let file = fs::openat(cgroup, name, flags, fs::Mode::empty())?;
    let len = fs::read(&file, &mut *buffer)?;
    Ok(&buffer[..len])
}
