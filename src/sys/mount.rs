//! Mounting onto descriptors, never onto path strings: by the mount API of Linux 5.2 where it is, by mount(2) where not.
//!
//! Without the newer calls a descriptor is named as `self/fd/N` under a procfs that the caller trusts.

use core::ffi::CStr;
use core::fmt::Write;

use linux_raw_sys::general as c;
use rustix::mount::{FsOpenFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags};
use rustix::mount::{fsconfig_create, fsconfig_set_flag, fsconfig_set_string, fsopen, move_mount, open_tree};
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

/// Why the kernel refuses a new file system, in its own words: what fsopen(2) keeps for its caller, mount(2) says to the kernel's log at most.
/// Nothing before Linux 5.2, and where the file system has no words for it.
#[cold]
pub fn why_refused<'b>(source: &CStr, kind: &CStr, flags: u32, data: &CStr, words: &'b mut [u8]) -> Result<&'b [u8], Errno> {
    let context = fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC)?;
    if set_up(&context, source, flags, data).is_err() {
        loop {
            // One message a read, the first letter its weight; ENODATA when all were read.
            let length = rustix::io::read(&context, &mut *words)?;
            if let Some([b'e', b' ', ..]) = words.get(..length) {
                return Ok(words.get(2..length).unwrap_or_default().trim_ascii_end());
            }
        }
    }
    Ok(b"")
}

fn set_up(context: &OwnedFd, source: &CStr, flags: u32, data: &CStr) -> Result<(), Errno> {
    if !source.is_empty() {
        fsconfig_set_string(context, c"source", source)?;
    }
    if flags & c::MS_RDONLY != 0 {
        fsconfig_set_flag(context, c"ro")?;
    }
    let mut is_quoted = false;
    let options = data.to_bytes().split(|byte| {
        is_quoted ^= *byte == b'"';
        *byte == b',' && !is_quoted
    });
    // A label, which is quoted, is the security module's: it has no words of the file system's.
    for option in options.filter(|option| !option.is_empty() && !option.contains(&b'"')) {
        let mut text = heapless::Vec::<u8, 512>::new();
        text.extend_from_slice(option).and_then(|()| text.push(0).map_err(|_| Default::default())).map_err(|_| Errno::NAMETOOLONG)?;
        let equals = option.iter().position(|byte| *byte == b'=');
        if let Some(byte) = equals.and_then(|place| text.get_mut(place)) {
            *byte = 0;
        }
        let of = |from: usize| text.get(from..).and_then(|rest| CStr::from_bytes_until_nul(rest).ok()).unwrap_or(c"");
        match equals {
            Some(place) => fsconfig_set_string(context, of(0), of(place + 1)),
            None => fsconfig_set_flag(context, of(0)),
        }?;
    }
    fsconfig_create(context)
}

/// The same of what `path` leads to.
pub fn clone_tree(path: &CStr, is_recursive: bool) -> Result<OwnedFd, Errno> {
    let mut flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    flags.set(OpenTreeFlags::AT_RECURSIVE, is_recursive);
    raw::or_absent(open_tree(rustix::fs::CWD, path, flags))
}

/// Mounts what `path` leads to, with the mounts below it, onto itself; its last component is not followed. Errors: ENOSYS before Linux 5.2.
pub fn bind_onto_itself(path: &CStr) -> Result<OwnedFd, Errno> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_RECURSIVE;
    let tree = open_tree(rustix::fs::CWD, path, flags | OpenTreeFlags::AT_SYMLINK_NOFOLLOW);
    raw::or_absent(tree.and_then(|tree| {
        move_mount(&tree, c"", rustix::fs::CWD, path, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?;
        Ok(tree)
    }))
}

/// A detached copy of the mount at `source` (with those below it). Errors: ENOSYS before Linux 5.2, EINVAL if it is unbindable.
pub fn bind_tree(source: BorrowedFd<'_>, is_recursive: bool) -> Result<OwnedFd, Errno> {
    let mut flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_EMPTY_PATH;
    flags.set(OpenTreeFlags::AT_RECURSIVE, is_recursive);
    raw::or_absent(open_tree(source, c"", flags))
}

/// Attaches the detached `tree` to `target`.
pub fn mount_tree(tree: BorrowedFd<'_>, target: BorrowedFd<'_>) -> Result<(), Errno> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    raw::or_absent(move_mount(tree, c"", target, c"", flags))
}

/// Binds `source` (with the mounts below it) onto `target`. The descriptor is the new mount's root, where the kernel has the calls that give one.
pub fn bind(procfs: BorrowedFd<'_>, source: BorrowedFd<'_>, target: BorrowedFd<'_>, is_recursive: bool) -> Result<Option<OwnedFd>, Errno> {
    match bind_tree(source, is_recursive).and_then(|tree| mount_tree(tree.as_fd(), target).map(|()| tree)) {
        Err(Errno::NOSYS) => {}
        tree => return tree.map(Some),
    }
    mount_by_procfs(procfs, Some(source), target, c::MS_BIND | if is_recursive { c::MS_REC } else { 0 }, c"")?;
    Ok(None)
}

/// mount_setattr(2) on the mount whose root is `mount`; `propagation` is 0 or one of MS_SHARED, MS_SLAVE, MS_PRIVATE, MS_UNBINDABLE.
/// Errors: ENOSYS before Linux 5.12, EPERM for locked flags in a user namespace.
pub fn change_attributes(mount: BorrowedFd<'_>, attributes: Attributes, propagation: u32, is_recursive: bool) -> Result<(), Errno> {
    let attributes =
        c::mount_attr { attr_set: attributes.set, attr_clr: attributes.clear, propagation: u64::from(propagation), userns_fd: 0 };
    set_attributes(mount, &attributes, is_recursive)
}

/// Changes the propagation of an attached mount whose root is `mount`: MS_SHARED and the like, with MS_REC or not.
pub fn set_propagation(procfs: BorrowedFd<'_>, mount: BorrowedFd<'_>, flags: u32) -> Result<(), Errno> {
    match change_attributes(mount, Attributes::NONE, flags & !c::MS_REC, flags & c::MS_REC != 0) {
        Err(Errno::NOSYS | Errno::PERM) => mount_by_procfs(procfs, None, mount, flags, c""),
        answer => answer,
    }
}

/// Gives a detached mount owners as `user_namespace` maps them. Errors: EINVAL where the file system cannot, EPERM where it has been done.
pub fn map_owners(mount: BorrowedFd<'_>, user_namespace: BorrowedFd<'_>, is_recursive: bool) -> Result<(), Errno> {
    let userns_fd = user_namespace.as_raw_fd() as u64;
    let attributes = c::mount_attr { attr_set: u64::from(c::MOUNT_ATTR_IDMAP), attr_clr: 0, propagation: 0, userns_fd };
    set_attributes(mount, &attributes, is_recursive)
}

fn set_attributes(mount: BorrowedFd<'_>, attributes: &c::mount_attr, is_recursive: bool) -> Result<(), Errno> {
    let flags = c::AT_EMPTY_PATH | if is_recursive { c::AT_RECURSIVE } else { 0 };
    let arguments = [
        mount.as_raw_fd() as usize,
        c"".as_ptr() as usize,
        flags as usize,
        core::ptr::from_ref(attributes) as usize,
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
pub fn mount_by_procfs(
    procfs: BorrowedFd<'_>,
    source: Option<BorrowedFd<'_>>,
    target: BorrowedFd<'_>,
    flags: u32,
    data: &CStr,
) -> Result<(), Errno> {
    fchdir(procfs)?;
    let source = source.map(fd_path).unwrap_or_default();
    let source = if source.is_empty() { c"" } else { as_c_str(&source) };
    mount(source, as_c_str(&fd_path(target)), c"", flags, data)
}

/// Takes away what is mounted at `path` as soon as nobody uses it, without following a link.
pub fn unmount_detached(path: &CStr) -> Result<(), Errno> {
    rustix::mount::unmount(path, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW)
}

/// Takes away the mount whose root is `mount`, named in `procfs`, and those below it. Errors: EINVAL if it is no mount's root.
pub fn unmount_tree(procfs: BorrowedFd<'_>, mount: BorrowedFd<'_>) -> Result<(), Errno> {
    fchdir(procfs)?;
    rustix::mount::unmount(as_c_str(&fd_path(mount)), UnmountFlags::DETACH)
}

/// Changes the attributes of an attached mount whose root is `mount`; by MS_REMOUNT before Linux 5.12, then with those kept that are not named.
pub fn remount(procfs: BorrowedFd<'_>, mount: BorrowedFd<'_>, attributes: Attributes) -> Result<(), Errno> {
    match change_attributes(mount, attributes, 0, false) {
        Err(Errno::NOSYS | Errno::PERM) => {}
        answer => return answer,
    }
    // The lowest four bits are the same as MS_* and as ST_*; the times are kept where none of their flags is named (mount(2)).
    const FLAGS: u32 = c::MS_RDONLY | c::MS_NOSUID | c::MS_NODEV | c::MS_NOEXEC;
    const ST_NOSYMFOLLOW: u32 = 0x2000;
    let status = rustix::fs::fstatfs(mount)?.f_flags as u32;
    let (set, clear) = (attributes.set as u32, attributes.clear as u32);
    let mut flags = (status & FLAGS | set & FLAGS) & !(clear & !set & FLAGS);
    if status & ST_NOSYMFOLLOW & !(clear >> 8) != 0 || set & c::MOUNT_ATTR_NOSYMFOLLOW != 0 {
        flags |= c::MS_NOSYMFOLLOW;
    }
    if clear & c::MOUNT_ATTR__ATIME != 0 {
        flags |= match set & c::MOUNT_ATTR__ATIME {
            c::MOUNT_ATTR_NOATIME => c::MS_NOATIME,
            c::MOUNT_ATTR_STRICTATIME => c::MS_STRICTATIME,
            _ => c::MS_RELATIME,
        };
        flags |= if set & c::MOUNT_ATTR_NODIRATIME == 0 { 0 } else { c::MS_NODIRATIME };
    }
    mount_by_procfs(procfs, None, mount, c::MS_REMOUNT | c::MS_BIND | flags, c"")
}

/// What an open file is, and where.
#[derive(Clone, Copy, Debug)]
pub struct About {
    /// Its type and permissions, as stat(2) has them.
    pub mode: u32,
    /// Which mount it lies on; `None` before Linux 5.8.
    pub mount_id: Option<u64>,
    /// Whether it is that mount's root; `None` before Linux 5.8.
    pub is_mount_root: Option<bool>,
}

impl About {
    /// Its type.
    pub fn kind(self) -> rustix::fs::FileType {
        rustix::fs::FileType::from_raw_mode(self.mode)
    }
}

/// Looks at an open file.
pub fn about(file: BorrowedFd<'_>) -> Result<About, Errno> {
    use rustix::fs::{AtFlags, StatxAttributes, StatxFlags, fstat, statx};
    match statx(file, c"", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID | StatxFlags::TYPE | StatxFlags::MODE) {
        Err(Errno::NOSYS | Errno::PERM) => Ok(About { mode: fstat(file)?.st_mode, mount_id: None, is_mount_root: None }),
        answer => answer.map(|status| About {
            mode: status.stx_mode.into(),
            is_mount_root: status
                .stx_attributes_mask
                .contains(StatxAttributes::MOUNT_ROOT)
                .then(|| status.stx_attributes.contains(StatxAttributes::MOUNT_ROOT)),
            mount_id: (status.stx_mask & StatxFlags::MNT_ID.bits() != 0).then_some(status.stx_mnt_id),
        }),
    }
}

/// Gives a file an SELinux context. Errors: EOPNOTSUPP where SELinux is off.
pub fn set_label(procfs: BorrowedFd<'_>, file: BorrowedFd<'_>, label: &CStr) -> Result<(), Errno> {
    fchdir(procfs)?;
    rustix::fs::setxattr(as_c_str(&fd_path(file)), c"security.selinux", label.to_bytes(), rustix::fs::XattrFlags::empty())
}

/// The path of `file` as a trusted procfs tells it. Errors: ENAMETOOLONG.
pub fn path_of<'b>(procfs: BorrowedFd<'_>, file: BorrowedFd<'_>, buffer: &'b mut [u8; 4096]) -> Result<&'b [u8], Errno> {
    let mut path = [core::mem::MaybeUninit::uninit(); 4096];
    let (path, _) = rustix::fs::readlinkat_raw(procfs, as_c_str(&fd_path(file)), &mut path)?;
    let whole = buffer.get_mut(..path.len()).ok_or(Errno::NAMETOOLONG)?;
    whole.copy_from_slice(path);
    if whole.len() == 4096 { Err(Errno::NAMETOOLONG) } else { Ok(whole) }
}
