//! Who is in a cgroup and below it.

use core::ffi::CStr;
use core::mem::MaybeUninit;

use super::DIRECTORY;
use crate::mem::PathBuffer;
use crate::sys::{AsFd, BorrowedFd, Errno, OwnedFd, fs};

/// Calls `visit` with every process in it and below, however deep a container has nested cgroups of its own; 0 stands for one that our pid
/// namespace does not know. A cgroup that goes away meanwhile hides none of the others. Errors: ENAMETOOLONG for what is nested deeper than
/// [`MOST_LEVELS`], after all else was visited.
pub fn each_pid(cgroup: BorrowedFd<'_>, visit: &mut dyn FnMut(u32)) -> Result<(), Errno> {
    let mut above = heapless::Vec::<Place, MOST_LEVELS>::new(); // where we are in each level above
    let mut last = BEGINNING;
    let mut here = fs::fcntl_dupfd_cloexec(cgroup, 3)?;
    let mut done = Ok(());
    own_pids_of_any_type(cgroup, visit)?;
    loop {
        match child_after(here.as_fd(), last)? {
            Some(child) if above.push(child.place).is_ok() => {
                or_gone(own_pids_of_any_type(child.cgroup.as_fd(), visit))?;
                here = child.cgroup;
                last = BEGINNING;
            }
            Some(child) => {
                done = Err(Errno::NAMETOOLONG);
                last = child.place;
            }
            None => {
                let Some(place) = above.pop() else { return done };
                last = place;
                here = fs::openat(&here, c"..", DIRECTORY, fs::Mode::empty())?; // nobody can move a cgroup
            }
        }
    }
}

/// Four bytes of the stack each; a name of some length would take more.
const MOST_LEVELS: usize = 1024;

/// Where a cgroup stands among its siblings: they are taken in the order of their inodes' numbers, which is that in which they were made.
/// So whoever goes away meanwhile leaves no doubt where to go on.
pub(super) type Place = u32;

/// Before the first one.
pub(super) const BEGINNING: Place = 0;

/// Takes what has gone away meanwhile for empty.
fn or_gone(done: Result<(), Errno>) -> Result<(), Errno> {
    match done {
        Err(Errno::NOENT | Errno::NODEV) => Ok(()),
        done => done,
    }
}

fn own_pids_of_any_type(cgroup: BorrowedFd<'_>, visit: &mut dyn FnMut(u32)) -> Result<(), Errno> {
    match own_pids(cgroup, visit) {
        Err(Errno::OPNOTSUPP) => Ok(()), // a threaded cgroup: its processes show in the one above it
        shown => shown,
    }
}

/// A cgroup right below another.
pub(super) struct Child {
    pub place: Place,
    pub name: PathBuffer,
    pub cgroup: OwnedFd,
}

/// The one right below whose place is the next after `last`.
pub(super) fn child_after(cgroup: BorrowedFd<'_>, mut last: Place) -> Result<Option<Child>, Errno> {
    let mut name = PathBuffer::new();
    loop {
        let Some(place) = place_after(cgroup, last, &mut name)? else { return Ok(None) };
        match fs::openat(cgroup, name.as_c_str(), DIRECTORY, fs::Mode::empty()) {
            Ok(child) => return Ok(Some(Child { place, name, cgroup: child })),
            Err(Errno::NOENT) => last = place, // it has gone away since
            Err(errno) => return Err(errno),
        }
    }
}

fn place_after(cgroup: BorrowedFd<'_>, last: Place, name: &mut PathBuffer) -> Result<Option<Place>, Errno> {
    let directory = match fs::openat(cgroup, c".", DIRECTORY, fs::Mode::empty()) {
        Err(Errno::NOENT) => return Ok(None), // it has gone away itself
        directory => directory?,
    };
    let mut room = [MaybeUninit::uninit(); 2048];
    let mut entries = fs::RawDir::new(&directory, &mut room);
    let mut next = None;
    while let Some(entry) = entries.next() {
        let entry = match entry {
            Err(Errno::NOENT) => return Ok(None),
            entry => entry?,
        };
        let place = entry.ino() as Place; // the kernel numbers them anew after 2^32
        if is_child(entry.file_type(), entry.file_name()) && place > last && next.is_none_or(|next| place < next) {
            next = Some(place);
            name.set(&[entry.file_name().to_bytes()]);
        }
    }
    Ok(next)
}

fn is_child(kind: fs::FileType, name: &CStr) -> bool {
    kind == fs::FileType::Directory && name != c"." && name != c".."
}

/// Reads cgroup.procs, however long it is, digit by digit.
pub(super) fn own_pids(cgroup: BorrowedFd<'_>, visit: &mut dyn FnMut(u32)) -> Result<(), Errno> {
    let flags = fs::OFlags::RDONLY | fs::OFlags::NOFOLLOW | fs::OFlags::CLOEXEC;
    let file = fs::openat(cgroup, c"cgroup.procs", flags, fs::Mode::empty())?;
    let mut buffer = [0; 1024];
    let mut number = 0u32;
    loop {
        let len = fs::read(&file, &mut buffer)?;
        if len == 0 {
            return Ok(());
        }
        for byte in &buffer[..len] {
            if byte.is_ascii_digit() {
                number = number.wrapping_mul(10).wrapping_add(u32::from(byte - b'0')); // a pid has 22 bits
            } else {
                visit(core::mem::take(&mut number));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs as host;
    use std::path::PathBuf;

    /// A folder that looks like cgroups: (path, its processes).
    fn tree(name: &str, cgroups: &[(&str, &str)]) -> PathBuf {
        let top = std::env::temp_dir().join(format!("ocinit-members-{name}-{}", std::process::id()));
        for (path, pids) in cgroups {
            host::create_dir_all(top.join(path)).unwrap();
            host::write(top.join(path).join("cgroup.procs"), pids).unwrap();
        }
        top
    }

    fn open(top: &std::path::Path) -> OwnedFd {
        let path = std::ffi::CString::new(top.to_str().unwrap()).unwrap();
        super::super::open(&path).unwrap()
    }

    #[test]
    fn every_process_is_visited_once_however_deep() {
        let top = tree("all", &[("", "1\n2\n"), ("a", "3\n"), ("a/b", "4\n"), ("a/b/c", ""), ("a/d", "5\n6\n"), ("e", "7\n")]);
        let mut seen = Vec::new();
        each_pid(open(&top).as_fd(), &mut |pid| seen.push(pid)).unwrap();
        host::remove_dir_all(&top).unwrap();
        seen.sort_unstable();
        assert_eq!(seen, [1, 2, 3, 4, 5, 6, 7]);
    }

    #[test]
    fn a_cgroup_that_goes_away_meanwhile_hides_none_of_its_siblings() {
        let names = ["a", "b", "c", "d", "e"];
        let all: Vec<(&str, String)> =
            [("", String::new())].into_iter().chain(names.map(|name| (name, format!("{}\n", name.as_bytes()[0])))).collect();
        for gone in names {
            let written: Vec<(&str, &str)> = all.iter().map(|(path, pids)| (*path, pids.as_str())).collect();
            let top = tree(&format!("gone-{gone}"), &written);
            let mut seen = Vec::new();
            // Whoever is visited goes at once, and one more.
            each_pid(open(&top).as_fd(), &mut |pid| {
                seen.push(pid);
                let visited = char::from(pid as u8).to_string();
                for name in [visited.as_str(), gone] {
                    let _ = host::remove_dir_all(top.join(name)); // gone already
                }
            })
            .unwrap();
            host::remove_dir_all(&top).unwrap();
            for name in names.iter().filter(|name| **name != gone) {
                assert!(seen.contains(&u32::from(name.as_bytes()[0])), "{name} was passed over when {gone} went: {seen:?}");
            }
        }
    }
}
