//! The names of the signals.

use linux_raw_sys::general;

use super::Table;

/// The classic signals. The numbers differ between instruction sets (signal(7)).
const SIGNALS: Table = constants! { general:
    SIGHUP SIGINT SIGQUIT SIGILL SIGTRAP SIGABRT SIGBUS SIGFPE SIGKILL SIGUSR1 SIGSEGV SIGUSR2 SIGPIPE SIGALRM SIGTERM
    SIGSTKFLT SIGCHLD SIGCONT SIGSTOP SIGTSTP SIGTTIN SIGTTOU SIGURG SIGXCPU SIGXFSZ SIGVTALRM SIGPROF SIGWINCH SIGIO SIGPWR SIGSYS
};

/// The kernel's first is 32; the C libraries keep 32 and 33 for themselves, and musl and Go's table begin at 34.
const RTMIN: i32 = 34;
const RTMAX: i32 = general::_NSIG as i32;

/// The number of a signal that is named with or without `SIG`, in any case, or given as a number.
///
/// `0` is a number too: it asks only whether the process exists. Real-time signals are `RTMIN`, `RTMIN+n`, `RTMAX`, `RTMAX-n`.
pub fn signal(text: &str) -> Option<i32> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse().ok().filter(|number| *number <= RTMAX);
    }
    let name = after(text, "SIG").unwrap_or(text);
    let index = SIGNALS.names.iter().position(|known| known[3..].eq_ignore_ascii_case(name));
    index.map(|index| SIGNALS.numbers[index] as i32).or_else(|| real_time(name))
}

/// The name of a classic signal, such as `SIGTERM`.
pub fn signal_name(number: i32) -> Option<&'static str> {
    SIGNALS.names.get(SIGNALS.numbers.iter().position(|known| *known as i32 == number)?)
}

fn real_time(name: &str) -> Option<i32> {
    let number = if let Some(offset) = after(name, "RTMIN") {
        RTMIN + distance(offset, "+")?
    } else {
        RTMAX - distance(after(name, "RTMAX")?, "-")?
    };
    (RTMIN..=RTMAX).contains(&number).then_some(number)
}

/// What follows the sign, in digits only; nothing at all is 0.
fn distance(text: &str, sign: &str) -> Option<i32> {
    if text.is_empty() {
        return Some(0);
    }
    let digits = after(text, sign)?;
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse::<u8>().ok().map(i32::from))?
}

/// `text` without `start`, whatever its case.
fn after<'a>(text: &'a str, start: &str) -> Option<&'a str> {
    let (head, tail) = text.split_at_checked(start.len())?;
    head.eq_ignore_ascii_case(start).then_some(tail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_the_c_library() {
        let expected: Table = constants! { libc:
            SIGHUP SIGINT SIGQUIT SIGILL SIGTRAP SIGABRT SIGBUS SIGFPE SIGKILL SIGUSR1 SIGSEGV SIGUSR2 SIGPIPE SIGALRM SIGTERM
            SIGSTKFLT SIGCHLD SIGCONT SIGSTOP SIGTSTP SIGTTIN SIGTTOU SIGURG SIGXCPU SIGXFSZ SIGVTALRM SIGPROF SIGWINCH SIGIO SIGPWR
            SIGSYS
        };
        assert_eq!(SIGNALS.rows(), expected.rows());
        assert_eq!(RTMAX, libc::SIGRTMAX());
    }

    #[test]
    fn a_signal_is_named_with_or_without_sig_in_any_case() {
        for name in ["SIGTERM", "TERM", "term", "sigterm", "SigTerm", "15"] {
            assert_eq!(signal(name), Some(libc::SIGTERM), "{name}");
        }
    }

    #[test]
    fn every_name_leads_to_its_number_and_back() {
        for (name, number) in SIGNALS.rows() {
            assert_eq!(signal(name), Some(number as i32), "{name}");
            assert_eq!(signal_name(number as i32), Some(name));
        }
        assert_eq!(SIGNALS.rows().len(), 31);
        assert_eq!(signal_name(0), None);
        assert_eq!(signal_name(RTMIN), None);
    }

    #[test]
    fn real_time_signals_count_from_both_ends() {
        for (name, number) in [("SIGRTMIN", 34), ("RTMIN+3", 37), ("sigrtmin+30", 64), ("RTMAX", 64), ("SIGRTMAX-14", 50), ("rtmax-30", 34)]
        {
            assert_eq!(signal(name), Some(number), "{name}");
        }
        for name in ["RTMIN-1", "RTMIN+31", "RTMAX-31", "RTMAX+1", "RTMIN+", "RTMIN++1", "RTMIN+-1", "RTMIN3", "RTMIN+256", "RT"] {
            assert_eq!(signal(name), None, "{name}");
        }
    }

    #[test]
    fn what_is_no_signal_has_no_number() {
        for text in ["", "SIG", "SIGNONE", "-9", "+9", "9 ", "65", "99999999999", "SIGSIGTERM", "é"] {
            assert_eq!(signal(text), None, "{text}");
        }
        assert_eq!(signal("0"), Some(0));
        assert_eq!(signal("64"), Some(64));
    }
}
