//! What comes before everything else: the tie to the runtime, a session, the keyring, the OOM score, the loopback interface.

use linux_raw_sys::general::CLONE_NEWNET;

use super::{At, Done, Stage};
use crate::error::Note;
use crate::sys::{self, Errno, fs, task};

/// Dies with the runtime as long as nobody else knows of the container.
///
/// Must: look at the channel afterwards; the runtime may have died before.
///
/// Mustn't: let anybody in a namespace that it joins look into it, or take its descriptors, before it is the program (CVE-2016-9962).
///
/// In a user namespace of its own nobody else can look; its parent must, to write the id maps, and need not be root.
pub fn tie_to_runtime(stage: &mut Stage<'_, '_>) -> Done {
    let namespaces = &stage.plan.namespaces;
    if stage.is_staged || namespaces.needs_stage() || namespaces.uid_map.is_empty() {
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

/// A session keyring of its own. Kernels without keyrings, and users who have used up their quota, go on without one (runc#1181).
pub fn new_keyring(stage: &mut Stage<'_, '_>) -> Done {
    let Some(name) = stage.plan.keyring else { return Ok(()) };
    match sys::join_session_keyring(name) {
        Err(Errno::NOSYS | Errno::DQUOT | Errno::PERM) | Ok(()) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

/// Writes `oom_score_adj`.
pub fn set_oom_score(stage: &mut Stage<'_, '_>) -> Done {
    let Some(score) = stage.plan.process.oom_score_adj else { return Ok(()) };
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
