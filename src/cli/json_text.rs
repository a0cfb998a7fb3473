//! JSON as Go's encoder lays it out, because callers compare text: a filter that indents compact JSON, and quoted strings.
//! It must not know what the JSON says, and does not check it.

use core::fmt::{self, Write};

/// Indents compact JSON that is written to it. Empty lists and objects stay on one line; no newline follows the end.
pub struct Indent<'w> {
    out: &'w mut dyn Write,
    /// What one level is indented by.
    unit: &'static str,
    depth: usize,
    at: At,
}

/// Where in the text we are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum At {
    /// Anywhere else.
    Plain,
    /// Right behind an opening bracket.
    Opening,
    /// In a string.
    String,
    /// In a string, behind a backslash.
    Escape,
}

impl<'w> Indent<'w> {
    /// A filter in front of `out` that indents each level by `unit`.
    pub fn new(unit: &'static str, out: &'w mut dyn Write) -> Self {
        Indent { out, unit, depth: 0, at: At::Plain }
    }

    fn line(&mut self) -> fmt::Result {
        self.out.write_char('\n')?;
        (0..self.depth).try_for_each(|_| self.out.write_str(self.unit))
    }

    /// Before the first thing in a list or an object a line begins.
    fn begin(&mut self) -> fmt::Result {
        if self.at != At::Opening {
            return Ok(());
        }
        self.at = At::Plain;
        self.line()
    }

    fn outside(&mut self, character: char) -> fmt::Result {
        if matches!(character, '}' | ']') {
            self.depth -= 1;
            if self.at != At::Opening {
                self.line()?;
            }
            self.at = At::Plain;
            return self.out.write_char(character);
        }
        self.begin()?;
        self.out.write_char(character)?;
        match character {
            ',' => self.line()?,
            ':' => self.out.write_char(' ')?,
            '"' => self.at = At::String,
            '{' | '[' => {
                self.depth += 1;
                self.at = At::Opening;
            }
            _ => {}
        }
        Ok(())
    }
}

impl Write for Indent<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.chars().try_for_each(|character| self.write_char(character))
    }

    fn write_char(&mut self, character: char) -> fmt::Result {
        self.at = match (self.at, character) {
            (At::Plain | At::Opening, _) => return self.outside(character),
            (At::String, '\\') => At::Escape,
            (At::String, '"') => At::Plain,
            _ => At::String,
        };
        self.out.write_char(character)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn indented(json: &str) -> String {
        let mut text = String::new();
        Indent::new("  ", &mut text).write_str(json).unwrap();
        text
    }

    #[test]
    fn each_level_is_indented_once_more() {
        let expected = "{\n  \"a\": 1,\n  \"b\": [\n    true,\n    {\n      \"c\": null\n    }\n  ]\n}";
        assert_eq!(indented(r#"{"a":1,"b":[true,{"c":null}]}"#), expected);
    }

    #[test]
    fn what_is_empty_stays_on_one_line() {
        assert_eq!(indented(r#"{"a":[],"b":{},"c":[[]]}"#), "{\n  \"a\": [],\n  \"b\": {},\n  \"c\": [\n    []\n  ]\n}");
        assert_eq!(indented("[]"), "[]");
        assert_eq!(indented("null"), "null");
    }

    #[test]
    fn brackets_and_commas_in_strings_are_text() {
        assert_eq!(indented(r#"["a,b:{[","\"]","\\"]"#), "[\n  \"a,b:{[\",\n  \"\\\"]\",\n  \"\\\\\"\n]");
    }
}
