//! Who may start now and who may stop now: the conditions between the services, on the way up and on the way down.

use super::life::{Event, State};
use super::supervise::{Init, Phase, now_us};
use super::table::{Head, Row};
use super::{early, work};
use crate::plan::boot::{After, Condition, Kind, Service, Task};
use crate::sys::{self, Leave, fs, task};

/// How many children prepare and clean up at the same time: each needs some memory of its own.
const MOST_WORKERS: usize = 8;

impl Init<'_> {
    /// Starts what can be started, and while it comes to an end stops what can be stopped.
    pub fn settle(&mut self) {
        loop {
            let changed = match self.phase {
                Phase::Up => self.start_waiting(false),
                Phase::Down => self.stop_next(),
                Phase::Last => self.start_waiting(true),
                Phase::Over => false,
            };
            if !changed {
                break;
            }
        }
        let is_shutdown = |service: &Service<'_>| service.policy.kind == Kind::Shutdown;
        let rests = |wanted: bool| {
            self.boot.services.iter().zip(self.lives.iter()).all(|(service, live)| is_shutdown(service) != wanted || live.life.is_at_rest())
        };
        match self.phase {
            Phase::Down if rests(false) => {
                self.phase = Phase::Last;
                self.settle();
            }
            // Those that wait now wait for what does not come any more.
            Phase::Last if rests(true) => self.phase = Phase::Over,
            Phase::Up if self.table.head(Head::SettledUs) == 0 && self.is_settled() => {
                let now = self.table.moment(now_us());
                self.table.set_head(Head::SettledUs, now);
                self.tell_settled();
            }
            _ => {}
        }
    }

    fn is_settled(&self) -> bool {
        self.boot.services.iter().zip(self.lives.iter()).all(|(service, live)| {
            let waits = matches!(live.life.state, State::Waiting | State::Preparing | State::Starting | State::Cleaning | State::Backoff);
            service.policy.kind == Kind::Shutdown || !waits || service.hold_ms > 0
        })
    }

    fn tell_settled(&mut self) {
        let count = |state: State| self.lives.iter().filter(|live| live.life.state == state).count();
        let (ready, done, failed) = (count(State::Ready), count(State::Done), count(State::Failed));
        let ms = self.table.head(Head::SettledUs).saturating_sub(self.table.head(Head::BeganUs)) / 1000;
        self.voice.say(5, format_args!("booted in {ms} ms: {ready} ready, {done} done, {failed} failed"));
        sys::forget_code(); // most of it is never needed again
        if self.is_device {
            // Not before: it costs the kernel a while. A child does it, which writes our pid.
            let _ = work::fork(early::enter_leaf_cgroup); // without a leaf of its own it only is in nobody's figures
        }
    }

    /// Starts those whose conditions hold, in an order in which one pass is nearly always enough. Whether any was.
    fn start_waiting(&mut self, is_shutdown: bool) -> bool {
        let (mut changed, mut looks) = (false, false);
        let mut workers = self.lives.iter().filter(|live| live.worker != 0).count();
        for index in self.boot.order {
            let index = usize::from(*index);
            let service = &self.boot.services[index];
            let life = self.lives[index].life;
            if life.state != State::Waiting || (service.policy.kind == Kind::Shutdown) != is_shutdown || self.is_paused {
                continue;
            }
            if !self.is_satisfied(index, &mut looks) {
                self.lives[index].life.deadline_ms = 0;
                continue;
            }
            if let Task::Broken(_) = service.task {
                let life = &mut self.lives[index].life;
                (life.state, life.exit) = (State::Failed, 255);
                self.publish(index);
                self.give_up(index);
                changed = true;
            } else if service.hold_ms > 0 {
                if life.deadline_ms == 0 {
                    self.lives[index].life.deadline_ms = task::now_ms() + u64::from(service.hold_ms);
                }
            } else if workers < MOST_WORKERS {
                workers += 1;
                self.apply(index, Event::Begin);
                changed = true;
            }
        }
        self.looks = looks;
        changed
    }

    fn is_satisfied(&mut self, index: usize, looks: &mut bool) -> bool {
        let boot = self.boot;
        for after in &boot.services[index].after {
            let holds = match after {
                After::Service(other, condition) => self.lives[usize::from(*other)].life.satisfies(*condition),
                After::Path(path) => {
                    *looks = true;
                    fs::accessat(fs::CWD, *path, fs::Access::EXISTS, fs::AtFlags::empty()).is_ok()
                }
                After::Network(device) => {
                    *looks = true;
                    early::is_network_up(device)
                }
            };
            if !holds {
                if let After::Service(other, _) = after {
                    self.table.row(index)[Row::WaitedFor as usize] = u32::from(*other) + 1;
                }
                return false;
            }
        }
        true
    }

    /// Stops those that nobody needs any more. Whether any was.
    fn stop_next(&mut self) -> bool {
        let mut changed = false;
        // From the last to the first of the order: whoever needs another is looked at before it.
        for index in self.boot.order.iter().rev() {
            let index = usize::from(*index);
            let service = &self.boot.services[index];
            let life = &self.lives[index].life;
            if service.policy.kind == Kind::Shutdown || !life.is_wanted || self.is_needed(index) {
                continue;
            }
            if matches!(life.state, State::Done | State::Failed | State::Stopped) {
                self.lives[index].life.is_wanted = false;
                continue;
            }
            self.apply(index, Event::Stop);
            changed = true;
        }
        changed
    }

    fn is_needed(&self, index: usize) -> bool {
        if let Task::LogFiles(_) = self.boot.services[index].task {
            let mut others = self.boot.services.iter().zip(self.lives.iter()).enumerate();
            return others
                .any(|(other, (service, live))| other != index && service.policy.kind != Kind::Shutdown && !live.life.is_at_rest());
        }
        self.boot.services.iter().zip(self.lives.iter()).any(|(service, live)| {
            let needs = |after: &After<'_>| matches!(after, After::Service(other, Condition::Started | Condition::Ready) if usize::from(*other) == index);
            !live.life.is_at_rest() && service.after.iter().any(needs)
        })
    }

    /// Begins the end, because of a request, a signal, or a service that was given up.
    pub fn begin_end(&mut self, leave: Option<Leave>, why: &str) {
        if self.phase != Phase::Up {
            return;
        }
        let word = match leave {
            Some(Leave::Reboot) => "reboot",
            Some(Leave::PowerOff) => "power off",
            Some(Leave::Halt) => "halt",
            None => "end",
        };
        self.voice.say(5, format_args!("{word}, because of {why}"));
        (self.phase, self.leave) = (Phase::Down, leave);
        self.over_at_ms = task::now_ms() + u64::from(self.boot.shutdown_timeout_ms);
        self.table.set_head(Head::Leaving, leave.map_or(1, |leave| leave as u32 + 1));
    }
}
