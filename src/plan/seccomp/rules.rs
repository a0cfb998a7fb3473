//! The middle: for each way of calling the kernel, what happens at each system call.
//!
//! As in libseccomp, the first rule for a call counts, but a rule without conditions takes the place of those with conditions before it.

use super::words::{Condition, MISSING, Rule, Words};
use crate::error::Result;
use crate::mem::{Arena, List};
use crate::names::seccomp::KILL_THREAD;
use crate::names::syscalls::{Family, SLOTS, Slot, multiplexed, number};
use crate::spec::Seccomp;

/// What happens at a system call: what the filter returns, or a chain of conditions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Returned at once.
    Return(u32),
    /// Index into [`Rules::chains`].
    Chain(u32),
}

/// What is tried in a chain, one after the other.
#[derive(Clone, Copy, Debug)]
pub(super) struct Branch<'a> {
    /// All must hold.
    pub conditions: &'a [Condition],
    /// Behind a multiplexer: what its first argument must be. Conditions on that are then not the call's.
    pub call: Option<u32>,
    /// What the filter returns then.
    pub action: u32,
}

/// From `start` on, and up to the start of the next one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Range {
    pub start: u32,
    pub outcome: Outcome,
    pub is_64_bit: bool,
}

/// The ways of calling that a filter sees as one architecture.
#[derive(Clone, Copy, Debug)]
pub(super) struct Architecture<'a> {
    /// AUDIT_ARCH_*.
    pub audit: u32,
    /// Sorted; the first starts at 0.
    pub ranges: &'a [Range],
}

/// The rules of a profile.
pub(super) struct Rules<'a> {
    pub architectures: List<'a, Architecture<'a>>,
    pub chains: &'a [List<'a, Branch<'a>>],
    pub default: u32,
}

/// No family has more.
const MOST_MEMBERS: usize = 3;

/// What stands before, between and after the members of one architecture.
const MOST_RANGES: usize = MOST_MEMBERS * (SLOTS + 3);

/// Memory for the tables here.
pub(super) const BYTES: usize = MOST_MEMBERS * SLOTS * size_of::<Outcome>() + MOST_RANGES * size_of::<Range>() + 1024;

/// One way of calling.
struct Member<'a> {
    outcomes: &'a mut [Outcome],
    /// The highest number that the profile names, whatever it says of it.
    newest: Slot,
}

struct Collector<'a, 'w> {
    words: &'w Words<'a>,
    members: [Option<Member<'a>>; MOST_MEMBERS],
    chains: &'a mut [List<'a, Branch<'a>>],
    used_chains: usize,
}

pub(super) fn collect<'a>(profile: &Seccomp<'a>, words: &Words<'a>, family: &Family, arena: &Arena<'a>) -> Result<'a, Rules<'a>> {
    // A rule for a name may be one for the call itself and one for what stands behind a multiplexer, of which there are two.
    let conditional = profile.syscalls.iter().filter(|rule| !rule.args.is_empty()).map(|rule| rule.names.len()).sum::<usize>();
    let most_chains = (conditional + 2).min(SLOTS) * MOST_MEMBERS;
    let mut collector = Collector {
        words,
        members: [const { None }; MOST_MEMBERS],
        chains: arena.slice(most_chains, |_| List::default())?,
        used_chains: 0,
    };
    for (place, member) in collector.members.iter_mut().enumerate().take(family.abis.len()) {
        if words.members & 1 << place != 0 {
            let outcomes = arena.slice(SLOTS, |_| Outcome::Return(words.default))?;
            *member = Some(Member { outcomes, newest: 0 });
        }
    }
    for (rule, written) in words.rules.iter().zip(&profile.syscalls) {
        for name in &written.names {
            collector.name(name, rule, family, arena)?;
        }
    }
    collector.finish(family, arena)
}

impl<'a> Collector<'a, '_> {
    /// Applies a rule to the calls of one name. A rule that says what is done anyway says nothing.
    fn name(&mut self, name: &str, rule: &Rule<'a>, family: &Family, arena: &Arena<'a>) -> Result<'a, ()> {
        let Some(row) = family.row(name) else { return Ok(()) };
        let says_nothing = rule.action == self.words.default;
        for (place, abi) in family.abis.iter().enumerate() {
            let Some(member) = &mut self.members[place] else { continue };
            let direct = family.slot(row, place);
            member.newest = member.newest.max(direct.unwrap_or(0));
            if says_nothing {
                continue;
            }
            if abi.has_multiplexers
                && let Some((multiplexer, call)) = multiplexed(name)
                && let Some(slot) = family.row(multiplexer).and_then(|row| family.slot(row, place))
            {
                self.rule(place, slot, rule, Some(call), abi.is_64_bit, arena)?;
            }
            if let Some(slot) = direct {
                self.rule(place, slot, rule, None, abi.is_64_bit, arena)?;
            }
        }
        Ok(())
    }

    fn rule(&mut self, place: usize, slot: Slot, rule: &Rule<'a>, call: Option<u32>, is_64_bit: bool, arena: &Arena<'a>) -> Result<'a, ()> {
        if !rule.is_any {
            return self.branch(place, slot, Branch { conditions: rule.conditions, call, action: rule.action }, is_64_bit, arena);
        }
        for condition in rule.conditions {
            let conditions = core::slice::from_ref(condition);
            self.branch(place, slot, Branch { conditions, call, action: rule.action }, is_64_bit, arena)?;
        }
        Ok(())
    }

    fn branch(&mut self, place: usize, slot: Slot, branch: Branch<'a>, is_64_bit: bool, arena: &Arena<'a>) -> Result<'a, ()> {
        let default = Outcome::Return(self.words.default);
        let Some(member) = &mut self.members[place] else { return Ok(()) };
        let outcome = &mut member.outcomes[usize::from(slot)];
        let is_always = branch.call.is_none() && branch.conditions.iter().all(|condition| condition.is_always(is_64_bit));
        match *outcome {
            Outcome::Return(_) if *outcome != default => {}
            _ if is_always => *outcome = Outcome::Return(branch.action),
            Outcome::Chain(chain) => self.chains[chain as usize].push(arena, branch)?,
            Outcome::Return(_) => {
                *outcome = Outcome::Chain(self.used_chains as u32);
                self.chains[self.used_chains].push(arena, branch)?;
                self.used_chains += 1;
            }
        }
        Ok(())
    }

    fn finish(self, family: &Family, arena: &Arena<'a>) -> Result<'a, Rules<'a>> {
        let mut ranges = Ranges { room: arena.slice(MOST_RANGES, |_| NOWHERE)?, len: 0 };
        let mut bounds = [(0, 0); MOST_MEMBERS];
        for (place, abi) in family.abis.iter().enumerate() {
            let is_first = family.abis.iter().position(|other| other.audit == abi.audit) == Some(place);
            let is_seen =
                is_first && family.abis.iter().enumerate().any(|(other, row)| row.audit == abi.audit && self.members[other].is_some());
            if !is_seen {
                continue;
            }
            let start = ranges.len;
            for (other, row) in family.abis.iter().enumerate().filter(|(_, row)| row.audit == abi.audit) {
                self.member(&mut ranges, start, row.base, other, row.is_64_bit);
            }
            bounds[place] = (start, ranges.len);
        }
        let room: &'a [Range] = ranges.room;
        let mut architectures = List::default();
        for (abi, (start, end)) in family.abis.iter().zip(bounds).filter(|(_, (start, end))| start < end) {
            architectures.push(arena, Architecture { audit: abi.audit, ranges: &room[start..end] })?;
        }
        Ok(Rules { architectures, chains: self.chains, default: self.words.default })
    }

    /// All numbers from the member's base on.
    fn member(&self, ranges: &mut Ranges<'_>, start: usize, base: u32, place: usize, is_64_bit: bool) {
        let mut push = |number, outcome| ranges.push(start, Range { start: number, outcome, is_64_bit });
        let default = Outcome::Return(self.words.default);
        let Some(member) = &self.members[place] else {
            push(base, Outcome::Return(KILL_THREAD)); // a way of calling that the profile does not name
            push(u32::MAX, default); // what a tracer sets to skip a call: nobody's
            return;
        };
        let mut next = base;
        for (slot, outcome) in member.outcomes.iter().enumerate() {
            let here = base + number(slot as Slot);
            if here > next {
                push(next, default);
            }
            push(here, *outcome);
            next = here + 1;
        }
        push(next, default);
        if self.words.hides_newer && member.newest > 0 {
            ranges.cut(base + number(member.newest) + 1, Range { start: 0, outcome: Outcome::Return(MISSING), is_64_bit });
        }
    }
}

const NOWHERE: Range = Range { start: 0, outcome: Outcome::Return(0), is_64_bit: false };

/// Ranges under construction.
struct Ranges<'a> {
    room: &'a mut [Range],
    len: usize,
}

impl Ranges<'_> {
    /// Appends a range, or takes it into the one before if that says the same. Those from `first` on are of the same architecture.
    fn push(&mut self, first: usize, range: Range) {
        let before = self.room[first..self.len].last().map(|before| before.outcome);
        let is_same = before == Some(range.outcome) && matches!(range.outcome, Outcome::Return(_));
        if !is_same {
            self.room[self.len] = range; // MOST_RANGES has room for all slots of all members
            self.len += 1;
        }
    }

    /// From `start` on there is nothing but this.
    fn cut(&mut self, start: u32, range: Range) {
        while self.len > 0 && self.room[self.len - 1].start >= start {
            self.len -= 1;
        }
        self.room[self.len] = Range { start, ..range };
        self.len += 1;
    }
}
