//! `linux.resources`: what cgroups limit. Sizes are in bytes, times in microseconds.

use super::Entry;
use crate::json::object;
use crate::mem::List;

object! {
    /// Limits, by controller.
    Resources<'a> {
        "devices" => devices: List<'a, DeviceRule<'a>>,
        "memory" => memory: Option<Memory>,
        "cpu" => cpu: Option<Cpu<'a>>,
        "pids" => pids: Option<Pids>,
        "blockIO" => block_io: Option<BlockIo<'a>>,
        "hugepageLimits" => hugepage_limits: List<'a, HugepageLimit<'a>>,
        "network" => network: Option<Network<'a>>,
        "rdma" => rdma: List<'a, Entry<'a, Rdma>>,
        "unified" => unified: List<'a, Entry<'a, &'a str>>,
    }
}

object! {
    /// A rule on device nodes; the last one that matches counts.
    DeviceRule<'a> {
        "allow" => allow: bool,
        "type" => kind: &'a str,
        "major" => major: Option<i64>,
        "minor" => minor: Option<i64>,
        "access" => access: &'a str,
    }
}

object! {
    /// Memory; -1 is unlimited.
    Memory {
        "limit" => limit: Option<i64>,
        "reservation" => reservation: Option<i64>,
        /// Memory and swap together.
        "swap" => swap: Option<i64>,
        "kernel" => kernel: Option<i64>,
        "kernelTCP" => kernel_tcp: Option<i64>,
        "swappiness" => swappiness: Option<u64>,
        "disableOOMKiller" => disable_oom_killer: Option<bool>,
        "useHierarchy" => use_hierarchy: Option<bool>,
        "checkBeforeUpdate" => check_before_update: Option<bool>,
    }
}

object! {
    /// Processor time and processors.
    Cpu<'a> {
        "shares" => shares: Option<u64>,
        "quota" => quota: Option<i64>,
        "burst" => burst: Option<u64>,
        "period" => period: Option<u64>,
        "realtimeRuntime" => realtime_runtime: Option<i64>,
        "realtimePeriod" => realtime_period: Option<u64>,
        "cpus" => cpus: &'a str,
        "mems" => mems: &'a str,
        "idle" => idle: Option<i64>,
    }
}

object! {
    /// The number of tasks.
    Pids {
        "limit" => limit: Option<i64>,
    }
}

object! {
    /// Input and output of block devices.
    BlockIo<'a> {
        "weight" => weight: Option<u16>,
        "leafWeight" => leaf_weight: Option<u16>,
        "weightDevice" => weight_device: List<'a, WeightDevice>,
        "throttleReadBpsDevice" => throttle_read_bps_device: List<'a, ThrottleDevice>,
        "throttleWriteBpsDevice" => throttle_write_bps_device: List<'a, ThrottleDevice>,
        "throttleReadIOPSDevice" => throttle_read_iops_device: List<'a, ThrottleDevice>,
        "throttleWriteIOPSDevice" => throttle_write_iops_device: List<'a, ThrottleDevice>,
    }
}

object! {
    /// The weight of one device.
    WeightDevice {
        "major" => major: i64,
        "minor" => minor: i64,
        "weight" => weight: Option<u16>,
        "leafWeight" => leaf_weight: Option<u16>,
    }
}

object! {
    /// The rate of one device, per second.
    ThrottleDevice {
        "major" => major: i64,
        "minor" => minor: i64,
        "rate" => rate: u64,
    }
}

object! {
    /// Huge pages of one size, such as `2MB`.
    HugepageLimit<'a> {
        "pageSize" => page_size: &'a str,
        "limit" => limit: u64,
    }
}

object! {
    /// The network controllers of cgroup v1.
    Network<'a> {
        "classID" => class_id: Option<u32>,
        "priorities" => priorities: List<'a, InterfacePriority<'a>>,
    }
}

object! {
    /// The priority of what leaves by one interface.
    InterfacePriority<'a> {
        "name" => name: &'a str,
        "priority" => priority: u32,
    }
}

object! {
    /// Remote direct memory access of one device.
    Rdma {
        "hcaHandles" => hca_handles: Option<u32>,
        "hcaObjects" => hca_objects: Option<u32>,
    }
}
