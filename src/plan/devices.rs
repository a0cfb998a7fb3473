//! What is under /dev, and the program that says which devices the container's processes may use.

use core::ffi::CStr;

use super::c_str;
use super::mounts::{self, Mount, Source};
use super::namespaces::Namespaces;
use crate::error::{Error, Result};
use crate::mem::{Arena, List};
use crate::spec::{self, Config};

/// Nodes and links under /dev.
#[derive(Default)]
pub struct Devices<'a> {
    /// Whether /dev is ours to fill; not if it is the host's, bound.
    pub fills_dev: bool,
    /// Nodes to make, the default ones last.
    pub nodes: List<'a, Node<'a>>,
    /// Whether nodes are bound from the host, because a user namespace may not make them.
    pub binds_nodes: bool,
}

/// One node.
#[derive(Clone, Copy, Debug)]
pub struct Node<'a> {
    /// Its path in the container.
    pub path: &'a CStr,
    /// S_IFCHR, S_IFBLK or S_IFIFO.
    pub kind: u32,
    /// Device number, the higher part.
    pub major: u32,
    /// Device number, the lower part.
    pub minor: u32,
    /// Permission bits.
    pub mode: u32,
    /// Owner, as the container numbers it.
    pub uid: u32,
    /// Group, as the container numbers it.
    pub gid: u32,
}

const S_IFIFO: u32 = 0o010_000;
const S_IFCHR: u32 = 0o020_000;
const S_IFBLK: u32 = 0o060_000;

/// The specification's default devices, which every container has.
const DEFAULTS: [(&CStr, u32, u32); 6] = [
    (c"/dev/null", 1, 3),
    (c"/dev/random", 1, 8),
    (c"/dev/full", 1, 7),
    (c"/dev/tty", 5, 0),
    (c"/dev/zero", 1, 5),
    (c"/dev/urandom", 1, 9),
];

pub(super) fn build<'a>(
    config: &Config<'a>,
    mounts: &List<'a, Mount<'a>>,
    namespaces: &Namespaces<'a>,
    arena: &Arena<'a>,
) -> Result<'a, Devices<'a>> {
    let is_bound = |mount: &Mount<'_>| {
        let on_dev = mount.destination.to_str().is_ok_and(|path| mounts::is_path(path, "/dev"));
        on_dev && matches!(mount.source, Source::Bind(_))
    };
    let mut devices = Devices { fills_dev: !mounts.iter().any(is_bound), nodes: List::default(), binds_nodes: namespaces.maps_ids() };
    let written = config.linux.as_ref().map(|linux| linux.devices).unwrap_or_default();
    for (index, device) in written.iter().enumerate() {
        devices.nodes.push(arena, node(device, index, arena)?)?;
    }
    for (path, major, minor) in DEFAULTS {
        if !written.iter().any(|device| mounts::is_path(device.path, path.to_str().unwrap_or_default())) {
            devices.nodes.push(arena, Node { path, kind: S_IFCHR, major, minor, mode: 0o666, uid: 0, gid: 0 })?;
        }
    }
    Ok(devices)
}

fn node<'a>(device: &spec::Device<'a>, index: usize, arena: &Arena<'a>) -> Result<'a, Node<'a>> {
    let kind = match device.kind {
        "c" | "u" => S_IFCHR,
        "b" => S_IFBLK,
        "p" => S_IFIFO,
        _ => return Err(Error::text(arena.format(format_args!("linux.devices[{index}].type"))?, device.kind, "unknown device type")),
    };
    let number = |value: i64| u32::try_from(value).unwrap_or(0); // `check` has refused what does not fit
    Ok(Node {
        path: c_str(device.path, arena)?,
        kind,
        major: if kind == S_IFIFO { 0 } else { number(device.major) },
        minor: if kind == S_IFIFO { 0 } else { number(device.minor) },
        mode: device.file_mode.unwrap_or(0o666) & 0o7777,
        uid: device.uid.unwrap_or(0),
        gid: device.gid.unwrap_or(0),
    })
}
