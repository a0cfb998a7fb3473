//! A child, as the parent that made it hears it, helps it and ends it.

use core::ffi::CStr;
use core::fmt::Write;

use super::signal;
use crate::error::{Doing, Error, Fault, Result};
use crate::steps::{cgroup, console, sync};
use crate::sys::{self, AsFd, Errno, OwnedFd, task};

/// Connects to a socket of the caller's, if it named one.
pub(super) fn connect<'a>(path: Option<&'a CStr>, what: &'static str) -> Result<'a, Option<OwnedFd>> {
    path.map(|path| sys::connect(path).doing_at(what, path)).transpose()
}

/// Moves a child that could not be born there, also to what is called `below` in the cgroups of cgroup v1 that `others` names by lines,
/// and lets it go on.
pub(super) fn move_to_cgroup<'a>(
    pid: task::Pid,
    cgroup: Option<&OwnedFd>,
    others: &'a str,
    below: &str,
    channel: &OwnedFd,
) -> Result<'a, ()> {
    if let Some(cgroup) = cgroup {
        let mut text = heapless::String::<12>::new();
        let _ = write!(text, "{}", pid.as_raw_nonzero()); // ten digits at the most
        cgroup::join(cgroup.as_fd(), &text).doing("write", "cgroup.procs")?;
        cgroup::v1::each(others).try_for_each(|path| cgroup::v1::join(path, below, &text).doing("join the cgroup", path))?;
    }
    answer(channel)
}

/// The words are runc's: `standard` for a container's first process, `setns` for a later one.
pub(super) fn send_pidfd<'a>(socket: &OwnedFd, pidfd: Option<&OwnedFd>, word: &[u8]) -> Result<'a, ()> {
    match pidfd {
        Some(pidfd) => sys::send(socket.as_fd(), word, Some(pidfd.as_fd())).doing("send the pidfd", ""),
        None => Err(Error::said("--pidfd-socket: the kernel has no pidfd, it needs Linux 5.3")),
    }
}

/// Kills a child and waits for its end.
pub(super) fn end(pid: task::Pid, pidfd: Option<&OwnedFd>) {
    let _ = sys::send_signal(pid, pidfd.map(AsFd::as_fd), signal::SIGKILL).and_then(|()| match pidfd {
        Some(pidfd) => sys::wait_pidfd(pidfd.as_fd()),
        None => sys::wait_pid(pid),
    });
}

/// What comes from the child.
pub(super) enum Message<'m> {
    /// With the number that the listener of its filter has for it.
    Ready(Option<u32>),
    Master(Option<OwnedFd>),
    /// The namespaces of a staged child are to be set up.
    Maps,
    /// Who the first process of a staged container is.
    Child(task::Pid),
    Hooks,
    NetDevices,
    Fault(Fault, &'m [u8]),
    /// What the host's root would leak is wanted.
    Uncover,
    /// The source of the mount of this index is wanted.
    Source(u16),
    End,
}

/// Waits for its next message.
pub(super) fn receive<'a, 'm>(channel: &OwnedFd, room: &'m mut [u8; sync::MOST_BYTES]) -> Result<'a, Message<'m>> {
    sys::forget_stack(); // the child needs memory now, and works meanwhile
    let mut received = sys::receive(channel.as_fd(), room);
    // That a child has ended without reading all comes before its last words (unix(7)).
    if matches!(received, Err(Errno::CONNRESET)) {
        received = sys::receive(channel.as_fd(), room);
    }
    let (len, fd) = match received {
        Err(Errno::CONNRESET) => (0, None),
        answer => answer.doing("receive", "the container's first process")?,
    };
    let (kind, rest) = room[..len].split_first().unwrap_or((&0, &[]));
    Ok(match *kind {
        0 => Message::End,
        console::MASTER => Message::Master(fd),
        sync::REQUEST_HOOKS => Message::Hooks,
        sync::REQUEST_NET_DEVICES => Message::NetDevices,
        sync::FAULT => sync::read_fault(rest).map_or(Message::End, |(fault, came_along)| Message::Fault(fault, came_along)),
        sync::MAPS => Message::Maps,
        sync::UNCOVER => Message::Uncover,
        sync::SOURCE => rest.first_chunk().map_or(Message::End, |index| Message::Source(u16::from_ne_bytes(*index))),
        sync::CHILD => {
            let pid = rest.first_chunk().and_then(|pid| task::Pid::from_raw(i32::from_ne_bytes(*pid)));
            pid.map_or(Message::End, Message::Child)
        }
        _ => Message::Ready(rest.first_chunk().map(|number| u32::from_ne_bytes(*number))),
    })
}

/// Lets the child go on.
pub(super) fn answer<'a>(channel: &OwnedFd) -> Result<'a, ()> {
    sys::send(channel.as_fd(), &[sync::READY], None).doing("send", "the container's first process")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_words_of_a_child_that_left_something_unread_are_heard() {
        let Ok((ours, theirs)) = sys::pair() else { panic!("no sockets") };
        assert!(sys::send(ours.as_fd(), &[sync::READY], None).is_ok());
        assert!(sys::send(theirs.as_fd(), &[sync::UNCOVER], None).is_ok());
        drop(theirs);
        let mut room = [0; sync::MOST_BYTES];
        assert!(matches!(receive(&ours, &mut room), Ok(Message::Uncover)));
        assert!(matches!(receive(&ours, &mut room), Ok(Message::End)));
    }
}
