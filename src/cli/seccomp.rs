//! `seccomp compile` and `show`: a profile compiled to a file, a filter made readable, and the rule that decides about one call.

use core::ffi::CStr;
use core::fmt::{self, Write};

use crate::container::digest::Digest;
use crate::container::seccomp::{self, BLOB, Written};
use crate::error::{Doing, Error, Result};
use crate::log::Output;
use crate::mem::Arena;
use crate::names::seccomp::action_words;
use crate::names::syscalls::{Abi, FAMILY, number};
use crate::plan::seccomp::machine::{self, Call, Instruction};
use crate::plan::seccomp::{BYTES, compile_first, instructions};
use crate::spec::Seccomp;
use crate::sys::{AsFd, OwnedFd, fs, map_anonymous, task};

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request<'a> {
    /// `compile`, `show`, or `trace`, which is done elsewhere.
    pub action: &'a str,
    /// A bundle, a profile or a filter.
    pub path: &'a CStr,
    /// `--output`.
    pub output: Option<&'a CStr>,
    /// `--call`: `NAME[:ARGUMENT…]`.
    pub call: Option<&'a CStr>,
}

/// Does it.
pub fn run<'a>(request: &Request<'a>, arena: &Arena<'a>) -> Result<'a, i32> {
    if !matches!(request.action, "compile" | "show") {
        return Err(Error::text("seccomp", request.action, "wants compile, show or trace"));
    }
    let (written, memory) = seccomp::read(request.path, arena)?;
    match (request.action, written) {
        ("compile", Written::Profile(profile)) => compile(profile, request.output, &memory),
        ("compile", Written::Program(_)) => Err(Error::said("seccomp compile: it is a filter already")),
        (_, written) => show(&written, request.call, &memory),
    }
}

/// Writes the filter, and says by which annotation a bundle names it.
fn compile<'a>(profile: &Seccomp<'a>, output: Option<&'a CStr>, arena: &Arena<'a>) -> Result<'a, i32> {
    let program = instructions(profile, arena)?;
    let bytes = arena.slice(program.len() * 8, |index| program[index / 8].to_ne_bytes()[index % 8])?;
    let Some(path) = output else { return write(task::stdout(), bytes).doing("write", "standard output").map(|()| 0) };
    let file = create(path)?;
    write(file.as_fd(), bytes).doing_at("write", path)?;
    let name = path.to_str().unwrap_or_default();
    print(&|out| writeln!(out, "\"{BLOB}\": \"{name}@sha256:{}\"", Digest(bytes)))
}

/// The file of `--output`.
pub fn create<'a>(path: &'a CStr) -> Result<'a, OwnedFd> {
    let flags = fs::OFlags::WRONLY | fs::OFlags::CREATE | fs::OFlags::TRUNC | fs::OFlags::CLOEXEC;
    fs::open(path, flags, fs::Mode::from_raw_mode(0o644)).doing_at("open", path)
}

fn write(file: crate::sys::BorrowedFd<'_>, mut bytes: &[u8]) -> core::result::Result<(), crate::sys::Errno> {
    while !bytes.is_empty() {
        bytes = &bytes[fs::write(file, bytes)?..];
    }
    Ok(())
}

fn print<'a>(text: &dyn Fn(&mut dyn Write) -> fmt::Result) -> Result<'a, i32> {
    let mut out = Output::new(task::stdout());
    let _ = text(&mut out); // `finish` knows the errno
    out.finish().map(|()| 0).doing("write", "standard output")
}

fn show<'a>(written: &Written<'a>, call: Option<&'a CStr>, arena: &Arena<'a>) -> Result<'a, i32> {
    let program = match written {
        Written::Profile(profile) => instructions(profile, arena)?,
        Written::Program(program) => program,
    };
    match call {
        Some(call) => decide(written, program, call.to_str().unwrap_or_default()),
        None => list(program, arena),
    }
}

/// What is known when an instruction is reached: which word was loaded last, and by which way the call came.
#[derive(Clone, Copy)]
struct State {
    loaded: u32,
    abi: &'static Abi,
}

/// One line for each instruction. All jumps lead forward, so that what is known is known in time.
fn list<'a>(program: &[u64], arena: &Arena<'a>) -> Result<'a, i32> {
    let states = arena.slice(program.len() + 256, |_| State { loaded: NOTHING, abi: &FAMILY.abis[0] })?;
    let mut out = Output::new(task::stdout());
    for (at, word) in program.iter().enumerate() {
        let instruction = Instruction::of(*word);
        let (next, operand) = (at + 1, instruction.operand);
        let (yes, no) = (next + usize::from(instruction.yes), next + usize::from(instruction.no));
        let mut state = states[at];
        let _ = write!(out, "{at:4}  "); // `finish` knows the errno
        let _ = match (instruction.code, operand) {
            (0x20, 0) => out.write_str("load the number of the call"),
            (0x20, 4) => out.write_str("load the architecture"),
            (0x20, _) => {
                let is_low = operand.is_multiple_of(8) == cfg!(target_endian = "little");
                write!(out, "load argument {}, {} half", operand.saturating_sub(16) / 8, if is_low { "lower" } else { "upper" })
            }
            (0x54, _) => write!(out, "and {operand:#x}"),
            (0x05, _) => write!(out, "go to {}", next + operand as usize),
            (0x06, _) => write!(out, "return {}", Action(operand)),
            (code, _) => {
                let sign = match code {
                    0x15 => "==",
                    0x25 => ">",
                    0x35 => ">=",
                    _ => "has",
                };
                write!(out, "if {sign} {operand:#x} go to {yes}, else to {no}{}", About(state, operand))
            }
        };
        let _ = out.write_char('\n');
        match instruction.code {
            0x20 => state.loaded = operand,
            0x06 => continue,
            0x05 => {
                if let Some(place) = states.get_mut(next + operand as usize) {
                    *place = state;
                }
                continue;
            }
            _ if instruction.is_comparison() => {
                states[no] = state;
                let named = FAMILY.abis.iter().find(|abi| state.loaded == 4 && abi.audit == operand);
                states[yes] = State { abi: named.unwrap_or(state.abi), ..state };
                continue;
            }
            _ => {}
        }
        states[next] = state;
    }
    out.finish().map(|()| 0).doing("write", "standard output")
}

/// Nothing was loaded yet.
const NOTHING: u32 = u32::MAX;

/// What a number is that is compared with: an architecture, or a call.
struct About(State, u32);

impl fmt::Display for About {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let About(State { loaded, abi }, operand) = *self;
        for (member, other) in FAMILY.abis.iter().enumerate() {
            if loaded == 4 && other.audit == operand {
                return write!(f, "  ; {}", other.word);
            }
            let slot = (0..1 << 10).find(|slot| loaded == 0 && other.audit == abi.audit && number(*slot) | other.base == operand);
            if let Some(name) = slot.and_then(|slot| FAMILY.name_of(slot, member)) {
                return write!(f, "  ; {name}");
            }
        }
        Ok(())
    }
}

/// What a filter returns, in the words of the specification.
struct Action(u32);

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (word, data) = action_words(self.0);
        f.write_str(word)?;
        data.map_or(Ok(()), |data| write!(f, " {data}"))
    }
}

/// What happens at one call, for each way to make it, and which rule says so.
fn decide<'a>(written: &Written<'a>, program: &[u64], call: &'a str) -> Result<'a, i32> {
    let mut parts = call.split(':');
    let name = parts.next().unwrap_or_default();
    let row = FAMILY.row(name).ok_or(Error::text("seccomp show", name, "this machine has no such system call"))?;
    let mut arguments = [0; 6];
    for (place, text) in arguments.iter_mut().zip(parts) {
        let value = text.strip_prefix("0x").map_or_else(|| text.parse(), |digits| u64::from_str_radix(digits, 16));
        *place = value.map_err(|_| Error::text("seccomp show", text, "not a number"))?;
    }
    let mut out = Output::new(task::stdout());
    for (member, abi) in FAMILY.abis.iter().enumerate() {
        let Some(slot) = FAMILY.slot(row, member) else { continue };
        let call = Call { audit: abi.audit, number: number(slot) | abi.base, arguments };
        let (answer, steps) = machine::run(program, &call);
        let _ = write!(out, "{} {name}: {} in {steps} instructions", abi.word, Action(answer)); // `finish` knows the errno
        let _ = match (written, why(written, &call, answer)?) {
            (Written::Program(_), _) => Ok(()),
            (_, Why::Rule(index)) => write!(out, ", by linux.seccomp.syscalls[{index}]"),
            (_, Why::Default) => out.write_str(", by linux.seccomp.defaultAction"),
            (_, Why::Newer) => out.write_str(", since it is newer than all that the profile names"),
            (_, Why::Unnamed) => out.write_str(", since linux.seccomp.architectures does not name it"),
        };
        let _ = out.write_char('\n');
    }
    out.finish().map(|()| 0).doing("write", "standard output")
}

enum Why {
    Rule(usize),
    Default,
    Newer,
    Unnamed,
}

/// The rule without which, and with those before it alone, the answer would be another.
fn why<'a>(written: &Written<'a>, call: &Call, answer: u32) -> Result<'a, Why> {
    let Written::Profile(profile) = written else { return Ok(Why::Default) };
    let of_first = |count| {
        let memory = Arena::over(map_anonymous(4 * BYTES + profile.syscalls.len() * 1024).doing("mmap", "memory for a filter")?);
        compile_first(profile, count, &memory).map(|program| machine::run(program, call).0)
    };
    let all = profile.syscalls.len();
    if of_first(all)? != answer {
        return Ok(Why::Newer);
    }
    for count in (1..=all).rev() {
        if of_first(count - 1)? != answer {
            return Ok(Why::Rule(count - 1));
        }
    }
    let abi = FAMILY.abis.iter().position(|abi| abi.audit == call.audit && abi.base == call.number & 0x4000_0000);
    let is_named = |abi: &Abi| profile.architectures.iter().any(|word| *word == abi.word);
    Ok(if abi.is_none_or(|place| place == 0 || is_named(&FAMILY.abis[place])) { Why::Default } else { Why::Unnamed })
}
