//! Waiting for many descriptors at once (epoll(7)), and a table's own numbers of descriptors.

use core::mem::MaybeUninit;

use rustix::event::{Timespec, epoll};

use super::{AsFd, AsRawFd, BorrowedFd, Errno, FromRawFd, OwnedFd};

/// A place for a descriptor in a table that outlives every borrow: it is closed by hand, or handed on by execve.
#[derive(Debug)]
pub struct Place(i32);

impl Place {
    /// Nothing.
    pub const EMPTY: Place = Place(-1);

    /// The place of a descriptor that was handed on by execve under this number, if there is one. What was opened since is closed by the
    /// next execve, and is none; nor is one that has its place already.
    pub fn inherited(number: u32) -> Place {
        if super::is_handed_on(number) && super::close_on_exec_number(number).is_ok() { Place(number as i32) } else { Place::EMPTY }
    }

    /// Takes it over, and closes what was there.
    pub fn put(&mut self, fd: OwnedFd) {
        self.close();
        self.0 = fd.as_raw_fd();
        core::mem::forget(fd); // it is closed by `close`, or never
    }

    /// What is there.
    pub fn get(&self) -> Option<BorrowedFd<'_>> {
        // SAFETY: only `put` and `inherited` fill the place, with open descriptors, and only `close` closes them.
        (self.0 >= 0).then(|| unsafe { BorrowedFd::borrow_raw(self.0) })
    }

    /// Its number, for whoever inherits it; `u32::MAX` for none.
    pub fn number(&self) -> u32 {
        self.0 as u32
    }

    /// Closes it.
    pub fn close(&mut self) {
        if self.0 >= 0 {
            // SAFETY: the place owns it, and forgets it here.
            drop(unsafe { OwnedFd::from_raw_fd(self.0) });
        }
        self.0 = -1;
    }
}

/// Descriptors to wait for, each under a number of the caller's.
pub struct Events(OwnedFd);

impl Events {
    /// None yet.
    pub fn new() -> Result<Events, Errno> {
        epoll::create(epoll::CreateFlags::CLOEXEC).map(Events)
    }

    /// Its own number.
    pub fn number(&self) -> u32 {
        self.0.as_raw_fd() as u32
    }

    /// Waits for `fd` to be readable from now on. It is left out by itself once it is closed.
    pub fn add(&self, fd: BorrowedFd<'_>, token: u64) -> Result<(), Errno> {
        epoll::add(&self.0, fd, epoll::EventData::new_u64(token), epoll::EventFlags::IN)
    }

    /// Waits no longer for `fd`.
    pub fn remove(&self, fd: BorrowedFd<'_>) {
        let _ = epoll::delete(&self.0, fd); // ENOENT: it was not waited for
    }

    /// Waits at most so many milliseconds, and calls `visit` with the numbers of those that are ready.
    pub fn wait(&self, milliseconds: u64, visit: &mut dyn FnMut(u64)) {
        const MOST: usize = 16; // those left over are ready the next time too
        let mut room = [MaybeUninit::<epoll::Event>::uninit(); MOST];
        let timeout = Timespec { tv_sec: (milliseconds / 1000) as i64, tv_nsec: (milliseconds % 1000 * 1_000_000) as _ };
        if let Ok((ready, _)) = epoll::wait(&self.0, &mut room, Some(&timeout)) {
            ready.iter().for_each(|event| visit(event.data.u64()));
        }
    }
}

/// A pipe whose reading end does not block; both are closed by execve.
pub fn pipe() -> Result<(OwnedFd, OwnedFd), Errno> {
    let (reader, writer) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
    set_nonblocking(reader.as_fd())?;
    Ok((reader, writer))
}

/// From now on it says EAGAIN instead of waiting.
pub fn set_nonblocking(fd: BorrowedFd<'_>) -> Result<(), Errno> {
    let flags = rustix::fs::fcntl_getfl(fd)?;
    rustix::fs::fcntl_setfl(fd, flags | rustix::fs::OFlags::NONBLOCK)
}

/// Makes `fd` available under this number, and leaves it open over execve. For processes that use no other owner of that number.
pub fn copy_to_number(fd: BorrowedFd<'_>, number: u32) -> Result<(), Errno> {
    if fd.as_raw_fd() as u32 == number {
        return rustix::io::fcntl_setfd(fd, rustix::io::FdFlags::empty());
    }
    // SAFETY: no pointer is passed; who owned the number is the caller's concern.
    unsafe { super::raw::call(linux_raw_sys::general::__NR_dup3, [fd.as_raw_fd() as usize, number as usize, 0, 0, 0, 0]) }.map(|_| ())
}
