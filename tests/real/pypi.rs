//! Wheels and programs of PyPI, fetched once and kept.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use anyhow::Result;

use crate::build::sha256;
use crate::tools::{cache, output};

/// The distribution's Python, which packages are made for.
pub(crate) const PYTHON: &str = "/usr/bin/python3.11";

/// The wheels of a list of requirements with hashes.
pub(crate) fn wheels(lock: &Path) -> Result<PathBuf> {
    // Tests at the same time want the same wheels.
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let wheels = cache("wheels")?;
    let dir = wheels.join(sha256(lock)?);
    if !dir.is_dir() {
        let part = tempfile::tempdir_in(&wheels)?;
        let mut download = pip();
        download.args(["download", "--quiet", "--no-deps", "--only-binary", ":all:"]);
        download.args(["--require-hashes", "-r"]).arg(lock).arg("-d").arg(part.path());
        output(&mut download)?;
        std::fs::rename(part.keep(), &dir)?;
    }
    Ok(dir)
}

/// pip as it comes with Python, which looks for nothing but on PyPI.
pub(crate) fn pip() -> Command {
    let mut pip = Command::new(PYTHON);
    pip.args(["-m", "pip"]).env_remove("PIP_FIND_LINKS");
    pip
}

/// The program `name` that `requirement` brings, in an environment of its own.
pub(crate) fn program(name: &str, requirement: &str) -> Result<PathBuf> {
    let dir = cache(name)?;
    let program = dir.join("bin").join(name);
    if !program.is_file() {
        output(Command::new(PYTHON).args(["-m", "venv"]).arg(&dir))?;
        output(Command::new(dir.join("bin/pip")).args(["install", "--quiet", requirement]))?;
    }
    Ok(program)
}
