//! Packages built by the binary under test, kept by the content of all that went into them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{LazyLock, Mutex};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, ensure};
use sha2::{Digest, Sha256};

use crate::tools::{cache, output};

const WEEK: Duration = Duration::from_secs(7 * 24 * 3600);

/// One build at a time: each uses every core.
static BUILDING: Mutex<()> = Mutex::new(());

/// What lintian of Debian 12 reads, too, which knows no zstd; and the quickest. Tests that use the same options share
/// their packages.
const QUICK: [&str; 2] = ["--compression", "gzip:1"];

/// The .deb of a project, compressed as little as may be.
pub(crate) fn package(project: &Path, options: &[&str]) -> Result<PathBuf> {
    packaged("deb", project, &[&QUICK, options].concat())
}

/// The package that a command makes of a project; built unless this binary has already built just that.
pub(crate) fn packaged(command: &str, project: &Path, options: &[&str]) -> Result<PathBuf> {
    let _alone = BUILDING.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let packages = cache("packages")?;
    forget_old(&packages)?;
    let dir = packages.join(key(command, project, options)?);
    if !dir.is_dir() {
        let part = tempfile::tempdir_in(&packages)?;
        let mut mkpkg = Command::new(env!("CARGO_BIN_EXE_mkpkg"));
        mkpkg.arg(command).arg(project).arg("-o").arg(part.path()).args(options);
        let printed = output(&mut mkpkg)?;
        let named = PathBuf::from(printed.trim_end());
        ensure!(named.is_file(), "stdout is not the path of the package: `{printed}`");
        fs::rename(part.keep(), &dir)?;
    }
    only_entry(&dir)
}

/// The one file of a directory.
pub(crate) fn only_entry(dir: &Path) -> Result<PathBuf> {
    let entries: Vec<PathBuf> =
        fs::read_dir(dir)?.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()?;
    ensure!(entries.len() == 1, "`{}` holds {entries:?}", dir.display());
    entries.into_iter().next().context("empty directory")
}

/// Hexadecimal SHA-256 of a file.
pub(crate) fn sha256(file: &Path) -> Result<String> {
    Ok(hexadecimal(&Sha256::digest(fs::read(file)?)))
}

/// Every file and link below a directory, in a fixed order. Links are not followed.
pub(crate) fn files(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut rest = vec![dir.to_owned()];
    while let Some(dir) = rest.pop() {
        for entry in fs::read_dir(&dir)? {
            let entry = entry?;
            let is_dir = entry.file_type()?.is_dir();
            if is_dir { rest.push(entry.path()) } else { found.push(entry.path()) }
        }
    }
    found.sort();
    Ok(found)
}

fn key(command: &str, project: &Path, options: &[&str]) -> Result<String> {
    static BINARY: LazyLock<Option<String>> =
        LazyLock::new(|| sha256(Path::new(env!("CARGO_BIN_EXE_mkpkg"))).ok());
    let mut hasher = Sha256::new();
    hasher.update(BINARY.as_deref().context("cannot read the binary")?);
    hasher.update(format!("{command} {options:?}"));
    hasher.update(content_key(project)?);
    Ok(hexadecimal(&hasher.finalize()))
}

/// A name for what is in a directory.
pub(crate) fn content_key(dir: &Path) -> Result<String> {
    let mut hasher = Sha256::new();
    for file in files(dir)? {
        hasher.update(file.as_os_str().as_encoded_bytes());
        hasher.update(sha256(&file)?);
    }
    Ok(hexadecimal(&hasher.finalize()))
}

pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn forget_old(packages: &Path) -> Result<()> {
    for entry in fs::read_dir(packages)? {
        let entry = entry?;
        let age = SystemTime::now().duration_since(entry.metadata()?.modified()?);
        if age.is_ok_and(|age| age > WEEK) {
            fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}
