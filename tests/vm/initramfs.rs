//! Writing an initramfs: a cpio archive in the form `newc`, made without root and without further tools.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::Path;

use crate::sys::Outcome;

/// Writes the archive; each argument is `NAME=FILE`, and its folders are made on the way.
pub fn write(arguments: &[String]) -> Outcome<i32> {
    let (output, files) = arguments.split_first().ok_or("initramfs wants an output and NAME=FILE…")?;
    let mut archive = Archive::default();
    archive.folder("dev");
    // The kernel opens it for init before anything is mounted.
    archive.entry("dev/console", libc::S_IFCHR | 0o600, (5, 1), b"");
    for pair in files {
        let (name, file) = pair.split_once('=').ok_or(format!("{pair} is not NAME=FILE"))?;
        let content = fs::read(file).map_err(|why| format!("{file}: {why}"))?;
        archive.file(name.trim_start_matches('/'), &content);
    }
    archive.entry("TRAILER!!!", 0, (0, 0), b"");
    let mut file = fs::File::create(output).map_err(|why| format!("{output}: {why}"))?;
    file.write_all(&archive.bytes).map_err(|why| format!("{output}: {why}"))?;
    Ok(0)
}

#[derive(Default)]
struct Archive {
    bytes: Vec<u8>,
    folders: BTreeSet<String>,
    count: u32,
}

impl Archive {
    fn file(&mut self, name: &str, content: &[u8]) {
        let folders: Vec<_> =
            Path::new(name).ancestors().skip(1).map(|path| path.display().to_string()).filter(|path| !path.is_empty()).collect();
        folders.iter().rev().for_each(|folder| self.folder(folder));
        self.entry(name, libc::S_IFREG | 0o755, (0, 0), content);
    }

    fn folder(&mut self, name: &str) {
        if self.folders.insert(name.to_string()) {
            self.entry(name, libc::S_IFDIR | 0o755, (0, 0), b"");
        }
    }

    /// One header of thirteen hexadecimal fields, the name, the content, each padded to four bytes.
    fn entry(&mut self, name: &str, mode: u32, device: (u32, u32), content: &[u8]) {
        self.count += 1;
        let length = content.len() as u32;
        let fields = [self.count, mode, 0, 0, 1, 0, length, 0, 0, device.0, device.1, name.len() as u32 + 1, 0];
        self.bytes.extend_from_slice(b"070701");
        fields.iter().for_each(|field| self.bytes.extend_from_slice(format!("{field:08x}").as_bytes()));
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend_from_slice(content);
        self.pad();
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}
