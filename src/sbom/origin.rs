//! Where a distribution came from, as far as a lock or a directory of wheels says.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::cache::Cache;
use crate::cache::digests::sha256_of;
use crate::digest::hex;
use crate::lock::Lock;
use crate::lock::pin::{Pin, Source};
use crate::parallel;
use crate::pep::normalize_name;
use crate::redact::redact;
use crate::wheel::filename::WheelName;

/// Where a distribution came from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// `algorithm:hex` of the file, such as `sha256:…`.
    pub hash: Option<String>,
    /// Its URL, without credentials.
    pub url: Option<String>,
}

/// The origins of wheels, by normalised name.
///
/// Only what the inputs say is told, never what a build happened to make: the hash of a wheel that the lock lists or
/// that was given (`are_given`), else the one hash a lock has for it, which is that of its source.
pub fn origins(
    wheels: &[PathBuf],
    lock: Option<&Lock>,
    are_given: bool,
    (jobs, cache): (usize, &Cache),
) -> Result<BTreeMap<String, Origin>> {
    let found = parallel::map(wheels, jobs, |path| {
        let file_name = path.file_name().unwrap_or_default().to_string_lossy();
        let name: WheelName = file_name.parse()?;
        let name = normalize_name(&name.name)?;
        let pins = lock.map_or(&[][..], |lock| &lock.pins).iter();
        let mut pins = pins.filter(|pin| pin.name.as_ref() == Some(&name));
        let (pin, others) = (pins.next(), pins.count());
        let pin = pin.filter(|_| others == 0);
        let hashes = pin.map_or(&[][..], |pin| &pin.hashes);
        if hashes.is_empty() && !are_given {
            return Ok((name, Origin { hash: None, url: pin.and_then(url) }));
        }
        let digest = sha256_of(cache, path);
        let digest = digest.with_context(|| format!("cannot read `{}`", path.display()))?;
        let own = format!("sha256:{}", hex(&digest));
        let hash = match hashes {
            _ if are_given || hashes.contains(&own) => Some(own),
            [source] => Some(source.clone()),
            _ => None,
        };
        Ok((name, Origin { hash, url: pin.and_then(url) }))
    })?;
    Ok(found.into_iter().collect())
}

fn url(pin: &Pin) -> Option<String> {
    match &pin.source {
        // A variable of the environment stands for a secret, and a path of this host means nothing elsewhere.
        Source::Url(url) => (!url.contains("${") && !url.contains("file:")).then(|| redact(url)),
        Source::Index(_) | Source::Path(_) => None,
    }
}
