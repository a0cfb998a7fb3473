//! A cgroup is handed over to the container's user: the files with which a delegate goes on below it, and no others.

use core::ffi::CStr;

use super::read_file;
use crate::mem::PathBuffer;
use crate::sys::{BorrowedFd, Errno, fs};

/// Before Linux 4.15 the kernel does not list them.
const USUAL: &[u8] = b"cgroup.procs\ncgroup.threads\ncgroup.subtree_control\n";

/// Gives the directory and its files for a delegate to `owner` (cgroup-v2.rst, "Model of Delegation").
pub fn delegate(cgroup: BorrowedFd<'_>, owner: u32) -> Result<(), Errno> {
    let give = |name: &CStr| fs::chownat(cgroup, name, Some(fs::Uid::from_raw(owner)), None, fs::AtFlags::SYMLINK_NOFOLLOW);
    let mut buffer = [0; 1024];
    // An absolute path is not looked up below the cgroup.
    let listed = read_file(cgroup, c"/sys/kernel/cgroup/delegate", &mut buffer).unwrap_or(USUAL);
    give(c".")?;
    for name in listed.split(|byte| *byte == b'\n').filter(|name| !name.is_empty() && !name.contains(&b'/')) {
        let mut path = PathBuffer::new();
        path.set(&[name]);
        match give(path.as_c_str()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}
