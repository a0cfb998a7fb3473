//! The filter of system calls.

use super::{Done, Stage, sync};
use crate::names::seccomp::NEW_LISTENER;
use crate::sys::{self, AsRawFd, Errno, fs, task};

/// Puts the filter on the process.
///
/// Must: come as late as anything can, since whatever comes after must be on the profile's list: write(2), read(2), rt_sigprocmask(2),
/// execve(2); without no_new_privileges one capset(2) before them; and exit_group(2) where one of them fails.
pub fn load(stage: &mut Stage<'_, '_>) -> Done {
    let Some(filter) = &stage.plan.seccomp else { return Ok(()) };
    let (sets, held) = (stage.plan.process.capabilities, stage.plan.process.held_for_seccomp);
    if held != 0 {
        sys::set_capabilities(sets.effective | held, sets.permitted | held, sets.inheritable)?;
    }
    if filter.flags & NEW_LISTENER != 0 && stage.plan.namespaces.must_be_dumpable_for_runtime() {
        // The runtime takes the listener by pidfd_getfd(2). Afterwards the filter might hand this call to nobody; execve undoes it.
        task::set_dumpable_behavior(task::DumpableBehavior::Dumpable)?;
    }
    let loaded = match sys::load_filter(filter.program, filter.flags) {
        Err(Errno::INVAL) if filter.optional_flags != 0 => sys::load_filter(filter.program, filter.flags & !filter.optional_flags),
        loaded => loaded,
    };
    if let Some(listener) = loaded? {
        // The parent takes it from us by its number; execve closes it.
        stage.listener = Some(listener.as_raw_fd() as u32);
        core::mem::forget(listener);
    }
    if held != 0 {
        sys::set_capabilities(sets.effective, sets.permitted, sets.inheritable)?;
    }
    Ok(())
}

/// Where no report says that the process is ready: the same for the listener, and a wait until the parent has it, which execve would close.
pub fn offer_listener(stage: &mut Stage<'_, '_>) -> Done {
    if stage.listener.is_none() {
        return Ok(());
    }
    sync::report_ready(stage)?;
    match fs::read(stage.channel, &mut [0])? {
        0 => Err(Errno::CANCELED.into()),
        _ => Ok(()),
    }
}
