//! Digests of files by what they are on disk, so that a file that did not change since is not read again.
//!
//! Only what we have computed ourselves is believed, and only of the very state of the file it was computed of.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, SystemTime};

use nix::fcntl::OFlag;

use crate::cache::Cache;
use crate::cache::key::{Key, Kind};
use crate::digest::Hasher;

/// How long a file must have been left alone. Two changes within one tick of the clock leave the same times, and a file
/// could change right after it was read; Git calls such files racily clean. Some file systems tick every two seconds.
const SETTLED: Duration = Duration::from_secs(2);

/// SHA-256 of this very program, for what another build of it would make otherwise; `None` where it cannot be read.
pub fn of_program(cache: &Cache) -> Option<[u8; 32]> {
    sha256_of(cache, Path::new("/proc/self/exe")).ok()
}

/// SHA-256 of the file at `path`.
pub fn sha256_of(cache: &Cache, path: &Path) -> io::Result<[u8; 32]> {
    let mut options = File::options();
    // Opening a pipe would wait for its other end.
    let file = options.read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no file"));
    }
    sha256(cache, &file)
}

/// SHA-256 of all of an open file.
///
/// What tells that a file was not changed is what Git's index goes by: device, inode, size, and both times. The time of
/// the last change of the inode (`ctime`) cannot be set to another.
pub fn sha256(cache: &Cache, file: &File) -> io::Result<[u8; 32]> {
    let state = state(&file.metadata()?);
    let key = Key::new(Kind::Digest, &state.map(i64::to_le_bytes));
    if let Some(known) = cache.load(&key).and_then(|known| known.try_into().ok()) {
        return Ok(known);
    }
    let (digest, _) = Hasher::sha256().read(&mut Whole { file, at: 0 })?;
    let digest: [u8; 32] = digest.try_into().expect("SHA-256 has 32 bytes");
    let after = file.metadata()?;
    if self::state(&after) == state && is_settled(&after, SystemTime::now()) {
        cache.keep(&key, &mut &digest[..]);
    }
    Ok(digest)
}

/// What changes when a file does.
pub fn state(file: &Metadata) -> [i64; 7] {
    let [device, inode, size] = [file.dev(), file.ino(), file.size()].map(u64::cast_signed);
    [device, inode, size, file.mtime(), file.mtime_nsec(), file.ctime(), file.ctime_nsec()]
}

/// Whether the last change is long enough ago; one in the future is not.
fn is_settled(file: &Metadata, now: SystemTime) -> bool {
    let newest = file.mtime().max(file.ctime());
    let newest = u64::try_from(newest).map(Duration::from_secs).unwrap_or_default();
    let now = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    now.checked_sub(newest).is_some_and(|age| age > SETTLED)
}

/// A file from its beginning, wherever others have read to.
struct Whole<'a> {
    file: &'a File,
    at: u64,
}

impl io::Read for Whole<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = std::os::unix::fs::FileExt::read_at(self.file, buffer, self.at)?;
        self.at += count as u64;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::path::Path;
    use std::time::{Duration, SystemTime};

    use crate::cache::Cache;
    use crate::cache::digests::{SETTLED, is_settled, sha256_of};
    use crate::cache::prune::usage;
    use crate::digest::sha256;

    fn kept(cache: &Cache) -> u64 {
        cache.dir().map_or(0, |dir| usage(dir).values().map(|amount| amount.entries).sum())
    }

    /// A file that was not changed for a moment.
    fn settled(path: &Path) {
        while !is_settled(&fs::metadata(path).unwrap(), SystemTime::now()) {
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    #[test]
    fn what_did_not_change_is_not_read_and_what_did_is() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::open(dir.path().join("mkpkg"));
        let path = dir.path().join("a.whl");
        fs::write(&path, "one").unwrap();
        // Just written: it is read each time.
        assert_eq!(sha256_of(&cache, &path).unwrap(), sha256(b"one"));
        assert_eq!(kept(&cache), 0);
        settled(&path);
        for _ in 0..2 {
            assert_eq!(sha256_of(&cache, &path).unwrap(), sha256(b"one"));
            assert_eq!(kept(&cache), 1);
        }
        // Same length, and the old time: the change of the inode tells.
        let time = fs::metadata(&path).unwrap().modified().unwrap();
        fs::write(&path, "two").unwrap();
        File::options().write(true).open(&path).unwrap().set_modified(time).unwrap();
        assert_eq!(sha256_of(&cache, &path).unwrap(), sha256(b"two"));
        fs::write(dir.path().join("b"), "six").unwrap();
        fs::rename(dir.path().join("b"), &path).unwrap();
        assert_eq!(sha256_of(&cache, &path).unwrap(), sha256(b"six"));
        assert_eq!(sha256_of(&Cache::none(), &path).unwrap(), sha256(b"six"));
        assert!(sha256_of(&cache, &dir.path().join("gone")).is_err());
        let pipe = dir.path().join("pipe.whl");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert_eq!(sha256_of(&cache, &pipe).unwrap_err().to_string(), "it is no file");
    }

    #[test]
    fn what_is_kept_is_what_is_believed() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::open(dir.path().join("mkpkg"));
        let path = dir.path().join("a.whl");
        fs::write(&path, "one").unwrap();
        settled(&path);
        let first = sha256_of(&cache, &path).unwrap();
        // Damage to what is kept is noticed, and the file is read again.
        let entries = walk(&dir.path().join("mkpkg"));
        let mut bytes = fs::read(&entries[0]).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        fs::write(&entries[0], bytes).unwrap();
        assert_eq!(sha256_of(&cache, &path).unwrap(), first);
    }

    fn walk(dir: &Path) -> Vec<std::path::PathBuf> {
        let paths = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
        paths.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
    }

    #[test]
    fn files_of_the_future_never_settle() {
        let file = tempfile::tempfile().unwrap();
        let there = file.metadata().unwrap();
        let changed = there.modified().unwrap();
        assert!(!is_settled(&there, changed));
        assert!(!is_settled(&there, changed - Duration::from_secs(60)));
        assert!(is_settled(&there, changed + SETTLED + Duration::from_secs(1)));
    }
}
