//! What an open file is: its kind, its file system, its device. It is the descriptor that is asked, which may be O_PATH.

use rustix::fs::{FileType, fstat, fstatfs, major, minor};

use super::{AsFd, BorrowedFd, Errno};

/// File systems by the number that statfs(2) knows them by.
pub mod magic {
    pub use linux_raw_sys::general::{CGROUP2_SUPER_MAGIC, DEVPTS_SUPER_MAGIC, PROC_SUPER_MAGIC, SELINUX_MAGIC};
}

/// Which file system an open file lies on: `*_MAGIC` of statfs(2).
pub fn file_system(file: impl AsFd) -> Result<u32, Errno> {
    Ok(fstatfs(file)?.f_type as u32)
}

/// What kind of file it is.
pub fn file_type(file: impl AsFd) -> Result<FileType, Errno> {
    Ok(FileType::from_raw_mode(fstat(file)?.st_mode))
}

/// Whether it is the character device of that number.
pub fn is_character_device(file: impl AsFd, device: (u32, u32)) -> Result<bool, Errno> {
    let status = fstat(file)?;
    let is_character = FileType::from_raw_mode(status.st_mode) == FileType::CharacterDevice;
    Ok(is_character && (major(status.st_rdev), minor(status.st_rdev)) == device)
}

/// Reserves the memory or blocks of a file, so that writing to them cannot fail. A file system that cannot is passed over.
pub fn reserve(file: BorrowedFd<'_>, bytes: usize) -> Result<(), Errno> {
    match rustix::fs::fallocate(file, rustix::fs::FallocateFlags::empty(), 0, bytes as u64) {
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => Ok(()),
        answer => answer,
    }
}

/// fsync(2).
pub fn fsync(file: BorrowedFd<'_>) -> Result<(), Errno> {
    rustix::fs::fsync(file)
}
