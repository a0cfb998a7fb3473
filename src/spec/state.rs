//! state.json: what `container` remembers of a container from one command to the next. Ours alone; runc's is not read.

use super::Entry;
use crate::json::object;
use crate::mem::List;

object! {
    /// What is remembered.
    State<'a> {
        /// The form of the file: `container::state::VERSION` of the runtime that wrote it.
        "version" => version: u32,
        "id" => id: &'a str,
        /// The first process as the host numbers it; 0 before there was one.
        "pid" => pid: u32,
        /// That process's start time in clock ticks since boot: without it the pid could be anybody's.
        "startTime" => start_time: u64,
        /// Absolute.
        "bundle" => bundle: &'a str,
        /// Absolute.
        "rootfs" => rootfs: &'a str,
        /// The cgroup's absolute path; empty without one.
        "cgroup" => cgroup: &'a str,
        /// Cgroups of cgroup v1 beside that one: absolute paths, a line each.
        "others" => others: &'a str,
        /// The socket of the systemd that made the cgroup, as that of a unit of its name; empty where we made it.
        "systemd" => systemd: &'a str,
        /// RFC 3339, UTC.
        "created" => created: &'a str,
        /// Who created it.
        "uid" => uid: u32,
        /// Whether no program guards its devices.
        "unguarded" => unguarded: bool,
        /// Whether it has no pid namespace of its own, so that ending its first process does not end the others.
        "sharesPids" => shares_pids: bool,
        /// Where the container mounts among the host's mounts: the mount that its root's path led to before. 0 otherwise.
        "rootMount" => root_mount: u64,
        /// The resctrl group's absolute path; empty without one.
        "resctrl" => resctrl: &'a str,
        /// Whether that group goes with the container.
        "resctrlIsOwn" => resctrl_is_own: bool,
        /// The absolute path of the container's monitoring group; empty without one.
        "resctrlMonitor" => resctrl_monitor: &'a str,
        /// Which hooks are still to come: bits of `container::hooks`.
        "hooks" => hooks: u32,
        /// `--no-new-keyring`.
        "keepsKeyring" => keeps_keyring: bool,
        "annotations" => annotations: List<'a, Entry<'a, &'a str>>,
    }
}
