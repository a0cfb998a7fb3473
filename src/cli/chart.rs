//! `boot-chart`, `blame` and `top`: what the boot took, as text and as a picture, and what the bundles take now. Nothing is changed.

use core::cell::Cell;
use core::fmt::{self, Write};

use super::service::{id_of, nothing_booted, print};
use crate::container::facts;
use crate::container::list;
use crate::error::Result;
use crate::init::table::{Head, Row, Snapshot};
use crate::mem::{Arena, PathBuffer, Text, sort};
use crate::sys::{AsFd, fs, task};

/// One service's boot, in the table's moments; 0 for what did not happen.
#[derive(Clone, Copy, Default)]
struct Bar {
    index: usize,
    /// It was begun, ran, was ready, ended.
    begun: u32,
    running: u32,
    ready: u32,
    ended: u32,
}

struct Chart<'a> {
    snapshot: Snapshot<'a>,
    bars: &'a mut [Bar],
    /// Where the chart begins and ends.
    from: u32,
    to: u32,
}

fn chart<'a>(arena: &Arena<'a>) -> Result<'a, Chart<'a>> {
    let snapshot = Snapshot::open(arena).map_err(nothing_booted)?;
    let bars = arena.slice(snapshot.count(), |index| {
        let row = snapshot.row(index);
        let word = |at: Row| row[at as usize];
        let bar =
            Bar { index, begun: word(Row::BegunUs), running: word(Row::RunningUs), ready: word(Row::ReadyUs), ended: word(Row::EndedUs) };
        Bar { ended: if bar.ready == 0 || bar.ended > bar.ready { bar.ended } else { 0 }, ..bar }
    })?;
    let from = snapshot.head(Head::BeganUs);
    let last = bars.iter().map(|bar| bar.begun.max(bar.running).max(bar.ready)).max().unwrap_or(0);
    let to = snapshot.head(Head::SettledUs).max(last).max(from + 1);
    Ok(Chart { snapshot, bars, from, to })
}

fn sort_by(bars: &mut [Bar], key: &dyn Fn(&Bar) -> u32) {
    let cells = Cell::from_mut(bars).as_slice_of_cells();
    sort(cells.len(), &|a, b| key(&cells[a].get()) < key(&cells[b].get()), &|a, b| cells[a].swap(&cells[b]));
}

const COLUMNS: u32 = 56;

/// The boot as text, or as SVG.
pub fn print_chart<'a>(is_svg: bool, arena: &Arena<'a>) -> Result<'a, i32> {
    let chart = chart(arena)?;
    sort_by(chart.bars, &|bar| if bar.begun == 0 { u32::MAX } else { bar.begun });
    print(&mut |out| if is_svg { svg(&chart, out) } else { text(&chart, out) })
}

fn milliseconds(us: u32) -> u32 {
    us / 1000
}

/// What a column of a bar shows: waiting, being created, running, ready.
fn letter(bar: &Bar, at: u32) -> char {
    let is_before = |moment: u32| moment == 0 || at < moment;
    match bar {
        Bar { begun, .. } if is_before(*begun) => '.',
        Bar { ended, .. } if *ended != 0 && at >= *ended => ' ',
        Bar { running, .. } if is_before(*running) => 'c',
        Bar { ready, .. } if is_before(*ready) => '=',
        _ => '#',
    }
}

fn text(chart: &Chart<'_>, out: &mut dyn Write) -> fmt::Result {
    let (from, to) = (chart.from, chart.to);
    head(chart, out)?;
    out.write_str("   . waits  c is created  = runs  # is ready\n")?;
    for bar in chart.bars.iter() {
        let mut buffer = [0; 64];
        write!(out, "{:20.20} |", id_of(chart.snapshot.row(bar.index), &mut buffer))?;
        let step = u64::from(to - from);
        for column in 0..COLUMNS {
            let at = from + (step * u64::from(column) / u64::from(COLUMNS)) as u32;
            out.write_char(letter(bar, at))?;
        }
        out.write_char('|')?;
        facts_of(chart, bar, out)?;
        out.write_char('\n')?;
    }
    Ok(())
}

/// How long it took before us, and with us.
fn head(chart: &Chart<'_>, out: &mut dyn Write) -> fmt::Result {
    if chart.snapshot.head(Head::WasReset) != 0 {
        out.write_str("reset by the watchdog, ")?;
    }
    let (seconds, from) = (chart.snapshot.head(Head::EpochS), milliseconds(chart.from));
    write!(out, "kernel {} ms, then ocinit {} ms", u64::from(seconds) * 1000 + u64::from(from), milliseconds(chart.to - chart.from))
}

/// When it was begun, ran and was ready, after the start of process 1, and for whom it waited last.
fn facts_of(chart: &Chart<'_>, bar: &Bar, out: &mut dyn Write) -> fmt::Result {
    if bar.begun == 0 {
        out.write_str(" not started")?;
    }
    for (word, moment) in [("begun", bar.begun), ("runs", bar.running), ("ready", bar.ready), ("ended", bar.ended)] {
        if moment != 0 {
            write!(out, " {word} {}", milliseconds(moment - chart.from.min(moment)))?;
        }
    }
    if let Some(other) = chart.snapshot.row(bar.index)[Row::WaitedFor as usize].checked_sub(1) {
        let mut buffer = [0; 64];
        write!(out, " after {}", id_of(chart.snapshot.row(other as usize), &mut buffer))?;
    }
    Ok(())
}

fn svg(chart: &Chart<'_>, out: &mut dyn Write) -> fmt::Result {
    const WIDTH: u64 = 800;
    const LEFT: u64 = 180;
    const LINE: u64 = 20;
    let (from, to) = (chart.from, chart.to);
    let place = |us: u32| u64::from(us.clamp(from, to) - from) * WIDTH / u64::from(to - from);
    let height = (chart.bars.len() as u64 + 2) * LINE;
    let width = LEFT + WIDTH + 300;
    writeln!(out, "<svg xmlns='http://www.w3.org/2000/svg' width='{width}' height='{height}' font-family='monospace' font-size='12'>")?;
    out.write_str("<text x=\"4\" y=\"14\">")?;
    head(chart, out)?;
    out.write_str("</text>\n")?;
    for (number, bar) in chart.bars.iter().enumerate() {
        let y = (number as u64 + 1) * LINE;
        let mut buffer = [0; 64];
        writeln!(out, "<text x=\"4\" y=\"{}\">{}</text>", y + 14, id_of(chart.snapshot.row(bar.index), &mut buffer))?;
        let end = if bar.ended != 0 { bar.ended } else { to };
        let until = |moment: u32| if moment != 0 { moment } else { end };
        let parts = [
            (from, if bar.begun != 0 { bar.begun } else { to }, "#ddd"),
            (bar.begun, until(bar.running), "#e8a33d"),
            (bar.running, until(bar.ready), "#6aa6d8"),
            (bar.ready, end, "#5bb37a"),
        ];
        for (start, end, colour) in parts {
            if start != 0 && end > start {
                let (x, width) = (LEFT + place(start), (place(end) - place(start)).max(1));
                writeln!(out, "<rect x=\"{x}\" y=\"{}\" width=\"{width}\" height=\"16\" fill=\"{colour}\"/>", y + 2)?;
            }
        }
        write!(out, "<text x=\"{}\" y=\"{}\">", LEFT + WIDTH + 6, y + 14)?;
        facts_of(chart, bar, out)?;
        out.write_str("</text>\n")?;
    }
    out.write_str("</svg>\n")
}

/// The services by the time that each took from its beginning until it was ready, or ended.
pub fn blame<'a>(arena: &Arena<'a>) -> Result<'a, i32> {
    let chart = chart(arena)?;
    let took = |bar: &Bar| {
        let end = if bar.ready != 0 { bar.ready } else { bar.ended };
        end.saturating_sub(bar.begun)
    };
    sort_by(chart.bars, &|bar| u32::MAX - took(bar));
    print(&mut |out| {
        for bar in chart.bars.iter().filter(|bar| took(bar) > 0) {
            let mut buffer = [0; 64];
            writeln!(out, "{:8} ms  {}", milliseconds(took(bar)), id_of(chart.snapshot.row(bar.index), &mut buffer))?;
        }
        Ok(())
    })
}

/// Processor time of a bundle's cgroup so far, in microseconds, and its memory in bytes.
fn usage(cgroup: &str) -> (u64, u64) {
    let mut buffer = [0; 512];
    let mut number = |name: &str, key: &str| {
        let mut path = PathBuffer::new();
        path.set(&[cgroup.as_bytes(), b"/", name.as_bytes()]);
        let file = fs::open(path.as_c_str(), fs::OFlags::RDONLY | fs::OFlags::CLOEXEC, fs::Mode::empty());
        let len = file.and_then(|file| fs::read(&file, &mut buffer)).unwrap_or(0);
        let text = core::str::from_utf8(&buffer[..len]).unwrap_or_default();
        text.lines().find_map(|line| line.strip_prefix(key)?.trim().parse().ok()).unwrap_or(0)
    };
    (number("cpu.stat", "usage_usec"), number("memory.current", ""))
}

/// Processor and memory of each bundle, once a second; once if nobody sees it change.
pub fn top<'a>(arena: &Arena<'a>) -> Result<'a, i32> {
    const SECOND_MS: u64 = 1000;
    let procfs = facts::open_procfs()?;
    let mut snapshot = Snapshot::open(arena).map_err(nothing_booted)?;
    let cgroups = arena.slice(snapshot.count(), |_| "")?;
    let before = arena.slice(snapshot.count(), |_| 0u64)?;
    for index in 0..snapshot.count() {
        let mut buffer = [0; 64];
        let id = arena.format(format_args!("{}", id_of(snapshot.row(index), &mut buffer)))?;
        cgroups[index] = list::find(crate::init::STATE_ROOT, id, procfs.as_fd(), arena).map_or("", |found| found.record.cgroup);
        before[index] = usage(cgroups[index]).0;
    }
    let is_seen = task::isatty(task::stdout());
    loop {
        let _ = task::poll(&mut [], Some(&task::milliseconds(SECOND_MS))); // it only passes the time
        snapshot.refresh().map_err(nothing_booted)?;
        print(&mut |out| {
            out.write_str(if is_seen { "\x1b[H\x1b[J" } else { "" })?;
            writeln!(out, "{:24}{:>8}{:>12}", "ID", "CPU", "MEMORY")?;
            for index in (0..snapshot.count()).filter(|index| !cgroups[*index].is_empty()) {
                let ((used, memory), mut buffer) = (usage(cgroups[index]), [0; 64]);
                let tenths = used.saturating_sub(core::mem::replace(&mut before[index], used)) / SECOND_MS;
                let mut shown = Text::<12>::default();
                write!(shown, "{}.{}%", tenths / 10, tenths % 10)?;
                writeln!(out, "{:24}{:>8}{:>10} K", id_of(snapshot.row(index), &mut buffer), shown.as_str(), memory >> 10)?;
            }
            Ok(())
        })?;
        if !is_seen {
            return Ok(0);
        }
    }
}
