//! What a type must offer to be read from JSON: a slot. Objects get theirs by one [`object!`](crate::json::object) line per field.

use crate::mem::{Arena, Full, Keys, List, Names};

/// Where one JSON value goes.
pub enum Slot<'s, 'a> {
    /// `true` or `false`.
    Bool(&'s mut bool),
    /// A whole number of 16 bits.
    U16(&'s mut u16),
    /// A whole number of 32 bits.
    U32(&'s mut u32),
    /// A whole number of 64 bits.
    U64(&'s mut u64),
    /// A whole number of 64 bits that may be negative.
    I64(&'s mut i64),
    /// A string.
    Text(&'s mut &'a str),
    /// An object with known fields.
    Object(&'s mut (dyn Object<'a> + 's)),
    /// A list.
    List(&'s mut (dyn Elements<'a> + 's)),
    /// An object whose keys are data.
    Map(&'s mut (dyn Entries<'a> + 's)),
}

/// A value that can be read.
pub trait Field<'a> {
    /// Says how to fill the value, which is absent so far.
    fn slot(&mut self) -> Slot<'_, 'a>;

    /// Makes it absent: for `null`, and for a key that comes again, since the last one counts wholly.
    fn clear(&mut self);
}

/// An object with known fields.
pub trait Object<'a> {
    /// The keys, at most 64.
    fn names(&self) -> Names;

    /// The field whose key has that index among the names. `None`: there are no more.
    fn field(&mut self, index: usize) -> Option<&mut dyn Field<'a>>;
}

/// Makes every field of an object absent.
pub fn clear<'a>(object: &mut dyn Object<'a>) {
    for index in 0.. {
        match object.field(index) {
            Some(field) => field.clear(),
            None => return,
        }
    }
}

/// Reads one value into the field; false if there was none, or none that fits.
pub type Fill<'f, 'a> = dyn FnMut(&mut dyn Field<'a>) -> bool + 'f;

/// A list that can be read.
pub trait Elements<'a> {
    /// Appends one element, if `fill` fills it.
    fn append(&mut self, arena: &Arena<'a>, fill: &mut Fill<'_, 'a>) -> Result<(), Full>;
}

/// A map that can be read.
pub trait Entries<'a> {
    /// Appends one entry, if `fill` fills its value.
    fn append(&mut self, arena: &Arena<'a>, key: &'a str, fill: &mut Fill<'_, 'a>) -> Result<(), Full>;

    /// Drops the entries whose position is not the one that `last` has for their key.
    fn keep(&mut self, arena: &Arena<'a>, last: &Keys<'a>) -> Result<(), Full>;
}

/// One entry of a map.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Entry<'a, T> {
    /// Unique in its map.
    pub key: &'a str,
    /// What the key stands for.
    pub value: T,
}

macro_rules! scalars {
    ($($type:ty => $slot:ident),*) => {$(
        impl<'a> Field<'a> for $type {
            fn slot(&mut self) -> Slot<'_, 'a> {
                Slot::$slot(self)
            }

            fn clear(&mut self) {
                *self = Default::default();
            }
        }
    )*};
}

scalars!(bool => Bool, u16 => U16, u32 => U32, u64 => U64, i64 => I64, &'a str => Text);

impl<'a, T: Field<'a> + Default> Field<'a> for Option<T> {
    fn slot(&mut self) -> Slot<'_, 'a> {
        self.insert(T::default()).slot()
    }

    fn clear(&mut self) {
        *self = None;
    }
}

impl<'a, T: Field<'a> + Default + Copy> Field<'a> for List<'a, T> {
    fn slot(&mut self) -> Slot<'_, 'a> {
        *self = List::empty();
        Slot::List(self)
    }

    fn clear(&mut self) {
        *self = List::default();
    }
}

impl<'a, T: Field<'a> + Default + Copy> Elements<'a> for List<'a, T> {
    fn append(&mut self, arena: &Arena<'a>, fill: &mut Fill<'_, 'a>) -> Result<(), Full> {
        let mut value = T::default();
        if fill(&mut value) { self.push(arena, value) } else { Ok(()) }
    }
}

impl<'a, T: Field<'a> + Default + Copy> Field<'a> for List<'a, Entry<'a, T>> {
    fn slot(&mut self) -> Slot<'_, 'a> {
        *self = List::empty();
        Slot::Map(self)
    }

    fn clear(&mut self) {
        *self = List::default();
    }
}

impl<'a, T: Field<'a> + Default + Copy> Entries<'a> for List<'a, Entry<'a, T>> {
    fn append(&mut self, arena: &Arena<'a>, key: &'a str, fill: &mut Fill<'_, 'a>) -> Result<(), Full> {
        let mut value = T::default();
        if fill(&mut value) { self.push(arena, Entry { key, value }) } else { Ok(()) }
    }

    fn keep(&mut self, arena: &Arena<'a>, last: &Keys<'a>) -> Result<(), Full> {
        let mut kept = List::empty();
        for (position, entry) in self.iter().enumerate() {
            if last.get(entry.key) == Some(position) {
                kept.push(arena, *entry)?;
            }
        }
        *self = kept;
        Ok(())
    }
}

/// Declares a struct that is read from a JSON object, one line per field: the key, the name in Rust, the type.
///
/// `object! { /// What it is. Mount<'a> { "destination" => destination: &'a str, "options" => options: List<'a, &'a str> } }`
macro_rules! object {
    ($(#[$about:meta])* $name:ident $(<$life:lifetime>)? {
        $($(#[$note:meta])* $key:literal => $field:ident: $type:ty),* $(,)?
    }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, Default)]
        pub struct $name $(<$life>)? {
            $(#[doc = concat!("`", $key, "`.")] $(#[$note])* pub $field: $type),*
        }

        impl<'a> $crate::json::Object<'a> for $name $(<$life>)? {
            fn names(&self) -> $crate::mem::Names {
                const { assert!([$($key),*].len() <= 64) };
                $crate::mem::names![$($key),*]
            }

            fn field(&mut self, index: usize) -> Option<&mut dyn $crate::json::Field<'a>> {
                #[allow(non_camel_case_types, reason = "the names of the fields, numbered")]
                enum Number { $($field),* }
                match index {
                    $(number if number == Number::$field as usize => Some(&mut self.$field),)*
                    _ => None,
                }
            }
        }

        impl<'a> $crate::json::Field<'a> for $name $(<$life>)? {
            fn slot(&mut self) -> $crate::json::Slot<'_, 'a> {
                $crate::json::Slot::Object(self)
            }

            fn clear(&mut self) {
                $crate::json::clear(self);
            }
        }
    };
}

pub(crate) use object;
