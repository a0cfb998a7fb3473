//! What comes before everything else: the tie to the runtime, a session, the keyring, the OOM score, the loopback interface.

use linux_raw_sys::general::CLONE_NEWNET;

use super::{At, Done, Stage, labels};
use crate::error::Note;
use crate::sys::{self, Errno, fs, task};

/// Dies with the runtime as long as nobody else knows of the container.
///
/// Must: look at the channel afterwards; the runtime may have died before.
///
/// Mustn't: let anybody in a namespace that it joins look into it, or take its descriptors, before it is the program (CVE-2016-9962).
///
/// In a user namespace of its own nobody else can look; its parent must, to write the id maps, and need not be root. The same of a process
/// in between that an ordinary user has made: in what it joins nobody is of its user namespace.
pub fn tie_to_runtime(stage: &mut Stage<'_, '_>) -> Done {
    let namespaces = &stage.plan.namespaces;
    if sys::is_undefended("dumpable") {
        return tie(stage);
    }
    let is_root = namespaces.needs_stage() && task::geteuid().is_root();
    if stage.is_staged || is_root || namespaces.uid_map.is_empty() {
        task::set_dumpable_behavior(task::DumpableBehavior::NotDumpable)?;
    }
    tie(stage)
}

/// The tie alone; a change of the user undoes it.
pub fn tie(stage: &Stage<'_, '_>) -> Done {
    task::set_parent_process_death_signal(Some(task::Signal::KILL))?;
    let mut poll = [task::PollFd::new(&stage.channel, task::PollFlags::empty())];
    task::poll(&mut poll, Some(&task::Timespec::default()))?;
    if poll[0].revents().contains(task::PollFlags::HUP) {
        return Err(At::note(Note::Gone)(Errno::CANCELED));
    }
    Ok(())
}

/// Leaves the caller's session, and with it the caller's terminal.
pub fn new_session(_: &mut Stage<'_, '_>) -> Done {
    task::setsid().map(|_| ()).map_err(At::from)
}

/// A session keyring of its own, which `exec` can find by its name. Kernels without keyrings, and users who have used up their quota, go
/// on without one (runc#1181).
pub fn new_keyring(stage: &mut Stage<'_, '_>) -> Done {
    // keyctl_setperm(3): what a session keyring has from the beginning, but for KEY_USR_SEARCH, or KEY_OTH_SEARCH where ids are mapped.
    const PERMISSIONS: u32 = 0x3f13_0000;
    const USER_SEARCH: u32 = 0x8_0000;
    const OTHER_SEARCH: u32 = 0x8;
    let Some(name) = stage.plan.keyring else { return Ok(()) };
    // Who has joined a container has no procfs any more, and has said it before; execve forgets it.
    let label = stage.plan.process.selinux_label.filter(|_| stage.has_procfs());
    if let Some(label) = label {
        labels::set_key_label(stage, label)?;
    }
    let search = if stage.plan.namespaces.maps_ids() { OTHER_SEARCH } else { USER_SEARCH };
    match sys::join_session_keyring(name).and_then(|keyring| sys::set_key_permissions(keyring, PERMISSIONS | search)) {
        Err(Errno::NOSYS | Errno::DQUOT | Errno::PERM) | Ok(()) => {}
        Err(errno) => return Err(errno.into()),
    }
    if label.is_some() { labels::set_key_label(stage, "") } else { Ok(()) }
}

/// Says the label of the keyring to come, as long as there is a procfs to say it to.
pub(super) fn label_keyring(stage: &mut Stage<'_, '_>) -> Done {
    match (stage.plan.keyring, stage.plan.process.selinux_label) {
        (Some(_), Some(label)) => labels::set_key_label(stage, label),
        _ => Ok(()),
    }
}

/// Writes `oom_score_adj`. To lower it takes a right outside of a user namespace, where the process in between still is; who was born
/// in one has it written by the parent, with the id maps.
pub fn set_oom_score(stage: &mut Stage<'_, '_>) -> Done {
    let namespaces = &stage.plan.namespaces;
    let is_done = stage.is_staged || !namespaces.needs_stage() && !namespaces.uid_map.is_empty();
    let Some(score) = stage.plan.process.oom_score_adj.filter(|_| !is_done) else { return Ok(()) };
    let file = fs::openat(stage.procfs, c"self/oom_score_adj", fs::OFlags::WRONLY | fs::OFlags::CLOEXEC, fs::Mode::empty())?;
    fs::write(&file, score.as_bytes()).map(|_| ()).map_err(At::from)
}

/// Sets `lo` up where the network namespace is new.
pub fn loopback_up(stage: &mut Stage<'_, '_>) -> Done {
    if !stage.plan.namespaces.makes(CLONE_NEWNET) {
        return Ok(());
    }
    match sys::loopback_up() {
        Err(Errno::AFNOSUPPORT) | Ok(()) => Ok(()), // a kernel without CONFIG_INET has no loopback to set up
        Err(errno) => Err(errno.into()),
    }
}
