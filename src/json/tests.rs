//! Text in, values or sentences out.

use core::mem::MaybeUninit;

use super::*;
use crate::mem::{Arena, List};

object! {
    /// A value of every type.
    All<'a> {
        "bool" => bool: bool,
        "maybe" => maybe: Option<bool>,
        "small" => small: u16,
        "u32" => u32: u32,
        "u64" => u64: u64,
        "i64" => i64: Option<i64>,
        "text" => text: &'a str,
        "inner" => inner: Option<Inner<'a>>,
        "plain" => plain: Inner<'a>,
        "inners" => inners: List<'a, Inner<'a>>,
        "numbers" => numbers: List<'a, u32>,
        "grid" => grid: List<'a, List<'a, u32>>,
        "texts" => texts: List<'a, &'a str>,
        "map" => map: List<'a, Entry<'a, &'a str>>,
        "objects" => objects: List<'a, Entry<'a, Inner<'a>>>,
    }
}

object! {
    /// An object in an object.
    Inner<'a> {
        "name" => name: &'a str,
        "list" => list: List<'a, &'a str>,
        "size" => size: u32,
    }
}

fn with<R>(text: &[u8], check: impl FnOnce(Result<(All<'_>, Notes<'_>), Error<'_>>) -> R) -> R {
    let mut room = vec![MaybeUninit::uninit(); text.len() * 64 + 64 + size_of::<All<'_>>()];
    check(read(text, &Arena::new(&mut room)).map(|(all, notes)| (*all, notes)))
}

fn reads(text: &str, check: impl FnOnce(All<'_>)) {
    with(text.as_bytes(), |result| match result {
        Ok((all, _)) => check(all),
        Err(error) => panic!("{text}: {error}"),
    });
}

fn error(text: impl AsRef<[u8]>) -> String {
    with(text.as_ref(), |result| match result {
        Ok(_) => String::from("no error"),
        Err(error) => error.to_string(),
    })
}

fn notes(text: &str) -> Vec<String> {
    with(text.as_bytes(), |result| result.unwrap().1.iter().map(|note| note.to_string()).collect())
}

fn collect<'a>(list: &List<'a, &'a str>) -> Vec<&'a str> {
    list.iter().copied().collect()
}

#[test]
fn a_value_of_every_type_is_read() {
    let text = r#" { "bool": true, "maybe": false, "small": 65535, "u32": 4294967295, "u64": 18446744073709551615,
        "i64": -9223372036854775808, "text": "t", "inner": {"name": "i"}, "plain": {"size": 3}, "inners": [{"name": "a"}, {}],
        "numbers": [1, 0], "grid": [[1], [], [2, 3]], "texts": ["x", ""], "map": {"k": "v", "": "e"}, "objects": {"o": {"size": 1}} } "#;
    reads(text, |all| {
        assert_eq!((all.bool, all.maybe, all.small, all.u32, all.u64), (true, Some(false), u16::MAX, u32::MAX, u64::MAX));
        assert_eq!((all.i64, all.text, all.inner.unwrap().name, all.plain.size), (Some(i64::MIN), "t", "i", 3));
        assert_eq!(all.inners.iter().map(|inner| inner.name).collect::<Vec<_>>(), ["a", ""]);
        assert_eq!(all.numbers.iter().copied().collect::<Vec<_>>(), [1, 0]);
        assert_eq!(all.grid.iter().map(List::len).collect::<Vec<_>>(), [1, 0, 2]);
        assert_eq!(collect(&all.texts), ["x", ""]);
        assert_eq!(all.map.iter().map(|entry| (entry.key, entry.value)).collect::<Vec<_>>(), [("k", "v"), ("", "e")]);
        assert_eq!(all.objects.get(0).map(|entry| (entry.key, entry.value.size)), Some(("o", 1)));
    });
}

#[test]
fn null_is_absent_everywhere() {
    let names = All::default();
    for name in Object::names(&names).iter() {
        reads(&format!(r#"{{"{name}": null}}"#), |all| assert_eq!(format!("{all:?}"), format!("{names:?}"), "{name}"));
    }
    reads("null", |all| assert_eq!(format!("{all:?}"), format!("{names:?}")));
    reads(r#"{"texts": [null, "a"], "inners": [null]}"#, |all| assert_eq!((all.texts.len(), all.inners.len()), (2, 1)));
}

#[test]
fn an_empty_list_is_present_and_null_is_not() {
    reads(r#"{"texts": [], "map": {}, "numbers": null}"#, |all| {
        assert!(all.texts.is_present() && all.map.is_present() && !all.numbers.is_present() && !all.inners.is_present());
    });
}

#[test]
fn escapes_are_decoded_in_strings_and_keys() {
    let text = r#"{"te\u0078t": "a\u0026\u0026b \ud83d\ude00 \"\\\/\b\f\n\r\t\u00e9", "map": {"\u003c": "\u003e"}, "texts": ["\u0000"]}"#;
    reads(text, |all| {
        assert_eq!(all.text, "a&&b \u{1f600} \"\\/\u{8}\u{c}\n\r\t\u{e9}");
        assert_eq!(all.map.get(0).map(|entry| (entry.key, entry.value)), Some(("<", ">")));
        assert_eq!(collect(&all.texts), ["\0"]);
    });
}

#[test]
fn strings_without_escapes_are_borrowed_from_the_text() {
    let text = r#"{"text": "borrowed"}"#;
    let mut no_more = [MaybeUninit::uninit(); size_of::<All<'_>>() + align_of::<usize>()];
    let (all, _) = read::<All<'_>>(text.as_bytes(), &Arena::new(&mut no_more)).unwrap();
    assert!(text.as_bytes().as_ptr_range().contains(&all.text.as_ptr()));
}

#[test]
fn of_duplicate_keys_the_last_counts_and_is_noted() {
    let text = r#"{"u32": 1, "inners": [{}, {}], "inner": {"name": "x"}, "plain": {"size": 1}, "maybe": true, "map": {"a": "1", "b": "2", "\u0061": "3"},
"u32": 2, "inners": [{}], "inner": {"size": 5}, "plain": {}, "maybe": null}"#;
    reads(text, |all| {
        assert_eq!((all.u32, all.inners.len(), all.plain.size, all.maybe), (2, 1, 0, None));
        assert_eq!(all.inner.map(|inner| (inner.name, inner.size)), Some(("", 5)));
        assert_eq!(all.map.iter().map(|entry| (entry.key, entry.value)).collect::<Vec<_>>(), [("b", "2"), ("a", "3")]);
    });
    assert_eq!(
        notes(text),
        [
            r"map.\u0061: duplicate key, the last one counts (line 1, column 121)",
            "u32: duplicate key, the last one counts (line 2, column 1)",
            "inners: duplicate key, the last one counts (line 2, column 11)",
            "inner: duplicate key, the last one counts (line 2, column 27)",
            "plain: duplicate key, the last one counts (line 2, column 49)",
            "maybe: duplicate key, the last one counts (line 2, column 62)",
        ]
    );
}

#[test]
fn unknown_fields_are_ignored_and_noted() {
    let text = r#"{"inners": [{}, {"nam": {"deep": [1.5e3, {"x": null}]}}], "windows": [], "map": {"free": ""}}"#;
    reads(text, |all| assert_eq!(all.inners.len(), 2));
    assert_eq!(
        notes(text),
        ["inners[1].nam: unknown field, ignored (line 1, column 18)", "windows: unknown field, ignored (line 1, column 59)"]
    );
}

#[test]
fn names_of_fields_are_read_in_any_case_and_noted() {
    let text = r#"{"Inners": [{}, {}], "MAP": {"Key": "x"}}"#;
    reads(text, |all| {
        assert_eq!(all.inners.len(), 2);
        assert_eq!(all.map.get(0).map(|entry| entry.key), Some("Key"));
    });
    assert_eq!(notes(text).len(), 2);
    assert_eq!(notes(text)[0], "Inners: the name is written in another case, read as runc reads it (line 1, column 2)");
}

#[test]
fn notes_beyond_the_first_sixteen_are_counted() {
    let text = format!("{{{}}}", vec![r#""x":0"#; 20].join(","));
    with(text.as_bytes(), |result| {
        let notes = result.unwrap().1;
        assert_eq!((notes.iter().count(), notes.left_out()), (16, 4));
    });
}

#[test]
fn type_errors_name_path_line_and_column() {
    for (text, expected) in [
        ("{\"plain\":\n {\"size\": \"x\"}}", "plain.size: expected a number, found a string (line 2, column 11)"),
        (r#"{"inners": [{}, {"list": ["a", 5]}]}"#, "inners[1].list[1]: expected a string, found a number (line 1, column 32)"),
        (r#"{"grid": [[1], [2 , 3, {}]]}"#, "grid[1][2]: expected a number, found an object (line 1, column 24)"),
        (r#"{"objects": {"a.b": {"size": true}}}"#, "objects.a.b.size: expected a number, found true or false (line 1, column 30)"),
        (r#"{"map": {"k": 1}}"#, "map.k: expected a string, found a number (line 1, column 15)"),
        (r#"{"map": []}"#, "map: expected an object, found a list (line 1, column 9)"),
        (r#"{"inner": "x"}"#, "inner: expected an object, found a string (line 1, column 11)"),
        (r#"{"texts": {}}"#, "texts: expected a list, found an object (line 1, column 11)"),
        (r#"{"bool": "true"}"#, "bool: expected true or false, found a string (line 1, column 10)"),
        (r#"{"texts": [false]}"#, "texts[0]: expected a string, found true or false (line 1, column 12)"),
        ("[]", "expected an object, found a list (line 1, column 1)"),
        ("  7", "expected an object, found a number (line 1, column 3)"),
    ] {
        assert_eq!(error(text), expected);
    }
}

#[test]
fn columns_count_characters_not_bytes() {
    assert_eq!(error("{\"\u{e9}\u{1f600}\": 0, \"u32\": \"\"}"), "u32: expected a number, found a string (line 1, column 18)");
}

#[test]
fn numbers_out_of_range_are_refused() {
    for (text, expected) in [
        (r#"{"u32": -1}"#, "u32: expected a number from 0 to 4294967295, found -1 (line 1, column 9)"),
        (r#"{"u32": 4294967296}"#, "u32: expected a number from 0 to 4294967295, found 4294967296 (line 1, column 9)"),
        (r#"{"small": 65536}"#, "small: expected a number from 0 to 65535, found 65536 (line 1, column 11)"),
        (
            r#"{"u64": 18446744073709551616}"#,
            "u64: expected a number from 0 to 18446744073709551615, found 18446744073709551616 (line 1, column 9)",
        ),
        (
            r#"{"i64": 9223372036854775808}"#,
            "i64: expected a number from -9223372036854775808 to 9223372036854775807, found 9223372036854775808 (line 1, column 9)",
        ),
        (r#"{"numbers": [1, 2, 4294967296]}"#, "numbers[2]: expected a number from 0 to 4294967295, found 4294967296 (line 1, column 20)"),
    ] {
        assert_eq!(error(text), expected);
    }
}

#[test]
fn a_fraction_is_no_whole_number_wherever_it_stands() {
    for (text, expected) in [
        (r#"{"u32": 1.5}"#, "u32: expected a whole number, found 1.5 (line 1, column 9)"),
        (r#"{"u32": 1.0, "bool": true}"#, "u32: expected a whole number, found 1.0 (line 1, column 9)"),
        (r#"{"i64": 1e3, "text": ""}"#, "i64: expected a whole number, found 1e3 (line 1, column 9)"),
        (r#"{"i64": -0.5}"#, "i64: expected a whole number, found -0.5 (line 1, column 9)"),
        (r#"{"numbers": [1.5]}"#, "numbers[0]: expected a whole number, found 1.5 (line 1, column 14)"),
        (r#"{"numbers": [1, 2.5, 3]}"#, "numbers[1]: expected a whole number, found 2.5 (line 1, column 17)"),
        (r#"{"grid": [[], [1.5]]}"#, "grid[1][0]: expected a whole number, found 1.5 (line 1, column 16)"),
        (r#"{"inners": [{"size": 1.5}, {}]}"#, "inners[0].size: expected a whole number, found 1.5 (line 1, column 22)"),
        (r#"{"objects": {"x": {"size": 1.5}}}"#, "objects.x.size: expected a whole number, found 1.5 (line 1, column 28)"),
    ] {
        assert_eq!(error(text), expected);
    }
}

#[test]
fn syntax_errors_say_what_was_expected_and_where() {
    for (text, expected) in [
        ("", "expected a value, found the end of the file (line 1, column 1)"),
        ("{", "expected a key or }, found the end of the file (line 1, column 2)"),
        ("{,", "expected a key or }, found ',' (line 1, column 2)"),
        (r#"{"u32":}"#, "u32: expected a value, found '}' (line 1, column 8)"),
        (r#"{"u32" 1}"#, "u32: expected a colon, found 1 (line 1, column 8)"),
        (r#"{"u32": 1,}"#, "expected a key, found '}' (line 1, column 11)"),
        (r#"{"u32": 1 "u64": 2}"#, "u32: expected a comma or }, found '\"' (line 1, column 11)"),
        (r#"{u32: 1}"#, "expected a key or }, found 'u32' (line 1, column 2)"),
        (r#"{"texts": [,"a"]}"#, "texts[0]: expected a value, found ',' (line 1, column 12)"),
        (r#"{"texts": ["a",]}"#, "texts[1]: expected a value, found ']' (line 1, column 16)"),
        (r#"{"texts": ["a" "b"]}"#, "texts[0]: expected a comma or ], found '\"' (line 1, column 16)"),
        (r#"{"texts": ["a"}"#, "texts[0]: expected a comma or ], found '}' (line 1, column 15)"),
        ("{} x", "expected nothing more, found 'x' (line 1, column 4)"),
        ("{}{}", "expected nothing more, found '{' (line 1, column 3)"),
        ("{}\0", "expected nothing more, found U+0000 (line 1, column 3)"),
        ("\u{feff}{}", "expected a value, found U+FEFF (line 1, column 1)"),
        (r#"{"x": tr@sh}"#, "x: expected a value, found 'tr' (line 1, column 7)"),
        (r#"{"x": nulls}"#, "x: expected a value, found 'nulls' (line 1, column 7)"),
        (r#"{"x": [01]}"#, "x[0]: a number must not begin with 0 (line 1, column 8)"),
        (r#"{"x": +1}"#, "x: expected a value, found '+1' (line 1, column 7)"),
        (r#"{"x": -}"#, "x: expected a digit, found '}' (line 1, column 8)"),
        (r#"{"x": 1.}"#, "x: expected a digit, found '}' (line 1, column 9)"),
        (r#"{"x": 1e+}"#, "x: expected a digit, found '}' (line 1, column 10)"),
        ("{\"text\": \"a\nb\"}", "text: a control character in a string must be written as an escape (line 1, column 12)"),
        ("{\"text\": \"abc", "text: the string that begins here has no end (line 1, column 10)"),
        (r#"{"text": "\x"}"#, "text: JSON has no such escape (line 1, column 11)"),
        (
            r#"{"text": "\u12g4"}"#,
            r"text: \u needs four hexadecimal digits, and half of a surrogate pair its other half (line 1, column 11)",
        ),
        (r#"{"x": "\ud800"}"#, r"x: \u needs four hexadecimal digits, and half of a surrogate pair its other half (line 1, column 8)"),
        (
            r#"{"x": "\udc00\ud800"}"#,
            r"x: \u needs four hexadecimal digits, and half of a surrogate pair its other half (line 1, column 8)",
        ),
    ] {
        assert_eq!(error(text), expected);
    }
}

#[test]
fn what_is_not_utf_8_is_refused() {
    assert_eq!(error(b"{\n\"text\": \"a\xff\"}"), "text: a byte that is not UTF-8 (line 2, column 11)");
    assert_eq!(error(b"{\"inner\": {\"name\": \"\xc3\""), "inner.name: a byte that is not UTF-8 (line 1, column 21)");
}

#[test]
fn sixty_four_levels_are_read_and_one_more_is_refused() {
    let nested = |levels: usize| format!("{{\"x\":{}{}}}", "[".repeat(levels - 1), "]".repeat(levels - 1));
    assert_eq!(error(nested(64)), "no error");
    assert!(error(nested(65)).contains("nested too deep"));
    assert!(error("[".repeat(5_000_000)).contains("nested too deep"));
}

#[test]
fn a_full_arena_is_an_error_and_not_a_wrong_value() {
    let text = br#"{"inners": [{}, {}, {}]}"#;
    let mut room = vec![MaybeUninit::uninit(); size_of::<All<'_>>() + 2 * List::<Inner<'_>>::NODE_BYTES + align_of::<usize>()];
    let error = read::<All<'_>>(text, &Arena::new(&mut room)).unwrap_err();
    assert_eq!(error.what, What::Full);
    assert!(error.to_string().starts_with("inners["), "{error}");
}

#[test]
fn long_keys_and_values_are_cut_in_messages() {
    let long = "k".repeat(1000);
    assert!(error(format!(r#"{{"map": {{"{long}": 1}}}}"#)).len() < 200);
    assert!(error(format!(r#"{{"u32": 1{}}}"#, "0".repeat(1000))).len() < 200);
}

#[test]
fn ten_thousand_duplicates_take_no_noticeable_time() {
    let text = format!(r#"{{"map": {{{}"": ""}}}}"#, r#""same": "", "#.repeat(200_000));
    reads(&text, |all| assert_eq!(all.map.len(), 2));
}

mod random {
    use proptest::prelude::*;
    use tinyjson::JsonValue;

    use super::*;

    /// JSON and what looks like it: pieces of grammar, keys of the schema, odd bytes.
    fn soup() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop::sample::select(vec![
            "{",
            "}",
            "[",
            "]",
            ",",
            ":",
            "\"",
            "\\",
            "null",
            "true",
            "false",
            "0",
            "-1",
            "1.5",
            "1e3",
            "\"text\"",
            "\"map\"",
            "\"inners\"",
            "\"\\u0041\"",
            "\"\\ud83d\\ude00\"",
            "\\ud800",
            " ",
            "\n",
            "\u{e9}",
            "\0",
            "{\"u32\":",
            "\"grid\":[[",
            "{}",
            "[]",
        ]);
        prop::collection::vec(piece, 0..20).prop_map(|pieces| pieces.concat().into_bytes())
    }

    fn value() -> impl Strategy<Value = JsonValue> {
        let leaf = prop_oneof![
            Just(JsonValue::Null),
            any::<bool>().prop_map(JsonValue::from),
            any::<f64>().prop_filter("finite", |number| number.is_finite()).prop_map(JsonValue::from),
            any::<String>().prop_map(JsonValue::from),
        ];
        leaf.prop_recursive(4, 64, 8, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(JsonValue::from),
                prop::collection::hash_map(any::<String>(), inner, 0..6).prop_map(JsonValue::from),
            ]
        })
    }

    object! {
        /// Accepts every object.
        Nothing { "" => none: bool }
    }

    /// Reads the text as the one field of an object that does not know it, so that only the grammar counts.
    fn is_accepted(text: &[u8]) -> bool {
        let mut room = vec![MaybeUninit::uninit(); text.len() * 64 + 64];
        let text = [b"{\"x\":", text, b"}"].concat();
        match read::<Nothing>(&text, &Arena::new(&mut room)) {
            Ok(_) => true,
            Err(error) => {
                assert!(matches!(error.what, What::Expected(_) | What::Said(_) | What::Encoding), "{error}");
                false
            }
        }
    }

    fn is_json(text: &[u8]) -> bool {
        let text = [b"{\"x\":", text, b"}"].concat();
        core::str::from_utf8(&text).is_ok_and(|text| text.parse::<JsonValue>().is_ok())
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

        #[test]
        fn any_bytes_are_read_or_refused_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = error(&bytes);
        }

        #[test]
        fn what_looks_like_json_is_judged_as_another_parser_does(bytes in soup()) {
            let _ = error(&bytes);
            prop_assert_eq!(is_accepted(&bytes), is_json(&bytes), "{}", String::from_utf8_lossy(&bytes));
        }

        #[test]
        fn a_damaged_text_is_judged_as_another_parser_does(value in value(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
            let mut text = value.stringify().unwrap().into_bytes();
            prop_assert!(is_accepted(&text));
            let at = at.index(text.len());
            text[at] = byte;
            prop_assert_eq!(is_accepted(&text), is_json(&text), "{}", String::from_utf8_lossy(&text));
            let _ = error(&text);
        }
    }
}
