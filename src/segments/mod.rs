//! The payload of a package, cut into segments that are packed on their own and kept between builds.
//!
//! Where it is cut, and what a segment becomes, depends on the entries in and around it alone, so a payload has the same
//! bytes whether its segments come from a cache, and whatever the number of threads. Knows no format: a format says how
//! one member of its archive is written.

mod cut;
pub mod examined;
pub mod item;
mod spool;

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::sync::Arc;

use anyhow::{Context, Result, bail};

use crate::cache::digests::of_program;
use crate::cache::{Cache, Found, Key, Kind};
use crate::codec::Compression;
use crate::codec::piece::{PieceWriter, Seams, head, tail};
use crate::codec::xz::Block;
use crate::digest::Hasher;
use crate::parallel;
use crate::segments::cut::{content_len, cut};
use crate::segments::examined::{Examined, Examining};
use crate::segments::item::Item;
use crate::segments::spool::{Growing, Span, Spool, joined};
use crate::tree::Entry;

/// How a format writes its archive. What is written is decided by the item alone.
pub trait Archive: Sync {
    /// The name and the version of what is written.
    fn name(&self) -> &'static str;
    /// What comes before the first member.
    fn start(&self) -> Vec<u8>;
    /// What comes behind the last one.
    fn end(&self) -> Vec<u8>;
    /// Writes the member of `item`, whose bytes, if it is a file, `content` yields.
    fn append(
        &self,
        item: &Item<'_>,
        content: &mut dyn Read,
        out: &mut dyn Write,
    ) -> io::Result<()>;
    /// What decides the member of `item` beside its path, its entry and its time.
    fn decides(&self, item: &Item<'_>) -> Option<u32>;
    /// How the content of files is hashed.
    fn hasher(&self) -> Hasher;
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
pub const COPIED: usize = 1 << 20;
/// A file of this length is packed by all threads.
const LARGE: u64 = 48 << 20;
/// What is shorter is copied out of the cache, so that a package of many small segments does not open as many files.
const LEFT: u64 = 1 << 20;

/// Packs the archive of `items`, of a package made at `epoch`, into `spool`; memory does not grow with what they hold.
pub fn write(
    archive: &dyn Archive,
    items: &[Item<'_>],
    epoch: u64,
    means: &Means<'_>,
    spool: File,
) -> Result<Payload> {
    let segments = cut(items, epoch);
    let segments: Vec<_> = (0..)
        .zip(&segments)
        .map(|(place, range)| Segment {
            items: &items[range.clone()],
            is_first: place == 0,
            is_last: place + 1 == segments.len(),
        })
        .collect();
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
        spans: packed.into_iter().map(|(_, packed)| packed.span).collect(),
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

/// Entries that are packed together.
struct Segment<'i, 't> {
    items: &'i [Item<'t>],
    is_first: bool,
    is_last: bool,
}

impl Segment<'_, '_> {
    fn len(&self) -> u64 {
        self.items.iter().map(|item| content_len(item.entry)).sum()
    }

    fn is_large(&self) -> bool {
        self.len() > LARGE
    }
}

/// A packed segment.
struct Packed {
    span: Span,
    archive_len: u64,
    facts: Vec<u8>,
    seams: Seams,
}

struct Packing<'a> {
    archive: &'a dyn Archive,
    means: &'a Means<'a>,
    /// SHA-256 of this program.
    program: Option<[u8; 32]>,
    spool: Spool,
}

impl Packing<'_> {
    /// The segment from the cache, or else made, and kept for later.
    fn packed(&self, segment: &Segment<'_, '_>) -> Result<Packed> {
        let cannot = "cannot write to the spool";
        let cache = self.means.cache;
        let Some(program) = self.program.filter(|_| cache.dir().is_some()) else {
            return self.make(segment);
        };
        let key = self.key(segment, program)?;
        if let Some(found) = self.found(&key).context(cannot)? {
            return Ok(found);
        }
        // Of several builds one packs it, and the others wait and find it.
        let lock = cache.lock(&key);
        if lock.is_some()
            && let Some(found) = self.found(&key).context(cannot)?
        {
            return Ok(found);
        }
        let made = self.make(segment)?;
        // Files of the project may be edited while they are packed.
        if segment.items.iter().any(|item| !is_known(item.entry))
            && self.key(segment, program)? != key
        {
            bail!("files changed while they were packed");
        }
        cache.keep(&key, &mut made.header().chain(joined([made.span.clone()])));
        Ok(made)
    }

    /// The key of a segment: all that decides its bytes, this program with its codecs included.
    fn key(&self, segment: &Segment<'_, '_>, program: [u8; 32]) -> Result<Key> {
        let compression = self.means.compression.to_string();
        let name = self.archive.name().into();
        let start = if segment.is_first { self.archive.start() } else { Vec::new() };
        let end = if segment.is_last { self.archive.end() } else { Vec::new() };
        let mut parts = vec![program.to_vec(), name, compression.into_bytes(), start, end];
        for item in segment.items {
            parts.push(item.path.as_str().into());
            parts.push(self.describe(item)?);
        }
        Ok(Key::new(Kind::Segment, &parts))
    }

    /// Everything of an item but its path that decides its bytes.
    fn describe(&self, item: &Item<'_>) -> Result<Vec<u8>> {
        let mut text = item.mtime.to_le_bytes().to_vec();
        match item.entry {
            Entry::Dir { mode } => text.extend(format!("dir {mode:o}").bytes()),
            Entry::Symlink { target } => text.extend(format!("link {target}").bytes()),
            Entry::File { content, mode, .. } => {
                let digest = content.sha256();
                let digest = digest.with_context(|| format!("cannot read `{}`", item.path))?;
                text.extend(format!("file {mode:o} {} ", content.len()).bytes());
                text.extend(digest);
            }
        }
        text.extend(self.archive.decides(item).into_iter().flat_map(u32::to_le_bytes));
        Ok(text)
    }

    /// The segment of `key`, if the cache has it.
    fn found(&self, key: &Key) -> io::Result<Option<Packed>> {
        let Some(entry) = self.means.cache.find(key) else { return Ok(None) };
        let Some(mut packed) = Packed::parse(entry) else { return Ok(None) };
        if packed.span.len < LEFT {
            let mut bytes = Vec::new();
            joined([packed.span]).read_to_end(&mut bytes)?;
            packed.span = self.spool.append(&bytes)?;
        }
        Ok(Some(packed))
    }

    fn make(&self, segment: &Segment<'_, '_>) -> Result<Packed> {
        let cannot = "cannot write to the spool";
        let compression = self.means.compression;
        if segment.is_large() {
            let out = Growing::new(&self.spool);
            let piece =
                PieceWriter::new(out, compression, self.means.jobs.max(1)).context(cannot)?;
            let Written { piece, archive_len, facts } = self.fill(segment, piece)?;
            let (out, seams) = piece.finish().context(cannot)?;
            return Ok(Packed { span: out.finish(), archive_len, facts, seams });
        }
        let piece = PieceWriter::new(Vec::new(), compression, 0).context(cannot)?;
        let Written { piece, archive_len, facts } = self.fill(segment, piece)?;
        let (bytes, seams) = piece.finish().context(cannot)?;
        let span = self.spool.append(&bytes).context(cannot)?;
        Ok(Packed { span, archive_len, facts, seams })
    }

    /// Writes the members of a segment into `piece`.
    fn fill<W: Write>(
        &self,
        segment: &Segment<'_, '_>,
        piece: PieceWriter<W>,
    ) -> Result<Written<W>> {
        let cannot = "cannot write to the spool";
        let counted = Counted { inner: piece, len: 0 };
        let mut out = BufWriter::with_capacity(128 << 10, counted);
        if segment.is_first {
            out.write_all(&self.archive.start()).context(cannot)?;
        }
        let mut facts = Vec::new();
        for item in segment.items {
            let fact = self.append(item, &mut out);
            facts.extend(fact.with_context(|| format!("cannot pack `{}`", item.path))?);
        }
        if segment.is_last {
            out.write_all(&self.archive.end()).context(cannot)?;
        }
        let counted = out.into_inner().map_err(io::Error::from).context(cannot)?;
        Ok(Written { piece: counted.inner, archive_len: counted.len, facts })
    }

    fn append(&self, item: &Item<'_>, out: &mut dyn Write) -> io::Result<Vec<u8>> {
        let Entry::File { content, .. } = item.entry else {
            self.archive.append(item, &mut io::empty(), out)?;
            return Ok(Vec::new());
        };
        let mut reader = Examining::new(content.open_vouched()?, self.archive.hasher());
        self.archive.append(item, &mut reader, out)?;
        Ok(self.archive.fact(reader.finish()))
    }
}

/// Whether the digest of an entry's content is known.
fn is_known(entry: &Entry) -> bool {
    match entry {
        Entry::File { content, .. } => content.known_sha256().is_some(),
        Entry::Dir { .. } | Entry::Symlink { .. } => true,
    }
}

/// A segment whose members were written.
struct Written<W: Write> {
    piece: PieceWriter<W>,
    archive_len: u64,
    facts: Vec<u8>,
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

impl Packed {
    /// What stands before the packed bytes in the cache: numbers of 64 bits, and the facts.
    fn header(&self) -> Vec<u8> {
        let blocks = &self.seams.blocks;
        let counts = [self.archive_len, self.facts.len() as u64, blocks.len() as u64];
        let blocks = blocks.iter().flat_map(|block| [block.unpadded, block.len]);
        let numbers = counts.into_iter().chain(blocks).flat_map(u64::to_le_bytes);
        numbers.chain(self.facts.iter().copied()).collect()
    }

    /// What [`Self::header`] wrote into `entry`, and where the packed bytes are.
    fn parse(entry: Found) -> Option<Self> {
        let Found { file, offset, len } = entry;
        let mut span = Span { file: Arc::new(file), offset, len };
        let mut header = BufReader::new(joined([span.clone()]));
        let mut number = || {
            let mut number = [0; 8];
            header.read_exact(&mut number).ok()?;
            Some(u64::from_le_bytes(number))
        };
        let (archive_len, facts_len, count) = (number()?, number()?, number()?);
        let blocks: Option<Vec<_>> =
            (0..count).map(|_| Some(Block { unpadded: number()?, len: number()? })).collect();
        let seams = Seams { blocks: blocks? };
        let mut facts = Vec::new();
        header.take(facts_len).read_to_end(&mut facts).ok()?;
        let header_len = size_of::<u64>() as u64 * (3 + 2 * count) + facts_len;
        span.offset += header_len;
        span.len = span.len.checked_sub(header_len)?;
        Some(Self { span, archive_len, facts, seams })
    }
}
