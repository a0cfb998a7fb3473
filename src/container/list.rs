//! All containers of a state root.

use core::cell::Cell;
use core::ffi::CStr;
use core::mem::MaybeUninit;

use super::state::{self, Directory, Look, Record, Status};
use crate::error::{Doing, Error, Result};
use crate::mem::{Arena, Full, List, sort};
use crate::plan::is_valid_id;
use crate::sys::{AsFd, BorrowedFd, Errno, fs};

/// What is told of one container.
#[derive(Clone, Copy, Debug)]
pub struct Container<'a> {
    /// What its state.json says.
    pub record: Record<'a>,
    /// Where it is in its life.
    pub status: Status,
}

/// One container. Errors: `container does not exist`.
pub fn find<'a>(root: &'a CStr, id: &'a str, procfs: BorrowedFd<'_>, arena: &Arena<'a>) -> Result<'a, Container<'a>> {
    let directory = Directory::open(root, id)?;
    let record = directory.read(arena)?;
    Ok(Container { record, status: state::status(&record, &directory, procfs) })
}

/// All of them, in the order of their ids. `broken` is told of each whose state cannot be read; one that is being created is passed over.
pub fn all<'a>(
    root: &'a CStr,
    is_default_root: bool,
    procfs: BorrowedFd<'_>,
    arena: &Arena<'a>,
    broken: &mut dyn FnMut(&str, &Error<'a>),
) -> Result<'a, List<'a, Container<'a>>> {
    let mut containers = List::default();
    each(root, is_default_root, procfs, arena, broken, &mut |look, id, record| {
        containers.push(arena, Container { record, status: look.status(id, &record) })
    })?;
    Ok(containers)
}

/// The same of their ids alone, without a look at what has become of them.
pub fn ids<'a>(
    root: &'a CStr,
    is_default_root: bool,
    procfs: BorrowedFd<'_>,
    arena: &Arena<'a>,
    broken: &mut dyn FnMut(&str, &Error<'a>),
) -> Result<'a, List<'a, &'a str>> {
    let mut ids = List::default();
    each(root, is_default_root, procfs, arena, broken, &mut |_, _, record| ids.push(arena, record.id))?;
    Ok(ids)
}

/// What is done with the record of a container.
type Visit<'v, 'a> = dyn FnMut(&mut Look<'_>, &str, Record<'a>) -> core::result::Result<(), Full> + 'v;

fn each<'a>(
    root: &'a CStr,
    is_default_root: bool,
    procfs: BorrowedFd<'_>,
    arena: &Arena<'a>,
    broken: &mut dyn FnMut(&str, &Error<'a>),
    visit: &mut Visit<'_, 'a>,
) -> Result<'a, ()> {
    let parent = match state::open_root(root) {
        Err(Errno::NOENT) if is_default_root => return Ok(()),
        parent => parent.doing_at("open", root)?,
    };
    let mut ids = List::default();
    let mut room = [MaybeUninit::uninit(); 8192];
    let mut entries = fs::RawDir::new(&parent, &mut room);
    while let Some(entry) = entries.next() {
        let entry = entry.doing_at("read the directory", root)?;
        let name = entry.file_name().to_str().unwrap_or_default();
        if is_valid_id(name) && entry.file_type() == fs::FileType::Directory {
            ids.push(arena, arena.format(format_args!("{name}"))?)?;
        }
    }
    let mut next = ids.iter();
    let sorted = arena.slice(ids.len(), |_| next.next().copied().unwrap_or_default())?;
    let cells = Cell::from_mut(&mut *sorted).as_slice_of_cells();
    sort(cells.len(), &|a, b| cells[a].get() < cells[b].get(), &|a, b| cells[a].swap(&cells[b]));
    let mut look = Look::new(parent.as_fd(), procfs);
    for id in &*sorted {
        match look.record(id, arena) {
            Ok(Some(record)) => visit(&mut look, id, record)?,
            Ok(None) => {} // it is being created, or gone again
            Err(error) => broken(id, &error),
        }
    }
    Ok(())
}
