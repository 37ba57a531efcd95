//! A report as text, to be read from the top: the verdict, where it loads, what is wrong, then what is inside.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::audit::Report;
use crate::audit::components::Evidence;
use crate::audit::finding::{Severity, find};
use crate::audit::loads::Loads;

/// How many findings of one check are told one by one.
const SHOWN: usize = 5;

/// The text; `all` tells every finding and every compiled file.
pub fn text(report: &Report, all: bool) -> String {
    let mut text = String::new();
    head(&mut text, report);
    loads_on(&mut text, report);
    findings(&mut text, report, all);
    vulnerabilities(&mut text, report);
    system(&mut text, report);
    distributions(&mut text, report);
    components(&mut text, report, all);
    if all {
        files(&mut text, report);
    }
    if !report.inconclusive.is_empty() {
        text.push_str("\nNot known\n");
        for what in &report.inconclusive {
            let _ = writeln!(text, "  {what}");
        }
    }
    text
}

fn head(text: &mut String, report: &Report) {
    let subject = &report.subject;
    let _ = writeln!(text, "{} {}", subject.name, subject.version);
    if let Some(sha256) = &subject.sha256 {
        let _ = writeln!(text, "sha256 {sha256}");
    }
    let failed: Vec<_> =
        report.gates.iter().filter(|gate| gate.fails).map(|gate| gate.id).collect();
    let verdict = if failed.is_empty() {
        "passed".to_owned()
    } else {
        format!("FAILED: {}", failed.join(", "))
    };
    let _ = writeln!(text, "verdict: {verdict}");
    if let Some(file) = &report.policy.file {
        let _ = writeln!(text, "judged by {file}");
    }
}

fn loads_on(text: &mut String, report: &Report) {
    text.push_str("\nLoads on\n");
    let width = report.loads_on.iter().map(|one| one.release.len()).max().unwrap_or(0);
    for one in &report.loads_on {
        let _ = write!(text, "  {:<width$}  {:<7}  ", one.release, one.machine);
        let _ = writeln!(text, "{}", verdict(one));
    }
}

fn verdict(one: &Loads) -> String {
    let Some(first) = one.culprits.first() else {
        return match one.provided.is_empty() {
            true => "yes".to_owned(),
            false => format!("yes, where {} is installed", one.provided),
        };
    };
    let symbol = first.symbol.as_ref().map(|name| format!(" for `{name}`")).unwrap_or_default();
    let more = match one.culprits.len() - 1 {
        0 => String::new(),
        count => format!(", and {count} more"),
    };
    format!("NO: no {}, which {} needs{symbol}{more}", first.missing, first.file)
}

fn findings(text: &mut String, report: &Report, all: bool) {
    text.push_str("\nFindings\n");
    if report.findings.is_empty() {
        text.push_str("  none\n");
    }
    for (id, count) in &report.policy.off {
        let _ = writeln!(text, "  {count} of {id} are not told: it is switched off");
    }
    let mut rest = &report.findings[..];
    while let Some(first) = rest.first() {
        let count = rest.iter().take_while(|finding| finding.id == first.id).count();
        let (group, others) = rest.split_at(count);
        rest = others;
        let title = find(first.id).map_or("", |check| check.title);
        let _ = writeln!(text, "  {:<5} {} {title} ({count})", first.severity.name(), first.id);
        let shown = match (all, first.severity) {
            (true, _) => count,
            (false, Severity::Info) => 0,
            (false, Severity::Warn | Severity::Error) => SHOWN,
        };
        for finding in group.iter().take(shown) {
            let _ = write!(text, "        {}: {}", finding.place, finding.message);
            let waived = finding.waived.as_ref();
            let waived = waived.map(|it| format!(" [accepted until {}: {}]", it.until, it.reason));
            let _ = writeln!(text, "{}", waived.unwrap_or_default());
        }
        if count > shown && shown > 0 {
            let _ = writeln!(text, "        and {} more", count - shown);
        }
    }
}

fn vulnerabilities(text: &mut String, report: &Report) {
    text.push_str("\nVulnerabilities\n");
    let Some(asked) = &report.vulnerabilities else {
        text.push_str("  not checked: no database was given\n");
        return;
    };
    for database in &asked.databases {
        let age = match (&database.date, database.age) {
            (Some(date), Some(age)) => format!("of {date}, {age} days old"),
            (Some(_) | None, _) => "of unknown age".to_owned(),
        };
        let _ = writeln!(text, "  {}, {age}, {} entries", database.name, database.entries);
    }
    let found: Vec<_> =
        report.findings.iter().filter_map(|finding| finding.advisory.as_ref()).collect();
    let _ =
        writeln!(text, "  {} in {} distributions that were looked up", found.len(), asked.checked);
    for what in &asked.not_checked {
        let _ = writeln!(text, "  not checked: {what}");
    }
}

fn system(text: &mut String, report: &Report) {
    text.push_str("\nLibraries of the system\n");
    if report.system.is_empty() {
        text.push_str("  none\n");
    }
    for library in &report.system {
        let versions: Vec<_> = library.versions.iter().map(String::as_str).collect();
        let _ = writeln!(
            text,
            "  {}  {} file{}, such as {}",
            library.soname,
            library.files,
            if library.files == 1 { "" } else { "s" },
            library.example
        );
        if !versions.is_empty() {
            let _ = writeln!(text, "      {}", versions.join(" "));
        }
    }
}

fn distributions(text: &mut String, report: &Report) {
    text.push_str("\nPython distributions\n");
    if report.distributions.is_empty() {
        text.push_str("  none\n");
    }
    for one in &report.distributions {
        let licence = if one.licence.is_empty() { "no licence stated" } else { &one.licence };
        let record = match (one.files, one.modified, one.missing) {
            (0, ..) => "no RECORD".to_owned(),
            (files, 0, 0) => format!("{files} files as recorded"),
            (files, modified, missing) => {
                format!("{files} files, {modified} modified, {missing} missing")
            }
        };
        let _ = writeln!(text, "  {} {}  {licence}  {record}", one.name, one.version);
    }
}

fn components(text: &mut String, report: &Report, all: bool) {
    text.push_str("\nNative components inside\n");
    if report.components.is_empty() {
        text.push_str("  none is known\n");
    }
    let mut listed: BTreeMap<&str, usize> = BTreeMap::new();
    for one in &report.components {
        let how = match one.evidence {
            Evidence::Sbom if !all => {
                *listed.entry(&one.path).or_default() += 1;
                continue;
            }
            Evidence::Sbom => "listed in",
            Evidence::Note => "noted in",
            Evidence::Symbol | Evidence::Text | Evidence::Family => "in",
        };
        let _ = writeln!(text, "  {} {}  {how} {}", one.name, one.version, one.path);
    }
    for (path, count) in listed {
        let _ = writeln!(text, "  {count} listed in {path}");
    }
}

fn files(text: &mut String, report: &Report) {
    text.push_str("\nCompiled files\n");
    for row in &report.elf {
        let _ = writeln!(text, "  {}", row.path);
        for (what, names) in [("inside", &row.inside), ("system", &row.outside)] {
            if !names.is_empty() {
                let _ = writeln!(text, "      {what}: {}", names.join(" "));
            }
        }
    }
}
