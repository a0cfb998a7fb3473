//! The demonstration: a bundle is run in the foreground on a terminal, then detached behind a console socket, looked at and removed.
//!
//! Must: show each command as it would be typed, and what it printed. Mustn't: need a terminal of its own.

use std::time::Duration;

use crate::launch::{Ended, Launch, read};
use crate::screen::Screen;
use crate::sys::Outcome;
use crate::world;

const FRONT: &str = "ocinit-demo";
const BACK: &str = "ocinit-demo-detached";
/// The container's shell, waiting.
const PROMPT: &str = "/ # ";
const PATIENCE: Duration = Duration::from_secs(20);

/// `demo RUNTIME BUNDLE`.
pub fn run(arguments: &[String]) -> Outcome<i32> {
    let [runtime, bundle] = arguments else { return Err("demo wants a runtime and a bundle".into()) };
    let demo = Demo { runtime: runtime.clone(), bundle: bundle.clone() };
    if world::see_pure_cgroups_apart()? {
        println!("This host keeps cgroup v2 beside v1. The demonstration looks at v2 alone, in a mount namespace of its own.\n");
    }
    demo.make_config()?;
    let before = Look::take();
    demo.forget_the_last_time();
    demo.in_the_foreground()?;
    demo.detached()?;
    println!("Compared with before: {}", before.difference(&Look::take())?);
    Ok(0)
}

struct Demo {
    runtime: String,
    bundle: String,
}

impl Demo {
    fn make_config(&self) -> Outcome<()> {
        println!("0. A bundle: a root file system of busybox in {}/rootfs, and the default config\n", self.bundle);
        self.call(&["--version"])?;
        self.call(&["spec", "--bundle", &self.bundle]).map(drop)
    }

    fn in_the_foreground(&self) -> Outcome<()> {
        println!("1. In the foreground, on a terminal, with the config as `ocinit spec` wrote it\n");
        let command = ["run", "--bundle", &self.bundle, FRONT];
        announce(&command);
        let running = self.launch(&command, Some((24, 80))).start(&self.log())?;
        let screen = running.screen.clone().ok_or("no terminal")?;
        let lines = [
            ("hostname", "ocinit"),
            ("id", "uid=0(root)"),
            ("echo my pid is $$, my terminal $(tty), $(stty size)", "my pid is 1, my terminal /dev/pts/0, 24 80"),
            ("grep 0:: /proc/self/cgroup", "0::/"),
            ("touch /x", "touch: /x: Read-only file system"),
        ];
        for (line, answer) in lines {
            at_the_prompt(&screen, line, answer)?;
        }
        screen.type_in("exit 3\n")?;
        let ended = running.wait(PATIENCE)?;
        show(&ended.output);
        println!("   it ended with exit code {}, which the payload chose\n", ended.exit);
        if ended.exit == 3 { Ok(()) } else { Err(format!("the exit code is {}, not 3", ended.exit)) }
    }

    fn detached(&self) -> Outcome<()> {
        println!("2. Detached, its terminal handed over through a socket\n");
        let socket = format!("{}/console.sock", self.bundle);
        let pid_file = format!("{}/pid", self.bundle);
        let console = Screen::of_socket(&socket)?;
        self.call(&["run", "--detach", "--console-socket", &socket, "--pid-file", &pid_file, "--bundle", &self.bundle, BACK])?;
        println!("   the runtime is gone; its payload is process {}\n", read(&pid_file));
        self.call(&["list"])?;
        let state = self.call(&["state", BACK])?;
        expect(&state.output, "\"status\": \"running\"")?;
        at_the_prompt(&console, "echo $((6*7)) from process $$ on $(tty)", "42 from process 1 on /dev/pts/0")?;
        println!("   (on its terminal)");
        show(&console.text());
        println!();
        self.call(&["kill", BACK, "KILL"])?;
        self.await_stop()?;
        self.call(&["delete", BACK])?;
        let left = self.call(&["list", "--quiet"])?.output;
        if left.lines().any(|id| id == FRONT || id == BACK) {
            return Err("it is still listed".into());
        }
        std::fs::remove_file(&socket).map_err(|why| format!("{socket}: {why}"))
    }

    fn await_stop(&self) -> Outcome<()> {
        for _ in 0..500 {
            if self.quietly(&["state", BACK])?.output.contains("\"stopped\"") {
                return self.call(&["state", BACK]).map(drop);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Err("it did not stop".into())
    }

    fn forget_the_last_time(&self) {
        for id in [FRONT, BACK] {
            // There is nothing to forget, mostly.
            let _ = self.quietly(&["delete", "--force", id]);
        }
    }

    /// Runs a command that has to succeed, and shows it with what it printed.
    fn call(&self, arguments: &[&str]) -> Outcome<Ended> {
        announce(arguments);
        let ended = self.quietly(arguments)?;
        show(&ended.output);
        show(&ended.errors);
        println!();
        if ended.exit == 0 { Ok(ended) } else { Err(format!("exit code {}", ended.exit)) }
    }

    fn quietly(&self, arguments: &[&str]) -> Outcome<Ended> {
        self.launch(arguments, None).start(&self.log())?.wait(PATIENCE)
    }

    fn log(&self) -> String {
        format!("{}/demo", self.bundle)
    }

    fn launch(&self, arguments: &[&str], terminal: Option<(u16, u16)>) -> Launch {
        Launch {
            arguments: [self.runtime.as_str()].iter().chain(arguments).map(|word| word.to_string()).collect(),
            folder: self.bundle.clone(),
            environment: vec![("PATH".into(), "/usr/sbin:/usr/bin:/sbin:/bin".into())],
            terminal,
            ..Launch::default()
        }
    }
}

/// What could be left behind.
struct Look {
    mounts: String,
    cgroups: Vec<String>,
}

impl Look {
    fn take() -> Look {
        Look { mounts: read("/proc/self/mountinfo"), cgroups: world::cgroups_named(FRONT) }
    }

    fn difference(&self, after: &Look) -> Outcome<&'static str> {
        if self.mounts != after.mounts {
            return Err(format!("mounts were left behind:\n{}", after.mounts));
        }
        if let Some(cgroup) = after.cgroups.first() {
            return Err(format!("a cgroup was left behind: {cgroup}"));
        }
        Ok("no mount, no cgroup, no process is left.")
    }
}

/// Types a line once the shell asks for one, and waits for what it answers and for the next prompt.
fn at_the_prompt(screen: &Screen, line: &str, answer: &str) -> Outcome<()> {
    screen.await_text(PROMPT, PATIENCE)?;
    let start = screen.text().len();
    screen.type_in(&format!("{line}\n"))?;
    // The terminal echoes the line itself; the answer stands on a line of its own.
    screen.await_text_after(start, &format!("\n{answer}"), PATIENCE)?;
    screen.await_text_after(start, PROMPT, PATIENCE)
}

fn expect(text: &str, part: &str) -> Outcome<()> {
    if text.contains(part) { Ok(()) } else { Err(format!("{text:?} lacks {part:?}")) }
}

fn announce(arguments: &[&str]) {
    println!("   $ ocinit {}", arguments.join(" "));
}

fn show(text: &str) {
    // busybox asks the terminal where its cursor is.
    let plain = text.replace("\u{1b}[6n", "").replace('\r', "");
    plain.trim_matches('\n').lines().for_each(|line| println!("   | {line}"));
}
