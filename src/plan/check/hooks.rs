//! `hooks`: the programs to run.

use super::{At, Report, TOP};
use crate::spec::{Config, Hook};

pub(super) fn check(config: &Config<'_>, report: &mut Report<'_>) {
    let Some(hooks) = &config.hooks else { return };
    let kinds = [
        ("prestart", &hooks.prestart),
        ("createRuntime", &hooks.create_runtime),
        ("createContainer", &hooks.create_container),
        ("startContainer", &hooks.start_container),
        ("poststart", &hooks.poststart),
        ("poststop", &hooks.poststop),
    ];
    let top = TOP.key("hooks");
    for (key, list) in kinds {
        let list_at = top.key(key);
        for (index, hook) in list.iter().enumerate() {
            check_hook(hook, &list_at.index(index), report);
        }
    }
}

fn check_hook(hook: &Hook<'_>, at: &At<'_>, report: &mut Report<'_>) {
    report.absolute(&at.key("path"), hook.path);
    for (index, argument) in hook.args.iter().enumerate() {
        report.no_nul(&at.key("args").index(index), argument);
    }
    for (index, variable) in hook.env.iter().enumerate() {
        report.environment(&at.key("env").index(index), variable);
    }
    if let Some(timeout) = hook.timeout.filter(|timeout| *timeout <= 0) {
        report.error(&at.key("timeout"), format_args!("{timeout} is not greater than zero"));
    }
}
