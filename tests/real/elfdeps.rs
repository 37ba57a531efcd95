//! What rpm derives from ELF files and takes for a relation, against what we do.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use mkpkg::backend::rpm;
use mkpkg::backend::rpm::elfdeps::{Generation, provides, requires};
use mkpkg::elf;
use mkpkg::needs::resolve;
use mkpkg::package::RelationKind;
use mkpkg::tree::content::Content;
use mkpkg::tree::{Entry, PkgPath, Tree};

use crate::build::package;
use crate::tools::{output, ready, repository, rootfs};

/// Where rpm keeps the program, which is in no PATH.
const ELFDEPS: &str = "/usr/lib/rpm/elfdeps";
const PROGRAMS: [&str; 3] = ["rpmspec", "dpkg-deb", "unshare"];

/// What elfdeps prints for one file, each line once.
fn elfdeps(side: &str, file: &Path) -> Result<BTreeSet<String>> {
    let text = output(Command::new(ELFDEPS).arg(side).arg(file))?;
    Ok(text.lines().map(str::to_owned).collect())
}

/// Regular files below `dir`; links are not followed.
fn regular_files(dir: &Path) -> Result<Vec<PathBuf>> {
    let (mut found, mut rest) = (Vec::new(), vec![dir.to_owned()]);
    while let Some(dir) = rest.pop() {
        for entry in fs::read_dir(&dir)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            if kind.is_dir() {
                rest.push(entry.path());
            } else if kind.is_file() {
                found.push(entry.path());
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Both sides of one file; whether it is ELF at all.
fn compare(file: &Path) -> Result<bool> {
    let bytes = fs::read(file)?;
    if !bytes.starts_with(b"\x7fELF") {
        return Ok(false);
    }
    let is_executable = fs::metadata(file)?.permissions().mode() & 0o111 != 0;
    let name = file.file_name().and_then(|name| name.to_str()).context("not UTF-8")?;
    let (ours, offers) = match elf::facts(&bytes) {
        Ok(facts) => (
            requires(&facts, is_executable, Generation::All),
            provides(&facts, name, is_executable, Generation::All),
        ),
        Err(_) => (BTreeSet::new(), BTreeSet::new()),
    };
    let theirs = elfdeps("--requires", file)?;
    ensure!(ours == theirs, "requires: ours {ours:?}, theirs {theirs:?}");
    let theirs = elfdeps("--provides", file)?;
    ensure!(offers == theirs, "provides: ours {offers:?}, theirs {theirs:?}");
    Ok(true)
}

/// Compares every ELF file below `dir`; their number.
fn compare_all(dir: &Path) -> Result<usize> {
    let (mut count, mut faults) = (0, Vec::new());
    for file in regular_files(dir)? {
        match compare(&file) {
            Ok(is_elf) => count += usize::from(is_elf),
            Err(error) => faults.push(format!("{}: {error:#}", file.display())),
        }
    }
    ensure!(faults.is_empty(), "{} differ:\n{}", faults.len(), faults.join("\n"));
    Ok(count)
}

#[test]
fn both_sides_of_the_libraries_of_systems() -> Result<()> {
    if !ready("both_sides_of_the_libraries_of_systems", &PROGRAMS)? {
        return Ok(());
    }
    let libraries = format!("usr/lib/{}-linux-gnu", std::env::consts::ARCH);
    let host = Path::new("/").join(&libraries);
    for dir in [
        rootfs("bookworm")?.join(&libraries),
        host,
        "/usr/bin".into(),
        repository().join("fixtures/elf"),
    ] {
        let count = compare_all(&dir).with_context(|| dir.display().to_string())?;
        ensure!(count >= 4, "{}: only {count} ELF files", dir.display());
    }
    Ok(())
}

/// Programs nobody may execute, and what has lost its section headers: there we know more.
#[test]
fn both_sides_of_odd_files() -> Result<()> {
    if !ready("both_sides_of_odd_files", &PROGRAMS)? {
        return Ok(());
    }
    let dir = tempfile::tempdir()?;
    let program = dir.path().join("program");
    let whole = fs::read("/usr/bin/python3.11").or_else(|_| fs::read("/usr/bin/bash"))?;
    for mode in [0o644, 0o755, 0o601] {
        fs::write(&program, &whole)?;
        fs::set_permissions(&program, fs::Permissions::from_mode(mode))?;
        ensure!(compare(&program)?, "not ELF");
    }
    // e_shoff, and the three halves about section headers.
    let mut bare = whole.clone();
    bare[0x28..0x30].fill(0);
    bare[0x3a..0x40].fill(0);
    fs::write(&program, &bare)?;
    let facts = elf::facts(&bare).map_err(anyhow::Error::msg)?;
    let ours = requires(&facts, true, Generation::All);
    let theirs = elfdeps("--requires", &program)?;
    ensure!(theirs.is_empty() && ours.contains("rtld(GNU_HASH)"), "{theirs:?} {ours:?}");
    Ok(())
}

/// The name without what stands in parentheses.
fn base(dependency: &str) -> &str {
    dependency.split('(').next().unwrap_or_default()
}

fn tree_of(dir: &Path) -> Result<Tree> {
    let (mut tree, origin) = (Tree::new(), "a test".into());
    for path in regular_files(dir)? {
        let metadata = fs::metadata(&path)?;
        let name = path.strip_prefix(dir)?.to_str().context("not UTF-8")?;
        let content = Content::Path { path: path.clone(), len: metadata.len(), sha256: None };
        let mode = metadata.permissions().mode() & 0o777;
        tree.insert(PkgPath::new(name)?, Entry::file(content, mode, &origin))?;
    }
    Ok(tree)
}

/// What elfdeps derives for all files, less the names that one of them has, is what is declared.
fn compare_package(project: &str) -> Result<()> {
    let deb = package(&repository().join(project), &[])?;
    let dir = tempfile::tempdir()?;
    output(Command::new("dpkg-deb").arg("-x").arg(deb).arg(dir.path()))?;
    ensure!(compare_all(dir.path())? > 0, "no ELF files");
    let tree = tree_of(dir.path())?;
    let report = elf::scan(&tree, 2)?;
    let (mut asked, mut inside) = (BTreeSet::new(), BTreeSet::new());
    for file in &report.files {
        let file = dir.path().join(file.path.as_str());
        asked.extend(elfdeps("--requires", &file)?);
        let offers = elfdeps("--provides", &file)?;
        // Names of versions may be those of the library before it was renamed.
        let names = offers.iter().filter(|name| name.contains("()") || !name.contains('('));
        inside.extend(names.map(|name| base(name).to_owned()));
    }
    let theirs: BTreeSet<_> =
        asked.into_iter().filter(|name| !inside.contains(base(name))).collect();
    let derived = rpm::libraries(&resolve(&report, &tree, &[]))?;
    let ours: BTreeSet<_> = derived.relations.into_iter().map(|relation| relation.text).collect();
    ensure!(ours == theirs, "ours {ours:?}, theirs {theirs:?}");
    Ok(())
}

#[test]
fn requirements_of_packages() -> Result<()> {
    if !ready("requirements_of_packages", &PROGRAMS)? {
        return Ok(());
    }
    for project in ["fixtures/projects/acme-web", "fixtures/projects/yardstick"] {
        compare_package(project).with_context(|| project.to_owned())?;
    }
    Ok(())
}

/// What rpm makes of a spec file with these requirements, or its refusal.
fn rpmspec(texts: &[&str]) -> Result<Vec<String>> {
    let dir = tempfile::tempdir()?;
    let spec = dir.path().join("acme.spec");
    let head = "Name: acme\nVersion: 1\nRelease: 1\nSummary: x\nLicense: x\n";
    let requires: String = texts.iter().map(|text| format!("Requires: {text}\n")).collect();
    fs::write(&spec, format!("{head}{requires}%description\nx\n%files\n"))?;
    let text = output(Command::new("rpmspec").args(["--query", "--requires"]).arg(&spec))?;
    Ok(text.lines().map(str::to_owned).collect())
}

#[test]
fn relations_as_rpm_reads_and_sorts_them() -> Result<()> {
    if !ready("relations_as_rpm_reads_and_sorts_them", &PROGRAMS)? {
        return Ok(());
    }
    let texts = [
        "rtld(GNU_HASH)",
        "libpq   >=  1:15.0~rc1-2.el9",
        "libc.so.6(GLIBC_2.34)(64bit)",
        "libc.so.6()(64bit)",
        "libc.so.6()(64bit)",
        "/usr/bin/python3.11",
        "python(abi) = 3.11",
        "( mta  or postfix >= 1 )",
        "(a(x) and (b or c))",
        "(a if b else c)",
        "(a if (b or c))",
        "(a with a < 2)",
        "acme-z",
        "acme < 2",
        "acme >= 1",
        "Zeta",
        "_x",
    ];
    let relation = |text: &&str| rpm::relation(RelationKind::Needs, text, "a test");
    let ours = rpm::simplify(texts.iter().map(relation).collect::<Result<_>>()?);
    let ours: Vec<_> = ours.into_iter().map(|relation| relation.text).collect();
    ensure!(ours == rpmspec(&texts)?, "ours {ours:?}");
    // `(a else b)` rpm takes, and nobody can mean it.
    for text in [
        "libc6 (>= 2)",
        "a | b",
        "(a and b or c)",
        "((a if b) or c)",
        "(a unless b)",
        "((a and b) with c)",
        "(a if b if c)",
        "(a or",
        "()",
        "a >=",
        "/usr/bin/x = 1",
        "-a",
    ] {
        ensure!(relation(&text).is_err(), "only rpm refuses `{text}`");
        ensure!(rpmspec(&[text]).is_err(), "only we refuse `{text}`");
    }
    Ok(())
}
