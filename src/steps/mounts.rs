//! Mounts, in the plan's order: resolve the destination inside the root, mount onto the descriptor, look whether it is there.

use core::fmt::Write;

use linux_raw_sys::general::{MOUNT_ATTR_RDONLY, MS_BIND, MS_REC, MS_REMOUNT};

use super::{At, Done, Stage};
use crate::error::Note;
use crate::plan::mounts::{Mount, Source};
use crate::sys::{self, AsFd, Attributes, BorrowedFd, Errno, Missing, OwnedFd, fs};

/// Mounts everything.
///
/// Mustn't: follow the destination out of the root, nor mount onto a procfs what is not on the plan's short list.
pub fn mount_all(stage: &mut Stage<'_, '_>) -> Done {
    for (index, mount) in stage.plan.mounts.iter().enumerate() {
        mount_one(stage, mount).map_err(At::item(index))?;
    }
    Ok(())
}

fn mount_one(stage: &Stage<'_, '_>, mount: &Mount<'_>) -> Done {
    let mounted = match mount.source {
        Source::FileSystem { on_real_directory, .. } => {
            let target = open_directory(stage, mount, on_real_directory)?;
            let before = check_target(mount, &target)?;
            mount_file_system(mount, &target)?;
            look_again(stage, mount, before)?
        }
        Source::Bind { path, is_recursive, attributes, cleared_if_unlocked, only_procfs } => {
            let source = fs::open(path, fs::OFlags::PATH | fs::OFlags::CLOEXEC, fs::Mode::empty()).map_err(At::note(Note::OpenSource))?;
            if only_procfs && !is_procfs(&source)? {
                return Err(At::note(Note::NotProcfs)(Errno::INVAL));
            }
            bind(stage, mount, &source, Binding { is_recursive, attributes, cleared_if_unlocked })?
        }
        Source::Cgroup { path, attributes } => {
            let source = fs::open(path, fs::OFlags::PATH | fs::OFlags::CLOEXEC, fs::Mode::empty()).map_err(At::note(Note::OpenSource))?;
            bind(stage, mount, &source, Binding { is_recursive: true, attributes, cleared_if_unlocked: 0 })?
        }
        Source::Remount { flags, data } => {
            let target = stage.open(mount.destination).map_err(At::note(Note::OpenTarget))?;
            return sys::mount_onto(target.as_fd(), c"", c"", flags | MS_REMOUNT, data).map_err(At::note(Note::Attributes));
        }
    };
    if !mount.recursive.is_empty() {
        sys::change_attributes(mounted.as_fd(), mount.recursive, 0, true).map_err(At::note(Note::Attributes))?;
    }
    for flags in &mount.propagation {
        set_propagation(stage, mounted.as_fd(), *flags).map_err(At::note(Note::Propagation))?;
    }
    Ok(())
}

fn open_directory(stage: &Stage<'_, '_>, mount: &Mount<'_>, on_real_directory: bool) -> Result<OwnedFd, At> {
    if !on_real_directory {
        return sys::open_or_create_in_root(stage.root()?, mount.destination, Missing::Directory).map_err(At::note(Note::OpenTarget));
    }
    let target = sys::open_without_links(stage.root()?, mount.destination, Missing::Directory).map_err(|errno| match errno {
        Errno::LOOP | Errno::NOTDIR => At::note(Note::NotOrdinaryDirectory)(Errno::NOTDIR),
        errno => At::note(Note::OpenTarget)(errno),
    })?;
    if sys::file_type(&target)? == fs::FileType::Directory {
        return Ok(target);
    }
    Err(At::note(Note::NotOrdinaryDirectory)(Errno::NOTDIR))
}

/// Refuses what would cover a part of /proc, by whatever path it came there; returns the id of the mount that the target lies on.
fn check_target(mount: &Mount<'_>, target: &OwnedFd) -> Result<Option<u64>, At> {
    if !mount.may_cover_proc && is_procfs(target)? {
        return Err(At::note(Note::InsideProc)(Errno::PERM));
    }
    Ok(sys::mount_id(target.as_fd()))
}

fn is_procfs(file: &OwnedFd) -> Result<bool, Errno> {
    Ok(sys::file_system(file)? == sys::magic::PROC_SUPER_MAGIC)
}

fn mount_file_system(mount: &Mount<'_>, target: &OwnedFd) -> Done {
    let Source::FileSystem { kind, device, flags, data, takes_mode, .. } = mount.source else { return Ok(()) };
    let attach = |data| sys::mount_onto(target.as_fd(), device, kind, flags, data).map_err(At::note(Note::Attach));
    if !takes_mode {
        return attach(data);
    }
    let mut with_mode = heapless::String::<1024>::new();
    let comma = if data.is_empty() { "" } else { "," };
    let mode = fs::fstat(target)?.st_mode & 0o7777;
    let text = data.to_str().unwrap_or_default();
    let fits = write!(with_mode, "{text}{comma}mode={mode:o}\0");
    match core::ffi::CStr::from_bytes_with_nul(with_mode.as_bytes()) {
        Ok(data) if fits.is_ok() => attach(data),
        _ => Err(At::note(Note::Attach)(Errno::NAMETOOLONG)),
    }
}

/// The destination once more: the new mount must be what the container will find there, or somebody moved the directory meanwhile (CVE-2021-30465).
fn look_again(stage: &Stage<'_, '_>, mount: &Mount<'_>, before: Option<u64>) -> Result<OwnedFd, At> {
    let mounted = stage.open(mount.destination).map_err(At::note(Note::Moved))?;
    match (before, sys::mount_id(mounted.as_fd())) {
        (Some(before), Some(now)) if before == now => Err(At::note(Note::Moved)(Errno::XDEV)),
        _ => Ok(mounted),
    }
}

/// How a bind is made.
#[derive(Clone, Copy)]
struct Binding {
    is_recursive: bool,
    attributes: Attributes,
    cleared_if_unlocked: u64,
}

impl Binding {
    /// Calls `change` with all attributes, and again without those that are merely not named when the kernel has locked some (mount_namespaces(7)).
    fn apply(self, change: impl Fn(Attributes) -> Result<(), Errno>) -> Result<(), Errno> {
        let all = Attributes { clear: self.attributes.clear | self.cleared_if_unlocked, ..self.attributes };
        if all.is_empty() {
            return Ok(());
        }
        match change(all) {
            Err(Errno::PERM) if self.cleared_if_unlocked != 0 => change(self.attributes),
            answer => answer,
        }
    }
}

fn bind(stage: &Stage<'_, '_>, mount: &Mount<'_>, source: &OwnedFd, binding: Binding) -> Result<OwnedFd, At> {
    let is_directory = sys::file_type(source)? == fs::FileType::Directory;
    let missing = if is_directory { Missing::Directory } else { Missing::File };
    let target = sys::open_or_create_in_root(stage.root()?, mount.destination, missing).map_err(At::note(Note::OpenTarget))?;
    let before = check_target(mount, &target)?;
    let tree = match sys::bind_tree(source.as_fd(), binding.is_recursive) {
        Err(Errno::NOSYS) => return bind_by_procfs(stage, mount, source, &target, binding),
        tree => tree.map_err(At::note(Note::Attach))?,
    };
    let set_before = match binding.apply(|attributes| sys::change_attributes(tree.as_fd(), attributes, 0, false)) {
        Err(Errno::NOSYS) => false, // before Linux 5.12
        answer => answer.map(|()| true).map_err(At::note(Note::Attributes))?,
    };
    match sys::mount_tree(tree.as_fd(), target.as_fd()) {
        Err(Errno::NOSYS) => return bind_by_procfs(stage, mount, source, &target, binding),
        attached => attached.map_err(At::note(Note::Attach))?,
    }
    if !set_before {
        binding.apply(|attributes| sys::remount(stage.procfs, tree.as_fd(), attributes)).map_err(At::note(Note::Attributes))?;
    }
    look_again(stage, mount, before)
}

/// For kernels before Linux 5.2.
fn bind_by_procfs(stage: &Stage<'_, '_>, mount: &Mount<'_>, source: &OwnedFd, target: &OwnedFd, binding: Binding) -> Result<OwnedFd, At> {
    let flags = MS_BIND | if binding.is_recursive { MS_REC } else { 0 };
    sys::mount_by_procfs(stage.procfs, Some(source.as_fd()), target.as_fd(), flags).map_err(At::note(Note::Attach))?;
    let mounted = look_again(stage, mount, sys::mount_id(target.as_fd()))?;
    binding.apply(|attributes| sys::remount(stage.procfs, mounted.as_fd(), attributes)).map_err(At::note(Note::Attributes))?;
    Ok(mounted)
}

fn set_propagation(stage: &Stage<'_, '_>, mounted: BorrowedFd<'_>, flags: u32) -> Result<(), Errno> {
    match sys::change_attributes(mounted, Attributes::NONE, flags & !MS_REC, flags & MS_REC != 0) {
        Err(Errno::NOSYS) => sys::mount_by_procfs(stage.procfs, None, mounted, flags),
        answer => answer,
    }
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
