//! JSON, read into typed values in memory of a fixed size. What is written is texts with the few places that vary, by those who print it.
//!
//! Must: refuse whatever RFC 8259 refuses, and name the place. Mustn't: know what the fields mean.

mod error;
mod escape;
mod field;
mod place;
mod read;
mod scan;

#[cfg(test)]
mod tests;

pub use error::{Error, Note, Notes, Oddity, Wanted, What};
pub(crate) use field::object;
pub use field::{Elements, Entries, Entry, Field, Fill, Object, Slot, clear};
pub use place::{Path, Place};
pub use read::read;
pub use scan::DEPTH;
