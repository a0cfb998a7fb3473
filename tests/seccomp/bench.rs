//! Docker's profile compiled by both, in turns: how long it takes, how long the program is, and how many instructions a call executes.

use std::time::Instant;

use ocinit::names::syscalls::{SLOTS, Slot, X86_64, number};
use ocinit::plan::seccomp::compile_for;

use crate::machine::{Call, run as execute};
use crate::profiles::REAL;
use crate::{arena, read, reference};

const ROUNDS: usize = 60;
const MOST_INSTRUCTIONS: usize = 660;
const MOST_STEPS: usize = 16;
const LEAST_RATIO: f64 = 80.0;

pub fn run() -> i32 {
    let (name, text) = REAL[0];
    let memory = arena();
    let profile = &read(text, &memory);
    let program = compile_for(profile, &X86_64, &memory).unwrap();
    let theirs = reference::compile(profile, &X86_64, true).unwrap();
    let plain = reference::compile(profile, &X86_64, false).unwrap();
    let (mut ours_ms, mut theirs_ms) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let fresh = arena();
        let start = Instant::now();
        let length = compile_for(profile, &X86_64, &fresh).map(<[u64]>::len);
        ours_ms.push(start.elapsed().as_secs_f64() * 1e3);
        assert_eq!(length.ok(), Some(program.len()));
        let start = Instant::now();
        reference::compile(profile, &X86_64, true);
        theirs_ms.push(start.elapsed().as_secs_f64() * 1e3);
    }
    let (ours, theirs_median) = (median(&mut ours_ms), median(&mut theirs_ms));
    // On a busy machine the longer of two runs is disturbed more often: their least times are then the fairer pair.
    let (ours_least, theirs_least) = (ours_ms[0], theirs_ms[0]); // `median` has sorted them
    let ratio = (theirs_median / ours).min(theirs_least / ours_least);
    let (most, mean) = steps(program);
    let (their_most, their_mean) = steps(&theirs.program);
    println!("{name}'s profile for x86_64, x86 and x32, medians of {ROUNDS} rounds in turns:");
    println!(
        "  ocinit      {ours:8.4} ms (least {ours_least:.4}), {:5} instructions, {mean:6.1} executed by a call, at most {most}",
        program.len()
    );
    println!(
        "  libseccomp  {theirs_median:8.4} ms (least {theirs_least:.4}), {:5} instructions, {their_mean:6.1} executed by a call, at most {their_most} (as a tree; without: {} instructions)",
        theirs.program.len(),
        plain.program.len()
    );
    println!("  {ratio:.0} times as fast, by the medians or the least times, whichever say less");
    let missed = [
        (ratio < LEAST_RATIO, format!("less than {LEAST_RATIO} times as fast")),
        (program.len() > MOST_INSTRUCTIONS, format!("more than {MOST_INSTRUCTIONS} instructions")),
        (most > MOST_STEPS, format!("more than {MOST_STEPS} instructions executed")),
    ];
    for (_, what) in missed.iter().filter(|(is_missed, _)| *is_missed) {
        println!("  MISSED: {what}");
    }
    i32::from(missed.iter().any(|(is_missed, _)| *is_missed))
}

/// The most and the mean of the instructions that calls execute: every number by every way of calling, with many arguments.
fn steps(program: &[u64]) -> (usize, f64) {
    let (mut most, mut sum, mut count) = (0, 0, 0);
    let values = [0, 1, 8, 9, 16, 40, 0x20000, 0x20008, 0xffff_ffff, 0x1_0000_0000, 0x7e02_0000, u64::MAX];
    for abi in X86_64.abis {
        for slot in 0..SLOTS as Slot {
            for value in values {
                let call = Call { architecture: abi.audit, number: number(slot) | abi.base, arguments: [value, 0, value, 0, 0, 0] };
                let (_, steps) = execute(program, &call);
                most = most.max(steps);
                sum += steps;
                count += 1;
            }
        }
    }
    (most, sum as f64 / count as f64)
}

fn median(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
