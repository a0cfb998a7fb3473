//! Versions of installed bundles, as they lie in `DATA/bundles/NAME`: directories called by numbers, a link `current`, a link `previous`, and
//! for a version that has not shown that it is good a file `NUMBER.trial`. The plan says what is to be written in which order.
//!
//! Must: leave something that can be started, whatever cannot be written.

use core::ffi::CStr;
use core::mem::MaybeUninit;

use super::{durable, trust};
use crate::error::{Doing, Error, Result};
use crate::log::Log;
use crate::mem::{Arena, PathBuffer};
use crate::plan::versions::{Mark, Record, Start, Write, number_of};
use crate::sys::{Errno, OwnedFd, fs};

const CURRENT: &CStr = c"current";
const PREVIOUS: &CStr = c"previous";

/// Which version was not good, a space, and why.
const FAILED: &CStr = c"failed";
const FAILED_BYTES: usize = 400;

pub(super) const DIRECTORY: fs::OFlags = fs::OFlags::RDONLY.union(fs::OFlags::DIRECTORY).union(fs::OFlags::CLOEXEC);

/// Where the versions of a bundle lie; an empty `id`: of all of them.
pub fn place<'a>(data: &str, id: &str, arena: &Arena<'a>) -> Result<'a, &'a str> {
    let slash = if id.is_empty() { "" } else { "/" };
    Ok(arena.format(format_args!("{data}/bundles{slash}{id}"))?)
}

/// Opens that directory; none if nothing is installed.
pub fn open(path: &str) -> core::result::Result<Option<OwnedFd>, Errno> {
    let mut name = PathBuffer::new();
    name.set(&[path.as_bytes()]);
    match fs::open(name.as_c_str(), DIRECTORY, fs::Mode::empty()) {
        Ok(directory) => Ok(Some(directory)),
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(errno),
    }
}

/// Each name in it, and then nothing more than that.
pub fn each_name(directory: &OwnedFd, tell: &mut dyn FnMut(&CStr)) -> core::result::Result<(), Errno> {
    let here = fs::openat(directory, c".", DIRECTORY, fs::Mode::empty())?; // to be read from its beginning
    let mut room = [MaybeUninit::uninit(); 2048];
    let mut entries = fs::RawDir::new(&here, &mut room);
    while let Some(entry) = entries.next() {
        tell(entry?.file_name());
    }
    Ok(())
}

/// What is written down. A link that is no version's counts for nothing.
pub fn read<'a>(directory: &OwnedFd, arena: &Arena<'a>) -> Result<'a, Record<'a>> {
    let link = |name: &'static CStr| {
        let mut room = [MaybeUninit::uninit(); 32];
        let Ok((target, _)) = fs::readlinkat_raw(directory, name, &mut room) else { return Ok(None) };
        let target = core::str::from_utf8(target).unwrap_or_default();
        let is_version = number_of(target) > 0 && !target.contains('.');
        if is_version { arena.format(format_args!("{target}")).map(Some) } else { Ok(None) }
    };
    let current = link(CURRENT)?;
    let mark = match current {
        Some(current) => mark(directory, current),
        None => Mark::None,
    };
    Ok(Record { current, previous: link(PREVIOUS)?, mark })
}

fn mark(directory: &OwnedFd, version: &str) -> Mark {
    let mut text = [0; 8];
    let file = fs::openat(directory, mark_name(version).as_c_str(), fs::OFlags::RDONLY | fs::OFlags::CLOEXEC, fs::Mode::empty());
    match file.and_then(|file| fs::read(&file, &mut text)) {
        Err(Errno::NOENT) => Mark::None,
        Ok(0) => Mark::Waiting,
        _ => Mark::Begun,
    }
}

fn mark_name(version: &str) -> PathBuffer {
    let mut name = PathBuffer::new();
    name.set(&[version.as_bytes(), b".trial"]);
    name
}

/// Gives a version its mark, or takes it away.
pub fn set_mark(directory: &OwnedFd, version: &str, mark: Mark) -> core::result::Result<(), Errno> {
    let name = mark_name(version);
    match mark {
        Mark::None => durable::remove(directory, name.as_c_str()),
        Mark::Waiting => durable::write(directory, name.as_c_str(), b""),
        Mark::Begun => durable::write(directory, name.as_c_str(), b"begun"),
    }
}

/// Writes in their order, each of them for good.
pub fn write(directory: &OwnedFd, writes: &[Write<'_>]) -> core::result::Result<(), Errno> {
    for write in writes {
        let (name, to) = match write {
            Write::Current(to) => (CURRENT, to),
            Write::Previous(to) => (PREVIOUS, to),
        };
        let mut target = PathBuffer::new();
        target.set(&[to.unwrap_or_default().as_bytes()]);
        match to {
            Some(_) => durable::link(directory, name, target.as_c_str()),
            None => durable::remove(directory, name),
        }?;
    }
    Ok(())
}

/// Nobody else changes what is written down until the directory is closed.
pub fn lock(directory: &OwnedFd) -> core::result::Result<(), Errno> {
    fs::flock(directory, fs::FlockOperation::LockExclusive)
}

/// Opens the directory, and locks it.
pub fn opened<'a>(path: &'a str) -> Result<'a, Option<OwnedFd>> {
    let opened = open(path).and_then(|directory| {
        directory.iter().try_for_each(lock)?;
        Ok(directory)
    });
    opened.doing("open", path)
}

/// What is started.
#[derive(Clone, Copy)]
pub struct Chosen<'a> {
    /// The bundle.
    pub bundle: &'a CStr,
    /// A version that has to show that it is good.
    pub trial: Option<&'a str>,
    /// Whether one was not good, and this is what was there before.
    pub is_back: bool,
}

/// Chooses what is to be started of a bundle that lies at `own` and may be installed too, and writes that down. `exit` is how it ended last;
/// -1 if it was not started since the machine was.
pub fn begin<'a>(data: &str, id: &str, own: &'a CStr, exit: i32, log: &Log, arena: &Arena<'a>) -> Result<'a, Chosen<'a>> {
    let plain = |bundle| Chosen { bundle, trial: None, is_back: false };
    let path = place(data, id, arena)?;
    let Some(directory) = opened(path)? else { return Ok(plain(own)) };
    let record = read(&directory, arena)?;
    let has_own = own.to_bytes() != path.as_bytes();
    let bundle = |version: Option<&str>| match version {
        Some(version) => arena.format_c(format_args!("{path}/{version}")),
        None => Ok(own),
    };
    // It goes on with what cannot be written down, but never with what is new.
    let warn = |what: &str, errno: Errno| log.warning(format_args!("{path}: {what}: {}", crate::error::Reason(errno)));
    Ok(match record.start(has_own) {
        Start::Nothing => plain(own),
        Start::Version(version, settles) => {
            if settles && let Err(errno) = set_mark(&directory, version, Mark::None) {
                warn(version, errno);
            }
            plain(bundle(Some(version))?)
        }
        Start::Trial(version) => match set_mark(&directory, version, Mark::Begun) {
            Ok(()) => Chosen { bundle: bundle(Some(version))?, trial: Some(version), is_back: false },
            Err(errno) => {
                warn("the version on trial is not started", errno);
                plain(bundle(record.other())?)
            }
        },
        Start::Back { bad, to } => {
            let why = match exit {
                0.. => arena.format(format_args!("ended with {exit} before it was good"))?,
                _ => "the machine went down before it was good",
            };
            note_failure(&directory, bad, why, false);
            log.warning(format_args!("version {bad} was not good: what was there before is started"));
            if let Err(errno) = write(&directory, &[Write::Current(to)]) {
                warn("current", errno);
            }
            Chosen { is_back: true, ..plain(bundle(to)?) }
        }
    })
}

/// Writes down why a version is not good, if that is not known better. What cannot be written is only not shown.
pub fn note_failure(directory: &OwnedFd, version: &str, why: &str, is_better: bool) {
    let mut text = crate::mem::Text::<FAILED_BYTES>::default();
    let _ = core::fmt::Write::write_fmt(&mut text, format_args!("{version} {why}\n")); // it is cut off
    let mut room = [0; FAILED_BYTES];
    if is_better || failure(directory, &mut room).0 != version {
        let _ = durable::write(directory, FAILED, text.as_str().as_bytes());
    }
}

/// The version that was not good last, and why; empty if there was none.
pub fn failure<'r>(directory: &OwnedFd, room: &'r mut [u8; FAILED_BYTES]) -> (&'r str, &'r str) {
    let file = fs::openat(directory, FAILED, fs::OFlags::RDONLY | fs::OFlags::CLOEXEC, fs::Mode::empty());
    let length = file.and_then(|file| fs::read(&file, &mut room[..])).unwrap_or(0);
    core::str::from_utf8(&room[..length]).unwrap_or_default().trim_ascii_end().split_once(' ').unwrap_or_default()
}

/// Room for [`failure`].
pub const NO_FAILURE: [u8; FAILED_BYTES] = [0; FAILED_BYTES];

/// The version on trial could not be started: why.
pub fn begin_failed(data: &str, id: &str, version: &str, error: &Error<'_>, arena: &Arena<'_>) {
    if let (Ok(path), Ok(why)) = (place(data, id, arena), arena.format(format_args!("{error}")))
        && let Ok(Some(directory)) = open(path)
    {
        note_failure(&directory, version, why, true);
    }
}

/// The version that is on trial has shown that it is good: its mark goes, and its release counts as accepted.
pub fn keep<'a>(data: &str, id: &str, arena: &Arena<'a>) -> Result<'a, ()> {
    let path = place(data, id, arena)?;
    let Some(directory) = opened(path)? else { return Ok(()) };
    let record = read(&directory, arena)?;
    let (Some(current), Mark::Begun) = (record.current, record.mark) else { return Ok(()) };
    // Not the other way round: what was accepted and is still on trial could not be gone back from.
    set_mark(&directory, current, Mark::None).doing("keep the version", current)?;
    trust::accept(arena.format_c(format_args!("{path}/{current}"))?, arena)
}
