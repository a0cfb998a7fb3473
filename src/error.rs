//! What went wrong, as a value: what was tried, on what, and why it failed. It is printed once, by `cli`.

use core::ffi::CStr;
use core::fmt::{self, Write};

use crate::mem::{Aside, Full, Names, Words, names};
use crate::sys::Errno;

/// A failure that is ready to be printed as one line: `what: on: why`.
///
/// One word, so that it costs little where nothing fails; the texts are literals or live in the arena. Print it soon: only the last few are kept.
#[derive(Clone, Copy)]
pub struct Error<'a>(Aside<'a>);

/// What the project's fallible functions return.
pub type Result<'a, T> = core::result::Result<T, Error<'a>>;

impl<'a> Error<'a> {
    /// A sentence that needs nothing more.
    #[cold]
    pub fn said(what: &'a str) -> Self {
        Error::text(what, "", "")
    }

    /// `what: on: why`, with a reason in words. What is empty is left out.
    #[cold]
    pub fn text(what: &'a str, on: &'a str, why: &'a str) -> Self {
        Error(Aside::put(Words { texts: [what, on, why], number: 0 }))
    }

    /// `what: on: why`, with the kernel's reason.
    #[cold]
    pub fn errno(what: &'a str, on: &'a str, errno: Errno) -> Self {
        Error(Aside::put(Words { texts: [what, on, ""], number: errno.raw_os_error() as u16 }))
    }

    /// For `map_err`, where [`Doing`] does not fit.
    pub fn on(what: &'a str, on: &'a str) -> impl FnOnce(Errno) -> Self {
        move |errno| Error::errno(what, on, errno)
    }

    /// The same for a path.
    pub fn at(what: &'a str, path: &'a CStr) -> impl FnOnce(Errno) -> Self {
        move |errno| Error::errno_at(what, path, errno)
    }

    /// Whether it is the sentence `what` and nothing more.
    pub fn is_said(self, what: &str) -> bool {
        self.0.words() == Some(Words { texts: [what, "", ""], number: 0 })
    }

    /// `what: path: why`, with the kernel's reason. A path that is not UTF-8 is not named.
    #[cold]
    pub fn errno_at(what: &'a str, path: &'a CStr, errno: Errno) -> Self {
        Error::errno(what, path.to_str().unwrap_or("(a path that is not UTF-8)"), errno)
    }
}

/// Says what was being done when the kernel refused: `open(path).doing_at("open", path)?`.
///
/// Inlined, so that nothing is made ready for the case that it fails: a closure for `map_err` would be.
pub trait Doing<T> {
    /// An error is `what: on: why`.
    fn doing<'a>(self, what: &'a str, on: &'a str) -> Result<'a, T>;

    /// The same for a path.
    fn doing_at<'a>(self, what: &'a str, path: &'a CStr) -> Result<'a, T>;
}

impl<T> Doing<T> for core::result::Result<T, Errno> {
    #[inline(always)]
    fn doing<'a>(self, what: &'a str, on: &'a str) -> Result<'a, T> {
        match self {
            Ok(done) => Ok(done),
            Err(errno) => Err(Error::errno(what, on, errno)),
        }
    }

    #[inline(always)]
    fn doing_at<'a>(self, what: &'a str, path: &'a CStr) -> Result<'a, T> {
        match self {
            Ok(done) => Ok(done),
            Err(errno) => Err(Error::errno_at(what, path, errno)),
        }
    }
}

impl From<Full> for Error<'_> {
    #[cold]
    fn from(_: Full) -> Self {
        Error::said("config.json is too large: it needs more than the memory that its size allows")
    }
}

impl fmt::Display for Error<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lost = Words { texts: ["an error whose words were lost among many others", "", ""], number: 0 };
        let Words { texts: [what, rest @ ..], number } = self.0.words().unwrap_or(lost);
        f.write_str(what)?;
        for text in rest.into_iter().filter(|text| !text.is_empty()) {
            f.write_str(": ")?;
            f.write_str(text)?;
        }
        if number == 0 {
            return Ok(());
        }
        f.write_str(": ")?;
        Reason(Errno::from_raw_os_error(i32::from(number))).fmt(f)
    }
}

/// Equal by what they say.
impl PartialEq for Error<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.0.words() == other.0.words()
    }
}

impl fmt::Debug for Error<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// An errno as Go, and so runc, prints it: the C library's sentence in lower case.
pub struct Reason(pub Errno);

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self.0 {
            // Where musl's words are not glibc's, from which Go has them, and callers look for Go's.
            Errno::BUSY => "Device or resource busy",
            Errno::NOMEM => "Cannot allocate memory",
            Errno::LOOP => "Too many levels of symbolic links",
            Errno::NAMETOOLONG => "File name too long",
            Errno::XDEV => "Invalid cross-device link",
            Errno::OPNOTSUPP => "Operation not supported",
            Errno::RANGE => "Numerical result out of range",
            Errno::OVERFLOW => "Value too large for defined data type",
            errno => crate::sys::strerror(errno),
        };
        let first = text.chars().next().unwrap_or('?');
        f.write_char(first.to_ascii_lowercase())?;
        f.write_str(text.get(1..).unwrap_or_default())
    }
}

/// The values of an enumeration in the order of their numbers, and the words of each.
struct Rows<T: 'static, const N: usize> {
    values: [T; N],
    words: Names,
}

/// Rows of (value, words).
macro_rules! rows {
    ($(($value:expr, $words:literal $(,)?)),* $(,)?) => {
        Rows { values: [$($value),*], words: names![$($words),*] }
    };
}

/// One row of the tables in `container::start`: what the child was doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
#[allow(missing_docs, reason = "each is the name of its step; the sentence stands in `Step::doing`")]
pub enum Step {
    Lifeline,
    Session,
    IdMaps,
    JoinNamespaces,
    Unshare,
    CpuAffinity,
    Keyring,
    OomScore,
    Loopback,
    NetDevices,
    PrepareRoot,
    Mounts,
    Devices,
    RuntimeHooks,
    ContainerHooks,
    EnterRoot,
    Console,
    ReadonlyMounts,
    ReadonlyRoot,
    Umask,
    Hostname,
    Domainname,
    ApparmorProfile,
    SelinuxLabel,
    Sysctl,
    ReadonlyPaths,
    MaskedPaths,
    RootPropagation,
    NoNewPrivileges,
    Scheduler,
    IoPriority,
    Personality,
    MemoryPolicy,
    CloseOnExec,
    Limits,
    MakeWorkingDirectory,
    WorkingDirectory,
    BoundingSet,
    StdioOwner,
    Groups,
    UserId,
    WorkingDirectoryAgain,
    Capabilities,
    Ambient,
    Home,
    FindProgram,
    Ready,
    AwaitStart,
    StartHooks,
    ResetSignals,
    CloseDescriptors,
    Execute,
    Seccomp,
    Signals,
    FindUser,
    Listener,
}

impl Step {
    /// Every step, in the order of their numbers.
    const ALL: Rows<Step, 56> = rows![
        (Step::Lifeline, "tie to the runtime's life"),
        (Step::Session, "new session"),
        (Step::IdMaps, "user namespace"),
        (Step::JoinNamespaces, "join namespace"),
        (Step::Unshare, "new namespaces"),
        (Step::CpuAffinity, "processors"),
        (Step::Keyring, "session keyring"),
        (Step::OomScore, "process.oomScoreAdj"),
        (Step::Loopback, "set the loopback interface up"),
        (Step::NetDevices, "linux.netDevices"),
        (Step::PrepareRoot, "prepare the root file system"),
        (Step::Mounts, "error mounting"),
        (Step::Devices, "device"),
        (Step::RuntimeHooks, "await the runtime's hooks"),
        (Step::ContainerHooks, "createContainer"),
        (Step::EnterRoot, "enter the root file system"),
        (Step::Console, "terminal"),
        (Step::ReadonlyMounts, "make mount read-only"),
        (Step::ReadonlyRoot, "make the root read-only"),
        (Step::Umask, "umask"),
        (Step::Hostname, "sethostname"),
        (Step::Domainname, "setdomainname"),
        (Step::ApparmorProfile, "process.apparmorProfile: write /proc/self/attr/apparmor/exec"),
        (Step::SelinuxLabel, "process.selinuxLabel: write /proc/self/attr/exec"),
        (Step::Sysctl, "sysctl"),
        (Step::ReadonlyPaths, "linux.readonlyPaths"),
        (Step::MaskedPaths, "linux.maskedPaths"),
        (Step::RootPropagation, "linux.rootfsPropagation"),
        (Step::NoNewPrivileges, "process.noNewPrivileges"),
        (Step::Scheduler, "process.scheduler"),
        (Step::IoPriority, "process.ioPriority"),
        (Step::Personality, "linux.personality"),
        (Step::MemoryPolicy, "linux.memoryPolicy"),
        (Step::CloseOnExec, "close-on-exec of descriptors"),
        (Step::Limits, "process.rlimits"),
        (Step::MakeWorkingDirectory, "mkdir process.cwd"),
        (Step::WorkingDirectory, "process.cwd"),
        (Step::BoundingSet, "process.capabilities.bounding"),
        (Step::StdioOwner, "owner of the standard streams"),
        (Step::Groups, "process.user.additionalGids"),
        (Step::UserId, "process.user"),
        (Step::WorkingDirectoryAgain, "process.cwd"),
        (Step::Capabilities, "process.capabilities"),
        (Step::Ambient, "process.capabilities.ambient"),
        (Step::Home, "HOME from /etc/passwd"),
        (Step::FindProgram, "exec"),
        (Step::Ready, "report to the runtime"),
        (Step::AwaitStart, "await the start"),
        (Step::StartHooks, "startContainer"),
        (Step::ResetSignals, "signals"),
        (Step::CloseDescriptors, "close descriptors"),
        (Step::Execute, "exec"),
        (Step::Seccomp, "linux.seccomp: load the filter"),
        (Step::Signals, "signals"),
        (Step::FindUser, "process.user"),
        (Step::Listener, "linux.seccomp: hand the listener over"),
    ];

    /// How many there are.
    pub const COUNT: usize = Step::ALL.values.len();

    /// What the step does, as it stands in an error.
    pub fn doing(self) -> &'static str {
        Step::ALL.words.get(self as usize).unwrap_or_default()
    }
}

/// What exactly a step could not do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
#[allow(missing_docs, reason = "each stands for its sentence in `Note::ALL`")]
pub enum Note {
    None,
    OpenSource,
    OpenTarget,
    Attach,
    Attributes,
    Propagation,
    NotOrdinaryDirectory,
    InsideProc,
    NotProcfs,
    Moved,
    NotNull,
    NotTerminal,
    Unreachable,
    Directory,
    Gone,
    Pivot,
    OtherNamespace,
    Unmapped,
    HookStatus,
    HookSignal,
    HookTimeout,
    NetFind,
    NetMove,
    NetAddress,
    NetUp,
    AttachLabelled,
    RecursiveAttributes,
    CopyUp,
    IdMap,
    Uncover,
    NoUser,
    NoGroup,
    Overlay,
}

impl Note {
    /// Every note with its words, in the order of their numbers.
    const ALL: Rows<Note, 33> = rows![
        (Note::None, ""),
        (Note::OpenSource, "open the source"),
        (Note::OpenTarget, "open or make the mount point"),
        (Note::Attach, "attach it"),
        (Note::Attributes, "change its attributes"),
        (Note::Propagation, "change its propagation"),
        (Note::NotOrdinaryDirectory, "must be mounted on ordinary directory"),
        (Note::InsideProc, "cannot be mounted because it is inside /proc"),
        (Note::NotProcfs, "only a procfs may be bound onto /proc"),
        (Note::Moved, "the mount point was moved meanwhile"),
        (Note::NotNull, "the container's /dev/null is not the null device (1:3)"),
        (Note::NotTerminal, "the container's /dev/pts/ptmx is not a pseudo-terminal multiplexer"),
        (
            Note::Unreachable,
            "current working directory is outside of container mount namespace root -- possible container breakout detected",
        ),
        (Note::Directory, "is a directory"),
        (Note::Gone, "the runtime went away"),
        (Note::Pivot, "pivot_root"),
        (Note::OtherNamespace, "it is no namespace of that kind"),
        (Note::Unmapped, "neither root nor process.user is mapped in it"),
        (Note::HookStatus, "exit status"),
        (Note::HookSignal, "signal:"),
        (Note::HookTimeout, "hook ran past specified timeout"),
        (Note::NetFind, "find it"),
        (Note::NetMove, "move it"),
        (Note::NetAddress, "give it its addresses"),
        (Note::NetUp, "set it up"),
        (Note::AttachLabelled, "attach it with linux.mountLabel (is SELinux on?)"),
        (Note::RecursiveAttributes, "change the attributes of it and all below it (Linux 5.12)"),
        (Note::CopyUp, "tmpcopyup"),
        (Note::IdMap, "map the owners of its files (Linux 5.12, and a file system that can)"),
        (Note::Uncover, "take away the host's procfs and sysfs"),
        (Note::NoUser, "no matching entries in passwd file"),
        (Note::NoGroup, "no matching entries in group file"),
        (Note::Overlay, "lay the images over each other (overlay; in a user namespace since Linux 5.11)"),
    ];

    /// What was not possible, as it stands in an error.
    pub fn words(self) -> &'static str {
        Note::ALL.words.get(self as usize).unwrap_or_default()
    }
}

/// What a child tells its parent about a failure: numbers that the parent, who holds the same plan, can put into words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What it was doing.
    pub step: Step,
    /// What exactly it could not do.
    pub note: Note,
    /// Index into the list of the plan that the step walks.
    pub item: u16,
    /// The kernel's answer.
    pub errno: Errno,
}

impl Fault {
    /// In [`Fault::item`]: the step walks no list.
    pub const NO_ITEM: u16 = u16::MAX;
    /// How many bytes it is on the way.
    pub const BYTES: usize = 6;

    /// As it goes over the channel.
    pub fn to_bytes(self) -> [u8; Fault::BYTES] {
        let [item0, item1] = self.item.to_ne_bytes();
        let [errno0, errno1] = (self.errno.raw_os_error() as u16).to_ne_bytes();
        [self.step as u8, self.note as u8, item0, item1, errno0, errno1]
    }

    /// As it came from the channel; `None` for what no child of ours would send.
    pub fn from_bytes(bytes: [u8; Fault::BYTES]) -> Option<Fault> {
        let [step, note, item0, item1, errno0, errno1] = bytes;
        let errno = i32::from(u16::from_ne_bytes([errno0, errno1]));
        if !(1..4096).contains(&errno) {
            return None;
        }
        Some(Fault {
            step: *Step::ALL.values.get(usize::from(step))?,
            note: *Note::ALL.values.get(usize::from(note))?,
            item: u16::from_ne_bytes([item0, item1]),
            errno: Errno::from_raw_os_error(errno),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_what_on_what_and_why() {
        let error = Error::errno("mount", "/data", Errno::PERM);
        assert_eq!(error.to_string(), "mount: /data: operation not permitted");
        assert_eq!(Error::text("mounts[3]", "", "no destination").to_string(), "mounts[3]: no destination");
        assert_eq!(Error::said("container does not exist").to_string(), "container does not exist");
    }

    #[test]
    fn a_reason_is_in_the_words_of_go() {
        for (errno, words) in [
            (Errno::BUSY, "device or resource busy"),
            (Errno::NOENT, "no such file or directory"),
            (Errno::NOMEM, "cannot allocate memory"),
        ] {
            assert_eq!(Reason(errno).to_string(), words);
        }
    }

    #[test]
    fn steps_and_notes_stand_in_the_order_of_their_numbers() {
        assert!(Step::ALL.values.iter().enumerate().all(|(number, step)| *step as usize == number));
        assert!(Note::ALL.values.iter().enumerate().all(|(number, note)| *note as usize == number));
    }

    #[test]
    fn a_fault_survives_the_channel() {
        let fault = Fault { step: Step::Mounts, note: Note::OpenTarget, item: 300, errno: Errno::NOENT };
        assert_eq!(Fault::from_bytes(fault.to_bytes()), Some(fault));
        assert_eq!(Fault::from_bytes([255; Fault::BYTES]), None);
        assert_eq!(Fault::from_bytes([0; Fault::BYTES]), None);
    }
}
