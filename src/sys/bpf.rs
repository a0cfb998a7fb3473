//! eBPF programs of cgroups (bpf(2)): loading and attaching, nothing about what they say.

use linux_raw_sys::general::__NR_bpf;

use super::{AsRawFd, BorrowedFd, Errno, FromRawFd, OwnedFd, raw};

const BPF_PROG_LOAD: usize = 5;
const BPF_PROG_ATTACH: usize = 8;
const BPF_PROG_TYPE_CGROUP_DEVICE: u32 = 15;
const BPF_CGROUP_DEVICE: u32 = 6;
const BPF_F_ALLOW_MULTI: u32 = 2;

/// The head of `union bpf_attr` for BPF_PROG_LOAD; the rest is zero.
#[repr(C)]
struct Load {
    kind: u32,
    instructions: u32,
    at: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log_buffer: u64,
    kernel_version: u32,
    flags: u32,
}

/// The head of `union bpf_attr` for BPF_PROG_ATTACH.
#[repr(C)]
struct Attach {
    target: u32,
    program: u32,
    kind: u32,
    flags: u32,
    replace: u32,
}

/// Loads a BPF_PROG_TYPE_CGROUP_DEVICE program; each word is one instruction (`struct bpf_insn`).
/// Errors: ENOSYS, EINVAL without CONFIG_CGROUP_BPF, EPERM, EACCES from the verifier.
pub fn load_device_program(instructions: &[u64]) -> Result<OwnedFd, Errno> {
    let attributes = Load {
        kind: BPF_PROG_TYPE_CGROUP_DEVICE,
        instructions: instructions.len() as u32,
        at: instructions.as_ptr() as usize as u64,
        license: c"Apache-2.0".as_ptr() as usize as u64,
        log_level: 0,
        log_size: 0,
        log_buffer: 0,
        kernel_version: 0,
        flags: 0,
    };
    // SAFETY: the struct is what BPF_PROG_LOAD reads, of the size said; it and the instructions outlive the call.
    let fd = unsafe { raw::call(__NR_bpf, [BPF_PROG_LOAD, (&raw const attributes) as usize, size_of::<Load>(), 0, 0, 0]) }?;
    // SAFETY: the kernel has just made it, and nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// Attaches a device program to a cgroup, beside those of its ancestors (all of them must allow). Errors: EPERM, EINVAL.
pub fn attach_device_program(cgroup: BorrowedFd<'_>, program: BorrowedFd<'_>) -> Result<(), Errno> {
    let attributes = Attach {
        target: cgroup.as_raw_fd() as u32,
        program: program.as_raw_fd() as u32,
        kind: BPF_CGROUP_DEVICE,
        flags: BPF_F_ALLOW_MULTI,
        replace: 0,
    };
    // SAFETY: the struct is what BPF_PROG_ATTACH reads, of the size said, and outlives the call.
    unsafe { raw::call(__NR_bpf, [BPF_PROG_ATTACH, (&raw const attributes) as usize, size_of::<Attach>(), 0, 0, 0]) }.map(|_| ())
}
