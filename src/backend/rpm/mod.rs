//! The rpm package format, version 4.
//!
//! Writes what rpm of every supported release installs, without rpm. Knows nothing of wheels or ELF.

mod accounts;
mod cpio;
mod declared;
mod dependency;
mod docs;
pub mod elfdeps;
mod files;
mod header;
pub mod libraries;
mod metadata;
mod openpgp;
mod order;
mod payload;
mod phase;
mod read;
mod relations;
mod scripts;
mod sign;
mod simplify;
mod spec;
mod tags;
mod version;

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, Write};

use anyhow::{Context, Result};

use crate::backend::contents;
use crate::backend::rpm::libraries::Derived;
use crate::backend::rpm::payload::{Marks, Payload};
use crate::cache::Cache;
use crate::codec::Compression;
use crate::needs::Needs;
use crate::package::{InterpreterNeed, Machine, Package, PackageMeta, Relation, RelationKind};
use crate::segments::{COPIED, Means};
use crate::tree::Tree;

/// rpm takes a file where there is a directory for a conflict.
pub const REPLACES_DIRS: bool = false;

/// The lead is a relic: nothing but its magic number is looked at.
const LEAD: usize = 96;
const LEAD_MAGIC: [u8; 4] = [0xed, 0xab, 0xee, 0xdb];

/// How an .rpm is written, beyond what the package says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Method and level of the payload.
    pub compression: Compression,
    /// Threads that compress; the bytes do not depend on it.
    pub threads: usize,
}

/// Epoch, version and release: PEP 440's version in an order rpm agrees with.
pub fn version(meta: &PackageMeta) -> String {
    version::full(meta)
}

/// The name of the file: `name-version-release.architecture.rpm`, the version without its epoch.
pub fn file_name(meta: &PackageMeta) -> String {
    let version = version::upstream(&meta.version.parts());
    format!("{}-{version}-{}.{}.rpm", meta.name, meta.release, architecture(meta.machine))
}

/// rpm's name for a machine; `noarch` for code that runs on any.
pub fn architecture(machine: Option<Machine>) -> &'static str {
    match machine {
        None => "noarch",
        Some(Machine::X86_64) => "x86_64",
        Some(Machine::Aarch64) => "aarch64",
        Some(Machine::Armv7l) => "armv7hl",
        Some(Machine::I686) => "i686",
        Some(Machine::Ppc64le) => "ppc64le",
        Some(Machine::S390x) => "s390x",
        Some(Machine::Riscv64) => "riscv64",
        Some(Machine::Loongarch64) => "loongarch64",
    }
}

/// The machine packages of that architecture are for; those of AlmaLinux for older processors are of the same.
pub fn machine_called(name: &str) -> Option<Machine> {
    let name = match name {
        "i386" | "i486" | "i586" => "i686",
        name => name.strip_suffix("_v2").unwrap_or(name),
    };
    Machine::ALL.into_iter().find(|machine| architecture(Some(*machine)) == name)
}

/// What tells packages for this machine from others of their name (rpm's macro `%_isa`).
fn isa(machine: Option<Machine>) -> Option<&'static str> {
    machine.map(|machine| match machine {
        Machine::X86_64 => "x86-64",
        Machine::Aarch64 => "aarch-64",
        Machine::Armv7l => "armv7hl-32",
        Machine::I686 => "x86-32",
        Machine::Ppc64le => "ppc-64",
        Machine::S390x => "s390-64",
        Machine::Riscv64 => "riscv-64",
        Machine::Loongarch64 => "loongarch-64",
    })
}

/// What a package needs to have its interpreter; nothing when it brings its own.
///
/// `is_main` says whether it is the one the target calls `python3`: no other provides `python(abi)`.
pub fn relations(interpreter: Option<&InterpreterNeed>, is_main: bool) -> Vec<Relation> {
    relations::of_interpreter(interpreter, is_main)
}

/// What a package needs to have the libraries of `needs`.
pub fn libraries(needs: &Needs) -> Result<Derived> {
    libraries::derive(needs)
}

/// Relations in rpm's order, those that others say too merged into them.
pub fn simplify(relations: Vec<Relation>) -> Vec<Relation> {
    simplify::simplify(relations)
}

/// A relation a user wrote, such as `libpq >= 15` or `(mta or postfix)`, in normal form.
pub fn relation(kind: RelationKind, text: &str, because: &str) -> Result<Relation> {
    let text = relations::normal(text, kind)?;
    Ok(Relation { kind, text, because: vec![because.to_owned()], causes: Vec::new() })
}

/// Refuses what [`write`] would refuse in the tags, before there is a tree.
pub fn check(meta: &PackageMeta, options: &Options) -> Result<()> {
    let (files, digest) = (Vec::new(), String::new());
    let payload = Payload { files, len: 0, digest, archive_len: 0 };
    metadata::header(meta, options, &payload, &[]).map(drop)
}

/// Writes a package to `out`, which is empty.
///
/// `spool` is empty too and takes the payload meanwhile; keep it beside the output, because `/tmp` may be memory.
/// A file with the licences of what is inside is added unless the tree has it.
pub fn write(
    meta: &PackageMeta,
    tree: Tree,
    options: &Options,
    cache: &Cache,
    (out, spool): (&mut dyn Write, File),
) -> Result<()> {
    // Once before the payload, which takes time, to find what is wrong with the tags.
    check(meta, options)?;
    let tree = docs::with_docs(meta, tree)?;
    contents::check(&meta.prefix, &tree)?;
    let accounts = accounts::provided(&tree)?;
    let Options { compression, threads } = *options;
    let marks = marks(meta)?;
    let means = Means { compression, jobs: threads, cache };
    let (payload, packed) = payload::write(&tree, &marks, &means, spool)?;
    let header = metadata::header(meta, options, &payload, &accounts)?;
    let mut signature = metadata::signature(&header, &payload);
    signature.resize(signature.len().next_multiple_of(8), 0);
    let package = || -> io::Result<()> {
        let mut out = BufWriter::with_capacity(COPIED, out);
        for part in [&lead(meta)[..], &signature, &header] {
            out.write_all(part)?;
        }
        io::copy(&mut packed.read(), &mut out)?;
        out.flush()
    };
    package().context("cannot write the package")
}

/// The whole tree that [`write`] packs, and the scriptlets by the names a spec file has for them.
pub fn parts(meta: &PackageMeta, tree: Tree) -> Result<(Tree, BTreeMap<&'static str, String>)> {
    let tree = docs::with_docs(meta, tree)?;
    contents::check(&meta.prefix, &tree)?;
    let scripts = scripts::scriptlets(meta)?;
    Ok((tree, scripts.into_iter().map(|one| (one.phase.name(), one.text + "\n")).collect()))
}

/// What sets files of a package apart.
fn marks(meta: &PackageMeta) -> Result<Marks<'_>> {
    let licences = meta.bundled.iter().flat_map(|bundled| bundled.licence_files.iter().cloned());
    let licences = licences.chain([docs::copyright_path(meta)?]).collect();
    Ok(Marks { meta, licences })
}

/// The relations of a package with this tree as a spec file has them, one a line.
pub fn tags(meta: &PackageMeta, tree: &Tree) -> Result<String> {
    spec::relations(meta, tree)
}

/// The files of a package with this tree, as a file for `%files -f` has them.
pub fn file_list(meta: &PackageMeta, tree: &Tree) -> Result<String> {
    Ok(spec::files(tree, &marks(meta)?))
}

/// The relations a package declares, each with the tag it stands in as its reason.
pub fn declared(package: &Package) -> Vec<Relation> {
    declared::relations(package)
}

/// Whether packages have relations in the tag `name`.
pub fn is_relation(name: &str) -> bool {
    declared::is_relation(name)
}

/// The name and the version a package has, as it says them.
pub fn identity(package: &Package) -> (String, String) {
    declared::identity(package)
}

/// Whether rpm takes `version` for an earlier one than the package's.
pub fn is_before(version: &str, meta: &PackageMeta) -> bool {
    order::compare(version, &version::full(meta)) == Ordering::Less
}

/// The tree with the file that [`write`] adds.
pub fn with_docs(meta: &PackageMeta, tree: Tree) -> Result<Tree> {
    docs::with_docs(meta, tree)
}

/// Signs a package that [`write`] wrote; its length does not change.
///
/// `make` gets what is signed and returns a detached OpenPGP signature of it, not armoured.
pub fn sign(package: &File, make: impl FnOnce(&[u8]) -> Result<Vec<u8>>) -> Result<()> {
    sign::sign(package, make)
}

/// Whether a file begins as an .rpm does.
pub fn recognises(input: &File) -> bool {
    read::recognises(input)
}

/// Reads a package; `spool` is empty and takes what its files hold.
pub fn read(input: File, spool: File) -> Result<Package> {
    read::read(input, spool)
}

/// Format 3.0, binary package, Linux, signed by a header; the name is cut to fit.
fn lead(meta: &PackageMeta) -> [u8; LEAD] {
    let mut lead = [0; LEAD];
    lead[..4].copy_from_slice(&LEAD_MAGIC);
    lead[4] = 3;
    let version = version::upstream(&meta.version.parts());
    let name = format!("{}-{version}-{}", meta.name, meta.release);
    let name = &name.as_bytes()[..name.len().min(65)];
    lead[10..10 + name.len()].copy_from_slice(name);
    (lead[77], lead[79]) = (1, 5);
    lead
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Seek, Write};
    use std::sync::Arc;

    use crate::backend::rpm::docs::with_docs;
    use crate::backend::rpm::{Options, architecture, file_name, isa, read, relation, relations};
    use crate::backend::rpm::{version, write};
    use crate::cache::Cache;
    use crate::codec::Compression;
    use crate::digest::{hex, sha256};
    use crate::error::exit_code;
    use crate::lifecycle::Lifecycle;
    use crate::package::{
        Bundled, InterpreterNeed, Machine, Package, PackageMeta, PackageName, Relation,
        RelationKind,
    };
    use crate::tree::content::Content;
    use crate::tree::{Entry, MAX_COMPONENT, PkgPath, Role, Tree};

    const SITE: &str = "opt/acme-web/lib/python3.11/site-packages";

    pub(super) fn path(text: &str) -> PkgPath {
        PkgPath::new(text).unwrap()
    }

    pub(super) fn file(text: &str, mode: u32) -> Entry {
        Entry::file(Content::bytes(text), mode, &Arc::from("acme-web 1.4.2"))
    }

    pub(super) fn link(target: &str) -> Entry {
        Entry::Symlink { target: target.to_owned() }
    }

    pub(super) fn options() -> Options {
        Options { compression: Compression::Zstd(3), threads: 1 }
    }

    pub(super) fn meta() -> PackageMeta {
        let relation = |kind, text: &str| Relation {
            kind,
            text: text.to_owned(),
            because: vec!["a test".to_owned()],
            causes: Vec::new(),
        };
        let bundled = |name: &str, licence: &str, author: &str| Bundled {
            name: name.to_owned(),
            version: "4".to_owned(),
            licence: licence.to_owned(),
            author: author.to_owned(),
            homepage: String::new(),
            licence_files: Vec::new(),
        };
        let mut typing = bundled("typing_extensions", "Python licence,\n see LICENSE", "");
        typing.licence_files = vec![path(&format!("{SITE}/typing_extensions-4.dist-info/LICENSE"))];
        PackageMeta {
            name: PackageName::new("acme-web").unwrap(),
            version: "1.4.2".parse().unwrap(),
            release: "1".to_owned(),
            machine: Some(Machine::X86_64),
            summary: "the Acme web shop".to_owned(),
            description: vec![
                "Sells everything a coyote may need, and a good deal of what it does not need but \
                 wants."
                    .to_owned(),
                ".NET is not involved.".to_owned(),
            ],
            licence: "GPL-3.0-or-later".to_owned(),
            homepage: Some("https://acme.example".to_owned()),
            maintainer: "Acme Ops <ops@acme.example>".to_owned(),
            prefix: path("opt/acme-web"),
            epoch: 1_767_225_600,
            relations: vec![
                relation(RelationKind::Needs, "libc.so.6(GLIBC_2.34)(64bit)"),
                relation(RelationKind::Needs, "/usr/bin/python3.11"),
                relation(RelationKind::Needs, "/usr/bin/python3.11"),
                relation(RelationKind::Recommends, "(redis or valkey)"),
            ],
            bundled: vec![
                bundled("acme-web", "GPL-3.0-or-later", "Wile E. <w@acme.example>"),
                typing,
            ],
            lifecycle: Lifecycle::default(),
        }
    }

    pub(super) fn tree() -> Tree {
        let config = Entry::File {
            content: Content::bytes("debug = false\n"),
            mode: 0o644,
            role: Role::Config,
            origin: Arc::from("mkpkg"),
            mtime: None,
        };
        let doc = Entry::File {
            content: Content::bytes("Buy!\n"),
            mode: 0o644,
            role: Role::Doc,
            origin: Arc::from("mkpkg"),
            mtime: None,
        };
        let mut tree = Tree::new();
        for (name, entry) in [
            ("opt/acme-web/bin/acme".to_owned(), file("#!/opt/acme-web/bin/python\n", 0o755)),
            ("opt/acme-web/bin/python".to_owned(), link("python3.11")),
            ("opt/acme-web/bin/python3.11".to_owned(), link("/usr/bin/python3.11")),
            ("usr/bin/acme".to_owned(), link("/opt/acme-web/bin/acme")),
            (format!("{SITE}/acme/__init__.py"), file("import typing_extensions\n", 0o644)),
            (format!("{SITE}/typing extensions.py"), file("x = 1\n", 0o644)),
            (format!("{SITE}/typing_extensions-4.dist-info/LICENSE"), file("Be good.\n", 0o644)),
            ("etc/acme-web/acme.toml".to_owned(), config),
            ("usr/share/doc/acme-web/README".to_owned(), doc),
        ] {
            tree.insert(path(&name), entry).unwrap();
        }
        tree
    }

    fn pack(tree: &Tree, options: &Options) -> Vec<u8> {
        let mut out = tempfile::tempfile().unwrap();
        let spool = tempfile::tempfile().unwrap();
        write(&meta(), tree.clone(), options, &Cache::none(), (&mut out, spool)).unwrap();
        let mut bytes = Vec::new();
        out.rewind().unwrap();
        out.read_to_end(&mut bytes).unwrap();
        bytes
    }

    fn unpack(bytes: &[u8]) -> anyhow::Result<Package> {
        let mut input = tempfile::tempfile().unwrap();
        input.write_all(bytes).unwrap();
        read(input, tempfile::tempfile().unwrap())
    }

    /// Path, kind, mode, content or target of every entry.
    fn listing(tree: &Tree) -> Vec<(String, String)> {
        let describe = |entry: &Entry| match entry {
            Entry::Dir { mode } => format!("dir {mode:o}"),
            Entry::Symlink { target } => format!("link {target}"),
            Entry::File { content, mode, role, .. } => {
                format!("{role:?} {mode:o} {}", hex(&sha256(&content.read().unwrap())))
            }
        };
        tree.iter().map(|(path, entry)| (path.to_string(), describe(entry))).collect()
    }

    fn check_round_trip(tree: &Tree, compression: Compression) -> Package {
        let options = Options { compression, ..options() };
        let package = unpack(&pack(tree, &options)).unwrap();
        let whole = with_docs(&meta(), tree.clone()).unwrap();
        assert_eq!(listing(&package.tree), listing(&whole), "{compression}");
        assert_eq!(compression.to_string().split(':').next(), Some(package.compression.as_str()));
        package
    }

    fn values<'p>(package: &'p Package, name: &str) -> Vec<&'p str> {
        let found = package.fields.iter().filter(|(field, _)| field == name);
        found.map(|(_, value)| value.as_str()).collect()
    }

    #[test]
    fn round_trip() {
        for (compression, feature) in [
            (Compression::Zstd(3), Some("rpmlib(PayloadIsZstd) <= 5.4.18-1")),
            (Compression::Xz(1), Some("rpmlib(PayloadIsXz) <= 5.2-1")),
            (Compression::Gzip(6), None),
        ] {
            let package = check_round_trip(&tree(), compression);
            let mut expected = vec![
                "/usr/bin/python3.11",
                "config(acme-web) = 1.4.2-1",
                "libc.so.6(GLIBC_2.34)(64bit)",
                "rpmlib(CompressedFileNames) <= 3.0.4-1",
                "rpmlib(FileDigests) <= 4.6.0-1",
                "rpmlib(PayloadFilesHavePrefix) <= 4.0-1",
                "rpmlib(RichDependencies) <= 4.12.0-1",
            ];
            expected.extend(feature);
            expected.sort_unstable();
            assert_eq!(values(&package, "Requires"), expected);
            let expected = ["/bin/sh", "/usr/bin/find", "coreutils"];
            assert_eq!(values(&package, "Requires(postun)"), expected);
            let expected = [
                "acme-web = 1.4.2-1",
                "acme-web(x86-64) = 1.4.2-1",
                "bundled(python3dist(acme-web)) = 4",
                "bundled(python3dist(typing-extensions)) = 4",
                "config(acme-web) = 1.4.2-1",
            ];
            assert_eq!(values(&package, "Provides"), expected);
            assert_eq!(values(&package, "Recommends"), ["(redis or valkey)"]);
            assert_eq!(values(&package, "Build Host"), ["reproducible"]);
            assert!(package.scripts["postun"].starts_with("#!/bin/sh\ntop='/opt'\n"));
        }
    }

    #[test]
    fn names_of_any_length() {
        let mut tree = tree();
        let deep = vec!["d".repeat(60); 20].join("/");
        for name in
            ["x".repeat(MAX_COMPONENT), format!("{deep}/f"), "grüße/$(x) 'y' \"z\" \\n".to_owned()]
        {
            let at = meta().prefix.join(&name).unwrap();
            tree.insert(meta().prefix.join(&format!("links/{name}")).unwrap(), link(&name))
                .unwrap();
            tree.insert(at, file(&name, 0o644)).unwrap();
        }
        tree.insert(meta().prefix.join("empty/dir").unwrap(), Entry::Dir { mode: 0o750 }).unwrap();
        check_round_trip(&tree, Compression::Zstd(1));
    }

    #[test]
    fn more_files_than_sixteen_bits_count() {
        let mut tree = Tree::new();
        for number in 0..70_000 {
            let at = path(&format!("opt/acme-web/{}/{number}", number / 1000));
            tree.insert(at, file("", 0o644)).unwrap();
        }
        check_round_trip(&tree, Compression::Zstd(1));
    }

    #[test]
    fn bytes_do_not_depend_on_threads() {
        let mut tree = tree();
        let noise: Vec<u8> = (0..5_000_000_u64).map(|at| ((at * at) >> 7) as u8).collect();
        let entry = Entry::file(Content::bytes(noise), 0o644, &Arc::from("x 1"));
        tree.insert(path("opt/acme-web/noise"), entry).unwrap();
        for compression in [Compression::Zstd(1), Compression::Xz(0), Compression::Gzip(1)] {
            let with = |threads| pack(&tree, &Options { compression, threads });
            let one = with(1);
            assert!(one == with(2) && one == with(8), "{compression}");
        }
    }

    #[test]
    fn nothing_is_read_beyond_what_is_there() {
        let options = Options { compression: Compression::Gzip(1), ..options() };
        let good = pack(&tree(), &options);
        for len in (0..good.len()).step_by(13) {
            let error = unpack(&good[..len]).map(drop).unwrap_err();
            assert_eq!(exit_code(&error), 3, "{len}: {error:#}");
        }
        // A fixed generator (Knuth's MMIX constants) keeps the mutations the same on every run.
        let mut state = 1_u64;
        let mut next = |limit: usize| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % limit
        };
        for _ in 0..1_000 {
            let mut bad = good.clone();
            for _ in 0..=next(4) {
                let at = next(bad.len());
                bad[at] ^= 1 << next(8);
            }
            if let Err(error) = unpack(&bad) {
                assert_eq!(exit_code(&error), 3, "{error:#}");
            }
        }
    }

    /// Puts right what mutations of the header made wrong in the digests, so that what lies behind them is reached.
    fn sign(bytes: &mut [u8], old: &str) {
        let number =
            |at: usize| bytes[at..at + 4].iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte));
        let size = |at: usize| 16 + 16 * number(at + 8) + number(at + 12);
        let start = (96 + size(96)).next_multiple_of(8);
        let Some(header) = bytes.get(start..start.saturating_add(size(start))) else { return };
        let digest = hex(&sha256(header));
        let at = bytes.windows(64).position(|window| window == old.as_bytes()).unwrap();
        bytes[at..at + 64].copy_from_slice(digest.as_bytes());
    }

    #[test]
    fn signed_nonsense_is_refused() {
        let good = pack(&tree(), &Options { compression: Compression::Gzip(1), threads: 1 });
        let text = String::from_utf8_lossy(&good[96..1000]).into_owned();
        let is_digest = |word: &&str| word.len() == 64;
        let old = text.split(|at: char| !at.is_ascii_hexdigit()).find(is_digest).unwrap();
        let start =
            good.windows(8).rposition(|window| window == b"\x8e\xad\xe8\x01\0\0\0\0").unwrap();
        let end = good.windows(3).rposition(|window| window == b"\x1f\x8b\x08").unwrap();
        let (mut read, mut refused) = (0, 0);
        for at in (start + 16..end).step_by(3) {
            for value in [0, 0xff] {
                let mut bad = good.clone();
                bad[at] = value;
                sign(&mut bad, old);
                match unpack(&bad) {
                    Ok(_) => read += 1,
                    Err(error) => {
                        refused += 1;
                        assert_eq!(exit_code(&error), 3, "{at} {value}: {error:#}");
                    }
                }
            }
        }
        assert!(read > 300 && refused > 300, "{read} {refused}");
    }

    #[test]
    fn names_and_architectures() {
        let mut meta = meta();
        assert_eq!(file_name(&meta), "acme-web-1.4.2-1.x86_64.rpm");
        meta.version = "3!1.0rc1".parse().unwrap();
        meta.machine = None;
        assert_eq!(version(&meta), "3:1.0~rc1-1");
        assert_eq!(file_name(&meta), "acme-web-1.0~rc1-1.noarch.rpm");
        assert_eq!(architecture(Some(Machine::Armv7l)), "armv7hl");
        assert_eq!((isa(None), isa(Some(Machine::Aarch64))), (None, Some("aarch-64")));
    }

    #[test]
    fn relations_are_rpm_s() {
        let need = InterpreterNeed { minor: "3.11".to_owned(), split_modules: [].into() };
        assert_eq!(relations(Some(&need), false)[0].text, "/usr/bin/python3.11");
        assert_eq!(relations(None, true), []);
        let known = relation(RelationKind::Needs, " nginx  >= 1.22", "configured").unwrap();
        assert_eq!((known.text.as_str(), known.because.len()), ("nginx >= 1.22", 1));
        assert!(relation(RelationKind::Needs, "libc6 (>= 2.28)", "configured").is_err());
    }

    #[test]
    fn times_that_do_not_fit_are_refused() {
        let mut meta = meta();
        meta.epoch = 1 << 32;
        let mut out = tempfile::tempfile().unwrap();
        let spool = tempfile::tempfile().unwrap();
        let error =
            write(&meta, tree(), &options(), &Cache::none(), (&mut out, spool)).unwrap_err();
        assert_eq!(exit_code(&error), 2);
    }
}
