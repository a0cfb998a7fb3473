//! Memory from the kernel, as large as an arena may ever become; pages that are never touched cost nothing.

use core::ffi::c_void;

use linux_raw_sys::general::{MAP_ANONYMOUS, MAP_NORESERVE, MAP_PRIVATE, MAP_STACK, PROT_READ, PROT_WRITE};
use rustix::mm::{Advice, madvise};

use super::{BorrowedFd, Errno, raw};

// 32-bit kernels take the offset in pages, under another name; ours is always 0.
#[cfg(target_pointer_width = "64")]
pub(super) use linux_raw_sys::general::__NR_mmap as MMAP;
#[cfg(target_pointer_width = "32")]
pub(super) use linux_raw_sys::general::__NR_mmap2 as MMAP;

/// `bytes` of zeroed memory that is never given back. Errors: ENOMEM, EINVAL for 0 bytes.
pub fn map_anonymous(bytes: usize) -> Result<&'static mut [u8], Errno> {
    // MAP_STACK keeps huge pages away since Linux 6.7: one would be 2 MB for the little that is touched.
    let flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK;
    // SAFETY: a new anonymous mapping touches nothing that exists.
    let at = unsafe { raw::call(MMAP, [0, bytes, (PROT_READ | PROT_WRITE) as usize, flags as usize, usize::MAX, 0]) }?;
    // SAFETY: the kernel just made `bytes` zero bytes there, page-aligned, ours alone, and nothing ever unmaps them.
    Ok(unsafe { core::slice::from_raw_parts_mut(at as *mut u8, bytes) })
}

/// Calls `work` with `bytes` of zeroed memory, which is given back afterwards. Errors: ENOMEM, or what `work` returned.
pub fn with_memory<T>(bytes: usize, work: impl FnOnce(&mut [u8]) -> Result<T, Errno>) -> Result<T, Errno> {
    let room = map_anonymous(bytes)?;
    let at = room.as_mut_ptr() as usize;
    let made = work(room);
    // SAFETY: `work` could borrow the mapping only for its own time, and nobody else knows of it.
    let _ = unsafe { raw::call(linux_raw_sys::general::__NR_munmap, [at, bytes, 0, 0, 0, 0]) }; // it fails only on bad addresses
    made
}

/// The same for words.
pub fn with_words<T>(words: usize, work: impl FnOnce(&mut [u32]) -> Result<T, Errno>) -> Result<T, Errno> {
    with_memory(words * 4, |room| {
        // SAFETY: the mapping is page-aligned and that many words long, and any bytes are words.
        work(unsafe { core::slice::from_raw_parts_mut(room.as_mut_ptr().cast::<u32>(), words) })
    })
}

mod extern_c {
    unsafe extern "C" {
        // The linker's names for where the program begins and where its code ends.
        pub static __executable_start: u8;
        pub static etext: u8;
    }
}

const PAGE: usize = 4096;

/// Reads one byte, however long it takes to come, with next to nothing in memory meanwhile: neither code nor constants nor dead stack.
///
/// It lies alone in its block of the program (cross/order.ld) and calls nothing, so that it does not bring back what it gave away.
#[inline(never)]
#[unsafe(link_section = ".text.waiting")]
pub fn read_at_rest(from: BorrowedFd<'_>, byte: &mut [u8; 1]) -> Result<usize, Errno> {
    forget_stack();
    forget_code();
    rustix::io::read(from, byte)
}

/// Gives back the stack below the caller's, which deeper calls have left behind.
#[inline(always)]
pub fn forget_stack() {
    const KEPT: usize = 2 * PAGE; // for this call itself
    const REACH: usize = 256 << 10; // the kernel maps nothing else within 1 MiB below a stack (stack_guard_gap)
    let local = 0u8;
    let end = ((&raw const local) as usize - KEPT) & !(PAGE - 1);
    // SAFETY: what lies below the stack pointer is nobody's; the system call and its wrapper need less than what is kept.
    let _ = unsafe { madvise((end - REACH) as *mut c_void, REACH, Advice::LinuxDontNeed) }; // ENOMEM: the stack is shorter
}

/// Gives back the pages of our own code; those that are still needed come again one by one.
#[inline(always)]
pub fn forget_code() {
    let start = (&raw const extern_c::__executable_start) as usize;
    let end = ((&raw const extern_c::etext) as usize).next_multiple_of(PAGE);
    // SAFETY: the pages are a private mapping of a file that nobody writes to: what is read again is the same.
    let _ = unsafe { madvise(start as *mut c_void, end - start, Advice::LinuxDontNeed) }; // then it costs what it costs
}
