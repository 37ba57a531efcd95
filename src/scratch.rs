//! The directory a build works in, gone when the build ends, however it ends.
//!
//! A killed build leaves its directory; the next build collects it, because its lock is free.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use nix::fcntl::{Flock, FlockArg};
use tempfile::TempDir;

const PREFIX: &str = "mkpkg-build-";
const LOCK: &str = "lock";

/// A private directory (mode 0700) below the system's directory for temporary files.
#[derive(Debug)]
pub struct Scratch {
    dir: TempDir,
    _lock: Flock<File>,
}

/// Removes a scratch directory from a signal handler.
#[derive(Clone, Debug, Default)]
pub struct Sweeper(Arc<Mutex<Option<PathBuf>>>);

impl Sweeper {
    /// Removes the directory, if there is one.
    pub fn sweep(&self) {
        if let Some(dir) = self.0.lock().unwrap_or_else(PoisonError::into_inner).take() {
            // The next build collects what cannot be removed now.
            let _ = fs::remove_dir_all(dir);
        }
    }
}

impl Scratch {
    /// Makes a directory, after collecting those of builds that were killed.
    pub fn new(sweeper: &Sweeper) -> Result<Self> {
        let base = std::env::temp_dir();
        let base =
            base.canonicalize().with_context(|| format!("cannot use `{}`", base.display()))?;
        collect_stale(&base);
        let dir = tempfile::Builder::new()
            .prefix(PREFIX)
            .tempdir_in(&base)
            .with_context(|| format!("cannot make a directory in `{}`", base.display()))?;
        let lock = lock(dir.path(), FlockArg::LockExclusiveNonblock)
            .with_context(|| format!("cannot lock `{}`", dir.path().display()))?;
        *sweeper.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(dir.path().to_owned());
        Ok(Self { dir, _lock: lock })
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// A new directory below it.
    pub fn dir(&self, name: &str) -> Result<PathBuf> {
        let dir = self.path().join(name);
        fs::create_dir_all(&dir).with_context(|| format!("cannot make `{}`", dir.display()))?;
        Ok(dir)
    }

    /// A file without a name, for content too large for memory.
    pub fn spool(&self) -> Result<File> {
        tempfile::tempfile_in(self.path())
            .with_context(|| format!("cannot make a file in `{}`", self.path().display()))
    }
}

fn lock(dir: &Path, how: FlockArg) -> Result<Flock<File>> {
    let file = File::create(dir.join(LOCK))?;
    Flock::lock(file, how).map_err(|(_, errno)| errno.into())
}

/// Removes the scratch directories nobody holds; what cannot be removed is not ours.
fn collect_stale(base: &Path) {
    let Ok(listing) = fs::read_dir(base) else { return };
    for entry in listing.flatten() {
        let is_ours = entry.file_name().to_string_lossy().starts_with(PREFIX);
        let dir = entry.path();
        // A directory that has no lock yet belongs to a build that starts right now.
        if is_ours
            && dir.join(LOCK).is_file()
            && lock(&dir, FlockArg::LockExclusiveNonblock).is_ok()
        {
            let _ = fs::remove_dir_all(&dir);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use crate::scratch::{LOCK, PREFIX, Scratch, Sweeper};

    #[test]
    fn stale_directories_are_collected_and_live_ones_kept() {
        let live = Scratch::new(&Sweeper::default()).unwrap();
        let stale = std::env::temp_dir().join(format!("{PREFIX}stale-{}", std::process::id()));
        fs::create_dir_all(&stale).unwrap();
        fs::write(stale.join(LOCK), "").unwrap();
        let sweeper = Sweeper::default();
        let other = Scratch::new(&sweeper).unwrap();
        assert!(!stale.exists());
        assert!(live.path().is_dir() && other.path().is_dir());
        sweeper.sweep();
        assert!(!other.path().exists());
    }
}
