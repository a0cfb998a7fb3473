//! The sentences for what goes wrong with a cgroup: which file, why, and what helps.

use core::ffi::CStr;

use crate::error::{Error, Reason, Result};
use crate::mem::Arena;
use crate::plan::cgroup::{Limit, Rule};
use crate::steps::cgroup::{self, Missing, Trouble};
use crate::sys::{AsFd, Errno};

/// Whether rights are missing.
pub fn is_denied(errno: Errno) -> bool {
    matches!(errno, Errno::ACCESS | Errno::PERM | Errno::ROFS)
}

/// Why the kernel makes no namespaces for the first process.
pub fn no_namespaces<'a>(makes_users: bool, errno: Errno) -> Error<'a> {
    let why = match (makes_users, errno) {
        (true, _) => "user namespaces are not allowed here (user.max_user_namespaces, kernel.apparmor_restrict_unprivileged_userns)",
        (false, Errno::PERM) => "new namespaces take CAP_SYS_ADMIN, or one of type user in linux.namespaces",
        (false, _) => "clone3: the container's first process",
    };
    Error::errno(why, "", errno)
}

/// What went wrong with the cgroup at `path` below `mount`.
pub fn words<'a>(trouble: Trouble<'a>, mount: &'a CStr, path: &'a str, arena: &Arena<'a>) -> Error<'a> {
    sentence(trouble, mount, path, arena).unwrap_or_else(|full| full)
}

fn text(name: &CStr) -> &str {
    name.to_str().unwrap_or_default()
}

fn sentence<'a>(trouble: Trouble<'a>, mount: &'a CStr, below: &'a str, arena: &Arena<'a>) -> Result<'a, Error<'a>> {
    let path = arena.format(format_args!("{}{below}", text(mount)))?;
    Ok(match trouble {
        Trouble::Directory(Errno::OPNOTSUPP) => Error::text("make the cgroup", path, odd_type(path, arena)?),
        Trouble::Directory(Errno::ROFS) => {
            Error::text("make the cgroup", path, "read-only file system: mount it read-write, or use --cgroup-manager=disabled")
        }
        Trouble::Directory(errno) => Error::errno("make the cgroup", path, errno),
        Trouble::NotEmpty(count) => Error::text(
            arena.format(format_args!("container's cgroup is not empty: {count} process(es) found"))?,
            arena.format(format_args!("{path}/cgroup.procs"))?,
            "end or move them, or choose another linux.cgroupsPath",
        ),
        Trouble::Frozen => {
            Error::text("container's cgroup unexpectedly frozen", freezer(path, arena)?, "thaw it, or choose another linux.cgroupsPath")
        }
        Trouble::Devices(Errno::INVAL | Errno::NOSYS | Errno::BADF) => Error::text(
            "linux.resources.devices",
            path,
            "the kernel cannot guard devices by eBPF: it needs CONFIG_BPF_SYSCALL and CONFIG_CGROUP_BPF, or --device-fallback",
        ),
        Trouble::Devices(errno) => Error::errno("linux.resources.devices: load and attach the eBPF program", path, errno),
        Trouble::InUse(limit, usage) => {
            let (name, value) = (text(limit.setting.file), limit.setting.value);
            Error::text(
                arena.format(format_args!("rejecting {name} limit {value} <= usage {usage}"))?,
                path,
                "ask for more, or leave out memory.checkBeforeUpdate",
            )
        }
        Trouble::Limit(limit, Errno::NOENT) => missing(&limit, mount, below, arena)?,
        Trouble::Limit(limit, errno) => {
            let file = text(limit.setting.file);
            let what = match limit.rule {
                Rule::Unified => arena.format(format_args!("unable to set unified resource \"{file}\" to \"{}\"", limit.setting.value))?,
                _ => arena.format(format_args!("write \"{}\" to {file}", limit.setting.value))?,
            };
            match errno {
                Errno::BUSY if file.ends_with("limit_in_bytes") => {
                    Error::text(what, path, "device or resource busy: more than that is in use")
                }
                errno => Error::errno(what, path, errno),
            }
        }
    })
}

fn missing<'a>(limit: &Limit<'a>, mount: &'a CStr, below: &'a str, arena: &Arena<'a>) -> Result<'a, Error<'a>> {
    let path = arena.format(format_args!("{}{below}", text(mount)))?;
    let file = text(limit.setting.file);
    let controller = file.split('.').next().unwrap_or_default();
    let what = match limit.rule {
        Rule::Unified => {
            arena.format(format_args!("unified resource \"{file}\" can't be set: controller \"{controller}\" not available: {path}"))?
        }
        _ => arena.format(format_args!("cgroup {path}: {file}"))?,
    };
    let why = match cgroup::why_missing(mount, below, limit.setting.file) {
        Missing::File => "no such file",
        Missing::Kernel => "the kernel has no such controller for cgroup v2: it is not built in, or cgroup v1 has it",
        Missing::Refused(level, errno) => {
            let hint = if errno == Errno::BUSY { " (processes live there: move them into a cgroup below it)" } else { "" };
            let mount = text(mount);
            arena.format(format_args!("write \"+{controller}\" to {mount}{level}/cgroup.subtree_control: {}{hint}", Reason(errno)))?
        }
    };
    Ok(Error::text(what, "", why))
}

/// What a process was not let into a cgroup for.
pub fn not_let_in<'a>(path: &'a CStr, arena: &Arena<'a>) -> Result<'a, Error<'a>> {
    let path = text(path);
    Ok(Error::text("join the cgroup", path, odd_type(path, arena)?))
}

/// The file by which it is thawed.
fn freezer<'a>(path: &str, arena: &Arena<'a>) -> Result<'a, &'a str> {
    let is_v2 = matches!(cgroup::open(arena.c_str(&[path.as_bytes(), b"/cgroup.freeze"])?), Err(Errno::NOTDIR));
    Ok(arena.format(format_args!("{path}/{}", if is_v2 { "cgroup.freeze" } else { "freezer.state" }))?)
}

fn odd_type<'a>(path: &str, arena: &Arena<'a>) -> Result<'a, &'a str> {
    let mut buffer = [0; 32];
    let opened = cgroup::open(arena.c_str(&[path.as_bytes()])?);
    let read = opened.and_then(|cgroup| cgroup::read_file(cgroup.as_fd(), c"cgroup.type", &mut buffer).map(<[u8]>::len));
    let kind = core::str::from_utf8(&buffer[..read.unwrap_or(0)]).unwrap_or_default().trim_end();
    Ok(arena.format(format_args!(
        "it is of the type \"{kind}\": a container needs a \"domain\" cgroup, so none of its ancestors may be threaded (cgroup.type)"
    ))?)
}
