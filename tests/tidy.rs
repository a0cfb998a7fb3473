//! The shape of the source is a test: floors, where `unsafe` and std may stand, names, lengths, dependencies, the top level.
//!
//! Must: be fast, need no root and no network. Mustn't: build anything. Each rule is also shown a sample that it has to refuse.

#![allow(clippy::unwrap_used, reason = "a test that cannot read the tree has failed")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use rust::{code, code_without_tests, crate_paths, expand, is_word, places};

#[path = "tidy/rust.rs"]
mod rust;

/// Who may import whom: a module imports modules of lower floors, neither above nor beside its own.
const FLOORS: [(&str, usize); 12] = [
    ("sys", 0),
    ("mem", 0),
    ("error", 1),
    ("json", 2),
    ("names", 2),
    ("log", 2),
    ("spec", 3),
    ("plan", 4),
    ("steps", 5),
    ("container", 6),
    ("init", 7),
    ("cli", 8),
];

/// Imports that the floors allow and the design does not: a step parses nothing.
const APART: [(&str, &str); 1] = [("steps", "json")];

/// What only the build with the feature `libseccomp` has: the library hands its program out through a descriptor.
const LIBRARY: &str = "src/plan/seccomp/library.rs";

/// The kernel boundary's types that the pure floor `plan` may name. No function that makes a system call belongs here.
const PLAN_MAY_NAME: [&str; 6] = ["Attributes", "CPointer", "Errno", "Limit", "Scheduler", "is_undefended"];

/// Where `unsafe` may stand: the two lowest floors, the entry point, and of the tests the harness's own system calls and those of a C library.
const UNSAFE_MAY_STAND_IN: [&str; 6] =
    ["src/sys/", "src/mem/", "src/main.rs", "tests/containers/sys.rs", "tests/escape/tracee.rs", "tests/seccomp/reference.rs"];

/// Where an instruction set may be named: the kernel boundary, and the entry point's stubs for the linker.
const INSTRUCTION_SETS_MAY_BE_NAMED_IN: [&str; 2] = ["src/sys/", "src/main.rs"];

/// Names that say nothing: a file called so is two files.
const SAYS_NOTHING: [&str; 8] = ["util", "utils", "common", "helper", "helpers", "manager", "impl", "misc"];

/// A file is read in one sitting, its tests included.
const MOST_LINES: usize = 600;

/// The dependencies that carry the product; what each replaces stands beside it in Cargo.toml.
const DEPENDENCIES: [&str; 8] =
    ["rustix", "linux-raw-sys", "serde", "serde-json-core", "heapless", "hmac-sha256", "ed25519-compact", "libseccomp-sys"];

/// What only the tests may use: references for our tables and our parser, and random texts.
const TEST_DEPENDENCIES: [&str; 3] = ["libc", "proptest", "tinyjson"];

/// The top level of the tree; `docs` comes with its first page.
#[rustfmt::skip]
const TOP_LEVEL: [&str; 19] = [
    "Cargo.toml", "Cargo.lock", "src", "build.rs", ".cargo", "cross", "tests", "Makefile", "README.md",
    "LICENSE", "ARCHITECTURE.md", "CHANGELOG.md", "SECURITY.md", "docs", ".ci", ".github", ".gitignore", "rustfmt.toml", "clippy.toml",
];

/// What lies at the top level without belonging to the tree.
const NOT_OURS: [&str; 2] = [".git", "target"];

/// One Rust file: its path from the top level, and its text.
struct Source {
    path: String,
    text: String,
}

type Complaints = Vec<String>;
type Rule = fn(&Source) -> Complaints;

fn top() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(top().join(path)).unwrap_or_else(|why| panic!("{path}: {why}"))
}

fn sources() -> Vec<Source> {
    let mut found = vec![Source { path: "build.rs".into(), text: read("build.rs") }];
    for folder in ["src", "tests", "cross"] {
        collect(&top().join(folder), &mut found);
    }
    assert!(found.len() > 10, "the source was not found");
    found
}

fn collect(folder: &Path, found: &mut Vec<Source>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let path = path.strip_prefix(top()).unwrap().to_str().unwrap().to_string();
            found.push(Source { text: read(&path), path });
        }
    }
}

fn assert_tree_keeps(rule: Rule) {
    let complaints: Complaints = sources().iter().flat_map(rule).collect();
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

fn assert_refused(rule: Rule, path: &str, text: &str) {
    assert!(!rule(&Source { path: path.into(), text: text.into() }).is_empty(), "was let through in {path}: {text}");
}

fn assert_allowed(rule: Rule, path: &str, text: &str) {
    let complaints = rule(&Source { path: path.into(), text: text.into() });
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

// ---- the rules

/// The top-level module that a file belongs to; `main.rs` and `lib.rs` stand above all floors.
fn module_of(path: &str) -> Option<&str> {
    let inside = path.strip_prefix("src/")?;
    let module = inside.split('/').next()?.trim_end_matches(".rs");
    (!matches!(module, "main" | "lib")).then_some(module)
}

fn floor_of(module: &str) -> Option<usize> {
    FLOORS.iter().find(|(name, _)| *name == module).map(|(_, floor)| *floor)
}

/// What the file imports from the crate, also by `super::` where that reaches the root.
fn imports(source: &Source) -> Vec<String> {
    let code = code(&source.text);
    let mut found = crate_paths(&code);
    let depth = source.path.trim_start_matches("src/").trim_end_matches(".rs").trim_end_matches("/mod").split('/').count();
    let climb = "super::".repeat(depth);
    for (at, _) in code.match_indices(climb.as_str()) {
        let mut reached = Vec::new();
        expand(&code[at + climb.len()..], "", &mut reached);
        found.extend(reached.into_iter().filter(|path| floor_of(path.split("::").next().unwrap_or_default()).is_some()));
    }
    found
}

fn floors(source: &Source) -> Complaints {
    let Some(module) = module_of(&source.path) else { return Vec::new() };
    let Some(own) = floor_of(module) else { return vec![format!("{}: the module {module} stands on no floor", source.path)] };
    let is_refused =
        |other: &str| other != module && (floor_of(other).is_none_or(|floor| floor >= own) || APART.contains(&(module, other)));
    imports(source)
        .iter()
        .filter(|path| is_refused(path.split("::").next().unwrap_or_default()))
        .map(|path| format!("{}: {module} (floor {own}) may not import crate::{path}", source.path))
        .collect()
}

fn plan_is_pure(source: &Source) -> Complaints {
    if module_of(&source.path) != Some("plan") || source.path == LIBRARY {
        return Vec::new();
    }
    let code = code(&source.text);
    let rustix = places(&code, "rustix").map(|_| format!("{}: plan may not use rustix", source.path));
    let sys = imports(source)
        .into_iter()
        .filter(|path| path.split("::").next() == Some("sys"))
        .filter(|path| !path.split("::").nth(1).is_some_and(|name| PLAN_MAY_NAME.contains(&name)))
        .map(|path| format!("{}: plan may not name crate::{path}; it may name of sys: {PLAN_MAY_NAME:?}", source.path));
    rustix.chain(sys).collect()
}

fn unsafe_stays_low(source: &Source) -> Complaints {
    if UNSAFE_MAY_STAND_IN.iter().any(|place| source.path.starts_with(place)) {
        return Vec::new();
    }
    let code = code(&source.text);
    ["unsafe", "unsafe_code"]
        .iter()
        .flat_map(|word| places(&code, word))
        .map(|_| format!("{}: unsafe, outside sys and mem", source.path))
        .collect()
}

fn instruction_sets_stay_low(source: &Source) -> Complaints {
    if !source.path.starts_with("src/") || INSTRUCTION_SETS_MAY_BE_NAMED_IN.iter().any(|place| source.path.starts_with(place)) {
        return Vec::new();
    }
    let code = code(&source.text);
    ["target_arch", "asm", "global_asm", "naked_asm"]
        .iter()
        .flat_map(|word| places(&code, word))
        .map(|_| format!("{}: names an instruction set, outside sys", source.path))
        .collect()
}

fn no_std_outside_tests(source: &Source) -> Complaints {
    if !source.path.starts_with("src/") || source.path.ends_with("/tests.rs") {
        return Vec::new();
    }
    let code = code_without_tests(&source.text);
    let compiled_always = places(&code, "mod").filter(|at| code[at + 3..].trim_start().starts_with("tests"));
    let is_library = |name: &str, at: usize| {
        let before = code[..at].trim_end();
        !before.ends_with("::") && (before.ends_with("extern crate") || code[at + name.len()..].trim_start().starts_with("::"))
    };
    let libraries =
        ["std", "alloc"].into_iter().flat_map(|name| places(&code, name).filter(move |at| is_library(name, *at)).map(move |_| name));
    let libraries = libraries.map(|name| format!("{}: {name}, outside tests", source.path));
    compiled_always.map(|_| format!("{}: tests, not behind #[cfg(test)]", source.path)).chain(libraries).collect()
}

fn opens_with_a_sentence(source: &Source) -> Complaints {
    let opening: Vec<&str> =
        source.text.lines().map_while(|line| line.strip_prefix("//!")).take_while(|line| !line.trim().is_empty()).collect();
    let sentence = opening.join(" ");
    if sentence.trim_end().ends_with(['.', ':']) { Vec::new() } else { vec![format!("{}: opens with no //! sentence", source.path)] }
}

fn is_read_in_one_sitting(source: &Source) -> Complaints {
    let lines = source.text.lines().count();
    if lines <= MOST_LINES { Vec::new() } else { vec![format!("{}: {lines} lines, at most {MOST_LINES}", source.path)] }
}

fn names_say_something(source: &Source) -> Complaints {
    let code = code(&source.text);
    let folders = source.path.split(['/', '.']).map(str::to_string);
    let modules = places(&code, "mod").map(|at| code[at + 3..].trim_start().chars().take_while(|character| is_word(*character)).collect());
    folders
        .chain(modules)
        .filter(|name| SAYS_NOTHING.contains(&name.as_str()))
        .map(|name| format!("{}: {name} is no name for a module", source.path))
        .collect()
}

fn lib_lists_lowest_first(source: &Source) -> Complaints {
    if source.path != "src/lib.rs" {
        return Vec::new();
    }
    let code = code(&source.text);
    let listed: Vec<&str> = places(&code, "mod").filter_map(|at| code[at + 3..].split(';').next()).map(str::trim).collect();
    let unknown =
        listed.iter().filter(|module| floor_of(module).is_none()).map(|module| format!("src/lib.rs: {module} stands on no floor"));
    let swapped = listed.windows(2).filter(|pair| floor_of(pair[0]) > floor_of(pair[1]));
    unknown.chain(swapped.map(|pair| format!("src/lib.rs: {} is listed before {}, which is lower", pair[0], pair[1]))).collect()
}

/// Names in `found` that are not expected, and expected ones that are missing and not optional.
fn differences(what: &str, found: &BTreeSet<String>, expected: &[&str], optional: &[&str]) -> Complaints {
    let extra = found.iter().filter(|name| !expected.contains(&name.as_str())).map(|name| format!("{what}: {name} does not belong there"));
    let missing = expected.iter().filter(|name| !found.contains(**name) && !optional.contains(name));
    extra.chain(missing.map(|name| format!("{what}: {name} is missing"))).collect()
}

fn dependencies(manifest: &str) -> Complaints {
    let (mut product, mut tests, mut table) = (BTreeSet::new(), BTreeSet::new(), "");
    for line in manifest.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let name = line.split(['=', ' ', '.']).next().unwrap_or_default().to_string();
        match (line.strip_prefix('['), table) {
            (Some(opened), _) => table = opened.trim_end_matches(']'),
            (None, "dependencies") => drop(product.insert(name)),
            (None, "dev-dependencies") => drop(tests.insert(name)),
            (None, other) if other.contains("dependencies") => drop(product.insert(format!("{name} in [{other}]"))),
            _ => {}
        }
    }
    let product = differences("Cargo.toml", &product, &DEPENDENCIES, &[]);
    [product, differences("Cargo.toml", &tests, &TEST_DEPENDENCIES, &TEST_DEPENDENCIES)].concat()
}

/// Nothing is fetched from elsewhere than a registry. What the tests' dependencies bring along is theirs.
fn locked_packages(lock: &str) -> Complaints {
    let sources = lock.lines().filter_map(|line| line.strip_prefix("source = "));
    sources.filter(|source| !source.starts_with("\"registry+")).map(|source| format!("Cargo.lock: {source}")).collect()
}

fn top_level(found: &BTreeSet<String>) -> Complaints {
    differences("the top level", found, &TOP_LEVEL, &["docs"])
}

// ---- the tree keeps each rule, and each rule can be broken

#[test]
fn a_module_imports_only_from_lower_floors() {
    assert_tree_keeps(floors);
}

#[test]
fn an_import_from_above_or_beside_is_refused() {
    assert_refused(floors, "src/plan/mounts.rs", "use crate::steps::mounts;");
    assert_refused(floors, "src/mem/arena.rs", "use crate::sys::Errno;");
    assert_refused(floors, "src/names/mod.rs", "use crate::{error::Error, json::{self, Reader}};");
    assert_refused(floors, "src/spec/mod.rs", "fn f() { crate::plan::build() }");
    assert_refused(floors, "src/spec/mounts.rs", "use super::super::plan;");
    assert_refused(floors, "src/error.rs", "use super::cli;");
    assert_refused(floors, "src/steps/hooks.rs", "use crate::json::Writer;");
    assert_refused(floors, "src/gadgets/mod.rs", "");
    assert_allowed(floors, "src/plan/mounts.rs", "use crate::{mem::Arena, spec::mounts as written}; use super::print; // crate::cli");
}

#[test]
fn plan_makes_no_system_call() {
    assert_tree_keeps(plan_is_pure);
}

#[test]
fn a_plan_that_could_make_a_system_call_is_refused() {
    assert_refused(plan_is_pure, "src/plan/mounts.rs", "use rustix::fs::open;");
    assert_refused(plan_is_pure, "src/plan/mounts.rs", "use crate::sys::{Errno, open};");
    assert_refused(plan_is_pure, "src/plan/mounts.rs", "use crate::sys;");
    assert_refused(plan_is_pure, "src/plan/mounts.rs", "use crate::sys::*;");
    assert_allowed(plan_is_pure, "src/plan/mounts.rs", "use crate::sys::Errno; // rustix");
}

#[test]
fn unsafe_stands_only_in_sys_mem_and_the_entry_point() {
    assert_tree_keeps(unsafe_stays_low);
}

#[test]
fn unsafe_above_the_lowest_floor_is_refused() {
    assert_refused(unsafe_stays_low, "src/json/mod.rs", "fn f(p: *const u8) -> u8 { unsafe { *p } }");
    assert_refused(unsafe_stays_low, "src/json/mod.rs", "#![allow(unsafe_code)]");
    assert_allowed(
        unsafe_stays_low,
        "src/json/mod.rs",
        "// unsafe\nconst TEXT: &str = r#\"unsafe \" \"#; const C: char = '\"'; /* unsafe */",
    );
    assert_allowed(unsafe_stays_low, "src/sys/fd.rs", "unsafe {}");
}

#[test]
fn only_sys_names_an_instruction_set() {
    assert_tree_keeps(instruction_sets_stay_low);
}

#[test]
fn an_instruction_set_above_sys_is_refused() {
    assert_refused(instruction_sets_stay_low, "src/steps/mod.rs", "#[cfg(target_arch = \"arm\")] fn f() {}");
    assert_refused(instruction_sets_stay_low, "src/cli/mod.rs", "core::arch::asm!(\"nop\")");
}

#[test]
fn the_library_lives_without_std() {
    assert_tree_keeps(no_std_outside_tests);
}

#[test]
fn std_outside_tests_is_refused() {
    assert_refused(no_std_outside_tests, "src/cli/mod.rs", "use std::fs;");
    assert_refused(no_std_outside_tests, "src/cli/mod.rs", "extern crate alloc;");
    assert_refused(no_std_outside_tests, "src/cli/mod.rs", "#[cfg(test)]\nmod tests { fn f() {} }\nfn g() { std::process::exit(1) }");
    assert_refused(no_std_outside_tests, "src/cli/mod.rs", "mod tests;");
    assert_allowed(no_std_outside_tests, "src/cli/mod.rs", "use core::alloc::Layout;\n#[cfg(test)]\nmod tests { use std::fs; }");
    assert_allowed(no_std_outside_tests, "src/cli/tests.rs", "use std::fs;");
}

#[test]
fn every_file_opens_with_a_sentence() {
    assert_tree_keeps(opens_with_a_sentence);
}

#[test]
fn a_file_that_does_not_say_what_it_is_is_refused() {
    assert_refused(opens_with_a_sentence, "src/cli/mod.rs", "use core::fmt;");
    assert_refused(opens_with_a_sentence, "src/cli/mod.rs", "//! (being built)\n");
    assert_allowed(opens_with_a_sentence, "src/cli/mod.rs", "//! The words, and\n//! what they do.\n//!\n//! More\n");
}

#[test]
fn every_file_is_read_in_one_sitting() {
    assert_tree_keeps(is_read_in_one_sitting);
}

#[test]
fn a_file_that_is_too_long_is_refused() {
    assert_refused(is_read_in_one_sitting, "src/cli/mod.rs", &"\n".repeat(MOST_LINES + 1));
    assert_allowed(is_read_in_one_sitting, "src/cli/mod.rs", &"\n".repeat(MOST_LINES));
}

#[test]
fn module_names_say_something() {
    assert_tree_keeps(names_say_something);
}

#[test]
fn a_module_name_that_says_nothing_is_refused() {
    assert_refused(names_say_something, "src/cli/utils.rs", "");
    assert_refused(names_say_something, "src/common/mod.rs", "");
    assert_refused(names_say_something, "src/cli/mod.rs", "mod helpers { }");
}

#[test]
fn lib_lists_the_modules_from_the_lowest_floor_up() {
    assert_tree_keeps(lib_lists_lowest_first);
}

#[test]
fn a_list_of_modules_out_of_order_is_refused() {
    assert_refused(lib_lists_lowest_first, "src/lib.rs", "pub mod error;\npub mod sys;");
    assert_refused(lib_lists_lowest_first, "src/lib.rs", "pub mod gadgets;");
}

#[test]
fn the_dependencies_are_the_agreed_ones() {
    let complaints = [dependencies(&read("Cargo.toml")), locked_packages(&read("Cargo.lock"))].concat();
    assert!(complaints.is_empty(), "{complaints:#?}");
}

#[test]
fn a_dependency_that_nobody_agreed_to_is_refused() {
    let agreed: String = DEPENDENCIES.iter().map(|name| format!("{name} = \"1\"\n")).collect();
    assert!(dependencies(&format!("[dependencies]\n{agreed}")).is_empty());
    assert!(!dependencies(&format!("[dependencies]\n{agreed}libc = \"0.2\"\n")).is_empty());
    assert!(!dependencies(&format!("[dependencies]\n{agreed}[dev-dependencies]\ntempfile = \"3\"\n")).is_empty());
    assert!(!dependencies(&format!("[dependencies]\n{agreed}[target.'cfg(unix)'.dependencies]\nlibc = \"0.2\"\n")).is_empty());
    assert!(dependencies(&format!("[dependencies]\n{agreed}[dev-dependencies]\nlibc = \"0.2\"\n")).is_empty());
    assert!(!dependencies("[dependencies]\nserde = \"1\"\n").is_empty());
    assert!(locked_packages("source = \"registry+somewhere\"\n").is_empty());
    assert!(!locked_packages("source = \"git+https://example.org\"\n").is_empty());
}

#[test]
fn the_top_level_is_the_agreed_one() {
    let entries = fs::read_dir(top()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let complaints = top_level(&entries.filter(|name| !NOT_OURS.contains(&name.as_str())).collect());
    assert!(complaints.is_empty(), "{complaints:#?}");
}

#[test]
fn a_stray_file_at_the_top_level_is_refused() {
    let agreed: BTreeSet<String> = TOP_LEVEL.iter().map(|name| (*name).to_string()).collect();
    assert!(top_level(&agreed).is_empty());
    assert!(!top_level(&agreed.iter().cloned().chain(["deny.toml".to_string()]).collect()).is_empty());
    assert!(!top_level(&agreed.iter().filter(|name| *name != "LICENSE").cloned().collect()).is_empty());
}
