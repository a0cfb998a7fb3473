//! Starting a program with everything about it decided, and waiting for it without hanging.

use std::fs::{self, File};
use std::os::fd::RawFd;
use std::os::unix::fs::fchown;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::reaper;
use crate::screen::Screen;
use crate::sys::{self, Outcome, Refusal, Setup};

/// A program to start.
#[derive(Default)]
pub struct Launch {
    pub arguments: Vec<String>,
    pub folder: String,
    pub environment: Vec<(String, String)>,
    pub input: String,
    /// (the descriptor's number there, the path that it is open on).
    pub inherited: Vec<(RawFd, String)>,
    /// Rows and columns of the terminal that it gets for stdio.
    pub terminal: Option<(u16, u16)>,
    pub refused: Vec<Refusal>,
    pub is_traced: bool,
    /// The supplementary groups that it has, if any are named.
    pub groups: Vec<u32>,
    /// As whom it runs, if not as us.
    pub user: Option<u32>,
}

/// A program that was started. Its output goes to files, not pipes: a container may hold them longer than the runtime lives.
pub struct Running {
    pub pid: i32,
    pub screen: Option<Screen>,
    output: String,
    errors: String,
}

/// How a program ended.
pub struct Ended {
    pub exit: i32,
    pub output: String,
    pub errors: String,
}

fn open(path: &str) -> Outcome<File> {
    File::open(path).map_err(|why| format!("{path}: {why}"))
}

fn create(path: &str) -> Outcome<File> {
    File::create(path).map_err(|why| format!("{path}: {why}"))
}

/// What a user is handed it may also open again.
fn give(file: &File, user: Option<u32>) -> Outcome<()> {
    user.map_or(Ok(()), |user| fchown(file, Some(user), Some(user))).map_err(|why| format!("fchown: {why}"))
}

impl Launch {
    /// Starts it; its output goes to files whose names begin with `log`.
    pub fn start(self, log: &str) -> Outcome<Running> {
        let program = self.arguments.first().ok_or("nothing to start")?.clone();
        let mut command = Command::new(&program);
        command.args(&self.arguments[1..]).current_dir(&self.folder).env_clear().envs(self.environment);
        let (output, errors) = (format!("{log}.out"), format!("{log}.err"));
        let mut setup =
            Setup { refused: self.refused, is_traced: self.is_traced, user: self.user, groups: self.groups, ..Setup::default() };
        let mut screen = None;
        if let Some((rows, columns)) = self.terminal {
            let (master, slave) = sys::open_terminal(rows, columns)?;
            let slave = File::from(slave);
            give(&slave, self.user)?;
            let again = || slave.try_clone().map(Stdio::from).map_err(|why| why.to_string());
            command.stdin(again()?).stdout(again()?).stderr(again()?);
            setup.has_terminal = true;
            screen = Some(Screen::of_terminal(master)?);
        } else {
            let (output, errors) = (create(&output)?, create(&errors)?);
            give(&output, self.user)?;
            give(&errors, self.user)?;
            command.stdin(input(&self.input, log)?).stdout(output).stderr(errors);
        }
        for (number, path) in &self.inherited {
            setup.inherited.push((sys::move_up(&open(path)?)?, *number));
        }
        sys::set_up(&mut command, setup);
        // The handle is dropped on purpose: we wait by pid, since the process may also be traced or end as an orphan's reaper.
        let child = command.spawn().map_err(|why| format!("{program}: {why}"))?;
        let pid = child.id() as i32;
        reaper::expect(pid)?;
        Ok(Running { pid, screen, output, errors })
    }
}

fn input(text: &str, log: &str) -> Outcome<Stdio> {
    if text.is_empty() {
        return open("/dev/null").map(Stdio::from);
    }
    let path = format!("{log}.in");
    fs::write(&path, text).map_err(|why| format!("{path}: {why}"))?;
    open(&path).map(Stdio::from)
}

impl Running {
    /// Waits for the end, and for a terminal's last words.
    pub fn wait(&self, patience: Duration) -> Outcome<Ended> {
        let end = Instant::now() + patience;
        let status = loop {
            if let Some(status) = reaper::end_of(self.pid)? {
                break status;
            }
            if Instant::now() > end {
                let _ = sys::kill(self.pid, libc::SIGKILL);
                let _ = sys::wait(self.pid, 0);
                return Err(format!("did not end within {patience:?}; it wrote {:?} and {:?}", self.output(), self.errors()));
            }
            std::thread::sleep(Duration::from_micros(300));
        };
        self.ended(sys::exit_code(status))
    }

    /// What there is to say once the end was seen.
    pub fn ended(&self, exit: i32) -> Outcome<Ended> {
        let output = match &self.screen {
            Some(screen) => screen.await_end(Duration::from_secs(10))?,
            None => self.output(),
        };
        Ok(Ended { exit, output, errors: self.errors() })
    }

    pub fn output(&self) -> String {
        self.screen.as_ref().map_or_else(|| read(&self.output), Screen::text)
    }

    pub fn errors(&self) -> String {
        read(&self.errors)
    }
}

/// A file's text; a file that is not there has none.
pub fn read(path: impl AsRef<Path>) -> String {
    fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}
