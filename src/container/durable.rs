//! Small files and links that outlive a power cut: each is there as it was, or as it is to be.

use core::ffi::CStr;

use crate::mem::PathBuffer;
use crate::sys::{self, AsFd, BorrowedFd, Errno, OwnedFd, fs};

/// Opens a directory, which is made if it is not there, with all above it.
pub fn open_directory(path: &str) -> Result<OwnedFd, Errno> {
    let mut directory = PathBuffer::new();
    for (at, _) in path.match_indices('/').skip(1).chain([(path.len(), "")]) {
        directory.set(&[&path.as_bytes()[..at]]);
        let _ = fs::mkdirat(fs::CWD, directory.as_c_str(), fs::Mode::from_raw_mode(0o755)); // what is wrong shows in a moment
    }
    fs::open(directory.as_c_str(), fs::OFlags::RDONLY | fs::OFlags::DIRECTORY | fs::OFlags::CLOEXEC, fs::Mode::empty())
}

/// Replaces a file.
pub fn write(directory: &OwnedFd, name: &CStr, text: &[u8]) -> Result<(), Errno> {
    let new = beside(name);
    let flags = fs::OFlags::WRONLY | fs::OFlags::CREATE | fs::OFlags::TRUNC | fs::OFlags::NOFOLLOW | fs::OFlags::CLOEXEC;
    let file = fs::openat(directory, new.as_c_str(), flags, fs::Mode::from_raw_mode(0o644))?;
    if fs::write(&file, text)? != text.len() {
        return Err(Errno::NOSPC);
    }
    sys::fsync(file.as_fd())?;
    rename(directory.as_fd(), new.as_c_str(), name)
}

/// Replaces a link.
pub fn link(directory: &OwnedFd, name: &CStr, target: &CStr) -> Result<(), Errno> {
    let new = beside(name);
    match fs::symlinkat(target, directory, new.as_c_str()) {
        Err(Errno::EXIST) => {
            fs::unlinkat(directory, new.as_c_str(), fs::AtFlags::empty())?; // a power cut left it
            fs::symlinkat(target, directory, new.as_c_str())?;
        }
        done => done?,
    }
    rename(directory.as_fd(), new.as_c_str(), name)
}

/// Removes a file or a link, if it is there.
pub fn remove(directory: &OwnedFd, name: &CStr) -> Result<(), Errno> {
    match fs::unlinkat(directory, name, fs::AtFlags::empty()) {
        Err(Errno::NOENT) => Ok(()),
        done => done.and_then(|()| sys::fsync(directory.as_fd())),
    }
}

fn beside(name: &CStr) -> PathBuffer {
    let mut new = PathBuffer::new();
    new.set(&[name.to_bytes(), b"~"]);
    new
}

fn rename(directory: BorrowedFd<'_>, new: &CStr, name: &CStr) -> Result<(), Errno> {
    fs::renameat(directory, new, directory, name)?;
    sys::fsync(directory)
}
