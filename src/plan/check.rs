//! Whether a config.json can be honoured: every rule of runtime-spec and of runc that needs no look at the host.
//!
//! Must: go through the config once, and say every problem with the path of its field. Mustn't: make a system call, or change anything.

use core::fmt;

use crate::mem::Arena;
use crate::spec::{Config, Entry};

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
    text: fmt::Arguments<'p>,
}

impl fmt::Display for Problem<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.at, self.text)
    }
}

/// Reports every problem of `config`, in the order in which `create` would meet them.
///
/// The arena is the one that the config was read into: its bound counts what is taken here.
pub fn check<'a>(config: &Config<'a>, arena: &Arena<'a>, report: &mut dyn FnMut(Problem<'_>)) {
    let report = &mut Report(report);
    let linux = config.linux.unwrap_or_default();
    let namespaces = Namespaces::new(&linux.namespaces);
    version(config, report);
    process::check(config, &linux, &namespaces, report);
    root(config, report);
    mounts::check(config, &linux, &namespaces, report);
    devices::check(&linux, report);
    if let Some(resources) = &linux.resources {
        resources::check(resources, report);
    }
    mounts::paths(&linux, report);
    namespaces::check(config, &linux, &namespaces, report);
    id_maps::check(&linux, &namespaces, report);
    sysctl::check(&linux, &namespaces, report);
    network::check(&linux, &namespaces, arena, report);
    policies::check(&linux, report);
    if let Some(seccomp) = &linux.seccomp {
        seccomp::check(seccomp, report);
    }
    hooks::check(config, report);
    annotations(config, report);
}

fn version(config: &Config<'_>, report: &mut Report<'_>) {
    let at = &TOP.key("ociVersion");
    match config.oci_version {
        "" => report.warning(at, format_args!("missing; a version such as 1.3.0 is required")),
        version if !version.starts_with("1.") => {
            report.warning(at, format_args!("{} is not a version 1.x; read as one nevertheless", Shown(version)));
        }
        _ => {}
    }
}

fn root(config: &Config<'_>, report: &mut Report<'_>) {
    let at = &TOP.key("root");
    match config.root {
        None => report.error(at, format_args!("root must be specified")),
        Some(root) if root.path.is_empty() => report.error(&at.key("path"), format_args!("must not be empty")),
        Some(root) => report.no_nul(&at.key("path"), root.path),
    }
}

fn annotations(config: &Config<'_>, report: &mut Report<'_>) {
    if config.annotations.iter().any(|Entry { key, .. }| key.is_empty()) {
        report.error(&TOP.key("annotations"), format_args!("a key must not be empty"));
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

    /// The element `index` of the list here.
    fn index(&self, index: usize) -> At<'_> {
        At { above: Some(self), key: "", index: Some(index) }
    }
}

impl fmt::Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(above) = self.above else { return Ok(()) };
        above.fmt(f)?;
        match self.index {
            Some(index) => write!(f, "[{index}]"),
            None => write!(f, "{}{}", if above.above.is_some() { "." } else { "" }, Shown(self.key)),
        }
    }
}

/// Prints a string of the config so that it stays on its line: other characters as `\x1b`.
struct Shown<'p>(&'p str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write;
        self.0.chars().try_for_each(|character| match character {
            '\0'..=' ' | '\x7f'..='\u{9f}' if character != ' ' => write!(f, "\\x{:02x}", u32::from(character)),
            _ => f.write_char(character),
        })
    }
}

/// Where the problems go, with the rules that many fields share.
struct Report<'r>(&'r mut dyn FnMut(Problem<'_>));

impl Report<'_> {
    fn error(&mut self, at: &At<'_>, text: fmt::Arguments<'_>) {
        (self.0)(Problem { severity: Severity::Error, at, text });
    }

    fn warning(&mut self, at: &At<'_>, text: fmt::Arguments<'_>) {
        (self.0)(Problem { severity: Severity::Warning, at, text });
    }

    /// What the kernel is given ends at the first NUL.
    fn no_nul(&mut self, at: &At<'_>, text: &str) {
        if text.contains('\0') {
            self.error(at, format_args!("contains a null byte"));
        }
    }

    fn absolute(&mut self, at: &At<'_>, path: &str) {
        if path.is_empty() {
            self.error(at, format_args!("must not be empty"));
        } else if !path.starts_with('/') {
            self.error(at, format_args!("{} is not an absolute path", Shown(path)));
        }
        self.no_nul(at, path);
    }

    fn within<T: Copy + PartialOrd + fmt::Display>(&mut self, at: &At<'_>, value: T, least: T, most: T) {
        if value < least || value > most {
            self.error(at, format_args!("{value} is not from {least} to {most}"));
        }
    }

    /// Numbers of CPUs or memory nodes as the kernel lists them; empty means not given.
    fn number_list(&mut self, at: &At<'_>, list: &str) {
        if !list.is_empty() && !list.split(',').all(is_range) {
            self.error(at, format_args!("{} is not a list of numbers such as 0-3,7", Shown(list)));
        }
    }

    /// A variable without a name or a value would make the whole environment unusable.
    fn environment(&mut self, at: &At<'_>, variable: &str) {
        match variable.find('=') {
            None => self.error(at, format_args!("invalid environment variable: missing '='")),
            Some(0) => self.error(at, format_args!("invalid environment variable: name cannot be empty")),
            Some(_) => self.no_nul(at, variable),
        }
    }

    fn v1_only(&mut self, at: &At<'_>, is_set: bool) {
        if is_set {
            self.warning(at, format_args!("ignored: cgroup v2 has no such setting"));
        }
    }
}

/// `5`, `0-3`, or `0-31:2/4` (two of every four), as cpuset(7) has them.
fn is_range(text: &str) -> bool {
    let number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<u32>().ok())?;
    let (range, stride) = text.trim().split_once(':').unwrap_or((text.trim(), "1/1"));
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    let is_stride = stride.split_once('/').is_some_and(|(used, group)| {
        let (used, group) = (number(used), number(group));
        used.is_some() && group.is_some() && group != Some(0) && used <= group
    });
    matches!((number(first), number(last)), (Some(first), Some(last)) if first <= last) && is_stride
}
