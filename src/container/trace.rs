//! What `seccomp trace` does: every system call of a container is handed on to us, noted down and let pass (seccomp_unotify(2)).
//!
//! Must: answer whenever the container is waited for, since each of its calls waits for us. Mustn't: decide anything; a call is let pass.

use core::cell::Cell;
use core::fmt::{self, Write};

use crate::error::{Doing, Error, Result};
use crate::json;
use crate::mem::{Arena, Full};
use crate::names::subjects::SECCOMP_TOOLS;
use crate::names::syscalls::{Abi, FAMILY, SLOTS, slot_of};
use crate::spec::{Config, Seccomp};
use crate::sys::{self, AsFd, BorrowedFd, Errno, OwnedFd, task};

/// Hands all calls on, but those that the container's first process makes before we have the listener: what reports that it is ready, and
/// what gives up the right to load the filter.
const PROFILE: &str = r#"{"defaultAction": "SCMP_ACT_NOTIFY", "flags": ["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"],
    "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32", "SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"],
    "syscalls": [{"names": ["write", "capset"], "action": "SCMP_ACT_ALLOW"}]}"#;

/// The configuration with that profile in the place of its own one.
pub fn config<'a>(config: &Config<'a>, arena: &Arena<'a>) -> Result<'a, Config<'a>> {
    let Ok((profile, _)) = json::read::<Seccomp<'a>>(PROFILE.as_bytes(), arena) else { return Err(Full.into()) };
    let mut config = *config;
    config.linux.get_or_insert_default().seccomp = Some(*profile);
    Ok(config)
}

/// What the bits of one member of the family take.
const WORDS: usize = SLOTS / 32;

/// The calls of a container that were made so far.
pub struct Tracer {
    listener: OwnedFd,
    /// A bit for each slot of each member of the family.
    seen: &'static [Cell<u32>],
    /// Nobody is left who could make a call.
    is_over: Cell<bool>,
}

impl Tracer {
    /// Takes the listener from the process, which numbers it so. `gives_up` says whether the process has called capset(2) after the load.
    pub fn take(pidfd: Option<&OwnedFd>, number: u32, gives_up: bool, arena: &Arena<'static>) -> Result<'static, Tracer> {
        let pidfd = pidfd.filter(|_| SECCOMP_TOOLS).ok_or(Error::said("seccomp trace: the kernel has no pidfd, it needs Linux 5.6"))?;
        let listener = super::seccomp::take_listener(pidfd.as_fd(), number)?;
        let seen = arena.slice(FAMILY.abis.len() * WORDS, |_| Cell::new(0))?;
        let tracer = Tracer { listener, seen, is_over: Cell::new(false) };
        for name in ["write", "capset"].into_iter().take(1 + usize::from(gives_up)) {
            if let Some(slot) = FAMILY.row(name).and_then(|row| FAMILY.slot(row, 0)) {
                tracer.note(0, slot.into());
            }
        }
        Ok(tracer)
    }

    fn note(&self, member: usize, slot: usize) {
        if slot < SLOTS {
            let word = &self.seen[member * WORDS + slot / 32];
            word.set(word.get() | 1 << (slot % 32));
        }
    }

    /// What to wait for; nothing once there is nobody left.
    pub fn waits_for(&self) -> Option<BorrowedFd<'_>> {
        (!self.is_over.get()).then_some(self.listener.as_fd())
    }

    /// Notes down the calls that wait, and lets them pass. Errors: EINVAL before Linux 5.5, which cannot let calls pass.
    pub fn turn(&self) -> Result<'static, ()> {
        while let Some(listener) = self.waits_for() {
            let mut polled = [task::PollFd::from_borrowed_fd(listener, task::PollFlags::IN)];
            if task::poll(&mut polled, Some(&task::Timespec::default())) != Ok(1) {
                return Ok(());
            }
            if !polled[0].revents().contains(task::PollFlags::IN) {
                self.is_over.set(true);
                return Ok(());
            }
            let (audit, number) = match sys::let_call_pass(listener) {
                Err(Errno::NOENT | Errno::INTR) => continue, // it was killed meanwhile
                answer => answer.doing("seccomp trace", "let a system call pass (Linux 5.5)")?,
            };
            // The last one that fits: x32 stands behind x86_64, and has numbers with a bit more.
            let is_it = |(_, abi): &(usize, &Abi)| abi.audit == audit && number & abi.base == abi.base;
            if let Some((member, abi)) = FAMILY.abis.iter().enumerate().rfind(is_it) {
                self.note(member, slot_of(number - abi.base));
            }
        }
        Ok(())
    }

    /// The same until something arrives at `other`, or it ends.
    pub fn until(&self, other: BorrowedFd<'_>) -> Result<'static, ()> {
        while let Some(listener) = self.waits_for() {
            self.turn()?;
            let mut polled = [other, listener].map(|fd| task::PollFd::from_borrowed_fd(fd, task::PollFlags::IN));
            let _ = task::poll(&mut polled, None); // EINTR: looked at again
            if !polled[0].revents().is_empty() {
                break;
            }
        }
        Ok(())
    }

    /// A profile that allows what was seen and nothing else, for `linux.seccomp`.
    #[inline(never)]
    pub fn print(&self, out: &mut dyn Write) -> fmt::Result {
        out.write_str("{\n    \"defaultAction\": \"SCMP_ACT_ERRNO\",\n    \"architectures\": [")?;
        let mut is_first = true;
        for (abi, seen) in FAMILY.abis.iter().zip(self.seen.chunks(WORDS)) {
            if seen.iter().any(|word| word.get() != 0) {
                item(out, abi.word, &mut is_first)?;
            }
        }
        out.write_str("],\n    \"syscalls\": [\n        {\n            \"names\": [")?;
        is_first = true;
        for row in 0.. {
            let Some(name) = FAMILY.name_at(row) else { break };
            let is_seen = self.seen.chunks(WORDS).enumerate().any(|(member, seen)| {
                FAMILY.slot(row, member).is_some_and(|slot| seen[usize::from(slot) / 32].get() >> (slot % 32) & 1 != 0)
            });
            if is_seen {
                item(out, name, &mut is_first)?;
            }
        }
        out.write_str("],\n            \"action\": \"SCMP_ACT_ALLOW\"\n        }\n    ]\n}\n")
    }
}

fn item(out: &mut dyn Write, word: &str, is_first: &mut bool) -> fmt::Result {
    out.write_str(if core::mem::take(is_first) { "\"" } else { ", \"" })?;
    out.write_str(word)?;
    out.write_str("\"")
}
