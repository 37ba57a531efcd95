//! Where the bytes of a file of a package come from.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;

use crate::codec::{exactly, inflate};
use crate::digest::{Hasher, HashingReader, sha256};
use crate::late::LateSpan;

/// Where the bytes of a file are.
#[derive(Clone, Debug)]
pub enum Content {
    /// In memory; for what is generated.
    Bytes(Arc<[u8]>),
    /// A file on the host.
    Path {
        /// Its path.
        path: PathBuf,
        /// Its size in bytes when it was listed; a writer refuses any other.
        len: u64,
        /// SHA-256 of the content when it was listed, where that was looked at.
        sha256: Option<[u8; 32]>,
    },
    /// A span of an open file: a member of a zip, or a part of a spool.
    Span {
        /// The open file, read with `pread` only, so it can be shared.
        file: Arc<File>,
        /// Where the span starts, in bytes.
        offset: u64,
        /// How long it is in the file, in bytes.
        stored_len: u64,
        /// How long it is once inflated, in bytes.
        len: u64,
        /// Whether it is a raw DEFLATE stream (RFC 1951).
        deflated: bool,
        /// SHA-256 of the content, where it is known and somebody vouches for it.
        sha256: Option<[u8; 32]>,
    },
    /// A span of a part of a spool that is filled when something of it is asked for.
    Late(LateSpan),
}

impl Content {
    /// Content from memory.
    pub fn bytes(bytes: impl Into<Vec<u8>>) -> Self {
        Self::Bytes(Arc::from(bytes.into()))
    }

    /// Size of the content in bytes.
    pub fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Path { len, .. } | Self::Span { len, .. } => *len,
            Self::Late(span) => span.len,
        }
    }

    /// SHA-256 of the content, as far as it is known without a look into a file.
    pub fn known_sha256(&self) -> Option<[u8; 32]> {
        match self {
            Self::Bytes(bytes) => Some(sha256(bytes)),
            Self::Path { sha256, .. } | Self::Span { sha256, .. } => *sha256,
            Self::Late(span) => Some(span.sha256),
        }
    }

    /// SHA-256 of the content, which is read if it must be.
    pub fn sha256(&self) -> io::Result<[u8; 32]> {
        match self.known_sha256() {
            Some(known) => Ok(known),
            None => {
                let (digest, _) = Hasher::sha256().read(&mut self.open()?)?;
                Ok(digest.try_into().expect("SHA-256 has 32 bytes"))
            }
        }
    }

    /// The same content, whose SHA-256 the caller vouches for.
    #[must_use]
    pub fn with_sha256(mut self, known: [u8; 32]) -> Self {
        match &mut self {
            Self::Path { sha256, .. } | Self::Span { sha256, .. } => *sha256 = Some(known),
            Self::Bytes(_) | Self::Late(_) => {}
        }
        self
    }

    /// Whether there is no content.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A reader that yields exactly [`Content::len`] bytes or fails.
    pub fn open(&self) -> io::Result<Box<dyn Read + '_>> {
        let reader: Box<dyn Read> = match self {
            Self::Bytes(bytes) => Box::new(&bytes[..]),
            Self::Path { path, .. } => Box::new(File::open(path)?),
            Self::Span { file, offset, stored_len, deflated, .. } => {
                let span = SpanReader { file, offset: *offset, left: *stored_len };
                if *deflated { Box::new(inflate(span, *stored_len)) } else { Box::new(span) }
            }
            Self::Late(LateSpan { part, offset, len, .. }) => {
                let (file, start) = part.get()?;
                Box::new(SpanReader { file, offset: start + offset, left: *len })
            }
        };
        Ok(Box::new(exactly(reader, self.len())))
    }

    /// The same; with the last byte it fails if what is in a file is not what somebody vouches for. For what is kept of it:
    /// a file can change while a build runs.
    pub fn open_vouched(&self) -> io::Result<Box<dyn Read + '_>> {
        let exact = self.open()?;
        Ok(match self.vouched() {
            Some(known) => {
                let inner = HashingReader::new(exact, Hasher::sha256());
                Box::new(Vouched { inner: Some(inner), left: self.len(), known })
            }
            None => exact,
        })
    }

    /// The SHA-256 somebody vouches for.
    pub fn vouched(&self) -> Option<[u8; 32]> {
        match self {
            Self::Path { sha256, .. } | Self::Span { sha256, .. } => *sha256,
            Self::Bytes(_) | Self::Late(_) => None,
        }
    }

    /// The whole content; for small files and one file at a time.
    pub fn read(&self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(usize::try_from(self.len()).unwrap_or(0).min(1 << 30));
        self.open()?.read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

/// Fails with the last byte unless all together have the digest that is known.
struct Vouched<R> {
    /// `None` once all was read.
    inner: Option<HashingReader<R>>,
    left: u64,
    known: [u8; 32],
}

impl<R: Read> Read for Vouched<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(inner) = &mut self.inner else { return Ok(0) };
        let count = inner.read(buffer)?;
        self.left = self.left.saturating_sub(count as u64);
        if self.left == 0
            && let Some(inner) = self.inner.take_if(|_| count > 0)
            && inner.finish() != self.known
        {
            let what = "content changed since it was looked at";
            return Err(io::Error::new(io::ErrorKind::InvalidData, what));
        }
        Ok(count)
    }
}

/// What is left of a part of a file.
struct SpanReader<'a> {
    file: &'a File,
    offset: u64,
    left: u64,
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

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::sync::Arc;

    use crate::digest::sha256;
    use crate::tree::content::Content;

    #[test]
    fn spans_yield_exactly_what_was_listed() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"0123456789").unwrap();
        let file = Arc::new(file);
        let span = |stored_len, len| Content::Span {
            file: Arc::clone(&file),
            offset: 2,
            stored_len,
            len,
            deflated: false,
            sha256: None,
        };
        let mut text = String::new();
        span(3, 3).open().unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "234");
        let vouched = |digest| {
            let mut text = Vec::new();
            let content = span(3, 3).with_sha256(digest);
            content.open_vouched().unwrap().read_to_end(&mut text).map(|_| text)
        };
        assert_eq!(vouched(sha256(b"234")).unwrap(), b"234");
        let changed = vouched(sha256(b"235")).unwrap_err();
        assert_eq!(changed.to_string(), "content changed since it was looked at");
        assert!(span(3, 4).read().is_err());
        assert!(span(4, 3).read().is_err());
    }
}
