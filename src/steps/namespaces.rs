//! Joining namespaces, making those that the clone did not, and becoming root in a user namespace.

use linux_raw_sys::general::CLONE_NEWUSER;

use super::{At, Container, Done, Stage, groundwork, sync};
use crate::error::Note;
use crate::mem::PathBuffer;
use crate::names::NAMESPACES;
use crate::plan::mounts::Entry;
use crate::plan::namespaces::KINDS;
use crate::sys::{self, AsFd, BorrowedFd, Errno, OwnedFd, fs, task};

/// One namespace that is still to be joined.
pub struct Pending {
    /// Its place in the plan's list.
    index: usize,
    flag: u32,
    file: OwnedFd,
}

/// Those that are still to be joined.
pub type Waiting = heapless::Vec<Pending, KINDS>;

/// Waits until the parent has written the id maps, then takes the root of the user namespace that the clone made.
pub fn await_id_maps(stage: &mut Stage<'_, '_>) -> Done {
    if stage.is_staged || stage.plan.namespaces.uid_map.is_empty() {
        return Ok(());
    }
    sync::await_go(stage)?;
    become_root(stage)
}

/// Joins the namespaces named by path. With a user namespace, those that it does not own must be joined before it, with the rights
/// outside, and those that it owns after it: so what is refused now waits.
///
/// Must: open all before it enters any: their paths are the runtime's.
pub fn join(stage: &mut Stage<'_, '_>) -> Done {
    if stage.is_staged {
        return Ok(());
    }
    let mut opened = Waiting::new();
    for (index, join) in stage.plan.namespaces.join.iter().enumerate() {
        let file = fs::open(join.path, fs::OFlags::RDONLY | fs::OFlags::CLOEXEC, fs::Mode::empty());
        let file = file.map_err(At::note(Note::OpenSource)).map_err(At::item(index))?;
        let _ = opened.push(Pending { index, flag: join.flag, file }); // `check` has refused a second of one kind
    }
    let maps_ids = stage.plan.namespaces.maps_ids();
    for pending in opened {
        if pending.flag == CLONE_NEWUSER {
            let _ = stage.waiting.push(pending); // as above
            continue;
        }
        match sys::set_namespace(pending.file.as_fd(), pending.flag) {
            Err(Errno::PERM) if maps_ids => {
                let _ = stage.waiting.push(pending); // as above
            }
            joined => joined.map_err(|errno| explain(&pending, errno))?,
        }
    }
    Ok(())
}

/// Makes or joins the user namespace, and a time namespace whose offsets are to be set before anybody is in it.
pub fn enter_user_namespace(stage: &mut Stage<'_, '_>) -> Done {
    let new = stage.plan.namespaces.before_the_maps();
    if new != 0 {
        sys::unshare(new)?;
        sys::send(stage.channel, &[sync::MAPS], None)?;
        sync::await_go(stage)?;
    }
    if let Some(place) = stage.waiting.iter().position(|pending| pending.flag == CLONE_NEWUSER) {
        let pending = stage.waiting.remove(place);
        match sys::set_namespace(pending.file.as_fd(), CLONE_NEWUSER) {
            Err(Errno::INVAL) if is_own(stage, &pending)? => return Ok(()), // setns(2) refuses to enter again
            joined => joined.map_err(|errno| explain(&pending, errno))?,
        }
    }
    if stage.plan.namespaces.maps_ids() { become_root(stage) } else { Ok(()) }
}

/// Joins what only the user namespace gives the right to, and makes the rest.
pub fn join_rest(stage: &mut Stage<'_, '_>) -> Done {
    for pending in core::mem::take(&mut stage.waiting) {
        sys::set_namespace(pending.file.as_fd(), pending.flag).map_err(|errno| explain(&pending, errno))?;
    }
    match stage.plan.namespaces.after_the_maps() {
        0 => Ok(()),
        flags => sys::unshare(flags).map_err(At::from),
    }
}

/// Joins the namespaces of a container that runs: all at once by the handle of its first process, before Linux 5.8 one by one.
///
/// Must: not be dumpable already, and let go of everything of the host's: who is in there may look at us (CVE-2016-9962, CVE-2024-21626).
/// Mustn't: be seen in its pid namespace, which is why it is entered by our child; nor use the procfs afterwards, for which stands what
/// opens nothing.
pub fn join_container(stage: &mut Stage<'_, '_>) -> Done {
    groundwork::label_keyring(stage)?;
    let Some(Container { pidfd, directory }) = stage.container.take() else { return Err(Errno::BADF.into()) };
    let flags = stage.plan.namespaces.of_container;
    let kept = [stage.channel, stage.console_socket.unwrap_or(stage.channel), pidfd.unwrap_or(directory), directory];
    if !sys::is_undefended("descriptors") {
        sys::close_from_but(stage.procfs, super::workload::first_own(stage), &kept)?;
    }
    stage.procfs = stage.channel;
    if stage.plan.root.entry == Entry::Chroot {
        let flags = fs::OFlags::PATH | fs::OFlags::DIRECTORY | fs::OFlags::CLOEXEC;
        stage.root = Some(fs::openat(directory, c"root", flags, fs::Mode::empty())?);
    }
    match pidfd.map_or(Err(Errno::INVAL), |pidfd| sys::set_namespace(pidfd, flags)) {
        Err(Errno::INVAL) => join_each(directory, flags)?,
        joined => joined?,
    }
    let number = |fd: BorrowedFd<'_>| sys::AsRawFd::as_raw_fd(&fd) as u32;
    sys::close_numbers(&[number(directory), number(pidfd.unwrap_or(directory))]);
    if flags & CLONE_NEWUSER != 0 { become_root(stage) } else { Ok(()) }
}

/// By their files: first what we may as who we are, then the user namespace, then what only its root may.
fn join_each(directory: BorrowedFd<'_>, flags: u32) -> Done {
    let mut opened = heapless::Vec::<(u32, OwnedFd), KINDS>::new();
    for kind in NAMESPACES.iter().rev().filter(|kind| kind.flag() & flags != 0) {
        let mut path = PathBuffer::new();
        path.set(&[b"ns/", kind.file().as_bytes()]);
        let file = fs::openat(directory, path.as_c_str(), fs::OFlags::RDONLY | fs::OFlags::CLOEXEC, fs::Mode::empty())?;
        let _ = opened.push((kind.flag(), file)); // there is a place for each kind
    }
    let mut refused = 0;
    for (flag, file) in &opened {
        match sys::set_namespace(file.as_fd(), *flag) {
            Err(Errno::PERM) if flags & CLONE_NEWUSER != 0 && *flag != CLONE_NEWUSER => refused |= flag,
            joined => joined?,
        }
    }
    for (flag, file) in opened.iter().filter(|(flag, _)| flag & refused != 0) {
        sys::set_namespace(file.as_fd(), *flag)?;
    }
    Ok(())
}

/// Makes the namespaces that are better made here than by the clone.
pub fn unshare(stage: &mut Stage<'_, '_>) -> Done {
    match stage.plan.namespaces.in_child() {
        0 => Ok(()),
        flags => sys::unshare(flags).map_err(At::from),
    }
}

/// What the kernel means by EINVAL.
fn explain(pending: &Pending, errno: Errno) -> At {
    let is_other = errno == Errno::INVAL && sys::namespace_kind(pending.file.as_fd()) != Some(pending.flag);
    At::item(pending.index)(At::note(if is_other { Note::OtherNamespace } else { Note::None })(errno))
}

fn is_own(stage: &Stage<'_, '_>, pending: &Pending) -> Result<bool, Errno> {
    let own = fs::statat(stage.procfs, c"self/ns/user", fs::AtFlags::empty())?;
    let joined = fs::fstat(&pending.file)?;
    Ok((own.st_dev, own.st_ino) == (joined.st_dev, joined.st_ino))
}

/// Root in the user namespace; where that has none, the process's own user.
fn become_root(stage: &mut Stage<'_, '_>) -> Done {
    let process = &stage.plan.process;
    let gids = [fs::Gid::ROOT, fs::Gid::from_raw(process.gid)];
    let uids = [fs::Uid::ROOT, fs::Uid::from_raw(process.uid)];
    let set_gid = |gid: fs::Gid| task::set_thread_res_gid(gid, gid, gid);
    let set_uid = |uid: fs::Uid| task::set_thread_res_uid(uid, uid, uid);
    set_gid(gids[0]).or_else(|_| set_gid(gids[1])).map_err(At::note(Note::Unmapped))?;
    set_uid(uids[0]).or_else(|_| set_uid(uids[1])).map_err(At::note(Note::Unmapped))?;
    // The change of the user has undone both.
    groundwork::tie(stage)?;
    task::set_dumpable_behavior(task::DumpableBehavior::NotDumpable).map_err(At::from)
}
