//! Runs `services.sh`: the life of a package with services, under apt and systemd, on each release.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use anyhow::{Context, Result, bail};

use crate::build::{content_key, only_entry};
use crate::tools::{cache, namespaced, output, ready, repository, root};

pub(crate) const PROGRAMS: [&str; 7] = [
    "unshare",
    "mmdebstrap",
    "apt-get",
    "dpkg-deb",
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

fn lives(test: &str, release: &str) -> Result<()> {
    if !ready(test, &PROGRAMS)? {
        return Ok(());
    }
    let root = root(release, &PACKAGES)?;
    let dir = tempfile::tempdir()?;
    for (version, _) in VERSIONS {
        let out = tempfile::tempdir_in(dir.path())?;
        let mut mkpkg = namespaced(repository().join("tests/real/on_release.sh"));
        mkpkg.arg(&root).arg(env!("CARGO_BIN_EXE_mkpkg")).arg(&work(version)?).arg(out.path());
        output(mkpkg.args(["deb", "/srv/project", "--wheelhouse", "/srv/wheels"]))?;
        fs::rename(only_entry(out.path())?, dir.path().join(format!("{version}.deb")))?;
    }
    let mut script = namespaced(repository().join("tests/real/services.sh"));
    let output = script.arg(&root).arg(dir.path()).arg(cache("archives")?).output()?;
    let told = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        bail!("{release}: {}\n{told}{}", output.status, String::from_utf8_lossy(&output.stderr));
    }
    tell(&format!("services on {release}:\n{told}"))
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
