//! Configs in, problems out: the cases are tests/configs/broken.txt.

use core::mem::MaybeUninit;
use std::time::Instant;

use proptest::prelude::*;
use tinyjson::JsonValue;

use super::*;
use crate::{json, spec};

const DEFAULT: &str = include_str!("../../../tests/configs/good/default.json");
const BROKEN: &str = include_str!("../../../tests/configs/broken.txt");

/// Everything that is said about the text of a config.json.
fn problems(text: &str) -> Vec<String> {
    let mut room = vec![MaybeUninit::uninit(); spec::arena_bytes(text.len())];
    let arena = Arena::new(&mut room);
    match json::read::<Config<'_>>(text.as_bytes(), &arena) {
        Err(error) => vec![format!("error: {error}")],
        Ok((config, notes)) => {
            let mut found: Vec<_> = notes.iter().map(|note| format!("warning: {note}")).collect();
            check(config, &arena, &mut |problem| {
                let severity = if problem.severity == Severity::Error { "error" } else { "warning" };
                found.push(format!("{severity}: {problem}"));
            });
            found
        }
    }
}

/// What the first lines of a case make: a whole config, or the default one changed.
fn config_of(lines: &[&str]) -> String {
    if lines[0].starts_with(['{', '[']) {
        // As in a file, the last line ends too.
        return lines.join("\n") + "\n";
    }
    let mut config: JsonValue = DEFAULT.parse().unwrap();
    for line in lines {
        match line.strip_prefix("- ") {
            Some(path) => remove(&mut config, path),
            None => {
                let (path, value) = line.split_once(" = ").unwrap();
                *place(&mut config, path) = value.parse().unwrap_or_else(|why| panic!("{line}: {why}"));
            }
        }
    }
    config.stringify().unwrap()
}

fn remove(config: &mut JsonValue, path: &str) {
    let (above, key) = path.rsplit_once('.').unwrap_or(("", path));
    let JsonValue::Object(object) = place(config, above) else { panic!("{path}") };
    assert!(object.remove(key).is_some(), "{path}");
}

fn place<'v>(config: &'v mut JsonValue, path: &str) -> &'v mut JsonValue {
    let mut value = config;
    for part in path.split(['.', '[']).filter(|part| !part.is_empty()) {
        value = match (part.strip_suffix(']'), value) {
            (Some("+"), JsonValue::Array(list)) => {
                list.push(JsonValue::Null);
                list.last_mut().unwrap()
            }
            (Some(index), JsonValue::Array(list)) => {
                let index: usize = index.parse().unwrap();
                list.resize(list.len().max(index + 1), JsonValue::Null);
                &mut list[index]
            }
            (None, JsonValue::Object(object)) => object.entry(part.to_string()).or_insert(JsonValue::Null),
            _ => panic!("{path}"),
        };
    }
    value
}

#[test]
fn every_broken_config_is_told_exactly() {
    let mut count = 0;
    let mut wrong = Vec::new();
    for case in BROKEN.split("\n\n") {
        let lines: Vec<_> = case.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).collect();
        let Some(first) = lines.iter().position(|line| line.starts_with("  ")) else { continue };
        let found = problems(&config_of(&lines[..first]));
        let expected: Vec<_> = lines[first..].iter().map(|line| line.trim_start()).collect();
        count += 1;
        if found != expected {
            wrong.push(format!("{}\n  {}", lines[..first].join("\n"), found.join("\n  ")));
        }
    }
    assert!(wrong.is_empty(), "not as expected, but:\n\n{}\n", wrong.join("\n\n"));
    assert!(count >= 150, "only {count} cases were found");
}

#[test]
fn good_configs_have_no_problems() {
    for (name, text) in [
        ("default", DEFAULT),
        ("docker", include_str!("../../../tests/configs/good/docker.json")),
        ("containerd", include_str!("../../../tests/configs/good/containerd.json")),
        ("kubernetes", include_str!("../../../tests/configs/good/kubernetes.json")),
    ] {
        assert_eq!(problems(text), [""; 0], "{name}");
    }
    let specification = include_str!("../../../tests/configs/good/specification.json");
    assert_eq!(problems(specification), ["warning: x-vendor: unknown field, ignored (line 355, column 5)"]);
}

#[test]
fn escapes_of_go_and_python_are_what_the_program_gets() {
    let read = |text: &'static str, check: fn(&Config<'_>)| {
        let mut room = vec![MaybeUninit::uninit(); spec::arena_bytes(text.len())];
        check(json::read::<Config<'_>>(text.as_bytes(), &Arena::new(&mut room)).unwrap().0);
    };
    read(include_str!("../../../tests/configs/good/docker.json"), |config| {
        let script = config.process.unwrap().args.get(2).copied();
        assert_eq!(script, Some("mkdir -p /run/x && echo '<ready>' > /run/x/state"));
    });
    read(include_str!("../../../tests/configs/good/kubernetes.json"), |config| {
        assert_eq!(config.process.unwrap().env.get(2).copied(), Some("GREETING=h\u{e9}llo \u{1f600}"));
    });
}

#[test]
fn what_is_too_long_for_the_kernel_is_said_before_anything_is_made() {
    let long = |bytes: usize| format!("/{}", "x".repeat(bytes - 1));
    let groups = (0..65_537).map(|n| n.to_string()).collect::<Vec<_>>().join(",");
    for (change, expected) in [
        (format!("process.cwd = \"{}\"", long(4096)), "error: process.cwd: longer than 4095 bytes"),
        (format!("process.args[1] = \"{}\"", long(131_072)), "error: process.args[1]: longer than 131071 bytes"),
        (format!("process.env[+] = \"A={}\"", long(131_070)), "error: process.env[2]: longer than 131071 bytes"),
        (format!("process.apparmorProfile = \"{}\"", long(4091)), "error: process.apparmorProfile: longer than 4090 bytes"),
        (format!("process.selinuxLabel = \"{}\"", long(4096)), "error: process.selinuxLabel: longer than 4095 bytes"),
        (format!("process.user.additionalGids = [{groups}]"), "error: process.user.additionalGids: more than 65536 groups"),
        (format!("hooks = {{\"poststop\": [{{\"path\": \"{}\"}}]}}", long(4096)), "error: hooks.poststop[0].path: longer than 4095 bytes"),
        (
            format!("linux.devices = [{{\"path\": \"{}\", \"type\": \"p\"}}]", long(4096)),
            "error: linux.devices[0].path: longer than 4095 bytes",
        ),
        (format!("linux.maskedPaths = [\"{}\"]", long(4096)), "error: linux.maskedPaths[0]: longer than 4095 bytes"),
        (format!("linux.intelRdt = {{\"closID\": \"{}\"}}", "x".repeat(256)), "error: linux.intelRdt.closID: longer than 255 bytes"),
    ] {
        assert_eq!(problems(&config_of(&[&change])), [expected]);
    }
    // One byte less of each is taken.
    for change in [format!("process.cwd = \"{}\"", long(4095)), format!("process.args[1] = \"{}\"", long(131_071))] {
        assert_eq!(problems(&config_of(&[&change])), [""; 0]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn a_damaged_config_is_judged_without_a_panic(at in any::<prop::sample::Index>(), with in "[0-9]{1,20}|[-,:/=.]|\\\\u0000|\"|null|") {
        let every_field = include_str!("../../../tests/configs/every-field.json");
        let at = at.index(every_field.len());
        let _ = problems(&format!("{}{with}{}", &every_field[..at], &every_field[at + 1..]));
    }
}

#[test]
fn ten_thousand_of_anything_stay_fast() {
    let many = |make: &dyn Fn(usize) -> String| (0..10_000).map(make).collect::<Vec<_>>().join(",");
    let mounts = many(&|n| format!(r#"{{"destination":"/{n}","source":"/{n}","options":["rbind","uid={n}"]}}"#));
    let devices = many(&|n| format!(r#""eth{n}":{{"name":"e{}"}}"#, n + 1));
    let mappings = many(&|n| format!(r#"{{"containerID":{n},"hostID":{n},"size":1}}"#));
    let sysctl = many(&|n| format!(r#""net.ipv4.{n}":"1""#));
    let namespaces = many(&|_| String::from(r#"{"type":"user"}"#));
    let rlimits = many(&|_| String::from(r#"{"type":"RLIMIT_CORE"}"#));
    let hooks = many(&|n| format!(r#"{{"path":"{n}","args":["a"],"env":["A=b"],"timeout":1}}"#));
    let nodes = many(&|n| n.to_string());
    let text = format!(
        r#"{{"hooks":{{"prestart":[{hooks}],"poststop":[{hooks}]}},"mounts":[{mounts}],"process":{{"rlimits":[{rlimits}]}},"linux":{{"memoryPolicy":{{"mode":"MPOL_BIND","nodes":"{nodes}"}},"netDevices":{{{devices}}},"uidMappings":[{mappings}],
        "gidMappings":[{mappings}],"sysctl":{{{sysctl}}},"namespaces":[{namespaces}]}}}}"#
    );
    let start = Instant::now();
    assert!(problems(&text).len() > 30_000);
    // A quadratic loop over one of these takes minutes here; the bound leaves room for a slow machine.
    assert!(start.elapsed().as_secs() < 20, "{:?}", start.elapsed());
}

/// A step from a value to one inside it.
#[derive(Clone)]
enum Step {
    Key(String),
    Index(usize),
}

/// All values inside `value`, by the way that leads to them.
fn ways(value: &JsonValue, way: &mut Vec<Step>, found: &mut Vec<Vec<Step>>) {
    let inner: Vec<(Step, &JsonValue)> = match value {
        JsonValue::Object(object) => object.iter().map(|(key, value)| (Step::Key(key.clone()), value)).collect(),
        JsonValue::Array(list) => list.iter().enumerate().map(|(index, value)| (Step::Index(index), value)).collect(),
        _ => Vec::new(),
    };
    for (step, value) in inner {
        way.push(step);
        found.push(way.clone());
        ways(value, way, found);
        way.pop();
    }
}

/// A config with every field there is, and the ways to all that is in it.
fn every_field() -> (JsonValue, Vec<Vec<Step>>) {
    let whole = include_str!("../../../tests/configs/every-field.json").parse().unwrap();
    let mut found = Vec::new();
    ways(&whole, &mut Vec::new(), &mut found);
    (whole, found)
}

fn follow<'v>(value: &'v mut JsonValue, way: &[Step]) -> &'v mut JsonValue {
    way.iter().fold(value, |value, step| match (step, value) {
        (Step::Key(key), JsonValue::Object(object)) => object.get_mut(key).unwrap(),
        (Step::Index(index), JsonValue::Array(list)) => &mut list[*index],
        _ => panic!("not so deep"),
    })
}

/// As an error names it.
fn name(way: &[Step]) -> String {
    let steps = way.iter().map(|step| match step {
        Step::Key(key) => format!(".{key}"),
        Step::Index(index) => format!("[{index}]"),
    });
    steps.collect::<String>().trim_start_matches('.').to_string()
}

#[test]
fn every_field_of_a_wrong_type_is_named() {
    let (whole, found) = every_field();
    for way in &found {
        let mut config = whole.clone();
        let value = follow(&mut config, way);
        let wrong = match value {
            JsonValue::Object(_) | JsonValue::Array(_) => JsonValue::Boolean(true),
            _ => JsonValue::Array(vec![JsonValue::Boolean(true)]),
        };
        *value = wrong;
        let said = problems(&config.stringify().unwrap());
        let name = name(way);
        assert!(said[0].starts_with(&format!("error: {name}: ")) && said.len() == 1, "{name} of a wrong type: {said:?}");
    }
    assert!(found.len() > 290, "{} fields", found.len());
}

#[test]
fn every_number_that_is_too_large_is_named() {
    let (whole, found) = every_field();
    let mut numbers = 0;
    for way in &found {
        let mut config = whole.clone();
        let value = follow(&mut config, way);
        if !matches!(value, JsonValue::Number(_)) {
            continue;
        }
        *value = JsonValue::String("too large".into());
        let text = config.stringify().unwrap().replace("\"too large\"", "99999999999999999999");
        let (said, name) = (problems(&text), name(way));
        assert!(said[0].starts_with(&format!("error: {name}: ")), "{name} that is too large: {said:?}");
        numbers += 1;
    }
    assert!(numbers > 80, "{numbers} numbers");
}

#[test]
fn every_list_may_have_ten_thousand_entries_or_says_why_not() {
    let (whole, found) = every_field();
    let before = problems(&whole.stringify().unwrap());
    let mut lists = 0;
    for way in &found {
        let mut config = whole.clone();
        let JsonValue::Array(list) = follow(&mut config, way) else { continue };
        let Some(first) = list.first().cloned() else { continue };
        list.resize(10_000, first);
        let name = name(way);
        for said in problems(&config.stringify().unwrap()) {
            assert!(said.contains(&name) || before.contains(&said), "{name} with 10,000 entries: {said}");
        }
        lists += 1;
    }
    assert!(lists > 30, "{lists} lists");
}
