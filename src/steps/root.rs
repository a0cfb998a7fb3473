//! The root file system: made a mount of its own, entered, and made read-only.

use linux_raw_sys::general::{MOUNT_ATTR_NODEV, MOUNT_ATTR_RDONLY, MS_MOVE, MS_PRIVATE, MS_REC, MS_SLAVE};

use super::{At, Done, Stage, image, sync};
use crate::error::Note;
use crate::names::subjects::IMAGES;
use crate::plan::mounts::{Entry, Root};
use crate::sys::{self, AsFd, Attributes, Errno, OwnedFd, fs, task};

/// Cuts a new mount namespace off from the host's, and mounts the root file system onto itself.
///
/// Must: come before any other mount. Mustn't: leave the root's parent shared, or pivot_root refuses and mounts leak to the host.
pub fn prepare(stage: &mut Stage<'_, '_>) -> Done {
    let of_the_host = stage.plan.root.of_the_host;
    if of_the_host != 0 {
        sys::mount(c"", c"/", c"", of_the_host, c"").map_err(At::note(Note::Propagation))?;
    } else if stage.plan.root.entry != Entry::Chroot {
        make_private(stage, &open(stage)?).map_err(At::note(Note::Propagation))?;
    }
    let root = match stage.image {
        Some(mounted) if IMAGES => image::attach(stage, mounted)?,
        _ => match sys::bind_onto_itself(stage.plan.root.path) {
            Err(Errno::NOSYS | Errno::ACCESS) => bind(stage)?,
            bound => bound.map_err(At::note(Note::OpenSource))?,
        },
    };
    let about = sys::about(root.as_fd())?;
    if about.kind() != fs::FileType::Directory {
        return Err(At::note(Note::OpenSource)(Errno::NOTDIR));
    }
    stage.root_mount = about.mount_id;
    if stage.plan.root.is_nodev {
        let nodev = Attributes { set: u64::from(MOUNT_ATTR_NODEV), clear: 0 };
        // What is mounted below it too, where the kernel can (Linux 5.12).
        let all = match sys::change_attributes(root.as_fd(), nodev, 0, true) {
            Err(Errno::NOSYS | Errno::PERM) => sys::remount(stage.procfs, root.as_fd(), nodev),
            done => done,
        };
        all.map_err(At::note(Note::Attributes))?;
    }
    if of_the_host == 0 {
        // The host's peers see nothing of what is mounted in it.
        sys::set_propagation(stage.procfs, root.as_fd(), MS_SLAVE | MS_REC).map_err(At::note(Note::Propagation))?;
    }
    stage.root = Some(root);
    Ok(())
}

/// Makes the mount that a directory lies on private: alone its root can be told so.
fn make_private(stage: &Stage<'_, '_>, directory: &OwnedFd) -> Result<(), Errno> {
    let flags = fs::OFlags::PATH | fs::OFlags::DIRECTORY | fs::OFlags::CLOEXEC;
    let mut here = fs::openat(directory, c".", flags, fs::Mode::empty())?;
    for _ in 0..MAX_DEPTH {
        match sys::set_propagation(stage.procfs, here.as_fd(), MS_PRIVATE) {
            Err(Errno::INVAL) => here = fs::openat(&here, c"..", flags, fs::Mode::empty())?,
            done => return done,
        }
    }
    Err(Errno::LOOP)
}

/// By a descriptor, for a path that only the parent can follow, and before Linux 5.2.
fn bind(stage: &Stage<'_, '_>) -> Result<OwnedFd, At> {
    let directory = open(stage)?;
    match sys::bind(stage.procfs, directory.as_fd(), directory.as_fd(), true).map_err(At::note(Note::Attach))? {
        Some(mount) => Ok(mount),
        None => open_again(stage, &directory),
    }
}

fn open(stage: &Stage<'_, '_>) -> Result<OwnedFd, At> {
    let flags = fs::OFlags::PATH | fs::OFlags::DIRECTORY | fs::OFlags::NOFOLLOW | fs::OFlags::CLOEXEC;
    let path = if stage.image.is_some() { c"/" } else { stage.plan.root.path };
    match fs::open(path, flags, fs::Mode::empty()) {
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

/// More directories than a path can name.
const MAX_DEPTH: usize = 2048;

/// Makes the root file system `/`, and takes the host's away.
///
/// Must: come after every mount and node that needs the host, and before anything is resolved as the container sees it.
pub fn enter(stage: &mut Stage<'_, '_>) -> Done {
    task::fchdir(stage.root()?)?;
    match stage.plan.root.entry {
        Entry::Pivot => pivot(stage)?,
        Entry::Move => move_root(stage)?,
        Entry::Chroot => task::chroot(c".")?,
    }
    Ok(())
}

/// Takes the root of a container that was joined: setns(2) into its mount namespace has made it ours, unless that is not its own.
pub fn take(stage: &mut Stage<'_, '_>) -> Done {
    if stage.plan.root.entry == Entry::Chroot {
        task::fchdir(stage.root()?)?;
        task::chroot(c".")?;
    }
    let flags = fs::OFlags::PATH | fs::OFlags::DIRECTORY | fs::OFlags::CLOEXEC;
    stage.root = Some(fs::open(c"/", flags, fs::Mode::empty())?);
    Ok(())
}

/// pivot_root(2), notes: with both arguments `.` the old root ends up on top of the new one; taking it off leaves nothing of it.
///
/// Mustn't: take it off the host too, whose peer it is where the host's mounts were left shared.
fn pivot(stage: &Stage<'_, '_>) -> Done {
    let is_shared = stage.plan.root.of_the_host == 0;
    let flags = fs::OFlags::PATH | fs::OFlags::DIRECTORY | fs::OFlags::CLOEXEC;
    let old = if is_shared { Some(fs::open(c"/", flags, fs::Mode::empty())?) } else { None };
    match task::pivot_root(c".", c".") {
        // The initial ramfs is no mount that could be taken off. The parent looks whether it is that.
        Err(Errno::INVAL) => move_root(stage).map_err(|at| if at.errno == Errno::INVAL { At::note(Note::Pivot)(at.errno) } else { at }),
        answer => {
            answer.map_err(At::note(Note::Pivot))?;
            if let Some(old) = &old {
                task::fchdir(old)?;
                sys::mount(c"", c".", c"", MS_SLAVE | MS_REC, c"").map_err(At::note(Note::Propagation))?;
            }
            sys::unmount_detached(c".")?;
            // Without the detour we are still in the new root.
            old.map_or(Ok(()), |_| task::fchdir(stage.root()?)).map_err(At::from)
        }
    }
}

/// Moves the root over the host's, which stays below: so every whole procfs and sysfs of the host is covered first, or a
/// user namespace inside could mount them anew, without what is masked in ours.
fn move_root(stage: &Stage<'_, '_>) -> Done {
    sys::send(stage.channel, &[sync::UNCOVER], None)?;
    let mut path = [0; 4096];
    loop {
        let (bytes, _) = sys::receive(stage.channel, &mut path)?;
        match path.get(..bytes) {
            Some([b'/', ..]) => {}
            Some([sync::READY]) => break,
            _ => return Err(At::note(Note::Gone)(Errno::INVAL)),
        }
        let path = core::ffi::CStr::from_bytes_until_nul(&path).map_err(|_| Errno::NAMETOOLONG)?;
        cover(stage, path).map_err(At::note(Note::Uncover))?;
    }
    task::fchdir(stage.root()?)?;
    if stage.image.is_none() {
        sys::mount(c"", c"/", c"", MS_PRIVATE, c"").map_err(At::note(Note::Propagation))?;
        sys::mount(c".", c"/", c"", MS_MOVE, c"").map_err(At::note(Note::Attach))?;
    }
    task::chroot(c".")?;
    Ok(())
}

/// Covers a procfs or sysfs: to take it away could take it, or what is below it, from the host's peers, and some a user namespace has locked.
fn cover(stage: &Stage<'_, '_>, path: &core::ffi::CStr) -> Result<(), Errno> {
    let flags = fs::OFlags::PATH | fs::OFlags::DIRECTORY | fs::OFlags::NOFOLLOW | fs::OFlags::CLOEXEC;
    let mount = match fs::open(path, flags, fs::Mode::empty()) {
        Err(Errno::NOENT | Errno::NOTDIR) => return Ok(()), // it has gone with another
        opened => opened?,
    };
    match sys::set_propagation(stage.procfs, mount.as_fd(), MS_PRIVATE) {
        Err(Errno::INVAL) => return Ok(()), // the same
        done => done?,
    }
    sys::mount_onto(mount.as_fd(), c"tmpfs", c"tmpfs", 0, c"")
}

/// Gives `/` its propagation.
///
/// Must: come after everything that binds what lies in it, which an unbindable mount refuses.
pub fn set_propagation(stage: &mut Stage<'_, '_>) -> Done {
    let Root { propagation, entry, .. } = stage.plan.root;
    if propagation == MS_REC | MS_SLAVE || entry == Entry::Chroot {
        return Ok(()); // that is what it has been from the beginning; and where it is not ours, we leave it
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
