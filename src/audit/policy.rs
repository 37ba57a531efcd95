//! What a user decides about findings: how bad they are, which are known and accepted, which of them fail.
//!
//! A finding that is accepted stays in the report, with the reason, and fails nothing.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use serde::Serialize;

use crate::audit::diff::GATES;
use crate::audit::finding::{CATALOGUE, Finding, Severity, find};
use crate::audit::vulnerabilities::rating::Rating;
use crate::date::Date;
use crate::document::nearest;
use crate::error::UserError;
use crate::needs::matches;
use crate::project::audit::{self, Audit, LevelName};

/// What makes an audit fail.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FailOn {
    /// Findings as bad as this, or worse.
    pub least: Option<Severity>,
    /// Checks, by id.
    pub ids: BTreeSet<String>,
    /// Vulnerabilities of which a version is known that does not have them.
    pub is_on_fixable: bool,
    /// Changes between two packages; an audit of one has none.
    pub changes: BTreeSet<&'static str>,
}

/// Everything that was decided, and the day it is judged on.
#[derive(Clone, Debug)]
pub struct Policy {
    /// What fails.
    pub fail_on: FailOn,
    levels: BTreeMap<&'static str, LevelName>,
    waivers: Vec<Waiver>,
    today: Date,
    shown: Shown,
}

/// What a report says of the policy it was judged by.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Shown {
    /// The file it is from; `None` when there is none.
    pub file: Option<String>,
    /// What fails, as written.
    pub fail_on: Vec<String>,
    /// Checks whose findings are not told, by id, with how many there were.
    pub off: BTreeMap<&'static str, usize>,
}

/// A finding that is accepted.
#[derive(Clone, Debug)]
struct Waiver {
    id: String,
    place: String,
    reason: String,
    until: Date,
}

/// Why a finding is accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Waived {
    /// In the user's words.
    pub reason: String,
    /// The last day, as YYYY-MM-DD.
    pub until: String,
}

impl FailOn {
    /// What `words` say: levels, ids of checks, ratings of vulnerabilities, `fixable`, `never`. `source` is who says it.
    pub fn new(words: &[String], source: &str) -> Result<Self> {
        let mut chosen = Self::default();
        for word in words {
            let level = match word.as_str() {
                "never" => continue,
                "info" => Severity::Info,
                "warn" => Severity::Warn,
                "error" => Severity::Error,
                "fixable" => {
                    chosen.is_on_fixable = true;
                    continue;
                }
                id if find(id).is_some() => {
                    chosen.ids.insert(id.to_owned());
                    continue;
                }
                word if GATES.iter().any(|(gate, _)| *gate == word) => {
                    chosen
                        .changes
                        .extend(GATES.iter().map(|(gate, _)| gate).filter(|it| **it == word));
                    continue;
                }
                other => {
                    let rating = Rating::named(other).ok_or_else(|| unknown(other, source))?;
                    chosen.ids.extend(rating.or_worse().map(|rating| rating.check().to_owned()));
                    continue;
                }
            };
            chosen.least = Some(chosen.least.map_or(level, |known| known.min(level)));
        }
        Ok(chosen)
    }

    /// The same for a package that is compared with none: where nothing but changes would fail, errors do.
    pub fn without_changes(self) -> Self {
        let is_only_changes = self.least.is_none() && self.ids.is_empty() && !self.is_on_fixable;
        let least =
            self.least.or((is_only_changes && !self.changes.is_empty()).then_some(Severity::Error));
        Self { least, ..self }
    }

    /// Whether `finding` is one that fails, waivers aside.
    pub fn takes(&self, finding: &Finding) -> bool {
        let is_fixable = finding.advisory.as_ref().is_some_and(|found| found.fixed.is_some());
        self.least.is_some_and(|least| finding.severity >= least)
            || self.ids.contains(finding.id)
            || self.is_on_fixable && is_fixable
    }
}

fn unknown(word: &str, source: &str) -> anyhow::Error {
    const WORDS: [&str; 9] =
        ["error", "warn", "info", "never", "critical", "high", "medium", "low", "fixable"];
    let words =
        CATALOGUE.iter().map(|check| check.id).chain(WORDS).chain(GATES.map(|(gate, _)| gate));
    let hint = match nearest(word, words, 0.7) {
        Some(nearest) => format!("did you mean `{nearest}`?"),
        None => "name a level or the id of a check, such as `warn` or `ELF007`".to_owned(),
    };
    let word = word.escape_debug();
    UserError::usage(format!("{source} does not know `{word}`")).hint(hint).into()
}

impl Policy {
    /// Checks what `config` says, which is from `file`; `words` are what fails, when the command line says so.
    pub fn new(
        config: &Audit,
        file: Option<String>,
        words: &[String],
        today: Date,
    ) -> Result<Self> {
        let (words, source) = match words {
            [] => (&config.fail_on[..], "`audit.fail-on`"),
            words => (words, "`--fail-on`"),
        };
        let fail_on = FailOn::new(words, source)?;
        let mut levels = BTreeMap::new();
        for (id, level) in &config.severity {
            levels.insert(check(id, "audit.severity")?, *level);
        }
        let waivers = config.ignore.iter().map(Waiver::new).collect::<Result<_>>()?;
        let shown = Shown { file, fail_on: words.to_vec(), off: BTreeMap::new() };
        Ok(Self { fail_on, levels, waivers, today, shown })
    }

    /// The findings as they are judged, sorted, and what to say of that.
    ///
    /// Without a database there are no vulnerabilities that could be accepted, and that is no fault of a waiver.
    pub(super) fn judge(
        &self,
        mut findings: Vec<Finding>,
        has_database: bool,
    ) -> (Vec<Finding>, Shown) {
        let mut complaints = Vec::new();
        for waiver in &self.waivers {
            let mut is_needed = !has_database && waiver.is_of_vulnerability();
            for finding in findings.iter_mut().filter(|finding| waiver.takes(finding)) {
                is_needed = true;
                if self.today <= waiver.until && finding.waived.is_none() {
                    finding.waived = Some(waiver.waived());
                }
            }
            complaints.extend(waiver.complaint(is_needed, self.today));
        }
        findings.extend(complaints);
        let mut shown = self.shown.clone();
        findings.retain_mut(|finding| self.levels(finding, &mut shown));
        findings.sort();
        (findings, shown)
    }

    /// Gives a finding the level of its check; whether it is told.
    fn levels(&self, finding: &mut Finding, shown: &mut Shown) -> bool {
        match self.levels.get(finding.id) {
            Some(LevelName::Off) => {
                *shown.off.entry(finding.id).or_default() += 1;
                return false;
            }
            Some(LevelName::Info) => finding.severity = Severity::Info,
            Some(LevelName::Warn) => finding.severity = Severity::Warn,
            Some(LevelName::Error) => finding.severity = Severity::Error,
            None => {}
        }
        true
    }
}

/// The check called `id`, as `key` names it.
fn check(id: &str, key: &str) -> Result<&'static str> {
    if let Some(check) = find(id) {
        return Ok(check.id);
    }
    let error =
        UserError::usage(format!("`{key}` names `{}`, which is no check", id.escape_debug()));
    Err(match nearest(id, CATALOGUE.iter().map(|check| check.id), 0.7) {
        Some(nearest) => error.hint(format!("did you mean `{nearest}`?")),
        None => error,
    }
    .into())
}

impl Waiver {
    fn new(config: &audit::Waiver) -> Result<Self> {
        let audit::Waiver { id, place, reason, until } = config;
        if !is_advisory(id) {
            check(id, "audit.ignore.id")?;
        }
        if reason.trim().is_empty() {
            let message = format!("`audit.ignore` of `{id}` has no reason");
            let hint = "say in `reason` why it is accepted";
            return Err(UserError::usage(message).hint(hint).into());
        }
        let until = until.parse().map_err(|_| {
            let until = until.escape_debug();
            UserError::usage(format!(
                "`audit.ignore.until` of `{id}` is `{until}`, which is no date"
            ))
            .hint("write it as YYYY-MM-DD, such as `2027-01-31`")
        })?;
        Ok(Self { id: id.clone(), place: place.clone(), reason: reason.trim().to_owned(), until })
    }

    fn takes(&self, finding: &Finding) -> bool {
        let is_meant = finding.id == self.id
            || finding.advisory.as_ref().is_some_and(|found| found.is_called(&self.id));
        is_meant && matches(&self.place, &finding.place)
    }

    fn is_of_vulnerability(&self) -> bool {
        self.id.starts_with("VUL") || is_advisory(&self.id)
    }

    fn waived(&self) -> Waived {
        Waived { reason: self.reason.clone(), until: self.until.to_string() }
    }

    /// What is wrong with it: it is over, or there is nothing to accept.
    fn complaint(&self, is_needed: bool, today: Date) -> Option<Finding> {
        let Self { id, place, reason, until } = self;
        let at = format!("{id} {place}");
        match (today > *until, is_needed) {
            (true, _) => Some(("WVR001", format!("it ended on {until}: {reason}"))),
            (false, false) => Some(("WVR002", format!("until {until}: {reason}"))),
            (false, true) => None,
        }
        .map(|(check, message)| Finding::new(check, at, message))
    }
}

/// Whether `id` is one that databases of vulnerabilities give, such as `CVE-2024-1234`: a prefix, `-`, and the rest.
fn is_advisory(id: &str) -> bool {
    let is_part =
        |part: &str| !part.is_empty() && part.bytes().all(|at| at.is_ascii_alphanumeric());
    id.split('-').count() > 2 && id.split('-').all(is_part)
}

#[cfg(test)]
mod tests {
    use crate::audit::finding::{Finding, gates};
    use crate::audit::policy::{FailOn, Policy};
    use crate::document::from_toml;
    use crate::error::{exit_code, hint};
    use crate::project::audit::Audit;

    const TODAY: &str = "2026-06-30";

    fn policy(text: &str) -> anyhow::Result<Policy> {
        let config: Audit = from_toml(text, "x")?;
        Policy::new(&config, None, &[], TODAY.parse().unwrap())
    }

    fn findings() -> Vec<Finding> {
        let finding = |id, place: &str| Finding::new(id, place.to_owned(), String::new());
        vec![
            finding("ELF003", "/opt/a/x.so"),
            finding("ELF003", "/opt/b/x.so"),
            finding("ELF010", "/opt/a/x.so"),
            finding("FS001", "/opt/a/su"),
        ]
    }

    /// Gates as `ID count waived`, a `!` behind those that fail.
    fn check(text: &str, expected: &[&str]) {
        let policy = policy(text).unwrap();
        let (judged, _) = policy.judge(findings(), true);
        let gate = |gate: &crate::audit::finding::Gate| {
            let fails = if gate.fails { "!" } else { "" };
            format!("{} {} {} {}{fails}", gate.severity.name(), gate.id, gate.count, gate.waived)
        };
        let gates: Vec<_> = gates(&judged, &policy.fail_on).iter().map(gate).collect();
        assert_eq!(gates, expected, "{text}");
    }

    #[test]
    fn levels() {
        check("", &["warn ELF003 2 0", "info ELF010 1 0", "error FS001 1 0!"]);
        check("fail-on = ['never']", &["warn ELF003 2 0", "info ELF010 1 0", "error FS001 1 0"]);
        check(
            "severity = { ELF010 = 'error', FS001 = 'info', ELF003 = 'off' }",
            &["error ELF010 1 0!", "info FS001 1 0"],
        );
        let (judged, shown) =
            policy("severity = { ELF003 = 'off' }").unwrap().judge(findings(), true);
        assert_eq!((judged.len(), shown.off["ELF003"]), (2, 2));
    }

    #[test]
    fn waivers() {
        let waiver = |id: &str, place: &str, until: &str| {
            format!("[[ignore]]\nid = '{id}'\nplace = '{place}'\nreason = 'r'\nuntil = '{until}'\n")
        };
        let last = waiver("FS001", "/opt/*", TODAY);
        check(&last, &["warn ELF003 2 0", "info ELF010 1 0", "error FS001 1 1"]);
        let (judged, _) = policy(&last).unwrap().judge(findings(), true);
        let waived = judged[0].waived.as_ref().unwrap();
        assert_eq!((waived.reason.as_str(), waived.until.as_str()), ("r", TODAY));
        check(
            &waiver("FS001", "/opt/*", "2026-06-29"),
            &["warn ELF003 2 0", "info ELF010 1 0", "error FS001 1 0!", "warn WVR001 1 0"],
        );
        check(
            &waiver("ELF003", "/opt/a/**", "2026-07-01"),
            &["warn ELF003 2 1", "info ELF010 1 0", "error FS001 1 0!"],
        );
        check(
            &(waiver("CVE-2026-1", "*", "2027-01-01") + "[severity]\nWVR002 = 'error'\n"),
            &["warn ELF003 2 0", "info ELF010 1 0", "error FS001 1 0!", "error WVR002 1 0!"],
        );
        let (judged, _) =
            policy(&waiver("CVE-2026-1", "*", TODAY)).unwrap().judge(findings(), false);
        assert_eq!(judged.len(), 4);
    }

    fn check_refused(text: &str, message: &str, next: Option<&str>) {
        let error = policy(text).unwrap_err();
        assert_eq!((exit_code(&error), error.to_string().as_str()), (2, message), "{text}");
        assert_eq!(hint(&error), next, "{text}");
    }

    #[test]
    fn faults() {
        let waiver = |more: &str| format!("[[ignore]]\nplace = '*'\n{more}");
        check_refused(
            "severity = { LIB02 = 'off' }",
            "`audit.severity` names `LIB02`, which is no check",
            Some("did you mean `LIB002`?"),
        );
        check_refused(
            "fail-on = ['hihg']",
            "`audit.fail-on` does not know `hihg`",
            Some("did you mean `high`?"),
        );
        check_refused(
            &waiver("id = 'ELF0003'\nreason = 'r'\nuntil = '2027-01-01'"),
            "`audit.ignore.id` names `ELF0003`, which is no check",
            Some("did you mean `ELF003`?"),
        );
        check_refused(
            &waiver("id = 'ELF003'\nreason = ' '\nuntil = '2027-01-01'"),
            "`audit.ignore` of `ELF003` has no reason",
            Some("say in `reason` why it is accepted"),
        );
        check_refused(
            &waiver("id = 'ELF003'\nreason = 'r'\nuntil = 'soon'"),
            "`audit.ignore.until` of `ELF003` is `soon`, which is no date",
            Some("write it as YYYY-MM-DD, such as `2027-01-31`"),
        );
        for missing in ["id = 'ELF003'\nuntil = '2027-01-01'", "id = 'ELF003'\nreason = 'r'"] {
            assert_eq!(exit_code(&policy(&waiver(missing)).unwrap_err()), 2, "{missing}");
        }
    }

    #[test]
    fn words() {
        let fail_on = |word: &str| FailOn::new(&[word.to_owned()], "x").unwrap();
        let ids = |word: &str| fail_on(word).ids.into_iter().collect::<Vec<_>>();
        // What is not rated may be anything.
        assert_eq!(ids("critical"), ["VUL001", "VUL005"]);
        assert_eq!(ids("medium"), ["VUL001", "VUL002", "VUL003", "VUL005"]);
        assert_eq!(ids("VUL003"), ["VUL003"]);
        assert!(fail_on("fixable").is_on_fixable && fail_on("fixable").ids.is_empty());
    }
}
