//! What the ELF files of a package need from the system, once all they find in the package itself is taken off.
//!
//! Follows the loader (ld.so(8)): directories a file names, those of its loaders, libraries beside it, then the
//! system. Knows no package format and does not look at the host.

mod paths;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::elf::{Abi, ElfFacts, ElfKind, ElfReport};
use crate::needs::paths::{expand, follow, normal};
use crate::tree::{Entry, PkgPath, Tree};

/// What a package needs from the system.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Files that need something, sorted by path.
    pub files: Vec<FileNeeds>,
    /// What the user should know of the rules.
    pub warnings: Vec<String>,
}

/// What one file needs from the system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileNeeds {
    /// Where it is in the package.
    pub path: PkgPath,
    /// Who brought it, such as `numpy 2.4.6`.
    pub origin: Arc<str>,
    /// What its libraries must be, too.
    pub abi: Abi,
    /// Absolute directories it wants searched before those of the system.
    pub dirs: Vec<String>,
    /// The libraries, in the order they are loaded.
    pub libraries: Vec<Library>,
    /// The symbols that may come from them.
    pub symbols: Vec<SymbolNeed>,
}

/// A library one file needs from the system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Library {
    /// Its name, such as `libpq.so.5`, or an absolute path.
    pub soname: String,
    /// Versions it must have, each with whether it may be missing.
    pub versions: Vec<(String, bool)>,
    /// A library of the same name elsewhere in the package: it serves when the system has none.
    pub spare: Option<PkgPath>,
    /// Whether the application works without it.
    pub is_optional: bool,
    /// The package that stands for it, whatever the system says.
    pub renamed: Option<String>,
}

/// A symbol one file needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SymbolNeed {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: Option<Arc<str>>,
}

/// What the user decides about libraries. Names may hold `*` and `?`.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'a> {
    /// Libraries to forget.
    pub ignore: &'a [String],
    /// Libraries the application works without.
    pub weak: &'a [String],
    /// Libraries with the package that stands for each.
    pub rename: &'a BTreeMap<String, String>,
}

/// Splits what the files of `report` need into what `tree` has and what the system must have.
pub fn resolve(report: ElfReport, tree: &Tree, rules: &Rules<'_>) -> Needs {
    let inside = Inside::new(report, tree);
    let providers = inside.providers();
    let mut needs = Needs::default();
    let mut used = BTreeSet::new();
    let mut ignored: BTreeMap<String, Vec<PkgPath>> = BTreeMap::new();
    for (index, object) in inside.objects.iter().enumerate() {
        let is_outside = |name: &&String| !providers.contains_key(&(index, name.as_str()));
        let mut libraries = Vec::new();
        for soname in object.facts.dynamic.needed.iter().filter(is_outside) {
            if let Some(rule) = rules.ignore.iter().find(|rule| matches(rule, soname)) {
                used.insert(("ignore", rule.clone()));
                ignored.entry(soname.clone()).or_default().push(object.path.clone());
                continue;
            }
            libraries.push(inside.library(object, soname, rules, &mut used));
        }
        if !libraries.is_empty() {
            let symbols = symbols(&object.facts, &libraries);
            needs.files.push(FileNeeds {
                path: object.path.clone(),
                origin: Arc::clone(&object.origin),
                abi: object.facts.abi,
                dirs: object.dirs.clone(),
                libraries,
                symbols,
            });
        }
    }
    let count = |paths: &[PkgPath]| match paths {
        [one] => format!("`{one}` needs"),
        [first, rest @ ..] => format!("`{first}` and {} more files need", rest.len()),
        [] => String::new(),
    };
    needs.warnings = ignored
        .iter()
        .map(|(soname, paths)| format!("{} `{soname}`, which is ignored", count(paths)))
        .collect();
    let rename: Vec<_> = rules.rename.keys().cloned().collect();
    for (key, list) in [("ignore", rules.ignore), ("weak", rules.weak), ("rename", &rename)] {
        let idle = list.iter().filter(|rule| !used.contains(&(key, (*rule).clone())));
        needs.warnings.extend(idle.map(|rule| {
            format!("`dependencies.{key}` lists `{rule}`, which no file needs from the system")
        }));
    }
    needs
}

/// Whether `name` is `pattern`, in which `*` stands for any text and `?` for one character.
pub fn matches(pattern: &str, name: &str) -> bool {
    let mut rest = name.chars();
    let mut letters = pattern.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '*' => {
                let tail = letters.as_str();
                let text = rest.as_str();
                let mut starts = text.char_indices().map(|(at, _)| at).chain([text.len()]);
                return starts.any(|at| matches(tail, &text[at..]));
            }
            '?' if rest.next().is_some() => {}
            _ if rest.next() == Some(letter) => {}
            _ => return false,
        }
    }
    rest.as_str().is_empty()
}

/// A file the loader loads.
struct Object {
    path: PkgPath,
    origin: Arc<str>,
    facts: ElfFacts,
    /// Directories it names, expanded.
    dirs: Vec<String>,
}

/// All that is loaded, by path and by name.
struct Inside<'t> {
    tree: &'t Tree,
    objects: Vec<Object>,
    by_path: BTreeMap<PkgPath, usize>,
    by_name: BTreeMap<String, Vec<usize>>,
}

/// The object that serves a name of another: `(object, name) -> object`.
type Providers<'i> = BTreeMap<(usize, &'i str), usize>;

impl<'t> Inside<'t> {
    fn new(report: ElfReport, tree: &'t Tree) -> Self {
        let mut objects = Vec::new();
        let mut by_path = BTreeMap::new();
        let mut by_name: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for file in report.files {
            let Ok(facts) = file.facts else { continue };
            if facts.kind != ElfKind::Loadable {
                continue;
            }
            let origin = match tree.get(&file.path) {
                Some(Entry::File { origin, .. }) => Arc::clone(origin),
                Some(Entry::Dir { .. } | Entry::Symlink { .. }) | None => Arc::from(""),
            };
            let index = objects.len();
            let names = facts.dynamic.soname.iter().cloned();
            let names: BTreeSet<_> = names.chain([file.path.file_name().to_owned()]).collect();
            names.into_iter().for_each(|name| by_name.entry(name).or_default().push(index));
            by_path.insert(file.path.clone(), index);
            let list = facts.dynamic.runpath.as_ref().or(facts.dynamic.rpath.as_ref());
            let dirs = list.map(|list| expand(list, &file.path, facts.machine)).unwrap_or_default();
            objects.push(Object { path: file.path, origin, facts, dirs });
        }
        Self { tree, objects, by_path, by_name }
    }

    /// Which names are served inside, and by what.
    fn providers(&self) -> Providers<'_> {
        let mut providers = Providers::new();
        for (index, object) in self.objects.iter().enumerate() {
            for name in &object.facts.dynamic.needed {
                let found = self
                    .in_dirs(object, name, &object.dirs)
                    .or_else(|| self.in_own_libs(object, name));
                if let Some(found) = found {
                    providers.insert((index, name.as_str()), found);
                }
            }
        }
        // What is found through a loader makes new loaders; each round finds one at least, or is the last.
        loop {
            let found = self.through_loaders(&providers);
            if found.is_empty() {
                return providers;
            }
            providers.extend(found);
        }
    }

    /// ld.so(8): DT_RPATH, unlike DT_RUNPATH, holds for the libraries a file loads, too.
    fn through_loaders<'i>(&'i self, providers: &Providers<'i>) -> Providers<'i> {
        let mut loaders: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
        for ((loader, _), loaded) in providers {
            loaders.entry(*loaded).or_default().insert(*loader);
        }
        let mut found = Providers::new();
        for (index, object) in self.objects.iter().enumerate() {
            if object.facts.dynamic.runpath.is_some() || !loaders.contains_key(&index) {
                continue;
            }
            let needed = object.facts.dynamic.needed.iter();
            for name in needed.filter(|name| !providers.contains_key(&(index, name.as_str()))) {
                let above = ancestors(index, &loaders).into_iter();
                let above = above.map(|loader| &self.objects[loader]);
                let mut above = above.filter(|loader| loader.facts.dynamic.runpath.is_none());
                let provider = above.find_map(|loader| self.in_dirs(object, name, &loader.dirs));
                if let Some(provider) = provider {
                    found.insert((index, name.as_str()), provider);
                }
            }
        }
        found
    }

    fn in_dirs(&self, object: &Object, name: &str, dirs: &[String]) -> Option<usize> {
        if name.contains('/') {
            return self.at(object, name);
        }
        dirs.iter().find_map(|dir| self.at(object, &format!("{dir}/{name}")))
    }

    /// The object at `path`, if it can be loaded beside `object`.
    fn at(&self, object: &Object, path: &str) -> Option<usize> {
        let path = follow(self.tree, &normal(path)?)?;
        let index = *self.by_path.get(&path)?;
        (self.objects[index].facts.abi == object.facts.abi).then_some(index)
    }

    /// Tools that repair wheels keep a wheel's libraries in `<name>.libs`, under names of their own.
    fn in_own_libs(&self, object: &Object, name: &str) -> Option<usize> {
        let is_libs = |candidate: &Object| {
            let dir = candidate.path.parent();
            dir.is_some_and(|dir| dir.file_name().ends_with(".libs"))
                && candidate.origin == object.origin
        };
        self.named(object, name).find(|index| is_libs(&self.objects[*index]))
    }

    /// Objects called `name` that can be loaded beside `object`.
    fn named(&self, object: &Object, name: &str) -> impl Iterator<Item = usize> {
        let abi = object.facts.abi;
        let all = self.by_name.get(name).into_iter().flatten().copied();
        all.filter(move |index| self.objects[*index].facts.abi == abi)
    }

    fn library(
        &self,
        object: &Object,
        soname: &str,
        rules: &Rules<'_>,
        used: &mut BTreeSet<(&'static str, String)>,
    ) -> Library {
        let needs = object.facts.dynamic.version_needs.iter();
        let versions = needs.filter(|need| need.soname == soname);
        let weak = rules.weak.iter().find(|rule| matches(rule, soname));
        used.extend(weak.map(|rule| ("weak", rule.clone())));
        let renamed = rules.rename.iter().find(|(rule, _)| matches(rule, soname));
        used.extend(renamed.map(|(rule, _)| ("rename", rule.clone())));
        Library {
            soname: soname.to_owned(),
            versions: versions.flat_map(|need| need.versions.iter().cloned()).collect(),
            spare: self.named(object, soname).next().map(|at| self.objects[at].path.clone()),
            is_optional: weak.is_some(),
            renamed: renamed.map(|(_, package)| package.clone()),
        }
    }
}

/// The loaders of `index`, nearest first.
fn ancestors(index: usize, loaders: &BTreeMap<usize, BTreeSet<usize>>) -> Vec<usize> {
    let (mut seen, mut order) = (BTreeSet::from([index]), vec![index]);
    let mut at = 0;
    while let Some(current) = order.get(at).copied() {
        let above = loaders.get(&current).into_iter().flatten();
        order.extend(above.filter(|loader| seen.insert(**loader)).copied().collect::<Vec<_>>());
        at += 1;
    }
    order
}

/// Symbols that no library inside is bound to by their version.
fn symbols(facts: &ElfFacts, libraries: &[Library]) -> Vec<SymbolNeed> {
    let needs = &facts.dynamic.version_needs;
    let names: Vec<Vec<Arc<str>>> = needs
        .iter()
        .map(|need| need.versions.iter().map(|(name, _)| Arc::from(name.as_str())).collect())
        .collect();
    let is_inside = |soname: &String| {
        facts.dynamic.needed.contains(soname)
            && !libraries.iter().any(|library| library.soname == *soname)
    };
    let is_inside: Vec<_> = needs.iter().map(|need| is_inside(&need.soname)).collect();
    let undefined = facts.dynamic.undefined.iter();
    let outside =
        undefined.filter(|symbol| symbol.version.is_none_or(|(need, _)| !is_inside[need]));
    let need = |symbol: &crate::elf::Symbol| SymbolNeed {
        name: symbol.name.clone(),
        version: symbol.version.map(|(need, version)| Arc::clone(&names[need][version])),
    };
    outside.map(need).collect()
}
