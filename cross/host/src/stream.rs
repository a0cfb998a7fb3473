//! Bytes on their way in: compressed or not, counted, hashed, and never more of them than was agreed.

use std::cell::RefCell;
use std::io::{self, BufRead, BufReader, Read};
use std::rc::Rc;

use sha2::{Digest, Sha256};

use crate::progress::Progress;

const GZIP: [u8; 2] = [0x1f, 0x8b];
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// Known compressions that are not decoded: their magic, and what to do instead.
const UNSUPPORTED: [(&[u8], &str); 2] = [(b"\xfd7zXZ\0", "xz"), (b"BZh", "bzip2")];

/// The digest and the number of all bytes that were read, to be asked for when the reader itself is deep inside others.
#[derive(Clone, Default)]
pub struct Seen(Rc<RefCell<(Sha256, u64)>>);

impl Seen {
    /// `sha256:…`.
    pub fn digest(&self) -> String {
        let hash = self.0.borrow().0.clone().finalize();
        format!("sha256:{}", hash.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
    }

    pub fn bytes(&self) -> u64 {
        self.0.borrow().1
    }
}

/// Hashes and counts what passes, and shows it.
pub struct Watched<R> {
    inner: R,
    seen: Seen,
    progress: Option<Progress>,
}

impl<R: Read> Watched<R> {
    pub fn new(inner: R, seen: &Seen, progress: Option<&Progress>) -> Self {
        Watched { inner, seen: seen.clone(), progress: progress.cloned() }
    }
}

impl<R: Read> Read for Watched<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        let mut seen = self.seen.0.borrow_mut();
        seen.0.update(&buffer[..length]);
        seen.1 += length as u64;
        if let Some(progress) = &self.progress {
            progress.read(length as u64);
        }
        Ok(length)
    }
}

/// Takes compression off, whatever the media type claims: the first bytes decide.
pub fn decompressed<'a>(inner: impl Read + 'a) -> io::Result<Box<dyn Read + 'a>> {
    let mut inner = BufReader::with_capacity(1 << 16, inner);
    let head = inner.fill_buf()?;
    for (magic, name) in UNSUPPORTED {
        if head.starts_with(magic) {
            return Err(io::Error::other(format!("is compressed by {name}, which is not supported: gzip and zstd are")));
        }
    }
    if head.starts_with(&GZIP) {
        return Ok(Box::new(flate2::bufread::MultiGzDecoder::new(inner)));
    }
    if head.starts_with(&ZSTD) {
        return Ok(Box::new(Frames { inner: Some(inner), decoder: None }));
    }
    Ok(Box::new(inner))
}

/// zstd frames one after the other, as parallel compressors write them.
struct Frames<R: BufRead> {
    inner: Option<R>,
    decoder: Option<ruzstd::decoding::StreamingDecoder<R, ruzstd::decoding::FrameDecoder>>,
}

impl<R: BufRead> Read for Frames<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if let Some(decoder) = &mut self.decoder {
                let length = decoder.read(buffer)?;
                if length > 0 || buffer.is_empty() {
                    return Ok(length);
                }
                self.inner = self.decoder.take().map(ruzstd::decoding::StreamingDecoder::into_inner);
            }
            let Some(mut inner) = self.inner.take() else { return Ok(0) };
            if inner.fill_buf()?.is_empty() {
                return Ok(0);
            }
            let decoder = ruzstd::decoding::StreamingDecoder::new(inner).map_err(|why| io::Error::other(format!("zstd: {why}")))?;
            self.decoder = Some(decoder);
        }
    }
}

/// How many bytes may still be read, settable from outside while a tar reader holds the stream.
#[derive(Clone)]
pub struct Allowance(Rc<RefCell<(u64, &'static str)>>);

impl Allowance {
    pub fn new() -> Self {
        Allowance(Rc::new(RefCell::new((0, ""))))
    }

    /// From now on at most `bytes`; beyond that reading fails with `sentence`.
    pub fn set(&self, bytes: u64, sentence: &'static str) {
        *self.0.borrow_mut() = (bytes, sentence);
    }
}

/// Reads no more than its allowance.
pub struct Bounded<R> {
    pub inner: R,
    pub allowance: Allowance,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut allowance = self.allowance.0.borrow_mut();
        if allowance.0 == 0 && !buffer.is_empty() {
            return Err(io::Error::other(allowance.1));
        }
        let most = buffer.len().min(usize::try_from(allowance.0).unwrap_or(usize::MAX));
        let length = self.inner.read(&mut buffer[..most])?;
        allowance.0 -= length as u64;
        Ok(length)
    }
}
