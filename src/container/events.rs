//! `events` and `stats`: what a container's cgroup counts, and waiting for what happens in it without asking again and again.

use core::ffi::CStr;

use super::facts;
use super::state::{self, Directory, Status};
use crate::error::{Error, Result};
use crate::mem::Arena;
use crate::sys::{AsFd, BorrowedFd, Errno, OwnedFd, fs, task};

/// A container's cgroup, whose files are read when they are asked for.
pub struct Counters {
    cgroup: OwnedFd,
}

impl Counters {
    /// Those of a container that has not stopped. Errors: `container with id … is not running`.
    pub fn of<'a>(root: &'a CStr, id: &'a str, arena: &Arena<'a>) -> Result<'a, (Counters, Watch)> {
        let directory = Directory::open(root, id)?;
        let record = directory.read(arena)?;
        let procfs = facts::open_procfs()?;
        let process = state::open_process(&record, procfs.as_fd());
        if process.is_none() || state::status(&record, &directory, procfs.as_fd()) == Status::Stopped {
            return Err(Error::said(arena.format(format_args!("container with id {id} is not running"))?));
        }
        let cgroup = state::open_cgroup(&record)?;
        let open = |name| fs::openat(&cgroup, name, fs::OFlags::RDONLY | fs::OFlags::CLOEXEC, fs::Mode::empty());
        let (end, has_pidfd) = match process.and_then(|process| process.pidfd) {
            Some(pidfd) => (pidfd, true),
            None => (open(c"cgroup.events").map_err(Error::on("open", "cgroup.events"))?, false),
        };
        let memory = open(c"memory.events").ok(); // none without the controller
        let kills = memory.as_ref().map_or(0, |memory| oom_kills(memory.as_fd()));
        Ok((Counters { cgroup }, Watch { end, has_pidfd, has_ended: false, memory, kills }))
    }

    /// The text of one of the cgroup's files; empty where it has none.
    pub fn file<'b>(&self, name: &CStr, buffer: &'b mut [u8]) -> &'b str {
        let Ok(file) = fs::openat(&self.cgroup, name, fs::OFlags::RDONLY | fs::OFlags::CLOEXEC, fs::Mode::empty()) else { return "" };
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
        let mut room = [core::mem::MaybeUninit::uninit(); 4096];
        let Ok(directory) =
            fs::openat(&self.cgroup, c".", fs::OFlags::RDONLY | fs::OFlags::DIRECTORY | fs::OFlags::CLOEXEC, fs::Mode::empty())
        else {
            return;
        };
        let mut entries = fs::RawDir::new(&directory, &mut room);
        while let Some(Ok(entry)) = entries.next() {
            visit(entry.file_name().to_str().unwrap_or_default());
        }
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
    /// memory.events, where there is that controller.
    memory: Option<OwnedFd>,
    /// How many processes were killed for want of memory, as far as was told.
    kills: u64,
}

impl Watch {
    /// Waits until `deadline_ms`, or until something happens. What killed the first process is told before its end.
    pub fn next<'a>(&mut self, deadline_ms: u64) -> Result<'a, Happened> {
        loop {
            let kills = self.memory.as_ref().map_or(0, |memory| oom_kills(memory.as_fd())); // reading also arms the notification
            if kills > self.kills {
                self.kills = kills;
                return Ok(Happened::OutOfMemory);
            }
            if self.has_ended || !self.has_pidfd && self.is_empty() {
                return Ok(Happened::Ended);
            }
            let left = deadline_ms.saturating_sub(task::now_ms());
            if left == 0 {
                return Ok(Happened::TimePassed);
            }
            let wanted = if self.has_pidfd { task::PollFlags::IN } else { task::PollFlags::PRI };
            let mut fds =
                [task::PollFd::new(&self.end, wanted), task::PollFd::new(self.memory.as_ref().unwrap_or(&self.end), task::PollFlags::PRI)];
            match task::poll(&mut fds, Some(&task::milliseconds(left))) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(errno) => return Err(Error::errno("poll", "", errno)),
            }
            self.has_ended = self.has_pidfd && fds[0].revents().contains(task::PollFlags::IN);
        }
    }

    /// Whether cgroup.events says so, or is gone.
    fn is_empty(&self) -> bool {
        let mut text = [0; 64];
        let len = fs::pread(&self.end, &mut text, 0).unwrap_or(0);
        len == 0 || text.starts_with(b"populated 0")
    }
}

/// memory.events: `oom_kill`.
fn oom_kills(events: BorrowedFd<'_>) -> u64 {
    let mut buffer = [0; 256];
    let len = fs::pread(events, &mut buffer, 0).unwrap_or(0);
    let text = core::str::from_utf8(&buffer[..len]).unwrap_or_default();
    text.lines().find_map(|line| line.strip_prefix("oom_kill ")).and_then(|count| count.parse().ok()).unwrap_or(0)
}

/// Why a container's first process is gone without a word.
pub fn why_gone(cgroup: Option<BorrowedFd<'_>>) -> &'static str {
    let open = |cgroup| fs::openat(cgroup, c"memory.events", fs::OFlags::RDONLY | fs::OFlags::CLOEXEC, fs::Mode::empty()).ok();
    match cgroup.and_then(open) {
        Some(memory) if oom_kills(memory.as_fd()) > 0 => "container init was OOM-killed (memory limit too low?)",
        _ => "the container's first process was killed before its program ran",
    }
}
