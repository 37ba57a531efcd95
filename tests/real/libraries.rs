//! Relations to libraries, file by file, against those dpkg-shlibdeps of three releases derives.
//!
//! All files of a tree at once, and some one by one. `MKPKG_LIBRARIES=500` compares more trees, and 500 files of each.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use mkpkg::backend::deb;
use mkpkg::backend::deb::libraries::{Packages, Request};
use mkpkg::elf;
use mkpkg::needs::{Needs, resolve};
use mkpkg::package::{Floor, Machine};
use mkpkg::tree::content::Content;
use mkpkg::tree::{Entry, PkgPath, Tree};

use crate::build::{files, package};
use crate::native;
use crate::shlibdeps::{Answer, Source};
use crate::tools::{output, ready, repository, root_with_libraries};

const PROGRAMS: [&str; 4] = ["unshare", "mmdebstrap", "dpkg-deb", "python3.11"];
/// So many files of a tree, at most, are looked at one by one.
const SAMPLE: usize = 24;
/// Where programs and libraries of a system are.
const SYSTEM: [&str; 3] = ["usr/bin", "usr/sbin", "usr/lib/x86_64-linux-gnu"];

#[test]
fn relations_on_bullseye() -> Result<()> {
    relations_on("bullseye", &[], &["wheels"])
}

#[test]
fn relations_on_bookworm() -> Result<()> {
    relations_on("bookworm", &["built"], &["built-more", "wheels"])
}

#[test]
fn relations_on_trixie() -> Result<()> {
    relations_on("trixie", &[], &["wheels"])
}

/// How many files of a tree are to be looked at one by one, when more than usual is to be done.
pub(crate) fn thorough() -> Option<usize> {
    std::env::var("MKPKG_LIBRARIES").ok()?.parse().ok()
}

/// Compares packages of `libraries/`, too: some always, more when that is asked for.
fn relations_on(release: &str, always: &[&str], more: &[&str]) -> Result<()> {
    if !ready(&format!("relations_on_{release}"), &PROGRAMS)? {
        return Ok(());
    }
    let root = root_with_libraries(release)?;
    let mut differences = String::new();
    let mut compare = |name: &str, fill: &dyn Fn(&Path) -> Result<()>| -> Result<()> {
        let source = Source::new()?;
        fill(&source.tree())?;
        for difference in compare(&source, &root).with_context(|| name.to_owned())? {
            writeln!(differences, "{release}: {name}: {difference}")?;
        }
        Ok(())
    };
    compare("system", &|tree| copy_system(&root, tree))?;
    for project in ["acme-web", "yardstick"] {
        let deb = package(&repository().join("fixtures/projects").join(project), &[])?;
        compare(project, &|tree| unpack(&deb, tree))?;
    }
    let more: &[&str] = if thorough().is_some() { more } else { &[] };
    for project in always.iter().chain(more) {
        let deb = native::package(project)?;
        compare(project, &|tree| unpack(&deb, tree))?;
    }
    ensure!(differences.is_empty(), "{differences}");
    Ok(())
}

fn unpack(deb: &Path, tree: &Path) -> Result<()> {
    output(Command::new("dpkg-deb").arg("-x").arg(deb).arg(tree)).map(drop)
}

/// Puts programs and libraries of a root where no loader looks for libraries.
fn copy_system(root: &Path, tree: &Path) -> Result<()> {
    let mut found = Vec::new();
    for dir in SYSTEM {
        found.extend(files(&root.join(dir))?.into_iter().filter(|path| is_elf(path)));
    }
    for path in sample(&found) {
        let to = tree.join("opt/system").join(path.strip_prefix(root)?);
        fs::create_dir_all(to.parent().context("no directory")?)?;
        fs::copy(path, to)?;
    }
    Ok(())
}

fn is_elf(path: &Path) -> bool {
    let mut head = [0; 4];
    let is_file = fs::symlink_metadata(path).is_ok_and(|data| data.is_file());
    is_file
        && File::open(path).and_then(|mut file| file.read_exact(&mut head)).is_ok()
        && head == *b"\x7fELF"
}

fn sample<T>(items: &[T]) -> impl Iterator<Item = &T> {
    let step = items.len().div_ceil(thorough().unwrap_or(SAMPLE)).max(1);
    items.iter().step_by(step)
}

pub(crate) fn tree_of(dir: &Path) -> Result<Tree> {
    let (mut tree, origin) = (Tree::new(), Arc::from("a test"));
    for path in files(dir)? {
        let metadata = fs::symlink_metadata(&path)?;
        let name = path.strip_prefix(dir)?.to_str().context("not UTF-8")?;
        if metadata.is_file() {
            let content = Content::Path { path: path.clone(), len: metadata.len(), sha256: None };
            tree.insert(PkgPath::new(name)?, Entry::file(content, 0o644, &origin))?;
        }
    }
    Ok(tree)
}

/// What the files of `tree` need from a system.
pub(crate) fn needs_of(tree: &Tree) -> Result<Needs> {
    Ok(resolve(&elf::scan(tree, 2)?, tree, &[]))
}

pub(crate) fn derived(needs: &Needs, root: &Path) -> Answer {
    let machine = Machine::from_uname(std::env::consts::ARCH);
    let request =
        Request { packages: Packages::Installed(root), floor: Floor::Exact, machine, jobs: 2 };
    let derived = deb::libraries(needs, &request).map_err(|error| format!("{error:#}"))?;
    Ok(derived.relations.into_iter().map(|relation| relation.text).collect())
}

/// Compares some files of a tree one by one, then all at once that we find no fault in.
fn compare(source: &Source, root: &Path) -> Result<Vec<String>> {
    let tree = tree_of(&source.tree())?;
    let needs = needs_of(&tree)?;
    let paths: Vec<PkgPath> =
        elf::scan(&tree, 2)?.files.into_iter().map(|file| file.path).collect();
    let parents = paths.iter().filter_map(PkgPath::parent).map(|dir| dir.absolute());
    let private: BTreeSet<_> = parents.filter(|dir| dir.ends_with(".libs")).collect();
    let mut ours: BTreeMap<&PkgPath, Answer> = BTreeMap::new();
    let mut sound = Needs::default();
    for path in &paths {
        let files = needs.files.iter().filter(|file| file.path == *path).cloned().collect();
        let needs = Needs { files, ..Needs::default() };
        let answer = derived(&needs, root);
        if answer.is_ok() {
            sound.files.extend(needs.files);
        }
        ours.insert(path, answer);
    }
    let chosen: Vec<&PkgPath> = sample(&paths).collect();
    let mut jobs: Vec<Vec<&PkgPath>> = chosen.iter().map(|path| vec![*path]).collect();
    jobs.push(sound.files.iter().map(|file| &file.path).collect());
    let theirs = source.ask(root, &jobs, &private)?;
    let ours = chosen.iter().map(|path| (path.as_str(), ours[path].clone()));
    let ours = ours.chain([("all of them", derived(&sound, root))]);
    let pairs = ours.zip(&theirs);
    let differences = pairs.filter_map(|((name, ours), theirs)| {
        Some(format!("{name}: {}", difference(&ours, theirs)?))
    });
    Ok(differences.collect())
}

/// What is not as it should be. Both may fail; we also fail in two cases that `docs/libraries.md` lists.
fn difference(ours: &Answer, theirs: &Answer) -> Option<String> {
    match (ours, theirs) {
        (Ok(ours), Ok(theirs)) if ours == theirs => None,
        (Err(_), Err(_)) => None,
        (Err(ours), Ok(_)) if lacks_version(ours) || lacks_plain_library(ours) => None,
        (ours, theirs) => Some(format!("ours {ours:?}, theirs {theirs:?}")),
    }
}

/// "symbol version that the library does not have"
fn lacks_version(error: &str) -> bool {
    error.contains(" needs the version `") && error.ends_with(" does not have")
}

/// "library without a version in its name that is not found"
fn lacks_plain_library(error: &str) -> bool {
    let soname = error.split_once(" needs the library `").map_or("", |(_, rest)| rest);
    let (soname, reason) = soname.split_once('`').unwrap_or_default();
    reason.starts_with(", which is neither ") && soname.ends_with(".so") && !soname.contains('-')
}
