//! The few functions that we take from the C library which every target links anyway.

use core::ffi::{CStr, c_char, c_int};

use super::Errno;

mod extern_c {
    use core::ffi::{c_char, c_int, c_ulong};
    unsafe extern "C" {
        pub safe fn abort() -> !;
        pub safe fn strerror(errno: c_int) -> *const c_char;
        pub safe fn getauxval(kind: c_ulong) -> c_ulong;
    }
}

/// Ends the process by SIGABRT.
pub fn abort() -> ! {
    extern_c::abort()
}

/// The effective user and group that the program began with, as the kernel has told them with its arguments (getauxval(3)): no call is needed.
pub fn first_ids() -> (u32, u32) {
    const AT_EUID: u8 = 12;
    const AT_EGID: u8 = 14;
    (extern_c::getauxval(AT_EUID.into()) as u32, extern_c::getauxval(AT_EGID.into()) as u32)
}

/// The C library's sentence for `errno`, such as `No such file or directory`.
pub fn strerror(errno: Errno) -> &'static str {
    let text: *const c_char = extern_c::strerror(errno.raw_os_error() as c_int);
    // SAFETY: musl returns a pointer to a constant, NUL-ended string for every number.
    let text = unsafe { CStr::from_ptr(text) };
    text.to_str().unwrap_or("unknown error")
}
