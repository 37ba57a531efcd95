//! The least version of each package that will do, with the files that set it.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;

use crate::backend::deb::libraries::database::STATUS;
use crate::backend::deb::libraries::root::Root;
use crate::backend::deb::order::compare;
use crate::backend::deb::relations;
use crate::needs::{FileNeeds, Library};
use crate::package::{Relation, RelationKind};
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
    /// The file and the symbol that set it, when a symbol did.
    setter: Option<(PkgPath, String)>,
    /// Keys of the configuration that made it what it is.
    rules: BTreeSet<String>,
    /// The libraries.
    sonames: BTreeSet<String>,
    /// The first and the last file that needs one of them, and the number of files.
    users: Option<(PkgPath, PkgPath, usize)>,
}

impl Floors {
    /// Asks for `template` at `version`, unless a later one is asked for already. `cause` is the file, the library, and
    /// the symbol if it was one.
    pub(super) fn raise(
        &mut self,
        kind: RelationKind,
        template: &str,
        version: &str,
        cause: (&FileNeeds, &Library, Option<&str>),
    ) {
        let (file, library, symbol) = cause;
        for part in template.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let floor = self.0.entry((kind, part.to_owned())).or_default();
            floor.note(file, library);
            if floor.version.is_empty() || compare(version, &floor.version) == Ordering::Greater {
                floor.version = version.to_owned();
                floor.setter = symbol.map(|symbol| (file.path.clone(), symbol.to_owned()));
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
        (floor.version, floor.setter) = (String::new(), None);
        floor.note(file, library);
    }

    /// The relations, in normal form.
    pub(super) fn relations(self) -> Result<Vec<Relation>> {
        let relation = |((kind, template), floor): ((RelationKind, String), Floor)| {
            // A version that any package has is none.
            let has_version = !matches!(floor.version.as_str(), "" | "0");
            let bound = if has_version { format!("(>= {})", floor.version) } else { String::new() };
            let text =
                relations::normal(&template.replace(PLACE, &bound), relations::grammar(kind))?;
            let is_set = has_version && template.contains(PLACE);
            Ok(Relation { kind, text, because: floor.because(is_set) })
        };
        self.0.into_iter().map(relation).collect()
    }
}

impl Floor {
    fn note(&mut self, file: &FileNeeds, library: &Library) {
        self.rules.extend(library.rules.iter().cloned());
        self.sonames.insert(library.soname.clone());
        let (_, last, count) =
            self.users.get_or_insert_with(|| (file.path.clone(), file.path.clone(), 1));
        if *last != file.path {
            *last = file.path.clone();
            *count += 1;
        }
    }

    fn because(&self, is_set: bool) -> Vec<String> {
        let sonames: Vec<_> = self.sonames.iter().map(|soname| format!("`{soname}`")).collect();
        let sonames = sonames.join(", ");
        let users = self.users.iter().map(|(first, _, count)| match count {
            1 => format!("`{first}` needs {sonames}"),
            2 => format!("`{first}` and 1 more file need {sonames}"),
            _ => format!("`{first}` and {} more files need {sonames}", count - 1),
        });
        let setter = self.setter.as_ref().filter(|_| is_set);
        let setter = setter.map(|(path, symbol)| format!("`{path}` uses `{symbol}`"));
        let rules = self.rules.iter().map(|rule| format!("`{rule}` lists it"));
        users.chain(setter).chain(rules).collect()
    }
}

/// Whether the dpkg of a root looks up the versions a file needs beside its symbols; it does since 1.22.22.
pub(super) fn adds_versions(root: &Root) -> bool {
    let status = root.text(STATUS).unwrap_or_default();
    let stanza = status.split("\n\n").find(|stanza| {
        stanza.trim_start().lines().next().is_some_and(|line| line == "Package: dpkg")
    });
    let version =
        stanza.and_then(|text| text.lines().find_map(|line| line.strip_prefix("Version: ")));
    version.is_some_and(|version| compare(version.trim(), "1.22.22") != Ordering::Less)
}
