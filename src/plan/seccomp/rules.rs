//! The middle: for each way of calling the kernel, what happens at each system call.
//!
//! As in libseccomp, the first rule for a call counts, but a rule without conditions takes the place of those with conditions before it.

use core::cell::Cell;

use super::program::{MOST_INSTRUCTIONS, too_long};
use super::words::{Condition, MISSING, Rule, Words};
use crate::error::Result;
use crate::mem::{Arena, List};
use crate::names::seccomp::KILL_THREAD;
use crate::names::syscalls::{Family, SLOTS, Slot, number};
use crate::spec::Seccomp;

/// What happens at a system call: what the filter returns, or a chain of conditions.
#[derive(Clone, Copy)]
pub(super) enum Outcome<'a> {
    /// Returned at once.
    Return(u32),
    /// Tried from the first branch to the last, which is here.
    Chain(&'a Chain<'a>),
}

impl PartialEq for Outcome<'_> {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Outcome::Return(value), Outcome::Return(other)) => value == other,
            (Outcome::Chain(chain), Outcome::Chain(other)) => core::ptr::eq(*chain, *other),
            _ => false,
        }
    }
}

/// A branch and those before it. Calls that have the same ones share them.
pub(super) struct Chain<'a> {
    pub before: Option<&'a Chain<'a>>,
    pub branch: Branch<'a>,
    /// How many instructions the longest way through it may execute, about.
    pub steps: u32,
    /// Where the code of the chain that ends here begins, for arguments of 32 and of 64 bits, once it was written.
    pub codes: [Cell<Option<usize>>; 2],
}

/// What is tried in a chain, one after the other.
#[derive(Clone, Copy)]
pub(super) struct Branch<'a> {
    /// All must hold.
    pub conditions: &'a [Condition],
    /// Behind a multiplexer: what its first argument must be. Conditions on that are then not the call's.
    pub call: Option<u32>,
    /// What the filter returns then.
    pub action: u32,
}

impl<'a> Branch<'a> {
    /// Whether it is nothing but one whole argument that equals something.
    pub fn simple(&self) -> Option<&'a Condition> {
        match self.conditions {
            [condition] if self.call.is_none() && condition.is_plain_equality() => Some(condition),
            _ => None,
        }
    }

    fn is_same(&self, other: &Branch<'_>) -> bool {
        core::ptr::eq(self.conditions, other.conditions) && self.call == other.call && self.action == other.action
    }
}

/// From `start` on, and up to the start of the next one.
#[derive(Clone, Copy)]
pub(super) struct Range<'a> {
    pub start: u32,
    pub outcome: Outcome<'a>,
    pub is_64_bit: bool,
}

/// The ways of calling that a filter sees as one architecture.
#[derive(Clone, Copy)]
pub(super) struct Architecture<'a> {
    /// AUDIT_ARCH_*.
    pub audit: u32,
    /// Sorted; the first starts at 0.
    pub ranges: &'a [Range<'a>],
}

/// The rules of a profile.
pub(super) struct Rules<'a> {
    pub architectures: List<'a, Architecture<'a>>,
    pub default: u32,
}

/// No family has more.
const MOST_MEMBERS: usize = 3;

/// How many ranges a member may have besides one for each slot: before them, between them and after them.
const BESIDE: usize = 3;

/// More different branches than this fit no program.
const MOST_BRANCHES: usize = 4 * MOST_INSTRUCTIONS;

/// Memory for the tables here.
pub(super) const BYTES: usize = MOST_MEMBERS * (SLOTS * size_of::<Outcome<'_>>() + (SLOTS + BESIDE) * size_of::<Range<'_>>())
    + MOST_BRANCHES * size_of::<Chain<'_>>()
    + 1024;

/// One way of calling.
struct Member<'a> {
    outcomes: &'a mut [Outcome<'a>],
    /// The highest number that the profile names, whatever it says of it.
    newest: Slot,
}

struct Collector<'a, 'w> {
    words: &'w Words<'a>,
    members: [Option<Member<'a>>; MOST_MEMBERS],
    /// The chains that the rule at hand has made so far.
    made: List<'a, &'a Chain<'a>>,
    branches: usize,
}

pub(super) fn collect<'a>(profile: &Seccomp<'a>, words: &Words<'a>, family: &Family, arena: &Arena<'a>) -> Result<'a, Rules<'a>> {
    let mut collector = Collector { words, members: [const { None }; MOST_MEMBERS], made: List::default(), branches: 0 };
    for (place, member) in collector.members.iter_mut().enumerate().take(family.abis.len()) {
        if words.members & 1 << place != 0 {
            let outcomes = arena.slice(family.slots, |_| Outcome::Return(words.default))?;
            *member = Some(Member { outcomes, newest: 0 });
        }
    }
    for (rule, written) in words.rules.iter().zip(&profile.syscalls) {
        collector.made = List::default();
        let mut row = 0;
        for name in &written.names {
            match family.row_after(row, name) {
                Ok(found) => {
                    collector.call(found, rule, family, arena)?;
                    row = found + 1;
                }
                Err(near) => row = near,
            }
        }
    }
    collector.finish(family, arena)
}

impl<'a> Collector<'a, '_> {
    /// Applies a rule to the calls of one name. A rule that says what is done anyway says nothing.
    fn call(&mut self, row: usize, rule: &Rule<'a>, family: &Family, arena: &Arena<'a>) -> Result<'a, ()> {
        let says_nothing = rule.action == self.words.default;
        for (place, abi) in family.abis.iter().enumerate() {
            let Some(member) = &mut self.members[place] else { continue };
            let direct = family.slot(row, place);
            member.newest = member.newest.max(direct.unwrap_or(0));
            if says_nothing {
                continue;
            }
            if abi.has_multiplexers
                && let Some((slot, call)) = family.multiplexed(row)
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
        let before = match *outcome {
            _ if *outcome == default => None,
            Outcome::Return(_) => return Ok(()),
            Outcome::Chain(chain) => Some(chain),
        };
        *outcome = if is_always {
            Outcome::Return(branch.action)
        } else {
            let is_same = |chain: &&&Chain<'a>| {
                chain.branch.is_same(&branch) && chain.before.map(core::ptr::from_ref) == before.map(core::ptr::from_ref)
            };
            Outcome::Chain(match self.made.iter().find(is_same) {
                Some(chain) => chain,
                None => {
                    self.branches += 1;
                    if self.branches > MOST_BRANCHES {
                        return Err(too_long());
                    }
                    let chain: &'a Chain<'a> = arena.put(chain(before, branch))?;
                    self.made.push(arena, chain)?;
                    chain
                }
            })
        };
        Ok(())
    }

    fn finish(self, family: &Family, arena: &Arena<'a>) -> Result<'a, Rules<'a>> {
        let mut ranges = Ranges { room: arena.slice(MOST_MEMBERS * (family.slots + BESIDE), |_| NOWHERE)?, len: 0 };
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
        let room: &'a [Range<'a>] = ranges.room;
        let mut architectures = List::default();
        for (abi, (start, end)) in family.abis.iter().zip(bounds).filter(|(_, (start, end))| start < end) {
            architectures.push(arena, Architecture { audit: abi.audit, ranges: &room[start..end] })?;
        }
        Ok(Rules { architectures, default: self.words.default })
    }

    /// All numbers from the member's base on.
    fn member(&self, ranges: &mut Ranges<'a>, start: usize, base: u32, place: usize, is_64_bit: bool) {
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

fn chain<'a>(before: Option<&'a Chain<'a>>, branch: Branch<'a>) -> Chain<'a> {
    let own = if branch.simple().is_some() { 1 } else { 1 + 2 * branch.conditions.len() as u32 };
    let steps = before.map_or(2, |before| before.steps) + own;
    Chain { before, branch, steps, codes: Default::default() }
}

const NOWHERE: Range<'static> = Range { start: 0, outcome: Outcome::Return(0), is_64_bit: false };

/// Ranges under construction.
struct Ranges<'a> {
    room: &'a mut [Range<'a>],
    len: usize,
}

impl<'a> Ranges<'a> {
    /// Appends a range, or takes it into the one before if that says the same. Those from `first` on are of the same architecture.
    fn push(&mut self, first: usize, range: Range<'a>) {
        let before = self.room[first..self.len].last().map(|before| before.outcome);
        if before != Some(range.outcome) {
            self.room[self.len] = range; // there is room for all slots of all members
            self.len += 1;
        }
    }

    /// From `start` on there is nothing but this.
    fn cut(&mut self, start: u32, range: Range<'a>) {
        while self.len > 0 && self.room[self.len - 1].start >= start {
            self.len -= 1;
        }
        self.room[self.len] = Range { start, ..range };
        self.len += 1;
    }
}
