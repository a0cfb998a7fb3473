//! One start of a container: the order of its steps as data, and the child that walks them.
//!
//! The order is the one that the specification and the peers agree on; security rests on it, so `tests` below states each rule as a
//! sentence. After the clone the child only walks: no arena, no formatting, no decisions.

use linux_raw_sys::general::CLONE_NEWPID;

use crate::error::{Fault, Note, Step};
use crate::plan::Plan;
use crate::steps::{
    self, Done, Stage, console, devices, groundwork, masks, mounts, namespaces, privileges, root, settings, sync, users, workload,
};
use crate::sys::{self, AsFd, BorrowedFd, Clone, Errno, OwnedFd, fs, task};

/// One row of a table: which step it is, and what does it.
pub type Row = (Step, for<'s, 'p, 'a> fn(&'s mut Stage<'p, 'a>) -> Done);

/// What the child of `create` and `run` does.
pub const CREATE: &[Row] = &[
    (Step::Lifeline, groundwork::tie_to_runtime),
    (Step::Session, groundwork::new_session),
    (Step::OomScore, groundwork::set_oom_score),
    (Step::IdMaps, namespaces::await_id_maps),
    (Step::JoinNamespaces, namespaces::join),
    (Step::Unshare, namespaces::unshare),
    (Step::Keyring, groundwork::new_keyring),
    (Step::Loopback, groundwork::loopback_up),
    (Step::PrepareRoot, root::prepare),
    (Step::Mounts, mounts::mount_all),
    (Step::Devices, devices::fill),
    (Step::EnterRoot, root::enter),
    (Step::Console, console::open),
    (Step::ReadonlyMounts, mounts::make_readonly),
    (Step::Hostname, settings::set_hostname),
    (Step::Domainname, settings::set_domainname),
    (Step::Sysctl, settings::write_sysctls),
    (Step::CloseOnExec, workload::close_on_exec),
    (Step::MakeWorkingDirectory, workload::make_directory),
    (Step::ReadonlyRoot, root::make_readonly),
    (Step::ReadonlyPaths, masks::make_paths_readonly),
    (Step::MaskedPaths, masks::hide_paths),
    (Step::WorkingDirectory, workload::enter_directory),
    (Step::Umask, settings::set_umask),
    (Step::Home, users::find_home),
    (Step::NoNewPrivileges, privileges::set_no_new_privileges),
    (Step::Limits, privileges::set_limits),
    (Step::BoundingSet, privileges::drop_bounding_set),
    (Step::StdioOwner, privileges::own_standard_streams),
    (Step::Groups, privileges::set_groups),
    (Step::UserId, privileges::set_ids),
    (Step::WorkingDirectoryAgain, workload::enter_directory_as_user),
    (Step::Capabilities, privileges::set_capabilities),
    (Step::Ambient, privileges::raise_ambient),
    (Step::FindProgram, workload::find_program),
    (Step::CloseDescriptors, workload::close_descriptors),
    (Step::Ready, sync::report_ready),
    (Step::AwaitStart, sync::await_start),
    (Step::Signals, workload::restore_signals),
    (Step::Execute, workload::execute),
];

/// How the child came to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    /// By clone3, in its namespaces and its cgroup.
    Clone3,
    /// By fork; it has everything still to do.
    Fork,
}

/// clone3 straight into the cgroup; before Linux 5.7, fork, and let the child and its parent do the rest.
pub(super) fn make_child(plan: &Plan<'_>, cgroup: Option<&OwnedFd>, procfs: BorrowedFd<'_>) -> core::result::Result<(Clone, How), Errno> {
    match sys::clone(u64::from(plan.namespaces.in_clone()), cgroup.map(AsFd::as_fd)) {
        Err(Errno::NOSYS | Errno::INVAL | Errno::TOOBIG) => {}
        made => return made.map(|clone| (clone, How::Clone3)),
    }
    if plan.namespaces.maps_ids() {
        return Err(Errno::NOSYS); // their maps must be written between two steps that only clone3 makes one
    }
    if !plan.namespaces.makes(CLONE_NEWPID) {
        return sys::fork().map(|clone| (clone, How::Fork));
    }
    // A new pid namespace is entered by the children of whoever makes it: so the parent makes it, for a moment.
    let own = fs::openat(procfs, c"self/ns/pid", fs::OFlags::RDONLY | fs::OFlags::CLOEXEC, fs::Mode::empty())?;
    sys::unshare(CLONE_NEWPID)?;
    let made = sys::fork()?;
    if let Clone::Parent { .. } = made {
        sys::set_namespace(own.as_fd(), CLONE_NEWPID)?;
    }
    Ok((made, How::Fork))
}

/// The child's whole life up to its program.
pub(super) fn run_child(mut stage: Stage<'_, '_>, how: How) -> ! {
    task::umask(fs::Mode::empty());
    let catch_up = if how == How::Fork { catch_up(&stage) } else { Ok(()) };
    let fault = match catch_up {
        Err(errno) => Fault { step: Step::Unshare, note: Note::None, item: Fault::NO_ITEM, errno },
        Ok(()) => walk(CREATE, &mut stage),
    };
    sync::report_fault(stage.channel, fault);
    sys::exit(255)
}

/// What clone3 would have done: waits to be moved into the cgroup, then makes the namespaces.
fn catch_up(stage: &Stage<'_, '_>) -> core::result::Result<(), Errno> {
    let (bytes, _) = sys::receive(stage.channel, &mut [0])?;
    if bytes == 0 {
        return Err(Errno::CANCELED);
    }
    sys::unshare(stage.plan.namespaces.in_clone() & !CLONE_NEWPID)
}

/// Walks a table to the first step that fails. The last row never succeeds: it becomes the program.
fn walk(table: &[Row], stage: &mut Stage<'_, '_>) -> Fault {
    for (step, run) in table {
        if let Err(steps::At { item, note, errno }) = run(stage) {
            return Fault { step: *step, note, item, errno };
        }
    }
    Fault { step: Step::Execute, note: Note::None, item: Fault::NO_ITEM, errno: Errno::INVAL }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(step: Step) -> usize {
        CREATE.iter().position(|(row, _)| *row == step).unwrap()
    }

    #[track_caller]
    fn comes_before(first: Step, second: Step) {
        assert!(place(first) < place(second), "{first:?} must come before {second:?}");
    }

    #[test]
    fn the_tie_to_the_runtime_is_the_first_thing() {
        assert_eq!(CREATE[0].0, Step::Lifeline);
    }

    #[test]
    fn mounts_come_before_entering_the_root() {
        comes_before(Step::PrepareRoot, Step::Mounts);
        comes_before(Step::Mounts, Step::Devices);
        comes_before(Step::Devices, Step::EnterRoot);
    }

    #[test]
    fn the_root_is_entered_before_anything_is_masked_or_opened_in_it() {
        for later in [
            Step::Console,
            Step::ReadonlyMounts,
            Step::ReadonlyRoot,
            Step::ReadonlyPaths,
            Step::MaskedPaths,
            Step::WorkingDirectory,
            Step::FindProgram,
        ] {
            comes_before(Step::EnterRoot, later);
        }
    }

    #[test]
    fn the_working_directory_is_made_before_the_root_becomes_read_only() {
        comes_before(Step::MakeWorkingDirectory, Step::ReadonlyRoot);
    }

    #[test]
    fn the_working_directory_is_entered_after_the_last_mount_which_moves_us_and_before_the_user_changes() {
        comes_before(Step::MaskedPaths, Step::WorkingDirectory);
        comes_before(Step::WorkingDirectory, Step::UserId);
    }

    #[test]
    fn limits_and_the_bounding_set_come_before_the_user_changes_and_capabilities_after() {
        comes_before(Step::Limits, Step::UserId);
        comes_before(Step::BoundingSet, Step::UserId);
        comes_before(Step::Groups, Step::UserId);
        comes_before(Step::UserId, Step::Capabilities);
        comes_before(Step::Capabilities, Step::Ambient);
    }

    #[test]
    fn the_program_is_looked_for_as_its_user_and_before_the_start() {
        comes_before(Step::Capabilities, Step::FindProgram);
        comes_before(Step::FindProgram, Step::Ready);
    }

    #[test]
    fn nothing_is_open_while_it_waits_for_its_start_and_execute_ends_the_table() {
        let last: Vec<Step> = CREATE.iter().rev().take(5).rev().map(|(step, _)| *step).collect();
        assert_eq!(last, [Step::CloseDescriptors, Step::Ready, Step::AwaitStart, Step::Signals, Step::Execute]);
    }

    #[test]
    fn every_step_stands_once() {
        assert!(CREATE.iter().all(|(step, _)| CREATE.iter().filter(|(row, _)| row == step).count() == 1));
        assert_eq!(CREATE.len(), Step::ALL.len());
    }
}
