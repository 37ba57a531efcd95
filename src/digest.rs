//! Digests of file content, and the text forms formats want them in.
//!
//! The only module that knows the digest crates.

use std::io::{self, Read, Write};

use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha384, Sha512};

/// SHA-256 of `bytes`.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// Lower-case hexadecimal text.
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
}

/// URL-safe base64 without padding, as RECORD files write hashes (PEP 427).
pub fn base64url(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let group = chunk.iter().fold(0_u32, |group, byte| (group << 8) | u32::from(*byte));
        let group = group << (8 * (3 - chunk.len()));
        for position in 0..=chunk.len() {
            let index = (group >> (18 - 6 * position)) & 63;
            text.push(char::from(ALPHABET[index as usize]));
        }
    }
    text
}

/// What base64 of the usual alphabet holds, white space aside (RFC 4648, 4); `None` when it is none.
pub fn base64(text: &str) -> Option<Vec<u8>> {
    let text: Vec<_> = text.bytes().filter(|at| !at.is_ascii_whitespace()).collect();
    let end = text.iter().position(|at| *at == b'=').unwrap_or(text.len());
    let (digits, padding) = text.split_at(end);
    if text.len() % 4 != 0 || padding.len() > 2 || padding.iter().any(|at| *at != b'=') {
        return None;
    }
    Some(decode(digits, value)?.0)
}

/// What [`base64url`] makes `text` of; `None` when it is nothing.
pub fn from_base64url(text: &str) -> Option<Vec<u8>> {
    let value = |digit| match digit {
        b'-' => Some(62),
        b'_' => Some(63),
        b'+' | b'/' => None,
        digit => value(digit),
    };
    let (bytes, rest) = decode(text.as_bytes(), value)?;
    // A digit alone holds no byte, and what is left of the last one is nothing.
    (text.len() % 4 != 1 && rest == 0).then_some(bytes)
}

/// The bytes of digits without padding, six bits of each, and the bits of the last one that are in none.
fn decode(digits: &[u8], value: impl Fn(u8) -> Option<u32>) -> Option<(Vec<u8>, u32)> {
    let (mut bytes, mut rest) = (Vec::with_capacity(digits.len().div_ceil(4) * 3), 0);
    for chunk in digits.chunks(4) {
        let mut group = 0_u32;
        for digit in chunk {
            group = (group << 6) | value(*digit)?;
        }
        let (bits, whole) = (6 * chunk.len(), 6 * chunk.len() / 8);
        bytes.extend(&(group << (32 - bits)).to_be_bytes()[..whole]);
        rest = group & ((1 << (bits % 8)) - 1);
    }
    Some((bytes, rest))
}

/// The value of a digit of base64 (RFC 4648, 4).
fn value(digit: u8) -> Option<u32> {
    let value = match digit {
        b'A'..=b'Z' => digit - b'A',
        b'a'..=b'z' => digit - b'a' + 26,
        b'0'..=b'9' => digit - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    };
    Some(u32::from(value))
}

/// Bytes of an MD5 digest.
pub const MD5: usize = 16;

/// A digest fed piece by piece.
#[derive(Clone, Debug)]
pub enum Hasher {
    /// MD5, for `md5sums` of Debian packages only.
    Md5(Md5),
    /// SHA-1, which rpm packages carry beside better ones.
    Sha1(Sha1),
    /// SHA-256.
    Sha256(Sha256),
    /// SHA-384, met in RECORD files.
    Sha384(Sha384),
    /// SHA-512, met in RECORD files.
    Sha512(Sha512),
}

impl Hasher {
    /// A new MD5 hasher.
    pub fn md5() -> Self {
        Self::Md5(Md5::new())
    }

    /// A new SHA-1 hasher.
    pub fn sha1() -> Self {
        Self::Sha1(Sha1::new())
    }

    /// A new SHA-256 hasher.
    pub fn sha256() -> Self {
        Self::Sha256(Sha256::new())
    }

    /// The hasher for an algorithm by the name `hashlib` gives it; `None` for any weaker than SHA-256.
    pub fn strong(name: &str) -> Option<Self> {
        match name {
            "sha256" => Some(Self::sha256()),
            "sha384" => Some(Self::Sha384(Sha384::new())),
            "sha512" => Some(Self::Sha512(Sha512::new())),
            _ => None,
        }
    }

    /// Adds `bytes`.
    pub fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Md5(hasher) => hasher.update(bytes),
            Self::Sha1(hasher) => hasher.update(bytes),
            Self::Sha256(hasher) => hasher.update(bytes),
            Self::Sha384(hasher) => hasher.update(bytes),
            Self::Sha512(hasher) => hasher.update(bytes),
        }
    }

    /// The digest of everything added.
    pub fn finish(self) -> Vec<u8> {
        match self {
            Self::Md5(hasher) => hasher.finalize().to_vec(),
            Self::Sha1(hasher) => hasher.finalize().to_vec(),
            Self::Sha256(hasher) => hasher.finalize().to_vec(),
            Self::Sha384(hasher) => hasher.finalize().to_vec(),
            Self::Sha512(hasher) => hasher.finalize().to_vec(),
        }
    }

    /// The digest of everything `input` yields, and how many bytes that was.
    pub fn read(mut self, input: &mut dyn Read) -> io::Result<(Vec<u8>, u64)> {
        let mut buffer = vec![0; 64 * 1024];
        let mut len = 0;
        loop {
            match input.read(&mut buffer) {
                Ok(0) => return Ok((self.finish(), len)),
                Ok(count) => {
                    self.update(&buffer[..count]);
                    len += count as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// Hashes and counts what is written through it.
#[derive(Debug)]
pub struct HashingWriter<W> {
    inner: W,
    hasher: Hasher,
    len: u64,
}

impl<W: Write> HashingWriter<W> {
    /// Writes to `inner`, hashing with `hasher`.
    pub fn new(inner: W, hasher: Hasher) -> Self {
        Self { inner, hasher, len: 0 }
    }

    /// The inner writer, the digest, and how many bytes were written.
    pub fn finish(self) -> (W, Vec<u8>, u64) {
        (self.inner, self.hasher.finish(), self.len)
    }
}

impl<W: Write> Write for HashingWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.inner.write(bytes)?;
        self.hasher.update(&bytes[..count]);
        self.len += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Hashes what is read through it.
#[derive(Debug)]
pub struct HashingReader<R> {
    inner: R,
    hasher: Hasher,
}

impl<R: Read> HashingReader<R> {
    /// Reads from `inner`, hashing with `hasher`.
    pub fn new(inner: R, hasher: Hasher) -> Self {
        Self { inner, hasher }
    }

    /// The digest of what was read.
    pub fn finish(self) -> Vec<u8> {
        self.hasher.finish()
    }
}

impl<R: Read> Read for HashingReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.hasher.update(&buffer[..count]);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use crate::digest::{Hasher, base64, base64url, from_base64url, hex, sha256};

    #[test]
    fn text_forms() {
        for (bytes, text) in
            [("", ""), ("f", "Zg"), ("fo", "Zm8"), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")]
        {
            assert_eq!(base64url(bytes.as_bytes()), text);
            assert_eq!(from_base64url(text).as_deref(), Some(bytes.as_bytes()));
        }
        assert_eq!(base64url(&[0xfb, 0xff]), "-_8");
        assert_eq!(from_base64url("-_8").as_deref(), Some(&[0xfb, 0xff][..]));
        for bad in ["+/8", "-_9", "-_8=", " -_8", "-", "ä"] {
            assert_eq!(from_base64url(bad), None, "{bad}");
        }
        assert_eq!(hex(&[0, 0xab]), "00ab");
        for (text, bytes) in [
            ("", &b""[..]),
            ("Zg==", b"f"),
            ("Zm8=", b"fo"),
            ("Zm9v\nZm8=\n", b"foofo"),
            ("+/8=", &[0xfb, 0xff]),
        ] {
            assert_eq!(base64(text).as_deref(), Some(bytes), "{text}");
        }
        for bad in ["Z", "Zg", "Z===", "Zg=v", "-_8=", "ä12="] {
            assert_eq!(base64(bad), None, "{bad}");
        }
    }

    #[test]
    fn known_digests() {
        assert_eq!(hex(&sha256(b""))[..16], *"e3b0c44298fc1c14");
        let mut sha1 = Hasher::sha1();
        sha1.update(b"abc");
        assert_eq!(hex(&sha1.finish()), "a9993e364706816aba3e25717850c26c9cd0d89d");
        let (md5, len) = Hasher::md5().read(&mut &b"abc"[..]).unwrap();
        assert_eq!((hex(&md5).as_str(), len), ("900150983cd24fb0d6963f7d28e17f72", 3));
        assert!(Hasher::strong("md5").is_none());
    }
}
