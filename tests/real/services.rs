//! Runs `services.sh`, the life of a package with services under apt and systemd, on each release of Debian, and
//! `releases.sh`, the life of one whose releases lie side by side.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use anyhow::{Context, Result, bail, ensure};

use crate::build::{content_key, only_entry};
use crate::tools::{cache, namespaced, output, ready, repository, root};
use crate::{lint, rpm};

pub(crate) const PROGRAMS: [&str; 9] = [
    "unshare",
    "mmdebstrap",
    "apt-get",
    "dpkg-deb",
    "lintian",
    "rpmlint",
    "systemd-nspawn",
    "nsenter",
    "/usr/bin/python3.11",
];
/// What boots, and has a Python.
pub(crate) const PACKAGES: [&str; 4] = ["dbus", "procps", "python3", "systemd-sysv"];
/// What the configuration of a version has beside that of the fixture; the last one's socket has a further address.
const VERSIONS: [(&str, &str); 3] = [
    (
        "1.0",
        "[[files]]\nsource = 'packaging/old.ini'\ntarget = '/etc/acme-notes/old.ini'\nrole = 'config'\n",
    ),
    ("1.1", ""),
    ("1.2", "[services.late]\nexec = 'acme-notes-worker late'\n"),
];

#[test]
fn services_live_on_bullseye() -> Result<()> {
    lives("services_live_on_bullseye", "bullseye")
}

#[test]
fn services_live_on_bookworm() -> Result<()> {
    lives("services_live_on_bookworm", "bookworm")
}

#[test]
fn services_live_on_trixie() -> Result<()> {
    lives("services_live_on_trixie", "trixie")
}

#[test]
fn django_answers_from_sandboxes() -> Result<()> {
    if !ready("django_answers_from_sandboxes", &PROGRAMS)? {
        return Ok(());
    }
    let scratch = tempfile::tempdir()?;
    let project = scratch.path().join("acme-web");
    let fixture = repository().join("fixtures/projects/acme-web");
    output(Command::new("cp").arg("-R").arg(fixture).arg(&project))?;
    append(&project.join("pyproject.toml"), include_str!("services/sandboxes.toml"))?;
    append(&project.join("requirements.txt"), include_str!("services/cffi.txt"))?;
    let mut mkpkg = Command::new(env!("CARGO_BIN_EXE_mkpkg"));
    mkpkg.arg("deb").arg(&project).args(["--target", "debian:12"]);
    let printed = output(mkpkg.arg("-o").arg(scratch.path().join("dist")))?;
    let mut script = namespaced(repository().join("tests/real/sandbox.sh"));
    script.arg(root("bookworm", &PACKAGES)?).arg(printed.trim_end()).arg(cache("archives")?);
    tell(&output(&mut script)?)
}

fn append(file: &Path, text: &str) -> Result<()> {
    Ok(fs::OpenOptions::new().append(true).open(file)?.write_all(text.as_bytes())?)
}

/// Prints numbers past the test harness, which keeps the output of passing tests to itself.
fn tell(text: &str) -> Result<()> {
    Ok(writeln!(std::io::stderr(), "{text}")?)
}

#[test]
fn releases_lie_side_by_side() -> Result<()> {
    side_by_side("releases_lie_side_by_side", "deb", &PACKAGES)
}

#[test]
fn releases_lie_side_by_side_with_rpm() -> Result<()> {
    side_by_side("releases_lie_side_by_side_with_rpm", "rpm", &[&PACKAGES[..], &["rpm"]].concat())
}

/// `releases.sh` on packages of a format: three with their releases, and one with the plain layout before them.
fn side_by_side(test: &str, format: &str, packages: &[&str]) -> Result<()> {
    if !ready(test, &PROGRAMS)? {
        return Ok(());
    }
    let root = root("bookworm", packages)?;
    let dir = tempfile::tempdir()?;
    build(&root, "1.0", dir.path(), &[format, "--set", "release=0"])?;
    for (version, _) in VERSIONS {
        // lintian of Debian 12 cannot read zstd, and would look no further.
        let arguments = [format, "--set", "layout=releases", "--compression", "gzip:1"];
        build(&root, version, dir.path(), &arguments)?;
    }
    for package in fs::read_dir(dir.path())? {
        let package = package?.path();
        if package.to_string_lossy().contains("1.0-1") {
            let lint = if format == "deb" { lint::unexpected } else { rpm::lint::unexpected };
            let found = lint(&package)?;
            ensure!(found.is_empty(), "{}", found.join("\n"));
        }
    }
    judged("releases.sh", &[Path::new(format), &root, dir.path(), &cache("archives")?])
}

/// Runs mkpkg for a version of the project on a release; packages go to `out`.
fn build(root: &Path, version: &str, out: &Path, arguments: &[&str]) -> Result<()> {
    let mut mkpkg = namespaced(repository().join("tests/real/on_release.sh"));
    mkpkg.arg(root).arg(env!("CARGO_BIN_EXE_mkpkg")).arg(work(version)?).arg(out).args(arguments);
    output(mkpkg.args(["/srv/project", "--wheelhouse", "/srv/wheels"]))?;
    Ok(())
}

/// Runs a script and tells what it prints; an error when it finds a fault.
fn judged(script: &str, arguments: &[&Path]) -> Result<()> {
    let output =
        namespaced(repository().join("tests/real").join(script)).args(arguments).output()?;
    let told = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        bail!("{}\n{told}{}", output.status, String::from_utf8_lossy(&output.stderr));
    }
    tell(&told)
}

fn lives(test: &str, release: &str) -> Result<()> {
    if !ready(test, &PROGRAMS)? {
        return Ok(());
    }
    let root = root(release, &PACKAGES)?;
    let dir = tempfile::tempdir()?;
    for (version, _) in VERSIONS {
        let out = tempfile::tempdir_in(dir.path())?;
        build(&root, version, out.path(), &["deb"])?;
        fs::rename(only_entry(out.path())?, dir.path().join(format!("{version}.deb")))?;
    }
    tell(&format!("services on {release}:"))?;
    judged("services.sh", &[&root, dir.path(), &cache("archives")?]).context(release.to_owned())
}

/// A directory with the project of a version and its wheels, made once.
fn work(version: &str) -> Result<PathBuf> {
    static MAKING: Mutex<()> = Mutex::new(());
    let _alone = MAKING.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let fixture = repository().join("fixtures/projects/acme-notes");
    let dir = cache("services")?.join(format!("{version}-{}", content_key(&fixture)?));
    if !dir.is_dir() {
        let part = tempfile::tempdir_in(cache("services")?)?;
        make(&fixture, version, part.path())?;
        fs::rename(part.keep(), &dir)?;
    }
    // A package is as old as the newest source; later versions are newer.
    let day = VERSIONS.iter().position(|(name, _)| *name == version).unwrap_or_default() + 1;
    let mut find = Command::new("find");
    find.arg(dir.join("project")).args(["-exec", "touch", "-d", &format!("2026-01-0{day}")]);
    output(find.args(["{}", "+"]))?;
    Ok(dir)
}

fn make(fixture: &Path, version: &str, dir: &Path) -> Result<()> {
    let project = dir.join("project");
    output(Command::new("cp").arg("-R").arg(fixture).arg(&project))?;
    let edit = |name: &str, change: &dyn Fn(String) -> String| -> Result<()> {
        let file = project.join(name);
        Ok(fs::write(&file, change(fs::read_to_string(&file)?))?)
    };
    edit("pyproject.toml", &|text| text.replace("\"1.0\"", &format!("\"{version}\"")))?;
    edit("packaging/notes.ini", &|text| format!("; of {version}\n{text}"))?;
    if version == "1.2" {
        let (known, more) =
            ("\"/run/acme-notes.sock\"", "\"/run/acme-notes.sock\", \"127.0.0.1:8083\"");
        edit("mkpkg.toml", &|text| text.replace(known, more))?;
    }
    fs::write(project.join("packaging/old.ini"), "[old]\n")?;
    let further = VERSIONS.iter().find(|(name, _)| *name == version).context("no such version")?.1;
    edit("mkpkg.toml", &|text| format!("{text}\n{further}"))?;

    let pip = |verb: &str| {
        let mut pip = Command::new("/usr/bin/python3.11");
        pip.args(["-m", "pip", "-q", verb, "--no-deps"]).current_dir(dir);
        pip
    };
    output(pip("download").args([
        "--require-hashes",
        "-d",
        "wheels",
        "-r",
        "project/requirements.txt",
    ]))?;
    let copy = dir.join("source");
    output(Command::new("cp").arg("-R").arg(&project).arg(&copy))?;
    output(pip("wheel").args(["-w", "wheels", "./source"]))?;
    fs::remove_dir_all(copy)?;
    Ok(())
}
