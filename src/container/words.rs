//! The sentences for what a child reports in numbers.

use super::bundle::Bundle;
use super::hooks;
use crate::error::{Error, Fault, Note, Result, Step};
use crate::mem::{Arena, List};
use crate::plan::hooks::Hook;
use crate::plan::mounts::Source;
use crate::plan::{self, Plan};
use crate::steps::At;
use crate::sys::Errno;

/// What a fault means, with the item of the plan that it speaks of, and with what came along: what a hook wrote to its standard output,
/// NUL, and to its standard error, or there the kernel's words.
pub fn describe<'a>(fault: Fault, came_along: &[u8], plan: &Plan<'a>, arena: &Arena<'a>) -> Error<'a> {
    let error = match fault.step {
        Step::ContainerHooks => hook(fault, &plan.hooks.create_container, came_along, arena),
        Step::StartHooks => hook(fault, &plan.hooks.start_container, came_along, arena),
        _ => {
            let words = came_along.strip_prefix(b"\0").unwrap_or_default();
            sentence(fault, plan, arena).and_then(|error| with_words(error, words, arena)).unwrap_or_else(|full| full)
        }
    };
    not_started(fault.step, error, arena)
}

/// The error, and what the kernel says to it.
pub(super) fn with_words<'a>(error: Error<'a>, words: &[u8], arena: &Arena<'a>) -> Result<'a, Error<'a>> {
    match core::str::from_utf8(words) {
        Ok("") | Err(_) => Ok(error),
        Ok(words) => Ok(Error::said(arena.format(format_args!("{error} ({words})"))?)),
    }
}

/// As runc begins the sentence: what comes before the process's own settings is the init's.
pub fn not_started<'a>(step: Step, error: Error<'_>, arena: &Arena<'a>) -> Error<'a> {
    let init = if (step as u8) < Step::WorkingDirectory as u8 { "error during container init: " } else { "" };
    let sentence = arena.format(format_args!("unable to start container process: {init}{error}"));
    sentence.map_or_else(Error::from, Error::said)
}

/// The same for a fault after the start, of a container that another call has created.
pub fn late<'a>(fault: Fault, came_along: &[u8], bundle: &Bundle) -> Error<'a> {
    let hooks = bundle.config.hooks.unwrap_or_default().start_container;
    match (fault.step, plan::hooks::list(&hooks, &bundle.arena)) {
        (Step::StartHooks, Ok(hooks)) => hook(fault, &hooks, came_along, &bundle.arena),
        _ => Error::errno(fault.step.doing(), "", fault.errno),
    }
}

fn hook<'a>(fault: Fault, hooks: &List<'a, Hook<'a>>, came_along: &[u8], arena: &Arena<'a>) -> Error<'a> {
    let mut output = came_along.splitn(2, |byte| *byte == 0);
    let output = [output.next().unwrap_or_default(), output.next().unwrap_or_default()];
    let at = At { item: fault.item, note: fault.note, errno: fault.errno };
    hooks::failure(fault.step.doing(), at, hooks.get(usize::from(fault.item)), output, arena)
}

/// The same without what runc begins it with.
pub(super) fn sentence<'a>(fault: Fault, plan: &Plan<'a>, arena: &Arena<'a>) -> Result<'a, Error<'a>> {
    match fault.step {
        Step::FindProgram => return find_program(fault, plan, arena),
        Step::Execute => return Ok(Error::errno(arena.format(format_args!("exec {}", text(plan.process.program)))?, "", fault.errno)),
        Step::FindUser => return find_user(fault, plan, arena),
        Step::WorkingDirectory | Step::WorkingDirectoryAgain if fault.note == Note::None => {
            let sentence = arena.format(format_args!("chdir to cwd (\"{}\") set in config.json failed", text(plan.process.cwd)))?;
            return Ok(Error::errno(sentence, "", fault.errno));
        }
        _ => {}
    }
    let doing = fault.step.doing();
    let item = item(fault, plan, arena)?;
    let what = match fault.note.words() {
        "" if item.is_empty() => doing,
        "" => arena.format(format_args!("{doing} {item}"))?,
        words if item.is_empty() => arena.format(format_args!("{doing}: {words}"))?,
        words => arena.format(format_args!("{doing} {item}: {words}"))?,
    };
    Ok(match (fault.note, remedy(fault, plan)) {
        (Note::NotOrdinaryDirectory | Note::InsideProc | Note::NotProcfs | Note::Gone | Note::Unreachable, _) => Error::said(what),
        (_, "") => Error::errno(what, "", fault.errno),
        (_, remedy) => Error::said(arena.format(format_args!("{}: {remedy}", Error::errno(what, "", fault.errno)))?),
    })
}

/// What helps where a user namespace is the reason; empty where nothing is known to.
fn remedy(fault: Fault, plan: &Plan<'_>) -> &'static str {
    const MODULE: &str =
        "AppArmor may deny it, as LXC's profiles do (lxc.apparmor.profile) and Ubuntu's kernel.apparmor_restrict_unprivileged_userns";
    if fault.errno == Errno::ACCESS && matches!(fault.step, Step::RootPropagation | Step::PrepareRoot | Step::Sysctl | Step::EnterRoot)
        || fault.errno == Errno::ACCESS && fault.step == Step::Mounts && fault.note == Note::Attach
    {
        return MODULE;
    }
    if !plan.namespaces.maps_ids() {
        return "";
    }
    let source = plan.mounts.get(fault.item.into()).map(|mount| &mount.source);
    let is_kernel_fs = || matches!(source, Some(Source::FileSystem(new)) if new.kind == c"proc" || new.kind == c"sysfs");
    match (fault.step, fault.note, fault.errno) {
        (Step::UserId, _, Errno::INVAL) => {
            "linux.uidMappings and gidMappings do not map it; more ids than one take ranges in /etc/subuid and /etc/subgid"
        }
        (Step::Groups, _, Errno::INVAL) => "linux.gidMappings do not map every one of them",
        (Step::Groups, _, Errno::PERM) => {
            "a user namespace whose only id is an ordinary user's own has no additional groups; more take a range in /etc/subgid"
        }
        (Step::Devices, Note::OpenSource, Errno::NOENT) => "in a user namespace devices are the host's, bound, and the host has none there",
        (Step::Mounts, Note::Attach, Errno::PERM | Errno::ACCESS) if is_kernel_fs() => {
            "where something covers parts of the host's own, as in a container, the kernel allows no new one: uncover them there, or bind it"
        }
        (Step::Mounts | Step::Devices | Step::MakeWorkingDirectory, Note::OpenTarget | Note::None, Errno::ACCESS | Errno::OVERFLOW) => {
            "its owner may be none of the user namespace: chown the root file system to ids that are mapped, or map its owner"
        }
        _ => "",
    }
}

fn text(path: &core::ffi::CStr) -> &str {
    path.to_str().unwrap_or("(not UTF-8)")
}

/// Callers match on these texts: `executable file not found in $PATH`, `no such file or directory`, `permission denied`.
fn find_program<'a>(fault: Fault, plan: &Plan<'a>, arena: &Arena<'a>) -> Result<'a, Error<'a>> {
    let program = text(plan.process.program);
    let is_path = program.contains('/');
    Ok(match fault.errno {
        Errno::NOENT | Errno::NOTDIR if !is_path => {
            Error::said(arena.format(format_args!("exec: \"{program}\": executable file not found in $PATH"))?)
        }
        Errno::ACCESS => Error::errno(arena.format(format_args!("exec: \"{program}\""))?, "", fault.errno),
        // execve(2) says EACCES to it, and so did runc: of that callers make the exit status 126.
        Errno::ISDIR => Error::errno(arena.format(format_args!("exec: \"{program}\": is a directory"))?, "", Errno::ACCESS),
        _ => Error::errno(arena.format(format_args!("exec: \"{program}\": stat {program}"))?, "", fault.errno),
    })
}

fn find_user<'a>(fault: Fault, plan: &Plan<'a>, arena: &Arena<'a>) -> Result<'a, Error<'a>> {
    let (what, name) = match &plan.process.named {
        Some(named) if fault.note == Note::NoGroup => ("group", named.group),
        Some(named) => ("user", named.user),
        None => ("user", ""),
    };
    let sentence = arena.format(format_args!("unable to find {what} {name}"))?;
    Ok(match fault.note {
        Note::None => Error::errno(sentence, "", fault.errno),
        note => Error::text(sentence, "", note.words()),
    })
}

/// The item of the plan's list that the step walks, as the user wrote it.
fn item<'a>(fault: Fault, plan: &Plan<'a>, arena: &Arena<'a>) -> Result<'a, &'a str> {
    let index = usize::from(fault.item);
    if fault.item == Fault::NO_ITEM {
        return Ok(match fault.step {
            Step::PrepareRoot => match &plan.image {
                Some(image) => image.layers.get(0).map_or("", |layer| text(layer.path)),
                None => text(plan.root.path),
            },
            Step::MakeWorkingDirectory | Step::WorkingDirectory | Step::WorkingDirectoryAgain => text(plan.process.cwd),
            _ => "",
        });
    }
    let path = match fault.step {
        Step::Mounts | Step::ReadonlyMounts => return mount(index, plan, arena),
        Step::Devices => plan.devices.nodes.get(index).map(|node| text(node.path)),
        Step::JoinNamespaces => plan.namespaces.join.get(index).map(|join| text(join.path)),
        Step::NetDevices => plan.net_devices.get(index).map(|device| device.outside),
        Step::Sysctl => plan.sysctls.get(index).map(|setting| text(setting.file)),
        Step::ReadonlyPaths => plan.readonly_paths.get(index).map(|path| text(path)),
        Step::MaskedPaths => plan.masked_paths.get(index).map(|path| text(path)),
        _ => None,
    };
    Ok(match path {
        Some(path) => arena.format(format_args!("[{index}] {path}"))?,
        None => arena.format(format_args!("[{index}]"))?,
    })
}

/// As runc says it: what, where.
fn mount<'a>(index: usize, plan: &Plan<'a>, arena: &Arena<'a>) -> Result<'a, &'a str> {
    let Some(mount) = plan.mounts.get(index) else { return Ok("") };
    let destination = text(mount.destination);
    let source = match mount.source {
        Source::Bind(bind) => text(bind.path),
        _ => mount.written_source,
    };
    Ok(arena.format(format_args!("\"{source}\" to rootfs at \"{destination}\": mounts[{index}]"))?)
}
