//! Relations in the order dpkg writes them, without those that others imply.

use std::cmp::Ordering;

use crate::backend::deb::order::compare;
use crate::package::{Relation, RelationKind};

/// One package of a relation: its name (with an architecture, if it has one), and the versions asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Simple<'a> {
    package: &'a str,
    constraint: Option<(&'a str, &'a str)>,
}

/// By kind, then by package, operator and version, alternatives one by one.
pub(super) fn by_package(left: &Relation, right: &Relation) -> Ordering {
    let key = |relation: &Relation| -> Vec<(String, usize, String)> {
        let simple = parse(&relation.text).into_iter().map(|simple| {
            let (operator, version) = simple.constraint.unwrap_or_default();
            (simple.package.to_owned(), rank(operator), version.to_owned())
        });
        simple.collect()
    };
    left.kind.cmp(&right.kind).then_with(|| key(left).cmp(&key(right)))
}

fn rank(operator: &str) -> usize {
    ["", ">=", ">>", "=", "<<", "<="].iter().position(|known| *known == operator).unwrap_or(6)
}

/// `relations` in order, each that another one implies merged into that one with its reasons.
///
/// What must be there implies what should be there, never the other way.
pub(super) fn simplify(mut relations: Vec<Relation>) -> Vec<Relation> {
    relations.sort_by(by_package);
    let mut kept: Vec<Relation> = Vec::new();
    for relation in relations {
        if let Some(stronger) = kept.iter_mut().find(|other| is_implied(&relation, other)) {
            stronger.absorb(relation);
            continue;
        }
        let mut relation = relation;
        for weaker in kept.extract_if(.., |other| is_implied(other, &relation)).collect::<Vec<_>>()
        {
            relation.absorb(weaker);
        }
        kept.push(relation);
    }
    kept.sort_by(by_package);
    kept
}

/// Whether `weaker` says nothing that `stronger` does not say.
fn is_implied(weaker: &Relation, stronger: &Relation) -> bool {
    let is_positive = |kind: RelationKind| match kind {
        RelationKind::Needs | RelationKind::Recommends | RelationKind::Suggests => true,
        RelationKind::Conflicts | RelationKind::Replaces | RelationKind::Provides => false,
    };
    if !is_positive(weaker.kind) || !is_positive(stronger.kind) || stronger.kind > weaker.kind {
        return weaker == stronger || weaker.kind == stronger.kind && weaker.text == stronger.text;
    }
    let (weaker, stronger) = (parse(&weaker.text), parse(&stronger.text));
    let implied = |one: &Simple<'_>| weaker.iter().any(|other| implies(one, other));
    stronger.iter().all(implied)
}

fn parse(text: &str) -> Vec<Simple<'_>> {
    let one = |text: &'_ str| -> Option<(usize, usize)> {
        let open = text.find('(')?;
        Some((open, text.rfind(')')?))
    };
    let simple = |text| {
        let text: &str = str::trim(text);
        match one(text) {
            None => Simple { package: text, constraint: None },
            Some((open, close)) => {
                let inner = text[open + 1..close.max(open + 1)].trim();
                let split = inner.find(|at| !matches!(at, '<' | '=' | '>')).unwrap_or(inner.len());
                let (operator, version) = inner.split_at(split);
                let constraint = Some((operator, version.trim()));
                Simple { package: text[..open].trim(), constraint }
            }
        }
    };
    text.split('|').map(simple).collect()
}

/// Whether every version `one` allows is a version `other` allows.
fn implies(one: &Simple<'_>, other: &Simple<'_>) -> bool {
    if one.package != other.package {
        return false;
    }
    let (Some((had, have)), Some((asked, ask))) = (one.constraint, other.constraint) else {
        return other.constraint.is_none();
    };
    let order = compare(have, ask);
    let (is_above, is_below) = (order != Ordering::Less, order != Ordering::Greater);
    match (had, asked) {
        ("=" | ">=" | ">>", ">=") | (">>", ">>") => is_above,
        ("=" | ">=", ">>") => order == Ordering::Greater,
        ("=" | "<=" | "<<", "<=") | ("<<", "<<") => is_below,
        ("=" | "<=", "<<") => order == Ordering::Less,
        ("=", "=") => order == Ordering::Equal,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use crate::backend::deb::simplify::simplify;
    use crate::package::{Relation, RelationKind};

    fn check(texts: &[&str], expected: &[&str]) {
        let relation = |(index, text): (usize, &&str)| {
            let (kind, text) = match text.strip_prefix("recommends ") {
                Some(text) => (RelationKind::Recommends, text),
                None => (RelationKind::Needs, *text),
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
    fn what_is_implied_goes_and_its_reasons_stay() {
        check(&["libc6 (>= 2.14)", "libc6 (>> 2.36)"], &["libc6 (>> 2.36)"]);
        check(&["libc6 (>= 2.37)", "libc6 (>> 2.36)"], &["libc6 (>= 2.37)"]);
        check(&["a1", "a1 (>= 1)", "a1"], &["a1 (>= 1)"]);
        check(&["a1 (<< 2)", "a1 (>= 1)"], &["a1 (>= 1)", "a1 (<< 2)"]);
        check(&["a1 | b1", "b1 (>= 2)"], &["b1 (>= 2)"]);
        check(&["a1 | b1", "a1 | c1"], &["a1 | b1", "a1 | c1"]);
        check(&["a1 | b1", "a1 | c1", "a1 (>= 1)"], &["a1 (>= 1)"]);
        check(&["recommends a1", "a1 (>= 1)"], &["a1 (>= 1)"]);
        check(&["recommends a1 (>= 2)", "a1 (>= 1)"], &["a1 (>= 1)", "a1 (>= 2)"]);
        check(&["lib-b", "lib (>= 1)", "lib.a"], &["lib (>= 1)", "lib-b", "lib.a"]);
    }
}
