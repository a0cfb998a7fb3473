//! A case's bundle: a root file system made of busybox, and a config.json made of patches.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use crate::sys::{self, Outcome};
use crate::world::FOLDER;

/// The words that a case may use in its strings, such as `@ID@`.
pub type Words = BTreeMap<&'static str, String>;

fn told<T>(path: &Path, result: std::io::Result<T>) -> Outcome<T> {
    result.map_err(|why| format!("{}: {why}", path.display()))
}

/// Puts the programs of the payloads where each bundle can link them.
pub fn provide(busybox: &str, probe: &Path) -> Outcome<()> {
    for (from, name) in [(Path::new(busybox), "busybox"), (probe, "probe")] {
        let to = PathBuf::from(FOLDER).join(name);
        told(from, fs::copy(from, &to))?;
        told(&to, fs::set_permissions(&to, fs::Permissions::from_mode(0o755)))?;
    }
    Ok(())
}

/// A root file system: busybox under the names of its applets, the probe, and the folders that mounts want.
pub fn make_rootfs(rootfs: &Path) -> Outcome<()> {
    for folder in ["bin", "dev", "etc", "proc", "sys", "tmp", "root", "mnt"] {
        let folder = rootfs.join(folder);
        told(&folder, fs::create_dir_all(&folder))?;
    }
    told(rootfs, fs::set_permissions(rootfs.join("tmp"), fs::Permissions::from_mode(0o1777)))?;
    told(rootfs, fs::hard_link(format!("{FOLDER}/busybox"), rootfs.join("bin/busybox")))?;
    told(rootfs, fs::hard_link(format!("{FOLDER}/probe"), rootfs.join("probe")))?;
    told(rootfs, fs::write(rootfs.join("etc/passwd"), "root:x:0:0:root:/root:/bin/sh\n"))?;
    told(rootfs, fs::write(rootfs.join("etc/group"), "root:x:0:\ntty:x:5:\n"))?;
    for applet in APPLETS.split_whitespace() {
        told(rootfs, symlink("busybox", rootfs.join("bin").join(applet)))?;
    }
    Ok(())
}

const APPLETS: &str = "cat chmod date dd df dmesg echo env expr false grep head hostname id kill ln ls mkdir mkfifo mknod mount mv nproc \
    printf ps pwd readlink rm sed seq setsid sh sleep sort stat stty sync tail test timeout touch tr true tty umount uname usleep wc";

/// Changes a root file system: a path's value is its text, null to remove it, or an object that says what it is.
pub fn change_rootfs(rootfs: &Path, changes: &Map<String, Value>) -> Outcome<()> {
    for (name, value) in changes {
        let path = rootfs.join(name.trim_start_matches('/'));
        if let Some(parent) = path.parent() {
            told(parent, fs::create_dir_all(parent))?;
        }
        remove(&path);
        change(&path, value).map_err(|why| format!("rootfs {name}: {why}"))?;
    }
    Ok(())
}

/// Makes a folder anew.
pub fn empty(folder: &Path) -> Outcome<()> {
    remove(folder);
    told(folder, fs::create_dir_all(folder))
}

fn remove(path: &Path) {
    let is_folder = fs::symlink_metadata(path).is_ok_and(|about| about.is_dir());
    let _ = if is_folder { fs::remove_dir_all(path) } else { fs::remove_file(path) };
}

fn change(path: &Path, value: &Value) -> Outcome<()> {
    let name = path.display().to_string();
    let object = match value {
        Value::Null => return Ok(()),
        Value::String(text) => return told(path, fs::write(path, text)),
        Value::Object(object) => object,
        other => return Err(format!("{other} is no file")),
    };
    // What it is comes before what it is like.
    let (traits, kinds): (Vec<_>, Vec<_>) = object.iter().partition(|(kind, _)| matches!(kind.as_str(), "mode" | "owner"));
    for (kind, value) in kinds.into_iter().chain(traits) {
        let text = value.as_str().unwrap_or_default();
        match kind.as_str() {
            "link" => told(path, symlink(text, path))?,
            "text" => told(path, fs::write(path, text))?,
            "folder" => told(path, fs::create_dir_all(path))?,
            "fifo" => sys::make_fifo(&name)?,
            "json" => told(path, fs::write(path, value.to_string()))?,
            "same" => told(path, fs::hard_link(text, path))?,
            "probe" => told(path, fs::hard_link(format!("{FOLDER}/probe"), path))?,
            "character" => {
                let (major, minor) = text.split_once(':').ok_or("wants major:minor")?;
                sys::make_node(&name, libc::S_IFCHR | 0o666, major.parse().unwrap_or(0), minor.parse().unwrap_or(0))?;
            }
            "mode" => {
                let mode = u32::from_str_radix(text, 8).map_err(|why| format!("mode {text}: {why}"))?;
                told(path, fs::set_permissions(path, fs::Permissions::from_mode(mode)))?;
            }
            "owner" => {
                let id = value.as_u64().map(|id| id as u32);
                told(path, std::os::unix::fs::lchown(path, id, id))?;
            }
            _ => return Err(format!("{kind:?} is nothing that a file can be")),
        }
    }
    Ok(())
}

/// What every case's config has in common: no terminal, nothing to do, its own place among the cgroups.
pub fn common_patch() -> Value {
    json!({ "process": { "terminal": false, "args": ["true"] }, "linux": { "cgroupsPath": "/@TREE@/@ID@" } })
}

/// Merges a patch into a config as RFC 7396 says (null removes), and beyond it: `"key+"` appends to a list, `"key-"`
/// removes from a list what has the same values.
pub fn merge(config: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *config = patch.clone();
        return;
    };
    if !config.is_object() {
        *config = json!({});
    }
    let Value::Object(object) = config else { return };
    // What goes makes room for what comes.
    let (going, others): (Vec<_>, Vec<_>) = patch.iter().partition(|(key, _)| key.ends_with('-'));
    for (key, value) in going.into_iter().chain(others) {
        if let Some(list) = key.strip_suffix('+') {
            let list = object.entry(list).or_insert_with(|| json!([]));
            list.as_array_mut().into_iter().for_each(|list| list.extend(value.as_array().into_iter().flatten().cloned()));
        } else if let Some(list) = key.strip_suffix('-') {
            let list = object.get_mut(list).and_then(Value::as_array_mut);
            let gone = |item: &Value| value.as_array().into_iter().flatten().any(|unwanted| crate::expect::json(unwanted, item).is_ok());
            list.into_iter().for_each(|list| list.retain(|item| !gone(item)));
        } else if value.is_null() {
            object.remove(key);
        } else {
            merge(object.entry(key).or_insert(Value::Null), value);
        }
    }
}

/// Puts what the words stand for into every string.
pub fn fill_in(value: &mut Value, words: &Words) {
    match value {
        Value::String(text) if text.contains('@') => {
            for (word, meaning) in words {
                *text = text.replace(&format!("@{word}@"), meaning);
            }
        }
        Value::Array(list) => list.iter_mut().for_each(|item| fill_in(item, words)),
        Value::Object(object) => {
            let filled = std::mem::take(object).into_iter().map(|(key, mut value)| {
                fill_in(&mut value, words);
                let mut key = Value::String(key);
                fill_in(&mut key, words);
                (key.as_str().unwrap_or_default().to_string(), value)
            });
            *object = filled.collect();
        }
        _ => {}
    }
}
