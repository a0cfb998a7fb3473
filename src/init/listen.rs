//! What comes in over the descriptors of PID 1: signals, output, messages, requests. None of it is believed, and none of it can make us wait.

use linux_raw_sys::general as c;

use super::control::{self, Request};
use super::life::{Event, State};
use super::notify::{self, Said};
use super::supervise::{Init, MOST_CLIENTS, token};
use super::table::{self, Row};
use super::{ring, work};
use crate::plan::boot::{self, Ready, Task};
use crate::sys::{self, AsFd, Errno, Leave, OwnedFd, Place, fs, task};

/// How much of one service is read before the others have their turn.
const CHUNK_BYTES: usize = 4096;

/// How many messages of one service, likewise.
const MOST_MESSAGES: usize = 8;

impl Init<'_> {
    /// Something can be read.
    pub fn handle(&mut self, token: u64) {
        let index = token as u32 as usize;
        match token >> 32 {
            token::SIGNALS => self.take_signals(),
            token::CONTROL => self.accept(),
            token::CLIENT => self.listen_to(index),
            token::LOG => {
                self.read_log(index);
                self.publish(index);
            }
            token::NOTIFY => self.read_notify(index),
            token::READY => self.read_ready(index),
            token::MASTER => {
                self.read_master(index);
                self.publish(index);
            }
            // How it ended only its parent knows: it counts as a failure.
            token::GONE if self.lives[index].stranger.get().is_some() => self.exited(index, 255),
            _ => {}
        }
    }

    fn take_signals(&mut self) {
        const REAL_TIME: i32 = 32; // __SIGRTMIN of the kernel; the C library keeps two of them for itself
        while let Some(signal) = sys::take(self.signals.as_fd()) {
            let leave = match signal as u32 {
                c::SIGCHLD => {
                    self.reap();
                    continue;
                }
                c::SIGHUP => {
                    self.reload();
                    continue;
                }
                c::SIGQUIT => {
                    self.start_over();
                    continue;
                }
                c::SIGTSTP | c::SIGCONT => {
                    self.is_paused = signal as u32 == c::SIGTSTP;
                    continue;
                }
                c::SIGUSR1 => Leave::Halt,
                c::SIGUSR2 | c::SIGPWR => Leave::PowerOff,
                c::SIGTERM | c::SIGINT => Leave::Reboot,
                _ => match signal - REAL_TIME - 2 {
                    3 => Leave::Halt,
                    4 => Leave::PowerOff,
                    5 => Leave::Reboot,
                    _ => continue,
                },
            };
            self.begin_end(Some(leave).filter(|_| self.is_device), "a signal");
        }
    }

    /// Reads once. Whether there may be more.
    fn read_log(&mut self, index: usize) -> bool {
        let mut chunk = [0; CHUNK_BYTES];
        let read = self.lives[index].log.get().map(|log| fs::read(log, &mut chunk));
        match read {
            Some(Ok(len)) if len > 0 => {
                self.keep(index, &chunk[..len]);
                len == chunk.len()
            }
            Some(Err(Errno::AGAIN | Errno::INTR)) | None => false,
            _ => {
                self.lives[index].log.close(); // the end: nobody can write any more
                false
            }
        }
    }

    /// Reads what is there, but not for ever.
    pub fn drain(&mut self, index: usize) {
        const MOST_CHUNKS: usize = 16; // what a pipe holds
        for _ in 0..MOST_CHUNKS {
            if !self.read_log(index) {
                break;
            }
        }
    }

    fn keep(&mut self, index: usize, text: &[u8]) {
        let now = task::clock_gettime(task::ClockId::Realtime);
        let time = now.tv_sec as u64 * 1_000_000 + now.tv_nsec as u64 / 1000;
        ring::append(self.table.log(index), &mut self.lives[index].ends, text, time);
        let ends = self.lives[index].ends;
        let row = self.table.row(index);
        table::set_wide(row, Row::LogStart, ends.start);
        table::set_wide(row, Row::LogEnd, ends.end);
    }

    fn read_master(&mut self, index: usize) {
        let mut chunk = [0; CHUNK_BYTES];
        match self.lives[index].master.get().map(|master| fs::read(master, &mut chunk)) {
            Some(Ok(len)) if len > 0 => self.keep(index, &chunk[..len]),
            Some(Err(Errno::AGAIN | Errno::INTR)) | None => {}
            _ => self.lives[index].master.close(), // EIO: nobody holds the other end any more
        }
    }

    /// Makes its notify socket, once.
    pub fn open_notify(&mut self, index: usize) -> Result<(), Errno> {
        let Some(directory) = self.lives[index].directory else { return Ok(()) };
        if self.lives[index].notify.get().is_some() {
            return Ok(());
        }
        let socket = sys::listen_for_messages(directory)?;
        self.events.add(socket.as_fd(), token::of(token::NOTIFY, index))?;
        self.lives[index].notify.put(socket);
        Ok(())
    }

    fn read_notify(&mut self, index: usize) {
        for _ in 0..MOST_MESSAGES {
            let mut message = [0; 1024];
            // What came with it is closed here: that is the answer to BARRIER=1.
            let len = match self.lives[index].notify.get().map(|socket| sys::receive(socket, &mut message)) {
                Some(Ok((len, _))) => len,
                _ => return,
            };
            let mut events = heapless::Vec::<Event, 8>::new();
            let table = &mut self.table;
            notify::parse(&message[..len], &mut |said| match said {
                Said::Event(event) => {
                    let _ = events.push(event); // whoever says more at once has said enough
                }
                Said::Status(text) => table::set_text(table.row(index), Row::Said, text),
            });
            let waits_for_it = self.boot.services[index].policy.ready == Ready::Notify;
            for event in events.into_iter().filter(|event| *event != Event::Ready || waits_for_it) {
                self.apply(index, event);
            }
        }
    }

    fn read_ready(&mut self, index: usize) {
        let mut chunk = [0; 64];
        match self.lives[index].ready.get().map(|ready| fs::read(ready, &mut chunk)) {
            Some(Ok(len)) if chunk[..len].contains(&b'\n') => {
                self.lives[index].ready.close();
                self.apply(index, Event::Ready);
            }
            Some(Ok(0)) => {
                self.lives[index].ready.close();
                self.publish(index);
            }
            _ => {}
        }
    }

    fn accept(&mut self) {
        let Some(Ok(client)) = self.control.get().map(sys::accept_root) else { return };
        let free = self.clients.iter().position(|(place, _)| place.get().is_none()).unwrap_or(0);
        self.hang_up(free);
        if self.events.add(client.as_fd(), token::of(token::CLIENT, free)).is_ok() {
            self.clients[free].0.put(client);
        }
    }

    fn hang_up(&mut self, client: usize) {
        self.clients[client].0.close();
        let attached = core::mem::replace(&mut self.clients[client].1, u16::MAX);
        if let Some(live) = self.lives.get(usize::from(attached))
            && let Some(master) = live.master.get()
        {
            let _ = self.events.add(master, token::of(token::MASTER, usize::from(attached))); // EEXIST: another is attached too
        }
    }

    fn listen_to(&mut self, client: usize) {
        if client >= MOST_CLIENTS {
            return;
        }
        let mut message = [0; control::MOST_BYTES];
        let len = match self.clients[client].0.get().map(|socket| sys::receive(socket, &mut message)) {
            Some(Ok((len, _))) if len > 0 => len,
            Some(Err(Errno::AGAIN)) => return,
            _ => return self.hang_up(client),
        };
        let (answer, terminal) = match control::parse(&message[..len]) {
            Some((request, id)) => self.carry_out(request, id, client),
            None => ("no such request", None),
        };
        let answered = self.clients[client].0.get().map(|socket| {
            let terminal = terminal.and_then(|index| self.lives[index].master.get());
            sys::send(socket, if answer.is_empty() { b"ok" } else { answer.as_bytes() }, terminal)
        });
        if terminal.is_none() || answered != Some(Ok(())) {
            self.hang_up(client);
        }
    }

    /// The answer, empty for yes, and the service whose terminal goes with it.
    fn carry_out(&mut self, request: Request, id: &str, client: usize) -> (&'static str, Option<usize>) {
        let event = match request {
            Request::Start => Event::Start,
            Request::Stop => Event::Stop,
            Request::Restart => Event::Restart,
            Request::Attach => return self.attach(id, client),
            Request::Reload => {
                self.reload();
                return ("", None);
            }
            Request::Reboot | Request::PowerOff | Request::Halt if !self.is_device => {
                self.begin_end(None, "a request");
                return ("", None);
            }
            Request::Reboot => return self.leave_by_request(Leave::Reboot),
            Request::PowerOff => return self.leave_by_request(Leave::PowerOff),
            Request::Halt => return self.leave_by_request(Leave::Halt),
        };
        let Some(index) = self.find(id) else { return ("there is no such service", None) };
        if let Task::Broken(_) = self.boot.services[index].task {
            return ("it cannot be started: see `boot --check`", None);
        }
        self.apply(index, event);
        ("", None)
    }

    fn leave_by_request(&mut self, how: Leave) -> (&'static str, Option<usize>) {
        self.begin_end(Some(how), "a request");
        ("", None)
    }

    fn find(&self, id: &str) -> Option<usize> {
        self.boot.services.iter().position(|service| service.id == id)
    }

    /// Gives the terminal away until the client hangs up; what is written to it meanwhile is the client's alone.
    fn attach(&mut self, id: &str, client: usize) -> (&'static str, Option<usize>) {
        let Some(index) = self.find(id) else { return ("there is no such service", None) };
        let Some(master) = self.lives[index].master.get() else { return ("it has no terminal", None) };
        self.events.remove(master);
        self.clients[client].1 = index as u16;
        ("", Some(index))
    }

    /// Looks at the health of one that just came up, after a while.
    pub fn arm_health(&mut self, index: usize) {
        let policy = &self.boot.services[index].policy;
        if policy.health_interval_ms == 0 {
            return;
        }
        // One that becomes ready by it is asked at once.
        let wait = if policy.ready == Ready::Exec { 1 } else { policy.health_interval_ms.max(policy.health_start_ms) };
        self.lives[index].health_failures = 0;
        self.lives[index].health_at_ms = task::now_ms() + u64::from(wait);
    }

    /// Begins to look, or ends a look that takes too long.
    pub fn look_after(&mut self, index: usize, now: u64) {
        let service = &self.boot.services[index];
        let worker = self.lives[index].health_worker;
        self.lives[index].health_at_ms = now + u64::from(service.policy.health_timeout_ms.max(100));
        if worker != 0 {
            return self.kill_number(worker, c::SIGKILL as i32);
        }
        let origin = &self.origin;
        let output = sys::pipe().map(|(_, writer)| writer);
        let looked = output.and_then(|output: OwnedFd| work::fork(|| work::look(service.id, service.health, output.as_fd(), origin)));
        self.lives[index].health_worker = looked.unwrap_or(0);
        self.publish(index);
    }

    /// What the look said.
    pub fn looked(&mut self, index: usize, code: i32) {
        let service: &boot::Service<'_> = &self.boot.services[index];
        let policy = &service.policy;
        let live = &mut self.lives[index];
        live.health_worker = 0;
        if !live.life.is_up() {
            return;
        }
        let now = task::now_ms();
        live.health_failures = if code == 0 { 0 } else { live.health_failures + 1 };
        let is_starting = live.life.state == State::Starting;
        // Until it is ready it is asked more often than later.
        let wait = if is_starting { policy.health_interval_ms.min(500) } else { policy.health_interval_ms };
        live.health_at_ms = now + u64::from(wait);
        let is_early = now < live.life.since_ms + u64::from(policy.health_start_ms);
        if code == 0 && is_starting && policy.ready == Ready::Exec {
            self.apply(index, Event::Ready);
        } else if !is_starting && !is_early && live.health_failures >= policy.health_retries {
            self.voice.say(4, format_args!("{}: is not well", service.id));
            self.apply(index, Event::Unwell);
        }
        self.publish(index);
    }

    /// Takes over a client's place after our next life began: nobody is connected.
    pub fn no_clients() -> [(Place, u16); MOST_CLIENTS] {
        [const { (Place::EMPTY, u16::MAX) }; MOST_CLIENTS]
    }
}
