//! The C entry point and the end by a panic; everything else is the library's.
#![cfg_attr(not(feature = "libseccomp"), no_std)]
#![no_main]
#![allow(unsafe_code, reason = "the C entry point and the panic handler are the language's boundary")]

use core::ffi::{c_char, c_int};

/// Named by the unwind tables of a prebuilt core, which only an unoptimised link keeps. Nothing here unwinds: a panic aborts.
#[cfg(all(debug_assertions, not(feature = "libseccomp")))]
#[unsafe(no_mangle)]
pub extern "C" fn rust_eh_personality() {}

/// Named by 32-bit ARM's unwind tables where core comes prebuilt with them.
#[cfg(all(target_arch = "arm", not(feature = "libseccomp")))]
#[unsafe(no_mangle)]
pub extern "C" fn __aeabi_unwind_cpp_pr0() {}

/// Called by the C library's start-up code.
///
/// # Safety
/// Only the C library may call it, with what the kernel gave to the process.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn main(argc: c_int, argv: *const *const c_char) -> c_int {
    // SAFETY: these are main's own arguments, as the C library passed them, and nobody has changed them.
    let arguments = unsafe { ocinit::sys::Arguments::of_main(argc, argv) };
    ocinit::cli::run(arguments)
}

/// With libseccomp std is there, and has its own.
#[cfg(not(feature = "libseccomp"))]
#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    ocinit::sys::abort()
}
