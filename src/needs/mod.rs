//! What the ELF files of a package need from the system, once all they find in the package itself is taken off.
//!
//! Follows the loader (ld.so(8)): directories a file names, those of its loaders, libraries beside it, then the
//! system. Knows no package format and does not look at the host.

pub mod abi;
pub mod grafted;
pub mod paths;
mod verdicts;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::elf::{Abi, ElfFacts, ElfKind, ElfReport};
use crate::needs::paths::{expand, follow, is_dir, normal};
use crate::needs::verdicts::Verdicts;
use crate::package::who;
use crate::tree::{Entry, PkgPath, Tree};

/// What a package needs from the system.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Files that need something, sorted by path.
    pub files: Vec<FileNeeds>,
    /// Files whose symbols only GNU's hash table finds, sorted; what the loader must know.
    pub gnu_hashed: Vec<PkgPath>,
    /// Files that find a library through the `DT_RPATH` of what loads them and not by themselves, with its name; sorted.
    pub inherited: Vec<(PkgPath, String)>,
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
    /// Whether it is a program that nobody may execute.
    pub is_inert: bool,
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
        who(&self.path, &self.origin)
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
    /// Keys of the configuration that decided one or the other, such as `dependencies.weak`.
    pub rules: Vec<String>,
}

/// A symbol one file needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SymbolNeed {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: Option<Arc<str>>,
}

impl SymbolNeed {
    /// What stands for the version `version`, whatever its symbols are.
    pub fn version_itself(version: &str) -> Self {
        Self { name: version.to_owned(), version: Some(Arc::from(version)) }
    }
}

/// One table of what the user decides about libraries. Names may hold `*` and `?`.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'a> {
    /// The table's key.
    pub table: &'static str,
    /// Libraries to forget.
    pub ignore: &'a [String],
    /// Libraries the application works without.
    pub weak: &'a [String],
    /// Libraries with the package that stands for each.
    pub rename: &'a BTreeMap<String, String>,
}

/// Splits what the files of `report` need into what `tree` has and what the system must have. Of two tables of rules
/// the first one counts.
pub fn resolve(report: &ElfReport, tree: &Tree, tables: &[Rules<'_>]) -> Needs {
    let inside = Inside::new(report, tree);
    let (providers, inherited) = inside.providers();
    let mut needs = Needs { inherited, ..Needs::default() };
    let mut verdicts = Verdicts::new(tables);
    for (index, object) in inside.objects.iter().enumerate() {
        let is_outside = |name: &&String| !providers.contains_key(&(index, name.as_str()));
        let mut libraries = Vec::new();
        for soname in object.facts.dynamic.needed.iter().filter(is_outside) {
            if !verdicts.ignores(soname, object.path) {
                libraries.push(inside.library(object, soname, &mut verdicts));
            }
        }
        let dynamic = &object.facts.dynamic;
        if dynamic.has_gnu_hash && !dynamic.has_hash && !object.is_inert {
            needs.gnu_hashed.push(object.path.clone());
        }
        if !libraries.is_empty() {
            let symbols = symbols(object.facts, &libraries);
            needs.files.push(FileNeeds {
                path: object.path.clone(),
                origin: Arc::clone(&object.origin),
                abi: object.facts.abi,
                is_inert: object.is_inert,
                dirs: object.dirs.clone(),
                libraries,
                symbols,
            });
        }
    }
    needs.warnings = verdicts.warnings();
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
struct Object<'t> {
    path: &'t PkgPath,
    origin: Arc<str>,
    facts: &'t ElfFacts,
    /// Whether it is a program that nobody may execute.
    is_inert: bool,
    /// Directories it names, expanded.
    dirs: Vec<String>,
    /// Those of them that the package has.
    own: Vec<String>,
}

/// How long a chain of files may be that find each other through the one that loads them.
const MAX_ROUNDS: usize = 64;
/// How many files above another are asked for directories.
const MAX_LOADERS: usize = 1024;

/// All that is loaded, by path and by name.
struct Inside<'t> {
    tree: &'t Tree,
    objects: Vec<Object<'t>>,
    by_path: BTreeMap<&'t PkgPath, usize>,
    by_name: BTreeMap<&'t str, Vec<usize>>,
}

/// The object that serves a name of another: `(object, name) -> object`.
type Providers<'i> = BTreeMap<(usize, &'i str), usize>;

impl<'t> Inside<'t> {
    fn new(report: &'t ElfReport, tree: &'t Tree) -> Self {
        let mut inside =
            Self { tree, objects: Vec::new(), by_path: BTreeMap::new(), by_name: BTreeMap::new() };
        for file in &report.files {
            if let Ok(facts) = &file.facts
                && facts.kind == ElfKind::Loadable
            {
                inside.add(&file.path, facts);
            }
        }
        inside
    }

    fn add(&mut self, path: &'t PkgPath, facts: &'t ElfFacts) {
        let (origin, mode) = match self.tree.get(path) {
            Some(Entry::File { origin, mode, .. }) => (Arc::clone(origin), *mode),
            Some(Entry::Dir { .. } | Entry::Symlink { .. }) | None => (Arc::from(""), 0),
        };
        let index = self.objects.len();
        let names = facts.dynamic.soname.iter().map(String::as_str);
        for name in names.chain([path.file_name()]).collect::<BTreeSet<_>>() {
            self.by_name.entry(name).or_default().push(index);
        }
        self.by_path.insert(path, index);
        let list = facts.dynamic.runpath.as_ref().or(facts.dynamic.rpath.as_ref());
        let dirs = list.map(|list| expand(list, path, facts.machine)).unwrap_or_default();
        let is_inert = facts.interpreter.is_some() && mode & 0o111 == 0;
        let own = dirs.iter().filter(|dir| is_dir(self.tree, dir)).cloned().collect();
        self.objects.push(Object { path, origin, facts, is_inert, dirs, own });
    }

    /// Which names are served inside, and by what; and those of them that are found through a loader alone.
    fn providers(&self) -> (Providers<'_>, Vec<(PkgPath, String)>) {
        let (mut providers, mut inherited) = (Providers::new(), BTreeSet::new());
        for (index, object) in self.objects.iter().enumerate() {
            for name in &object.facts.dynamic.needed {
                let found = self
                    .in_dirs(object, name, &object.own)
                    .or_else(|| self.in_own_libs(object, name));
                if let Some(found) = found {
                    providers.insert((index, name.as_str()), found);
                }
            }
        }
        // What is found through a loader makes new loaders; each round finds one at least, or is the last.
        for _ in 0..MAX_ROUNDS {
            let found = self.through_loaders(&providers);
            if found.is_empty() {
                break;
            }
            inherited.extend(found.keys().copied());
            providers.extend(found);
        }
        let told = inherited.into_iter().map(|(index, name): (usize, &str)| {
            (self.objects[index].path.clone(), name.to_owned())
        });
        let told = told.collect();
        (providers, told)
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
                let provider = above.find_map(|loader| self.in_dirs(object, name, &loader.own));
                if let Some(provider) = provider {
                    found.insert((index, name.as_str()), provider);
                }
            }
        }
        found
    }

    fn in_dirs(&self, object: &Object<'_>, name: &str, dirs: &[String]) -> Option<usize> {
        if name.contains('/') {
            return self.at(object, name);
        }
        dirs.iter().find_map(|dir| self.at(object, &format!("{dir}/{name}")))
    }

    /// The object at `path`, if it can be loaded beside `object`.
    fn at(&self, object: &Object<'_>, path: &str) -> Option<usize> {
        let path = follow(self.tree, &normal(path)?)?;
        let index = *self.by_path.get(&path)?;
        (self.objects[index].facts.abi == object.facts.abi).then_some(index)
    }

    /// Tools that repair wheels keep a wheel's libraries in `<name>.libs`, under names of their own.
    fn in_own_libs(&self, object: &Object<'_>, name: &str) -> Option<usize> {
        let is_libs = |candidate: &Object<'_>| {
            let dir = candidate.path.parent();
            dir.is_some_and(|dir| dir.file_name().ends_with(".libs"))
                && candidate.origin == object.origin
        };
        self.named(object, name).find(|index| is_libs(&self.objects[*index]))
    }

    /// Objects called `name` that can be loaded beside `object`.
    fn named(&self, object: &Object<'_>, name: &str) -> impl Iterator<Item = usize> {
        let abi = object.facts.abi;
        let all = self.by_name.get(name).into_iter().flatten().copied();
        all.filter(move |index| self.objects[*index].facts.abi == abi)
    }

    fn library(&self, object: &Object<'_>, soname: &str, verdicts: &mut Verdicts<'_>) -> Library {
        let needs = object.facts.dynamic.version_needs.iter();
        let versions = needs.filter(|need| need.soname == soname);
        let (is_optional, renamed, rules) = verdicts.of(soname);
        Library {
            soname: soname.to_owned(),
            versions: versions.flat_map(|need| need.versions.iter().cloned()).collect(),
            spare: self.named(object, soname).next().map(|at| self.objects[at].path.clone()),
            is_optional,
            renamed,
            rules,
        }
    }
}

/// The loaders of `index`, nearest first.
fn ancestors(index: usize, loaders: &BTreeMap<usize, BTreeSet<usize>>) -> Vec<usize> {
    let (mut seen, mut order) = (BTreeSet::from([index]), vec![index]);
    let mut at = 0;
    while let Some(current) = order.get(at).copied().filter(|_| at < MAX_LOADERS) {
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

    use crate::elf::{
        Abi, Dynamic, ElfFacts, ElfFile, ElfKind, ElfReport, Notes, Symbol, VersionNeed,
    };
    use crate::needs::{Needs, Rules, matches, resolve};
    use crate::package::Machine;
    use crate::tree::content::Content;
    use crate::tree::{Entry, PkgPath, Tree};

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
                is_movable: true,
                has_relro: true,
                dynamic,
                notes: Notes::default(),
                troubles: Vec::new(),
            };
            let entry = Entry::file(Content::bytes(*line), 0o644, &Arc::from(words[5]));
            tree.insert(path.clone(), entry).unwrap();
            report.files.push(ElfFile { path, facts: Ok(facts) });
        }
        (report, tree)
    }

    fn needs(lines: &[&str], tables: &[Rules<'_>]) -> Needs {
        let (report, tree) = inside(lines);
        resolve(&report, &tree, tables)
    }

    /// What is left for the system, as `file name`, with `(spare)` where the package has one of that name.
    fn check(lines: &[&str], expected: &[&str]) {
        let needs = needs(lines, &[]);
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
        let files = ["o/x.so - b.so $ORIGIN/y - w", "o/y/b.so - fortran.so - - w", gfortran, quad];
        check(&files, &[]);
        let inherited = needs(&files, &[]).inherited;
        let inherited: Vec<_> =
            inherited.iter().map(|(path, name)| format!("{path} {name}")).collect();
        assert_eq!(inherited, ["/o/y/b.so fortran.so", "/o/y/fortran.so quad.so"]);
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
        let needs = resolve(&report, &tree, &[]);
        let file = &needs.files[0];
        let names: Vec<_> = file.symbols.iter().map(|symbol| symbol.name.as_str()).collect();
        assert_eq!(names, ["outer", "bare"]);
        assert_eq!(file.libraries[0].versions, [("GLIBC_2.34".to_owned(), false)]);
    }

    #[test]
    fn rules_are_applied_and_reported() {
        let rename = |package: &str| BTreeMap::from([("libr.so.*".to_owned(), package.to_owned())]);
        let (common, own) = (rename("libr9"), BTreeMap::new());
        let list = |texts: &[&str]| texts.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
        let (ignore, weak) = (list(&["libi.so.1", "never"]), list(&["libw.so.?"]));
        let (own_ignore, own_weak) = (list(&["libj.so.1"]), list(&["libr.so.2", "libv.so.1"]));
        let mut tables = [
            Rules { table: "deb", ignore: &own_ignore, weak: &own_weak, rename: &own },
            Rules { table: "dependencies", ignore: &ignore, weak: &weak, rename: &common },
        ];
        let lines =
            ["o/x.so - libi.so.1,libw.so.1,libr.so.2,libj.so.1 - - w", "o/y.so - libi.so.1 - - w"];
        let decided = needs(&lines, &tables);
        assert_eq!(decided.files.len(), 1);
        let [weak, renamed] = &decided.files[0].libraries[..] else { panic!("{decided:?}") };
        assert!(weak.is_optional && weak.renamed.is_none() && renamed.is_optional);
        assert_eq!(weak.rules, ["dependencies.weak"]);
        assert_eq!(renamed.renamed.as_deref(), Some("libr9"));
        assert_eq!(renamed.rules, ["deb.weak", "dependencies.rename"]);
        assert_eq!(
            decided.warnings,
            [
                "`/o/x.so` and 1 more file need `libi.so.1`, which is ignored",
                "`/o/x.so` needs `libj.so.1`, which is ignored",
                "`deb.weak` lists `libv.so.1`, which no file needs from the system",
                "`dependencies.ignore` lists `never`, which no file needs from the system",
            ]
        );
        let nearer = rename("libr2");
        tables[0].rename = &nearer;
        let decided = needs(&lines, &tables);
        assert_eq!(decided.files[0].libraries[1].renamed.as_deref(), Some("libr2"));
        let idle = "`dependencies.rename` lists `libr.so.*`, which no file needs from the system";
        assert!(!decided.warnings.iter().any(|warning| warning == idle), "{decided:?}");
    }

    #[test]
    fn what_the_loader_must_know() {
        let (mut report, mut tree) = inside(&["o/a.so - - - - w", "o/b - libc.so.6 - - w"]);
        for file in &mut report.files {
            file.facts.as_mut().unwrap().dynamic.has_gnu_hash = true;
        }
        report.files[1].facts.as_mut().unwrap().interpreter = Some("/lib/ld.so".to_owned());
        let needs = resolve(&report, &tree, &[]);
        assert_eq!(needs.gnu_hashed, [PkgPath::new("o/a.so").unwrap()]);
        assert!(needs.files[0].is_inert);
        let program = Entry::file(Content::bytes("x"), 0o755, &Arc::from("w"));
        let path = PkgPath::new("o/b").unwrap();
        tree.retain(|other| *other != path);
        tree.insert(path, program).unwrap();
        report.files[0].facts.as_mut().unwrap().dynamic.has_hash = true;
        let needs = resolve(&report, &tree, &[]);
        assert_eq!(needs.gnu_hashed, [PkgPath::new("o/b").unwrap()]);
        assert!(!needs.files[0].is_inert);
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
