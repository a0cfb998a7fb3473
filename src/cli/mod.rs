//! The command line: argv becomes one request, answers become text or JSON. Nothing below may know that a command line exists.

pub mod boot;
pub mod built;
pub mod bundle;
pub mod chart;
pub mod check;
pub mod features;
pub mod flags;
pub mod help;
pub mod json_text;
pub mod output;
pub mod parse;
pub mod ps;
pub mod refusal;
pub mod seccomp;
pub mod service;
pub mod spec;
pub mod stats;
pub mod update;
pub mod verbs;
pub mod version;

pub use verbs::run;
