//! Requirements of the libraries a package needs from the system: what `elfdeps` derives, less what the package has.
//!
//! An rpm requires libraries and their versions by name, whatever package has them: no database is asked.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use anyhow::Result;

use crate::backend::rpm::elfdeps::{GNU_HASH, PRIVATE, dependency};
use crate::backend::rpm::relations;
use crate::error::UserError;
use crate::needs::{FileNeeds, Library, Needs, abi};
use crate::package::{Cause, Relation, RelationKind, users};
use crate::tree::PkgPath;

/// Relations, and what is to be said of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Derived {
    /// One for each name, sorted.
    pub relations: Vec<Relation>,
    /// What the user should know.
    pub warnings: Vec<String>,
}

/// What `needs` means in relations.
pub(super) fn derive(needs: &Needs) -> Result<Derived> {
    let mut relations = Relations::default();
    let mut warnings = BTreeSet::new();
    for file in needs.files.iter().filter(|file| !file.is_inert) {
        for library in &file.libraries {
            let kind =
                if library.is_optional { RelationKind::Recommends } else { RelationKind::Needs };
            if let Some(package) = &library.renamed {
                let text = relations::normal(package, kind)?;
                relations.add(kind, text, file, (library, None));
                continue;
            }
            if let Some(spare) = spare(library) {
                warnings.insert(format!(
                    "`{}` does not say where to find `{}`; it is taken to be `{spare}`, loaded before",
                    file.path, library.soname
                ));
                continue;
            }
            for (text, version) in names(file, library)? {
                relations.add(kind, text, file, (library, version));
            }
        }
    }
    let mut relations: Vec<_> = relations.finish().chain(gnu_hash(&needs.gnu_hashed)).collect();
    relations.sort_by(|left, right| (left.kind, &left.text).cmp(&(right.kind, &right.text)));
    Ok(Derived { relations, warnings: warnings.into_iter().collect() })
}

/// The library of the package that serves where no file says which one is meant: what every system has serves there
/// itself. Of PEP 600's list, that is what comes with glibc, gcc and Python.
fn spare(library: &Library) -> Option<&PkgPath> {
    let soname = library.soname.as_str();
    let is_everywhere = abi::is_basic(soname) || soname == "libexpat.so.1";
    library.spare.as_ref().filter(|_| !is_everywhere)
}

/// What is asked for: the library, and each version of it.
fn names<'l>(file: &FileNeeds, library: &'l Library) -> Result<Vec<(String, Option<&'l str>)>> {
    if library.versions.iter().any(|(version, _)| version == PRIVATE) {
        return Err(private(file, library));
    }
    let versions = library.versions.iter().map(|(version, _)| version.as_str());
    let names = std::iter::once(None).chain(versions.map(Some)).filter_map(|version| {
        Some((dependency(&library.soname, version.unwrap_or_default(), file.abi)?, version))
    });
    let names: Vec<_> = names.collect();
    let is_plain = |at: char| at.is_ascii_graphic() && !matches!(at, '(' | ')');
    let is_writable = library.soname.chars().all(is_plain)
        && library.versions.iter().all(|(version, _)| version.chars().all(is_plain));
    if !is_writable || names.is_empty() && !library.is_optional {
        return Err(nameless(file, library));
    }
    Ok(names)
}

fn private(file: &FileNeeds, library: &Library) -> anyhow::Error {
    let soname = &library.soname;
    let message = format!(
        "{} needs the version `{PRIVATE}` of `{soname}`, which holds for one build of glibc only",
        file.who()
    );
    UserError::unresolved(message)
        .hint("get a wheel that is built for other systems, too, or exclude the file")
        .into()
}

fn nameless(file: &FileNeeds, library: &Library) -> anyhow::Error {
    let soname = &library.soname;
    let message = format!(
        "{} needs the library `{soname}`, which is not in the package, and no package provides such a name",
        file.who()
    );
    UserError::unresolved(message)
        .hint(format!(
            "list `{soname}` in `rpm.rename` with the package that has it, or in `dependencies.ignore`"
        ))
        .into()
}

/// Relations by kind and text, with what led to them.
#[derive(Debug, Default)]
struct Relations(BTreeMap<(RelationKind, String), Led>);

#[derive(Debug, Default)]
struct Led {
    /// Uses of libraries.
    causes: Vec<Cause>,
    /// Keys of the configuration that made it what it is.
    rules: BTreeSet<String>,
}

impl Relations {
    /// Asks for `text`, which stands for `library`, or for one version of it.
    fn add(
        &mut self,
        kind: RelationKind,
        text: String,
        file: &FileNeeds,
        (library, version): (&Library, Option<&str>),
    ) {
        let led = self.0.entry((kind, text.clone())).or_default();
        led.causes.push(Cause {
            file: file.path.clone(),
            origin: Arc::clone(&file.origin),
            soname: library.soname.clone(),
            version: version.map(str::to_owned),
            symbol: None,
            asks: text,
            is_decided_by_symbol: version.is_some(),
        });
        led.rules.extend(library.rules.iter().cloned());
    }

    fn finish(self) -> impl Iterator<Item = Relation> {
        self.0.into_iter().map(|((kind, text), led)| {
            let rules = led.rules.iter().map(|rule| format!("`{rule}` lists it"));
            Relation { kind, text, because: rules.collect(), causes: led.causes }
        })
    }
}

/// Files whose symbols are found through GNU's hash table alone need a loader that knows it.
fn gnu_hash(files: &[PkgPath]) -> Option<Relation> {
    let because = vec![format!("{} a loader that knows GNU's hash table", users(files)?)];
    let (kind, text) = (RelationKind::Needs, GNU_HASH.to_owned());
    Some(Relation { kind, text, because, causes: Vec::new() })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use crate::backend::rpm::elfdeps::{Generation, requires};
    use crate::backend::rpm::libraries::{Derived, derive};
    use crate::elf::{ElfReport, facts, scan};
    use crate::error::{exit_code, hint};
    use crate::needs::{Needs, Rules, resolve};
    use crate::package::{Relation, RelationKind};
    use crate::tree::content::Content;
    use crate::tree::{Entry, PkgPath, Tree};

    const BASE: &[u8] = include_bytes!("../../../fixtures/elf/libbase.so.1");
    const USER: &[u8] = include_bytes!("../../../fixtures/elf/user.so");
    const PROGRAM: &[u8] = include_bytes!("../../../fixtures/elf/program");

    fn inside(files: &[(&str, u32, &[u8])]) -> (ElfReport, Tree) {
        let mut tree = Tree::new();
        for (path, mode, bytes) in files {
            let entry = Entry::file(Content::bytes(*bytes), *mode, &Arc::from("rocket 2.0"));
            tree.insert(PkgPath::new(path).unwrap(), entry).unwrap();
        }
        (scan(&tree, 1).unwrap(), tree)
    }

    fn needs(files: &[(&str, u32, &[u8])], tables: &[Rules<'_>]) -> Needs {
        let (report, tree) = inside(files);
        resolve(&report, &tree, tables)
    }

    /// Relations as `text: reasons`, recommendations with a `?`.
    fn lines(derived: &Derived) -> Vec<String> {
        let line = |relation: &Relation| {
            let mark = if relation.kind == RelationKind::Recommends { "? " } else { "" };
            format!("{mark}{}: {}", relation.text, relation.reasons().join("; "))
        };
        derived.relations.iter().map(line).collect()
    }

    /// `user.so` with another name in place of `libbase.so.1`, which must not be longer.
    fn renamed(bytes: &[u8], old: &str, new: &str) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        let old_bytes: Vec<_> = old.bytes().chain([0]).collect();
        let places: Vec<_> = (0..bytes.len() - old_bytes.len())
            .filter(|at| bytes[*at..].starts_with(&old_bytes))
            .collect();
        for at in places {
            bytes[at..at + old.len()].fill(0);
            bytes[at..at + new.len()].copy_from_slice(new.as_bytes());
        }
        bytes
    }

    #[test]
    fn what_the_system_must_have() {
        let derived = derive(&needs(&[("o/a.so", 0o644, USER), ("o/b.so", 0o644, USER)], &[]));
        assert_eq!(
            lines(&derived.unwrap()),
            [
                "libbase.so.1()(64bit): `/o/a.so` and 1 more file need `libbase.so.1`",
                "libbase.so.1(BASE_1)(64bit): `/o/a.so` and 1 more file need `libbase.so.1`; `/o/a.so` uses `BASE_1`",
                "libbase.so.1(BASE_2)(64bit): `/o/a.so` and 1 more file need `libbase.so.1`; `/o/a.so` uses `BASE_2`",
                "rtld(GNU_HASH): `/o/a.so` and 1 more file need a loader that knows GNU's hash table",
            ]
        );
        // Nobody can run it.
        assert!(derive(&needs(&[("o/p", 0o644, PROGRAM)], &[])).unwrap().relations.is_empty());
        assert_eq!(derive(&needs(&[("o/p", 0o755, PROGRAM)], &[])).unwrap().relations.len(), 3);
    }

    #[test]
    fn what_the_package_has_is_not_asked_for() {
        for (place, warnings) in [("o/lib/libbase.so.1", 0), ("o/else/libbase.so.1", 1)] {
            let files = [("o/bin/a.so", 0o644, USER), (place, 0o644, BASE)];
            let derived = derive(&needs(&files, &[])).unwrap();
            let texts: Vec<_> = derived.relations.iter().map(|it| it.text.as_str()).collect();
            assert_eq!(texts, ["rtld(GNU_HASH)"], "{place}");
            assert_eq!(derived.warnings.len(), warnings, "{derived:?}");
        }
    }

    #[test]
    fn a_private_copy_of_what_every_system_has_serves_its_own_users_only() {
        let user = renamed(USER, "libbase.so.1", "libz.so.1");
        let library = renamed(BASE, "libbase.so.1", "libz.so.1");
        let files = [("o/a.so", 0o644, user.as_slice()), ("o/w.libs/libz.so.1", 0o644, &library)];
        let elsewhere = [files[0], ("o/else/libz.so.1", 0o644, &library)];
        let count = |files| derive(&needs(files, &[])).unwrap().relations.len();
        assert_eq!((count(&files), count(&elsewhere)), (1, 4));
    }

    #[test]
    fn rules() {
        let (none, weak) = (BTreeMap::new(), ["libbase.so.*".to_owned()]);
        let table = Rules { table: "rpm", ignore: &[], weak: &weak, rename: &none };
        let files: [(&str, u32, &[u8]); 1] = [("o/a.so", 0o644, USER)];
        let derived = derive(&needs(&files, &[table])).unwrap();
        assert_eq!(
            lines(&derived)[0],
            "rtld(GNU_HASH): `/o/a.so` needs a loader that knows GNU's hash table"
        );
        assert_eq!(
            lines(&derived)[1],
            "? libbase.so.1()(64bit): `/o/a.so` needs `libbase.so.1`; `rpm.weak` lists it"
        );
        let rename = BTreeMap::from([("libbase.so.1".to_owned(), "base  >= 2".to_owned())]);
        let table = Rules { table: "rpm", ignore: &[], weak: &[], rename: &rename };
        let derived = derive(&needs(&files, &[table])).unwrap();
        assert_eq!(
            lines(&derived)[0],
            "base >= 2: `/o/a.so` needs `libbase.so.1`; `rpm.rename` lists it"
        );
        let bad = BTreeMap::from([("libbase.so.1".to_owned(), "base (>= 2)".to_owned())]);
        let error = derive(&needs(&files, &[Rules { rename: &bad, ..table }])).unwrap_err();
        assert_eq!(exit_code(&error), 2);
    }

    #[test]
    fn refusals() {
        let private = renamed(USER, "BASE_2", "GLIBC_");
        let mut files = needs(&[("o/a.so", 0o644, &private)], &[]);
        files.files[0].libraries[0].versions[0].0 = "GLIBC_PRIVATE".to_owned();
        let error = derive(&files).unwrap_err();
        assert_eq!(exit_code(&error), 4);
        assert_eq!(
            error.to_string(),
            "`/o/a.so` of `rocket 2.0` needs the version `GLIBC_PRIVATE` of `libbase.so.1`, which holds for one build of glibc only"
        );
        let nameless = renamed(USER, "libbase.so.1", "base.so");
        let error = derive(&needs(&[("o/a.so", 0o644, &nameless)], &[])).unwrap_err();
        assert_eq!(exit_code(&error), 4);
        assert!(hint(&error).unwrap().starts_with("list `base.so` in `rpm.rename`"));
    }

    /// Of all that `elfdeps` derives, what is left over never has the name of a library inside.
    #[test]
    fn nothing_is_asked_for_that_the_package_has() {
        let places = ["o/bin", "o/lib", "o/x.libs", "o/else"];
        let names = ["liba.so", "libb.so.1", "libbase.so.1"];
        // Every library in none or one of the places, and users of all of them in two.
        for round in 0..5_usize.pow(3) {
            let mut libraries = Vec::new();
            let mut inside_names = Vec::new();
            for (index, name) in names.iter().enumerate() {
                if let Some(place) = places.get(round / 5_usize.pow(index as u32) % 5) {
                    inside_names.push(*name);
                    libraries
                        .push((format!("{place}/{name}"), renamed(BASE, "libbase.so.1", name)));
                }
            }
            for name in names {
                let bytes = renamed(USER, "libbase.so.1", name);
                libraries.push((format!("o/bin/user-{name}"), bytes.clone()));
                libraries.push((format!("p/user-{name}"), bytes));
            }
            let files =
                libraries.iter().map(|(path, bytes)| (path.as_str(), 0o644, bytes.as_slice()));
            let derived = derive(&needs(&files.collect::<Vec<_>>(), &[])).unwrap();
            let all: Vec<_> = libraries.iter().map(|(_, bytes)| facts(bytes).unwrap()).collect();
            for relation in &derived.relations {
                let is_of = |name: &str| relation.text.starts_with(&format!("{name}("));
                assert!(!inside_names.iter().any(|name| is_of(name)), "{round}: {relation:?}");
                let is_raw =
                    |facts| requires(facts, false, Generation::All).contains(&relation.text);
                assert!(all.iter().any(is_raw), "{round}: {relation:?}");
            }
            let outside = names.iter().filter(|name| !inside_names.contains(name));
            for name in outside {
                let text = format!("{name}(BASE_2)(64bit)");
                assert!(derived.relations.iter().any(|it| it.text == text), "{round}: {text}");
            }
        }
    }
}
