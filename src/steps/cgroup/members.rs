//! Who is in a cgroup and below it.

use core::ffi::CStr;
use core::mem::MaybeUninit;

use super::DIRECTORY;
use crate::sys::{AsFd, BorrowedFd, Errno, fs};

/// How deep a container may have nested cgroups of its own and still be seen whole by us; the kernel's own bound is the path's length.
const MAX_DEPTH: usize = 32;

/// Calls `visit` with every process in it and below; 0 stands for one that our pid namespace does not know.
pub fn each_pid(cgroup: BorrowedFd<'_>, visit: &mut dyn FnMut(u32)) -> Result<(), Errno> {
    each_pid_down_to(cgroup, MAX_DEPTH, visit)
}

fn each_pid_down_to(cgroup: BorrowedFd<'_>, depth: usize, visit: &mut dyn FnMut(u32)) -> Result<(), Errno> {
    match own_pids(cgroup, visit) {
        Ok(()) | Err(Errno::OPNOTSUPP) => {} // a threaded cgroup: its processes show in the one above it
        Err(errno) => return Err(errno),
    }
    for_each_child(cgroup, &mut |child, _| if depth > 0 { each_pid_down_to(child, depth - 1, visit) } else { Ok(()) })
}

/// Reads cgroup.procs, however long it is, digit by digit.
pub(super) fn own_pids(cgroup: BorrowedFd<'_>, visit: &mut dyn FnMut(u32)) -> Result<(), Errno> {
    let flags = fs::OFlags::RDONLY | fs::OFlags::NOFOLLOW | fs::OFlags::CLOEXEC;
    let file = fs::openat(cgroup, c"cgroup.procs", flags, fs::Mode::empty())?;
    let mut buffer = [0; 1024];
    let mut number = 0u32;
    loop {
        let len = fs::read(&file, &mut buffer)?;
        if len == 0 {
            return Ok(());
        }
        for byte in &buffer[..len] {
            if byte.is_ascii_digit() {
                number = number.wrapping_mul(10).wrapping_add(u32::from(byte - b'0')); // a pid has 22 bits
            } else {
                visit(core::mem::take(&mut number));
            }
        }
    }
}

/// Calls `visit` with each cgroup right below it, and that one's name.
pub(super) fn for_each_child(
    cgroup: BorrowedFd<'_>,
    visit: &mut dyn FnMut(BorrowedFd<'_>, &CStr) -> Result<(), Errno>,
) -> Result<(), Errno> {
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
