//! An image: from its index to one manifest, its configuration and its layers (image-spec; also what `docker save` writes).

use serde_json::Value;

use crate::archive::Store;
use crate::{Result, text};

/// What of an image is wanted, where it has several.
#[derive(Default)]
pub struct Wanted<'a> {
    pub tag: Option<&'a str>,
    /// `linux/arm/v7`.
    pub platform: Option<&'a str>,
}

pub struct Image {
    pub configuration: Value,
    pub layers: Vec<Layer>,
}

pub struct Layer {
    /// Its name in the store.
    pub name: String,
    /// Digest and size of it as it lies there, where the manifest says them.
    pub blob: Option<(String, u64)>,
    /// The digest of its uncompressed archive.
    pub diff_id: String,
}

const INDEX_TYPES: [&str; 2] = ["application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json"];
const MANIFEST_TYPES: [&str; 2] = ["application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json"];
const CONFIGURATION_TYPES: [&str; 2] = ["application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json"];
const LAYER_TYPES: [&str; 6] = [
    "application/vnd.oci.image.layer.v1.tar",
    "application/vnd.oci.image.layer.v1.tar+gzip",
    "application/vnd.oci.image.layer.v1.tar+zstd",
    "application/vnd.docker.image.rootfs.diff.tar",
    "application/vnd.docker.image.rootfs.diff.tar.gzip",
    "application/vnd.docker.image.rootfs.diff.tar.zstd",
];

const TAG: &str = "org.opencontainers.image.ref.name";
const FULL_NAME: &str = "io.containerd.image.name";

/// An index in an index in an index: no tool writes that.
const DEEPEST_INDEX: u32 = 3;

/// No image that was ever seen has more (docker stops at 127).
const MOST_LAYERS: usize = 1024;

pub fn find(store: &Store, wanted: &Wanted<'_>) -> Result<Image> {
    let image = if store.has("index.json") {
        let index = store.document("index.json", None)?;
        from_manifest(store, &choose(store, &index, wanted, 0)?)?
    } else if store.has("manifest.json") {
        from_docker(store, wanted)?
    } else {
        return Err("is no image: it has neither index.json (OCI layout) nor manifest.json (docker save)".into());
    };
    check_platform(&image.configuration, wanted)?;
    Ok(image)
}

/// The descriptor of the one manifest that is wanted.
fn choose(store: &Store, index: &Value, wanted: &Wanted<'_>, depth: u32) -> Result<Value> {
    if depth > DEEPEST_INDEX {
        return Err("its indexes lead to each other".into());
    }
    let all = index["manifests"].as_array().ok_or("its index has no list `manifests`")?;
    let names = |descriptor: &Value| [TAG, FULL_NAME].map(|key| descriptor["annotations"][key].as_str().unwrap_or_default().to_string());
    let fits = |descriptor: &&Value| {
        let is_tagged = depth > 0 || wanted.tag.is_none_or(|tag| names(descriptor).iter().any(|name| name == tag));
        let platform = platform(&descriptor["platform"]);
        // Attestations are listed as manifests for nothing.
        let is_for =
            platform.as_deref().is_none_or(|found| found != "unknown/unknown" && wanted.platform.is_none_or(|want| is_same(found, want)));
        is_tagged && is_for
    };
    let fitting: Vec<&Value> = all.iter().filter(fits).collect();
    let descriptor = match fitting[..] {
        [one] => one,
        [] => return Err(format!("has no image for {}; it has: {}", describe(wanted), list(all))),
        _ => return Err(format!("has several images: say which by --tag or --platform; it has: {}", list(all))),
    };
    match descriptor["mediaType"].as_str().unwrap_or(MANIFEST_TYPES[0]) {
        kind if INDEX_TYPES.contains(&kind) => {
            let (name, digest) = blob(descriptor)?;
            choose(store, &store.document(&name, Some(&digest))?, wanted, depth + 1)
        }
        kind if MANIFEST_TYPES.contains(&kind) => Ok(descriptor.clone()),
        kind => Err(format!("the media type {} of a manifest is not supported", text::shown(kind))),
    }
}

fn describe(wanted: &Wanted<'_>) -> String {
    format!("tag {}, platform {}", wanted.tag.unwrap_or("any"), wanted.platform.unwrap_or("any"))
}

fn list(descriptors: &[Value]) -> String {
    let one = |descriptor: &Value| {
        let name = descriptor["annotations"][TAG].as_str().unwrap_or("no tag");
        text::shown(format!("{name} ({})", platform(&descriptor["platform"]).unwrap_or_else(|| "no platform".into())))
    };
    descriptors.iter().take(20).map(one).collect::<Vec<_>>().join(", ")
}

/// `os/architecture[/variant]`.
fn platform(value: &Value) -> Option<String> {
    let word = |key: &str| value[key].as_str().filter(|word| !word.is_empty());
    let base = format!("{}/{}", word("os")?, word("architecture")?);
    Some(word("variant").map_or(base.clone(), |variant| format!("{base}/{variant}")))
}

/// A variant counts only where both say one.
fn is_same(found: &str, want: &str) -> bool {
    let (mut found, mut want) = (found.split('/'), want.split('/'));
    (0..3).all(|part| match (found.next(), want.next()) {
        (None, _) | (_, None) => part == 2,
        (one, other) => one == other,
    })
}

fn check_platform(configuration: &Value, wanted: &Wanted<'_>) -> Result<()> {
    let Some(found) = platform(configuration) else { return Ok(()) };
    if !found.starts_with("linux/") {
        return Err(format!("is an image for {}, not for Linux", text::shown(&found)));
    }
    match wanted.platform {
        Some(want) if !is_same(&found, want) => Err(format!("is an image for {}, not for {want}", text::shown(&found))),
        _ => Ok(()),
    }
}

/// Where a descriptor's blob lies, and its digest.
fn blob(descriptor: &Value) -> Result<(String, String)> {
    let digest = descriptor["digest"].as_str().ok_or("a descriptor has no digest")?;
    let hex = sha256(digest)?;
    Ok((format!("blobs/sha256/{hex}"), digest.to_string()))
}

/// The digits of a digest, which are then a safe name for a file.
fn sha256(digest: &str) -> Result<&str> {
    digest
        .strip_prefix("sha256:")
        .filter(|hex| hex.len() == 64 && hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')))
        .ok_or_else(|| format!("the digest {} is not supported: sha256 is, in lower case", text::shown(digest)))
}

fn from_manifest(store: &Store, descriptor: &Value) -> Result<Image> {
    let (name, digest) = blob(descriptor)?;
    let manifest = store.document(&name, Some(&digest))?;
    let config = &manifest["config"];
    let kind = config["mediaType"].as_str().unwrap_or_default();
    if !CONFIGURATION_TYPES.contains(&kind) {
        return Err(format!("the media type {} is no container image's configuration", text::shown(kind)));
    }
    let (name, digest) = blob(config)?;
    let configuration = store.document(&name, Some(&digest))?;
    let mut layers = Vec::new();
    for descriptor in manifest["layers"].as_array().ok_or("its manifest has no list `layers`")? {
        let kind = descriptor["mediaType"].as_str().unwrap_or_default();
        if !LAYER_TYPES.contains(&kind) {
            return Err(format!("the media type {} of a layer is not supported", text::shown(kind)));
        }
        let (name, digest) = blob(descriptor)?;
        let size = descriptor["size"].as_u64().ok_or("a layer's descriptor has no size")?;
        layers.push((name, Some((digest, size))));
    }
    with_diff_ids(configuration, layers)
}

/// `docker save` before it wrote OCI layouts: a list of images with the names of their parts.
fn from_docker(store: &Store, wanted: &Wanted<'_>) -> Result<Image> {
    let list = store.document("manifest.json", None)?;
    let all = list.as_array().ok_or("manifest.json is no list")?;
    let tags = |image: &Value| image["RepoTags"].as_array().cloned().unwrap_or_default();
    let fitting: Vec<&Value> = all.iter().filter(|image| wanted.tag.is_none_or(|tag| tags(image).iter().any(|name| name == tag))).collect();
    let image = match fitting[..] {
        [one] => one,
        [] => return Err(format!("has no image tagged {}", wanted.tag.unwrap_or("at all"))),
        _ => return Err("has several images: say which by --tag NAME:TAG".into()),
    };
    let name = inside(image["Config"].as_str().ok_or("manifest.json: no Config")?)?;
    let stem = name.rsplit('/').next().unwrap_or(name).trim_end_matches(".json");
    let digest = format!("sha256:{stem}");
    let configuration = store.document(name, sha256(&digest).is_ok().then_some(digest.as_str()))?;
    let layers = image["Layers"].as_array().ok_or("manifest.json: no Layers")?;
    let layers = layers.iter().map(|layer| Ok((inside(layer.as_str().ok_or("manifest.json: a layer without a name")?)?.to_string(), None)));
    with_diff_ids(configuration, layers.collect::<Result<_>>()?)
}

/// A name of a part that lies in the image's own folder, whoever wrote it.
fn inside(name: &str) -> Result<&str> {
    let leads_out = name.starts_with('/') || name.split('/').any(|part| part == "..");
    if leads_out { Err(format!("manifest.json: {} leads out of the image", text::shown(name))) } else { Ok(name) }
}

fn with_diff_ids(configuration: Value, layers: Vec<(String, Option<(String, u64)>)>) -> Result<Image> {
    let diff_ids = configuration["rootfs"]["diff_ids"].as_array().ok_or("its configuration has no rootfs.diff_ids")?.clone();
    if diff_ids.len() != layers.len() || layers.len() > MOST_LAYERS {
        return Err(format!("has {} layers and {} diff_ids; they must be as many, at most {MOST_LAYERS}", layers.len(), diff_ids.len()));
    }
    let mut image = Image { configuration, layers: Vec::new() };
    for ((name, blob), diff_id) in layers.into_iter().zip(diff_ids) {
        let diff_id = diff_id.as_str().unwrap_or_default().to_string();
        sha256(&diff_id)?;
        image.layers.push(Layer { name, blob, diff_id });
    }
    Ok(image)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn platforms_with_and_without_a_variant() {
        assert!(is_same("linux/arm/v7", "linux/arm"));
        assert!(is_same("linux/arm64", "linux/arm64/v8"));
        assert!(!is_same("linux/arm/v6", "linux/arm/v7"));
        assert!(!is_same("linux/amd64", "linux/arm64"));
    }

    #[test]
    fn a_part_lies_in_the_image() {
        for name in ["/etc/passwd", "../x", "a/../../x", ".."] {
            assert!(inside(name).is_err(), "{name}");
        }
        assert_eq!(inside("a..b/layer.tar"), Ok("a..b/layer.tar"));
    }

    #[test]
    fn a_digest_is_no_path() {
        assert!(sha256("sha256:../../../../etc/passwd").is_err());
        assert!(sha256(&format!("sha256:{}", "a".repeat(64))).is_ok());
        assert!(sha256(&format!("sha512:{}", "a".repeat(64))).is_err());
    }
}
