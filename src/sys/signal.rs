//! Signals as messages: all blocked, read from a signalfd.

use linux_raw_sys::general as c;

use super::{AsRawFd, BorrowedFd, Errno, FromRawFd, OwnedFd, raw};

/// A set of signals: bit n-1 is signal n.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(transparent)]
pub struct Signals(pub u64);

impl Signals {
    /// Every signal.
    pub const ALL: Signals = Signals(u64::MAX);
}

const BYTES: usize = size_of::<Signals>();

/// Blocks every signal and returns the set that was blocked before.
pub fn block_all() -> Signals {
    let mut before = Signals::default();
    set_mask(Signals::ALL, &mut before);
    before
}

/// Makes `blocked` the set of blocked signals again.
pub fn set_blocked(blocked: Signals) {
    set_mask(blocked, &mut Signals::default());
}

fn set_mask(blocked: Signals, before: &mut Signals) {
    let arguments = [c::SIG_SETMASK as usize, (&raw const blocked) as usize, (&raw mut *before) as usize, BYTES, 0, 0];
    // SAFETY: both sets are as long as said and outlive the call.
    let _ = unsafe { raw::call(c::__NR_rt_sigprocmask, arguments) }; // it fails only on bad pointers
}

/// Drops the SIGPIPE that a write to a closed pipe has left pending, while it is blocked: whoever unblocks it would die of it.
pub fn discard_sigpipe() {
    let (only, now) = (Signals(1 << (c::SIGPIPE - 1)), [0u64; 2]);
    let arguments = [(&raw const only) as usize, 0, (&raw const now) as usize, BYTES, 0, 0];
    // SAFETY: the set is as long as said, the time is zero in whatever width the kernel reads, and both outlive the call.
    let _ = unsafe { raw::call(c::__NR_rt_sigtimedwait, arguments) }; // EAGAIN: there was none
}

/// A descriptor from which blocked signals are read, by [`take`]. Closed by execve, does not block.
pub fn signal_fd(signals: Signals) -> Result<OwnedFd, Errno> {
    let flags = c::O_CLOEXEC | c::O_NONBLOCK; // SFD_CLOEXEC and SFD_NONBLOCK are these by definition
    // SAFETY: the set is as long as said and outlives the call.
    let fd = unsafe { raw::call(c::__NR_signalfd4, [usize::MAX, (&raw const signals) as usize, BYTES, flags as usize, 0, 0]) }?;
    // SAFETY: the kernel has just made it, and nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// The next signal's number, if one is waiting.
pub fn take(signal_fd: BorrowedFd<'_>) -> Option<i32> {
    const SIGINFO_BYTES: usize = 128; // struct signalfd_siginfo, signalfd(2)
    let mut info = [0u32; SIGINFO_BYTES / 4];
    // SAFETY: the kernel writes at most that many bytes into the array.
    let len = unsafe { raw::call(c::__NR_read, [signal_fd.as_raw_fd() as usize, info.as_mut_ptr() as usize, SIGINFO_BYTES, 0, 0, 0]) };
    (len == Ok(SIGINFO_BYTES)).then_some(info[0] as i32)
}
