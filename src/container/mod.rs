//! The life of one container: made, started, looked at, signalled, deleted. The only writer of the state directory.

pub mod bundle;
mod child;
pub mod create;
pub mod delete;
mod errands;
pub mod events;
pub mod exec;
pub mod facts;
pub mod foreground;
pub mod hooks;
pub mod list;
pub mod net_devices;
pub mod notify;
pub mod own_executable;
pub mod pause;
pub mod pid_file;
pub mod processes;
pub mod rdt;
pub mod seccomp;
pub mod signal;
pub mod start;
pub mod started;
pub mod state;
mod trouble;
pub mod update;
mod words;
