//! Where PID 1 speaks: the kernel's log, the console, or standard error under another init. One line at a time, cut off if it is long.

use core::fmt::{Arguments, Write};

use crate::mem::Text;
use crate::sys::{self, AsFd, OwnedFd, fs, task};

/// One place for messages.
pub struct Voice {
    file: Option<OwnedFd>,
    is_kmsg: bool,
    /// The least important priority that is said, as in syslog(3).
    most: u8,
}

impl Voice {
    /// `where_to` is `kmsg`, `console` or `off`; empty: the kernel's log on a device, standard error elsewhere.
    pub fn new(where_to: &str, is_device: bool, is_debug: bool) -> Voice {
        let most = match (is_debug, where_to) {
            (true, _) => 7,
            (false, "off") => 2,
            _ => 6,
        };
        let open = |path| {
            fs::open(path, fs::OFlags::WRONLY | fs::OFlags::CLOEXEC | fs::OFlags::NOCTTY | fs::OFlags::NONBLOCK, fs::Mode::empty()).ok()
        };
        let is_kmsg = where_to == "kmsg" || (is_device && where_to != "console");
        let file = if is_kmsg {
            open(c"/dev/kmsg")
        } else if where_to == "console" {
            open(c"/dev/console")
        } else {
            None
        };
        Voice { is_kmsg: is_kmsg && file.is_some(), file, most }
    }

    /// Says one line. What cannot be said at once is not said.
    pub fn say(&self, priority: u8, what: Arguments<'_>) {
        if priority > self.most {
            return;
        }
        let mut line = Text::<400>::default();
        if self.is_kmsg {
            let _ = write!(line, "<{priority}>"); // it is cut off, never an error
        }
        let _ = write!(line, "ocinit[{}]: {what}", task::getpid().as_raw_nonzero());
        let mut whole = [b'\n'; 401];
        let text = line.as_str().as_bytes();
        whole[..text.len()].copy_from_slice(text);
        let file = self.file.as_ref().map_or(task::stderr(), AsFd::as_fd);
        let _ = fs::write(file, &whole[..=text.len()]); // nowhere is left to say that this failed
    }

    /// Whether it speaks through the descriptor of this number.
    pub fn is(&self, number: u32) -> bool {
        self.file.as_ref().is_some_and(|file| sys::AsRawFd::as_raw_fd(file) as u32 == number)
    }

    /// What only helps to understand.
    pub fn debug(&self, what: Arguments<'_>) {
        self.say(7, what);
    }
}

/// Lets the kernel keep all that PID 1 says, not only ten lines in five seconds.
pub fn unlimit_kmsg() {
    let file = fs::open(c"/proc/sys/kernel/printk_devkmsg", fs::OFlags::WRONLY | fs::OFlags::CLOEXEC, fs::Mode::empty());
    let _ = file.and_then(|file| fs::write(&file, b"on\n")); // the kernel line may have decided it
}
