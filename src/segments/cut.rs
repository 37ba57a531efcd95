//! Where a payload is cut.

use std::ops::Range;

use crate::segments::item::Item;
use crate::tree::Entry;

/// How large segments are, in bytes of content: none is cut before it has `least`, and none has more than `most` unless
/// it is a single file.
#[derive(Clone, Copy, Debug)]
struct Size {
    least: u64,
    most: u64,
    /// One of so many entries ends a segment.
    odds: u64,
}

/// Of what later builds will find unchanged. Compressors lose little by beginning anew.
const SETTLED: Size = Size { least: 16 << 20, most: 32 << 20, odds: 128 };
/// Of what changes whenever the application does, and is packed again then.
const UNSETTLED: Size = Size { least: 32 << 10, most: 128 << 10, odds: 4 };

/// A part of a payload that is packed on its own, by the places of items.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// The members of items, or of none. What belongs to the content of a neighbour is with them.
    Members(Range<usize>),
    /// The content of one file alone.
    Content(usize),
}

/// Where `items` are cut, some of which are `apart`. An entry that is added or goes moves the cuts near it, and no others.
///
/// Every content is between members.
pub(super) fn cut(items: &[Item<'_>], apart: &[bool]) -> Vec<Part> {
    let mut parts = Vec::new();
    let (mut start, mut len) = (0, 0);
    for (place, item) in items.iter().enumerate() {
        let before = place.checked_sub(1).map(|place| &items[place]);
        let Size { least, most, odds } = if item.is_settled { SETTLED } else { UNSETTLED };
        let is_other = before.is_some_and(|before| before.is_settled != item.is_settled);
        let is_full = len > 0 && len + content_len(item.entry) > most && !apart[place];
        let is_end = len >= least && item.path.fingerprint().is_multiple_of(odds);
        if place > start && (is_other || is_full || is_end) {
            parts.push(Part::Members(start..place));
            (start, len) = (place, 0);
        }
        if apart[place] {
            parts.extend([Part::Members(start..place), Part::Content(place)]);
            (start, len) = (place + 1, 0);
        } else {
            len += content_len(item.entry) + MEMBER;
        }
    }
    parts.push(Part::Members(start..items.len()));
    parts
}

/// What a member takes beside its content, more or less.
pub(super) const MEMBER: u64 = 512;

pub(super) fn content_len(entry: &Entry) -> u64 {
    match entry {
        Entry::File { content, .. } => content.len(),
        Entry::Dir { .. } | Entry::Symlink { .. } => 0,
    }
}

#[cfg(test)]
mod tests {
    use std::ops::Range;
    use std::path::PathBuf;
    use std::sync::Arc;

    use crate::segments::cut::{Part, SETTLED, cut};
    use crate::segments::item::items;
    use crate::tree::content::Content;
    use crate::tree::{Entry, PkgPath, Tree};

    /// Names of the first entries of all segments of files with these names, lengths, and whether they are settled.
    fn starts(files: &[(String, u64, bool)]) -> Vec<String> {
        let mut tree = Tree::new();
        for (name, len, is_settled) in files {
            let content = Content::Path { path: PathBuf::new(), len: *len, sha256: None };
            let file = Entry::file(content, 0o644, &Arc::from("a 1"));
            let entry = file.made_at(is_settled.then_some(7));
            tree.insert(PkgPath::new(&format!("opt/{name}")).unwrap(), entry).unwrap();
        }
        let items = items(&tree, 100, |_, _| true);
        let parts = cut(&items, &vec![false; items.len()]);
        let range = |part: &Part| match part {
            Part::Members(range) => range.clone(),
            Part::Content(_) => panic!("none is apart"),
        };
        let segments: Vec<_> = parts.iter().map(range).collect();
        assert_eq!(segments.iter().map(Range::len).sum::<usize>(), items.len());
        for pair in segments.windows(2) {
            assert_eq!(pair[0].end, pair[1].start);
        }
        segments.into_iter().map(|range| items[range.start].path.as_str().to_owned()).collect()
    }

    #[test]
    fn what_changes_is_apart() {
        let file = |name: &str, is_settled| (name.to_owned(), 10, is_settled);
        let files = [file("a/x", true), file("b/x", false), file("b/y", false), file("c/x", true)];
        assert_eq!(starts(&files), ["opt", "opt/a", "opt/b", "opt/c"]);
        assert_eq!(cut(&[], &[]), [Part::Members(0..0)]);
    }

    #[test]
    fn contents_stand_between_members() {
        let mut tree = Tree::new();
        // Directories come first: 0, 1.
        for name in ["b", "c", "d", "e", "f", "g"] {
            let entry = Entry::file(Content::bytes("x"), 0o644, &Arc::from("a 1"));
            let path = PkgPath::new(&format!("opt/a/{name}")).unwrap();
            tree.insert(path, entry.made_at((name != "e").then_some(7))).unwrap();
        }
        let items = items(&tree, 100, |path, _| path.as_str().len() > 5);
        let cut = |apart: &str| {
            let apart: Vec<_> =
                items.iter().map(|item| apart.contains(&item.path.as_str()[6..])).collect();
            let parts = cut(&items, &apart).into_iter().map(|part| match part {
                Part::Members(range) => format!("{}-{}", range.start, range.end),
                Part::Content(place) => place.to_string(),
            });
            parts.collect::<Vec<_>>().join(" ")
        };
        assert_eq!(cut(""), "0-3 3-4 4-6");
        assert_eq!(cut("b"), "0-0 0 1-3 3-4 4-6");
        assert_eq!(cut("cd"), "0-1 1 2-2 2 3-4 4-6");
        // What stands before a content that changes with each commit does not.
        assert_eq!(cut("e"), "0-3 3-3 3 4-6");
        assert_eq!(cut("fg"), "0-3 3-4 4-4 4 5-5 5 6-6");
    }

    #[test]
    fn one_file_more_moves_the_cuts_near_it_only() {
        let mut files: Vec<_> = (0..3000).map(|at| (format!("x/{at:05}"), 60_000, true)).collect();
        let before = starts(&files);
        assert!((6..20).contains(&before.len()), "{}", before.len());
        files.insert(1, ("x/00000a".to_owned(), 3_000_000, true));
        files.insert(2, ("x/00000b".to_owned(), 40_000_000, true));
        let after = starts(&files);
        let lost: Vec<_> = before.iter().filter(|start| !after.contains(start)).collect();
        assert!(lost.len() < 4, "{lost:?} of {before:?}");
        assert!(SETTLED.most < 40_000_000 && after.contains(&"opt/x/00000b".to_owned()));
    }
}
