//! The parent's help with mounts: it opens what the child's user may not reach, and maps the owners of files, which takes rights outside
//! of the container's user namespace. Both happen among the container's mounts: a source may lie in one that was just made.
//!
//! Must: leave the parent where it was, whatever happens.

use core::ffi::CStr;

use linux_raw_sys::general::{CLONE_NEWNS, CLONE_NEWUSER};

use super::At;
use crate::error::Note;
use crate::mem::PathBuffer;
use crate::plan::mounts::IdMap;
use crate::sys::{self, AsFd, BorrowedFd, Clone, Errno, OwnedFd, fs, task};

/// What the parent knows of the child.
pub struct Child<'c> {
    /// A procfs that can be trusted.
    pub procfs: BorrowedFd<'c>,
    /// The child's pid in it, as text.
    pub pid: &'c str,
}

/// Opens `path` as the child sees it; for an id-mapped mount the answer is a detached tree whose owners are mapped.
pub fn open(child: &Child<'_>, path: &CStr, is_recursive: bool, id_map: Option<&IdMap<'_>>) -> Result<OwnedFd, At> {
    let user_namespace = match id_map {
        Some(map) => Some(user_namespace(child, map).map_err(At::note(Note::IdMap))?),
        None => None,
    };
    let opened = among_its_mounts(child, &|| match &user_namespace {
        None => fs::open(path, fs::OFlags::PATH | fs::OFlags::CLOEXEC, fs::Mode::empty()).map_err(At::note(Note::OpenSource)),
        Some(namespace) => {
            let tree = sys::clone_tree(path, is_recursive).map_err(At::note(Note::OpenSource))?;
            let maps_all = id_map.is_some_and(|map| map.is_recursive);
            sys::map_owners(tree.as_fd(), namespace.as_fd(), maps_all).map_err(At::note(Note::IdMap))?;
            Ok(tree)
        }
    });
    opened?
}

fn open_in_procfs(child: &Child<'_>, pid: &str, name: &str, flags: fs::OFlags) -> Result<OwnedFd, Errno> {
    let mut path = PathBuffer::new();
    path.set(&[pid.as_bytes(), b"/", name.as_bytes()]);
    fs::openat(child.procfs, path.as_c_str(), flags | fs::OFlags::CLOEXEC, fs::Mode::empty())
}

/// Does `work` with the child's mounts, root and working directory, and the parent's own rights.
fn among_its_mounts<T>(child: &Child<'_>, work: &dyn Fn() -> T) -> Result<T, Errno> {
    let directory = fs::OFlags::PATH | fs::OFlags::DIRECTORY | fs::OFlags::CLOEXEC;
    let ours = open_in_procfs(child, "self", "ns/mnt", fs::OFlags::RDONLY)?;
    let (root, here) = (fs::open(c"/", directory, fs::Mode::empty())?, fs::open(c".", directory, fs::Mode::empty())?);
    let theirs = open_in_procfs(child, child.pid, "ns/mnt", fs::OFlags::RDONLY)?;
    let their_root = open_in_procfs(child, child.pid, "root", directory)?;
    sys::set_namespace(theirs.as_fd(), CLONE_NEWNS)?;
    let done = task::fchdir(&their_root).and_then(|()| task::chroot(c".")).map(|()| work());
    sys::set_namespace(ours.as_fd(), CLONE_NEWNS)?;
    task::fchdir(&root)?;
    task::chroot(c".")?;
    task::fchdir(&here)?;
    done
}

/// A user namespace with that mapping: the child's own, or one of a process that lives only as long as it takes to open it.
fn user_namespace(child: &Child<'_>, map: &IdMap<'_>) -> Result<OwnedFd, Errno> {
    if map.uid_map.is_empty() {
        return open_in_procfs(child, child.pid, "ns/user", fs::OFlags::RDONLY);
    }
    let Clone::Parent { pid, .. } = sys::fork(CLONE_NEWUSER)? else {
        let _ = task::set_parent_process_death_signal(Some(task::Signal::KILL)); // it then waits for the parent's own signal
        loop {
            let _ = task::poll(&mut [], None); // for ever
        }
    };
    let mut number = heapless::String::<12>::new();
    let _ = core::fmt::Write::write_fmt(&mut number, format_args!("{}", pid.as_raw_nonzero())); // ten digits at the most
    let write = |name, text: &str| {
        let file = open_in_procfs(child, &number, name, fs::OFlags::WRONLY)?;
        fs::write(&file, text.as_bytes()).map(|_| ())
    };
    let written = write("uid_map", map.uid_map).and_then(|()| write("gid_map", map.gid_map));
    let namespace = written.and_then(|()| open_in_procfs(child, &number, "ns/user", fs::OFlags::RDONLY));
    let _ = task::kill_process(pid, task::Signal::KILL); // it is there until it is reaped
    sys::wait_pid(pid)?;
    namespace
}
