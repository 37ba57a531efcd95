//! A comparison as text: what decides, then what hosts will notice, then what is inside.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::amount::size;
use crate::audit::Subject;
use crate::audit::diff::files::{FileChange, RoleChange};
use crate::audit::diff::{Change, Diff, Floor, Vulnerabilities, Way};
use crate::audit::finding::Finding;

/// How many of a kind are told one by one.
const SHOWN: usize = 10;

/// The text; `all` tells every file and every line.
pub fn text(diff: &Diff, all: bool) -> String {
    let mut text = format!("{}\nverdict: {}\n", title(diff), verdict(diff));
    for (name, lines) in sections(diff, all) {
        let _ = writeln!(text, "\n{name}");
        for line in lines {
            let _ = writeln!(text, "  {line}");
        }
    }
    text
}

/// Names and versions of both; directories have no version.
pub(super) fn title(diff: &Diff) -> String {
    let (old, new) = (&diff.old, &diff.new);
    let label =
        |subject: &Subject| format!("{} {}", subject.name, subject.version).trim_end().to_owned();
    if old.name == new.name && old.kind == new.kind {
        return format!("{} -> {}", label(old), new.version);
    }
    format!("{} ({}) -> {} ({})", label(old), old.kind, label(new), new.kind)
}

/// Whether a gate failed, and which.
pub(super) fn verdict(diff: &Diff) -> String {
    let failed: Vec<_> = diff.gates.iter().filter(|gate| gate.fails).map(|gate| gate.id).collect();
    if failed.is_empty() { "passed".to_owned() } else { format!("FAILED: {}", failed.join(", ")) }
}

/// What there is to say, by section; sections without anything are left out.
pub(super) fn sections(diff: &Diff, all: bool) -> Vec<(&'static str, Vec<String>)> {
    let limit = if all { usize::MAX } else { SHOWN };
    let all = [
        ("Loads on", releases(diff)),
        ("Vulnerabilities", vulnerabilities(diff.vulnerabilities.as_ref())),
        ("Findings", findings(diff, limit)),
        ("Relations", relations(diff)),
        ("Fields", diff.fields.iter().map(change).collect()),
        ("Libraries of the system", diff.floors.iter().map(floor).collect()),
        ("Python distributions", diff.distributions.iter().map(change).collect()),
        ("Licences", diff.licences.iter().map(change).collect()),
        ("Native components", diff.components.iter().map(change).collect()),
        ("Kinds of files", types(diff)),
        ("Permissions", modes(diff, limit)),
        ("Accounts", diff.accounts.iter().map(|name| format!("+ {name}")).collect()),
        ("Scripts, units and configuration", texts(diff, limit)),
        ("Files", files(diff, limit)),
        ("Size", sizes(diff, limit)),
    ];
    all.into_iter().filter(|(_, lines)| !lines.is_empty()).collect()
}

/// A change with its versions, such as `^ numpy 1.0 -> 2.0`.
fn change(change: &Change) -> String {
    let Change { name, old, new, way } = change;
    let version = |text: &Option<String>| text.clone().unwrap_or_default();
    match way {
        Way::New => format!("+ {name} {}", version(new)),
        Way::Gone => format!("- {name} {}", version(old)),
        Way::Up => format!("^ {name} {} -> {}", version(old), version(new)),
        Way::Down => format!("v {name} {} -> {}", version(old), version(new)),
        Way::Other => format!("~ {name} {} -> {}", version(old), version(new)),
    }
}

/// A relation, which has its name in its text.
fn relation(change: &Change) -> String {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    match change.way {
        Way::New => format!("+ {}", text(&change.new)),
        Way::Gone => format!("- {}", text(&change.old)),
        Way::Up | Way::Down | Way::Other => {
            format!("~ {} -> {}", text(&change.old), text(&change.new))
        }
    }
}

fn relations(diff: &Diff) -> Vec<String> {
    let all = diff.relations.iter().chain(&diff.other_relations).chain(&diff.provides);
    all.map(relation).collect()
}

fn floor(floor: &Floor) -> String {
    let Floor { library, added, removed, example } = floor;
    let Some(example) = example else { return format!("- {library}") };
    let mut words: Vec<_> = added.keys().map(|version| format!("+{version}")).collect();
    words.extend(removed.iter().map(|version| format!("-{version}")));
    // That of a version that is new is the better reason.
    let file = added.values().next_back().unwrap_or(example);
    match words.is_empty() {
        true => format!("+ {library}, for {file}"),
        false => format!("~ {library} {}, for {file}", words.join(" ")),
    }
}

fn releases(diff: &Diff) -> Vec<String> {
    let lost = diff.releases_lost.iter().map(|lost| {
        let culprit = &lost.culprit;
        let (missing, file) = (&culprit.missing, &culprit.file);
        format!("- {} {}: it has no {missing}, which {file} needs", lost.release, lost.machine)
    });
    lost.chain(diff.releases_gained.iter().map(|release| format!("+ {release}"))).collect()
}

fn vulnerabilities(known: Option<&Vulnerabilities>) -> Vec<String> {
    let Some(Vulnerabilities { databases, introduced, fixed, persisting }) = known else {
        return vec!["not checked: no database was given".to_owned()];
    };
    let mut lines = Vec::new();
    for database in databases {
        let age = match (&database.date, database.age) {
            (Some(date), Some(age)) => format!("of {date}, {age} days old"),
            (Some(_) | None, _) => "of unknown age".to_owned(),
        };
        lines.push(format!("{} {age}", database.name));
    }
    for (sign, findings) in [('+', introduced), ('-', fixed), ('=', persisting)] {
        lines.extend(findings.iter().map(|found| format!("{sign} {}", line(found))));
    }
    lines
}

/// A finding on one line.
fn line(finding: &Finding) -> String {
    let Finding { id, severity, place, message, waived, .. } = finding;
    let waived = waived.as_ref();
    let waived = waived.map(|it| format!(" [accepted until {}: {}]", it.until, it.reason));
    format!("{} {id} {place}: {message}{}", severity.name(), waived.unwrap_or_default())
}

fn findings(diff: &Diff, limit: usize) -> Vec<String> {
    let mut lines = limited(diff.findings_new.iter().map(|it| format!("+ {}", line(it))), limit);
    lines.extend(limited(diff.findings_gone.iter().map(|it| format!("- {}", line(it))), limit));
    lines
}

fn types(diff: &Diff) -> Vec<String> {
    let types = diff.files.types.iter();
    let lines = types.map(|it| format!("! {} {} -> {}: {}", it.path, it.old, it.new, it.upgrade));
    diff.files.refused.iter().map(|why| format!("! {why}")).chain(lines).collect()
}

fn modes(diff: &Diff, limit: usize) -> Vec<String> {
    let special = diff.files.special.iter().map(|path| format!("! {path} is set-id or sticky"));
    let modes = diff.files.modes.iter().map(|it| format!("~ {} {} -> {}", it.path, it.old, it.new));
    special.chain(limited(modes, limit)).collect()
}

fn texts(diff: &Diff, limit: usize) -> Vec<String> {
    let role = |role: &RoleChange| match role.is_configuration {
        true => format!("~ {} became a configuration file", role.path),
        false => format!("~ {} is no longer a configuration file", role.path),
    };
    let roles = limited(diff.roles.iter().map(role), limit);
    let lines = diff.texts.iter().flat_map(|text| {
        let lines = text.lines.iter().cloned();
        std::iter::once(text.name.clone()).chain(limited(lines, limit.saturating_mul(2)))
    });
    roles.into_iter().chain(lines).collect()
}

/// Files of no distribution one by one, the others by distribution.
fn files(diff: &Diff, limit: usize) -> Vec<String> {
    let mut counts: BTreeMap<&str, [usize; 3]> = BTreeMap::new();
    let mut own = Vec::new();
    let files = &diff.files;
    for (at, (sign, changes)) in
        [('+', &files.added), ('-', &files.removed), ('~', &files.changed)].into_iter().enumerate()
    {
        for FileChange { path, distribution } in changes {
            match distribution.as_str() {
                "" => own.push(format!("{sign} {path}")),
                name => counts.entry(name).or_default()[at] += 1,
            }
        }
    }
    let mut lines = limited(own.into_iter(), limit);
    lines.extend(counts.into_iter().map(|(name, [added, removed, changed])| {
        format!("{name}: {added} added, {removed} removed, {changed} changed")
    }));
    lines
}

fn sizes(diff: &Diff, limit: usize) -> Vec<String> {
    let sizes = &diff.size;
    if sizes.distributions.is_empty() {
        return Vec::new();
    }
    let mut all: Vec<_> = sizes.distributions.iter().collect();
    all.sort_by_key(|(name, (was, is))| (std::cmp::Reverse(was.abs_diff(*is)), *name));
    let whole =
        format!("{} -> {}, {}", size(sizes.old), size(sizes.new), delta(sizes.old, sizes.new));
    let each = all.into_iter().map(|(name, (was, is))| {
        let name = if name.is_empty() { "files of no distribution" } else { name };
        format!("{name} {}", delta(*was, *is))
    });
    std::iter::once(whole).chain(limited(each, limit)).collect()
}

fn delta(was: u64, is: u64) -> String {
    format!("{}{}", if is < was { '-' } else { '+' }, size(was.abs_diff(is)))
}

/// The first lines, and how many more there are.
pub(super) fn limited(lines: impl Iterator<Item = String>, limit: usize) -> Vec<String> {
    let mut lines: Vec<_> = lines.collect();
    let more = lines.len().saturating_sub(limit);
    if more > 0 {
        lines.truncate(limit);
        lines.push(format!("and {more} more"));
    }
    lines
}
