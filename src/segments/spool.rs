//! The file that packed segments wait in until they are joined.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU64, Ordering};

/// Where a packed segment is in the spool.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub(super) offset: u64,
    pub(super) len: u64,
}

/// Spans of a file, one after the other.
pub(super) struct Joined<'p> {
    pub(super) file: &'p File,
    /// What is left of each, the next one first.
    pub(super) spans: VecDeque<Span>,
}

impl Read for Joined<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(Span { offset, len }) = self.spans.front_mut() {
            if *len > 0 {
                let want = buffer.len().min(usize::try_from(*len).unwrap_or(usize::MAX));
                let count = self.file.read_at(&mut buffer[..want], *offset)?;
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
    pub(super) file: File,
    pub(super) end: AtomicU64,
}

impl Spool {
    pub(super) fn append(&self, bytes: &[u8]) -> io::Result<Span> {
        let len = bytes.len() as u64;
        let offset = self.end.fetch_add(len, Ordering::Relaxed);
        self.file.write_all_at(bytes, offset)?;
        Ok(Span { offset, len })
    }
}

/// A writer to the end of a spool, for the one thread there is.
pub(super) struct Growing<'s> {
    pub(super) spool: &'s Spool,
    pub(super) start: u64,
    pub(super) len: u64,
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
