//! The outer container, an ar archive: members written, and listed without trust.
//!
//! The only module that knows the crate for it. It knows nothing of what the members mean.

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::fs::FileExt;

use anyhow::{Context, Result};

use crate::error::UserError;

/// An ar header has ten decimal digits for the size of a member.
const AR_MEMBER_LIMIT: u64 = 10_000_000_000;
const AR_MAGIC: &[u8; 8] = b"!<arch>\n";
/// Far more than the three or four a package has.
const AR_MEMBERS: usize = 64;

/// Writes the members of a .deb: root:root, mode 0644, one time stamp.
pub(super) struct ArWriter<W: Write> {
    builder: ar::Builder<W>,
    mtime: u64,
}

impl<W: Write> ArWriter<W> {
    pub(super) fn new(out: W, mtime: u64) -> Self {
        Self { builder: ar::Builder::new(out), mtime }
    }

    /// Adds a member of `len` bytes.
    pub(super) fn append(&mut self, name: &str, len: u64, content: impl Read) -> Result<()> {
        if len >= AR_MEMBER_LIMIT {
            let message = format!("`{name}` would have {len} bytes; a .deb holds less than 10^10");
            return Err(UserError::input(message)
                .hint("split the package, or compress it better")
                .into());
        }
        let mut header = ar::Header::new(name.as_bytes().to_vec(), len);
        header.set_mode(0o100_644);
        header.set_mtime(self.mtime);
        self.builder.append(&header, content).with_context(|| format!("cannot write `{name}`"))
    }

    pub(super) fn finish(self) -> Result<W> {
        let mut out = self.builder.into_inner().context("cannot write the package")?;
        out.flush().context("cannot write the package")?;
        Ok(out)
    }
}

/// Where the content of an ar member is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ArMember {
    pub(super) name: String,
    pub(super) offset: u64,
    pub(super) len: u64,
}

/// Whether a file begins as an ar archive does.
pub(super) fn is_ar(file: &File) -> bool {
    let mut magic = [0; AR_MAGIC.len()];
    file.read_exact_at(&mut magic, 0).is_ok() && &magic == AR_MAGIC
}

/// The members of an ar archive, each of which is all there.
pub(super) fn list_ar(file: &File) -> Result<Vec<ArMember>> {
    let end = file.metadata().context("cannot read the package")?.len();
    if !is_ar(file) {
        return Err(UserError::input("this is no .deb: it is not an ar archive").into());
    }
    let mut members = Vec::new();
    let mut offset = AR_MAGIC.len() as u64;
    while offset < end {
        let mut header = [0; 60];
        if end - offset < 60 || members.len() == AR_MEMBERS {
            let message = format!("the ar archive is damaged or cut short at byte {offset}");
            return Err(UserError::input(message).into());
        }
        file.read_exact_at(&mut header, offset).context("cannot read the package")?;
        let member = parse_ar_header(&header, offset)?;
        if member.len > end - member.offset {
            let message = format!("member `{}` is cut short", member.name);
            return Err(UserError::input(message).into());
        }
        offset = member.offset + member.len + (member.len & 1);
        members.push(member);
    }
    Ok(members)
}

fn parse_ar_header(header: &[u8; 60], offset: u64) -> Result<ArMember> {
    let fault = || UserError::input(format!("the ar header at byte {offset} is damaged"));
    let text = std::str::from_utf8(header).map_err(|_| fault())?;
    // The header is ASCII; text.get() is None where a longer character is cut in two.
    let name = text.get(..16).ok_or_else(fault)?.trim_end().trim_end_matches('/');
    let size = text.get(48..58).ok_or_else(fault)?.trim_end();
    let is_plain = |at: u8| at.is_ascii_graphic() && !matches!(at, b'/' | b'`');
    if &header[58..] != b"`\n" || name.is_empty() || !name.bytes().all(is_plain) {
        return Err(fault().into());
    }
    if !size.bytes().all(|at| at.is_ascii_digit()) {
        return Err(fault().into());
    }
    let len = size.parse().map_err(|_| fault())?;
    Ok(ArMember { name: name.to_owned(), offset: offset + 60, len })
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use crate::backend::deb::archive::{ArWriter, list_ar};

    fn check(change: impl Fn(&mut Vec<u8>), part: &str) {
        let mut ar = ArWriter::new(Vec::new(), 0);
        ar.append("one", 3, &b"abc"[..]).unwrap();
        let mut bytes = ar.finish().unwrap();
        change(&mut bytes);
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&bytes).unwrap();
        let error = list_ar(&file).unwrap_err();
        assert!(error.to_string().contains(part), "{error:#}");
    }

    #[test]
    fn hostile_ar() {
        check(|bytes| bytes.truncate(70), "member `one` is cut short");
        check(|bytes| bytes.truncate(40), "cut short at byte 8");
        check(|bytes| bytes[8 + 58] = b'x', "header at byte 8 is damaged");
        check(|bytes| bytes[8..12].copy_from_slice(b"/999"), "header at byte 8 is damaged");
        check(|bytes| bytes[8..12].copy_from_slice(b"#1/9"), "header at byte 8 is damaged");
        check(|bytes| bytes[8 + 48] = b'+', "header at byte 8 is damaged");
        check(|bytes| bytes[8 + 48..8 + 58].fill(b'9'), "member `one` is cut short");
        check(|bytes| bytes[8] = 0xc3, "header at byte 8 is damaged");
        check(|bytes| bytes[0] = b'?', "not an ar archive");
        let mut ar = ArWriter::new(Vec::new(), 0);
        let error = ar.append("big", 10_000_000_000, &b""[..]).unwrap_err();
        assert!(error.to_string().contains("less than 10^10"));
    }
}
