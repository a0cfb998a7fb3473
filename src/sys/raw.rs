//! A system call by its number, through the C library's `syscall`, which knows every instruction set.

use core::ffi::{c_int, c_long};

use super::Errno;

mod extern_c {
    use core::ffi::{c_int, c_long};
    unsafe extern "C" {
        pub fn syscall(number: c_long, ...) -> c_long;
        pub safe fn __errno_location() -> *mut c_int;
    }
}

/// One system call.
///
/// # Safety
/// What the call of that number asks of its arguments.
#[allow(clippy::cast_lossless, reason = "a C long has 32 bits on some targets")]
pub unsafe fn call(number: u32, arguments: [usize; 6]) -> Result<usize, Errno> {
    let [a, b, c, d, e, f] = arguments;
    // SAFETY: six words are passed whatever the call takes; the kernel looks at those it knows; their meaning is the caller's promise.
    let answer = unsafe { extern_c::syscall(number as c_long, a, b, c, d, e, f) };
    if answer == -1 { Err(last_errno()) } else { Ok(answer as usize) }
}

/// The answer of a newer call that has a substitute just as strict. An outer sandbox that does not know a call answers EPERM (Docker before 20.10),
/// a kernel ENOSYS: both are ENOSYS here. Where rights are missing indeed, the substitute says so.
pub fn or_absent<T>(answer: Result<T, Errno>) -> Result<T, Errno> {
    answer.map_err(|errno| if errno == Errno::PERM { Errno::NOSYS } else { errno })
}

fn last_errno() -> Errno {
    let errno: *mut c_int = extern_c::__errno_location();
    // SAFETY: the C library returns a valid pointer to this thread's errno.
    Errno::from_raw_os_error(unsafe { *errno })
}
