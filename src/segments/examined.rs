//! What is seen of the content of files while they are packed.

use std::io::{self, Read};

use crate::digest::Hasher;

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

/// How the digest of a content comes to be known.
pub(super) enum Digesting {
    /// It is; reading fails where the content has another.
    Known([u8; 32]),
    /// By what is read.
    Hashed(Hasher),
}

/// Content that is examined while it is read.
pub(super) struct Examining<R> {
    inner: R,
    digest: Digesting,
    start: Vec<u8>,
}

impl<R: Read> Examining<R> {
    pub(super) fn new(inner: R, digest: Digesting) -> Self {
        Self { inner, digest, start: Vec::new() }
    }

    pub(super) fn finish(self) -> Examined {
        let digest = match self.digest {
            Digesting::Known(digest) => digest.to_vec(),
            Digesting::Hashed(hasher) => hasher.finish(),
        };
        Examined { digest, start: self.start }
    }
}

impl<R: Read> Read for Examining<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        if let Digesting::Hashed(hasher) = &mut self.digest {
            hasher.update(&buffer[..count]);
        }
        let missing = STARTS.saturating_sub(self.start.len()).min(count);
        self.start.extend_from_slice(&buffer[..missing]);
        Ok(count)
    }
}
