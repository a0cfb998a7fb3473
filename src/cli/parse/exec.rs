//! The command line of `exec`: more options than any other, and some that may be given several times.

use core::ffi::CStr;

use super::{Given, Refusal, Result, dashed};
use crate::cli::flags::{MAX_OPTIONS, OptionRow, Value};

/// The options of `exec`.
#[derive(Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields are the options")]
pub struct Exec<'a> {
    pub id: &'a str,
    /// The program and its arguments.
    pub command: &'a [&'a CStr],
    pub console_socket: Option<&'a CStr>,
    pub pidfd_socket: Option<&'a CStr>,
    pub pid_file: Option<&'a CStr>,
    pub process: Option<&'a CStr>,
    pub cwd: &'a str,
    pub env: Texts<'a>,
    pub tty: bool,
    /// An empty one is no user, but was given.
    pub user: Option<&'a str>,
    pub additional_gids: Texts<'a>,
    pub detach: bool,
    pub process_label: &'a str,
    pub apparmor: &'a str,
    pub no_new_privs: Option<bool>,
    pub cap: Texts<'a>,
    pub preserve_fds: u32,
    pub cgroup: Option<&'a str>,
    pub ignore_paused: bool,
}

/// The values of an option that may be given several times, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Texts<'a> {
    /// The place of its row.
    place: usize,
    rows: &'static [OptionRow],
    words: &'a [&'a CStr],
}

impl<'a> Iterator for Texts<'a> {
    type Item = &'a str;

    /// They were seen to be text, and to be there.
    fn next(&mut self) -> Option<&'a str> {
        while let Some((word, after)) = self.words.split_first() {
            let (name, value) = dashed(word).unwrap_or((b"", None));
            let place = self.rows.iter().position(|row| row.is_called(name));
            let takes_word = value.is_none() && place.is_some_and(|place| self.rows[place].value() != Value::Switch);
            self.words = if takes_word { after.get(1..).unwrap_or_default() } else { after };
            if place == Some(self.place) {
                return value.or(after.first().copied()).and_then(|value| value.to_str().ok());
            }
        }
        None
    }
}

/// Takes it from what was given.
pub(super) fn read<'a>(given: &Given<'a>) -> Result<'a, Exec<'a>> {
    let (id, command) = given.rest.split_first().map_or((c"", given.rest), |(id, command)| (*id, command));
    Ok(Exec {
        id: id.to_str().map_err(|_| Refusal::Id)?,
        command,
        console_socket: given.value("console-socket"),
        pidfd_socket: given.value("pidfd-socket"),
        pid_file: given.value("pid-file"),
        process: given.value("process"),
        cwd: given.text("cwd")?.unwrap_or_default(),
        env: given.texts("env")?,
        tty: given.is_on("tty"),
        user: given.text("user")?,
        additional_gids: given.texts("additional-gids")?,
        detach: given.is_on("detach"),
        process_label: given.text("process-label")?.unwrap_or_default(),
        apparmor: given.text("apparmor")?.unwrap_or_default(),
        no_new_privs: given.text("no-new-privs")?.map(|_| given.is_on("no-new-privs")),
        cap: given.texts("cap")?,
        preserve_fds: given.number("preserve-fds"),
        cgroup: given.text("cgroup")?,
        ignore_paused: given.is_on("ignore-paused"),
    })
}

impl<'a> Given<'a> {
    /// The value of an option that was given, perhaps empty, as text.
    fn text(&self, name: &'static str) -> Result<'a, Option<&'a str>> {
        let value = self.place(name.as_bytes()).and_then(|place| self.values[place]);
        value.map(|value| value.to_str().map_err(|_| Refusal::NotText(name))).transpose()
    }

    /// The values of an option that may be given several times.
    fn texts(&self, name: &'static str) -> Result<'a, Texts<'a>> {
        let words = &self.words[..self.words.len() - self.rest.len()];
        let texts = Texts { place: self.place(name.as_bytes()).unwrap_or(MAX_OPTIONS), rows: self.rows, words };
        if words.iter().all(|word| word.to_str().is_ok()) { Ok(texts) } else { Err(Refusal::NotText(name)) }
    }
}
