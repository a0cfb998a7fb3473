//! The virtual machine's init: a root in memory that can be pivoted from, pure cgroup v2 with all controllers, one job, power off.
//!
//! Must: end the machine whatever happens. The job's output goes to the second serial port, which the host keeps as a file.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::sys::{self, Outcome, Setup};

/// What the kernel's command line calls the second serial port; it is another device on another machine.
const REPORT: &str = "OCINIT_TEST_REPORT";

/// What to run: one argument a line.
const JOB: &str = "/job";

/// Process 1. It returns only when even powering off failed.
pub fn run() -> i32 {
    if let Err(why) = work() {
        eprintln!("init: {why}");
    }
    let _ = sys::power_off();
    1
}

fn work() -> Outcome<()> {
    // The kernel hands on what it does not know on its command line.
    if std::env::var_os("OCINIT_TEST_INITRAMFS").is_none() {
        leave_the_initramfs()?;
    }
    for (source, target, flags) in [("proc", "/proc", 0), ("sysfs", "/sys", 0), ("devtmpfs", "/dev", 0), ("devpts", "/dev/pts", 0)] {
        told(target, fs::create_dir_all(target))?;
        sys::mount(source, target, source, flags, "")?;
    }
    for folder in ["/run", "/tmp", "/root", "/etc"] {
        told(folder, fs::create_dir_all(folder))?;
    }
    told("/tmp", fs::set_permissions("/tmp", fs::Permissions::from_mode(0o1777)))?;
    told("/etc/passwd", fs::write("/etc/passwd", "root:x:0:0:root:/root:/bin/sh\n"))?;
    load_profile()?;
    load_policy()?;
    let cgroups = std::env::var("OCINIT_TEST_CGROUPS").unwrap_or_default();
    mount_cgroups(&cgroups)?;
    let report = std::env::var(REPORT).map_err(|_| format!("the kernel's command line has no {REPORT}"))?;
    let report = told(&report, OpenOptions::new().read(true).write(true).open(&report))?;
    sys::make_raw(&report)?;
    let arguments = told(JOB, fs::read_to_string(JOB))?;
    let again = || told(REPORT, report.try_clone().map(Stdio::from));
    let mut command = Command::new("/containers");
    // glibc's posix_spawn would leave two signals ignored, for everything below; with a set-up the library forks instead.
    sys::set_up(&mut command, Setup::default());
    let status = command
        .args(arguments.lines())
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("OCINIT_TEST_VM", "1")
        .env("OCINIT_TEST_CGROUPS", &cgroups)
        .stdin(Stdio::null())
        .stdout(again()?)
        .stderr(again()?)
        .status();
    println!("init: the job ended with {status:?}");
    Ok(())
}

fn told<T>(name: &str, result: std::io::Result<T>) -> Outcome<T> {
    result.map_err(|why| format!("{name}: {why}"))
}

/// pivot_root gives EINVAL while / is the initramfs, so everything moves to a file system in memory.
fn leave_the_initramfs() -> Outcome<()> {
    told("/new", fs::create_dir_all("/new"))?;
    sys::mount("tmpfs", "/new", "tmpfs", 0, "mode=755")?;
    copy(Path::new("/"), Path::new("/new"))?;
    told("/new", std::env::set_current_dir("/new"))?;
    sys::mount(".", "/", "", libc::MS_MOVE, "")?;
    sys::chroot(".")?;
    told("/", std::env::set_current_dir("/"))
}

fn copy(from: &Path, to: &Path) -> Outcome<()> {
    for entry in told("/", fs::read_dir(from))?.flatten() {
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let name = source.display().to_string();
        let Ok(kind) = entry.file_type() else { continue };
        if kind.is_dir() && name != "/new" {
            told(&name, fs::create_dir(&target))?;
            copy(&source, &target)?;
        } else if kind.is_symlink() {
            told(&name, fs::read_link(&source).and_then(|link| symlink(link, &target)))?;
        } else if kind.is_file() {
            told(&name, fs::copy(&source, &target))?;
            // The initramfs stays in memory below the new root.
            told(&name, fs::remove_file(&source))?;
        }
    }
    Ok(())
}

/// Loads the profile of the label cases where AppArmor is on; a kernel without it has no such cases.
fn load_profile() -> Outcome<()> {
    let Ok(profile) = fs::read("/apparmor") else { return Ok(()) };
    sys::mount("securityfs", "/sys/kernel/security", "securityfs", 0, "")?;
    let file = "/sys/kernel/security/apparmor/.replace";
    if Path::new(file).exists() { told(file, fs::write(file, profile)) } else { Ok(()) }
}

/// Loads the policy where SELinux is on.
fn load_policy() -> Outcome<()> {
    let folder = "/sys/fs/selinux";
    if !Path::new(folder).exists() {
        return Ok(());
    }
    sys::mount("selinuxfs", folder, "selinuxfs", 0, "")?;
    told("/selinux", fs::read("/selinux")).and_then(|policy| told(folder, fs::write("/sys/fs/selinux/load", policy)))
}

/// Pure cgroup v2; or, as systemd has it, `hybrid` with most controllers in cgroup v1, or `v1` alone.
fn mount_cgroups(which: &str) -> Outcome<()> {
    let top = "/sys/fs/cgroup";
    if which.is_empty() {
        sys::mount("cgroup2", top, "cgroup2", 0, "")?;
        return enable_controllers(top);
    }
    sys::mount("tmpfs", top, "tmpfs", 0, "mode=755")?;
    let (is_v1, hybrid) = (which == "v1", ["memory", "cpu,cpuacct", "cpuset"]);
    let all = [&hybrid[..], &["pids", "freezer", "devices", "blkio", "hugetlb"]].concat();
    for controllers in if is_v1 { all } else { hybrid.to_vec() } {
        let folder = format!("{top}/{controllers}");
        told(&folder, fs::create_dir(&folder))?;
        sys::mount("cgroup", &folder, "cgroup", 0, controllers)?;
        for link in controllers.split(',').filter(|name| *name != controllers) {
            told(link, symlink(controllers, format!("{top}/{link}")))?;
        }
    }
    if is_v1 {
        return Ok(());
    }
    let unified = format!("{top}/unified");
    told(&unified, fs::create_dir(&unified))?;
    sys::mount("cgroup2", &unified, "cgroup2", 0, "")?;
    enable_controllers(&unified)
}

fn enable_controllers(top: &str) -> Outcome<()> {
    let root = format!("{top}/cgroup");
    let names = told(&root, fs::read_to_string(format!("{root}.controllers")))?;
    let wanted: Vec<String> = names.split_whitespace().map(|name| format!("+{name}")).collect();
    told(&root, fs::write(format!("{root}.subtree_control"), wanted.join(" ")))
}
