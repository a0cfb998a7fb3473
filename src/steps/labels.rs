//! Security labels of the program: said to the kernel now, taken at execve.
//!
//! Must: write to the kernel's own files alone (CVE-2019-16884, CVE-2025-52881). Mustn't: go on where one could not be set.

use core::ffi::CStr;

use super::{At, Done, Stage};
use crate::error::Note;
use crate::sys::{self, BorrowedFd, Errno, fs};

/// `process.apparmorProfile`.
pub fn set_apparmor_profile(stage: &mut Stage<'_, '_>) -> Done {
    let Some(command) = stage.plan.process.apparmor_command else { return Ok(()) };
    // Before Linux 5.8 it shares one file with the other security modules.
    match write_attribute(stage.procfs, c"self/attr/apparmor/exec", command) {
        Err(At { errno: Errno::NOENT, .. }) => write_attribute(stage.procfs, c"self/attr/exec", command),
        answer => answer,
    }
}

/// `process.selinuxLabel`.
pub fn set_selinux_label(stage: &mut Stage<'_, '_>) -> Done {
    stage.plan.process.selinux_label.map_or(Ok(()), |label| write_attribute(stage.procfs, c"self/attr/exec", label))
}

/// The label of keys that are made from now on, or with an empty one the kernel's choice again.
pub(super) fn set_key_label(stage: &Stage<'_, '_>, label: &str) -> Done {
    match write_attribute(stage.procfs, c"self/attr/keycreate", label) {
        Err(At { errno: Errno::NOENT, .. }) => Ok(()), // before Linux 2.6.18
        answer => answer,
    }
}

fn write_attribute(procfs: BorrowedFd<'_>, path: &CStr, text: &str) -> Done {
    let file = fs::openat(procfs, path, fs::OFlags::WRONLY | fs::OFlags::NOFOLLOW | fs::OFlags::CLOEXEC, fs::Mode::empty())?;
    if sys::file_system(&file)? != sys::magic::PROC_SUPER_MAGIC {
        return Err(At::note(Note::NotProcfs)(Errno::INVAL));
    }
    match fs::write(&file, text.as_bytes())? {
        len if len == text.len() => Ok(()),
        _ => Err(Errno::IO.into()),
    }
}
