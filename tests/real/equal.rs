//! The yardstick on disk equals what pip and uv make of the same 47 wheels, and its RECORDs are true.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::build::package;
use crate::pypi::{self, PYTHON, pip, program};
use crate::tools::{namespaced, output, ready, repository, rootfs};

const UV: &str = "uv>=0.9";

#[test]
fn yardstick_equals_pip_and_uv() -> Result<()> {
    let programs = ["unshare", "mmdebstrap", "dpkg-deb", "python3.11"];
    if !ready("yardstick_equals_pip_and_uv", &programs)? {
        return Ok(());
    }
    let project = repository().join("fixtures/projects/yardstick");
    let deb = package(&project, &[])?;
    let wheels = wheels()?;
    let scratch = tempfile::tempdir_in("/var/tmp")?;

    let ours = scratch.path().join("ours");
    let mut unpack = namespaced(repository().join("tests/real/unpack.sh"));
    output(unpack.arg(rootfs("bookworm")?).arg(deb).arg("/opt/yardstick").arg(&ours))?;
    compare(&[Path::new("--record"), &ours]).context("RECORD")?;

    let by_pip = scratch.path().join("pip");
    output(Command::new(PYTHON).args(["-m", "venv", "--without-pip"]).arg(&by_pip))?;
    install(pip().arg("--python").arg(by_pip.join("bin/python")).arg("install"), &wheels)?;
    compare(&[&ours, &by_pip]).context("pip")?;
    drop(std::fs::remove_dir_all(&by_pip));

    let by_uv = scratch.path().join("uv");
    let uv = program("uv", UV)?;
    output(Command::new(&uv).args(["venv", "--quiet", "--python", PYTHON]).arg(&by_uv))?;
    let mut command = Command::new(&uv);
    command.args(["pip", "install", "--quiet", "--link-mode", "copy", "--no-cache", "--python"]);
    install(command.arg(&by_uv), &wheels)?;
    compare(&[&ours, &by_uv, Path::new("--modes")]).context("uv")
}

/// The wheels of the yardstick's lock, fetched with pip and kept.
pub(crate) fn wheels() -> Result<PathBuf> {
    pypi::wheels(&lock())
}

fn lock() -> PathBuf {
    repository().join("fixtures/projects/yardstick/requirements.txt")
}

fn install(command: &mut Command, wheels: &Path) -> Result<String> {
    command.args(["--no-deps", "--no-index", "--require-hashes", "--find-links"]).arg(wheels);
    if command.get_program() == PYTHON {
        command.args(["--quiet", "--no-compile", "--no-warn-script-location"]);
    }
    output(command.arg("-r").arg(lock()))
}

fn compare(arguments: &[&Path]) -> Result<()> {
    let mut judge = Command::new(PYTHON);
    judge.arg("-B").arg(repository().join("tests/real/compare.py")).args(arguments);
    output(&mut judge).map(drop)
}
