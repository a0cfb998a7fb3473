//! The root file system: made a mount of its own, entered, and made read-only.

use linux_raw_sys::general::{MOUNT_ATTR_RDONLY, MS_MOVE, MS_REC, MS_SLAVE};

use super::{At, Done, Stage, sync};
use crate::error::Note;
use crate::sys::{self, AsFd, Attributes, Errno, OwnedFd, fs, task};

/// Cuts the new mount namespace off from the host's, and mounts the root file system onto itself.
///
/// Must: come before any other mount. Mustn't: leave the root's parent shared, or pivot_root refuses and mounts leak to the host.
pub fn prepare(stage: &mut Stage<'_, '_>) -> Done {
    sys::mount(c"", c"/", c"", MS_REC | MS_SLAVE, c"").map_err(At::note(Note::Propagation))?;
    let directory = open(stage)?;
    let bound = sys::bind(stage.procfs, directory.as_fd(), directory.as_fd(), true).map_err(At::note(Note::Attach))?;
    stage.root = match bound {
        Some(mount) => Some(mount),
        None => Some(open_again(stage, &directory)?),
    };
    Ok(())
}

fn open(stage: &Stage<'_, '_>) -> Result<OwnedFd, At> {
    let flags = fs::OFlags::PATH | fs::OFlags::DIRECTORY | fs::OFlags::NOFOLLOW | fs::OFlags::CLOEXEC;
    match fs::open(stage.plan.root.path, flags, fs::Mode::empty()) {
        Err(Errno::ACCESS) if stage.plan.namespaces.maps_ids() => sync::ask_for_source(stage, sync::ROOT.into()),
        opened => opened.map_err(At::note(Note::OpenSource)),
    }
}

/// Without open_tree the new mount must be opened by its path; it must be the same directory still.
fn open_again(stage: &Stage<'_, '_>, directory: &OwnedFd) -> Result<OwnedFd, At> {
    let top = open(stage)?;
    let (bound, below) = (fs::fstat(&top)?, fs::fstat(directory)?);
    let is_same = (bound.st_dev, bound.st_ino) == (below.st_dev, below.st_ino);
    if is_same { Ok(top) } else { Err(At::note(Note::Attach)(Errno::XDEV)) }
}

/// Makes the root file system `/`, and takes the host's away.
///
/// Must: come after every mount and node that needs the host, and before anything is resolved as the container sees it.
pub fn enter(stage: &mut Stage<'_, '_>) -> Done {
    task::fchdir(stage.root()?)?;
    if stage.plan.root.no_pivot {
        move_root()?;
    } else {
        // pivot_root(2), notes: with both arguments `.` the old root ends up on top of the new one; taking it off leaves nothing of it.
        task::pivot_root(c".", c".").map_err(At::note(Note::Pivot))?;
        sys::unmount_detached(c".")?;
    }
    task::chdir(c"/")?;
    let flags = fs::OFlags::PATH | fs::OFlags::DIRECTORY | fs::OFlags::CLOEXEC;
    stage.root = Some(fs::open(c"/", flags, fs::Mode::empty())?);
    set_propagation(stage.plan.root.propagation)
}

/// For hosts whose root is the initial ramfs, where pivot_root cannot work.
fn move_root() -> Done {
    sys::mount(c".", c"/", c"", MS_MOVE, c"").map_err(At::note(Note::Attach))?;
    task::chroot(c".")?;
    Ok(())
}

fn set_propagation(propagation: u32) -> Done {
    if propagation == MS_REC | MS_SLAVE {
        return Ok(()); // that is what it has been from the beginning
    }
    sys::mount(c"", c"/", c"", propagation, c"").map_err(At::note(Note::Propagation))
}

/// Makes `/` read-only, and leaves its other attributes as they are.
pub fn make_readonly(stage: &mut Stage<'_, '_>) -> Done {
    if !stage.plan.root.is_readonly {
        return Ok(());
    }
    let readonly = Attributes { set: u64::from(MOUNT_ATTR_RDONLY), clear: 0 };
    sys::remount(stage.procfs, stage.root()?, readonly).map_err(At::note(Note::Attributes))
}
