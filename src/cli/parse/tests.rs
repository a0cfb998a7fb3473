//! Command lines in, requests out; and the same refused command lines given to the runc of this host.

use std::ffi::{CStr, CString, OsStr};
use std::fmt::Write;
use std::os::unix::ffi::OsStrExt;
use std::process;

use super::*;
use crate::cli::flags::COMMANDS;

/// Splits at spaces, parses, and lets `check` look.
fn with<R>(line: &str, check: impl FnOnce(Parsed<'_>) -> R) -> R {
    let words: Vec<CString> = line.split(' ').map(|word| CString::new(word).unwrap()).collect();
    let argv: Vec<&CStr> = words.iter().map(CString::as_c_str).collect();
    check(parse(&argv))
}

/// The command that the line asks for, as `Debug` prints it, or what happens else.
fn read(line: &str) -> String {
    with(line, |parsed| match parsed.request {
        Request::Command(command) => format!("{command:?}"),
        Request::Help(Topic::Program) => "help".into(),
        Request::Help(Topic::Command(row)) => format!("help {}", row.name),
        Request::Version => "version".into(),
        Request::Refused(refusal) => format!("{}: {refusal}", refusal.status()),
    })
}

const NOTHING: Create<'_> = Create {
    id: "a",
    bundle: None,
    console_socket: None,
    pidfd_socket: None,
    pid_file: None,
    no_pivot: false,
    no_new_keyring: false,
    preserve_fds: 0,
};

fn is(line: &str, expected: &Command<'_>) {
    with(line, |parsed| match parsed.request {
        Request::Command(command) => assert_eq!(command, *expected, "{line}"),
        other => panic!("{line}: {other:?}"),
    });
}

#[test]
fn one_dash_is_as_good_as_two_and_a_value_may_follow_an_equals_sign() {
    for option in ["--bundle /b", "-bundle /b", "--bundle=/b", "-bundle=/b", "-b /b", "--b /b", "-b=/b", "--b=/b"] {
        is(&format!("ocinit create {option} a"), &Command::Create(Create { bundle: Some(c"/b"), ..NOTHING }));
    }
}

#[test]
fn options_stand_before_between_and_after_the_arguments() {
    let expected = Command::Kill { id: "a", signal: 9, all: true };
    for line in ["kill -a a KILL", "kill a -a KILL", "kill a KILL -a", "kill a --all=true 9", "kill --all a sigkill"] {
        is(&format!("ocinit {line}"), &expected);
    }
    is("ocinit delete a --force", &Command::Delete { id: "a", force: true });
}

#[test]
fn switches_take_true_and_false_after_an_equals_sign_only() {
    for (option, force) in [
        ("-f", true),
        ("-f=1", true),
        ("--force=T", true),
        ("--force=TRUE", true),
        ("-f=false", false),
        ("--force=0", false),
        ("-f=F", false),
    ] {
        is(&format!("ocinit delete {option} a"), &Command::Delete { id: "a", force });
    }
    assert_eq!(read("ocinit delete -f true"), r#"Delete { id: "true", force: true }"#);
}

#[test]
fn the_last_of_two_values_counts() {
    is("ocinit create -b /x a --bundle /y", &Command::Create(Create { bundle: Some(c"/y"), ..NOTHING }));
    is("ocinit delete -f a --force=false", &Command::Delete { id: "a", force: false });
}

#[test]
fn two_dashes_end_the_options() {
    is("ocinit delete -- --force", &Command::Delete { id: "--force", force: false });
    is("ocinit delete -f -- a", &Command::Delete { id: "a", force: true });
    is("ocinit -- list --", &Command::List { format: ListFormat::Table, quiet: false });
}

#[test]
fn a_value_may_look_like_an_option_and_may_be_empty() {
    is("ocinit create --bundle -b a", &Command::Create(Create { bundle: Some(c"-b"), ..NOTHING }));
    is("ocinit create --bundle= a", &Command::Create(NOTHING));
    is("ocinit create --pid-file=a=b a", &Command::Create(Create { pid_file: Some(c"a=b"), ..NOTHING }));
}

#[test]
fn create_takes_what_containerd_and_conmon_give_it() {
    let line = "runc --root /run/r/ns --log /b/log.json --log-format json --systemd-cgroup --debug --rootless=false create --bundle /b \
                --pid-file /p --console-socket /s --pidfd-socket /f --no-pivot --no-new-keyring --detach --preserve-fds 3 a";
    with(line, |parsed| {
        let global = parsed.global;
        assert_eq!((global.root, global.log, global.log_format), (Some(c"/run/r/ns"), Some(c"/b/log.json"), Format::Json));
        assert_eq!((global.debug, global.rootless, global.cgroup_manager), (true, Rootless::False, CgroupManager::Systemd));
        assert_eq!(parsed.program, "runc");
    });
    let create = Create {
        id: "a",
        bundle: Some(c"/b"),
        console_socket: Some(c"/s"),
        pidfd_socket: Some(c"/f"),
        pid_file: Some(c"/p"),
        no_pivot: true,
        no_new_keyring: true,
        preserve_fds: 3,
    };
    is(line, &Command::Create(create));
}

#[test]
fn run_is_create_and_more() {
    let run = Run { create: NOTHING, detach: false, keep: false, no_subreaper: false };
    is("ocinit run a", &Command::Run(run));
    let run = Run { create: Create { no_pivot: true, ..NOTHING }, detach: true, keep: true, no_subreaper: true };
    is("ocinit run -d --keep -no-subreaper a --no-pivot", &Command::Run(run));
}

#[test]
fn the_other_commands_are_read() {
    is("ocinit start a", &Command::Start { id: "a" });
    is("ocinit state a", &Command::State { id: "a" });
    is("ocinit kill a", &Command::Kill { id: "a", signal: 15, all: false });
    is("ocinit list -f json -q", &Command::List { format: ListFormat::Json, quiet: true });
    is("ocinit spec --rootless -b /b", &Command::Spec { bundle: Some(c"/b"), rootless: true });
    is("ocinit features", &Command::Features);
    is("ocinit check", &Command::Check { bundle: None });
    is("ocinit check /b", &Command::Check { bundle: Some(c"/b") });
}

#[test]
fn global_options_have_defaults_and_two_ways_to_name_systemd() {
    with("ocinit list", |parsed| {
        let global = parsed.global;
        assert_eq!((global.root, global.log, global.log_format), (None, None, Format::Text));
        assert_eq!((global.debug, global.rootless, global.cgroup_manager), (false, Rootless::Auto, CgroupManager::Cgroupfs));
    });
    for (options, manager) in [
        ("--cgroup-manager=systemd", CgroupManager::Systemd),
        ("--cgroup-manager disabled", CgroupManager::Disabled),
        ("--systemd-cgroup --cgroup-manager=cgroupfs", CgroupManager::Cgroupfs),
    ] {
        with(&format!("ocinit {options} list"), |parsed| assert_eq!(parsed.global.cgroup_manager, manager, "{options}"));
    }
    assert_eq!(read("ocinit --cgroup-manager=x list"), "1: invalid cgroup-manager: x");
    assert_eq!(read("ocinit --rootless=x list"), "1: invalid rootless value: x");
}

#[test]
fn where_the_log_goes_is_known_even_if_the_command_is_refused() {
    with("ocinit --log /l --log-format json kill", |parsed| {
        assert_eq!((parsed.global.log, parsed.global.log_format), (Some(c"/l"), Format::Json));
        assert!(matches!(parsed.request, Request::Refused(_)));
    });
}

#[test]
fn the_root_directory_is_no_place_for_state() {
    for root in ["/", "//", "/.", "/..", "/a/..", "/a/../../"] {
        assert_eq!(read(&format!("ocinit --root {root} list")), "1: Option --root argument should not be set to /", "{root}");
    }
    for root in ["/a", "/a/../b", ".", "a/.."] {
        assert!(read(&format!("ocinit --root {root} list")).starts_with("List"), "{root}");
    }
}

#[test]
fn help_is_asked_for_in_many_ways() {
    for line in ["ocinit", "ocinit -h", "ocinit --help create", "ocinit help", "ocinit h", "ocinit --debug"] {
        assert_eq!(read(line), "help", "{line}");
    }
    for line in ["ocinit create -h", "ocinit create --help a b c", "ocinit create a -h", "ocinit help create", "ocinit h create x"] {
        assert_eq!(read(line), "help create", "{line}");
    }
    for line in ["ocinit -v", "ocinit --version list", "ocinit -version"] {
        assert_eq!(read(line), "version", "{line}");
    }
    assert_eq!(read("ocinit --help=false features"), "Features");
}

#[test]
fn a_command_that_is_not_built_says_so_however_it_is_called() {
    for name in ["checkpoint", "restore"] {
        let expected = format!("1: ocinit: the command \"{name}\" is not built yet");
        for line in [format!("{name} a"), format!("{name} --help"), format!("help {name}"), format!("{name} --bogus")] {
            assert_eq!(read(&format!("ocinit {line}")), expected, "{line}");
        }
    }
}

#[test]
fn what_follows_the_id_of_exec_belongs_to_the_command_and_options_may_be_repeated() {
    let line =
        [c"ocinit", c"exec", c"-e", c"A=1", c"--tty", c"--env=B=", c"-user", c"", c"-env", c"-x", c"a", c"ls", c"-e", c"--", c"\xff"];
    let Request::Command(Command::Exec(exec)) = parse(&line).request else { panic!("refused") };
    assert_eq!((exec.id, exec.tty, exec.user, exec.no_new_privs), ("a", true, Some(""), None));
    assert_eq!(exec.command, [c"ls", c"-e", c"--", c"\xff"]);
    assert_eq!(exec.env.collect::<Vec<_>>(), ["A=1", "B=", "-x"]);
    assert_eq!(exec.cap.collect::<Vec<_>>(), Vec::<&str>::new());
    assert!(matches!(parse(&[c"ocinit", c"exec", c"-e", c"\xff", c"a", c"ls"]).request, Request::Refused(Refusal::NotText("env"))));
    let Request::Command(Command::Exec(exec)) = parse(&[c"ocinit", c"exec", c"--no-new-privs=false", c"a"]).request else {
        panic!("refused")
    };
    assert_eq!((exec.no_new_privs, exec.command.len()), (Some(false), 0));
}

#[test]
fn bad_values_of_arguments_are_refused() {
    assert_eq!(read("ocinit kill a NOSUCH"), r#"1: unknown signal "NOSUCH""#);
    assert_eq!(read("ocinit kill a -9"), r#"1: unknown signal "-9""#);
    assert_eq!(read("ocinit list -f xml"), "1: invalid format option");
    assert_eq!(read("ocinit --log-format xml list"), "1: invalid log-format: xml");
    assert_eq!(read("ocinit create --preserve-fds -1 a"), r#"1: invalid value "-1" for flag -preserve-fds: parse error"#);
}

#[test]
fn an_id_must_be_text_and_a_path_need_not() {
    assert!(matches!(parse(&[c"ocinit", c"start", c"\xff"]).request, Request::Refused(Refusal::Id)));
    let Request::Command(Command::Create(create)) = parse(&[c"ocinit", c"create", c"-b", c"/\xff", c"a"]).request else {
        panic!("refused")
    };
    assert_eq!(create.bundle, Some(c"/\xff"));
}

#[test]
fn argv_may_be_empty() {
    assert!(matches!(parse(&[]).request, Request::Help(Topic::Program)));
}

#[test]
fn the_table_has_room_and_no_name_twice() {
    for (command, rows) in COMMANDS.iter().map(|row| (row.name, row.options)).chain([("", flags::GLOBAL)]) {
        assert!(rows.len() <= MAX_OPTIONS, "{command}");
        let mut names: Vec<&str> = rows.iter().flat_map(|row| [row.name(), row.short()]).filter(|name| !name.is_empty()).collect();
        let count = names.len();
        assert!(rows.iter().all(|row| row.word().is_empty() == (row.value() == Value::Switch)), "{command}");
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count, "{command}");
    }
    assert!(COMMANDS.is_sorted_by_key(|row| row.name));
}

/// What a refusal looks like from outside: exit status, first line of stdout, message.
#[derive(Debug, PartialEq)]
struct Seen {
    status: u8,
    headline: String,
    message: String,
}

fn ours(line: &str) -> Seen {
    with(line, |parsed| {
        let Request::Refused(refusal) = parsed.request else { panic!("{line} is not refused") };
        let mut stdout = String::new();
        if let Refusal::Misuse(command, misuse) = refusal {
            misuse.headline(command.is_none(), &mut stdout).unwrap();
        }
        let mut message = String::new();
        write!(message, "{refusal}").unwrap();
        Seen { status: refusal.status(), headline: first_line(&stdout), message }
    })
}

/// `None`: this host has no runc.
fn of_runc(line: &str) -> Option<Seen> {
    let words = line.split(' ').skip(1).map(|word| OsStr::from_bytes(word.as_bytes()));
    let output = process::Command::new("runc").args(words).output().ok()?;
    let (stdout, stderr) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    let message = stderr.split_once("msg=\"").map(|(_, rest)| rest.trim_end().trim_end_matches('"')).unwrap_or_default();
    let message = message.trim_end_matches("\\n").replace("\\\"", "\"");
    Some(Seen { status: output.status.code().unwrap() as u8, headline: first_line(&stdout), message })
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_string()
}

/// Command lines that runc refuses before it touches anything.
const REFUSED: &[&str] = &[
    "runc -x",
    "runc --no-such=3",
    "runc -vh",
    "runc ---x",
    "runc --root",
    "runc --log",
    "runc --debug=maybe list",
    "runc --version --bogus",
    "runc --log-format xml list",
    "runc nosuch",
    "runc help nosuch",
    "runc create",
    "runc create a b",
    "runc create --bogus",
    "runc create -bogus=1 a",
    "runc create --bundle",
    "runc spec -b",
    "runc spec a",
    "runc create ---bundle",
    "runc create -=x",
    "runc create --preserve-fds abc a",
    "runc create --preserve-fds= a",
    "runc create --preserve-fds 99999999999999999999999 a",
    "runc create --no-pivot=maybe a",
    "runc run",
    "runc run a b c",
    "runc start",
    "runc start a b",
    "runc start a --bogus",
    "runc state",
    "runc state --bogus",
    "runc kill",
    "runc kill a b c",
    "runc delete",
    "runc delete - a",
    "runc delete -f=2 a",
    "runc list a",
    "runc list help",
    "runc list --quiet=maybe",
    "runc list ---x",
    "runc features a",
];

#[test]
fn what_runc_refuses_we_refuse_in_the_same_words() {
    for line in REFUSED {
        let ours = ours(line);
        let Some(theirs) = of_runc(line) else { return eprintln!("skipped: no runc on this host") };
        assert_eq!(ours, theirs, "{line}");
    }
}

#[test]
fn every_option_of_runc_is_in_the_table() {
    for (command, rows) in COMMANDS.iter().map(|row| (row.name, row.options)).chain([("", flags::GLOBAL)]) {
        let words = [command, "--help"].into_iter().filter(|word| !word.is_empty());
        let Ok(output) = process::Command::new("runc").args(words).output() else { return eprintln!("skipped: no runc on this host") };
        let help = String::from_utf8(output.stdout).unwrap();
        let options = help.split_once("OPTIONS:\n").map(|(_, options)| options).unwrap_or_default();
        for name in options.lines().filter_map(|line| line.trim_start().strip_prefix("--")).filter_map(|line| line.split([' ', ',']).next())
        {
            // Newer versions of runc have no --criu.
            assert!(name == "criu" || rows.iter().any(|row| row.is_called(name.as_bytes())), "{command} --{name}");
        }
    }
}
