//! `ocinit-host initramfs`: a root file system that lies in the kernel's memory, as the archive that it unpacks (cpio, form `newc`).
//!
//! Must: give the same bytes for the same files: names in order, inodes counted, one time for all. Mustn't: follow a link.

use std::collections::HashMap;
use std::fs::{self, File, Metadata};
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use flate2::{Compression, GzBuilder, write::GzEncoder};

use crate::{Result, text};

pub struct Request {
    pub target: PathBuf,
    /// What becomes /init and /sbin/ocinit.
    pub init: PathBuf,
    /// Bundles, which lie below /etc/ocinit/bundles.
    pub bundles: Vec<PathBuf>,
    /// A folder with further files, such as /etc/ocinit/boot.json.
    pub files: Option<PathBuf>,
}

/// The archive's fields have 32 bits.
const LARGEST_FILE: u64 = u32::MAX as u64;

/// Folders that a booting system mounts something on.
const FOLDERS: [&str; 10] = ["dev", "etc", "etc/ocinit", "etc/ocinit/bundles", "proc", "run", "sbin", "sys", "tmp", "var"];

const FOLDER: u32 = 0o040_000;
const FILE: u32 = 0o100_000;
const LINK: u32 = 0o120_000;
const CHARACTER_DEVICE: u32 = 0o020_000;

pub fn make(request: &Request) -> Result<()> {
    let mut part = request.target.clone().into_os_string();
    part.push(".part");
    let part = PathBuf::from(part);
    let made = write(request, &part).and_then(|()| fs::rename(&part, &request.target).map_err(|why| named(&request.target, &why)));
    if made.is_err() {
        let _ = fs::remove_file(&part); // the first error says more
    }
    made
}

fn named(path: &Path, why: &io::Error) -> String {
    format!("{}: {why}", text::shown(path))
}

fn write(request: &Request, part: &Path) -> Result<()> {
    let time = match std::env::var("SOURCE_DATE_EPOCH") {
        Ok(word) => word.parse().map_err(|_| format!("SOURCE_DATE_EPOCH={}: is no time of 32 bits", text::shown(&word)))?,
        Err(_) => 0,
    };
    let file = File::create(part).map_err(|why| named(part, &why))?;
    // The name and the time of the archive are not written into it.
    let compressed = GzBuilder::new().mtime(0).write(BufWriter::new(file), Compression::best());
    let mut archive = Archive { out: compressed, at: 0, count: 0, time, is_roots: true, links: HashMap::new() };
    for name in FOLDERS {
        archive.entry(name, FOLDER | 0o755, (0, 0), (0, 0), 1, &[]).map_err(|why| named(part, &why))?;
    }
    // The kernel opens it for init before anything is mounted.
    archive.entry("dev/console", CHARACTER_DEVICE | 0o600, (0, 0), (5, 1), 1, &[]).map_err(|why| named(part, &why))?;
    archive.tree("sbin/ocinit", &request.init)?;
    archive.entry("init", LINK | 0o777, (0, 0), (0, 0), 1, b"sbin/ocinit").map_err(|why| named(part, &why))?;
    if let Some(files) = &request.files {
        archive.inside("", files)?;
    }
    // Only root can have given a bundle's files to others.
    archive.is_roots = !rustix::process::geteuid().is_root();
    for bundle in &request.bundles {
        if !bundle.join("config.json").is_file() {
            return Err(format!("{}: is no bundle: it has no config.json (ocinit-host bundle makes one)", text::shown(bundle)));
        }
        let name = bundle
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .ok_or_else(|| format!("{}: has no name", text::shown(bundle)))?;
        archive.tree(&format!("etc/ocinit/bundles/{name}"), bundle)?;
    }
    archive.entry("TRAILER!!!", 0, (0, 0), (0, 0), 1, &[]).map_err(|why| named(part, &why))?;
    let finished = archive.out.finish().and_then(|mut out| out.flush().map(|()| out));
    let file = finished.and_then(|out| out.into_inner().map_err(io::IntoInnerError::into_error)).map_err(|why| named(part, &why))?;
    file.sync_all().map_err(|why| named(part, &why))
}

struct Archive {
    out: GzEncoder<BufWriter<File>>,
    at: u64,
    count: u32,
    time: u32,
    /// Whether what is added now belongs to root, whoever has it on the build host.
    is_roots: bool,
    /// Files with several names: their number in the archive.
    links: HashMap<(u64, u64), u32>,
}

impl Archive {
    /// A file, a link or a folder with all that is in it.
    fn tree(&mut self, name: &str, path: &Path) -> Result<()> {
        let status = fs::symlink_metadata(path).map_err(|why| named(path, &why))?;
        let kind = status.file_type();
        let owner = self.owner(&status);
        let mode = status.mode() & 0o7777;
        let failed = |why: io::Error| named(path, &why);
        if kind.is_dir() {
            self.entry(name, FOLDER | mode, owner, (0, 0), 1, &[]).map_err(failed)?;
            self.inside(name, path)
        } else if kind.is_symlink() {
            let target = fs::read_link(path).map_err(failed)?;
            self.entry(name, LINK | 0o777, owner, (0, 0), 1, target.as_os_str().as_bytes()).map_err(failed)
        } else if kind.is_file() {
            self.file(name, path, &status)
        } else if kind.is_fifo() || kind.is_char_device() || kind.is_block_device() {
            let device = (rustix::fs::major(status.rdev()), rustix::fs::minor(status.rdev()));
            self.entry(name, status.mode(), owner, device, 1, &[]).map_err(failed)
        } else {
            Err(format!("{}: a socket cannot lie in an archive", text::shown(path)))
        }
    }

    fn owner(&self, status: &Metadata) -> (u32, u32) {
        if self.is_roots { (0, 0) } else { (status.uid(), status.gid()) }
    }

    fn inside(&mut self, name: &str, path: &Path) -> Result<()> {
        let mut entries: Vec<_> = fs::read_dir(path).and_then(Iterator::collect::<io::Result<Vec<_>>>).map_err(|why| named(path, &why))?;
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let inner = entry.file_name();
            let inner = inner.to_str().ok_or_else(|| format!("{}: a name that is no UTF-8", text::shown(entry.path())))?;
            self.tree(&if name.is_empty() { inner.to_string() } else { format!("{name}/{inner}") }, &entry.path())?;
        }
        Ok(())
    }

    fn file(&mut self, name: &str, path: &Path, status: &Metadata) -> Result<()> {
        let failed = |why: io::Error| named(path, &why);
        if status.len() > LARGEST_FILE {
            return Err(format!("{}: {} are too many for an initramfs", text::shown(path), text::bytes(status.len())));
        }
        let (mode, owner) = (FILE | (status.mode() & 0o7777), self.owner(status));
        // The kernel takes the content from any of the names: the first has it, the others have none.
        if status.nlink() > 1 {
            if let Some(number) = self.links.get(&(status.dev(), status.ino())).copied() {
                return self.header(number, name, mode, owner, (0, 0), 2, 0).map_err(failed);
            }
            self.links.insert((status.dev(), status.ino()), self.count + 1);
        }
        self.count += 1;
        let links = if status.nlink() > 1 { 2 } else { 1 };
        self.header(self.count, name, mode, owner, (0, 0), links, status.len() as u32).map_err(failed)?;
        let file = File::open(path).map_err(failed)?;
        let written = io::copy(&mut file.take(status.len()), &mut self.out).map_err(failed)?;
        if written != status.len() {
            return Err(format!("{}: became shorter while it was read", text::shown(path)));
        }
        self.at += written;
        self.pad().map_err(failed)
    }

    fn entry(&mut self, name: &str, mode: u32, owner: (u32, u32), device: (u32, u32), links: u32, content: &[u8]) -> io::Result<()> {
        self.count += 1;
        self.header(self.count, name, mode, owner, device, links, content.len() as u32)?;
        self.out.write_all(content)?;
        self.at += content.len() as u64;
        self.pad()
    }

    /// Thirteen hexadecimal fields and the name, padded to four bytes.
    #[expect(clippy::too_many_arguments, reason = "they are the fields of the header")]
    fn header(
        &mut self,
        number: u32,
        name: &str,
        mode: u32,
        owner: (u32, u32),
        device: (u32, u32),
        links: u32,
        size: u32,
    ) -> io::Result<()> {
        let fields = [number, mode, owner.0, owner.1, links, self.time, size, 0, 0, device.0, device.1, name.len() as u32 + 1, 0];
        let mut header = String::from("070701");
        for field in fields {
            header.push_str(&format!("{field:08x}"));
        }
        header.push_str(name);
        header.push('\0');
        self.out.write_all(header.as_bytes())?;
        self.at += header.len() as u64;
        self.pad()
    }

    fn pad(&mut self) -> io::Result<()> {
        let padding = self.at.next_multiple_of(4) - self.at;
        self.out.write_all(&[0; 3][..padding as usize])?;
        self.at += padding;
        Ok(())
    }
}
