//! eBPF programs of cgroups (bpf(2)): loading, attaching and finding them, nothing about what they say.

use linux_raw_sys::general as c;

use super::{AsRawFd, BorrowedFd, Errno, FromRawFd, OwnedFd, raw};

const BPF_PROG_LOAD: usize = 5;
const BPF_PROG_ATTACH: usize = 8;
const BPF_PROG_DETACH: usize = 9;
const BPF_PROG_GET_FD_BY_ID: usize = 13;
const BPF_OBJ_GET_INFO_BY_FD: usize = 15;
const BPF_PROG_QUERY: usize = 16;
const BPF_PROG_TYPE_CGROUP_DEVICE: u32 = 15;
const BPF_CGROUP_DEVICE: u32 = 6;
const BPF_F_ALLOW_MULTI: u32 = 2;
const BPF_F_REPLACE: u32 = 4;

/// What our programs are called in the kernel, to tell them from a service manager's.
const NAME: [u8; 16] = *b"ocinit_devices\0\0";

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
    name: [u8; 16],
}

/// The head of `union bpf_attr` for BPF_PROG_ATTACH and BPF_PROG_DETACH.
#[repr(C)]
struct Attach {
    target: u32,
    program: u32,
    kind: u32,
    flags: u32,
    replace: u32,
}

/// The head of `union bpf_attr` for BPF_PROG_QUERY.
#[repr(C)]
struct Query {
    target: u32,
    kind: u32,
    query_flags: u32,
    attach_flags: u32,
    ids: u64,
    count: u32,
    padding: u32,
}

/// The head of `union bpf_attr` for BPF_OBJ_GET_INFO_BY_FD.
#[repr(C)]
struct Information {
    fd: u32,
    len: u32,
    at: u64,
}

/// Where the name stands in `struct bpf_prog_info`.
const NAME_OFFSET: usize = 64;

fn call<T>(command: usize, attributes: &mut T) -> Result<usize, Errno> {
    // SAFETY: the struct is the head of what this command reads and writes, of the size said; it and what it points to outlive the call.
    unsafe { raw::call(c::__NR_bpf, [command, (&raw mut *attributes) as usize, size_of::<T>(), 0, 0, 0]) }
}

fn owned(fd: usize) -> OwnedFd {
    // SAFETY: the kernel has just made it, and nobody else owns it.
    unsafe { OwnedFd::from_raw_fd(fd as i32) }
}

/// Loads a BPF_PROG_TYPE_CGROUP_DEVICE program; each word is one instruction (`struct bpf_insn`).
/// Errors: ENOSYS, EINVAL without CONFIG_CGROUP_BPF, EPERM, EACCES from the verifier.
pub fn load_device_program(instructions: &[u64]) -> Result<OwnedFd, Errno> {
    let mut attributes = Load {
        kind: BPF_PROG_TYPE_CGROUP_DEVICE,
        instructions: instructions.len() as u32,
        at: instructions.as_ptr() as usize as u64,
        license: c"Apache-2.0".as_ptr() as usize as u64,
        log_level: 0,
        log_size: 0,
        log_buffer: 0,
        kernel_version: 0,
        flags: 0,
        name: NAME,
    };
    match call(BPF_PROG_LOAD, &mut attributes) {
        // Before Linux 5.11 a program is locked memory; the limit on that is the container's again before it exists.
        Err(Errno::PERM) => with_memory_to_lock(|| call(BPF_PROG_LOAD, &mut attributes)),
        answer => answer,
    }
    .map(owned)
}

fn with_memory_to_lock<T>(work: impl FnOnce() -> Result<T, Errno>) -> Result<T, Errno> {
    let old = super::process::limit(c::RLIMIT_MEMLOCK)?;
    let raise = |soft, hard| super::set_limit(super::Limit { soft, hard, ..old });
    raise(u64::MAX, u64::MAX).or_else(|_| raise(old.hard, old.hard))?;
    let answer = work();
    let _ = super::set_limit(old); // to lower it is always allowed
    answer
}

/// Attaches a device program to a cgroup, beside those of its ancestors (all of them must allow). Errors: EPERM, EINVAL.
pub fn attach_device_program(cgroup: BorrowedFd<'_>, program: BorrowedFd<'_>) -> Result<(), Errno> {
    attach(BPF_PROG_ATTACH, cgroup, program, BPF_F_ALLOW_MULTI, 0)
}

/// Attaches one in the place of another, at once. Errors: EINVAL before Linux 5.6.
pub fn replace_device_program(cgroup: BorrowedFd<'_>, program: BorrowedFd<'_>, old: BorrowedFd<'_>) -> Result<(), Errno> {
    attach(BPF_PROG_ATTACH, cgroup, program, BPF_F_ALLOW_MULTI | BPF_F_REPLACE, old.as_raw_fd() as u32)
}

/// Takes one off.
pub fn detach_device_program(cgroup: BorrowedFd<'_>, program: BorrowedFd<'_>) -> Result<(), Errno> {
    attach(BPF_PROG_DETACH, cgroup, program, 0, 0)
}

fn attach(command: usize, cgroup: BorrowedFd<'_>, program: BorrowedFd<'_>, flags: u32, replace: u32) -> Result<(), Errno> {
    let (target, program) = (cgroup.as_raw_fd() as u32, program.as_raw_fd() as u32);
    call(command, &mut Attach { target, program, kind: BPF_CGROUP_DEVICE, flags, replace }).map(|_| ())
}

/// The device program that we have attached to this cgroup, if there is one: the only one there, or the one that bears our name.
/// Errors: ENOSPC where there are more than 64.
pub fn attached_device_program(cgroup: BorrowedFd<'_>) -> Result<Option<OwnedFd>, Errno> {
    let mut ids = [0u32; 64];
    let mut query = Query {
        target: cgroup.as_raw_fd() as u32,
        kind: BPF_CGROUP_DEVICE,
        query_flags: 0,
        attach_flags: 0,
        ids: (&raw mut ids) as usize as u64,
        count: ids.len() as u32,
        padding: 0,
    };
    call(BPF_PROG_QUERY, &mut query)?;
    let count = query.count as usize;
    for id in ids.iter().take(count) {
        let program = owned(call(BPF_PROG_GET_FD_BY_ID, &mut [*id, 0, 0])?);
        if count == 1 || name(&program)? == NAME {
            return Ok(Some(program));
        }
    }
    Ok(None)
}

fn name(program: &OwnedFd) -> Result<[u8; 16], Errno> {
    let mut about = [0u8; NAME_OFFSET + 16];
    let at = about.as_mut_ptr() as usize as u64;
    call(BPF_OBJ_GET_INFO_BY_FD, &mut Information { fd: program.as_raw_fd() as u32, len: about.len() as u32, at })?;
    Ok(about[NAME_OFFSET..].try_into().unwrap_or_default())
}
