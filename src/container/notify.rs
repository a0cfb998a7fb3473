//! sd_notify(3) for a container: what it says at a socket of its own is passed on to the service manager of whoever called us.
//!
//! Must: pass on only what is said of a service's state, and pids as the host numbers them. Mustn't: ever wait for the service manager
//! while the container is looked after.

use core::ffi::CStr;
use core::fmt::Write;

use super::bundle::Bundle;
use super::create::Notify;
use super::facts;
use super::state::Directory;
use crate::error::{Doing, Result};
use crate::mem::List;
use crate::spec;
use crate::steps::cgroup;
use crate::sys::{self, AsFd, AsRawFd, BorrowedFd, Errno, OwnedFd, fs, task};

/// What a service says of its state (sd_notify(3)). Not what asks the manager to keep something, FDSTORE=1 and the like.
const PASSED_ON: [&[u8]; 10] = [
    b"READY=",
    b"RELOADING=",
    b"STOPPING=",
    b"STATUS=",
    b"ERRNO=",
    b"BUSERROR=",
    b"WATCHDOG=",
    b"WATCHDOG_USEC=",
    b"EXTEND_TIMEOUT_USEC=",
    b"MONOTONIC_USEC=",
];
const MAINPID: &[u8] = b"MAINPID=";
const BARRIER: &[u8] = b"BARRIER=1";

/// Longer messages are not passed on; systemd takes no longer ones either (NOTIFY_BUFFER_MAX).
const MOST_BYTES: usize = 4096;

/// How many messages are passed on before the rest of the container's life is looked at again.
const MOST_AT_ONCE: usize = 16;

/// As long as runc waits for the answer to a barrier.
const BARRIER_MS: u64 = 30_000;

/// The socket of a container, and that of the service manager.
pub struct Proxy {
    socket: OwnedFd,
    manager: OwnedFd,
}

impl Proxy {
    /// Makes the container's socket in its state directory, and connects to the manager's: a path, or `@` and an abstract name.
    pub fn open<'a>(directory: &Directory, manager: &'a CStr) -> Result<'a, Proxy> {
        let mut path = heapless::String::<40>::new();
        let _ = write!(path, "/proc/self/fd/{}/notify\0", directory.as_fd().as_raw_fd()); // ten digits fit; short, whatever --root is
        let path = CStr::from_bytes_with_nul(path.as_bytes()).unwrap_or(c"");
        let _ = fs::unlinkat(directory.as_fd(), c"notify/notify.sock", fs::AtFlags::empty()); // of a call before, which ended early
        let socket = sys::listen_for_messages(path).doing("make the socket for NOTIFY_SOCKET", "")?;
        let manager = sys::connect_for_messages(manager).doing_at("connect to NOTIFY_SOCKET", manager)?;
        Ok(Proxy { socket, manager })
    }

    /// Where messages arrive.
    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Passes on what has arrived from the container in the cgroup.
    pub fn pass_on(&self, cgroup: Option<&CStr>) {
        let mut message = [0; MOST_BYTES];
        for _ in 0..MOST_AT_ONCE {
            let Ok((len, fd)) = sys::receive(self.socket.as_fd(), &mut message) else { return };
            let mut passed = heapless::Vec::<u8, { MOST_BYTES + 16 }>::new();
            for line in message[..len].split(|byte| *byte == b'\n') {
                if let Some(pid) = line.strip_prefix(MAINPID).and_then(|pid| on_the_host(pid, cgroup?)) {
                    main_pid(pid, &mut passed);
                } else if PASSED_ON.iter().any(|start| line.starts_with(start)) || line == BARRIER && fd.is_some() {
                    let _ = passed.extend_from_slice(line).and_then(|()| passed.extend_from_slice(b"\n")); // a whole message fits
                }
            }
            if !passed.is_empty() {
                let fd = fd.as_ref().filter(|_| passed.as_slice() == b"BARRIER=1\n").map(AsFd::as_fd);
                let _ = sys::send(self.manager.as_fd(), &passed, fd); // a manager that is gone or overwhelmed is not waited for
            }
        }
    }

    /// Waits until the container says that it is ready, tells the manager so and who is the main process now, and waits until that is
    /// known there. Comes back, too, when the process has ended.
    pub fn await_ready(&self, pid: task::Pid, pidfd: Option<BorrowedFd<'_>>) {
        const ASK_AGAIN_MS: u64 = 100;
        let mut message = [0; MOST_BYTES];
        loop {
            while let Ok((len, _)) = sys::receive(self.socket.as_fd(), &mut message) {
                if let Some(ready) = message[..len].split(|byte| *byte == b'\n').find(|line| line.starts_with(b"READY=")) {
                    return self.tell_ready(ready, pid);
                }
            }
            let mut polled: heapless::Vec<task::PollFd<'_>, 2> = heapless::Vec::new();
            for fd in [Some(self.socket.as_fd()), pidfd].into_iter().flatten() {
                let _ = polled.push(task::PollFd::from_borrowed_fd(fd, task::PollFlags::IN)); // two places are enough
            }
            let timeout = task::milliseconds(ASK_AGAIN_MS);
            let _ = task::poll(&mut polled, if pidfd.is_some() { None } else { Some(&timeout) }); // EINTR: looked at again
            let has_ended = match polled.get(1) {
                Some(process) => !process.revents().is_empty(),
                None => task::test_kill_process(pid) == Err(Errno::SRCH),
            };
            if has_ended {
                return;
            }
        }
    }

    fn tell_ready(&self, ready: &[u8], pid: task::Pid) {
        let mut line = heapless::Vec::<u8, MOST_BYTES>::new();
        let _ = line.extend_from_slice(ready).and_then(|()| line.extend_from_slice(b"\n")); // a line of a message fits
        let _ = sys::send(self.manager.as_fd(), &line, None); // a manager that is gone needs no word
        line.clear();
        main_pid(pid.as_raw_nonzero().get() as u32, &mut line);
        let _ = sys::send(self.manager.as_fd(), &line, None);
        let Ok((ours, theirs)) = fs::pipe_with(fs::PipeFlags::CLOEXEC) else { return };
        if sys::send(self.manager.as_fd(), BARRIER, Some(theirs.as_fd())).is_ok() {
            drop(theirs); // the manager's is the last one now, and closing it is its answer
            let _ = task::poll(&mut [task::PollFd::new(&ours, task::PollFlags::empty())], Some(&task::milliseconds(BARRIER_MS)));
        }
    }
}

fn main_pid<const N: usize>(pid: u32, text: &mut heapless::Vec<u8, N>) {
    let mut line = heapless::String::<20>::new();
    let _ = writeln!(line, "MAINPID={pid}"); // eight letters and ten digits fit
    let _ = text.extend_from_slice(line.as_bytes());
}

/// The process of the cgroup that the container numbers so.
fn on_the_host(pid: &[u8], cgroup: &CStr) -> Option<u32> {
    let wanted = core::str::from_utf8(pid).ok()?.parse::<u32>().ok()?;
    let procfs = facts::open_procfs().ok()?;
    let mut found = None;
    let cgroup = cgroup::open(cgroup).ok()?;
    let _ = cgroup::each_pid(cgroup.as_fd(), &mut |pid| {
        if found.is_none() && facts::innermost_pid(procfs.as_fd(), pid) == Some(wanted) {
            found = Some(pid);
        }
    }); // a process that ends meanwhile is not meant
    found
}

/// As runc has it: the directory, so that the socket may be made anew, is bound to a place of its own.
pub(super) fn add_socket(bundle: &mut Bundle, notify: &Notify<'_>) -> Result<'static, ()> {
    let memory = &bundle.arena;
    let mut config = *bundle.config;
    let Some(process) = &mut config.process else { return Ok(()) };
    process.env.push(memory, "NOTIFY_SOCKET=/run/notify/notify.sock")?;
    if notify.watchdog_ms > 0 {
        process.env.push(memory, memory.format(format_args!("WATCHDOG_USEC={}", u64::from(notify.watchdog_ms) * 1000))?)?;
    }
    let mut options = List::default();
    for option in ["bind", "nosuid", "nodev", "noexec", "ro"] {
        options.push(memory, option)?;
    }
    let source = memory.format(format_args!("{}", notify.directory.to_str().unwrap_or_default()))?;
    let mount = spec::Mount { destination: "/run/notify", source, kind: "bind", options, ..spec::Mount::default() };
    config.mounts.push(memory, mount)?;
    bundle.config = memory.put(config)?;
    Ok(())
}
