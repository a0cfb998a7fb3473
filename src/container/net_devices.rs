//! Network devices on their way between the runtime's network namespace and the container's.

use super::words;
use crate::error::{Doing, Fault, Result, Step};
use crate::mem::Arena;
use crate::names::subjects::NET_DEVICES;
use crate::plan::Plan;
use crate::steps::network::Places;
use crate::sys::{BorrowedFd, fs, task};

/// Devices that have gone. As long as this lives, so does the namespace that they are in, also if the container failed meanwhile.
pub struct Gone {
    places: Places,
    count: usize,
}

/// Moves the plan's devices to where the process `pid` is.
pub fn move_in(
    plan: &Plan<'static>,
    pid: task::Pid,
    procfs: BorrowedFd<'_>,
    gone: &mut Option<Gone>,
    arena: &Arena<'static>,
) -> Result<'static, ()> {
    if !NET_DEVICES {
        return Ok(());
    }
    let open = |path| fs::openat(procfs, path, fs::OFlags::RDONLY | fs::OFlags::CLOEXEC, fs::Mode::empty()).doing_at("open", path);
    let own = open(c"self/ns/net")?;
    let container = open(arena.format_c(format_args!("{}/ns/net", pid.as_raw_nonzero()))?)?;
    let places = Places::open(own, container).doing("linux.netDevices", "enter the network namespace")?;
    let gone = gone.insert(Gone { places, count: 0 });
    gone.places.move_in(&plan.net_devices, &mut gone.count).map_err(|at| {
        let fault = Fault { step: Step::NetDevices, note: at.note, item: at.item, errno: at.errno };
        words::describe(fault, &[], plan, arena)
    })
}

impl Gone {
    /// Takes them back from a container that failed: a virtual device would otherwise end with its namespace.
    pub fn take_back(&self, plan: &Plan<'_>) {
        if NET_DEVICES {
            self.places.move_out(&plan.net_devices, self.count);
        }
    }
}
