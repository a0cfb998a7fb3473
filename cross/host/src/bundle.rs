//! `ocinit-host bundle`: a bundle from a root file system's archive or from an image.
//!
//! Must: be there whole or not at all. What is not finished lies beside it, in a folder that the next try removes.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;
use serde_json::{Value, json};

use crate::archive::{self, Store};
use crate::config::{self, Choices};
use crate::image::{self, Kind};
use crate::layer::Unpacker;
use crate::layout::{self, Image, Wanted};
use crate::progress::Progress;
use crate::stream::{self, Seen, Watched};
use crate::tree::Tree;
use crate::{Result, text};

/// All that the command line says.
pub struct Request {
    /// `-` is the standard input.
    pub source: String,
    pub target: PathBuf,
    pub tag: Option<String>,
    pub platform: Option<String>,
    pub image: Option<Kind>,
    /// The most that all files together may have.
    pub most_bytes: u64,
    pub is_quiet: bool,
    pub choices: Choices,
}

/// The name by which a runtime finds the image file beside config.json.
const IMAGE_ANNOTATION: &str = "org.ocinit.image";

pub fn make(request: &Request) -> Result<()> {
    let target = &request.target;
    if fs::symlink_metadata(target).is_ok() {
        return Err(format!("{}: is there already; remove it, or name another folder", text::shown(target)));
    }
    let part = beside(target)?;
    let lock = begin(&part)?;
    let progress = Progress::new(request.is_quiet);
    let made = fill(request, &part, &progress).and_then(|()| finish(&part, target));
    if made.is_err() {
        progress.end_line();
        remove(&part);
    }
    drop(lock);
    made?;
    progress.say(&format!("{}: is made", text::shown(target)));
    Ok(())
}

/// `NAME` is made as `.NAME.part` in the same folder.
fn beside(target: &Path) -> Result<PathBuf> {
    let name = target.file_name().ok_or_else(|| format!("{}: has no name for a folder", text::shown(target)))?;
    let mut part = std::ffi::OsString::from(".");
    part.push(name);
    part.push(".part");
    Ok(target.with_file_name(part))
}

/// A folder of our own; what an interrupted run has left there goes.
fn begin(part: &Path) -> Result<File> {
    let named = |why: io::Error| format!("{}: {why}", text::shown(part));
    loop {
        match fs::create_dir(part) {
            Ok(()) => {}
            Err(why) if why.kind() == io::ErrorKind::AlreadyExists => {}
            Err(why) => return Err(named(why)),
        }
        let lock = File::open(part).map_err(named)?;
        rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive)
            .map_err(|_| format!("{}: another ocinit-host is making this bundle", text::shown(part)))?;
        if fs::read_dir(part).map_err(named)?.next().is_none() {
            return Ok(lock);
        }
        remove(part);
    }
}

/// Folders without the right to write or search are no obstacle.
fn remove(folder: &Path) {
    if fs::remove_dir_all(folder).is_ok() {
        return;
    }
    make_writable(folder);
    if let Err(why) = fs::remove_dir_all(folder) {
        eprintln!("ocinit-host: {} is left, remove it: {why}", text::shown(folder));
    }
}

fn make_writable(folder: &Path) {
    use std::os::unix::fs::PermissionsExt;
    if !fs::symlink_metadata(folder).is_ok_and(|status| status.is_dir()) {
        return;
    }
    let _ = fs::set_permissions(folder, fs::Permissions::from_mode(0o700)); // removing will say it
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        make_writable(&entry.path());
    }
}

fn finish(part: &Path, target: &Path) -> Result<()> {
    fs::rename(part, target).map_err(|why| format!("{}: {why}", text::shown(target)))
}

fn fill(request: &Request, part: &Path, progress: &Progress) -> Result<()> {
    let rootfs = part.join("rootfs");
    fs::create_dir(&rootfs).map_err(|why| format!("{}: {why}", text::shown(&rootfs)))?;
    let tree = Tree::open(&rootfs)?;
    let mut unpacker = Unpacker::new(&tree, request.most_bytes, progress);
    let source = request.source.strip_prefix("oci:").unwrap_or(&request.source);
    let named = |why: String| format!("{}: {why}", text::shown(source));
    let configuration = unpack(request, source, part, &mut unpacker, progress).map_err(named)?;
    let (mut config, folders) = config::make(&configuration, &tree, &request.choices)?;
    for folder in folders {
        unpacker.need_folder(&folder)?;
    }
    unpacker.finish()?;
    if let Some(kind) = request.image {
        progress.begin(format!("making {}", kind.file()), None);
        image::make(kind, &rootfs, &part.join(kind.file()))?;
        remove(&rootfs);
        fs::create_dir(&rootfs).map_err(|why| format!("{}: {why}", text::shown(&rootfs)))?;
        config["annotations"][IMAGE_ANNOTATION] = kind.file().into();
        config["root"]["readonly"] = true.into();
    }
    write_config(&part.join("config.json"), &config)
}

fn write_config(path: &Path, config: &Value) -> Result<()> {
    let mut text = serde_json::to_string_pretty(config).map_err(|why| why.to_string())?;
    text.push('\n');
    fs::write(path, text).map_err(|why| format!("{}: {why}", text::shown(path)))
}

/// Lays all layers; the image's configuration comes back, or one that says nothing.
fn unpack(request: &Request, source: &str, part: &Path, unpacker: &mut Unpacker<'_>, progress: &Progress) -> Result<Value> {
    if source == "-" {
        root_file_system(io::stdin().lock(), None, unpacker, progress)?;
        return Ok(json!({}));
    }
    let path = Path::new(source);
    let status = fs::metadata(path).map_err(|why| why.to_string())?;
    if !status.is_dir() && !status.is_file() {
        // A pipe can be read once only, which is enough for a root file system.
        root_file_system(File::open(path).map_err(|why| why.to_string())?, None, unpacker, progress)?;
        return Ok(json!({}));
    }
    let store = if status.is_dir() {
        if !path.join("index.json").is_file() {
            return Err(
                "is a folder, but no OCI image layout (it has no index.json); of a root file system make a tar archive first".into()
            );
        }
        Store::Folder(path.to_path_buf())
    } else {
        let file = File::open(path).map_err(|why| why.to_string())?;
        if !archive::holds_an_image(&file)? {
            root_file_system(file, Some(status.len()), unpacker, progress)?;
            return Ok(json!({}));
        }
        archive::list(file, path, part)?
    };
    let wanted = Wanted { tag: request.tag.as_deref(), platform: request.platform.as_deref() };
    let image = layout::find(&store, &wanted)?;
    layers(&store, &image, unpacker, progress)?;
    Ok(image.configuration)
}

fn root_file_system(stream: impl Read, size: Option<u64>, unpacker: &mut Unpacker<'_>, progress: &Progress) -> Result<()> {
    progress.begin("root file system".into(), size);
    let stream = Watched::new(stream, &Seen::default(), Some(progress));
    unpacker.lay(stream::decompressed(stream).map_err(|why| why.to_string())?, false)?;
    progress.end();
    Ok(())
}

fn layers(store: &Store, image: &Image, unpacker: &mut Unpacker<'_>, progress: &Progress) -> Result<()> {
    for (place, layer) in image.layers.iter().enumerate() {
        let named = |why: String| format!("layer {} ({}): {why}", place + 1, text::shown(&layer.name));
        let (file, size) = store.open(&layer.name)?;
        progress.begin(format!("layer {} of {}", place + 1, image.layers.len()), Some(size));
        let (blob, content) = (Seen::default(), Seen::default());
        let mut raw = Watched::new(file, &blob, Some(progress));
        {
            let stream = stream::decompressed(&mut raw).map_err(|why| named(why.to_string()))?;
            let mut stream = Watched::new(stream, &content, None);
            unpacker.lay(&mut stream, true).map_err(named)?;
            // The digest is also of what follows the archive's end.
            io::copy(&mut stream, &mut io::sink()).map_err(|why| named(why.to_string()))?;
        }
        io::copy(&mut raw, &mut io::sink()).map_err(|why| named(why.to_string()))?;
        if let Some((digest, size)) = &layer.blob
            && (blob.digest() != *digest || blob.bytes() != *size)
        {
            return Err(named(format!("has the digest {} and {} bytes, not {digest} and {size}", blob.digest(), blob.bytes())));
        }
        if content.digest() != layer.diff_id {
            return Err(named(format!("its uncompressed content has the digest {}, not {}", content.digest(), layer.diff_id)));
        }
        progress.end();
    }
    Ok(())
}

/// A folder's own name, for the hostname.
pub fn name_of(target: &Path) -> String {
    let name = target.file_name().unwrap_or_default();
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.';
    let name: String = name.as_bytes().iter().map(|byte| if fits(*byte) { char::from(*byte) } else { '-' }).take(63).collect();
    if name.is_empty() { "container".into() } else { name }
}
