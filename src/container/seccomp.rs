//! The filter of system calls, as the parent sees it: what the log is told of it, and its listener on the way to whoever decides.

use super::bundle;
use super::digest::Digest;
use crate::error::{Doing, Error, Result};
use crate::json;
use crate::log::{JsonString, Log};
use crate::mem::Arena;
use crate::names::subjects;
use crate::plan::Plan;
use crate::plan::hooks::About;
use crate::plan::mounts::absolute;
use crate::plan::seccomp::{Listener, each_unknown_name};
use crate::spec::{self, Config};
use crate::sys::{self, AsFd, BorrowedFd, Errno, OwnedFd, fs, task};

/// For who looks for the reason of a refused call. The words about the flags are runc's: its tests read them.
pub fn tell(config: &Config<'_>, plan: &Plan<'_>, log: &Log) {
    let profile = config.linux.as_ref().and_then(|linux| linux.seccomp.as_ref());
    let (Some(filter), Some(profile), true) = (&plan.seccomp, profile, log.is_debug()) else { return };
    log.debug(format_args!("seccomp filter flags: {}", filter.flags));
    log.debug(format_args!("seccomp filter instructions: {}", filter.program.len()));
    if subjects::SECCOMP {
        each_unknown_name(profile, &mut |_, _, name| log.debug(format_args!("unknown seccomp syscall \"{name}\" ignored")));
    }
}

/// Whose filter it is.
#[derive(Clone, Copy)]
pub struct Process<'p> {
    /// As the runtime numbers it.
    pub pid: task::Pid,
    /// The same as a handle.
    pub pidfd: Option<&'p OwnedFd>,
    /// The listener's descriptor, as the process numbers it.
    pub number: u32,
    /// The container's status.
    pub status: &'static str,
    /// The container's first process.
    pub first: task::Pid,
}

/// Takes the listener from the process, and sends it with the container process state of the specification (config-linux.md).
///
/// Mustn't: have the process send it, whose call the filter could hand to somebody who has no listener yet.
pub fn hand_over<'a>(listener: &Listener<'_>, process: &Process<'_>, about: &About<'_>, arena: &Arena<'a>) -> Result<'a, ()> {
    let pidfd = process.pidfd.ok_or(Error::said("linux.seccomp.listenerPath: the kernel has no pidfd, it needs Linux 5.6"))?;
    let fd = take_listener(pidfd.as_fd(), process.number)?;
    let path = arena.c_str(&[listener.path.as_bytes()])?;
    let socket = sys::connect(path).doing_at("linux.seccomp.listenerPath: connect", path)?;
    let About { head, tail } = about;
    let pid = process.pid.as_raw_nonzero();
    let metadata = match listener.metadata {
        "" => "",
        metadata => arena.format(format_args!(",\"metadata\":{}", JsonString(metadata)))?,
    };
    let state = arena.format(format_args!(
        "{{\"ociVersion\":\"{}\",\"fds\":[\"seccompFd\"],\"pid\":{pid}{metadata},\"state\":{head}{}\",\"pid\":{}{tail}}}",
        spec::VERSION,
        process.status,
        process.first.as_raw_nonzero()
    ))?;
    sys::send(socket.as_fd(), state.as_bytes(), Some(fd.as_fd())).doing_at("linux.seccomp.listenerPath: send", path)
}

/// Takes the listener from a process that has the filter. Where an ordinary user's container runs already, others in it could use the moment
/// in which that is allowed: then only root may.
pub fn take_listener<'a>(pidfd: BorrowedFd<'_>, number: u32) -> Result<'a, OwnedFd> {
    const DOING: &str = "linux.seccomp: take the listener from the process";
    match sys::take_descriptor(pidfd, number) {
        Err(Errno::PERM) => Err(Error::text(DOING, "", "only root may where it joins a container or a pid namespace")),
        taken => taken.doing(DOING, ""),
    }
}

/// The annotation that names a compiled filter: `PATH@sha256:DIGEST`, the path seen from the bundle.
pub const BLOB: &str = "org.ocinit.seccomp.bpf";

/// Reads the filter that the annotation names. Errors: it is not there, or its digest is another.
pub fn blob<'a>(config: &Config<'a>, bundle: &str, arena: &Arena<'a>) -> Result<'a, Option<&'a [u8]>> {
    let Some(value) = config.annotation(BLOB) else { return Ok(None) };
    let wrong = |why| Error::text(BLOB, value, why);
    let (path, digest) = value.split_once("@sha256:").ok_or(wrong("wants PATH@sha256:DIGEST"))?;
    let bytes = bundle::read(fs::CWD, absolute(bundle, path, arena)?)?;
    let found = arena.format(format_args!("{}", Digest(bytes)))?;
    if digest.eq_ignore_ascii_case(found) { Ok(Some(bytes)) } else { Err(wrong(arena.format(format_args!("its digest is {found}"))?)) }
}

/// What `seccomp show` and `seccomp compile` are given.
pub enum Written<'a> {
    /// A profile: of a bundle's config.json, or in a file of its own.
    Profile(&'a spec::Seccomp<'a>),
    /// A filter that is compiled already.
    Program(&'a [u64]),
}

/// Reads a bundle, a profile or a filter, whatever lies at `path`; what it is read into is the arena of the second value.
pub fn read<'a>(path: &'a core::ffi::CStr, arena: &Arena<'a>) -> Result<'a, (Written<'a>, Arena<'a>)> {
    let name = path.to_str().unwrap_or_default();
    let is_directory = fs::statat(fs::CWD, path, fs::AtFlags::empty()).doing_at("stat", path)?.st_mode & 0o170_000 == 0o040_000;
    let path = if is_directory { arena.c_str(&[path.to_bytes(), b"/config.json"])? } else { path };
    let text = bundle::read(fs::CWD, path)?;
    let room = spec::arena_bytes(text.len()) + text.len() + 4 * crate::plan::seccomp::BYTES;
    let memory = Arena::over(sys::map_anonymous(room).doing("mmap", "memory for the profile")?);
    let described = |error: json::Error<'_>| {
        let said = arena.format(format_args!("{}: {error}", path.to_str().unwrap_or_default()));
        said.map_or_else(Error::from, Error::said)
    };
    if is_directory {
        let (config, _) = json::read::<Config<'a>>(text, &memory).map_err(described)?;
        let profile = config.linux.and_then(|linux| linux.seccomp);
        let profile = profile.ok_or(Error::text(name, "linux.seccomp", "the bundle has no profile"))?;
        return Ok((Written::Profile(memory.put(profile)?), memory));
    }
    if text.trim_ascii_start().first() == Some(&b'{') {
        let (profile, _) = json::read::<spec::Seccomp<'a>>(text, &memory).map_err(described)?;
        return Ok((Written::Profile(memory.put(profile)?), memory));
    }
    let program = crate::plan::seccomp::precompiled(text, None, &memory)?.program;
    Ok((Written::Program(program), memory))
}
