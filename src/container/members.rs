//! The processes of a container: those of its cgroup; where it has none, those of a namespace that it shares with nobody.

use core::ffi::CStr;
use core::fmt::Write;
use core::mem::MaybeUninit;

use linux_raw_sys::general as c;

use super::bundle;
use super::state::{self, Directory, Record};
use crate::error::Result;
use crate::mem::Arena;
use crate::names::Namespace;
use crate::names::namespace;
use crate::steps::cgroup;
use crate::sys::{self, AsFd, BorrowedFd, Errno, fs, task};

/// How many times those that are left are looked for: who is killed may have made others meanwhile.
const MOST_ROUNDS: usize = 64;

/// Where a container's processes are to be found.
pub enum Place {
    Cgroup,
    /// In the namespace of the first process whose file in procfs has that name.
    Namespace(&'static str),
    /// It shares all with the host, or with a pod: who belongs to it cannot be told.
    Nowhere,
}

/// Where the processes of that container are.
pub fn place<'a>(record: &Record<'a>, directory: &Directory, arena: &Arena<'a>) -> Result<'a, Place> {
    if !record.cgroup.is_empty() {
        return Ok(Place::Cgroup);
    }
    if !record.shares_pids {
        return Ok(Place::Namespace("pid"));
    }
    // What an ordinary user's container does not say it has all the same: a user namespace of its own.
    let bundle = bundle::kept(directory, record.bundle, arena)?;
    let namespaces = bundle.config.linux.map(|linux| linux.namespaces).unwrap_or_default();
    let written = namespaces.iter().find(|written| namespace(written.kind) == Some(Namespace::User));
    Ok(match written {
        Some(written) if !written.path.is_empty() => Place::Nowhere,
        None if record.uid == 0 => Place::Nowhere,
        _ => Place::Namespace("user"),
    })
}

/// Calls `visit` with each process. Errors: ENOENT or ENODEV once the container has stopped.
pub fn each(place: &Place, record: &Record<'_>, procfs: BorrowedFd<'_>, visit: &mut dyn FnMut(u32)) -> core::result::Result<(), Errno> {
    match place {
        Place::Cgroup => state::open_cgroup_if_any(record)?.map_or(Ok(()), |group| cgroup::each_pid(group.as_fd(), visit)),
        Place::Namespace(kind) => each_in_namespace(kind, record, procfs, visit),
        Place::Nowhere => Err(Errno::NOENT),
    }
}

fn each_in_namespace(
    kind: &str,
    record: &Record<'_>,
    procfs: BorrowedFd<'_>,
    visit: &mut dyn FnMut(u32),
) -> core::result::Result<(), Errno> {
    let own = namespace_of(procfs, record.pid, kind).ok_or(Errno::NOENT)?;
    let list = fs::openat(procfs, c".", fs::OFlags::RDONLY | fs::OFlags::DIRECTORY | fs::OFlags::CLOEXEC, fs::Mode::empty())?;
    let mut room = [MaybeUninit::uninit(); 4096];
    let mut entries = fs::RawDir::new(&list, &mut room);
    while let Some(entry) = entries.next() {
        let pid = entry?.file_name().to_str().ok().and_then(|name| name.parse().ok());
        if let Some(pid) = pid.filter(|pid| namespace_of(procfs, *pid, kind) == Some(own)) {
            visit(pid);
        }
    }
    Ok(())
}

/// A namespace's identity. `None` of a process that has ended, or that is not ours to look at.
fn namespace_of(procfs: BorrowedFd<'_>, pid: u32, kind: &str) -> Option<(u64, u64)> {
    let mut path = heapless::String::<24>::new();
    write!(path, "{pid}/ns/{kind}\0").ok()?; // 10 digits, 8 and NUL always fit
    let status = fs::statat(procfs, CStr::from_bytes_with_nul(path.as_bytes()).ok()?, fs::AtFlags::empty()).ok()?;
    Some((status.st_dev as u64, status.st_ino as u64))
}

/// Sends a signal to all of them but the first process, by SIGKILL until nobody is left: the first holds the namespace that they are found by.
pub fn signal_others(kind: &str, record: &Record<'_>, procfs: BorrowedFd<'_>, signal: i32) {
    let own = namespace_of(procfs, record.pid, kind);
    for _ in 0..if signal == c::SIGKILL as i32 { MOST_ROUNDS } else { 1 } {
        let mut has_sent = false;
        let _ = each_in_namespace(kind, record, procfs, &mut |pid| {
            let Some(process) = i32::try_from(pid).ok().and_then(task::Pid::from_raw).filter(|_| pid != record.pid) else { return };
            let pidfd = task::pidfd_open(process, task::PidfdFlags::empty()).ok();
            // Looked at again behind the handle: a pid may be another process's meanwhile.
            if own.is_some() && namespace_of(procfs, pid, kind) == own {
                has_sent |= sys::send_signal(process, pidfd.as_ref().map(AsFd::as_fd), signal).is_ok();
            }
        }); // who has ended, or never was, needs no signal
        if !has_sent {
            return;
        }
    }
}
