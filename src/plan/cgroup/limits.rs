//! `linux.resources` as texts for the files of cgroup v2, in the order in which runc writes them.

use core::ffi::CStr;
use core::fmt::{self, Arguments};

use super::super::{Setting, c_str};
use super::v1::{IS_BUILT, Places};
use super::{Limit, Rule, weight};
use crate::error::{Error, Result};
use crate::mem::{Arena, List};
use crate::spec::{BlockIo, Cpu, Memory, Resources, ThrottleDevice};

/// Makes the list of what is to be written.
pub(super) struct Limits<'l, 'a> {
    list: List<'a, Limit<'a>>,
    pub(super) arena: &'l Arena<'a>,
    places: &'l Places<'a>,
}

impl<'a> Limits<'_, 'a> {
    /// What the controller of the file has in cgroup v1 is written there: its path is then absolute.
    #[inline(never)]
    pub(super) fn push(&mut self, rule: Rule, file: &'a CStr, value: Arguments<'_>) -> Result<'a, ()> {
        let file = match self.places.of(controller(file)) {
            Some(place) => self.arena.c_str(&[place.mount.as_bytes(), place.below.as_bytes(), b"/", file.to_bytes()])?,
            None => file,
        };
        let setting = Setting { file, value: self.arena.format(value)? };
        Ok(self.list.push(self.arena, Limit { setting, rule })?)
    }

    pub(super) fn is_v1(&self, controller: &str) -> bool {
        IS_BUILT && self.places.of(controller).is_some()
    }
}

/// What the name of a file begins with.
fn controller(file: &CStr) -> &str {
    file.to_str().unwrap_or_default().split('.').next().unwrap_or_default()
}

/// A number of which the negative ones mean no limit.
pub(super) struct OrMax(i64);

impl fmt::Display for OrMax {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 < 0 { f.write_str("max") } else { self.0.fmt(f) }
    }
}

pub(super) fn limits<'a>(resources: &Resources<'a>, places: &Places<'a>, arena: &Arena<'a>) -> Result<'a, List<'a, Limit<'a>>> {
    let mut limits = Limits { list: List::default(), arena, places };
    if let Some(limit) = resources.pids.as_ref().and_then(|pids| pids.limit) {
        limits.push(Rule::Must, c"pids.max", format_args!("{}", OrMax(if limit == 0 { 1 } else { limit })))?;
    }
    if let Some(memory) = &resources.memory {
        if limits.is_v1("memory") { limits.memory_v1(memory)? } else { limits.memory(memory)? }
    }
    if let Some(block_io) = &resources.block_io {
        if limits.is_v1("blkio") { limits.block_io_v1(block_io)? } else { limits.block_io(block_io)? }
    }
    if let Some(cpu) = &resources.cpu {
        if limits.is_v1("cpu") {
            limits.cpu_v1(cpu)?;
        } else {
            limits.cpu(cpu)?;
        }
        for (file, value) in [(c"cpuset.cpus", cpu.cpus), (c"cpuset.mems", cpu.mems)] {
            if !value.is_empty() {
                limits.push(Rule::Must, file, format_args!("{value}"))?;
            }
        }
    }
    let huge: [&[u8]; 2] = if limits.is_v1("hugetlb") { [b".limit_in_bytes", b".rsvd.limit_in_bytes"] } else { [b".max", b".rsvd.max"] };
    for limit in &resources.hugepage_limits {
        for (rule, end) in [(Rule::Must, huge[0]), (Rule::IfThere, huge[1])] {
            let file = arena.c_str(&[b"hugetlb.", limit.page_size.as_bytes(), end])?;
            limits.push(rule, file, format_args!("{}", limit.limit))?;
        }
    }
    for entry in &resources.rdma {
        limits.push(Rule::Must, c"rdma.max", format_args!("{}{}", entry.key, Rdma(&entry.value)))?;
    }
    for entry in &resources.unified {
        if entry.key.is_empty() || entry.key.contains('/') || !entry.key.contains('.') {
            return Err(Error::text("linux.resources.unified", entry.key, "it must be the name of a file of the cgroup"));
        }
        let file = c_str(entry.key, arena)?;
        // Files with a line for each device take one line a write.
        for line in entry.value.trim_end_matches('\n').split('\n') {
            limits.list.push(arena, Limit { setting: Setting { file, value: line }, rule: Rule::Unified })?;
        }
    }
    if let Some(network) = resources.network.as_ref().filter(|_| IS_BUILT) {
        limits.network_v1(network)?;
    }
    if IS_BUILT && places.guards_devices {
        limits.devices_v1(&resources.devices)?;
    }
    Ok(limits.list)
}

/// What is set of a device for remote direct memory access.
struct Rdma<'r>(&'r crate::spec::Rdma);

impl fmt::Display for Rdma<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (key, value) in [("hca_handle", self.0.hca_handles), ("hca_object", self.0.hca_objects)] {
            if let Some(value) = value {
                write!(f, " {key}={value}")?;
            }
        }
        Ok(())
    }
}

impl<'a> Limits<'_, 'a> {
    /// cgroup v1 counts memory and swap together, v2 counts swap alone; -1 is `max`, 0 is not written.
    fn memory(&mut self, memory: &Memory) -> Result<'a, ()> {
        let limit = memory.limit.unwrap_or(0);
        let written_swap = memory.swap.unwrap_or(0);
        let swap = swap_alone(limit, written_swap)?;
        if memory.check_before_update == Some(true) {
            for (name, limit) in [(c"memory+swap", written_swap), (c"memory", limit)] {
                if limit > 0 {
                    self.push(Rule::AboveUse, name, format_args!("{limit}"))?;
                }
            }
        }
        if swap != 0 || written_swap > 0 {
            // Kernels without swap have no such file, and then these two are as things are.
            let rule = if swap > 0 { Rule::Must } else { Rule::IfThere };
            self.push(rule, c"memory.swap.max", format_args!("{}", OrMax(swap)))?;
        }
        for (file, value) in [(c"memory.max", limit), (c"memory.low", memory.reservation.unwrap_or(0))] {
            if value != 0 {
                self.push(Rule::Must, file, format_args!("{}", OrMax(value)))?;
            }
        }
        Ok(())
    }

    fn cpu(&mut self, cpu: &Cpu<'a>) -> Result<'a, ()> {
        const DEFAULT_PERIOD_US: u64 = 100_000;
        let shares = cpu.shares.filter(|shares| *shares != 0);
        let idle = cpu.idle.map(|idle| (c"cpu.idle", idle as u64));
        let weight = shares.map(|shares| (c"cpu.weight", weight::of_shares(shares)));
        // While a group is idle the kernel refuses a weight.
        let order = if cpu.idle == Some(1) { [weight, idle] } else { [idle, weight] };
        for (file, value) in order.into_iter().flatten() {
            self.push(Rule::Must, file, format_args!("{value}"))?;
        }
        let (quota, period) = (cpu.quota.unwrap_or(0), cpu.period.unwrap_or(0));
        let has_quota = quota != 0 || period != 0;
        // The kernel refuses a burst above the quota that stands, and a quota below the burst that stands: so both before and after.
        if let Some(burst) = cpu.burst.filter(|_| has_quota) {
            self.push(Rule::WrittenAgain, c"cpu.max.burst", format_args!("{burst}"))?;
        }
        if has_quota {
            let quota = if quota == 0 { -1 } else { quota };
            let period = if period == 0 { DEFAULT_PERIOD_US } else { period };
            self.push(Rule::Must, c"cpu.max", format_args!("{} {period}", OrMax(quota)))?;
        }
        if let Some(burst) = cpu.burst {
            self.push(Rule::Must, c"cpu.max.burst", format_args!("{burst}"))?;
        }
        Ok(())
    }

    /// The BFQ scheduler takes blkio's weights as they are and has a file of its own; io.weight is for the io.cost model.
    fn block_io(&mut self, block_io: &BlockIo<'a>) -> Result<'a, ()> {
        if let Some(weight) = block_io.weight.filter(|weight| *weight != 0) {
            self.push(Rule::OrNext, c"io.bfq.weight", format_args!("{weight}"))?;
            self.push(Rule::Must, c"io.weight", format_args!("{}", io_weight(weight)))?;
        }
        for device in &block_io.weight_device {
            if let Some(weight) = device.weight.filter(|weight| *weight != 0) {
                let (major, minor) = (device.major, device.minor);
                self.push(Rule::OrNext, c"io.bfq.weight", format_args!("{major}:{minor} {weight}"))?;
                self.push(Rule::Must, c"io.weight", format_args!("{major}:{minor} {}", io_weight(weight)))?;
            }
        }
        self.throttle(&block_io.throttle_read_bps_device, "rbps")?;
        self.throttle(&block_io.throttle_write_bps_device, "wbps")?;
        self.throttle(&block_io.throttle_read_iops_device, "riops")?;
        self.throttle(&block_io.throttle_write_iops_device, "wiops")
    }

    /// A rate of 0 takes the limit away, as it did in cgroup v1; io.max refuses it.
    #[inline(never)]
    fn throttle(&mut self, devices: &List<'a, ThrottleDevice>, key: &str) -> Result<'a, ()> {
        for device in devices {
            let rate = if device.rate == 0 { -1 } else { i64::try_from(device.rate).unwrap_or(-1) };
            self.push(Rule::Must, c"io.max", format_args!("{}:{} {key}={}", device.major, device.minor, OrMax(rate)))?;
        }
        Ok(())
    }
}

/// blkio.weight, 10 to 1000, as io.weight, 1 to 10000.
pub(super) fn io_weight(weight: u16) -> u32 {
    1 + u32::from(weight).saturating_sub(10) * 9999 / 990
}

fn swap_alone<'a>(limit: i64, swap: i64) -> Result<'a, i64> {
    let wrong = |why| Err(Error::text("linux.resources.memory.swap", "", why));
    match (limit, swap) {
        (-1, 0) => Ok(-1),
        (_, -1 | 0) => Ok(swap),
        (-1, swap) => Ok(swap),
        (0, _) => wrong("unable to set swap limit without memory limit"),
        (limit, swap) if limit < -1 || swap < limit => wrong("memory+swap limit should be >= memory limit"),
        (limit, swap) => Ok(swap - limit),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::mem::MaybeUninit;

    #[test]
    fn swap_is_counted_alone_in_v2() {
        assert_eq!(swap_alone(100, 300).unwrap(), 200);
        assert_eq!(swap_alone(100, 100).unwrap(), 0);
        assert_eq!(swap_alone(-1, 0).unwrap(), -1);
        assert_eq!(swap_alone(100, -1).unwrap(), -1);
        assert_eq!(swap_alone(-1, 50).unwrap(), 50);
        assert!(swap_alone(0, 50).is_err() && swap_alone(100, 50).is_err() && swap_alone(-2, 50).is_err());
    }

    fn written(resources: &str) -> Vec<String> {
        let mut room = [MaybeUninit::uninit(); 16384];
        let arena = Arena::new(&mut room);
        let text = arena.format(format_args!("{resources}")).unwrap();
        let (resources, _) = crate::json::read::<Resources<'_>>(text.as_bytes(), &arena).unwrap();
        let limits = limits(resources, &Places::default(), &arena).unwrap();
        limits.iter().map(|limit| format!("{} {} {:?}", limit.setting.file.to_str().unwrap(), limit.setting.value, limit.rule)).collect()
    }

    #[test]
    fn every_controller_is_written_in_runcs_order() {
        let resources = r#"{ "unified": { "memory.high": "1000" }, "rdma": { "mlx5_1": { "hcaHandles": 3, "hcaObjects": 4 } },
            "hugepageLimits": [{ "pageSize": "2MB", "limit": 4194304 }],
            "cpu": { "cpus": "0-1", "mems": "0", "shares": 1024, "quota": 5000, "period": 10000, "burst": 1000, "idle": 0 },
            "blockIO": { "weight": 500, "weightDevice": [{ "major": 8, "minor": 0, "weight": 1000 }],
              "throttleReadBpsDevice": [{ "major": 8, "minor": 0, "rate": 600 }], "throttleWriteIOPSDevice": [{ "major": 8, "minor": 16, "rate": 0 }],
              "throttleWriteBpsDevice": [{ "major": 8, "minor": 1, "rate": 700 }], "throttleReadIOPSDevice": [{ "major": 8, "minor": 2, "rate": 800 }] },
            "memory": { "limit": 1000, "swap": 3000, "reservation": 500, "checkBeforeUpdate": true }, "pids": { "limit": 0 } }"#;
        let expected = [
            "pids.max 1 Must",
            "memory+swap 3000 AboveUse",
            "memory 1000 AboveUse",
            "memory.swap.max 2000 Must",
            "memory.max 1000 Must",
            "memory.low 500 Must",
            "io.bfq.weight 500 OrNext",
            "io.weight 4950 Must",
            "io.bfq.weight 8:0 1000 OrNext",
            "io.weight 8:0 10000 Must",
            "io.max 8:0 rbps=600 Must",
            "io.max 8:1 wbps=700 Must",
            "io.max 8:2 riops=800 Must",
            "io.max 8:16 wiops=max Must",
            "cpu.idle 0 Must",
            "cpu.weight 100 Must",
            "cpu.max.burst 1000 WrittenAgain",
            "cpu.max 5000 10000 Must",
            "cpu.max.burst 1000 Must",
            "cpuset.cpus 0-1 Must",
            "cpuset.mems 0 Must",
            "hugetlb.2MB.max 4194304 Must",
            "hugetlb.2MB.rsvd.max 4194304 IfThere",
            "rdma.max mlx5_1 hca_handle=3 hca_object=4 Must",
            "memory.high 1000 Unified",
        ];
        assert_eq!(written(resources), expected);
    }

    #[test]
    fn what_is_unlimited_is_max_and_what_is_zero_is_not_written() {
        let unlimited = r#"{ "memory": { "limit": -1, "reservation": -1 }, "pids": { "limit": -1 }, "cpu": { "quota": -1 } }"#;
        assert_eq!(
            written(unlimited),
            ["pids.max max Must", "memory.swap.max max IfThere", "memory.max max Must", "memory.low max Must", "cpu.max max 100000 Must"]
        );
        let zero = r#"{ "memory": { "limit": 0, "swap": 0 }, "cpu": { "shares": 0, "quota": 0, "period": 0 }, "blockIO": { "weight": 0 }, "pids": {} }"#;
        assert_eq!(written(zero), Vec::<String>::new());
        assert_eq!(written(r#"{ "memory": { "limit": 100, "swap": 100 } }"#), ["memory.swap.max 0 IfThere", "memory.max 100 Must"]);
    }

    #[test]
    fn an_idle_group_gets_its_weight_before_it_becomes_idle() {
        assert_eq!(written(r#"{ "cpu": { "shares": 1024, "idle": 1 } }"#), ["cpu.weight 100 Must", "cpu.idle 1 Must"]);
    }

    #[test]
    fn a_unified_file_with_several_lines_is_written_line_by_line() {
        let resources = r#"{ "unified": { "io.max": "8:0 rbps=1\n8:16 rbps=2\n" } }"#;
        assert_eq!(written(resources), ["io.max 8:0 rbps=1 Unified", "io.max 8:16 rbps=2 Unified"]);
    }
}
