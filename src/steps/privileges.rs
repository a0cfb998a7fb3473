//! Who the process is and what it may do: limits, capabilities, groups and ids, in the order in which each can still be changed.

use super::{At, Done, Stage};
use crate::sys::{self, Errno, fs, task};

/// PR_SET_NO_NEW_PRIVS.
pub fn set_no_new_privileges(stage: &mut Stage<'_, '_>) -> Done {
    if !stage.plan.process.no_new_privileges {
        return Ok(());
    }
    task::set_no_new_privs(true).map_err(At::from)
}

/// Sets the resource limits.
///
/// Must: come before the capabilities go, since raising a hard limit needs one; and late, since a low limit would bind us too.
pub fn set_limits(stage: &mut Stage<'_, '_>) -> Done {
    for (index, limit) in stage.plan.process.limits.iter().enumerate() {
        sys::set_limit(*limit).map_err(At::from).map_err(At::item(index))?;
    }
    Ok(())
}

/// Takes from the bounding set what the process may never regain.
pub fn drop_bounding_set(stage: &mut Stage<'_, '_>) -> Done {
    let kept = stage.plan.process.capabilities.bounding;
    for number in (0..u64::BITS).filter(|number| kept & 1 << number == 0) {
        match task::remove_capability_from_bounding_set(task::CapabilitySet::from_bits_retain(1 << number)) {
            Ok(()) => {}
            // The kernel knows no capability of that number, nor any higher.
            Err(Errno::INVAL) if task::capability_is_in_bounding_set(task::CapabilitySet::from_bits_retain(1 << number)).is_err() => break,
            Err(errno) => return Err(At::from(errno)).map_err(At::item(number as usize)),
        }
    }
    Ok(())
}

/// Gives the standard streams to the process's user, so that it can open them again by /dev/stdout.
pub fn own_standard_streams(stage: &mut Stage<'_, '_>) -> Done {
    let uid = fs::Uid::from_raw(stage.plan.process.uid);
    for stream in [task::stdin(), task::stdout(), task::stderr()] {
        let Ok(status) = fs::fstat(stream) else { continue }; // a stream that is closed has no owner
        if status.st_uid == stage.plan.process.uid || sys::is_character_device(stream, (1, 3))? {
            continue;
        }
        match fs::fchown(stream, Some(uid), None) {
            Ok(()) | Err(Errno::PERM | Errno::ROFS | Errno::INVAL) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(())
}

/// Sets the supplementary groups, also where there are none: the caller's must not remain.
pub fn set_groups(stage: &mut Stage<'_, '_>) -> Done {
    let groups = stage.plan.process.additional_gids;
    if sys::is_undefended("groups") {
        return Ok(());
    }
    match sys::set_groups(groups) {
        Err(Errno::PERM) if groups.is_empty() && stage.plan.namespaces.maps_ids() => Ok(()), // denied for good by /proc/self/setgroups
        answer => answer.map_err(At::from),
    }
}

/// Takes the process's group and user id, all three of each. Capabilities are kept, which only root's would be otherwise.
pub fn set_ids(stage: &mut Stage<'_, '_>) -> Done {
    let gid = fs::Gid::from_raw(stage.plan.process.gid);
    task::set_thread_res_gid(gid, gid, gid)?;
    let uid = fs::Uid::from_raw(stage.plan.process.uid);
    if !uid.is_root() {
        task::set_keep_capabilities(true)?;
    }
    task::set_thread_res_uid(uid, uid, uid)?;
    Ok(())
}

/// Sets the effective, permitted and inheritable sets; what the filter of system calls still needs stays permitted.
pub fn set_capabilities(stage: &mut Stage<'_, '_>) -> Done {
    let (sets, held) = (stage.plan.process.capabilities, stage.plan.process.held_for_seccomp);
    if stage.plan.process.uid != 0 {
        task::set_keep_capabilities(false)?;
    }
    sys::set_capabilities(sets.effective, sets.permitted | held, sets.inheritable).map_err(At::from)
}

/// Raises the ambient capabilities. One that is not both permitted and inheritable cannot be raised: runc warns of it and goes on.
pub fn raise_ambient(stage: &mut Stage<'_, '_>) -> Done {
    if stage.plan.process.capabilities.inheritable == 0 {
        return Ok(()); // capset has taken away what is not inheritable (capabilities(7))
    }
    match task::clear_ambient_capability_set() {
        Err(Errno::INVAL) => return Ok(()), // before Linux 4.3 there is no such set
        answer => answer?,
    }
    let wanted = stage.plan.process.capabilities.ambient;
    for number in (0..u64::BITS).filter(|number| wanted & 1 << number != 0) {
        let _ = task::configure_capability_in_ambient_set(task::CapabilitySet::from_bits_retain(1 << number), true);
    }
    Ok(())
}
