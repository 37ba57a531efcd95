//! The checks of an audit: what each is called, how bad it is, and which of them decide.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize, Serializer};

use crate::audit::policy::{FailOn, Waived};
use crate::audit::vulnerabilities::Advisory;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Good to know.
    Info,
    /// It may bite.
    Warn,
    /// It does not work, or is unsafe.
    Error,
}

impl Severity {
    /// Its name in lower case.
    pub fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}

/// One check of the catalogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Check {
    /// What it is called; never used for anything else.
    pub id: &'static str,
    /// What it finds.
    pub title: &'static str,
    /// How bad that is.
    pub severity: Severity,
}

const fn check(id: &'static str, title: &'static str, severity: Severity) -> Check {
    Check { id, title, severity }
}

/// Every check there is, by id. docs/audit.md says what each means.
pub const CATALOGUE: [Check; 50] = [
    check("ELF001", "a library that nobody has", Severity::Error),
    check("ELF002", "a library is found by accident", Severity::Warn),
    check("ELF003", "a search path for libraries leaves the package", Severity::Warn),
    check("ELF004", "a search path is relative to where a process is started", Severity::Error),
    check("ELF005", "a search path climbs out of the package", Severity::Warn),
    check(
        "ELF006",
        "a file for another machine than the package or its other files",
        Severity::Error,
    ),
    check("ELF007", "the stack can be executed", Severity::Error),
    check("ELF008", "code is changed when it is loaded", Severity::Error),
    check("ELF009", "nothing is read-only once it is loaded", Severity::Warn),
    check("ELF010", "functions are bound when they are first called", Severity::Info),
    check("ELF011", "a program at a fixed address", Severity::Warn),
    check("ELF012", "a file does not load on a release it must load on", Severity::Error),
    check("ELF013", "a private symbol of glibc is used", Severity::Error),
    check("ELF014", "code for newer processors than the baseline", Severity::Warn),
    check("ELF015", "a file for another C library than glibc", Severity::Error),
    check("ELF016", "a library is needed, and none of its symbols", Severity::Info),
    check("ELF017", "a damaged ELF file", Severity::Error),
    check("ELF019", "two libraries of one name differ", Severity::Warn),
    check("ELF020", "the loader refuses a file", Severity::Error),
    check("ELF021", "a program is run by an unknown loader", Severity::Error),
    check("LIB002", "a library copied into a wheel whose version is not known", Severity::Info),
    check("PY001", "an extension module for another Python", Severity::Error),
    check("PY002", "two distributions list one file", Severity::Warn),
    check("PY003", "a file is not what its RECORD says", Severity::Error),
    check("PY004", "what a distribution requires is not there", Severity::Error),
    check("PY005", "a distribution does not state its licence", Severity::Warn),
    check("PY006", "a distribution is installed from elsewhere", Severity::Error),
    check("PY007", "code runs at every start of Python", Severity::Warn),
    check("FS001", "a file has other rights than whoever runs it", Severity::Error),
    check("FS002", "others than its owner may write a file", Severity::Error),
    check("FS003", "others than its owner cannot read it", Severity::Warn),
    check("FS004", "a file where packages put none", Severity::Warn),
    check("FS005", "a name that packages and terminals cannot take", Severity::Error),
    check("FS006", "a link leads out of the package, to what is not of the system", Severity::Warn),
    check("FS007", "a device, a named pipe or a socket", Severity::Error),
    check("FS008", "a library can be executed", Severity::Info),
    check("FS009", "a file that was left behind", Severity::Info),
    check("FS010", "a link leads nowhere", Severity::Warn),
    check("FS011", "two names that differ in case alone", Severity::Info),
    check("FS012", "an entry outside of data is not root's", Severity::Warn),
    check("LEAK001", "a path of the machine it was built on", Severity::Error),
    check("SEC001", "a secret", Severity::Error),
    check("UNIT001", "a unit runs as root, or does not mean what it says", Severity::Warn),
    check("VUL001", "a critical vulnerability", Severity::Error),
    check("VUL002", "a vulnerability of high severity", Severity::Error),
    check("VUL003", "a vulnerability of medium severity", Severity::Warn),
    check("VUL004", "a vulnerability of low severity", Severity::Info),
    check("VUL005", "a vulnerability that nobody rated", Severity::Error),
    check("WVR001", "a waiver has ended", Severity::Warn),
    check("WVR002", "a waiver that nothing needs", Severity::Warn),
];

/// The check called `id`.
pub fn find(id: &str) -> Option<&'static Check> {
    CATALOGUE.iter().find(|check| check.id == id)
}

/// One thing that was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Finding {
    /// The check.
    pub id: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// Where: a path of the package, or a distribution.
    pub place: String,
    /// What is there.
    pub message: String,
    /// Of a vulnerability, what is known of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advisory: Option<Box<Advisory>>,
    /// Why it is accepted; nothing fails by it then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waived: Option<Waived>,
}

impl Finding {
    /// What the check called `id` found; it is one of the catalogue.
    pub fn new(id: &'static str, place: String, message: String) -> Self {
        let severity = find(id).map_or(Severity::Error, |check| check.severity);
        Self { id, severity, place, message, advisory: None, waived: None }
    }

    /// The same, as bad as that: some of what a check finds is worse than the rest.
    pub(super) fn at(self, severity: Severity) -> Self {
        Self { severity, ..self }
    }
}

/// The worst first, then by check and place.
impl Ord for Finding {
    fn cmp(&self, other: &Self) -> Ordering {
        let key = |finding: &Self| (finding.id, finding.place.clone(), finding.message.clone());
        other.severity.cmp(&self.severity).then_with(|| key(self).cmp(&key(other)))
    }
}

impl PartialOrd for Finding {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// A check that found something, and whether it decides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Gate {
    /// The check.
    pub id: &'static str,
    /// How bad its findings are.
    pub severity: Severity,
    /// How many there are.
    pub count: usize,
    /// How many of them are accepted.
    pub waived: usize,
    /// Whether the audit fails by it: `failed` or `passed`.
    #[serde(rename = "outcome", serialize_with = "outcome")]
    #[cfg_attr(test, schemars(with = "String"))]
    pub fails: bool,
}

fn outcome<S: Serializer>(fails: &bool, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(if *fails { "failed" } else { "passed" })
}

/// The gates of `findings`: those `fail_on` takes fail, unless they are accepted.
pub(super) fn gates(findings: &[Finding], fail_on: &FailOn) -> Vec<Gate> {
    let mut gates: BTreeMap<&str, Gate> = BTreeMap::new();
    for finding in findings {
        let Finding { id, severity, .. } = finding;
        let none = Gate { id, severity: *severity, count: 0, waived: 0, fails: false };
        let gate = gates.entry(id).or_insert(none);
        gate.count += 1;
        match finding.waived {
            Some(_) => gate.waived += 1,
            None => gate.fails |= fail_on.takes(finding),
        }
    }
    gates.into_values().collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use crate::audit::finding::{CATALOGUE, Finding, Severity, gates};
    use crate::audit::policy::FailOn;

    #[test]
    fn ids_are_sorted_and_unique() {
        assert!(CATALOGUE.windows(2).all(|pair| {
            let group = |id: &str| id.trim_end_matches(|at: char| at.is_ascii_digit()).to_owned();
            group(pair[0].id) != group(pair[1].id) || pair[0].id < pair[1].id
        }));
    }

    #[test]
    fn what_fails() {
        let finding = |id| Finding::new(id, "/x".to_owned(), String::new());
        let mut findings = [finding("ELF010"), finding("FS001"), finding("ELF009")];
        findings.sort();
        assert_eq!(findings.each_ref().map(|finding| finding.id), ["FS001", "ELF009", "ELF010"]);
        let check = |least, ids: &[&str], expected: &[&str]| {
            let ids = ids.iter().map(|id| (*id).to_owned()).collect::<BTreeSet<_>>();
            let gates = gates(&findings, &FailOn { least, ids, ..FailOn::default() });
            assert_eq!(gates.len(), 3);
            let failed: Vec<_> =
                gates.iter().filter(|gate| gate.fails).map(|gate| gate.id).collect();
            assert_eq!(failed, expected);
        };
        check(None, &[], &[]);
        check(Some(Severity::Error), &[], &["FS001"]);
        check(Some(Severity::Warn), &[], &["ELF009", "FS001"]);
        check(None, &["ELF010"], &["ELF010"]);
    }
}
