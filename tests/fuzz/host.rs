//! What `ocinit-host` reads: layers, images' archives, and the documents of an image layout; unpacked as it unpacks them, beside a canary.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use tar::{Builder, EntryType, Header};

use crate::archive::{self, Store};
use crate::layer::Unpacker;
use crate::layout::{self, Wanted};
use crate::progress::Progress;
use crate::targets::Memory;
use crate::tree::Tree;

const BLOCK: usize = 512;

/// In memory, where there is such a place; this process's own.
fn scratch() -> PathBuf {
    let base = if Path::new("/dev/shm").is_dir() { PathBuf::from("/dev/shm") } else { std::env::temp_dir() };
    base.join(format!("ocinit-fuzz-{}", std::process::id()))
}

/// What is left when all is done.
pub fn clean_up() {
    let _ = fs::remove_dir_all(scratch());
}

// ---- layers

type Item = (EntryType, &'static str, &'static str);

fn tar_of(items: &[Item]) -> Vec<u8> {
    let mut made = Builder::new(Vec::new());
    for (kind, name, content) in items {
        let mut header = Header::new_gnu();
        header.set_entry_type(*kind);
        header.set_mode(if kind.is_dir() { 0o755 } else { 0o644 });
        header.set_mtime(1_000_000_000);
        // The crate's own setters refuse what an attacker writes.
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        let is_link = matches!(kind, EntryType::Symlink | EntryType::Link);
        if is_link {
            header.as_old_mut().linkname[..content.len()].copy_from_slice(content.as_bytes());
        }
        let data = if is_link { "" } else { content };
        header.set_size(data.len() as u64);
        header.set_cksum();
        let _ = made.append(&header, data.as_bytes()); // into memory
    }
    made.into_inner().unwrap_or_default()
}

pub fn layers() -> Vec<Vec<u8>> {
    use EntryType as E;
    let root = tar_of(&[
        (E::Directory, "bin/", ""),
        (E::Regular, "bin/busybox", "\x7fELF"),
        (E::Symlink, "bin/sh", "busybox"),
        (E::Link, "bin/ls", "bin/busybox"),
        (E::Directory, "etc", ""),
        (E::Regular, "etc/passwd", "root:x:0:0:root:/:/bin/sh\n"),
        (E::Char, "dev/null", ""),
        (E::Fifo, "run/initctl", ""),
    ]);
    let changes = tar_of(&[
        (E::Directory, "etc/", ""),
        (E::Regular, "etc/.wh.passwd", ""),
        (E::Regular, "bin/.wh..wh..opq", ""),
        (E::Regular, "./usr/lib/x", "x"),
        (E::Regular, ".wh.var", ""),
        (E::Symlink, "var", "/tmp"),
        (E::Regular, "var/y", "y"),
    ]);
    let hostile = tar_of(&[
        (E::Symlink, "up", "../.."),
        (E::Regular, "up/canary", "hit"),
        (E::Regular, "../canary", "hit"),
        (E::Link, "got", "../canary"),
        (E::Symlink, "x", "/proc/self/cwd"),
        (E::Directory, "x", ""),
        (E::Regular, "x/z", "z"),
    ]);
    // Extended headers: long names, records of pax.
    let long = tar_of(&[
        (E::GNULongName, "././@LongLink", "a/very/long/name/../of/a/file"),
        (E::Regular, "short", "long"),
        (E::GNULongLink, "././@LongLink", "/etc/passwd"),
        (E::Symlink, "link", "short"),
        (E::XHeader, "pax", "30 path=pax/../../canary/name\n20 size=99999999999\n"),
        (E::Regular, "p", "pax"),
        (E::XHeader, "pax", "31 SCHILY.xattr.user.x=something\n"),
        (E::Regular, "q", "pax"),
        (E::XGlobalHeader, "global", "18 path=everywhere\n"),
        (E::Regular, "r", "r"),
    ]);
    vec![root, changes, hostile, long]
}

/// Puts a right checksum into each header, or a reader would look no further at what was mutated. Sizes stay what they say.
fn with_checksums(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let mut at = 0;
    while at + BLOCK <= bytes.len() {
        let block = &mut bytes[at..at + BLOCK];
        if block.iter().any(|byte| *byte != 0) {
            block[148..156].fill(b' ');
            let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
            block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        }
        let size =
            std::str::from_utf8(&block[124..135]).ok().and_then(|text| usize::from_str_radix(text.trim_matches(['\0', ' ']), 8).ok());
        at = at.saturating_add(BLOCK).saturating_add(size.unwrap_or(0).min(1 << 30).div_ceil(BLOCK) * BLOCK);
    }
    bytes
}

pub fn layer(bytes: &[u8], _: &mut Memory) -> Result<(), String> {
    const ROOM: u64 = 1 << 20;
    let folder = scratch().join("layer");
    let root = folder.join("root");
    let canary = folder.join("canary");
    let told = |why: std::io::Error| format!("{}: {why}", folder.display());
    let _ = fs::remove_dir_all(&root);
    fs::create_dir_all(&root).map_err(told)?;
    fs::write(&canary, "untouched").map_err(told)?;
    let tree = Tree::open(&root)?;
    let mut unpacker = Unpacker::new(&tree, ROOM, &Progress::new(true));
    if unpacker.lay(&with_checksums(bytes)[..], true).is_ok() {
        let _ = unpacker.finish(); // what it cannot do it says
    }
    if fs::read(&canary).map_err(told)? != b"untouched" {
        return Err("the canary was written to".into());
    }
    let beside = fs::read_dir(&folder).map_err(told)?.count();
    if beside == 2 { Ok(()) } else { Err(format!("{beside} files beside the root, not 2")) }
}

// ---- images

fn images() -> Vec<Vec<u8>> {
    use EntryType as E;
    vec![
        tar_of(&[
            (E::Regular, "manifest.json", "[{\"Config\":\"c.json\",\"RepoTags\":[\"a:b\"],\"Layers\":[\"l/layer.tar\"]}]"),
            (
                E::Regular,
                "c.json",
                "{\"os\":\"linux\",\"architecture\":\"arm\",\"rootfs\":{\"diff_ids\":[\"sha256:0123456789012345678901234567890123456789012345678901234567890123\"]}}",
            ),
            (E::Regular, "l/layer.tar", "x"),
            (E::Symlink, "m/layer.tar", "../l/layer.tar"),
            (E::Link, "n/layer.tar", "l/layer.tar"),
        ]),
        tar_of(&[
            (E::Regular, "oci-layout", "{\"imageLayoutVersion\":\"1.0.0\"}"),
            (E::Regular, "./index.json", "{\"manifests\":[{\"digest\":\"sha256:0\"}]}"),
            (E::Directory, "blobs/sha256/", ""),
        ]),
    ]
}

pub fn archives() -> Vec<Vec<u8>> {
    [images(), layers()].concat()
}

/// An image's archive: its first entry, its list, and an image out of it. Errors: a part that is said to lie outside of the file.
pub fn image_archive(bytes: &[u8], _: &mut Memory) -> Result<(), String> {
    let folder = scratch().join("archive");
    fs::create_dir_all(&folder).map_err(|why| why.to_string())?;
    let bytes = if bytes.starts_with(&[0x1f, 0x8b]) { bytes.to_vec() } else { with_checksums(bytes) };
    let file = memory_file(&bytes)?;
    let _ = archive::holds_an_image(&file);
    let Ok(store) = archive::list(file, Path::new("image.tar"), &folder) else { return Ok(()) };
    if let Store::Archive { parts, .. } = &store {
        for name in parts.keys() {
            let _ = store.document(name, None);
        }
    }
    let _ = layout::find(&store, &Wanted::default());
    Ok(())
}

fn memory_file(bytes: &[u8]) -> Result<File, String> {
    let memory = rustix::fs::memfd_create("image", rustix::fs::MemfdFlags::CLOEXEC).map_err(|why| why.to_string())?;
    let mut file = File::from(memory);
    file.write_all(bytes).map_err(|why| why.to_string())?;
    std::io::Seek::rewind(&mut file).map_err(|why| why.to_string())?;
    Ok(file)
}

const PART: u8 = 0x1e;

/// index.json, a manifest, a configuration, an index in the index, parted by a control character; or `docker save`'s list in the first place; `@n@` is the digest of the n-th, `%n%` its name.
pub fn layouts() -> Vec<Vec<u8>> {
    let index = r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"@1@","size":7143,"platform":{"architecture":"arm","os":"linux","variant":"v7"},"annotations":{"org.opencontainers.image.ref.name":"latest","io.containerd.image.name":"docker.io/library/busybox:latest"}}]}"#;
    let nested = r#"{"manifests":[{"mediaType":"application/vnd.oci.image.index.v1+json","digest":"@3@"},{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"@1@","platform":{"architecture":"unknown","os":"unknown"}}]}"#;
    let manifest = r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"@2@","size":7023},"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":"@4@","size":32654}],"annotations":{"com.example.key1":"value1"}}"#;
    let configuration = r#"{"created":"2015-10-31T22:22:56.015925234Z","author":"A","architecture":"arm","os":"linux","variant":"v7","config":{"User":"alice","ExposedPorts":{"8080/tcp":{}},"Env":["PATH=/usr/bin","FOO=oci_is_a"],"Entrypoint":["/bin/my-app-binary"],"Cmd":["--foreground"],"Volumes":{"/var/job-result-data":{}},"WorkingDir":"/home/alice","Labels":{"a":"b"}},"rootfs":{"diff_ids":["@4@"],"type":"layers"},"history":[{"empty_layer":true}]}"#;
    let docker = r#"[{"Config":"%2%","RepoTags":["busybox:latest"],"Layers":["%4%","../../../etc/passwd"]}]"#;
    let join = |parts: &[&str]| parts.join("\x1e").into_bytes();
    vec![
        join(&[index, manifest, configuration, index, "layer"]),
        join(&[nested, manifest, configuration, index, "layer"]),
        join(&[docker, manifest, &configuration.replace("[\"@4@\"]", "[\"@4@\",\"@4@\"]"), index, "layer"]),
    ]
}

/// A layout with right digests; what is found in it must be names of its own.
pub fn image_layout(bytes: &[u8], _: &mut Memory) -> Result<(), String> {
    const MOST_PARTS: usize = 8;
    let mut parts: Vec<Vec<u8>> = bytes.split(|byte| *byte == PART).take(MOST_PARTS).map(<[u8]>::to_vec).collect();
    // From behind, for what stands before names what stands behind.
    let mut digests = vec![String::new(); parts.len()];
    for index in (0..parts.len()).rev() {
        let mut text = String::from_utf8_lossy(&parts[index]).into_owned();
        for (number, digest) in digests.iter().enumerate().filter(|(_, digest)| !digest.is_empty()) {
            text = text.replace(&format!("@{number}@"), digest);
            text = text.replace(&format!("%{number}%"), &digest.replace("sha256:", "blobs/sha256/"));
        }
        parts[index] = text.into_bytes();
        digests[index] = format!("sha256:{}", Sha256::digest(&parts[index]).iter().map(|byte| format!("{byte:02x}")).collect::<String>());
    }
    let mut names = vec![("index.json".to_string(), 0)];
    names.extend(digests.iter().enumerate().skip(1).map(|(index, digest)| (digest.replace("sha256:", "blobs/sha256/"), index)));
    if parts[0].first() == Some(&b'[') {
        names[0].0 = "manifest.json".into();
    }
    let mut offsets = Vec::new();
    let mut whole = Vec::new();
    for part in &parts {
        offsets.push((whole.len() as u64, part.len() as u64));
        whole.extend_from_slice(part);
    }
    let parts = names.into_iter().map(|(name, index)| (name, offsets[index])).collect();
    let store = Store::Archive { file: memory_file(&whole)?, path: PathBuf::from("image.tar"), parts };
    for wanted in [Wanted::default(), Wanted { tag: Some("latest"), platform: Some("linux/arm/v7") }] {
        let Ok(image) = layout::find(&store, &wanted) else { continue };
        let is_bad = |name: &str| name.starts_with('/') || name.split('/').any(|part| part == "..");
        if let Some(layer) = image.layers.iter().find(|layer| is_bad(&layer.name)) {
            return Err(format!("a layer leads out: {}", layer.name));
        }
    }
    Ok(())
}
