//! Many entries that become a tree at once.

use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::Result;

use crate::tree::{Entry, PkgPath, Tree, bounded, merge};

/// Entries in any order that will be a tree at once. This takes less time and memory than [`Tree::insert`] of one after the
/// other: a map that grows in order has nodes half empty.
#[derive(Debug, Default)]
pub struct Pile {
    entries: Vec<(PkgPath, Entry)>,
    /// Bytes of all paths.
    paths: usize,
}

impl Pile {
    /// Adds `entry`.
    pub fn push(&mut self, path: PkgPath, entry: Entry) -> Result<()> {
        self.paths += path.as_str().len();
        bounded(self.paths)?;
        self.entries.push((path, entry));
        Ok(())
    }

    /// Adds every entry of `tree`.
    pub fn add(&mut self, tree: Tree) -> Result<()> {
        let mut entries = Arc::unwrap_or_clone(tree.entries).into_iter();
        entries.try_for_each(|(path, entry)| self.push(path, entry))
    }

    /// The tree [`Tree::insert`] would make.
    pub fn into_tree(mut self) -> Result<Tree> {
        for dir in missing_dirs(&self.entries) {
            self.push(dir, Entry::Dir { mode: 0o755 })?;
        }
        let Self { mut entries, paths } = self;
        // What is for one path stays in its order.
        entries.sort_by(|(left, _), (right, _)| left.cmp(right));
        for pair in entries.windows(2) {
            if let [(path, earlier), (other, later)] = pair
                && path == other
            {
                let all = entries.iter().map(|(path, entry)| (path, entry));
                merge::agree(path, [earlier, later], all)?;
            }
        }
        // Of those that agree the last one counts.
        Ok(Tree { entries: Arc::new(entries.into_iter().collect()), paths })
    }
}

/// The directories above `entries` that are not among them.
fn missing_dirs(entries: &[(PkgPath, Entry)]) -> Vec<PkgPath> {
    let is_dir = |entry: &Entry| matches!(entry, Entry::Dir { .. });
    let dirs = entries.iter().filter(|(_, entry)| is_dir(entry));
    let mut known: BTreeSet<_> = dirs.map(|(path, _)| path.as_str()).collect();
    let (mut missing, mut last) = (Vec::new(), "");
    for (path, _) in entries {
        let mut below = path.as_str();
        while let Some((dir, _)) = below.rsplit_once('/') {
            // Most are in the directory of the one before.
            if dir == last || !known.insert(dir) {
                break;
            }
            missing.push(PkgPath(Arc::from(dir)));
            below = dir;
        }
        last = path.as_str().rsplit_once('/').map_or("", |(dir, _)| dir);
    }
    missing
}

#[cfg(test)]
mod tests {
    use crate::tree::pile::Pile;
    use crate::tree::tests::{file, path};
    use crate::tree::{Entry, Tree};

    #[test]
    fn a_pile_is_as_entries_one_by_one() {
        let texts = ["b/c/x", "b-c", "a", "b/c/d/e/y", "b/c/x", "z/link", "b"];
        let entry = |text: &str| match text {
            "z/link" => Entry::Symlink { target: "x".to_owned() },
            "b" => Entry::Dir { mode: 0o700 },
            _ => file(text, "a 1"),
        };
        for turned in 0..texts.len() {
            let mut texts = texts;
            texts.rotate_left(turned);
            let (mut pile, mut tree) = (Pile::default(), Tree::new());
            for text in texts {
                pile.push(path(text), entry(text)).unwrap();
                tree.insert(path(text), entry(text)).unwrap();
            }
            let piled = pile.into_tree().unwrap();
            let show = |tree: &Tree| {
                tree.iter().map(|(path, entry)| format!("{path} {entry:?}")).collect::<Vec<_>>()
            };
            assert_eq!(show(&piled), show(&tree));
            assert_eq!(piled.len(), 10);
        }
        let mut pile = Pile::default();
        for (text, content) in [("f", "1"), ("g", "1"), ("f", "2"), ("g", "2")] {
            pile.push(path(text), file(content, &format!("{text} {content}"))).unwrap();
        }
        let error = pile.into_tree().unwrap_err().to_string();
        assert_eq!(error, "`f 1` and `f 2` both install `/f`, and differ");
        let mut pile = Pile::default();
        pile.push(path("f/d/g"), file("1", "a 1")).unwrap();
        pile.push(path("f"), file("1", "b 2")).unwrap();
        let error = pile.into_tree().unwrap_err().to_string();
        assert_eq!(error, "`b 2` and `a 1`, as a directory, both install `/f`, and differ");
    }
}
