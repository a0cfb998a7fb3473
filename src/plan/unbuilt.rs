//! Fields of config.json that this version does not honour yet: refused by name, so that nothing weaker than asked for is started.
//!
//! This file is to become empty.

use crate::error::{Error, Result};
use crate::mem::Arena;
use crate::spec::{Config, Linux};

/// Errors: the first field that is written and would be ignored.
pub fn refuse<'a>(config: &Config<'a>, arena: &Arena<'a>) -> Result<'a, ()> {
    let linux = config.linux.as_ref().map(of_linux).unwrap_or_default();
    match linux.iter().find(|(is_written, _)| *is_written) {
        Some((_, field)) => {
            Err(Error::text(field, "", arena.format(format_args!("ocinit {} does not honour it yet", env!("CARGO_PKG_VERSION")))?))
        }
        None => Ok(()),
    }
}

fn of_linux(linux: &Linux<'_>) -> [(bool, &'static str); 5] {
    [
        (linux.seccomp.is_some_and(|profile| !profile.listener_path.is_empty()), "linux.seccomp.listenerPath"),
        Default::default(),
        Default::default(),
        Default::default(),
        Default::default(),
    ]
}
