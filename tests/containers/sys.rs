//! The harness's own system calls, the only `unsafe` of the tests: namespaces, mounts, terminals, tracing, filters.
//!
//! Must: be thin and return what went wrong. Mustn't: know of cases or runtimes.
#![allow(unsafe_code, reason = "the kernel boundary of the tests; libc has no safe face")]

use std::ffi::{CString, c_int, c_ulong};
use std::fs::File;
use std::io;
use std::mem;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::ptr;

/// What may go wrong, as a sentence.
pub type Outcome<T> = Result<T, String>;

fn check(what: &str, result: i64) -> Outcome<i64> {
    if result < 0 { Err(format!("{what}: {}", io::Error::last_os_error())) } else { Ok(result) }
}

fn text(value: &str) -> CString {
    CString::new(value).unwrap_or_default()
}

pub fn unshare(flags: c_int) -> Outcome<()> {
    // SAFETY: takes numbers only; the process has one thread when it is called.
    check("unshare", unsafe { libc::unshare(flags) }.into()).map(drop)
}

/// `mount(2)`; an empty `data` is none.
pub fn mount(source: &str, target: &str, kind: &str, flags: c_ulong, data: &str) -> Outcome<()> {
    let (source, name, kind, data) = (text(source), text(target), text(kind), text(data));
    // SAFETY: four strings that end in NUL and outlive the call.
    let result = unsafe { libc::mount(source.as_ptr(), name.as_ptr(), kind.as_ptr(), flags, data.as_ptr().cast()) };
    check(&format!("mount {target}"), result.into()).map(drop)
}

pub fn unmount_lazily(target: &str) -> Outcome<()> {
    let name = text(target);
    // SAFETY: a string that ends in NUL and outlives the call.
    check(&format!("umount {target}"), unsafe { libc::umount2(name.as_ptr(), libc::MNT_DETACH) }.into()).map(drop)
}

pub fn chroot(target: &str) -> Outcome<()> {
    let name = text(target);
    // SAFETY: a string that ends in NUL and outlives the call.
    check(&format!("chroot {target}"), unsafe { libc::chroot(name.as_ptr()) }.into()).map(drop)
}

pub fn make_node(path: &str, mode: u32, major: u32, minor: u32) -> Outcome<()> {
    let name = text(path);
    // SAFETY: a string that ends in NUL and outlives the call.
    check("mknod", unsafe { libc::mknod(name.as_ptr(), mode, libc::makedev(major, minor)) }.into()).map(drop)
}

pub fn make_fifo(path: &str) -> Outcome<()> {
    make_node(path, libc::S_IFIFO | 0o666, 0, 0)
}

/// The super block's magic number below a path.
pub fn filesystem(path: &str) -> Outcome<i64> {
    let name = text(path);
    // SAFETY: all zeroes is a value of this C struct.
    let mut found: libc::statfs = unsafe { mem::zeroed() };
    // SAFETY: the struct lives through the call.
    check(&format!("statfs {path}"), unsafe { libc::statfs(name.as_ptr(), &mut found) }.into())?;
    Ok(found.f_type as i64)
}

/// The two sides of a fork: `None` in the child.
pub fn fork() -> Outcome<Option<i32>> {
    // SAFETY: called while the process has one thread.
    let pid = check("fork", unsafe { libc::fork() }.into())?;
    Ok((pid != 0).then_some(pid as i32))
}

pub fn die_with_parent() {
    // SAFETY: takes numbers only.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
}

pub fn kill(pid: i32, signal: i32) -> Outcome<()> {
    // SAFETY: takes numbers only.
    check("kill", unsafe { libc::kill(pid, signal) }.into()).map(drop)
}

pub fn exit(status: i32) -> ! {
    // SAFETY: ends the process; nothing is to be unwound.
    unsafe { libc::_exit(status) }
}

/// The shell's way to write a wait status: the exit code, or 128 + the signal.
pub fn exit_code(status: i32) -> i32 {
    if libc::WIFSIGNALED(status) { 128 + libc::WTERMSIG(status) } else { libc::WEXITSTATUS(status) }
}

/// Waits for one process, whatever it is to us; `None` while it runs and `flags` has WNOHANG.
pub fn wait(pid: i32, flags: i32) -> Outcome<Option<(i32, i32)>> {
    let mut status = 0;
    loop {
        // SAFETY: the status lives through the call.
        let found = unsafe { libc::waitpid(pid, &mut status, flags) };
        if found < 0 && io::Error::last_os_error().kind() == io::ErrorKind::Interrupted {
            continue;
        }
        return Ok(match check("waitpid", found.into())? {
            0 => None,
            found => Some((found as i32, status)),
        });
    }
}

pub fn power_off() -> Outcome<()> {
    // SAFETY: takes numbers only.
    unsafe { libc::sync() };
    // SAFETY: takes a number only.
    check("reboot", unsafe { libc::reboot(libc::RB_POWER_OFF) }.into()).map(drop)
}

/// A signal that ends the harness ends the child instead, whose end ends the harness in order.
pub fn pass_endings_to(child: i32) {
    static CHILD: std::sync::atomic::AtomicI32 = std::sync::atomic::AtomicI32::new(0);
    extern "C" fn pass(_signal: c_int) {
        // SAFETY: kill(2) may be called from a signal handler.
        unsafe { libc::kill(CHILD.load(std::sync::atomic::Ordering::Relaxed), libc::SIGKILL) };
    }
    CHILD.store(child, std::sync::atomic::Ordering::Relaxed);
    for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
        // SAFETY: the handler makes one call that is allowed in handlers.
        unsafe { libc::signal(signal, pass as *const () as libc::sighandler_t) };
    }
}

// ---- terminals and sockets

/// A new pseudo terminal: (master, slave).
pub fn open_terminal(rows: u16, columns: u16) -> Outcome<(File, OwnedFd)> {
    let (mut master, mut slave) = (-1, -1);
    let size = libc::winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: two numbers are written and the size is read, while all three live.
    let result = unsafe { libc::openpty(&mut master, &mut slave, ptr::null_mut(), ptr::null(), &size) };
    check("openpty", result.into())?;
    for fd in [master, slave] {
        // SAFETY: takes numbers only.
        unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) };
    }
    // SAFETY: openpty just gave this descriptor to us alone.
    let master = unsafe { File::from_raw_fd(master) };
    // SAFETY: openpty just gave this descriptor to us alone.
    Ok((master, unsafe { OwnedFd::from_raw_fd(slave) }))
}

/// (rows, columns) of a terminal; `None` when the descriptor is none.
pub fn terminal_size(fd: RawFd) -> Option<(u16, u16)> {
    let mut size = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the struct lives through the call.
    (unsafe { libc::ioctl(fd, libc::TIOCGWINSZ, &mut size) } == 0).then_some((size.ws_row, size.ws_col))
}

pub fn resize_terminal(terminal: &File, rows: u16, columns: u16) -> Outcome<()> {
    let size = libc::winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the struct lives through the call.
    check("TIOCSWINSZ", unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCSWINSZ, &size) }.into()).map(drop)
}

/// Lets bytes through a terminal as they are.
pub fn make_raw(terminal: &File) -> Outcome<()> {
    // SAFETY: all zeroes is a value of this C struct.
    let mut settings: libc::termios = unsafe { mem::zeroed() };
    // SAFETY: the struct lives through the call.
    check("tcgetattr", unsafe { libc::tcgetattr(terminal.as_raw_fd(), &mut settings) }.into())?;
    // SAFETY: the struct was filled by the call before.
    unsafe { libc::cfmakeraw(&mut settings) };
    // SAFETY: the struct lives through the call.
    check("tcsetattr", unsafe { libc::tcsetattr(terminal.as_raw_fd(), libc::TCSANOW, &settings) }.into()).map(drop)
}

/// One message with one descriptor in it: (payload, descriptor).
pub fn receive_descriptor(socket: RawFd) -> Outcome<(Vec<u8>, File)> {
    let mut payload = [0u8; 4096];
    let mut control = [0u64; 8];
    let mut part = libc::iovec { iov_base: payload.as_mut_ptr().cast(), iov_len: payload.len() };
    // SAFETY: all zeroes is a value of this C struct.
    let mut message: libc::msghdr = unsafe { mem::zeroed() };
    message.msg_iov = &mut part;
    message.msg_iovlen = 1;
    message.msg_control = control.as_mut_ptr().cast();
    message.msg_controllen = mem::size_of_val(&control) as _;
    // SAFETY: the header points to buffers of the lengths given, all alive.
    let length = check("recvmsg", unsafe { libc::recvmsg(socket, &mut message, libc::MSG_CMSG_CLOEXEC) } as i64)?;
    // SAFETY: the kernel filled the header that is passed.
    let head = unsafe { libc::CMSG_FIRSTHDR(&message) };
    if head.is_null() {
        return Err("a message without a descriptor came over the console socket".into());
    }
    // SAFETY: the header lies in the control buffer, as the kernel's lengths say.
    let data = unsafe { libc::CMSG_DATA(head) }.cast::<RawFd>();
    // SAFETY: one descriptor was received there; the buffer may not be aligned for it.
    let fd = unsafe { ptr::read_unaligned(data) };
    // SAFETY: the kernel installed this descriptor for us alone.
    Ok((payload[..length as usize].to_vec(), unsafe { File::from_raw_fd(fd) }))
}

// ---- what happens between fork and exec

/// What a started program gets beyond stdio, environment and folder.
#[derive(Default)]
pub struct Setup {
    /// (descriptor of ours, its number there).
    pub inherited: Vec<(OwnedFd, RawFd)>,
    /// The new session's controlling terminal is the standard input.
    pub has_terminal: bool,
    /// We trace it from its exec on.
    pub is_traced: bool,
    /// System calls that are not made, and what they are answered.
    pub refused: Vec<Refusal>,
    /// The supplementary groups that it gets.
    pub groups: Vec<u32>,
    /// The user and group that it becomes.
    pub user: Option<u32>,
}

/// Makes `command` go through the set-up before its exec.
pub fn set_up(command: &mut Command, setup: Setup) {
    let filter = refusing(&setup.refused);
    let work = move || {
        for (from, to) in &setup.inherited {
            // SAFETY: takes numbers only.
            unsafe { libc::dup2(from.as_raw_fd(), *to) };
        }
        if setup.has_terminal {
            // SAFETY: takes nothing.
            unsafe { libc::setsid() };
            // SAFETY: takes numbers only.
            unsafe { libc::ioctl(0, libc::TIOCSCTTY, 0) };
        }
        if setup.is_traced {
            // SAFETY: takes no pointer that is used.
            unsafe { libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0) };
        }
        if !setup.refused.is_empty() {
            install(&filter)?;
        }
        if !setup.groups.is_empty() {
            // SAFETY: as many numbers as said, which outlive the call.
            unsafe { libc::setgroups(setup.groups.len(), setup.groups.as_ptr()) };
        }
        if let Some(id) = setup.user {
            // SAFETY: an empty list is not looked at.
            unsafe { libc::setgroups(0, ptr::null()) };
            // SAFETY: takes numbers only.
            unsafe { libc::setresgid(id, id, id) };
            // SAFETY: takes numbers only.
            unsafe { libc::setresuid(id, id, id) };
        }
        Ok(())
    };
    // SAFETY: the closure only makes system calls: no memory, no locks.
    unsafe { command.pre_exec(work) };
}

/// The same descriptor with a number of at least 100, out of the way of the numbers that are handed on.
pub fn move_up(file: &File) -> Outcome<OwnedFd> {
    // SAFETY: takes numbers only.
    let fd = check("fcntl", unsafe { libc::fcntl(file.as_raw_fd(), libc::F_DUPFD_CLOEXEC, 100) }.into())?;
    // SAFETY: the kernel just gave this descriptor to us alone.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}

/// A system call's number, and the errno that it is answered.
pub type Refusal = (u32, c_int);

/// A filter that answers these, and allows the rest.
fn refusing(refused: &[Refusal]) -> Vec<libc::sock_filter> {
    let row = |code: u32, jt: u8, k: u32| libc::sock_filter { code: code as u16, jt, jf: 0, k };
    let mut filter = vec![row(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0)];
    for (number, errno) in refused {
        filter.push(libc::sock_filter { jf: 1, ..row(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, *number) });
        filter.push(row(libc::BPF_RET | libc::BPF_K, 0, libc::SECCOMP_RET_ERRNO | *errno as u32));
    }
    filter.push(row(libc::BPF_RET | libc::BPF_K, 0, libc::SECCOMP_RET_ALLOW));
    filter
}

fn install(filter: &[libc::sock_filter]) -> io::Result<()> {
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_ptr().cast_mut() };
    // SAFETY: the program points to as many rows as it says, alive through the call.
    let result = unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &program) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// The numbers of the system calls that an old kernel may lack.
pub fn number_of(name: &str) -> Option<u32> {
    let number = match name {
        "openat2" => libc::SYS_openat2,
        "bpf" => libc::SYS_bpf,
        "clone3" => libc::SYS_clone3,
        "fsopen" => libc::SYS_fsopen,
        "fsmount" => libc::SYS_fsmount,
        "fsconfig" => libc::SYS_fsconfig,
        "fspick" => libc::SYS_fspick,
        "pidfd_getfd" => libc::SYS_pidfd_getfd,
        "move_mount" => libc::SYS_move_mount,
        "open_tree" => libc::SYS_open_tree,
        "mount_setattr" => libc::SYS_mount_setattr,
        "close_range" => libc::SYS_close_range,
        "pidfd_open" => libc::SYS_pidfd_open,
        "pidfd_send_signal" => libc::SYS_pidfd_send_signal,
        "memfd_create" => libc::SYS_memfd_create,
        "statx" => libc::SYS_statx,
        "faccessat2" => libc::SYS_faccessat2,
        "keyctl" => libc::SYS_keyctl,
        "mount" => libc::SYS_mount,
        "clone" => libc::SYS_clone,
        _ => return None,
    };
    Some(number as u32)
}

// ---- tracing

/// Asks that stops at system calls can be told from signals.
pub fn trace_calls(pid: i32) -> Outcome<()> {
    // SAFETY: takes numbers only.
    let result = unsafe { libc::ptrace(libc::PTRACE_SETOPTIONS, pid, 0, libc::PTRACE_O_TRACESYSGOOD | libc::PTRACE_O_EXITKILL) };
    check("ptrace", result.into())?;
    Ok(())
}

/// Lets a stopped process go to its next system call boundary, with the signal that stopped it.
pub fn go_to_next_call(pid: i32, signal: i32) -> Outcome<()> {
    // SAFETY: takes numbers only.
    check("ptrace", unsafe { libc::ptrace(libc::PTRACE_SYSCALL, pid, 0, signal) }.into()).map(drop)
}

// ---- what the probe asks about itself

pub fn umask() -> u32 {
    // SAFETY: takes a number only.
    let old = unsafe { libc::umask(0) };
    // SAFETY: takes a number only.
    unsafe { libc::umask(old) };
    old
}

pub fn is_dumpable() -> bool {
    // SAFETY: takes a number only.
    unsafe { libc::prctl(libc::PR_GET_DUMPABLE) == 1 }
}

/// sched_getattr(2) as JSON.
pub fn scheduler() -> serde_json::Value {
    let mut room = [0u32; 14];
    // SAFETY: the kernel writes at most the size said into the array.
    let result = unsafe { libc::syscall(libc::SYS_sched_getattr, 0, room.as_mut_ptr(), size_of_val(&room), 0) };
    if result != 0 {
        return serde_json::json!(io::Error::last_os_error().to_string());
    }
    let long = |at: usize| u64::from(room[at]) | u64::from(room[at + 1]) << 32;
    serde_json::json!({ "policy": room[1], "flags": long(2), "nice": room[4].cast_signed(), "priority": room[5],
        "runtime": long(6), "deadline": long(8), "period": long(10) })
}

/// ioprio_get(2) of this process.
pub fn io_priority() -> i64 {
    // SAFETY: takes numbers only.
    unsafe { libc::syscall(libc::SYS_ioprio_get, 1, 0) }.into()
}

/// Sends `BARRIER=1` with one end of a pipe; whether nobody holds it open any more within five seconds.
pub fn barrier(socket: &std::os::unix::net::UnixDatagram) -> io::Result<bool> {
    let (ours, theirs) = io::pipe()?;
    let text = *b"BARRIER=1";
    let mut piece = libc::iovec { iov_base: text.as_ptr().cast_mut().cast(), iov_len: text.len() };
    let mut control = [0u64; 4];
    // SAFETY: an all-zero header is a valid one.
    let mut message: libc::msghdr = unsafe { mem::zeroed() };
    (message.msg_iov, message.msg_iovlen) = (&raw mut piece, 1);
    (message.msg_control, message.msg_controllen) = (control.as_mut_ptr().cast(), 24);
    // SAFETY: the control buffer has room for a header and one descriptor, and is aligned for it.
    let head = unsafe { &mut *libc::CMSG_FIRSTHDR(&raw const message) };
    (head.cmsg_level, head.cmsg_type, head.cmsg_len) = (libc::SOL_SOCKET, libc::SCM_RIGHTS, 20);
    // SAFETY: behind the header there is room for one descriptor.
    unsafe { libc::CMSG_DATA(head).cast::<c_int>().write(theirs.as_raw_fd()) };
    // SAFETY: the message and all that it points to outlive the call.
    if unsafe { libc::sendmsg(socket.as_raw_fd(), &raw const message, 0) } < 0 {
        return Err(io::Error::last_os_error());
    }
    drop(theirs);
    let mut polled = libc::pollfd { fd: ours.as_raw_fd(), events: 0, revents: 0 };
    // SAFETY: one struct, which outlives the call.
    Ok(unsafe { libc::poll(&raw mut polled, 1, 5000) } == 1)
}

pub fn session() -> i32 {
    // SAFETY: takes a number only.
    unsafe { libc::getsid(0) }
}

/// (node name, domain name).
pub fn host_names() -> (String, String) {
    // SAFETY: all zeroes is a value of this C struct.
    let mut names: libc::utsname = unsafe { mem::zeroed() };
    // SAFETY: the struct lives through the call.
    unsafe { libc::uname(&mut names) };
    let text = |field: &[libc::c_char]| -> String { field.iter().take_while(|c| **c != 0).map(|c| *c as u8 as char).collect() };
    (text(&names.nodename), text(&names.domainname))
}

/// The numbers of the calls that cases make.
pub fn call_number(name: &str) -> Option<i64> {
    let number = match name {
        "getppid" => libc::SYS_getppid,
        "close" => libc::SYS_close,
        "dup" => libc::SYS_dup,
        "personality" => libc::SYS_personality,
        "clone3" => libc::SYS_clone3,
        "unshare" => libc::SYS_unshare,
        "keyctl" => libc::SYS_keyctl,
        "bpf" => libc::SYS_bpf,
        "kexec_load" => libc::SYS_kexec_load,
        "socket" => libc::SYS_socket,
        "openat2" => libc::SYS_openat2,
        "setns" => libc::SYS_setns,
        // Newer than all that profiles name, on 32-bit ARM than its own calls too, which begin at 0xf0000.
        "newest" if cfg!(target_arch = "arm") => 0xf07ff,
        "newest" => 999,
        _ => return None,
    };
    Some(number as _)
}

/// A system call with six numbers.
pub fn call(number: i64, [a, b, c, d, e, f]: [u64; 6]) -> io::Result<i64> {
    // SAFETY: those in `call_number` take numbers, or pointers of which the cases give only such as the kernel refuses.
    let answer = unsafe { libc::syscall(number as _, a as usize, b as usize, c as usize, d as usize, e as usize, f as usize) };
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(answer.into()) }
}

/// Sends one message to a socket that keeps their boundaries.
pub fn send_packet(path: &str, bytes: &[u8]) -> Outcome<()> {
    // SAFETY: all zero bytes are a valid address without a name.
    let mut address: libc::sockaddr_un = unsafe { std::mem::zeroed() };
    address.sun_family = libc::AF_UNIX as libc::sa_family_t;
    for (place, byte) in address.sun_path.iter_mut().zip(path.as_bytes()) {
        *place = *byte as libc::c_char;
    }
    // SAFETY: no pointer is passed.
    let fd = check("socket", unsafe { libc::socket(libc::AF_UNIX, libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC, 0) }.into())? as RawFd;
    // SAFETY: the descriptor is new and nobody else's.
    let socket = unsafe { OwnedFd::from_raw_fd(fd) };
    let size = size_of::<libc::sockaddr_un>() as libc::socklen_t;
    // SAFETY: the address is as long as said and outlives the call.
    check(path, unsafe { libc::connect(socket.as_raw_fd(), (&raw const address).cast(), size) }.into())?;
    // SAFETY: the bytes are as many as said and outlive the call.
    let sent = unsafe { libc::send(socket.as_raw_fd(), bytes.as_ptr().cast(), bytes.len(), libc::MSG_NOSIGNAL) };
    check("send", sent as i64).map(drop)
}

/// Waits for a call that a seccomp filter hands on, and lets it fail with `errno` (seccomp_unotify(2)). Fails when the filter has no process left.
pub fn answer_notification(filter: &File, errno: c_int) -> Outcome<()> {
    const RECEIVE: u64 = 0xc050_2100;
    const SEND: u64 = 0xc018_2101;
    let mut notification = [0u64; 10]; // struct seccomp_notif: its id first
    // SAFETY: the struct has the size that the request names, is zero as it must be, and outlives the call.
    let received = unsafe { libc::ioctl(filter.as_raw_fd(), RECEIVE as _, notification.as_mut_ptr()) };
    check("SECCOMP_IOCTL_NOTIF_RECV", received.into())?;
    let answer = [notification[0], 0, u64::from((-errno) as u32)]; // struct seccomp_notif_resp: id, value, error and flags
    // SAFETY: the struct has the size that the request names and outlives the call.
    check("SECCOMP_IOCTL_NOTIF_SEND", unsafe { libc::ioctl(filter.as_raw_fd(), SEND as _, answer.as_ptr()) }.into()).map(drop)
}

/// Turns fs-verity on for a file: SHA-256, blocks of 4096 bytes, no salt.
pub fn enable_verity(path: &str) -> Outcome<()> {
    const ENABLE: u64 = 0x4080_6685;
    let file = File::open(path).map_err(|why| format!("{path}: {why}"))?;
    let mut argument = [0u32; 32]; // struct fsverity_enable_arg: version, algorithm, size of a block
    argument[..3].copy_from_slice(&[1, 1, 4096]);
    // SAFETY: the struct has the size that the request names and outlives the call.
    check("FS_IOC_ENABLE_VERITY", unsafe { libc::ioctl(file.as_raw_fd(), ENABLE as _, argument.as_ptr()) }.into()).map(drop)
}
