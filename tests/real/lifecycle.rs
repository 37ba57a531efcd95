//! Runs `lifecycle.sh`: a package's whole life on Debian 12, under apt.

use std::fmt::Write;
use std::path::Path;
use std::sync::Mutex;

use anyhow::{Result, bail};
use serde::Deserialize;

use crate::tools::{cache, namespaced, repository, rootfs};

/// The programs that [`lives`] needs.
pub(crate) const PROGRAMS: [&str; 5] = ["unshare", "mmdebstrap", "apt-get", "dpkg-deb", "debsums"];

/// A command of an installed package, and text it must print.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Check {
    pub(crate) run: String,
    pub(crate) prints: String,
}

impl Check {
    pub(crate) fn new(run: &str, prints: &str) -> Self {
        Self { run: run.to_owned(), prints: prints.to_owned() }
    }
}

/// Installs, runs, removes and purges a package; an error says what was wrong with it.
pub(crate) fn lives(deb: &Path, checks: &[Check]) -> Result<()> {
    let scratch = tempfile::tempdir()?;
    let list = scratch.path().join("checks");
    let mut lines = String::new();
    for check in checks {
        writeln!(lines, "{}\t{}", check.prints, check.run)?;
    }
    std::fs::write(&list, lines)?;

    let mut script = namespaced(repository().join("tests/real/lifecycle.sh"));
    script.arg(rootfs("bookworm")?).arg(deb).arg(&list).arg(cache("archives")?);
    let output = script.output()?;
    if !output.status.success() {
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        bail!(
            "{}: {}\n{told}{}",
            deb.display(),
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(())
}

/// Does `work` for every item, two at a time; all errors in one.
pub(crate) fn in_pairs<T: Sync>(items: &[T], work: impl Fn(&T) -> Result<()> + Sync) -> Result<()> {
    let queue = Mutex::new(items.iter());
    let errors = Mutex::new(String::new());
    let next = || queue.lock().map(|mut items| items.next()).unwrap_or(None);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(item) = next() {
                    if let Err(error) = work(item)
                        && let Ok(mut errors) = errors.lock()
                    {
                        errors.push_str(&format!("{error:#}\n"));
                    }
                }
            });
        }
    });
    let errors = errors.into_inner().unwrap_or_default();
    if errors.is_empty() { Ok(()) } else { bail!("{errors}") }
}
