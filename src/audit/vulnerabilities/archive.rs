//! The members of a zip archive that a database comes in.
//!
//! Unlike archives of wheels, dumps are written to streams: their local headers have no sizes, and what follows a member
//! has (APPNOTE 4.3.9). So the central directory alone counts, and of a local header only where it ends.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use anyhow::{Context, Result, bail};

use crate::tree::content::Content;

/// End records have a comment of this length at most, and 22 bytes (APPNOTE 4.3.16).
const MAX_END: u64 = 0xFFFF + 22;
/// Largest central directory that is read, in bytes: that of two million entries.
const MAX_DIRECTORY: u64 = 256 << 20;
/// Length of a header in the central directory without its texts (APPNOTE 4.3.12).
const HEADER: usize = 46;

/// A file in an archive.
#[derive(Debug)]
pub(super) struct Member {
    /// Its name.
    pub(super) name: String,
    /// Its content.
    pub(super) content: Content,
    /// The checksum of that.
    pub(super) crc32: u32,
}

/// The files in `file`, in the order of its directory.
pub(super) fn members(file: &Arc<File>) -> Result<Vec<Member>> {
    let (offset, len) = directory(file)?;
    if len > MAX_DIRECTORY {
        bail!("its directory has {len} bytes");
    }
    let bytes = read(file, offset, len)?;
    let (mut members, mut rest) = (Vec::new(), &bytes[..]);
    while rest.starts_with(b"PK\x01\x02") {
        let (member, len) = member(file, rest).context("its directory is malformed")?;
        members.extend(member?);
        rest = rest.get(len..).context("its directory is malformed")?;
    }
    Ok(members)
}

/// Where the central directory is, and its length.
fn directory(file: &File) -> Result<(u64, u64)> {
    let size = file.metadata()?.len();
    let start = size.saturating_sub(MAX_END);
    let tail = read(file, start, size - start)?;
    let end = tail.windows(4).rposition(|bytes| bytes == b"PK\x05\x06");
    let end = end.context("it is no zip archive, or not all of it is there")?;
    let fault = "its end record is malformed";
    let narrow = |at: usize| number::<4>(&tail, end + at);
    let (len, offset) = (narrow(12).context(fault)?, narrow(16).context(fault)?);
    let locator = end.checked_sub(20).filter(|at| tail[*at..].starts_with(b"PK\x06\x07"));
    let Some(locator) = locator else { return Ok((offset, len)) };
    // The ZIP64 end record (APPNOTE 4.3.14).
    let at = number::<8>(&tail, locator + 8).context(fault)?;
    let end = read(file, at, 56)?;
    let wide = |at| number::<8>(&end, at).filter(|_| end.starts_with(b"PK\x06\x06"));
    Ok((wide(48).context(fault)?, wide(40).context(fault)?))
}

/// The file that a header at the start of `bytes` describes, `None` for a directory, and the length of the header.
fn member(file: &Arc<File>, bytes: &[u8]) -> Option<(Result<Option<Member>>, usize)> {
    let field = |at| number::<2>(bytes, at);
    let lens = [field(28)?, field(30)?, field(32)?].map(|len| len as usize);
    let [name_len, extra_len, comment_len] = lens;
    let name = bytes.get(HEADER..HEADER + name_len)?;
    let name = String::from_utf8_lossy(name).into_owned();
    let extra = bytes.get(HEADER + name_len..HEADER + name_len + extra_len)?;
    let mut values = [number::<4>(bytes, 24)?, number::<4>(bytes, 20)?, number::<4>(bytes, 42)?];
    widen(&mut values, extra)?;
    let [len, stored_len, offset] = values;
    let (flags, method) = (field(8)?, field(10)?);
    let crc32 = number::<4>(bytes, 16)? as u32;
    let whole = HEADER + name_len + extra_len + comment_len;
    if name.ends_with('/') {
        return Some((Ok(None), whole));
    }
    let found = || {
        if flags & 1 != 0 || ![0, 8].contains(&method) {
            bail!("`{}` in it is encrypted or compressed by method {method}", name.escape_debug());
        }
        let header = read(file, offset, 30)?;
        let lens = number::<2>(&header, 26).zip(number::<2>(&header, 28));
        let (name_len, extra_len) =
            lens.filter(|_| header.starts_with(b"PK\x03\x04")).with_context(|| {
                format!("`{}` in it is not where it should be", name.escape_debug())
            })?;
        let (file, deflated) = (Arc::clone(file), method == 8);
        let offset = offset + 30 + name_len + extra_len;
        let content = Content::Span { file, offset, stored_len, len, deflated, sha256: None };
        Ok(Some(Member { name, content, crc32 }))
    };
    Some((found(), whole))
}

/// Replaces those of `values` that are saturated by their ZIP64 values, in the order of APPNOTE 4.5.3.
fn widen(values: &mut [u64; 3], mut extra: &[u8]) -> Option<()> {
    while !extra.is_empty() {
        let (id, len) = (number::<2>(extra, 0)?, number::<2>(extra, 2)? as usize);
        let data = extra.get(4..4 + len)?;
        extra = &extra[4 + len..];
        if id != 1 {
            continue;
        }
        let saturated = values.iter_mut().filter(|value| **value == u64::from(u32::MAX));
        for (at, value) in saturated.enumerate() {
            *value = number::<8>(data, at * 8)?;
        }
    }
    Some(())
}

/// The little-endian number of `N` bytes at `at`.
fn number<const N: usize>(bytes: &[u8], at: usize) -> Option<u64> {
    let bytes = bytes.get(at..at.checked_add(N)?)?;
    Some(bytes.iter().rev().fold(0, |number, byte| (number << 8) | u64::from(*byte)))
}

fn read(file: &File, offset: u64, len: u64) -> Result<Vec<u8>> {
    let size = file.metadata()?.len();
    if offset.checked_add(len).is_none_or(|end| end > size) {
        bail!("not all of it is there");
    }
    let mut bytes = vec![0; usize::try_from(len)?];
    file.read_exact_at(&mut bytes, offset)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::sync::Arc;

    use crate::audit::vulnerabilities::archive::{Member, members};
    use crate::wheel::fixture::{Part, Zip, write};

    fn read(bytes: &[u8]) -> Result<Vec<(String, Vec<u8>)>, String> {
        let dir = tempfile::tempdir().unwrap();
        let file = Arc::new(File::open(write(dir.path(), "all.zip", bytes)).unwrap());
        let found = members(&file).map_err(|error| format!("{error:#}"))?;
        let text = |Member { name, content, .. }: Member| (name, content.read().unwrap());
        Ok(found.into_iter().map(text).collect())
    }

    fn zip() -> Zip {
        let parts = vec![
            Part::stored("a.json", b"{}"),
            Part::stored("d/", b""),
            Part::deflated("d/b.json", &[b'x'; 1000]),
        ];
        Zip { parts, ..Zip::default() }
    }

    #[test]
    fn sound() {
        let expected =
            vec![("a.json".to_owned(), b"{}".to_vec()), ("d/b.json".to_owned(), vec![b'x'; 1000])];
        assert_eq!(read(&zip().bytes()).unwrap(), expected);
        assert_eq!(read(&Zip { zip64: true, ..zip() }.bytes()).unwrap(), expected);
        assert_eq!(read(&Zip { comment: b"hi".to_vec(), ..zip() }.bytes()).unwrap(), expected);
        assert_eq!(read(&Zip::default().bytes()).unwrap(), []);
    }

    /// As Go's archive/zip writes to a stream: sizes and checksum behind the content.
    #[test]
    fn streamed() {
        let mut part = Part::deflated("a.json", b"{\"id\": 1}");
        (part.local.flags, part.central.flags) = (8, 8);
        (part.local.crc32, part.local.len, part.local.stored_len) = (0, 0, 0);
        part.gap = vec![7; 16];
        let zip = Zip { parts: vec![part, Part::stored("b.json", b"[]")], ..Zip::default() };
        let found = read(&zip.bytes()).unwrap();
        assert_eq!(found[0].1, b"{\"id\": 1}");
        assert_eq!(found[1].1, b"[]");
    }

    #[test]
    fn faults() {
        let bytes = zip().bytes();
        let none = "it is no zip archive, or not all of it is there";
        assert_eq!(read(b"").unwrap_err(), none);
        assert_eq!(read(&bytes[..bytes.len() - 30]).unwrap_err(), none);
        assert_eq!(read(&bytes[50..]).unwrap_err(), "not all of it is there");
        let mut part = Part::stored("a", b"x");
        part.central.method = 12;
        let zip = Zip { parts: vec![part], ..Zip::default() };
        let message = "`a` in it is encrypted or compressed by method 12";
        assert_eq!(read(&zip.bytes()).unwrap_err(), message);
        let far = Zip {
            parts: vec![Part { offset_by: 1 << 31, ..Part::stored("a", b"x") }],
            ..Zip::default()
        };
        assert_eq!(read(&far.bytes()).unwrap_err(), "not all of it is there");
    }
}
