//! Profiles: the real ones beside this file, and random ones from a seed.

use std::fmt::Write;

/// The default profiles of Docker, podman and containerd for their default capabilities, and one like a browser's.
pub const REAL: [(&str, &str); 4] = [
    ("docker", include_str!("profiles/docker.json")),
    ("podman", include_str!("profiles/podman.json")),
    ("containerd", include_str!("profiles/containerd.json")),
    ("browser", include_str!("profiles/browser.json")),
];

/// Numbers that look random and are the same for the same seed (xorshift64*).
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() >> 16) as usize % bound
    }

    fn pick<'a, T: ?Sized>(&mut self, list: &[&'a T]) -> &'a T {
        list[self.below(list.len())]
    }

    /// Small ones, ones with an upper half, ones at the edges.
    pub fn argument(&mut self) -> u64 {
        let bits = self.next();
        match self.below(6) {
            0 => bits & 7,
            1 => bits & 0xffff,
            2 => bits & 0xffff_ffff,
            3 => (bits & 3) << 32 | (bits >> 8 & 3),
            4 => u64::MAX - (bits & 3),
            _ => bits,
        }
    }
}

const ACTIONS: [&str; 9] = [
    "SCMP_ACT_ALLOW",
    "SCMP_ACT_ERRNO",
    "SCMP_ACT_KILL",
    "SCMP_ACT_KILL_PROCESS",
    "SCMP_ACT_KILL_THREAD",
    "SCMP_ACT_LOG",
    "SCMP_ACT_TRAP",
    "SCMP_ACT_TRACE",
    "SCMP_ACT_NOTIFY",
];

const OPERATORS: [&str; 7] =
    ["SCMP_CMP_EQ", "SCMP_CMP_GE", "SCMP_CMP_GT", "SCMP_CMP_LE", "SCMP_CMP_LT", "SCMP_CMP_MASKED_EQ", "SCMP_CMP_NE"];

const ARCHITECTURES: [&str; 5] = ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32", "SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"];

/// A random profile over these names.
pub fn random(random: &mut Random, names: &[&str]) -> String {
    let mut text = String::from("{");
    let mut default = random.below(8); // no default is SCMP_ACT_NOTIFY
    if random.below(2) == 0 {
        default = random.below(2);
    }
    let _ = write!(text, "\"defaultAction\": \"{}\"", ACTIONS[default]);
    if matches!(default, 1 | 7) && random.below(3) == 0 {
        let _ = write!(text, ", \"defaultErrnoRet\": {}", [1, 38, 200][random.below(3)]);
    }
    let architectures: Vec<&str> = ARCHITECTURES.iter().copied().filter(|_| random.below(2) == 0).collect();
    let _ = write!(text, ", \"architectures\": {architectures:?}, \"syscalls\": [");
    for rule in 0..random.below(40) {
        text.push_str(if rule == 0 { "" } else { ", " });
        random_rule(random, names, &mut text);
    }
    text.push_str("]}");
    text
}

fn random_rule(random: &mut Random, names: &[&str], text: &mut String) {
    let count = 1 + if random.below(4) == 0 { random.below(120) } else { random.below(3) };
    let chosen: Vec<&str> = (0..count).map(|_| random.pick(names)).collect();
    let action = random.below(ACTIONS.len());
    let _ = write!(text, "{{\"names\": {chosen:?}, \"action\": \"{}\"", ACTIONS[action]);
    if matches!(action, 1 | 7) && random.below(2) == 0 {
        let _ = write!(text, ", \"errnoRet\": {}", [1, 22, 38, 4000][random.below(4)]);
    }
    if count < 20 && random.below(2) == 0 {
        text.push_str(", \"args\": [");
        for place in 0..1 + random.below(4) {
            let (index, value, two) = (random.below(6), random.argument(), random.argument());
            let operator = random.pick(&OPERATORS);
            let comma = if place == 0 { "" } else { ", " };
            let _ = write!(text, "{comma}{{\"index\": {index}, \"value\": {value}, \"valueTwo\": {two}, \"op\": \"{operator}\"}}");
        }
        text.push(']');
    }
    text.push('}');
}
