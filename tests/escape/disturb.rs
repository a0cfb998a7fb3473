//! `race` and `faults`: trials with a swap or an error at each of their positions, all of them or a seeded sample.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::probe;
use crate::runtime::Runtime;
use crate::supervise::Call;
use crate::sys::Outcome;
use crate::tracee;
use crate::trial::{Outcomes, Swap, Trial, Undisturbed, essence};
use crate::world::World;

/// Which disturbances.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Race,
    Faults,
}

/// How many of them.
pub struct Amount {
    /// One of so many, taken by the seed; 1 is all.
    pub stride: u64,
    pub seed: u64,
    /// No new position is begun after it.
    pub most: Duration,
}

/// One disturbance at one position.
#[derive(Clone, Copy, Debug)]
enum Disturbance {
    Swap(usize, Swap),
    Errno(i32),
}

/// Runs all trials whose names contain a word; prints each finding, and the count.
pub fn run(kind: Kind, folder: &str, world: &World, runtime: &Runtime, words: &[String], amount: &Amount) -> Outcome<i32> {
    tracee::limit_descriptors();
    let only = std::env::var("CALL").ok();
    let begin = Instant::now();
    let mut random = amount.seed | 1;
    let (mut passed, mut failed, mut left_out, mut missed) = (0, 0, 0, 0);
    for trial in Trial::read_all(folder, world, runtime)? {
        if !words.is_empty() && !words.iter().any(|word| trial.name.contains(word.as_str())) {
            continue;
        }
        let undisturbed = trial.calls()?;
        let calls = &undisturbed.calls;
        let own = probe::namespaces();
        let positions = positions(kind, calls, &trial);
        let (before, total) = (passed + failed, positions.len());
        for (call, disturbance) in positions {
            if only.as_ref().is_some_and(|only| name_of(call.number).split(' ').next() != Some(only)) {
                continue;
            }
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            if amount.stride > 1 && random % amount.stride != 0 {
                continue;
            }
            if begin.elapsed() > amount.most {
                left_out += 1;
                continue;
            }
            let outcomes = match disturbance {
                Disturbance::Swap(number, swap) => trial.with_swap(call, number, swap)?,
                Disturbance::Errno(errno) => trial.with_fault(call, errno)?,
            };
            missed += u32::from(!outcomes.is_met);
            match judge(&outcomes, &undisturbed, &own, call, disturbance, &trial) {
                None => passed += 1,
                Some(why) => {
                    println!(
                        "FAIL  {}: process {} call {} ({}), {disturbance:?}: {}",
                        trial.name,
                        call.process,
                        call.index,
                        name_of(call.number),
                        shorten(&why)
                    );
                    failed += 1;
                }
            }
        }
        println!("ok    {}: {} of {total} positions in {} calls", trial.name, passed + failed - before, calls.len());
    }
    if left_out > 0 {
        println!("      ({left_out} positions were left out: the time was over)");
    }
    if missed > 0 {
        println!("      (at {missed} positions the call did not come this time, and nothing was disturbed)");
    }
    println!("{passed} passed, {failed} failed, 0 skipped");
    Ok(i32::from(failed > 0 || passed == 0))
}

fn shorten(text: &str) -> String {
    text.chars().take(700).collect()
}

/// Left out: what cannot fail (the ends of processes, a process's own ids, the clock, umask, rt_sigprocmask, rt_sigaction, close, which closes whatever it answers, and waits for children
/// that are there), and arch_prctl, by which the C library starts and crashes where it fails.
fn positions(kind: Kind, calls: &[Call], trial: &Trial<'_>) -> Vec<(Call, Disturbance)> {
    const EDGE: usize = 4;
    let mut found = Vec::new();
    for (place, call) in calls.iter().enumerate() {
        // Of a long row of the same call, as the loops over descriptors are, only its ends.
        let around = calls.get(place.saturating_sub(EDGE)..=place + EDGE).unwrap_or_default();
        if !around.is_empty() && around.iter().all(|other| (other.process, other.number) == (call.process, call.number)) {
            continue;
        }
        match kind {
            Kind::Race if takes_path(call.number) => {
                for number in 0..trial.swaps.len() {
                    found.extend([Swap::FromHere, Swap::Blink].map(|swap| (*call, Disturbance::Swap(number, swap))));
                }
            }
            Kind::Faults
                if !matches!(
                    call.number,
                    libc::SYS_exit_group
                        | libc::SYS_exit
                        | libc::SYS_rt_sigreturn
                        | libc::SYS_arch_prctl
                        | libc::SYS_umask
                        | libc::SYS_getpid
                        | libc::SYS_getppid
                        | libc::SYS_geteuid
                        | libc::SYS_getegid
                        | libc::SYS_clock_gettime
                        | libc::SYS_close
                        | libc::SYS_rt_sigprocmask
                        | libc::SYS_rt_sigaction
                        | libc::SYS_wait4
                        | libc::SYS_waitid
                ) =>
            {
                found.extend(errnos(call.number).into_iter().map(|errno| (*call, Disturbance::Errno(errno))));
            }
            _ => {}
        }
    }
    found
}

/// Calls at which a name is looked up.
fn takes_path(number: i64) -> bool {
    matches!(
        number,
        libc::SYS_openat
            | libc::SYS_open
            | libc::SYS_openat2
            | libc::SYS_mount
            | libc::SYS_move_mount
            | libc::SYS_open_tree
            | libc::SYS_mount_setattr
            | libc::SYS_mkdirat
            | libc::SYS_mkdir
            | libc::SYS_mknodat
            | libc::SYS_symlinkat
            | libc::SYS_unlinkat
            | libc::SYS_fchownat
            | libc::SYS_readlinkat
            | libc::SYS_newfstatat
            | libc::SYS_statx
            | libc::SYS_stat
            | libc::SYS_lstat
            | libc::SYS_faccessat
            | libc::SYS_faccessat2
            | libc::SYS_execve
            | libc::SYS_execveat
            | libc::SYS_chdir
            | libc::SYS_fchdir
            | libc::SYS_chroot
            | libc::SYS_pivot_root
            | libc::SYS_renameat2
            | libc::SYS_linkat
    )
}

/// What a call may plausibly be answered on some kernel, in some sandbox, on some day: no lies, such as ENOENT for what was just made, or
/// ESRCH for a process that lives.
fn errnos(number: i64) -> Vec<i32> {
    let mut found = vec![libc::EPERM, libc::EINVAL, libc::ENOSYS, libc::ENOMEM, libc::EINTR];
    found.extend_from_slice(match number {
        libc::SYS_openat | libc::SYS_openat2 | libc::SYS_open_tree | libc::SYS_memfd_create => {
            &[libc::ENOENT, libc::EACCES, libc::EMFILE, libc::ENFILE, libc::EAGAIN]
        }
        libc::SYS_read | libc::SYS_pread64 | libc::SYS_recvmsg | libc::SYS_getdents64 => &[libc::EIO, libc::EAGAIN, libc::ENOENT],
        libc::SYS_write | libc::SYS_sendmsg | libc::SYS_sendto | libc::SYS_sendfile => {
            &[libc::EIO, libc::ENOSPC, libc::EAGAIN, libc::EPIPE]
        }
        libc::SYS_mkdirat | libc::SYS_mknodat | libc::SYS_symlinkat => &[libc::EEXIST, libc::ENOSPC, libc::EROFS, libc::EACCES],
        libc::SYS_unlinkat | libc::SYS_renameat => &[libc::EBUSY, libc::EROFS, libc::EIO],
        libc::SYS_mount | libc::SYS_move_mount | libc::SYS_umount2 | libc::SYS_mount_setattr => {
            &[libc::EBUSY, libc::ENOSPC, libc::EACCES, libc::ENODEV]
        }
        libc::SYS_clone | libc::SYS_clone3 | libc::SYS_setresuid | libc::SYS_setresgid => &[libc::EAGAIN, libc::EBUSY, libc::ENOSPC],
        libc::SYS_fcntl => &[libc::EBUSY],
        libc::SYS_execve | libc::SYS_execveat => &[libc::EACCES, libc::ENOENT, libc::E2BIG, libc::ETXTBSY],
        _ => &[],
    });
    found
}

/// Why an outcome is not allowed, if it is not.
fn judge(
    outcomes: &Outcomes,
    undisturbed: &Undisturbed,
    own: &serde_json::Map<String, Value>,
    call: Call,
    disturbance: Disturbance,
    trial: &Trial<'_>,
) -> Option<String> {
    let ended = match &outcomes.ended {
        Ok(ended) => ended,
        Err(why) => return Some(why.clone()),
    };
    if !outcomes.stays.is_empty() {
        return Some(format!("exit {}; after delete --force: {:?}; {:?}", ended.exit, outcomes.stays, ended.errors));
    }
    // Process 1 of a pid namespace that asks for the machine's end or reset is killed by SIGINT or SIGHUP (reboot(2)), and has said why.
    let is_reset = !trial.inside.is_empty() && matches!(ended.exit, 129 | 130) && says_more(&ended.errors, &undisturbed.ended.errors);
    if (129..=128 + 64).contains(&ended.exit) && ended.exit != undisturbed.ended.exit && !is_reset {
        return Some(format!("ends by signal {}: {:?}", ended.exit - 128, ended.errors));
    }
    let is_told = !ended.errors.is_empty() || !ended.output.is_empty() && trial.name.contains("terminal");
    if ended.exit != 0 && !is_told {
        return Some(format!("exit {} without a word", ended.exit));
    }
    if !outcomes.left.is_empty() && !(matches!(disturbance, Disturbance::Errno(_)) && cleans_up(call.number) && is_told) {
        return Some(format!("exit {} leaves behind: {:?}; {:?}", ended.exit, outcomes.left, ended.errors));
    }
    // What cannot be moved between the terminals is lost, as with any broken terminal.
    let is_lost = trial.name.contains("terminal") && call.process == 0 && matches!(call.number, libc::SYS_read | libc::SYS_write);
    match &outcomes.report {
        None if is_lost || outcomes.is_told_later => None,
        None if !trial.inside.is_empty() && says_more(&ended.errors, &undisturbed.ended.errors) => None,
        None if ended.exit == 0 && !undisturbed.report.is_null() => {
            Some(format!("exit 0, but the payload said nothing; {:?}", ended.errors))
        }
        None => None,
        Some(report) => {
            let (before, now) = (essence(&undisturbed.report, own), essence(report, own));
            let keys = before.keys().chain(now.keys());
            let other = keys
                .filter(|key| before.get(*key) != now.get(*key))
                .find(|key| !may_differ(key, before.get(*key), now.get(*key), call, disturbance));
            other.map(|key| {
                format!("exit {}: {key} is {:?}, undisturbed {:?}; {:?}", ended.exit, now.get(key), before.get(key), ended.errors)
            })
        }
    }
}

/// Whether there is a line that an undisturbed run does not have, whatever the figures in it.
fn says_more(errors: &str, undisturbed: &str) -> bool {
    let plain = |line: &str| line.replace(|letter: char| letter.is_ascii_digit(), "");
    errors.lines().any(|line| !undisturbed.lines().any(|known| plain(known) == plain(line)))
}

/// Calls by which something is taken away, or locked before: one that fails leaves it, says so, and `delete --force` takes it.
fn cleans_up(number: i64) -> bool {
    matches!(
        number,
        libc::SYS_unlinkat
            | libc::SYS_umount2
            | libc::SYS_flock
            | libc::SYS_kill
            | libc::SYS_pidfd_send_signal
            | libc::SYS_openat
            | libc::SYS_poll
            | libc::SYS_ppoll
            | libc::SYS_getdents64
            | libc::SYS_fcntl
            | libc::SYS_read
            | libc::SYS_write
    )
}

/// A swap may move a mount about inside the root: but nothing of the host's comes in, and what protects /proc and /sys stays.
fn may_differ(key: &str, before: Option<&String>, now: Option<&String>, call: Call, disturbance: Disturbance) -> bool {
    if let Disturbance::Errno(errno) = disturbance {
        return is_tolerated(key, before, now, call, errno);
    }
    let text = now.map(String::as_str).unwrap_or_default();
    // What no config names. Inside the root a path may be called as outside.
    let mount = serde_json::from_str::<Value>(text).unwrap_or_default();
    let is_of_host = mount["root"].as_str().is_some_and(|root| root.contains("/canary/secret") && !root.contains("bundle/rootfs"));
    match key.split_once(' ') {
        // The null device, wherever /dev is now.
        Some(("mounts", point)) if point.starts_with("/proc/") && before.is_some_and(|before| before.contains("/null\"")) => {
            text.contains("/null\"") && !is_of_host
        }
        // It was mounted where the name led then, and is not seen at all here.
        Some(("mounts", "/sys/fs/cgroup")) if now.is_none() => true,
        Some(("mounts", point)) if point.starts_with("/proc/") || point.starts_with("/sys/") => false,
        Some(("mounts", _)) => !is_of_host,
        Some(("fds", "0" | "1" | "2")) => text.ends_with("/0\"") && before.is_some_and(|before| before.ends_with("/0\"")),
        Some(("did", _)) => !text.contains("as before") && !text.contains("\"ok\""),
        // There is no procfs any more at /proc to read it from.
        None if text == "null" => true,
        // Inside, whatever it is called: outside it would have no path.
        None if key == "cwd" => text.starts_with("\"/"),
        _ => false,
    }
}

/// What a failing call may change: a fallback that is as good, each with its reason.
fn is_tolerated(key: &str, before: Option<&String>, now: Option<&String>, call: Call, errno: i32) -> bool {
    let parsed = |text: Option<&String>| text.and_then(|text| serde_json::from_str::<Value>(text).ok()).unwrap_or_default();
    let (before, now) = (parsed(before), parsed(now));
    match key.split_once(' ') {
        // A node that may not be made is the host's own, bound.
        Some(("mounts", point)) if point.starts_with("/dev/") && before.is_null() => {
            call.number == libc::SYS_mknodat
                && errno == libc::EPERM
                && now["type"] == "devtmpfs"
                && format!("/dev{}", now["root"].as_str().unwrap_or_default()) == point
        }
        // What hides a file is then the host's null device.
        Some(("mounts", _)) if call.number == libc::SYS_mknodat && errno == libc::EPERM => {
            now["root"] == "/null" && before["root"] == "/null"
        }
        // A path that is not there is neither hidden nor protected.
        Some(("mounts", _)) if now.is_null() => {
            errno == libc::ENOENT && matches!(call.number, libc::SYS_openat2 | libc::SYS_openat | libc::SYS_newfstatat)
        }
        // The host's sysfs or the container's cgroup is bound where the kernel refuses a new one; a cover has one inode more. As closed as before.
        Some(("mounts", _)) => ["type", "options"].iter().all(|part| before[part] == now[part]),
        _ => false,
    }
}

fn name_of(number: i64) -> String {
    let names = include_str!("../../src/names/syscalls.txt");
    names
        .lines()
        .find(|line| line.split_whitespace().nth(1) == Some(&number.to_string()))
        .and_then(|line| line.split_whitespace().next())
        .unwrap_or("?")
        .to_string()
        + &format!(" {number}")
}
