//! Two entries for one path.

use std::io;

use anyhow::{Context, Error, Result};

use crate::error::UserError;
use crate::tree::content::Content;
use crate::tree::{Entry, PkgPath};

/// Refuses two entries for `path` that differ. Of `all` there are, a file below tells whose a directory is.
pub(super) fn agree<'t>(
    path: &PkgPath,
    [old, new]: [&Entry; 2],
    mut all: impl Iterator<Item = (&'t PkgPath, &'t Entry)>,
) -> Result<()> {
    let agrees = match (old, new) {
        (Entry::Dir { .. }, Entry::Dir { .. }) => true,
        (Entry::Symlink { target: old }, Entry::Symlink { target: new }) => old == new,
        (Entry::File { content: old, .. }, Entry::File { content: new, .. }) => {
            equal(old, new).with_context(|| format!("cannot read `{path}`"))?
        }
        (Entry::Dir { .. } | Entry::Symlink { .. } | Entry::File { .. }, _) => false,
    };
    if agrees {
        return Ok(());
    }
    let is_file = |entry: &Entry| matches!(entry, Entry::File { .. });
    let below = all.find(|(other, entry)| is_file(entry) && other.below(path).is_some());
    let [old, new] = [old, new].map(|entry| match (entry, below) {
        (Entry::Dir { .. }, Some((_, below))) => format!("{}, as a directory,", owner(below)),
        (entry, _) => owner(entry),
    });
    let message = format!("{old} and {new} both install `{path}`, and differ");
    Err(UserError::input(message).hint("drop one of the two, or `exclude` the path").into())
}

/// The error of an entry at `path` below something that holds nothing.
pub(super) fn not_a_directory(
    (above, there): (&str, &Entry),
    (path, entry): (&PkgPath, &Entry),
) -> Error {
    let [owner, other] = [entry, there].map(owner);
    if owner == other {
        let message = format!("`{path}` cannot be below `/{above}`, which is not a directory");
        return UserError::input(message).into();
    }
    let message = format!(
        "`{path}` of {owner} cannot be below `/{above}` of {other}, which is not a directory"
    );
    UserError::input(message).hint("drop one of the two, or `exclude` the path").into()
}

/// Who brings `entry`.
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
