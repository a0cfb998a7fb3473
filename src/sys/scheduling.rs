//! When and where a process runs: scheduling, I/O priority, processors, execution domain, NUMA policy; each of the calling thread.

use linux_raw_sys::general as c;

use super::{Errno, raw};

/// `struct sched_attr` of sched_setattr(2); times in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Scheduler {
    /// Of the struct; filled in by the call.
    pub size: u32,
    /// SCHED_*.
    pub policy: u32,
    /// SCHED_FLAG_*.
    pub flags: u64,
    /// For SCHED_OTHER and SCHED_BATCH.
    pub nice: i32,
    /// For SCHED_FIFO and SCHED_RR.
    pub priority: u32,
    /// For SCHED_DEADLINE.
    pub runtime: u64,
    /// For SCHED_DEADLINE.
    pub deadline: u64,
    /// For SCHED_DEADLINE.
    pub period: u64,
}

/// sched_setattr(2). Errors: EPERM, EINVAL, EBUSY when there is no bandwidth left for SCHED_DEADLINE.
pub fn set_scheduler(scheduler: Scheduler) -> Result<(), Errno> {
    let attributes = Scheduler { size: size_of::<Scheduler>() as u32, ..scheduler };
    // SAFETY: the struct is of the size that it names (SCHED_ATTR_SIZE_VER0), and outlives the call.
    unsafe { raw::call(c::__NR_sched_setattr, [0, (&raw const attributes) as usize, 0, 0, 0, 0]) }.map(|_| ())
}

/// ioprio_set(2) with `class << 13 | priority`. Errors: EPERM, EINVAL, ENOSYS without CONFIG_BLOCK.
pub fn set_io_priority(priority: u32) -> Result<(), Errno> {
    const IOPRIO_WHO_PROCESS: usize = 1;
    // SAFETY: no pointer is passed.
    unsafe { raw::call(c::__NR_ioprio_set, [IOPRIO_WHO_PROCESS, 0, priority as usize, 0, 0, 0]) }.map(|_| ())
}

/// personality(2). Errors: EINVAL.
pub fn set_personality(domain: u32) -> Result<(), Errno> {
    // SAFETY: no pointer is passed.
    unsafe { raw::call(c::__NR_personality, [domain as usize, 0, 0, 0, 0, 0]) }.map(|_| ())
}

/// set_mempolicy(2): MPOL_* with its flags, and the nodes as bits. Errors: EINVAL, ENOSYS without CONFIG_NUMA.
pub fn set_memory_policy(mode: u32, nodes: &[usize]) -> Result<(), Errno> {
    // The kernel takes one bit less than it is told.
    let (at, bits) = if nodes.is_empty() { (0, 0) } else { (nodes.as_ptr() as usize, nodes.len() * usize::BITS as usize + 1) };
    // SAFETY: the kernel reads `bits - 1` bits of the slice, which outlives the call; or nothing.
    unsafe { raw::call(c::__NR_set_mempolicy, [mode as usize, at, bits, 0, 0, 0]) }.map(|_| ())
}

/// sched_setaffinity(2): the processors as bits. Errors: EINVAL if none of them is there and allowed.
pub fn set_affinity(processors: &[usize]) -> Result<(), Errno> {
    let arguments = [0, size_of_val(processors), processors.as_ptr() as usize, 0, 0, 0];
    // SAFETY: the kernel reads as many bytes as said, which outlive the call.
    unsafe { raw::call(c::__NR_sched_setaffinity, arguments) }.map(|_| ())
}
