//! What there is to boot: boot.json, the directories of bundles, the kernel command line, read into one plan.
//!
//! Whatever cannot be read is told, and the rest is booted. Nothing is changed, no rights are needed.

use core::ffi::CStr;
use core::mem::MaybeUninit;

use crate::container::{trust, versions};
use crate::error::Error;
use crate::json;
use crate::json::Oddity;
use crate::mem::{Arena, Full, List};
use crate::names::subjects::INSTALL;
use crate::plan::boot::{self, Boot, Found, Input, KernelLine, Kind, Result, Tell, words};
use crate::plan::versions::{Record, Start};
use crate::spec::Entry;
use crate::spec::boot as written;
use crate::sys::{self, Errno, OwnedFd, fs};

/// Where boot.json lies, files that add to it, and bundles that need none.
const FILE: &str = "/etc/ocinit/boot.json";
const DROP_INS: &str = "/etc/ocinit/boot.d";
const DIRECTORIES: [&str; 2] = ["/etc/ocinit/bundles", "/containers"];

/// A bundle that has a file of its name here is not started at boot.
pub const DISABLED: &str = "/var/lib/ocinit/disabled";

/// A boot.json or config.json above this is refused, as `container::bundle` has it.
const MOST_BYTES: usize = crate::container::bundle::MOST_CONFIG_BYTES;
const MOST_BOOT_BYTES: usize = 1 << 20;

/// What is to be read.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    /// What comes before every path: empty, or the root of a device's file system that is looked at from outside.
    pub root: &'a str,
    /// A boot.json or a directory of bundles instead of the usual places; may be empty.
    pub path: &'a str,
    /// The kernel command line.
    pub line: &'a str,
    /// Whether what is read is what will be booted: then its release is written down as accepted.
    pub is_accepted: bool,
}

/// Reads all of it.
pub fn plan<'a>(place: &Place<'a>, arena: &Arena<'a>, tell: &mut Tell<'_>) -> Result<Boot<'a>> {
    let mut line = KernelLine::read(place.line);
    if line.shell.is_some() && place.root.is_empty() && trust::is_demanded() {
        (line.shell, line.is_rescue) = (None, false);
        tell("", format_args!("signatures are required: the kernel command line gets no shell"));
    }
    let named = if line.boot.is_empty() { place.path } else { line.boot };
    let mut reader = Reader {
        root: place.root,
        is_accepted: place.is_accepted,
        arena,
        tell,
        found: List::default(),
        file: written::Boot::default(),
        left_out: 0,
        places: &[],
    };
    let is_directory = !named.is_empty() && is_directory(reader.path(&[named])?);
    if named.is_empty() || is_directory {
        reader.boot_file(FILE, false)?;
        for name in reader.names(DROP_INS, ".json")? {
            let path = reader.join(DROP_INS, name)?;
            reader.boot_file(path, true)?;
        }
    } else {
        reader.boot_file(named, true)?;
    }
    let directory = match (is_directory, reader.file.directory) {
        (true, _) => named,
        (false, "") => {
            let exists = |path: &str| reader.path(&[path]).is_ok_and(is_directory_at);
            DIRECTORIES.into_iter().find(|path| exists(path)).unwrap_or(DIRECTORIES[0])
        }
        (false, directory) => directory,
    };
    if !line.is_rescue {
        reader.installed()?;
        reader.bundles(directory, Kind::Service, false)?;
        for (name, kind, is_early) in PLACES {
            reader.bundles(reader.join(directory, name)?, kind, is_early)?;
        }
        reader.listed()?;
        reader.installed_alone()?;
    }
    let mut disabled = List::default();
    for name in reader.names(DISABLED, "")? {
        disabled.push(arena, *name)?;
    }
    let input = Input { found: reader.found, left_out: reader.left_out, file: reader.file, line, disabled };
    boot::build(&input, arena, reader.tell)
}

/// What a place says of the bundles in it: LinuxKit's layout.
const PLACES: [(&str, Kind, bool); 3] =
    [("onboot", Kind::Oneshot, true), ("services", Kind::Service, false), ("onshutdown", Kind::Shutdown, false)];

fn is_directory(path: &CStr) -> bool {
    is_directory_at(path)
}

fn is_directory_at(path: &CStr) -> bool {
    fs::statat(fs::CWD, path, fs::AtFlags::empty())
        .is_ok_and(|status| fs::FileType::from_raw_mode(status.st_mode) == fs::FileType::Directory)
}

struct Reader<'r, 't, 'a> {
    root: &'a str,
    is_accepted: bool,
    arena: &'r Arena<'a>,
    tell: &'r mut Tell<'t>,
    found: List<'a, Found<'a>>,
    file: written::Boot<'a>,
    /// The ids of what is installed.
    places: &'a [&'a str],
    /// Those that were not even looked at.
    left_out: usize,
}

impl<'a> Reader<'_, '_, 'a> {
    fn path(&self, pieces: &[&str]) -> Result<&'a CStr> {
        let joined = self.arena.format(format_args!("{}{}", self.root, pieces[0]))?;
        self.arena.c_str(&[joined.as_bytes()])
    }

    fn join(&self, directory: &str, name: &str) -> Result<&'a str> {
        self.arena.format(format_args!("{directory}/{name}"))
    }

    /// Adds what a boot.json says. A bad one is told and counts for nothing.
    fn boot_file(&mut self, path: &'a str, is_needed: bool) -> Result<()> {
        let text = match read(self.path(&[path])?, MOST_BOOT_BYTES) {
            Err(Errno::NOENT) if !is_needed => return Ok(()),
            Err(errno) => {
                (self.tell)("", format_args!("{}", Error::errno(path, "", errno)));
                return Ok(());
            }
            Ok(text) => text,
        };
        let is_demanded = self.root.is_empty() && trust::is_demanded();
        if is_demanded && let Err(error) = trust::check(text, path, self.arena) {
            (self.tell)("", format_args!("{error}; it is not used"));
            return Ok(());
        }
        let room = sys::map_anonymous(written::arena_bytes(text.len())).map_err(|_| Full)?;
        let memory = Arena::over(room);
        let read = json::read::<written::Boot<'a>>(text, &memory);
        let (file, notes) = match read {
            Ok(read) => read,
            Err(error) => {
                (self.tell)("", format_args!("{path}: {error}; it is not used"));
                return Ok(());
            }
        };
        for note in notes.iter() {
            match note.oddity {
                Oddity::Duplicate | Oddity::Case => (self.tell)("", format_args!("{path}: {note}")),
                Oddity::Unknown => {
                    (self.tell)("", format_args!("{path}: {}: unknown key ({}); the file is not used", note.place.path(), note.place));
                    return Ok(());
                }
            }
        }
        if contains_nul(text) {
            (self.tell)("", format_args!("{path}: a NUL inside a string; the file is not used"));
            return Ok(());
        }
        if file.version != 1 {
            (self.tell)("", format_args!("{path}: version: it must be 1; the file is not used"));
            return Ok(());
        }
        if is_demanded && let Err(error) = trust::admit(file.release, self.is_accepted, self.arena) {
            (self.tell)("", format_args!("{path}: {error}; it is not used"));
            return Ok(());
        }
        self.add(file)
    }

    /// What a later file says wins; its lists are added.
    fn add(&mut self, file: &written::Boot<'a>) -> Result<()> {
        let arena = self.arena;
        let own = &mut self.file;
        let texts = [
            (&mut own.hostname, file.hostname),
            (&mut own.directory, file.directory),
            (&mut own.shutdown_timeout, file.shutdown_timeout),
            (&mut own.stable, file.stable),
            (&mut own.ready_timeout, file.ready_timeout),
            (&mut own.data, file.data),
            (&mut own.log, file.log),
            (&mut own.log_size, file.log_size),
            (&mut own.clock, file.clock),
            (&mut own.random_seed, file.random_seed),
        ];
        for (to, from) in texts {
            if !from.is_empty() {
                *to = from;
            }
        }
        own.watchdog = file.watchdog.or(own.watchdog);
        own.log_files = file.log_files.or(own.log_files);
        own.attempts = file.attempts.or(own.attempts);
        if file.on_ready.is_present() {
            own.on_ready = file.on_ready;
        }
        file.modules.iter().try_for_each(|one| own.modules.push(arena, one))?;
        file.sysctl.iter().try_for_each(|one| own.sysctl.push(arena, *one))?;
        file.console.iter().try_for_each(|one| own.console.push(arena, *one))?;
        file.mounts.iter().try_for_each(|one| own.mounts.push(arena, *one))?;
        file.bundles.iter().try_for_each(|one| own.bundles.push(arena, *one))?;
        Ok(())
    }

    /// The names in a directory that end so, sorted; none where there is no such directory.
    fn names(&self, directory: &str, end: &str) -> Result<&'a [&'a str]> {
        let flags = fs::OFlags::RDONLY | fs::OFlags::DIRECTORY | fs::OFlags::CLOEXEC;
        let Ok(opened) = fs::open(self.path(&[directory])?, flags, fs::Mode::empty()) else { return Ok(&[]) };
        let mut names = List::default();
        let mut room = [MaybeUninit::uninit(); 2048];
        let mut entries = fs::RawDir::new(&opened, &mut room);
        while let Some(Ok(entry)) = entries.next() {
            let name = entry.file_name().to_str().unwrap_or_default();
            if !name.is_empty() && !name.starts_with('.') && name.ends_with(end) {
                names.push(self.arena, self.arena.format(format_args!("{name}"))?)?;
            }
        }
        let mut next = names.iter();
        let sorted = self.arena.slice(names.len(), |_| next.next().copied().unwrap_or_default())?;
        let cells = core::cell::Cell::from_mut(&mut *sorted).as_slice_of_cells();
        crate::mem::sort(cells.len(), &|a, b| cells[a].get() < cells[b].get(), &|a, b| cells[a].swap(&cells[b]));
        Ok(sorted)
    }

    fn bundles(&mut self, directory: &'a str, kind: Kind, is_early: bool) -> Result<()> {
        for name in self.names(directory, "")? {
            let path = self.join(directory, name)?;
            let is_place = PLACES.iter().any(|(place, ..)| place == name);
            // What is no bundle is nothing of ours, unless it lies where there is nothing else.
            if kind == Kind::Service && (is_place || !self.has_config(path)?) && !directory.ends_with("/services") {
                continue;
            }
            let (number, id) = words::numbered(name);
            self.bundle(Found { id, path, kind, is_early, number, ..Found::default() })?;
        }
        Ok(())
    }

    fn has_config(&self, path: &str) -> Result<bool> {
        let config = self.path(&[self.join(path, "config.json")?])?;
        Ok(fs::accessat(fs::CWD, config, fs::Access::EXISTS, fs::AtFlags::empty()).is_ok())
    }

    fn data(&self) -> &'a str {
        if self.file.data.is_empty() { boot::DATA } else { self.file.data }
    }

    /// What is installed, and of which nothing else is there.
    fn installed(&mut self) -> Result<()> {
        if INSTALL {
            self.places = self.names(self.join(self.data(), "bundles")?, "")?;
        }
        Ok(())
    }

    /// The bundles that are installed and nothing else, after all others.
    fn installed_alone(&mut self) -> Result<()> {
        for id in if INSTALL { self.places } else { &[] } {
            if !self.found.iter().any(|found| found.id == *id) {
                let path = self.join(self.join(self.data(), "bundles")?, id)?;
                self.bundle(Found { id, path, number: u32::MAX, ..Found::default() })?;
            }
        }
        Ok(())
    }

    /// The directories whose config.json says how a bundle is kept up: the one that will be started, and while that is new what it can be
    /// gone back from. What is not installed lies where it was found.
    fn sources(&self, id: &str, path: &'a str) -> Result<[&'a str; 2]> {
        if !INSTALL || !self.places.contains(&id) {
            return Ok([path, ""]);
        }
        let at = self.join(self.join(self.data(), "bundles")?, id)?;
        let opened = versions::open(self.arena.format(format_args!("{}{at}", self.root))?);
        let record = opened.ok().flatten().map(|directory| versions::read(&directory, self.arena)).transpose();
        let place = |version: Option<&str>| version.map_or(Ok(path), |version| self.join(at, version));
        let record: Record<'a> = record.ok().flatten().unwrap_or_default();
        Ok(match record.start(at != path) {
            Start::Nothing => [path, ""],
            Start::Version(version, _) => [place(Some(version))?, ""],
            Start::Trial(version) => [place(Some(version))?, place(record.other())?],
            Start::Back { to, .. } => [place(to)?, ""],
        })
    }

    /// The bundles that boot.json names by their directory.
    fn listed(&mut self) -> Result<()> {
        for bundle in self.file.bundles.iter().filter(|bundle| !bundle.bundle.is_empty()) {
            if self.is_full() || !self.found.iter().any(|found| found.id == bundle.id) {
                self.bundle(Found { id: bundle.id, path: bundle.bundle, number: u32::MAX, ..Found::default() })?;
            }
        }
        Ok(())
    }

    fn is_full(&self) -> bool {
        self.found.len() >= boot::MOST_BUNDLES
    }

    fn bundle(&mut self, mut found: Found<'a>) -> Result<()> {
        if self.is_full() {
            self.left_out += 1;
            return Ok(());
        }
        let [source, before] = self.sources(found.id, found.path)?;
        let config = self.path(&[self.join(source, "config.json")?])?;
        let is_listed = self.file.bundles.iter().any(|bundle| bundle.id == found.id && !bundle.bundle.is_empty());
        let digest = self.file.bundles.iter().filter(|bundle| bundle.id == found.id).last().map_or("", |bundle| bundle.digest);
        let mut read = self.annotations(config, digest);
        if !before.is_empty() && !matches!(read, Ok(Ok(_))) {
            read = self.annotations(self.path(&[self.join(before, "config.json")?])?, digest);
        }
        match read {
            Ok(Ok((annotations, sources))) => (found.annotations, found.sources) = (annotations, sources),
            Ok(Err(problem)) => found.problem = problem,
            Err(Errno::NOENT) if is_listed => {} // it may lie on what is mounted later
            Err(errno) => found.problem = self.arena.format(format_args!("{}", Error::errno_at("open", config, errno)))?,
        }
        self.found.push(self.arena, found)
    }

    /// Those annotations of a config.json that are for the boot, or what is wrong with it.
    fn annotations(&self, config: &CStr, digest: &str) -> core::result::Result<core::result::Result<Annotations<'a>, &'a str>, Errno> {
        let file = open_regular(config)?;
        let size = size_of_file(&file, MOST_BYTES)?;
        let arena = self.arena;
        sys::with_memory(size + 1 + crate::spec::arena_bytes(size), |room| {
            let (text, memory) = room.split_at_mut(size + 1);
            let len = read_all(&file, text)?;
            if let Err(why) = trust::check_digest(&text[..len], digest) {
                return Ok(Err(why));
            }
            if self.root.is_empty()
                && trust::is_demanded()
                && let Err(error) = trust::check(&text[..len], config.to_str().unwrap_or_default(), arena)
            {
                return Ok(Err(arena.format(format_args!("{error}")).map_err(|_| Errno::NOMEM)?));
            }
            let memory = Arena::over(memory);
            let read = json::read::<written::Annotated<'_>>(&text[..len], &memory);
            if contains_nul(&text[..len]) {
                return Ok(Err("config.json: a NUL inside a string"));
            }
            let copy = |text: &str| arena.format(format_args!("{text}")).map_err(|_| Errno::NOMEM);
            let annotated = match read {
                Ok((annotated, _)) => annotated,
                Err(error) => {
                    let sentence = arena.format(format_args!("config.json: {error}")).map_err(|_| Errno::NOMEM)?;
                    return Ok(Err(sentence));
                }
            };
            let mut kept = List::default();
            for entry in &annotated.annotations {
                if entry.key.starts_with(written::PREFIX) || entry.key == written::STOP_SIGNAL {
                    let entry = Entry { key: copy(entry.key)?, value: copy(entry.value)? };
                    kept.push(arena, entry).map_err(|_| Errno::NOMEM)?;
                }
            }
            let mut sources = List::default();
            for source in annotated.mounts.iter().map(|mount| mount.source).chain(annotated.root.map(|root| root.path)) {
                if source.starts_with('/') {
                    sources.push(arena, copy(source)?).map_err(|_| Errno::NOMEM)?;
                }
            }
            Ok(Ok((kept, sources)))
        })
    }
}

/// No text of ours may hold one, whatever it is for.
fn contains_nul(text: &[u8]) -> bool {
    const ESCAPED: &[u8] = b"\\u0000";
    text.windows(ESCAPED.len()).any(|window| window == ESCAPED)
}

/// Annotations for the boot, and paths of the host that a bundle needs.
type Annotations<'a> = (List<'a, Entry<'a, &'a str>>, List<'a, &'a str>);

fn open_regular(path: &CStr) -> core::result::Result<OwnedFd, Errno> {
    let flags = fs::OFlags::RDONLY | fs::OFlags::CLOEXEC | fs::OFlags::NONBLOCK | fs::OFlags::NOCTTY;
    let file = fs::open(path, flags, fs::Mode::empty())?;
    if sys::file_type(&file)? == fs::FileType::RegularFile { Ok(file) } else { Err(Errno::INVAL) }
}

fn size_of_file(file: &OwnedFd, most: usize) -> core::result::Result<usize, Errno> {
    let size = usize::try_from(fs::fstat(file)?.st_size).unwrap_or(usize::MAX);
    if size > most { Err(Errno::FBIG) } else { Ok(size) }
}

/// Fills `room`; a file that is longer than that grew meanwhile.
fn read_all(file: &OwnedFd, room: &mut [u8]) -> core::result::Result<usize, Errno> {
    let mut len = 0;
    loop {
        match fs::read(file, &mut room[len..])? {
            0 => return Ok(len),
            read => len += read,
        }
        if len == room.len() {
            return Err(Errno::FBIG);
        }
    }
}

/// A whole file, in memory that is never given back.
pub fn read(path: &CStr, most: usize) -> core::result::Result<&'static [u8], Errno> {
    let file = open_regular(path)?;
    let room = sys::map_anonymous(size_of_file(&file, most)? + 1)?;
    let len = read_all(&file, room)?;
    Ok(&room[..len])
}

/// The kernel command line; empty where it cannot be read.
pub fn kernel_line<'a>(arena: &Arena<'a>) -> &'a str {
    let mut buffer = [0; 4096];
    let file = fs::open(c"/proc/cmdline", fs::OFlags::RDONLY | fs::OFlags::CLOEXEC, fs::Mode::empty());
    let len = file.and_then(|file| fs::read(&file, &mut buffer)).unwrap_or(0);
    let text = core::str::from_utf8(&buffer[..len]).unwrap_or_default();
    arena.format(format_args!("{text}")).unwrap_or_default()
}
