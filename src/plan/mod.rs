//! Every decision about a container, made before anything is done: from what was written, what the host is and what was asked for, one plan.
//!
//! Must: be pure. Mustn't: make a system call, look at the host, or leave a decision to the steps.

pub mod boot;
pub mod cgroup;
pub mod check;
pub mod devices;
pub mod exec;
pub mod hooks;
pub mod image;
pub mod mounts;
pub mod namespaces;
pub mod network;
pub mod process;
pub mod rdt;
pub mod scheduling;
pub mod seccomp;
pub mod unguarded;
pub mod versions;

use core::ffi::CStr;

use crate::error::{Error, Result};
use crate::mem::{Arena, List};
use crate::names::subjects;
use crate::spec::{Config, Linux};

/// What the host is: found out by `container::facts`, judged here.
#[derive(Clone, Copy, Default)]
pub struct Facts<'a> {
    /// User and group id of the runtime.
    pub user: (u32, u32),
    /// The bundle's absolute path.
    pub bundle: &'a str,
    /// Where cgroup v2 is mounted; `None` where it is not.
    pub cgroup_mount: Option<&'a str>,
    /// The hierarchies of cgroup v1; none where cgroup v2 lies in its usual place.
    pub v1: List<'a, cgroup::v1::Hierarchy<'a>>,
    /// Where resctrl is mounted; looked for only where it is asked for.
    pub resctrl_mount: Option<&'a str>,
    /// Whether AppArmor is on; looked at only where a profile is asked for.
    pub has_apparmor: bool,
    /// Whether SELinux is on; looked at only where a label is asked for.
    pub has_selinux: bool,
    /// The filter of system calls that the annotation `org.ocinit.seccomp.bpf` names, of the digest that it names.
    pub seccomp_blob: Option<&'a [u8]>,
    /// The runtime's own cgroup, as /proc/self/cgroup names it.
    pub own_cgroup: &'a str,
    /// Whether `root.path` is a file; looked at only where it may name an image.
    pub root_is_file: bool,
}

/// What the caller asked for on the command line.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options<'a> {
    /// The container's id, already judged by [`is_valid_id`].
    pub id: &'a str,
    /// `--no-pivot`: enter the root by MS_MOVE and chroot.
    pub no_pivot: bool,
    /// `--no-new-keyring`: keep the caller's session keyring.
    pub no_new_keyring: bool,
    /// How many descriptors from 3 on are sockets that a service manager listens on (sd_listen_fds(3)).
    pub listen_fds: u32,
    /// `--preserve-fds`: how many descriptors after those the container keeps.
    pub preserve_fds: u32,
    /// Whether the caller's own groups, limits and the like may not be assumed to be root's.
    pub is_rootless: bool,
    /// Who makes the cgroup.
    pub cgroup_manager: cgroup::Manager<'a>,
}

/// Everything that is to be done, in the order of its fields. Nothing is an empty list.
#[derive(Default)]
pub struct Plan<'a> {
    /// The container's id.
    pub id: &'a str,
    /// The container's cgroup, if there is to be one.
    pub cgroup: Option<cgroup::Cgroup<'a>>,
    /// The container's share of caches and memory bandwidth, if it has one of its own.
    pub rdt: Option<rdt::Rdt<'a>>,
    /// Namespaces to make and to join, and the maps of a new user namespace.
    pub namespaces: namespaces::Namespaces<'a>,
    /// The session keyring's name.
    pub keyring: Option<&'a CStr>,
    /// The root file system.
    pub root: mounts::Root<'a>,
    /// The images that it lies in; without them it is the directory that its path names.
    pub image: Option<image::Image<'a>>,
    /// What is mounted in it, in this order.
    pub mounts: List<'a, mounts::Mount<'a>>,
    /// Nodes and links under /dev.
    pub devices: devices::Devices<'a>,
    /// `sysctl`: files under /proc/sys, and what is written to them.
    pub sysctls: List<'a, Setting<'a>>,
    /// Paths that become read-only.
    pub readonly_paths: List<'a, &'a CStr>,
    /// Paths that are hidden.
    pub masked_paths: List<'a, &'a CStr>,
    /// The host name, if one is to be set.
    pub hostname: Option<&'a str>,
    /// The NIS domain name, if one is to be set.
    pub domainname: Option<&'a str>,
    /// Network interfaces that move into the container.
    pub net_devices: List<'a, network::NetDevice<'a>>,
    /// Programs that the child runs on its way, or waits for.
    pub hooks: hooks::Hooks<'a>,
    /// The system calls that the process may make.
    pub seccomp: Option<seccomp::Filter<'a>>,
    /// The process.
    pub process: process::Process<'a>,
}

/// A file and the text that is written to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setting<'a> {
    /// The file, relative to where such files lie.
    pub file: &'a CStr,
    /// What is written.
    pub value: &'a str,
}

/// Makes the plan. Errors: what [`check::check`] would have said.
pub fn build<'a>(config: &Config<'a>, facts: &Facts<'a>, options: &Options<'a>, arena: &Arena<'a>) -> Result<'a, &'a mut Plan<'a>> {
    let linux = &config.linux;
    let namespaces = namespaces::build(linux.as_ref(), facts, arena)?;
    let cgroup = cgroup::build(config, &namespaces, facts, options, arena)?;
    let mounts = mounts::build(config, facts, &namespaces, cgroup.as_ref(), arena)?;
    Ok(arena.put(Plan {
        id: options.id,
        cgroup,
        rdt: if subjects::INTEL_RDT { rdt::build(linux.as_ref(), facts, options, arena)? } else { None },
        keyring: keyring(options, arena)?,
        root: mounts::root(config, facts, options, &namespaces, arena)?,
        image: if subjects::IMAGES { image::build(config, facts, &namespaces, arena)? } else { None },
        devices: devices::build(config, &mounts, &namespaces, arena)?,
        sysctls: sysctls(linux.as_ref(), arena)?,
        readonly_paths: paths(linux.as_ref().map(|linux| &linux.readonly_paths), arena)?,
        masked_paths: paths(linux.as_ref().map(|linux| &linux.masked_paths), arena)?,
        hostname: (!config.hostname.is_empty()).then_some(config.hostname),
        domainname: (!config.domainname.is_empty()).then_some(config.domainname),
        net_devices: network::build(linux.as_ref(), arena)?,
        hooks: hooks::build(config, options.id, facts.bundle, arena)?,
        seccomp: filter(config, facts, arena)?,
        process: process::build(config, facts, options, arena)?,
        namespaces,
        mounts,
    })?)
}

fn filter<'a>(config: &Config<'a>, facts: &Facts<'a>, arena: &Arena<'a>) -> Result<'a, Option<seccomp::Filter<'a>>> {
    let profile = config.linux.as_ref().and_then(|linux| linux.seccomp.as_ref());
    if let Some(blob) = facts.seccomp_blob {
        return seccomp::precompiled(blob, profile, arena).map(Some);
    }
    match profile {
        Some(profile) if subjects::SECCOMP => seccomp::compile(profile, arena).map(Some),
        Some(_) => Err(Error::said("linux.seccomp: left out of this binary")),
        None => Ok(None),
    }
}

fn keyring<'a>(options: &Options<'a>, arena: &Arena<'a>) -> Result<'a, Option<&'a CStr>> {
    Ok(if options.no_new_keyring { None } else { Some(arena.c_str(&[b"_ses.", options.id.as_bytes()])?) })
}

/// 64 hexadecimal digits as the digest that they are.
pub fn digest(digits: &str) -> Option<[u8; 32]> {
    let mut digest = [0; 32];
    for (index, byte) in digits.bytes().enumerate() {
        *digest.get_mut(index / 2)? = digest[index / 2] << 4 | char::from(byte).to_digit(16)? as u8;
    }
    (digits.len() == 64).then_some(digest)
}

/// The specification's and runc's rule for ids: letters, digits, `_`, `+`, `.`, `-`; not `.` nor `..`.
pub fn is_valid_id(id: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_+.-".contains(&byte);
    !id.is_empty() && id.bytes().all(allowed) && id != "." && id != ".."
}

/// `net.ipv4.ip_forward` or `net/ipv4/ip_forward`: as in sysctl(8), the first separator decides what separates.
fn sysctls<'a>(linux: Option<&Linux<'a>>, arena: &Arena<'a>) -> Result<'a, List<'a, Setting<'a>>> {
    let mut settings = List::default();
    for entry in linux.iter().flat_map(|linux| linux.sysctl.iter()) {
        let has_slashes = entry.key.bytes().find(|byte| matches!(byte, b'.' | b'/')) == Some(b'/');
        let file = arena.bytes(entry.key.as_bytes())?;
        if !has_slashes {
            for byte in file.iter_mut() {
                *byte = match *byte {
                    b'.' => b'/',
                    b'/' => b'.',
                    byte => byte,
                };
            }
        }
        settings.push(arena, Setting { file: arena.c_str(&[b"sys/", file])?, value: entry.value })?;
    }
    Ok(settings)
}

fn paths<'a>(paths: Option<&List<'a, &'a str>>, arena: &Arena<'a>) -> Result<'a, List<'a, &'a CStr>> {
    let mut made = List::default();
    for path in paths.into_iter().flat_map(|paths| paths.iter()) {
        made.push(arena, c_str(path, arena)?)?;
    }
    Ok(made)
}

/// A string of the configuration as the kernel wants it. Errors: a NUL inside.
fn c_str<'a>(text: &'a str, arena: &Arena<'a>) -> Result<'a, &'a CStr> {
    if text.as_bytes().contains(&0) {
        return Err(Error::text("config.json", text, "a NUL byte inside a string"));
    }
    Ok(arena.c_str(&[text.as_bytes()])?)
}
