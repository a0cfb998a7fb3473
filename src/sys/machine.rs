//! The machine itself: switching it off, its watchdog, its clock, its modules, its randomness.

use core::ffi::CStr;

use linux_raw_sys::general as c;
use linux_raw_sys::ioctl::{WDIOC_GETBOOTSTATUS, WDIOC_KEEPALIVE, WDIOC_SETTIMEOUT};

use super::{AsRawFd, BorrowedFd, Errno, raw};

/// How a machine is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
#[allow(missing_docs, reason = "each is the command of its name")]
pub enum Leave {
    Reboot = 1,
    PowerOff,
    Halt,
}

/// reboot(2): now, without sync. It returns only to say why not, or where it only ends our pid namespace.
pub fn leave(how: Leave) -> Errno {
    let command = match how {
        Leave::Reboot => c::LINUX_REBOOT_CMD_RESTART,
        Leave::PowerOff => c::LINUX_REBOOT_CMD_POWER_OFF,
        Leave::Halt => c::LINUX_REBOOT_CMD_HALT,
    };
    reboot(command).err().unwrap_or(Errno::INVAL)
}

/// Lets Ctrl-Alt-Del be a signal to process 1 instead of a reset.
pub fn catch_ctrl_alt_del() {
    let _ = reboot(c::LINUX_REBOOT_CMD_CAD_OFF); // EPERM: in a container it is not ours
}

fn reboot(command: u32) -> Result<(), Errno> {
    let arguments = [c::LINUX_REBOOT_MAGIC1 as usize, c::LINUX_REBOOT_MAGIC2 as usize, command as usize, 0, 0, 0];
    // SAFETY: no pointer is passed.
    unsafe { raw::call(c::__NR_reboot, arguments) }.map(|_| ())
}

fn ioctl(fd: BorrowedFd<'_>, request: u32, argument: usize) -> Result<(), Errno> {
    // SAFETY: the callers below pass a number, or the address of what the request reads or writes.
    unsafe { raw::call(c::__NR_ioctl, [fd.as_raw_fd() as usize, request as usize, argument, 0, 0, 0]) }.map(|_| ())
}

/// Sets a watchdog's time, in seconds, and returns what it really is.
pub fn set_watchdog(watchdog: BorrowedFd<'_>, seconds: i32) -> Result<i32, Errno> {
    let mut real = seconds;
    ioctl(watchdog, WDIOC_SETTIMEOUT, (&raw mut real) as usize)?;
    Ok(real)
}

/// Feeds it.
pub fn feed_watchdog(watchdog: BorrowedFd<'_>) {
    let _ = ioctl(watchdog, WDIOC_KEEPALIVE, 0); // the reset that follows a failure is what it is for
}

/// Whether the machine was last reset by it (WDIOF_CARDRESET).
pub fn was_reset_by_watchdog(watchdog: BorrowedFd<'_>) -> bool {
    const WDIOF_CARDRESET: i32 = 0x20;
    let mut status = 0i32;
    ioctl(watchdog, WDIOC_GETBOOTSTATUS, (&raw mut status) as usize).is_ok() && status & WDIOF_CARDRESET != 0
}

/// Makes bytes part of the kernel's randomness and counts them (random(4)).
pub fn add_entropy(random: BorrowedFd<'_>, bytes: &[u8; 512]) -> Result<(), Errno> {
    const RNDADDENTROPY: u32 = 0x4008_5203;
    let mut pool = [0u32; 2 + 128];
    (pool[0], pool[1]) = (512 * 8, 512);
    for (word, chunk) in pool[2..].iter_mut().zip(bytes.chunks_exact(4)) {
        *word = u32::from_ne_bytes([chunk[0], chunk[1], chunk[2], chunk[3]]);
    }
    ioctl(random, RNDADDENTROPY, pool.as_ptr() as usize)
}

/// clock_settime(2) of the wall clock.
pub fn set_clock(seconds: i64) -> Result<(), Errno> {
    #[cfg(target_pointer_width = "64")]
    use c::__NR_clock_settime as CLOCK_SETTIME;
    #[cfg(target_pointer_width = "32")]
    use c::__NR_clock_settime64 as CLOCK_SETTIME;
    let time = [seconds, 0];
    // SAFETY: the call reads two words of 64 bits, which outlive it.
    unsafe { raw::call(CLOCK_SETTIME, [c::CLOCK_REALTIME as usize, time.as_ptr() as usize, 0, 0, 0, 0]) }.map(|_| ())
}

/// finit_module(2). Errors: EEXIST if it is loaded already.
pub fn load_module(module: BorrowedFd<'_>, is_compressed: bool) -> Result<(), Errno> {
    const MODULE_INIT_COMPRESSED_FILE: usize = 4; // Linux 5.17
    let flags = if is_compressed { MODULE_INIT_COMPRESSED_FILE } else { 0 };
    // SAFETY: the parameters are the empty string, which outlives the call.
    unsafe { raw::call(c::__NR_finit_module, [module.as_raw_fd() as usize, c"".as_ptr() as usize, flags, 0, 0, 0]) }.map(|_| ())
}

/// umount2(2); detached if it is in use.
pub fn unmount(path: &CStr, is_detached: bool) -> Result<(), Errno> {
    use rustix::mount::UnmountFlags;
    rustix::mount::unmount(path, if is_detached { UnmountFlags::DETACH } else { UnmountFlags::empty() })
}
