//! What is to be booted, decided before anything is started: from bundles, boot.json and the kernel command line, one table of services.
//!
//! What is wrong with one bundle is told and marks that bundle; the others are booted.

mod graph;
mod kernel_line;
mod own;
pub mod words;

#[cfg(test)]
mod tests;

pub use kernel_line::KernelLine;

use core::cell::Cell;
use core::ffi::CStr;

use crate::mem::{Arena, Full, Keys, List, sort};
use crate::spec::Entry;
use crate::spec::boot as written;
use crate::sys::CPointer;

/// More are left out: each has its place in fixed memory.
pub const MOST_BUNDLES: usize = 1000;

/// Besides bundles there are mounts, terminals and the like.
pub const MOST_SERVICES: usize = MOST_BUNDLES + 64;

/// The longest id of a service; a container's may be longer.
pub const MOST_ID_BYTES: usize = 63;

/// What a service is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Runs once, and is done when it ends with 0.
    Oneshot,
    /// Is to be up.
    #[default]
    Service,
    /// Runs once when everything else is down.
    Shutdown,
}

/// When it is started again after its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is the word of its name")]
pub enum Restart {
    No,
    #[default]
    OnFailure,
    Always,
}

/// What says that it is ready.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ready {
    /// That it was started.
    #[default]
    Started,
    /// READY=1 to NOTIFY_SOCKET (sd_notify(3)).
    Notify,
    /// A newline to descriptor 3 (s6's notification-fd).
    Fd,
    /// The health check's first success.
    Exec,
}

/// What is done when it is not started again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GiveUp {
    /// Nothing.
    #[default]
    Stop,
    /// The machine is booted again.
    Reboot,
    /// The machine is switched off.
    PowerOff,
    /// The service of that number is started.
    Start(u16),
}

/// The numbers by which a service is kept up.
#[derive(Clone, Copy, Debug, Default)]
#[allow(missing_docs, reason = "each is the key of its name; times are in milliseconds, and 0 where there is none")]
pub struct Policy {
    pub kind: Kind,
    pub restart: Restart,
    pub delay_ms: u32,
    pub delay_max_ms: u32,
    pub reset_ms: u32,
    pub limit: u32,
    pub give_up: GiveUp,
    pub ready: Ready,
    /// Whether it was written down: a oneshot may otherwise run as long as it likes.
    pub has_start_timeout: bool,
    pub start_timeout_ms: u32,
    pub stop_timeout_ms: u32,
    pub stop_signal: i32,
    pub is_critical: bool,
    pub watchdog_ms: u32,
    /// How long a new version has to be ready to be kept.
    pub trial_ms: u32,
    pub health_interval_ms: u32,
    pub health_timeout_ms: u32,
    pub health_retries: u32,
    pub health_start_ms: u32,
}

/// What a service does.
#[derive(Clone, Copy)]
pub enum Task<'a> {
    /// Runs the bundle in this directory.
    Bundle(&'a CStr),
    /// Runs a command on the host, perhaps on a terminal.
    Program(&'a [CPointer<'a>], Option<&'a CStr>),
    /// Mounts a file system.
    Mount(&'a Mount<'a>),
    /// Writes the logs of all others into files.
    LogFiles(&'a LogFiles<'a>),
    /// Nothing: why it cannot be started.
    Broken(&'a str),
}

impl Default for Task<'_> {
    fn default() -> Self {
        Task::Broken("")
    }
}

/// A file system to mount.
#[derive(Clone, Copy)]
#[allow(missing_docs, reason = "each is the key of its name")]
pub struct Mount<'a> {
    pub source: &'a CStr,
    pub target: &'a CStr,
    pub kind: &'a CStr,
    pub flags: u32,
    pub data: &'a CStr,
    pub wait_for_ms: u32,
    pub check: Option<&'a [CPointer<'a>]>,
    pub format: Option<&'a [CPointer<'a>]>,
}

/// Where logs are written to.
#[derive(Clone, Copy)]
#[allow(missing_docs, reason = "each is the key of its name")]
pub struct LogFiles<'a> {
    pub directory: &'a str,
    pub bytes: u32,
    pub count: u32,
}

/// What a condition asks of another service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// It runs.
    Started,
    /// It is ready.
    Ready,
    /// It has ended with 0.
    Exited,
    /// It has failed for good.
    Failed,
    /// It has ended, however.
    Ended,
}

/// One thing that a service waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After<'a> {
    /// Another service.
    Service(u16, Condition),
    /// A path that exists.
    Path(&'a CStr),
    /// A network device that is up; empty: any but the loopback.
    Network(&'a str),
}

/// One row of the table.
#[derive(Clone, Copy, Default)]
pub struct Service<'a> {
    /// Unique.
    pub id: &'a str,
    /// What it does.
    pub task: Task<'a>,
    /// How it is kept up.
    pub policy: Policy,
    /// What it waits for: all of it.
    pub after: List<'a, After<'a>>,
    /// How long all of that must have held.
    pub hold_ms: u32,
    /// Whether it is to be started at boot.
    pub is_wanted: bool,
    /// Its health check.
    pub health: List<'a, &'a str>,
    /// What its config.json is pinned to; empty for nothing.
    pub digest: &'a str,
}

/// The whole boot.
#[derive(Clone, Copy)]
#[allow(missing_docs, reason = "each is the key of its name")]
pub struct Boot<'a> {
    pub services: &'a [Service<'a>],
    /// The services in an order that respects what they wait for.
    pub order: &'a [u16],
    pub hostname: &'a str,
    pub modules: List<'a, &'a str>,
    pub sysctl: List<'a, Entry<'a, &'a str>>,
    pub clock: &'a str,
    pub random_seed: &'a str,
    pub log: &'a str,
    pub log_bytes: u32,
    /// The device, and the time in milliseconds; 0 for none.
    pub watchdog: (&'a CStr, u32),
    pub shutdown_timeout_ms: u32,
    /// 0 for as long as it takes.
    pub ready_timeout_ms: u32,
    pub attempts: u32,
    pub data: &'a str,
}

impl Boot<'_> {
    /// The service that mounts the file system in which this path lies, if there is one.
    pub fn mount_of(&self, path: &str) -> Option<usize> {
        let length = |index: usize| match self.services[index].task {
            Task::Mount(mount) if is_below(path.as_bytes(), mount.target) => mount.target.to_bytes().len(),
            _ => 0,
        };
        (0..self.services.len()).max_by_key(|index| length(*index)).filter(|index| length(*index) > 0)
    }
}

/// Whether a path lies below another, by its letters.
fn is_below(path: &[u8], directory: &CStr) -> bool {
    path.strip_prefix(directory.to_bytes()).is_some_and(|rest| rest.starts_with(b"/"))
}

/// A bundle that was found.
#[derive(Clone, Copy, Debug, Default)]
pub struct Found<'a> {
    /// Its directory's name without its number.
    pub id: &'a str,
    /// Its directory.
    pub path: &'a str,
    /// What its place says of it.
    pub kind: Kind,
    /// Whether it is one of `onboot`, which everything else waits for.
    pub is_early: bool,
    /// The number before its name.
    pub number: u32,
    /// Those that concern the boot.
    pub annotations: List<'a, Entry<'a, &'a str>>,
    /// The absolute paths of the host that it needs.
    pub sources: List<'a, &'a str>,
    /// Why its config.json could not be read; empty if it could.
    pub problem: &'a str,
}

/// Everything that is known before the boot.
pub struct Input<'a> {
    /// The bundles.
    pub found: List<'a, Found<'a>>,
    /// How many more there are than can be booted.
    pub left_out: usize,
    /// boot.json.
    pub file: written::Boot<'a>,
    /// The kernel command line.
    pub line: KernelLine<'a>,
    /// Those that were disabled by hand.
    pub disabled: List<'a, &'a str>,
}

/// Where problems are told: of which service (or empty), and what.
pub type Tell<'t> = dyn FnMut(&str, core::fmt::Arguments<'_>) + 't;

/// The size of a log in memory unless said otherwise, and the least.
const LOG_BYTES: u32 = 16 << 10;
const LEAST_LOG_BYTES: u32 = 1 << 10;
const WATCHDOG_MS: u32 = 30_000;
const SHUTDOWN_MS: u32 = 20_000;
const ATTEMPTS: u32 = 3;

/// How long a new version has to be ready to be kept, where `stable` does not say it.
const TRIAL_MS: u32 = 30_000;

/// Where counters and records lie unless said otherwise.
pub const DATA: &str = "/var/lib/ocinit";

/// What has no other reason to fail than memory: [`Full`].
pub type Result<T> = core::result::Result<T, Full>;

/// Makes the table.
pub fn build<'a>(input: &Input<'a>, arena: &Arena<'a>, tell: &mut Tell<'_>) -> Result<Boot<'a>> {
    let mut work = Work { input, arena, tell, keys: Keys::default(), drafts: List::default(), too_many: input.left_out, on_ready: ("", 0) };
    work.collect()?;
    let services = work.services()?;
    graph::link(services, work.drafts, (&work.keys, input.file.data), arena, work.tell)?;
    let order = graph::order(services, arena, work.tell)?;
    let file = &input.file;
    let mut number = |key: &'static str, made: core::result::Result<u32, words::Misfit>, default: u32| {
        made.unwrap_or_else(|(_, why)| {
            (work.tell)("", format_args!("{key} {why}"));
            default
        })
    };
    let line_watchdog = words::time_or("ocinit.watchdog", input.line.watchdog, u32::MAX);
    let watchdog = match number("ocinit.watchdog", line_watchdog, u32::MAX) {
        u32::MAX => {
            file.watchdog.map_or(0, |watchdog| number("watchdog.timeout", words::time_or("", watchdog.timeout, WATCHDOG_MS), WATCHDOG_MS))
        }
        said => said,
    };
    let device = file.watchdog.map_or("", |watchdog| watchdog.device);
    let log = if input.line.log.is_empty() { file.log } else { input.line.log };
    let log_bytes = number("log-size", words::size_or("", file.log_size, LOG_BYTES), LOG_BYTES);
    Ok(Boot {
        services,
        order,
        hostname: file.hostname,
        modules: file.modules,
        sysctl: file.sysctl,
        clock: file.clock,
        random_seed: file.random_seed,
        log: if log.is_empty() && input.line.debug { "console" } else { log },
        log_bytes: log_bytes.max(LEAST_LOG_BYTES).next_multiple_of(8),
        watchdog: (c_str(if device.is_empty() { "/dev/watchdog" } else { device }, arena)?, watchdog),
        shutdown_timeout_ms: number("shutdown-timeout", words::time_or("", file.shutdown_timeout, SHUTDOWN_MS), SHUTDOWN_MS),
        ready_timeout_ms: number("ready-timeout", words::time_or("", file.ready_timeout, 0), 0),
        attempts: file.attempts.unwrap_or(ATTEMPTS),
        data: if file.data.is_empty() { DATA } else { file.data },
    })
}

/// A service before what it waits for is resolved.
#[derive(Clone, Copy)]
pub(super) struct Draft<'a> {
    bundle: written::Bundle<'a>,
    task: Task<'a>,
    kind: Kind,
    is_early: bool,
    stop_signal: &'a str,
    sources: List<'a, &'a str>,
}

struct Work<'i, 't, 'a> {
    input: &'i Input<'a>,
    arena: &'i Arena<'a>,
    tell: &'i mut Tell<'t>,
    keys: Keys<'a>,
    drafts: List<'a, Draft<'a>>,
    /// Those that came when the table was full.
    too_many: usize,
    /// What is started once all is good, and how long that must have held.
    on_ready: (&'a str, u32),
}

impl<'a> Work<'_, '_, 'a> {
    fn collect(&mut self) -> Result<()> {
        let file = self.input.file;
        if !self.input.line.is_rescue {
            for mount in &file.mounts {
                self.mount(mount)?;
            }
        }
        let entries = Keys::default();
        for (index, bundle) in file.bundles.iter().enumerate() {
            entries.insert(self.arena, bundle.id, index)?;
        }
        for found in sorted(self.input.found, self.arena)? {
            // The last entry of an id counts, as of a key.
            let entry = entries.get(found.id).and_then(|index| file.bundles.get(index));
            self.found(found, entry)?;
        }
        for bundle in &file.bundles {
            if self.keys.get(bundle.id).is_none() && self.too_many == 0 && !self.input.line.is_rescue {
                (self.tell)(bundle.id, format_args!("there is no such bundle, and boot.json names no `bundle` for it"));
            }
        }
        if let Some(files) = file.log_files.filter(|_| !self.input.line.is_rescue) {
            self.log_files(&files)?;
        }
        for (index, console) in file.console.iter().enumerate() {
            if !self.input.line.is_rescue {
                self.program(("console", index), console.args, console.tty)?;
            }
        }
        if let Some(tty) = self.input.line.shell {
            self.program(("shell", 0), List::default(), tty)?;
        }
        if self.too_many > 0 {
            (self.tell)("", format_args!("{} bundles are left out: no more than {MOST_BUNDLES} are booted", self.too_many));
        }
        if self.input.line.is_rescue { Ok(()) } else { self.judge() }
    }

    fn push(&mut self, draft: Draft<'a>) -> Result<()> {
        let id = draft.bundle.id;
        let why = if self.drafts.len() == MOST_SERVICES {
            "there are too many mounts and terminals"
        } else if !super::is_valid_id(id) || id.len() > MOST_ID_BYTES {
            "an id is 1 to 63 letters, digits, `_`, `+`, `.` or `-`"
        } else if self.keys.get(id).is_some() {
            "another bundle has this id"
        } else {
            self.keys.insert(self.arena, id, self.drafts.len())?;
            return self.drafts.push(self.arena, draft);
        };
        (self.tell)(id, format_args!("left out: {why}"));
        Ok(())
    }

    fn found(&mut self, found: &Found<'a>, entry: Option<&written::Bundle<'a>>) -> Result<()> {
        let mut bundle = entry.copied().unwrap_or_default();
        let (mut problem, mut stop_signal) = (found.problem, "");
        for annotation in &found.annotations {
            match annotation.key.strip_prefix(written::PREFIX) {
                Some(key) => {
                    let why = match bundle.annotate(key, annotation.value, self.arena) {
                        Ok(()) => continue,
                        Err(written::Misfit::Unknown) => "is no annotation of ours",
                        Err(written::Misfit::Wants(what)) => what,
                        Err(written::Misfit::Full) => return Err(Full),
                    };
                    problem = self.arena.format(format_args!("{}: {why}", annotation.key))?;
                }
                None if annotation.key == written::STOP_SIGNAL => stop_signal = annotation.value,
                None => {}
            }
        }
        bundle.id = found.id;
        let kind = words::kind(&bundle, found.kind);
        let task = match (problem, kind) {
            ("", Ok(_)) => Task::Bundle(c_str(if bundle.bundle.is_empty() { found.path } else { bundle.bundle }, self.arena)?),
            ("", Err((key, why))) => Task::Broken(self.arena.format(format_args!("{key} {why}"))?),
            (problem, _) => Task::Broken(problem),
        };
        if self.drafts.len() >= MOST_BUNDLES {
            self.too_many += 1;
            return Ok(());
        }
        self.push(Draft { bundle, task, kind: kind.unwrap_or(found.kind), is_early: found.is_early, stop_signal, sources: found.sources })
    }

    fn services(&mut self) -> Result<&'a mut [Service<'a>]> {
        let line = self.input.line;
        let trial_ms = words::time_or("", self.input.file.stable, TRIAL_MS).unwrap_or(TRIAL_MS);
        let mut made = List::default();
        for draft in &self.drafts {
            let bundle = &draft.bundle;
            let mut task = draft.task;
            let policy = words::policy(bundle, draft.kind, draft.stop_signal).or_else(|(key, why)| {
                task = Task::Broken(self.arena.format(format_args!("{key} {why}"))?);
                Ok::<_, Full>(Policy { kind: draft.kind, is_critical: bundle.critical == Some(true), ..Policy::default() })
            })?;
            if let Task::Broken(why) = task {
                (self.tell)(bundle.id, format_args!("{why}"));
            }
            let is_ours = !matches!(task, Task::Bundle(_)); // a mount or a console
            let is_disabled = bundle.enabled == Some(false) || self.input.disabled.iter().any(|id| *id == bundle.id);
            let is_left_out = !is_ours && (line.leaves_out(bundle.id) || is_disabled);
            made.push(
                self.arena,
                Service {
                    id: bundle.id,
                    task,
                    policy: Policy { trial_ms, ..policy },
                    after: List::default(),
                    hold_ms: if bundle.id == self.on_ready.0 { self.on_ready.1 } else { 0 },
                    is_wanted: !is_left_out,
                    health: bundle.health,
                    digest: bundle.digest,
                },
            )?;
        }
        let mut next = made.iter();
        self.arena.slice(made.len(), |_| next.next().copied().unwrap_or_default())
    }
}

/// Early ones first, then by their numbers, then by their names.
fn sorted<'a>(found: List<'a, Found<'a>>, arena: &Arena<'a>) -> Result<&'a [Found<'a>]> {
    let mut next = found.iter();
    let all = arena.slice(found.len(), |_| next.next().copied().unwrap_or_default())?;
    let cells = Cell::from_mut(&mut *all).as_slice_of_cells();
    let key = |index: usize| {
        let found = cells[index].get();
        (!found.is_early, found.kind, found.number, found.id)
    };
    sort(cells.len(), &|a, b| key(a) < key(b), &|a, b| cells[a].swap(&cells[b]));
    Ok(all)
}

/// Texts with a NUL inside are refused when they are read.
fn c_str<'a>(text: &str, arena: &Arena<'a>) -> Result<&'a CStr> {
    arena.c_str(&[text.as_bytes()])
}

/// Words as execve(2) wants them.
pub fn arguments<'a>(words: List<'a, &'a str>, arena: &Arena<'a>) -> Result<&'a [CPointer<'a>]> {
    let made = arena.slice(words.len() + 1, |_| CPointer::NULL)?;
    for (place, word) in made.iter_mut().zip(&words) {
        *place = CPointer::new(c_str(word, arena)?);
    }
    Ok(made)
}
