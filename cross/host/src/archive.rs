//! Where an image's parts lie: as files of a folder, or as entries of an archive (`docker save`, `skopeo copy … oci-archive:`).

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Take, Write};
use std::path::{Path, PathBuf};

use tar::{Archive, EntryType};

use crate::stream::{self, Allowance, Bounded, Seen, Watched};
use crate::{Result, text};

/// A manifest, an index, an image configuration: all are smaller, as registries demand.
const LARGEST_DOCUMENT: u64 = 4 << 20;

/// Entries of an image's archive: blobs, not files of a root file system.
const MOST_PARTS: usize = 100_000;

const LARGEST_HEADER: u64 = 1 << 20;

pub enum Store {
    Folder(PathBuf),
    Archive { file: File, path: PathBuf, parts: HashMap<String, (u64, u64)> },
}

impl Store {
    /// One part and its size.
    pub fn open(&self, name: &str) -> Result<(Take<File>, u64)> {
        match self {
            Store::Folder(folder) => {
                let path = folder.join(name);
                let file = File::open(&path).map_err(|why| format!("{}: {why}", text::shown(&path)))?;
                let status = file.metadata().map_err(|why| format!("{}: {why}", text::shown(&path)))?;
                if !status.is_file() {
                    return Err(format!("{}: is no regular file", text::shown(&path)));
                }
                Ok((file.take(status.len()), status.len()))
            }
            Store::Archive { file, path, parts } => {
                let (offset, size) =
                    *parts.get(name).ok_or_else(|| format!("{}: has no entry {}", text::shown(path), text::shown(name)))?;
                let mut file = file.try_clone().map_err(|why| why.to_string())?;
                file.seek(SeekFrom::Start(offset)).map_err(|why| format!("{}: {why}", text::shown(path)))?;
                Ok((file.take(size), size))
            }
        }
    }

    pub fn has(&self, name: &str) -> bool {
        match self {
            Store::Folder(folder) => folder.join(name).is_file(),
            Store::Archive { parts, .. } => parts.contains_key(name),
        }
    }

    /// A document as a whole; with a digest, it must be what the digest says.
    pub fn document(&self, name: &str, digest: Option<&str>) -> Result<serde_json::Value> {
        let (file, size) = self.open(name)?;
        if size > LARGEST_DOCUMENT {
            return Err(format!("{}: {} are too many for a document", text::shown(name), text::bytes(size)));
        }
        let seen = Seen::default();
        let mut bytes = Vec::new();
        Watched::new(file, &seen, None).read_to_end(&mut bytes).map_err(|why| format!("{}: {why}", text::shown(name)))?;
        if let Some(digest) = digest
            && seen.digest() != digest
        {
            return Err(format!("{}: its content has the digest {}, not {digest}", text::shown(name), seen.digest()));
        }
        serde_json::from_slice(&bytes).map_err(|why| format!("{}: {why}", text::shown(name)))
    }
}

/// Whether a tar archive holds an image rather than a root file system: its first entry says so.
pub fn holds_an_image(file: &File) -> Result<bool> {
    let mut from_start = file.try_clone().map_err(|why| why.to_string())?;
    let first = {
        let allowance = Allowance::new();
        allowance.set(LARGEST_HEADER, "an extended header is longer than 1 MiB");
        let stream = stream::decompressed(&mut from_start).map_err(|why| why.to_string())?;
        let mut archive = Archive::new(Bounded { inner: stream, allowance });
        let mut entries = archive.entries().map_err(|why| why.to_string())?;
        match entries.next() {
            Some(entry) => String::from_utf8_lossy(&entry.map_err(|why| format!("is no tar archive: {why}"))?.path_bytes()).into_owned(),
            None => return Err("is empty".into()),
        }
    };
    from_start.seek(SeekFrom::Start(0)).map_err(|why| format!("cannot be read twice: {why}"))?;
    let first = first.trim_start_matches("./");
    let head = first.split(['/', '.']).next().unwrap_or_default();
    let is_id = head.len() == 64 && head.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_name = ["blobs", "oci-layout", "index.json", "manifest.json", "repositories"]
        .contains(&first.trim_end_matches('/').split('/').next().unwrap_or(""));
    Ok(is_id || is_name)
}

/// Lists the entries of an image's archive. A compressed one is first written out uncompressed, into a file without a name.
pub fn list(file: File, path: &Path, scratch: &Path) -> Result<Store> {
    let failed = |why: std::io::Error| format!("{}: {why}", text::shown(path));
    let mut head = [0; 4];
    let mut start = file.try_clone().map_err(failed)?;
    let length = start.read(&mut head).map_err(failed)?;
    start.seek(SeekFrom::Start(0)).map_err(failed)?;
    let is_plain = !head[..length].starts_with(&[0x1f, 0x8b]) && !head[..length].starts_with(&[0x28, 0xb5, 0x2f, 0xfd]);
    let file = if is_plain { file } else { written_out(file, scratch).map_err(failed)? };

    let allowance = Allowance::new();
    let mut archive = Archive::new(Bounded { inner: file.try_clone().map_err(failed)?, allowance: allowance.clone() });
    let (mut parts, mut links) = (HashMap::new(), Vec::new());
    let mut entries = archive.entries().map_err(failed)?;
    loop {
        allowance.set(LARGEST_HEADER, "an extended header is longer than 1 MiB");
        let Some(entry) = entries.next() else { break };
        let mut entry = entry.map_err(failed)?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).trim_start_matches("./").to_string();
        match entry.header().entry_type() {
            EntryType::Regular => drop(parts.insert(name, (entry.raw_file_position(), entry.size()))),
            // Older versions of docker name a layer twice in this way.
            EntryType::Symlink | EntryType::Link => {
                links.push((name, String::from_utf8_lossy(&entry.link_name_bytes().unwrap_or_default()).into_owned()))
            }
            _ => {}
        }
        if parts.len() + links.len() > MOST_PARTS {
            return Err(format!("{}: more than {MOST_PARTS} entries are no image", text::shown(path)));
        }
        allowance.set(u64::MAX, "");
        std::io::copy(&mut entry, &mut std::io::sink()).map_err(failed)?;
    }
    for (name, target) in links {
        // `../ID/layer.tar` as seen from `ID/layer.tar`, or the whole name.
        if let Some(place) = parts.get(target.trim_start_matches("../")).copied() {
            parts.insert(name, place);
        }
    }
    Ok(Store::Archive { file, path: path.to_path_buf(), parts })
}

fn written_out(file: File, scratch: &Path) -> std::io::Result<File> {
    let path = scratch.join("image.tar");
    let mut out = std::fs::OpenOptions::new().read(true).write(true).create_new(true).open(&path)?;
    std::fs::remove_file(&path)?;
    std::io::copy(&mut stream::decompressed(file)?, &mut out)?;
    out.flush()?;
    out.seek(SeekFrom::Start(0))?;
    Ok(out)
}
