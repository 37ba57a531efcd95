//! What builds keep for later ones: entries found by a key of everything that decides what is in them.
//!
//! An entry is written once, appears whole, and is verified when it is found; whatever goes wrong here costs time, never
//! a build. What entries mean is the business of those who keep them.

pub mod digests;
pub mod key;
pub mod lock;
pub mod prune;

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions, Permissions};
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::fcntl::OFlag;
use nix::sys::stat::futimens;
use nix::sys::statvfs::{FsFlags, statvfs};
use nix::sys::time::TimeSpec;
use nix::unistd::Uid;

use crate::cache::key::Key;
use crate::cache::lock::Lock;
use crate::digest::{HashingWriter, hex};

/// The first bytes of every entry. Its digest follows, then the length of its content (little endian), then that, and
/// last what it has besides, which the digest does not cover.
const MAGIC: &[u8; 8] = b"mkpkg 1\n";
/// Where content begins.
const HEADER: usize = MAGIC.len() + 32 + 8;
/// How the name of a file begins that is being written.
pub const PART: &str = ".part-";
/// How long a build waits for another one.
const PATIENCE: Duration = Duration::from_secs(120);
/// How much is read or written at once.
const BUFFER: usize = 128 << 10;

/// An entry whose content was found whole.
#[derive(Debug)]
pub struct Found {
    /// Its content.
    pub content: Vec<u8>,
    /// The open entry: it can be read even after it was removed from the cache.
    pub file: File,
    /// Where begins what it has besides.
    pub offset: u64,
    /// How long that is.
    pub len: u64,
}

/// Entries of earlier builds, and a place for those of this one.
///
/// Clones are one cache.
#[derive(Clone, Debug, Default)]
pub struct Cache {
    /// `None` for a cache that has nothing and keeps nothing.
    dir: Option<PathBuf>,
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Bytes this build has added.
    kept: AtomicU64,
    /// Whether it has waited for another build for long enough.
    is_impatient: AtomicBool,
    /// Entries that turned out to be damaged after they had been found.
    distrusted: Mutex<Vec<Key>>,
    trouble: Mutex<Option<String>>,
}

/// `$XDG_CACHE_HOME/mkpkg`, or below the home directory; `None` without either.
pub fn dir() -> Option<PathBuf> {
    let base =
        std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|dir| dir.is_absolute());
    let base = base.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")));
    base.map(|base| base.join("mkpkg"))
}

impl Cache {
    /// The cache in `dir`, which is made if it is not there.
    ///
    /// Whoever can write entries decides what is in packages. A directory is therefore only used if it belongs to us or
    /// to root and not everybody can write into it; else [`Self::trouble`] tells why it is not.
    pub fn open(dir: PathBuf) -> Self {
        // "If, when attempting to write a file, the destination directory is non-existent an attempt should be made to
        // create it with permission 0700." (XDG Base Directory Specification)
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&dir);
        let why = match made.and_then(|()| fs::metadata(&dir)) {
            Err(error) => error.to_string(),
            Ok(there) if !is_trusted(&there) => "it belongs neither to you nor to root".to_owned(),
            Ok(there) if there.mode() & 0o002 != 0 => "everybody can write there".to_owned(),
            Ok(_) => return Self { dir: Some(dir), ..Self::default() },
        };
        let none = Self::none();
        none.note(format!("the cache `{}` is not used: {why}", dir.display()));
        none
    }

    /// The cache of the user who runs this, if there is a place for it.
    pub fn of_user() -> Self {
        dir().map_or_else(Self::none, Self::open)
    }

    /// A cache that has nothing and keeps nothing.
    pub fn none() -> Self {
        Self::default()
    }

    /// Its directory; `None` when nothing can be kept.
    pub fn dir(&self) -> Option<&Path> {
        self.dir.as_deref()
    }

    /// The first thing that could not be kept or used, and why.
    pub fn trouble(&self) -> Option<String> {
        self.state.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Remembers what could not be kept or used, if it is the first.
    pub fn note(&self, trouble: String) {
        self.state.trouble.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(trouble);
    }

    /// Removes what was not used for longest, if this build has added much or none has done that today.
    pub fn bound(&self) {
        if let Some(dir) = &self.dir {
            prune::bound(dir, self.state.kept.load(Ordering::Relaxed));
        }
    }

    /// The entry of `key`, if it is there and its content, which must fit into memory, is whole. A damaged one is removed.
    /// What it has besides was not looked at: see [`Self::distrust`].
    pub fn find(&self, key: &Key) -> Option<Found> {
        if self.distrusted().contains(key) {
            return None;
        }
        let mut content = Vec::new();
        let (file, Lengths { content: len, besides }) = self.verified(key, &mut content)?;
        Some(Found { content, file, offset: HEADER as u64 + len, len: besides })
    }

    /// Removes the entry of `key`, which turned out to be damaged, and finds it no more, even where it cannot be removed.
    pub fn distrust(&self, key: &Key) {
        self.distrusted().push(*key);
        self.remove(key);
    }

    /// Removes an entry that is not whole; who may not do so meets it again.
    fn remove(&self, key: &Key) {
        if let Some(path) = self.path(key) {
            let _ = fs::remove_file(path);
        }
    }

    fn distrusted(&self) -> MutexGuard<'_, Vec<Key>> {
        self.state.distrusted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The content of the entry of `key`, as [`Self::find`], for one that has nothing besides.
    pub fn load(&self, key: &Key) -> Option<Vec<u8>> {
        let len = fs::metadata(self.path(key)?).ok()?.len();
        // A file that only claims to be long is none of ours, and ends before memory does.
        let mut content = Vec::with_capacity(usize::try_from(len).ok()?.min(64 << 20));
        self.copy(key, &mut content)?;
        Some(content)
    }

    /// Copies the content of the entry of `key`, which has nothing besides, into `sink` and tells its length. Only then is
    /// known whether it was whole.
    pub fn copy(&self, key: &Key, sink: &mut dyn Write) -> Option<u64> {
        let (_, lengths) = self.verified(key, sink)?;
        if lengths.besides > 0 {
            self.remove(key);
            return None;
        }
        Some(lengths.content)
    }

    /// Whether there is an entry of `key`, whatever it holds; it counts as used now.
    pub fn touch(&self, key: &Key) -> bool {
        let file = self.path(key).and_then(|path| open_trusted(&path));
        file.inspect(touch).is_some()
    }

    /// Keeps everything `content` yields as the entry of `key`. What fails is told by [`Self::trouble`] only.
    pub fn keep(&self, key: &Key, content: &mut dyn Read) {
        self.keep_with(key, content, &mut io::empty());
    }

    /// Keeps an entry that has more than its content: what `besides` yields, which only its keeper can verify.
    pub fn keep_with(&self, key: &Key, content: &mut dyn Read, besides: &mut dyn Read) {
        let Some(path) = self.path(key) else { return };
        match write(&path, key, content, besides) {
            Ok(len) => {
                self.state.kept.fetch_add(len, Ordering::Relaxed);
            }
            Err(error) => self.note(format!("cannot keep `{}`: {error}", path.display())),
        }
    }

    /// Waits until nobody else makes the entry of `key`, which should then be looked for again.
    ///
    /// Whoever waits must hold no other lock. Where no lock can be had, as in a cache that cannot be written, each build
    /// makes the entry for itself; so it does once another build, which may have been stopped, has kept it waiting.
    pub fn lock(&self, key: &Key) -> Option<Lock> {
        self.lock_at(self.path(key)?.with_extension(lock::EXTENSION))
    }

    fn lock_at(&self, path: PathBuf) -> Option<Lock> {
        fs::create_dir_all(path.parent()?).ok()?;
        let patience = match self.state.is_impatient.load(Ordering::Relaxed) {
            true => Duration::ZERO,
            false => PATIENCE,
        };
        let lock = Lock::wait(path.clone(), patience).ok()?;
        if lock.is_none() {
            self.state.is_impatient.store(true, Ordering::Relaxed);
            let seconds = PATIENCE.as_secs();
            self.note(format!("another build has held `{}` for {seconds} s", path.display()));
        }
        lock
    }

    /// What `find` finds of the entry of `key`, now or once whoever makes it has done so; else the lock under which to make it.
    pub fn found_or_locked<T>(
        &self,
        key: &Key,
        find: impl Fn() -> Option<T>,
    ) -> Result<T, Option<Lock>> {
        Self::found_or(|| self.lock(key), find)
    }

    /// The same for what is no entry: the file of its lock is `path`.
    pub fn found_or_locked_at<T>(
        &self,
        path: PathBuf,
        find: impl Fn() -> Option<T>,
    ) -> Result<T, Option<Lock>> {
        Self::found_or(|| self.lock_at(path), find)
    }

    fn found_or<T>(
        lock: impl FnOnce() -> Option<Lock>,
        find: impl Fn() -> Option<T>,
    ) -> Result<T, Option<Lock>> {
        if let Some(found) = find() {
            return Ok(found);
        }
        let lock = lock();
        // Without one nobody was waited for.
        lock.as_ref().and_then(|_| find()).ok_or(lock)
    }

    fn path(&self, key: &Key) -> Option<PathBuf> {
        let (dir, name) = (self.dir.as_ref()?, hex(&key.digest));
        Some(dir.join(key.kind.dir()).join(&name[..2]).join(&name[2..]))
    }

    /// The entry of `key` and its lengths, once its content was read and found whole; that goes to `sink`.
    fn verified(&self, key: &Key, sink: &mut dyn Write) -> Option<(File, Lengths)> {
        let mut file = open_trusted(&self.path(key)?)?;
        let Ok(Some(lengths)) = read_through(&mut file, key, sink) else {
            self.remove(key);
            return None;
        };
        touch(&file);
        Some((file, lengths))
    }
}

/// Bytes of an entry.
struct Lengths {
    content: u64,
    besides: u64,
}

/// Whether we or root own a file: anybody else could have put into it what suits him.
fn is_trusted(file: &Metadata) -> bool {
    file.uid() == 0 || is_own(file)
}

/// Whether a file belongs to who runs this.
pub fn is_own(file: &Metadata) -> bool {
    file.uid() == Uid::effective().as_raw()
}

/// Opens a regular file that belongs to us or to root.
pub fn open_trusted(path: &Path) -> Option<File> {
    let file = wary().read(true).open(path).ok()?;
    let there = file.metadata().ok()?;
    (there.is_file() && is_trusted(&there)).then_some(file)
}

/// The file at `path`, which counts as used now; an empty one is made where there is none.
pub fn mark(path: &Path) -> io::Result<File> {
    wary().create(true).truncate(false).write(true).open(path).inspect(touch)
}

/// Opens neither what a link leads to, nor waits for the other end of a pipe.
fn wary() -> OpenOptions {
    let mut options = File::options();
    options.custom_flags((OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits());
    options
}

/// Whether programs that lie in `dir` can be run: not on a file system mounted with `noexec`.
pub fn can_run(dir: &Path) -> bool {
    statvfs(dir).is_ok_and(|there| !there.flags().contains(FsFlags::ST_NOEXEC))
}

/// Makes a file the one that was used last; who does not own it cannot.
fn touch(file: &File) {
    let _ = futimens(file, &TimeSpec::UTIME_NOW, &TimeSpec::UTIME_NOW);
}

/// Copies the content of an entry into `sink`; gives its lengths, or `None` when it is not what was written for `key`.
fn read_through(file: &mut File, key: &Key, sink: &mut dyn Write) -> io::Result<Option<Lengths>> {
    let mut header = [0; HEADER];
    file.read_exact(&mut header)?;
    let stated = header.last_chunk().map_or(0, |len| u64::from_le_bytes(*len));
    let there = file.metadata()?.len().saturating_sub(HEADER as u64);
    // Before anything is read of a file that only claims to be long.
    let Some(besides) = there.checked_sub(stated) else { return Ok(None) };
    let mut content = HashingWriter::new(sink, key.hasher());
    let buffer = BUFFER.min(usize::try_from(stated).unwrap_or(BUFFER));
    io::copy(&mut BufReader::with_capacity(buffer, file.take(stated)), &mut content)?;
    let (_, digest, len) = content.finish();
    let is_whole = len == stated && header == self::header(&digest, len);
    Ok(is_whole.then_some(Lengths { content: len, besides }))
}

/// Writes an entry: whole, or not at all. What a crash of the machine leaves of it will not pass for whole.
fn write(
    path: &Path,
    key: &Key,
    content: &mut dyn Read,
    besides: &mut dyn Read,
) -> io::Result<u64> {
    let dir = path.parent().unwrap_or(path);
    fs::create_dir_all(dir)?;
    let mut part = tempfile::Builder::new()
        .prefix(PART)
        .permissions(Permissions::from_mode(0o666)) // less the umask
        .tempfile_in(dir)?;
    part.write_all(&[0; HEADER])?;
    let sink = BufWriter::with_capacity(BUFFER, part.as_file_mut());
    let mut sink = HashingWriter::new(sink, key.hasher());
    io::copy(content, &mut sink)?;
    let (mut sink, digest, len) = sink.finish();
    let besides = io::copy(besides, &mut sink)?;
    sink.flush()?;
    drop(sink);
    part.seek(SeekFrom::Start(0))?;
    part.write_all(&header(&digest, len))?;
    part.persist(path)?;
    Ok(len + besides)
}

fn header(digest: &[u8], len: u64) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    let (magic, rest) = header.split_at_mut(MAGIC.len());
    magic.copy_from_slice(MAGIC);
    rest[..32].copy_from_slice(digest);
    rest[32..].copy_from_slice(&len.to_le_bytes());
    header
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::{self, Read};
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
    use std::path::PathBuf;
    use std::thread;

    use crate::cache::key::{Key, Kind};
    use crate::cache::{Cache, HEADER, mark};

    fn key(name: &str) -> Key {
        Key::new(Kind::Facts, &[name])
    }

    /// What the entry of `key("a")` has besides its content.
    fn besides(cache: &Cache) -> Vec<u8> {
        let found = cache.find(&key("a")).unwrap();
        let mut bytes = vec![0; usize::try_from(found.len).unwrap()];
        std::os::unix::fs::FileExt::read_exact_at(&found.file, &mut bytes, found.offset).unwrap();
        bytes
    }

    /// A cache, and where it has `key("a")`, which holds `content`.
    fn filled(content: &[u8]) -> (tempfile::TempDir, Cache, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::open(dir.path().join("mkpkg"));
        assert!(cache.find(&key("a")).is_none());
        cache.keep(&key("a"), &mut &content[..]);
        assert_eq!(cache.trouble(), None);
        let path = cache.path(&key("a")).unwrap();
        (dir, cache, path)
    }

    #[test]
    fn a_mark_is_made_and_nothing_else_is_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        mark(&path("made")).unwrap();
        fs::write(path("text"), "text").unwrap();
        mark(&path("text")).unwrap();
        symlink("text", path("link")).unwrap();
        assert!(mark(&path("link")).is_err());
        nix::unistd::mkfifo(&path("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(mark(&path("pipe")).is_err());
        assert_eq!(fs::read_to_string(path("text")).unwrap(), "text");
        assert_eq!(fs::read_to_string(path("made")).unwrap(), "");
    }

    #[test]
    fn what_is_kept_is_found() {
        let long = vec![7; 1 << 20];
        for content in [&b""[..], b"facts", &long] {
            let (_dir, cache, path) = filled(content);
            assert!(
                cache.find(&key("a")).unwrap().content == content && besides(&cache).is_empty()
            );
            assert!(cache.load(&key("a")).unwrap() == content);
            assert!(cache.find(&key("b")).is_none());
            assert!(cache.find(&Key::new(Kind::Segment, &["a"])).is_none());
            // Nothing else lies about, and the newer of two is as good.
            cache.keep(&key("a"), &mut &content[..]);
            assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
        }
        let none = Cache::none();
        none.keep(&key("a"), &mut &b"facts"[..]);
        assert!(none.find(&key("a")).is_none() && none.lock(&key("a")).is_none());
    }

    #[test]
    fn keys_do_not_run_together() {
        let keys = [
            Key::new(Kind::Facts, &["ab", "c"]),
            Key::new(Kind::Facts, &["a", "bc"]),
            Key::new(Kind::Facts, &["ab", "c", ""]),
            Key::new(Kind::Segment, &["ab", "c"]),
        ];
        for (at, key) in keys.iter().enumerate() {
            assert!(!keys[..at].contains(key));
        }
    }

    #[test]
    fn damage_anywhere_is_seen_and_removed() {
        let (_dir, cache, path) = filled(b"what was found out");
        let whole = fs::read(&path).unwrap();
        for at in 0..whole.len() {
            let mut flipped = whole.clone();
            flipped[at] ^= 1;
            for damaged in [&flipped[..], &whole[..at]] {
                fs::write(&path, damaged).unwrap();
                assert!(cache.find(&key("a")).is_none(), "{at}");
                assert!(!path.exists(), "{at}");
            }
        }
        fs::write(&path, [&whole[..], b"x"].concat()).unwrap();
        assert!(cache.load(&key("a")).is_none());
        // An entry under the name of another: whole, and wrong.
        let other = cache.path(&key("b")).unwrap();
        fs::create_dir_all(other.parent().unwrap()).unwrap();
        fs::write(&other, &whole).unwrap();
        assert!(cache.find(&key("b")).is_none());
        fs::write(&path, &whole).unwrap();
        assert_eq!(cache.load(&key("a")).unwrap().len(), whole.len() - HEADER);
    }

    #[test]
    fn what_an_entry_has_besides_is_its_keepers_to_verify() {
        let (_dir, cache, path) = filled(b"");
        cache.keep_with(&key("a"), &mut &b"content"[..], &mut &b"besides"[..]);
        assert_eq!(cache.find(&key("a")).unwrap().content, b"content");
        assert_eq!(besides(&cache), b"besides");
        let whole = fs::read(&path).unwrap();
        let cut = whole.len() - 3;
        fs::write(&path, &whole[..cut]).unwrap();
        assert_eq!(besides(&cache), b"besi");
        cache.distrust(&key("a"));
        assert!(!path.exists());
        // Not even where it could not be removed.
        fs::write(&path, &whole).unwrap();
        assert!(cache.clone().find(&key("a")).is_none());
        // To those who know of nothing besides, it is damage.
        assert!(cache.load(&key("a")).is_none() && !path.exists());
    }

    #[test]
    fn content_that_cannot_be_read_is_not_kept() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("broken"))
            }
        }
        let (_dir, cache, _) = filled(b"");
        cache.keep(&key("b"), &mut (&b"begin"[..]).chain(Broken));
        assert!(cache.find(&key("b")).is_none());
        assert!(cache.trouble().unwrap().ends_with(": broken"));
    }

    #[test]
    fn writers_do_not_disturb_each_other() {
        let (_dir, cache, path) = filled(b"");
        let content: Vec<u8> = (0..200_000_u32).map(|at| at as u8).collect();
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..20 {
                        cache.keep(&key("a"), &mut &content[..]);
                        // Replaced or not, what is found is one of the two.
                        let found = cache.load(&key("a")).unwrap();
                        assert!(found == content);
                    }
                });
            }
        });
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn one_makes_what_many_want() {
        let (_dir, cache, path) = filled(b"");
        let made = std::sync::atomic::AtomicU32::new(0);
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let _lock = cache.lock(&key("b")).unwrap();
                    if cache.find(&key("b")).is_none() {
                        made.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                        thread::sleep(std::time::Duration::from_millis(20));
                        cache.keep(&key("b"), &mut &b"made"[..]);
                    }
                });
            }
        });
        assert_eq!(made.into_inner(), 1);
        let dir = cache.path(&key("b")).unwrap();
        let dir = dir.parent().unwrap();
        let others = usize::from(dir == path.parent().unwrap());
        assert_eq!(fs::read_dir(dir).unwrap().count(), 1 + others);
    }

    #[test]
    fn what_others_could_have_written_is_not_used() {
        let (dir, cache, path) = filled(b"facts");
        let base = cache.dir().unwrap().to_owned();
        fs::set_permissions(&base, fs::Permissions::from_mode(0o777)).unwrap();
        let open = Cache::open(base.clone());
        assert!(open.find(&key("a")).is_none());
        assert!(open.trouble().unwrap().ends_with("is not used: everybody can write there"));
        fs::set_permissions(&base, fs::Permissions::from_mode(0o755)).unwrap();
        assert!(Cache::open(base.clone()).find(&key("a")).is_some());
        // A link, a directory.
        let aside = dir.path().join("aside");
        fs::rename(&path, &aside).unwrap();
        symlink(&aside, &path).unwrap();
        assert!(cache.find(&key("a")).is_none());
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert!(cache.find(&key("a")).is_none());
        fs::remove_dir(&path).unwrap();
        fs::rename(&aside, &path).unwrap();
        assert!(cache.find(&key("a")).is_some());
        if !nix::unistd::geteuid().is_root() {
            return;
        }
        std::os::unix::fs::chown(&path, Some(65534), None).unwrap();
        assert!(cache.find(&key("a")).is_none());
        std::os::unix::fs::chown(&base, Some(65534), None).unwrap();
        let trouble = Cache::open(base).trouble().unwrap();
        assert!(trouble.ends_with("it belongs neither to you nor to root"), "{trouble}");
    }

    #[test]
    fn use_is_remembered() {
        let (_dir, cache, path) = filled(b"facts");
        let file = fs::File::options().write(true).open(&path).unwrap();
        file.set_modified(std::time::UNIX_EPOCH).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mtime(), 0);
        cache.find(&key("a")).unwrap();
        assert!(fs::metadata(&path).unwrap().mtime() > 0);
        file.set_modified(std::time::UNIX_EPOCH).unwrap();
        assert!(cache.touch(&key("a")) && !cache.touch(&key("b")));
        assert!(fs::metadata(&path).unwrap().mtime() > 0);
    }
}
