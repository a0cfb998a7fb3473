//! What a service says of itself (sd_notify(3)): one message as events. Whatever is no message of ours is passed over.

use super::life::Event;

/// What is in a message.
pub enum Said<'m> {
    /// Something happened.
    Event(Event),
    /// STATUS=: a line for whoever asks.
    Status(&'m [u8]),
}

/// Calls `visit` with all that a message says.
pub fn parse<'m>(message: &'m [u8], visit: &mut dyn FnMut(Said<'m>)) {
    for line in message.split(|byte| *byte == b'\n') {
        let event = match line {
            b"READY=1" => Event::Ready,
            b"WATCHDOG=1" => Event::Alive,
            b"WATCHDOG=trigger" => Event::Unwell,
            b"STOPPING=1" => Event::Ending,
            [b'S', b'T', b'A', b'T', b'U', b'S', b'=', text @ ..] => {
                visit(Said::Status(text));
                continue;
            }
            _ => match line.strip_prefix(b"EXTEND_TIMEOUT_USEC=").and_then(number) {
                Some(microseconds) => Event::Extend(u32::try_from(microseconds / 1000).unwrap_or(u32::MAX)),
                None => continue,
            },
        };
        visit(Said::Event(event));
    }
}

fn number(text: &[u8]) -> Option<u64> {
    core::str::from_utf8(text).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn said(message: &[u8]) -> Vec<String> {
        let mut all = Vec::new();
        parse(message, &mut |said| {
            all.push(match said {
                Said::Event(event) => format!("{event:?}"),
                Said::Status(text) => String::from_utf8_lossy(text).into_owned(),
            });
        });
        all
    }

    #[test]
    fn a_message_is_taken_line_by_line() {
        assert_eq!(said(b"READY=1\nSTATUS=serving 3\nMAINPID=1\nBARRIER=1\nX_Y=\n"), ["Ready", "serving 3"]);
        assert_eq!(said(b"STOPPING=1\nSTOPPING=0"), ["Ending"]);
        assert_eq!(said(b"WATCHDOG=1\nWATCHDOG=trigger\nEXTEND_TIMEOUT_USEC=5000000"), ["Alive", "Unwell", "Extend(5000)"]);
        assert_eq!(said(b"EXTEND_TIMEOUT_USEC=-1\nREADY=0\nREADY=11\nready=1\n=\n\0"), [""; 0]);
    }

    proptest! {
        #[test]
        fn garbage_is_passed_over(message in prop::collection::vec(any::<u8>(), 0..600)) {
            let _ = said(&message);
        }
    }
}
