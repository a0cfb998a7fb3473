//! System calls that an old kernel lacks, taken away from the runtime: a fallback that is not tested does not exist.

use crate::sys::{self, Outcome, Refusal};

/// The calls that are taken away one by one, then all together.
const NEWER: [&str; 14] = [
    "openat2",
    "clone3",
    "fsopen",
    "fsconfig",
    "fsmount",
    "fspick",
    "move_mount",
    "open_tree",
    "mount_setattr",
    "close_range",
    "pidfd_open",
    "pidfd_send_signal",
    "pidfd_getfd",
    "faccessat2",
];

/// What stands before a list where the answer is not an old kernel's ENOSYS but that of an outer sandbox which does not know the calls.
const EPERM: &str = "EPERM:";

/// The same where it is that of a security module.
const EACCES: &str = "EACCES:";

/// The numbers of calls that are named in a list with commas, and what they are answered.
pub fn numbers(names: &str) -> Outcome<Vec<Refusal>> {
    let answered = |prefix, errno| names.strip_prefix(prefix).map(|names| (names, errno));
    let (names, errno) = answered(EPERM, libc::EPERM).or(answered(EACCES, libc::EACCES)).unwrap_or((names, libc::ENOSYS));
    names
        .split(',')
        .filter(|name| !name.is_empty())
        .map(|name| sys::number_of(name).map(|number| (number, errno)).ok_or(format!("unknown system call {name:?}")))
        .collect()
}

/// What a set is called behind a case's name.
pub fn title(set: &str) -> String {
    let (names, answer) = set.strip_prefix(EPERM).map_or((set, ""), |names| (names, " (EPERM)"));
    format!("{}{answer}", if names.contains(',') { "all newer calls" } else { names })
}

/// Each set of calls to refuse; a slow machine tries them together only. One by one with EPERM as well where OCINIT_TEST_REFUSE_ALL is set.
pub fn sets() -> Vec<String> {
    let all = NEWER.join(",");
    let singles = |prefix: &str| NEWER.map(|name| format!("{prefix}{name}"));
    let mut sets = vec![all.clone(), format!("{EPERM}{all}")];
    if !crate::is_slow() {
        sets.extend(singles(""));
    }
    if std::env::var_os("OCINIT_TEST_REFUSE_ALL").is_some() {
        sets.extend(singles(EPERM));
    }
    sets
}
