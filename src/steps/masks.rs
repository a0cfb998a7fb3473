//! Paths that become read-only, and paths that are hidden.
//!
//! Must: come after the root was entered, so that every path is the container's. Mustn't: take anything but the null device for /dev/null.

use linux_raw_sys::general::{MOUNT_ATTR_RDONLY, MS_RDONLY};

use super::{At, Done, Stage};
use crate::error::Note;
use crate::sys::{self, AsFd, Attributes, Errno, OwnedFd, fs};

const READONLY: Attributes = Attributes { set: MOUNT_ATTR_RDONLY as u64, clear: 0 };

/// Makes each path read-only, with its other attributes kept. What does not exist is passed over.
pub fn make_paths_readonly(stage: &mut Stage<'_, '_>) -> Done {
    for (index, path) in stage.plan.readonly_paths.iter().enumerate() {
        let readonly = match stage.open(path) {
            Err(Errno::NOENT | Errno::NOTDIR) => continue,
            Err(errno) => Err(At::note(Note::OpenTarget)(errno)),
            Ok(target) => make_readonly(stage, path, &target),
        };
        readonly.map_err(At::item(index))?;
    }
    Ok(())
}

fn make_readonly(stage: &Stage<'_, '_>, path: &core::ffi::CStr, target: &OwnedFd) -> Done {
    let bound = sys::bind(stage.procfs, target.as_fd(), target.as_fd(), true).map_err(At::note(Note::Attach))?;
    let mount = match bound {
        Some(mount) => mount,
        None => stage.open(path).map_err(At::note(Note::OpenTarget))?,
    };
    sys::remount(stage.procfs, mount.as_fd(), READONLY).map_err(At::note(Note::Attributes))
}

/// Hides each path: a file behind the null device, a directory behind one empty read-only tmpfs that all of them share. Only the path itself may be missing.
pub fn hide_paths(stage: &mut Stage<'_, '_>) -> Done {
    let mut null = None;
    let mut empty = None;
    for (index, path) in stage.plan.masked_paths.iter().enumerate() {
        let hidden = match stage.open(path) {
            Err(Errno::NOENT | Errno::NOTDIR) => continue,
            Err(errno) => Err(At::note(Note::OpenTarget)(errno)),
            Ok(target) => hide(stage, path, &target, &mut null, &mut empty),
        };
        hidden.map_err(At::item(index))?;
    }
    Ok(())
}

fn hide(stage: &Stage<'_, '_>, path: &core::ffi::CStr, target: &OwnedFd, null: &mut Option<OwnedFd>, empty: &mut Option<OwnedFd>) -> Done {
    let is_directory = sys::file_type(target)? == fs::FileType::Directory;
    if !is_directory && null.is_none() {
        *null = Some(open_null(stage)?);
    }
    if is_directory && empty.is_none() {
        cover_with_tmpfs(target)?;
        *empty = Some(stage.open(path).map_err(At::note(Note::OpenTarget))?);
        return Ok(());
    }
    let cover = if is_directory { empty } else { null };
    let cover = cover.as_ref().map(AsFd::as_fd).ok_or(Errno::BADF)?;
    sys::bind(stage.procfs, cover, target.as_fd(), false).map(|_| ()).map_err(At::note(Note::Attach))
}

/// One block and one inode; some kernels want two (Ubuntu 5.4).
fn cover_with_tmpfs(target: &OwnedFd) -> Done {
    let cover = |data| sys::mount_onto(target.as_fd(), c"tmpfs", c"tmpfs", MS_RDONLY, data);
    cover(c"nr_blocks=1,nr_inodes=1").or_else(|_| cover(c"nr_blocks=1,nr_inodes=2")).map_err(At::note(Note::Attach))
}

/// The container's null device, and nothing else (CVE-2025-31133): a container may have put a link or a file of its own there.
fn open_null(stage: &Stage<'_, '_>) -> Result<OwnedFd, At> {
    let dev = stage.open(c"/dev").map_err(At::note(Note::NotNull))?;
    let flags = fs::OFlags::PATH | fs::OFlags::NOFOLLOW | fs::OFlags::CLOEXEC;
    let null = fs::openat(&dev, c"null", flags, fs::Mode::empty()).map_err(At::note(Note::NotNull))?;
    if sys::is_undefended("null") {
        return stage.open(c"/dev/null").map_err(At::note(Note::NotNull));
    }
    if sys::is_character_device(&null, (1, 3))? { Ok(null) } else { Err(At::note(Note::NotNull)(Errno::NODEV)) }
}
