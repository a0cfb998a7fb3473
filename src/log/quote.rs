//! Foreign bytes made fit to stand in a message. Nothing is ever cut off or interpreted.

use core::fmt::{self, Display, Formatter, Write};

/// Bytes that should be text; what is not UTF-8 shows as U+FFFD.
pub struct Lossy<'a>(pub &'a [u8]);

/// Text in double quotes, as Go's `%q` writes it: what cannot be printed is escaped, so that it cannot disturb a log or a terminal.
pub struct Quoted<'a>(pub &'a [u8]);

/// Escapes, as inside of [`Quoted`], whatever is written to it.
pub struct Escaping<'w>(pub &'w mut dyn Write);

impl Display for Lossy<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            f.write_str(chunk.valid())?;
            if !chunk.invalid().is_empty() {
                f.write_char(char::REPLACEMENT_CHARACTER)?;
            }
        }
        Ok(())
    }
}

impl Display for Quoted<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for chunk in self.0.utf8_chunks() {
            Escaping(f).write_str(chunk.valid())?;
            for byte in chunk.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        f.write_char('"')
    }
}

impl Write for Escaping<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.chars().try_for_each(|character| self.write_char(character))
    }

    fn write_char(&mut self, character: char) -> fmt::Result {
        let short = match character {
            '"' => "\\\"",
            '\\' => "\\\\",
            '\x07' => "\\a",
            '\x08' => "\\b",
            '\x0c' => "\\f",
            '\n' => "\\n",
            '\r' => "\\r",
            '\t' => "\\t",
            '\x0b' => "\\v",
            '\0'..='\x1f' | '\x7f' => return write!(self.0, "\\x{:02x}", character as u32),
            _ if is_invisible(character) => return write!(self.0, "\\u{:04x}", character as u32),
            _ => return self.0.write_char(character),
        };
        self.0.write_str(short)
    }
}

/// The controls, spaces and marks beyond ASCII that change how a line looks. Go has a table of all unprintable
/// characters; its weight is not worth it here.
fn is_invisible(character: char) -> bool {
    matches!(character, '\u{80}'..='\u{a0}' | '\u{ad}' | '\u{2000}'..='\u{200f}' | '\u{2028}'..='\u{202f}' | '\u{205f}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoting_is_that_of_go() {
        for (bytes, quoted) in [
            (&b""[..], r#""""#),
            (b"abc", r#""abc""#),
            (b"say \"hi\"", r#""say \"hi\"""#),
            (b"back\\slash", r#""back\\slash""#),
            (b"\x07\x08\x0c\n\r\t\x0b", r#""\a\b\f\n\r\t\v""#),
            (b"\x00\x1b\x7f", r#""\x00\x1b\x7f""#),
            ("äß€😀".as_bytes(), "\"äß€😀\""),
            (b"a\xff\xfeb", r#""a\xff\xfeb""#),
            (b"\xe2\x82", r#""\xe2\x82""#),
            ("\u{2028}\u{ad}\u{85}".as_bytes(), r#""\u2028\u00ad\u0085""#),
        ] {
            assert_eq!(Quoted(bytes).to_string(), quoted);
        }
    }

    #[test]
    fn bytes_that_are_not_text_are_replaced() {
        assert_eq!(Lossy(b"a\xffb\xe2\x82").to_string(), "a\u{fffd}b\u{fffd}");
        assert_eq!(Lossy("é".as_bytes()).to_string(), "é");
    }
}
