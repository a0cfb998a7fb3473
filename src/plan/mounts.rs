//! What is mounted where and how: options become flags, relative sources become absolute, special cases become data.

use core::ffi::CStr;

use linux_raw_sys::general as c;
use linux_raw_sys::general::{
    CLONE_NEWCGROUP, CLONE_NEWNS, CLONE_NEWPID, MS_BIND, MS_PRIVATE, MS_RDONLY, MS_REC, MS_REMOUNT, MS_SHARED, MS_SLAVE,
};

use super::namespaces::{self, Namespaces};
use super::{Facts, Options, c_str, cgroup};
use crate::error::{Error, Result};
use crate::mem::{Arena, List};
use crate::names::{self, MountOption};
use crate::spec::{self, Config};
use crate::sys::Attributes;

/// The root file system.
#[derive(Clone, Copy, Debug, Default)]
pub struct Root<'a> {
    /// Its absolute path on the host.
    pub path: &'a CStr,
    /// Whether it becomes read-only at the end.
    pub is_readonly: bool,
    /// Whether no device node on it counts.
    pub is_nodev: bool,
    /// What the host's mounts become first: MS_SLAVE or MS_PRIVATE with MS_REC; 0 leaves them as they are.
    pub of_the_host: u32,
    /// What the root becomes in the end: MS_SHARED, MS_SLAVE, MS_PRIVATE or MS_UNBINDABLE, with MS_REC or not.
    pub propagation: u32,
    /// How it becomes `/`.
    pub entry: Entry,
}

/// How the root file system becomes `/`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Entry {
    /// By pivot_root; by MS_MOVE where the host's root is the initial ramfs.
    #[default]
    Pivot,
    /// By MS_MOVE and chroot, after nothing is left of the host that a mount namespace inside could show again.
    Move,
    /// By chroot alone: the mount namespace is not the container's own.
    Chroot,
}

/// One thing to mount.
#[derive(Clone, Copy, Debug)]
pub struct Mount<'a> {
    /// Where, as the container will see it.
    pub destination: &'a CStr,
    /// What.
    pub source: Source<'a>,
    /// The same as a bare name, to be told in errors.
    pub written_source: &'a str,
    /// MOUNT_ATTR_* for this mount and all below it.
    pub recursive: Attributes,
    /// MS_SHARED and the like, with MS_REC or not; applied one after the other.
    pub propagation: List<'a, u32>,
    /// Whether the destination may lie on a procfs.
    pub may_cover_proc: bool,
    /// Whether the destination is below /dev, /proc or /sys, and so hardly on the root's own mount.
    pub is_below_default_mounts: bool,
    /// Whether it becomes read-only only after everything else is in place.
    pub readonly_at_last: bool,
}

/// What is mounted.
#[derive(Clone, Copy, Debug)]
pub enum Source<'a> {
    /// A new file system.
    FileSystem(FileSystem<'a>),
    /// A file or directory of the host, or the host's cgroups: they are the container's view from outside a cgroup namespace.
    Bind(Bind<'a>),
    /// Another set of attributes for what is mounted there already.
    Remount {
        /// MS_*.
        flags: u32,
        /// The file system's own options.
        data: &'a CStr,
    },
}

/// A new file system.
#[derive(Clone, Copy, Debug)]
pub struct FileSystem<'a> {
    /// Its name in filesystems(5).
    pub kind: &'a CStr,
    /// The device or whatever name it goes by.
    pub device: &'a CStr,
    /// MS_*.
    pub flags: u32,
    /// The file system's own options, comma separated.
    pub data: &'a CStr,
    /// Whether the destination must be a real directory, reached without symbolic links (proc, sysfs; CVE-2019-19921, CVE-2023-27561).
    pub on_real_directory: bool,
    /// Whether the new root takes over the mode of the directory it covers, if there is one.
    pub takes_mode: bool,
    /// Whether it is filled with what it covers.
    pub copies_up: bool,
    /// Whether the options hold the SELinux context.
    pub has_context: bool,
    /// The SELinux context that the new root gets afterwards.
    pub label: Option<&'a CStr>,
    /// What is bound where the container's namespaces give no right to a new one: the host's; and what, if that is missing.
    pub fallbacks: [Option<Bind<'a>>; 2],
}

/// A file or directory, bound.
#[derive(Clone, Copy, Debug)]
pub struct Bind<'a> {
    /// Its path on the host.
    pub path: &'a CStr,
    /// With the mounts below it.
    pub is_recursive: bool,
    /// MOUNT_ATTR_* of the new mount, as they were named.
    pub attributes: Attributes,
    /// MOUNT_ATTR_* that are cleared too, unless a user namespace has locked them.
    pub cleared_if_unlocked: u64,
    /// Whether the attributes are those of the mounts below it, too.
    pub covers_all: bool,
    /// Whether the source must itself be a procfs.
    pub only_procfs: bool,
    /// Whose ids the owners of the files become.
    pub id_map: Option<IdMap<'a>>,
}

/// An id-mapped mount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdMap<'a> {
    /// What a user namespace with this mapping has in its uid_map; empty for that of the container's own.
    pub uid_map: &'a str,
    /// The same for gid_map.
    pub gid_map: &'a str,
    /// With the mounts below it.
    pub is_recursive: bool,
}

pub(super) fn root<'a>(
    config: &Config<'a>,
    facts: &Facts<'a>,
    options: &Options<'a>,
    namespaces: &Namespaces<'_>,
    arena: &Arena<'a>,
) -> Result<'a, Root<'a>> {
    let root = config.root.as_ref().ok_or(Error::said("config.json: root: it is missing"))?;
    let written = config.linux.as_ref().map(|linux| linux.rootfs_propagation).unwrap_or_default();
    let propagation = match names::mount_option(written) {
        Some(MountOption::Propagation(flags)) => flags,
        _ => MS_SLAVE | MS_REC,
    };
    let entry = match (namespaces.makes(CLONE_NEWNS), options.no_pivot) {
        (false, _) => Entry::Chroot,
        (true, false) => Entry::Pivot,
        (true, true) => Entry::Move,
    };
    let of_the_host = match propagation & !MS_REC {
        _ if entry == Entry::Chroot => 0,
        MS_SHARED => 0, // what is bound from a shared mount is to be shared with the host
        MS_PRIVATE => MS_PRIVATE | MS_REC,
        _ => MS_SLAVE | MS_REC,
    };
    Ok(Root {
        path: absolute(facts.bundle, root.path, arena)?,
        is_readonly: root.readonly,
        is_nodev: false,
        of_the_host,
        propagation,
        entry,
    })
}

pub(super) fn build<'a>(
    config: &Config<'a>,
    facts: &Facts<'a>,
    namespaces: &Namespaces<'a>,
    planned: Option<&cgroup::Cgroup<'a>>,
    arena: &Arena<'a>,
) -> Result<'a, List<'a, Mount<'a>>> {
    let mut mounts = List::default();
    let root = config.root.as_ref().map_or("", |root| root.path);
    let label = config.linux.as_ref().map_or("", |linux| linux.mount_label);
    let cgroup = match planned {
        Some(cgroup) => Some(arena.c_str(&[cgroup.mount.to_bytes(), cgroup.path.as_bytes()])?),
        None => None,
    };
    let place = Place { facts, namespaces, root: absolute(facts.bundle, root, arena)?, label, cgroup };
    let mut hierarchies = List::default();
    for mount in &config.mounts {
        let is_of_v1 = is_of_v1(mount, facts);
        let mount = if is_of_v1 { &spec::Mount { kind: "tmpfs", source: "tmpfs", ..*mount } } else { mount };
        let read = Written::read(mount, namespaces.is_automatic, arena)?;
        let attributes = read.host_tree(c"", false);
        let made = read.into_mount(mount, &place, arena)?;
        if is_of_v1 {
            bind_hierarchies(&made, &attributes, planned, &mut hierarchies, facts, arena)?;
        }
        mounts.push(arena, made)?;
    }
    // Last, so that the others keep the numbers that errors name them by.
    hierarchies.iter().try_for_each(|mount| mounts.push(arena, *mount))?;
    Ok(mounts)
}

/// Those that a running container is to get. Errors: what would be the host's if it were made outside of the container, and what needs
/// that which it covers.
pub fn later<'a>(config: &Config<'a>, bundle: &'a str, arena: &Arena<'a>) -> Result<'a, List<'a, Mount<'a>>> {
    let refused = |mount: &spec::Mount<'a>, why| Err(Error::text("mounts", mount.destination, why));
    for mount in &config.mounts {
        if matches!(mount.kind, "proc" | "sysfs" | "cgroup" | "cgroup2" | "mqueue" | "devpts") {
            return refused(mount, "a file system of this type can be mounted at the creation only");
        }
    }
    let mounts = build(config, &Facts { bundle, ..Facts::default() }, &Namespaces::default(), None, arena)?;
    for (written, mount) in config.mounts.iter().zip(&mounts) {
        match mount.source {
            Source::Bind(Bind { id_map: None, .. }) | Source::FileSystem(FileSystem { copies_up: false, .. }) => {}
            _ => return refused(written, "remount, tmpcopyup and id-mapped mounts can be asked for at the creation only"),
        }
    }
    Ok(mounts)
}

/// The container's cgroup of each hierarchy of cgroup v1, below a tmpfs, by the name that the hierarchy's mount point has on the host,
/// and by that of each controller where it has several. One that has none of its own sees its caller's.
fn bind_hierarchies<'a>(
    tmpfs: &Mount<'a>,
    bind: &Bind<'a>,
    planned: Option<&cgroup::Cgroup<'a>>,
    mounts: &mut List<'a, Mount<'a>>,
    facts: &Facts<'a>,
    arena: &Arena<'a>,
) -> Result<'a, ()> {
    for cgroup::v1::Hierarchy { mount: host, own, .. } in &facts.v1 {
        let planned = planned.filter(|planned| !planned.is_optional);
        let ours = planned.and_then(|planned| planned.places.iter().find(|place| place.mount == *host));
        let path = arena.c_str(&[host.as_bytes(), ours.map_or(*own, |place| place.below).as_bytes()])?;
        let name = host.rsplit('/').next().unwrap_or_default();
        let several = if name.contains(',') { name } else { "" };
        for name in [name].into_iter().chain(several.split(',').filter(|name| !name.is_empty())) {
            let destination = arena.c_str(&[tmpfs.destination.to_bytes(), b"/", name.as_bytes()])?;
            let source = Source::Bind(Bind { path, ..*bind });
            let is_below_default_mounts = true; // it lies on the tmpfs, not on the root
            mounts.push(
                arena,
                Mount { destination, source, written_source: host, is_below_default_mounts, readonly_at_last: false, ..*tmpfs },
            )?;
        }
    }
    Ok(())
}

/// Whether it is the mount of the host's cgroups where there is but cgroup v1.
fn is_of_v1(mount: &spec::Mount<'_>, facts: &Facts<'_>) -> bool {
    cgroup::v1::IS_BUILT && matches!(mount.kind, "cgroup" | "cgroup2") && facts.cgroup_mount.is_none() && !facts.v1.is_empty()
}

/// A path of the host: as it is, or below the bundle.
pub fn absolute<'a>(bundle: &str, path: &'a str, arena: &Arena<'a>) -> Result<'a, &'a CStr> {
    let path_c = c_str(path, arena)?;
    if path.starts_with('/') { Ok(path_c) } else { Ok(arena.c_str(&[bundle.as_bytes(), b"/", path.as_bytes()])?) }
}

/// What all mounts have in common.
struct Place<'p, 'a> {
    facts: &'p Facts<'a>,
    namespaces: &'p Namespaces<'a>,
    root: &'a CStr,
    label: &'a str,
    /// The container's cgroup on the host.
    cgroup: Option<&'a CStr>,
}

/// The options of one mount, sorted out.
#[derive(Default)]
struct Written<'a> {
    flags: u32,
    /// Flags that were cleared by name.
    cleared: u32,
    recursive: Attributes,
    propagation: List<'a, u32>,
    data: &'a str,
    has_mode: bool,
    copies_up: bool,
    /// `idmap` or `ridmap`, or mappings.
    id_map: Option<IdMap<'a>>,
}

impl<'a> Written<'a> {
    fn read(mount: &spec::Mount<'a>, maps_root_alone: bool, arena: &Arena<'a>) -> Result<'a, Self> {
        let mut read = Written::default();
        let mut is_id_mapped = None;
        let mut data = List::default();
        for option in &mount.options {
            match names::mount_option(option) {
                Some(MountOption::Flag { set, clear }) => {
                    read.flags = read.flags & !clear | set;
                    read.cleared = read.cleared & !set | clear;
                }
                Some(MountOption::Propagation(flags)) => read.propagation.push(arena, flags)?,
                Some(MountOption::Recursive { set, clear }) => {
                    read.recursive.set = read.recursive.set & !clear | set;
                    read.recursive.clear = read.recursive.clear & !set | clear;
                }
                Some(MountOption::TmpCopyUp) => read.copies_up = true,
                Some(MountOption::IdMap { recursive }) => is_id_mapped = Some(recursive),
                // It would belong to an id that the namespace does not have, and then not be mounted at all.
                None if maps_root_alone && (option.starts_with("gid=") || option.starts_with("uid=")) => {}
                None => data.push(arena, *option)?,
            }
        }
        read.has_mode = data.iter().any(|option| option.starts_with("mode="));
        read.data = arena.format(format_args!("{}", Commas(data)))?;
        if is_id_mapped.is_some() || !mount.uid_mappings.is_empty() {
            read.id_map = Some(IdMap {
                uid_map: namespaces::map(&mount.uid_mappings, arena)?,
                gid_map: namespaces::map(&mount.gid_mappings, arena)?,
                is_recursive: is_id_mapped.unwrap_or(false),
            });
        }
        Ok(read)
    }

    fn into_mount(self, mount: &spec::Mount<'a>, place: &Place<'_, 'a>, arena: &Arena<'a>) -> Result<'a, Mount<'a>> {
        let written = inside_root(mount.destination, place.root.to_str().unwrap_or_default());
        let destination = c_str(written, arena)?;
        let destination = if written.starts_with('/') { destination } else { arena.c_str(&[b"/", written.as_bytes()])? };
        let is_bind = self.flags & MS_BIND != 0 || mount.kind == "bind";
        // A tmpfs, and whatever is on /dev, still gets mount points and nodes of ours; runc does the same.
        let readonly_at_last = !is_bind && self.flags & MS_RDONLY != 0 && (mount.kind == "tmpfs" || is_path(written, "/dev"));
        Ok(Mount {
            destination,
            source: self.source(mount, written, is_bind, readonly_at_last, place, arena)?,
            written_source: mount.source,
            recursive: self.recursive,
            propagation: self.propagation,
            may_cover_proc: may_cover_proc(written),
            is_below_default_mounts: components(written).nth(1).is_some()
                && ["dev", "proc", "sys"].map(Some).contains(&components(written).next()),
            readonly_at_last,
        })
    }

    fn source(
        &self,
        mount: &spec::Mount<'a>,
        destination: &'a str,
        is_bind: bool,
        readonly_at_last: bool,
        place: &Place<'_, 'a>,
        arena: &Arena<'a>,
    ) -> Result<'a, Source<'a>> {
        let flags = if readonly_at_last { self.flags & !MS_RDONLY } else { self.flags };
        let data = c_str(self.data, arena)?;
        if self.flags & MS_REMOUNT != 0 {
            return Ok(Source::Remount { flags: self.flags, data });
        }
        if is_bind {
            let path = absolute(place.facts.bundle, mount.source, arena)?;
            return Ok(Source::Bind(Bind { only_procfs: is_path(destination, "/proc"), ..self.bind(path) }));
        }
        if is_path(destination, "/proc") && mount.kind != "proc" && !crate::sys::is_undefended("proc-target") {
            return Err(Error::text("mounts", destination, "cannot be mounted because it is not of type proc"));
        }
        let mut fallbacks = [None; 2];
        if matches!(mount.kind, "cgroup" | "cgroup2") {
            let missing = Error::text("mounts", destination, "this host has no cgroup v2 mounted, so the container cannot have one");
            let host = c_str(place.facts.cgroup_mount.ok_or(missing)?, arena)?;
            if !place.namespaces.has_own(CLONE_NEWCGROUP) {
                return Ok(Source::Bind(self.host_tree(host, false)));
            }
            // Nobody gave rights over more than the container's own cgroup (CVE-2023-25809).
            let mut others = self.host_tree(host, false);
            if !crate::sys::is_undefended("readonly-cgroup") {
                others.attributes.set |= u64::from(c::MOUNT_ATTR_RDONLY);
            }
            fallbacks = [place.cgroup.map(|own| self.host_tree(own, false)), Some(others)];
        }
        if mount.kind == "sysfs" && place.namespaces.maps_ids() {
            fallbacks[0] = Some(self.host_tree(c"/sys", true));
        }
        // The host's processes are seen anyway.
        if mount.kind == "proc" && place.namespaces.maps_ids() && !place.namespaces.has_own(CLONE_NEWPID) {
            fallbacks[0] = Some(self.host_tree(c"/proc", true));
        }
        let takes_label = !place.label.is_empty() && !matches!(mount.kind, "proc" | "sysfs" | "cgroup" | "cgroup2");
        let has_context = takes_label && mount.kind != "mqueue";
        let comma = if self.data.is_empty() { "" } else { "," };
        Ok(Source::FileSystem(FileSystem {
            kind: if mount.kind == "cgroup" { c"cgroup2" } else { c_str(mount.kind, arena)? },
            device: c_str(mount.source, arena)?,
            flags,
            data: match has_context {
                true => arena.format_c(format_args!("{}{comma}context=\"{}\"", self.data, place.label))?,
                false => data,
            },
            on_real_directory: matches!(mount.kind, "proc" | "sysfs"),
            takes_mode: mount.kind == "tmpfs" && !self.has_mode,
            copies_up: self.copies_up && mount.kind == "tmpfs",
            has_context,
            label: if takes_label && !has_context { Some(c_str(place.label, arena)?) } else { None },
            fallbacks,
        }))
    }

    fn bind(&self, path: &'a CStr) -> Bind<'a> {
        Bind {
            path,
            is_recursive: self.flags & MS_REC != 0,
            attributes: self.attributes(),
            cleared_if_unlocked: self.cleared_if_unlocked(),
            covers_all: false,
            only_procfs: false,
            id_map: self.id_map,
        }
    }

    /// A whole tree of the host; with `covers_all` what is asked of its top is asked of everything below (CVE-2023-25809).
    fn host_tree(&self, path: &'a CStr, covers_all: bool) -> Bind<'a> {
        let attributes = Attributes { set: to_attributes(self.flags & LOCKED_FLAGS), clear: 0 };
        let covers_all = covers_all && !crate::sys::is_undefended("readonly-cgroup");
        Bind { is_recursive: true, attributes, cleared_if_unlocked: 0, covers_all, id_map: None, ..self.bind(path) }
    }

    /// What was named, as attributes of a bind: what MS_REMOUNT|MS_BIND, which sets all flags anew, would make of it.
    ///
    /// The access times are kept unless one of their flags is set; to clear one by name, such as by `atime`, changes nothing (mount(2)).
    fn attributes(&self) -> Attributes {
        let mut attributes = Attributes { set: to_attributes(self.flags), clear: to_attributes(self.cleared & LOCKED_FLAGS) };
        if self.flags & TIME_FLAGS != 0 {
            attributes.clear |= u64::from(c::MOUNT_ATTR__ATIME | c::MOUNT_ATTR_NODIRATIME);
        }
        if self.names_any() {
            attributes.clear |= to_attributes(c::MS_NOSYMFOLLOW & !self.flags);
        }
        attributes
    }

    /// Once one flag is named, those that are not are cleared, unless a user namespace has locked them (mount_namespaces(7)).
    fn cleared_if_unlocked(&self) -> u64 {
        if self.names_any() { to_attributes(LOCKED_FLAGS & !self.flags) } else { 0 }
    }

    fn names_any(&self) -> bool {
        (self.flags | self.cleared) & !(MS_BIND | MS_REC) != 0
    }
}

/// Flags of a mount, and not of its file system, that a user namespace may have locked; without those about times.
const LOCKED_FLAGS: u32 = c::MS_RDONLY | c::MS_NOSUID | c::MS_NODEV | c::MS_NOEXEC;
const TIME_FLAGS: u32 = c::MS_NOATIME | c::MS_NODIRATIME | c::MS_RELATIME | c::MS_STRICTATIME;

/// A file system's own options, as mount(2) wants them.
pub struct Commas<'a>(pub List<'a, &'a str>);

impl core::fmt::Display for Commas<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.0.iter().enumerate().try_for_each(|(index, option)| write!(f, "{}{option}", if index == 0 { "" } else { "," }))
    }
}

/// MS_* as MOUNT_ATTR_*, for those that belong to a mount and not to its file system.
fn to_attributes(flags: u32) -> u64 {
    const PAIRS: [(u32, u32); 8] = [
        (c::MS_RDONLY, c::MOUNT_ATTR_RDONLY),
        (c::MS_NOSUID, c::MOUNT_ATTR_NOSUID),
        (c::MS_NODEV, c::MOUNT_ATTR_NODEV),
        (c::MS_NOEXEC, c::MOUNT_ATTR_NOEXEC),
        (c::MS_NOATIME, c::MOUNT_ATTR_NOATIME),
        (c::MS_STRICTATIME, c::MOUNT_ATTR_STRICTATIME),
        (c::MS_NODIRATIME, c::MOUNT_ATTR_NODIRATIME),
        (c::MS_NOSYMFOLLOW, c::MOUNT_ATTR_NOSYMFOLLOW),
    ];
    PAIRS.iter().filter(|(flag, _)| flags & flag != 0).map(|(_, attribute)| u64::from(*attribute)).sum()
}

/// What may be mounted inside /proc, and /proc itself (CVE-2019-16884): the names that lxcfs and the like provide.
fn may_cover_proc(destination: &str) -> bool {
    const ALLOWED: [&str; 10] = [
        "cpuinfo",
        "diskstats",
        "meminfo",
        "stat",
        "swaps",
        "uptime",
        "loadavg",
        "slabinfo",
        "sys/kernel/ns_last_pid",
        "sys/crypto/fips_enabled",
    ];
    is_path(destination, "/proc") || ALLOWED.iter().any(|name| components(destination).eq("proc".split('/').chain(name.split('/'))))
}

/// A destination that is written as a path of the host inside the root file system is meant inside (runc).
fn inside_root<'d>(destination: &'d str, root: &str) -> &'d str {
    let is_inside = components(root).zip(components(destination)).filter(|(a, b)| a == b).count() == components(root).count();
    let mut rest = destination;
    for component in components(root) {
        rest = rest.split_once(component).map_or("", |(_, rest)| rest);
    }
    if is_inside && components(rest).next().is_some() { rest } else { destination }
}

/// Whether two absolute paths are the same but for slashes and `.`.
pub(super) fn is_path(path: &str, wanted: &str) -> bool {
    components(path).eq(components(wanted))
}

/// What a path goes through, but for what leads nowhere.
pub(super) fn components(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|component| !component.is_empty() && *component != ".")
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::mem::MaybeUninit;

    /// The mounts of a config, as they print.
    fn planned(mounts: &str, linux: &str) -> Vec<String> {
        let text = format!(r#"{{"root":{{"path":"/host/root"}},"mounts":[{mounts}],"linux":{{{linux}}}}}"#);
        let mut room = vec![MaybeUninit::uninit(); 1 << 16];
        let arena = Arena::new(&mut room);
        let (config, _) = crate::json::read::<Config<'_>>(text.as_bytes(), &arena).unwrap();
        let facts = Facts { bundle: "/bundle", cgroup_mount: Some("/sys/fs/cgroup"), ..Facts::default() };
        let namespaces = namespaces::build(config.linux.as_ref(), &facts, &arena).unwrap();
        build(config, &facts, &namespaces, None, &arena).unwrap().iter().map(|mount| format!("{mount:?}")).collect()
    }

    #[track_caller]
    fn holds(mounts: &str, linux: &str, wanted: &[&str]) {
        let made = planned(mounts, linux);
        for wanted in wanted {
            assert!(made[0].contains(wanted), "{wanted} is not in {}", made[0]);
        }
    }

    #[test]
    fn the_mount_label_is_an_option_of_what_can_take_it_and_given_to_a_message_queue_afterwards() {
        let label = r#""mountLabel":"system_u:object_r:container_file_t:s0:c1,c2""#;
        let context = r#"context=\"system_u:object_r:container_file_t:s0:c1,c2\""#;
        let tmpfs = r#"{"destination":"/mnt","type":"tmpfs","source":"tmpfs","options":["size=1k"]}"#;
        holds(tmpfs, label, &[&format!("data: \"size=1k,{context}\""), "has_context: true", "label: None"]);
        let devpts = r#"{"destination":"/dev/pts","type":"devpts","source":"devpts"}"#;
        holds(devpts, label, &[&format!("data: \"{context}\""), "has_context: true"]);
        let queue = r#"{"destination":"/dev/mqueue","type":"mqueue","source":"mqueue"}"#;
        holds(queue, label, &["data: \"\"", "has_context: false", r#"label: Some("system_u:"#]);
        for kind in ["proc", "sysfs"] {
            holds(&format!(r#"{{"destination":"/{kind}","type":"{kind}"}}"#), label, &["data: \"\"", "has_context: false", "label: None"]);
        }
        holds(tmpfs, "", &["data: \"size=1k\"", "has_context: false"]);
    }

    #[test]
    fn a_destination_inside_the_root_on_the_host_is_meant_inside() {
        let bind = |to: &str| format!(r#"{{"destination":"{to}","type":"bind","source":"from","options":["bind"]}}"#);
        holds(&bind("/host/root/mnt"), "", &["destination: \"/mnt\"", "path: \"/bundle/from\""]);
        for (written, meant) in
            [("/host//root/a/b", "/a/b"), ("/host/rootless", "/host/rootless"), ("/host/root", "/host/root"), ("host/root/x", "/x")]
        {
            holds(&bind(written), "", &[&format!("destination: \"{meant}\"")]);
        }
    }

    #[test]
    fn only_names_that_lxcfs_provides_may_cover_proc() {
        let bind = |to: &str| format!(r#"{{"destination":"{to}","type":"bind","source":"/x","options":["bind"]}}"#);
        for path in ["/proc/meminfo", "/proc//sys/kernel/ns_last_pid", "/host/root/proc/stat", "/proc/./cpuinfo"] {
            holds(&bind(path), "", &["may_cover_proc: true"]);
        }
        for path in ["/proc/self", "/proc/sys", "/proc/meminfo/x", "/procmeminfo", "/proc/../proc/stat"] {
            holds(&bind(path), "", &["may_cover_proc: false"]);
        }
        holds(&bind("/proc"), "", &["may_cover_proc: true", "only_procfs: true"]);
    }

    #[test]
    fn id_maps_are_those_of_the_mount_or_else_empty_for_the_container_s() {
        let user = r#""namespaces":[{"type":"user"}],"uidMappings":[{"containerID":0,"hostID":9,"size":2}],"gidMappings":[{"containerID":0,"hostID":9,"size":2}]"#;
        let bind = r#"{"destination":"/a","source":"/x","options":["rbind","ridmap"]"#;
        holds(&format!("{bind}}}"), user, &[r#"id_map: Some(IdMap { uid_map: "", gid_map: "", is_recursive: true })"#]);
        let maps = r#""uidMappings":[{"containerID":1,"hostID":2,"size":3}],"gidMappings":[{"containerID":4,"hostID":5,"size":6}]"#;
        holds(&format!("{bind},{maps}}}"), user, &[r#"uid_map: "1 2 3\n", gid_map: "4 5 6\n", is_recursive: true"#]);
    }
}
