//! config.json from an image's configuration (image-spec, conversion.md), with defaults that take away rather than give.

use serde_json::{Map, Value, json};

use crate::tree::Tree;
use crate::{Result, text};

/// What the command line says about it.
pub struct Choices {
    pub name: String,
    pub capabilities: Vec<String>,
    pub is_read_only: bool,
    pub has_host_network: bool,
    /// A seccomp profile in config.json's own form.
    pub seccomp: Option<Value>,
    /// The program and its arguments, in place of the image's.
    pub arguments: Vec<String>,
}

/// What a service that starts as root and then becomes somebody else needs. Another user gets none.
const CAPABILITIES: [&str; 9] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_NET_BIND_SERVICE",
    "CAP_SETGID",
    "CAP_SETPCAP",
    "CAP_SETUID",
];

const MASKED: [&str; 11] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/firmware",
];

const READ_ONLY: [&str; 5] = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Longer account files are no device's.
const LARGEST_ACCOUNTS: u64 = 1 << 20;

/// The configuration, and the folders that the root file system must have for it.
pub fn make(image: &Value, tree: &Tree, choices: &Choices) -> Result<(Value, Vec<String>)> {
    let given = &image["config"];
    let user = user(given["User"].as_str().unwrap_or_default(), tree)?;
    let cwd = given["WorkingDir"].as_str().filter(|path| path.starts_with('/')).unwrap_or("/");
    let mounts = mounts(given, choices.is_read_only);
    let mut folders: Vec<String> = mounts.iter().filter_map(|mount| mount["destination"].as_str()).map(str::to_string).collect();
    folders.retain(|path| !path.starts_with("/dev/") && !path.starts_with("/sys/"));
    folders.push(cwd.to_string());

    let mut namespaces = vec!["pid", "ipc", "uts", "mount", "cgroup"];
    if !choices.has_host_network {
        namespaces.push("network");
    }
    let mut linux = json!({
        "namespaces": namespaces.iter().map(|kind| json!({ "type": kind })).collect::<Vec<_>>(),
        "resources": { "devices": [{ "allow": false, "access": "rwm" }] },
        "maskedPaths": MASKED,
        "readonlyPaths": READ_ONLY,
    });
    if let Some(profile) = &choices.seccomp {
        linux["seccomp"] = profile.clone();
    }
    let capabilities = capabilities(&user, choices)?;
    let config = json!({
        "ociVersion": "1.0.2",
        "process": {
            "terminal": false,
            "user": user,
            "args": arguments(given, choices)?,
            "env": environment(given)?,
            "cwd": cwd,
            "capabilities": capabilities,
            "rlimits": [{ "type": "RLIMIT_NOFILE", "hard": 1024, "soft": 1024 }],
            "noNewPrivileges": true,
        },
        "root": { "path": "rootfs", "readonly": choices.is_read_only },
        "hostname": choices.name,
        "mounts": mounts,
        "annotations": annotations(image),
        "linux": linux,
    });
    Ok((config, folders))
}

fn words(value: &Value, what: &str) -> Result<Vec<String>> {
    let word = |value: &Value| match value.as_str() {
        Some(word) if !word.contains('\0') => Ok(word.to_string()),
        _ => Err(format!("the image's {what} is no list of texts")),
    };
    match value {
        Value::Null => Ok(Vec::new()),
        Value::Array(list) => list.iter().map(word).collect(),
        _ => Err(format!("the image's {what} is no list of texts")),
    }
}

fn arguments(given: &Value, choices: &Choices) -> Result<Vec<String>> {
    if !choices.arguments.is_empty() {
        return Ok(choices.arguments.clone());
    }
    let mut arguments = words(&given["Entrypoint"], "Entrypoint")?;
    arguments.extend(words(&given["Cmd"], "Cmd")?);
    if arguments.is_empty() {
        return Err("nothing says which program to run: name it after `--`".into());
    }
    Ok(arguments)
}

fn environment(given: &Value) -> Result<Vec<String>> {
    let mut environment = words(&given["Env"], "Env")?;
    if !environment.iter().any(|word| word.starts_with("PATH=")) {
        environment.insert(0, PATH.into());
    }
    Ok(environment)
}

fn capabilities(user: &Value, choices: &Choices) -> Result<Value> {
    let mut names: Vec<String> = Vec::new();
    if user["uid"] == 0 {
        names.extend(CAPABILITIES.map(str::to_string));
    }
    for name in &choices.capabilities {
        let name = name.to_uppercase();
        let name = if name.starts_with("CAP_") { name } else { format!("CAP_{name}") };
        if !name.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_') {
            return Err(format!("--cap {}: is no capability's name", text::shown(name)));
        }
        if !names.contains(&name) {
            names.push(name);
        }
    }
    Ok(if user["uid"] == 0 {
        json!({ "bounding": names, "effective": names, "permitted": names })
    } else {
        // Only the ambient set reaches a program that another user runs.
        json!({ "bounding": names, "effective": names, "permitted": names, "inheritable": names, "ambient": names })
    })
}

fn mounts(given: &Value, is_read_only: bool) -> Vec<Value> {
    let mut mounts = vec![
        json!({ "destination": "/proc", "type": "proc", "source": "proc", "options": ["nosuid", "noexec", "nodev"] }),
        json!({ "destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "strictatime", "mode=755", "size=64k"] }),
        json!({ "destination": "/dev/pts", "type": "devpts", "source": "devpts", "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"] }),
        json!({ "destination": "/dev/shm", "type": "tmpfs", "source": "shm", "options": ["nosuid", "noexec", "nodev", "mode=1777", "size=8m"] }),
        json!({ "destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["nosuid", "noexec", "nodev", "ro"] }),
        json!({ "destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": ["nosuid", "noexec", "nodev", "relatime", "ro"] }),
    ];
    let mut writable: Vec<(String, &str)> = Vec::new();
    if is_read_only {
        writable.extend([("/run".to_string(), "mode=755"), ("/tmp".to_string(), "mode=1777")]);
    }
    let volumes = given["Volumes"].as_object().map(Map::keys).into_iter().flatten();
    let volumes = volumes.filter(|path| path.starts_with('/') && !path.split('/').any(|part| part == "..") && !path.contains('\0'));
    writable.extend(volumes.map(|path| (path.clone(), "mode=755")));
    for (destination, mode) in writable {
        mounts.push(
            json!({ "destination": destination, "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "nodev", mode, "size=16m"] }),
        );
    }
    mounts
}

/// The image's labels and what conversion.md gives a name of its own; the stop signal is what the supervisor sends.
fn annotations(image: &Value) -> Value {
    let given = &image["config"];
    let mut annotations = Map::new();
    for (name, value) in given["Labels"].as_object().into_iter().flatten() {
        if let Some(value) = value.as_str()
            && !name.starts_with("org.ocinit.")
        {
            annotations.insert(name.clone(), value.into());
        }
    }
    let named = [
        ("org.opencontainers.image.os", &image["os"]),
        ("org.opencontainers.image.architecture", &image["architecture"]),
        ("org.opencontainers.image.variant", &image["variant"]),
        ("org.opencontainers.image.created", &image["created"]),
        ("org.opencontainers.image.stopSignal", &given["StopSignal"]),
    ];
    for (name, value) in named {
        if let Some(value) = value.as_str().filter(|value| !value.is_empty()) {
            annotations.insert(name.into(), value.into());
        }
    }
    Value::Object(annotations)
}

/// `user[:group]`, by name or number, looked up in the root file system's own accounts.
fn user(word: &str, tree: &Tree) -> Result<Value> {
    let (user, group) = word.split_once(':').map_or((word, None), |(user, group)| (user, Some(group)));
    let accounts = tree.read("etc/passwd", LARGEST_ACCOUNTS).unwrap_or_default();
    let groups = tree.read("etc/group", LARGEST_ACCOUNTS).unwrap_or_default();
    let user = if user.is_empty() { "0" } else { user };
    let row = accounts.lines().map(fields).find(|row| row.len() >= 4 && (row[0] == user || row[2] == user));
    let uid: u32 = match (&row, user.parse()) {
        (_, Ok(number)) => number,
        (Some(row), Err(_)) => row[2].parse().map_err(|_| format!("/etc/passwd of the image: {} has no number", text::shown(user)))?,
        (None, Err(_)) => return Err(format!("the image's user {} is not in its /etc/passwd", text::shown(user))),
    };
    let gid: u32 = match group.filter(|group| !group.is_empty()) {
        None => row.as_ref().and_then(|row| row[3].parse().ok()).unwrap_or(0),
        Some(group) => match group.parse() {
            Ok(number) => number,
            Err(_) => groups
                .lines()
                .map(fields)
                .find(|row| row.len() >= 3 && row[0] == group)
                .and_then(|row| row[2].parse().ok())
                .ok_or_else(|| format!("the image's group {} is not in its /etc/group", text::shown(group)))?,
        },
    };
    let mut made = json!({ "uid": uid, "gid": gid });
    // A group that is named replaces those of the account.
    if group.is_none()
        && let Some(row) = row
    {
        let is_member = |fields: &Vec<&str>| fields.len() >= 4 && fields[3].split(',').any(|member| member == row[0]);
        let more: Vec<u32> =
            groups.lines().map(fields).filter(is_member).filter_map(|fields| fields[2].parse().ok()).filter(|id| *id != gid).collect();
        if !more.is_empty() {
            made["additionalGids"] = json!(more);
        }
    }
    Ok(made)
}

fn fields(line: &str) -> Vec<&str> {
    line.split(':').collect()
}
