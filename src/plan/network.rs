//! `linux.netDevices`: network interfaces that move from the host into the container.

use crate::error::Result;
use crate::mem::{Arena, List};
use crate::spec::Linux;

/// One network interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NetDevice<'a> {
    /// Its name on the host.
    pub outside: &'a str,
    /// Its name in the container.
    pub inside: &'a str,
}

pub(super) fn build<'a>(linux: Option<&Linux<'a>>, arena: &Arena<'a>) -> Result<'a, List<'a, NetDevice<'a>>> {
    let mut devices = List::default();
    for entry in linux.into_iter().flat_map(|linux| linux.net_devices.iter()) {
        let inside = if entry.value.name.is_empty() { entry.key } else { entry.value.name };
        devices.push(arena, NetDevice { outside: entry.key, inside })?;
    }
    Ok(devices)
}
