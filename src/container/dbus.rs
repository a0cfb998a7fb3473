//! D-Bus, as far as it takes to ask a systemd something over its private socket: calls, their answers, and the signal that a job is done.
//!
//! The D-Bus Specification, "Message Protocol" and "Authentication Protocol". Everything is little-endian, which the other end must take.

use core::ffi::CStr;

use crate::plan::cgroup::{Property, Value};
use crate::sys::{self, AsFd, Errno, OwnedFd, fs, task};

/// Room for one message; what does not fit into it is passed over.
const MESSAGE_BYTES: usize = 8192;

/// The body of a call, or its header.
pub struct Writer {
    bytes: heapless::Vec<u8, MESSAGE_BYTES>,
    is_full: bool,
}

/// An array whose length is not known yet.
pub struct Open {
    length_at: usize,
    start: usize,
}

impl Writer {
    /// An empty body.
    pub fn new() -> Self {
        Writer { bytes: heapless::Vec::new(), is_full: false }
    }

    fn put(&mut self, bytes: &[u8]) {
        self.is_full |= self.bytes.extend_from_slice(bytes).is_err();
    }

    fn align(&mut self, to: usize) {
        while !self.bytes.len().is_multiple_of(to) && !self.is_full {
            self.put(&[0]);
        }
    }

    /// A whole number of 32 bits.
    pub fn u32(&mut self, number: u32) {
        self.align(4);
        self.put(&number.to_le_bytes());
    }

    fn u64(&mut self, number: u64) {
        self.align(8);
        self.put(&number.to_le_bytes());
    }

    /// A text or an object path.
    pub fn text(&mut self, text: &str) {
        self.u32(text.len() as u32);
        self.put(text.as_bytes());
        self.put(&[0]);
    }

    fn signature(&mut self, text: &str) {
        self.put(&[text.len() as u8]);
        self.put(text.as_bytes());
        self.put(&[0]);
    }

    /// Begins an array of elements that are aligned so.
    pub fn open(&mut self, alignment: usize) -> Open {
        self.u32(0);
        let length_at = self.bytes.len().saturating_sub(4);
        self.align(alignment);
        Open { length_at, start: self.bytes.len() }
    }

    /// Ends it.
    pub fn close(&mut self, open: &Open) {
        let length = (self.bytes.len() - open.start) as u32;
        if let Some(place) = self.bytes.get_mut(open.length_at..open.length_at + 4) {
            place.copy_from_slice(&length.to_le_bytes());
        }
    }

    /// A name and a variant, as one element of an array.
    pub fn property(&mut self, property: &Property<'_>) {
        self.align(8);
        self.text(property.name);
        match property.value {
            Value::Bool(value) => self.variant32("b", u32::from(value)),
            Value::I32(value) => self.variant32("i", value as u32),
            Value::U32(value) => self.variant32("u", value),
            Value::I64(value) => {
                self.signature("x");
                self.u64(value as u64);
            }
            Value::U64(value) => {
                self.signature("t");
                self.u64(value);
            }
            Value::Text(value) => {
                self.signature("s");
                self.text(value);
            }
            Value::Texts(values) => {
                self.signature("as");
                let open = self.open(4);
                values.iter().for_each(|value| self.text(value));
                self.close(&open);
            }
            Value::Bytes(values) => {
                self.signature("ay");
                let open = self.open(1);
                self.put(values);
                self.close(&open);
            }
        }
    }

    /// The processes of a new scope.
    pub fn pids(&mut self, pid: u32) {
        self.align(8);
        self.text("PIDs");
        self.signature("au");
        let open = self.open(4);
        self.u32(pid);
        self.close(&open);
    }

    fn variant32(&mut self, signature: &str, value: u32) {
        self.signature(signature);
        self.u32(value);
    }

    fn field(&mut self, code: u8, signature: &str, value: &str) {
        self.align(8);
        self.put(&[code]);
        self.signature(signature);
        if signature == "g" { self.signature(value) } else { self.text(value) }
    }
}

/// A conversation with a systemd.
pub struct Connection {
    socket: OwnedFd,
    serial: u32,
    deadline_ms: u64,
}

/// What came.
#[derive(Debug, PartialEq, Eq)]
pub enum Message<'m> {
    /// The answer to the call of this number.
    Answer(u32),
    /// Its refusal: the error's name, and a sentence.
    Refusal(u32, &'m str, &'m str),
    /// A job of this unit is done, with this result.
    JobRemoved(&'m str, &'m str),
    /// Anything else.
    Other,
}

impl Connection {
    /// Connects and says who we are. Everything has to be done before `deadline_ms`.
    pub fn new(path: &CStr, uid: u32, deadline_ms: u64) -> Result<Connection, Errno> {
        let connection = Connection { socket: sys::connect(path)?, serial: 0, deadline_ms };
        let mut hello = heapless::String::<64>::new();
        let _ = hello.push_str("\0AUTH EXTERNAL ");
        let mut digits = heapless::String::<10>::new();
        let _ = core::fmt::write(&mut digits, format_args!("{uid}")); // ten digits at the most
        for digit in digits.bytes() {
            let _ = core::fmt::write(&mut hello, format_args!("{digit:02x}")); // twenty more
        }
        let _ = hello.push_str("\r\nBEGIN\r\n");
        connection.write(hello.as_bytes())?;
        let mut line = [0; 128];
        for at in 0..line.len() {
            connection.read(&mut line[at..=at])?;
            if line[at] == b'\n' {
                return if line.starts_with(b"OK") { Ok(connection) } else { Err(Errno::ACCESS) };
            }
        }
        Err(Errno::PROTO)
    }

    fn write(&self, mut bytes: &[u8]) -> Result<(), Errno> {
        while !bytes.is_empty() {
            self.await_readiness(task::PollFlags::OUT)?;
            let sent = match sys::send_some(self.socket.as_fd(), bytes) {
                Err(Errno::AGAIN) => 0,
                sent => sent?,
            };
            bytes = &bytes[sent..];
        }
        Ok(())
    }

    fn await_readiness(&self, wanted: task::PollFlags) -> Result<(), Errno> {
        let left = self.deadline_ms.saturating_sub(task::now_ms());
        match task::poll(&mut [task::PollFd::new(&self.socket, wanted)], Some(&task::milliseconds(left)))? {
            0 => Err(Errno::TIMEDOUT),
            _ => Ok(()),
        }
    }

    fn read(&self, mut room: &mut [u8]) -> Result<(), Errno> {
        while !room.is_empty() {
            self.await_readiness(task::PollFlags::IN)?;
            match fs::read(&self.socket, &mut *room)? {
                0 => return Err(Errno::CONNRESET),
                read => room = &mut room[read..],
            }
        }
        Ok(())
    }

    /// Calls a method of the manager; the number by which its answer is known.
    pub fn call(&mut self, method: &str, signature: &str, body: &Writer) -> Result<u32, Errno> {
        self.serial += 1;
        let mut header = Writer::new();
        header.put(b"l\x01\x00\x01");
        header.u32(body.bytes.len() as u32);
        header.u32(self.serial);
        let open = header.open(8);
        header.field(1, "o", "/org/freedesktop/systemd1");
        header.field(2, "s", "org.freedesktop.systemd1.Manager");
        header.field(3, "s", method);
        header.field(6, "s", "org.freedesktop.systemd1");
        header.field(8, "g", signature);
        header.close(&open);
        header.align(8);
        if body.is_full || header.is_full {
            return Err(Errno::MSGSIZE);
        }
        self.write(&header.bytes)?;
        self.write(&body.bytes)?;
        Ok(self.serial)
    }

    /// Waits for the next message.
    pub fn next<'m>(&self, room: &'m mut [u8; MESSAGE_BYTES]) -> Result<Message<'m>, Errno> {
        const FIXED: usize = 16;
        self.read(&mut room[..FIXED])?;
        let word = |at: usize| u32::from_le_bytes(room[at..at + 4].try_into().unwrap_or_default()) as usize;
        let (body, fields) = (word(4), word(12));
        let rest = fields.next_multiple_of(8).checked_add(body).ok_or(Errno::PROTO)?;
        if room[0] != b'l' {
            return Err(Errno::PROTO);
        }
        let fits = rest.min(room.len() - FIXED);
        self.read(&mut room[FIXED..FIXED + fits])?;
        let mut left = rest - fits;
        while left > 0 {
            let mut passed_over = [0; 256];
            let some = left.min(passed_over.len());
            self.read(&mut passed_over[..some])?;
            left -= some;
        }
        if fits < rest { Ok(Message::Other) } else { Ok(understand(&room[..FIXED + rest], fields)) }
    }
}

/// Where in a message we are; what is not there reads as nothing.
struct Reader<'m> {
    bytes: &'m [u8],
    at: usize,
}

impl<'m> Reader<'m> {
    fn u32(&mut self) -> u32 {
        self.at = self.at.next_multiple_of(4);
        let word = self.bytes.get(self.at..self.at + 4).and_then(|bytes| bytes.try_into().ok()).unwrap_or_default();
        self.at += 4;
        u32::from_le_bytes(word)
    }

    fn bytes(&mut self, len: usize) -> &'m str {
        let text = self.bytes.get(self.at..self.at.saturating_add(len)).and_then(|bytes| core::str::from_utf8(bytes).ok());
        self.at = self.at.saturating_add(len).saturating_add(1).min(self.bytes.len());
        text.unwrap_or_default()
    }

    fn text(&mut self) -> &'m str {
        let len = self.u32() as usize;
        self.bytes(len)
    }

    fn signature(&mut self) -> &'m str {
        let len = self.bytes.get(self.at).copied().unwrap_or(0);
        self.at += 1;
        self.bytes(len.into())
    }
}

fn understand(bytes: &[u8], fields: usize) -> Message<'_> {
    const FIELDS_AT: usize = 16;
    let end = FIELDS_AT + fields;
    let mut reader = Reader { bytes, at: FIELDS_AT };
    let (mut answers, mut member, mut error) = (0, "", "");
    while reader.at.next_multiple_of(8) < end {
        reader.at = reader.at.next_multiple_of(8);
        let code = bytes[reader.at];
        reader.at += 1;
        let (number, text) = match reader.signature() {
            "u" => (reader.u32(), ""),
            "g" => (0, reader.signature()),
            _ => (0, reader.text()),
        };
        match code {
            3 => member = text,
            4 => error = text,
            5 => answers = number,
            _ => {}
        }
    }
    reader.at = end.next_multiple_of(8);
    match bytes[1] {
        2 => Message::Answer(answers),
        3 => Message::Refusal(answers, error, reader.text()),
        4 if member == "JobRemoved" => {
            let (_, _, unit, result) = (reader.u32(), reader.text(), reader.text(), reader.text());
            Message::JobRemoved(unit, result)
        }
        _ => Message::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_are_aligned_and_typed() {
        let mut body = Writer::new();
        body.text("a");
        let open = body.open(8);
        body.property(&Property { name: "B", value: Value::Bool(true) });
        body.property(&Property { name: "T", value: Value::U64(7) });
        body.close(&open);
        let expected: &[u8] =
            b"\x01\0\0\0a\0\0\0\x28\0\0\0\0\0\0\0\x01\0\0\0B\0\x01b\0\0\0\0\x01\0\0\0\x01\0\0\0T\0\x01t\0\0\0\0\0\0\0\0\x07\0\0\0\0\0\0\0";
        // The second begins at a multiple of eight, and so does its number.
        assert_eq!(body.bytes[..12], expected[..12]);
        assert_eq!(&body.bytes[16..32], &expected[16..32]);
        assert_eq!(&body.bytes[32..], b"\x01\0\0\0T\0\x01t\0\0\0\0\0\0\0\0\x07\0\0\0\0\0\0\0");
        assert_eq!(u32::from_le_bytes(body.bytes[8..12].try_into().unwrap()), (body.bytes.len() - 16) as u32);
    }

    #[test]
    fn a_signal_that_a_job_is_done_is_understood_and_rubbish_is_something_else() {
        let mut body = Writer::new();
        body.u32(5);
        ["/job/5", "x.scope", "done"].iter().for_each(|text| body.text(text));
        let mut message = Writer::new();
        message.put(b"l\x04\x01\x01");
        message.u32(body.bytes.len() as u32);
        message.u32(9);
        let open = message.open(8);
        message.field(1, "o", "/org/freedesktop/systemd1");
        message.field(3, "s", "JobRemoved");
        message.field(8, "g", "uoss");
        message.close(&open);
        let fields = message.bytes.len() - open.start;
        message.align(8);
        message.put(&body.bytes);
        assert_eq!(understand(&message.bytes, fields), Message::JobRemoved("x.scope", "done"));
        for len in 16..message.bytes.len() {
            let _ = understand(&message.bytes[..len], fields.min(len - 16));
        }
    }

    #[test]
    fn a_manager_that_reads_nothing_or_is_gone_is_an_error_in_time() {
        let path = std::env::temp_dir().join(format!("ocinit-dbus-{}", std::process::id()));
        let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let name = std::ffi::CString::new(path.to_str().unwrap()).unwrap();
        let connection = Connection { socket: sys::connect(&name).unwrap(), serial: 0, deadline_ms: task::now_ms() + 50 };
        let (theirs, _) = listener.accept().unwrap();
        std::fs::remove_file(&path).unwrap();
        assert_eq!(connection.write(&[0; 4 << 20]), Err(Errno::TIMEDOUT));
        assert_eq!(connection.read(&mut [0]), Err(Errno::TIMEDOUT));
        drop(theirs);
        let connection = Connection { deadline_ms: task::now_ms() + 10_000, ..connection };
        assert_eq!(connection.write(b"x"), Err(Errno::PIPE));
    }
}
