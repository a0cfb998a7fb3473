//! A root file system that lies in images: which, on top of each other how, and where what is written goes.
//!
//! The annotations leave the config valid for other runtimes, which take the directory `root.path`.

use core::ffi::CStr;

use linux_raw_sys::general::CLONE_NEWNS;

use super::mounts::absolute;
use super::namespaces::Namespaces;
use super::{Facts, c_str};
use crate::error::{Error, Result};
use crate::mem::{Arena, List};
use crate::spec::Config;

/// The annotation that names images, the topmost first, separated by spaces. `@sha256:`, `@fsverity:` or `@verity:` and 64 hexadecimal
/// digits after a name pin what is in it.
pub const IMAGE: &str = "org.ocinit.image";

/// The annotation that says where what is written goes: `tmpfs`, `tmpfs:SIZE`, or a directory. Without it nothing can be written.
pub const UPPER: &str = "org.ocinit.image.upper";

/// More are refused: each has its place in fixed memory.
pub const MOST_LAYERS: usize = 16;

/// A root file system in images.
#[derive(Clone, Copy, Debug)]
pub struct Image<'a> {
    /// At least one; the topmost first.
    pub layers: List<'a, Layer<'a>>,
    /// What is laid over them.
    pub upper: Upper<'a>,
}

/// One image.
#[derive(Clone, Copy, Debug)]
pub struct Layer<'a> {
    /// The file or block device.
    pub path: &'a CStr,
    /// What it must be.
    pub pin: Pin,
}

/// What an image must be, or it is not mounted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pin {
    /// Anything.
    None,
    /// A file with this SHA-256; all of it is read for that.
    Sha256([u8; 32]),
    /// A file for which the kernel guarantees this digest (fs-verity).
    FsVerity([u8; 32]),
    /// What a hash tree with this root says, block for block (dm-verity); the tree is its tail, or in a file of its name with `.verity`.
    Verity([u8; 32]),
}

/// A word of [`IMAGE`]: the path, and the pin. `None` for a pin that is none.
fn pinned(word: &str) -> Option<(&str, Pin)> {
    let Some((path, pin)) = word.rsplit_once('@').filter(|(_, pin)| pin.contains(':')) else { return Some((word, Pin::None)) };
    let (kind, digits) = pin.split_once(':')?;
    let digest = super::digest(digits)?;
    Some((
        path,
        match kind {
            "sha256" => Pin::Sha256(digest),
            "fsverity" => Pin::FsVerity(digest),
            "verity" => Pin::Verity(digest),
            _ => return None,
        },
    ))
}

/// Where what is written goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Upper<'a> {
    /// Nowhere.
    None,
    /// Into memory, and at most so much of it; empty for the kernel's own limit.
    Memory(&'a CStr),
    /// Into this directory of the host, where it stays.
    Directory(&'a CStr),
}

/// Whether a `root.path` may name an image: then it is worth a look at the host.
pub fn may_be_image(path: &str) -> bool {
    [".squashfs", ".erofs", ".img"].iter().any(|ending| path.ends_with(ending))
}

/// The images of a bundle by themselves, for who wants to look at them and not to run it.
pub fn of_bundle<'a>(config: &Config<'a>, bundle: &'a str, root_is_file: bool, arena: &Arena<'a>) -> Result<'a, Option<Image<'a>>> {
    let facts = Facts { bundle, root_is_file, ..Facts::default() };
    let namespaces = super::namespaces::build(config.linux.as_ref(), &facts, arena)?;
    build(config, &facts, &namespaces, arena)
}

pub(super) fn build<'a>(
    config: &Config<'a>,
    facts: &Facts<'a>,
    namespaces: &Namespaces<'_>,
    arena: &Arena<'a>,
) -> Result<'a, Option<Image<'a>>> {
    let mut layers = List::default();
    match config.annotation(IMAGE) {
        Some(written) => {
            for word in written.split_ascii_whitespace() {
                let (path, pin) =
                    pinned(word).ok_or(Error::text(IMAGE, word, "wants PATH@sha256:, @fsverity: or @verity:, and 64 digits"))?;
                layers.push(arena, Layer { path: absolute(facts.bundle, path, arena)?, pin })?;
            }
        }
        None if facts.root_is_file => {
            let root = config.root.map_or("", |root| root.path);
            layers.push(arena, Layer { path: absolute(facts.bundle, root, arena)?, pin: Pin::None })?;
        }
        None if config.annotation(UPPER).is_some() => return Err(Error::text(UPPER, "", "there is no image to lay it over")),
        None => return Ok(None),
    }
    let wrong = |why| Err(Error::text(IMAGE, "", why));
    if !namespaces.makes(CLONE_NEWNS) {
        return wrong("an image needs a mount namespace of the container's own");
    }
    match layers.len() {
        0 => return wrong("it names none"),
        1..=MOST_LAYERS => {}
        _ => return wrong("more than 16 images"),
    }
    let upper = match config.annotation(UPPER) {
        None => Upper::None,
        Some("tmpfs") => Upper::Memory(c""),
        Some(upper) => match upper.strip_prefix("tmpfs:") {
            Some(size) => Upper::Memory(c_str(size, arena)?),
            None if upper.is_empty() => return Err(Error::text(UPPER, "", "wants tmpfs, tmpfs:SIZE or a directory")),
            None => Upper::Directory(absolute(facts.bundle, upper, arena)?),
        },
    };
    Ok(Some(Image { layers, upper }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::mem::MaybeUninit;

    fn planned(root: &str, annotations: &str, root_is_file: bool, namespaces: &str) -> String {
        let text = format!(r#"{{"root":{{"path":"{root}"}},"annotations":{{{annotations}}},"linux":{{"namespaces":[{namespaces}]}}}}"#);
        let mut room = vec![MaybeUninit::uninit(); 1 << 16];
        let arena = Arena::new(&mut room);
        let (config, _) = crate::json::read::<Config<'_>>(text.as_bytes(), &arena).unwrap();
        let facts = Facts { bundle: "/bundle", root_is_file, ..Facts::default() };
        let namespaces = super::super::namespaces::build(config.linux.as_ref(), &facts, &arena).unwrap();
        match build(config, &facts, &namespaces, &arena) {
            Ok(None) => "none".to_string(),
            Ok(Some(image)) => {
                let layers = image.layers.iter().map(|layer| match layer.pin {
                    Pin::None => format!("{:?}", layer.path),
                    pin => format!("{:?} {}", layer.path, format!("{pin:?}").split(',').next().unwrap()),
                });
                format!("[{}] {:?}", layers.collect::<Vec<_>>().join(", "), image.upper)
            }
            Err(error) => error.to_string(),
        }
    }

    const MOUNTS: &str = r#"{"type":"mount"}"#;

    #[test]
    fn images_are_named_by_the_root_or_by_an_annotation_which_wins() {
        assert_eq!(planned("rootfs", "", false, MOUNTS), "none");
        assert_eq!(planned("a.squashfs", "", true, MOUNTS), r#"["/bundle/a.squashfs"] None"#);
        let two = r#""org.ocinit.image":"top.erofs  /base.squashfs""#;
        assert_eq!(planned("a.squashfs", two, true, MOUNTS), r#"["/bundle/top.erofs", "/base.squashfs"] None"#);
    }

    #[test]
    fn what_is_written_goes_to_memory_or_a_directory() {
        let with = |upper: &str| planned("rootfs", &format!(r#""org.ocinit.image":"a","org.ocinit.image.upper":"{upper}""#), false, MOUNTS);
        assert_eq!(with("tmpfs"), r#"["/bundle/a"] Memory("")"#);
        assert_eq!(with("tmpfs:16m"), r#"["/bundle/a"] Memory("16m")"#);
        assert_eq!(with("/data/a"), r#"["/bundle/a"] Directory("/data/a")"#);
        assert_eq!(with(""), "org.ocinit.image.upper: wants tmpfs, tmpfs:SIZE or a directory");
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let refused = |image: &str, namespaces| planned("rootfs", &format!(r#""org.ocinit.image":"{image}""#), false, namespaces);
        assert_eq!(refused(" ", MOUNTS), "org.ocinit.image: it names none");
        assert_eq!(refused(&"a ".repeat(17), MOUNTS), "org.ocinit.image: more than 16 images");
        assert_eq!(refused("a", ""), "org.ocinit.image: an image needs a mount namespace of the container's own");
        let upper = r#""org.ocinit.image.upper":"tmpfs""#;
        assert_eq!(planned("rootfs", upper, false, MOUNTS), "org.ocinit.image.upper: there is no image to lay it over");
    }

    #[test]
    fn only_what_looks_like_an_image_is_looked_at() {
        assert_eq!(["rootfs", "a.img", "b.squashfs", "c.erofs", "img"].map(may_be_image), [false, true, true, true, false]);
    }

    #[test]
    fn a_pin_follows_the_name_and_an_unknown_one_is_refused() {
        let with = |image: &str| planned("rootfs", &format!(r#""org.ocinit.image":"{image}""#), false, MOUNTS);
        let digits = "0aF".repeat(21) + "0";
        assert_eq!(with(&format!("a@sha256:{digits} b@verity:{digits}")), r#"["/bundle/a" Sha256([10, "/bundle/b" Verity([10] None"#);
        assert_eq!(with(&format!("x@y@fsverity:{digits}")), r#"["/bundle/x@y" FsVerity([10] None"#);
        assert_eq!(with("x@y"), r#"["/bundle/x@y"] None"#);
        for wrong in
            [format!("a@sha512:{digits}"), format!("a@sha256:{}", &digits[1..]), "a@sha256:".into(), format!("a@verity:{}g", &digits[1..])]
        {
            assert_eq!(with(&wrong), format!("org.ocinit.image: {wrong}: wants PATH@sha256:, @fsverity: or @verity:, and 64 digits"));
        }
    }
}
