//! The few functions that we take from the C library which every target links anyway.

use core::ffi::{CStr, c_char, c_int};

use super::Errno;

mod extern_c {
    use core::ffi::{c_char, c_int};
    unsafe extern "C" {
        pub safe fn abort() -> !;
        pub safe fn strerror(errno: c_int) -> *const c_char;
    }
}

/// Ends the process by SIGABRT.
pub fn abort() -> ! {
    extern_c::abort()
}

/// The C library's sentence for `errno`, such as `No such file or directory`.
pub fn strerror(errno: Errno) -> &'static str {
    let text: *const c_char = extern_c::strerror(errno.raw_os_error() as c_int);
    // SAFETY: musl returns a pointer to a constant, NUL-ended string for every number.
    let text = unsafe { CStr::from_ptr(text) };
    text.to_str().unwrap_or("unknown error")
}
