//! Whether the boot is good: what `on-ready` runs has run in time. If not the machine is booted again, so that its bootloader can fall
//! back, but not for ever: how many boots in a row were not good is kept in a file.

use core::ffi::CStr;

use super::life::{Event, State};
use super::supervise::Init;
use super::table::Head;
use super::work;
use crate::container::{durable, versions};
use crate::error::Reason;
use crate::mem::{Arena, PathBuffer};
use crate::names::subjects::INSTALL;
use crate::plan::boot::Condition;
use crate::sys::{self, Leave, fs};

/// The file, in the directory `data`.
const ATTEMPTS: &CStr = c"attempts";

/// Memory of a child that keeps a version.
const KEEP_BYTES: usize = 64 << 10;

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

    /// In a child: whether bundles are installed in what this service has mounted.
    pub fn look_for_installed(&mut self, mount: usize) {
        if !INSTALL || self.mount_of_data() != Some(mount) {
            return;
        }
        let _ = sys::with_memory(KEEP_BYTES, |room| {
            let arena = Arena::over(room);
            let place = versions::place(self.boot.data, "", &arena);
            if let Ok(Some(directory)) = place.map_or(Ok(None), versions::open) {
                versions::each_name(&directory, &mut |name| {
                    if !name.to_bytes().starts_with(b".") {
                        self.table.set_head(Head::HasMore, 1);
                    }
                })?;
            }
            Ok(())
        }); // what cannot be read is not there
    }

    /// A service has come to this state: whether that makes the boot a good one, or shows bundles that were not there.
    pub fn consider(&mut self, index: usize, state: State) {
        if state == State::Done && self.table.head(Head::HasMore) == 1 && self.mount_of_data() == Some(index) {
            self.table.set_head(Head::HasMore, 0);
            self.reload();
        }
        if self.good_by_ms == u64::MAX || !matches!(state, State::Ready | State::Done) || self.verdict() != Some(index) {
            return;
        }
        self.good_by_ms = u64::MAX;
        self.voice.say(5, format_args!("{}: the boot is good", self.boot.services[index].id));
        self.table.set_head(Head::Attempts, 0);
        let data = self.boot.data;
        let forgotten = work::fork(|| {
            let removed = durable::open_directory(data).and_then(|data| durable::remove(&data, ATTEMPTS));
            sys::exit(i32::from(removed.is_err()))
        });
        if let Err(errno) = forgotten {
            self.voice.say(4, format_args!("attempts: {}", Reason(errno)));
        }
    }

    /// A new version is being started.
    pub fn begin_trial(&mut self, index: usize) {
        self.apply(index, Event::Trial);
        self.voice.say(5, format_args!("{}: a new version is on trial", self.boot.services[index].id));
    }

    /// It has shown that it is good.
    pub fn keep_version(&mut self, index: usize) {
        if !INSTALL {
            return;
        }
        let id = self.boot.services[index].id;
        let kept = work::fork(|| {
            let done = sys::with_memory(KEEP_BYTES, |room| {
                let arena = Arena::over(room);
                match versions::keep(self.boot.data, id, &arena) {
                    Ok(()) => self.voice.say(5, format_args!("{id}: the new version is kept")),
                    Err(error) => self.voice.say(3, format_args!("{id}: the new version is not kept: {error}")),
                }
                Ok(())
            });
            sys::exit(i32::from(done.is_err()))
        });
        if let Err(errno) = kept {
            self.voice.say(3, format_args!("{id}: the new version is not kept: {}", Reason(errno)));
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
