//! The steps of a case: calls of the runtime, looks at what became of them, and hands on terminals and signals.

use std::collections::BTreeMap;
use std::time::Instant;

use serde_json::{Map, Value, json};

use crate::bundle::Words;
use crate::case::{only_known, patience};
use crate::expect;
use crate::launch::{Ended, Launch, Running, read};
use crate::reaper;
use crate::refuse;
use crate::runtime::Runtime;
use crate::screen::Screen;
use crate::sd_listener::Manager;
use crate::sys::{self, Outcome, Refusal};

/// The keys of a step that calls the runtime, and of a case that is a single such step.
pub const OCINIT_KEYS: [&str; 17] = [
    "user", "ocinit", "global", "bare", "exit", "error", "stdout", "stderr", "probe", "stdin", "env", "folder", "inherit", "terminal",
    "as", "refuse", "groups",
];

/// The verbs of steps, with the keys that go with each.
#[rustfmt::skip]
const VERBS: [(&str, &[&str], Verb); 17] = [
    ("ocinit", &OCINIT_KEYS, Stage::call),
    ("sh", &["sh", "exit", "stdout", "stderr", "env", "user"], Stage::shell),
    ("file", &["file", "text"], Stage::file),
    ("await", &["await", "text"], Stage::await_file),
    ("await_status", &["await_status", "of"], Stage::await_status),
    ("join", &["join", "exit", "error", "stdout", "stderr", "probe"], Stage::join),
    ("signal", &["signal", "to"], Stage::signal),
    ("take_orphans", &["take_orphans"], Stage::take_orphans),
    ("console", &["console"], Stage::console),
    ("agent", &["agent"], Stage::agent),
    ("type", &["type", "on"], Stage::type_in),
    ("shows", &["shows", "on"], Stage::shows),
    ("was_sent", &["was_sent", "on"], Stage::was_sent),
    ("resize", &["resize", "on"], Stage::resize),
    ("manager", &["manager"], Stage::manager),
    ("was_told", &["was_told", "on"], Stage::was_told),
    ("kill_during", &["kill_during", "before", "stride"], Stage::kill_during),
];

type Verb = fn(&mut Stage, &Map<String, Value>) -> Outcome<()>;

/// Where a case plays: what it has running and may refer to by name.
pub struct Stage {
    runtime: Runtime,
    words: Words,
    refused: Vec<Refusal>,
    running: BTreeMap<String, Running>,
    consoles: BTreeMap<String, Screen>,
    managers: BTreeMap<String, Manager>,
    count: usize,
}

impl Stage {
    pub fn new(runtime: &Runtime, words: Words, refused: &str) -> Outcome<Stage> {
        let refused = [runtime.refused.clone(), refuse::numbers(refused)?].concat();
        Ok(Stage {
            runtime: runtime.clone(),
            words,
            refused,
            running: BTreeMap::new(),
            consoles: BTreeMap::new(),
            managers: BTreeMap::new(),
            count: 0,
        })
    }

    /// Plays the steps in order and stops at the first that goes otherwise than written.
    pub fn play(&mut self, steps: &[Value]) -> Outcome<()> {
        reaper::take_orphans(true)?;
        for (index, step) in steps.iter().enumerate() {
            let mut step = step.clone();
            crate::bundle::fill_in(&mut step, &self.words);
            self.step(&step).map_err(|why| format!("step {}: {why}", index + 1))?;
        }
        match self.running.keys().next() {
            Some(name) => Err(format!("{name:?} was started and not joined")),
            None => Ok(()),
        }
    }

    fn step(&mut self, step: &Value) -> Outcome<()> {
        let step = step.as_object().ok_or("a step is an object")?;
        let (name, keys, verb) = VERBS.iter().find(|(name, ..)| step.contains_key(*name)).ok_or(format!("no verb in {step:?}"))?;
        only_known(step, keys)?;
        let about = step[*name].as_array().map_or_else(|| step[*name].to_string(), |list| strings(list).join(" "));
        verb(self, step).map_err(|why| format!("{name} {about}: {why}"))
    }

    // ---- the runtime

    fn call(&mut self, step: &Map<String, Value>) -> Outcome<()> {
        let launch = self.launch(step)?;
        let log = self.next_log();
        let running = launch.start(&log)?;
        match text(step, "as") {
            Some(name) => {
                self.running.insert(name, running);
                Ok(())
            }
            None => judge(step, &running.wait(patience())?, self.is_ours()),
        }
    }

    fn launch(&self, step: &Map<String, Value>) -> Outcome<Launch> {
        let mut arguments = vec![self.runtime.path.clone()];
        if step.get("bare") != Some(&json!(true)) {
            arguments.extend(["--root".to_string(), self.words["ROOT"].clone()]);
        }
        for key in ["global", "ocinit"] {
            arguments.extend(step.get(key).and_then(Value::as_array).map(|list| strings(list)).unwrap_or_default());
        }
        Ok(Launch {
            arguments,
            folder: text(step, "folder").unwrap_or_else(|| self.words["BUNDLE"].clone()),
            environment: [self.runtime.environment.clone(), environment(step)].concat(),
            input: text(step, "stdin").unwrap_or_default(),
            inherited: pairs(step, "inherit").into_iter().filter_map(|(number, path)| Some((number.parse().ok()?, path))).collect(),
            terminal: step.get("terminal").and_then(size),
            refused: [self.refused.clone(), refuse::numbers(&text(step, "refuse").unwrap_or_default())?].concat(),
            is_traced: false,
            groups: step
                .get("groups")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
                .filter_map(Value::as_u64)
                .map(|id| id as u32)
                .collect(),
            user: self.user(step),
        })
    }

    /// As whom a step is done: the caller, unless it says so.
    fn user(&self, step: &Map<String, Value>) -> Option<u32> {
        step.get("user").and_then(Value::as_u64).map(|id| id as u32).or(self.runtime.caller.user())
    }

    fn is_ours(&self) -> bool {
        self.runtime.name == "ocinit"
    }

    fn next_log(&mut self) -> String {
        self.count += 1;
        format!("{}/step-{}", self.words["DIR"], self.count)
    }

    fn join(&mut self, step: &Map<String, Value>) -> Outcome<()> {
        let name = text(step, "join").unwrap_or_default();
        let running = self.running.remove(&name).ok_or("nothing of that name runs")?;
        judge(step, &running.wait(patience())?, self.is_ours())
    }

    fn signal(&mut self, step: &Map<String, Value>) -> Outcome<()> {
        let name = text(step, "to").unwrap_or_default();
        let running = self.running.get(&name).ok_or("nothing of that name runs")?;
        let signal = match text(step, "signal").as_deref() {
            Some("TERM") => libc::SIGTERM,
            Some("INT") => libc::SIGINT,
            Some("USR1") => libc::SIGUSR1,
            Some("HUP") => libc::SIGHUP,
            Some("KILL") => libc::SIGKILL,
            Some("WINCH") => libc::SIGWINCH,
            other => return Err(format!("{other:?} is no signal that cases send")),
        };
        sys::kill(running.pid, signal)
    }

    /// Whether process 1, which we are, takes the exits of orphans at once.
    fn take_orphans(&mut self, step: &Map<String, Value>) -> Outcome<()> {
        reaper::take_orphans(step["take_orphans"].as_bool().ok_or("true or false")?)
    }

    /// Kills the runtime at each of its system calls in turn; whatever it leaves, `delete --force` must clean up.
    fn kill_during(&mut self, step: &Map<String, Value>) -> Outcome<()> {
        let stride = step.get("stride").and_then(Value::as_u64).unwrap_or(1) * if crate::is_slow() { 11 } else { 1 };
        let before = step.get("before").and_then(Value::as_array).cloned().unwrap_or_default();
        let (mut moment, mut kills) = (1, 0);
        let mut call = step.clone();
        call.insert("ocinit".into(), step["kill_during"].clone());
        loop {
            before.iter().try_for_each(|step| self.step(step))?;
            let launch = Launch { is_traced: true, ..self.launch(&call)? };
            let log = self.next_log();
            let was_killed = crate::crash::at_call(launch, &log, moment)?;
            self.clean_up(&log).map_err(|why| format!("killed at its system call {moment}: {why}"))?;
            if !was_killed {
                println!("      (killed {kills} times, {stride} system calls apart)");
                // One that ends before it is killed once shows nothing.
                return if kills > 0 { Ok(()) } else { Err("was never killed".into()) };
            }
            (moment, kills) = (moment + stride, kills + 1);
        }
    }

    fn clean_up(&mut self, log: &str) -> Outcome<()> {
        let arguments = json!({ "ocinit": ["delete", "--force", self.words["ID"]] });
        let launch = self.launch(arguments.as_object().ok_or("no step")?)?;
        let ended = launch.start(&format!("{log}-delete"))?.wait(patience())?;
        judge(&Map::new(), &ended, self.is_ours()).map_err(|why| format!("delete --force: {why}"))?;
        crate::crash::nothing_remains(&self.words)
    }

    // ---- looks at files and states

    fn shell(&mut self, step: &Map<String, Value>) -> Outcome<()> {
        let busybox = format!("{}/busybox", crate::world::FOLDER);
        let mut environment = [self.runtime.environment.clone(), environment(step)].concat();
        environment.extend(self.words.iter().map(|(word, meaning)| (word.to_string(), meaning.clone())));
        let arguments = [&busybox, "sh", "-eu", "-c", &text(step, "sh").unwrap_or_default()].map(str::to_string).to_vec();
        let log = self.next_log();
        let launch = Launch { arguments, folder: self.words["BUNDLE"].clone(), environment, user: self.user(step), ..Launch::default() };
        judge(step, &launch.start(&log)?.wait(patience())?, self.is_ours())
    }

    fn file(&mut self, step: &Map<String, Value>) -> Outcome<()> {
        let path = text(step, "file").unwrap_or_default();
        let found = std::fs::read(&path).map_err(|why| why.to_string())?;
        expect::text(&step["text"], &String::from_utf8_lossy(&found))
    }

    fn await_file(&mut self, step: &Map<String, Value>) -> Outcome<()> {
        let path = text(step, "await").unwrap_or_default();
        self.until(|_| expect::text(step.get("text").unwrap_or(&json!({"like": "?*"})), &read(&path)))
    }

    fn await_status(&mut self, step: &Map<String, Value>) -> Outcome<()> {
        let id = text(step, "of").unwrap_or_else(|| self.words["ID"].clone());
        let expected = json!({ "status": step["await_status"] });
        let call = json!({ "ocinit": ["state", id] });
        let call = call.as_object().ok_or("no step")?.clone();
        self.until(move |stage| {
            let log = stage.next_log();
            let ended = stage.launch(&call)?.start(&log)?.wait(patience())?;
            expect::text(&json!({ "json": expected }), &ended.output).map_err(|why| format!("{why}; {:?}", ended.errors))
        })
    }

    fn until(&mut self, mut look: impl FnMut(&mut Self) -> Outcome<()>) -> Outcome<()> {
        let end = Instant::now() + patience();
        loop {
            match look(self) {
                Err(why) if Instant::now() > end => return Err(why),
                Err(_) => std::thread::sleep(std::time::Duration::from_millis(3)),
                Ok(()) => return Ok(()),
            }
        }
    }

    // ---- a service manager

    /// Listens behind `@DIR@/NAME.sock` for what is said by sd_notify(3).
    fn manager(&mut self, step: &Map<String, Value>) -> Outcome<()> {
        let name = text(step, "manager").unwrap_or_default();
        let manager = Manager::listen(&self.socket(&name))?;
        self.runtime.caller.give(&self.socket(&name))?;
        self.managers.insert(name, manager);
        Ok(())
    }

    /// What it was told in the end, message for message, each with its line's end.
    fn was_told(&mut self, step: &Map<String, Value>) -> Outcome<()> {
        let manager = self.managers.get(&text(step, "on").unwrap_or_default()).cloned().ok_or("there is no such manager")?;
        self.until(|_| expect::text(&step["was_told"], &manager.told()))
    }

    // ---- terminals

    fn agent(&mut self, step: &Map<String, Value>) -> Outcome<()> {
        let name = text(step, "agent").unwrap_or_default();
        let agent = Screen::of_agent(&self.socket(&name))?;
        self.runtime.caller.give(&self.socket(&name))?;
        self.consoles.insert(name, agent);
        Ok(())
    }

    fn console(&mut self, step: &Map<String, Value>) -> Outcome<()> {
        let name = text(step, "console").unwrap_or_default();
        let screen = Screen::of_socket(&self.socket(&name))?;
        self.runtime.caller.give(&self.socket(&name))?;
        self.consoles.insert(name, screen);
        Ok(())
    }

    fn socket(&self, name: &str) -> String {
        format!("{}/{name}.sock", self.words["DIR"])
    }

    fn screen(&self, step: &Map<String, Value>) -> Outcome<Screen> {
        let name = text(step, "on").unwrap_or_default();
        let own = self.running.get(&name).and_then(|running| running.screen.clone());
        own.or_else(|| self.consoles.get(&name).cloned()).ok_or(format!("no terminal is called {name:?}"))
    }

    fn type_in(&mut self, step: &Map<String, Value>) -> Outcome<()> {
        self.screen(step)?.type_in(&text(step, "type").unwrap_or_default())
    }

    fn shows(&mut self, step: &Map<String, Value>) -> Outcome<()> {
        self.screen(step)?.await_text(&text(step, "shows").ok_or("shows what?")?, patience())
    }

    /// What the runtime said along with the terminal.
    fn was_sent(&mut self, step: &Map<String, Value>) -> Outcome<()> {
        expect::text(&step["was_sent"], &self.screen(step)?.payload())
    }

    fn resize(&mut self, step: &Map<String, Value>) -> Outcome<()> {
        let (rows, columns) = size(&step["resize"]).ok_or("a size is [rows, columns]")?;
        self.screen(step)?.resize(rows, columns)
    }
}

/// Compares an end with what the step expects: exit 0 unless said otherwise; `error` is exit 1 with one line that says why.
fn judge(step: &Map<String, Value>, ended: &Ended, is_ours: bool) -> Outcome<()> {
    let expected = step.get("exit").cloned().unwrap_or(json!(i32::from(step.contains_key("error"))));
    let is_among = expected.as_array().is_some_and(|list| list.contains(&json!(ended.exit)));
    if !is_among && expected != json!(ended.exit) {
        return Err(format!("exit code {}, not {expected}; stdout {:?}, stderr {:?}", ended.exit, ended.output, ended.errors));
    }
    if let Some(error) = step.get("error") {
        let demand = if error.is_object() { error.clone() } else { json!({ "contains": error }) };
        let errors = if is_ours { ended.errors.clone() } else { without_warnings(&ended.errors) };
        expect::text(&demand, &errors).map_err(|why| format!("stderr {why}"))?;
        expect::text(&json!({ "lines": 1 }), &errors).map_err(|why| format!("stderr {why}"))?;
    }
    if let Some(about) = step.get("probe") {
        expect::text(&json!({ "json": about }), &ended.output)
            .map_err(|why| format!("the probe found: {why}; stderr {:?}", ended.errors))?;
    }
    for (key, found) in [("stdout", &ended.output), ("stderr", &ended.errors)] {
        if let Some(demand) = step.get(key) {
            expect::text(demand, found).map_err(|why| format!("{key} {why}"))?;
        }
    }
    Ok(())
}

/// runc warns of controllers that are missing before it says what is wrong.
fn without_warnings(errors: &str) -> String {
    errors.lines().filter(|line| !line.contains("level=warning")).map(|line| format!("{line}\n")).collect()
}

fn environment(step: &Map<String, Value>) -> Vec<(String, String)> {
    let path = ("PATH".to_string(), "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_string());
    [path].into_iter().chain(pairs(step, "env")).collect()
}

fn pairs(step: &Map<String, Value>, key: &str) -> Vec<(String, String)> {
    let object = step.get(key).and_then(Value::as_object).into_iter().flatten();
    object.map(|(key, value)| (key.clone(), value.as_str().unwrap_or_default().to_string())).collect()
}

fn size(value: &Value) -> Option<(u16, u16)> {
    Some((value.get(0)?.as_u64()? as u16, value.get(1)?.as_u64()? as u16))
}

fn text(step: &Map<String, Value>, key: &str) -> Option<String> {
    step.get(key)?.as_str().map(str::to_string)
}

fn strings(list: &[Value]) -> Vec<String> {
    list.iter().filter_map(|item| item.as_str().map(str::to_string)).collect()
}
