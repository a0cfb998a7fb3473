//! Events in, life and action out.

use super::*;
use proptest::prelude::*;

fn service() -> Policy {
    Policy {
        kind: Kind::Service,
        restart: Restart::OnFailure,
        delay_ms: 200,
        delay_max_ms: 1000,
        reset_ms: 60_000,
        limit: 3,
        start_timeout_ms: 10_000,
        stop_timeout_ms: 5_000,
        ..Policy::default()
    }
}

/// Walks through events, each at its time, and returns the life and the last action.
fn walk(policy: &Policy, life: Life, events: &[(Event, u64)]) -> (Life, Action) {
    events.iter().fold((life, Action::None), |(life, _), (event, now)| next(policy, life, *event, *now))
}

const UP: [(Event, u64); 2] = [(Event::Begin, 10), (Event::Prepared(7), 20)];

fn up(policy: &Policy) -> Life {
    walk(policy, Life::new(true), &UP).0
}

#[test]
fn it_is_ready_when_it_runs_or_when_it_says_so() {
    assert_eq!(up(&service()).state, State::Ready);
    let notify = Policy { ready: Ready::Notify, ..service() };
    let (life, _) = walk(&notify, up(&notify), &[(Event::Ready, 30)]);
    assert_eq!((up(&notify).state, life.state, life.deadline_ms), (State::Starting, State::Ready, 0));
}

#[test]
fn one_that_never_gets_ready_is_stopped_and_started_again() {
    let notify = Policy { ready: Ready::Notify, ..service() };
    let (life, action) = walk(&notify, up(&notify), &[(Event::Time, 10_019)]);
    assert_eq!((life.state, action), (State::Starting, Action::None));
    let (life, action) = walk(&notify, life, &[(Event::Time, 10_020)]);
    assert_eq!((life.state, action), (State::Stopping, Action::Signal));
    let (life, action) = walk(&notify, life, &[(Event::Exited(0), 10_050), (Event::Cleaned, 10_060)]);
    assert_eq!((life.state, life.failures, action), (State::Backoff, 1, Action::None));
}

#[test]
fn it_can_ask_for_more_time() {
    let notify = Policy { ready: Ready::Notify, ..service() };
    let (life, _) = walk(&notify, up(&notify), &[(Event::Extend(60_000), 1_000), (Event::Time, 10_020)]);
    assert_eq!((life.state, life.deadline_ms), (State::Starting, 61_000));
}

#[test]
fn a_crash_loop_is_slowed_down_and_given_up() {
    let (mut life, mut now) = (up(&service()), 100);
    for delay in [200, 400, 800] {
        (life, _) = walk(&service(), life, &[(Event::Exited(1), now), (Event::Cleaned, now)]);
        assert_eq!((life.state, life.deadline_ms - now), (State::Backoff, delay));
        now += delay;
        let (waiting, _) = walk(&service(), life, &[(Event::Time, now)]);
        assert_eq!(waiting.state, State::Waiting);
        (life, _) = walk(&service(), waiting, &[(Event::Begin, now), (Event::Prepared(8), now)]);
    }
    let (life, action) = walk(&service(), life, &[(Event::Exited(1), now), (Event::Cleaned, now)]);
    assert_eq!((life.state, life.restarts, action), (State::Failed, 3, Action::GiveUp));
}

#[test]
fn failures_are_forgotten_after_a_while_and_the_delay_has_a_bound() {
    let mut life = Life { failures: 3, ..up(&service()) };
    (life, _) = walk(&service(), life, &[(Event::Exited(1), 60_020), (Event::Cleaned, 60_020)]);
    assert_eq!((life.state, life.failures), (State::Backoff, 1));
    let endless = Policy { limit: 0, ..service() };
    let (life, _) = walk(&endless, Life { failures: 90, ..up(&endless) }, &[(Event::Exited(1), 21), (Event::Cleaned, 21)]);
    assert_eq!((life.state, life.deadline_ms), (State::Backoff, 1021));
}

#[test]
fn statuses_are_honoured() {
    for (restart, status, then) in [
        (Restart::OnFailure, 0, State::Done),
        (Restart::OnFailure, 1, State::Backoff),
        (Restart::OnFailure, 125, State::Failed),
        (Restart::Always, 0, State::Backoff),
        (Restart::Always, 125, State::Failed),
        (Restart::No, 0, State::Done),
        (Restart::No, 1, State::Failed),
    ] {
        let policy = Policy { restart, ..service() };
        let (life, action) = walk(&policy, up(&policy), &[(Event::Exited(status), 30)]);
        assert_eq!((life.state, life.then, action), (State::Cleaning, then, Action::Clean), "{restart:?} {status}");
    }
    let (_, action) = walk(&service(), up(&service()), &[(Event::Exited(125), 30), (Event::Cleaned, 40)]);
    assert_eq!(action, Action::None, "125 is no reason to give up");
}

#[test]
fn a_oneshot_may_take_its_time_and_is_done_at_its_end() {
    let oneshot = Policy { kind: Kind::Oneshot, restart: Restart::No, ..service() };
    let (life, _) = walk(&oneshot, up(&oneshot), &[(Event::Ready, 25), (Event::Time, 99_999)]);
    assert_eq!(life.state, State::Starting);
    let (life, _) = walk(&oneshot, life, &[(Event::Exited(0), 100_000), (Event::Cleaned, 100_001)]);
    assert_eq!(life.state, State::Done);
    let bounded = Policy { has_start_timeout: true, ..oneshot };
    let (life, action) = walk(&bounded, up(&bounded), &[(Event::Time, 10_020)]);
    assert_eq!((life.state, action), (State::Stopping, Action::Signal));
}

#[test]
fn stopping_has_a_deadline_and_ends_in_a_kill() {
    let (life, action) = walk(&service(), up(&service()), &[(Event::Stop, 1000)]);
    assert_eq!((life.state, action, life.deadline_ms), (State::Stopping, Action::Signal, 6000));
    let (life, action) = walk(&service(), life, &[(Event::Time, 6000)]);
    assert_eq!((action, life.deadline_ms), (Action::Kill, 8000));
    let (life, action) = walk(&service(), life, &[(Event::Exited(137), 6001), (Event::Cleaned, 6002)]);
    assert_eq!((life.state, life.failures, action), (State::Stopped, 0, Action::None));
}

#[test]
fn one_that_is_being_created_can_be_stopped_too() {
    let (life, action) = walk(&service(), Life::new(true), &[(Event::Begin, 1), (Event::Stop, 2)]);
    assert_eq!((life.state, action), (State::Stopping, Action::Abort));
    let (_, action) = walk(&service(), life, &[(Event::Prepared(9), 3)]);
    assert_eq!(action, Action::Kill);
    let (life, _) = walk(&service(), life, &[(Event::Broken, 3), (Event::Cleaned, 4)]);
    assert_eq!(life.state, State::Stopped);
}

#[test]
fn one_that_hangs_while_it_is_created_is_aborted_and_tried_again() {
    let (life, action) = walk(&service(), Life::new(true), &[(Event::Begin, 1), (Event::Time, 10_001)]);
    assert_eq!((life.state, action), (State::Stopping, Action::Abort));
    let (life, _) = walk(&service(), life, &[(Event::Broken, 10_002), (Event::Cleaned, 10_003)]);
    assert_eq!((life.state, life.failures), (State::Backoff, 1));
}

#[test]
fn a_restart_by_hand_waits_for_nothing_and_counts_no_failure() {
    let (life, action) = walk(&service(), up(&service()), &[(Event::Restart, 50)]);
    assert_eq!((life.state, action), (State::Stopping, Action::Signal));
    let (life, _) = walk(&service(), life, &[(Event::Exited(143), 60), (Event::Cleaned, 61)]);
    assert_eq!((life.state, life.failures, life.restarts), (State::Waiting, 0, 1));
    let (life, _) = walk(&service(), Life { state: State::Failed, failures: 4, ..life }, &[(Event::Start, 70)]);
    assert_eq!((life.state, life.failures), (State::Waiting, 0));
}

#[test]
fn a_service_that_falls_silent_is_unwell() {
    let watched = Policy { watchdog_ms: 1000, ..service() };
    let life = up(&watched);
    assert_eq!((life.alive_by_ms, life.next_ms()), (1020, 1020));
    let (life, action) = walk(&watched, life, &[(Event::Alive, 900), (Event::Time, 1500)]);
    assert_eq!((life.state, action), (State::Ready, Action::None));
    let (life, action) = walk(&watched, life, &[(Event::Time, 1900)]);
    assert_eq!((life.state, action), (State::Stopping, Action::Signal));
}

#[test]
fn one_that_says_it_is_ending_has_its_stop_time_for_it() {
    let (life, action) = walk(&service(), up(&service()), &[(Event::Ending, 1000)]);
    assert_eq!((life.state, life.deadline_ms, action), (State::Starting, 6000, Action::None));
    let (ended, _) = walk(&service(), life, &[(Event::Exited(0), 2000), (Event::Cleaned, 2001)]);
    assert_eq!((ended.state, ended.failures), (State::Done, 0));
    let (late, action) = walk(&service(), life, &[(Event::Time, 6000)]);
    assert_eq!((late.state, late.is_unwell, action), (State::Stopping, true, Action::Signal));
}

/// A new version that is being created.
fn on_trial(policy: &Policy) -> Life {
    walk(policy, Life::new(true), &[(Event::Begin, 10), (Event::Trial, 15), (Event::Prepared(7), 20)]).0
}

#[test]
fn a_new_version_is_kept_once_it_has_been_ready_for_its_time() {
    let policy = Policy { trial_ms: 1000, ..service() };
    let life = on_trial(&policy);
    assert_eq!((life.state, life.next_ms()), (State::Ready, 1020));
    assert_eq!(next(&policy, life, Event::Time, 1019).1, Action::None);
    let (life, action) = next(&policy, life, Event::Time, 1020);
    assert_eq!((life.state, life.is_on_trial, life.next_ms(), action), (State::Ready, false, u64::MAX, Action::Keep));
    let notify = Policy { ready: Ready::Notify, ..policy };
    let (life, _) = walk(&notify, on_trial(&notify), &[(Event::Ready, 500)]);
    assert_eq!((life.state, life.next_ms()), (State::Ready, 1500));
    let watched = Policy { watchdog_ms: 100, ..policy };
    assert_eq!(next(&watched, on_trial(&watched), Event::Time, 1020).1, Action::Signal, "silence is no sign of being well");
}

#[test]
fn any_end_of_a_new_version_is_followed_at_once_whatever_the_policy_is() {
    for (restart, limit) in [(Restart::No, 3), (Restart::OnFailure, 1), (Restart::Always, 0)] {
        let policy = Policy { trial_ms: 1000, restart, limit, ..service() };
        for event in [Event::Exited(0), Event::Exited(1), Event::Exited(125)] {
            let (life, action) = walk(&policy, Life { failures: 1, ..on_trial(&policy) }, &[(event, 30), (Event::Cleaned, 40)]);
            assert_eq!((life.state, life.is_on_trial, action), (State::Waiting, false, Action::None), "{restart:?} {event:?}");
        }
        let broken = [(Event::Begin, 10), (Event::Trial, 15), (Event::Broken, 20), (Event::Cleaned, 30)];
        assert_eq!(walk(&policy, Life::new(true), &broken).0.state, State::Waiting);
    }
    let (life, _) = walk(&service(), on_trial(&service()), &[(Event::Stop, 30), (Event::Exited(0), 40), (Event::Cleaned, 50)]);
    assert_eq!((life.state, life.is_on_trial), (State::Stopped, false));
}

#[test]
fn a_new_version_of_a_oneshot_is_kept_when_it_has_ended_well() {
    let policy = Policy { kind: Kind::Oneshot, restart: Restart::No, trial_ms: 1000, ..service() };
    let (life, action) = walk(&policy, on_trial(&policy), &[(Event::Exited(0), 30), (Event::Cleaned, 40)]);
    assert_eq!((life.state, life.is_on_trial, action), (State::Done, false, Action::Keep));
    let (life, _) = walk(&policy, on_trial(&policy), &[(Event::Exited(1), 30), (Event::Cleaned, 40)]);
    assert_eq!(life.state, State::Waiting);
}

#[test]
fn states_stand_in_the_order_of_their_numbers() {
    assert!(State::ALL.iter().enumerate().all(|(number, (state, _))| *state as usize == number));
}

fn events() -> impl Strategy<Value = Event> {
    prop_oneof![
        Just(Event::Begin),
        Just(Event::Prepared(5)),
        Just(Event::Broken),
        Just(Event::Ready),
        Just(Event::Alive),
        Just(Event::Extend(100)),
        Just(Event::Ending),
        Just(Event::Unwell),
        (0..256).prop_map(Event::Exited),
        Just(Event::Cleaned),
        Just(Event::Time),
        Just(Event::Start),
        Just(Event::Stop),
        Just(Event::Trial),
        Just(Event::Restart),
    ]
}

proptest! {
    /// Whatever happens in whatever order: no state is left without a way on, and a stop wins in the end.
    #[test]
    fn nothing_gets_stuck(list in prop::collection::vec((events(), 0..5000u64), 0..60)) {
        let policy = Policy { watchdog_ms: 500, ..service() };
        let (mut life, mut now) = (Life::new(true), 1);
        for (event, later) in list {
            now += later;
            (life, _) = next(&policy, life, event, now);
            prop_assert!(life.state != State::Backoff || life.deadline_ms > 0);
            prop_assert!(life.state != State::Stopping || life.deadline_ms > 0);
        }
        (life, _) = next(&policy, life, Event::Stop, now);
        (life, _) = next(&policy, life, Event::Broken, now);
        (life, _) = next(&policy, life, Event::Exited(0), now);
        (life, _) = next(&policy, life, Event::Cleaned, now);
        prop_assert!(life.is_at_rest() && !life.is_wanted);
    }
}
