//! Wheels and archives for tests, built in memory, able to lie in every field.

use std::path::{Path, PathBuf};

use crate::codec::Crc32;
use crate::codec::gzip;
use crate::digest::{base64url, sha256};

/// One header of a member, local or central.
#[derive(Clone, Debug)]
pub struct Header {
    /// Name as stored.
    pub name: Vec<u8>,
    /// General purpose bits.
    pub flags: u16,
    /// 0 for stored, 8 for deflated.
    pub method: u16,
    /// Checksum of the content.
    pub crc32: u32,
    /// Size in the archive.
    pub stored_len: u32,
    /// Size of the content.
    pub len: u32,
    /// Extra fields.
    pub extra: Vec<u8>,
}

/// One member: both headers and the stored bytes.
#[derive(Clone, Debug)]
pub struct Part {
    /// The header before the bytes.
    pub local: Header,
    /// The header in the central directory.
    pub central: Header,
    /// Unix mode with type bits.
    pub mode: u32,
    /// Comment in the central directory.
    pub comment: Vec<u8>,
    /// What is added to the true offset.
    pub offset_by: i64,
    /// The stored bytes.
    pub stored: Vec<u8>,
    /// Bytes between this member and the next.
    pub gap: Vec<u8>,
}

impl Part {
    /// A truthful stored member.
    pub fn stored(name: &str, content: &[u8]) -> Self {
        Self::new(name, content, 0, content.to_vec())
    }

    /// A truthful deflated member.
    pub fn deflated(name: &str, content: &[u8]) -> Self {
        let gzip = gzip(content, 9);
        // RFC 1952: a header of ten bytes without name, a trailer of eight.
        Self::new(name, content, 8, gzip[10..gzip.len() - 8].to_vec())
    }

    /// Changes both headers alike.
    #[must_use]
    pub fn both(mut self, change: impl Fn(&mut Header)) -> Self {
        change(&mut self.local);
        change(&mut self.central);
        self
    }

    fn new(name: &str, content: &[u8], method: u16, stored: Vec<u8>) -> Self {
        let mut crc = Crc32::default();
        crc.update(content);
        let header = Header {
            name: name.as_bytes().to_vec(),
            flags: if name.is_ascii() { 0 } else { 1 << 11 },
            method,
            crc32: crc.finish(),
            stored_len: stored.len() as u32,
            len: content.len() as u32,
            extra: Vec::new(),
        };
        Self {
            local: header.clone(),
            central: header,
            mode: if name.ends_with('/') { 0o040_755 } else { 0o100_644 },
            comment: Vec::new(),
            offset_by: 0,
            stored,
            gap: Vec::new(),
        }
    }
}

/// An archive.
#[derive(Clone, Debug, Default)]
pub struct Zip {
    /// Bytes before the first member.
    pub lead: Vec<u8>,
    /// Members in order.
    pub parts: Vec<Part>,
    /// Whether there are ZIP64 end records.
    pub zip64: bool,
    /// Changes the end records: count, length, offset of the directory.
    pub end_by: [i64; 3],
    /// Size the ZIP64 end record claims, less the true one.
    pub end64_by: i64,
    /// Number of this disk.
    pub disk: u16,
    /// Comment of the archive.
    pub comment: Vec<u8>,
    /// Bytes after everything.
    pub trail: Vec<u8>,
}

impl Zip {
    /// The bytes of the archive.
    pub fn bytes(&self) -> Vec<u8> {
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
pub fn extra(id: u16, data: &[u8]) -> Vec<u8> {
    let len = data.len() as u16;
    [&id.to_le_bytes()[..], &len.to_le_bytes(), data].concat()
}

/// A RECORD that lists `files`, and itself at `path`.
pub fn record(path: &str, files: &[(&str, &[u8])]) -> String {
    let line = |(name, content): &(&str, &[u8])| {
        let name = if name.contains(',') { format!("\"{name}\"") } else { (*name).to_owned() };
        format!("{name},sha256={},{}\n", base64url(&sha256(content)), content.len())
    };
    files.iter().map(line).collect::<String>() + path + ",,\n"
}

/// A sound wheel `name-version` with `files` besides METADATA, WHEEL and RECORD.
pub fn wheel(name: &str, version: &str, files: &[(&str, &[u8])]) -> Zip {
    let info = format!("{name}-{version}.dist-info");
    let [metadata, wheel, record_path] =
        ["METADATA", "WHEEL", "RECORD"].map(|file| format!("{info}/{file}"));
    let metadata_text = format!("Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n");
    let wheel_text = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n";
    let mut all = files.to_vec();
    for (path, text) in [(metadata.as_str(), metadata_text.as_str()), (&wheel, wheel_text)] {
        if !all.iter().any(|(listed, _)| *listed == path) {
            all.push((path, text.as_bytes()));
        }
    }
    let mut parts: Vec<_> =
        all.iter().map(|(name, content)| Part::deflated(name, content)).collect();
    if !all.iter().any(|(name, _)| *name == record_path) {
        let text = record(&record_path, &all);
        parts.push(Part::deflated(&record_path, text.as_bytes()));
    }
    Zip { parts, ..Zip::default() }
}

/// Writes `bytes` to the file `name` in `dir`.
pub fn write(dir: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = dir.join(name);
    std::fs::write(&path, bytes).expect("a temporary directory can be written");
    path
}
