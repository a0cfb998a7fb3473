//! What this build can do, in the shape of the runtime specification's features.md. A feature is stated here when it is built, not before.

use core::cell::Cell;
use core::fmt::{self, Write};

use super::json_text::Indent;
use super::version::{COMMIT, OLDEST_SPEC_VERSION, SPEC_VERSION, VERSION};
use crate::container::seccomp::BLOB;
use crate::log::JsonString;
use crate::mem::{Names, sort};
use crate::names::{self, CAPABILITIES, MountOption, NAMESPACES};

/// The hooks that are run.
const HOOKS: &[&str] = &["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"];

/// The cgroup hierarchies and managers, and the controller that was last to come.
const CGROUP: &[(&str, bool)] = &[("v1", false), ("v2", true), ("systemd", true), ("systemdUser", false), ("rdma", true)];
const APPARMOR: bool = true;
const SELINUX: bool = true;
const INTEL_RDT: bool = true;
const IDMAP: bool = true;
const NET_DEVICES: bool = true;

/// The memory policies that are set.
const MEMORY_POLICY: (Names, Names) = (names::MEMORY_POLICY_MODES.names, names::MEMORY_POLICY_FLAGS.names);

/// Annotations of a bundle that can make us do more than its author may.
const UNSAFE_ANNOTATIONS: &[&str] = &[BLOB];

/// Prints the features, indented by four spaces, with a newline at the end. `knows_flag`: whether the running kernel knows a flag of
/// seccomp filters.
pub fn print(knows_flag: &dyn Fn(u32) -> bool, out: &mut dyn Write) -> fmt::Result {
    write_object(knows_flag, &mut Indent::new("    ", out))?;
    out.write_char('\n')
}

fn write_object(knows_flag: &dyn Fn(u32) -> bool, out: &mut dyn Write) -> fmt::Result {
    write!(out, "{{\"ociVersionMin\":\"{OLDEST_SPEC_VERSION}\",\"ociVersionMax\":\"{SPEC_VERSION}\",\"hooks\":")?;
    list(&mut HOOKS.iter().copied(), out)?;
    out.write_str(",\"mountOptions\":")?;
    list(&mut mount_options(), out)?;
    out.write_str(",\"linux\":{\"namespaces\":")?;
    list(&mut namespaces().into_iter(), out)?;
    out.write_str(",\"capabilities\":")?;
    list(&mut CAPABILITIES.iter(), out)?;
    out.write_str(",\"cgroup\":{")?;
    for (index, (name, is_on)) in CGROUP.iter().enumerate() {
        write!(out, "{}\"{name}\":{is_on}", if index == 0 { "" } else { "," })?;
    }
    out.write_str("},")?;
    seccomp(knows_flag, out)?;
    write!(
        out,
        ",\"apparmor\":{{\"enabled\":{APPARMOR}}},\"selinux\":{{\"enabled\":{SELINUX}}},\"intelRdt\":{{\"enabled\":{INTEL_RDT},\"schemata\":{INTEL_RDT},\"monitoring\":{INTEL_RDT}}}"
    )?;
    out.write_str(",\"memoryPolicy\":{\"modes\":")?;
    list(&mut MEMORY_POLICY.0.iter(), out)?;
    out.write_str(",\"flags\":")?;
    list(&mut MEMORY_POLICY.1.iter(), out)?;
    write!(out, "}},\"mountExtensions\":{{\"idmap\":{{\"enabled\":{IDMAP}}}}},\"netDevices\":{{\"enabled\":{NET_DEVICES}}}}}")?;
    out.write_str(",\"annotations\":{")?;
    #[cfg(feature = "libseccomp")]
    {
        let (major, minor, micro) = crate::sys::seccomp_library();
        write!(out, "\"io.github.seccomp.libseccomp.version\":\"{major}.{minor}.{micro}\",")?;
    }
    write!(out, "\"org.ocinit.commit\":{},\"org.ocinit.version\":\"{VERSION}\"}}", JsonString(COMMIT))?;
    out.write_str(",\"potentiallyUnsafeConfigAnnotations\":")?;
    list(&mut UNSAFE_ANNOTATIONS.iter().copied(), out)?;
    out.write_char('}')
}

fn seccomp(knows_flag: &dyn Fn(u32) -> bool, out: &mut dyn Write) -> fmt::Result {
    out.write_str("\"seccomp\":{\"enabled\":true")?;
    for (name, words) in [
        ("actions", names::SECCOMP_ACTIONS),
        ("operators", names::SECCOMP_OPERATORS),
        ("archs", names::SECCOMP_ARCHITECTURES),
        ("knownFlags", names::SECCOMP_FLAGS),
    ] {
        write!(out, ",\"{name}\":")?;
        list(&mut words.iter(), out)?;
    }
    out.write_str(",\"supportedFlags\":")?;
    let is_supported = |word: &&str| names::seccomp::seccomp_flag(word).is_some_and(knows_flag);
    list(&mut names::SECCOMP_FLAGS.iter().filter(is_supported), out)?;
    out.write_char('}')
}

/// All that are known but the id mapping ones, which `mountExtensions` tells about.
fn mount_options() -> impl Iterator<Item = &'static str> {
    names::mount_options().filter(|name| !matches!(names::mount_option(name), Some(MountOption::IdMap { .. })))
}

fn namespaces() -> [&'static str; 8] {
    let mut names = NAMESPACES.map(names::Namespace::name);
    let cells = Cell::from_mut(names.as_mut_slice()).as_slice_of_cells();
    sort(cells.len(), &|a, b| cells[a].get() < cells[b].get(), &|a, b| cells[a].swap(&cells[b]));
    names
}

fn list(words: &mut dyn Iterator<Item = &'static str>, out: &mut dyn Write) -> fmt::Result {
    let mut before = '[';
    for word in words {
        write!(out, "{before}\"{word}\"")?;
        before = ',';
    }
    out.write_str(if before == '[' { "[]" } else { "]" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::seccomp::SPEC_ALLOW;

    fn text() -> String {
        let mut text = String::new();
        print(&|flag| flag != SPEC_ALLOW, &mut text).unwrap();
        text
    }

    /// The words of the list with this key, in the order in which they stand.
    fn words(text: &str, key: &str) -> Vec<String> {
        let (_, list) = text.split_once(&format!("\"{key}\": [")).unwrap_or_else(|| panic!("no {key}"));
        let (list, _) = list.split_once(']').unwrap();
        list.split('"').skip(1).step_by(2).map(str::to_string).collect()
    }

    #[test]
    fn the_layout_is_that_of_runc() {
        let text = text();
        assert!(
            text.starts_with(
                "{\n    \"ociVersionMin\": \"1.0.0\",\n    \"ociVersionMax\": \"1.3.0\",\n    \"hooks\": [\n        \"prestart\",\n"
            ),
            "{text}"
        );
        assert!(text.contains(",\n    \"linux\": {\n        \"namespaces\": [\n            \"cgroup\",\n"), "{text}");
        assert!(
            text.ends_with("\n    \"potentiallyUnsafeConfigAnnotations\": [\n        \"org.ocinit.seccomp.bpf\"\n    ]\n}\n"),
            "{text}"
        );
    }

    #[test]
    fn lists_are_those_of_runc_but_for_what_changed_since() {
        let Ok(output) = std::process::Command::new("runc").arg("features").output() else {
            return eprintln!("skipped: no runc on this host");
        };
        let (ours, theirs) = (text(), String::from_utf8(output.stdout).unwrap());
        assert_eq!(words(&ours, "capabilities"), words(&theirs, "capabilities"));
        // runc 1.2 took acl and noacl out, and added time namespaces.
        let options: Vec<_> = words(&theirs, "mountOptions").into_iter().filter(|name| !name.ends_with("acl")).collect();
        assert_eq!(words(&ours, "mountOptions"), options);
        let namespaces: Vec<_> = words(&ours, "namespaces").into_iter().filter(|name| name != "time").collect();
        assert_eq!(namespaces, words(&theirs, "namespaces"));
    }

    #[test]
    fn what_is_not_built_is_off() {
        let text = text();
        let (head, tail) = text.split_once("        \"seccomp\": {\n").unwrap();
        let (_, head) = head.split_once("        \"cgroup\": {\n").unwrap();
        let (_, tail) = tail.split_once("        },\n").unwrap();
        let tail = format!("{head}{tail}");
        let expected = format!(
            r#"            "v1": false,
            "v2": true,
            "systemd": true,
            "systemdUser": false,
            "rdma": true
        }},
        "apparmor": {{
            "enabled": true
        }},
        "selinux": {{
            "enabled": true
        }},
        "intelRdt": {{
            "enabled": true,
            "schemata": true,
            "monitoring": true
        }},
        "memoryPolicy": {{
            "modes": [
                "MPOL_BIND",
                "MPOL_DEFAULT",
                "MPOL_INTERLEAVE",
                "MPOL_LOCAL",
                "MPOL_PREFERRED",
                "MPOL_PREFERRED_MANY",
                "MPOL_WEIGHTED_INTERLEAVE"
            ],
            "flags": [
                "MPOL_F_NUMA_BALANCING",
                "MPOL_F_RELATIVE_NODES",
                "MPOL_F_STATIC_NODES"
            ]
        }},
        "mountExtensions": {{
            "idmap": {{
                "enabled": true
            }}
        }},
        "netDevices": {{
            "enabled": true
        }}
    }},
    "annotations": {{
        "org.ocinit.commit": "{COMMIT}",
        "org.ocinit.version": "{VERSION}"
    }},
    "potentiallyUnsafeConfigAnnotations": [
        "org.ocinit.seccomp.bpf"
    ]
}}
"#
        );
        assert_eq!(tail, expected);
    }

    #[test]
    fn of_the_flags_of_filters_those_that_the_kernel_knows_are_supported() {
        let text = text();
        assert!(words(&text, "knownFlags").iter().map(String::as_str).eq(names::SECCOMP_FLAGS.iter()));
        let supported = ["SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"];
        assert_eq!(words(&text, "supportedFlags"), supported);
    }

    #[test]
    fn a_reader_of_json_takes_it() {
        let text = text();
        let (_, length) = serde_json_core::from_str::<serde::de::IgnoredAny>(&text).unwrap();
        assert_eq!(length, text.len());
    }
}
