//! `linux.sysctl`: only what belongs to a namespace of the container may be set.

use core::fmt::{self, Write};

use super::namespaces::Namespaces;
use super::{At, Report, Shown, TOP};
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
    for entry in &linux.sysctl {
        let (list, name) = (top.key("sysctl"), Dotted(entry.key));
        let at = &list.key(entry.key);
        if name.is_path() {
            namespaced(&name, namespaces, at, report);
        } else {
            report.error(at, format_args!("sysctl \"{name}\" is not a valid name"));
        }
        report.no_nul(at, entry.value);
    }
}

fn namespaced(name: &Dotted<'_>, namespaces: &Namespaces, at: &At<'_>, report: &mut Report<'_>) {
    let is_ipc = IPC.iter().any(|known| name.is(known)) || name.is_below("fs.mqueue.");
    if is_ipc {
        if !namespaces.has(Namespace::Ipc) {
            report.error(at, format_args!("sysctl \"{name}\" is not allowed in the hosts ipc namespace"));
        }
    } else if name.is_below("net.") {
        if !namespaces.has(Namespace::Network) {
            report.error(at, format_args!("sysctl \"{name}\" not allowed in host network namespace"));
        }
    } else if namespaces.has(Namespace::Uts) && name.is("kernel.hostname") {
        report.error(at, format_args!("sysctl \"{name}\" is not allowed as it conflicts with the OCI \"hostname\" field"));
    } else {
        let is_own =
            namespaces.has(Namespace::Uts) && name.is("kernel.domainname") || namespaces.has(Namespace::User) && name.is_below("user.");
        if !is_own {
            report.error(at, format_args!("sysctl \"{name}\" is not in a separate kernel namespace"));
        }
    }
}

/// A name with dots between its parts. If the first separator was a slash, slashes and dots change places (sysctl.d(5)), so that
/// `net/ipv4/conf/eno2.100` is `net.ipv4.conf.eno2/100`: without memory of its own, since most names need no change.
struct Dotted<'p>(&'p str);

impl Dotted<'_> {
    fn characters(&self) -> impl Iterator<Item = char> {
        let is_swapped = self.0.chars().find(|character| matches!(character, '.' | '/')) == Some('/');
        self.0.chars().map(move |character| match character {
            '.' if is_swapped => '/',
            '/' if is_swapped => '.',
            other => other,
        })
    }

    fn is(&self, name: &str) -> bool {
        self.characters().eq(name.chars())
    }

    fn is_below(&self, start: &str) -> bool {
        let mut characters = self.characters();
        start.chars().all(|expected| characters.next() == Some(expected)) && characters.next().is_some()
    }

    /// Whether no part would be nothing, `.` or `..` in the path of its file: that would be a way out of the namespace's part of it.
    fn is_path(&self) -> bool {
        let (mut length, mut has_name) = (0, false);
        for character in self.characters().chain(['.']) {
            match character {
                '.' if !has_name || length == 0 => return false,
                '.' => (length, has_name) = (0, false),
                '\0' => return false,
                other => (length, has_name) = (length + 1, has_name || other != '/'),
            }
        }
        true
    }
}

impl fmt::Display for Dotted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.characters().try_for_each(|character| match character {
            ' '.. => f.write_char(character),
            _ => write!(f, "{}", Shown(character.encode_utf8(&mut [0; 4]))),
        })
    }
}
