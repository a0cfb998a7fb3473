//! The doing: a file per subject, a short function per step. The child made for the container runs them, one after the other.
//!
//! Must: report failures as a few numbers. Mustn't: decide, parse, format, allocate, or touch a path that was not walked inside the root.

pub mod cgroup;
pub mod console;
mod copy_up;
pub mod devices;
pub mod groundwork;
pub mod hooks;
pub mod image;
pub mod labels;
pub mod masks;
pub mod mounts;
pub mod namespaces;
pub mod network;
pub mod privileges;
pub mod root;
pub mod scheduling;
pub mod seccomp;
pub mod settings;
pub mod sources;
pub mod sync;
pub mod users;
pub mod workload;

use core::ffi::CStr;

use crate::error::{Fault, Note};
use crate::mem::PathBuffer;
use crate::plan::Plan;
use crate::sys::{self, AsFd, AsRawFd, BorrowedFd, Errno, OwnedFd};

/// What the steps work on. The child owns it; the parent has no part in it after the clone.
pub struct Stage<'p, 'a> {
    /// What is to be done.
    pub plan: &'p mut Plan<'a>,
    /// The running container that is to be joined; only for `exec`.
    pub container: Option<Container<'p>>,
    /// A procfs that was seen to be one, from outside the container.
    pub procfs: BorrowedFd<'p>,
    /// The socket to the parent.
    pub channel: BorrowedFd<'p>,
    /// Where one byte arrives when the process is to start.
    pub start_gate: BorrowedFd<'p>,
    /// Where the terminal's master goes, if not to the parent.
    pub console_socket: Option<BorrowedFd<'p>>,
    /// Signals that were blocked before the runtime blocked them all.
    pub blocked_signals: sys::Signals,
    /// The images of the root file system, mounted and not yet attached; none where it is a directory.
    pub image: Option<&'p image::Mounted>,
    /// Signals that its caller had ignored.
    pub ignored_signals: sys::Signals,
    /// The container's root directory (O_PATH), once there is one.
    pub root: Option<OwnedFd>,
    /// The mount that it is; `None` before Linux 5.8.
    pub root_mount: Option<u64>,
    /// What was mounted on [`mounts::PROTECTED`], whatever became of those names since.
    pub protected: [Option<OwnedFd>; 2],
    /// Whether a process in between has already joined namespaces and taken the root of the user namespace.
    pub is_staged: bool,
    /// Namespaces that are still to be joined.
    pub waiting: namespaces::Waiting,
    /// Whether root could not enter the working directory, so that the process's user must.
    pub enters_directory_as_user: bool,
    /// The program to execute, once it was found.
    pub executable: PathBuffer,
    /// What goes with a fault: what the hook that failed had written, or to the second the kernel's words for a file system.
    pub came_along: hooks::Output,
    /// The number of the descriptor by which others decide about system calls, once there is one.
    pub listener: Option<u32>,
}

/// A running container's first process, whose namespaces are to be joined.
#[derive(Clone, Copy)]
pub struct Container<'p> {
    /// The handle; none before Linux 5.3.
    pub pidfd: Option<BorrowedFd<'p>>,
    /// Its directory in /proc, which is never another's.
    pub directory: BorrowedFd<'p>,
}

/// Why a step failed, and at which of the plan's items.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct At {
    /// Index into the plan's list that the step walks; [`Fault::NO_ITEM`] without one.
    pub item: u16,
    /// What exactly could not be done.
    pub note: Note,
    /// The kernel's answer.
    pub errno: Errno,
}

/// What a step returns.
pub type Done = Result<(), At>;

impl From<Errno> for At {
    fn from(errno: Errno) -> Self {
        At { item: Fault::NO_ITEM, note: Note::None, errno }
    }
}

impl At {
    /// For `map_err`: the kernel's answer while doing `note`.
    pub fn note(note: Note) -> impl FnOnce(Errno) -> At {
        move |errno| At { item: Fault::NO_ITEM, note, errno }
    }

    /// For `map_err`: the same failure, at the list's item `index`.
    pub fn item(index: usize) -> impl FnOnce(At) -> At {
        move |at| At { item: u16::try_from(index).unwrap_or(Fault::NO_ITEM), ..at }
    }
}

impl<'p, 'a> Stage<'p, 'a> {
    /// A stage on which nothing has happened yet.
    pub fn new(plan: &'p mut Plan<'a>, procfs: BorrowedFd<'p>, channel: BorrowedFd<'p>, blocked_signals: sys::Signals) -> Self {
        Stage {
            plan,
            container: None,
            procfs,
            channel,
            start_gate: channel,
            console_socket: None,
            blocked_signals,
            image: None,
            ignored_signals: sys::Signals::ALL,
            root: None,
            root_mount: None,
            protected: [None, None],
            is_staged: false,
            waiting: namespaces::Waiting::new(),
            enters_directory_as_user: false,
            executable: PathBuffer::new(),
            came_along: Default::default(),
            listener: None,
        }
    }
}

impl Stage<'_, '_> {
    /// Whether it is another process, some day, that gives the start, and not the runtime at once.
    fn may_wait_long(&self) -> bool {
        self.start_gate.as_raw_fd() != self.channel.as_raw_fd()
    }

    /// Whether there is still a procfs: who has joined a container has let go of it.
    fn has_procfs(&self) -> bool {
        self.procfs.as_raw_fd() != self.channel.as_raw_fd()
    }

    /// The container's root. Errors: EBADF before there is one.
    fn root(&self) -> Result<BorrowedFd<'_>, Errno> {
        self.root.as_ref().map(AsFd::as_fd).ok_or(Errno::BADF)
    }

    /// `path` as the container sees it (O_PATH).
    fn open(&self, path: &CStr) -> Result<OwnedFd, Errno> {
        sys::open_in_root(self.root()?, path)
    }
}
