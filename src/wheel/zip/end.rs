//! The end of an archive: the end record, and its ZIP64 twin and locator (APPNOTE 4.3.14 to 4.3.16).

use anyhow::Result;

use crate::wheel::zip::source::{Fields, Source};

const END: &[u8] = b"PK\x05\x06";
const END_LEN: u64 = 22;
const LOCATOR: &[u8] = b"PK\x06\x07";
const LOCATOR_LEN: u64 = 20;
const END64: &[u8] = b"PK\x06\x06";
const END64_LEN: u64 = 56;
/// APPNOTE 4.3.14.1: the size "should not include the leading 12 bytes".
const END64_SIZE: u64 = END64_LEN - 12;

/// Where the central directory is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Directory {
    pub(super) offset: u64,
    pub(super) len: u64,
    pub(super) count: u64,
}

/// Finds the central directory; it and its end records are the last thing in the file, without gaps.
pub(super) fn find(source: &Source) -> Result<Directory> {
    let Some(at) = source.len.checked_sub(END_LEN) else {
        return Err(missing_end(source));
    };
    let bytes = source.read(at, END_LEN as usize)?;
    let Some(end) = EndRecord::parse(&bytes).filter(|end| end.comment_len == 0) else {
        return Err(missing_end(source));
    };
    if end.disk != 0 || end.directory_disk != 0 || end.disk_count != end.count {
        return Err(source.refuse("is a part of a multi-disk archive"));
    }
    let (directory, directory_end) = match find_end64(source, at)? {
        Some((directory, start)) => (end.widen(source, directory)?, start),
        None if end.is_saturated() => {
            return Err(source.refuse("has a malformed ZIP64 end record"));
        }
        None => (end.directory(), at),
    };
    let promised_end = directory.offset.checked_add(directory.len);
    if promised_end == Some(directory_end) {
        return Ok(directory);
    }
    let what = match promised_end {
        Some(end) if end < directory_end && holds_end(source, end, directory_end) => {
            "has two end records".to_owned()
        }
        Some(_) | None => format!(
            "has its central directory elsewhere than its end record says: {} bytes at {} do not end at {directory_end}",
            directory.len, directory.offset
        ),
    };
    Err(source.refuse(what))
}

/// APPNOTE 4.3.16.
struct EndRecord {
    disk: u16,
    directory_disk: u16,
    disk_count: u16,
    count: u16,
    len: u32,
    offset: u32,
    comment_len: u16,
}

impl EndRecord {
    fn parse(bytes: &[u8]) -> Option<Self> {
        let mut fields = Fields(bytes.strip_prefix(END)?);
        Some(Self {
            disk: fields.u16()?,
            directory_disk: fields.u16()?,
            disk_count: fields.u16()?,
            count: fields.u16()?,
            len: fields.u32()?,
            offset: fields.u32()?,
            comment_len: fields.u16()?,
        })
    }

    fn is_saturated(&self) -> bool {
        self.count == u16::MAX || self.len == u32::MAX || self.offset == u32::MAX
    }

    fn directory(&self) -> Directory {
        Directory {
            offset: u64::from(self.offset),
            len: u64::from(self.len),
            count: u64::from(self.count),
        }
    }

    /// What both end records say, when they agree: each narrow field is saturated or equal to the wide one.
    fn widen(&self, source: &Source, wide: Directory) -> Result<Directory> {
        let agrees = |narrow: u64, limit: u64, wide: u64| narrow == limit || narrow == wide;
        let limit = u64::from(u32::MAX);
        let narrow = self.directory();
        let agree = agrees(narrow.count, u64::from(u16::MAX), wide.count)
            && agrees(narrow.len, limit, wide.len)
            && agrees(narrow.offset, limit, wide.offset);
        if agree {
            return Ok(wide);
        }
        Err(source.refuse("has two end records that differ: the ZIP64 one and the other"))
    }
}

/// The directory a ZIP64 end record before `end` describes, and where that record starts.
fn find_end64(source: &Source, end: u64) -> Result<Option<(Directory, u64)>> {
    let Some(locator_at) = end.checked_sub(LOCATOR_LEN) else {
        return Ok(None);
    };
    let bytes = source.read(locator_at, LOCATOR_LEN as usize)?;
    if !bytes.starts_with(LOCATOR) {
        return Ok(None);
    }
    let fault = || source.refuse("has a malformed ZIP64 end record");
    let record_at = locator_at.checked_sub(END64_LEN).ok_or_else(fault)?;
    if parse_locator(&bytes) != Some(record_at) {
        return Err(fault());
    }
    let bytes = source.read(record_at, END64_LEN as usize)?;
    let directory = parse_end64(&bytes).ok_or_else(fault)?;
    Ok(Some((directory, record_at)))
}

/// Offset of the ZIP64 end record; `None` unless the archive is on one disk.
fn parse_locator(bytes: &[u8]) -> Option<u64> {
    let mut fields = Fields(bytes.strip_prefix(LOCATOR)?);
    let (disk, offset, disks) = (fields.u32()?, fields.u64()?, fields.u32()?);
    (disk == 0 && disks == 1).then_some(offset)
}

fn parse_end64(bytes: &[u8]) -> Option<Directory> {
    let mut fields = Fields(bytes.strip_prefix(END64)?);
    let size = fields.u64()?;
    let _versions = fields.u32()?;
    let (disk, directory_disk) = (fields.u32()?, fields.u32()?);
    let (disk_count, count) = (fields.u64()?, fields.u64()?);
    let (len, offset) = (fields.u64()?, fields.u64()?);
    let is_sound = size == END64_SIZE && disk == 0 && directory_disk == 0 && disk_count == count;
    is_sound.then_some(Directory { offset, len, count })
}

/// Whether there is another end record between `start` and `end`.
fn holds_end(source: &Source, start: u64, end: u64) -> bool {
    let len = usize::try_from(end - start).unwrap_or(usize::MAX).min(1 << 20);
    let bytes = source.read(start, len).unwrap_or_default();
    find_last(&bytes, END).is_some()
}

/// Why there is no end record at the very end.
fn missing_end(source: &Source) -> anyhow::Error {
    if source.len == 0 {
        return source.damaged("is empty");
    }
    let len = source.len.min(END_LEN + u64::from(u16::MAX));
    let tail = match source.read(source.len - len, len as usize) {
        Ok(tail) => tail,
        Err(error) => return error,
    };
    let record = find_last(&tail, END)
        .and_then(|at| Some((tail.len() - at, EndRecord::parse(&tail[at..])?)));
    let head = source.read(0, source.len.min(4) as usize).unwrap_or_default();
    match record {
        Some((left, end)) => {
            let after = left - END_LEN as usize;
            match after.cmp(&usize::from(end.comment_len)) {
                std::cmp::Ordering::Equal => source.refuse("has an archive comment"),
                std::cmp::Ordering::Greater => {
                    source.refuse(format!("has bytes after its end record: {after}"))
                }
                std::cmp::Ordering::Less => source.damaged("is truncated"),
            }
        }
        None if head == b"PK\x03\x04" => source.damaged("is truncated"),
        None => source.refuse("is not a zip archive"),
    }
}

fn find_last(bytes: &[u8], signature: &[u8]) -> Option<usize> {
    bytes.windows(signature.len()).rposition(|window| window == signature)
}
