//! Pieces of a stream that are packed on their own, and joined to one stream that every decoder reads.
//!
//! One stream, because dpkg stops at the end of the first one without a word.

use std::io::{self, Write};

use crate::codec::{Compression, GzipMembers, xz, zstd};

/// What of a piece has to be known where pieces are joined.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seams {
    /// Its blocks, of xz alone.
    pub blocks: Vec<xz::Block>,
}

/// Packs one piece; call [`PieceWriter::finish`], or it is cut short.
///
/// Pieces of Zstandard should have a run of 17 equal bytes in their first kilobyte, as every member of an archive has in
/// its header. Where one has none, it is not packed.
pub struct PieceWriter<W: Write>(Inner<W>);

enum Inner<W: Write> {
    Zstd(zstd::PieceWriter<W>),
    Xz(xz::PieceWriter<W>),
    Gzip(GzipMembers<W>),
}

impl<W: Write> PieceWriter<W> {
    /// Packs about `len` bytes into `out` with `threads` more threads. Bytes do not depend on their number, though of
    /// Zstandard they do on whether there are any.
    pub fn new(out: W, compression: Compression, threads: usize, len: u64) -> io::Result<Self> {
        let threads = u32::try_from(threads.min(64)).expect("64 is no large number");
        Ok(Self(match compression {
            Compression::Zstd(level) => {
                Inner::Zstd(zstd::PieceWriter::new(out, zstd::How { level, threads, len }))
            }
            Compression::Xz(preset) => Inner::Xz(xz::PieceWriter::new(out, preset, threads, len)?),
            Compression::Gzip(level) => Inner::Gzip(GzipMembers::new(out, level, threads)),
        }))
    }

    /// Ends the piece and gives the writer back.
    pub fn finish(self) -> io::Result<(W, Seams)> {
        match self.0 {
            Inner::Zstd(piece) => Ok((piece.finish()?, Seams::default())),
            Inner::Xz(piece) => {
                let (out, blocks) = piece.finish()?;
                Ok((out, Seams { blocks }))
            }
            Inner::Gzip(members) => Ok((members.finish()?, Seams::default())),
        }
    }
}

impl<W: Write> Write for PieceWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.0 {
            Inner::Zstd(piece) => piece.write(bytes),
            Inner::Xz(piece) => piece.write(bytes),
            Inner::Gzip(members) => members.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// How many bytes [`can_begin`] is to be given.
pub const BEGINNING: usize = zstd::LOOKED_AT;

/// Whether what begins with `start` can be a piece by itself, whatever packs it.
pub fn can_begin(start: &[u8]) -> bool {
    zstd::run(start).is_some()
}

/// What comes before the first piece of a stream.
pub fn head(compression: Compression) -> &'static [u8] {
    match compression {
        Compression::Zstd(_) => &zstd::HEAD,
        Compression::Xz(_) => &xz::HEAD,
        Compression::Gzip(_) => &[],
    }
}

/// What comes behind the last piece of a stream whose pieces have `seams`. A stream has one piece at least.
pub fn tail<'s>(compression: Compression, seams: impl Iterator<Item = &'s Seams>) -> Vec<u8> {
    match compression {
        Compression::Zstd(_) => zstd::TAIL.to_vec(),
        Compression::Xz(_) => {
            let blocks: Vec<_> = seams.flat_map(|seams| &seams.blocks).copied().collect();
            xz::tail(&blocks)
        }
        Compression::Gzip(_) => Vec::new(),
    }
}

/// `bytes` as a whole stream of one piece.
pub fn pack(bytes: &[u8], compression: Compression) -> io::Result<Vec<u8>> {
    let mut piece =
        PieceWriter::new(head(compression).to_vec(), compression, 0, bytes.len() as u64)?;
    piece.write_all(bytes)?;
    let (mut stream, seams) = piece.finish()?;
    stream.extend(tail(compression, [seams].iter()));
    Ok(stream)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use crate::codec::piece::{PieceWriter, head, pack, tail};
    use crate::codec::{Compression, Method, decompress};

    const ALL: [(Compression, Method); 5] = [
        (Compression::Zstd(3), Method::Zstd),
        (Compression::Zstd(19), Method::Zstd),
        (Compression::Xz(1), Method::Xz),
        (Compression::Xz(6), Method::Xz),
        (Compression::Gzip(6), Method::Gzip),
    ];

    fn join(pieces: &[Vec<u8>], compression: Compression, threads: usize) -> Vec<u8> {
        let mut stream = head(compression).to_vec();
        let mut all = Vec::new();
        for piece in pieces {
            let mut writer =
                PieceWriter::new(stream, compression, threads, piece.len() as u64).unwrap();
            writer.write_all(piece).unwrap();
            let (out, seams) = writer.finish().unwrap();
            stream = out;
            all.push(seams);
        }
        stream.extend(tail(compression, all.iter()));
        stream
    }

    fn check(pieces: &[Vec<u8>], compressions: &[(Compression, Method)]) {
        for (compression, method) in compressions {
            for threads in [0, 2] {
                let stream = join(pieces, *compression, threads);
                let mut output = Vec::new();
                decompress(&stream[..], *method).unwrap().read_to_end(&mut output).unwrap();
                let lens: Vec<_> = pieces.iter().map(Vec::len).collect();
                assert!(output == pieces.concat(), "{compression} of {lens:?} does not round-trip");
            }
        }
    }

    /// Text in which matches at the remembered offsets are found again and again, behind the header of a member.
    fn member(seed: u64, len: usize) -> Vec<u8> {
        let mut random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut bytes = format!("./opt/member-{seed}").into_bytes();
        bytes.resize(512, 0);
        while bytes.len() < 512 + len {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let at = random as usize % bytes.len();
            let count = (random >> 40) as usize % 40;
            for offset in 0..count {
                bytes.push(bytes[at + offset.min(bytes.len() - at - 1)]);
            }
            bytes.push((random >> 32) as u8);
        }
        bytes.truncate(512 + len);
        bytes
    }

    fn noise(seed: u64, len: usize) -> Vec<u8> {
        let mut random = seed | 1;
        let mut next = || {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            (random >> 24) as u8
        };
        (0..len).map(|_| next()).collect()
    }

    #[test]
    fn pieces_of_every_kind() {
        check(&[member(1, 0)], &ALL);
        check(&[member(1, 100_000), member(2, 300_000), member(3, 5)], &ALL);
        check(&[Vec::new(), member(2, 3000), Vec::new(), Vec::new(), vec![0; 1024]], &ALL);
        check(&[noise(1, 400_000), member(5, 1000), noise(2, 7), member(6, 70_000)], &ALL);
        check(&[vec![7; 17], vec![7; 16], vec![7; 18], member(7, 2000)], &ALL);
    }

    #[test]
    fn pieces_longer_than_a_window() {
        check(&[member(1, 3_000_000), member(2, 30_000)], &[(Compression::Zstd(1), Method::Zstd)]);
    }

    #[test]
    fn every_length_before_a_run() {
        let piece = |len: usize| [noise(7, len), vec![9; 40], member(len as u64, 200)].concat();
        let pieces: Vec<_> = (0..700).map(piece).collect();
        check(&pieces, &ALL[..1]);
    }

    #[test]
    fn thousands_of_pieces() {
        let pieces: Vec<_> = (0..5000).map(|seed| member(seed, (seed % 97) as usize)).collect();
        let stream = join(&pieces, Compression::Zstd(3), 0);
        let mut output = Vec::new();
        decompress(&stream[..], Method::Zstd).unwrap().read_to_end(&mut output).unwrap();
        assert!(output == pieces.concat());
    }

    #[test]
    fn threads_do_not_show() {
        let pieces = [member(1, 3_000_000)];
        for compression in [Compression::Zstd(1), Compression::Xz(0), Compression::Gzip(1)] {
            let one = join(&pieces, compression, 1);
            assert!(one == join(&pieces, compression, 3), "{compression}");
        }
        assert_eq!(pack(b"", Compression::Zstd(3)).unwrap().len(), 9);
    }
}
