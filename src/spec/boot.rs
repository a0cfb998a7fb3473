//! boot.json, and the annotations `org.ocinit.boot.*` that say the same of one bundle: what was written, unjudged.
//!
//! Times are texts such as `200ms`, `5s`, `2m`; sizes are texts such as `16k`.

use super::{Entry, Root};
use crate::json::{Object, Slot, object};
use crate::mem::{Arena, Full, List};

/// What an annotation for the boot begins with; after it comes a key of [`Bundle`].
pub const PREFIX: &str = "org.ocinit.boot.";

/// The signal that ends a container, as images give it (image-spec, conversion.md).
pub const STOP_SIGNAL: &str = "org.opencontainers.image.stopSignal";

object! {
    /// boot.json, or one file of boot.d.
    Boot<'a> {
        /// The form of the file: 1.
        "version" => version: u32,
        /// For a signed file: `NAME:NUMBER`, which grows from release to release.
        "release" => release: &'a str,
        "hostname" => hostname: &'a str,
        /// Where bundles lie that need no entry here.
        "directory" => directory: &'a str,
        "watchdog" => watchdog: Option<Watchdog<'a>>,
        /// How long all of a shutdown may take.
        "shutdown-timeout" => shutdown_timeout: &'a str,
        /// A command to run once every critical bundle has been ready for `stable`, or `start:ID`.
        "on-ready" => on_ready: List<'a, &'a str>,
        "stable" => stable: &'a str,
        /// How long that may take; then the machine is booted again.
        "ready-timeout" => ready_timeout: &'a str,
        /// How many boots in a row may end so.
        "attempts" => attempts: Option<u32>,
        /// Where that is counted.
        "data" => data: &'a str,
        /// Commands that are kept running on terminals: a shell, a getty.
        "console" => console: List<'a, Console<'a>>,
        /// Kernel modules: files, absolute or below /lib/modules/RELEASE, in the order in which they are loaded.
        "modules" => modules: List<'a, &'a str>,
        "sysctl" => sysctl: List<'a, Entry<'a, &'a str>>,
        "mounts" => mounts: List<'a, Mount<'a>>,
        /// Where messages go: `kmsg`, `console` or `off`.
        "log" => log: &'a str,
        /// The size of a bundle's log in memory.
        "log-size" => log_size: &'a str,
        "log-files" => log_files: Option<LogFiles<'a>>,
        /// A file whose time stands for the clock where there is none that runs without power.
        "clock" => clock: &'a str,
        /// A file that keeps randomness over a boot.
        "random-seed" => random_seed: &'a str,
        "bundles" => bundles: List<'a, Bundle<'a>>,
    }
}

object! {
    /// The hardware watchdog.
    Watchdog<'a> {
        "device" => device: &'a str,
        "timeout" => timeout: &'a str,
    }
}

object! {
    /// Logs in files too.
    LogFiles<'a> {
        "directory" => directory: &'a str,
        /// How large a file may become, and how many there are of each bundle.
        "size" => size: &'a str,
        "count" => count: Option<u32>,
    }
}

object! {
    /// A command on a terminal.
    Console<'a> {
        "args" => args: List<'a, &'a str>,
        /// A device, such as `/dev/ttyS0`; the console without one.
        "tty" => tty: &'a str,
    }
}

object! {
    /// A file system that is mounted before the bundles that lie in it.
    Mount<'a> {
        "source" => source: &'a str,
        "target" => target: &'a str,
        "type" => kind: &'a str,
        "options" => options: List<'a, &'a str>,
        /// How long to wait for the device.
        "wait-for" => wait_for: &'a str,
        /// A command to run before it is mounted; it fails with a status above 1, as fsck(8) has it.
        "check" => check: List<'a, &'a str>,
        /// A command to run, once, if it cannot be mounted.
        "format" => format: List<'a, &'a str>,
        /// How long all of that may take.
        "timeout" => timeout: &'a str,
    }
}

object! {
    /// What is to be done with a bundle. As annotations its keys follow [`PREFIX`], and a list is separated by spaces.
    Bundle<'a> {
        "id" => id: &'a str,
        /// The bundle's directory.
        "bundle" => bundle: &'a str,
        /// `service`, `oneshot` or `shutdown`.
        "kind" => kind: &'a str,
        "enabled" => enabled: Option<bool>,
        /// What its config.json must be: `sha256:` and 64 hexadecimal digits.
        "digest" => digest: &'a str,
        /// `ID[:started|:ready|:exited|:failed|:ended]`, `path:/PATH`, `network[:DEVICE]`.
        "after" => after: List<'a, &'a str>,
        /// `no`, `on-failure` or `always`.
        "restart" => restart: &'a str,
        /// The time before the first restart; it doubles up to `delay-max`.
        "delay" => delay: &'a str,
        "delay-max" => delay_max: &'a str,
        /// How long it must have been up for its failures to be forgotten.
        "reset" => reset: &'a str,
        /// How many restarts in a row; 0: no limit.
        "limit" => limit: Option<u32>,
        /// `stop`, `reboot`, `poweroff` or `start:ID`.
        "give-up" => give_up: &'a str,
        /// `started`, `notify`, `fd` or `exec`.
        "ready" => ready: &'a str,
        "start-timeout" => start_timeout: &'a str,
        "stop-timeout" => stop_timeout: &'a str,
        "stop-signal" => stop_signal: &'a str,
        /// Whether the hardware watchdog is fed only as long as it is alive.
        "critical" => critical: Option<bool>,
        /// How often it has to say WATCHDOG=1.
        "watchdog" => watchdog: &'a str,
        /// A command in the container that says by its status whether it is well.
        "health" => health: List<'a, &'a str>,
        "health-interval" => health_interval: &'a str,
        "health-timeout" => health_timeout: &'a str,
        "health-retries" => health_retries: Option<u32>,
        "health-start-period" => health_start_period: &'a str,
    }
}

/// The bytes of memory that a boot.json of `length` bytes may need, by its dearest byte: a list of nothing but empty bundles.
pub const fn arena_bytes(length: usize) -> usize {
    length.saturating_mul(List::<Bundle>::NODE_BYTES.div_ceil(3) + 1).saturating_add(64)
}

/// Why an annotation cannot be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misfit {
    /// There is no such key.
    Unknown,
    /// The value is not of the key's type: what it wants.
    Wants(&'static str),
    /// No memory is left.
    Full,
}

impl From<Full> for Misfit {
    fn from(_: Full) -> Self {
        Misfit::Full
    }
}

impl<'a> Bundle<'a> {
    /// Takes an annotation, where nothing is said yet: the key without [`PREFIX`].
    pub fn annotate(&mut self, key: &str, value: &'a str, arena: &Arena<'a>) -> Result<(), Misfit> {
        let is_said = match key {
            "after" => self.after.is_present(),
            "health" => self.health.is_present(),
            "critical" => self.critical.is_some(),
            "limit" => self.limit.is_some(),
            "health-retries" => self.health_retries.is_some(),
            _ => false,
        };
        if is_said {
            return Ok(());
        }
        let index = self.names().position(key).filter(|_| !matches!(key, "id" | "bundle" | "enabled" | "digest"));
        let field = index.and_then(|index| self.field(index)).ok_or(Misfit::Unknown)?;
        match field.slot() {
            Slot::Text(to) if !to.is_empty() => {}
            Slot::Text(to) => *to = value,
            Slot::Bool(to) => *to = value.parse().map_err(|_| Misfit::Wants("true or false"))?,
            Slot::U32(to) => *to = value.parse().map_err(|_| Misfit::Wants("a number"))?,
            Slot::List(to) => {
                for word in value.split_ascii_whitespace() {
                    to.append(arena, &mut |field| match field.slot() {
                        Slot::Text(to) => {
                            *to = word;
                            true
                        }
                        _ => false,
                    })?;
                }
            }
            _ => return Err(Misfit::Unknown),
        }
        Ok(())
    }
}

object! {
    /// What of a config.json concerns the boot.
    Annotated<'a> {
        "root" => root: Option<Root<'a>>,
        "mounts" => mounts: List<'a, super::Mount<'a>>,
        "annotations" => annotations: List<'a, Entry<'a, &'a str>>,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::mem::MaybeUninit;

    #[test]
    fn an_annotation_says_the_same_as_a_key() {
        let mut room = [MaybeUninit::uninit(); 4096];
        let arena = Arena::new(&mut room);
        let mut bundle = Bundle::default();
        for (key, value) in [("after", "net:exited  broker"), ("critical", "true"), ("limit", "3"), ("delay", "2s")] {
            assert_eq!(bundle.annotate(key, value, &arena), Ok(()));
        }
        assert_eq!(bundle.after.iter().copied().collect::<Vec<_>>(), ["net:exited", "broker"]);
        assert_eq!((bundle.critical, bundle.limit, bundle.delay), (Some(true), Some(3), "2s"));
        assert_eq!(Bundle::default().annotate("critical", "yes", &arena), Err(Misfit::Wants("true or false")));
        assert_eq!(bundle.annotate("id", "x", &arena), Err(Misfit::Unknown));
        assert_eq!(bundle.annotate("delays", "x", &arena), Err(Misfit::Unknown));
    }

    #[test]
    fn the_integrator_s_word_wins_over_the_bundle_s() {
        let mut room = [MaybeUninit::uninit(); 4096];
        let arena = Arena::new(&mut room);
        let mut after = List::default();
        after.push(&arena, "net").unwrap();
        let mut bundle = Bundle { restart: "always", critical: Some(false), after, ..Bundle::default() };
        for (key, value) in [("restart", "no"), ("delay", "1s"), ("critical", "true"), ("after", "x y")] {
            bundle.annotate(key, value, &arena).unwrap();
        }
        assert_eq!((bundle.restart, bundle.delay, bundle.critical, bundle.after.len()), ("always", "1s", Some(false), 1));
    }
}
