//! Hostile and ordinary archives, laid over a real folder; what they must not reach is a file beside it.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::PathBuf;

use tar::{Builder, EntryType, Header};

use super::*;

/// A root file system with a canary beside it; both go when it is dropped.
struct Scene {
    folder: PathBuf,
}

impl Scene {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("ocinit-host-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(folder.join("rootfs")).unwrap();
        fs::write(folder.join("canary"), "untouched").unwrap();
        Scene { folder }
    }

    fn inside(&self, path: &str) -> PathBuf {
        self.folder.join("rootfs").join(path)
    }

    fn lay_within(&self, room: u64, layers: Vec<Vec<u8>>) -> Result<()> {
        let tree = Tree::open(&self.inside(""))?;
        let mut unpacker = Unpacker::new(&tree, room, &Progress::new(true));
        let answer = layers.iter().try_for_each(|layer| unpacker.lay(&layer[..], true));
        assert_eq!(fs::read_to_string(self.folder.join("canary")).unwrap(), "untouched");
        let mut beside: Vec<_> = fs::read_dir(&self.folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        beside.sort();
        assert_eq!(beside, ["canary", "rootfs"], "something was written outside");
        answer?;
        unpacker.finish()
    }

    fn lay(&self, layers: Vec<Vec<u8>>) -> Result<()> {
        self.lay_within(1 << 20, layers)
    }

    fn text(&self, path: &str) -> String {
        fs::read_to_string(self.inside(path)).unwrap()
    }

    fn has(&self, path: &str) -> bool {
        fs::symlink_metadata(self.inside(path)).is_ok()
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// A header of a regular file that is all right.
fn header_of(name: &str, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_path(name).unwrap();
    header.set_mode(0o644);
    header.set_mtime(1_000_000_000);
    header.set_uid(u64::from(rustix::process::geteuid().as_raw()));
    header.set_gid(u64::from(rustix::process::getegid().as_raw()));
    header.set_size(size);
    header.set_cksum();
    header
}

/// One entry: its kind, its name as it is, what it links to or holds.
fn put(archive: &mut Builder<Vec<u8>>, kind: EntryType, name: &str, content: &str) {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(if kind.is_dir() { 0o755 } else { 0o644 });
    header.set_mtime(1_000_000_000);
    header.set_uid(u64::from(rustix::process::geteuid().as_raw()));
    header.set_gid(u64::from(rustix::process::getegid().as_raw()));
    // The crate's own setters refuse what an attacker writes.
    header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
    let data = if matches!(kind, EntryType::Symlink | EntryType::Link) {
        header.as_old_mut().linkname[..content.len()].copy_from_slice(content.as_bytes());
        ""
    } else {
        content
    };
    header.set_size(data.len() as u64);
    header.set_cksum();
    archive.append(&header, data.as_bytes()).unwrap();
}

/// A layer out of (kind, name, content or target): `f`ile, `d`irectory, `l`ink, `h`ard link, `c`haracter device, `p`ipe.
fn layer(entries: &[(char, &str, &str)]) -> Vec<u8> {
    let mut archive = Builder::new(Vec::new());
    for (kind, name, content) in entries {
        let kind = match kind {
            'f' => EntryType::Regular,
            'd' => EntryType::Directory,
            'l' => EntryType::Symlink,
            'h' => EntryType::Link,
            'c' => EntryType::Char,
            _ => EntryType::Fifo,
        };
        put(&mut archive, kind, name, content);
    }
    archive.into_inner().unwrap()
}

#[test]
fn a_path_that_climbs_is_refused() {
    let scene = Scene::new("climbs");
    for name in ["../canary", "a/../../canary", "/../canary", "a/.."] {
        let why = scene.lay(vec![layer(&[('f', name, "hit")])]).unwrap_err();
        assert!(why.contains("`..`"), "{name}: {why}");
    }
}

#[test]
fn an_absolute_path_is_one_inside() {
    let scene = Scene::new("absolute");
    let outside = scene.folder.join("canary");
    let name = outside.to_str().unwrap();
    if name.len() < 100 {
        scene.lay(vec![layer(&[('f', name, "hit")])]).unwrap();
        assert_eq!(scene.text(name.trim_start_matches('/')), "hit");
    }
    scene.lay(vec![layer(&[('f', "/etc/shadow", "mine")])]).unwrap();
    assert_eq!(scene.text("etc/shadow"), "mine");
}

#[test]
fn links_out_are_followed_inside_only() {
    let scene = Scene::new("links");
    let folder = scene.folder.to_str().unwrap().to_string();
    // Absolute, relative, and by a link to a link.
    let entries = [('l', "up", "../.."), ('l', "out", folder.as_str()), ('l', "again", "out"), ('f', "up/canary", "a"), ('d', "tmp", "")];
    scene.lay(vec![layer(&entries)]).unwrap();
    assert_eq!(scene.text("canary"), "a", "`..` at the root is the root");
    // The absolute link's target does not exist inside: no folder is made through it.
    for name in ["out/canary", "again/canary"] {
        assert!(scene.lay(vec![layer(&[('f', name, "hit")])]).is_err(), "{name}");
    }
}

#[test]
fn a_file_does_not_write_through_a_link_of_its_name() {
    let scene = Scene::new("through");
    let canary = scene.folder.join("canary");
    scene.lay(vec![layer(&[('l', "x", canary.to_str().unwrap()), ('f', "x", "hit")])]).unwrap();
    assert_eq!(scene.text("x"), "hit");
    // A folder of that name replaces the link too, and does not lead anywhere.
    scene.lay(vec![layer(&[('l', "y", ".."), ('d', "y", ""), ('f', "y/canary", "hit")])]).unwrap();
    assert_eq!(scene.text("y/canary"), "hit");
}

#[test]
fn a_link_that_lies_there_already_does_not_lead_out() {
    let scene = Scene::new("already");
    symlink(&scene.folder, scene.inside("trap")).unwrap();
    assert!(scene.lay(vec![layer(&[('f', "trap/canary", "hit")])]).is_err());
    assert!(scene.lay(vec![layer(&[('h', "got", "trap/canary")])]).is_err());
    scene.lay(vec![layer(&[('f', "trap/.wh.canary", "")])]).unwrap();
}

#[test]
fn a_hard_link_reaches_nothing_outside_and_follows_no_link() {
    let scene = Scene::new("hard");
    for target in ["../canary", "/etc/passwd", "absent"] {
        assert!(scene.lay(vec![layer(&[('h', "x", target)])]).is_err(), "{target}");
    }
    let canary = scene.folder.join("canary");
    scene.lay(vec![layer(&[('l', "link", canary.to_str().unwrap()), ('h', "x", "link")])]).unwrap();
    assert!(fs::symlink_metadata(scene.inside("x")).unwrap().is_symlink(), "the link itself got a second name");
    // Writing the second name anew leaves the first alone.
    scene.lay(vec![layer(&[('f', "one", "1"), ('h', "two", "one"), ('h', "two", "one"), ('f', "two", "2")])]).unwrap();
    assert_eq!((scene.text("one"), scene.text("two")), ("1".into(), "2".into()));
}

#[test]
fn device_nodes_are_left_out() {
    let scene = Scene::new("devices");
    scene.lay(vec![layer(&[('c', "dev/sda", ""), ('p', "pipe", "")])]).unwrap();
    assert!(!scene.has("dev/sda"));
    assert!(scene.has("pipe"));
}

#[test]
fn an_entry_that_comes_twice_replaces() {
    let scene = Scene::new("twice");
    let entries = [('f', "a", "1"), ('f', "a", "2"), ('d', "b", ""), ('f', "b/c", "3"), ('f', "b", "4"), ('f', "e", ""), ('d', "e", "")];
    scene.lay(vec![layer(&entries)]).unwrap();
    assert_eq!((scene.text("a"), scene.text("b")), ("2".into(), "4".into()));
    assert!(scene.inside("e").is_dir());
}

#[test]
fn more_than_was_agreed_is_refused_before_it_is_written() {
    let scene = Scene::new("large");
    let header = header_of("bomb", 1 << 40);
    let why = scene.lay(vec![header.as_bytes().to_vec()]).unwrap_err();
    assert!(why.contains("--max-size"), "{why}");
    assert!(!scene.has("bomb"));
    let why = scene.lay_within(5, vec![layer(&[('f', "a", "123"), ('f', "b", "456")])]).unwrap_err();
    assert!(why.contains("b: its 3 B are more than what is left of --max-size (2 B)"), "{why}");
}

#[test]
fn a_header_that_brings_megabytes_is_refused() {
    let scene = Scene::new("header");
    let mut archive = Builder::new(Vec::new());
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::GNULongName);
    header.set_path("././@LongLink").unwrap();
    header.set_size(64 << 20);
    header.set_cksum();
    archive.append(&header, std::io::repeat(b'a').take(64 << 20)).unwrap();
    put(&mut archive, EntryType::Regular, "x", "");
    let why = scene.lay(vec![archive.into_inner().unwrap()]).unwrap_err();
    assert!(why.contains("longer than 1 MiB"), "{why}");
}

#[test]
fn an_archive_that_is_cut_off_is_refused() {
    let scene = Scene::new("cut");
    let whole = layer(&[('f', "a", &"x".repeat(1000))]);
    for length in [300, 512, 900] {
        assert!(scene.lay(vec![whole[..length].to_vec()]).is_err(), "{length}");
    }
}

#[test]
fn whiteouts_hide_what_is_below() {
    let scene = Scene::new("whiteouts");
    let below = layer(&[('f', "etc/a", "1"), ('f', "etc/b", "1"), ('f', "var/x/deep", "1"), ('f', "var/y", "1"), ('f', "keep", "1")]);
    let above = layer(&[
        ('f', "etc/.wh.a", ""),
        ('f', "var/new", "2"),
        ('f', "var/.wh..wh..opq", ""),
        ('f', "var/x/new", "2"),
        ('f', ".wh.absent", ""),
    ]);
    scene.lay(vec![below, above]).unwrap();
    assert!(!scene.has("etc/a") && scene.has("etc/b") && scene.has("keep"));
    assert!(!scene.has("var/y") && !scene.has("var/x/deep"), "opaque hides all of the layers below");
    assert!(scene.has("var/new") && scene.has("var/x/new"), "and nothing of its own layer, before it or after it");
    assert!(!scene.has("var/.wh..wh..opq") && !scene.has(".wh.absent"));
}

#[test]
fn a_whiteout_does_not_hide_what_its_own_layer_brings() {
    let scene = Scene::new("own");
    let below = layer(&[('f', "d/old", "1"), ('f', "f", "1")]);
    let above = layer(&[('f', "d/new", "2"), ('f', ".wh.d", ""), ('f', "f", "2"), ('f', ".wh.f", "")]);
    scene.lay(vec![below, above]).unwrap();
    assert!(scene.has("d/new") && !scene.has("d/old"));
    assert_eq!(scene.text("f"), "2");
}

#[test]
fn a_whiteout_cannot_climb() {
    let scene = Scene::new("whiteout-climbs");
    for name in [".wh...", ".wh..", "a/.wh...", "../.wh.canary", ".wh."] {
        assert!(scene.lay(vec![layer(&[('d', "a", ""), ('f', name, "")])]).is_err(), "{name}");
    }
}

#[test]
fn attributes_come_out_as_they_are_in_the_archive() {
    let scene = Scene::new("attributes");
    let mut archive = Builder::new(Vec::new());
    let mut header = header_of("bin/su", 0);
    header.set_mode(0o4755);
    header.set_mtime(1_234_567_890);
    header.set_cksum();
    archive.append(&header, &[][..]).unwrap();
    scene.lay(vec![archive.into_inner().unwrap()]).unwrap();
    let status = fs::metadata(scene.inside("bin/su")).unwrap();
    assert_eq!((status.mode() & 0o7777, status.mtime()), (0o4755, 1_234_567_890));
    assert_eq!(fs::metadata(scene.inside("bin")).unwrap().mtime(), 0, "a folder that no entry names is the same every time");
}

#[test]
fn ids_that_chown_would_ignore_are_refused() {
    let scene = Scene::new("ids");
    let mut header = header_of("x", 0);
    header.set_uid(u64::from(u32::MAX));
    header.set_cksum();
    let why = scene.lay(vec![header.as_bytes().to_vec()]).unwrap_err();
    assert!(why.contains("owner 4294967295"), "{why}");
}
