//! Times commands in turn, A B C A B C …, so that a machine whose speed drifts drifts for all of them; medians and ratios to the first.
//!
//! `containers bench RUNS NAME COMMAND [ARG…] -- NAME COMMAND [ARG…] …`; a command that fails is named and left out.

use std::process::{Command, Stdio};
use std::time::Instant;

use crate::sys::Outcome;

struct Contender {
    name: String,
    command: Vec<String>,
    micros: Vec<u128>,
}

impl Contender {
    fn run(&self) -> Outcome<u128> {
        let begun = Instant::now();
        let ended = Command::new(&self.command[0])
            .args(&self.command[1..])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .output();
        let took = begun.elapsed().as_micros();
        let ended = ended.map_err(|why| format!("{}: {why}", self.command[0]))?;
        if ended.status.success() {
            return Ok(took);
        }
        Err(format!("{}: {}", ended.status, String::from_utf8_lossy(&ended.stderr).trim()))
    }

    fn median(&mut self) -> u128 {
        self.micros.sort_unstable();
        self.micros[self.micros.len() / 2]
    }
}

/// Runs and prints the table.
pub fn run(arguments: &[String]) -> Outcome<i32> {
    const WARM_UP: usize = 2;
    let (runs, rest) = arguments.split_first().ok_or("wants a number of runs")?;
    let runs: usize = runs.parse().map_err(|_| "wants a number of runs")?;
    let mut contenders = Vec::new();
    for words in rest.split(|word| word == "--").filter(|words| words.len() > 1) {
        let contender = Contender { name: words[0].clone(), command: words[1..].to_vec(), micros: Vec::new() };
        match (0..WARM_UP).try_for_each(|_| contender.run().map(|_| ())) {
            Ok(()) => contenders.push(contender),
            Err(why) => println!("{}: cannot be measured here: {why}", contender.name),
        }
    }
    for _ in 0..runs {
        for contender in &mut contenders {
            let took = contender.run()?;
            contender.micros.push(took);
        }
    }
    let first = contenders.first_mut().ok_or("nothing could be measured")?.median();
    println!("{:<28} {:>9} {:>9} {:>9} {:>8}", "", "min ms", "median", "max", "ratio");
    for contender in &mut contenders {
        let median = contender.median();
        let ms = |micros: u128| micros as f64 / 1000.0;
        let (least, most) = (contender.micros[0], contender.micros[contender.micros.len() - 1]);
        println!("{:<28} {:>9.2} {:>9.2} {:>9.2} {:>8.2}", contender.name, ms(least), ms(median), ms(most), median as f64 / first as f64);
    }
    Ok(0)
}
