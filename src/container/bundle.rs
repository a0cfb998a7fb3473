//! A bundle on disk, read into memory: its directory, and what its config.json says.

use core::ffi::CStr;

use super::state::{self, Directory};
use crate::error::{Doing, Error, Result};
use crate::json;
use crate::mem::Arena;
use crate::plan::seccomp;
use crate::spec::{self, Config};
use crate::sys::{self, AsFd, BorrowedFd, Errno, fs};

/// A larger config.json is refused: no real one comes near, and memory on a small board does not grow.
pub const MOST_CONFIG_BYTES: usize = 32 << 20;

/// A bundle whose configuration was read.
pub struct Bundle {
    /// Its absolute path.
    pub path: &'static str,
    /// config.json itself.
    pub text: &'static [u8],
    /// What it says.
    pub config: &'static Config<'static>,
    /// Memory, bounded by the size of config.json, for what is made of it.
    pub arena: Arena<'static>,
    /// What the reader noticed.
    pub notes: json::Notes<'static>,
}

/// Reads the bundle at `path`. Errors name the file, and for config.json the line, the column and the field.
pub fn open<'a>(procfs: BorrowedFd<'_>, path: &'a CStr, arena: &Arena<'a>) -> Result<'a, Bundle> {
    let (directory, real) = super::facts::real_directory(procfs, path, arena)?;
    of_text(read(&directory, c"config.json")?, real, arena)
}

/// What a container was made of, as its state directory keeps it: whatever became of the bundle since, no later process of the
/// container is bound less than its first. `path` is the bundle's.
pub fn kept<'a>(directory: &Directory, path: &str, arena: &Arena<'a>) -> Result<'a, Bundle> {
    of_text(read(directory.as_fd(), state::CONFIG)?, path, arena)
}

/// The same, for one more process, and what the file of `exec --process` says of that.
pub struct Joined<'a> {
    /// What the container was made of.
    pub config: &'a Config<'a>,
    /// The process, if there is such a file.
    pub process: Option<&'a spec::Process<'a>>,
    /// Memory, with room for a plan.
    pub arena: Arena<'a>,
}

/// Reads both. `arguments` is how many come with it.
pub fn joined<'a>(directory: &Directory, process: Option<&'a CStr>, arguments: usize) -> Result<'a, Joined<'a>> {
    let text = read(directory.as_fd(), state::CONFIG)?;
    let process_text = process.map(|path| read(fs::CWD, path)).transpose()?;
    let bytes = text.len() + process_text.map_or(0, <[u8]>::len);
    let room = spec::arena_bytes(bytes) + PLAN_BYTES + bytes * 4 + arguments * ARGUMENT_BYTES;
    let arena = Arena::over(sys::map_anonymous(room).doing("mmap", "memory for config.json")?);
    let (config, _) = json::read::<Config<'a>>(text, &arena).map_err(|error| described(&error, "the state directory", &arena))?;
    let process = match process_text {
        Some(text) => Some(json::read::<spec::Process<'a>>(text, &arena).map_err(|error| said(format_args!("{error}"), &arena))?.0),
        None => None,
    };
    Ok(Joined { config, process, arena })
}

/// A pointer and two nodes of lists.
const ARGUMENT_BYTES: usize = 64;

fn of_text<'a>(text: &'static [u8], path: &str, arena: &Arena<'a>) -> Result<'a, Bundle> {
    let room = spec::arena_bytes(text.len()) + PLAN_BYTES + path.len() + text.len() * 4;
    let memory = Arena::over(sys::map_anonymous(room).doing("mmap", "memory for config.json")?);
    let kept_path = memory.format(format_args!("{path}"))?;
    let (config, notes) = json::read::<Config<'static>>(text, &memory).map_err(|error| described(&error, path, arena))?;
    Ok(Bundle { path: kept_path, text, config, arena: memory, notes })
}

/// What the plan needs besides what grows with config.json: the default devices and their program, HOME, messages, a filter of system calls.
const PLAN_BYTES: usize = (64 << 10) + seccomp::BYTES;

fn described<'a>(error: &json::Error<'_>, bundle: &str, arena: &Arena<'a>) -> Error<'a> {
    said(format_args!("{bundle}/config.json: {error}"), arena)
}

fn said<'a>(sentence: core::fmt::Arguments<'_>, arena: &Arena<'a>) -> Error<'a> {
    arena.format(sentence).map_or_else(Error::from, Error::said)
}

/// A whole file. Errors: not a regular file, larger than [`MOST_CONFIG_BYTES`].
pub(super) fn read<'a>(directory: impl AsFd, name: &'a CStr) -> Result<'a, &'static [u8]> {
    let shown = name.to_str().unwrap_or_default();
    let flags = fs::OFlags::RDONLY | fs::OFlags::CLOEXEC | fs::OFlags::NONBLOCK;
    let file = match fs::openat(directory, name, flags, fs::Mode::empty()) {
        // runc's sentence
        Err(Errno::NOENT) if shown == "config.json" => return Err(Error::said("JSON specification file config.json not found")),
        file => file.doing("open", shown)?,
    };
    let status = fs::fstat(&file).doing("stat", shown)?;
    if fs::FileType::from_raw_mode(status.st_mode) != fs::FileType::RegularFile {
        return Err(Error::text(shown, "", "not a regular file"));
    }
    let size = usize::try_from(status.st_size).unwrap_or(usize::MAX);
    if size > MOST_CONFIG_BYTES {
        return Err(Error::text(shown, "", "larger than 32 MiB"));
    }
    let room = sys::map_anonymous(size + 1).doing("mmap", "memory for config.json")?;
    let mut len = 0;
    loop {
        match fs::read(&file, &mut room[len..]).doing("read", shown)? {
            0 => return Ok(&room[..len]),
            read => len += read,
        }
        if len == size {
            return Ok(&room[..len]); // there was room for more
        }
        if len > size {
            return Err(Error::text(shown, "", "it grew while it was read"));
        }
    }
}
