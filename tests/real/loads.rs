//! What a package depends on is enough for the loader, and none of it is its own.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, ensure};
use mkpkg::elf;
use mkpkg::tree::Tree;

use crate::build;
use crate::libraries::{derived, needs_of, thorough, tree_of};
use crate::native;
use crate::tools::{cache, namespaced, output, ready, repository, root_with_libraries, rootfs};

const PROGRAMS: [&str; 4] = ["unshare", "mmdebstrap", "dpkg-deb", "python3.11"];

#[test]
fn packages_load_alone() -> Result<()> {
    if !ready("packages_load_alone", &PROGRAMS)? {
        return Ok(());
    }
    let root = rootfs("bookworm")?;
    let mut faults = Vec::new();
    for deb in packages()? {
        let field =
            |name: &str| output(Command::new("dpkg-deb").arg("--field").arg(&deb).arg(name));
        let (name, depends) = (field("Package")?, field("Depends")?);
        let mut names = depends.split([',', '|']).filter_map(|one| one.split_whitespace().next());
        ensure!(names.all(|one| one != name.trim()), "{name} depends on itself: {depends}");
        let scratch = tempfile::tempdir_in("/var/tmp")?;
        let tree = tree_of(&unpacked(&deb, scratch.path())?)?;
        let own = own_libraries(&tree)?;
        faults.extend(own.iter().map(|soname| format!("`{soname}` is looked up in the system")));
        faults.extend(complaints(&root, &deb, &tree)?);
    }
    ensure!(faults.is_empty(), "{}", faults.join("\n"));
    Ok(())
}

/// uwsgi is a program that embeds Python: it needs its library, not only an interpreter.
#[test]
fn uwsgi_needs_the_library_of_python() -> Result<()> {
    if !ready("uwsgi_needs_the_library_of_python", &PROGRAMS)? {
        return Ok(());
    }
    let deb = native::package("built")?;
    let depends = output(Command::new("dpkg-deb").arg("--field").arg(deb).arg("Depends"))?;
    ensure!(depends.contains("libpython3.11 (>= "), "{depends}");
    Ok(())
}

/// The same files with the relations derived for Debian 13. That release has another Python, which none of them is
/// loaded into here.
#[test]
fn files_load_on_trixie() -> Result<()> {
    if !ready("files_load_on_trixie", &PROGRAMS)? {
        return Ok(());
    }
    let scratch = tempfile::tempdir_in("/var/tmp")?;
    let project = repository().join("fixtures/projects/yardstick");
    let dir = unpacked(&build::package(&project, &[])?, scratch.path())?;
    let tree = tree_of(&dir)?;
    let relations = derived(&needs_of(&tree)?, &root_with_libraries("trixie")?);
    let deb = packed(&dir, &relations.map_err(anyhow::Error::msg)?)?;
    let faults = complaints(&rootfs("trixie")?, &deb, &tree)?;
    ensure!(faults.is_empty(), "{}", faults.join("\n"));
    Ok(())
}

fn packages() -> Result<Vec<PathBuf>> {
    let fixtures = repository().join("fixtures/projects");
    let mut packages = Vec::new();
    for project in ["acme-web", "yardstick"] {
        packages.push(build::package(&fixtures.join(project), &[])?);
    }
    packages.push(native::package("built")?);
    if thorough().is_some() {
        packages.push(native::package("built-more")?);
        packages.push(native::package("wheels")?);
    }
    Ok(packages)
}

fn unpacked(deb: &Path, scratch: &Path) -> Result<PathBuf> {
    let dir = scratch.join("tree");
    output(Command::new("dpkg-deb").arg("-x").arg(deb).arg(&dir))?;
    Ok(dir)
}

/// Libraries of the tree that its files are said to need from a system.
fn own_libraries(tree: &Tree) -> Result<BTreeSet<String>> {
    let facts = elf::scan(tree, 2)?.files.into_iter().filter_map(|file| file.facts.ok());
    let own: BTreeSet<_> = facts.filter_map(|facts| facts.dynamic.soname).collect();
    let files = needs_of(tree)?.files.into_iter();
    let sonames = files.flat_map(|file| file.libraries).map(|library| library.soname);
    Ok(sonames.filter(|soname| own.contains(soname)).collect())
}

/// A package with a tree and relations, and nothing else.
fn packed(tree: &Path, relations: &[String]) -> Result<PathBuf> {
    let control = format!(
        "Package: app\nVersion: 1\nArchitecture: amd64\nMaintainer: A <a@b.example>\nDescription: x\nDepends: {}\n",
        relations.join(", ")
    );
    fs::create_dir(tree.join("DEBIAN"))?;
    fs::write(tree.join("DEBIAN/control"), control)?;
    let deb = tree.with_extension("deb");
    output(Command::new("dpkg-deb").args(["--build", "-Znone"]).arg(tree).arg(&deb))?;
    Ok(deb)
}

/// What the loader complains of when nothing but the package of `tree` was installed in a minimal root.
fn complaints(root: &Path, deb: &Path, tree: &Tree) -> Result<Vec<String>> {
    let list = tempfile::NamedTempFile::new()?;
    let files = elf::scan(tree, 2)?.files;
    ensure!(!files.is_empty(), "{}: no ELF file", deb.display());
    let lines: String = files.iter().map(|file| format!("{}\n", file.path.absolute())).collect();
    fs::write(list.path(), lines)?;
    let mut script = namespaced(repository().join("tests/real/loads.sh"));
    let printed = output(script.arg(root).arg(deb).arg(list.path()).arg(cache("archives")?))?;
    // Extension modules are loaded by an interpreter, which has these.
    let is_of_python = |line: &&str| {
        let symbol = line.split_once("undefined symbol: ").map_or("", |(_, symbol)| symbol);
        symbol.starts_with("Py") || symbol.starts_with("_Py")
    };
    Ok(printed.lines().filter(|line| !is_of_python(line)).map(str::to_owned).collect())
}
