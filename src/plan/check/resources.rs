//! `linux.resources`: the limits. What only cgroup v1 has is ignored, and said to be.

use super::{At, Report, Shown, TOP, devices};
use crate::mem::List;
use crate::spec::{BlockIo, Cpu, DeviceRule, Entry, Memory, Network, Rdma, Resources, ThrottleDevice, WeightDevice};

pub(super) fn check(resources: &Resources<'_>, report: &mut Report<'_>) {
    let top = TOP.key("linux");
    let at = &top.key("resources");
    device_rules(&resources.devices, &at.key("devices"), report);
    if let Some(limits) = &resources.memory {
        memory(limits, &at.key("memory"), report);
    }
    if let Some(limits) = &resources.cpu {
        cpu(limits, &at.key("cpu"), report);
    }
    if resources.pids.is_some_and(|pids| pids.limit.is_none()) {
        report.warning(&at.key("pids").key("limit"), format_args!("missing: nothing is limited"));
    }
    if let Some(limits) = &resources.block_io {
        block_io(limits, &at.key("blockIO"), report);
    }
    hugepages(resources, at, report);
    if let Some(settings) = &resources.network {
        network(settings, &at.key("network"), report);
    }
    rdma(&resources.rdma, &at.key("rdma"), report);
    unified(&resources.unified, &at.key("unified"), report);
}

fn device_rules(rules: &List<'_, DeviceRule<'_>>, list: &At<'_>, report: &mut Report<'_>) {
    for (index, rule) in rules.iter().enumerate() {
        let at = &list.index(index);
        if !matches!(rule.kind, "" | "a" | "b" | "c") {
            report.error(&at.key("type"), format_args!("invalid cgroup device type \"{}\"", Shown(rule.kind)));
        }
        if rule.access.is_empty() {
            report.error(&at.key("access"), format_args!("device access at {index} field cannot be empty"));
        } else if !rule.access.bytes().all(|access| b"rwm".contains(&access)) {
            report.error(&at.key("access"), format_args!("invalid device access \"{}\": only r, w and m are known", Shown(rule.access)));
        }
        devices::numbers(rule.major.unwrap_or(-1), rule.minor.unwrap_or(-1), -1, at, report);
    }
}

fn memory(limits: &Memory, at: &At<'_>, report: &mut Report<'_>) {
    for (key, value) in [("limit", limits.limit), ("reservation", limits.reservation), ("swap", limits.swap)] {
        if let Some(value) = value.filter(|value| *value < -1) {
            report.error(&at.key(key), format_args!("invalid memory value: {value}"));
        }
    }
    swap(limits.limit.unwrap_or(0), limits.swap.unwrap_or(0), &at.key("swap"), report);
    if limits.swappiness.is_some_and(|percent| percent > 100) {
        report.error(&at.key("swappiness"), format_args!("must be from 0 to 100"));
    }
    report.v1_only(&at.key("swappiness"), limits.swappiness.is_some_and(|percent| percent <= 100));
    report.v1_only(&at.key("kernel"), limits.kernel.is_some());
    report.v1_only(&at.key("kernelTCP"), limits.kernel_tcp.is_some());
    report.v1_only(&at.key("disableOOMKiller"), limits.disable_oom_killer == Some(true));
    report.v1_only(&at.key("useHierarchy"), limits.use_hierarchy == Some(false));
}

/// The value means memory and swap together, while cgroup v2 wants swap alone.
fn swap(limit: i64, swap: i64, at: &At<'_>, report: &mut Report<'_>) {
    if swap <= 0 || limit < 0 {
        return;
    }
    if limit == 0 {
        report.error(at, format_args!("unable to set swap limit without memory limit"));
    } else if swap < limit {
        report.error(at, format_args!("memory+swap limit should be >= memory limit"));
    }
}

/// The bounds are the kernel's (kernel/sched/core.c, tg_set_cfs_bandwidth); 0 means not given, as in runc.
fn cpu(limits: &Cpu<'_>, at: &At<'_>, report: &mut Report<'_>) {
    let (quota, period, burst) = (limits.quota.unwrap_or(0), limits.period.unwrap_or(0), limits.burst.unwrap_or(0));
    if period != 0 {
        report.within(&at.key("period"), period, 1000, 1_000_000);
    }
    if (1..1000).contains(&quota) {
        report.error(&at.key("quota"), format_args!("{quota} is less than 1000 microseconds"));
    }
    if quota > 0 && burst > quota.unsigned_abs() {
        report.error(&at.key("burst"), format_args!("{burst} is larger than the quota of {quota}"));
    }
    if let Some(idle) = limits.idle {
        report.within(&at.key("idle"), idle, 0, 1);
    }
    report.number_list(&at.key("cpus"), limits.cpus);
    report.number_list(&at.key("mems"), limits.mems);
    report.v1_only(&at.key("realtimeRuntime"), limits.realtime_runtime.is_some_and(|time| time != 0));
    report.v1_only(&at.key("realtimePeriod"), limits.realtime_period.is_some_and(|time| time != 0));
}

fn block_io(limits: &BlockIo<'_>, at: &At<'_>, report: &mut Report<'_>) {
    weight(limits.weight, &at.key("weight"), report);
    report.v1_only(&at.key("leafWeight"), limits.leaf_weight.is_some_and(|weight| weight != 0));
    weights(&limits.weight_device, &at.key("weightDevice"), report);
    throttles(&limits.throttle_read_bps_device, &at.key("throttleReadBpsDevice"), report);
    throttles(&limits.throttle_write_bps_device, &at.key("throttleWriteBpsDevice"), report);
    throttles(&limits.throttle_read_iops_device, &at.key("throttleReadIOPSDevice"), report);
    throttles(&limits.throttle_write_iops_device, &at.key("throttleWriteIOPSDevice"), report);
}

/// The range of blkio.weight, from which io.weight is computed; 0 means not given.
fn weight(weight: Option<u16>, at: &At<'_>, report: &mut Report<'_>) {
    if let Some(weight) = weight.filter(|weight| *weight != 0) {
        report.within(at, weight, 10, 1000);
    }
}

fn weights(list: &List<'_, WeightDevice>, list_at: &At<'_>, report: &mut Report<'_>) {
    for (index, device) in list.iter().enumerate() {
        let at = &list_at.index(index);
        devices::numbers(device.major, device.minor, 0, at, report);
        weight(device.weight, &at.key("weight"), report);
        report.v1_only(&at.key("leafWeight"), device.leaf_weight.is_some_and(|weight| weight != 0));
        if device.weight.is_none() && device.leaf_weight.is_none() {
            report.error(at, format_args!("needs weight or leafWeight"));
        }
    }
}

fn throttles(list: &List<'_, ThrottleDevice>, list_at: &At<'_>, report: &mut Report<'_>) {
    for (index, device) in list.iter().enumerate() {
        devices::numbers(device.major, device.minor, 0, &list_at.index(index), report);
    }
}

fn hugepages(resources: &Resources<'_>, at: &At<'_>, report: &mut Report<'_>) {
    for (index, limit) in resources.hugepage_limits.iter().enumerate() {
        let (list, size) = (at.key("hugepageLimits"), limit.page_size);
        if !is_page_size(size) {
            report.error(&list.index(index).key("pageSize"), format_args!("\"{}\" is not a size such as 64KB, 2MB or 1GB", Shown(size)));
        }
    }
}

/// The size is part of a file's name, so that nothing else may pass.
fn is_page_size(size: &str) -> bool {
    let digits = ["KB", "MB", "GB"].iter().find_map(|unit| size.strip_suffix(unit)).unwrap_or_default();
    !digits.is_empty() && !digits.starts_with('0') && digits.bytes().all(|digit| digit.is_ascii_digit())
}

fn network(settings: &Network<'_>, at: &At<'_>, report: &mut Report<'_>) {
    report.v1_only(&at.key("classID"), settings.class_id.is_some_and(|class| class != 0));
    report.v1_only(&at.key("priorities"), !settings.priorities.is_empty());
}

fn rdma(devices: &List<'_, Entry<'_, Rdma>>, at: &At<'_>, report: &mut Report<'_>) {
    for entry in devices {
        let at = &at.key(entry.key);
        if entry.key.is_empty() || entry.key.contains(|character: char| character <= ' ') {
            report.error(at, format_args!("invalid device name \"{}\"", Shown(entry.key)));
        }
        if entry.value.hca_handles.is_none() && entry.value.hca_objects.is_none() {
            report.error(at, format_args!("needs hcaHandles or hcaObjects"));
        }
    }
}

/// Each key is the name of a file in the container's cgroup, and must not lead out of it.
fn unified(files: &List<'_, Entry<'_, &str>>, at: &At<'_>, report: &mut Report<'_>) {
    for entry in files {
        let at = &at.key(entry.key);
        if entry.key.contains(['/', '\0']) {
            report.error(at, format_args!("unified resource \"{}\" must be a file name (no slashes)", Shown(entry.key)));
        } else if !entry.key.split_once('.').is_some_and(|(controller, file)| !controller.is_empty() && !file.is_empty()) {
            report.error(at, format_args!("unified resource \"{}\" must be in the form CONTROLLER.PARAMETER", Shown(entry.key)));
        }
        report.no_nul(at, entry.value);
    }
}
