//! Mounts, in the plan's order: resolve the destination inside the root, mount onto the descriptor, look whether it is there.

use core::ffi::CStr;
use core::fmt::Write;

use linux_raw_sys::general::{MOUNT_ATTR_RDONLY, MS_BIND, MS_REC, MS_REMOUNT};

use super::{At, Done, Stage, copy_up, sync};
use crate::error::Note;
use crate::plan::mounts::{Bind, FileSystem, Mount, Source};
use crate::sys::{self, AsFd, Attributes, BorrowedFd, Errno, Missing, OwnedFd, Pile, fs};

/// Where paths are masked. Whoever shares the root may take these names away, but not what is mounted there.
pub(super) const PROTECTED: [&CStr; 2] = [c"/proc", c"/sys"];

/// Mounts everything.
///
/// Mustn't: follow the destination out of the root, nor mount onto a procfs what is not on the plan's short list.
pub fn mount_all(stage: &mut Stage<'_, '_>) -> Done {
    let mut known = Known { harmless: [None, stage.root_mount], last: None, used: Pile::default() };
    for (index, mount) in stage.plan.mounts.iter().enumerate() {
        let top = match mount_one(stage, index, mount, &mut known) {
            Ok(top) => top,
            Err(at) => {
                let mut buffer = [0; 256];
                let said = why_refused(mount, at, &mut buffer);
                let _ = stage.came_along[1].extend_from_slice(said); // there is room for more
                return Err(At::item(index)(at));
            }
        };
        if let Some(place) = PROTECTED.iter().position(|path| *path == mount.destination) {
            stage.protected[place] = top;
        }
    }
    Ok(())
}

/// The kernel's own words for a file system that it did not mount.
fn why_refused<'b>(mount: &Mount<'_>, at: At, buffer: &'b mut [u8]) -> &'b [u8] {
    match (&mount.source, at.note) {
        (Source::FileSystem(new), Note::Attach | Note::AttachLabelled) => {
            sys::why_refused(new.device, new.kind, new.flags, new.data, buffer).unwrap_or_default()
        }
        _ => b"",
    }
}

/// What the mounts before have shown.
struct Known<'m> {
    /// Mounts that are no procfs: the last that was looked at, and the root.
    harmless: [Option<u64>; 2],
    /// The last one, if it is a tmpfs that is still empty but for targets that were made in it.
    last: Option<Last<'m>>,
    /// What is open of them and of no use any more.
    used: Pile,
}

struct Last<'m> {
    place: &'m CStr,
    top: OwnedFd,
    id: u64,
}

impl Last<'_> {
    /// Makes a target that is to lie in it. `None` if it has another place, or is taken.
    fn make(&self, destination: &CStr, missing: Missing) -> Option<Target> {
        let name = destination.to_bytes_with_nul().strip_prefix(self.place.to_bytes())?.strip_prefix(b"/")?;
        if name.contains(&b'/') || matches!(name, b"\0" | b".\0" | b"..\0") {
            return None;
        }
        let fd = sys::make_in(self.top.as_fd(), CStr::from_bytes_with_nul(name).ok()?, missing).ok()?;
        Some(Target { fd, mount_id: Some(self.id), is_new: true })
    }
}

/// Where something is to be mounted.
struct Target {
    fd: OwnedFd,
    /// The mount that it lies on; `None` before Linux 5.8.
    mount_id: Option<u64>,
    /// Whether it was missing.
    is_new: bool,
}

/// What is mounted there now, if it is one of those to be kept.
fn mount_one<'m>(stage: &Stage<'_, '_>, index: usize, mount: &Mount<'m>, known: &mut Known<'m>) -> Result<Option<OwnedFd>, At> {
    let (top, id) = match &mount.source {
        Source::FileSystem(new) => {
            let target = open_directory(stage, mount, new.on_real_directory, known)?;
            check_target(mount, &target, known)?;
            match mount_file_system(new, &target) {
                Err(at @ At { errno: Errno::PERM | Errno::BUSY, .. }) => {
                    drop(target);
                    let mut bound = Err(at);
                    for host in new.fallbacks.iter().flatten() {
                        if let Err(At { errno: Errno::PERM | Errno::BUSY | Errno::NOENT, .. }) = bound {
                            bound = bind(stage, index, mount, host, known);
                        }
                    }
                    (bound?, None)
                }
                answer => {
                    answer?;
                    finish_file_system(stage, mount, new, target, known)?
                }
            }
        }
        Source::Bind(source) => (bind(stage, index, mount, source, known)?, None),
        Source::Remount { flags, data } => {
            let target = stage.open(mount.destination).map_err(At::note(Note::OpenTarget))?;
            let done = sys::mount_by_procfs(stage.procfs, None, target.as_fd(), flags | MS_REMOUNT, data);
            done.map_err(At::note(Note::Attributes))?;
            known.used.add(target);
            (stage.open(mount.destination).map_err(At::note(Note::OpenTarget))?, None)
        }
    };
    if !mount.recursive.is_empty() {
        let done = sys::change_attributes(top.as_fd(), mount.recursive, 0, true);
        done.map_err(At::note(Note::RecursiveAttributes))?;
    }
    for flags in &mount.propagation {
        sys::set_propagation(stage.procfs, top.as_fd(), *flags).map_err(At::note(Note::Propagation))?;
    }
    if PROTECTED.contains(&mount.destination) {
        return Ok(Some(top));
    }
    match (&mount.source, id) {
        (Source::FileSystem(new), Some(id)) if known.last.is_none() && !new.copies_up && new.kind == c"tmpfs" => {
            known.last = Some(Last { place: mount.destination, top, id });
        }
        _ => known.used.add(top),
    }
    Ok(None)
}

fn open_directory(stage: &Stage<'_, '_>, mount: &Mount<'_>, on_real_directory: bool, known: &mut Known<'_>) -> Result<Target, At> {
    if !on_real_directory || sys::is_undefended("real-directory") {
        return open_target(stage, mount, None, known);
    }
    known.last = None;
    if let (Some(_), Ok(fd)) = (stage.root_mount, sys::open_plain_directory(stage.root()?, mount.destination)) {
        return Ok(Target { fd, mount_id: stage.root_mount, is_new: false });
    }
    let target = sys::open_without_links(stage.root()?, mount.destination, Missing::Directory).map_err(|errno| match errno {
        Errno::LOOP | Errno::NOTDIR => At::note(Note::NotOrdinaryDirectory)(Errno::NOTDIR),
        errno => At::note(Note::OpenTarget)(errno),
    })?;
    let about = sys::about(target.as_fd())?;
    match about.kind() {
        fs::FileType::Directory => Ok(Target { fd: target, mount_id: about.mount_id, is_new: false }),
        _ => Err(At::note(Note::NotOrdinaryDirectory)(Errno::NOTDIR)),
    }
}

/// Opens the destination; where nothing is it makes a file if `source` is one, a directory otherwise.
///
/// What lies on the root's own mount is no procfs, and needs no second look; most of what lies elsewhere is below these three.
fn open_target(stage: &Stage<'_, '_>, mount: &Mount<'_>, source: Option<&OwnedFd>, known: &mut Known<'_>) -> Result<Target, At> {
    let is_file = || source.is_some_and(|source| sys::file_type(source).is_ok_and(|kind| kind != fs::FileType::Directory));
    let missing = || if is_file() { Missing::File } else { Missing::Directory };
    // Made at once, since it is most likely missing. Whatever else is mounted may be mounted over it, by a path that does not show that.
    if let Some(last) = known.last.take() {
        if let Some(target) = last.make(mount.destination, missing()) {
            known.last = Some(last);
            return Ok(target);
        }
        known.used.add(last.top);
    }
    let (root, path) = (stage.root()?, mount.destination);
    let is_elsewhere = mount.is_below_default_mounts || stage.root_mount.is_none();
    match if is_elsewhere { Err(Errno::XDEV) } else { sys::open_in_mount(root, path) } {
        Ok(fd) => return Ok(Target { fd, mount_id: stage.root_mount, is_new: false }),
        Err(Errno::NOENT) => {
            if let Some(fd) = sys::create_in_mount(root, path, missing(), &mut known.used) {
                return Ok(Target { fd, mount_id: stage.root_mount, is_new: true });
            }
        }
        Err(_) => {}
    }
    let (opened, is_new) = match stage.open(path) {
        Err(Errno::NOENT) => (sys::create_in_root(root, path, missing(), &mut known.used), true),
        opened => (opened, false),
    };
    let fd = opened.map_err(At::note(Note::OpenTarget))?;
    Ok(Target { mount_id: sys::about(fd.as_fd())?.mount_id, fd, is_new })
}

/// Refuses what would cover a part of /proc, by whatever path it came there.
fn check_target(mount: &Mount<'_>, target: &Target, known: &mut Known<'_>) -> Done {
    let id = target.mount_id;
    let in_last = known.last.as_ref().is_some_and(|last| id == Some(last.id));
    let is_harmless = in_last || id.is_some() && known.harmless.contains(&id);
    if mount.may_cover_proc || sys::is_undefended("proc-target") || is_harmless {
        return Ok(());
    }
    if is_procfs(&target.fd)? {
        return Err(At::note(Note::InsideProc)(Errno::PERM));
    }
    known.harmless[0] = id;
    Ok(())
}

fn is_procfs(file: &OwnedFd) -> Result<bool, Errno> {
    Ok(sys::file_system(file)? == sys::magic::PROC_SUPER_MAGIC)
}

fn mount_file_system(new: &FileSystem<'_>, target: &Target) -> Done {
    let note = if new.has_context { Note::AttachLabelled } else { Note::Attach };
    let attach = |data| sys::mount_onto(target.fd.as_fd(), new.device, new.kind, new.flags, data).map_err(At::note(note));
    if !new.takes_mode || target.is_new {
        return attach(new.data);
    }
    let mut with_mode = heapless::String::<1024>::new();
    let comma = if new.data.is_empty() { "" } else { "," };
    let mode = fs::fstat(&target.fd)?.st_mode & 0o7777;
    let text = new.data.to_str().unwrap_or_default();
    let fits = write!(with_mode, "{text}{comma}mode={mode:o}\0");
    match CStr::from_bytes_with_nul(with_mode.as_bytes()) {
        Ok(data) if fits.is_ok() => attach(data),
        _ => Err(At::note(Note::Attach)(Errno::NAMETOOLONG)),
    }
}

fn finish_file_system(
    stage: &Stage<'_, '_>,
    mount: &Mount<'_>,
    new: &FileSystem<'_>,
    target: Target,
    known: &mut Known<'_>,
) -> Result<(OwnedFd, Option<u64>), At> {
    let (top, id) = look_again(stage, mount, target.mount_id)?;
    if new.kind != c"proc" && id.is_some() {
        known.harmless[0] = id;
    }
    if new.copies_up && !target.is_new {
        copy_up::copy(target.fd.as_fd(), top.as_fd()).map_err(At::note(Note::CopyUp))?;
    }
    if let Some(label) = new.label {
        sys::set_label(stage.procfs, top.as_fd(), label).map_err(At::note(Note::AttachLabelled))?;
    }
    known.used.add(target.fd);
    Ok((top, id))
}

/// The destination once more: the new mount must be what the container will find there, or somebody moved the directory meanwhile (CVE-2021-30465).
fn look_again(stage: &Stage<'_, '_>, mount: &Mount<'_>, before: Option<u64>) -> Result<(OwnedFd, Option<u64>), At> {
    let mounted = stage.open(mount.destination).map_err(At::note(Note::Moved))?;
    match (before, sys::about(mounted.as_fd())?.mount_id) {
        (Some(before), Some(now)) if before == now => Err(At::note(Note::Moved)(Errno::XDEV)),
        (_, now) => Ok((mounted, now)),
    }
}

/// Calls `change` with all attributes, and again without those that are merely not named when the kernel has locked some (mount_namespaces(7)).
fn apply(bind: &Bind<'_>, change: &dyn Fn(Attributes) -> Result<(), Errno>) -> Done {
    let all = Attributes { clear: bind.attributes.clear | bind.cleared_if_unlocked, ..bind.attributes };
    if all.is_empty() {
        return Ok(());
    }
    let done = match change(all) {
        Err(Errno::PERM) if bind.cleared_if_unlocked != 0 => change(bind.attributes),
        answer => answer,
    };
    done.map_err(At::note(Note::Attributes))
}

/// The file or directory to bind. What root in a user namespace may not reach the parent opens, as itself but among the container's mounts.
pub(super) fn open_source(stage: &Stage<'_, '_>, index: usize, path: &CStr) -> Result<OwnedFd, At> {
    match fs::open(path, fs::OFlags::PATH | fs::OFlags::CLOEXEC, fs::Mode::empty()) {
        Err(Errno::ACCESS) if stage.plan.namespaces.maps_ids() => sync::ask_for_source(stage, index),
        opened => opened.map_err(At::note(Note::OpenSource)),
    }
}

/// A detached copy of what is to be bound; `None` before Linux 5.2.
fn clone_source(stage: &Stage<'_, '_>, index: usize, bind: &Bind<'_>) -> Result<Option<OwnedFd>, At> {
    if bind.id_map.is_some() {
        return sync::ask_for_source(stage, index).map(Some);
    }
    match sys::clone_tree(bind.path, bind.is_recursive) {
        Ok(tree) => return Ok(Some(tree)),
        Err(Errno::NOSYS) => return Ok(None),
        Err(Errno::ACCESS) if stage.plan.namespaces.maps_ids() => {}
        Err(errno @ Errno::INVAL) => return Err(At::note(Note::Attach)(errno)), // it is unbindable, or not ours to take apart
        Err(errno) => return Err(At::note(Note::OpenSource)(errno)),
    }
    let source = sync::ask_for_source(stage, index)?;
    sys::bind_tree(source.as_fd(), bind.is_recursive).map(Some).map_err(At::note(Note::Attach))
}

/// By the mount API, and by mount(2) what it lacks: before Linux 5.12 the attributes, before 5.2 all.
fn bind(stage: &Stage<'_, '_>, index: usize, mount: &Mount<'_>, bind: &Bind<'_>, known: &mut Known<'_>) -> Result<OwnedFd, At> {
    let tree = clone_source(stage, index, bind)?;
    let is_detached = tree.is_some();
    let mut source = match tree {
        Some(tree) => tree,
        None => open_source(stage, index, bind.path)?,
    };
    if bind.only_procfs && !sys::is_undefended("proc-target") && !is_procfs(&source)? {
        return Err(At::note(Note::NotProcfs)(Errno::INVAL));
    }
    let target = open_target(stage, mount, Some(&source), known)?;
    check_target(mount, &target, known)?;
    let mut is_set =
        is_detached && is_there(apply(bind, &|attributes| sys::change_attributes(source.as_fd(), attributes, 0, bind.covers_all)))?;
    if !is_detached || !is_there(sys::mount_tree(source.as_fd(), target.fd.as_fd()).map_err(At::note(Note::Attach)))? {
        if is_detached {
            source = open_source(stage, index, bind.path)?;
        }
        let flags = MS_BIND | if bind.is_recursive { MS_REC } else { 0 };
        let bound = sys::mount_by_procfs(stage.procfs, Some(source.as_fd()), target.fd.as_fd(), flags, c"");
        bound.map_err(At::note(Note::Attach))?;
        is_set = false;
    }
    // What is mounted on the root's own mount leads out of it; the tree that was made is what is there.
    let is_on_root = target.mount_id.is_some() && target.mount_id == stage.root_mount;
    if is_set && is_on_root && sys::open_in_mount(stage.root()?, mount.destination).err() == Some(Errno::XDEV) {
        known.used.add(target.fd);
        return Ok(source);
    }
    let (top, _) = look_again(stage, mount, target.mount_id)?;
    if !is_set {
        apply(bind, &|attributes| match bind.covers_all {
            true => sys::change_attributes(top.as_fd(), attributes, 0, true),
            false => sys::remount(stage.procfs, top.as_fd(), attributes),
        })?;
    }
    known.used.add(target.fd);
    known.used.add(source);
    Ok(top)
}

/// Whether the kernel has the call that was tried, and lets us make it; what takes its place says why not.
fn is_there(done: Done) -> Result<bool, At> {
    match done {
        Err(At { errno: Errno::NOSYS | Errno::PERM, .. }) => Ok(false),
        done => done.map(|()| true),
    }
}

/// Attaches a tree that was made elsewhere to the root of a running container, whose processes may move the mount point meanwhile.
/// `told` hears the path of each directory and file that is made for it, the outermost first.
pub fn attach(procfs: BorrowedFd<'_>, root: BorrowedFd<'_>, mount: &Mount<'_>, tree: BorrowedFd<'_>, told: &mut dyn FnMut(&[u8])) -> Done {
    let made = sys::about(tree)?;
    let is_directory = made.kind() == fs::FileType::Directory;
    let missing = if is_directory { Missing::Directory } else { Missing::File };
    let target = sys::create_in_root_telling(root, mount.destination, missing, told).map_err(At::note(Note::OpenTarget))?;
    if !mount.may_cover_proc && is_procfs(&target)? {
        return Err(At::note(Note::InsideProc)(Errno::PERM));
    }
    let covered = sys::about(target.as_fd())?;
    if is_directory != (covered.kind() == fs::FileType::Directory) {
        return Err(At::note(Note::Attach)(Errno::NOTDIR));
    }
    if covered.is_mount_root == Some(true) && covered.mount_id == sys::about(root)?.mount_id {
        return Err(At::note(Note::Attach)(Errno::BUSY)); // the root, by whatever path
    }
    sys::mount_tree(tree, target.as_fd()).map_err(At::note(Note::Attach))?;
    let there = sys::open_in_root(root, mount.destination).and_then(|there| sys::about(there.as_fd()));
    if there.is_ok_and(|there| there.mount_id == made.mount_id) {
        return Ok(());
    }
    let _ = sys::unmount_tree(procfs, tree); // that it is not there is what is told
    Err(At::note(Note::Moved)(Errno::XDEV))
}

/// The mount at a place of a running container. Errors: EINVAL if there is none of its own.
pub fn mounted(root: BorrowedFd<'_>, destination: &CStr) -> Result<OwnedFd, Errno> {
    let there = sys::open_in_root(root, destination)?;
    let about = sys::about(there.as_fd())?;
    let is_root = about.mount_id.is_some() && about.mount_id == sys::about(root)?.mount_id;
    if is_root || about.is_mount_root == Some(false) { Err(Errno::INVAL) } else { Ok(there) }
}

/// Makes those mounts read-only that had to stay writable until everything was in them.
pub fn make_readonly(stage: &mut Stage<'_, '_>) -> Done {
    for (index, mount) in stage.plan.mounts.iter().enumerate().filter(|(_, mount)| mount.readonly_at_last) {
        let mounted = stage.open(mount.destination).map_err(At::note(Note::OpenTarget)).map_err(At::item(index))?;
        let readonly = Attributes { set: u64::from(MOUNT_ATTR_RDONLY), clear: 0 };
        sys::remount(stage.procfs, mounted.as_fd(), readonly).map_err(At::note(Note::Attributes)).map_err(At::item(index))?;
    }
    Ok(())
}
