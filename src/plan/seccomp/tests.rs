//! Profiles in, answers out: programs are run as the kernel would run them.

use super::*;
use crate::json;
use crate::names::syscalls::{AARCH64, ARM, X86_64};
use core::mem::MaybeUninit;

const X86_64_CALL: u32 = 0xc000_003e;
const I386_CALL: u32 = 0x4000_0003;
const AARCH64_CALL: u32 = 0xc000_00b7;
const ARM_CALL: u32 = 0x4000_0028;
const X32: u32 = 0x4000_0000;

const ALLOW: u32 = 0x7fff_0000;
const ERRNO: u32 = 0x0005_0000;
const EPERM: u32 = ERRNO | 1;
const ENOSYS: u32 = ERRNO | 38;

/// Runs a program as the kernel would: what it returns, and how many instructions that took.
fn run(program: &[u64], architecture: u32, number: u32, arguments: [u64; 6]) -> (u32, usize) {
    let words = |offset: u32| match offset {
        0 => number,
        4 => architecture,
        16..64 if offset.is_multiple_of(8) => arguments[offset as usize / 8 - 2] as u32,
        16..64 if (offset + 4).is_multiple_of(8) => (arguments[offset as usize / 8 - 2] >> 32) as u32,
        _ => panic!("load at {offset}"),
    };
    let (mut at, mut accumulator) = (0, 0);
    for steps in 1.. {
        let [c0, c1, yes, no, k0, k1, k2, k3] = program[at].to_ne_bytes();
        let operand = u32::from_ne_bytes([k0, k1, k2, k3]);
        let mut decide = |is_so: bool| at += 1 + usize::from(if is_so { yes } else { no });
        match u16::from_ne_bytes([c0, c1]) {
            0x20 => (accumulator, at) = (words(operand), at + 1),
            0x54 => (accumulator, at) = (accumulator & operand, at + 1),
            0x05 => at += 1 + operand as usize,
            0x15 => decide(accumulator == operand),
            0x25 => decide(accumulator > operand),
            0x35 => decide(accumulator >= operand),
            0x06 => return (operand, steps),
            code => panic!("code {code:#x}"),
        }
    }
    unreachable!()
}

fn with(profile: &str, family: &Family, check: impl FnOnce(Result<'_, &[u64]>)) {
    let mut room = vec![MaybeUninit::uninit(); 4 << 20];
    let arena = Arena::new(&mut room);
    let (profile, _) = json::read::<spec::Seccomp<'_>>(profile.as_bytes(), &arena).unwrap();
    check(compile_for(profile, family, &arena));
}

/// What a profile says to calls of (architecture, number, first argument).
#[track_caller]
fn answers(profile: &str, family: &Family, rows: &[(u32, u32, u64, u32)]) {
    with(profile, family, |program| {
        let program = program.unwrap();
        for (architecture, number, argument, answer) in rows {
            let (found, _) = run(program, *architecture, *number, [*argument, 0, 0, 0, 0, 0]);
            assert_eq!(found, *answer, "{architecture:#x} {number} ({argument:#x})");
        }
    });
}

#[test]
fn each_way_of_calling_has_its_own_numbers() {
    let profile = r#"{"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86", "SCMP_ARCH_X32"],
        "syscalls": [{"names": ["getpid", "ioctl", "nonsense"], "action": "SCMP_ACT_ERRNO"}]}"#;
    answers(
        profile,
        &X86_64,
        &[
            (X86_64_CALL, 39, 0, EPERM),
            (X86_64_CALL, 20, 0, ALLOW),
            (X86_64_CALL, 16, 0, EPERM),
            (X86_64_CALL, X32 | 39, 0, EPERM),
            (X86_64_CALL, X32 | 514, 0, EPERM),
            (X86_64_CALL, X32 | 16, 0, ALLOW),
            (I386_CALL, 20, 0, EPERM),
            (I386_CALL, 39, 0, ALLOW),
            (AARCH64_CALL, 172, 0, 0),
        ],
    );
}

#[test]
fn what_the_profile_does_not_name_is_killed() {
    let profile = r#"{"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_AARCH64"]}"#;
    answers(
        profile,
        &X86_64,
        &[(X86_64_CALL, 0, 0, ALLOW), (X86_64_CALL, X32, 0, 0), (I386_CALL, 0, 0, 0), (X86_64_CALL, u32::MAX, 0, ALLOW)],
    );
    answers(profile, &AARCH64, &[(AARCH64_CALL, 0, 0, ALLOW), (ARM_CALL, 0, 0, 0)]);
}

#[test]
fn calls_newer_than_the_profile_seem_missing_unless_the_default_is_permissive() {
    let rest = r#""syscalls": [{"names": ["openat2"], "action": "SCMP_ACT_ALLOW"}]}"#;
    let head = |default: &str| format!(r#"{{"defaultAction": "{default}", {rest}"#);
    answers(&head("SCMP_ACT_ERRNO"), &X86_64, &[(X86_64_CALL, 437, 0, ALLOW), (X86_64_CALL, 438, 0, ENOSYS), (X86_64_CALL, 436, 0, EPERM)]);
    answers(&head("SCMP_ACT_KILL"), &ARM, &[(ARM_CALL, 437, 0, ALLOW), (ARM_CALL, 0xf0002, 0, ENOSYS), (ARM_CALL, 3, 0, 0)]);
    answers(&head("SCMP_ACT_LOG"), &X86_64, &[(X86_64_CALL, 438, 0, 0x7ffc_0000)]);
    answers(&head("SCMP_ACT_TRACE"), &X86_64, &[(X86_64_CALL, 438, 0, 0x7ff0_0001)]);
}

#[test]
fn arguments_have_64_bits_where_the_machine_has() {
    for (operator, value, two, rows) in [
        ("EQ", 5u64, 0u64, [(5u64, true, true), (0x1_0000_0005, false, true), (4, false, false)]),
        ("NE", 5, 0, [(5, false, false), (0x1_0000_0005, true, false), (4, true, true)]),
        ("GT", 0x1_0000_0005, 0, [(0x1_0000_0006, true, true), (0x2_0000_0000, true, false), (0x1_0000_0005, false, false)]),
        ("GE", 0x1_0000_0005, 0, [(0x1_0000_0005, true, true), (5, false, true), (0x1_0000_0004, false, false)]),
        ("LT", 0x1_0000_0005, 0, [(0x1_0000_0004, true, true), (0x2_0000_0000, false, true), (0x1_0000_0005, false, false)]),
        ("LE", 0x1_0000_0005, 0, [(0x1_0000_0005, true, true), (6, true, false), (0x1_0000_0006, false, false)]),
        ("MASKED_EQ", 0xf_0000_00f0, 0x1_0000_0010, [(0x1_0000_0f1f, true, true), (0x10, false, true), (0x1_0000_0020, false, false)]),
    ] {
        let profile = format!(
            r#"{{"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86"], "syscalls": [{{"names": ["close"], "action":
            "SCMP_ACT_ERRNO", "errnoRet": 9, "args": [{{"index": 0, "op": "SCMP_CMP_{operator}", "value": {value}, "valueTwo": {two}}}]}}]}}"#
        );
        for (argument, wide, narrow) in rows {
            let answer = |matches| if matches { ERRNO | 9 } else { ALLOW };
            answers(&profile, &X86_64, &[(X86_64_CALL, 3, argument, answer(wide)), (I386_CALL, 6, argument, answer(narrow))]);
        }
    }
}

#[test]
fn conditions_on_one_argument_are_alternatives_and_on_several_a_conjunction() {
    let rule = |args: &str| {
        format!(
            r#"{{"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [{{"names": ["close"], "action": "SCMP_ACT_ALLOW", "args": [{args}]}}]}}"#
        )
    };
    let equal = |index: u32, value: u32| format!(r#"{{"index": {index}, "value": {value}, "op": "SCMP_CMP_EQ"}}"#);
    let or = rule(&format!("{}, {}", equal(0, 1), equal(0, 2)));
    answers(&or, &X86_64, &[(X86_64_CALL, 3, 1, ALLOW), (X86_64_CALL, 3, 2, ALLOW), (X86_64_CALL, 3, 3, EPERM)]);
    let and = rule(&format!("{}, {}", equal(0, 1), equal(1, 0)));
    answers(&and, &X86_64, &[(X86_64_CALL, 3, 1, ALLOW), (X86_64_CALL, 3, 2, EPERM)]);
    let not = rule(&format!("{}, {}", equal(0, 1), equal(1, 7)));
    answers(&not, &X86_64, &[(X86_64_CALL, 3, 1, EPERM)]);
}

#[test]
fn the_first_rule_counts_and_one_without_conditions_more_than_those_before() {
    let profile = r#"{"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [
        {"names": ["close"], "action": "SCMP_ACT_ALLOW"},
        {"names": ["close"], "action": "SCMP_ACT_KILL_PROCESS"},
        {"names": ["dup"], "action": "SCMP_ACT_LOG", "args": [{"index": 0, "value": 1, "op": "SCMP_CMP_EQ"}]},
        {"names": ["dup"], "action": "SCMP_ACT_TRAP", "args": [{"index": 0, "value": 1, "op": "SCMP_CMP_EQ"}]},
        {"names": ["dup2"], "action": "SCMP_ACT_LOG", "args": [{"index": 0, "value": 1, "op": "SCMP_CMP_EQ"}]},
        {"names": ["dup2"], "action": "SCMP_ACT_ALLOW"},
        {"names": ["read"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1},
        {"names": ["read"], "action": "SCMP_ACT_ALLOW"}]}"#;
    answers(
        profile,
        &X86_64,
        &[
            (X86_64_CALL, 3, 0, ALLOW),
            (X86_64_CALL, 32, 1, 0x7ffc_0000),
            (X86_64_CALL, 32, 2, EPERM),
            (X86_64_CALL, 33, 1, ALLOW),
            (X86_64_CALL, 0, 1, ALLOW),
        ],
    );
}

#[test]
fn what_i386_hides_behind_a_multiplexer_is_found_there_too() {
    let profile = r#"{"defaultAction": "SCMP_ACT_ERRNO", "architectures": ["SCMP_ARCH_X86"],
        "syscalls": [{"names": ["socket", "shmat", "send"], "action": "SCMP_ACT_ALLOW"}]}"#;
    answers(
        profile,
        &X86_64,
        &[
            (I386_CALL, 359, 0, ALLOW),
            (I386_CALL, 102, 1, ALLOW),
            (I386_CALL, 102, 2, EPERM),
            (I386_CALL, 102, 9, ALLOW),
            (I386_CALL, 117, 21, ALLOW),
            (I386_CALL, 117, 22, EPERM),
            (X86_64_CALL, 41, 0, ALLOW),
            (X86_64_CALL, 30, 0, ALLOW),
        ],
    );
}

#[test]
fn a_profile_that_is_too_large_for_the_kernel_is_refused() {
    let rules: Vec<String> = (0..2000)
        .map(|value| {
            format!(
                r#"{{"names": ["close"], "action": "SCMP_ACT_ALLOW", "args": [{{"index": 0, "value": {value}, "op": "SCMP_CMP_GT"}}]}}"#
            )
        })
        .collect();
    let profile = format!(r#"{{"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [{}]}}"#, rules.join(","));
    with(&profile, &X86_64, |program| assert!(program.unwrap_err().to_string().contains("4096 instructions")));
}

#[test]
fn errors_name_the_rule() {
    let error = |profile: &str, expected: &str| with(profile, &X86_64, |program| assert_eq!(program.unwrap_err().to_string(), expected));
    error(r#"{"defaultAction": "ALLOW"}"#, "linux.seccomp.defaultAction: ALLOW: unknown action");
    error(r#"{"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["x86"]}"#, "linux.seccomp.architectures: x86: unknown architecture");
    error(
        r#"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["a"], "action": "SCMP_ACT_KILL"}, {"names": ["a"], "action": "KILL"}]}"#,
        "linux.seccomp.syscalls[1]: KILL: unknown action",
    );
    error(
        r#"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["a"], "action": "SCMP_ACT_KILL", "args": [{"index": 6, "op": "SCMP_CMP_EQ"}]}]}"#,
        "linux.seccomp.syscalls[0]: args: the index is not from 0 to 5",
    );
}
