//! Compressed streams: zstd, xz and gzip, in and out, with bytes that do not depend on the number of threads. What older
//! packages are compressed with, bzip2 and lzma, is read only.
//!
//! The only module that knows the codec crates.

pub mod piece;
pub mod xz;
mod zstd;

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, BufReader, Read, Write};
use std::str::FromStr;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;

use bzip2::read::MultiBzDecoder;
use flate2::read::{DeflateDecoder, MultiGzDecoder};
use flate2::write::GzEncoder;
use flate2::{Compression as GzipLevel, GzBuilder};
use liblzma::read::XzDecoder;
use liblzma::stream::{CONCATENATED, Stream};

use crate::error::UserError;

/// A method and its level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Zstandard (RFC 8878), levels 1 to 19.
    Zstd(i32),
    /// xz, presets 0 to 9.
    Xz(u32),
    /// gzip (RFC 1952), levels 1 to 9.
    Gzip(u32),
}

impl Compression {
    /// The level used when only the method is named.
    pub const ZSTD: Self = Self::Zstd(9);
    /// The preset used when only the method is named.
    pub const XZ: Self = Self::Xz(6);
    /// The level used when only the method is named.
    pub const GZIP: Self = Self::Gzip(9);
}

impl FromStr for Compression {
    type Err = UserError;

    fn from_str(text: &str) -> Result<Self, UserError> {
        let (method, level) = match text.split_once(':') {
            None => (text, None),
            Some((method, level)) => (method, Some(level)),
        };
        let fault = || {
            UserError::usage(format!("compression `{text}` is not known"))
                .hint("use `auto`, `zstd[:1-19]`, `xz[:0-9]` or `gzip[:1-9]`")
        };
        let parse =
            |default: u32| level.map_or(Ok(default), |level| level.parse().map_err(|_| fault()));
        match (method, parse(0)?) {
            ("zstd", 0) if level.is_none() => Ok(Self::ZSTD),
            ("zstd", level @ 1..=19) => Ok(Self::Zstd(level.cast_signed())),
            ("xz", 0) if level.is_none() => Ok(Self::XZ),
            ("xz", level @ 0..=9) => Ok(Self::Xz(level)),
            ("gzip", 0) if level.is_none() => Ok(Self::GZIP),
            ("gzip", level @ 1..=9) => Ok(Self::Gzip(level)),
            _ => Err(fault()),
        }
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Zstd(level) => write!(f, "zstd:{level}"),
            Self::Xz(level) => write!(f, "xz:{level}"),
            Self::Gzip(level) => write!(f, "gzip:{level}"),
        }
    }
}

/// How a stream is compressed, as its first bytes or a file name say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Not at all.
    None,
    /// gzip, any number of members.
    Gzip,
    /// xz, any number of streams.
    Xz,
    /// Zstandard, any number of frames.
    Zstd,
    /// bzip2, any number of streams.
    Bzip2,
    /// The format xz replaced.
    Lzma,
}

/// Memory an xz stream may ask for, in bytes: the highest preset needs an eighth of it.
const XZ_MEMORY: u64 = 512 << 20;

/// Reads what a stream compressed by `method` holds.
pub fn decompress<'a>(input: impl Read + 'a, method: Method) -> io::Result<Box<dyn Read + 'a>> {
    Ok(match method {
        Method::None => Box::new(input),
        Method::Gzip => Box::new(MultiGzDecoder::new(input)),
        Method::Xz => {
            let stream = Stream::new_stream_decoder(XZ_MEMORY, CONCATENATED)?;
            Box::new(XzDecoder::new_stream(BufReader::new(input), stream))
        }
        Method::Bzip2 => Box::new(MultiBzDecoder::new(input)),
        Method::Lzma => {
            let stream = Stream::new_lzma_decoder(XZ_MEMORY)?;
            Box::new(XzDecoder::new_stream(BufReader::new(input), stream))
        }
        Method::Zstd => Box::new(::zstd::stream::read::Decoder::new(input)?),
    })
}

/// Reads a raw DEFLATE stream of `stored_len` bytes, as zip members hold it; bytes behind its end are an error.
pub fn inflate<R: Read>(input: R, stored_len: u64) -> impl Read {
    Inflater { decoder: DeflateDecoder::new(input), stored_len }
}

struct Inflater<R> {
    decoder: DeflateDecoder<R>,
    stored_len: u64,
}

impl<R: Read> Read for Inflater<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.decoder.read(buffer)?;
        if count == 0 && !buffer.is_empty() && self.decoder.total_in() != self.stored_len {
            let message = "compressed data ends before the member does";
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        Ok(count)
    }
}

/// A CRC-32 as zip members carry it, fed piece by piece.
#[derive(Debug, Default)]
pub struct Crc32(flate2::Crc);

impl Crc32 {
    /// Adds `bytes`.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The checksum of everything added.
    pub fn finish(&self) -> u32 {
        self.0.sum()
    }
}

/// `bytes` as one gzip member without name and time.
pub fn gzip(bytes: &[u8], level: u32) -> Vec<u8> {
    deflate_member(bytes, GzipLevel::new(level))
}

/// How much input one gzip member holds: large enough that the lost window costs under 1 %.
const GZIP_MEMBER: usize = 4 << 20;

/// gzip in members of [`GZIP_MEMBER`] bytes, each compressed on a thread of its own.
struct GzipMembers<W> {
    out: W,
    level: GzipLevel,
    /// Members that may be packed at once.
    threads: usize,
    block: Vec<u8>,
    pending: VecDeque<Receiver<Vec<u8>>>,
    is_empty: bool,
}

impl<W: Write> GzipMembers<W> {
    fn new(out: W, level: u32, threads: u32) -> Self {
        let (level, threads) = (GzipLevel::new(level), threads.max(1) as usize);
        Self { out, level, threads, block: Vec::new(), pending: VecDeque::new(), is_empty: true }
    }

    fn start_member(&mut self) -> io::Result<()> {
        if self.pending.len() >= self.threads {
            self.collect_member()?;
        }
        let block = std::mem::take(&mut self.block);
        let level = self.level;
        let (sender, receiver) = sync_channel(1);
        thread::Builder::new().name("gzip".to_owned()).spawn(move || {
            // The receiver is gone only when writing failed already.
            let _ = sender.send(deflate_member(&block, level));
        })?;
        self.pending.push_back(receiver);
        self.is_empty = false;
        Ok(())
    }

    fn collect_member(&mut self) -> io::Result<()> {
        if let Some(receiver) = self.pending.pop_front() {
            let member = receiver.recv().map_err(io::Error::other)?;
            self.out.write_all(&member)?;
        }
        Ok(())
    }

    fn finish(mut self) -> io::Result<W> {
        if !self.block.is_empty() || self.is_empty {
            self.start_member()?;
        }
        while !self.pending.is_empty() {
            self.collect_member()?;
        }
        Ok(self.out)
    }
}

impl<W: Write> Write for GzipMembers<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = bytes.len().min(GZIP_MEMBER - self.block.len());
        self.block.extend_from_slice(&bytes[..count]);
        if self.block.len() == GZIP_MEMBER {
            self.start_member()?;
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn deflate_member(bytes: &[u8], level: GzipLevel) -> Vec<u8> {
    let mut encoder: GzEncoder<Vec<u8>> = GzBuilder::new().mtime(0).write(Vec::new(), level);
    encoder.write_all(bytes).and_then(|()| encoder.finish()).expect("writing to memory cannot fail")
}

/// A reader that fails when `inner` yields fewer or more bytes than `len`.
pub fn exactly<'a>(inner: impl Read + 'a, len: u64) -> impl Read + 'a {
    ExactReader { inner, left: len }
}

/// Fails when the inner reader yields fewer or more bytes than promised.
struct ExactReader<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for ExactReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let count = self.inner.read(buffer)?;
        match self.left.checked_sub(count as u64) {
            None => {
                Err(io::Error::new(io::ErrorKind::InvalidData, "content is longer than listed"))
            }
            Some(left) if count == 0 && left > 0 => {
                Err(io::Error::new(io::ErrorKind::UnexpectedEof, "content is shorter than listed"))
            }
            Some(left) => {
                self.left = left;
                Ok(count)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use bzip2::write::BzEncoder;

    use crate::codec::{Compression, Method, decompress};

    #[test]
    fn bzip2_of_several_streams_and_one_cut_short() {
        let stream = |text: &[u8]| {
            let mut encoder = BzEncoder::new(Vec::new(), bzip2::Compression::best());
            encoder.write_all(text).unwrap();
            encoder.finish().unwrap()
        };
        let whole = [stream(b"one, "), stream(b"two")].concat();
        let read = |packed: &[u8]| {
            let mut output = Vec::new();
            decompress(packed, Method::Bzip2)?.read_to_end(&mut output).map(|_| output)
        };
        assert_eq!(read(&whole).unwrap(), b"one, two");
        assert!(read(&whole[..whole.len() - 4]).is_err());
        let mut damaged = whole;
        damaged[20] ^= 1;
        assert!(read(&damaged).is_err());
    }

    #[test]
    fn names() {
        for (text, expected) in [
            ("zstd", Some(Compression::Zstd(9))),
            ("zstd:19", Some(Compression::Zstd(19))),
            ("zstd:0", None),
            ("xz:0", Some(Compression::Xz(0))),
            ("xz", Some(Compression::Xz(6))),
            ("gzip:10", None),
            ("brotli", None),
            ("xz:", None),
        ] {
            assert_eq!(text.parse::<Compression>().ok(), expected, "{text}");
        }
    }
}
