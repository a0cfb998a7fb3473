//! The runtime under test, and what it and this kernel can do.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::caller::Caller;
use crate::launch::read;
use crate::sys::{Outcome, Refusal};
use crate::world::FOLDER;

/// The runtime under test.
#[derive(Clone)]
pub struct Runtime {
    /// `ocinit`, `runc` or `crun`, whatever the file is called.
    pub name: String,
    pub path: String,
    /// The system calls that all cases are run without.
    pub refused: Vec<Refusal>,
    /// What it finds in its environment beyond what a step says.
    pub environment: Vec<(String, String)>,
    /// As whom it is called, where a step does not say it.
    pub caller: Caller,
}

impl Runtime {
    /// Takes a copy, so that a container that overwrites its runtime harms nobody.
    pub fn new(from: &str, refused: Vec<Refusal>) -> Outcome<Runtime> {
        let file = Path::new(from).file_name().ok_or("the runtime is no file")?.to_string_lossy().into_owned();
        let path = format!("{FOLDER}/{file}");
        fs::copy(from, &path).map_err(|why| format!("{from}: {why}"))?;
        // crun insists on raising RLIMIT_MEMLOCK: `tests/bench/memlock.c`.
        let preload = std::env::var("OCINIT_TEST_PRELOAD").ok().map(|library| ("LD_PRELOAD".to_string(), library));
        let version = Command::new(&path).arg("--version").output().map_err(|why| format!("{from}: {why}"))?;
        let words = String::from_utf8_lossy(&version.stdout).into_owned();
        let name = words.split_whitespace().next().ok_or(format!("{from} --version says nothing"))?;
        Ok(Runtime { name: name.to_string(), path, refused, environment: preload.into_iter().collect(), caller: Caller::Root })
    }

    /// The same, called by somebody else.
    pub fn called_by(&self, caller: Caller) -> Runtime {
        let mut runtime = self.clone();
        runtime.environment.extend(caller.environment());
        runtime.caller = caller;
        runtime
    }

    /// The same without a defence, where it was built so that tests can take it away.
    pub fn without_defence(&self, defence: &str) -> Runtime {
        let mut runtime = self.clone();
        runtime.environment.push(("OCINIT_UNDEFENDED".to_string(), defence.to_string()));
        runtime
    }

    /// The config that the runtime's own `spec` writes.
    pub fn spec(&self) -> Outcome<String> {
        let folder = format!("{FOLDER}/spec");
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).map_err(|why| format!("{folder}: {why}"))?;
        let result = Command::new(&self.path).arg("spec").current_dir(&folder).output().map_err(|why| why.to_string())?;
        if !result.status.success() {
            return Err(format!("spec failed: {}", String::from_utf8_lossy(&result.stderr)));
        }
        Ok(read(format!("{folder}/config.json")))
    }

    /// Why a need of a case is not met, if it is not.
    pub fn lacks(&self, need: &str) -> Option<String> {
        if let Some(right) = self.caller.user().and_then(|_| right_of_root(need, self.caller)) {
            return Some(format!("needs root: {right}"));
        }
        let is_met = match need {
            "cgroup-controllers" => ["memory", "pids", "cpu"].iter().all(|name| read("/sys/fs/cgroup/cgroup.controllers").contains(name)),
            "cgroup-v1" => crate::world::layout() == "v1",
            "cgroup-v2" => crate::world::layout() != "v1",
            "hybrid" => crate::world::layout() == "hybrid",
            "cap_sys_resource" => has_capability(24),
            "images" => {
                ["/usr/bin/mksquashfs", "/usr/bin/mkfs.erofs", "/usr/bin/openssl", "/dev/loop-control"]
                    .iter()
                    .all(|path| Path::new(path).exists())
                    && ["squashfs", "erofs", "overlay"].iter().all(|name| read("/proc/filesystems").contains(name))
            }
            "modules" => Path::new("/modules").exists(),
            "64-bit" => cfg!(target_pointer_width = "64"),
            // Some ARM kernels have neither.
            "time-namespace" => Path::new("/proc/self/ns/time").exists(),
            "huge-pages" => Path::new("/sys/kernel/mm/hugepages/hugepages-2048kB").exists(),
            "numa" => Path::new("/proc/self/numa_maps").exists(),
            "veth" => has_veth(),
            "no-resctrl" => !read("/proc/self/mountinfo").contains(" - resctrl "),
            "keys" => Path::new("/proc/keys").exists(),
            "apparmor" => has_apparmor(),
            "no-apparmor" => !has_apparmor(),
            "selinux" => Path::new("/sys/fs/selinux/enforce").exists(),
            "no-selinux" => !Path::new("/sys/fs/selinux/enforce").exists(),
            "ordinary-user" => self.caller != Caller::Root,
            "alone" => self.caller == Caller::Alone,
            "ranges" => self.caller == Caller::Ranges,
            "whole-machine" => crate::is_virtual_machine(),
            "initramfs" => read("/proc/self/mountinfo").lines().any(|line| line.contains(" - rootfs ")),
            // A tmpfs, where the tests lie, can be id-mapped.
            "linux-6.3" => is_kernel_at_least(6, 3),
            _ => return Some(format!("needs {need}, which nobody knows")),
        };
        let name = match need {
            "ordinary-user" | "alone" | "ranges" => "an ordinary user of that kind (tests/containers/rootless)",
            need => need,
        };
        (!is_met).then(|| format!("needs {name}"))
    }
}

/// What of root's rights a need is, which this caller has not.
fn right_of_root(need: &str, caller: Caller) -> Option<&'static str> {
    Some(match need {
        "cgroup-controllers" if caller == Caller::Alone => "a cgroup with controllers",
        "cgroup-v1" | "hybrid" => "cgroup v1, which is not delegated",
        "cap_sys_resource" => "CAP_SYS_RESOURCE",
        "images" => "loop devices",
        "veth" => "network interfaces of the host",
        _ => return None,
    })
}

/// Whether virtual network interfaces can be made, in a namespace of their own.
fn has_veth() -> bool {
    let busybox = format!("{FOLDER}/busybox");
    let arguments = ["unshare", "-n", &busybox, "ip", "link", "add", "oc0", "type", "veth"];
    Command::new(&busybox).args(arguments).output().is_ok_and(|output| output.status.success())
}

fn has_apparmor() -> bool {
    read("/sys/module/apparmor/parameters/enabled").starts_with('Y')
}

fn is_kernel_at_least(major: u32, minor: u32) -> bool {
    let release = read("/proc/sys/kernel/osrelease");
    let mut numbers = release.split(['.', '-']).map(|number| number.parse::<u32>().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) >= (major, minor)
}

fn has_capability(number: u32) -> bool {
    let status = read("/proc/self/status");
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:")).unwrap_or_default();
    u64::from_str_radix(effective.trim(), 16).is_ok_and(|set| set >> number & 1 == 1)
}
