//! A report as text, to be read from the top: the verdict, where it loads, what is wrong, then what is inside.

use std::collections::BTreeMap;

use crate::audit::Report;
use crate::audit::components::{Component, Evidence};
use crate::audit::finding::{Severity, find};
use crate::audit::loads::{Culprit, Loads};
use crate::audit::screen::{JOINED, Look, Paint, Screen};

/// How many findings of one check are told one by one.
const SHOWN: usize = 5;

/// The text; `all` tells every finding and every compiled file.
pub fn text(report: &Report, all: bool, look: Look) -> String {
    let mut screen = Screen::new(look);
    head(&mut screen, report);
    gates(&mut screen, report);
    loads_on(&mut screen, report);
    findings(&mut screen, report, all);
    vulnerabilities(&mut screen, report);
    system(&mut screen, report);
    distributions(&mut screen, report);
    components(&mut screen, report, all);
    if all {
        files(&mut screen, report);
    }
    if !report.inconclusive.is_empty() {
        screen.heading("Not known", "");
        for what in &report.inconclusive {
            screen.put(2, 6, &[(Paint::Plain, what)]);
        }
    }
    screen.text()
}

fn head(screen: &mut Screen, report: &Report) {
    let subject = &report.subject;
    screen.put(0, 2, &[(Paint::Strong, &subject.name), (Paint::Plain, &subject.version)]);
    if let Some(sha256) = &subject.sha256 {
        screen.put(0, 2, &[(Paint::Dim, "sha256"), (Paint::Dim, sha256)]);
    }
    let failed: Vec<_> =
        report.gates.iter().filter(|gate| gate.fails).map(|gate| gate.id).collect();
    let verdict = match failed.is_empty() {
        true => (Paint::Good, "passed".to_owned()),
        false => (Paint::Bad, format!("FAILED: {}", failed.join(", "))),
    };
    screen.put(0, 2, &[(Paint::Strong, "verdict:"), (verdict.0, &verdict.1)]);
    if let Some(file) = &report.policy.file {
        screen.put(0, 2, &[(Paint::Dim, "judged by"), (Paint::Dim, file)]);
    }
}

fn of_severity(severity: Severity) -> Paint {
    match severity {
        Severity::Error => Paint::Bad,
        Severity::Warn => Paint::Doubtful,
        Severity::Info => Paint::Dim,
    }
}

fn gates(screen: &mut Screen, report: &Report) {
    if report.gates.is_empty() {
        return;
    }
    screen.heading("Gates", "");
    for gate in &report.gates {
        let title = find(gate.id).map_or("", |check| check.title);
        let outcome = if gate.fails { (Paint::Bad, "FAILED") } else { (Paint::Good, "passed") };
        let accepted = match gate.waived {
            0 => String::new(),
            count => format!("({count} accepted)"),
        };
        let row = [
            (Paint::Plain, &*format!("{:<7}", gate.id)),
            (of_severity(gate.severity), &format!("{:<5}", gate.severity.name())),
            (Paint::Plain, &format!("{:>5}", gate.count)),
            (Paint::Plain, ""),
            outcome,
            (Paint::Plain, title),
            (Paint::Dim, &accepted),
        ];
        screen.put(2, 31, &row);
    }
}

/// Releases on which it loads in one line; the others by what is missing there.
fn loads_on(screen: &mut Screen, report: &Report) {
    let mut machines: BTreeMap<&str, Vec<&Loads>> = BTreeMap::new();
    for one in &report.loads_on {
        machines.entry(one.machine).or_default().push(one);
    }
    for (machine, all) in machines {
        let (yes, no): (Vec<&Loads>, Vec<_>) =
            all.iter().copied().partition(|one| one.culprits.is_empty());
        screen.heading("Loads on", &format!("({machine}: {} of {})", yes.len(), all.len()));
        let (bare, with): (Vec<&Loads>, Vec<&Loads>) =
            yes.iter().copied().partition(|one| one.provided.is_empty());
        if !bare.is_empty() {
            let releases = format!(" {}", names(&bare));
            screen.put(2, 7, &[(Paint::Good, "yes"), (Paint::Plain, &releases)]);
        }
        if let Some(first) = with.first() {
            let releases = format!(" where {} is installed: {}", first.provided, names(&with));
            screen.put(2, 7, &[(Paint::Good, "yes"), (Paint::Plain, &releases)]);
        }
        let mut groups: Vec<(Vec<&str>, Vec<&Loads>)> = Vec::new();
        for one in &no {
            let missing: Vec<_> = one.culprits.iter().map(|one| &*one.missing).collect();
            match groups.iter_mut().find(|(known, _)| *known == missing) {
                Some((_, releases)) => releases.push(one),
                None => groups.push((missing, vec![one])),
            }
        }
        for (missing, releases) in groups {
            let releases = format!("  {}: no", names(&releases));
            let missing = missing.join(", ");
            let row = [(Paint::Bad, "NO"), (Paint::Plain, &*releases), (Paint::Strong, &*missing)];
            screen.put(2, 7, &row);
        }
        lacking(screen, &no);
    }
}

/// `debian 11, 12, ubuntu 24.04`.
fn names(all: &[&Loads]) -> String {
    let mut last = "";
    let names = all.iter().map(|one| match one.release.split_once(':') {
        Some((name, version)) if name == last => version.to_owned(),
        Some((name, version)) => {
            last = name;
            format!("{name}{JOINED}{version}")
        }
        None => one.release.to_owned(),
    });
    names.collect::<Vec<_>>().join(", ")
}

/// Who needs what is missing somewhere: one file for each version.
fn lacking(screen: &mut Screen, all: &[&Loads]) {
    let culprits: BTreeMap<_, _> =
        all.iter().flat_map(|one| &one.culprits).map(|one| (&one.missing, one)).collect();
    for one in culprits.into_values() {
        let Culprit { missing, file, symbol, files } = one;
        let symbol = symbol.as_ref().map(|name| format!(" for `{name}`")).unwrap_or_default();
        let more = match files - 1 {
            0 => String::new(),
            1 => ", and by 1 more file".to_owned(),
            count => format!(", and by {count} more files"),
        };
        let text = format!("is needed{symbol} by {file}{more}");
        screen.put(2, 6, &[(Paint::Strong, missing), (Paint::Plain, &text)]);
    }
}

fn findings(screen: &mut Screen, report: &Report, all: bool) {
    screen.heading("Findings", "");
    if report.findings.is_empty() {
        screen.put(2, 2, &[(Paint::Plain, "none")]);
    }
    for (id, count) in &report.policy.off {
        let text = format!("{count} of {id} are not told: it is switched off");
        screen.put(2, 6, &[(Paint::Dim, &text)]);
    }
    let mut rest = &report.findings[..];
    while let Some(first) = rest.first() {
        let count = rest.iter().take_while(|finding| finding.id == first.id).count();
        let (group, others) = rest.split_at(count);
        rest = others;
        let title = find(first.id).map_or("", |check| check.title);
        let severity = format!("{:<5}", first.severity.name());
        let title = format!("{} {title} ({count})", first.id);
        screen.put(2, 8, &[(of_severity(first.severity), &severity), (Paint::Plain, &title)]);
        let shown = match (all, first.severity) {
            (true, _) => count,
            (false, Severity::Info) => 0,
            (false, Severity::Warn | Severity::Error) => SHOWN,
        };
        for finding in group.iter().take(shown) {
            let place = format!("{}:", finding.place);
            let waived = finding.waived.as_ref();
            let waived = waived.map(|it| format!("[accepted until {}: {}]", it.until, it.reason));
            let mut row = vec![(Paint::Plain, &*place), (Paint::Plain, &*finding.message)];
            row.extend(waived.iter().map(|text| (Paint::Dim, &**text)));
            screen.put(8, 10, &row);
        }
        if count > shown && shown > 0 {
            screen.put(8, 8, &[(Paint::Dim, &format!("and {} more", count - shown))]);
        }
    }
}

fn vulnerabilities(screen: &mut Screen, report: &Report) {
    screen.heading("Vulnerabilities", "");
    let Some(asked) = &report.vulnerabilities else {
        screen.put(2, 6, &[(Paint::Doubtful, "not checked: no database was given")]);
        return;
    };
    for database in &asked.databases {
        let age = match (&database.date, database.age) {
            (Some(date), Some(age)) => format!("of {date}, {age} days old"),
            (Some(_) | None, _) => "of unknown age".to_owned(),
        };
        let entries = match database.entries {
            1 => "1 entry".to_owned(),
            count => format!("{count} entries"),
        };
        let text = format!("{}, {age}, {entries}", database.name);
        screen.put(2, 6, &[(Paint::Plain, &text)]);
    }
    let count = report.findings.iter().filter(|finding| finding.advisory.is_some()).count();
    let text = format!("{count} in {} distributions that were looked up", asked.checked);
    screen.put(2, 6, &[(if count > 0 { Paint::Bad } else { Paint::Good }, &text)]);
    for what in &asked.not_checked {
        screen.put(2, 6, &[(Paint::Doubtful, "not checked:"), (Paint::Plain, what)]);
    }
}

fn system(screen: &mut Screen, report: &Report) {
    screen.heading("Libraries of the system", "");
    if report.system.is_empty() {
        screen.put(2, 2, &[(Paint::Plain, "none")]);
    }
    for library in &report.system {
        let files = match library.files {
            1 => format!("  1 file: {}", library.example),
            count => format!("  {count} files, such as {}", library.example),
        };
        screen.put(2, 6, &[(Paint::Strong, &library.soname), (Paint::Plain, &files)]);
        let versions: Vec<_> = library.versions.iter().map(String::as_str).collect();
        if !versions.is_empty() {
            screen.put(6, 6, &[(Paint::Plain, &versions.join(" "))]);
        }
    }
}

fn distributions(screen: &mut Screen, report: &Report) {
    screen.heading("Python distributions", "");
    if report.distributions.is_empty() {
        screen.put(2, 2, &[(Paint::Plain, "none")]);
    }
    for one in &report.distributions {
        let licence = match one.licence.as_str() {
            "" => (Paint::Doubtful, "no licence stated"),
            licence => (Paint::Plain, licence),
        };
        let record = match (one.files, one.modified, one.missing) {
            (0, ..) => (Paint::Doubtful, "no RECORD".to_owned()),
            (files, 0, 0) => (Paint::Dim, format!("{files} files as recorded")),
            (files, modified, missing) => {
                (Paint::Bad, format!("{files} files, {modified} modified, {missing} missing"))
            }
        };
        let row = [
            (Paint::Strong, &*one.name),
            (Paint::Plain, &one.version),
            (licence.0, &format!(" {}", licence.1)),
            (record.0, &format!(" {}", record.1)),
        ];
        screen.put(2, 6, &row);
    }
}

fn components(screen: &mut Screen, report: &Report, all: bool) {
    screen.heading("Native components inside", "");
    if report.components.is_empty() {
        screen.put(2, 2, &[(Paint::Plain, "none is known")]);
    }
    let mut listed: BTreeMap<&str, usize> = BTreeMap::new();
    for one in &report.components {
        let how = match one.evidence {
            Evidence::Sbom if !all && is_list(one) => {
                *listed.entry(&one.path).or_default() += 1;
                continue;
            }
            Evidence::Sbom => " listed in",
            Evidence::Note => " noted in",
            Evidence::Symbol | Evidence::Text | Evidence::Family => " in",
        };
        let row = [
            (Paint::Strong, &*one.name),
            (Paint::Plain, &one.version),
            (Paint::Plain, how),
            (Paint::Plain, &one.path),
        ];
        screen.put(2, 6, &row);
    }
    for (path, count) in listed {
        screen.put(2, 6, &[(Paint::Plain, &format!("{count} listed in {path}"))]);
    }
}

/// Whether it is only known where a list lies, not which file it is in.
fn is_list(one: &Component) -> bool {
    one.evidence == Evidence::Sbom && one.path.ends_with(".json")
}

fn files(screen: &mut Screen, report: &Report) {
    screen.heading("Compiled files", "");
    for row in &report.elf {
        screen.put(2, 6, &[(Paint::Plain, &row.path)]);
        for (what, names) in [("inside:", &row.inside), ("system:", &row.outside)] {
            if !names.is_empty() {
                screen.put(6, 8, &[(Paint::Dim, what), (Paint::Plain, &names.join(" "))]);
            }
        }
    }
}
