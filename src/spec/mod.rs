//! config.json as runtime-spec 1.3.0 defines it: what was written, as borrowed data. Nothing here judges or decides.
//!
//! Names are those of the specification in snake case; `type` is `kind`. An absent string is `""`, an absent list is empty
//! (`List::is_present` tells it from `[]`), and a scalar or object is an `Option` where its absence means something of its own.

pub mod boot;
mod hooks;
mod linux;
pub mod linuxkit;
mod mounts;
mod process;
mod resources;
mod seccomp;
pub mod state;

#[cfg(test)]
mod tests;

pub use crate::json::Entry;
pub use hooks::{Hook, Hooks};
pub use linux::{Device, IdMapping, IntelRdt, Linux, MemoryPolicy, Namespace, NetDevice, Personality, TimeOffset};
pub use mounts::{Mount, Root};
pub use process::{Capabilities, ConsoleSize, ExecCpuAffinity, IoPriority, Process, Rlimit, Scheduler, User};
pub use resources::{
    BlockIo, Cpu, DeviceRule, HugepageLimit, InterfacePriority, Memory, Network, Pids, Rdma, Resources, ThrottleDevice, WeightDevice,
};
pub use seccomp::{Seccomp, Syscall, SyscallArg};

use crate::json::object;
use crate::mem::{Keys, List};

/// The newest runtime-spec that we follow; also the `ociVersion` of what we write.
pub const VERSION: &str = "1.3.0";

object! {
    /// config.json.
    Config<'a> {
        "ociVersion" => oci_version: &'a str,
        "process" => process: Option<Process<'a>>,
        "root" => root: Option<Root<'a>>,
        "hostname" => hostname: &'a str,
        "domainname" => domainname: &'a str,
        "mounts" => mounts: List<'a, Mount<'a>>,
        "hooks" => hooks: Option<Hooks<'a>>,
        "annotations" => annotations: List<'a, Entry<'a, &'a str>>,
        "linux" => linux: Option<Linux<'a>>,
    }
}

impl<'a> Config<'a> {
    /// The value of an annotation, if it is there.
    pub fn annotation(&self, key: &str) -> Option<&'a str> {
        self.annotations.iter().find(|entry| entry.key == key).map(|entry| entry.value)
    }
}

/// The bytes of memory that a config.json of `length` bytes may need to be read and checked, whatever it holds.
///
/// The bound is generous: 43 bytes a byte on 64-bit machines and 22 on 32-bit ones, for a list of nothing but empty mounts. Ordinary
/// configs take one or two, so that memory which is only touched when it is used costs nothing.
pub const fn arena_bytes(length: usize) -> usize {
    length.saturating_mul(BYTES_PER_BYTE).saturating_add(ARENA_START)
}

/// Room for the object itself, and for its alignment.
const ARENA_START: usize = 64 + size_of::<Config<'_>>();

/// The dearest byte of text: an element of a list is at least `{},` or `"",` or `0,`; an entry of a map `"a":{},`, where
/// entries are copied once more if a key is repeated. Text with escapes is written out anew, byte for byte at most.
const BYTES_PER_BYTE: usize = {
    let mut most = 1;
    let costs = [
        List::<&str>::NODE_BYTES.div_ceil(3),
        List::<u32>::NODE_BYTES.next_multiple_of(8).div_ceil(2),
        List::<Mount>::NODE_BYTES.div_ceil(3),
        List::<Hook>::NODE_BYTES.div_ceil(3),
        List::<Rlimit>::NODE_BYTES.div_ceil(3),
        List::<IdMapping>::NODE_BYTES.div_ceil(3),
        List::<Namespace>::NODE_BYTES.div_ceil(3),
        List::<Device>::NODE_BYTES.div_ceil(3),
        List::<DeviceRule>::NODE_BYTES.div_ceil(3),
        List::<WeightDevice>::NODE_BYTES.div_ceil(3),
        List::<ThrottleDevice>::NODE_BYTES.div_ceil(3),
        List::<HugepageLimit>::NODE_BYTES.div_ceil(3),
        List::<InterfacePriority>::NODE_BYTES.div_ceil(3),
        List::<Syscall>::NODE_BYTES.div_ceil(3),
        List::<SyscallArg>::NODE_BYTES.div_ceil(3),
        (2 * List::<Entry<&str>>::NODE_BYTES + Keys::NODE_BYTES).div_ceil(6),
        (2 * List::<Entry<TimeOffset>>::NODE_BYTES + Keys::NODE_BYTES).div_ceil(6),
        (2 * List::<Entry<Rdma>>::NODE_BYTES + Keys::NODE_BYTES).div_ceil(6),
        (2 * List::<Entry<NetDevice>>::NODE_BYTES + 2 * Keys::NODE_BYTES).div_ceil(6), // looked up again by `check`
    ];
    let mut index = 0;
    while index < costs.len() {
        if costs[index] > most {
            most = costs[index];
        }
        index += 1;
    }
    most + 1
};
