//! Whether the boot is good: what `on-ready` runs has run in time. If not the machine is booted again, so that its bootloader can fall
//! back, but not for ever: how many boots in a row were not good is kept in a file.

use core::ffi::CStr;

use super::life::State;
use super::supervise::Init;
use super::table::Head;
use super::work;
use crate::container::durable;
use crate::error::Reason;
use crate::mem::PathBuffer;
use crate::plan::boot::Condition;
use crate::sys::{Leave, fs};

/// The file, in the directory `data`.
const ATTEMPTS: &CStr = c"attempts";

impl Init<'_> {
    /// The service whose success says that the boot is good.
    fn verdict(&self) -> Option<usize> {
        self.boot.services.iter().position(|service| service.hold_ms > 0)
    }

    /// Waits for it from now on, as long as is left since we began; the first time the attempt is counted.
    pub fn await_good(&mut self, is_anew: bool) {
        let Some(verdict) = self.verdict().filter(|_| self.boot.ready_timeout_ms > 0 && self.is_device) else { return };
        if !self.lives[verdict].life.satisfies(Condition::Ready) {
            let began_ms = u64::from(self.table.head(Head::EpochS)) * 1000 + u64::from(self.table.head(Head::BeganUs)) / 1000;
            self.good_by_ms = began_ms + u64::from(self.boot.ready_timeout_ms);
        }
        if is_anew {
            let _ = work::fork(|| self.count_attempt(None)); // an attempt that is not counted is said to be the first
        }
    }

    /// In a child: counts this boot, if the file lies in what this service mounts, or in what is there from the beginning.
    pub fn count_attempt(&mut self, mount: Option<usize>) {
        if self.good_by_ms == u64::MAX || self.mount_of_data() != mount {
            return;
        }
        let mut text = [0; 10];
        let counted = durable::open_directory(self.boot.data).and_then(|data| {
            let file = fs::openat(&data, ATTEMPTS, fs::OFlags::RDONLY | fs::OFlags::CLOEXEC, fs::Mode::empty());
            let read = file.and_then(|file| fs::read(&file, &mut text)).unwrap_or(0);
            let before = core::str::from_utf8(&text[..read]).unwrap_or_default().parse().unwrap_or(0u32);
            let count = before.saturating_add(1);
            self.table.set_head(Head::Attempts, count);
            let mut text = heapless::String::<10>::new();
            let _ = core::fmt::Write::write_fmt(&mut text, format_args!("{count}")); // ten digits are the most
            durable::write(&data, ATTEMPTS, text.as_bytes())
        });
        if let Err(errno) = counted {
            self.voice.say(4, format_args!("attempts: {}: {}", self.boot.data, Reason(errno)));
        }
    }

    /// The service that mounts what the directory `data` lies in.
    pub fn mount_of_data(&self) -> Option<usize> {
        let mut path = PathBuffer::new();
        path.set(&[self.boot.data.as_bytes(), b"/"]);
        self.boot.mount_of(path.as_c_str().to_str().unwrap_or_default())
    }

    /// A service has come to this state: whether that makes the boot a good one.
    pub fn consider(&mut self, index: usize, state: State) {
        if self.good_by_ms == u64::MAX || !matches!(state, State::Ready | State::Done) || self.verdict() != Some(index) {
            return;
        }
        self.good_by_ms = u64::MAX;
        self.voice.say(5, format_args!("{}: the boot is good", self.boot.services[index].id));
        self.table.set_head(Head::Attempts, 0);
        let data = self.boot.data;
        let forgotten = work::fork(|| {
            let removed = durable::open_directory(data).and_then(|data| durable::remove(&data, ATTEMPTS));
            crate::sys::exit(i32::from(removed.is_err()))
        });
        if let Err(errno) = forgotten {
            self.voice.say(4, format_args!("attempts: {}", Reason(errno)));
        }
    }

    /// The time is over.
    pub fn despair(&mut self) {
        self.good_by_ms = u64::MAX;
        let (attempt, most) = (self.table.head(Head::Attempts), self.boot.attempts);
        if most > 0 && attempt >= most {
            self.voice.say(2, format_args!("not good in time, attempt {attempt} of {most}: the machine stays up as it is"));
        } else {
            self.voice.say(2, format_args!("not good in time, attempt {attempt} of {most}"));
            self.begin_end(Some(Leave::Reboot), "a boot that was not good in time");
        }
    }
}
