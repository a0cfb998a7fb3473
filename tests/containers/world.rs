//! A private world for the tests: own mount and process namespaces, a pure cgroup v2 view, a folder in memory, and its end.
//!
//! Must: leave the host's mounts, cgroups and processes as they were. Mustn't: know of cases.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::caller::{Caller, RUNTIME_DIR};
use crate::launch::read;
use crate::reaper;
use crate::sys::{self, Outcome};

/// Where everything of a run lies; a file system in memory that only this world sees.
pub const FOLDER: &str = "/run/ocinit-test";
/// The runtime's `--root`.
pub const STATE: &str = "/run/ocinit-test/state";
/// What no container may touch.
pub const CANARY: &str = "/run/ocinit-test/canary";
/// The cgroups.
pub const CGROUPS: &str = "/sys/fs/cgroup";

const CGROUP2_MAGIC: i64 = 0x6367_7270;

/// The world's name: also of its cgroup, and the beginning of every container's.
pub struct World {
    pub name: String,
}

/// Runs `work` as process 1 of a private world and returns the exit code.
pub fn inside(work: impl FnOnce(&World) -> i32) -> Outcome<i32> {
    let world = World { name: format!("ocinit-test-{}", std::process::id()) };
    sys::unshare(libc::CLONE_NEWNS | libc::CLONE_NEWPID)?;
    sys::mount("", "/", "", libc::MS_REC | libc::MS_PRIVATE, "")?;
    if layout().is_empty() {
        see_pure_cgroups()?;
    }
    make(&world.harness_cgroup())?;
    if !layout().is_empty() {
        let hierarchies =
            fs::read_dir(CGROUPS).into_iter().flatten().flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        hierarchies.map(|entry| format!("{}/{}", entry.path().display(), world.name)).try_for_each(|folder| make(&folder))?;
    }
    let Some(child) = sys::fork()? else {
        sys::die_with_parent();
        sys::exit(match world.enter() {
            Ok(()) => work(&world),
            Err(why) => {
                eprintln!("the tests' own world: {why}");
                2
            }
        });
    };
    sys::pass_endings_to(child);
    let ended = sys::wait(child, 0)?.map_or(2, |(_, status)| sys::exit_code(status));
    for folder in cgroup_folders(Path::new(CGROUPS)).into_iter().filter(|folder| folder.ends_with(&format!("/{}", world.name))) {
        remove_cgroups(&folder)?;
    }
    Ok(ended)
}

/// Which cgroups a virtual machine has, by its kernel's command line: `v1`, `hybrid`, or nothing for cgroup v2 alone.
pub fn layout() -> String {
    std::env::var("OCINIT_TEST_CGROUPS").unwrap_or_default()
}

/// The hierarchy in which every container is.
fn main_hierarchy() -> &'static str {
    match layout().as_str() {
        "v1" => "/sys/fs/cgroup/freezer",
        "hybrid" => "/sys/fs/cgroup/unified",
        _ => CGROUPS,
    }
}

/// On a hybrid host the v2 hierarchy lies elsewhere, without controllers; here it takes its usual place.
fn see_pure_cgroups() -> Outcome<()> {
    if sys::filesystem(CGROUPS)? == CGROUP2_MAGIC {
        return Ok(());
    }
    sys::unmount_lazily(CGROUPS)?;
    sys::mount("cgroup2", CGROUPS, "cgroup2", libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC, "")
}

fn make(folder: &str) -> Outcome<()> {
    fs::create_dir_all(folder).map_err(|why| format!("{folder}: {why}"))
}

impl World {
    /// The cgroup below which all containers have theirs.
    pub fn cgroup(&self) -> String {
        format!("{}/{}", main_hierarchy(), self.name)
    }

    /// Our own: beside those of the containers, so that theirs can have controllers.
    fn harness_cgroup(&self) -> String {
        format!("{}/harness", self.cgroup())
    }

    fn enter(&self) -> Outcome<()> {
        let procs = format!("{}/cgroup.procs", self.harness_cgroup());
        fs::write(&procs, "0").map_err(|why| format!("{procs}: {why}"))?;
        sys::mount("proc", "/proc", "proc", libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC, "")?;
        // Device nodes are among what is tested.
        sys::mount("tmpfs", "/run", "tmpfs", libc::MS_NOSUID, "mode=755")?;
        for folder in [FOLDER, STATE, CANARY] {
            make(folder)?;
        }
        Ok(())
    }
}

/// What a container may have changed and must not leave changed.
#[derive(PartialEq)]
pub struct Snapshot {
    parts: Vec<(&'static str, BTreeSet<String>)>,
}

impl Snapshot {
    pub fn take(world: &World) -> Snapshot {
        Snapshot {
            parts: vec![
                ("mount", read("/proc/self/mountinfo").lines().map(str::to_string).collect()),
                ("cgroup", cgroups(&world.name)),
                (
                    "state",
                    ["/run/ocinit", "/run/runc", "/run/crun", STATE, RUNTIME_DIR].iter().flat_map(|folder| tree(folder, false)).collect(),
                ),
                ("canary", tree(CANARY, true)),
                ("process", processes()),
            ],
        }
    }

    /// Each difference as a line.
    pub fn differences(&self, after: &Snapshot) -> Vec<String> {
        let mut found = Vec::new();
        for ((what, before), (_, after)) in self.parts.iter().zip(&after.parts) {
            found.extend(after.difference(before).map(|line| format!("left behind, {what}: {line}")));
            found.extend(before.difference(after).map(|line| format!("gone, {what}: {line}")));
        }
        found
    }

    /// Compares until nothing differs any more, for what the kernel ends a moment later.
    pub fn differences_that_stay(&self, world: &World) -> Vec<String> {
        self.differences_after(world, Duration::from_millis(1500))
    }

    /// The same for as long as one has patience.
    pub fn differences_after(&self, world: &World, patience: Duration) -> Vec<String> {
        let end = Instant::now() + patience;
        loop {
            let _ = reaper::reap();
            let found = self.differences(&Snapshot::take(world));
            if found.is_empty() || Instant::now() > end {
                return found;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

/// Ends everything that a failed case has left, so that the next one begins clean.
pub fn sweep(world: &World, before: &Snapshot, caller: Caller) -> Outcome<()> {
    let end = Instant::now() + Duration::from_secs(5);
    while Instant::now() < end && before.parts[4].1 != processes() {
        let _ = sys::kill(-1, libc::SIGKILL);
        let _ = sys::kill(-1, libc::SIGCONT);
        let _ = reaper::reap();
        std::thread::sleep(Duration::from_millis(2));
    }
    for folder in cgroup_folders(Path::new(CGROUPS)).into_iter().filter(|folder| is_ours(folder, &world.name)) {
        if !folder.ends_with(&format!("/{}", world.name)) && folder != world.harness_cgroup() {
            let _ = remove_cgroups(&folder);
        }
    }
    let mounts = &before.parts[0].1;
    for line in read("/proc/self/mountinfo").lines().rev().filter(|line| !mounts.contains(*line)) {
        if let Some(target) = line.split(' ').nth(4) {
            let _ = sys::unmount_lazily(target);
        }
    }
    for folder in [STATE, "/run/ocinit", "/run/runc", "/run/crun", RUNTIME_DIR] {
        let _ = fs::remove_dir_all(folder);
    }
    make(STATE)?;
    caller.settle(world)
}

/// All processes but this one, named.
pub fn processes() -> BTreeSet<String> {
    let own = std::process::id().to_string();
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let pids = entries.filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()) && *name != own);
    pids.map(|pid| format!("{pid} {}", read(format!("/proc/{pid}/cmdline")).replace('\0', " "))).collect()
}

/// Our cgroups: others come and go on a host that is in use.
fn cgroups(name: &str) -> BTreeSet<String> {
    cgroup_folders(Path::new(CGROUPS)).into_iter().filter(|path| is_ours(path, name)).collect()
}

/// Whether a cgroup bears our name, or that of one of our containers, wherever it stands.
fn is_ours(path: &str, name: &str) -> bool {
    path.contains(&format!("/{name}")) || path.contains(&name.replace("ocinit-test-", "/t"))
}

fn cgroup_folders(folder: &Path) -> Vec<String> {
    let inside = fs::read_dir(folder).into_iter().flatten().flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    inside.flat_map(|entry| [cgroup_folders(&entry.path()), vec![entry.path().display().to_string()]].concat()).collect()
}

/// Kills what is in a cgroup and removes it with all below it.
fn remove_cgroups(folder: &str) -> Outcome<()> {
    let _ = fs::write(format!("{folder}/cgroup.kill"), "1");
    let end = Instant::now() + Duration::from_secs(3);
    loop {
        for below in cgroup_folders(Path::new(folder)) {
            let _ = fs::remove_dir(below);
        }
        match fs::remove_dir(folder) {
            Ok(()) => return Ok(()),
            Err(_) if Instant::now() < end => std::thread::sleep(Duration::from_millis(5)),
            Err(why) => return Err(format!("{folder}: {why}")),
        }
    }
}

/// Every path below a folder; with details everything that a write would change.
fn tree(folder: &str, has_details: bool) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    for path in entries.map(|entry| entry.path()).chain(has_details.then(|| folder.into())) {
        let Ok(about) = fs::symlink_metadata(&path) else { continue };
        let name = path.display().to_string();
        found.insert(if has_details { format!("{name} {}", details(&name, &about)) } else { name.clone() });
        if about.is_dir() && name != folder {
            found.extend(tree(&name, has_details));
        }
    }
    found
}

fn details(name: &str, about: &fs::Metadata) -> String {
    let content = if about.is_file() { read(name) } else { String::new() };
    let changed = (about.mtime(), about.mtime_nsec());
    format!("inode {} mode {:o} owner {}:{} changed {changed:?} holds {content:?}", about.ino(), about.mode(), about.uid(), about.gid())
}
