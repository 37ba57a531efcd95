//! What is in a cache, how much that is, and what goes first when it is too much.

use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::Serialize;

use crate::cache::lock::{EXTENSION, Hold, Lock};
use crate::cache::{PART, mark};

/// Directories of wheels, one for each lock and project; each has a file of this name, by which it is held.
pub const WHEELS: (&str, &str) = ("wheels", "manifest");
/// What pip and uv cache, one directory for each interpreter, and the file by which it is held.
pub const INSTALLERS: (&str, &str) = ("installers", "held");
/// Environments in which backends build, one directory for each set of requirements, and the file by which it is held.
pub const ENVIRONMENTS: (&str, &str) = ("environments", "manifest");
/// Kinds of entries that are directories.
const DIRECTORIES: [(&str, &str); 3] = [WHEELS, INSTALLERS, ENVIRONMENTS];
/// Kinds of entries that are files, whatever the version.
const FILES: [&str; 5] = ["segments-", "bytecode-", "facts-", "digests-", "packages-"];
/// The file that tells when a build pruned last.
const STAMP: &str = "pruned";
/// How often builds prune, and how long what is being written may take.
const PERIOD: Duration = Duration::from_secs(24 * 60 * 60);
/// A build that kept more bytes than this prunes.
const MUCH: u64 = 100_000_000;

/// One thing a cache can do without.
#[derive(Debug)]
struct Item {
    /// When it was used last.
    used: SystemTime,
    path: PathBuf,
    /// Name of its directory in the cache.
    kind: String,
    bytes: u64,
    /// The file by which others hold it, if it is a directory.
    hold: Option<&'static str>,
}

/// How much there is of something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Amount {
    /// Number of entries.
    pub entries: u64,
    /// Their size.
    pub bytes: u64,
}

/// What may stay.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes in all.
    pub size: u64,
    /// What was not used for longer goes in any case.
    pub age: Option<Duration>,
}

impl Limits {
    /// What builds leave, without being asked.
    pub const DEFAULT: Self = Self { size: 10_000_000_000, age: None };
}

/// What is in the cache `dir`, by the names of the directories in it.
pub fn usage(dir: &Path) -> BTreeMap<String, Amount> {
    let mut usage = BTreeMap::new();
    for item in items(dir) {
        add(usage.entry(item.kind.clone()).or_default(), &item);
    }
    usage
}

/// Removes what was not used for longest until the rest is within `limits`; tells what went.
///
/// What a build holds stays, and so does what cannot be removed. What killed builds left goes, too.
pub fn prune(dir: &Path, limits: &Limits) -> Amount {
    let mut items = items(dir);
    items.sort_by(|left, right| (left.used, &left.path).cmp(&(right.used, &right.path)));
    let now = SystemTime::now();
    let mut left: u64 = items.iter().map(|item| item.bytes).sum();
    let mut gone = Amount::default();
    for item in &items {
        let is_old = limits.age.is_some_and(|limit| age(item.used, now) > limit);
        if (left > limits.size || is_old) && remove(item) {
            left -= item.bytes;
            add(&mut gone, item);
        }
    }
    sweep(dir, now);
    gone
}

/// Prunes the cache of a build that ends: one that has `kept` much prunes, and so does the first of a day.
pub fn bound(dir: &Path, kept: u64) {
    let stamp = dir.join(STAMP);
    let pruned = fs::metadata(&stamp).and_then(|stamp| stamp.modified()).ok();
    let is_due = pruned.is_none_or(|pruned| age(pruned, SystemTime::now()) > PERIOD);
    // Who cannot write here can remove nothing either.
    if (is_due || kept > MUCH) && mark(&stamp).is_ok() {
        prune(dir, &Limits::DEFAULT);
    }
}

/// Removes what killed builds left.
fn sweep(dir: &Path, now: SystemTime) {
    let is_abandoned =
        |file: &Metadata| file.modified().is_ok_and(|written| age(written, now) > PERIOD);
    for (kind, _) in listed(dir).into_iter().filter(|(path, there)| there.is_dir() && is_kind(path))
    {
        let below = listed(&kind);
        let shards = below.iter().filter(|(_, there)| there.is_dir() && is_files(&kind));
        let inner: Vec<_> = shards.flat_map(|(path, _)| listed(path)).collect();
        for (path, there) in below.iter().chain(&inner) {
            if path.extension().is_some_and(|end| end == EXTENSION) {
                // Had and dropped, its file is gone, unless somebody makes the entry right now.
                drop(Lock::attempt(path.clone()));
            } else if is_part(path) && is_abandoned(there) {
                let _ = fs::remove_file(path).or_else(|_| fs::remove_dir_all(path));
            }
        }
    }
}

fn age(then: SystemTime, now: SystemTime) -> Duration {
    now.duration_since(then).unwrap_or_default()
}

fn add(amount: &mut Amount, item: &Item) {
    amount.entries += 1;
    amount.bytes += item.bytes;
}

/// Everything in the cache `dir` that is an entry; what is none of ours is not touched.
fn items(dir: &Path) -> Vec<Item> {
    let mut items = Vec::new();
    for (path, _) in listed(dir).into_iter().filter(|(_, there)| there.is_dir()) {
        let kind = name(&path);
        let held = DIRECTORIES.into_iter().find(|(name, _)| *name == kind);
        if let Some((_, hold)) = held {
            let dirs =
                listed(&path).into_iter().filter(|(path, there)| there.is_dir() && !is_part(path));
            items.extend(dirs.map(|(path, there)| directory(&kind, path, &there, hold)));
        } else if is_files(&path) {
            let shards = listed(&path).into_iter().filter(|(_, there)| there.is_dir());
            let files = shards.flat_map(|(path, _)| listed(&path));
            items.extend(files.filter(|(path, there)| is_entry(path, there)).map(
                |(path, there)| {
                    let used = there.modified().unwrap_or(SystemTime::UNIX_EPOCH);
                    Item { used, path, kind: kind.clone(), bytes: there.len(), hold: None }
                },
            ));
        }
    }
    items
}

fn directory(kind: &str, path: PathBuf, there: &Metadata, hold: &'static str) -> Item {
    let marked = fs::symlink_metadata(path.join(hold)).and_then(|held| held.modified());
    let used = marked.or_else(|_| there.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
    Item { used, bytes: size(&path), path, kind: kind.to_owned(), hold: Some(hold) }
}

/// Size of the files below `dir`, one with several names counted once for each.
fn size(dir: &Path) -> u64 {
    let mut pending = vec![dir.to_owned()];
    let mut size = 0;
    while let Some(dir) = pending.pop() {
        for (path, there) in listed(&dir) {
            size += if there.is_dir() { 0 } else { there.len() / there.nlink().max(1) };
            pending.extend(there.is_dir().then_some(path));
        }
    }
    size
}

/// Removes an item, unless a build holds it.
fn remove(item: &Item) -> bool {
    let Some(hold) = item.hold else { return fs::remove_file(&item.path).is_ok() };
    let mark = item.path.join(hold);
    if mark.exists() {
        let Some(_held) = Hold::alone(&mark) else { return false };
        // Without its mark nobody finds it any more.
        if fs::remove_file(&mark).is_err() {
            return false;
        }
    }
    fs::remove_dir_all(&item.path).is_ok()
}

/// Paths in `dir` and what they are, links for themselves; nothing where it cannot be listed.
fn listed(dir: &Path) -> Vec<(PathBuf, Metadata)> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries.filter_map(|entry| Some((entry.path(), entry.metadata().ok()?))).collect()
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn is_files(dir: &Path) -> bool {
    FILES.iter().any(|start| name(dir).starts_with(start))
}

fn is_kind(dir: &Path) -> bool {
    is_files(dir) || DIRECTORIES.iter().any(|(kind, _)| *kind == name(dir))
}

fn is_part(path: &Path) -> bool {
    [PART, ".old-"].iter().any(|start| name(path).starts_with(start))
}

fn is_entry(path: &Path, there: &Metadata) -> bool {
    there.is_file() && path.extension().is_none() && !is_part(path)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::path::Path;
    use std::time::{Duration, SystemTime};

    use crate::cache::lock::Hold;
    use crate::cache::prune::{Amount, Limits, PERIOD, STAMP, bound, prune, usage};

    /// Writes a file of `len` bytes that was used `age` seconds ago.
    fn file(dir: &Path, name: &str, (len, age): (usize, u64)) {
        let path = dir.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, vec![0; len]).unwrap();
        let used = SystemTime::now() - Duration::from_secs(age);
        File::options().write(true).open(path).unwrap().set_modified(used).unwrap();
    }

    /// A cache of 11 entries and 1,000 bytes, and what is none of them.
    fn cache() -> tempfile::TempDir {
        let cache = tempfile::tempdir().unwrap();
        let dir = cache.path();
        for (number, name) in
            ["segments-0", "segments-1", "bytecode-1", "facts-1"].iter().enumerate()
        {
            file(dir, &format!("{name}/ab/c{number}"), (100, 1000 * (number as u64 + 1)));
            file(dir, &format!("{name}/cd/e{number}"), (100, 50));
        }
        file(dir, "wheels/k/manifest", (40, 2500));
        file(dir, "wheels/k/a.whl", (60, 9000));
        file(dir, "installers/k/held", (0, 3500));
        file(dir, "installers/k/uv/a/b", (100, 9000));
        file(dir, "environments/k/manifest", (0, 10));
        file(dir, "environments/k/bin/python", (0, 10));
        file(dir, "mine/k/a", (100, 9000));
        file(dir, "facts-1/note", (100, 9000));
        cache
    }

    fn left(dir: &Path) -> u64 {
        usage(dir).values().map(|amount| amount.bytes).sum()
    }

    #[test]
    fn what_is_there_is_counted() {
        let cache = cache();
        let two = Amount { entries: 2, bytes: 200 };
        let one = Amount { entries: 1, bytes: 100 };
        let expected = [
            ("bytecode-1", two),
            ("environments", Amount { entries: 1, bytes: 0 }),
            ("facts-1", two),
            ("installers", one),
            ("segments-0", two),
            ("segments-1", two),
            ("wheels", one),
        ];
        let found = usage(cache.path());
        assert!(found.iter().map(|(name, amount)| (name.as_str(), *amount)).eq(expected));
        assert!(usage(&cache.path().join("gone")).is_empty());
    }

    #[test]
    fn what_was_used_first_goes_first() {
        let cache = cache();
        let dir = cache.path();
        assert_eq!(prune(dir, &Limits::DEFAULT), Amount::default());
        // `facts-1` of 4000 seconds ago, and the installers of 3500.
        let two = Amount { entries: 2, bytes: 200 };
        assert_eq!(prune(dir, &Limits { size: 850, age: None }), two);
        assert!(!dir.join("facts-1/ab/c3").exists() && !dir.join("installers/k").exists());
        let by_age = Limits { size: u64::MAX, age: Some(Duration::from_secs(2200)) };
        assert_eq!(prune(dir, &by_age), two);
        assert!(!dir.join("bytecode-1/ab/c2").exists() && !dir.join("wheels/k").exists());
        assert_eq!(left(dir), 600);
        prune(dir, &Limits { size: 0, age: None });
        assert_eq!(left(dir), 0);
        assert!(dir.join("mine/k/a").exists() && dir.join("facts-1/note").exists());
    }

    #[test]
    fn what_is_held_stays() {
        let cache = cache();
        let dir = cache.path();
        let all = Limits { size: u64::MAX, age: Some(Duration::ZERO) };
        let holds = ["wheels/k/manifest", "environments/k/manifest"]
            .map(|mark| Hold::shared(&dir.join(mark)).unwrap());
        prune(dir, &all);
        assert!(dir.join("wheels/k/a.whl").exists());
        assert!(dir.join("environments/k/bin/python").exists());
        drop(holds);
        prune(dir, &all);
        assert!(!dir.join("wheels/k").exists() && !dir.join("environments/k").exists());
    }

    #[test]
    fn what_was_abandoned_goes() {
        let cache = cache();
        let dir = cache.path();
        let old = PERIOD.as_secs() + 100;
        file(dir, "facts-1/ab/.part-x", (9, old));
        file(dir, "facts-1/ab/.part-y", (9, 10));
        file(dir, "facts-1/ab/z.lock", (0, 0));
        file(dir, "wheels/.old-x/a", (9, old));
        prune(dir, &Limits::DEFAULT);
        let is_there = |name: &str| dir.join(name).exists();
        assert!(!is_there("facts-1/ab/.part-x") && is_there("facts-1/ab/.part-y"));
        // A directory was changed when something was put into it.
        assert!(!is_there("facts-1/ab/z.lock") && is_there("wheels/.old-x"));
    }

    #[test]
    fn builds_prune_once_a_day_or_when_they_kept_much() {
        let cache = cache();
        let dir = cache.path();
        bound(dir, 0);
        let stamp = || fs::metadata(dir.join(STAMP)).unwrap().modified().unwrap();
        let first = stamp();
        bound(dir, 0);
        assert_eq!(stamp(), first);
        file(dir, STAMP, (0, PERIOD.as_secs() + 1));
        bound(dir, 0);
        assert!(stamp() >= first);
        file(dir, STAMP, (0, 100));
        bound(dir, 100_000_001);
        assert!(stamp() >= first);
    }
}
