//! Whose word counts: signatures over config.json and boot.json where they are required, and which of their releases are too old.
//!
//! Must: fail closed. What cannot be looked at counts as a demand, and what cannot be read or written down as a refusal.

use core::ffi::CStr;
use core::fmt::Write;

use super::bundle::{self, Bundle};
use super::{durable, facts};
use crate::error::{Doing, Error, Result};
use crate::mem::Arena;
use crate::plan::image::{Image, Pin, Upper};
use crate::sys::{self, AsFd, Errno, fs};

/// Where the public keys lie: files `NAME.pub` of 32 bytes. A file `required` beside them demands signatures, and `revoked` holds keys that do not
/// count any more, each as 64 hexadecimal digits.
const KEYS: &CStr = c"/etc/ocinit/keys";

/// A file with the number of the highest release for each name that was ever accepted.
const RELEASES: &str = "/var/lib/ocinit/releases";

/// The annotation of a signed config.json, and the key of a signed boot.json: `NAME:NUMBER`.
pub const RELEASE: &str = "org.ocinit.release";

/// A public key in 64 hexadecimal digits that a build may have: then signatures are required wherever it runs.
const BUILT_IN: Option<&str> = option_env!("OCINIT_KEY");

/// Whether nothing may be run that is not signed.
pub fn is_demanded() -> bool {
    let there = fs::statat(fs::CWD, c"/etc/ocinit/keys/required", fs::AtFlags::empty());
    BUILT_IN.is_some() || !matches!(there, Err(Errno::NOENT))
}

/// Whether `text`, which was read from `path`, is signed by a key that counts, in a file of that name with `.sig`.
pub fn check<'a>(text: &[u8], path: &str, arena: &Arena<'a>) -> Result<'a, ()> {
    let shown = arena.format(format_args!("{path}"))?;
    let wrong = |why| Err(Error::text("signature", shown, why));
    let mut signature = [0; 65];
    let file = fs::open(arena.format_c(format_args!("{path}.sig"))?, READ, fs::Mode::empty());
    match file.and_then(|file| fs::read(&file, &mut signature)) {
        Ok(64) => {}
        Ok(_) => return wrong("its signature has not 64 bytes"),
        Err(Errno::NOENT) => return wrong("it is not signed, and signatures are required"),
        Err(errno) => return Err(Error::errno("signature", shown, errno)),
    }
    let mut answer = "no key in /etc/ocinit/keys has signed it";
    each_key(&mut |key| {
        if answer.is_empty() || !has_signed(key, text, &signature[..64]) {
            return;
        }
        answer = if is_revoked(key) { "the key that has signed it is revoked" } else { "" };
    });
    if answer.is_empty() { Ok(()) } else { wrong(answer) }
}

const READ: fs::OFlags = fs::OFlags::RDONLY.union(fs::OFlags::CLOEXEC).union(fs::OFlags::NONBLOCK).union(fs::OFlags::NOCTTY);

#[cfg(feature = "signatures")]
fn has_signed(key: [u8; 32], text: &[u8], signature: &[u8]) -> bool {
    let signature = ed25519_compact::Signature::from_slice(signature);
    signature.is_ok_and(|signature| ed25519_compact::PublicKey::new(key).verify(text, &signature).is_ok())
}

/// Built without: what must be signed is not run.
#[cfg(not(feature = "signatures"))]
fn has_signed(_: [u8; 32], _: &[u8], _: &[u8]) -> bool {
    false
}

fn each_key(tell: &mut dyn FnMut([u8; 32])) {
    BUILT_IN.and_then(crate::plan::digest).into_iter().for_each(&mut *tell);
    let flags = fs::OFlags::RDONLY | fs::OFlags::DIRECTORY | fs::OFlags::CLOEXEC;
    let Ok(directory) = fs::open(KEYS, flags, fs::Mode::empty()) else { return };
    let mut room = [core::mem::MaybeUninit::uninit(); 2048];
    let mut entries = fs::RawDir::new(&directory, &mut room);
    while let Some(Ok(entry)) = entries.next() {
        let mut key = [0; 33];
        let is_key = entry.file_name().to_bytes().ends_with(b".pub");
        let file = if is_key { fs::openat(&directory, entry.file_name(), READ, fs::Mode::empty()) } else { continue };
        if let (Ok(32), Some(key)) = (file.and_then(|file| fs::read(&file, &mut key)), key.first_chunk()) {
            tell(*key);
        }
    }
}

/// Every key is, if the list of those that are cannot be read.
fn is_revoked(key: [u8; 32]) -> bool {
    const MOST_BYTES: usize = 64 << 10;
    let file = match fs::open(c"/etc/ocinit/keys/revoked", READ, fs::Mode::empty()) {
        Err(Errno::NOENT) => return false,
        Err(_) => return true,
        Ok(file) => file,
    };
    let found = sys::with_memory(MOST_BYTES, |room| {
        let mut length = 0;
        loop {
            match fs::read(&file, &mut room[length..])? {
                0 if length == MOST_BYTES => return Ok(true), // too long to be read
                0 => break,
                read => length += read,
            }
        }
        let list = core::str::from_utf8(&room[..length]).map_err(|_| Errno::ILSEQ)?;
        Ok(list.split_ascii_whitespace().any(|word| crate::plan::digest(word) == Some(key)))
    });
    found.unwrap_or(true)
}

/// Whether a release, `NAME:NUMBER`, is not older than one of its name that was accepted; one that is to be booted or
/// run is written down as accepted.
pub fn admit<'a>(release: &str, is_accepted: bool, arena: &Arena<'a>) -> Result<'a, ()> {
    let shown = arena.format(format_args!("{release}"))?;
    let split = release.split_once(':').filter(|(name, _)| crate::plan::is_valid_id(name));
    let Some((name, Ok(number))) = split.map(|(name, number)| (name, number.parse::<u64>())) else {
        return Err(Error::text(RELEASE, shown, "what is signed wants NAME:NUMBER, which grows from release to release"));
    };
    let path = arena.format_c(format_args!("{RELEASES}/{name}"))?;
    let mut accepted = [0; 20];
    let accepted = match fs::open(path, READ, fs::Mode::empty()).and_then(|file| fs::read(&file, &mut accepted)) {
        Err(Errno::NOENT) => None,
        read => {
            let text = core::str::from_utf8(&accepted[..read.doing_at("read", path)?]).unwrap_or_default();
            Some(text.trim_ascii_end().parse::<u64>().map_err(|_| Error::text("releases", shown, "the record is damaged"))?)
        }
    };
    match accepted {
        Some(accepted) if accepted > number => {
            Err(Error::text(RELEASE, shown, arena.format(format_args!("older than {accepted}, which was accepted before"))?))
        }
        Some(accepted) if accepted == number => Ok(()),
        _ if !is_accepted => Ok(()),
        _ => record(arena.format_c(format_args!("{name}"))?, number).doing_at("write down the accepted release", path),
    }
}

fn record(name: &CStr, number: u64) -> core::result::Result<(), Errno> {
    let mut text = heapless::String::<20>::new();
    let _ = write!(text, "{number}"); // twenty digits are the most
    durable::write(&durable::open_directory(RELEASES)?, name, text.as_bytes()) // `boot --check` reads it for anybody
}

/// Whether a bundle may be run: its config.json is what it is pinned to, and signed if that is demanded.
///
/// `is_accepted`: its release is written down as accepted, so that an older one is none from then on.
pub fn check_bundle<'a>(bundle: &Bundle, digest: &str, is_accepted: bool, arena: &Arena<'a>) -> Result<'a, ()> {
    let path = arena.format(format_args!("{}/config.json", bundle.path))?;
    check_digest(bundle.text, digest).map_err(|why| Error::text("digest", path, why))?;
    if !is_demanded() {
        return Ok(());
    }
    check(bundle.text, path, arena)?;
    admit(bundle.config.annotation(RELEASE).unwrap_or_default(), is_accepted, arena)
}

/// The bundle at `path` has shown that it is good: its release is written down as accepted.
pub fn accept<'a>(path: &'a CStr, arena: &Arena<'a>) -> Result<'a, ()> {
    if !is_demanded() {
        return Ok(());
    }
    let bundle = bundle::open(facts::open_procfs()?.as_fd(), path, arena)?;
    check_bundle(&bundle, "", true, arena)
}

/// Whether a text is what it is pinned to: nothing, or `sha256:` and 64 digits.
pub fn check_digest(text: &[u8], digest: &str) -> core::result::Result<(), &'static str> {
    if digest.is_empty() {
        return Ok(());
    }
    let wanted = digest.strip_prefix("sha256:").and_then(crate::plan::digest).ok_or("the pin wants sha256: and 64 digits")?;
    if hmac_sha256::Hash::hash(text) == wanted { Ok(()) } else { Err("it is not what boot.json pins it to") }
}

/// Whether the root file system is what the signed config.json says: a directory can be anything.
pub fn check_root<'a>(image: Option<&Image<'_>>) -> Result<'a, ()> {
    let is_pinned =
        image.is_some_and(|image| !matches!(image.upper, Upper::Directory(_)) && image.layers.iter().all(|layer| layer.pin != Pin::None));
    if is_pinned || !is_demanded() {
        return Ok(());
    }
    Err(Error::text(
        "root",
        "",
        "signatures are required: it must lie in images that org.ocinit.image pins, with nothing over them but memory",
    ))
}

#[cfg(test)]
#[cfg(feature = "signatures")]
mod tests {
    use super::*;

    /// RFC 8032, 7.1, test 3.
    const KEY: &str = "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025";
    const TEXT: [u8; 2] = [0xaf, 0x82];
    const SIGNATURE: [&str; 2] = [
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac",
        "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    ];

    fn signature() -> [u8; 64] {
        let halves = SIGNATURE.map(|half| crate::plan::digest(half).unwrap());
        core::array::from_fn(|index| halves[index / 32][index % 32])
    }

    #[test]
    fn a_signature_of_the_standard_s_is_one_and_with_any_bit_flipped_it_is_none() {
        let (key, signature) = (crate::plan::digest(KEY).unwrap(), signature());
        assert!(has_signed(key, &TEXT, &signature));
        let flipped = |bytes: &[u8], bit: usize| {
            let mut bytes = bytes.to_vec();
            bytes[bit / 8] ^= 1 << (bit % 8);
            bytes
        };
        assert!((0..512).all(|bit| !has_signed(key, &TEXT, &flipped(&signature, bit))));
        assert!((0..16).all(|bit| !has_signed(key, &flipped(&TEXT, bit), &signature)));
        assert!((0..256).all(|bit| !has_signed(flipped(&key, bit).try_into().unwrap(), &TEXT, &signature)));
        assert!(!has_signed(key, b"", &signature) && !has_signed(key, &TEXT, &signature[..63]) && !has_signed([0; 32], b"", &[0; 64]));
    }

    #[test]
    fn a_pin_is_the_digest_of_the_text_or_nothing() {
        let digest = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(check_digest(b"abc", digest), Ok(()));
        assert_eq!(check_digest(b"abd", digest), Err("it is not what boot.json pins it to"));
        assert_eq!(check_digest(b"abc", "sha256:ba78"), Err("the pin wants sha256: and 64 digits"));
        assert_eq!(check_digest(b"abc", &digest[7..]), Err("the pin wants sha256: and 64 digits"));
        assert_eq!(check_digest(b"anything", ""), Ok(()));
    }
}
