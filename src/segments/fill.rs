//! What a segment holds, before it is compressed.

use std::io::{self, BufWriter, Write};

use anyhow::{Context, Result};

use crate::codec::piece::PieceWriter;
use crate::digest::{Hasher, MD5};
use crate::segments::Packing;
use crate::segments::cut::content_len;
use crate::segments::examined::{Algorithm, Digesting, Examined, Examining};
use crate::segments::item::Item;
use crate::segments::segment::{Members, Segment};
use crate::tree::Entry;
use crate::tree::content::Content;

/// A segment that was written.
pub(super) struct Written<W: Write> {
    pub(super) piece: PieceWriter<W>,
    pub(super) archive_len: u64,
    pub(super) facts: Vec<u8>,
}

impl Packing<'_> {
    /// Writes a segment into `piece`.
    pub(super) fn fill<W: Write>(
        &self,
        segment: &Segment<'_, '_>,
        piece: PieceWriter<W>,
    ) -> Result<Written<W>> {
        let counted = Counted { inner: piece, len: 0 };
        let mut out = BufWriter::with_capacity(128 << 10, counted);
        let facts = match segment {
            Segment::Members(members) => self.fill_members(members, &mut out)?,
            Segment::Content(item) => {
                fill_content(item, &mut out).with_context(|| unpacked(item))?
            }
        };
        let counted = out.into_inner().map_err(io::Error::from)?;
        Ok(Written { piece: counted.inner, archive_len: counted.len, facts })
    }

    fn fill_members(&self, members: &Members<'_, '_>, out: &mut dyn Write) -> Result<Vec<u8>> {
        let Members { closes, items, opens, is_first, is_last } = *members;
        if is_first {
            out.write_all(&self.archive.start())?;
        }
        if let Some(item) = closes {
            self.archive.close(content_len(item.entry), out)?;
        }
        let mut facts = Vec::new();
        for item in items {
            facts.extend(self.append(item, out).with_context(|| unpacked(item))?);
        }
        if let Some(item) = opens {
            self.archive.open(item, out).with_context(|| unpacked(item))?;
        }
        if is_last {
            out.write_all(&self.archive.end())?;
        }
        Ok(facts)
    }

    fn append(&self, item: &Item<'_>, mut out: &mut dyn Write) -> io::Result<Vec<u8>> {
        self.archive.open(item, out)?;
        let Entry::File { content, .. } = item.entry else { return Ok(Vec::new()) };
        let examined = copy(content, self.archive.algorithm(), &mut out)?;
        self.archive.close(content.len(), out)?;
        Ok(self.archive.fact(examined))
    }

    /// What the package says of a content, by its facts for any.
    pub(super) fn fact_of_content(&self, item: &Item<'_>, facts: Vec<u8>) -> io::Result<Vec<u8>> {
        let Entry::File { content, .. } = item.entry else { return Ok(facts) };
        let (md5, start) = facts.split_at_checked(MD5).ok_or(io::ErrorKind::InvalidData)?;
        let digest = match self.archive.algorithm() {
            Algorithm::Md5 => md5.to_vec(),
            Algorithm::Sha256 => content.sha256()?.to_vec(),
        };
        Ok(self.archive.fact(Examined { digest, start: start.to_vec() }))
    }
}

/// Writes the content of `item`, and tells its MD5 and its first bytes.
fn fill_content(item: &Item<'_>, out: &mut dyn Write) -> io::Result<Vec<u8>> {
    let Entry::File { content, .. } = item.entry else { return Ok(Vec::new()) };
    let Examined { digest, start } = copy(content, Algorithm::Md5, out)?;
    Ok([digest, start].concat())
}

fn copy(content: &Content, algorithm: Algorithm, mut out: &mut dyn Write) -> io::Result<Examined> {
    let digest = match (algorithm, content.vouched()) {
        (Algorithm::Sha256, Some(known)) => Digesting::Known(known),
        (Algorithm::Sha256, None) => Digesting::Hashed(Hasher::sha256()),
        (Algorithm::Md5, _) => Digesting::Hashed(Hasher::md5()),
    };
    let mut reader = Examining::new(content.open_vouched()?, digest);
    if io::copy(&mut reader, &mut out)? != content.len() {
        return Err(io::Error::other("content is not as long as listed"));
    }
    Ok(reader.finish())
}

fn unpacked(item: &Item<'_>) -> String {
    format!("cannot pack `{}`", item.path)
}

/// Counts what is written through it.
struct Counted<W> {
    inner: W,
    len: u64,
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.inner.write(bytes)?;
        self.len += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
