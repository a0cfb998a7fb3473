//! What the parent does for its child, which has not the rights itself: id maps and clocks of its namespaces, sources of its mounts.

use core::ffi::CStr;
use core::fmt::Write;

use super::bundle::Bundle;
use super::facts;
use super::hooks::{self, Inherited, Moment};
use crate::error::{Doing, Error, Fault, Result, Step};
use crate::mem::{Arena, List};
use crate::plan::Plan;
use crate::plan::mounts::{Entry, FileSystem, Source};
use crate::spec;
use crate::steps::{At, sources, sync};
use crate::sys::{self, AsFd, BorrowedFd, Errno, fs, task};

/// More than any helper needs.
const HELPER_SECONDS: i64 = 30;

/// For whom.
pub(super) struct Errand<'c> {
    pub procfs: BorrowedFd<'c>,
    pub plan: &'c Plan<'static>,
    pub bundle: &'c Bundle,
    pub inherited: Inherited<'c>,
    /// The child, as the procfs numbers it.
    pub pid: i32,
    pub channel: BorrowedFd<'c>,
}

/// Whether a map has that one id, and no other: the map that needs no helper.
fn maps_alone(map: &str, id: u32) -> bool {
    let mut words = map.split_ascii_whitespace().map(str::parse);
    let _inside = words.next();
    (words.next(), words.next(), words.next()) == (Some(Ok(id)), Some(Ok(1)), None)
}

impl Errand<'_> {
    /// user_namespaces(7): the parent writes the maps, since the child has no rights outside yet. The same for the clocks of a time namespace.
    ///
    /// Without root's rights it may map its own id alone, and then only without setgroups(2) (CVE-2014-8989); for more there are helpers.
    pub fn set_up_namespaces(&self) -> Result<'static, ()> {
        let namespaces = &self.plan.namespaces;
        let is_root = task::geteuid().is_root();
        let write = |name, text| self.write(name, text).doing("write", name);
        if !namespaces.needs_stage() {
            write("oom_score_adj", self.plan.process.oom_score_adj.unwrap_or_default())?;
        }
        if sys::is_undefended("setgroups") {
            // nothing is denied
        } else if !is_root && maps_alone(namespaces.gid_map, task::getegid().as_raw()) {
            write("setgroups", "deny")?;
        }
        for (name, helper, map) in [("uid_map", "newuidmap", namespaces.uid_map), ("gid_map", "newgidmap", namespaces.gid_map)] {
            match self.write(name, map) {
                Err(Errno::PERM) if !is_root => self.run_helper(helper, map)?,
                // A root without rights, as in a container, may do what any user may.
                Err(Errno::PERM) if name == "gid_map" && maps_alone(map, task::getegid().as_raw()) => {
                    write("setgroups", "deny")?;
                    write(name, map)?;
                }
                Err(Errno::PERM) => {
                    let why = "operation not permitted: to map its own id takes a root without rights CAP_SETFCAP, others CAP_SETUID and CAP_SETGID";
                    return Err(Error::text("write", name, why));
                }
                written => written.doing("write", name)?,
            }
        }
        write("timens_offsets", namespaces.time_offsets)?;
        self.answer(&[sync::READY], None)
    }

    /// Writes to a file of the child in procfs.
    fn write(&self, name: &str, text: &str) -> core::result::Result<(), Errno> {
        if text.is_empty() {
            return Ok(());
        }
        let mut path = heapless::String::<32>::new();
        let _ = write!(path, "{}/{name}\0", self.pid); // ten digits and the longest of the names fit
        let path = CStr::from_bytes_with_nul(path.as_bytes()).unwrap_or(c"");
        let file = fs::openat(self.procfs, path, fs::OFlags::WRONLY | fs::OFlags::CLOEXEC, fs::Mode::empty())?;
        fs::write(&file, text.as_bytes()).map(|_| ())
    }

    /// newuidmap(1) and newgidmap(1) may map what stands in /etc/subuid and /etc/subgid; they are run as hooks are.
    fn run_helper(&self, helper: &'static str, map: &str) -> Result<'static, ()> {
        let arena = self.arena();
        let path = arena.format(format_args!("/usr/bin/{helper}"))?;
        let (field, file) = match helper {
            "newuidmap" => ("linux.uidMappings", "/etc/subuid"),
            _ => ("linux.gidMappings", "/etc/subgid"),
        };
        if fs::accessat(fs::CWD, arena.c_str(&[path.as_bytes()])?, fs::Access::EXEC_OK, fs::AtFlags::empty()).is_err() {
            let why = arena.format(format_args!("they are more than this user's own id, which takes {path} (Debian: uidmap)"))?;
            return Err(Error::text(field, "", why));
        }
        let mut args = List::default();
        args.push(arena, helper)?;
        args.push(arena, arena.format(format_args!("{}", self.pid))?)?;
        for number in map.split_ascii_whitespace() {
            args.push(arena, arena.format(format_args!("{number}"))?)?;
        }
        let mut list = List::default();
        list.push(arena, spec::Hook { path, args, timeout: Some(HELPER_SECONDS), ..spec::Hook::default() })?;
        let moment = Moment { name: helper, status: "", pid: 0, directory: None };
        hooks::run(&list, moment, self.plan.id, self.bundle, self.inherited).map_err(|error| {
            let why =
                format_args!("{field}: {error}: for more than its own id this user needs ranges in {file} that cover them (usermod(8))");
            arena.format(why).map_or_else(Error::from, Error::said)
        })
    }

    fn arena(&self) -> &Arena<'static> {
        &self.bundle.arena
    }

    /// Opens the source of a mount, or of the root file system; or tells why not.
    pub fn send_source(&self, index: u16) -> Result<'static, ()> {
        let child = sources::Child { procfs: self.procfs, pid: self.arena().format(format_args!("{}", self.pid))? };
        let opened = match self.plan.mounts.get(index.into()).map(|mount| &mount.source) {
            Some(Source::Bind(bind)) => sources::open(&child, bind.path, bind.is_recursive, bind.id_map.as_ref()),
            Some(Source::FileSystem(FileSystem { fallbacks: [Some(bind), _], .. })) => sources::open(&child, bind.path, true, None),
            _ => sources::open(&child, self.plan.root.path, false, None),
        };
        match opened {
            Ok(source) => self.answer(&[sync::SOURCE], Some(source.as_fd())),
            Err(At { item, note, errno }) => {
                let mut message = [sync::FAULT; 1 + Fault::BYTES];
                message[1..].copy_from_slice(&Fault { step: Step::Mounts, note, item, errno }.to_bytes());
                self.answer(&message, None)
            }
        }
    }

    /// The mount points of every whole procfs and sysfs outside of the root. Without `--no-pivot` only where the host's root is the initial
    /// ramfs, for which pivot_root cannot work.
    pub fn tell_what_would_leak(&self) -> Result<'static, ()> {
        let root = self.plan.root.path.to_bytes();
        let mut may_move = self.plan.root.entry == Entry::Move;
        let mut found = List::default();
        let mut room = Ok(());
        let table = self.arena().format_c(format_args!("{}/mountinfo", self.pid))?;
        facts::each_mount(self.procfs, table, &mut |mount| {
            if matches!(mount.kind, "proc" | "sysfs" | "rootfs") && mount.root == "/" && room.is_ok() {
                room = mount.target(self.arena()).and_then(|target| {
                    may_move |= mount.kind == "rootfs" && target == c"/";
                    let is_inside = target.to_bytes().strip_prefix(root).is_some_and(|rest| matches!(rest, [] | [b'/', ..]));
                    if mount.kind == "rootfs" || is_inside { Ok(()) } else { found.push(self.arena(), target) }
                });
            }
            None
        })?;
        room?;
        for path in &found {
            self.answer(path.to_bytes_with_nul(), None)?;
        }
        self.answer(&[if may_move { sync::READY } else { sync::FAULT }], None)
    }

    fn answer(&self, message: &[u8], fd: Option<BorrowedFd<'_>>) -> Result<'static, ()> {
        sys::send(self.channel, message, fd).doing("send", "the container's first process")
    }
}
