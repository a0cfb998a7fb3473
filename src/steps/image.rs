//! A root file system in images: what the parent has mounted is attached, and laid over each other.
//!
//! Everything goes on top of the host's root, which is below no path of the container and needs no directory: who walks from the host's
//! root does not see it.

use core::fmt::Write;

use super::{At, Stage};
use crate::error::Note;
use crate::sys::{self, AsFd, AsRawFd, Errno, OwnedFd, fs};

/// Mounts that are attached nowhere, and go when nobody holds them.
pub struct Mounted {
    /// The images, the topmost first.
    pub layers: heapless::Vec<OwnedFd, { crate::plan::image::MOST_LAYERS }>,
    /// Where what is written goes.
    pub upper: Option<OwnedFd>,
}

/// Attaches it as the root file system; its root.
///
/// Mustn't: leave on the way any mount that pivot_root(2) would take for the host's.
pub(super) fn attach(stage: &Stage<'_, '_>, image: &Mounted) -> Result<OwnedFd, At> {
    let flags = fs::OFlags::PATH | fs::OFlags::DIRECTORY | fs::OFlags::CLOEXEC;
    let here = fs::open(c"/", flags, fs::Mode::empty())?;
    let attach = |mount: &OwnedFd| sys::mount_tree(mount.as_fd(), here.as_fd()).map_err(At::note(Note::Attach));
    let whole = match (&image.layers[..], &image.upper) {
        ([only], None) => fs::fcntl_dupfd_cloexec(only, 3)?,
        (layers, upper) => {
            // An overlay takes only what is attached (clone_private_mount in the kernel).
            layers.iter().chain(upper).try_for_each(attach)?;
            let overlay = lay_over(stage, layers, upper.as_ref()).map_err(At::note(Note::Overlay))?;
            for _ in layers.iter().chain(upper) {
                sys::unmount_detached(c"/").map_err(At::note(Note::Overlay))?; // it has its own
            }
            overlay
        }
    };
    attach(&whole)?;
    Ok(whole)
}

fn lay_over(stage: &Stage<'_, '_>, layers: &[OwnedFd], upper: Option<&OwnedFd>) -> Result<OwnedFd, Errno> {
    let mut lower = Text::new();
    for (index, layer) in layers.iter().enumerate() {
        let _ = write!(lower, "{}self/fd/{}", if index == 0 { "" } else { ":" }, layer.as_raw_fd()); // the room is for MOST_LAYERS
    }
    let _ = lower.push('\0');
    let mut texts = [const { Text::new() }; 2];
    let mut options = heapless::Vec::<_, 4>::new();
    let _ = options.push((c"lowerdir", text(&lower)));
    if let (Some(upper), Some(top)) = (upper, layers.first()) {
        let mode = fs::Mode::from_raw_mode(fs::fstat(top)?.st_mode & 0o7777); // an overlay's root is as that of its upper directory
        for ((place, name), written) in [(c"upper", "upper"), (c"work", "work")].into_iter().zip(&mut texts) {
            match fs::mkdirat(upper, place, mode) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(errno) => return Err(errno),
            }
            let _ = write!(written, "self/fd/{}/{name}\0", upper.as_raw_fd());
        }
        let [upper, work] = &texts;
        let _ = options.push((c"upperdir", text(upper)));
        let _ = options.push((c"workdir", text(work)));
        if stage.plan.namespaces.maps_ids() {
            let _ = options.push((c"userxattr", c""));
        }
    }
    crate::sys::task::fchdir(stage.procfs)?;
    sys::new_mount(c"overlay", &options, upper.is_none())
}

/// Long enough for as many descriptors as there can be.
type Text = heapless::String<384>;

fn text(written: &Text) -> &core::ffi::CStr {
    core::ffi::CStr::from_bytes_with_nul(written.as_bytes()).unwrap_or(c"")
}
