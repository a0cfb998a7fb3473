//! Places in a text as people look for them: line, column and path. Computed when an error is printed, not while reading.

use core::fmt;

use super::scan::{Scan, Step};

/// The most characters of one key that a path shows.
const KEY_SHOWN: usize = 64;

/// An offset in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place<'a> {
    text: &'a [u8],
    at: usize,
    /// How far one must read to know the path.
    path_end: usize,
}

/// Prints as `linux.resources.memory.limit` or `mounts[3].options[0]`; as nothing for the whole text.
pub struct Path<'a>(Place<'a>);

impl<'a> Place<'a> {
    /// The place of the value, or of the fault, at the offset `at`.
    pub fn new(text: &'a [u8], at: usize) -> Self {
        Place { text, at, path_end: at }
    }

    /// The place of the key whose opening quote is at the offset `at`.
    pub fn of_key(text: &'a [u8], at: usize) -> Self {
        Place { text, at, path_end: string_end(text, at) }
    }

    /// The names on the way to the value.
    pub fn path(self) -> Path<'a> {
        Path(self)
    }

    /// Counted from 1.
    pub fn line(&self) -> usize {
        self.before().iter().filter(|byte| **byte == b'\n').count() + 1
    }

    /// Counted from 1, in characters.
    pub fn column(&self) -> usize {
        let line = self.before().rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
        line.iter().filter(|byte| !is_continuation(**byte)).count() + 1
    }

    /// The text from here on.
    pub fn rest(&self) -> &'a [u8] {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn before(&self) -> &'a [u8] {
        self.text.get(..self.at).unwrap_or(self.text)
    }
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line(), self.column())
    }
}

impl Path<'_> {
    /// Whether it prints as nothing.
    pub fn is_empty(&self) -> bool {
        self.scan().steps().iter().all(|step| matches!(step, Step::Key(0)))
    }

    /// Reads the text up to the place. That it ends there is no error here: the way so far is what is wanted.
    fn scan(&self) -> Scan<'_> {
        let mut scan = Scan::new(self.0.text.get(..self.0.path_end).unwrap_or(self.0.text), 0);
        let _ = scan.document();
        scan
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, step) in self.scan().steps().iter().enumerate() {
            match *step {
                Step::Key(0) => {}
                Step::Key(at) => {
                    f.write_str(if number == 0 { "" } else { "." })?;
                    f.write_str(shown(self.0.text, at))?;
                }
                Step::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

/// The key as it is written: what its escapes stand for may be unfit for a terminal.
fn shown(text: &[u8], at: usize) -> &str {
    let key = text.get(at + 1..string_end(text, at) - 1).unwrap_or_default();
    excerpt(key, KEY_SHOWN)
}

/// The start of `text`, cut off at a character.
pub fn excerpt(text: &[u8], most: usize) -> &str {
    let mut end = text.len().min(most);
    while text.get(end).is_some_and(|byte| is_continuation(*byte)) {
        end -= 1;
    }
    text.get(..end).and_then(|start| core::str::from_utf8(start).ok()).unwrap_or_default()
}

fn string_end(text: &[u8], at: usize) -> usize {
    let mut scan = Scan::new(text, at);
    let _ = scan.string();
    scan.at
}

/// Whether the byte is not the first of its character (UTF-8).
fn is_continuation(byte: u8) -> bool {
    byte & 0xc0 == 0x80
}
