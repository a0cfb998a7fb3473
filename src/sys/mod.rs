//! The kernel boundary: thin and typed, rustix inside, raw calls where rustix has none. Nothing above names an instruction set.
//!
//! Mustn't: decide anything. A function here makes one system call, or the few that make one safe building block.
#![allow(unsafe_code, reason = "with `mem` this is the only floor that may")]

mod bpf;
mod events;
mod file;
mod handler;
mod image;
mod libc;
#[cfg(feature = "libseccomp")]
mod libseccomp;
mod listen;
mod machine;
mod memory;
mod mount;
mod network;
mod pointers;
mod process;
mod raw;
mod scheduling;
mod seccomp;
mod shared;
mod signal;
mod socket;
mod streams;
mod time;
mod undefended;
mod walk;

pub use bpf::{attach_device_program, attached_device_program, detach_device_program, load_device_program, replace_device_program};
pub use events::{Events, Place, copy_to_number, pipe, set_nonblocking};
pub use file::{file_system, file_type, fsync, is_character_device, magic, reserve};
pub use handler::{ALL_BUT_FAULTS, start_over, survive_faults};
pub use image::{DeviceMapper, free_loop, map_device, measure_verity, new_mount, set_loop};
pub use libc::{abort, first_ids, strerror};
#[cfg(feature = "libseccomp")]
pub use libseccomp::{Compared, SeccompRules, seccomp_library, seccomp_number};
pub use listen::{accept_root, connect_for_messages, connect_for_requests, listen_for_messages, listen_for_requests};
pub use machine::{
    Leave, add_entropy, catch_ctrl_alt_del, feed_watchdog, leave, load_module, set_clock, set_watchdog, unmount, was_reset_by_watchdog,
};
pub use memory::{forget_code, forget_stack, map_anonymous, read_at_rest, with_memory, with_words};
pub use mount::{
    About, Attributes, about, bind, bind_onto_itself, bind_tree, change_attributes, clone_tree, map_owners, mount, mount_by_procfs,
    mount_onto, mount_tree, path_of, remount, set_label, set_propagation, unmount_detached, unmount_tree, why_refused,
};
pub use network::{interface_index, loopback_up, request, route_socket};
pub use pointers::{Arguments, CPointer};
pub use process::{
    Clone, Exit, Limit, Pile, clone, close_from_but, close_numbers, close_on_exec_from, close_on_exec_number, descriptors_from, execve,
    execveat, exit, fork, getcwd, is_handed_on, is_open, join_session_keyring, kill, namespace_kind, reset_signal, reset_signals,
    send_signal, set_capabilities, set_groups, set_key_permissions, set_limit, set_namespace, take_descriptor, try_wait_pid, unshare,
    wait_any, wait_pid, wait_pidfd,
};
pub use process::{kill_all, raise_descriptor_limit};
pub use rustix::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
pub use rustix::fs::sync;
pub use rustix::io::Errno;
pub use scheduling::{Scheduler, set_affinity, set_io_priority, set_memory_policy, set_personality, set_scheduler};
pub use seccomp::{knows_filter_flag, let_call_pass, load_filter};
pub use shared::{await_change, map_shared, read_words, wake};
pub use signal::{Signals, block_all, discard_sigpipe, set_blocked, signal_fd, take};
pub use socket::{connect, pair, receive, send, send_some};
pub use undefended::is_undefended;
pub use walk::{
    Missing, create_in_mount, create_in_root, create_in_root_telling, make_in, open_directory_in_root, open_in_mount, open_in_root,
    open_last_in_root, open_or_create_in_root, open_plain_directory, open_regular_in_root, open_without_links, remove_empty_in_root,
};

/// What rustix already says well enough, gathered so that nobody above has to name it.
pub mod fs {
    pub use rustix::fs::{
        Access, AtFlags, CWD, FileType, FlockOperation, Gid, MemfdFlags, Mode, OFlags, RawDir, SealFlags, Stat, StatFs, Timespec,
        Timestamps, Uid, accessat, chownat, fchmod, fchown, fcntl_add_seals, fcntl_get_seals, fcntl_getfl, fcntl_setfl, flock, fstat,
        fstatfs, ftruncate, major, makedev, memfd_create, minor, mkdirat, mkfifoat, mknodat, open, openat, readlinkat_raw, renameat,
        sendfile, statat, statfs, symlinkat, unlinkat, utimensat,
    };
    pub use rustix::io::{FdFlags, dup, fcntl_dupfd_cloexec, fcntl_getfd, fcntl_setfd, pread, pwrite, read, write};
    pub use rustix::pipe::{PipeFlags, pipe_with};
}

/// The same for what concerns processes, terminals and time.
pub mod task {
    pub use super::streams::{ensure_streams, stderr, stdin, stdout};
    pub use super::time::{ClockId, clock_gettime, milliseconds, now_ms};
    pub use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
    pub use rustix::process::ioctl_tiocsctty;
    pub use rustix::process::{
        DumpableBehavior, Pid, PidfdFlags, Signal, chdir, chroot, fchdir, getegid, geteuid, getpgrp, getpid, getppid, kill_process,
        pidfd_open, pidfd_send_signal, pivot_root, set_child_subreaper, set_dumpable_behavior, set_parent_process_death_signal, setsid,
        test_kill_process, umask,
    };
    pub use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, unlockpt};
    pub use rustix::stdio::{dup2_stderr, dup2_stdin, dup2_stdout};
    pub use rustix::system::{setdomainname, sethostname, uname};
    pub use rustix::termios::{OptionalActions, Termios, Winsize, isatty, tcgetattr, tcgetpgrp, tcgetwinsize, tcsetattr, tcsetwinsize};
    pub use rustix::thread::{
        CapabilitySet, UnshareFlags, capability_is_in_bounding_set, clear_ambient_capability_set, configure_capability_in_ambient_set,
        move_into_link_name_space, remove_capability_from_bounding_set, set_keep_capabilities, set_no_new_privs, set_thread_res_gid,
        set_thread_res_uid,
    };
}
