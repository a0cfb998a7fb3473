//! A file in memory that one process writes and others read: words that they can wait for, and bytes behind them.

use linux_raw_sys::general::{__NR_futex, FUTEX_WAIT, FUTEX_WAKE, MAP_SHARED, PROT_READ, PROT_WRITE};

use super::memory::MMAP;
use super::{AsRawFd, BorrowedFd, Errno, raw};

/// Maps the file, which is that long: first the words, then the bytes. Only one process may.
pub fn map_shared(file: BorrowedFd<'_>, words: usize, bytes: usize) -> Result<(&'static mut [u32], &'static mut [u8]), Errno> {
    let len = words * 4 + bytes;
    let arguments = [0, len, (PROT_READ | PROT_WRITE) as usize, MAP_SHARED as usize, file.as_raw_fd() as usize, 0];
    // SAFETY: a new mapping touches nothing that exists.
    let at = unsafe { raw::call(MMAP, arguments) }?;
    // SAFETY: the kernel made `len` bytes there, page-aligned; the caller's lock sees to it that nobody else writes them.
    let head = unsafe { core::slice::from_raw_parts_mut(at as *mut u32, words) };
    // SAFETY: the bytes behind the words are no part of them.
    let tail = unsafe { core::slice::from_raw_parts_mut((at + words * 4) as *mut u8, bytes) };
    Ok((head, tail))
}

/// Wakes everybody who waits for this word of a shared mapping.
pub fn wake(word: &u32) {
    let arguments = [core::ptr::from_ref(word) as usize, FUTEX_WAKE as usize, i32::MAX as usize, 0, 0, 0];
    // SAFETY: the word is mapped; the kernel only takes its address.
    let _ = unsafe { raw::call(__NR_futex, arguments) }; // nobody waiting is no error
}

/// Waits at most so long until the first word of the file is no longer `seen`.
pub fn await_change(file: BorrowedFd<'_>, seen: u32, milliseconds: u64) -> Result<(), Errno> {
    const PAGE: usize = 4096;
    // SAFETY: a new mapping touches nothing that exists.
    let at = unsafe { raw::call(MMAP, [0, PAGE, PROT_READ as usize, MAP_SHARED as usize, file.as_raw_fd() as usize, 0]) }?;
    #[cfg(target_pointer_width = "64")]
    let timeout = [milliseconds / 1000, milliseconds % 1000 * 1_000_000];
    #[cfg(target_pointer_width = "32")]
    let timeout = [(milliseconds / 1000) as u32, (milliseconds % 1000 * 1_000_000) as u32];
    // SAFETY: the word is mapped until after the call, the time is a pair of the kernel's longs.
    let _ = unsafe { raw::call(__NR_futex, [at, FUTEX_WAIT as usize, seen as usize, timeout.as_ptr() as usize, 0, 0]) }; // awake is all we want
    // SAFETY: nobody borrows from the mapping.
    unsafe { raw::call(linux_raw_sys::general::__NR_munmap, [at, PAGE, 0, 0, 0, 0]) }.map(|_| ())
}

/// Reads words from the beginning of a file. Errors: EIO if there are fewer.
pub fn read_words(file: BorrowedFd<'_>, words: &mut [u32]) -> Result<(), Errno> {
    let len = words.len() * 4;
    // SAFETY: the words are that many bytes, and any bytes are words.
    let bytes = unsafe { core::slice::from_raw_parts_mut(words.as_mut_ptr().cast::<u8>(), len) };
    if rustix::io::pread(file, bytes, 0)? == len { Ok(()) } else { Err(Errno::IO) }
}
