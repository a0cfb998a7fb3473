//! `create` and the first half of `run`, as the parent sees them: what is made in which order, and taken back when something fails.
//!
//! Must: write down what is made before it is made, so that `delete --force` finds it. Mustn't: leave anything of a container that failed.

use core::ffi::CStr;

use linux_raw_sys::general::{CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWUSER};

use super::bundle::{self, Bundle};
use super::child::{self, Message};
use super::errands::Errand;
use super::group::{Group, Home};
use super::hooks::{self, Inherited, Moment};
use super::notify::{self, Proxy};
use super::start;
use super::started::Started;
use super::state::{self, Directory, Record, SharedRoot};
use super::trace::{self, Tracer};
use super::{facts, foreground, guard, image, net_devices, rdt, seccomp, trouble, trust, words};
use crate::error::{Doing, Error, Result, Step};
use crate::log::Log;
use crate::mem::Arena;
use crate::names::subjects::IMAGES;
use crate::plan::cgroup::Manager;
use crate::plan::check::Problem;
use crate::plan::{self, Facts, Options, Plan};
use crate::steps::{Stage, sync};
use crate::sys::{self, AsFd, BorrowedFd, CPointer, Clone, Errno, OwnedFd, fs, task};

/// What is to be created, and how.
#[derive(Clone, Copy)]
pub struct Request<'a, 'l> {
    /// `--root`: where the state directories lie.
    pub root: &'a CStr,
    /// The bundle's directory.
    pub bundle: &'a CStr,
    /// What the command line says about the container itself.
    pub options: Options<'a>,
    /// `--console-socket`.
    pub console_socket: Option<&'a CStr>,
    /// `--pidfd-socket`.
    pub pidfd_socket: Option<&'a CStr>,
    /// Whether all its system calls are noted down, instead of the filter of its configuration.
    pub is_traced: bool,
    /// Whether the runtime leaves before the container ends.
    pub is_detached: bool,
    /// What boot.json pins the bundle's config.json to; empty for nothing.
    pub digest: &'a str,
    /// Whether it has to show first that it is good: until then its release does not count as accepted.
    pub is_on_trial: bool,
    /// Who gives the start.
    pub gate: Gate,
    /// Whether to go on where the kernel cannot guard devices.
    pub device_fallback: bool,
    /// Signals that were blocked before the runtime blocked them all.
    pub blocked_signals: sys::Signals,
    /// The runtime's environment, ended by NULL, for hooks.
    pub environment: &'a [CPointer<'a>],
    /// The socket for what the container says of itself, if it is to have one.
    pub notify: Option<Notify<'a>>,
    /// Where warnings go.
    pub log: &'l Log,
}

/// A socket that is mounted into the container, and how often it has to say something (sd_notify(3)).
#[derive(Clone, Copy)]
pub struct Notify<'a> {
    /// The directory in which it lies as `notify.sock`.
    pub directory: &'a CStr,
    /// The service manager's socket, to which the runtime is to pass on what is said; `None` if somebody else listens in the directory.
    pub manager: Option<&'a CStr>,
    /// WATCHDOG_USEC in milliseconds; 0 for none.
    pub watchdog_ms: u32,
}

impl<'a> Request<'a, '_> {
    pub(super) fn inherited(&self) -> Inherited<'a> {
        Inherited { environment: self.environment, blocked_signals: Some(self.blocked_signals) }
    }
}

/// Who gives the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// Another process, `start`, through the FIFO in the state directory.
    Fifo,
    /// The runtime that creates it.
    Channel,
}

/// A container that is ready to be started.
pub struct Created {
    /// Its first process, as the host numbers it.
    pub pid: task::Pid,
    /// The same as a handle; none before Linux 5.3.
    pub pidfd: Option<OwnedFd>,
    /// The socket to it. Dropping it before the start ends the container, if its gate is [`Gate::Channel`].
    pub channel: OwnedFd,
    /// The terminal's master, if it came to us.
    pub master: Option<OwnedFd>,
    /// Its state directory, locked.
    pub directory: Directory,
    /// Its cgroup.
    pub cgroup: Option<Home>,
    /// For what the container says of itself.
    notify: Option<Proxy>,
    /// For its system calls.
    tracer: Option<Tracer>,
    /// Network devices that come back if it does not start.
    gone_devices: Option<net_devices::Gone>,
    /// For errors of the start.
    plan: &'static mut Plan<'static>,
    /// For hooks that are still to come.
    bundle: Bundle,
}

/// Creates a container up to the point where it waits for its start. On any error nothing of it is left.
pub fn create<'a>(request: &Request<'a, '_>, arena: &Arena<'a>) -> Result<'a, Created> {
    let procfs = facts::open_procfs()?;
    // Before what the child closes at once: so the numbers of what it opens stand beside each other, and are closed together.
    let channel = sys::pair().doing("socketpair", "")?;
    let bundle = bundle::open(procfs.as_fd(), request.bundle, arena)?;
    trust::check_bundle(&bundle, request.digest, !request.is_on_trial, arena)?;
    let keep = |error: Error<'static>| keep(&error, arena);
    let (plan, bundle) = make_plan(bundle, request, procfs.as_fd(), arena)?;
    settle_terminal(plan, request.is_detached, request.console_socket)?;
    if !request.is_detached {
        sys::forget_code(); // whoever stays with the container need not hold what read and judged its configuration
    }
    let console_socket = child::connect(request.console_socket, "connect to the console socket")?;
    let pidfd_socket = child::connect(request.pidfd_socket, "connect to the pidfd socket")?;
    let directory = Directory::create(request.root, request.options.id, arena)?;
    let (group, child, gone_devices, notify, tracer) = (None, None, None, None, None);
    let began = state::timestamp(facts::now(), &bundle.arena).map_err(keep)?;
    let uid = sys::first_ids().0;
    let mut work =
        Work { began, uid, procfs, bundle, plan, directory, console_socket, pidfd_socket, group, child, gone_devices, notify, tracer };
    match work.carry_out(request, channel) {
        Ok((channel, master)) => Ok(work.into_created(channel, master)),
        Err(error) => {
            let error = keep(error);
            work.undo(request);
            Err(error)
        }
    }
}

/// Lets an error outlive the memory of the bundle that it speaks of.
fn keep<'a>(error: &Error<'_>, arena: &Arena<'a>) -> Error<'a> {
    arena.format(format_args!("{error}")).map_or_else(Error::from, Error::said)
}

fn make_plan<'a>(
    mut bundle: Bundle,
    request: &Request<'a, '_>,
    procfs: BorrowedFd<'_>,
    arena: &Arena<'a>,
) -> Result<'a, (&'static mut Plan<'static>, Bundle)> {
    let told = request.notify.map_or(Ok(()), |notify| notify::add_socket(&mut bundle, &notify));
    let memory = &bundle.arena;
    let made = told.and_then(|()| {
        first_problem(memory, request.log, &|report| plan::check::check(bundle.config, memory, report))?;
        let config = match request.is_traced {
            true => &trace::config(bundle.config, memory)?,
            false => bundle.config,
        };
        let id = memory.format(format_args!("{}", request.options.id))?;
        let process = bundle.config.process.unwrap_or_default();
        // Only other paths begin where we are.
        let is_absolute = bundle.config.linux.is_some_and(|linux| linux.cgroups_path.starts_with('/'));
        let cgroup_mount = facts::cgroup_mount(procfs, memory)?;
        let facts = Facts {
            user: sys::first_ids(),
            resctrl_mount: match bundle.config.linux.is_some_and(|linux| linux.intel_rdt.is_some()) {
                true => facts::resctrl_mount(procfs, memory)?,
                false => None,
            },
            has_apparmor: !process.apparmor_profile.is_empty() && facts::has_apparmor(),
            has_selinux: !process.selinux_label.is_empty() && facts::has_selinux(),
            seccomp_blob: if request.is_traced { None } else { seccomp::blob(config, bundle.path, memory)? },
            bundle: bundle.path,
            cgroup_mount,
            v1: facts::v1_hierarchies(cgroup_mount, procfs, memory)?,
            own_cgroup: if is_absolute { "" } else { facts::own_cgroup(procfs, memory)? },
            root_is_file: facts::root_is_file(bundle.config, bundle.path, memory)?,
        };
        let cgroup_manager = match request.options.cgroup_manager {
            Manager::Cgroupfs => Manager::Cgroupfs,
            Manager::Disabled => Manager::Disabled,
            Manager::Systemd { socket } => Manager::Systemd { socket: memory.c_str(&[socket.to_bytes()])? },
        };
        let Options { id: _, no_pivot, no_new_keyring, listen_fds, preserve_fds, is_rootless, cgroup_manager: _ } = request.options;
        let options = Options { id, no_pivot, no_new_keyring, listen_fds, preserve_fds, is_rootless, cgroup_manager };
        let plan = plan::build(config, &facts, &options, memory)?;
        trust::check_root(plan.image.as_ref())?;
        if cgroup_manager == Manager::Disabled {
            request.log.warning(format_args!("--cgroup-manager=disabled: no device rules guard the container, and nothing is limited"));
        }
        guard::settle(plan, config, request.device_fallback, request.log, memory)?;
        seccomp::tell(config, plan, request.log);
        Ok(plan)
    });
    match made {
        Ok(plan) => Ok((plan, bundle)),
        Err(error) => Err(keep(&error, arena)),
    }
}

/// A check, which is given whom to tell.
type Check<'c> = &'c dyn Fn(&mut dyn FnMut(Problem<'_>));

/// The first error that a check finds; its warnings go to the log.
pub(super) fn first_problem<'a>(arena: &Arena<'a>, log: &Log, check: Check<'_>) -> Result<'a, ()> {
    let mut first = Ok(());
    check(&mut |problem| match problem.severity {
        plan::check::Severity::Error if first.is_ok() => {
            let said = arena.format(format_args!("{problem}"));
            first = Err(said.map_or_else(Error::from, Error::said));
        }
        plan::check::Severity::Error => {}
        plan::check::Severity::Warning => log.warning(format_args!("{problem}")),
    });
    first
}

/// Whether the terminal has somewhere to go, and how large it is. Both texts are runc's, word for word: callers know them.
pub(super) fn settle_terminal<'a>(plan: &mut Plan<'_>, is_detached: bool, console_socket: Option<&CStr>) -> Result<'a, ()> {
    match (is_detached && plan.process.has_terminal, console_socket.is_some()) {
        (true, false) => Err(Error::said("cannot allocate tty if runc will detach without setting console socket")),
        (false, true) => Err(Error::said("cannot use console socket if runc will not detach or allocate tty")),
        (true, true) => Ok(()),
        (false, false) => {
            if plan.process.has_terminal {
                plan.process.console_size = foreground::caller_size().or(plan.process.console_size);
            }
            Ok(())
        }
    }
}

/// A creation under way: what was made so far, so that it can be undone.
struct Work {
    /// When, as the record tells it.
    began: &'static str,
    /// Whose it is.
    uid: u32,
    procfs: OwnedFd,
    bundle: Bundle,
    plan: &'static mut Plan<'static>,
    directory: Directory,
    console_socket: Option<OwnedFd>,
    pidfd_socket: Option<OwnedFd>,
    group: Option<Group>,
    child: Option<(task::Pid, Option<OwnedFd>)>,
    gone_devices: Option<net_devices::Gone>,
    notify: Option<Proxy>,
    tracer: Option<Tracer>,
}

impl Work {
    fn carry_out(&mut self, request: &Request<'_, '_>, (ours, theirs): (OwnedFd, OwnedFd)) -> Result<'static, (OwnedFd, Option<OwnedFd>)> {
        self.note_cgroup()?;
        if !self.plan.namespaces.has_own(CLONE_NEWNS) {
            self.directory.shared_root = SharedRoot::look(self.plan.root.path);
        }
        self.directory.write_creating(&self.record(None)?, &self.bundle.arena)?;
        self.open_notify(request)?;
        self.make_cgroup()?;
        let (log, id) = (request.log, self.plan.id);
        match &self.group {
            Some(group) => log.debug(format_args!("{id}: cgroup {}", group.home.path.to_str().unwrap_or_default())),
            None => log.debug(format_args!("{id}: no cgroup of its own")),
        }
        // A limit of one process would leave no place for the one in between.
        let is_configured = !self.plan.namespaces.needs_stage() && self.group.as_ref().is_some_and(Group::is_ready);
        if is_configured {
            self.configure_cgroup()?;
        }
        let gate = match request.gate {
            Gate::Fifo => Some(self.directory.make_fifo()?),
            Gate::Channel => None,
        };
        self.start_child(request, &ours, theirs, gate)?;
        if let Some((pid, _)) = &self.child {
            log.debug(format_args!("{id}: first process {}", pid.as_raw_nonzero()));
        }
        if !is_configured {
            self.configure_cgroup()?;
        }
        if let (Some(rdt), Some((pid, _))) = (&self.plan.rdt, &self.child) {
            rdt::apply(rdt, *pid, &self.bundle.arena)?;
        }
        self.directory.write_process(&self.record(self.child_record()?)?, &self.bundle.arena)?;
        self.directory.keep_config(self.bundle.text)?; // while the child works
        let master = self.await_ready(&ours, request)?;
        log.debug(format_args!("{id}: created, waits for its start"));
        if let Some(socket) = &self.pidfd_socket {
            child::send_pidfd(socket, self.child.as_ref().and_then(|(_, pidfd)| pidfd.as_ref()), b"standard")?;
        }
        self.directory.publish()?;
        Ok((ours, master))
    }

    /// Whoever gives the start listens; here is only its place, where that is another call.
    fn open_notify(&mut self, request: &Request<'_, '_>) -> Result<'static, ()> {
        let Some(manager) = request.notify.and_then(|notify| notify.manager) else { return Ok(()) };
        if request.gate == Gate::Channel {
            match Proxy::open(&self.directory, manager) {
                Ok(proxy) => self.notify = Some(proxy),
                Err(error) => request.log.warning(format_args!("{error}")), // the container does not hang on it
            }
        }
        self.directory.make_notify()
    }

    fn note_cgroup(&mut self) -> Result<'static, ()> {
        if let Some(cgroup) = &self.plan.cgroup {
            self.group = Some(Group::planned(cgroup, &self.bundle.arena)?);
        }
        Ok(())
    }

    fn record(&self, process: Option<(u32, u64)>) -> Result<'static, Record<'static>> {
        let root = self.plan.root.path.to_str().unwrap_or_default();
        let home = self.group.as_ref().map(|group| group.home);
        let text = |path: Option<&'static CStr>| path.and_then(|path| path.to_str().ok()).unwrap_or_default();
        let (pid, start_time) = process.unwrap_or((0, 0));
        Ok(Record {
            version: state::VERSION,
            id: self.plan.id,
            pid,
            start_time,
            bundle: self.bundle.path,
            rootfs: root,
            cgroup: text(home.map(|home| home.path)),
            others: home.map_or("", |home| home.others),
            systemd: text(home.and_then(|home| home.systemd)),
            created: self.began,
            uid: self.uid,
            unguarded: self.plan.root.is_nodev,
            shares_pids: !self.plan.namespaces.makes(CLONE_NEWPID),
            root_mount: self.directory.shared_root.as_ref().map_or(0, SharedRoot::before),
            resctrl: self.plan.rdt.and_then(|rdt| rdt.group.to_str().ok()).unwrap_or_default(),
            resctrl_is_own: self.plan.rdt.is_some_and(|rdt| rdt.is_own),
            resctrl_monitor: self.plan.rdt.and_then(|rdt| rdt.monitor?.to_str().ok()).unwrap_or_default(),
            keeps_keyring: self.plan.keyring.is_none(),
            hooks: hooks::later(self.bundle.config),
            annotations: self.bundle.config.annotations,
        })
    }

    fn child_record(&self) -> Result<'static, Option<(u32, u64)>> {
        let Some(pid) = self.child.as_ref().map(|(pid, _)| pid.as_raw_nonzero().get() as u32) else { return Ok(None) };
        let process = facts::process(self.procfs.as_fd(), pid).and_then(|process| process.ok_or(Errno::SRCH));
        Ok(Some((pid, process.doing("look at", "the container's first process")?.start_time)))
    }

    fn make_cgroup(&mut self) -> Result<'static, ()> {
        let (Some(planned), Some(mut group)) = (&self.plan.cgroup, self.group.take()) else { return Ok(()) };
        let made = group.make(planned, &self.bundle.arena);
        if made != Ok(false) {
            self.group = Some(group);
        }
        made.map(|_| ())
    }

    fn configure_cgroup(&mut self) -> Result<'static, ()> {
        let (Some(planned), Some(group)) = (&self.plan.cgroup, &mut self.group) else { return Ok(()) };
        group.configure(planned, &self.bundle.arena)
    }

    fn cgroup(&self) -> Option<&OwnedFd> {
        self.group.as_ref()?.fd()
    }

    /// Makes the child. What is the child's is dropped here in the parent, so that the channel ends when the child does.
    fn start_child(&mut self, request: &Request<'_, '_>, ours: &OwnedFd, theirs: OwnedFd, gate: Option<OwnedFd>) -> Result<'static, ()> {
        let image = self.plan.image.as_ref().filter(|_| IMAGES);
        let image = image.map(|image| image::mount(image, self.plan.id, &self.bundle.arena)).transpose()?;
        let ignored_signals = facts::ignored_signals(self.procfs.as_fd());
        sys::forget_stack(); // what was done so far went deeper, and the child would get it all
        let made = start::make_child(self.plan, self.cgroup());
        if let Ok((Clone::Child, how)) = made {
            let stage = Stage {
                start_gate: gate.as_ref().map_or(theirs.as_fd(), AsFd::as_fd),
                console_socket: self.console_socket.as_ref().map(AsFd::as_fd),
                image: image.as_ref(),
                ignored_signals,
                ..Stage::new(self.plan, self.procfs.as_fd(), theirs.as_fd(), request.blocked_signals)
            };
            // What is the parent's: the channel would not end with it, the lock would not, and no directory of the host is to be held.
            let [directory, parent, record] = self.directory.descriptors();
            let group = self.group.as_ref().and_then(Group::fd).unwrap_or(ours);
            let parents = [directory, parent, record, ours, group, self.pidfd_socket.as_ref().unwrap_or(ours)];
            sys::close_numbers(&parents.map(|fd| sys::AsRawFd::as_raw_fd(fd) as u32));
            start::run_child(stage, how);
        }
        let (clone, how) = match (made, &self.group) {
            (Err(Errno::OPNOTSUPP), Some(group)) => return Err(trouble::not_let_in(group.home.path, &self.bundle.arena)?),
            (Err(errno @ (Errno::PERM | Errno::NOSPC | Errno::USERS)), _) => {
                return Err(trouble::no_namespaces(self.plan.namespaces.makes(CLONE_NEWUSER), errno));
            }
            (made, _) => made.doing("clone3", "the container's first process")?,
        };
        let Clone::Parent { pid, pidfd } = clone else { return Err(Error::said("unreachable: a child in its parent")) };
        self.child = Some((pid, pidfd));
        drop((theirs, gate, image));
        if how.by_fork {
            child::move_to_cgroup(pid, self.cgroup(), self.group.as_ref().map_or("", |group| group.home.others), "", ours)?;
        }
        if how.is_staged {
            return self.await_first_process(ours, request);
        }
        if self.group.is_none() && !self.plan.namespaces.uid_map.is_empty() {
            self.directory.write_process(&self.record(self.child_record()?)?, &self.bundle.arena)?; // going on, it may soon outlive us
        }
        if self.plan.namespaces.uid_map.is_empty() { Ok(()) } else { self.errand(ours, request).set_up_namespaces() }
    }

    /// The process in between makes the namespaces, with our help, and says who was born in them.
    fn await_first_process(&mut self, channel: &OwnedFd, request: &Request<'_, '_>) -> Result<'static, ()> {
        let mut room = [0; sync::MOST_BYTES];
        loop {
            match (child::receive(channel, &mut room)?, &self.child) {
                (Message::Maps, _) => self.errand(channel, request).set_up_namespaces()?,
                (Message::Child(pid), Some((between, pidfd))) => {
                    let _ = match pidfd {
                        Some(pidfd) => sys::wait_pidfd(pidfd.as_fd()),
                        None => sys::wait_pid(*between),
                    }; // it has nothing more to say
                    let pidfd = task::pidfd_open(pid, task::PidfdFlags::empty()).ok();
                    self.child = Some((pid, pidfd));
                    return Ok(());
                }
                (Message::Fault(fault, rest), _) => return Err(words::describe(fault, rest, self.plan, &self.bundle.arena)),
                _ => return Err(self.died()),
            }
        }
    }

    /// Waits until the child has done everything; meanwhile does what it asks for, and takes the terminal's master from it.
    fn await_ready(&mut self, channel: &OwnedFd, request: &Request<'_, '_>) -> Result<'static, Option<OwnedFd>> {
        let mut master = None;
        let mut room = [0; sync::MOST_BYTES];
        loop {
            match child::receive(channel, &mut room)? {
                Message::Ready(listener) => {
                    self.hand_over(listener, request)?;
                    return Ok(master);
                }
                Message::Master(fd) => master = fd,
                Message::Hooks => {
                    self.run_hooks(request)?;
                    child::answer(channel)?;
                }
                Message::NetDevices => {
                    self.move_net_devices()?;
                    child::answer(channel)?;
                }
                Message::Uncover => self.errand(channel, request).tell_what_would_leak()?,
                Message::Source(index) => self.errand(channel, request).send_source(index)?,
                Message::Fault(fault, came_along) => return Err(words::describe(fault, came_along, self.plan, &self.bundle.arena)),
                _ => return Err(self.died()),
            }
        }
    }

    fn move_net_devices(&mut self) -> Result<'static, ()> {
        let Some((pid, _)) = &self.child else { return Ok(()) };
        net_devices::move_in(self.plan, *pid, self.procfs.as_fd(), &mut self.gone_devices, &self.bundle.arena)
    }

    /// The listener of the filter goes to whoever decides about its calls.
    fn hand_over(&mut self, number: Option<u32>, request: &Request<'_, '_>) -> Result<'static, ()> {
        let listener = self.plan.seccomp.as_ref().and_then(|filter| filter.listener.as_ref());
        let (Some(listener), Some(number), Some((pid, pidfd))) = (listener, number, &self.child) else { return Ok(()) };
        if request.is_traced {
            self.tracer = Some(Tracer::take(pidfd.as_ref(), number, self.plan.process.held_for_seccomp != 0, &self.bundle.arena)?);
            return Ok(());
        }
        let process = seccomp::Process { pid: *pid, pidfd: pidfd.as_ref(), number, status: "creating", first: *pid };
        let bundle = &self.bundle;
        let about = plan::hooks::about(self.plan.id, bundle.path, &bundle.config.annotations, &bundle.arena)?;
        seccomp::hand_over(listener, &process, &about, &bundle.arena)
    }

    /// `prestart` and `createRuntime`, in the bundle's directory as runc has it.
    fn run_hooks(&self, request: &Request<'_, '_>) -> Result<'static, ()> {
        let path = self.bundle.arena.c_str(&[self.bundle.path.as_bytes()])?;
        let directory =
            fs::open(path, fs::OFlags::PATH | fs::OFlags::DIRECTORY | fs::OFlags::CLOEXEC, fs::Mode::empty()).doing_at("chdir", path)?;
        let pid = self.child.as_ref().map_or(0, |(pid, _)| pid.as_raw_nonzero().get() as u32);
        let written = self.bundle.config.hooks.unwrap_or_default();
        for (name, list) in [("prestart", written.prestart), ("createRuntime", written.create_runtime)] {
            let moment = Moment { name, status: "creating", pid, directory: Some(directory.as_fd()) };
            let done = hooks::run(&list, moment, self.plan.id, &self.bundle, request.inherited());
            done.map_err(|error| words::not_started(Step::RuntimeHooks, error, &self.bundle.arena))?;
        }
        Ok(())
    }

    fn errand<'c>(&'c self, channel: &'c OwnedFd, request: &'c Request<'_, '_>) -> Errand<'c> {
        let pid = self.child.as_ref().map_or(0, |(pid, _)| pid.as_raw_nonzero().get());
        Errand {
            procfs: self.procfs.as_fd(),
            plan: self.plan,
            bundle: &self.bundle,
            inherited: request.inherited(),
            pid,
            channel: channel.as_fd(),
        }
    }

    /// Why the child ended without a word.
    fn died(&self) -> Error<'static> {
        Error::said(super::events::why_gone(self.cgroup().map(AsFd::as_fd), self.group.as_ref().map_or("", |group| group.home.others)))
    }

    fn into_created(self, channel: OwnedFd, master: Option<OwnedFd>) -> Created {
        let (pid, pidfd) = self.child.unwrap_or((task::Pid::INIT, None)); // there is one
        Created {
            pid,
            pidfd,
            channel,
            master,
            directory: self.directory,
            cgroup: self.group.map(|group| group.home),
            notify: self.notify,
            tracer: self.tracer,
            gone_devices: self.gone_devices,
            plan: self.plan,
            bundle: self.bundle,
        }
    }

    /// Takes back what was made. What cannot be taken back is left for `delete --force`, and the first error is the one that is told.
    fn undo(self, request: &Request<'_, '_>) {
        if let Some(gone) = &self.gone_devices {
            gone.take_back(self.plan);
        }
        if let Some((pid, pidfd)) = &self.child {
            child::end(*pid, pidfd.as_ref());
        }
        if let Some(group) = self.group {
            group.undo(&self.bundle.arena);
        }
        let _ = rdt::remove_of_plan(self.plan.rdt);
        let _ = self.directory.remove();
        hooks::poststop(&self.bundle, self.plan.id, request.inherited(), request.log);
    }
}

impl Created {
    /// Gives the start, waits until the program runs, and runs the `poststart` hooks. On an error nothing is left.
    pub fn start<'a>(self, request: &Request<'a, '_>, arena: &Arena<'a>) -> Result<'a, Started> {
        let mut room = [0; sync::MOST_BYTES];
        let given = child::answer(&self.channel);
        let traced = given.and_then(|()| self.tracer.as_ref().map_or(Ok(()), |tracer| tracer.until(self.channel.as_fd())));
        let error = match traced.and_then(|()| child::receive(&self.channel, &mut room)) {
            Ok(Message::End) => match self.poststart(request) {
                Ok(()) => {
                    request.log.debug(format_args!("{}: its program runs", self.plan.id));
                    return Ok(self.into_started());
                }
                Err(error) => keep(&error, arena),
            },
            Ok(Message::Fault(fault, came_along)) => keep(&words::describe(fault, came_along, self.plan, &self.bundle.arena), arena),
            Ok(_) => Error::said("the container's first process sent what nobody asked for"),
            Err(_) => Error::said(Home::why_gone(self.cgroup)),
        };
        self.undo(request);
        Err(error)
    }

    fn into_started(self) -> Started {
        let Created { pid, pidfd, master, mut directory, cgroup, notify, tracer, bundle, .. } = self;
        directory.is_started = true;
        Started { pid, pidfd, master, directory, cgroup, notify, tracer, bundle, id: self.plan.id, rdt: self.plan.rdt }
    }

    fn poststart(&self, request: &Request<'_, '_>) -> Result<'static, ()> {
        let pid = self.pid.as_raw_nonzero().get() as u32;
        let hooks = self.bundle.config.hooks.unwrap_or_default().poststart;
        hooks::run(&hooks, hooks::poststart(pid), self.plan.id, &self.bundle, request.inherited())
    }

    /// Takes everything back.
    pub fn undo(self, request: &Request<'_, '_>) {
        if let Some(gone) = &self.gone_devices {
            gone.take_back(self.plan);
        }
        child::end(self.pid, self.pidfd.as_ref());
        if let Some(home) = self.cgroup {
            let _ = home.remove(&self.bundle.arena);
        }
        let _ = rdt::remove_of_plan(self.plan.rdt);
        let _ = self.directory.remove();
        hooks::poststop(&self.bundle, self.plan.id, request.inherited(), request.log);
    }
}
