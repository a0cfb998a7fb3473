//! A path that is put together in place, with its NUL: for processes that may not use the arena.

use core::ffi::CStr;

/// The longest path that the kernel takes, its NUL included.
const PATH_MAX: usize = 4096;

/// A path of at most [`PATH_MAX`] bytes.
pub struct PathBuffer {
    bytes: [u8; PATH_MAX],
    len: usize,
}

impl PathBuffer {
    /// An empty path.
    pub const fn new() -> Self {
        PathBuffer { bytes: [0; PATH_MAX], len: 0 }
    }

    /// Makes it the pieces one after the other; whether they fit, and hold no NUL.
    pub fn set(&mut self, pieces: &[&[u8]]) -> bool {
        self.len = 0;
        for byte in pieces.iter().flat_map(|piece| piece.iter()) {
            if self.len + 1 == PATH_MAX || *byte == 0 {
                self.len = 0;
                return false;
            }
            self.bytes[self.len] = *byte;
            self.len += 1;
        }
        self.bytes[self.len] = 0;
        true
    }

    /// The path.
    pub fn as_c_str(&self) -> &CStr {
        CStr::from_bytes_with_nul(&self.bytes[..=self.len]).unwrap_or(c"")
    }
}

impl Default for PathBuffer {
    fn default() -> Self {
        PathBuffer::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_the_pieces_or_empty() {
        let mut path = PathBuffer::new();
        assert!(path.set(&[b"/usr", b"/", b"bin"]));
        assert_eq!(path.as_c_str(), c"/usr/bin");
        assert!(!path.set(&[b"a\0b"]) && path.as_c_str() == c"");
        assert!(path.set(&[&[b'x'; PATH_MAX - 1]]) && !path.set(&[&[b'x'; PATH_MAX]]));
    }
}
