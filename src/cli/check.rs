//! `check`: every problem of a bundle, on any host, without privileges; nothing is changed.

use core::ffi::CStr;
use core::fmt::Write;

use crate::container::{bundle, facts};
use crate::error::{Doing, Result};
use crate::log::Output;
use crate::mem::Arena;
use crate::plan::check::{self, Severity};
use crate::sys::{AsFd, task};

/// Prints the problems of the bundle at `path`, one a line; 1 if one of them is an error.
pub fn run<'a>(path: &'a CStr, arena: &Arena<'a>) -> Result<'a, i32> {
    let procfs = facts::open_procfs()?;
    let bundle = bundle::open(procfs.as_fd(), path, arena)?;
    let mut out = Output::new(task::stdout());
    let mut errors = 0u32;
    for note in bundle.notes.iter() {
        let _ = writeln!(out, "warning: {note}"); // `finish` knows the errno
    }
    check::check(bundle.config, &bundle.arena, &mut |problem| {
        let severity = if problem.severity == Severity::Error { "error" } else { "warning" };
        errors += u32::from(problem.severity == Severity::Error);
        let _ = writeln!(out, "{severity}: {problem}");
    });
    if errors == 0 {
        let _ = writeln!(out, "{}/config.json: ok", bundle.path);
    }
    out.finish().doing("write", "standard output")?;
    Ok(i32::from(errors > 0))
}
