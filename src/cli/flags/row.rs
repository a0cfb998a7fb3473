//! What the text of an option's row says.

use super::{OptionRow, Value};

impl OptionRow {
    /// The long name.
    pub fn name(&self) -> &'static str {
        self.split().0
    }

    /// The name in one letter; may be empty.
    pub fn short(&self) -> &'static str {
        self.split().1
    }

    /// What help calls the value; empty for a switch.
    pub fn word(&self) -> &'static str {
        self.split().2
    }

    /// Whether `name`, without dashes, means this option.
    pub fn is_called(&self, name: &[u8]) -> bool {
        let (long, short, _) = self.split();
        !name.is_empty() && (name == long.as_bytes() || name == short.as_bytes())
    }

    /// Whether help leaves it out.
    pub fn is_hidden(&self) -> bool {
        self.help().is_empty()
    }

    /// What it takes.
    pub fn value(&self) -> Value {
        match self.0.as_bytes().first() {
            Some(b'S') => Value::Switch,
            Some(b'N') => Value::Number,
            Some(b'M') => Value::Many,
            _ => Value::Text,
        }
    }

    /// What it is for; may be empty.
    pub fn help(&self) -> &'static str {
        self.spelling_and_help().1
    }

    fn spelling_and_help(&self) -> (&'static str, &'static str) {
        self.0.get(1..).and_then(|text| text.split_once('\n')).unwrap_or_default()
    }

    fn split(&self) -> (&'static str, &'static str, &'static str) {
        let spelling = self.spelling_and_help().0;
        let (names, word) = spelling.split_once('=').unwrap_or((spelling, ""));
        let (long, short) = names.split_once(',').unwrap_or((names, ""));
        (long, short, word)
    }
}
