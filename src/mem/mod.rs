//! Fixed memory: one arena, the lists and key sets that live in it, paths in place, text that truncates instead of failing, texts put aside.
//!
//! Nothing here knows what is stored.
#![allow(unsafe_code, reason = "the arena hands out memory; with `sys` this is the only floor that may")]

mod arena;
mod aside;
mod keys;
mod list;
mod path;
mod sort;
mod text;

pub use arena::{Arena, Full};
pub use aside::{Aside, Words};
pub use keys::Keys;
pub use list::List;
pub use path::PathBuffer;
pub use sort::sort;
pub use text::Text;
