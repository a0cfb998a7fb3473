//! The runtime as the parent of a container in the foreground: signals go in, terminal bytes go both ways, the exit status comes out.
//!
//! Must: have every signal blocked before the container is made. Mustn't: leave the caller's terminal in raw mode.

use super::create::Started;
use crate::error::{Error, Result};
use crate::sys::{self, AsFd, BorrowedFd, Errno, Exit, OwnedFd, fs, task};

const SIGCHLD: i32 = 17;
const SIGWINCH: i32 = 28;
const SIGURG: i32 = 23;
const SIGKILL: i32 = 9;
const SIGSTOP: i32 = 19;

/// The caller's terminal, raw as long as this lives.
pub struct RawTerminal {
    before: Option<task::Termios>,
}

impl RawTerminal {
    /// Makes standard input raw, if it is a terminal.
    pub fn enter() -> Self {
        let stdin = task::stdin();
        let before = task::tcgetattr(stdin).ok();
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

/// Stays until the container's first process has ended, and returns how.
pub fn stay<'a>(started: &Started) -> Result<'a, Exit> {
    let signals = sys::signal_fd(sys::Signals::ALL).map_err(Error::on("signalfd", ""))?;
    let mut attendance = Attendance { started, signals, relay: None, ended: None };
    let _raw = started.master.as_ref().map(|_| RawTerminal::enter());
    if let Some(master) = &started.master {
        copy_size(master.as_fd());
        attendance.relay = Some(Relay::new(master.as_fd()));
    }
    attendance.run()
}

/// The size of the caller's terminal becomes the container's.
fn copy_size(master: BorrowedFd<'_>) {
    if let Ok(size) = task::tcgetwinsize(task::stdin()) {
        let _ = task::tcsetwinsize(master, size); // the container may have closed it
    }
}

struct Attendance<'s> {
    started: &'s Started,
    signals: OwnedFd,
    relay: Option<Relay<'s>>,
    ended: Option<Exit>,
}

impl Attendance<'_> {
    fn run<'a>(&mut self) -> Result<'a, Exit> {
        self.reap();
        loop {
            if let Some(exit) = self.ended {
                self.drain();
                return Ok(exit);
            }
            self.wait().map_err(Error::on("poll", ""))?;
            if let Some(relay) = &mut self.relay {
                relay.turn();
            }
            while let Some(signal) = sys::take(self.signals.as_fd()) {
                self.handle(signal);
            }
        }
    }

    fn wait(&self) -> core::result::Result<(), Errno> {
        let mut polled: heapless::Vec<task::PollFd<'_>, 4> = heapless::Vec::new();
        let _ = polled.push(task::PollFd::new(&self.signals, task::PollFlags::IN)); // four places are enough
        if let Some(relay) = &self.relay {
            relay.add_to(&mut polled);
        }
        match task::poll(&mut polled, None) {
            Err(Errno::INTR) => Ok(()),
            answer => answer.map(|_| ()),
        }
    }

    fn handle(&mut self, signal: i32) {
        match signal {
            SIGCHLD => self.reap(),
            SIGWINCH => {
                if let Some(master) = &self.started.master {
                    copy_size(master.as_fd());
                }
            }
            SIGURG | SIGKILL | SIGSTOP => {}
            signal => {
                let _ = match &self.started.pidfd {
                    Some(pidfd) => sys::send_signal(pidfd.as_fd(), signal),
                    None => sys::kill(self.started.pid, signal),
                }; // ESRCH: it has ended, which SIGCHLD says too
            }
        }
    }

    /// Reaps every child that has ended; as a subreaper we get those that the container's processes left behind.
    fn reap(&mut self) {
        while let Some((pid, exit)) = sys::wait_any() {
            if pid == self.started.pid {
                self.ended = Some(exit);
            }
        }
    }

    /// What the container wrote last is still in the terminal.
    fn drain(&mut self) {
        if let Some(relay) = &mut self.relay {
            relay.drain();
        }
    }
}

/// Bytes between the caller's streams and the container's terminal.
struct Relay<'m> {
    master: BorrowedFd<'m>,
    input_is_open: bool,
    output_is_open: bool,
}

const CHUNK_BYTES: usize = 4096;

impl<'m> Relay<'m> {
    fn new(master: BorrowedFd<'m>) -> Self {
        if let Ok(flags) = fs::fcntl_getfl(master) {
            let _ = fs::fcntl_setfl(master, flags | fs::OFlags::NONBLOCK);
        }
        Relay { master, input_is_open: true, output_is_open: true }
    }

    fn add_to<'p>(&'p self, polled: &mut heapless::Vec<task::PollFd<'p>, 4>) {
        if self.output_is_open {
            let _ = polled.push(task::PollFd::new(&self.master, task::PollFlags::IN));
        }
        if self.input_is_open {
            let _ = polled.push(task::PollFd::from_borrowed_fd(task::stdin(), task::PollFlags::IN));
        }
    }

    fn turn(&mut self) {
        if self.output_is_open && is_ready(self.master) {
            self.move_output();
        }
        if self.input_is_open && is_ready(task::stdin()) {
            self.move_input();
        }
    }

    /// Whether there may be more.
    fn move_output(&mut self) -> bool {
        let mut chunk = [0; CHUNK_BYTES];
        match fs::read(self.master, &mut chunk) {
            Ok(len) if len > 0 => self.output_is_open = write_all(task::stdout(), &chunk[..len]),
            Err(Errno::AGAIN | Errno::INTR) => return false,
            _ => self.output_is_open = false, // EIO: nobody holds the other end any more
        }
        self.output_is_open
    }

    fn move_input(&mut self) {
        const END_OF_TRANSMISSION: &[u8] = &[4];
        let mut chunk = [0; CHUNK_BYTES];
        match fs::read(task::stdin(), &mut chunk) {
            Ok(len) if len > 0 => self.input_is_open = write_all(self.master, &chunk[..len]),
            Err(Errno::AGAIN | Errno::INTR) => {}
            _ => {
                self.input_is_open = false;
                let _ = write_all(self.master, END_OF_TRANSMISSION);
            }
        }
    }

    fn drain(&mut self) {
        while self.output_is_open && self.move_output() {}
    }
}

fn is_ready(fd: BorrowedFd<'_>) -> bool {
    let mut polled = [task::PollFd::from_borrowed_fd(fd, task::PollFlags::IN)];
    task::poll(&mut polled, Some(&task::Timespec::default())) == Ok(1)
}

/// Writes all of it, waiting where it must. Whether it could.
fn write_all(fd: BorrowedFd<'_>, mut bytes: &[u8]) -> bool {
    while !bytes.is_empty() {
        match fs::write(fd, bytes) {
            Ok(0) => return false,
            Ok(written) => bytes = &bytes[written..],
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => {
                let mut polled = [task::PollFd::from_borrowed_fd(fd, task::PollFlags::OUT)];
                if task::poll(&mut polled, None).is_err_and(|errno| errno != Errno::INTR) {
                    return false;
                }
            }
            Err(_) => return false,
        }
    }
    true
}
