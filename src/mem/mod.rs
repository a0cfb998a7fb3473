//! Fixed memory: one arena, the lists and key sets that live in it, paths in place, text that truncates instead of failing, texts put aside,
//! and tables of names.
//!
//! Nothing here knows what is stored.
#![allow(unsafe_code, reason = "the arena hands out memory; with `sys` this is the only floor that may")]

mod arena;
mod aside;
mod keys;
mod list;
mod names;
mod path;
mod sort;
mod text;

pub use arena::{Arena, Full};
pub use aside::{Aside, Words};
pub use keys::Keys;
pub use list::List;
pub use names::Names;
pub(crate) use names::names;
pub use path::PathBuffer;
pub use sort::sort;
pub use text::Text;
