//! The figures of cgroup v1, whose files have other names and units.

use core::fmt;

use super::{Files, Members, number, object, value};
pub(super) use crate::plan::cgroup::v1::IS_BUILT;

/// cpuacct.stat counts in USER_HZ, which the kernel keeps at 100 for programs.
const TICK_NS: u64 = 10_000_000;

pub(super) fn cpu_usage(files: &mut Files<'_>, usage: &mut Members<'_>) -> fmt::Result {
    usage.number("total", number(files.read(c"cpuacct.usage")), true)?;
    let each = files.read(c"cpuacct.usage_percpu").trim_end();
    let list = usage.key("percpu")?;
    each.split(' ').enumerate().try_for_each(|(index, number)| write!(list, "{}{number}", if index == 0 { "[" } else { "," }))?;
    list.write_char(']')?;
    usage.rows(&[("kernel", "system", TICK_NS, false), ("user", "user", TICK_NS, false)], files.read(c"cpuacct.stat"))
}

pub(super) fn memory(files: &mut Files<'_>, memory: &mut Members<'_>) -> fmt::Result {
    memory.number("cache", value(files.read(c"memory.stat"), "cache").unwrap_or(0), true)?;
    for (key, infix) in [("usage", ""), ("swap", "memsw."), ("kernel", "kmem."), ("kernelTCP", "kmem.tcp.")] {
        let mut read = |end: &str| {
            let mut name = crate::mem::PathBuffer::new();
            name.set(&[b"memory.", infix.as_bytes(), end.as_bytes()]);
            number(files.read(name.as_c_str()))
        };
        let numbers = ["limit_in_bytes", "usage_in_bytes", "max_usage_in_bytes", "failcnt"].map(&mut read);
        object(memory.key(key)?, &mut |entry| {
            ["limit", "usage", "max", "failcnt"]
                .iter()
                .zip(numbers)
                .try_for_each(|(key, number)| entry.number(key, number, matches!(*key, "usage" | "max")))
        })?;
    }
    super::raw(files.read(c"memory.stat"), memory)
}
