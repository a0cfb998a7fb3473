//! `process`: what runs in the container, and as whom.

use crate::json::object;
use crate::mem::List;

object! {
    /// The container's first process; also the file that `exec --process` reads.
    Process<'a> {
        "terminal" => terminal: bool,
        "consoleSize" => console_size: Option<ConsoleSize>,
        "user" => user: User<'a>,
        "args" => args: List<'a, &'a str>,
        "env" => env: List<'a, &'a str>,
        "cwd" => cwd: &'a str,
        "capabilities" => capabilities: Option<Capabilities<'a>>,
        "rlimits" => rlimits: List<'a, Rlimit<'a>>,
        "noNewPrivileges" => no_new_privileges: bool,
        "apparmorProfile" => apparmor_profile: &'a str,
        "oomScoreAdj" => oom_score_adj: Option<i64>,
        "scheduler" => scheduler: Option<Scheduler<'a>>,
        "selinuxLabel" => selinux_label: &'a str,
        "ioPriority" => io_priority: Option<IoPriority<'a>>,
        "execCPUAffinity" => exec_cpu_affinity: Option<ExecCpuAffinity<'a>>,
        /// Windows only.
        "commandLine" => command_line: &'a str,
    }
}

object! {
    /// The size of the terminal, in characters.
    ConsoleSize {
        "height" => height: u32,
        "width" => width: u32,
    }
}

object! {
    /// The ids of the process, inside the container.
    User<'a> {
        "uid" => uid: u32,
        "gid" => gid: u32,
        "umask" => umask: Option<u32>,
        "additionalGids" => additional_gids: List<'a, u32>,
        /// Windows only.
        "username" => username: &'a str,
    }
}

object! {
    /// The five capability sets, by name.
    Capabilities<'a> {
        "bounding" => bounding: List<'a, &'a str>,
        "effective" => effective: List<'a, &'a str>,
        /// Whether it is present decides what `exec --cap` does to the ambient set.
        "inheritable" => inheritable: List<'a, &'a str>,
        "permitted" => permitted: List<'a, &'a str>,
        "ambient" => ambient: List<'a, &'a str>,
    }
}

object! {
    /// A resource limit, such as `RLIMIT_NOFILE`; its largest value means unlimited.
    Rlimit<'a> {
        "type" => kind: &'a str,
        "hard" => hard: u64,
        "soft" => soft: u64,
    }
}

object! {
    /// Scheduling attributes (sched_setattr(2)); times in nanoseconds.
    Scheduler<'a> {
        "policy" => policy: &'a str,
        "nice" => nice: i64,
        "priority" => priority: i64,
        "flags" => flags: List<'a, &'a str>,
        "runtime" => runtime: u64,
        "deadline" => deadline: u64,
        "period" => period: u64,
    }
}

object! {
    /// The priority of input and output (ioprio_set(2)).
    IoPriority<'a> {
        "class" => class: &'a str,
        "priority" => priority: i64,
    }
}

object! {
    /// The CPUs of a process that `exec` starts, as lists such as `0-3,7`.
    ExecCpuAffinity<'a> {
        /// While it joins the container's cgroup.
        "initial" => initial: &'a str,
        /// When it runs.
        "final" => r#final: &'a str,
    }
}
