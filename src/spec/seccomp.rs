//! `linux.seccomp`: which system calls do what.

use crate::json::object;
use crate::mem::List;

object! {
    /// A seccomp profile.
    Seccomp<'a> {
        "defaultAction" => default_action: &'a str,
        "defaultErrnoRet" => default_errno_ret: Option<u32>,
        "architectures" => architectures: List<'a, &'a str>,
        /// Not present, as opposed to empty, means `SECCOMP_FILTER_FLAG_SPEC_ALLOW`.
        "flags" => flags: List<'a, &'a str>,
        "listenerPath" => listener_path: &'a str,
        "listenerMetadata" => listener_metadata: &'a str,
        "syscalls" => syscalls: List<'a, Syscall<'a>>,
    }
}

object! {
    /// What to do at the system calls of these names.
    Syscall<'a> {
        "names" => names: List<'a, &'a str>,
        "action" => action: &'a str,
        "errnoRet" => errno_ret: Option<u32>,
        "args" => args: List<'a, SyscallArg<'a>>,
    }
}

object! {
    /// A condition on one argument.
    SyscallArg<'a> {
        "index" => index: u32,
        "value" => value: u64,
        "valueTwo" => value_two: u64,
        "op" => op: &'a str,
    }
}
