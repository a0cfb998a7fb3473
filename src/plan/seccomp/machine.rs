//! The kernel's machine for filters, as far as ours need it: whether a program is one, and what it returns for a call (seccomp(2)).

use super::program::{
    AND, ARCHITECTURE, ARGUMENTS, JUMP, JUMP_EQUAL, JUMP_GREATER, JUMP_GREATER_OR_EQUAL, JUMP_SET, LOAD, LOW, MOST_INSTRUCTIONS, NUMBER,
    RETURN,
};

/// `struct sock_filter`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instruction {
    /// What it does.
    pub code: u16,
    /// How many instructions are jumped over if the comparison holds.
    pub yes: u8,
    /// How many if it does not.
    pub no: u8,
    /// The number it works with.
    pub operand: u32,
}

impl Instruction {
    /// Out of the word that it is in memory.
    pub fn of(word: u64) -> Self {
        let [c0, c1, yes, no, k0, k1, k2, k3] = word.to_ne_bytes();
        Instruction { code: u16::from_ne_bytes([c0, c1]), yes, no, operand: u32::from_ne_bytes([k0, k1, k2, k3]) }
    }

    /// Whether it compares and jumps.
    pub fn is_comparison(self) -> bool {
        matches!(self.code, JUMP_EQUAL | JUMP_GREATER | JUMP_GREATER_OR_EQUAL | JUMP_SET)
    }
}

/// Whether a program is one that ends for every call; else the first instruction that is wrong. Only what our compiler and libseccomp
/// write is known here.
pub fn check(program: &[u64]) -> Result<(), usize> {
    if program.is_empty() || program.len() > MOST_INSTRUCTIONS {
        return Err(0);
    }
    for (at, word) in program.iter().enumerate() {
        let instruction = Instruction::of(*word);
        let left = program.len() - at - 1;
        let is_good = match instruction.code {
            LOAD => instruction.operand < 64 && instruction.operand.is_multiple_of(4) && left > 0,
            AND => left > 0,
            JUMP => (instruction.operand as usize) < left,
            RETURN => true,
            _ => instruction.is_comparison() && usize::from(instruction.yes.max(instruction.no)) < left,
        };
        if !is_good {
            return Err(at);
        }
    }
    Ok(())
}

/// What a filter sees of a system call.
#[derive(Clone, Copy, Debug)]
pub struct Call {
    /// AUDIT_ARCH_*.
    pub audit: u32,
    /// Its number.
    pub number: u32,
    /// Its arguments.
    pub arguments: [u64; 6],
}

/// What a checked program returns, and how many instructions that takes.
pub fn run(program: &[u64], call: &Call) -> (u32, usize) {
    let (mut at, mut accumulator, mut steps) = (0, 0, 0);
    loop {
        let Some(word) = program.get(at) else { return (0, steps) };
        let Instruction { code, yes, no, operand } = Instruction::of(*word);
        (at, steps) = (at + 1, steps + 1);
        let holds = match code {
            LOAD => {
                accumulator = load(call, operand);
                continue;
            }
            AND => {
                accumulator &= operand;
                continue;
            }
            JUMP => {
                at += operand as usize;
                continue;
            }
            RETURN => return (operand, steps),
            JUMP_EQUAL => accumulator == operand,
            JUMP_GREATER => accumulator > operand,
            JUMP_GREATER_OR_EQUAL => accumulator >= operand,
            _ => accumulator & operand != 0,
        };
        at += usize::from(if holds { yes } else { no });
    }
}

fn load(call: &Call, offset: u32) -> u32 {
    match offset {
        NUMBER => call.number,
        ARCHITECTURE => call.audit,
        _ => {
            let argument = call.arguments.get((offset.saturating_sub(ARGUMENTS) / 8) as usize).copied().unwrap_or(0);
            if offset % 8 == LOW { argument as u32 } else { (argument >> 32) as u32 }
        }
    }
}
