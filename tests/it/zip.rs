//! Zip archives made in memory, able to lie in every field.

use std::io::{Read, Write};

use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use flate2::{Compression, Crc};

/// One header of a member, local or central.
#[derive(Clone, Debug)]
pub(crate) struct Header {
    pub(crate) name: Vec<u8>,
    pub(crate) flags: u16,
    pub(crate) method: u16,
    pub(crate) crc32: u32,
    pub(crate) stored_len: u32,
    pub(crate) len: u32,
    pub(crate) extra: Vec<u8>,
}

/// One member: both headers and the stored bytes.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) local: Header,
    pub(crate) central: Header,
    /// Unix mode with type bits.
    pub(crate) mode: u32,
    pub(crate) comment: Vec<u8>,
    /// What is added to the true offset.
    pub(crate) offset_by: i64,
    pub(crate) stored: Vec<u8>,
    /// Bytes between this member and the next.
    pub(crate) gap: Vec<u8>,
}

impl Part {
    /// A truthful deflated member.
    pub(crate) fn new(name: &[u8], content: &[u8]) -> Self {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::new(6));
        encoder.write_all(content).expect("memory takes everything");
        let stored = encoder.finish().expect("memory takes everything");
        let mut crc = Crc::new();
        crc.update(content);
        let header = Header {
            name: name.to_vec(),
            flags: if name.is_ascii() { 0 } else { 1 << 11 },
            method: 8,
            crc32: crc.sum(),
            stored_len: stored.len() as u32,
            len: content.len() as u32,
            extra: Vec::new(),
        };
        Self {
            local: header.clone(),
            central: header,
            mode: if name.ends_with(b"/") { 0o040_755 } else { 0o100_644 },
            comment: Vec::new(),
            offset_by: 0,
            stored,
            gap: Vec::new(),
        }
    }

    /// What the stored bytes inflate to.
    pub(crate) fn content(&self) -> Vec<u8> {
        let mut content = Vec::new();
        let read = DeflateDecoder::new(&self.stored[..]).read_to_end(&mut content);
        read.expect("the bytes were deflated here");
        content
    }

    /// Changes both headers alike.
    pub(crate) fn both(&mut self, change: impl Fn(&mut Header)) {
        change(&mut self.local);
        change(&mut self.central);
    }

    /// Moves both sizes into ZIP64 extra fields.
    pub(crate) fn widen(&mut self) {
        self.both(|header| {
            let sizes = [u64::from(header.len), u64::from(header.stored_len)];
            header.extra = extra(1, &sizes.map(u64::to_le_bytes).concat());
            (header.len, header.stored_len) = (u32::MAX, u32::MAX);
        });
    }
}

/// An archive.
#[derive(Clone, Debug, Default)]
pub(crate) struct Zip {
    /// Bytes before the first member.
    pub(crate) lead: Vec<u8>,
    pub(crate) parts: Vec<Part>,
    /// Whether there are ZIP64 end records.
    pub(crate) zip64: bool,
    /// Changes the end records: count, length, offset of the directory.
    pub(crate) end_by: [i64; 3],
    /// Size the ZIP64 end record claims, less the true one.
    pub(crate) end64_by: i64,
    /// Number of this disk.
    pub(crate) disk: u16,
    pub(crate) comment: Vec<u8>,
    /// Bytes after everything.
    pub(crate) trail: Vec<u8>,
}

impl Zip {
    /// The member called `name`.
    pub(crate) fn part(&mut self, name: &str) -> &mut Part {
        let mut parts = self.parts.iter_mut();
        parts.find(|part| part.local.name == name.as_bytes()).expect("the archive has the member")
    }

    /// The bytes of the archive.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut out = self.lead.clone();
        let mut central = Vec::new();
        for part in &self.parts {
            let offset = (out.len() as i64 + part.offset_by) as u32;
            out.extend(b"PK\x03\x04\x14\0");
            put_header(&mut out, &part.local, None);
            out.extend(&part.stored);
            out.extend(&part.gap);
            central.extend(b"PK\x01\x02\x14\x03\x14\0");
            put_header(&mut central, &part.central, Some((part, offset)));
        }
        let truth = [self.parts.len(), central.len(), out.len()];
        let [count, len, offset]: [u64; 3] =
            std::array::from_fn(|at| (truth[at] as i64 + self.end_by[at]) as u64);
        out.extend(central);
        let narrow = |value: u64| if self.zip64 { u32::MAX } else { value as u32 };
        if self.zip64 {
            self.put_end64(&mut out, [count, len, offset]);
        }
        out.extend(b"PK\x05\x06");
        for value in [self.disk, self.disk, narrow(count) as u16, narrow(count) as u16] {
            out.extend(value.to_le_bytes());
        }
        out.extend(narrow(len).to_le_bytes());
        out.extend(narrow(offset).to_le_bytes());
        out.extend((self.comment.len() as u16).to_le_bytes());
        out.extend(&self.comment);
        out.extend(&self.trail);
        out
    }

    fn put_end64(&self, out: &mut Vec<u8>, [count, len, offset]: [u64; 3]) {
        let start = out.len() as u64;
        out.extend(b"PK\x06\x06");
        out.extend((44 + self.end64_by).to_le_bytes());
        out.extend([45, 3, 45, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        for value in [count, count, len, offset] {
            out.extend(value.to_le_bytes());
        }
        out.extend(b"PK\x06\x07\0\0\0\0");
        out.extend(start.to_le_bytes());
        out.extend(1_u32.to_le_bytes());
    }
}

fn put_header(out: &mut Vec<u8>, header: &Header, central: Option<(&Part, u32)>) {
    out.extend(header.flags.to_le_bytes());
    out.extend(header.method.to_le_bytes());
    out.extend([0, 0, 0x21, 0x50]);
    for value in [header.crc32, header.stored_len, header.len] {
        out.extend(value.to_le_bytes());
    }
    out.extend((header.name.len() as u16).to_le_bytes());
    out.extend((header.extra.len() as u16).to_le_bytes());
    if let Some((part, offset)) = central {
        out.extend((part.comment.len() as u16).to_le_bytes());
        out.extend([0; 4]);
        out.extend((part.mode << 16).to_le_bytes());
        out.extend(offset.to_le_bytes());
    }
    out.extend(&header.name);
    out.extend(&header.extra);
    if let Some((part, _)) = central {
        out.extend(&part.comment);
    }
}

/// One extra field.
pub(crate) fn extra(id: u16, data: &[u8]) -> Vec<u8> {
    let len = data.len() as u16;
    [&id.to_le_bytes()[..], &len.to_le_bytes(), data].concat()
}
