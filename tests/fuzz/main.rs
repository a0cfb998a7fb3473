//! `fuzz SECONDS SEED [TARGET…]`: gives mutated inputs to each target for so long; what makes one panic, loop or contradict itself is printed.
//!
//! Without coverage: the corpora are real files, and mutations know JSON. The same seed gives the same inputs.

mod host;
mod mutate;
mod targets;

// ocinit-host is a program, not a library: its parts that read what others wrote.
#[allow(dead_code, reason = "not all of it is called here")]
#[path = "../../cross/host/src/archive.rs"]
mod archive;
#[allow(dead_code, reason = "not all of it is called here")]
#[path = "../../cross/host/src/layer.rs"]
mod layer;
#[allow(dead_code, reason = "not all of it is called here")]
#[path = "../../cross/host/src/layout.rs"]
mod layout;
#[allow(dead_code, reason = "not all of it is called here")]
#[path = "../../cross/host/src/progress.rs"]
mod progress;
#[allow(dead_code, reason = "not all of it is called here")]
#[path = "../../cross/host/src/stream.rs"]
mod stream;
#[allow(dead_code, reason = "not all of it is called here")]
#[path = "../../cross/host/src/text.rs"]
mod text;
#[allow(dead_code, reason = "not all of it is called here")]
#[path = "../../cross/host/src/tree.rs"]
mod tree;

use std::panic;
use std::time::{Duration, Instant};

use mutate::Random;

/// As those parts know them.
pub type Error = String;
pub type Result<T> = std::result::Result<T, String>;

/// No input may keep a target longer.
const MOST: Duration = Duration::from_secs(2);

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |place: usize, otherwise: u64| arguments.get(place).and_then(|text| text.parse().ok()).unwrap_or(otherwise);
    let (seconds, seed) = (number(0, 10), number(1, 1));
    let wanted = arguments.get(2..).unwrap_or_default();
    let chosen: Vec<_> = targets::ALL.iter().filter(|target| wanted.is_empty() || wanted.iter().any(|name| name == target.name)).collect();
    panic::set_hook(Box::new(|_| {})); // what panicked is printed below
    let share = Duration::from_secs(seconds) / chosen.len().max(1) as u32;
    let (mut passed, mut failed, mut total) = (0, 0, 0);
    for target in chosen {
        let (count, findings) = one(target, share, seed);
        println!("{:<5} {}: {count} executions", if findings == 0 { "ok" } else { "FAIL" }, target.name);
        total += count;
        if findings == 0 { passed += 1 } else { failed += 1 }
    }
    host::clean_up();
    println!("{total} executions with seed {seed}");
    println!("{passed} passed, {failed} failed, 0 skipped");
    std::process::exit(i32::from(failed > 0 || passed == 0));
}

fn one(target: &targets::Target, share: Duration, seed: u64) -> (u64, u32) {
    const MOST_FINDINGS: u32 = 5;
    let corpus = (target.corpus)();
    let mut random = Random::new(seed);
    let mut memory = targets::Memory::new();
    let (begin, mut count, mut findings) = (Instant::now(), 0, 0);
    while begin.elapsed() < share && findings < MOST_FINDINGS {
        // First each as it is.
        let input = corpus.get(count as usize).cloned().unwrap_or_else(|| random.mutated(&corpus));
        count += 1;
        let started = Instant::now();
        let result = panic::catch_unwind(panic::AssertUnwindSafe(|| (target.run)(&input, &mut memory)));
        let complaint = match result {
            Err(why) => Some(match (why.downcast_ref::<String>(), why.downcast_ref::<&str>()) {
                (Some(text), _) => format!("panics: {text}"),
                (_, Some(text)) => format!("panics: {text}"),
                _ => "panics".into(),
            }),
            Ok(Err(why)) => Some(why),
            // Again, for the machine may have been busy.
            Ok(Ok(())) if started.elapsed() > MOST => {
                let again = Instant::now();
                let _ = (target.run)(&input, &mut memory);
                (again.elapsed() > MOST).then(|| format!("takes {:?} and {:?}", started.elapsed(), again.elapsed()))
            }
            Ok(Ok(())) => None,
        };
        if let Some(complaint) = complaint {
            let shown: String = String::from_utf8_lossy(&input).escape_debug().take(1500).collect();
            println!("FAIL  {}: {complaint}\n      execution {count} of seed {seed}, {} bytes: {shown}", target.name, input.len());
            findings += 1;
        }
    }
    (count, findings)
}
