//! What is fed: the readers of files and messages that others write, each with a corpus of real ones.

use std::ffi::{CStr, CString};
use std::fs;
use std::mem::MaybeUninit;
use std::path::Path;

use crate::host;
use ocinit::mem::{Arena, List};
use ocinit::names::syscalls::{AARCH64, ARM, Family, RISCV64, X86, X86_64};
use ocinit::plan::boot::{self, Found, KernelLine};
use ocinit::plan::exec::Overrides;
use ocinit::plan::{self, Facts, Options};
use ocinit::spec::{self, Config, Resources, Seccomp};
use ocinit::{cli, init, json};

pub struct Target {
    pub name: &'static str,
    pub corpus: fn() -> Vec<Vec<u8>>,
    /// Errors: it contradicts itself.
    pub run: fn(&[u8], &mut Memory) -> Result<(), String>,
}

pub const ALL: [Target; 11] = [
    Target { name: "config", corpus: configs, run: config },
    Target { name: "seccomp", corpus: profiles, run: seccomp },
    Target { name: "filter", corpus: filters, run: filter },
    Target { name: "resources", corpus: resources_files, run: resources },
    Target { name: "state", corpus: states, run: state },
    Target { name: "boot", corpus: boots, run: boot },
    Target { name: "command line", corpus: lines, run: command_line },
    Target { name: "messages", corpus: messages, run: messages_of_services },
    Target { name: "layer", corpus: host::layers, run: host::layer },
    Target { name: "image archive", corpus: host::archives, run: host::image_archive },
    Target { name: "image layout", corpus: host::layouts, run: host::image_layout },
];

/// Room for one input's arena, used again and again.
pub struct Memory(Vec<MaybeUninit<u8>>);

impl Memory {
    pub fn new() -> Memory {
        Memory(vec![MaybeUninit::uninit(); 16 << 20])
    }
}

fn top() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

fn files(folders: &[&str], ending: &str) -> Vec<Vec<u8>> {
    let mut paths: Vec<_> = folders
        .iter()
        .flat_map(|folder| fs::read_dir(top().join(folder)).into_iter().flatten().flatten())
        .map(|entry| entry.path())
        .collect();
    paths.retain(|path| path.to_string_lossy().ends_with(ending));
    paths.sort();
    paths.iter().filter_map(|path| fs::read(path).ok()).collect()
}

// ---- config.json

fn configs() -> Vec<Vec<u8>> {
    let mut found = files(&["tests/configs/good", "tests/configs", "tests/containers"], ".json");
    // What the cases change is config.json in pieces.
    found.extend(files(&["tests/containers/cases"], ".json").into_iter().flat_map(|cases| objects(&cases, b"\"config\":")));
    assert!(found.len() > 100, "the corpus was not found");
    found
}

/// Each object behind a key.
fn objects(text: &[u8], key: &[u8]) -> Vec<Vec<u8>> {
    let starts = (0..text.len().saturating_sub(key.len())).filter(|at| text[*at..].starts_with(key)).map(|at| at + key.len());
    starts.filter_map(|start| object(&text[start..])).collect()
}

fn object(text: &[u8]) -> Option<Vec<u8>> {
    let start = text.iter().position(|byte| *byte == b'{')?;
    let mut depth = 0;
    for (index, byte) in text.iter().enumerate().skip(start) {
        depth += i32::from(*byte == b'{') - i32::from(*byte == b'}');
        if depth == 0 {
            return Some(text[start..=index].to_vec());
        }
    }
    None
}

/// As `check`, `create` and `exec` do it: what was found faultless must become a plan or a sentence.
fn config(text: &[u8], memory: &mut Memory) -> Result<(), String> {
    let room = spec::arena_bytes(text.len()).min(memory.0.len());
    let arena = Arena::new(&mut memory.0[..room]);
    let Ok((config, _)) = json::read::<Config<'_>>(text, &arena) else { return Ok(()) };
    let mut words = String::new();
    plan::check::check(config, &arena, &mut |problem| words += &format!("{problem}\n"));
    if words.contains('\0') {
        return Err(format!("a problem has a NUL: {words:?}"));
    }
    for (maps, cgroups) in [(true, Some("/sys/fs/cgroup")), (false, None)] {
        let facts = Facts {
            user: (u32::from(maps), 0),
            bundle: "/bundle",
            cgroup_mount: cgroups,
            own_cgroup: "/user",
            has_apparmor: true,
            ..Facts::default()
        };
        let options = Options { id: "c1", listen_fds: 2, preserve_fds: 1, is_rootless: maps, ..Options::default() };
        if let Err(error) = plan::build(config, &facts, &options, &arena) {
            words += &format!("{error}");
        }
        let mut overrides = Overrides { args: &[c"true", c"x"], user: Some("1:2"), cwd: "/x", ..Overrides::default() };
        let _ = overrides.capabilities.push(&arena, "CAP_KILL");
        if plan::exec::process(config, &overrides, &arena).is_ok() {
            let _ = plan::exec::build(config, &overrides, &facts, &options, &arena).map_err(|error| words += &format!("{error}"));
        }
    }
    Ok(())
}

// ---- seccomp

fn profiles() -> Vec<Vec<u8>> {
    let mut found = files(&["tests/seccomp/profiles"], ".json");
    found.extend(files(&["tests/containers/cases"], ".json").into_iter().flat_map(|cases| objects(&cases, b"\"seccomp\":")));
    assert!(found.len() > 10, "the corpus was not found");
    found
}

/// What is compiled must be a program that the kernel would take: each jump forwards and inside, and an end that returns.
fn seccomp(text: &[u8], memory: &mut Memory) -> Result<(), String> {
    const FAMILIES: [&Family; 5] = [&X86_64, &X86, &AARCH64, &ARM, &RISCV64];
    let arena = Arena::new(&mut memory.0);
    let Ok((profile, _)) = json::read::<Seccomp<'_>>(text, &arena) else { return Ok(()) };
    for family in FAMILIES {
        if let Ok(program) = plan::seccomp::compile_for(profile, family, &arena) {
            judge(program)?;
        }
    }
    Ok(())
}

fn judge(program: &[u64]) -> Result<(), String> {
    if program.is_empty() || program.len() > 4096 {
        return Err(format!("{} instructions", program.len()));
    }
    for (index, row) in program.iter().enumerate() {
        let bytes = row.to_ne_bytes();
        let (code, jt, jf) = (u16::from_ne_bytes([bytes[0], bytes[1]]), usize::from(bytes[2]), usize::from(bytes[3]));
        let k = u32::from_ne_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]) as usize;
        let left = program.len() - index - 1;
        let is_inside = match code & 7 {
            5 if code & 0xf0 == 0 => k < left,
            5 => jt < left && jf < left,
            6 => true,
            _ => left > 0,
        };
        if !is_inside {
            return Err(format!("instruction {index} of {} leads out: {row:016x}", program.len()));
        }
    }
    Ok(())
}

/// Blobs that were compiled ahead.
fn filters() -> Vec<Vec<u8>> {
    let mut memory = Memory::new();
    let mut found = Vec::new();
    for text in profiles() {
        let arena = Arena::new(&mut memory.0);
        if let Ok((profile, _)) = json::read::<Seccomp<'_>>(&text, &arena)
            && let Ok(program) = plan::seccomp::compile_for(profile, &X86_64, &arena)
        {
            found.push(program.iter().flat_map(|row| row.to_ne_bytes()).collect());
        }
    }
    found
}

fn filter(bytes: &[u8], memory: &mut Memory) -> Result<(), String> {
    let arena = Arena::new(&mut memory.0);
    let _ = plan::seccomp::precompiled(bytes, None, &arena); // the kernel judges what it says
    Ok(())
}

// ---- update

fn resources_files() -> Vec<Vec<u8>> {
    let cases = files(&["tests/containers/cases"], ".json");
    let mut found: Vec<_> = cases.iter().flat_map(|text| objects(text, b"\"resources\":")).collect();
    found.push(br#"{"memory":{"limit":1,"swap":-1,"reservation":5},"cpu":{"shares":2,"quota":-1,"period":100000,"cpus":"0-3,7","burst":5},"pids":{"limit":-1}}"#.to_vec());
    found
}

fn resources(text: &[u8], memory: &mut Memory) -> Result<(), String> {
    let arena = Arena::new(&mut memory.0);
    let Ok((resources, _)) = json::read::<Resources<'_>>(text, &arena) else { return Ok(()) };
    let mut words = String::new();
    plan::check::resources(resources, &mut |problem| words += &format!("{problem}"));
    Ok(())
}

// ---- state.json

fn states() -> Vec<Vec<u8>> {
    vec![
        br#"{"version":"1","id":"c1","pid":4711,"startTime":123456,"bundle":"/b","rootfs":"/b/rootfs","cgroup":"/sys/fs/cgroup/c1","created":"2026-09-01T00:00:00.000000000Z","owner":0,"annotations":{"a":"b"},"hooks":7}"#.to_vec(),
        br#"{"version":"1","id":"","pid":0}"#.to_vec(),
        br#"{"ociVersion":"1.0.2","id":"x","status":"running","pid":1,"bundle":"/x","annotations":null}"#.to_vec(),
    ]
}

fn state(text: &[u8], memory: &mut Memory) -> Result<(), String> {
    let arena = Arena::new(&mut memory.0);
    let _ = json::read::<ocinit::container::state::Record<'_>>(text, &arena);
    Ok(())
}

// ---- boot.json, the annotations and the kernel command line

fn boots() -> Vec<Vec<u8>> {
    let mut found = vec![
        br#"{"services":{"web":{"after":["db:ready","network:eth0","path:/dev/ttyS0"],"restart":"always","restartDelay":"100ms","limit":5,"giveUp":"reboot","stopSignal":"SIGTERM","critical":true,"watchdog":"30s","health":{"args":["/bin/true"],"interval":"1s"}},"db":{"kind":"oneshot"}},"watchdog":{"device":"/dev/watchdog","timeout":"30s"},"log":{"size":"16k"},"shutdown":"20s","target":["web"]}|ocinit.only=web ocinit.skip=db ocinit.log=debug|org.ocinit.boot.after=db"#.to_vec(),
        b"{}||".to_vec(),
    ];
    let schema = fs::read(top().join("docs/boot.schema.json")).unwrap_or_default();
    found.extend(objects(&fs::read(top().join("docs/boot.md")).unwrap_or_default(), b"```json"));
    found.push(schema);
    found
}

/// Parted by `|`: boot.json, the kernel's line, an annotation of each of three bundles that wait for each other.
fn boot(text: &[u8], memory: &mut Memory) -> Result<(), String> {
    let arena = Arena::new(&mut memory.0);
    let mut parts = text.split(|byte| *byte == b'|');
    let file = parts.next().unwrap_or_default();
    let Ok((file, _)) = json::read::<spec::boot::Boot<'_>>(file, &arena) else { return Ok(()) };
    let line = parts.next().and_then(|line| std::str::from_utf8(line).ok()).unwrap_or_default();
    let annotation = parts.next().and_then(|text| std::str::from_utf8(text).ok()).unwrap_or_default();
    let (key, value) = annotation.split_once('=').unwrap_or((annotation, ""));
    let mut found = List::default();
    for (index, id) in ["web", "db", "099-net"].into_iter().enumerate() {
        let mut annotations = List::default();
        annotations.push(&arena, spec::Entry { key, value }).map_err(|_| "full")?;
        let one = Found {
            id,
            path: "/b",
            kind: if index == 2 { boot::Kind::Oneshot } else { boot::Kind::Service },
            is_early: false,
            number: 99,
            annotations,
            sources: List::default(),
            problem: "",
        };
        found.push(&arena, one).map_err(|_| "full")?;
    }
    let input = boot::Input { found, file: *file, line: KernelLine::read(line), disabled: List::default(), left_out: 0 };
    let mut words = String::new();
    if let Ok(made) = boot::build(&input, &arena, &mut |id, what| words += &format!("{id}: {what}\n")) {
        let mut order: Vec<_> = made.order.iter().collect();
        order.sort();
        order.dedup();
        if order.len() != made.services.len() || order.iter().any(|index| usize::from(**index) >= made.services.len()) {
            return Err(format!("{} services, but an order of {}", made.services.len(), order.len()));
        }
    }
    Ok(())
}

// ---- the command line

fn lines() -> Vec<Vec<u8>> {
    let lines = "create --bundle /b --pid-file=/p c1|run -d --preserve-fds 3 -b /x c1|exec -u 1:2 --cap CAP_KILL -e A=b --additional-gids 5 -t c1 sh -c x\
        |kill -a c1 SIGTERM|delete --force c1|list -f json -q|ps -f table c1 -ef|update --memory 1m --cpu-shares 5 -r - c1|events --stats --interval 5s c1\
        |--root /r --log /l --log-format json --systemd-cgroup state c1|seccomp show --call personality:8 /b|spec --rootless -b /x|--version|help run|features\
        |service restart web|logs -f web|boot --check --dry-run|stats c1 c2|check /b";
    lines.split('|').map(|line| format!("ocinit {line}").replace(' ', "\0").into_bytes()).collect()
}

fn command_line(bytes: &[u8], _: &mut Memory) -> Result<(), String> {
    let words: Vec<CString> = bytes.split(|byte| *byte == 0).map(|word| CString::new(word).unwrap_or_default()).collect();
    let argv: Vec<&CStr> = words.iter().map(CString::as_c_str).collect();
    let said = match cli::parse::parse(&argv).request {
        cli::parse::Request::Refused(refusal) => format!("{refusal}"),
        request => format!("{request:?}"),
    };
    if said.is_empty() { Err("refused without a word".into()) } else { Ok(()) }
}

// ---- what services and their masters say

fn messages() -> Vec<Vec<u8>> {
    let all: [&[u8]; 7] = [
        b"READY=1\nSTATUS=up\nMAINPID=5",
        b"WATCHDOG=1",
        b"WATCHDOG=trigger\nEXTEND_TIMEOUT_USEC=5000000",
        b"EXTEND_TIMEOUT_USEC=18446744073709551615",
        b"start web",
        b"logs web",
        b"\0\x01\x02web",
    ];
    all.iter().map(|text| text.to_vec()).collect()
}

fn messages_of_services(bytes: &[u8], _: &mut Memory) -> Result<(), String> {
    init::notify::parse(bytes, &mut |_| {});
    let _ = init::control::parse(bytes);
    Ok(())
}
