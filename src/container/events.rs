//! `events` and `stats`: what a container's cgroup counts, and waiting for what happens in it without asking again and again.

use core::ffi::CStr;
use core::fmt::Write;

use super::facts;
use super::state::{self, Directory, Status};
use crate::error::{Error, Result};
use crate::mem::{Arena, PathBuffer};
use crate::plan::cgroup::v1::IS_BUILT;
use crate::steps::cgroup;
use crate::sys::{AsFd, AsRawFd, BorrowedFd, Errno, OwnedFd, fs, task};

const READ: fs::OFlags = fs::OFlags::RDONLY.union(fs::OFlags::CLOEXEC);

/// A container's cgroup, whose files are read when they are asked for.
pub struct Counters<'a> {
    cgroup: OwnedFd,
    /// Its cgroups of cgroup v1 beside that one: paths, a line each.
    others: &'a str,
}

impl<'a> Counters<'a> {
    /// Those of a container that has not stopped. Errors: `container with id … is not running`.
    pub fn of(root: &'a CStr, id: &'a str, arena: &Arena<'a>) -> Result<'a, (Counters<'a>, Watch)> {
        let directory = Directory::open(root, id)?;
        let record = directory.read(arena)?;
        let procfs = facts::open_procfs()?;
        let process = state::open_process(&record, procfs.as_fd());
        if process.is_none() || state::status(&record, &directory, procfs.as_fd()) == Status::Stopped {
            return Err(Error::said(arena.format(format_args!("container with id {id} is not running"))?));
        }
        let cgroup = state::open_cgroup(&record)?;
        let open = |name| fs::openat(&cgroup, name, READ, fs::Mode::empty());
        let (end, has_pidfd) = match process.and_then(|process| process.pidfd) {
            Some(pidfd) => (pidfd, true),
            None => (open(c"cgroup.events").map_err(Error::on("open", "cgroup.events"))?, false),
        };
        let (memory, alarm) = open_kills(cgroup.as_fd(), record.others); // none without the controller
        let kills = memory.as_ref().map_or(0, |memory| oom_kills(memory.as_fd()));
        Ok((Counters { cgroup, others: record.others }, Watch { end, has_pidfd, has_ended: false, memory, alarm, kills }))
    }

    /// The text of one of the cgroup's files; empty where it has none.
    pub fn file<'b>(&self, name: &CStr, buffer: &'b mut [u8]) -> &'b str {
        let Some((file, _)) = open_in_any(self.cgroup.as_fd(), self.others, name) else { return "" };
        let mut len = 0;
        loop {
            match fs::read(&file, &mut buffer[len..]) {
                Ok(0) | Err(_) => break,
                Ok(read) => len += read,
            }
        }
        core::str::from_utf8(&buffer[..len]).unwrap_or_default()
    }

    /// Calls `visit` with the names of its files.
    pub fn each_file(&self, visit: &mut dyn FnMut(&str)) {
        let mut paths = PathBuffer::new();
        each_name(self.cgroup.as_fd(), visit);
        for path in cgroup::v1::each(self.others) {
            paths.set(&[path.as_bytes()]);
            if let Ok(other) = cgroup::open(paths.as_c_str()) {
                each_name(other.as_fd(), visit);
            }
        }
    }
}

fn each_name(cgroup: BorrowedFd<'_>, visit: &mut dyn FnMut(&str)) {
    let mut room = [core::mem::MaybeUninit::uninit(); 4096];
    let Ok(directory) = fs::openat(cgroup, c".", READ | fs::OFlags::DIRECTORY, fs::Mode::empty()) else { return };
    let mut entries = fs::RawDir::new(&directory, &mut room);
    while let Some(Ok(entry)) = entries.next() {
        visit(entry.file_name().to_str().unwrap_or_default());
    }
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Happened {
    /// Nothing, for as long as was said.
    TimePassed,
    /// The kernel has killed a process in it for want of memory.
    OutOfMemory,
    /// Its first process has ended.
    Ended,
}

/// Waits for what happens to a container.
pub struct Watch {
    /// The first process; for kernels without pidfd cgroup.events, which says when nobody is left.
    end: OwnedFd,
    has_pidfd: bool,
    has_ended: bool,
    /// memory.events, where there is that controller; memory.oom_control of cgroup v1.
    memory: Option<OwnedFd>,
    /// For cgroup v1: an eventfd that the kernel raises when memory is wanting.
    alarm: Option<OwnedFd>,
    /// How many processes were killed for want of memory, as far as was told.
    kills: u64,
}

impl Watch {
    /// Waits until `deadline_ms`, or until something happens. What killed the first process is told before its end.
    pub fn next<'a>(&mut self, deadline_ms: u64) -> Result<'a, Happened> {
        loop {
            let kills = self.memory.as_ref().map_or(0, |memory| oom_kills(memory.as_fd())); // reading also arms the notification
            let is_oom = match &self.alarm {
                Some(alarm) => self.is_raised(alarm),
                None => kills > self.kills,
            };
            if is_oom {
                self.kills = kills;
                return Ok(Happened::OutOfMemory);
            }
            if self.has_ended || !self.has_pidfd && self.is_empty() {
                return Ok(Happened::Ended);
            }
            let left = deadline_ms.saturating_sub(task::now_ms()); // also where the time has passed: whoever is late still hears of an end
            let wanted = if self.has_pidfd { task::PollFlags::IN } else { task::PollFlags::PRI };
            let (memory, for_memory) = match &self.alarm {
                Some(alarm) => (alarm, task::PollFlags::IN),
                None => (self.memory.as_ref().unwrap_or(&self.end), task::PollFlags::PRI),
            };
            let mut fds = [task::PollFd::new(&self.end, wanted), task::PollFd::new(memory, for_memory)];
            match task::poll(&mut fds, Some(&task::milliseconds(left))) {
                Ok(0) => return Ok(Happened::TimePassed),
                Ok(_) | Err(Errno::INTR) => {}
                Err(errno) => return Err(Error::errno("poll", "", errno)),
            }
            self.has_ended = self.has_pidfd && fds[0].revents().contains(task::PollFlags::IN);
        }
    }

    /// Whether memory was wanting. The kernel also raises it when the cgroup is removed, and then there is nothing to read.
    fn is_raised(&self, alarm: &OwnedFd) -> bool {
        let was_raised = fs::read(alarm, &mut [0; 8]).is_ok();
        was_raised && self.memory.as_ref().is_some_and(|memory| fs::pread(memory, &mut [0; 1], 0).is_ok())
    }

    /// Whether cgroup.events says so, or is gone.
    fn is_empty(&self) -> bool {
        let mut text = [0; 64];
        let len = fs::pread(&self.end, &mut text, 0).unwrap_or(0);
        len == 0 || text.starts_with(b"populated 0")
    }
}

/// memory.events: `oom_kill`. memory.oom_control has it too, since Linux 4.13.
fn oom_kills(events: BorrowedFd<'_>) -> u64 {
    let mut buffer = [0; 256];
    let len = fs::pread(events, &mut buffer, 0).unwrap_or(0);
    let text = core::str::from_utf8(&buffer[..len]).unwrap_or_default();
    text.lines().find_map(|line| line.strip_prefix("oom_kill ")).and_then(|count| count.parse().ok()).unwrap_or(0)
}

/// Opens what counts those kills, and for cgroup v1 what tells of them (Documentation/admin-guide/cgroup-v1/memory.rst, "OOM Control").
fn open_kills(cgroup: BorrowedFd<'_>, others: &str) -> (Option<OwnedFd>, Option<OwnedFd>) {
    if let Ok(memory) = fs::openat(cgroup, c"memory.events", READ, fs::Mode::empty()) {
        return (Some(memory), None);
    }
    let Some((memory, directory)) = (if IS_BUILT { open_in_any(cgroup, others, c"memory.oom_control") } else { None }) else {
        return (None, None);
    };
    let alarm = task::eventfd(0, task::EventfdFlags::CLOEXEC | task::EventfdFlags::NONBLOCK).ok();
    let is_told = alarm.as_ref().is_some_and(|alarm| {
        let mut text = heapless::String::<24>::new();
        let _ = write!(text, "{} {}", alarm.as_raw_fd(), memory.as_raw_fd()); // ten digits each
        let cgroup = directory.as_ref().map_or(cgroup, AsFd::as_fd);
        cgroup::write_file(cgroup, c"cgroup.event_control", text.as_bytes()).is_ok()
    });
    (Some(memory), alarm.filter(|_| is_told))
}

/// Opens a file of the cgroup, or of one of the others, and that one.
fn open_in_any(cgroup: BorrowedFd<'_>, others: &str, name: &CStr) -> Option<(OwnedFd, Option<OwnedFd>)> {
    if let Ok(file) = fs::openat(cgroup, name, READ, fs::Mode::empty()) {
        return Some((file, None));
    }
    cgroup::v1::each(others).find_map(|path| {
        let mut buffer = PathBuffer::new();
        buffer.set(&[path.as_bytes()]);
        let other = cgroup::open(buffer.as_c_str()).ok()?;
        Some((fs::openat(&other, name, READ, fs::Mode::empty()).ok()?, Some(other)))
    })
}

/// Why a container's first process is gone without a word.
pub fn why_gone(cgroup: Option<BorrowedFd<'_>>, others: &str) -> &'static str {
    match cgroup.and_then(|cgroup| open_kills(cgroup, others).0) {
        Some(memory) if oom_kills(memory.as_fd()) > 0 => "container init was OOM-killed (memory limit too low?)",
        _ => "the container's first process was killed before its program ran",
    }
}
