//! Where packed segments wait until they are joined: in a file without a name, or where they were found.

use std::collections::VecDeque;
use std::error::Error;
use std::fmt;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::cache::Cache;
use crate::cache::key::Key;
use crate::codec::Crc32;

/// Some bytes of a file.
#[derive(Clone, Debug)]
pub(super) struct Span {
    pub(super) file: Arc<File>,
    pub(super) offset: u64,
    pub(super) len: u64,
    /// What they must be, where they lie in a cache.
    pub(super) check: Option<Arc<Check>>,
}

/// What the bytes of an entry of the cache must be.
#[derive(Debug)]
pub(super) struct Check {
    pub(super) crc: u32,
    pub(super) cache: Cache,
    pub(super) key: Key,
}

/// An entry of the cache turned out to be damaged while it was copied; it is not found again.
#[derive(Debug)]
struct Damaged;

impl fmt::Display for Damaged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an entry of the cache is damaged")
    }
}

impl Error for Damaged {}

impl Check {
    fn damaged(&self) -> io::Error {
        self.cache.distrust(&self.key);
        io::Error::new(io::ErrorKind::InvalidData, Damaged)
    }
}

/// Whether a payload could not be read because an entry of the cache is damaged: packed once more, it will do without.
pub fn is_damaged(error: &anyhow::Error) -> bool {
    let mut errors = error.chain().filter_map(|cause| cause.downcast_ref::<io::Error>());
    errors.any(|error| error.get_ref().is_some_and(|inner| inner.is::<Damaged>()))
}

/// Spans, one after the other.
pub(super) struct Joined {
    /// What is left of each, the next one first.
    spans: VecDeque<Span>,
    /// Of what was read of the first.
    crc: Crc32,
}

/// The bytes of `spans`; those of a cache are verified meanwhile.
pub(super) fn joined(spans: impl IntoIterator<Item = Span>) -> Joined {
    Joined { spans: spans.into_iter().collect(), crc: Crc32::default() }
}

impl Read for Joined {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(Span { file, offset, len, check }) = self.spans.front_mut() {
            let want = buffer.len().min(usize::try_from(*len).unwrap_or(usize::MAX));
            let count = match (file.read_at(&mut buffer[..want], *offset), &check) {
                (Err(error), Some(check)) if error.kind() != io::ErrorKind::Interrupted => {
                    return Err(check.damaged());
                }
                (count, _) => count?,
            };
            let is_short = count == 0 && want > 0;
            *offset += count as u64;
            *len -= count as u64;
            if let Some(check) = check {
                self.crc.update(&buffer[..count]);
                if is_short || *len == 0 && self.crc.finish() != check.crc {
                    return Err(check.damaged());
                }
            } else if is_short {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if *len == 0 {
                self.spans.pop_front();
                self.crc = Crc32::default();
            }
            if count > 0 || buffer.is_empty() {
                return Ok(count);
            }
        }
        Ok(0)
    }
}

/// A file that several threads append to.
pub(super) struct Spool {
    file: Arc<File>,
    end: AtomicU64,
}

impl Spool {
    /// Appends to `file`, which is empty.
    pub(super) fn new(file: File) -> Self {
        Self { file: Arc::new(file), end: AtomicU64::new(0) }
    }

    pub(super) fn append(&self, bytes: &[u8]) -> io::Result<Span> {
        let len = bytes.len() as u64;
        let offset = self.end.fetch_add(len, Ordering::Relaxed);
        self.file.write_all_at(bytes, offset).map_err(|error| {
            io::Error::new(error.kind(), format!("cannot write to the spool: {error}"))
        })?;
        Ok(Span { file: Arc::clone(&self.file), offset, len, check: None })
    }
}

/// A writer of bytes that belong together, one of several to a spool.
pub(super) struct SpoolWriter<'s> {
    spool: &'s Spool,
    /// What was written to the spool.
    spans: Vec<Span>,
    /// What is still to be.
    buffer: Vec<u8>,
    crc: Crc32,
}

/// Bytes that are written to a spool at once.
const BLOCK: usize = 512 << 10;

impl<'s> SpoolWriter<'s> {
    pub(super) fn new(spool: &'s Spool) -> Self {
        Self { spool, spans: Vec::new(), buffer: Vec::new(), crc: Crc32::default() }
    }

    /// What was written, and its CRC-32.
    pub(super) fn finish(mut self) -> io::Result<(Vec<Span>, u32)> {
        self.flush()?;
        Ok((self.spans, self.crc.finish()))
    }
}

impl Write for SpoolWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= BLOCK {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let next = self.spool.append(&self.buffer)?;
        self.crc.update(&self.buffer);
        self.buffer.clear();
        match self.spans.last_mut() {
            Some(last) if last.offset + last.len == next.offset => last.len += next.len,
            Some(_) | None => self.spans.push(next),
        }
        Ok(())
    }
}
