//! The names of scheduling policies, I/O priorities, memory policies and execution domains.

use linux_raw_sys::{general, mempolicy};

use super::Table;

const POLICIES: Table = table![
    "SCHED_OTHER" => general::SCHED_NORMAL,
    "SCHED_FIFO" => general::SCHED_FIFO,
    "SCHED_RR" => general::SCHED_RR,
    "SCHED_BATCH" => general::SCHED_BATCH,
    // Reserved in the kernel's headers and named by the specification; no kernel implements it.
    "SCHED_ISO" => 4,
    "SCHED_IDLE" => general::SCHED_IDLE,
    "SCHED_DEADLINE" => general::SCHED_DEADLINE,
];

const FLAGS: Table = constants! { general:
    SCHED_FLAG_RESET_ON_FORK SCHED_FLAG_RECLAIM SCHED_FLAG_DL_OVERRUN SCHED_FLAG_KEEP_POLICY SCHED_FLAG_KEEP_PARAMS
    SCHED_FLAG_UTIL_CLAMP_MIN SCHED_FLAG_UTIL_CLAMP_MAX
};

// linux/ioprio.h; linux-raw-sys lacks them.
const IO_CLASSES: Table = table!["IOPRIO_CLASS_RT" => 1, "IOPRIO_CLASS_BE" => 2, "IOPRIO_CLASS_IDLE" => 3];

// PER_LINUX and PER_LINUX32 of linux/personality.h; linux-raw-sys lacks them.
const DOMAINS: Table = table!["LINUX" => 0, "LINUX32" => 8];

/// `linux.memoryPolicy.mode` and the kernel's MPOL_* number, sorted by name (set_mempolicy(2)).
pub const MEMORY_POLICY_MODES: Table = constants! { mempolicy:
    MPOL_BIND MPOL_DEFAULT MPOL_INTERLEAVE MPOL_LOCAL MPOL_PREFERRED MPOL_PREFERRED_MANY MPOL_WEIGHTED_INTERLEAVE
};

/// `linux.memoryPolicy.flags` and the kernel's MPOL_F_* bits, sorted by name.
pub const MEMORY_POLICY_FLAGS: Table = constants! { mempolicy:
    MPOL_F_NUMA_BALANCING MPOL_F_RELATIVE_NODES MPOL_F_STATIC_NODES
};

/// The number of `process.scheduler.policy`, such as `SCHED_FIFO` (sched_setattr(2)).
pub fn scheduler_policy(name: &str) -> Option<u32> {
    POLICIES.find(name)
}

/// The bit of `process.scheduler.flags[]`, such as `SCHED_FLAG_RECLAIM`.
pub fn scheduler_flag(name: &str) -> Option<u32> {
    FLAGS.find(name)
}

/// The number of `process.ioPriority.class`, such as `IOPRIO_CLASS_BE` (ioprio_set(2)).
pub fn io_priority_class(name: &str) -> Option<u32> {
    IO_CLASSES.find(name)
}

/// The number of `linux.personality.domain`: `LINUX` or `LINUX32` (personality(2)).
pub fn personality_domain(name: &str) -> Option<u32> {
    DOMAINS.find(name)
}

/// The number of `linux.memoryPolicy.mode`.
pub fn memory_policy_mode(name: &str) -> Option<u32> {
    MEMORY_POLICY_MODES.find(name)
}

/// The bit of `linux.memoryPolicy.flags[]`.
pub fn memory_policy_flag(name: &str) -> Option<u32> {
    MEMORY_POLICY_FLAGS.find(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scheduler_numbers_are_those_of_the_c_library() {
        let policies: Table = constants! { libc: SCHED_OTHER SCHED_FIFO SCHED_RR SCHED_BATCH SCHED_IDLE SCHED_DEADLINE };
        for (name, number) in policies.rows() {
            assert_eq!(scheduler_policy(name), Some(number), "{name}");
        }
        let flags: Table = constants! { libc:
            SCHED_FLAG_RESET_ON_FORK SCHED_FLAG_RECLAIM SCHED_FLAG_DL_OVERRUN SCHED_FLAG_KEEP_POLICY SCHED_FLAG_KEEP_PARAMS
            SCHED_FLAG_UTIL_CLAMP_MIN SCHED_FLAG_UTIL_CLAMP_MAX
        };
        assert_eq!(FLAGS.rows(), flags.rows());
    }

    #[test]
    fn memory_policy_numbers_are_those_of_the_c_library() {
        let modes: Table = constants! { libc: MPOL_BIND MPOL_DEFAULT MPOL_INTERLEAVE MPOL_LOCAL MPOL_PREFERRED };
        for (name, number) in modes.rows() {
            assert_eq!(memory_policy_mode(name), Some(number), "{name}");
        }
        let flags: Table = constants! { libc: MPOL_F_NUMA_BALANCING MPOL_F_RELATIVE_NODES MPOL_F_STATIC_NODES };
        assert_eq!(MEMORY_POLICY_FLAGS.rows(), flags.rows());
        // linux/mempolicy.h; libc lacks the two newest.
        assert_eq!(memory_policy_mode("MPOL_PREFERRED_MANY"), Some(5));
        assert_eq!(memory_policy_mode("MPOL_WEIGHTED_INTERLEAVE"), Some(6));
    }

    #[test]
    fn setarch_sets_the_domain_that_we_call_linux32() {
        let shown = std::process::Command::new("setarch").args(["linux32", "cat", "/proc/self/personality"]).output();
        let Ok(shown) = shown else { return eprintln!("skipped: no setarch on this host") };
        let domain = u32::from_str_radix(std::str::from_utf8(&shown.stdout).unwrap().trim(), 16).unwrap();
        assert_eq!(personality_domain("LINUX32"), Some(domain & 0xff));
        assert_eq!(personality_domain("LINUX"), Some(0));
    }

    #[test]
    fn io_classes_count_from_the_most_to_the_least_urgent() {
        // linux/ioprio.h; 0 is "none", which config.json cannot say.
        for (name, number) in [("IOPRIO_CLASS_RT", 1), ("IOPRIO_CLASS_BE", 2), ("IOPRIO_CLASS_IDLE", 3)] {
            assert_eq!(io_priority_class(name), Some(number), "{name}");
        }
        assert_eq!(io_priority_class("IOPRIO_CLASS_NONE"), None);
    }

    #[test]
    fn names_stand_in_the_order_in_which_features_prints_them() {
        assert!(MEMORY_POLICY_MODES.names.iter().is_sorted());
        assert!(MEMORY_POLICY_FLAGS.names.iter().is_sorted());
    }

    #[test]
    fn unknown_names_have_no_number() {
        for find in [scheduler_policy, scheduler_flag, io_priority_class, personality_domain, memory_policy_mode, memory_policy_flag] {
            assert_eq!(find(""), None);
            assert_eq!(find("SCHED_NONE"), None);
        }
    }
}
