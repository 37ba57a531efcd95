//! The libraries and packages of a root file system.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use crate::backend::deb::architecture;
use crate::backend::deb::libraries::database::{Database, STATUS};
use crate::backend::deb::libraries::root::{Found, Root};
use crate::backend::deb::libraries::source::{Candidate, Source};
use crate::backend::deb::libraries::symbols::Object;
use crate::backend::deb::libraries::table::Table;
use crate::elf::{self, Abi};
use crate::host::release;
use crate::needs::Needs;
use crate::package::Machine;

/// A root file system with packages in it, as far as it was looked at.
#[derive(Debug)]
pub(super) struct Installed<'r> {
    root: &'r Root,
    machine: Option<Machine>,
    database: Database<'r>,
    places: Places,
    /// What libraries say of themselves, by path: whether they have a name, and their versions.
    offers: BTreeMap<String, (bool, Rc<Vec<String>>)>,
}

impl<'r> Installed<'r> {
    /// Looks up all that `needs` names; `None` when the root has no database.
    pub(super) fn open(
        root: &'r Root,
        machine: Option<Machine>,
        needs: &Needs,
        jobs: usize,
    ) -> Option<Self> {
        let places = Places::find(root, needs);
        let database = Database::open(root, architecture(machine), &places.paths(), jobs)?;
        Some(Self { root, machine, database, places, offers: BTreeMap::new() })
    }

    fn candidate(&mut self, found: &Found) -> Candidate {
        let root = self.root;
        let offers = self.offers.entry(found.real.clone()).or_insert_with(|| {
            let bytes = root.read(&found.real).unwrap_or_default();
            let dynamic = elf::facts(&bytes).map(|facts| facts.dynamic).unwrap_or_default();
            (dynamic.soname.is_some(), Rc::new(dynamic.version_definitions))
        });
        Candidate {
            label: format!("`{}`", found.path),
            owners: self.database.owners(&names(found)).to_vec(),
            is_named: offers.0,
            is_known: true,
            versions: Rc::clone(&offers.1),
        }
    }
}

impl Source for Installed<'_> {
    fn find(&mut self, soname: &str, dirs: &[String], abi: Abi) -> Vec<Candidate> {
        let places = self.places.of(soname, dirs, abi).to_vec();
        places.iter().map(|found| self.candidate(found)).collect()
    }

    fn symbols(&mut self, package: &str, soname: &str) -> Option<Rc<Object>> {
        self.database.symbols(package, soname)
    }

    fn shlibs(&mut self, package: Option<&str>, soname: &str) -> Option<String> {
        self.database.shlibs(package, soname)
    }

    fn dpkg(&self) -> Option<String> {
        let status = self.root.text(STATUS)?;
        let stanza = status.split("\n\n").find(|stanza| {
            stanza.trim_start().lines().next().is_some_and(|line| line == "Package: dpkg")
        })?;
        let version = stanza.lines().find_map(|line| line.strip_prefix("Version: "))?;
        Some(version.trim().to_owned())
    }

    fn name(&self) -> String {
        format!("`{}`", self.root.dir().display())
    }

    fn advice(&self, soname: &str) -> String {
        let release = self.root.text("/etc/os-release").and_then(|text| release::of_host(&text));
        let table = release.zip(self.machine).and_then(|(it, machine)| Table::open(it, machine));
        match table.as_ref().and_then(|table| table.owner(soname)) {
            Some(package) => format!("install `{package}`, which has it"),
            None => "install the package that has it".to_owned(),
        }
    }

    fn remarks(&self) -> Vec<String> {
        Vec::new()
    }
}

/// Where each library was found.
#[derive(Debug)]
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

    fn of(&self, soname: &str, dirs: &[String], abi: Abi) -> &[Found] {
        let key = (soname.to_owned(), dirs.to_vec(), abi);
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
