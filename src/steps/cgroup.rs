//! The container's cgroup, as the runtime makes, fills, watches, empties and removes it.
//!
//! Mustn't: move a process by writing cgroup.procs where it can be born there; that costs a grace period of the kernel's RCU.

mod end;
mod events;
mod members;

pub use end::{kill_all, remove};
pub use events::{Freezer, freeze, is_frozen};
pub use members::each_pid;

use core::ffi::CStr;

use crate::mem::PathBuffer;
use crate::plan::Setting;
use crate::sys::{self, AsFd, BorrowedFd, Errno, OwnedFd, fs};

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
    Setting(Setting<'a>, Errno),
    /// The device program.
    Devices(Errno),
}

const DIRECTORY: fs::OFlags = fs::OFlags::DIRECTORY.union(fs::OFlags::NOFOLLOW).union(fs::OFlags::CLOEXEC).union(fs::OFlags::RDONLY);
const CONTROLLERS_BYTES: usize = 512;

/// Makes the cgroup `path` below `mount`, with every controller that its ancestors can hand on. `is_new` says whether it was not there before.
/// What exists must be empty and thawed.
pub fn make<'a>(mount: &CStr, path: &str, is_new: &mut bool) -> Result<OwnedFd, Trouble<'a>> {
    let top = fs::open(mount, DIRECTORY, fs::Mode::empty()).map_err(Trouble::Directory)?;
    let mut buffer = [0; CONTROLLERS_BYTES];
    let controllers = read_file(top.as_fd(), c"cgroup.controllers", &mut buffer).unwrap_or_default();
    let mut here = top;
    for component in path.split('/').filter(|component| !component.is_empty()) {
        hand_on(here.as_fd(), controllers);
        *is_new = false;
        let mut name = PathBuffer::new();
        name.set(&[component.as_bytes()]);
        match fs::mkdirat(&here, name.as_c_str(), fs::Mode::from_raw_mode(0o755)) {
            Ok(()) => *is_new = true,
            Err(Errno::EXIST) => {}
            Err(errno) => return Err(Trouble::Directory(errno)),
        }
        here = fs::openat(&here, name.as_c_str(), DIRECTORY, fs::Mode::empty()).map_err(Trouble::Directory)?;
    }
    if !*is_new {
        accept(&here)?;
    }
    Ok(here)
}

/// Enables all controllers for the children, at once or, where one of them is refused, one by one. What is still missing shows when it is used.
fn hand_on(cgroup: BorrowedFd<'_>, controllers: &[u8]) {
    let mut all = heapless::Vec::<u8, { CONTROLLERS_BYTES * 2 }>::new();
    let names = || controllers.split(|byte| byte.is_ascii_whitespace()).filter(|name| !name.is_empty());
    for name in names() {
        let _ = all.extend_from_slice(b"+").and_then(|()| all.extend_from_slice(name)).and_then(|()| all.extend_from_slice(b" ")); // twice the room is enough
    }
    if all.is_empty() || write_file(cgroup, c"cgroup.subtree_control", &all).is_ok() {
        return;
    }
    for name in names() {
        let mut one = PathBuffer::new();
        one.set(&[b"+", name]);
        let _ = write_file(cgroup, c"cgroup.subtree_control", one.as_c_str().to_bytes());
    }
}

fn accept<'a>(cgroup: &OwnedFd) -> Result<(), Trouble<'a>> {
    let mut count = 0;
    members::own_pids(cgroup.as_fd(), &mut |_| count += 1).map_err(Trouble::Directory)?;
    if count > 0 {
        return Err(Trouble::NotEmpty(count));
    }
    if is_frozen(cgroup.as_fd()) { Err(Trouble::Frozen) } else { Ok(()) }
}

/// Writes the limits, and attaches the device program.
pub fn configure<'a>(
    cgroup: BorrowedFd<'_>,
    settings: impl Iterator<Item = &'a Setting<'a>>,
    device_program: &[u64],
) -> Result<(), Trouble<'a>> {
    for setting in settings {
        write_file(cgroup, setting.file, setting.value.as_bytes()).map_err(|errno| Trouble::Setting(*setting, errno))?;
    }
    let program = sys::load_device_program(device_program).map_err(Trouble::Devices)?;
    sys::attach_device_program(cgroup, program.as_fd()).map_err(Trouble::Devices)
}

/// Opens an existing cgroup.
pub fn open(path: &CStr) -> Result<OwnedFd, Errno> {
    fs::open(path, DIRECTORY, fs::Mode::empty())
}

/// Moves a process here: only for kernels without CLONE_INTO_CGROUP.
pub fn join(cgroup: BorrowedFd<'_>, pid: &str) -> Result<(), Errno> {
    write_file(cgroup, c"cgroup.procs", pid.as_bytes())
}

fn write_file(cgroup: BorrowedFd<'_>, name: &CStr, value: &[u8]) -> Result<(), Errno> {
    let flags = fs::OFlags::WRONLY | fs::OFlags::NOFOLLOW | fs::OFlags::CLOEXEC;
    let file = fs::openat(cgroup, name, flags, fs::Mode::empty())?;
    fs::write(&file, value).map(|_| ())
}

fn read_file<'b>(cgroup: BorrowedFd<'_>, name: &CStr, buffer: &'b mut [u8]) -> Result<&'b [u8], Errno> {
    let flags = fs::OFlags::RDONLY | fs::OFlags::NOFOLLOW | fs::OFlags::CLOEXEC;
    let file = fs::openat(cgroup, name, flags, fs::Mode::empty())?;
    let len = fs::read(&file, &mut *buffer)?;
    Ok(&buffer[..len])
}
