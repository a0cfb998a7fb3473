//! A list whose nodes live in an arena: it grows without a capacity and is never freed.

use core::cell::Cell;
use core::fmt;

use super::{Arena, Full};

struct Node<'a, T> {
    value: T,
    next: Cell<Option<&'a Node<'a, T>>>,
}

/// A singly linked list in an arena. Copies share the nodes.
pub struct List<'a, T> {
    first: Option<&'a Node<'a, T>>,
    last: Option<&'a Node<'a, T>>,
    len: u32,
    present: bool,
}

impl<T> Default for List<'_, T> {
    fn default() -> Self {
        List { first: None, last: None, len: 0, present: false }
    }
}

impl<T> Clone for List<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for List<'_, T> {}

impl<'a, T> List<'a, T> {
    /// Bytes of the arena that one value takes, alignment apart.
    pub const NODE_BYTES: usize = size_of::<Node<'a, T>>();

    /// A list that holds nothing but was written down: `[]`, as opposed to no list at all.
    pub fn empty() -> Self {
        List { present: true, ..List::default() }
    }

    /// Whether it was written down, perhaps empty.
    pub fn is_present(&self) -> bool {
        self.present
    }

    /// Appends `value`. Errors: [`Full`].
    pub fn push(&mut self, arena: &Arena<'a>, value: T) -> Result<(), Full> {
        let node: &'a Node<'a, T> = arena.put(Node { value, next: Cell::new(None) })?;
        match self.last {
            Some(last) => last.next.set(Some(node)),
            None => self.first = Some(node),
        }
        self.last = Some(node);
        self.len += 1;
        self.present = true;
        Ok(())
    }

    /// How many values it holds.
    pub fn len(&self) -> usize {
        self.len as usize
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The values, in the order in which they were appended.
    pub fn iter(&self) -> Iter<'a, T> {
        Iter { next: self.first, left: self.len }
    }

    /// The value at `index`, counted from 0; linear in it.
    pub fn get(&self, index: usize) -> Option<&'a T> {
        self.iter().nth(index)
    }
}

/// Walks a [`List`].
pub struct Iter<'a, T> {
    next: Option<&'a Node<'a, T>>,
    left: u32,
}

impl<'a, T> Iterator for Iter<'a, T> {
    type Item = &'a T;

    fn next(&mut self) -> Option<&'a T> {
        // Counted, so that a copy does not see what was appended to another copy later.
        self.left = self.left.checked_sub(1)?;
        let node = self.next?;
        self.next = node.next.get();
        Some(&node.value)
    }
}

impl<'a, T> IntoIterator for &List<'a, T> {
    type Item = &'a T;
    type IntoIter = Iter<'a, T>;

    fn into_iter(self) -> Iter<'a, T> {
        self.iter()
    }
}

impl<T: fmt::Debug> fmt::Debug for List<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::mem::MaybeUninit;

    #[test]
    fn keeps_the_order_and_counts() {
        let mut room = [MaybeUninit::uninit(); 512];
        let arena = Arena::new(&mut room);
        let mut list = List::default();
        assert!(list.is_empty());
        for value in 0..5 {
            list.push(&arena, value).unwrap();
        }
        assert_eq!(list.iter().copied().collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
        assert_eq!((list.len(), list.get(3), list.get(5)), (5, Some(&3), None));
    }

    #[test]
    fn an_empty_list_differs_from_no_list() {
        let (none, empty) = (List::<u8>::default(), List::<u8>::empty());
        assert_eq!((none.is_present(), none.len()), (false, 0));
        assert_eq!((empty.is_present(), empty.len()), (true, 0));
    }

    #[test]
    fn is_full_when_the_arena_is() {
        let mut room = [MaybeUninit::uninit(); 8];
        assert_eq!(List::default().push(&Arena::new(&mut room), 1u64), Err(Full));
    }
}
