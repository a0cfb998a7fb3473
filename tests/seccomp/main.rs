//! `seccomp differ [PROFILES]`: both compilers' programs must answer alike. `seccomp bench`: how long they take, and how long they are.

mod bench;
mod differ;
mod machine;
mod meaning;
mod profiles;
mod reference;

use std::mem::MaybeUninit;

use ocinit::mem::Arena;
use ocinit::spec::Seccomp;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let status = match words[..] {
        ["differ"] => differ::run(300),
        ["differ", count] => differ::run(count.parse().unwrap()),
        ["bench"] => bench::run(),
        _ => {
            eprintln!("seccomp differ [PROFILES] | bench");
            2
        }
    };
    std::process::exit(status);
}

/// Memory that nobody has touched yet, for as long as the tests run.
fn arena() -> Arena<'static> {
    Arena::new(Box::leak(vec![MaybeUninit::uninit(); 4 << 20].into_boxed_slice()))
}

/// Reads a profile.
fn read(text: &str, arena: &Arena<'static>) -> Seccomp<'static> {
    let text: &'static str = text.to_string().leak();
    let (profile, _) = ocinit::json::read::<Seccomp<'_>>(text.as_bytes(), arena).unwrap_or_else(|error| panic!("{error}: {text}"));
    *profile
}
