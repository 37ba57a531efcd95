//! Known vulnerabilities of what is inside, from databases on disk.
//!
//! What a database does not know is never told as sound: one that is missing, empty or too old is an error, and what
//! could not be looked up is listed.

mod archive;
mod database;
mod osv;
pub mod rating;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow, bail};
use serde::Serialize;

use crate::audit::Report;
use crate::audit::finding::Finding;
use crate::audit::vulnerabilities::database::{Audited, Database as Opened, Text};
use crate::audit::vulnerabilities::osv::{Entry, Installed};
use crate::audit::vulnerabilities::rating::Rating;
use crate::date::Date;
use crate::error::UserError;
use crate::parallel;
use crate::pep::{Version, normalize_name};

/// Days after which a database is too old, unless the user says otherwise; grype has the same.
pub const MAX_AGE: u64 = 5;

/// What was asked for vulnerabilities.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Vulnerabilities {
    /// The databases.
    pub databases: Vec<Database>,
    /// How many distributions were looked up.
    pub checked: usize,
    /// What could not be looked up, and why.
    pub not_checked: Vec<String>,
}

/// A database that was asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Database {
    /// Its path, as the user named it.
    pub name: String,
    /// How many entries it has about Python distributions; of a result of pip-audit, how many distributions.
    pub entries: usize,
    /// The day of the newest entry; `None` where entries have none, as in a result of pip-audit.
    pub date: Option<String>,
    /// Days since then.
    pub age: Option<u64>,
}

/// A vulnerability that something inside has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Advisory {
    /// Its id, that of one entry.
    pub id: String,
    /// Its other ids.
    pub aliases: BTreeSet<String>,
    /// How bad it is: the worst that is said of it.
    pub rating: Rating,
    /// The base score of CVSS 3, such as `9.8`.
    pub score: Option<String>,
    /// What it is computed from.
    pub vector: Option<String>,
    /// The distribution, by its normalised name.
    pub component: String,
    /// Its version here.
    pub installed: String,
    /// A version without it.
    pub fixed: Option<String>,
    /// One line.
    pub summary: String,
    /// The databases that have it.
    pub sources: BTreeSet<String>,
    /// Where the distribution is.
    pub path: String,
}

/// What databases say of a report.
#[derive(Debug)]
pub struct Matches {
    pub(super) vulnerabilities: Vulnerabilities,
    pub(super) findings: Vec<Finding>,
}

/// How old a database may be, on which day.
#[derive(Clone, Copy, Debug)]
pub struct Freshness {
    /// The day.
    pub today: Date,
    /// Whether the clock says so, and nobody who judges by another day.
    pub is_now: bool,
    /// Days; `None` for [`MAX_AGE`], and then a database without a date passes.
    pub max_age: Option<u64>,
}

/// Something inside that databases can be asked about.
struct Subject<'r> {
    name: String,
    place: String,
    path: &'r str,
    version: &'r str,
    installed: Installed<'r>,
}

/// An entry that is about a subject.
#[derive(Debug)]
struct Hit {
    subject: usize,
    ids: BTreeSet<String>,
    own: String,
    summary: String,
    rating: Rating,
    score: Option<(u32, String)>,
    fixed: Option<Version>,
    sources: BTreeSet<String>,
}

/// Looks up what `report` has in each database of `paths`.
pub fn look_up(
    paths: &[PathBuf],
    report: &Report,
    freshness: Freshness,
    jobs: usize,
) -> Result<Matches> {
    let mut not_checked = Vec::new();
    let subjects = subjects(report, &mut not_checked);
    let (mut databases, mut hits, mut covered) = (Vec::new(), Vec::new(), BTreeSet::new());
    for path in paths {
        let search = Search { name: path.display().to_string(), subjects: &subjects, jobs };
        let (database, found, known) =
            search.run(path, freshness).map_err(|error| unusable(path, &error))?;
        freshness.check(&database)?;
        databases.push(database);
        hits.extend(found);
        covered.extend(known);
    }
    let is_missing = |(at, _): &(usize, &Subject<'_>)| !covered.contains(at);
    let missing = subjects.iter().enumerate().filter(is_missing).map(|(_, subject)| subject);
    not_checked.extend(missing.map(|subject| format!("{}: no database has it", subject.place)));
    let vulnerabilities = Vulnerabilities { databases, checked: covered.len(), not_checked };
    Ok(Matches { vulnerabilities, findings: findings(&subjects, hits) })
}

/// What can be looked up; the rest is said in `not_checked`.
fn subjects<'r>(report: &'r Report, not_checked: &mut Vec<String>) -> Vec<Subject<'r>> {
    let mut subjects = Vec::new();
    for one in &report.distributions {
        let place = format!("{} {}", one.name, one.version);
        let installed = Installed::new(&one.version);
        match normalize_name(&one.name) {
            Ok(_) if !installed.is_ordered() => {
                not_checked.push(format!("{place}: its version is none of PEP 440"));
            }
            Ok(name) => {
                let (path, version) = (&*one.path, &*one.version);
                subjects.push(Subject { name, place, path, version, installed });
            }
            Err(_) => not_checked.push(format!("{place}: its name is none of PEP 508")),
        }
    }
    let components: BTreeSet<_> =
        report.components.iter().map(|one| (&one.name, &one.version)).collect();
    let native = components.into_iter().map(|(name, version)| format!("{name} {version}"));
    not_checked.extend(
        native.map(|one| format!("{one}: native components are not matched with databases")),
    );
    subjects
}

fn unusable(path: &Path, error: &anyhow::Error) -> anyhow::Error {
    let path = path.display();
    UserError::stale(format!("cannot use the database of vulnerabilities `{path}`: {error:#}"))
        .hint("fetch it again, or leave it out: the report then says that nothing was checked")
        .into()
}

impl Freshness {
    fn check(self, database: &Database) -> Result<()> {
        let max_age = self.max_age.unwrap_or(MAX_AGE);
        let date = database.date.as_ref().and_then(|date| date.parse::<Date>().ok());
        // A day on account of time zones.
        if let Some(date) = date.filter(|date| self.is_now && date.days_since(self.today) > 1) {
            let (name, today) = (&database.name, self.today);
            let message = format!(
                "the database of vulnerabilities `{name}` is of {date}, and today is {today}"
            );
            let hint = "set the clock, or fetch the database again";
            return Err(UserError::stale(message).hint(hint).into());
        }
        let fault = match (database.age, self.max_age) {
            (Some(age), _) if age > max_age => {
                format!("is {age} days old, and may be {max_age}")
            }
            (None, Some(_)) => "does not say how old it is".to_owned(),
            (Some(_) | None, _) => return Ok(()),
        };
        Err(UserError::stale(format!(
            "the database of vulnerabilities `{}` {fault}",
            database.name
        ))
        .hint("fetch it again, or allow more days with `--max-db-age`")
        .into())
    }
}

/// One database, asked about everything.
struct Search<'s> {
    name: String,
    subjects: &'s [Subject<'s>],
    jobs: usize,
}

/// What one entry of a database tells.
struct Told {
    date: Option<Date>,
    hits: Vec<Hit>,
}

impl Search<'_> {
    /// The database, what it knows, and about which subjects it was asked.
    fn run(
        &self,
        path: &Path,
        freshness: Freshness,
    ) -> Result<(Database, Vec<Hit>, BTreeSet<usize>)> {
        match Opened::open(path)? {
            Opened::Osv(texts) => {
                let told = self.entries(&texts)?;
                let date = told.iter().filter_map(|told| told.date).max();
                let database = Database {
                    name: self.name.clone(),
                    entries: told.len(),
                    date: date.map(|date| date.to_string()),
                    age: date.map(|date| freshness.today.days_since(date)),
                };
                let hits = told.into_iter().flat_map(|told| told.hits).collect();
                Ok((database, hits, (0..self.subjects.len()).collect()))
            }
            Opened::PipAudit(audited) => {
                if audited.is_empty() {
                    bail!("pip-audit looked at no distribution");
                }
                let (name, entries) = (self.name.clone(), audited.len());
                let (hits, known) = self.audited(audited);
                Ok((Database { name, entries, date: None, age: None }, hits, known))
            }
        }
    }

    /// What each entry about a Python distribution tells; there is at least one.
    fn entries(&self, texts: &[Text]) -> Result<Vec<Told>> {
        let mut by_name: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (at, subject) in self.subjects.iter().enumerate() {
            by_name.entry(&subject.name).or_default().push(at);
        }
        let told = parallel::filter_map(texts, self.jobs, |text| {
            let entry = Entry::parse(&text.read()?, &text.name)?;
            let names: BTreeSet<_> = entry.names().collect();
            if names.is_empty() {
                return Ok(None);
            }
            let date = entry.modified.get(..10).and_then(|date| date.parse().ok());
            if entry.is_withdrawn() {
                return Ok(Some(Told { date, hits: Vec::new() }));
            }
            let subjects = names.iter().filter_map(|name| by_name.get(name.as_str())).flatten();
            let hits = subjects.filter_map(|at| self.hit(&entry, *at)).collect();
            Ok(Some(Told { date, hits }))
        })?;
        if told.is_empty() {
            return Err(anyhow!("it has no entry about a Python distribution"));
        }
        Ok(told)
    }

    fn hit(&self, entry: &Entry, subject: usize) -> Option<Hit> {
        let Subject { name, installed, .. } = &self.subjects[subject];
        let osv::Hit { fixed, rating, score } = entry.hit(name, installed)?;
        let mut ids: BTreeSet<_> = entry.aliases.iter().cloned().collect();
        ids.insert(entry.id.clone());
        let (own, summary) = (entry.id.clone(), entry.summary.clone());
        let sources = BTreeSet::from([self.name.clone()]);
        Some(Hit { subject, ids, own, summary, rating, score, fixed, sources })
    }

    fn audited(&self, audited: Vec<Audited>) -> (Vec<Hit>, BTreeSet<usize>) {
        let (mut hits, mut known) = (Vec::new(), BTreeSet::new());
        for Audited { name, version, vulns } in audited {
            let Ok(name) = normalize_name(&name) else { continue };
            let is_it = |subject: &&Subject<'_>| {
                subject.name == name && version.as_deref() == Some(subject.version)
            };
            let Some(subject) = self.subjects.iter().position(|one| is_it(&one)) else { continue };
            known.insert(subject);
            hits.extend(vulns.into_iter().map(|found| {
                let mut ids: BTreeSet<_> = found.aliases.into_iter().collect();
                ids.insert(found.id.clone());
                let fixed = found.fix_versions.iter().filter_map(|text| text.parse().ok());
                let fixed = self.subjects[subject].installed.first_after(fixed);
                let summary = found.description.lines().next().unwrap_or_default().to_owned();
                let (rating, score) = (Rating::Unknown, None);
                let sources = BTreeSet::from([self.name.clone()]);
                Hit { subject, ids, own: found.id, summary, rating, score, fixed, sources }
            }));
        }
        (hits, known)
    }
}

impl Hit {
    /// Adds another entry about the same vulnerability of the same subject.
    fn absorb(&mut self, other: Self) {
        self.ids.extend(other.ids);
        self.rating = self.rating.max(other.rating);
        self.score = self.score.take().max(other.score);
        self.fixed = self.fixed.take().max(other.fixed);
        if other.own < self.own {
            self.own = other.own;
        }
        if self.summary.is_empty() {
            self.summary = other.summary;
        }
        self.sources.extend(other.sources);
    }
}

/// One finding for each vulnerability of each subject: entries that share an id are about one.
fn findings(subjects: &[Subject<'_>], mut hits: Vec<Hit>) -> Vec<Finding> {
    hits.sort_by(|left, right| {
        let key = |hit: &Hit| (hit.subject, hit.own.clone(), hit.sources.clone());
        key(left).cmp(&key(right))
    });
    let mut groups: Vec<Hit> = Vec::new();
    for mut hit in hits {
        // One entry can join two that did not know of each other.
        let is_same =
            |group: &mut Hit| group.subject == hit.subject && !group.ids.is_disjoint(&hit.ids);
        let same: Vec<_> = groups.extract_if(.., is_same).collect();
        for group in same.into_iter().rev() {
            let later = std::mem::replace(&mut hit, group);
            hit.absorb(later);
        }
        groups.push(hit);
    }
    groups.into_iter().map(|group| finding(&subjects[group.subject], group)).collect()
}

fn finding(subject: &Subject<'_>, hit: Hit) -> Finding {
    let Hit { mut ids, own, summary, rating, score, fixed, sources, .. } = hit;
    ids.remove(&own);
    let advisory = Advisory {
        aliases: ids,
        rating,
        score: score.as_ref().map(|(tenths, _)| format!("{}.{}", tenths / 10, tenths % 10)),
        vector: score.map(|(_, vector)| vector),
        component: subject.name.clone(),
        installed: subject.version.to_owned(),
        fixed: fixed.map(|version| version.to_string()),
        summary,
        sources,
        path: subject.path.to_owned(),
        id: own,
    };
    let message = advisory.sentence();
    let mut finding = Finding::new(rating.check(), subject.place.clone(), message);
    finding.advisory = Some(Box::new(advisory));
    finding
}

impl Advisory {
    /// Whether `id` is its own or one of its others.
    pub fn is_called(&self, id: &str) -> bool {
        self.id == id || self.aliases.contains(id)
    }

    /// Its ids, what it is, and the way out.
    fn sentence(&self) -> String {
        const SUMMARY: usize = 100;
        let cve = self.aliases.iter().find(|alias| alias.starts_with("CVE-"));
        let cve = cve.map(|cve| format!(" ({cve})")).unwrap_or_default();
        let score = self.score.as_ref().map(|score| format!(", CVSS {score}")).unwrap_or_default();
        let fixed = match &self.fixed {
            Some(version) => format!("fixed in {version}"),
            None => "no version is known that fixes it".to_owned(),
        };
        let summary: String = self.summary.chars().take(SUMMARY).collect();
        let summary = if summary.is_empty() { summary } else { format!(": {summary}") };
        format!("{}{cve}{score}, {fixed}{summary}", self.id)
    }
}
