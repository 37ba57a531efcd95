//! What the ELF files of a package need from the system, once all they find in the package itself is taken off.
//!
//! Follows the loader (ld.so(8)): directories a file names, those of its loaders, libraries beside it, then the
//! system. Knows no package format and does not look at the host.

pub mod abi;
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

impl FileNeeds {
    /// The file, and who brought it, for messages.
    pub fn who(&self) -> String {
        // What no distribution brought has a single word there.
        match self.origin.contains(' ') {
            true => format!("`{}` of `{}`", self.path, self.origin),
            false => format!("`{}`", self.path),
        }
    }
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
        [first, _] => format!("`{first}` and 1 more file need"),
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use crate::elf::{Abi, Dynamic, ElfFacts, ElfFile, ElfKind, ElfReport, Symbol, VersionNeed};
    use crate::needs::{Needs, Rules, matches, resolve};
    use crate::package::Machine;
    use crate::tree::{Content, Entry, PkgPath, Tree};

    /// Files `path soname needed rpath runpath origin`, `-` for none; needed with commas. Links `path -> target`.
    fn inside(lines: &[&str]) -> (ElfReport, Tree) {
        let (mut report, mut tree) = (ElfReport::default(), Tree::new());
        for line in lines {
            let words: Vec<_> = line.split(' ').collect();
            let path = PkgPath::new(words[0]).unwrap();
            if words[1] == "->" {
                tree.insert(path, Entry::Symlink { target: words[2].to_owned() }).unwrap();
                continue;
            }
            let text = |at: usize| (words[at] != "-").then(|| words[at].to_owned());
            let class = if words[5].ends_with("32") { 1 } else { 2 };
            let dynamic = Dynamic {
                soname: text(1),
                needed: text(2)
                    .iter()
                    .flat_map(|list| list.split(','))
                    .map(str::to_owned)
                    .collect(),
                rpath: text(3),
                runpath: text(4),
                ..Dynamic::default()
            };
            let facts = ElfFacts {
                kind: ElfKind::Loadable,
                abi: Abi { class, data: 1, machine: 62, flags: 0 },
                machine: Some(Machine::X86_64),
                load_faults: Vec::new(),
                interpreter: None,
                has_executable_stack: None,
                dynamic,
                troubles: Vec::new(),
            };
            let entry = Entry::file(Content::bytes(*line), 0o644, &Arc::from(words[5]));
            tree.insert(path.clone(), entry).unwrap();
            report.files.push(ElfFile { path, facts: Ok(facts) });
        }
        (report, tree)
    }

    fn needs(lines: &[&str], rules: Option<Rules<'_>>) -> Needs {
        let rename = BTreeMap::new();
        let (report, tree) = inside(lines);
        let none = Rules { ignore: &[], weak: &[], rename: &rename };
        resolve(report, &tree, &rules.unwrap_or(none))
    }

    /// What is left for the system, as `file name`, with `(spare)` where the package has one of that name.
    fn check(lines: &[&str], expected: &[&str]) {
        let needs = needs(lines, None);
        let mut left = Vec::new();
        for file in &needs.files {
            for library in &file.libraries {
                let spare = library.spare.as_ref().map(|_| " (spare)").unwrap_or_default();
                left.push(format!("{} {}{spare}", file.path, library.soname));
            }
        }
        assert_eq!(left, expected, "{lines:?}");
    }

    #[test]
    fn directories_a_file_names() {
        check(
            &["o/a/x.so - l.so,libc.so.6 - $ORIGIN/../lib w", "o/lib/l.so l.so - - - w"],
            &["/o/a/x.so libc.so.6"],
        );
        check(&["o/a/x.so - l.so ${ORIGIN}/../lib - w", "o/lib/l.so - - - - w"], &[]);
        check(&["o/x.so - l.so - /o/$LIB w", "o/lib64/l.so - - - - w"], &[]);
        check(&["o/x.so - l.so - /o/$LIB/$PLATFORM w", "o/lib/x86_64/l.so - - - - w"], &[]);
        check(&["o/x.so - l.so - lib w", "o/lib/l.so - - - - w"], &["/o/x.so l.so (spare)"]);
        check(&["o/x.so - /o/lib/l.so - - w", "o/lib/l.so - - - - w"], &[]);
        // A RUNPATH makes the loader forget the RPATH.
        check(
            &["o/x.so - l.so $ORIGIN/lib $ORIGIN/no w", "o/lib/l.so - - - - w"],
            &["/o/x.so l.so (spare)"],
        );
        // Another ABI does not count.
        check(&["o/x.so - l.so - $ORIGIN w", "o/l.so l.so - - - w32"], &["/o/x.so l.so"]);
    }

    #[test]
    fn links_are_followed() {
        check(
            &[
                "o/x.so - l.so.1 - $ORIGIN/here w",
                "o/here -> ../o/there",
                "o/there/l.so.1 -> l.so.1.2",
                "o/there/l.so.1.2 l.so.1 - - - w",
            ],
            &[],
        );
        check(&["o/x.so - l.so - $ORIGIN w", "o/l.so -> l.so"], &["/o/x.so l.so"]);
    }

    #[test]
    fn the_search_path_of_loaders() {
        let gfortran = "o/y/fortran.so fortran.so quad.so - - w";
        let quad = "o/y/quad.so quad.so - - - w";
        check(&["o/x.so - fortran.so $ORIGIN/y - w", gfortran, quad], &[]);
        // RUNPATH is not inherited, and what has one does not inherit.
        check(
            &["o/x.so - fortran.so - $ORIGIN/y w", gfortran, quad],
            &["/o/y/fortran.so quad.so (spare)"],
        );
        check(
            &["o/x.so - f.so $ORIGIN/y - w", "o/y/f.so - quad.so - /none w", quad],
            &["/o/y/f.so quad.so (spare)"],
        );
        // Through two loaders, of which the nearer one was found through the farther one.
        check(&["o/x.so - b.so $ORIGIN/y - w", "o/y/b.so - fortran.so - - w", gfortran, quad], &[]);
    }

    #[test]
    fn libraries_of_the_same_wheel() {
        let quad = "o/scipy.libs/quad.so quad.so - - - w";
        check(&["o/scipy.libs/f.so f.so quad.so - - w", quad], &[]);
        check(&["o/z.so - quad.so - - other", quad], &["/o/z.so quad.so (spare)"]);
    }

    #[test]
    fn symbols_bound_inside_are_private() {
        let (mut report, tree) =
            inside(&["o/x.so - l.so,libc.so.6 - $ORIGIN w", "o/l.so - - - - w"]);
        let dynamic = &mut report.files[0].facts.as_mut().unwrap().dynamic;
        for (soname, version) in [("l.so", "L_1"), ("libc.so.6", "GLIBC_2.34")] {
            let versions = vec![(version.to_owned(), false)];
            dynamic.version_needs.push(VersionNeed { soname: soname.to_owned(), versions });
        }
        for (name, version) in [("inner", Some((0, 0))), ("outer", Some((1, 0))), ("bare", None)] {
            let name = name.to_owned();
            dynamic.undefined.push(Symbol { name, version, is_weak: false });
        }
        let rename = BTreeMap::new();
        let needs = resolve(report, &tree, &Rules { ignore: &[], weak: &[], rename: &rename });
        let file = &needs.files[0];
        let names: Vec<_> = file.symbols.iter().map(|symbol| symbol.name.as_str()).collect();
        assert_eq!(names, ["outer", "bare"]);
        assert_eq!(file.libraries[0].versions, [("GLIBC_2.34".to_owned(), false)]);
    }

    #[test]
    fn rules_are_applied_and_reported() {
        let rename = BTreeMap::from([("libr.so.*".to_owned(), "libr9".to_owned())]);
        let list = |texts: &[&str]| texts.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
        let (ignore, weak) = (list(&["libi.so.1", "never"]), list(&["libw.so.?"]));
        let rules = Rules { ignore: &ignore, weak: &weak, rename: &rename };
        let lines = ["o/x.so - libi.so.1,libw.so.1,libr.so.2 - - w", "o/y.so - libi.so.1 - - w"];
        let needs = needs(&lines, Some(rules));
        assert_eq!(needs.files.len(), 1);
        let [weak, renamed] = &needs.files[0].libraries[..] else { panic!("{needs:?}") };
        assert!(weak.is_optional && weak.renamed.is_none() && !renamed.is_optional);
        assert_eq!(renamed.renamed.as_deref(), Some("libr9"));
        assert_eq!(
            needs.warnings,
            [
                "`/o/x.so` and 1 more file need `libi.so.1`, which is ignored",
                "`dependencies.ignore` lists `never`, which no file needs from the system",
            ]
        );
    }

    #[test]
    fn patterns() {
        for (pattern, name, expected) in [
            ("libpq.so.5", "libpq.so.5", true),
            ("libpq.so.*", "libpq.so.5", true),
            ("lib*.so.?", "libpq.so.5", true),
            ("lib*.so.?", "libpq.so.15", false),
            ("*", "", true),
            ("", "x", false),
            ("libpq.so", "libpq.so.5", false),
            ("lib?q", "libäq", true),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }
}
