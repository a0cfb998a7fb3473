//! What each command does: options become a request to `container`, answers become text. It is the only place that prints.

use core::ffi::CStr;
use core::fmt::Write;

use linux_raw_sys::general::SIGCHLD;

use super::built::is_built;
use super::flags::Verb;
use super::output::{self, ContainerState};
use super::parse::{CgroupManager, Command, Create, Exec, Global, ListFormat, Parsed, Request, Rootless, Run, Texts};
use super::refusal::Refusal;
use super::{boot, bundle, chart, check, features, flags, help, parse, ps, seccomp, service, spec, stats, update as values, version};
use crate::container::create::{self, Gate};
use crate::container::events::{self, Happened};
use crate::container::hooks::Inherited;
use crate::container::list::{self, Container};
use crate::container::state::Status;
use crate::container::{delete, exec, facts, foreground, mounts, own_executable, pause, pid_file, processes, signal, update};
use crate::error::{Doing, Error, Result};
use crate::init::{self, Began, control, early};
use crate::log::{Format, Log, Output};
use crate::mem::{Arena, List};
use crate::plan::cgroup::Manager;
use crate::plan::exec::Overrides;
use crate::plan::{self, Options};
use crate::sys::{self, Arguments, AsFd, Errno, OwnedFd, fs, task};

/// Memory for everything that does not grow with a config.json. Only what is used of it is ever there.
const ARENA_BYTES: usize = 16 << 20;

/// What every verb needs.
struct Context<'a> {
    arguments: Arguments,
    program: &'static str,
    global: &'a Global<'a>,
    root: &'a CStr,
    is_rootless: bool,
    log: Log,
    arena: &'a Arena<'a>,
}

/// Does what the command line says; the exit status.
pub fn run(arguments: Arguments) -> i32 {
    let began_us = init::now_us();
    let is_boot = is_boot(arguments);
    if is_boot && arguments.variable("container").is_none() {
        early::prepare();
    }
    if let Err(errno) = task::ensure_streams() {
        return give_up(&Error::errno("open", "/dev/null", errno));
    }
    let room = match sys::map_anonymous(ARENA_BYTES) {
        Ok(room) => room,
        Err(errno) => return give_up(&Error::errno("mmap", "memory for the command line", errno)),
    };
    sys::reset_signal(SIGCHLD as i32); // a caller that ignores it would have the kernel reap the container before us
    let arena = Arena::over(room);
    let given = |index: usize| arguments.argv[index].get().unwrap_or(c"");
    let applet = applet(given(0));
    // The words that the kernel hands to process 1 are in its command line too, and an applet's name is a command.
    let words = match (applet, is_boot && given(1) != c"boot") {
        (Some(applet), _) => arena.slice(2, |index| if index == 0 { given(0) } else { applet }),
        (None, true) => arena.slice(2, |index| if index == 0 { given(0) } else { c"boot" }),
        (None, false) => arena.slice(arguments.argv.len().saturating_sub(1), given),
    };
    let Ok(argv) = words else {
        return give_up(&Error::errno("arguments", "", Errno::TOOBIG));
    };
    let mut parsed = parse::parse(argv);
    if let Request::Command(Command::Boot { began: Began::Anew(began @ 0), .. }) = &mut parsed.request {
        *began = began_us;
    }
    answer(arguments, &parsed, &arena)
}

/// Whether we are to boot: as process 1, unless a command says otherwise. Must: ask nothing that needs memory or open files.
fn is_boot(arguments: Arguments) -> bool {
    let first = arguments.iter().nth(1).unwrap_or_default().to_bytes();
    (first == b"boot" || (!first.starts_with(b"-") && flags::command(first).is_none())) && init::is_first()
}

/// The names that we can be called by instead of a command.
fn applet(name: &CStr) -> Option<&'static CStr> {
    let name = name.to_bytes().rsplit(|byte| *byte == b'/').next()?;
    [c"poweroff", c"reboot", c"halt"].into_iter().find(|applet| applet.to_bytes() == name)
}

/// An error before it is known where errors go.
fn give_up(error: &Error<'_>) -> i32 {
    report(&Log::to_stderr(Format::Text, false), format_args!("{error}"));
    1
}

fn answer<'a>(arguments: Arguments, parsed: &'a Parsed<'a>, arena: &'a Arena<'a>) -> i32 {
    let stdout = task::stdout();
    let mut out = Output::new(stdout);
    let printed = match &parsed.request {
        Request::Command(command) => return run_command(arguments, parsed, command, arena),
        Request::Refused(refusal) => return refuse(parsed, refusal),
        Request::Help(topic) => help::print(*topic, parsed.program, &mut out),
        Request::Version => version::print(parsed.program, &mut out),
    };
    i32::from(printed.is_err() || out.finish().is_err())
}

fn refuse(parsed: &Parsed<'_>, refusal: &Refusal<'_>) -> i32 {
    if let Refusal::Misuse(command, misuse) = refusal {
        let _ = help::print_misuse(*command, misuse, parsed.program, &mut Output::new(task::stdout())); // the error below is what counts
    }
    // A log that cannot be opened is no reason to keep silent.
    let log = open_log(&parsed.global).unwrap_or_else(|_| Log::to_stderr(Format::Text, false));
    report(&log, format_args!("{refusal}"));
    i32::from(refusal.status())
}

fn open_log<'a>(global: &Global<'a>) -> Result<'a, Log> {
    match global.log {
        None => Ok(Log::to_stderr(global.log_format, global.debug)),
        Some(path) => Log::to_file(path, global.log_format, global.debug).doing_at("open the log", path),
    }
}

/// An error: one line in the log, and the bare message on standard error where the log is elsewhere. Without `--log` the message
/// is the line.
fn report(log: &Log, message: core::fmt::Arguments<'_>) {
    log.error(message);
    if log.has_file() {
        let _ = writeln!(Output::new(task::stderr()), "{message}"); // nowhere is left to say that this failed
    }
}

fn run_command<'a>(arguments: Arguments, parsed: &'a Parsed<'a>, command: &Command<'a>, arena: &'a Arena<'a>) -> i32 {
    let preserved = check_preserved(arguments, command, arena);
    let done = open_log(&parsed.global).and_then(|log| {
        let is_rootless = is_rootless(&parsed.global);
        let root = state_root(arguments, &parsed.global, is_rootless, arena)?;
        let is_rootless = is_rootless || is_lesser_root(&parsed.global, command);
        Ok(Context { arguments, program: parsed.program, global: &parsed.global, root, is_rootless, log, arena })
    });
    match done {
        Ok(context) => match preserved.and_then(|()| context.dispatch(command)) {
            Ok(status) => {
                context.log.debug(format_args!("exit status {status}"));
                status
            }
            Err(error) => {
                context.report_error(command, &error);
                if matches!(command, Command::Exec(_)) { 255 } else { 1 } // as runc has it, and as the table's `failure` says
            }
        },
        Err(error) => give_up(&error),
    }
}

/// Must: come before anything of ours is opened, which could take the number of a descriptor that the caller promised and did not open.
fn check_preserved<'a>(arguments: Arguments, command: &Command<'_>, arena: &Arena<'a>) -> Result<'a, ()> {
    let (count, first) = match command {
        Command::Create(create) | Command::Run(Run { create, .. }) => (create.preserve_fds, 3 + listen_fds(arguments)),
        Command::Exec(exec) => (exec.preserve_fds, 3),
        _ => return Ok(()),
    };
    match (0..count).find(|index| !sys::is_open(first + index)) {
        None => Ok(()),
        Some(index) => {
            let sentence = format_args!("unable to stat preserved-fd {index} (of {count}): bad file descriptor");
            Err(Error::said(arena.format(sentence)?))
        }
    }
}

/// How many sockets a service manager handed to this very process (sd_listen_fds(3)); they lie from descriptor 3 on.
fn listen_fds(arguments: Arguments) -> u32 {
    const MOST: u32 = 1024; // more than any service manager hands on, and far from overflow
    let number = |name| arguments.variable(name).and_then(|value| value.to_str().ok()).and_then(|value| value.parse::<u32>().ok());
    let is_ours = || number("LISTEN_PID") == Some(task::getpid().as_raw_nonzero().get() as u32);
    number("LISTEN_FDS").filter(|_| is_ours()).map_or(0, |count| count.min(MOST))
}

/// Whether the caller is not root, unless `--rootless` says it.
fn is_rootless(global: &Global<'_>) -> bool {
    match global.rootless {
        Rootless::True => true,
        Rootless::False => false,
        Rootless::Auto => sys::first_ids().0 != 0,
    }
}

/// Root of a user namespace, as that of podman's users, or of a container has not root's rights over cgroups either.
fn is_lesser_root(global: &Global<'_>, command: &Command<'_>) -> bool {
    matches!((&global.rootless, command), (Rootless::Auto, Command::Create(_) | Command::Run(_))) && facts::is_lesser_root()
}

/// As runc has it, root of a user namespace has an ordinary user's state as long as it does not call itself root: podman's users do not.
fn state_root<'a>(arguments: Arguments, global: &Global<'a>, is_rootless: bool, arena: &Arena<'a>) -> Result<'a, &'a CStr> {
    let is_of_user = || is_rootless || arguments.variable("USER") != Some(c"root") && facts::is_in_user_namespace();
    match (global.root, arguments.variable("XDG_RUNTIME_DIR")) {
        (Some(root), _) => Ok(root),
        (None, Some(runtime)) if !runtime.is_empty() && is_of_user() => Ok(arena.c_str(&[runtime.to_bytes(), b"/ocinit"])?),
        (None, _) => Ok(c"/run/ocinit"),
    }
}

impl<'a> Context<'a> {
    fn dispatch(&self, command: &Command<'a>) -> Result<'a, i32> {
        self.log.debug(format_args!("{} {}, state in {}", self.program, version::VERSION, self.root.to_str().unwrap_or_default()));
        match command {
            Command::Create(create) if const { is_built(Verb::Create) } => self.create(create),
            Command::Run(run) => self.run(run, None),
            Command::Exec(exec) if const { is_built(Verb::Exec) } => self.exec(exec),
            Command::Start { id } if const { is_built(Verb::Start) } => {
                signal::start(self.root, self.valid(id)?, self.inherited(), self.arguments.variable("NOTIFY_SOCKET"), self.arena)
                    .map(|()| 0)
            }
            Command::State { id } if const { is_built(Verb::State) } => self.state(id),
            Command::Kill { id, signal, all } if const { is_built(Verb::Kill) } => {
                signal::kill(self.root, self.valid(id)?, *signal, *all, self.arena).map(|()| 0)
            }
            Command::Pause { id } if const { is_built(Verb::Pause) } => pause::pause(self.root, self.valid(id)?, self.arena).map(|()| 0),
            Command::Resume { id } if const { is_built(Verb::Resume) } => pause::resume(self.root, self.valid(id)?, self.arena).map(|()| 0),
            Command::Update { id, resources, given } if const { is_built(Verb::Update) } => self.update(id, *resources, given),
            Command::Events { id, interval_ms } if const { is_built(Verb::Events) } => self.events(id, *interval_ms),
            Command::Stats { ids } if const { is_built(Verb::Stats) } => self.stats(ids),
            Command::Ps { id, format, options } if const { is_built(Verb::Ps) } => self.ps(id, *format, options),
            Command::Delete { id, force } if const { is_built(Verb::Delete) } => {
                delete::delete(self.root, self.valid(id)?, *force, self.inherited(), &self.log, self.arena).map(|()| 0)
            }
            Command::List { format, quiet } if const { is_built(Verb::List) } => self.list(*format, *quiet),
            Command::Spec { bundle, rootless } if const { is_built(Verb::Spec) } => self.spec(*bundle, *rootless),
            Command::Features if const { is_built(Verb::Features) } => self.print(|out| features::print(&sys::knows_filter_flag, out)),
            Command::Boot { path, only_says: Some(is_dry_run), .. } => boot::check(*path, *is_dry_run, self.arena),
            Command::Bundle(request) if const { is_built(Verb::Bundle) } => bundle::run(request, &self.log, self.arena),
            Command::Blame if const { is_built(Verb::Blame) } => chart::blame(self.arena),
            Command::Chart { svg } if const { is_built(Verb::Chart) } => chart::print_chart(*svg, self.arena),
            Command::Top if const { is_built(Verb::Top) } => chart::top(self.arena),
            Command::Mounts { action, id, file } if const { is_built(Verb::Mounts) } => self.mounts(action, id, file),
            Command::Service { action, id } => service::run(action, id, self.arena),
            Command::Logs { id, follow } => service::logs(id, *follow, self.arena),
            Command::Leave(how) => service::leave(control::Request::of(*how), self.arena),
            Command::Boot { path, only_says: None, began } => self.boot(*path, *began),
            Command::Seccomp(request) if const { is_built(Verb::Seccomp) } && request.action == "trace" => self.trace(request),
            Command::Seccomp(request) if const { is_built(Verb::Seccomp) } => seccomp::run(request, self.arena),
            Command::Check { bundle } if const { is_built(Verb::Check) } => check::run(bundle.unwrap_or(c"."), self.arena),
            _ => Err(Error::said("left out of this binary")), // not reached: the table has no verb for it
        }
    }

    fn report_error(&self, command: &Command<'_>, error: &Error<'_>) {
        let program = self.program;
        match command {
            Command::Create(_) => report(&self.log, format_args!("{program} create failed: {error}")),
            Command::Run(_) => report(&self.log, format_args!("{program} run failed: {error}")),
            Command::Exec(_) => report(&self.log, format_args!("exec failed: {error}")),
            _ => report(&self.log, format_args!("{error}")),
        }
    }

    fn cgroup_manager(&self) -> Result<'a, Manager<'a>> {
        Ok(match (self.global.cgroup_manager, self.arguments.variable("XDG_RUNTIME_DIR")) {
            (CgroupManager::Cgroupfs, _) => Manager::Cgroupfs,
            (CgroupManager::Disabled, _) => Manager::Disabled,
            (CgroupManager::Systemd, Some(runtime)) if self.is_rootless => {
                Manager::Systemd { socket: self.arena.c_str(&[runtime.to_bytes(), b"/systemd/private"])? }
            }
            (CgroupManager::Systemd, _) => Manager::Systemd { socket: c"/run/systemd/private" },
        })
    }

    fn valid(&self, id: &'a str) -> Result<'a, &'a str> {
        match id {
            "" => Err(Error::said("container id cannot be empty")),
            id if plan::is_valid_id(id) => Ok(id),
            _ => Err(Error::said("invalid container ID format")),
        }
    }

    fn request(&self, create: &Create<'a>, is_detached: bool, gate: Gate) -> Result<'a, create::Request<'a, '_>> {
        let options = Options {
            id: self.valid(create.id)?,
            no_pivot: create.no_pivot,
            no_new_keyring: create.no_new_keyring,
            listen_fds: listen_fds(self.arguments),
            preserve_fds: create.preserve_fds,
            is_rootless: self.is_rootless,
            cgroup_manager: self.cgroup_manager()?,
        };
        Ok(create::Request {
            root: self.root,
            bundle: create.bundle.unwrap_or(c"."),
            options,
            console_socket: create.console_socket,
            pidfd_socket: create.pidfd_socket,
            is_traced: false,
            device_fallback: self.global.device_fallback,
            is_detached,
            digest: "",
            is_on_trial: false,
            gate,
            blocked_signals: sys::block_all(),
            environment: self.arguments.environ,
            notify: self.notify(create.id)?,
            log: &self.log,
        })
    }

    /// A place for what the container says of itself, if a service manager listens to us.
    fn notify(&self, id: &str) -> Result<'a, Option<create::Notify<'a>>> {
        let Some(manager) = self.arguments.variable("NOTIFY_SOCKET").filter(|socket| !socket.is_empty()) else { return Ok(None) };
        let mut room = [0; 4096];
        let here = if self.root.to_bytes().starts_with(b"/") { &[] } else { sys::getcwd(&mut room).doing("getcwd", "")? };
        let directory = self.arena.c_str(&[here, b"/", self.root.to_bytes(), b"/", id.as_bytes(), b"/notify"])?;
        Ok(Some(create::Notify { directory, manager: Some(manager), watchdog_ms: 0 }))
    }

    /// For hooks of a call that blocks no signals itself.
    fn inherited(&self) -> Inherited<'a> {
        Inherited { environment: self.arguments.environ, blocked_signals: None }
    }

    #[inline(never)]
    fn boot(&self, path: Option<&CStr>, began: Began) -> Result<'a, i32> {
        init::boot(self.arguments, path.and_then(|path| path.to_str().ok()).unwrap_or_default(), began)
    }

    #[inline(never)]
    fn create(&self, create: &Create<'a>) -> Result<'a, i32> {
        own_executable::protect(self.arguments)?;
        let request = self.request(create, true, Gate::Fifo)?;
        let created = create::create(&request, self.arena)?;
        match self.write_pid_file(create.pid_file, created.pid) {
            Ok(()) => Ok(0),
            Err(error) => {
                created.undo(&request);
                Err(error)
            }
        }
    }

    fn write_pid_file(&self, path: Option<&'a CStr>, pid: task::Pid) -> Result<'a, ()> {
        match path {
            Some(path) => pid_file::write(path, pid.as_raw_nonzero().get() as u32, self.arena),
            None => Ok(()),
        }
    }

    /// Runs a bundle, and says by which system calls. What the container writes goes to standard error, unless the profile goes to a file.
    #[inline(never)]
    fn trace(&self, request: &seccomp::Request<'a>) -> Result<'a, i32> {
        own_executable::protect(self.arguments)?; // it starts anew, with the streams as they are
        let output = match request.output {
            Some(path) => seccomp::create(path)?,
            None => {
                let output = fs::fcntl_dupfd_cloexec(task::stdout(), 3).doing("dup", "standard output")?;
                task::dup2_stdout(task::stderr()).doing("dup", "standard error")?;
                output
            }
        };
        let id = self.arena.format(format_args!("trace-{}", task::getpid().as_raw_nonzero()))?;
        let create = Create { id, bundle: Some(request.path), ..Create::default() };
        self.run(&Run { create, detach: false, keep: false, no_subreaper: false }, Some(&output))
    }

    #[inline(never)]
    fn run(&self, run: &Run<'a>, trace: Option<&OwnedFd>) -> Result<'a, i32> {
        own_executable::protect(self.arguments)?;
        if !run.detach && !run.no_subreaper {
            task::set_child_subreaper(Some(task::Pid::INIT)).doing("prctl", "PR_SET_CHILD_SUBREAPER")?;
        }
        let request = create::Request { is_traced: trace.is_some(), ..self.request(&run.create, run.detach, Gate::Channel)? };
        let created = create::create(&request, self.arena)?;
        if let Err(error) = self.write_pid_file(run.create.pid_file, created.pid) {
            created.undo(&request);
            return Err(error);
        }
        let started = created.start(&request, self.arena)?;
        if run.detach {
            started.await_ready();
            return Ok(0);
        }
        started.directory.unlock();
        let exit = foreground::stay(started.running());
        if let Ok(exit) = &exit {
            self.log.debug(format_args!("{}: its first process has ended: exit status {}", run.create.id, exit.code()));
        }
        let printed = match (&started.tracer, trace) {
            (Some(tracer), Some(file)) => {
                let mut out = Output::new(file.as_fd());
                let _ = tracer.print(&mut out); // `finish` knows the errno
                out.finish()
            }
            _ => Ok(()),
        };
        if !run.keep || exit.is_err() {
            // What the container said by its exit counts more than what is left of it, which `delete --force` can still remove.
            if let Err(error) = started.clean_up(&request, self.arena) {
                self.log.warning(format_args!("{error}"));
            }
        }
        core::mem::forget(started); // our own end, which is next, closes all by itself
        let exit = exit?;
        printed.doing("write", "the profile").map(|()| exit.code())
    }

    #[inline(never)]
    fn exec(&self, exec: &Exec<'a>) -> Result<'a, i32> {
        own_executable::protect(self.arguments)?;
        let texts = |texts: Texts<'a>| {
            let mut list = List::default();
            texts.into_iter().try_for_each(|text| list.push(self.arena, text)).map(|()| list)
        };
        let overrides = Overrides {
            process: None,
            args: exec.command,
            cwd: exec.cwd,
            env: texts(exec.env)?,
            has_terminal: exec.tty,
            user: exec.user,
            additional_gids: texts(exec.additional_gids)?,
            capabilities: texts(exec.cap)?,
            no_new_privileges: exec.no_new_privs,
            apparmor_profile: exec.apparmor,
            selinux_label: exec.process_label,
        };
        let started = exec::exec(&exec::Request {
            root: self.root,
            id: self.valid(exec.id)?,
            process: exec.process,
            overrides,
            preserve_fds: exec.preserve_fds,
            cgroup: exec.cgroup,
            ignores_pause: exec.ignore_paused,
            console_socket: exec.console_socket,
            pidfd_socket: exec.pidfd_socket,
            is_detached: exec.detach,
            blocked_signals: sys::block_all(),
            log: &self.log,
        })?;
        if let Err(error) = self.write_pid_file(exec.pid_file, started.pid) {
            started.undo();
            return Err(error);
        }
        if exec.detach { Ok(0) } else { Ok(foreground::stay(started.running())?.code()) }
    }

    #[inline(never)]
    fn state(&self, id: &'a str) -> Result<'a, i32> {
        let procfs = facts::open_procfs()?;
        let container = list::find(self.root, self.valid(id)?, procfs.as_fd(), self.arena)?;
        let shown = self.shown(&container, "")?;
        self.print(|out| output::state(&shown, out))
    }

    fn shown(&self, container: &Container<'a>, owner: &'a str) -> Result<'a, ContainerState<'a>> {
        let Container { record, status } = container;
        let mut annotations = List::default();
        for entry in &record.annotations {
            annotations.push(self.arena, (entry.key, entry.value))?;
        }
        Ok(ContainerState {
            id: record.id,
            pid: if *status == Status::Stopped { 0 } else { record.pid },
            status: status.word(),
            bundle: record.bundle,
            rootfs: record.rootfs,
            created: record.created,
            annotations,
            owner,
        })
    }

    #[inline(never)]
    fn list(&self, format: ListFormat, is_quiet: bool) -> Result<'a, i32> {
        let procfs = facts::open_procfs()?;
        let mut broken = |id: &str, error: &Error<'a>| self.log.error(format_args!("load container {id}: {error}"));
        if is_quiet {
            let ids = list::ids(self.root, self.global.root.is_none(), procfs.as_fd(), self.arena, &mut broken)?;
            return self.print(|out| output::list_ids(ids, out));
        }
        let found = list::all(self.root, self.global.root.is_none(), procfs.as_fd(), self.arena, &mut broken)?;
        let mut containers = List::default();
        let mut owner = (0, "");
        for container in &found {
            let uid = container.record.uid;
            if owner.1.is_empty() || uid != owner.0 {
                let name = facts::name_of(c"/etc/passwd", uid, self.arena)?;
                owner = (uid, if name.is_empty() { self.arena.format(format_args!("#{uid}"))? } else { name });
            }
            containers.push(self.arena, self.shown(container, owner.1)?)?;
        }
        self.print(|out| match format {
            ListFormat::Table => output::list_table(containers, out),
            ListFormat::Json => output::list_json(containers, out),
        })
    }

    #[inline(never)]
    fn update(&self, id: &'a str, file: Option<&'a CStr>, given: &values::Given<'a>) -> Result<'a, i32> {
        let resources = match file {
            Some(file) => update::read_resources(file, self.arena)?,
            None => values::resources(given, &self.log, self.arena)?,
        };
        let schemata = values::schemata(given, self.arena)?;
        update::update(self.root, self.valid(id)?, &resources, schemata, &self.log, self.arena).map(|()| 0)
    }

    #[inline(never)]
    fn mounts(&self, action: &'a str, id: &'a str, file: &'a CStr) -> Result<'a, i32> {
        let adds = match action {
            "add" => true,
            "remove" => false,
            _ => return Err(Error::text("mounts", action, "neither add nor remove")),
        };
        mounts::change(self.root, self.valid(id)?, adds, file, &self.log, self.arena).map(|()| 0)
    }

    #[inline(never)]
    fn events(&self, id: &'a str, interval_ms: Option<u64>) -> Result<'a, i32> {
        let (counters, mut watch) = events::Counters::of(self.root, self.valid(id)?, self.arena)?;
        self.print(|out| stats::stats(id, &counters, out))?;
        let Some(interval_ms) = interval_ms else { return Ok(0) };
        let mut deadline_ms = task::now_ms() + interval_ms;
        loop {
            match watch.next(deadline_ms)? {
                Happened::Ended => return Ok(0),
                Happened::OutOfMemory => self.print(|out| stats::oom(id, out))?,
                Happened::TimePassed => {
                    deadline_ms += interval_ms;
                    self.print(|out| stats::stats(id, &counters, out))?
                }
            };
        }
    }

    #[inline(never)]
    fn stats(&self, ids: &[&'a CStr]) -> Result<'a, i32> {
        let mut out = Output::new(task::stdout());
        let mut one = |id: &'a str| -> Result<'a, ()> {
            let (counters, _) = events::Counters::of(self.root, self.valid(id)?, self.arena)?;
            let _ = stats::stats(id, &counters, &mut out); // `finish` knows the errno
            Ok(())
        };
        for id in ids {
            one(id.to_str().unwrap_or_default())?;
        }
        if ids.is_empty() {
            let procfs = facts::open_procfs()?;
            let found = list::all(self.root, self.global.root.is_none(), procfs.as_fd(), self.arena, &mut |_, _| {})?;
            for container in found.iter().filter(|container| container.status != Status::Stopped) {
                let _ = one(container.record.id); // it may have ended meanwhile
            }
        }
        out.finish().map(|()| 0).map_err(Error::on("write", "standard output"))
    }

    #[inline(never)]
    fn ps(&self, id: &'a str, format: ListFormat, options: &[&'a CStr]) -> Result<'a, i32> {
        let pids = processes::pids(self.root, self.valid(id)?, self.arena)?;
        if format == ListFormat::Json {
            return self.print(|out| ps::print_json(pids, out));
        }
        let layout = ps::layout(options, self.arena)?;
        let found = processes::look_up(pids, self.arena)?;
        self.print(|out| ps::print_table(&layout, &found, out))
    }

    #[inline(never)]
    fn spec(&self, bundle: Option<&'a CStr>, is_rootless: bool) -> Result<'a, i32> {
        let directory = fs::open(bundle.unwrap_or(c"."), fs::OFlags::PATH | fs::OFlags::DIRECTORY | fs::OFlags::CLOEXEC, fs::Mode::empty())
            .doing_at("chdir", bundle.unwrap_or(c"."))?;
        let flags = fs::OFlags::WRONLY | fs::OFlags::CREATE | fs::OFlags::EXCL | fs::OFlags::CLOEXEC;
        let file = match fs::openat(&directory, c"config.json", flags, fs::Mode::from_raw_mode(0o666)) {
            Err(Errno::EXIST) => return Err(Error::said(spec::EXISTS)),
            file => file.doing("create", "config.json")?,
        };
        let ids = spec::Ids { uid: task::geteuid().as_raw(), gid: task::getegid().as_raw() };
        let shape = spec::Shape { has_cgroup_v2_only: facts::has_only_cgroup_v2(), rootless: is_rootless.then_some(ids) };
        let mut out = Output::new(file.as_fd());
        let _ = spec::print(shape, &mut out); // `finish` knows the errno
        out.finish().map(|()| 0).doing("write", "config.json")
    }

    fn print(&self, text: impl FnOnce(&mut dyn Write) -> core::fmt::Result) -> Result<'a, i32> {
        let mut out = Output::new(task::stdout());
        let _ = text(&mut out); // `finish` knows the errno
        out.finish().map(|()| 0).doing("write", "standard output")
    }
}
