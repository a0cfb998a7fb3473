//! Cgroups that systemd makes: a transient scope is started and stopped over the manager's private socket.
//!
//! A scope begins with a process. It is one of ours that only waits, so that the container's own first process is born in the scope's
//! cgroup like any other, and is never moved.

use core::ffi::CStr;

use super::child;
use super::dbus::{Connection, Message, Writer};
use super::facts;
use crate::error::{Error, Result};
use crate::mem::{Arena, List};
use crate::names::subjects::SYSTEMD;
use crate::plan::cgroup::{Property, Scope};
use crate::sys::{self, Clone, Errno, OwnedFd, task};

/// How long systemd may take; runc waits as long.
const TIMEOUT_MS: u64 = 30_000;

/// The process that keeps a scope until the container's first is in it; killed when this is dropped.
pub struct Keeper {
    pid: task::Pid,
    pidfd: Option<OwnedFd>,
}

impl Drop for Keeper {
    fn drop(&mut self) {
        child::end(self.pid, self.pidfd.as_ref()); // it is ours, and does nothing
    }
}

impl Keeper {
    fn new<'a>() -> Result<'a, Keeper> {
        let runtime = task::getpid();
        match sys::clone(0, None).or_else(|_| sys::fork(0)) {
            Ok(Clone::Child) => {
                let tied = task::set_parent_process_death_signal(Some(task::Signal::KILL));
                // Killed by us, or ended with us: also if we were gone before it was tied to us.
                while tied.is_ok() && task::getppid() == Some(runtime) {
                    let _ = task::poll(&mut [], None);
                }
                sys::exit(0)
            }
            Ok(Clone::Parent { pid, pidfd }) => Ok(Keeper { pid, pidfd }),
            Err(errno) => Err(Error::errno("clone", "a process to begin a scope with", errno)),
        }
    }
}

/// Starts the unit and waits until it is there. A slice has no processes of its own and so no keeper.
pub fn start<'a>(scope: &Scope<'a>, arena: &Arena<'a>) -> Result<'a, Option<Keeper>> {
    if !SYSTEMD {
        return Ok(None);
    }
    let keeper = if scope.unit.ends_with(".slice") { None } else { Some(Keeper::new()?) };
    let mut talk = Talk::new(scope.socket, scope.unit, arena)?;
    let mut body = Writer::new();
    body.text(scope.unit);
    body.text("replace");
    let open = body.open(8);
    scope.properties.iter().for_each(|property| body.property(property));
    if let Some(keeper) = &keeper {
        body.pids(keeper.pid.as_raw_nonzero().get() as u32);
    }
    body.close(&open);
    let auxiliary = body.open(8);
    body.close(&auxiliary);
    if let Err(first) = talk.ask("StartTransientUnit", "ssa(sv)a(sa(sv))", &body, true) {
        // What is left of an earlier one of this name that failed stands in the way.
        let mut name = Writer::new();
        name.text(scope.unit);
        talk.ask("ResetFailedUnit", "s", &name, false).map_err(|_| first)?;
        talk.ask("StartTransientUnit", "ssa(sv)a(sa(sv))", &body, true)?;
    }
    Ok(keeper)
}

/// Stops the unit and waits until it is gone; one that is gone already is no error.
pub fn stop<'a>(unit: &str, socket: &CStr, arena: &Arena<'a>) {
    if !SYSTEMD {
        return;
    }
    let (Ok(unit), Ok(socket)) = (arena.format(format_args!("{unit}")), arena.c_str(&[socket.to_bytes()])) else { return };
    let Ok(mut talk) = Talk::new(socket, unit, arena) else { return };
    let mut body = Writer::new();
    body.text(unit);
    body.text("replace");
    let _ = talk.ask("StopUnit", "ss", &body, true); // its processes are dead, so that it ends by itself too
    let mut name = Writer::new();
    name.text(unit);
    let _ = talk.ask("ResetFailedUnit", "s", &name, false); // there is none, unless it failed
}

/// Changes properties of a unit that runs, until the machine is started anew.
pub fn change<'a>(unit: &'a str, properties: &List<'_, Property<'_>>, socket: &'a CStr, arena: &Arena<'a>) -> Result<'a, ()> {
    if !SYSTEMD {
        return Ok(());
    }
    if properties.is_empty() {
        return Ok(());
    }
    let mut body = Writer::new();
    body.text(unit);
    body.u32(1);
    let open = body.open(8);
    properties.iter().for_each(|property| body.property(property));
    body.close(&open);
    Talk::new(socket, unit, arena)?.ask("SetUnitProperties", "sba(sv)", &body, false)
}

/// A conversation about one unit.
struct Talk<'t, 'a> {
    connection: Connection,
    unit: &'a str,
    arena: &'t Arena<'a>,
}

impl<'t, 'a> Talk<'t, 'a> {
    fn new(socket: &'a CStr, unit: &'a str, arena: &'t Arena<'a>) -> Result<'a, Self> {
        match Connection::new(socket, facts::uid_outside(), task::now_ms() + TIMEOUT_MS) {
            Ok(connection) => Ok(Talk { connection, unit, arena }),
            Err(errno @ (Errno::NOENT | Errno::CONNREFUSED)) => Err(Error::errno(
                "connect to systemd (is it process 1 here, or the user's manager?)",
                socket.to_str().unwrap_or_default(),
                errno,
            )),
            Err(errno) => Err(Error::errno("connect to systemd", socket.to_str().unwrap_or_default(), errno)),
        }
    }

    /// Calls a method, waits for its answer and, if it begins a job, for the job's end.
    fn ask(&mut self, method: &'a str, signature: &str, body: &Writer, has_job: bool) -> Result<'a, ()> {
        let mut room = [0; 8192];
        let failed = |errno| Error::errno(method, self.unit, errno);
        let call = self.connection.call(method, signature, body).map_err(failed)?;
        let (mut is_answered, mut is_done) = (false, !has_job);
        while !is_answered || !is_done {
            match self.connection.next(&mut room).map_err(failed)? {
                Message::Answer(number) => is_answered |= number == call,
                Message::Refusal(number, name, sentence) if number == call => {
                    return Err(Error::text("systemd", self.unit, self.arena.format(format_args!("{method}: {name}: {sentence}"))?));
                }
                Message::JobRemoved(unit, "done") if unit == self.unit => is_done = true,
                Message::JobRemoved(unit, result) if unit == self.unit => {
                    return Err(Error::text(
                        "systemd",
                        self.unit,
                        self.arena.format(format_args!("{method}: the job's result is {result}"))?,
                    ));
                }
                _ => {}
            }
        }
        Ok(())
    }
}
