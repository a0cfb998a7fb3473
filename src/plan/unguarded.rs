//! A container whose devices no program can guard: what takes the place of that, where it was asked for.
//!
//! Must: still deny every device that was not given. So nobody may make a node, none counts but on the container's own /dev, and who could
//! mount a file system that brings nodes is refused.

use linux_raw_sys::general::{CLONE_NEWNS, MOUNT_ATTR_NODEV, MS_NODEV};

use super::Plan;
use super::mounts::{Mount, Source, is_path};
use super::process::Capabilities;
use crate::error::{Error, Result};
use crate::mem::{Arena, List};

/// The annotation that asks for it, with the value `true`.
pub const ANNOTATION: &str = "org.ocinit.device-fallback";

// In a user namespace too: what the container mounts, or mounts anew, there need not be nodev.
const CAP_SYS_ADMIN: u64 = 1 << 21;
const CAP_MKNOD: u64 = 1 << 27;

/// Changes the plan so. Errors: what would let devices in all the same.
pub fn confine<'a>(plan: &mut Plan<'a>, arena: &Arena<'a>) -> Result<'a, ()> {
    let refuse = |why| Err(Error::text("device-fallback", "", why));
    if !plan.namespaces.makes(CLONE_NEWNS) {
        return refuse("it takes a mount namespace of the container's own");
    }
    if !plan.devices.fills_dev || !plan.mounts.iter().any(is_own_dev) {
        return refuse("it takes a tmpfs of the container's own on /dev");
    }
    if plan.process.capabilities.bounding & CAP_SYS_ADMIN != 0 {
        return refuse("with CAP_SYS_ADMIN the container could mount whatever devices there are");
    }
    let mut mounts = List::default();
    for mount in &plan.mounts {
        mounts.push(arena, without_devices(*mount))?;
    }
    plan.mounts = mounts;
    plan.root.is_nodev = true;
    bound(&mut plan.process.capabilities);
    if let Some(cgroup) = &mut plan.cgroup {
        cgroup.device_program = &[];
    }
    Ok(())
}

/// Takes from a process, also from one that joins such a container, what would undo it.
pub fn bound(sets: &mut Capabilities) {
    for set in [&mut sets.bounding, &mut sets.effective, &mut sets.permitted, &mut sets.inheritable, &mut sets.ambient] {
        *set &= !(CAP_MKNOD | CAP_SYS_ADMIN);
    }
}

fn is_own_dev(mount: &Mount<'_>) -> bool {
    let is_empty_tmpfs = matches!(mount.source, Source::FileSystem(new) if new.kind == c"tmpfs" && !new.copies_up);
    is_empty_tmpfs && mount.destination.to_str().is_ok_and(|path| is_path(path, "/dev"))
}

fn without_devices(mut mount: Mount<'_>) -> Mount<'_> {
    if is_own_dev(&mount) || matches!(mount.source, Source::FileSystem(new) if new.kind == c"devpts") {
        return mount;
    }
    let nodev = u64::from(MOUNT_ATTR_NODEV);
    match &mut mount.source {
        Source::FileSystem(new) => {
            new.flags |= MS_NODEV;
            for bind in new.fallbacks.iter_mut().flatten() {
                bind.attributes.set |= nodev;
            }
        }
        Source::Bind(bind) => {
            bind.attributes.set |= nodev;
            bind.attributes.clear &= !nodev;
            bind.cleared_if_unlocked &= !nodev;
            if bind.is_recursive {
                mount.recursive.set |= nodev;
                mount.recursive.clear &= !nodev;
            }
        }
        Source::Remount { flags, .. } => *flags |= MS_NODEV,
    }
    mount
}
