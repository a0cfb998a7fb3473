//! The life of one service, pure: from what it is in, what happens and the time to what it is in then and what is to be done.
//!
//! Mustn't: know of processes, descriptors or clocks. Every time is handed in, in milliseconds of a clock that never goes back.

use crate::plan::boot::{Condition, Kind, Policy, Ready, Restart};

/// Where a service is in its life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum State {
    /// It waits for others.
    #[default]
    Waiting,
    /// It is being created.
    Preparing,
    /// It runs, and is not ready yet.
    Starting,
    /// It runs and is ready.
    Ready,
    /// It was told to end.
    Stopping,
    /// It has ended, and what is left of it is being removed.
    Cleaning,
    /// It waits to be started again.
    Backoff,
    /// It has done what it was to do.
    Done,
    /// It has failed, and is not started again.
    Failed,
    /// Somebody stopped it.
    Stopped,
}

impl State {
    /// All of them with their words, in the order of their numbers.
    pub const ALL: [(State, &str); 10] = [
        (State::Waiting, "waiting"),
        (State::Preparing, "preparing"),
        (State::Starting, "starting"),
        (State::Ready, "ready"),
        (State::Stopping, "stopping"),
        (State::Cleaning, "cleaning"),
        (State::Backoff, "backoff"),
        (State::Done, "done"),
        (State::Failed, "failed"),
        (State::Stopped, "stopped"),
    ];
}

/// What happens to a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// All that it waits for is there.
    Begin,
    /// It was created and runs as this process.
    Prepared(u32),
    /// It could not be created.
    Broken,
    /// It says that it is ready.
    Ready,
    /// It says that it is alive.
    Alive,
    /// It says that it needs so many milliseconds more.
    Extend(u32),
    /// It says that it is about to end by itself.
    Ending,
    /// It says that it is not well, or says nothing any more.
    Unwell,
    /// Its process has ended with this status, 128 + the signal if by one.
    Exited(i32),
    /// What was left of it is gone.
    Cleaned,
    /// The time of [`Life::next_ms`] has come.
    Time,
    /// It is a new version, which has to show that it is good.
    Trial,
    /// Somebody wants it up.
    Start,
    /// Somebody wants it down.
    Stop,
    /// Somebody wants it down and up again.
    Restart,
}

/// What is to be done about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Nothing.
    None,
    /// Create and start it.
    Prepare,
    /// Give up creating it.
    Abort,
    /// Send it its stop signal.
    Signal,
    /// Kill all of it.
    Kill,
    /// Remove what is left of it.
    Clean,
    /// Do what its policy says for one that is given up.
    GiveUp,
    /// The version that was on trial is good.
    Keep,
}

/// A service, as far as it changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Life {
    /// Where it is.
    pub state: State,
    /// Whether it is to be up.
    pub is_wanted: bool,
    /// Whether it is to come up again at once after its end.
    pub is_again: bool,
    /// Whether its end counts as a failure, whatever its status.
    pub is_unwell: bool,
    /// Whether it is given up once it is clean.
    pub is_given_up: bool,
    /// Whether it has to show that it is good: any other end than being kept is followed by what was there before.
    pub is_on_trial: bool,
    /// Where it goes when it is clean.
    pub then: State,
    /// Its process; 0 without one.
    pub pid: u32,
    /// How it ended last; -1 before.
    pub exit: i32,
    /// Failures in a row.
    pub failures: u32,
    /// Restarts in all.
    pub restarts: u32,
    /// Since when it runs.
    pub since_ms: u64,
    /// When something is to happen; 0 for never.
    pub deadline_ms: u64,
    /// When it must have said that it is alive; 0 for never.
    pub alive_by_ms: u64,
}

/// Killed processes end soon; those that do not are killed again.
const KILL_AGAIN_MS: u64 = 2_000;

/// s6's word for it: do not start me again.
const DO_NOT_RESTART: i32 = 125;

impl Life {
    /// One that is to be up, or not, and was never started.
    pub fn new(is_wanted: bool) -> Self {
        Life { is_wanted, exit: -1, state: if is_wanted { State::Waiting } else { State::Stopped }, ..Life::default() }
    }

    /// When the next [`Event::Time`] is due; `u64::MAX` for never.
    pub fn next_ms(&self) -> u64 {
        let due = |time: u64| if time == 0 { u64::MAX } else { time };
        due(self.deadline_ms).min(due(self.alive_by_ms))
    }

    /// Whether its process runs and was not told to end.
    pub fn is_up(&self) -> bool {
        matches!(self.state, State::Starting | State::Ready)
    }

    /// Whether nothing of it is there, and nothing is going on.
    pub fn is_at_rest(&self) -> bool {
        matches!(self.state, State::Waiting | State::Backoff | State::Done | State::Failed | State::Stopped)
    }

    /// Whether a condition on it holds.
    pub fn satisfies(&self, condition: Condition) -> bool {
        let (is_done, has_failed) = (self.state == State::Done, self.state == State::Failed);
        match condition {
            Condition::Started => self.is_up() || is_done,
            Condition::Ready => self.state == State::Ready || is_done,
            Condition::Exited => is_done,
            Condition::Failed => has_failed,
            Condition::Ended => is_done || has_failed,
        }
    }

    fn stop(&mut self, policy: &Policy, now: u64) {
        self.state = State::Stopping;
        self.alive_by_ms = 0;
        self.deadline_ms = now + u64::from(policy.stop_timeout_ms.max(1));
    }

    /// It has ended, or could not be created: where it goes once it is clean.
    fn end(&mut self, policy: &Policy, code: i32, now: u64) -> Action {
        let is_ok = code == 0 && !self.is_unwell;
        let was_up = self.pid != 0 && now.saturating_sub(self.since_ms) >= u64::from(policy.reset_ms);
        (self.pid, self.exit, self.is_unwell, self.deadline_ms, self.alive_by_ms) = (0, code, false, 0, 0);
        self.state = State::Cleaning;
        self.is_given_up = false;
        if was_up {
            self.failures = 0;
        }
        let was_on_trial = core::mem::take(&mut self.is_on_trial);
        self.then = if !self.is_wanted {
            State::Stopped
        } else if core::mem::take(&mut self.is_again) || was_on_trial && !(is_ok && policy.kind != Kind::Service) {
            State::Waiting
        } else if code == DO_NOT_RESTART {
            State::Failed
        } else if is_ok && (policy.restart != Restart::Always || policy.kind != Kind::Service) {
            State::Done
        } else {
            self.failures += 1;
            let is_over = policy.limit > 0 && self.failures > policy.limit;
            self.is_given_up = policy.restart == Restart::No || is_over;
            if self.is_given_up { State::Failed } else { State::Backoff }
        };
        self.is_on_trial = was_on_trial && self.then == State::Done;
        if matches!(self.then, State::Waiting | State::Backoff) {
            self.restarts += 1;
        }
        Action::Clean
    }

    /// It is ready, and on trial for a while from now on if it has to show that it is good.
    fn make_ready(&mut self, policy: &Policy, now: u64) {
        self.state = State::Ready;
        self.deadline_ms = if self.is_on_trial { now + u64::from(policy.trial_ms.max(1)) } else { 0 };
    }

    fn delay_ms(&self, policy: &Policy) -> u64 {
        let doubled = u64::from(policy.delay_ms) << (self.failures.max(1) - 1).min(31);
        doubled.min(u64::from(policy.delay_max_ms).max(u64::from(policy.delay_ms)))
    }
}

/// What becomes of a service, and what is to be done. What an event means nothing to stays as it is.
pub fn next(policy: &Policy, mut life: Life, event: Event, now: u64) -> (Life, Action) {
    let start_timeout = u64::from(policy.start_timeout_ms);
    let is_silent = life.alive_by_ms != 0 && life.alive_by_ms <= now;
    let is_due = life.deadline_ms != 0 && life.deadline_ms <= now;
    let action = match (life.state, event) {
        (State::Waiting, Event::Begin) => begin(&mut life, now, start_timeout),
        (State::Waiting, Event::Time) if is_due => begin(&mut life, now, start_timeout),
        (State::Preparing, Event::Prepared(pid)) => {
            (life.pid, life.since_ms, life.deadline_ms) = (pid, now, 0);
            let is_service = policy.kind == Kind::Service;
            life.state = State::Starting;
            if is_service && policy.ready == Ready::Started {
                life.make_ready(policy, now);
            }
            if life.state == State::Starting && (is_service || policy.has_start_timeout) && start_timeout > 0 {
                life.deadline_ms = now + start_timeout;
            }
            watch(&mut life, policy, now);
            Action::None
        }
        (State::Stopping, Event::Prepared(pid)) => {
            life.pid = pid;
            Action::Kill
        }
        (State::Preparing | State::Stopping, Event::Broken) => life.end(policy, 255, now),
        (State::Starting, Event::Ready) if policy.kind == Kind::Service => {
            life.make_ready(policy, now);
            watch(&mut life, policy, now);
            Action::None
        }
        (State::Starting | State::Ready, Event::Alive) => {
            watch(&mut life, policy, now);
            Action::None
        }
        (State::Starting | State::Ready | State::Stopping, Event::Extend(milliseconds)) => {
            if life.deadline_ms != 0 {
                life.deadline_ms = life.deadline_ms.max(now + u64::from(milliseconds));
            }
            Action::None
        }
        (State::Starting | State::Ready, Event::Ending) => {
            // No longer ready, and it has as much time for it as if we had asked.
            (life.state, life.alive_by_ms) = (State::Starting, 0);
            life.deadline_ms = now + u64::from(policy.stop_timeout_ms.max(1));
            Action::None
        }
        (State::Preparing, Event::Time) if is_due => {
            life.is_unwell = true;
            life.stop(policy, now);
            Action::Abort
        }
        (State::Preparing | State::Stopping, Event::Trial) => {
            life.is_on_trial = true;
            Action::None
        }
        (State::Starting | State::Ready, Event::Time) if !(is_due || is_silent) => Action::None,
        (State::Ready, Event::Time) if !is_silent && life.is_on_trial => {
            (life.is_on_trial, life.deadline_ms) = (false, 0);
            Action::Keep
        }
        (State::Starting | State::Ready, Event::Time | Event::Unwell) => {
            life.is_unwell = true;
            life.stop(policy, now);
            Action::Signal
        }
        (State::Starting | State::Ready | State::Stopping, Event::Exited(code)) => {
            // Its end by our own signal is no failure.
            let code = if life.state == State::Stopping && !life.is_unwell { 0 } else { code };
            life.end(policy, code, now)
        }
        (State::Stopping, Event::Time) if is_due => {
            life.deadline_ms = now + KILL_AGAIN_MS;
            if life.pid == 0 { Action::Abort } else { Action::Kill }
        }
        (State::Cleaning, Event::Cleaned) => {
            life.state = life.then;
            match life.state {
                State::Backoff => life.deadline_ms = now + life.delay_ms(policy),
                State::Failed if life.is_given_up => return (life, Action::GiveUp),
                State::Done if core::mem::take(&mut life.is_on_trial) => return (life, Action::Keep),
                _ => {}
            }
            Action::None
        }
        (State::Backoff, Event::Time) if is_due => {
            (life.state, life.deadline_ms) = (State::Waiting, 0);
            Action::None
        }
        (_, Event::Stop) => {
            (life.is_wanted, life.is_again) = (false, false);
            bring_down(&mut life, policy, now)
        }
        (State::Stopping | State::Cleaning, Event::Start | Event::Restart) => {
            (life.is_wanted, life.is_again) = (true, true);
            if life.state == State::Cleaning {
                life.then = State::Waiting;
            }
            Action::None
        }
        (State::Preparing | State::Starting | State::Ready, Event::Restart) => {
            (life.is_wanted, life.is_again) = (true, true);
            bring_down(&mut life, policy, now)
        }
        (State::Backoff | State::Done | State::Failed | State::Stopped, Event::Start | Event::Restart) => {
            (life.state, life.is_wanted, life.failures, life.deadline_ms) = (State::Waiting, true, 0, 0);
            Action::None
        }
        _ => Action::None,
    };
    (life, action)
}

fn begin(life: &mut Life, now: u64, start_timeout: u64) -> Action {
    (life.state, life.is_unwell, life.is_on_trial) = (State::Preparing, false, false);
    life.deadline_ms = if start_timeout > 0 { now + start_timeout } else { 0 };
    Action::Prepare
}

fn bring_down(life: &mut Life, policy: &Policy, now: u64) -> Action {
    match life.state {
        State::Preparing => {
            life.stop(policy, now);
            Action::Abort
        }
        State::Starting | State::Ready => {
            life.stop(policy, now);
            Action::Signal
        }
        State::Cleaning => {
            life.then = State::Stopped;
            Action::None
        }
        State::Waiting | State::Backoff => {
            (life.state, life.deadline_ms) = (State::Stopped, 0);
            Action::None
        }
        _ => Action::None,
    }
}

/// The time runs from when it is ready.
fn watch(life: &mut Life, policy: &Policy, now: u64) {
    if policy.watchdog_ms > 0 && life.state == State::Ready {
        life.alive_by_ms = now + u64::from(policy.watchdog_ms);
    }
}

#[cfg(test)]
mod tests;
