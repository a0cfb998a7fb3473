//! The back: rules as instructions for the kernel's classic BPF machine (seccomp(2)).
//!
//! Written from the last instruction to the first, so that whatever a jump leads to is already there. A search tree over the numbers finds
//! what happens at a call; a call whose arguments are looked at sits nearer to the root, so that the longest way is not much longer.

use super::rules::{Architecture, Branch, Chain, Outcome, Range, Rules};
use super::words::{Comparison, Condition, width};
use crate::error::{Error, Result};
use crate::mem::{Arena, List};
use crate::names::seccomp::KILL_THREAD;

/// BPF_MAXINSNS: the kernel takes no longer program.
pub const MOST_INSTRUCTIONS: usize = 4096;

// linux/bpf_common.h
pub(super) const LOAD: u16 = 0x20; // BPF_LD | BPF_W | BPF_ABS
pub(super) const AND: u16 = 0x54; // BPF_ALU | BPF_AND | BPF_K
pub(super) const JUMP: u16 = 0x05; // BPF_JMP | BPF_JA
pub(super) const JUMP_EQUAL: u16 = 0x15;
pub(super) const JUMP_GREATER: u16 = 0x25;
pub(super) const JUMP_GREATER_OR_EQUAL: u16 = 0x35;
pub(super) const JUMP_SET: u16 = 0x45;
pub(super) const RETURN: u16 = 0x06; // BPF_RET | BPF_K

// struct seccomp_data
pub(super) const NUMBER: u32 = 0;
pub(super) const ARCHITECTURE: u32 = 4;
pub(super) const ARGUMENTS: u32 = 16;
pub(super) const LOW: u32 = if cfg!(target_endian = "big") { 4 } else { 0 };
const HIGH: u32 = 4 - LOW;

/// `struct sock_filter` as the word that it is in memory.
pub(super) fn instruction(code: u16, yes: u8, no: u8, operand: u32) -> u64 {
    let [c0, c1] = code.to_ne_bytes();
    let [k0, k1, k2, k3] = operand.to_ne_bytes();
    u64::from_ne_bytes([c0, c1, yes, no, k0, k1, k2, k3])
}

pub(super) fn assemble<'a>(rules: &Rules<'a>, arena: &Arena<'a>) -> Result<'a, &'a [u64]> {
    let room = arena.slice(MOST_INSTRUCTIONS, |_| 0)?;
    let mut writer = Writer { start: room.len(), room, returns: [(0, usize::MAX); RETURNS], next_return: 0, rules };
    match writer.program(&rules.architectures) {
        Ok(start) => {
            let room: &'a [u64] = writer.room;
            Ok(&room[start..])
        }
        Err(TooLong) => Err(too_long()),
    }
}

pub(super) fn too_long<'a>() -> Error<'a> {
    Error::said("linux.seccomp: the profile needs more than the 4096 instructions that the kernel takes")
}

/// The program has no room left.
struct TooLong;

type Written<T> = core::result::Result<T, TooLong>;

/// The place of an instruction.
type Label = usize;

/// No family has more that a filter can tell from each other.
const MOST_ARCHITECTURES: usize = 2;

/// How many of the latest returns are remembered, to be jumped to.
const RETURNS: usize = 8;

/// How far a conditional jump reaches; less than the kernel's 255, since a jump may still come between.
const REACH: usize = 252;

struct Writer<'r, 'a> {
    room: &'a mut [u64],
    /// The first instruction that is written.
    start: Label,
    returns: [(u32, Label); RETURNS],
    next_return: usize,
    rules: &'r Rules<'a>,
}

impl<'a> Writer<'_, 'a> {
    /// The tests for the architectures, then the code of each. That of the first lies next to them: it is called the most.
    fn program(&mut self, architectures: &List<'a, Architecture<'a>>) -> Written<Label> {
        let mut codes = [0; MOST_ARCHITECTURES];
        let rows = || (0..architectures.len()).rev().filter_map(|place| Some((place, architectures.get(place)?)));
        for (place, architecture) in rows() {
            let tree = self.tree(architecture.ranges)?;
            if tree != self.start {
                self.put(instruction(JUMP, 0, 0, (tree - self.start) as u32))?;
            }
            codes[place] = self.put(instruction(LOAD, 0, 0, NUMBER))?;
        }
        let mut test = self.answer(KILL_THREAD)?;
        for (place, architecture) in rows() {
            test = self.jump(JUMP_EQUAL, architecture.audit, codes[place], test)?;
        }
        self.put(instruction(LOAD, 0, 0, ARCHITECTURE))
    }

    /// Finds the range that a number is in.
    fn tree(&mut self, ranges: &[Range<'a>]) -> Written<Label> {
        match ranges {
            [] => self.answer(self.rules.default),
            [only] => self.leaf(only),
            // One number that differs from what is around it.
            [around, one, rest] if around.outcome == rest.outcome && rest.start - one.start == 1 => {
                let otherwise = self.leaf(around)?;
                let equal = self.leaf(one)?;
                self.jump(JUMP_EQUAL, one.start, equal, otherwise)
            }
            _ => {
                let (low, high) = ranges.split_at(split(ranges));
                let above = self.tree(high)?;
                let below = self.tree(low)?;
                self.jump(JUMP_GREATER_OR_EQUAL, high[0].start, above, below)
            }
        }
    }

    fn leaf(&mut self, range: &Range<'a>) -> Written<Label> {
        match range.outcome {
            Outcome::Return(value) => self.answer(value),
            Outcome::Chain(chain) => {
                let code = &chain.codes[usize::from(range.is_64_bit)];
                let label = match code.get() {
                    Some(label) => label,
                    None => self.chain(chain, range.is_64_bit)?,
                };
                code.set(Some(label));
                Ok(label)
            }
        }
    }

    /// Tries one branch after the other. Branches that compare the same argument with values of the same upper half load it once.
    fn chain(&mut self, chain: &'a Chain<'a>, is_64_bit: bool) -> Written<Label> {
        let mut next = self.answer(self.rules.default)?;
        let mut group = None::<Group>;
        for Chain { branch, .. } in core::iter::successors(Some(chain), |chain| chain.before) {
            let Some(condition) = branch.simple() else {
                if let Some(group) = group.take() {
                    next = self.open(&group, is_64_bit)?;
                }
                let success = self.answer(branch.action)?;
                next = self.branch(branch, success, next, is_64_bit)?;
                continue;
            };
            let (argument, high) = (condition.argument, (condition.value >> 32) as u32);
            if let Some(other) = &group
                && (other.argument != argument || (is_64_bit && other.high != high))
            {
                next = self.open(other, is_64_bit)?;
                group = None;
            }
            let success = self.answer(branch.action)?;
            let (test, otherwise) = group.as_ref().map_or((next, next), |group| (group.test, group.otherwise));
            let test = self.jump(JUMP_EQUAL, condition.value as u32, success, test)?;
            group = Some(Group { argument, high, test, otherwise });
        }
        match group {
            Some(group) => self.open(&group, is_64_bit),
            None => Ok(next),
        }
    }

    /// The head of a group: loads what its tests compare.
    fn open(&mut self, group: &Group, is_64_bit: bool) -> Written<Label> {
        let low = self.load(group.argument, LOW)?;
        debug_assert!(low + 1 == group.test, "the tests follow their load");
        if !is_64_bit {
            return Ok(low);
        }
        self.jump(JUMP_EQUAL, group.high, low, group.otherwise)?;
        self.load(group.argument, HIGH)
    }

    fn branch(&mut self, branch: &Branch<'a>, success: Label, failure: Label, is_64_bit: bool) -> Written<Label> {
        let mut next = success;
        for condition in branch.conditions.iter().rev() {
            let is_the_multiplexer_s = branch.call.is_some() && condition.argument == 0;
            if !is_the_multiplexer_s && !condition.is_always(is_64_bit) {
                next = self.condition(condition, next, failure, is_64_bit)?;
            }
        }
        if let Some(call) = branch.call {
            self.jump(JUMP_EQUAL, call, next, failure)?;
            next = self.load(0, LOW)?;
        }
        Ok(next)
    }

    fn condition(&mut self, condition: &Condition, success: Label, failure: Label, is_64_bit: bool) -> Written<Label> {
        let (yes, no) = if condition.is_negated { (failure, success) } else { (success, failure) };
        let mask = condition.mask & width(is_64_bit);
        let (low, high) = (condition.value as u32, (condition.value >> 32) as u32);
        let code = match condition.comparison {
            Comparison::Equal => JUMP_EQUAL,
            Comparison::Greater => JUMP_GREATER,
            Comparison::GreaterOrEqual => JUMP_GREATER_OR_EQUAL,
        };
        let mut next = yes;
        if mask as u32 != 0 {
            self.jump(code, low, yes, no)?;
            next = self.load_masked(condition.argument, LOW, mask as u32)?;
        }
        let mask = (mask >> 32) as u32;
        if mask != 0 {
            let equal = self.jump(JUMP_EQUAL, high, next, no)?;
            if condition.comparison != Comparison::Equal {
                self.jump(JUMP_GREATER, high, yes, equal)?;
            }
            next = self.load_masked(condition.argument, HIGH, mask)?;
        }
        Ok(next)
    }

    fn load(&mut self, argument: u8, half: u32) -> Written<Label> {
        self.put(instruction(LOAD, 0, 0, ARGUMENTS + u32::from(argument) * 8 + half))
    }

    fn load_masked(&mut self, argument: u8, half: u32, mask: u32) -> Written<Label> {
        if mask != u32::MAX {
            self.put(instruction(AND, 0, 0, mask))?;
        }
        self.load(argument, half)
    }

    /// A return of this value: one that is near, or a new one.
    fn answer(&mut self, value: u32) -> Written<Label> {
        if let Some((_, label)) = self.returns.iter().find(|(known, label)| *known == value && label.wrapping_sub(self.start) < REACH) {
            return Ok(*label);
        }
        let label = self.put(instruction(RETURN, 0, 0, value))?;
        let known = self.returns.iter().position(|(known, _)| *known == value).unwrap_or(self.next_return);
        self.returns[known] = (value, label);
        self.next_return = (self.next_return + usize::from(known == self.next_return)) % RETURNS;
        Ok(label)
    }

    /// A conditional jump; with a jump of its own before it for what is out of reach.
    fn jump(&mut self, code: u16, operand: u32, yes: Label, no: Label) -> Written<Label> {
        let yes = self.near(yes)?;
        let no = self.near(no)?;
        let (yes, no) = ((yes - self.start) as u8, (no - self.start) as u8);
        self.put(instruction(code, yes, no, operand))
    }

    fn near(&mut self, label: Label) -> Written<Label> {
        match label - self.start {
            distance if distance > REACH => self.put(instruction(JUMP, 0, 0, distance as u32)),
            _ => Ok(label),
        }
    }

    fn put(&mut self, instruction: u64) -> Written<Label> {
        self.start = self.start.checked_sub(1).ok_or(TooLong)?;
        self.room[self.start] = instruction;
        Ok(self.start)
    }
}

/// Where to divide ranges so that both sides weigh about the same.
fn split(ranges: &[Range<'_>]) -> usize {
    let total: u32 = ranges.iter().map(|range| weight(range)).sum();
    let (mut best, mut least, mut below) = (1, u32::MAX, 0);
    for (place, range) in ranges[..ranges.len() - 1].iter().enumerate() {
        below += weight(range);
        let difference = total.abs_diff(2 * below);
        if difference < least {
            (best, least) = (place + 1, difference);
        }
    }
    best
}

/// Twice as much for each instruction that is executed at the range.
fn weight(range: &Range<'_>) -> u32 {
    match range.outcome {
        Outcome::Return(_) => 1,
        Outcome::Chain(chain) => 1 << chain.steps.min(10),
    }
}

/// Tests for equality of one argument, whose load is still to be written before them.
struct Group {
    argument: u8,
    high: u32,
    /// The first test.
    test: Label,
    /// Where the upper half differs.
    otherwise: Label,
}
