//! What a payload is made of: entries with a number and a time.

use std::collections::BTreeMap;

use crate::tree::{Entry, PkgPath, Tree};

/// What an archive has one member of.
#[derive(Clone, Copy, Debug)]
pub struct Item<'t> {
    /// Its number, from 0.
    pub index: u32,
    /// Where it is installed.
    pub path: &'t PkgPath,
    /// What is installed there.
    pub entry: &'t Entry,
    /// Its time stamp: seconds since 1970.
    pub mtime: u64,
}

/// All entries of `tree` that `keep` wants, in a package made at `epoch`.
pub fn items<'t>(
    tree: &'t Tree,
    epoch: u64,
    keep: impl Fn(&PkgPath, &Entry) -> bool,
) -> Vec<Item<'t>> {
    let times = mtimes(tree, epoch);
    let kept = tree.iter().zip(times).filter(|((path, entry), _)| keep(path, entry));
    let item = |(index, ((path, entry), mtime))| Item { index, path, entry, mtime };
    (0..).zip(kept).map(item).collect()
}

/// Time stamps of all entries of a package made at `epoch`, in archive order. None is later; a directory is as old as the
/// newest thing below it.
fn mtimes(tree: &Tree, epoch: u64) -> Vec<u64> {
    let of_entry = |(_, entry): (&PkgPath, &Entry)| match entry {
        Entry::File { mtime: Some(time), .. } => epoch.min(*time),
        Entry::File { mtime: None, .. } | Entry::Symlink { .. } => epoch,
        Entry::Dir { .. } => 0,
    };
    let mut times: Vec<_> = tree.iter().map(of_entry).collect();
    let is_dir = |(_, (_, entry)): &(usize, (&PkgPath, &Entry))| matches!(entry, Entry::Dir { .. });
    let dirs = tree.iter().enumerate().filter(is_dir);
    let dirs: BTreeMap<_, _> = dirs.map(|(place, (path, _))| (path.as_str(), place)).collect();
    // From the last to the first, so that what is in a directory comes before it, and an empty one is known by then.
    let mut last = ("", None);
    for (place, (path, _)) in tree.iter().enumerate().rev() {
        if times[place] == 0 {
            times[place] = epoch;
        }
        let Some((parent, _)) = path.as_str().rsplit_once('/') else { continue };
        if last.0 != parent {
            last = (parent, dirs.get(parent).copied());
        }
        if let (_, Some(parent)) = last {
            times[parent] = times[parent].max(times[place]);
        }
    }
    times
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::segments::item::items;
    use crate::tree::content::Content;
    use crate::tree::{Entry, PkgPath, Tree};

    #[test]
    fn times() {
        let path = |text: &str| PkgPath::new(text).unwrap();
        let file = Entry::file(Content::bytes("1"), 0o644, &Arc::from("a 1"));
        let mut tree = Tree::new();
        for (at, time) in
            [("a/b/x", Some(5)), ("a/b/y", Some(70)), ("a/c/x", Some(7)), ("a-b", None)]
        {
            tree.insert(path(at), file.clone().made_at(time)).unwrap();
        }
        tree.insert(path("a/d"), Entry::Dir { mode: 0o755 }).unwrap();
        let items = items(&tree, 60, |path, _| path.as_str() != "a/b");
        let times: Vec<_> =
            items.iter().map(|item| (item.index, item.path.as_str(), item.mtime)).collect();
        let expected = [
            (0, "a", 60),
            (1, "a-b", 60),
            (2, "a/b/x", 5),
            (3, "a/b/y", 60),
            (4, "a/c", 7),
            (5, "a/c/x", 7),
            (6, "a/d", 60),
        ];
        assert_eq!(times, expected);
    }
}
