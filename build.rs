//! Makes the tables that are better computed than typed, and says what the binary's link needs: one library, no unwind tables.
#![allow(clippy::expect_used, reason = "a build script fails by a panic")]

use std::collections::BTreeMap;
use std::fmt::Write;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // Without std nobody else asks for the C library: on musl its libc.a lies beside crt1.o, on a development host it is the system's.
    println!("cargo::rustc-link-arg-bins=-lc");
    // Only for the binary: std's tests unwind. Only for musl: a development host's linker may be any.
    if is_set("CARGO_CFG_TARGET_ENV", "musl") {
        for script in ["no-unwind", "order"] {
            println!("cargo::rerun-if-changed=cross/{script}.ld");
            println!("cargo::rustc-link-arg-bins=-T{}/cross/{script}.ld", env!("CARGO_MANIFEST_DIR"));
        }
        // What takes how much of the binary, for cross/size.
        println!("cargo::rustc-link-arg-bins=-Map={}/ocinit.map", std::env::var("OUT_DIR").expect("cargo sets OUT_DIR"));
    }
    println!("cargo::rerun-if-changed={SYSCALLS}");
    let table = std::fs::read_to_string(SYSCALLS).expect(SYSCALLS);
    let folder = std::env::var("OUT_DIR").expect("cargo sets OUT_DIR");
    std::fs::write(format!("{folder}/syscalls.rs"), families(&table)).expect("write to OUT_DIR");
}

fn is_set(variable: &str, value: &str) -> bool {
    std::env::var_os(variable).is_some_and(|found| found == value)
}

/// The numbers of all system calls, by instruction set; tests/syscalls.rs makes it.
const SYSCALLS: &str = "src/names/syscalls.txt";

/// What src/names/syscalls.rs calls each family, and the columns of its members. Those that nobody names are not in the binary.
const FAMILIES: [(&str, &[&str]); 7] = [
    ("X86_64", &["x86_64", "x86", "x32"]),
    ("X86", &["x86"]),
    ("AARCH64", &["aarch64", "arm"]),
    ("ARM", &["arm"]),
    ("RISCV64", &["riscv64"]),
    ("LOONGARCH64", &["loongarch64"]),
    ("POWERPC", &["powerpc"]),
];

/// The calls of i386 and PowerPC that are, or are also, made through socketcall(2) and ipc(2): from 1 on, as linux/net.h and linux/ipc.h
/// number them there.
const MULTIPLEXERS: [(&str, &str); 2] = [
    (
        "socketcall",
        "socket bind connect listen accept getsockname getpeername socketpair send recv sendto recvfrom shutdown setsockopt getsockopt \
         sendmsg recvmsg accept4 recvmmsg sendmmsg",
    ),
    ("ipc", "semop semget semctl semtimedop - - - - - - msgsnd msgrcv msgget msgctl - - - - - - shmat shmdt shmget shmctl"),
];

/// Bits of a number in its packed row; the highest value says that there is none.
const BITS: u32 = 10;
const NONE: u32 = (1 << BITS) - 1;

fn families(table: &str) -> String {
    let target = std::env::var("CARGO_CFG_TARGET_ARCH").expect("cargo sets it").to_uppercase();
    assert!(FAMILIES.iter().any(|(family, _)| *family == target), "{target}: FAMILIES has no row for it");
    let mut made = format!("pub use {target} as FAMILY;\n");
    for (family, members) in FAMILIES {
        let rows = rows(table, members);
        let (mut names, mut offsets, mut numbers) = (String::new(), vec![0], Vec::new());
        for (name, row) in &rows {
            names.push_str(name);
            offsets.push(names.len());
            numbers.push(row.iter().rev().fold(0, |packed, slot| packed << BITS | slot));
        }
        let count = rows.len();
        let slots = rows.values().flatten().filter(|slot| **slot != NONE).max().expect("a call") + 1;
        let multiplexed: Vec<u32> =
            rows.keys().enumerate().filter_map(|(row, name)| Some((row as u32) << 16 | behind(name, &rows)?)).collect();
        let _ = writeln!(made, "static {family}_NAMES: &str = {names:?};");
        let _ = writeln!(made, "static {family}_OFFSETS: [u16; {}] = {offsets:?};", count + 1);
        let _ = writeln!(made, "static {family}_NUMBERS: [u32; {count}] = {numbers:?};");
        let _ = writeln!(made, "static {family}_MULTIPLEXED: [u32; {}] = {multiplexed:?};", multiplexed.len());
        let _ = writeln!(made, "const {family}_SLOTS: usize = {slots};");
    }
    made
}

/// The names that a family has, sorted, each with the numbers of its members.
fn rows(table: &str, members: &[&str]) -> BTreeMap<String, Vec<u32>> {
    let head = table.lines().find_map(|line| line.strip_prefix("# name ")).expect("a line with the columns");
    let columns: Vec<usize> =
        members.iter().map(|member| 1 + head.split(' ').position(|column| column == *member).expect("a column of the family")).collect();
    let mut rows = BTreeMap::new();
    for line in table.lines().filter(|line| !line.starts_with('#')) {
        let words: Vec<&str> = line.split(' ').collect();
        let slots: Vec<u32> = columns.iter().map(|column| words[*column].parse().map_or(NONE, slot)).collect();
        if slots.iter().any(|slot| *slot != NONE) {
            rows.insert(words[0].to_string(), slots);
        }
    }
    if members.iter().any(|member| ["x86", "powerpc"].contains(member)) {
        for name in MULTIPLEXERS.iter().flat_map(|(_, calls)| calls.split(' ')).filter(|name| *name != "-") {
            rows.entry(name.to_string()).or_insert_with(|| vec![NONE; members.len()]);
        }
    }
    rows
}

/// The slot of the multiplexer behind which a call is, and its number there in the lowest 8 bits. Only one member of a family has any.
fn behind(name: &str, rows: &BTreeMap<String, Vec<u32>>) -> Option<u32> {
    MULTIPLEXERS.iter().find_map(|(multiplexer, calls)| {
        let slot = rows.get(*multiplexer)?.iter().find(|slot| **slot != NONE)?;
        let place = calls.split(' ').position(|call| call == name)?;
        assert!(*slot < 1 << 8, "the slot of {multiplexer} needs more bits");
        Some(slot << 8 | (place as u32 + 1))
    })
}

/// The place of a number in a table of all: 32-bit ARM's own calls, from 0xf0000 on, come after the others.
fn slot(number: u32) -> u32 {
    let slot = if number >= 0xf0000 { number - 0xf0000 + 1000 } else { number };
    assert!(slot < NONE && !(1000..0xf0000).contains(&number), "system call number {number}: the tables need more bits");
    slot
}
