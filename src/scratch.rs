//! The directory a build works in, gone when the build ends, however it ends.
//!
//! A killed build leaves its directory; the next build collects it, because its lock is free.

use std::fs::{self, File};
use std::io;
use std::mem;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg, OFlag};
use nix::unistd::Uid;
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
    /// Removes the directory, if there is one; none can be made any more.
    pub fn sweep(&self) {
        let mut dir = self.place();
        if let Some(dir) = dir.take() {
            // The next build collects what cannot be removed now.
            let _ = fs::remove_dir_all(dir);
        }
        // Held to the end of the process, which is near.
        mem::forget(dir);
    }

    fn place(&self) -> MutexGuard<'_, Option<PathBuf>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Scratch {
    /// Makes a directory, after collecting those of builds that were killed.
    pub fn new(sweeper: &Sweeper) -> Result<Self> {
        let base = std::env::temp_dir();
        let base =
            base.canonicalize().with_context(|| format!("cannot use `{}`", base.display()))?;
        collect_stale(&base);
        // An interrupt waits until it knows of the directory that is being made.
        let mut place = sweeper.place();
        let (dir, lock) = loop {
            if let Some(locked) = attempt(&base)
                .with_context(|| format!("cannot make a directory in `{}`", base.display()))?
            {
                break locked;
            }
        };
        *place = Some(dir.path().to_owned());
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

/// A new directory and its lock; `None` when another build took it for stale before it was locked.
fn attempt(base: &Path) -> io::Result<Option<(TempDir, Flock<File>)>> {
    let dir = tempfile::Builder::new().prefix(PREFIX).tempdir_in(base)?;
    let path = dir.path().join(LOCK);
    let lock = match Flock::lock(File::create_new(&path)?, FlockArg::LockExclusiveNonblock) {
        Ok(lock) => lock,
        Err((_, Errno::EWOULDBLOCK)) => return Ok(None),
        Err((_, errno)) => return Err(errno.into()),
    };
    let is_there = fs::metadata(&path).is_ok_and(|there| {
        lock.metadata().is_ok_and(|ours| (there.dev(), there.ino()) == (ours.dev(), ours.ino()))
    });
    Ok(is_there.then_some((dir, lock)))
}

/// Removes the scratch directories nobody holds; what cannot be removed is not ours.
fn collect_stale(base: &Path) {
    let Ok(listing) = fs::read_dir(base) else { return };
    for entry in listing.flatten() {
        let dir = entry.path();
        let is_ours = entry.file_name().to_string_lossy().starts_with(PREFIX)
            && fs::symlink_metadata(&dir)
                .is_ok_and(|there| there.is_dir() && there.uid() == Uid::effective().as_raw());
        // The lock is held until the directory is gone.
        if let Some(_lock) = is_ours.then(|| stale(&dir)).flatten() {
            let _ = fs::remove_dir_all(&dir);
        }
    }
}

/// The lock of a directory whose build has ended. One that has no lock yet belongs to a build that starts right now.
fn stale(dir: &Path) -> Option<Flock<File>> {
    let mut options = File::options();
    // Whoever else can write here must not make us open what a link leads to.
    options.read(true).custom_flags(OFlag::O_NOFOLLOW.bits());
    Flock::lock(options.open(dir.join(LOCK)).ok()?, FlockArg::LockExclusiveNonblock).ok()
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
