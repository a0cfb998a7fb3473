//! JSON, read into typed values and written from them, in memory of a fixed size.
//!
//! Must: refuse whatever RFC 8259 refuses, and name the place. Mustn't: know what the fields mean.

mod error;
mod escape;
mod field;
mod place;
mod read;
mod scan;
mod write;

#[cfg(test)]
mod tests;

pub use error::{Error, Note, Notes, Oddity, Wanted, What};
pub(crate) use field::object;
pub use field::{Elements, Entries, Entry, Field, Fill, Object, Slot, clear};
pub use place::{Path, Place};
pub use read::read;
pub use scan::DEPTH;
pub use write::{Indent, List, Object as ObjectWriter, Writer};
