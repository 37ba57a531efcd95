//! Local headers (APPNOTE 4.3.7): where a member's bytes start, once it repeats its central header.

use anyhow::Result;

use crate::wheel::zip::central::Header;
use crate::wheel::zip::extra;
use crate::wheel::zip::source::{Fields, Source};

const HEADER: &[u8] = b"PK\x03\x04";
const HEADER_LEN: u64 = 30;

/// Where the stored bytes of a member start; they and the header end at or before `limit`.
pub(super) fn check(source: &Source, header: &Header, limit: u64) -> Result<u64> {
    let refuse = |what: &str| source.refuse_member(&header.name, what);
    let out_of_range = || refuse("is out of range");
    let head_len = HEADER_LEN + header.name.len() as u64;
    let extra_at = header.offset.checked_add(head_len).ok_or_else(out_of_range)?;
    if extra_at > limit {
        return Err(out_of_range());
    }
    let bytes = source.read(header.offset, head_len as usize)?;
    let (local, extra_len) = Local::parse(&bytes).ok_or_else(|| refuse("has no local header"))?;
    let data_at = extra_at.checked_add(u64::from(extra_len)).ok_or_else(out_of_range)?;
    let end = data_at.checked_add(header.stored_len).ok_or_else(out_of_range)?;
    if end > limit {
        return Err(out_of_range());
    }
    let extra_bytes = source.read(extra_at, usize::from(extra_len))?;
    let extra = extra::parse(&extra_bytes).map_err(refuse)?;
    extra.check_path(header.name.as_bytes()).map_err(refuse)?;
    let mut sizes = [u64::from(local.len), u64::from(local.stored_len)];
    extra.widen(&mut sizes).map_err(refuse)?;
    match local.difference(header, sizes) {
        None => Ok(data_at),
        Some(field) => {
            Err(source
                .refuse_member(&header.name, format!("has another {field} in its local header")))
        }
    }
}

struct Local<'a> {
    flags: u16,
    method: u16,
    crc32: u32,
    stored_len: u32,
    len: u32,
    name: &'a [u8],
}

impl<'a> Local<'a> {
    /// The header in `bytes`, which hold as much of the name as the central header has, and the length of
    /// the extra fields after it.
    fn parse(bytes: &'a [u8]) -> Option<(Self, u16)> {
        let mut fields = Fields(bytes.strip_prefix(HEADER)?);
        let _version = fields.u16()?;
        let (flags, method) = (fields.u16()?, fields.u16()?);
        let _time = fields.u32()?;
        let (crc32, stored_len, len) = (fields.u32()?, fields.u32()?, fields.u32()?);
        let (name_len, extra_len) = (fields.u16()?, fields.u16()?);
        let name = if usize::from(name_len) == fields.0.len() { fields.0 } else { &[] };
        Some((Self { flags, method, crc32, stored_len, len, name }, extra_len))
    }

    fn difference(&self, header: &Header, [len, stored_len]: [u64; 2]) -> Option<&'static str> {
        let pairs = [
            ("name", self.name == header.name.as_bytes()),
            ("set of flags", self.flags == header.flags),
            ("method", self.method == header.method),
            ("checksum", self.crc32 == header.crc32),
            ("size", len == header.len),
            ("stored size", stored_len == header.stored_len),
        ];
        pairs.into_iter().find(|(_, is_equal)| !is_equal).map(|(field, _)| field)
    }
}
