//! Relations to the packages whose libraries a package needs, as dpkg-shlibdeps(1) finds them: symbols files, then
//! shlibs files, of the packages installed in a root file system, or of those of a release.
//!
//! Reads that root and writes nothing. Runs no program of dpkg.

mod database;
mod floors;
mod installed;
mod root;
mod shlibs;
mod source;
mod symbols;
mod table;

use std::collections::BTreeSet;
use std::path::Path;
use std::rc::Rc;

use anyhow::Result;

use crate::backend::deb::libraries::database::STATUS;
use crate::backend::deb::libraries::floors::Floors;
use crate::backend::deb::libraries::installed::Installed;
use crate::backend::deb::libraries::root::Root;
use crate::backend::deb::libraries::source::{Candidate, Source};
use crate::backend::deb::libraries::symbols::Object;
use crate::backend::deb::libraries::table::Table;
use crate::backend::deb::simplify::by_package;
use crate::error::UserError;
use crate::host::release::Release;
use crate::needs::{FileNeeds, Library, Needs, SymbolNeed};
use crate::package::{Floor, Machine, Relation, RelationKind};

/// Where packages are looked up, and how.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The packages.
    pub packages: Packages<'a>,
    /// How exact versions are.
    pub floor: Floor,
    /// The machine the package is for.
    pub machine: Option<Machine>,
    /// How many files to read at once.
    pub jobs: usize,
}

/// The packages that have libraries.
#[derive(Clone, Copy, Debug)]
pub enum Packages<'a> {
    /// Those installed in the root file system with this directory.
    Installed(&'a Path),
    /// Those of a release.
    Released(Release),
}

/// Relations, and what is to be said of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Derived {
    /// One for each package and bound, in dpkg's order.
    pub relations: Vec<Relation>,
    /// What the user should know.
    pub warnings: Vec<String>,
}

/// Whether packages of this format are installed in the root file system at `dir`.
pub(super) fn has_packages(dir: &Path) -> bool {
    Root::new(dir).real(STATUS).is_some()
}

/// Whether the libraries of `release` are known without any of its packages.
pub(super) fn knows(release: &Release, machine: Option<Machine>) -> bool {
    machine.is_some_and(|machine| table::knows(release, machine))
}

/// Whether a release whose libraries are known has `soname`.
pub(super) fn has_library(soname: &str) -> bool {
    table::has_library(soname)
}

/// Whether `release` has no `soname` where others have.
pub(super) fn lacks(release: &str, soname: &str) -> bool {
    table::lacks(release, soname)
}

/// What `needs` means in packages; `None` when the root has no database, or the release is not known.
pub(super) fn derive(needs: &Needs, request: &Request<'_>) -> Result<Option<Derived>> {
    match request.packages {
        Packages::Installed(dir) => {
            let root = Root::new(dir);
            let installed = Installed::open(&root, request.machine, needs, request.jobs);
            installed.map(|mut source| resolve(needs, request.floor, &mut source)).transpose()
        }
        Packages::Released(release) => {
            let table = request.machine.and_then(|machine| Table::open(release, machine));
            table.map(|mut source| resolve(needs, request.floor, &mut source)).transpose()
        }
    }
}

fn resolve(needs: &Needs, floor: Floor, source: &mut dyn Source) -> Result<Derived> {
    let dpkg = source.dpkg();
    let mut resolver = Resolver {
        source,
        floor,
        floors: Floors::default(),
        warnings: BTreeSet::new(),
        adds_versions: floor == Floor::Exact && floors::adds_versions(dpkg.as_deref()),
    };
    for file in &needs.files {
        resolver.file(file)?;
    }
    // Those of the configuration are checked before: what is wrong here was read.
    let relations = resolver.floors.relations();
    let mut relations = relations.map_err(|error| {
        let name = resolver.source.name();
        UserError::input(format!("what packages in {name} say of their libraries: {error:#}"))
    })?;
    relations.sort_by(by_package);
    let warnings = resolver.warnings.into_iter().chain(resolver.source.remarks()).collect();
    Ok(Derived { relations, warnings })
}

struct Resolver<'r> {
    source: &'r mut dyn Source,
    floor: Floor,
    floors: Floors,
    warnings: BTreeSet<String>,
    /// Whether the dpkg of the source takes versions for symbols.
    adds_versions: bool,
}

/// What is known of a library through its symbols file, and the kind of relation it makes.
type Known<'n> = (&'n Library, RelationKind, Rc<Object>);

impl Resolver<'_> {
    fn file(&mut self, file: &FileNeeds) -> Result<()> {
        let mut known: Vec<Known<'_>> = Vec::new();
        for library in &file.libraries {
            let kind =
                if library.is_optional { RelationKind::Recommends } else { RelationKind::Needs };
            if let Some(package) = &library.renamed {
                self.floors.add(kind, package, file, library);
                continue;
            }
            if let Some(object) = self.library(file, library, kind)? {
                known.push((library, kind, object));
            }
        }
        for symbol in &file.symbols {
            let version = symbol.version.as_deref().unwrap_or("Base");
            self.symbol(file, symbol, version, &known);
        }
        let used: BTreeSet<_> =
            file.symbols.iter().filter_map(|symbol| symbol.version.as_deref()).collect();
        let versions = file.libraries.iter().flat_map(|library| &library.versions);
        for (version, _) in versions {
            // Some versions have no symbols and stand for what the loader can do, as GLIBC_ABI_DT_RELR does.
            let is_added = match self.floor {
                Floor::Exact => self.adds_versions,
                Floor::Portable => !used.contains(version.as_str()),
            };
            if is_added {
                let symbol = SymbolNeed::version_itself(version);
                self.symbol(file, &symbol, version, &known);
            }
        }
        Ok(())
    }

    /// The relations of one library. Its symbols file, when it has one, tells more.
    fn library(
        &mut self,
        file: &FileNeeds,
        library: &Library,
        kind: RelationKind,
    ) -> Result<Option<Rc<Object>>> {
        let candidates = self.source.find(&library.soname, &file.dirs, file.abi);
        let Some(first) = candidates.first() else {
            return if library.is_optional || library.spare.is_some() {
                self.absent(file, library);
                Ok(None)
            } else {
                Err(self.missing(file, library))
            };
        };
        // Of a library that is known by name only, the one in the package is the likelier.
        if library.spare.is_some() && !first.is_known && !library.versions.is_empty() {
            self.absent(file, library);
            return Ok(None);
        }
        versions(file, library, first)?;
        for candidate in &candidates {
            let owners = candidate.owners.iter();
            let packages: Vec<_> = match candidate.owners.is_empty() {
                true => vec![None],
                false => owners.map(|owner| Some(owner.as_str())).collect(),
            };
            for package in packages {
                let object = package.and_then(|name| self.source.symbols(name, &library.soname));
                if let Some(object) = object {
                    if let (Some(template), Some(smallest)) =
                        (object.templates.first(), object.smallest())
                    {
                        self.floors.raise(kind, template, smallest, (file, library, None));
                    }
                    return Ok(Some(object));
                }
                let text = self.source.shlibs(package, &library.soname);
                if let Some(text) = text.filter(|_| candidate.is_named) {
                    for template in text.split(',').map(str::trim).filter(|it| !it.is_empty()) {
                        self.floors.add(kind, template, file, library);
                    }
                    return Ok(None);
                }
            }
        }
        Err(self.unknown(file, library, first))
    }

    fn symbol(
        &mut self,
        file: &FileNeeds,
        symbol: &SymbolNeed,
        version: &str,
        known: &[Known<'_>],
    ) {
        // A line of its own tells which library has the symbol, one of its version only which may have it.
        let own =
            known.iter().find_map(|known| Some((known, known.2.symbol(&symbol.name, version)?)));
        let hit = own.or_else(|| {
            known.iter().find_map(|known| Some((known, known.2.node(&symbol.name, version)?)))
        });
        let Some(((library, kind, object), mut line)) = hit else { return };
        // A symbol of glibc that old code was linked with asks for a new glibc where its meaning has grown. Code that
        // was linked with an old one does without.
        if self.floor == Floor::Portable && is_numbered(version) {
            let node = object.symbol(version, version).or_else(|| object.node(version, version));
            line = node.unwrap_or(line);
        }
        if let Some(template) = object.templates.get(line.template) {
            self.floors.raise(*kind, template, &line.minimal, (file, library, Some(symbol)));
        }
    }

    fn absent(&mut self, file: &FileNeeds, library: &Library) {
        let soname = &library.soname;
        self.warnings.insert(match &library.spare {
            Some(spare) => format!(
                "`{}` does not say where to find `{soname}`; it is taken to be `{spare}`, loaded before",
                file.path
            ),
            None => format!(
                "`{}` needs `{soname}`, which is listed as weak and is not installed here: no package is recommended",
                file.path
            ),
        });
    }

    fn missing(&self, file: &FileNeeds, library: &Library) -> anyhow::Error {
        let (who, soname, place) = (file.who(), &library.soname, self.source.name());
        let message = format!(
            "{who} needs the library `{soname}`, which is neither in the package nor in {place}"
        );
        UserError::unresolved(message).hint(self.hint(soname)).into()
    }

    fn unknown(&self, file: &FileNeeds, library: &Library, candidate: &Candidate) -> anyhow::Error {
        let (who, soname, label) = (file.who(), &library.soname, &candidate.label);
        let message = format!(
            "{who} needs the library `{soname}`, and no installed package answers for {label}"
        );
        UserError::unresolved(message).hint(self.hint(soname)).into()
    }

    fn hint(&self, soname: &str) -> String {
        let advice = self.source.advice(soname);
        format!(
            "{advice}, or list `{soname}` in `dependencies.rename`, `dependencies.weak` or `dependencies.ignore`"
        )
    }
}

/// ld.so refuses a file that needs a version its library does not have, unless the library has none at all.
fn versions(file: &FileNeeds, library: &Library, candidate: &Candidate) -> Result<()> {
    let offered = &candidate.versions;
    let must = library.versions.iter().filter(|(_, is_weak)| !is_weak);
    let absent = must.map(|(version, _)| version).find(|version| !offered.contains(version));
    let Some(version) = absent.filter(|_| !offered.is_empty()) else {
        return Ok(());
    };
    let message = format!(
        "{} needs the version `{version}` of `{}`, which {} does not have",
        file.who(),
        library.soname,
        candidate.label
    );
    Err(UserError::unresolved(message)
        .hint("get a wheel for older systems, or build for a newer release")
        .into())
}

/// Whether a version is one of glibc's that a later one contains.
fn is_numbered(version: &str) -> bool {
    let number = version.strip_prefix("GLIBC_");
    number.is_some_and(|number| number.starts_with(|at: char| at.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::Path;
    use std::sync::Arc;

    use crate::backend::deb::libraries::{Packages, Request, derive};
    use crate::elf::{Abi, facts};
    use crate::error::{exit_code, hint};
    use crate::needs::{FileNeeds, Library, Needs, SymbolNeed};
    use crate::package::{Floor, Machine, RelationKind};
    use crate::tree::PkgPath;

    const BASE: &[u8] = include_bytes!("../../../../fixtures/elf/libbase.so.1");
    const LIB: &str = "usr/lib/x86_64-linux-gnu";

    /// A root with merged directories and `libbase.so.1`, called by some other names, too.
    fn root() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        let write = |path: &str, content: &[u8]| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        };
        for name in ["libbase.so.1.0", "alt/liby.so.3.0", "libz.so.9", "libn.so.1", "libc.so.6"] {
            write(&format!("{LIB}/{name}"), BASE);
        }
        for (path, text) in [
            ("etc/ld.so.conf", "/lib/x86_64-linux-gnu\n/usr/lib/x86_64-linux-gnu\n".to_owned()),
            ("etc/dpkg/shlibs.override", "libo 1 override1\n".to_owned()),
            ("var/lib/dpkg/status", "Package: dpkg\nVersion: 1.21.22\n".to_owned()),
            (
                "var/lib/dpkg/diversions",
                format!("/{LIB}/libd.so.1\n/{LIB}/libd.so.1.real\ndiverter\n"),
            ),
            ("var/lib/dpkg/info/base1:amd64.list", format!("/.\n/{LIB}/libbase.so.1.0\n")),
            (
                "var/lib/dpkg/info/base1:amd64.symbols",
                "libbase.so.1 base1 #MINVER#\n| base1 (>> 1.9), base1 (<< 2~)\n* Build-Depends-Package: x\n \
                 base_one@BASE_1 1.2\n base_two@BASE_2 1.4-1\n inner@BASE_2 0 1\n"
                    .to_owned(),
            ),
            // The database knows the path before directories were merged.
            ("var/lib/dpkg/info/y3.list", "/lib/x86_64-linux-gnu/alt/liby.so.3.0\n".to_owned()),
            ("var/lib/dpkg/info/y3.shlibs", "liby 3 y3 (>= 3.1) | y-virtual, y-data\n".to_owned()),
            ("var/lib/dpkg/info/z9.list", format!("/{LIB}/libz.so.9\n")),
            ("var/lib/dpkg/info/diverted.list", format!("/{LIB}/libd.so.1\n/{LIB}/libo.so.1\n")),
            ("var/lib/dpkg/info/diverted.shlibs", "libd 1 diverted\n".to_owned()),
            ("var/lib/dpkg/info/diverter.list", format!("/{LIB}/libd.so.1\n")),
            ("var/lib/dpkg/info/diverter.shlibs", "libd 1 diverter\n".to_owned()),
            ("var/lib/dpkg/info/libc6.list", format!("/{LIB}/libc.so.6\n")),
            (
                "var/lib/dpkg/info/libc6.symbols",
                "libc.so.6 libc6 #MINVER#\n GLIBC_2.2@GLIBC_2.2 2.2\n BASE_2@BASE_2 2.36\n sysconf@GLIBC_2.2 2.34\n".to_owned(),
            ),
        ] {
            write(path, text.as_bytes());
        }
        for name in ["libd.so.1", "libo.so.1"] {
            write(&format!("{LIB}/{name}"), BASE);
        }
        for (target, link) in [
            ("usr/lib", "lib".to_owned()),
            ("libbase.so.1.0", format!("{LIB}/libbase.so.1")),
            ("/etc/alternatives/liby", format!("{LIB}/liby.so.3")),
        ] {
            symlink(target, root.path().join(link)).unwrap();
        }
        fs::create_dir(root.path().join("etc/alternatives")).unwrap();
        let alternative = root.path().join("etc/alternatives/liby");
        symlink(format!("/{LIB}/alt/liby.so.3.0"), alternative).unwrap();
        root
    }

    fn library(soname: &str) -> Library {
        Library {
            soname: soname.to_owned(),
            versions: Vec::new(),
            spare: None,
            is_optional: false,
            renamed: None,
            rules: Vec::new(),
        }
    }

    fn file(path: &str, libraries: Vec<Library>, symbols: &[(&str, &str)]) -> FileNeeds {
        let symbol = |(name, version): &(&str, &str)| SymbolNeed {
            name: (*name).to_owned(),
            version: (!version.is_empty()).then(|| Arc::from(*version)),
        };
        let abi = facts(BASE).unwrap().abi;
        FileNeeds {
            path: PkgPath::new(path).unwrap(),
            origin: Arc::from("rocket 2.0"),
            abi,
            is_inert: false,
            dirs: Vec::new(),
            libraries,
            symbols: symbols.iter().map(symbol).collect(),
        }
    }

    fn run(root: &Path, floor: Floor, files: Vec<FileNeeds>) -> Result<Vec<String>, String> {
        let request = Request {
            packages: Packages::Installed(root),
            floor,
            machine: Some(Machine::X86_64),
            jobs: 2,
        };
        let derived = derive(&Needs { files, ..Needs::default() }, &request);
        let derived = derived.map_err(|error| {
            assert_eq!(exit_code(&error), 4);
            format!("{error} / {}", hint(&error).unwrap_or_default())
        });
        let relations = derived?.ok_or("no database")?.relations.into_iter();
        let text = |relation: crate::package::Relation| {
            let kind = if relation.kind == RelationKind::Needs { "" } else { "recommends " };
            format!("{kind}{}: {}", relation.text, relation.reasons().join("; "))
        };
        Ok(relations.map(text).collect())
    }

    fn check(files: Vec<FileNeeds>, expected: &[&str]) {
        let root = root();
        assert_eq!(run(root.path(), Floor::Exact, files).unwrap(), expected);
    }

    #[test]
    fn symbols_set_the_floor() {
        let base = || vec![library("libbase.so.1")];
        check(vec![file("a", base(), &[])], &["base1 (>= 1.2): `/a` needs `libbase.so.1`"]);
        check(
            vec![
                file("a", base(), &[("base_one", "BASE_1"), ("base_two", "BASE_1")]),
                file("b", base(), &[("base_two", "BASE_2"), ("unknown", "")]),
                file("c", base(), &[("base_two", "BASE_2")]),
            ],
            &[
                "base1 (>= 1.4-1): `/a` and 2 more files need `libbase.so.1`; `/b` uses `base_two@BASE_2`",
            ],
        );
        check(
            vec![file("a", base(), &[("inner", "BASE_2")])],
            &[
                "base1 (>= 1.2): `/a` needs `libbase.so.1`",
                "base1 (>> 1.9): `/a` needs `libbase.so.1`",
                "base1 (<< 2~): `/a` needs `libbase.so.1`",
            ],
        );
    }

    #[test]
    fn shlibs_links_overrides_and_diversions() {
        let names = ["liby.so.3", "libd.so.1", "libo.so.1"];
        check(
            vec![file("a", names.map(library).to_vec(), &[])],
            &[
                "diverter: `/a` needs `libd.so.1`",
                "override1: `/a` needs `libo.so.1`",
                "y-data: `/a` needs `liby.so.3`",
                "y3 (>= 3.1) | y-virtual: `/a` needs `liby.so.3`",
            ],
        );
    }

    #[test]
    fn weak_and_renamed() {
        let rules = |key: &str| vec![format!("dependencies.{key}")];
        let weak = |soname| Library { is_optional: true, rules: rules("weak"), ..library(soname) };
        let renamed = Library {
            renamed: Some("r9 (>= 2)".to_owned()),
            rules: rules("rename"),
            ..library("libgone.so.1")
        };
        check(
            vec![file("a", vec![weak("libbase.so.1"), weak("libgone.so.2"), renamed], &[])],
            &[
                "r9 (>= 2): `/a` needs `libgone.so.1`; `dependencies.rename` lists it",
                "recommends base1 (>= 1.2): `/a` needs `libbase.so.1`; `dependencies.weak` lists it",
            ],
        );
        let spare =
            Library { spare: Some(PkgPath::new("l.so").unwrap()), ..library("libgone.so.1") };
        check(vec![file("a", vec![spare], &[])], &[]);
    }

    #[test]
    fn portable_floors_are_those_of_versions() {
        let root = root();
        for (floor, version) in [(Floor::Exact, "2.34"), (Floor::Portable, "2.2")] {
            let files = vec![file("a", vec![library("libc.so.6")], &[("sysconf", "GLIBC_2.2")])];
            let found = run(root.path(), floor, files).unwrap();
            assert!(found[0].starts_with(&format!("libc6 (>= {version}): ")), "{found:?}");
        }
        // A version without symbols counts where dpkg counts it.
        let status = root.path().join("var/lib/dpkg/status");
        let check = |floor, dpkg: &str, version: &str| {
            fs::write(&status, format!("Package: dpkg\nVersion: {dpkg}\n")).unwrap();
            let versions = vec![("BASE_2".to_owned(), false)];
            let library = Library { versions, ..library("libc.so.6") };
            let found = run(root.path(), floor, vec![file("a", vec![library], &[])]).unwrap();
            assert!(found[0].starts_with(&format!("libc6 (>= {version}): ")), "{found:?}");
        };
        check(Floor::Exact, "1.21.22", "2.2");
        check(Floor::Exact, "1.22.22", "2.36");
        check(Floor::Portable, "1.21.22", "2.36");
    }

    #[test]
    fn what_is_missing_is_an_error() {
        let root = root();
        let check = |library: Library, abi: Option<Abi>, expected: &str| {
            let mut file = file("opt/a/x.so", vec![library], &[]);
            file.abi = abi.unwrap_or(file.abi);
            let error = run(root.path(), Floor::Portable, vec![file]).unwrap_err();
            let error = error.replace(root.path().to_str().unwrap(), "[ROOT]");
            assert!(error.starts_with(expected), "{error}");
        };
        check(
            library("libgone.so.1"),
            None,
            "`/opt/a/x.so` of `rocket 2.0` needs the library `libgone.so.1`, which is neither in the package nor in \
             `[ROOT]` / install the package that has it, or list `libgone.so.1` in",
        );
        let other = Abi { class: 1, data: 1, machine: 3, flags: 0 };
        check(
            library("libbase.so.1"),
            Some(other),
            "`/opt/a/x.so` of `rocket 2.0` needs the library",
        );
        let unlisted = "`/opt/a/x.so` of `rocket 2.0` needs the library `libn.so.1`, and no installed package answers \
                        for `/lib/x86_64-linux-gnu/libn.so.1`";
        check(library("libn.so.1"), None, unlisted);
        check(
            library("libz.so.9"),
            None,
            "`/opt/a/x.so` of `rocket 2.0` needs the library `libz.so.9`, and no",
        );
        let versions = vec![("BASE_1".to_owned(), false), ("BASE_3".to_owned(), true)];
        let fine = Library { versions: versions.clone(), ..library("libbase.so.1") };
        assert!(run(root.path(), Floor::Exact, vec![file("a", vec![fine], &[])]).is_ok());
        let versions = versions.into_iter().map(|(version, _)| (version, false)).collect();
        check(
            Library { versions, ..library("libbase.so.1") },
            None,
            "`/opt/a/x.so` of `rocket 2.0` needs the version `BASE_3` of `libbase.so.1`, which \
             `/lib/x86_64-linux-gnu/libbase.so.1` does not have",
        );
    }

    #[test]
    fn a_root_without_packages_is_told_apart() {
        let empty = tempfile::tempdir().unwrap();
        assert_eq!(run(empty.path(), Floor::Exact, Vec::new()), Err("no database".to_owned()));
    }
}
