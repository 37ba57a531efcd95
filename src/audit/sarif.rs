//! A report as SARIF 2.1.0 (OASIS), for tools that collect findings of many others.
//!
//! Every finding is a result, whether it decides or not; what decides is among the properties.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::Result;
use serde::Serialize;

use crate::audit::Report;
use crate::audit::finding::{CATALOGUE, Check, Finding, Gate, Severity};
use crate::audit::policy::Waived;
use crate::digest::{hex, sha256};
use crate::document::to_indented_json;

#[derive(Serialize)]
struct Log<'a> {
    #[serde(rename = "$schema")]
    schema: &'static str,
    version: &'static str,
    runs: [Run<'a>; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Run<'a> {
    tool: Tool,
    automation_details: Details,
    invocations: [Invocation<'a>; 1],
    results: Vec<Found<'a>>,
    properties: Judged<'a>,
}

#[derive(Serialize)]
struct Tool {
    driver: Driver,
}

#[derive(Serialize)]
struct Driver {
    name: &'static str,
    version: &'static str,
    rules: Vec<Rule>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Rule {
    id: &'static str,
    short_description: Text<'static>,
    help: Text<'static>,
    default_configuration: Configuration,
    properties: Rating,
}

#[derive(Serialize)]
struct Text<'a> {
    text: &'a str,
}

#[derive(Serialize)]
struct Configuration {
    level: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Rating {
    security_severity: &'static str,
}

#[derive(Serialize)]
struct Details {
    id: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Invocation<'a> {
    execution_successful: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_execution_notifications: Vec<Notification<'a>>,
}

#[derive(Serialize)]
struct Notification<'a> {
    level: &'static str,
    message: Text<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Found<'a> {
    rule_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule_index: Option<usize>,
    level: &'static str,
    message: Text<'a>,
    locations: [Location<'a>; 1],
    partial_fingerprints: BTreeMap<&'static str, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    suppressions: Option<[Suppression<'a>; 1]>,
    properties: Decides,
}

/// That somebody accepts a finding (3.35).
#[derive(Serialize)]
struct Suppression<'a> {
    kind: &'static str,
    status: &'static str,
    justification: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase", untagged)]
enum Location<'a> {
    #[serde(rename_all = "camelCase")]
    File { physical_location: Physical },
    #[serde(rename_all = "camelCase")]
    Distribution { logical_locations: [Logical<'a>; 1] },
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Physical {
    artifact_location: Artifact,
}

#[derive(Serialize)]
struct Artifact {
    uri: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Logical<'a> {
    fully_qualified_name: &'a str,
    kind: &'static str,
}

#[derive(Serialize)]
struct Decides {
    fails: bool,
}

#[derive(Serialize)]
struct Judged<'a> {
    gates: &'a [Gate],
}

/// The log.
pub fn sarif(report: &Report) -> Result<String> {
    let subject = &report.subject;
    let notification = |text| Notification { level: "warning", message: Text { text } };
    let unread = report.inconclusive.iter().map(String::as_str).chain(not_looked_up(report));
    let rules = CATALOGUE.iter().map(rule).collect();
    let (name, version) = (env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"));
    let run = Run {
        tool: Tool { driver: Driver { name, version, rules } },
        automation_details: Details { id: format!("mkpkg/{}/{}/", subject.kind, subject.name) },
        invocations: [Invocation {
            execution_successful: true,
            tool_execution_notifications: unread.map(notification).collect(),
        }],
        results: results(report),
        properties: Judged { gates: &report.gates },
    };
    let schema = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";
    to_indented_json(&Log { schema, version: "2.1.0", runs: [run] })
}

/// What no database of vulnerabilities was asked about.
fn not_looked_up(report: &Report) -> Vec<&str> {
    match &report.vulnerabilities {
        Some(asked) => asked.not_checked.iter().map(String::as_str).collect(),
        None => vec!["vulnerabilities were not checked: no database was given"],
    }
}

fn rule(check: &Check) -> Rule {
    Rule {
        id: check.id,
        short_description: Text { text: check.title },
        help: Text { text: help(check.id) },
        default_configuration: Configuration { level: level(check.severity) },
        properties: Rating { security_severity: rating(check.severity) },
    }
}

/// What to do about findings of a check, by what the check looks at.
fn help(id: &str) -> &'static str {
    match id.trim_end_matches(|at: char| at.is_ascii_digit()) {
        "ELF" => {
            "A compiled file. Build it anew with other flags, take another wheel, or report it to whoever made it."
        }
        "LIB" => {
            "A library copied into a wheel. Whoever made the wheel can add a list of its parts (PEP 770)."
        }
        "PY" => {
            "A Python distribution. Install it anew, take another version, or report it to whoever made it."
        }
        "FS" => "An entry of the package. Leave it out, or correct it where the package is made.",
        "VUL" => {
            "A vulnerability that is known. Take a version that has it fixed, or record why it does not matter."
        }
        _ => "See the documentation of this check.",
    }
}

/// Levels of results (3.27.10).
fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warn => "warning",
        Severity::Info => "note",
    }
}

/// A number from 0 to 10, of which GitHub makes low, medium and high.
fn rating(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "8.0",
        Severity::Warn => "5.0",
        Severity::Info => "2.0",
    }
}

fn results(report: &Report) -> Vec<Found<'_>> {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let mut results = Vec::new();
    for finding in &report.findings {
        let key = format!("{} {}", finding.id, steady(&finding.place));
        let count = seen.entry(key.clone()).or_default();
        *count += 1;
        let print = hex(&sha256(format!("{key} {count}").as_bytes()));
        results.push(Found {
            rule_id: finding.id,
            rule_index: CATALOGUE.iter().position(|check| check.id == finding.id),
            level: level(finding.severity),
            message: Text { text: &finding.message },
            locations: [location(finding)],
            partial_fingerprints: BTreeMap::from([("mkpkg/v1", print)]),
            suppressions: finding.waived.as_ref().map(suppressed),
            properties: Decides {
                fails: finding.waived.is_none()
                    && report.gates.iter().any(|gate| gate.id == finding.id && gate.fails),
            },
        });
    }
    results
}

fn suppressed(waived: &Waived) -> [Suppression<'_>; 1] {
    [Suppression { kind: "external", status: "accepted", justification: &waived.reason }]
}

fn location(finding: &Finding) -> Location<'_> {
    match finding.place.strip_prefix('/') {
        Some(path) => Location::File {
            physical_location: Physical { artifact_location: Artifact { uri: uri(path) } },
        },
        None => Location::Distribution {
            logical_locations: [Logical { fully_qualified_name: &finding.place, kind: "package" }],
        },
    }
}

/// A path as a relative reference (RFC 3986, 4.2): a first segment with a colon would be a scheme.
fn uri(path: &str) -> String {
    let mut uri = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/+@".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            let _ = write!(uri, "%{byte:02X}");
        }
    }
    uri
}

/// What a place has in common with the same place of another version: the digest of a grafted library and every number
/// are left out.
fn steady(place: &str) -> String {
    const DIGEST: usize = 8;
    let is_digest =
        |word: &str| word.len() >= DIGEST && word.bytes().all(|at| at.is_ascii_hexdigit());
    let words = place.split_inclusive(|at: char| !at.is_ascii_alphanumeric());
    let mut steady = String::new();
    for word in words {
        let bare = word.trim_end_matches(|at: char| !at.is_ascii_alphanumeric());
        if is_digest(bare) {
            steady += &word[bare.len()..];
        } else {
            steady.extend(word.chars().filter(|at| !at.is_ascii_digit()));
        }
    }
    steady
}

#[cfg(test)]
mod tests {
    use crate::audit::sarif::{steady, uri};

    #[test]
    fn the_same_place_of_another_version() {
        for (one, other) in [
            (
                "/opt/a/numpy.libs/libopenblas-99b71e71.so.0",
                "/opt/a/numpy.libs/libopenblas-0f1e2d3c.so.1",
            ),
            ("numpy 2.4.6", "numpy 2.5.0"),
            ("/opt/a/x-1.0.dist-info/y", "/opt/a/x-10.12.dist-info/y"),
        ] {
            assert_eq!(steady(one), steady(other));
        }
        assert_ne!(steady("/opt/a/x.so"), steady("/opt/a/y.so"));
    }

    #[test]
    fn references() {
        assert_eq!(uri("opt/a b/<x>#é:1?"), "opt/a%20b/%3Cx%3E%23%C3%A9%3A1%3F");
    }
}
