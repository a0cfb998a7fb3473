//! Logs in files, for who asks for them: one child of PID 1 reads the rings like anybody else and appends what is new to ID.log. A full file
//! becomes ID.log.1, that ID.log.2; the oldest goes.
//!
//! Must: never make PID 1 wait, however slow or full the disk is. What the ring loses meanwhile is lost, and that is said.

use core::fmt::Write;

use super::early;
use super::ring;
use super::table::{self, Head, Row, Snapshot, Table};
use super::work::{self, Origin};
use crate::container::facts;
use crate::error::{Doing, Error};
use crate::log::Output;
use crate::mem::{PathBuffer, Text};
use crate::plan::boot::LogFiles;
use crate::sys::{self, AsFd, BorrowedFd, Errno, fs, task};

/// How much is collected before it is written: a power cut costs that much, and what the kernel holds.
const EVERY_MS: u64 = 200;

/// In a child: goes on until SIGTERM, and then writes what is left. It notes in the table, and nowhere else of PID 1's, how far it is.
pub fn keep(files: &LogFiles<'_>, own: usize, table: &mut Table, output: BorrowedFd<'_>, origin: &Origin) {
    work::become_quiet(output, origin);
    let Ok(signals) = sys::signal_fd(sys::ALL_BUT_FAULTS) else { sys::exit(1) };
    let _ = facts::open_procfs().map(|procfs| sys::close_from_but(procfs.as_fd(), 3, &[signals.as_fd()])); // whatever PID 1 has open is none of its business
    work::with_arena(|arena| {
        early::make_directories(files.directory, arena)?;
        let mut snapshot = Snapshot::open(arena).doing("open", "the state of the boot")?;
        let room = sys::map_anonymous(table.log_bytes).doing("mmap", "memory for a log")?;
        let mut is_told = false;
        loop {
            let is_over = sys::take(signals.as_fd()).is_some();
            snapshot.refresh().doing("read", "the state of the boot")?;
            if snapshot.head(Head::IsLeft) != 0 {
                return Ok(()); // the next life of PID 1 has another table, and another child
            }
            for index in (0..snapshot.count()).filter(|index| *index != own) {
                let Some(at) = append(files, &mut snapshot, index, room).unwrap_or_else(|errno| {
                    if !core::mem::replace(&mut is_told, true) {
                        work::tell(format_args!("{}", Error::errno("write", files.directory, errno)));
                    }
                    Some(table::wide(snapshot.row(index), Row::LogEnd))
                }) else {
                    continue;
                };
                table::set_wide(table.row(index), Row::Filed, at);
            }
            if is_over {
                return Ok(());
            }
            snapshot.await_change(60_000);
            let _ = task::poll(&mut [], Some(&task::milliseconds(EVERY_MS))); // it only passes the time
        }
    });
}

/// Appends what is new of one log; up to where, if anything was.
fn append(files: &LogFiles<'_>, snapshot: &mut Snapshot<'_>, index: usize, room: &mut [u8]) -> core::result::Result<Option<u64>, Errno> {
    let filed = table::wide(snapshot.row(index), Row::Filed);
    let mut at = filed;
    if at == table::wide(snapshot.row(index), Row::LogEnd) {
        return Ok(None);
    }
    let ends = snapshot.log(index, room)?;
    let mut id = [0; 64];
    let id = table::text(snapshot.row(index), Row::Id, &mut id);
    let (mut path, mut text) = (PathBuffer::new(), [0; ring::MOST_LINE_BYTES]);
    name(&mut path, files, id, 0);
    let flags = fs::OFlags::WRONLY | fs::OFlags::CREATE | fs::OFlags::APPEND | fs::OFlags::CLOEXEC | fs::OFlags::NOFOLLOW;
    let open = |path: &PathBuffer| fs::open(path.as_c_str(), flags, fs::Mode::from_raw_mode(0o640));
    let mut file = open(&path)?;
    let mut left = u64::from(files.bytes).saturating_sub(fs::fstat(&file)?.st_size as u64);
    if at < ends.start {
        fs::write(&file, b"... some lines were lost\n")?;
        at = ends.start;
    }
    while let Some(line) = ring::read(room, ends.end, at, &mut text) {
        if line.is_open {
            break; // it is not whole yet
        }
        if left < line.len as u64 {
            rotate(files, id)?;
            file = open(&path)?;
            left = u64::from(files.bytes);
        }
        let mut out = Output::new(file.as_fd());
        let _ = line.print(&text, &mut out); // `finish` knows the errno
        out.finish()?;
        left = left.saturating_sub(line.len as u64 + STAMP_BYTES);
        at = line.next;
    }
    Ok((at != filed).then_some(at))
}

/// About as long is what stands before a line: its time and priority.
const STAMP_BYTES: u64 = 32;

/// The file of that age: ID.log, ID.log.1 …
fn name(path: &mut PathBuffer, files: &LogFiles<'_>, id: &str, age: u32) {
    let mut end = Text::<12>::default();
    let _ = if age == 0 { Ok(()) } else { write!(end, ".{age}") }; // ten digits fit
    path.set(&[files.directory.as_bytes(), b"/", id.as_bytes(), b".log", end.as_str().as_bytes()]);
}

fn rotate(files: &LogFiles<'_>, id: &str) -> core::result::Result<(), Errno> {
    let (mut from, mut to) = (PathBuffer::new(), PathBuffer::new());
    for age in (1..files.count).rev() {
        name(&mut from, files, id, age - 1);
        name(&mut to, files, id, age);
        match fs::renameat(fs::CWD, from.as_c_str(), fs::CWD, to.as_c_str()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(errno) => return Err(errno),
        }
    }
    name(&mut from, files, id, 0);
    match fs::unlinkat(fs::CWD, from.as_c_str(), fs::AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(()), // with one file only it is this one that goes
        Err(errno) => Err(errno),
    }
}
