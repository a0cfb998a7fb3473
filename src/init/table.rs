//! What PID 1 knows, in a file that it shares with whoever asks and with its own next life: words in a fixed form, the logs behind them.
//!
//! One process writes, any number read; they wait for the first word to change. The form is that of this version alone.

use core::ffi::CStr;

use super::life::{Life, State};
use super::ring::Ends;
use crate::sys::{self, AsFd, Errno, OwnedFd, fs};

/// Where the state file, the control socket and the notify sockets lie. `@` begins no container's id.
pub const DIRECTORY: &str = "/run/ocinit/@boot";

/// The state file.
pub const FILE: &CStr = c"/run/ocinit/@boot/state";

/// Words before the first row.
pub const HEAD_WORDS: usize = 64;

/// Words of a row.
pub const ROW_WORDS: usize = 80;

/// Another form has another number.
pub const MAGIC: u32 = 0x6f63_6932;

/// Words of the head. The first is counted up with every change.
#[derive(Clone, Copy, Debug)]
#[repr(usize)]
#[allow(missing_docs, reason = "each is what its name says; the fields of a row are described where they are used")]
pub enum Head {
    Changes = 0,
    Magic,
    RowWords,
    Count,
    LogBytes,
    /// Our pid.
    Pid,
    /// Microseconds since [`Head::EpochS`]: when we were executed, and when all that was to be up was.
    BeganUs,
    SettledUs,
    /// 0: up; else [`sys::Leave`] + 1, or 1 for the end of a supervisor.
    Leaving,
    /// Faults within a minute, and when it began.
    Faults,
    FaultsSinceS,
    /// Whether the watchdog had reset the machine.
    WasReset,
    Control,
    Watchdog,
    IsPaused,
    /// Seconds since the kernel started, from which moments are counted: 0 unless we are a supervisor that began much later.
    EpochS,
    /// Whether this table is no longer written: the next life of PID 1 makes its own.
    IsLeft,
    /// How many boots in a row were not good, this one included.
    Attempts,
    /// Whether bundles are installed in what was just mounted: then all is read again.
    HasMore,
}

/// Words of a row.
#[derive(Clone, Copy, Debug)]
#[repr(usize)]
#[allow(missing_docs, reason = "as above")]
pub enum Row {
    /// Sixteen words of id, ended by a zero byte.
    Id = 0,
    State = 16,
    Then,
    Flags,
    Pid,
    Exit,
    Failures,
    Restarts,
    Since,
    Deadline = 25,
    AliveBy = 27,
    Worker = 29,
    Report,
    Log,
    Notify,
    ReadyFd,
    Master,
    /// Moments of its first start: begun, running, ready, ended.
    BegunUs,
    RunningUs,
    ReadyUs,
    EndedUs,
    /// 1 + the number of the service that it waited for last.
    WaitedFor,
    Kind,
    LogStart,
    LogEnd = 43,
    /// Sixteen words of STATUS=.
    Said = 48,
    /// Health: when next, and failures so far.
    HealthAt = 64,
    HealthFailures = 66,
    HealthWorker,
    /// How much of its log is in files, written by the child that writes them.
    Filed = 68,
    /// Its pidfd, if it is no child of ours.
    Stranger = 70,
}

/// The file, written by this process alone.
pub struct Table {
    words: &'static mut [u32],
    logs: &'static mut [u8],
    /// Bytes of one log.
    pub log_bytes: usize,
}

impl Table {
    /// Makes the file anew, all of its memory reserved.
    pub fn create(count: usize, log_bytes: usize) -> Result<Table, Errno> {
        let _ = fs::unlinkat(fs::CWD, FILE, fs::AtFlags::empty()); // ENOENT: it is the first
        let flags = fs::OFlags::RDWR | fs::OFlags::CREATE | fs::OFlags::EXCL | fs::OFlags::CLOEXEC;
        let file = fs::open(FILE, flags, fs::Mode::from_raw_mode(0o600))?;
        let words = HEAD_WORDS + count * ROW_WORDS;
        let len = words * 4 + count * log_bytes;
        fs::ftruncate(&file, len as u64)?;
        sys::reserve(file.as_fd(), len)?;
        let (words, logs) = sys::map_shared(file.as_fd(), words, count * log_bytes)?;
        let mut table = Table { words, logs, log_bytes };
        for (head, value) in
            [(Head::Magic, MAGIC), (Head::RowWords, ROW_WORDS as u32), (Head::Count, count as u32), (Head::LogBytes, log_bytes as u32)]
        {
            table.set_head(head, value);
        }
        Ok(table)
    }

    /// A word of the head.
    pub fn head(&self, word: Head) -> u32 {
        self.words[word as usize]
    }

    /// Sets a word of the head.
    pub fn set_head(&mut self, word: Head, value: u32) {
        self.words[word as usize] = value;
    }

    /// Notes when we began, in microseconds since the kernel started; the moments of a boot must fit into a word from there on.
    pub fn begin(&mut self, us: u64) {
        const SOON_US: u64 = 1 << 31;
        self.set_head(Head::EpochS, if us < SOON_US { 0 } else { (us / 1_000_000) as u32 });
        let moment = self.moment(us);
        self.set_head(Head::BeganUs, moment);
    }

    /// Microseconds since the kernel started as a moment of this boot, as far as it fits.
    pub fn moment(&self, us: u64) -> u32 {
        u32::try_from(us - u64::from(self.head(Head::EpochS)) * 1_000_000).unwrap_or(u32::MAX)
    }

    /// The row of a service.
    pub fn row(&mut self, index: usize) -> &mut [u32] {
        row_of(self.words, index)
    }

    /// Its log.
    pub fn log(&mut self, index: usize) -> &mut [u8] {
        &mut self.logs[index * self.log_bytes..(index + 1) * self.log_bytes]
    }

    /// Says that something changed.
    pub fn tell(&mut self) {
        self.words[0] = self.words[0].wrapping_add(1);
        sys::wake(&self.words[0]);
    }
}

fn row_of(words: &mut [u32], index: usize) -> &mut [u32] {
    let start = HEAD_WORDS + index * ROW_WORDS;
    &mut words[start..start + ROW_WORDS]
}

/// A number of two words.
pub fn wide(row: &[u32], at: Row) -> u64 {
    u64::from(row[at as usize]) | u64::from(row[at as usize + 1]) << 32
}

/// Writes a number of two words.
pub fn set_wide(row: &mut [u32], at: Row, value: u64) {
    (row[at as usize], row[at as usize + 1]) = (value as u32, (value >> 32) as u32);
}

const TEXT_WORDS: usize = 16;

/// Writes a text of at most 63 bytes, cut off if it is longer.
pub fn set_text(row: &mut [u32], at: Row, text: &[u8]) {
    let bytes = |index: usize| text.get(index).filter(|_| index < TEXT_WORDS * 4 - 1).copied().unwrap_or(0);
    for (index, word) in row[at as usize..at as usize + TEXT_WORDS].iter_mut().enumerate() {
        *word = u32::from_ne_bytes([bytes(index * 4), bytes(index * 4 + 1), bytes(index * 4 + 2), bytes(index * 4 + 3)]);
    }
}

/// A text of a row.
pub fn text<'b>(row: &[u32], at: Row, buffer: &'b mut [u8; TEXT_WORDS * 4]) -> &'b str {
    for (chunk, word) in buffer.chunks_exact_mut(4).zip(&row[at as usize..]) {
        chunk.copy_from_slice(&word.to_ne_bytes());
    }
    let end = buffer.iter().position(|byte| *byte == 0).unwrap_or(0);
    core::str::from_utf8(&buffer[..end]).unwrap_or("?")
}

/// Writes a life into its row.
pub fn set_life(row: &mut [u32], life: &Life) {
    let flags = [life.is_wanted, life.is_again, life.is_unwell, life.is_given_up, life.is_on_trial];
    row[Row::State as usize] = life.state as u32;
    row[Row::Then as usize] = life.then as u32;
    row[Row::Flags as usize] = flags.iter().enumerate().map(|(bit, flag)| u32::from(*flag) << bit).sum();
    row[Row::Pid as usize] = life.pid;
    row[Row::Exit as usize] = life.exit as u32;
    row[Row::Failures as usize] = life.failures;
    row[Row::Restarts as usize] = life.restarts;
    set_wide(row, Row::Since, life.since_ms);
    set_wide(row, Row::Deadline, life.deadline_ms);
    set_wide(row, Row::AliveBy, life.alive_by_ms);
}

/// Reads it back.
pub fn life(row: &[u32]) -> Life {
    let word = |at: Row| row[at as usize];
    let flag = |bit: u32| word(Row::Flags) & 1 << bit != 0;
    Life {
        state: state(word(Row::State)),
        then: state(word(Row::Then)),
        is_wanted: flag(0),
        is_again: flag(1),
        is_unwell: flag(2),
        is_given_up: flag(3),
        is_on_trial: flag(4),
        pid: word(Row::Pid),
        exit: word(Row::Exit) as i32,
        failures: word(Row::Failures),
        restarts: word(Row::Restarts),
        since_ms: wide(row, Row::Since),
        deadline_ms: wide(row, Row::Deadline),
        alive_by_ms: wide(row, Row::AliveBy),
    }
}

fn state(number: u32) -> State {
    State::ALL.get(number as usize).map_or(State::Failed, |(state, _)| *state)
}

/// What somebody else reads: the words at one moment, and the logs.
pub struct Snapshot<'a> {
    /// The file, for its logs.
    pub file: OwnedFd,
    words: &'a mut [u32],
}

impl<'a> Snapshot<'a> {
    /// Opens it. Errors: ENOENT where nothing was booted, EPROTO where another version did it.
    pub fn open(arena: &crate::mem::Arena<'a>) -> Result<Snapshot<'a>, Errno> {
        let file = fs::open(FILE, fs::OFlags::RDONLY | fs::OFlags::CLOEXEC, fs::Mode::empty())?;
        let mut head = [0; HEAD_WORDS];
        sys::read_words(file.as_fd(), &mut head)?;
        if head[Head::Magic as usize] != MAGIC || head[Head::RowWords as usize] != ROW_WORDS as u32 {
            return Err(Errno::PROTO);
        }
        let count = HEAD_WORDS + head[Head::Count as usize] as usize * ROW_WORDS;
        let words = arena.slice(count, |_| 0).map_err(|_| Errno::NOMEM)?;
        let mut snapshot = Snapshot { file, words };
        snapshot.refresh()?;
        Ok(snapshot)
    }

    /// Reads it again.
    pub fn refresh(&mut self) -> Result<(), Errno> {
        sys::read_words(self.file.as_fd(), self.words)
    }

    /// Waits until something changed since it was read, at most so long.
    pub fn await_change(&self, milliseconds: u64) {
        let _ = sys::await_change(self.file.as_fd(), self.words[0], milliseconds); // then it is read once too often
    }

    /// A word of the head.
    pub fn head(&self, word: Head) -> u32 {
        self.words[word as usize]
    }

    /// How many services there are.
    pub fn count(&self) -> usize {
        self.words[Head::Count as usize] as usize
    }

    /// The row of one.
    pub fn row(&self, index: usize) -> &[u32] {
        let start = HEAD_WORDS + index * ROW_WORDS;
        &self.words[start..start + ROW_WORDS]
    }

    /// The number of the service of this id.
    pub fn find(&self, id: &str) -> Option<usize> {
        (0..self.count()).find(|index| text(self.row(*index), Row::Id, &mut [0; 64]) == id)
    }

    /// Reads a log as it is now into `room`, which is as long as [`Head::LogBytes`]; its ends too.
    pub fn log(&mut self, index: usize, room: &mut [u8]) -> Result<Ends, Errno> {
        let offset = self.words.len() * 4 + index * room.len();
        let len = sys::fs::pread(&self.file, &mut *room, offset as u64)?;
        // What was overwritten while it was read begins before the start that is read afterwards.
        let end = wide(self.row(index), Row::LogEnd);
        self.refresh()?;
        let start = wide(self.row(index), Row::LogStart);
        if len == room.len() { Ok(Ends { start, end: end.max(start), open: None }) } else { Err(Errno::IO) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_life_is_read_back_as_it_was_written() {
        let mut row = [0; ROW_WORDS];
        let life = Life {
            state: State::Backoff,
            then: State::Failed,
            is_wanted: true,
            is_again: false,
            is_unwell: true,
            is_given_up: true,
            is_on_trial: true,
            pid: 12,
            exit: -1,
            failures: 3,
            restarts: 4,
            since_ms: 1 << 40,
            deadline_ms: u64::MAX - 1,
            alive_by_ms: 77,
        };
        set_life(&mut row, &life);
        set_text(&mut row, Row::Id, b"web");
        set_text(&mut row, Row::Said, &[b'x'; 100]);
        assert_eq!(super::life(&row), life);
        assert_eq!(text(&row, Row::Id, &mut [0; 64]), "web");
        assert_eq!(text(&row, Row::Said, &mut [0; 64]).len(), 63);
    }

    #[test]
    fn no_field_lies_on_another() {
        let fields = [
            (Row::Id as usize, 16),
            (Row::State as usize, 1),
            (Row::Then as usize, 1),
            (Row::Flags as usize, 1),
            (Row::Pid as usize, 1),
            (Row::Exit as usize, 1),
            (Row::Failures as usize, 1),
            (Row::Restarts as usize, 1),
            (Row::Since as usize, 2),
            (Row::Deadline as usize, 2),
            (Row::AliveBy as usize, 2),
            (Row::Worker as usize, 1),
            (Row::Report as usize, 1),
            (Row::Log as usize, 1),
            (Row::Notify as usize, 1),
            (Row::ReadyFd as usize, 1),
            (Row::Master as usize, 1),
            (Row::BegunUs as usize, 1),
            (Row::RunningUs as usize, 1),
            (Row::ReadyUs as usize, 1),
            (Row::EndedUs as usize, 1),
            (Row::WaitedFor as usize, 1),
            (Row::Kind as usize, 1),
            (Row::LogStart as usize, 2),
            (Row::LogEnd as usize, 2),
            (Row::Said as usize, 16),
            (Row::HealthAt as usize, 2),
            (Row::HealthFailures as usize, 1),
            (Row::HealthWorker as usize, 1),
            (Row::Filed as usize, 2),
            (Row::Stranger as usize, 1),
        ];
        let mut used = [false; ROW_WORDS];
        for (start, len) in fields {
            for word in &mut used[start..start + len] {
                assert!(!core::mem::replace(word, true), "word {start} is used twice");
            }
        }
    }
}
