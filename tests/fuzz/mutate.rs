//! Mutations by a seeded generator: of bytes, of numbers, of JSON values, and between the files of a corpus.

pub struct Random(u64);

/// What parsers stumble over.
const TOKENS: [&str; 64] = [
    "null",
    "true",
    "false",
    "0",
    "-1",
    "1",
    "4294967295",
    "4294967296",
    "2147483648",
    "-2147483649",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "-9223372036854775808",
    "1e9",
    "1E400",
    "-0",
    "0.5",
    "01",
    "{}",
    "[]",
    "\"\"",
    "[[[[[[[[[[[[[[[[",
    "{\"a\":{\"a\":{\"a\":",
    "]",
    "}",
    ",",
    ":",
    "\"",
    "\\",
    "\\u0000",
    "\\ud800",
    "\\udc00",
    "\\ud83d\\ude00",
    "\\u0026",
    "\u{fffd}",
    "\u{10ffff}",
    "\0",
    "\x7f",
    "\n",
    "/",
    "..",
    "../../..",
    "/proc/self/fd/7",
    "//",
    ".",
    "=",
    "@",
    "%s",
    "-",
    "--",
    "a:b",
    "SCMP_ACT_ERRNO",
    "SCMP_CMP_MASKED_EQ",
    "SCMP_ARCH_X86",
    "CAP_SYS_ADMIN",
    "rbind",
    "idmap",
    "user",
    "/sys/fs/cgroup",
    "0-4294967295",
    "9999999999999999999999999999",
    "\\u000",
];

impl Random {
    pub fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// Below `end`; 0 for none.
    fn below(&mut self, end: usize) -> usize {
        if end == 0 { 0 } else { (self.next() >> 11) as usize % end }
    }

    /// One of the corpus after a few mutations; not much longer than it was.
    pub fn mutated(&mut self, corpus: &[Vec<u8>]) -> Vec<u8> {
        const MOST_BYTES: usize = 1 << 16;
        let mut bytes = corpus[self.below(corpus.len())].clone();
        for _ in 0..=self.below(6) {
            self.mutate(&mut bytes, corpus);
        }
        bytes.truncate(MOST_BYTES);
        bytes
    }

    fn mutate(&mut self, bytes: &mut Vec<u8>, corpus: &[Vec<u8>]) {
        let at = self.below(bytes.len());
        let end = (at + 1 + self.below(16)).min(bytes.len());
        match self.below(10) {
            0 if !bytes.is_empty() => bytes[at] ^= 1 << self.below(8),
            1 if !bytes.is_empty() => bytes[at] = self.next() as u8,
            2 => drop(bytes.drain(at..end)),
            3 => {
                let piece = bytes[at..end].to_vec();
                let to = self.below(bytes.len());
                bytes.splice(to..to, piece);
            }
            4 => {
                let token = TOKENS[self.below(TOKENS.len())];
                bytes.splice(at..at, token.bytes());
            }
            5 => {
                let token = TOKENS[self.below(TOKENS.len())];
                bytes.splice(at..end, token.bytes());
            }
            6 => {
                let other = &corpus[self.below(corpus.len())];
                let from = self.below(other.len());
                let piece = other[from..(from + self.below(200)).min(other.len())].to_vec();
                bytes.splice(at..at, piece);
            }
            // A whole value of JSON, or a run of digits, becomes another.
            7 | 8 => self.replace_value(bytes, at, corpus),
            _ => {
                let times = 1 + self.below(300);
                let piece = bytes[at..end].to_vec().repeat(times);
                bytes.splice(at..end, piece);
            }
        }
    }

    fn replace_value(&mut self, bytes: &mut Vec<u8>, at: usize, corpus: &[Vec<u8>]) {
        let Some(start) = bytes[at..].iter().position(|byte| matches!(byte, b':' | b'[' | b',')).map(|found| at + found + 1) else {
            return;
        };
        let end = value_end(bytes, start);
        let value = match self.below(3) {
            0 => TOKENS[self.below(TOKENS.len())].as_bytes().to_vec(),
            1 => {
                let other = &corpus[self.below(corpus.len())];
                let from = self.below(other.len());
                let from = other[from..].iter().position(|byte| matches!(byte, b':' | b'[')).map_or(0, |found| from + found + 1);
                other[from..value_end(other, from)].to_vec()
            }
            _ => format!("{}", self.next() >> self.below(64)).into_bytes(),
        };
        bytes.splice(start..end, value);
    }
}

/// Where the value that begins at `start` ends, roughly.
fn value_end(bytes: &[u8], start: usize) -> usize {
    let (mut depth, mut is_text) = (0, false);
    for (index, byte) in bytes.iter().enumerate().skip(start) {
        match byte {
            b'"' => is_text = !is_text,
            _ if is_text => {}
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth == 0 => return index,
            b'}' | b']' => depth -= 1,
            b',' if depth == 0 => return index,
            _ => {}
        }
    }
    bytes.len()
}
