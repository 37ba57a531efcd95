//! The payload: the archive, and everything the header lists of the files in it.
//!
//! Knows which directories a package owns and nothing of the rest of the header.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufWriter, Read, Write};

use anyhow::{Context, Result};

use crate::backend::rpm::cpio::{CpioWriter, Member};
use crate::codec::{Compression, Compressor};
use crate::digest::{Hasher, HashingReader, HashingWriter, hex};
use crate::package::PackageMeta;
use crate::tree::{Content, Entry, PkgPath, Role, Tree};

pub(super) const CONFIG: u32 = 1;
pub(super) const DOC: u32 = 1 << 1;
/// An administrator's version of a configuration file stays where it is.
const NO_REPLACE: u32 = 1 << 4;
pub(super) const GHOST: u32 = 1 << 6;
const LICENCE: u32 = 1 << 7;

pub(super) const TYPE: u32 = 0o170_000;
pub(super) const FILE: u32 = 0o100_000;
pub(super) const DIR: u32 = 0o040_000;
pub(super) const LINK: u32 = 0o120_000;

/// What the header says of one file. It owns no memory: what is kept between the buffers of one file and those of the
/// next would scatter them, and the heap would grow with the number of files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Listed<'t> {
    pub(super) path: &'t PkgPath,
    /// Type and permission bits.
    pub(super) mode: u32,
    pub(super) size: u64,
    /// SHA-256 of a regular file.
    pub(super) digest: Option<[u8; 32]>,
    /// Where a link leads.
    pub(super) target: &'t str,
    /// Configuration, documentation, licence.
    pub(super) flags: u32,
    /// 1 for a 32-bit executable, 2 for a 64-bit one: which of two may take a path on hosts that run both.
    pub(super) color: u32,
}

/// What is known of a payload once it is written.
#[derive(Debug)]
pub(super) struct Payload<'t> {
    pub(super) files: Vec<Listed<'t>>,
    /// Length in bytes and SHA-256 of what is in the package.
    pub(super) len: u64,
    pub(super) digest: String,
    /// The same of the archive before it was compressed.
    pub(super) archive_len: u64,
    pub(super) archive_digest: String,
}

impl Payload<'_> {
    /// Whether a file is too long for 32 bits; rpm then wants another form of payload and header.
    pub(super) fn has_large_files(&self) -> bool {
        self.files.iter().any(|file| is_large(file.size))
    }
}

fn is_large(size: u64) -> bool {
    size >= u64::from(u32::MAX)
}

/// Which paths of a package get flags of their own.
#[derive(Debug)]
pub(super) struct Marks<'a> {
    pub(super) meta: &'a PackageMeta,
    /// Files that hold the text of a licence; they are installed even where documentation is not.
    pub(super) licences: BTreeSet<PkgPath>,
}

/// Writes the compressed payload to `spool`; of a file only what is listed stays in memory.
pub(super) fn write<'t>(
    tree: &'t Tree,
    marks: &Marks,
    compression: Compression,
    threads: usize,
    spool: &mut File,
) -> Result<Payload<'t>> {
    let cannot = "cannot write to the spool";
    let mtime = u32::try_from(marks.meta.epoch).context("the time does not fit")?;
    let is_stripped = tree.files().any(|(_, content, _)| is_large(content.len()));
    let packed = HashingWriter::new(spool, Hasher::sha256());
    let compressor = Compressor::new(packed, compression, threads).context(cannot)?;
    let archive = HashingWriter::new(compressor, Hasher::sha256());
    let out = BufWriter::with_capacity(256 << 10, archive);
    let mut cpio = CpioWriter::new(out, mtime, is_stripped);
    let mut files = Vec::new();
    for (path, entry) in tree.iter().filter(|(path, entry)| marks.owns(path, entry)) {
        let index = u32::try_from(files.len()).context("there are too many files")?;
        let listed = add(&mut cpio, index, path, entry);
        let listed = listed.with_context(|| format!("cannot pack `{path}`"))?;
        files.push(Listed { flags: marks.flags(path, entry), ..listed });
    }
    let archive = cpio.finish().context(cannot)?.into_inner().map_err(io::Error::from);
    let (compressor, archive_digest, archive_len) = archive.context(cannot)?.finish();
    let (_, digest, len) = compressor.finish().context(cannot)?.finish();
    let (digest, archive_digest) = (hex(&digest), hex(&archive_digest));
    Ok(Payload { files, len, digest, archive_len, archive_digest })
}

impl Marks<'_> {
    fn owns(&self, path: &PkgPath, entry: &Entry) -> bool {
        match entry {
            Entry::Dir { .. } => owns_dir(&self.meta.prefix, path),
            Entry::File { .. } | Entry::Symlink { .. } => true,
        }
    }

    fn flags(&self, path: &PkgPath, entry: &Entry) -> u32 {
        let licence = if self.licences.contains(path) { LICENCE } else { 0 };
        let place = if is_documentation(path) { DOC | licence } else { licence };
        match entry {
            Entry::File { role: Role::Config, .. } => CONFIG | NO_REPLACE | place,
            Entry::File { role: Role::Doc, .. } => DOC | place,
            Entry::File { role: Role::Plain, .. } | Entry::Symlink { .. } => place,
            Entry::Dir { .. } => 0,
        }
    }
}

/// Whether what lies at `path` is documentation wherever rpm is (macro `%__docdir_path`).
fn is_documentation(path: &PkgPath) -> bool {
    const PLACES: [&str; 5] = ["doc/", "man/", "info/", "gtk-doc/html/", "gnome/help/"];
    let below = path.as_str().strip_prefix("usr/share/");
    below.is_some_and(|rest| PLACES.iter().any(|place| rest.starts_with(place)))
}

/// Directories of the system, which packages `filesystem`, `systemd` and the like own with modes of their own.
const SYSTEM_DIRS: [&str; 26] = [
    "etc/default",
    "etc/opt",
    "etc/pki",
    "etc/security",
    "etc/skel",
    "etc/ssl",
    "etc/sysconfig",
    "etc/systemd",
    "etc/udev",
    "etc/X11",
    "etc/xdg",
    "usr/bin",
    "usr/share/applications",
    "usr/share/bash-completion",
    "usr/share/bash-completion/completions",
    "usr/share/doc",
    "usr/share/fish",
    "usr/share/icons",
    "usr/share/info",
    "usr/share/licenses",
    "usr/share/locale",
    "usr/share/man",
    "usr/share/metainfo",
    "usr/share/pixmaps",
    "usr/share/zsh",
    "usr/share/zsh/site-functions",
];

/// Whether a package owns the directory at `path`: those of the system have owners already.
///
/// What ends in `.d` gathers files of many packages, as do the sections of the manual and all of `/usr/lib`.
fn owns_dir(prefix: &PkgPath, path: &PkgPath) -> bool {
    let text = path.as_str();
    if path == prefix || path.below(prefix).is_some() {
        return true;
    }
    let is_shared = text.ends_with(".d")
        || ["usr/lib/", "usr/local/", "usr/share/man/", "usr/share/locale/", "usr/share/icons/"]
            .iter()
            .any(|top| format!("{text}/").starts_with(top))
        || ["etc/systemd/", "etc/udev/"].iter().any(|top| text.starts_with(top));
    text.contains('/') && text != "usr/share" && !is_shared && !SYSTEM_DIRS.contains(&text)
}

fn add<'t, W: Write>(
    cpio: &mut CpioWriter<W>,
    index: u32,
    path: &'t PkgPath,
    entry: &'t Entry,
) -> io::Result<Listed<'t>> {
    let name = format!("./{}", path.as_str());
    let mut append = |mode, len, content: &mut dyn Read| {
        cpio.append(Member { index, name: &name, mode }, len, content)?;
        Ok(Listed { path, mode, size: len, digest: None, target: "", flags: 0, color: 0 })
    };
    match entry {
        Entry::Dir { mode } => append(DIR | mode, 0, &mut io::empty()),
        Entry::Symlink { target } => {
            let listed = append(LINK | 0o777, target.len() as u64, &mut target.as_bytes())?;
            Ok(Listed { target, ..listed })
        }
        Entry::File { content, mode, .. } => {
            let mut reader = Examined::new(content)?;
            let listed = append(FILE | mode, content.len(), &mut reader)?;
            // As rpmbuild, which asks programs and libraries that may be executed.
            let color = if mode & 0o111 == 0 { 0 } else { reader.color() };
            let digest = reader.inner.finish().try_into().expect("SHA-256 has 32 bytes");
            Ok(Listed { digest: Some(digest), color, ..listed })
        }
    }
}

/// Content that is hashed while it is read, and whose first bytes are kept.
struct Examined<'a> {
    inner: HashingReader<Box<dyn Read + 'a>>,
    start: Vec<u8>,
}

impl<'a> Examined<'a> {
    fn new(content: &'a Content) -> io::Result<Self> {
        let inner = HashingReader::new(content.open()?, Hasher::sha256());
        Ok(Self { inner, start: Vec::new() })
    }

    fn color(&self) -> u32 {
        match self.start.strip_prefix(b"\x7fELF") {
            Some([1, ..]) => 1,
            Some([2, ..]) => 2,
            Some(_) | None => 0,
        }
    }
}

impl Read for Examined<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        let missing = 5_usize.saturating_sub(self.start.len()).min(count);
        self.start.extend_from_slice(&buffer[..missing]);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::io::Read;

    use crate::backend::rpm::cpio::CpioWriter;
    use crate::backend::rpm::payload::{Examined, Marks, add, owns_dir};
    use crate::backend::rpm::tests::{file, link, meta};
    use crate::tree::{Content, Entry, PkgPath, Role};

    #[test]
    fn directories_of_the_system_are_not_owned() {
        let prefix = PkgPath::new("opt/venvs/acme").unwrap();
        let owns = |path: &str| owns_dir(&prefix, &PkgPath::new(path).unwrap());
        for ours in [
            "opt/venvs",
            "opt/venvs/acme",
            "opt/venvs/acme/lib/conf.d",
            "etc/acme",
            "etc/acme/deep",
            "usr/share/acme",
            "usr/share/doc/acme",
        ] {
            assert!(owns(ours), "{ours}");
        }
        for others in [
            "opt",
            "etc",
            "usr",
            "var",
            "usr/bin",
            "usr/lib",
            "usr/lib/systemd/system",
            "usr/lib/sysusers.d",
            "usr/share",
            "usr/share/doc",
            "usr/share/man/man1",
            "usr/local/share",
            "etc/cron.d",
            "etc/sysconfig",
            "etc/systemd/system",
            "etc/nginx/conf.d",
        ] {
            assert!(!owns(others), "{others}");
        }
    }

    /// Numbers are those of rpmbuild 4.18.
    #[test]
    fn flags() {
        let path = |text: &str| PkgPath::new(text).unwrap();
        let licences = ["usr/share/licenses/acme/copyright", "opt/acme/LICENSE"].map(path);
        let (meta, licences) = (meta(), BTreeSet::from(licences));
        let marks = Marks { meta: &meta, licences };
        let of_role = |role| Entry::File {
            content: Content::bytes("x"),
            mode: 0o644,
            role,
            origin: "x".into(),
            mtime: None,
        };
        for (at, entry, expected) in [
            ("opt/acme/x.py", of_role(Role::Plain), 0),
            ("opt/acme/manual", of_role(Role::Doc), 2),
            ("opt/acme/LICENSE", of_role(Role::Plain), 128),
            ("etc/acme.toml", of_role(Role::Config), 17),
            ("usr/share/doc/acme", Entry::Dir { mode: 0o755 }, 0),
            ("usr/share/doc/acme/README", of_role(Role::Plain), 2),
            ("usr/share/doc/acme/link", link("README"), 2),
            ("usr/share/licenses/acme/copyright", of_role(Role::Plain), 128),
            ("usr/share/man/man1/acme.1", of_role(Role::Config), 19),
            ("usr/share/info/acme.info", of_role(Role::Plain), 2),
            ("usr/share/documents", of_role(Role::Plain), 0),
        ] {
            assert_eq!(marks.flags(&path(at), &entry), expected, "{at}");
        }
    }

    #[test]
    fn only_executables_have_a_color() {
        for (mode, expected) in [(0o644, 0), (0o755, 2)] {
            let mut cpio = CpioWriter::new(Vec::new(), 0, false);
            let path = PkgPath::new("opt/acme/x.so").unwrap();
            let program = file("\x7fELF\x02", mode);
            let listed = add(&mut cpio, 0, &path, &program).unwrap();
            assert_eq!(listed.color, expected, "{mode:o}");
        }
    }

    fn check(content: &[u8], expected: u32) {
        let content = Content::bytes(content);
        let mut examined = Examined::new(&content).unwrap();
        examined.read_to_end(&mut Vec::new()).unwrap();
        assert_eq!(examined.color(), expected);
    }

    #[test]
    fn colors() {
        check(b"\x7fELF\x02\x01", 2);
        check(b"\x7fELF\x01", 1);
        check(b"\x7fELF", 0);
        check(b"\x7fELG\x02", 0);
        check(b"", 0);
    }
}
