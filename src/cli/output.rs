//! What the commands answer, as text: states and lists, laid out as runc does, because callers parse them.
//! It must not gather anything, and does not know where the text goes.

use core::fmt::{self, Write};

use super::json_text::Indent;
use super::version::SPEC_VERSION;
use crate::log::JsonString;
use crate::mem::List;

/// What `state` and `list` tell about a container.
#[derive(Clone, Copy, Debug)]
pub struct ContainerState<'a> {
    /// Its name.
    pub id: &'a str,
    /// Its first process; 0 when stopped.
    pub pid: u32,
    /// `created`, `running`, `paused` or `stopped`.
    pub status: &'a str,
    /// The bundle's absolute path.
    pub bundle: &'a str,
    /// The root file system's absolute path.
    pub rootfs: &'a str,
    /// When it was created: a printed [`crate::log::Time`].
    pub created: &'a str,
    /// Keys and values, in any order; of equal keys the last counts.
    pub annotations: List<'a, (&'a str, &'a str)>,
    /// The name of the user that owns it, or `#uid`; empty for `state`.
    pub owner: &'a str,
}

/// Prints a state as `state` does: indented by two spaces, no newline at the end.
pub fn state(container: &ContainerState<'_>, out: &mut dyn Write) -> fmt::Result {
    object(container, &mut Indent::new("  ", out))
}

/// Prints states as `list --format json` does: one line.
pub fn list_json(containers: List<'_, ContainerState<'_>>, out: &mut dyn Write) -> fmt::Result {
    if containers.is_empty() {
        return out.write_str("null\n");
    }
    let mut before = '[';
    for container in containers.iter() {
        out.write_char(before)?;
        object(container, out)?;
        before = ',';
    }
    out.write_str("]\n")
}

/// Prints ids as `list --quiet` does: one a line.
pub fn list_ids(ids: List<'_, &str>, out: &mut dyn Write) -> fmt::Result {
    ids.iter().try_for_each(|id| writeln!(out, "{id}"))
}

/// Prints states as `list` does: in columns.
pub fn list_table(containers: List<'_, ContainerState<'_>>, out: &mut dyn Write) -> fmt::Result {
    let mut widths = [MIN_WIDTH; COLUMNS];
    rows(containers, &mut |row| {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count() + PADDING);
        }
        Ok(())
    })?;
    rows(containers, &mut |row| {
        let (last, cells) = row.split_last().unwrap_or((&"", &[]));
        for (width, cell) in widths.iter().zip(cells) {
            out.write_str(cell)?;
            blanks(width.saturating_sub(cell.chars().count()), out)?;
        }
        writeln!(out, "{last}")
    })
}

/// By the piece: a format writes one after the other.
fn blanks(mut count: usize, out: &mut dyn Write) -> fmt::Result {
    const PIECE: &str = "                                ";
    while let Some(less) = count.checked_sub(PIECE.len()) {
        out.write_str(PIECE)?;
        count = less;
    }
    out.write_str(&PIECE[..count])
}

/// As narrow as a column of runc's gets, its padding included.
const MIN_WIDTH: usize = 12;

/// Blanks behind the widest cell of a column.
const PADDING: usize = 3;

const COLUMNS: usize = 6;

/// Shows the title and then each container to `visit`, as cells.
fn rows(containers: List<'_, ContainerState<'_>>, visit: &mut dyn FnMut([&str; COLUMNS]) -> fmt::Result) -> fmt::Result {
    visit(["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"])?;
    containers.iter().try_for_each(|container| {
        let mut pid = crate::mem::Text::<10>::default();
        write!(pid, "{}", container.pid)?;
        visit([container.id, pid.as_str(), container.status, container.bundle, container.created, container.owner])
    })
}

fn object(container: &ContainerState<'_>, out: &mut dyn Write) -> fmt::Result {
    write!(out, "{{\"ociVersion\":\"{SPEC_VERSION}\",\"id\":{},\"pid\":{}", JsonString(container.id), container.pid)?;
    for (key, value) in
        [("status", container.status), ("bundle", container.bundle), ("rootfs", container.rootfs), ("created", container.created)]
    {
        write!(out, ",\"{key}\":{}", JsonString(value))?;
    }
    annotations(container.annotations, out)?;
    write!(out, ",\"owner\":{}}}", JsonString(container.owner))
}

/// Go sorts the keys of a map. Without memory to sort in, each round looks for the next key: quadratic, over a handful.
fn annotations(list: List<'_, (&str, &str)>, out: &mut dyn Write) -> fmt::Result {
    let next = |after: Option<&str>| {
        let later = list.iter().filter(|row| after.is_none_or(|key| row.0 > key));
        later.reduce(|first, row| if row.0 <= first.0 { row } else { first })
    };
    let Some(mut row) = next(None) else { return Ok(()) };
    let mut before = ",\"annotations\":{";
    loop {
        write!(out, "{before}{}:{}", JsonString(row.0), JsonString(row.1))?;
        before = ",";
        match next(Some(row.0)) {
            Some(later) => row = later,
            None => return out.write_char('}'),
        }
    }
}

#[cfg(test)]
mod tests {
    use core::mem::MaybeUninit;

    use super::*;
    use crate::mem::Arena;

    fn alpha() -> ContainerState<'static> {
        ContainerState {
            id: "alpha",
            pid: 4711,
            status: "running",
            bundle: "/run/bundles/alpha",
            rootfs: "/run/bundles/alpha/rootfs",
            created: "2026-11-23T22:47:44.120000001Z",
            annotations: List::default(),
            owner: "",
        }
    }

    fn print(write: impl FnOnce(&mut dyn Write) -> fmt::Result) -> String {
        let mut text = String::new();
        write(&mut text).unwrap();
        text
    }

    /// Lets `check` see a list of these containers.
    fn with(containers: &[ContainerState<'static>], check: impl FnOnce(List<'_, ContainerState<'static>>)) {
        let mut room = [MaybeUninit::uninit(); 4096];
        let arena = Arena::new(&mut room);
        let mut list = List::default();
        for container in containers {
            list.push(&arena, *container).unwrap();
        }
        check(list);
    }

    #[test]
    fn state_has_runcs_keys_in_runcs_order_and_no_newline_at_the_end() {
        let expected = r#"{
  "ociVersion": "1.3.0",
  "id": "alpha",
  "pid": 4711,
  "status": "running",
  "bundle": "/run/bundles/alpha",
  "rootfs": "/run/bundles/alpha/rootfs",
  "created": "2026-11-23T22:47:44.120000001Z",
  "owner": ""
}"#;
        assert_eq!(print(|out| state(&alpha(), out)), expected);
    }

    #[test]
    fn annotations_are_sorted_and_escaped_and_of_equal_keys_the_last_counts() {
        let mut room = [MaybeUninit::uninit(); 1024];
        let arena = Arena::new(&mut room);
        let mut annotations = List::default();
        for row in [("b", "1"), ("a", "<x>"), ("b", "2"), ("", "empty"), ("c", "\"q\"")] {
            annotations.push(&arena, row).unwrap();
        }
        let text = print(|out| state(&ContainerState { annotations, ..alpha() }, out));
        let expected = "  \"annotations\": {\n    \"\": \"empty\",\n    \"a\": \"\\u003cx\\u003e\",\n    \"b\": \"2\",\n    \"c\": \"\\\"q\\\"\"\n  },\n  \"owner\"";
        assert!(text.contains(expected), "{text}");
    }

    #[test]
    fn the_table_has_columns_of_at_least_twelve() {
        let beta = ContainerState { id: "a-rather-long-id", pid: 0, status: "stopped", bundle: "/ü", owner: "root", ..alpha() };
        with(&[ContainerState { owner: "#1000", ..alpha() }, beta], |list| {
            let expected = "\
ID                 PID         STATUS      BUNDLE               CREATED                          OWNER
alpha              4711        running     /run/bundles/alpha   2026-11-23T22:47:44.120000001Z   #1000
a-rather-long-id   0           stopped     /ü                   2026-11-23T22:47:44.120000001Z   root
";
            assert_eq!(print(|out| list_table(list, out)), expected);
        });
    }

    #[test]
    fn an_empty_list_is_a_title_or_null_or_nothing_as_runc_says() {
        let root = std::env::temp_dir().join(format!("ocinit-list-{}", std::process::id()));
        std::fs::create_dir_all(&root).unwrap();
        let runc = |options: &[&str]| {
            let output = std::process::Command::new("runc").arg("--root").arg(&root).arg("list").args(options).output();
            output.ok().map(|output| String::from_utf8(output.stdout).unwrap())
        };
        for (options, ours) in [
            (&[][..], print(|out| list_table(List::default(), out))),
            (&["-f", "json"], print(|out| list_json(List::default(), out))),
            (&["-q"], print(|out| list_ids(List::default(), out))),
        ] {
            match runc(options) {
                Some(theirs) => assert_eq!(ours, theirs, "{options:?}"),
                None => eprintln!("skipped: no runc on this host"),
            }
        }
        std::fs::remove_dir_all(&root).unwrap();
    }

    #[test]
    fn the_json_list_is_one_line_with_the_owners() {
        with(&[ContainerState { owner: "root", ..alpha() }, ContainerState { id: "b", pid: 0, status: "stopped", ..alpha() }], |list| {
            let rest = r#","bundle":"/run/bundles/alpha","rootfs":"/run/bundles/alpha/rootfs","created":"2026-11-23T22:47:44.120000001Z","owner":"#;
            let expected = format!(
                "[{{\"ociVersion\":\"1.3.0\",\"id\":\"alpha\",\"pid\":4711,\"status\":\"running\"{rest}\"root\"}},\
                 {{\"ociVersion\":\"1.3.0\",\"id\":\"b\",\"pid\":0,\"status\":\"stopped\"{rest}\"\"}}]\n"
            );
            assert_eq!(print(|out| list_json(list, out)), expected);
        });
    }
}
