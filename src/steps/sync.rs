//! The few bytes between the child and its parent.

use super::{At, Done, Stage};
use crate::error::{Fault, Note};
use crate::sys::{self, Errno, OwnedFd, fs};

/// The message that everything was done and the process waits to be started.
pub const READY: u8 = b'R';

/// The same with the number of the listener's descriptor.
const READY_BYTES: usize = 1 + size_of::<u32>();

/// First byte of the message that a step has failed.
pub const FAULT: u8 = b'F';

/// The message that the namespaces are there whose id maps and clocks the parent must set.
pub const MAPS: u8 = b'M';

/// First byte of the message that tells the pid of the container's first process.
pub const CHILD: u8 = b'C';

/// First byte of the message that asks for the source of a mount, whose index follows.
pub const SOURCE: u8 = b'S';

/// The message that asks where the host's whole procfs and sysfs mounts are. The answer is a message for each, and [`READY`].
pub const UNCOVER: u8 = b'U';

/// Instead of an index: the source is the root file system's.
pub const ROOT: u16 = u16::MAX;

/// Has the parent open the source of a mount, with rights that the child has not.
pub fn ask_for_source(stage: &Stage<'_, '_>, index: usize) -> Result<OwnedFd, At> {
    let [low, high] = u16::try_from(index).unwrap_or(ROOT).to_ne_bytes();
    sys::send(stage.channel, &[SOURCE, low, high], None)?;
    let mut answer = [0; 1 + Fault::BYTES];
    let (bytes, source) = sys::receive(stage.channel, &mut answer)?;
    let [_, fault @ ..] = answer;
    match (bytes, source) {
        (0, _) => Err(At::note(Note::Gone)(Errno::CANCELED)),
        (_, Some(source)) => Ok(source),
        _ => {
            let fault = Fault::from_bytes(fault).ok_or(Errno::BADMSG)?;
            Err(At::note(fault.note)(fault.errno))
        }
    }
}

/// Waits until the parent has done its part.
pub fn await_go(stage: &Stage<'_, '_>) -> Done {
    match sys::receive(stage.channel, &mut [0])? {
        (0, _) => Err(At::note(Note::Gone)(Errno::CANCELED)),
        _ => Ok(()),
    }
}

/// The message that asks the parent to run the hooks that are its own, and to answer.
pub const REQUEST_HOOKS: u8 = b'H';

/// The message that asks the parent to move network devices into the child's namespace, and to answer.
pub const REQUEST_NET_DEVICES: u8 = b'N';

/// What stands in the FIFO once the `startContainer` hooks are done: without it, who ended then was killed during one of them.
pub const HOOKS_DONE: u8 = b'D';

/// The most bytes of a message of the child's: a fault, and what a hook had to say.
pub const MOST_BYTES: usize = 1024;

/// Asks the parent for something, and waits until it was done.
pub(super) fn ask(stage: &Stage<'_, '_>, request: u8) -> Done {
    sys::send(stage.channel, &[request], None).map_err(At::note(Note::Gone))?;
    await_go(stage)
}

/// Says that everything but the start is done, and by which number of ours the parent gets the listener of the filter.
pub fn report_ready(stage: &mut Stage<'_, '_>) -> Done {
    let mut message = [READY; READY_BYTES];
    message[1..].copy_from_slice(&stage.listener.unwrap_or_default().to_ne_bytes());
    let length = if stage.listener.is_some() { READY_BYTES } else { 1 };
    match fs::write(stage.channel, &message[..length]) {
        Ok(written) if written == length => Ok(()),
        Ok(_) => Err(Errno::IO.into()),
        Err(errno) => Err(At::note(Note::Gone)(errno)),
    }
}

/// Waits for one byte at the gate: from `start` through the FIFO, or from `run` through the channel, whose end says that it died.
pub fn await_start(stage: &mut Stage<'_, '_>) -> Done {
    let mut byte = [0];
    let is_frugal = stage.may_wait_long() && stage.plan.seccomp.is_none();
    loop {
        let read = if is_frugal { sys::read_at_rest(stage.start_gate, &mut byte) } else { fs::read(stage.start_gate, &mut byte) };
        match read {
            Ok(1) => return Ok(()),
            Ok(_) => return Err(At::note(Note::Gone)(Errno::CANCELED)),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}

/// Tells the parent which step failed, and what goes with it: of a hook its standard output, NUL, its standard error. Whoever gives the start
/// hears it where no parent is left: it looks into the FIFO.
pub fn report_fault(stage: &Stage<'_, '_>, fault: Fault) {
    let mut message = heapless::Vec::<u8, MOST_BYTES>::new();
    let [out, err] = &stage.came_along;
    for piece in [&[FAULT], &fault.to_bytes()[..], out, b"\0", err] {
        let _ = message.extend_from_slice(piece); // the room is larger than the two outputs and what stands before them
    }
    let _ = match sys::send(stage.channel, &message, None) {
        Ok(()) => Ok(0),
        Err(Errno::PIPE | Errno::CONNRESET) => fs::write(stage.start_gate, &message),
        Err(_) => fs::write(stage.channel, &message), // a filter may know write(2) and not sendmsg(2)
    };
}

/// What [`report_fault`] has sent, without its first byte. `None` for what no child of ours would send.
pub fn read_fault(message: &[u8]) -> Option<(Fault, &[u8])> {
    let (fault, came_along) = message.split_first_chunk()?;
    Some((Fault::from_bytes(*fault)?, came_along))
}
