//! File systems in files: loop devices, and mounts that are attached nowhere yet and go when nobody holds them.

use core::ffi::CStr;

use linux_raw_sys::general as c;
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen};

use super::{AsFd, AsRawFd, BorrowedFd, Errno, OwnedFd, raw};

/// A new file system, mounted and not attached; an option without a value is a flag. Errors: ENOSYS before Linux 5.2, ENODEV where the
/// kernel does not know the file system.
pub fn new_mount(kind: &CStr, options: &[(&CStr, &CStr)], is_readonly: bool) -> Result<OwnedFd, Errno> {
    let context = fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC)?;
    if is_readonly {
        fsconfig_set_flag(context.as_fd(), c"ro")?;
    }
    for (key, value) in options {
        if value.is_empty() { fsconfig_set_flag(context.as_fd(), *key) } else { fsconfig_set_string(context.as_fd(), *key, *value) }?;
    }
    fsconfig_create(context.as_fd())?;
    let attributes = if is_readonly { MountAttrFlags::MOUNT_ATTR_RDONLY } else { MountAttrFlags::empty() };
    fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, attributes)
}

const LOOP_SET_FD: u32 = 0x4C00;
const LOOP_SET_STATUS64: u32 = 0x4C04;
const LOOP_CONFIGURE: u32 = 0x4C0A;
const LOOP_CTL_GET_FREE: u32 = 0x4C82;

const LO_FLAGS_READ_ONLY: u32 = 1;
const LO_FLAGS_AUTOCLEAR: u32 = 4;
const LO_FLAGS_DIRECT_IO: u32 = 16;

/// The number of a loop device that is free, as `control` (/dev/loop-control) says; it may be taken before we come.
pub fn free_loop(control: BorrowedFd<'_>) -> Result<u32, Errno> {
    // SAFETY: the request takes no argument.
    unsafe { ioctl(control, LOOP_CTL_GET_FREE, 0) }.map(|number| number as u32)
}

/// Lets a loop device stand for a file, read-only, until nobody has it open. Errors: EBUSY if it is taken.
pub fn set_loop(device: BorrowedFd<'_>, file: BorrowedFd<'_>) -> Result<(), Errno> {
    // struct loop_config: the file, the size of a block, and at word 2 a struct loop_info64, whose flags are its word 13.
    let mut config = [0u32; 76];
    config[0] = file.as_raw_fd() as u32;
    config[15] = LO_FLAGS_READ_ONLY | LO_FLAGS_AUTOCLEAR | LO_FLAGS_DIRECT_IO;
    // SAFETY: the request reads a struct loop_config, which has 304 bytes.
    match unsafe { ioctl(device, LOOP_CONFIGURE, config.as_ptr() as usize) } {
        Err(Errno::INVAL | Errno::NOTTY) => {}
        answer => return answer.map(|_| ()),
    }
    // Before Linux 5.8.
    // SAFETY: the request takes a descriptor.
    unsafe { ioctl(device, LOOP_SET_FD, file.as_raw_fd() as usize) }?;
    let mut info = [0u32; 58];
    info[13] = LO_FLAGS_READ_ONLY | LO_FLAGS_AUTOCLEAR;
    // SAFETY: the request reads a struct loop_info64, which has 232 bytes.
    unsafe { ioctl(device, LOOP_SET_STATUS64, info.as_ptr() as usize) }.map(|_| ())
}

/// # Safety
/// `argument` is what the request asks for.
unsafe fn ioctl(device: BorrowedFd<'_>, request: u32, argument: usize) -> Result<usize, Errno> {
    // SAFETY: the caller's promise.
    unsafe { raw::call(c::__NR_ioctl, [device.as_raw_fd() as usize, request as usize, argument, 0, 0, 0]) }
}
