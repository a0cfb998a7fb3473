//! PID 1: brings a device up, keeps its bundles running, takes it down.
//!
//! Must: reserve all its memory before the first start, and never wait for anything but its one epoll. What can block is done by children.

pub mod read;
