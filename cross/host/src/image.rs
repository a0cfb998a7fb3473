//! The root file system as one read-only image, made by the distribution's own tools.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::{Result, text};

#[derive(Clone, Copy, PartialEq)]
pub enum Kind {
    Squashfs,
    Erofs,
}

impl Kind {
    /// The image's name in the bundle.
    pub fn file(self) -> &'static str {
        match self {
            Kind::Squashfs => "rootfs.squashfs",
            Kind::Erofs => "rootfs.erofs",
        }
    }
}

/// Makes `image` of `folder`; the same bytes for the same content.
pub fn make(kind: Kind, folder: &Path, image: &Path) -> Result<()> {
    let (tool, package, mut command) = match kind {
        Kind::Squashfs => {
            let mut command = Command::new("mksquashfs");
            command.arg(folder).arg(image).args(["-noappend", "-no-progress", "-quiet", "-comp", "xz"]);
            // The tool reads the variable itself, and takes one of both only.
            if std::env::var_os("SOURCE_DATE_EPOCH").is_none() {
                command.args(["-mkfs-time", "0"]);
            }
            ("mksquashfs", "squashfs-tools", command)
        }
        Kind::Erofs => {
            let mut command = Command::new("mkfs.erofs");
            let time = std::env::var("SOURCE_DATE_EPOCH").unwrap_or_else(|_| "0".into());
            command.args(["-zlz4hc", "-T", &time, "-U", "00000000-0000-0000-0000-000000000000"]).arg(image).arg(folder);
            ("mkfs.erofs", "erofs-utils", command)
        }
    };
    let output = command.stdin(Stdio::null()).output().map_err(|why| match why.kind() {
        std::io::ErrorKind::NotFound => format!("there is no {tool} here: install it (Debian: {package})"),
        _ => format!("{tool}: {why}"),
    })?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("{tool} failed: {}", text::shown(said.trim().lines().last().unwrap_or("it said nothing"))))
}
