//! Two entries for one path.

use std::io;

use anyhow::{Context, Result};

use crate::error::UserError;
use crate::tree::content::Content;
use crate::tree::{Entry, PkgPath};

/// The one entry two insertions at `path` agree on.
pub(super) fn merge(path: &PkgPath, old: &Entry, new: Entry) -> Result<Entry> {
    let agrees = match (old, &new) {
        (Entry::Dir { .. }, Entry::Dir { .. }) => true,
        (Entry::Symlink { target: old }, Entry::Symlink { target: new }) => old == new,
        (Entry::File { content: old, .. }, Entry::File { content: new, .. }) => {
            equal(old, new).with_context(|| format!("cannot read `{path}`"))?
        }
        (Entry::Dir { .. } | Entry::Symlink { .. } | Entry::File { .. }, _) => false,
    };
    if agrees {
        return Ok(new);
    }
    let message = format!("{} and {} both install `{path}`, and differ", owner(old), owner(&new));
    Err(UserError::input(message).hint("drop one of the two, or `exclude` the path").into())
}

fn owner(entry: &Entry) -> String {
    match entry {
        Entry::File { origin, .. } => format!("`{origin}`"),
        Entry::Dir { .. } => "a directory".to_owned(),
        Entry::Symlink { target } => format!("a link to `{target}`"),
    }
}

fn equal(left: &Content, right: &Content) -> io::Result<bool> {
    Ok(left.len() == right.len() && left.read()? == right.read()?)
}
