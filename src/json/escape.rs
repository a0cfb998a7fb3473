//! Escape sequences in strings: what each means, and a string without them.

use crate::mem::{Arena, Full};

/// The character that the escape sequence at the start of `text` means, and its length in bytes.
/// `None`: it is not one of JSON's, or half of a surrogate pair.
pub fn escape(text: &[u8]) -> Option<(char, usize)> {
    let character = match text.get(1)? {
        b'u' => return unicode(text),
        b'n' => '\n',
        b't' => '\t',
        b'r' => '\r',
        b'b' => '\x08',
        b'f' => '\x0c',
        itself @ (b'"' | b'\\' | b'/') => char::from(*itself),
        _ => return None,
    };
    Some((character, 2))
}

/// Characters above U+FFFF are written as two UTF-16 units.
fn unicode(text: &[u8]) -> Option<(char, usize)> {
    let high = unit(text)?;
    if !(0xd800..0xdc00).contains(&high) {
        return Some((char::from_u32(high)?, 6));
    }
    let low = unit(text.get(6..)?)?.checked_sub(0xdc00).filter(|low| *low < 0x400)?;
    Some((char::from_u32(0x10000 + ((high - 0xd800) << 10) + low)?, 12))
}

/// The number in `\uXXXX`.
fn unit(text: &[u8]) -> Option<u32> {
    let digits = text.get(..6)?.strip_prefix(b"\\u")?;
    digits.iter().try_fold(0, |number, digit| Some(number << 4 | char::from(*digit).to_digit(16)?))
}

/// `raw` as it is if it has no escapes, else written out in the arena. Errors: [`Full`].
///
/// The grammar of `raw` was checked before; what would still not be an escape is dropped.
pub fn unescape<'a>(raw: &'a str, arena: &Arena<'a>) -> Result<&'a str, Full> {
    if !raw.contains('\\') {
        return Ok(raw);
    }
    let bytes = arena.append(|push| {
        let mut rest = raw.as_bytes();
        while let Some((first, tail)) = rest.split_first() {
            if *first != b'\\' {
                push(*first)?;
                rest = tail;
                continue;
            }
            let (character, length) = escape(rest).unwrap_or_default();
            for byte in character.encode_utf8(&mut [0; 4]).bytes() {
                push(byte)?;
            }
            rest = rest.get(length..).filter(|_| length > 0).unwrap_or_default();
        }
        Ok::<(), Full>(())
    })?;
    // Whole characters one after the other are UTF-8, so this cannot fail.
    core::str::from_utf8(bytes).map_err(|_| Full)
}
