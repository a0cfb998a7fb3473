//! The resctrl group of a container: made or found, given its share and its first process, and taken away with the container.

use core::ffi::CStr;

use super::state::Record;
use crate::error::{Error, Result};
use crate::mem::{Arena, PathBuffer};
use crate::names::subjects::INTEL_RDT;
use crate::plan::rdt::{LAST_STATUS, Rdt};
use crate::sys::{Errno, fs, task};

/// Makes what is to be made, and puts the process in it; its children follow.
pub fn apply<'a>(rdt: &Rdt<'a>, pid: task::Pid, arena: &Arena<'a>) -> Result<'a, ()> {
    if !INTEL_RDT {
        return Ok(());
    }
    if rdt.must_exist {
        let missing = "clos dir not accessible (must be pre-created when no schema is given)";
        fs::statat(fs::CWD, rdt.group, fs::AtFlags::empty()).map_err(Error::on(missing, shown(rdt.group)))?;
    }
    make(rdt.group)?;
    let pid = arena.format(format_args!("{}\n", pid.as_raw_nonzero()))?;
    write(rdt.status, rdt.group, b"/tasks", pid, arena)?;
    if let Some(monitor) = rdt.monitor {
        make(monitor)?;
        write(rdt.status, monitor, b"/tasks", pid, arena)?;
    }
    if rdt.schemata.is_empty() { Ok(()) } else { write(rdt.status, rdt.group, b"/schemata", rdt.schemata, arena) }
}

/// Puts another process where the container's first one is: for `exec`.
pub fn join<'a>(record: &Record<'a>, pid: task::Pid, arena: &Arena<'a>) -> Result<'a, ()> {
    if !INTEL_RDT {
        return Ok(());
    }
    let pid = arena.format(format_args!("{}\n", pid.as_raw_nonzero()))?;
    for group in [record.resctrl, record.resctrl_monitor].into_iter().filter(|group| !group.is_empty()) {
        let file = arena.c_str(&[group.as_bytes(), b"/tasks"])?;
        write_file(file, pid).map_err(Error::at("write", file))?;
    }
    Ok(())
}

/// Shares out anew, unless nothing is asked for; returns what would bring back what was before.
pub fn change<'a>(record: &Record<'a>, schemata: &str, arena: &Arena<'a>) -> Result<'a, &'a str> {
    if schemata.is_empty() {
        return Ok("");
    }
    let Some((mount, _)) = record.resctrl.rsplit_once('/') else {
        return Err(Error::said("Intel RDT is not enabled for the container: its config.json has no linux.intelRdt"));
    };
    let group = arena.c_str(&[record.resctrl.as_bytes()])?;
    let mut room = [0; 4096];
    let file = arena.c_str(&[group.to_bytes(), b"/schemata"])?;
    let len = read(file, &mut room).map_err(Error::at("read", file))?;
    let before = arena.format(format_args!("{}", core::str::from_utf8(&room[..len]).unwrap_or_default()))?;
    write(arena.c_str(&[mount.as_bytes(), LAST_STATUS])?, group, b"/schemata", schemata, arena)?;
    Ok(before)
}

/// Removes what goes with the container.
pub fn remove<'a>(record: &Record<'a>) -> Result<'a, ()> {
    if !INTEL_RDT {
        return Ok(());
    }
    remove_group(record.resctrl_monitor)?;
    if record.resctrl_is_own { remove_group(record.resctrl) } else { Ok(()) }
}

/// The same from the plan.
pub fn remove_of_plan(rdt: Option<Rdt<'static>>) -> Result<'static, ()> {
    if !INTEL_RDT {
        return Ok(());
    }
    let Some(rdt) = rdt else { return Ok(()) };
    remove_group(rdt.monitor.map_or("", shown))?;
    if rdt.is_own { remove_group(shown(rdt.group)) } else { Ok(()) }
}

/// One that is gone or was never there is no trouble.
fn remove_group<'a>(group: &'a str) -> Result<'a, ()> {
    let mut path = PathBuffer::new();
    if group.is_empty() || !path.set(&[group.as_bytes()]) {
        return Ok(());
    }
    match fs::unlinkat(fs::CWD, path.as_c_str(), fs::AtFlags::REMOVEDIR) {
        Err(Errno::NOENT) | Ok(()) => Ok(()),
        Err(errno) => Err(Error::errno("remove the resctrl group", group, errno)),
    }
}

fn shown(path: &CStr) -> &str {
    path.to_str().unwrap_or_default()
}

fn make<'a>(group: &'a CStr) -> Result<'a, ()> {
    match fs::mkdirat(fs::CWD, group, fs::Mode::from_raw_mode(0o755)) {
        Err(Errno::EXIST) | Ok(()) => Ok(()),
        Err(errno) => Err(Error::errno("make the resctrl group", shown(group), errno)),
    }
}

/// `status` says more about a refusal than an errno can.
fn write<'a>(status: &CStr, group: &'a CStr, name: &[u8], text: &str, arena: &Arena<'a>) -> Result<'a, ()> {
    let file = arena.c_str(&[group.to_bytes(), name])?;
    let Err(errno) = write_file(file, text) else { return Ok(()) };
    let mut room = [0; 256];
    let len = read(status, &mut room).unwrap_or(0);
    let status = core::str::from_utf8(&room[..len]).unwrap_or_default().trim_ascii();
    let what = arena.format(format_args!("linux.intelRdt: write {} ({status})", shown(file)))?;
    Err(Error::errno(what, "", errno))
}

fn read(file: &CStr, room: &mut [u8]) -> core::result::Result<usize, Errno> {
    let file = fs::open(file, fs::OFlags::RDONLY | fs::OFlags::CLOEXEC, fs::Mode::empty())?;
    fs::read(&file, room)
}

fn write_file(file: &CStr, text: &str) -> core::result::Result<(), Errno> {
    let flags = fs::OFlags::WRONLY | fs::OFlags::NOFOLLOW | fs::OFlags::CLOEXEC;
    let file = fs::open(file, flags, fs::Mode::empty())?;
    match fs::write(&file, text.as_bytes())? {
        len if len == text.len() => Ok(()),
        _ => Err(Errno::IO),
    }
}
