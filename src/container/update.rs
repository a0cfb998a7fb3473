//! `update`: new limits and device rules for a container that was created or runs; if one of them is refused, all are as before.

use core::ffi::CStr;

use super::state::{self, Directory, Status};
use super::{facts, rdt, systemd, trouble};
use crate::error::{Error, Result};
use crate::json;
use crate::log::Log;
use crate::mem::{Arena, List};
use crate::plan::cgroup::v1::{Hierarchy, Place, Places};
use crate::plan::cgroup::{self as plan_cgroup, Current, Rule, Update, undoing, undoing_devices, update as plan_update};
use crate::plan::{Setting, check};
use crate::spec::{self, Resources};
use crate::steps::cgroup::{self, Trouble};
use crate::sys::{self, AsFd, BorrowedFd, OwnedFd, fs, task};

/// Changes what `resources` says, and writes `schemata` for its resctrl group unless empty. Errors: `container not running`.
pub fn update<'a>(
    root: &'a CStr,
    id: &'a str,
    resources: &Resources<'a>,
    schemata: &'a str,
    log: &Log,
    arena: &Arena<'a>,
) -> Result<'a, ()> {
    let directory = Directory::open(root, id)?;
    directory.lock()?;
    let record = directory.read(arena)?;
    let procfs = facts::open_procfs()?;
    if state::status(&record, &directory, procfs.as_fd()) == Status::Stopped {
        return Err(Error::said("container not running"));
    }
    judge(resources, log, arena)?;
    let opened = state::open_cgroup(&record)?;
    let current = Current { cpu_max: read(opened.as_fd(), c"cpu.max", arena)?, memory_max: read(opened.as_fd(), c"memory.max", arena)? };
    let places = places(&record, procfs.as_fd(), arena)?;
    let planned = plan_update(resources, &current, &places, arena)?;
    let before = before(opened.as_fd(), &planned, arena)?;
    let shared_before = rdt::change(&record, schemata, arena)?;
    let done = match change(opened.as_fd(), &planned) {
        Ok(()) => tell_systemd(&record, resources, arena),
        Err(trouble) => {
            let mount = facts::cgroup_mount(procfs.as_fd(), arena)?.unwrap_or_default();
            let path = record.cgroup.strip_prefix(mount).unwrap_or(record.cgroup);
            Err(trouble::words(trouble, arena.c_str(&[mount.as_bytes()])?, path, arena))
        }
    };
    if done.is_err() {
        before.iter().for_each(|setting| put_back(opened.as_fd(), setting));
        let _ = rdt::change(&record, shared_before, arena); // the first error is the one that is told
    }
    done
}

/// Where the container is in cgroup v1.
fn places<'a>(record: &state::Record<'a>, procfs: BorrowedFd<'_>, arena: &Arena<'a>) -> Result<'a, Places<'a>> {
    let mut places = Places::default();
    for Hierarchy { mount, controllers, .. } in &facts::v1_hierarchies(facts::cgroup_mount(procfs, arena)?, procfs, arena)? {
        let mut paths = cgroup::v1::each(record.others).chain([record.cgroup]);
        let below = paths.find_map(|path| path.strip_prefix(mount).filter(|below| below.starts_with('/')));
        if let Some(below) = below {
            places.list.push(arena, Place { controllers, mount, below })?;
        }
    }
    Ok(places)
}

/// What a unit's properties say holds again after the manager was reloaded.
fn tell_systemd<'a>(record: &state::Record<'a>, resources: &Resources<'a>, arena: &Arena<'a>) -> Result<'a, ()> {
    if record.systemd.is_empty() {
        return Ok(());
    }
    let unit = record.cgroup.rsplit('/').next().unwrap_or_default();
    let properties = plan_cgroup::properties_of_limits(resources, arena)?;
    systemd::change(unit, &properties, arena.c_str(&[record.systemd.as_bytes()])?, arena)
}

/// What `check` would say of them.
fn judge<'a>(resources: &Resources<'a>, log: &Log, arena: &Arena<'a>) -> Result<'a, ()> {
    let mut first = Ok(());
    check::resources(resources, &mut |problem| match problem.severity {
        check::Severity::Error if first.is_ok() => {
            first = Err(arena.format(format_args!("{problem}")).map_or_else(Error::from, Error::said));
        }
        check::Severity::Error => {}
        check::Severity::Warning => log.warning(format_args!("{problem}")),
    });
    first
}

/// What undoes it, the last first.
fn before<'a>(cgroup: BorrowedFd<'_>, planned: &Update<'a>, arena: &Arena<'a>) -> Result<'a, List<'a, Setting<'a>>> {
    let mut backwards = List::default();
    for index in (0..planned.limits.len()).rev() {
        let Some(limit) = planned.limits.get(index).filter(|limit| limit.rule != Rule::AboveUse) else { continue };
        let old = read(cgroup, limit.setting.file, arena)?;
        if !old.is_empty() {
            backwards.push(arena, Setting { file: limit.setting.file, value: undoing(limit, old, arena)? })?;
        }
    }
    if let Some(denied) = planned.limits.iter().find(|limit| limit.setting.file.to_bytes().ends_with(b"/devices.deny")) {
        let place = denied.setting.file.to_bytes().strip_suffix(b".deny").unwrap_or_default();
        let list = read(cgroup, arena.c_str(&[place, b".list"])?, arena)?;
        undoing_devices(list, denied.setting.file, arena.c_str(&[place, b".allow"])?, &mut backwards, arena)?;
    }
    Ok(backwards)
}

/// What cannot be put back is not told: the first error is.
fn put_back(cgroup: BorrowedFd<'_>, setting: &Setting<'_>) {
    let refused = cgroup::write_file(cgroup, setting.file, setting.value.as_bytes()).is_err();
    // The kernel does not empty a cpuset in which somebody lives; all that the parent has means the same.
    let parents = match setting.file {
        file if file == c"cpuset.cpus" => c"../cpuset.cpus.effective",
        file if file == c"cpuset.mems" => c"../cpuset.mems.effective",
        _ => return,
    };
    let mut buffer = [0; 4096];
    if refused && let Ok(all) = cgroup::read_file(cgroup, parents, &mut buffer) {
        let _ = cgroup::write_file(cgroup, setting.file, all);
    }
}

/// The devices last: to attach a program is the one thing that cannot be half done.
fn change<'a>(opened: BorrowedFd<'_>, planned: &Update<'a>) -> core::result::Result<(), Trouble<'a>> {
    cgroup::apply(opened, planned.limits.iter())?;
    planned.device_program.map_or(Ok(()), |program| cgroup::guard_devices_anew(opened, program))
}

fn read<'a>(cgroup: BorrowedFd<'_>, name: &CStr, arena: &Arena<'a>) -> Result<'a, &'a str> {
    let mut buffer = [0; 4096];
    let text = cgroup::read_file(cgroup, name, &mut buffer).unwrap_or_default();
    Ok(arena.format(format_args!("{}", core::str::from_utf8(text).unwrap_or_default()))?)
}

/// A larger `--resources` is none.
const MOST_BYTES: usize = 1 << 20;

/// Reads `--resources`: a file, or standard input if it is called `-`.
pub fn read_resources<'a>(path: &'a CStr, arena: &Arena<'a>) -> Result<'a, Resources<'a>> {
    let text = sys::map_anonymous(MOST_BYTES).map_err(Error::on("mmap", "memory for the resources"))?;
    let file: OwnedFd;
    let source = if path == c"-" {
        task::stdin()
    } else {
        file = fs::open(path, fs::OFlags::RDONLY | fs::OFlags::CLOEXEC, fs::Mode::empty()).map_err(Error::at("open", path))?;
        file.as_fd()
    };
    let mut len = 0;
    loop {
        match fs::read(source, &mut text[len..]).map_err(Error::at("read", path))? {
            0 if len == MOST_BYTES => return Err(Error::at("read", path)(sys::Errno::FBIG)),
            0 => break,
            read => len += read,
        }
    }
    let memory: Arena<'a> = Arena::over(sys::map_anonymous(spec::arena_bytes(len)).map_err(Error::on("mmap", "memory for the resources"))?);
    let (resources, _) = json::read::<Resources<'a>>(&text[..len], &memory)
        .map_err(|error| arena.format(format_args!("{error}")).map_or_else(Error::from, |why| Error::text("resources", "", why)))?;
    Ok(*resources)
}
