//! What is seen of the content of files while they are packed.

use std::io::{self, Read};

use crate::digest::{Hasher, HashingReader};

/// The digest a package has of each file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// MD5.
    Md5,
    /// SHA-256.
    Sha256,
}

/// What was seen of the content of a file while it was packed.
#[derive(Debug)]
pub struct Examined {
    /// Its digest.
    pub digest: Vec<u8>,
    /// Its first bytes, as many as [`STARTS`].
    pub start: Vec<u8>,
}

/// How many bytes of the start of a file are kept.
pub const STARTS: usize = 5;

/// Content that is hashed while it is read, and whose first bytes are kept.
pub(super) struct Examining<R> {
    inner: HashingReader<R>,
    start: Vec<u8>,
}

impl<R: Read> Examining<R> {
    pub(super) fn new(inner: R, hasher: Hasher) -> Self {
        Self { inner: HashingReader::new(inner, hasher), start: Vec::new() }
    }

    pub(super) fn finish(self) -> Examined {
        Examined { digest: self.inner.finish(), start: self.start }
    }
}

impl<R: Read> Read for Examining<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        let missing = STARTS.saturating_sub(self.start.len()).min(count);
        self.start.extend_from_slice(&buffer[..missing]);
        Ok(count)
    }
}
