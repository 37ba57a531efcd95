//! On which releases the files of a package load: the loader compares names of versions, and so does this.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::audit::finding::Finding;
use crate::audit::{Report, machine};
use crate::elf::{ElfFacts, ElfFile, ElfReport};
use crate::host::abi::{SymbolVersions, releases_of};
use crate::host::release::{self, Release};
use crate::needs::Needs;
use crate::package::Machine;
use crate::tree::{Entry, PkgPath, Tree};

/// The first glibc whose loader refuses files that ask for an executable stack (`glibc.rtld.execstack`).
const REFUSES_EXECUTABLE_STACK: (u32, u32) = (2, 41);

/// Whether a package loads on one release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Loads {
    /// `distribution:version`.
    pub release: &'static str,
    /// As uname(1) calls it.
    pub machine: &'static str,
    /// Why it does not; empty when it does.
    pub culprits: Vec<Culprit>,
    /// What it must have besides, such as `python3.11`, where that is not known of it; empty otherwise.
    pub provided: String,
}

/// Something a release lacks.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Culprit {
    /// What is missing, such as `GLIBC_2.38` or `python3.11`.
    pub missing: String,
    /// A file that needs it.
    pub file: String,
    /// A symbol the file uses in that version.
    pub symbol: Option<String>,
    /// How many files need it.
    pub files: usize,
}

/// Every release that is known, by machine; packages without compiled files are judged by their interpreter alone.
pub(super) fn on(needs: &Needs, elf: &ElfReport, tree: &Tree) -> Vec<Loads> {
    let only = machine(elf);
    let machines = [Machine::X86_64, Machine::Aarch64];
    let machines = machines.into_iter().filter(|one| only.is_none_or(|only| only == *one));
    let python = python(tree);
    let mut all = Vec::new();
    for machine in machines {
        for name in releases_of(machine) {
            let (Some(offered), Some(release)) =
                (SymbolVersions::of(name, machine), release::named(name))
            else {
                continue;
            };
            let mut culprits = versions(needs, &of_machine(elf, machine), &offered);
            let (missing, provided) = interpreter(python.as_ref(), &release);
            culprits.extend(missing);
            culprits.extend(stack(elf, &release));
            culprits.extend(c_library(elf));
            all.push(Loads { release: name, machine: machine.uname(), culprits, provided });
        }
    }
    all
}

/// What keeps a package from loading on `targets`, which are names in `all`.
pub fn refusals(all: &[Loads], targets: &[&str]) -> Vec<Finding> {
    let asked = all.iter().filter(|one| targets.contains(&one.release));
    let refused = asked.flat_map(|one| one.culprits.iter().map(move |culprit| (one, culprit)));
    let finding = |(one, culprit): (&Loads, &Culprit)| {
        let symbol = culprit.symbol.as_ref().map(|name| format!(" for `{name}`"));
        let message = format!(
            "{} has no {}, which it needs{}",
            one.release,
            culprit.missing,
            symbol.unwrap_or_default()
        );
        Finding::new("ELF012", culprit.file.clone(), message)
    };
    // Both machines of a package without compiled files lack the same.
    refused.map(finding).collect::<BTreeSet<_>>().into_iter().collect()
}

/// The same with the libraries of the system that a release `lacks`; of most releases only those of C and C++ are known.
pub fn with_libraries(report: Report, lacks: &dyn Fn(&str, &str) -> bool) -> Report {
    let Report { mut loads_on, system, .. } = report;
    for one in &mut loads_on {
        let missing = system.iter().filter(|library| lacks(one.release, &library.soname));
        one.culprits.extend(missing.map(|library| Culprit {
            missing: library.soname.clone(),
            file: library.example.clone(),
            symbol: None,
            files: library.files,
        }));
    }
    Report { loads_on, system, ..report }
}

/// The files that are loaded on a machine.
fn of_machine(elf: &ElfReport, machine: Machine) -> BTreeSet<&PkgPath> {
    let is_its =
        |file: &&ElfFile| file.facts.as_ref().is_ok_and(|facts| facts.machine == Some(machine));
    elf.files.iter().filter(is_its).map(|file| &file.path).collect()
}

/// Versions of symbols that are not `offered`, each with the first of the files of `own` that needs it.
fn versions(needs: &Needs, own: &BTreeSet<&PkgPath>, offered: &SymbolVersions) -> Vec<Culprit> {
    let (mut culprits, mut places) = (Vec::<Culprit>::new(), BTreeMap::<_, usize>::new());
    for file in needs.files.iter().filter(|file| own.contains(&file.path)) {
        let versions = file.libraries.iter().flat_map(|library| &library.versions);
        let must: BTreeSet<_> =
            versions.filter(|(_, may_lack)| !may_lack).map(|(version, _)| version).collect();
        for version in must.into_iter().filter(|name| offered.defines(name) == Some(false)) {
            if let Some(place) = places.get(version) {
                culprits[*place].files += 1;
                continue;
            }
            places.insert(version, culprits.len());
            let of_version =
                file.symbols.iter().find(|symbol| symbol.version.as_deref() == Some(version));
            culprits.push(Culprit {
                missing: version.clone(),
                file: file.path.absolute(),
                symbol: of_version.map(|symbol| symbol.name.clone()),
                files: 1,
            });
        }
    }
    culprits
}

/// The interpreter of the system that an environment is linked to, such as `3.11`, and the link.
fn python(tree: &Tree) -> Option<(String, String)> {
    tree.iter().find_map(|(path, entry)| match entry {
        Entry::Symlink { target } => {
            let minor = target.strip_prefix("/usr/bin/python")?;
            (path.file_name() == format!("python{minor}"))
                .then(|| (minor.to_owned(), path.absolute()))
        }
        Entry::Dir { .. } | Entry::File { .. } => None,
    })
}

/// Distributions that have packages of more Pythons than are listed, which come and go within a release.
const HAS_OTHERS: [&str; 1] = ["fedora:"];

/// Whether a release has the interpreter: what is missing, and what it would have to have.
fn interpreter(python: Option<&(String, String)>, release: &Release) -> (Option<Culprit>, String) {
    let Some((minor, link)) = python.filter(|(minor, _)| !release.pythons.contains(&&**minor))
    else {
        return (None, String::new());
    };
    let missing = format!("python{minor}");
    let has_others = HAS_OTHERS.iter().any(|name| release.name.starts_with(name));
    if release.pythons.is_empty() || has_others {
        return (None, missing);
    }
    (Some(Culprit { missing, file: link.clone(), symbol: None, files: 1 }), String::new())
}

/// Libraries that ask for an executable stack; a program is given one by the kernel.
fn stack(elf: &ElfReport, release: &Release) -> Option<Culprit> {
    let asks = |facts: &ElfFacts| facts.gets_executable_stack() && !facts.is_program();
    (release.glibc >= REFUSES_EXECUTABLE_STACK).then(|| first(elf, "executable stacks", asks))?
}

/// Files for another C library than that of every release here.
fn c_library(elf: &ElfReport) -> Option<Culprit> {
    first(elf, "musl", |facts| facts.musl().is_some())
}

/// The first file of those that ask for something, and how many there are.
fn first(elf: &ElfReport, missing: &str, asks: impl Fn(&ElfFacts) -> bool) -> Option<Culprit> {
    let mut asking = elf.files.iter().filter(|file| file.facts.as_ref().is_ok_and(&asks));
    let first = asking.next()?;
    let (missing, file) = (missing.to_owned(), first.path.absolute());
    Some(Culprit { missing, file, symbol: None, files: 1 + asking.count() })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::audit::loads::on;
    use crate::elf;
    use crate::needs::resolve;
    use crate::tree::content::Content;
    use crate::tree::{Entry, PkgPath, Tree};

    /// What keeps these files of the ELF fixtures from loading on Debian 11 and 13, on x86-64.
    fn check(files: &[(&str, &[u8])], old: &[&str], new: &[&str]) {
        let mut tree = Tree::new();
        for (name, bytes) in files {
            let entry = Entry::file(Content::bytes(*bytes), 0o755, &Arc::from(""));
            tree.insert(PkgPath::new(name).unwrap(), entry).unwrap();
        }
        let elf = elf::scan(&tree, 1).unwrap();
        let all = on(&resolve(&elf, &tree, &[]), &elf, &tree);
        for (release, expected) in [("debian:11", old), ("debian:13", new)] {
            let one = all.iter().find(|one| one.release == release).unwrap();
            let missing: Vec<_> = one.culprits.iter().map(|one| one.missing.as_str()).collect();
            assert_eq!(missing, expected, "{release}");
        }
    }

    #[test]
    fn what_keeps_files_from_loading() {
        let newer = include_bytes!("../../fixtures/elf/newer.so").as_slice();
        let musl = include_bytes!("../../fixtures/elf/musl.so").as_slice();
        let base = include_bytes!("../../fixtures/elf/libbase.so.1").as_slice();
        // It asks for an executable stack, which programs are given everywhere.
        let program = include_bytes!("../../fixtures/elf/program").as_slice();
        check(&[("opt/a/newer.so", newer)], &["GLIBC_2.38"], &[]);
        check(&[("opt/a/musl.so", musl)], &["musl"], &["musl"]);
        check(&[("opt/a/program", program), ("opt/a/libbase.so.1", base)], &[], &[]);
        let mut library = base.to_vec();
        let stack = 0x6474_e551_u32.to_le_bytes();
        let at = (64..512).find(|at| library[*at..].starts_with(&stack)).unwrap();
        library[at + 4] |= 1;
        check(&[("opt/a/library.so", &library)], &[], &["executable stacks"]);
        // Another machine's files are judged by its own releases.
        let mut foreign = newer.to_vec();
        foreign[18] = 183;
        check(&[("a.so", base), ("b.so", base), ("c.so", &foreign)], &[], &[]);
    }
}
