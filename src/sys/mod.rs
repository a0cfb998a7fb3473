//! The kernel boundary: thin and typed, rustix inside, raw calls where rustix has none. Nothing above names an instruction set.
#![allow(unsafe_code, reason = "with `mem` this is the only floor that may")]

mod libc;

pub use libc::{abort, strerror};
pub use rustix::io::Errno;
