//! The payload of a package, cut into segments that are packed on their own and kept between builds.
//!
//! Where it is cut, and what a segment becomes, depends on the entries in and around it alone, so a payload has the same
//! bytes whether its segments come from a cache, and whatever the number of threads. Knows no format: a format says how
//! one member of its archive is written.

mod cut;
pub mod examined;
mod fill;
pub mod item;
mod packed;
mod segment;
pub mod spool;

use std::fs::File;
use std::io::{self, Read, Write};
use std::sync::Arc;

use anyhow::{Context, Result, bail};

use crate::cache::Cache;
use crate::cache::digests::of_program;
use crate::cache::key::{Key, Kind, Parts};
use crate::codec::Compression;
use crate::codec::piece::{PieceWriter, head, tail};
use crate::parallel;
use crate::segments::cut::{MEMBER, content_len, cut};
use crate::segments::examined::{Algorithm, Examined};
use crate::segments::fill::Written;
use crate::segments::item::Item;
use crate::segments::packed::Packed;
use crate::segments::segment::{Members, Segment, is_apart, segments, unread};
use crate::segments::spool::{Check, Span, Spool, SpoolWriter, joined};
use crate::tree::Entry;

/// How a format writes its archive. What is written is decided by the item alone.
pub trait Archive: Sync {
    /// The name and the version of what is written.
    fn name(&self) -> &'static str;
    /// What comes before the first member.
    fn start(&self) -> Vec<u8>;
    /// What comes behind the last one.
    fn end(&self) -> Vec<u8>;
    /// Writes what comes before the content of `item`; the whole member, if it is no file.
    fn open(&self, item: &Item<'_>, out: &mut dyn Write) -> io::Result<()>;
    /// Writes what comes behind the content of a file of `len` bytes.
    fn close(&self, len: u64, out: &mut dyn Write) -> io::Result<()>;
    /// What decides the member of `item` beside its path, its entry and its time.
    fn decides(&self, item: &Item<'_>) -> Option<u32>;
    /// How the content of files is hashed.
    fn algorithm(&self) -> Algorithm;
    /// What the package says of the content of a file, of a fixed length.
    fn fact(&self, content: Examined) -> Vec<u8>;
}

/// How a payload is packed.
#[derive(Clone, Copy, Debug)]
pub struct Means<'a> {
    /// Method and level.
    pub compression: Compression,
    /// How many segments are packed at once.
    pub jobs: usize,
    /// What earlier builds packed.
    pub cache: &'a Cache,
}

/// A payload that was packed.
#[derive(Debug)]
pub struct Payload {
    /// What the package says of each file, one after the other.
    pub facts: Vec<u8>,
    /// Bytes of the archive before it was compressed.
    pub archive_len: u64,
    head: &'static [u8],
    spans: Vec<Span>,
    tail: Vec<u8>,
}

/// Bytes of a payload that should be copied at once.
pub const COPIED: usize = 64 << 10;
/// What is shorter is copied out of the cache, so that a package of many small segments does not open as many files.
const LEFT: u64 = 1 << 20;

/// Packs the archive of `items` into `spool`; memory does not grow with what they hold.
pub fn write(
    archive: &dyn Archive,
    items: &[Item<'_>],
    means: &Means<'_>,
    spool: File,
) -> Result<Payload> {
    let apart = parallel::map(items, means.jobs, |item| is_apart(item, means.compression))?;
    let segments = segments(items, &cut(items, &apart));
    // Another mkpkg may have other codecs, or cut and write archives in another way.
    let program = of_program(means.cache);
    let packing = Packing { archive, means, program, spool: Spool::new(spool) };
    // The largest first, so that the threads end together; those that need all threads come last.
    let mut order: Vec<_> = (0..segments.len()).collect();
    order.sort_by_key(|place| std::cmp::Reverse(segments[*place].len()));
    let (large, usual): (Vec<_>, Vec<_>) =
        order.into_iter().partition(|place| segments[*place].is_large());
    let pack = |place: &usize| Ok((*place, packing.packed(&segments[*place])?));
    let mut packed = parallel::map(&usual, means.jobs, pack)?;
    for place in large {
        packed.push(pack(&place)?);
    }
    packed.sort_by_key(|(place, _)| *place);
    let tail = tail(means.compression, packed.iter().map(|(_, packed)| &packed.seams));
    Ok(Payload {
        facts: packed.iter().flat_map(|(_, packed)| &packed.facts).copied().collect(),
        archive_len: packed.iter().map(|(_, packed)| packed.archive_len).sum(),
        head: head(means.compression),
        spans: packed.into_iter().flat_map(|(_, packed)| packed.spans).collect(),
        tail,
    })
}

impl Payload {
    /// Its length in bytes.
    pub fn packed_len(&self) -> u64 {
        let spans: u64 = self.spans.iter().map(|span| span.len).sum();
        (self.head.len() + self.tail.len()) as u64 + spans
    }

    /// Its bytes, from the first to the last.
    pub fn read(&self) -> impl Read {
        self.head.chain(joined(self.spans.iter().cloned())).chain(&self.tail[..])
    }
}

struct Packing<'a> {
    archive: &'a dyn Archive,
    means: &'a Means<'a>,
    /// SHA-256 of this program.
    program: Option<[u8; 32]>,
    spool: Spool,
}

impl Packing<'_> {
    /// The segment, with the facts of this archive.
    fn packed(&self, segment: &Segment<'_, '_>) -> Result<Packed> {
        let mut packed = self.shared(segment)?;
        if let Segment::Content(item) = segment {
            packed.facts =
                self.fact_of_content(item, packed.facts).with_context(|| unread(item))?;
        }
        Ok(packed)
    }

    /// The segment from the cache, or else made, and kept for later: with the facts of this archive, or those of a content
    /// for any.
    fn shared(&self, segment: &Segment<'_, '_>) -> Result<Packed> {
        let cache = self.means.cache;
        let Some(program) = self.program.filter(|_| cache.dir().is_some()) else {
            return self.make(segment);
        };
        let key = self.key(segment, program)?;
        let _lock = match cache.found_or_locked(&key, || self.found(&key).transpose()) {
            Ok(found) => return Ok(found?),
            Err(lock) => lock,
        };
        let made = self.make(segment)?;
        // Files of the project may be edited while they are packed.
        if segment.items().iter().any(|item| !is_known(item.entry))
            && self.key(segment, program)? != key
        {
            bail!("files changed while they were packed");
        }
        cache.keep_with(&key, &mut &made.header()[..], &mut joined(made.spans.iter().cloned()));
        Ok(made)
    }

    /// The key of a segment: all that decides its bytes, this program with its codecs included.
    fn key(&self, segment: &Segment<'_, '_>, program: [u8; 32]) -> Result<Key> {
        let mut parts = Parts::new(Kind::Segment);
        parts.add(&program);
        parts.add(self.means.compression.to_string().as_bytes());
        match segment {
            Segment::Content(item) => {
                parts.add(b"content");
                describe_content(item.entry, &mut parts).with_context(|| unread(item))?;
            }
            Segment::Members(members) => self.members_key(members, &mut parts)?,
        }
        Ok(parts.key())
    }

    fn members_key(&self, members: &Members<'_, '_>, parts: &mut Parts) -> Result<()> {
        let Members { closes, items, opens, is_first, is_last } = *members;
        parts.add(self.archive.name().as_bytes());
        parts.add(&if is_first { self.archive.start() } else { Vec::new() });
        parts.add(&if is_last { self.archive.end() } else { Vec::new() });
        parts.add(&closes.map_or(0, |item| content_len(item.entry)).to_le_bytes());
        for item in items {
            self.member_key(item, parts);
            describe(item.entry, parts).with_context(|| unread(item))?;
        }
        if let Some(item) = opens {
            // Its content is elsewhere, and may change without what stands before it.
            parts.add(b"opens");
            self.member_key(item, parts);
            describe_member(item.entry, parts);
        }
        Ok(())
    }

    fn member_key(&self, item: &Item<'_>, parts: &mut Parts) {
        parts.add(item.path.as_str().as_bytes());
        parts.add(&item.mtime.to_le_bytes());
        let decided = self.archive.decides(item).map(u32::to_le_bytes);
        parts.add(decided.as_ref().map_or(&[], |bytes| &bytes[..]));
    }

    /// The segment of `key`, if the cache has it.
    fn found(&self, key: &Key) -> io::Result<Option<Packed>> {
        let cache = self.means.cache;
        let Some(entry) = cache.find(key) else { return Ok(None) };
        let Some(mut packed) = Packed::parse(entry) else {
            cache.distrust(key);
            return Ok(None);
        };
        let check = Arc::new(Check { crc: packed.crc, cache: cache.clone(), key: *key });
        packed.spans.iter_mut().for_each(|span| span.check = Some(Arc::clone(&check)));
        if packed.spans.iter().all(|span| span.len < LEFT) {
            let mut bytes = Vec::new();
            match joined(packed.spans).read_to_end(&mut bytes) {
                Ok(_) => packed.spans = vec![self.spool.append(&bytes)?],
                // It is packed anew.
                Err(_) => return Ok(None),
            }
        }
        Ok(Some(packed))
    }

    fn make(&self, segment: &Segment<'_, '_>) -> Result<Packed> {
        let compression = self.means.compression;
        // Long names take more.
        let len = segment.len() + 2 * MEMBER * (segment.items().len() as u64 + 1);
        let threads = if segment.is_large() { self.means.jobs.max(1) } else { 0 };
        let out = SpoolWriter::new(&self.spool);
        let piece = PieceWriter::new(out, compression, threads, len)?;
        let Written { piece, archive_len, facts } = self.fill(segment, piece)?;
        let (out, seams) = piece.finish()?;
        let (spans, crc) = out.finish()?;
        Ok(Packed { spans, archive_len, facts, seams, crc })
    }
}

/// Everything of an entry that decides its bytes in any archive, but for its time.
pub fn describe(entry: &Entry, parts: &mut Parts) -> io::Result<()> {
    describe_member(entry, parts);
    describe_content(entry, parts)
}

/// What of it decides what is written before its content.
fn describe_member(entry: &Entry, parts: &mut Parts) {
    match entry {
        Entry::Dir { mode } => {
            parts.add(b"dir");
            parts.add(&mode.to_le_bytes());
        }
        Entry::Symlink { target } => {
            parts.add(b"link");
            parts.add(target.as_bytes());
        }
        Entry::File { content, mode, .. } => {
            parts.add(b"file");
            parts.add(&mode.to_le_bytes());
            parts.add(&content.len().to_le_bytes());
        }
    }
}

fn describe_content(entry: &Entry, parts: &mut Parts) -> io::Result<()> {
    if let Entry::File { content, .. } = entry {
        parts.add(&content.sha256()?);
    }
    Ok(())
}

/// Whether the digest of an entry's content is known.
fn is_known(entry: &Entry) -> bool {
    match entry {
        Entry::File { content, .. } => content.known_sha256().is_some(),
        Entry::Dir { .. } | Entry::Symlink { .. } => true,
    }
}
