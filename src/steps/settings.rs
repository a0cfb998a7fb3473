//! Names and kernel settings of the container's own namespaces, and the file mode creation mask.

use super::{At, Done, Stage};
use crate::sys::{self, Errno, fs, task};

/// Restores the mask that the process is to have.
pub fn set_umask(stage: &mut Stage<'_, '_>) -> Done {
    task::umask(fs::Mode::from_raw_mode(stage.plan.process.umask & 0o777));
    Ok(())
}

/// sethostname(2).
pub fn set_hostname(stage: &mut Stage<'_, '_>) -> Done {
    stage.plan.hostname.map_or(Ok(()), |name| task::sethostname(name.as_bytes()).map_err(At::from))
}

/// setdomainname(2).
pub fn set_domainname(stage: &mut Stage<'_, '_>) -> Done {
    stage.plan.domainname.map_or(Ok(()), |name| task::setdomainname(name.as_bytes()).map_err(At::from))
}

/// Writes each setting under the trusted procfs: what is below /proc/sys depends on the writer's namespaces, not on the instance.
pub fn write_sysctls(stage: &mut Stage<'_, '_>) -> Done {
    for (index, setting) in stage.plan.sysctls.iter().enumerate() {
        let flags = fs::OFlags::WRONLY | fs::OFlags::NOFOLLOW | fs::OFlags::CLOEXEC;
        let container = if sys::is_undefended("procfs") { Some(stage.open(c"/proc")?) } else { None };
        let procfs = container.as_ref().map_or(stage.procfs, sys::AsFd::as_fd);
        let written =
            fs::openat(procfs, setting.file, flags, fs::Mode::empty()).and_then(|file| fs::write(&file, setting.value.as_bytes()));
        let done = match written {
            Ok(bytes) if bytes == setting.value.len() => Ok(()),
            Ok(_) => Err(At::from(Errno::INVAL)),
            Err(errno) => Err(At::from(errno)),
        };
        done.map_err(At::item(index))?;
    }
    Ok(())
}
