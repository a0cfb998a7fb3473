//! `ps`: the processes of a container, and what procfs knows of each. It needs no program called ps.

use core::cell::Cell;
use core::ffi::CStr;

use super::facts;
use super::members::{self, Place};
use super::state::Directory;
use crate::error::{Error, Result};
use crate::mem::{Arena, List, sort};
use crate::sys::{AsFd, BorrowedFd, Errno, fs, task};

/// Kernel clock ticks a second, as procfs counts: USER_HZ, which is 100 on every architecture that we are built for.
pub const TICKS: u64 = 100;

/// One process.
#[derive(Clone, Copy, Debug)]
pub struct Process<'a> {
    /// As the host numbers it.
    pub pid: u32,
    /// Its users, real and effective.
    pub users: [Owner<'a>; 2],
    /// Its groups, real and effective.
    pub groups: [Owner<'a>; 2],
    /// The name of its program, at most 15 bytes.
    pub name: &'a [u8],
    /// Its arguments, each ended by NUL; empty for what has none.
    pub arguments: &'a [u8],
    /// proc_pid_stat(5) from field 3, the state, on.
    stat: &'a str,
    /// Where in the kernel it waits; empty where it does not.
    pub waits_in: &'a [u8],
    /// Seconds since boot.
    pub now: u64,
    /// The machine's memory in KiB.
    pub memory_kib: u64,
}

/// A user or a group.
#[derive(Clone, Copy, Debug, Default)]
pub struct Owner<'a> {
    /// Its number.
    pub id: u32,
    /// Its name on the host; empty if it has none there.
    pub name: &'a str,
}

impl<'a> Process<'a> {
    /// A number of proc_pid_stat(5), counted as there; 0 where there is none.
    pub fn number(&self, field: usize) -> u64 {
        self.word(field).parse().unwrap_or(0)
    }

    /// The same as text.
    pub fn word(&self, field: usize) -> &'a str {
        self.stat.split_ascii_whitespace().nth(field.saturating_sub(3)).unwrap_or_default()
    }
}

/// The pids of a container, the lowest first. One that has stopped has none.
pub fn pids<'a>(root: &'a CStr, id: &'a str, arena: &Arena<'a>) -> Result<'a, &'a [u32]> {
    let directory = Directory::open(root, id)?;
    let record = directory.read(arena)?;
    let place = members::place(&record, &directory, arena)?;
    if matches!(place, Place::Nowhere) {
        return Err(Error::said("ps requires the container to have a cgroup"));
    }
    let procfs = facts::open_procfs()?;
    let mut list = List::default();
    let mut full = Ok(());
    match members::each(&place, &record, procfs.as_fd(), &mut |pid| full = full.and_then(|()| list.push(arena, pid))) {
        Ok(()) | Err(Errno::NOENT | Errno::NODEV) => full?, // it has stopped, and its cgroup is gone
        Err(errno) => return Err(Error::errno("read the processes of", record.cgroup, errno)),
    }
    let mut next = list.iter();
    let pids = arena.slice(list.len(), |_| next.next().copied().unwrap_or(0))?;
    let cells = Cell::from_mut(&mut *pids).as_slice_of_cells();
    sort(cells.len(), &|a, b| cells[a].get() < cells[b].get(), &|a, b| cells[a].swap(&cells[b]));
    Ok(pids)
}

/// What procfs knows of these processes; those that have ended meanwhile are left out.
pub fn look_up<'a>(pids: &[u32], arena: &Arena<'a>) -> Result<'a, List<'a, Process<'a>>> {
    let procfs = facts::open_procfs()?;
    let memory = read(procfs.as_fd(), c"meminfo", arena)?.unwrap_or_default();
    let now = task::clock_gettime(task::ClockId::Boottime).tv_sec as u64;
    let [memory_kib, _] = numbers(memory, b"MemTotal:");
    let mut known = Known::default();
    let mut processes = List::default();
    for pid in pids {
        if let Some(process) = one(procfs.as_fd(), *pid, &mut known, arena)? {
            processes.push(arena, Process { now, memory_kib, ..process })?;
        }
    }
    Ok(processes)
}

/// Users and groups that were looked up last: most processes have the same.
#[derive(Default)]
struct Known<'a> {
    users: [Owner<'a>; 2],
    groups: [Owner<'a>; 2],
}

fn look_up_owners<'a>(known: &mut [Owner<'a>; 2], path: &CStr, ids: [u64; 2], arena: &Arena<'a>) -> Result<'a, [Owner<'a>; 2]> {
    for index in 0..2 {
        let id = ids[index] as u32;
        if known[index].id != id || known[index].name.is_empty() {
            known[index] = match known[0].id == id && index == 1 {
                true => known[0],
                false => Owner { id, name: facts::name_of(path, id, arena)? },
            };
        }
    }
    Ok(*known)
}

fn one<'a>(procfs: BorrowedFd<'_>, pid: u32, known: &mut Known<'a>, arena: &Arena<'a>) -> Result<'a, Option<Process<'a>>> {
    let path = arena.format_c(format_args!("{pid}"))?;
    let flags = fs::OFlags::PATH | fs::OFlags::DIRECTORY | fs::OFlags::CLOEXEC;
    let Ok(directory) = fs::openat(procfs, path, flags, fs::Mode::empty()) else { return Ok(None) };
    let (Some(stat), Some(status)) = (read(directory.as_fd(), c"stat", arena)?, read(directory.as_fd(), c"status", arena)?) else {
        return Ok(None);
    };
    let stat = stat.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let (Some(open), Some(close)) = (stat.iter().position(|byte| *byte == b'('), stat.iter().rposition(|byte| *byte == b')')) else {
        return Ok(None);
    };
    let waits_in = read(directory.as_fd(), c"wchan", arena)?.unwrap_or_default();
    Ok(Some(Process {
        pid,
        users: look_up_owners(&mut known.users, c"/etc/passwd", numbers(status, b"Uid:"), arena)?,
        groups: look_up_owners(&mut known.groups, c"/etc/group", numbers(status, b"Gid:"), arena)?,
        name: stat.get(open + 1..close).unwrap_or_default(),
        arguments: read(directory.as_fd(), c"cmdline", arena)?.unwrap_or_default(),
        stat: core::str::from_utf8(stat.get(close + 1..).unwrap_or_default()).unwrap_or_default(),
        waits_in: if waits_in == b"0" { &[] } else { waits_in },
        now: 0,
        memory_kib: 0,
    }))
}

/// The first two numbers of a line of procfs: `Uid:` has the real and the effective user (proc_pid_status(5)).
fn numbers(text: &[u8], name: &[u8]) -> [u64; 2] {
    let line = text.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    let mut words = core::str::from_utf8(line).unwrap_or_default().split_ascii_whitespace();
    [(); 2].map(|()| words.next().and_then(|number| number.parse().ok()).unwrap_or(0))
}

/// The first 4,096 bytes of a file; `None` if the process has ended.
fn read<'a>(directory: BorrowedFd<'_>, name: &CStr, arena: &Arena<'a>) -> Result<'a, Option<&'a [u8]>> {
    let mut buffer = [0; 4096];
    let file = fs::openat(directory, name, fs::OFlags::RDONLY | fs::OFlags::CLOEXEC, fs::Mode::empty());
    match file.and_then(|file| fs::read(&file, &mut buffer)) {
        Ok(len) => Ok(Some(arena.bytes(&buffer[..len])?)),
        Err(_) => Ok(None),
    }
}
