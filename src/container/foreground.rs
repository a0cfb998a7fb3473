//! The runtime as the parent of a container in the foreground: signals go in, terminal bytes go both ways, the exit status comes out.
//!
//! Must: have every signal blocked before the container is made. Mustn't: leave the caller's terminal in raw mode.

use core::ffi::CStr;

use linux_raw_sys::general as c;

use super::notify::Proxy;
use super::trace::Tracer;
use crate::error::{Doing, Result};
use crate::sys::{self, AsFd, BorrowedFd, Errno, Exit, OwnedFd, fs, task};

// Numbers that differ between architectures.
const SIGCHLD: i32 = c::SIGCHLD as i32;
const SIGPIPE: i32 = c::SIGPIPE as i32;
const SIGWINCH: i32 = c::SIGWINCH as i32;
const SIGURG: i32 = c::SIGURG as i32;
const SIGKILL: i32 = c::SIGKILL as i32;
const SIGSTOP: i32 = c::SIGSTOP as i32;

/// The caller's terminal, raw as long as this lives.
pub struct RawTerminal {
    before: Option<task::Termios>,
}

impl RawTerminal {
    /// Makes standard input raw, if it is a terminal.
    pub fn enter() -> Self {
        let stdin = task::stdin();
        // In the background the terminal is somebody else's.
        let is_foreground = task::tcgetpgrp(stdin).is_ok_and(|group| group == task::getpgrp());
        let before = task::tcgetattr(stdin).ok().filter(|_| is_foreground);
        if let Some(before) = &before {
            let mut raw = before.clone();
            raw.make_raw();
            let _ = task::tcsetattr(stdin, task::OptionalActions::Now, &raw); // a terminal that cannot be raw still works
        }
        RawTerminal { before }
    }
}

impl Drop for RawTerminal {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            let _ = task::tcsetattr(task::stdin(), task::OptionalActions::Now, before);
        }
    }
}

/// A process of a container that runs, and that its runtime stays with.
#[derive(Clone, Copy)]
pub struct Running<'s> {
    /// As the host numbers it.
    pub pid: task::Pid,
    /// The same as a handle; none before Linux 5.3.
    pub pidfd: Option<BorrowedFd<'s>>,
    /// The terminal's master, if it came to us.
    pub master: Option<BorrowedFd<'s>>,
    /// For what the container says of itself.
    pub notify: Option<&'s Proxy>,
    /// For its system calls.
    pub tracer: Option<&'s Tracer>,
    /// The cgroup that it says that of, as an absolute path.
    pub cgroup: Option<&'s CStr>,
}

/// Stays until the process has ended, and returns how.
pub fn stay<'a>(running: Running<'_>) -> Result<'a, Exit> {
    let signals = sys::signal_fd(sys::Signals::ALL).doing("signalfd", "")?;
    sys::forget_stack();
    sys::forget_code();
    let mut attendance = Attendance { running, signals, relay: None, ended: None };
    let _raw = running.master.map(|_| RawTerminal::enter());
    if let Some(master) = running.master {
        attendance.relay = Some(Relay::new(master));
    }
    attendance.run()
}

/// Rows and columns of the caller's terminal, with which the container's begins.
pub fn caller_size() -> Option<(u16, u16)> {
    task::tcgetwinsize(task::stdin()).ok().map(|size| (size.ws_row, size.ws_col))
}

/// The size of the caller's terminal becomes the container's.
fn copy_size(master: BorrowedFd<'_>) {
    if let Ok(size) = task::tcgetwinsize(task::stdin()) {
        let _ = task::tcsetwinsize(master, size); // the container may have closed it
    }
}

struct Attendance<'s> {
    running: Running<'s>,
    signals: OwnedFd,
    relay: Option<Relay<'s>>,
    ended: Option<Exit>,
}

impl Attendance<'_> {
    fn run<'a>(&mut self) -> Result<'a, Exit> {
        loop {
            if let Some(notify) = self.running.notify {
                notify.pass_on(self.running.cgroup);
            }
            if let Some(tracer) = self.running.tracer {
                tracer.turn()?;
            }
            if let Some(exit) = self.ended {
                self.drain()?;
                return Ok(exit);
            }
            self.wait().doing("poll", "")?;
            if let Some(relay) = &mut self.relay {
                relay.turn();
            }
            while self.ended.is_none()
                && let Some(signal) = sys::take(self.signals.as_fd())
            {
                self.handle(signal);
            }
        }
    }

    fn wait(&self) -> core::result::Result<(), Errno> {
        let mut polled: heapless::Vec<task::PollFd<'_>, 5> = heapless::Vec::new();
        let _ = polled.push(task::PollFd::new(&self.signals, task::PollFlags::IN)); // five places are enough
        if let Some(listener) = self.running.tracer.and_then(Tracer::waits_for) {
            let _ = polled.push(task::PollFd::from_borrowed_fd(listener, task::PollFlags::IN));
        }
        if let Some(notify) = self.running.notify {
            let _ = polled.push(task::PollFd::from_borrowed_fd(notify.as_fd(), task::PollFlags::IN));
        }
        if let Some(relay) = &self.relay {
            relay.add_to(&mut polled);
        }
        await_any(&mut polled)
    }

    fn handle(&mut self, signal: i32) {
        match signal {
            SIGCHLD => self.reap(),
            SIGWINCH => {
                if let Some(master) = self.running.master {
                    copy_size(master);
                }
            }
            SIGPIPE | SIGURG | SIGKILL | SIGSTOP => {} // SIGPIPE tells of our own output
            signal => {
                let _ = sys::send_signal(self.running.pid, self.running.pidfd, signal); // ESRCH: it has ended, which SIGCHLD says too
            }
        }
    }

    /// Reaps every child that has ended, up to the one that we stay for; as a subreaper we get those that the container's processes left behind.
    fn reap(&mut self) {
        while self.ended.is_none()
            && let Some((pid, exit)) = sys::wait_any()
        {
            if pid == self.running.pid {
                self.ended = Some(exit);
            }
        }
    }

    /// What the container wrote last is still in the terminal: moves it on, however slowly it is read, until a signal says to end.
    fn drain<'a>(&mut self) -> Result<'a, ()> {
        let Some(mut relay) = self.relay.take() else { return Ok(()) };
        loop {
            while relay.output.turn() {}
            if !relay.output.is_open || !relay.output.is_full() {
                return Ok(());
            }
            let mut polled = [task::PollFd::new(&self.signals, task::PollFlags::IN), relay.output.waits_for()];
            await_any(&mut polled).doing("poll", "")?;
            while let Some(signal) = sys::take(self.signals.as_fd()) {
                if !matches!(signal, SIGCHLD | SIGWINCH | SIGPIPE | SIGURG) {
                    return Ok(());
                }
            }
        }
    }
}

fn await_any(polled: &mut [task::PollFd<'_>]) -> core::result::Result<(), Errno> {
    match task::poll(polled, None) {
        Err(Errno::INTR) => Ok(()),
        answer => answer.map(|_| ()),
    }
}

/// Bytes between the caller's streams and the container's terminal. It never waits: what cannot be written now is kept until it can.
struct Relay<'m> {
    master: BorrowedFd<'m>,
    input: Pipe<'m>,
    output: Pipe<'m>,
}

impl<'m> Relay<'m> {
    fn new(master: BorrowedFd<'m>) -> Self {
        if let Ok(flags) = fs::fcntl_getfl(master) {
            let _ = fs::fcntl_setfl(master, flags | fs::OFlags::NONBLOCK);
        }
        Relay { master, input: Pipe::new(task::stdin(), master), output: Pipe::new(master, task::stdout()) }
    }

    fn add_to<'p>(&'p self, polled: &mut heapless::Vec<task::PollFd<'p>, 5>) {
        for pipe in [&self.input, &self.output].into_iter().filter(|pipe| pipe.is_open) {
            let _ = polled.push(pipe.waits_for()); // five places are enough
        }
    }

    fn turn(&mut self) {
        const END_OF_TRANSMISSION: u8 = 4;
        let had_input = self.input.is_open;
        self.input.turn();
        self.output.turn();
        if had_input && !self.input.is_open {
            let _ = fs::write(self.master, &[END_OF_TRANSMISSION]); // a terminal that is full or gone cannot be told
        }
    }
}

const CHUNK_BYTES: usize = 4096; // what a pipe that is ready to be written takes at once, pipe(7)

/// One direction: at most one chunk is on its way.
struct Pipe<'p> {
    from: BorrowedFd<'p>,
    to: BorrowedFd<'p>,
    chunk: [u8; CHUNK_BYTES],
    start: usize,
    end: usize,
    is_open: bool,
}

impl<'p> Pipe<'p> {
    fn new(from: BorrowedFd<'p>, to: BorrowedFd<'p>) -> Self {
        Pipe { from, to, chunk: [0; CHUNK_BYTES], start: 0, end: 0, is_open: true }
    }

    fn is_full(&self) -> bool {
        self.start < self.end
    }

    fn waits_for(&self) -> task::PollFd<'p> {
        let (fd, events) = if self.is_full() { (self.to, task::PollFlags::OUT) } else { (self.from, task::PollFlags::IN) };
        task::PollFd::from_borrowed_fd(fd, events)
    }

    /// Reads or writes once, if that can be done now. Whether anything moved.
    fn turn(&mut self) -> bool {
        if !self.is_open || task::poll(&mut [self.waits_for()], Some(&task::Timespec::default())) != Ok(1) {
            return false;
        }
        let moved =
            if self.is_full() { fs::write(self.to, &self.chunk[self.start..self.end]) } else { fs::read(self.from, &mut self.chunk) };
        match moved {
            Ok(len) if len > 0 && self.is_full() => self.start += len,
            Ok(len) if len > 0 => (self.start, self.end) = (0, len),
            Err(Errno::AGAIN | Errno::INTR) => return false,
            _ => self.is_open = false, // the end, or EIO: nobody holds the other end of the terminal any more
        }
        true
    }
}
