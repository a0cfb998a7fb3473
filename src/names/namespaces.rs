//! The kinds of namespaces: the specification's name, the kernel's flag, the file in /proc.

use linux_raw_sys::general::{
    CLONE_NEWCGROUP, CLONE_NEWIPC, CLONE_NEWNET, CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWTIME, CLONE_NEWUSER, CLONE_NEWUTS,
};

/// A kind of namespace; the order is that of [`NAMESPACES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Namespace {
    /// Users, groups and capabilities.
    User,
    /// System V IPC and POSIX message queues.
    Ipc,
    /// Host name and domain name.
    Uts,
    /// Network devices, addresses, routes, ports.
    Network,
    /// Process ids.
    Pid,
    /// Mount points.
    Mount,
    /// The root of what a process sees of the cgroup tree.
    Cgroup,
    /// The offsets of the monotonic and the boot clock.
    Time,
}

/// All kinds, the user namespace first: it gives the rights over the others, so that new ones are made in this order.
pub const NAMESPACES: [Namespace; 8] = [
    Namespace::User,
    Namespace::Ipc,
    Namespace::Uts,
    Namespace::Network,
    Namespace::Pid,
    Namespace::Mount,
    Namespace::Cgroup,
    Namespace::Time,
];

/// The kind that `linux.namespaces[].type` names, such as `network`.
pub fn namespace(name: &str) -> Option<Namespace> {
    NAMESPACES.into_iter().find(|kind| kind.name() == name)
}

impl Namespace {
    /// The name in config.json.
    pub const fn name(self) -> &'static str {
        self.row().0
    }

    /// The name below /proc/PID/ns (namespaces(7)).
    pub const fn file(self) -> &'static str {
        self.row().1
    }

    /// The CLONE_NEW* flag of clone3(2), unshare(2) and setns(2).
    pub const fn flag(self) -> u32 {
        self.row().2
    }

    const fn row(self) -> (&'static str, &'static str, u32) {
        match self {
            Namespace::User => ("user", "user", CLONE_NEWUSER),
            Namespace::Ipc => ("ipc", "ipc", CLONE_NEWIPC),
            Namespace::Uts => ("uts", "uts", CLONE_NEWUTS),
            Namespace::Network => ("network", "net", CLONE_NEWNET),
            Namespace::Pid => ("pid", "pid", CLONE_NEWPID),
            Namespace::Mount => ("mount", "mnt", CLONE_NEWNS),
            Namespace::Cgroup => ("cgroup", "cgroup", CLONE_NEWCGROUP),
            Namespace::Time => ("time", "time", CLONE_NEWTIME),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_those_of_the_c_library() {
        let flags = [
            ("user", libc::CLONE_NEWUSER),
            ("ipc", libc::CLONE_NEWIPC),
            ("uts", libc::CLONE_NEWUTS),
            ("network", libc::CLONE_NEWNET),
            ("pid", libc::CLONE_NEWPID),
            ("mount", libc::CLONE_NEWNS),
            ("cgroup", libc::CLONE_NEWCGROUP),
            ("time", 0x80),
        ];
        for (name, flag) in flags {
            assert_eq!(namespace(name).unwrap().flag(), flag as u32, "{name}");
        }
    }

    #[test]
    fn the_running_kernel_has_a_file_for_every_kind() {
        for kind in NAMESPACES {
            let path = format!("/proc/self/ns/{}", kind.file());
            let link = std::fs::read_link(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
            assert!(link.to_str().unwrap().starts_with(kind.file()), "{link:?}");
        }
    }

    #[test]
    fn a_kind_is_named_by_the_specification_and_not_by_its_file() {
        for name in ["net", "mnt", "PID", ""] {
            assert_eq!(namespace(name), None, "{name}");
        }
    }
}
