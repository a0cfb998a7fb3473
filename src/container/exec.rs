//! `exec`: one more process in a container that runs, as the parent sees it.
//!
//! Must: be sure that it is that container, go by what it was made of, and let the process be born in its cgroup.
//! Mustn't: leave a process behind that the caller was not told of.

use core::ffi::CStr;
use core::fmt::Write;

use linux_raw_sys::general::CLONE_NEWUSER;

use super::child::{self, Message};
use super::create;
use super::foreground::Running;
use super::start;
use super::state::{self, Directory, Record};
use super::{bundle, facts, rdt, seccomp, words};
use crate::error::{Doing, Error, Result};
use crate::log::Log;
use crate::mem::{Arena, List};
use crate::plan::cgroup::Manager;
use crate::plan::exec::Overrides;
use crate::plan::{self, Facts, Options, Plan};
use crate::spec::Config;
use crate::steps::{Container, Stage, cgroup, sync};
use crate::sys::{self, AsFd, BorrowedFd, Clone, Errno, OwnedFd, fs, task};

/// What is to be run, where, and how.
pub struct Request<'a, 'l> {
    /// `--root`.
    pub root: &'a CStr,
    /// The container.
    pub id: &'a str,
    /// `--process`: a file.
    pub process: Option<&'a CStr>,
    /// What the other options say about the process.
    pub overrides: Overrides<'a>,
    /// `--preserve-fds`.
    pub preserve_fds: u32,
    /// `--cgroup`: a path below the container's.
    pub cgroup: Option<&'a str>,
    /// `--ignore-paused`.
    pub ignores_pause: bool,
    /// `--console-socket`.
    pub console_socket: Option<&'a CStr>,
    /// `--pidfd-socket`.
    pub pidfd_socket: Option<&'a CStr>,
    /// Whether the runtime leaves before the process ends.
    pub is_detached: bool,
    /// Signals that were blocked before the runtime blocked them all.
    pub blocked_signals: sys::Signals,
    /// Where warnings go.
    pub log: &'l Log,
}

/// A process that runs in a container.
pub struct Started {
    /// As the host numbers it.
    pub pid: task::Pid,
    pidfd: Option<OwnedFd>,
    master: Option<OwnedFd>,
}

impl Started {
    /// The process, for whoever stays with it.
    pub fn running(&self) -> Running<'_> {
        Running {
            pid: self.pid,
            pidfd: self.pidfd.as_ref().map(AsFd::as_fd),
            master: self.master.as_ref().map(AsFd::as_fd),
            tracer: None,
            notify: None,
            cgroup: None,
        }
    }

    /// Ends it.
    pub fn undo(&self) {
        child::end(self.pid, self.pidfd.as_ref());
    }
}

/// Starts a process in a container, and returns as soon as its program runs.
pub fn exec<'a>(request: &Request<'a, '_>) -> Result<'a, Started> {
    let procfs = facts::open_procfs()?;
    let directory = Directory::open(request.root, request.id)?;
    let bundle::Joined { config, process, arena } = bundle::joined(&directory, request.process, request.overrides.args.len())?;
    let overrides = Overrides { process: process.copied(), ..request.overrides };
    let record = directory.read(&arena)?;
    let Some(first) = First::open(&record, procfs.as_fd()) else { return Err(Error::said("cannot exec in a stopped container")) };
    if !request.ignores_pause && state::is_paused(&record) {
        return Err(Error::said("cannot exec in a paused container (use --ignore-paused to override)"));
    }
    let plan = make_plan(request, config, &overrides, &record, &arena)?;
    // An ordinary user's container has one, whether its configuration says so or not; where we are in it, setns(2) refuses to enter again.
    let may_have_users = plan.namespaces.of_container & CLONE_NEWUSER != 0 || record.uid != 0;
    if may_have_users && facts::shares_user_namespace(procfs.as_fd(), record.pid) {
        plan.namespaces.of_container &= !CLONE_NEWUSER;
    } else if may_have_users {
        plan.namespaces.of_container |= CLONE_NEWUSER;
    }
    create::settle_terminal(plan, request.is_detached, request.console_socket)?;
    let mut work = Work {
        console_socket: child::connect(request.console_socket, "connect to the console socket")?,
        pidfd_socket: child::connect(request.pidfd_socket, "connect to the pidfd socket")?,
        cgroup: Cgroup::open(request.cgroup, &record, &arena)?,
        blocked_signals: request.blocked_signals,
        procfs,
        record,
        first,
        plan,
        arena,
    };
    let initial = work.plan.process.scheduling.exec_affinity.initial;
    if !initial.is_empty() {
        sys::set_affinity(initial).doing("process.execCPUAffinity.initial", "")?;
    }
    // Where the limit of processes is reached, it is made beside the cgroup and moved there, which no limit refuses.
    match work.attempt(Birth::InCgroup)? {
        Some(started) => Ok(started),
        None => work.attempt(Birth::Beside)?.ok_or(Error::errno("clone", "the process", Errno::AGAIN)),
    }
    .inspect(|started| request.log.debug(format_args!("{}: process {} runs", request.id, started.pid.as_raw_nonzero())))
}

/// Where the process comes into being.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Birth {
    InCgroup,
    Beside,
}

/// All that a process is started from.
struct Work<'a> {
    procfs: OwnedFd,
    record: Record<'a>,
    first: First,
    plan: &'a mut Plan<'a>,
    arena: Arena<'a>,
    cgroup: Cgroup<'a>,
    console_socket: Option<OwnedFd>,
    pidfd_socket: Option<OwnedFd>,
    blocked_signals: sys::Signals,
}

impl<'a> Work<'a> {
    /// Makes the process. `None`: no more processes are allowed there.
    fn attempt(&mut self, birth: Birth) -> Result<'a, Option<Started>> {
        let (ours, theirs) = sys::pair().doing("socketpair", "")?;
        let ignored_signals = facts::ignored_signals(self.procfs.as_fd());
        let Some((made, by_fork)) = self.cgroup.make_child(birth, &self.record, self.procfs.as_fd(), &self.arena)? else { return Ok(None) };
        let Clone::Parent { pid: between, pidfd: between_fd } = made else {
            let stage = Stage {
                container: Some(self.first.as_container()),
                console_socket: self.console_socket.as_ref().map(AsFd::as_fd),
                ignored_signals,
                ..Stage::new(self.plan, self.procfs.as_fd(), theirs.as_fd(), self.blocked_signals)
            };
            start::run_joining(stage, by_fork)
        };
        drop(theirs);
        let mut started = None;
        let done = self.follow(&ours, by_fork, &mut started);
        // The process in between has ended, or the whole has failed.
        child::end(between, between_fd.as_ref());
        if done.is_err()
            && let Some(started) = &started
        {
            started.undo();
        }
        done.map(|is_possible| started.filter(|_| is_possible))
    }

    /// The listener of the filter goes to whoever decides about its calls.
    fn hand_over(&self, number: Option<u32>, started: &Started) -> Result<'a, ()> {
        let listener = self.plan.seccomp.as_ref().and_then(|filter| filter.listener.as_ref());
        let first = task::Pid::from_raw(self.record.pid as i32);
        let (Some(listener), Some(number), Some(first)) = (listener, number, first) else { return Ok(()) };
        let process = seccomp::Process { pid: started.pid, pidfd: started.pidfd.as_ref(), number, status: "running", first };
        let about = plan::hooks::about(self.record.id, self.record.bundle, &self.record.annotations, &self.arena)?;
        seccomp::hand_over(listener, &process, &about, &self.arena)
    }

    /// Hears what the child has to say, to the end: then it is the program. Whether it could be made at all.
    fn follow(&self, channel: &OwnedFd, by_fork: bool, started: &mut Option<Started>) -> Result<'a, bool> {
        let mut room = [0; sync::MOST_BYTES];
        loop {
            match (child::receive(channel, &mut room)?, &mut *started) {
                (Message::Child(pid), None) => {
                    let pidfd = task::pidfd_open(pid, task::PidfdFlags::empty()).ok();
                    let started = started.insert(Started { pid, pidfd, master: None });
                    rdt::join(&self.record, pid, &self.arena)?;
                    if by_fork {
                        child::move_to_cgroup(pid, self.cgroup.fd.as_ref(), self.record.others, self.cgroup.below, channel)?;
                    }
                    if let Some(socket) = &self.pidfd_socket {
                        child::send_pidfd(socket, started.pidfd.as_ref(), b"setns")?;
                    }
                }
                (Message::Master(master), Some(started)) => started.master = master,
                (Message::Ready(number), Some(started)) => {
                    self.hand_over(number, started)?;
                    child::answer(channel)?;
                }
                (Message::Fault(fault, _), None) if fault.errno == Errno::AGAIN && !by_fork => return Ok(false),
                (Message::Fault(fault, rest), _) => return Err(words::describe(fault, rest, self.plan, &self.arena)),
                (Message::End, Some(_)) => return Ok(true),
                _ => return Err(Error::said("the process was killed before it could begin (memory limit too low?)")),
            }
        }
    }
}

fn make_plan<'a>(
    request: &Request<'a, '_>,
    config: &Config<'a>,
    overrides: &Overrides<'a>,
    record: &Record<'a>,
    arena: &Arena<'a>,
) -> Result<'a, &'a mut Plan<'a>> {
    let process = plan::exec::process(config, overrides, arena)?;
    let config = arena.put(Config { process: Some(process), ..*config })?;
    create::first_problem(arena, request.log, &|report| plan::check::check_process(config, report))?;
    let facts = Facts {
        user: (0, 0),
        has_apparmor: !process.apparmor_profile.is_empty() && facts::has_apparmor(),
        has_selinux: !process.selinux_label.is_empty() && facts::has_selinux(),
        seccomp_blob: seccomp::blob(config, record.bundle, arena)?,
        bundle: record.bundle,
        cgroup_mount: None,
        v1: List::default(),
        own_cgroup: "",
        resctrl_mount: None,
        root_is_file: false,
    };
    let options = Options {
        id: record.id,
        no_pivot: false,
        no_new_keyring: record.keeps_keyring,
        listen_fds: 0,
        preserve_fds: request.preserve_fds,
        is_rootless: false,
        cgroup_manager: Manager::default(),
    };
    let plan = plan::exec::build(config, overrides, &facts, &options, arena)?;
    if record.unguarded {
        plan::unguarded::bound(&mut plan.process.capabilities);
    }
    Ok(plan)
}

/// The container's first process, by which its namespaces are joined.
pub(super) struct First {
    pidfd: Option<OwnedFd>,
    /// Its directory in /proc.
    pub(super) directory: OwnedFd,
}

impl First {
    /// `None` if it has ended. Both are opened before it is looked at: what they stand for cannot change any more.
    pub(super) fn open(record: &Record<'_>, procfs: BorrowedFd<'_>) -> Option<First> {
        let mut path = heapless::String::<12>::new();
        let _ = write!(path, "{}\0", record.pid); // ten digits and NUL
        let flags = fs::OFlags::PATH | fs::OFlags::DIRECTORY | fs::OFlags::CLOEXEC;
        let directory = fs::openat(procfs, CStr::from_bytes_with_nul(path.as_bytes()).ok()?, flags, fs::Mode::empty()).ok()?;
        let process = state::open_process(record, procfs)?;
        Some(First { pidfd: process.pidfd, directory })
    }

    fn as_container(&self) -> Container<'_> {
        Container { pidfd: self.pidfd.as_ref().map(AsFd::as_fd), directory: self.directory.as_fd() }
    }
}

/// Where the process is to be born.
struct Cgroup<'a> {
    fd: Option<OwnedFd>,
    /// What was named, below the container's.
    below: &'a str,
    /// Whether it was named, so that no other will do.
    is_named: bool,
}

impl<'a> Cgroup<'a> {
    /// The container's, or what `--cgroup` names below it.
    fn open(named: Option<&'a str>, record: &Record<'a>, arena: &Arena<'a>) -> Result<'a, Cgroup<'a>> {
        let named = named.unwrap_or_default();
        if named.contains(':') {
            return Err(Error::text("invalid --cgroup argument", named, "controllers are not told apart in cgroup v2"));
        }
        if named.split('/').any(|component| component == "..") {
            return Err(Error::text("invalid --cgroup argument", named, "it may not lead out of the container's cgroup"));
        }
        if record.cgroup.is_empty() {
            let none = Cgroup { fd: None, below: "", is_named: false };
            return if named.is_empty() { Ok(none) } else { Err(Error::text("--cgroup", named, "the container has no cgroup of its own")) };
        }
        let path = arena.c_str(&[record.cgroup.as_bytes(), b"/", named.as_bytes()])?;
        let opened = cgroup::open(path);
        let fd = Some(opened.map_err(|errno| {
            if named.is_empty() { Error::errno("open the cgroup", record.cgroup, errno) } else { joining(path, errno, arena) }
        })?);
        Ok(Cgroup { fd, below: named, is_named: !named.is_empty() })
    }

    /// Makes the child, and says whether it still has to be moved. Where the cgroup takes no processes any more, because the first process
    /// has moved on, that one's does. `None`: the limit of processes is reached.
    fn make_child(
        &mut self,
        birth: Birth,
        record: &Record<'a>,
        procfs: BorrowedFd<'_>,
        arena: &Arena<'a>,
    ) -> Result<'a, Option<(Clone, bool)>> {
        let fork = || sys::fork(0).doing("clone", "the process").map(|made| Some((made, true)));
        if birth == Birth::Beside || !record.others.is_empty() {
            return fork();
        }
        let mut made = self.clone_into();
        if let (Err(Errno::BUSY | Errno::OPNOTSUPP), false) = (&made, self.is_named) {
            self.fd = Some(own_cgroup(record, procfs, arena)?);
            made = self.clone_into();
        }
        match made {
            Ok(made) => Ok(Some((made, false))),
            Err(Errno::AGAIN) => Ok(None),
            Err(Errno::NOSYS | Errno::INVAL | Errno::TOOBIG | Errno::BADF) => fork(), // BADF: of cgroup v1
            Err(errno) => Err(joining(arena.c_str(&[record.cgroup.as_bytes()])?, errno, arena)),
        }
    }

    fn clone_into(&self) -> core::result::Result<Clone, Errno> {
        sys::clone(0, self.fd.as_ref().map(AsFd::as_fd))
    }
}

/// runc's sentence, in the middle of which it has the pid.
fn joining<'a>(path: &CStr, errno: Errno, arena: &Arena<'a>) -> Error<'a> {
    let sentence = format_args!("error adding pid of the process to cgroups: {}/cgroup.procs", path.to_str().unwrap_or_default());
    arena.format(sentence).map_or_else(Error::from, |sentence| Error::errno(sentence, "", errno))
}

/// The cgroup that the container's first process is in, which must lie below the container's.
fn own_cgroup<'a>(record: &Record<'a>, procfs: BorrowedFd<'_>, arena: &Arena<'a>) -> Result<'a, OwnedFd> {
    let mount = facts::cgroup_mount(procfs, arena)?.unwrap_or_default();
    let own = facts::cgroup_of(procfs, record.pid, arena)?;
    let path = arena.format(format_args!("{mount}{own}"))?;
    if !path.strip_prefix(record.cgroup).is_some_and(|below| below.starts_with('/')) {
        return Err(Error::text("the cgroup of the container's first process", path, "it is not below the container's"));
    }
    cgroup::open(arena.c_str(&[path.as_bytes()])?).doing("open the cgroup", path)
}
