//! System calls by name: the numbers that they have on the instruction sets which one kernel can run.
//!
//! The tables are made by build.rs from syscalls.txt, which tests/syscalls.rs makes from the kernel's headers.

/// One way to call the kernel.
#[derive(Debug)]
pub struct Abi {
    /// What seccomp profiles call it.
    pub word: &'static str,
    /// AUDIT_ARCH_*: what a filter sees.
    pub audit: u32,
    /// What is added to its numbers.
    pub base: u32,
    /// Whether arguments have 64 bits.
    pub is_64_bit: bool,
    /// Whether socketcall(2) and ipc(2) stand for many calls.
    pub has_multiplexers: bool,
}

/// The ways to call one kernel; the native one comes first.
#[derive(Debug)]
pub struct Family {
    /// Its members.
    pub abis: &'static [Abi],
    /// All names, sorted, one after the other.
    names: &'static str,
    /// Where each begins, and the last one ends.
    offsets: &'static [u16],
    /// For each name the slots of the members, [`BITS`] each, the first in the lowest ones.
    numbers: &'static [u32],
    /// The calls behind a multiplexer, sorted: row (16 bits), the multiplexer's slot (8), what its first argument is for the call (8).
    multiplexed: &'static [u32],
    /// One more than the highest slot.
    pub slots: usize,
}

const BITS: u32 = 10;
const NONE: u32 = (1 << BITS) - 1;

/// The place of a number in a table of all numbers.
pub type Slot = u16;

/// How many slots there are.
pub const SLOTS: usize = 1 << BITS;

/// 32-bit ARM's own calls have numbers from 0xf0000 on, and slots from here on.
const FIRST_PRIVATE: u32 = 1000;

/// The number that has this slot.
pub fn number(slot: Slot) -> u32 {
    let slot = u32::from(slot);
    if slot < FIRST_PRIVATE { slot } else { slot - FIRST_PRIVATE + 0xf0000 }
}

/// The slot that a number has; for one that is in no table, none of them.
pub fn slot_of(number: u32) -> usize {
    match number {
        0..FIRST_PRIVATE => number as usize,
        0xf0000.. => (number - 0xf0000).saturating_add(FIRST_PRIVATE) as usize,
        _ => usize::MAX,
    }
}

impl Family {
    /// The row of a name; nothing if no member has such a call.
    pub fn row(&self, name: &str) -> Option<usize> {
        self.row_after(0, name).ok()
    }

    /// The row of a name, sought from `start` on in growing steps: names come sorted, mostly. Errors: the row before which it would stand.
    pub fn row_after(&self, start: usize, name: &str) -> Result<usize, usize> {
        let count = self.numbers.len();
        let is_at_or_after = |row: usize| row < count && self.name(row) <= name;
        let (mut low, mut high, mut step) = (start, start, 1);
        if start > 0 && !is_at_or_after(start) {
            low = 0;
        } else {
            while is_at_or_after(high) {
                (low, high, step) = (high, high + step, 2 * step);
            }
        }
        high = high.min(count);
        while low < high {
            let middle = low.midpoint(high);
            match self.name(middle).cmp(name) {
                core::cmp::Ordering::Less => low = middle + 1,
                core::cmp::Ordering::Equal => return Ok(middle),
                core::cmp::Ordering::Greater => high = middle,
            }
        }
        Err(low)
    }

    /// Where a call is behind a multiplexer: the multiplexer's slot, and what its first argument is for the call.
    pub fn multiplexed(&self, row: usize) -> Option<(Slot, u32)> {
        let entry = *self.multiplexed.get(self.multiplexed.binary_search_by_key(&row, |entry| (entry >> 16) as usize).ok()?)?;
        Some(((entry >> 8 & 0xff) as Slot, entry & 0xff))
    }

    /// The slot that the call of a row has for a member.
    pub fn slot(&self, row: usize, member: usize) -> Option<Slot> {
        let slot = self.numbers.get(row)? >> (BITS * member as u32) & NONE;
        (slot != NONE).then_some(slot as Slot)
    }

    /// The name of a slot.
    pub fn name_of(&self, slot: Slot, member: usize) -> Option<&'static str> {
        (0..self.numbers.len()).find(|row| self.slot(*row, member) == Some(slot)).map(|row| self.name(row))
    }

    /// The name at the place `row` of the sorted ones.
    pub fn name_at(&self, row: usize) -> Option<&'static str> {
        (row < self.numbers.len()).then(|| self.name(row))
    }

    fn name(&self, row: usize) -> &'static str {
        &self.names[usize::from(self.offsets[row])..usize::from(self.offsets[row + 1])]
    }
}

const fn abi(word: &'static str, audit: u32, is_64_bit: bool) -> Abi {
    Abi { word, audit, base: 0, is_64_bit, has_multiplexers: false }
}

const ARM_ABI: Abi = abi("SCMP_ARCH_ARM", 0x4000_0028, false);
const X86_ABI: Abi = Abi { has_multiplexers: true, ..abi("SCMP_ARCH_X86", 0x4000_0003, false) };

macro_rules! families {
    ($($family:ident = $abis:expr, $names:ident $offsets:ident $numbers:ident $multiplexed:ident $slots:ident;)*) => {
        $(
            #[doc = concat!("What a kernel for ", stringify!($family), " can run.")]
            pub static $family: Family = Family {
                abis: &$abis,
                names: $names,
                offsets: &$offsets,
                numbers: &$numbers,
                multiplexed: &$multiplexed,
                slots: $slots,
            };
        )*
    };
}

families! {
    X86_64 = [
        abi("SCMP_ARCH_X86_64", 0xc000_003e, true),
        X86_ABI,
        Abi { base: 0x4000_0000, ..abi("SCMP_ARCH_X32", 0xc000_003e, false) },
    ], X86_64_NAMES X86_64_OFFSETS X86_64_NUMBERS X86_64_MULTIPLEXED X86_64_SLOTS;
    X86 = [X86_ABI], X86_NAMES X86_OFFSETS X86_NUMBERS X86_MULTIPLEXED X86_SLOTS;
    AARCH64 = [abi("SCMP_ARCH_AARCH64", 0xc000_00b7, true), ARM_ABI], AARCH64_NAMES AARCH64_OFFSETS AARCH64_NUMBERS AARCH64_MULTIPLEXED AARCH64_SLOTS;
    ARM = [ARM_ABI], ARM_NAMES ARM_OFFSETS ARM_NUMBERS ARM_MULTIPLEXED ARM_SLOTS;
    RISCV64 = [abi("SCMP_ARCH_RISCV64", 0xc000_00f3, true)], RISCV64_NAMES RISCV64_OFFSETS RISCV64_NUMBERS RISCV64_MULTIPLEXED RISCV64_SLOTS;
    LOONGARCH64 = [abi("SCMP_ARCH_LOONGARCH64", 0xc000_0102, true)],
        LOONGARCH64_NAMES LOONGARCH64_OFFSETS LOONGARCH64_NUMBERS LOONGARCH64_MULTIPLEXED LOONGARCH64_SLOTS;
    POWERPC = [Abi { has_multiplexers: true, ..abi("SCMP_ARCH_PPC", 0x14, false) }], POWERPC_NAMES POWERPC_OFFSETS POWERPC_NUMBERS POWERPC_MULTIPLEXED POWERPC_SLOTS;
}

// With the tables, which of the families is `FAMILY`: that of this machine.
include!(concat!(env!("OUT_DIR"), "/syscalls.rs"));

#[cfg(test)]
mod tests {
    use super::*;
    use linux_raw_sys::general as c;

    fn native(name: &str) -> Option<u32> {
        FAMILY.slot(FAMILY.row(name)?, 0).map(number)
    }

    #[test]
    fn native_numbers_are_the_kernel_s() {
        let rows = [
            ("read", c::__NR_read),
            ("execve", c::__NR_execve),
            ("openat2", c::__NR_openat2),
            ("clone3", c::__NR_clone3),
            ("seccomp", c::__NR_seccomp),
            ("close_range", c::__NR_close_range),
            ("futex_waitv", c::__NR_futex_waitv),
            ("file_setattr", c::__NR_file_setattr),
        ];
        for (name, number) in rows {
            assert_eq!(native(name), Some(number), "{name}");
        }
        assert_eq!(native("reed"), None);
        assert_eq!(native(""), None);
    }

    #[test]
    fn every_name_is_found_and_found_again_by_its_number() {
        for family in [&X86_64, &X86, &AARCH64, &ARM, &RISCV64, &LOONGARCH64, &POWERPC] {
            for row in 0..family.numbers.len() {
                assert_eq!(family.row(family.name(row)), Some(row));
                assert_eq!(family.row_after(row * 7 % family.numbers.len(), family.name(row)), Ok(row));
                for member in 0..family.abis.len() {
                    let Some(slot) = family.slot(row, member) else { continue };
                    let found = family.name_of(slot, member).and_then(|name| family.row(name)).unwrap();
                    assert_eq!(family.slot(found, member), Some(slot));
                    assert_eq!(slot_of(number(slot)), usize::from(slot));
                }
            }
        }
    }

    #[test]
    fn calls_differ_between_the_members_of_a_family() {
        let of = |family: &Family, name: &str, member| family.row(name).and_then(|row| family.slot(row, member)).map(number);
        assert_eq!((of(&X86_64, "read", 0), of(&X86_64, "read", 1), of(&X86_64, "read", 2)), (Some(0), Some(3), Some(0)));
        assert_eq!((of(&X86_64, "ioctl", 0), of(&X86_64, "ioctl", 2)), (Some(16), Some(514)));
        assert_eq!((of(&X86_64, "send", 0), of(&X86_64, "send", 1)), (None, None));
        assert_eq!((of(&AARCH64, "open", 0), of(&AARCH64, "open", 1)), (None, Some(5)));
        assert_eq!(of(&ARM, "cacheflush", 0), Some(0xf0002));
    }

    #[test]
    fn the_calls_of_the_multiplexers_are_numbered_as_linux_net_h_and_linux_ipc_h_do() {
        for (family, member) in [(&X86_64, 1), (&X86, 0), (&POWERPC, 0)] {
            let of = |name: &str| {
                let (slot, call) = family.multiplexed(family.row(name).unwrap())?;
                Some((family.name_of(slot, member).unwrap(), call))
            };
            assert_eq!(of("socket"), Some(("socketcall", 1)));
            assert_eq!(of("sendmmsg"), Some(("socketcall", 20)));
            assert_eq!(of("semop"), Some(("ipc", 1)));
            assert_eq!(of("msgsnd"), Some(("ipc", 11)));
            assert_eq!(of("shmctl"), Some(("ipc", 24)));
            assert_eq!(of("read"), None);
            assert_eq!(family.multiplexed.len(), 32);
        }
        assert!(AARCH64.multiplexed.is_empty() && ARM.multiplexed.is_empty());
    }
}
