//! The loop of PID 1: what happens goes to the lives of the services, and what they ask for is done.
//!
//! Must: come back to its epoll at once, whatever the others do. Mustn't: allocate; every table was made before the first start.

use linux_raw_sys::general as c;

use super::life::{self, Action, Event, Life, State};
use super::ring::{self, Ends};
use super::table::{self, Head, Row, Table};
use super::voice::Voice;
use super::work::{self, Job, Origin};
use crate::error::Reason;
use crate::plan::boot::{Boot, GiveUp, Ready, Service, Task};
use crate::sys::{self, AsFd, BorrowedFd, Events, Leave, OwnedFd, Place, task};

/// One service, as far as it changes.
pub struct Live {
    /// Where it is in its life.
    pub life: Life,
    /// The child that creates it or cleans up after it; 0 without one.
    pub worker: u32,
    /// Where that child reports.
    pub report: Place,
    /// What it writes.
    pub log: Place,
    /// Where it says how it is.
    pub notify: Place,
    /// Where it says that it is ready, by a newline.
    pub ready: Place,
    /// Its terminal.
    pub master: Place,
    /// Its process, if it is no child of ours: one that a supervisor before us started.
    pub stranger: Place,
    /// The ends of its log.
    pub ends: Ends,
    /// The directory of its notify socket, if it has one.
    pub directory: Option<&'static core::ffi::CStr>,
    /// When its health is looked at, or the child that looks is late; 0 for never.
    pub health_at_ms: u64,
    /// How often in a row it was not well.
    pub health_failures: u32,
    /// The child that looks; 0 without one.
    pub health_worker: u32,
}

/// How far the end has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Not at all.
    Up,
    /// The services are being stopped.
    Down,
    /// The bundles of the shutdown run.
    Last,
    /// Nothing runs any more, or too long.
    Over,
}

/// The kinds of descriptors, as the upper half of their numbers in the epoll.
pub mod token {
    #![allow(missing_docs, reason = "each is what its name says")]
    pub const SIGNALS: u64 = 0;
    pub const CONTROL: u64 = 1;
    pub const CLIENT: u64 = 2;
    pub const LOG: u64 = 3;
    pub const NOTIFY: u64 = 4;
    pub const READY: u64 = 5;
    pub const MASTER: u64 = 6;
    pub const GONE: u64 = 7;

    /// The number of one.
    pub fn of(kind: u64, index: usize) -> u64 {
        kind << 32 | index as u64
    }
}

/// Whoever talks to us at the same time; the first has to go when there are more.
pub const MOST_CLIENTS: usize = 8;

/// How often is looked for what tells nobody that it is there: paths and network devices.
const LOOK_AGAIN_MS: u64 = 100;

/// How often the time is noted where a clock is kept in a file.
pub const CLOCK_MS: u64 = 15 * 60_000;

/// PID 1.
pub struct Init<'b> {
    /// What is booted.
    pub boot: &'b Boot<'static>,
    /// How far it is.
    pub lives: &'static mut [Live],
    /// What everybody may know.
    pub table: Table,
    /// What is waited for.
    pub events: Events,
    /// Signals as messages.
    pub signals: OwnedFd,
    /// The socket for requests.
    pub control: Place,
    /// Whoever is connected to it, and the terminal that was given to each; `u16::MAX` for none.
    pub clients: [(Place, u16); MOST_CLIENTS],
    /// The hardware watchdog, its time, and when it is fed next.
    pub watchdog: Place,
    /// Milliseconds between two feedings.
    pub feed_every_ms: u64,
    /// When it is fed next.
    pub feed_at_ms: u64,
    /// What our children need.
    pub origin: Origin,
    /// When the time is noted next, for a boot after a power cut; `u64::MAX` for never.
    pub clock_at_ms: u64,
    /// When the boot has to be good; `u64::MAX` if it is, or need not be.
    pub good_by_ms: u64,
    /// Where we speak.
    pub voice: Voice,
    /// Whether the machine is ours to switch off.
    pub is_device: bool,
    /// How far the end has come.
    pub phase: Phase,
    /// What comes at the end; none for a supervisor that just ends.
    pub leave: Option<Leave>,
    /// When the end has taken too long.
    pub over_at_ms: u64,
    /// Whether nothing is started for now.
    pub is_paused: bool,
    /// Whether something is waited for that tells nobody.
    pub looks: bool,
    /// The child that looks whether a new configuration is good; 0 without one.
    pub checker: u32,
    /// What is executed for our next life.
    pub again: Again,
}

/// What is executed for our next life.
#[derive(Clone, Copy)]
#[allow(missing_docs, reason = "each is what its name says")]
pub struct Again {
    pub program: &'static core::ffi::CStr,
    pub argv: &'static [sys::CPointer<'static>],
    pub path: &'static str,
}

/// Microseconds since the kernel started.
pub fn now_us() -> u64 {
    let now = task::clock_gettime(task::ClockId::Boottime);
    now.tv_sec as u64 * 1_000_000 + now.tv_nsec as u64 / 1000
}

impl Init<'_> {
    /// Goes on until the end; the exit status, where process 1 has somebody to tell it to.
    pub fn run(&mut self) -> i32 {
        while self.phase != Phase::Over {
            self.settle();
            self.table.tell();
            let mut ready = heapless::Vec::<u64, 16>::new();
            self.events.wait(self.until_next(), &mut |token| {
                let _ = ready.push(token); // no more than there is room for are told at once
            });
            for token in ready {
                self.handle(token);
            }
            self.due();
        }
        self.end()
    }

    fn until_next(&self) -> u64 {
        if self.phase == Phase::Over {
            return 0; // nothing more is waited for
        }
        let next = self.lives.iter().map(|live| {
            let health = if live.health_at_ms == 0 { u64::MAX } else { live.health_at_ms };
            live.life.next_ms().min(health)
        });
        let mut next = next.min().unwrap_or(u64::MAX);
        if self.feed_every_ms > 0 {
            next = next.min(self.feed_at_ms);
        }
        next = next.min(self.clock_at_ms).min(self.good_by_ms);
        let now = task::now_ms();
        if self.phase != Phase::Up {
            next = next.min(self.over_at_ms);
        }
        if self.looks {
            next = next.min(now + LOOK_AGAIN_MS);
        }
        next.saturating_sub(now).min(3_600_000)
    }

    /// What has come due.
    fn due(&mut self) {
        let now = task::now_ms();
        for index in 0..self.lives.len() {
            if self.lives[index].life.next_ms() <= now {
                self.apply(index, Event::Time);
            }
            if self.lives[index].health_at_ms != 0 && self.lives[index].health_at_ms <= now {
                self.look_after(index, now);
            }
        }
        self.feed(now);
        if self.good_by_ms <= now {
            self.despair();
        }
        if self.clock_at_ms <= now {
            self.clock_at_ms = now + CLOCK_MS;
            let _ = work::fork(|| self.save_clock()); // it is noted the next time
        }
        if self.phase != Phase::Up && now >= self.over_at_ms {
            self.voice.say(4, format_args!("the shutdown took too long"));
            self.phase = Phase::Over;
        }
    }

    /// The watchdog is fed as long as every critical service is alive, or on its way up for the first time; and all through the end.
    fn feed(&mut self, now: u64) {
        if self.feed_every_ms == 0 || now < self.feed_at_ms {
            return;
        }
        self.feed_at_ms = now + self.feed_every_ms;
        let is_well = |(service, live): (&Service<'_>, &Live)| {
            let first = live.life.failures == 0 && matches!(live.life.state, State::Waiting | State::Preparing);
            !service.policy.is_critical || !service.is_wanted || live.life.is_up() || first || live.life.state == State::Done
        };
        if (self.phase != Phase::Up || self.boot.services.iter().zip(self.lives.iter()).all(is_well))
            && let Some(watchdog) = self.watchdog.get()
        {
            sys::feed_watchdog(watchdog);
        }
    }

    /// Something happened to a service: what it becomes is told, and what it asks for is done.
    pub fn apply(&mut self, index: usize, event: Event) {
        let service = &self.boot.services[index];
        let before = self.lives[index].life;
        let (after, action) = life::next(&service.policy, before, event, task::now_ms());
        self.lives[index].life = after;
        if before.state != after.state {
            self.note(index, before, after);
        }
        self.publish(index);
        match action {
            Action::None => {}
            Action::Prepare => self.prepare(index),
            Action::Abort => self.kill_number(self.lives[index].worker, c::SIGKILL as i32),
            Action::Signal => self.signal(index, service.policy.stop_signal),
            Action::Kill => self.signal(index, c::SIGKILL as i32),
            Action::Clean => self.clean(index),
            Action::GiveUp => self.give_up(index),
            Action::Keep => self.keep_version(index),
        }
    }

    /// Times of the first start, and the few changes that are worth a line.
    fn note(&mut self, index: usize, before: Life, after: Life) {
        let word = match after.state {
            State::Preparing => Some(Row::BegunUs),
            State::Starting | State::Ready if before.state == State::Preparing => Some(Row::RunningUs),
            State::Cleaning => Some(Row::EndedUs),
            _ => None,
        };
        let now = self.table.moment(now_us());
        let row = self.table.row(index);
        let mut set = |word: Row| {
            if row[word as usize] == 0 {
                row[word as usize] = now;
            }
        };
        word.into_iter().for_each(&mut set);
        if after.state == State::Ready {
            set(Row::ReadyUs);
        }
        let id = self.boot.services[index].id;
        match after.state {
            State::Ready | State::Done => self.voice.debug(format_args!("{id}: {}", State::ALL[after.state as usize].1)),
            State::Backoff => self.voice.say(4, format_args!("{id}: ended with {}, is started again", after.exit)),
            State::Failed => self.voice.say(3, format_args!("{id}: failed with {}, is not started again", after.exit)),
            _ => {}
        }
        self.consider(index, after.state);
        if !after.is_up() {
            self.lives[index].health_at_ms = 0;
        } else if !before.is_up() {
            self.arm_health(index);
        }
    }

    /// Writes all that changes of a service into its row.
    pub fn publish(&mut self, index: usize) {
        let live = &self.lives[index];
        let row = self.table.row(index);
        table::set_life(row, &live.life);
        let words = [
            (Row::Worker, live.worker),
            (Row::Report, live.report.number()),
            (Row::Log, live.log.number()),
            (Row::Notify, live.notify.number()),
            (Row::ReadyFd, live.ready.number()),
            (Row::Master, live.master.number()),
            (Row::Stranger, live.stranger.number()),
            (Row::HealthFailures, live.health_failures),
            (Row::HealthWorker, live.health_worker),
        ];
        for (at, word) in words {
            row[at as usize] = word;
        }
        table::set_wide(row, Row::LogStart, live.ends.start);
        table::set_wide(row, Row::LogEnd, live.ends.end);
        table::set_wide(row, Row::HealthAt, live.health_at_ms);
    }

    fn signal(&self, index: usize, signal: i32) {
        let live = &self.lives[index];
        send(live.life.pid, live.stranger.get(), signal);
    }

    /// Sends a signal to a child of ours; 0 is none.
    pub fn kill_number(&self, pid: u32, signal: i32) {
        send(pid, None, signal);
    }

    fn prepare(&mut self, index: usize) {
        let service = &self.boot.services[index];
        if let Task::Broken(_) = service.task {
            return self.apply(index, Event::Broken);
        }
        let made = self.output(index).and_then(|output| match service.task {
            Task::Bundle(bundle) => self.start_bundle(index, bundle, output).map(|()| None),
            Task::Program(argv, tty) => work::fork(|| work::execute(argv, tty, output.as_fd(), &self.origin)).map(Some),
            Task::Mount(mount) => {
                let mounted = || {
                    work::mount(mount, (self.boot, index, self.is_device), output.as_fd(), &self.origin, &self.voice);
                    self.count_attempt(Some(index));
                    self.look_for_installed(index);
                };
                work::fork(mounted).map(Some)
            }
            Task::LogFiles(files) => {
                work::fork(|| super::log_files::keep(files, index, &mut self.table, output.as_fd(), &self.origin)).map(Some)
            }
            Task::Broken(_) => Ok(None),
        });
        match made {
            Ok(None) => self.publish(index),
            Ok(Some(pid)) => self.apply(index, Event::Prepared(pid)),
            Err(errno) => {
                self.voice.say(3, format_args!("{}: cannot be prepared: {}", service.id, Reason(errno)));
                self.apply(index, Event::Broken);
            }
        }
    }

    /// A pipe for what it writes; we keep the reading end.
    fn output(&mut self, index: usize) -> Result<OwnedFd, sys::Errno> {
        self.drain(index);
        let (reader, writer) = sys::pipe()?;
        self.events.add(reader.as_fd(), token::of(token::LOG, index))?;
        self.lives[index].log.put(reader);
        Ok(writer)
    }

    fn start_bundle(&mut self, index: usize, bundle: &core::ffi::CStr, output: OwnedFd) -> Result<(), sys::Errno> {
        let service = &self.boot.services[index];
        self.open_notify(index)?;
        let ready = if service.policy.ready == Ready::Fd {
            let (reader, writer) = sys::pipe()?;
            self.events.add(reader.as_fd(), token::of(token::READY, index))?;
            self.lives[index].ready.put(reader);
            Some(writer)
        } else {
            None
        };
        let (ours, theirs) = sys::pair()?;
        sys::set_nonblocking(ours.as_fd())?;
        let job = Job {
            id: service.id,
            bundle,
            digest: service.digest,
            data: self.boot.data,
            exit: self.lives[index].life.exit,
            policy: service.policy,
            output,
            ready,
            notify: self.lives[index].directory,
        };
        self.lives[index].worker = work::fork(|| work::start(&job, &theirs, &self.origin))?;
        self.lives[index].report.put(ours);
        Ok(())
    }

    fn clean(&mut self, index: usize) {
        self.drain(index);
        ring::close(self.table.log(index), &mut self.lives[index].ends);
        let service = &self.boot.services[index];
        self.lives[index].ready.close();
        self.lives[index].master.close();
        self.kill_number(self.lives[index].health_worker, c::SIGKILL as i32);
        if !matches!(service.task, Task::Bundle(_)) {
            return self.apply(index, Event::Cleaned);
        }
        let output = self.output(index).ok();
        match work::fork(|| work::clean(service.id, output.as_ref().map(AsFd::as_fd), &self.origin)) {
            Ok(pid) => self.lives[index].worker = pid,
            Err(errno) => {
                self.voice.say(3, format_args!("{}: cannot be cleaned up: {}", service.id, Reason(errno)));
                self.apply(index, Event::Cleaned);
            }
        }
        self.publish(index);
    }

    /// Does what its policy says for one that is given up.
    pub fn give_up(&mut self, index: usize) {
        let service = &self.boot.services[index];
        match service.policy.give_up {
            GiveUp::Stop => {}
            GiveUp::Start(other) => self.apply(usize::from(other), Event::Start),
            GiveUp::Reboot => self.begin_end(Some(Leave::Reboot), service.id),
            GiveUp::PowerOff => self.begin_end(Some(Leave::PowerOff), service.id),
        }
    }

    /// Children that have ended.
    pub fn reap(&mut self) {
        while let Some((pid, exit)) = sys::wait_any() {
            self.ended(pid.as_raw_nonzero().get() as u32, exit.code());
        }
    }

    fn ended(&mut self, pid: u32, code: i32) {
        if pid == self.checker {
            return self.checked(code);
        }
        if let Some(index) = self.lives.iter().position(|live| live.worker == pid) {
            return self.worker_ended(index);
        }
        if let Some(index) = self.lives.iter().position(|live| live.health_worker == pid) {
            return self.looked(index, code);
        }
        if let Some(index) = self.lives.iter().position(|live| live.life.pid == pid) {
            return self.exited(index, code);
        }
        // A container whose creator has ended too, and was not seen yet: then it is that one that we have to hear first.
        for index in 0..self.lives.len() {
            let worker = i32::try_from(self.lives[index].worker).ok().and_then(task::Pid::from_raw);
            if worker.is_some_and(|worker| matches!(sys::try_wait_pid(worker), Ok(Some(_)))) {
                self.worker_ended(index);
                if self.lives[index].life.pid == pid {
                    return self.exited(index, code);
                }
            }
        }
    }

    /// Its process has ended.
    pub fn exited(&mut self, index: usize, code: i32) {
        self.drain(index);
        self.lives[index].stranger.close();
        self.apply(index, Event::Exited(code));
    }

    fn worker_ended(&mut self, index: usize) {
        self.lives[index].worker = 0;
        self.drain(index);
        if self.lives[index].life.state == State::Cleaning {
            self.lives[index].log.close();
            return self.apply(index, Event::Cleaned);
        }
        let mut message = [0; 5];
        let received = loop {
            match (self.lives[index].report.get().map(|report| sys::receive(report, &mut message)), message[0]) {
                (Some(Ok((1, _))), work::ON_TRIAL) => self.begin_trial(index),
                (Some(Ok((1, _))), _) => {
                    self.voice.say(4, format_args!("{}: what was there before is started", self.boot.services[index].id));
                }
                (received, _) => break received,
            }
        };
        self.lives[index].report.close();
        match (received, message) {
            (Some(Ok((5, master))), [work::STARTED, pid @ ..]) => {
                if let Some(master) = master {
                    let _ = sys::set_nonblocking(master.as_fd());
                    let _ = self.events.add(master.as_fd(), token::of(token::MASTER, index)); // without it its output is lost, not it
                    self.lives[index].master.put(master);
                }
                self.apply(index, Event::Prepared(u32::from_ne_bytes(pid)));
            }
            _ => self.apply(index, Event::Broken),
        }
    }

    /// Looks whether a new configuration is good, in a child; then we begin our next life with it.
    pub fn reload(&mut self) {
        if self.checker == 0 && self.phase == Phase::Up {
            self.checker = work::fork(|| super::check_configuration(self.again.path)).unwrap_or(0);
        }
    }

    fn checked(&mut self, code: i32) {
        self.checker = 0;
        if code == 0 {
            self.start_over();
        } else {
            self.voice.say(3, format_args!("the new configuration is not used: see `boot --check`"));
        }
    }

    /// Our next life: the same processes, logs, watchdog and state.
    pub fn start_over(&mut self) {
        if self.phase != Phase::Up {
            return;
        }
        self.voice.say(5, format_args!("executed anew"));
        self.table.set_head(Head::IsLeft, 1);
        self.table.set_head(Head::Control, self.control.number());
        self.table.set_head(Head::Watchdog, self.watchdog.number());
        (0..self.lives.len()).for_each(|index| self.publish(index));
        sys::start_over(self.again.program, self.again.argv, self.origin.environment);
        self.table.set_head(Head::IsLeft, 0);
        self.voice.say(3, format_args!("cannot be executed anew"));
    }
}

/// Sends a signal to a process of ours, by its pidfd if there is one.
fn send(pid: u32, pidfd: Option<BorrowedFd<'_>>, signal: i32) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(task::Pid::from_raw) {
        let _ = sys::send_signal(pid, pidfd, signal); // ESRCH: it has ended, and its end is on its way to us
    }
}
