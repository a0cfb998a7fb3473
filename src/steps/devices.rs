//! Nodes and links under /dev, made relative to directories that were walked inside the root.

use core::ffi::CStr;

use super::{At, Done, Stage};
use crate::error::Note;
use crate::mem::PathBuffer;
use crate::plan::devices::Node;
use crate::sys::{self, AsFd, Errno, Missing, OwnedFd, fs};

/// Links that the specification asks for; the last only where there is a /proc/kcore.
const LINKS: [(&CStr, &CStr); 5] = [
    (c"/proc/self/fd", c"fd"),
    (c"/proc/self/fd/0", c"stdin"),
    (c"/proc/self/fd/1", c"stdout"),
    (c"/proc/self/fd/2", c"stderr"),
    (c"/proc/kcore", c"core"),
];

/// Fills /dev.
///
/// Must: come after the mounts; /dev is one of them. Mustn't: name a node by a path string (CVE-2026-41579).
pub fn fill(stage: &mut Stage<'_, '_>) -> Done {
    if !stage.plan.devices.fills_dev {
        return Ok(());
    }
    let dev = sys::open_or_create_in_root(stage.root()?, c"/dev", Missing::Directory)?;
    for (index, node) in stage.plan.devices.nodes.iter().enumerate() {
        make_node(stage, node, &dev).map_err(At::item(index))?;
    }
    let has_kcore = stage.open(c"/proc/kcore").is_ok();
    for (target, name) in LINKS.iter().take(if has_kcore { 5 } else { 4 }) {
        match fs::symlinkat(*target, &dev, *name) {
            Err(Errno::EXIST) | Ok(()) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    link_ptmx(&dev)
}

/// /dev/ptmx belongs to the container's own devpts.
fn link_ptmx(dev: &OwnedFd) -> Done {
    let link = || fs::symlinkat(c"pts/ptmx", dev, c"ptmx");
    match link() {
        Err(Errno::EXIST) => fs::unlinkat(dev, c"ptmx", fs::AtFlags::empty()).and_then(|()| link()),
        linked => linked,
    }
    .map_err(At::from)
}

fn make_node(stage: &Stage<'_, '_>, node: &Node<'_>, dev: &OwnedFd) -> Done {
    let mut buffer = PathBuffer::new();
    let (parent, name) = match split(node.path, &mut buffer) {
        (parent, name) if parent == c"/dev" => (None, name),
        (parent, name) => {
            let made = sys::open_or_create_in_root(stage.root()?, parent, Missing::Directory);
            (Some(made.map_err(At::note(Note::OpenTarget))?), name)
        }
    };
    let parent = parent.as_ref().unwrap_or(dev);
    let kind = fs::FileType::from_raw_mode(node.kind);
    if stage.plan.devices.binds_nodes && kind != fs::FileType::Fifo {
        return bind_node(stage, node, parent, name);
    }
    let made = fs::mknodat(parent, name, kind, fs::Mode::from_raw_mode(node.mode), fs::makedev(node.major, node.minor));
    match made {
        Ok(()) => {}
        Err(Errno::EXIST) => return accept_existing(node, parent, name),
        Err(Errno::PERM) => return bind_node(stage, node, parent, name),
        Err(errno) => return Err(errno.into()),
    }
    if (node.uid, node.gid) != (0, 0) {
        let (uid, gid) = (fs::Uid::from_raw(node.uid), fs::Gid::from_raw(node.gid));
        fs::chownat(parent, name, Some(uid), Some(gid), fs::AtFlags::SYMLINK_NOFOLLOW)?;
    }
    Ok(())
}

/// What the image brings is taken if it is the very same node.
fn accept_existing(node: &Node<'_>, parent: &OwnedFd, name: &CStr) -> Done {
    let status = fs::statat(parent, name, fs::AtFlags::SYMLINK_NOFOLLOW)?;
    let same_kind = fs::FileType::from_raw_mode(status.st_mode) == fs::FileType::from_raw_mode(node.kind);
    let same_device = (fs::major(status.st_rdev), fs::minor(status.st_rdev)) == (node.major, node.minor);
    if same_kind && same_device { Ok(()) } else { Err(Errno::EXIST.into()) }
}

/// In a user namespace nodes cannot be made: the host's node is bound instead, after a look at what it is.
fn bind_node(stage: &Stage<'_, '_>, node: &Node<'_>, parent: &OwnedFd, name: &CStr) -> Done {
    let flags = fs::OFlags::PATH | fs::OFlags::NOFOLLOW | fs::OFlags::CLOEXEC;
    let source = fs::open(node.path, flags, fs::Mode::empty()).map_err(At::note(Note::OpenSource))?;
    let status = fs::fstat(&source)?;
    let same_kind = fs::FileType::from_raw_mode(status.st_mode) == fs::FileType::from_raw_mode(node.kind);
    if !same_kind || (fs::major(status.st_rdev), fs::minor(status.st_rdev)) != (node.major, node.minor) {
        return Err(At::note(Note::OpenSource)(Errno::NODEV));
    }
    let created = fs::OFlags::CREATE | fs::OFlags::EXCL | fs::OFlags::NOFOLLOW | fs::OFlags::CLOEXEC | fs::OFlags::WRONLY;
    match fs::openat(parent, name, created, fs::Mode::from_raw_mode(0o644)) {
        Ok(_) | Err(Errno::EXIST) => {}
        Err(errno) => return Err(At::note(Note::OpenTarget)(errno)),
    }
    let target = fs::openat(parent, name, flags, fs::Mode::empty()).map_err(At::note(Note::OpenTarget))?;
    let bound = sys::bind(stage.procfs, source.as_fd(), target.as_fd(), false);
    bound.map(|_| ()).map_err(At::note(Note::Attach))
}

/// `/dev/net/tun` as `/dev/net` and `tun`.
fn split<'n>(path: &'n CStr, buffer: &'n mut PathBuffer) -> (&'n CStr, &'n CStr) {
    let bytes = path.to_bytes_with_nul();
    let slash = bytes.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
    buffer.set(&[&bytes[..slash]]);
    (buffer.as_c_str(), CStr::from_bytes_with_nul(&bytes[slash + 1..]).unwrap_or(c""))
}
