//! The three standard streams, which are there because [`ensure_streams`] saw to it.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags, open};

use super::{AsRawFd, BorrowedFd, Errno};

/// Opens /dev/null for each standard stream that the caller left closed; or the next file that is opened would become it.
///
/// Must: come before anything else is opened. Errors: /dev/null cannot be opened.
pub fn ensure_streams() -> Result<(), Errno> {
    // poll(2) says of each whether it is open, without waiting for anything.
    let mut polled = [0, 1, 2].map(|number| PollFd::from_borrowed_fd(stream(number), PollFlags::empty()));
    let are_open = poll(&mut polled, Some(&Timespec::default())).is_ok();
    if are_open && !polled.iter().any(|stream| stream.revents().contains(PollFlags::NVAL)) {
        return Ok(());
    }
    loop {
        let null = open(c"/dev/null", OFlags::RDWR, Mode::empty())?;
        if null.as_raw_fd() > 2 {
            return Ok(());
        }
        core::mem::forget(null); // it is a standard stream now, for as long as the process lives
    }
}

/// Standard input.
pub fn stdin() -> BorrowedFd<'static> {
    stream(0)
}

/// Standard output.
pub fn stdout() -> BorrowedFd<'static> {
    stream(1)
}

/// Standard error.
pub fn stderr() -> BorrowedFd<'static> {
    stream(2)
}

fn stream(number: i32) -> BorrowedFd<'static> {
    // SAFETY: `ensure_streams`, which only asks about them, has seen to it that 0 to 2 are open, and nobody closes them.
    unsafe { BorrowedFd::borrow_raw(number) }
}
