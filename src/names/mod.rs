//! What Linux calls its numbers: tables from the words of config.json to the kernel's constants, and back. Pure; it must not judge or do.
//!
//! The numbers come from linux-raw-sys, because several of them differ between instruction sets.

/// Rows of (name, number) from constants that bear the name.
macro_rules! constants {
    ($from:ident: $($name:ident)*) => {
        &[$((stringify!($name), $from::$name as u32)),*]
    };
}

mod capabilities;
mod devices;
mod mount_options;
mod namespaces;
mod rlimits;
mod scheduling;
pub mod seccomp;
mod signals;
pub mod syscalls;

pub use capabilities::{CAPABILITIES, capability};
pub use devices::device_type;
pub use mount_options::{MountOption, mount_option, mount_options};
pub use namespaces::{NAMESPACES, Namespace, namespace};
pub use rlimits::rlimit;
pub use scheduling::{
    MEMORY_POLICY_FLAGS, MEMORY_POLICY_MODES, io_priority_class, memory_policy_flag, memory_policy_mode, personality_domain,
    scheduler_flag, scheduler_policy,
};
pub use seccomp::{SECCOMP_ACTIONS, SECCOMP_ARCHITECTURES, SECCOMP_FLAGS, SECCOMP_OPERATORS};
pub use signals::{signal, signal_name};

/// A name and the kernel's number for it.
pub type Row = (&'static str, u32);

/// The number that stands beside `name`.
fn find(table: &[Row], name: &str) -> Option<u32> {
    table.iter().find(|row| row.0 == name).map(|row| row.1)
}
