//! The first things on a machine that has nothing yet: file systems of the kernel, streams, the loopback interface, clock, modules, settings.
//!
//! Mustn't: end for anything that is missing. It is told, and the boot goes on.

use core::ffi::CStr;

use linux_raw_sys::general::{MS_MOVE, MS_NODEV, MS_NOEXEC, MS_NOSUID, MS_RDONLY, MS_REC, MS_RELATIME, MS_SHARED, MS_STRICTATIME};

use crate::error::{self, Error};
use crate::mem::{Arena, PathBuffer};
use crate::plan::boot::{Boot, KernelLine};
use crate::sys::{self, AsFd, Errno, fs, task};

/// What the kernel does not mount by itself. The times of proc and sysfs must stay `relatime`: with others a user namespace may not
/// mount its own.
const MOUNTS: [(&CStr, &CStr, &CStr, u32); 7] = [
    (c"/proc", c"proc", c"", MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RELATIME),
    (c"/sys", c"sysfs", c"", MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RELATIME),
    (c"/dev", c"devtmpfs", c"mode=0755", MS_NOSUID | MS_STRICTATIME),
    (c"/dev/pts", c"devpts", c"gid=5,mode=620,ptmxmode=666", MS_NOSUID | MS_NOEXEC),
    (c"/run", c"tmpfs", c"mode=0755", MS_NOSUID | MS_NODEV | MS_STRICTATIME),
    (c"/tmp", c"tmpfs", c"mode=1777", MS_NOSUID | MS_NODEV | MS_STRICTATIME),
    (c"/sys/fs/cgroup", c"cgroup2", c"nsdelegate", MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RELATIME),
];

/// Mounts what is not there yet, and opens the console as our streams if the kernel had none to give.
///
/// Must: come before anything else of process 1, which otherwise finds no /dev/null and no /proc.
pub fn prepare() {
    task::umask(fs::Mode::from_raw_mode(0o022));
    for (target, kind, data, flags) in MOUNTS {
        let _ = fs::mkdirat(fs::CWD, target, fs::Mode::from_raw_mode(0o755)); // on a read-only root it is there or it is not
        if is_own_mount(target) {
            continue;
        }
        let mounted = sys::mount(kind, target, kind, flags, data);
        if mounted.is_err() {
            let _ = sys::mount(kind, target, kind, flags, c""); // an option that this kernel does not know
        }
    }
    // Without a console they lead nowhere: that is what the command line sees to before it opens anything.
    while !sys::is_open(2)
        && let Ok(console) = fs::open(c"/dev/console", fs::OFlags::RDWR | fs::OFlags::NOCTTY, fs::Mode::empty())
    {
        core::mem::forget(console); // it is a standard stream now
    }
}

/// Whether something is mounted there: it lies on another device than the directory around it.
fn is_own_mount(path: &CStr) -> bool {
    let mut parent = PathBuffer::new();
    parent.set(&[path.to_bytes(), b"/.."]);
    let device = |path: &CStr| fs::statat(fs::CWD, path, fs::AtFlags::empty()).map(|status| status.st_dev);
    device(path).is_ok_and(|own| device(parent.as_c_str()) != Ok(own))
}

/// Where messages of this stage go: a priority, and what.
pub type Say<'s> = dyn FnMut(u8, core::fmt::Arguments<'_>) + 's;

/// Does what boot.json says of the machine itself.
pub fn configure(boot: &Boot<'_>, arena: &Arena<'_>, say: &mut Say<'_>) {
    sys::catch_ctrl_alt_del();
    // What a bundle with `rootfsPropagation: shared` mounts is everybody's, as on any other system.
    let _ = sys::mount(c"", c"/", c"", MS_REC | MS_SHARED, c"");
    let _ = sys::loopback_up(); // a kernel without a network has none
    let mut name = [0; 65];
    let hostname = if boot.hostname.is_empty() { read_line(c"/etc/hostname", &mut name) } else { boot.hostname.as_bytes() };
    if !hostname.is_empty() {
        let _ = task::sethostname(hostname); // too long: it keeps the one it has
    }
    let mut failed = |what: &str, on: &str, errno: Errno| say(4, format_args!("{what} {on}: {}", crate::error::Reason(errno)));
    for module in &boot.modules {
        if let Err(errno) = load_module(module, arena) {
            failed("module", module, errno);
        }
    }
    for entry in &boot.sysctl {
        if let Err(errno) = write_sysctl(entry.key, entry.value) {
            failed("sysctl", entry.key, errno);
        }
    }
    restore(boot, None, &mut failed);
}

/// Takes over the time and the randomness that were kept in the file system that this service mounts, or in what is there from the beginning.
pub fn restore(boot: &Boot<'_>, mount: Option<usize>, failed: &mut dyn FnMut(&str, &str, Errno)) {
    if boot.mount_of(boot.clock) == mount
        && let Err(errno) = restore_clock(boot.clock)
    {
        failed("clock", boot.clock, errno);
    }
    if boot.mount_of(boot.random_seed) == mount
        && let Err(errno) = restore_seed(boot.random_seed)
    {
        failed("random-seed", boot.random_seed, errno);
    }
}

fn read_line<'b>(path: &CStr, buffer: &'b mut [u8]) -> &'b [u8] {
    let len = fs::open(path, fs::OFlags::RDONLY | fs::OFlags::CLOEXEC, fs::Mode::empty()).and_then(|file| fs::read(&file, &mut *buffer));
    let text = &buffer[..len.unwrap_or(0)];
    text.split(|byte| byte.is_ascii_whitespace()).next().unwrap_or_default()
}

fn load_module(module: &str, arena: &Arena<'_>) -> Result<(), Errno> {
    let uname = task::uname();
    let path = if module.starts_with('/') {
        arena.format_c(format_args!("{module}"))
    } else {
        arena.format_c(format_args!("/lib/modules/{}/{module}", uname.release().to_str().unwrap_or_default()))
    };
    let file = fs::open(path.map_err(|_| Errno::NOMEM)?, fs::OFlags::RDONLY | fs::OFlags::CLOEXEC, fs::Mode::empty())?;
    match sys::load_module(file.as_fd(), !module.ends_with(".ko")) {
        Err(Errno::EXIST) => Ok(()),
        answer => answer,
    }
}

fn write_sysctl(key: &str, value: &str) -> Result<(), Errno> {
    let mut path = PathBuffer::new();
    let mut name = heapless::String::<256>::new();
    for letter in key.chars() {
        name.push(if letter == '.' { '/' } else { letter }).map_err(|_| Errno::NAMETOOLONG)?;
    }
    path.set(&[b"/proc/sys/", name.as_bytes()]);
    let file = fs::open(path.as_c_str(), fs::OFlags::WRONLY | fs::OFlags::CLOEXEC, fs::Mode::empty())?;
    fs::write(&file, value.as_bytes()).map(|_| ())
}

/// A machine without a clock of its own goes on from when it was last seen.
fn restore_clock(path: &str) -> Result<(), Errno> {
    if path.is_empty() {
        return Ok(());
    }
    let mut buffer = PathBuffer::new();
    buffer.set(&[path.as_bytes()]);
    let seen = match fs::statat(fs::CWD, buffer.as_c_str(), fs::AtFlags::empty()) {
        Err(Errno::NOENT) => return Ok(()),
        status => status?.st_mtime,
    };
    if task::clock_gettime(task::ClockId::Realtime).tv_sec < seen { sys::set_clock(seen) } else { Ok(()) }
}

/// Notes the time, for the next boot.
pub fn save_clock(path: &str) -> Result<(), Errno> {
    let mut buffer = PathBuffer::new();
    buffer.set(&[path.as_bytes()]);
    let flags = fs::OFlags::WRONLY | fs::OFlags::CREATE | fs::OFlags::TRUNC | fs::OFlags::CLOEXEC;
    let file = fs::open(buffer.as_c_str(), flags, fs::Mode::from_raw_mode(0o644))?;
    fs::write(&file, b"\n").map(|_| ()) // writing sets the time
}

/// Each seed is counted once: a new one is written before the old one is used.
fn restore_seed(path: &str) -> Result<(), Errno> {
    if path.is_empty() {
        return Ok(());
    }
    let mut buffer = PathBuffer::new();
    buffer.set(&[path.as_bytes()]);
    let mut seed = [0; 512];
    let read = fs::open(buffer.as_c_str(), fs::OFlags::RDONLY | fs::OFlags::CLOEXEC, fs::Mode::empty())
        .and_then(|file| fs::read(&file, &mut seed));
    if read != Ok(seed.len()) {
        return save_seed(path);
    }
    let random = fs::open(c"/dev/urandom", fs::OFlags::RDWR | fs::OFlags::CLOEXEC, fs::Mode::empty())?;
    fs::write(&random, &seed)?;
    save_seed(path)?;
    sys::add_entropy(random.as_fd(), &seed)
}

/// Keeps randomness for the next boot.
pub fn save_seed(path: &str) -> Result<(), Errno> {
    let mut buffer = PathBuffer::new();
    buffer.set(&[path.as_bytes()]);
    let mut seed = [0; 512];
    let random = fs::open(c"/dev/urandom", fs::OFlags::RDONLY | fs::OFlags::CLOEXEC, fs::Mode::empty())?;
    fs::read(&random, &mut seed)?;
    let flags = fs::OFlags::WRONLY | fs::OFlags::CREATE | fs::OFlags::TRUNC | fs::OFlags::CLOEXEC;
    let file = fs::open(buffer.as_c_str(), flags, fs::Mode::from_raw_mode(0o600))?;
    fs::write(&file, &seed)?;
    sys::fsync(file.as_fd())
}

/// Leaves the initial ramfs for the root file system that the kernel line names. This very program goes on in it.
pub fn switch_root(line: &KernelLine<'_>, arena: &Arena<'_>, say: &mut Say<'_>) {
    if line.root.is_empty() || !is_initial_root() {
        return;
    }
    for module in line.root_modules.split(',').filter(|module| !module.is_empty()) {
        if let Err(errno) = load_module(module, arena) {
            say(3, format_args!("ocinit.modules: {module}: {}", crate::error::Reason(errno)));
        }
    }
    if let Err((what, errno)) = enter_root(line, arena) {
        say(2, format_args!("root={}: {what}: {}; the boot goes on in the initial ramfs", line.root, crate::error::Reason(errno)));
    }
}

/// Whether `/` is what the kernel unpacked itself, from which nothing can be pivoted: only that one is called `rootfs`.
pub fn is_initial_root() -> bool {
    let mut buffer = [0; 512];
    let file = fs::open(c"/proc/self/mountinfo", fs::OFlags::RDONLY | fs::OFlags::CLOEXEC, fs::Mode::empty());
    let len = file.and_then(|file| fs::read(&file, &mut buffer)).unwrap_or(0);
    // proc_pid_mountinfo(5): the root comes first; after a lone hyphen comes the type.
    let line = buffer[..len].split(|byte| *byte == b'\n').next().unwrap_or_default();
    line.windows(10).any(|window| window == b" - rootfs ")
}

const ROOT_WAIT_MS: u64 = 20_000;

fn enter_root(line: &KernelLine<'_>, arena: &Arena<'_>) -> Result<(), (&'static str, Errno)> {
    let text = |text: &str| arena.c_str(&[text.as_bytes()]).map_err(|_| ("memory", Errno::NOMEM));
    let (device, kind, data) = (text(line.root)?, text(line.root_type)?, text(line.root_flags)?);
    await_path(device, ROOT_WAIT_MS).map_err(|errno| ("wait for the device", errno))?;
    let _ = fs::mkdirat(fs::CWD, c"/newroot", fs::Mode::from_raw_mode(0o755));
    let flags = if line.is_writable { 0 } else { MS_RDONLY };
    mount_any(device, c"/newroot", kind, flags, data).map_err(|errno| ("mount", errno))?;
    for (from, to) in [(c"/proc", c"/newroot/proc"), (c"/sys", c"/newroot/sys"), (c"/dev", c"/newroot/dev"), (c"/run", c"/newroot/run")] {
        let _ = fs::mkdirat(fs::CWD, to, fs::Mode::from_raw_mode(0o755)); // on a read-only root it is there or it is not
        if sys::mount(from, to, c"", MS_MOVE, c"").is_err() {
            let _ = sys::unmount(from, true);
        }
    }
    let flags = fs::OFlags::RDONLY | fs::OFlags::DIRECTORY | fs::OFlags::CLOEXEC;
    if let Ok(old) = fs::open(c"/", flags, fs::Mode::empty()) {
        empty(&old, 0); // its memory is of no use any more
    }
    task::chdir(c"/newroot").map_err(|errno| ("chdir", errno))?;
    sys::mount(c".", c"/", c"", MS_MOVE, c"").map_err(|errno| ("move the mount", errno))?;
    task::chroot(c".").map_err(|errno| ("chroot", errno))?;
    task::chdir(c"/").map_err(|errno| ("chdir", errno))?;
    prepare();
    Ok(())
}

/// Waits at most so long until there is something at `path`, looking again and again: no notice comes for what the kernel makes.
pub fn await_path(path: &CStr, milliseconds: u64) -> Result<(), Errno> {
    let deadline = task::now_ms() + milliseconds;
    loop {
        match fs::accessat(fs::CWD, path, fs::Access::EXISTS, fs::AtFlags::empty()) {
            Err(Errno::NOENT) if task::now_ms() < deadline => {}
            answer => return answer,
        }
        let _ = task::poll(&mut [], Some(&task::milliseconds(20))); // it only passes the time
    }
}

/// mount(2); without a type, each that the kernel can read from a device (proc_filesystems(5)).
pub fn mount_any(source: &CStr, target: &CStr, kind: &CStr, flags: u32, data: &CStr) -> Result<(), Errno> {
    if !kind.is_empty() && kind != c"auto" {
        return sys::mount(source, target, kind, flags, data);
    }
    let mut buffer = [0; 4096];
    let file = fs::open(c"/proc/filesystems", fs::OFlags::RDONLY | fs::OFlags::CLOEXEC, fs::Mode::empty())?;
    let len = fs::read(&file, &mut buffer)?;
    let mut answer = Err(Errno::NODEV);
    for line in buffer[..len].split(|byte| *byte == b'\n') {
        let mut name = PathBuffer::new();
        if let [b'\t', kind @ ..] = line
            && name.set(&[kind])
        {
            answer = sys::mount(source, target, name.as_c_str(), flags, data);
            if answer.is_ok() {
                break;
            }
        }
    }
    answer
}

/// Removes what is in a directory, but not what is mounted in it.
fn empty(directory: &sys::OwnedFd, depth: usize) {
    const MOST_DEPTH: usize = 16; // each takes a kilobyte of stack
    let Ok(status) = fs::fstat(directory) else { return };
    let mut room = [core::mem::MaybeUninit::uninit(); 1024];
    let mut entries = fs::RawDir::new(directory, &mut room);
    while let Some(Ok(entry)) = entries.next() {
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        if entry.file_type() != fs::FileType::Directory {
            let _ = fs::unlinkat(directory, name, fs::AtFlags::empty());
            continue;
        }
        let flags = fs::OFlags::RDONLY | fs::OFlags::DIRECTORY | fs::OFlags::NOFOLLOW | fs::OFlags::CLOEXEC;
        let Ok(below) = fs::openat(directory, name, flags, fs::Mode::empty()) else { continue };
        // What is mounted there is not the initial ramfs's.
        if depth < MOST_DEPTH && fs::fstat(&below).is_ok_and(|below| below.st_dev == status.st_dev) {
            empty(&below, depth + 1);
            let _ = fs::unlinkat(directory, name, fs::AtFlags::REMOVEDIR);
        }
    }
}

/// In a child: moves process 1 into a cgroup of its own, so that the root has no figures of it.
pub fn enter_leaf_cgroup() {
    const LEAF: &CStr = c"/sys/fs/cgroup/init";
    let _ = fs::mkdirat(fs::CWD, LEAF, fs::Mode::from_raw_mode(0o755)); // it may be there already
    let flags = fs::OFlags::WRONLY | fs::OFlags::CLOEXEC;
    let moved = fs::open(c"/sys/fs/cgroup/init/cgroup.procs", flags, fs::Mode::empty()).and_then(|file| fs::write(&file, b"1"));
    let _ = moved; // without cgroup v2 there is none
}

/// Makes a directory and those around it.
pub fn make_directories<'a>(path: &str, arena: &Arena<'a>) -> error::Result<'a, ()> {
    for (at, _) in path.match_indices('/').skip(1).chain([(path.len(), "")]) {
        let part = arena.c_str(&[&path.as_bytes()[..at]])?;
        match fs::mkdirat(fs::CWD, part, fs::Mode::from_raw_mode(0o755)) {
            // On a read-only root it is there, or what follows says what is wrong.
            Ok(()) | Err(Errno::EXIST | Errno::ROFS) => {}
            Err(errno) => return Err(Error::at("mkdir", part)(errno)),
        }
    }
    Ok(())
}

/// Whether a network device is up and has a carrier; without a name, any but the loopback.
pub fn is_network_up(device: &str) -> bool {
    if !device.is_empty() {
        return is_device_up(device.as_bytes());
    }
    let flags = fs::OFlags::RDONLY | fs::OFlags::DIRECTORY | fs::OFlags::CLOEXEC;
    let Ok(directory) = fs::open(c"/sys/class/net", flags, fs::Mode::empty()) else { return false };
    let mut room = [core::mem::MaybeUninit::uninit(); 1024];
    let mut entries = fs::RawDir::new(&directory, &mut room);
    while let Some(Ok(entry)) = entries.next() {
        let name = entry.file_name().to_bytes();
        if !name.starts_with(b".") && name != b"lo" && is_device_up(name) {
            return true;
        }
    }
    false
}

fn is_device_up(name: &[u8]) -> bool {
    let mut path = PathBuffer::new();
    let mut says =
        |file: &[u8], word: &[u8]| path.set(&[b"/sys/class/net/", name, file]) && read_line(path.as_c_str(), &mut [0; 16]) == word;
    // Tunnels and the like never say more than that (operstates.rst); a device that is down has no carrier to read.
    says(b"/operstate", b"up") || says(b"/operstate", b"unknown") && says(b"/carrier", b"1")
}
