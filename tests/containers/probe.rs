//! The payload that looks around: everything a process can learn about itself, as one JSON object on standard output.
//!
//! Arguments ask for more: `stat:PATH read:PATH write:PATH list:PATH mkdir:PATH char:PATH:MAJOR:MINOR call:NAME:NUMBER… sleep:MS`, answered in order under `did`.

use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::launch::read;
use crate::sys;

/// Writes the answer.
pub fn run(arguments: &[String]) -> i32 {
    // First, before any file is opened here.
    let fds = descriptors();
    let (hostname, domainname) = sys::host_names();
    let did: Map<String, Value> = arguments.iter().skip(1).map(|request| (request.clone(), answer(request))).collect();
    let about = json!({
        "args": arguments,
        "env": std::env::vars().collect::<std::collections::BTreeMap<_, _>>(),
        "cwd": std::env::current_dir().map_or_else(|why| name_of(&why), |path| path.display().to_string()),
        "umask": format!("{:04o}", sys::umask()),
        "pid": std::process::id(),
        "session": sys::session(),
        "hostname": hostname,
        "domainname": domainname,
        "fds": fds,
        "tty": sys::terminal_size(0).is_some(),
        "size": sys::terminal_size(0).map(|(rows, columns)| json!([rows, columns])),
        "status": status(),
        "dumpable": sys::is_dumpable(),
        "ns": namespaces(),
        "mounts": mounts(&read("/proc/self/mountinfo")),
        "limits": limits(),
        "cgroup": read("/proc/self/cgroup").trim_end(),
        "oom_score_adj": read("/proc/self/oom_score_adj").trim_end(),
        "affinity": status().get("Cpus_allowed_list"),
        "personality": read("/proc/self/personality").trim_end(),
        "scheduler": sys::scheduler(),
        "io_priority": sys::io_priority(),
        "did": did,
    });
    println!("{about}");
    0
}

fn descriptors() -> Map<String, Value> {
    // The list's own descriptor is gone by the time its name is read.
    let names: Vec<_> = fs::read_dir("/proc/self/fd").into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    let targets = names.iter().filter_map(|path| Some((path.file_name()?.to_str()?.to_string(), fs::read_link(path).ok()?)));
    targets.map(|(number, target)| (number, json!(target.display().to_string()))).collect()
}

fn status() -> Map<String, Value> {
    let lines = read("/proc/self/status");
    lines.lines().filter_map(|line| line.split_once(':')).map(|(key, value)| (key.into(), json!(spaced(value)))).collect()
}

fn spaced(value: &str) -> String {
    value.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The namespaces of this process, by their inodes.
pub fn namespaces() -> Map<String, Value> {
    let entries = fs::read_dir("/proc/self/ns").into_iter().flatten().flatten();
    entries.filter_map(|entry| Some((entry.file_name().into_string().ok()?, json!(fs::read_link(entry.path()).ok()?.to_str()?)))).collect()
}

/// What is mounted, by mount point; of several on one point the last, which is the visible one.
fn mounts(mountinfo: &str) -> Map<String, Value> {
    let mut found = Map::new();
    for line in mountinfo.lines() {
        let Some((before, after)) = line.split_once(" - ") else { continue };
        let (before, after): (Vec<&str>, Vec<&str>) = (before.split(' ').collect(), after.split(' ').collect());
        let ([_, _, _, root, target, options, optional @ ..], [kind, source, data, ..]) = (&before[..], &after[..]) else { continue };
        let list = |text: &str| text.split(',').map(str::to_string).collect::<Vec<_>>();
        let about =
            json!({ "root": root, "options": list(options), "propagation": optional, "type": kind, "source": source, "data": list(data) });
        found.insert(target.to_string(), about);
    }
    found
}

fn limits() -> Map<String, Value> {
    let text = read("/proc/self/limits");
    let rows = text.lines().skip(1).filter(|line| line.len() > 26);
    rows.map(|line| (line[..26].trim().into(), json!(line[26..].split_whitespace().take(2).collect::<Vec<_>>()))).collect()
}

fn answer(request: &str) -> Value {
    let (verb, rest) = request.split_once(':').unwrap_or((request, ""));
    let result = match verb {
        "stat" => stat(rest),
        "read" => contents(rest).map(Value::from),
        "write" => OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(rest)
            .and_then(|mut file| file.write_all(b"1"))
            .map(|()| json!("ok")),
        "list" => fs::read_dir(rest).map(|entries| {
            let mut names: Vec<_> = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
            names.sort();
            json!(names)
        }),
        "mkdir" => fs::create_dir(rest).map(|()| json!("ok")),
        "open" => fs::File::open(rest).map(|_| json!("ok")),
        "char" => character(rest),
        "notify" => notify(rest).map(|()| json!("ok")),
        "barrier" => barrier(),
        "sleep" => {
            std::thread::sleep(Duration::from_millis(rest.parse().unwrap_or(0)));
            Ok(json!("ok"))
        }
        "call" => call(rest),
        _ => Ok(json!("?")),
    };
    result.unwrap_or_else(|why| json!(name_of(&why)))
}

fn contents(path: &str) -> io::Result<String> {
    let mut buffer = [0u8; 4096];
    let length = fs::File::open(path)?.read(&mut buffer)?;
    Ok(String::from_utf8_lossy(&buffer[..length]).into_owned())
}

/// `NAME:ARGUMENT…`: makes a system call with these numbers.
fn call(rest: &str) -> io::Result<Value> {
    let mut parts = rest.split(':');
    let Some(number) = parts.next().and_then(sys::call_number) else { return Ok(json!("?")) };
    let mut arguments = [0; 6];
    for (place, text) in arguments.iter_mut().zip(parts) {
        *place = text.strip_prefix("0x").map_or_else(|| text.parse(), |digits| u64::from_str_radix(digits, 16)).unwrap_or(0);
    }
    sys::call(number, arguments).map(|_| json!("ok"))
}

/// Says something to whoever listens at NOTIFY_SOCKET; `|` stands for a line's end.
fn notify(text: &str) -> io::Result<()> {
    let address = std::env::var("NOTIFY_SOCKET").unwrap_or_default();
    UnixDatagram::unbound()?.send_to(text.replace('|', "\n").as_bytes(), address).map(|_| ())
}

/// Sends BARRIER=1 with a pipe, and waits until its other end is closed everywhere.
fn barrier() -> io::Result<Value> {
    let address = std::env::var("NOTIFY_SOCKET").unwrap_or_default();
    let socket = UnixDatagram::unbound()?;
    socket.connect(address)?;
    Ok(json!(if sys::barrier(&socket)? { "ok" } else { "nobody answered" }))
}

/// Makes a device node and opens it.
fn character(rest: &str) -> io::Result<Value> {
    let parts: Vec<&str> = rest.split(':').collect();
    let [path, major, minor] = parts[..] else { return Ok(json!("?")) };
    let (major, minor) = (major.parse().unwrap_or(0), minor.parse().unwrap_or(0));
    if sys::make_node(path, libc::S_IFCHR | 0o666, major, minor).is_err() {
        return Ok(json!(format!("mknod {}", name_of(&io::Error::last_os_error()))));
    }
    Ok(json!(fs::File::open(path).map_or_else(|why| format!("open {}", name_of(&why)), |_| "ok".into())))
}

fn stat(path: &str) -> io::Result<Value> {
    let about = fs::symlink_metadata(path)?;
    let kind = about.file_type();
    let kinds = [
        (kind.is_char_device(), "c"),
        (kind.is_block_device(), "b"),
        (kind.is_fifo(), "p"),
        (kind.is_symlink(), "l"),
        (kind.is_dir(), "d"),
    ];
    Ok(json!({
        "type": kinds.iter().find(|(holds, _)| *holds).map_or("f", |(_, letter)| letter),
        "mode": format!("{:04o}", about.mode() & 0o7777),
        "device": format!("{}:{}", libc::major(about.rdev()), libc::minor(about.rdev())),
        "owner": format!("{}:{}", about.uid(), about.gid()),
        "size": about.size(),
        "link": fs::read_link(path).map(|link| link.display().to_string()).unwrap_or_default(),
    }))
}

/// An error by the name that the manual pages give it, where tests ask for it.
fn name_of(why: &io::Error) -> String {
    let name = match why.raw_os_error() {
        Some(libc::EPERM) => "EPERM",
        Some(libc::ENOENT) => "ENOENT",
        Some(libc::EACCES) => "EACCES",
        Some(libc::EROFS) => "EROFS",
        Some(libc::EEXIST) => "EEXIST",
        Some(libc::ENXIO) => "ENXIO",
        Some(libc::EIO) => "EIO",
        Some(libc::ENOTDIR) => "ENOTDIR",
        Some(libc::ENOSYS) => "ENOSYS",
        Some(libc::EBADF) => "EBADF",
        Some(libc::EINVAL) => "EINVAL",
        Some(libc::ESRCH) => "ESRCH",
        Some(libc::EFAULT) => "EFAULT",
        _ => return why.to_string(),
    };
    name.into()
}
