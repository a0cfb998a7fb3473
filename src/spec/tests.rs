//! Every field of the schema, and the memory that it takes.

use core::mem::MaybeUninit;

use super::*;
use crate::json::{self, What};
use crate::mem::Arena;

const EVERY_FIELD: &str = include_str!("../../tests/configs/every-field.json");
const AS_READ: &str = include_str!("../../tests/configs/every-field.txt");

fn with<R>(text: &str, room: usize, check: impl FnOnce(Result<(Config<'_>, json::Notes<'_>), json::Error<'_>>) -> R) -> R {
    let mut room = vec![MaybeUninit::uninit(); room];
    check(json::read(text.as_bytes(), &Arena::new(&mut room)).map(|(config, notes)| (*config, notes)))
}

fn fits(text: &str) {
    with(text, arena_bytes(text.len()), |result| {
        if let Err(error) = result {
            assert_ne!(error.what, What::Full, "{error}");
        }
    });
}

#[test]
fn no_field_of_the_specification_is_dropped() {
    with(EVERY_FIELD, arena_bytes(EVERY_FIELD.len()), |result| {
        let (config, notes) = result.unwrap();
        assert_eq!(notes.iter().map(|note| note.to_string()).collect::<Vec<_>>(), [""; 0]);
        // After a change of the schema, look at the difference and write it there.
        assert_eq!(format!("{config:#?}\n"), AS_READ);
    });
}

#[test]
fn the_text_with_every_field_leaves_no_field_at_its_default() {
    let is_default = |line: &&str| [": None,", ": \"\",", ": [],", ": 0,", ": false,"].iter().any(|end| line.ends_with(end));
    assert_eq!(AS_READ.lines().filter(is_default).collect::<Vec<_>>(), [""; 0]);
}

#[test]
fn nothing_that_fits_the_bound_finds_the_memory_full() {
    for (before, element, after) in [
        ("{\"mounts\":[", "{}", "]}"),
        ("{\"mounts\":[", "null", "]}"),
        ("{\"mounts\":[{\"options\":[", "\"\"", "]}]}"),
        ("{\"mounts\":[{\"uidMappings\":[", "{}", "]}]}"),
        ("{\"process\":{\"args\":[", "\"\"", "]}}"),
        ("{\"process\":{\"args\":[", "\"\\n\"", "]}}"),
        ("{\"process\":{\"user\":{\"additionalGids\":[", "0", "]}}}"),
        ("{\"process\":{\"rlimits\":[", "{}", "]}}"),
        ("{\"hooks\":{\"poststop\":[", "{}", "]}}"),
        ("{\"linux\":{\"namespaces\":[", "{}", "]}}"),
        ("{\"linux\":{\"devices\":[", "{}", "]}}"),
        ("{\"linux\":{\"seccomp\":{\"syscalls\":[", "{}", "]}}}"),
        ("{\"linux\":{\"seccomp\":{\"syscalls\":[{\"args\":[", "{}", "]}]}}}"),
        ("{\"linux\":{\"resources\":{\"devices\":[", "{}", "]}}}"),
        ("{\"linux\":{\"resources\":{\"hugepageLimits\":[", "{}", "]}}}"),
        ("{\"linux\":{\"resources\":{\"network\":{\"priorities\":[", "{}", "]}}}}"),
        ("{\"linux\":{\"resources\":{\"blockIO\":{\"weightDevice\":[", "{}", "]}}}}"),
        ("{\"linux\":{\"resources\":{\"blockIO\":{\"throttleReadBpsDevice\":[", "{}", "]}}}}"),
        ("{\"linux\":{\"sysctl\":{", "\"a\":\"\"", "}}}"),
        ("{\"linux\":{\"resources\":{\"rdma\":{", "\"a\":{}", "}}}}"),
    ] {
        for count in [1, 2, 3, 100, 1000] {
            fits(&format!("{before}{}{after}", vec![element; count].join(",")));
        }
    }
}

#[test]
fn maps_of_short_keys_fit_the_bound_with_and_without_duplicates() {
    let keys: Vec<String> = ('!'..='~').filter(|key| !"\"\\".contains(*key)).map(String::from).collect();
    let pairs: Vec<String> = keys.iter().flat_map(|a| keys.iter().map(move |b| format!("{a}{b}"))).chain(keys.iter().cloned()).collect();
    for (before, value, after) in [
        ("{\"annotations\":{", "\"\"", "}}"),
        ("{\"linux\":{\"timeOffsets\":{", "{}", "}}}"),
        ("{\"linux\":{\"netDevices\":{", "{}", "}}}"),
        ("{\"linux\":{\"resources\":{\"rdma\":{", "{}", "}}}}"),
    ] {
        for keys in [&keys, &pairs] {
            let entries = keys.iter().map(|key| format!("\"{key}\":{value}")).collect::<Vec<_>>().join(",");
            fits(&format!("{before}{entries}{after}"));
            fits(&format!("{before}{entries},{entries}{after}"));
            fits(&format!("{before}{entries},\"\":{value}{after}"));
        }
    }
}

#[test]
fn less_memory_than_a_text_needs_is_an_error() {
    let text = format!("{{\"mounts\":[{}]}}", vec!["{}"; 100].join(","));
    with(&text, 100, |result| assert_eq!(result.unwrap_err().what, What::Full));
}

#[test]
fn ten_megabytes_are_read() {
    let text = format!("{{\"process\":{{\"env\":[{}]}}}}", vec!["\"NAME=some value that is neither long nor short\""; 210_000].join(","));
    assert!(text.len() > 10_000_000);
    with(&text, arena_bytes(text.len()), |result| assert_eq!(result.unwrap().0.process.unwrap().env.len(), 210_000));
}
