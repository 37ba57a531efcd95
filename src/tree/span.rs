//! Reads a part of a file that others read, too.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;

/// What is left of a part of a file.
pub(super) struct SpanReader<'a> {
    pub(super) file: &'a File,
    pub(super) offset: u64,
    pub(super) left: u64,
}

impl Read for SpanReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let want = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let count = self.file.read_at(&mut buffer[..want], self.offset)?;
        self.offset += count as u64;
        self.left -= count as u64;
        Ok(count)
    }
}
