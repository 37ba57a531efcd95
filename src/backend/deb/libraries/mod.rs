//! Relations to the packages whose libraries a package needs, as dpkg-shlibdeps(1) finds them: symbols files, then
//! shlibs files, of the packages installed in a root file system.
//!
//! Reads that root and writes nothing. Runs no program of dpkg.

mod database;
mod floors;
mod root;
mod shlibs;
mod symbols;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::Result;

use crate::backend::deb::architecture;
use crate::backend::deb::libraries::database::{Database, STATUS};
use crate::backend::deb::libraries::floors::Floors;
use crate::backend::deb::libraries::root::{Found, Root};
use crate::backend::deb::libraries::symbols::Object;
use crate::elf::{self, Abi};
use crate::error::UserError;
use crate::needs::{FileNeeds, Library, Needs, SymbolNeed};
use crate::package::{Floor, Machine, Relation, RelationKind};

/// Where packages are looked up, and how.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The root file system with the packages.
    pub root: &'a Path,
    /// How exact versions are.
    pub floor: Floor,
    /// The machine the package is for.
    pub machine: Option<Machine>,
}

/// Relations, and what is to be said of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Derived {
    /// One for each package and bound, in no order.
    pub relations: Vec<Relation>,
    /// What the user should know.
    pub warnings: Vec<String>,
}

/// Whether packages of this format are installed in the root file system at `dir`.
pub(super) fn has_packages(dir: &Path) -> bool {
    Root::new(dir).real(STATUS).is_some()
}

/// What `needs` means in packages; `None` when the root has no database.
pub(super) fn derive(needs: &Needs, request: &Request<'_>) -> Result<Option<Derived>> {
    let root = Root::new(request.root);
    let places = Places::find(&root, needs);
    let paths = places.paths();
    let Some(database) = Database::open(&root, architecture(request.machine), &paths) else {
        return Ok(None);
    };
    let is_newer = request.floor == Floor::Exact && floors::adds_versions(&root);
    let mut resolver = Resolver {
        request,
        root: &root,
        places,
        database,
        floors: Floors::default(),
        warnings: BTreeSet::new(),
        offers: BTreeMap::new(),
        adds_versions: is_newer,
    };
    for file in &needs.files {
        resolver.file(file)?;
    }
    let relations = resolver.floors.relations()?;
    Ok(Some(Derived { relations, warnings: resolver.warnings.into_iter().collect() }))
}

/// Where each library was found.
struct Places {
    dirs: Vec<String>,
    found: BTreeMap<(String, Vec<String>, Abi), Vec<Found>>,
}

impl Places {
    fn find(root: &Root, needs: &Needs) -> Self {
        let mut places = Self { dirs: root.library_dirs(), found: BTreeMap::new() };
        for file in &needs.files {
            for library in file.libraries.iter().filter(|library| library.renamed.is_none()) {
                let dirs = file.dirs.iter().chain(&places.dirs).map(String::as_str);
                let dirs: Vec<_> = dirs.collect();
                let key = (library.soname.clone(), file.dirs.clone(), file.abi);
                places
                    .found
                    .entry(key)
                    .or_insert_with(|| root.find(&library.soname, &dirs, file.abi));
            }
        }
        places
    }

    fn of(&self, file: &FileNeeds, library: &Library) -> &[Found] {
        let key = (library.soname.clone(), file.dirs.clone(), file.abi);
        self.found.get(&key).map_or(&[], Vec::as_slice)
    }

    /// Every path under which the database may know one of them.
    fn paths(&self) -> BTreeSet<String> {
        self.found.values().flatten().flat_map(names).collect()
    }
}

/// Paths a database may have for a library: as it was found, as links lead, and either with and without the `/usr` that
/// systems with merged directories add.
fn names(found: &Found) -> Vec<String> {
    let alias = |path: &str| match path.strip_prefix("/usr/lib") {
        Some(rest) => Some(format!("/lib{rest}")),
        None => path.starts_with("/lib").then(|| format!("/usr{path}")),
    };
    let mut names = vec![found.path.clone(), found.real.clone()];
    names.extend([alias(&found.path), alias(&found.real)].into_iter().flatten());
    names
}

struct Resolver<'r> {
    request: &'r Request<'r>,
    root: &'r Root,
    places: Places,
    database: Database<'r>,
    floors: Floors,
    warnings: BTreeSet<String>,
    /// What libraries say of themselves, by path: whether they have a name, and their versions.
    offers: BTreeMap<String, (bool, Vec<String>)>,
    adds_versions: bool,
}

/// What is known of a library through its symbols file, and the kind of relation it makes.
type Known<'n> = (&'n Library, RelationKind, Object);

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
            // Some versions have no symbols and stand for what the loader can do.
            if self.adds_versions || !used.contains(version.as_str()) {
                let symbol = SymbolNeed { name: version.clone(), version: None };
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
    ) -> Result<Option<Object>> {
        let places = self.places.of(file, library).to_vec();
        let Some(first) = places.first() else {
            return if library.is_optional || library.spare.is_some() {
                self.absent(file, library);
                Ok(None)
            } else {
                Err(self.missing(file, library))
            };
        };
        self.versions(file, library, first)?;
        for place in &places {
            let owners = self.database.owners(&names(place)).to_vec();
            let packages: Vec<_> = match owners.is_empty() {
                true => vec![None],
                false => owners.iter().map(|owner| Some(owner.as_str())).collect(),
            };
            for package in packages {
                let object = package.and_then(|name| self.database.symbols(name, &library.soname));
                if let Some(object) = object {
                    let smallest = object.smallest().map(str::to_owned);
                    if let (Some(template), Some(smallest)) = (object.templates.first(), smallest) {
                        self.floors.raise(kind, template, &smallest, (file, library, None));
                    }
                    return Ok(Some(object));
                }
                let has_name = self.offers(&place.real).0;
                let text = self.database.shlibs(package, &library.soname);
                if let Some(text) = text.filter(|_| has_name) {
                    for template in text.split(',').map(str::trim).filter(|it| !it.is_empty()) {
                        self.floors.add(kind, template, file, library);
                    }
                    return Ok(None);
                }
            }
        }
        Err(self.unknown(file, library, first))
    }

    /// What the library at `real` says of itself.
    fn offers(&mut self, real: &str) -> &(bool, Vec<String>) {
        let root = self.root;
        self.offers.entry(real.to_owned()).or_insert_with(|| {
            let bytes = root.read(real).unwrap_or_default();
            let dynamic = elf::facts(&bytes).map(|facts| facts.dynamic).unwrap_or_default();
            (dynamic.soname.is_some(), dynamic.version_definitions)
        })
    }

    /// ld.so refuses a file that needs a version its library does not have, unless the library has none at all.
    fn versions(&mut self, file: &FileNeeds, library: &Library, place: &Found) -> Result<()> {
        let (_, offered) = self.offers(&place.real);
        let must = library.versions.iter().filter(|(_, is_weak)| !is_weak);
        let absent = must.map(|(version, _)| version).find(|version| !offered.contains(version));
        let Some(version) = absent.filter(|_| !offered.is_empty()) else {
            return Ok(());
        };
        let message = format!(
            "{} needs the version `{version}` of `{}`, which `{}` does not have",
            who(file),
            library.soname,
            place.path
        );
        Err(UserError::unresolved(message)
            .hint("get a wheel for older systems, or build for a newer release")
            .into())
    }

    fn symbol(
        &mut self,
        file: &FileNeeds,
        symbol: &SymbolNeed,
        version: &str,
        known: &[Known<'_>],
    ) {
        let hit = known.iter().find_map(|(library, kind, object)| {
            Some((*library, *kind, object, object.symbol(&symbol.name, version)?))
        });
        let Some((library, kind, object, mut line)) = hit else { return };
        // A symbol of glibc that old code was linked with asks for a new glibc where its meaning has grown. Code that
        // was linked with an old one does without.
        if self.request.floor == Floor::Portable && is_numbered(version) {
            line = object.symbol(version, version).unwrap_or(line);
        }
        if let Some(template) = object.templates.get(line.template) {
            let symbol = format!("{}@{version}", symbol.name);
            self.floors.raise(kind, template, &line.minimal, (file, library, Some(&symbol)));
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
        let soname = &library.soname;
        let message = format!(
            "{} needs the library `{soname}`, which is neither in the package nor in `{}`",
            who(file),
            self.request.root.display()
        );
        UserError::unresolved(message)
            .hint(format!(
                "install the package that has it, or list `{soname}` in `dependencies.rename` or `dependencies.ignore`"
            ))
            .into()
    }

    fn unknown(&self, file: &FileNeeds, library: &Library, place: &Found) -> anyhow::Error {
        let soname = &library.soname;
        let message = format!(
            "{} needs the library `{soname}`, and no installed package answers for `{}`",
            who(file),
            place.path
        );
        UserError::unresolved(message)
            .hint(format!(
                "install the package that has it, or list `{soname}` in `dependencies.rename` or `dependencies.ignore`"
            ))
            .into()
    }
}

/// The file, and who brought it.
fn who(file: &FileNeeds) -> String {
    // What no distribution brought has a single word there.
    match file.origin.contains(' ') {
        true => format!("`{}` of `{}`", file.path, file.origin),
        false => format!("`{}`", file.path),
    }
}

/// Whether a version is one of glibc's that a later one contains.
fn is_numbered(version: &str) -> bool {
    let number = version.strip_prefix("GLIBC_");
    number.is_some_and(|number| number.starts_with(|at: char| at.is_ascii_digit()))
}
