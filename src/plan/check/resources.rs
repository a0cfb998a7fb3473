//! `linux.resources`: the limits. What only cgroup v1 has is ignored, and said to be.

use super::{At, Report, TOP, devices, error, has, warning};
use crate::mem::List;
use crate::plan::scheduling::{MOST_CPU, MOST_NODE};
use crate::spec::{BlockIo, Cpu, Entry, Memory, Rdma, Resources, ThrottleDevice};

pub(super) fn check(resources: &Resources<'_>, report: &mut Report<'_>) {
    let top = TOP.key("linux");
    let at = &top.key("resources");
    device_rules(resources, at, report);
    if let Some(limits) = &resources.memory {
        memory(limits, &at.key("memory"), report);
    }
    if let Some(limits) = &resources.cpu {
        cpu(limits, &at.key("cpu"), report);
    }
    if resources.pids.is_some_and(|pids| pids.limit.is_none()) {
        report.say(&at.key("pids"), warning!("limit", "missing: nothing is limited"));
    }
    if let Some(limits) = &resources.block_io {
        block_io(limits, &at.key("blockIO"), report);
    }
    for (index, limit) in resources.hugepage_limits.iter().enumerate() {
        if !is_page_size(limit.page_size) {
            let rule = error!("pageSize", "\"{}\" is not a size such as 64KB, 2MB or 1GB");
            report.say_of(&at.item("hugepageLimits", index), rule, limit.page_size);
        }
    }
    if let Some(settings) = &resources.network {
        let at = &at.key("network");
        report.v1_only(at, "classID", settings.class_id.unwrap_or(0) != 0);
        report.v1_only(at, "priorities", !settings.priorities.is_empty());
    }
    rdma(&resources.rdma, &at.key("rdma"), report);
    unified(&resources.unified, &at.key("unified"), report);
}

fn device_rules(resources: &Resources<'_>, at: &At<'_>, report: &mut Report<'_>) {
    for (index, rule) in resources.devices.iter().enumerate() {
        let at = &at.item("devices", index);
        if !matches!(rule.kind, "" | "a" | "b" | "c") {
            report.say_of(at, error!("type", "invalid cgroup device type \"{}\""), rule.kind);
        }
        if rule.access.is_empty() {
            report.say_number(at, error!("access", "device access at {} field cannot be empty"), index as i64);
        } else if !rule.access.bytes().all(|access| b"rwm".contains(&access)) {
            report.say_of(at, error!("access", "invalid device access \"{}\": only r, w and m are known"), rule.access);
        }
        devices::numbers(rule.major.unwrap_or(-1), rule.minor.unwrap_or(-1), -1, at, report);
    }
}

fn memory(limits: &Memory, at: &At<'_>, report: &mut Report<'_>) {
    memory_value(limits.limit, &at.key("limit"), report);
    memory_value(limits.reservation, &at.key("reservation"), report);
    memory_value(limits.swap, &at.key("swap"), report);
    swap(limits.limit.unwrap_or(0), limits.swap.unwrap_or(0), at, report);
    match limits.swappiness {
        Some(101..) => report.say(at, error!("swappiness", "must be from 0 to 100")),
        swappiness => report.v1_only(at, "swappiness", swappiness.is_some()),
    }
    report.v1_only(at, "kernel", limits.kernel.is_some());
    report.v1_only(at, "kernelTCP", limits.kernel_tcp.is_some());
    report.v1_only(at, "disableOOMKiller", limits.disable_oom_killer == Some(true));
    report.v1_only(at, "useHierarchy", limits.use_hierarchy == Some(false));
}

#[inline(never)]
fn memory_value(value: Option<i64>, at: &At<'_>, report: &mut Report<'_>) {
    if let Some(value) = value.filter(|value| *value < -1) {
        report.say_number(at, error!("", "invalid memory value: {}"), value);
    }
}

/// The value means memory and swap together, while cgroup v2 wants swap alone.
fn swap(limit: i64, swap: i64, at: &At<'_>, report: &mut Report<'_>) {
    if swap <= 0 || limit < 0 {
        return;
    }
    if limit == 0 {
        report.say(at, error!("swap", "unable to set swap limit without memory limit"));
    } else if swap < limit {
        report.say(at, error!("swap", "memory+swap limit should be >= memory limit"));
    }
}

/// The bounds are the kernel's (kernel/sched/core.c, tg_set_cfs_bandwidth); 0 means not given, as in runc.
fn cpu(limits: &Cpu<'_>, at: &At<'_>, report: &mut Report<'_>) {
    let (quota, period, burst) = (limits.quota.unwrap_or(0), limits.period.unwrap_or(0), limits.burst.unwrap_or(0));
    if period != 0 && !(1000..=1_000_000).contains(&period) {
        report.say(at, error!("period", "must be from 1000 to 1000000 microseconds"));
    }
    if (1..1000).contains(&quota) {
        report.say(at, error!("quota", "must be at least 1000 microseconds"));
    }
    if quota > 0 && burst > quota.unsigned_abs() {
        report.say(at, error!("burst", "must not be larger than the quota"));
    }
    report.within(at, "idle", limits.idle.unwrap_or(0), 0, 1);
    report.number_list(at, "cpus", limits.cpus, MOST_CPU);
    report.number_list(at, "mems", limits.mems, MOST_NODE);
    report.v1_only(at, "realtimeRuntime", limits.realtime_runtime.unwrap_or(0) != 0);
    report.v1_only(at, "realtimePeriod", limits.realtime_period.unwrap_or(0) != 0);
}

fn block_io(limits: &BlockIo<'_>, at: &At<'_>, report: &mut Report<'_>) {
    weights(limits.weight, limits.leaf_weight, at, report);
    for (index, device) in limits.weight_device.iter().enumerate() {
        let at = &at.item("weightDevice", index);
        devices::numbers(device.major, device.minor, 0, at, report);
        weights(device.weight, device.leaf_weight, at, report);
        if device.weight.is_none() && device.leaf_weight.is_none() {
            report.say(at, error!("", "needs weight or leafWeight"));
        }
    }
    throttles(&limits.throttle_read_bps_device, at, "throttleReadBpsDevice", report);
    throttles(&limits.throttle_write_bps_device, at, "throttleWriteBpsDevice", report);
    throttles(&limits.throttle_read_iops_device, at, "throttleReadIOPSDevice", report);
    throttles(&limits.throttle_write_iops_device, at, "throttleWriteIOPSDevice", report);
}

/// The range of blkio.weight, from which io.weight is computed; 0 means not given.
#[inline(never)]
fn weights(weight: Option<u16>, leaf_weight: Option<u16>, at: &At<'_>, report: &mut Report<'_>) {
    if let Some(weight) = weight.filter(|weight| *weight != 0) {
        report.within(at, "weight", weight.into(), 10, 1000);
    }
    report.v1_only(at, "leafWeight", leaf_weight.unwrap_or(0) != 0);
}

#[inline(never)]
fn throttles(list: &List<'_, ThrottleDevice>, at: &At<'_>, key: &str, report: &mut Report<'_>) {
    for (index, device) in list.iter().enumerate() {
        devices::numbers(device.major, device.minor, 0, &at.item(key, index), report);
    }
}

/// The size is part of a file's name, so that nothing else may pass.
fn is_page_size(size: &str) -> bool {
    let digits = ["KB", "MB", "GB"].iter().find_map(|unit| size.strip_suffix(unit)).unwrap_or_default();
    !digits.is_empty() && !digits.starts_with('0') && digits.bytes().all(|digit| digit.is_ascii_digit())
}

fn rdma(devices: &List<'_, Entry<'_, Rdma>>, at: &At<'_>, report: &mut Report<'_>) {
    for entry in devices {
        let at = &at.key(entry.key);
        if entry.key.is_empty() || entry.key.bytes().any(|byte| byte <= b' ') {
            report.say_of(at, error!("", "invalid device name \"{}\""), entry.key);
        }
        if entry.value.hca_handles.is_none() && entry.value.hca_objects.is_none() {
            report.say(at, error!("", "needs hcaHandles or hcaObjects"));
        }
    }
}

/// Each key is the name of a file in the container's cgroup, and must not lead out of it.
fn unified(files: &List<'_, Entry<'_, &str>>, at: &At<'_>, report: &mut Report<'_>) {
    for entry in files {
        let (at, key) = (&at.key(entry.key), entry.key);
        let is_pair = has(key, b".") && !key.starts_with('.') && !key.ends_with('.');
        if has(key, b"/\0") {
            report.say_of(at, error!("", "unified resource \"{}\" must be a file name (no slashes)"), key);
        } else if !is_pair {
            report.say_of(at, error!("", "unified resource \"{}\" must be in the form CONTROLLER.PARAMETER"), key);
        }
        report.no_nul(at, "", entry.value);
    }
}
