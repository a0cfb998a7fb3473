//! PID 1: brings a device up, keeps its bundles running, takes it down.
//!
//! Must: reserve all its memory before the first start, and never wait for anything but its one epoll. What can block is done by children.

mod adopt;
pub mod control;
pub mod early;
mod finish;
mod good;
pub mod life;
mod linuxkit;
mod listen;
mod log_files;
pub mod notify;
mod order;
pub mod read;
pub mod ring;
mod supervise;
pub mod table;
mod voice;
mod work;

pub use supervise::now_us;
pub use work::STATE_ROOT;

use crate::container::own_executable;
use crate::error::{Error, Result};
use crate::mem::Arena;
use crate::names::subjects::INSTALL;
use crate::plan::boot::{Boot, KernelLine, Ready, Task};
use crate::sys::{self, Arguments, AsFd, CPointer, Errno, Events, Place, fs, task};

use life::Life;
use ring::Ends;
use supervise::{Again, Init, Live, Phase, token};
use table::{DIRECTORY, FILE, Head, ROW_WORDS, Row, Table};
use voice::Voice;
use work::Origin;

/// Names the directory `data` for the commands.
pub const DATA_LINK: &core::ffi::CStr = c"/run/ocinit/@boot/data";

/// How this life of PID 1 began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Began {
    /// Nothing was there. When that was, in microseconds since the kernel started: the second time that we are executed it is long ago.
    Anew(u64),
    /// The one before asked for it.
    Asked,
    /// The one before had a fault.
    Fault,
}

/// Boots, and stays until the end; the exit status. A machine that cannot be booted is booted anew: process 1 has nowhere to go.
pub fn boot(arguments: Arguments, path: &str, began: Began) -> Result<'static, i32> {
    let booted = try_boot(arguments, path, began);
    if let Err(error) = &booted
        && is_device(arguments)
    {
        const SEEN_MS: u64 = 10_000;
        Voice::new("", true, false).say(2, format_args!("{error}: nothing can be booted, the machine is reset"));
        let _ = task::poll(&mut [], Some(&task::milliseconds(SEEN_MS))); // it only passes the time
        sys::leave(sys::Leave::Reboot);
    }
    booted
}

/// Whether the machine is ours, and not only a container.
fn is_device(arguments: Arguments) -> bool {
    is_first() && arguments.variable("container").is_none()
}

fn try_boot(arguments: Arguments, path: &str, began: Began) -> Result<'static, i32> {
    let room = sys::map_anonymous(ARENA_BYTES).map_err(Error::on("mmap", "memory for the boot"))?;
    let arena = Arena::over(room);
    let given = arguments.iter().last().filter(|last| !path.is_empty() && last.to_bytes() == path.as_bytes());
    let (began_us, is_anew) = match began {
        Began::Anew(then) => {
            let argv = again(arguments, arena.format_c(format_args!("--resume={then}"))?, given, &arena)?;
            own_executable::protect(Arguments { argv, ..arguments })?;
            (then, true)
        }
        Began::Asked | Began::Fault => {
            own_executable::protect(arguments)?;
            (0, false)
        }
    };
    let is_device = is_device(arguments);
    let text = if is_first() { read::kernel_line(&arena) } else { "" };
    let line = KernelLine::read(text);
    let mut voice = Voice::new(line.log, is_device, line.debug);
    if is_device && is_anew {
        voice::unlimit_kmsg();
        early::switch_root(&line, &arena, &mut |priority, what| voice.say(priority, what));
    }
    if !is_first() {
        task::set_child_subreaper(Some(task::getpid())).map_err(Error::on("prctl", "PR_SET_CHILD_SUBREAPER"))?;
    }
    // The same path, as it will still be there for our next life.
    let path = given.and_then(|given| given.to_str().ok()).unwrap_or_default();
    let place = read::Place { root: "", path, line: text, is_accepted: true };
    let boot =
        read::plan(&place, &arena, &mut |id, what| voice.say(3, format_args!("{id}{}{what}", if id.is_empty() { "" } else { ": " })))?;
    if line.log.is_empty() && !boot.log.is_empty() {
        voice = Voice::new(boot.log, is_device, line.debug);
    }
    if is_device && is_anew {
        early::configure(&boot, &arena, &mut |priority, what| voice.say(priority, what));
    }
    sys::set_blocked(sys::ALL_BUT_FAULTS);
    let origin = Origin { environment: environment(arguments, &arena)?, descriptors: sys::raise_descriptor_limit() };
    let asked = again(arguments, c"--resume=asked", given, &arena)?;
    let fault = again(arguments, c"--resume=fault", given, &arena)?;
    let program = arguments.argv[0].get().unwrap_or(c"/proc/self/exe");
    let made = begin(&boot, began, origin, voice, Again { program, argv: asked, path }, is_device, &arena);
    let mut init = made.map_err(Error::on("reserve the memory for the boot", DIRECTORY))?;
    if is_anew {
        init.table.begin(began_us);
    }
    init.await_good(is_anew);
    init.open_watchdog();
    sys::survive_faults(fault, origin.environment);
    Ok(init.run())
}

/// Whether we are process 1, of the machine or of a container.
pub fn is_first() -> bool {
    task::getpid().as_raw_nonzero().get() == 1
}

/// In a child: whether the configuration can be used; it must not only be wrong about single bundles.
fn check_configuration(path: &str) {
    let Ok(room) = sys::map_anonymous(ARENA_BYTES) else { sys::exit(1) };
    let arena = Arena::over(room);
    let mut problems = 0;
    let line = read::kernel_line(&arena);
    let place = read::Place { root: "", path, line: if is_first() { line } else { "" }, is_accepted: true };
    let read = read::plan(&place, &arena, &mut |id, _| problems += i32::from(id.is_empty()));
    let fits = read.is_ok_and(|boot| {
        // The new table is made beside the old one.
        let bytes = boot.services.len() * (ROW_WORDS * 4 + boot.log_bytes as usize);
        sys::with_memory(bytes.max(1), |_| Ok(())).is_ok()
    });
    sys::exit(if fits { problems } else { 1 })
}

/// Memory for the plan.
const ARENA_BYTES: usize = 16 << 20;

/// The environment of what we start: ours, and where programs are, if it does not say.
fn environment(arguments: Arguments, arena: &Arena<'static>) -> Result<'static, &'static [CPointer<'static>]> {
    if arguments.variable("PATH").is_some() {
        return Ok(arguments.environ);
    }
    let path = CPointer::new(c"PATH=/usr/sbin:/usr/bin:/sbin:/bin");
    Ok(arena.slice(arguments.environ.len() + 1, |index| if index == 0 { path } else { arguments.environ[index - 1] })?)
}

/// The arguments of our next life.
fn again(
    arguments: Arguments,
    how: &'static core::ffi::CStr,
    path: Option<&'static core::ffi::CStr>,
    arena: &Arena<'static>,
) -> Result<'static, &'static [CPointer<'static>]> {
    let words = [arguments.argv[0], CPointer::new(c"boot"), CPointer::new(how), path.map_or(CPointer::NULL, CPointer::new), CPointer::NULL];
    Ok(arena.slice(words.len(), |index| words[index])?)
}

fn begin<'b>(
    boot: &'b Boot<'static>,
    began: Began,
    origin: Origin,
    voice: Voice,
    again: Again,
    is_device: bool,
    arena: &Arena<'static>,
) -> core::result::Result<Init<'b>, Errno> {
    if matches!(began, Began::Anew(_)) && sys::connect_for_requests(control::SOCKET).is_ok() {
        return Err(Errno::BUSY); // another one is running
    }
    make_directories()?;
    if INSTALL {
        let _ = fs::unlinkat(fs::CWD, DATA_LINK, fs::AtFlags::empty()); // of a life before
        let _ = fs::symlinkat(boot.data, fs::CWD, DATA_LINK); // then the commands go by the usual place
    }
    let count = boot.services.len();
    let lives = arena.slice(count, |index| live(boot, index)).map_err(|_| Errno::NOMEM)?;
    for (service, live) in boot.services.iter().zip(lives.iter_mut()) {
        if matches!(service.task, Task::Bundle(_)) && (service.policy.ready == Ready::Notify || service.policy.watchdog_ms > 0) {
            let path = arena.c_str(&[DIRECTORY.as_bytes(), b"/notify/", service.id.as_bytes()]);
            live.directory = Some(path.map_err(|_| Errno::NOMEM)?);
        }
    }
    // Of a life before; one that began anew finds one only where a supervisor was killed, since nobody answered. Process 1 of a container that
    // is started again finds a file as well, but what it tells of is gone.
    let is_alone = is_first() && matches!(began, Began::Anew(_));
    let old = if is_alone { None } else { fs::open(FILE, fs::OFlags::RDONLY | fs::OFlags::CLOEXEC, fs::Mode::empty()).ok() };
    let table = Table::create(count, boot.log_bytes as usize)?;
    let events = Events::new()?;
    let mut init = Init {
        boot,
        lives,
        table,
        events,
        signals: sys::signal_fd(sys::ALL_BUT_FAULTS)?,
        control: Place::EMPTY,
        clients: Init::no_clients(),
        watchdog: Place::EMPTY,
        feed_every_ms: 0,
        feed_at_ms: 0,
        origin,
        clock_at_ms: if is_device && !boot.clock.is_empty() { task::now_ms() + supervise::CLOCK_MS } else { u64::MAX },
        good_by_ms: u64::MAX,
        voice,
        is_device,
        phase: Phase::Up,
        leave: None,
        over_at_ms: 0,
        is_paused: false,
        looks: false,
        checker: 0,
        again,
    };
    init.table.set_head(Head::Pid, task::getpid().as_raw_nonzero().get() as u32);
    for index in 0..count {
        let service = &boot.services[index];
        let row = init.table.row(index);
        table::set_text(row, Row::Id, service.id.as_bytes());
        row[Row::Kind as usize] = service.policy.kind as u32 | u32::from(service.policy.is_critical) << 8;
    }
    if let Some(old) = old {
        init.adopt(&old, began, arena);
        init.reap(); // whoever ended meanwhile
    }
    init.listen_again()?;
    (0..count).for_each(|index| init.publish(index));
    Ok(init)
}

fn live(boot: &Boot<'_>, index: usize) -> Live {
    Live {
        life: Life::new(boot.services[index].is_wanted),
        worker: 0,
        report: Place::EMPTY,
        log: Place::EMPTY,
        notify: Place::EMPTY,
        ready: Place::EMPTY,
        master: Place::EMPTY,
        stranger: Place::EMPTY,
        ends: Ends::default(),
        directory: None,
        health_at_ms: 0,
        health_failures: 0,
        health_worker: 0,
    }
}

fn make_directories() -> core::result::Result<(), Errno> {
    for (path, mode) in [(work::STATE_ROOT, 0o700), (c"/run/ocinit/@boot", 0o700), (c"/run/ocinit/@boot/notify", 0o700)] {
        match fs::mkdirat(fs::CWD, path, fs::Mode::from_raw_mode(mode)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

impl Init<'_> {
    /// Waits for everything that can be read.
    fn listen_again(&mut self) -> core::result::Result<(), Errno> {
        self.events.add(self.signals.as_fd(), token::of(token::SIGNALS, 0))?;
        self.control.put(sys::listen_for_requests(control::SOCKET)?);
        if let Some(control) = self.control.get() {
            self.events.add(control, token::of(token::CONTROL, 0))?;
        }
        for (index, live) in self.lives.iter().enumerate() {
            let places = [
                (&live.log, token::LOG),
                (&live.notify, token::NOTIFY),
                (&live.ready, token::READY),
                (&live.master, token::MASTER),
                (&live.stranger, token::GONE),
            ];
            for (place, kind) in places {
                if let Some(fd) = place.get() {
                    self.events.add(fd, token::of(kind, index))?;
                }
            }
        }
        Ok(())
    }

    /// Arms the hardware watchdog, if there is to be one. Without the device the boot goes on.
    fn open_watchdog(&mut self) {
        let (device, milliseconds) = self.boot.watchdog;
        if milliseconds == 0 || !self.is_device {
            return;
        }
        if self.watchdog.get().is_none() {
            let opened = fs::open(device, fs::OFlags::WRONLY | fs::OFlags::CLOEXEC, fs::Mode::empty());
            match opened {
                Ok(watchdog) => self.watchdog.put(watchdog),
                Err(errno) => return self.voice.say(3, format_args!("watchdog: {}", Error::at("open", device)(errno))),
            }
        }
        let Some(watchdog) = self.watchdog.get() else { return };
        if sys::was_reset_by_watchdog(watchdog) {
            self.voice.say(4, format_args!("the watchdog had reset the machine"));
            self.table.set_head(Head::WasReset, 1);
        }
        let seconds = sys::set_watchdog(watchdog, (milliseconds / 1000).max(1) as i32).unwrap_or((milliseconds / 1000).max(1) as i32);
        self.feed_every_ms = (seconds.max(1) as u64 * 1000 / 3).max(100);
        sys::feed_watchdog(watchdog);
        self.feed_at_ms = task::now_ms() + self.feed_every_ms;
    }
}
