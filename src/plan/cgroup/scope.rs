//! A cgroup that systemd makes: the transient unit's name, its slice, and its properties.

use core::ffi::CStr;

use super::super::{Facts, Options};
use super::weight;
use crate::error::{Error, Result};
use crate::mem::{Arena, List};
use crate::spec::{Config, Cpu, Resources};

/// A transient unit to start.
pub struct Scope<'a> {
    /// Its name, which is the last component of the cgroup's path.
    pub unit: &'a str,
    /// Where its manager listens.
    pub socket: &'a CStr,
    /// What is set of it.
    pub properties: List<'a, Property<'a>>,
}

/// A property of a unit (org.freedesktop.systemd1(5)).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Property<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its value.
    pub value: Value<'a>,
}

/// A value with its D-Bus type.
#[derive(Clone, Copy, Debug, PartialEq)]
#[allow(missing_docs, reason = "each is a type of D-Bus")]
pub enum Value<'a> {
    Bool(bool),
    I32(i32),
    U32(u32),
    I64(i64),
    U64(u64),
    Text(&'a str),
    Texts(&'a [&'a str]),
    Bytes(&'a [u8]),
}

const UNLIMITED: u64 = u64::MAX;

struct Properties<'l, 'a> {
    list: List<'a, Property<'a>>,
    arena: &'l Arena<'a>,
}

impl<'a> Properties<'_, 'a> {
    fn push(&mut self, name: &'a str, value: Value<'a>) -> Result<'a, ()> {
        Ok(self.list.push(self.arena, Property { name, value })?)
    }

    fn number(&mut self, name: &'a str, value: i64) -> Result<'a, ()> {
        if value == 0 { Ok(()) } else { self.push(name, Value::U64(u64::try_from(value).unwrap_or(UNLIMITED))) }
    }
}

/// The unit of `slice:prefix:name`, and the path of its cgroup.
pub(super) fn plan<'a>(
    written: &'a str,
    socket: &'a CStr,
    facts: &Facts<'a>,
    options: &Options<'a>,
    config: &Config<'a>,
    arena: &Arena<'a>,
) -> Result<'a, (Scope<'a>, &'a str)> {
    let (id, is_user) = (options.id, options.is_rootless);
    let base = if is_user { manager_cgroup(facts.own_cgroup) } else { "" };
    let wrong =
        || Error::text("linux.cgroupsPath", written, "expected cgroupsPath to be of format \"slice:prefix:name\" for systemd cgroups");
    let mut parts = if written.is_empty() { ":ocinit:" } else { written }.splitn(3, ':');
    let (slice, prefix, name) = (parts.next().unwrap_or_default(), parts.next().ok_or_else(wrong)?, parts.next().ok_or_else(wrong)?);
    let name = if written.is_empty() { id } else { name };
    if name.is_empty() || name.contains([':', '/', '\0']) || prefix.contains(['/', '\0']) {
        return Err(wrong());
    }
    let default = if is_user { "user.slice" } else { "system.slice" };
    let slice = if slice.is_empty() { default } else { slice };
    let is_slice = name.ends_with(".slice");
    let unit = match prefix {
        _ if is_slice => name,
        "" => arena.format(format_args!("{name}.scope"))?,
        prefix => arena.format(format_args!("{prefix}-{name}.scope"))?,
    };
    let above = expand(if is_slice { unit } else { slice }, arena)?;
    let path = if is_slice { arena.format(format_args!("{base}{above}"))? } else { arena.format(format_args!("{base}{above}/{unit}"))? };

    let mut properties = Properties { list: List::default(), arena };
    properties.push("Description", Value::Text(arena.format(format_args!("ocinit container {id}"))?))?;
    properties.push(
        if is_slice { "Wants" } else { "Slice" },
        if is_slice { Value::Texts(arena.slice(1, |_| slice)?) } else { Value::Text(slice) },
    )?;
    if !is_slice {
        properties.push("Delegate", Value::Bool(true))?;
    }
    for name in ["MemoryAccounting", "CPUAccounting", "IOAccounting", "TasksAccounting"] {
        properties.push(name, Value::Bool(true))?;
    }
    properties.push("DefaultDependencies", Value::Bool(false))?;
    if let Some(resources) = config.linux.as_ref().and_then(|linux| linux.resources.as_ref()) {
        limits(resources, &mut properties)?;
    }
    for entry in &config.annotations {
        if let Some(name) = entry.key.strip_prefix("org.systemd.property.") {
            annotation(name, entry.value, &mut properties)?;
        }
    }
    Ok((Scope { unit, socket, properties: properties.list }, path))
}

/// A user's manager runs in user@UID.service, and so does, somewhere below, whoever it started.
fn manager_cgroup(own_cgroup: &str) -> &str {
    let service = own_cgroup.find("/user@").and_then(|at| own_cgroup[at..].find(".service").map(|len| at + len + ".service".len()));
    own_cgroup.get(..service.unwrap_or(0)).unwrap_or_default()
}

/// systemd.slice(5): the dashes of a slice's name are its path.
fn expand<'a>(slice: &'a str, arena: &Arena<'a>) -> Result<'a, &'a str> {
    let wrong = || Error::text("linux.cgroupsPath", slice, "invalid slice name");
    let stem = slice.strip_suffix(".slice").ok_or_else(wrong)?;
    if stem == "-" {
        return Ok("");
    }
    if stem.split('-').any(str::is_empty) || stem.contains(['/', '\0']) {
        return Err(wrong());
    }
    struct Levels<'s>(&'s str);
    impl core::fmt::Display for Levels<'_> {
        fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
            let ends = self.0.match_indices('-').map(|(end, _)| end).chain([self.0.len()]);
            ends.into_iter().try_for_each(|end| write!(f, "/{}.slice", &self.0[..end]))
        }
    }
    Ok(arena.format(format_args!("{}", Levels(stem)))?)
}

/// Limits as systemd sets them: what it does not know as a property is written to the cgroup's files alone, as all of them are.
pub fn of_limits<'a>(resources: &Resources<'a>, arena: &Arena<'a>) -> Result<'a, List<'a, Property<'a>>> {
    let mut properties = Properties { list: List::default(), arena };
    limits(resources, &mut properties)?;
    Ok(properties.list)
}

fn limits<'a>(resources: &Resources<'a>, properties: &mut Properties<'_, 'a>) -> Result<'a, ()> {
    if let Some(memory) = &resources.memory {
        let (limit, swap) = (memory.limit.unwrap_or(0), memory.swap.unwrap_or(0));
        properties.number("MemoryMax", limit)?;
        properties.number("MemoryLow", memory.reservation.unwrap_or(0))?;
        match (limit, swap) {
            (-1, 0) => properties.number("MemorySwapMax", -1)?,
            (1.., 1..) => properties.push("MemorySwapMax", Value::U64((swap - limit).max(0) as u64))?,
            _ => properties.number("MemorySwapMax", swap)?,
        }
    }
    if let Some(cpu) = &resources.cpu {
        self::cpu(cpu, properties)?;
    }
    // One process more than none: until the container's first is there, the scope is kept by one of ours.
    if let Some(limit) = resources.pids.and_then(|pids| pids.limit) {
        properties.number("TasksMax", if (0..2).contains(&limit) { 2 } else { limit })?;
    }
    if let Some(weight) = resources.block_io.and_then(|block_io| block_io.weight) {
        properties.number("IOWeight", if weight == 0 { 0 } else { super::limits::io_weight(weight).into() })?;
    }
    Ok(())
}

fn cpu<'a>(cpu: &Cpu<'a>, properties: &mut Properties<'_, 'a>) -> Result<'a, ()> {
    const DEFAULT_PERIOD_US: u64 = 100_000;
    const STEP_US: u64 = 10_000; // systemd rounds to it, and a little more is better than less
    if let Some(shares) = cpu.shares.filter(|shares| *shares != 0) {
        properties.push("CPUWeight", Value::U64(weight::of_shares(shares)))?;
    }
    let (quota, period) = (cpu.quota.unwrap_or(0), cpu.period.unwrap_or(0));
    if period != 0 {
        properties.push("CPUQuotaPeriodUSec", Value::U64(period))?;
    }
    if quota != 0 || period != 0 {
        let period = if period == 0 { DEFAULT_PERIOD_US } else { period };
        let a_second = u64::try_from(quota).ok().filter(|quota| *quota > 0).map(|quota| quota.saturating_mul(1_000_000) / period);
        properties.push("CPUQuotaPerSecUSec", Value::U64(a_second.map_or(UNLIMITED, |us| us.next_multiple_of(STEP_US))))?;
    }
    for (name, list) in [("AllowedCPUs", cpu.cpus), ("AllowedMemoryNodes", cpu.mems)] {
        if !list.is_empty() {
            let bits = bits(list, properties.arena)?;
            properties.push(name, Value::Bytes(bits))?;
        }
    }
    Ok(())
}

/// `0-2,7` as a bit for each number.
fn bits<'a>(list: &'a str, arena: &Arena<'a>) -> Result<'a, &'a [u8]> {
    const MOST: usize = 8192;
    let numbers = || {
        list.trim().split(',').filter_map(|range| {
            let (from, to) = range.split_once('-').unwrap_or((range, range));
            Some((from.trim().parse::<usize>().ok()?, to.trim().parse::<usize>().ok()?))
        })
    };
    let highest = numbers().map(|(_, to)| to).max().unwrap_or(0).min(MOST - 1);
    let bits = arena.slice(highest / 8 + 1, |_| 0u8)?;
    for number in numbers().flat_map(|(from, to)| from..=to.min(MOST - 1)) {
        bits[number / 8] |= 1 << (number % 8);
    }
    Ok(bits)
}

/// A property as text, in GVariant's form: `'text'`, `true`, `uint64 5`, `['a', 'b']`. A time in seconds is set in microseconds.
fn annotation<'a>(name: &'a str, value: &'a str, properties: &mut Properties<'_, 'a>) -> Result<'a, ()> {
    let arena = properties.arena;
    let wrong = || Error::text("annotations", name, "neither a value such as 'text', true, uint64 5 or ['a', 'b'], nor seconds");
    let value = value.trim();
    if let Some(stem) = name.strip_suffix("Sec").filter(|stem| !stem.ends_with('U')) {
        let seconds = value.rsplit(' ').next().unwrap_or_default();
        let (whole, fraction) = seconds.split_once('.').unwrap_or((seconds, ""));
        let whole: u64 = whole.parse().map_err(|_| wrong())?;
        let fraction: u64 = arena.format(format_args!("{fraction:0<6.6}"))?.parse().map_err(|_| wrong())?;
        let name = arena.format(format_args!("{stem}USec"))?;
        return properties.push(name, Value::U64(whole.saturating_mul(1_000_000).saturating_add(fraction)));
    }
    let unquoted = |text: &'a str| {
        let text = text.trim();
        text.strip_prefix('\'').and_then(|text| text.strip_suffix('\'')).or_else(|| text.strip_prefix('"')?.strip_suffix('"'))
    };
    let parsed = if let Some(text) = unquoted(value) {
        Some(Value::Text(text))
    } else if let Some(list) = value.strip_prefix('[').and_then(|list| list.strip_suffix(']')) {
        let mut items = list.split(',').filter(|item| !item.trim().is_empty()).map(unquoted);
        let count = items.clone().count();
        let texts = arena.slice(count, |_| items.next().flatten().unwrap_or_default())?;
        Some(Value::Texts(texts))
    } else {
        let (kind, number) = value.split_once(' ').unwrap_or(("", value));
        match (kind, number) {
            ("" | "boolean", "true") => Some(Value::Bool(true)),
            ("" | "boolean", "false") => Some(Value::Bool(false)),
            ("" | "int32", number) => number.parse().ok().map(Value::I32),
            ("uint32", number) => number.parse().ok().map(Value::U32),
            ("int64", number) => number.parse().ok().map(Value::I64),
            ("uint64", number) => number.parse().ok().map(Value::U64),
            _ => None,
        }
    };
    properties.push(name, parsed.ok_or_else(wrong)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::mem::MaybeUninit;

    fn with<R>(check: impl FnOnce(&Arena<'_>) -> R) -> R {
        let mut room = vec![MaybeUninit::uninit(); 1 << 16];
        check(&Arena::new(&mut room))
    }

    fn unit_of(written: &'static str, is_user: bool) -> std::result::Result<(String, String), String> {
        with(|arena| {
            let facts = Facts { bundle: "/b", own_cgroup: "/u/user@7.service/app.slice/shell", ..Facts::default() };
            let options = Options { id: "c1", is_rootless: is_user, ..Options::default() };
            let made = plan(written, c"/s", &facts, &options, &Config::default(), arena);
            made.map(|(scope, path)| (scope.unit.to_string(), path.to_string())).map_err(|error| error.to_string())
        })
    }

    #[test]
    fn a_scope_lies_in_its_slice_whose_dashes_are_its_path() {
        let is = |written, is_user, unit: &str, path: &str| assert_eq!(unit_of(written, is_user).unwrap(), (unit.into(), path.into()));
        is("machine.slice:libpod:abc", false, "libpod-abc.scope", "/machine.slice/libpod-abc.scope");
        is("a-b-c.slice:x:y", false, "x-y.scope", "/a.slice/a-b.slice/a-b-c.slice/x-y.scope");
        is("::y", false, "y.scope", "/system.slice/y.scope");
        is("-.slice::y", false, "y.scope", "/y.scope");
        is("", false, "ocinit-c1.scope", "/system.slice/ocinit-c1.scope");
        is("", true, "ocinit-c1.scope", "/u/user@7.service/user.slice/ocinit-c1.scope");
        is("a.slice:p:a-b.slice", false, "a-b.slice", "/a.slice/a-b.slice");
    }

    #[test]
    fn what_is_not_three_parts_or_no_slice_is_refused() {
        for written in ["/a/b", "a:b", "system.slice:x:", "system.slice:x:a/b", "system.slice:x:a:b"] {
            assert!(unit_of(written, false).unwrap_err().contains("slice:prefix:name"), "{written}");
        }
        for written in ["system:x:y", "a--b.slice:x:y", "a/b.slice:x:y", "-a.slice:x:y"] {
            assert!(unit_of(written, false).unwrap_err().contains("invalid slice name"), "{written}");
        }
    }

    #[test]
    fn limits_are_properties_with_systemds_names() {
        with(|arena| {
            let text = r#"{ "memory": { "limit": 1000, "swap": 3000, "reservation": -1 }, "pids": { "limit": 1 }, "blockIO": { "weight": 500 },
                "cpu": { "shares": 1024, "quota": 50500, "period": 100000, "cpus": "0-1,9", "mems": "0" } }"#;
            let (resources, _) = crate::json::read::<Resources<'_>>(text.as_bytes(), arena).unwrap();
            let found: Vec<(&str, Value<'_>)> =
                of_limits(resources, arena).unwrap().iter().map(|property| (property.name, property.value)).collect();
            let expected = [
                ("MemoryMax", Value::U64(1000)),
                ("MemoryLow", Value::U64(UNLIMITED)),
                ("MemorySwapMax", Value::U64(2000)),
                ("CPUWeight", Value::U64(100)),
                ("CPUQuotaPeriodUSec", Value::U64(100_000)),
                ("CPUQuotaPerSecUSec", Value::U64(510_000)),
                ("AllowedCPUs", Value::Bytes(&[3, 2])),
                ("AllowedMemoryNodes", Value::Bytes(&[1])),
                ("TasksMax", Value::U64(2)),
                ("IOWeight", Value::U64(4950)),
            ];
            assert_eq!(found, expected);
        });
    }

    #[test]
    fn annotations_are_properties_in_gvariants_form() {
        with(|arena| {
            let mut properties = Properties { list: List::default(), arena };
            for (name, value) in [
                ("A", "'x y'"),
                ("B", "true"),
                ("C", "uint64 5"),
                ("D", "-3"),
                ("E", "['a', \"b\"]"),
                ("TimeoutStopSec", "uint64 2"),
                ("FSec", "1.5"),
            ] {
                annotation(name, value, &mut properties).unwrap();
            }
            let values: Vec<(&str, Value<'_>)> = properties.list.iter().map(|property| (property.name, property.value)).collect();
            let texts: &[&str] = &["a", "b"];
            let expected = [
                ("A", Value::Text("x y")),
                ("B", Value::Bool(true)),
                ("C", Value::U64(5)),
                ("D", Value::I32(-3)),
                ("E", Value::Texts(texts)),
                ("TimeoutStopUSec", Value::U64(2_000_000)),
                ("FUSec", Value::U64(1_500_000)),
            ];
            assert_eq!(values, expected);
            assert!(annotation("G", "(1, 2)", &mut properties).is_err());
        });
    }
}
