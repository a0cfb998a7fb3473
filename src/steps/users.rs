//! What the container's own /etc/passwd and /etc/group say.

use core::ffi::CStr;

use super::{At, Done, Stage};
use crate::error::Note;
use crate::mem::PathBuffer;
use crate::sys::{self, CPointer, Errno, OwnedFd, fs};

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
    let uid = stage.plan.process.uid;
    let mut is_set = false;
    let read = each_entry(stage, c"/etc/passwd", &mut |[_, _, id, _, _, path]| {
        let is_ours = number(id) == Some(uid);
        is_set = is_ours && path.first() == Some(&b'/') && home.set(&[path]);
        is_ours
    });
    read.is_ok() && is_set
}

/// Looks up the user and the group that were given by name, and the groups of which the user is a member.
///
/// Must: come before anything that needs the ids.
pub fn find_user(stage: &mut Stage<'_, '_>) -> Done {
    let Some(named) = stage.plan.process.named.take() else { return Ok(()) };
    let process = &stage.plan.process;
    let (mut uid, mut gid, mut count) = (process.uid, process.gid, process.additional_gids.len());
    if !named.user.is_empty() {
        let ids = find(stage, c"/etc/passwd", named.user).map_err(At::note(Note::NoUser))?;
        uid = ids.0;
        if !named.has_group {
            gid = ids.1;
            count = add_groups(stage, named.user, named.groups, count)?;
        }
    }
    if !named.group.is_empty() {
        gid = find(stage, c"/etc/group", named.group).map_err(At::note(Note::NoGroup))?.0;
    }
    let process = &mut stage.plan.process;
    (process.uid, process.gid, process.additional_gids) = (uid, gid, named.groups.get(..count).unwrap_or_default());
    Ok(())
}

/// The id of a user or group, and for a user that of its own group. Errors: ENOENT if there is none of that name.
fn find(stage: &Stage<'_, '_>, path: &CStr, name: &str) -> Result<(u32, u32), Errno> {
    let mut found = None;
    each_entry(stage, path, &mut |[entry, _, id, group, ..]| {
        if entry == name.as_bytes() {
            found = number(id).map(|id| (id, number(group).unwrap_or(0)));
        }
        found.is_some()
    })?;
    found.ok_or(Errno::NOENT)
}

/// Adds the groups that name the user as a member, and returns how many there are then. Errors: E2BIG if there is no room.
fn add_groups(stage: &Stage<'_, '_>, user: &str, groups: &mut [u32], mut count: usize) -> Result<usize, Errno> {
    let mut is_full = false;
    let read = each_entry(stage, c"/etc/group", &mut |[_, _, id, members, ..]| {
        let is_member = members.split(|byte| *byte == b',').any(|member| member == user.as_bytes());
        if let (true, Some(id)) = (is_member, number(id)) {
            match groups.get_mut(count) {
                Some(place) => (*place, count) = (id, count + 1),
                None => is_full = true,
            }
        }
        is_full
    });
    match read {
        Ok(()) if is_full => Err(Errno::TOOBIG),
        Ok(()) | Err(Errno::NOENT) => Ok(count),
        Err(errno) => Err(errno),
    }
}

/// An id of such a file; never the one that the kernel takes for "leave it as it is".
fn number(field: &[u8]) -> Option<u32> {
    core::str::from_utf8(field).ok().and_then(|id| id.parse().ok()).filter(|id| *id != u32::MAX)
}

/// Shows the first six fields of each line of a file of the image to `visit`, until it has seen enough. What is not there is empty.
fn each_entry(stage: &Stage<'_, '_>, path: &CStr, visit: &mut dyn FnMut([&[u8]; 6]) -> bool) -> Result<(), Errno> {
    each_line(&sys::open_regular_in_root(stage.root()?, path)?, visit);
    Ok(())
}

fn each_line(file: &OwnedFd, visit: &mut dyn FnMut([&[u8]; 6]) -> bool) {
    let mut lines = Lines::new(file);
    while let Some(line) = lines.next() {
        let mut fields = line.split(|byte| *byte == b':');
        if visit(core::array::from_fn(|_| fields.next().unwrap_or_default())) {
            break;
        }
    }
}

/// Shows `found` the name that the caller's own /etc/passwd or /etc/group, `path`, has for an id, if it has one.
pub fn name_of(path: &CStr, id: u32, found: &mut dyn FnMut(&str)) {
    let Ok(file) = fs::open(path, fs::OFlags::RDONLY | fs::OFlags::CLOEXEC, fs::Mode::empty()) else { return };
    each_line(&file, &mut |[name, _, written, ..]| {
        let is_it = number(written) == Some(id);
        if let (true, Ok(name)) = (is_it, core::str::from_utf8(name)) {
            found(name);
        }
        is_it
    });
}

/// The lines of a file, those that are longer than the buffer left out; at most a megabyte of them.
struct Lines<'f> {
    file: &'f OwnedFd,
    buffer: [u8; 2048],
    start: usize,
    end: usize,
    left: usize,
    /// Whether what comes next is the end of a line that was too long.
    is_torn: bool,
}

impl<'f> Lines<'f> {
    const MOST_BYTES: usize = 1 << 20;

    fn new(file: &'f OwnedFd) -> Self {
        Lines { file, buffer: [0; 2048], start: 0, end: 0, left: Self::MOST_BYTES, is_torn: false }
    }

    fn next(&mut self) -> Option<&[u8]> {
        loop {
            if let Some(len) = self.buffer[self.start..self.end].iter().position(|byte| *byte == b'\n') {
                let line = self.start..self.start + len;
                self.start += len + 1;
                if core::mem::take(&mut self.is_torn) {
                    continue;
                }
                return Some(&self.buffer[line]);
            }
            if self.start == 0 && self.end == self.buffer.len() {
                (self.end, self.is_torn) = (0, true);
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
                return (last > 0 && !self.is_torn).then(|| &self.buffer[..last]);
            }
        }
    }
}
