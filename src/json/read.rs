//! JSON into typed values: one non-generic seed for serde-json-core that fills slots. It knows no grammar, which was checked before.

use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json_core::str::EscapedStr;

use super::error::{Error, Notes, Oddity, Wanted, What};
use super::escape::unescape;
use super::field::{Elements, Entries, Field, Object, Slot};
use super::place::Place;
use super::scan::{DEPTH, Scan};
use crate::mem::{Arena, Full, Keys};

/// Reads the one value that `text` holds, into the arena. Its strings are borrowed from the text.
///
/// Unknown fields are ignored, `null` means absent, and the last of several keys of the same name counts. Keys may be written in another
/// case, as Go reads them: who writes `Seccomp` for runc gets the filter from us too.
/// Takes time linear in the size of the text.
pub fn read<'a, T: Field<'a> + Default>(text: &'a [u8], arena: &Arena<'a>) -> Result<(&'a T, Notes<'a>), Error<'a>> {
    let value = arena.put(T::default()).map_err(|_| Error { place: Place::new(text, 0), what: What::Full })?;
    let notes = fill(text, arena, value)?;
    Ok((value, notes))
}

fn fill<'a>(text: &'a [u8], arena: &Arena<'a>, to: &mut dyn Field<'a>) -> Result<Notes<'a>, Error<'a>> {
    let error = |at, what| Error { place: Place::new(text, at), what };
    core::str::from_utf8(text).map_err(|wrong| error(wrong.valid_up_to(), What::Encoding))?;
    Scan::new(text, 0).document().map_err(|fault| error(fault.at, fault.what))?;
    let mut reader = Reader { text, arena, notes: Notes::new(text), key: None, indexes: [0; DEPTH], nesting: 0, what: What::Full };
    let mut deserializer = serde_json_core::de::Deserializer::new(text, None);
    let value = Value { to, reader: &mut reader };
    match value.deserialize(&mut deserializer).and_then(|()| deserializer.end()) {
        Ok(_) => Ok(reader.notes),
        Err(_) => Err(error(reader.offset(), reader.what)),
    }
}

/// What is known while reading, and after it failed: what was wanted, and the way to the value that did not fit.
struct Reader<'r, 'a> {
    text: &'a [u8],
    arena: &'r Arena<'a>,
    notes: Notes<'a>,
    /// The offset of the key whose value failed: the innermost, except for lists in it.
    key: Option<usize>,
    /// The elements below that key, the innermost first.
    indexes: [usize; DEPTH],
    nesting: usize,
    /// The last value's type, so that of the value that failed; or that the arena is full.
    what: What,
}

impl<'a> Reader<'_, 'a> {
    fn text<E: serde::de::Error>(&mut self, raw: &'a str) -> Result<&'a str, E> {
        let text = unescape(raw, self.arena);
        self.room(text)
    }

    fn room<T, E: serde::de::Error>(&mut self, result: Result<T, Full>) -> Result<T, E> {
        result.map_err(|Full| {
            self.what = What::Full;
            E::custom("")
        })
    }

    /// Keys are borrowed from the text, so that their address is their place.
    fn key_offset(&self, raw: &str) -> usize {
        (raw.as_ptr() as usize).wrapping_sub(self.text.as_ptr() as usize).wrapping_sub(1)
    }

    fn failed_at_key(&mut self, key: usize) {
        self.key = self.key.or(Some(key));
    }

    fn failed_at_index(&mut self, index: usize) {
        if self.key.is_none()
            && let Some(free) = self.indexes.get_mut(self.nesting)
        {
            *free = index;
            self.nesting += 1;
        }
    }

    /// The offset of the value that failed: serde-json-core does not tell its own.
    fn offset(&self) -> usize {
        let mut scan = Scan::new(self.text, self.key.unwrap_or(0));
        if self.key.is_some() {
            let _ = scan.string();
            scan.space();
            scan.at += 1; // the colon
        }
        for index in self.indexes[..self.nesting].iter().rev() {
            scan.space();
            scan.at += 1; // the bracket
            for _ in 0..*index {
                let _ = scan.value();
                scan.at += 1; // the comma
            }
        }
        scan.space();
        scan.at
    }
}

/// One value and its slot.
struct Value<'s, 'r, 'a, S: ?Sized> {
    to: &'s mut S,
    reader: &'s mut Reader<'r, 'a>,
}

impl<'a> DeserializeSeed<'a> for Value<'_, '_, 'a, dyn Field<'a> + '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'a>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_option(self)
    }
}

impl<'a> Visitor<'a> for Value<'_, '_, 'a, dyn Field<'a> + '_> {
    type Value = ();

    fn expecting(&self, _: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        Ok(())
    }

    fn visit_none<E>(self) -> Result<(), E> {
        self.to.clear();
        Ok(())
    }

    fn visit_some<D: Deserializer<'a>>(self, from: D) -> Result<(), D::Error> {
        let reader = self.reader;
        let mut wants = |wanted| reader.what = What::Type(wanted);
        match self.to.slot() {
            Slot::Bool(to) => {
                wants(Wanted::Bool);
                *to = bool::deserialize(from)?;
            }
            Slot::U16(to) => {
                wants(Wanted::Unsigned(u16::MAX.into()));
                *to = u16::try_from(u64::deserialize(from)?).map_err(D::Error::custom)?;
            }
            Slot::U32(to) => {
                wants(Wanted::Unsigned(u32::MAX.into()));
                *to = u32::try_from(u64::deserialize(from)?).map_err(D::Error::custom)?;
            }
            Slot::U64(to) => {
                wants(Wanted::Unsigned(u64::MAX));
                *to = u64::deserialize(from)?;
            }
            Slot::I64(to) => {
                wants(Wanted::Signed);
                *to = i64::deserialize(from)?;
            }
            Slot::Text(to) => {
                wants(Wanted::Text);
                *to = reader.text(EscapedStr::deserialize(from)?.0)?;
            }
            Slot::Object(to) => {
                wants(Wanted::Object);
                from.deserialize_map(Value { to, reader })?;
            }
            Slot::List(to) => {
                wants(Wanted::List);
                from.deserialize_seq(Value { to, reader })?;
            }
            Slot::Map(to) => {
                wants(Wanted::Object);
                from.deserialize_map(Value { to, reader })?;
            }
        }
        Ok(())
    }
}

/// The offset of the next key, and the key without escapes.
///
/// An integer is read up to its point, and serde-json-core stumbles over the point when it looks for the next key or element:
/// so an error there belongs to the value before.
fn next_key<'a, M: MapAccess<'a>>(
    map: &mut M,
    reader: &mut Reader<'_, 'a>,
    last: Option<usize>,
) -> Result<Option<(usize, &'a str)>, M::Error> {
    let raw = match map.next_key::<&'a str>() {
        Ok(Some(raw)) => raw,
        Ok(None) => return Ok(None),
        Err(error) => {
            last.into_iter().for_each(|key| reader.failed_at_key(key));
            return Err(error);
        }
    };
    let at = reader.key_offset(raw);
    let key = reader.text(raw).inspect_err(|_| reader.failed_at_key(at))?;
    Ok(Some((at, key)))
}

impl<'a> Visitor<'a> for Value<'_, '_, 'a, dyn Object<'a> + '_> {
    type Value = ();

    fn expecting(&self, _: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        Ok(())
    }

    fn visit_map<M: MapAccess<'a>>(self, mut map: M) -> Result<(), M::Error> {
        let Value { to, reader } = self;
        let (mut seen, mut last) = (0u64, None);
        while let Some((at, key)) = next_key(&mut map, reader, last)? {
            last = Some(at);
            let names = to.names();
            let index = names.position(key).or_else(|| {
                let index = names.iter().position(|name| name.eq_ignore_ascii_case(key))?;
                reader.notes.add(Oddity::Case, at);
                Some(index)
            });
            let Some((index, field)) = index.and_then(|index| Some((index, to.field(index)?))) else {
                reader.notes.add(Oddity::Unknown, at);
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            if seen & 1 << index != 0 {
                reader.notes.add(Oddity::Duplicate, at);
                field.clear();
            }
            seen |= 1 << index;
            map.next_value_seed(Value { to: field, reader }).inspect_err(|_| reader.failed_at_key(at))?;
        }
        Ok(())
    }
}

impl<'a> Visitor<'a> for Value<'_, '_, 'a, dyn Entries<'a> + '_> {
    type Value = ();

    fn expecting(&self, _: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        Ok(())
    }

    fn visit_map<M: MapAccess<'a>>(self, mut map: M) -> Result<(), M::Error> {
        let Value { to, reader } = self;
        let (arena, keys) = (reader.arena, Keys::default());
        let (mut count, mut is_repeated, mut last) = (0, false, None);
        while let Some((at, key)) = next_key(&mut map, reader, last)? {
            last = Some(at);
            let mut value = Ok(());
            let appended = to.append(arena, key, &mut |to| {
                value = map.next_value_seed(Value { to, reader });
                value.is_ok()
            });
            value.inspect_err(|_| reader.failed_at_key(at))?;
            let known = appended.and_then(|()| keys.insert(arena, key, count));
            if reader.room(known).inspect_err(|_: &M::Error| reader.failed_at_key(at))?.is_some() {
                reader.notes.add(Oddity::Duplicate, at);
                is_repeated = true;
            }
            count += 1;
        }
        if is_repeated { reader.room(to.keep(arena, &keys)) } else { Ok(()) }
    }
}

impl<'a> Visitor<'a> for Value<'_, '_, 'a, dyn Elements<'a> + '_> {
    type Value = ();

    fn expecting(&self, _: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        Ok(())
    }

    fn visit_seq<S: SeqAccess<'a>>(self, mut list: S) -> Result<(), S::Error> {
        let Value { to, reader } = self;
        let arena = reader.arena;
        for index in 0usize.. {
            let (mut is_read, mut next) = (false, Ok(None));
            let appended = to.append(arena, &mut |to| {
                next = list.next_element_seed(Element { value: Value { to, reader }, is_read: &mut is_read });
                matches!(next, Ok(Some(())))
            });
            // As in `next_key`: an element that was not even begun is the fault of the one before.
            let culprit = if is_read { index } else { index.saturating_sub(1) };
            let is_end = next.inspect_err(|_| reader.failed_at_index(culprit))?.is_none();
            reader.room(appended).inspect_err(|_: &S::Error| reader.failed_at_index(culprit))?;
            if is_end {
                break;
            }
        }
        Ok(())
    }
}

/// A value in a list that says whether its reading was begun.
struct Element<'s, 'r, 'a, S: ?Sized> {
    value: Value<'s, 'r, 'a, S>,
    is_read: &'s mut bool,
}

impl<'a> DeserializeSeed<'a> for Element<'_, '_, 'a, dyn Field<'a> + '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'a>>(self, from: D) -> Result<(), D::Error> {
        *self.is_read = true;
        self.value.deserialize(from)
    }
}
