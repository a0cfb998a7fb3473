//! What Linux calls its numbers: tables from the words of config.json to the kernel's constants, and back. Pure; it must not judge or do.
//!
//! The numbers come from linux-raw-sys, because several of them differ between instruction sets.

/// A [`Table`] of constants that bear the name.
macro_rules! constants {
    ($from:ident: $($name:ident)*) => {
        Table { names: $crate::mem::names![$(stringify!($name)),*], numbers: &[$($from::$name as u32),*] }
    };
}

/// A [`Table`] of names and what they stand for.
macro_rules! table {
    ($($name:literal => $number:expr),* $(,)?) => {
        Table { names: $crate::mem::names![$($name),*], numbers: &[$($number),*] }
    };
}

use crate::mem::Names;

mod capabilities;
mod devices;
mod mount_options;
mod namespaces;
mod rlimits;
mod scheduling;
pub mod seccomp;
mod signals;
pub mod subjects;
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

/// Names, and what each stands for: the kernel's number.
#[derive(Clone, Copy, Debug)]
pub struct Table<T: 'static = u32> {
    /// The names.
    pub names: Names,
    numbers: &'static [T],
}

impl<T: Copy> Table<T> {
    /// What `name` stands for.
    fn find(&self, name: &str) -> Option<T> {
        self.numbers.get(self.names.position(name)?).copied()
    }

    /// Each name with its number.
    #[cfg(test)]
    fn rows(&self) -> Vec<(&'static str, T)> {
        self.names.iter().zip(self.numbers.iter().copied()).collect()
    }
}
