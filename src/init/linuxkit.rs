//! What LinuxKit's trees want besides their config.json: a root file system of layers, and what runtime.json says. For children of PID 1.
//!
//! What is mounted stays: a container that is started again finds what it wrote, until the machine is booted anew.

use linux_raw_sys::general::{MS_BIND, MS_REMOUNT};

use super::{early, read};
use crate::container::trust;
use crate::error::{Doing, Error, Result};
use crate::json;
use crate::mem::{Arena, List};
use crate::names::{MountOption, mount_option};
use crate::plan::mounts::Commas;
use crate::spec;
use crate::spec::Entry;
use crate::spec::linuxkit::Runtime;
use crate::sys::{self, AsFd, Errno, fs};

/// A longer runtime.json is none.
const MOST_BYTES: usize = 1 << 20;

/// Names of namespaces, and the files to mount them on.
pub type Namespaces<'a> = List<'a, Entry<'a, &'a str>>;

/// Makes what a bundle wants to be there before it is created. A bundle that says nothing of the kind wants nothing. It acts on the host's
/// files, and no signature or pin covers it: where config.json must have one (`is_pinned`: it has), it is refused.
pub fn prepare<'a>(bundle: &'a str, is_pinned: bool, arena: &Arena<'a>) -> Result<'a, Namespaces<'a>> {
    let file = arena.format(format_args!("{bundle}/runtime.json"))?;
    let runtime = match read::read(arena.c_str(&[file.as_bytes()])?, MOST_BYTES) {
        Ok(_) if is_pinned || trust::is_demanded() => {
            return Err(Error::text("runtime.json", file, "is covered neither by config.json's signature nor by its pin"));
        }
        Ok(text) => {
            let memory = Arena::over(sys::map_anonymous(spec::arena_bytes(text.len())).doing("mmap", "memory for runtime.json")?);
            let parsed = json::read::<Runtime<'a>>(text, &memory);
            parsed
                .map(|(runtime, _)| *runtime)
                .map_err(|error| Error::said(arena.format(format_args!("{file}: {error}")).unwrap_or(file)))?
        }
        Err(Errno::NOENT) => Runtime::default(),
        Err(errno) => return Err(Error::errno("read", file, errno)),
    };
    if !runtime.interfaces.is_empty() {
        return Err(Error::text("runtime.json", "interfaces", "is not known here: linux.netDevices of config.json moves devices in"));
    }
    let lower = arena.c_str(&[bundle.as_bytes(), b"/lower"])?;
    if runtime.mounts.is_empty() && !trust::is_demanded() && fs::accessat(fs::CWD, lower, fs::Access::EXISTS, fs::AtFlags::empty()).is_ok()
    {
        layers(bundle, arena)?;
    }
    for one in &runtime.mounts {
        mount(bundle, one, arena)?;
    }
    for directory in &runtime.mkdir {
        early::make_directories(absolute(bundle, directory, arena)?, arena)?;
    }
    for group in &runtime.cgroups {
        early::make_directories(arena.format(format_args!("/sys/fs/cgroup/{}", group.trim_start_matches('/')))?, arena)?;
    }
    Ok(runtime.bind_ns)
}

/// As LinuxKit did it before it wrote the mounts down.
fn layers<'a>(bundle: &'a str, arena: &Arena<'a>) -> Result<'a, ()> {
    let mut of_tmpfs = List::default();
    of_tmpfs.push(arena, "size=10%")?;
    let mut of_overlay = List::default();
    for (key, place) in [("lowerdir", "lower"), ("upperdir", "tmp/upper"), ("workdir", "tmp/work")] {
        of_overlay.push(arena, arena.format(format_args!("{key}={bundle}/{place}"))?)?;
    }
    for (kind, place, options) in [("tmpfs", "tmp", of_tmpfs), ("overlay", "rootfs", of_overlay)] {
        let destination = arena.format(format_args!("{bundle}/{place}"))?;
        mount(bundle, &spec::Mount { destination, kind, source: kind, options, ..Default::default() }, arena)?;
    }
    Ok(())
}

/// Paths are those of the host, or lie in the container's root.
fn absolute<'a>(bundle: &str, path: &'a str, arena: &Arena<'a>) -> Result<'a, &'a str> {
    if path.starts_with('/') { Ok(path) } else { Ok(arena.format(format_args!("{bundle}/rootfs/{path}"))?) }
}

fn mount<'a>(bundle: &str, mount: &spec::Mount<'a>, arena: &Arena<'a>) -> Result<'a, ()> {
    let (mut flags, mut data) = (0, List::default());
    for option in &mount.options {
        match mount_option(option) {
            Some(MountOption::Flag { set, clear }) => flags = flags & !clear | set,
            Some(MountOption::Propagation(set)) => flags |= set,
            _ => data.push(arena, *option)?,
        }
    }
    let target = absolute(bundle, mount.destination, arena)?;
    let source = arena.c_str(&[mount.source.as_bytes()])?;
    // A root that lies where it is to be is as good as one that is mounted there.
    if flags & MS_BIND != 0 && mount.source == target {
        return Ok(());
    }
    early::make_directories(target, arena)?;
    let path = arena.c_str(&[target.as_bytes()])?;
    if flags & MS_REMOUNT == 0 && is_mount_point(path) {
        return Ok(());
    }
    for option in &data {
        if let Some(("upperdir" | "workdir", directory)) = option.split_once('=') {
            early::make_directories(directory, arena)?;
        }
    }
    let data = arena.format(format_args!("{}", Commas(data)))?;
    let mounted = sys::mount(source, path, arena.c_str(&[mount.kind.as_bytes()])?, flags, arena.c_str(&[data.as_bytes()])?);
    mounted.doing_at("mount", path)
}

fn is_mount_point(path: &core::ffi::CStr) -> bool {
    let flags = fs::OFlags::PATH | fs::OFlags::NOFOLLOW | fs::OFlags::CLOEXEC;
    let about = fs::open(path, flags, fs::Mode::empty()).and_then(|file| sys::about(file.as_fd()));
    about.is_ok_and(|about| about.is_mount_root == Some(true))
}

/// Mounts the namespaces of a container's first process on the files that its runtime.json names.
pub fn bind_namespaces<'a>(files: Namespaces<'a>, pid: u32, arena: &Arena<'a>) -> Result<'a, ()> {
    for Entry { key: name, value: file } in files.iter().filter(|entry| !entry.value.is_empty()) {
        if let Some((directory, _)) = file.rsplit_once('/') {
            early::make_directories(directory, arena)?;
        }
        let target = arena.c_str(&[file.as_bytes()])?;
        let _ = sys::unmount(target, true); // of the container before
        let flags = fs::OFlags::WRONLY | fs::OFlags::CREATE | fs::OFlags::CLOEXEC;
        fs::open(target, flags, fs::Mode::from_raw_mode(0o600)).doing_at("create", target)?;
        let source = arena.format_c(format_args!("/proc/{pid}/ns/{name}"))?;
        sys::mount(source, target, c"", MS_BIND, c"").doing_at("mount", target)?;
    }
    Ok(())
}
