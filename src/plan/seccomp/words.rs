//! The front: what the words of a profile are in numbers. Errors name the rule.

use crate::error::{Error, Result};
use crate::mem::{Arena, List};
use crate::names::seccomp::{ALLOW, ERRNO, LOG, NOTIFY, TRACE, seccomp_action};
use crate::names::syscalls::{FAMILY, Family};
use crate::names::{SECCOMP_ARCHITECTURES, SECCOMP_OPERATORS};
use crate::spec::{Seccomp, Syscall, SyscallArg};

/// How an argument is compared. The negations are the same comparison with the answers exchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    Greater,
    GreaterOrEqual,
}

/// One condition on one argument.
#[derive(Clone, Copy, Debug)]
pub(super) struct Condition {
    pub argument: u8,
    pub comparison: Comparison,
    /// Whether it holds where the comparison does not.
    pub is_negated: bool,
    /// Bits of the argument that are compared.
    pub mask: u64,
    pub value: u64,
}

impl Condition {
    /// Whether it says that the whole argument equals something.
    pub fn is_plain_equality(&self) -> bool {
        self.comparison == Comparison::Equal && !self.is_negated && self.mask == u64::MAX
    }

    /// Whether it holds for every argument: nothing is compared.
    pub fn is_always(&self, is_64_bit: bool) -> bool {
        self.mask & width(is_64_bit) == 0
    }
}

/// The bits of an argument that are there.
pub(super) fn width(is_64_bit: bool) -> u64 {
    if is_64_bit { u64::MAX } else { u32::MAX.into() }
}

/// One rule, but for its names.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rule<'a> {
    /// What the filter returns.
    pub action: u32,
    /// All of these must hold; or one of them, if two speak of the same argument.
    pub conditions: &'a [Condition],
    pub is_any: bool,
}

/// A profile in numbers.
pub(super) struct Words<'a> {
    /// What the filter returns where no rule does.
    pub default: u32,
    /// Which members of the family the profile is for: bit n for the one at place n.
    pub members: u32,
    /// Whether system calls that are newer than the profile are to seem missing.
    pub hides_newer: bool,
    /// As many as the profile has, in its order.
    pub rules: List<'a, Rule<'a>>,
}

const ENOSYS: u32 = 38;
/// What newer system calls return.
pub(super) const MISSING: u32 = ERRNO | ENOSYS;

pub(super) fn read<'a>(profile: &Seccomp<'a>, family: &Family, arena: &Arena<'a>) -> Result<'a, Words<'a>> {
    let unknown = |word| Error::text("linux.seccomp.defaultAction", word, "unknown action");
    let default = seccomp_action(profile.default_action, profile.default_errno_ret).ok_or(unknown(profile.default_action))?;
    let mut members = 1; // the native one counts, whether it is named or not
    for word in &profile.architectures {
        match family.abis.iter().position(|abi| abi.word == *word) {
            Some(place) => members |= 1 << place,
            None if SECCOMP_ARCHITECTURES.contains(word) => {} // this kernel can run nothing that is called that way
            None => return Err(Error::text("linux.seccomp.architectures", word, "unknown architecture")),
        }
    }
    let mut rules = List::default();
    for (index, written) in profile.syscalls.iter().enumerate() {
        let rule = rule(written).map_err(|(word, why)| match arena.format(format_args!("linux.seccomp.syscalls[{index}]")) {
            Ok(place) => Error::text(place, word, why),
            Err(full) => full.into(),
        })?;
        let conditions = arena.slice(written.args.len(), |_| NOTHING)?;
        for (place, argument) in conditions.iter_mut().zip(&written.args) {
            *place = condition(argument).unwrap_or(NOTHING); // `rule` has read them all
        }
        rules.push(arena, Rule { conditions, ..rule })?;
    }
    let is_permissive = [ALLOW, LOG, NOTIFY].contains(&default) || default & !0xffff == TRACE;
    Ok(Words { default, members, hides_newer: !is_permissive && default != MISSING, rules })
}

const NOTHING: Condition = Condition { argument: 0, comparison: Comparison::Equal, is_negated: false, mask: 0, value: 0 };

/// The rule without its conditions, which are only judged here.
fn rule<'a>(written: &Syscall<'a>) -> core::result::Result<Rule<'static>, (&'a str, &'a str)> {
    let action = seccomp_action(written.action, written.errno_ret).ok_or((written.action, "unknown action"))?;
    let (mut seen, mut is_any) = (0u32, false);
    for argument in &written.args {
        let condition = condition(argument)?;
        is_any |= seen & 1 << condition.argument != 0;
        seen |= 1 << condition.argument;
    }
    Ok(Rule { action, conditions: &[], is_any })
}

/// System calls have six arguments.
const ARGUMENTS: u32 = 6;

fn condition<'a>(written: &SyscallArg<'a>) -> core::result::Result<Condition, (&'a str, &'a str)> {
    if written.index >= ARGUMENTS {
        return Err(("args", "the index is not from 0 to 5"));
    }
    let (comparison, is_negated) = match SECCOMP_OPERATORS.position(written.op) {
        Some(0 | 5) => (Comparison::Equal, false),      // EQ, MASKED_EQ
        Some(1) => (Comparison::GreaterOrEqual, false), // GE
        Some(2) => (Comparison::Greater, false),        // GT
        Some(3) => (Comparison::Greater, true),         // LE
        Some(4) => (Comparison::GreaterOrEqual, true),  // LT
        Some(_) => (Comparison::Equal, true),           // NE
        None => return Err((written.op, "unknown operator")),
    };
    let is_masked = written.op == "SCMP_CMP_MASKED_EQ";
    let (mask, value) = if is_masked { (written.value, written.value & written.value_two) } else { (u64::MAX, written.value) };
    Ok(Condition { argument: written.index as u8, comparison, is_negated, mask, value })
}

/// Calls `say` with the place of each rule and each of its names that this machine has no call of: they are skipped.
pub fn each_unknown_name(profile: &Seccomp<'_>, say: &mut dyn FnMut(usize, usize, &str)) {
    for (index, rule) in profile.syscalls.iter().enumerate() {
        for (place, name) in rule.names.iter().enumerate() {
            if FAMILY.row(name).is_none() {
                say(index, place, name);
            }
        }
    }
}
