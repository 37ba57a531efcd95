//! The payload: the archive, and everything the header lists of the files in it.
//!
//! Knows which directories a package owns and nothing of the rest of the header.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Write};

use anyhow::{Context, Result};

use crate::backend::rpm::cpio::{self, Form, Member};
use crate::digest::{Hasher, hex};
use crate::package::PackageMeta;
use crate::segments::examined::{Algorithm, Examined};
use crate::segments::item::{Item, items};
use crate::segments::{self, Archive, Means};
use crate::tree::{Entry, PkgPath, Role, Tree};

pub(super) const CONFIG: u32 = 1;
pub(super) const DOC: u32 = 1 << 1;
/// An administrator's version of a configuration file stays where it is.
const NO_REPLACE: u32 = 1 << 4;
pub(super) const GHOST: u32 = 1 << 6;
pub(super) const LICENCE: u32 = 1 << 7;

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
    pub(super) mtime: u32,
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
    /// Length of the archive before it was compressed.
    pub(super) archive_len: u64,
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

/// Packs the payload into `spool`; of a file only what is listed stays in memory.
pub(super) fn write<'t>(
    tree: &'t Tree,
    marks: &Marks,
    means: &Means<'_>,
    spool: File,
) -> Result<(Payload<'t>, segments::Payload)> {
    let epoch = marks.meta.epoch;
    u32::try_from(epoch).context("the time does not fit")?;
    let is_stripped = tree.files().any(|(_, content, _)| is_large(content.len()));
    let items = items(tree, epoch, |path, entry| marks.owns(path, entry));
    let packed = segments::write(&Cpio { is_stripped }, &items, means, spool)?;
    let mut facts = packed.facts.chunks(FACT);
    let files = items.iter().map(|item| {
        let listed = Listed {
            path: item.path,
            mode: mode(item.entry),
            mtime: time(item),
            size: size(item.entry),
            digest: None,
            target: "",
            flags: marks.flags(item.path, item.entry),
            color: 0,
        };
        match item.entry {
            Entry::Dir { .. } => listed,
            Entry::Symlink { target } => Listed { target, ..listed },
            Entry::File { mode, .. } => {
                let (color, digest) = facts
                    .next()
                    .and_then(<[u8]>::split_last)
                    .expect("there is a fact for every file");
                // As rpmbuild, which asks programs and libraries that may be executed.
                let color = if mode & 0o111 == 0 { 0 } else { u32::from(*color) };
                Listed { digest: digest.try_into().ok(), color, ..listed }
            }
        }
    });
    let files = files.collect();
    let (digest, len) =
        Hasher::sha256().read(&mut packed.read()).context("cannot read the spool")?;
    let archive_len = packed.archive_len;
    Ok((Payload { files, len, digest: hex(&digest), archive_len }, packed))
}

/// Type and permission bits.
fn mode(entry: &Entry) -> u32 {
    match entry {
        Entry::Dir { mode } => DIR | mode,
        Entry::Symlink { .. } => LINK | 0o777,
        Entry::File { mode, .. } => FILE | mode,
    }
}

/// Bytes in the archive.
fn size(entry: &Entry) -> u64 {
    match entry {
        Entry::Dir { .. } => 0,
        Entry::Symlink { target } => target.len() as u64,
        Entry::File { content, .. } => content.len(),
    }
}

/// Its time stamp, which is never later than that of the package, and that one fits.
fn time(item: &Item<'_>) -> u32 {
    u32::try_from(item.mtime).unwrap_or(u32::MAX)
}

/// Bytes of a fact: SHA-256 and color.
const FACT: usize = 33;

/// How the archive is written.
struct Cpio {
    /// Whether sizes need more than the 32 bits `newc` has: the header alone has them then.
    is_stripped: bool,
}

impl Archive for Cpio {
    fn name(&self) -> &'static str {
        if self.is_stripped { "stripped cpio 1" } else { "cpio 1" }
    }

    fn start(&self) -> Vec<u8> {
        Vec::new()
    }

    fn end(&self) -> Vec<u8> {
        cpio::end()
    }

    fn open(&self, item: &Item<'_>, out: &mut dyn Write) -> io::Result<()> {
        let name = format!("./{}", item.path.as_str());
        let form = if self.is_stripped {
            Form::Stripped { index: item.index }
        } else {
            // Archives of other tools have a number here that no other file has. This one does not change with the
            // number of files before it.
            Form::Plain { inode: item.path.fingerprint() as u32, mtime: time(item) }
        };
        let member = Member { form, name: &name, mode: mode(item.entry) };
        let len = size(item.entry);
        cpio::open(out, member, len)?;
        match item.entry {
            Entry::Dir { .. } | Entry::File { .. } => Ok(()),
            Entry::Symlink { target } => {
                out.write_all(target.as_bytes())?;
                cpio::close(out, len)
            }
        }
    }

    fn close(&self, len: u64, out: &mut dyn Write) -> io::Result<()> {
        cpio::close(out, len)
    }

    fn decides(&self, item: &Item<'_>) -> Option<u32> {
        self.is_stripped.then_some(item.index)
    }

    fn algorithm(&self) -> Algorithm {
        Algorithm::Sha256
    }

    fn fact(&self, content: Examined) -> Vec<u8> {
        let color = color(&content.start);
        content.digest.into_iter().chain([color]).collect()
    }
}

/// 1 for a 32-bit ELF file, 2 for a 64-bit one, by its first bytes.
fn color(start: &[u8]) -> u8 {
    match start.strip_prefix(b"\x7fELF") {
        Some([1, ..]) => 1,
        Some([2, ..]) => 2,
        Some(_) | None => 0,
    }
}

impl Marks<'_> {
    /// Whether the package has it in its list, as all but directories of others.
    pub(super) fn owns(&self, path: &PkgPath, entry: &Entry) -> bool {
        match entry {
            Entry::Dir { .. } => owns_dir(&self.meta.prefix, path),
            Entry::File { .. } | Entry::Symlink { .. } => true,
        }
    }

    /// Configuration, documentation, licence.
    pub(super) fn flags(&self, path: &PkgPath, entry: &Entry) -> u32 {
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use crate::backend::rpm::payload::{Marks, color, owns_dir, write};
    use crate::backend::rpm::tests::{file, link, meta};
    use crate::cache::Cache;
    use crate::codec::Compression;
    use crate::segments::Means;
    use crate::tree::content::Content;
    use crate::tree::{Entry, PkgPath, Role, Tree};

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
    fn colors() {
        for (start, expected) in [
            (&b"\x7fELF\x02"[..], 2),
            (b"\x7fELF\x01", 1),
            (b"\x7fELF", 0),
            (b"\x7fELG\x02", 0),
            (b"", 0),
        ] {
            assert_eq!(color(start), expected, "{start:?}");
        }
    }

    #[test]
    fn only_executables_have_a_color() {
        let mut tree = Tree::new();
        for (name, mode) in [("opt/acme/a.so", 0o644), ("opt/acme/b.so", 0o755)] {
            tree.insert(PkgPath::new(name).unwrap(), file("\x7fELF\x02", mode)).unwrap();
        }
        let (meta, cache) = (meta(), Cache::none());
        let marks = Marks { meta: &meta, licences: BTreeSet::new() };
        let means = Means { compression: Compression::ZSTD, jobs: 1, cache: &cache };
        let (payload, _) = write(&tree, &marks, &means, tempfile::tempfile().unwrap()).unwrap();
        let colors: Vec<_> = payload.files.iter().map(|file| file.color).collect();
        assert_eq!(colors, [0, 0, 2]);
    }
}
