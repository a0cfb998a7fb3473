//! As whom the runtime is called: as root, or as an ordinary user with its own id alone or with ranges of more.
//!
//! Must: give an ordinary user what an administrator would (a passwd entry, ranges, a cgroup), and no more. Mustn't: know of cases.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, lchown};
use std::path::Path;

use serde_json::{Value, json};

use crate::sys::{self, Outcome};
use crate::world::{FOLDER, STATE, World};

/// The ordinary user, and its group.
const USER: u32 = 4242;
/// What stands in /etc/subuid and /etc/subgid.
const RANGE: (u32, u32) = (100_000, 200_000);
/// How many ids of the range a container has that does not say it.
const DEFAULT_IDS: u32 = 60_000;
/// XDG_RUNTIME_DIR of the ordinary user.
pub const RUNTIME_DIR: &str = "/run/user/4242";

/// Who calls.
#[derive(Clone, Copy, PartialEq)]
pub enum Caller {
    Root,
    /// An ordinary user without anything: one id, no cgroup.
    Alone,
    /// An ordinary user with ranges in /etc/subuid, by newuidmap(1), and a cgroup that was delegated to it.
    Ranges,
}

impl Caller {
    pub fn named(name: &str) -> Outcome<Caller> {
        match name {
            "root" => Ok(Caller::Root),
            "alone" => Ok(Caller::Alone),
            "ranges" => Ok(Caller::Ranges),
            _ => Err(format!("{name:?} is nobody; there are root, alone and ranges")),
        }
    }

    /// What a case calls it.
    pub fn name(self) -> &'static str {
        match self {
            Caller::Root => "root",
            Caller::Alone => "alone",
            Caller::Ranges => "ranges",
        }
    }

    pub fn about(self) -> &'static str {
        match self {
            Caller::Root => "as root",
            Caller::Alone => "as an ordinary user with one id and no cgroup",
            Caller::Ranges => "as an ordinary user with ranges of ids and a delegated cgroup",
        }
    }

    pub fn user(self) -> Option<u32> {
        (self != Caller::Root).then_some(USER)
    }

    /// What it finds in its environment.
    pub fn environment(self) -> Option<(String, String)> {
        self.user().map(|_| ("XDG_RUNTIME_DIR".to_string(), RUNTIME_DIR.to_string()))
    }

    /// Makes the world's own places those of the caller.
    pub fn settle(self, world: &World) -> Outcome<()> {
        let owner = self.user().unwrap_or(0);
        told("/run/user", fs::create_dir_all(RUNTIME_DIR))?;
        for path in [STATE, RUNTIME_DIR, &format!("{FOLDER}/busybox"), &format!("{FOLDER}/probe")] {
            self.give(path)?;
        }
        self.write_accounts()?;
        let group = world.cgroup();
        let delegate = if self == Caller::Ranges { owner } else { 0 };
        for name in ["", "cgroup.procs", "cgroup.threads", "cgroup.subtree_control"] {
            let path = format!("{group}/{name}");
            if Path::new(&path).exists() {
                told(&path, lchown(&path, Some(delegate), Some(delegate)))?;
            }
        }
        if self == Caller::Ranges {
            // As systemd delegates: a user may not do it by itself for cpuset where root's processes are in there.
            let controllers = fs::read_to_string(format!("{group}/cgroup.controllers")).unwrap_or_default();
            let all: Vec<String> = controllers.split_whitespace().map(|name| format!("+{name}")).collect();
            let file = format!("{group}/cgroup.subtree_control");
            told(&file, fs::write(&file, all.join(" ")))?;
        }
        for helper in ["/usr/bin/newuidmap", "/usr/bin/newgidmap"].iter().filter(|_| self == Caller::Ranges) {
            let about = fs::metadata(helper).map_err(|why| format!("{helper} (Debian: uidmap): {why}"))?;
            if crate::is_virtual_machine() && about.mode() & 0o4000 == 0 {
                told(helper, fs::set_permissions(helper, fs::Permissions::from_mode(0o4755)))?; // an initramfs brings no such bit
            }
        }
        Ok(())
    }

    /// The user's passwd entry, without which newuidmap(1) says nothing, and its ranges; what the host has is covered, in our own namespace.
    fn write_accounts(self) -> Outcome<()> {
        let Some(user) = self.user() else { return Ok(()) };
        let passwd = format!("root:x:0:0:root:/root:/bin/sh\nsomebody:x:{user}:{user}::/:/bin/sh\n");
        let range = if self == Caller::Ranges { format!("{user}:{}:{}\n", RANGE.0, RANGE.1) } else { String::new() };
        for (path, text) in [("/etc/passwd", &passwd), ("/etc/subuid", &range), ("/etc/subgid", &range)] {
            if !Path::new(path).exists() {
                told(path, fs::write(path, ""))?;
            }
            let cover = format!("{FOLDER}/{}", path.trim_start_matches("/etc/"));
            let is_covered = Path::new(&cover).exists();
            told(&cover, fs::write(&cover, text))?;
            if !is_covered {
                sys::mount(&cover, path, "", libc::MS_BIND, "")?;
            }
        }
        Ok(())
    }

    /// Lets it own what lies at a path and below: what root owned is the caller's, what another id owned is that id's of the container.
    pub fn give(self, path: &str) -> Outcome<()> {
        let Some(user) = self.user() else { return Ok(()) };
        let about = told(path, fs::symlink_metadata(path))?;
        let id = |id: u32| match id {
            0 => user,
            1..=DEFAULT_IDS if self == Caller::Ranges && id != user => RANGE.0 + id - 1,
            other => other,
        };
        let (uid, gid) = (id(about.uid()), id(about.gid()));
        if (uid, gid) != (about.uid(), about.gid()) {
            told(path, lchown(path, Some(uid), Some(gid)))?;
            let is_special = about.mode() & 0o6000 != 0 && !about.is_symlink();
            if is_special {
                // chown(2) takes the set-user-ID bit away.
                told(path, fs::set_permissions(path, about.permissions()))?;
            }
        }
        if about.is_dir() {
            for entry in told(path, fs::read_dir(path))?.flatten() {
                self.give(&entry.path().display().to_string())?;
            }
        }
        Ok(())
    }

    /// What it needs in a config to do what root does: with ranges the ids, which must be asked for; alone no cgroup.
    pub fn patch(self, config: &Value) -> Value {
        let has_users = config
            .pointer("/linux/namespaces")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .any(|namespace| namespace["type"] == "user");
        match self {
            Caller::Ranges if !has_users => {
                let ids =
                    json!([{ "containerID": 0, "hostID": USER, "size": 1 }, { "containerID": 1, "hostID": RANGE.0, "size": DEFAULT_IDS }]);
                json!({ "linux": { "namespaces+": [{ "type": "user" }], "uidMappings": ids, "gidMappings": ids } })
            }
            _ => json!({}),
        }
    }
}

fn told<T>(path: &str, result: std::io::Result<T>) -> Outcome<T> {
    result.map_err(|why| format!("{path}: {why}"))
}
