//! The last steps: descriptors, working directory, the program itself.

use core::ffi::CStr;

use super::{At, Done, Stage};
use crate::error::Note;
use crate::sys::{self, Errno, Missing, fs, task};

/// The first descriptor that is not handed on.
pub(super) fn first_own(stage: &Stage<'_, '_>) -> u32 {
    3 + stage.plan.process.preserve_fds
}

/// Marks every descriptor that is not handed on to be closed by execve, whoever opened it.
pub fn close_on_exec(stage: &mut Stage<'_, '_>) -> Done {
    close_on_exec_from(first_own(stage)).map_err(At::from)
}

pub(super) fn close_on_exec_from(first: u32) -> Result<(), Errno> {
    if sys::is_undefended("descriptors") {
        return Ok(());
    }
    match sys::close_on_exec_from(first) {
        Err(Errno::NOSYS | Errno::INVAL) => {}
        answer => return answer,
    }
    for number in sys::descriptors_from(first)? {
        let _ = sys::close_on_exec_number(number); // EBADF: it is not open
    }
    Ok(())
}

/// Makes the working directory if it is missing. Where root may not, the step that enters it says so.
pub fn make_directory(stage: &mut Stage<'_, '_>) -> Done {
    if stage.plan.process.cwd == c"/" {
        return Ok(());
    }
    match sys::open_or_create_in_root(stage.root()?, stage.plan.process.cwd, Missing::Directory) {
        Err(Errno::ACCESS | Errno::PERM) => Ok(()),
        made => made.map(|_| ()).map_err(At::from),
    }
}

/// Enters the working directory as root, who may enter what the process's user may not; or, where root may not, leaves it to that user.
///
/// Must: come after the mounts, which are made in the working directory of whoever makes them.
pub fn enter_directory(stage: &mut Stage<'_, '_>) -> Done {
    match enter(stage) {
        Err(Errno::ACCESS | Errno::PERM) => {
            stage.enters_directory_as_user = true;
            Ok(())
        }
        entered => entered.map_err(At::from),
    }
}

fn enter(stage: &Stage<'_, '_>) -> Result<(), Errno> {
    match stage.plan.process.cwd {
        root if root == c"/" => task::fchdir(stage.root()?),
        path => task::fchdir(&stage.open(path)?),
    }
}

/// The same as the process's own user where root could not, and the last word on where we are.
pub fn enter_directory_as_user(stage: &mut Stage<'_, '_>) -> Done {
    if stage.enters_directory_as_user {
        enter(stage)?;
    }
    // A directory that was reached through a leaked descriptor has no path in the container (CVE-2024-21626).
    if sys::is_undefended("working-directory") {
        return Ok(());
    }
    let mut buffer = [0; 4096];
    match sys::getcwd(&mut buffer) {
        Ok([b'/', ..]) | Err(Errno::RANGE | Errno::NAMETOOLONG) => Ok(()),
        _ => Err(At::note(Note::Unreachable)(Errno::NOENT)),
    }
}

/// Finds the program as execvp(3) would, so that a name that is not there is known before the start.
pub fn find_program(stage: &mut Stage<'_, '_>) -> Done {
    let program = stage.plan.process.program.to_bytes();
    if program.contains(&b'/') {
        stage.executable.set(&[program]);
        return is_executable(stage.executable.as_c_str()).map_err(At::from);
    }
    for directory in stage.plan.process.search_path.split(':') {
        // What lies in the working directory is not looked at, as in Go: an image could otherwise choose what runs.
        if !directory.starts_with('/') || program.is_empty() || !stage.executable.set(&[directory.as_bytes(), b"/", program]) {
            continue;
        }
        if is_executable(stage.executable.as_c_str()).is_ok() {
            return Ok(());
        }
    }
    Err(Errno::NOENT.into()) // also where there is one that may not be executed: callers know Go's answer
}

fn is_executable(path: &CStr) -> Result<(), Errno> {
    let status = fs::statat(fs::CWD, path, fs::AtFlags::empty())?;
    if fs::FileType::from_raw_mode(status.st_mode) == fs::FileType::Directory {
        return Err(Errno::ISDIR);
    }
    fs::accessat(fs::CWD, path, fs::Access::EXEC_OK, fs::AtFlags::empty())
}

/// Lets every signal do what it does by default that the caller had ignored; execve does it for those with a handler. They stay blocked; that of the parent's death, which
/// cannot be, is not asked for any more: from the report on the container outlives the runtime, and before it the report fails.
pub fn reset_signals(stage: &mut Stage<'_, '_>) -> Done {
    sys::reset_signals(stage.ignored_signals);
    task::set_parent_process_death_signal(None).map_err(At::from)
}

/// Unblocks the signals again.
pub fn unblock_signals(stage: &mut Stage<'_, '_>) -> Done {
    sys::set_blocked(stage.blocked_signals);
    Ok(())
}

/// Closes everything that is not handed on, but the channel and the gate: both are closed by execve, and no path leads through them.
///
/// Must: come before the wait for the start, in which others of a shared pid namespace have all the time to look at us.
/// Mustn't: leave anything open through which a path could lead out of the container (CVE-2024-21626).
pub fn close_descriptors(stage: &mut Stage<'_, '_>) -> Done {
    if sys::is_undefended("descriptors") {
        return Ok(());
    }
    // Their numbers are closed below; nobody may close them a second time.
    core::mem::forget((stage.root.take(), core::mem::take(&mut stage.protected)));
    // A change of ids or capabilities may have made us dumpable again.
    task::set_dumpable_behavior(task::DumpableBehavior::NotDumpable)?;
    sys::close_from_but(stage.procfs, first_own(stage), &[stage.channel, stage.start_gate])?;
    // Not later: the filter may refuse it. What the mounts took is not to be there beside what the program takes.
    sys::forget_stack();
    if stage.may_wait_long() && stage.plan.seccomp.is_some() {
        sys::forget_code();
    }
    Ok(())
}

/// Becomes the program.
pub fn execute(stage: &mut Stage<'_, '_>) -> Done {
    let process = &stage.plan.process;
    Err(sys::execve(stage.executable.as_c_str(), process.argv, process.environment).into())
}
