//! Paths that become read-only, and paths that are hidden.
//!
//! Must: come after the root was entered, so that every path is the container's. Mustn't: take anything but the null device for /dev/null.

use core::ffi::CStr;

use linux_raw_sys::general::{MOUNT_ATTR_RDONLY, MS_RDONLY};

use super::mounts::PROTECTED;
use super::{At, Done, Stage};
use crate::error::Note;
use crate::sys::{self, AsFd, Attributes, BorrowedFd, Errno, OwnedFd, Pile};

const READONLY: Attributes = Attributes { set: MOUNT_ATTR_RDONLY as u64, clear: 0 };

/// Makes each path read-only, with its other attributes kept. What does not exist is passed over.
pub fn make_paths_readonly(stage: &mut Stage<'_, '_>) -> Done {
    let mut used = Pile::default();
    for (index, path) in stage.plan.readonly_paths.iter().enumerate() {
        let readonly = match open(stage, path, sys::open_in_root) {
            Err(Errno::NOENT | Errno::NOTDIR) => continue,
            Err(errno) => Err(At::note(Note::OpenTarget)(errno)),
            Ok(target) => make_readonly(stage, path, target, &mut used),
        };
        readonly.map_err(At::item(index))?;
    }
    Ok(())
}

/// The path as the container sees it; below what is mounted on /proc and /sys, even where somebody who shares the root has put something
/// else in their place, and left them under another name.
fn open(stage: &Stage<'_, '_>, path: &CStr, how: fn(BorrowedFd<'_>, &CStr) -> Result<OwnedFd, Errno>) -> Result<OwnedFd, Errno> {
    let bytes = path.to_bytes_with_nul();
    for (name, mount) in PROTECTED.iter().zip(&stage.protected) {
        let rest =
            bytes.strip_prefix(name.to_bytes()).filter(|rest| rest.first() == Some(&b'/') && !rest.windows(2).any(|two| two == b".."));
        let (Some(rest), Some(mount), false) = (rest, mount, sys::is_undefended("protected")) else { continue };
        match how(mount.as_fd(), CStr::from_bytes_with_nul(rest).unwrap_or(c"")) {
            Err(Errno::NOENT | Errno::LOOP) => {} // also of a link that leads elsewhere
            answer => return answer,
        }
    }
    how(stage.root()?, path)
}

fn make_readonly(stage: &Stage<'_, '_>, path: &CStr, target: OwnedFd, used: &mut Pile) -> Done {
    let bound = sys::bind(stage.procfs, target.as_fd(), target.as_fd(), true).map_err(At::note(Note::Attach))?;
    let mount = match bound {
        Some(mount) => mount,
        None => open(stage, path, sys::open_in_root).map_err(At::note(Note::OpenTarget))?,
    };
    let done = sys::remount(stage.procfs, mount.as_fd(), READONLY).map_err(At::note(Note::Attributes));
    used.add(target);
    used.add(mount);
    done
}

/// Hides each path: a file behind the null device, a directory behind one empty read-only tmpfs that all of them share. Only the path itself may be missing.
pub fn hide_paths(stage: &mut Stage<'_, '_>) -> Done {
    let mut covers = Covers::default();
    for (index, path) in stage.plan.masked_paths.iter().enumerate() {
        let (opened, is_directory) = match open(stage, path, sys::open_directory_in_root) {
            Err(Errno::NOTDIR) => (open(stage, path, sys::open_in_root), false),
            opened => (opened, true),
        };
        let hidden = match opened {
            Err(Errno::NOENT | Errno::NOTDIR) => continue,
            Err(errno) => Err(At::note(Note::OpenTarget)(errno)),
            Ok(target) => hide(stage, path, target, is_directory, &mut covers),
        };
        hidden.map_err(At::item(index))?;
    }
    [covers.null.take(), covers.empty.take()].into_iter().flatten().for_each(|cover| covers.used.add(cover));
    Ok(())
}

/// What paths are hidden behind, once it is needed.
#[derive(Default)]
struct Covers {
    null: Option<OwnedFd>,
    empty: Option<OwnedFd>,
    /// What is open of it and of no use any more.
    used: Pile,
}

fn hide(stage: &Stage<'_, '_>, path: &CStr, target: OwnedFd, is_directory: bool, covers: &mut Covers) -> Done {
    if !is_directory && covers.null.is_none() {
        covers.null = Some(open_null(stage)?);
    }
    if is_directory && covers.empty.is_none() {
        cover_with_tmpfs(&target)?;
        covers.empty = Some(open(stage, path, sys::open_in_root).map_err(At::note(Note::OpenTarget))?);
    } else {
        let cover = if is_directory { &covers.empty } else { &covers.null };
        let cover = cover.as_ref().map(AsFd::as_fd).ok_or(Errno::BADF)?;
        let bound = sys::bind(stage.procfs, cover, target.as_fd(), false).map_err(At::note(Note::Attach))?;
        bound.into_iter().for_each(|mount| covers.used.add(mount));
    }
    covers.used.add(target);
    Ok(())
}

/// One block and one inode; some kernels want two (Ubuntu 5.4).
fn cover_with_tmpfs(target: &OwnedFd) -> Done {
    let cover = |data| sys::mount_onto(target.as_fd(), c"tmpfs", c"tmpfs", MS_RDONLY, data);
    cover(c"nr_blocks=1,nr_inodes=1").or_else(|_| cover(c"nr_blocks=1,nr_inodes=2")).map_err(At::note(Note::Attach))
}

/// The container's null device, and nothing else (CVE-2025-31133): a container may have put a link or a file of its own there.
fn open_null(stage: &Stage<'_, '_>) -> Result<OwnedFd, At> {
    if sys::is_undefended("null") {
        return stage.open(c"/dev/null").map_err(At::note(Note::NotNull));
    }
    let null = sys::open_last_in_root(stage.root()?, c"/dev/null").map_err(At::note(Note::NotNull))?;
    if sys::is_character_device(&null, (1, 3))? { Ok(null) } else { Err(At::note(Note::NotNull)(Errno::NODEV)) }
}
