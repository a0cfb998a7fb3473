//! `process`: arguments, ids, capabilities, limits, scheduling.

use super::{At, Namespaces, Report, Shown, TOP, id_maps};
use crate::mem::List;
use crate::names;
use crate::spec::{Capabilities, Config, IoPriority, Linux, Process, Rlimit, Scheduler, User};

pub(super) fn check(config: &Config<'_>, linux: &Linux<'_>, namespaces: &Namespaces, report: &mut Report<'_>) {
    let at = &TOP.key("process");
    let Some(process) = &config.process else {
        return report.error(at, format_args!("process property must not be empty"));
    };
    start(process, at, report);
    user(&process.user, linux, namespaces, &at.key("user"), report);
    match &process.capabilities {
        Some(sets) => capabilities(sets, &at.key("capabilities"), report),
        None => report.warning(&at.key("capabilities"), format_args!("missing: every capability is dropped")),
    }
    rlimits(&process.rlimits, at, report);
    if let Some(adjustment) = process.oom_score_adj {
        report.within(&at.key("oomScoreAdj"), adjustment, -1000, 1000);
    }
    if let Some(attributes) = &process.scheduler {
        scheduler(attributes, &at.key("scheduler"), report);
    }
    if let Some(priority) = &process.io_priority {
        io_priority(priority, &at.key("ioPriority"), report);
    }
    if let Some(affinity) = &process.exec_cpu_affinity {
        let at = &at.key("execCPUAffinity");
        report.number_list(&at.key("initial"), affinity.initial);
        report.number_list(&at.key("final"), affinity.r#final);
    }
}

/// What execve(2) is given.
fn start(process: &Process<'_>, at: &At<'_>, report: &mut Report<'_>) {
    match process.cwd {
        "" => report.error(&at.key("cwd"), format_args!("Cwd property must not be empty")),
        cwd if !cwd.starts_with('/') => report.error(&at.key("cwd"), format_args!("Cwd must be an absolute path")),
        cwd => report.no_nul(&at.key("cwd"), cwd),
    }
    if process.args.is_empty() {
        report.error(&at.key("args"), format_args!("args must not be empty"));
    }
    for (index, argument) in process.args.iter().enumerate() {
        report.no_nul(&at.key("args").index(index), argument);
    }
    for (index, variable) in process.env.iter().enumerate() {
        report.environment(&at.key("env").index(index), variable);
    }
    report.no_nul(&at.key("apparmorProfile"), process.apparmor_profile);
    report.no_nul(&at.key("selinuxLabel"), process.selinux_label);
    if !process.command_line.is_empty() {
        report.warning(&at.key("commandLine"), format_args!("ignored: for Windows only"));
    }
}

fn user(user: &User<'_>, linux: &Linux<'_>, namespaces: &Namespaces, at: &At<'_>, report: &mut Report<'_>) {
    if !user.username.is_empty() {
        report.warning(&at.key("username"), format_args!("ignored: for Windows only"));
    }
    if !namespaces.is_new(names::Namespace::User) {
        return;
    }
    id_maps::mapped(&linux.uid_mappings, user.uid, &at.key("uid"), report);
    id_maps::mapped(&linux.gid_mappings, user.gid, &at.key("gid"), report);
    for (index, gid) in user.additional_gids.iter().enumerate() {
        id_maps::mapped(&linux.gid_mappings, *gid, &at.key("additionalGids").index(index), report);
    }
}

fn capabilities(sets: &Capabilities<'_>, at: &At<'_>, report: &mut Report<'_>) {
    let _ = capability_set(&sets.bounding, &at.key("bounding"), report); // only its names are judged
    let permitted = capability_set(&sets.permitted, &at.key("permitted"), report);
    let inheritable = capability_set(&sets.inheritable, &at.key("inheritable"), report);
    let effective = capability_set(&sets.effective, &at.key("effective"), report);
    let ambient = capability_set(&sets.ambient, &at.key("ambient"), report);
    if let Some(name) = first_of(effective & !permitted) {
        report.error(&at.key("effective"), format_args!("{name} is not permitted, so it cannot be effective"));
    }
    if let Some(name) = first_of(ambient & !(permitted & inheritable)) {
        report.warning(&at.key("ambient"), format_args!("{name} is not permitted and inheritable, so it cannot be ambient"));
    }
}

/// One bit for each capability; what has no name here is skipped when the container is made.
fn capability_set(list: &List<'_, &str>, at: &At<'_>, report: &mut Report<'_>) -> u64 {
    let mut set = 0;
    for (index, name) in list.iter().enumerate() {
        match names::capability(name) {
            Some(number) => set |= 1 << number,
            None => report.warning(&at.index(index), format_args!("unknown capability {} is ignored", Shown(name))),
        }
    }
    set
}

fn first_of(set: u64) -> Option<&'static str> {
    names::CAPABILITIES.get(set.trailing_zeros() as usize).copied()
}

fn rlimits(limits: &List<'_, Rlimit<'_>>, at: &At<'_>, report: &mut Report<'_>) {
    let mut seen = 0u32;
    for (index, limit) in limits.iter().enumerate() {
        let (list, bit) = (at.key("rlimits"), names::rlimit(limit.kind).map_or(0, |number| 1 << number));
        let at = &list.index(index);
        if bit == 0 {
            report.error(&at.key("type"), format_args!("invalid rlimit type: {}", Shown(limit.kind)));
        }
        if seen & bit != 0 {
            report.error(&at.key("type"), format_args!("duplicate rlimit type: {}", limit.kind));
        }
        seen |= bit;
        if limit.soft > limit.hard {
            report.error(&at.key("soft"), format_args!("{} is above the hard limit of {}", limit.soft, limit.hard));
        }
    }
}

fn scheduler(attributes: &Scheduler<'_>, at: &At<'_>, report: &mut Report<'_>) {
    let policy = attributes.policy;
    if policy.is_empty() {
        report.error(&at.key("policy"), format_args!("scheduler policy is required"));
    } else if names::scheduler_policy(policy).is_none() {
        report.error(&at.key("policy"), format_args!("invalid scheduler policy: {}", Shown(policy)));
    }
    let is_nice = (-20..=19).contains(&attributes.nice);
    if matches!(policy, "SCHED_OTHER" | "SCHED_BATCH") && !is_nice {
        report.error(&at.key("nice"), format_args!("invalid scheduler.nice: {} when scheduler.policy is {policy}", attributes.nice));
    }
    if matches!(policy, "SCHED_FIFO" | "SCHED_RR") {
        report.within(&at.key("priority"), attributes.priority, 1, 99);
    } else if attributes.priority != 0 {
        report.error(&at.key("priority"), format_args!("scheduler.priority can only be specified for SchedFIFO or SchedRR policy"));
    }
    for (index, flag) in attributes.flags.iter().enumerate() {
        if names::scheduler_flag(flag).is_none() {
            report.error(&at.key("flags").index(index), format_args!("invalid scheduler flag: {}", Shown(flag)));
        }
    }
    deadline(attributes, at, report);
}

/// The kernel's own rule (sched_setattr(2)): 1024 <= runtime <= deadline <= period, where a period of 0 is the deadline.
fn deadline(attributes: &Scheduler<'_>, at: &At<'_>, report: &mut Report<'_>) {
    let Scheduler { runtime, deadline, period, .. } = *attributes;
    let is_ordered = runtime >= 1024 && runtime <= deadline && (period == 0 || deadline <= period);
    if attributes.policy != "SCHED_DEADLINE" {
        if runtime != 0 || deadline != 0 || period != 0 {
            report.error(at, format_args!("scheduler runtime/deadline/period can only be specified for SchedDeadline policy"));
        }
    } else if !is_ordered {
        report.error(at, format_args!("SCHED_DEADLINE needs 1024 <= runtime <= deadline <= period"));
    }
}

fn io_priority(priority: &IoPriority<'_>, at: &At<'_>, report: &mut Report<'_>) {
    if names::io_priority_class(priority.class).is_none() {
        report.error(&at.key("class"), format_args!("invalid io priority class: {}", Shown(priority.class)));
    }
    if !(0..=7).contains(&priority.priority) {
        report.error(&at.key("priority"), format_args!("invalid ioPriority.Priority: {}", priority.priority));
    }
}
