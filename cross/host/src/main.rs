//! `ocinit-host`: what is done for a device on the build host; it is never on the device.

mod archive;
mod bundle;
mod command_line;
mod config;
mod image;
mod initramfs;
mod layer;
mod layout;
mod progress;
mod signature;
mod stream;
mod text;
mod tree;

use std::process::ExitCode;

/// What went wrong, as one sentence.
pub type Error = String;
pub type Result<T> = std::result::Result<T, Error>;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match command_line::run(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(sentence) => {
            eprintln!("ocinit-host: {sentence}");
            ExitCode::FAILURE
        }
    }
}
