//! What the container's own /etc/passwd says.

use core::ffi::CStr;

use super::{Done, Stage};
use crate::mem::PathBuffer;
use crate::sys::{self, CPointer, OwnedFd, fs};

/// Gives the environment a HOME: the user's of the container's /etc/passwd, or `/`.
pub fn find_home(stage: &mut Stage<'_, '_>) -> Done {
    if !stage.plan.process.wants_home {
        return Ok(());
    }
    let mut home = PathBuffer::new();
    if !read_home(stage, &mut home) {
        home.set(&[b"/"]);
    }
    let room = core::mem::take(&mut stage.plan.process.home_room);
    let variable = join(b"HOME=", home.as_c_str().to_bytes_with_nul(), room).unwrap_or(c"HOME=/");
    let environment = &mut stage.plan.process.environment;
    if let Some(place) = environment.iter().position(|pointer| pointer.is_null()) {
        environment[place] = CPointer::new(variable);
    }
    Ok(())
}

/// Puts two pieces, the second with its NUL, into a room. `None` if they do not fit.
fn join<'r>(head: &[u8], tail: &[u8], room: &'r mut [u8]) -> Option<&'r CStr> {
    room.get_mut(..head.len())?.copy_from_slice(head);
    room.get_mut(head.len()..head.len() + tail.len())?.copy_from_slice(tail);
    CStr::from_bytes_with_nul(&room[..head.len() + tail.len()]).ok()
}

fn read_home(stage: &Stage<'_, '_>, home: &mut PathBuffer) -> bool {
    let Ok(file) = stage.root().and_then(|root| sys::open_regular_in_root(root, c"/etc/passwd")) else { return false };
    let mut lines = Lines::new(&file);
    while let Some(line) = lines.next() {
        let mut fields = line.split(|byte| *byte == b':').skip(2);
        let uid = fields.next().and_then(|uid| core::str::from_utf8(uid).ok()).and_then(|uid| uid.parse::<u32>().ok());
        if uid == Some(stage.plan.process.uid) {
            return fields.nth(2).is_some_and(|path| path.first() == Some(&b'/') && home.set(&[path]));
        }
    }
    false
}

/// The lines of a file, those that are longer than the buffer left out; at most a megabyte of them.
struct Lines<'f> {
    file: &'f OwnedFd,
    buffer: [u8; 2048],
    start: usize,
    end: usize,
    left: usize,
}

impl<'f> Lines<'f> {
    const MOST_BYTES: usize = 1 << 20;

    fn new(file: &'f OwnedFd) -> Self {
        Lines { file, buffer: [0; 2048], start: 0, end: 0, left: Self::MOST_BYTES }
    }

    fn next(&mut self) -> Option<&[u8]> {
        loop {
            if let Some(len) = self.buffer[self.start..self.end].iter().position(|byte| *byte == b'\n') {
                let line = self.start..self.start + len;
                self.start += len + 1;
                return Some(&self.buffer[line]);
            }
            if self.start == 0 && self.end == self.buffer.len() {
                self.end = 0; // too long for us: what is left of it will not parse
            }
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
            let read = fs::read(self.file, &mut self.buffer[self.end..]).unwrap_or(0);
            self.left = self.left.checked_sub(read)?;
            self.end += read;
            if read == 0 {
                let last = self.end;
                self.end = 0;
                return (last > 0).then(|| &self.buffer[..last]);
            }
        }
    }
}
