//! Chooses one wheel of each distribution: the one that fits the target best.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::cache::Cache;
use crate::digest::{Hasher, hex};
use crate::error::UserError;
use crate::lock::Lock;
use crate::lock::pin::Pin;
use crate::wheel::filename::WheelName;
use crate::wheel::tags::{Tag, fits};
use crate::wheelhouse::store::file_sha256;

/// Wheels of one distribution, with what their names say.
type Candidates<'a> = BTreeMap<String, Vec<(WheelName, &'a Path)>>;

/// One wheel of each distribution in a directory an installer made.
pub fn pinned(wheels: &[PathBuf], tags: &[Tag]) -> Result<Vec<PathBuf>> {
    candidates(wheels)?.values().map(|of_one| best(of_one, tags)).collect()
}

/// The distribution that `lock` does not list, or that nothing is said of: the project's own, when there is exactly
/// one such.
pub fn unlisted(wheels: &[PathBuf], lock: Option<&Lock>) -> Result<String> {
    let names = candidates(wheels)?.into_keys();
    let is_listed = |name: &String| {
        lock.is_some_and(|lock| lock.pins.iter().any(|pin| pin.name.as_ref() == Some(name)))
    };
    let unlisted: Vec<_> = names.filter(|name| !is_listed(name)).collect();
    match unlisted.as_slice() {
        [own] => Ok(own.clone()),
        _ => Err(UserError::usage(
            "the project does not state its name, so its wheel cannot be told",
        )
        .hint("state `name` in `pyproject.toml` or `setup.cfg`")
        .into()),
    }
}

/// One wheel of each distribution in a directory a user made: what `lock` pins and the project's `own`, or all.
pub fn given(
    wheels: &[PathBuf],
    lock: Option<&Lock>,
    (own, tags): (Option<&str>, &[Tag]),
    cache: &Cache,
) -> Result<Vec<PathBuf>> {
    let mut candidates = candidates(wheels)?;
    if let Some(own) = own.filter(|own| !candidates.contains_key(*own)) {
        return Err(UserError::input(format!(
            "the wheelhouse has no wheel of the project itself, `{own}`"
        ))
        .hint("add it with `pip wheel --no-deps -w DIR PROJECT`")
        .into());
    }
    if let Some(lock) = lock {
        let mut wanted = Candidates::new();
        for pin in &lock.pins {
            let name = pin.name.as_ref().ok_or_else(|| nameless(pin))?;
            let of_one = candidates.remove(name).unwrap_or_default();
            wanted.insert(name.clone(), matching(pin, of_one, cache)?);
        }
        if lock.is_closure() {
            wanted.extend(own.and_then(|own| candidates.remove_entry(own)));
        } else {
            // What such requirements require themselves is in the directory, and not in the file.
            wanted.append(&mut candidates);
        }
        candidates = wanted;
    }
    candidates.values().map(|of_one| best(of_one, tags)).collect()
}

fn nameless(pin: &Pin) -> UserError {
    UserError::usage(format!("`{pin}` does not say which distribution it is"))
        .hint("write it as `NAME @ URL`, so that its wheel can be told")
}

fn candidates(wheels: &[PathBuf]) -> Result<Candidates<'_>> {
    let mut candidates = Candidates::new();
    for path in wheels {
        if !path.is_file() {
            let message = format!("{} is not a regular file", shown(path));
            return Err(UserError::input(message).hint("take it out of the wheelhouse").into());
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy().parse::<WheelName>()?;
        candidates.entry(name.name.clone()).or_default().push((name, path));
    }
    Ok(candidates)
}

/// The candidates that are what `pin` names, by version and hash.
fn matching<'a>(
    pin: &Pin,
    of_one: Vec<(WheelName, &'a Path)>,
    cache: &Cache,
) -> Result<Vec<(WheelName, &'a Path)>> {
    let is_version =
        |name: &WheelName| pin.version.as_ref().is_none_or(|version| name.version == *version);
    let of_version: Vec<_> = of_one.into_iter().filter(|(name, _)| is_version(name)).collect();
    if of_version.is_empty() {
        return Err(UserError::input(format!("the wheelhouse has no wheel of `{pin}`"))
            .hint("fill it with `pip wheel --no-deps -r LOCK -w DIR`")
            .into());
    }
    if pin.hashes.is_empty() {
        return Ok(of_version);
    }
    let mut trusted = Vec::new();
    let first = of_version[0].1.to_owned();
    for (name, path) in of_version {
        if is_one_of(path, &pin.hashes, cache)? {
            trusted.push((name, path));
        }
    }
    if trusted.is_empty() {
        let message =
            format!("`{}` has another hash than the lock says for `{pin}`", first.display());
        return Err(UserError::input(message)
            .hint("fetch it again, or lock again if you trust the new file")
            .into());
    }
    Ok(trusted)
}

/// Whether a file has one of `hashes`, each `algorithm:hex`.
fn is_one_of(path: &Path, hashes: &[String], cache: &Cache) -> Result<bool> {
    for algorithm in ["sha256", "sha384", "sha512"] {
        let start = format!("{algorithm}:");
        if hashes.iter().any(|hash| hash.starts_with(&start)) {
            let digest = hex(&file_digest(path, algorithm, cache)?);
            if hashes.iter().any(|hash| hash.strip_prefix(&start) == Some(&digest)) {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

fn file_digest(path: &Path, algorithm: &str, cache: &Cache) -> Result<Vec<u8>> {
    if algorithm == "sha256" {
        return Ok(file_sha256(cache, path)?.to_vec());
    }
    let fault = || format!("cannot read `{}`", path.display());
    let hasher =
        Hasher::strong(algorithm).with_context(|| format!("unknown hash `{algorithm}`"))?;
    Ok(hasher.read(&mut File::open(path).with_context(fault)?).with_context(fault)?.0)
}

/// The candidate that fits best; an error that names them when none does, or when versions differ.
fn best(of_one: &[(WheelName, &Path)], tags: &[Tag]) -> Result<PathBuf> {
    let fitting = of_one.iter().filter_map(|(name, path)| Some((fits(name, tags)?, name, *path)));
    let mut fitting: Vec<_> = fitting.collect();
    // Of wheels with the same tag, the one with the higher build number (PEP 427), else the later name.
    fitting.sort_by(|left, right| left.0.cmp(&right.0).then_with(|| right.2.cmp(left.2)));
    let Some((_, first, path)) = fitting.first() else {
        let names: Vec<_> = of_one.iter().map(|(_, path)| shown(path)).collect();
        let target = tags.first().map_or_else(|| "any target".to_owned(), ToString::to_string);
        return Err(UserError::unresolved(format!("{} does not fit the target (`{target}`)", names.join(", ")))
            .hint("get a wheel for this Python, machine and glibc, or choose another `--python` or `--target`")
            .into());
    };
    if let Some((_, other, other_path)) =
        fitting.iter().find(|(_, other, _)| other.version != first.version)
    {
        let message = format!(
            "the wheelhouse has two versions of `{}`: {} and {}",
            other.name,
            shown(path),
            shown(other_path)
        );
        return Err(UserError::input(message)
            .hint("keep one of them, or pin one in a lock")
            .into());
    }
    Ok((*path).to_owned())
}

fn shown(path: &Path) -> String {
    format!("`{}`", path.file_name().unwrap_or_default().to_string_lossy())
}
