//! What differs between two packages, as whoever upgrades hosts from one to the other wants to know it.
//!
//! Pure, but for reading texts of both. Each is judged by the same policy; what is waived gates nothing.

mod declared;
mod files;
mod findings;
mod lines;
pub mod markdown;
pub mod text;
mod versions;

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use serde::Serialize;

use crate::audit::diff::declared::{fields, relations};
use crate::audit::diff::files::{
    Files, RoleChange, accounts, brought_by, distribution, roles, texts,
};
use crate::audit::diff::findings::{findings, vulnerabilities};
use crate::audit::diff::lines::TextChange;
use crate::audit::diff::versions::{Versions, changes, joined, normal, of_versions};
use crate::audit::distributions::Distribution;
use crate::audit::finding::{Finding, Gate, Severity, gates};
use crate::audit::loads::{Culprit, Loads};
use crate::audit::policy::FailOn;
use crate::audit::vulnerabilities::Database;
use crate::audit::{Report, Subject, SystemLibrary};
use crate::package::{Ownership, Relation, RelationKind};
use crate::tree::{PkgPath, Tree};

/// Version of the shape of the JSON; it rises when a field goes or changes its meaning.
const SCHEMA: u32 = 1;

/// Changes that can fail a comparison, by the words of `--fail-on`, with what each is.
pub const GATES: [(&str, &str); 5] = [
    ("downgrade", "a distribution or component is of an earlier version"),
    ("release-lost", "it does not load on a release any more"),
    ("relation-added", "it asks for another package, or for more"),
    ("script-changed", "a script or unit differs"),
    ("type-change", "a directory, link or file became another of these"),
];

/// One of the two packages.
#[derive(Clone, Copy, Debug)]
pub struct Side<'s> {
    /// Its report, judged.
    pub report: &'s Report,
    /// What it installs, with the distribution that brought each file.
    pub tree: &'s Tree,
    /// What it relates to.
    pub relations: &'s [Relation],
    /// Texts for the package manager, by name.
    pub scripts: &'s BTreeMap<String, String>,
    /// What else it says of itself, as its format names it; one name may come several times.
    pub fields: &'s [(String, String)],
    /// Whose entries are not root's alone.
    pub owners: &'s BTreeMap<PkgPath, Ownership>,
}

/// Everything that differs.
#[derive(Clone, Debug, Serialize)]
pub struct Diff {
    /// Version of this shape.
    pub schema: u32,
    /// The package before.
    pub old: Subject,
    /// The package now.
    pub new: Subject,
    /// What decides the exit code.
    pub gates: Vec<Gate>,
    /// Python distributions.
    pub distributions: Vec<Change>,
    /// Licences of distributions that are in both.
    pub licences: Vec<Change>,
    /// Native components, by name.
    pub components: Vec<Change>,
    /// Packages that must be there.
    pub relations: Vec<Change>,
    /// Other relations, with their verb in front of the name; what a package provides is not among them.
    pub other_relations: Vec<Change>,
    /// What it provides, with that verb in front of the name.
    pub provides: Vec<Change>,
    /// Fields of packages of one format, but for those that are told elsewhere or differ with every build.
    pub fields: Vec<Change>,
    /// Versions of symbols of libraries of the system.
    pub floors: Vec<Floor>,
    /// Releases it loads on no more, each with the first reason.
    pub releases_lost: Vec<Lost>,
    /// Releases it loads on now, as `release machine`.
    pub releases_gained: Vec<String>,
    /// Files, directories and links.
    pub files: Files,
    /// Files that are configuration in one of the packages only.
    pub roles: Vec<RoleChange>,
    /// Accounts that are made on hosts now.
    pub accounts: Vec<String>,
    /// Scripts, units and configuration, line by line.
    pub texts: Vec<TextChange>,
    /// Findings of the new package that the old one does not have, vulnerabilities aside.
    pub findings_new: Vec<Finding>,
    /// Findings of the old package that are gone, vulnerabilities aside.
    pub findings_gone: Vec<Finding>,
    /// Known vulnerabilities; `None` when no database was asked.
    pub vulnerabilities: Option<Vulnerabilities>,
    /// Bytes of all files, and of those of each distribution whose share differs.
    pub size: Size,
}

/// Something that has a name and a version, or a text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Change {
    /// What it is called; of a distribution or component in its normal form (PEP 503).
    pub name: String,
    /// What it was; `None` when it was not there.
    pub old: Option<String>,
    /// What it is; `None` when it is gone.
    pub new: Option<String>,
    /// Which way it goes.
    pub way: Way,
}

/// Which way a change goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Way {
    /// It was not there.
    New,
    /// A later version.
    Up,
    /// An earlier version.
    Down,
    /// Another one, of which it is not known whether it is later.
    Other,
    /// It is not there any more.
    Gone,
}

/// What is needed of a library of the system.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Floor {
    /// The library.
    pub library: String,
    /// Versions that are needed now, each with a file that does.
    pub added: BTreeMap<String, String>,
    /// Versions that are needed no more.
    pub removed: Vec<String>,
    /// One of the files that need the library now; `None` when none does.
    pub example: Option<String>,
}

/// A release that is lost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Lost {
    /// `distribution:version`.
    pub release: &'static str,
    /// As uname(1) calls it.
    pub machine: &'static str,
    /// What it lacks.
    pub culprit: Culprit,
}

/// Known vulnerabilities of both packages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Vulnerabilities {
    /// What was asked.
    pub databases: Vec<Database>,
    /// Those only the new package has.
    pub introduced: Vec<Finding>,
    /// Those only the old package has.
    pub fixed: Vec<Finding>,
    /// Those of the new package that the old one has, too.
    pub persisting: Vec<Finding>,
}

/// Sizes in bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Size {
    /// Of the old package.
    pub old: u64,
    /// Of the new package.
    pub new: u64,
    /// Of distributions, by name: before and now.
    pub distributions: BTreeMap<String, (u64, u64)>,
}

/// Compares two packages; `fail_on` is what fails of what is new, `replaces_dirs` whether the package manager puts a
/// file where a directory was.
pub fn diff(old: Side<'_>, new: Side<'_>, fail_on: &FailOn, replaces_dirs: bool) -> Result<Diff> {
    let (was, is) = (old.report, new.report);
    let (releases_lost, releases_gained) = releases(&was.loads_on, &is.loads_on);
    let (findings_new, findings_gone) = findings(was, is);
    let mut diff = Diff {
        schema: SCHEMA,
        old: was.subject.clone(),
        new: is.subject.clone(),
        gates: Vec::new(),
        distributions: changes(&distributions(was), &distributions(is), of_versions),
        licences: licences(was, is),
        components: changes(&components(old), &components(new), of_versions),
        relations: relations(old, new, |kind| kind == RelationKind::Needs),
        other_relations: relations(old, new, |kind| {
            !matches!(kind, RelationKind::Needs | RelationKind::Provides)
        }),
        provides: relations(old, new, |kind| kind == RelationKind::Provides),
        fields: fields(old, new),
        floors: floors(was, is),
        releases_lost,
        releases_gained,
        files: files::files(old, new, replaces_dirs),
        roles: roles(old.tree, new.tree),
        accounts: accounts(new.tree)?.difference(&accounts(old.tree)?).cloned().collect(),
        texts: texts(old, new)?,
        findings_new,
        findings_gone,
        vulnerabilities: vulnerabilities(was, is),
        size: size(was, is),
    };
    diff.gates = diff.gates(fail_on);
    Ok(diff)
}

impl Diff {
    /// Whether a gate failed.
    pub fn fails(&self) -> bool {
        self.gates.iter().any(|gate| gate.fails)
    }

    /// Gates of what is new and of vulnerabilities that are still there, then those of changes.
    fn gates(&self, fail_on: &FailOn) -> Vec<Gate> {
        let known =
            self.vulnerabilities.iter().flat_map(|it| it.introduced.iter().chain(&it.persisting));
        let judged: Vec<_> = self.findings_new.iter().chain(known).cloned().collect();
        let mut gates = gates(&judged, fail_on);
        for (id, _) in GATES {
            let count = self.count(id);
            if count > 0 {
                let fails = fail_on.changes.contains(id);
                gates.push(Gate { id, severity: Severity::Warn, count, waived: 0, fails });
            }
        }
        gates
    }

    /// How many changes there are of the kind that a gate is called after.
    fn count(&self, gate: &str) -> usize {
        match gate {
            "downgrade" => {
                let all = self.distributions.iter().chain(&self.components);
                all.filter(|change| change.way == Way::Down).count()
            }
            "release-lost" => self.releases_lost.len(),
            "relation-added" => self.relations.iter().filter(|one| one.way != Way::Gone).count(),
            "script-changed" => self.texts.iter().filter(|text| text.kind.is_run()).count(),
            _ => self.files.types.len(),
        }
    }
}

fn distributions(report: &Report) -> Versions {
    joined(report.distributions.iter().map(|one| (normal(&one.name), one.version.clone())))
}

/// Licences that differ, of distributions that are in both.
fn licences(old: &Report, new: &Report) -> Vec<Change> {
    let of = |report: &Report, other: &Report| {
        let others = distributions(other);
        let told = report.distributions.iter().map(|one| (normal(&one.name), licence(one)));
        joined(told.filter(|(name, _)| others.contains_key(name)))
    };
    changes(&of(old, new), &of(new, old), |_, _| Way::Other)
}

fn licence(one: &Distribution) -> String {
    if one.licence.is_empty() { "unknown".to_owned() } else { one.licence.clone() }
}

/// Components by their name and the distribution they are in.
fn components(side: Side<'_>) -> Versions {
    joined(side.report.components.iter().map(|one| {
        let entry = PkgPath::new(&one.path).ok().and_then(|path| side.tree.get(&path));
        match entry.map(distribution) {
            Some(owner) if !owner.is_empty() => {
                (format!("{} in {owner}", normal(&one.name)), one.version.clone())
            }
            Some(_) | None => (normal(&one.name), one.version.clone()),
        }
    }))
}

fn floors(old: &Report, new: &Report) -> Vec<Floor> {
    let by_name = |report: &Report| -> BTreeMap<String, SystemLibrary> {
        report.system.iter().map(|one| (one.soname.clone(), one.clone())).collect()
    };
    let (was, is) = (by_name(old), by_name(new));
    let names: BTreeSet<_> = was.keys().chain(is.keys()).cloned().collect();
    let floor = |library: String| {
        let (before, now) = (was.get(&library), is.get(&library));
        let has = |one: Option<&SystemLibrary>, version: &String| {
            one.is_some_and(|one| one.versions.contains(version))
        };
        let users = now.iter().flat_map(|now| &now.users);
        let added = users.filter(|(version, _)| !has(before, version));
        let added: BTreeMap<_, _> =
            added.map(|(version, file)| (version.clone(), file.clone())).collect();
        let removed = before.iter().flat_map(|before| &before.versions);
        let removed: Vec<_> = removed.filter(|version| !has(now, version)).cloned().collect();
        let is_same = before.is_some() == now.is_some() && added.is_empty() && removed.is_empty();
        let example = now.map(|now| now.example.clone());
        (!is_same).then_some(Floor { library, added, removed, example })
    };
    names.into_iter().filter_map(floor).collect()
}

/// Releases that are lost and gained. Machines that only one of the packages is for are no loss of the other.
fn releases(old: &[Loads], new: &[Loads]) -> (Vec<Lost>, Vec<String>) {
    let (mut lost, mut gained) = (Vec::new(), Vec::new());
    for now in new {
        let is_it = |one: &&Loads| (one.release, one.machine) == (now.release, now.machine);
        let Some(before) = old.iter().find(is_it) else { continue };
        match (before.culprits.first(), now.culprits.first()) {
            (None, Some(culprit)) => lost.push(Lost {
                release: now.release,
                machine: now.machine,
                culprit: culprit.clone(),
            }),
            (Some(_), None) => gained.push(format!("{} {}", now.release, now.machine)),
            (None, None) | (Some(_), Some(_)) => {}
        }
    }
    (lost, gained)
}

fn size(old: &Report, new: &Report) -> Size {
    let (was, is) = (sizes(old), sizes(new));
    let names: BTreeSet<_> = was.keys().chain(is.keys()).collect();
    let of = |sizes: &BTreeMap<String, u64>, name: &String| sizes.get(name).copied().unwrap_or(0);
    let pair = |name: &String| (name.clone(), (of(&was, name), of(&is, name)));
    let distributions = names.into_iter().map(pair).filter(|(_, (was, is))| was != is).collect();
    Size { old: was.values().sum(), new: is.values().sum(), distributions }
}

/// Bytes of the files of each distribution, by name; those of none under the empty one.
fn sizes(report: &Report) -> BTreeMap<String, u64> {
    let mut sizes = BTreeMap::new();
    for share in &report.sizes {
        *sizes.entry(brought_by(&share.owner)).or_default() += share.bytes;
    }
    sizes
}

#[cfg(test)]
mod tests {
    use crate::audit::diff::releases;
    use crate::audit::loads::{Culprit, Loads};

    #[test]
    fn releases_are_lost_and_gained() {
        let loads = |release, missing: &[&str]| {
            let culprit = |missing: &&str| Culprit {
                missing: (*missing).to_owned(),
                file: "/x".to_owned(),
                symbol: None,
                files: 1,
            };
            let culprits = missing.iter().map(culprit).collect();
            Loads { release, machine: "m", culprits, provided: String::new() }
        };
        let old = [loads("a", &[]), loads("b", &["V_1"]), loads("c", &["V_1"]), loads("d", &[])];
        let new = [
            loads("a", &["V_2", "V_3"]),
            loads("b", &[]),
            loads("c", &["V_2"]),
            loads("e", &["V"]),
        ];
        let (lost, gained) = releases(&old, &new);
        let lost: Vec<_> =
            lost.iter().map(|it| (it.release, it.culprit.missing.as_str())).collect();
        assert_eq!((lost, gained), (vec![("a", "V_2")], vec!["b m".to_owned()]));
    }
}
