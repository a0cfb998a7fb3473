//! The names of the capabilities. Whether the running kernel has one is not known here.

use linux_raw_sys::general;

use crate::mem::{Names, names};

/// Lists the names so that a name's index is its number, and lets the compiler check that.
macro_rules! in_order {
    ($($name:ident)*) => {
        /// Every capability of Linux 5.9 and later; the index is the number (capabilities(7)).
        pub const CAPABILITIES: Names = names![$(stringify!($name)),*];

        const _: () = {
            let numbers = [$(general::$name),*];
            let mut index = 0;
            while index < numbers.len() {
                assert!(numbers[index] as usize == index);
                index += 1;
            }
        };
    };
}

in_order! {
    CAP_CHOWN CAP_DAC_OVERRIDE CAP_DAC_READ_SEARCH CAP_FOWNER CAP_FSETID CAP_KILL CAP_SETGID CAP_SETUID
    CAP_SETPCAP CAP_LINUX_IMMUTABLE CAP_NET_BIND_SERVICE CAP_NET_BROADCAST CAP_NET_ADMIN CAP_NET_RAW CAP_IPC_LOCK CAP_IPC_OWNER
    CAP_SYS_MODULE CAP_SYS_RAWIO CAP_SYS_CHROOT CAP_SYS_PTRACE CAP_SYS_PACCT CAP_SYS_ADMIN CAP_SYS_BOOT CAP_SYS_NICE
    CAP_SYS_RESOURCE CAP_SYS_TIME CAP_SYS_TTY_CONFIG CAP_MKNOD CAP_LEASE CAP_AUDIT_WRITE CAP_AUDIT_CONTROL CAP_SETFCAP
    CAP_MAC_OVERRIDE CAP_MAC_ADMIN CAP_SYSLOG CAP_WAKE_ALARM CAP_BLOCK_SUSPEND CAP_AUDIT_READ CAP_PERFMON CAP_BPF
    CAP_CHECKPOINT_RESTORE
}

/// The number of the capability with exactly this name, such as `CAP_CHOWN`.
pub fn capability(name: &str) -> Option<u8> {
    CAPABILITIES.position(name).map(|index| index as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_capabilities_of_the_kernel_headers_are_known() {
        assert_eq!(CAPABILITIES.iter().count(), general::CAP_LAST_CAP as usize + 1);
        assert_eq!(capability("CAP_CHOWN"), Some(0));
        assert_eq!(capability("CAP_CHECKPOINT_RESTORE"), Some(40));
    }

    #[test]
    fn a_capability_is_named_in_full_and_in_upper_case() {
        for name in ["", "CHOWN", "cap_chown", "CAP_CHOWN ", "CAP_"] {
            assert_eq!(capability(name), None, "{name}");
        }
    }
}
