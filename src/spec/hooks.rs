//! `hooks`: programs that run at points of the container's life.

use crate::json::object;
use crate::mem::List;

object! {
    /// The hooks by the point at which they run, in the order in which they run.
    Hooks<'a> {
        /// Deprecated; runs right before `createRuntime`.
        "prestart" => prestart: List<'a, Hook<'a>>,
        "createRuntime" => create_runtime: List<'a, Hook<'a>>,
        "createContainer" => create_container: List<'a, Hook<'a>>,
        "startContainer" => start_container: List<'a, Hook<'a>>,
        "poststart" => poststart: List<'a, Hook<'a>>,
        "poststop" => poststop: List<'a, Hook<'a>>,
    }
}

object! {
    /// One program.
    Hook<'a> {
        "path" => path: &'a str,
        "args" => args: List<'a, &'a str>,
        /// Not present, as opposed to empty, means the environment of whoever runs the hook.
        "env" => env: List<'a, &'a str>,
        /// In seconds.
        "timeout" => timeout: Option<i64>,
    }
}
