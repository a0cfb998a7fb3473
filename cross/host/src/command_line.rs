//! The command line: a table of options from which the help is printed.

use std::path::PathBuf;

use crate::bundle::{self, Request};
use crate::config::Choices;
use crate::image::Kind;
use crate::initramfs;
use crate::{Result, signature, text};

/// A small root file system has megabytes; what needs more is told so.
const MOST_BYTES: u64 = 8 << 30;

const HELP: &str = "\
ocinit-host: what is done for a device on the build host

    ocinit-host bundle [OPTIONS] SOURCE FOLDER [-- PROGRAM ARGUMENT...]

makes the OCI bundle FOLDER of SOURCE, which is
    ROOTFS.tar[.gz|.zst]   a root file system (- is the standard input)
    oci:LAYOUT             an OCI image layout (skopeo copy ... oci:LAYOUT)
    IMAGE.tar[.gz|.zst]    an image as docker save or skopeo copy ... oci-archive: write it

    --tag NAME             which image, where there are several
    --platform OS/ARCH     which platform, such as linux/arm/v7; an image for another is refused
    --squashfs, --erofs    the root file system as one read-only image (mksquashfs, mkfs.erofs)
    --read-only            a root that cannot be written, with /run and /tmp in memory
    --host-network         the host's network instead of an empty one
    --cap NAME             one more capability (may be repeated)
    --seccomp FILE         a profile in config.json's own form
    --hostname NAME        instead of FOLDER's name
    --max-size SIZE        the most that all files together may have (8G)
    -q, --quiet            no progress

The config.json that it writes takes away: no new privileges, few capabilities, masked paths, no devices but the default ones.

    ocinit-host initramfs --init OCINIT [--files FOLDER] TARGET [BUNDLE...]

makes the root file system TARGET (cpio, gzip) that the kernel unpacks into memory: OCINIT as /init, the files of FOLDER,
and the bundles below /etc/ocinit/bundles. The same files give the same bytes; SOURCE_DATE_EPOCH is the time of all.

    ocinit-host keygen NAME                     makes NAME.pem, which signs, and NAME.pub, for the device's /etc/ocinit/keys
    ocinit-host sign --key NAME.pem FILE...     writes FILE.sig for each config.json or boot.json
    ocinit-host verify --key NAME.pub FILE...   says whether they are that key's
";

pub fn run(words: &[String]) -> Result<()> {
    match words.first().map(String::as_str) {
        Some("bundle") => bundle::make(&bundle_request(&words[1..])?),
        Some("initramfs") => initramfs::make(&initramfs_request(&words[1..])?),
        Some("keygen") => match &words[1..] {
            [name] if !name.starts_with('-') => signature::keygen(name),
            _ => Err("keygen wants one name".into()),
        },
        Some(word @ ("sign" | "verify")) => match &words[1..] {
            [option, key, files @ ..] if option == "--key" && !files.is_empty() => {
                let files: Vec<PathBuf> = files.iter().map(PathBuf::from).collect();
                if word == "sign" { signature::sign(key.as_ref(), &files) } else { signature::verify(key.as_ref(), &files) }
            }
            _ => Err(format!("{word} wants --key KEY and one or more files")),
        },
        Some("help" | "--help" | "-h") => {
            print!("{HELP}");
            Ok(())
        }
        Some("version" | "--version" | "-V") => {
            println!("ocinit-host version {}", env!("CARGO_PKG_VERSION"));
            Ok(())
        }
        Some(word) => Err(format!(
            "no such command: {} (there are: bundle, initramfs, keygen, sign, verify; `ocinit-host help` says more)",
            text::shown(word)
        )),
        None => Err("says nothing of what to do: `ocinit-host help` lists it".into()),
    }
}

fn bundle_request(words: &[String]) -> Result<Request> {
    let mut words = words.iter();
    let mut named = Vec::new();
    let mut request = Request {
        source: String::new(),
        target: PathBuf::new(),
        tag: None,
        platform: None,
        image: None,
        most_bytes: MOST_BYTES,
        is_quiet: false,
        choices: Choices {
            name: String::new(),
            capabilities: Vec::new(),
            is_read_only: false,
            has_host_network: false,
            seccomp: None,
            arguments: Vec::new(),
        },
    };
    while let Some(word) = words.next() {
        let (option, attached) = match word.split_once('=') {
            Some((option, value)) if option.starts_with("--") => (option, Some(value.to_string())),
            _ => (word.as_str(), None),
        };
        let is_flag = attached.is_none();
        let mut value = || attached.clone().or_else(|| words.next().cloned()).ok_or_else(|| format!("{option}: wants a value"));
        match option {
            "--tag" => request.tag = Some(value()?),
            "--platform" => request.platform = Some(value()?),
            "--cap" => request.choices.capabilities.push(value()?),
            "--hostname" => request.choices.name = value()?,
            "--seccomp" => request.choices.seccomp = Some(profile(&value()?)?),
            "--max-size" => {
                let word = value()?;
                request.most_bytes = text::parse_size(&word).ok_or_else(|| format!("--max-size {}: is no size", text::shown(&word)))?;
            }
            "--squashfs" if is_flag => request.image = Some(Kind::Squashfs),
            "--erofs" if is_flag => request.image = Some(Kind::Erofs),
            "--read-only" if is_flag => request.choices.is_read_only = true,
            "--host-network" if is_flag => request.choices.has_host_network = true,
            "-q" | "--quiet" if is_flag => request.is_quiet = true,
            "--" => request.choices.arguments = words.by_ref().cloned().collect(),
            option if option.starts_with('-') && option != "-" => {
                return Err(format!("bundle has no option {}: `ocinit-host help` lists them", text::shown(option)));
            }
            _ => named.push(word.clone()),
        }
    }
    let [source, target] = &named[..] else { return Err("bundle wants two names: SOURCE and FOLDER".into()) };
    (request.source, request.target) = (source.clone(), PathBuf::from(target));
    request.choices.is_read_only |= request.image.is_some();
    if request.choices.name.is_empty() {
        request.choices.name = bundle::name_of(&request.target);
    }
    Ok(request)
}

fn initramfs_request(words: &[String]) -> Result<initramfs::Request> {
    let mut words = words.iter();
    let (mut init, mut files, mut named) = (None, None, Vec::new());
    while let Some(word) = words.next() {
        let mut value = || words.next().map(PathBuf::from).ok_or_else(|| format!("{word}: wants a value"));
        match word.as_str() {
            "--init" => init = Some(value()?),
            "--files" => files = Some(value()?),
            option if option.starts_with('-') => return Err(format!("initramfs has no option {}", text::shown(option))),
            _ => named.push(PathBuf::from(word)),
        }
    }
    let init = init.ok_or("initramfs wants --init OCINIT")?;
    if named.is_empty() {
        return Err("initramfs wants a name: TARGET".into());
    }
    Ok(initramfs::Request { target: named.remove(0), init, bundles: named, files })
}

/// A profile, which must have at least what the specification demands.
fn profile(path: &str) -> Result<serde_json::Value> {
    let named = |why: String| format!("--seccomp {}: {why}", text::shown(path));
    let bytes = std::fs::read(path).map_err(|why| named(why.to_string()))?;
    let profile: serde_json::Value = serde_json::from_slice(&bytes).map_err(|why| named(why.to_string()))?;
    if !profile["defaultAction"].is_string() {
        return Err(named("has no defaultAction (docker's form, with archMap, is not config.json's)".into()));
    }
    Ok(profile)
}
