//! Packages that lie already where they would be written: a build that changes nothing writes nothing.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use anyhow::{Context, Result};

use crate::artifact::Artifact;
use crate::cache::digests::{of_program, sha256_of};
use crate::cache::key::{Key, Kind, Parts};
use crate::cache::{Cache, is_own};
use crate::commands::build::Inputs;
use crate::commands::format::Format;
use crate::package::PackageMeta;
use crate::parallel;
use crate::segments::describe;
use crate::tree::{Entry, PkgPath, Tree};

/// The key of the package that will be written: all that decides its bytes. `None` when something does that is not
/// known before, or when nothing is kept.
pub fn key(
    format: &dyn Format,
    (meta, tree): (&PackageMeta, &Tree),
    (inputs, jobs): (&Inputs, usize),
) -> Result<Option<Key>> {
    if inputs.cache.dir().is_none() {
        return Ok(None);
    }
    let (Some(options), Some(program)) = (format.options(inputs), of_program(&inputs.cache)) else {
        return Ok(None);
    };
    let mut parts = Parts::new(Kind::Package);
    parts.add(&program);
    parts.add(format.suffix().as_bytes());
    parts.add(options.as_bytes());
    // What is printed for debugging has every field there is, and every one that will be.
    parts.add(format!("{meta:?}").as_bytes());
    let entries: Vec<_> = tree.iter().collect();
    let runs: Vec<_> = entries.chunks(RUN).collect();
    let digests = parallel::map(&runs, jobs, |run| digest(run))?;
    digests.iter().for_each(|digest| parts.add(digest));
    Ok(Some(parts.key()))
}

/// How many entries are hashed together.
const RUN: usize = 1024;

/// The digest of all there is of some entries.
fn digest(entries: &[(&PkgPath, &Entry)]) -> Result<[u8; 32]> {
    let mut parts = Parts::new(Kind::Package);
    for (path, entry) in entries {
        parts.add(path.as_str().as_bytes());
        describe(entry, &mut parts).with_context(|| format!("cannot read `{path}`"))?;
        if let Entry::File { role, origin, mtime, .. } = entry {
            parts.add(&[*role as u8]);
            parts.add(origin.as_bytes());
            parts.add(mtime.map(u64::to_le_bytes).as_ref().map_or(&[], |time| &time[..]));
        }
    }
    Ok(parts.key().digest())
}

/// The package of `key`, if it is what `path` has.
pub fn find(cache: &Cache, key: &Key, path: &Path) -> Option<Artifact> {
    let there = fs::symlink_metadata(path).ok()?;
    let is_file = there.is_file() && there.mode() & 0o7777 == 0o644;
    // Nobody else may change it later.
    if !is_file || !is_own(&there) || there.nlink() != 1 {
        return None;
    }
    let sha256 = cache.load(key)?.try_into().ok()?;
    let artifact = Artifact { path: path.to_owned(), size: there.len(), sha256 };
    (sha256_of(cache, path).ok()? == sha256).then_some(artifact)
}
