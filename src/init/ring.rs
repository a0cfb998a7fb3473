//! The log of one service in fixed memory: the last lines, each with its time and priority. The oldest make room for the newest.
//!
//! Bytes are counted from the beginning of the log's life; a place is that count modulo the room. A line is a head and its text.

use core::fmt::{self, Write};

use crate::log::{Lossy, Time};

/// Length of the text (u16), priority, 1 as long as the line has no end, time in microseconds since 1970 (u64): in the machine's own order.
pub const HEAD_BYTES: usize = 12;

/// A longer line is cut into several.
pub const MOST_LINE_BYTES: usize = 1000;

/// The priority of a line that names none: that of information (syslog(3)).
pub const USUAL: u8 = 6;

/// What is known of a log besides its bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ends {
    /// Where the oldest line begins.
    pub start: u64,
    /// Where the next line will begin.
    pub end: u64,
    /// Where the last line begins, as long as it has no end, and how long it is.
    pub open: Option<(u64, u16)>,
}

/// Puts what a service wrote behind its log.
pub fn append(room: &mut [u8], ends: &mut Ends, text: &[u8], time: u64) {
    let mut rest = text;
    while !rest.is_empty() {
        let len = rest.iter().position(|byte| *byte == b'\n');
        let (mut line, after, is_whole) = match len {
            Some(len) => (&rest[..len], &rest[len + 1..], true),
            None => (rest, &rest[rest.len()..], false),
        };
        rest = after;
        let (mut at, mut held) = match ends.open.take() {
            Some(open) => open,
            None => {
                let priority = priority(&mut line);
                (begin(room, ends, priority, time), 0)
            }
        };
        loop {
            let fits = line.len().min(MOST_LINE_BYTES - usize::from(held));
            held = extend(room, ends, at, held, &line[..fits]);
            line = &line[fits..];
            if line.is_empty() {
                break;
            }
            ends.open = Some((at, held));
            close(room, ends);
            (at, held) = (begin(room, ends, USUAL, time), 0);
        }
        ends.open = Some((at, held));
        if is_whole {
            close(room, ends);
        }
    }
}

/// The line that is being written gets no more: it is whole as it is.
pub fn close(room: &mut [u8], ends: &mut Ends) {
    if let Some((at, _)) = ends.open.take() {
        put(room, at + OPEN_AT, &[0]);
    }
}

/// Finds the line that was being written when somebody else kept this log.
pub fn resume(room: &[u8], ends: &mut Ends) {
    let (mut at, mut buffer) = (ends.start, [0; MOST_LINE_BYTES]);
    while let Some(line) = read(room, ends.end, at, &mut buffer) {
        ends.open = line.is_open.then_some((at, line.len as u16));
        at = line.next;
    }
}

const OPEN_AT: u64 = 3;

/// `<N>` at the beginning of a line is its priority.
fn priority(line: &mut &[u8]) -> u8 {
    match *line {
        [b'<', digit @ b'0'..=b'7', b'>', rest @ ..] => {
            *line = rest;
            digit - b'0'
        }
        _ => USUAL,
    }
}

fn begin(room: &mut [u8], ends: &mut Ends, priority: u8, time: u64) -> u64 {
    let at = ends.end;
    make_room(room, ends, HEAD_BYTES);
    put(room, at, &[0, 0, priority, 1]);
    put(room, at + 4, &time.to_ne_bytes());
    ends.end += HEAD_BYTES as u64;
    at
}

fn extend(room: &mut [u8], ends: &mut Ends, at: u64, held: u16, text: &[u8]) -> u16 {
    make_room(room, ends, text.len());
    put(room, ends.end, text);
    ends.end += text.len() as u64;
    let held = held + text.len() as u16;
    put(room, at, &held.to_ne_bytes());
    held
}

/// Drops the oldest lines until so many bytes fit. The line that is being written is shorter than the room.
fn make_room(room: &[u8], ends: &mut Ends, bytes: usize) {
    while ends.end + bytes as u64 - ends.start > room.len() as u64 {
        let len = u16::from_ne_bytes([get(room, ends.start), get(room, ends.start + 1)]);
        ends.start = (ends.start + HEAD_BYTES as u64 + u64::from(len)).min(ends.end);
    }
}

fn place(room: &[u8], at: u64) -> usize {
    (at % room.len() as u64) as usize
}

fn get(room: &[u8], at: u64) -> u8 {
    room[place(room, at)]
}

fn put(room: &mut [u8], at: u64, bytes: &[u8]) {
    let start = place(room, at);
    let fits = bytes.len().min(room.len() - start);
    room[start..start + fits].copy_from_slice(&bytes[..fits]);
    room[..bytes.len() - fits].copy_from_slice(&bytes[fits..]);
}

/// A line that was read: where the next begins, its priority, its time. Its text lies in `line` up to the returned length.
pub struct Line {
    /// Where the next one begins.
    pub next: u64,
    /// As in syslog(3).
    pub priority: u8,
    /// Microseconds since 1970.
    pub time: u64,
    /// The bytes of text.
    pub len: usize,
    /// Whether more of it may come.
    pub is_open: bool,
}

impl Line {
    /// Prints it with its time and priority.
    pub fn print(&self, text: &[u8], out: &mut dyn Write) -> fmt::Result {
        let time = Time { seconds: self.time / 1_000_000, nanoseconds: (self.time % 1_000_000 * 1000) as u32 };
        writeln!(out, "{time} <{}> {}", self.priority, Lossy(&text[..self.len]))
    }
}

/// Reads the line that begins at `at`; none at the end.
pub fn read(room: &[u8], end: u64, at: u64, line: &mut [u8; MOST_LINE_BYTES]) -> Option<Line> {
    if at + HEAD_BYTES as u64 > end {
        return None;
    }
    let mut head = [0; HEAD_BYTES];
    for (index, byte) in head.iter_mut().enumerate() {
        *byte = get(room, at + index as u64);
    }
    let [len0, len1, priority, open, time @ ..] = head;
    let len = usize::from(u16::from_ne_bytes([len0, len1])).min(MOST_LINE_BYTES);
    for (index, byte) in line[..len].iter_mut().enumerate() {
        *byte = get(room, at + (HEAD_BYTES + index) as u64);
    }
    Some(Line { next: at + (HEAD_BYTES + len) as u64, priority, time: u64::from_ne_bytes(time), len, is_open: open != 0 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn lines(room: &[u8], ends: &Ends) -> Vec<(u8, String)> {
        let (mut at, mut found, mut buffer) = (ends.start, Vec::new(), [0; MOST_LINE_BYTES]);
        while let Some(line) = read(room, ends.end, at, &mut buffer) {
            found.push((line.priority, String::from_utf8_lossy(&buffer[..line.len]).into_owned()));
            at = line.next;
        }
        found
    }

    #[test]
    fn lines_keep_their_priority_and_pieces_become_one() {
        let (mut room, mut ends) = ([0; 4096], Ends::default());
        for piece in ["<3>bad\nplain\n", "<", "no priority>\nhalf", " and half\n", "\n", "open"] {
            append(&mut room, &mut ends, piece.as_bytes(), 5);
        }
        let expected = [(3, "bad"), (6, "plain"), (6, "<no priority>"), (6, "half and half"), (6, ""), (6, "open")];
        assert_eq!(lines(&room, &ends), expected.map(|(priority, text)| (priority, text.to_string())));
    }

    #[test]
    fn a_line_is_open_until_its_end_comes_or_its_writer_is_gone() {
        let (mut room, mut ends) = ([0; 4096], Ends::default());
        let open = |room: &[u8], ends: &Ends| {
            let (mut at, mut found) = (ends.start, Vec::new());
            while let Some(line) = read(room, ends.end, at, &mut [0; MOST_LINE_BYTES]) {
                found.push(line.is_open);
                at = line.next;
            }
            found
        };
        append(&mut room, &mut ends, b"one\ntwo", 5);
        assert_eq!(open(&room, &ends), [false, true]);
        let mut next = Ends { open: None, ..ends };
        resume(&room, &mut next);
        assert_eq!(next, ends);
        append(&mut room, &mut next, b" and more", 5);
        close(&mut room, &mut next);
        append(&mut room, &mut next, b"three\n", 5);
        assert_eq!(open(&room, &next), [false, false, false]);
        assert_eq!(lines(&room, &next).iter().map(|(_, text)| text.as_str()).collect::<Vec<_>>(), ["one", "two and more", "three"]);
        resume(&room, &mut next);
        assert_eq!(next.open, None);
    }

    #[test]
    fn a_long_line_is_cut() {
        let (mut room, mut ends) = ([0; 8192], Ends::default());
        append(&mut room, &mut ends, &[b'x'; 2500], 0);
        append(&mut room, &mut ends, b"y\n", 0);
        let lengths: Vec<usize> = lines(&room, &ends).iter().map(|(_, text)| text.len()).collect();
        assert_eq!(lengths, [1000, 1000, 501]);
    }

    proptest! {
        /// However it is written, what is left is the end of what was written, whole lines of it.
        #[test]
        fn the_newest_lines_are_left(pieces in prop::collection::vec("[a-z\n]{0,900}", 1..12)) {
            let (mut room, mut ends) = (vec![0; 2048], Ends::default());
            for piece in &pieces {
                append(&mut room, &mut ends, piece.as_bytes(), 1);
            }
            let all = pieces.concat();
            let mut written: Vec<String> = Vec::new();
            for line in all.split('\n') {
                let bytes = line.as_bytes();
                if bytes.is_empty() { written.push(String::new()); }
                written.extend(bytes.chunks(MOST_LINE_BYTES).map(|chunk| String::from_utf8_lossy(chunk).into_owned()));
            }
            if written.last().is_some_and(String::is_empty) { written.pop(); }
            let kept: Vec<String> = lines(&room, &ends).into_iter().map(|(_, text)| text).collect();
            prop_assert!(ends.end - ends.start <= room.len() as u64);
            prop_assert_eq!(&written[written.len() - kept.len()..], &kept[..]);
        }
    }
}
