//! libseccomp, called as runc calls it, and runc's stub for calls that are newer than the profile.

use std::ffi::CString;
use std::fs::File;
use std::io::{Read, Seek};
use std::os::fd::{AsRawFd, FromRawFd};

use libseccomp_sys as c;
use ocinit::names::seccomp::seccomp_action;
use ocinit::names::syscalls::{Abi, Family};
use ocinit::spec::{Seccomp, Syscall};

use crate::machine::{Call, run};

/// A profile as libseccomp compiles it.
pub struct Reference {
    pub program: Vec<u64>,
    /// For each member of the family that is in the profile: its highest number, whatever the profile says of it.
    /// None where calls that are newer do not seem missing.
    pub newest: Vec<(u32, u32, u32)>,
}

pub fn token(abi: &Abi) -> u32 {
    match abi.word {
        "SCMP_ARCH_X32" => c::SCMP_ARCH_X32,
        _ => abi.audit,
    }
}

pub fn number(abi: &Abi, name: &str) -> Option<u32> {
    let name = CString::new(name).ok()?;
    // SAFETY: a string that ends in NUL.
    u32::try_from(unsafe { c::seccomp_syscall_resolve_name_arch(token(abi), name.as_ptr()) }).ok()
}

/// The members of the family that the profile is for: the native one always.
pub fn members<'f>(profile: &Seccomp<'_>, family: &'f Family) -> impl Iterator<Item = &'f Abi> {
    let named: Vec<&str> = profile.architectures.iter().copied().collect();
    family.abis.iter().enumerate().filter(move |(place, abi)| *place == 0 || named.contains(&abi.word)).map(|(_, abi)| abi)
}

/// Compiles; `optimises` is libseccomp's binary tree, which runc asks for. `None`: libseccomp refuses the profile, since two rules have
/// the very same conditions and different actions.
pub fn compile(profile: &Seccomp<'_>, family: &Family, optimises: bool) -> Option<Reference> {
    let default = seccomp_action(profile.default_action, profile.default_errno_ret).unwrap();
    // SAFETY: the library's own calling order, on a context that only we hold.
    unsafe {
        c::seccomp_api_set(6);
        let context = c::seccomp_init(default);
        assert!(!context.is_null(), "seccomp_init({default:#x})");
        let wanted: Vec<u32> = members(profile, family).map(token).collect();
        for token in &wanted {
            let added = c::seccomp_arch_add(context, *token);
            assert!(added == 0 || added == -17, "seccomp_arch_add: {added}");
        }
        if !wanted.contains(&c::seccomp_arch_native()) {
            assert_eq!(c::seccomp_arch_remove(context, c::SCMP_ARCH_NATIVE), 0);
        }
        if optimises {
            assert_eq!(c::seccomp_attr_set(context, c::scmp_filter_attr::SCMP_FLTATR_CTL_OPTIMIZE, 2), 0);
        }
        for rule in &profile.syscalls {
            if !add(context, rule, default) {
                c::seccomp_release(context);
                return None;
            }
        }
        let program = export(context);
        c::seccomp_release(context);
        let newest = members(profile, family).filter(|_| hides_newer(profile)).map(|abi| (abi.audit, abi.base, newest(profile, abi)));
        Some(Reference { program, newest: newest.collect() })
    }
}

unsafe fn add(context: c::scmp_filter_ctx, rule: &Syscall<'_>, default: u32) -> bool {
    let action = seccomp_action(rule.action, rule.errno_ret).unwrap();
    if action == default {
        return true;
    }
    let conditions: Vec<c::scmp_arg_cmp> = rule
        .args
        .iter()
        .map(|argument| c::scmp_arg_cmp {
            arg: argument.index,
            op: operator(argument.op),
            datum_a: argument.value,
            datum_b: argument.value_two,
        })
        .collect();
    let repeats = (0..6).any(|index| conditions.iter().filter(|condition| condition.arg == index).count() > 1);
    for name in &rule.names {
        let name = CString::new(*name).unwrap();
        // SAFETY: a string that ends in NUL; as many conditions as said.
        unsafe {
            let number = c::seccomp_syscall_resolve_name(name.as_ptr());
            if number == -1 {
                continue;
            }
            let each = if repeats { 1 } else { conditions.len().max(1) };
            let mut groups = conditions.chunks(each).peekable();
            let no_condition: &[c::scmp_arg_cmp] = &[];
            let unconditional = groups.peek().is_none().then_some(no_condition);
            for group in unconditional.into_iter().chain(groups) {
                match c::seccomp_rule_add_array(context, action, number, group.len() as u32, group.as_ptr()) {
                    0 => {}
                    EEXIST => return false,
                    other => panic!("seccomp_rule_add_array: {name:?} {action:#x}: {other}"),
                }
            }
        }
    }
    true
}

const EEXIST: i32 = -17;

pub fn operator(word: &str) -> c::scmp_compare {
    match word {
        "SCMP_CMP_NE" => c::scmp_compare::SCMP_CMP_NE,
        "SCMP_CMP_LT" => c::scmp_compare::SCMP_CMP_LT,
        "SCMP_CMP_LE" => c::scmp_compare::SCMP_CMP_LE,
        "SCMP_CMP_EQ" => c::scmp_compare::SCMP_CMP_EQ,
        "SCMP_CMP_GE" => c::scmp_compare::SCMP_CMP_GE,
        "SCMP_CMP_GT" => c::scmp_compare::SCMP_CMP_GT,
        "SCMP_CMP_MASKED_EQ" => c::scmp_compare::SCMP_CMP_MASKED_EQ,
        word => panic!("{word}"),
    }
}

unsafe fn export(context: c::scmp_filter_ctx) -> Vec<u64> {
    // SAFETY: a name that ends in NUL; the descriptor is ours alone.
    let mut file = unsafe { File::from_raw_fd(memfd_create(c"filter".as_ptr(), 0)) };
    // SAFETY: a context that is alive and a descriptor that is open.
    assert_eq!(unsafe { c::seccomp_export_bpf(context, file.as_raw_fd()) }, 0);
    file.rewind().unwrap();
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).unwrap();
    bytes.chunks_exact(8).map(|word| u64::from_ne_bytes(word.try_into().unwrap())).collect()
}

unsafe extern "C" {
    fn memfd_create(name: *const std::ffi::c_char, flags: u32) -> i32;
}

/// The highest number that the profile names.
fn newest(profile: &Seccomp<'_>, abi: &Abi) -> u32 {
    let names = profile.syscalls.iter().flat_map(|rule| rule.names.iter());
    // libseccomp gives those behind a multiplexer a negative number, although some have one of their own.
    names.filter_map(|name| number(abi, name)).map(|number| number & !abi.base).max().unwrap_or(0)
}

/// Whether calls that are newer seem missing.
fn hides_newer(profile: &Seccomp<'_>) -> bool {
    const ENOSYS: u32 = 38;
    let is_permissive = matches!(profile.default_action, "SCMP_ACT_ALLOW" | "SCMP_ACT_LOG" | "SCMP_ACT_TRACE");
    !is_permissive && !(profile.default_action == "SCMP_ACT_ERRNO" && profile.default_errno_ret == Some(ENOSYS))
}

const X32: u32 = 0x4000_0000;
pub const MISSING: u32 = 0x0005_0026;

impl Reference {
    /// What runc's filter returns: first its stub, then libseccomp's program.
    pub fn answer(&self, call: &Call) -> u32 {
        let is_x32 = call.architecture == c::SCMP_ARCH_X86_64 && call.number & X32 != 0;
        let base = if is_x32 { X32 } else { 0 };
        let newest = self.newest.iter().find(|(audit, at, _)| *audit == call.architecture && *at == base);
        match newest {
            Some((_, _, newest)) if *newest > 0 && call.number > base + newest => MISSING,
            _ => run(&self.program, call).0,
        }
    }
}
