//! `linux.intelRdt`, `linux.memoryPolicy`, `linux.personality`.

use super::{At, Report, Shown, TOP};
use crate::names;
use crate::spec::{IntelRdt, Linux, MemoryPolicy, Personality};

pub(super) fn check(linux: &Linux<'_>, report: &mut Report<'_>) {
    let at = &TOP.key("linux");
    if let Some(rdt) = &linux.intel_rdt {
        intel_rdt(rdt, &at.key("intelRdt"), report);
    }
    if let Some(policy) = &linux.memory_policy {
        memory_policy(policy, &at.key("memoryPolicy"), report);
    }
    if let Some(domain) = &linux.personality {
        personality(domain, &at.key("personality"), report);
    }
    report.no_nul(&at.key("cgroupsPath"), linux.cgroups_path);
}

fn intel_rdt(rdt: &IntelRdt<'_>, at: &At<'_>, report: &mut Report<'_>) {
    if matches!(rdt.clos_id, "." | "..") || rdt.clos_id.contains(['/', '\0']) {
        report.error(&at.key("closID"), format_args!("invalid intelRdt.ClosID \"{}\"", Shown(rdt.clos_id)));
    }
    if !rdt.mem_bw_schema.is_empty() && (!rdt.mem_bw_schema.starts_with("MB:") || rdt.mem_bw_schema.contains('\n')) {
        report.error(&at.key("memBwSchema"), format_args!("must start with MB: and be one line"));
    }
    if !rdt.l3_cache_schema.is_empty() && !rdt.l3_cache_schema.starts_with("L3") {
        report.warning(&at.key("l3CacheSchema"), format_args!("should start with L3:"));
    }
    for (index, line) in rdt.schemata.iter().enumerate() {
        if line.contains('\n') {
            report.warning(&at.key("schemata").index(index), format_args!("should be one line"));
        }
    }
}

/// The combinations that set_mempolicy(2) accepts.
fn memory_policy(policy: &MemoryPolicy<'_>, at: &At<'_>, report: &mut Report<'_>) {
    let mode = policy.mode;
    if names::memory_policy_mode(mode).is_none() {
        return report.error(&at.key("mode"), format_args!("invalid memory policy mode \"{}\"", Shown(mode)));
    }
    let takes_none = matches!(mode, "MPOL_DEFAULT" | "MPOL_LOCAL");
    if takes_none && !policy.nodes.is_empty() {
        report.error(&at.key("nodes"), format_args!("{mode} takes no nodes"));
    } else if !takes_none && mode != "MPOL_PREFERRED" && policy.nodes.is_empty() {
        report.error(&at.key("nodes"), format_args!("{mode} needs nodes"));
    }
    report.number_list(&at.key("nodes"), policy.nodes);
    memory_policy_flags(policy, &at.key("flags"), report);
}

fn memory_policy_flags(policy: &MemoryPolicy<'_>, at: &At<'_>, report: &mut Report<'_>) {
    for (index, flag) in policy.flags.iter().enumerate() {
        if names::memory_policy_flag(flag).is_none() {
            report.error(&at.index(index), format_args!("invalid memory policy flag \"{}\"", Shown(flag)));
        }
    }
    let has = |wanted: &str| policy.flags.iter().any(|flag| *flag == wanted);
    let (is_static, is_relative) = (has("MPOL_F_STATIC_NODES"), has("MPOL_F_RELATIVE_NODES"));
    if is_static && is_relative {
        report.error(at, format_args!("MPOL_F_STATIC_NODES and MPOL_F_RELATIVE_NODES exclude each other"));
    }
    if policy.nodes.is_empty() && (is_static || is_relative) {
        report.error(at, format_args!("MPOL_F_STATIC_NODES and MPOL_F_RELATIVE_NODES need nodes"));
    }
    if has("MPOL_F_NUMA_BALANCING") && !matches!(policy.mode, "MPOL_BIND" | "MPOL_PREFERRED_MANY") {
        report.error(at, format_args!("MPOL_F_NUMA_BALANCING needs MPOL_BIND or MPOL_PREFERRED_MANY"));
    }
}

fn personality(personality: &Personality<'_>, at: &At<'_>, report: &mut Report<'_>) {
    if names::personality_domain(personality.domain).is_none() {
        report.error(&at.key("domain"), format_args!("invalid personality domain {}", Shown(personality.domain)));
    }
    if !personality.flags.is_empty() {
        report.warning(&at.key("flags"), format_args!("ignored: no personality flag is supported"));
    }
}
