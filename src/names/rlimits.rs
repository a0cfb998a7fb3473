//! The names of the resource limits.

use linux_raw_sys::general;

use super::Table;

const RLIMITS: Table = constants! { general:
    RLIMIT_AS RLIMIT_CORE RLIMIT_CPU RLIMIT_DATA RLIMIT_FSIZE RLIMIT_LOCKS RLIMIT_MEMLOCK RLIMIT_MSGQUEUE
    RLIMIT_NICE RLIMIT_NOFILE RLIMIT_NPROC RLIMIT_RSS RLIMIT_RTPRIO RLIMIT_RTTIME RLIMIT_SIGPENDING RLIMIT_STACK
};

/// The number of `process.rlimits[].type`, such as `RLIMIT_NOFILE` (getrlimit(2)).
pub fn rlimit(name: &str) -> Option<u32> {
    RLIMITS.find(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_the_c_library() {
        let expected: Table = constants! { libc:
            RLIMIT_AS RLIMIT_CORE RLIMIT_CPU RLIMIT_DATA RLIMIT_FSIZE RLIMIT_LOCKS RLIMIT_MEMLOCK RLIMIT_MSGQUEUE
            RLIMIT_NICE RLIMIT_NOFILE RLIMIT_NPROC RLIMIT_RSS RLIMIT_RTPRIO RLIMIT_RTTIME RLIMIT_SIGPENDING RLIMIT_STACK
        };
        assert_eq!(RLIMITS.rows(), expected.rows());
        assert_eq!(RLIMITS.rows().len(), general::RLIM_NLIMITS as usize, "the kernel has as many");
    }

    #[test]
    fn an_rlimit_is_named_in_full_and_in_upper_case() {
        for name in ["", "NOFILE", "rlimit_nofile", "RLIMIT_", "RLIMIT_NOFILES"] {
            assert_eq!(rlimit(name), None, "{name}");
        }
    }
}
