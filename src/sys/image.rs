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

/// The digest that the kernel guarantees for a file (fs-verity), if it is a SHA-256. Errors: ENODATA where it guarantees none, ENOTTY or
/// EOPNOTSUPP where it cannot.
pub fn measure_verity(file: BorrowedFd<'_>) -> Result<[u8; 32], Errno> {
    const FS_IOC_MEASURE_VERITY: u32 = 0xC004_6686;
    const SHA256: u16 = 1;
    // struct fsverity_digest: the algorithm, how many bytes there is room for and then are, and those.
    let mut answer = [0u16; 2 + 16];
    answer[1] = 32;
    // SAFETY: the request writes a struct fsverity_digest of no more bytes than it is told that there is room for.
    unsafe { ioctl(file, FS_IOC_MEASURE_VERITY, answer.as_mut_ptr() as usize) }?;
    if answer[..2] != [SHA256, 32] {
        return Err(Errno::OVERFLOW);
    }
    let mut digest = [0; 32];
    for (bytes, word) in digest.chunks_exact_mut(2).zip(&answer[2..]) {
        bytes.copy_from_slice(&word.to_ne_bytes());
    }
    Ok(digest)
}

/// What device-mapper is asked for: the numbers of its requests.
#[derive(Clone, Copy, Debug)]
#[repr(u32)]
pub enum DeviceMapper {
    /// Make a device.
    Create = 0xC138_FD03,
    /// Take it away, as soon as nobody has it open.
    Remove = 0xC138_FD04,
    /// Let it work with the table that was loaded.
    Resume = 0xC138_FD06,
    /// Give it a table.
    Load = 0xC138_FD09,
}

/// Asks device-mapper, whose descriptor is `control`, about the device `name`; a table is one line for so many sectors. Returns the device's
/// minor number.
pub fn map_device(
    control: BorrowedFd<'_>,
    request: DeviceMapper,
    name: &[u8],
    (kind, sectors, line): (&[u8], u64, &[u8]),
) -> Result<u32, Errno> {
    const BYTES: usize = 1024;
    const HEAD: usize = 312;
    const SPEC: usize = 40;
    const READONLY: u32 = 1;
    const DEFERRED_REMOVE: u32 = 1 << 17;
    // struct dm_ioctl and, for a table, struct dm_target_spec with its line behind it.
    let mut words = [0u64; BYTES / 8];
    let mut put = |at: usize, bytes: &[u8]| {
        for (index, byte) in bytes.iter().enumerate() {
            let (word, shift) = ((at + index) / 8, (at + index) % 8);
            let mut whole = words[word].to_ne_bytes();
            whole[shift] = *byte;
            words[word] = u64::from_ne_bytes(whole);
        }
    };
    if name.len() > 127 || HEAD + SPEC + line.len() >= BYTES {
        return Err(Errno::NAMETOOLONG);
    }
    let flags = READONLY | if matches!(request, DeviceMapper::Remove) { DEFERRED_REMOVE } else { 0 };
    put(0, &4u32.to_ne_bytes());
    put(12, &(BYTES as u32).to_ne_bytes());
    put(16, &(HEAD as u32).to_ne_bytes());
    put(20, &u32::from(!kind.is_empty()).to_ne_bytes());
    put(28, &flags.to_ne_bytes());
    put(48, name);
    put(HEAD + 8, &sectors.to_ne_bytes());
    put(HEAD + 24, kind);
    put(HEAD + SPEC, line);
    // SAFETY: the request reads and writes as many bytes as `data_size` says.
    unsafe { ioctl(control, request as u32, words.as_mut_ptr() as usize) }?;
    let device = words[5]; // as the kernel's huge_encode_dev has it
    Ok((device & 0xff | device >> 12 & 0xf_ff00) as u32)
}
