//! `linux.resources` as texts for the files of cgroup v2, in the order in which runc writes them.

use super::super::{Setting, c_str};
use super::weight;
use crate::error::{Error, Result};
use crate::mem::{Arena, List};
use crate::spec::{Cpu, Memory, Resources};

type Settings<'a> = List<'a, Setting<'a>>;

pub(super) fn settings<'a>(resources: &Resources<'a>, arena: &Arena<'a>) -> Result<'a, Settings<'a>> {
    let mut settings = List::default();
    if let Some(limit) = resources.pids.as_ref().and_then(|pids| pids.limit) {
        let value = if limit < 0 { "max" } else { arena.format(format_args!("{}", limit.max(1)))? };
        settings.push(arena, Setting { file: c"pids.max", value })?;
    }
    if let Some(memory) = &resources.memory {
        push_memory(&mut settings, memory, arena)?;
    }
    if resources.block_io.is_some() {
        return Err(not_yet("linux.resources.blockIO"));
    }
    if let Some(cpu) = &resources.cpu {
        push_cpu(&mut settings, cpu, arena)?;
    }
    for limit in &resources.hugepage_limits {
        let value = arena.format(format_args!("{}", limit.limit))?;
        settings.push(arena, Setting { file: arena.c_str(&[b"hugetlb.", limit.page_size.as_bytes(), b".max"])?, value })?;
    }
    if !resources.rdma.is_empty() {
        return Err(not_yet("linux.resources.rdma"));
    }
    for entry in &resources.unified {
        if entry.key.is_empty() || entry.key.contains('/') || !entry.key.contains('.') {
            return Err(Error::text("linux.resources.unified", entry.key, "it must be the name of a file of the cgroup"));
        }
        settings.push(arena, Setting { file: c_str(entry.key, arena)?, value: entry.value })?;
    }
    Ok(settings)
}

/// cgroup v1 counts memory and swap together, v2 counts swap alone; -1 is `max`, 0 is not written.
fn push_memory<'a>(settings: &mut Settings<'a>, memory: &Memory, arena: &Arena<'a>) -> Result<'a, ()> {
    let limit = memory.limit.unwrap_or(0);
    let swap = swap_alone(limit, memory.swap.unwrap_or(0))?;
    let equal = swap == 0 && memory.swap.is_some_and(|swap| swap > 0);
    for (file, value) in [(c"memory.swap.max", swap), (c"memory.max", limit), (c"memory.low", memory.reservation.unwrap_or(0))] {
        let value = match value {
            0 if file == c"memory.swap.max" && equal => "0",
            0 => continue,
            ..=-1 => "max",
            bytes => arena.format(format_args!("{bytes}"))?,
        };
        settings.push(arena, Setting { file, value })?;
    }
    Ok(())
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

fn push_cpu<'a>(settings: &mut Settings<'a>, cpu: &Cpu<'a>, arena: &Arena<'a>) -> Result<'a, ()> {
    const DEFAULT_PERIOD_US: u64 = 100_000;
    if let Some(shares) = cpu.shares.filter(|shares| *shares != 0) {
        let value = arena.format(format_args!("{}", weight::of_shares(shares)))?;
        settings.push(arena, Setting { file: c"cpu.weight", value })?;
    }
    if let Some(idle) = cpu.idle {
        settings.push(arena, Setting { file: c"cpu.idle", value: arena.format(format_args!("{idle}"))? })?;
    }
    let quota = cpu.quota.unwrap_or(0);
    let period = cpu.period.unwrap_or(0);
    if quota != 0 || period != 0 {
        let period = if period == 0 { DEFAULT_PERIOD_US } else { period };
        let value = if quota > 0 { arena.format(format_args!("{quota} {period}"))? } else { arena.format(format_args!("max {period}"))? };
        settings.push(arena, Setting { file: c"cpu.max", value })?;
    }
    if let Some(burst) = cpu.burst {
        settings.push(arena, Setting { file: c"cpu.max.burst", value: arena.format(format_args!("{burst}"))? })?;
    }
    for (file, value) in [(c"cpuset.cpus", cpu.cpus), (c"cpuset.mems", cpu.mems)] {
        if !value.is_empty() {
            settings.push(arena, Setting { file, value })?;
        }
    }
    Ok(())
}

#[cold]
fn not_yet<'a>(field: &'a str) -> Error<'a> {
    Error::text(field, "", "this version does not honour it yet")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn swap_is_counted_alone_in_v2() {
        assert_eq!(swap_alone(100, 300).unwrap(), 200);
        assert_eq!(swap_alone(100, 100).unwrap(), 0);
        assert_eq!(swap_alone(-1, 0).unwrap(), -1);
        assert_eq!(swap_alone(100, -1).unwrap(), -1);
        assert_eq!(swap_alone(-1, 50).unwrap(), 50);
        assert!(swap_alone(0, 50).is_err() && swap_alone(100, 50).is_err() && swap_alone(-2, 50).is_err());
    }
}
