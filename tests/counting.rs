//! The sums that `make test` closes with are true: above all, a suite that dies before it counted is a failure.
//!
//! Must: run the very functions of `tests/suites.sh`. Mustn't: build anything.
#![allow(clippy::unwrap_used, reason = "a test without its shell has failed")]

use std::process::Command;

/// Runs `script` as a suite of this kind: `passed failed skipped`.
fn counts(kind: &str, script: &str) -> String {
    let run = ". tests/suites.sh; name=sample; LOGS=$(mktemp -d); trap 'rm -r $LOGS' EXIT
        run_suite \"$1\" 1 bash -c \"$2\" >/dev/null; echo $passed $failed $skipped";
    let mut command = Command::new("bash");
    command.current_dir(env!("CARGO_MANIFEST_DIR")).args(["-c", run, "bash", kind, script]);
    String::from_utf8(command.output().unwrap().stdout).unwrap().trim().to_string()
}

#[test]
fn a_single_check_counts_as_one() {
    assert_eq!(counts("once", "exit 0"), "1 0 0");
    assert_eq!(counts("once", "exit 1"), "0 1 0");
}

#[test]
fn the_results_of_several_rust_binaries_are_summed() {
    let line = "echo 'test result: ok. 7 passed; 0 failed; 2 ignored; 0 measured; 0 filtered out; finished in 0.00s'";
    assert_eq!(counts("libtest", &format!("{line}; {line}")), "14 0 4");
    assert_eq!(counts("libtest", "echo 'test result: FAILED. 1 passed; 3 failed; 0 ignored; 0 measured'; exit 101"), "1 3 0");
}

#[test]
fn a_suites_own_last_line_counts() {
    assert_eq!(counts("counted", "echo 9 passed, 9 failed, 9 skipped; echo size: 3 passed, 0 failed, 1 skipped"), "3 0 1");
    assert_eq!(counts("counted", "echo 3 passed, 1 failed; exit 1"), "3 1 0");
}

#[test]
fn a_suite_that_dies_is_a_failure_whatever_it_counted() {
    assert_eq!(counts("counted", "exit 3"), "0 1 0");
    assert_eq!(counts("counted", "echo 5 passed, 0 failed, 0 skipped; kill -9 $$"), "5 1 0");
    assert_eq!(counts("libtest", "echo error: could not compile; exit 101"), "0 1 0");
    assert_eq!(counts("counted", "sleep 20"), "0 1 0");
}

#[test]
fn a_suite_that_counts_nothing_is_a_failure() {
    assert_eq!(counts("counted", "exit 0"), "0 1 0");
    assert_eq!(counts("libtest", "echo 'test result: ok. 0 passed; 0 failed; 0 ignored; 0 measured'"), "0 1 0");
}
