//! A trial: one command of a runtime from the same beginning again and again, each time with another disturbance, and what may not come of it.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

use crate::bundle::Words;
use crate::case::{self, Case};
use crate::launch::{Ended, Launch};
use crate::runtime::Runtime;
use crate::supervise::{self, Act, Call};
use crate::sys::{Outcome, Refusal};
use crate::tracee;
use crate::world::{self, Snapshot, World};

/// What `trials/*.json` says beyond a case's bundle.
pub struct Trial<'w> {
    pub name: String,
    case: Case,
    world: &'w World,
    runtime: Runtime,
    /// The command that is disturbed, what comes before it and after it.
    command: Vec<String>,
    before: Vec<Vec<String>>,
    after: Vec<Vec<String>>,
    terminal: bool,
    refused: Vec<Refusal>,
    /// The program whose calls are disturbed, if it is not the runtime but what it starts; and where the payload's report is then.
    pub inside: String,
    report_at: String,
    /// Path in the bundle or canary, and what link takes its place for a moment.
    pub swaps: Vec<(String, String)>,
    pub words: Words,
}

/// What a trial is like when nothing is disturbed.
pub struct Undisturbed {
    pub calls: Vec<Call>,
    /// What the payload finds.
    pub report: Value,
    pub ended: Ended,
}

/// What became of one disturbance.
pub struct Outcomes {
    pub ended: Outcome<Ended>,
    /// What the payload found, if it ran.
    pub report: Option<Value>,
    /// What is not as before, at once and after `delete --force`.
    pub left: Vec<String>,
    pub stays: Vec<String>,
    /// Whether a command after it failed, and so told.
    pub is_told_later: bool,
    /// Whether the call came at all: the order in which processes run may differ.
    pub is_met: bool,
}

/// When and how a swap is made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Swap {
    /// From that call on, until the program begins.
    FromHere,
    /// For that call alone.
    Blink,
}

impl<'w> Trial<'w> {
    pub fn read_all(folder: &str, world: &'w World, runtime: &Runtime) -> Outcome<Vec<Trial<'w>>> {
        case::read_all(folder)?.into_iter().map(|case| Trial::new(case, world, runtime)).collect()
    }

    fn new(case: Case, world: &'w World, runtime: &Runtime) -> Outcome<Trial<'w>> {
        let words = case::words(world, runtime, 1);
        let mut written = case.written("trial");
        crate::bundle::fill_in(&mut written, &words);
        let list = |key: &str| lists(written.get(key).unwrap_or(&json!([])));
        let swaps = written.get("swaps").and_then(Value::as_array).into_iter().flatten();
        let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_string();
        Ok(Trial {
            name: case.name.clone(),
            world,
            runtime: runtime.clone(),
            command: lists(&json!([written.get("of").ok_or("a trial of what?")?])).concat(),
            before: list("before"),
            after: list("after"),
            terminal: written.get("terminal") == Some(&json!(true)),
            inside: text(written.get("inside")),
            report_at: text(written.get("report")),
            refused: crate::refuse::numbers(&text(written.get("refuse")))?,
            swaps: swaps.map(|pair| (text(pair.get(0)), text(pair.get(1)))).collect(),
            case,
            words,
        })
    }

    /// Every call of an undisturbed run, what the payload finds then, and what is said.
    pub fn calls(&self) -> Outcome<Undisturbed> {
        let mut calls = Vec::new();
        let outcomes = self.disturbed(&[], &mut |call| {
            calls.push(call);
            Act::Make
        })?;
        let ended = outcomes.ended?;
        if ended.exit != 0 && self.inside.is_empty() || !outcomes.left.is_empty() {
            return Err(format!("undisturbed: exit {}, {:?}, {:?}", ended.exit, ended.errors, outcomes.left));
        }
        if !self.inside.is_empty() {
            calls.retain(|call| call.process >= supervise::INSIDE);
        }
        calls.sort();
        Ok(Undisturbed { calls, report: outcomes.report.unwrap_or(Value::Null), ended })
    }

    /// Lets one call fail.
    pub fn with_fault(&self, at: Call, errno: i32) -> Outcome<Outcomes> {
        let mut is_met = false;
        let outcomes = self.disturbed(&[], &mut |call| {
            if call != at {
                return Act::Make;
            }
            is_met = true;
            Act::Fail(errno)
        })?;
        Ok(Outcomes { is_met, ..outcomes })
    }

    /// Swaps a path with a link when a call is about to be made.
    pub fn with_swap(&self, at: Call, number: usize, swap: Swap) -> Outcome<Outcomes> {
        let path = &self.swaps[number].0;
        let exchange = || tracee::exchange(path, &format!("{path}.other{number}"));
        let is_swapped = std::cell::Cell::new(false);
        let back = || if is_swapped.take() { exchange() } else { Ok(()) };
        let mut is_met = false;
        let outcomes = self.disturbed(&[&back], &mut |call| {
            if call != at {
                return Act::Make;
            }
            is_met = true;
            is_swapped.set(exchange().is_ok()); // or the path is not there yet
            if swap == Swap::Blink { Act::Watch } else { Act::Make }
        })?;
        Ok(Outcomes { is_met, ..outcomes })
    }

    fn disturbed(&self, after: &[&dyn Fn() -> Outcome<()>], before: &mut dyn FnMut(Call) -> Act) -> Outcome<Outcomes> {
        self.case.prepare(&self.words, &self.runtime)?;
        for (number, (path, link)) in self.swaps.iter().enumerate() {
            let other = format!("{path}.other{number}");
            std::os::unix::fs::symlink(link, &other).map_err(|why| format!("{other}: {why}"))?;
        }
        let start = Snapshot::take(self.world);
        for (index, command) in self.before.iter().enumerate() {
            let ended = self.launch(command).start(&self.log(&format!("before-{index}")))?.wait(case::patience())?;
            if ended.exit != 0 {
                return Err(format!("{}: {} failed: {:?}", self.name, command.join(" "), ended.errors));
            }
        }
        let log = self.log("trial");
        let ended = supervise::run(self.launch(&self.command), &log, &self.inside, before, &mut || {
            after.iter().for_each(|work| drop(work()));
        });
        let mut is_told_later = false;
        for (index, command) in self.after.iter().enumerate() {
            let after = self.launch(command).start(&self.log(&format!("after-{index}")))?.wait(case::patience());
            is_told_later |= after.is_ok_and(|after| after.exit != 0 && !after.errors.is_empty());
        }
        if !self.after.is_empty() || self.command[0] == "start" {
            self.await_end();
        }
        let mut left = start.differences(&Snapshot::take(self.world));
        if !left.is_empty() && self.before.is_empty() && self.after.is_empty() {
            left = start.differences_that_stay(self.world);
        }
        let texts = ["trial", "before-0"].map(|name| crate::launch::read(format!("{}.out", self.log(name))));
        let text = if !self.report_at.is_empty() {
            crate::launch::read(&self.report_at)
        } else if self.terminal {
            ended.as_ref().map(|ended| ended.output.clone()).unwrap_or_default()
        } else {
            texts.concat()
        };
        let report = text.lines().find(|line| line.starts_with('{')).and_then(|line| serde_json::from_str(line).ok());
        let mut stays = left.clone();
        if !stays.is_empty() {
            let delete = ["delete", "--force", &self.words["ID"]].map(str::to_string);
            let _ = self.launch(&delete).start(&self.log("delete"))?.wait(case::patience());
            stays = start.differences_that_stay(self.world);
        }
        if !self.before.is_empty() || !self.after.is_empty() {
            left = Vec::new(); // it is alive, and meant to be
        }
        if !stays.is_empty() {
            world::sweep(self.world, &start, self.runtime.caller)?;
        }
        let _ = std::fs::remove_dir_all(&self.words["DIR"]);
        Ok(Outcomes { ended, report, left, stays, is_told_later, is_met: true })
    }

    /// The payload looks around and ends.
    fn await_end(&self) {
        // The machine may be busy.
        const MOST: Duration = Duration::from_secs(10);
        let begin = Instant::now();
        while begin.elapsed() < MOST {
            let pid = crate::launch::read(format!("{}/cgroup.procs", self.words["CGROUP"]));
            if pid.trim().is_empty() || !Path::new(&self.words["CGROUP"]).exists() {
                return;
            }
            std::thread::sleep(Duration::from_millis(1));
            let _ = crate::reaper::reap();
        }
    }

    fn log(&self, name: &str) -> String {
        format!("{}/{name}", self.words["DIR"])
    }

    fn launch(&self, command: &[String]) -> Launch {
        let global = [self.runtime.path.clone(), "--root".to_string(), self.words["ROOT"].clone()];
        let path = ("PATH".to_string(), "/usr/sbin:/usr/bin:/sbin:/bin".to_string());
        Launch {
            arguments: [&global[..], command].concat(),
            folder: self.words["BUNDLE"].clone(),
            environment: [self.runtime.environment.clone(), vec![path]].concat(),
            terminal: self.terminal.then_some((24, 80)),
            refused: self.refused.clone(),
            ..Launch::default()
        }
    }
}

fn lists(value: &Value) -> Vec<Vec<String>> {
    let inner = |list: &Value| list.as_array().into_iter().flatten().filter_map(|word| word.as_str().map(str::to_string)).collect();
    value.as_array().into_iter().flatten().map(inner).collect()
}

/// A path as it was called before a swap.
fn as_before(path: &str) -> String {
    let cut = path.find(".other").map(|start| (&path[..start], path[start + 6..].trim_start_matches(|c: char| c.is_ascii_digit())));
    cut.map_or(path.to_string(), |(head, tail)| format!("{head}{tail}"))
}

/// A mount's peers are numbered anew in each run.
fn without_peers(value: &Value) -> String {
    let mut value = value.clone();
    for peers in value.get_mut("propagation").and_then(Value::as_array_mut).into_iter().flatten() {
        *peers = json!(peers.as_str().unwrap_or_default().trim_end_matches(|letter: char| letter.is_ascii_digit()));
    }
    value.to_string()
}

/// Of what the payload found that on which security rests, and which is the same in every run.
pub fn essence(report: &Value, own: &Map<String, Value>) -> BTreeMap<String, String> {
    const WHOLE: [&str; 14] = [
        "cwd",
        "umask",
        "hostname",
        "domainname",
        "fds",
        "dumpable",
        "mounts",
        "limits",
        "cgroup",
        "oom_score_adj",
        "affinity",
        "personality",
        "scheduler",
        "did",
    ];
    const STATUS: [&str; 11] =
        ["Uid", "Gid", "Groups", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp", "SigIgn"];
    let mut found = BTreeMap::new();
    for key in WHOLE {
        match report[key].as_object() {
            Some(parts) => {
                found.extend(parts.iter().map(|(part, value)| (format!("{key} {}", as_before(part)), as_before(&without_peers(value)))));
            }
            None => drop(found.insert(key.to_string(), report[key].to_string())),
        }
    }
    found.extend(STATUS.iter().map(|key| (key.to_string(), report["status"][key].to_string())));
    for (name, own) in own {
        found.insert(format!("ns {name}"), format!("{}", report["ns"][name] == *own));
    }
    found
}
