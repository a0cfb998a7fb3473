//! The log: one line at a time, to a file or to standard error. It does not decide what is worth a line.

mod json_string;
mod line;
mod quote;
mod time;

pub use json_string::{JsonEscaping, JsonString};
pub use line::{Format, Level, line};
pub use quote::{Escaping, Lossy, Quoted};
pub use time::Time;

use core::ffi::CStr;
use core::fmt::{self, Write};

use crate::sys::{self, AsFd, BorrowedFd, Errno, OwnedFd, fs, task};

/// Where log lines go, and which.
pub struct Log {
    file: Option<OwnedFd>,
    format: Format,
    is_debug: bool,
}

impl Log {
    /// To standard error, until something else was asked for.
    pub fn to_stderr(format: Format, is_debug: bool) -> Self {
        Log { file: None, format, is_debug }
    }

    /// To a file, to which lines are appended. Errors: those of open(2).
    pub fn to_file(path: &CStr, format: Format, is_debug: bool) -> Result<Self, Errno> {
        let flags = fs::OFlags::CREATE | fs::OFlags::WRONLY | fs::OFlags::APPEND | fs::OFlags::SYNC | fs::OFlags::CLOEXEC;
        let file = fs::open(path, flags, fs::Mode::from_raw_mode(0o644))?;
        Ok(Log { file: Some(file), format, is_debug })
    }

    /// Whether lines go to a file, so that an error must be said on standard error too.
    pub fn has_file(&self) -> bool {
        self.file.is_some()
    }

    /// Whether [`Log::debug`] says anything.
    pub fn is_debug(&self) -> bool {
        self.is_debug
    }

    /// Something that went wrong for good.
    pub fn error(&self, message: fmt::Arguments<'_>) {
        self.write(Level::Error, message);
    }

    /// Something that was ignored. Not into a JSON log, of which podman reads nothing but one error.
    pub fn warning(&self, message: fmt::Arguments<'_>) {
        if self.format == Format::Text || self.is_debug {
            self.write(Level::Warning, message);
        }
    }

    /// Something that helps to understand what was done.
    pub fn debug(&self, message: fmt::Arguments<'_>) {
        if self.is_debug {
            self.write(Level::Debug, message);
        }
    }

    fn write(&self, level: Level, message: fmt::Arguments<'_>) {
        let stderr = task::stderr();
        let mut out = Output::new(self.file.as_ref().map_or(stderr, AsFd::as_fd));
        let now = task::clock_gettime(task::ClockId::Realtime);
        let time = Time { seconds: now.tv_sec as u64, nanoseconds: now.tv_nsec as u32 };
        let _ = line(self.format, time, level, &message, &mut out); // nowhere is left to say that the log cannot be written
    }
}

/// Text on its way to a descriptor, collected into few writes.
pub struct Output<'f> {
    fd: BorrowedFd<'f>,
    buffer: heapless::Vec<u8, 1024>,
    error: Option<Errno>,
}

impl<'f> Output<'f> {
    /// Collects for `fd`; the rest is written when it is dropped.
    pub fn new(fd: BorrowedFd<'f>) -> Self {
        Output { fd, buffer: heapless::Vec::new(), error: None }
    }

    /// Writes what was collected, and says whether all could be written.
    pub fn finish(mut self) -> Result<(), Errno> {
        self.flush();
        self.error.map_or(Ok(()), Err)
    }

    fn flush(&mut self) {
        let mut rest = self.buffer.as_slice();
        while !rest.is_empty() && self.error.is_none() {
            match sys::fs::write(self.fd, rest) {
                Ok(0) => self.error = Some(Errno::IO),
                Ok(written) => rest = &rest[written..],
                Err(Errno::INTR) => {}
                Err(errno) => self.error = Some(errno),
            }
        }
        self.buffer.clear();
    }
}

impl Write for Output<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text.as_bytes();
        while !rest.is_empty() {
            if self.buffer.is_full() {
                self.flush();
            }
            let (now, later) = rest.split_at(rest.len().min(self.buffer.capacity() - self.buffer.len()));
            let _ = self.buffer.extend_from_slice(now); // it fits
            rest = later;
        }
        if self.error.is_some() { Err(fmt::Error) } else { Ok(()) }
    }
}

impl Drop for Output<'_> {
    fn drop(&mut self) {
        self.flush();
    }
}
