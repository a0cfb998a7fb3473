//! Strings that are looked up: each with the number that it was last given.
//!
//! A crit-bit tree, so that a lookup costs the length of its string and nothing else: no hash that somebody could make collide,
//! no list that makes ten thousand names quadratic.

use core::cell::Cell;

use super::{Arena, Full};

/// A map from strings to numbers, in an arena.
#[derive(Default)]
pub struct Keys<'a> {
    root: Cell<Option<Link<'a>>>,
}

#[derive(Clone, Copy)]
enum Link<'a> {
    Leaf(&'a Leaf<'a>),
    Branch(&'a Branch<'a>),
}

struct Leaf<'a> {
    key: &'a str,
    number: Cell<usize>,
}

/// The first bit in which the strings of one side differ from those of the other.
struct Branch<'a> {
    byte: usize,
    bit: u16,
    sides: [Cell<Link<'a>>; 2],
}

impl<'a> Keys<'a> {
    /// The most bytes of the arena that one string takes, alignment apart.
    pub const NODE_BYTES: usize = size_of::<Leaf<'a>>() + size_of::<Branch<'a>>();

    /// Gives `key` the number and returns the one that it had. Errors: [`Full`].
    pub fn insert(&self, arena: &Arena<'a>, key: &'a str, number: usize) -> Result<Option<usize>, Full> {
        let Some(nearest) = self.nearest(key) else {
            self.root.set(Some(Link::Leaf(arena.put(Leaf { key, number: Cell::new(number) })?)));
            return Ok(None);
        };
        let Some((byte, bit)) = first_difference(nearest.key, key) else {
            return Ok(Some(nearest.number.replace(number)));
        };
        let leaf = Link::Leaf(arena.put(Leaf { key, number: Cell::new(number) })?);
        self.branch(arena, key, (byte, bit), leaf)?;
        Ok(None)
    }

    /// The number of `key`.
    pub fn get(&self, key: &str) -> Option<usize> {
        self.nearest(key).filter(|leaf| leaf.key == key).map(|leaf| leaf.number.get())
    }

    /// The string that agrees with `key` in every bit that tells the strings of this tree apart.
    fn nearest(&self, key: &str) -> Option<&'a Leaf<'a>> {
        let mut link = self.root.get()?;
        loop {
            match link {
                Link::Leaf(leaf) => return Some(leaf),
                Link::Branch(branch) => link = branch.side(key).get(),
            }
        }
    }

    /// Puts `leaf` beside everything that agrees with `key` up to the bit at `place`.
    fn branch(&self, arena: &Arena<'a>, key: &str, place: (usize, u16), leaf: Link<'a>) -> Result<(), Full> {
        let Some(root) = self.root.get() else { return Ok(()) };
        let (mut above, mut link) = (None, root);
        while let Link::Branch(next) = link
            && next.is_before(place)
        {
            let side = next.side(key);
            (above, link) = (Some(side), side.get());
        }
        let (byte, bit) = place;
        let sides = if symbol(key, byte) & bit == 0 { [leaf, link] } else { [link, leaf] };
        let new = Link::Branch(arena.put(Branch { byte, bit, sides: sides.map(Cell::new) })?);
        match above {
            Some(side) => side.set(new),
            None => self.root.set(Some(new)),
        }
        Ok(())
    }
}

impl<'a> Branch<'a> {
    fn side(&self, key: &str) -> &Cell<Link<'a>> {
        &self.sides[usize::from(symbol(key, self.byte) & self.bit != 0)]
    }

    /// Bits are ordered from the first byte to the last, the highest bit of a byte first.
    fn is_before(&self, (byte, bit): (usize, u16)) -> bool {
        self.byte < byte || self.byte == byte && self.bit > bit
    }
}

/// The byte at `at` with one bit more that says that there is one: so `a` and `a\0` differ.
fn symbol(key: &str, at: usize) -> u16 {
    key.as_bytes().get(at).map_or(0, |byte| 0x100 | u16::from(*byte))
}

fn first_difference(a: &str, b: &str) -> Option<(usize, u16)> {
    let length = a.len().max(b.len());
    let byte = (0..length).find(|at| symbol(a, *at) != symbol(b, *at))?;
    let bits = symbol(a, byte) ^ symbol(b, byte);
    Some((byte, 1 << bits.ilog2()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::mem::MaybeUninit;

    #[test]
    fn the_last_number_of_a_string_counts() {
        let mut room = [MaybeUninit::uninit(); 1024];
        let arena = Arena::new(&mut room);
        let keys = Keys::default();
        assert_eq!(keys.get("a"), None);
        assert_eq!(keys.insert(&arena, "a", 1), Ok(None));
        assert_eq!(keys.insert(&arena, "b", 2), Ok(None));
        assert_eq!(keys.insert(&arena, "a", 3), Ok(Some(1)));
        assert_eq!((keys.get("a"), keys.get("b"), keys.get("ab")), (Some(3), Some(2), None));
    }

    #[test]
    fn strings_that_begin_alike_are_told_apart() {
        let words = ["", "\0", "\0\0", "a", "a\0", "aa", "ab", "abc", "b", "\u{e9}", "\u{e9}a", "net.ipv4", "net.ipv6", "net"];
        let mut room = [MaybeUninit::uninit(); 4096];
        let arena = Arena::new(&mut room);
        let keys = Keys::default();
        for (number, word) in words.iter().enumerate() {
            assert_eq!(keys.insert(&arena, word, number), Ok(None), "{word:?}");
        }
        for (number, word) in words.iter().enumerate() {
            assert_eq!(keys.get(word), Some(number), "{word:?}");
        }
    }

    #[test]
    fn no_string_takes_more_than_its_bound() {
        let names: Vec<String> = (0..1000).map(|number| number.to_string()).collect();
        let mut room = vec![MaybeUninit::uninit(); names.len() * Keys::NODE_BYTES + 8];
        let arena = Arena::new(&mut room);
        let keys = Keys::default();
        for (number, name) in names.iter().enumerate() {
            assert_eq!(keys.insert(&arena, name, number), Ok(None));
        }
        assert!(names.iter().enumerate().all(|(number, name)| keys.get(name) == Some(number)));
    }
}
