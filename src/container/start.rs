//! One start of a container: the order of its steps as data, and the child that walks them.
//!
//! The order is the one that the specification and the peers agree on; security rests on it, so `tests` below states each rule as a
//! sentence. After the clone the child only walks: no arena, no formatting, no decisions.

use linux_raw_sys::general::{CLONE_NEWCGROUP, CLONE_NEWTIME, CLONE_PARENT};

use crate::error::{Fault, Step};
use crate::plan::Plan;
use crate::steps::{
    self, Done, Stage, console, devices, groundwork, hooks, labels, masks, mounts, namespaces, network, privileges, root, scheduling,
    seccomp, settings, sync, users, workload,
};
use crate::sys::{self, AsFd, Clone, Errno, OwnedFd, fs, task};

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
    (Step::CpuAffinity, scheduling::reset_affinity),
    (Step::Keyring, groundwork::new_keyring),
    (Step::Loopback, groundwork::loopback_up),
    (Step::NetDevices, network::await_devices),
    (Step::PrepareRoot, root::prepare),
    (Step::Mounts, mounts::mount_all),
    (Step::Devices, devices::fill),
    (Step::RuntimeHooks, hooks::await_runtime_hooks),
    (Step::ContainerHooks, hooks::create_container),
    (Step::EnterRoot, root::enter),
    (Step::Console, console::open),
    (Step::ReadonlyMounts, mounts::make_readonly),
    (Step::Hostname, settings::set_hostname),
    (Step::Domainname, settings::set_domainname),
    (Step::ApparmorProfile, labels::set_apparmor_profile),
    (Step::SelinuxLabel, labels::set_selinux_label),
    (Step::Sysctl, settings::write_sysctls),
    (Step::CloseOnExec, workload::close_on_exec),
    (Step::MakeWorkingDirectory, workload::make_directory),
    (Step::ReadonlyRoot, root::make_readonly),
    (Step::ReadonlyPaths, masks::make_paths_readonly),
    (Step::MaskedPaths, masks::hide_paths),
    (Step::RootPropagation, root::set_propagation),
    (Step::WorkingDirectory, workload::enter_directory),
    (Step::Umask, settings::set_umask),
    (Step::Home, users::find_home),
    (Step::NoNewPrivileges, privileges::set_no_new_privileges),
    (Step::Scheduler, scheduling::set_scheduler),
    (Step::IoPriority, scheduling::set_io_priority),
    (Step::Personality, scheduling::set_personality),
    (Step::MemoryPolicy, scheduling::set_memory_policy),
    (Step::Limits, privileges::set_limits),
    (Step::BoundingSet, privileges::drop_bounding_set),
    (Step::StdioOwner, privileges::own_standard_streams),
    (Step::Groups, privileges::set_groups),
    (Step::UserId, privileges::set_ids),
    (Step::WorkingDirectoryAgain, workload::enter_directory_as_user),
    (Step::Capabilities, privileges::set_capabilities),
    (Step::Ambient, privileges::raise_ambient),
    (Step::FindProgram, workload::find_program),
    (Step::ResetSignals, workload::reset_signals),
    (Step::CloseDescriptors, workload::close_descriptors),
    (Step::Seccomp, seccomp::load),
    (Step::Ready, sync::report_ready),
    (Step::AwaitStart, sync::await_start),
    (Step::StartHooks, hooks::start_container),
    (Step::Signals, workload::unblock_signals),
    (Step::Execute, workload::execute),
];

/// What the process in between of `exec` does, while nobody in the container sees it.
pub const JOIN: &[Row] = &[
    (Step::OomScore, groundwork::set_oom_score), // first: who is not dumpable may not write to its own files unless it is root
    (Step::Lifeline, groundwork::tie_to_runtime),
    (Step::ApparmorProfile, labels::set_apparmor_profile),
    (Step::SelinuxLabel, labels::set_selinux_label),
    (Step::JoinNamespaces, namespaces::join_container),
];

/// What its child does, born in the container: of [`CREATE`] what concerns the process, in the same order.
pub const EXEC: &[Row] = &[
    (Step::Lifeline, groundwork::tie_to_runtime),
    (Step::Session, groundwork::new_session),
    (Step::CpuAffinity, scheduling::set_affinity),
    (Step::Keyring, groundwork::new_keyring),
    (Step::EnterRoot, root::take),
    (Step::Console, console::open),
    (Step::WorkingDirectory, workload::enter_directory),
    (Step::Umask, settings::set_umask),
    (Step::FindUser, users::find_user),
    (Step::Home, users::find_home),
    (Step::NoNewPrivileges, privileges::set_no_new_privileges),
    (Step::Scheduler, scheduling::set_scheduler),
    (Step::IoPriority, scheduling::set_io_priority),
    (Step::Personality, scheduling::set_personality),
    (Step::MemoryPolicy, scheduling::set_memory_policy),
    (Step::Limits, privileges::set_limits),
    (Step::BoundingSet, privileges::drop_bounding_set),
    (Step::StdioOwner, privileges::own_standard_streams),
    (Step::Groups, privileges::set_groups),
    (Step::UserId, privileges::set_ids),
    (Step::WorkingDirectoryAgain, workload::enter_directory_as_user),
    (Step::Capabilities, privileges::set_capabilities),
    (Step::Ambient, privileges::raise_ambient),
    (Step::FindProgram, workload::find_program),
    (Step::ResetSignals, workload::reset_signals),
    (Step::CloseDescriptors, workload::close_descriptors),
    (Step::Seccomp, seccomp::load),
    (Step::Listener, seccomp::offer_listener),
    (Step::Signals, workload::unblock_signals),
    (Step::Execute, workload::execute),
];

/// What the process in between does, where one is needed (`plan::namespaces`). Its child does the rest.
pub const STAGE: &[Row] = &[
    (Step::Lifeline, groundwork::tie_to_runtime),
    (Step::OomScore, groundwork::set_oom_score),
    (Step::JoinNamespaces, namespaces::join),
    (Step::IdMaps, namespaces::enter_user_namespace),
    (Step::Unshare, namespaces::join_rest),
];

/// How the child came to be, and so what there is left to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct How {
    /// By clone(2): it is still to be moved into its cgroup.
    pub by_fork: bool,
    /// It is the process in between: it will say who the container's first process is.
    pub is_staged: bool,
}

/// clone3 straight into the cgroup; before Linux 5.7 and for cgroup v1 clone(2), and the child and its parent do the rest.
pub(super) fn make_child(plan: &Plan<'_>, cgroup: Option<&OwnedFd>) -> core::result::Result<(Clone, How), Errno> {
    let is_staged = plan.namespaces.needs_stage();
    let flags = if is_staged { 0 } else { plan.namespaces.in_clone() };
    let moves = plan.cgroup.as_ref().is_some_and(|planned| planned.is_joined_by_move) && cgroup.is_some();
    match if moves { Err(Errno::NOSYS) } else { sys::clone(u64::from(flags), cgroup.map(AsFd::as_fd)) } {
        Err(Errno::NOSYS | Errno::INVAL | Errno::TOOBIG) => {}
        made => return made.map(|clone| (clone, How { by_fork: false, is_staged })),
    }
    let is_staged = is_staged || plan.namespaces.makes(CLONE_NEWTIME); // clone(2) cannot make that one
    let flags = if is_staged { 0 } else { flags & !CLONE_NEWCGROUP };
    sys::fork(flags).map(|clone| (clone, How { by_fork: true, is_staged }))
}

/// The child's whole life up to its program.
pub(super) fn run_child(mut stage: Stage<'_, '_>, how: How) -> ! {
    task::umask(fs::Mode::empty());
    let done = catch_up(&mut stage, how).and_then(|()| {
        if how.is_staged {
            walk(STAGE, &mut stage)?;
            become_the_first_process(&mut stage)?;
        }
        walk(CREATE, &mut stage)
    });
    if let Err(fault) = done {
        sync::report_fault(&stage, fault);
    }
    sys::exit(255)
}

/// The same for a process that joins a container. One that could not be born in its cgroup waits to be moved there.
pub(super) fn run_joining(mut stage: Stage<'_, '_>, by_fork: bool) -> ! {
    task::umask(fs::Mode::empty());
    let done = walk(JOIN, &mut stage).and_then(|()| become_the_first_process(&mut stage)).and_then(|()| {
        if by_fork {
            sync::await_go(&stage).map_err(|at| fault(Step::JoinNamespaces, at))?;
        }
        walk(EXEC, &mut stage)
    });
    if let Err(fault) = done {
        sync::report_fault(&stage, fault);
    }
    sys::exit(255)
}

/// What clone3 would have done: waits to be moved into the cgroup, then makes the namespace that shows it as the root.
fn catch_up(stage: &mut Stage<'_, '_>, how: How) -> core::result::Result<(), Fault> {
    if !how.by_fork {
        return Ok(());
    }
    let makes_cgroup = !how.is_staged && stage.plan.namespaces.makes(CLONE_NEWCGROUP);
    let done =
        sync::await_go(stage).and_then(|()| if makes_cgroup { sys::unshare(CLONE_NEWCGROUP).map_err(steps::At::from) } else { Ok(()) });
    done.map_err(|at| fault(Step::Unshare, at))
}

/// Goes on as a child, born in the namespaces that were joined and made; the process in between says who it is, and is gone.
///
/// Must: wait for its end before the child says anything, for the runtime cannot tell what comes from nobody.
fn become_the_first_process(stage: &mut Stage<'_, '_>) -> core::result::Result<(), Fault> {
    let (reader, writer) = sys::pipe().map_err(|errno| fault(Step::Unshare, errno.into()))?;
    match sys::fork(CLONE_PARENT) {
        Ok(Clone::Child) => {
            drop(writer);
            // Nothing is ever written: it is the end of the pipe that is awaited.
            let ended = task::poll(&mut [task::PollFd::new(&reader, task::PollFlags::empty())], None);
            ended.map_err(|errno| fault(Step::Unshare, errno.into()))?;
            stage.is_staged = true;
            Ok(())
        }
        Ok(Clone::Parent { pid, .. }) => {
            let [a, b, c, d] = pid.as_raw_nonzero().get().to_ne_bytes();
            let told = sys::send(stage.channel, &[sync::CHILD, a, b, c, d], None);
            sys::exit(i32::from(told.is_err()))
        }
        Err(errno) => Err(fault(Step::Unshare, errno.into())),
    }
}

fn fault(step: Step, at: steps::At) -> Fault {
    Fault { step, note: at.note, item: at.item, errno: at.errno }
}

/// Walks a table to its end, or to the first step that fails. The last row of [`CREATE`] never succeeds: it becomes the program.
fn walk(table: &[Row], stage: &mut Stage<'_, '_>) -> core::result::Result<(), Fault> {
    table.iter().try_for_each(|(step, run)| run(stage).map_err(|at| fault(*step, at)))
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
    fn the_scheduler_and_its_like_are_set_while_we_may() {
        for step in [Step::Scheduler, Step::IoPriority, Step::MemoryPolicy, Step::ApparmorProfile, Step::SelinuxLabel] {
            comes_before(step, Step::BoundingSet);
        }
        comes_before(Step::CpuAffinity, Step::Scheduler); // SCHED_DEADLINE wants all processors
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
    fn hooks_see_every_mount_and_the_hosts_files_or_run_as_the_program_will() {
        comes_before(Step::Devices, Step::RuntimeHooks);
        comes_before(Step::RuntimeHooks, Step::ContainerHooks);
        comes_before(Step::ContainerHooks, Step::EnterRoot);
        comes_before(Step::AwaitStart, Step::StartHooks);
    }

    #[test]
    fn nothing_is_open_while_it_waits_for_its_start_and_execute_ends_the_table() {
        assert_eq!(place(Step::Seccomp), place(Step::CloseDescriptors) + 1);
        assert_eq!(CREATE.last().map(|(step, _)| *step), Some(Step::Execute));
    }

    #[test]
    fn the_filter_of_system_calls_comes_after_all_that_needs_more_than_the_profile_may_allow() {
        let after: Vec<Step> = CREATE[place(Step::Seccomp) + 1..].iter().map(|(step, _)| *step).collect();
        // write, read, the hooks if there are any, rt_sigprocmask, execve
        assert_eq!(after, [Step::Ready, Step::AwaitStart, Step::StartHooks, Step::Signals, Step::Execute]);
        comes_before(Step::NoNewPrivileges, Step::Seccomp);
        comes_before(Step::Ambient, Step::Seccomp);
    }

    #[test]
    fn namespaces_that_are_joined_wait_for_nobody_and_the_user_namespace_owns_the_rest() {
        let steps: Vec<Step> = STAGE.iter().map(|(step, _)| *step).collect();
        assert_eq!(steps, [Step::Lifeline, Step::OomScore, Step::JoinNamespaces, Step::IdMaps, Step::Unshare]);
    }

    #[test]
    fn every_step_stands_once() {
        for table in [CREATE, STAGE, JOIN, EXEC] {
            assert!(table.iter().all(|(step, _)| table.iter().filter(|(row, _)| row == step).count() == 1));
        }
        assert!(Step::COUNT == CREATE.len() + EXEC.iter().filter(|(step, _)| !CREATE.iter().any(|(row, _)| row == step)).count());
    }

    /// Of the rows of CREATE those that make the container, which a process that joins it finds made.
    const MAKES_THE_CONTAINER: &[Step] = &[
        Step::NetDevices,
        Step::RootPropagation,
        Step::ApparmorProfile, // in between, as the next
        Step::SelinuxLabel,
        Step::RuntimeHooks,
        Step::ContainerHooks,
        Step::Ready, // nothing waits for it: the end of the channel is the answer
        Step::StartHooks,
        Step::OomScore, // in between
        Step::JoinNamespaces,
        Step::IdMaps,
        Step::Unshare,
        Step::Loopback,
        Step::PrepareRoot,
        Step::Mounts,
        Step::Devices,
        Step::ReadonlyMounts,
        Step::Hostname,
        Step::Domainname,
        Step::Sysctl,
        Step::CloseOnExec, // it has closed everything before it joined
        Step::MakeWorkingDirectory,
        Step::ReadonlyRoot,
        Step::ReadonlyPaths,
        Step::MaskedPaths,
        Step::AwaitStart,
    ];

    #[test]
    fn exec_is_create_without_what_makes_the_container() {
        let of_create = CREATE.iter().map(|(step, _)| *step).filter(|step| !MAKES_THE_CONTAINER.contains(step));
        let of_exec = EXEC.iter().map(|(step, _)| *step).filter(|step| ![Step::FindUser, Step::Listener].contains(step));
        assert_eq!(of_create.collect::<Vec<_>>(), of_exec.collect::<Vec<_>>());
    }

    #[test]
    fn who_joins_a_container_is_tied_and_not_dumpable_before_and_does_nothing_in_it_before_its_child_is_born() {
        assert_eq!((JOIN[0].0, JOIN[1].0, EXEC[0].0), (Step::OomScore, Step::Lifeline, Step::Lifeline));
        assert_eq!(JOIN[JOIN.len() - 1].0, Step::JoinNamespaces);
    }

    #[test]
    fn a_user_is_found_before_its_ids_are_used() {
        let of = |step| EXEC.iter().position(|(row, _)| *row == step).unwrap();
        assert!([Step::Home, Step::StdioOwner, Step::Groups, Step::UserId].into_iter().all(|later| of(Step::FindUser) < of(later)));
    }
}
