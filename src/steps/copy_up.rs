//! `tmpcopyup`: fills a new tmpfs with what it covers, down to links and nodes, with owners, modes and times.
//!
//! Must: go by descriptors of directories, never by a path or through a link: the image wrote these names.

use core::ffi::CStr;
use core::mem::MaybeUninit;

use crate::mem::PathBuffer;
use crate::sys::{AsFd, BorrowedFd, Errno, OwnedFd, fs};

/// How deep directories may lie in one another; each takes two descriptors and a piece of the stack.
const MAX_DEPTH: usize = 128;

/// What one sendfile(2) moves at the most; the kernel has a bound of its own below it.
const CHUNK: usize = 1 << 30;

/// Copies what is in the directory `from` into the directory `to`. Errors: ENOSPC, ELOOP where it is too deep.
pub fn copy(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> Result<(), Errno> {
    copy_directory(&open_directory(from, c".")?, &open_directory(to, c".")?, MAX_DEPTH)
}

fn open_directory(parent: BorrowedFd<'_>, name: &CStr) -> Result<OwnedFd, Errno> {
    let flags = fs::OFlags::RDONLY | fs::OFlags::DIRECTORY | fs::OFlags::NOFOLLOW | fs::OFlags::CLOEXEC;
    fs::openat(parent, name, flags, fs::Mode::empty())
}

fn copy_directory(from: &OwnedFd, to: &OwnedFd, depth: usize) -> Result<(), Errno> {
    let depth = depth.checked_sub(1).ok_or(Errno::LOOP)?;
    let mut room = [MaybeUninit::uninit(); 1024];
    let mut entries = fs::RawDir::new(from, &mut room);
    while let Some(entry) = entries.next() {
        let entry = entry?;
        let name = entry.file_name();
        if name != c"." && name != c".." {
            copy_entry(from, to, name, depth)?;
        }
    }
    Ok(())
}

fn copy_entry(from: &OwnedFd, to: &OwnedFd, name: &CStr, depth: usize) -> Result<(), Errno> {
    let status = fs::statat(from, name, fs::AtFlags::SYMLINK_NOFOLLOW)?;
    let mode = fs::Mode::from_raw_mode(status.st_mode & 0o7777);
    let owner = (Some(fs::Uid::from_raw(status.st_uid)), Some(fs::Gid::from_raw(status.st_gid)));
    let kind = fs::FileType::from_raw_mode(status.st_mode);
    let made = match kind {
        fs::FileType::Directory => {
            fs::mkdirat(to, name, fs::Mode::RWXU)?;
            let made = open_directory(to.as_fd(), name)?;
            copy_directory(&open_directory(from.as_fd(), name)?, &made, depth)?;
            Some(made)
        }
        fs::FileType::RegularFile => Some(copy_file(from, to, name)?),
        fs::FileType::Symlink => {
            copy_link(from, to, name)?;
            None
        }
        kind => {
            fs::mknodat(to, name, kind, mode, status.st_rdev)?;
            None
        }
    };
    match fs::chownat(to, name, owner.0, owner.1, fs::AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::PERM | Errno::INVAL) | Ok(()) => {} // an owner that the user namespace does not know
        Err(errno) => return Err(errno),
    }
    if let Some(made) = made {
        fs::fchmod(&made, mode)?; // the change of the owner has taken set-user-ID bits away
    }
    let times = fs::Timestamps {
        last_access: fs::Timespec { tv_sec: status.st_atime as _, tv_nsec: status.st_atime_nsec as _ },
        last_modification: fs::Timespec { tv_sec: status.st_mtime as _, tv_nsec: status.st_mtime_nsec as _ },
    };
    fs::utimensat(to, name, &times, fs::AtFlags::SYMLINK_NOFOLLOW)
}

fn copy_file(from: &OwnedFd, to: &OwnedFd, name: &CStr) -> Result<OwnedFd, Errno> {
    let flags = fs::OFlags::NOFOLLOW | fs::OFlags::CLOEXEC | fs::OFlags::NONBLOCK;
    let source = fs::openat(from, name, fs::OFlags::RDONLY | flags, fs::Mode::empty())?;
    let made = fs::openat(to, name, fs::OFlags::WRONLY | fs::OFlags::CREATE | fs::OFlags::EXCL | flags, fs::Mode::RUSR)?;
    while fs::sendfile(&made, &source, None, CHUNK)? > 0 {}
    Ok(made)
}

#[inline(never)]
fn copy_link(from: &OwnedFd, to: &OwnedFd, name: &CStr) -> Result<(), Errno> {
    let mut room = [MaybeUninit::uninit(); 4096];
    let (target, _) = fs::readlinkat_raw(from, name, &mut room)?;
    let mut path = PathBuffer::new();
    if path.set(&[target]) { fs::symlinkat(path.as_c_str(), to, name) } else { Err(Errno::NAMETOOLONG) }
}
