//! The container's terminal: a pair from its own devpts, the master handed out, the slave made the standard streams.

use super::{At, Done, Stage};
use crate::error::Note;
use crate::sys::{self, AsFd, Errno, OwnedFd, fs, task};

/// First byte of the message that brings the master to the parent.
pub const MASTER: u8 = b'T';

/// Opens the terminal and takes it.
///
/// Must: come after the root was entered: the pair is the container's. Mustn't: believe any name in /dev (CVE-2025-52565, CVE-2026-88264).
pub fn open(stage: &mut Stage<'_, '_>) -> Done {
    if !stage.plan.process.has_terminal {
        return Ok(());
    }
    let master = open_master(stage)?;
    let flags = task::OpenptFlags::RDWR | task::OpenptFlags::NOCTTY | task::OpenptFlags::CLOEXEC;
    let slave = task::ioctl_tiocgptpeer(&master, flags)?;
    if let Some((ws_row, ws_col)) = stage.plan.process.console_size {
        task::tcsetwinsize(&slave, task::Winsize { ws_row, ws_col, ws_xpixel: 0, ws_ypixel: 0 })?;
    }
    if stage.plan.devices.fills_dev {
        mount_on_console(stage, &slave)?;
    }
    match stage.console_socket {
        Some(socket) => sys::send(socket, b"/dev/ptmx", Some(master.as_fd())),
        None => sys::send(stage.channel, &[MASTER], Some(master.as_fd())),
    }?;
    task::ioctl_tiocsctty(&slave)?;
    task::dup2_stdin(&slave)?;
    task::dup2_stdout(&slave)?;
    task::dup2_stderr(&slave)?;
    Ok(())
}

fn open_master(stage: &Stage<'_, '_>) -> Result<OwnedFd, At> {
    let not_terminal = At::note(Note::NotTerminal);
    let pts = stage.open(c"/dev/pts").map_err(not_terminal)?;
    if sys::file_system(&pts)? != sys::magic::DEVPTS_SUPER_MAGIC && !sys::is_undefended("console") {
        return Err(At::note(Note::NotTerminal)(Errno::NODEV));
    }
    let flags = fs::OFlags::RDWR | fs::OFlags::NOCTTY | fs::OFlags::NOFOLLOW | fs::OFlags::CLOEXEC;
    let master = fs::openat(&pts, c"ptmx", flags, fs::Mode::empty()).map_err(At::note(Note::NotTerminal))?;
    if !sys::is_character_device(&master, (5, 2))? {
        return Err(At::note(Note::NotTerminal)(Errno::NODEV));
    }
    task::unlockpt(&master)?;
    Ok(master)
}

/// /dev/console is the terminal. What stands there already is covered, if it is no link.
fn mount_on_console(stage: &Stage<'_, '_>, slave: &OwnedFd) -> Done {
    let dev = stage.open(c"/dev")?;
    let created = fs::OFlags::CREATE | fs::OFlags::EXCL | fs::OFlags::NOFOLLOW | fs::OFlags::WRONLY | fs::OFlags::CLOEXEC;
    match fs::openat(&dev, c"console", created, fs::Mode::from_raw_mode(0o620)) {
        Ok(_) | Err(Errno::EXIST) => {}
        Err(errno) => return Err(At::note(Note::OpenTarget)(errno)),
    }
    let flags = fs::OFlags::PATH | fs::OFlags::NOFOLLOW | fs::OFlags::CLOEXEC;
    let target = fs::openat(&dev, c"console", flags, fs::Mode::empty()).map_err(At::note(Note::OpenTarget))?;
    let target = if sys::is_undefended("console") { stage.open(c"/dev/console")? } else { target };
    if sys::file_type(&target)? == fs::FileType::Symlink {
        return Err(At::note(Note::OpenTarget)(Errno::LOOP));
    }
    let bound = sys::bind(stage.procfs, slave.as_fd(), target.as_fd(), false);
    bound.map(|_| ()).map_err(At::note(Note::Attach))
}
