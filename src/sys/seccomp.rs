//! Filters of system calls (seccomp(2)): loading and listening to them, nothing about what they say.

use linux_raw_sys::general::{__NR_ioctl, __NR_seccomp};

use super::{AsRawFd, BorrowedFd, Errno, FromRawFd, OwnedFd, raw};

const SECCOMP_SET_MODE_FILTER: usize = 1;
const SECCOMP_FILTER_FLAG_NEW_LISTENER: u32 = 8;
const SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV: u32 = 32;
const SECCOMP_USER_NOTIF_FLAG_CONTINUE: u32 = 1;

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

/// `struct seccomp_notif`, and what a kernel to come may append to it.
#[repr(C)]
#[derive(Default)]
struct Notification {
    id: u64,
    pid: u32,
    flags: u32,
    number: u32,
    audit: u32,
    rest: [u64; 16],
}

/// `struct seccomp_notif_resp`.
#[repr(C)]
struct Response {
    id: u64,
    value: i64,
    error: i32,
    flags: u32,
}

/// Takes the next call that waits at a listener, and lets it pass: its AUDIT_ARCH_* and its number. Errors: ENOENT where it does not wait
/// any more, EINVAL before Linux 5.5.
pub fn let_call_pass(listener: BorrowedFd<'_>) -> Result<(u32, u32), Errno> {
    const SECCOMP_IOCTL_NOTIF_RECV: usize = 0xc050_2100;
    const SECCOMP_IOCTL_NOTIF_SEND: usize = 0xc018_2101;
    let mut call = Notification::default();
    let listener = listener.as_raw_fd() as usize;
    // SAFETY: the kernel writes as many bytes as the request's number says, 80, to what is ours and has more.
    unsafe { raw::call(__NR_ioctl, [listener, SECCOMP_IOCTL_NOTIF_RECV, (&raw mut call) as usize, 0, 0, 0]) }?;
    let answer = Response { id: call.id, value: 0, error: 0, flags: SECCOMP_USER_NOTIF_FLAG_CONTINUE };
    // SAFETY: the kernel reads as many bytes as the request's number says, those of the struct.
    unsafe { raw::call(__NR_ioctl, [listener, SECCOMP_IOCTL_NOTIF_SEND, (&raw const answer) as usize, 0, 0, 0]) }?;
    Ok((call.audit, call.number))
}

/// Whether the kernel knows a flag of filters: one that it does not know is refused before the program is looked at.
pub fn knows_filter_flag(flag: u32) -> bool {
    let flag = if flag == SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV { flag | SECCOMP_FILTER_FLAG_NEW_LISTENER } else { flag };
    // SAFETY: the program is NULL, which the kernel answers with EFAULT.
    let answer = unsafe { raw::call(__NR_seccomp, [SECCOMP_SET_MODE_FILTER, flag as usize, 0, 0, 0, 0]) };
    answer == Err(Errno::FAULT)
}
