//! What was there before this life began: the table of the life before, its descriptors, the containers that run.
//!
//! Must: let whoever runs go on, whatever cannot be read. Mustn't: believe a number that is not checked.

use super::life::{Event, Life, State};
use super::ring::{self, Ends};
use super::supervise::{Init, Live};
use super::table::{self, HEAD_WORDS, Head, ROW_WORDS, Row};
use super::{Began, STATE_ROOT, work};
use crate::container::state::Status;
use crate::container::{facts, list};
use crate::error::Reason;
use crate::mem::Arena;
use crate::plan::boot::Task;
use crate::sys::{self, AsFd, Errno, OwnedFd, Place, fs, task};

impl Init<'_> {
    /// Takes over what the life before left: whoever runs goes on, and nothing that it wrote is lost.
    pub fn adopt(&mut self, old: &OwnedFd, began: Began, arena: &Arena<'static>) {
        let is_same = !matches!(began, Began::Anew(_));
        let read = self.adopt_table(old, began);
        match read {
            Ok(()) if is_same => return,
            Ok(()) => {}
            Err(errno) => self.voice.say(4, format_args!("what the life before kept cannot be read: {}", Reason(errno))),
        }
        if is_same {
            self.close_others(&[], old);
        }
        for index in 0..self.lives.len() {
            // Of another version, or another process, nothing is sure but what the containers' own state says.
            let life = self.lives[index].life;
            if self.find_running(index, arena).is_none() && !matches!(life.state, State::Done | State::Failed | State::Stopped) {
                self.lives[index].life = Life { restarts: life.restarts, ..Life::new(life.is_wanted) };
            }
        }
    }

    /// The container of a service as it runs, if it does: who is no child of ours is watched by a pidfd, and its output is read where it goes.
    fn find_running(&mut self, index: usize, arena: &Arena<'static>) -> Option<()> {
        let service = &self.boot.services[index];
        let Task::Bundle(_) = service.task else { return None };
        let procfs = facts::open_procfs().ok()?;
        let found = list::find(STATE_ROOT, service.id, procfs.as_fd(), arena).ok()?;
        let pid = found.record.pid;
        if !matches!(found.status, Status::Running | Status::Paused) {
            return None;
        }
        let process = i32::try_from(pid).ok().and_then(task::Pid::from_raw)?;
        let live = &mut self.lives[index];
        if live.life.pid != pid || !live.life.is_up() {
            live.life = Life { state: State::Ready, is_wanted: true, pid, since_ms: task::now_ms(), ..Life::new(true) };
        }
        if sys::try_wait_pid(process) == Err(Errno::CHILD) {
            live.stranger.put(task::pidfd_open(process, task::PidfdFlags::empty()).ok()?);
        }
        let output = arena.format_c(format_args!("/proc/{pid}/fd/1")).ok()?;
        if live.log.get().is_none()
            && let Ok(log) = fs::open(output, fs::OFlags::RDONLY | fs::OFlags::NONBLOCK | fs::OFlags::CLOEXEC, fs::Mode::empty())
            && sys::file_type(&log) == Ok(fs::FileType::Fifo)
        {
            live.log.put(log);
        }
        if let Some(socket) = live.directory.and_then(|directory| sys::listen_for_messages(directory).ok()) {
            live.notify.put(socket); // the directory is mounted in the container, which finds the new one
        }
        self.arm_health(index);
        Some(())
    }

    fn adopt_table(&mut self, old: &OwnedFd, began: Began) -> core::result::Result<(), Errno> {
        let is_same = !matches!(began, Began::Anew(_));
        let mut head = [0; HEAD_WORDS];
        sys::read_words(old.as_fd(), &mut head)?;
        let (count, log_bytes) = (head[Head::Count as usize] as usize, head[Head::LogBytes as usize] as usize);
        if head[Head::Magic as usize] != table::MAGIC
            || head[Head::RowWords as usize] != ROW_WORDS as u32
            || count > crate::plan::boot::MOST_SERVICES
        {
            return Err(Errno::PROTO);
        }
        let words = HEAD_WORDS + count * ROW_WORDS;
        let mut kept = heapless::Vec::<u32, 8>::new();
        sys::with_words(words, |words| {
            sys::read_words(old.as_fd(), words)?;
            for index in 0..count {
                let row = &words[HEAD_WORDS + index * ROW_WORDS..][..ROW_WORDS];
                let offset = words.len() * 4 + index * log_bytes;
                self.adopt_row(row, is_same, (old, offset as u64, log_bytes));
            }
            Ok(())
        })?;
        if !is_same {
            return Ok(());
        }
        for word in [Head::EpochS, Head::BeganUs, Head::SettledUs, Head::WasReset, Head::Attempts] {
            self.table.set_head(word, head[word as usize]);
        }
        self.watchdog = Place::inherited(head[Head::Watchdog as usize]);
        let _ = kept.push(self.watchdog.number());
        self.close_others(&kept, old);
        if began == Began::Fault {
            self.count_fault(&head);
        }
        Ok(())
    }

    fn adopt_row(&mut self, row: &[u32], is_same: bool, (old, offset, log_bytes): (&OwnedFd, u64, usize)) {
        let mut buffer = [0; 64];
        let id = table::text(row, Row::Id, &mut buffer);
        let life = table::life(row);
        let Some(index) = self.boot.services.iter().position(|service| service.id == id) else {
            // It is not to be booted any more: it ends, and a child removes what is left of it.
            let _ = work::fork(|| work::clean(id, None, &self.origin));
            return;
        };
        let live = &mut self.lives[index];
        let is_wanted = live.life.is_wanted;
        live.life = life;
        // What only waited waits anew, for what the new configuration says.
        if matches!(life.state, State::Waiting | State::Stopped) && is_wanted != life.is_wanted {
            live.life = Life { exit: life.exit, restarts: life.restarts, ..Life::new(is_wanted) };
        }
        // Numbers of processes and descriptors are those of the same process alone.
        let word = |at: Row| row[at as usize];
        let place = |at: Row| if is_same { Place::inherited(row[at as usize]) } else { Place::EMPTY };
        live.worker = if is_same { word(Row::Worker) } else { 0 };
        live.health_worker = if is_same { word(Row::HealthWorker) } else { 0 };
        live.health_failures = word(Row::HealthFailures);
        live.health_at_ms = table::wide(row, Row::HealthAt);
        live.report = place(Row::Report);
        live.log = place(Row::Log);
        live.notify = place(Row::Notify);
        live.ready = place(Row::ReadyFd);
        live.master = place(Row::Master);
        live.stranger = place(Row::Stranger);
        let new = self.table.row(index);
        for at in [Row::BegunUs, Row::RunningUs, Row::ReadyUs, Row::EndedUs, Row::WaitedFor] {
            new[at as usize] = word(at);
        }
        new[Row::Said as usize..Row::Said as usize + 16].copy_from_slice(&row[Row::Said as usize..Row::Said as usize + 16]);
        let log = self.table.log(index);
        let ends = Ends { start: table::wide(row, Row::LogStart), end: table::wide(row, Row::LogEnd), open: None };
        let used = usize::try_from(ends.end).unwrap_or(usize::MAX).min(log_bytes); // what was never written is not touched
        if log.len() == log_bytes && fs::pread(old, &mut log[..used], offset) == Ok(used) {
            live.ends = ends;
            ring::resume(log, &mut live.ends);
            table::set_wide(self.table.row(index), Row::Filed, table::wide(row, Row::Filed));
        }
        if is_same && let Task::LogFiles(_) = self.boot.services[index].task {
            self.apply(index, Event::Restart); // it writes from a table that is no more
        }
    }

    /// What the life before had open and this one does not know: its epoll, its table, its socket.
    fn close_others(&self, kept: &[u32], old: &OwnedFd) {
        const MOST: u32 = 4096; // as many are handed on
        let number = |fd: &OwnedFd| sys::AsRawFd::as_raw_fd(fd) as u32;
        let own = [self.events.number(), number(&self.signals), number(old)]; // `old` is closed by who opened it
        for number in (3..MOST).filter(|number| sys::is_open(*number)) {
            let is_live = |live: &Live| {
                [&live.report, &live.log, &live.notify, &live.ready, &live.master, &live.stranger]
                    .iter()
                    .any(|place| place.number() == number)
            };
            let is_ours = own.contains(&number) || self.voice.is(number);
            if kept.contains(&number) || self.lives.iter().any(is_live) {
                let _ = sys::close_on_exec_number(number);
            } else if !is_ours {
                sys::close_numbers(&[number]);
            }
        }
    }

    /// The third fault within a minute ends in a reboot: we are no good to anybody.
    fn count_fault(&mut self, head: &[u32]) {
        const WINDOW_S: u32 = 60;
        let now = (task::now_ms() / 1000) as u32;
        let (faults, since) = (head[Head::Faults as usize], head[Head::FaultsSinceS as usize]);
        let (faults, since) = if faults == 0 || now - since > WINDOW_S { (1, now) } else { (faults + 1, since) };
        self.table.set_head(Head::Faults, faults);
        self.table.set_head(Head::FaultsSinceS, since);
        if faults >= 3 {
            self.begin_end(Some(sys::Leave::Reboot).filter(|_| self.is_device), "three faults within a minute");
        }
    }
}
