//! `boot --check` and `boot --dry-run`: what would be booted, in which order, and what is wrong with it; on any host, without rights.

use core::ffi::CStr;
use core::fmt::{self, Write};

use crate::error::{Doing, Result};
use crate::init::read::{self, Place};
use crate::log::Output;
use crate::mem::Arena;
use crate::plan::boot::{After, Boot, Condition, Kind, Service, Task};
use crate::sys::{fs, task};

/// Prints the problems, and with `is_dry_run` the order too; 1 if there is a problem.
pub fn check<'a>(path: Option<&'a CStr>, is_dry_run: bool, arena: &Arena<'a>) -> Result<'a, i32> {
    let path = path.and_then(|path| path.to_str().ok()).unwrap_or_default();
    let is_device_root = !path.is_empty() && ["etc/ocinit", "containers"].iter().any(|name| exists(path, name, arena));
    let (root, path) = if is_device_root { (path, "") } else { ("", path) };
    let mut out = Output::new(task::stdout());
    let mut problems = 0u32;
    let boot = read::plan(&Place { root, path, line: "", is_accepted: false }, arena, &mut |id, what| {
        problems += 1;
        let colon = if id.is_empty() { "" } else { ": " };
        let _ = writeln!(out, "error: {id}{colon}{what}"); // `finish` knows the errno
    })?;
    if is_dry_run {
        let _ = print(&boot, &mut out);
    }
    if problems == 0 {
        let count = boot.services.len();
        let _ = writeln!(out, "ok: {count} to boot");
    }
    out.finish().doing("write", "standard output")?;
    Ok(i32::from(problems > 0))
}

fn exists<'a>(path: &str, name: &str, arena: &Arena<'a>) -> bool {
    let path = arena.c_str(&[path.as_bytes(), b"/", name.as_bytes()]);
    path.is_ok_and(|path| fs::accessat(fs::CWD, path, fs::Access::EXISTS, fs::AtFlags::empty()).is_ok())
}

fn print(boot: &Boot<'_>, out: &mut dyn Write) -> fmt::Result {
    for index in boot.order {
        let service = &boot.services[usize::from(*index)];
        let kind = match service.policy.kind {
            Kind::Service => "service",
            Kind::Oneshot => "oneshot",
            Kind::Shutdown => "shutdown",
        };
        write!(out, "{} {kind}", service.id)?;
        let fate = match service.task {
            Task::Broken(_) => " broken",
            _ if !service.is_wanted => " disabled",
            _ => "",
        };
        out.write_str(fate)?;
        if service.policy.is_critical {
            out.write_str(" critical")?;
        }
        after(service, boot, out)?;
        out.write_char('\n')?;
    }
    Ok(())
}

fn after(service: &Service<'_>, boot: &Boot<'_>, out: &mut dyn Write) -> fmt::Result {
    for (number, after) in service.after.iter().enumerate() {
        out.write_str(if number == 0 { " after " } else { ", " })?;
        match after {
            After::Service(other, condition) => write!(out, "{}:{}", boot.services[usize::from(*other)].id, word(*condition))?,
            After::Path(path) => write!(out, "path:{}", path.to_str().unwrap_or_default())?,
            After::Network("") => out.write_str("network")?,
            After::Network(device) => write!(out, "network:{device}")?,
        }
    }
    Ok(())
}

fn word(condition: Condition) -> &'static str {
    match condition {
        Condition::Started => "started",
        Condition::Ready => "ready",
        Condition::Exited => "exited",
        Condition::Failed => "failed",
        Condition::Ended => "ended",
    }
}
