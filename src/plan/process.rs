//! The container's process: what runs, as whom, with which rights and limits.

use core::cell::Cell;
use core::ffi::CStr;

use super::scheduling::{self, Scheduling};
use super::{Facts, Options, c_str};
use crate::error::{Error, Result};
use crate::mem::{Arena, List, sort};
use crate::names;
use crate::spec::{self, Config};
use crate::sys::{CPointer, Limit};

/// The process to start.
#[derive(Default)]
pub struct Process<'a> {
    /// What is executed, as it was written: a path, or a name to be looked for in [`Self::search_path`].
    pub program: &'a CStr,
    /// argv, ended by NULL.
    pub argv: &'a [CPointer<'a>],
    /// The environment, ended by NULL; the place before it is free for HOME when [`Self::wants_home`].
    pub environment: &'a mut [CPointer<'a>],
    /// Whether the environment names no HOME, so that it must be looked up in the container's /etc/passwd.
    pub wants_home: bool,
    /// Room for `HOME=…` and its NUL.
    pub home_room: &'a mut [u8],
    /// PATH of that environment.
    pub search_path: &'a str,
    /// Absolute.
    pub cwd: &'a CStr,
    /// Whether it has a terminal of its own.
    pub has_terminal: bool,
    /// Rows and columns of the terminal.
    pub console_size: Option<(u16, u16)>,
    /// User id in the container.
    pub uid: u32,
    /// Group id in the container.
    pub gid: u32,
    /// All supplementary groups.
    pub additional_gids: &'a [u32],
    /// File mode creation mask.
    pub umask: u32,
    /// The five sets; all empty when the configuration names none.
    pub capabilities: Capabilities,
    /// What is held besides until the filter of system calls is loaded, which needs it (seccomp(2)).
    pub held_for_seccomp: u64,
    /// Resource limits.
    pub limits: List<'a, Limit>,
    /// PR_SET_NO_NEW_PRIVS.
    pub no_new_privileges: bool,
    /// When and where it runs.
    pub scheduling: Scheduling<'a>,
    /// What is said to AppArmor: `exec ` and the profile.
    pub apparmor_command: Option<&'a str>,
    /// SELinux's context.
    pub selinux_label: Option<&'a str>,
    /// What is written to oom_score_adj.
    pub oom_score_adj: Option<&'a str>,
    /// Descriptors from 3 on that the process keeps.
    pub preserve_fds: u32,
    /// What the container's own files have to say about the ids above; only for `exec`.
    pub named: Option<Named<'a>>,
}

/// A user or a group by name, to be found in the container's /etc/passwd and /etc/group.
pub struct Named<'a> {
    /// The user's name; empty where it is a number.
    pub user: &'a str,
    /// The group's name; empty where it is a number, or not given.
    pub group: &'a str,
    /// Whether a group was given, so that neither the user's own nor those that name it as a member count.
    pub has_group: bool,
    /// The supplementary groups, with room behind them for those that the user is a member of.
    pub groups: &'a mut [u32],
}

/// Sets of capabilities: bit n is capability n.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// What may ever be regained.
    pub bounding: u64,
    /// What is in force.
    pub effective: u64,
    /// What may be put in force.
    pub permitted: u64,
    /// What file capabilities may hand on.
    pub inheritable: u64,
    /// What survives the execution of an ordinary program.
    pub ambient: u64,
}

/// What setresuid(2) takes as "do not change", -1: the process would stay root.
const UNCHANGED: u32 = u32::MAX;

/// `HOME=` and a path of /etc/passwd.
const HOME_BYTES: usize = 1024;

pub(super) fn build<'a>(config: &Config<'a>, facts: &Facts<'a>, options: &Options<'a>, arena: &Arena<'a>) -> Result<'a, Process<'a>> {
    let written = config.process.as_ref().ok_or(Error::said("process: it is missing"))?;
    let program = *written.args.get(0).ok_or(Error::said("process.args: args must not be empty"))?;
    let environment = Environment::read(&written.env, options.listen_fds, arena)?;
    let user = &written.user;
    if crate::sys::is_undefended("unchanged-id") {
        // taken as it is
    } else if user.uid == UNCHANGED || user.gid == UNCHANGED || user.additional_gids.iter().any(|gid| *gid == UNCHANGED) {
        return Err(Error::text("process.user", "", "4294967295 is no id: the kernel would leave what is"));
    }
    let sets = written.capabilities.as_ref().map(capabilities).unwrap_or_default();
    Ok(Process {
        program: c_str(program, arena)?,
        argv: pointers(&written.args, arena)?,
        wants_home: !environment.has_home,
        home_room: arena.slice(HOME_BYTES, |_| 0)?,
        search_path: environment.search_path,
        environment: environment.pointers,
        cwd: c_str(written.cwd, arena)?,
        has_terminal: written.terminal,
        console_size: written.console_size.as_ref().map(console_size),
        uid: user.uid,
        gid: user.gid,
        additional_gids: numbers(&user.additional_gids, arena)?,
        umask: user.umask.unwrap_or(0o022),
        held_for_seccomp: held_for_seccomp(config, facts, written.no_new_privileges, &sets)?,
        capabilities: sets,
        limits: limits(&written.rlimits, arena)?,
        no_new_privileges: written.no_new_privileges,
        oom_score_adj: match written.oom_score_adj {
            Some(score) => Some(arena.format(format_args!("{score}"))?),
            None => None,
        },
        scheduling: scheduling::build(written, config.linux.as_ref(), arena)?,
        apparmor_command: apparmor_command(written.apparmor_profile, facts, arena)?,
        selinux_label: selinux_label(written.selinux_label, facts)?,
        preserve_fds: options.listen_fds + options.preserve_fds,
        named: None,
    })
}

/// The words of the refusal are runc's.
fn apparmor_command<'a>(profile: &'a str, facts: &Facts<'a>, arena: &Arena<'a>) -> Result<'a, Option<&'a str>> {
    match (profile, facts.has_apparmor) {
        ("", _) => Ok(None),
        (_, false) => Err(Error::text("process.apparmorProfile", "", "apparmor: config provided but apparmor not supported")),
        (profile, true) => Ok(Some(arena.format(format_args!("exec {profile}"))?)),
    }
}

/// The words of the refusal are runc's.
fn selinux_label<'a>(label: &'a str, facts: &Facts<'a>) -> Result<'a, Option<&'a str>> {
    match (label, facts.has_selinux) {
        ("", _) => Ok(None),
        (_, false) => {
            Err(Error::text("process.selinuxLabel", "", "selinux label is specified in config, but selinux is disabled or not supported"))
        }
        (label, true) => Ok(Some(label)),
    }
}

/// Strings as execve(2) wants them, ended by NULL.
pub(super) fn pointers<'a>(texts: &List<'a, &'a str>, arena: &Arena<'a>) -> Result<'a, &'a [CPointer<'a>]> {
    let made = arena.slice(texts.len() + 1, |_| CPointer::NULL)?;
    for (place, text) in made.iter_mut().zip(texts) {
        *place = CPointer::new(c_str(text, arena)?);
    }
    Ok(made)
}

fn numbers<'a>(numbers: &List<'a, u32>, arena: &Arena<'a>) -> Result<'a, &'a [u32]> {
    let mut next = numbers.iter();
    Ok(arena.slice(numbers.len(), |_| next.next().copied().unwrap_or(0))?)
}

fn console_size(size: &spec::ConsoleSize) -> (u16, u16) {
    let number = |value: u32| u16::try_from(value).unwrap_or(u16::MAX);
    (number(size.height), number(size.width))
}

struct Environment<'a> {
    pointers: &'a mut [CPointer<'a>],
    has_home: bool,
    search_path: &'a str,
}

/// One variable: its name, and which place it was written in.
#[derive(Clone, Copy)]
struct Variable<'a> {
    name: &'a str,
    text: &'a str,
    place: usize,
}

impl<'a> Environment<'a> {
    /// Of several variables of one name the last counts, and keeps its place.
    fn read(written: &List<'a, &'a str>, listen_fds: u32, arena: &Arena<'a>) -> Result<'a, Self> {
        let mut written = *written;
        if listen_fds > 0 {
            written.push(arena, arena.format(format_args!("LISTEN_FDS={listen_fds}"))?)?;
            written.push(arena, "LISTEN_PID=1")?;
        }
        let variables = arena.slice(written.len(), |_| Variable { name: "", text: "", place: 0 })?;
        for (place, text) in written.iter().enumerate() {
            let name = text.split_once('=').map(|(name, _)| name).filter(|name| !name.is_empty());
            let Some(name) = name else {
                return Err(Error::text(
                    arena.format(format_args!("process.env[{place}]"))?,
                    text,
                    "invalid environment variable: no NAME=VALUE",
                ));
            };
            variables[place] = Variable { name, text, place };
        }
        let cells = Cell::from_mut(&mut *variables).as_slice_of_cells();
        let swap = |a: usize, b: usize| cells[a].swap(&cells[b]);
        let is_less = |a: usize, b: usize| {
            let (a, b) = (cells[a].get(), cells[b].get());
            (a.name, a.place) < (b.name, b.place)
        };
        sort(cells.len(), &is_less, &swap);
        let mut kept = 0;
        for index in 0..variables.len() {
            let is_last = variables.get(index + 1).is_none_or(|next| next.name != variables[index].name);
            if is_last && variables[index].text != "HOME=" {
                variables[kept] = variables[index];
                kept += 1;
            }
        }
        let variables = &mut variables[..kept];
        let cells = Cell::from_mut(&mut *variables).as_slice_of_cells();
        sort(cells.len(), &|a, b| cells[a].get().place < cells[b].get().place, &|a, b| cells[a].swap(&cells[b]));
        let value = |name: &str| variables.iter().find(|variable| variable.name == name).map(|variable| &variable.text[name.len() + 1..]);
        let (has_home, search_path) = (value("HOME").is_some(), value("PATH").unwrap_or_default());
        let pointers = arena.slice(kept + 2, |_| CPointer::NULL)?;
        for (place, variable) in pointers.iter_mut().zip(variables.iter()) {
            *place = CPointer::new(c_str(variable.text, arena)?);
        }
        Ok(Environment { pointers, has_home, search_path })
    }
}

/// Names that the kernel's tables do not have are left out; `check` warns of them.
fn capabilities(written: &spec::Capabilities<'_>) -> Capabilities {
    let set = |names: &List<'_, &str>| names.iter().filter_map(|name| names::capability(name)).fold(0, |set, number| set | 1 << number);
    Capabilities {
        bounding: set(&written.bounding),
        effective: set(&written.effective),
        permitted: set(&written.permitted),
        inheritable: set(&written.inheritable),
        ambient: set(&written.ambient),
    }
}

const CAP_SYS_ADMIN: u64 = 1 << 21;

/// Errors: the capset(2) that gives it up again would wait for somebody who gets the listener only afterwards.
fn held_for_seccomp<'a>(config: &Config<'_>, facts: &Facts<'_>, no_new_privileges: bool, sets: &Capabilities) -> Result<'a, u64> {
    let profile = config.linux.as_ref().and_then(|linux| linux.seccomp.as_ref());
    let has_filter = facts.seccomp_blob.is_some() || profile.is_some();
    let held = if has_filter && !no_new_privileges { CAP_SYS_ADMIN & !sets.effective } else { 0 };
    let asks = |rule: &spec::Syscall<'_>| rule.action == "SCMP_ACT_NOTIFY" && rule.names.iter().any(|name| *name == "capset");
    if held != 0 && profile.is_some_and(|profile| profile.syscalls.iter().any(asks)) {
        return Err(Error::said("linux.seccomp.syscalls: SCMP_ACT_NOTIFY for capset needs process.noNewPrivileges or CAP_SYS_ADMIN"));
    }
    Ok(held)
}

fn limits<'a>(written: &List<'a, spec::Rlimit<'a>>, arena: &Arena<'a>) -> Result<'a, List<'a, Limit>> {
    let mut limits = List::default();
    for (index, limit) in written.iter().enumerate() {
        let Some(resource) = names::rlimit(limit.kind) else {
            return Err(Error::text(arena.format(format_args!("process.rlimits[{index}].type"))?, limit.kind, "unknown limit"));
        };
        limits.push(arena, Limit { resource, soft: limit.soft, hard: limit.hard })?;
    }
    Ok(limits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::mem::MaybeUninit;

    #[test]
    fn labels_are_said_to_the_module_that_is_on() {
        let mut room = vec![MaybeUninit::uninit(); 1024];
        let arena = Arena::new(&mut room);
        let both = Facts { has_apparmor: true, has_selinux: true, ..Facts::default() };
        assert_eq!(apparmor_command("docker-default", &both, &arena).unwrap(), Some("exec docker-default"));
        assert_eq!(selinux_label("system_u:system_r:t:s0", &both).unwrap(), Some("system_u:system_r:t:s0"));
        let none = Facts::default();
        assert_eq!((apparmor_command("", &none, &arena).unwrap(), selinux_label("", &none).unwrap()), (None, None));
        assert!(apparmor_command("x", &none, &arena).is_err() && selinux_label("x", &none).is_err());
    }
}
