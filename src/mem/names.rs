//! A table of names in one text: a table of string slices is four times as large, since it holds an address and a length for each.

/// Names, each ended by a line feed. The index of one is its number. Made by [`names!`](crate::mem::names).
#[derive(Clone, Copy, Debug)]
pub struct Names(&'static str);

impl Names {
    /// Takes a text in which every name is ended by a line feed.
    pub const fn new(text: &'static str) -> Self {
        assert!(text.is_empty() || text.as_bytes()[text.len() - 1] == b'\n');
        Names(text)
    }

    /// The index of `name`.
    #[inline(never)]
    pub fn position(self, name: &str) -> Option<usize> {
        // By the byte: names are a dozen bytes long, and a searcher made anew for each took half of the time of reading a state.json.
        let (mut rest, mut number) = (self.0.as_bytes(), 0);
        while let Some(len) = rest.iter().position(|byte| *byte == b'\n') {
            if rest[..len] == *name.as_bytes() {
                return Some(number);
            }
            (rest, number) = (&rest[len + 1..], number + 1);
        }
        None
    }

    /// Whether `name` is one of them.
    pub fn contains(self, name: &str) -> bool {
        self.position(name).is_some()
    }

    /// The name of that index.
    #[inline(never)]
    pub fn get(self, index: usize) -> Option<&'static str> {
        self.iter().nth(index)
    }

    /// The names in their order.
    pub fn iter(self) -> impl Iterator<Item = &'static str> {
        let mut rest = self.0;
        core::iter::from_fn(move || next(&mut rest))
    }
}

#[inline(never)]
fn next(rest: &mut &'static str) -> Option<&'static str> {
    let name;
    (name, *rest) = rest.split_once('\n')?;
    Some(name)
}

/// `names!["one", "two"]`: a [`Names`] in which `one` has the index 0.
macro_rules! names {
    ($($name:expr),* $(,)?) => {
        const { $crate::mem::Names::new(concat!($($name, "\n"),*)) }
    };
}

pub(crate) use names;

#[cfg(test)]
mod tests {
    #[test]
    fn names_are_found_both_ways() {
        let names = names!["one", "two words", "three"];
        assert_eq!((names.position("two words"), names.position("two"), names.position("")), (Some(1), None, None));
        assert_eq!((names.position("three"), names.position("threes"), names.position("two words\nthree")), (Some(2), None, None));
        assert_eq!((names.get(2), names.get(3)), (Some("three"), None));
        assert_eq!(names.iter().count(), 3);
        assert_eq!(names![].position(""), None);
    }
}
