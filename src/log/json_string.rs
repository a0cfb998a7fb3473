//! Text as a JSON string, escaped as Go's encoding/json does.

use core::fmt::{self, Display, Formatter, Write};

/// A text as a JSON string, with its quotes. Like Go's it is safe to stand in HTML.
pub struct JsonString<'a>(pub &'a str);

/// Escapes, as inside of a [`JsonString`], whatever is written to it.
pub struct JsonEscaping<'w>(pub &'w mut dyn Write);

impl Display for JsonString<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        JsonEscaping(f).write_str(self.0)?;
        f.write_char('"')
    }
}

impl Write for JsonEscaping<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.chars().try_for_each(|character| self.write_char(character))
    }

    fn write_char(&mut self, character: char) -> fmt::Result {
        let short = match character {
            '"' => "\\\"",
            '\\' => "\\\\",
            '\x08' => "\\b",
            '\x0c' => "\\f",
            '\n' => "\\n",
            '\r' => "\\r",
            '\t' => "\\t",
            '\0'..='\x1f' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => return write!(self.0, "\\u{:04x}", character as u32),
            _ => return self.0.write_char(character),
        };
        self.0.write_str(short)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_escaped_as_go_does() {
        assert_eq!(JsonString("a\"\\/\n\r\t\x08\x0c\x01\x7f").to_string(), "\"a\\\"\\\\/\\n\\r\\t\\b\\f\\u0001\x7f\"");
        assert_eq!(JsonString("a<b>&&c\u{2028}é😀").to_string(), "\"a\\u003cb\\u003e\\u0026\\u0026c\\u2028é😀\"");
    }
}
