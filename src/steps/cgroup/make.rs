//! A cgroup is made, with every controller that its ancestors can hand on; and where one is missing, why.

use core::ffi::CStr;

use super::members::own_pids;
use super::{DIRECTORY, Trouble, is_frozen, read_file, v1, write_file};
use crate::mem::PathBuffer;
use crate::plan::cgroup::v1::IS_BUILT;
use crate::sys::{AsFd, BorrowedFd, Errno, OwnedFd, fs, task};

/// The kernel has fourteen controllers, with names of at most ten letters.
const CONTROLLERS_BYTES: usize = 256;

/// Makes the cgroup `path` below `mount`. `made` counts the levels that were not there before, of which the last are the new ones.
/// What exists must be empty and thawed.
pub fn make<'a>(mount: &CStr, path: &str, made: &mut usize) -> Result<OwnedFd, Trouble<'a>> {
    let top = super::open(mount).map_err(Trouble::Directory)?;
    make_levels(top.as_fd(), path, made).map_err(Trouble::Directory)?;
    let leaf = enter(&top, path)?;
    if *made == 0 {
        accept(&leaf)?;
    }
    Ok(leaf)
}

/// Opens one that systemd has made, and gives it what its ancestors can hand on.
pub fn adopt<'a>(mount: &CStr, path: &str) -> Result<OwnedFd, Trouble<'a>> {
    enter(&super::open(mount).map_err(Trouble::Directory)?, path)
}

fn enter<'a>(top: &OwnedFd, path: &str) -> Result<OwnedFd, Trouble<'a>> {
    let leaf = open_level(top.as_fd(), path).map_err(Trouble::Directory)?;
    let (mut theirs, mut ours) = ([0; CONTROLLERS_BYTES], [0; CONTROLLERS_BYTES]);
    let theirs = match read_file(top.as_fd(), c"cgroup.controllers", &mut theirs) {
        Err(Errno::NOENT) if IS_BUILT => {
            let inherited = v1::inherit_cpusets(top.as_fd(), path);
            return inherited.map(|()| leaf).map_err(Trouble::Directory);
        }
        controllers => controllers.unwrap_or_default(),
    };
    if read_file(leaf.as_fd(), c"cgroup.controllers", &mut ours) != Ok(theirs) {
        for level in levels(path) {
            hand_on(top.as_fd(), level, theirs);
        }
    }
    Ok(leaf)
}

/// All at once where only the last is missing, as is usual.
fn make_levels(top: BorrowedFd<'_>, path: &str, made: &mut usize) -> Result<(), Errno> {
    let mut make = |level: &str| match fs::mkdirat(top, relative(level).as_c_str(), fs::Mode::from_raw_mode(0o755)) {
        Ok(()) => {
            *made += 1;
            Ok(())
        }
        Err(Errno::EXIST) => Ok(()),
        Err(errno) => Err(errno),
    };
    match make(path) {
        Err(Errno::NOENT) => {}
        answer => return answer,
    }
    let done = levels(path).skip(1).try_for_each(&mut make).and_then(|()| make(path));
    if done.is_err() {
        *made += 1; // the last counts as one of them, though it is not there
    }
    done
}

/// The paths of all that is above: the root as the empty path first.
fn levels(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').map(|(end, _)| &path[..end])
}

fn relative(path: &str) -> PathBuffer {
    let mut buffer = PathBuffer::new();
    buffer.set(&[path.strip_prefix('/').unwrap_or(".").as_bytes()]);
    buffer
}

pub(super) fn open_level(top: BorrowedFd<'_>, path: &str) -> Result<OwnedFd, Errno> {
    fs::openat(top, relative(path).as_c_str(), DIRECTORY, fs::Mode::empty())
}

/// Enables all controllers for the children, at once or, where one of them is refused, one by one. What is still missing shows when it is used.
fn hand_on(top: BorrowedFd<'_>, level: &str, controllers: &[u8]) {
    let Ok(cgroup) = open_level(top, level) else { return };
    let mut all = heapless::Vec::<u8, { CONTROLLERS_BYTES * 2 }>::new();
    let names = || controllers.split(|byte| byte.is_ascii_whitespace()).filter(|name| !name.is_empty());
    for name in names() {
        let _ = all.extend_from_slice(b"+").and_then(|()| all.extend_from_slice(name)).and_then(|()| all.extend_from_slice(b" ")); // twice the room is enough
    }
    match write_file(cgroup.as_fd(), c"cgroup.subtree_control", &all) {
        Ok(()) => return,
        Err(Errno::BUSY) if level.is_empty() && task::getpid().is_init() => make_room(cgroup.as_fd()),
        Err(_) => {}
    }
    for is_threaded in [false, true] {
        for name in names().filter(|name| THREADED.contains(name) == is_threaded) {
            if enable(cgroup.as_fd(), name) == Err(Errno::BUSY) {
                return;
            }
        }
    }
}

/// The controllers that the kernel hands on even where processes live, but then makes the cgroup a threaded domain, below which no
/// container can be: so they come last, when it is known that the others were not refused for that.
const THREADED: [&[u8]; 4] = [b"cpu", b"cpuset", b"pids", b"perf_event"];

fn enable(cgroup: BorrowedFd<'_>, controller: &[u8]) -> Result<(), Errno> {
    let mut text = PathBuffer::new();
    text.set(&[b"+", controller]);
    write_file(cgroup, c"cgroup.subtree_control", text.as_c_str().to_bytes())
}

/// The first process of a container of somebody else's sits in what it sees as the root, which then may not hand on controllers
/// (cgroup-v2.rst, "No Internal Process Constraint"): it moves everybody into a leaf. A machine's own root is exempt from that.
fn make_room(root: BorrowedFd<'_>) {
    let leaf =
        fs::mkdirat(root, c"init", fs::Mode::from_raw_mode(0o755)).and_then(|()| fs::openat(root, c"init", DIRECTORY, fs::Mode::empty()));
    let Ok(leaf) = leaf else { return };
    let _ = own_pids(root, &mut |pid| {
        let mut text = heapless::String::<12>::new();
        let _ = core::fmt::write(&mut text, format_args!("{pid}")); // ten digits at the most
        let _ = super::join(leaf.as_fd(), &text); // one that has ended meanwhile is none
    });
}

fn accept<'a>(cgroup: &OwnedFd) -> Result<(), Trouble<'a>> {
    let mut count = 0;
    own_pids(cgroup.as_fd(), &mut |_| count += 1).map_err(Trouble::Directory)?;
    match count {
        0 if is_frozen(cgroup.as_fd()) => Err(Trouble::Frozen),
        0 => Ok(()),
        count => Err(Trouble::NotEmpty(count)),
    }
}

/// Why a cgroup lacks a controller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing<'p> {
    /// It does not: there is no such file.
    File,
    /// The kernel does not have it for cgroup v2.
    Kernel,
    /// This ancestor does not hand it on, and refuses to.
    Refused(&'p str, Errno),
}

/// Looks for the ancestor at which the controller of a file gets lost.
pub fn why_missing<'p>(mount: &CStr, path: &'p str, file: &CStr) -> Missing<'p> {
    let name = file.to_bytes().split(|byte| *byte == b'.').next().unwrap_or_default();
    let Ok(top) = super::open(mount) else { return Missing::Kernel };
    let has = |cgroup: BorrowedFd<'_>, file| {
        let mut buffer = [0; CONTROLLERS_BYTES];
        read_file(cgroup, file, &mut buffer).is_ok_and(|text| text.split(u8::is_ascii_whitespace).any(|word| word == name))
    };
    if !has(top.as_fd(), c"cgroup.controllers") {
        return if name == b"cgroup" { Missing::File } else { Missing::Kernel };
    }
    for level in levels(path) {
        let Ok(cgroup) = open_level(top.as_fd(), level) else { return Missing::File };
        if !has(cgroup.as_fd(), c"cgroup.subtree_control") {
            return Missing::Refused(level, enable(cgroup.as_fd(), name).err().unwrap_or(Errno::AGAIN));
        }
    }
    Missing::File
}
