//! Mounting onto descriptors, never onto path strings: by the mount API of Linux 5.2 where it is, by mount(2) where not.
//!
//! Without the newer calls a descriptor is named as `self/fd/N` under a procfs that the caller trusts.

use core::ffi::CStr;
use core::fmt::Write;

use linux_raw_sys::general as c;
use rustix::mount::{MoveMountFlags, OpenTreeFlags, UnmountFlags, move_mount, open_tree};
use rustix::process::fchdir;

use super::{AsFd, AsRawFd, BorrowedFd, Errno, OwnedFd, raw};

/// What mount_setattr(2) sets and clears: MOUNT_ATTR_* bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    /// Bits to set.
    pub set: u64,
    /// Bits to clear.
    pub clear: u64,
}

impl Attributes {
    /// Nothing to change.
    pub const NONE: Attributes = Attributes { set: 0, clear: 0 };

    /// Whether nothing is to be changed.
    pub fn is_empty(self) -> bool {
        self.set == 0 && self.clear == 0
    }
}

/// mount(2). `target` is taken as the kernel resolves it: for callers, `.` after [`mount_onto`]'s fchdir, or `/`.
pub fn mount(source: &CStr, target: &CStr, kind: &CStr, flags: u32, data: &CStr) -> Result<(), Errno> {
    let pointer = |text: &CStr| if text.is_empty() { 0 } else { text.as_ptr() as usize };
    let arguments = [pointer(source), target.as_ptr() as usize, pointer(kind), flags as usize, pointer(data), 0];
    // SAFETY: every pointer is NULL or a NUL-ended string that outlives the call.
    unsafe { raw::call(c::__NR_mount, arguments) }.map(|_| ())
}

/// mount(2) onto the directory behind `target`; moves the working directory there.
pub fn mount_onto(target: BorrowedFd<'_>, source: &CStr, kind: &CStr, flags: u32, data: &CStr) -> Result<(), Errno> {
    fchdir(target)?;
    mount(source, c".", kind, flags, data)
}

/// A detached copy of the mount at `source` (with those below it). Errors: ENOSYS before Linux 5.2, EINVAL if it is unbindable.
pub fn bind_tree(source: BorrowedFd<'_>, is_recursive: bool) -> Result<OwnedFd, Errno> {
    let mut flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_EMPTY_PATH;
    flags.set(OpenTreeFlags::AT_RECURSIVE, is_recursive);
    open_tree(source, c"", flags)
}

/// Attaches the detached `tree` to `target`.
pub fn mount_tree(tree: BorrowedFd<'_>, target: BorrowedFd<'_>) -> Result<(), Errno> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    move_mount(tree, c"", target, c"", flags)
}

/// Binds `source` (with the mounts below it) onto `target`. The descriptor is the new mount's root, where the kernel has the calls that give one.
pub fn bind(procfs: BorrowedFd<'_>, source: BorrowedFd<'_>, target: BorrowedFd<'_>, is_recursive: bool) -> Result<Option<OwnedFd>, Errno> {
    match bind_tree(source, is_recursive).and_then(|tree| mount_tree(tree.as_fd(), target).map(|()| tree)) {
        Err(Errno::NOSYS) => {}
        tree => return tree.map(Some),
    }
    mount_by_procfs(procfs, Some(source), target, c::MS_BIND | if is_recursive { c::MS_REC } else { 0 })?;
    Ok(None)
}

/// mount_setattr(2) on the mount whose root is `mount`; `propagation` is 0 or one of MS_SHARED, MS_SLAVE, MS_PRIVATE, MS_UNBINDABLE.
/// Errors: ENOSYS before Linux 5.12, EPERM for locked flags in a user namespace.
pub fn change_attributes(mount: BorrowedFd<'_>, attributes: Attributes, propagation: u32, is_recursive: bool) -> Result<(), Errno> {
    let attributes =
        c::mount_attr { attr_set: attributes.set, attr_clr: attributes.clear, propagation: u64::from(propagation), userns_fd: 0 };
    let flags = c::AT_EMPTY_PATH | if is_recursive { c::AT_RECURSIVE } else { 0 };
    let arguments = [
        mount.as_raw_fd() as usize,
        c"".as_ptr() as usize,
        flags as usize,
        (&raw const attributes) as usize,
        size_of::<c::mount_attr>(),
        0,
    ];
    // SAFETY: the path is NUL-ended, the struct is of the size said, both outlive the call.
    unsafe { raw::call(c::__NR_mount_setattr, arguments) }.map(|_| ())
}

/// `self/fd/N`, to be resolved in a trusted procfs.
fn fd_path(fd: BorrowedFd<'_>) -> heapless::String<24> {
    let mut path = heapless::String::new();
    let _ = write!(path, "self/fd/{}\0", fd.as_raw_fd()); // 8 + 10 digits + NUL always fit
    path
}

fn as_c_str(path: &heapless::String<24>) -> &CStr {
    CStr::from_bytes_with_nul(path.as_bytes()).unwrap_or(c"")
}

/// mount(2) between descriptors, for what has no newer call: `source` (or nothing) onto `target`, both named in `procfs`.
pub fn mount_by_procfs(procfs: BorrowedFd<'_>, source: Option<BorrowedFd<'_>>, target: BorrowedFd<'_>, flags: u32) -> Result<(), Errno> {
    fchdir(procfs)?;
    let source = source.map(fd_path).unwrap_or_default();
    let source = if source.is_empty() { c"" } else { as_c_str(&source) };
    mount(source, as_c_str(&fd_path(target)), c"", flags, c"")
}

/// Takes away what is mounted at `path` as soon as nobody uses it, without following a link.
pub fn unmount_detached(path: &CStr) -> Result<(), Errno> {
    rustix::mount::unmount(path, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW)
}

/// Changes the attributes of an attached mount whose root is `mount`; by MS_REMOUNT before Linux 5.12, then with those kept that are not named.
pub fn remount(procfs: BorrowedFd<'_>, mount: BorrowedFd<'_>, attributes: Attributes) -> Result<(), Errno> {
    match change_attributes(mount, attributes, 0, false) {
        Err(Errno::NOSYS) => {}
        answer => return answer,
    }
    // The lowest four bits are the same as MS_* and as ST_*; of the times only those that a bind can carry are kept.
    const KEPT: u32 = c::MS_RDONLY | c::MS_NOSUID | c::MS_NODEV | c::MS_NOEXEC | c::MS_NOATIME | c::MS_NODIRATIME;
    let flags = rustix::fs::fstatfs(mount)?.f_flags as u32 & KEPT;
    let flags = (flags | attributes.set as u32 & 0xf) & !(attributes.clear as u32 & 0xf);
    mount_by_procfs(procfs, None, mount, c::MS_REMOUNT | c::MS_BIND | flags)
}

/// Which mount a file lies on; `None` before Linux 5.8.
pub fn mount_id(file: BorrowedFd<'_>) -> Option<u64> {
    use rustix::fs::{AtFlags, StatxFlags, statx};
    let status = statx(file, c"", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID).ok()?;
    (status.stx_mask & StatxFlags::MNT_ID.bits() != 0).then_some(status.stx_mnt_id)
}

/// The path of `file` as a trusted procfs tells it. Errors: ENAMETOOLONG.
pub fn path_of<'b>(procfs: BorrowedFd<'_>, file: BorrowedFd<'_>, buffer: &'b mut [u8; 4096]) -> Result<&'b [u8], Errno> {
    let mut path = [core::mem::MaybeUninit::uninit(); 4096];
    let (path, _) = rustix::fs::readlinkat_raw(procfs, as_c_str(&fd_path(file)), &mut path)?;
    let whole = buffer.get_mut(..path.len()).ok_or(Errno::NAMETOOLONG)?;
    whole.copy_from_slice(path);
    if whole.len() == 4096 { Err(Errno::NAMETOOLONG) } else { Ok(whole) }
}
