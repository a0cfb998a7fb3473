//! What a process does about a bug of its own: one line, and then it is executed anew. Only for a process that may not end.

use core::ffi::CStr;
use core::sync::atomic::{AtomicI32, AtomicUsize, Ordering};

use linux_raw_sys::general as c;

use super::{CPointer, Signals, raw};

/// The signals that a bug of ours raises: they cannot be blocked, or the kernel ends process 1 and itself.
const FAULTS: [u32; 6] = [c::SIGILL, c::SIGTRAP, c::SIGABRT, c::SIGBUS, c::SIGFPE, c::SIGSEGV];

/// Every signal but those.
pub const ALL_BUT_FAULTS: Signals = {
    let mut set = u64::MAX;
    let mut index = 0;
    while index < FAULTS.len() {
        set &= !(1 << (FAULTS[index] - 1));
        index += 1;
    }
    Signals(set)
};

static OWNER: AtomicI32 = AtomicI32::new(0);
static ARGV: AtomicUsize = AtomicUsize::new(0);
static ENVP: AtomicUsize = AtomicUsize::new(0);

/// More descriptors than this are not handed on to the next life.
const MOST_DESCRIPTORS: usize = 4096;

/// From now on a fault of this very process, not of its children, executes `/proc/self/exe` anew with these arguments.
pub fn survive_faults(argv: &'static [CPointer<'static>], envp: &'static [CPointer<'static>]) {
    ARGV.store(argv.as_ptr() as usize, Ordering::Relaxed);
    ENVP.store(envp.as_ptr() as usize, Ordering::Relaxed);
    OWNER.store(rustix::process::getpid().as_raw_nonzero().get(), Ordering::Relaxed);
    const STACK_BYTES: usize = 16384;
    let Ok(room) = super::map_anonymous(STACK_BYTES) else { return };
    let stack = c::stack_t { ss_sp: room.as_mut_ptr().cast(), ss_flags: 0, ss_size: STACK_BYTES as _ };
    // SAFETY: the stack is never given back; the struct outlives the call.
    let _ = unsafe { raw::call(c::__NR_sigaltstack, [(&raw const stack) as usize, 0, 0, 0, 0, 0]) }; // without it only an overflow of the stack is lost
    // struct kernel_sigaction: handler, flags, restorer, mask. A handler that never returns may as well name itself as the restorer,
    // which x86_64 asks for and RISC-V's struct has no room for.
    let handler = on_fault as *const () as usize;
    #[cfg(any(target_arch = "riscv64", target_arch = "loongarch64"))]
    let action = [handler, c::SA_ONSTACK as usize, 0, 0, 0];
    #[cfg(not(any(target_arch = "riscv64", target_arch = "loongarch64")))]
    let action = [handler, (c::SA_ONSTACK | c::SA_RESTORER) as usize, handler, 0, 0];
    for signal in FAULTS {
        // SAFETY: the words are the kernel's struct, with an empty mask; the handler lives as long as we do.
        let _ = unsafe { raw::call(c::__NR_rt_sigaction, [signal as usize, action.as_ptr() as usize, 0, 8, 0, 0]) };
    }
}

extern "C" fn on_fault(_signal: i32) {
    if rustix::process::getpid().as_raw_nonzero().get() != OWNER.load(Ordering::Relaxed) {
        super::exit(134); // a child of ours: 128 + SIGABRT
    }
    if let Ok(kmsg) = rustix::fs::open(c"/dev/kmsg", rustix::fs::OFlags::WRONLY, rustix::fs::Mode::empty()) {
        let _ = rustix::io::write(&kmsg, b"<2>ocinit[1]: a bug of ours: it is executed anew, the bundles go on\n");
    }
    execute_anew(c"/proc/self/exe", ARGV.load(Ordering::Relaxed), ENVP.load(Ordering::Relaxed));
    super::exit(134)
}

/// Executes `program`, or this one, anew with every descriptor that is open. It returns only if that fails.
pub fn start_over(program: &CStr, argv: &'static [CPointer<'static>], envp: &'static [CPointer<'static>]) {
    execute_anew(program, argv.as_ptr() as usize, envp.as_ptr() as usize);
    execute_anew(c"/proc/self/exe", argv.as_ptr() as usize, envp.as_ptr() as usize);
}

fn execute_anew(program: &CStr, argv: usize, envp: usize) {
    for number in 3..MOST_DESCRIPTORS {
        // SAFETY: no pointer is passed.
        let _ = unsafe { raw::call(c::__NR_fcntl, [number, c::F_SETFD as usize, 0, 0, 0, 0]) }; // EBADF: it is not open
    }
    // SAFETY: both arrays are NULL-ended, hold NUL-ended strings and live as long as the process.
    let _ = unsafe { raw::call(c::__NR_execve, [program.as_ptr() as usize, argv, envp, 0, 0, 0]) };
}
