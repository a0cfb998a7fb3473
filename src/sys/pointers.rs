//! NULL-ended arrays of strings, as `execve` wants them and `main` gets them.

use core::ffi::{CStr, c_char, c_int};
use core::marker::PhantomData;

/// A pointer to a string that lives for `'a`, or NULL. Same size and form as a `char *`.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct CPointer<'a>(*const c_char, PhantomData<&'a CStr>);

impl<'a> CPointer<'a> {
    /// The end of an array.
    pub const NULL: CPointer<'static> = CPointer(core::ptr::null(), PhantomData);

    /// Points to `text`.
    pub fn new(text: &'a CStr) -> Self {
        CPointer(text.as_ptr(), PhantomData)
    }

    /// The string, unless this is NULL.
    pub fn get(self) -> Option<&'a CStr> {
        if self.0.is_null() {
            return None;
        }
        // SAFETY: not NULL, so made by `new` from a `&'a CStr`, or taken from the process's own arguments, which are NUL-ended for ever.
        Some(unsafe { CStr::from_ptr(self.0) })
    }

    /// Whether this ends an array.
    pub fn is_null(self) -> bool {
        self.0.is_null()
    }
}

/// The process's own arguments and environment.
#[derive(Clone, Copy)]
pub struct Arguments {
    /// `argv`, its closing NULL included.
    pub argv: &'static [CPointer<'static>],
    /// `environ`, its closing NULL included.
    pub environ: &'static [CPointer<'static>],
}

mod extern_c {
    use core::ffi::c_char;
    unsafe extern "C" {
        pub static environ: *const *const c_char;
    }
}

/// The value of a variable of the process's own environment, wherever it is asked.
#[cfg(undefended)]
pub(super) fn variable(name: &str) -> Option<&'static CStr> {
    // SAFETY: no argument is looked at, and the environment is the C library's, as below.
    unsafe { Arguments::of_main(0, [core::ptr::null()].as_ptr()) }.variable(name)
}

impl Arguments {
    /// Takes over what the C library gave to `main`.
    ///
    /// # Safety
    /// `argv` must be `main`'s own second argument, and nobody may have changed it.
    pub unsafe fn of_main(argc: c_int, argv: *const *const c_char) -> Self {
        let argc = usize::try_from(argc).unwrap_or(0);
        // SAFETY: the kernel and the C library made `argc` pointers and a NULL there, which live as long as the process.
        let argv = unsafe { core::slice::from_raw_parts(argv.cast::<CPointer<'static>>(), argc + 1) };
        // SAFETY: the C library set `environ` before it called main; we never change it.
        let environ = unsafe { extern_c::environ };
        let mut len = 0;
        // SAFETY: the array ends with a NULL, at which the loop stops.
        while !unsafe { *environ.wrapping_add(len) }.is_null() {
            len += 1;
        }
        // SAFETY: `len` pointers and the NULL were just walked over.
        let environ = unsafe { core::slice::from_raw_parts(environ.cast::<CPointer<'static>>(), len + 1) };
        Arguments { argv, environ }
    }

    /// The arguments, the program's name first.
    pub fn iter(&self) -> impl Iterator<Item = &'static CStr> + use<> {
        self.argv.iter().filter_map(|pointer| pointer.get())
    }

    /// The value of an environment variable.
    pub fn variable(&self, name: &str) -> Option<&'static CStr> {
        self.environ.iter().filter_map(|pointer| pointer.get()).find_map(|entry| {
            let rest = entry.to_bytes_with_nul().strip_prefix(name.as_bytes())?.strip_prefix(b"=")?;
            CStr::from_bytes_with_nul(rest).ok()
        })
    }
}
