//! Joining namespaces, making those that clone3 did not, and becoming root in a new user namespace.

use super::{At, Done, Stage};
use crate::error::Note;
use crate::sys::{self, AsFd, Errno, fs, task};

/// Waits until the parent has written the id maps, then takes the root of the new user namespace.
pub fn await_id_maps(stage: &mut Stage<'_, '_>) -> Done {
    if stage.plan.namespaces.uid_map.is_empty() {
        return Ok(());
    }
    let (bytes, _) = sys::receive(stage.channel, &mut [0])?;
    if bytes == 0 {
        return Err(At::note(Note::Gone)(Errno::CANCELED));
    }
    task::set_thread_res_gid(fs::Gid::ROOT, fs::Gid::ROOT, fs::Gid::ROOT)?;
    task::set_thread_res_uid(fs::Uid::ROOT, fs::Uid::ROOT, fs::Uid::ROOT)?;
    Ok(())
}

/// Joins the namespaces named by path. A pid namespace is not among them: the parent has joined it for us.
pub fn join(stage: &mut Stage<'_, '_>) -> Done {
    for (index, join) in stage.plan.namespaces.join.iter().enumerate() {
        if join.flag == linux_raw_sys::general::CLONE_NEWPID {
            continue;
        }
        let open = fs::open(join.path, fs::OFlags::RDONLY | fs::OFlags::CLOEXEC, fs::Mode::empty());
        let joined = open.and_then(|namespace| sys::set_namespace(namespace.as_fd(), join.flag));
        joined.map_err(At::from).map_err(At::item(index))?;
    }
    Ok(())
}

/// Makes the namespaces that are better made here than by clone3.
pub fn unshare(stage: &mut Stage<'_, '_>) -> Done {
    match stage.plan.namespaces.in_child() {
        0 => Ok(()),
        flags => sys::unshare(flags).map_err(At::from),
    }
}
