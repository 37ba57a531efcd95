//! Zstandard (RFC 8878): pieces that are packed on their own, joined to one frame.
//!
//! Blocks of a frame refer to what is before them in two ways. Matches do not leave the piece they are in, as a piece is
//! packed knowing nothing else, and a piece has no tables of another for the same reason. But the last three offsets are
//! remembered from block to block (3.1.1.5), and whoever packs a piece supposes those a frame begins with: 1, 4 and 8. So
//! every piece begins with two blocks whose matches have just these offsets. Matches need something to match: what is
//! equal everywhere, as the unused fields in the header of an archive's member are.

use std::io::{self, Write};

use zstd::stream::write::Encoder;

/// The frame: magic number, no checksum, no size, a window of 2^23 bytes (3.1.1.1).
pub(super) const HEAD: [u8; 6] = [0x28, 0xb5, 0x2f, 0xfd, 0, (MAX_WINDOW_LOG - 10) << 3];
/// The last block, which holds nothing.
pub(super) const TAIL: [u8; 3] = [1, 0, 0];
/// What no level has a larger window than.
const MAX_WINDOW_LOG: u8 = 23;
/// What no level has a smaller window than.
const LEAST_WINDOW_LOG: u32 = 19;
/// As small a window as is worth it.
const SHORTEST_LOG: u32 = 17;

/// How far a run of equal bytes is looked for from the beginning of a piece.
pub(super) const LOOKED_AT: usize = 1024;
/// Bytes of a run: eight that the first match is copied from, and three matches of the shortest length.
const RUN: usize = 8 + 3 * MATCH;
const MATCH: usize = 3;
/// Bytes in a block at most (3.1.1.2.4).
const BLOCK: usize = 128 << 10;

/// Packs one piece.
pub(super) enum PieceWriter<W: Write> {
    /// The first bytes are still coming.
    Beginning { start: Vec<u8>, out: W, how: How },
    /// They are out.
    Packing(Encoder<'static, Blocks<W>>),
    /// They hold no run, so nothing is packed.
    Raw { block: Vec<u8>, out: W },
    /// It went wrong, and this is nothing any more.
    Failed,
}

/// How a piece is packed.
#[derive(Clone, Copy, Debug)]
pub(super) struct How {
    pub(super) level: i32,
    /// More threads; bytes do not depend on the number, but on whether there are any.
    pub(super) threads: u32,
    /// About how many bytes there are.
    pub(super) len: u64,
}

impl<W: Write> PieceWriter<W> {
    pub(super) fn new(out: W, how: How) -> Self {
        Self::Beginning { start: Vec::with_capacity(LOOKED_AT), out, how }
    }

    pub(super) fn finish(mut self) -> io::Result<W> {
        self.begin()?;
        match self {
            Self::Packing(encoder) => encoder.finish()?.finish(),
            Self::Raw { block, mut out } => {
                write_raw(&mut out, &block)?;
                Ok(out)
            }
            Self::Beginning { .. } | Self::Failed => Err(io::Error::other("packing failed")),
        }
    }

    /// Writes the first bytes, unless they are out.
    fn begin(&mut self) -> io::Result<()> {
        let (start, mut out, how) = match std::mem::replace(self, Self::Failed) {
            Self::Beginning { start, out, how } => (start, out, how),
            begun @ (Self::Packing(_) | Self::Raw { .. } | Self::Failed) => {
                *self = begun;
                return Ok(());
            }
        };
        let Some(run) = run(&start) else {
            *self = Self::Raw { block: Vec::with_capacity(BLOCK), out };
            return self.write_all(&start);
        };
        out.write_all(&resetting(&start[..run + 8]))?;
        let mut encoder = Encoder::new(Blocks::new(out), how.level)?;
        // To clear tables for megabytes takes longer than to pack what is short.
        if how.len <= 1 << LEAST_WINDOW_LOG {
            encoder.window_log(how.len.max(1).next_power_of_two().ilog2().max(SHORTEST_LOG))?;
        }
        encoder.include_checksum(false)?;
        // zstd knows the size of a short piece, and would write another header.
        encoder.include_contentsize(false)?;
        if how.threads > 0 {
            encoder.multithread(how.threads)?;
        }
        encoder.write_all(&start[run + RUN..])?;
        *self = Self::Packing(encoder);
        Ok(())
    }
}

/// How much zstd's threads are given at a time. For each part it gives back 32 KiB at most, and what they have ready
/// beyond that waits in buffers of some 16 MiB; with twice as much room as is ever needed, they are empty soon.
const FEED: usize = 16 << 10;

impl<W: Write> Write for PieceWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Beginning { start, .. } => {
                let count = bytes.len().min(LOOKED_AT - start.len());
                start.extend_from_slice(&bytes[..count]);
                if start.len() == LOOKED_AT {
                    self.begin()?;
                }
                Ok(count)
            }
            Self::Packing(encoder) => encoder.write(&bytes[..bytes.len().min(FEED)]),
            Self::Raw { block, out } => {
                let count = bytes.len().min(BLOCK - block.len());
                block.extend_from_slice(&bytes[..count]);
                if block.len() == BLOCK {
                    write_raw(out, block)?;
                    block.clear();
                }
                Ok(count)
            }
            Self::Failed => Err(io::Error::other("packing failed")),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Where [`RUN`] equal bytes begin.
pub(super) fn run(start: &[u8]) -> Option<usize> {
    start.windows(RUN).position(|run| run.iter().all(|byte| *byte == run[0]))
}

fn write_raw(out: &mut impl Write, block: &[u8]) -> io::Result<()> {
    if block.is_empty() {
        return Ok(());
    }
    out.write_all(&block_header(0, block.len()))?;
    out.write_all(block)
}

/// A header of a block that is not the last: of type 0, as it is, or 2, packed (3.1.1.2).
fn block_header(kind: u32, len: usize) -> [u8; 3] {
    let len = u32::try_from(len).expect("a block is short");
    let [first, second, third, _] = (kind << 1 | len << 3).to_le_bytes();
    [first, second, third]
}

/// Two blocks that yield `literals`, which end with eight equal bytes, and nine more of these; behind them the
/// remembered offsets are 1, 4 and 8.
fn resetting(literals: &[u8]) -> Vec<u8> {
    let mut first = literals_section(literals);
    first.extend(sequences(&[(literals.len(), 8)]));
    let mut second = literals_section(&[]);
    second.extend(sequences(&[(0, 4), (0, 1)]));
    let blocks = [first, second];
    blocks.iter().flat_map(|block| [&block_header(2, block.len())[..], block].concat()).collect()
}

/// Literals as they are, with a size of twelve bits (3.1.1.3.1.1).
fn literals_section(literals: &[u8]) -> Vec<u8> {
    let header = u16::try_from(literals.len()).expect("a start is short") << 4 | 1 << 2;
    [&header.to_le_bytes()[..], literals].concat()
}

/// Sequences of so many literals and a match of [`MATCH`] bytes at an offset. All have the same code for literals, and
/// the same one for offsets, so no table is needed (3.1.1.3.2.1.1, `RLE_Mode`).
fn sequences(sequences: &[(usize, u32)]) -> Vec<u8> {
    let (literals, offset) = sequences[0];
    let (literals_code, ..) = literals_code(literals);
    // An offset is written as a number that is larger by three; the three below are the remembered ones.
    let offset_code = (offset + 3).ilog2();
    let rle_everywhere = 0b01_01_01_00;
    let (count, codes) = (sequences.len() as u8, [literals_code, offset_code as u8, 0]);
    // Bits are read from the last one, above which a single 1 stands: of each offset, match, and number of literals.
    let (mut bits, mut bit_count) = (1_u64, 1);
    for (literals, offset) in sequences {
        let (_, base, extra) = self::literals_code(*literals);
        let offset = u64::from(offset + 3) - (1 << offset_code);
        for (value, width) in [(offset, offset_code), ((literals - base) as u64, extra)] {
            bits = bits << width | value;
            bit_count += width;
        }
    }
    let bits = bits.to_le_bytes();
    let bits = &bits[..(bit_count as usize).div_ceil(8)];
    [&[count, rle_everywhere][..], &codes, bits].concat()
}

/// The code for a number of literals, the lowest number it stands for, and its bits beyond that (3.1.1.3.2.1.1).
fn literals_code(literals: usize) -> (u8, usize, u32) {
    const CODES: [(u8, usize, u32); 13] = [
        (16, 16, 1),
        (17, 18, 1),
        (18, 20, 1),
        (19, 22, 1),
        (20, 24, 2),
        (21, 28, 2),
        (22, 32, 3),
        (23, 40, 3),
        (24, 48, 4),
        (25, 64, 6),
        (26, 128, 7),
        (27, 256, 8),
        (28, 512, 9),
    ];
    match u8::try_from(literals) {
        Ok(code @ 0..16) => (code, literals, 0),
        Ok(_) | Err(_) => {
            let fits = CODES.iter().rev().find(|(_, base, _)| *base <= literals);
            *fits.expect("the first code stands for 16")
        }
    }
}

/// Passes the blocks of one frame on, none of which is the last any more, and nothing else of it.
pub(super) struct Blocks<W> {
    out: W,
    state: State,
}

/// What comes next.
enum State {
    /// The header of the frame.
    Frame(Vec<u8>),
    /// That of a block.
    Block(Vec<u8>),
    /// So many bytes of a block; and whether it is the last.
    Content(usize, bool),
    /// Nothing.
    End,
}

impl<W: Write> Blocks<W> {
    fn new(out: W) -> Self {
        Self { out, state: State::Frame(Vec::new()) }
    }

    fn finish(self) -> io::Result<W> {
        match self.state {
            State::End => Ok(self.out),
            State::Frame(_) | State::Block(_) | State::Content(..) => Err(unexpected()),
        }
    }

    /// What follows a block's header, which is passed on if the block holds anything.
    fn block(&mut self, header: &[u8]) -> io::Result<State> {
        let fields = u32::from_le_bytes([header[0], header[1], header[2], 0]);
        let (is_last, kind, len) = (fields & 1 == 1, fields >> 1 & 3, (fields >> 3) as usize);
        if kind != 0 || len != 0 {
            self.out.write_all(&[header[0] & !1, header[1], header[2]])?;
        }
        Ok(match (kind, len) {
            // One byte that is repeated.
            (1, _) => State::Content(1, is_last),
            (0 | 2, 1..) => State::Content(len, is_last),
            (0, 0) if is_last => State::End,
            (0, 0) => State::Block(Vec::new()),
            _ => return Err(unexpected()),
        })
    }
}

impl<W: Write> Write for Blocks<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut rest = bytes;
        while let Some(first) = rest.first() {
            match &mut self.state {
                State::Frame(header) => {
                    header.push(*first);
                    rest = &rest[1..];
                    if header.len() == HEAD.len() {
                        check_frame(header)?;
                        self.state = State::Block(Vec::new());
                    }
                }
                State::Block(header) => {
                    header.push(*first);
                    rest = &rest[1..];
                    if header.len() == 3 {
                        let header = std::mem::take(header);
                        self.state = self.block(&header)?;
                    }
                }
                State::Content(left, is_last) => {
                    let (count, is_last) = (rest.len().min(*left), *is_last);
                    *left -= count;
                    let is_through = *left == 0;
                    self.out.write_all(&rest[..count])?;
                    rest = &rest[count..];
                    if is_through {
                        self.state = if is_last { State::End } else { State::Block(Vec::new()) };
                    }
                }
                State::End => return Err(unexpected()),
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// A header as zstd writes it for content of unknown length, with no checksum, and a window that fits [`HEAD`]'s.
fn check_frame(header: &[u8]) -> io::Result<()> {
    let is_plain = header[..5] == HEAD[..5];
    if is_plain && header[5] <= HEAD[5] { Ok(()) } else { Err(unexpected()) }
}

fn unexpected() -> io::Error {
    io::Error::other("zstd wrote a frame of another form than expected")
}
