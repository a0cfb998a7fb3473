//! `linux.seccomp`: the words of the profile. System calls that this kernel lacks are skipped, so their names are not judged.

use super::{At, Report, Shown, TOP};
use crate::names::{SECCOMP_ACTIONS, SECCOMP_ARCHITECTURES, SECCOMP_FLAGS, SECCOMP_OPERATORS};
use crate::spec::{Seccomp, Syscall};

const NOTIFY: &str = "SCMP_ACT_NOTIFY";

/// System calls have six arguments.
const ARGUMENTS: u32 = 6;

pub(super) fn check(profile: &Seccomp<'_>, report: &mut Report<'_>) {
    let top = TOP.key("linux");
    let at = &top.key("seccomp");
    if profile.default_action == NOTIFY {
        report.error(&at.key("defaultAction"), format_args!("SCMP_ACT_NOTIFY cannot be used as default action"));
    }
    action(profile.default_action, &at.key("defaultAction"), report);
    errno(profile.default_action, profile.default_errno_ret, &at.key("defaultErrnoRet"), report);
    for (index, name) in profile.architectures.iter().enumerate() {
        if !SECCOMP_ARCHITECTURES.contains(name) {
            report.error(&at.key("architectures").index(index), format_args!("string {} is not a valid arch for seccomp", Shown(name)));
        }
    }
    for (index, flag) in profile.flags.iter().enumerate() {
        if !SECCOMP_FLAGS.contains(flag) {
            report.error(&at.key("flags").index(index), format_args!("seccomp flag \"{}\" is not known", Shown(flag)));
        }
    }
    for (index, rule) in profile.syscalls.iter().enumerate() {
        syscall(rule, &at.key("syscalls").index(index), report);
    }
    listener(profile, at, report);
}

fn listener(profile: &Seccomp<'_>, at: &At<'_>, report: &mut Report<'_>) {
    let notifies = profile.syscalls.iter().any(|rule| rule.action == NOTIFY);
    if notifies && profile.listener_path.is_empty() {
        report.error(&at.key("listenerPath"), format_args!("must be given, since a rule says SCMP_ACT_NOTIFY"));
    }
    if !profile.listener_path.is_empty() {
        report.absolute(&at.key("listenerPath"), profile.listener_path);
    } else if !profile.listener_metadata.is_empty() {
        report.error(&at.key("listenerMetadata"), format_args!("must not be set without listenerPath"));
    }
}

fn syscall(rule: &Syscall<'_>, at: &At<'_>, report: &mut Report<'_>) {
    if rule.names.is_empty() {
        report.error(&at.key("names"), format_args!("must contain at least one entry"));
    }
    // The runtime itself writes after the filter is loaded, and nobody would answer it.
    if rule.action == NOTIFY && rule.names.iter().any(|name| *name == "write") {
        report.error(&at.key("action"), format_args!("SCMP_ACT_NOTIFY cannot be used for the write syscall"));
    }
    action(rule.action, &at.key("action"), report);
    errno(rule.action, rule.errno_ret, &at.key("errnoRet"), report);
    for (index, argument) in rule.args.iter().enumerate() {
        let list = at.key("args");
        let at = &list.index(index);
        report.within(&at.key("index"), argument.index, 0, ARGUMENTS - 1);
        if !SECCOMP_OPERATORS.contains(&argument.op) {
            report.error(&at.key("op"), format_args!("string {} is not a valid operator for seccomp", Shown(argument.op)));
        }
    }
}

fn action(action: &str, at: &At<'_>, report: &mut Report<'_>) {
    if action.is_empty() {
        report.error(at, format_args!("must not be empty"));
    } else if !SECCOMP_ACTIONS.contains(&action) {
        report.error(at, format_args!("string {} is not a valid action for seccomp", Shown(action)));
    }
}

/// "When the action doesn't support an errno, the runtime MUST print an error and fail" (config-linux.md).
fn errno(action: &str, errno: Option<u32>, at: &At<'_>, report: &mut Report<'_>) {
    match errno {
        Some(_) if !matches!(action, "SCMP_ACT_ERRNO" | "SCMP_ACT_TRACE") => {
            report.error(at, format_args!("only SCMP_ACT_ERRNO and SCMP_ACT_TRACE have one"));
        }
        // The filter's return value has 16 bits for it (seccomp(2)).
        Some(errno) => report.within(at, errno, 0, 0xffff),
        None => {}
    }
}
