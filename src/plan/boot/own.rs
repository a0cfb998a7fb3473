//! The services that boot.json itself adds: commands, file systems to mount, the writer of logs.

use super::{Draft, Kind, LogFiles, Mount, Result, Task, Work, arguments, c_str, words, written};
use crate::mem::List;
use crate::plan::mounts::Commas;

/// The id of the command that says that the boot is good.
const ON_READY: &str = "on-ready";

impl<'a> Work<'_, '_, 'a> {
    /// What is run once all is good: a command, or a bundle that waits for it.
    pub(super) fn judge(&mut self) -> Result<()> {
        let file = &self.input.file;
        let stable_ms = words::time_or("stable", file.stable, 1).unwrap_or_else(|(key, why)| {
            (self.tell)("", format_args!("{key} {why}"));
            1
        });
        let first = file.on_ready.iter().next().copied().unwrap_or_default();
        let id = match first.strip_prefix("start:") {
            Some(id) if self.keys.get(id).is_none() => {
                (self.tell)("", format_args!("on-ready {first}: there is no such bundle"));
                return Ok(());
            }
            Some(id) => id,
            None if first.is_empty() => {
                if !file.ready_timeout.is_empty() {
                    (self.tell)("", format_args!("ready-timeout wants a command in `on-ready`"));
                }
                return Ok(());
            }
            None => {
                self.program((ON_READY, 0), file.on_ready, "")?;
                ON_READY
            }
        };
        self.on_ready = (id, stable_ms.max(1));
        Ok(())
    }

    /// A command of boot.json as a service of its own.
    pub(super) fn program(&mut self, (name, index): (&str, usize), args: List<'a, &'a str>, tty: &'a str) -> Result<()> {
        let id = if index == 0 { self.arena.format(format_args!("{name}"))? } else { self.arena.format(format_args!("{name}-{index}"))? };
        let mut words = args;
        if words.is_empty() {
            words.push(self.arena, "/bin/sh")?;
        }
        let is_once = name == ON_READY;
        let tty = match (is_once, tty) {
            (true, _) => None,
            (false, "") => Some(c"/dev/console"),
            (false, tty) => Some(c_str(tty, self.arena)?),
        };
        let mut bundle = written::Bundle {
            id,
            restart: if is_once { "no" } else { "always" },
            limit: Some(0),
            stop_signal: "SIGHUP",
            ..Default::default()
        };
        bundle.delay = "1s";
        let kind = if is_once { Kind::Oneshot } else { Kind::Service };
        let task = Task::Program(arguments(words, self.arena)?, tty);
        self.push(Draft { bundle, task, kind, is_early: false, stop_signal: "", sources: List::default() })
    }

    pub(super) fn log_files(&mut self, files: &written::LogFiles<'a>) -> Result<()> {
        const FILE_BYTES: u32 = 256 << 10;
        let bundle = written::Bundle { id: "log-files", restart: "always", limit: Some(0), delay: "1s", ..Default::default() };
        let mut sources = List::default();
        sources.push(self.arena, files.directory)?;
        let task = match words::size_or("size", files.size, FILE_BYTES) {
            Ok(bytes) if files.directory.starts_with('/') => {
                Task::LogFiles(self.arena.put(LogFiles { directory: files.directory, bytes, count: files.count.unwrap_or(4).max(1) })?)
            }
            Ok(_) => Task::Broken("directory wants an absolute path"),
            Err((key, why)) => Task::Broken(self.arena.format(format_args!("{key} {why}"))?),
        };
        self.push(Draft { bundle, task, kind: Kind::Service, is_early: false, stop_signal: "", sources })
    }

    pub(super) fn mount(&mut self, mount: &written::Mount<'a>) -> Result<()> {
        let name = self.arena.bytes(mount.target.trim_matches('/').as_bytes())?;
        for byte in name.iter_mut().filter(|byte| **byte == b'/') {
            *byte = b'-';
        }
        let id = self.arena.format(format_args!("mount-{}", core::str::from_utf8(name).unwrap_or_default()))?;
        let bundle =
            written::Bundle { id, start_timeout: if mount.timeout.is_empty() { "60s" } else { mount.timeout }, ..Default::default() };
        let task = match self.mount_task(mount)? {
            Ok(task) => task,
            Err((key, why)) => Task::Broken(self.arena.format(format_args!("{key} {why}"))?),
        };
        let mut sources = List::default();
        sources.push(self.arena, mount.source)?;
        self.push(Draft { bundle, task, kind: Kind::Oneshot, is_early: false, stop_signal: "", sources })
    }

    fn mount_task(&mut self, mount: &written::Mount<'a>) -> Result<core::result::Result<Task<'a>, words::Misfit>> {
        let arena = self.arena;
        let (mut flags, mut data) = (0, List::default());
        for option in &mount.options {
            match crate::names::mount_option(option) {
                Some(crate::names::MountOption::Flag { set, clear }) => flags = flags & !clear | set,
                Some(_) => return Ok(Err(("options", "is no option of mount(2) that is known here"))),
                None => data.push(arena, *option)?,
            }
        }
        let wait_for_ms = match words::time_or("wait-for", mount.wait_for, 0) {
            Ok(time) => time,
            Err(misfit) => return Ok(Err(misfit)),
        };
        if mount.target.is_empty() || !mount.target.starts_with('/') || mount.kind.is_empty() {
            return Ok(Err(("mounts", "wants an absolute `target` and a `type`")));
        }
        let optional = |words: List<'a, &'a str>| if words.is_empty() { Ok(None) } else { arguments(words, arena).map(Some) };
        let joined = arena.format(format_args!("{}", Commas(data)))?;
        Ok(Ok(Task::Mount(arena.put(Mount {
            source: c_str(mount.source, arena)?,
            target: c_str(mount.target, arena)?,
            kind: c_str(mount.kind, arena)?,
            flags,
            data: c_str(joined, arena)?,
            wait_for_ms,
            check: optional(mount.check)?,
            format: optional(mount.format)?,
        })?)))
    }
}
