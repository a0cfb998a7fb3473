//! The cgroup of a container that is being created: made by us or by systemd, filled, and taken back.

use core::ffi::CStr;

use super::systemd::{self, Keeper};
use super::{delete, events, trouble};
use crate::error::{Error, Result};
use crate::mem::Arena;
use crate::plan::cgroup::Cgroup;
use crate::steps::cgroup::{self, Trouble};
use crate::sys::{AsFd, BorrowedFd, OwnedFd};

/// What there is of it.
pub struct Group {
    /// Its place.
    pub home: Home,
    fd: Option<OwnedFd>,
    /// How many levels of its path are ours to remove again.
    made_levels: usize,
    /// The same for each of its cgroups of cgroup v1 that was made.
    made_others: heapless::Vec<usize, MOST_HIERARCHIES>,
    /// What keeps a scope until the container's first process is in it.
    keeper: Option<Keeper>,
}

/// The kernel has fourteen controllers, and one hierarchy without any is systemd's.
const MOST_HIERARCHIES: usize = 16;

/// Where a cgroup is, and whose.
#[derive(Clone, Copy)]
pub struct Home {
    /// Absolute.
    pub path: &'static CStr,
    /// Cgroups of cgroup v1 beside it: absolute paths, a line each.
    pub others: &'static str,
    /// The socket of the systemd that made it.
    pub systemd: Option<&'static CStr>,
}

impl Group {
    /// Nothing of it exists yet.
    pub fn planned(cgroup: &Cgroup<'static>, arena: &Arena<'static>) -> Result<'static, Group> {
        let path = arena.c_str(&[cgroup.mount.to_bytes(), cgroup.path.as_bytes()])?;
        let systemd = cgroup.scope.as_ref().map(|scope| scope.socket);
        Ok(Group {
            home: Home { path, others: cgroup.others, systemd },
            fd: None,
            made_levels: 0,
            made_others: heapless::Vec::new(),
            keeper: None,
        })
    }

    /// Makes it; false if there is none, for want of rights, where none is needed.
    pub fn make(&mut self, planned: &Cgroup<'static>, arena: &Arena<'static>) -> Result<'static, bool> {
        let mut made_levels = 0;
        let made = match &planned.scope {
            Some(scope) => {
                self.keeper = systemd::start(scope, arena)?;
                self.made_levels = 1;
                cgroup::adopt(planned.mount, planned.path)
            }
            None => cgroup::make(planned.mount, planned.path, &mut made_levels),
        };
        self.made_levels = self.made_levels.max(made_levels);
        let made = match made {
            Err(Trouble::Directory(errno)) if planned.is_rootless && trouble::is_denied(errno) => {
                let doing = "rootless needs no limits + no cgrouppath when no permission is granted for cgroups"; // runc's words
                return if planned.is_optional { Ok(false) } else { Err(Error::at(doing, self.home.path)(errno)) };
            }
            made => made.map_err(|trouble| trouble::words(trouble, planned.mount, planned.path, arena))?,
        };
        self.made_levels = self.made_levels.max(1); // it was empty, and from here on it is ours to remove
        for path in cgroup::v1::each(planned.others) {
            let mut made_levels = 0;
            let made = cgroup::make(c"/", path, &mut made_levels);
            if made.is_ok() || made_levels > 0 {
                let _ = self.made_others.push(made_levels); // there are not so many
            }
            made.map_err(|trouble| trouble::words(trouble, c"", path, arena))?;
        }
        if let Some(owner) = planned.owner {
            cgroup::delegate(made.as_fd(), owner).map_err(Error::at("hand over the cgroup", self.home.path))?;
        }
        self.fd = Some(made);
        Ok(true)
    }

    /// Whether its limits may be written before the container's first process is there.
    pub fn is_ready(&self) -> bool {
        self.keeper.is_none()
    }

    /// Limits and devices. From here on a scope is kept by the container itself.
    pub fn configure(&mut self, planned: &Cgroup<'static>, arena: &Arena<'static>) -> Result<'static, ()> {
        self.keeper = None;
        let Some(made) = &self.fd else { return Ok(()) };
        let applied = cgroup::apply(made.as_fd(), planned.limits.iter());
        let configured = applied.and_then(|()| match cgroup::guard_devices(made.as_fd(), planned.device_program) {
            // Without rights over the host's devices there is nothing to guard: the kernel lets no user namespace make a node.
            Err(Trouble::Devices(errno)) if planned.is_rootless && trouble::is_denied(errno) => Ok(()),
            guarded => guarded,
        });
        configured.map_err(|trouble| trouble::words(trouble, planned.mount, planned.path, arena))
    }

    /// It, for processes to be born in.
    pub fn fd(&self) -> Option<&OwnedFd> {
        self.fd.as_ref()
    }

    /// The same for whoever only looks.
    pub fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        self.fd.as_ref().map(AsFd::as_fd)
    }

    /// Takes back what was made.
    pub fn undo(self, arena: &Arena<'static>) {
        drop((self.fd, self.keeper));
        if self.made_levels > 0 {
            let _ = cgroup::remove(self.home.path, delete::CGROUP_TIMEOUT_MS); // what stays is told by `delete --force`
            for (path, levels) in cgroup::v1::each(self.home.others).zip(&self.made_others) {
                let Ok(path) = arena.c_str(&[path.as_bytes()]) else { continue };
                let _ = cgroup::remove(path, delete::CGROUP_TIMEOUT_MS); // the same
                cgroup::remove_levels(path, levels.saturating_sub(1));
            }
            cgroup::remove_levels(self.home.path, if self.home.systemd.is_some() { 0 } else { self.made_levels - 1 });
            self.home.stop(arena);
        }
    }
}

impl Home {
    /// Kills what is left in it, and removes it.
    pub fn remove<'a>(self, arena: &Arena<'a>) -> Result<'a, ()> {
        delete::empty_cgroup(self.path).map_err(Error::at("remove the cgroup", self.path))?;
        delete::remove_others(self.others)?;
        self.stop(arena);
        Ok(())
    }

    /// Why the first process of the container is gone without a word.
    pub fn why_gone(home: Option<Home>) -> &'static str {
        let (path, others) = home.map_or((c"", ""), |home| (home.path, home.others));
        events::why_gone(cgroup::open(path).ok().as_ref().map(AsFd::as_fd), others)
    }

    fn stop(self, arena: &Arena<'_>) {
        if let Some(socket) = self.systemd {
            systemd::stop(unit(self.path), socket, arena);
        }
    }
}

/// The unit is called as the last component of its cgroup's path.
pub fn unit(path: &CStr) -> &str {
    path.to_str().unwrap_or_default().rsplit('/').next().unwrap_or_default()
}
