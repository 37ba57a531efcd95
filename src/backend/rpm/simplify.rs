//! Relations in the order rpmbuild writes them, each once.

use crate::package::{Relation, RelationKind};

/// `relations` by kind, name and version, each that another one says too merged into that one with its reasons.
///
/// As rpmbuild does with what it derives, a name without a version goes where the same name has one; versions are not
/// compared. What must be there says what should be there, never the other way.
pub(super) fn simplify(mut relations: Vec<Relation>) -> Vec<Relation> {
    // Names with a version first, so that one without finds them.
    relations.sort_by_key(|relation| (relation.kind, name(&relation.text) == relation.text));
    let mut kept: Vec<Relation> = Vec::new();
    for relation in relations {
        match kept.iter_mut().find(|other| says(other, &relation)) {
            None => kept.push(relation),
            Some(stronger) => stronger.absorb(relation),
        }
    }
    kept.sort_by(|left, right| order(left).cmp(&order(right)));
    kept
}

/// rpmbuild's: by name, then by version as a text.
fn order(relation: &Relation) -> (RelationKind, &str, &str, &str) {
    let name = name(&relation.text);
    let rest = relation.text[name.len()..].trim_start();
    let (operator, version) = rest.split_once(' ').unwrap_or_default();
    (relation.kind, name, version, operator)
}

/// The name that is asked for, without a version; a condition in parentheses is one name.
fn name(text: &str) -> &str {
    if text.starts_with('(') { text } else { text.split(' ').next().unwrap_or_default() }
}

/// Whether `weaker` says nothing that `stronger` does not say.
fn says(stronger: &Relation, weaker: &Relation) -> bool {
    let is_positive = match weaker.kind {
        RelationKind::Needs | RelationKind::Recommends | RelationKind::Suggests => true,
        // Whoever conflicts with all versions means more than who conflicts with some.
        RelationKind::Conflicts | RelationKind::Replaces | RelationKind::Provides => false,
    };
    let is_same = stronger.text == weaker.text;
    let is_covered = is_same || name(&stronger.text) == weaker.text;
    if is_positive {
        stronger.kind <= weaker.kind && is_covered
    } else {
        stronger.kind == weaker.kind && is_same
    }
}

#[cfg(test)]
mod tests {
    use crate::backend::rpm::simplify::simplify;
    use crate::package::{Relation, RelationKind};

    fn check(texts: &[&str], expected: &[&str]) {
        let relation = |(index, text): (usize, &&str)| {
            let (kind, text) = match text.split_once(": ") {
                Some(("recommends", text)) => (RelationKind::Recommends, text),
                Some(("conflicts", text)) => (RelationKind::Conflicts, text),
                Some(_) | None => (RelationKind::Needs, *text),
            };
            Relation {
                kind,
                text: text.to_owned(),
                because: vec![format!("reason {index}")],
                causes: Vec::new(),
            }
        };
        let simple = simplify(texts.iter().enumerate().map(relation).collect());
        let found: Vec<_> = simple.iter().map(|relation| relation.text.as_str()).collect();
        assert_eq!(found, expected, "{texts:?}");
        let reasons: usize = simple.iter().map(|relation| relation.because.len()).sum();
        assert_eq!(reasons, texts.len(), "{simple:?}");
    }

    #[test]
    fn each_once_in_order() {
        check(
            &["rtld(GNU_HASH)", "/usr/bin/python3.11", "libc.so.6()(64bit)", "libc.so.6()(64bit)"],
            &["/usr/bin/python3.11", "libc.so.6()(64bit)", "rtld(GNU_HASH)"],
        );
        check(
            &["libc.so.6(GLIBC_2.34)(64bit)", "libc.so.6()(64bit)"],
            &["libc.so.6()(64bit)", "libc.so.6(GLIBC_2.34)(64bit)"],
        );
        check(&["acme", "acme < 2", "acme >= 1"], &["acme >= 1", "acme < 2"]);
        check(&["acme-x", "acme >= 1"], &["acme >= 1", "acme-x"]);
        check(&["recommends: acme", "acme >= 1"], &["acme >= 1"]);
        check(&["recommends: acme >= 1", "acme"], &["acme", "acme >= 1"]);
        check(&["(a or b)", "(a or b)"], &["(a or b)"]);
        // Another meaning: the one conflicts with every version.
        check(&["conflicts: acme", "conflicts: acme < 2"], &["acme", "acme < 2"]);
        check(&["conflicts: acme", "acme"], &["acme", "acme"]);
    }
}
