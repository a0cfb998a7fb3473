//! Texts put aside, so that only one word of them is passed around: an error is rare, but its way is in the code of every call.
//!
//! Must: find what is still kept, and say so when it is not. Mustn't: grow; what was put aside long ago is lost first.

use core::cell::Cell;
use core::marker::PhantomData;
use core::num::NonZeroUsize;

/// How many are kept: one start holds two at a time, and nobody lets one lie while he makes this many others.
const KEPT: usize = 32;

/// Three texts and a number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Words<'a> {
    /// The texts; what they mean is their owner's affair.
    pub texts: [&'a str; 3],
    /// A number that belongs to them.
    pub number: u16,
}

/// The way back to [`Words`], one machine word: so a `Result` of it is returned in registers.
#[derive(Clone, Copy)]
pub struct Aside<'a> {
    turn: NonZeroUsize,
    words: PhantomData<Words<'a>>,
}

impl<'a> Aside<'a> {
    /// Puts `words` aside; those of [`KEPT`] calls ago are lost by it.
    #[cold]
    #[inline(never)]
    pub fn put(words: Words<'a>) -> Self {
        shelf(|shelf| Aside { turn: shelf.put(words), words: PhantomData })
    }

    /// What was put aside. `None` where too many others were since.
    #[cold]
    #[inline(never)]
    pub fn words(self) -> Option<Words<'a>> {
        shelf(|shelf| shelf.find(self.turn))
    }
}

struct Shelf {
    /// How many were put aside so far.
    turns: Cell<usize>,
    /// With the turn of each; all zero at first, so that they take no room in the file.
    places: [Cell<Option<(usize, Words<'static>)>>; KEPT],
}

impl Shelf {
    const fn new() -> Self {
        Shelf { turns: Cell::new(0), places: [const { Cell::new(None) }; KEPT] }
    }

    fn put(&self, words: Words<'_>) -> NonZeroUsize {
        let turn = NonZeroUsize::MIN.saturating_add(self.turns.get());
        self.turns.set(turn.get());
        // SAFETY: only the lifetime changes; `find` hands the words out to the holder of this turn alone, whose type has the true one.
        let words = unsafe { core::mem::transmute::<Words<'_>, Words<'static>>(words) };
        self.places[turn.get() % KEPT].set(Some((turn.get(), words)));
        turn
    }

    fn find<'a>(&self, turn: NonZeroUsize) -> Option<Words<'a>> {
        let (kept, words) = self.places[turn.get() % KEPT].get()?;
        (kept == turn.get()).then_some(words)
    }
}

/// The program has one thread; its tests have several, each with a shelf of its own.
#[cfg(not(test))]
fn shelf<R>(visit: impl FnOnce(&Shelf) -> R) -> R {
    struct OneThread(Shelf);
    // SAFETY: no thread is ever made, and no signal handler is ever set: nobody looks at it from beside.
    unsafe impl Sync for OneThread {}
    static SHELF: OneThread = OneThread(Shelf::new());
    visit(&SHELF.0)
}

#[cfg(test)]
fn shelf<R>(visit: impl FnOnce(&Shelf) -> R) -> R {
    std::thread_local!(static SHELF: Shelf = const { Shelf::new() });
    SHELF.with(visit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Words<'_> {
        Words { texts: [text, "", ""], number: 7 }
    }

    #[test]
    fn each_finds_its_own_words() {
        let (one, other) = (Aside::put(words("one")), Aside::put(words("other")));
        assert_eq!((one.words(), other.words()), (Some(words("one")), Some(words("other"))));
    }

    #[test]
    fn what_was_lost_is_not_mistaken_for_another() {
        let first = Aside::put(words("first"));
        let others: Vec<_> = (0..KEPT).map(|_| Aside::put(words("later"))).collect();
        assert_eq!(first.words(), None);
        assert!(others.iter().all(|later| later.words() == Some(words("later"))));
    }

    #[test]
    fn it_is_one_word_even_in_a_result() {
        assert_eq!(size_of::<Result<(), Aside<'_>>>(), size_of::<usize>());
    }
}
