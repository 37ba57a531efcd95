//! A report as one HTML file that needs nothing else: no network, no other file, and no script to be read.
//!
//! The package is hostile: every text from it is escaped by the template engine, none is put into the script or a style,
//! and what could turn a line around or end it is written out.

mod table;
mod treemap;

use std::collections::BTreeMap;

use anyhow::Result;
use serde::Serialize;

use crate::amount::size;
use crate::audit::Report;
use crate::audit::components::Evidence;
use crate::audit::distributions::Distribution;
use crate::audit::finding::{Finding, Severity, find};
use crate::audit::html::table::{Cell, Table, number, path, text};
use crate::audit::html::treemap::{Map, treemap};
use crate::audit::loads::{Culprit, Loads};
use crate::inert::inert;
use crate::package::Machine;
use crate::templates::render_html;

#[derive(Serialize)]
struct Page {
    style: &'static str,
    script: &'static str,
    name: String,
    version: String,
    kind: &'static str,
    sha256: String,
    fails: bool,
    failed: String,
    figures: Vec<Figure>,
    gates: Table,
    machines: Vec<OnMachine>,
    missing: Table,
    map: Map,
    findings: Table,
    tables: Vec<Table>,
}

/// A number worth a glance.
#[derive(Serialize)]
struct Figure {
    what: &'static str,
    value: String,
}

/// Where the package loads on one machine.
#[derive(Serialize)]
struct OnMachine {
    machine: &'static str,
    yes: usize,
    all: usize,
    families: Vec<Family>,
}

/// The releases of one distribution.
#[derive(Serialize)]
struct Family {
    name: &'static str,
    releases: Vec<OnRelease>,
}

#[derive(Serialize)]
struct OnRelease {
    version: &'static str,
    loads: bool,
    why: String,
}

/// The page.
pub fn html(report: &Report) -> Result<String> {
    let subject = &report.subject;
    let failed: Vec<_> =
        report.gates.iter().filter(|gate| gate.fails).map(|gate| gate.id).collect();
    let page = Page {
        style: include_str!("../../../templates/report.css"),
        script: include_str!("../../../templates/report.js"),
        name: inert(&subject.name),
        version: inert(&subject.version),
        kind: subject.kind,
        sha256: inert(subject.sha256.as_deref().unwrap_or_default()),
        fails: report.fails(),
        failed: failed.join(", "),
        figures: figures(report),
        gates: gates(report),
        machines: machines(report),
        missing: missing(report),
        map: treemap(&report.sizes),
        findings: findings(report),
        tables: vec![
            databases(report),
            system(report),
            distributions(report),
            components(report),
            compiled(report),
            scripts(report),
            inconclusive(report),
        ],
    };
    render_html("report", include_str!("../../../templates/report.hbs"), &page)
}

fn figures(report: &Report) -> Vec<Figure> {
    let bytes = report.sizes.iter().map(|share| share.bytes).sum();
    let count = |severity| {
        report.findings.iter().filter(|finding| finding.severity == severity).count().to_string()
    };
    let loading = report.loads_on.iter().filter(|one| one.culprits.is_empty()).count();
    let figure = |what, value| Figure { what, value };
    vec![
        figure("errors", count(Severity::Error)),
        figure("warnings", count(Severity::Warn)),
        figure("releases it loads on", format!("{loading} of {}", report.loads_on.len())),
        figure("Python distributions", report.distributions.len().to_string()),
        figure("native components", report.components.len().to_string()),
        figure("compiled files", report.elf.len().to_string()),
        figure("installed size", size(bytes)),
    ]
}

fn gates(report: &Report) -> Table {
    let rows = report.gates.iter().map(|gate| {
        let outcome = if gate.fails { ("failed", "error") } else { ("passed", "ok") };
        vec![
            text(gate.id),
            text(find(gate.id).map_or("", |check| check.title)),
            severity(gate.severity),
            number(gate.count),
            number(gate.waived),
            Cell { class: outcome.1, ..text(outcome.0) },
        ]
    });
    let columns = ["Check", "What it finds", "Level", "Findings", "Accepted", "Gate"];
    Table::new("gates", "Gates", &columns, rows, "No check found anything.")
}

fn severity(severity: Severity) -> Cell {
    // Sorted by how bad it is, not by the alphabet.
    let (class, key) = match severity {
        Severity::Error => ("error", "0"),
        Severity::Warn => ("warn", "1"),
        Severity::Info => ("info", "2"),
    };
    Cell { class, key: key.to_owned(), ..text(severity.name()) }
}

fn machines(report: &Report) -> Vec<OnMachine> {
    let machines = [Machine::X86_64, Machine::Aarch64].map(Machine::uname);
    machines.map(|machine| on_machine(&report.loads_on, machine)).into()
}

fn on_machine(loads_on: &[Loads], machine: &'static str) -> OnMachine {
    let mut families: Vec<Family> = Vec::new();
    let (mut yes, mut all) = (0, 0);
    for one in loads_on.iter().filter(|one| one.machine == machine) {
        let (name, version) = one.release.split_once(':').unwrap_or((one.release, ""));
        let loads = one.culprits.is_empty();
        all += 1;
        yes += usize::from(loads);
        let release = OnRelease { version, loads, why: why(one) };
        match families.iter_mut().find(|family| family.name == name) {
            Some(family) => family.releases.push(release),
            None => families.push(Family { name, releases: vec![release] }),
        }
    }
    OnMachine { machine, yes, all, families }
}

/// Why it does not load there, or what it does with.
fn why(one: &Loads) -> String {
    match one.culprits.first() {
        Some(culprit) => {
            format!(
                "does not load: no {}, which {} needs",
                inert(&culprit.missing),
                inert(&culprit.file)
            )
        }
        None if one.provided.is_empty() => "loads".to_owned(),
        None => format!("loads where {} is installed", inert(&one.provided)),
    }
}

/// What is missing, and on which releases.
fn missing(report: &Report) -> Table {
    let mut all: BTreeMap<(&Culprit, &str), Vec<&str>> = BTreeMap::new();
    for one in &report.loads_on {
        for culprit in &one.culprits {
            all.entry((culprit, one.machine)).or_default().push(one.release);
        }
    }
    let rows = all.into_iter().map(|((culprit, machine), releases)| {
        vec![
            text(&culprit.missing),
            text(machine),
            text(&releases.join(", ")),
            path(&culprit.file),
            text(culprit.symbol.as_deref().unwrap_or_default()),
            number(culprit.files),
        ]
    });
    let columns = ["Missing", "Machine", "On", "A file that needs it", "By this symbol", "Files"];
    Table::new("missing", "What is missing where", &columns, rows, "Nothing is missing anywhere.")
}

fn findings(report: &Report) -> Table {
    let rows = report.findings.iter().map(|finding| {
        vec![
            severity(finding.severity),
            Cell { title: find(finding.id).map_or("", |check| check.title), ..text(finding.id) },
            path(&finding.place),
            text(&finding.message),
            text(&accepted(finding)),
        ]
    });
    let columns = ["Level", "Check", "Where", "What", "Accepted"];
    Table::new("findings", "Findings", &columns, rows, "There are none.")
}

fn accepted(finding: &Finding) -> String {
    let waived = finding.waived.as_ref();
    waived.map(|it| format!("until {}: {}", it.until, it.reason)).unwrap_or_default()
}

/// What was asked for vulnerabilities; those that were found are findings.
fn databases(report: &Report) -> Table {
    let asked = report.vulnerabilities.as_ref();
    let rows = asked.into_iter().flat_map(|asked| {
        let databases = asked.databases.iter().map(|one| {
            let age = one.age.map(|days| format!("{days} days")).unwrap_or_default();
            let date = text(one.date.as_deref().unwrap_or("not known"));
            vec![text(&one.name), number(one.entries), date, text(&age)]
        });
        let not_checked = asked.not_checked.iter().map(|what| {
            vec![Cell { class: "warn", ..text("not checked") }, text(what), text(""), text("")]
        });
        databases.chain(not_checked)
    });
    let columns = ["Database of vulnerabilities", "Entries", "Of", "Age"];
    Table::new("databases", "Databases", &columns, rows, "Vulnerabilities were not looked for.")
}

fn system(report: &Report) -> Table {
    let rows = report.system.iter().map(|library| {
        let join = |words: &std::collections::BTreeSet<String>| {
            text(&words.iter().map(String::as_str).collect::<Vec<_>>().join(" "))
        };
        vec![
            text(&library.soname),
            join(&library.versions),
            number(library.files),
            path(&library.example),
        ]
    });
    let columns = ["Library", "Versions it must have", "Files", "One of them"];
    Table::new("system", "Libraries of the system", &columns, rows, "It needs none.")
}

fn distributions(report: &Report) -> Table {
    let sizes: BTreeMap<_, _> =
        report.sizes.iter().map(|share| (share.owner.as_str(), share.bytes)).collect();
    let rows = report.distributions.iter().map(|one| {
        let bytes = sizes.get(format!("{} {}", one.name, one.version).as_str()).copied();
        let licence = match one.licence.as_str() {
            "" => Cell { class: "warn", ..text("none stated") },
            licence => text(licence),
        };
        let size = text(&size(bytes.unwrap_or(0)));
        vec![
            text(&one.name),
            text(&one.version),
            licence,
            Cell { key: bytes.unwrap_or(0).to_string(), class: "number", ..size },
            number(one.files),
            record(one),
        ]
    });
    let columns = ["Name", "Version", "Licence", "Size", "Files", "RECORD"];
    Table::new("distributions", "Python distributions", &columns, rows, "There are none.")
}

fn record(one: &Distribution) -> Cell {
    match (one.files, one.modified, one.missing) {
        (0, ..) => Cell { class: "warn", ..text("none") },
        (_, 0, 0) => Cell { class: "ok", ..text("as recorded") },
        (_, modified, missing) => {
            Cell { class: "error", ..text(&format!("{modified} modified, {missing} missing")) }
        }
    }
}

fn components(report: &Report) -> Table {
    let rows = report.components.iter().map(|one| {
        let how = match one.evidence {
            Evidence::Sbom => "list in the wheel",
            Evidence::Note => "note in the file",
            Evidence::Symbol => "function of the file",
            Evidence::Text => "text in the file",
            Evidence::Family => "made with one that tells",
        };
        vec![
            text(&one.name),
            text(&one.version),
            text(&one.distribution),
            text(how),
            path(&one.path),
        ]
    });
    let columns = ["Name", "Version", "Brought by", "Known by", "Where"];
    Table::new("components", "Native components inside", &columns, rows, "None is known.")
}

fn compiled(report: &Report) -> Table {
    let rows = report.elf.iter().map(|row| {
        vec![
            path(&row.path),
            text(&row.distribution),
            text(row.search_path.as_deref().unwrap_or_default()),
            text(&row.inside.join(" ")),
            text(&row.outside.join(" ")),
        ]
    });
    let columns =
        ["File", "Brought by", "Search path", "Libraries inside", "Libraries of the system"];
    Table::new("compiled", "Compiled files", &columns, rows, "There are none.")
}

fn scripts(report: &Report) -> Table {
    let rows = report.scripts.iter().map(|(name, digest)| vec![text(name), path(digest)]);
    let columns = ["Name", "SHA-256"];
    Table::new("scripts", "Scripts", &columns, rows, "There are none.")
}

fn inconclusive(report: &Report) -> Table {
    let rows = report.inconclusive.iter().map(|what| vec![text(what)]);
    Table::new("unknown", "Not known", &["What"], rows, "All of it could be read.")
}
