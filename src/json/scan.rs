//! The grammar of JSON (RFC 8259), checked strictly and without recursion. It knows no types and keeps no values.

use super::error::What;
use super::escape::escape;

/// How many objects and lists may stand in each other. The specification's deepest field is six deep.
pub const DEPTH: usize = 64;

/// One step from an object or a list to a value in it.
#[derive(Clone, Copy)]
pub enum Step {
    /// The offset of the key's opening quote; 0, where no key can be, before the first key.
    Key(usize),
    /// The number of the element.
    Index(usize),
}

/// A violation of the grammar.
#[derive(Clone, Copy)]
pub struct Fault {
    /// Its offset.
    pub at: usize,
    /// Its name.
    pub what: What,
}

type Checked = Result<(), Fault>;

/// A walk over a text that knows where it is.
pub struct Scan<'a> {
    text: &'a [u8],
    /// The offset of the next byte.
    pub at: usize,
    steps: [Step; DEPTH],
    depth: usize,
}

impl<'a> Scan<'a> {
    /// A walk that starts at the offset `at`.
    pub fn new(text: &'a [u8], at: usize) -> Self {
        Scan { text, at, steps: [Step::Key(0); DEPTH], depth: 0 }
    }

    /// The way from the first value to the present one.
    pub fn steps(&self) -> &[Step] {
        &self.steps[..self.depth]
    }

    /// Walks over the whole text: exactly one value.
    pub fn document(&mut self) -> Checked {
        self.value()?;
        match self.peek() {
            None => Ok(()),
            Some(_) => self.expected("nothing more"),
        }
    }

    /// Walks over one value and the space around it.
    pub fn value(&mut self) -> Checked {
        let floor = self.depth;
        loop {
            if !self.opens()? {
                self.scalar()?;
            } else if !self.closes() {
                self.enter()?;
                continue;
            }
            loop {
                if self.depth == floor {
                    self.space();
                    return Ok(());
                }
                if self.follows()? {
                    break;
                }
            }
        }
    }

    /// Walks over a string, which must begin here.
    pub fn string(&mut self) -> Checked {
        let start = self.at;
        self.at += 1;
        loop {
            match self.text.get(self.at) {
                Some(b'"') => break,
                Some(b'\\') => self.at += self.escape()?,
                Some(0..0x20) => return self.fault(What::Said("a control character in a string must be written as an escape")),
                Some(_) => self.at += 1,
                None => return Err(Fault { at: start, what: What::Said("the string that begins here has no end") }),
            }
        }
        self.at += 1;
        Ok(())
    }

    /// Walks over white space.
    pub fn space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.text.get(self.at) {
            self.at += 1;
        }
    }

    /// The next byte that is not white space.
    fn peek(&mut self) -> Option<u8> {
        self.space();
        self.text.get(self.at).copied()
    }

    /// Takes the bracket of an object or a list; false if another value begins here.
    fn opens(&mut self) -> Result<bool, Fault> {
        let step = match self.peek() {
            Some(b'{') => Step::Key(0),
            Some(b'[') => Step::Index(0),
            _ => return Ok(false),
        };
        let Some(top) = self.steps.get_mut(self.depth) else {
            return Err(Fault { at: self.at, what: What::Said("nested too deep: at most 64 objects and lists may stand in each other") });
        };
        *top = step;
        self.depth += 1;
        self.at += 1;
        Ok(true)
    }

    /// Takes the closing bracket of the innermost object or list, if it is next.
    fn closes(&mut self) -> bool {
        let closing = if matches!(self.top(), Step::Key(_)) { b'}' } else { b']' };
        let is_closed = self.peek() == Some(closing);
        if is_closed {
            self.at += 1;
            self.depth -= 1;
        }
        is_closed
    }

    /// Takes what stands before the first value in an object or a list that is not empty.
    fn enter(&mut self) -> Checked {
        match self.top() {
            Step::Key(_) => self.key("a key or }"),
            Step::Index(_) => Ok(()),
        }
    }

    /// Takes what follows a value: the comma, or the end of what it stands in. True if another value comes.
    fn follows(&mut self) -> Result<bool, Fault> {
        if self.closes() {
            return Ok(false);
        }
        let is_comma = self.peek() == Some(b',');
        match self.top() {
            Step::Key(_) if is_comma => {
                self.at += 1;
                self.key("a key")?;
            }
            Step::Index(index) if is_comma => {
                self.at += 1;
                self.set_top(Step::Index(index + 1));
            }
            Step::Key(_) => self.expected("a comma or }")?,
            Step::Index(_) => self.expected("a comma or ]")?,
        }
        Ok(true)
    }

    /// Takes a key and its colon.
    fn key(&mut self, expected: &'static str) -> Checked {
        if self.peek() != Some(b'"') {
            self.set_top(Step::Key(0));
            return self.expected(expected);
        }
        let start = self.at;
        self.string()?;
        self.set_top(Step::Key(start));
        if self.peek() != Some(b':') {
            return self.expected("a colon");
        }
        self.at += 1;
        Ok(())
    }

    fn scalar(&mut self) -> Checked {
        match self.peek() {
            Some(b'"') => self.string(),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word(b"true"),
            Some(b'f') => self.word(b"false"),
            Some(b'n') => self.word(b"null"),
            _ => self.expected("a value"),
        }
    }

    fn word(&mut self, word: &[u8]) -> Checked {
        let end = self.at + word.len();
        let is_more = self.text.get(end).is_some_and(u8::is_ascii_alphanumeric);
        if is_more || self.text.get(self.at..end) != Some(word) {
            return self.expected("a value");
        }
        self.at = end;
        Ok(())
    }

    fn number(&mut self) -> Checked {
        let _ = self.takes(b"-");
        if self.takes(b"0") {
            if self.text.get(self.at).is_some_and(u8::is_ascii_digit) {
                return Err(Fault { at: self.at - 1, what: What::Said("a number must not begin with 0") });
            }
        } else {
            self.digits()?;
        }
        if self.takes(b".") {
            self.digits()?;
        }
        if self.takes(b"eE") {
            let _ = self.takes(b"+-");
            self.digits()?;
        }
        Ok(())
    }

    /// Takes one digit or more.
    fn digits(&mut self) -> Checked {
        if !self.takes(b"0123456789") {
            return self.expected("a digit");
        }
        while self.takes(b"0123456789") {}
        Ok(())
    }

    /// Takes the next byte if it is one of these.
    fn takes(&mut self, bytes: &[u8]) -> bool {
        let is_one = self.text.get(self.at).is_some_and(|byte| bytes.contains(byte));
        self.at += usize::from(is_one);
        is_one
    }

    /// The length of the escape sequence that begins here.
    fn escape(&mut self) -> Result<usize, Fault> {
        if let Some((_, length)) = self.text.get(self.at..).and_then(escape) {
            return Ok(length);
        }
        let what = match self.text.get(self.at + 1) {
            Some(b'u') => "\\u needs four hexadecimal digits, and half of a surrogate pair its other half",
            _ => "JSON has no such escape",
        };
        Err(Fault { at: self.at, what: What::Said(what) })
    }

    fn top(&self) -> Step {
        self.steps[self.depth - 1]
    }

    fn set_top(&mut self, step: Step) {
        self.steps[self.depth - 1] = step;
    }

    fn expected(&self, what: &'static str) -> Checked {
        self.fault(What::Expected(what))
    }

    fn fault(&self, what: What) -> Checked {
        Err(Fault { at: self.at, what })
    }
}
