//! Who we are: the answer to `--version`, and the name that we were called by.

use core::fmt::{self, Write};

/// Our version: that of the package.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The commit that we were built from, as OCINIT_COMMIT named it at build time. No dates: a build can be repeated.
pub const COMMIT: &str = match option_env!("OCINIT_COMMIT") {
    Some(commit) => commit,
    None => "unknown",
};

pub use crate::spec::VERSION as SPEC_VERSION;

/// The oldest runtime-spec whose config.json we take.
pub const OLDEST_SPEC_VERSION: &str = "1.0.0";

/// The name to show: `runc` to those who called us so, because older callers want to read `runc version`; else `ocinit`.
pub fn program(argv0: &[u8]) -> &'static str {
    match argv0.rsplit(|byte| *byte == b'/').next() {
        Some(b"runc") => "runc",
        _ => "ocinit",
    }
}

/// Prints what `--version` prints.
pub fn print(program: &str, out: &mut dyn Write) -> fmt::Result {
    write!(out, "{program} version {VERSION}\ncommit: {COMMIT}\nspec: {SPEC_VERSION}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callers_can_read_name_version_commit_and_spec() {
        let mut text = String::new();
        print("ocinit", &mut text).unwrap();
        let expected = format!("ocinit version {}\ncommit: {COMMIT}\nspec: 1.3.0\n", env!("CARGO_PKG_VERSION"));
        assert_eq!(text, expected);
    }

    #[test]
    fn we_are_called_runc_only_by_those_who_call_us_so() {
        for (argv0, name) in [
            (&b"runc"[..], "runc"),
            (b"/usr/bin/runc", "runc"),
            (b"./runc", "runc"),
            (b"ocinit", "ocinit"),
            (b"/usr/bin/runc-ocinit", "ocinit"),
            (b"/runc/", "ocinit"),
            (b"", "ocinit"),
        ] {
            assert_eq!(program(argv0), name);
        }
    }
}
