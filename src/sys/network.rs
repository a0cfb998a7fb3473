//! The loopback interface of a new network namespace.

use linux_raw_sys::general::__NR_ioctl;
use linux_raw_sys::ioctl::SIOCSIFFLAGS;
use rustix::net::{AddressFamily, SocketFlags, SocketType};

use super::{AsRawFd, Errno, raw};

const IFF_UP: i16 = 0x1; // netdevice(7)
const IFF_RUNNING: i16 = 0x40;

/// `struct ifreq` with `ifr_flags`, padded to the size the kernel copies.
#[repr(C)]
struct Request {
    name: [u8; 16],
    flags: i16,
    rest: [u8; 22],
}

/// Sets `lo` up in the calling thread's network namespace. Errors: EPERM, EAFNOSUPPORT without any inet family.
pub fn loopback_up() -> Result<(), Errno> {
    let socket = rustix::net::socket_with(AddressFamily::INET, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?;
    let mut request = Request { name: [0; 16], flags: IFF_UP | IFF_RUNNING, rest: [0; 22] };
    request.name[..2].copy_from_slice(b"lo");
    // SAFETY: SIOCSIFFLAGS reads a `struct ifreq`, which is at most 40 bytes on every architecture, and it outlives the call.
    unsafe { raw::call(__NR_ioctl, [socket.as_raw_fd() as usize, SIOCSIFFLAGS as usize, (&raw const request) as usize, 0, 0, 0]) }
        .map(|_| ())
}
