//! What `ps` prints: pids as JSON, or columns as ps(1) has them, chosen by ps(1)'s own options.
//! It must not look at processes itself; times of day are UTC, for want of a time zone database.

use core::ffi::CStr;
use core::fmt::{self, Write};

use crate::container::processes::{Owner, Process, TICKS};
use crate::error::{Error, Result};
use crate::log::{Lossy, Time};
use crate::mem::{Arena, List};
use crate::sys::task;

/// The columns, a line for each: the names that `-o` takes; the title; the width, negative where it stands on the left, as procps has both;
/// what it shows: a field of proc_pid_stat(5), or a letter for [`cell`].
const COLUMNS: &str = "\
pid tgid,PID,7,p
lwp,LWP,7,p
tid,TID,7,p
spid,SPID,7,p
user uname,USER,-8,U
euser,EUSER,-8,U
ruser,RUSER,-8,V
uid,UID,5,u
euid,EUID,5,u
ruid,RUID,5,v
group,GROUP,-8,G
egroup,EGROUP,-8,G
rgroup,RGROUP,-8,H
gid,GID,5,g
egid,EGID,5,g
rgid,RGID,5,h
ppid,PPID,7,4
pgid pgrp,PGID,7,5
sid,SID,7,6
sess session,SESS,7,6
tpgid,TPGID,7,8
f flag flags,F,1,f
s state,S,-1,3
stat,STAT,-4,D
tt tty,TT,-8,y
tname,TTY,-8,y
c,C,2,c
%cpu pcpu,%CPU,4,C
%mem pmem,%MEM,4,m
vsz vsize,VSZ,6,z
rss rssize rsz,RSS,5,r
sz,SZ,5,s
min_flt minflt,MINFL,6,10
maj_flt majflt,MAJFL,6,12
pri,PRI,3,P
opri,PRI,3,O
priority,PRI,3,18
ni nice,NI,3,19
nlwp,NLWP,4,20
thcount,THCNT,5,20
psr,PSR,3,39
rtprio,RTPRIO,6,R
cls class,CLS,3,K
policy,POL,3,K
sched,SCH,3,41
wchan wname,WCHAN,-6,w
addr,ADDR,-4,-
stime,STIME,-5,S
start_time,START,-5,S
bsdstart,START,6,S
start,STARTED,8,B
lstart,STARTED,24,L
etime,ELAPSED,11,e
etimes,ELAPSED,7,E
time cputime,TIME,8,t
cputimes times,TIME,8,T
bsdtime,TIME,6,b
comm ucomm fname exe,COMMAND,-15,k
ucmd,CMD,-15,k
args command,COMMAND,-27,a
cmd,CMD,-27,a
";

/// A column under the title that the user wants for it.
#[derive(Clone, Copy)]
struct Shown<'a> {
    title: &'a str,
    width: isize,
    what: &'static str,
}

/// Columns in the order in which they are shown.
pub struct Layout<'a>(List<'a, Shown<'a>>);

/// Understands ps(1)'s options; what only chooses processes has nothing to choose from. Errors: what ps(1) does not know either.
pub fn layout<'a>(options: &[&'a CStr], arena: &Arena<'a>) -> Result<'a, Layout<'a>> {
    let mut format = if options.is_empty() { "-f" } else { "" };
    let mut written = List::default();
    let mut words = options.iter().map(|word| word.to_str().unwrap_or("(not UTF-8)"));
    while let Some(word) = words.next() {
        let (letters, is_dashed) = word.strip_prefix('-').map_or((word, false), |letters| (letters, true));
        if let Some(list) = letters.strip_prefix("-format") {
            choose(list.strip_prefix('=').or_else(|| words.next()).unwrap_or_default(), &mut written, arena)?;
            continue;
        }
        for (at, letter) in letters.char_indices() {
            let rest = &letters[at + 1..];
            match (letter, is_dashed) {
                ('u', true) if rest.is_empty() => return Err(unknown(word)), // it would want a list of users
                ('u', _) => format = "u",
                ('x', _) | ('a' | 'f', false) if format.is_empty() => format = "x",
                ('j', true) => format = "-j",
                ('j', false) => format = "j",
                ('l', true) => format = "-l",
                ('l', false) => format = "l",
                ('F', true) => format = "-F",
                ('f', true) => format = "-f",
                ('o', _) => {
                    let list = if rest.is_empty() { words.next().unwrap_or_default() } else { rest };
                    choose(list, &mut written, arena)?;
                    break;
                }
                ('e' | 'A' | 'a' | 'x' | 'f' | 'w' | 'd' | 'y', _) => {}
                _ => return Err(unknown(word)),
            }
        }
    }
    if written.is_empty() {
        let list = match format {
            "x" => "pid,tname,stat,bsdtime,args",
            "u" => "user,pid,%cpu,%mem,vsz,rss,tname,stat,start_time,bsdtime,args",
            "l" => "f,uid,pid,ppid,priority,ni,vsz,rss,wchan,stat,tname,bsdtime,args",
            "j" => "ppid,pid,pgid,sid,tname,tpgid,stat,uid,bsdtime,args",
            "-l" => "f,s,uid,pid,ppid,c,opri,ni,addr,sz,wchan,tname,time,ucmd",
            "-j" => "pid,pgid,sid,tname,time,ucmd",
            "-F" => "user=UID,pid,ppid,c,sz,rss,psr,stime,tname,time,cmd",
            "-f" => "user=UID,pid,ppid,c,stime,tname,time,cmd",
            _ => "pid,tname,time,ucmd",
        };
        choose(list, &mut written, arena)?;
    }
    if !written.iter().any(|column| column.title == "PID") {
        return Err(Error::said("couldn't find PID field in ps output"));
    }
    Ok(Layout(written))
}

#[cold]
fn unknown<'a>(word: &'a str) -> Error<'a> {
    Error::text("ps", word, "unknown option (known are e A a x w d y f F u l j and o COLUMN,…)")
}

fn choose<'a>(list: &'a str, written: &mut List<'a, Shown<'a>>, arena: &Arena<'a>) -> Result<'a, ()> {
    for item in list.split([',', ' ']).filter(|item| !item.is_empty()) {
        let (name, title) = item.split_once('=').map_or((item, None), |(name, title)| (name, Some(title)));
        let mut rows = COLUMNS.lines().map(|line| {
            let mut fields = line.split(',');
            [(); 4].map(|()| fields.next().unwrap_or_default())
        });
        let (name, wanted) = name.split_once(':').unwrap_or((name, ""));
        let Some([_, own, width, what]) = rows.find(|[names, ..]| names.split(' ').any(|known| known == name)) else {
            return Err(Error::text("ps", name, "unknown column"));
        };
        let mut width = width.parse().unwrap_or(0);
        if let Ok(wanted @ 1..1000) = wanted.parse() {
            width = if width < 0 { -wanted } else { wanted };
        }
        written.push(arena, Shown { title: title.unwrap_or(own), width, what })?;
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
    line(layout, None, out)?;
    processes.iter().try_for_each(|process| line(layout, Some(process), out))
}

/// What is wider than its column moves the rest of its line.
fn line(layout: &Layout<'_>, process: Option<&Process<'_>>, out: &mut dyn Write) -> fmt::Result {
    for (index, column) in layout.0.iter().enumerate() {
        if index > 0 {
            out.write_char(' ')?;
        }
        let mut len = Count(0);
        cell(column, process, &mut len)?;
        let is_last = index + 1 == layout.0.len();
        let blanks = column.width.unsigned_abs().max(column.title.len()).saturating_sub(len.0);
        let (before, after) = if column.width > 0 { (blanks, 0) } else { (0, if is_last { 0 } else { blanks }) };
        write!(out, "{:before$}", "")?;
        cell(column, process, out)?;
        write!(out, "{:after$}", "")?;
    }
    out.write_char('\n')
}

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
    let priority = process.word(18).parse::<i64>().unwrap_or(0);
    let resident_kib = process.number(24).saturating_mul(PAGE_KIB);
    let [real, effective] = process.users;
    let [real_group, effective_group] = process.groups;
    let number = match column.what.as_bytes()[0] {
        b'p' => process.pid.into(),
        b'U' => return owner(effective, out),
        b'V' => return owner(real, out),
        b'u' => effective.id.into(),
        b'v' => real.id.into(),
        b'G' => return owner(effective_group, out),
        b'H' => return owner(real_group, out),
        b'g' => effective_group.id.into(),
        b'h' => real_group.id.into(),
        b'f' => process.number(9) >> 6 & 7, // ps(1), "PROCESS FLAGS"
        b'D' => return stat(process, out),
        b'y' => return terminal(process.number(7), out),
        b'c' => (used * 100 / age.max(1)).min(99),
        b'C' => return tenths(used * 1000 / age.max(1), out),
        b'm' => return tenths(resident_kib * 1000 / process.memory_kib.max(1), out),
        b'z' => process.number(23) / 1024,
        b'r' => resident_kib,
        b's' => process.number(23) / 1024 / PAGE_KIB,
        b'P' => return write!(out, "{}", 39 - priority),
        b'O' => return write!(out, "{}", 60 + priority),
        b'R' if process.number(40) == 0 => return out.write_char('-'),
        b'R' => process.number(40),
        b'K' => return out.write_str("TS FF RR B - IDL DLN".split(' ').nth(process.number(41) as usize).unwrap_or("?")),
        b'w' if process.waits_in.is_empty() => return out.write_char('-'),
        b'w' => {
            let name = process.waits_in;
            return write!(out, "{}", Lossy(&name[..name.len().min(column.width.unsigned_abs())]));
        }
        what @ (b'S' | b'B' | b'L') => return started(age, what, out),
        b'e' => return span(age, age < 3600, out),
        b'E' => age,
        b't' => return span(used, false, out),
        b'T' => used,
        b'b' => return write!(out, "{}:{:02}", used / 60, used % 60),
        b'k' => return write!(out, "{}", Lossy(process.name)),
        b'a' => return command(process, out),
        b'-' => return out.write_char('-'),
        _ => return out.write_str(process.word(column.what.parse().unwrap_or(0))),
    };
    write!(out, "{number}")
}

/// The kernel counts resident memory in pages; the machines that we are built for have them of this size by default.
const PAGE_KIB: u64 = 4;

fn owner(owner: Owner<'_>, out: &mut dyn Write) -> fmt::Result {
    if owner.name.is_empty() { write!(out, "{}", owner.id) } else { out.write_str(owner.name) }
}

fn tenths(number: u64, out: &mut dyn Write) -> fmt::Result {
    write!(out, "{}.{}", number / 10, number % 10)
}

/// `[[DD-]HH:]MM:SS`.
fn span(seconds: u64, is_short: bool, out: &mut dyn Write) -> fmt::Result {
    if seconds >= DAY {
        write!(out, "{:02}-", seconds / DAY)?;
    }
    if !is_short {
        write!(out, "{:02}:", seconds / 3600 % 24)?;
    }
    write!(out, "{:02}:{:02}", seconds / 60 % 60, seconds % 60)
}

const DAY: u64 = 86_400;

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

/// The time of day within a day, else the date; or both.
fn started(age: u64, what: u8, out: &mut dyn Write) -> fmt::Result {
    let now = task::clock_gettime(task::ClockId::Realtime).tv_sec as u64;
    let seconds = now.saturating_sub(age);
    let mut text = crate::mem::Text::<40>::default();
    write!(text, "{}", Time { seconds, nanoseconds: 0 })?;
    let part = |from: usize, to: usize| text.as_str().get(from..to).unwrap_or_default(); // 2026-11-24T05:32:53Z
    let name = |names: &'static str, index: u64| names.get(index as usize * 3..index as usize * 3 + 3).unwrap_or_default();
    let month = name("JanFebMarAprMayJunJulAugSepOctNovDec", part(5, 7).parse().unwrap_or(1) - 1);
    let day = part(8, 10);
    match what {
        b'L' => {
            let weekday = name("ThuFriSatSunMonTueWed", seconds / DAY % 7);
            let day = day.strip_prefix('0').unwrap_or(day);
            write!(out, "{weekday} {month} {day:>2} {} {}", part(11, 19), part(0, 4))
        }
        _ if age < DAY => out.write_str(part(11, if what == b'B' { 19 } else { 16 })),
        b'B' => write!(out, "{month} {day}"),
        _ => write!(out, "{month}{day}"),
    }
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
        let full = "UID          PID    PPID  C STIME TTY          TIME CMD\n";
        assert_eq!(titles(&[]), full);
        assert_eq!(titles(&[c"-ef"]), full);
        assert_eq!(titles(&[c"-e", c"-f"]), full);
        assert_eq!(titles(&[c"ax"]), "    PID TTY      STAT   TIME COMMAND\n");
        assert_eq!(titles(&[c"-e"]), "    PID TTY          TIME CMD\n");
        let users = "USER         PID %CPU %MEM    VSZ   RSS TTY      STAT START   TIME COMMAND\n";
        assert_eq!(titles(&[c"aux"]), users);
        assert_eq!(titles(&[c"-aux"]), users);
        assert_eq!(titles(&[c"-el"]), "F S   UID     PID    PPID  C PRI  NI ADDR    SZ WCHAN  TTY          TIME CMD\n");
        assert_eq!(titles(&[c"-o", c"pid,etime", c"--format=args"]), "    PID     ELAPSED COMMAND\n");
        assert_eq!(titles(&[c"o", c"pid,user:12,tty,s"]), "    PID USER         TT       S\n");
        assert!(titles(&[c"-u"]).contains("-u: unknown option"));
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
