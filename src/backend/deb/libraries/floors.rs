//! The least version of each package that will do, with the files that set it.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use anyhow::Result;

use crate::backend::deb::order::compare;
use crate::backend::deb::relations;
use crate::needs::{FileNeeds, Library, SymbolNeed};
use crate::package::{Cause, Relation, RelationKind};
use crate::tree::PkgPath;

/// What a symbols file writes where the version belongs.
const PLACE: &str = "#MINVER#";

/// By kind and template.
#[derive(Debug, Default)]
pub(super) struct Floors(BTreeMap<(RelationKind, String), Floor>);

#[derive(Debug, Default)]
struct Floor {
    /// The version; empty for any.
    version: String,
    /// Keys of the configuration that made it what it is.
    rules: BTreeSet<String>,
    /// Who asks, by file: one for each library and version of its symbols.
    uses: Vec<Use>,
}

#[derive(Debug)]
struct Use {
    file: PkgPath,
    origin: Arc<str>,
    soname: String,
    /// Of the symbols of one version the one that asks for most. One with the name of its version stands for that.
    symbol: Option<SymbolNeed>,
    /// The version of the package it asks for; empty for any.
    version: String,
}

impl Floors {
    /// Asks for `template` at `version`, unless a later one is asked for already. `cause` is the file, the library, and
    /// the symbol if it was one.
    pub(super) fn raise(
        &mut self,
        kind: RelationKind,
        template: &str,
        version: &str,
        cause: (&FileNeeds, &Library, Option<&SymbolNeed>),
    ) {
        for part in template.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let floor = self.0.entry((kind, part.to_owned())).or_default();
            floor.note(version, cause);
            if floor.version.is_empty() || compare(version, &floor.version) == Ordering::Greater {
                floor.version = version.to_owned();
            }
        }
    }

    /// Asks for `text` in any version, even if a later one was asked for: what has only a shlibs file is told there.
    pub(super) fn add(
        &mut self,
        kind: RelationKind,
        text: &str,
        file: &FileNeeds,
        library: &Library,
    ) {
        let floor = self.0.entry((kind, text.to_owned())).or_default();
        floor.version = String::new();
        floor.note("", (file, library, None));
        for (version, _) in &library.versions {
            let version_itself = SymbolNeed::version_itself(version);
            floor.note("", (file, library, Some(&version_itself)));
        }
    }

    /// The relations, in normal form.
    pub(super) fn relations(self) -> Result<Vec<Relation>> {
        let relation = |((kind, template), floor): ((RelationKind, String), Floor)| {
            let text = ask(kind, &template, &floor.version)?;
            let rules = floor.rules.iter().map(|rule| format!("`{rule}` lists it"));
            let because = rules.collect();
            let mut uses = floor.uses;
            uses.sort_by(|left, right| compare(&right.version, &left.version));
            let causes = uses.into_iter().map(|it| it.cause(kind, &template));
            Ok(Relation { kind, text, because, causes: causes.collect::<Result<_>>()? })
        };
        self.0.into_iter().map(relation).collect()
    }
}

impl Floor {
    fn note(
        &mut self,
        version: &str,
        (file, library, symbol): (&FileNeeds, &Library, Option<&SymbolNeed>),
    ) {
        self.rules.extend(library.rules.iter().cloned());
        // Files come one after the other.
        let of_file = self.uses.iter_mut().rev().take_while(|known| known.file == file.path);
        let mut of_library = of_file.filter(|known| known.soname == library.soname);
        // A symbol tells more than the library as a whole.
        let known = of_library.find(|known| match (&known.symbol, symbol) {
            (None, _) => true,
            (Some(known), Some(symbol)) => known.version == symbol.version,
            (Some(_), None) => false,
        });
        match known {
            Some(known) => known.raise(version, symbol),
            None => self.uses.push(Use {
                file: file.path.clone(),
                origin: Arc::clone(&file.origin),
                soname: library.soname.clone(),
                symbol: symbol.cloned(),
                version: version.to_owned(),
            }),
        }
    }
}

impl Use {
    fn raise(&mut self, version: &str, symbol: Option<&SymbolNeed>) {
        let is_told = self.symbol.is_some() || symbol.is_none();
        if !is_told || compare(version, &self.version) == Ordering::Greater {
            self.symbol = symbol.cloned();
            self.version = version.to_owned();
        }
    }

    fn cause(self, kind: RelationKind, template: &str) -> Result<Cause> {
        let asks = ask(kind, template, &self.version)?;
        let is_bound = template.contains(PLACE) && is_bound(&self.version);
        let is_decided_by_symbol = is_bound && self.symbol.is_some();
        let version = self.symbol.as_ref().and_then(|symbol| symbol.version.as_deref());
        let version = version.map(str::to_owned);
        let name = self.symbol.map(|symbol| symbol.name);
        let symbol = name.filter(|name| version.as_ref() != Some(name));
        let Self { file, origin, soname, .. } = self;
        Ok(Cause { file, origin, soname, version, symbol, asks, is_decided_by_symbol })
    }
}

/// The relation of a template at a version.
fn ask(kind: RelationKind, template: &str, version: &str) -> Result<String> {
    let bound = if is_bound(version) { format!("(>= {version})") } else { String::new() };
    relations::normal(&template.replace(PLACE, &bound), relations::grammar(kind))
}

/// A version that any package has is none.
fn is_bound(version: &str) -> bool {
    !matches!(version, "" | "0")
}

/// Whether a version of dpkg looks up the versions a file needs beside its symbols; it does since 1.22.22.
pub(super) fn adds_versions(dpkg: Option<&str>) -> bool {
    dpkg.is_some_and(|version| compare(version, "1.22.22") != Ordering::Less)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::backend::deb::libraries::floors::Floors;
    use crate::elf::Abi;
    use crate::needs::{FileNeeds, Library, SymbolNeed};
    use crate::package::RelationKind;
    use crate::tree::PkgPath;

    fn library() -> Library {
        Library {
            soname: "libx.so.1".to_owned(),
            versions: vec![("X_1".to_owned(), false), ("X_2".to_owned(), false)],
            spare: None,
            is_optional: false,
            renamed: None,
            rules: Vec::new(),
        }
    }

    fn file(name: &str) -> FileNeeds {
        FileNeeds {
            path: PkgPath::new(name).unwrap(),
            origin: Arc::from("demo 1"),
            abi: Abi { class: 2, data: 1, machine: 62, flags: 0 },
            dirs: Vec::new(),
            libraries: Vec::new(),
            is_inert: false,
            symbols: Vec::new(),
        }
    }

    /// Relations, each followed by its causes.
    fn check(floors: Floors, expected: &[&str]) {
        let mut lines = Vec::new();
        for relation in floors.relations().unwrap() {
            lines.push(relation.text);
            lines.extend(relation.causes.iter().map(|cause| {
                let used = cause.used().unwrap_or_default();
                let decides = if cause.is_decided_by_symbol { "!" } else { "" };
                format!("{} {used}{decides} -> {}", cause.file, cause.asks)
            }));
        }
        assert_eq!(lines, expected);
    }

    #[test]
    fn of_each_version_the_symbol_that_asks_for_most_is_kept() {
        let mut floors = Floors::default();
        let library = library();
        let symbol = |name: &str, version: Option<&str>| SymbolNeed {
            name: name.to_owned(),
            version: version.map(Arc::from),
        };
        let uses = [
            ("a", "1", None),
            ("a", "1", Some(symbol("one", Some("X_1")))),
            ("a", "1.5", Some(symbol("more", Some("X_1")))),
            ("a", "1.2", Some(symbol("less", Some("X_1")))),
            ("a", "0", Some(symbol("bare", None))),
            ("b", "1", None),
            ("b", "2", Some(SymbolNeed::version_itself("X_2"))),
            ("c", "1", None),
        ];
        for (path, version, symbol) in uses {
            let cause = (&file(path), &library, symbol.as_ref());
            floors.raise(RelationKind::Needs, "libx #MINVER#", version, cause);
        }
        check(
            floors,
            &[
                "libx (>= 2)",
                "/b X_2! -> libx (>= 2)",
                "/a more@X_1! -> libx (>= 1.5)",
                "/c  -> libx (>= 1)",
                "/a bare -> libx",
            ],
        );
    }

    #[test]
    fn without_symbols_the_versions_do_not_decide() {
        let mut floors = Floors::default();
        floors.add(RelationKind::Needs, "libx (>= 3)", &file("a"), &library());
        check(floors, &["libx (>= 3)", "/a X_1 -> libx (>= 3)", "/a X_2 -> libx (>= 3)"]);
    }
}
