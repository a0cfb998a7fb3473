//! A new version of a bundle, out of a directory: copied beside those that are there, looked at, and made the current one.
//!
//! Must: leave what is there as it is until the new one is whole, and nothing of a new one that is not.

use core::ffi::CStr;

use super::versions::DIRECTORY;
use super::{bundle, create, durable, facts, image, list, state, trust, versions};
use crate::error::{Doing, Error, Result};
use crate::log::Log;
use crate::mem::{Arena, PathBuffer};
use crate::plan::check;
use crate::plan::image::{Upper, of_bundle};
use crate::plan::versions::{Mark, Record, Write, number_of};
use crate::sys::{self, AsFd, Errno, OwnedFd, fs};

/// Files are counted in blocks of this size, and so much is left for what else is written.
const BLOCK_BYTES: u64 = 4096;
const SPARE_BYTES: u64 = 64 << 10;

/// Installs the bundle in `source`; the new version's name. `root` is where containers have their state: what runs is left alone.
pub fn install<'a>(data: &str, id: &'a str, source: &'a CStr, root: &'a CStr, log: &Log, arena: &Arena<'a>) -> Result<'a, &'a str> {
    let all = versions::place(data, "", arena)?;
    let path = versions::place(data, id, arena)?;
    let needed = match bytes_of(source) {
        Err(Errno::INVAL) => {
            let why = "a bundle that is installed is config.json, images and their signatures: it holds something else than files";
            return Err(Error::text("install", source.to_str().unwrap_or_default(), why));
        }
        needed => needed.doing_at("read", source)?,
    };
    let begun = durable::open_directory(all).and_then(|all| {
        fs::flock(&all, fs::FlockOperation::NonBlockingLockExclusive)?;
        let directory = durable::open_directory(path)?;
        sys::fsync(all.as_fd())?;
        Ok((all, directory))
    });
    let (_all, directory) = match begun {
        Err(Errno::AGAIN) => return Err(Error::said("another bundle is being installed")),
        begun => begun.doing("open", path)?,
    };
    let running = running(id, root, arena).and_then(|bundle| bundle.rsplit('/').next()).map_or(0, number_of);
    let record = versions::read(&directory, arena)?;
    let last = tidy(&directory, &record, running).doing("tidy", path)?;
    let free = make_room(&directory, &record, needed).doing("make room in", path)?;
    if free < needed {
        let sentence = format_args!("it needs {} KiB with what is left over, and {} KiB are free", needed.div_ceil(1024), free / 1024);
        return Err(Error::text("install", id, arena.format(sentence)?));
    }
    let version = arena.format(format_args!("{}", last + 1))?;
    let (name, part) = (arena.format_c(format_args!("{version}"))?, arena.format_c(format_args!("{version}.part"))?);
    let made = copy(&directory, part, source)
        .doing_at("copy", source)
        .and_then(|()| looked_at(arena.format_c(format_args!("{path}/{version}.part"))?, id, log, arena));
    if let Err(error) = made {
        let _ = remove(&directory, part); // the first error is told
        return Err(error);
    }
    let switched = versions::lock(&directory).and_then(|()| {
        fs::renameat(&directory, part, &directory, name)?;
        versions::set_mark(&directory, version, Mark::Waiting)?; // which writes down the new name too
        let record = versions::read(&directory, arena).map_err(|_| Errno::NOMEM)?;
        versions::write(&directory, &record.switch(version))
    });
    switched.doing("switch to version", version).map(|()| version)
}

type Outcome<T> = core::result::Result<T, Errno>;

/// What the files of a directory take. Errors: EINVAL if it holds something else.
fn bytes_of(source: &CStr) -> Outcome<u64> {
    let mut bytes = SPARE_BYTES;
    each_file(source, &mut |from, name| {
        let status = fs::statat(from, name, fs::AtFlags::SYMLINK_NOFOLLOW)?;
        bytes += (status.st_size as u64).next_multiple_of(BLOCK_BYTES);
        if fs::FileType::from_raw_mode(status.st_mode) == fs::FileType::RegularFile { Ok(()) } else { Err(Errno::INVAL) }
    })?;
    Ok(bytes)
}

fn each_file(source: &CStr, work: &mut dyn FnMut(&OwnedFd, &CStr) -> Outcome<()>) -> Outcome<()> {
    let from = fs::open(source, DIRECTORY, fs::Mode::empty())?;
    let mut done = Ok(());
    versions::each_name(&from, &mut |name| {
        if done.is_ok() && name != c"." && name != c".." {
            done = work(&from, name);
        }
    })?;
    done
}

/// Removes what belongs to no version that is of use: not the current one, nor the previous, nor what runs. The highest number there was.
fn tidy(directory: &OwnedFd, record: &Record<'_>, running: u32) -> Outcome<u32> {
    let mut room = versions::NO_FAILURE;
    let mut last = number_of(versions::failure(directory, &mut room).0);
    let mut removed = Ok(());
    let used = [record.current, record.previous].map(|version| version.map_or(0, number_of));
    versions::each_name(directory, &mut |name| {
        let text = name.to_str().unwrap_or_default();
        let number = number_of(text);
        last = last.max(number);
        if number > 0 && (text.ends_with(".part") || (!used.contains(&number) && number != running)) && removed.is_ok() {
            removed = remove(directory, name);
        }
    })?;
    removed.map(|()| last)
}

/// The bundle of the container that runs under this id.
pub fn running<'a>(id: &'a str, root: &'a CStr, arena: &Arena<'a>) -> Option<&'a str> {
    let procfs = facts::open_procfs().ok()?;
    let found = list::find(root, id, procfs.as_fd(), arena).ok()?;
    (found.status != state::Status::Stopped).then_some(found.record.bundle)
}

/// Removes a version, or a file.
pub fn remove(directory: &OwnedFd, name: &CStr) -> Outcome<()> {
    match fs::unlinkat(directory, name, fs::AtFlags::empty()) {
        Err(Errno::ISDIR | Errno::PERM) => {
            state::empty(&fs::openat(directory, name, DIRECTORY | fs::OFlags::NOFOLLOW, fs::Mode::empty())?)?;
            fs::unlinkat(directory, name, fs::AtFlags::REMOVEDIR)
        }
        done => done,
    }
}

/// How much is free; what can be gone back to goes if that is too little.
fn make_room(directory: &OwnedFd, record: &Record<'_>, needed: u64) -> Outcome<u64> {
    let free = || fs::fstatfs(directory).map(|system| system.f_bavail * system.f_bsize as u64);
    if free()? < needed
        && let (Some(other), Mark::None) = (record.other(), record.mark)
    {
        let mut name = PathBuffer::new();
        name.set(&[other.as_bytes()]);
        versions::write(directory, &[Write::Previous(None)])?;
        remove(directory, name.as_c_str())?;
    }
    free()
}

fn copy(directory: &OwnedFd, part: &CStr, source: &CStr) -> Outcome<()> {
    const CHUNK: usize = 1 << 20;
    fs::mkdirat(directory, part, fs::Mode::from_raw_mode(0o755))?;
    let to = fs::openat(directory, part, DIRECTORY, fs::Mode::empty())?;
    each_file(source, &mut |from, name| {
        let flags = fs::OFlags::RDONLY | fs::OFlags::CLOEXEC | fs::OFlags::NOFOLLOW | fs::OFlags::NONBLOCK;
        let old = fs::openat(from, name, flags, fs::Mode::empty())?;
        let flags = fs::OFlags::WRONLY | fs::OFlags::CREATE | fs::OFlags::EXCL | fs::OFlags::CLOEXEC;
        let new = fs::openat(&to, name, flags, fs::Mode::from_raw_mode(0o644))?;
        while fs::sendfile(&new, &old, None, CHUNK)? > 0 {}
        sys::fsync(new.as_fd())
    })?;
    sys::fsync(to.as_fd())
}

/// Whether a version can be run, as far as that can be seen without running it: what its start would refuse is refused now.
pub fn looked_at<'a>(path: &'a CStr, id: &str, log: &Log, arena: &Arena<'a>) -> Result<'a, ()> {
    let bundle = bundle::open(facts::open_procfs()?.as_fd(), path, arena)?;
    trust::check_bundle(&bundle, "", false, arena)?;
    let config = bundle.config;
    let memory = &bundle.arena;
    let keep = |error: Error<'static>| arena.format(format_args!("{error}")).map_or_else(Error::from, Error::said);
    create::first_problem(memory, log, &|report| check::check(config, memory, report)).map_err(keep)?;
    let root_is_file = facts::root_is_file(config, bundle.path, memory).map_err(keep)?;
    let image = of_bundle(config, bundle.path, root_is_file, memory).map_err(keep)?;
    trust::check_root(image.as_ref())?;
    let Some(mut image) = image else {
        if config.root.is_some_and(|root| root.path.starts_with('/')) {
            return Ok(());
        }
        return Err(Error::text("root", "", "a bundle that is installed has its root file system in images (org.ocinit.image)"));
    };
    image.upper = Upper::None;
    let id = memory.format(format_args!("{id}"))?;
    image::mount(&image, id, memory).map(|_| ()).map_err(keep)
}
