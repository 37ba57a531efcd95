//! Extra fields of zip headers: ZIP64 sizes and Unicode paths (APPNOTE 4.5.3 and 4.6.9).

use crate::codec::Crc32;
use crate::wheel::zip::source::Fields;

const ZIP64: u16 = 0x0001;
const UNICODE_PATH: u16 = 0x7075;

/// The extra fields that change how a header is read.
#[derive(Debug, Default)]
pub(super) struct Extra<'a> {
    zip64: Option<&'a [u8]>,
    unicode_path: Option<&'a [u8]>,
}

/// Splits the extra fields of one header; the error says what is wrong.
pub(super) fn parse(bytes: &[u8]) -> Result<Extra<'_>, &'static str> {
    let mut fields = Fields(bytes);
    let mut extra = Extra::default();
    while !fields.0.is_empty() {
        let field = fields.u16().zip(fields.u16());
        let field = field.and_then(|(id, len)| Some((id, fields.bytes(usize::from(len))?)));
        let (id, data) = field.ok_or("has malformed extra fields")?;
        let slot = match id {
            ZIP64 => &mut extra.zip64,
            UNICODE_PATH => &mut extra.unicode_path,
            _ => continue,
        };
        if slot.replace(data).is_some() {
            return Err("has a duplicate extra field");
        }
    }
    Ok(extra)
}

impl Extra<'_> {
    /// Replaces each of `values` that is saturated by its ZIP64 value.
    ///
    /// APPNOTE 4.5.3: the fields "MUST only appear if the corresponding […] field is set to 0xFFFF or 0xFFFFFFFF".
    /// Python's `zipfile` leaves them in local headers of members it expected to grow (protobuf, selenium); there
    /// they repeat what the header says, and readers agree.
    pub(super) fn widen(&self, values: &mut [u64]) -> Result<(), &'static str> {
        let saturated = u64::from(u32::MAX);
        let zip64 = self.zip64.unwrap_or_default();
        let repeated = values.iter().flat_map(|value| value.to_le_bytes());
        if !values.contains(&saturated) && repeated.eq(zip64.iter().copied()) {
            return Ok(());
        }
        let mut fields = Fields(zip64);
        for value in values.iter_mut().filter(|value| **value == saturated) {
            *value = fields.u64().ok_or("has malformed ZIP64 sizes")?;
        }
        if fields.0.is_empty() { Ok(()) } else { Err("has malformed ZIP64 sizes") }
    }

    /// Refuses a Unicode path that is not `name` again: readers disagree on which of the two counts.
    pub(super) fn check_path(&self, name: &[u8]) -> Result<(), &'static str> {
        let Some(data) = self.unicode_path else {
            return Ok(());
        };
        let mut crc = Crc32::default();
        crc.update(name);
        let mut fields = Fields(data);
        let (version, sum) = (fields.bytes(1), fields.u32());
        if version == Some(&[1]) && sum == Some(crc.finish()) && fields.0 == name {
            return Ok(());
        }
        Err("has another name in its Unicode path")
    }
}
