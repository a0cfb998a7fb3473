//! `bundle`: installs new versions of what is booted, says which there are, and goes back.

use core::ffi::CStr;
use core::fmt::{self, Write};
use core::mem::MaybeUninit;

use super::service::print;
use crate::container::{durable, install, versions};
use crate::error::{Doing, Error, Result};
use crate::init::{DATA_LINK, STATE_ROOT};
use crate::log::{Log, Output};
use crate::mem::{Arena, List};
use crate::plan::boot::{DATA, MOST_ID_BYTES};
use crate::plan::versions::{Mark, Write as Change};
use crate::sys::{AsFd, OwnedFd, fs};

/// What is asked.
#[derive(Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields are the arguments and options")]
pub struct Request<'a> {
    pub action: &'a str,
    pub id: &'a str,
    pub image: Option<&'a CStr>,
    pub data: Option<&'a CStr>,
}

/// Does it; the exit status.
pub fn run<'a>(request: &Request<'a>, log: &Log, arena: &Arena<'a>) -> Result<'a, i32> {
    let data = data(request.data, arena)?;
    let Request { action, id, image, .. } = *request;
    match (action, image) {
        ("list", None) => return list(data, id, arena),
        ("install", Some(_)) | ("rollback" | "remove", None) => {}
        _ => return Err(Error::text("bundle", action, "wants list, install NAME DIRECTORY, rollback NAME or remove NAME")),
    }
    if !crate::plan::is_valid_id(id) || id.len() > MOST_ID_BYTES || id.starts_with('.') {
        return Err(Error::text("bundle", id, "a name is 1 to 63 letters, digits, `_`, `+`, `.` or `-`"));
    }
    if let Some(image) = image {
        let version = install::install(data, id, image, STATE_ROOT, log, arena)?;
        return print(&mut |out| writeln!(out, "{id}: version {version} is installed, and on trial from its next start"));
    }
    let path = versions::place(data, id, arena)?;
    let directory = versions::opened(path)?.ok_or(Error::text("bundle", id, "no version of it is installed"))?;
    if action == "remove" { remove(data, id, &directory, arena) } else { roll_back(path, id, &directory, log, arena) }
}

/// Where bundles are installed: what was said, what process 1 goes by, or the usual place.
fn data<'a>(said: Option<&'a CStr>, arena: &Arena<'a>) -> Result<'a, &'a str> {
    let mut room = [MaybeUninit::uninit(); 4096];
    let bytes = match (said, fs::readlinkat_raw(fs::CWD, DATA_LINK, &mut room)) {
        (Some(said), _) => said.to_bytes(),
        (None, Ok((target, _))) => target,
        (None, Err(_)) => DATA.as_bytes(),
    };
    let text = core::str::from_utf8(bytes).map_err(|_| Error::text("bundle", "", "the data directory is not UTF-8"))?;
    Ok(arena.format(format_args!("{text}"))?)
}

fn list<'a>(data: &str, id: &str, arena: &Arena<'a>) -> Result<'a, i32> {
    let all = versions::place(data, "", arena)?;
    let mut names = List::default();
    if let Some(directory) = versions::open(all).doing("open", all)? {
        let mut full = Ok(());
        versions::each_name(&directory, &mut |name| {
            let name = name.to_str().unwrap_or_default();
            if !name.starts_with('.') && (id.is_empty() || id == name) {
                let kept = arena.format(format_args!("{name}")).and_then(|name| names.push(arena, name));
                full = full.and(kept);
            }
        })
        .doing("read", all)?;
        full?;
    }
    let mut failed = Ok(());
    print(&mut |out| {
        writeln!(out, "{:24}{:10}{:10}{:10}FAILED", "NAME", "CURRENT", "PREVIOUS", "STATE")?;
        for name in &names {
            failed = failed.and(row(data, name, arena, out));
        }
        Ok(())
    })?;
    failed.map(|()| 0)
}

fn row<'a>(data: &str, name: &str, arena: &Arena<'a>, out: &mut Output<'_>) -> Result<'a, ()> {
    let Ok(Some(directory)) = versions::open(versions::place(data, name, arena)?) else { return Ok(()) };
    let record = versions::read(&directory, arena)?;
    let state = match (record.current, record.mark) {
        (None, _) => "-",
        (_, Mark::None) => "good",
        (_, Mark::Waiting) => "new",
        (_, Mark::Begun) => "on trial",
    };
    let mut room = versions::NO_FAILURE;
    let (version, why) = versions::failure(&directory, &mut room);
    let dash = |text: Option<&'a str>| text.unwrap_or("-");
    let _: fmt::Result = writeln!(
        out,
        "{name:24}{:10}{:10}{state:10}{version}{}{why}",
        dash(record.current),
        dash(record.other()),
        if version.is_empty() { "-" } else { ": " },
    ); // `print` knows the errno
    Ok(())
}

/// Back to the version before, which is looked at first; from the next start on.
fn roll_back<'a>(path: &str, id: &'a str, directory: &OwnedFd, log: &Log, arena: &Arena<'a>) -> Result<'a, i32> {
    let record = versions::read(directory, arena)?;
    let (Some(other), Some(writes)) = (record.other(), record.swap()) else {
        return Err(Error::said("there is no other version to go back to"));
    };
    install::looked_at(arena.format_c(format_args!("{path}/{other}"))?, id, log, arena)?;
    if let (Some(current), true) = (record.current, record.mark != Mark::None) {
        versions::note_failure(directory, current, "was taken back by hand", false);
    }
    versions::write(directory, &writes).doing("link", id)?;
    print(&mut |out| writeln!(out, "{id}: version {other} is started from its next start on"))
}

/// All versions; what runs of it has to be stopped before.
fn remove<'a>(data: &'a str, id: &'a str, directory: &OwnedFd, arena: &Arena<'a>) -> Result<'a, i32> {
    let place = versions::place(data, id, arena)?;
    if install::running(id, STATE_ROOT, arena).is_some_and(|bundle| bundle.starts_with(place)) {
        return Err(Error::text("bundle", id, "it runs: it has to be stopped first"));
    }
    let name = arena.format_c(format_args!("{id}"))?;
    let all = versions::place(data, "", arena)?;
    let removed = versions::write(directory, &[Change::Current(None), Change::Previous(None)]).and_then(|()| {
        let all = durable::open_directory(all)?;
        install::remove(&all, name)?;
        crate::sys::fsync(all.as_fd())
    });
    removed.doing("remove", id).map(|()| 0)
}
