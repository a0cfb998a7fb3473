//! System calls that an old kernel lacks, taken away from the runtime: a fallback that is not tested does not exist.

use crate::sys::{self, Outcome};

/// The calls that are taken away one by one, then all together.
const NEWER: [&str; 9] =
    ["openat2", "clone3", "fsopen", "fsmount", "move_mount", "open_tree", "mount_setattr", "close_range", "pidfd_open"];

/// The numbers of calls that are named in a list with commas.
pub fn numbers(names: &str) -> Outcome<Vec<u32>> {
    names
        .split(',')
        .filter(|name| !name.is_empty())
        .map(|name| sys::number_of(name).ok_or(format!("unknown system call {name:?}")))
        .collect()
}

/// Each set of calls to refuse, as a list with commas; a slow machine tries them together only.
pub fn sets() -> Vec<String> {
    let one_by_one = if crate::is_slow() { &[][..] } else { &NEWER[..] };
    one_by_one.iter().map(|name| name.to_string()).chain([NEWER.join(",")]).collect()
}
