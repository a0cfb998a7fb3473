//! The container's cgroup, as the runtime makes, fills, watches, empties and removes it.
//!
//! Mustn't: move a process by writing cgroup.procs where it can be born there; that costs a grace period of the kernel's RCU.

use core::ffi::CStr;
use core::mem::MaybeUninit;

use crate::mem::PathBuffer;
use crate::plan::Setting;
use crate::sys::{self, AsFd, BorrowedFd, Errno, OwnedFd, fs, task};

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
    let mut buffer = [0; 4096];
    let processes = read_file(cgroup.as_fd(), c"cgroup.procs", &mut buffer).map_err(Trouble::Directory)?;
    let count = processes.iter().filter(|byte| **byte == b'\n').count();
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

/// Whether all of its processes are frozen.
pub fn is_frozen(cgroup: BorrowedFd<'_>) -> bool {
    let mut buffer = [0; 256];
    read_file(cgroup, c"cgroup.events", &mut buffer).is_ok_and(|events| has_line(events, b"frozen 1"))
}

fn has_line(text: &[u8], wanted: &[u8]) -> bool {
    text.split(|byte| *byte == b'\n').any(|line| line == wanted)
}

/// Kills every process in it and below, frozen or not.
pub fn kill_all(cgroup: BorrowedFd<'_>) -> Result<(), Errno> {
    match write_file(cgroup, c"cgroup.kill", b"1") {
        Err(Errno::NOENT) => {} // before Linux 5.14
        answer => return answer,
    }
    let _ = write_file(cgroup, c"cgroup.freeze", b"1"); // so that nobody forks meanwhile
    let killed = kill_each(cgroup, 0);
    let _ = write_file(cgroup, c"cgroup.freeze", b"0");
    killed
}

/// How deep a container may have nested cgroups of its own and still be killed by us before Linux 5.14; the kernel's own bound is the path's length.
const MAX_DEPTH: usize = 32;

fn kill_each(cgroup: BorrowedFd<'_>, depth: usize) -> Result<(), Errno> {
    let mut buffer = [0; 4096];
    let mut text = read_file(cgroup, c"cgroup.procs", &mut buffer)?;
    while let Some(end) = text.iter().position(|byte| *byte == b'\n') {
        let pid = core::str::from_utf8(&text[..end]).ok().and_then(|pid| pid.parse().ok()).and_then(task::Pid::from_raw);
        if let Some(pid) = pid {
            let _ = task::kill_process(pid, task::Signal::KILL); // ESRCH: it has ended meanwhile
        }
        text = &text[end + 1..];
    }
    for_each_child(cgroup, |child, _| if depth < MAX_DEPTH { kill_each(child, depth + 1) } else { Ok(()) })
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
    await_empty(cgroup.as_fd(), timeout_ms)?;
    remove_children(cgroup.as_fd())?;
    match fs::unlinkat(fs::CWD, path, fs::AtFlags::REMOVEDIR) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(errno) => Err(errno),
    }
}

/// Waits by poll(2) on cgroup.events, which the kernel wakes when a cgroup becomes empty (cgroup-v2.rst, "[Un]populated Notification").
fn await_empty(cgroup: BorrowedFd<'_>, timeout_ms: u32) -> Result<(), Errno> {
    let events = fs::openat(cgroup, c"cgroup.events", fs::OFlags::RDONLY | fs::OFlags::CLOEXEC, fs::Mode::empty())?;
    let deadline = task::now_ms() + u64::from(timeout_ms);
    loop {
        let mut buffer = [0; 256];
        let len = fs::pread(&events, &mut buffer, 0)?; // it also arms the notification
        if has_line(&buffer[..len], b"populated 0") {
            return Ok(());
        }
        let left = deadline.saturating_sub(task::now_ms());
        if left == 0 {
            return Err(Errno::BUSY);
        }
        task::poll(&mut [task::PollFd::new(&events, task::PollFlags::PRI)], Some(&task::milliseconds(left)))?;
    }
}

/// Removes what is below, the deepest first, however deep a container has nested it: one chain is walked down at a time, and then anew.
fn remove_children(cgroup: BorrowedFd<'_>) -> Result<(), Errno> {
    while let Some((mut name, mut child)) = first_child(cgroup)? {
        let mut parent = fs::fcntl_dupfd_cloexec(cgroup, 3)?;
        while let Some((below, grandchild)) = first_child(child.as_fd())? {
            (parent, name, child) = (child, below, grandchild);
        }
        fs::unlinkat(&parent, name.as_c_str(), fs::AtFlags::REMOVEDIR)?;
    }
    Ok(())
}

fn first_child(cgroup: BorrowedFd<'_>) -> Result<Option<(PathBuffer, OwnedFd)>, Errno> {
    let mut found = None;
    for_each_child(cgroup, |child, name| {
        if found.is_none() {
            let mut path = PathBuffer::new();
            path.set(&[name.to_bytes()]);
            found = Some((path, fs::fcntl_dupfd_cloexec(child, 3)?));
        }
        Ok(())
    })?;
    Ok(found)
}

fn for_each_child(cgroup: BorrowedFd<'_>, mut visit: impl FnMut(BorrowedFd<'_>, &CStr) -> Result<(), Errno>) -> Result<(), Errno> {
    let directory = fs::openat(cgroup, c".", DIRECTORY, fs::Mode::empty())?;
    let mut room = [MaybeUninit::uninit(); 2048];
    let mut entries = fs::RawDir::new(&directory, &mut room);
    while let Some(entry) = entries.next() {
        let entry = entry?;
        let name = entry.file_name();
        if entry.file_type() == fs::FileType::Directory && name != c"." && name != c".." {
            let child = fs::openat(cgroup, name, DIRECTORY, fs::Mode::empty())?;
            visit(child.as_fd(), name)?;
        }
    }
    Ok(())
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
