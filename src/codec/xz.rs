//! xz (The .xz File Format 1.2): pieces of one or more blocks, joined to one stream with an index of all.

use std::io::{self, Write};

use liblzma::stream::{Check, Filters, LzmaOptions, MtStreamBuilder};
use liblzma::write::XzEncoder;

use crate::codec::Crc32;

/// Bytes in a block: a piece of usual length is one. `xz -6` takes 24 MiB, and more bytes. Decoders with several threads
/// unpack as many blocks at once.
const BLOCK: u64 = 32 << 20;
/// Bytes in the smallest dictionary that LZMA2 has (5.3.1), and in the smallest of a preset (xz(1), "-0 ... -9").
const SMALLEST: u32 = 4 << 10;
const SMALLEST_PRESET: u32 = 256 << 10;
/// The header of a stream whose blocks have a CRC-64 (2.1.1).
pub(super) const HEAD: [u8; 12] = [0xfd, b'7', b'z', b'X', b'Z', 0, 0, 4, 0xe6, 0xd6, 0xb4, 0x46];
const FOOTER_LEN: usize = 12;
/// An index of thousands of blocks is shorter.
const HELD: usize = 64 << 10;

/// What an index says of a block: its length without padding, and how much it holds (4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// Bytes of the block, without its padding.
    pub unpadded: u64,
    /// Bytes in it once it is unpacked.
    pub len: u64,
}

/// Packs one piece.
pub(super) struct PieceWriter<W: Write>(Box<XzEncoder<Middle<W>>>);

impl<W: Write> PieceWriter<W> {
    /// Of about `len` bytes, with `threads` threads, and at least one; bytes do not depend on the number.
    pub(super) fn new(out: W, preset: u32, threads: u32, len: u64) -> io::Result<Self> {
        let mut options = LzmaOptions::new_preset(preset)?;
        // Tables for a dictionary that is never filled cost more than to pack what is short.
        if let Ok(len @ ..=SMALLEST_PRESET) = u32::try_from(len) {
            options.dict_size(len.next_power_of_two().max(SMALLEST));
        }
        let mut stream = MtStreamBuilder::new();
        stream.threads(threads.max(1)).block_size(BLOCK).check(Check::Crc64);
        let mut filters = Filters::new();
        filters.lzma2(&options);
        stream.filters(filters);
        let middle = Middle { out, head: 0, held: Vec::new() };
        Ok(Self(Box::new(XzEncoder::new_stream(middle, stream.encoder()?))))
    }

    pub(super) fn finish(self) -> io::Result<(W, Vec<Block>)> {
        self.0.finish()?.finish()
    }
}

impl<W: Write> Write for PieceWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Passes the blocks of a stream on: all but its header, its index and its footer.
struct Middle<W> {
    out: W,
    /// Bytes of the header that were there.
    head: usize,
    /// The last bytes, among which the index is.
    held: Vec<u8>,
}

impl<W: Write> Middle<W> {
    fn finish(mut self) -> io::Result<(W, Vec<Block>)> {
        let (index_start, blocks) = parse_end(&self.held).ok_or_else(|| {
            io::Error::other("liblzma wrote a stream of another form than expected")
        })?;
        self.out.write_all(&self.held[..index_start])?;
        Ok((self.out, blocks))
    }
}

impl<W: Write> Write for Middle<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let skipped = bytes.len().min(HEAD.len() - self.head);
        self.head += skipped;
        self.held.extend_from_slice(&bytes[skipped..]);
        if self.held.len() > 2 * HELD {
            let passed = self.held.len() - HELD;
            self.out.write_all(&self.held[..passed])?;
            self.held.drain(..passed);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Where in the last bytes of a stream its index begins, and the blocks it lists (2.1.2, 4).
fn parse_end(end: &[u8]) -> Option<(usize, Vec<Block>)> {
    let footer = end.len().checked_sub(FOOTER_LEN)?;
    let words = u32::from_le_bytes(end.get(footer + 4..footer + 8)?.try_into().ok()?);
    let index_start = footer.checked_sub((words as usize + 1) * 4)?;
    let mut index = end[index_start..footer].iter().copied();
    if index.next()? != 0 {
        return None;
    }
    let count = number(&mut index)?;
    let blocks: Option<Vec<_>> = (0..count)
        .map(|_| Some(Block { unpadded: number(&mut index)?, len: number(&mut index)? }))
        .collect();
    Some((index_start, blocks?))
}

/// A number of seven bits a byte, the lowest first (1.2).
fn number(bytes: &mut impl Iterator<Item = u8>) -> Option<u64> {
    let mut number = 0;
    for shift in (0..63).step_by(7) {
        let byte = bytes.next()?;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

fn write_number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// The end of a stream: the index of `blocks`, and the footer.
pub(super) fn tail(blocks: &[Block]) -> Vec<u8> {
    let mut index = vec![0];
    write_number(&mut index, blocks.len() as u64);
    for block in blocks {
        write_number(&mut index, block.unpadded);
        write_number(&mut index, block.len);
    }
    index.resize(index.len().next_multiple_of(4), 0);
    let words = u32::try_from(index.len() / 4).expect("an index is shorter than 16 GiB");
    let fields = [&words.to_le_bytes()[..], &HEAD[6..8]].concat();
    let (index_crc, fields_crc) = (crc32(&index), crc32(&fields));
    [&index[..], &index_crc, &fields_crc, &fields, b"YZ"].concat()
}

fn crc32(bytes: &[u8]) -> [u8; 4] {
    let mut crc = Crc32::default();
    crc.update(bytes);
    crc.finish().to_le_bytes()
}
