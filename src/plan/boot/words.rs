//! The words of boot.json as numbers: times, sizes, signals, what to do when.

use super::{GiveUp, Kind, Policy, Ready, Restart};
use crate::names;
use crate::spec::boot::Bundle;

/// A key and what it wanted instead.
pub type Misfit = (&'static str, &'static str);

const TIME: &str = "wants a time such as 200ms, 5s, 2m or 1h";
const SIZE: &str = "wants a size such as 4096, 16k or 1m";

fn unit(text: &str, units: &[(&str, u64)]) -> Option<u32> {
    let end = text.bytes().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let factor = units.iter().find(|(name, _)| *name == unit)?.1;
    u32::try_from(number.parse::<u64>().ok()?.checked_mul(factor)?).ok()
}

/// A time in milliseconds; a bare number counts seconds.
pub fn time(text: &str) -> Option<u32> {
    unit(text, &[("", 1000), ("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000)])
}

/// A size in bytes.
pub fn size(text: &str) -> Option<u32> {
    unit(text, &[("", 1), ("k", 1 << 10), ("m", 1 << 20)])
}

/// `10-net` as 10 and `net`; a name without a number comes after all that have one.
pub fn numbered(name: &str) -> (u32, &str) {
    let split = name.split_once('-').filter(|(number, rest)| !rest.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()));
    split.and_then(|(number, rest)| Some((number.parse().ok()?, rest))).unwrap_or((u32::MAX, name))
}

pub(super) fn time_or(key: &'static str, text: &str, default: u32) -> Result<u32, Misfit> {
    if text.is_empty() { Ok(default) } else { time(text).ok_or((key, TIME)) }
}

pub(super) fn size_or(key: &'static str, text: &str, default: u32) -> Result<u32, Misfit> {
    if text.is_empty() { Ok(default) } else { size(text).ok_or((key, SIZE)) }
}

/// The place of a word in a list of words; `default` without one.
fn one_of(text: &str, default: usize, words: &[&str]) -> Option<usize> {
    if text.is_empty() { Some(default) } else { words.iter().position(|word| *word == text) }
}

const SIGTERM: i32 = 15; // the same on every architecture

const KINDS: [(&str, Kind); 3] = [("service", Kind::Service), ("oneshot", Kind::Oneshot), ("shutdown", Kind::Shutdown)];

pub(super) fn kind(bundle: &Bundle<'_>, default: Kind) -> Result<Kind, Misfit> {
    let kind = KINDS.iter().find(|(word, _)| *word == bundle.kind).map(|(_, kind)| *kind);
    if bundle.kind.is_empty() { Ok(default) } else { kind.ok_or(("kind", "wants service, oneshot or shutdown")) }
}

/// All but who is started when it gives up, which needs the other bundles.
pub(super) fn policy(bundle: &Bundle<'_>, kind: Kind, stop_signal: &str) -> Result<Policy, Misfit> {
    let has_health = !bundle.health.is_empty();
    // The times with what they are when nothing is said: a stop may take as long as with procd, failures are forgotten after a minute.
    let times = [
        ("delay", bundle.delay, 200),
        ("delay-max", bundle.delay_max, 60_000),
        ("reset", bundle.reset, 60_000),
        ("start-timeout", bundle.start_timeout, 60_000),
        ("stop-timeout", bundle.stop_timeout, 5_000),
        ("watchdog", bundle.watchdog, 0),
        ("health-interval", bundle.health_interval, 30_000),
        ("health-timeout", bundle.health_timeout, 10_000),
        ("health-start-period", bundle.health_start_period, 0),
    ];
    let mut milliseconds = [0; 9];
    for (time, (key, text, default)) in milliseconds.iter_mut().zip(times) {
        *time = time_or(key, text, default)?;
    }
    let [
        delay_ms,
        delay_max_ms,
        reset_ms,
        start_timeout_ms,
        stop_timeout_ms,
        watchdog_ms,
        health_interval_ms,
        health_timeout_ms,
        health_start_ms,
    ] = milliseconds;
    let is_critical = bundle.critical.unwrap_or(false);
    let give_up = if bundle.give_up.starts_with("start:") { "" } else { bundle.give_up };
    let choices: [(&str, &str, usize, &[&str], &str); 3] = [
        ("restart", bundle.restart, usize::from(kind == Kind::Service), &["no", "on-failure", "always"], "wants no, on-failure or always"),
        ("ready", bundle.ready, 0, &["started", "notify", "fd", "exec"], "wants started, notify, fd or exec"),
        ("give-up", give_up, usize::from(is_critical), &["stop", "reboot", "poweroff"], "wants stop, reboot, poweroff or start:ID"),
    ];
    let mut chosen = [0; 3];
    for (place, (key, text, default, words, why)) in chosen.iter_mut().zip(choices) {
        *place = one_of(text, default, words).ok_or((key, why))?;
    }
    let [restart, ready, give_up] = chosen;
    if ready == 3 && !has_health {
        return Err(("ready", "exec wants a command in `health`"));
    }
    let signal = if bundle.stop_signal.is_empty() { stop_signal } else { bundle.stop_signal };
    let signal = if signal.is_empty() { Some(SIGTERM) } else { names::signal(signal) };
    Ok(Policy {
        kind,
        restart: [Restart::No, Restart::OnFailure, Restart::Always][restart],
        delay_ms: delay_ms.max(1),
        delay_max_ms,
        reset_ms,
        limit: bundle.limit.unwrap_or(10),
        give_up: [GiveUp::Stop, GiveUp::Reboot, GiveUp::PowerOff][give_up],
        ready: [Ready::Started, Ready::Notify, Ready::Fd, Ready::Exec][ready],
        has_start_timeout: !bundle.start_timeout.is_empty(),
        start_timeout_ms,
        stop_timeout_ms,
        stop_signal: signal.ok_or(("stop-signal", "wants a signal such as SIGTERM"))?,
        is_critical,
        watchdog_ms,
        trial_ms: 0,
        health_interval_ms: if has_health { health_interval_ms.max(100) } else { 0 },
        health_timeout_ms,
        health_retries: bundle.health_retries.unwrap_or(3).max(1),
        health_start_ms,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_sizes_have_units() {
        for (text, milliseconds) in [("200ms", 200), ("5s", 5000), ("5", 5000), ("2m", 120_000), ("1h", 3_600_000), ("0", 0)] {
            assert_eq!(time(text), Some(milliseconds), "{text}");
        }
        for text in ["", "s", "-1s", "1.5s", "1d", " 1s", "99999999999h"] {
            assert_eq!(time(text), None, "{text}");
        }
        assert_eq!((size("16k"), size("1m"), size("12"), size("1g")), (Some(16384), Some(1 << 20), Some(12), None));
    }

    #[test]
    fn a_service_is_restarted_when_it_fails_and_a_oneshot_is_not() {
        let policy_of = |bundle: &Bundle<'_>, kind| policy(bundle, kind, "").unwrap();
        let service = policy_of(&Bundle::default(), Kind::Service);
        assert_eq!((service.restart, service.delay_ms, service.limit, service.stop_signal), (Restart::OnFailure, 200, 10, 15));
        assert_eq!(policy_of(&Bundle::default(), Kind::Oneshot).restart, Restart::No);
        let critical = Bundle { critical: Some(true), ..Bundle::default() };
        assert_eq!((policy_of(&critical, Kind::Service).give_up, service.give_up), (GiveUp::Reboot, GiveUp::Stop));
        let signal = Bundle { stop_signal: "SIGINT", ..Bundle::default() };
        assert_eq!(policy(&signal, Kind::Service, "SIGQUIT").unwrap().stop_signal, 2);
        assert_eq!(policy(&Bundle::default(), Kind::Service, "QUIT").unwrap().stop_signal, 3);
    }

    #[test]
    fn a_word_that_means_nothing_is_refused_by_its_key() {
        let cases = [
            (Bundle { restart: "maybe", ..Bundle::default() }, "restart"),
            (Bundle { ready: "exec", ..Bundle::default() }, "ready"),
            (Bundle { give_up: "explode", ..Bundle::default() }, "give-up"),
            (Bundle { delay: "soon", ..Bundle::default() }, "delay"),
            (Bundle { stop_signal: "SIGNOT", ..Bundle::default() }, "stop-signal"),
        ];
        for (bundle, key) in cases {
            assert_eq!(policy(&bundle, Kind::Service, "").unwrap_err().0, key);
        }
    }
}
