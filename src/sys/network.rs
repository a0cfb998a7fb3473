//! Network interfaces: requests to the kernel's routing socket (rtnetlink(7)) and by ioctl(2), each in the namespace of its socket.

use linux_raw_sys::general::__NR_ioctl;
use linux_raw_sys::ioctl::{SIOCGIFINDEX, SIOCSIFFLAGS};
use linux_raw_sys::netlink::{NLMSG_DONE, NLMSG_ERROR};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};

use super::{AsRawFd, BorrowedFd, Errno, OwnedFd, raw};

const IFF_UP: i32 = 0x1; // netdevice(7)
const IFF_RUNNING: i32 = 0x40;

/// `struct ifreq`, padded to the size the kernel copies: flags, in the lower half, or the index.
#[repr(C)]
struct Request {
    name: [u8; 16],
    value: i32,
    rest: [u8; 20],
}

impl Request {
    fn new(name: &[u8], value: i32) -> Result<Self, Errno> {
        let mut request = Request { name: [0; 16], value, rest: [0; 20] };
        request.name.get_mut(..name.len()).filter(|_| name.len() < 16).ok_or(Errno::NODEV)?.copy_from_slice(name);
        Ok(request)
    }

    fn send(&mut self, socket: BorrowedFd<'_>, code: u32) -> Result<(), Errno> {
        // SAFETY: both codes read and write a `struct ifreq`, which is at most 40 bytes on every architecture, and it outlives the call.
        unsafe { raw::call(__NR_ioctl, [socket.as_raw_fd() as usize, code as usize, (&raw mut *self) as usize, 0, 0, 0]) }.map(|_| ())
    }
}

/// Sets `lo` up in the calling thread's network namespace. Errors: EPERM, EAFNOSUPPORT without any inet family.
pub fn loopback_up() -> Result<(), Errno> {
    let socket = rustix::net::socket_with(AddressFamily::INET, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?;
    // A 16-bit field: in the first two of the four bytes.
    let mut flags = [0; 4];
    flags[..2].copy_from_slice(&((IFF_UP | IFF_RUNNING) as u16).to_ne_bytes());
    Request::new(b"lo", i32::from_ne_bytes(flags))?.send(super::AsFd::as_fd(&socket), SIOCSIFFLAGS)
}

/// The number of a network interface in the namespace of the socket. Errors: ENODEV.
pub fn interface_index(socket: BorrowedFd<'_>, name: &[u8]) -> Result<i32, Errno> {
    let mut request = Request::new(name, 0)?;
    request.send(socket, SIOCGIFINDEX)?;
    Ok(request.value)
}

/// A routing socket in the calling thread's network namespace.
pub fn route_socket() -> Result<OwnedFd, Errno> {
    rustix::net::socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None) // 0 is NETLINK_ROUTE
}

/// Sends one request, and shows each message of the answer, its header included, to `visit`. Errors: what the kernel says, or `visit`.
///
/// Must: read the answer to its end, whatever `visit` says: what is left would be taken for the answer to the next request.
pub fn request(socket: BorrowedFd<'_>, message: &[u8], visit: &mut dyn FnMut(&[u8]) -> Result<(), Errno>) -> Result<(), Errno> {
    rustix::net::send(socket, message, SendFlags::empty())?;
    let mut visited = Ok(());
    let mut room = [0u8; 8192]; // netlink(7): dumps come in pieces of at most a page, or of 8 KiB
    loop {
        let (_, len) = rustix::io::retry_on_intr(|| rustix::net::recv(socket, &mut room[..], RecvFlags::TRUNC))?;
        let mut rest = room.get(..len).ok_or(Errno::MSGSIZE)?;
        while let Some((head, body)) = rest.split_at_checked(16) {
            let length = u32::from_ne_bytes([head[0], head[1], head[2], head[3]]) as usize;
            let (kind, is_whole) = (u32::from(u16::from_ne_bytes([head[4], head[5]])), (16..=rest.len()).contains(&length));
            match (kind, body) {
                (NLMSG_DONE | NLMSG_ERROR, [a, b, c, d, ..]) => {
                    return match i32::from_ne_bytes([*a, *b, *c, *d]) {
                        number @ ..0 => Err(Errno::from_raw_os_error(number.saturating_neg())),
                        _ => visited,
                    };
                }
                _ if is_whole => visited = visited.and_then(|()| visit(&rest[..length])),
                _ => return Err(Errno::BADMSG),
            }
            rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        }
    }
}
