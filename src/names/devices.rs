//! The letters of device types.

use linux_raw_sys::general::{S_IFBLK, S_IFCHR, S_IFIFO};

/// The file type bits of `linux.devices[].type`: `c` and `u` (character), `b` (block), `p` (FIFO).
pub fn device_type(letter: &str) -> Option<u32> {
    match letter {
        "c" | "u" => Some(S_IFCHR),
        "b" => Some(S_IFBLK),
        "p" => Some(S_IFIFO),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_the_file_types_of_mknod() {
        for (letter, bits) in [("c", libc::S_IFCHR), ("u", libc::S_IFCHR), ("b", libc::S_IFBLK), ("p", libc::S_IFIFO)] {
            assert_eq!(device_type(letter), Some(bits), "{letter}");
        }
        assert_eq!(device_type("a"), None);
        assert_eq!(device_type(""), None);
    }
}
