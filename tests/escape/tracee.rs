//! Processes that are traced: what they are about to ask of the kernel, and answers put in the kernel's place. x86_64 only.
#![allow(unsafe_code, reason = "ptrace(2) has no safe face")]

use std::io;
use std::mem;
use std::ptr;

use crate::sys::Outcome;

/// At a boundary of a system call.
#[derive(Clone, Copy, Debug)]
pub enum Boundary {
    Entry {
        number: i64,
    },
    Exit,
    /// Not at a boundary.
    None,
}

/// What waitpid(2) had to say.
pub enum Event {
    Stopped {
        pid: i32,
        status: i32,
    },
    Ended {
        pid: i32,
        status: i32,
    },
    /// Nobody is left.
    Nobody,
    /// The time is over.
    TimedOut,
}

/// struct ptrace_syscall_info, with room for its longest form.
#[repr(C)]
struct Info {
    op: u8,
    padding: [u8; 7],
    pointers: [u64; 2],
    number: u64,
    rest: [u64; 8],
}

fn request(what: &str, request: libc::c_uint, pid: i32, address: usize, data: usize) -> Outcome<()> {
    // SAFETY: the requests used here take numbers, or a pointer to a value that outlives the call.
    let answer = unsafe { libc::ptrace(request, pid, address, data) };
    if answer < 0 { Err(format!("{what}: {}", io::Error::last_os_error())) } else { Ok(()) }
}

/// Follows what it makes, and ends with us.
pub fn follow(pid: i32) -> Outcome<()> {
    let options = libc::PTRACE_O_TRACESYSGOOD
        | libc::PTRACE_O_TRACEFORK
        | libc::PTRACE_O_TRACEVFORK
        | libc::PTRACE_O_TRACECLONE
        | libc::PTRACE_O_TRACEEXEC
        | libc::PTRACE_O_EXITKILL;
    request("PTRACE_SETOPTIONS", libc::PTRACE_SETOPTIONS, pid, 0, options as usize)
}

/// Lets it go to its next boundary, with a signal.
pub fn go_on(pid: i32, signal: i32) -> Outcome<()> {
    request("PTRACE_SYSCALL", libc::PTRACE_SYSCALL, pid, 0, signal as usize)
}

/// Lets it go for good.
pub fn let_go(pid: i32, signal: i32) -> Outcome<()> {
    request("PTRACE_DETACH", libc::PTRACE_DETACH, pid, 0, signal as usize)
}

pub fn boundary(pid: i32) -> Outcome<Boundary> {
    const GET_SYSCALL_INFO: libc::c_uint = 0x420e;
    let mut info = Info { op: 0, padding: [0; 7], pointers: [0; 2], number: 0, rest: [0; 8] };
    request("PTRACE_GET_SYSCALL_INFO", GET_SYSCALL_INFO, pid, mem::size_of::<Info>(), (&raw mut info) as usize)?;
    Ok(match info.op {
        1 => Boundary::Entry { number: info.number as i64 },
        2 => Boundary::Exit,
        _ => Boundary::None,
    })
}

/// At its entry: the call is not made.
pub fn skip_call(pid: i32) -> Outcome<()> {
    request("PTRACE_POKEUSER", libc::PTRACE_POKEUSER, pid, mem::offset_of!(libc::user_regs_struct, orig_rax), usize::MAX)
}

/// At its exit: what it is answered.
pub fn answer(pid: i32, value: i64) -> Outcome<()> {
    request("PTRACE_POKEUSER", libc::PTRACE_POKEUSER, pid, mem::offset_of!(libc::user_regs_struct, rax), value as usize)
}

/// Waits for any child, at most until the alarm that `arm` has set.
pub fn next() -> Event {
    let mut status = 0;
    // SAFETY: the status lives through the call.
    let pid = unsafe { libc::waitpid(-1, &mut status, libc::__WALL) };
    if pid < 0 {
        return if io::Error::last_os_error().raw_os_error() == Some(libc::EINTR) { Event::TimedOut } else { Event::Nobody };
    }
    if libc::WIFSTOPPED(status) { Event::Stopped { pid, status } } else { Event::Ended { pid, status } }
}

/// Has waits interrupted after so many seconds; 0 takes it back.
pub fn arm(seconds: i64) {
    extern "C" fn nothing(_: libc::c_int) {}
    // SAFETY: all zeroes is a value of this C struct.
    let mut action: libc::sigaction = unsafe { mem::zeroed() };
    action.sa_sigaction = nothing as *const () as libc::sighandler_t; // without SA_RESTART
    // SAFETY: the struct outlives the call, and the handler does nothing.
    unsafe { libc::sigaction(libc::SIGALRM, &action, ptr::null_mut()) };
    let zero = libc::timeval { tv_sec: 0, tv_usec: 0 };
    let timer = libc::itimerval {
        it_interval: libc::timeval { tv_sec: i64::from(seconds > 0), tv_usec: 0 },
        it_value: libc::timeval { tv_sec: seconds, ..zero },
    };
    // SAFETY: the struct outlives the call.
    unsafe { libc::setitimer(libc::ITIMER_REAL, &timer, ptr::null_mut()) };
}

/// Lowers the limit of open descriptors, so that loops over all of them are short.
pub fn limit_descriptors() {
    let limit = libc::rlimit { rlim_cur: 256, rlim_max: 1024 };
    // SAFETY: the struct outlives the call.
    unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) };
}

/// renameat2(2) RENAME_EXCHANGE.
pub fn exchange(one: &str, other: &str) -> Outcome<()> {
    let name = |path: &str| std::ffi::CString::new(path).unwrap_or_default();
    let (one, other) = (name(one), name(other));
    // SAFETY: two strings that end in NUL and outlive the call.
    let answer =
        unsafe { libc::syscall(libc::SYS_renameat2, libc::AT_FDCWD, one.as_ptr(), libc::AT_FDCWD, other.as_ptr(), libc::RENAME_EXCHANGE) };
    if answer < 0 { Err(format!("renameat2 {one:?}: {}", io::Error::last_os_error())) } else { Ok(()) }
}
