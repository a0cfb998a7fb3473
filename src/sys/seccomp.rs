//! Filters of system calls (seccomp(2)): loading them, nothing about what they say.

use linux_raw_sys::general::__NR_seccomp;

use super::{Errno, FromRawFd, OwnedFd, raw};

const SECCOMP_SET_MODE_FILTER: usize = 1;
const SECCOMP_FILTER_FLAG_NEW_LISTENER: u32 = 8;
const SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV: u32 = 32;

/// `struct sock_fprog`.
#[repr(C)]
struct Program {
    instructions: u16,
    at: *const u64,
}

/// Puts a filter on the calling thread, for good; each word is one instruction (`struct sock_filter`). With the flag for it, returns the
/// listener's descriptor. Errors: EACCES without CAP_SYS_ADMIN or no_new_privs, EINVAL for a flag that the kernel does not know and for
/// a program that is none, ENOSYS without CONFIG_SECCOMP_FILTER.
pub fn load_filter(instructions: &[u64], flags: u32) -> Result<Option<OwnedFd>, Errno> {
    let length = u16::try_from(instructions.len()).map_err(|_| Errno::TOOBIG)?;
    let program = Program { instructions: length, at: instructions.as_ptr() };
    let arguments = [SECCOMP_SET_MODE_FILTER, flags as usize, (&raw const program) as usize, 0, 0, 0];
    // SAFETY: the struct is what the operation reads; it and the instructions, as many as it says, outlive the call.
    let fd = unsafe { raw::call(__NR_seccomp, arguments) }?;
    if flags & SECCOMP_FILTER_FLAG_NEW_LISTENER == 0 {
        return Ok(None);
    }
    // SAFETY: the kernel has just made it, and nobody else owns it.
    Ok(Some(unsafe { OwnedFd::from_raw_fd(fd as i32) }))
}

/// Whether the kernel knows a flag of filters: one that it does not know is refused before the program is looked at.
pub fn knows_filter_flag(flag: u32) -> bool {
    let flag = if flag == SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV { flag | SECCOMP_FILTER_FLAG_NEW_LISTENER } else { flag };
    // SAFETY: the program is NULL, which the kernel answers with EFAULT.
    let answer = unsafe { raw::call(__NR_seccomp, [SECCOMP_SET_MODE_FILTER, flag as usize, 0, 0, 0, 0]) };
    answer == Err(Errno::FAULT)
}
