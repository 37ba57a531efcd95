//! The Debian package format.
//!
//! Writes what dpkg of every supported release installs, without dpkg. Knows nothing of wheels or ELF.

mod archive;
mod declared;
mod docs;
pub mod libraries;
mod metadata;
mod order;
mod payload;
mod read;
mod relations;
mod scripts;
mod simplify;
mod substvars;
mod tarball;
mod version;

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Cursor, Write};
use std::path::Path;

use anyhow::{Context, Result};

use crate::backend::contents;
use crate::backend::deb::archive::ArWriter;
use crate::backend::deb::libraries::{Derived, Packages, Request};
use crate::backend::deb::payload::Payload;
use crate::backend::deb::tarball::TarWriter;
use crate::cache::Cache;
use crate::codec::Compression;
use crate::codec::piece::pack;
use crate::error::UserError;
use crate::host::release::Release;
use crate::needs::Needs;
use crate::package::{InterpreterNeed, Machine, Package, PackageMeta, Relation, RelationKind};
use crate::pep::Version;
use crate::segments::{COPIED, Means};
use crate::tree::Tree;

/// dpkg moves a directory out of the way of a file, with all that was put into it.
pub const REPLACES_DIRS: bool = true;

/// Time stamps in ar and tar headers have eleven octal digits.
const MTIME_LIMIT: u64 = 1 << 33;

/// How a .deb is written, beyond what the package says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Method and level, of the payload and of the control archive.
    pub compression: Compression,
    /// Threads that compress; the bytes do not depend on it.
    pub threads: usize,
    /// `Section`, such as `python` or `web`.
    pub section: String,
    /// `Priority`, such as `optional`.
    pub priority: String,
    /// Further control fields by name.
    pub fields: BTreeMap<String, String>,
}

/// The Debian version: PEP 440's, in an order dpkg agrees with, and the release as the revision.
pub fn version(meta: &PackageMeta) -> String {
    version::full(meta)
}

/// The name of the file: `name_version_architecture.deb`, the version without its epoch.
pub fn file_name(meta: &PackageMeta) -> String {
    format!("{}_{}_{}.deb", meta.name, version::without_epoch(meta), architecture(meta.machine))
}

/// Debian's name for a machine; `all` for code that runs on any.
pub fn architecture(machine: Option<Machine>) -> &'static str {
    match machine {
        None => "all",
        Some(Machine::X86_64) => "amd64",
        Some(Machine::Aarch64) => "arm64",
        Some(Machine::Armv7l) => "armhf",
        Some(Machine::I686) => "i386",
        Some(Machine::Ppc64le) => "ppc64el",
        Some(Machine::S390x) => "s390x",
        Some(Machine::Riscv64) => "riscv64",
        Some(Machine::Loongarch64) => "loong64",
    }
}

/// The machine Debian calls `name`.
pub fn machine_called(name: &str) -> Option<Machine> {
    Machine::ALL.into_iter().find(|machine| architecture(Some(*machine)) == name)
}

/// The relations a package declares, each with the field it stands in as its reason.
pub fn declared(package: &Package) -> Vec<Relation> {
    declared::relations(package)
}

/// Whether packages have relations in the field `name`.
pub fn is_relation(name: &str) -> bool {
    declared::is_relation(name)
}

/// The name and the version a package has, as it says them.
pub fn identity(package: &Package) -> (String, String) {
    declared::identity(package)
}

/// How two versions are ordered (deb-version(7)).
pub fn compare(left: &str, right: &str) -> Ordering {
    order::compare(left, right)
}

/// How a package spells `version` with `release`, but for an epoch.
pub fn spelled(version: &Version, release: &str) -> String {
    version::spelled(version, release)
}

/// Whether dpkg takes `version` for an earlier one than the package's.
pub fn is_before(version: &str, meta: &PackageMeta) -> bool {
    order::compare(version, &version::full(meta)) == Ordering::Less
}

/// The tree with the files that [`write`] adds.
pub fn with_docs(meta: &PackageMeta, tree: Tree) -> Result<Tree> {
    docs::with_docs(meta, tree)
}

/// The machine a package says it is for; `None` when any will do, or it is not known.
pub fn machine(package: &Package) -> Option<Machine> {
    declared::machine(package)
}

/// What a package needs to have its interpreter, unless it brings its own, and the accounts its files ask for.
pub fn relations(interpreter: Option<&InterpreterNeed>, tree: &Tree) -> Vec<Relation> {
    let mut relations = relations::of_interpreter(interpreter);
    relations.extend(relations::of_accounts(tree));
    relations
}

/// Whether packages of this format are installed in the root file system at `dir`.
pub fn has_packages(dir: &Path) -> bool {
    libraries::has_packages(dir)
}

/// Whether releases called `name` install packages of this format.
pub fn serves(name: &str) -> bool {
    ["debian:", "ubuntu:"].iter().any(|distribution| name.starts_with(distribution))
}

/// Whether the libraries of `release` are known without any of its packages.
pub fn knows(release: &Release, machine: Option<Machine>) -> bool {
    libraries::knows(release, machine)
}

/// Whether a release whose libraries are known has `soname`, on any machine.
pub fn has_library(soname: &str) -> bool {
    libraries::has_library(soname)
}

/// Whether a release whose libraries are known has no `soname`, though another one has.
pub fn lacks_library(release: &str, soname: &str) -> bool {
    libraries::lacks(release, soname)
}

/// What a package needs to have the libraries of `needs`.
///
/// Where no packages of this format are installed nobody knows which package has a library: the C library then stands
/// for all.
pub fn libraries(needs: &Needs, request: &Request<'_>) -> Result<Derived> {
    if let Some(derived) = libraries::derive(needs, request)? {
        return Ok(derived);
    }
    let relations: Vec<_> = relations::of_machine(request.machine).into_iter().collect();
    if relations.is_empty() {
        return Ok(Derived::default());
    }
    let warning = match request.packages {
        Packages::Installed(root) => format!(
            "no packages are installed in `{}`: which ones have the libraries that are needed is not known; name a \
             release with `--target`, or a root file system of it with `--sysroot`",
            root.display()
        ),
        Packages::Released(release) => {
            format!(
                "which packages of {} have the libraries that are needed is not known",
                release.name
            )
        }
    };
    Ok(Derived { relations, warnings: vec![warning] })
}

/// Relations in dpkg's order, those that others imply merged into them.
pub fn simplify(relations: Vec<Relation>) -> Vec<Relation> {
    simplify::simplify(relations)
}

/// A relation a user wrote, such as `libpq5 (>= 15) | libpq-dev`, in normal form.
pub fn relation(kind: RelationKind, text: &str, because: &str) -> Result<Relation> {
    let text = relations::normal(text, relations::grammar(kind))?;
    Ok(Relation { kind, text, because: vec![because.to_owned()], causes: Vec::new() })
}

/// Refuses what [`write`] would refuse in the fields, before there is a tree.
pub fn check(meta: &PackageMeta, options: &Options) -> Result<()> {
    metadata::control(meta, options, 0).map(drop)
}

/// Writes a package to `out`, which is empty.
///
/// `spool` is empty too and takes the payload meanwhile; keep it beside the output, because `/tmp` may be memory.
/// Files Debian wants (copyright, changelog, lintian overrides) are added unless the tree has them.
pub fn write(
    meta: &PackageMeta,
    tree: Tree,
    options: &Options,
    cache: &Cache,
    (out, spool): (&mut dyn Write, File),
) -> Result<()> {
    if meta.epoch >= MTIME_LIMIT {
        let message = format!("{} seconds since 1970 do not fit a .deb", meta.epoch);
        return Err(UserError::usage(message).hint("check SOURCE_DATE_EPOCH").into());
    }
    // Once before the payload, which takes time, to find what is wrong with the fields.
    check(meta, options)?;
    let (tree, scripts) = parts(meta, tree)?;
    let compression = options.compression;
    let means = Means { compression, jobs: options.threads, cache };
    let payload = payload::write(&tree, meta.epoch, &means, spool)?;
    let mut members: BTreeMap<&str, (String, u32)> =
        scripts.into_iter().map(|(name, text)| (name, (text, 0o755))).collect();
    let control = metadata::control(meta, options, payload.installed_size)?;
    members.insert("control", (control, 0o644));
    let Payload { packed, md5sums, conffiles, .. } = payload;
    for (name, text) in [("md5sums", md5sums), ("conffiles", conffiles)] {
        if !text.is_empty() {
            members.insert(name, (text, 0o644));
        }
    }
    let method = of_control(compression);
    let control = control_tar(&members, method, meta.epoch)?;
    let mut ar = ArWriter::new(BufWriter::with_capacity(COPIED, out), meta.epoch);
    ar.append("debian-binary", 4, Cursor::new("2.0\n"))?;
    let name = |archive, compression| format!("{archive}.{}", suffix(compression));
    ar.append(&name("control.tar", method), control.len() as u64, Cursor::new(control))?;
    ar.append(&name("data.tar", compression), packed.packed_len(), packed.read())?;
    ar.finish()?;
    Ok(())
}

/// The whole tree that [`write`] packs, and the maintainer scripts by name.
pub fn parts(meta: &PackageMeta, tree: Tree) -> Result<(Tree, BTreeMap<&'static str, String>)> {
    let scripts = scripts::scripts(meta)?;
    let tree = docs::with_docs(meta, tree)?;
    contents::check(&meta.prefix, &tree)?;
    payload::check(&tree)?;
    Ok((tree, scripts))
}

/// The text of a substvars file with the relations of a package, in which all else stays as it is in `before`.
pub fn substvars(meta: &PackageMeta, before: &str) -> Result<String> {
    substvars::substvars(meta, before)
}

/// Whether a file begins as a .deb does.
pub fn recognises(input: &File) -> bool {
    archive::is_ar(input)
}

/// Reads a package; `spool` is empty and takes what its files hold.
pub fn read(input: File, spool: File) -> Result<Package> {
    read::read(input, spool)
}

fn suffix(compression: Compression) -> &'static str {
    match compression {
        Compression::Zstd(_) => "zst",
        Compression::Xz(_) => "xz",
        Compression::Gzip(_) => "gz",
    }
}

/// How the control archive is compressed. Nearly all of it is digests, which change with every build and do not get much
/// smaller: xz takes longer for them than for the files that changed.
fn of_control(compression: Compression) -> Compression {
    match compression {
        Compression::Zstd(_) => Compression::Zstd(1),
        Compression::Xz(_) => Compression::Gzip(1),
        Compression::Gzip(level) => Compression::Gzip(level.min(4)),
    }
}

fn control_tar(
    members: &BTreeMap<&str, (String, u32)>,
    compression: Compression,
    mtime: u64,
) -> Result<Vec<u8>> {
    let packed = || {
        let mut tar = TarWriter::new(Vec::new(), mtime);
        tar.dir("./", 0o755)?;
        for (name, (text, mode)) in members {
            tar.file(&format!("./{name}"), *mode, text.len() as u64, &mut text.as_bytes())?;
        }
        pack(&tar.finish()?, compression)
    };
    packed().context("cannot write the control archive")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::io::{Read, Seek, Write};
    use std::sync::Arc;

    use crate::backend::deb::docs::with_docs;
    use crate::backend::deb::{Options, architecture, file_name, read, relation, version, write};
    use crate::cache::Cache;
    use crate::codec::Compression;
    use crate::digest::{hex, sha256};
    use crate::error::exit_code;
    use crate::lifecycle::Lifecycle;
    use crate::package::{
        Bundled, Machine, Package, PackageMeta, PackageName, Relation, RelationKind,
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
        Options {
            compression: Compression::Zstd(3),
            threads: 1,
            section: "web".to_owned(),
            priority: "optional".to_owned(),
            fields: BTreeMap::new(),
        }
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
                relation(RelationKind::Needs, "libc6 (>= 2.34)"),
                relation(RelationKind::Needs, "python3.11"),
                relation(RelationKind::Needs, "python3.11"),
                relation(RelationKind::Recommends, "redis-server|valkey"),
            ],
            bundled: vec![
                bundled("acme-web", "GPL-3.0-or-later", "Wile E. <w@acme.example>"),
                typing,
            ],
            lifecycle: Lifecycle::default(),
        }
    }

    pub(super) fn tree() -> Tree {
        let typing: Arc<str> = Arc::from("typing-extensions 4");
        let mut tree = Tree::new();
        for (name, entry) in [
            ("opt/acme-web/bin/acme".to_owned(), file("#!/opt/acme-web/bin/python\n", 0o755)),
            ("opt/acme-web/bin/python".to_owned(), link("python3.11")),
            ("opt/acme-web/bin/python3.11".to_owned(), link("/usr/bin/python3.11")),
            ("usr/bin/acme".to_owned(), link("/opt/acme-web/bin/acme")),
            (format!("{SITE}/acme/__init__.py"), file("import typing_extensions\n", 0o644)),
            (
                format!("{SITE}/typing extensions.py"),
                Entry::file(Content::bytes("x = 1\n"), 0o644, &typing),
            ),
            (
                format!("{SITE}/typing_extensions-4.dist-info/LICENSE"),
                Entry::file(Content::bytes("Be good.\n"), 0o644, &typing),
            ),
            (
                "etc/acme-web/acme.toml".to_owned(),
                Entry::File {
                    content: Content::bytes("debug = false\n"),
                    mode: 0o644,
                    role: Role::Config,
                    origin: Arc::from("mkpkg"),
                    mtime: None,
                },
            ),
        ] {
            tree.insert(path(&name), entry).unwrap();
        }
        // The script is the package's, not the distribution's.
        let script = path("opt/acme-web/bin/acme");
        tree.retain(|path| *path != script);
        let text = Content::bytes("#!/opt/acme-web/bin/python\n");
        tree.insert(script, Entry::file(text, 0o755, &Arc::from("mkpkg"))).unwrap();
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

    #[test]
    fn round_trip() {
        for compression in [Compression::Zstd(3), Compression::Xz(1), Compression::Gzip(6)] {
            let package = check_round_trip(&tree(), compression);
            assert_eq!(package.fields[1], ("Version".to_owned(), "1.4.2-1".to_owned()));
            assert_eq!(package.fields.last().unwrap().0, "Description");
            assert_eq!(package.scripts["conffiles"], "/etc/acme-web/acme.toml\n");
            let sums = &package.scripts["md5sums"];
            assert!(!sums.contains("acme.toml") && sums.contains("  usr/share/lintian/"), "{sums}");
            assert!(package.scripts["prerm"].starts_with("#!/bin/sh\n"));
        }
    }

    #[test]
    fn names_of_any_length() {
        let mut tree = tree();
        let deep = vec!["d".repeat(60); 20].join("/");
        for name in [
            "x".repeat(MAX_COMPONENT),
            format!("{deep}/f"),
            // 98 to 101 bytes with the `./` in front: around the 100 a header has.
            "y".repeat(98 - 2 - "opt/acme-web/".len()),
            "y".repeat(99 - 2 - "opt/acme-web/".len()),
            "y".repeat(100 - 2 - "opt/acme-web/".len()),
            "y".repeat(101 - 2 - "opt/acme-web/".len()),
            "grüße/$(x) 'y' \"z\" \\n".to_owned(),
        ] {
            let at = meta().prefix.join(&name).unwrap();
            let target = name.clone();
            tree.insert(meta().prefix.join(&format!("links/{name}")).unwrap(), link(&target))
                .unwrap();
            tree.insert(at, file(&name, 0o644)).unwrap();
        }
        tree.insert(meta().prefix.join("empty/dir").unwrap(), Entry::Dir { mode: 0o755 }).unwrap();
        check_round_trip(&tree, Compression::Zstd(1));
    }

    #[test]
    fn bytes_do_not_depend_on_threads() {
        let mut tree = tree();
        let noise: Vec<u8> = (0..5_000_000_u64).map(|at| ((at * at) >> 7) as u8).collect();
        let entry = Entry::file(Content::bytes(noise), 0o644, &Arc::from("x 1"));
        tree.insert(path("opt/acme-web/noise"), entry).unwrap();
        for compression in [Compression::Zstd(1), Compression::Xz(0), Compression::Gzip(1)] {
            let with = |threads| pack(&tree, &Options { compression, threads, ..options() });
            let one = with(1);
            assert!(one == with(2) && one == with(4), "{compression}");
        }
    }

    #[test]
    fn nothing_is_read_beyond_what_is_there() {
        let options = Options { compression: Compression::Gzip(1), ..options() };
        let good = pack(&tree(), &options);
        for len in (0..good.len()).step_by(13) {
            let error = unpack(&good[..len]).unwrap_err();
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
        for _ in 0..2_000 {
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

    #[test]
    fn names_and_architectures() {
        let mut meta = meta();
        assert_eq!(file_name(&meta), "acme-web_1.4.2-1_amd64.deb");
        meta.version = "3!1.0rc1".parse().unwrap();
        meta.machine = None;
        assert_eq!(version(&meta), "3:1.0~rc1-1");
        assert_eq!(file_name(&meta), "acme-web_1.0~rc1-1_all.deb");
        assert_eq!(architecture(Some(Machine::Ppc64le)), "ppc64el");
        let relation = relation(RelationKind::Provides, "acme(=1)", "configured").unwrap();
        assert_eq!((relation.text.as_str(), relation.because.len()), ("acme (= 1)", 1));
    }

    #[test]
    fn times_that_do_not_fit_are_refused() {
        let mut meta = meta();
        meta.epoch = u64::MAX;
        let mut out = tempfile::tempfile().unwrap();
        let spool = tempfile::tempfile().unwrap();
        let error =
            write(&meta, tree(), &options(), &Cache::none(), (&mut out, spool)).unwrap_err();
        assert_eq!(exit_code(&error), 2);
    }
}
