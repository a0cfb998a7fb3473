//! Running hooks: by the child, between its other steps, and by the runtime itself.
//!
//! Must: never wait for a hook that has ended or may run no longer, whatever it started and whoever holds its output.
//! Mustn't: write to a hook that does not read, nor hand it any descriptor but its standard streams.

use super::sync::{self, REQUEST_HOOKS};
use super::{At, Done, Stage, workload};
use crate::error::{Fault, Note};
use crate::mem::List;
use crate::plan::hooks::{About, Hook};
use crate::sys::{self, AsFd, BorrowedFd, CPointer, Clone, Errno, Exit, OwnedFd, fs, task};

/// Of what a hook writes to its standard output, and as much of its standard error, this is told when it fails.
const OUTPUT_BYTES: usize = 480;

/// What the last hook wrote to its standard output and its standard error.
pub type Output = [heapless::Vec<u8, OUTPUT_BYTES>; 2];

/// What all hooks of one point have in common.
#[derive(Clone, Copy)]
pub struct Point<'h> {
    /// The container's status.
    pub status: &'h str,
    /// Its first process, as the hook's pid namespace numbers it; 0 without one.
    pub pid: u32,
    /// The rest of what the hook reads.
    pub about: About<'h>,
    /// The environment of those that name none, ended by NULL.
    pub environment: &'h [CPointer<'h>],
    /// Where they run; `None` for where we are.
    pub directory: Option<BorrowedFd<'h>>,
    /// Their file mode creation mask, where ours is not for others.
    pub umask: Option<u32>,
    /// Which signals are blocked for them.
    pub blocked_signals: sys::Signals,
}

/// Waits while the parent runs `prestart` and `createRuntime`.
pub fn await_runtime_hooks(stage: &mut Stage<'_, '_>) -> Done {
    if stage.plan.hooks.has_runtime_hooks { sync::ask(stage, REQUEST_HOOKS) } else { Ok(()) }
}

/// `createContainer`: in the container's namespaces, with the host's files still there.
pub fn create_container(stage: &mut Stage<'_, '_>) -> Done {
    let hooks = stage.plan.hooks.create_container;
    if hooks.is_empty() {
        return Ok(());
    }
    let mut output = Output::default();
    let point = Point { directory: Some(stage.root()?), umask: Some(0o022), ..point(stage, "creating", &[CPointer::NULL]) };
    let done = run_from(0, &hooks, &point, &mut output);
    stage.came_along = output;
    done
}

/// `startContainer`: as the process that the program will be.
pub fn start_container(stage: &mut Stage<'_, '_>) -> Done {
    let hooks = stage.plan.hooks.start_container;
    if hooks.is_empty() {
        return Ok(());
    }
    let mut output = Output::default();
    let done = run_from(0, &hooks, &point(stage, "created", stage.plan.process.environment), &mut output);
    stage.came_along = output;
    done?;
    if stage.may_wait_long() {
        fs::write(stage.start_gate, &[sync::HOOKS_DONE])?;
    }
    Ok(())
}

fn point<'h>(stage: &'h Stage<'_, '_>, status: &'h str, environment: &'h [CPointer<'h>]) -> Point<'h> {
    Point {
        status,
        pid: task::getpid().as_raw_nonzero().get() as u32,
        about: stage.plan.hooks.about,
        environment,
        directory: None,
        umask: None,
        blocked_signals: stage.blocked_signals,
    }
}

/// Runs one hook after the other from the one at `first` on, to the first that fails. SIGPIPE must be blocked or ignored.
pub fn run_from(first: usize, hooks: &List<'_, Hook<'_>>, point: &Point<'_>, output: &mut Output) -> Done {
    hooks.iter().enumerate().skip(first).try_for_each(|(index, hook)| run(hook, point, output).map_err(At::item(index)))
}

/// Runs a hook to its end. In the failure `errno` is its exit status or signal where the note says so.
fn run(hook: &Hook<'_>, point: &Point<'_>, output: &mut Output) -> Done {
    let pipe = || fs::pipe_with(fs::PipeFlags::CLOEXEC);
    let (their_input, input) = pipe()?;
    let (out, their_out) = pipe()?;
    let (err, their_err) = pipe()?;
    let (failure, their_failure) = pipe()?;
    let Clone::Parent { pid, pidfd } = sys::fork(0)? else {
        let errno = become_hook(hook, point, [&their_input, &their_out, &their_err]).err().unwrap_or(Errno::INVAL);
        let _ = fs::write(&their_failure, &errno.raw_os_error().to_ne_bytes()); // four bytes always fit
        sys::exit(127)
    };
    drop((their_input, their_out, their_err, their_failure));
    let mut number = [0; 4];
    if fs::read(&failure, &mut number) == Ok(4) {
        let _ = sys::wait_pid(pid); // it ends right now
        return Err(Errno::from_raw_os_error(i32::from_ne_bytes(number)).into());
    }
    *output = Output::default();
    let mut digits = [0; 10];
    let digits = decimal(point.pid, &mut digits);
    let mut child = Child {
        pid,
        pidfd,
        input: Some(input),
        state: [point.about.head.as_bytes(), point.status.as_bytes(), b"\",\"pid\":", digits, point.about.tail.as_bytes()],
        written: 0,
        output: [Some(out), Some(err)],
    };
    child.attend(hook.timeout_seconds, output)
}

/// In the forked child. Returns only to say why it did not work.
fn become_hook(hook: &Hook<'_>, point: &Point<'_>, [input, out, err]: [&OwnedFd; 3]) -> Result<(), Errno> {
    if let Some(directory) = point.directory {
        task::fchdir(directory)?;
    }
    if let Some(umask) = point.umask {
        task::umask(fs::Mode::from_raw_mode(umask));
    }
    task::dup2_stdin(input)?;
    task::dup2_stdout(out)?;
    task::dup2_stderr(err)?;
    workload::close_on_exec_from(3)?;
    sys::set_blocked(point.blocked_signals);
    Err(sys::execve(hook.path, hook.argv, hook.environment.unwrap_or(point.environment)))
}

/// A number as text, without a formatter.
fn decimal(mut number: u32, room: &mut [u8; 10]) -> &[u8] {
    let mut start = room.len();
    loop {
        start -= 1;
        room[start] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            return &room[start..];
        }
    }
}

/// A hook that runs.
struct Child<'h> {
    pid: task::Pid,
    /// None before Linux 5.3: then it is asked again and again whether it has ended.
    pidfd: Option<OwnedFd>,
    /// Our end of its standard input, until it has everything or closes it.
    input: Option<OwnedFd>,
    /// What it is to read, in pieces.
    state: [&'h [u8]; 5],
    written: usize,
    /// Our ends of its standard output and standard error, until it closes them.
    output: [Option<OwnedFd>; 2],
}

impl Child<'_> {
    fn attend(&mut self, timeout_seconds: Option<u64>, output: &mut Output) -> Done {
        const ASK_AGAIN_MS: u64 = 5;
        const MOST_CHUNKS: usize = 128; // what a pipe holds: one that writes without end must not keep us from its deadline
        let deadline = timeout_seconds.map(|seconds| task::now_ms().saturating_add(seconds.saturating_mul(1000)));
        loop {
            let exit = sys::try_wait_pid(self.pid)?;
            let _ = (0..MOST_CHUNKS).all(|_| self.move_output(output)); // or to what is there now
            if let Some(exit) = exit {
                return judge(exit);
            }
            let left = deadline.map(|deadline| deadline.saturating_sub(task::now_ms()));
            if left == Some(0) {
                let _ = task::kill_process(self.pid, task::Signal::KILL); // it is ours and was not reaped
                let _ = sys::wait_pid(self.pid);
                return Err(At::note(Note::HookTimeout)(Errno::TIMEDOUT));
            }
            self.wait(if self.pidfd.is_some() { left } else { Some(left.map_or(ASK_AGAIN_MS, |left| left.min(ASK_AGAIN_MS))) })?;
            self.write_some();
        }
    }

    /// Waits until there is something to do.
    fn wait(&self, timeout_ms: Option<u64>) -> Result<(), Errno> {
        let mut polled: heapless::Vec<task::PollFd<'_>, 4> = heapless::Vec::new();
        let reads = [&self.pidfd, &self.output[0], &self.output[1]];
        for fd in reads.into_iter().flatten() {
            let _ = polled.push(task::PollFd::new(fd, task::PollFlags::IN)); // four places are enough
        }
        if let Some(input) = &self.input {
            let _ = polled.push(task::PollFd::new(input, task::PollFlags::OUT));
        }
        let longest = u64::from(u32::MAX);
        let timeout = timeout_ms.map(|left| task::milliseconds(left.min(longest)));
        match task::poll(&mut polled, timeout.as_ref()) {
            Err(Errno::INTR) => Ok(()),
            answer => answer.map(|_| ()),
        }
    }

    /// A pipe that says it can be written takes PIPE_BUF at once (pipe(7)).
    fn write_some(&mut self) {
        const PIPE_BUF: usize = 4096;
        let Some(input) = &self.input else { return };
        if !is_ready(input.as_fd(), task::PollFlags::OUT) {
            return;
        }
        let mut start = self.written;
        for piece in self.state {
            if start < piece.len() {
                let end = piece.len().min(start + PIPE_BUF);
                match fs::write(input, &piece[start..end]) {
                    Ok(len) => self.written += len,
                    Err(Errno::INTR) => {}
                    Err(_) => {
                        self.input = None; // EPIPE: it does not want to know
                        sys::discard_sigpipe();
                    }
                }
                return;
            }
            start -= piece.len();
        }
        self.input = None; // it has everything, and is told so by the end
    }

    /// Whether anything was there to be read.
    fn move_output(&mut self, output: &mut Output) -> bool {
        let mut has_moved = false;
        for (pipe, kept) in self.output.iter_mut().zip(output) {
            let Some(fd) = pipe else { continue };
            if !is_ready(fd.as_fd(), task::PollFlags::IN) {
                continue;
            }
            let mut chunk = [0; 512];
            match fs::read(&*fd, &mut chunk) {
                Ok(len) if len > 0 => {
                    let room = kept.capacity() - kept.len();
                    let _ = kept.extend_from_slice(&chunk[..len.min(room)]); // cut to the room
                    has_moved = true;
                }
                Err(Errno::INTR) => {}
                _ => *pipe = None,
            }
        }
        has_moved
    }
}

fn is_ready(fd: BorrowedFd<'_>, events: task::PollFlags) -> bool {
    task::poll(&mut [task::PollFd::from_borrowed_fd(fd, events)], Some(&task::Timespec::default())) == Ok(1)
}

fn judge(exit: Exit) -> Done {
    match exit {
        Exit::Status(0) => Ok(()),
        Exit::Status(status) => Err(At { item: Fault::NO_ITEM, note: Note::HookStatus, errno: Errno::from_raw_os_error(status) }),
        Exit::Signal(signal) => Err(At { item: Fault::NO_ITEM, note: Note::HookSignal, errno: Errno::from_raw_os_error(signal) }),
    }
}
