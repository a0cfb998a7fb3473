//! `linux.sysctl`: only what belongs to a namespace of the container may be set.

use super::namespaces::Namespaces;
use super::{Report, Rule, TOP, Value, error};
use crate::names::Namespace;
use crate::spec::Linux;

/// The settings of System V IPC; those of POSIX message queues are all below `fs.mqueue.`.
const IPC: [&str; 8] = [
    "kernel.msgmax",
    "kernel.msgmnb",
    "kernel.msgmni",
    "kernel.sem",
    "kernel.shmall",
    "kernel.shmmax",
    "kernel.shmmni",
    "kernel.shm_rmid_forced",
];

pub(super) fn check(linux: &Linux<'_>, namespaces: &Namespaces, report: &mut Report<'_>) {
    let top = TOP.key("linux");
    let at = &top.key("sysctl");
    for entry in &linux.sysctl {
        let at = &at.key(entry.key);
        if let Some(rule) = broken(&Dotted::new(entry.key), namespaces) {
            report.say_all(at, rule, &[Value::Sysctl(entry.key)]);
        }
        report.no_nul(at, "", entry.value);
    }
}

fn broken(name: &Dotted<'_>, namespaces: &Namespaces) -> Option<Rule> {
    let has = |kind| namespaces.has(kind);
    if !name.is_path() {
        return Some(error!("", "sysctl \"{}\" is not a valid name"));
    }
    if name.is_below("fs.mqueue.") || IPC.iter().any(|known| name.is(known)) {
        return (!has(Namespace::Ipc)).then_some(error!("", "sysctl \"{}\" is not allowed in the hosts ipc namespace"));
    }
    if name.is_below("net.") {
        return (!has(Namespace::Network)).then_some(error!("", "sysctl \"{}\" not allowed in host network namespace"));
    }
    if has(Namespace::Uts) && name.is("kernel.hostname") {
        return Some(error!("", "sysctl \"{}\" is not allowed as it conflicts with the OCI \"hostname\" field"));
    }
    let is_own = has(Namespace::Uts) && name.is("kernel.domainname") || has(Namespace::User) && name.is_below("user.");
    (!is_own).then_some(error!("", "sysctl \"{}\" is not in a separate kernel namespace"))
}

/// A name with dots between its parts. If the first separator was a slash, slashes and dots change places (sysctl.d(5)), so that
/// `net/ipv4/conf/eno2.100` is `net.ipv4.conf.eno2/100`: without memory of its own, since most names need no change.
pub(super) struct Dotted<'p> {
    name: &'p str,
    is_swapped: bool,
}

impl<'p> Dotted<'p> {
    pub(super) fn new(name: &'p str) -> Self {
        let separator = name.bytes().find(|byte| matches!(byte, b'.' | b'/'));
        Dotted { name, is_swapped: separator == Some(b'/') }
    }

    /// What stands for this character of the name as it is written.
    pub(super) fn character(&self, written: char) -> char {
        match written {
            '.' if self.is_swapped => '/',
            '/' if self.is_swapped => '.',
            other => other,
        }
    }

    fn is(&self, name: &str) -> bool {
        self.name.len() == name.len() && self.starts(name)
    }

    fn is_below(&self, start: &str) -> bool {
        self.name.len() > start.len() && self.starts(start)
    }

    fn starts(&self, start: &str) -> bool {
        self.name.chars().zip(start.chars()).all(|(written, expected)| self.character(written) == expected)
    }

    /// Whether no part would be nothing, `.` or `..` in the path of its file: that would be a way out of the namespace's part of it.
    fn is_path(&self) -> bool {
        let mut has_name = false;
        for character in self.name.chars() {
            match self.character(character) {
                '.' if !has_name => return false,
                '.' => has_name = false,
                '\0' => return false,
                other => has_name |= other != '/',
            }
        }
        has_name
    }
}
