//! What the parent does for its child, which has not the rights itself: id maps and clocks of its namespaces, sources of its mounts.

use super::facts;
use crate::error::{Doing, Fault, Result, Step};
use crate::mem::{Arena, List};
use crate::plan::Plan;
use crate::plan::mounts::{Entry, FileSystem, Source};
use crate::steps::{At, sources, sync};
use crate::sys::{self, AsFd, BorrowedFd, fs};

/// For whom.
pub(super) struct Errand<'c> {
    pub procfs: BorrowedFd<'c>,
    pub plan: &'c Plan<'static>,
    pub arena: &'c Arena<'static>,
    /// The child, as the procfs numbers it.
    pub pid: i32,
    pub channel: BorrowedFd<'c>,
}

impl Errand<'_> {
    /// user_namespaces(7): the parent writes the maps, since the child has no rights outside yet. The same for the clocks of a time namespace.
    pub fn set_up_namespaces(&self) -> Result<'static, ()> {
        let namespaces = &self.plan.namespaces;
        let files = [("uid_map", namespaces.uid_map), ("gid_map", namespaces.gid_map), ("timens_offsets", namespaces.time_offsets)];
        for (name, text) in files.into_iter().filter(|(_, text)| !text.is_empty()) {
            let path = self.arena.format_c(format_args!("{}/{name}", self.pid))?;
            let written = fs::openat(self.procfs, path, fs::OFlags::WRONLY | fs::OFlags::CLOEXEC, fs::Mode::empty())
                .and_then(|file| fs::write(&file, text.as_bytes()));
            written.doing_at("write", path)?;
        }
        self.answer(&[sync::READY], None)
    }

    /// Opens the source of a mount, or of the root file system; or tells why not.
    pub fn send_source(&self, index: u16) -> Result<'static, ()> {
        let child = sources::Child { procfs: self.procfs, pid: self.arena.format(format_args!("{}", self.pid))? };
        let opened = match self.plan.mounts.get(index.into()).map(|mount| &mount.source) {
            Some(Source::Bind(bind)) => sources::open(&child, bind.path, bind.is_recursive, bind.id_map.as_ref()),
            Some(Source::FileSystem(FileSystem { fallback: Some(bind), .. })) => sources::open(&child, bind.path, true, None),
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
        let table = self.arena.format_c(format_args!("{}/mountinfo", self.pid))?;
        facts::each_mount(self.procfs, table, &mut |mount| {
            if matches!(mount.kind, "proc" | "sysfs" | "rootfs") && mount.root == "/" && room.is_ok() {
                room = mount.target(self.arena).and_then(|target| {
                    may_move |= mount.kind == "rootfs" && target == c"/";
                    let is_inside = target.to_bytes().strip_prefix(root).is_some_and(|rest| matches!(rest, [] | [b'/', ..]));
                    if mount.kind == "rootfs" || is_inside { Ok(()) } else { found.push(self.arena, target) }
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
