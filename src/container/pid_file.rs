//! The pid file: decimal, without a newline, complete whenever it is there.

use core::ffi::CStr;
use core::fmt::Write;

use crate::error::{Doing, Result};
use crate::mem::Arena;
use crate::sys::{Errno, fs};

/// Writes `pid` to `.NAME` beside `path`, then renames it.
pub fn write<'a>(path: &'a CStr, pid: u32, arena: &Arena<'a>) -> Result<'a, ()> {
    let bytes = path.to_bytes();
    let name = bytes.iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1);
    let beside = arena.c_str(&[&bytes[..name], b".", &bytes[name..]])?;
    let mut text = heapless::String::<12>::new();
    let _ = write!(text, "{pid}"); // ten digits at the most
    let flags = fs::OFlags::WRONLY | fs::OFlags::CREATE | fs::OFlags::EXCL | fs::OFlags::CLOEXEC;
    let written = fs::openat(fs::CWD, beside, flags, fs::Mode::from_raw_mode(0o666))
        .and_then(|file| fs::write(&file, text.as_bytes()))
        .and_then(|len| if len == text.len() { Ok(()) } else { Err(Errno::IO) })
        .and_then(|()| fs::renameat(fs::CWD, beside, fs::CWD, path));
    if written.is_err() {
        let _ = fs::unlinkat(fs::CWD, beside, fs::AtFlags::empty()); // it may not be there; the first error is told
    }
    written.doing_at("write the pid file", path)
}
