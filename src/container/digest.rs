//! SHA-256, and bytes as hexadecimal digits.

use core::fmt;

/// The SHA-256 of some bytes, in hexadecimal digits.
pub struct Digest<'b>(pub &'b [u8]);

impl fmt::Display for Digest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Hex(&hmac_sha256::Hash::hash(self.0)).fmt(f)
    }
}

/// Bytes in hexadecimal digits.
pub struct Hex<'b>(pub &'b [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
