//! What a profile says about one call, found by reading it rule by rule: as plain as the sentences that say it.

use ocinit::names::seccomp::{KILL_THREAD, seccomp_action};
use ocinit::names::syscalls::{Abi, Family, SLOTS, Slot, number};
use ocinit::spec::{Seccomp, Syscall, SyscallArg};

use crate::machine::Call;
use crate::reference::{MISSING, members};

/// What a filter must return.
pub struct Meaning {
    pub answer: u32,
    /// How many alternatives there are, each with conditions.
    pub branches: usize,
}

/// A rule that concerns a call: its place, and for what is behind a multiplexer the number there.
type Concern = (usize, Option<u32>);

/// A profile for the members of a family.
pub struct Profile<'f> {
    family: &'f Family,
    rules: Vec<Syscall<'static>>,
    default: u32,
    members: Vec<&'f Abi>,
    /// (architecture, base, highest number) where later calls seem missing.
    newest: Vec<(u32, u32, u32)>,
    /// For each member of the family and each slot.
    concerns: Vec<Vec<Vec<Concern>>>,
}

/// The bit of x32's numbers.
const X32: u32 = 0x4000_0000;

impl<'f> Profile<'f> {
    pub fn new(profile: &Seccomp<'static>, family: &'f Family, newest: &[(u32, u32, u32)]) -> Self {
        let rules: Vec<Syscall<'static>> = profile.syscalls.iter().copied().collect();
        let mut concerns = vec![vec![Vec::new(); SLOTS]; family.abis.len()];
        for (place, abi) in family.abis.iter().enumerate() {
            let slot = |name: &str| family.row(name).and_then(|row| family.slot(row, place)).map(usize::from);
            for (index, rule) in rules.iter().enumerate() {
                for name in &rule.names {
                    let behind = family.row(name).and_then(|row| family.multiplexed(row)).filter(|_| abi.has_multiplexers);
                    if let Some((multiplexer, call)) = behind {
                        concerns[place][usize::from(multiplexer)].push((index, Some(call)));
                    }
                    if let Some(slot) = slot(name) {
                        concerns[place][slot].push((index, None));
                    }
                }
            }
        }
        let default = seccomp_action(profile.default_action, profile.default_errno_ret).unwrap();
        Profile { family, rules, default, members: members(profile, family).collect(), newest: newest.to_vec(), concerns }
    }

    /// The rules that concern a call.
    pub fn concerning(&self, abi: &Abi, slot: Slot) -> impl Iterator<Item = (&Syscall<'static>, Option<u32>)> {
        let place = self.family.abis.iter().position(|other| std::ptr::eq(other, abi)).unwrap();
        self.concerns[place][usize::from(slot)].iter().map(|(index, call)| (&self.rules[*index], *call))
    }

    /// By the rules of libseccomp: the first rule for a call counts; one without conditions takes the place of those with conditions.
    pub fn meaning(&self, call: &Call) -> Meaning {
        let plain = |answer| Meaning { answer, branches: 0 };
        let base = if call.architecture == 0xc000_003e && call.number >= X32 { X32 } else { 0 };
        let Some(abi) = self.members.iter().find(|abi| abi.audit == call.architecture && abi.base == base) else {
            let is_nobody_s = self.members.iter().any(|abi| abi.audit == call.architecture) && call.number == u32::MAX;
            return plain(if is_nobody_s { self.default } else { KILL_THREAD });
        };
        let newest = self.newest.iter().find(|(audit, at, newest)| (*audit, *at) == (abi.audit, abi.base) && *newest > 0);
        if newest.is_some_and(|(_, at, newest)| call.number - at > *newest) {
            return plain(MISSING);
        }
        let Some(slot) = (0..SLOTS as Slot).find(|slot| number(*slot) | base == call.number) else { return plain(self.default) };
        let mut branches = Vec::new();
        for (rule, behind) in self.concerning(abi, slot) {
            let action = seccomp_action(rule.action, rule.errno_ret).unwrap();
            if action == self.default {
                continue;
            }
            for conditions in alternatives(rule) {
                if behind.is_none() && conditions.iter().all(|argument| is_always(argument, abi)) {
                    return plain(action);
                }
                branches.push((conditions, behind, action));
            }
        }
        let said = branches.iter().find(|(conditions, behind, _)| {
            let is_it = behind.is_none_or(|behind| call.arguments[0] as u32 == behind);
            is_it && conditions.iter().filter(|argument| behind.is_none() || argument.index != 0).all(|argument| holds(argument, abi, call))
        });
        Meaning { answer: said.map_or(self.default, |(_, _, action)| *action), branches: branches.len() }
    }
}

/// Conditions on one argument are alternatives, others must all hold.
fn alternatives(rule: &Syscall<'static>) -> Vec<Vec<&'static SyscallArg<'static>>> {
    let arguments: Vec<&SyscallArg<'_>> = rule.args.iter().collect();
    let repeats = (0..6).any(|index| arguments.iter().filter(|argument| argument.index == index).count() > 1);
    if repeats { arguments.into_iter().map(|argument| vec![argument]).collect() } else { vec![arguments] }
}

fn width(abi: &Abi) -> u64 {
    if abi.is_64_bit { u64::MAX } else { u32::MAX.into() }
}

fn is_always(argument: &SyscallArg<'_>, abi: &Abi) -> bool {
    argument.op == "SCMP_CMP_MASKED_EQ" && argument.value & width(abi) == 0
}

fn holds(argument: &SyscallArg<'_>, abi: &Abi, call: &Call) -> bool {
    let (value, wanted) = (call.arguments[argument.index as usize] & width(abi), argument.value & width(abi));
    match argument.op {
        "SCMP_CMP_EQ" => value == wanted,
        "SCMP_CMP_NE" => value != wanted,
        "SCMP_CMP_LT" => value < wanted,
        "SCMP_CMP_LE" => value <= wanted,
        "SCMP_CMP_GE" => value >= wanted,
        "SCMP_CMP_GT" => value > wanted,
        _ => value & wanted == argument.value_two & wanted,
    }
}
