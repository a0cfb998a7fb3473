//! `linux`: namespaces, devices, paths, and what else only Linux has.

use super::{Entry, Resources, Seccomp};
use crate::json::object;
use crate::mem::List;

object! {
    /// The part of config.json that is for Linux.
    Linux<'a> {
        "uidMappings" => uid_mappings: List<'a, IdMapping>,
        "gidMappings" => gid_mappings: List<'a, IdMapping>,
        "sysctl" => sysctl: List<'a, Entry<'a, &'a str>>,
        "resources" => resources: Option<Resources<'a>>,
        "cgroupsPath" => cgroups_path: &'a str,
        "namespaces" => namespaces: List<'a, Namespace<'a>>,
        "devices" => devices: List<'a, Device<'a>>,
        "netDevices" => net_devices: List<'a, Entry<'a, NetDevice<'a>>>,
        "seccomp" => seccomp: Option<Seccomp<'a>>,
        "rootfsPropagation" => rootfs_propagation: &'a str,
        "maskedPaths" => masked_paths: List<'a, &'a str>,
        "readonlyPaths" => readonly_paths: List<'a, &'a str>,
        "mountLabel" => mount_label: &'a str,
        "intelRdt" => intel_rdt: Option<IntelRdt<'a>>,
        "memoryPolicy" => memory_policy: Option<MemoryPolicy<'a>>,
        "personality" => personality: Option<Personality<'a>>,
        "timeOffsets" => time_offsets: List<'a, Entry<'a, TimeOffset>>,
    }
}

object! {
    /// A namespace to create, or to join if it has a path.
    Namespace<'a> {
        "type" => kind: &'a str,
        "path" => path: &'a str,
    }
}

object! {
    /// A range of ids: those from `container_id` on are those from `host_id` on outside.
    IdMapping {
        "containerID" => container_id: u32,
        "hostID" => host_id: u32,
        "size" => size: u32,
    }
}

object! {
    /// What is added to a clock in a time namespace.
    TimeOffset {
        "secs" => secs: i64,
        "nanosecs" => nanosecs: u32,
    }
}

object! {
    /// A device node to make.
    Device<'a> {
        "path" => path: &'a str,
        "type" => kind: &'a str,
        "major" => major: i64,
        "minor" => minor: i64,
        "fileMode" => file_mode: Option<u32>,
        "uid" => uid: Option<u32>,
        "gid" => gid: Option<u32>,
    }
}

object! {
    /// A network device of the host to move into the container; the entry's key is its name on the host.
    NetDevice<'a> {
        /// Its name in the container.
        "name" => name: &'a str,
    }
}

object! {
    /// Intel's Resource Director Technology.
    IntelRdt<'a> {
        "closID" => clos_id: &'a str,
        "schemata" => schemata: List<'a, &'a str>,
        "l3CacheSchema" => l3_cache_schema: &'a str,
        "memBwSchema" => mem_bw_schema: &'a str,
        "enableMonitoring" => enable_monitoring: bool,
        /// Until runtime-spec 1.2; `enableMonitoring` replaced it.
        "enableCMT" => enable_cmt: bool,
        /// Until runtime-spec 1.2; `enableMonitoring` replaced it.
        "enableMBM" => enable_mbm: bool,
    }
}

object! {
    /// NUMA memory policy (set_mempolicy(2)).
    MemoryPolicy<'a> {
        "mode" => mode: &'a str,
        "nodes" => nodes: &'a str,
        "flags" => flags: List<'a, &'a str>,
    }
}

object! {
    /// The execution domain (personality(2)).
    Personality<'a> {
        "domain" => domain: &'a str,
        "flags" => flags: List<'a, &'a str>,
    }
}
