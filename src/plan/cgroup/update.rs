//! New limits for a container that runs: what was not given keeps its old value, where two values make one.

use core::ffi::CStr;

use super::super::Setting;
use super::v1::Places;
use super::{Limit, limits, program};
use crate::error::Result;
use crate::mem::{Arena, List};
use crate::spec::Resources;

/// What the cgroup's files hold before: as they are read, empty where there is none.
#[derive(Clone, Copy, Debug, Default)]
pub struct Current<'a> {
    /// cpu.max: quota and period.
    pub cpu_max: &'a str,
    /// memory.max.
    pub memory_max: &'a str,
}

/// What is to be changed.
pub struct Update<'a> {
    /// Files and their new values.
    pub limits: List<'a, Limit<'a>>,
    /// The device program, if there are new rules: they take the place of all that were.
    pub device_program: Option<&'a [u64]>,
}

/// Plans an update.
pub fn update<'a>(resources: &Resources<'a>, current: &Current<'_>, places: &Places<'a>, arena: &Arena<'a>) -> Result<'a, Update<'a>> {
    let Resources { devices, memory, cpu, pids, block_io, hugepage_limits, network, rdma, unified } = *resources;
    let (mut memory, mut cpu) = (memory, cpu);
    if let Some(memory) = &mut memory {
        let (limit, swap) = (memory.limit.unwrap_or(0), memory.swap.unwrap_or(0));
        if limit == -1 && swap == 0 {
            memory.swap = Some(-1);
        }
        if limit == 0 && swap > 0 {
            memory.limit = Some(number(current.memory_max));
        }
    }
    if let Some(cpu) = &mut cpu {
        let mut words = current.cpu_max.split_ascii_whitespace();
        let (old_quota, old_period) = (words.next().map_or(0, number), words.next().map_or(0, number));
        match (cpu.quota.unwrap_or(0), cpu.period.unwrap_or(0)) {
            (0, 0) => {}
            (0, _) => cpu.quota = Some(old_quota),
            (_, 0) => cpu.period = u64::try_from(old_period).ok(),
            _ => {}
        }
    }
    let has_program = devices.is_present() && places.of("devices").is_none();
    let device_program = if has_program { Some(program::assemble(Some(resources), arena)?) } else { None };
    let places = Places { guards_devices: devices.is_present() && !has_program, ..*places };
    let resources = Resources { devices, memory, cpu, pids, block_io, hugepage_limits, network, rdma, unified };
    Ok(Update { limits: limits::limits(&resources, &places, arena)?, device_program })
}

/// `max` as -1; what is no number as 0, which means not given.
fn number(text: &str) -> i64 {
    let text = text.trim_end();
    if text == "max" { -1 } else { text.parse().unwrap_or(0) }
}

/// What has to be written to bring back what `limit` changes; `old` is what its file holds.
pub fn undoing<'a>(limit: &Limit<'a>, old: &'a str, arena: &Arena<'a>) -> Result<'a, &'a str> {
    let value = limit.setting.value;
    let Some((device, rest)) = value.split_once(' ').filter(|_| is_by_device(limit)) else {
        return Ok(old.lines().next().filter(|line| !line.is_empty()).unwrap_or("\n")); // an empty write would change nothing
    };
    if let Some(line) = old.lines().find(|line| line.split(' ').next() == Some(device)) {
        return Ok(line);
    }
    // A device that has no line has no limit.
    let key = rest.split_once('=').map_or("", |(key, _)| key);
    Ok(match key {
        "" if limit.setting.file.to_bytes().ends_with(b"ps_device") => arena.format(format_args!("{device} 0"))?,
        "" => arena.format(format_args!("{device} default"))?,
        _ if limit.setting.file == c"rdma.max" => arena.format(format_args!("{device} hca_handle=max hca_object=max"))?,
        key => arena.format(format_args!("{device} {key}=max"))?,
    })
}

/// What brings back the devices of cgroup v1 that `list` allows: all are denied, and each of its lines is allowed again.
pub fn undoing_devices<'a>(
    list: &'a str,
    deny: &'a CStr,
    allow: &'a CStr,
    settings: &mut List<'a, Setting<'a>>,
    arena: &Arena<'a>,
) -> Result<'a, ()> {
    settings.push(arena, Setting { file: deny, value: "a" })?;
    list.lines().try_for_each(|line| Ok(settings.push(arena, Setting { file: allow, value: line })?))
}

/// Whether the file has a line for each device.
fn is_by_device(limit: &Limit<'_>) -> bool {
    limit.setting.file == c"rdma.max" || limit.setting.value.split(' ').next().is_some_and(|word| word.contains(':'))
}

#[cfg(test)]
mod tests {
    use super::super::Rule;
    use super::*;
    use core::mem::MaybeUninit;

    const CURRENT: Current<'_> = Current { cpu_max: "5000 20000\n", memory_max: "1000\n" };

    fn written(resources: &str) -> Vec<String> {
        let mut room = [MaybeUninit::uninit(); 16384];
        let arena = Arena::new(&mut room);
        let text = arena.format(format_args!("{resources}")).unwrap();
        let (resources, _) = crate::json::read::<Resources<'_>>(text.as_bytes(), &arena).unwrap();
        let update = update(resources, &CURRENT, &Places::default(), &arena).unwrap();
        let limits = update.limits.iter().map(|limit| format!("{} {}", limit.setting.file.to_str().unwrap(), limit.setting.value));
        limits.chain(update.device_program.map(|_| "devices".to_string())).collect()
    }

    #[test]
    fn quota_and_period_keep_the_old_value_of_the_other() {
        assert_eq!(written(r#"{ "cpu": { "quota": 7000 } }"#), ["cpu.max 7000 20000"]);
        assert_eq!(written(r#"{ "cpu": { "period": 30000 } }"#), ["cpu.max 5000 30000"]);
        assert_eq!(written(r#"{ "cpu": { "quota": -1 } }"#), ["cpu.max max 20000"]);
        assert_eq!(written(r#"{ "cpu": { "quota": 1000, "period": 2000 } }"#), ["cpu.max 1000 2000"]);
        assert_eq!(written(r#"{ "cpu": {} }"#), Vec::<String>::new());
    }

    #[test]
    fn swap_is_unlimited_with_memory_and_counted_from_the_limit_that_stands() {
        assert_eq!(written(r#"{ "memory": { "limit": -1 } }"#), ["memory.swap.max max", "memory.max max"]);
        assert_eq!(written(r#"{ "memory": { "swap": 3000 } }"#), ["memory.swap.max 2000", "memory.max 1000"]);
        assert_eq!(written(r#"{ "memory": { "limit": 500 } }"#), ["memory.max 500"]);
    }

    #[test]
    fn device_rules_are_replaced_only_where_there_are_new_ones() {
        assert_eq!(written(r#"{ "devices": [] }"#), ["devices"]);
        assert_eq!(written(r#"{ "devices": [{ "allow": true, "type": "c", "major": 10, "minor": 229, "access": "rw" }] }"#), ["devices"]);
        assert_eq!(written("{}"), Vec::<String>::new());
    }

    #[test]
    fn what_undoes_a_limit_is_the_line_that_it_changes() {
        let mut room = [MaybeUninit::uninit(); 1024];
        let arena = Arena::new(&mut room);
        let undo = |file, value, old| undoing(&Limit { setting: Setting { file, value }, rule: Rule::Must }, old, &arena).unwrap();
        assert_eq!(undo(c"memory.max", "5", "max\n"), "max");
        assert_eq!(undo(c"cpuset.cpus", "0", "\n"), "\n");
        assert_eq!(undo(c"io.max", "8:0 rbps=5", "8:16 rbps=1\n8:0 rbps=2 wbps=max\n"), "8:0 rbps=2 wbps=max");
        assert_eq!(undo(c"io.max", "8:0 rbps=5", ""), "8:0 rbps=max");
        assert_eq!(undo(c"io.weight", "8:0 50", "default 100\n"), "8:0 default");
        assert_eq!(undo(c"io.weight", "50", "default 100\n8:0 9\n"), "default 100");
        assert_eq!(undo(c"rdma.max", "mlx hca_handle=1", ""), "mlx hca_handle=max hca_object=max");
    }

    #[test]
    fn the_devices_of_cgroup_v1_are_allowed_again_line_by_line() {
        let mut room = [MaybeUninit::uninit(); 1024];
        let arena = Arena::new(&mut room);
        let mut settings = List::default();
        undoing_devices("c 1:3 rwm\nc *:* m\n", c"/d/devices.deny", c"/d/devices.allow", &mut settings, &arena).unwrap();
        let written: Vec<_> = settings.iter().map(|setting| (setting.file.to_str().unwrap(), setting.value)).collect();
        assert_eq!(written, [("/d/devices.deny", "a"), ("/d/devices.allow", "c 1:3 rwm"), ("/d/devices.allow", "c *:* m")]);
    }
}
