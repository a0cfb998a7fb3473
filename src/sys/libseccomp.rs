//! libseccomp, in the builds with the feature of its name: it makes a program of rules. Loading one is nothing of its.
//!
//! It asks the kernel nothing: it is told that everything is known. It allocates by the C library's malloc.

use core::ffi::CStr;

use libseccomp_sys as c;

use super::{AsFd, AsRawFd, Errno, fs};

/// The API level of Linux 5.7 and later, which lets every action and flag be used.
const LATEST_API: u32 = 6;

/// Major, minor and micro version of the library.
pub fn seccomp_library() -> (u32, u32, u32) {
    // SAFETY: the library returns a pointer to a constant of its own.
    let version = unsafe { &*c::seccomp_version() };
    (version.major, version.minor, version.micro)
}

/// The number that a call has for a way of calling (SCMP_ARCH_*, 0 for the native one). Negative: made up by the library, since it has none.
pub fn seccomp_number(architecture: u32, name: &CStr) -> Option<i32> {
    // SAFETY: a string that ends in NUL.
    let number = unsafe { c::seccomp_syscall_resolve_name_arch(architecture, name.as_ptr()) };
    (number != c::__NR_SCMP_ERROR).then_some(number)
}

/// How an argument is compared: the place of the operator among the sorted ones, the argument, and two values.
pub type Compared = (usize, u32, u64, u64);

/// A system call has six arguments.
const ARGUMENTS: usize = 6;

/// SCMP_CMP_*, sorted by name.
const OPERATORS: [c::scmp_compare; 7] = [
    c::scmp_compare::SCMP_CMP_EQ,
    c::scmp_compare::SCMP_CMP_GE,
    c::scmp_compare::SCMP_CMP_GT,
    c::scmp_compare::SCMP_CMP_LE,
    c::scmp_compare::SCMP_CMP_LT,
    c::scmp_compare::SCMP_CMP_MASKED_EQ,
    c::scmp_compare::SCMP_CMP_NE,
];

/// A filter under construction.
pub struct SeccompRules(c::scmp_filter_ctx);

impl SeccompRules {
    /// One for the native way of calling, as a binary tree. Errors: an action that the library does not know.
    pub fn new(default: u32) -> Result<Self, Errno> {
        // SAFETY: a number.
        unsafe { c::seccomp_api_set(LATEST_API) };
        // SAFETY: a number.
        let rules = SeccompRules(unsafe { c::seccomp_init(default) });
        if rules.0.is_null() {
            return Err(Errno::INVAL);
        }
        // SAFETY: a context that is alive.
        answer(unsafe { c::seccomp_attr_set(rules.0, c::scmp_filter_attr::SCMP_FLTATR_CTL_OPTIMIZE, 2) }).map(|()| rules)
    }

    /// Another way of calling. Errors: one that the library does not know.
    pub fn add_architecture(&mut self, architecture: u32) -> Result<(), Errno> {
        // SAFETY: a context that is alive, and a number.
        match answer(unsafe { c::seccomp_arch_add(self.0, architecture) }) {
            Err(Errno::EXIST) => Ok(()),
            added => added,
        }
    }

    /// What to do at a call whose arguments are so. Errors: EEXIST where another rule says so and does otherwise.
    pub fn add(&mut self, action: u32, number: i32, conditions: &mut dyn Iterator<Item = Compared>) -> Result<(), Errno> {
        let mut list = heapless::Vec::<c::scmp_arg_cmp, ARGUMENTS>::new();
        for (operator, arg, datum_a, datum_b) in conditions {
            list.push(c::scmp_arg_cmp { arg, op: OPERATORS[operator], datum_a, datum_b }).map_err(|_| Errno::TOOBIG)?;
        }
        // SAFETY: a context that is alive, and as many conditions as said.
        answer(unsafe { c::seccomp_rule_add_array(self.0, action, number, list.len() as u32, list.as_ptr()) })
    }

    /// Writes the program, and says how many instructions it has; those that do not fit are not written.
    pub fn program(&self, room: &mut [u64]) -> Result<usize, Errno> {
        let file = fs::memfd_create(c"filter", fs::MemfdFlags::CLOEXEC)?;
        // SAFETY: a context that is alive and a descriptor that is open.
        answer(unsafe { c::seccomp_export_bpf(self.0, file.as_fd().as_raw_fd()) })?;
        let length = fs::fstat(&file)?.st_size as usize / size_of::<u64>();
        for (index, word) in room.iter_mut().take(length).enumerate() {
            let mut bytes = [0; size_of::<u64>()];
            fs::pread(&file, &mut bytes, (index * size_of::<u64>()) as u64)?;
            *word = u64::from_ne_bytes(bytes);
        }
        Ok(length)
    }
}

impl Drop for SeccompRules {
    fn drop(&mut self) {
        // SAFETY: a context that is alive or NULL, which nobody uses any more.
        unsafe { c::seccomp_release(self.0) };
    }
}

fn answer(code: i32) -> Result<(), Errno> {
    if code == 0 { Ok(()) } else { Err(Errno::from_raw_os_error(-code)) }
}
