//! When and where the process runs: what was named becomes the kernel's numbers and masks.

use super::check::ranges;
use crate::error::{Error, Result};
use crate::mem::{Arena, List};
use crate::names;
use crate::spec::{self, Linux};
use crate::sys::Scheduler;

/// The highest number of a processor that any kernel may have (NR_CPUS).
pub const MOST_CPU: u32 = 8191;
/// The highest number of a NUMA node that any kernel may have (MAX_NUMNODES).
pub const MOST_NODE: u32 = 1023;

/// What is set; nothing where nothing was said.
#[derive(Clone, Copy, Default)]
pub struct Scheduling<'a> {
    /// `process.scheduler`.
    pub scheduler: Option<Scheduler>,
    /// `process.ioPriority`, as ioprio_set(2) wants it.
    pub io_priority: Option<u32>,
    /// `linux.personality`.
    pub personality: Option<u32>,
    /// `linux.memoryPolicy`: the mode with its flags, and the nodes as bits.
    pub memory_policy: Option<(u32, &'a [usize])>,
    /// `process.execCPUAffinity`: for `exec` alone.
    pub exec_affinity: Affinity<'a>,
}

/// Processors as bits; an empty slice where nothing was said.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
pub struct Affinity<'a> {
    /// While the process joins the container's cgroup.
    pub initial: &'a [usize],
    /// From then on.
    pub r#final: &'a [usize],
}

pub(super) fn build<'a>(process: &spec::Process<'a>, linux: Option<&Linux<'a>>, arena: &Arena<'a>) -> Result<'a, Scheduling<'a>> {
    let linux = linux.copied().unwrap_or_default();
    Ok(Scheduling {
        scheduler: process.scheduler.as_ref().map(scheduler).transpose()?,
        io_priority: process.io_priority.as_ref().map(io_priority).transpose()?,
        personality: linux.personality.map(|written| number(names::personality_domain, written.domain)).transpose()?,
        memory_policy: linux.memory_policy.as_ref().map(|written| memory_policy(written, arena)).transpose()?,
        exec_affinity: match &process.exec_cpu_affinity {
            Some(written) => {
                Affinity { initial: mask(written.initial, MOST_CPU, arena)?, r#final: mask(written.r#final, MOST_CPU, arena)? }
            }
            None => Affinity::default(),
        },
    })
}

fn scheduler<'a>(written: &spec::Scheduler<'a>) -> Result<'a, Scheduler> {
    Ok(Scheduler {
        policy: number(names::scheduler_policy, written.policy)?,
        flags: u64::from(bits(names::scheduler_flag, &written.flags)?),
        nice: written.nice as i32, // `check` has refused what does not fit
        priority: written.priority as u32,
        runtime: written.runtime,
        deadline: written.deadline,
        period: written.period,
        size: 0,
    })
}

fn io_priority<'a>(written: &spec::IoPriority<'a>) -> Result<'a, u32> {
    const IOPRIO_CLASS_SHIFT: u32 = 13;
    Ok(number(names::io_priority_class, written.class)? << IOPRIO_CLASS_SHIFT | (written.priority & 7) as u32)
}

fn memory_policy<'a>(written: &spec::MemoryPolicy<'a>, arena: &Arena<'a>) -> Result<'a, (u32, &'a [usize])> {
    let mode = number(names::memory_policy_mode, written.mode)? | bits(names::memory_policy_flag, &written.flags)?;
    Ok((mode, mask(written.nodes, MOST_NODE, arena)?))
}

/// The kernel's number for a word; `check` has refused those that have none.
fn number<'a>(find: fn(&str) -> Option<u32>, word: &'a str) -> Result<'a, u32> {
    find(word).ok_or_else(|| Error::text("config.json", word, "an unknown word"))
}

fn bits<'a>(find: fn(&str) -> Option<u32>, words: &List<'a, &'a str>) -> Result<'a, u32> {
    words.iter().try_fold(0, |set, word| Ok(set | number(find, word)?))
}

/// Numbers such as `0-3,7` as bits, as far as the highest of them.
fn mask<'a>(list: &'a str, most: u32, arena: &Arena<'a>) -> Result<'a, &'a [usize]> {
    let mut highest = None;
    for range in ranges(list) {
        let range =
            range.filter(|range| range.last <= most).ok_or(Error::text("config.json", list, "not a list of numbers such as 0-3,7"))?;
        highest = highest.max(Some(range.last));
    }
    let Some(highest) = highest else { return Ok(&[]) };
    let bits = arena.slice(highest as usize / usize::BITS as usize + 1, |_| 0)?;
    for range in ranges(list).flatten() {
        for number in range.numbers() {
            bits[number as usize / usize::BITS as usize] |= 1 << (number % usize::BITS);
        }
    }
    Ok(bits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::mem::MaybeUninit;

    fn with<R>(check: impl FnOnce(&Arena<'_>) -> R) -> R {
        let mut room = vec![MaybeUninit::uninit(); 1 << 16];
        check(&Arena::new(&mut room))
    }

    #[test]
    fn a_list_of_numbers_becomes_bits_up_to_the_highest() {
        with(|arena| {
            assert_eq!(mask("0-3,7", MOST_CPU, arena).unwrap(), [0b1000_1111]);
            assert_eq!(mask("", MOST_CPU, arena).unwrap(), [0usize; 0]);
            assert_eq!(mask("0-7:2/4", MOST_CPU, arena).unwrap(), [0b11_0011]);
            assert_eq!(mask("8191", MOST_CPU, arena).unwrap().len(), 8192 / usize::BITS as usize);
            assert!(mask("8192", MOST_CPU, arena).is_err());
            assert!(mask("3-1", MOST_CPU, arena).is_err() && mask("1,,2", MOST_CPU, arena).is_err());
        });
    }

    #[test]
    fn words_become_the_kernels_numbers() {
        let written = spec::IoPriority { class: "IOPRIO_CLASS_BE", priority: 4 };
        assert_eq!(io_priority(&written).unwrap(), 2 << 13 | 4);
        with(|arena| {
            let mut flags = List::default();
            flags.push(arena, "SCHED_FLAG_RESET_ON_FORK").unwrap();
            flags.push(arena, "SCHED_FLAG_DL_OVERRUN").unwrap();
            let written =
                spec::Scheduler { policy: "SCHED_DEADLINE", flags, runtime: 1, deadline: 2, period: 3, ..spec::Scheduler::default() };
            let made = scheduler(&written).unwrap();
            assert_eq!((made.policy, made.flags, made.runtime, made.deadline, made.period), (6, 5, 1, 2, 3));
            let policy = spec::MemoryPolicy { mode: "MPOL_BIND", nodes: "0,2", flags: List::default() };
            assert_eq!(memory_policy(&policy, arena).unwrap(), (2, &[0b101][..]));
        });
    }
}
