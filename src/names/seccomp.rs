//! The words of a seccomp profile, sorted, as `features` lists them, and what they are for the kernel (seccomp(2)).

use crate::mem::{Names, names};

/// `linux.seccomp.defaultAction` and `syscalls[].action`.
pub const SECCOMP_ACTIONS: Names = names![
    "SCMP_ACT_ALLOW",
    "SCMP_ACT_ERRNO",
    "SCMP_ACT_KILL",
    "SCMP_ACT_KILL_PROCESS",
    "SCMP_ACT_KILL_THREAD",
    "SCMP_ACT_LOG",
    "SCMP_ACT_NOTIFY",
    "SCMP_ACT_TRACE",
    "SCMP_ACT_TRAP",
];

/// `linux.seccomp.syscalls[].args[].op`.
pub const SECCOMP_OPERATORS: Names =
    names!["SCMP_CMP_EQ", "SCMP_CMP_GE", "SCMP_CMP_GT", "SCMP_CMP_LE", "SCMP_CMP_LT", "SCMP_CMP_MASKED_EQ", "SCMP_CMP_NE"];

/// `linux.seccomp.architectures[]`.
pub const SECCOMP_ARCHITECTURES: Names = names![
    "SCMP_ARCH_AARCH64",
    "SCMP_ARCH_ARM",
    "SCMP_ARCH_LOONGARCH64",
    "SCMP_ARCH_MIPS",
    "SCMP_ARCH_MIPS64",
    "SCMP_ARCH_MIPS64N32",
    "SCMP_ARCH_MIPSEL",
    "SCMP_ARCH_MIPSEL64",
    "SCMP_ARCH_MIPSEL64N32",
    "SCMP_ARCH_PPC",
    "SCMP_ARCH_PPC64",
    "SCMP_ARCH_PPC64LE",
    "SCMP_ARCH_RISCV64",
    "SCMP_ARCH_S390",
    "SCMP_ARCH_S390X",
    "SCMP_ARCH_X32",
    "SCMP_ARCH_X86",
    "SCMP_ARCH_X86_64",
];

/// `linux.seccomp.flags[]`.
pub const SECCOMP_FLAGS: Names = names![
    "SECCOMP_FILTER_FLAG_LOG",
    "SECCOMP_FILTER_FLAG_SPEC_ALLOW",
    "SECCOMP_FILTER_FLAG_TSYNC",
    "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"
];

/// SECCOMP_RET_KILL_THREAD: also for what comes by a way of calling that the profile does not name.
pub const KILL_THREAD: u32 = 0;
/// SECCOMP_RET_ERRNO, without its errno.
pub const ERRNO: u32 = 0x0005_0000;
/// SECCOMP_RET_USER_NOTIF.
pub const NOTIFY: u32 = 0x7fc0_0000;
/// SECCOMP_RET_TRACE, without its value.
pub const TRACE: u32 = 0x7ff0_0000;
/// SECCOMP_RET_LOG.
pub const LOG: u32 = 0x7ffc_0000;
/// SECCOMP_RET_ALLOW.
pub const ALLOW: u32 = 0x7fff_0000;

const EPERM: u32 = 1;

/// What a filter returns for an action. `errno` is for those that have one; without it they have EPERM.
pub fn seccomp_action(word: &str, errno: Option<u32>) -> Option<u32> {
    let data = errno.unwrap_or(EPERM) & 0xffff;
    Some(match word.strip_prefix("SCMP_ACT_")? {
        "KILL" | "KILL_THREAD" => KILL_THREAD,
        "KILL_PROCESS" => 0x8000_0000,
        "TRAP" => 0x0003_0000,
        "ERRNO" => ERRNO | data,
        "NOTIFY" => NOTIFY,
        "TRACE" => TRACE | data,
        "LOG" => LOG,
        "ALLOW" => ALLOW,
        _ => return None,
    })
}

/// The action that a filter's return value stands for, and the errno or value of those that have one.
pub fn action_words(value: u32) -> (&'static str, Option<u32>) {
    let word = SECCOMP_ACTIONS.iter().find(|word| seccomp_action(word, Some(value & 0xffff)) == Some(value));
    let word = word.unwrap_or("SCMP_ACT_KILL_PROCESS"); // what the kernel does for what it does not know
    (word, matches!(word, "SCMP_ACT_ERRNO" | "SCMP_ACT_TRACE").then_some(value & 0xffff))
}

/// SECCOMP_FILTER_FLAG_SPEC_ALLOW.
pub const SPEC_ALLOW: u32 = 4;
/// SECCOMP_FILTER_FLAG_NEW_LISTENER.
pub const NEW_LISTENER: u32 = 8;
/// SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV.
pub const WAIT_KILLABLE_RECV: u32 = 32;

/// A flag of the profile.
pub fn seccomp_flag(word: &str) -> Option<u32> {
    Some(match word.strip_prefix("SECCOMP_FILTER_FLAG_")? {
        "TSYNC" => 1,
        "LOG" => 2,
        "SPEC_ALLOW" => SPEC_ALLOW,
        "WAIT_KILLABLE_RECV" => WAIT_KILLABLE_RECV,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_has_its_number() {
        assert!(SECCOMP_ACTIONS.iter().all(|word| seccomp_action(word, None).is_some()));
        assert!(SECCOMP_FLAGS.iter().all(|word| seccomp_flag(word).is_some()));
        assert_eq!(seccomp_action("SCMP_ACT_ERRNO", None), Some(0x0005_0001));
        assert_eq!(seccomp_action("SCMP_ACT_TRACE", Some(7)), Some(0x7ff0_0007));
        assert_eq!(seccomp_action("SCMP_ACT_ALLOWED", None), None);
    }

    #[test]
    fn lists_are_sorted_and_as_long_as_those_of_runc() {
        for (list, length) in [(SECCOMP_ACTIONS, 9), (SECCOMP_OPERATORS, 7), (SECCOMP_ARCHITECTURES, 18), (SECCOMP_FLAGS, 4)] {
            assert!(list.iter().is_sorted());
            assert_eq!(list.iter().count(), length);
        }
    }
}
