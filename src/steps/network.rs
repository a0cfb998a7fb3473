//! Network interfaces moved between the host and the container, with their addresses. It is the runtime that moves them: a container
//! with a user namespace has no rights over those of the host.

use linux_raw_sys::general::CLONE_NEWNET;
use linux_raw_sys::netlink::{self as n, NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, NLM_F_REQUEST};

use super::sync::{self, REQUEST_NET_DEVICES};
use super::{At, Done, Stage};
use crate::error::Note;
use crate::mem::List;
use crate::names::subjects::NET_DEVICES;
use crate::plan::network::NetDevice;
use crate::sys::{self, AsFd, BorrowedFd, Errno, OwnedFd};

const RTM_NEWLINK: u16 = 16; // rtnetlink(7)
const RTM_GETLINK: u16 = 18;
const RTM_NEWADDR: u16 = 20;
const RTM_GETADDR: u16 = 22;
const IFF_UP: u32 = 1;

/// Room for the addresses of one interface: about eighty.
const ADDRESSES_BYTES: usize = 4096;

/// Waits while the parent moves the network devices here.
pub fn await_devices(stage: &mut Stage<'_, '_>) -> Done {
    if !NET_DEVICES || stage.plan.net_devices.is_empty() { Ok(()) } else { sync::ask(stage, REQUEST_NET_DEVICES) }
}

/// One network namespace: itself, and a routing socket in it.
struct Place {
    namespace: OwnedFd,
    socket: OwnedFd,
}

/// The runtime's network namespace and the container's.
pub struct Places {
    host: Place,
    container: Place,
}

impl Places {
    /// Opens both, given the container's. The calling thread visits it for a moment.
    pub fn open(own: OwnedFd, container: OwnedFd) -> Result<Places, Errno> {
        let socket = sys::route_socket()?;
        sys::set_namespace(container.as_fd(), CLONE_NEWNET)?;
        let inside = sys::route_socket();
        sys::set_namespace(own.as_fd(), CLONE_NEWNET)?;
        Ok(Places { host: Place { namespace: own, socket }, container: Place { namespace: container, socket: inside? } })
    }

    /// Moves all devices into the container; `moved` counts those that went. Each is looked up before the first is touched.
    pub fn move_in(&self, devices: &List<'_, NetDevice<'_>>, moved: &mut usize) -> Done {
        for (index, device) in devices.iter().enumerate() {
            let found = sys::interface_index(self.host.socket.as_fd(), device.outside.as_bytes());
            found.map_err(At::note(Note::NetFind)).map_err(At::item(index))?;
        }
        for (index, device) in devices.iter().enumerate() {
            let gone = move_device(&self.host, &self.container, device.outside, device.inside);
            *moved = index + 1; // it may have gone half-way
            gone.map_err(At::item(index))?;
        }
        Ok(())
    }

    /// Takes the first `moved` devices back.
    pub fn move_out(&self, devices: &List<'_, NetDevice<'_>>, moved: usize) {
        for device in devices.iter().take(moved) {
            let _ = move_device(&self.container, &self.host, device.inside, device.outside); // one that had not gone is where it was
        }
    }
}

fn move_device(from: &Place, to: &Place, name: &str, new_name: &str) -> Done {
    let (here, there) = (from.socket.as_fd(), to.socket.as_fd());
    let index = sys::interface_index(here, name.as_bytes()).map_err(At::note(Note::NetFind))?;
    let mut addresses = heapless::Vec::new();
    collect_addresses(here, index, &mut addresses).map_err(At::note(Note::NetAddress))?;
    let was_up = is_up(here, index).map_err(At::note(Note::NetMove))?;
    set_up(here, index, false).map_err(At::note(Note::NetMove))?;
    let mut message = Message::of_link(index, 0, IFF_UP); // a device that is up cannot be renamed
    message.attribute(n::_bindgen_ty_2::IFLA_IFNAME as u16, &[new_name.as_bytes(), b"\0"]);
    let namespace = sys::AsRawFd::as_raw_fd(&to.namespace).to_ne_bytes();
    message.attribute(n::_bindgen_ty_2::IFLA_NET_NS_FD as u16, &[&namespace]);
    if let Err(errno) = message.send(here) {
        // It stays, as it was: to be down has cost it its IPv6 addresses.
        if was_up {
            let _ = set_up(here, index, true).and_then(|()| add_addresses(here, index, &addresses)); // the first error is told
        }
        return Err(At::note(Note::NetMove)(errno));
    }
    let index = sys::interface_index(there, new_name.as_bytes()).map_err(At::note(Note::NetMove))?;
    add_addresses(there, index, &addresses).map_err(At::note(Note::NetAddress))?;
    set_up(there, index, true).map_err(At::note(Note::NetUp))
}

fn set_up(socket: BorrowedFd<'_>, index: i32, is_up: bool) -> Result<(), Errno> {
    Message::of_link(index, if is_up { IFF_UP } else { 0 }, IFF_UP).send(socket)
}

fn is_up(socket: BorrowedFd<'_>, index: i32) -> Result<bool, Errno> {
    let mut flags = 0;
    let mut request = Message::of_link(index, 0, 0);
    request.0[4..6].copy_from_slice(&RTM_GETLINK.to_ne_bytes());
    // struct nlmsghdr, then struct ifinfomsg, whose third word it is.
    sys::request(socket, request.as_bytes(), &mut |message| {
        flags = message.get(24..28).and_then(|flags| flags.try_into().ok()).map_or(0, u32::from_ne_bytes);
        Ok(())
    })?;
    Ok(flags & IFF_UP != 0)
}

/// The permanent addresses of global scope, each as the requests that set it again, one behind the other.
fn collect_addresses(socket: BorrowedFd<'_>, index: i32, kept: &mut heapless::Vec<u8, ADDRESSES_BYTES>) -> Result<(), Errno> {
    let request = Message::new(RTM_GETADDR, NLM_F_REQUEST | NLM_F_DUMP, &[0; 8]);
    sys::request(socket, request.as_bytes(), &mut |message| {
        // struct nlmsghdr, then struct ifaddrmsg: family, prefix length, flags, scope, index.
        let Some([family, prefix_length, flags, scope, of @ ..]) = message.get(16..24) else { return Ok(()) };
        let is_permanent = u32::from(*flags) & n::IFA_F_PERMANENT != 0;
        if of != index.to_ne_bytes() || !is_permanent || *scope != 0 {
            return Ok(());
        }
        let mut again = Message::new(RTM_NEWADDR, CREATE, &[*family, *prefix_length, 0, *scope, 0, 0, 0, 0]);
        for (kind, value) in attributes(&message[24..]) {
            const KEPT: [u16; 3] =
                [n::_bindgen_ty_56::IFA_ADDRESS as u16, n::_bindgen_ty_56::IFA_LOCAL as u16, n::_bindgen_ty_56::IFA_BROADCAST as u16];
            if KEPT.contains(&kind) {
                again.attribute(kind, &[value]);
            }
        }
        kept.extend_from_slice(again.as_bytes()).map_err(|_| Errno::TOOBIG)
    })
}

fn add_addresses(socket: BorrowedFd<'_>, index: i32, addresses: &[u8]) -> Result<(), Errno> {
    let mut rest = addresses;
    while let Some(length) = rest.first_chunk().map(|length| u32::from_ne_bytes(*length) as usize) {
        let (one, others) = rest.split_at_checked(length).ok_or(Errno::BADMSG)?;
        let mut message = heapless::Vec::<u8, MESSAGE_BYTES>::from_slice(one).map_err(|_| Errno::TOOBIG)?;
        message[20..24].copy_from_slice(&index.to_ne_bytes());
        match sys::request(socket, &message, &mut |_| Ok(())) {
            Ok(()) | Err(Errno::EXIST) => rest = others, // it has kept that one
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

/// Type and value of each attribute (struct rtattr, rtnetlink(3)).
fn attributes(mut rest: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    core::iter::from_fn(move || {
        let [a, b, c, d, ..] = *rest else { return None };
        let length = usize::from(u16::from_ne_bytes([a, b]));
        let value = rest.get(4..length)?;
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((u16::from_ne_bytes([c, d]), value))
    })
}

const CREATE: u32 = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL;

/// The largest request: a header, and three IPv6 addresses or a name.
const MESSAGE_BYTES: usize = 128;

/// One request (struct nlmsghdr, netlink(7)).
struct Message(heapless::Vec<u8, MESSAGE_BYTES>);

impl Message {
    fn new(kind: u16, flags: u32, body: &[u8]) -> Self {
        let mut message = Message(heapless::Vec::new());
        message.push(&[&[0; 4], &kind.to_ne_bytes(), &(flags as u16).to_ne_bytes(), &[0; 8], body]);
        message
    }

    /// struct ifinfomsg, rtnetlink(7).
    fn of_link(index: i32, flags: u32, changed: u32) -> Self {
        let mut body = [0; 16];
        body[4..8].copy_from_slice(&index.to_ne_bytes());
        body[8..12].copy_from_slice(&flags.to_ne_bytes());
        body[12..].copy_from_slice(&changed.to_ne_bytes());
        Message::new(RTM_NEWLINK, NLM_F_REQUEST | NLM_F_ACK, &body)
    }

    fn attribute(&mut self, kind: u16, value: &[&[u8]]) {
        let length = 4 + value.iter().map(|piece| piece.len()).sum::<usize>();
        self.push(&[&(length as u16).to_ne_bytes(), &kind.to_ne_bytes()]);
        self.push(value);
        let padding = length.next_multiple_of(4) - length;
        self.push(&[&[0; 3][..padding]]);
    }

    /// What does not fit is cut, and the kernel refuses what was cut.
    fn push(&mut self, pieces: &[&[u8]]) {
        for piece in pieces {
            let _ = self.0.extend_from_slice(piece);
        }
        let length = (self.0.len() as u32).to_ne_bytes();
        self.0[..4].copy_from_slice(&length);
    }

    fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    fn send(&self, socket: BorrowedFd<'_>) -> Result<(), Errno> {
        sys::request(socket, self.as_bytes(), &mut |_| Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_laid_out_as_the_kernel_reads_it() {
        let mut message = Message::of_link(7, 0, 1);
        message.attribute(3, &[b"eth0", b"\0"]);
        let bytes = message.as_bytes();
        assert_eq!(bytes.len(), 16 + 16 + 12);
        assert_eq!(bytes[..8], [44, 0, 0, 0, 16, 0, 5, 0]);
        assert_eq!(bytes[20..24], [7, 0, 0, 0]);
        assert_eq!(bytes[32..], *b"\x09\0\x03\0eth0\0\0\0\0");
        assert_eq!(attributes(&bytes[32..]).collect::<Vec<_>>(), [(3, &b"eth0\0"[..])]);
    }
}
