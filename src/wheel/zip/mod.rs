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
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};

use crate::codec::Crc32;
use crate::digest::Hasher;
use crate::tree::content::Content;
use crate::wheel::zip::central::Header;
use crate::wheel::zip::source::Source;

/// Largest member that is read into memory, in bytes.
const MAX_IN_MEMORY: u64 = 128 << 20;

/// One file of an archive.
#[derive(Clone, Debug)]
pub(super) struct Member {
    /// Unix mode with its type bits, 0 when there is none.
    pub(super) mode: u32,
    /// When it was last changed, in seconds since 1970; 0 when it does not say.
    pub(super) time: u64,
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

    /// The file it is read from.
    pub(super) fn file(&self) -> &File {
        &self.source.file
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

    /// Reads the member `name` once and checks its size and checksum; `take` gets the bytes.
    pub(super) fn read_by(&self, name: &str, mut take: impl FnMut(&[u8])) -> Result<()> {
        let member = self.member(name)?;
        let mut crc = Crc32::default();
        let read = each_chunk(&member.content, |bytes| {
            crc.update(bytes);
            take(bytes);
        });
        match read {
            Ok(()) if crc.finish() == member.crc32 => Ok(()),
            Ok(()) => Err(self.source.damaged_member(name, "has a wrong checksum")),
            Err(error) if is_content_fault(&error) => {
                Err(self.source.damaged_member(name, format!("is corrupt: {error}")))
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
            Some(gap) => return Err(refuse(&format!("has hidden bytes before it: {gap}"))),
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
        // Built at once, because a map that grows in order has nodes half empty.
        0 => Ok(members.into_iter().collect()),
        gap => Err(source.refuse(format!("has hidden bytes before its central directory: {gap}"))),
    }
}

fn member(source: &Source, header: &Header, offset: u64) -> Member {
    let content = Content::Span {
        file: Arc::clone(&source.file),
        offset,
        stored_len: header.stored_len,
        len: header.len,
        deflated: header.method == 8,
        sha256: None,
    };
    Member { mode: header.mode, time: header.time, crc32: header.crc32, content }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::codec::Crc32;
    use crate::error::{exit_code, hint};
    use crate::wheel::fixture::{Part, Zip, extra, write};
    use crate::wheel::zip::Archive;

    /// Opens `bytes` as `x.zip` and reads every member.
    fn read(bytes: &[u8]) -> anyhow::Result<Vec<String>> {
        let dir = tempfile::tempdir().unwrap();
        let archive = Archive::open(&write(dir.path(), "x.zip", bytes))?;
        for name in archive.members.keys() {
            archive.read(name)?;
        }
        Ok(archive.members.into_keys().collect())
    }

    fn check_bytes(bytes: &[u8], message: &str) {
        let error = read(bytes).unwrap_err();
        assert_eq!(error.to_string(), message);
        assert_eq!(exit_code(&error), 3, "{message}");
    }

    fn check(zip: &Zip, message: &str) {
        check_bytes(&zip.bytes(), message);
    }

    fn check_part(part: Part, message: &str) {
        check(&Zip { parts: vec![part], ..Zip::default() }, message);
    }

    fn check_named(name: &str, message: &str) {
        check_part(Part::stored(name, b"x"), message);
    }

    fn part() -> Part {
        Part::stored("a", b"content")
    }

    fn sound() -> Zip {
        let parts =
            vec![part(), Part::deflated("d/b", b"bbbbbbbbbbbbbbbbb"), Part::stored("e/", b"")];
        Zip { parts, ..Zip::default() }
    }

    #[test]
    fn sound_archives() {
        assert_eq!(read(&sound().bytes()).unwrap(), ["a", "d/b"]);
        assert_eq!(read(&Zip { zip64: true, ..sound() }.bytes()).unwrap(), ["a", "d/b"]);
        assert!(read(&Zip::default().bytes()).unwrap().is_empty());
        let times = extra(0x5455, &[3, 0, 0, 0, 0]);
        let umlaut = Part::stored("ä", b"").both(|header| header.extra.clone_from(&times));
        assert_eq!(read(&Zip { parts: vec![umlaut], ..Zip::default() }.bytes()).unwrap(), ["ä"]);
    }

    #[test]
    fn zip64_members() {
        let [len, one] = [7_u64, 1].map(u64::to_le_bytes);
        let wide = |data: &[u8]| {
            let mut part = part().both(|header| {
                (header.len, header.stored_len) = (u32::MAX, u32::MAX);
                header.extra = extra(1, &[len, len].concat());
            });
            part.central.extra = extra(1, data);
            part
        };
        let zip = Zip { parts: vec![wide(&[len, len].concat())], ..Zip::default() };
        assert_eq!(read(&zip.bytes()).unwrap(), ["a"]);
        let mut narrow = wide(&[]);
        narrow.central = part().central;
        let zip = Zip { parts: vec![narrow], ..Zip::default() };
        assert_eq!(read(&zip.bytes()).unwrap(), ["a"]);
        let repeating = part().both(|header| header.extra = extra(1, &[len, len].concat()));
        let zip =
            Zip { parts: vec![Part { central: part().central, ..repeating }], ..Zip::default() };
        assert_eq!(read(&zip.bytes()).unwrap(), ["a"]);
        let malformed = "member `a` of `x.zip` has malformed ZIP64 sizes";
        check_part(wide(&len), malformed);
        check_part(wide(&[len, len, one].concat()), malformed);
        check_part(part().both(|header| header.extra = extra(1, &len)), malformed);
        check_part(
            wide(&[len, one].concat()),
            "member `a` of `x.zip` is stored in another size than its own",
        );
    }

    #[test]
    fn not_an_archive() {
        let bytes = sound().bytes();
        check_bytes(b"", "`x.zip` is empty");
        assert_eq!(hint(&read(b"").unwrap_err()), Some("fetch it again"));
        check_bytes(b"PK", "`x.zip` is not a zip archive");
        check_bytes(&[b'x'; 100], "`x.zip` is not a zip archive");
        check_bytes(&bytes[..bytes.len() - 1], "`x.zip` is truncated");
        check_bytes(&bytes[..bytes.len() - 30], "`x.zip` is truncated");
        check_bytes(&bytes[..40], "`x.zip` is truncated");
        let dir = tempfile::tempdir().unwrap();
        let error = Archive::open(dir.path()).unwrap_err().to_string();
        assert!(error.ends_with(" is not a regular file"), "{error}");
        let error = Archive::open(Path::new("/nonexistent/x.zip")).unwrap_err();
        assert_eq!(error.to_string(), "cannot read `/nonexistent/x.zip`");
    }

    #[test]
    fn end_records() {
        let zip = sound;
        let moved = |end_by, place: &str| {
            let message = format!(
                "`x.zip` has its central directory elsewhere than its end record says: {place}"
            );
            check(&Zip { end_by, ..zip() }, &message);
        };
        check(&Zip { comment: b"hi".to_vec(), ..zip() }, "`x.zip` has an archive comment");
        check(&Zip { trail: b"hi".to_vec(), ..zip() }, "`x.zip` has bytes after its end record: 2");
        check(&Zip { disk: 1, ..zip() }, "`x.zip` is a part of a multi-disk archive");
        check(
            &Zip { end_by: [1, 0, 0], ..zip() },
            "`x.zip` has 3 members, but its end record says 4",
        );
        check(
            &Zip { end_by: [-1, 0, 0], ..zip() },
            "`x.zip` has 3 members, but its end record says 2",
        );
        moved([0, 1, 0], "145 bytes at 108 do not end at 252");
        moved([0, 0, -1], "144 bytes at 107 do not end at 252");
        check(&Zip { end_by: [0, -1, 1], ..zip() }, "`x.zip` has a malformed central directory");
        let twice = [zip().bytes(), b"PK\x05\x06".to_vec(), vec![0; 18]].concat();
        check_bytes(&twice, "`x.zip` has two end records");
        let bytes = zip().bytes();
        let twice = [&bytes[..], &bytes[bytes.len() - 22..]].concat();
        check_bytes(&twice, "`x.zip` has two end records");
        check(
            &Zip { zip64: true, end64_by: 1, ..zip() },
            "`x.zip` has a malformed ZIP64 end record",
        );
        check(&Zip { end_by: [0xFFFC, 0, 0], ..zip() }, "`x.zip` has a malformed ZIP64 end record");
        let mut bytes = Zip { zip64: true, ..zip() }.bytes();
        let at = bytes.len() - 14;
        bytes[at..at + 4].copy_from_slice(&[2, 0, 2, 0]);
        check_bytes(&bytes, "`x.zip` has two end records that differ: the ZIP64 one and the other");
        check(
            &Zip { zip64: true, end_by: [2_000_000, 0, 0], ..zip() },
            "`x.zip` has more than 1000000 members",
        );
    }

    #[test]
    fn hidden_bytes() {
        check(
            &Zip { lead: b"#!/bin/sh".to_vec(), ..sound() },
            "member `a` of `x.zip` has hidden bytes before it: 9",
        );
        let gap = Part { gap: b"hidden".to_vec(), ..part() };
        check(
            &Zip { parts: vec![gap.clone(), Part::stored("b", b"")], ..Zip::default() },
            "member `b` of `x.zip` has hidden bytes before it: 6",
        );
        check_part(gap, "`x.zip` has hidden bytes before its central directory: 6");
    }

    #[test]
    fn offsets() {
        let parts = |offset_by| vec![part(), Part { offset_by, ..Part::stored("b", b"xx") }];
        let zip = |offset_by| Zip { parts: parts(offset_by), ..Zip::default() };
        check(&zip(-1), "member `b` of `x.zip` overlaps another member");
        check(&zip(-38), "member `b` of `x.zip` overlaps another member");
        check(&zip(1), "member `b` of `x.zip` has hidden bytes before it: 1");
        check(&zip(1 << 31), "member `b` of `x.zip` has hidden bytes before it: 2147483648");
        let long = part().both(|header| (header.len, header.stored_len) = (1000, 1000));
        check_part(long, "member `a` of `x.zip` is out of range");
    }

    #[test]
    fn headers_that_differ() {
        let differ = |field: &str, change: fn(&mut crate::wheel::fixture::Header)| {
            let mut part = Part::deflated("a", &[b'x'; 100]);
            change(&mut part.local);
            let message = format!("member `a` of `x.zip` has another {field} in its local header");
            check_part(part, &message);
        };
        differ("name", |local| local.name = b"b".to_vec());
        differ("name", |local| local.name = b"a/b".to_vec());
        differ("set of flags", |local| local.flags = 1 << 11);
        differ("method", |local| local.method = 0);
        differ("checksum", |local| local.crc32 ^= 1);
        differ("size", |local| local.len += 1);
        differ("stored size", |local| local.stored_len -= 1);
    }

    #[test]
    fn flags_methods_and_modes() {
        let flagged = |flags: u16, what: &str| {
            let part = part().both(|header| header.flags = flags);
            check_part(part, &format!("member `a` of `x.zip` {what}"));
        };
        flagged(1, "is encrypted");
        flagged(1 << 3, "has a data descriptor");
        flagged(1 << 5, "has unknown flags");
        flagged(1 << 13, "has unknown flags");
        let neither = "member `a` of `x.zip` is neither stored nor deflated";
        for method in [1, 9, 12, 14, 93, 99] {
            check_part(part().both(|header| header.method = method), neither);
        }
        for mode in [0o120_777, 0o020_666, 0o060_660, 0o010_644, 0o140_755, 0o040_755] {
            let irregular = "member `a` of `x.zip` is not a regular file";
            check_part(Part { mode, ..part() }, irregular);
        }
        for mode in [0, 0o644, 0o100_755] {
            let zip = Zip { parts: vec![Part { mode, ..part() }], ..Zip::default() };
            assert!(read(&zip.bytes()).is_ok());
        }
        check_part(
            Part { comment: b"hi".to_vec(), ..part() },
            "member `a` of `x.zip` has a comment",
        );
        check_named("d/", "member `d/` of `x.zip` is a directory with content");
    }

    #[test]
    fn names() {
        for (name, shown, what) in [
            ("", "", "has no name"),
            ("a\0b", "a\\0b", "has a NUL in its name"),
            ("a\nb", "a\\nb", "has a control character in its name"),
            ("a\u{9b}", "a\\u{9b}", "has a control character in its name"),
            ("a\\b", "a\\\\b", "has a backslash in its name"),
            ("/etc/passwd", "/etc/passwd", "has an absolute name"),
            ("C:/x", "C:/x", "has a drive letter in its name"),
            ("c:x", "c:x", "has a drive letter in its name"),
            ("a//b", "a//b", "has an empty component in its name"),
            ("./a", "./a", "has a `.` component in its name"),
            ("a/../../b", "a/../../b", "has a `..` component in its name"),
            ("../", "../", "has a `..` component in its name"),
        ] {
            check_named(name, &format!("member `{shown}` of `x.zip` {what}"));
        }
        let long = "x".repeat(247);
        let what = "in a package has a component of 247 bytes; dpkg cannot unpack more than 246";
        check_named(&long, &format!("`x.zip` cannot be packaged: path \"{long}\" {what}"));
        let unmarked = Part::stored("ä", b"").both(|header| header.flags = 0);
        check_part(unmarked, "member `ä` of `x.zip` has a name that is not marked as UTF-8");
        let latin = part().both(|header| (header.flags, header.name) = (1 << 11, b"\xe4".to_vec()));
        check_part(latin, "member `\u{fffd}` of `x.zip` has a name that is not UTF-8");
        for twin in ["a", "a/"] {
            let parts = vec![part(), Part::stored(twin, b"")];
            let message = format!("member `{twin}` of `x.zip` is there twice");
            check(&Zip { parts, ..Zip::default() }, &message);
        }
    }

    #[test]
    fn extra_fields() {
        let with = |fields: &[u8], what: &str| {
            let part = part().both(|header| header.extra = fields.to_vec());
            check_part(part, &format!("member `a` of `x.zip` {what}"));
            let mut part = self::part();
            part.local.extra = fields.to_vec();
            check_part(part, &format!("member `a` of `x.zip` {what}"));
        };
        let mut crc = Crc32::default();
        crc.update(b"a");
        let path = |name: &[u8]| [&[1][..], &crc.finish().to_le_bytes(), name].concat();
        let twice = |id, data: &[u8]| [extra(id, data), extra(id, data)].concat();
        with(&[1, 0, 9], "has malformed extra fields");
        with(&[9, 9, 8, 0, 1], "has malformed extra fields");
        with(&twice(1, &[]), "has a duplicate extra field");
        with(&twice(0x7075, &path(b"a")), "has a duplicate extra field");
        with(&extra(0x7075, &path(b"b")), "has another name in its Unicode path");
        let same = part().both(|header| header.extra = extra(0x7075, &path(b"a")));
        assert!(read(&Zip { parts: vec![same], ..Zip::default() }.bytes()).is_ok());
    }

    #[test]
    fn content() {
        check_part(
            part().both(|header| header.crc32 ^= 1),
            "member `a` of `x.zip` has a wrong checksum",
        );
        let deflated =
            |len: u32| Part::deflated("a", &[b'x'; 1000]).both(|header| header.len = len);
        check_part(
            deflated(999),
            "member `a` of `x.zip` is corrupt: content is longer than listed",
        );
        check_part(
            deflated(1001),
            "member `a` of `x.zip` is corrupt: content is shorter than listed",
        );
        let mut noise = deflated(1000);
        noise.stored.fill(0xff);
        check_part(noise, "member `a` of `x.zip` is corrupt: corrupt deflate stream");
    }

    #[test]
    fn bombs() {
        let claim = |len: u32| Part::deflated("a", b"xxxxxxxxxxxx").both(|header| header.len = len);
        check_part(claim(17 << 20), "member `a` of `x.zip` is packed more than 1000 to 1");
        let zeros = Part::deflated("a", &vec![0; 17 << 20]);
        let message = "member `a` of `x.zip` is packed more than 1000 to 1";
        check_part(zeros, message);
        let claims = |name: &str| {
            let mut part = Part::stored(name, b"").both(|header| {
                (header.method, header.len, header.stored_len) = (8, 3 << 30, 4 << 20);
            });
            part.stored = vec![0; 4 << 20];
            part
        };
        let zip = Zip { parts: ["a", "b", "c"].map(claims).to_vec(), ..Zip::default() };
        check(&zip, "`x.zip` holds more than 8 GiB");
    }

    #[test]
    fn large_members_are_not_read_into_memory() {
        let dir = tempfile::tempdir().unwrap();
        let mut part = part().both(|header| {
            (header.method, header.len, header.stored_len) = (8, 200 << 20, 1 << 20);
        });
        part.stored = vec![0; 1 << 20];
        let bytes = Zip { parts: vec![part], ..Zip::default() }.bytes();
        let archive = Archive::open(&write(dir.path(), "x.zip", &bytes)).unwrap();
        let error = archive.read("a").unwrap_err();
        assert_eq!(error.to_string(), "member `a` of `x.zip` is larger than 128 MiB");
    }
}
