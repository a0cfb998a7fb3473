//! Which commands this binary was built with: one feature of Cargo.toml for those that belong together. It must not do anything.

use super::flags::{CommandRow, PLAIN, Verb};
use crate::names::subjects::HELP;

/// Whether a command is in this binary.
pub const fn is_built(verb: Verb) -> bool {
    match verb {
        Verb::Blame | Verb::Chart | Verb::Top => cfg!(feature = "chart"),
        Verb::Bundle => cfg!(feature = "install"),
        Verb::Check => cfg!(feature = "check"),
        Verb::Create | Verb::Delete | Verb::Kill | Verb::List | Verb::Start | Verb::State => cfg!(feature = "lifecycle"),
        Verb::Events | Verb::Stats => cfg!(feature = "events"),
        Verb::Exec | Verb::Mounts => cfg!(feature = "exec"),
        Verb::Features => cfg!(feature = "features"),
        Verb::Pause | Verb::Resume => cfg!(feature = "pause"),
        Verb::Ps => cfg!(feature = "ps"),
        Verb::Seccomp => cfg!(feature = "seccomp-tools"),
        Verb::Spec => cfg!(feature = "spec"),
        Verb::Update => cfg!(feature = "update"),
        Verb::Boot | Verb::Help | Verb::Leave | Verb::Logs | Verb::Run | Verb::Service => true,
    }
}

/// Of a command that is left out remains the name, so that it can be refused.
pub(super) const fn reduced<const N: usize>(mut rows: [CommandRow; N]) -> [CommandRow; N] {
    let mut index = 0;
    while index < N {
        let (name, failure) = (rows[index].name, rows[index].failure);
        match rows[index].verb {
            Some(verb) if is_built(verb) => {}
            Some(_) => rows[index] = CommandRow { name, failure, summary: LEFT_OUT, ..PLAIN },
            None => {}
        }
        if !HELP {
            (rows[index].description, rows[index].arguments) = ("", "");
        }
        index += 1;
    }
    rows
}

/// What stands in the row of a command that is left out.
const LEFT_OUT: &str = "left out";

impl CommandRow {
    /// Whether it is not built because it was left out.
    pub fn is_left_out(&self) -> bool {
        self.summary == LEFT_OUT
    }
}
