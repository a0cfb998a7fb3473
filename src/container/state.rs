//! The state directory of one container: who may use it when, what is kept in it, and what that says.
//!
//! `creating.json` stands there before anything of the container exists, says more once its process is known, and becomes
//! `state.json` when it is created: so whatever kills the runtime, `delete --force` finds what there is to clean up.
//! `config.json` is the bundle's as it was then, for whoever has to go by it later. The FIFO exists as long as the container waits for `start`.

use core::ffi::CStr;
use core::fmt::{self, Write};
use core::mem::MaybeUninit;

use super::facts;
use crate::error::{Doing, Error, Result};
use crate::json;
use crate::log::{JsonString, Time};
use crate::mem::{Arena, PathBuffer};
use crate::steps::cgroup;
use crate::sys::{self, AsFd, BorrowedFd, Errno, OwnedFd, fs};

const CREATING: &CStr = c"creating.json";
const STATE: &CStr = c"state.json";
const FIFO: &CStr = c"exec.fifo";
const NOTIFY: &CStr = c"notify";
/// What the container was made of, as it was then.
pub const CONFIG: &CStr = c"config.json";

/// What state.json says.
pub type Record<'a> = crate::spec::state::State<'a>;

/// The form of state.json that this version writes. The one before it is read too, once there is one.
pub const VERSION: u32 = 1;

/// A record as JSON.
struct Json<'r, 'a>(&'r Record<'a>);

impl fmt::Display for Json<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Record {
            version,
            id,
            pid,
            start_time,
            bundle,
            rootfs,
            cgroup,
            others,
            created,
            uid,
            shares_pids,
            systemd,
            root_mount,
            hooks,
            annotations,
            ..
        } = self.0;
        let Record { keeps_keyring, resctrl, resctrl_is_own, resctrl_monitor, .. } = self.0;
        write!(f, "{{\"version\":{version},\"id\":{},\"pid\":{pid:<10},\"startTime\":{start_time:<20}", JsonString(id))?;
        for (key, value) in [("bundle", bundle), ("rootfs", rootfs), ("cgroup", cgroup), ("systemd", systemd), ("created", created)] {
            write!(f, ",\"{key}\":{}", JsonString(value))?;
        }
        if self.0.unguarded {
            f.write_str(",\"unguarded\":true")?;
        }
        if !others.is_empty() {
            write!(f, ",\"others\":{}", JsonString(others))?;
        }
        if !resctrl.is_empty() {
            write!(f, ",\"resctrl\":{},\"resctrlIsOwn\":{resctrl_is_own}", JsonString(resctrl))?;
            write!(f, ",\"resctrlMonitor\":{}", JsonString(resctrl_monitor))?;
        }
        write!(
            f,
            ",\"uid\":{uid},\"sharesPids\":{shares_pids},\"keepsKeyring\":{keeps_keyring},\"rootMount\":{root_mount},\"hooks\":{hooks},\"annotations\":{{"
        )?;
        for (index, entry) in annotations.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma}{}:{}", JsonString(entry.key), JsonString(entry.value))?;
        }
        f.write_str("}}\n")
    }
}

/// A root file system that is mounted where everybody sees it, because the container has no mount namespace of its own.
pub struct SharedRoot {
    path: PathBuffer,
    /// The mount that its path led to before.
    before: u64,
}

impl SharedRoot {
    /// For a container that is about to be created.
    pub fn look(path: &CStr) -> Option<SharedRoot> {
        SharedRoot::of(path.to_str().ok()?, SharedRoot::mount_at(path)?)
    }

    /// For a container that exists; `before` is 0 where it has its own mounts.
    pub fn of(path: &str, before: u64) -> Option<SharedRoot> {
        let mut buffer = PathBuffer::new();
        (before != 0 && buffer.set(&[path.as_bytes()])).then_some(SharedRoot { path: buffer, before })
    }

    /// As it is recorded.
    pub fn before(&self) -> u64 {
        self.before
    }

    fn mount_at(path: &CStr) -> Option<u64> {
        let directory = fs::open(path, OPEN.union(fs::OFlags::PATH), fs::Mode::empty()).ok()?;
        sys::about(directory.as_fd()).ok()?.mount_id
    }

    /// With all that was mounted in it. Whatever the caller had mounted there stays.
    fn take_off(&self) {
        if SharedRoot::mount_at(self.path.as_c_str()).is_some_and(|now| now != self.before) {
            let _ = sys::unmount_detached(self.path.as_c_str()); // what cannot be taken off is left to see
        }
    }
}

/// A container's state directory.
pub struct Directory {
    fd: OwnedFd,
    /// The directory that it lies in.
    parent: OwnedFd,
    /// Its name there: the container's id.
    name: heapless::String<256>,
    /// What is taken off when the container is removed.
    pub shared_root: Option<SharedRoot>,
    /// The record, as long as it is to be written again, and how long it is.
    record: Option<(OwnedFd, usize)>,
    /// Whether only the files of a container that runs or ran are there: nothing of its creation, and no FIFO.
    pub is_started: bool,
}

fn name_of<'a>(id: &str) -> Result<'a, heapless::String<256>> {
    let mut name = heapless::String::new();
    match write!(name, "{id}\0") {
        Ok(()) => Ok(name),
        Err(_) => Err(Error::said("invalid container ID format: longer than 255 bytes")),
    }
}

fn as_c_str(name: &heapless::String<256>) -> &CStr {
    CStr::from_bytes_with_nul(name.as_bytes()).unwrap_or(c".")
}

const OPEN: fs::OFlags = fs::OFlags::RDONLY.union(fs::OFlags::DIRECTORY).union(fs::OFlags::NOFOLLOW).union(fs::OFlags::CLOEXEC);

/// Opens `--root`. Errors: ENOENT before the first container.
pub fn open_root(root: &CStr) -> core::result::Result<OwnedFd, Errno> {
    fs::open(root, OPEN.difference(fs::OFlags::NOFOLLOW), fs::Mode::empty())
}

fn make_root<'a>(root: &'a CStr, arena: &Arena<'a>) -> Result<'a, OwnedFd> {
    match open_root(root) {
        Err(Errno::NOENT) => {}
        opened => return opened.doing_at("open", root),
    }
    let path = root.to_bytes();
    let ends = (1..path.len()).filter(|end| path[*end] == b'/').chain([path.len()]);
    for end in ends {
        match fs::mkdirat(fs::CWD, arena.c_str(&[&path[..end]])?, fs::Mode::from_raw_mode(0o700)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(Error::errno_at("mkdir", root, errno)),
        }
    }
    open_root(root).doing_at("open", root)
}

impl Directory {
    /// Makes the directory, and locks it. Errors: `container with given ID already exists`.
    pub fn create<'a>(root: &'a CStr, id: &'a str, arena: &Arena<'a>) -> Result<'a, Directory> {
        let parent = make_root(root, arena)?;
        let name = name_of(id)?;
        match fs::mkdirat(&parent, as_c_str(&name), fs::Mode::from_raw_mode(0o711)) {
            Err(Errno::EXIST) => return Err(Error::said("container with given ID already exists")),
            made => made.doing("mkdir the state directory", id)?,
        }
        let opened = fs::openat(&parent, as_c_str(&name), OPEN, fs::Mode::empty());
        match opened.and_then(|fd| fs::flock(&fd, fs::FlockOperation::LockExclusive).map(|()| fd)) {
            Ok(fd) => Ok(Directory { fd, parent, name, shared_root: None, record: None, is_started: false }),
            Err(errno) => {
                let _ = fs::unlinkat(&parent, as_c_str(&name), fs::AtFlags::REMOVEDIR); // the first error is told
                Err(Error::errno("lock the state directory", id, errno))
            }
        }
    }

    /// Opens the directory of an existing container. Errors: `container does not exist`.
    pub fn open<'a>(root: &'a CStr, id: &'a str) -> Result<'a, Directory> {
        let missing = |errno| match errno {
            Errno::NOENT => Error::said("container does not exist"),
            errno => Error::errno("open the state directory", id, errno),
        };
        let parent = open_root(root).map_err(missing)?;
        Directory::open_in(&parent, id, missing)
    }

    fn open_in<'a>(parent: &OwnedFd, id: &'a str, missing: impl Fn(Errno) -> Error<'a>) -> Result<'a, Directory> {
        let name = name_of(id)?;
        let fd = fs::openat(parent, as_c_str(&name), OPEN, fs::Mode::empty()).map_err(missing)?;
        let parent = fs::fcntl_dupfd_cloexec(parent, 3).doing("dup", id)?;
        Ok(Directory { fd, parent, name, shared_root: None, record: None, is_started: false })
    }

    /// Waits until nobody else changes this container. The lock goes with the descriptor.
    pub fn lock<'a>(&self) -> Result<'a, ()> {
        fs::flock(&self.fd, fs::FlockOperation::LockExclusive).doing("lock the state directory", "")
    }

    /// The same without waiting: whether it could.
    pub fn try_lock(&self) -> bool {
        fs::flock(&self.fd, fs::FlockOperation::NonBlockingLockExclusive).is_ok()
    }

    /// Whether the directory is still the one of that name: while we waited for the lock, somebody may have deleted it, or made another.
    pub fn is_current(&self) -> bool {
        let named = fs::statat(&self.parent, as_c_str(&self.name), fs::AtFlags::SYMLINK_NOFOLLOW);
        named.is_ok_and(|named| fs::fstat(&self.fd).is_ok_and(|open| (open.st_dev, open.st_ino) == (named.st_dev, named.st_ino)))
    }

    /// Lets others change this container again.
    pub fn unlock(&self) {
        let _ = fs::flock(&self.fd, fs::FlockOperation::Unlock); // it fails only on what is no descriptor
    }

    /// What a child must close: a lock lasts as long as anybody has the directory open, and the child outlives us.
    pub fn descriptors(&self) -> [&OwnedFd; 3] {
        [&self.fd, &self.parent, self.record.as_ref().map_or(&self.fd, |(file, _)| file)]
    }

    /// Makes the FIFO, opened both ways: so a read of it waits for `start`, whoever opens and closes it meanwhile.
    pub fn make_fifo<'a>(&self) -> Result<'a, OwnedFd> {
        fs::mkfifoat(&self.fd, FIFO, fs::Mode::from_raw_mode(0o600)).doing_at("mkfifo", FIFO)?;
        fs::openat(&self.fd, FIFO, fs::OFlags::RDWR | fs::OFlags::CLOEXEC, fs::Mode::empty()).doing_at("open", FIFO)
    }

    /// Gives the start through the FIFO, and removes it. Errors: ENOENT when it was given already, ENXIO when nobody waits.
    pub fn give_start(&self) -> core::result::Result<(), Errno> {
        // fifo(7): opened for writing only and without blocking, it says ENXIO when the other end is gone.
        let fifo = fs::openat(&self.fd, FIFO, fs::OFlags::WRONLY | fs::OFlags::NONBLOCK | fs::OFlags::CLOEXEC, fs::Mode::empty())?;
        fs::write(&fifo, b"0")?;
        fs::unlinkat(&self.fd, FIFO, fs::AtFlags::empty())
    }

    /// Gives the start, and waits until the program runs. What the container had to say instead is put into `room`; nothing if it runs.
    /// Errors: as of [`Self::give_start`]; ENXIO also where the container died on its way.
    pub fn give_start_and_watch<'r>(&self, room: &'r mut [u8]) -> core::result::Result<&'r [u8], Errno> {
        let end = |flags| fs::openat(&self.fd, FIFO, flags | fs::OFlags::NONBLOCK | fs::OFlags::CLOEXEC, fs::Mode::empty());
        let start = end(fs::OFlags::WRONLY)?;
        let watched = end(fs::OFlags::RDONLY)?;
        fs::write(&start, b"0")?;
        drop(start);
        fs::unlinkat(&self.fd, FIFO, fs::AtFlags::empty())?;
        // The container holds the FIFO open both ways; execve and death close it. What it has not read is then still there.
        let mut polled = [sys::task::PollFd::new(&watched, sys::task::PollFlags::empty())];
        while let Err(Errno::INTR) = sys::task::poll(&mut polled, None) {}
        let len = fs::read(&watched, &mut *room)?;
        if &room[..len] == b"0" { Err(Errno::NXIO) } else { Ok(&room[..len]) }
    }

    /// Whether it waits for its start. The FIFO is there once its cgroup is known to be its own, and before its process.
    pub fn has_fifo(&self) -> bool {
        fs::accessat(&self.fd, FIFO, fs::Access::EXISTS, fs::AtFlags::empty()).is_ok()
    }

    /// Writes the record before anything of the container exists.
    pub fn write_creating<'a>(&mut self, record: &Record<'_>, arena: &Arena<'a>) -> Result<'a, ()> {
        let text = arena.format(format_args!("{}", Json(record)))?;
        self.record = Some((self.write_file(CREATING, text.as_bytes())?, text.len()));
        Ok(())
    }

    /// Writes it again once the container's process is known, by one call over the former: so there is always a whole one. Numbers are as wide as
    /// they can be, so that nothing behind them moves: of a long record a kill may leave the first page written alone.
    pub fn write_process<'a>(&mut self, record: &Record<'_>, arena: &Arena<'a>) -> Result<'a, ()> {
        let text = arena.format(format_args!("{}", Json(record)))?.as_bytes();
        let Some((file, before)) = self.record.take() else { return Ok(()) };
        // It has grown, unless the cgroup is one that could not be made.
        let text = arena.slice(text.len().max(before), |at| text.get(at).copied().unwrap_or(b'\n'))?;
        wrote(fs::pwrite(&file, &*text, 0), text, CREATING)
    }

    /// Keeps the text of config.json.
    pub fn keep_config<'a>(&self, text: &[u8]) -> Result<'a, ()> {
        self.write_file(CONFIG, text).map(|_| ())
    }

    fn write_file<'a>(&self, name: &'static CStr, text: &[u8]) -> Result<'a, OwnedFd> {
        let flags = fs::OFlags::WRONLY | fs::OFlags::CREATE | fs::OFlags::TRUNC | fs::OFlags::NOFOLLOW | fs::OFlags::CLOEXEC;
        let file = fs::openat(&self.fd, name, flags, fs::Mode::from_raw_mode(0o600)).doing_at("write", name)?;
        wrote(fs::write(&file, text), text, name).map(|()| file)
    }

    /// The directory itself.
    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Makes the record of a ready container its state.
    pub fn publish<'a>(&self) -> Result<'a, ()> {
        fs::renameat(&self.fd, CREATING, &self.fd, STATE).doing_at("write", STATE)
    }

    /// What state.json says. Errors: `container does not exist` where it has not been written.
    pub fn read<'a>(&self, arena: &Arena<'a>) -> Result<'a, Record<'a>> {
        self.read_from(STATE, arena)?.ok_or(Error::said("container does not exist"))
    }

    /// What is known of a container whose creation or deletion did not come to its end; never an error.
    pub fn read_remains<'a>(&self, arena: &Arena<'a>) -> Option<Record<'a>> {
        [STATE, CREATING].into_iter().find_map(|name| self.read_from(name, arena).ok().flatten())
    }

    fn read_from<'a>(&self, name: &'static CStr, arena: &Arena<'a>) -> Result<'a, Option<Record<'a>>> {
        read_record(self.fd.as_fd(), name, arena)
    }

    /// Removes the directory and what is in it.
    ///
    /// First of all it takes off the root file system of a container that has none of the mounts to itself.
    pub fn remove(&self) -> core::result::Result<(), Errno> {
        if let Some(root) = &self.shared_root {
            root.take_off();
        }
        let remove_all = |names: &[&CStr]| {
            names.iter().try_for_each(|name| match fs::unlinkat(&self.fd, *name, fs::AtFlags::empty()) {
                Err(Errno::NOENT) => Ok(()),
                answer => answer,
            })
        };
        let remove = || fs::unlinkat(&self.parent, as_c_str(&self.name), fs::AtFlags::REMOVEDIR);
        // What is read first goes last, so that whoever comes after us when we are killed finds a record as long as there is one.
        if !self.is_started {
            remove_all(&[FIFO, CREATING])?;
        }
        remove_all(&[CONFIG, STATE])?;
        match remove() {
            Err(Errno::NOTEMPTY | Errno::EXIST) => {}
            answer => return answer,
        }
        remove_all(&[FIFO, CREATING])?;
        // Besides our socket there may be what a privileged container has put there; what stays shows in the end.
        if let Ok(notify) = fs::openat(&self.fd, NOTIFY, OPEN, fs::Mode::empty()) {
            let _ = empty(&notify);
        }
        let _ = fs::unlinkat(&self.fd, NOTIFY, fs::AtFlags::REMOVEDIR);
        remove()
    }

    /// Makes the directory of the container's notify socket.
    pub fn make_notify<'a>(&self) -> Result<'a, ()> {
        match fs::mkdirat(&self.fd, NOTIFY, fs::Mode::from_raw_mode(0o755)) {
            Err(Errno::EXIST) => Ok(()),
            made => made.doing_at("mkdir", NOTIFY),
        }
    }

    /// Whether the container was made with a place for one.
    pub fn has_notify(&self) -> bool {
        fs::accessat(&self.fd, NOTIFY, fs::Access::EXISTS, fs::AtFlags::empty()).is_ok()
    }
}

fn wrote<'a>(written: core::result::Result<usize, Errno>, text: &[u8], name: &'static CStr) -> Result<'a, ()> {
    match written {
        Ok(len) if len == text.len() => Ok(()),
        Ok(_) => Err(Error::errno_at("write", name, Errno::NOSPC)),
        Err(errno) => Err(Error::errno_at("write", name, errno)),
    }
}

/// Removes what is in a directory: files, and one chain of directories after the other, from its end up, however deep they are.
pub(super) fn empty(directory: &OwnedFd) -> core::result::Result<(), Errno> {
    loop {
        let mut here = fs::openat(directory, c".", OPEN, fs::Mode::empty())?; // to be read from its beginning
        let mut above = None;
        while let Some(name) = remove_files(&here)? {
            let below = fs::openat(&here, name.as_c_str(), OPEN, fs::Mode::empty())?;
            above = Some((here, name));
            here = below;
        }
        let Some((parent, name)) = above else { return Ok(()) };
        fs::unlinkat(&parent, name.as_c_str(), fs::AtFlags::REMOVEDIR)?;
    }
}

/// Returns one of the directories in it, which stay.
fn remove_files(directory: &OwnedFd) -> core::result::Result<Option<PathBuffer>, Errno> {
    let mut found = None;
    let mut room = [MaybeUninit::uninit(); 2048];
    let mut entries = fs::RawDir::new(directory, &mut room);
    while let Some(entry) = entries.next() {
        let entry = entry?;
        let name = entry.file_name();
        match fs::unlinkat(directory, name, fs::AtFlags::empty()) {
            Err(Errno::ISDIR | Errno::PERM) if name != c"." && name != c".." => {
                let mut path = PathBuffer::new();
                path.set(&[name.to_bytes()]);
                found = Some(path);
            }
            Err(Errno::ISDIR | Errno::PERM) | Ok(()) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(found)
}

/// Where a container is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It waits for its start.
    Created,
    /// Its program runs.
    Running,
    /// It is frozen.
    Paused,
    /// Its first process has ended.
    Stopped,
}

impl Status {
    /// The specification's word.
    pub fn word(self) -> &'static str {
        match self {
            Status::Created => "created",
            Status::Running => "running",
            Status::Paused => "paused",
            Status::Stopped => "stopped",
        }
    }
}

/// Whether the record's process is still the one that was started, and has not ended. One that cannot be looked at has not: what else would
/// become of a container that runs?
pub fn is_alive(record: &Record<'_>, procfs: BorrowedFd<'_>) -> bool {
    is_known_alive(record, procfs).unwrap_or(true)
}

fn is_known_alive(record: &Record<'_>, procfs: BorrowedFd<'_>) -> core::result::Result<bool, Errno> {
    let is_it = |process: facts::Alive| process.start_time == record.start_time && !process.is_zombie;
    Ok(record.pid != 0 && facts::process(procfs, record.pid)?.is_some_and(is_it))
}

/// Looks where a container is in its life.
pub fn status(record: &Record<'_>, directory: &Directory, procfs: BorrowedFd<'_>) -> Status {
    status_with(record, procfs, &mut || is_paused(record), &|| directory.has_fifo())
}

fn status_with(record: &Record<'_>, procfs: BorrowedFd<'_>, is_paused: &mut dyn FnMut() -> bool, has_fifo: &dyn Fn() -> bool) -> Status {
    if !is_alive(record, procfs) {
        return Status::Stopped;
    }
    if is_paused() {
        return Status::Paused;
    }
    if has_fifo() { Status::Created } else { Status::Running }
}

/// A look at one container after the other below an open `--root`, in as few system calls as can be.
pub struct Look<'p> {
    parent: BorrowedFd<'p>,
    procfs: BorrowedFd<'p>,
    path: PathBuffer,
    cgroups: cgroup::Above,
}

impl<'p> Look<'p> {
    /// At none yet.
    pub fn new(parent: BorrowedFd<'p>, procfs: BorrowedFd<'p>) -> Self {
        Look { parent, procfs, path: PathBuffer::new(), cgroups: cgroup::Above::default() }
    }

    /// What is kept of the container `id`. `None`: there is none.
    pub fn record<'a>(&mut self, id: &str, arena: &Arena<'a>) -> Result<'a, Option<Record<'a>>> {
        self.path.set(&[id.as_bytes(), b"/", STATE.to_bytes()]);
        read_record(self.parent, self.path.as_c_str(), arena)
    }

    /// Where the container `id` is in its life, of which this is kept.
    pub fn status(&mut self, id: &str, record: &Record<'_>) -> Status {
        let Look { parent, procfs, path, cgroups } = self;
        path.set(&[id.as_bytes(), b"/", FIFO.to_bytes()]);
        let has_fifo = || fs::accessat(*parent, path.as_c_str(), fs::Access::EXISTS, fs::AtFlags::empty()).is_ok();
        status_with(record, *procfs, &mut || !record.cgroup.is_empty() && cgroups.is_frozen_at(record.cgroup), &has_fifo)
    }
}

/// Most records are smaller; a larger one is asked for its size.
const RECORD_BYTES: usize = 2048;

fn read_record<'a>(directory: BorrowedFd<'_>, name: &CStr, arena: &Arena<'a>) -> Result<'a, Option<Record<'a>>> {
    let failed = |errno| Error::errno("read", "state.json", errno);
    let file = match fs::openat(directory, name, fs::OFlags::RDONLY | fs::OFlags::NOFOLLOW | fs::OFlags::CLOEXEC, fs::Mode::empty()) {
        Err(Errno::NOENT) => return Ok(None),
        file => file.map_err(failed)?,
    };
    let mut head = [0; RECORD_BYTES];
    let mut len = fs::read(&file, &mut head).map_err(failed)?;
    let mut text = &mut head[..];
    if len == RECORD_BYTES {
        let size = usize::try_from(fs::fstat(&file).map_err(failed)?.st_size).unwrap_or(0);
        text = arena.slice(size, |_| 0)?;
        len = fs::pread(&file, &mut *text, 0).map_err(failed)?;
    }
    let text = arena.bytes(&text[..len])?;
    let written = json::read::<Record<'a>>(text, arena);
    let (written, _) = written
        .map_err(|error| arena.format(format_args!("{error}")).map_or_else(Error::from, |why| Error::text("state.json", "", why)))?;
    if written.version == 0 || written.version > VERSION {
        return Err(Error::text("state.json", "", "it was written by another version or another runtime"));
    }
    Ok(Some(*written))
}

/// Whether the container's cgroup is frozen.
pub fn is_paused(record: &Record<'_>) -> bool {
    !record.cgroup.is_empty() && cgroup::is_frozen_at(record.cgroup)
}

/// The container's cgroup; `None` if it was made without one. Errors: ENOENT when it is gone.
pub fn open_cgroup_if_any(record: &Record<'_>) -> core::result::Result<Option<OwnedFd>, Errno> {
    let mut path = PathBuffer::new();
    if record.cgroup.is_empty() || !path.set(&[record.cgroup.as_bytes()]) {
        return Ok(None);
    }
    cgroup::open(path.as_c_str()).map(Some)
}

/// The same for what cannot be done without one.
pub fn open_cgroup<'a>(record: &Record<'a>) -> Result<'a, OwnedFd> {
    let cgroup = open_cgroup_if_any(record).doing("open the cgroup", record.cgroup)?;
    cgroup.ok_or(Error::said("the container has no cgroup"))
}

/// `seconds, nanoseconds` as Go's RFC3339Nano, UTC.
pub fn timestamp<'a>((seconds, nanoseconds): (i64, u32), arena: &Arena<'a>) -> Result<'a, &'a str> {
    Ok(arena.format(format_args!("{}", Time { seconds: seconds.max(0) as u64, nanoseconds }))?)
}

/// A handle to the record's process, once it is sure that it is that process. `None` if it has ended, or cannot be looked at.
pub fn open_process(record: &Record<'_>, procfs: BorrowedFd<'_>) -> Option<Process> {
    let pid = sys::task::Pid::from_raw(i32::try_from(record.pid).ok()?)?;
    // Opened first and looked at afterwards: what the handle stands for cannot change any more.
    let pidfd = sys::task::pidfd_open(pid, sys::task::PidfdFlags::empty()).ok();
    is_known_alive(record, procfs).unwrap_or(false).then_some(Process { pid, pidfd })
}

/// A container's first process.
pub struct Process {
    /// As the host numbers it.
    pub pid: sys::task::Pid,
    /// None before Linux 5.3.
    pub pidfd: Option<OwnedFd>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::Entry;
    use core::mem::MaybeUninit;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_record_is_read_back_as_it_was_written(texts in prop::collection::vec(any::<String>(), 3), pid in any::<u32>(), start_time in any::<u64>()) {
            let mut room = vec![MaybeUninit::uninit(); 1 << 16];
            let arena = Arena::new(&mut room);
            let mut record = Record { version: VERSION, id: "c1", pid, start_time, bundle: &texts[0], ..Record::default() };
            record.annotations.push(&arena, Entry { key: &texts[1], value: &texts[2] }).unwrap();
            let text = arena.format(format_args!("{}", Json(&record))).unwrap();
            let (read, _) = json::read::<Record<'_>>(text.as_bytes(), &arena).unwrap();
            prop_assert_eq!((read.version, read.id, read.pid, read.start_time, read.bundle), (VERSION, "c1", pid, start_time, &*texts[0]));
            prop_assert_eq!(read.annotations.get(0), Some(&Entry { key: texts[1].as_str(), value: texts[2].as_str() }));
        }
    }
}
