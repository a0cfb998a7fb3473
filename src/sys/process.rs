//! Processes: making, replacing, ending and awaiting them, and the attributes that only they themselves can set.

use core::ffi::CStr;

use linux_raw_sys::general as c;
use rustix::fs::{Mode, OFlags, RawDir};
use rustix::process::{Pid, WaitId, WaitIdOptions, WaitIdStatus};

use super::{AsFd, AsRawFd, BorrowedFd, CPointer, Errno, FromRawFd, IntoRawFd, OwnedFd, Signals, raw};

/// What [`clone`] and [`fork`] return, once in each process.
pub enum Clone {
    /// In the new process.
    Child,
    /// In the caller.
    Parent {
        /// The child, as the caller's pid namespace numbers it.
        pid: Pid,
        /// A handle to the child; none before Linux 5.3.
        pidfd: Option<OwnedFd>,
    },
}

/// clone3(2) without shared memory: the child goes on here with a copy of everything. `flags` are `CLONE_NEW*`;
/// with `cgroup` the child is born in it. Errors: ENOSYS before Linux 5.3 (5.7 with `cgroup`: EINVAL, E2BIG), and the kernel's.
pub fn clone(flags: u64, cgroup: Option<BorrowedFd<'_>>) -> Result<Clone, Errno> {
    let mut pidfd = -1i32;
    let mut arguments = c::clone_args {
        flags: flags | u64::from(c::CLONE_PIDFD),
        pidfd: (&raw mut pidfd) as usize as u64,
        child_tid: 0,
        parent_tid: 0,
        exit_signal: u64::from(c::SIGCHLD),
        stack: 0,
        stack_size: 0,
        tls: 0,
        set_tid: 0,
        set_tid_size: 0,
        cgroup: 0,
    };
    if let Some(cgroup) = cgroup {
        arguments.flags |= c::CLONE_INTO_CGROUP;
        arguments.cgroup = cgroup.as_raw_fd() as u64;
    }
    let size = size_of::<c::clone_args>();
    // SAFETY: without CLONE_VM the child has its own copy of this stack; the struct and the pidfd's place outlive the call.
    let made = unsafe { raw::call(c::__NR_clone3, [(&raw mut arguments) as usize, size, 0, 0, 0, 0]) };
    let pid = raw::or_absent(made)?;
    let Some(pid) = Pid::from_raw(pid as i32) else { return Ok(Clone::Child) };
    // SAFETY: the kernel has just stored a new descriptor there, which nobody else owns.
    Ok(Clone::Parent { pid, pidfd: Some(unsafe { OwnedFd::from_raw_fd(pidfd) }) })
}

/// clone(2) as fork(2), for kernels without clone3; `flags` are CLONE_NEW* (but CLONE_NEWTIME) and CLONE_PARENT.
pub fn fork(flags: u32) -> Result<Clone, Errno> {
    // SAFETY: without CLONE_VM the child has its own copy of this stack; no pointer is passed.
    let pid = unsafe { raw::call(c::__NR_clone, [(flags | c::SIGCHLD) as usize, 0, 0, 0, 0, 0]) }?;
    let Some(pid) = Pid::from_raw(pid as i32) else { return Ok(Clone::Child) };
    let pidfd = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()).ok();
    Ok(Clone::Parent { pid, pidfd })
}

/// execve(2). Returns only to say why not. `argv` and `envp` must end with NULL.
pub fn execve(path: &CStr, argv: &[CPointer<'_>], envp: &[CPointer<'_>]) -> Errno {
    let ends = argv.last().is_some_and(|last| last.is_null()) && envp.last().is_some_and(|last| last.is_null());
    if !ends {
        return Errno::INVAL;
    }
    // SAFETY: the path is NUL-ended, both arrays are NULL-ended and hold NUL-ended strings; all outlive the call.
    unsafe { raw::call(c::__NR_execve, [path.as_ptr() as usize, argv.as_ptr() as usize, envp.as_ptr() as usize, 0, 0, 0]) }
        .err()
        .unwrap_or(Errno::INVAL)
}

/// execveat(2) of an open file. Returns only to say why not. `argv` and `envp` must end with NULL.
pub fn execveat(file: BorrowedFd<'_>, argv: &[CPointer<'_>], envp: &[CPointer<'_>]) -> Errno {
    let ends = argv.last().is_some_and(|last| last.is_null()) && envp.last().is_some_and(|last| last.is_null());
    if !ends {
        return Errno::INVAL;
    }
    let fd = file.as_raw_fd() as usize;
    let arguments = [fd, c"".as_ptr() as usize, argv.as_ptr() as usize, envp.as_ptr() as usize, c::AT_EMPTY_PATH as usize, 0];
    // SAFETY: the descriptor is open, the path is the empty string, both arrays are NULL-ended and outlive the call.
    unsafe { raw::call(c::__NR_execveat, arguments) }.err().unwrap_or(Errno::INVAL)
}

/// exit_group(2): ends the process at once, without the C library's exit handlers.
pub fn exit(status: i32) -> ! {
    // SAFETY: ends the process; no pointer is passed.
    let _ = unsafe { raw::call(c::__NR_exit_group, [status as usize, 0, 0, 0, 0, 0]) }; // it does not return
    super::abort()
}

/// Marks every descriptor from `first` on to be closed by execve. Errors: ENOSYS before Linux 5.9, EINVAL before 5.11.
pub fn close_on_exec_from(first: u32) -> Result<(), Errno> {
    const CLOSE_RANGE_CLOEXEC: u32 = 4; // close_range(2)
    close_range(first, u32::MAX, CLOSE_RANGE_CLOEXEC)
}

fn close_range(first: u32, last: u32, flags: u32) -> Result<(), Errno> {
    if first > last {
        return Ok(());
    }
    // SAFETY: no pointer is passed. Owners of closed descriptors are the callers' concern: they exec or exit next.
    let closed = unsafe { raw::call(c::__NR_close_range, [first as usize, last as usize, flags as usize, 0, 0, 0]) };
    raw::or_absent(closed).map(|_| ())
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// By itself, with this status.
    Status(i32),
    /// By this signal.
    Signal(i32),
}

impl Exit {
    /// The shell's number for it: the status, or 128 + signal.
    pub fn code(self) -> i32 {
        match self {
            Exit::Status(status) => status,
            Exit::Signal(signal) => 128 + signal,
        }
    }

    fn of(status: &WaitIdStatus) -> Exit {
        match status.exit_status() {
            Some(code) => Exit::Status(code),
            None => Exit::Signal(status.terminating_signal().unwrap_or(0)),
        }
    }
}

/// Waits for the child behind `pidfd` to end. Errors: ECHILD, EINVAL before Linux 5.4.
pub fn wait_pidfd(pidfd: BorrowedFd<'_>) -> Result<Exit, Errno> {
    let ended = rustix::io::retry_on_intr(|| rustix::process::waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED))?;
    Ok(ended.map_or(Exit::Status(0), |status| Exit::of(&status)))
}

/// Waits for the child `pid` to end. Errors: ECHILD.
pub fn wait_pid(pid: Pid) -> Result<Exit, Errno> {
    let ended = rustix::io::retry_on_intr(|| rustix::process::waitid(WaitId::Pid(pid), WaitIdOptions::EXITED))?;
    Ok(ended.map_or(Exit::Status(0), |status| Exit::of(&status)))
}

/// How the child `pid` has ended, which reaps it; `None` while it runs. Errors: ECHILD.
pub fn try_wait_pid(pid: Pid) -> Result<Option<Exit>, Errno> {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
    Ok(rustix::process::waitid(WaitId::Pid(pid), options)?.map(|status| Exit::of(&status)))
}

/// Reaps one child that has ended, whichever; `None` when there is none now.
pub fn wait_any() -> Option<(Pid, Exit)> {
    let (pid, status) = rustix::process::wait(rustix::process::WaitOptions::NOHANG).ok()??;
    let exit = match status.exit_status() {
        Some(code) => Exit::Status(code),
        None => Exit::Signal(status.terminating_signal().unwrap_or(0)),
    };
    Some((pid, exit))
}

/// A resource limit; `u64::MAX` is RLIM_INFINITY.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// RLIMIT_*.
    pub resource: u32,
    /// What the process has now.
    pub soft: u64,
    /// What it may raise it to.
    pub hard: u64,
}

/// prlimit64(2): what a limit of the calling process is.
pub(super) fn limit(resource: u32) -> Result<Limit, Errno> {
    let mut old = [0u64; 2];
    // SAFETY: the kernel writes two 64-bit numbers, which outlive the call.
    unsafe { raw::call(c::__NR_prlimit64, [0, resource as usize, 0, old.as_mut_ptr() as usize, 0, 0]) }?;
    Ok(Limit { resource, soft: old[0], hard: old[1] })
}

/// prlimit64(2) of the calling process. Errors: EPERM, EINVAL.
pub fn set_limit(limit: Limit) -> Result<(), Errno> {
    let new = [limit.soft, limit.hard];
    // SAFETY: two 64-bit numbers are what the kernel reads, and they outlive the call.
    unsafe { raw::call(c::__NR_prlimit64, [0, limit.resource as usize, new.as_ptr() as usize, 0, 0, 0]) }.map(|_| ())
}

/// setgroups(2); an empty list drops all supplementary groups. Errors: EPERM, EINVAL above 65,536.
pub fn set_groups(groups: &[u32]) -> Result<(), Errno> {
    #[cfg(not(any(target_arch = "arm", target_arch = "x86")))]
    use c::__NR_setgroups as SETGROUPS;
    #[cfg(any(target_arch = "arm", target_arch = "x86"))]
    use c::__NR_setgroups32 as SETGROUPS;
    // SAFETY: the kernel reads `len` 32-bit numbers, which outlive the call.
    unsafe { raw::call(SETGROUPS, [groups.len(), groups.as_ptr() as usize, 0, 0, 0, 0]) }.map(|_| ())
}

/// capset(2) of the calling thread: bit n is capability n. Errors: EPERM.
pub fn set_capabilities(effective: u64, permitted: u64, inheritable: u64) -> Result<(), Errno> {
    const LINUX_CAPABILITY_VERSION_3: u32 = 0x2008_0522;
    let header = [LINUX_CAPABILITY_VERSION_3, 0];
    let half = |set: u64, high: bool| if high { (set >> 32) as u32 } else { set as u32 };
    let data = [false, true].map(|high| [half(effective, high), half(permitted, high), half(inheritable, high)]);
    // SAFETY: version 3 reads a header of two words and two times three words, all of which outlive the call.
    unsafe { raw::call(c::__NR_capset, [header.as_ptr() as usize, data.as_ptr() as usize, 0, 0, 0, 0]) }.map(|_| ())
}

/// keyctl(2) KEYCTL_JOIN_SESSION_KEYRING: a session keyring of that name, and its number. Errors: ENOSYS without CONFIG_KEYS, EDQUOT.
pub fn join_session_keyring(name: &CStr) -> Result<u32, Errno> {
    const KEYCTL_JOIN_SESSION_KEYRING: usize = 1;
    // SAFETY: the name is NUL-ended and outlives the call.
    unsafe { raw::call(c::__NR_keyctl, [KEYCTL_JOIN_SESSION_KEYRING, name.as_ptr() as usize, 0, 0, 0, 0]) }.map(|number| number as u32)
}

/// keyctl(2) KEYCTL_SETPERM: KEY_* bits of keyctl_setperm(3). Errors: EACCES.
pub fn set_key_permissions(key: u32, permissions: u32) -> Result<(), Errno> {
    const KEYCTL_SETPERM: usize = 5;
    // SAFETY: no pointer is passed.
    unsafe { raw::call(c::__NR_keyctl, [KEYCTL_SETPERM, key as usize, permissions as usize, 0, 0, 0]) }.map(|_| ())
}

/// getcwd(2) into `buffer`: the path without its NUL. A directory outside the root begins with `(unreachable)`.
pub fn getcwd(buffer: &mut [u8]) -> Result<&[u8], Errno> {
    // SAFETY: the kernel writes at most `len` bytes into the buffer.
    let len = unsafe { raw::call(c::__NR_getcwd, [buffer.as_mut_ptr() as usize, buffer.len(), 0, 0, 0, 0]) }?;
    Ok(&buffer[..len.saturating_sub(1)])
}

/// unshare(2) with CLONE_NEW* flags; never CLONE_FILES and the like.
pub fn unshare(namespaces: u32) -> Result<(), Errno> {
    // SAFETY: no pointer is passed; new namespaces leave this process's memory and descriptors as they are.
    unsafe { raw::call(c::__NR_unshare, [namespaces as usize, 0, 0, 0, 0, 0]) }.map(|_| ())
}

/// setns(2) into the namespace behind `file`, which must be of the kind `flag` (CLONE_NEW*).
pub fn set_namespace(file: BorrowedFd<'_>, flag: u32) -> Result<(), Errno> {
    // SAFETY: no pointer is passed.
    unsafe { raw::call(c::__NR_setns, [file.as_raw_fd() as usize, flag as usize, 0, 0, 0, 0]) }.map(|_| ())
}

/// ioctl_nsfs(2): the CLONE_NEW* flag of the namespace behind `file`; `None` where there is none, and before Linux 4.11.
pub fn namespace_kind(file: BorrowedFd<'_>) -> Option<u32> {
    const NS_GET_NSTYPE: usize = 0xb703;
    // SAFETY: the request takes no argument.
    unsafe { raw::call(c::__NR_ioctl, [file.as_raw_fd() as usize, NS_GET_NSTYPE, 0, 0, 0, 0]) }.ok().map(|kind| kind as u32)
}

/// Closes every descriptor from `first` on but those of `kept`. Before Linux 5.9 those that `procfs` lists, whatever the limits are by now;
/// without it those that may be ours.
pub fn close_from_but(procfs: BorrowedFd<'_>, first: u32, kept: &[BorrowedFd<'_>]) -> Result<(), Errno> {
    let numbers = || kept.iter().map(|fd| fd.as_raw_fd() as u32);
    let mut start = first;
    loop {
        let next = numbers().filter(|number| *number >= start).min();
        match close_range(start, next.map_or(u32::MAX, |number| number.saturating_sub(1)), 0) {
            Err(Errno::NOSYS) => break,
            answer => answer?,
        }
        match next {
            Some(number) => start = number + 1,
            None => return Ok(()),
        }
    }
    let may_close = |number: &u32| *number >= first && !numbers().any(|kept| kept == *number);
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let Ok(list) = rustix::fs::openat(procfs, c"self/fd", flags, Mode::empty()) else {
        descriptors_from(first)?.filter(may_close).for_each(close_number);
        return Ok(());
    };
    let mut room = [core::mem::MaybeUninit::uninit(); 2048];
    let mut entries = RawDir::new(&list, &mut room);
    while let Some(entry) = entries.next() {
        let number = entry?.file_name().to_str().ok().and_then(|name| name.parse().ok());
        // The list itself is closed when we leave.
        number.filter(may_close).filter(|number| *number != list.as_raw_fd() as u32).into_iter().for_each(close_number);
    }
    Ok(())
}

/// Descriptors that nobody needs any more, to be closed together: those whose numbers stand beside each other by one call.
#[derive(Default)]
pub struct Pile(heapless::Vec<u32, 16>);

impl Pile {
    /// Takes one over; a pile that is full is closed first.
    pub fn add(&mut self, fd: OwnedFd) {
        if self.0.is_full() {
            self.close();
        }
        let _ = self.0.push(fd.into_raw_fd() as u32); // there is room
    }

    fn close(&mut self) {
        close_numbers(&self.0);
        self.0.clear();
    }
}

impl Drop for Pile {
    fn drop(&mut self) {
        self.close();
    }
}

/// Closes descriptors by number, whoever owns them; nobody may use them afterwards.
pub fn close_numbers(numbers: &[u32]) {
    let next = |from| numbers.iter().copied().filter(|number| *number >= from).min();
    let mut row = next(0);
    while let Some(first) = row {
        let mut last = first;
        while numbers.contains(&(last + 1)) {
            last += 1;
        }
        if first == last || close_range(first, last, 0).is_err() {
            (first..=last).for_each(close_number); // one, or before Linux 5.9
        }
        row = next(last + 1);
    }
}

/// Closes one descriptor by number, whoever owns it.
fn close_number(fd: u32) {
    // SAFETY: no pointer is passed; the caller uses no owner of it afterwards.
    let _ = unsafe { raw::call(c::__NR_close, [fd as usize, 0, 0, 0, 0, 0]) }; // EBADF: it was not open
}

/// Marks one descriptor by number to be closed by execve; EBADF where it is not open.
pub fn close_on_exec_number(fd: u32) -> Result<(), Errno> {
    // SAFETY: no pointer is passed.
    unsafe { raw::call(c::__NR_fcntl, [fd as usize, c::F_SETFD as usize, c::FD_CLOEXEC as usize, 0, 0, 0]) }.map(|_| ())
}

/// The numbers that descriptors of ours may have from `first` on: a limit may have been lowered since, and they took the lowest that were free.
/// Errors: the limit is not known, and so neither are they.
pub fn descriptors_from(first: u32) -> Result<core::ops::Range<u32>, Errno> {
    const OURS: u32 = 256;
    Ok(first..soft_descriptor_limit()?.max(first.saturating_add(OURS)))
}

/// RLIMIT_NOFILE: one more than the highest number that a descriptor may get from now on.
fn soft_descriptor_limit() -> Result<u32, Errno> {
    limit(c::RLIMIT_NOFILE).map(|limit| u32::try_from(limit.soft).unwrap_or(1 << 20))
}

/// pidfd_send_signal(2) with any signal number; kill(2) without a pidfd, and where that call is refused. Errors: ESRCH when it has ended and
/// was reaped.
pub fn send_signal(pid: Pid, pidfd: Option<BorrowedFd<'_>>, signal: i32) -> Result<(), Errno> {
    let Some(pidfd) = pidfd else { return kill(pid, signal) };
    // SAFETY: the information is NULL, which the kernel takes as that of kill(2).
    let sent = unsafe { raw::call(c::__NR_pidfd_send_signal, [pidfd.as_raw_fd() as usize, signal as usize, 0, 0, 0, 0]) };
    match raw::or_absent(sent) {
        Err(Errno::NOSYS) => kill(pid, signal),
        sent => sent.map(|_| ()),
    }
}

/// pidfd_getfd(2): a copy of another process's descriptor, closed by execve. Errors: EPERM without the rights of ptrace(2), EBADF, ENOSYS
/// before Linux 5.6.
pub fn take_descriptor(pidfd: BorrowedFd<'_>, number: u32) -> Result<OwnedFd, Errno> {
    // SAFETY: no pointer is passed.
    let fd = unsafe { raw::call(c::__NR_pidfd_getfd, [pidfd.as_raw_fd() as usize, number as usize, 0, 0, 0, 0]) }?;
    // SAFETY: the kernel has just made it, and nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// kill(2) of one process with any signal number.
pub fn kill(pid: Pid, signal: i32) -> Result<(), Errno> {
    // SAFETY: no pointer is passed.
    unsafe { raw::call(c::__NR_kill, [pid.as_raw_nonzero().get() as usize, signal as usize, 0, 0, 0, 0]) }.map(|_| ())
}

/// Whether a descriptor of that number is open.
pub fn is_open(fd: u32) -> bool {
    // SAFETY: no pointer is passed.
    unsafe { raw::call(c::__NR_fcntl, [fd as usize, c::F_GETFD as usize, 0, 0, 0, 0]) }.is_ok()
}

/// Whether a descriptor of that number is open, and stays so over execve.
pub fn is_handed_on(fd: u32) -> bool {
    // SAFETY: no pointer is passed.
    let flags = unsafe { raw::call(c::__NR_fcntl, [fd as usize, c::F_GETFD as usize, 0, 0, 0, 0]) };
    flags == Ok(0)
}

/// rt_sigaction(2): lets these signals do what they do by default, also those that the caller had ignored.
pub fn reset_signals(signals: Signals) {
    (1..=64).filter(|signal| signals.0 >> (signal - 1) & 1 != 0).for_each(reset_signal);
}

/// The same for one signal. SIGKILL and SIGSTOP, which have no other action, are passed over.
pub fn reset_signal(signal: i32) {
    const SIGNAL_SET_BYTES: usize = 8;
    let default = [0u64; 8]; // SIG_DFL, no flags, an empty mask: all zero in the `struct sigaction` of every architecture
    let arguments = [signal as usize, default.as_ptr() as usize, 0, SIGNAL_SET_BYTES, 0, 0];
    // SAFETY: the struct is at most 32 bytes, the kernel only reads it, and it outlives the call.
    let _ = unsafe { raw::call(c::__NR_rt_sigaction, arguments) }; // EINVAL for the two that cannot be set
}

/// Raises the limit of open descriptors as far as it goes, and returns what it was.
pub fn raise_descriptor_limit() -> Limit {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let before = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: before.maximum, maximum: before.maximum }); // up to the hard limit it is always allowed
    let number = |limit: Option<u64>| limit.unwrap_or(u64::MAX);
    Limit { resource: c::RLIMIT_NOFILE, soft: number(before.current), hard: number(before.maximum) }
}

/// Sends a signal to every process but process 1 and the caller; 0 only asks whether there is one. Errors: ESRCH.
pub fn kill_all(signal: i32) -> Result<(), Errno> {
    // SAFETY: no pointer is passed.
    unsafe { raw::call(c::__NR_kill, [usize::MAX, signal as usize, 0, 0, 0, 0]) }.map(|_| ())
}
