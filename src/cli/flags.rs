//! Every command and option in one table: the parser works from it and help is printed from it. It must not do anything.

mod row;

use super::built::reduced;

/// What an option is for, if help is to say it.
#[cfg(feature = "help")]
macro_rules! shown {
    ($help:literal) => {
        $help
    };
}
#[cfg(not(feature = "help"))]
macro_rules! shown {
    ($help:literal) => {
        ""
    };
}

/// A row: `option!("name,n=WORD", value, "help")`.
macro_rules! option {
    ($spelling:literal, Switch, $help:literal $(,)?) => {
        OptionRow(concat!("S", $spelling, "\n", shown!($help)))
    };
    ($spelling:literal, Text, $help:literal $(,)?) => {
        OptionRow(concat!("T", $spelling, "\n", shown!($help)))
    };
    ($spelling:literal, Number, $help:literal $(,)?) => {
        OptionRow(concat!("N", $spelling, "\n", shown!($help)))
    };
    ($spelling:literal, Many, $help:literal $(,)?) => {
        OptionRow(concat!("M", $spelling, "\n", shown!($help)))
    };
}

/// A row that help does not show.
macro_rules! hidden {
    ($spelling:literal, $value:ident) => {
        option!($spelling, $value, "")
    };
}

/// A command: what it is called, what it takes, what it is for.
#[derive(Debug)]
pub struct CommandRow {
    /// The word on the command line.
    pub name: &'static str,
    /// What to do. `None`: known from runc and not built yet, or left out of this binary.
    pub verb: Option<Verb>,
    /// The arguments, as the usage line shows them.
    pub arguments: &'static str,
    /// The fewest and the most arguments.
    pub count: (u8, u8),
    /// One line, for the list of commands.
    pub summary: &'static str,
    /// More, for the command's own help; may be empty.
    pub description: &'static str,
    /// Its options, in the order of the help.
    pub options: &'static [OptionRow],
    /// Where options may stand.
    pub order: Order,
    /// The exit status of its failures, but not of its misuse.
    pub failure: u8,
}

/// Which code a command runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is the command of its name")]
pub enum Verb {
    Blame,
    Boot,
    Bundle,
    Chart,
    Top,
    Leave,
    Logs,
    Mounts,
    Service,
    Check,
    Create,
    Delete,
    Events,
    Exec,
    Features,
    Help,
    Kill,
    List,
    Pause,
    Ps,
    Resume,
    Run,
    Seccomp,
    Spec,
    Start,
    State,
    Stats,
    Update,
}

/// Where the options of a command may stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Before, between and after the arguments.
    Anywhere,
    /// Before the first argument only; what follows belongs to somebody else.
    First,
}

/// An option, made by `option!`: a letter for what it takes, its spelling, a line feed, what it is for. An empty help means: accepted, but not
/// shown. The spelling is `name,n=WORD`: the long name, the name in one letter if it has one, and what help calls the value if it takes one.
/// All in one text, because a row then is two fifths as large, and there are more than a hundred.
#[derive(Debug, PartialEq, Eq)]
pub struct OptionRow(&'static str);

/// What an option takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value {
    /// Nothing, or `=true` or `=false`.
    Switch,
    /// A text; the last one counts.
    Text,
    /// An unsigned decimal number of 32 bits; the last one counts.
    Number,
    /// A text, and all of them count.
    Many,
}

/// No command has more options than this: the parser keeps a place for each.
pub const MAX_OPTIONS: usize = 20;

const BUNDLE: OptionRow = option!("bundle,b=DIR", Text, "the bundle's directory (default: the current directory)");
const CONSOLE_SOCKET: OptionRow =
    option!("console-socket=PATH", Text, "send the terminal's master end to this AF_UNIX socket; needed with a terminal when detached");
const PIDFD_SOCKET: OptionRow = option!("pidfd-socket=PATH", Text, "send a pidfd of the container's first process to this AF_UNIX socket");
const PID_FILE: OptionRow = option!("pid-file=FILE", Text, "write the id of the container's first process to this file");
const NO_PIVOT: OptionRow =
    option!("no-pivot", Switch, "enter the root by MS_MOVE instead of pivot_root: for hosts that run from an initramfs");
const NO_NEW_KEYRING: OptionRow = option!("no-new-keyring", Switch, "stay in the caller's session keyring");
const PRESERVE_FDS: OptionRow = option!("preserve-fds=N", Number, "pass on N more file descriptors, after those of LISTEN_FDS");
const DETACH: OptionRow = option!("detach,d", Switch, "return as soon as the process runs");
const NO_SUBREAPER: OptionRow = option!("no-subreaper", Switch, "leave orphans of the container to others to reap");
const FORMAT: OptionRow = option!("format,f=FORMAT", Text, "table or json (default: table)");

/// The option that every command has, without a row of its own.
pub const HELP: OptionRow = option!("help,h", Switch, "show help");

/// What stands before the command.
pub const GLOBAL: &[OptionRow] = &[
    option!("root=DIR", Text, "where the state of containers is kept (default: /run/ocinit, or XDG_RUNTIME_DIR/ocinit when rootless)"),
    option!("log=FILE", Text, "append messages to this file (default: stderr)"),
    option!("log-format=FORMAT", Text, "text or json (default: text)"),
    option!("debug", Switch, "log more"),
    option!("systemd-cgroup", Switch, "let systemd make the cgroups; cgroupsPath is then slice:prefix:name"),
    option!("cgroup-manager=MANAGER", Text, "cgroupfs, systemd or disabled (default: cgroupfs)"),
    option!("device-fallback", Switch, "where the kernel cannot guard devices: no CAP_MKNOD, nodev, only the given nodes"),
    option!("rootless=BOOL", Text, "go on where rights over cgroups are missing: true, false or auto (default: auto)"),
    HELP,
    option!("version,v", Switch, "show the version"),
];

const CREATE: &[OptionRow] = &[
    BUNDLE,
    CONSOLE_SOCKET,
    PIDFD_SOCKET,
    PID_FILE,
    NO_PIVOT,
    NO_NEW_KEYRING,
    PRESERVE_FDS,
    // containerd's library gives it to `create` too, where it means nothing.
    hidden!("detach,d", Switch),
];

const RUN: &[OptionRow] = &[
    BUNDLE,
    CONSOLE_SOCKET,
    PIDFD_SOCKET,
    DETACH,
    option!("keep", Switch, "keep the container's state when its process has ended"),
    PID_FILE,
    NO_SUBREAPER,
    NO_PIVOT,
    NO_NEW_KEYRING,
    PRESERVE_FDS,
];

const EXEC: &[OptionRow] = &[
    CONSOLE_SOCKET,
    PIDFD_SOCKET,
    option!("cwd=DIR", Text, "the directory to start in"),
    option!("env,e=NAME=VALUE", Many, "set a variable of the environment"),
    option!("tty,t", Switch, "give the process a terminal"),
    option!("user,u=UID[:GID]", Text, "the user and group to run as: numbers, or names of the container's /etc/passwd and /etc/group"),
    option!("additional-gids,g=GID", Many, "one more group"),
    option!("process,p=FILE", Text, "take the process object from this file; other options about the process then do not count"),
    DETACH,
    PID_FILE,
    option!("process-label=LABEL", Text, "the SELinux label of the process"),
    option!("apparmor=PROFILE", Text, "the AppArmor profile of the process"),
    option!("no-new-privs", Switch, "set no_new_privs"),
    option!("cap,c=CAP", Many, "one more capability"),
    PRESERVE_FDS,
    option!("cgroup=PATH", Text, "join this cgroup below the container's own"),
    option!("ignore-paused", Switch, "start even if the container is paused"),
];

const UPDATE: &[OptionRow] = &[
    option!(
        "resources,r=FILE",
        Text,
        "take the resources object from this file, or from stdin if it is `-`; other options then do not count",
    ),
    option!("blkio-weight=N", Text, "share of block I/O, 10 to 1000"),
    option!("cpu-period=USEC", Text, "length of the period that the quota is for"),
    option!("cpu-quota=USEC", Text, "CPU time allowed in a period"),
    option!("cpu-burst=USEC", Text, "unused quota that may be saved up"),
    option!("cpu-share=N", Text, "share of CPU time against other containers"),
    option!("cpu-rt-period=USEC", Text, "length of the real-time period"),
    option!("cpu-rt-runtime=USEC", Text, "real-time CPU time allowed in a period"),
    option!("cpuset-cpus=LIST", Text, "CPUs to run on"),
    option!("cpuset-mems=LIST", Text, "memory nodes to use"),
    option!("cpu-idle=0|1", Text, "whether to run only on idle CPUs"),
    option!("memory=BYTES", Text, "limit of memory, -1 for none"),
    option!("memory-reservation=BYTES", Text, "memory that is protected from reclaim"),
    option!("memory-swap=BYTES", Text, "limit of memory and swap together, -1 for none"),
    option!("pids-limit=N", Text, "limit of processes and threads, -1 for none"),
    option!("l3-cache-schema=SCHEMA", Text, "Intel RDT: L3 cache"),
    option!("mem-bw-schema=SCHEMA", Text, "Intel RDT: memory bandwidth"),
    hidden!("kernel-memory=BYTES", Text),
    hidden!("kernel-memory-tcp=BYTES", Text),
];

const IMAGE_PATH: OptionRow = option!("image-path=DIR", Text, "where the image files lie (default: checkpoint)");
const WORK_PATH: OptionRow = option!("work-path=DIR", Text, "where criu keeps its work files and logs");
const TCP_ESTABLISHED: OptionRow = option!("tcp-established", Switch, "allow open TCP connections");
const EXT_UNIX_SK: OptionRow = option!("ext-unix-sk", Switch, "allow UNIX sockets to the outside");
const SHELL_JOB: OptionRow = option!("shell-job", Switch, "allow jobs of a shell");
const FILE_LOCKS: OptionRow = option!("file-locks", Switch, "allow file locks");
const LAZY_PAGES: OptionRow = option!("lazy-pages", Switch, "fetch memory when it is touched");
const CGROUPS_MODE: OptionRow = option!("manage-cgroups-mode=MODE", Text, "soft, full, strict or ignore (default: soft)");
const EMPTY_NS: OptionRow = option!("empty-ns=NAMESPACE", Many, "make this namespace, but leave it empty");
const AUTO_DEDUP: OptionRow = option!("auto-dedup", Switch, "remove duplicate memory pages from the images");

const CHECKPOINT: &[OptionRow] = &[
    IMAGE_PATH,
    WORK_PATH,
    option!("parent-path=DIR", Text, "earlier images to add to, relative to the image path"),
    option!("leave-running", Switch, "let the container go on"),
    TCP_ESTABLISHED,
    option!("tcp-skip-in-flight", Switch, "leave out connections that are not established yet"),
    option!("link-remap", Switch, "allow files that were unlinked"),
    EXT_UNIX_SK,
    SHELL_JOB,
    LAZY_PAGES,
    option!("status-fd=FD", Text, "write a NUL to this descriptor when lazy pages can be served"),
    option!("page-server=ADDRESS:PORT", Text, "send memory to this page server"),
    FILE_LOCKS,
    option!("pre-dump", Switch, "save memory only and let the container go on"),
    CGROUPS_MODE,
    EMPTY_NS,
    AUTO_DEDUP,
];

const RESTORE: &[OptionRow] = &[
    CONSOLE_SOCKET,
    IMAGE_PATH,
    WORK_PATH,
    TCP_ESTABLISHED,
    EXT_UNIX_SK,
    SHELL_JOB,
    FILE_LOCKS,
    CGROUPS_MODE,
    BUNDLE,
    DETACH,
    PID_FILE,
    NO_SUBREAPER,
    NO_PIVOT,
    EMPTY_NS,
    AUTO_DEDUP,
    LAZY_PAGES,
    option!("lsm-profile=TYPE:NAME", Text, "the security profile to restore with"),
    option!("lsm-mount-context=CONTEXT", Text, "the mount label to restore with"),
];

/// What most rows have; each row says only what differs.
pub(super) const PLAIN: CommandRow = CommandRow {
    name: "",
    verb: None,
    arguments: "<container-id>",
    count: (1, 1),
    summary: "",
    description: "",
    options: &[],
    order: Order::Anywhere,
    failure: 1,
};

/// All commands, in the order in which help lists them.
pub const COMMANDS: &[CommandRow] = &reduced([
    CommandRow {
        name: "blame",
        verb: Some(Verb::Blame),
        arguments: "",
        count: (0, 0),
        summary: "list what was booted by the time that it took",
        ..PLAIN
    },
    CommandRow {
        name: "boot",
        verb: Some(Verb::Boot),
        arguments: "[file|directory]",
        count: (0, 1),
        summary: "start a device's bundles and keep them running",
        description: "Without an argument it reads /etc/ocinit/boot.json, and the bundles in /etc/ocinit/bundles, else in /containers.\n   \
            The argument is another boot.json or directory of bundles, or with --check and --dry-run the root of a device's files.",
        options: &[
            option!("check", Switch, "only say what is wrong; needs no rights"),
            option!("dry-run", Switch, "only say what is wrong, and what would be started in which order"),
            // For our own next life.
            hidden!("resume=HOW", Text),
        ],
        ..PLAIN
    },
    CommandRow {
        name: "boot-chart",
        verb: Some(Verb::Chart),
        arguments: "",
        count: (0, 0),
        summary: "draw the boot: when each service was begun, ran and was ready",
        description: "Times are in milliseconds after the start of process 1.",
        options: &[option!("svg", Switch, "as a picture")],
        ..PLAIN
    },
    CommandRow {
        name: "bundle",
        verb: Some(Verb::Bundle),
        arguments: "<action> [name] [directory]",
        count: (1, 3),
        summary: "install new versions of what `boot` runs, and go back",
        description: "list [name]; install name directory (config.json, images, signatures); rollback name; remove name.\n   \
            A new version is on trial from its next start on: if it is not ready for `stable` of boot.json, the one before is\n   \
            started again. What runs goes on until then, or until `service restart`.",
        options: &[option!("data=DIR", Text, "where bundles are installed (default: that of boot.json, else /var/lib/ocinit)")],
        ..PLAIN
    },
    CommandRow {
        name: "check",
        verb: Some(Verb::Check),
        arguments: "[bundle]",
        count: (0, 1),
        summary: "say what is wrong with a bundle",
        description: "Reads the config.json of the bundle, of the current directory if none is given, and prints every problem that\n   \
            can be found without running it. It needs no rights. The exit status is 1 if there is a problem.",
        ..PLAIN
    },
    CommandRow { name: "checkpoint", summary: "save the state of a running container to files", options: CHECKPOINT, ..PLAIN },
    CommandRow {
        name: "create",
        verb: Some(Verb::Create),
        summary: "create a container",
        description: "Makes the container that the bundle describes and everything around its process, which then waits for `start`.\n   \
            The id is yours to choose; no other container below the same root may have it.",
        options: CREATE,
        ..PLAIN
    },
    CommandRow {
        name: "delete",
        verb: Some(Verb::Delete),
        summary: "delete what is left of a container",
        description: "Removes the cgroup and the state of a container that has stopped, or that was created and never started.",
        options: &[option!("force,f", Switch, "kill the container first if it runs; no error if there is none")],
        ..PLAIN
    },
    CommandRow {
        name: "events",
        verb: Some(Verb::Events),
        summary: "print figures and events of a container",
        description: "One JSON object a line: figures at each interval, and processes that were killed for want of memory, until it ends.",
        options: &[
            option!("interval=DURATION", Text, "time between two lines of figures (default: 5s)"),
            option!("stats", Switch, "print the figures once"),
        ],
        ..PLAIN
    },
    CommandRow {
        name: "exec",
        verb: Some(Verb::Exec),
        arguments: "<container-id> <command> [arguments...]",
        count: (1, u8::MAX),
        summary: "run one more process in a container",
        description: "Options stand before the id: what follows it belongs to the command. What is not said is as in the container's config.json.\n   \
            The exit status is the process's, or 255 if it could not be started.",
        options: EXEC,
        order: Order::First,
        failure: 255,
    },
    CommandRow {
        name: "features",
        verb: Some(Verb::Features),
        arguments: "",
        count: (0, 0),
        summary: "print what this runtime can do, as JSON",
        description: "The format is that of the runtime specification's features.md.",
        ..PLAIN
    },
    CommandRow {
        name: "halt",
        verb: Some(Verb::Leave),
        arguments: "",
        count: (0, 0),
        summary: "stop everything and halt the machine that `boot` runs",
        ..PLAIN
    },
    CommandRow {
        name: "help",
        verb: Some(Verb::Help),
        arguments: "[command]",
        count: (0, u8::MAX),
        summary: "show help, also for one command",
        ..PLAIN
    },
    CommandRow {
        name: "kill",
        verb: Some(Verb::Kill),
        arguments: "<container-id> [signal]",
        count: (1, 2),
        summary: "send a signal to the first process of a container",
        description: "The signal is a number or a name, with or without SIG, in any case (default: SIGTERM).",
        options: &[hidden!("all,a", Switch)],
        ..PLAIN
    },
    CommandRow {
        name: "list",
        verb: Some(Verb::List),
        arguments: "",
        count: (0, 0),
        summary: "list the containers below the root",
        options: &[FORMAT, option!("quiet,q", Switch, "print the ids only")],
        ..PLAIN
    },
    CommandRow {
        name: "logs",
        verb: Some(Verb::Logs),
        arguments: "<service>",
        summary: "print what a service wrote",
        description: "Each line has its time and its priority, as in syslog(3).",
        options: &[option!("follow,f", Switch, "go on with what it writes")],
        ..PLAIN
    },
    CommandRow {
        name: "mounts",
        verb: Some(Verb::Mounts),
        arguments: "<add|remove> <container-id> <file>",
        count: (3, 3),
        summary: "add mounts to a container, or take them away",
        description: "The file holds an array of mounts as in config.json, of which remove reads the destinations only.",
        ..PLAIN
    },
    CommandRow { name: "pause", verb: Some(Verb::Pause), summary: "stop all processes of a container for a while", ..PLAIN },
    CommandRow {
        name: "poweroff",
        verb: Some(Verb::Leave),
        arguments: "",
        count: (0, 0),
        summary: "stop everything and switch the machine off",
        ..PLAIN
    },
    CommandRow {
        name: "ps",
        verb: Some(Verb::Ps),
        arguments: "<container-id> [ps options]",
        count: (1, u8::MAX),
        summary: "list the processes of a container",
        description: "The options are those of ps(1) that choose columns: f, u, l, x and o with a list (default: -ef). No program is called.",
        options: &[FORMAT],
        order: Order::First,
        ..PLAIN
    },
    CommandRow {
        name: "reboot",
        verb: Some(Verb::Leave),
        arguments: "",
        count: (0, 0),
        summary: "stop everything and boot the machine again",
        ..PLAIN
    },
    CommandRow { name: "restore", summary: "bring back a container from a checkpoint", options: RESTORE, ..PLAIN },
    CommandRow { name: "resume", verb: Some(Verb::Resume), summary: "let the processes of a paused container go on", ..PLAIN },
    CommandRow {
        name: "run",
        verb: Some(Verb::Run),
        summary: "create a container and start it",
        description: "Does `create` and `start`, waits until the process has ended, deletes the container and exits with the\n   \
            process's status, or with 128 and the signal's number. With --detach it returns once the process runs.",
        options: RUN,
        ..PLAIN
    },
    CommandRow {
        name: "seccomp",
        verb: Some(Verb::Seccomp),
        arguments: "<compile|show|trace> <bundle|profile|filter>",
        count: (2, 2),
        summary: "compile a seccomp profile, show what a filter does, or find out which calls a bundle makes",
        description: "compile writes the filter of a bundle, or of a file with a profile, and prints the annotation that pins it.\n   \
            show prints a filter's instructions, or with --call what happens at that call, and which rule says so.\n   \
            trace runs a bundle without its filter and prints a profile that allows the system calls it made; what the\n   \
            container writes goes to standard error, unless the profile goes to a file.",
        options: &[
            option!("output,o=FILE", Text, "where to write the filter or profile (default: standard output)"),
            option!("call=NAME[:ARG...]", Text, "a system call and its arguments, 0 if not given"),
        ],
        ..PLAIN
    },
    CommandRow {
        name: "service",
        verb: Some(Verb::Service),
        arguments: "<action> [service]",
        count: (1, 2),
        summary: "see and change what `boot` runs",
        description: "list, status, start, stop, restart, attach (Ctrl-] leaves), enable and disable (from the next boot on),\n   \
            reload (read boot.json and the bundles again). It waits until the service is where it was to go.",
        ..PLAIN
    },
    CommandRow {
        name: "spec",
        verb: Some(Verb::Spec),
        arguments: "",
        count: (0, 0),
        summary: "write a config.json to start from",
        description: "The container that it describes runs `sh` on a terminal in the root file system at `rootfs`.",
        options: &[BUNDLE, option!("rootless", Switch, "for a user without rights: with a user namespace")],
        ..PLAIN
    },
    CommandRow { name: "start", verb: Some(Verb::Start), summary: "start the process of a created container", ..PLAIN },
    CommandRow { name: "state", verb: Some(Verb::State), summary: "print the state of a container, as JSON", ..PLAIN },
    CommandRow {
        name: "stats",
        verb: Some(Verb::Stats),
        arguments: "[container-id...]",
        count: (0, u8::MAX),
        summary: "print the figures of many containers once",
        description: "One JSON object a line, as `events --stats` prints it; of all that run if none is named.",
        order: Order::First,
        ..PLAIN
    },
    CommandRow {
        name: "top",
        verb: Some(Verb::Top),
        arguments: "",
        count: (0, 0),
        summary: "show processor and memory of what was booted, once a second",
        ..PLAIN
    },
    CommandRow { name: "update", verb: Some(Verb::Update), summary: "change the resource limits of a container", options: UPDATE, ..PLAIN },
]);

/// The command of this name. `h` is `help`.
pub fn command(name: &[u8]) -> Option<&'static CommandRow> {
    let name = if name == b"h" { b"help" } else { name };
    COMMANDS.iter().find(|row| row.name.as_bytes() == name)
}
