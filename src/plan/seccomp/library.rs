//! A profile given to libseccomp, in the builds with the feature of its name: rule by rule, as runc does; and before its program what runc
//! puts there, which makes calls that are newer than the profile seem missing.
//!
//! The one place in `plan` that makes system calls: the library hands its program out through a descriptor.

use super::program::{ARCHITECTURE, JUMP_EQUAL, JUMP_GREATER, JUMP_GREATER_OR_EQUAL, LOAD, MOST_INSTRUCTIONS, NUMBER, RETURN, instruction};
use super::words::{self, MISSING, Words};
use crate::error::{Doing, Error, Result};
use crate::mem::Arena;
use crate::names::SECCOMP_OPERATORS;
use crate::names::syscalls::{Abi, FAMILY};
use crate::spec::{Seccomp, SyscallArg};
use crate::sys::{SeccompRules, seccomp_number};

pub(super) fn compile<'a>(profile: &Seccomp<'a>, arena: &Arena<'a>) -> Result<'a, &'a [u64]> {
    let words = words::read(profile, &FAMILY, arena)?;
    let mut rules = SeccompRules::new(words.default).doing("linux.seccomp.defaultAction", profile.default_action)?;
    for abi in members(&words) {
        rules.add_architecture(token(abi)).doing("linux.seccomp.architectures", abi.word)?;
    }
    let mut left = MOST_INSTRUCTIONS;
    for (index, (rule, written)) in words.rules.iter().zip(&profile.syscalls).enumerate() {
        if rule.action == words.default {
            continue;
        }
        for name in &written.names {
            // Each needs an instruction at least, and the library's time grows with their square.
            left = left.checked_sub(written.args.len()).ok_or_else(super::program::too_long)?;
            let Some(number) = seccomp_number(0, arena.c_str(&[name.as_bytes()])?) else { continue };
            let added = if rule.is_any {
                written.args.iter().try_for_each(|argument| rules.add(rule.action, number, &mut [compared(argument)].into_iter()))
            } else {
                rules.add(rule.action, number, &mut written.args.iter().map(compared))
            };
            if let Err(errno) = added {
                return Err(Error::errno(arena.format(format_args!("linux.seccomp.syscalls[{index}]: libseccomp"))?, name, errno));
            }
        }
    }
    let room = arena.slice(MOST_INSTRUCTIONS, |_| 0)?;
    let stub = if words.hides_newer { stub(profile, &words, room, arena)? } else { 0 };
    match rules.program(&mut room[stub..]) {
        Ok(length) if stub + length <= MOST_INSTRUCTIONS => Ok(&room[..stub + length]),
        Ok(_) => Err(super::program::too_long()),
        Err(errno) => Err(Error::errno("linux.seccomp", "libseccomp", errno)),
    }
}

fn members(words: &Words<'_>) -> impl Iterator<Item = &'static Abi> {
    let members = words.members;
    FAMILY.abis.iter().enumerate().filter(move |(place, _)| members & 1 << place != 0).map(|(_, abi)| abi)
}

/// What the library calls a way of calling: what a filter sees of it, but for x32.
fn token(abi: &Abi) -> u32 {
    const AUDIT_ARCH_64BIT: u32 = 0x8000_0000;
    if abi.base == 0 { abi.audit } else { abi.audit & !AUDIT_ARCH_64BIT }
}

fn compared(argument: &SyscallArg<'_>) -> (usize, u32, u64, u64) {
    let operator = SECCOMP_OPERATORS.position(argument.op).unwrap_or_default(); // `words` knows them all
    (operator, argument.index, argument.value, argument.value_two)
}

/// For each architecture: calls above the highest that the profile names seem missing. Returns how many instructions that takes.
fn stub<'a>(profile: &Seccomp<'a>, words: &Words<'a>, room: &mut [u64], arena: &Arena<'a>) -> Result<'a, usize> {
    let mut length = 0;
    let mut put = |code, yes, no, operand| {
        room[length] = instruction(code, yes, no, operand); // a few for each architecture
        length += 1;
    };
    for abi in members(words).filter(|abi| abi.base == 0) {
        let own = newest(profile, abi, arena)?;
        let other = members(words).find(|other| other.base != 0 && other.audit == abi.audit);
        let base = FAMILY.abis.iter().find(|other| other.base != 0 && other.audit == abi.audit).map(|other| other.base);
        put(LOAD, 0, 0, ARCHITECTURE);
        put(JUMP_EQUAL, 0, if base.is_some() { 5 } else { 3 }, abi.audit);
        put(LOAD, 0, 0, NUMBER);
        if let Some(base) = base {
            put(JUMP_GREATER_OR_EQUAL, 0, 1, base);
            let highest = other.map_or(Ok(u32::MAX), |other| newest(profile, other, arena))?;
            put(JUMP_GREATER, 1, 2, highest);
        }
        put(JUMP_GREATER, 0, 1, own);
        put(RETURN, 0, 0, MISSING);
    }
    Ok(length)
}

/// The highest number that the profile names; the highest of all if it names none.
fn newest<'a>(profile: &Seccomp<'a>, abi: &Abi, arena: &Arena<'a>) -> Result<'a, u32> {
    let mut newest = 0;
    for name in profile.syscalls.iter().flat_map(|rule| rule.names.iter()) {
        let number = seccomp_number(token(abi), arena.c_str(&[name.as_bytes()])?);
        newest = newest.max(number.and_then(|number| u32::try_from(number).ok()).unwrap_or(0));
    }
    Ok(if newest == 0 { u32::MAX } else { newest })
}
