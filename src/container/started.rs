//! A container whose program runs, in the hands of whoever started it.

use super::bundle::Bundle;
use super::create::Request;
use super::foreground::Running;
use super::group::Home;
use super::notify::Proxy;
use super::state::Directory;
use super::trace::Tracer;
use super::{hooks, rdt};
use crate::error::{Doing, Result};
use crate::mem::Arena;
use crate::plan::rdt::Rdt;
use crate::sys::{AsFd, Errno, OwnedFd, task};

/// A container whose program runs.
pub struct Started {
    /// Its first process, as the host numbers it.
    pub pid: task::Pid,
    /// The same as a handle; none before Linux 5.3.
    pub pidfd: Option<OwnedFd>,
    /// The terminal's master, if it came to us.
    pub master: Option<OwnedFd>,
    /// Its state directory, locked.
    pub directory: Directory,
    /// Its cgroup.
    pub cgroup: Option<Home>,
    /// For what the container says of itself.
    pub notify: Option<Proxy>,
    /// For its system calls.
    pub tracer: Option<Tracer>,
    /// Its id.
    pub id: &'static str,
    /// For hooks that are still to come.
    pub bundle: Bundle,
    /// Its resctrl group.
    pub rdt: Option<Rdt<'static>>,
}

impl Started {
    /// The process, for whoever stays with it.
    pub fn running(&self) -> Running<'_> {
        Running {
            pid: self.pid,
            pidfd: self.pidfd.as_ref().map(AsFd::as_fd),
            master: self.master.as_ref().map(AsFd::as_fd),
            notify: self.notify.as_ref(),
            tracer: self.tracer.as_ref(),
            cgroup: self.cgroup.map(|home| home.path),
        }
    }

    /// Waits until the container says that it is ready, where a service manager wants to know.
    pub fn await_ready(&self) {
        if let Some(notify) = &self.notify {
            self.directory.unlock();
            notify.await_ready(self.pid, self.pidfd.as_ref().map(AsFd::as_fd));
        }
    }

    /// Removes what is left of a container that has ended.
    pub fn clean_up<'a>(&self, request: &Request<'_, '_>, arena: &Arena<'a>) -> Result<'a, ()> {
        self.directory.lock()?;
        if let Some(home) = self.cgroup {
            home.remove(arena)?;
        }
        rdt::remove_of_plan(self.rdt)?;
        match self.directory.remove() {
            Err(Errno::NOENT) => return Ok(()), // `delete --force` was faster, and has run the hooks
            answer => answer.doing("remove the state directory", "")?,
        }
        hooks::poststop(&self.bundle, self.id, request.inherited(), request.log);
        Ok(())
    }
}
