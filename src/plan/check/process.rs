//! `process`: arguments, ids, capabilities, limits, scheduling.

use super::{At, Namespaces, PATH_MAX, Report, TOP, Value, error, id_maps, warning};
use crate::mem::List;
use crate::names;
use crate::plan::scheduling::MOST_CPU;
use crate::spec::{Capabilities, Config, IoPriority, Linux, Process, Scheduler, User};

pub(super) fn check(config: &Config<'_>, linux: &Linux<'_>, namespaces: &Namespaces, report: &mut Report<'_>) {
    let Some(process) = &config.process else {
        return report.say(&TOP, error!("process", "process property must not be empty"));
    };
    let at = &TOP.key("process");
    start(process, at, report);
    user(&process.user, linux, namespaces, &at.key("user"), report);
    match &process.capabilities {
        Some(sets) => capabilities(sets, &at.key("capabilities"), report),
        None => report.say(at, warning!("capabilities", "missing: every capability is dropped")),
    }
    rlimits(process, at, report);
    report.within(at, "oomScoreAdj", process.oom_score_adj.unwrap_or(0), -1000, 1000);
    if let Some(attributes) = &process.scheduler {
        scheduler(attributes, &at.key("scheduler"), report);
    }
    if let Some(priority) = &process.io_priority {
        io_priority(priority, &at.key("ioPriority"), report);
    }
    if let Some(affinity) = &process.exec_cpu_affinity {
        let at = &at.key("execCPUAffinity");
        report.number_list(at, "initial", affinity.initial, MOST_CPU);
        report.number_list(at, "final", affinity.r#final, MOST_CPU);
    }
}

/// setgroups(2).
const NGROUPS_MAX: usize = 65_536;

/// What execve(2) is given.
fn start(process: &Process<'_>, at: &At<'_>, report: &mut Report<'_>) {
    if process.cwd.is_empty() {
        report.say(at, error!("cwd", "Cwd property must not be empty"));
    } else if !process.cwd.starts_with('/') {
        report.say(at, error!("cwd", "Cwd must be an absolute path"));
    }
    if process.args.is_empty() {
        report.say(at, error!("args", "args must not be empty"));
    }
    report.no_longer(at, "cwd", process.cwd, PATH_MAX);
    // A write to a file of /proc/self/attr takes at most a page.
    report.no_longer(at, "apparmorProfile", process.apparmor_profile, PATH_MAX - "exec ".len());
    report.no_longer(at, "selinuxLabel", process.selinux_label, PATH_MAX);
    report.no_nul(at, "cwd", process.cwd);
    report.each_without_nul(at, "args", &process.args);
    report.environment(at, &process.env);
    report.no_nul(at, "apparmorProfile", process.apparmor_profile);
    report.no_nul(at, "selinuxLabel", process.selinux_label);
    if !process.command_line.is_empty() {
        report.say(at, error!("commandLine", "it is for Windows only; Linux has args"));
    }
}

fn user(user: &User<'_>, linux: &Linux<'_>, namespaces: &Namespaces, at: &At<'_>, report: &mut Report<'_>) {
    if !user.username.is_empty() {
        report.say(at, warning!("username", "ignored: for Windows only"));
    }
    if user.additional_gids.len() > NGROUPS_MAX {
        report.say(at, error!("additionalGids", "more than 65536 groups"));
    }
    if !namespaces.is_new(names::Namespace::User) {
        return;
    }
    id_maps::mapped(&linux.uid_mappings, user.uid, &at.key("uid"), report);
    id_maps::mapped(&linux.gid_mappings, user.gid, &at.key("gid"), report);
    for (index, gid) in user.additional_gids.iter().enumerate() {
        id_maps::mapped(&linux.gid_mappings, *gid, &at.item("additionalGids", index), report);
    }
}

fn capabilities(sets: &Capabilities<'_>, at: &At<'_>, report: &mut Report<'_>) {
    let _ = capability_set(&sets.bounding, at, "bounding", report); // only its names are judged
    let permitted = capability_set(&sets.permitted, at, "permitted", report);
    let inheritable = capability_set(&sets.inheritable, at, "inheritable", report);
    let effective = capability_set(&sets.effective, at, "effective", report);
    let ambient = capability_set(&sets.ambient, at, "ambient", report);
    if let Some(name) = first_of(effective & !permitted) {
        report.say_of(at, error!("effective", "{} is not permitted, so it cannot be effective"), name);
    }
    if let Some(name) = first_of(ambient & !(permitted & inheritable)) {
        report.say_of(at, warning!("ambient", "{} is not permitted and inheritable, so it cannot be ambient"), name);
    }
}

/// One bit for each capability; what has no name here is skipped when the container is made.
fn capability_set(list: &List<'_, &str>, at: &At<'_>, key: &str, report: &mut Report<'_>) -> u64 {
    let mut set = 0;
    for (index, name) in list.iter().enumerate() {
        match names::capability(name) {
            Some(number) => set |= 1 << number,
            None => report.say_of(&at.item(key, index), warning!("", "unknown capability {} is ignored"), name),
        }
    }
    set
}

fn first_of(set: u64) -> Option<&'static str> {
    names::CAPABILITIES.get(set.trailing_zeros() as usize)
}

fn rlimits(process: &Process<'_>, at: &At<'_>, report: &mut Report<'_>) {
    let mut seen = 0u32;
    for (index, limit) in process.rlimits.iter().enumerate() {
        let (at, bit) = (&at.item("rlimits", index), names::rlimit(limit.kind).map_or(0, |number| 1 << number));
        if bit == 0 {
            report.say_of(at, error!("type", "invalid rlimit type: {}"), limit.kind);
        }
        if seen & bit != 0 {
            report.say_of(at, error!("type", "duplicate rlimit type: {}"), limit.kind);
        }
        seen |= bit;
        if limit.soft > limit.hard {
            report.say(at, error!("soft", "the soft limit is above the hard limit"));
        }
    }
}

fn scheduler(attributes: &Scheduler<'_>, at: &At<'_>, report: &mut Report<'_>) {
    let (policy, nice) = (attributes.policy, attributes.nice);
    if policy.is_empty() {
        report.say(at, error!("policy", "scheduler policy is required"));
    } else if names::scheduler_policy(policy).is_none() {
        report.say_of(at, error!("policy", "invalid scheduler policy: {}"), policy);
    }
    if matches!(policy, "SCHED_OTHER" | "SCHED_BATCH") && !(-20..=19).contains(&nice) {
        let rule = error!("nice", "invalid scheduler.nice: {} when scheduler.policy is {}");
        report.say_all(at, rule, &[Value::Number(nice), Value::Text(policy)]);
    }
    if matches!(policy, "SCHED_FIFO" | "SCHED_RR") {
        report.within(at, "priority", attributes.priority, 1, 99);
    } else if attributes.priority != 0 {
        report.say(at, error!("priority", "scheduler.priority can only be specified for SchedFIFO or SchedRR policy"));
    }
    for (index, flag) in attributes.flags.iter().enumerate() {
        if names::scheduler_flag(flag).is_none() {
            report.say_of(&at.item("flags", index), error!("", "invalid scheduler flag: {}"), flag);
        }
    }
    deadline(attributes, at, report);
}

/// The kernel's own rule (sched_setattr(2)): 1024 <= runtime <= deadline <= period, where a period of 0 is the deadline.
fn deadline(attributes: &Scheduler<'_>, at: &At<'_>, report: &mut Report<'_>) {
    let Scheduler { runtime, deadline, period, .. } = *attributes;
    let is_ordered = runtime >= 1024 && runtime <= deadline && (period == 0 || deadline <= period);
    if attributes.policy != "SCHED_DEADLINE" {
        if runtime | deadline | period != 0 {
            report.say(at, error!("", "scheduler runtime/deadline/period can only be specified for SchedDeadline policy"));
        }
    } else if !is_ordered {
        report.say(at, error!("", "SCHED_DEADLINE needs 1024 <= runtime <= deadline <= period"));
    }
}

fn io_priority(priority: &IoPriority<'_>, at: &At<'_>, report: &mut Report<'_>) {
    if names::io_priority_class(priority.class).is_none() {
        report.say_of(at, error!("class", "invalid io priority class: {}"), priority.class);
    }
    if !(0..=7).contains(&priority.priority) {
        report.say_number(at, error!("priority", "invalid ioPriority.Priority: {}"), priority.priority);
    }
}
