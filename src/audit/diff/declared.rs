//! What packages declare of themselves, and how that differs.

use crate::audit::diff::Side;
use crate::audit::diff::versions::{Versions, joined};
use crate::package::{Relation, RelationKind};

/// Relations by the package they are about, those that must hold or all others; alternatives and rpm's names of
/// libraries stand for themselves.
pub(super) fn relations(side: Side<'_>, are_needs: bool) -> Versions {
    let pair = |relation: &Relation| {
        let Relation { kind, text, .. } = relation;
        let name = match text.split_once(' ') {
            Some((name, _)) if !text.contains(" | ") && !text.starts_with('(') => name,
            Some(_) | None => text,
        };
        match kind {
            RelationKind::Needs => are_needs.then(|| (name.to_owned(), text.clone())),
            RelationKind::Recommends
            | RelationKind::Suggests
            | RelationKind::Conflicts
            | RelationKind::Replaces => {
                let verb = kind.verb();
                (!are_needs).then(|| (format!("{verb} {name}"), format!("{verb} {text}")))
            }
            RelationKind::Provides => None,
        }
    };
    // That it goes with its own version is no change.
    let own = format!("= {}", side.report.subject.version);
    let pairs = side.relations.iter().filter_map(pair);
    joined(pairs.map(|(name, text)| (name, text.replace(&own, "= its own version"))))
}
