//! What `ps` prints: pids as JSON, or columns as ps(1) has them, chosen by ps(1)'s own options.
//! It must not look at processes itself; times of day are UTC, for want of a time zone database.

use core::ffi::CStr;
use core::fmt::{self, Write};

use crate::container::processes::{Process, TICKS};
use crate::error::{Error, Result};
use crate::log::{Lossy, Time};
use crate::mem::{Arena, List};
use crate::sys::task;

/// What a column shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Pid,
    Uid,
    User,
    /// A number of proc_pid_stat(5).
    Number(u8),
    Stat,
    Terminal,
    /// Whole percents of a processor.
    Share,
    /// A number of proc_pid_stat(5) times so many bytes, in KiB.
    Kib(u8, u32),
    Started,
    Time,
    Name,
    Command,
}

/// The names that `-o` takes, the title, whether it stands on the right, what it shows.
type Column = (&'static str, &'static str, bool, Kind);

#[rustfmt::skip]
const COLUMNS: &[Column] = &[
    ("pid tgid", "PID", true, Kind::Pid),
    ("user euser uname", "USER", false, Kind::User),
    ("uid euid", "UID", true, Kind::Uid),
    ("ppid", "PPID", true, Kind::Number(4)),
    ("pgid pgrp", "PGID", true, Kind::Number(5)),
    ("sid sess session", "SID", true, Kind::Number(6)),
    ("pri", "PRI", true, Kind::Number(18)),
    ("ni nice", "NI", true, Kind::Number(19)),
    ("nlwp thcount", "NLWP", true, Kind::Number(20)),
    ("s state", "S", false, Kind::Number(3)),
    ("stat", "STAT", false, Kind::Stat),
    ("tty tt tname", "TTY", false, Kind::Terminal),
    ("c", "C", true, Kind::Share),
    ("%cpu pcpu", "%CPU", true, Kind::Share),
    ("vsz vsize", "VSZ", true, Kind::Kib(23, 1)),
    ("rss rssize rsz", "RSS", true, Kind::Kib(24, PAGE_BYTES)),
    ("stime", "STIME", false, Kind::Started),
    ("start start_time bsdstart", "START", false, Kind::Started),
    ("time cputime", "TIME", true, Kind::Time),
    ("comm ucmd ucomm fname", "COMMAND", false, Kind::Name),
    ("args command", "COMMAND", false, Kind::Command),
    ("cmd", "CMD", false, Kind::Command),
];

/// A column under the title that the user wants for it.
#[derive(Clone, Copy)]
struct Shown<'a> {
    title: &'a str,
    is_right: bool,
    kind: Kind,
}

/// Columns in the order in which they are shown.
pub struct Layout<'a>(List<'a, Shown<'a>>);

/// Understands ps(1)'s options; what only chooses processes has nothing to choose from. Errors: what ps(1) does not know either.
pub fn layout<'a>(options: &[&'a CStr], arena: &Arena<'a>) -> Result<'a, Layout<'a>> {
    let mut formats = "";
    let mut written = List::default();
    let mut words = options.iter();
    while let Some(word) = words.next() {
        let word = word.to_str().map_err(|_| Error::text("ps", "", "an option that is not UTF-8"))?;
        let letters = word.strip_prefix('-').unwrap_or(word);
        if letters.starts_with('-') {
            return Err(unknown(word));
        }
        for (at, letter) in letters.char_indices() {
            match letter {
                'x' if formats.is_empty() => formats = "x",
                'e' | 'A' | 'a' | 'x' | 'w' | 'd' => {}
                'f' | 'F' => formats = "f",
                'u' => formats = "u",
                'l' | 'j' => formats = "l",
                'o' => {
                    let rest = &letters[at + 1..];
                    let list = if rest.is_empty() { words.next().and_then(|word| word.to_str().ok()).unwrap_or_default() } else { rest };
                    choose(list, &mut written, arena)?;
                    break;
                }
                _ => return Err(unknown(word)),
            }
        }
    }
    if written.is_empty() {
        let list = match formats {
            "x" => "pid,tty,stat,time,args=COMMAND",
            "u" => "user,pid,%cpu,vsz,rss,tty,stat,start,time,args=COMMAND",
            "l" => "s,uid,pid,ppid,pgid,sid,c,pri,ni,vsz,tty,time,cmd",
            "" if !options.is_empty() => "pid,tty,time,comm=CMD",
            _ => "user=UID,pid,ppid,c,stime,tty,time,cmd",
        };
        choose(list, &mut written, arena)?;
    }
    if !written.iter().any(|column| column.kind == Kind::Pid) {
        return Err(Error::said("couldn't find PID field in ps output"));
    }
    Ok(Layout(written))
}

#[cold]
fn unknown<'a>(word: &'a str) -> Error<'a> {
    Error::text("ps", word, "unknown option (known are e A a x w d f F u l j and o COLUMN,…)")
}

fn choose<'a>(list: &'a str, written: &mut List<'a, Shown<'a>>, arena: &Arena<'a>) -> Result<'a, ()> {
    for item in list.split([',', ' ']).filter(|item| !item.is_empty()) {
        let (name, title) = item.split_once('=').map_or((item, None), |(name, title)| (name, Some(title)));
        let Some(column) = COLUMNS.iter().find(|column| column.0.split(' ').any(|known| known == name)) else {
            return Err(Error::text("ps", name, "unknown column"));
        };
        let (_, own, is_right, kind) = *column;
        written.push(arena, Shown { title: title.unwrap_or(own), is_right, kind })?;
    }
    Ok(())
}

/// Prints pids as one list.
pub fn print_json(pids: &[u32], out: &mut dyn Write) -> fmt::Result {
    let mut before = '[';
    for pid in pids {
        write!(out, "{before}{pid}")?;
        before = ',';
    }
    out.write_str(if before == '[' { "null\n" } else { "]\n" })
}

/// Prints a title and a line for each process.
pub fn print_table(layout: &Layout<'_>, processes: &List<'_, Process<'_>>, out: &mut dyn Write) -> fmt::Result {
    line(layout, processes, None, out)?;
    processes.iter().try_for_each(|process| line(layout, processes, Some(process), out))
}

fn line(layout: &Layout<'_>, processes: &List<'_, Process<'_>>, process: Option<&Process<'_>>, out: &mut dyn Write) -> fmt::Result {
    for (index, column) in layout.0.iter().enumerate() {
        if index > 0 {
            out.write_char(' ')?;
        }
        let mut len = Count(0);
        cell(column, process, &mut len)?;
        let least = if column.kind == Kind::Pid { PID_WIDTH } else { column.title.len() };
        let widest = processes.iter().try_fold(least, |widest, process| {
            let mut len = Count(0);
            cell(column, Some(process), &mut len).map(|()| widest.max(len.0))
        })?;
        let is_last = index + 1 == layout.0.len();
        let blanks = if is_last { 0 } else { widest.saturating_sub(len.0) };
        let (before, after) = if column.is_right { (blanks, 0) } else { (0, blanks) };
        write!(out, "{:before$}", "")?;
        cell(column, process, out)?;
        write!(out, "{:after$}", "")?;
    }
    out.write_char('\n')
}

/// As wide as the kernel's highest pid, so that a blank stands before the title: callers look for it.
const PID_WIDTH: usize = 7;

/// Counts what is written.
struct Count(usize);

impl Write for Count {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0 += text.chars().count();
        Ok(())
    }
}

fn cell(column: &Shown<'_>, process: Option<&Process<'_>>, out: &mut dyn Write) -> fmt::Result {
    let Some(process) = process else { return out.write_str(column.title) };
    let used = (process.number(14) + process.number(15)) / TICKS;
    let age = process.now.saturating_sub(process.number(22) / TICKS);
    let number = match column.kind {
        Kind::User if process.uid == 0 => return out.write_str("root"),
        Kind::User | Kind::Uid => process.uid.into(),
        Kind::Pid => process.pid.into(),
        Kind::Number(field) => return out.write_str(process.word(field.into())),
        Kind::Stat => return stat(process, out),
        Kind::Terminal => return terminal(process.number(7), out),
        Kind::Share => used * 100 / age.max(1),
        Kind::Kib(field, bytes) => process.number(field.into()).saturating_mul(bytes.into()) / 1024,
        Kind::Started => return started(age, out),
        Kind::Time => return write!(out, "{:02}:{:02}:{:02}", used / 3600, used / 60 % 60, used % 60),
        Kind::Name => return write!(out, "{}", Lossy(process.name)),
        Kind::Command => return command(process, out),
    };
    write!(out, "{number}")
}

/// The kernel counts resident memory in pages; the machines that we are built for have them of this size by default.
const PAGE_BYTES: u32 = 4096;

/// ps(1), "PROCESS STATE CODES".
fn stat(process: &Process<'_>, out: &mut dyn Write) -> fmt::Result {
    let nice = process.word(19);
    let marks = [
        (nice.starts_with('-'), "<"),
        (!nice.starts_with('-') && nice != "0", "N"),
        (process.number(6) == process.pid.into(), "s"),
        (process.number(20) > 1, "l"),
        (process.word(8) == process.word(5), "+"),
    ];
    out.write_str(process.word(3))?;
    marks.iter().filter(|(is_so, _)| *is_so).try_for_each(|(_, mark)| out.write_str(mark))
}

/// Documentation/admin-guide/devices.txt: 4 are consoles and, from 64 on, serial lines; 136 to 143 are pseudo-terminals.
fn terminal(device: u64, out: &mut dyn Write) -> fmt::Result {
    let (major, minor) = (device >> 8 & 0xfff, device & 0xff | device >> 12 & 0xfff00);
    match (major, minor) {
        (0, 0) => out.write_char('?'),
        (136..=143, _) => write!(out, "pts/{}", (major - 136) * 256 + minor),
        (4, 64..) => write!(out, "ttyS{}", minor - 64),
        (4, _) => write!(out, "tty{minor}"),
        (5, 1) => out.write_str("console"),
        _ => write!(out, "{major}:{minor}"),
    }
}

/// The time of day within a day, else the date.
fn started(age: u64, out: &mut dyn Write) -> fmt::Result {
    const DAY: u64 = 86_400;
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let now = task::clock_gettime(task::ClockId::Realtime).tv_sec as u64;
    let mut text = crate::mem::Text::<40>::default();
    write!(text, "{}", Time { seconds: now.saturating_sub(age), nanoseconds: 0 })?;
    let text = text.as_str(); // 2026-11-24T05:32:53Z
    if age < DAY {
        return out.write_str(text.get(11..16).unwrap_or_default());
    }
    let month = text.get(5..7).and_then(|month| month.parse::<usize>().ok()).unwrap_or(1);
    write!(out, "{}{}", MONTHS[(month - 1) % 12], text.get(8..10).unwrap_or_default())
}

/// What has no arguments, a kernel thread or a zombie, shows by its name in brackets. What would disturb a terminal does not pass.
fn command(process: &Process<'_>, out: &mut dyn Write) -> fmt::Result {
    if process.arguments.is_empty() {
        return write!(out, "[{}]", Lossy(process.name));
    }
    let arguments = process.arguments.strip_suffix(b"\0").unwrap_or(process.arguments);
    for chunk in arguments.utf8_chunks() {
        for character in chunk.valid().chars() {
            out.write_char(match character {
                '\0' => ' ',
                _ if character.is_control() => '?',
                _ => character,
            })?;
        }
        if !chunk.invalid().is_empty() {
            out.write_char('?')?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::mem::MaybeUninit;

    fn titles(options: &[&'static CStr]) -> String {
        let mut room = [MaybeUninit::uninit(); 8192];
        let arena = Arena::new(&mut room);
        let mut text = String::new();
        match layout(options, &arena) {
            Ok(layout) => print_table(&layout, &List::default(), &mut text).unwrap(),
            Err(error) => text = error.to_string(),
        }
        text
    }

    #[test]
    fn options_choose_columns_as_those_of_ps_do() {
        assert_eq!(titles(&[]), "UID     PID PPID C STIME TTY TIME CMD\n");
        assert_eq!(titles(&[c"-ef"]), "UID     PID PPID C STIME TTY TIME CMD\n");
        assert_eq!(titles(&[c"-e", c"-x"]), "    PID TTY STAT TIME COMMAND\n");
        assert_eq!(titles(&[c"-e"]), "    PID TTY TIME CMD\n");
        assert_eq!(titles(&[c"aux"]), "USER     PID %CPU VSZ RSS TTY STAT START TIME COMMAND\n");
        assert_eq!(titles(&[c"-eo", c"pid,comm=NAME"]), "    PID NAME\n");
        assert_eq!(titles(&[c"-o", c"comm"]), "couldn't find PID field in ps output");
        assert!(titles(&[c"-o", c"pid,nonsense"]).contains("nonsense: unknown column"));
        assert!(titles(&[c"-z"]).contains("-z: unknown option"));
    }

    #[test]
    fn pids_are_a_list_and_none_are_null_as_for_runc() {
        let print = |pids: &[u32]| {
            let mut text = String::new();
            print_json(pids, &mut text).unwrap();
            text
        };
        assert_eq!((print(&[1, 20]), print(&[])), ("[1,20]\n".into(), "null\n".into()));
    }

    #[test]
    fn terminals_have_their_names() {
        let name = |major: u64, minor: u64| {
            let mut text = String::new();
            terminal(major << 8 | minor, &mut text).unwrap();
            text
        };
        assert_eq!([name(0, 0), name(136, 3), name(137, 1), name(4, 1), name(4, 65)], ["?", "pts/3", "pts/257", "tty1", "ttyS1"]);
    }
}
