//! The hooks that the runtime runs itself, in its own namespaces, and the sentence of one that failed.

use super::bundle::Bundle;
use crate::error::{Error, Note, Result};
use crate::log::Log;
use crate::mem::{Arena, List};
use crate::names;
use crate::plan;
use crate::spec;
use crate::steps::At;
use crate::steps::hooks::{self, Output, Point};
use crate::sys::{self, BorrowedFd, CPointer};

/// Bits of `hooks` in state.json: which hooks are still to come once the container is created.
pub const START_CONTAINER: u32 = 1;
/// See [`START_CONTAINER`].
pub const POSTSTART: u32 = 2;
/// See [`START_CONTAINER`].
pub const POSTSTOP: u32 = 4;

/// What the runtime's own hooks inherit.
#[derive(Clone, Copy)]
pub struct Inherited<'a> {
    /// The runtime's environment, ended by NULL.
    pub environment: &'a [CPointer<'a>],
    /// The signals that were blocked before the runtime blocked them all; `None` if it did not.
    pub blocked_signals: Option<sys::Signals>,
}

/// When a hook runs, and for whom.
#[derive(Clone, Copy)]
pub struct Moment<'m> {
    /// What config.json calls the point.
    pub name: &'static str,
    /// The container's status.
    pub status: &'static str,
    /// Its first process, as the runtime numbers it; 0 without one.
    pub pid: u32,
    /// Where the hooks run; `None` for the runtime's own working directory.
    pub directory: Option<BorrowedFd<'m>>,
}

/// Which hooks a config has for later.
pub fn later(config: &spec::Config<'_>) -> u32 {
    let Some(hooks) = &config.hooks else { return 0 };
    let bit = |list: &List<'_, spec::Hook<'_>>, bit| if list.is_empty() { 0 } else { bit };
    bit(&hooks.start_container, START_CONTAINER) | bit(&hooks.poststart, POSTSTART) | bit(&hooks.poststop, POSTSTOP)
}

/// Runs the hooks of one point for the container `id` of a bundle. Errors: the first that failed, in runc's words.
pub fn run(
    written: &List<'static, spec::Hook<'static>>,
    moment: Moment<'_>,
    id: &str,
    bundle: &Bundle,
    inherited: Inherited<'_>,
) -> Result<'static, ()> {
    let mut first = Ok(());
    each(written, moment, id, bundle, inherited, &mut |error| {
        first = Err(error);
        false
    })?;
    first
}

/// The same; `goes_on` is told of each that failed, and says whether the next one runs nevertheless.
fn each(
    written: &List<'static, spec::Hook<'static>>,
    moment: Moment<'_>,
    id: &str,
    bundle: &Bundle,
    inherited: Inherited<'_>,
    goes_on: &mut dyn FnMut(Error<'static>) -> bool,
) -> Result<'static, ()> {
    if written.is_empty() {
        return Ok(());
    }
    let arena = &bundle.arena;
    let prepared = plan::hooks::list(written, arena)?;
    // A hook that does not read what it is told must not end us by SIGPIPE.
    let before = sys::block_all();
    let point = Point {
        status: moment.status,
        pid: moment.pid,
        about: plan::hooks::about(id, bundle.path, &bundle.config.annotations, arena)?,
        environment: inherited.environment,
        directory: moment.directory,
        umask: None,
        blocked_signals: inherited.blocked_signals.unwrap_or(before),
    };
    let mut first = 0;
    let mut output = Output::default();
    while let Err(at) = hooks::run_from(first, &prepared, &point, &mut output) {
        let index = usize::from(at.item);
        let [out, err] = &output;
        if !goes_on(failure(moment.name, at, prepared.get(index), [out, err], arena)) {
            break;
        }
        first = index + 1;
    }
    sys::set_blocked(before);
    Ok(())
}

/// The sentence that callers know from runc.
pub fn failure<'a>(name: &str, at: At, hook: Option<&plan::hooks::Hook<'a>>, output: [&[u8]; 2], arena: &Arena<'a>) -> Error<'a> {
    let [out, err] = output.map(|text| core::str::from_utf8(text).unwrap_or("(not UTF-8)"));
    let index = at.item;
    let number = at.errno.raw_os_error();
    let sentence = match at.note {
        Note::HookTimeout => {
            let seconds = hook.and_then(|hook| hook.timeout_seconds).unwrap_or(0);
            arena.format(format_args!("error running {name} hook #{index}: hook ran past specified timeout of {seconds}.0s"))
        }
        Note::HookStatus => {
            arena.format(format_args!("error running {name} hook #{index}: exit status {number}, stdout: {out}, stderr: {err}"))
        }
        Note::HookSignal => {
            let signal = names::signal_name(number).unwrap_or("of real time");
            arena.format(format_args!("error running {name} hook #{index}: signal: {signal}, stdout: {out}, stderr: {err}"))
        }
        _ => {
            let path = hook.and_then(|hook| hook.path.to_str().ok()).unwrap_or_default();
            return match arena.format(format_args!("error running {name} hook #{index}: fork/exec {path}")) {
                Ok(what) => Error::errno(what, "", at.errno),
                Err(full) => full.into(),
            };
        }
    };
    sentence.map_or_else(Error::from, Error::said)
}

/// The moment of the `poststart` hooks.
pub fn poststart(pid: u32) -> Moment<'static> {
    Moment { name: "poststart", status: "running", pid, directory: None }
}

/// Runs the `poststop` hooks of a bundle. Nothing can be undone any more, so one that fails is a warning, and keeps none from running.
pub fn poststop(bundle: &Bundle, id: &str, inherited: Inherited<'_>, log: &Log) {
    let moment = Moment { name: "poststop", status: "stopped", pid: 0, directory: None };
    let hooks = bundle.config.hooks.unwrap_or_default().poststop;
    let done = each(&hooks, moment, id, bundle, inherited, &mut |error| {
        log.warning(format_args!("{error}"));
        true
    });
    if let Err(error) = done {
        log.warning(format_args!("{error}"));
    }
}
