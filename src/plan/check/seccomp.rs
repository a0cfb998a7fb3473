//! `linux.seccomp`: the words of the profile. Names of system calls that this machine lacks are skipped: that is said where they deny.

use super::{At, Report, TOP, error, warning};
use crate::names::syscalls::FAMILY;
use crate::names::{SECCOMP_ACTIONS, SECCOMP_ARCHITECTURES, SECCOMP_FLAGS, SECCOMP_OPERATORS};
use crate::spec::{Seccomp, Syscall};

const NOTIFY: &str = "SCMP_ACT_NOTIFY";

/// System calls have six arguments.
const ARGUMENTS: i64 = 6;

pub(super) fn check(profile: &Seccomp<'_>, report: &mut Report<'_>) {
    let top = TOP.key("linux");
    let at = &top.key("seccomp");
    if profile.default_action == NOTIFY {
        report.say(at, error!("defaultAction", "SCMP_ACT_NOTIFY cannot be used as default action"));
    }
    action(profile.default_action, &at.key("defaultAction"), report);
    errno(profile.default_action, profile.default_errno_ret, &at.key("defaultErrnoRet"), report);
    for (index, name) in profile.architectures.iter().enumerate() {
        let rule = error!("", "string {} is not a valid arch for seccomp");
        report.known(&at.item("architectures", index), rule, SECCOMP_ARCHITECTURES, name);
    }
    for (index, flag) in profile.flags.iter().enumerate() {
        report.known(&at.item("flags", index), error!("", "seccomp flag \"{}\" is not known"), SECCOMP_FLAGS, flag);
    }
    for (index, rule) in profile.syscalls.iter().enumerate() {
        let at = &at.item("syscalls", index);
        syscall(rule, at, report);
        if is_permissive(profile.default_action) && !is_permissive(rule.action) {
            denies_nothing(rule, at, report);
        }
    }
    listener(profile, at, report);
}

fn is_permissive(action: &str) -> bool {
    matches!(action, "SCMP_ACT_ALLOW" | "SCMP_ACT_LOG")
}

/// A name that is misspelt denies nothing, and nobody would notice.
fn denies_nothing(rule: &Syscall<'_>, at: &At<'_>, report: &mut Report<'_>) {
    for (place, name) in rule.names.iter().enumerate() {
        if FAMILY.row(name).is_none() {
            report.say_of(
                &at.item("names", place),
                warning!("", "this machine has no system call {}: the rule denies nothing by it"),
                name,
            );
        }
    }
}

fn listener(profile: &Seccomp<'_>, at: &At<'_>, report: &mut Report<'_>) {
    let notifies = profile.syscalls.iter().any(|rule| rule.action == NOTIFY);
    if notifies && profile.listener_path.is_empty() {
        report.say(at, error!("listenerPath", "must be given, since a rule says SCMP_ACT_NOTIFY"));
    }
    if !profile.listener_path.is_empty() {
        report.absolute(at, "listenerPath", profile.listener_path);
    } else if !profile.listener_metadata.is_empty() {
        report.say(at, error!("listenerMetadata", "must not be set without listenerPath"));
    }
}

fn syscall(rule: &Syscall<'_>, at: &At<'_>, report: &mut Report<'_>) {
    if rule.names.is_empty() {
        report.say(at, error!("names", "must contain at least one entry"));
    }
    // The runtime itself writes after the filter is loaded, and nobody would answer it.
    if rule.action == NOTIFY && rule.names.iter().any(|name| *name == "write") {
        report.say(at, error!("action", "SCMP_ACT_NOTIFY cannot be used for the write syscall"));
    }
    action(rule.action, &at.key("action"), report);
    errno(rule.action, rule.errno_ret, &at.key("errnoRet"), report);
    for (index, argument) in rule.args.iter().enumerate() {
        let at = &at.item("args", index);
        report.within(at, "index", argument.index.into(), 0, ARGUMENTS - 1);
        report.known(at, error!("op", "string {} is not a valid operator for seccomp"), SECCOMP_OPERATORS, argument.op);
    }
}

fn action(action: &str, at: &At<'_>, report: &mut Report<'_>) {
    if action.is_empty() {
        report.say(at, error!("", "must not be empty"));
    } else {
        report.known(at, error!("", "string {} is not a valid action for seccomp"), SECCOMP_ACTIONS, action);
    }
}

/// "When the action doesn't support an errno, the runtime MUST print and error and fail" (config-linux.md). A filter's return value
/// has 16 bits for it (seccomp(2)).
fn errno(action: &str, errno: Option<u32>, at: &At<'_>, report: &mut Report<'_>) {
    let Some(errno) = errno else { return };
    if !matches!(action, "SCMP_ACT_ERRNO" | "SCMP_ACT_TRACE") {
        report.say(at, error!("", "only SCMP_ACT_ERRNO and SCMP_ACT_TRACE have one"));
    }
    report.within(at, "", errno.into(), 0, 0xffff);
}
