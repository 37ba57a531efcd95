//! Reads a .deb of unknown origin: every length is checked, every name is a package path, nothing is trusted.
//!
//! Refuses what the tree has no entry for, such as devices.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read, Write};
use std::sync::Arc;
use std::thread;

use anyhow::{Context, Result};

use crate::backend::deb::archive::{ArMember, list_ar};
use crate::backend::deb::tarball::{Member, MemberKind, TarReader};
use crate::codec::{Method, decompress};
use crate::error::UserError;
use crate::package::{Ownership, Package};
use crate::parallel::ahead;
use crate::tree::content::Content;
use crate::tree::{Entry, PkgPath, Role, Tree};

/// Control archives hold text; the largest is `md5sums`.
const CONTROL_LIMIT: u64 = 64 << 20;
/// Entries of the payload.
const ENTRY_LIMIT: usize = 4_000_000;
/// What a payload may unpack to: this much, and so many times its own size.
const PAYLOAD_FLOOR: u64 = 4 << 30;
const PAYLOAD_RATIO: u64 = 250;

/// Reads a package; file content goes to `spool`.
pub(super) fn read(input: File, spool: File) -> Result<Package> {
    let input = Arc::new(input);
    let members = list_ar(&input)?;
    let (control, data) = find_members(&input, &members)?;
    let mut scripts = read_control(&input, control)?;
    let Some(text) = scripts.remove("control") else {
        return Err(UserError::input(format!("`{}` has no file `control`", control.name)).into());
    };
    let fields = parse_fields(&text)?;
    let conffiles: BTreeSet<&str> =
        scripts.get("conffiles").map_or("", String::as_str).lines().map(str::trim_end).collect();
    let value = |name: &str| {
        let found = fields.iter().find(|(field, _)| field.eq_ignore_ascii_case(name));
        found.map_or("", |(_, value)| value.as_str())
    };
    let origin = Arc::from(format!("{} {}", value("Package"), value("Version")));
    let (spool, tree, owners) = (Arc::new(spool), Tree::new(), BTreeMap::new());
    let unpack = Unpack { spool, end: 0, conffiles, origin, tree, owners };
    let (Unpack { tree, owners, .. }, compression) = unpack.read_data(&input, data)?;
    Ok(Package { fields, scripts, compression, tree, owners })
}

/// The control and the data member: `debian-binary` comes first, then these, in this order.
fn find_members<'a>(
    input: &Arc<File>,
    members: &'a [ArMember],
) -> Result<(&'a ArMember, &'a ArMember)> {
    // Members whose names begin with `_` are for other tools.
    let mut known = members.iter().filter(|member| !member.name.starts_with('_'));
    match known.next() {
        Some(first) if first.name == "debian-binary" => {
            let version = content(input, first).open().and_then(|reader| {
                let mut text = String::new();
                reader.take(64).read_to_string(&mut text).map(|_| text)
            });
            let version = version.unwrap_or_default();
            if !version.starts_with("2.") {
                let version = version.trim_end().escape_debug().to_string();
                let message = format!("this .deb has version `{version}`; only 2.x is known");
                return Err(UserError::input(message).into());
            }
        }
        Some(_) | None => {
            let message = "this is no .deb: its first member is not `debian-binary`";
            return Err(UserError::input(message).into());
        }
    }
    let mut expect = |stem: &str| match known.next() {
        Some(member) if member.name.strip_prefix(stem).is_some() => Ok(member),
        Some(member) => {
            Err(UserError::input(format!("member `{}` is where `{stem}` belongs", member.name)))
        }
        None => Err(UserError::input(format!("member `{stem}` is missing"))),
    };
    Ok((expect("control.tar")?, expect("data.tar")?))
}

/// The method a member's name tells.
fn method(member: &ArMember) -> Result<(Method, &'static str)> {
    let (_, suffix) = member.name.split_once(".tar").unwrap_or_default();
    Ok(match suffix {
        "" => (Method::None, "none"),
        ".gz" => (Method::Gzip, "gzip"),
        ".xz" => (Method::Xz, "xz"),
        ".zst" => (Method::Zstd, "zstd"),
        // "bzip2 (with .bz2 extension, supported since dpkg 1.10.24), lzma (with .lzma extension, supported since dpkg
        // 1.13.25)" (deb(5)); nothing writes them any more.
        ".bz2" => (Method::Bzip2, "bzip2"),
        ".lzma" => (Method::Lzma, "lzma"),
        other => {
            let message = format!(
                "member `{}` is compressed with `{}`, which is not supported",
                member.name,
                other.trim_start_matches('.')
            );
            let hint = "repack it with `dpkg-deb -R` and `dpkg-deb -b`";
            return Err(UserError::input(message).hint(hint).into());
        }
    })
}

fn content(input: &Arc<File>, member: &ArMember) -> Content {
    Content::Span {
        file: Arc::clone(input),
        offset: member.offset,
        stored_len: member.len,
        len: member.len,
        deflated: false,
        sha256: None,
    }
}

/// Every file of the control archive by name.
fn read_control(input: &Arc<File>, member: &ArMember) -> Result<BTreeMap<String, String>> {
    let (method, _) = method(member)?;
    let content = content(input, member);
    let stream = content.open().and_then(|stream| decompress(stream, method));
    let stream = stream.with_context(|| format!("cannot read member `{}`", member.name))?;
    let mut tar = TarReader::new(stream, &member.name, CONTROL_LIMIT);
    let mut files = BTreeMap::new();
    while let Some(entry) = tar.next()? {
        match entry.kind {
            MemberKind::Dir => {}
            MemberKind::File => {
                let bytes = tar.content(CONTROL_LIMIT)?;
                let text = String::from_utf8_lossy(&bytes).into_owned();
                let name = PkgPath::new(&entry.name)?;
                if name.parent().is_some() || files.contains_key(name.as_str()) {
                    let message = format!("`{}` is in `{}` where it cannot be", name, member.name);
                    return Err(UserError::input(message).into());
                }
                files.insert(name.as_str().to_owned(), text);
            }
            MemberKind::Symlink(_) | MemberKind::Hardlink(_) => {
                let name = entry.name.escape_debug();
                let message = format!("`{name}` in `{}` is a link", member.name);
                return Err(UserError::input(message).into());
            }
        }
    }
    Ok(files)
}

/// The fields of `control`; lines that continue a field stay as they are.
fn parse_fields(text: &str) -> Result<Vec<(String, String)>> {
    let fault = |line: &str| {
        let line: String = line.escape_debug().take(80).collect();
        UserError::input(format!("line `{line}` of `control` is no field"))
    };
    let mut fields: Vec<(String, String)> = Vec::new();
    for line in text.lines().map(str::trim_end).filter(|line| !line.is_empty()) {
        if line.starts_with([' ', '\t']) {
            let (_, value) = fields.last_mut().ok_or_else(|| fault(line))?;
            value.push('\n');
            value.push_str(line);
            continue;
        }
        let (name, value) = line.split_once(':').ok_or_else(|| fault(line))?;
        if name.is_empty() || name.contains(|at: char| at.is_whitespace() || at.is_control()) {
            return Err(fault(line).into());
        }
        fields.push((name.to_owned(), value.trim().to_owned()));
    }
    Ok(fields)
}

/// A payload on its way into a tree.
struct Unpack<'a> {
    spool: Arc<File>,
    /// Bytes written to the spool.
    end: u64,
    conffiles: BTreeSet<&'a str>,
    origin: Arc<str>,
    tree: Tree,
    owners: BTreeMap<PkgPath, Ownership>,
}

impl Unpack<'_> {
    fn read_data(mut self, input: &Arc<File>, member: &ArMember) -> Result<(Self, String)> {
        let (method, compression) = method(member)?;
        let content = content(input, member);
        let budget = PAYLOAD_FLOOR.saturating_add(member.len.saturating_mul(PAYLOAD_RATIO));
        thread::scope(|scope| {
            let stream = ahead(scope, || decompress(content.open()?, method));
            self.add_all(&mut TarReader::new(stream, &member.name, budget), member)
        })?;
        Ok((self, compression.to_owned()))
    }

    fn add_all<R: Read>(&mut self, tar: &mut TarReader<R>, member: &ArMember) -> Result<()> {
        while let Some(entry) = tar.next()? {
            if self.tree.len() >= ENTRY_LIMIT {
                let message = format!("`{}` has more than {ENTRY_LIMIT} entries", member.name);
                return Err(UserError::input(message).into());
            }
            if !entry.name.is_empty() {
                let name = entry.name.clone();
                self.add(tar, entry).with_context(|| {
                    format!("cannot read `{}` in `{}`", name.escape_debug(), member.name)
                })?;
            }
        }
        Ok(())
    }

    fn add<R: Read>(&mut self, tar: &mut TarReader<R>, member: Member) -> Result<()> {
        let path = PkgPath::new(&member.name)?;
        match self.tree.get(&path) {
            None => {}
            Some(Entry::Dir { .. }) if member.kind == MemberKind::Dir => {}
            Some(_) => return Err(UserError::input(format!("`{path}` is there twice")).into()),
        }
        let entry = match member.kind {
            MemberKind::Dir => Entry::Dir { mode: member.mode },
            MemberKind::File => {
                let content = self.spool(tar, member.len)?;
                self.file(&path, content, member.mode)
            }
            MemberKind::Symlink(target) => {
                if target.is_empty() || target.contains('\0') {
                    return Err(UserError::input(format!("link `{path}` has no target")).into());
                }
                Entry::Symlink { target }
            }
            MemberKind::Hardlink(target) => {
                let target = PkgPath::new(&target)?;
                match self.tree.get(&target) {
                    Some(Entry::File { content, mode, .. }) => {
                        self.file(&path, content.clone(), *mode)
                    }
                    Some(Entry::Dir { .. } | Entry::Symlink { .. }) | None => {
                        let message = format!("`{path}` is a link to `{target}`, which is no file");
                        return Err(UserError::input(message).into());
                    }
                }
            }
        };
        self.owners.extend(member.owner.map(|owner| (path.clone(), owner)));
        self.tree.insert(path, entry)
    }

    fn file(&self, path: &PkgPath, content: Content, mode: u32) -> Entry {
        let role = if self.conffiles.contains(path.absolute().as_str()) {
            Role::Config
        } else if path.as_str().starts_with("usr/share/doc/") {
            Role::Doc
        } else {
            Role::Plain
        };
        Entry::File { content, mode, role, origin: Arc::clone(&self.origin), mtime: None }
    }

    /// Moves the content of the current member to the end of the spool.
    fn spool<R: Read>(&mut self, tar: &mut TarReader<R>, len: u64) -> Result<Content> {
        let offset = self.end;
        let mut sink = SpoolWriter(&self.spool);
        tar.copy_content(&mut sink)?;
        self.end += len;
        let file = Arc::clone(&self.spool);
        Ok(Content::Span { file, offset, stored_len: len, len, deflated: false, sha256: None })
    }
}

/// Writes at the file's own position, which nothing else moves.
struct SpoolWriter<'a>(&'a File);

impl Write for SpoolWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Write};

    use crate::backend::deb::archive::ArWriter;
    use crate::backend::deb::read::{parse_fields, read};
    use crate::backend::deb::tarball::TarWriter;
    use crate::codec::gzip;
    use crate::error::exit_code;

    fn tar(entries: &[(&str, &str)]) -> Vec<u8> {
        let mut tar = TarWriter::new(Vec::new(), 0);
        for (name, content) in entries {
            if name.ends_with('/') {
                tar.dir(name, 0o755).unwrap();
            } else if let Some(target) = content.strip_prefix("-> ") {
                tar.symlink(name, target).unwrap();
            } else {
                let len = content.len() as u64;
                tar.file(name, 0o644, len, &mut content.as_bytes()).unwrap();
            }
        }
        tar.finish().unwrap()
    }

    /// Reads an archive of these members; `expected` is a part of the error, or nothing.
    fn check(members: &[(&str, Vec<u8>)], expected: Option<&str>) {
        let mut input = tempfile::tempfile().unwrap();
        let mut ar = ArWriter::new(&mut input, 0);
        for (name, content) in members {
            ar.append(name, content.len() as u64, Cursor::new(content)).unwrap();
        }
        ar.finish().unwrap().flush().unwrap();
        match (read(input, tempfile::tempfile().unwrap()), expected) {
            (Ok(_), expected) => assert_eq!(expected, None),
            (Err(error), None) => panic!("{error:#}"),
            (Err(error), Some(part)) => {
                assert!(format!("{error:#}").contains(part), "{error:#}");
                assert_eq!(exit_code(&error), 3, "{error:#}");
            }
        }
    }

    fn control() -> Vec<u8> {
        tar(&[("./", ""), ("./control", "Package: a1\nVersion: 1\n")])
    }

    #[test]
    fn members() {
        let (version, data) = (|| b"2.0\n".to_vec(), || tar(&[("./", ""), ("./a", "x")]));
        let three = |data_name| {
            [("debian-binary", version()), ("control.tar", control()), (data_name, data())]
        };
        check(&three("data.tar"), None);
        check(&three("data.tar.Z"), Some("`data.tar.Z` is compressed with `Z`, which is not"));
        check(&three("data.tar.bz2"), Some("cannot read member `data.tar.bz2`"));
        check(&three("data.tar.lzma"), Some("cannot read member `data.tar.lzma`"));
        check(&three("data.tar.gz"), Some("cannot read member `data.tar.gz`"));
        check(&three("data.tar.xz"), Some("cannot read member `data.tar.xz`"));
        check(&three("data.tar.zst"), Some("cannot read member `data.tar.zst`"));
        check(&three("_data.tar"), Some("member `data.tar` is missing"));
        check(&three("other"), Some("member `other` is where `data.tar` belongs"));
        check(&[("debian-binary", b"3.0\n".to_vec())], Some("has version `3.0`"));
        check(&[("control.tar", control())], Some("is not `debian-binary`"));
        check(&[], Some("not an ar archive"));
        let mut signed = three("data.tar").to_vec();
        signed.insert(1, ("_gpgorigin", b"x".to_vec()));
        signed[2] = ("control.tar.gz", gzip(&control(), 6));
        check(&signed, None);
        let no_control = tar(&[("./", ""), ("./md5sums", "")]);
        let members =
            [("debian-binary", version()), ("control.tar", no_control), ("data.tar", data())];
        check(&members, Some("has no file `control`"));
    }

    fn check_data(entries: &[(&str, &str)], expected: Option<&str>) {
        let version = b"2.1\n".to_vec();
        let members =
            [("debian-binary", version), ("control.tar", control()), ("data.tar", tar(entries))];
        check(&members, expected);
    }

    #[test]
    fn hostile_names() {
        check_data(&[("./a/../../etc/passwd", "x")], Some("has the component `..`"));
        check_data(&[("../x", "x")], Some("has the component `..`"));
        check_data(&[("/etc/passwd", "x")], Some("name `/etc/passwd` is absolute"));
        check_data(&[("./a//b", "x")], Some("has an empty component"));
        check_data(&[("./a\nb", "x")], Some("holds a control character"));
        check_data(&[("./a", "x"), ("./a", "x")], Some("`/a` is there twice"));
        check_data(&[("./a", "-> /etc"), ("./a/x", "x")], Some("which is not a directory"));
        check_data(&[("./a/", ""), ("./a/", ""), ("a/b", "x")], None);
        check_data(&[("./a", "-> ../../../x")], None);
    }

    #[test]
    fn damage_never_panics() {
        let long = format!("./{}/f", "d".repeat(200));
        let entries =
            [("./", ""), ("./a/", ""), ("./a/b", "text"), ("./l", "-> a/b"), (&long, "x")];
        let mut out = Vec::new();
        let mut ar = ArWriter::new(&mut out, 0);
        let version = b"2.0\n".to_vec();
        for (name, content) in
            [("debian-binary", version), ("control.tar", control()), ("data.tar", tar(&entries))]
        {
            ar.append(name, content.len() as u64, Cursor::new(content)).unwrap();
        }
        ar.finish().unwrap();
        let attempt = |bytes: &[u8]| {
            let mut input = tempfile::tempfile().unwrap();
            input.write_all(bytes).unwrap();
            if let Err(error) = read(input, tempfile::tempfile().unwrap()) {
                assert_eq!(exit_code(&error), 3, "{error:#}");
            }
        };
        for at in 0..out.len() {
            if at % 16 == 0 {
                attempt(&out[..at]);
            }
            // Most of a tar stream is padding, which says nothing.
            if at % 4 == 0 || out[at] != 0 {
                let mut bad = out.clone();
                bad[at] ^= 1 << (at % 8);
                // The checksum of a header is no secret.
                attempt(&with_checksums(bad));
            }
        }
    }

    /// The archive with the right checksum wherever a GNU header seems to be.
    fn with_checksums(mut bytes: Vec<u8>) -> Vec<u8> {
        let magic: Vec<_> =
            (257..bytes.len() - 255).filter(|at| bytes[*at..].starts_with(b"ustar  ")).collect();
        for start in magic.into_iter().map(|at| at - 257) {
            let header = &mut bytes[start..start + 512];
            header[148..156].fill(b' ');
            let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
            header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        }
        bytes
    }

    #[test]
    fn fields() {
        let fields = parse_fields("A: b\nDescription: c\n d\n .\n  e\nX:\n\n").unwrap();
        let values: Vec<_> = fields.iter().map(|(_, value)| value.as_str()).collect();
        assert_eq!(values, ["b", "c\n d\n .\n  e", ""]);
        for bad in ["A", " a", "A b: c", ": x"] {
            assert_eq!(exit_code(&parse_fields(bad).unwrap_err()), 3, "{bad:?}");
        }
    }
}
