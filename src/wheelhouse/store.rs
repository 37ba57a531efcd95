//! Directories of wheels kept between builds, by a key of everything that decides what is in them.
//!
//! A directory appears whole or not at all; one whose content changed since is not used.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::cache::digests::sha256_of;
use crate::cache::lock::Hold;
use crate::cache::prune::{INSTALLERS, WHEELS};
use crate::cache::{Cache, PART, mark, open_trusted};
use crate::digest::{hex, sha256};

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

/// A directory of the cache, and the right to use it.
#[derive(Debug)]
pub struct Kept {
    /// The directory.
    pub dir: PathBuf,
    /// Nobody removes it as long as this lives.
    pub hold: Hold,
}

/// The directory for `key`, if it is there and holds what was put there.
pub fn find(cache: &Cache, key: &str) -> Option<Kept> {
    let dir = cache.dir()?.join(WHEELS.0).join(key);
    let hold = Hold::shared(&dir.join(WHEELS.1))?;
    let manifest = io::read_to_string(open_trusted(&dir.join(WHEELS.1))?).ok()?;
    (manifest == describe(cache, key, &dir).ok()?).then_some(Kept { dir, hold })
}

/// Copies the wheels of `from` into the directory for `key`; `None` where they cannot be kept.
pub fn keep(cache: &Cache, key: &str, from: &Path) -> Option<Kept> {
    let base = cache.dir()?.join(WHEELS.0);
    match put(cache, &base, key, from) {
        Ok(dir) => Some(Kept { hold: Hold::shared(&dir.join(WHEELS.1))?, dir }),
        Err(error) => {
            cache.note(format!("cannot keep wheels in `{}`: {error:#}", base.display()));
            None
        }
    }
}

/// The directory `name` for what installers cache, made if it is not there; `None` where they could not write.
pub fn installers(cache: &Cache, name: &str) -> Option<Kept> {
    let dir = cache.dir()?.join(INSTALLERS.0).join(name);
    let held = dir.join(INSTALLERS.1);
    fs::create_dir_all(&dir).and_then(|()| mark(&held)).ok()?;
    Some(Kept { hold: Hold::shared(&held)?, dir })
}

fn put(cache: &Cache, base: &Path, key: &str, from: &Path) -> Result<PathBuf> {
    let dir = base.join(key);
    fs::create_dir_all(base)?;
    let part = tempfile::Builder::new()
        .prefix(PART)
        .permissions(Permissions::from_mode(0o777)) // less the umask
        .tempdir_in(base)?;
    for wheel in wheels(from)? {
        let name = wheel.file_name().context("a wheel has a name")?;
        fs::copy(&wheel, part.path().join(name))?;
    }
    fs::write(part.path().join(WHEELS.1), describe(cache, key, part.path())?)?;
    let part = part.keep();
    // Another build may have been faster, or the directory there is damaged: the newer one is as good.
    if fs::rename(&part, &dir).is_err() {
        let old = tempfile::Builder::new().prefix(".old-").tempdir_in(base)?;
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

/// SHA-256 of the file at `path`.
pub fn file_sha256(cache: &Cache, path: &Path) -> Result<[u8; 32]> {
    sha256_of(cache, path).with_context(|| format!("cannot read `{}`", path.display()))
}

/// What the directory for `key` holds; it is that of no other.
fn describe(cache: &Cache, key: &str, dir: &Path) -> Result<String> {
    let mut manifest = format!("{key}\n");
    for wheel in wheels(dir)? {
        let name =
            wheel.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        manifest.push_str(&format!("{} {name}\n", hex(&file_sha256(cache, &wheel)?)));
    }
    Ok(manifest)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use crate::cache::Cache;
    use crate::wheelhouse::store::{Kept, find, keep, key};

    fn dir(kept: Option<Kept>) -> Option<std::path::PathBuf> {
        kept.map(|kept| kept.dir)
    }

    #[test]
    fn a_damaged_directory_is_not_used_and_can_be_replaced() {
        let (base, from) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let cache = Cache::open(base.path().to_owned());
        fs::write(from.path().join("a-1-py3-none-any.whl"), "wheel").unwrap();
        let key = key(&["a", "b"]);
        assert_eq!(dir(find(&cache, &key)), None);
        let kept = keep(&cache, &key, from.path()).unwrap().dir;
        assert_eq!(dir(find(&cache, &key)), Some(kept.clone()));
        fs::write(kept.join("a-1-py3-none-any.whl"), "whee").unwrap();
        assert_eq!(dir(find(&cache, &key)), None);
        keep(&cache, &key, from.path()).unwrap();
        assert_eq!(dir(find(&cache, &key)), Some(kept.clone()));
        let other = self::key(&["c"]);
        fs::rename(&kept, kept.with_file_name(&other)).unwrap();
        assert_eq!(dir(find(&cache, &other)), None);
        assert_eq!(fs::read_dir(base.path().join("wheels")).unwrap().count(), 1);
    }

    #[test]
    fn what_cannot_be_kept_fails_nothing() {
        let (base, from) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(base.path().join("wheels"), "").unwrap();
        let cache = Cache::open(base.path().to_owned());
        assert!(keep(&cache, &key(&["a"]), from.path()).is_none());
        assert!(cache.trouble().unwrap().starts_with("cannot keep wheels in `"));
    }

    #[test]
    fn keys_do_not_run_together() {
        assert_ne!(key(&["ab", "c"]), key(&["a", "bc"]));
    }
}
