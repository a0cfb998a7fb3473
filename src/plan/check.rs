//! Whether a config.json can be honoured: every rule of runtime-spec and of runc that needs no look at the host.
//!
//! Must: go through the config once, and say every problem with the path of its field. Mustn't: make a system call, or change anything.

use core::fmt::{self, Write};

use crate::mem::{Arena, List, Names};
use crate::names::subjects;
use crate::spec::{Config, Entry, Linux};

mod devices;
mod hooks;
mod id_maps;
mod mounts;
mod namespaces;
mod network;
mod policies;
mod process;
mod resources;
mod seccomp;
mod sysctl;

#[cfg(test)]
mod tests;

use namespaces::Namespaces;

/// How bad a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The container cannot be created.
    Error,
    /// Something will be ignored, or is likely not what was meant.
    Warning,
}

/// What is wrong with one field. Prints as `linux.sysctl.kernel.hostname: why`.
pub struct Problem<'p> {
    /// How bad it is.
    pub severity: Severity,
    at: &'p At<'p>,
    rule: Rule,
    values: &'p [Value<'p>],
}

/// What is said where a rule is broken: `E` for an error or `W`, the key of the field below the place where it is said (nothing for that
/// place itself), a line feed, and the sentence, in which each `{}` stands for a value. One text, so that it costs nothing but its letters.
#[derive(Clone, Copy)]
struct Rule(&'static str);

impl Rule {
    fn severity(self) -> Severity {
        if self.0.starts_with('E') { Severity::Error } else { Severity::Warning }
    }

    fn key_and_text(self) -> (&'static str, &'static str) {
        self.0.get(1..).and_then(|rest| rest.split_once('\n')).unwrap_or_default()
    }
}

/// A rule whose violation is an error.
macro_rules! error {
    ($key:literal, $text:literal) => {
        $crate::plan::check::Rule(concat!("E", $key, "\n", $text))
    };
}

/// A rule whose violation is a warning.
macro_rules! warning {
    ($key:literal, $text:literal) => {
        $crate::plan::check::Rule(concat!("W", $key, "\n", $text))
    };
}

use {error, warning};

/// What the sentence of a rule repeats.
#[derive(Clone, Copy)]
enum Value<'p> {
    Text(&'p str),
    Number(i64),
    /// With dots between its parts, as runc's sentences have it.
    Sysctl(&'p str),
}

impl fmt::Display for Problem<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (key, text) = self.rule.key_and_text();
        self.at.key(key).fmt(f)?;
        f.write_str(": ")?;
        let mut values = self.values.iter();
        for piece in text.split('{') {
            let Some(piece) = piece.strip_prefix('}') else {
                f.write_str(piece)?;
                continue;
            };
            match values.next() {
                Some(Value::Text(text)) => Shown(text).fmt(f)?,
                Some(Value::Number(number)) => number.fmt(f)?,
                Some(Value::Sysctl(name)) => {
                    let dotted = sysctl::Dotted::new(name);
                    name.chars().try_for_each(|character| show(f, dotted.character(character)))?;
                }
                None => {}
            }
            f.write_str(piece)?;
        }
        Ok(())
    }
}

/// Reports every problem of `config`, in the order in which `create` would meet them.
///
/// The arena is the one that the config was read into: its bound counts what is taken here.
pub fn check<'a>(config: &Config<'a>, arena: &Arena<'a>, report: &mut dyn FnMut(Problem<'_>)) {
    let report = &mut Report(report);
    let linux = config.linux.unwrap_or_default();
    let namespaces = &Namespaces::new(&linux.namespaces);
    version(config, report);
    process::check(config, &linux, namespaces, report);
    root(config, report);
    mounts::check(config, &linux, namespaces, report);
    devices::check(&linux, report);
    if let Some(resources) = &linux.resources {
        resources::check(resources, report);
    }
    mounts::paths(&linux, report);
    namespaces::check(config, &linux, namespaces, report);
    id_maps::check(&linux, namespaces, report);
    sysctl::check(&linux, namespaces, report);
    if subjects::NET_DEVICES {
        network::check(&linux, namespaces, arena, report);
    }
    policies::check(&linux, report);
    if let Some(seccomp) = linux.seccomp.as_ref().filter(|_| subjects::SECCOMP) {
        seccomp::check(seccomp, report);
    }
    left_out(config, &linux, report);
    hooks::check(config, report);
    annotations(config, report);
}

/// Reports every problem of the process alone: of one that joins a container.
pub fn check_process(config: &Config<'_>, report: &mut dyn FnMut(Problem<'_>)) {
    let linux = config.linux.unwrap_or_default();
    process::check(config, &linux, &Namespaces::new(&linux.namespaces), &mut Report(report));
}

/// The same for its mounts alone.
pub fn check_mounts(config: &Config<'_>, report: &mut dyn FnMut(Problem<'_>)) {
    let linux = config.linux.unwrap_or_default();
    mounts::check(config, &linux, &Namespaces::new(&linux.namespaces), &mut Report(report));
}

fn version(config: &Config<'_>, report: &mut Report<'_>) {
    if config.oci_version.is_empty() {
        report.say(&TOP, warning!("ociVersion", "missing; a version such as 1.3.0 is required"));
    } else if !config.oci_version.starts_with("1.") {
        report.say_of(&TOP, warning!("ociVersion", "{} is not a version 1.x; read as one nevertheless"), config.oci_version);
    }
}

/// What the config asks for and this binary was built without.
fn left_out(config: &Config<'_>, linux: &Linux<'_>, report: &mut Report<'_>) {
    let has = |key| config.annotation(key).is_some();
    let asks = [
        (subjects::NET_DEVICES, "netDevices", !linux.net_devices.is_empty()),
        (subjects::INTEL_RDT, "intelRdt", linux.intel_rdt.is_some()),
        (subjects::SECCOMP, "seccomp", linux.seccomp.is_some() && !has("org.ocinit.seccomp.bpf")),
    ];
    for (is_built, key, is_asked) in asks {
        if !is_built && is_asked {
            report.say(&TOP.key("linux").key(key), error!("", "left out of this binary"));
        }
    }
    let images = [super::image::IMAGE, super::image::UPPER];
    if let Some(key) = images.into_iter().find(|key| !subjects::IMAGES && has(key)) {
        report.say(&TOP.key("annotations").key(key), error!("", "left out of this binary"));
    }
}

fn root(config: &Config<'_>, report: &mut Report<'_>) {
    let Some(root) = config.root else {
        return report.say(&TOP, error!("root", "root must be specified"));
    };
    let at = &TOP.key("root");
    if root.path.is_empty() {
        report.say(at, error!("path", "must not be empty"));
    }
    report.no_nul(at, "path", root.path);
}

fn annotations(config: &Config<'_>, report: &mut Report<'_>) {
    if config.annotations.iter().any(|Entry { key, .. }| key.is_empty()) {
        report.say(&TOP, error!("annotations", "a key must not be empty"));
    }
}

/// The way to a field, known without being written down: most fields have no problem.
#[derive(Clone, Copy)]
struct At<'p> {
    above: Option<&'p At<'p>>,
    key: &'p str,
    index: Option<usize>,
}

const TOP: At<'static> = At { above: None, key: "", index: None };

impl At<'_> {
    /// The field `key` of the object here.
    fn key<'p>(&'p self, key: &'p str) -> At<'p> {
        At { above: Some(self), key, index: None }
    }

    /// The element `index` of the list `key` of the object here.
    fn item<'p>(&'p self, key: &'p str, index: usize) -> At<'p> {
        At { above: Some(self), key, index: Some(index) }
    }

    fn is_top(&self) -> bool {
        self.above.is_none()
    }
}

/// An empty key is the object itself, or a key that is empty in the config.
impl fmt::Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(above) = self.above {
            above.fmt(f)?;
            f.write_str(if above.is_top() || self.key.is_empty() { "" } else { "." })?;
        }
        Shown(self.key).fmt(f)?;
        self.index.map_or(Ok(()), |index| write!(f, "[{index}]"))
    }
}

/// Prints a string of the config so that it stays on its line.
struct Shown<'p>(&'p str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|character| show(f, character))
    }
}

/// The longest path that the kernel takes, without its NUL.
const PATH_MAX: usize = 4095;

/// The longest argument or environment variable that it takes, without its NUL: MAX_ARG_STRLEN (execve(2)).
const ARGUMENT_MAX: usize = 131_071;

/// Prints one character; what a terminal would obey rather than show as `\x1b`.
fn show(f: &mut fmt::Formatter<'_>, character: char) -> fmt::Result {
    match character {
        '\0'..='\x1f' | '\x7f'..='\u{9f}' => write!(f, "\\x{:02x}", u32::from(character)),
        _ => f.write_char(character),
    }
}

/// Where the problems go, with the rules that many fields share.
/// The same for `linux.resources` alone, as `update` takes them.
pub fn resources(resources: &crate::spec::Resources<'_>, report: &mut dyn FnMut(Problem<'_>)) {
    resources::check(resources, &mut Report(report));
}

struct Report<'r>(&'r mut dyn FnMut(Problem<'_>));

impl Report<'_> {
    /// Says that the rule is broken at a field of the object `at`, or at that itself.
    #[cold]
    #[inline(never)]
    fn say(&mut self, at: &At<'_>, rule: Rule) {
        self.say_all(at, rule, &[]);
    }

    /// The same with the text that the sentence repeats.
    #[cold]
    #[inline(never)]
    fn say_of(&mut self, at: &At<'_>, rule: Rule, text: &str) {
        self.say_all(at, rule, &[Value::Text(text)]);
    }

    /// The same with the number that the sentence repeats.
    #[cold]
    #[inline(never)]
    fn say_number(&mut self, at: &At<'_>, rule: Rule, number: i64) {
        self.say_all(at, rule, &[Value::Number(number)]);
    }

    #[cold]
    #[inline(never)]
    fn say_all(&mut self, at: &At<'_>, rule: Rule, values: &[Value<'_>]) {
        (self.0)(Problem { severity: rule.severity(), at, rule, values });
    }

    /// What the kernel is given ends at the first NUL.
    #[inline(never)]
    fn no_nul(&mut self, at: &At<'_>, key: &str, text: &str) {
        if has(text, b"\0") {
            self.say(&at.key(key), error!("", "contains a null byte"));
        }
    }

    /// What the kernel would refuse only later, and then without a name.
    #[inline(never)]
    fn no_longer(&mut self, at: &At<'_>, key: &str, text: &str, most: usize) {
        if text.len() > most {
            self.say_number(&at.key(key), error!("", "longer than {} bytes"), most as i64);
        }
    }

    #[inline(never)]
    fn absolute(&mut self, at: &At<'_>, key: &str, path: &str) {
        if path.is_empty() {
            self.say(&at.key(key), error!("", "must not be empty"));
        } else if !path.starts_with('/') {
            self.say_of(&at.key(key), error!("", "{} is not an absolute path"), path);
        }
        self.no_longer(at, key, path, PATH_MAX);
        self.no_nul(at, key, path);
    }

    #[inline(never)]
    fn within(&mut self, at: &At<'_>, key: &str, value: i64, least: i64, most: i64) {
        if value < least || value > most {
            let values = [value, least, most].map(Value::Number);
            self.say_all(&at.key(key), error!("", "{} is not from {} to {}"), &values);
        }
    }

    /// Numbers of CPUs or memory nodes as the kernel lists them; empty means not given.
    #[inline(never)]
    fn number_list(&mut self, at: &At<'_>, key: &str, list: &str, most: u32) {
        let highest = ranges(list).try_fold(0, |highest, range| Some(range?.last.max(highest)));
        match highest {
            None => self.say_of(&at.key(key), error!("", "{} is not a list of numbers such as 0-3,7"), list),
            Some(highest) if highest > most => {
                self.say_all(&at.key(key), error!("", "{} is above {}"), &[Value::Number(highest.into()), Value::Number(most.into())]);
            }
            Some(_) => {}
        }
    }

    /// A word that must be one of those that are known. `rule` repeats it.
    fn known(&mut self, at: &At<'_>, rule: Rule, words: Names, word: &str) {
        if !words.contains(word) {
            self.say_of(at, rule, word);
        }
    }

    #[inline(never)]
    fn v1_only(&mut self, at: &At<'_>, key: &str, is_set: bool) {
        if is_set {
            self.say(&at.key(key), warning!("", "ignored by cgroup v2, which has no such setting"));
        }
    }

    #[inline(never)]
    fn each_without_nul(&mut self, at: &At<'_>, key: &str, list: &List<'_, &str>) {
        for (index, text) in list.iter().enumerate() {
            let at = &at.item(key, index);
            self.no_longer(at, "", text, ARGUMENT_MAX);
            self.no_nul(at, "", text);
        }
    }

    #[inline(never)]
    fn each_absolute(&mut self, at: &At<'_>, key: &str, list: &List<'_, &str>) {
        for (index, path) in list.iter().enumerate() {
            self.absolute(&at.item(key, index), "", path);
        }
    }

    /// A variable without a name or a value would make the whole environment unusable.
    #[inline(never)]
    fn environment(&mut self, at: &At<'_>, list: &List<'_, &str>) {
        for (index, variable) in list.iter().enumerate() {
            let at = &at.item("env", index);
            if variable.starts_with('=') {
                self.say(at, error!("", "invalid environment variable: name cannot be empty"));
            } else if !has(variable, b"=") {
                self.say(at, error!("", "invalid environment variable: missing '='"));
            }
            self.no_longer(at, "", variable, ARGUMENT_MAX);
            self.no_nul(at, "", variable);
        }
    }
}

/// Whether `text` has one of these bytes.
#[inline(never)]
fn has(text: &str, bytes: &[u8]) -> bool {
    text.bytes().any(|byte| bytes.contains(&byte))
}

/// The ranges of a list such as `0-3,7`; none of an empty one. What is no range is `None`.
pub(super) fn ranges(list: &str) -> impl Iterator<Item = Option<Range>> {
    list.split(',').take(if list.is_empty() { 0 } else { usize::MAX }).map(range)
}

/// Of the numbers from `first` to `last`, the first `used` of every `group`.
#[derive(Clone, Copy)]
pub(super) struct Range {
    first: u32,
    pub(super) last: u32,
    used: u32,
    group: u32,
}

impl Range {
    pub(super) fn numbers(self) -> impl Iterator<Item = u32> {
        (self.first..=self.last).filter(move |number| (number - self.first) % self.group < self.used)
    }
}

/// `5`, `0-3`, or `0-31:2/4` (two of every four), as cpuset(7) has them.
#[inline(never)]
fn range(text: &str) -> Option<Range> {
    let mut numbers = Numbers(text.trim_ascii().as_bytes());
    let first = numbers.next_number()?;
    let last = if numbers.takes(b'-') { numbers.next_number()? } else { first };
    let (used, group) = if numbers.takes(b':') {
        let used = numbers.next_number()?;
        (used, if numbers.takes(b'/') { numbers.next_number()? } else { 0 })
    } else {
        (1, 1)
    };
    let is_range = first <= last && used <= group && group > 0 && numbers.0.is_empty();
    is_range.then_some(Range { first, last, used, group })
}

/// A text that begins with a number or a sign.
struct Numbers<'p>(&'p [u8]);

impl Numbers<'_> {
    fn takes(&mut self, sign: u8) -> bool {
        let is_next = self.0.first() == Some(&sign);
        self.0 = &self.0[usize::from(is_next)..];
        is_next
    }

    fn next_number(&mut self) -> Option<u32> {
        let mut number = None::<u32>;
        while let Some((digit @ b'0'..=b'9', rest)) = self.0.split_first() {
            number = Some(number.unwrap_or(0).checked_mul(10)?.checked_add(u32::from(digit - b'0'))?);
            self.0 = rest;
        }
        number
    }
}
