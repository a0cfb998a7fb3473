//! The mount options that are not data of a file system but the runtime's to understand.

use linux_raw_sys::general as k;

use super::Table;
use Does::{Clear, IdMap, Propagate, RecursiveClear, RecursiveSet, Set, TmpCopyUp};

/// What one option of `mounts[].options` asks for. Options are applied in the order in which they are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MountOption {
    /// MS_* bits of mount(2). Apply as `flags = flags & !clear | set`; bits that were cleared on purpose are worth remembering,
    /// because a locked flag may not silently be put back (`cleared = cleared & !set | clear`).
    Flag {
        /// Bits to set.
        set: u32,
        /// Bits to clear.
        clear: u32,
    },
    /// The propagation type: one MS_* bit, perhaps with MS_REC. It takes a mount(2) call of its own.
    Propagation(u32),
    /// MOUNT_ATTR_* bits for mount_setattr(2) with AT_RECURSIVE: `attr_set = attr_set & !clear | set`, `attr_clr = attr_clr & !set | clear`.
    Recursive {
        /// Bits for `attr_set`.
        set: u64,
        /// Bits for `attr_clr`.
        clear: u64,
    },
    /// Fill a new tmpfs with what the mount point holds.
    TmpCopyUp,
    /// Map the owners of the files, in the mounts below too if `recursive`.
    IdMap {
        /// Whether the option was `ridmap`.
        recursive: bool,
    },
}

/// What the option of this name asks for. `None`: it is data for the file system.
pub fn mount_option(name: &str) -> Option<MountOption> {
    let (does, bits) = OPTIONS.find(name)?;
    Some(match does {
        Set => MountOption::Flag { set: bits, clear: 0 },
        Clear => MountOption::Flag { set: 0, clear: bits },
        Propagate => MountOption::Propagation(bits),
        RecursiveSet => MountOption::Recursive { set: u64::from(bits), clear: times(bits) },
        RecursiveClear => MountOption::Recursive { set: 0, clear: u64::from(bits) },
        TmpCopyUp => MountOption::TmpCopyUp,
        IdMap => MountOption::IdMap { recursive: bits != 0 },
    })
}

/// The names of all options, sorted.
pub fn mount_options() -> impl Iterator<Item = &'static str> {
    OPTIONS.names.iter()
}

/// The access time attributes are one choice of three in several bits: the kernel wants all of the bits cleared to set one,
/// and 0 is the choice `relatime` (mount_setattr(2)).
fn times(set: u32) -> u64 {
    if set & ATIME == set { u64::from(ATIME) } else { 0 }
}

const ATIME: u32 = k::MOUNT_ATTR__ATIME;

#[derive(Clone, Copy)]
enum Does {
    Set,
    Clear,
    Propagate,
    RecursiveSet,
    RecursiveClear,
    TmpCopyUp,
    IdMap,
}

/// Name, meaning, bits; sorted by name.
#[rustfmt::skip]
const OPTIONS: Table<(Does, u32)> = table![
    "async" => (Clear, k::MS_SYNCHRONOUS),
    "atime" => (Clear, k::MS_NOATIME),
    "bind" => (Set, k::MS_BIND),
    "defaults" => (Set, 0),
    "dev" => (Clear, k::MS_NODEV),
    "diratime" => (Clear, k::MS_NODIRATIME),
    "dirsync" => (Set, k::MS_DIRSYNC),
    "exec" => (Clear, k::MS_NOEXEC),
    "idmap" => (IdMap, 0),
    "iversion" => (Set, k::MS_I_VERSION),
    "lazytime" => (Set, k::MS_LAZYTIME),
    "loud" => (Clear, k::MS_SILENT),
    "mand" => (Set, k::MS_MANDLOCK),
    "noatime" => (Set, k::MS_NOATIME),
    "nodev" => (Set, k::MS_NODEV),
    "nodiratime" => (Set, k::MS_NODIRATIME),
    "noexec" => (Set, k::MS_NOEXEC),
    "noiversion" => (Clear, k::MS_I_VERSION),
    "nolazytime" => (Clear, k::MS_LAZYTIME),
    "nomand" => (Clear, k::MS_MANDLOCK),
    "norelatime" => (Clear, k::MS_RELATIME),
    "nostrictatime" => (Clear, k::MS_STRICTATIME),
    "nosuid" => (Set, k::MS_NOSUID),
    "nosymfollow" => (Set, k::MS_NOSYMFOLLOW),
    "private" => (Propagate, k::MS_PRIVATE),
    // The kernel has no `atime` attribute beside relatime, noatime and strictatime: not noatime is relatime.
    "ratime" => (RecursiveClear, ATIME),
    "rbind" => (Set, k::MS_BIND | k::MS_REC),
    "rdev" => (RecursiveClear, k::MOUNT_ATTR_NODEV),
    "rdiratime" => (RecursiveClear, k::MOUNT_ATTR_NODIRATIME),
    "relatime" => (Set, k::MS_RELATIME),
    "remount" => (Set, k::MS_REMOUNT),
    "rexec" => (RecursiveClear, k::MOUNT_ATTR_NOEXEC),
    "ridmap" => (IdMap, 1),
    "rnoatime" => (RecursiveSet, k::MOUNT_ATTR_NOATIME),
    "rnodev" => (RecursiveSet, k::MOUNT_ATTR_NODEV),
    "rnodiratime" => (RecursiveSet, k::MOUNT_ATTR_NODIRATIME),
    "rnoexec" => (RecursiveSet, k::MOUNT_ATTR_NOEXEC),
    // relatime is 0, there is no bit to clear: known, and without effect.
    "rnorelatime" => (RecursiveClear, k::MOUNT_ATTR_RELATIME),
    "rnostrictatime" => (RecursiveClear, ATIME),
    "rnosuid" => (RecursiveSet, k::MOUNT_ATTR_NOSUID),
    "rnosymfollow" => (RecursiveSet, k::MOUNT_ATTR_NOSYMFOLLOW),
    "ro" => (Set, k::MS_RDONLY),
    "rprivate" => (Propagate, k::MS_PRIVATE | k::MS_REC),
    "rrelatime" => (RecursiveSet, k::MOUNT_ATTR_RELATIME),
    "rro" => (RecursiveSet, k::MOUNT_ATTR_RDONLY),
    "rrw" => (RecursiveClear, k::MOUNT_ATTR_RDONLY),
    "rshared" => (Propagate, k::MS_SHARED | k::MS_REC),
    "rslave" => (Propagate, k::MS_SLAVE | k::MS_REC),
    "rstrictatime" => (RecursiveSet, k::MOUNT_ATTR_STRICTATIME),
    "rsuid" => (RecursiveClear, k::MOUNT_ATTR_NOSUID),
    "rsymfollow" => (RecursiveClear, k::MOUNT_ATTR_NOSYMFOLLOW),
    "runbindable" => (Propagate, k::MS_UNBINDABLE | k::MS_REC),
    "rw" => (Clear, k::MS_RDONLY),
    "shared" => (Propagate, k::MS_SHARED),
    "silent" => (Set, k::MS_SILENT),
    "slave" => (Propagate, k::MS_SLAVE),
    "strictatime" => (Set, k::MS_STRICTATIME),
    "suid" => (Clear, k::MS_NOSUID),
    "symfollow" => (Clear, k::MS_NOSYMFOLLOW),
    "sync" => (Set, k::MS_SYNCHRONOUS),
    "tmpcopyup" => (TmpCopyUp, 0),
    "unbindable" => (Propagate, k::MS_UNBINDABLE),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_sorted_and_stand_once() {
        assert!(mount_options().is_sorted_by(|a, b| a < b));
    }

    #[test]
    fn flags_are_those_of_the_c_library() {
        let set = [
            ("ro", libc::MS_RDONLY),
            ("nosuid", libc::MS_NOSUID),
            ("nodev", libc::MS_NODEV),
            ("noexec", libc::MS_NOEXEC),
            ("sync", libc::MS_SYNCHRONOUS),
            ("remount", libc::MS_REMOUNT),
            ("mand", libc::MS_MANDLOCK),
            ("dirsync", libc::MS_DIRSYNC),
            ("nosymfollow", 1 << 8),
            ("noatime", libc::MS_NOATIME),
            ("nodiratime", libc::MS_NODIRATIME),
            ("bind", libc::MS_BIND),
            ("rbind", libc::MS_BIND | libc::MS_REC),
            ("silent", libc::MS_SILENT),
            ("relatime", libc::MS_RELATIME),
            ("iversion", libc::MS_I_VERSION),
            ("strictatime", libc::MS_STRICTATIME),
            ("lazytime", 1 << 25),
            ("defaults", 0),
        ];
        for (name, bits) in set {
            assert_eq!(mount_option(name), Some(MountOption::Flag { set: bits as u32, clear: 0 }), "{name}");
        }
    }

    #[test]
    fn an_option_and_its_opposite_touch_the_same_bits() {
        let pairs = [
            ("sync", "async"),
            ("noatime", "atime"),
            ("nodev", "dev"),
            ("nodiratime", "diratime"),
            ("noexec", "exec"),
            ("silent", "loud"),
            ("iversion", "noiversion"),
            ("lazytime", "nolazytime"),
            ("mand", "nomand"),
            ("relatime", "norelatime"),
            ("strictatime", "nostrictatime"),
            ("ro", "rw"),
            ("nosuid", "suid"),
            ("nosymfollow", "symfollow"),
        ];
        for (on, off) in pairs {
            let Some(MountOption::Flag { set, clear: 0 }) = mount_option(on) else { panic!("{on}") };
            assert_eq!(mount_option(off), Some(MountOption::Flag { set: 0, clear: set }), "{off}");
        }
        for (on, off) in [
            ("rro", "rrw"),
            ("rnosuid", "rsuid"),
            ("rnodev", "rdev"),
            ("rnoexec", "rexec"),
            ("rnodiratime", "rdiratime"),
            ("rnosymfollow", "rsymfollow"),
        ] {
            let Some(MountOption::Recursive { set, clear: 0 }) = mount_option(on) else { panic!("{on}") };
            assert_eq!(mount_option(off), Some(MountOption::Recursive { set: 0, clear: set }), "{off}");
        }
    }

    #[test]
    fn propagation_is_recursive_with_an_r() {
        for (name, bits) in
            [("private", libc::MS_PRIVATE), ("slave", libc::MS_SLAVE), ("shared", libc::MS_SHARED), ("unbindable", libc::MS_UNBINDABLE)]
        {
            assert_eq!(mount_option(name), Some(MountOption::Propagation(bits as u32)), "{name}");
            let recursive = (bits | libc::MS_REC) as u32;
            assert_eq!(mount_option(&format!("r{name}")), Some(MountOption::Propagation(recursive)), "r{name}");
        }
    }

    #[test]
    fn setting_a_recursive_access_time_clears_all_of_its_bits() {
        for (name, set) in [("rrelatime", 0), ("rnoatime", libc::MOUNT_ATTR_NOATIME), ("rstrictatime", libc::MOUNT_ATTR_STRICTATIME)] {
            assert_eq!(mount_option(name), Some(MountOption::Recursive { set, clear: libc::MOUNT_ATTR__ATIME }), "{name}");
        }
        for name in ["ratime", "rnostrictatime"] {
            assert_eq!(mount_option(name), Some(MountOption::Recursive { set: 0, clear: libc::MOUNT_ATTR__ATIME }), "{name}");
        }
        assert_eq!(mount_option("rnorelatime"), Some(MountOption::Recursive { set: 0, clear: 0 }));
    }

    #[test]
    fn recursive_attributes_are_those_of_the_c_library() {
        let set = [
            ("rro", libc::MOUNT_ATTR_RDONLY),
            ("rnosuid", libc::MOUNT_ATTR_NOSUID),
            ("rnodev", libc::MOUNT_ATTR_NODEV),
            ("rnoexec", libc::MOUNT_ATTR_NOEXEC),
            ("rnodiratime", libc::MOUNT_ATTR_NODIRATIME),
            ("rnosymfollow", libc::MOUNT_ATTR_NOSYMFOLLOW),
        ];
        for (name, set) in set {
            assert_eq!(mount_option(name), Some(MountOption::Recursive { set, clear: 0 }), "{name}");
        }
    }

    #[test]
    fn other_words_are_data_for_the_file_system() {
        for name in ["", "size=65536k", "mode=755", "acl", "noacl", "RO", "gid=5", "newinstance"] {
            assert_eq!(mount_option(name), None, "{name}");
        }
        assert_eq!(mount_option("ridmap"), Some(MountOption::IdMap { recursive: true }));
        assert_eq!(mount_option("idmap"), Some(MountOption::IdMap { recursive: false }));
        assert_eq!(mount_option("tmpcopyup"), Some(MountOption::TmpCopyUp));
    }
}
