//! Where packed segments wait until they are joined: in a file without a name, or where they were found.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Some bytes of a file.
#[derive(Clone, Debug)]
pub(super) struct Span {
    pub(super) file: Arc<File>,
    pub(super) offset: u64,
    pub(super) len: u64,
}

/// Spans, one after the other.
pub(super) struct Joined {
    /// What is left of each, the next one first.
    spans: VecDeque<Span>,
}

/// The bytes of `spans`.
pub(super) fn joined(spans: impl IntoIterator<Item = Span>) -> Joined {
    Joined { spans: spans.into_iter().collect() }
}

impl Read for Joined {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(Span { file, offset, len }) = self.spans.front_mut() {
            if *len > 0 {
                let want = buffer.len().min(usize::try_from(*len).unwrap_or(usize::MAX));
                let count = file.read_at(&mut buffer[..want], *offset)?;
                if count == 0 && want > 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                *offset += count as u64;
                *len -= count as u64;
                return Ok(count);
            }
            self.spans.pop_front();
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
        self.file.write_all_at(bytes, offset)?;
        Ok(Span { file: Arc::clone(&self.file), offset, len })
    }
}

/// A writer to the end of a spool, for the one thread there is.
pub(super) struct Growing<'s> {
    spool: &'s Spool,
    start: u64,
    len: u64,
}

impl<'s> Growing<'s> {
    pub(super) fn new(spool: &'s Spool) -> Self {
        Self { spool, start: spool.end.load(Ordering::Relaxed), len: 0 }
    }

    /// What was written.
    pub(super) fn finish(self) -> Span {
        Span { file: Arc::clone(&self.spool.file), offset: self.start, len: self.len }
    }
}

impl Write for Growing<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.spool.append(bytes)?;
        self.len += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
