//! JSON written piece by piece into anything that takes text, as Go's encoding/json writes it without its HTML escapes.
//!
//! What is open is closed when its value is dropped, so that nothing malformed can be written.

use core::fmt::{self, Write};

/// How the text is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Indent {
    /// On one line, without spaces.
    None,
    /// Each level moved by so many spaces.
    Spaces(u8),
    /// Each level moved by a tab.
    Tab,
}

/// Writes one JSON value.
pub struct Writer<'w> {
    out: &'w mut dyn Write,
    indent: Indent,
    depth: u8,
    result: fmt::Result,
}

/// An object that is open: its methods write a key and a value.
pub struct Object<'o, 'w>(Open<'o, 'w>);

/// A list that is open: its methods write an element.
pub struct List<'o, 'w>(Open<'o, 'w>);

impl<'w> Writer<'w> {
    /// A writer into `out`.
    pub fn new(out: &'w mut dyn Write, indent: Indent) -> Self {
        Writer { out, indent, depth: 0, result: Ok(()) }
    }

    /// Writes an object.
    pub fn object(&mut self) -> Object<'_, 'w> {
        Object(self.open('{', '}'))
    }

    /// Writes a list.
    pub fn list(&mut self) -> List<'_, 'w> {
        List(self.open('[', ']'))
    }

    /// Whether `out` took everything.
    pub fn finish(self) -> fmt::Result {
        self.result
    }

    fn open(&mut self, opening: char, closing: char) -> Open<'_, 'w> {
        self.format(format_args!("{opening}"));
        self.depth += 1;
        Open { writer: self, closing, is_empty: true }
    }

    /// After the first failure nothing more is written.
    fn format(&mut self, text: fmt::Arguments<'_>) {
        if self.result.is_ok() {
            self.result = self.out.write_fmt(text);
        }
    }

    fn new_line(&mut self) {
        let (fill, count) = match self.indent {
            Indent::None => return,
            Indent::Spaces(spaces) => (' ', spaces),
            Indent::Tab => ('\t', 1),
        };
        self.format(format_args!("\n"));
        for _ in 0..u32::from(count) * u32::from(self.depth) {
            self.format(format_args!("{fill}"));
        }
    }
}

/// What objects and lists have in common.
struct Open<'o, 'w> {
    writer: &'o mut Writer<'w>,
    closing: char,
    is_empty: bool,
}

impl<'w> Open<'_, 'w> {
    fn next(&mut self) -> &mut Writer<'w> {
        if !self.is_empty {
            self.writer.format(format_args!(","));
        }
        self.is_empty = false;
        self.writer.new_line();
        self.writer
    }

    fn key(&mut self, key: &str) -> &mut Writer<'w> {
        let colon = if self.writer.indent == Indent::None { ":" } else { ": " };
        let writer = self.next();
        writer.format(format_args!("{}{colon}", Quoted(key)));
        writer
    }
}

impl Drop for Open<'_, '_> {
    fn drop(&mut self) {
        self.writer.depth -= 1;
        if !self.is_empty {
            self.writer.new_line();
        }
        self.writer.format(format_args!("{}", self.closing));
    }
}

impl<'w> Object<'_, 'w> {
    /// Writes a string.
    pub fn string(&mut self, key: &str, value: &str) {
        self.0.key(key).format(format_args!("{}", Quoted(value)));
    }

    /// Writes a number.
    pub fn number(&mut self, key: &str, value: i64) {
        self.0.key(key).format(format_args!("{value}"));
    }

    /// Writes a number that may need all of 64 bits.
    pub fn unsigned(&mut self, key: &str, value: u64) {
        self.0.key(key).format(format_args!("{value}"));
    }

    /// Writes `true` or `false`.
    pub fn boolean(&mut self, key: &str, value: bool) {
        self.0.key(key).format(format_args!("{value}"));
    }

    /// Writes `null`.
    pub fn null(&mut self, key: &str) {
        self.0.key(key).format(format_args!("null"));
    }

    /// Writes an object.
    pub fn object(&mut self, key: &str) -> Object<'_, 'w> {
        self.0.key(key).object()
    }

    /// Writes a list.
    pub fn list(&mut self, key: &str) -> List<'_, 'w> {
        self.0.key(key).list()
    }

    /// Writes a list of strings.
    pub fn strings(&mut self, key: &str, values: &mut dyn Iterator<Item = &str>) {
        let mut list = self.list(key);
        for value in values {
            list.string(value);
        }
    }
}

impl<'w> List<'_, 'w> {
    /// Writes a string.
    pub fn string(&mut self, value: &str) {
        self.0.next().format(format_args!("{}", Quoted(value)));
    }

    /// Writes a number.
    pub fn number(&mut self, value: i64) {
        self.0.next().format(format_args!("{value}"));
    }

    /// Writes an object.
    pub fn object(&mut self) -> Object<'_, 'w> {
        self.0.next().object()
    }

    /// Writes a list.
    pub fn list(&mut self) -> List<'_, 'w> {
        self.0.next().list()
    }
}

/// Prints a string with its quotes and escapes.
pub struct Quoted<'s>(pub &'s str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        let mut plain = 0;
        for (at, character) in self.0.char_indices() {
            if is_plain(character) {
                continue;
            }
            f.write_str(self.0.get(plain..at).unwrap_or_default())?;
            write_escape(f, character)?;
            plain = at + character.len_utf8();
        }
        f.write_str(self.0.get(plain..).unwrap_or_default())?;
        f.write_char('"')
    }
}

/// The two separators are line ends in JavaScript, so Go escapes them.
fn is_plain(character: char) -> bool {
    character >= ' ' && !matches!(character, '"' | '\\' | '\u{2028}' | '\u{2029}')
}

fn write_escape(f: &mut fmt::Formatter<'_>, character: char) -> fmt::Result {
    match character {
        '"' => f.write_str("\\\""),
        '\\' => f.write_str("\\\\"),
        '\n' => f.write_str("\\n"),
        '\r' => f.write_str("\\r"),
        '\t' => f.write_str("\\t"),
        '\x08' => f.write_str("\\b"),
        '\x0c' => f.write_str("\\f"),
        _ => write!(f, "\\u{:04x}", u32::from(character)),
    }
}
