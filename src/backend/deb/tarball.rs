//! The inner containers, tar streams: written as dpkg wants them, read without trust.
//!
//! The only module that knows the crate for them. It knows nothing of what the members mean.

use std::io::{self, Read, Write};

use anyhow::{Context, Result};
use tar::{EntryType, Header};

use crate::error::UserError;
use crate::package::Ownership;

const BLOCK: u64 = 512;
/// A path has 4095 bytes at most; a longer name is no name.
const LONG_NAME_LIMIT: u64 = 64 << 10;
const PAX_LIMIT: u64 = 1 << 20;

/// Writes members of a GNU tar stream as dpkg reads it: root:root, one time stamp, long names in `L` and `K` entries, no
/// extension beyond these.
pub(super) struct TarWriter<W: Write> {
    out: W,
    mtime: u64,
}

/// What a stream ends with: two empty blocks.
pub(super) const END: [u8; 2 * BLOCK as usize] = [0; 2 * BLOCK as usize];

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
        self.open_file(name, mode, len)?;
        let count = io::copy(content, &mut self.out)?;
        if count != len {
            return Err(io::Error::other("content is not as long as listed"));
        }
        self.close_file(len)
    }

    /// Begins a file, whose `len` bytes are to follow.
    pub(super) fn open_file(&mut self, name: &str, mode: u32, len: u64) -> io::Result<()> {
        self.header(name, EntryType::Regular, mode, len)
    }

    /// Ends a file of `len` bytes.
    pub(super) fn close_file(&mut self, len: u64) -> io::Result<()> {
        self.pad(len)
    }

    /// The writer, in the middle of the stream.
    pub(super) fn into_inner(self) -> W {
        self.out
    }

    /// Ends the stream with two empty blocks and gives the writer back.
    pub(super) fn finish(mut self) -> io::Result<W> {
        self.out.write_all(&END)?;
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
    /// Whose it is, where it is not root's alone.
    pub(super) owner: Option<Ownership>,
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
    /// What the attribute `security.capability` holds.
    capabilities: String,
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
        if self.left > 0 {
            let mut buffer = [0; 16 << 10];
            while self.left > 0 {
                let want = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
                self.fill(&mut buffer[..want])?;
                sink.write_all(&buffer[..want]).context("cannot write to the spool")?;
                self.left -= want as u64;
            }
        }
        let padding = usize::try_from(self.padding).expect("padding is shorter than a block");
        self.padding = 0;
        self.fill(&mut [0; BLOCK as usize][..padding])
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
        // dpkg reads nothing behind these, and takes what stands there for the next members.
        if kind != MemberKind::File && self.left > 0 {
            let name = printable(&full_name);
            return Err(self.fault(&format!("`{name}` is no file and has content")));
        }
        let name = relative(&full_name).to_owned();
        let owner = owner(header, ahead.capabilities);
        Ok(Member { name, kind, mode: mode & 0o7777, len: self.left, owner })
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

    /// Takes what is known out of records such as `20 path=opt/app/file\n`. The values of attributes are bytes.
    fn pax(&mut self, ahead: &mut Ahead) -> Result<()> {
        let bytes = self.content(PAX_LIMIT)?;
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let (key, value, tail) =
                split_record(rest).ok_or_else(|| self.fault(&"a PAX record is damaged"))?;
            rest = tail;
            match key {
                b"path" => ahead.name = Some(self.utf8(value.to_vec())?),
                b"linkpath" => ahead.target = Some(self.utf8(value.to_vec())?),
                b"size" => {
                    let size = self.utf8(value.to_vec())?.parse();
                    ahead.size = Some(size.map_err(|_| self.fault(&"a PAX size is damaged"))?);
                }
                b"SCHILY.xattr.security.capability" => ahead.capabilities = capabilities(value),
                key if key.starts_with(b"GNU.sparse") => {
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

/// The key and the value of the first record, and what follows it.
fn split_record(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let blank = bytes.iter().position(|at| *at == b' ')?;
    let size: usize = std::str::from_utf8(&bytes[..blank]).ok()?.parse().ok()?;
    let (record, rest) = bytes.split_at_checked(size)?;
    let record = record.get(blank + 1..)?.strip_suffix(b"\n")?;
    let sign = record.iter().position(|at| *at == b'=')?;
    Some((&record[..sign], &record[sign + 1..], rest))
}

/// Whose a member is; names come before numbers, as for tar(1), and a number that is not written is 0.
fn owner(header: &Header, capabilities: String) -> Option<Ownership> {
    let named = |name: Option<&[u8]>, field: [u8; 8], number: io::Result<u64>| {
        let name = name.map(String::from_utf8_lossy).unwrap_or_default();
        let is_blank = field.iter().all(|at| matches!(at, 0 | b' '));
        match (&*name, number) {
            ("", Ok(0)) => "root".to_owned(),
            ("", Ok(number)) => number.to_string(),
            ("", Err(_)) if is_blank => "root".to_owned(),
            ("", Err(_)) => "?".to_owned(),
            (name, _) => name.to_owned(),
        }
    };
    let numbers = header.as_old();
    let user = named(header.username_bytes(), numbers.uid, header.uid());
    let group = named(header.groupname_bytes(), numbers.gid, header.gid());
    Ownership::new(user, group, capabilities)
}

/// What `struct vfs_cap_data` (linux/capability.h) permits: 32 bits at 4, and 32 more at 12 since version 2.
fn capabilities(value: &[u8]) -> String {
    let word = |at: usize| {
        let bytes = value.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
        u64::from(u32::from_le_bytes(bytes.unwrap_or_default()))
    };
    format!("capabilities 0x{:x}", word(4) | word(12) << 32)
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

#[cfg(test)]
mod tests {
    use tar::EntryType;

    use crate::backend::deb::tarball::{
        Member, MemberKind, TarReader, TarWriter, fill, tar_header,
    };
    use crate::error::exit_code;

    const BUDGET: u64 = 1 << 20;

    /// Header and content of one member, as another program may write it.
    fn entry(kind: u8, name: &str, content: &[u8]) -> Vec<u8> {
        let mut header = tar_header(name, EntryType::new(kind), 0o640, 0);
        header.set_size(content.len() as u64);
        header.set_cksum();
        let mut bytes = header.as_bytes().to_vec();
        bytes.extend_from_slice(content);
        bytes.resize(bytes.len().next_multiple_of(512), 0);
        bytes
    }

    fn read_all(bytes: &[u8]) -> anyhow::Result<Vec<Member>> {
        let mut tar = TarReader::new(bytes, "data.tar", BUDGET);
        let mut members = Vec::new();
        while let Some(member) = tar.next()? {
            members.push(member);
        }
        Ok(members)
    }

    fn check(entries: &[Vec<u8>], expected: Result<(&str, MemberKind, u64), &str>) {
        let mut bytes = entries.concat();
        bytes.resize(bytes.len() + 1024, 0);
        match (read_all(&bytes), expected) {
            (Ok(members), Ok((name, kind, len))) => {
                let name = name.to_owned();
                let member = Member { name, kind, mode: 0o640, len, owner: None };
                assert_eq!(members, [member]);
            }
            (Err(error), Err(part)) => {
                assert!(error.to_string().contains(part), "{error:#}");
                assert_eq!(exit_code(&error), 3);
            }
            (found, expected) => panic!("{found:?} where {expected:?} was expected"),
        }
    }

    #[test]
    fn dialects() {
        let long = "n".repeat(300);
        let pax = |text: &str| {
            let with = |len: usize| format!("{len} {text}\n");
            let len = (1..).find(|len| with(*len).len() == *len).unwrap();
            entry(b'x', "pax", with(len).as_bytes())
        };
        let file = MemberKind::File;
        check(&[entry(b'0', "./a", b"x")], Ok(("a", file.clone(), 1)));
        check(&[entry(0, "./a", b"x")], Ok(("a", file.clone(), 1)));
        check(&[entry(0, "./a/", b"")], Ok(("a", MemberKind::Dir, 0)));
        check(&[entry(b'5', "./", b"")], Ok(("", MemberKind::Dir, 0)));
        check(
            &[entry(b'L', "l", long.as_bytes()), entry(b'0', "n", b"")],
            Ok((&long, file.clone(), 0)),
        );
        let target = || MemberKind::Symlink(long.clone());
        check(&[entry(b'K', "l", long.as_bytes()), entry(b'2', "a", b"")], Ok(("a", target(), 0)));
        check(&[pax("path=./p"), entry(b'0', "n", b"y")], Ok(("p", file.clone(), 1)));
        check(&[entry(b'g', "g", b"11 path=x\n"), entry(b'0', "n", b"")], Ok(("n", file, 0)));
        check(&[pax("GNU.sparse.major=1"), entry(b'0', "n", b"")], Err("sparse"));
        check(&[entry(b'x', "x", b"99 path=x\n")], Err("PAX record is damaged"));
        check(&[entry(b'x', "x", "1é".as_bytes())], Err("PAX record is damaged"));
        check(
            &[pax("size=18446744073709551615"), entry(b'0', "n", b"")],
            Err("more than a package"),
        );
        // dpkg would find other members in these.
        for kind in [b'1', b'2', b'5'] {
            let hidden = entry(b'0', "hidden", b"x");
            check(&[entry(kind, "a", &hidden)], Err("`a` is no file and has content"));
            check(&[pax("size=512"), entry(kind, "a", b"")], Err("`a` is no file and has content"));
        }
        check(&[entry(b'0', "a/", &[0; 512])], Err("`a/` is no file and has content"));
        check(&[entry(b'S', "s", b"")], Err("`s` has type `S`"));
        check(&[entry(b'3', "c", b"")], Err("`c` has type `3`"));
        check(&[entry(b'0', "/a", b"")], Err("is absolute"));
        check(&[entry(b'L', "l", &[b'n'; 70_000])], Err("too large"));
        check(&[entry(b'L', "l", &[0xff])], Err("is not UTF-8"));
        check(&[vec![b'x'; 512]], Err("checksum"));
        assert!(read_all(&entry(b'0', "a", b"")).is_err(), "a stream without an end is cut short");
    }

    #[test]
    fn owners() {
        let owner = |change: &dyn Fn(&mut tar::Header), ahead: &[u8]| {
            let mut header = tar_header("./a", EntryType::Regular, 0o640, 0);
            change(&mut header);
            header.set_cksum();
            let bytes = [ahead, &header.as_bytes()[..], &[0; 1024]].concat();
            read_all(&bytes).unwrap()[0].owner.as_ref().map(ToString::to_string)
        };
        assert_eq!(owner(&|_| {}, b""), None);
        let games = |header: &mut tar::Header| header.set_groupname("games").unwrap();
        assert_eq!(owner(&games, b"").as_deref(), Some("root:games"));
        let numbers = |header: &mut tar::Header| {
            header.set_uid(33);
            for part in [header.set_username(""), header.set_groupname("")] {
                part.unwrap();
            }
        };
        assert_eq!(owner(&numbers, b"").as_deref(), Some("33:root"));
        // As setcap(8) sets cap_net_bind_service+ep, which is bit 10.
        let mut record = b"58 SCHILY.xattr.security.capability=".to_vec();
        record.extend([1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff]);
        record.extend(b"\n");
        let len = record.len().to_string();
        record[..2].copy_from_slice(len.as_bytes());
        let told = owner(&|_| {}, &entry(b'x', "x", &record));
        assert_eq!(told.as_deref(), Some("root:root capabilities 0x400"));
    }

    #[test]
    fn ustar_prefix() {
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(EntryType::Regular);
        header.set_mode(0o640);
        header.set_size(0);
        fill(&mut header.as_old_mut().name, "name");
        header.as_ustar_mut().unwrap().prefix[..6].copy_from_slice(b"./prex");
        header.set_cksum();
        check(&[header.as_bytes().to_vec()], Ok(("prex/name", MemberKind::File, 0)));
    }

    #[test]
    fn large_sizes() {
        for (size, field) in [
            (8_589_934_591, *b"77777777777\0"),
            (8_589_934_592, [0x80, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0]),
        ] {
            let mut header = tar_header("./a", EntryType::Regular, 0o644, 0);
            header.set_size(size);
            assert_eq!(header.as_old().size, field);
            assert_eq!(header.entry_size().unwrap(), size);
        }
    }

    #[test]
    fn known_bytes() {
        let mut tar = TarWriter::new(Vec::new(), 1);
        tar.dir("./", 0o755).unwrap();
        tar.symlink("./l", &"t".repeat(100)).unwrap();
        let bytes = tar.finish().unwrap();
        assert_eq!(&bytes[..2], b"./");
        assert_eq!(&bytes[100..108], b"0000755\0");
        assert_eq!(&bytes[136..148], b"00000000001\0");
        assert_eq!(&bytes[156..=156], b"5");
        assert_eq!(&bytes[257..265], b"ustar  \0");
        assert_eq!((&bytes[265..269], &bytes[297..301]), (&b"root"[..], &b"root"[..]));
        assert_eq!((&bytes[512..525], bytes[512 + 156]), (&b"././@LongLink"[..], b'K'));
        assert_eq!(bytes.len(), 512 * 6);
    }
}
