//! Reads Rust as far as the rules of tidy need it: without comments, literals and tests, down to the paths that are imported.
//!
//! It knows no rule.

pub fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

/// The text with comments and the insides of literals blanked; lines stay where they were.
pub fn code(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let dark = dark_length(rest, out.chars().next_back());
        let length = if dark > 0 { dark } else { first.len_utf8() };
        let (head, tail) = rest.split_at(length);
        if dark > 0 {
            out.extend(head.chars().map(|character| if character == '\n' { '\n' } else { ' ' }));
        } else {
            out.push_str(head);
        }
        rest = tail;
    }
    out
}

/// How many bytes at the start of `rest` are a comment or a literal; `before` is the character before them.
fn dark_length(rest: &str, before: Option<char>) -> usize {
    if rest.starts_with("//") {
        return rest.find('\n').unwrap_or(rest.len());
    }
    if rest.starts_with("/*") {
        return rest.find("*/").map_or(rest.len(), |end| end + 2);
    }
    if rest.starts_with('"') {
        return quoted_length(rest, '"');
    }
    if rest.starts_with('r') && !before.is_some_and(|before| is_word(before) && before != 'b' && before != 'c') {
        let hashes = rest[1..].len() - rest[1..].trim_start_matches('#').len();
        if rest[1 + hashes..].starts_with('"') {
            let close = format!("\"{}", "#".repeat(hashes));
            let inside = &rest[hashes + 2..];
            return hashes + 2 + inside.find(&close).map_or(inside.len(), |end| end + close.len());
        }
    }
    // A quote opens a character unless it is a lifetime's.
    let mut characters = rest.chars();
    match (characters.next(), characters.next(), characters.next()) {
        (Some('\''), Some('\\'), _) => quoted_length(rest, '\''),
        (Some('\''), Some(inside), Some('\'')) => 2 + inside.len_utf8(),
        _ => 0,
    }
}

fn quoted_length(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, character) in rest.char_indices().skip(1) {
        if character == quote && !escaped {
            return at + 1;
        }
        escaped = character == '\\' && !escaped;
    }
    rest.len()
}

/// The code without what is compiled for tests only.
pub fn code_without_tests(text: &str) -> String {
    let mut code = code(text);
    while let Some(start) = code.find("#[cfg(test)]") {
        let end = item_end(&code[start..]) + start;
        code.replace_range(start..end, "");
    }
    code
}

/// Where the item at the start of `code` ends: behind its `;`, or behind the brace that closes it.
fn item_end(code: &str) -> usize {
    let mut depth = 0;
    for (at, character) in code.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth == 1 => return at + 1,
            '}' => depth -= 1,
            ';' if depth == 0 => return at + 1,
            _ => {}
        }
    }
    code.len()
}

/// The places where `word` stands as a whole word.
pub fn places<'c>(code: &'c str, word: &'c str) -> impl Iterator<Item = usize> + 'c {
    code.match_indices(word).map(|(at, _)| at).filter(move |&at| {
        !code[..at].chars().next_back().is_some_and(is_word) && !code[at + word.len()..].chars().next().is_some_and(is_word)
    })
}

/// Every path that the code names from `crate::` on, with use-trees written out: `crate::{a::B, c}` is `a::B` and `c`.
pub fn crate_paths(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    for at in places(code, "crate") {
        if let Some(tree) = code[at + "crate".len()..].trim_start().strip_prefix("::") {
            expand(tree, "", &mut found);
        }
    }
    found
}

/// Writes out one use-tree behind `prefix`; returns what follows the tree.
pub fn expand<'c>(tree: &'c str, prefix: &str, found: &mut Vec<String>) -> &'c str {
    let tree = tree.trim_start();
    if let Some(mut rest) = tree.strip_prefix('{') {
        loop {
            rest = rest.trim_start().trim_start_matches(',').trim_start();
            if let Some(after) = rest.strip_prefix('}') {
                return after;
            }
            let after = expand(rest, prefix, found);
            if after.len() == rest.len() {
                return rest;
            }
            rest = after;
        }
    }
    let length = tree.find(|character| !is_word(character) && character != '*').unwrap_or(tree.len());
    let (name, rest) = tree.split_at(length);
    let path = if prefix.is_empty() { name.to_string() } else { format!("{prefix}::{name}") };
    match rest.trim_start().strip_prefix("::") {
        Some(deeper) if !name.is_empty() => expand(deeper, &path, found),
        _ => {
            found.push(path);
            skip_rename(rest)
        }
    }
}

/// What follows `as NAME`, where that is next.
fn skip_rename(rest: &str) -> &str {
    match rest.trim_start().strip_prefix("as ") {
        Some(renamed) => renamed.trim_start().trim_start_matches(is_word),
        None => rest,
    }
}
