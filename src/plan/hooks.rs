//! Hooks: programs that run at points of the container's life, with everything about them prepared, and what they are told on stdin.

use core::ffi::CStr;

use super::c_str;
use super::process::pointers;
use crate::error::Result;
use crate::log::JsonString;
use crate::mem::{Arena, List};
use crate::spec::{self, Config, Entry};
use crate::sys::CPointer;

/// One program.
#[derive(Clone, Copy)]
pub struct Hook<'a> {
    /// What is executed, as the namespace sees it that the hook runs in.
    pub path: &'a CStr,
    /// argv, ended by NULL.
    pub argv: &'a [CPointer<'a>],
    /// The environment, ended by NULL; `None` for that of whoever runs the hook.
    pub environment: Option<&'a [CPointer<'a>]>,
    /// How long it may take.
    pub timeout_seconds: Option<u64>,
}

/// What every hook reads: the container's state as JSON, but for the status and the pid, which stand between the two.
#[derive(Clone, Copy, Default)]
pub struct About<'a> {
    /// Up to the opening quote of the status.
    pub head: &'a str,
    /// From the comma behind the pid on.
    pub tail: &'a str,
}

/// The hooks of a creation.
#[derive(Default)]
pub struct Hooks<'a> {
    /// Whether the parent has any to run while the child waits.
    pub has_runtime_hooks: bool,
    /// Those that the child runs before it enters the root.
    pub create_container: List<'a, Hook<'a>>,
    /// Those that the child runs before it becomes the program.
    pub start_container: List<'a, Hook<'a>>,
    /// What they read.
    pub about: About<'a>,
}

pub(super) fn build<'a>(config: &Config<'a>, id: &str, bundle: &str, arena: &Arena<'a>) -> Result<'a, Hooks<'a>> {
    let Some(hooks) = &config.hooks else { return Ok(Hooks::default()) };
    Ok(Hooks {
        has_runtime_hooks: !hooks.prestart.is_empty() || !hooks.create_runtime.is_empty(),
        create_container: list(&hooks.create_container, arena)?,
        start_container: list(&hooks.start_container, arena)?,
        about: about(id, bundle, &config.annotations, arena)?,
    })
}

/// Prepares the hooks of one point.
pub fn list<'a>(written: &List<'a, spec::Hook<'a>>, arena: &Arena<'a>) -> Result<'a, List<'a, Hook<'a>>> {
    let mut made = List::default();
    for hook in written {
        let mut args = hook.args;
        if args.is_empty() {
            args.push(arena, hook.path)?;
        }
        made.push(
            arena,
            Hook {
                path: c_str(hook.path, arena)?,
                argv: pointers(&args, arena)?,
                environment: if hook.env.is_present() { Some(pointers(&hook.env, arena)?) } else { None },
                timeout_seconds: hook.timeout.and_then(|seconds| u64::try_from(seconds).ok()),
            },
        )?;
    }
    Ok(made)
}

/// The state of the container as the specification has it, without a line's end, as Go writes it.
pub fn about<'a>(id: &str, bundle: &str, annotations: &List<'a, Entry<'a, &'a str>>, arena: &Arena<'a>) -> Result<'a, About<'a>> {
    struct Annotations<'l, 'a>(&'l List<'a, Entry<'a, &'a str>>);
    impl core::fmt::Display for Annotations<'_, '_> {
        fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
            let mut before = ",\"annotations\":{";
            for entry in self.0 {
                write!(f, "{before}{}:{}", JsonString(entry.key), JsonString(entry.value))?;
                before = ",";
            }
            f.write_str(if self.0.is_empty() { "}" } else { "}}" })
        }
    }
    Ok(About {
        head: arena.format(format_args!("{{\"ociVersion\":\"{}\",\"id\":{},\"status\":\"", spec::VERSION, JsonString(id)))?,
        tail: arena.format(format_args!(",\"bundle\":{}{}", JsonString(bundle), Annotations(annotations)))?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::mem::MaybeUninit;

    #[test]
    fn what_a_hook_reads_is_one_line_of_json_without_escaped_slashes() {
        let mut room = vec![MaybeUninit::uninit(); 4096];
        let arena = Arena::new(&mut room);
        let mut annotations = List::default();
        let plain = about("c1", "/b", &annotations, &arena).unwrap();
        let text = |about: About<'_>| format!("{}creating\",\"pid\":7{}", about.head, about.tail);
        assert_eq!(text(plain), r#"{"ociVersion":"1.3.0","id":"c1","status":"creating","pid":7,"bundle":"/b"}"#);
        annotations.push(&arena, Entry { key: "a/b", value: "<\"" }).unwrap();
        annotations.push(&arena, Entry { key: "c", value: "" }).unwrap();
        let full = about("c1", "/b", &annotations, &arena).unwrap();
        let tail = r#","bundle":"/b","annotations":{"a/b":"\u003c\"","c":""}}"#;
        assert_eq!(full.tail, tail);
    }

    #[test]
    fn a_hook_without_args_is_called_by_its_path() {
        let mut room = vec![MaybeUninit::uninit(); 4096];
        let arena = Arena::new(&mut room);
        let mut written = List::default();
        written.push(&arena, spec::Hook { path: "/bin/true", env: List::empty(), timeout: Some(3), ..spec::Hook::default() }).unwrap();
        let made = list(&written, &arena).unwrap();
        let hook = made.get(0).unwrap();
        let argv: Vec<_> = hook.argv.iter().filter_map(|word| word.get()).collect();
        assert_eq!((argv, hook.argv.len(), hook.timeout_seconds), (vec![c"/bin/true"], 2, Some(3)));
        assert_eq!(hook.environment.map(<[_]>::len), Some(1));
    }
}
