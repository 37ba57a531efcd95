//! The central directory (APPNOTE 4.3.12): one header a member, with everything a member may not be.

use anyhow::Result;

use crate::date::Date;
use crate::tree::PkgPath;
use crate::wheel::zip::end::Directory;
use crate::wheel::zip::source::{Fields, Source};
use crate::wheel::zip::{extra, name};

const HEADER: &[u8] = b"PK\x01\x02";
/// Most members a wheel may have.
const MAX_MEMBERS: u64 = 1_000_000;
/// Largest central directory that is read, in bytes.
const MAX_DIRECTORY: u64 = 512 << 20;
/// Most bytes the members may hold together.
const MAX_TOTAL: u64 = 8 << 30;
/// Members above this size must not be packed more than [`MAX_RATIO`] to one.
const RATIO_FLOOR: u64 = 16 << 20;
const MAX_RATIO: u64 = 1000;

const ENCRYPTED: u16 = 1 << 0;
const DATA_DESCRIPTOR: u16 = 1 << 3;
const UTF8: u16 = 1 << 11;
/// Compression effort (bits 1 and 2) and the encoding of the name.
const KNOWN_FLAGS: u16 = 0b110 | UTF8;

/// One checked header.
#[derive(Debug)]
pub(super) struct Header {
    /// As stored; ends with `/` for a directory.
    pub(super) name: String,
    pub(super) flags: u16,
    pub(super) method: u16,
    pub(super) crc32: u32,
    pub(super) stored_len: u64,
    pub(super) len: u64,
    /// Unix mode, 0 when there is none.
    pub(super) mode: u32,
    /// When the member was last changed, in seconds since 1970; 0 when it does not say.
    pub(super) time: u64,
    /// Where the local header starts.
    pub(super) offset: u64,
}

impl Header {
    pub(super) fn is_dir(&self) -> bool {
        self.name.ends_with('/')
    }
}

/// Reads and checks every header.
pub(super) fn read(source: &Source, directory: Directory) -> Result<Vec<Header>> {
    if directory.count > MAX_MEMBERS || directory.len > MAX_DIRECTORY {
        return Err(source.refuse(format!("has more than {MAX_MEMBERS} members")));
    }
    let bytes = source.read(directory.offset, directory.len as usize)?;
    let mut fields = Fields(&bytes);
    let mut headers = Vec::new();
    let mut total = 0_u64;
    while !fields.0.is_empty() {
        let raw = RawHeader::take(&mut fields)
            .ok_or_else(|| source.refuse("has a malformed central directory"))?;
        let header = raw.check(source)?;
        total = total.saturating_add(header.len);
        if total > MAX_TOTAL {
            return Err(source.refuse(format!("holds more than {} GiB", MAX_TOTAL >> 30)));
        }
        headers.push(header);
    }
    if headers.len() as u64 == directory.count {
        return Ok(headers);
    }
    let (found, listed) = (headers.len(), directory.count);
    Err(source.refuse(format!("has {found} members, but its end record says {listed}")))
}

struct RawHeader<'a> {
    flags: u16,
    method: u16,
    time: u16,
    date: u16,
    crc32: u32,
    stored_len: u32,
    len: u32,
    disk: u16,
    external: u32,
    offset: u32,
    name: &'a [u8],
    extra: &'a [u8],
    comment: &'a [u8],
}

impl<'a> RawHeader<'a> {
    fn take(fields: &mut Fields<'a>) -> Option<Self> {
        let signature = fields.bytes(HEADER.len())?;
        let _versions = fields.u32()?;
        let (flags, method) = (fields.u16()?, fields.u16()?);
        let (time, date) = (fields.u16()?, fields.u16()?);
        let (crc32, stored_len, len) = (fields.u32()?, fields.u32()?, fields.u32()?);
        let (name_len, extra_len, comment_len) = (fields.u16()?, fields.u16()?, fields.u16()?);
        let disk = fields.u16()?;
        let _internal = fields.u16()?;
        let (external, offset) = (fields.u32()?, fields.u32()?);
        let name = fields.bytes(usize::from(name_len))?;
        let extra = fields.bytes(usize::from(extra_len))?;
        let comment = fields.bytes(usize::from(comment_len))?;
        (signature == HEADER).then_some(Self {
            flags,
            method,
            time,
            date,
            crc32,
            stored_len,
            len,
            disk,
            external,
            offset,
            name,
            extra,
            comment,
        })
    }

    fn check(&self, source: &Source) -> Result<Header> {
        let lossy = String::from_utf8_lossy(self.name);
        let refuse = |what: &str| source.refuse_member(&lossy, what);
        if let Some(fault) = self.fault() {
            return Err(refuse(fault));
        }
        let name = name::check(self.name, self.flags & UTF8 != 0).map_err(refuse)?;
        if let Err(error) = PkgPath::new(name.trim_end_matches('/')) {
            return Err(source.refuse(format!("cannot be packaged: {error}")));
        }
        let extra = extra::parse(self.extra).map_err(refuse)?;
        extra.check_path(self.name).map_err(refuse)?;
        let mut sizes = [u64::from(self.len), u64::from(self.stored_len), u64::from(self.offset)];
        extra.widen(&mut sizes).map_err(refuse)?;
        let [len, stored_len, offset] = sizes;
        let header = Header {
            name: name.to_owned(),
            flags: self.flags,
            method: self.method,
            crc32: self.crc32,
            stored_len,
            len,
            mode: self.external >> 16,
            time: time(self.date, self.time),
            offset,
        };
        header.fault().map_or(Ok(header), |fault| Err(refuse(fault)))
    }

    fn fault(&self) -> Option<&'static str> {
        if self.flags & ENCRYPTED != 0 {
            Some("is encrypted")
        } else if self.flags & DATA_DESCRIPTOR != 0 {
            Some("has a data descriptor")
        } else if self.flags & !KNOWN_FLAGS != 0 {
            Some("has unknown flags")
        } else if !matches!(self.method, 0 | 8) {
            Some("is neither stored nor deflated")
        } else if self.disk != 0 {
            Some("is on another disk")
        } else if !self.comment.is_empty() {
            Some("has a comment")
        } else {
            None
        }
    }
}

/// Seconds since 1970 of a date and a time as MS-DOS has them (APPNOTE 4.4.6), which name no time zone: here it is UTC.
fn time(date: u16, time: u16) -> u64 {
    let part = |bits: u16, from: u32, len: u32| u64::from(bits >> from & ((1 << len) - 1));
    let (year, month, day) = (1980 + part(date, 9, 7), part(date, 5, 4), part(date, 0, 5));
    let (hour, minute, second) = (part(time, 11, 5), part(time, 5, 6), 2 * part(time, 0, 5));
    let day = Date::from_civil(year, month, day);
    day.map_or(0, |day| ((day.days() * 24 + hour) * 60 + minute) * 60 + second)
}

impl Header {
    fn fault(&self) -> Option<&'static str> {
        const TYPE: u32 = 0o170_000;
        let expected = if self.is_dir() { 0o040_000 } else { 0o100_000 };
        if !matches!(self.mode & TYPE, 0) && self.mode & TYPE != expected {
            Some("is not a regular file")
        } else if self.is_dir() && (self.len != 0 || self.crc32 != 0) {
            Some("is a directory with content")
        } else if self.method == 0 && self.stored_len != self.len {
            Some("is stored in another size than its own")
        } else if self.len > RATIO_FLOOR && self.len / MAX_RATIO > self.stored_len {
            Some("is packed more than 1000 to 1")
        } else {
            None
        }
    }
}
