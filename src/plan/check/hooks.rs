//! `hooks`: the programs to run.

use super::{Report, TOP, error};
use crate::mem::List;
use crate::spec::{Config, Hook};

pub(super) fn check(config: &Config<'_>, report: &mut Report<'_>) {
    let Some(hooks) = &config.hooks else { return };
    programs("prestart", &hooks.prestart, report);
    programs("createRuntime", &hooks.create_runtime, report);
    programs("createContainer", &hooks.create_container, report);
    programs("startContainer", &hooks.start_container, report);
    programs("poststart", &hooks.poststart, report);
    programs("poststop", &hooks.poststop, report);
}

#[inline(never)]
fn programs(key: &str, list: &List<'_, Hook<'_>>, report: &mut Report<'_>) {
    let top = TOP.key("hooks");
    for (index, hook) in list.iter().enumerate() {
        let at = &top.item(key, index);
        report.absolute(at, "path", hook.path);
        report.each_without_nul(at, "args", &hook.args);
        report.environment(at, &hook.env);
        if let Some(timeout) = hook.timeout.filter(|timeout| *timeout <= 0) {
            report.say_number(at, error!("timeout", "{} is not greater than zero"), timeout);
        }
    }
}
