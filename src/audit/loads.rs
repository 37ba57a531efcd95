//! On which releases the files of a package load: the loader compares names of versions, and so does this.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::audit::finding::Finding;
use crate::audit::machine;
use crate::elf::{ElfFacts, ElfReport};
use crate::host::abi::{SymbolVersions, releases_of};
use crate::host::release::{self, Release};
use crate::needs::Needs;
use crate::package::Machine;
use crate::tree::{Entry, Tree};

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
            let mut culprits = versions(needs, &offered);
            let (missing, provided) = interpreter(python.as_ref(), &release);
            culprits.extend(missing);
            culprits.extend(stack(elf, &release));
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

/// Versions of symbols that are not `offered`, each with the first file that needs it.
fn versions(needs: &Needs, offered: &SymbolVersions) -> Vec<Culprit> {
    let mut culprits: Vec<Culprit> = Vec::new();
    for file in &needs.files {
        let versions = file.libraries.iter().flat_map(|library| &library.versions);
        let must: BTreeSet<_> =
            versions.filter(|(_, may_lack)| !may_lack).map(|(version, _)| version).collect();
        for version in must.into_iter().filter(|name| offered.defines(name) == Some(false)) {
            if let Some(known) = culprits.iter_mut().find(|known| known.missing == *version) {
                known.files += 1;
                continue;
            }
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

fn stack(elf: &ElfReport, release: &Release) -> Option<Culprit> {
    let asks = |file: &&crate::elf::ElfFile| {
        file.facts.as_ref().is_ok_and(ElfFacts::gets_executable_stack)
    };
    let mut asking = elf.files.iter().filter(asks);
    let first = asking.next().filter(|_| release.glibc >= REFUSES_EXECUTABLE_STACK)?;
    Some(Culprit {
        missing: "executable stacks".to_owned(),
        file: first.path.absolute(),
        symbol: None,
        files: 1 + asking.count(),
    })
}
