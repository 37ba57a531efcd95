//! What is inside a package, where it loads, and what is unsafe about it: a value made of its tree.
//!
//! Trees come from packages of unknown origin: what cannot be read is said among [`Report::inconclusive`], and the rest
//! holds. Prints nothing, and knows no package format.

pub mod components;
mod contents;
pub mod diff;
pub mod directory;
pub mod distributions;
mod elf_checks;
mod file_checks;
pub mod finding;
pub mod html;
mod leaks;
pub mod libraries;
pub mod loads;
mod name_checks;
pub mod owners;
pub mod policy;
pub mod processors;
mod python_checks;
pub mod sarif;
pub mod screen;
mod search_paths;
mod secrets;
pub mod text;
mod units;
mod unlisted;
pub mod vulnerabilities;

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use serde::Serialize;

use crate::audit::components::{Component, Known};
use crate::audit::distributions::Distribution;
use crate::audit::finding::{Finding, Gate};
use crate::audit::loads::Loads;
use crate::audit::policy::{Policy, Shown};
use crate::audit::vulnerabilities::{Matches, Vulnerabilities};
use crate::elf::{ElfFile, ElfReport};
use crate::needs::{Needs, resolve};
use crate::package::{Machine, distribution};
use crate::tree::{Entry, PkgPath, Tree};

/// Version of the shape of the JSON; it rises when a field goes or changes its meaning.
const SCHEMA: u32 = 1;

/// JSON schema of a report.
pub const JSON_SCHEMA: &str = include_str!("../../docs/audit.schema.json");

/// What is audited, beside its files.
#[derive(Clone, Debug, Default, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Subject {
    /// Its name.
    pub name: String,
    /// Its version; empty where it has none.
    pub version: String,
    /// `deb`, `rpm`, `wheel`, `environment` or `directory`.
    pub kind: &'static str,
    /// Hexadecimal SHA-256 of the file; `None` for a directory.
    pub sha256: Option<String>,
    /// The machine it is for, as its format calls it; `None` where it does not say.
    pub machine: Option<String>,
    /// The same, as far as it is known.
    #[serde(skip)]
    pub declared: Declared,
    /// When it was made: seconds since 1970; `None` where nothing says.
    pub epoch: Option<u64>,
    /// What it relates to.
    pub relations: Vec<String>,
    /// Those relations that must hold where it is installed.
    pub needs: Vec<String>,
}

/// The machine that a package says it is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Declared {
    /// It does not say, or not what is known.
    #[default]
    Nothing,
    /// Every machine.
    Any,
    /// This one.
    One(Machine),
}

/// What is known of a subject beside its tree, by whoever read it.
#[derive(Clone, Debug, Default)]
pub struct Aside {
    /// What is wrong with things no tree can hold.
    pub findings: Vec<Finding>,
    /// What could not be read.
    pub inconclusive: Vec<String>,
}

/// Everything there is to say of a package.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Report {
    /// Version of this shape.
    pub schema: u32,
    /// What was audited.
    pub subject: Subject,
    /// What it is judged by.
    pub policy: Shown,
    /// Checks that decide the exit code.
    pub gates: Vec<Gate>,
    /// Whether it loads, by machine and release.
    pub loads_on: Vec<Loads>,
    /// Libraries the system must have.
    pub system: Vec<SystemLibrary>,
    /// Compiled files.
    pub elf: Vec<ElfRow>,
    /// What files take, by who brought them.
    pub sizes: Vec<Share>,
    /// Python distributions.
    pub distributions: Vec<Distribution>,
    /// Native components that are copied into files.
    pub components: Vec<Component>,
    /// Databases that were asked for vulnerabilities, which are findings; `None` when none was.
    pub vulnerabilities: Option<Vulnerabilities>,
    /// What is wrong or unusual, the worst first.
    pub findings: Vec<Finding>,
    /// Hexadecimal SHA-256 of scripts and lists that are for the package manager, by name.
    pub scripts: BTreeMap<String, String>,
    /// What could not be read.
    pub inconclusive: Vec<String>,
    /// SHA-256 of every file, for comparing packages.
    #[serde(skip)]
    pub digests: BTreeMap<PkgPath, [u8; 32]>,
}

/// A library of the system, and who needs it.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct SystemLibrary {
    /// Its name.
    pub soname: String,
    /// Versions of symbols it must have.
    pub versions: BTreeSet<String>,
    /// Distributions whose files need it.
    pub distributions: BTreeSet<String>,
    /// How many files need it.
    pub files: usize,
    /// One of them.
    pub example: String,
    /// One of those that need a version, by version.
    pub users: BTreeMap<String, String>,
}

/// What the files of one distribution take.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Share {
    /// The distribution, such as `numpy 2.4.6`; empty for files of none.
    pub owner: String,
    /// Their size.
    pub bytes: u64,
    /// How many there are.
    pub files: usize,
}

/// A compiled file.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ElfRow {
    /// Where it is.
    pub path: String,
    /// Distribution that brought it; empty for none.
    pub distribution: String,
    /// `DT_SONAME`.
    pub soname: Option<String>,
    /// `DT_RUNPATH`, else `DT_RPATH`, as written.
    pub search_path: Option<String>,
    /// `DT_NEEDED` the package has itself.
    pub inside: Vec<String>,
    /// `DT_NEEDED` the system must have.
    pub outside: Vec<String>,
    /// What tells this build from others.
    pub build_id: Option<String>,
    /// Level of x86-64 that a processor must have, such as 2; `None` where it does not say.
    pub x86_64_level: Option<u8>,
}

/// What a package is made of.
#[derive(Clone, Debug, Default)]
pub struct Inventory {
    /// Python distributions.
    pub distributions: Vec<Distribution>,
    /// Native components that are copied into files.
    pub components: Vec<Component>,
    /// Files copied into wheels of which nothing is known.
    pub unidentified: Vec<String>,
}

/// What a tree is made of, without comparing it with its RECORDs. Its files name who brought them.
pub fn inventory(tree: &Tree, elf: &ElfReport, jobs: usize, known: Known<'_>) -> Result<Inventory> {
    let clues = contents::clues_of(tree, elf, jobs, known)?;
    let (components, findings) = components::read(tree, elf, &clues);
    let distributions = distributions::list(tree, jobs)?;
    Ok(Inventory { distributions, components, unidentified: unidentified(&findings) })
}

/// Audits a tree whose files name the distributions that brought them; `scripts` are for the package manager: the digest
/// of each by its name.
pub fn audit(
    subject: Subject,
    tree: Tree,
    scripts: BTreeMap<String, String>,
    jobs: usize,
) -> Result<Report> {
    let mut inconclusive = Vec::new();
    let contents = contents::read(&tree, jobs)?;
    let elf = &contents.elf;
    let needs = resolve(elf, &tree, &[]);
    let (distributions, mut findings) = distributions::read(&tree, &contents);
    let (components, unknown) = components::read(&tree, elf, &contents.clues);
    findings.extend(unknown);
    findings.extend(elf_checks::findings(subject.declared, &contents, &tree, &needs));
    findings.extend(search_paths::findings(elf, &tree));
    findings.extend(libraries::findings(&needs));
    findings.extend(contents.findings.iter().cloned());
    findings.extend(units::findings(&tree));
    let python = python_checks::findings(&tree, machine(elf));
    findings.extend(python.findings);
    inconclusive.extend(python.inconclusive);
    findings.extend(file_checks::findings(&tree));
    let is_package = matches!(subject.kind, "deb" | "rpm");
    findings.extend(name_checks::findings(&tree, is_package));
    findings.sort();
    for file in &elf.files {
        let troubles = file.facts.iter().flat_map(|facts| &facts.troubles);
        inconclusive.extend(troubles.map(|what| format!("`{}`: {what}", file.path.absolute())));
    }
    let loads_on = loads::on(&needs, elf, &tree);
    Ok(Report {
        schema: SCHEMA,
        subject,
        policy: Shown::default(),
        gates: Vec::new(),
        loads_on,
        system: system(&needs),
        elf: rows(elf, &needs, &tree),
        sizes: sizes(&tree),
        distributions,
        components,
        vulnerabilities: None,
        findings,
        scripts,
        inconclusive,
        digests: contents.digests,
    })
}

impl Report {
    /// The report with what was known before.
    #[must_use]
    pub fn and(mut self, aside: Aside) -> Self {
        self.findings.extend(aside.findings);
        self.findings.sort();
        self.inconclusive.splice(..0, aside.inconclusive);
        self
    }

    /// The report with what databases know of what is inside.
    #[must_use]
    pub fn with(mut self, matches: Matches) -> Self {
        self.findings.extend(matches.findings.iter().cloned());
        self.findings.sort();
        self.vulnerabilities = Some(matches.vulnerabilities);
        self
    }

    /// The report as `policy` judges it, with its gates.
    #[must_use]
    pub fn judged(mut self, policy: &Policy) -> Self {
        (self.findings, self.policy) = policy.judge(self.findings, self.vulnerabilities.is_some());
        self.gates = finding::gates(&self.findings, &policy.fail_on);
        self
    }

    /// What the package is made of.
    pub fn inventory(&self) -> Inventory {
        Inventory {
            distributions: self.distributions.clone(),
            components: self.components.clone(),
            unidentified: unidentified(&self.findings),
        }
    }

    /// Whether a gate failed.
    pub fn fails(&self) -> bool {
        self.gates.iter().any(|gate| gate.fails)
    }
}

fn unidentified(findings: &[Finding]) -> Vec<String> {
    let unknown = findings.iter().filter(|finding| finding.id == components::UNIDENTIFIED);
    unknown.map(|finding| finding.place.clone()).collect()
}

fn system(needs: &Needs) -> Vec<SystemLibrary> {
    let mut libraries: BTreeMap<&str, SystemLibrary> = BTreeMap::new();
    for file in &needs.files {
        for library in &file.libraries {
            let known = libraries.entry(&library.soname).or_insert_with(|| SystemLibrary {
                soname: library.soname.clone(),
                versions: BTreeSet::new(),
                distributions: BTreeSet::new(),
                files: 0,
                example: file.path.absolute(),
                users: BTreeMap::new(),
            });
            known.files += 1;
            known.versions.extend(library.versions.iter().map(|(version, _)| version.clone()));
            for (version, _) in &library.versions {
                known.users.entry(version.clone()).or_insert_with(|| file.path.absolute());
            }
            if !file.origin.is_empty() {
                known.distributions.insert(file.origin.to_string());
            }
        }
    }
    libraries.into_values().collect()
}

fn sizes(tree: &Tree) -> Vec<Share> {
    let mut shares: BTreeMap<&str, Share> = BTreeMap::new();
    for (_, entry) in tree.iter() {
        let Entry::File { content, origin, .. } = entry else { continue };
        let owner = distribution(origin).unwrap_or_default();
        let none = || Share { owner: owner.to_owned(), bytes: 0, files: 0 };
        let share = shares.entry(owner).or_insert_with(none);
        share.bytes += content.len();
        share.files += 1;
    }
    shares.into_values().collect()
}

fn rows(elf: &ElfReport, needs: &Needs, tree: &Tree) -> Vec<ElfRow> {
    let outside: BTreeMap<_, BTreeSet<_>> = needs
        .files
        .iter()
        .map(|file| (&file.path, file.libraries.iter().map(|library| &library.soname).collect()))
        .collect();
    let row = |file: &ElfFile| {
        let facts = file.facts.as_ref().ok()?;
        let is_outside =
            |soname: &String| outside.get(&file.path).is_some_and(|all| all.contains(soname));
        let (outside, inside) = facts.dynamic.needed.iter().cloned().partition(is_outside);
        let distribution = match tree.get(&file.path) {
            Some(Entry::File { origin, .. }) => origin.to_string(),
            Some(Entry::Dir { .. } | Entry::Symlink { .. }) | None => String::new(),
        };
        Some(ElfRow {
            path: file.path.absolute(),
            distribution,
            soname: facts.dynamic.soname.clone(),
            search_path: facts.dynamic.runpath.clone().or_else(|| facts.dynamic.rpath.clone()),
            inside,
            outside,
            build_id: facts.notes.build_id.clone(),
            x86_64_level: facts.notes.isa_level,
        })
    };
    elf.files.iter().filter_map(row).collect()
}

/// The machine most of the compiled files are for.
fn machine(elf: &ElfReport) -> Option<Machine> {
    let mut counts: BTreeMap<&str, (usize, Machine)> = BTreeMap::new();
    for machine in elf.files.iter().filter_map(|file| file.facts.as_ref().ok()?.machine) {
        counts.entry(machine.uname()).or_insert((0, machine)).0 += 1;
    }
    counts.into_values().max_by_key(|(count, _)| *count).map(|(_, machine)| machine)
}

#[cfg(test)]
mod tests {
    use schemars::generate::SchemaSettings;

    use crate::audit::Report;

    /// docs/audit.schema.json is made of the types; `UPDATE_SNAPSHOTS=1` writes it anew.
    #[test]
    fn the_schema_is_that_of_the_types() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/audit.schema.json");
        let settings = SchemaSettings::draft2020_12().for_serialize();
        let schema = settings.into_generator().into_root_schema_for::<Report>();
        let text = serde_json::to_string_pretty(&schema).unwrap() + "\n";
        if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
            std::fs::write(path, &text).unwrap();
        }
        let written = std::fs::read_to_string(path).unwrap_or_default();
        assert_eq!(written, text, "write it anew with UPDATE_SNAPSHOTS=1");
    }
}
