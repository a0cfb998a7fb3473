//! What an image must be: its digest, the kernel's word for it (fs-verity), or a tree of hashes that the kernel goes by (dm-verity).
//!
//! Must: look at the very file that is then mounted, by its descriptor.

use core::ffi::CStr;
use core::fmt::Write;

use super::digest::Hex;
use super::image::{Device, attach_loop, open_control, read_number};
use crate::error::{Doing, Error, Result};
use crate::mem::Arena;
use crate::plan::image::IMAGE;
use crate::sys::{self, AsFd, DeviceMapper, Errno, OwnedFd, fs};

/// Whether the file has this SHA-256.
pub fn check_sha256<'a>(file: &OwnedFd, wanted: [u8; 32], name: &'a str, arena: &Arena<'a>) -> Result<'a, ()> {
    let mut hash = hmac_sha256::Hash::new();
    let mut block = [0; 16 << 10];
    let mut at = 0;
    loop {
        match fs::pread(file, &mut block, at).doing(IMAGE, name)? {
            0 => break,
            read => {
                hash.update(&block[..read]);
                at += read as u64;
            }
        }
    }
    compare(hash.finalize(), wanted, "its SHA-256", name, arena)
}

/// Whether the kernel guarantees this digest.
pub fn check_fs_verity<'a>(file: &OwnedFd, wanted: [u8; 32], name: &'a str, arena: &Arena<'a>) -> Result<'a, ()> {
    match sys::measure_verity(file.as_fd()) {
        Ok(found) => compare(found, wanted, "its fs-verity digest", name, arena),
        Err(Errno::NODATA) => Err(Error::text(IMAGE, name, "fs-verity is not enabled on it")),
        Err(Errno::NOTTY | Errno::OPNOTSUPP) => Err(Error::text(IMAGE, name, "its file system, or the kernel, has no fs-verity")),
        Err(errno) => Err(Error::errno("measure the fs-verity digest", name, errno)),
    }
}

fn compare<'a>(found: [u8; 32], wanted: [u8; 32], what: &str, name: &'a str, arena: &Arena<'a>) -> Result<'a, ()> {
    if found == wanted {
        return Ok(());
    }
    Err(Error::text(IMAGE, name, arena.format(format_args!("{what} is {}", Hex(&found)))?))
}

/// The superblock of a hash tree as veritysetup(8) writes it.
struct Tree {
    data_block: u64,
    hash_block: u64,
    blocks: u64,
    /// The algorithm's name, in a field that zeros fill.
    algorithm: [u8; 32],
    salt: [u8; 256],
    salt_bytes: usize,
}

fn tree(file: &OwnedFd, at: u64) -> core::result::Result<Option<Tree>, Errno> {
    let mut block = [0; 512];
    let length = fs::pread(file, &mut block, at)?;
    let number = |at, bytes| read_number(&block, at, bytes);
    if length < 512 || !block.starts_with(b"verity\0\0\x01\0\0\0\x01\0\0\0") {
        return Ok(None);
    }
    let mut tree = Tree {
        data_block: number(64, 4),
        hash_block: number(68, 4),
        blocks: number(72, 8),
        algorithm: [0; 32],
        salt: [0; 256],
        salt_bytes: number(80, 2).min(256) as usize,
    };
    tree.algorithm.copy_from_slice(&block[32..64]);
    tree.salt.copy_from_slice(&block[88..344]);
    let is_size = |bytes: u64| bytes.is_power_of_two() && (512..=65536).contains(&bytes);
    Ok((is_size(tree.data_block) && is_size(tree.hash_block)).then_some(tree))
}

/// A device that gives nothing but what the tree with this root says. `bytes` is where the tree may begin, in the image itself.
///
/// It goes when nobody has it open, which is asked for as soon as it is there.
pub fn map<'a>(data: &Device<'a>, image: &OwnedFd, bytes: u64, root: [u8; 32], id: &str, arena: &Arena<'a>) -> Result<'a, Device<'a>> {
    let name = data.shown;
    let tail = bytes.next_multiple_of(4096);
    let in_tail = tree(image, tail).doing(IMAGE, name)?;
    let (tree, start, hashes) = match in_tail {
        Some(tree) => (tree, tail, None),
        None => {
            let path = arena.c_str(&[name.as_bytes(), b".verity"])?;
            let file = fs::open(path, fs::OFlags::RDONLY | fs::OFlags::CLOEXEC, fs::Mode::empty())
                .map_err(|_| Error::text(IMAGE, name, "it has no hash tree, neither in its tail nor in a file with .verity to its name"))?;
            let tree =
                tree(&file, 0).doing_at(IMAGE, path)?.ok_or(Error::text(IMAGE, path.to_str().unwrap_or_default(), "it is no hash tree"))?;
            (tree, 0, Some(attach_loop(&file, path.to_str().unwrap_or_default(), arena)?))
        }
    };
    let control = open_control(c"/dev/mapper/control", "the kernel has no device-mapper")?;
    let mut line = heapless::String::<640>::new();
    let on = hashes.as_ref().unwrap_or(data);
    let hash_start = (start + 512).div_ceil(tree.hash_block);
    let algorithm = CStr::from_bytes_until_nul(&tree.algorithm).unwrap_or_default().to_str().unwrap_or_default();
    let salt = Hex(&tree.salt[..tree.salt_bytes]);
    let _ = write!(
        line,
        "1 {} {} {} {} {} {hash_start} {algorithm} {} {salt}{}",
        data.path.to_str().unwrap_or_default(),
        on.path.to_str().unwrap_or_default(),
        tree.data_block,
        tree.hash_block,
        tree.blocks,
        Hex(&root),
        if tree.salt_bytes == 0 { "-" } else { "" },
    ); // a longer one than there is room for is no table
    let sectors = tree.blocks.saturating_mul(tree.data_block / 512);
    let refused = |errno| match errno {
        Errno::INVAL | Errno::NXIO => Error::text(IMAGE, name, "the kernel has no dm-verity, or cannot go by this hash tree"),
        errno => Error::errno("dm-verity", name, errno),
    };
    let ask = |device: &DeviceName, request, table| sys::map_device(control.as_fd(), request, device.as_bytes(), table);
    let mut number = 0;
    let (device, minor) = loop {
        let device = device_name(id, name, number);
        match ask(&device, DeviceMapper::Create, NO_TABLE) {
            Err(Errno::BUSY) if number < MOST_AT_ONCE => {
                // It is still in use, or one of us left it who was killed at the wrong moment; then it goes.
                let _ = ask(&device, DeviceMapper::Remove, NO_TABLE);
                number += 1;
            }
            made => break (device, made.map_err(refused)?),
        }
    };
    let path = arena.format_c(format_args!("/dev/dm-{minor}"))?;
    let loaded = ask(&device, DeviceMapper::Load, (b"verity", sectors, line.as_bytes()));
    let opened = loaded
        .and_then(|_| ask(&device, DeviceMapper::Resume, NO_TABLE))
        .and_then(|_| fs::open(path, fs::OFlags::RDONLY | fs::OFlags::CLOEXEC, fs::Mode::empty()));
    let removed = ask(&device, DeviceMapper::Remove, NO_TABLE);
    let mapped = Device { path, _open: opened.map_err(refused)?, shown: name };
    removed.map_err(refused)?;
    Ok(mapped)
}

/// More of one image, of one container, are not in use at once.
const MOST_AT_ONCE: u32 = 16;

const NO_TABLE: (&[u8], u64, &[u8]) = (b"", 0, b"");

type DeviceName = heapless::String<64>;

/// No other image of a container has it, and no other start of it but for the number.
fn device_name(id: &str, image: &str, number: u32) -> DeviceName {
    let mut hash = hmac_sha256::Hash::new();
    for part in [id, "/", image] {
        hash.update(part.as_bytes());
    }
    let mut name = DeviceName::new();
    let _ = write!(name, "ocinit-{}-{number}", Hex(&hash.finalize()[..16])); // 42 bytes
    name
}
