//! The two containers a .deb is made of, ar and tar: headers written and parsed one at a time.
//!
//! The only module that knows the crates for both. It knows nothing of what the members mean.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;

use anyhow::{Context, Result};
use tar::{EntryType, Header};

use crate::error::UserError;

/// An ar header has ten decimal digits for the size of a member.
const AR_MEMBER_LIMIT: u64 = 10_000_000_000;
const AR_MAGIC: &[u8; 8] = b"!<arch>\n";
/// Far more than the three or four a package has.
const AR_MEMBERS: usize = 64;
const BLOCK: u64 = 512;
/// A path has 4095 bytes at most; a longer name is no name.
const LONG_NAME_LIMIT: u64 = 64 << 10;
const PAX_LIMIT: u64 = 1 << 20;

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

/// The members of an ar archive, each of which is all there.
pub(super) fn list_ar(file: &File) -> Result<Vec<ArMember>> {
    let end = file.metadata().context("cannot read the package")?.len();
    let mut magic = [0; AR_MAGIC.len()];
    if end < 8 || file.read_exact_at(&mut magic, 0).is_err() || &magic != AR_MAGIC {
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

/// Writes a GNU tar stream as dpkg reads it: root:root, one time stamp, long names in `L` and `K` entries, no
/// extension beyond these.
pub(super) struct TarWriter<W: Write> {
    out: W,
    mtime: u64,
}

impl<W: Write> TarWriter<W> {
    pub(super) fn new(out: W, mtime: u64) -> Self {
        Self { out, mtime }
    }

    /// Adds a directory; `name` ends with `/`.
    pub(super) fn dir(&mut self, name: &str, mode: u32) -> io::Result<()> {
        self.header(name, EntryType::Directory, mode, 0)
    }

    /// Adds a symbolic link.
    pub(super) fn symlink(&mut self, name: &str, target: &str) -> io::Result<()> {
        self.long_name(EntryType::GNULongName, name)?;
        self.long_name(EntryType::GNULongLink, target)?;
        let mut header = tar_header(name, EntryType::Symlink, 0o777, self.mtime);
        fill(&mut header.as_old_mut().linkname, target);
        self.write_header(&mut header)
    }

    /// Adds a file of `len` bytes.
    pub(super) fn file(
        &mut self,
        name: &str,
        mode: u32,
        len: u64,
        content: &mut dyn Read,
    ) -> io::Result<()> {
        self.header(name, EntryType::Regular, mode, len)?;
        let count = io::copy(content, &mut self.out)?;
        if count != len {
            return Err(io::Error::other("content is not as long as listed"));
        }
        self.pad(len)
    }

    /// Ends the stream with two empty blocks and gives the writer back.
    pub(super) fn finish(mut self) -> io::Result<W> {
        self.out.write_all(&[0; 2 * BLOCK as usize])?;
        Ok(self.out)
    }

    fn header(&mut self, name: &str, kind: EntryType, mode: u32, len: u64) -> io::Result<()> {
        self.long_name(EntryType::GNULongName, name)?;
        let mut header = tar_header(name, kind, mode, self.mtime);
        header.set_size(len);
        self.write_header(&mut header)
    }

    /// Writes what does not fit the 100 bytes of a header, its NUL included, as an entry of its own.
    fn long_name(&mut self, kind: EntryType, name: &str) -> io::Result<()> {
        if name.len() < 100 {
            return Ok(());
        }
        let mut header = tar_header("././@LongLink", kind, 0o644, 0);
        let len = name.len() as u64 + 1;
        header.set_size(len);
        self.write_header(&mut header)?;
        self.out.write_all(name.as_bytes())?;
        self.out.write_all(&[0])?;
        self.pad(len)
    }

    fn write_header(&mut self, header: &mut Header) -> io::Result<()> {
        header.set_cksum();
        self.out.write_all(header.as_bytes())
    }

    fn pad(&mut self, len: u64) -> io::Result<()> {
        let rest = len.next_multiple_of(BLOCK) - len;
        self.out.write_all(&[0; BLOCK as usize][..rest as usize])
    }
}

/// A header with as much of `name` as fits and size 0.
fn tar_header(name: &str, kind: EntryType, mode: u32, mtime: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_mtime(mtime);
    header.set_size(0);
    header.set_uid(0);
    header.set_gid(0);
    header.set_username("root").expect("`root` fits a header");
    header.set_groupname("root").expect("`root` fits a header");
    fill(&mut header.as_old_mut().name, name);
    header
}

fn fill(slot: &mut [u8; 100], text: &str) {
    let len = text.len().min(slot.len());
    slot[..len].copy_from_slice(&text.as_bytes()[..len]);
}

/// What a tar member is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum MemberKind {
    Dir,
    File,
    Symlink(String),
    Hardlink(String),
}

/// A tar member as its header describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Member {
    /// Its name without `./` in front and `/` at the end; empty for the root.
    pub(super) name: String,
    pub(super) kind: MemberKind,
    pub(super) mode: u32,
    pub(super) len: u64,
}

/// Reads a tar stream of unknown origin: v7, ustar, GNU and PAX names; anything else is refused.
pub(super) struct TarReader<R> {
    input: R,
    /// What errors call the stream.
    label: String,
    /// How many more bytes may come out of `input`.
    budget: u64,
    /// Bytes of the current member still in `input`, and of the padding after them.
    left: u64,
    padding: u64,
}

/// Names that came in entries of their own, ahead of the member they belong to.
#[derive(Default)]
struct Ahead {
    name: Option<String>,
    target: Option<String>,
    size: Option<u64>,
}

impl<R: Read> TarReader<R> {
    pub(super) fn new(input: R, label: &str, budget: u64) -> Self {
        Self { input, label: label.to_owned(), budget, left: 0, padding: 0 }
    }

    /// The next member; `None` at the end of the stream, which is then known to be whole.
    pub(super) fn next(&mut self) -> Result<Option<Member>> {
        let mut ahead = Ahead::default();
        loop {
            self.copy_content(&mut io::sink())?;
            let Some(header) = self.header()? else {
                return Ok(None);
            };
            let size = header.entry_size().map_err(|error| self.fault(&error))?;
            self.expect_content(size)?;
            match header.entry_type().as_byte() {
                b'L' => ahead.name = Some(self.long_name()?),
                b'K' => ahead.target = Some(self.long_name()?),
                b'x' => self.pax(&mut ahead)?,
                b'g' => {}
                kind => return self.member(&header, kind, ahead).map(Some),
            }
        }
    }

    /// Copies the content of the current member, or what is left of it, into `sink`.
    pub(super) fn copy_content(&mut self, sink: &mut dyn Write) -> Result<()> {
        let mut buffer = [0; 32 << 10];
        while self.left > 0 {
            let want = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
            self.fill(&mut buffer[..want])?;
            sink.write_all(&buffer[..want]).context("cannot write to the spool")?;
            self.left -= want as u64;
        }
        let padding = usize::try_from(self.padding).expect("padding is shorter than a block");
        self.padding = 0;
        self.fill(&mut buffer[..padding])
    }

    /// The content of the current member, which may have at most `limit` bytes.
    pub(super) fn content(&mut self, limit: u64) -> Result<Vec<u8>> {
        if self.left > limit {
            return Err(self.fault(&format!("a member of {} bytes is too large", self.left)));
        }
        let mut bytes = Vec::new();
        self.copy_content(&mut bytes)?;
        Ok(bytes)
    }

    fn member(&mut self, header: &Header, kind: u8, ahead: Ahead) -> Result<Member> {
        let own_name = || self.utf8(header.path_bytes().into_owned());
        let full_name = ahead.name.map_or_else(own_name, Ok)?;
        let target = || match ahead.target {
            Some(target) => Ok(target),
            None => self.utf8(header.link_name_bytes().unwrap_or_default().into_owned()),
        };
        let kind = match kind {
            b'0' | 0 | b'7' if full_name.ends_with('/') => MemberKind::Dir,
            b'0' | 0 | b'7' => MemberKind::File,
            b'1' => MemberKind::Hardlink(relative(&target()?).to_owned()),
            b'2' => MemberKind::Symlink(target()?),
            b'5' => MemberKind::Dir,
            other => {
                let kind = char::from(other).escape_default().to_string();
                return Err(self.fault(&format!("`{}` has type `{kind}`", printable(&full_name))));
            }
        };
        if full_name.starts_with('/') {
            return Err(self.fault(&format!("name `{}` is absolute", printable(&full_name))));
        }
        let mode = header.mode().map_err(|error| self.fault(&error))?;
        if let Some(size) = ahead.size {
            self.expect_content(size)?;
        }
        let name = relative(&full_name).to_owned();
        Ok(Member { name, kind, mode: mode & 0o7777, len: self.left })
    }

    /// The next header; `None` at the end.
    fn header(&mut self) -> Result<Option<Header>> {
        let mut header = Header::new_gnu();
        let mut block = [0; BLOCK as usize];
        self.fill(&mut block)?;
        if block.iter().all(|byte| *byte == 0) {
            self.drain()?;
            return Ok(None);
        }
        header.as_mut_bytes().copy_from_slice(&block);
        block[148..156].fill(b' ');
        let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
        match header.cksum() {
            Ok(listed) if listed == sum => Ok(Some(header)),
            Ok(_) | Err(_) => Err(self.fault(&"a header has a wrong checksum")),
        }
    }

    fn expect_content(&mut self, size: u64) -> Result<()> {
        if size > self.budget {
            return Err(self.fault(&"it holds more than a package of this size can hold"));
        }
        self.left = size;
        self.padding = size.next_multiple_of(BLOCK) - size;
        Ok(())
    }

    fn long_name(&mut self) -> Result<String> {
        let mut bytes = self.content(LONG_NAME_LIMIT)?;
        bytes.truncate(bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len()));
        self.utf8(bytes)
    }

    /// Takes path, linkpath and size out of records such as `20 path=opt/app/file\n`.
    fn pax(&mut self, ahead: &mut Ahead) -> Result<()> {
        let bytes = self.content(PAX_LIMIT)?;
        let text = self.utf8(bytes)?;
        let mut rest = text.as_str();
        while !rest.is_empty() {
            let (record, tail) =
                split_record(rest).ok_or_else(|| self.fault(&"a PAX record is damaged"))?;
            rest = tail;
            match record {
                ("path", value) => ahead.name = Some(value.to_owned()),
                ("linkpath", value) => ahead.target = Some(value.to_owned()),
                ("size", value) => {
                    let size = value.parse().map_err(|_| self.fault(&"a PAX size is damaged"))?;
                    ahead.size = Some(size);
                }
                (key, _) if key.starts_with("GNU.sparse") => {
                    return Err(self.fault(&"it holds a sparse file"));
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn utf8(&self, bytes: Vec<u8>) -> Result<String> {
        String::from_utf8(bytes).map_err(|error| {
            let name = String::from_utf8_lossy(error.as_bytes()).escape_debug().to_string();
            self.fault(&format!("name `{name}` is not UTF-8"))
        })
    }

    /// Reads to the end of what is compressed, so that its checksums are verified.
    fn drain(&mut self) -> Result<()> {
        let count = io::copy(&mut (&mut self.input).take(self.budget), &mut io::sink());
        count.map_err(|error| self.fault(&error)).map(|_| ())
    }

    fn fill(&mut self, buffer: &mut [u8]) -> Result<()> {
        let Some(budget) = self.budget.checked_sub(buffer.len() as u64) else {
            return Err(self.fault(&"it holds more than a package of this size can hold"));
        };
        self.budget = budget;
        self.input.read_exact(buffer).map_err(|error| {
            let is_end = error.kind() == io::ErrorKind::UnexpectedEof;
            if is_end { self.fault(&"it is cut short") } else { self.fault(&error) }
        })
    }

    fn fault(&self, what: &dyn std::fmt::Display) -> anyhow::Error {
        UserError::input(format!("cannot read member `{}`: {what}", self.label)).into()
    }
}

fn split_record(text: &str) -> Option<((&str, &str), &str)> {
    let (len, _) = text.split_once(' ')?;
    let size: usize = len.parse().ok()?;
    let (record, rest) = text.split_at_checked(size)?;
    let record = record.get(len.len() + 1..)?.strip_suffix('\n')?;
    Some((record.split_once('=')?, rest))
}

/// A member's name as a package path: `./opt/app/` is `opt/app`.
fn relative(name: &str) -> &str {
    let name = name.strip_prefix("./").unwrap_or(name);
    let name = name.strip_suffix('/').unwrap_or(name);
    if name == "." { "" } else { name }
}

fn printable(name: &str) -> String {
    name.escape_debug().to_string()
}
