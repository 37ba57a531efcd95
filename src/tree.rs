//! The manifest of everything to install: paths, entries and where content comes from.
//!
//! Knows nothing of Python, formats or policy. Content is described here and opened by a writer.

pub mod content;
mod merge;
pub mod pile;

use std::borrow::Borrow;
use std::collections::btree_map::{Entry as Slot, Iter};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Bound;
use std::sync::Arc;

use anyhow::Result;

use crate::error::UserError;
use crate::tree::content::Content;

/// Longest path component in bytes: dpkg appends `.dpkg-new` while it unpacks, and file systems stop at 255.
pub const MAX_COMPONENT: usize = 246;
/// Longest path in bytes (`PATH_MAX` less the final NUL).
pub const MAX_PATH: usize = 4095;

/// Bytes of all paths of a tree together; a root file system of half a million files has 40 MB. Few bytes of a hostile
/// archive can name paths of gigabytes, because every directory above a file is an entry, too.
const MAX_PATHS: usize = 256 << 20;

/// A path inside a package: relative to `/`, normal, UTF-8, without control characters. Clones share the text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PkgPath(Arc<str>);

impl PkgPath {
    /// Checks `path` and takes one leading `/` off.
    pub fn new(path: &str) -> Result<Self> {
        let relative = path.strip_prefix('/').unwrap_or(path);
        match path_fault(relative) {
            Some(fault) => {
                Err(UserError::input(format!("path {path:?} in a package {fault}")).into())
            }
            None => Ok(Self(Arc::from(relative))),
        }
    }

    /// This path with `relative` below it.
    pub fn join(&self, relative: &str) -> Result<Self> {
        Self::new(&format!("{}/{relative}", self.0))
    }

    /// The directory this path is in; `None` at the top.
    pub fn parent(&self) -> Option<Self> {
        let (parent, _) = self.0.rsplit_once('/')?;
        Some(Self(Arc::from(parent)))
    }

    /// The last component.
    pub fn file_name(&self) -> &str {
        self.0.rsplit_once('/').map_or(self.as_str(), |(_, name)| name)
    }

    /// The path without a leading `/`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The path on the host where the package is installed, with a leading `/`.
    pub fn absolute(&self) -> String {
        format!("/{}", self.0)
    }

    /// A number that this path has wherever it is (FNV-1a).
    pub fn fingerprint(&self) -> u64 {
        let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        self.0.bytes().fold(0xcbf2_9ce4_8422_2325, step)
    }

    /// The rest of this path below `dir`; `None` when it is not below it.
    pub fn below(&self, dir: &Self) -> Option<&str> {
        self.0.strip_prefix(dir.as_str())?.strip_prefix('/')
    }
}

/// Paths are found by their text.
impl Borrow<str> for PkgPath {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PkgPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}", self.0)
    }
}

/// Why `path` cannot be in a package, or `None` when it can.
fn path_fault(path: &str) -> Option<String> {
    if path.len() > MAX_PATH {
        return Some(format!("is longer than {MAX_PATH} bytes"));
    }
    // Most are ASCII, which is told faster.
    let holds_control = match path.is_ascii() {
        true => path.bytes().any(|byte| byte.is_ascii_control()),
        false => path.chars().any(char::is_control),
    };
    if holds_control {
        return Some("holds a control character".to_owned());
    }
    path.split('/').find_map(|component| match component {
        "" => Some("has an empty component".to_owned()),
        "." | ".." => Some(format!("has the component `{component}`")),
        _ if component.len() > MAX_COMPONENT => Some(format!(
            "has a component of {} bytes; dpkg cannot unpack more than {MAX_COMPONENT}",
            component.len()
        )),
        _ => None,
    })
}

/// What a package manager should know about a file beyond its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Nothing.
    Plain,
    /// Configuration an administrator may edit.
    Config,
    /// Documentation.
    Doc,
}

/// One thing to install. Owner is always root:root.
#[derive(Clone, Debug)]
pub enum Entry {
    /// A directory the package owns.
    Dir {
        /// Permission bits, octal.
        mode: u32,
    },
    /// A regular file.
    File {
        /// Where the bytes are.
        content: Content,
        /// Permission bits, octal.
        mode: u32,
        /// How package managers treat it.
        role: Role,
        /// Who brought it: a distribution such as `numpy 2.4.6`, or `mkpkg`.
        origin: Arc<str>,
        /// When it was made, in seconds since 1970; `None` for files that are made anew with every package.
        mtime: Option<u64>,
    },
    /// A symbolic link, written as is.
    Symlink {
        /// Its target.
        target: String,
    },
}

impl Entry {
    /// A plain file that is made anew with every package.
    pub fn file(content: Content, mode: u32, origin: &Arc<str>) -> Self {
        Self::File { content, mode, role: Role::Plain, origin: Arc::clone(origin), mtime: None }
    }

    /// The same, if it is a file, as it was made at `time`.
    #[must_use]
    pub fn made_at(self, time: Option<u64>) -> Self {
        match self {
            Self::File { content, mode, role, origin, .. } => {
                Self::File { content, mode, role, origin, mtime: time }
            }
            Self::Dir { .. } | Self::Symlink { .. } => self,
        }
    }
}

/// Everything a package installs, in archive order: sorted by the bytes of the path. Clones share what is not changed.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    entries: Arc<BTreeMap<PkgPath, Entry>>,
    /// Bytes of all paths that were ever added.
    paths: usize,
}

impl Tree {
    /// An empty tree.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds `entry`, and every missing directory above it with mode 0755.
    ///
    /// A file that is there already is fine when its content is equal, and an error that names both origins
    /// when it is not.
    pub fn insert(&mut self, path: PkgPath, entry: Entry) -> Result<()> {
        self.insert_parents(&path, &entry)?;
        self.insert_alone(path, entry, None)
    }

    /// Adds `entry`, above which every directory is there; it may be one of an `other` tree.
    fn insert_alone(&mut self, path: PkgPath, entry: Entry, other: Option<&Self>) -> Result<()> {
        let (path, old) = match Arc::make_mut(&mut self.entries).entry(path) {
            Slot::Vacant(slot) => {
                self.paths += slot.key().as_str().len();
                slot.insert(entry);
                return bounded(self.paths);
            }
            Slot::Occupied(slot) => (slot.key().clone(), slot.get().clone()),
        };
        let all = self.iter().chain(other.into_iter().flat_map(Self::iter));
        merge::agree(&path, [&old, &entry], all)?;
        Arc::make_mut(&mut self.entries).insert(path, entry);
        Ok(())
    }

    /// Adds every entry of `other`.
    pub fn extend(&mut self, other: Self) -> Result<()> {
        // It has every directory before what is below.
        other.iter().try_for_each(|(path, entry)| {
            self.insert_alone(path.clone(), entry.clone(), Some(&other))
        })
    }

    /// Keeps the files and links `keep` says yes to; directories left empty by that go too.
    pub fn retain(&mut self, keep: impl Fn(&PkgPath) -> bool) {
        let emptied = self.emptied_by(&keep);
        Arc::make_mut(&mut self.entries).retain(|path, entry| match entry {
            Entry::Dir { .. } => !emptied.contains(path),
            Entry::File { .. } | Entry::Symlink { .. } => keep(path),
        });
    }

    /// What is at `path`.
    pub fn get(&self, path: &PkgPath) -> Option<&Entry> {
        self.entries.get(path)
    }

    /// When the file at `path` was made; `None` also where there is no file.
    pub fn mtime(&self, path: &PkgPath) -> Option<u64> {
        match self.get(path)? {
            Entry::File { mtime, .. } => *mtime,
            Entry::Dir { .. } | Entry::Symlink { .. } => None,
        }
    }

    /// All entries in archive order.
    pub fn iter(&self) -> Iter<'_, PkgPath, Entry> {
        self.entries.iter()
    }

    /// All entries whose paths begin with `text`, in archive order.
    pub fn beginning_with<'t>(
        &'t self,
        text: &'t str,
    ) -> impl Iterator<Item = (&'t PkgPath, &'t Entry)> {
        let behind = self.entries.range::<str, _>((Bound::Included(text), Bound::Unbounded));
        behind.take_while(move |(path, _)| path.as_str().starts_with(text))
    }

    /// All regular files in archive order, with their content and mode.
    pub fn files(&self) -> impl Iterator<Item = (&PkgPath, &Content, u32)> {
        self.entries.iter().filter_map(|(path, entry)| match entry {
            Entry::File { content, mode, .. } => Some((path, content, *mode)),
            Entry::Dir { .. } | Entry::Symlink { .. } => None,
        })
    }

    /// Number of entries.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn insert_parents(&mut self, path: &PkgPath, entry: &Entry) -> Result<()> {
        let mut below = path.as_str();
        while let Some((dir, _)) = below.rsplit_once('/') {
            match self.entries.get(dir) {
                Some(Entry::Dir { .. }) => return Ok(()),
                Some(there @ (Entry::File { .. } | Entry::Symlink { .. })) => {
                    return Err(merge::not_a_directory((dir, there), (path, entry)));
                }
                None => {
                    below = dir;
                    self.paths += dir.len();
                    bounded(self.paths)?;
                    let dir = PkgPath(Arc::from(dir));
                    Arc::make_mut(&mut self.entries).insert(dir, Entry::Dir { mode: 0o755 });
                }
            }
        }
        Ok(())
    }

    /// Directories that hold something now and nothing once `keep` has spoken.
    fn emptied_by(&self, keep: &impl Fn(&PkgPath) -> bool) -> BTreeSet<PkgPath> {
        let mut emptied = BTreeSet::new();
        let mut kept = BTreeSet::new();
        for (path, entry) in self.entries.iter() {
            let dirs = match entry {
                Entry::Dir { .. } => continue,
                Entry::File { .. } | Entry::Symlink { .. } if keep(path) => &mut kept,
                Entry::File { .. } | Entry::Symlink { .. } => &mut emptied,
            };
            let mut parent = path.parent();
            while let Some(dir) = parent {
                parent = dir.parent();
                if !dirs.insert(dir) {
                    break;
                }
            }
        }
        &emptied - &kept
    }
}

/// Refuses paths that take too many bytes together.
fn bounded(paths: usize) -> Result<()> {
    if paths > MAX_PATHS {
        let message = format!("its paths have more than {} MiB together", MAX_PATHS >> 20);
        return Err(UserError::input(message).into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::tree::content::Content;
    use crate::tree::{Entry, PkgPath, Tree};

    pub(super) fn path(text: &str) -> PkgPath {
        PkgPath::new(text).unwrap()
    }

    pub(super) fn file(text: &str, origin: &str) -> Entry {
        Entry::file(Content::bytes(text), 0o644, &Arc::from(origin))
    }

    fn check(tree: &Tree, expected: &[&str]) {
        let paths: Vec<_> = tree.iter().map(|(path, _)| path.as_str()).collect();
        assert_eq!(paths, expected);
    }

    #[test]
    fn hostile_paths_are_refused() {
        let long = "x".repeat(247);
        for bad in ["", "/", "a//b", "a/../b", "./a", "a/", "a\nb\n\u{7}", "a\u{0}b", &long] {
            let bad = bad.replace("\\n", "\n");
            assert!(PkgPath::new(&bad).is_err(), "{bad:?}");
        }
        assert!(PkgPath::new(&"x".repeat(246)).is_ok());
        assert_eq!(path("/opt/app").absolute(), "/opt/app");
        assert_eq!(path("opt/app/x").below(&path("opt/app")), Some("x"));
        assert_eq!(path("opt/apple").below(&path("opt/app")), None);
    }

    #[test]
    fn parents_are_made_and_sorted_before_children() {
        let mut tree = Tree::new();
        tree.insert(path("opt/app/x"), file("1", "a 1")).unwrap();
        tree.insert(path("opt/app-b"), file("1", "a 1")).unwrap();
        check(&tree, &["opt", "opt/app", "opt/app-b", "opt/app/x"]);
        tree.retain(|path| path.file_name() != "x");
        check(&tree, &["opt", "opt/app-b"]);
    }

    #[test]
    fn collisions() {
        let mut tree = Tree::new();
        tree.insert(path("f"), file("1", "a 1")).unwrap();
        tree.insert(path("f"), file("1", "b 2")).unwrap();
        let error = tree.insert(path("f"), file("2", "c 3")).unwrap_err();
        assert_eq!(error.to_string(), "`b 2` and `c 3` both install `/f`, and differ");
        let below = tree.insert(path("f/g"), file("2", "c 3")).unwrap_err();
        assert_eq!(
            below.to_string(),
            "`/f/g` of `c 3` cannot be below `/f` of `b 2`, which is not a directory"
        );
        let mut other = Tree::new();
        other.insert(path("f/d/g"), file("2", "d 4")).unwrap();
        let error = tree.clone().extend(other.clone()).unwrap_err();
        let expected = "`b 2` and `d 4`, as a directory, both install `/f`, and differ";
        assert_eq!(error.to_string(), expected);
        let error = other.extend(tree).unwrap_err();
        let expected = "`d 4`, as a directory, and `b 2` both install `/f`, and differ";
        assert_eq!(error.to_string(), expected);
    }
}
