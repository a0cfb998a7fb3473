//! Why a command line is not followed, in runc's words where it has some: callers and tests match on them.

use core::ffi::CStr;
use core::fmt::{self, Display, Formatter};

use super::flags::CommandRow;
use crate::log::{Lossy, Quoted};

/// Why a command line is not followed. It prints as the message alone.
#[derive(Clone, Copy, Debug)]
pub enum Refusal<'a> {
    /// Wrongly used: help belongs to the answer, that of the command if there is one.
    Misuse(Option<&'static CommandRow>, Misuse<'a>),
    /// No such command.
    UnknownCommand(&'a CStr),
    /// Known from runc and not built yet, or left out of this binary.
    NotBuilt(&'static CommandRow),
    /// `--root /`: state would lie among the root directory's entries, and `delete` deletes.
    RootIsSlash,
    /// A `--log-format` that is none.
    LogFormat(&'a [u8]),
    /// A `--cgroup-manager` that is none.
    CgroupManager(&'a [u8]),
    /// A `--rootless` that is neither true nor false nor auto.
    Rootless(&'a [u8]),
    /// A signal that does not exist.
    Signal(&'a CStr),
    /// An `events --interval` that is no duration.
    Interval(&'a [u8]),
    /// An `events --interval` of nothing.
    NoInterval,
    /// A `list --format` that is none.
    ListFormat,
    /// An id that is not even text.
    Id,
    /// The value of an option that must be text.
    NotText(&'static str),
}

/// How options or arguments were wrongly used.
#[derive(Clone, Copy, Debug)]
pub enum Misuse<'a> {
    /// The command has no such option.
    UnknownOption(&'a [u8]),
    /// Too many dashes, or no name.
    Syntax(&'a CStr),
    /// The command line ends where the option's value should stand.
    NoValue(&'a [u8]),
    /// A value that is neither true nor false.
    #[allow(missing_docs)]
    Switch { value: &'a CStr, name: &'a [u8] },
    /// A value that is no number.
    #[allow(missing_docs)]
    Number { value: &'a CStr, name: &'a [u8], why: &'static str },
    /// Too few or too many arguments.
    #[allow(missing_docs)]
    Count { argv0: &'a CStr, command: &'static str, bound: Bound },
}

/// How many arguments a command takes.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub enum Bound {
    Exactly(u8),
    Minimum(u8),
    Maximum(u8),
}

impl Refusal<'_> {
    /// The exit status.
    pub fn status(&self) -> u8 {
        match self {
            Refusal::UnknownCommand(_) => 3,
            Refusal::NotBuilt(row) => row.failure,
            _ => 1,
        }
    }
}

impl Misuse<'_> {
    /// The line that stands above the help on stdout: for options it repeats the message, after a point or a colon as runc does.
    pub fn headline(&self, is_global: bool, out: &mut dyn fmt::Write) -> fmt::Result {
        match self {
            Misuse::Count { .. } => out.write_str("Incorrect Usage.\n\n"),
            _ if is_global => write!(out, "Incorrect Usage. {self}\n\n"),
            _ => write!(out, "Incorrect Usage: {self}\n\n"),
        }
    }
}

impl Display for Refusal<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Misuse(_, misuse) => misuse.fmt(f),
            Refusal::UnknownCommand(name) => write!(f, "No help topic for '{}'", Lossy(name.to_bytes())),
            Refusal::NotBuilt(row) => {
                let why = if row.is_left_out() { "left out of this binary" } else { "not built yet" };
                write!(f, "ocinit: the command \"{}\" is {why}", row.name)
            }
            Refusal::RootIsSlash => f.write_str("Option --root argument should not be set to /"),
            Refusal::LogFormat(value) => write!(f, "invalid log-format: {}", Lossy(value)),
            Refusal::CgroupManager(value) => write!(f, "invalid cgroup-manager: {}", Lossy(value)),
            Refusal::Rootless(value) => write!(f, "invalid rootless value: {}", Lossy(value)),
            Refusal::Signal(text) => write!(f, "unknown signal {}", Quoted(text.to_bytes())),
            Refusal::Interval(value) => write!(f, "invalid value {} for flag -interval: parse error", Quoted(value)),
            Refusal::NoInterval => f.write_str("duration interval must be greater than 0"),
            Refusal::ListFormat => f.write_str("invalid format option"),
            Refusal::NotText(name) => write!(f, "--{name}: not UTF-8"),
            Refusal::Id => f.write_str("invalid container ID format"),
        }
    }
}

impl Display for Misuse<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Misuse::UnknownOption(name) => write!(f, "flag provided but not defined: -{}", Lossy(name)),
            Misuse::Syntax(word) => write!(f, "bad flag syntax: {}", Lossy(word.to_bytes())),
            Misuse::NoValue(name) => write!(f, "flag needs an argument: -{}", Lossy(name)),
            Misuse::Switch { value, name } => {
                write!(f, "invalid boolean value {} for -{}: parse error", Quoted(value.to_bytes()), Lossy(name))
            }
            Misuse::Number { value, name, why } => {
                write!(f, "invalid value {} for flag -{}: {why}", Quoted(value.to_bytes()), Lossy(name))
            }
            Misuse::Count { argv0, command, bound } => {
                let (words, number) = match bound {
                    Bound::Exactly(number) => ("exactly", number),
                    Bound::Minimum(number) => ("a minimum of", number),
                    Bound::Maximum(number) => ("a maximum of", number),
                };
                write!(f, "{}: \"{command}\" requires {words} {number} argument(s)", Lossy(argv0.to_bytes()))
            }
        }
    }
}
