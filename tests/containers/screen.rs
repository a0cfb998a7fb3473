//! The far side of a terminal: what was written to it, and a hand to type with.

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixListener;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use crate::sys::{self, Outcome};

/// A terminal's master with a reader behind it. Clones share it.
#[derive(Clone)]
pub struct Screen {
    shared: Arc<(Mutex<Shown>, Condvar)>,
}

#[derive(Default)]
struct Shown {
    text: Vec<u8>,
    /// The terminal, once it has come.
    master: Option<File>,
    /// All writers are gone, or why none came.
    is_over: bool,
    trouble: Option<String>,
    /// What was said along with the descriptor.
    payload: String,
}

impl Screen {
    /// Reads a terminal of our own.
    pub fn of_terminal(master: File) -> Outcome<Screen> {
        let screen = Screen { shared: Arc::default() };
        screen.take(master, String::new())?;
        Ok(screen)
    }

    /// Waits behind a socket for the terminal that a runtime sends.
    pub fn of_socket(path: &str) -> Outcome<Screen> {
        let _ = std::fs::remove_file(path);
        let listener = UnixListener::bind(path).map_err(|why| format!("{path}: {why}"))?;
        let screen = Screen { shared: Arc::default() };
        let own = screen.clone();
        std::thread::spawn(move || {
            let received =
                listener.accept().map_err(|why| why.to_string()).and_then(|(stream, _)| sys::receive_descriptor(stream.as_raw_fd()));
            let taken = received.and_then(|(payload, master)| own.take(master, String::from_utf8_lossy(&payload).into_owned()));
            if let Err(why) = taken {
                own.change(|shown| (shown.is_over, shown.trouble) = (true, Some(why)));
            }
        });
        Ok(screen)
    }

    /// Waits behind a socket for the listener of a seccomp filter, and answers what comes by it with ESRCH.
    pub fn of_agent(path: &str) -> Outcome<Screen> {
        let _ = std::fs::remove_file(path);
        let listener = UnixListener::bind(path).map_err(|why| format!("{path}: {why}"))?;
        let screen = Screen { shared: Arc::default() };
        let own = screen.clone();
        std::thread::spawn(move || {
            let Ok((stream, _)) = listener.accept() else { return };
            let Ok((payload, filter)) = sys::receive_descriptor(stream.as_raw_fd()) else { return };
            own.change(|shown| shown.payload = String::from_utf8_lossy(&payload).into_owned());
            while sys::answer_notification(&filter, libc::ESRCH).is_ok() {}
        });
        Ok(screen)
    }

    fn take(&self, master: File, payload: String) -> Outcome<()> {
        let mut reader = master.try_clone().map_err(|why| why.to_string())?;
        self.change(|shown| (shown.master, shown.payload) = (Some(master), payload));
        let own = self.clone();
        std::thread::spawn(move || {
            let mut buffer = [0u8; 4096];
            loop {
                match reader.read(&mut buffer) {
                    Ok(0) => break,
                    Ok(length) => own.change(|shown| shown.text.extend_from_slice(&buffer[..length])),
                    Err(why) if why.kind() == ErrorKind::Interrupted => {}
                    // A terminal whose last writer has gone answers EIO.
                    Err(_) => break,
                }
            }
            own.change(|shown| shown.is_over = true);
        });
        Ok(())
    }

    fn change(&self, work: impl FnOnce(&mut Shown)) {
        if let Ok(mut shown) = self.shared.0.lock() {
            work(&mut shown);
        }
        self.shared.1.notify_all();
    }

    /// Waits until something holds of what is shown.
    fn await_that<T>(&self, patience: Duration, mut found: impl FnMut(&Shown) -> Option<T>) -> Option<T> {
        let end = Instant::now() + patience;
        let mut shown = self.shared.0.lock().ok()?;
        loop {
            if let Some(value) = found(&shown) {
                return Some(value);
            }
            let left = end.checked_duration_since(Instant::now())?;
            shown = self.shared.1.wait_timeout(shown, left).ok()?.0;
        }
    }

    /// Waits until the text is on the screen.
    pub fn await_text(&self, part: &str, patience: Duration) -> Outcome<()> {
        let has = |shown: &Shown| String::from_utf8_lossy(&shown.text).contains(part);
        match self.await_that(patience, |shown| (has(shown) || shown.is_over).then(|| has(shown))) {
            Some(true) => Ok(()),
            _ => Err(format!("the terminal shows {:?}{}, not {part:?}", self.text(), self.trouble())),
        }
    }

    /// Everything that was written until the last writer went.
    pub fn await_end(&self, patience: Duration) -> Outcome<String> {
        match self.await_that(patience, |shown| shown.is_over.then_some(())) {
            Some(()) => Ok(self.text()),
            None => Err(format!("somebody still holds the terminal, which shows {:?}", self.text())),
        }
    }

    pub fn text(&self) -> String {
        self.shared.0.lock().map(|shown| String::from_utf8_lossy(&shown.text).into_owned()).unwrap_or_default()
    }

    /// What came along with the descriptor, once it came.
    pub fn payload(&self) -> String {
        self.await_that(Duration::from_secs(5), |shown| (!shown.payload.is_empty()).then(|| shown.payload.clone())).unwrap_or_default()
    }

    fn trouble(&self) -> String {
        self.shared.0.lock().ok().and_then(|shown| shown.trouble.clone()).map(|why| format!(" ({why})")).unwrap_or_default()
    }

    fn with_master<T>(&self, work: impl FnOnce(&mut File) -> Outcome<T>) -> Outcome<T> {
        if self.await_that(Duration::from_secs(5), |shown| shown.master.is_some().then_some(())).is_none() {
            return Err(format!("no terminal came{}", self.trouble()));
        }
        let mut shown = self.shared.0.lock().map_err(|why| why.to_string())?;
        shown.master.as_mut().ok_or_else(|| "no terminal".to_string()).and_then(work)
    }

    pub fn type_in(&self, text: &str) -> Outcome<()> {
        self.with_master(|master| master.write_all(text.as_bytes()).map_err(|why| why.to_string()))
    }

    pub fn resize(&self, rows: u16, columns: u16) -> Outcome<()> {
        self.with_master(|master| sys::resize_terminal(master, rows, columns))
    }
}
