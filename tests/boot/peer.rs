//! Whoever talks to PID 1 in the boot tests: a service that says how it is, and one that says nonsense.

use std::os::unix::net::UnixDatagram;

use crate::sys::{self, Outcome};

/// `peer notify MESSAGE...` sends each message to NOTIFY_SOCKET, a number waits so many milliseconds.
/// `peer flood SOCKET COUNT MESSAGE` sends one message that often.
/// `peer garbage SOCKET` sends what no protocol has to a socket, a thousand times.
/// `peer enable-verity FILE` turns fs-verity on for a file, as fsverity(1) does.
pub fn run(arguments: &[String]) -> Outcome<i32> {
    match arguments {
        [word, messages @ ..] if word == "notify" => notify(messages),
        [word, socket] if word == "garbage" => garbage(socket),
        [word, socket, count, message] if word == "flood" => flood(socket, count.parse().map_err(|_| "flood wants a number")?, message),
        [word, file] if word == "enable-verity" => sys::enable_verity(file).map(|()| 0),
        _ => Err("peer wants notify, flood, garbage or enable-verity".into()),
    }
}

fn notify(messages: &[String]) -> Outcome<i32> {
    let socket = std::env::var("NOTIFY_SOCKET").map_err(|why| format!("NOTIFY_SOCKET: {why}"))?;
    let own = UnixDatagram::unbound().map_err(|why| why.to_string())?;
    for message in messages {
        match message.parse() {
            Ok(milliseconds) => std::thread::sleep(std::time::Duration::from_millis(milliseconds)),
            Err(_) => drop(own.send_to(message.replace("\\n", "\n").as_bytes(), &socket).map_err(|why| format!("{socket}: {why}"))?),
        }
    }
    Ok(0)
}

fn flood(socket: &str, count: usize, message: &str) -> Outcome<i32> {
    let own = UnixDatagram::unbound().map_err(|why| why.to_string())?;
    for _ in 0..count {
        own.send_to(message.as_bytes(), socket).map_err(|why| format!("{socket}: {why}"))?;
    }
    Ok(0)
}

/// A fixed sequence: xorshift from a seed that is in the source, so that a failure comes again.
fn garbage(socket: &str) -> Outcome<i32> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    for _ in 0..1000 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let bytes: Vec<u8> = (0..state % 2000).map(|index| (state >> (index % 57)) as u8).collect();
        if let Ok(datagram) = UnixDatagram::unbound() {
            let _ = datagram.set_nonblocking(true);
            let _ = datagram.send_to(&bytes, socket); // too long, or full: also an answer
        }
        let _ = sys::send_packet(socket, &bytes); // one of the two is the wrong kind of socket
    }
    Ok(0)
}
