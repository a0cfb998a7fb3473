//! The few bytes between the child and its parent.

use super::{At, Done, Stage};
use crate::error::{Fault, Note};
use crate::sys::{self, BorrowedFd, Errno, fs, task};

/// The message that everything was done and the process waits to be started.
pub const READY: u8 = b'R';

/// First byte of the message that a step has failed.
pub const FAULT: u8 = b'F';

/// The message that the namespaces are there whose id maps and clocks the parent must set.
pub const MAPS: u8 = b'M';

/// First byte of the message that tells the pid of the container's first process.
pub const CHILD: u8 = b'C';

/// Waits until the parent has done its part.
pub fn await_go(stage: &Stage<'_, '_>) -> Done {
    match sys::receive(stage.channel, &mut [0])? {
        (0, _) => Err(At::note(Note::Gone)(Errno::CANCELED)),
        _ => Ok(()),
    }
}

/// Says that everything but the start is done. From here on the container outlives the runtime.
pub fn report_ready(stage: &mut Stage<'_, '_>) -> Done {
    task::set_parent_process_death_signal(None)?;
    match fs::write(stage.channel, &[READY]) {
        Ok(1) => Ok(()),
        Ok(_) => Err(Errno::IO.into()),
        Err(errno) => Err(At::note(Note::Gone)(errno)),
    }
}

/// Waits for one byte at the gate: from `start` through the FIFO, or from `run` through the channel, whose end says that it died.
pub fn await_start(stage: &mut Stage<'_, '_>) -> Done {
    let mut byte = [0];
    loop {
        match fs::read(stage.start_gate, &mut byte) {
            Ok(1) => return Ok(()),
            Ok(_) => return Err(At::note(Note::Gone)(Errno::CANCELED)),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}

/// Tells the parent which step failed; there may be nobody left to hear it.
pub fn report_fault(channel: BorrowedFd<'_>, fault: Fault) {
    let mut message = [FAULT; 1 + Fault::BYTES];
    message[1..].copy_from_slice(&fault.to_bytes());
    let _ = sys::send(channel, &message, None);
}
