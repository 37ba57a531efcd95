//! What of a payload is packed together.

use std::io::Read;
use std::slice;

use anyhow::{Context, Result};

use crate::codec::Compression;
use crate::codec::piece::{BEGINNING, can_begin};
use crate::segments::cut::{Part, content_len};
use crate::segments::item::Item;
use crate::tree::Entry;

/// A file of this length is packed by all threads.
const LARGE: u64 = 48 << 20;

/// What is packed together.
pub(super) enum Segment<'i, 't> {
    Members(Members<'i, 't>),
    /// The content of a large file, the same in any archive: what is before and behind it is with the members around.
    Content(&'i Item<'t>),
}

/// Whole members, and what stands between the contents beside them.
pub(super) struct Members<'i, 't> {
    /// The file whose content comes before.
    pub(super) closes: Option<&'i Item<'t>>,
    pub(super) items: &'i [Item<'t>],
    /// The file whose content comes next.
    pub(super) opens: Option<&'i Item<'t>>,
    pub(super) is_first: bool,
    pub(super) is_last: bool,
}

impl<'t> Segment<'_, 't> {
    /// Items whose content is in it.
    pub(super) fn items(&self) -> &[Item<'t>] {
        match self {
            Self::Members(members) => members.items,
            Self::Content(item) => slice::from_ref(*item),
        }
    }

    pub(super) fn len(&self) -> u64 {
        self.items().iter().map(|item| content_len(item.entry)).sum()
    }

    pub(super) fn is_large(&self) -> bool {
        self.len() > LARGE
    }
}

/// A file of this length is packed apart, and found packed by other packages. xz would lose more than a hundredth by it.
fn apart(compression: Compression) -> u64 {
    match compression {
        Compression::Zstd(_) | Compression::Gzip(_) => 8 << 20,
        Compression::Xz(_) => u64::MAX,
    }
}

/// Whether the content of `item` is packed apart from all else.
pub(super) fn is_apart(item: &Item<'_>, compression: Compression) -> Result<bool> {
    let Entry::File { content, .. } = item.entry else { return Ok(false) };
    if content.len() < apart(compression) {
        return Ok(false);
    }
    let mut start = Vec::new();
    let reader = content.open().with_context(|| unread(item))?;
    reader.take(BEGINNING as u64).read_to_end(&mut start).with_context(|| unread(item))?;
    Ok(can_begin(&start))
}

/// What is said of a file that cannot be read.
pub(super) fn unread(item: &Item<'_>) -> String {
    format!("cannot read `{}`", item.path)
}

pub(super) fn segments<'i, 't>(items: &'i [Item<'t>], parts: &[Part]) -> Vec<Segment<'i, 't>> {
    let content = |place: Option<usize>| match place.and_then(|place| parts.get(place))? {
        Part::Content(item) => Some(&items[*item]),
        Part::Members(_) => None,
    };
    let segment = |(place, part): (usize, &Part)| match part {
        Part::Content(item) => Segment::Content(&items[*item]),
        Part::Members(range) => Segment::Members(Members {
            closes: content(place.checked_sub(1)),
            items: &items[range.clone()],
            opens: content(Some(place + 1)),
            is_first: place == 0,
            is_last: place + 1 == parts.len(),
        }),
    };
    parts.iter().enumerate().map(segment).collect()
}
