//! One layer, a tar stream, laid over the root file system: entries, replacements and whiteouts (image-spec, layer.md).
//!
//! Mustn't: believe the archive. It cannot name a place outside the root, and cannot take more space, entries or memory than agreed.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, Timespec, Timestamps, Uid, XattrFlags};
use tar::{Archive, Entry, EntryType};

use crate::progress::Progress;
use crate::stream::{Allowance, Bounded};
use crate::tree::{Made, Place, Tree, inode, parts};
use crate::{Result, text};

/// What one header may bring with it: long names, extended attributes. The tar reader keeps that in memory.
const LARGEST_HEADER: u64 = 1 << 20;

/// More entries are no root file system for a device.
const MOST_ENTRIES: u64 = 2_000_000;

const WHITEOUT: &[u8] = b".wh.";
const OPAQUE: &[u8] = b".wh..wh..opq";

/// Lays layers over a tree, one after the other.
pub struct Unpacker<'t> {
    tree: &'t Tree,
    progress: Progress,
    /// Bytes that may still be written.
    room: u64,
    entries: u64,
    is_root: bool,
    /// Modes and times of folders, set at the very end: until then they must be writable, and writing changes their times.
    folders: BTreeMap<OsString, Attributes>,
    /// Entries that were left out, by what they are.
    left_out: BTreeMap<&'static str, u64>,
}

#[derive(Clone)]
struct Attributes {
    mode: u32,
    owner: (u32, u32),
    time: i64,
    /// Extended attributes that a root file system may have.
    xattrs: Vec<(String, Vec<u8>)>,
}

impl Attributes {
    /// A folder that no entry names; the same every time.
    fn implied() -> Self {
        Attributes { mode: 0o755, owner: (0, 0), time: 0, xattrs: Vec::new() }
    }
}

impl<'t> Unpacker<'t> {
    pub fn new(tree: &'t Tree, room: u64, progress: &Progress) -> Self {
        let is_root = rustix::process::geteuid().is_root();
        Unpacker { tree, progress: progress.clone(), room, entries: 0, is_root, folders: BTreeMap::new(), left_out: BTreeMap::new() }
    }

    /// Lays one layer over what is there.
    pub fn lay(&mut self, stream: impl Read, has_whiteouts: bool) -> Result<()> {
        let allowance = Allowance::new();
        let mut archive = Archive::new(Bounded { inner: stream, allowance: allowance.clone() });
        let mut made = Made::default();
        let mut entries = archive.entries().map_err(|why| format!("the tar archive: {why}"))?;
        loop {
            allowance.set(LARGEST_HEADER, "an extended header is longer than 1 MiB");
            let Some(entry) = entries.next() else { break };
            let mut entry = entry.map_err(|why| format!("the tar archive, after {} entries: {why}", self.entries))?;
            let name = entry.path_bytes().into_owned();
            let named = |why: String| format!("the tar archive's entry {}: {why}", text::shown(OsStr::from_bytes(&name)));
            self.entries += 1;
            self.progress.entry();
            if self.entries > MOST_ENTRIES {
                return Err(named(format!("is one more than {MOST_ENTRIES}")));
            }
            allowance.set(u64::MAX, "");
            self.entry(&mut entry, &name, has_whiteouts, &mut made).map_err(named)?;
            self.folders.extend(made.implied.drain(..).map(|path| (path, Attributes::implied())));
            // What of it was not read is read here, under the large allowance.
            std::io::copy(&mut entry, &mut std::io::sink()).map_err(|why| named(why.to_string()))?;
        }
        Ok(())
    }

    /// A folder that the container needs, beside what the layers have.
    pub fn need_folder(&mut self, path: &str) -> Result<()> {
        let mut made = Made::default();
        self.tree.folder(&parts(path.as_bytes())?, &mut made).map_err(|why| format!("{}: {why}", text::shown(path)))?;
        self.folders.extend(made.implied.drain(..).map(|path| (path, Attributes::implied())));
        Ok(())
    }

    /// After the last layer: what waited for the folders, the deepest first, and a word on what was left out.
    pub fn finish(mut self) -> Result<()> {
        self.folders.entry(OsString::new()).or_insert_with(Attributes::implied);
        for (path, attributes) in std::mem::take(&mut self.folders).into_iter().rev() {
            let parts = parts(path.as_bytes())?;
            // What a later entry has replaced is no folder any more.
            if let Some(folder) = self.tree.real_folder(&parts) {
                self.set(&folder, &attributes).map_err(|why| format!("{}: {why}", text::shown(&path)))?;
            }
        }
        for (what, count) in &self.left_out {
            self.progress.say(&format!("left out: {count} {what}"));
        }
        if !self.is_root {
            self.progress.say("not root: all files belong to you; run as root, or under fakeroot, to keep the owners");
        }
        Ok(())
    }

    fn entry(&mut self, entry: &mut Entry<'_, impl Read>, name: &[u8], has_whiteouts: bool, made: &mut Made) -> Result<()> {
        let parts = parts(name)?;
        let last = parts.last().map_or(&b""[..], |part| part.as_bytes());
        if has_whiteouts && last.starts_with(WHITEOUT) {
            return self.whiteout(&parts, last, made);
        }
        let kind = entry.header().entry_type();
        if kind.is_pax_global_extensions() {
            return Ok(());
        }
        let attributes = attributes(entry)?;
        if parts.is_empty() {
            if kind.is_dir() {
                self.folders.insert(OsString::new(), attributes);
                return Ok(());
            }
            return Err("it has no name".into());
        }
        match kind {
            EntryType::Directory => self.folder(&parts, attributes, made),
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
                let place = self.cleared(&parts, made)?;
                self.file(entry, &place, &attributes)?;
                remember(&place, made)
            }
            EntryType::Symlink => {
                let place = self.cleared(&parts, made)?;
                let target = entry.link_name_bytes().ok_or("a link without a target")?;
                if target.contains(&0) {
                    return Err("a link to a name with a NUL in it".into());
                }
                rustix::fs::symlinkat(OsStr::from_bytes(&target), &place.folder, &place.name).map_err(|why| why.to_string())?;
                self.set_link(&place, &attributes)?;
                remember(&place, made)
            }
            EntryType::Link => self.hard_link(entry, &parts, made),
            EntryType::Fifo => {
                let place = self.cleared(&parts, made)?;
                rustix::fs::mknodat(&place.folder, &place.name, FileType::Fifo, Mode::from_raw_mode(attributes.mode & 0o777), 0)
                    .map_err(|why| why.to_string())?;
                self.set_link(&place, &attributes)?;
                remember(&place, made)
            }
            EntryType::Char | EntryType::Block => {
                *self.left_out.entry("device nodes (a runtime makes the container's own)").or_default() += 1;
                Ok(())
            }
            other => Err(format!("is of a kind that no root file system has (type {:?})", char::from(other.as_byte()))),
        }
    }

    /// The place of an entry that replaces whatever was there.
    fn cleared(&mut self, parts: &[&OsStr], made: &mut Made) -> Result<Place> {
        let place = self.tree.place(parts, made)?;
        place.clear()?;
        Ok(place)
    }

    fn folder(&mut self, parts: &[&OsStr], attributes: Attributes, made: &mut Made) -> Result<()> {
        let place = self.tree.place(parts, made)?;
        if place.kind() != Some(FileType::Directory) {
            place.clear()?;
            rustix::fs::mkdirat(&place.folder, &place.name, Mode::from_raw_mode(0o755)).map_err(|why| why.to_string())?;
        }
        self.folders.insert(parts.join(OsStr::new("/")), attributes);
        remember(&place, made)
    }

    fn file(&mut self, entry: &mut Entry<'_, impl Read>, place: &Place, attributes: &Attributes) -> Result<()> {
        let size = entry.size();
        self.room = self
            .room
            .checked_sub(size)
            .ok_or_else(|| format!("its {} are more than what is left of --max-size ({})", text::bytes(size), text::bytes(self.room)))?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&place.folder, &place.name, flags, Mode::from_raw_mode(0o600)).map_err(|why| why.to_string())?;
        let mut file = std::fs::File::from(file);
        let written = std::io::copy(&mut entry.take(size), &mut file).map_err(|why| why.to_string())?;
        if written != size {
            return Err(format!("ends after {written} of {size} bytes: the archive is cut off"));
        }
        self.set(&OwnedFd::from(file), attributes)
    }

    /// Both names are places in the root; a link is not followed, and a folder has no second name.
    fn hard_link(&mut self, entry: &Entry<'_, impl Read>, to: &[&OsStr], made: &mut Made) -> Result<()> {
        let target = entry.link_name_bytes().ok_or("a hard link without a target")?.into_owned();
        let shown = text::shown(OsStr::from_bytes(&target));
        let found = self.tree.find(&parts(&target)?).map_err(|why| format!("is a hard link to {shown}: {why}"))?;
        let from = inode(&found.folder, &found.name).map_err(|why| format!("is a hard link to {shown}: {why}"))?;
        let place = self.tree.place(to, made)?;
        if inode(&place.folder, &place.name) == Ok(from) {
            return Ok(()); // a second entry of the same
        }
        place.clear()?;
        rustix::fs::linkat(&found.folder, &found.name, &place.folder, &place.name, AtFlags::empty())
            .map_err(|why| format!("is a hard link to {shown}: {why}"))?;
        remember(&place, made)
    }

    /// `.wh.NAME` hides NAME of the layers below, `.wh..wh..opq` all that they have in its folder.
    fn whiteout(&mut self, parts: &[&OsStr], last: &[u8], made: &mut Made) -> Result<()> {
        let above = &parts[..parts.len() - 1];
        if last == OPAQUE {
            let mut inside = above.to_vec();
            inside.push(OsStr::new(OsStr::from_bytes(OPAQUE)));
            // A folder that no layer below has is empty.
            return match self.tree.find(&inside) {
                Ok(place) => place.empty_folder(made),
                Err(_) => Ok(()),
            };
        }
        let hidden = &last[WHITEOUT.len()..];
        if hidden.is_empty() || hidden == b"." || hidden == b".." {
            return Err("is a whiteout of nothing".into());
        }
        if hidden.starts_with(b".wh.") {
            return Ok(()); // AUFS keeps its own notes under such names
        }
        let mut path = above.to_vec();
        path.push(OsStr::from_bytes(hidden));
        match self.tree.find(&path) {
            Ok(place) => place.remove(made).map(|_| ()),
            Err(_) => Ok(()),
        }
    }

    /// Owner first: changing it takes set-user-id away.
    fn set(&self, file: &OwnedFd, attributes: &Attributes) -> Result<()> {
        if self.is_root {
            let (user, group) = owner(attributes);
            rustix::fs::fchown(file, user, group).map_err(|why| format!("owner: {why}"))?;
        }
        for (name, value) in &attributes.xattrs {
            if self.is_root || name.starts_with("user.") {
                rustix::fs::fsetxattr(file, name.as_str(), value, XattrFlags::empty()).map_err(|why| format!("attribute {name}: {why}"))?;
            }
        }
        rustix::fs::fchmod(file, Mode::from_raw_mode(attributes.mode)).map_err(|why| format!("mode: {why}"))?;
        rustix::fs::futimens(file, &times(attributes)).map_err(|why| format!("time: {why}"))
    }

    fn set_link(&self, place: &Place, attributes: &Attributes) -> Result<()> {
        if self.is_root {
            let (user, group) = owner(attributes);
            rustix::fs::chownat(place.folder.as_fd(), &place.name, user, group, AtFlags::SYMLINK_NOFOLLOW)
                .map_err(|why| why.to_string())?;
        }
        rustix::fs::utimensat(&place.folder, &place.name, &times(attributes), AtFlags::SYMLINK_NOFOLLOW).map_err(|why| why.to_string())
    }
}

fn remember(place: &Place, made: &mut Made) -> Result<()> {
    made.inodes.insert(inode(&place.folder, &place.name).map_err(|why| why.to_string())?);
    Ok(())
}

fn owner(attributes: &Attributes) -> (Option<Uid>, Option<Gid>) {
    (Some(Uid::from_raw(attributes.owner.0)), Some(Gid::from_raw(attributes.owner.1)))
}

fn times(attributes: &Attributes) -> Timestamps {
    let time = Timespec { tv_sec: attributes.time, tv_nsec: 0 };
    Timestamps { last_access: time, last_modification: time }
}

fn attributes(entry: &mut Entry<'_, impl Read>) -> Result<Attributes> {
    let header = entry.header();
    let bad = |what: &'static str| move |why: std::io::Error| format!("its {what}: {why}");
    // u32::MAX means "leave it" to chown(2).
    let id = |id: u64| u32::try_from(id).ok().filter(|id| *id != u32::MAX).ok_or_else(|| format!("its owner {id} does not exist on Linux"));
    let mut attributes = Attributes {
        mode: header.mode().map_err(bad("mode"))? & 0o7777,
        owner: (id(header.uid().map_err(bad("owner"))?)?, id(header.gid().map_err(bad("group"))?)?),
        time: i64::try_from(header.mtime().map_err(bad("time"))?).map_err(|_| "its time is beyond all calendars")?,
        xattrs: Vec::new(),
    };
    let Some(extensions) = entry.pax_extensions().map_err(bad("extended header"))? else { return Ok(attributes) };
    for extension in extensions {
        let extension = extension.map_err(bad("extended header"))?;
        let number = || extension.value().ok().and_then(|value| value.split('.').next()?.parse::<i64>().ok());
        match extension.key_bytes() {
            b"mtime" => attributes.time = number().ok_or("its time is no number")?,
            b"uid" => attributes.owner.0 = id(number().and_then(|id| u64::try_from(id).ok()).ok_or("its owner is no number")?)?,
            b"gid" => attributes.owner.1 = id(number().and_then(|id| u64::try_from(id).ok()).ok_or("its group is no number")?)?,
            key => {
                let name = key.strip_prefix(b"SCHILY.xattr.").and_then(|name| std::str::from_utf8(name).ok());
                // Others (trusted.*, system.*) speak of the file system that the archive was made on.
                if let Some(name) = name.filter(|name| *name == "security.capability" || name.starts_with("user.")) {
                    attributes.xattrs.push((name.to_string(), extension.value_bytes().to_vec()));
                }
            }
        }
    }
    Ok(attributes)
}

#[cfg(test)]
#[path = "layer_tests.rs"]
mod tests;
