//! Relations to libraries, file by file, against those dpkg-shlibdeps derives.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use mkpkg::backend::deb;
use mkpkg::backend::deb::libraries::{Packages, Request};
use mkpkg::elf;
use mkpkg::needs::{Needs, Rules, resolve};
use mkpkg::package::{Floor, Machine};
use mkpkg::tree::{Content, Entry, PkgPath, Tree};

use crate::build::{files, package};
use crate::tools::{output, ready, repository};

const PROGRAMS: [&str; 3] = ["dpkg-shlibdeps", "dpkg-deb", "objdump"];
/// Programs of this host that are compared, too, and one of how many.
const HOST: (&str, usize) = ("/usr/bin", 16);
/// Of trees with many files, about so many are looked at one by one.
const SINGLE: usize = 48;

/// A source package with one binary package, whose tree is the one to compare.
struct Source {
    dir: tempfile::TempDir,
}

impl Source {
    fn new() -> Result<Self> {
        let source = Self { dir: tempfile::tempdir()? };
        fs::create_dir_all(source.tree().join("DEBIAN"))?;
        let control = "Source: app\nMaintainer: A <a@b.example>\n\nPackage: app\nArchitecture: any\nDescription: x\n";
        fs::write(source.dir.path().join("debian/control"), control)?;
        Ok(source)
    }

    fn tree(&self) -> PathBuf {
        self.dir.path().join("debian/app")
    }

    /// What dpkg-shlibdeps derives for `files`, which may have libraries in `private`.
    fn shlibdeps(&self, files: &[&PkgPath], private: &BTreeSet<String>) -> Result<Vec<String>> {
        let mut command = Command::new("dpkg-shlibdeps");
        command.current_dir(self.dir.path()).env_remove("LD_LIBRARY_PATH").arg("-O");
        command.args(["--warnings=0"]).args(private.iter().map(|dir| format!("-l{dir}")));
        command.args(files.iter().map(|file| format!("-edebian/app{file}")));
        let text = output(&mut command)?;
        let line = text.lines().find_map(|line| line.strip_prefix("shlibs:Depends="));
        Ok(line.into_iter().flat_map(|line| line.split(", ")).map(str::to_owned).collect())
    }
}

fn tree_of(dir: &Path) -> Result<Tree> {
    let (mut tree, origin) = (Tree::new(), Arc::from("a test"));
    for path in files(dir)? {
        let metadata = fs::symlink_metadata(&path)?;
        let name = path.strip_prefix(dir)?.to_str().context("not UTF-8")?;
        if metadata.is_file() {
            let content = Content::Path { path: path.clone(), len: metadata.len() };
            tree.insert(PkgPath::new(name)?, Entry::file(content, 0o644, &origin))?;
        }
    }
    Ok(tree)
}

fn derived(needs: &Needs) -> Result<Vec<String>> {
    let machine = Machine::from_uname(std::env::consts::ARCH);
    let packages = Packages::Installed(Path::new("/"));
    let request = Request { packages, floor: Floor::Exact, machine };
    let relations = deb::libraries(needs, &request)?.relations;
    Ok(relations.into_iter().map(|relation| relation.text).collect())
}

/// Both fail, or both say the same in the same order.
fn judge(ours: Result<Vec<String>>, theirs: Result<Vec<String>>) -> Result<()> {
    match (ours, theirs) {
        (Ok(ours), Ok(theirs)) => ensure!(ours == theirs, "ours {ours:?}, theirs {theirs:?}"),
        (Err(_), Err(_)) => {}
        (Err(ours), Ok(_)) => return Err(ours.context("only we fail")),
        (Ok(_), Err(theirs)) => return Err(theirs.context("only dpkg-shlibdeps fails")),
    }
    Ok(())
}

/// Compares the whole of a tree, then some of its files.
fn compare(source: &Source) -> Result<()> {
    let tree = tree_of(&source.tree())?;
    let report = elf::scan(&tree, 2)?;
    let paths: Vec<_> = report.files.iter().map(|file| file.path.clone()).collect();
    let parents = paths.iter().filter_map(PkgPath::parent).map(|dir| dir.absolute());
    let private: BTreeSet<_> = parents.filter(|dir| dir.ends_with(".libs")).collect();
    let rules = Rules { ignore: &[], weak: &[], rename: &BTreeMap::new() };
    let needs = resolve(report, &tree, &rules);
    judge(derived(&needs), source.shlibdeps(&paths.iter().collect::<Vec<_>>(), &private))?;
    for path in paths.iter().step_by(paths.len().div_ceil(SINGLE).max(1)) {
        let files = needs.files.iter().filter(|file| file.path == *path).cloned().collect();
        let ours = derived(&Needs { files, warnings: Vec::new() });
        judge(ours, source.shlibdeps(&[path], &private)).with_context(|| path.to_string())?;
    }
    Ok(())
}

#[test]
fn relations_of_packages() -> Result<()> {
    if !ready("relations_of_packages", &PROGRAMS)? {
        return Ok(());
    }
    for project in [
        "fixtures/projects/acme-web",
        "fixtures/projects/yardstick",
        "tests/real/apps/borgbackup",
        "tests/real/apps/uwsgi",
    ] {
        let deb = package(&repository().join(project), &[])?;
        let source = Source::new()?;
        output(Command::new("dpkg-deb").arg("-x").arg(deb).arg(source.tree()))?;
        compare(&source).with_context(|| project.to_owned())?;
    }
    Ok(())
}

#[test]
fn relations_of_the_programs_of_this_host() -> Result<()> {
    if !ready("relations_of_the_programs_of_this_host", &PROGRAMS)? {
        return Ok(());
    }
    let (dir, step) = HOST;
    let paths = fs::read_dir(dir)?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    let is_own = |path: &&PathBuf| fs::symlink_metadata(path).is_ok_and(|data| data.is_file());
    let programs: BTreeSet<_> = paths.iter().filter(is_own).collect();
    let mut count = 0;
    for program in programs.into_iter().step_by(step) {
        let source = Source::new()?;
        let at = source.tree().join(program.strip_prefix("/")?);
        fs::create_dir_all(at.parent().context("no directory")?)?;
        fs::copy(program, &at)?;
        let report = elf::scan(&tree_of(&source.tree())?, 1)?;
        if !report.files.is_empty() {
            compare(&source).with_context(|| program.display().to_string())?;
            count += 1;
        }
    }
    ensure!(count > 0, "no program in `{dir}` was compared");
    Ok(())
}
