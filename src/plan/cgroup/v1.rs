//! cgroup v1: where a container's cgroups are in its hierarchies, and how its limits are written there.
//!
//! On a host without cgroup v2 a container is in every hierarchy. Where v2 is mounted too, that one is the container's, and of v1 it
//! is in those alone whose controllers its limits need: the kernel has each controller in one place only.

use core::ffi::CStr;
use core::fmt::Write;

use super::Rule;
use super::limits::Limits;
use crate::error::{Error, Result};
use crate::mem::{Arena, List};
use crate::spec::{BlockIo, Cpu, DeviceRule, Memory, Network};

/// Whether this build knows cgroup v1.
pub const IS_BUILT: bool = cfg!(feature = "cgroup-v1");

/// A hierarchy of the host.
#[derive(Clone, Copy, Debug)]
pub struct Hierarchy<'a> {
    /// Where it is mounted.
    pub mount: &'a str,
    /// Its mount options, among which are the names of its controllers.
    pub controllers: &'a str,
    /// The runtime's own cgroup in it, below the mount.
    pub own: &'a str,
}

/// A container's cgroup in one of them.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// As [`Hierarchy::controllers`].
    pub controllers: &'a str,
    /// Where the hierarchy is mounted.
    pub mount: &'a str,
    /// The cgroup's path below that.
    pub below: &'a str,
}

/// A container's cgroups of cgroup v1.
#[derive(Clone, Copy, Default)]
pub struct Places<'a> {
    /// One a hierarchy.
    pub list: List<'a, Place<'a>>,
    /// Whether device rules are written there, because no program can guard a cgroup of v1.
    pub guards_devices: bool,
}

impl<'a> Places<'a> {
    /// The place in the hierarchy that has this controller.
    pub(super) fn of(&self, controller: &str) -> Option<&'a Place<'a>> {
        if !IS_BUILT {
            return None;
        }
        self.list.iter().find(|place| place.controllers.split(',').any(|name| name == controller))
    }
}

/// The absolute paths of those that count, as lines: the kernel allows no line break in a cgroup's name.
pub(super) fn lines<'a>(places: &Places<'a>, counts: &dyn Fn(&Place<'_>) -> bool, arena: &Arena<'a>) -> Result<'a, &'a str> {
    struct Lines<'p, 'a>(&'p Places<'a>, &'p dyn Fn(&Place<'_>) -> bool);
    impl core::fmt::Display for Lines<'_, '_> {
        fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
            let mut between = "";
            for place in self.0.list.iter().filter(|place| self.1(place)) {
                write!(f, "{between}{}{}", place.mount, place.below)?;
                between = "\n";
            }
            Ok(())
        }
    }
    Ok(arena.format(format_args!("{}", Lines(places, counts)))?)
}

/// What was not given.
const NONE: i64 = i64::MIN;

/// Where 0 means not given, as well.
fn or_none(value: Option<i64>) -> i64 {
    value.filter(|value| *value != 0).unwrap_or(NONE)
}

/// Files that hold one number.
type Rows = &'static [(&'static CStr, Rule)];

/// Memory and swap are counted together, and the kernel refuses a sum below the one that stands for memory alone: so the sum is written
/// before, where it may be refused, and after.
const MEMORY: Rows = &[
    (BOTH, Rule::WrittenAgain),
    (c"memory.limit_in_bytes", Rule::Must),
    (BOTH, Rule::Must),
    (c"memory.soft_limit_in_bytes", Rule::Must),
    (c"memory.kmem.tcp.limit_in_bytes", Rule::Must),
    (c"memory.oom_control", Rule::Must),
    (c"memory.swappiness", Rule::Must),
];
const BOTH: &CStr = c"memory.memsw.limit_in_bytes";

/// The kernel refuses a period in which the quota that stands is too much or too little, and the same of a burst: both before and after.
const CPU: Rows = &[
    (c"cpu.shares", Rule::Must),
    (c"cpu.cfs_burst_us", Rule::WrittenAgain),
    (c"cpu.cfs_period_us", Rule::WrittenAgain),
    (c"cpu.cfs_quota_us", Rule::Must),
    (c"cpu.cfs_period_us", Rule::Must),
    (c"cpu.cfs_burst_us", Rule::Must),
    (c"cpu.rt_period_us", Rule::Must),
    (c"cpu.rt_runtime_us", Rule::Must),
    (c"cpu.idle", Rule::Must),
];
const WEIGHTS: Rows = &[(c"blkio.bfq.weight", Rule::OrNext), (c"blkio.weight", Rule::Must)];
const DEVICE_WEIGHTS: Rows = &[(c"blkio.bfq.weight_device", Rule::OrNext), (c"blkio.weight_device", Rule::Must)];
const THROTTLES: [&CStr; 4] = [
    c"blkio.throttle.read_bps_device",
    c"blkio.throttle.write_bps_device",
    c"blkio.throttle.read_iops_device",
    c"blkio.throttle.write_iops_device",
];

impl<'a> Limits<'_, 'a> {
    fn rows(&mut self, rows: Rows, values: &[i64]) -> Result<'a, ()> {
        rows.iter()
            .zip(values)
            .filter(|(_, value)| **value != NONE)
            .try_for_each(|((file, rule), value)| self.push(*rule, file, format_args!("{value}")))
    }

    pub(super) fn memory_v1(&mut self, memory: &Memory) -> Result<'a, ()> {
        let [limit, swap, reservation, tcp] = [memory.limit, memory.swap, memory.reservation, memory.kernel_tcp].map(or_none);
        if (limit, swap) == (-1, NONE) {
            self.push(Rule::IfThere, BOTH, format_args!("-1"))?;
        }
        let disables_killer = or_none(memory.disable_oom_killer.map(i64::from));
        let swappiness = memory.swappiness.map_or(NONE, u64::cast_signed);
        self.rows(MEMORY, &[swap, limit, swap, reservation, tcp, disables_killer, swappiness])
    }

    pub(super) fn cpu_v1(&mut self, cpu: &Cpu<'a>) -> Result<'a, ()> {
        let [shares, period, rt_period] = [cpu.shares, cpu.period, cpu.realtime_period].map(|value| or_none(value.map(u64::cast_signed)));
        let [quota, rt_runtime] = [cpu.quota, cpu.realtime_runtime].map(or_none);
        let burst = cpu.burst.map_or(NONE, u64::cast_signed);
        self.rows(CPU, &[shares, burst, period, quota, period, burst, rt_period, rt_runtime, cpu.idle.unwrap_or(NONE)])
    }

    pub(super) fn block_io_v1(&mut self, block_io: &BlockIo<'a>) -> Result<'a, ()> {
        let weight = or_none(block_io.weight.map(i64::from));
        self.rows(WEIGHTS, &[weight, weight])?;
        for device in &block_io.weight_device {
            for (file, rule) in DEVICE_WEIGHTS.iter().filter(|_| device.weight.is_some_and(|weight| weight != 0)) {
                self.of_device(*rule, file, device.major, device.minor, device.weight.unwrap_or(0).into())?;
            }
        }
        let rates = [
            &block_io.throttle_read_bps_device,
            &block_io.throttle_write_bps_device,
            &block_io.throttle_read_iops_device,
            &block_io.throttle_write_iops_device,
        ];
        for (file, devices) in THROTTLES.iter().zip(rates) {
            for device in devices {
                self.of_device(Rule::Must, file, device.major, device.minor, device.rate)?;
            }
        }
        Ok(())
    }

    #[inline(never)]
    fn of_device(&mut self, rule: Rule, file: &'static CStr, major: i64, minor: i64, value: u64) -> Result<'a, ()> {
        self.push(rule, file, format_args!("{major}:{minor} {value}"))
    }

    pub(super) fn network_v1(&mut self, network: &Network<'a>) -> Result<'a, ()> {
        let class = network.class_id.filter(|class| *class != 0 && self.is_v1("net_cls"));
        class.map_or(Ok(()), |class| self.push(Rule::Must, c"net_cls.classid", format_args!("{class}")))?;
        let has_priorities = self.is_v1("net_prio");
        for priority in network.priorities.iter().filter(|_| has_priorities) {
            self.push(Rule::Must, c"net_prio.ifpriomap", format_args!("{} {}", priority.name, priority.priority))?;
        }
        Ok(())
    }

    /// The kernel keeps what is allowed as a list, from which a rule can take only what another put in: what would punch a hole into a
    /// wider rule would do nothing, and is refused.
    pub(super) fn devices_v1(&mut self, rules: &List<'a, DeviceRule<'a>>) -> Result<'a, ()> {
        self.push(Rule::Must, c"devices.deny", format_args!("a"))?;
        for (index, rule) in rules.iter().enumerate() {
            if !rule.allow && rules.iter().take(index).any(|earlier| earlier.allow && is_hole(rule, earlier)) {
                let field = self.arena.format(format_args!("linux.resources.devices[{index}]"))?;
                return Err(Error::text(field, "", "cgroup v1 cannot deny a part of what an earlier rule allows"));
            }
            self.device(rule.allow, Number(rule.major), Number(rule.minor), rule.kind, rule.access)?;
        }
        for (kind, major, minor, access) in super::program::defaults() {
            self.device(true, Number(major.map(i64::from)), Number(minor.map(i64::from)), kind, access)?;
        }
        Ok(())
    }

    fn device(&mut self, allow: bool, major: Number, minor: Number, kind: &str, access: &str) -> Result<'a, ()> {
        let file = if allow { c"devices.allow" } else { c"devices.deny" };
        let access = if access.is_empty() { "rwm" } else { access };
        match kind {
            // The kernel's "a" is every access; what allows less is said of each kind.
            "" | "a" if allow && !is_every(access) => {
                ["b", "c"].into_iter().try_for_each(|kind| self.push(Rule::Must, file, format_args!("{kind} *:* {access}")))
            }
            "" | "a" => self.push(Rule::Must, file, format_args!("a")),
            kind => self.push(Rule::Must, file, format_args!("{kind} {major}:{minor} {access}")),
        }
    }
}

/// The number of a device; none, or a negative one, is any.
#[derive(Clone, Copy)]
struct Number(Option<i64>);

impl core::fmt::Display for Number {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self.0.filter(|number| *number >= 0) {
            Some(number) => number.fmt(f),
            None => f.write_char('*'),
        }
    }
}

fn is_every(access: &str) -> bool {
    access.is_empty() || "rwm".chars().all(|one| access.contains(one))
}

/// Whether `rule` names a part of the devices that `wide` names.
fn is_hole(rule: &DeviceRule<'_>, wide: &DeviceRule<'_>) -> bool {
    let is_any = |number: Option<i64>| number.is_none_or(|number| number < 0);
    let is_all = |rule: &DeviceRule<'_>| matches!(rule.kind, "" | "a");
    if is_all(rule) || is_all(wide) && is_every(wide.access) {
        return false; // the whole list is emptied; or all is allowed, and then the kernel keeps a list of what is not
    }
    if is_all(wide) {
        return !is_any(rule.major) || !is_any(rule.minor);
    }
    let covers = |wide, narrow| is_any(wide) || !is_any(narrow) && wide == narrow;
    let is_wider = |wide, narrow| is_any(wide) && !is_any(narrow);
    wide.kind == rule.kind
        && covers(wide.major, rule.major)
        && covers(wide.minor, rule.minor)
        && (is_wider(wide.major, rule.major) || is_wider(wide.minor, rule.minor))
}

#[cfg(test)]
mod tests {
    use super::super::limits::limits;
    use super::*;
    use crate::spec::Resources;
    use core::mem::MaybeUninit;

    const PLACES: [(&str, &str, &str); 8] = [
        ("rw,memory", "/c/memory", "/x"),
        ("rw,cpu,cpuacct", "/c/cpu,cpuacct", "/x"),
        ("rw,cpuset", "/c/cpuset", "/x"),
        ("rw,pids", "/c/pids", "/user/x"),
        ("rw,blkio", "/c/blkio", "/x"),
        ("rw,hugetlb", "/c/hugetlb", "/x"),
        ("rw,devices", "/c/devices", "/x"),
        ("rw,net_cls,net_prio", "/c/net_cls,net_prio", "/x"),
    ];

    fn written(resources: &str, controllers: &str, guards_devices: bool) -> std::result::Result<Vec<String>, String> {
        let mut room = [MaybeUninit::uninit(); 32768];
        let arena = Arena::new(&mut room);
        let mut places = Places { guards_devices, ..Places::default() };
        for (options, mount, below) in PLACES.iter().filter(|(options, ..)| options.split(',').any(|name| controllers.contains(name))) {
            places.list.push(&arena, Place { controllers: options, mount, below }).unwrap();
        }
        let text = arena.format(format_args!("{resources}")).unwrap();
        let (resources, _) = crate::json::read::<Resources<'_>>(text.as_bytes(), &arena).unwrap();
        let limits = limits(resources, &places, &arena).map_err(|error| error.to_string())?;
        Ok(limits
            .iter()
            .map(|limit| format!("{} {} {:?}", limit.setting.file.to_str().unwrap(), limit.setting.value, limit.rule))
            .collect())
    }

    const ALL: &str = "memory cpu cpuset pids blkio hugetlb devices net_cls net_prio";

    #[test]
    fn every_controller_has_its_files_in_its_own_hierarchy() {
        let resources = r#"{ "hugepageLimits": [{ "pageSize": "2MB", "limit": 4194304 }], "network": { "classID": 7, "priorities": [{ "name": "lo", "priority": 3 }] },
            "cpu": { "cpus": "0-1", "mems": "0", "shares": 1024, "quota": 5000, "period": 10000, "burst": 0, "idle": 0, "realtimeRuntime": 9 },
            "blockIO": { "weight": 500, "weightDevice": [{ "major": 8, "minor": 0, "weight": 1000 }],
              "throttleReadBpsDevice": [{ "major": 8, "minor": 0, "rate": 600 }], "throttleWriteIOPSDevice": [{ "major": 8, "minor": 16, "rate": 0 }] },
            "memory": { "limit": 1000, "swap": 3000, "reservation": 500, "kernelTCP": 5, "swappiness": 0, "disableOOMKiller": true }, "pids": { "limit": 9 } }"#;
        let expected = [
            "/c/pids/user/x/pids.max 9 Must",
            "/c/memory/x/memory.memsw.limit_in_bytes 3000 WrittenAgain",
            "/c/memory/x/memory.limit_in_bytes 1000 Must",
            "/c/memory/x/memory.memsw.limit_in_bytes 3000 Must",
            "/c/memory/x/memory.soft_limit_in_bytes 500 Must",
            "/c/memory/x/memory.kmem.tcp.limit_in_bytes 5 Must",
            "/c/memory/x/memory.oom_control 1 Must",
            "/c/memory/x/memory.swappiness 0 Must",
            "/c/blkio/x/blkio.bfq.weight 500 OrNext",
            "/c/blkio/x/blkio.weight 500 Must",
            "/c/blkio/x/blkio.bfq.weight_device 8:0 1000 OrNext",
            "/c/blkio/x/blkio.weight_device 8:0 1000 Must",
            "/c/blkio/x/blkio.throttle.read_bps_device 8:0 600 Must",
            "/c/blkio/x/blkio.throttle.write_iops_device 8:16 0 Must",
            "/c/cpu,cpuacct/x/cpu.shares 1024 Must",
            "/c/cpu,cpuacct/x/cpu.cfs_burst_us 0 WrittenAgain",
            "/c/cpu,cpuacct/x/cpu.cfs_period_us 10000 WrittenAgain",
            "/c/cpu,cpuacct/x/cpu.cfs_quota_us 5000 Must",
            "/c/cpu,cpuacct/x/cpu.cfs_period_us 10000 Must",
            "/c/cpu,cpuacct/x/cpu.cfs_burst_us 0 Must",
            "/c/cpu,cpuacct/x/cpu.rt_runtime_us 9 Must",
            "/c/cpu,cpuacct/x/cpu.idle 0 Must",
            "/c/cpuset/x/cpuset.cpus 0-1 Must",
            "/c/cpuset/x/cpuset.mems 0 Must",
            "/c/hugetlb/x/hugetlb.2MB.limit_in_bytes 4194304 Must",
            "/c/hugetlb/x/hugetlb.2MB.rsvd.limit_in_bytes 4194304 IfThere",
            "/c/net_cls,net_prio/x/net_cls.classid 7 Must",
            "/c/net_cls,net_prio/x/net_prio.ifpriomap lo 3 Must",
        ];
        assert_eq!(written(resources, ALL, false).unwrap(), expected);
    }

    #[test]
    fn what_is_in_cgroup_v2_is_written_there() {
        let resources = r#"{ "memory": { "limit": 1000 }, "pids": { "limit": 9 }, "cpu": { "shares": 1024, "cpus": "0" } }"#;
        let mixed = ["pids.max 9 Must", "/c/memory/x/memory.limit_in_bytes 1000 Must", "cpu.weight 100 Must", "cpuset.cpus 0 Must"];
        assert_eq!(written(resources, "memory", false).unwrap(), mixed);
    }

    #[test]
    fn device_rules_are_lines_after_a_denial_of_all() {
        let rules = r#"{ "devices": [{ "allow": false, "access": "rwm" }, { "allow": true, "type": "b", "major": 8, "access": "rw" }] }"#;
        let lines = written(rules, ALL, true).unwrap();
        let expected = [
            "/c/devices/x/devices.deny a Must",
            "/c/devices/x/devices.deny a Must",
            "/c/devices/x/devices.allow b 8:* rw Must",
            "/c/devices/x/devices.allow c *:* m Must",
            "/c/devices/x/devices.allow b *:* m Must",
            "/c/devices/x/devices.allow c 1:3 rwm Must",
        ];
        assert_eq!(lines[..6], expected);
        assert_eq!(lines.len(), 3 + 11);
        assert!(lines.contains(&"/c/devices/x/devices.allow c 136:* rwm Must".to_string()));
    }

    #[test]
    fn what_allows_less_than_every_access_to_all_devices_is_a_line_for_each_kind() {
        let rules = r#"{ "devices": [{ "allow": true, "access": "m" }, { "allow": true, "access": "mrw" }] }"#;
        let lines = written(rules, ALL, true).unwrap();
        let expected =
            ["/c/devices/x/devices.allow b *:* m Must", "/c/devices/x/devices.allow c *:* m Must", "/c/devices/x/devices.allow a Must"];
        assert_eq!(lines[1..4], expected);
        let hole =
            r#"{ "devices": [{ "allow": true, "access": "rm" }, { "allow": false, "type": "c", "major": 1, "minor": 3, "access": "m" }] }"#;
        assert!(written(hole, ALL, true).unwrap_err().contains("linux.resources.devices[1]"));
    }

    #[test]
    fn a_rule_that_would_punch_a_hole_is_refused_and_one_of_equal_width_is_not() {
        let rules = |second: &str| {
            let text = format!(
                r#"{{ "devices": [{{ "allow": true, "type": "c", "major": 1, "access": "rw" }}, {{ "allow": false, {second} "access": "w" }}] }}"#
            );
            written(&text, ALL, true)
        };
        assert!(rules(r#""type": "c", "major": 1, "minor": 3,"#).unwrap_err().contains("linux.resources.devices[1]"));
        assert!(rules(r#""type": "c", "major": 1,"#).is_ok() && rules(r#""type": "b", "major": 1, "minor": 3,"#).is_ok());
        assert!(rules(r#""type": "c", "major": 2, "minor": 3,"#).is_ok() && rules("").is_ok());
    }
}
