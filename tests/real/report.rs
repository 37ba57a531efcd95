//! Reports of audits: judged by the validators of their formats, and opened in a browser.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

use crate::build::{package, sha256};
use crate::tools::{cache, output, ready, repository};

const PYTHON: &str = "/usr/bin/python3.11";
/// Largest page.
const MAX_PAGE: u64 = 5_000_000;

/// The report on a package in a format, in a file.
fn report(package: &Path, format: &str, dir: &Path) -> Result<PathBuf> {
    let file = dir.join(format!("report.{format}"));
    let mut mkpkg = Command::new(env!("CARGO_BIN_EXE_mkpkg"));
    mkpkg.arg("audit").arg(package).args(["--fail-on", "never", "--format", format, "-o"]);
    output(mkpkg.arg(&file))?;
    Ok(file)
}

/// A Python that has the validators.
fn validators() -> Result<PathBuf> {
    let wanted = repository().join("tests/real/report/validators.txt");
    let dir = cache("validators")?.join(sha256(&wanted)?);
    let python = dir.join("bin/python");
    if !dir.join("whole").is_file() {
        output(Command::new(PYTHON).args(["-m", "venv", "--clear"]).arg(&dir))?;
        let mut pip = Command::new(&python);
        pip.args(["-m", "pip", "-q", "install", "-r"]).arg(wanted);
        output(&mut pip)?;
        fs::write(dir.join("whole"), "")?;
    }
    Ok(python)
}

/// A package of somebody who means harm, with texts that end what they may stand in.
fn hostile(dir: &Path) -> Result<PathBuf> {
    const OWN: &str = "<script>owned=1</script><img src=x onerror=owned=1>";
    let root = dir.join("root");
    let site = root.join("opt/x/lib/python3.11/site-packages");
    fs::create_dir_all(root.join("DEBIAN"))?;
    let control = "Package: hostile\nVersion: 1\nArchitecture: all\nMaintainer: X <x@x.example>\nDescription: x\n";
    fs::write(root.join("DEBIAN/control"), control)?;
    for (number, name) in
        [OWN, "\"'`><svg onload=owned=1>", "\u{202e}gpj.elif", "plain"].iter().enumerate()
    {
        let info = site.join(format!("d{number}-1.dist-info"));
        fs::create_dir_all(&info)?;
        let metadata =
            format!("Name: {name}\nVersion: </style></script>{number}\nLicense: {OWN}\n");
        fs::write(info.join("METADATA"), metadata)?;
        fs::write(info.join("RECORD"), format!("d{number}.py,sha256=x,1\ngone,,\n"))?;
        fs::write(site.join(format!("d{number}.py")), "x\n")?;
    }
    fs::write(site.join("<img src=x onerror=owned=1>.pth"), format!("import os; '{OWN}'\n"))?;
    let package = dir.join("hostile.deb");
    output(Command::new("dpkg-deb").args(["--root-owner-group", "-b"]).arg(&root).arg(&package))?;
    Ok(package)
}

fn packages(dir: &TempDir) -> Result<[PathBuf; 2]> {
    let project = repository().join("fixtures/projects/acme-web");
    Ok([package(&project, &[])?, hostile(dir.path())?])
}

#[test]
fn documents_are_valid() -> Result<()> {
    if !ready("documents_are_valid", &["python3.11", "dpkg-deb"])? {
        return Ok(());
    }
    let dir = tempfile::tempdir()?;
    for package in packages(&dir)? {
        let mut judge = Command::new(validators()?);
        judge.arg(repository().join("tests/real/report/validate.py"));
        for format in ["cyclonedx", "spdx", "sarif", "json"] {
            judge.arg(format).arg(report(&package, format, dir.path())?);
        }
        output(&mut judge).with_context(|| package.display().to_string())?;
    }
    Ok(())
}

/// Configurations mkpkg reads are valid by its schema, and one it refuses is not.
#[test]
fn configurations_are_valid() -> Result<()> {
    if !ready("configurations_are_valid", &["python3.11", "make"])? {
        return Ok(());
    }
    let dir = tempfile::tempdir()?;
    let judge = |file: &Path| -> Result<Command> {
        let mut judge = Command::new(validators()?);
        judge.arg(repository().join("tests/real/report/validate.py"));
        judge.arg("configuration").arg(file);
        Ok(judge)
    };
    for recipe in ["mold-like", "st2-like", "wlanpi-like"] {
        let project = dir.path().join(recipe);
        let fixture = repository().join("fixtures/debian").join(recipe);
        output(Command::new("cp").arg("-R").arg(fixture).arg(&project))?;
        let mut mkpkg = Command::new(env!("CARGO_BIN_EXE_mkpkg"));
        output(mkpkg.args(["init", "--from-debian"]).arg(project.join("debian")))?;
        output(&mut judge(&project.join("mkpkg.toml"))?).context(recipe)?;
    }
    for name in ["acme-notes", "bare-requirements", "yardstick"] {
        let file = repository().join("fixtures/projects").join(name).join("mkpkg.toml");
        output(&mut judge(&file)?).context(name)?;
    }
    let wrong = dir.path().join("wrong.toml");
    fs::write(&wrong, "requirments = []\n")?;
    ensure!(!judge(&wrong)?.output()?.status.success(), "an unknown key is valid");
    Ok(())
}

#[test]
fn pages_work_in_a_browser() -> Result<()> {
    if !ready("pages_work_in_a_browser", &["chromium", "chromedriver", "dpkg-deb"])? {
        return Ok(());
    }
    let dir = tempfile::tempdir()?;
    for package in packages(&dir)? {
        let page = report(&package, "html", dir.path())?;
        let size = page.metadata()?.len();
        ensure!(size <= MAX_PAGE, "{size} bytes");
        let mut browser = Command::new("/usr/bin/python3");
        browser.arg(repository().join("tests/real/report/browser.py")).arg(&page);
        output(&mut browser).with_context(|| package.display().to_string())?;
    }
    Ok(())
}
