//! Memory that is handed out once and never taken back.
//!
//! Must: keep every value where it was put for the whole of `'a`. Mustn't: run a destructor, grow, or move.

use core::cell::Cell;
use core::ffi::CStr;
use core::fmt::{self, Write};
use core::marker::PhantomData;
use core::mem::{MaybeUninit, align_of, needs_drop, size_of};
use core::slice;

/// The arena has no room left for what was asked of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// A block of memory from which values, slices and strings are taken one after the other.
pub struct Arena<'a> {
    next: Cell<*mut u8>,
    end: *mut u8,
    room: PhantomData<&'a mut [MaybeUninit<u8>]>,
}

impl<'a> Arena<'a> {
    /// Takes over `room`: the arena's bound is its length in bytes.
    pub fn new(room: &'a mut [MaybeUninit<u8>]) -> Self {
        let range = room.as_mut_ptr_range();
        Arena { next: Cell::new(range.start.cast()), end: range.end.cast(), room: PhantomData }
    }

    /// The same over memory that already holds something.
    pub fn over(room: &'a mut [u8]) -> Self {
        let range = room.as_mut_ptr_range();
        Arena { next: Cell::new(range.start), end: range.end, room: PhantomData }
    }

    /// Bytes that are left.
    pub fn left(&self) -> usize {
        self.end as usize - self.next.get() as usize
    }

    /// Reserves `bytes` at a multiple of `align`, or says that there is no room.
    fn take(&self, bytes: usize, align: usize) -> Result<*mut u8, Full> {
        let next = self.next.get();
        let padding = next.align_offset(align);
        if bytes.checked_add(padding).is_none_or(|wanted| wanted > self.left()) {
            return Err(Full);
        }
        // Wrapping, so that nothing is promised to the compiler; the line above keeps it inside the room.
        let at = next.wrapping_add(padding);
        self.next.set(at.wrapping_add(bytes));
        Ok(at)
    }

    /// Moves `value` into the arena. Errors: [`Full`].
    #[allow(clippy::mut_from_ref, reason = "each call hands out other memory")]
    pub fn put<T>(&self, value: T) -> Result<&'a mut T, Full> {
        const { assert!(!needs_drop::<T>()) }
        let at = self.take(size_of::<T>(), align_of::<T>())?.cast::<T>();
        // SAFETY: `take` returned room for one T, aligned, inside the block that is ours for 'a and handed out once.
        unsafe { at.write(value) };
        // SAFETY: it was initialised on the line above, and no other reference to it exists.
        Ok(unsafe { &mut *at })
    }

    /// A slice of `len` values, each made by `value(index)`. Errors: [`Full`].
    #[allow(clippy::mut_from_ref, reason = "each call hands out other memory")]
    pub fn slice<T>(&self, len: usize, mut value: impl FnMut(usize) -> T) -> Result<&'a mut [T], Full> {
        const { assert!(!needs_drop::<T>()) }
        let bytes = size_of::<T>().checked_mul(len).ok_or(Full)?;
        let at = self.take(bytes, align_of::<T>())?.cast::<T>();
        for index in 0..len {
            // SAFETY: `take` returned room for `len` values of T.
            unsafe { at.wrapping_add(index).write(value(index)) };
        }
        // SAFETY: all `len` values were initialised by the loop, and no other reference to them exists.
        Ok(unsafe { slice::from_raw_parts_mut(at, len) })
    }

    /// A copy of `bytes`. Errors: [`Full`].
    #[allow(clippy::mut_from_ref, reason = "each call hands out other memory")]
    pub fn bytes(&self, bytes: &[u8]) -> Result<&'a mut [u8], Full> {
        self.slice(bytes.len(), |index| bytes[index])
    }

    /// A formatted string. Errors: [`Full`].
    pub fn format(&self, arguments: fmt::Arguments<'_>) -> Result<&'a str, Full> {
        let start = self.next.get();
        let mut writer = Writer(self);
        writer.write_fmt(arguments).map_err(|_| Full)?;
        let len = self.next.get() as usize - start as usize;
        // SAFETY: `Writer` appended only whole `str`s, one byte after the other from `start`, all of them initialised.
        let bytes = unsafe { slice::from_raw_parts(start, len) };
        // SAFETY: a sequence of whole `str`s is UTF-8.
        Ok(unsafe { core::str::from_utf8_unchecked(bytes) })
    }

    /// A formatted string with its NUL. Errors: [`Full`], also where the text itself holds a NUL.
    pub fn format_c(&self, arguments: fmt::Arguments<'_>) -> Result<&'a CStr, Full> {
        let text = self.format(format_args!("{arguments}\0"))?;
        CStr::from_bytes_with_nul(text.as_bytes()).map_err(|_| Full)
    }

    /// The pieces one after the other, with a NUL. Errors: [`Full`], also where a piece holds a NUL.
    pub fn c_str(&self, pieces: &[&[u8]]) -> Result<&'a CStr, Full> {
        let len = pieces.iter().map(|piece| piece.len()).sum::<usize>() + 1;
        let mut bytes = pieces.iter().flat_map(|piece| piece.iter().copied()).chain([0]);
        let joined = self.slice(len, |_| bytes.next().unwrap_or(0))?;
        CStr::from_bytes_with_nul(joined).map_err(|_| Full)
    }

    /// A text that is built byte by byte: `write` is given a function that appends one byte.
    /// What it appended is returned as bytes. Errors: [`Full`], or what `write` returned.
    pub fn append<E: From<Full>>(
        &self,
        write: impl FnOnce(&mut dyn FnMut(u8) -> Result<(), Full>) -> Result<(), E>,
    ) -> Result<&'a [u8], E> {
        let start = self.next.get();
        let mut len = 0;
        write(&mut |byte| {
            let at = self.take(1, 1)?;
            if at != start.wrapping_add(len) {
                return Err(Full); // somebody else took from the arena meanwhile
            }
            // SAFETY: `take` returned room for one byte.
            unsafe { at.write(byte) };
            len += 1;
            Ok(())
        })?;
        // SAFETY: the closure above initialised the `len` bytes from `start` on, and nobody else took any of them.
        Ok(unsafe { slice::from_raw_parts(start, len) })
    }
}

/// Appends text to the arena's end.
struct Writer<'w, 'a>(&'w Arena<'a>);

impl Write for Writer<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.bytes(text.as_bytes()).map(|_| ()).map_err(|_| fmt::Error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with<R>(bytes: usize, check: impl FnOnce(&Arena<'_>) -> R) -> R {
        let mut room = vec![MaybeUninit::uninit(); bytes];
        check(&Arena::new(&mut room))
    }

    #[test]
    fn values_of_different_alignment_stand_beside_each_other() {
        with(64, |arena| {
            let byte = arena.put(1u8).unwrap();
            let word = arena.put(u64::MAX).unwrap();
            let text = arena.format(format_args!("a{}", 5)).unwrap();
            assert_eq!((*byte, *word, text), (1, u64::MAX, "a5"));
        });
    }

    #[test]
    fn what_does_not_fit_is_refused_and_leaves_the_rest_usable() {
        with(16, |arena| {
            assert_eq!(arena.slice(3, |_| 0u64).err(), Some(Full));
            assert_eq!(arena.slice(usize::MAX, |_| 0u64).err(), Some(Full));
            assert!(arena.put(0u8).is_ok());
        });
    }

    #[test]
    fn c_strings_end_in_nul_and_refuse_one_inside() {
        with(64, |arena| {
            assert_eq!(arena.c_str(&[b"/a", b"/", b"b"]).unwrap(), c"/a/b");
            assert_eq!(arena.c_str(&[b"a\0b"]), Err(Full));
            assert_eq!(arena.format_c(format_args!("{}/ns", 12)).unwrap(), c"12/ns");
        });
    }
}
