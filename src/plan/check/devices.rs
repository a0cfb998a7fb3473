//! `linux.devices`: the nodes to make. The rules on them are with the resources.

use super::{At, Report, TOP, error};
use crate::names;
use crate::spec::Linux;

/// The largest major and minor number of a device (MAJOR and MINOR of linux/kdev_t.h).
const MAJOR_MAX: i64 = 0xfff;
const MINOR_MAX: i64 = 0xf_ffff;

pub(super) fn check(linux: &Linux<'_>, report: &mut Report<'_>) {
    let at = &TOP.key("linux");
    for (index, device) in linux.devices.iter().enumerate() {
        let at = &at.item("devices", index);
        report.absolute(at, "path", device.path);
        if names::device_type(device.kind).is_none() {
            report.say_of(at, error!("type", "invalid device type \"{}\""), device.kind);
        }
        if device.kind != "p" {
            numbers(device.major, device.minor, 0, at, report);
        }
    }
}

/// Numbers of a device; in a rule `least` is -1, which means any.
#[inline(never)]
pub(super) fn numbers(major: i64, minor: i64, least: i64, at: &At<'_>, report: &mut Report<'_>) {
    report.within(at, "major", major, least, MAJOR_MAX);
    report.within(at, "minor", minor, least, MINOR_MAX);
}
