//! Native components inside compiled files and wheels.
//!
//! What is known comes from lists that wheels bring, notes in files, functions by which libraries tell their version,
//! texts that only one component has, and from libraries that are made together. Each component is told with the evidence
//! for it. Numbers by themselves, and those in names of files, are versions of interfaces as often as not: never taken.

mod family;
mod functions;
mod lists;
mod marks;
mod version;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::audit::components::functions::Told;
use crate::audit::components::lists::{Copies, is_list, listed, noted};
use crate::audit::components::marks::{Named, of_texts};
use crate::audit::finding::Finding;
use crate::elf::ElfReport;
use crate::tree::content::Content;
use crate::tree::{Entry, PkgPath, Tree};

/// A component of which there is a copy inside.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Component {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The file it is in, or that says so.
    pub path: String,
    /// Distribution that brought that file; empty for none.
    pub distribution: String,
    /// Its package URL, where a list has one.
    pub purl: Option<String>,
    /// How that is known.
    pub evidence: Evidence,
    /// What was found, word for word.
    pub found: String,
}

/// How a component is known, the strongest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Evidence {
    /// A list of components in the wheel (PEP 770).
    Sbom,
    /// A note in the file (`.note.package`).
    Note,
    /// A function or datum of the file that is there to tell its version.
    Symbol,
    /// A text in the file.
    Text,
    /// A library that is made with it tells its version.
    Family,
}

/// The check that finds what is not known.
pub(super) const UNIDENTIFIED: &str = "LIB002";

/// Directories that tools which graft libraries into wheels put them in (auditwheel, delvewheel).
const GRAFTED: &str = ".libs/";

/// What the bytes of a compiled file tell of components.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Clues {
    told: Vec<Told>,
    named: Vec<Named>,
}

/// What a content is known to tell of components, before it is read.
pub type Known<'a> = &'a (dyn Fn(&Content) -> Option<Clues> + Sync);

/// Looks for what tells of components in a compiled file.
pub fn clues(bytes: &[u8]) -> Clues {
    Clues { told: functions::told(bytes), named: marks::named(bytes) }
}

/// Components, sorted, each once a file; and grafted libraries nothing is known of.
pub(super) fn read(
    tree: &Tree,
    elf: &ElfReport,
    clues: &[Clues],
) -> (Vec<Component>, Vec<Finding>) {
    let is_grafted = |path: &&PkgPath| path.as_str().contains(GRAFTED);
    let compiled = || elf.files.iter().map(|file| &file.path);
    let copies = Copies::new(compiled().filter(is_grafted));
    let mut all: Vec<_> = tree
        .files()
        .filter(|(path, ..)| is_list(path))
        .flat_map(|(path, content, _)| listed(path, content, &copies))
        .collect();
    for (file, clues) in elf.files.iter().zip(clues) {
        let Ok(facts) = &file.facts else { continue };
        let note = facts.notes.package.as_deref();
        all.extend(note.and_then(|note| noted(note, &file.path)));
        let told: Vec<_> = clues.told.iter().map(|told| of_symbol(told, &file.path)).collect();
        let mut texts = of_texts(&clues.named, &file.path, &facts.dynamic);
        texts.retain(|text| told.iter().all(|told| told.name != text.name));
        all.extend(told.into_iter().chain(texts));
    }
    all.extend(family::related(elf, &all));
    let known: BTreeSet<_> = all.iter().map(|one| &one.path).collect();
    let unknown = compiled().filter(is_grafted).map(PkgPath::absolute);
    let unknown = unknown.filter(|path| !known.contains(path));
    let message = "nothing in it tells its version";
    let findings =
        unknown.map(|path| Finding::new(UNIDENTIFIED, path, message.to_owned())).collect();
    let owned = |one: Component| Component { distribution: owner(tree, &one), ..one };
    let all: BTreeSet<_> = all.into_iter().map(owned).collect();
    (all.into_iter().collect(), findings)
}

fn of_symbol(told: &Told, path: &PkgPath) -> Component {
    let identity = (told.name.clone(), told.version.clone());
    let found = format!("`{}`", told.symbol);
    Component { found, ..Component::new(identity, path, Evidence::Symbol) }
}

/// Who brought the file that a component is in.
fn owner(tree: &Tree, component: &Component) -> String {
    match PkgPath::new(&component.path).ok().and_then(|path| tree.get(&path)) {
        Some(Entry::File { origin, .. }) => origin.to_string(),
        Some(Entry::Dir { .. } | Entry::Symlink { .. }) | None => String::new(),
    }
}

impl Component {
    /// A component of that name and version in the file at `path`.
    fn new((name, version): (String, String), path: &PkgPath, evidence: Evidence) -> Self {
        let (path, distribution, found) = (path.absolute(), String::new(), String::new());
        Self { name, version, path, distribution, purl: None, evidence, found }
    }
}
