//! What the host is: a procfs that can be trusted, the cgroup hierarchy, processes and their start times.

use core::ffi::CStr;

use crate::error::{Doing, Error, Result};
use crate::mem::{Arena, Full, List};
use crate::plan::cgroup::v1::{Hierarchy, IS_BUILT};
use crate::plan::image::may_be_image;
use crate::plan::mounts::absolute;
use crate::spec::Config;
use crate::steps::users;
use crate::sys::{self, AsFd, BorrowedFd, Errno, OwnedFd, fs, task};

/// Opens the host's /proc, and looks whether it is one.
pub fn open_procfs<'a>() -> Result<'a, OwnedFd> {
    let flags = fs::OFlags::PATH | fs::OFlags::DIRECTORY | fs::OFlags::CLOEXEC;
    let procfs = fs::open(c"/proc", flags, fs::Mode::empty()).doing("open", "/proc")?;
    if sys::file_system(&procfs).doing("statfs", "/proc")? == sys::magic::PROC_SUPER_MAGIC {
        return Ok(procfs);
    }
    Err(Error::text("/proc", "", "it is not a procfs (mount -t proc proc /proc)"))
}

/// The host's name for an id of its /etc/passwd or /etc/group; empty if it has none.
pub fn name_of<'a>(path: &CStr, id: u32, arena: &Arena<'a>) -> Result<'a, &'a str> {
    let mut name = Ok("");
    users::name_of(path, id, &mut |found| name = arena.format(format_args!("{found}")));
    Ok(name?)
}

/// Whether /sys/fs/cgroup is cgroup v2, and so all there is.
pub fn has_only_cgroup_v2() -> bool {
    fs::statfs(c"/sys/fs/cgroup").is_ok_and(|status| status.f_type as u32 == sys::magic::CGROUP2_SUPER_MAGIC)
}

/// Whether `root.path` is a file, if it may name an image.
pub fn root_is_file<'a>(config: &Config<'a>, bundle: &str, arena: &Arena<'a>) -> Result<'a, bool> {
    let Some(path) = config.root.map(|root| root.path).filter(|path| may_be_image(path)) else { return Ok(false) };
    let status = fs::statat(fs::CWD, absolute(bundle, path, arena)?, fs::AtFlags::empty());
    Ok(status.is_ok_and(|status| fs::FileType::from_raw_mode(status.st_mode) != fs::FileType::Directory))
}

/// Whether AppArmor is on.
pub fn has_apparmor() -> bool {
    let flags = fs::OFlags::RDONLY | fs::OFlags::CLOEXEC;
    let mut answer = [0];
    fs::open(c"/sys/module/apparmor/parameters/enabled", flags, fs::Mode::empty()).and_then(|file| fs::read(&file, &mut answer)) == Ok(1)
        && answer == *b"Y"
}

/// Whether SELinux is on.
pub fn has_selinux() -> bool {
    fs::statfs(c"/sys/fs/selinux").is_ok_and(|status| status.f_type as u32 == sys::magic::SELINUX_MAGIC)
}

/// Where cgroup v2 is mounted: /sys/fs/cgroup, or what the mount table says (hybrid hosts). `None` without any.
pub fn cgroup_mount<'a>(procfs: BorrowedFd<'_>, arena: &Arena<'a>) -> Result<'a, Option<&'a str>> {
    if has_only_cgroup_v2() {
        return Ok(Some(USUAL));
    }
    mount_of("cgroup2", procfs, arena)
}

/// There is nothing but cgroup v2 where it is mounted here.
const USUAL: &str = "/sys/fs/cgroup";

/// The hierarchies of cgroup v1, each where it is mounted first; none where all is cgroup v2, which is mounted at `v2`.
pub fn v1_hierarchies<'a>(v2: Option<&str>, procfs: BorrowedFd<'_>, arena: &Arena<'a>) -> Result<'a, List<'a, Hierarchy<'a>>> {
    let mut found = List::<Hierarchy<'a>>::default();
    if !IS_BUILT || v2 == Some(USUAL) {
        return Ok(found);
    }
    let mut full = Ok(());
    each_mount(procfs, c"self/mountinfo", &mut |mount| {
        if mount.kind != "cgroup" || found.iter().any(|known| known.controllers == mount.options) {
            return None;
        }
        full = (|| {
            let target = mount.target(arena)?.to_str().unwrap_or_default();
            let own = own_v1(procfs, &mount, arena);
            found.push(arena, Hierarchy { mount: target, controllers: arena.format(format_args!("{}", mount.options))?, own: own? })
        })();
        full.err().map(|_| ())
    })?;
    full?;
    Ok(found)
}

/// The runtime's own cgroup in a hierarchy, below what of that is mounted.
fn own_v1<'a>(procfs: BorrowedFd<'_>, mount: &MountLine<'_>, arena: &Arena<'a>) -> core::result::Result<&'a str, Full> {
    let mut own = Ok("");
    let _ = each_line(procfs, c"self/cgroup", &mut |line| {
        let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
        let is_it = !controllers.is_empty() && controllers.split(',').all(|name| mount.options.split(',').any(|option| option == name));
        let below = path.strip_prefix(mount.root.trim_end_matches('/')).unwrap_or_default().trim_end_matches('/');
        is_it.then(|| own = arena.format(format_args!("{below}")))
    }); // without that file nothing is known of it
    own
}

/// Where resctrl is mounted.
pub fn resctrl_mount<'a>(procfs: BorrowedFd<'_>, arena: &Arena<'a>) -> Result<'a, Option<&'a str>> {
    mount_of("resctrl", procfs, arena)
}

/// Where the first file system of a type is mounted.
fn mount_of<'a>(kind: &str, procfs: BorrowedFd<'_>, arena: &Arena<'a>) -> Result<'a, Option<&'a str>> {
    let mut found = None;
    each_mount(procfs, c"self/mountinfo", &mut |mount| {
        found = (mount.kind == kind).then(|| mount.target(arena));
        found.map(|_| ())
    })?;
    Ok(match found {
        Some(path) => path?.to_str().ok(),
        None => None,
    })
}

/// A line of the mount table.
#[derive(Clone, Copy)]
pub struct MountLine<'l> {
    /// What of its file system is mounted; `/` for all of it.
    pub root: &'l str,
    /// Where, with blanks and the like as `\\040`.
    target: &'l str,
    /// The type of the file system.
    pub kind: &'l str,
    /// The options of the file system itself.
    options: &'l str,
}

impl MountLine<'_> {
    /// Where it is mounted.
    pub fn target<'a>(&self, arena: &Arena<'a>) -> core::result::Result<&'a CStr, Full> {
        let mut pieces = self.target.split('\\');
        let whole = arena.append::<Full>(|append| {
            pieces.next().unwrap_or_default().bytes().try_for_each(&mut *append)?;
            for piece in pieces {
                let (code, rest) = piece.split_at_checked(3).unwrap_or(("", piece));
                append(u8::from_str_radix(code, 8).unwrap_or(b'?'))?;
                rest.bytes().try_for_each(&mut *append)?;
            }
            append(0)
        })?;
        CStr::from_bytes_with_nul(whole).map_err(|_| Full)
    }
}

/// Calls `visit` with each line of a mount table (proc_pid_mountinfo(5)), until it returns something. Errors: one whose paths are too
/// long to say what it is.
pub fn each_mount<'a>(procfs: BorrowedFd<'_>, name: &'a CStr, visit: &mut dyn FnMut(MountLine<'_>) -> Option<()>) -> Result<'a, ()> {
    let mut is_whole = true;
    each_line(procfs, name, &mut |line| {
        if line.is_empty() {
            return None;
        }
        // The fourth field is the root, the fifth the mount point; after a lone hyphen come the type, the source and the options.
        let mut fields = line.split(' ');
        let (root, target) = (fields.nth(3).unwrap_or_default(), fields.next().unwrap_or_default());
        let kind = fields.find(|field| *field == "-").and_then(|_| fields.next());
        let options = kind.and_then(|_| fields.nth(1));
        is_whole = options.is_some();
        options.map_or(Some(()), |options| visit(MountLine { root, target, kind: kind.unwrap_or_default(), options }))
    })?;
    if is_whole { Ok(()) } else { Err(Errno::NAMETOOLONG).doing_at("read", name) }
}

/// The runtime's own cgroup below the mount, as cgroup v2 numbers hierarchies; empty without one.
pub fn own_cgroup<'a>(procfs: BorrowedFd<'_>, arena: &Arena<'a>) -> Result<'a, &'a str> {
    cgroup_in(procfs, c"self/cgroup", arena)
}

/// The same of another process.
pub fn cgroup_of<'a>(procfs: BorrowedFd<'_>, pid: u32, arena: &Arena<'a>) -> Result<'a, &'a str> {
    cgroup_in(procfs, arena.format_c(format_args!("{pid}/cgroup"))?, arena)
}

/// Whether a process is in the user namespace of the runtime. Not so, if it has ended.
pub fn shares_user_namespace(procfs: BorrowedFd<'_>, pid: u32) -> bool {
    let mut path = heapless::String::<24>::new();
    let _ = core::fmt::Write::write_fmt(&mut path, format_args!("{pid}/ns/user\0")); // 10 digits, 8 and NUL always fit
    let look = |path| fs::statat(procfs, path, fs::AtFlags::empty()).map(|status| (status.st_dev, status.st_ino));
    let theirs = CStr::from_bytes_with_nul(path.as_bytes()).map_err(|_| Errno::INVAL).and_then(look);
    theirs.is_ok() && theirs == look(c"self/ns/user")
}

/// Whether the runtime's root is one of less rights: of a container, or of another user namespace than the first.
pub fn is_lesser_root() -> bool {
    !task::capability_is_in_bounding_set(task::CapabilitySet::SYS_ADMIN).unwrap_or(true) || is_in_user_namespace()
}

/// The inode of the first user namespace (PROC_USER_INIT_INO), in every procfs.
const FIRST_USER_NAMESPACE: u64 = 0xEFFF_FFFD;

/// Whether the runtime is in another user namespace than the first one, which alone maps every id to itself (user_namespaces(7)).
pub fn is_in_user_namespace() -> bool {
    let own = fs::statat(fs::CWD, c"/proc/self/ns/user", fs::AtFlags::empty());
    if own.is_ok_and(|own| own.st_ino == FIRST_USER_NAMESPACE) {
        return false; // one call in place of six, for who is root
    }
    let mut is_another = false;
    let _ = open_procfs().and_then(|procfs| {
        each_line(procfs.as_fd(), c"self/uid_map", &mut |line| {
            is_another = !line.split_ascii_whitespace().eq(["0", "0", "4294967295"]);
            Some(())
        })
    }); // a kernel without user namespaces has no such file
    is_another
}

/// Our user as the user namespace around ours numbers it, where who is behind a socket may be.
pub fn uid_outside() -> u32 {
    let uid = task::geteuid().as_raw();
    let mut found = None;
    let _ = open_procfs().and_then(|procfs| {
        each_line(procfs.as_fd(), c"self/uid_map", &mut |line| {
            let mut numbers = line.split_ascii_whitespace().map(|number| number.parse().unwrap_or(0));
            let [inside, outside, count]: [u32; 3] = [(); 3].map(|()| numbers.next().unwrap_or(0));
            found = uid.checked_sub(inside).filter(|offset| *offset < count).and_then(|offset| outside.checked_add(offset));
            found.map(|_| ())
        })
    }); // as above
    found.unwrap_or(uid)
}

fn cgroup_in<'a>(procfs: BorrowedFd<'_>, name: &'a CStr, arena: &Arena<'a>) -> Result<'a, &'a str> {
    let mut found = None;
    each_line(procfs, name, &mut |line| {
        found = line.strip_prefix("0::").map(|path| arena.format(format_args!("{path}")));
        found.map(|_| ())
    })?;
    Ok(found.unwrap_or(Ok(""))?)
}

/// Calls `visit` with each line of a file of procfs, until it returns something; of lines of more than 4,095 bytes with their beginning. One
/// that is not UTF-8 is empty: somebody's mount point may have any name.
fn each_line<'a>(procfs: BorrowedFd<'_>, name: &'a CStr, visit: &mut dyn FnMut(&str) -> Option<()>) -> Result<'a, ()> {
    let file = fs::openat(procfs, name, fs::OFlags::RDONLY | fs::OFlags::CLOEXEC, fs::Mode::empty()).doing_at("open", name)?;
    let mut buffer = [0; 4096];
    let (mut held, mut is_torn) = (0, false);
    loop {
        let read = fs::read(&file, &mut buffer[held..]).doing_at("read", name)?;
        if read == 0 {
            return Ok(());
        }
        held += read;
        let mut start = 0;
        while let Some(len) = buffer[start..held].iter().position(|byte| *byte == b'\n') {
            if !core::mem::take(&mut is_torn) && visit(core::str::from_utf8(&buffer[start..start + len]).unwrap_or_default()).is_some() {
                return Ok(());
            }
            start += len + 1;
        }
        if start == 0 && held == buffer.len() {
            if !core::mem::replace(&mut is_torn, true) && visit(text(&buffer)).is_some() {
                return Ok(());
            }
            held = 0;
        }
        buffer.copy_within(start..held, 0);
        held -= start.min(held);
    }
}

/// As much as is UTF-8.
fn text(bytes: &[u8]) -> &str {
    core::str::from_utf8(bytes).or_else(|why| core::str::from_utf8(&bytes[..why.valid_up_to()])).unwrap_or_default()
}

/// The signals that we ignore, since our caller did; all of them where procfs does not tell.
pub fn ignored_signals(procfs: BorrowedFd<'_>) -> sys::Signals {
    let mut found = None;
    let read = each_line(procfs, c"self/status", &mut |line| {
        found = u64::from_str_radix(line.strip_prefix("SigIgn:")?.trim_ascii(), 16).ok();
        found.map(|_| ())
    });
    read.ok().and(found).map_or(sys::Signals::ALL, sys::Signals)
}

/// What a process is numbered in the innermost of its pid namespaces. `None` if there is none of that number here.
pub fn innermost_pid(procfs: BorrowedFd<'_>, pid: u32) -> Option<u32> {
    let mut path = heapless::String::<24>::new();
    core::fmt::Write::write_fmt(&mut path, format_args!("{pid}/status\0")).ok()?;
    let path = CStr::from_bytes_with_nul(path.as_bytes()).ok()?;
    let mut found = None;
    let read = each_line(procfs, path, &mut |line| {
        found = line.strip_prefix("NSpid:")?.split_ascii_whitespace().next_back()?.parse().ok();
        found.map(|_| ())
    });
    read.ok().and(found)
}

/// A process as the kernel has it now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Alive {
    /// When it was started, in clock ticks since boot: with the pid it names one process for ever.
    pub start_time: u64,
    /// Whether it has ended and waits for its parent.
    pub is_zombie: bool,
}

/// Looks a process up. `None` if there is none of that number. Errors: it could not be looked at.
pub fn process(procfs: BorrowedFd<'_>, pid: u32) -> core::result::Result<Option<Alive>, Errno> {
    let mut path = heapless::String::<24>::new();
    let _ = core::fmt::Write::write_fmt(&mut path, format_args!("{pid}/stat\0")); // 10 digits, 5 and NUL always fit
    let path = CStr::from_bytes_with_nul(path.as_bytes()).unwrap_or(c"");
    let mut buffer = [0; 1024];
    let read = fs::openat(procfs, path, fs::OFlags::RDONLY | fs::OFlags::CLOEXEC, fs::Mode::empty());
    match read.and_then(|file| fs::read(&file, &mut buffer)) {
        Err(Errno::NOENT | Errno::SRCH) => Ok(None),
        read => parse_stat(&buffer[..read?]).ok_or(Errno::INVAL).map(Some),
    }
}

/// proc_pid_stat(5): the name stands in brackets and may itself hold brackets, spaces and bytes that are no text (the kernel cuts it at 15);
/// the state follows it, the start time is field 22.
fn parse_stat(stat: &[u8]) -> Option<Alive> {
    let end = stat.iter().rposition(|byte| *byte == b')')?;
    let mut fields = stat.get(end + 2..)?.split(|byte| *byte == b' ');
    let state = fields.next()?;
    let start_time = core::str::from_utf8(fields.nth(18)?).ok()?.parse().ok()?;
    Some(Alive { start_time, is_zombie: matches!(state, b"Z" | b"X" | b"x") })
}

/// The directory that a path names, as an absolute path without links.
pub fn real_directory<'a>(procfs: BorrowedFd<'_>, path: &'a CStr, arena: &Arena<'a>) -> Result<'a, (OwnedFd, &'a str)> {
    let flags = fs::OFlags::PATH | fs::OFlags::DIRECTORY | fs::OFlags::CLOEXEC;
    let directory = fs::open(path, flags, fs::Mode::empty()).doing_at("chdir", path)?;
    let mut buffer = [0; 4096];
    let real = sys::path_of(procfs, sys::AsFd::as_fd(&directory), &mut buffer).doing_at("readlink", path)?;
    let real = core::str::from_utf8(real).map_err(|_| Error::errno_at("bundle", path, Errno::ILSEQ))?;
    Ok((directory, arena.format(format_args!("{real}"))?))
}

/// Seconds and nanoseconds since 1970, UTC.
pub fn now() -> (i64, u32) {
    let now = task::clock_gettime(task::ClockId::Realtime);
    (now.tv_sec, now.tv_nsec as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mount_table_writes_blanks_in_octal() {
        let mut room = [core::mem::MaybeUninit::uninit(); 64];
        let arena = Arena::new(&mut room);
        let line = MountLine { root: "/", target: "/a\\040b\\134c\\011", kind: "proc", options: "rw" };
        assert_eq!(line.target(&arena).unwrap(), c"/a b\\c\t");
    }

    #[test]
    fn a_name_with_brackets_does_not_shift_the_fields() {
        let rest = " S 1 5 5 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 987654 1000 2 18446744073709551615";
        let stat = format!("42 (a) b) Z (c){rest}");
        assert_eq!(parse_stat(stat.as_bytes()), Some(Alive { start_time: 987_654, is_zombie: false }));
        assert_eq!(parse_stat(b"42 (x) Z"), None);
        let cut = [&stat.as_bytes()[..4], b"\xd0", &stat.as_bytes()[4..]].concat();
        assert!(parse_stat(&cut).is_some(), "a name that the kernel cut within a letter");
    }
}
