//! The walk inside a root: every path of a container is resolved here, so that no symbolic link, `..` or race leads out of it.
//!
//! Must: go only downwards, by descriptors, never through a link that was not looked at. Mustn't: touch what exists.

use core::ffi::CStr;
use core::mem::MaybeUninit;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags, fstat, mkdirat, openat, openat2, readlinkat_raw, statat, unlinkat};

use super::{AsFd, BorrowedFd, Errno, OwnedFd, Pile};

/// What to make where nothing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// Nothing: ENOENT.
    Refuse,
    /// Directories, 0755.
    Directory,
    /// Directories, and an empty file 0644 at the end.
    File,
}

/// How often the kernel may ask to try again (openat2(2), EAGAIN: something was renamed meanwhile).
const TRIES: usize = 128;
/// path_resolution(7).
const MAX_LINKS: usize = 40;
const PATH_MAX: usize = 4096;
const NAME_MAX: usize = 255;

/// Opens `path` (O_PATH) as a process whose root is `root` would see it. Errors: ENOENT, ELOOP, EACCES, ENAMETOOLONG.
pub fn open_in_root(root: BorrowedFd<'_>, path: &CStr) -> Result<OwnedFd, Errno> {
    open_or_create_in_root(root, path, Missing::Refuse)
}

/// The same, if everything on the way lies on the root's own mount. Errors: EXDEV otherwise, ENOSYS before Linux 5.6; ENOENT as without it.
pub fn open_in_mount(root: BorrowedFd<'_>, path: &CStr) -> Result<OwnedFd, Errno> {
    resolve(root, path, ResolveFlags::NO_XDEV)
}

/// A directory of the root's own mount to which no symbolic link leads. Errors: whatever keeps it from being that, and ENOSYS.
pub fn open_plain_directory(root: BorrowedFd<'_>, path: &CStr) -> Result<OwnedFd, Errno> {
    let resolve = ResolveFlags::NO_XDEV | ResolveFlags::NO_SYMLINKS;
    resolve_as(root, path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, resolve)
}

/// The same as [`open_in_root`] of a directory. Errors: ENOTDIR for anything else.
pub fn open_directory_in_root(root: BorrowedFd<'_>, path: &CStr) -> Result<OwnedFd, Errno> {
    match resolve_as(root, path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, ResolveFlags::empty()) {
        Err(Errno::NOSYS) => {
            let opened = open_in_root(root, path)?;
            let is_directory = FileType::from_raw_mode(fstat(&opened)?.st_mode) == FileType::Directory;
            if is_directory { Ok(opened) } else { Err(Errno::NOTDIR) }
        }
        answer => answer,
    }
}

/// The same as [`open_in_root`], but of a symbolic link at the end it opens the link.
pub fn open_last_in_root(root: BorrowedFd<'_>, path: &CStr) -> Result<OwnedFd, Errno> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match resolve_as(root, path, flags, ResolveFlags::empty()) {
        Err(Errno::NOSYS) => {
            let (above, name) = split_last(path)?;
            let above = open_in_root(root, CStr::from_bytes_with_nul(above.as_bytes()).map_err(|_| Errno::INVAL)?)?;
            openat(&above, name.as_c_str()?, flags, Mode::empty())
        }
        answer => answer,
    }
}

/// The same, but no component may be a symbolic link. Errors: ELOOP then.
pub fn open_without_links(root: BorrowedFd<'_>, path: &CStr, missing: Missing) -> Result<OwnedFd, Errno> {
    match resolve(root, path, ResolveFlags::NO_SYMLINKS) {
        Err(Errno::NOSYS) => Walk::new(root, path)?.run(missing, 0),
        Err(Errno::NOENT) if missing != Missing::Refuse => Walk::new(root, path)?.run(missing, 0),
        answer => answer,
    }
}

/// The same as [`open_in_root`]; what is missing is made.
pub fn open_or_create_in_root(root: BorrowedFd<'_>, path: &CStr, missing: Missing) -> Result<OwnedFd, Errno> {
    match resolve(root, path, ResolveFlags::empty()) {
        Err(Errno::NOSYS) => Walk::new(root, path)?.run(missing, MAX_LINKS),
        Err(Errno::NOENT) if missing != Missing::Refuse => create_in_root(root, path, missing, &mut Pile::default()),
        answer => answer,
    }
}

/// The same of something that was not there a moment ago. What was opened on the way is put on the pile.
pub fn create_in_root(root: BorrowedFd<'_>, path: &CStr, missing: Missing, used: &mut Pile) -> Result<OwnedFd, Errno> {
    match make_last(root, path, missing, ResolveFlags::empty(), used) {
        Some(made) => Ok(made),
        None => Walk::new(root, path)?.run(missing, MAX_LINKS),
    }
}

/// The same of what may be there, where `told` hears the path of each component that is made, the outermost first.
pub fn create_in_root_telling(root: BorrowedFd<'_>, path: &CStr, missing: Missing, told: &mut dyn FnMut(&[u8])) -> Result<OwnedFd, Errno> {
    match open_in_root(root, path) {
        Err(Errno::NOENT) => Walk { told: Some(told), ..Walk::new(root, path)? }.run(missing, MAX_LINKS),
        answer => answer,
    }
}

/// Removes a directory or a file that was made in a root, if it is still empty. Errors: ENOTEMPTY otherwise.
pub fn remove_empty_in_root(root: BorrowedFd<'_>, path: &CStr) -> Result<(), Errno> {
    let (above, name) = split_last(path)?;
    let above = open_in_root(root, CStr::from_bytes_with_nul(above.as_bytes()).map_err(|_| Errno::INVAL)?)?;
    let name = name.as_c_str()?;
    match unlinkat(&above, name, AtFlags::REMOVEDIR) {
        Err(Errno::NOTDIR) => {}
        answer => return answer,
    }
    let file = statat(&above, name, AtFlags::SYMLINK_NOFOLLOW)?;
    let is_empty = FileType::from_raw_mode(file.st_mode) == FileType::RegularFile && file.st_size == 0;
    if is_empty { unlinkat(&above, name, AtFlags::empty()) } else { Err(Errno::NOTEMPTY) }
}

/// The same, if only the last component is missing and it is to lie on the root's own mount. `None` otherwise.
pub fn create_in_mount(root: BorrowedFd<'_>, path: &CStr, missing: Missing, used: &mut Pile) -> Option<OwnedFd> {
    make_last(root, path, missing, ResolveFlags::NO_XDEV, used)
}

/// Makes the last component of `path`, if nothing else is missing and it is not taken: the usual case in few calls.
fn make_last(root: BorrowedFd<'_>, path: &CStr, missing: Missing, how: ResolveFlags, used: &mut Pile) -> Option<OwnedFd> {
    let (parent, name) = split_last(path).ok()?;
    if matches!(name.as_bytes(), b"" | b"." | b"..") {
        return None;
    }
    let parent = resolve(root, CStr::from_bytes_with_nul(parent.as_bytes()).ok()?, how).ok()?;
    let made = make_in(parent.as_fd(), name.as_c_str().ok()?, missing);
    used.add(parent);
    made.ok()
}

/// What stands before the last slash, ended by NUL, and the component behind it. Errors: EINVAL without one.
fn split_last(path: &CStr) -> Result<(Path, Name), Errno> {
    let whole = path.to_bytes();
    let slash = whole.iter().rposition(|byte| *byte == b'/').ok_or(Errno::INVAL)?;
    let mut above = Path::new();
    above.append(&whole[..slash])?;
    above.append(b"\0")?;
    Ok((above, Name::new(&whole[slash + 1..])))
}

/// Makes one component in a directory, and opens it (O_PATH). Errors: EEXIST.
pub fn make_in(parent: BorrowedFd<'_>, name: &CStr, missing: Missing) -> Result<OwnedFd, Errno> {
    make(parent, name, missing)?;
    openat(parent, name, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
}

/// A directory 0755 or an empty file 0644. Errors: EEXIST, ENOENT for [`Missing::Refuse`].
fn make(parent: BorrowedFd<'_>, name: &CStr, missing: Missing) -> Result<(), Errno> {
    match missing {
        Missing::Refuse => Err(Errno::NOENT),
        Missing::Directory => mkdirat(parent, name, Mode::from_raw_mode(0o755)),
        Missing::File => {
            let flags = OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::WRONLY;
            openat(parent, name, flags, Mode::from_raw_mode(0o644)).map(|_| ())
        }
    }
}

/// Opens a regular file for reading, as a process whose root is `root` would see it. Errors: EINVAL for anything else, which is not touched.
pub fn open_regular_in_root(root: BorrowedFd<'_>, path: &CStr) -> Result<OwnedFd, Errno> {
    let refuse_others = |file: &OwnedFd| match FileType::from_raw_mode(fstat(file)?.st_mode) {
        FileType::RegularFile => Ok(()),
        _ => Err(Errno::INVAL),
    };
    refuse_others(&open_in_root(root, path)?)?;
    // Whatever has taken its place meanwhile: nothing waits for it, and no terminal is taken.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let opened = match resolve_as(root, path, flags, ResolveFlags::empty()) {
        Err(Errno::NOSYS) => Walk::new(root, path)?.open_file(flags),
        answer => answer,
    }?;
    refuse_others(&opened).map(|()| opened)
}

fn resolve(root: BorrowedFd<'_>, path: &CStr, resolve: ResolveFlags) -> Result<OwnedFd, Errno> {
    resolve_as(root, path, OFlags::PATH | OFlags::CLOEXEC, resolve)
}

fn resolve_as(root: BorrowedFd<'_>, path: &CStr, flags: OFlags, resolve: ResolveFlags) -> Result<OwnedFd, Errno> {
    let path = if path.is_empty() { c"." } else { path };
    if super::is_undefended("walk") {
        let start = path.to_bytes_with_nul().iter().position(|byte| *byte != b'/').unwrap_or(0);
        let relative = CStr::from_bytes_with_nul(&path.to_bytes_with_nul()[start..]).unwrap_or(c".");
        return openat(root, if relative.is_empty() { c"." } else { relative }, flags, Mode::empty());
    }
    let resolve = resolve | ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    for _ in 0..TRIES {
        match openat2(root, path, flags, Mode::empty(), resolve) {
            Err(Errno::AGAIN) => {}
            answer => return super::raw::or_absent(answer),
        }
    }
    Err(Errno::AGAIN)
}

/// Who hears a path.
type Told<'t> = dyn FnMut(&[u8]) + 't;

/// A path of at most PATH_MAX bytes that grows and shrinks at its end.
struct Path {
    bytes: [u8; PATH_MAX],
    len: usize,
}

impl Path {
    fn new() -> Self {
        Path { bytes: [0; PATH_MAX], len: 0 }
    }

    fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    fn append(&mut self, more: &[u8]) -> Result<(), Errno> {
        let room = self.bytes.get_mut(self.len..self.len + more.len()).ok_or(Errno::NAMETOOLONG)?;
        room.copy_from_slice(more);
        self.len += more.len();
        Ok(())
    }
}

/// The walk for kernels without openat2, and for making what is missing: one component at a time, each opened without following it.
struct Walk<'r> {
    root: BorrowedFd<'r>,
    /// The components passed so far: real directories, each preceded by a slash.
    done: Path,
    /// What is still to be resolved.
    rest: Path,
    here: OwnedFd,
    /// Hears the path of what is made.
    told: Option<&'r mut Told<'r>>,
}

impl<'r> Walk<'r> {
    fn new(root: BorrowedFd<'r>, path: &CStr) -> Result<Self, Errno> {
        let mut rest = Path::new();
        rest.append(path.to_bytes())?;
        Ok(Walk { root, done: Path::new(), rest, here: reopen(root)?, told: None })
    }

    fn run(mut self, missing: Missing, max_links: usize) -> Result<OwnedFd, Errno> {
        self.walk(missing, max_links)?;
        Ok(self.here)
    }

    /// Opens the file at the end of the path by its name in its directory.
    fn open_file(mut self, flags: OFlags) -> Result<OwnedFd, Errno> {
        self.walk(Missing::Refuse, MAX_LINKS)?;
        let start = self.done.as_bytes().iter().rposition(|byte| *byte == b'/').ok_or(Errno::ISDIR)?;
        let name = Name::new(&self.done.as_bytes()[start + 1..]);
        self.up()?;
        openat(&self.here, name.as_c_str()?, flags | OFlags::NOFOLLOW, Mode::empty())
    }

    fn walk(&mut self, missing: Missing, max_links: usize) -> Result<(), Errno> {
        let mut links = 0;
        while let Some((name, is_last)) = self.take_component() {
            if name.as_bytes() == b".." {
                self.up()?;
                continue;
            }
            let next = self.open_or_make(&name, if is_last { missing } else { missing.directory() })?;
            match FileType::from_raw_mode(fstat(&next)?.st_mode) {
                FileType::Symlink => {
                    links += 1;
                    if links > max_links {
                        return Err(Errno::LOOP);
                    }
                    self.splice_link(&name)?;
                }
                _ => self.down(&name, next)?,
            }
        }
        Ok(())
    }

    /// Cuts the next component off `rest`; whether it was the last.
    fn take_component(&mut self) -> Option<(Name, bool)> {
        loop {
            let rest = self.rest.as_bytes();
            let start = rest.iter().position(|byte| *byte != b'/')?;
            let end = rest[start..].iter().position(|byte| *byte == b'/').map_or(rest.len(), |len| start + len);
            let is_last = rest[end..].iter().all(|byte| *byte == b'/');
            let name = Name::new(&rest[start..end]);
            self.rest.bytes.copy_within(end..self.rest.len, 0);
            self.rest.len -= end;
            if name.as_bytes() != b"." {
                return Some((name, is_last));
            }
        }
    }

    fn open_or_make(&mut self, name: &Name, missing: Missing) -> Result<OwnedFd, Errno> {
        let open = |here: &OwnedFd| openat(here, name.as_c_str()?, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty());
        match open(&self.here) {
            Err(Errno::NOENT) => {}
            answer => return answer,
        }
        match make(self.here.as_fd(), name.as_c_str()?, missing) {
            Ok(()) => self.tell(name)?,
            Err(Errno::EXIST) => {}
            Err(errno) => return Err(errno),
        }
        open(&self.here)
    }

    fn tell(&mut self, name: &Name) -> Result<(), Errno> {
        let Some(told) = &mut self.told else { return Ok(()) };
        let len = self.done.len;
        self.done.append(b"/")?;
        self.done.append(name.as_bytes())?;
        told(self.done.as_bytes());
        self.done.len = len;
        Ok(())
    }

    fn down(&mut self, name: &Name, next: OwnedFd) -> Result<(), Errno> {
        self.done.append(b"/")?;
        self.done.append(name.as_bytes())?;
        self.here = next;
        Ok(())
    }

    /// `..`: walks the components passed so far again, but for the last. Asking the kernel for `..` could lead out of a directory that was moved.
    fn up(&mut self) -> Result<(), Errno> {
        self.done.len = self.done.as_bytes().iter().rposition(|byte| *byte == b'/').unwrap_or(0);
        self.here = reopen(self.root)?;
        for component in self.done.as_bytes().split(|byte| *byte == b'/').filter(|component| !component.is_empty()) {
            let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::DIRECTORY | OFlags::CLOEXEC;
            self.here = openat(&self.here, Name::new(component).as_c_str()?, flags, Mode::empty())?;
        }
        Ok(())
    }

    /// Puts the link's target in front of what is still to be resolved; an absolute one begins at the root again.
    fn splice_link(&mut self, name: &Name) -> Result<(), Errno> {
        let mut buffer = [MaybeUninit::uninit(); PATH_MAX];
        let (target, _) = readlinkat_raw(&self.here, name.as_c_str()?, &mut buffer)?;
        // A magic link of procfs, whose text is of no use (RESOLVE_NO_MAGICLINKS); the ordinary ones there are relative.
        if target.first() == Some(&b'/') && super::file_system(&self.here)? == super::magic::PROC_SUPER_MAGIC {
            return Err(Errno::LOOP);
        }
        let mut spliced = Path::new();
        spliced.append(target)?;
        spliced.append(b"/")?;
        spliced.append(self.rest.as_bytes())?;
        if target.first() == Some(&b'/') {
            self.done.len = 0;
            self.here = reopen(self.root)?;
        }
        // A slash that the splice added at the end must not make a file look like a directory's name.
        while spliced.len > 1 && spliced.bytes[spliced.len - 1] == b'/' {
            spliced.len -= 1;
        }
        self.rest = spliced;
        Ok(())
    }
}

impl Missing {
    fn directory(self) -> Missing {
        if self == Missing::File { Missing::Directory } else { self }
    }
}

fn reopen(root: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
    rustix::io::fcntl_dupfd_cloexec(root.as_fd(), 3)
}

/// One component of a path, with its NUL; empty when it was too long.
struct Name {
    bytes: [u8; NAME_MAX + 1],
    len: usize,
}

impl Name {
    fn new(component: &[u8]) -> Self {
        let mut name = Name { bytes: [0; NAME_MAX + 1], len: 0 };
        if component.len() <= NAME_MAX {
            name.bytes[..component.len()].copy_from_slice(component);
            name.len = component.len();
        }
        name
    }

    fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    fn as_c_str(&self) -> Result<&CStr, Errno> {
        if self.len == 0 {
            return Err(Errno::NAMETOOLONG);
        }
        CStr::from_bytes_with_nul(&self.bytes[..=self.len]).map_err(|_| Errno::INVAL)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::CString;
    use std::fs;
    use std::os::unix::fs::{MetadataExt, symlink};
    use std::path::PathBuf;

    struct Tree(PathBuf);

    impl Tree {
        fn new(name: &str) -> Tree {
            let path = std::env::temp_dir().join(format!("ocinit-walk-{name}-{}", std::process::id()));
            let _ = fs::remove_dir_all(&path);
            fs::create_dir_all(path.join("root/a/b")).unwrap();
            fs::write(path.join("root/a/file"), "in").unwrap();
            fs::write(path.join("outside"), "out").unwrap();
            Tree(path)
        }

        fn root(&self) -> OwnedFd {
            let path = CString::new(self.0.join("root").into_os_string().into_encoded_bytes()).unwrap();
            openat(rustix::fs::CWD, path.as_c_str(), OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).unwrap()
        }

        /// The inode at `path` inside the root by both walks, which must agree where there are two.
        fn inode(&self, path: &str) -> Result<u64, Errno> {
            let root = self.root();
            let path = CString::new(path).unwrap();
            let inode = |fd: OwnedFd| fstat(fd).unwrap().st_ino;
            let kernel = resolve(root.as_fd(), &path, ResolveFlags::empty()).map(inode);
            let own = Walk::new(root.as_fd(), &path).unwrap().run(Missing::Refuse, MAX_LINKS).map(inode);
            // Emulation, and kernels before Linux 5.6, have no walk of their own to agree with.
            assert!(kernel == own || kernel == Err(Errno::NOSYS), "{path:?}: {kernel:?}, {own:?}");
            own
        }

        fn at(&self, path: &str) -> u64 {
            fs::metadata(self.0.join("root").join(path)).unwrap().ino()
        }

        fn make(&self, path: &str, missing: Missing) -> Result<OwnedFd, Errno> {
            let root = self.root();
            open_or_create_in_root(root.as_fd(), &CString::new(path).unwrap(), missing)
        }
    }

    impl Drop for Tree {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn both_walks_agree_and_stay_inside() {
        let tree = Tree::new("agree");
        for (link, target) in
            [("abs", "/a/b"), ("up", "../../../outside"), ("rel", "a/../a/file"), ("loop", "loop"), ("chain", "abs/../file")]
        {
            symlink(target, tree.0.join("root").join(link)).unwrap();
        }
        let inside = tree.at("a/file");
        assert_eq!(tree.inode("/a/file"), Ok(inside));
        assert_eq!(tree.inode("a/b/../file"), Ok(inside));
        assert_eq!(tree.inode("../../a/./file"), Ok(inside));
        assert_eq!(tree.inode("abs"), Ok(tree.at("a/b")));
        assert_eq!(tree.inode("rel"), Ok(inside));
        assert_eq!(tree.inode("chain"), Ok(inside));
        assert_eq!(tree.inode("up"), Err(Errno::NOENT));
        assert_eq!(tree.inode("loop"), Err(Errno::LOOP));
        assert_eq!(tree.inode("/"), Ok(tree.at("")));
        assert_eq!(tree.inode("a/none/x"), Err(Errno::NOENT));
        assert_eq!(tree.inode("a/file/x"), Err(Errno::NOTDIR));
    }

    #[test]
    fn only_a_regular_file_is_opened_for_reading_by_either_walk() {
        let tree = Tree::new("regular");
        symlink("/a/file", tree.0.join("root/link")).unwrap();
        let root = tree.root();
        let path = |text: &str| CString::new(text).unwrap();
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        for name in ["/a/file", "link", "a/b/../file"] {
            let inode = |fd: OwnedFd| fstat(fd).unwrap().st_ino;
            assert_eq!(open_regular_in_root(root.as_fd(), &path(name)).map(inode), Ok(tree.at("a/file")), "{name}");
            assert_eq!(Walk::new(root.as_fd(), &path(name)).unwrap().open_file(flags).map(inode), Ok(tree.at("a/file")), "{name}");
        }
        assert_eq!(open_regular_in_root(root.as_fd(), c"/a").err(), Some(Errno::INVAL));
        assert_eq!(open_regular_in_root(root.as_fd(), c"/none").err(), Some(Errno::NOENT));
        assert_eq!(Walk::new(root.as_fd(), c"/").unwrap().open_file(flags).err(), Some(Errno::ISDIR));
    }

    #[test]
    fn what_is_missing_is_made_inside_only() {
        let tree = Tree::new("make");
        symlink("/etc/ocinit-canary/deep", tree.0.join("root/planted")).unwrap();
        tree.make("new/dir", Missing::Directory).unwrap();
        tree.make("other/file", Missing::File).unwrap();
        tree.make("planted/file", Missing::File).unwrap();
        assert!(tree.0.join("root/new/dir").is_dir() && tree.0.join("root/other/file").is_file());
        assert!(tree.0.join("root/etc/ocinit-canary/deep/file").is_file());
        assert!(!std::path::Path::new("/etc/ocinit-canary").exists());
        assert_eq!(tree.make("no/such", Missing::Refuse).err(), Some(Errno::NOENT));
    }

    #[test]
    fn a_link_on_the_way_is_refused_where_none_may_be() {
        let tree = Tree::new("nolinks");
        symlink("a", tree.0.join("root/link")).unwrap();
        let root = tree.root();
        assert_eq!(open_without_links(root.as_fd(), c"/link/b", Missing::Refuse).err(), Some(Errno::LOOP));
        assert_eq!(open_without_links(root.as_fd(), c"/link", Missing::Directory).err(), Some(Errno::LOOP));
        assert!(open_without_links(root.as_fd(), c"/a/b", Missing::Refuse).is_ok());
        assert!(open_without_links(root.as_fd(), c"/fresh", Missing::Directory).is_ok());
        assert_eq!(Walk::new(root.as_fd(), c"/link/b").unwrap().run(Missing::Refuse, 0).err(), Some(Errno::LOOP));
    }
}
