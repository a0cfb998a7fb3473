//! What is wrong with a text, and what is odd about it, as sentences with path, line and column.

use core::fmt;

use super::place::{Place, excerpt};

/// The most bytes of the text that a sentence repeats.
const SHOWN: usize = 40;

/// Why a text could not be read: `mounts[3].options: expected a list, found a string (line 12, column 30)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Error<'a> {
    /// Where.
    pub place: Place<'a>,
    /// What.
    pub what: What,
}

/// The kinds of errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// The grammar wants something else here.
    Expected(&'static str),
    /// A sentence.
    Said(&'static str),
    /// The field wants another type or another range.
    Type(Wanted),
    /// Not UTF-8.
    Encoding,
    /// The arena is full.
    Full,
}

/// The types of fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// `true` or `false`.
    Bool,
    /// A string.
    Text,
    /// A whole number from 0 to this one.
    Unsigned(u64),
    /// A whole number of 64 bits.
    Signed,
    /// An object.
    Object,
    /// A list.
    List,
}

impl fmt::Display for Error<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.place.path();
        if !path.is_empty() {
            write!(f, "{path}: ")?;
        }
        let found = Found(self.place.rest());
        match self.what {
            What::Expected(what) => write!(f, "expected {what}, found {found}"),
            What::Said(what) => f.write_str(what),
            What::Type(wanted) => wanted.missed(f, self.place.rest()),
            What::Encoding => f.write_str("a byte that is not UTF-8"),
            What::Full => f.write_str("too large: the memory set aside for a text of this size does not hold it"),
        }?;
        write!(f, " ({})", self.place)
    }
}

impl Wanted {
    /// Says what was wanted and what the value at the start of `text` is instead.
    fn missed(self, f: &mut fmt::Formatter<'_>, text: &[u8]) -> fmt::Result {
        let found = Found(text);
        match self {
            Wanted::Unsigned(_) | Wanted::Signed if !found.is_number() => write!(f, "expected a number, found {}", found.kind()),
            Wanted::Unsigned(_) | Wanted::Signed if found.is_fraction() => write!(f, "expected a whole number, found {found}"),
            Wanted::Unsigned(most) => write!(f, "expected a number from 0 to {most}, found {found}"),
            Wanted::Signed => write!(f, "expected a number from {} to {}, found {found}", i64::MIN, i64::MAX),
            Wanted::Bool => write!(f, "expected true or false, found {}", found.kind()),
            Wanted::Text => write!(f, "expected a string, found {}", found.kind()),
            Wanted::Object => write!(f, "expected an object, found {}", found.kind()),
            Wanted::List => write!(f, "expected a list, found {}", found.kind()),
        }
    }
}

/// What stands at the start of a text.
struct Found<'a>(&'a [u8]);

impl<'a> Found<'a> {
    fn is_number(&self) -> bool {
        matches!(self.0.first(), Some(b'-' | b'0'..=b'9'))
    }

    fn is_fraction(&self) -> bool {
        self.word().iter().any(|byte| matches!(byte, b'.' | b'e' | b'E'))
    }

    /// The word or number here, whole.
    fn word(&self) -> &'a [u8] {
        let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || b"+-._".contains(byte);
        let end = self.0.iter().position(|byte| !is_part(byte)).unwrap_or(self.0.len());
        &self.0[..end]
    }

    fn kind(&self) -> &'static str {
        match self.0.first() {
            Some(b'"') => "a string",
            Some(b'{') => "an object",
            Some(b'[') => "a list",
            Some(b't' | b'f') => "true or false",
            Some(b'n') => "null",
            Some(_) => "a number",
            None => "the end of the file",
        }
    }
}

impl fmt::Display for Found<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = self.word();
        if self.is_number() && word.len() <= SHOWN {
            return f.write_str(excerpt(word, SHOWN));
        }
        if !word.is_empty() {
            return write!(f, "'{}'", excerpt(word, SHOWN));
        }
        match self.0.first() {
            None => f.write_str("the end of the file"),
            Some(byte) if byte.is_ascii_graphic() => write!(f, "'{}'", char::from(*byte)),
            Some(_) => self.code_point(f),
        }
    }
}

impl Found<'_> {
    /// A character that may not be fit to be printed.
    fn code_point(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let character = (1..=4).find_map(|length| excerpt(self.0.get(..length)?, length).chars().next());
        match character {
            Some(character) => write!(f, "U+{:04X}", u32::from(character)),
            None => f.write_str("a byte that is not UTF-8"),
        }
    }
}

/// How many notes are kept; the others are only counted. Each costs a walk over the text when it is printed.
const NOTES_KEPT: usize = 16;

/// What is odd about a text that could be read.
#[derive(Clone, Copy, Debug)]
pub struct Notes<'a> {
    text: &'a [u8],
    kept: [(Oddity, usize); NOTES_KEPT],
    count: usize,
}

/// The kinds of notes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Oddity {
    /// The key stands twice in its object; the last one counts.
    Duplicate,
    /// The object has no such field.
    Unknown,
    /// The field's name is written in another case.
    Case,
}

/// One oddity: `linux.sysctl: duplicate key, the last one counts (line 3, column 5)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Note<'a> {
    /// The key.
    pub place: Place<'a>,
    /// What is odd about it.
    pub oddity: Oddity,
}

impl<'a> Notes<'a> {
    /// No notes on `text` yet.
    pub(super) fn new(text: &'a [u8]) -> Self {
        Notes { text, kept: [(Oddity::Duplicate, 0); NOTES_KEPT], count: 0 }
    }

    /// Notes that there is something odd about the key at the offset `at`.
    pub(super) fn add(&mut self, oddity: Oddity, at: usize) {
        if let Some(free) = self.kept.get_mut(self.count) {
            *free = (oddity, at);
        }
        self.count += 1;
    }

    /// The notes that were kept: the first ones.
    pub fn iter(&self) -> impl Iterator<Item = Note<'a>> + '_ {
        self.kept.iter().take(self.count).map(|(oddity, at)| Note { place: Place::of_key(self.text, *at), oddity: *oddity })
    }

    /// How many there were beyond those.
    pub fn left_out(&self) -> usize {
        self.count.saturating_sub(NOTES_KEPT)
    }
}

impl fmt::Display for Note<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.oddity {
            Oddity::Duplicate => "duplicate key, the last one counts",
            Oddity::Unknown => "unknown field, ignored",
            Oddity::Case => "the name is written in another case, read as runc reads it",
        };
        write!(f, "{}: {what} ({})", self.place.path(), self.place)
    }
}
