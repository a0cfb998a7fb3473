//! The table of system calls in src/names/syscalls.txt is what linux-raw-sys, which is made from the kernel's headers, says.
//!
//! `UPDATE=1 cargo test --test syscalls` writes the table anew, after a new linux-raw-sys.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

const TABLE: &str = "src/names/syscalls.txt";

const COLUMNS: [&str; 8] = ["x86_64", "x86", "x32", "aarch64", "arm", "riscv64", "loongarch64", "powerpc"];

/// Numbers that are written without the bit that only says that they are of x32.
const X32_BIT: u32 = 0x4000_0000;

#[test]
fn the_table_is_what_the_kernel_s_headers_say() {
    let made = make(&source());
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(TABLE, &made).unwrap();
    }
    let kept = std::fs::read_to_string(TABLE).unwrap();
    assert!(kept == made, "{TABLE} is old: run UPDATE=1 cargo test --test syscalls");
    assert!(kept.lines().count() > 450, "too few system calls");
}

/// Where cargo has put the sources of linux-raw-sys.
fn source() -> PathBuf {
    let arguments = ["metadata", "--format-version=1", "--locked", "--filter-platform=x86_64-unknown-linux-musl"];
    let output = Command::new(env!("CARGO")).args(arguments).output().unwrap();
    let json: tinyjson::JsonValue = String::from_utf8(output.stdout).unwrap().parse().unwrap();
    let packages: &Vec<tinyjson::JsonValue> = json["packages"].get().unwrap();
    let text = |value: &tinyjson::JsonValue| value.get::<String>().unwrap().clone();
    let package = packages.iter().find(|package| text(&package["name"]) == "linux-raw-sys").unwrap();
    Path::new(&text(&package["manifest_path"])).parent().unwrap().join("src")
}

fn make(source: &Path) -> String {
    let mut rows = BTreeMap::<String, [Option<u32>; COLUMNS.len()]>::new();
    for (column, architecture) in COLUMNS.iter().enumerate() {
        let text = std::fs::read_to_string(source.join(architecture).join("general.rs")).unwrap();
        for (name, number) in text.lines().filter_map(constant) {
            rows.entry(name.to_string()).or_default()[column] = Some(if *architecture == "x32" { number & !X32_BIT } else { number });
        }
    }
    let mut made = format!("# System calls and their numbers, from linux-raw-sys {}. Made by tests/syscalls.rs.\n", version(source));
    made += &format!("# name {}\n", COLUMNS.join(" "));
    for (name, numbers) in rows {
        let numbers = numbers.map(|number| number.map_or("-".to_string(), |number| number.to_string()));
        made += &format!("{name} {}\n", numbers.join(" "));
    }
    made
}

fn version(source: &Path) -> String {
    let folder = source.parent().unwrap().file_name().unwrap().to_str().unwrap();
    folder.rsplit('-').next().unwrap().to_string()
}

/// `pub const __NR_read: u32 = 0;`: the name and the number. 32-bit ARM has a few of its own.
fn constant(line: &str) -> Option<(&str, u32)> {
    let line = line.strip_prefix("pub const __")?;
    let line = line.strip_prefix("NR_").or_else(|| line.strip_prefix("ARM_NR_"))?;
    let (name, number) = line.strip_suffix(';')?.split_once(": u32 = ")?;
    let is_call = name.starts_with(|first: char| first.is_ascii_lowercase() || first == '_');
    (is_call && name != "syscalls" && name != "arch_specific_syscall").then_some((name, number.parse().ok()?))
}
