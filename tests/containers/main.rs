//! The container tests' one program: it runs cases, is the payload that looks around, and the virtual machine's init.
//!
//! `containers cases [--folder DIR] [--runtime PATH] [--busybox PATH] [--as CALLER] [WORD…]` runs the cases whose names contain a word.

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use caller::Caller;
use case::{Case, Verdict};
use runtime::Runtime;
use sys::Outcome;
use world::World;

mod bundle;
mod caller;
mod case;
mod crash;
mod expect;
mod launch;
mod probe;
mod reaper;
mod refuse;
mod runtime;
mod screen;
mod sd_listener;
mod steps;
mod sys;
mod world;

#[path = "../vm/init.rs"]
mod init;
#[path = "../vm/initramfs.rs"]
mod initramfs;
#[path = "../bench/interleaved.rs"]
mod interleaved;
#[path = "../boot/peer.rs"]
mod peer;

#[cfg(target_arch = "x86_64")]
#[path = "../escape/disturb.rs"]
mod disturb;
#[cfg(target_arch = "x86_64")]
#[path = "../escape/supervise.rs"]
mod supervise;
#[cfg(target_arch = "x86_64")]
#[path = "../escape/tracee.rs"]
mod tracee;
#[cfg(target_arch = "x86_64")]
#[path = "../escape/trial.rs"]
mod trial;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    let program = arguments.first().and_then(|name| Path::new(name).file_name()).map(|name| name.to_string_lossy().into_owned());
    let result = match (program.as_deref(), arguments.get(1).map(String::as_str)) {
        (Some("containers"), Some("cases")) => cases(&arguments[2..]),
        #[cfg(target_arch = "x86_64")]
        (Some("containers"), Some("races")) => disturbed(disturb::Kind::Race, "races", &arguments[2..]),
        #[cfg(target_arch = "x86_64")]
        (Some("containers"), Some("faults")) => disturbed(disturb::Kind::Faults, "faults", &arguments[2..]),
        (Some("containers"), Some("initramfs")) => initramfs::write(&arguments[2..]),
        (Some("containers"), Some("bench")) => interleaved::run(&arguments[2..]),
        (Some("containers"), Some("peer")) => peer::run(&arguments[2..]),
        (Some("containers"), Some("receive-terminal")) => receive_terminal(&arguments[2..]),
        (Some("containers"), _) => Err("wants a command: cases, initramfs, bench, receive-terminal".into()),
        (Some("init"), _) if std::process::id() == 1 => Ok(init::run()),
        _ => Ok(probe::run(&arguments)),
    };
    match result {
        Ok(code) => ExitCode::from(code as u8),
        Err(why) => {
            eprintln!("containers: {why}");
            ExitCode::FAILURE
        }
    }
}

/// `receive-terminal SOCKET`: waits for the terminal of a detached container, and shows what is written to it until its end.
fn receive_terminal(arguments: &[String]) -> Outcome<i32> {
    let socket = arguments.first().ok_or("wants a socket")?;
    let screen = screen::Screen::of_socket(socket)?;
    let text = screen.await_end(Duration::from_secs(60))?;
    print!("{text}");
    Ok(0)
}

/// Whether this is our own virtual machine, which is emulated and belongs to the tests alone.
pub fn is_virtual_machine() -> bool {
    std::env::var_os("OCINIT_TEST_VM").is_some()
}

pub fn is_slow() -> bool {
    is_virtual_machine()
}

/// What to run, from the command line and the environment.
struct Choice {
    folder: String,
    /// As whom the runtime is called: root unless it is said, the one after the other, with commas.
    callers: String,
    runtime: String,
    busybox: String,
    words: Vec<String>,
    refused: String,
    /// The same runtime, built so that tests can take its defences away.
    undefended: Option<String>,
}

fn choice(arguments: &[String]) -> Outcome<Choice> {
    let refused = std::env::var("OCINIT_TEST_REFUSE").unwrap_or_default();
    let top = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    let mut choice = Choice {
        folder: format!("{top}/tests/containers/cases"),
        callers: "root".into(),
        runtime: format!("{top}/target/dist/x86_64-unknown-linux-musl/ocinit"),
        busybox: "/bin/busybox".into(),
        words: Vec::new(),
        refused,
        undefended: None,
    };
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        let place = match argument.as_str() {
            "--folder" => &mut choice.folder,
            "--runtime" => &mut choice.runtime,
            "--busybox" => &mut choice.busybox,
            "--as" => &mut choice.callers,
            "--undefended" => choice.undefended.insert(String::new()),
            word => {
                choice.words.push(word.to_string());
                continue;
            }
        };
        *place = rest.next().ok_or(format!("{argument} wants a value"))?.clone();
    }
    Ok(choice)
}

fn cases(arguments: &[String]) -> Outcome<i32> {
    let choice = choice(arguments)?;
    world::inside(|world| match run_cases(world, &choice) {
        Ok(code) => code,
        Err(why) => {
            eprintln!("containers: {why}");
            2
        }
    })
}

/// `races` and `faults`: trials with something swapped, or a system call failing, at each position. One of STRIDE by SEED, for at most SECONDS.
#[cfg(target_arch = "x86_64")]
fn disturbed(kind: disturb::Kind, folder: &str, arguments: &[String]) -> Outcome<i32> {
    let choice = choice(arguments)?;
    let number = |name: &str, otherwise: u64| std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise);
    let amount =
        disturb::Amount { stride: number("STRIDE", 1), seed: number("SEED", 1), most: Duration::from_secs(number("SECONDS", 24 * 3600)) };
    let folder = format!("{}/../{folder}", choice.folder);
    world::inside(|world| {
        let done = bundle::provide(&choice.busybox, Path::new("/proc/self/exe"))
            .and_then(|()| Runtime::new(&choice.runtime, refuse::numbers(&choice.refused)?))
            .and_then(|runtime| disturb::run(kind, &folder, world, &runtime, &choice.words, &amount));
        done.unwrap_or_else(|why| {
            eprintln!("containers: {why}");
            2
        })
    })
}

fn run_cases(world: &World, choice: &Choice) -> Outcome<i32> {
    bundle::provide(&choice.busybox, Path::new("/proc/self/exe"))?;
    let runtime = Runtime::new(&choice.runtime, refuse::numbers(&choice.refused)?)?;
    let mut cases = case::read_all(&choice.folder)?;
    let undefended = match &choice.undefended {
        Some(path) => {
            cases.extend(cases.iter().filter_map(Case::without_defence).collect::<Vec<_>>());
            Runtime::new(path, Vec::new())?
        }
        None => runtime.clone(),
    };
    // Other runtimes are only asked whether the cases are right.
    if runtime.name == "ocinit" {
        let again: Vec<_> =
            refuse::sets().iter().flat_map(|set| cases.iter().filter_map(|case| case.without_calls(set)).collect::<Vec<_>>()).collect();
        cases.extend(again);
    }
    cases.retain(|case| choice.words.is_empty() || choice.words.iter().any(|word| case.name.contains(word.as_str())));
    let mut all = Count::default();
    for name in choice.callers.split(',') {
        let caller = Caller::named(name)?;
        caller.settle(world)?;
        let (runtime, undefended) = (runtime.called_by(caller), undefended.called_by(caller));
        let count = run_all(world, &cases, &runtime, &undefended);
        println!(
            "with {}, {}, {}:",
            runtime.name,
            if is_virtual_machine() { "in a virtual machine" } else { "on the host" },
            caller.about()
        );
        println!("{count}");
        all.add(&count);
    }
    if choice.callers.contains(',') {
        println!("{all}");
    }
    Ok(i32::from(all.failed > 0 || all.passed == 0))
}

/// How many cases ended how.
#[derive(Default)]
struct Count {
    passed: usize,
    failed: usize,
    skipped: usize,
}

impl Count {
    fn add(&mut self, other: &Count) {
        (self.passed, self.failed, self.skipped) = (self.passed + other.passed, self.failed + other.failed, self.skipped + other.skipped);
    }
}

impl std::fmt::Display for Count {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped)
    }
}

fn run_all(world: &World, cases: &[Case], runtime: &Runtime, undefended: &Runtime) -> Count {
    let mut count = Count::default();
    for (number, case) in cases.iter().filter(|case| case.is_for(runtime.caller)).enumerate() {
        let begin = Instant::now();
        let runtime = if case.undefended.is_empty() { runtime } else { &undefended.without_defence(&case.undefended) };
        let verdict = case.run(world, runtime, number + 1);
        let took = begin.elapsed().as_millis();
        match verdict {
            Verdict::Passed => {
                println!("ok    {} ({took} ms)", case.name);
                count.passed += 1;
            }
            Verdict::Skipped(why) => {
                println!("skip  {}: {why}", case.name);
                count.skipped += 1;
            }
            Verdict::Failed(complaints) => {
                println!("FAIL  {} ({took} ms)", case.name);
                complaints.iter().for_each(|line| println!("      {line}"));
                count.failed += 1;
            }
        }
    }
    count
}
