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

/// The annotation that names images, the topmost first, separated by spaces.
pub const IMAGE: &str = "org.ocinit.image";

/// The annotation that says where what is written goes: `tmpfs`, `tmpfs:SIZE`, or a directory. Without it nothing can be written.
pub const UPPER: &str = "org.ocinit.image.upper";

/// More are refused: each has its place in fixed memory.
pub const MOST_LAYERS: usize = 16;

/// A root file system in images.
#[derive(Clone, Copy, Debug)]
pub struct Image<'a> {
    /// At least one; the topmost first.
    pub layers: List<'a, &'a CStr>,
    /// What is laid over them.
    pub upper: Upper<'a>,
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

pub(super) fn build<'a>(
    config: &Config<'a>,
    facts: &Facts<'a>,
    namespaces: &Namespaces<'_>,
    arena: &Arena<'a>,
) -> Result<'a, Option<Image<'a>>> {
    let said = |key| config.annotations.iter().find(|entry| entry.key == key).map(|entry| entry.value);
    let written = match (said(IMAGE), config.root) {
        (Some(written), _) => written.split_ascii_whitespace(),
        (None, Some(root)) if facts.root_is_file => {
            return finish(one(absolute(facts.bundle, root.path, arena)?, arena)?, said(UPPER), facts, namespaces, arena).map(Some);
        }
        _ if said(UPPER).is_some() => return Err(Error::text(UPPER, "", "there is no image to lay it over")),
        _ => return Ok(None),
    };
    let mut layers = List::default();
    for path in written {
        layers.push(arena, absolute(facts.bundle, path, arena)?)?;
    }
    finish(layers, said(UPPER), facts, namespaces, arena).map(Some)
}

fn one<'a>(path: &'a CStr, arena: &Arena<'a>) -> Result<'a, List<'a, &'a CStr>> {
    let mut layers = List::default();
    layers.push(arena, path)?;
    Ok(layers)
}

fn finish<'a>(
    layers: List<'a, &'a CStr>,
    upper: Option<&'a str>,
    facts: &Facts<'a>,
    namespaces: &Namespaces<'_>,
    arena: &Arena<'a>,
) -> Result<'a, Image<'a>> {
    let wrong = |why| Err(Error::text(IMAGE, "", why));
    if !namespaces.makes(CLONE_NEWNS) {
        return wrong("an image needs a mount namespace of the container's own");
    }
    match layers.len() {
        0 => return wrong("it names none"),
        1..=MOST_LAYERS => {}
        _ => return wrong("more than 16 images"),
    }
    let upper = match upper {
        None => Upper::None,
        Some("tmpfs") => Upper::Memory(c""),
        Some(upper) => match upper.strip_prefix("tmpfs:") {
            Some(size) => Upper::Memory(c_str(size, arena)?),
            None if upper.is_empty() => return Err(Error::text(UPPER, "", "wants tmpfs, tmpfs:SIZE or a directory")),
            None => Upper::Directory(absolute(facts.bundle, upper, arena)?),
        },
    };
    Ok(Image { layers, upper })
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
            Ok(Some(image)) => format!("{:?} {:?}", image.layers.iter().collect::<Vec<_>>(), image.upper),
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
}
