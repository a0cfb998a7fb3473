//! The runtime's own file, kept out of the container's reach (CVE-2019-5736): it runs from a sealed copy in memory.
//!
//! Must: come before anything of a container exists. Mustn't: run from a file that a container's root could write to through /proc/PID/exe.

use core::ffi::CStr;
use core::fmt::Write;

use crate::error::{Doing, Error, Result};
use crate::sys::{self, Arguments, AsFd, Errno, OwnedFd, fs};

/// File systems that nobody can write to, whatever they are mounted with: squashfs, erofs, cramfs, ISO 9660.
const READ_ONLY_MAGICS: [u32; 4] = [0x7371_7368, 0xe0f5_e1e2, 0x28cd_3d45, 0x9660];

/// Returns when this process already runs from such a copy, or from a file system that cannot be written; else becomes the copy.
/// Errors: no memfd(2) (Linux 3.17), no memory.
pub fn protect<'a>(arguments: Arguments) -> Result<'a, ()> {
    let own = fs::open(c"/proc/self/exe", fs::OFlags::RDONLY | fs::OFlags::CLOEXEC, fs::Mode::empty()).doing("open", "/proc/self/exe")?;
    if sys::is_undefended("sealed-copy") || is_sealed(&own) || is_on_read_only_file_system(&own) {
        return Ok(());
    }
    let copy = seal_copy(&own).doing("copy the runtime's executable to memory", "/proc/self/exe")?;
    let why = match sys::execveat(copy.as_fd(), arguments.argv, arguments.environ) {
        Errno::NOSYS => by_path(&copy, arguments), // before Linux 3.19
        why => why,
    };
    Err(Error::errno("execute the copy in memory", "/proc/self/exe", why))
}

/// By the host's /proc, which nobody but root mounts.
fn by_path(copy: &OwnedFd, arguments: Arguments) -> Errno {
    let mut path = heapless::String::<32>::new();
    let _ = write!(path, "/proc/self/fd/{}\0", sys::AsRawFd::as_raw_fd(copy)); // 14 + 10 digits + NUL always fit
    match CStr::from_bytes_with_nul(path.as_bytes()) {
        Ok(path) => sys::execve(path, arguments.argv, arguments.environ),
        Err(_) => Errno::INVAL,
    }
}

fn seals() -> fs::SealFlags {
    fs::SealFlags::SEAL | fs::SealFlags::SHRINK | fs::SealFlags::GROW | fs::SealFlags::WRITE
}

fn is_sealed(file: &OwnedFd) -> bool {
    fs::fcntl_get_seals(file).is_ok_and(|found| found.contains(seals()))
}

fn is_on_read_only_file_system(file: &OwnedFd) -> bool {
    sys::file_system(file).is_ok_and(|found| READ_ONLY_MAGICS.contains(&found))
}

fn seal_copy(own: &OwnedFd) -> core::result::Result<OwnedFd, Errno> {
    const MFD_EXEC: u32 = 0x10; // Linux 6.3; without it a system may make memfds that cannot be executed
    let flags = fs::MemfdFlags::CLOEXEC | fs::MemfdFlags::ALLOW_SEALING;
    let copy = match fs::memfd_create(c"ocinit", flags | fs::MemfdFlags::from_bits_retain(MFD_EXEC)) {
        Err(Errno::INVAL) => fs::memfd_create(c"ocinit", flags)?,
        copy => copy?,
    };
    let mut left = fs::fstat(own)?.st_size as usize;
    while left > 0 {
        match fs::sendfile(&copy, own, None, left)? {
            0 => return Err(Errno::IO),
            sent => left = left.saturating_sub(sent),
        }
    }
    // EBUSY: the kernel itself holds a page for longer than the 0.15 s that it waits, while it moves memory about; that ends.
    let mut tries = 0..20;
    loop {
        match fs::fcntl_add_seals(&copy, seals()) {
            Err(Errno::BUSY) if tries.next().is_some() => {}
            answer => return answer.map(|()| copy),
        }
    }
}
