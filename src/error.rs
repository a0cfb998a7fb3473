//! What went wrong, as a value: what was tried, on what, and why it failed. It is printed once, by `cli`.

use core::fmt;

use crate::mem::Full;
use crate::sys::Errno;

/// A failure that is ready to be printed as one line: `what: on: why`.
///
/// Small and copyable: the texts are literals or live in the arena.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Error<'a> {
    /// What was being done, or the whole sentence.
    pub what: &'a str,
    /// What it was done to: a path, a name, a field; may be empty.
    pub on: &'a str,
    /// Why it failed.
    pub why: Why<'a>,
}

/// The reason of an [`Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why<'a> {
    /// The kernel's answer.
    Errno(Errno),
    /// A sentence.
    Text(&'a str),
    /// `what` says it all.
    Said,
}

/// What the project's fallible functions return.
pub type Result<'a, T> = core::result::Result<T, Error<'a>>;

impl<'a> Error<'a> {
    /// A sentence that needs nothing more.
    #[cold]
    pub fn said(what: &'a str) -> Self {
        Error { what, on: "", why: Why::Said }
    }

    /// `what: on: why`, with a reason in words.
    #[cold]
    pub fn text(what: &'a str, on: &'a str, why: &'a str) -> Self {
        Error { what, on, why: Why::Text(why) }
    }

    /// `what: on: why`, with the kernel's reason.
    #[cold]
    pub fn errno(what: &'a str, on: &'a str, errno: Errno) -> Self {
        Error { what, on, why: Why::Errno(errno) }
    }

    /// For `map_err`: the kernel's reason for failing to do `what` to `on`.
    pub fn on(what: &'a str, on: &'a str) -> impl FnOnce(Errno) -> Self {
        move |errno| Error::errno(what, on, errno)
    }

    /// For `map_err`: the same for a path. A path that is not UTF-8 is not named.
    pub fn at(what: &'a str, path: &'a core::ffi::CStr) -> impl FnOnce(Errno) -> Self {
        move |errno| Error::errno(what, path.to_str().unwrap_or("(a path that is not UTF-8)"), errno)
    }
}

impl From<Full> for Error<'_> {
    fn from(_: Full) -> Self {
        Error::said("config.json is too large: it needs more than the memory that its size allows")
    }
}

impl fmt::Display for Error<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.what)?;
        if !self.on.is_empty() {
            write!(f, ": {}", self.on)?;
        }
        match self.why {
            Why::Errno(errno) => write!(f, ": {}", Reason(errno)),
            Why::Text(text) => write!(f, ": {text}"),
            Why::Said => Ok(()),
        }
    }
}

/// An errno as Go, and so runc, prints it: the C library's sentence in lower case.
pub struct Reason(pub Errno);

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = crate::sys::strerror(self.0);
        let first = text.chars().next().unwrap_or('?');
        write!(f, "{}{}", first.to_ascii_lowercase(), text.get(1..).unwrap_or_default())
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
}
