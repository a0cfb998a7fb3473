//! Killing a runtime at a chosen system call, and looking whether anything remains of its container.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::bundle::Words;
use crate::launch::{Launch, read};
use crate::reaper;
use crate::sys::{self, Outcome};
use crate::world;

/// Starts a program and kills it when it enters its n-th system call; false when it ended before.
pub fn at_call(launch: Launch, log: &str, moment: u64) -> Outcome<bool> {
    let running = launch.start(log)?;
    let pid = running.pid;
    let mut status = stop(pid)?;
    sys::trace_calls(pid)?;
    let (mut boundaries, mut signal) = (0u64, 0);
    while libc::WIFSTOPPED(status) {
        sys::go_to_next_call(pid, signal)?;
        status = stop(pid)?;
        signal = 0;
        if !libc::WIFSTOPPED(status) {
            break;
        }
        match libc::WSTOPSIG(status) {
            // Entries are the odd ones: the call that is entered is not made.
            call if call == libc::SIGTRAP | 0x80 => boundaries += 1,
            libc::SIGTRAP => {}
            other => signal = other,
        }
        if boundaries == 2 * moment - 1 {
            sys::kill(pid, libc::SIGKILL)?;
            while libc::WIFSTOPPED(status) {
                status = stop(pid)?;
            }
            return Ok(true);
        }
    }
    match running.ended(sys::exit_code(status))? {
        ended if ended.exit == 0 => Ok(false),
        ended => Err(format!("failed by itself with {}: {:?}", ended.exit, ended.errors)),
    }
}

fn stop(pid: i32) -> Outcome<i32> {
    sys::wait(pid, 0)?.map(|(_, status)| status).ok_or_else(|| "nothing to wait for".into())
}

/// Looks for a container's processes, cgroup, state and mounts, for as long as the kernel may need to end them.
pub fn nothing_remains(words: &Words) -> Outcome<()> {
    let end = Instant::now() + Duration::from_millis(5000);
    loop {
        reaper::reap()?;
        let Some(found) = remains(words) else { return Ok(()) };
        if Instant::now() > end {
            return Err(format!("after delete --force there is still {found}"));
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn remains(words: &Words) -> Option<String> {
    let places = [words["CGROUP"].clone(), format!("{}/{}", words["ROOT"], words["ID"])];
    let place = places.into_iter().find(|place| Path::new(place).exists());
    let mount = || read("/proc/self/mountinfo").lines().find(|line| line.contains(&words["DIR"])).map(str::to_string);
    let process = || world::processes().into_iter().next().map(|line| format!("a process: {line}"));
    place.or_else(mount).or_else(process)
}
