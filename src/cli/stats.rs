//! What `events` and `stats` print: one JSON object a line, with runc's keys, straight from the texts of the cgroup's files.
//! It must not wait or decide when to print.

mod v1;

use core::fmt::{self, Write};

use crate::container::events::Counters;
use crate::log::JsonString;

/// A counter: its key in JSON, its key in the file, what it is multiplied with, and whether runc leaves it out when it is 0.
type Row = (&'static str, &'static str, u64, bool);

const CPU_USAGE: &[Row] =
    &[("total", "usage_usec", 1000, true), ("kernel", "system_usec", 1000, false), ("user", "user_usec", 1000, false)];
const THROTTLING: &[Row] = &[
    ("periods", "nr_periods", 1, true),
    ("throttledPeriods", "nr_throttled", 1, true),
    ("throttledTime", "throttled_usec", 1000, true),
    ("throttledTime", "throttled_time", 1, true),
];
/// Of cgroup v1 alone; runc prints them all the same.
const CPUSET: &str = "{\"cpu_exclusive\":0,\"mem_hardwall\":0,\"mem_exclusive\":0,\"memory_migrate\":0,\"memory_spread_page\":0,\
    \"memory_spread_slab\":0,\"memory_pressure\":0,\"sched_load_balance\":0,\"sched_relax_domain_level\":0}";
/// What io.stat counts: the key in the file, runc's name of the operation, and the list that it stands in.
const IO: [(&str, &str); 6] =
    [("rbytes", "Read"), ("wbytes", "Write"), ("dbytes", "Discard"), ("rios", "Read"), ("wios", "Write"), ("dios", "Discard")];

/// Room for the longest file: memory.stat has 2 KiB, io.stat a line for each device.
const FILE_BYTES: usize = 16 << 10;

/// An object with commas between its members.
struct Members<'w> {
    out: &'w mut dyn Write,
    before: &'static str,
}

impl Members<'_> {
    fn key(&mut self, key: &str) -> Result<&mut dyn Write, fmt::Error> {
        write!(self.out, "{}\"{key}\":", self.before)?;
        self.before = ",";
        Ok(self.out)
    }

    fn number(&mut self, key: &str, value: u64, is_left_out: bool) -> fmt::Result {
        if value == 0 && is_left_out { Ok(()) } else { write!(self.key(key)?, "{value}") }
    }

    fn rows(&mut self, rows: &[Row], text: &str) -> fmt::Result {
        rows.iter().try_for_each(|(key, wanted, factor, is_left_out)| {
            self.number(key, value(text, wanted).unwrap_or(0).saturating_mul(*factor), *is_left_out)
        })
    }
}

/// An object of what `write` writes.
fn object(out: &mut dyn Write, write: &mut dyn FnMut(&mut Members<'_>) -> fmt::Result) -> fmt::Result {
    out.write_char('{')?;
    write(&mut Members { out, before: "" })?;
    out.write_char('}')
}

/// The number behind `key ` at the beginning of a line.
fn value(text: &str, key: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')).map(number)
}

/// A number; `max`, which means no limit, as the largest one.
fn number(text: &str) -> u64 {
    let text = text.trim_end();
    if text == "max" { u64::MAX } else { text.parse().unwrap_or(0) }
}

/// A container that was killed for want of memory.
pub fn oom(id: &str, out: &mut dyn Write) -> fmt::Result {
    writeln!(out, "{{\"type\":\"oom\",\"id\":{}}}", JsonString(id))
}

/// All that is counted of a container.
pub fn stats(id: &str, counters: &Counters<'_>, out: &mut dyn Write) -> fmt::Result {
    write!(out, "{{\"type\":\"stats\",\"id\":{},\"data\":", JsonString(id))?;
    let files = &mut Files { counters, buffer: [0; FILE_BYTES] };
    object(out, &mut |data| {
        object(data.key("cpu")?, &mut |cpu| {
            if files.has_v1(c"cpuacct.usage") {
                object(cpu.key("usage")?, &mut |usage| v1::cpu_usage(files, usage))?;
            } else {
                object(cpu.key("usage")?, &mut |usage| usage.rows(CPU_USAGE, files.read(c"cpu.stat")))?;
            }
            object(cpu.key("throttling")?, &mut |throttling| throttling.rows(THROTTLING, files.read(c"cpu.stat")))?;
            pressure(files.read(c"cpu.pressure"), cpu)
        })?;
        data.key("cpuset")?.write_str(CPUSET)?;
        object(data.key("memory")?, &mut |memory| match files.has_v1(c"memory.usage_in_bytes") {
            true => v1::memory(files, memory),
            false => self::memory(files, memory),
        })?;
        object(data.key("pids")?, &mut |pids| {
            pids.number("current", number(files.read(c"pids.current")), true)?;
            let limit = number(files.read(c"pids.max"));
            pids.number("limit", if limit == u64::MAX { 0 } else { limit }, true)
        })?;
        object(data.key("blkio")?, &mut |blkio| {
            let v1_files = [c"blkio.throttle.io_service_bytes_recursive", c"blkio.throttle.io_serviced_recursive"];
            let [bytes, operations] = if files.has_v1(v1_files[0]) { v1_files } else { [c"io.stat"; 2] };
            devices("ioServiceBytesRecursive", &IO[..3], files.read(bytes), blkio)?;
            devices("ioServicedRecursive", &IO[3..], files.read(operations), blkio)?;
            pressure(files.read(c"io.pressure"), blkio)
        })?;
        object(data.key("hugetlb")?, &mut |hugetlb| huge_pages(files, hugetlb))?;
        data.key("intel_rdt")?.write_str("{}")?;
        data.key("network_interfaces")?.write_str("null")
    })?;
    out.write_str("}\n")
}

/// The cgroup's files, one at a time.
struct Files<'c> {
    counters: &'c Counters<'c>,
    buffer: [u8; FILE_BYTES],
}

impl Files<'_> {
    fn read(&mut self, name: &core::ffi::CStr) -> &str {
        self.counters.file(name, &mut self.buffer)
    }

    fn has_v1(&mut self, name: &core::ffi::CStr) -> bool {
        v1::IS_BUILT && !self.read(name).is_empty()
    }
}

/// cgroup v1 counted memory and swap together, and callers expect it so.
fn memory(files: &mut Files<'_>, memory: &mut Members<'_>) -> fmt::Result {
    let cache = value(files.read(c"memory.stat"), "file").unwrap_or(0);
    let [limit, usage, peak, swap_limit, swap_usage] =
        [c"memory.max", c"memory.current", c"memory.peak", c"memory.swap.max", c"memory.swap.current"].map(|name| number(files.read(name)));
    memory.number("cache", cache, true)?;
    let both = [("usage", limit, usage, peak), ("swap", limit.saturating_add(swap_limit), usage.saturating_add(swap_usage), 0)];
    for (key, limit, usage, max) in both {
        object(memory.key(key)?, &mut |entry| {
            entry.number("limit", limit, false)?;
            entry.number("usage", usage, true)?;
            entry.number("max", max, true)?;
            entry.number("failcnt", 0, false)
        })?;
    }
    for key in ["kernel", "kernelTCP"] {
        memory.key(key)?.write_str("{\"limit\":0,\"failcnt\":0}")?;
    }
    raw(files.read(c"memory.stat"), memory)?;
    pressure(files.read(c"memory.pressure"), memory)
}

/// All of memory.stat.
fn raw(text: &str, memory: &mut Members<'_>) -> fmt::Result {
    if text.is_empty() {
        return Ok(());
    }
    object(memory.key("raw")?, &mut |raw| {
        text.lines().filter_map(|line| line.split_once(' ')).try_for_each(|(key, value)| raw.number(key, number(value), false))
    })
}

/// A list of what io.stat says of each device for some operations; or of what `8:0 Read 512` does in cgroup v1.
fn devices(key: &str, operations: &[(&str, &str)], text: &str, blkio: &mut Members<'_>) -> fmt::Result {
    let mut before = None;
    for line in text.lines() {
        let mut words = line.split(' ');
        let Some((major, minor)) = words.next().and_then(|device| device.split_once(':')) else { continue };
        while let Some(word) = words.next() {
            let known = |name: &str| operations.iter().find(|(known, _)| *known == name).map(|(_, operation)| *operation);
            let pair = match word.split_once('=') {
                Some((name, count)) => known(name).map(|operation| (operation, count)),
                None if v1::IS_BUILT => words.next().map(|count| (word, count)),
                None => None,
            };
            let Some((operation, count)) = pair else { continue };
            match before {
                None => blkio.key(key)?.write_char('[')?,
                Some(()) => blkio.out.write_char(',')?,
            }
            before = Some(());
            object(blkio.out, &mut |entry| {
                entry.number("major", number(major), true)?;
                entry.number("minor", number(minor), true)?;
                write!(entry.key("op")?, "\"{operation}\"")?;
                entry.number("value", number(count), true)
            })?;
        }
    }
    before.map_or(Ok(()), |()| blkio.out.write_char(']'))
}

/// Of every size of huge pages for which the cgroup has files.
fn huge_pages(files: &mut Files<'_>, hugetlb: &mut Members<'_>) -> fmt::Result {
    let mut sizes = crate::mem::Text::<128>::default();
    files.counters.each_file(&mut |name| {
        let end = if v1::IS_BUILT && name.ends_with(".failcnt") { ".failcnt" } else { ".events" };
        if let Some(size) = name.strip_prefix("hugetlb.").and_then(|name| name.strip_suffix(end)).filter(|size| !size.contains('.')) {
            let _ = write!(sizes, "{size} "); // it truncates; no architecture has so many sizes
        }
    });
    for size in sizes.as_str().split_ascii_whitespace() {
        let mut name = crate::mem::PathBuffer::new();
        name.set(&[b"hugetlb.", size.as_bytes(), b".current"]);
        let mut usage = number(files.read(name.as_c_str()));
        name.set(&[b"hugetlb.", size.as_bytes(), b".events"]);
        let mut failures = value(files.read(name.as_c_str()), "max").unwrap_or(0);
        if v1::IS_BUILT && usage == 0 && failures == 0 {
            name.set(&[b"hugetlb.", size.as_bytes(), b".usage_in_bytes"]);
            usage = number(files.read(name.as_c_str()));
            name.set(&[b"hugetlb.", size.as_bytes(), b".failcnt"]);
            failures = number(files.read(name.as_c_str()));
        }
        object(hugetlb.key(size)?, &mut |entry| {
            entry.number("usage", usage, true)?;
            entry.number("failcnt", failures, false)
        })?;
    }
    Ok(())
}

/// Pressure stall information (Documentation/accounting/psi.rst), where the kernel has it.
fn pressure(text: &str, members: &mut Members<'_>) -> fmt::Result {
    if text.is_empty() {
        return Ok(());
    }
    object(members.key("psi")?, &mut |psi| {
        ["some", "full"].iter().try_for_each(|kind| {
            let line = text.lines().find_map(|line| line.strip_prefix(kind)).unwrap_or_default();
            object(psi.key(kind)?, &mut |psi| {
                ["avg10", "avg60", "avg300", "total"].iter().try_for_each(|key| {
                    let value = line.split(' ').find_map(|word| word.strip_prefix(key)?.strip_prefix('=')).unwrap_or("0");
                    psi.key(key)?.write_str(shortest(value))
                })
            })
        })
    })
}

/// A number as Go prints it: without what does not count behind the point.
fn shortest(number: &str) -> &str {
    if number.contains('.') { number.trim_end_matches('0').trim_end_matches('.') } else { number }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn print(write: impl Fn(&mut Members<'_>) -> fmt::Result) -> String {
        let mut text = String::new();
        object(&mut text, &mut |members| write(members)).unwrap();
        text
    }

    #[test]
    fn pressure_is_printed_as_numbers_without_needless_zeros() {
        let text = "some avg10=0.00 avg60=1.50 avg300=20.25 total=77\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n";
        let expected =
            r#"{"psi":{"some":{"avg10":0,"avg60":1.5,"avg300":20.25,"total":77},"full":{"avg10":0,"avg60":0,"avg300":0,"total":0}}}"#;
        assert_eq!(print(|members| pressure(text, members)), expected);
        assert_eq!(print(|members| pressure("", members)), "{}");
    }

    #[test]
    fn devices_are_lists_by_operation() {
        let text = "8:0 rbytes=1024 wbytes=0 rios=2 wios=0 dbytes=0 dios=0\n253:1 rbytes=5\n8:16\n";
        let expected = r#"{"b":[{"major":8,"op":"Read","value":1024},{"major":8,"op":"Write"},{"major":8,"op":"Discard"},{"major":253,"minor":1,"op":"Read","value":5}]}"#;
        assert_eq!(print(|members| devices("b", &IO[..3], text, members)), expected);
        assert_eq!(print(|members| devices("b", &IO[..3], "", members)), "{}");
    }

    #[test]
    fn counters_are_found_by_their_whole_key() {
        let text = "usage_usec 12\nuser_usec 3\nsystem_usec 4\nnr_periods 0\n";
        assert_eq!(print(|members| members.rows(CPU_USAGE, text)), r#"{"total":12000,"kernel":4000,"user":3000}"#);
        assert_eq!(print(|members| members.rows(THROTTLING, text)), "{}");
        assert_eq!((value("file_dirty 5\nfile 7\n", "file"), value("", "file"), number("max\n")), (Some(7), None, u64::MAX));
    }
}
