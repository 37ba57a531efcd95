//! Locks between builds: one makes an entry while the others wait, and nobody removes a directory that is in use.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use crate::cache::{touch, wary};

/// Extension of the file that is locked while the entry beside it is made.
pub const EXTENSION: &str = "lock";

/// How often it is looked whether a lock was given back.
const POLL: Duration = Duration::from_millis(10);

/// The right to make an entry; given back when dropped.
#[derive(Debug)]
pub struct Lock {
    path: PathBuf,
    _flock: Flock<File>,
}

impl Lock {
    /// Waits for the lock whose file is `path`; `None` when somebody keeps it for longer than `patience`.
    pub fn wait(path: PathBuf, patience: Duration) -> io::Result<Option<Self>> {
        let mut waited = Duration::ZERO;
        loop {
            match flock(open(&path)?, FlockArg::LockExclusiveNonblock) {
                // Who had it before has removed the file; whoever came later may have made another one.
                Ok(flock) if is_at(&flock, &path) => return Ok(Some(Self { path, _flock: flock })),
                Ok(_) => {}
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
                Err(_) if waited >= patience => return Ok(None),
                Err(_) => {
                    thread::sleep(POLL);
                    waited += POLL;
                }
            }
        }
    }

    /// The same, unless somebody has it.
    pub fn attempt(path: PathBuf) -> Option<Self> {
        Self::wait(path, Duration::ZERO).ok()?
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Still locked: nobody else holds what is removed.
        let _ = fs::remove_file(&self.path);
    }
}

/// A directory that nobody removes as long as this lives.
#[derive(Debug)]
pub struct Hold(Flock<File>);

impl Hold {
    /// Holds the directory that has the file `path`, along with others; it counts as used now. `None` when it is gone.
    pub fn shared(path: &Path) -> Option<Self> {
        let hold = Self::of(path, FlockArg::LockShared)?;
        touch(&hold.0);
        Some(hold)
    }

    /// Standard input, without anything to read, for a program that works in the directory: it is held until that ends, too,
    /// even if this process is killed before.
    pub fn stdin(&self) -> io::Result<Stdio> {
        self.0.try_clone().map(Stdio::from)
    }

    /// Holds it alone; `None` when somebody else holds it, or it is gone.
    pub fn alone(path: &Path) -> Option<Self> {
        Self::of(path, FlockArg::LockExclusiveNonblock)
    }

    fn of(path: &Path, how: FlockArg) -> Option<Self> {
        let file = wary().read(true).open(path).ok()?;
        let flock = flock(file, how).ok()?;
        is_at(&flock, path).then_some(Self(flock))
    }
}

/// The file of a lock. Only its owner may open it: who could would make others wait for ever.
fn open(path: &Path) -> io::Result<File> {
    wary().create(true).truncate(false).write(true).mode(0o600).open(path)
}

fn flock(mut file: File, how: FlockArg) -> io::Result<Flock<File>> {
    loop {
        match Flock::lock(file, how) {
            Ok(flock) => return Ok(flock),
            Err((unlocked, Errno::EINTR)) => file = unlocked,
            Err((_, errno)) => return Err(errno.into()),
        }
    }
}

/// Whether `path` is still the file that is locked.
fn is_at(file: &File, path: &Path) -> bool {
    let (Ok(there), Ok(ours)) = (fs::symlink_metadata(path), file.metadata()) else { return false };
    (there.dev(), there.ino()) == (ours.dev(), ours.ino())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::thread;
    use std::time::Duration;

    use crate::cache::lock::{Hold, Lock};

    #[test]
    fn one_at_a_time_and_no_file_left() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.lock");
        let inside = AtomicU32::new(0);
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        let _lock = Lock::wait(path.clone(), Duration::MAX).unwrap().unwrap();
                        assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                        assert_eq!(inside.fetch_sub(1, Ordering::SeqCst), 1);
                    }
                });
            }
        });
        assert!(!path.exists());
        let lock = Lock::attempt(path.clone()).unwrap();
        assert!(Lock::attempt(path.clone()).is_none());
        assert!(Lock::wait(path.clone(), Duration::from_millis(1)).unwrap().is_none());
        drop(lock);
        assert!(Lock::attempt(path).is_some());
        // Nobody reads from it.
        let pipe = dir.path().join("y.lock");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(Lock::attempt(pipe).is_none());
    }

    #[test]
    fn a_directory_in_use_is_not_had_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("manifest");
        assert!(Hold::shared(&path).is_none());
        fs::write(&path, "").unwrap();
        let (one, two) = (Hold::shared(&path).unwrap(), Hold::shared(&path).unwrap());
        assert!(Hold::alone(&path).is_none());
        drop((one, two));
        assert!(Hold::alone(&path).is_some());
    }
}
