//! What a case expects of a text or of JSON, and the sentence that says how it is not so.
//!
//! Must: refuse an expectation that it does not understand, since a misspelt one could never fail.

use serde_json::Value;

use crate::sys::Outcome;

/// Compares a text with an expectation: a string is the exact text, an object a list of demands.
pub fn text(expected: &Value, actual: &str) -> Outcome<()> {
    match expected {
        Value::String(exact) if exact == actual => Ok(()),
        Value::String(exact) => Err(format!("is {actual:?}, not {exact:?}")),
        Value::Object(demands) => demands.iter().try_for_each(|(demand, value)| text_keeps(demand, value, actual)),
        other => Err(format!("{other} is no expectation of a text")),
    }
}

fn text_keeps(demand: &str, value: &Value, actual: &str) -> Outcome<()> {
    let strings = strings(value);
    match demand {
        "contains" => all(&strings, |part| actual.contains(part), |part| format!("{actual:?} lacks {part:?}")),
        "lacks" => all(&strings, |part| !actual.contains(part), |part| format!("{actual:?} contains {part:?}")),
        "one_of" if strings.iter().any(|part| actual.contains(part)) => Ok(()),
        "one_of" => Err(format!("{actual:?} contains none of {value}")),
        "like" => all(&strings, |pattern| is_like(pattern, actual), |pattern| format!("{actual:?} is not like {pattern:?}")),
        "lines" if value.as_u64() == Some(actual.lines().count() as u64) => Ok(()),
        "lines" => Err(format!("{actual:?} has not {value} lines")),
        "json" => json(value, &parsed(actual)?),
        _ => Err(format!("{demand:?} is no demand on a text")),
    }
}

fn all(parts: &[&str], holds: impl Fn(&str) -> bool, complaint: impl Fn(&str) -> String) -> Outcome<()> {
    match parts.iter().find(|part| !holds(part)) {
        Some(part) => Err(complaint(part)),
        None if parts.is_empty() => Err("an expectation without a string expects nothing".into()),
        None => Ok(()),
    }
}

fn strings(value: &Value) -> Vec<&str> {
    match value {
        Value::Array(list) => list.iter().filter_map(Value::as_str).collect(),
        other => other.as_str().into_iter().collect(),
    }
}

fn parsed(text: &str) -> Outcome<Value> {
    serde_json::from_str(text).map_err(|why| format!("{text:?} is no JSON: {why}"))
}

/// Whether a text matches a pattern in which `*` stands for anything and `?` for one character.
pub fn is_like(pattern: &str, actual: &str) -> bool {
    let (pattern, actual): (Vec<char>, Vec<char>) = (pattern.chars().collect(), actual.chars().collect());
    let (mut p, mut a, mut star) = (0, 0, None);
    while a < actual.len() {
        if p < pattern.len() && pattern[p] == '*' {
            star = Some((p, a));
            p += 1;
        } else if p < pattern.len() && (pattern[p] == '?' || pattern[p] == actual[a]) {
            (p, a) = (p + 1, a + 1);
        } else if let Some((at, from)) = star {
            star = Some((at, from + 1));
            (p, a) = (at + 1, from + 1);
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

/// Compares JSON with an expectation: of an object the named keys, of a list everything; `{"$word": …}` is a demand.
pub fn json(expected: &Value, actual: &Value) -> Outcome<()> {
    match (expected, actual) {
        (Value::Object(keys), _) => keys.iter().try_for_each(|(key, value)| match (key.starts_with('$'), actual.get(key)) {
            (true, _) => json_keeps(key, value, actual),
            (false, Some(found)) => json(value, found).map_err(|why| format!("{key}: {why}")),
            (false, None) => absent(value).map_err(|why| format!("{key}: {why}")),
        }),
        (Value::Array(wanted), Value::Array(found)) if wanted.len() == found.len() => {
            wanted.iter().zip(found).enumerate().try_for_each(|(index, (e, a))| json(e, a).map_err(|why| format!("[{index}]: {why}")))
        }
        _ if expected == actual => Ok(()),
        _ => Err(format!("is {actual}, not {expected}")),
    }
}

fn absent(expected: &Value) -> Outcome<()> {
    match expected.as_object() {
        Some(demands) if demands.contains_key("$absent") => Ok(()),
        _ => Err(format!("is missing, should be {expected}")),
    }
}

fn json_keeps(demand: &str, value: &Value, actual: &Value) -> Outcome<()> {
    let as_text = actual.as_str().map_or_else(|| actual.to_string(), str::to_string);
    let holds = match demand {
        "$absent" => false,
        "$any" => true,
        "$not" => json(value, actual).is_err(),
        "$like" => value.as_str().is_some_and(|pattern| is_like(pattern, &as_text)),
        "$contains" => each_of(value, |item| holds_item(item, actual, &as_text)),
        "$lacks" => each_of(value, |item| !holds_item(item, actual, &as_text)),
        "$keys" => actual.as_object().is_some_and(|object| sorted(object.keys().map(String::as_str)) == sorted(strings(value).into_iter())),
        "$length" => actual.as_array().map(Vec::len) == value.as_u64().map(|length| length as usize),
        "$one_of" => value.as_array().is_some_and(|choices| choices.iter().any(|choice| json(choice, actual).is_ok())),
        "$above" => actual.as_i64().zip(value.as_i64()).is_some_and(|(found, bound)| found > bound),
        _ => return Err(format!("{demand:?} is no demand on JSON")),
    };
    if holds { Ok(()) } else { Err(format!("is {actual}, against {demand} {value}")) }
}

fn each_of(value: &Value, holds: impl Fn(&Value) -> bool) -> bool {
    match value {
        Value::Array(items) => !items.is_empty() && items.iter().all(holds),
        item => holds(item),
    }
}

fn holds_item(item: &Value, actual: &Value, as_text: &str) -> bool {
    match actual {
        Value::Array(list) => list.iter().any(|found| json(item, found).is_ok()),
        _ => item.as_str().is_some_and(|part| as_text.contains(part)),
    }
}

fn sorted<'a>(keys: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut keys: Vec<&str> = keys.collect();
    keys.sort_unstable();
    keys
}
