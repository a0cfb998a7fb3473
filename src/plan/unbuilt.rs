//! Fields of config.json that this version does not honour yet: refused by name, so that nothing weaker than asked for is started.
//!
//! This file is to become empty.

use crate::error::{Error, Result};
use crate::mem::Arena;
use crate::spec::{Config, Linux, Process};

/// Errors: the first field that is written and would be ignored.
pub fn refuse<'a>(config: &Config<'a>, arena: &Arena<'a>) -> Result<'a, ()> {
    let process = config.process.as_ref().map(of_process).unwrap_or_default();
    let linux = config.linux.as_ref().map(of_linux).unwrap_or_default();
    match process.iter().chain(&linux).find(|(is_written, _)| *is_written) {
        Some((_, field)) => {
            Err(Error::text(field, "", arena.format(format_args!("ocinit {} does not honour it yet", env!("CARGO_PKG_VERSION")))?))
        }
        None => Ok(()),
    }
}

type Fields = [(bool, &'static str); 7];

fn of_process(process: &Process<'_>) -> Fields {
    [
        (process.scheduler.is_some(), "process.scheduler"),
        (process.io_priority.is_some(), "process.ioPriority"),
        (process.exec_cpu_affinity.is_some(), "process.execCPUAffinity"),
        (!process.apparmor_profile.is_empty(), "process.apparmorProfile"),
        (!process.selinux_label.is_empty(), "process.selinuxLabel"),
        Default::default(),
        Default::default(),
    ]
}

fn of_linux(linux: &Linux<'_>) -> Fields {
    [
        (linux.seccomp.is_some_and(|profile| !profile.listener_path.is_empty()), "linux.seccomp.listenerPath"),
        (linux.intel_rdt.is_some(), "linux.intelRdt"),
        (linux.memory_policy.is_some(), "linux.memoryPolicy"),
        (linux.personality.is_some(), "linux.personality"),
        Default::default(),
        (!linux.net_devices.is_empty(), "linux.netDevices"),
        Default::default(),
    ]
}
