//! `linux.seccomp` as a program for the kernel: a small compiler. Words become numbers (`words`), numbers become rules for each way of
//! calling the kernel (`rules`), rules become instructions (`program`).
//!
//! What a profile means is what it means to runc, which hands it to libseccomp; docs/surprises.md has the differences.

#[cfg(feature = "libseccomp")]
mod library;
pub mod machine;
mod program;
mod rules;
mod words;

#[cfg(test)]
mod tests;

use crate::error::{Error, Result};
use crate::mem::{Arena, List};
use crate::names::seccomp::{NEW_LISTENER, NOTIFY, SPEC_ALLOW, WAIT_KILLABLE_RECV, seccomp_action, seccomp_flag};
use crate::names::syscalls::{FAMILY, Family};
use crate::spec;

pub use program::MOST_INSTRUCTIONS;
pub use words::each_unknown_name;

/// A filter that is ready to be loaded.
#[derive(Clone, Copy, Debug)]
pub struct Filter<'a> {
    /// Instructions, each the word that `struct sock_filter` is in memory.
    pub program: &'a [u64],
    /// SECCOMP_FILTER_FLAG_*.
    pub flags: u32,
    /// Those of them that may be left out where the kernel does not know them.
    pub optional_flags: u32,
    /// Who decides about the calls that the filter hands on.
    pub listener: Option<Listener<'a>>,
}

/// A process that gets a descriptor of the filter (seccomp_unotify(2)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listener<'a> {
    /// The socket where it waits.
    pub path: &'a str,
    /// What it is told besides.
    pub metadata: &'a str,
}

/// What memory a filter takes, however small its profile: the program, and the tables that it is made from.
pub const BYTES: usize = MOST_INSTRUCTIONS * size_of::<u64>() + rules::BYTES;

/// Compiles a profile for this machine.
pub fn compile<'a>(profile: &spec::Seccomp<'a>, arena: &Arena<'a>) -> Result<'a, Filter<'a>> {
    flags_of(profile, instructions(profile, arena)?)
}

/// Its instructions, made by our own compiler or, with the feature of its name, by libseccomp.
pub fn instructions<'a>(profile: &spec::Seccomp<'a>, arena: &Arena<'a>) -> Result<'a, &'a [u64]> {
    #[cfg(feature = "libseccomp")]
    return library::compile(profile, arena);
    #[cfg(not(feature = "libseccomp"))]
    compile_for(profile, &FAMILY, arena)
}

fn flags_of<'a>(profile: &spec::Seccomp<'a>, program: &'a [u64]) -> Result<'a, Filter<'a>> {
    let flags = profile.flags.iter().try_fold(0, |flags, word| {
        seccomp_flag(word).map(|flag| flags | flag).ok_or(Error::text("linux.seccomp.flags", word, "unknown flag"))
    })?;
    // A process of one thread has nobody to synchronise with, and the kernel refuses it together with a listener.
    let (mut flags, mut optional_flags) = (flags & !TSYNC, 0);
    if !profile.flags.is_present() {
        (flags, optional_flags) = (SPEC_ALLOW, SPEC_ALLOW);
    }
    // `check` lets nobody have it as the default action but `seccomp trace`.
    let mut actions = profile.syscalls.iter().map(|rule| rule.action).chain([profile.default_action]);
    let notifies = actions.any(|action| seccomp_action(action, None) == Some(NOTIFY));
    if notifies {
        flags |= NEW_LISTENER;
        optional_flags |= flags & WAIT_KILLABLE_RECV; // Linux 5.19
    } else {
        flags &= !WAIT_KILLABLE_RECV; // it is about the listener
    }
    let listener = notifies.then_some(Listener { path: profile.listener_path, metadata: profile.listener_metadata });
    Ok(Filter { program, flags, optional_flags, listener })
}

const TSYNC: u32 = 1;

/// The instructions for any family of ways to call a kernel.
pub fn compile_for<'a>(profile: &spec::Seccomp<'a>, family: &Family, arena: &Arena<'a>) -> Result<'a, &'a [u64]> {
    let words = words::read(profile, family, arena)?;
    assemble(profile, &words, family, arena)
}

/// The same for this machine of the first `count` rules, and without hiding what is newer than the profile: to find the rule that decides.
pub fn compile_first<'a>(profile: &spec::Seccomp<'a>, count: usize, arena: &Arena<'a>) -> Result<'a, &'a [u64]> {
    let mut profile = *profile;
    let rules = profile.syscalls;
    profile.syscalls = List::default();
    for rule in rules.iter().take(count) {
        profile.syscalls.push(arena, *rule)?;
    }
    let words = words::Words { hides_newer: false, ..words::read(&profile, &FAMILY, arena)? };
    assemble(&profile, &words, &FAMILY, arena)
}

/// A program that somebody else compiled, in the place of that of a profile, if there is one. Errors: the first instruction that is none.
pub fn precompiled<'a>(bytes: &[u8], profile: Option<&spec::Seccomp<'a>>, arena: &Arena<'a>) -> Result<'a, Filter<'a>> {
    let (words, rest) = bytes.as_chunks();
    let program = arena.slice(words.len(), |index| u64::from_ne_bytes(words[index]))?;
    let wrong = if rest.is_empty() { machine::check(program).err() } else { Some(words.len()) };
    if let Some(at) = wrong {
        let why = arena.format(format_args!("instruction {at} is none, leads out of the program, or is one of more than 4096"))?;
        return Err(Error::text("not a seccomp filter", "", why));
    }
    let nothing = spec::Seccomp { default_action: "SCMP_ACT_ALLOW", ..spec::Seccomp::default() };
    Ok(Filter { program, ..flags_of(profile.unwrap_or(&nothing), &[])? })
}

fn assemble<'a>(profile: &spec::Seccomp<'a>, words: &words::Words<'a>, family: &Family, arena: &Arena<'a>) -> Result<'a, &'a [u64]> {
    let rules = rules::collect(profile, words, family, arena)?;
    program::assemble(&rules, arena)
}
