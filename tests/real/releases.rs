//! The tables of releases against root file systems of them: programs and libraries of each, file by file.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use mkpkg::backend::deb;
use mkpkg::backend::deb::libraries::{Derived, Packages, Request};
use mkpkg::elf;
use mkpkg::host::release::find;
use mkpkg::needs::{Needs, resolve};
use mkpkg::package::{Floor, Machine};
use mkpkg::tree::content::Content;
use mkpkg::tree::{Entry, PkgPath, Tree};

use crate::tools::{ready, root_with_libraries};

const PROGRAMS: [&str; 2] = ["mmdebstrap", "apt-get"];
const DIRS: [&str; 2] = ["usr/bin", "usr/lib/x86_64-linux-gnu"];
/// Fewest files that must need nothing the table has no versions of.
const ENOUGH: usize = 150;

/// What one file in the root at `dir` needs.
fn needs(dir: &Path, path: &Path) -> Result<Needs> {
    let mut tree = Tree::new();
    let name = path.strip_prefix(dir)?.to_str().context("not UTF-8")?;
    let content =
        Content::Path { path: path.to_owned(), len: fs::metadata(path)?.len(), sha256: None };
    tree.insert(PkgPath::new(name)?, Entry::file(content, 0o644, &Arc::from("a test")))?;
    Ok(resolve(&elf::scan(&tree, 1)?, &tree, &[]))
}

fn derived(needs: &Needs, packages: Packages<'_>, floor: Floor) -> Result<Derived> {
    deb::libraries(needs, &Request { packages, floor, machine: Some(Machine::X86_64), jobs: 2 })
}

fn texts(derived: &Derived) -> Vec<&str> {
    derived.relations.iter().map(|relation| relation.text.as_str()).collect()
}

/// Compares one file; whether the table knows all that it needs.
fn compare(needs: &Needs, dir: &Path, release: &str) -> Result<bool> {
    let mut is_known = true;
    for floor in [Floor::Exact, Floor::Portable] {
        // What is not installed, or in a directory of its own, is not looked for in the table.
        let Ok(installed) = derived(needs, Packages::Installed(dir), floor) else {
            return Ok(false);
        };
        let released = match derived(needs, Packages::Released(find(release)?), floor) {
            // Such as `libbfd-2.40-system.so`: the tables have what ends with a version.
            Err(error) if error.to_string().contains(".so`, which is neither in") => {
                return Ok(false);
            }
            released => released?,
        };
        is_known &= released.warnings.is_empty();
        let (ours, theirs) = (texts(&released), texts(&installed));
        if is_known {
            ensure!(ours == theirs, "{floor:?}: the table {ours:?}, the root {theirs:?}");
        }
    }
    Ok(is_known)
}

fn files(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for name in DIRS {
        for entry in fs::read_dir(dir.join(name))? {
            let path = entry?.path();
            if fs::symlink_metadata(&path)?.is_file() {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}

fn check(test: &str, release: &str, codename: &str) -> Result<()> {
    if !ready(test, &PROGRAMS)? {
        return Ok(());
    }
    let root = root_with_libraries(codename)?;
    let (mut known, mut wrong) = (0, Vec::new());
    for path in files(&root)? {
        let needs = needs(&root, &path)?;
        if needs.files.is_empty() {
            continue;
        }
        match compare(&needs, &root, release) {
            Ok(is_known) => known += usize::from(is_known),
            Err(error) => wrong.push(format!("{}: {error:#}", path.display())),
        }
    }
    ensure!(wrong.is_empty(), "{} files differ:\n{}", wrong.len(), wrong.join("\n"));
    ensure!(known >= ENOUGH, "only {known} files were compared");
    Ok(())
}

#[test]
fn the_table_of_debian_11() -> Result<()> {
    check("the_table_of_debian_11", "debian:11", "bullseye")
}

#[test]
fn the_table_of_debian_12() -> Result<()> {
    check("the_table_of_debian_12", "debian:12", "bookworm")
}

#[test]
fn the_table_of_debian_13() -> Result<()> {
    check("the_table_of_debian_13", "debian:13", "trixie")
}
