//! ocinit: an OCI container runtime and the init that launches OCI bundles at boot.
//!
//! The modules stand on floors; one imports only from the floors below its own. They are listed from the
//! lowest to the highest, which is the reading order.
#![cfg_attr(not(test), no_std)]

pub mod mem;
pub mod sys;

pub mod error;

pub mod json;
pub mod log;
pub mod names;

pub mod spec;

pub mod plan;

pub mod steps;

pub mod container;

pub mod init;

pub mod cli;
