//! The options of `update` as `linux.resources`: numbers as Go reads them, sizes with the suffixes that Docker knows.

use crate::error::{Error, Result};
use crate::log::{Log, Lossy};
use crate::mem::Arena;
use crate::spec::{BlockIo, Cpu, Memory, Pids, Resources};

/// The options that are values of resources. The parser keeps what was given for each, at its place here.
pub const OPTIONS: [&str; 18] = [
    "blkio-weight",
    "cpu-period",
    "cpu-quota",
    "cpu-burst",
    "cpu-share",
    "cpu-rt-period",
    "cpu-rt-runtime",
    "cpuset-cpus",
    "cpuset-mems",
    "cpu-idle",
    "memory",
    "memory-reservation",
    "memory-swap",
    "pids-limit",
    "kernel-memory",
    "kernel-memory-tcp",
    "l3-cache-schema",
    "mem-bw-schema",
];

/// What was given for each of [`OPTIONS`]; empty for what was not.
pub type Given<'a> = [&'a [u8]; OPTIONS.len()];

struct Values<'g, 'a> {
    given: &'g Given<'a>,
    arena: &'g Arena<'a>,
}

impl<'a> Values<'_, 'a> {
    fn text(&self, name: &str) -> Result<'a, &'a str> {
        let place = OPTIONS.iter().position(|option| *option == name).unwrap_or(0);
        core::str::from_utf8(self.given[place]).map_err(|_| self.wrong(name, self.given[place]))
    }

    #[cold]
    fn wrong(&self, name: &str, text: &[u8]) -> Error<'a> {
        let text = Lossy(text);
        let sentence = match name.contains("memory") {
            true => self.arena.format(format_args!("invalid value for {name}: invalid size: '{text}'")),
            false => self.arena.format(format_args!("invalid value for {name}: parsing \"{text}\": invalid syntax")),
        };
        sentence.map_or_else(Error::from, Error::said)
    }

    /// A whole number; with a size's suffix if it `is_size`.
    fn number(&self, name: &str, is_size: bool) -> Result<'a, Option<i64>> {
        let text = self.text(name)?;
        if text.is_empty() {
            return Ok(None);
        }
        let number = if is_size && text != "-1" { bytes(text) } else { text.parse().ok() };
        number.map(Some).ok_or_else(|| self.wrong(name, text.as_bytes()))
    }

    fn unsigned(&self, name: &str) -> Result<'a, Option<u64>> {
        let number = self.number(name, false)?;
        number.map(|number| u64::try_from(number).map_err(|_| self.wrong(name, self.text(name).unwrap_or_default().as_bytes()))).transpose()
    }
}

/// Resources of what was given. Errors: `invalid value for OPTION: …`.
pub fn resources<'a>(given: &Given<'a>, log: &Log, arena: &Arena<'a>) -> Result<'a, Resources<'a>> {
    let values = Values { given, arena };
    let weight = values.unsigned("blkio-weight")?.map(|weight| u16::try_from(weight).unwrap_or(u16::MAX));
    if values.number("kernel-memory", true)?.or(values.number("kernel-memory-tcp", true)?).is_some() {
        log.warning(format_args!("kernel memory limits are ignored: the kernel has none any more"));
    }
    Ok(Resources {
        memory: Some(Memory {
            limit: values.number("memory", true)?,
            reservation: values.number("memory-reservation", true)?,
            swap: values.number("memory-swap", true)?,
            ..Memory::default()
        }),
        cpu: Some(Cpu {
            shares: values.unsigned("cpu-share")?,
            quota: values.number("cpu-quota", false)?,
            burst: values.unsigned("cpu-burst")?,
            period: values.unsigned("cpu-period")?,
            realtime_runtime: values.number("cpu-rt-runtime", false)?,
            realtime_period: values.unsigned("cpu-rt-period")?,
            cpus: values.text("cpuset-cpus")?,
            mems: values.text("cpuset-mems")?,
            idle: values.number("cpu-idle", false)?,
        }),
        pids: values.number("pids-limit", false)?.map(|limit| Pids { limit: Some(limit) }),
        block_io: weight.map(|weight| BlockIo { weight: Some(weight), ..BlockIo::default() }),
        ..Resources::default()
    })
}

/// The lines for a resctrl group's `schemata`; none if neither of the two was given.
pub fn schemata<'a>(given: &Given<'a>, arena: &Arena<'a>) -> Result<'a, &'a str> {
    let values = Values { given, arena };
    let (cache, bandwidth) = (values.text("l3-cache-schema")?, values.text("mem-bw-schema")?);
    let end = |line: &str| if line.is_empty() { "" } else { "\n" };
    Ok(arena.format(format_args!("{cache}{}{bandwidth}{}", end(cache), end(bandwidth)))?)
}

/// `512`, `64m`, `64MB`, `1.5GiB`: a number, perhaps with a fraction, and a power of 1024.
fn bytes(text: &str) -> Option<i64> {
    let end = text.bytes().position(|byte| !byte.is_ascii_digit() && byte != b'.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let unit = unit.trim_start_matches(' ').as_bytes();
    let shift = match unit.first() {
        None | Some(b'b' | b'B') => 0,
        Some(letter) => 10 * (1 + b"kmgtp".iter().position(|known| *known == letter.to_ascii_lowercase())?),
    };
    let rest = unit.get(1..).unwrap_or_default();
    let has_end = rest.is_empty() || shift > 0 && (rest.eq_ignore_ascii_case(b"b") || rest.eq_ignore_ascii_case(b"ib"));
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let scale = 10u64.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let whole = u128::from(whole.parse::<u64>().ok()?) << shift;
    let part = (u128::from(fraction.parse::<u64>().ok()?) << shift) / u128::from(scale);
    i64::try_from(whole.checked_add(part)?).ok().filter(|_| has_end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_dockers_suffixes() {
        let read: Vec<Option<i64>> =
            ["0", "512", "1k", "64M", "64mb", "2GiB", "1.5g", "3 K", "7b"].iter().map(|text| bytes(text)).collect();
        let expected = [0, 512, 1024, 64 << 20, 64 << 20, 2 << 30, 3 << 29, 3072, 7];
        assert_eq!(read, expected.map(Some));
        for text in ["", "x", "1x", "1kx", "-5", "1.5.5", "99999999999999999999", "9000000p", "1bb", "."] {
            assert_eq!(bytes(text), None, "{text}");
        }
    }
}
