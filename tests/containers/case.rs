//! Cases as data: reading them, deciding which of them run, and running one between two looks at the host.
//!
//! Must: refuse keys that it does not know. A case's form is described in `README.md` beside this file.

use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::bundle::{self, Words};
use crate::caller::Caller;
use crate::launch::read;
use crate::probe;
use crate::refuse;
use crate::runtime::Runtime;
use crate::steps::{self, Stage};
use crate::sys::Outcome;
use crate::world::{self, CANARY, FOLDER, STATE, Snapshot, World};

const KEYS: [&str; 15] = [
    "name",
    "config",
    "base",
    "profile",
    "text",
    "rootfs",
    "canary",
    "steps",
    "needs",
    "differs",
    "refused",
    "complaint",
    "defence",
    "trial",
    "rootless",
];

/// What `"profile"` puts into the config: the default seccomp profiles of clients.
const PROFILES: [(&str, &str); 3] = [
    ("docker", include_str!("../seccomp/profiles/docker.json")),
    ("podman", include_str!("../seccomp/profiles/podman.json")),
    ("containerd", include_str!("../seccomp/profiles/containerd.json")),
];

/// The default config, as it is in the current specification tools; `"base": "spec"` takes the runtime's own instead.
const DEFAULT_CONFIG: &str = include_str!("default.json");

/// One case: what it is called and what is written in its file.
pub struct Case {
    pub name: String,
    written: Map<String, Value>,
    refused: String,
    /// The defence that is taken away: then it must fail.
    pub undefended: String,
}

/// What became of a case.
pub enum Verdict {
    Passed,
    Failed(Vec<String>),
    Skipped(String),
}

/// Reads all files of a folder, in the order of their names.
pub fn read_all(folder: &str) -> Outcome<Vec<Case>> {
    let entries = fs::read_dir(folder).map_err(|why| format!("{folder}: {why}"))?;
    let mut paths: Vec<_> =
        entries.flatten().map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|e| e == "json")).collect();
    paths.sort();
    let mut cases = Vec::new();
    for path in paths {
        cases.extend(read_file(&path).map_err(|why| format!("{}: {why}", path.display()))?);
    }
    Ok(cases)
}

fn read_file(path: &Path) -> Outcome<Vec<Case>> {
    let list: Vec<Map<String, Value>> = serde_json::from_str(&read(path)).map_err(|why| why.to_string())?;
    list.into_iter().map(Case::new).collect()
}

/// Complains about the first key that is not in the list.
pub fn only_known(object: &Map<String, Value>, known: &[&str]) -> Outcome<()> {
    match object.keys().find(|key| !known.contains(&key.as_str())) {
        Some(key) => Err(format!("the key {key:?} means nothing here")),
        None => Ok(()),
    }
}

impl Case {
    fn new(written: Map<String, Value>) -> Outcome<Case> {
        let name = written.get("name").and_then(Value::as_str).ok_or("a case without a name")?.to_string();
        // With steps, an expectation outside of them would never be looked at.
        let single = if written.contains_key("steps") { &[][..] } else { &steps::OCINIT_KEYS[..] };
        let keys = [&KEYS[..], single].concat();
        only_known(&written, &keys).map_err(|why| format!("{name}: {why}"))?;
        Ok(Case { name, written, refused: String::new(), undefended: String::new() })
    }

    /// The same case with system calls taken away; for those that are marked for it.
    pub fn without_calls(&self, refused: &str) -> Option<Case> {
        (self.written.get("refused")?.as_bool()? && self.undefended.is_empty()).then(|| {
            let name = format!("{}, without {}", self.name, refuse::title(refused));
            Case { name, written: self.written.clone(), refused: refused.into(), undefended: String::new() }
        })
    }

    /// The same case against a runtime without the defence that it tests; for those that name one.
    pub fn without_defence(&self) -> Option<Case> {
        let undefended = self.written.get("defence")?.as_str()?.to_string();
        let name = format!("undefended ({undefended}): {}", self.name);
        Some(Case { name, written: self.written.clone(), refused: String::new(), undefended })
    }

    /// Why this runtime, or this caller, is said to differ; a case that passes in spite of it has a false reason.
    /// `without NEED: REASON` is said only where the need is not met. `skip: ` is the beginning of a reason that is not tried; those of an
    /// ordinary user are tried with `TRY=1` only, which takes a third more time.
    fn differs(&self, runtime: &Runtime) -> Option<(bool, String)> {
        let reason = |value: &Value| value.get(&runtime.name)?.as_str().map(str::to_string);
        let by_runtime = self.written.get("differs").and_then(reason).filter(|reason| {
            let condition = reason.strip_prefix("without ").and_then(|rest| rest.split_once(": "));
            condition.is_none_or(|(need, _)| runtime.lacks(need).is_some())
        });
        if let Some(reason) = by_runtime {
            return Some((reason.starts_with("skip: "), format!("{} differs: {reason}", runtime.name)));
        }
        runtime.caller.user()?;
        let written = self.written.get("rootless")?;
        let reason = written.as_str().or_else(|| written.get(runtime.caller.name())?.as_str())?;
        let may_not_be_tried = reason.strip_prefix("skip: ");
        let is_tried = may_not_be_tried.is_none() && std::env::var_os("TRY").is_some();
        Some((!is_tried, format!("needs root: {}", may_not_be_tried.unwrap_or(reason))))
    }

    /// Runs it: the verdict also counts what is left behind.
    pub fn run(&self, world: &World, runtime: &Runtime, number: usize) -> Verdict {
        if let Some(missing) = self.needs().find_map(|need| runtime.lacks(need)) {
            return Verdict::Skipped(missing);
        }
        let reason = match self.differs(runtime) {
            Some((true, reason)) => return Verdict::Skipped(reason),
            other => other.map(|(_, reason)| reason),
        };
        let mut complaints = Vec::new();
        if let Err(why) = self.run_watched(world, runtime, number, &mut complaints) {
            complaints.push(why);
        }
        let _ = fs::remove_dir_all(folder_of(number));
        if !self.undefended.is_empty() {
            return match complaints.first() {
                Some(complaint) => {
                    println!("      (noticed: {})", complaint.chars().take(200).collect::<String>());
                    Verdict::Passed
                }
                None => Verdict::Failed(vec!["passes although the defence was taken away".into()]),
            };
        }
        if let Some(expected) = self.written.get("complaint").and_then(Value::as_str) {
            complaints = unless_noticed(expected, &complaints);
        }
        match (reason, complaints.is_empty()) {
            (None, true) => Verdict::Passed,
            (None, false) => Verdict::Failed(complaints),
            (Some(reason), false) => {
                if std::env::var_os("VERBOSE").is_some() {
                    complaints.iter().for_each(|line| println!("      ({line})"));
                }
                Verdict::Skipped(reason)
            }
            (Some(reason), true) => Verdict::Failed(vec![format!("passes, although it is said that {reason}")]),
        }
    }

    /// Whether it is tried as this caller: newer calls are refused one by one to root, all together to one kind of ordinary user.
    pub fn is_for(&self, caller: Caller) -> bool {
        let lacks_all = self.refused.contains(',') && !self.refused.contains(':');
        caller == Caller::Root || self.refused.is_empty() || caller == Caller::Ranges && lacks_all
    }

    fn needs(&self) -> impl Iterator<Item = &str> {
        self.written.get("needs").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
    }

    fn run_watched(&self, world: &World, runtime: &Runtime, number: usize, complaints: &mut Vec<String>) -> Outcome<()> {
        let words = words(world, runtime, number);
        let mut written = Value::Object(self.written.clone());
        bundle::fill_in(&mut written, &words);
        self.make_bundle(&written, &words, runtime)?;
        Self::give(&words, runtime)?;
        let before = Snapshot::take(world);
        complaints.extend(self.play(&written, words, runtime).err());
        // What has failed already is not waited for.
        let patience = if complaints.is_empty() { 1500 } else { 50 };
        complaints.extend(before.differences_after(world, Duration::from_millis(patience)));
        if complaints.is_empty() { Ok(()) } else { world::sweep(world, &before, runtime.caller) }
    }

    fn play(&self, written: &Value, words: Words, runtime: &Runtime) -> Outcome<()> {
        let mut stage = Stage::new(runtime, words, &self.refused)?;
        match written.get("steps").and_then(Value::as_array) {
            Some(list) => stage.play(list),
            None => stage.play(&[lone_step(written)]),
        }
    }

    /// What stands in its file under a key.
    pub fn written(&self, key: &str) -> Value {
        self.written.get(key).cloned().unwrap_or_default()
    }

    /// Makes its bundle anew, and nothing else.
    pub fn prepare(&self, words: &Words, runtime: &Runtime) -> Outcome<()> {
        let mut written = Value::Object(self.written.clone());
        bundle::fill_in(&mut written, words);
        self.make_bundle(&written, words, runtime)
    }

    fn make_bundle(&self, written: &Value, words: &Words, runtime: &Runtime) -> Outcome<()> {
        let bundle = Path::new(&words["BUNDLE"]);
        let rootfs = Path::new(&words["ROOTFS"]);
        bundle::make_rootfs(rootfs)?;
        bundle::empty(Path::new(CANARY))?;
        for (folder, key) in [(rootfs, "rootfs"), (Path::new(CANARY), "canary")] {
            if let Some(changes) = written.get(key).and_then(Value::as_object) {
                bundle::change_rootfs(folder, changes)?;
            }
        }
        let config = bundle.join("config.json");
        let text = match written.get("text") {
            Some(Value::Null) => return Ok(()),
            Some(text) => text.as_str().unwrap_or_default().to_string(),
            None => self.config(written, words, runtime)?.to_string(),
        };
        fs::write(&config, text).map_err(|why| format!("{}: {why}", config.display()))
    }

    /// Lets the caller own what the case begins with.
    fn give(words: &Words, runtime: &Runtime) -> Outcome<()> {
        [&words["DIR"], CANARY].into_iter().try_for_each(|path| runtime.caller.give(path))
    }

    fn config(&self, written: &Value, words: &Words, runtime: &Runtime) -> Outcome<Value> {
        let base = match written.get("base").and_then(Value::as_str) {
            None => DEFAULT_CONFIG.to_string(),
            Some("spec") => runtime.spec()?,
            Some(other) => return Err(format!("{other:?} is no base")),
        };
        let mut config: Value = serde_json::from_str(&base).map_err(|why| why.to_string())?;
        if let Some(name) = written.get("profile").and_then(Value::as_str) {
            let (_, text) = PROFILES.iter().find(|(known, _)| *known == name).ok_or(format!("{name:?} is no profile"))?;
            config["linux"]["seccomp"] = serde_json::from_str(text).map_err(|why| why.to_string())?;
        }
        bundle::merge(&mut config, &bundle::common_patch());
        if runtime.name == "crun" {
            config["ociVersion"] = json!("1.0.2"); // crun 1.8 refuses a later one
        }
        if runtime.caller == Caller::Alone {
            bundle::merge(&mut config, &json!({ "linux": { "cgroupsPath": null } }));
        }
        bundle::merge(&mut config, written.get("config").unwrap_or(&json!({})));
        let patch = runtime.caller.patch(&config);
        bundle::merge(&mut config, &patch);
        bundle::fill_in(&mut config, words);
        Ok(config)
    }
}

/// A case that tests the tests has to be complained about.
fn unless_noticed(expected: &str, complaints: &[String]) -> Vec<String> {
    let is_noticed = complaints.iter().any(|complaint| complaint.contains(expected));
    if is_noticed { Vec::new() } else { vec![format!("nobody noticed {expected:?}, only {complaints:?}")] }
}

/// A case without steps is one `run` in the foreground, whose expectations stand in the case itself.
fn lone_step(written: &Value) -> Value {
    let mut step = written.as_object().cloned().unwrap_or_default();
    step.retain(|key, _| steps::OCINIT_KEYS.contains(&key.as_str()));
    step.entry("ocinit").or_insert_with(|| json!(["run", "@ID@"]));
    Value::Object(step)
}

fn folder_of(number: usize) -> String {
    format!("{FOLDER}/{number}")
}

/// What the words stand for in a case of that number.
pub fn words(world: &World, runtime: &Runtime, number: usize) -> Words {
    let folder = folder_of(number);
    let id = format!("{}-{number}", world.name.replace("ocinit-test-", "t"));
    let mut words = Words::from([
        ("BUNDLE", format!("{folder}/bundle")),
        ("ROOTFS", format!("{folder}/bundle/rootfs")),
        ("DIR", folder),
        ("CGROUP", format!("{}/{id}", world.cgroup())),
        ("GROUPS", world.cgroup()),
        ("TREE", world.name.clone()),
        ("ROOT", STATE.to_string()),
        ("CANARY", CANARY.to_string()),
        ("RUNTIME", runtime.path.clone()),
        ("STORM", storm().to_string()),
        ("ID", id),
    ]);
    let spaces = [
        ("NS_PID", "pid"),
        ("NS_NET", "net"),
        ("NS_IPC", "ipc"),
        ("NS_UTS", "uts"),
        ("NS_MNT", "mnt"),
        ("NS_CGROUP", "cgroup"),
        ("NS_USER", "user"),
    ];
    let own = probe::namespaces();
    words.extend(spaces.map(|(word, name)| (word, own.get(name).and_then(Value::as_str).unwrap_or_default().to_string())));
    words
}

/// How long anything may take before it is said to hang; emulated machines are slower, and larger storms last longer.
pub fn patience() -> Duration {
    Duration::from_secs(if crate::is_slow() { 90 } else { 10 } * storm().div_ceil(USUAL_STORM))
}

const USUAL_STORM: u64 = 100;

/// How many at once in a storm: STORM of the environment.
fn storm() -> u64 {
    std::env::var("STORM").ok().and_then(|number| number.parse().ok()).unwrap_or(USUAL_STORM)
}
