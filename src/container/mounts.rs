//! `mounts`: more mounts for a container that was created or runs, or fewer.
//!
//! Must: make them in a mount namespace of our own, by the host's paths, and only attach them in the container's, by descriptors: who is
//! in there is at work meanwhile. Mustn't: leave some of them when one is refused.

use core::ffi::CStr;
use core::mem::ManuallyDrop;

use linux_raw_sys::general::{CLONE_NEWNS, MS_REC, MS_SLAVE};

use super::exec::First;
use super::state::{self, Directory};
use super::{bundle, create, facts, words};
use crate::error::{Doing, Error, Fault, Result, Step};
use crate::json;
use crate::log::Log;
use crate::mem::{Arena, List};
use crate::plan::mounts::Mount;
use crate::plan::{self, Plan, check};
use crate::spec::{self, Config};
use crate::steps::{At, Stage, mounts};
use crate::sys::{self, AsFd, BorrowedFd, Errno, OwnedFd, fs};

/// A mount with what is below it. Our own end, which is next, closes all that is open.
type Tree = ManuallyDrop<OwnedFd>;

/// Adds the mounts that `file` lists, or removes what is mounted at their destinations, the last first. We are in the container's mount
/// namespace afterwards.
pub fn change<'a>(root: &'a CStr, id: &'a str, adds: bool, file: &'a CStr, log: &Log, arena: &Arena<'a>) -> Result<'a, ()> {
    let directory = ManuallyDrop::new(Directory::open(root, id)?);
    directory.lock()?;
    let record = directory.read(arena)?;
    let procfs = ManuallyDrop::new(facts::open_procfs()?);
    let Some(first) = First::open(&record, procfs.as_fd()).map(ManuallyDrop::new) else {
        return Err(Error::said("cannot change the mounts of a stopped container"));
    };
    let open = |name, flags| fs::openat(&first.directory, name, flags | fs::OFlags::CLOEXEC, fs::Mode::empty()).map(ManuallyDrop::new);
    let namespace = open(c"ns/mnt", fs::OFlags::RDONLY).doing("open", "the container's mount namespace")?;
    let own = fs::statat(procfs.as_fd(), c"self/ns/mnt", fs::AtFlags::empty()).doing("stat", "self/ns/mnt")?;
    if fs::fstat(namespace.as_fd()).is_ok_and(|theirs| (theirs.st_dev, theirs.st_ino) == (own.st_dev, own.st_ino)) {
        return Err(Error::said("the container has no mount namespace of its own"));
    }
    if adds && !facts::shares_user_namespace(procfs.as_fd(), record.pid) {
        return Err(Error::said("mounts cannot be added to a container in a user namespace: its root could change their attributes"));
    }
    let text = bundle::read(fs::CWD, file)?;
    let joined = bundle::joined(&directory, None, text.len())?;
    let arena = &joined.arena;
    let read = json::read::<List<'a, spec::Mount<'a>>>(text, arena);
    let (listed, _) =
        read.map_err(|error| arena.format(format_args!("{error}")).map_or_else(Error::from, |why| Error::text("mounts", "", why)))?;
    let config = Config { mounts: *listed, ..*joined.config };
    if let Some(mount) = listed.iter().find(|mount| !mount.destination.starts_with('/') || mount.destination.contains('\0')) {
        return Err(Error::text("mounts", mount.destination, "the destination must be an absolute path"));
    }
    let mut trees = List::default();
    let mut planned = List::default();
    if adds {
        create::first_problem(arena, log, &|report| check::check_mounts(&config, report))?;
        planned = plan::mounts::later(&config, record.bundle, arena)?;
        trees = make(root, id, procfs.as_fd(), &planned, arena)?;
    }
    sys::set_namespace(namespace.as_fd(), CLONE_NEWNS).doing("setns", "the container's mount namespace")?;
    let inside = open(c"root", fs::OFlags::PATH | fs::OFlags::DIRECTORY).doing("open", "the container's root")?;
    if !adds {
        return remove(procfs.as_fd(), inside.as_fd(), listed, arena);
    }
    let mut points: List<'a, &CStr> = List::default();
    for (index, (mount, tree)) in planned.iter().zip(&trees).enumerate() {
        let mut told = |path: &[u8]| {
            let _ = arena.c_str(&[path]).and_then(|path| points.push(arena, path)); // without memory for it, it stays if it is of no use
        };
        if let Err(at) = mounts::attach(procfs.as_fd(), inside.as_fd(), mount, tree.as_fd(), &mut told) {
            // As it was before, as far as that goes: the first error is the one that is told.
            (0..index).rev().filter_map(|before| trees.get(before)).for_each(|before: &Tree| {
                let _ = sys::unmount_tree(procfs.as_fd(), before.as_fd());
            });
            (0..points.len()).rev().filter_map(|before| points.get(before)).for_each(|point| {
                let _ = sys::remove_empty_in_root(inside.as_fd(), point);
            });
            return Err(said(At::item(index)(at), planned, arena));
        }
    }
    Ok(())
}

/// Makes them, detached, on a file system that goes away with the namespace when we leave it.
fn make<'a>(
    root: &'a CStr,
    id: &'a str,
    procfs: BorrowedFd<'_>,
    planned: &List<'a, Mount<'a>>,
    arena: &Arena<'a>,
) -> Result<'a, List<'a, Tree>> {
    sys::unshare(CLONE_NEWNS).doing("unshare", "a mount namespace")?;
    sys::mount(c"", c"/", c"", MS_REC | MS_SLAVE, c"").doing("mount", "/")?;
    let above = ManuallyDrop::new(state::open_root(root).doing_at("open", root)?);
    let name = arena.c_str(&[id.as_bytes()])?;
    let open = || fs::openat(above.as_fd(), name, fs::OFlags::PATH | fs::OFlags::DIRECTORY | fs::OFlags::CLOEXEC, fs::Mode::empty());
    let covered = open().and_then(|place| sys::mount_onto(place.as_fd(), c"tmpfs", c"tmpfs", 0, c""));
    let place = covered.and_then(|()| open()).doing("mount", "a tmpfs to make them on")?;
    let mut here = List::default();
    for (index, mount) in planned.iter().enumerate() {
        here.push(arena, Mount { destination: arena.format_c(format_args!("/{index}"))?, ..*mount })?;
    }
    let plan = arena.put(Plan { mounts: here, ..Plan::default() })?;
    let mut stage = ManuallyDrop::new(Stage::new(plan, procfs, procfs, sys::Signals::ALL));
    stage.root = Some(place);
    let done = mounts::mount_all(&mut stage).and_then(|()| mounts::make_readonly(&mut stage));
    done.map_err(|at| words::with_words(said(at, *planned, arena), &stage.came_along[1], arena).unwrap_or_else(|full| full))?;
    let mut trees = List::default();
    for (index, mount) in here.iter().enumerate() {
        let tree = stage.root.as_ref().ok_or(Errno::BADF).and_then(|place| sys::open_in_root(place.as_fd(), mount.destination));
        let tree = tree.and_then(|top| sys::bind_tree(top.as_fd(), true)).map_err(|errno| match errno {
            Errno::NOSYS => Error::said("mounts can be added by Linux 5.2 and newer only"),
            errno => said(At { errno, ..At::item(index)(At::from(errno)) }, *planned, arena),
        })?;
        trees.push(arena, ManuallyDrop::new(tree))?;
    }
    Ok(trees)
}

/// Looks at all of them before it takes the first away.
fn remove<'a>(procfs: BorrowedFd<'_>, root: BorrowedFd<'_>, listed: &List<'a, spec::Mount<'a>>, arena: &Arena<'a>) -> Result<'a, ()> {
    for is_looking in [true, false] {
        for mount in (0..listed.len()).rev().filter_map(|index| listed.get(index)) {
            let there = mounts::mounted(root, arena.c_str(&[mount.destination.as_bytes()])?);
            let done = there.and_then(|there| if is_looking { Ok(()) } else { sys::unmount_tree(procfs, there.as_fd()) });
            done.map_err(|errno| match errno {
                Errno::INVAL => Error::text("mounts", mount.destination, "it is not a mount point of the container"),
                errno => Error::errno("unmount", mount.destination, errno),
            })?;
        }
    }
    Ok(())
}

fn said<'a>(at: At, planned: List<'a, Mount<'a>>, arena: &Arena<'a>) -> Error<'a> {
    let fault = Fault { step: Step::Mounts, note: at.note, item: at.item, errno: at.errno };
    words::sentence(fault, &Plan { mounts: planned, ..Plan::default() }, arena).unwrap_or_else(|full| full)
}
