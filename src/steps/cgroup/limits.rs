//! A cgroup's limits and its device program, written and attached.

use core::ffi::CStr;

use super::{Trouble, read_file, write_file};
use crate::plan::cgroup::{Limit, Rule};
use crate::sys::{self, AsFd, BorrowedFd, Errno};

/// Writes the limits, in their order, to the first that fails.
pub fn apply<'a>(cgroup: BorrowedFd<'_>, limits: impl Iterator<Item = &'a Limit<'a>>) -> Result<(), Trouble<'a>> {
    let mut skips_next = false;
    for limit in limits {
        if core::mem::take(&mut skips_next) {
            continue;
        }
        if limit.rule == Rule::AboveUse {
            stay_above_use(cgroup, limit)?;
            continue;
        }
        match (write_file(cgroup, limit.setting.file, limit.setting.value.as_bytes()), limit.rule) {
            (Ok(()), rule) => skips_next = rule == Rule::OrNext,
            (Err(Errno::NOENT), Rule::IfThere | Rule::OrNext) | (Err(Errno::INVAL), Rule::WrittenAgain | Rule::OrNext) => {}
            (Err(errno), _) => return Err(Trouble::Limit(*limit, errno)),
        }
    }
    Ok(())
}

/// The kernel takes a limit below the memory in use, and then kills; `checkBeforeUpdate` asks to be refused instead.
fn stay_above_use<'a>(cgroup: BorrowedFd<'_>, limit: &'a Limit<'a>) -> Result<(), Trouble<'a>> {
    let Some(usage) = number(cgroup, c"memory.current") else { return Ok(()) };
    if limit.setting.value.parse().is_ok_and(|limit: u64| limit > usage) { Ok(()) } else { Err(Trouble::InUse(*limit, usage)) }
}

fn number(cgroup: BorrowedFd<'_>, name: &CStr) -> Option<u64> {
    let mut buffer = [0; 24];
    let text = read_file(cgroup, name, &mut buffer).ok()?;
    core::str::from_utf8(text).ok()?.trim_end().parse().ok()
}

/// Attaches the device program, if there is one.
pub fn guard_devices<'a>(cgroup: BorrowedFd<'_>, program: &[u64]) -> Result<(), Trouble<'a>> {
    if program.is_empty() || sys::is_undefended("device-program") {
        return Ok(());
    }
    let program = sys::load_device_program(program).map_err(Trouble::Devices)?;
    sys::attach_device_program(cgroup, program.as_fd()).map_err(Trouble::Devices)
}

/// Puts a device program in the place of the one that is attached, at once: at no moment is there none.
pub fn guard_devices_anew<'a>(cgroup: BorrowedFd<'_>, program: &[u64]) -> Result<(), Trouble<'a>> {
    let program = sys::load_device_program(program).map_err(Trouble::Devices)?;
    let old = sys::attached_device_program(cgroup).map_err(Trouble::Devices)?;
    let Some(old) = old else { return sys::attach_device_program(cgroup, program.as_fd()).map_err(Trouble::Devices) };
    match sys::replace_device_program(cgroup, program.as_fd(), old.as_fd()) {
        // Before Linux 5.6: for a moment both guard.
        Err(Errno::INVAL) => {
            sys::attach_device_program(cgroup, program.as_fd()).and_then(|()| sys::detach_device_program(cgroup, old.as_fd()))
        }
        answer => answer,
    }
    .map_err(Trouble::Devices)
}
