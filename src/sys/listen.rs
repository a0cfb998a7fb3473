//! Sockets that others talk to: requests of root, and messages of whoever was given the socket.

use core::ffi::CStr;

use rustix::fs::{AtFlags, CWD, Mode, chmodat, mkdirat, unlinkat};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, accept_with, bind, listen, socket_with};

use super::{BorrowedFd, Errno, OwnedFd};

fn bound(path: &CStr, kind: SocketType, mode: u32) -> Result<OwnedFd, Errno> {
    let socket = socket_with(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK, None)?;
    let _ = unlinkat(CWD, path, AtFlags::empty()); // of an earlier life
    bind(&socket, &SocketAddrUnix::new(path)?)?;
    chmodat(CWD, path, Mode::from_raw_mode(mode), AtFlags::empty())?;
    Ok(socket)
}

/// A socket for requests, at `path`, that keeps message boundaries and does not block.
pub fn listen_for_requests(path: &CStr) -> Result<OwnedFd, Errno> {
    let socket = bound(path, SocketType::SEQPACKET, 0o600)?;
    listen(&socket, 16)?;
    Ok(socket)
}

/// The next client that is root; it does not block. Errors: EPERM for anybody else, who is hung up on.
pub fn accept_root(socket: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
    let client = accept_with(socket, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK)?;
    let who = rustix::net::sockopt::socket_peercred(&client)?;
    if who.uid.is_root() { Ok(client) } else { Err(Errno::PERM) }
}

/// A socket for messages that anybody may send who can reach it, as `notify.sock` in a directory that is made for it.
pub fn listen_for_messages(directory: &CStr) -> Result<OwnedFd, Errno> {
    match mkdirat(CWD, directory, Mode::from_raw_mode(0o755)) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(errno) => return Err(errno),
    }
    let mut path = [0; 108]; // as much as an address holds, unix(7)
    let name = b"/notify.sock\0";
    let len = directory.to_bytes().len();
    let room = path.get_mut(..len + name.len()).ok_or(Errno::NAMETOOLONG)?;
    room[..len].copy_from_slice(directory.to_bytes());
    room[len..].copy_from_slice(name);
    bound(CStr::from_bytes_with_nul(room).map_err(|_| Errno::INVAL)?, SocketType::DGRAM, 0o666)
}

/// Connects to a socket for messages; `@` stands for the first byte of an abstract name (unix(7)). Writing to it never waits.
pub fn connect_for_messages(address: &CStr) -> Result<OwnedFd, Errno> {
    let socket = socket_with(AddressFamily::UNIX, SocketType::DGRAM, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK, None)?;
    let address = match address.to_bytes() {
        [b'@', name @ ..] => SocketAddrUnix::new_abstract_name(name)?,
        _ => SocketAddrUnix::new(address)?,
    };
    rustix::net::connect(&socket, &address)?;
    Ok(socket)
}

/// Connects to a socket for requests.
pub fn connect_for_requests(path: &CStr) -> Result<OwnedFd, Errno> {
    let socket = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
    rustix::net::connect(&socket, &SocketAddrUnix::new(path)?)?;
    Ok(socket)
}
