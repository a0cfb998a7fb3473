//! The filter of system calls, as the parent sees it: what the log is told of it, and its listener on the way to whoever decides.

use crate::error::{Doing, Error, Result};
use crate::log::{JsonString, Log};
use crate::mem::Arena;
use crate::plan::Plan;
use crate::plan::hooks::About;
use crate::plan::seccomp::{Listener, each_unknown_name};
use crate::spec::{self, Config};
use crate::sys::{self, AsFd, OwnedFd, task};

/// For who looks for the reason of a refused call. The words about the flags are runc's: its tests read them.
pub fn tell(config: &Config<'_>, plan: &Plan<'_>, log: &Log) {
    let profile = config.linux.as_ref().and_then(|linux| linux.seccomp.as_ref());
    let (Some(filter), Some(profile), true) = (&plan.seccomp, profile, log.is_debug()) else { return };
    log.debug(format_args!("seccomp filter flags: {}", filter.flags));
    log.debug(format_args!("seccomp filter instructions: {}", filter.program.len()));
    each_unknown_name(profile, &mut |_, _, name| log.debug(format_args!("unknown seccomp syscall \"{name}\" ignored")));
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
    let fd = sys::take_descriptor(pidfd.as_fd(), process.number).doing("linux.seccomp: take the listener from the process", "")?;
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
