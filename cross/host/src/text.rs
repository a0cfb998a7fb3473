//! Names out of archives, as they may be shown and kept: a hostile one must not speak to the terminal.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// A path for a message: control characters and what is no UTF-8 are escaped.
pub fn shown(path: impl AsRef<Path>) -> String {
    String::from_utf8_lossy(path.as_ref().as_os_str().as_bytes()).escape_debug().to_string()
}

/// Bytes in the unit that a person reads.
pub fn bytes(count: u64) -> String {
    match count {
        0..10_000 => format!("{count} B"),
        10_000..10_000_000 => format!("{} KB", count / 1000),
        _ => format!("{}.{} MB", count / 1_000_000, count / 100_000 % 10),
    }
}

/// What `--max-size` takes: a number with K, M or G, which are powers of 1024.
pub fn parse_size(word: &str) -> Option<u64> {
    let digits = word.trim_end_matches(['K', 'M', 'G']);
    let shift = match &word[digits.len()..] {
        "" => 0,
        "K" => 10,
        "M" => 20,
        "G" => 30,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(1 << shift)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_escaped() {
        assert_eq!(shown("a\x1b[2Jb"), "a\\u{1b}[2Jb");
    }

    #[test]
    fn sizes_are_powers_of_1024() {
        assert_eq!(parse_size("4G"), Some(4 << 30));
        assert_eq!(parse_size("17"), Some(17));
        assert_eq!(parse_size("1KM"), None);
        assert_eq!(parse_size("99999999999999G"), None);
    }
}
