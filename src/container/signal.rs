//! Signals to a container: to its first process, sure that it is that process, or to all of them.

use linux_raw_sys::general as c;

use super::hooks::{self, Inherited};
use super::members::{self, Place};
use super::notify::Proxy;
use super::state::{self, Directory, Record, Status};
use super::{bundle, delete, facts, words};
use crate::error::{Doing, Error, Result};
use crate::mem::Arena;
use crate::steps::{cgroup, sync};
use crate::sys::{self, AsFd, BorrowedFd, Errno, OwnedFd, task};

pub(super) const SIGKILL: i32 = c::SIGKILL as i32;

/// `start`: gives the start to a created container, runs its `poststart` hooks once its program runs, and waits for its word that it is
/// ready where a service manager listens (NOTIFY_SOCKET).
pub fn start<'a>(
    root: &'a core::ffi::CStr,
    id: &'a str,
    inherited: Inherited<'_>,
    manager: Option<&'a core::ffi::CStr>,
    arena: &Arena<'a>,
) -> Result<'a, ()> {
    let directory = Directory::open(root, id)?;
    directory.lock()?;
    if !directory.is_current() {
        return Err(Error::said("container does not exist"));
    }
    let record = directory.read(arena)?;
    let procfs = facts::open_procfs()?;
    match state::status(&record, &directory, procfs.as_fd()) {
        Status::Created => {}
        Status::Stopped => return Err(Error::said("cannot start a container that has stopped")),
        Status::Running => return Err(Error::said("cannot start an already running container")),
        Status::Paused => return Err(Error::said("cannot start a container in the paused state")),
    }
    let manager = manager.filter(|manager| !manager.is_empty() && directory.has_notify());
    let notify = manager.map(|manager| Proxy::open(&directory, manager)).transpose()?;
    if record.hooks & (hooks::START_CONTAINER | hooks::POSTSTART) != 0 {
        start_with_hooks(&record, &directory, procfs.as_fd(), inherited, arena)?;
    } else {
        directory.give_start().map_err(not_started)?;
    }
    if let (Some(notify), Some(process)) = (&notify, state::open_process(&record, procfs.as_fd())) {
        directory.unlock();
        notify.await_ready(process.pid, process.pidfd.as_ref().map(AsFd::as_fd));
    }
    Ok(())
}

fn not_started<'a>(errno: Errno) -> Error<'a> {
    match errno {
        Errno::NXIO => Error::said("container process is already dead"),
        errno => Error::errno("start", "", errno),
    }
}

fn start_with_hooks<'a>(
    record: &Record<'a>,
    directory: &Directory,
    procfs: BorrowedFd<'_>,
    inherited: Inherited<'_>,
    arena: &Arena<'a>,
) -> Result<'a, ()> {
    let bundle = bundle::kept(directory, record.bundle, arena)?;
    let mut room = [0; sync::MOST_BYTES];
    let said = directory.give_start_and_watch(&mut room).map_err(not_started)?;
    let after_hooks = said.strip_prefix(&[sync::HOOKS_DONE]);
    if said.is_empty() && record.hooks & hooks::START_CONTAINER != 0 {
        return Err(not_started(Errno::NXIO));
    }
    if let Some((fault, came_along)) = after_hooks.unwrap_or(said).strip_prefix(&[sync::FAULT]).and_then(sync::read_fault) {
        return Err(words::late(fault, came_along, &bundle));
    }
    let hooks = hooks::run(&bundle.config.hooks.unwrap_or_default().poststart, hooks::poststart(record.pid), record.id, &bundle, inherited);
    if hooks.is_err() {
        // The specification wants the container stopped then; it stays to be deleted.
        if let Some(process) = state::open_process(record, procfs) {
            delete::end(record, &process, procfs)?;
        }
    }
    hooks
}

/// `kill`. With `to_all` every process of the container gets the signal, and one that has ended is no error.
pub fn kill<'a>(root: &'a core::ffi::CStr, id: &'a str, signal: i32, to_all: bool, arena: &Arena<'a>) -> Result<'a, ()> {
    let directory = Directory::open(root, id)?;
    let record = directory.read(arena)?;
    let procfs = facts::open_procfs()?;
    let signal = if ends_who_waits(signal, &record, &directory, procfs.as_fd()) { SIGKILL } else { signal };
    // Without a pid namespace of its own the end of its first process is not the end of the others.
    if !record.cgroup.is_empty() && (to_all || signal == SIGKILL && record.shares_pids) {
        return signal_rest(&record, signal);
    }
    let Some(process) = state::open_process(&record, procfs.as_fd()) else {
        return if to_all { Ok(()) } else { Err(Error::said("container not running")) };
    };
    let means_others = record.cgroup.is_empty() && (to_all || signal == SIGKILL && record.shares_pids);
    if means_others {
        signal_others(&record, &directory, procfs.as_fd(), signal, arena)?; // of which the first may have waited, and have ended too
    }
    let sent = sys::send_signal(process.pid, process.pidfd.as_ref().map(AsFd::as_fd), signal);
    if signal == SIGKILL {
        cgroup::v1::let_die(record.cgroup);
    }
    match sent {
        Err(Errno::SRCH) if to_all || means_others => Ok(()),
        Err(Errno::SRCH) => Err(Error::said("container not running")),
        answer => answer.doing("kill", id),
    }
}

/// Whether a signal would end a process that still waits for its start, were it not the first of its pid namespace, whom the kernel spares
/// (pid_namespaces(7)). runc's handles these, and callers stop a created container by them.
///
/// Must: hold the lock, so that nobody gives the start meanwhile; whoever has it now may be giving it.
fn ends_who_waits(signal: i32, record: &Record<'_>, directory: &Directory, procfs: BorrowedFd<'_>) -> bool {
    const ENDING: [u32; 4] = [c::SIGHUP, c::SIGINT, c::SIGQUIT, c::SIGTERM];
    ENDING.contains(&signal.cast_unsigned()) && directory.try_lock() && matches!(state::status(record, directory, procfs), Status::Created)
}

/// The same without a cgroup; those of a pid namespace end with its first process, however deep they have made others.
pub fn signal_others<'a>(
    record: &Record<'a>,
    directory: &Directory,
    procfs: BorrowedFd<'_>,
    signal: i32,
    arena: &Arena<'a>,
) -> Result<'a, ()> {
    match members::place(record, directory, arena)? {
        Place::Namespace(_) if signal == SIGKILL && !record.shares_pids => {}
        Place::Namespace(kind) => members::signal_others(kind, record, procfs, signal),
        Place::Cgroup | Place::Nowhere => {}
    }
    Ok(())
}

fn signal_rest<'a>(record: &Record<'a>, signal: i32) -> Result<'a, ()> {
    let send = |cgroup: OwnedFd| match signal {
        SIGKILL => cgroup::kill_all(cgroup.as_fd()),
        _ => cgroup::signal_all(cgroup.as_fd(), signal),
    };
    match state::open_cgroup_if_any(record).and_then(|cgroup| cgroup.map_or(Ok(()), send)) {
        Err(Errno::NOENT | Errno::NODEV) => Ok(()),
        answer => answer.doing("send a signal to the processes of", record.cgroup),
    }
}

/// Waits at most `timeout_ms` until the record's process has ended; asks again and again only where there is no handle to it.
pub fn await_end(record: &Record<'_>, process: &state::Process, procfs: BorrowedFd<'_>, timeout_ms: u32) -> bool {
    const ASK_AGAIN_MS: u64 = 5;
    let deadline = task::now_ms() + u64::from(timeout_ms);
    loop {
        let left = deadline.saturating_sub(task::now_ms());
        let ended = match &process.pidfd {
            Some(pidfd) => task::poll(&mut [task::PollFd::new(pidfd, task::PollFlags::IN)], Some(&task::milliseconds(left))) == Ok(1),
            None => {
                let _ = task::poll(&mut [], Some(&task::milliseconds(left.min(ASK_AGAIN_MS)))); // it only passes the time
                !state::is_alive(record, procfs)
            }
        };
        if ended || left == 0 {
            return ended;
        }
    }
}
