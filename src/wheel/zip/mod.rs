//! A strict zip reader: archives every tool reads in the same way, and no others.
//!
//! Knows nothing of wheels. Headers lie back to back from the first byte, local and central ones agree, and
//! nothing is hidden between, before or after them.

mod central;
mod end;
mod extra;
mod local;
mod name;
mod source;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};

use crate::digest::Hasher;
use crate::tree::Content;
use crate::wheel::crc32::Crc32;
use crate::wheel::zip::central::Header;
use crate::wheel::zip::source::Source;

/// Largest member that is read into memory, in bytes.
const MAX_IN_MEMORY: u64 = 128 << 20;

/// One file of an archive.
#[derive(Clone, Debug)]
pub(super) struct Member {
    /// Unix mode with its type bits, 0 when there is none.
    pub(super) mode: u32,
    /// Checksum of the content.
    pub(super) crc32: u32,
    /// Where the content is.
    pub(super) content: Content,
}

/// An open archive and its index.
#[derive(Clone, Debug)]
pub(super) struct Archive {
    source: Source,
    /// Files by name; directories are not listed.
    pub(super) members: BTreeMap<String, Member>,
}

impl Archive {
    /// Opens the archive at `path` and checks all its headers, but no content.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let source = Source::open(path)?;
        let directory = end::find(&source)?;
        let mut headers = central::read(&source, directory)?;
        headers.sort_by_key(|header| header.offset);
        let members = index(&source, headers, directory.offset)?;
        Ok(Self { source, members })
    }

    /// The file name of the archive, printable.
    pub(super) fn name(&self) -> &str {
        &self.source.name
    }

    /// Reads the member `name` once and checks its size and checksum; its digest by `hasher`.
    pub(super) fn digest(&self, name: &str, hasher: Hasher) -> Result<Vec<u8>> {
        let mut hasher = hasher;
        self.read_by(name, |bytes| hasher.update(bytes))?;
        Ok(hasher.finish())
    }

    /// The checked content of the member `name`, for members that are small.
    pub(super) fn read(&self, name: &str) -> Result<Vec<u8>> {
        if self.member(name)?.content.len() > MAX_IN_MEMORY {
            let what = format!("is larger than {} MiB", MAX_IN_MEMORY >> 20);
            return Err(self.refuse_member(name, &what));
        }
        let mut content = Vec::new();
        self.read_by(name, |bytes| content.extend_from_slice(bytes))?;
        Ok(content)
    }

    /// The checked content of the member `name` as UTF-8.
    pub(super) fn read_text(&self, name: &str) -> Result<String> {
        String::from_utf8(self.read(name)?).map_err(|_| self.refuse_member(name, "is not UTF-8"))
    }

    /// A fault of the whole archive; `what` follows its name.
    pub(super) fn refuse(&self, what: &str) -> anyhow::Error {
        self.source.refuse(what)
    }

    /// A fault of one member; `what` follows its name.
    pub(super) fn refuse_member(&self, name: &str, what: &str) -> anyhow::Error {
        self.source.refuse_member(name, what)
    }

    fn member(&self, name: &str) -> Result<&Member> {
        self.members.get(name).ok_or_else(|| self.refuse_member(name, "is missing"))
    }

    fn read_by(&self, name: &str, mut take: impl FnMut(&[u8])) -> Result<()> {
        let member = self.member(name)?;
        let mut crc = Crc32::new();
        let read = each_chunk(&member.content, |bytes| {
            crc.update(bytes);
            take(bytes);
        });
        match read {
            Ok(()) if crc.finish() == member.crc32 => Ok(()),
            Ok(()) => Err(self.refuse_member(name, "has a wrong checksum")),
            Err(error) if is_content_fault(&error) => {
                Err(self.refuse_member(name, &format!("is corrupt: {error}")))
            }
            Err(error) => Err(error).with_context(|| format!("cannot read `{}`", self.name())),
        }
    }
}

fn each_chunk(content: &Content, mut take: impl FnMut(&[u8])) -> io::Result<()> {
    let mut reader = content.open()?;
    let mut buffer = vec![0; 64 << 10];
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => take(&buffer[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Whether the bytes are to blame, not the disk.
fn is_content_fault(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidData, InvalidInput, UnexpectedEof};
    [InvalidData, InvalidInput, UnexpectedEof].contains(&error.kind())
}

/// Checks that `headers`, sorted by offset, describe everything up to `limit`, and lists the files.
fn index(source: &Source, headers: Vec<Header>, limit: u64) -> Result<BTreeMap<String, Member>> {
    let mut members = BTreeMap::new();
    let mut dirs = BTreeSet::new();
    let mut at = 0;
    for header in headers {
        let refuse = |what: &str| source.refuse_member(&header.name, what);
        match header.offset.checked_sub(at) {
            Some(0) => {}
            None => return Err(refuse("overlaps another member")),
            Some(gap) => return Err(refuse(&format!("has {gap} hidden bytes before it"))),
        }
        let offset = local::check(source, &header, limit)?;
        at = offset + header.stored_len;
        let name = header.name.trim_end_matches('/').to_owned();
        if members.contains_key(&name) || dirs.contains(&name) {
            return Err(refuse("is there twice"));
        }
        if header.is_dir() {
            dirs.insert(name);
        } else {
            members.insert(name, member(source, &header, offset));
        }
    }
    match limit - at {
        0 => Ok(members),
        gap => Err(source.refuse(format!("has {gap} hidden bytes before its central directory"))),
    }
}

fn member(source: &Source, header: &Header, offset: u64) -> Member {
    let content = Content::Span {
        file: Arc::clone(&source.file),
        offset,
        stored_len: header.stored_len,
        len: header.len,
        deflated: header.method == 8,
    };
    Member { mode: header.mode, crc32: header.crc32, content }
}
