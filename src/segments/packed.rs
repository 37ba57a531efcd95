//! A packed segment, and how it is kept.

use std::sync::Arc;

use crate::cache::Found;
use crate::codec::piece::Seams;
use crate::codec::xz::Block;
use crate::segments::spool::Span;

/// A packed segment.
pub(super) struct Packed {
    /// Where its bytes are.
    pub(super) spans: Vec<Span>,
    pub(super) archive_len: u64,
    pub(super) facts: Vec<u8>,
    pub(super) seams: Seams,
    /// CRC-32 of its bytes.
    pub(super) crc: u32,
}

impl Packed {
    /// What is kept of it beside its bytes: numbers of 64 bits, and the facts.
    pub(super) fn header(&self) -> Vec<u8> {
        let blocks = &self.seams.blocks;
        let len = self.spans.iter().map(|span| span.len).sum();
        let numbers = [len, u64::from(self.crc), self.archive_len, blocks.len() as u64];
        let blocks = blocks.iter().flat_map(|block| [block.unpadded, block.len]);
        let numbers = numbers.into_iter().chain(blocks).flat_map(u64::to_le_bytes);
        numbers.chain(self.facts.iter().copied()).collect()
    }

    /// What [`Self::header`] says, and where the packed bytes are; `None` unless there are as many as it says.
    pub(super) fn parse(entry: Found) -> Option<Self> {
        let Found { content, file, offset, len } = entry;
        let mut rest = &content[..];
        let mut number = || {
            let (number, behind) = rest.split_first_chunk()?;
            rest = behind;
            Some(u64::from_le_bytes(*number))
        };
        let (stated, crc, archive_len, count) = (number()?, number()?, number()?, number()?);
        let blocks: Option<Vec<_>> =
            (0..count).map(|_| Some(Block { unpadded: number()?, len: number()? })).collect();
        let seams = Seams { blocks: blocks? };
        let spans = vec![Span { file: Arc::new(file), offset, len, check: None }];
        let crc = u32::try_from(crc).ok()?;
        (len == stated).then(|| Self { spans, archive_len, facts: rest.to_vec(), seams, crc })
    }
}
