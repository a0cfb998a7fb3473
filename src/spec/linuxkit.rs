//! runtime.json, which LinuxKit puts beside a config.json: what it wants of the machine before the container is there. As written, unjudged.

use super::{Entry, Mount};
use crate::json::object;
use crate::mem::List;

object! {
    /// runtime.json.
    Runtime<'a> {
        "cgroups" => cgroups: List<'a, &'a str>,
        "mounts" => mounts: List<'a, Mount<'a>>,
        "mkdir" => mkdir: List<'a, &'a str>,
        /// Network devices. How many there are is all that is read of them.
        "interfaces" => interfaces: List<'a, Mount<'a>>,
        /// Files on which its namespaces are mounted, for others to join; the keys are the names in /proc/PID/ns.
        "bindNS" => bind_ns: List<'a, Entry<'a, &'a str>>,
    }
}
