//! docs/support.md says what is honoured, row for row, and by which test it is shown. It is made here, of tests/support/rows.txt.
//!
//! Must: fail when the page is stale, when a row names a test that is not there, and when a field of the schema has no row.
//! `OCINIT_WRITE_DOCS=1 cargo test --test support` writes the page.
#![allow(clippy::unwrap_used, reason = "a test that cannot read the tree has failed")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

const PAGE: &str = "docs/support.md";

fn top() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(top().join(path)).unwrap_or_else(|why| panic!("{path}: {why}"))
}

/// One row of the table.
struct Row {
    field: String,
    state: String,
    note: String,
    proofs: Vec<String>,
}

fn rows(text: &str) -> Vec<(String, Vec<Row>)> {
    let mut tables: Vec<(String, Vec<Row>)> = Vec::new();
    for line in text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        if let Some(title) = line.strip_prefix("= ") {
            tables.push((title.to_string(), Vec::new()));
            continue;
        }
        let cells: Vec<_> = line.split(" |").map(str::trim).collect();
        let [field, state, note, proofs] = cells[..] else { panic!("no row of four cells: {line}") };
        let proofs = proofs.split("; ").map(str::to_string).collect();
        let row = Row { field: field.into(), state: state.into(), note: note.into(), proofs };
        tables.last_mut().unwrap().1.push(row);
    }
    tables
}

fn page(tables: &[(String, Vec<Row>)]) -> String {
    let mut page = String::from(
        "# Support\n\nWhat ocinit honours of config.json (runtime-spec 1.3.0), and the test that fails if it does not. ✓ honoured · ◐ in part · i ignored, \
         with a\nwarning · ✗ refused by name · – not for Linux.\n\nMade by tests/support.rs of tests/support/rows.txt; `OCINIT_WRITE_DOCS=1 cargo test \
         --test support` makes it anew.\n",
    );
    for (title, rows) in tables {
        write!(page, "\n## {title}\n\n| field | | note | shown by |\n|---|---|---|---|\n").unwrap();
        for row in rows {
            let sign = match row.state.as_str() {
                "yes" => "✓",
                "part" => "◐",
                "ignored" => "i",
                "refused" => "✗",
                "-" => "–",
                other => panic!("{}: {other:?} is no state", row.field),
            };
            assert!(sign == "✓" || !row.note.is_empty(), "{}: why?", row.field);
            let field: Vec<_> = row.field.split(", ").map(|field| format!("`{field}`")).collect();
            writeln!(page, "| {} | {sign} | {} | {} |", field.join(" "), row.note, row.proofs.join("; ")).unwrap();
        }
    }
    page
}

#[test]
fn the_page_is_what_the_rows_say() {
    let fresh = page(&rows(&read("tests/support/rows.txt")));
    if std::env::var_os("OCINIT_WRITE_DOCS").is_some() {
        fs::write(top().join(PAGE), &fresh).unwrap();
    }
    assert!(read(PAGE) == fresh, "{PAGE} is stale: OCINIT_WRITE_DOCS=1 cargo test --test support");
}

/// Everything that is written in files with this ending, one behind the other.
fn all(folder: &Path, ending: &str, text: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all(&path, ending, text);
        } else if path.extension().is_some_and(|extension| extension == ending) {
            text.push_str(&fs::read_to_string(&path).unwrap());
        }
    }
}

#[test]
fn every_test_that_a_row_names_is_there() {
    let (mut cases, mut units) = (String::new(), String::new());
    all(&top().join("tests/containers/cases"), "json", &mut cases);
    all(&top().join("src"), "rs", &mut units);
    let broken = read("tests/configs/broken.txt");
    for row in rows(&read("tests/support/rows.txt")).iter().flat_map(|(_, rows)| rows) {
        assert!(!row.proofs.is_empty() && !row.proofs[0].is_empty(), "{}: shown by nothing", row.field);
        for proof in &row.proofs {
            let is_there = if let Some(name) = proof.strip_prefix("unit: ") {
                units.contains(&format!("fn {name}()"))
            } else if let Some(said) = proof.strip_prefix("broken: ") {
                broken.contains(said)
            } else {
                cases.contains(&format!("\"name\": {:?}", proof))
            };
            assert!(is_there, "{}: no test is called {proof:?}", row.field);
        }
    }
}

/// `a.{b,c}` and `a, b` as the fields that they stand for.
fn expand(field: &str) -> Vec<String> {
    match field.split_once(".{") {
        Some((head, tail)) => tail.trim_end_matches('}').split(',').map(|key| format!("{head}.{key}")).collect(),
        None => vec![field.to_string()],
    }
}

/// The objects of the schema: key and type of each field, by the object's name.
fn objects() -> BTreeMap<String, Vec<(String, String)>> {
    let mut text = String::new();
    all(&top().join("src/spec"), "rs", &mut text);
    let mut found = BTreeMap::new();
    for object in text.split("object! {").skip(1) {
        let body = object.split("\n}").next().unwrap();
        let head = body.lines().find(|line| line.ends_with('{')).unwrap().trim();
        let name: String = head.chars().take_while(|letter| letter.is_alphanumeric()).collect();
        let fields = body.lines().filter_map(|line| {
            let (key, rest) = line.trim().split_once(" => ")?;
            let (_, kind) = rest.split_once(": ")?;
            Some((key.trim_matches('"').to_string(), kind.trim_end_matches(',').to_string()))
        });
        found.insert(name, fields.collect());
    }
    found
}

/// The paths of all fields below an object that hold no further objects.
fn leaves(object: &str, above: &str, objects: &BTreeMap<String, Vec<(String, String)>>, found: &mut BTreeSet<String>) {
    for (key, kind) in &objects[object] {
        let path = if above.is_empty() { key.clone() } else { format!("{above}.{key}") };
        let words: Vec<&str> = kind.split(|letter: char| !letter.is_alphanumeric()).filter(|word| objects.contains_key(*word)).collect();
        match words.as_slice() {
            [] => {
                found.insert(path);
            }
            [inner, ..] => leaves(inner, &path, objects, found),
        }
    }
}

#[test]
fn every_field_of_the_schema_has_a_row_and_no_other_does() {
    let objects = objects();
    let mut schema = BTreeSet::new();
    leaves("Config", "", &objects, &mut schema);
    assert!(schema.len() > 150, "the schema was not found: {schema:?}");
    let tables = rows(&read("tests/support/rows.txt"));
    let told: Vec<String> = tables[..4].iter().flat_map(|(_, rows)| rows).flat_map(|row| expand(&row.field)).collect();
    let once: BTreeSet<String> = told.iter().cloned().collect();
    assert_eq!(schema.difference(&once).collect::<Vec<_>>(), Vec::<&String>::new(), "have no row");
    assert_eq!(once.difference(&schema).collect::<Vec<_>>(), Vec::<&String>::new(), "are no fields");
    assert_eq!(once.len(), told.len(), "a field stands twice");
}

#[test]
fn every_mount_option_has_a_row() {
    let source = read("src/names/mount_options.rs");
    let table = source.split("= table![").nth(1).unwrap().split("];").next().unwrap();
    let known: BTreeSet<&str> = table.lines().filter_map(|line| line.trim().strip_prefix('"')?.split('"').next()).collect();
    assert!(known.len() > 50, "the options were not found");
    let tables = rows(&read("tests/support/rows.txt"));
    let options = &tables.iter().find(|(title, _)| title == "Mount options").unwrap().1;
    let told: BTreeSet<&str> = options.iter().flat_map(|row| row.field.split(", ")).filter(|option| *option != "anything else").collect();
    assert_eq!(known.symmetric_difference(&told).collect::<Vec<_>>(), Vec::<&&str>::new(), "without a row, or no option");
}
