//! What may be asked of PID 1: one message of a letter and an id, one answer in words. Whoever only wants to know reads the table.

use super::table::DIRECTORY;
use crate::sys::Leave;

/// The socket, below [`DIRECTORY`].
pub const SOCKET: &core::ffi::CStr = c"/run/ocinit/@boot/control";

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
#[allow(missing_docs, reason = "each is the command of its name")]
pub enum Request {
    Start = b's',
    Stop = b't',
    Restart = b'r',
    Attach = b'a',
    Reload = b'l',
    Reboot = b'R',
    PowerOff = b'P',
    Halt = b'H',
}

const ALL: [Request; 8] =
    [Request::Start, Request::Stop, Request::Restart, Request::Attach, Request::Reload, Request::Reboot, Request::PowerOff, Request::Halt];

impl Request {
    /// That for an end of the machine.
    pub fn of(leave: Leave) -> Request {
        match leave {
            Leave::Reboot => Request::Reboot,
            Leave::PowerOff => Request::PowerOff,
            Leave::Halt => Request::Halt,
        }
    }
}

/// A longer message is none of ours.
pub const MOST_BYTES: usize = 64;

/// Reads a message: what is asked, and of which service.
pub fn parse(message: &[u8]) -> Option<(Request, &str)> {
    let (letter, id) = message.split_first()?;
    let request = ALL.iter().find(|request| **request as u8 == *letter)?;
    Some((*request, core::str::from_utf8(id).ok()?))
}

const _: () = assert!(DIRECTORY.len() < 100, "a socket's path has 107 bytes");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_a_letter_and_an_id() {
        assert_eq!(parse(b"sweb"), Some((Request::Start, "web")));
        assert_eq!(parse(b"R"), Some((Request::Reboot, "")));
        for garbage in [&b""[..], b"?", b"S", b"s\xff", b"\0\0"] {
            assert_eq!(parse(garbage), None);
        }
    }
}
