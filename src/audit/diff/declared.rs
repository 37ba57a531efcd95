//! What packages declare of themselves, and how that differs: relations and fields.

use crate::audit::diff::versions::{Versions, changes, joined, normal};
use crate::audit::diff::{Change, Side, Way};
use crate::package::{Relation, RelationKind};

/// Fields that are told elsewhere, that differ with every build, or that are prose.
const UNTOLD: [&str; 9] = [
    "Package",
    "Name",
    "Epoch",
    "Version",
    "Release",
    "Description",
    "Build Time",
    "Build Host",
    "Changelog",
];

/// Relations that differ, of the kinds that `is_asked` takes.
pub(super) fn relations(
    old: Side<'_>,
    new: Side<'_>,
    is_asked: impl Fn(RelationKind) -> bool,
) -> Vec<Change> {
    let of = |side: Side<'_>| {
        let asked = side.relations.iter().filter(|it| is_asked(it.kind) && !is_bundled(side, it));
        joined(asked.map(named))
    };
    differences((old, &of(old)), (new, &of(new)))
}

/// Fields that differ. Those of packages of two formats have nothing to do with each other.
pub(super) fn fields(old: Side<'_>, new: Side<'_>) -> Vec<Change> {
    if old.report.subject.kind != new.report.subject.kind {
        return Vec::new();
    }
    differences((old, &told(old)), (new, &told(new)))
}

/// A relation by the package it is about, with its verb in front unless it must hold; alternatives and rpm's names of
/// libraries stand for themselves.
fn named(relation: &Relation) -> (String, String) {
    let Relation { kind, text, .. } = relation;
    let name = match text.split_once(' ') {
        Some((name, _)) if !text.contains(" | ") && !text.starts_with('(') => name,
        Some(_) | None => text,
    };
    if *kind == RelationKind::Needs {
        return (name.to_owned(), text.clone());
    }
    let verb = kind.verb();
    (format!("{verb} {name}"), format!("{verb} {text}"))
}

/// Whether a relation says of a distribution that it is inside, which is told of the distributions.
fn is_bundled(side: Side<'_>, relation: &Relation) -> bool {
    let inner = relation.text.strip_prefix("bundled(python3dist(");
    let name = inner.and_then(|rest| rest.split_once("))")).map(|(name, _)| normal(name));
    name.is_some_and(|name| side.report.distributions.iter().any(|one| normal(&one.name) == name))
}

/// Fields by name, each on one line.
fn told(side: Side<'_>) -> Versions {
    let is_told = |name: &str| {
        let is_size = name.to_ascii_lowercase().ends_with("size");
        !is_size && !UNTOLD.iter().any(|untold| untold.eq_ignore_ascii_case(name))
    };
    let version = side.report.subject.version.rsplit(':').next().unwrap_or_default();
    let source = format!("-{version}.src.rpm");
    let text = |text: &str| {
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        text.strip_suffix(&source).map_or(text.clone(), str::to_owned)
    };
    let fields = side.fields.iter().filter(|(name, _)| is_told(name));
    joined(fields.map(|(name, value)| (name.clone(), text(value))))
}

/// What differs by more than the versions of the packages themselves.
fn differences(old: (Side<'_>, &Versions), new: (Side<'_>, &Versions)) -> Vec<Change> {
    let version = |side: Side<'_>| side.report.subject.version.clone();
    let (was, is) = (version(old.0), version(new.0));
    let mut all = changes(old.1, new.1, |_, _| Way::Other);
    all.retain(|change| match (&change.old, &change.new) {
        (Some(old), Some(new)) => unversioned(old, &was) != unversioned(new, &is),
        (None, _) | (_, None) => true,
    });
    all
}

/// `text` with a sign in place of each word that is `version`.
fn unversioned(text: &str, version: &str) -> String {
    let is_end = |at: char| at.is_whitespace() || matches!(at, '(' | ')' | ',' | '|');
    let pieces = text.split_inclusive(is_end).map(|piece| {
        let word = piece.trim_end_matches(is_end);
        let is_own = !word.is_empty() && word == version;
        format!("{}{}", if is_own { "\0" } else { word }, &piece[word.len()..])
    });
    pieces.collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use crate::audit::diff::declared::{fields, relations};
    use crate::audit::diff::{Change, Side};
    use crate::audit::{Report, Subject, audit};
    use crate::package::{Relation, RelationKind};
    use crate::tree::Tree;

    fn report(version: &str) -> Report {
        let (name, version) = ("acme".to_owned(), version.to_owned());
        let subject = Subject { name, version, kind: "deb", ..Subject::default() };
        audit(subject, Tree::new(), BTreeMap::new(), 1).unwrap()
    }

    /// What differs between version 1.1 with the first texts and 1.2 with the others, each with what it is called.
    fn check(
        old: &[(&str, &str)],
        new: &[(&str, &str)],
        expected: &[&str],
        compare: impl Fn(Side<'_>, Side<'_>) -> Vec<Change>,
    ) {
        let reports = [report("1.1"), report("1.2")];
        let sides = [old, new].map(|all| {
            let relation = |(name, text): &(&str, &str)| Relation {
                kind: if *name == "Gives" { RelationKind::Provides } else { RelationKind::Needs },
                text: (*text).to_owned(),
                because: Vec::new(),
                causes: Vec::new(),
            };
            let field = |(name, text): &(&str, &str)| ((*name).to_owned(), (*text).to_owned());
            let relations: Vec<_> = all.iter().map(relation).collect();
            (relations, all.iter().map(field).collect::<Vec<_>>())
        });
        let (tree, scripts, owners) = (Tree::new(), BTreeMap::new(), BTreeMap::new());
        let side = |at: usize| Side {
            owners: &owners,
            report: &reports[at],
            tree: &tree,
            relations: &sides[at].0,
            scripts: &scripts,
            fields: &sides[at].1,
        };
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let found = compare(side(0), side(1));
        let found: Vec<_> =
            found.iter().map(|it| format!("{} -> {}", text(&it.old), text(&it.new))).collect();
        assert_eq!(found, expected, "{old:?} {new:?}");
    }

    #[test]
    fn only_a_whole_version_is_its_own() {
        let check = |old: &str, new: &str, expected: &[&str]| {
            check(&[("", old)], &[("", new)], expected, |old, new| relations(old, new, |_| true));
        };
        check("dpkg", "dpkg (>= 1.17)", &["dpkg -> dpkg (>= 1.17)"]);
        check("dpkg (>= 1.17)", "dpkg (>= 1.27)", &["dpkg (>= 1.17) -> dpkg (>= 1.27)"]);
        check("dpkg (>= 1.1)", "dpkg (>= 1.1)", &[]);
        check("dpkg (= 1.1)", "dpkg (= 1.1-1)", &["dpkg (= 1.1) -> dpkg (= 1.1-1)"]);
        check("acme-data (= 1.1)", "acme-data (= 1.2)", &[]);
        check("acme-data = 1.1", "acme-data = 1.2", &[]);
    }

    #[test]
    fn what_it_provides() {
        let check = |old: &[(&str, &str)], new: &[(&str, &str)], expected: &[&str]| {
            check(old, new, expected, |old, new| {
                relations(old, new, |kind| kind == RelationKind::Provides)
            });
        };
        check(&[], &[("Gives", "shop"), ("", "x")], &[" -> provides shop"]);
        check(
            &[("Gives", "shop (= 1)"), ("Gives", "acme = 1.1")],
            &[("Gives", "shop (= 2)"), ("Gives", "acme = 1.2")],
            &["provides shop (= 1) -> provides shop (= 2)"],
        );
    }

    #[test]
    fn what_fields_say() {
        check(
            &[
                ("Architecture", "amd64"),
                ("Description", "old"),
                ("Enhances", "a,\n b"),
                ("Installed-Size", "1"),
                ("Maintainer", "Ann"),
                ("Source", "acme (1.1)"),
                ("Source RPM", "acme-1.1.src.rpm"),
                ("version", "1.1"),
            ],
            &[
                ("Architecture", "all"),
                ("Description", "new"),
                ("Essential", "yes"),
                ("Installed-Size", "2"),
                ("Maintainer", "Ann"),
                ("Source", "acme (1.2)"),
                ("Source RPM", "acme-1.2.src.rpm"),
                ("version", "1.2"),
            ],
            &["amd64 -> all", "a, b -> ", " -> yes"],
            fields,
        );
    }
}
