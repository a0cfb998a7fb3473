//! Every system call by every way of calling, with arguments on and beside each border of the profile, given to both programs.

use ocinit::names::seccomp::KILL_THREAD;
use ocinit::names::syscalls::{AARCH64, ARM, Family, RISCV64, SLOTS, Slot, X86, X86_64, number};
use ocinit::plan::seccomp::compile_for;
use ocinit::spec::Syscall;

use crate::machine::{Call, run as execute};
use crate::meaning::{Meaning, Profile};
use crate::profiles::{REAL, Random, random};
use crate::reference;
use crate::{arena, read};

const FAMILIES: [(&str, &Family); 5] = [("x86_64", &X86_64), ("x86", &X86), ("aarch64", &AARCH64), ("arm", &ARM), ("riscv64", &RISCV64)];

/// What is counted.
#[derive(Default)]
struct Tally {
    passed: u32,
    failed: u32,
    calls: u64,
    explained: u64,
    refused: u32,
}

pub fn run(random_profiles: u32) -> i32 {
    let mut tally = Tally::default();
    numbers(&mut tally);
    for (name, text) in REAL {
        for (family_name, family) in FAMILIES {
            profile(&format!("{name} on {family_name}"), text, family, 1, &mut tally);
        }
    }
    for seed in 0..random_profiles {
        let mut numbers = Random::new(u64::from(seed) + 1);
        let (family_name, family) = FAMILIES[seed as usize % FAMILIES.len()];
        let names = known(family);
        let text = random(&mut numbers, &names);
        profile(&format!("random {seed} on {family_name}"), &text, family, u64::from(seed) + 7, &mut tally);
    }
    println!("{} calls answered by both, {} of them differ for a reason that docs/surprises.md gives", tally.calls, tally.explained);
    println!("{} random profiles that libseccomp refuses", tally.refused);
    println!("seccomp: {} passed, {} failed, 0 skipped", tally.passed, tally.failed);
    i32::from(tally.failed > 0)
}

/// The names of our table that libseccomp knows as well; it may be older.
fn known(family: &Family) -> Vec<&'static str> {
    let names = (0..).map_while(|row| family.name_at(row));
    let is_alike = |name: &&str| {
        let row = family.row(name).unwrap_or(usize::MAX);
        family.abis.iter().enumerate().all(|(place, abi)| {
            let ours = family.slot(row, place).map(|slot| number(slot) | abi.base);
            reference::number(abi, name) == ours || (abi.has_multiplexers && family.multiplexed(row).is_some())
        })
    };
    names.filter(is_alike).collect()
}

/// That each number which libseccomp has is ours.
fn numbers(tally: &mut Tally) {
    for (name, family) in FAMILIES {
        let mut different = Vec::new();
        let mut count = 0;
        for row in (0..).take_while(|row| family.name_at(*row).is_some()) {
            let call = family.name_at(row).unwrap();
            for (place, abi) in family.abis.iter().enumerate() {
                let theirs = reference::number(abi, call);
                let ours = family.slot(row, place).map(|slot| number(slot) | abi.base);
                let is_behind_a_multiplexer = abi.has_multiplexers && family.multiplexed(row).is_some();
                if theirs.is_some() && !is_behind_a_multiplexer {
                    count += 1;
                    if theirs != ours {
                        different.push(format!("{call} on {}: {ours:?}, not {theirs:?}", abi.word));
                    }
                }
            }
        }
        verdict(&format!("{count} numbers of {name}"), &different, tally);
    }
}

fn verdict(what: &str, different: &[String], tally: &mut Tally) {
    if different.is_empty() {
        tally.passed += 1;
    } else {
        tally.failed += 1;
        println!("FAIL  {what}: {} differ", different.len());
        different.iter().take(5).for_each(|line| println!("      {line}"));
    }
}

fn profile(what: &str, text: &str, family: &Family, seed: u64, tally: &mut Tally) {
    let arena = arena();
    let profile = &read(text, &arena);
    let ours = match compile_for(profile, family, &arena) {
        Ok(program) => program,
        Err(error) => return verdict(what, &[error.to_string()], tally),
    };
    let Some(theirs) = reference::compile(profile, family, seed.is_multiple_of(2)) else {
        tally.refused += 1;
        return;
    };
    let mut numbers = Random::new(seed);
    let mut different = Vec::new();
    let meant = Profile::new(profile, family, &theirs.newest);
    for call in calls(&meant, family, &mut numbers) {
        tally.calls += 1;
        let (answer, expected) = (execute(ours, &call).0, theirs.answer(&call));
        let meaning = meant.meaning(&call);
        if answer != meaning.answer {
            different.push(format!("{call:x?}: {answer:#x}, not {:#x} as the profile says", meaning.answer));
        } else if answer != expected && !is_explained(&meaning, &call, expected) {
            different.push(format!("{call:x?}: {answer:#x}, not {expected:#x} as libseccomp says"));
        } else {
            tally.explained += u64::from(answer != expected);
        }
    }
    verdict(what, &different, tally);
}

/// All calls that are worth a try.
fn calls(profile: &Profile<'_>, family: &Family, random: &mut Random) -> Vec<Call> {
    let mut calls = Vec::new();
    for abi in family.abis {
        for slot in 0..SLOTS as Slot {
            let number = number(slot) | abi.base;
            let mut push = |arguments| calls.push(Call { architecture: abi.audit, number, arguments });
            push([0; 6]);
            push(std::array::from_fn(|_| random.argument()));
            let rules: Vec<_> = profile.concerning(abi, slot).collect();
            for (rule, behind) in &rules {
                for _ in 0..12 {
                    let mut arguments = near(rule, rules[random.below(rules.len())].0, random);
                    if let (Some(call), true) = (behind, random.below(8) > 0) {
                        arguments[0] = u64::from(*call);
                    }
                    push(arguments);
                }
            }
        }
    }
    for number in [0x3fff_ffff, 0x7fff_ffff, 0x8000_0000, u32::MAX] {
        for architecture in family.abis.iter().map(|abi| abi.audit).chain([0, 0xc000_0016]) {
            calls.push(Call { architecture, number, arguments: [0; 6] });
        }
    }
    calls
}

/// Arguments at which the rule holds or nearly holds, and perhaps another one for the call.
fn near<'a>(rule: &Syscall<'a>, other: &Syscall<'a>, random: &mut Random) -> [u64; 6] {
    let mut arguments: [u64; 6] = std::array::from_fn(|_| random.argument());
    for rule in [rule, other].into_iter().take(1 + random.below(2)) {
        for argument in &rule.args {
            let around = [0, 0, 0, 0, 0, 1, u64::MAX, 1 << 32, 1 << 33, u64::MAX << 32][random.below(10)];
            let value = match argument.op {
                "SCMP_CMP_MASKED_EQ" => argument.value & argument.value_two | random.argument() & !argument.value,
                _ => argument.value,
            };
            arguments[argument.index as usize] = value.wrapping_add(around);
        }
    }
    arguments
}

/// Where we say what the profile says and libseccomp does not. It loses its way in the tree of several alternatives for one call; and
/// runc's stub looks at one bit of the number, so that some which nobody has are missing for it, and killed by us.
fn is_explained(meaning: &Meaning, call: &Call, expected: u32) -> bool {
    meaning.branches > 1 || (call.number >> 30 == 2 && (meaning.answer, expected) == (KILL_THREAD, reference::MISSING))
}
