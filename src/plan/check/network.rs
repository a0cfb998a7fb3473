//! `linux.netDevices`: the network devices that move into the container.

use super::namespaces::Namespaces;
use super::{At, Report, Shown, TOP};
use crate::mem::{Arena, Keys};
use crate::names::Namespace;
use crate::spec::{Entry, Linux, NetDevice};

/// IFNAMSIZ less the NUL (linux/if.h).
const NAME_MAX: usize = 15;

pub(super) fn check<'a>(linux: &Linux<'a>, namespaces: &Namespaces, arena: &Arena<'a>, report: &mut Report<'_>) {
    let top = TOP.key("linux");
    let at = &top.key("netDevices");
    if !linux.net_devices.is_empty() && !namespaces.has(Namespace::Network) {
        report.error(at, format_args!("unable to move network devices without a private NET namespace"));
    }
    let names = Keys::default();
    for (index, entry) in linux.net_devices.iter().enumerate() {
        let at = &at.key(entry.key);
        name(entry.key, at, report);
        if !entry.value.name.is_empty() {
            name(entry.value.name, &at.key("name"), report);
        }
        match names.insert(arena, inside(entry), index) {
            Ok(None) => {}
            Ok(Some(_)) => {
                report.error(&at.key("name"), format_args!("two devices cannot both be {} in the container", Shown(inside(entry))));
            }
            Err(_) => return report.error(at, format_args!("too many devices")),
        }
    }
}

fn inside<'a>(entry: &Entry<'a, NetDevice<'a>>) -> &'a str {
    if entry.value.name.is_empty() { entry.key } else { entry.value.name }
}

/// The kernel's rule (dev_valid_name).
fn name(name: &str, at: &At<'_>, report: &mut Report<'_>) {
    let is_odd = |character: char| matches!(character, '/' | ':' | '\0') || character.is_ascii_whitespace() || character == '\x0b';
    if name.is_empty() || name.len() > NAME_MAX || matches!(name, "." | "..") || name.contains(is_odd) {
        report.error(at, format_args!("invalid network device name \"{}\"", Shown(name)));
    }
}
