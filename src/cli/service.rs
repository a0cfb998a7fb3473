//! The words for what was booted: services, their logs, the end of the machine. They read PID 1's table, and ask it over its socket.

use core::fmt::{self, Write};

use crate::container::durable;
use crate::error::{Error, Result};
use crate::init::control::{self, Request};
use crate::init::life::{Life, State};
use crate::init::read;
use crate::init::ring;
use crate::init::table::{self, Head, Row, Snapshot};
use crate::log::Output;
use crate::mem::Arena;
use crate::sys::{self, AsFd, Errno, OwnedFd, fs, task};

/// What `service` does, by its first argument.
pub fn run<'a>(action: &'a str, id: &'a str, arena: &Arena<'a>) -> Result<'a, i32> {
    let request = match action {
        "list" => return list(arena),
        "status" => return status(id, arena),
        "enable" | "disable" => return set_enabled(id, action == "enable", arena),
        "reload" => return ask(Request::Reload, "", arena).map(|_| 0),
        "attach" => return attach(id, arena),
        "start" => Request::Start,
        "stop" => Request::Stop,
        "restart" => Request::Restart,
        _ => return Err(Error::text("service", action, "wants list, status, start, stop, restart, enable, disable, reload or attach")),
    };
    ask(request, id, arena)?;
    await_rest(id, arena)
}

/// Asks for the end of the machine.
pub fn leave<'a>(request: Request, arena: &Arena<'a>) -> Result<'a, i32> {
    ask(request, "", arena).map(|_| 0)
}

pub(super) fn nothing_booted<'a>(errno: Errno) -> Error<'a> {
    match errno {
        Errno::NOENT | Errno::CONNREFUSED => Error::said("nothing was booted by `ocinit boot` on this machine"),
        Errno::PROTO => Error::said("another version of ocinit was booted on this machine"),
        errno => Error::errno("ask process 1", "", errno),
    }
}

/// One request and its answer, and with it perhaps a terminal. The socket stays open as long as that is held.
fn ask<'a>(request: Request, id: &str, arena: &Arena<'a>) -> Result<'a, (OwnedFd, Option<OwnedFd>)> {
    let socket = sys::connect_for_requests(control::SOCKET).map_err(nothing_booted)?;
    let mut message = heapless::Vec::<u8, { control::MOST_BYTES }>::new();
    let _ = message.push(request as u8); // there is room for one
    if message.extend_from_slice(id.as_bytes()).is_err() {
        return Err(Error::said("there is no such service"));
    }
    sys::send(socket.as_fd(), &message, None).map_err(nothing_booted)?;
    let mut answer = [0; 128];
    let (len, terminal) = sys::receive(socket.as_fd(), &mut answer).map_err(nothing_booted)?;
    match core::str::from_utf8(&answer[..len]) {
        Ok("ok") => Ok((socket, terminal)),
        Ok("") | Err(_) => Err(Error::said("process 1 gave no answer: only root may ask")),
        Ok(why) => Err(Error::said(arena.format(format_args!("{why}"))?)),
    }
}

/// Waits until the service has come to where it was to go; 1 if that is a failure.
fn await_rest<'a>(id: &str, arena: &Arena<'a>) -> Result<'a, i32> {
    const MOST_MS: u64 = 120_000;
    let deadline = task::now_ms() + MOST_MS;
    let mut snapshot = Snapshot::open(arena).map_err(nothing_booted)?;
    loop {
        let Some(index) = snapshot.find(id) else { return Err(Error::said("there is no such service")) };
        let life = table::life(snapshot.row(index));
        match life.state {
            State::Ready | State::Done | State::Stopped => return Ok(0),
            State::Failed => return Ok(1),
            State::Starting if snapshot.row(index)[Row::Kind as usize] & 0xff != 1 => return Ok(0),
            _ if task::now_ms() >= deadline => return Err(Error::said("it takes longer than two minutes")),
            _ => {}
        }
        snapshot.await_change(1000);
        snapshot.refresh().map_err(nothing_booted)?;
    }
}

pub(super) fn id_of<'b>(row: &[u32], buffer: &'b mut [u8; 64]) -> &'b str {
    table::text(row, Row::Id, buffer)
}

fn list<'a>(arena: &Arena<'a>) -> Result<'a, i32> {
    let snapshot = Snapshot::open(arena).map_err(nothing_booted)?;
    print(&mut |out| {
        writeln!(out, "{:24}{:12}{:8}{:10}EXIT", "ID", "STATE", "PID", "RESTARTS")?;
        for index in 0..snapshot.count() {
            let (row, mut buffer) = (snapshot.row(index), [0; 64]);
            let life = table::life(row);
            let exit = ExitShown(life.exit);
            writeln!(out, "{:24}{:12}{:<8}{:<10}{exit}", id_of(row, &mut buffer), word(life.state), life.pid, life.restarts)?;
        }
        Ok(())
    })
}

fn word(state: State) -> &'static str {
    State::ALL[state as usize].1
}

struct ExitShown(i32);

impl fmt::Display for ExitShown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 < 0 { f.write_str("-") } else { write!(f, "{}", self.0) }
    }
}

pub(super) fn print<'a>(text: &mut dyn FnMut(&mut Output<'_>) -> fmt::Result) -> Result<'a, i32> {
    let mut out = Output::new(task::stdout());
    let _ = text(&mut out); // `finish` knows the errno
    out.finish().map(|()| 0).map_err(Error::on("write", "standard output"))
}

/// As JSON; the exit status is 0 if it is up or done.
fn status<'a>(id: &str, arena: &Arena<'a>) -> Result<'a, i32> {
    let snapshot = Snapshot::open(arena).map_err(nothing_booted)?;
    let Some(index) = snapshot.find(id) else { return Err(Error::said("there is no such service")) };
    let row = snapshot.row(index);
    let life: Life = table::life(row);
    print(&mut |out| {
        let (mut said, mut other) = ([0; 64], [0; 64]);
        write!(out, "{{\"id\":\"{id}\",\"state\":\"{}\",\"pid\":{},\"exit\":{}", word(life.state), life.pid, life.exit)?;
        write!(out, ",\"restarts\":{},\"failures\":{},\"wanted\":{}", life.restarts, life.failures, life.is_wanted)?;
        let status = table::text(row, Row::Said, &mut said);
        write!(out, ",\"status\":{}", crate::log::JsonString(status))?;
        if let (Some(waits), State::Waiting) = (row[Row::WaitedFor as usize].checked_sub(1), life.state) {
            write!(out, ",\"waitsFor\":\"{}\"", id_of(snapshot.row(waits as usize), &mut other))?;
        }
        out.write_str("}\n")
    })?;
    Ok(i32::from(!matches!(life.state, State::Ready | State::Done | State::Starting)))
}

/// A file of its name says that it is not to be started at boot; nothing else is changed, not even in memory.
fn set_enabled<'a>(id: &'a str, is_enabled: bool, arena: &Arena<'a>) -> Result<'a, i32> {
    if !crate::plan::is_valid_id(id) {
        return Err(Error::said("invalid container ID format"));
    }
    let path = arena.c_str(&[read::DISABLED.as_bytes(), b"/", id.as_bytes()])?;
    if is_enabled {
        return match fs::unlinkat(fs::CWD, path, fs::AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(0),
            Err(errno) => Err(Error::at("remove", path)(errno)),
        };
    }
    let _ = durable::open_directory(read::DISABLED); // the file says what is wrong
    let flags = fs::OFlags::WRONLY | fs::OFlags::CREATE | fs::OFlags::CLOEXEC;
    fs::open(path, flags, fs::Mode::from_raw_mode(0o644)).map(|_| 0).map_err(Error::at("create", path))
}

/// Prints what a service wrote, and with `follows` goes on.
pub fn logs<'a>(id: &str, follows: bool, arena: &Arena<'a>) -> Result<'a, i32> {
    let mut snapshot = Snapshot::open(arena).map_err(nothing_booted)?;
    let Some(index) = snapshot.find(id) else { return Err(Error::said("there is no such service")) };
    let room = arena.slice(snapshot.head(Head::LogBytes) as usize, |_| 0u8)?;
    let mut at = 0;
    loop {
        let ends = snapshot.log(index, room).map_err(nothing_booted)?;
        at = at.max(ends.start);
        print(&mut |out| {
            let mut text = [0; ring::MOST_LINE_BYTES];
            while let Some(line) = ring::read(room, ends.end, at, &mut text) {
                if follows && line.is_open {
                    break;
                }
                line.print(&text, out)?;
                at = line.next;
            }
            Ok(())
        })?;
        if !follows {
            return Ok(0);
        }
        snapshot.await_change(60_000);
        snapshot.refresh().map_err(nothing_booted)?;
    }
}

/// Talks to the terminal of a service until either end hangs up: as if it were started here.
fn attach<'a>(id: &str, arena: &Arena<'a>) -> Result<'a, i32> {
    let (_socket, terminal) = ask(Request::Attach, id, arena)?;
    let Some(terminal) = terminal else { return Err(Error::said("it has no terminal")) };
    let _raw = crate::container::foreground::RawTerminal::enter();
    let mut chunk = [0; 4096];
    loop {
        let stdin = task::stdin();
        let mut polled = [task::PollFd::from_borrowed_fd(stdin, task::PollFlags::IN), task::PollFd::new(&terminal, task::PollFlags::IN)];
        if task::poll(&mut polled, None).is_err() {
            return Ok(0);
        }
        let ready = polled.each_ref().map(|polled| !polled.revents().is_empty());
        for (from, to, is_ready) in [(stdin, terminal.as_fd(), ready[0]), (terminal.as_fd(), task::stdout(), ready[1])] {
            const DETACH: u8 = 0x1d; // Ctrl-], as telnet(1) has it
            let moved = if is_ready { fs::read(from, &mut chunk) } else { continue };
            match moved {
                Ok(len) if len > 0 && !(is_ready && from_is_stdin(from) && chunk[..len].contains(&DETACH)) => {
                    let _ = fs::write(to, &chunk[..len]); // a terminal that is gone shows at the next read
                }
                Err(Errno::AGAIN | Errno::INTR) => {}
                _ => return Ok(0),
            }
        }
    }
}

fn from_is_stdin(fd: sys::BorrowedFd<'_>) -> bool {
    sys::AsRawFd::as_raw_fd(&fd) == 0
}
