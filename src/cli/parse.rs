//! argv becomes one request, by the rules that runc's callers rely on. It must not touch the system, and prints nothing.
//!
//! The rules are those of Go's `flag` and of urfave/cli v1: one dash or two, `--option=value` or `--option value`, `--switch` or
//! `--switch=false`, options anywhere (but not for `exec` and `ps`), `--` ends them, and an unknown option after the first argument
//! is an argument.

use core::ffi::CStr;

use super::flags::{self, CommandRow, HELP, MAX_OPTIONS, OptionRow, Order, Value, Verb};
use super::refusal::{Bound, Misuse, Refusal};
use super::version;
use crate::init::Began;
use crate::log::Format;
use crate::names;
use crate::sys::Leave;

mod exec;

pub use exec::{Exec, Texts};

/// What a command line means.
#[derive(Debug)]
pub struct Parsed<'a> {
    /// The name to show: `ocinit` or `runc`.
    pub program: &'static str,
    /// The name that we were called by.
    pub argv0: &'a CStr,
    /// The options before the command; the defaults where those were refused.
    pub global: Global<'a>,
    /// What to do.
    pub request: Request<'a>,
}

/// What to do.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "there is one, and no heap to put it on")]
pub enum Request<'a> {
    /// Run a command.
    Command(Command<'a>),
    /// Print help to stdout and exit 0.
    Help(Topic),
    /// Print the version to stdout and exit 0.
    Version,
    /// Say why not.
    Refused(Refusal<'a>),
}

/// What help is about.
#[derive(Clone, Copy, Debug)]
pub enum Topic {
    /// All of it.
    Program,
    /// One command.
    Command(&'static CommandRow),
}

/// The options before the command. Paths are as they were given; `None` is the default.
#[derive(Debug, Default)]
pub struct Global<'a> {
    /// Where the state of containers is kept.
    pub root: Option<&'a CStr>,
    /// Where messages go.
    pub log: Option<&'a CStr>,
    /// How messages look.
    pub log_format: Format,
    /// Whether to log more.
    pub debug: bool,
    /// Who makes the cgroups.
    pub cgroup_manager: CgroupManager,
    /// Whether to go on where the kernel cannot guard devices.
    pub device_fallback: bool,
    /// Whether missing rights over cgroups are no error.
    pub rootless: Rootless,
}

/// `--cgroup-manager`, or `--systemd-cgroup`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CgroupManager {
    /// We do, in the cgroup file system.
    #[default]
    Cgroupfs,
    /// systemd, over D-Bus.
    Systemd,
    /// Nobody: no cgroups.
    Disabled,
}

/// `--rootless`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rootless {
    /// Find out.
    #[default]
    Auto,
    /// We are.
    True,
    /// We are not.
    False,
}

/// A command with its options and arguments.
#[derive(Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is the command of its name; the fields are its options")]
#[allow(clippy::large_enum_variant, reason = "there is one, and no heap to put it on")]
pub enum Command<'a> {
    Create(Create<'a>),
    Run(Run<'a>),
    Start {
        id: &'a str,
    },
    State {
        id: &'a str,
    },
    Exec(Exec<'a>),
    /// `all`: also fine if nothing is left to kill.
    Kill {
        id: &'a str,
        signal: i32,
        all: bool,
    },
    Delete {
        id: &'a str,
        force: bool,
    },
    List {
        format: ListFormat,
        quiet: bool,
    },
    Spec {
        bundle: Option<&'a CStr>,
        rootless: bool,
    },
    Pause {
        id: &'a str,
    },
    Resume {
        id: &'a str,
    },
    /// `options`: those of ps(1).
    Ps {
        id: &'a str,
        format: ListFormat,
        options: &'a [&'a CStr],
    },
    /// `resources`: a file with the resources object, else they are the values `given`.
    Update {
        id: &'a str,
        resources: Option<&'a CStr>,
        given: super::update::Given<'a>,
    },
    /// `interval_ms`: none for `--stats`, which prints once.
    Events {
        id: &'a str,
        interval_ms: Option<u64>,
    },
    Stats {
        ids: &'a [&'a CStr],
    },
    Features,
    Blame,
    /// `boot-chart`.
    Chart {
        svg: bool,
    },
    Top,
    /// `poweroff`, `reboot`, `halt`.
    Leave(Leave),
    Logs {
        id: &'a str,
        follow: bool,
    },
    Service {
        action: &'a str,
        id: &'a str,
    },
    Mounts {
        action: &'a str,
        id: &'a str,
        file: &'a CStr,
    },
    Bundle(super::bundle::Request<'a>),
    Boot {
        path: Option<&'a CStr>,
        /// `--check`, `--dry-run`.
        only_says: Option<bool>,
        /// `--resume`.
        began: Began,
    },
    Check {
        bundle: Option<&'a CStr>,
    },
    Seccomp(super::seccomp::Request<'a>),
}

/// The options of `create`, which `run` has too.
#[derive(Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields are the options")]
pub struct Create<'a> {
    pub id: &'a str,
    pub bundle: Option<&'a CStr>,
    pub console_socket: Option<&'a CStr>,
    pub pidfd_socket: Option<&'a CStr>,
    pub pid_file: Option<&'a CStr>,
    pub no_pivot: bool,
    pub no_new_keyring: bool,
    /// How many descriptors to pass on, after those of LISTEN_FDS.
    pub preserve_fds: u32,
}

/// The options of `run`.
#[derive(Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields are the options")]
pub struct Run<'a> {
    pub create: Create<'a>,
    pub detach: bool,
    pub keep: bool,
    pub no_subreaper: bool,
}

/// `list --format`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListFormat {
    /// Columns.
    Table,
    /// One array.
    Json,
}

type Result<'a, T> = core::result::Result<T, Refusal<'a>>;

/// Reads a whole command line, the program's name included.
pub fn parse<'a>(argv: &'a [&'a CStr]) -> Parsed<'a> {
    let argv0 = argv.first().copied().unwrap_or(c"ocinit");
    let program = version::program(argv0.to_bytes());
    let mut parsed = Parsed { program, argv0, global: Global::default(), request: Request::Version };
    parsed.request = parsed.read(argv.get(1..).unwrap_or_default()).unwrap_or_else(Request::Refused);
    parsed
}

impl<'a> Parsed<'a> {
    fn read(&mut self, words: &'a [&'a CStr]) -> Result<'a, Request<'a>> {
        let given = Given::scan(flags::GLOBAL, Order::First, words).map_err(|misuse| Refusal::Misuse(None, misuse))?;
        if given.is_on(HELP.name()) {
            return Ok(Request::Help(Topic::Program));
        }
        if given.is_on("version") {
            return Ok(Request::Version);
        }
        self.global = global(&given)?;
        match given.rest.split_first() {
            None => Ok(Request::Help(Topic::Program)),
            Some((name, words)) => self.command(known(name)?, words),
        }
    }

    fn command(&self, row: &'static CommandRow, words: &'a [&'a CStr]) -> Result<'a, Request<'a>> {
        let Some(verb) = row.verb else { return Err(Refusal::NotBuilt(row)) };
        let given = Given::scan(row.options, row.order, words).map_err(|misuse| Refusal::Misuse(Some(row), misuse))?;
        if given.is_on(HELP.name()) {
            return Ok(Request::Help(Topic::Command(row)));
        }
        self.count(row, given.count)?;
        build(row, verb, &given)
    }

    fn count(&self, row: &'static CommandRow, count: usize) -> Result<'a, ()> {
        let (fewest, most) = row.count;
        let bound = match count {
            _ if count < usize::from(fewest) && fewest < most => Bound::Minimum(fewest),
            _ if count > usize::from(most) && fewest < most => Bound::Maximum(most),
            _ if count < usize::from(fewest) || count > usize::from(most) => Bound::Exactly(most),
            _ => return Ok(()),
        };
        Err(Refusal::Misuse(Some(row), Misuse::Count { argv0: self.argv0, command: row.name, bound }))
    }
}

fn known(name: &CStr) -> Result<'_, &'static CommandRow> {
    flags::command(name.to_bytes()).ok_or(Refusal::UnknownCommand(name))
}

fn global<'a>(given: &Given<'a>) -> Result<'a, Global<'a>> {
    let root = given.value("root");
    if root.is_some_and(|path| is_slash(path.to_bytes())) {
        return Err(Refusal::RootIsSlash);
    }
    Ok(Global {
        root,
        log: given.value("log"),
        log_format: match given.bytes("log-format") {
            b"" | b"text" => Format::Text,
            b"json" => Format::Json,
            other => return Err(Refusal::LogFormat(other)),
        },
        debug: given.is_on("debug"),
        cgroup_manager: match given.bytes("cgroup-manager") {
            b"" if given.is_on("systemd-cgroup") => CgroupManager::Systemd,
            b"" | b"cgroupfs" => CgroupManager::Cgroupfs,
            b"systemd" => CgroupManager::Systemd,
            b"disabled" => CgroupManager::Disabled,
            other => return Err(Refusal::CgroupManager(other)),
        },
        device_fallback: given.is_on("device-fallback"),
        rootless: match given.bytes("rootless") {
            b"" | b"auto" => Rootless::Auto,
            other => match truth(other) {
                Some(true) => Rootless::True,
                Some(false) => Rootless::False,
                None => return Err(Refusal::Rootless(other)),
            },
        },
    })
}

/// Whether an absolute path is nothing but the root directory.
fn is_slash(path: &[u8]) -> bool {
    let depth = path.split(|byte| *byte == b'/').fold(0_usize, |depth, name| match name {
        b"" | b"." => depth,
        b".." => depth.saturating_sub(1),
        _ => depth + 1,
    });
    path.starts_with(b"/") && depth == 0
}

fn build<'a>(row: &CommandRow, verb: Verb, given: &Given<'a>) -> Result<'a, Request<'a>> {
    let command = match verb {
        Verb::Boot => Command::Boot {
            path: given.arguments[0],
            began: match given.bytes("resume") {
                b"asked" => Began::Asked,
                b"fault" => Began::Fault,
                given => Began::Anew(core::str::from_utf8(given).ok().and_then(|given| given.parse().ok()).unwrap_or(0)),
            },
            only_says: if given.is_on("dry-run") { Some(true) } else { given.is_on("check").then_some(false) },
        },
        Verb::Bundle => Command::Bundle(super::bundle::Request {
            action: given.id()?,
            id: given.second()?,
            image: given.arguments[2],
            data: given.value("data"),
        }),
        Verb::Seccomp => Command::Seccomp(super::seccomp::Request {
            action: given.id()?,
            path: given.arguments[1].unwrap_or_default(),
            output: given.value("output"),
            call: given.value("call"),
        }),
        Verb::Check => Command::Check { bundle: given.arguments[0] },
        Verb::Create => Command::Create(create(given)?),
        Verb::Delete => Command::Delete { id: given.id()?, force: given.is_on("force") },
        Verb::Exec => Command::Exec(exec::read(given)?),
        Verb::Features => Command::Features,
        Verb::Help => return help(given),
        Verb::Kill => Command::Kill { id: given.id()?, signal: signal(given)?, all: given.is_on("all") },
        Verb::Blame => Command::Blame,
        Verb::Chart => Command::Chart { svg: given.is_on("svg") },
        Verb::Top => Command::Top,
        Verb::Leave => Command::Leave(match row.name {
            "poweroff" => Leave::PowerOff,
            "halt" => Leave::Halt,
            _ => Leave::Reboot,
        }),
        Verb::Logs => Command::Logs { id: given.id()?, follow: given.is_on("follow") },
        Verb::Service => Command::Service { action: given.id()?, id: given.second()? },
        Verb::Mounts => Command::Mounts { action: given.id()?, id: given.second()?, file: given.arguments[2].unwrap_or_default() },
        Verb::List => Command::List { format: list_format(given)?, quiet: given.is_on("quiet") },
        Verb::Pause => Command::Pause { id: given.id()? },
        Verb::Ps => Command::Ps { id: given.id()?, format: list_format(given)?, options: given.rest.get(1..).unwrap_or_default() },
        Verb::Resume => Command::Resume { id: given.id()? },
        Verb::Run => Command::Run(Run {
            create: create(given)?,
            detach: given.is_on("detach"),
            keep: given.is_on("keep"),
            no_subreaper: given.is_on("no-subreaper"),
        }),
        Verb::Spec => Command::Spec { bundle: given.value("bundle"), rootless: given.is_on("rootless") },
        Verb::Start => Command::Start { id: given.id()? },
        Verb::Update => {
            let values = super::update::OPTIONS.map(|name| given.bytes(name));
            Command::Update { id: given.id()?, resources: given.value("resources"), given: values }
        }
        Verb::Events => Command::Events { id: given.id()?, interval_ms: interval(given)? },
        Verb::Stats => Command::Stats { ids: given.rest },
        Verb::State => Command::State { id: given.id()? },
    };
    Ok(Request::Command(command))
}

fn create<'a>(given: &Given<'a>) -> Result<'a, Create<'a>> {
    Ok(Create {
        id: given.id()?,
        bundle: given.value("bundle"),
        console_socket: given.value("console-socket"),
        pidfd_socket: given.value("pidfd-socket"),
        pid_file: given.value("pid-file"),
        no_pivot: given.is_on("no-pivot"),
        no_new_keyring: given.is_on("no-new-keyring"),
        preserve_fds: given.number("preserve-fds"),
    })
}

fn help<'a>(given: &Given<'a>) -> Result<'a, Request<'a>> {
    let Some(name) = given.arguments[0] else { return Ok(Request::Help(Topic::Program)) };
    let row = known(name)?;
    if row.verb.is_none() { Err(Refusal::NotBuilt(row)) } else { Ok(Request::Help(Topic::Command(row))) }
}

fn signal<'a>(given: &Given<'a>) -> Result<'a, i32> {
    let text = given.arguments[1].filter(|text| !text.is_empty()).unwrap_or(c"SIGTERM");
    text.to_str().ok().and_then(names::signal).ok_or(Refusal::Signal(text))
}

fn interval<'a>(given: &Given<'a>) -> Result<'a, Option<u64>> {
    const DEFAULT_MS: u64 = 5000;
    let text = given.bytes("interval");
    match if text.is_empty() { Some(DEFAULT_MS) } else { duration_ms(text) } {
        _ if given.is_on("stats") => Ok(None),
        Some(0) => Err(Refusal::NoInterval),
        None if text.strip_prefix(b"-").and_then(duration_ms).is_some() => Err(Refusal::NoInterval),
        Some(interval) => Ok(Some(interval)),
        None => Err(Refusal::Interval(text)),
    }
}

/// A duration as Go writes it, such as `5s` or `1m30s`; what is shorter than a millisecond counts as one.
fn duration_ms(text: &[u8]) -> Option<u64> {
    const UNITS: [(&[u8], u64); 7] = [
        (b"ns", 1),
        (b"us", 1000),
        ("µs".as_bytes(), 1000),
        (b"ms", 1_000_000),
        (b"s", 1_000_000_000),
        (b"m", 60_000_000_000),
        (b"h", 3_600_000_000_000),
    ];
    let mut total = 0_u64;
    let mut rest = text;
    while !rest.is_empty() && rest != b"0" {
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let count = number(&rest[..digits]).ok()?;
        rest = &rest[digits..];
        let unit = rest.iter().take_while(|byte| !byte.is_ascii_digit()).count();
        let (_, nanoseconds) = UNITS.iter().find(|(name, _)| *name == &rest[..unit])?;
        total = total.checked_add(u64::from(count).checked_mul(*nanoseconds)?)?;
        rest = &rest[unit..];
    }
    Some(total.div_ceil(1_000_000))
}

fn list_format<'a>(given: &Given<'a>) -> Result<'a, ListFormat> {
    match given.bytes("format") {
        b"" | b"table" => Ok(ListFormat::Table),
        b"json" => Ok(ListFormat::Json),
        _ => Err(Refusal::ListFormat),
    }
}

/// The options and arguments that were found.
struct Given<'a> {
    rows: &'static [OptionRow],
    /// The last value of each option, at the place of its row; `--help`, which every command has, comes after them.
    values: [Option<&'a CStr>; MAX_OPTIONS + 1],
    /// The first arguments; no command that is built has more.
    arguments: [Option<&'a CStr>; 3],
    /// How many arguments there were.
    count: usize,
    /// All words.
    words: &'a [&'a CStr],
    /// For `Order::First`: the first argument and all that follows.
    rest: &'a [&'a CStr],
}

impl<'a> Given<'a> {
    fn scan(rows: &'static [OptionRow], order: Order, words: &'a [&'a CStr]) -> core::result::Result<Self, Misuse<'a>> {
        let mut given = Given { rows, values: [None; MAX_OPTIONS + 1], arguments: [None; 3], count: 0, words, rest: words };
        let mut takes_options = true;
        while let Some((&word, after)) = given.rest.split_first() {
            let written = dashed(word).filter(|_| takes_options);
            given.rest = match written {
                Some((b"", None)) => {
                    takes_options = false;
                    after
                }
                Some((name, value)) if given.place(name).is_some() || given.count == 0 => given.option(word, name, value, after)?,
                _ if order == Order::First => break,
                _ => given.argument(word, after),
            };
        }
        if order == Order::First {
            given.arguments[0] = given.rest.first().copied();
            given.count = given.rest.len();
        }
        Ok(given)
    }

    fn argument(&mut self, word: &'a CStr, after: &'a [&'a CStr]) -> &'a [&'a CStr] {
        if let Some(place) = self.arguments.get_mut(self.count) {
            *place = Some(word);
        }
        self.count += 1;
        after
    }

    /// Takes one option, and its value from `after` if it is not in the same word. Returns what is left.
    fn option(
        &mut self,
        word: &'a CStr,
        name: &'a [u8],
        value: Option<&'a CStr>,
        after: &'a [&'a CStr],
    ) -> core::result::Result<&'a [&'a CStr], Misuse<'a>> {
        if name.is_empty() || name.starts_with(b"-") {
            return Err(Misuse::Syntax(word));
        }
        let place = self.place(name).ok_or(Misuse::UnknownOption(name))?;
        let kind = self.rows.get(place).map_or(Value::Switch, |row| row.value());
        let (value, after) = match (value, kind) {
            (Some(value), _) => (value, after),
            (None, Value::Switch) => (c"true", after),
            (None, _) => after.split_first().map(|(value, after)| (*value, after)).ok_or(Misuse::NoValue(name))?,
        };
        match kind {
            Value::Switch if truth(value.to_bytes()).is_none() => return Err(Misuse::Switch { value, name }),
            Value::Number => {
                number(value.to_bytes()).map_err(|why| Misuse::Number { value, name, why })?;
            }
            _ => {}
        }
        self.values[place] = Some(value);
        Ok(after)
    }

    fn place(&self, name: &[u8]) -> Option<usize> {
        if HELP.is_called(name) { Some(MAX_OPTIONS) } else { self.rows.iter().position(|row| row.is_called(name)) }
    }

    /// The value of an option that was given and is not empty.
    fn value(&self, name: &str) -> Option<&'a CStr> {
        let place = self.place(name.as_bytes());
        debug_assert!(place.is_some(), "no row for --{name}");
        self.values[place?].filter(|value| !value.is_empty())
    }

    fn bytes(&self, name: &str) -> &'a [u8] {
        self.value(name).unwrap_or_default().to_bytes()
    }

    fn is_on(&self, name: &str) -> bool {
        truth(self.bytes(name)) == Some(true)
    }

    fn number(&self, name: &str) -> u32 {
        number(self.bytes(name)).unwrap_or(0)
    }

    /// The first argument as a container's id. Whether it is a good one, `container` knows.
    fn id(&self) -> Result<'a, &'a str> {
        self.arguments[0].unwrap_or_default().to_str().map_err(|_| Refusal::Id)
    }

    /// The second argument, if it is UTF-8.
    fn second(&self) -> Result<'a, &'a str> {
        self.arguments[1].unwrap_or_default().to_str().map_err(|_| Refusal::Id)
    }
}

/// The name and, after `=`, the value in a word that begins with a dash or two. A single dash is an argument.
fn dashed(word: &CStr) -> Option<(&[u8], Option<&CStr>)> {
    let bytes = word.to_bytes_with_nul();
    let text = bytes.strip_prefix(b"--").or_else(|| bytes.strip_prefix(b"-").filter(|text| text.len() > 1))?;
    Some(match text.iter().position(|byte| *byte == b'=') {
        Some(at) => (&text[..at], CStr::from_bytes_with_nul(&text[at + 1..]).ok()),
        None => (&text[..text.len() - 1], None),
    })
}

/// The words that Go takes for a boolean.
fn truth(text: &[u8]) -> Option<bool> {
    match text {
        b"1" | b"t" | b"T" | b"true" | b"TRUE" | b"True" => Some(true),
        b"0" | b"f" | b"F" | b"false" | b"FALSE" | b"False" => Some(false),
        _ => None,
    }
}

/// An unsigned decimal number, or why it is none, in Go's words.
fn number(text: &[u8]) -> core::result::Result<u32, &'static str> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return Err("parse error");
    }
    let text = core::str::from_utf8(text).unwrap_or_default();
    text.parse().map_err(|_| "value out of range")
}

#[cfg(test)]
mod tests;
