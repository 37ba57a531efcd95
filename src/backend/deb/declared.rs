//! What a package that was read declares of itself, in the words both formats share.

use crate::backend::deb::machine_called;
use crate::backend::deb::relations::{grammar, normal};
use crate::package::{Machine, Package, Relation, RelationKind};

/// Fields of relations, and what they mean.
const FIELDS: [(&str, RelationKind); 8] = [
    ("Pre-Depends", RelationKind::Needs),
    ("Depends", RelationKind::Needs),
    ("Recommends", RelationKind::Recommends),
    ("Suggests", RelationKind::Suggests),
    ("Breaks", RelationKind::Conflicts),
    ("Conflicts", RelationKind::Conflicts),
    ("Replaces", RelationKind::Replaces),
    ("Provides", RelationKind::Provides),
];

/// The relations of the fields; what is not in Debian's grammar stays as it is.
pub(super) fn relations(package: &Package) -> Vec<Relation> {
    let mut relations = Vec::new();
    for (field, kind) in FIELDS {
        let texts = value(package, field).split(',').map(str::trim).filter(|text| !text.is_empty());
        relations.extend(texts.map(|text| {
            let text = normal(text, grammar(kind)).unwrap_or_else(|_| text.to_owned());
            let because = vec![format!("`{field}` lists `{text}`")];
            Relation { kind, text, because, causes: Vec::new() }
        }));
    }
    relations
}

/// Whether a field is one of relations.
pub(super) fn is_relation(field: &str) -> bool {
    FIELDS.iter().any(|(name, _)| name.eq_ignore_ascii_case(field))
}

/// The machine the package is for.
pub(super) fn machine(package: &Package) -> Option<Machine> {
    machine_called(value(package, "Architecture").trim())
}

/// The name and the version of the package.
pub(super) fn identity(package: &Package) -> (String, String) {
    (value(package, "Package").trim().to_owned(), value(package, "Version").trim().to_owned())
}

fn value<'p>(package: &'p Package, name: &str) -> &'p str {
    let found = package.fields.iter().find(|(field, _)| field.eq_ignore_ascii_case(name));
    found.map_or("", |(_, value)| value)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use crate::backend::deb::declared::{identity, machine, relations};
    use crate::package::{Machine, Package};
    use crate::tree::Tree;

    #[test]
    fn fields() {
        let fields = [
            ("Architecture", "arm64"),
            ("Package", "acme"),
            ("version", "1:2.0-1"),
            ("depends", "libc6(>=2.34),\n a1 | b1 (<< 2), ${odd}"),
            ("Breaks", "c1 (<< 2)"),
        ];
        let fields = fields.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        let compression = "xz".to_owned();
        let package = Package {
            fields,
            scripts: BTreeMap::new(),
            compression,
            tree: Tree::new(),
            owners: BTreeMap::new(),
        };
        assert_eq!(machine(&package), Some(Machine::Aarch64));
        assert_eq!(identity(&package), ("acme".to_owned(), "1:2.0-1".to_owned()));
        let relations = relations(&package);
        let texts: Vec<_> = relations
            .iter()
            .map(|it| format!("{} {}: {}", it.kind.verb(), it.text, it.because.join("; ")))
            .collect();
        assert_eq!(
            texts,
            [
                "needs libc6 (>= 2.34): `Depends` lists `libc6 (>= 2.34)`",
                "needs a1 | b1 (<< 2): `Depends` lists `a1 | b1 (<< 2)`",
                "needs ${odd}: `Depends` lists `${odd}`",
                "conflicts with c1 (<< 2): `Breaks` lists `c1 (<< 2)`",
            ]
        );
    }
}
