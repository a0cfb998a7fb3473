//! `linux.intelRdt`: the resctrl group that shares caches and memory bandwidth out (Documentation/arch/x86/resctrl.rst).

use core::ffi::CStr;
use core::fmt;

use super::{Facts, Options};
use crate::error::{Error, Result};
use crate::mem::Arena;
use crate::spec::{IntelRdt, Linux};

/// The group, as absolute paths.
#[derive(Clone, Copy, Debug)]
pub struct Rdt<'a> {
    /// Its directory: `closID`, or the container's id.
    pub group: &'a CStr,
    /// Whether it bears the container's id, and so begins and ends with it.
    pub is_own: bool,
    /// Whether it must be there already, because nobody says what would stand in it.
    pub must_exist: bool,
    /// The container's monitoring group in it.
    pub monitor: Option<&'a CStr>,
    /// What is written to its `schemata`; nothing if empty.
    pub schemata: &'a str,
    /// Where the kernel says why it refused.
    pub status: &'a CStr,
}

/// Where the kernel says why it refused, below the mount of resctrl.
pub const LAST_STATUS: &[u8] = b"/info/last_cmd_status";

pub(super) fn build<'a>(
    linux: Option<&Linux<'a>>,
    facts: &Facts<'a>,
    options: &Options<'a>,
    arena: &Arena<'a>,
) -> Result<'a, Option<Rdt<'a>>> {
    let Some(written) = linux.and_then(|linux| linux.intel_rdt.as_ref()) else { return Ok(None) };
    let Some(root) = facts.resctrl_mount.map(str::as_bytes) else {
        let why = "intelRdt is specified in config, but Intel RDT is not enabled (no resctrl is mounted; it needs CONFIG_X86_CPU_RESCTRL)";
        return Err(Error::text("linux.intelRdt", "", why));
    };
    let is_own = written.clos_id.is_empty();
    let name = if is_own { options.id } else { written.clos_id }.as_bytes();
    let schemata = arena.format(format_args!("{}", Schemata(written)))?;
    Ok(Some(Rdt {
        group: arena.c_str(&[root, b"/", name])?,
        is_own,
        must_exist: !is_own && schemata.is_empty(),
        monitor: match written.enable_monitoring {
            true => Some(arena.c_str(&[root, b"/", name, b"/mon_groups/", options.id.as_bytes()])?),
            false => None,
        },
        schemata,
        status: arena.c_str(&[root, LAST_STATUS])?,
    }))
}

/// All lines, each with its end. With a schema of its own for memory bandwidth, that of the cache says nothing about it.
struct Schemata<'w, 'a>(&'w IntelRdt<'a>);

impl fmt::Display for Schemata<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let IntelRdt { l3_cache_schema, mem_bw_schema, schemata, .. } = self.0;
        let is_kept = |line: &&str| !line.is_empty() && (mem_bw_schema.is_empty() || !line.starts_with("MB:"));
        let cache = l3_cache_schema.split('\n').filter(is_kept);
        let others = Some(*mem_bw_schema).into_iter().chain(schemata.iter().copied());
        cache.chain(others).filter(|line| !line.is_empty()).try_for_each(|line| writeln!(f, "{line}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::mem::MaybeUninit;

    fn with<R>(
        written: IntelRdt<'static>,
        mount: Option<&'static str>,
        check: impl FnOnce(core::result::Result<Rdt<'_>, String>) -> R,
    ) -> R {
        let room = vec![MaybeUninit::uninit(); 4096].leak();
        let arena = Arena::new(room);
        let facts = Facts { resctrl_mount: mount, ..Facts::default() };
        let options = Options { id: "c1", ..Options::default() };
        let linux = Linux { intel_rdt: Some(written), ..Linux::default() };
        let made = build(Some(&linux), &facts, &options, &arena).map(Option::unwrap);
        check(made.map_err(|error| error.to_string()))
    }

    #[test]
    fn without_a_closid_the_group_is_the_containers_own() {
        let written = IntelRdt { l3_cache_schema: "L3:0=f", enable_monitoring: true, ..IntelRdt::default() };
        with(written, Some("/sys/fs/resctrl"), |made| {
            let made = made.unwrap();
            assert_eq!((made.group, made.is_own, made.must_exist), (c"/sys/fs/resctrl/c1", true, false));
            assert_eq!(made.monitor, Some(c"/sys/fs/resctrl/c1/mon_groups/c1"));
            assert_eq!(made.schemata, "L3:0=f\n");
        });
    }

    #[test]
    fn a_closid_without_a_schema_must_be_there() {
        with(IntelRdt { clos_id: "gold", ..IntelRdt::default() }, Some("/r"), |made| {
            let made = made.unwrap();
            assert_eq!((made.group, made.is_own, made.must_exist, made.monitor), (c"/r/gold", false, true, None));
        });
    }

    #[test]
    fn bandwidth_is_said_once_and_further_lines_come_last() {
        let room = vec![MaybeUninit::uninit(); 1024].leak();
        let mut written = IntelRdt { clos_id: "gold", l3_cache_schema: "MB:0=10\nL3:0=f", mem_bw_schema: "MB:0=20", ..IntelRdt::default() };
        written.schemata.push(&Arena::new(room), "L2:0=3").unwrap();
        with(written, Some("/r"), |made| assert_eq!(made.unwrap().schemata, "L3:0=f\nMB:0=20\nL2:0=3\n"));
    }

    #[test]
    fn without_resctrl_it_is_refused() {
        with(IntelRdt::default(), None, |made| assert!(made.unwrap_err().contains("Intel RDT is not enabled")));
    }
}
