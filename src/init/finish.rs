//! The end: what still runs is ended, files are written, file systems are left, and the machine with them.
//!
//! Must: end, whatever hangs; the hardware watchdog is armed until then. Mustn't: wait for a file system itself.

use linux_raw_sys::general::{MS_RDONLY, MS_REMOUNT, SIGKILL, SIGTERM};

use super::life::State;
use super::supervise::Init;
use super::table::FILE;
use super::{early, work};
use crate::mem::PathBuffer;
use crate::sys::{self, fs, task};

/// How long the rest has after it was told to end, and file systems to be left.
const TERM_MS: u64 = 1_000;
const LEAVE_MS: u64 = 10_000;

impl Init<'_> {
    /// The last thing that is done. A supervisor ends with 0.
    pub fn end(&mut self) -> i32 {
        if !self.is_device {
            let _ = fs::unlinkat(fs::CWD, FILE, fs::AtFlags::empty()); // whoever asks finds nothing, instead of what was
            return 0;
        }
        self.kill_everything(SIGTERM as i32, TERM_MS);
        self.kill_everything(SIGKILL as i32, TERM_MS);
        if let Some(watchdog) = self.watchdog.get() {
            sys::feed_watchdog(watchdog); // from here on it resets what hangs
        }
        let child = work::fork(|| self.leave_file_systems()).unwrap_or(0);
        self.await_child(child, LEAVE_MS);
        let leave = self.leave.unwrap_or(sys::Leave::Reboot);
        let errno = sys::leave(leave);
        self.voice.say(2, format_args!("reboot: {}", crate::error::Reason(errno)));
        0
    }

    /// Every process but us; those of containers are gone already.
    fn kill_everything(&self, signal: i32, milliseconds: u64) {
        if sys::kill_all(signal).is_err() {
            return; // ESRCH: there is nobody
        }
        let deadline = task::now_ms() + milliseconds;
        while task::now_ms() < deadline {
            while sys::wait_any().is_some() {}
            if sys::kill_all(0).is_err() {
                return;
            }
            let _ = task::poll(&mut [], Some(&task::milliseconds(10))); // it only passes the time
        }
    }

    fn await_child(&self, child: u32, milliseconds: u64) {
        let deadline = task::now_ms() + milliseconds;
        while child != 0 && task::now_ms() < deadline {
            while let Some((pid, _)) = sys::wait_any() {
                if pid.as_raw_nonzero().get() as u32 == child {
                    return;
                }
            }
            let _ = task::poll(&mut [], Some(&task::milliseconds(10))); // likewise
        }
    }

    /// In a child: notes the time, writes all files, unmounts what can be, and makes the rest read-only.
    fn leave_file_systems(&self) {
        self.save_clock();
        if self.is_there(self.boot.random_seed) {
            let _ = early::save_seed(self.boot.random_seed); // the next boot has the one that it was given at its beginning
        }
        sys::sync();
        // A mount below another goes first: each round takes those that nothing lies in any more.
        const MOST_ROUNDS: usize = 8;
        for _ in 0..MOST_ROUNDS {
            if !unmount_each() {
                break;
            }
        }
        let _ = sys::mount(c"", c"/", c"", MS_REMOUNT | MS_RDONLY, c""); // EBUSY: it was synced
        sys::sync();
    }

    /// In a child: notes the time.
    pub fn save_clock(&self) {
        if self.is_there(self.boot.clock) {
            let _ = early::save_clock(self.boot.clock); // the next boot goes on from an older time
        }
    }

    /// Whether there is such a file to be kept, and the file system in which it lies.
    fn is_there(&self, path: &str) -> bool {
        !path.is_empty() && self.boot.mount_of(path).is_none_or(|mount| self.lives[mount].life.state == State::Done)
    }
}

/// Unmounts what lies on a device, or makes it read-only. Whether anything changed.
fn unmount_each() -> bool {
    let Ok(file) = fs::open(c"/proc/self/mounts", fs::OFlags::RDONLY | fs::OFlags::CLOEXEC, fs::Mode::empty()) else { return false };
    let mut buffer = [0; 16384];
    let mut len = 0;
    while let Ok(read) = fs::read(&file, &mut buffer[len..]) {
        if read == 0 {
            break;
        }
        len += read;
    }
    let mut changed = false;
    for line in buffer[..len].split(|byte| *byte == b'\n') {
        let mut fields = line.split(|byte| *byte == b' ');
        let (Some(source), Some(target), Some(_), Some(options)) = (fields.next(), fields.next(), fields.next(), fields.next()) else {
            continue;
        };
        let mut path = PathBuffer::new();
        if !source.starts_with(b"/") || target == b"/" || !path.set(&[target]) {
            continue;
        }
        if sys::unmount(path.as_c_str(), false).is_ok() {
            changed = true;
        } else if options.starts_with(b"rw") {
            let _ = sys::mount(c"", path.as_c_str(), c"", MS_REMOUNT | MS_RDONLY, c""); // it was synced
        }
    }
    changed
}
