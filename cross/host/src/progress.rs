//! One line on the terminal that says how far it is; without a terminal only its last state.

use std::cell::RefCell;
use std::io::{IsTerminal, Write};
use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::text;

/// Often enough for an eye, seldom enough to cost nothing.
const PAUSE: Duration = Duration::from_millis(100);

#[derive(Clone)]
pub struct Progress(Rc<RefCell<State>>);

struct State {
    is_shown: bool,
    is_quiet: bool,
    what: String,
    bytes: u64,
    of: Option<u64>,
    entries: u64,
    last: Instant,
}

impl Progress {
    pub fn new(is_quiet: bool) -> Self {
        let is_shown = !is_quiet && std::io::stderr().is_terminal();
        Progress(Rc::new(RefCell::new(State {
            is_shown,
            is_quiet,
            what: String::new(),
            bytes: 0,
            of: None,
            entries: 0,
            last: Instant::now(),
        })))
    }

    /// Begins something new, of so many bytes where that is known.
    pub fn begin(&self, what: String, of: Option<u64>) {
        let mut state = self.0.borrow_mut();
        (state.what, state.bytes, state.of, state.entries) = (what, 0, of, 0);
        state.show(true);
    }

    pub fn read(&self, bytes: u64) {
        let mut state = self.0.borrow_mut();
        state.bytes += bytes;
        state.show(false);
    }

    pub fn entry(&self) {
        self.0.borrow_mut().entries += 1;
    }

    /// Ends what was begun: its line stays.
    pub fn end(&self) {
        let mut state = self.0.borrow_mut();
        if state.is_shown {
            state.show(true);
            eprintln!();
        } else if !state.is_quiet {
            eprintln!("{}", state.line());
        }
    }

    /// Before an error: what is shown stays, and the cursor is on a new line.
    pub fn end_line(&self) {
        if self.0.borrow().is_shown {
            eprintln!();
        }
    }

    /// A line of its own, whatever is shown meanwhile.
    pub fn say(&self, sentence: &str) {
        let state = self.0.borrow();
        if !state.is_quiet {
            eprintln!("{}{sentence}", if state.is_shown { "\r\x1b[K" } else { "" });
        }
    }
}

impl State {
    fn line(&self) -> String {
        let of = self.of.map_or(String::new(), |of| format!(" of {}", text::bytes(of)));
        let entries = if self.entries == 0 { String::new() } else { format!(", {} entries", self.entries) };
        format!("{}: {}{of}{entries}", self.what, text::bytes(self.bytes))
    }

    fn show(&mut self, at_once: bool) {
        if self.is_shown && (at_once || self.last.elapsed() >= PAUSE) {
            self.last = Instant::now();
            eprint!("\r\x1b[K{}", self.line());
            let _ = std::io::stderr().flush(); // a lost line of progress is no loss
        }
    }
}
