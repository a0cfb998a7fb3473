//! The kernel's classic BPF machine, as far as filters of system calls may use it (seccomp(2)).

/// What a filter sees of a system call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    pub architecture: u32,
    pub number: u32,
    pub arguments: [u64; 6],
}

impl Call {
    fn word(&self, offset: u32) -> u32 {
        let argument = |index: usize| self.arguments[index];
        match (offset, offset % 8) {
            (0, _) => self.number,
            (4, _) => self.architecture,
            (16..64, 0) => argument(offset as usize / 8 - 2) as u32,
            (16..64, 4) => (argument(offset as usize / 8 - 2) >> 32) as u32,
            _ => panic!("load at {offset}"),
        }
    }
}

/// What a program returns, and how many instructions that took.
pub fn run(program: &[u64], call: &Call) -> (u32, usize) {
    let (mut at, mut accumulator) = (0usize, 0u32);
    for steps in 1.. {
        let [c0, c1, yes, no, k0, k1, k2, k3] = program[at].to_ne_bytes();
        let operand = u32::from_ne_bytes([k0, k1, k2, k3]);
        at += 1;
        let is_so = match u16::from_ne_bytes([c0, c1]) {
            0x20 => {
                accumulator = call.word(operand);
                continue;
            }
            0x54 => {
                accumulator &= operand;
                continue;
            }
            0x05 => {
                at += operand as usize;
                continue;
            }
            0x15 => accumulator == operand,
            0x25 => accumulator > operand,
            0x35 => accumulator >= operand,
            0x45 => accumulator & operand != 0,
            0x06 => return (operand, steps),
            code => panic!("code {code:#x}"),
        };
        at += usize::from(if is_so { yes } else { no });
    }
    unreachable!()
}
