//! What a package that was read declares of itself, in the words both formats share.

use crate::backend::rpm::relations::normal;
use crate::package::{Package, Relation, RelationKind};

/// Tags of relations, and what they mean.
const TAGS: [(&str, RelationKind); 6] = [
    ("Requires", RelationKind::Needs),
    ("Recommends", RelationKind::Recommends),
    ("Suggests", RelationKind::Suggests),
    ("Conflicts", RelationKind::Conflicts),
    ("Obsoletes", RelationKind::Replaces),
    ("Provides", RelationKind::Provides),
];

/// The name of the package, and its epoch, version and release in one.
pub(super) fn identity(package: &Package) -> (String, String) {
    let value = |name: &str| {
        let found = package.fields.iter().find(|(tag, _)| tag == name);
        found.map_or("", |(_, value)| value)
    };
    let epoch = match value("Epoch") {
        "" | "0" => String::new(),
        epoch => format!("{epoch}:"),
    };
    (value("Name").to_owned(), format!("{epoch}{}-{}", value("Version"), value("Release")))
}

/// The relations of the tags, but for features of rpm itself; what is not in rpm's grammar stays as it is.
pub(super) fn relations(package: &Package) -> Vec<Relation> {
    let relation = |(tag, text): &(String, String)| {
        let kind = kind(tag)?;
        if text.starts_with("rpmlib(") {
            return None;
        }
        let because = vec![format!("`{tag}` lists `{text}`")];
        let text = normal(text, kind).unwrap_or_else(|_| text.clone());
        Some(Relation { kind, text, because, causes: Vec::new() })
    };
    package.fields.iter().filter_map(relation).collect()
}

/// Whether a tag is one of relations.
pub(super) fn is_relation(tag: &str) -> bool {
    kind(tag).is_some()
}

fn kind(tag: &str) -> Option<RelationKind> {
    // `Requires(postun)` is needed when that script runs.
    let name = tag.split('(').next().unwrap_or_default();
    TAGS.into_iter().find(|(known, _)| *known == name).map(|(_, kind)| kind)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use crate::backend::rpm::declared::{identity, relations};
    use crate::package::{Package, RelationKind};
    use crate::tree::Tree;

    #[test]
    fn tags() {
        let field = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let package = Package {
            owners: BTreeMap::new(),
            fields: vec![
                field("Name", "acme"),
                field("Epoch", "2"),
                field("Version", "1.0~rc1"),
                field("Release", "3.el9"),
                field("Requires", "libc.so.6(GLIBC_2.34)(64bit)"),
                field("Requires", "rpmlib(FileDigests) <= 4.6.0-1"),
                field("Requires(postun)", "/usr/bin/find"),
                field("Obsoletes", "acme-old < 2"),
                field("Provides", "odd  thing"),
            ],
            scripts: BTreeMap::new(),
            compression: "zstd".to_owned(),
            tree: Tree::new(),
        };
        assert_eq!(identity(&package), ("acme".to_owned(), "2:1.0~rc1-3.el9".to_owned()));
        let found = relations(&package);
        let lines: Vec<_> = found.iter().map(|it| (it.kind, it.text.as_str())).collect();
        assert_eq!(
            lines,
            [
                (RelationKind::Needs, "libc.so.6(GLIBC_2.34)(64bit)"),
                (RelationKind::Needs, "/usr/bin/find"),
                (RelationKind::Replaces, "acme-old < 2"),
                (RelationKind::Provides, "odd  thing"),
            ]
        );
        assert_eq!(found[1].because, ["`Requires(postun)` lists `/usr/bin/find`"]);
    }
}
