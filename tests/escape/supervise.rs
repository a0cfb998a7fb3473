//! A runtime under supervision: every system call of it and of its children is seen before it is made, until they become another program.

use std::collections::BTreeMap;
use std::fs;

use crate::launch::{Ended, Launch};
use crate::sys::{self, Outcome};
use crate::tracee::{self, Boundary, Event};

/// Which call: the process in the order of their making, the how many-th of that process, and its number in the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Call {
    /// From [`INSIDE`] on: the process 1 that the container has of us, and what that makes.
    pub process: usize,
    pub index: usize,
    pub number: i64,
}

/// The number of the first process that runs the program inside.
pub const INSIDE: usize = 1000;

/// What is to become of a call.
pub enum Act {
    Make,
    /// It is answered so and not made.
    Fail(i32),
    /// It is made, and afterwards `after` is called.
    Watch,
}

struct Tracee {
    process: usize,
    calls: usize,
    answer: Option<i32>,
    is_watched: bool,
    /// It has just become the program inside.
    is_inside: bool,
}

/// How long a runtime may take.
const SECONDS: i64 = 20;
/// How long process 1 may have nothing more to do before it is asked to end the machine; and how many seconds then to its end.
const SECONDS_INSIDE: i64 = 6;
const MOST_ALARMS: u32 = 14;

/// Runs a program to its end. `before` is asked about each call; `after` is called when one is over that was to be watched,
/// and when another program begins, but for that `inside` the container.
/// Errors: it hangs.
pub fn run(launch: Launch, log: &str, inside: &str, before: &mut dyn FnMut(Call) -> Act, after: &mut dyn FnMut()) -> Outcome<Ended> {
    let own = launch.arguments.first().cloned().unwrap_or_default();
    let running = Launch { is_traced: true, ..launch }.start(log)?;
    let first = running.pid;
    tracee::arm(if inside.is_empty() { SECONDS } else { SECONDS_INSIDE });
    let ended = follow(first, (&own, inside), before, after);
    tracee::arm(0);
    running.ended(sys::exit_code(ended?))
}

fn follow(first: i32, names: (&str, &str), before: &mut dyn FnMut(Call) -> Act, after: &mut dyn FnMut()) -> Outcome<i32> {
    let mut tracees = BTreeMap::from([(first, Tracee { process: 0, calls: 0, answer: None, is_watched: false, is_inside: false })]);
    let mut made = 1;
    let (mut is_followed, mut alarms) = (false, 0);
    loop {
        match tracee::next() {
            Event::Ended { pid, status } if pid == first => {
                tracees.remove(&pid);
                release(&tracees);
                return Ok(status);
            }
            Event::Ended { pid, .. } => drop(tracees.remove(&pid)),
            Event::Nobody => return Err("the runtime is gone".into()),
            Event::TimedOut if !names.1.is_empty() && alarms < MOST_ALARMS => {
                alarms += 1;
                let first_inside = tracees.iter().find(|(_, tracee)| tracee.process == INSIDE);
                if let (1, Some((pid, _))) = (alarms, first_inside) {
                    let _ = sys::kill(*pid, libc::SIGUSR2);
                }
            }
            Event::TimedOut => {
                for pid in tracees.keys() {
                    let _ = sys::kill(*pid, libc::SIGKILL);
                }
                return Err(format!("hangs; {} of its processes were left", tracees.len()));
            }
            Event::Stopped { pid, status } => {
                if !is_followed {
                    tracee::follow(first)?;
                    is_followed = true;
                }
                let tracee = tracees.entry(pid).or_insert_with(|| {
                    made += 1;
                    Tracee { process: made - 1, calls: 0, answer: None, is_watched: false, is_inside: false }
                });
                let is_lost = stopped(pid, status, tracee, names, before, after);
                if std::mem::take(&mut tracee.is_inside) {
                    (tracee.process, tracee.calls, made) = (INSIDE, 0, INSIDE + 1);
                }
                if is_lost {
                    tracees.remove(&pid);
                }
            }
        }
    }
}

/// Lets a stopped process go on; whether it is ours no longer. What fails here fails because the process was killed.
fn stopped(
    pid: i32,
    status: i32,
    tracee: &mut Tracee,
    (own, inside): (&str, &str),
    before: &mut dyn FnMut(Call) -> Act,
    after: &mut dyn FnMut(),
) -> bool {
    let (signal, event) = (libc::WSTOPSIG(status), status >> 16);
    if event == libc::PTRACE_EVENT_EXEC {
        let name = fs::read_link(format!("/proc/{pid}/exe")).map(|path| path.display().to_string()).unwrap_or_default();
        if !inside.is_empty() && tracee.process < INSIDE && name.ends_with(inside) {
            tracee.is_inside = true;
        } else if !name.starts_with("/memfd:") && name != own && (tracee.process < INSIDE || !name.ends_with(inside)) {
            after();
            let _ = tracee::let_go(pid, 0);
            return true;
        }
    }
    if signal == libc::SIGTRAP | 0x80 {
        match tracee::boundary(pid) {
            Ok(Boundary::Entry { number }) => {
                tracee.calls += 1;
                match before(Call { process: tracee.process, index: tracee.calls, number }) {
                    Act::Make => {}
                    Act::Watch => tracee.is_watched = true,
                    Act::Fail(errno) => {
                        let _ = tracee::skip_call(pid);
                        tracee.answer = Some(errno);
                    }
                }
            }
            Ok(Boundary::Exit) => {
                if let Some(errno) = tracee.answer.take() {
                    let _ = tracee::answer(pid, -i64::from(errno));
                }
                if std::mem::take(&mut tracee.is_watched) {
                    after();
                }
            }
            _ => {}
        }
    }
    let is_ours = matches!(signal, libc::SIGTRAP | libc::SIGSTOP) || signal == libc::SIGTRAP | 0x80;
    let _ = tracee::go_on(pid, if is_ours { 0 } else { signal });
    false
}

/// Lets go of what outlives the runtime: a container that waits for its start.
fn release(tracees: &BTreeMap<i32, Tracee>) {
    for pid in tracees.keys() {
        if sys::kill(*pid, libc::SIGSTOP).is_err() {
            continue;
        }
        while let Ok(Some((_, status))) = sys::wait(*pid, libc::__WALL) {
            if !libc::WIFSTOPPED(status) {
                break;
            }
            if libc::WSTOPSIG(status) == libc::SIGSTOP {
                let _ = tracee::let_go(*pid, 0);
                break;
            }
            let _ = tracee::go_on(*pid, 0);
        }
    }
}
