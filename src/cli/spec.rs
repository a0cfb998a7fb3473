//! The config.json that `spec` writes: a container to start from, the same as runc's but for the host name. It does not write the file.

use core::fmt::{self, Write};

use super::json_text::Indent;
use super::version::SPEC_VERSION;

/// The error where a config.json is there already.
pub const EXISTS: &str = "File config.json exists. Remove it first";

/// What differs between two such files.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Whether the host has cgroup v2 only: then the container gets a cgroup namespace.
    pub has_cgroup_v2_only: bool,
    /// For a user without rights: the ids to be root with.
    pub rootless: Option<Ids>,
}

/// The effective user and group.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub struct Ids {
    pub uid: u32,
    pub gid: u32,
}

/// Writes the text, indented by tabs, without a newline at its end.
pub fn print(shape: Shape, out: &mut dyn Write) -> fmt::Result {
    let out: &mut dyn Write = &mut Indent::new("\t", out);
    write!(out, "{{\"ociVersion\":\"{SPEC_VERSION}\",{PROCESS}")?;
    out.write_str(if shape.rootless.is_some() { ROOTLESS_MOUNTS } else { MOUNTS })?;
    match shape.rootless {
        Some(ids) => mappings(ids, out)?,
        None => out.write_str(RESOURCES)?,
    }
    namespaces(shape, out)?;
    out.write_str(PATHS)
}

fn mappings(ids: Ids, out: &mut dyn Write) -> fmt::Result {
    for (kind, host) in [("uid", ids.uid), ("gid", ids.gid)] {
        write!(out, "\"{kind}Mappings\":[{{\"containerID\":0,\"hostID\":{host},\"size\":1}}],")?;
    }
    Ok(())
}

fn namespaces(shape: Shape, out: &mut dyn Write) -> fmt::Result {
    let is_rootless = shape.rootless.is_some();
    let kinds = [
        (",network", !is_rootless),
        (",ipc", true),
        (",uts", true),
        (",mount", true),
        (",cgroup", shape.has_cgroup_v2_only),
        (",user", is_rootless),
    ];
    out.write_str(r#""namespaces":[{"type":"pid"}"#)?;
    for (kind, _) in kinds.into_iter().filter(|kind| kind.1) {
        let (comma, name) = kind.split_at(1);
        write!(out, "{comma}{{\"type\":\"{name}\"}}")?;
    }
    out.write_str("],")
}

/// Up to the mounts. There are no inheritable capabilities (CVE-2022-29162), and so no ambient ones.
const PROCESS: &str = concat!(
    r#""process":{"terminal":true,"user":{"uid":0,"gid":0},"args":["sh"],"#,
    r#""env":["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin","TERM=xterm"],"cwd":"/","#,
    r#""capabilities":{"bounding":["CAP_AUDIT_WRITE","CAP_KILL","CAP_NET_BIND_SERVICE"],"#,
    r#""effective":["CAP_AUDIT_WRITE","CAP_KILL","CAP_NET_BIND_SERVICE"],"#,
    r#""permitted":["CAP_AUDIT_WRITE","CAP_KILL","CAP_NET_BIND_SERVICE"]},"#,
    r#""rlimits":[{"type":"RLIMIT_NOFILE","hard":1024,"soft":1024}],"noNewPrivileges":true},"#,
    r#""root":{"path":"rootfs","readonly":true},"hostname":"ocinit","#,
);

/// The mounts, given the options of /dev/pts and the mount of /sys.
macro_rules! mounts {
    ($pts:literal, $sys:literal) => {
        concat!(
            r#""mounts":[{"destination":"/proc","type":"proc","source":"proc"},"#,
            r#"{"destination":"/dev","type":"tmpfs","source":"tmpfs","options":["nosuid","strictatime","mode=755","size=65536k"]},"#,
            r#"{"destination":"/dev/pts","type":"devpts","source":"devpts","options":["nosuid","noexec","newinstance","ptmxmode=0666",""#,
            $pts,
            r#""]},{"destination":"/dev/shm","type":"tmpfs","source":"shm","options":["nosuid","noexec","nodev","mode=1777","size=65536k"]},"#,
            r#"{"destination":"/dev/mqueue","type":"mqueue","source":"mqueue","options":["nosuid","noexec","nodev"]},"#,
            r#"{"destination":"/sys","#,
            $sys,
            r#""nosuid","noexec","nodev","ro"]},{"destination":"/sys/fs/cgroup","type":"cgroup","source":"cgroup","#,
            r#""options":["nosuid","noexec","nodev","relatime","ro"]}],"linux":{"#,
        )
    };
}

const MOUNTS: &str = mounts!(r#"mode=0620","gid=5"#, r#""type":"sysfs","source":"sysfs","options":["#);

/// A user without rights has no group 5 to give, and may not mount a sysfs over the host's network.
const ROOTLESS_MOUNTS: &str = mounts!("mode=0620", r#""type":"none","source":"/sys","options":["rbind","#);

const RESOURCES: &str = r#""resources":{"devices":[{"allow":false,"access":"rwm"}]},"#;

const PATHS: &str = concat!(
    r#""maskedPaths":["/proc/acpi","/proc/asound","/proc/kcore","/proc/keys","/proc/latency_stats","/proc/timer_list","#,
    r#""/proc/timer_stats","/proc/sched_debug","/sys/firmware","/proc/scsi","/sys/devices/virtual/tpm"],"#,
    r#""readonlyPaths":["/proc/bus","/proc/fs","/proc/irq","/proc/sys","/proc/sysrq-trigger"]}}"#,
);

#[cfg(test)]
mod tests {
    use std::{env, fs, process};

    use super::*;

    fn text(shape: Shape) -> String {
        let mut text = String::new();
        print(shape, &mut text).unwrap();
        text
    }

    /// What the runc of this host writes. `None`: there is none.
    fn of_runc(options: &[&str]) -> Option<String> {
        let bundle = env::temp_dir().join(format!("ocinit-spec-{}-{}", process::id(), options.len()));
        fs::create_dir_all(&bundle).unwrap();
        let output = process::Command::new("runc").arg("spec").args(options).arg("-b").arg(&bundle).output();
        let text = output.ok().map(|_| fs::read_to_string(bundle.join("config.json")).unwrap());
        fs::remove_dir_all(&bundle).unwrap();
        text
    }

    /// Debian's runc 1.1.5 gives ambient capabilities, which newer ones do not, and does not hide the TPM yet.
    fn modern(text: &str) -> String {
        let (head, tail) = text.split_once(",\n\t\t\t\"ambient\": [").unwrap_or((text, ""));
        let tail = tail.split_once(']').map_or("", |(_, tail)| tail);
        let text = format!("{head}{tail}").replace("\"hostname\": \"runc\"", "\"hostname\": \"ocinit\"");
        let text = text.replace("\"/proc/scsi\"\n", "\"/proc/scsi\",\n\t\t\t\"/sys/devices/virtual/tpm\"\n");
        let (version, rest) = text.split_once(",\n").unwrap();
        assert!(version.starts_with("{\n\t\"ociVersion\": "), "{version}");
        format!("{{\n\t\"ociVersion\": \"{SPEC_VERSION}\",\n{rest}")
    }

    #[test]
    fn the_file_is_that_of_runc() {
        let Some(theirs) = of_runc(&[]) else { return eprintln!("skipped: no runc on this host") };
        let has_cgroup_v2_only = theirs.contains("\"cgroup\"\n\t\t\t}");
        assert_eq!(text(Shape { has_cgroup_v2_only, rootless: None }), modern(&theirs));
    }

    #[test]
    fn the_rootless_file_is_that_of_runc() {
        let Some(theirs) = of_runc(&["--rootless"]) else { return eprintln!("skipped: no runc on this host") };
        let host = |kind: &str| {
            let (_, mappings) = theirs.split_once(kind).unwrap();
            let (_, host) = mappings.split_once("\"hostID\": ").unwrap();
            host.split(',').next().unwrap().parse().unwrap()
        };
        let rootless = Some(Ids { uid: host("uidMappings"), gid: host("gidMappings") });
        let has_cgroup_v2_only = theirs.contains("\"cgroup\"\n\t\t\t}");
        assert_eq!(text(Shape { has_cgroup_v2_only, rootless }), modern(&theirs));
    }

    #[test]
    fn a_cgroup_namespace_comes_with_cgroup_v2() {
        let namespaces = |has_cgroup_v2_only, rootless| {
            let text = text(Shape { has_cgroup_v2_only, rootless });
            let (_, list) = text.split_once("\"namespaces\": [").unwrap();
            let (list, _) = list.split_once(']').unwrap();
            list.split('"').skip(3).step_by(4).map(str::to_string).collect::<Vec<_>>()
        };
        assert_eq!(namespaces(false, None), ["pid", "network", "ipc", "uts", "mount"]);
        assert_eq!(namespaces(true, None), ["pid", "network", "ipc", "uts", "mount", "cgroup"]);
        let rootless = Some(Ids { uid: 1000, gid: 100 });
        assert_eq!(namespaces(true, rootless), ["pid", "ipc", "uts", "mount", "cgroup", "user"]);
    }

    #[test]
    fn rootless_maps_root_to_the_caller() {
        let text = text(Shape { has_cgroup_v2_only: true, rootless: Some(Ids { uid: 1000, gid: 100 }) });
        assert!(
            text.contains("\"uidMappings\": [\n\t\t\t{\n\t\t\t\t\"containerID\": 0,\n\t\t\t\t\"hostID\": 1000,\n\t\t\t\t\"size\": 1\n")
        );
        assert!(text.contains("\"gidMappings\": [\n\t\t\t{\n\t\t\t\t\"containerID\": 0,\n\t\t\t\t\"hostID\": 100,\n\t\t\t\t\"size\": 1\n"));
        assert!(!text.contains("resources") && !text.contains("gid=5"));
    }

    #[test]
    fn nothing_is_inheritable() {
        let text = text(Shape { has_cgroup_v2_only: false, rootless: None });
        assert!(!text.contains("inheritable") && !text.contains("ambient"));
        assert!(text.ends_with("\n}"));
    }
}
