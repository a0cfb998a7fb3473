//! `linux.netDevices`: the network devices that move into the container.

use super::namespaces::Namespaces;
use super::{At, Report, TOP, error, has};
use crate::mem::{Arena, Keys};
use crate::names::Namespace;
use crate::spec::{Entry, Linux, NetDevice};

/// IFNAMSIZ less the NUL (linux/if.h).
const NAME_MAX: usize = 15;

pub(super) fn check<'a>(linux: &Linux<'a>, namespaces: &Namespaces, arena: &Arena<'a>, report: &mut Report<'_>) {
    let top = TOP.key("linux");
    let at = &top.key("netDevices");
    if !linux.net_devices.is_empty() && !namespaces.has(Namespace::Network) {
        report.say(at, error!("", "unable to move network devices without a private NET namespace"));
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
            Ok(Some(_)) => report.say_of(at, error!("name", "two devices cannot both be {} in the container"), inside(entry)),
            Err(_) => return report.say(at, error!("", "too many devices")),
        }
    }
}

fn inside<'a>(entry: &Entry<'a, NetDevice<'a>>) -> &'a str {
    if entry.value.name.is_empty() { entry.key } else { entry.value.name }
}

/// The kernel's rule (dev_valid_name).
#[inline(never)]
fn name(name: &str, at: &At<'_>, report: &mut Report<'_>) {
    let is_path = matches!(name, "" | "." | "..");
    if is_path || name.len() > NAME_MAX || has(name, b"/: \t\n\x0b\x0c\r\0") {
        report.say_of(at, error!("", "invalid network device name \"{}\""), name);
    }
}
