//! When and where the process runs.

use super::{At, Done, Stage};
use crate::plan::scheduling::Affinity;
use crate::sys;

/// Lets the process run on every processor that its cgroup allows, whatever the caller was bound to.
pub fn reset_affinity(_: &mut Stage<'_, '_>) -> Done {
    const MOST_CPUS: usize = 8192; // NR_CPUS at its highest
    let _ = sys::set_affinity(&[usize::MAX; MOST_CPUS / usize::BITS as usize]); // runc does not insist either
    Ok(())
}

/// `process.execCPUAffinity`: what holds once the process is in the container's cgroup; without it, and without one for before, as above.
pub fn set_affinity(stage: &mut Stage<'_, '_>) -> Done {
    match stage.plan.process.scheduling.exec_affinity {
        Affinity { initial: [], r#final: [] } => reset_affinity(stage),
        Affinity { r#final: [], .. } => Ok(()),
        Affinity { r#final, .. } => sys::set_affinity(r#final).map_err(At::from),
    }
}

/// `process.scheduler`.
pub fn set_scheduler(stage: &mut Stage<'_, '_>) -> Done {
    stage.plan.process.scheduling.scheduler.map_or(Ok(()), |scheduler| sys::set_scheduler(scheduler).map_err(At::from))
}

/// `process.ioPriority`.
pub fn set_io_priority(stage: &mut Stage<'_, '_>) -> Done {
    stage.plan.process.scheduling.io_priority.map_or(Ok(()), |priority| sys::set_io_priority(priority).map_err(At::from))
}

/// `linux.personality`.
pub fn set_personality(stage: &mut Stage<'_, '_>) -> Done {
    stage.plan.process.scheduling.personality.map_or(Ok(()), |domain| sys::set_personality(domain).map_err(At::from))
}

/// `linux.memoryPolicy`.
pub fn set_memory_policy(stage: &mut Stage<'_, '_>) -> Done {
    stage.plan.process.scheduling.memory_policy.map_or(Ok(()), |(mode, nodes)| sys::set_memory_policy(mode, nodes).map_err(At::from))
}
