//! Help, printed from the table of commands and options, in the sections that runc's help has.

use core::fmt::{self, Write};

use super::flags::{COMMANDS, CommandRow, GLOBAL, OptionRow};
use super::parse::Topic;
use super::refusal::Misuse;
use super::version;

const SUMMARY: &str = "Open Container Initiative runtime for embedded Linux";

/// Prints help on `topic`; `program` is the name to show.
pub fn print(topic: Topic, program: &str, out: &mut dyn Write) -> fmt::Result {
    match topic {
        Topic::Program => print_program(program, out),
        Topic::Command(row) => print_command(row, program, out),
    }
}

/// Prints what stands on stdout when a command line was wrongly used: what is wrong, and the help that says how it is right.
pub fn print_misuse(command: Option<&'static CommandRow>, misuse: &Misuse<'_>, program: &str, out: &mut dyn Write) -> fmt::Result {
    misuse.headline(command.is_none(), out)?;
    print(command.map_or(Topic::Program, Topic::Command), program, out)
}

fn print_program(program: &str, out: &mut dyn Write) -> fmt::Result {
    write!(
        out,
        "NAME:\n   {program} - {SUMMARY}\n\n\
         USAGE:\n   {program} [global options] command [command options] [arguments...]\n\n\
         VERSION:\n   {}\ncommit: {}\nspec: {}\n\nCOMMANDS:\n",
        version::VERSION,
        version::COMMIT,
        version::SPEC_VERSION
    )?;
    let built = || COMMANDS.iter().filter(|row| row.verb.is_some());
    let width = built().map(|row| row.name.len()).max().unwrap_or(0);
    for row in built() {
        writeln!(out, "   {:width$}  {}", row.name, row.summary)?;
    }
    print_options("GLOBAL OPTIONS", GLOBAL, out)
}

fn print_command(row: &CommandRow, program: &str, out: &mut dyn Write) -> fmt::Result {
    let name = row.name;
    let options = if row.options.iter().any(|row| !row.is_hidden()) { " [command options]" } else { "" };
    let gap = if row.arguments.is_empty() { "" } else { " " };
    write!(out, "NAME:\n   {program} {name} - {}\n\nUSAGE:\n   {program} {name}{options}{gap}{}\n", row.summary, row.arguments)?;
    if !row.description.is_empty() {
        write!(out, "\nDESCRIPTION:\n   {}\n", row.description)?;
    }
    if options.is_empty() { Ok(()) } else { print_options("OPTIONS", row.options, out) }
}

fn print_options(title: &str, rows: &[OptionRow], out: &mut dyn Write) -> fmt::Result {
    let shown = || rows.iter().filter(|row| !row.is_hidden());
    let width = shown().map(width).max().unwrap_or(0);
    write!(out, "\n{title}:\n")?;
    for row in shown() {
        out.write_str("   ")?;
        write_names(row, out)?;
        for _ in self::width(row)..width {
            out.write_char(' ')?;
        }
        writeln!(out, "  {}", row.help())?;
    }
    Ok(())
}

/// `--bundle DIR, -b DIR`.
fn write_names(row: &OptionRow, out: &mut dyn Write) -> fmt::Result {
    let (word, short) = (row.word(), row.short());
    let gap = if word.is_empty() { "" } else { " " };
    write!(out, "--{}{gap}{word}", row.name())?;
    if short.is_empty() { Ok(()) } else { write!(out, ", -{short}{gap}{word}") }
}

/// How many characters [`write_names`] writes.
fn width(row: &OptionRow) -> usize {
    let mut count = Count(0);
    let _ = write_names(row, &mut count); // counting cannot fail
    count.0
}

struct Count(usize);

impl Write for Count {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0 += text.len();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::flags;

    fn help(topic: Topic) -> String {
        let mut text = String::new();
        print(topic, "ocinit", &mut text).unwrap();
        text
    }

    #[test]
    fn the_program_lists_what_is_built_and_nothing_else() {
        let text = help(Topic::Program);
        let (_, commands) = text.split_once("COMMANDS:\n").unwrap();
        let (commands, options) = commands.split_once("\n\nGLOBAL OPTIONS:\n").unwrap();
        let names: Vec<&str> = commands.lines().filter_map(|line| line.split_whitespace().next()).collect();
        let built: Vec<&str> = flags::COMMANDS.iter().filter(|row| row.verb.is_some()).map(|row| row.name).collect();
        assert_eq!(names, built);
        assert!(built.is_sorted() && built.contains(&"run") && !built.contains(&"checkpoint"));
        assert!(options.contains("   --root DIR                "), "{options}");
        assert!(options.contains("   --help, -h  "), "{options}");
    }

    #[test]
    fn a_command_shows_its_usage_and_its_options_in_columns() {
        let text = help(Topic::Command(flags::command(b"delete").unwrap()));
        let expected = "NAME:\n   ocinit delete - delete what is left of a container\n\n\
            USAGE:\n   ocinit delete [command options] <container-id>\n\n\
            DESCRIPTION:\n   Removes the cgroup and the state of a container that has stopped, or that was created and never started.\n\n\
            OPTIONS:\n   --force, -f  kill the container first if it runs; no error if there is none\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn misuse_is_named_above_the_help_that_belongs_to_it() {
        let misuse = Misuse::UnknownOption(b"x");
        for (command, headline, name) in
            [(None, "Incorrect Usage. ", "ocinit"), (flags::command(b"list"), "Incorrect Usage: ", "ocinit list")]
        {
            let mut text = String::new();
            print_misuse(command, &misuse, "ocinit", &mut text).unwrap();
            let expected = format!("{headline}flag provided but not defined: -x\n\nNAME:\n   {name} - ");
            assert!(text.starts_with(&expected), "{text}");
        }
    }

    #[test]
    fn hidden_options_are_not_shown() {
        let kill = help(Topic::Command(flags::command(b"kill").unwrap()));
        assert!(kill.contains("ocinit kill <container-id> [signal]\n"), "{kill}");
        assert!(!kill.contains("--all"), "{kill}");
        let create = help(Topic::Command(flags::command(b"create").unwrap()));
        assert!(!create.contains("--detach"), "{create}");
        assert!(create.contains("\n   --bundle DIR, -b DIR   the bundle's"), "{create}");
    }

    #[test]
    fn every_row_of_help_ends_without_a_blank() {
        for topic in flags::COMMANDS.iter().map(Topic::Command).chain([Topic::Program]) {
            assert!(help(topic).lines().all(|line| !line.ends_with(' ')), "{topic:?}");
        }
    }
}
