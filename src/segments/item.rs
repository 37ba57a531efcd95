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
    /// Whether it comes out of other packages the same way: neither it nor what is below is made anew with every one.
    pub is_settled: bool,
}

/// All entries of `tree` that `keep` wants, in a package made at `epoch`; no time stamp is later.
pub fn items<'t>(
    tree: &'t Tree,
    epoch: u64,
    keep: impl Fn(&PkgPath, &Entry) -> bool,
) -> Vec<Item<'t>> {
    let made = made(tree);
    let kept = tree.iter().zip(made).filter(|((path, entry), _)| keep(path, entry));
    let item = |(index, ((path, entry), made))| Item {
        index,
        path,
        entry,
        mtime: epoch.min(made),
        is_settled: made < ANEW,
    };
    (0..).zip(kept).map(item).collect()
}

/// When things were made that are made anew with every package: later than all others.
const ANEW: u64 = u64::MAX;

/// When all entries were made, in archive order; a directory is as old as the newest thing below it.
fn made(tree: &Tree) -> Vec<u64> {
    let of_entry = |(_, entry): (&PkgPath, &Entry)| match entry {
        Entry::File { mtime: Some(time), .. } => *time,
        Entry::File { mtime: None, .. } | Entry::Symlink { .. } => ANEW,
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
            times[place] = ANEW;
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
            items.iter().map(|item| (item.path.as_str(), item.mtime, item.is_settled)).collect();
        let expected = [
            ("a", 60, false),
            ("a-b", 60, false),
            ("a/b/x", 5, true),
            // It is newer than the package, but comes from elsewhere.
            ("a/b/y", 60, true),
            ("a/c", 7, true),
            ("a/c/x", 7, true),
            ("a/d", 60, false),
        ];
        assert_eq!(times, expected);
        assert!(items.iter().map(|item| item.index).eq(0..7));
    }
}
