//! `linux.intelRdt`, `linux.memoryPolicy`, `linux.personality`.

use super::{At, Report, TOP, error, has, warning};
use crate::names::{self, subjects};
use crate::plan::scheduling::MOST_NODE;
use crate::spec::{IntelRdt, Linux, MemoryPolicy, Personality};

/// The longest name of a directory.
const NAME_MAX: usize = 255;

pub(super) fn check(linux: &Linux<'_>, report: &mut Report<'_>) {
    let at = &TOP.key("linux");
    if let Some(rdt) = linux.intel_rdt.as_ref().filter(|_| subjects::INTEL_RDT) {
        intel_rdt(rdt, &at.key("intelRdt"), report);
    }
    if let Some(policy) = &linux.memory_policy {
        memory_policy(policy, &at.key("memoryPolicy"), report);
    }
    if let Some(domain) = &linux.personality {
        personality(domain, &at.key("personality"), report);
    }
    report.no_nul(at, "cgroupsPath", linux.cgroups_path);
}

fn intel_rdt(rdt: &IntelRdt<'_>, at: &At<'_>, report: &mut Report<'_>) {
    if matches!(rdt.clos_id, "." | "..") || has(rdt.clos_id, b"/\0") {
        report.say_of(at, error!("closID", "invalid intelRdt.ClosID \"{}\""), rdt.clos_id);
    }
    report.no_longer(at, "closID", rdt.clos_id, NAME_MAX);
    if !rdt.mem_bw_schema.is_empty() && (!rdt.mem_bw_schema.starts_with("MB:") || has(rdt.mem_bw_schema, b"\n")) {
        report.say(at, error!("memBwSchema", "must start with MB: and be one line"));
    }
    if !rdt.l3_cache_schema.is_empty() && !rdt.l3_cache_schema.starts_with("L3") {
        report.say(at, warning!("l3CacheSchema", "should start with L3:"));
    }
    if rdt.enable_cmt || rdt.enable_mbm {
        report.say(at, warning!("", "enableCMT and enableMBM are ignored: enableMonitoring replaced them"));
    }
    for (index, line) in rdt.schemata.iter().enumerate() {
        if has(line, b"\n") {
            report.say(&at.item("schemata", index), warning!("", "should be one line"));
        }
    }
}

/// The combinations that set_mempolicy(2) accepts.
fn memory_policy(policy: &MemoryPolicy<'_>, at: &At<'_>, report: &mut Report<'_>) {
    let mode = policy.mode;
    if names::memory_policy_mode(mode).is_none() {
        return report.say_of(at, error!("mode", "invalid memory policy mode \"{}\""), mode);
    }
    let takes_none = matches!(mode, "MPOL_DEFAULT" | "MPOL_LOCAL");
    if takes_none && !policy.nodes.is_empty() {
        report.say_of(at, error!("nodes", "{} takes no nodes"), mode);
    } else if !takes_none && mode != "MPOL_PREFERRED" && policy.nodes.is_empty() {
        report.say_of(at, error!("nodes", "{} needs nodes"), mode);
    }
    report.number_list(at, "nodes", policy.nodes, MOST_NODE);
    memory_policy_flags(policy, at, report);
}

fn memory_policy_flags(policy: &MemoryPolicy<'_>, at: &At<'_>, report: &mut Report<'_>) {
    for (index, flag) in policy.flags.iter().enumerate() {
        if names::memory_policy_flag(flag).is_none() {
            report.say_of(&at.item("flags", index), error!("", "invalid memory policy flag \"{}\""), flag);
        }
    }
    let has = |wanted: &str| policy.flags.iter().any(|flag| *flag == wanted);
    let (is_static, is_relative) = (has("MPOL_F_STATIC_NODES"), has("MPOL_F_RELATIVE_NODES"));
    if is_static && is_relative {
        report.say(at, error!("flags", "MPOL_F_STATIC_NODES and MPOL_F_RELATIVE_NODES exclude each other"));
    }
    if policy.nodes.is_empty() && (is_static || is_relative) {
        report.say(at, error!("flags", "MPOL_F_STATIC_NODES and MPOL_F_RELATIVE_NODES need nodes"));
    }
    if has("MPOL_F_NUMA_BALANCING") && !matches!(policy.mode, "MPOL_BIND" | "MPOL_PREFERRED_MANY") {
        report.say(at, error!("flags", "MPOL_F_NUMA_BALANCING needs MPOL_BIND or MPOL_PREFERRED_MANY"));
    }
}

fn personality(personality: &Personality<'_>, at: &At<'_>, report: &mut Report<'_>) {
    if names::personality_domain(personality.domain).is_none() {
        report.say_of(at, error!("domain", "invalid personality domain {}"), personality.domain);
    }
    if !personality.flags.is_empty() {
        report.say(at, warning!("flags", "ignored: no personality flag is supported"));
    }
}
