//! The root file system that is being made: every path is resolved by the kernel inside it (openat2, RESOLVE_IN_ROOT).
//!
//! Must: act on an open parent and one name, never on a path. Mustn't: follow a last link, or open for writing what was there before.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use crate::{Error, Result, text};

const INSIDE: ResolveFlags = ResolveFlags::IN_ROOT.union(ResolveFlags::NO_MAGICLINKS);
const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// PATH_MAX: nothing longer can be opened at once.
const LONGEST_PATH: usize = 4095;

/// Folders in folders; removing is recursive, and a hostile archive could go deeper than the stack.
const DEEPEST: usize = 512;

pub struct Tree {
    root: OwnedFd,
}

/// An entry's place: the folder that it is in, and its name there.
pub struct Place {
    pub folder: OwnedFd,
    pub name: OsString,
}

/// What the present layer has made.
#[derive(Default)]
pub struct Made {
    /// The inodes: its own whiteouts do not touch them.
    pub inodes: HashSet<u64>,
    /// Folders that no entry named, made since something lies in them.
    pub implied: Vec<OsString>,
}

/// The parts of a path in an archive. `..` has no meaning there that is not an attack or a mistake.
pub fn parts(path: &[u8]) -> Result<Vec<&OsStr>> {
    if path.len() > LONGEST_PATH {
        return Err(format!("a path of {} bytes is longer than {LONGEST_PATH}", path.len()));
    }
    let mut parts = Vec::new();
    for part in path.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => return Err("its path has a part `..`, and would leave the root file system".into()),
            _ if part.contains(&0) => return Err("its path has a NUL in it".into()),
            _ => parts.push(OsStr::from_bytes(part)),
        }
    }
    if parts.len() > DEEPEST {
        return Err(format!("its path has {} parts, at most {DEEPEST} are allowed", parts.len()));
    }
    Ok(parts)
}

impl Tree {
    pub fn open(folder: &Path) -> Result<Tree> {
        let root = rustix::fs::openat(CWD, folder, FOLDER, Mode::empty()).map_err(|why| format!("{}: {why}", text::shown(folder)))?;
        Ok(Tree { root })
    }

    /// Opens inside the root; links on the way are followed inside it.
    fn open_inside(&self, parts: &[&OsStr], flags: OFlags) -> std::result::Result<OwnedFd, Errno> {
        let path = joined(parts);
        loop {
            match rustix::fs::openat2(&self.root, &path, flags | OFlags::CLOEXEC, Mode::empty(), INSIDE) {
                Err(Errno::AGAIN | Errno::INTR) => {} // something was renamed meanwhile: the kernel asks to try again
                answer => return answer,
            }
        }
    }

    /// A folder inside the root, made with what leads to it where it is missing.
    pub fn folder(&self, parts: &[&OsStr], made: &mut Made) -> std::result::Result<OwnedFd, Errno> {
        match self.open_inside(parts, FOLDER) {
            Err(Errno::NOENT) if !parts.is_empty() => {}
            answer => return answer,
        }
        let (name, above) = parts.split_last().ok_or(Errno::NOENT)?;
        let parent = self.folder(above, made)?;
        match rustix::fs::mkdirat(&parent, *name, Mode::from_raw_mode(0o755)) {
            Ok(()) => {
                made.inodes.insert(inode(&parent, name)?);
                made.implied.push(joined(parts));
                self.open_inside(parts, FOLDER)
            }
            // A link that leads nowhere.
            Err(Errno::EXIST) => Err(Errno::NOTDIR),
            Err(why) => Err(why),
        }
    }

    pub fn place(&self, parts: &[&OsStr], made: &mut Made) -> Result<Place> {
        let (name, above) = parts.split_last().ok_or("it has no name")?;
        let folder = self.folder(above, made).map_err(|why| format!("the folder that it is in: {why}"))?;
        Ok(Place { folder, name: name.to_os_string() })
    }

    /// Where something lies that must be there already; nothing is made.
    pub fn find(&self, parts: &[&OsStr]) -> Result<Place> {
        let (name, above) = parts.split_last().ok_or("it has no name")?;
        let folder = self.open_inside(above, FOLDER).map_err(|why| why.to_string())?;
        Ok(Place { folder, name: name.to_os_string() })
    }

    /// A folder that must be there, and not by a link.
    pub fn real_folder(&self, parts: &[&OsStr]) -> Option<OwnedFd> {
        self.open_inside(parts, FOLDER | OFlags::NOFOLLOW).ok()
    }

    /// The text of a regular file, found as the container will find it; nothing if it is no such file or longer than `most`.
    pub fn read(&self, path: &str, most: u64) -> Option<String> {
        let parts = parts(path.as_bytes()).ok()?;
        let file = File::from(self.open_inside(&parts, OFlags::RDONLY | OFlags::NONBLOCK).ok()?);
        let status = rustix::fs::fstat(&file).ok()?;
        if !FileType::from_raw_mode(status.st_mode).is_file() || u64::try_from(status.st_size).ok()? > most {
            return None;
        }
        let mut bytes = Vec::new();
        file.take(most).read_to_end(&mut bytes).ok()?;
        String::from_utf8(bytes).ok()
    }
}

fn joined(parts: &[&OsStr]) -> OsString {
    if parts.is_empty() { OsString::from(".") } else { parts.join(OsStr::new("/")) }
}

pub fn inode(folder: impl AsFd, name: &OsStr) -> std::result::Result<u64, Errno> {
    rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW).map(|status| status.st_ino)
}

impl Place {
    /// What is there, not following a link.
    pub fn kind(&self) -> Option<FileType> {
        let status = rustix::fs::statat(&self.folder, &self.name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
        Some(FileType::from_raw_mode(status.st_mode))
    }

    /// Makes room for an entry: whatever has its name goes.
    pub fn clear(&self) -> Result<()> {
        self.remove(&Made::default()).map(|_| ())
    }

    /// Removes what is there, except what is in `kept` and the folders that lead to it. Says whether all of it went.
    pub fn remove(&self, kept: &Made) -> Result<bool> {
        remove(self.folder.as_fd(), &self.name, kept, 0).map_err(|why| format!("what has its place cannot be removed: {why}"))
    }

    /// Removes what is in the folder of this place, except what is in `kept`.
    pub fn empty_folder(&self, kept: &Made) -> Result<()> {
        empty(self.folder.as_fd(), kept, 0).map(|_| ()).map_err(|why: Error| format!("what its folder has cannot be removed: {why}"))
    }
}

fn remove(folder: BorrowedFd<'_>, name: &OsStr, kept: &Made, depth: usize) -> Result<bool> {
    let status = match rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => return Ok(true),
        answer => answer.map_err(|why| why.to_string())?,
    };
    let is_kept = kept.inodes.contains(&status.st_ino);
    if FileType::from_raw_mode(status.st_mode).is_dir() {
        let inner = rustix::fs::openat(folder, name, FOLDER | OFlags::NOFOLLOW, Mode::empty()).map_err(|why| why.to_string())?;
        if !empty(inner.as_fd(), kept, depth + 1)? || is_kept {
            return Ok(false);
        }
        rustix::fs::unlinkat(folder, name, AtFlags::REMOVEDIR).map_err(|why| why.to_string())?;
        return Ok(true);
    }
    if !is_kept {
        rustix::fs::unlinkat(folder, name, AtFlags::empty()).map_err(|why| why.to_string())?;
    }
    Ok(!is_kept)
}

fn empty(folder: BorrowedFd<'_>, kept: &Made, depth: usize) -> Result<bool> {
    if depth > DEEPEST {
        return Err(format!("folders are more than {DEEPEST} deep"));
    }
    let names: Vec<OsString> = Dir::read_from(folder)
        .map_err(|why| why.to_string())?
        .filter_map(std::result::Result::ok)
        .map(|entry| OsStr::from_bytes(entry.file_name().to_bytes()).to_os_string())
        .filter(|name| name != "." && name != "..")
        .collect();
    let mut is_empty = true;
    for name in names {
        is_empty &= remove(folder, &name, kept, depth)?;
    }
    Ok(is_empty)
}
