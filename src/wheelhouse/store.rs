//! Directories of wheels kept between builds, by a key of everything that decides what is in them.
//!
//! A directory appears whole or not at all; one whose content changed since is not used.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::digest::{Hasher, hex, sha256};

const MANIFEST: &str = "manifest";

/// A key made of `parts`, which decide what a directory holds.
pub fn key(parts: &[&str]) -> String {
    let mut text = String::from("mkpkg wheels 1\n");
    for part in parts {
        text.push_str(&format!("{}:{part}\n", part.len()));
    }
    hex(&sha256(text.as_bytes()))
}

/// Variables that change from run to run, and not what a build makes.
const VOLATILE: [&str; 12] = [
    "_",
    "COLUMNS",
    "INVOCATION_ID",
    "JOURNAL_STREAM",
    "LINES",
    "LS_COLORS",
    "OLDPWD",
    "PWD",
    "SHLVL",
    "TERM",
    "TMPDIR",
    "WINDOWID",
];

/// Digest of the environment, which any build backend may read.
pub fn environment() -> String {
    digest_variables(|name| !VOLATILE.contains(&name))
}

/// Digest of the variables that compilers and linkers are told by.
pub fn compiler_flags() -> String {
    let names = ["CC", "CXX", "CFLAGS", "CPPFLAGS", "CXXFLAGS", "LDFLAGS", "RUSTFLAGS"];
    digest_variables(|name| names.contains(&name))
}

fn digest_variables(counts: impl Fn(&str) -> bool) -> String {
    let mut variables: Vec<_> =
        std::env::vars_os().filter(|(name, _)| counts(&name.to_string_lossy())).collect();
    variables.sort();
    hex(&sha256(format!("{variables:?}").as_bytes()))
}

/// The directory for `key` below `cache`, if it is there and holds what was put there.
pub fn find(cache: &Path, key: &str) -> Option<PathBuf> {
    let dir = cache.join("wheels").join(key);
    let manifest = fs::read_to_string(dir.join(MANIFEST)).ok()?;
    (manifest == describe(&dir).ok()?).then_some(dir)
}

/// Moves the wheels of `from` into the directory for `key`, and returns that directory.
pub fn keep(cache: &Path, key: &str, from: &Path) -> Result<PathBuf> {
    let base = cache.join("wheels");
    let dir = base.join(key);
    let fault = || format!("cannot keep wheels in `{}`", dir.display());
    fs::create_dir_all(&base).with_context(fault)?;
    let part = tempfile::Builder::new().prefix(".part-").tempdir_in(&base).with_context(fault)?;
    for wheel in wheels(from)? {
        let name = wheel.file_name().context("a wheel has a name")?;
        fs::copy(&wheel, part.path().join(name)).with_context(fault)?;
    }
    fs::write(part.path().join(MANIFEST), describe(part.path())?).with_context(fault)?;
    let part = part.keep();
    // Another build may have been faster, or the directory there is damaged: the newer one is as good.
    if fs::rename(&part, &dir).is_err() {
        let old = tempfile::Builder::new().prefix(".old-").tempdir_in(&base).with_context(fault)?;
        let _ = fs::rename(&dir, old.path().join("wheels"));
        if fs::rename(&part, &dir).is_err() {
            let _ = fs::remove_dir_all(&part);
        }
    }
    Ok(dir)
}

/// The wheels in a directory, sorted by name.
pub fn wheels(dir: &Path) -> Result<Vec<PathBuf>> {
    let listing = fs::read_dir(dir).with_context(|| format!("cannot list `{}`", dir.display()))?;
    let mut wheels = Vec::new();
    for entry in listing {
        let path = entry.with_context(|| format!("cannot list `{}`", dir.display()))?.path();
        if path.extension().is_some_and(|end| end == "whl") {
            wheels.push(path);
        }
    }
    wheels.sort();
    Ok(wheels)
}

/// Digest of a file.
pub fn file_digest(path: &Path, hasher: Hasher) -> Result<Vec<u8>> {
    let fault = || format!("cannot read `{}`", path.display());
    let mut file = fs::File::open(path).with_context(fault)?;
    Ok(hasher.read(&mut file).with_context(fault)?.0)
}

fn describe(dir: &Path) -> Result<String> {
    let mut manifest = String::new();
    for wheel in wheels(dir)? {
        let name =
            wheel.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        manifest.push_str(&format!("{} {name}\n", hex(&file_digest(&wheel, Hasher::sha256())?)));
    }
    Ok(manifest)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use crate::wheelhouse::store::{find, keep, key};

    #[test]
    fn a_damaged_directory_is_not_used_and_can_be_replaced() {
        let (cache, from) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(from.path().join("a-1-py3-none-any.whl"), "wheel").unwrap();
        let key = key(&["a", "b"]);
        assert_eq!(find(cache.path(), &key), None);
        let kept = keep(cache.path(), &key, from.path()).unwrap();
        assert_eq!(find(cache.path(), &key), Some(kept.clone()));
        fs::write(kept.join("a-1-py3-none-any.whl"), "whee").unwrap();
        assert_eq!(find(cache.path(), &key), None);
        keep(cache.path(), &key, from.path()).unwrap();
        assert_eq!(find(cache.path(), &key), Some(kept));
        assert_eq!(fs::read_dir(cache.path().join("wheels")).unwrap().count(), 1);
    }

    #[test]
    fn keys_do_not_run_together() {
        assert_ne!(key(&["ab", "c"]), key(&["a", "bc"]));
    }
}
