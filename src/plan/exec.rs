//! One more process in a container that runs: the process of its configuration, or one of its own, changed by the command line.
//!
//! Must: leave it bound by all that binds the container. Mustn't: read a number as a name, or a name as a number (CVE-2016-3697).

use core::ffi::CStr;

use super::mounts::{Entry, Root};
use super::namespaces::Namespaces;
use super::process::{self, Named};
use super::{Facts, Options, Plan};
use crate::error::{Error, Result};
use crate::mem::{Arena, List};
use crate::names::{self, Namespace};
use crate::spec::{Config, Process};
use crate::sys::CPointer;

/// What the command line says about the process.
#[derive(Clone, Copy, Default)]
pub struct Overrides<'a> {
    /// `--process`: then nothing else here counts.
    pub process: Option<Process<'a>>,
    /// The program and its arguments.
    pub args: &'a [&'a CStr],
    /// `--cwd`.
    pub cwd: &'a str,
    /// `--env`.
    pub env: List<'a, &'a str>,
    /// `--tty`.
    pub has_terminal: bool,
    /// `--user`.
    pub user: Option<&'a str>,
    /// `--additional-gids`.
    pub additional_gids: List<'a, &'a str>,
    /// `--cap`.
    pub capabilities: List<'a, &'a str>,
    /// `--no-new-privs`, where it was given.
    pub no_new_privileges: Option<bool>,
    /// `--apparmor`.
    pub apparmor_profile: &'a str,
    /// `--process-label`.
    pub selinux_label: &'a str,
}

/// The process to run, as config.json would have it; names of users are left for [`build`]. Errors: what an option says is not possible.
pub fn process<'a>(config: &Config<'a>, overrides: &Overrides<'a>, arena: &Arena<'a>) -> Result<'a, Process<'a>> {
    let Some(own) = config.process else { return Err(Error::said("process: it is missing")) };
    if let Some(written) = overrides.process {
        return Ok(bound_as(written, &own));
    }
    let mut process = own;
    process.args = List::default();
    if !overrides.args.is_empty() {
        process.args.push(arena, "")?; // what is really there need not be UTF-8: `build` puts it in
    }
    process.terminal = overrides.has_terminal;
    for (given, field) in [
        (overrides.cwd, &mut process.cwd),
        (overrides.apparmor_profile, &mut process.apparmor_profile),
        (overrides.selinux_label, &mut process.selinux_label),
    ] {
        if !given.is_empty() {
            *field = given;
        }
    }
    process.no_new_privileges = overrides.no_new_privileges.unwrap_or(own.no_new_privileges);
    process.env = joined(&own.env, overrides.env.iter().copied(), arena)?;
    if let Some(text) = overrides.user {
        let (user, group) = user(text)?;
        process.user.uid = user.number();
        process.user.gid = group.map_or(own.user.gid, Id::number);
    }
    let mut groups = joined(&own.user.additional_gids, [].into_iter(), arena)?;
    for text in &overrides.additional_gids {
        let Some(group) = number(text) else { return Err(Error::text("--additional-gids", text, "not a group id")) };
        groups.push(arena, group)?;
    }
    process.user.additional_gids = groups;
    add_capabilities(&mut process, &overrides.capabilities, arena)?;
    Ok(process)
}

/// What a process of its own does not say is as it is for the container.
fn bound_as<'a>(mut process: Process<'a>, own: &Process<'a>) -> Process<'a> {
    process.capabilities = process.capabilities.or(own.capabilities);
    process.oom_score_adj = process.oom_score_adj.or(own.oom_score_adj);
    process.scheduler = process.scheduler.or(own.scheduler);
    process.io_priority = process.io_priority.or(own.io_priority);
    process.exec_cpu_affinity = process.exec_cpu_affinity.or(own.exec_cpu_affinity);
    process.user.umask = process.user.umask.or(own.user.umask);
    for (field, own) in [(&mut process.apparmor_profile, own.apparmor_profile), (&mut process.selinux_label, own.selinux_label)] {
        if field.is_empty() {
            *field = own;
        }
    }
    process
}

/// A copy of a list, with more at its end: lists share their nodes, so that a list that was read may not grow itself.
fn joined<'a, T: Copy>(first: &List<'a, T>, more: impl Iterator<Item = T>, arena: &Arena<'a>) -> Result<'a, List<'a, T>> {
    let mut list = if first.is_present() { List::empty() } else { List::default() };
    for value in first.iter().copied().chain(more) {
        list.push(arena, value)?;
    }
    Ok(list)
}

/// Never the inheritable set: what is in it is regained by every program that a user may execute (CVE-2022-29162). The ambient set takes
/// nothing that is not inheritable, so it is left alone unless the configuration names the inheritable one.
fn add_capabilities<'a>(process: &mut Process<'a>, names: &List<'a, &'a str>, arena: &Arena<'a>) -> Result<'a, ()> {
    if names.is_empty() {
        return Ok(());
    }
    if let Some(unknown) = names.iter().find(|name| names::capability(name).is_none()) {
        return Err(Error::text("--cap", unknown, "unknown capability"));
    }
    let mut sets = process.capabilities.unwrap_or_default();
    for set in [&mut sets.bounding, &mut sets.effective, &mut sets.permitted] {
        *set = joined(set, names.iter().copied(), arena)?;
    }
    if sets.inheritable.is_present() {
        sets.ambient = joined(&sets.ambient, names.iter().copied(), arena)?;
    }
    if crate::sys::is_undefended("inheritable") {
        (sets.inheritable, sets.ambient) = (sets.permitted, sets.permitted);
    }
    process.capabilities = Some(sets);
    Ok(())
}

/// A user or group as it was written: a number is never a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Id<'a> {
    Number(u32),
    Name(&'a str),
}

impl<'a> Id<'a> {
    fn read(text: &'a str) -> Option<Self> {
        if crate::sys::is_undefended("numeric-user") {
            return Some(Id::Name(text));
        }
        let begins_as_name = text.bytes().next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'_' || !first.is_ascii());
        let is_name = begins_as_name && !text.bytes().any(|byte| matches!(byte, b'\n' | b':' | b','));
        if is_name { Some(Id::Name(text)) } else { number(text).map(Id::Number) }
    }

    /// The number; of a name 0, until the container's files were read.
    fn number(self) -> u32 {
        if let Id::Number(number) = self { number } else { 0 }
    }

    fn name(self) -> &'a str {
        if let Id::Name(name) = self { name } else { "" }
    }
}

/// An id in decimal digits. Not 4294967295, which the kernel takes for "leave it as it is".
fn number(text: &str) -> Option<u32> {
    if crate::sys::is_undefended("number") {
        return Some(text.parse().unwrap_or(0));
    }
    let is_digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|number| is_digits && *number != u32::MAX)
}

/// `USER[:GROUP]`. Errors: a part that is empty, or neither an id nor a name (CVE-2026-30892).
fn user<'a>(text: &'a str) -> Result<'a, (Id<'a>, Option<Id<'a>>)> {
    let (user, group) = text.split_once(':').map_or((text, None), |(user, group)| (user, Some(group)));
    match (Id::read(user), group.map(Id::read)) {
        (Some(user), None) => Ok((user, None)),
        (Some(user), Some(Some(group))) => Ok((user, Some(group))),
        _ => Err(Error::text("--user", text, "neither UID[:GID] nor the name of a user and a group")),
    }
}

/// Makes the plan of a process that joins the container of `config`, whose process is the one from [`process`] already.
pub fn build<'a>(
    config: &Config<'a>,
    overrides: &Overrides<'a>,
    facts: &Facts<'a>,
    options: &Options<'a>,
    arena: &Arena<'a>,
) -> Result<'a, &'a mut Plan<'a>> {
    let mut process = process::build(config, facts, options, arena)?;
    if overrides.process.is_none() {
        process.program = overrides.args.first().copied().unwrap_or_default();
        process.argv =
            arena.slice(overrides.args.len() + 1, |index| overrides.args.get(index).map_or(CPointer::NULL, |arg| CPointer::new(arg)))?;
        process.named = overrides.user.map(|text| named(text, process.additional_gids, arena)).transpose()?.flatten();
    }
    Ok(arena.put(Plan {
        id: options.id,
        seccomp: super::filter(config, facts, arena)?,
        root: Root { entry: if has_own_mounts(config) { Entry::Pivot } else { Entry::Chroot }, ..Root::default() },
        namespaces: Namespaces { of_container: flags(config), ..Namespaces::default() },
        keyring: super::keyring(options, arena)?,
        process,
        ..Plan::default()
    })?)
}

/// CLONE_NEW* of every namespace that the configuration names: its container is in them, made or joined.
fn flags(config: &Config<'_>) -> u32 {
    let namespaces = config.linux.map(|linux| linux.namespaces).unwrap_or_default();
    namespaces.iter().filter_map(|namespace| names::namespace(namespace.kind)).fold(0, |flags, known| flags | known.flag())
}

/// Whether the container has made its mount namespace, so that whoever joins that has its root.
fn has_own_mounts(config: &Config<'_>) -> bool {
    let namespaces = config.linux.map(|linux| linux.namespaces).unwrap_or_default();
    namespaces.iter().any(|namespace| names::namespace(namespace.kind) == Some(Namespace::Mount) && namespace.path.is_empty())
}

/// As many groups as /etc/group may give to one user.
const MOST_GROUPS: usize = 256;

/// What is to be looked up in the container's files: nothing, where only numbers were written.
fn named<'a>(text: &'a str, groups: &[u32], arena: &Arena<'a>) -> Result<'a, Option<Named<'a>>> {
    let (user, group) = user(text)?;
    let (name, group_name) = (user.name(), group.map_or("", Id::name));
    if name.is_empty() && group_name.is_empty() {
        return Ok(None);
    }
    let room = arena.slice(groups.len() + MOST_GROUPS, |index| groups.get(index).copied().unwrap_or(0))?;
    Ok(Some(Named { user: name, group: group_name, has_group: group.is_some(), groups: room }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json;
    use core::mem::MaybeUninit;

    #[test]
    fn a_user_is_an_id_or_a_name_and_nothing_between() {
        assert_eq!(user("1").unwrap(), (Id::Number(1), None));
        assert_eq!(user("1:2").unwrap(), (Id::Number(1), Some(Id::Number(2))));
        assert_eq!(user("4294967294").unwrap(), (Id::Number(4_294_967_294), None));
        assert_eq!(user("www-data:adm").unwrap(), (Id::Name("www-data"), Some(Id::Name("adm"))));
        assert_eq!(user("bob:5").unwrap(), (Id::Name("bob"), Some(Id::Number(5))));
        for text in ["", ":", "1:", ":1", "-1", "4294967295", "4294967296", "1x", " 1", "+1", "1 ", "1:2:3", "1:-1", "0x1", "a:b:c", "1,2"]
        {
            assert!(user(text).is_err(), "{text:?}");
        }
    }

    const CONFIG: &str = r#"{"process":{"cwd":"/","args":["sh"],"env":["A=1"],"oomScoreAdj":7,"noNewPrivileges":true,"apparmorProfile":"p",
        "user":{"uid":3,"gid":4,"additionalGids":[5]},
        "capabilities":{"bounding":["CAP_KILL"],"effective":["CAP_KILL"],"permitted":["CAP_KILL"]}},
        "linux":{"namespaces":[{"type":"mount"},{"type":"pid","path":"/p"}]}}"#;

    /// Lets `judge` see what becomes of that process.
    fn changed<R>(
        config: &str,
        change: impl FnOnce(&mut Overrides<'_>, &Arena<'_>),
        judge: impl FnOnce(Result<'_, Process<'_>>) -> R,
    ) -> R {
        let mut room = vec![MaybeUninit::uninit(); 1 << 16];
        let arena = Arena::new(&mut room);
        let (config, _) = json::read::<Config<'_>>(config.as_bytes(), &arena).unwrap();
        let mut overrides = Overrides { args: &[c"true"], ..Overrides::default() };
        change(&mut overrides, &arena);
        judge(process(config, &overrides, &arena))
    }

    fn texts(list: &List<'_, &str>) -> Vec<String> {
        list.iter().map(|text| text.to_string()).collect()
    }

    #[test]
    fn a_capability_is_added_to_three_sets_and_to_the_ambient_one_only_beside_an_inheritable_one() {
        for (inheritable, ambient) in [("", &[][..]), (r#","inheritable":[]"#, &["CAP_CHOWN"][..])] {
            let config = CONFIG.replace(r#""permitted":["CAP_KILL"]"#, &format!(r#""permitted":["CAP_KILL"]{inheritable}"#));
            let add = |overrides: &mut Overrides<'_>, _: &Arena<'_>| overrides.has_terminal = true;
            changed(&config, add, |process| assert!(process.unwrap().terminal));
            let mut room = vec![MaybeUninit::uninit(); 1 << 16];
            let arena = Arena::new(&mut room);
            let (config, _) = json::read::<Config<'_>>(config.as_bytes(), &arena).unwrap();
            let mut overrides = Overrides { args: &[c"true"], ..Overrides::default() };
            overrides.capabilities.push(&arena, "CAP_CHOWN").unwrap();
            let sets = process(config, &overrides, &arena).unwrap().capabilities.unwrap();
            for set in [sets.bounding, sets.effective, sets.permitted] {
                assert_eq!(texts(&set), ["CAP_KILL", "CAP_CHOWN"]);
            }
            assert!(sets.inheritable.is_empty());
            assert_eq!(texts(&sets.ambient), ambient);
            assert_eq!(config.process.unwrap().capabilities.unwrap().permitted.len(), 1, "the container's own set has grown");
        }
    }

    #[test]
    fn what_is_not_said_stays_as_it_is_for_the_container() {
        changed(
            CONFIG,
            |overrides, _| overrides.user = Some("9"),
            |process| {
                let process = process.unwrap();
                assert_eq!((process.user.uid, process.user.gid, process.cwd, process.no_new_privileges), (9, 4, "/", true));
            },
        );
        changed(
            CONFIG,
            |overrides, _| overrides.process = Some(Process { cwd: "/x", ..Process::default() }),
            |process| {
                let process = process.unwrap();
                assert_eq!((process.cwd, process.user.uid, process.no_new_privileges), ("/x", 0, false));
                assert_eq!((process.apparmor_profile, process.oom_score_adj, process.capabilities.is_some()), ("p", Some(7), true));
            },
        );
    }
}
