//! Whether this kernel can guard the devices of a container, and what is done where it cannot.

use crate::error::Result;
use crate::log::Log;
use crate::mem::Arena;
use crate::plan::{Plan, unguarded};
use crate::spec::Config;
use crate::sys::{self, Errno};

/// Where it was asked for, by the option or the annotation, a kernel that has no device programs is tried first, and the plan made so that it
/// needs none. Otherwise the cgroup's making says what the kernel lacks.
pub(super) fn settle<'a>(plan: &mut Plan<'a>, config: &Config<'_>, is_asked: bool, log: &Log, arena: &Arena<'a>) -> Result<'a, ()> {
    let is_annotated = || config.annotation(unguarded::ANNOTATION) == Some("true");
    let Some(cgroup) = plan.cgroup.as_ref().filter(|cgroup| !cgroup.device_program.is_empty()) else { return Ok(()) };
    if !is_asked && !is_annotated() {
        return Ok(());
    }
    match sys::load_device_program(cgroup.device_program) {
        Err(Errno::INVAL | Errno::NOSYS) => {}
        _ if !cgroup.places.is_empty() => {} // to a cgroup of cgroup v1 none can be attached
        _ => return Ok(()),
    }
    log.warning(format_args!(
        "DEVICES ARE NOT GUARDED by this kernel (CONFIG_CGROUP_BPF); as asked, the container goes without CAP_MKNOD, \
         with nodev on every mount but its own /dev, and with the given nodes alone"
    ));
    unguarded::confine(plan, arena)
}
