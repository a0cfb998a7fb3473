//! What PID 1 has its children do, because it can take long: create a container, remove what is left of one, run a command, mount.
//!
//! Must: report in a few bytes and end. Mustn't: touch what only PID 1 may, its table and its descriptors.

use core::ffi::CStr;
use core::fmt::Write;

use super::voice::Voice;
use super::{early, linuxkit};
use crate::container::create::{self, Gate, Notify};
use crate::container::delete;
use crate::container::hooks::Inherited;
use crate::container::versions;
use crate::error::{Error, Reason, Result};
use crate::log::{Format, Log, Output};
use crate::mem::{Arena, List, PathBuffer};
use crate::names::subjects::INSTALL;
use crate::plan::Options;
use crate::plan::boot::{Boot, Mount, Policy};
use crate::plan::cgroup::Manager;
use crate::sys::{self, AsFd, BorrowedFd, CPointer, Clone, Errno, Exit, OwnedFd, fs, task};

/// Where the state of boot's containers lies: where the commands look for it.
pub const STATE_ROOT: &CStr = c"/run/ocinit";

/// First byte of the message that a container runs; its pid follows.
pub const STARTED: u8 = b'S';

/// What a child needs to know of PID 1.
#[derive(Clone, Copy)]
pub struct Origin {
    /// The environment for hooks and commands, ended by NULL.
    pub environment: &'static [CPointer<'static>],
    /// The limit on descriptors before PID 1 raised its own.
    pub descriptors: sys::Limit,
}

/// Memory of a child.
const ARENA_BYTES: usize = 1 << 20;

/// Goes on as a new process in a child, and says which one in its parent.
pub fn fork(child: impl FnOnce()) -> core::result::Result<u32, Errno> {
    match sys::fork(0)? {
        Clone::Child => {
            child();
            sys::exit(0)
        }
        Clone::Parent { pid, .. } => Ok(pid.as_raw_nonzero().get() as u32),
    }
}

/// Only bytes of messages that come before: it is a new version on trial; it is what was there before one that was not good.
pub const ON_TRIAL: u8 = b'T';
/// See above.
pub const IS_BACK: u8 = b'B';

/// A container to start.
pub struct Job<'a> {
    /// Its id.
    pub id: &'a str,
    /// Its bundle.
    pub bundle: &'a CStr,
    /// What its config.json is pinned to.
    pub digest: &'a str,
    /// Where it may be installed.
    pub data: &'a str,
    /// How it ended last; -1 if it was not started yet.
    pub exit: i32,
    /// How it is watched.
    pub policy: Policy,
    /// What it writes to.
    pub output: OwnedFd,
    /// Where it says that it is ready.
    pub ready: Option<OwnedFd>,
    /// The directory of its notify socket.
    pub notify: Option<&'a CStr>,
}

/// In a child: creates and starts the container, and reports its pid, and its terminal if it has one.
pub fn start<'a>(job: &Job<'a>, report: &OwnedFd, origin: &Origin) {
    let Ok(report) = fs::fcntl_dupfd_cloexec(report, 10) else { sys::exit(1) };
    let Ok(output) = fs::fcntl_dupfd_cloexec(&job.output, 10) else { sys::exit(1) };
    become_quiet(output.as_fd(), origin);
    let preserve_fds = match &job.ready {
        Some(ready) if sys::copy_to_number(ready.as_fd(), 3).is_ok() => 1,
        _ => 0,
    };
    with_arena(|arena: &Arena<'a>| {
        let log = Log::to_stderr(Format::Text, false);
        let chosen = match INSTALL {
            true => versions::begin(job.data, job.id, job.bundle, job.exit, &log, arena)?,
            false => versions::Chosen { bundle: job.bundle, trial: None, is_back: false },
        };
        for (said, is_so) in [(ON_TRIAL, chosen.trial.is_some()), (IS_BACK, chosen.is_back)] {
            if is_so {
                sys::send(report.as_fd(), &[said], None).map_err(Error::on("report", job.id))?;
            }
        }
        let started = start_chosen(job, &chosen, preserve_fds, (&report, origin, &log), arena);
        if INSTALL && let (Err(error), Some(version)) = (&started, chosen.trial) {
            versions::begin_failed(job.data, job.id, version, error, arena);
        }
        started
    });
}

fn start_chosen<'a>(
    job: &Job<'a>,
    chosen: &versions::Chosen<'a>,
    preserve_fds: u32,
    (report, origin, log): (&OwnedFd, &Origin, &Log),
    arena: &Arena<'a>,
) -> Result<'a, ()> {
    let options = Options {
        id: job.id,
        no_pivot: false, // an initial ramfs is found out by itself
        no_new_keyring: false,
        listen_fds: 0,
        preserve_fds,
        is_rootless: false,
        cgroup_manager: Manager::Cgroupfs,
    };
    let notify = job.notify.map(|directory| Notify { directory, manager: None, watchdog_ms: job.policy.watchdog_ms });
    let request = create::Request {
        root: STATE_ROOT,
        bundle: chosen.bundle,
        options,
        console_socket: None,
        pidfd_socket: None,
        is_traced: false,
        device_fallback: false,
        is_detached: false,
        digest: job.digest,
        is_on_trial: chosen.trial.is_some(),
        gate: Gate::Channel,
        blocked_signals: sys::Signals::default(),
        environment: origin.environment,
        notify,
        log,
    };
    let shared = linuxkit::prepare(chosen.bundle.to_str().unwrap_or_default(), !job.digest.is_empty(), arena)?;
    let created = match create::create(&request, arena) {
        // Somebody who died left it, or somebody made one by hand.
        Err(error) if error.is_said("container with given ID already exists") => {
            remove(job.id, origin, log, arena)?;
            create::create(&request, arena)?
        }
        created => created?,
    };
    if let Err(error) = linuxkit::bind_namespaces(shared, created.pid.as_raw_nonzero().get() as u32, arena) {
        created.undo(&request);
        return Err(error);
    }
    let started = created.start(&request, arena)?;
    let mut message = [STARTED; 5];
    message[1..].copy_from_slice(&(started.pid.as_raw_nonzero().get() as u32).to_ne_bytes());
    sys::send(report.as_fd(), &message, started.master.as_ref().map(AsFd::as_fd)).map_err(Error::on("report", job.id))
}

/// In a child: removes what is left of a container.
pub fn clean(id: &str, output: Option<BorrowedFd<'_>>, origin: &Origin) {
    if let Some(output) = output {
        become_quiet(output, origin);
    }
    with_arena(|arena| remove(id, origin, &Log::to_stderr(Format::Text, false), arena));
}

fn remove<'a>(id: &str, origin: &Origin, log: &Log, arena: &Arena<'a>) -> Result<'a, ()> {
    let inherited = Inherited { environment: origin.environment, blocked_signals: Some(sys::Signals::default()) };
    delete::delete(STATE_ROOT, arena.format(format_args!("{id}"))?, true, inherited, log, arena)
}

/// In a child: streams that lead nowhere and to the log; the limit that PID 1 got.
pub fn become_quiet(output: BorrowedFd<'_>, origin: &Origin) {
    sys::block_all();
    let _ = sys::set_limit(origin.descriptors); // it was the kernel's own
    if let Ok(null) = fs::open(c"/dev/null", fs::OFlags::RDWR | fs::OFlags::CLOEXEC, fs::Mode::empty()) {
        let _ = task::dup2_stdin(&null);
    }
    let _ = task::dup2_stdout(output);
    let _ = task::dup2_stderr(output);
}

/// In a child: works with memory of its own; an error is the end of it.
pub fn with_arena<'a>(work: impl FnOnce(&Arena<'a>) -> Result<'a, ()>) {
    let Ok(room) = sys::map_anonymous(ARENA_BYTES) else { sys::exit(1) };
    let arena = Arena::over(room);
    if let Err(error) = work(&arena) {
        tell(format_args!("{error}"));
        sys::exit(1);
    }
}

/// In a child: says what is wrong, in its log.
pub fn tell(what: core::fmt::Arguments<'_>) {
    let _ = writeln!(Output::new(task::stderr()), "<3>{what}"); // nowhere else is left to say it
}

/// In a child: becomes a command, on a terminal if it is to have one.
pub fn execute(argv: &[CPointer<'_>], tty: Option<&CStr>, output: BorrowedFd<'_>, origin: &Origin) {
    become_quiet(output, origin);
    let _ = task::setsid(); // a child leads no group yet
    if let Some(tty) = tty {
        match fs::open(tty, fs::OFlags::RDWR | fs::OFlags::CLOEXEC, fs::Mode::empty()) {
            Ok(terminal) => {
                let _ = task::ioctl_tiocsctty(&terminal); // a console that is no terminal has no jobs
                let _ = task::dup2_stdin(&terminal);
                let _ = task::dup2_stdout(&terminal);
                let _ = task::dup2_stderr(&terminal);
            }
            Err(errno) => tell(format_args!("{}", Error::at("open", tty)(errno))),
        }
    }
    let errno = become_program(argv, origin);
    tell(format_args!("{}", Error::at("execute", argv[0].get().unwrap_or_default())(errno)));
    sys::exit(127)
}

fn become_program(argv: &[CPointer<'_>], origin: &Origin) -> Errno {
    sys::reset_signals(sys::Signals::ALL);
    sys::set_blocked(sys::Signals::default());
    let program = argv[0].get().unwrap_or_default().to_bytes();
    let mut path = PathBuffer::new();
    let mut answer = Errno::NOENT;
    let places: &[&[u8]] = if program.contains(&b'/') { &[b""] } else { &[b"/usr/sbin/", b"/usr/bin/", b"/sbin/", b"/bin/"] };
    for place in places {
        path.set(&[place, program]);
        match sys::execve(path.as_c_str(), argv, origin.environment) {
            Errno::NOENT => {}
            errno => answer = errno,
        }
    }
    answer
}

/// In a child: waits for a device, has it checked, mounts it, and has it formatted if it cannot be mounted. Then what it keeps of the
/// time is taken over: the boot's, which mounts it as the service of that number.
pub fn mount(
    mount: &Mount<'_>,
    (boot, index, is_device): (&Boot<'_>, usize, bool),
    output: BorrowedFd<'_>,
    origin: &Origin,
    voice: &Voice,
) {
    become_quiet(output, origin);
    if let Err((what, errno)) = try_mount(mount, origin) {
        let error = Error::at(what, mount.source)(errno);
        voice.say(3, format_args!("{}: {error}", boot.services[index].id));
        tell(format_args!("{error}"));
        sys::exit(1)
    }
    if is_device {
        early::restore(boot, Some(index), &mut |what, path, errno| voice.say(4, format_args!("{what} {path}: {}", Reason(errno))));
    }
}

fn try_mount(mount: &Mount<'_>, origin: &Origin) -> core::result::Result<(), (&'static str, Errno)> {
    if mount.wait_for_ms > 0 {
        early::await_path(mount.source, mount.wait_for_ms.into()).map_err(|errno| ("wait for", errno))?;
    }
    if let Some(check) = mount.check {
        const UNCORRECTED: i32 = 2; // fsck(8): 0 and 1 say that it is in order now
        let status = run(check, origin).map_err(|errno| ("check", errno))?;
        if status >= UNCORRECTED && mount.format.is_none() {
            return Err(("check", Errno::IO));
        }
    }
    let mut path = PathBuffer::new();
    path.set(&[mount.target.to_bytes()]);
    let _ = fs::mkdirat(fs::CWD, path.as_c_str(), fs::Mode::from_raw_mode(0o755)); // mount says what is wrong
    let attach = || early::mount_any(mount.source, mount.target, mount.kind, mount.flags, mount.data);
    match (attach(), mount.format) {
        (Err(Errno::INVAL | Errno::IO | Errno::UCLEAN), Some(format)) => {
            if run(format, origin) != Ok(0) {
                return Err(("format", Errno::IO));
            }
            attach().map_err(|errno| ("mount", errno))
        }
        (answer, _) => answer.map_err(|errno| ("mount", errno)),
    }
}

fn run(argv: &[CPointer<'_>], origin: &Origin) -> core::result::Result<i32, Errno> {
    match sys::fork(0)? {
        Clone::Child => {
            become_program(argv, origin);
            sys::exit(127)
        }
        Clone::Parent { pid, .. } => sys::wait_pid(pid).map(Exit::code),
    }
}

/// In a child: runs a health check in a container, by the same `exec` as anybody.
pub fn look(id: &str, words: List<'_, &str>, output: BorrowedFd<'_>, origin: &Origin) {
    become_quiet(output, origin);
    with_arena(|arena| {
        let mut argv = List::default();
        for word in ["ocinit", "exec", arena.format(format_args!("{id}"))?] {
            argv.push(arena, word)?;
        }
        for word in &words {
            argv.push(arena, arena.format(format_args!("{word}"))?)?;
        }
        let argv = crate::plan::boot::arguments(argv, arena)?;
        sys::reset_signals(sys::Signals::ALL);
        sys::set_blocked(sys::Signals::default());
        let errno = sys::execve(c"/proc/self/exe", argv, origin.environment);
        Err(Error::errno("execute", "/proc/self/exe", errno))
    });
}
