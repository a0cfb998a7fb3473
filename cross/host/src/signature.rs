//! Signatures over config.json and boot.json: ed25519 over the file's bytes, in a file beside it, as `openssl pkeyutl -rawin` makes them.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use ed25519_compact::{KeyPair, PublicKey, Seed, Signature};

use crate::{Result, text};

/// `keygen NAME`: NAME.pem (PKCS #8, for nobody else) and NAME.pub (32 bytes, for the device's /etc/ocinit/keys).
pub fn keygen(name: &str) -> Result<()> {
    let seed = std::fs::File::open("/dev/urandom").and_then(|mut random| {
        let mut seed = [0; 32];
        std::io::Read::read_exact(&mut random, &mut seed).map(|()| seed)
    });
    let pair = KeyPair::from_seed(Seed::new(seed.map_err(|why| format!("/dev/urandom: {why}"))?));
    create(&PathBuf::from(format!("{name}.pem")), 0o600, pair.to_pem().as_bytes())?;
    create(&PathBuf::from(format!("{name}.pub")), 0o644, &pair.pk[..])
}

/// A file that is not there yet: a key that is overwritten is lost.
fn create(path: &Path, mode: u32, bytes: &[u8]) -> Result<()> {
    let opened = std::fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
    let written = opened.and_then(|mut file| file.write_all(bytes));
    written.map_err(|why| format!("{}: {why}", text::shown(path)))
}

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|why| format!("{}: {why}", text::shown(path)))
}

fn signature_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".sig");
    name.into()
}

/// `sign --key KEY.pem FILE...`: writes FILE.sig.
pub fn sign(key: &Path, files: &[PathBuf]) -> Result<()> {
    let pem = String::from_utf8(read(key)?).map_err(|_| format!("{}: is no PEM file", text::shown(key)))?;
    let pair = KeyPair::from_pem(&pem).map_err(|_| format!("{}: is no private ed25519 key in PEM", text::shown(key)))?;
    for file in files {
        let bytes = read(file)?;
        check_release(file, &bytes)?;
        let to = signature_of(file);
        std::fs::write(&to, &pair.sk.sign(&bytes, None)[..]).map_err(|why| format!("{}: {why}", text::shown(&to)))?;
    }
    Ok(())
}

/// What the device would refuse is not signed: a file that does not say which release it is.
fn check_release(file: &Path, bytes: &[u8]) -> Result<()> {
    let named = |why: &str| format!("{}: {why}", text::shown(file));
    let json: serde_json::Value = serde_json::from_slice(bytes).map_err(|why| named(&why.to_string()))?;
    let release = json["annotations"]["org.ocinit.release"].as_str().or(json["release"].as_str());
    let is_release =
        release.and_then(|release| release.split_once(':')).is_some_and(|(name, number)| !name.is_empty() && number.parse::<u64>().is_ok());
    if is_release {
        return Ok(());
    }
    Err(named("says no release: NAME:NUMBER, as the annotation org.ocinit.release of config.json or the key release of boot.json"))
}

/// `verify --key KEY.pub FILE...`: whether FILE.sig is that key's.
pub fn verify(key: &Path, files: &[PathBuf]) -> Result<()> {
    let public = PublicKey::from_slice(&read(key)?).map_err(|_| format!("{}: is no public key of 32 bytes", text::shown(key)))?;
    for file in files {
        let signature = read(&signature_of(file))?;
        let signature = Signature::from_slice(&signature).map_err(|_| format!("{}.sig: has not 64 bytes", text::shown(file)))?;
        public.verify(read(file)?, &signature).map_err(|_| format!("{}: the key has not signed it", text::shown(file)))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_signed_is_verified_and_a_flipped_bit_is_not() {
        let folder = std::env::temp_dir().join(format!("ocinit-host-sign-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        assert!(std::fs::create_dir(&folder).is_ok());
        let at = |name: &str| folder.join(name);
        let key = at("key").display().to_string();
        assert_eq!(keygen(&key), Ok(()));
        assert!(keygen(&key).is_err(), "a key was overwritten");
        let files = [at("config.json")];
        assert!(std::fs::write(&files[0], r#"{"annotations":{"org.ocinit.release":"app:1"}}"#).is_ok());
        assert_eq!(sign(&at("key.pem"), &files), Ok(()));
        assert_eq!(verify(&at("key.pub"), &files), Ok(()));
        assert!(std::fs::write(&files[0], r#"{"annotations":{"org.ocinit.release":"app:2"}}"#).is_ok());
        assert!(verify(&at("key.pub"), &files).is_err());
        assert!(std::fs::write(&files[0], r#"{"annotations":{}}"#).is_ok());
        assert!(sign(&at("key.pem"), &files).is_err_and(|why| why.contains("says no release")));
        let _ = std::fs::remove_dir_all(&folder);
    }
}
