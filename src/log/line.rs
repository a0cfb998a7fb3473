//! One line of a log, as runc's callers read it: logrus text, or one JSON object with sorted keys.

use core::fmt::{self, Display, Write};

use super::json_string::JsonEscaping;
use super::quote::Escaping;
use super::time::Time;

/// `--log-format`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// `time="…" level=… msg="…"`.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// How bad what a log line tells is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum Level {
    Debug,
    Info,
    Warning,
    Error,
}

impl Level {
    fn word(self) -> &'static str {
        match self {
            Level::Debug => "debug",
            Level::Info => "info",
            Level::Warning => "warning",
            Level::Error => "error",
        }
    }
}

/// Prints one line of a log, with its newline.
pub fn line(format: Format, time: Time, level: Level, message: &dyn Display, out: &mut dyn Write) -> fmt::Result {
    let (time, level) = (time.whole(), level.word());
    match format {
        Format::Text => {
            write!(out, "time=\"{time}\" level={level} msg=")?;
            text_value(message, out)?;
            out.write_char('\n')
        }
        Format::Json => {
            write!(out, "{{\"level\":\"{level}\",\"msg\":\"")?;
            write!(JsonEscaping(out), "{message}")?;
            writeln!(out, "\",\"time\":\"{time}\"}}")
        }
    }
}

/// Quotes a message unless it is one plain word.
fn text_value(message: &dyn Display, out: &mut dyn Write) -> fmt::Result {
    if write!(PlainWord, "{message}").is_ok() {
        return write!(out, "{message}");
    }
    out.write_char('"')?;
    write!(Escaping(out), "{message}")?;
    out.write_char('"')
}

/// Takes text as long as it needs no quotes.
struct PlainWord;

impl Write for PlainWord {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let is_plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._/@^+".contains(&byte));
        if is_plain { Ok(()) } else { Err(fmt::Error) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn print(write: impl FnOnce(&mut dyn Write) -> fmt::Result) -> String {
        let mut text = String::new();
        write(&mut text).unwrap();
        text
    }

    const NOON: Time = Time { seconds: 1_795_435_200, nanoseconds: 5 };

    #[test]
    fn a_text_log_line_quotes_the_message_unless_it_is_one_plain_word() {
        for (message, shown) in [
            ("container does not exist", r#""container does not exist""#),
            (r#"runc: "create" requires exactly 1 argument(s)"#, r#""runc: \"create\" requires exactly 1 argument(s)""#),
            ("one\ntwo", r#""one\ntwo""#),
            ("timeout", "timeout"),
            ("/a/b-c_d.e@f^g+1", "/a/b-c_d.e@f^g+1"),
            ("é", "\"é\""),
        ] {
            let line = print(|out| line(Format::Text, NOON, Level::Error, &message, out));
            assert_eq!(line, format!("time=\"2026-11-23T12:00:00Z\" level=error msg={shown}\n"));
        }
    }

    #[test]
    fn a_json_log_line_is_one_object_with_sorted_keys() {
        let line = print(|out| line(Format::Json, NOON, Level::Warning, &"say \"<hi>\"\n", out));
        let expected = "{\"level\":\"warning\",\"msg\":\"say \\\"\\u003chi\\u003e\\\"\\n\",\"time\":\"2026-11-23T12:00:00Z\"}\n";
        assert_eq!(line, expected);
    }

    #[test]
    fn runc_writes_the_same_line_for_the_same_message() {
        for (format, options) in [(Format::Text, "--log-format=text"), (Format::Json, "--log-format=json")] {
            let output = std::process::Command::new("runc").args([options, "list", "--quiet=<&\"\u{1}é>"]).output();
            let Ok(output) = output else { return eprintln!("skipped: no runc on this host") };
            let theirs = String::from_utf8(output.stderr).unwrap();
            let message = "invalid boolean value \"<&\\\"\\x01é>\" for -quiet: parse error";
            let ours = print(|out| line(format, NOON, Level::Error, &message, out));
            let time = theirs.find("20").unwrap();
            let theirs = theirs.replace(&theirs[time..time + "2026-11-23T12:00:00Z".len()], "2026-11-23T12:00:00Z");
            assert_eq!(ours, theirs);
        }
    }
}
