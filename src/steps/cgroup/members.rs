//! Who is in a cgroup and below it.

use core::ffi::CStr;
use core::mem::MaybeUninit;

use super::DIRECTORY;
use crate::mem::PathBuffer;
use crate::sys::{AsFd, BorrowedFd, Errno, OwnedFd, fs};

/// Calls `visit` with every process in it and below, however deep a container has nested cgroups of its own; 0 stands for one that our pid
/// namespace does not know. Errors: ENAMETOOLONG for what is nested deeper than a path can say, after all else was visited.
pub fn each_pid(cgroup: BorrowedFd<'_>, visit: &mut dyn FnMut(u32)) -> Result<(), Errno> {
    let mut names = heapless::Vec::<u8, PATH_MAX>::new(); // of those that we are in, each behind a slash
    let mut last = PathBuffer::new(); // the one that we came up from
    let mut here = fs::fcntl_dupfd_cloexec(cgroup, 3)?;
    let mut done = Ok(());
    show_own(cgroup, visit)?;
    loop {
        let room = names.len();
        match child_after(here.as_fd(), last.as_c_str())? {
            Some((name, child)) if push(&mut names, name.as_c_str()) => {
                show_own(child.as_fd(), visit)?;
                here = child;
                last.set(&[]);
            }
            Some((name, _)) => {
                names.truncate(room);
                done = Err(Errno::NAMETOOLONG);
                last = name;
            }
            None => {
                let Some(slash) = names.iter().rposition(|byte| *byte == b'/') else { return done };
                last.set(&[&names[slash + 1..]]);
                names.truncate(slash);
                here = fs::openat(&here, c"..", DIRECTORY, fs::Mode::empty())?; // nobody can move a cgroup
            }
        }
    }
}

const PATH_MAX: usize = 4096;

fn push(names: &mut heapless::Vec<u8, PATH_MAX>, name: &CStr) -> bool {
    names.push(b'/').is_ok() && names.extend_from_slice(name.to_bytes()).is_ok()
}

fn show_own(cgroup: BorrowedFd<'_>, visit: &mut dyn FnMut(u32)) -> Result<(), Errno> {
    match own_pids(cgroup, visit) {
        Err(Errno::OPNOTSUPP) => Ok(()), // a threaded cgroup: its processes show in the one above it
        shown => shown,
    }
}

/// The cgroup right below that comes after the one of that name; the first one for none.
pub(super) fn child_after(cgroup: BorrowedFd<'_>, last: &CStr) -> Result<Option<(PathBuffer, OwnedFd)>, Errno> {
    let directory = fs::openat(cgroup, c".", DIRECTORY, fs::Mode::empty())?;
    let mut room = [MaybeUninit::uninit(); 2048];
    let mut entries = fs::RawDir::new(&directory, &mut room);
    let mut is_next = last.is_empty();
    while let Some(entry) = entries.next() {
        let entry = entry?;
        let name = entry.file_name();
        if !is_child(entry.file_type(), name) {
            continue;
        }
        if is_next {
            let mut path = PathBuffer::new();
            path.set(&[name.to_bytes()]);
            return Ok(Some((path, fs::openat(cgroup, name, DIRECTORY, fs::Mode::empty())?)));
        }
        is_next = name == last;
    }
    Ok(None)
}

fn is_child(kind: fs::FileType, name: &CStr) -> bool {
    kind == fs::FileType::Directory && name != c"." && name != c".."
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
