//! Images of a root file system: each is opened, looked at and mounted by the parent, which has the rights, and attached by the child.
//!
//! Must: leave nothing that outlives the mounts: a loop device lets go of its file when nobody has it open. Mustn't: name a file twice, since
//! what was looked at is what is to be mounted.

use core::ffi::CStr;

use super::verity;
use crate::error::{Doing, Error, Result};
use crate::mem::Arena;
use crate::plan::image::{IMAGE, Image, Layer, Pin, UPPER, Upper};
use crate::steps::image::Mounted;
use crate::sys::{self, AsFd, AsRawFd, Errno, OwnedFd, fs};

/// Mounts all of it.
pub fn mount<'a>(image: &Image<'a>, id: &str, arena: &Arena<'a>) -> Result<'a, Mounted> {
    let mut mounted = Mounted { layers: heapless::Vec::new(), upper: None };
    for layer in &image.layers {
        let _ = mounted.layers.push(mount_layer(layer, id, arena)?); // the plan counts them
    }
    mounted.upper = match image.upper {
        Upper::None => None,
        Upper::Memory(size) => {
            // Only its subdirectories are seen, which the child makes as root of its user namespace.
            let options = [(c"mode", c"777"), (c"size", size)];
            let options = if size.is_empty() { &options[..1] } else { &options[..] };
            Some(sys::new_mount(c"tmpfs", options, false).doing_at(UPPER, size)?)
        }
        Upper::Directory(path) => {
            let _ = fs::mkdirat(fs::CWD, path, fs::Mode::from_raw_mode(0o755)); // the next line says what is wrong
            Some(sys::clone_tree(path, false).doing_at(UPPER, path)?)
        }
    };
    Ok(mounted)
}

/// What an image begins with.
struct Head {
    kind: &'static CStr,
    /// How many bytes it says that it has.
    bytes: u64,
}

/// A number of a superblock, whose lowest byte comes first.
pub(super) fn read_number(block: &[u8], at: usize, bytes: usize) -> u64 {
    block[at..at + bytes].iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}

fn head(file: &OwnedFd) -> core::result::Result<Option<Head>, Errno> {
    let mut block = [0; 1536];
    let length = fs::pread(file, &mut block, 0)?;
    let number = |at, bytes| read_number(&block, at, bytes);
    // squashfs: `bytes_used` of its superblock. erofs: `blocks` of 1 << `blkszbits` bytes each, of that at 1024.
    Ok(match (length, number(0, 4), number(1024, 4)) {
        (96.., 0x7371_7368, _) => Some(Head { kind: c"squashfs", bytes: number(40, 8) }),
        (1152.., _, 0xE0F5_E1E2) => Some(Head { kind: c"erofs", bytes: number(1024 + 36, 4) << (number(1024 + 12, 1) & 31) }),
        _ => None,
    })
}

/// What is to be mounted, and stays open until then.
pub(super) struct Device<'a> {
    pub path: &'a CStr,
    /// Without it the device would be gone.
    pub _open: OwnedFd,
    /// The image's name.
    pub shown: &'a str,
}

fn mount_layer<'a>(layer: &Layer<'a>, id: &str, arena: &Arena<'a>) -> Result<'a, OwnedFd> {
    let name = layer.path.to_str().unwrap_or_default();
    let wrong = |why| Error::text(IMAGE, name, why);
    let flags = fs::OFlags::RDONLY | fs::OFlags::CLOEXEC | fs::OFlags::NONBLOCK;
    let file = fs::open(layer.path, flags, fs::Mode::empty()).doing(IMAGE, name)?;
    let status = fs::fstat(&file).doing(IMAGE, name)?;
    let is_device = match fs::FileType::from_raw_mode(status.st_mode) {
        fs::FileType::RegularFile => false,
        fs::FileType::BlockDevice => true,
        _ => return Err(wrong("it is neither a file nor a block device")),
    };
    match layer.pin {
        Pin::Sha256(wanted) => verity::check_sha256(&file, wanted, name, arena)?,
        Pin::FsVerity(wanted) => verity::check_fs_verity(&file, wanted, name, arena)?,
        Pin::None | Pin::Verity(_) => {}
    }
    let head = head(&file).doing(IMAGE, name)?.ok_or(wrong("it is neither squashfs nor erofs"))?;
    if !is_device && (status.st_size as u64) < head.bytes {
        return Err(wrong(arena.format(format_args!("truncated: {} of {} bytes", status.st_size, head.bytes))?));
    }
    let mounted = |source| sys::new_mount(head.kind, &[(c"source", source)], true);
    let own = arena.format_c(format_args!("/proc/self/fd/{}", file.as_raw_fd()))?;
    let is_alone = is_device || head.kind == c"erofs";
    let done = match layer.pin {
        Pin::Verity(root) => {
            let data = match is_device {
                true => Device { path: own, _open: fs::fcntl_dupfd_cloexec(&file, 3).doing(IMAGE, name)?, shown: name },
                false => attach_loop(&file, name, arena)?,
            };
            let mapped = verity::map(&data, &file, head.bytes, root, id, arena)?;
            mounted(mapped.path)
        }
        _ => match if is_alone { mounted(own) } else { Err(Errno::NOTBLK) } {
            // A file that the file system cannot lie in by itself (erofs since Linux 6.12).
            Err(Errno::NOTBLK) => {
                let device = attach_loop(&file, name, arena)?;
                mounted(device.path)
            }
            done => done,
        },
    };
    match done {
        Err(Errno::NODEV) => Err(wrong(arena.format(format_args!("the kernel has no {}", head.kind.to_str().unwrap_or_default()))?)),
        Err(Errno::NOSYS) => Err(wrong("an image needs Linux 5.2")),
        Err(Errno::INVAL | Errno::UCLEAN) => {
            Err(wrong("the kernel cannot read it: it is damaged, or of a form that this kernel does not know"))
        }
        Err(Errno::IO) if matches!(layer.pin, Pin::Verity(_)) => Err(wrong("what is in it is not what its root hash says")),
        done => done.doing(IMAGE, name),
    }
}

/// The device file by which the kernel is asked for devices of a kind. `missing` is what its lack means.
pub(super) fn open_control<'a>(path: &'static CStr, missing: &'static str) -> Result<'a, OwnedFd> {
    fs::open(path, fs::OFlags::RDWR | fs::OFlags::CLOEXEC, fs::Mode::empty()).map_err(|errno| match errno {
        Errno::NOENT | Errno::NODEV | Errno::NXIO => Error::text(IMAGE, path.to_str().unwrap_or_default(), missing),
        errno => Error::errno_at(IMAGE, path, errno),
    })
}

/// A loop device that stands for the file. It must stay open until it is mounted.
pub(super) fn attach_loop<'a>(file: &OwnedFd, shown: &'a str, arena: &Arena<'a>) -> Result<'a, Device<'a>> {
    const TRIES: u32 = 64;
    let flags = fs::OFlags::RDONLY | fs::OFlags::CLOEXEC;
    let control = open_control(c"/dev/loop-control", "the kernel has no loop devices")?;
    let mut tries = 0;
    loop {
        let number = sys::free_loop(control.as_fd()).doing(IMAGE, "no free loop device")?;
        let path = arena.format_c(format_args!("/dev/loop{number}"))?;
        let device = fs::open(path, flags, fs::Mode::empty()).doing_at(IMAGE, path)?;
        match sys::set_loop(device.as_fd(), file.as_fd()) {
            Err(Errno::BUSY) if tries < TRIES => tries += 1, // somebody was faster
            done => return done.doing_at(IMAGE, path).map(|()| Device { path, _open: device, shown }),
        }
    }
}
