//! Device rules as an eBPF program: the last rule that matches decides, and what no rule names is denied.

use crate::error::{Error, Result};
use crate::mem::Arena;
use crate::spec::{DeviceRule, Resources};

const BLOCK: u32 = 1;
const CHARACTER: u32 = 2;
const MKNOD: u32 = 1;
const READ: u32 = 2;
const WRITE: u32 = 4;
const ALL: u32 = MKNOD | READ | WRITE;

/// One rule; `None` means any.
#[derive(Clone, Copy)]
struct Rule {
    allow: bool,
    kind: Option<u32>,
    major: Option<u32>,
    minor: Option<u32>,
    access: u32,
}

impl Rule {
    fn matches_everything(&self) -> bool {
        matches!(self, Rule { kind: None, major: None, minor: None, access: ALL, .. })
    }
}

const fn allow(kind: u32, major: Option<u32>, minor: Option<u32>, access: u32) -> Rule {
    Rule { allow: true, kind: Some(kind), major, minor, access }
}

/// What every container may use, appended to its own rules as runc does.
const DEFAULTS: [Rule; 11] = [
    allow(CHARACTER, None, None, MKNOD),
    allow(BLOCK, None, None, MKNOD),
    allow(CHARACTER, Some(1), Some(3), ALL),
    allow(CHARACTER, Some(1), Some(8), ALL),
    allow(CHARACTER, Some(1), Some(7), ALL),
    allow(CHARACTER, Some(5), Some(0), ALL),
    allow(CHARACTER, Some(1), Some(5), ALL),
    allow(CHARACTER, Some(1), Some(9), ALL),
    allow(CHARACTER, Some(136), None, ALL),
    allow(CHARACTER, Some(5), Some(2), ALL),
    allow(CHARACTER, Some(10), Some(200), ALL),
];

/// The same as cgroup v1 writes them: type, numbers and access.
pub(super) fn defaults() -> impl Iterator<Item = (&'static str, Option<u32>, Option<u32>, &'static str)> {
    let text = |rule: &Rule| {
        (if rule.kind == Some(BLOCK) { "b" } else { "c" }, rule.major, rule.minor, if rule.access == ALL { "rwm" } else { "m" })
    };
    DEFAULTS.iter().map(text)
}

// struct bpf_cgroup_dev_ctx: access_type (type in the low half, access in the high one), major, minor.
const CONTEXT: u8 = 1;
const RESULT: u8 = 0;
const TYPE: u8 = 2;
const ACCESS: u8 = 3;
const MAJOR: u8 = 4;
const MINOR: u8 = 5;
const SCRATCH: u8 = 1; // the context is not needed once its three words are loaded

const LDX_MEM_W: u8 = 0x61;
const ALU_AND_K: u8 = 0x54;
const ALU_RSH_K: u8 = 0x74;
const ALU_MOV_X: u8 = 0xbc;
const ALU64_MOV_K: u8 = 0xb7;
const JMP_JNE_K: u8 = 0x55;
const JMP_JEQ_K: u8 = 0x15;
const JMP_JNE_X: u8 = 0x5d;
const JMP_EXIT: u8 = 0x95;

const HEAD: usize = 6;
const MOST_PER_RULE: usize = 8;
const TAIL: usize = 2;

/// How many instructions a program for `rules` rules may need.
pub const fn instruction_bound(rules: usize) -> usize {
    HEAD + (rules + DEFAULTS.len()) * MOST_PER_RULE + TAIL
}

/// `struct bpf_insn` as the word that it is in memory.
fn instruction(code: u8, target: u8, source: u8, offset: i16, immediate: u32) -> u64 {
    let registers = if cfg!(target_endian = "little") { target | source << 4 } else { target << 4 | source };
    let [o0, o1] = offset.to_ne_bytes();
    let [i0, i1, i2, i3] = immediate.to_ne_bytes();
    u64::from_ne_bytes([code, registers, o0, o1, i0, i1, i2, i3])
}

struct Program<'p> {
    words: &'p mut [u64],
    len: usize,
}

impl Program<'_> {
    fn push(&mut self, word: u64) {
        self.words[self.len] = word; // `instruction_bound` made room
        self.len += 1;
    }

    fn head(&mut self) {
        self.push(instruction(LDX_MEM_W, TYPE, CONTEXT, 0, 0));
        self.push(instruction(ALU_MOV_X, ACCESS, TYPE, 0, 0));
        self.push(instruction(ALU_RSH_K, ACCESS, 0, 0, 16));
        self.push(instruction(ALU_AND_K, TYPE, 0, 0, 0xffff));
        self.push(instruction(LDX_MEM_W, MAJOR, CONTEXT, 4, 0));
        self.push(instruction(LDX_MEM_W, MINOR, CONTEXT, 8, 0));
    }

    /// Tests, each of which jumps over the rest of the rule when it fails; then the answer.
    fn rule(&mut self, rule: Rule) {
        let tests = [(TYPE, rule.kind), (MAJOR, rule.major), (MINOR, rule.minor)];
        let access_words: i16 = if rule.access == ALL { 0 } else { 3 };
        let mut left = tests.iter().filter(|(_, wanted)| wanted.is_some()).count() as i16 + access_words + 2;
        for (register, wanted) in tests {
            if let Some(wanted) = wanted {
                left -= 1;
                self.push(instruction(JMP_JNE_K, register, 0, left, wanted));
            }
        }
        if access_words > 0 {
            self.push(instruction(ALU_MOV_X, SCRATCH, ACCESS, 0, 0));
            self.push(instruction(ALU_AND_K, SCRATCH, 0, 0, rule.access));
            // Allowed if all that is asked for is allowed; denied if anything of it is denied.
            let (code, source) = if rule.allow { (JMP_JNE_X, ACCESS) } else { (JMP_JEQ_K, 0) };
            self.push(instruction(code, SCRATCH, source, 2, 0));
        }
        self.answer(rule.allow);
    }

    fn answer(&mut self, allow: bool) {
        self.push(instruction(ALU64_MOV_K, RESULT, 0, 0, u32::from(allow)));
        self.push(instruction(JMP_EXIT, 0, 0, 0, 0));
    }
}

pub(super) fn assemble<'a>(resources: Option<&Resources<'a>>, arena: &Arena<'a>) -> Result<'a, &'a [u64]> {
    let written = resources.map(|resources| resources.devices).unwrap_or_default();
    let rules = arena.slice(written.len() + DEFAULTS.len(), |_| DEFAULTS[0])?;
    for (index, rule) in written.iter().enumerate() {
        rules[index] = read(rule, index, arena)?;
    }
    rules[written.len()..].copy_from_slice(&DEFAULTS);
    let mut program = Program { words: arena.slice(instruction_bound(written.len()), |_| 0)?, len: 0 };
    program.head();
    // The verifier refuses what can never be reached: nothing may stand behind a rule that matches everything.
    let last = rules.iter().rposition(Rule::matches_everything);
    for rule in rules[last.unwrap_or(0)..].iter().rev() {
        program.rule(*rule);
    }
    if last.is_none() {
        program.answer(false);
    }
    let Program { words, len } = program;
    Ok(&words[..len])
}

fn read<'a>(rule: &DeviceRule<'a>, index: usize, arena: &Arena<'a>) -> Result<'a, Rule> {
    let wrong = |field: &str, value: &'a str| -> Result<'a, Rule> {
        Err(Error::text(arena.format(format_args!("linux.resources.devices[{index}].{field}"))?, value, "not a device rule"))
    };
    let kind = match rule.kind {
        "" | "a" => None,
        "b" => Some(BLOCK),
        "c" => Some(CHARACTER),
        other => return wrong("type", other),
    };
    let mut access = 0;
    for letter in rule.access.bytes() {
        access |= match letter {
            b'r' => READ,
            b'w' => WRITE,
            b'm' => MKNOD,
            _ => return wrong("access", rule.access),
        };
    }
    // An empty access means all of it, as for runc; a rule of type `a` is for every device, whatever its numbers say.
    let access = if access == 0 { ALL } else { access };
    let number = |value: Option<i64>| value.and_then(|value| u32::try_from(value).ok()).filter(|_| kind.is_some());
    Ok(Rule { allow: rule.allow, kind, major: number(rule.major), minor: number(rule.minor), access })
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::mem::MaybeUninit;

    /// Runs a program as the kernel would: whether it allows `access` to the device.
    fn run(program: &[u64], kind: u32, major: u32, minor: u32, access: u32) -> bool {
        let mut registers = [0u64; 11];
        let context = [access << 16 | kind, major, minor];
        let mut at = 0;
        loop {
            let [code, regs, o0, o1, i0, i1, i2, i3] = program[at].to_ne_bytes();
            let (target, source) = (usize::from(regs & 15), usize::from(regs >> 4));
            let offset = i16::from_ne_bytes([o0, o1]);
            let immediate = u64::from(u32::from_ne_bytes([i0, i1, i2, i3]));
            let jump = match code {
                LDX_MEM_W => {
                    registers[target] = u64::from(context[offset as usize / 4]);
                    false
                }
                ALU_AND_K => {
                    registers[target] &= immediate;
                    false
                }
                ALU_RSH_K => {
                    registers[target] >>= immediate;
                    false
                }
                ALU_MOV_X => {
                    registers[target] = registers[source];
                    false
                }
                ALU64_MOV_K => {
                    registers[target] = immediate;
                    false
                }
                JMP_JNE_K => registers[target] != immediate,
                JMP_JEQ_K => registers[target] == immediate,
                JMP_JNE_X => registers[target] != registers[source],
                JMP_EXIT => return registers[0] == 1,
                code => panic!("code {code:#x}"),
            };
            at += 1 + if jump { offset as usize } else { 0 };
        }
    }

    fn rule(allow: bool, kind: &'static str, numbers: Option<(i64, i64)>, access: &'static str) -> DeviceRule<'static> {
        DeviceRule { allow, kind, major: numbers.map(|(major, _)| major), minor: numbers.map(|(_, minor)| minor), access }
    }

    fn with(rules: &[DeviceRule<'static>], check: impl FnOnce(&[u64])) {
        let mut room = [MaybeUninit::uninit(); 16384];
        let arena = Arena::new(&mut room);
        let mut resources = Resources::default();
        for rule in rules {
            let copy = DeviceRule { allow: rule.allow, kind: rule.kind, major: rule.major, minor: rule.minor, access: rule.access };
            resources.devices.push(&arena, copy).unwrap();
        }
        check(assemble(Some(&resources), &arena).unwrap());
    }

    #[test]
    fn only_the_default_devices_are_allowed_without_rules() {
        with(&[], |program| {
            assert!(run(program, CHARACTER, 1, 3, READ | WRITE));
            assert!(run(program, CHARACTER, 136, 7, ALL));
            assert!(run(program, BLOCK, 8, 0, MKNOD));
            assert!(!run(program, BLOCK, 8, 0, READ));
            assert!(!run(program, CHARACTER, 1, 11, READ));
            assert!(!run(program, CHARACTER, 1, 11, READ | MKNOD));
        });
    }

    #[test]
    fn the_last_rule_that_matches_decides() {
        with(&[rule(false, "a", None, "rwm"), rule(true, "b", Some((7, -1)), "r"), rule(false, "b", Some((7, 3)), "r")], |program| {
            assert!(run(program, BLOCK, 7, 0, READ));
            assert!(!run(program, BLOCK, 7, 0, READ | WRITE));
            assert!(!run(program, BLOCK, 7, 3, READ));
            assert!(!run(program, BLOCK, 8, 0, READ));
        });
    }

    #[test]
    fn denying_one_kind_of_access_denies_every_request_for_it() {
        with(&[rule(true, "a", None, ""), rule(false, "c", Some((10, 229)), "w")], |program| {
            assert!(run(program, CHARACTER, 10, 229, READ));
            assert!(!run(program, CHARACTER, 10, 229, READ | WRITE));
            assert!(run(program, BLOCK, 8, 0, ALL));
        });
    }

    #[test]
    fn nothing_stands_behind_a_rule_for_everything() {
        with(&[rule(true, "b", Some((1, 1)), "r"), rule(true, "a", Some((5, 5)), "rwm")], |program| {
            let exits = program.iter().filter(|word| **word == instruction(JMP_EXIT, 0, 0, 0, 0)).count();
            assert_eq!(exits, DEFAULTS.len() + 1);
            assert!(run(program, BLOCK, 200, 1, WRITE));
        });
    }

    #[test]
    fn unknown_letters_are_refused() {
        let mut room = [MaybeUninit::uninit(); 16384];
        let arena = Arena::new(&mut room);
        assert!(read(&rule(true, "x", None, "r"), 4, &arena).err().unwrap().to_string().starts_with("linux.resources.devices[4].type"));
        assert!(read(&rule(true, "c", None, "rx"), 0, &arena).is_err());
    }
}
