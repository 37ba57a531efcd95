//! What is wrong with units of systemd that a package brings.

use std::collections::BTreeMap;

use crate::audit::finding::{Finding, Severity};
use crate::systemd::{Line, lines};
use crate::tree::{Entry, PkgPath, Tree};
use crate::wheel::installed::text;

/// Where units of the system are (systemd.unit(5), "UNIT FILE LOAD PATH").
const DIRS: [&str; 3] = ["lib/systemd/system", "usr/lib/systemd/system", "etc/systemd/system"];
/// systemd.unit(5), "SPECIFIERS", up to version 257.
const SPECIFIERS: &str = "aAbBCdDEfgGhHiIjJlLmMnNopPqsStTuUvVwWyY%";
/// Programs that read a command line by themselves.
const SHELLS: [&str; 9] = ["sh", "bash", "dash", "zsh", "ksh", "mksh", "fish", "busybox", "make"];

/// Findings of every service.
pub(super) fn findings(tree: &Tree) -> Vec<Finding> {
    let mut units: BTreeMap<PkgPath, Vec<Setting>> = BTreeMap::new();
    let mut findings = Vec::new();
    for (path, content, _) in tree.files() {
        let Some(unit) = unit(path) else { continue };
        let Ok(text) = text(content) else { continue };
        let settings = settings(&text);
        findings.extend(settings.iter().filter_map(|one| fault(path, one)));
        units.entry(unit).or_default().extend(settings);
    }
    for (unit, settings) in &units {
        let is_there = matches!(tree.get(unit), Some(Entry::File { .. }));
        if let Some(message) = root(settings).filter(|_| is_there) {
            findings.push(Finding::new("UNIT001", unit.absolute(), message));
        }
    }
    findings
}

/// The service that the file at `path` is, or is a part of (`x.service.d/y.conf`).
fn unit(path: &PkgPath) -> Option<PkgPath> {
    let dir = path.parent()?;
    if DIRS.contains(&dir.as_str()) && path.file_name().ends_with(".service") {
        return Some(path.clone());
    }
    let unit = dir.file_name().strip_suffix(".d").filter(|unit| unit.ends_with(".service"))?;
    let above = dir.parent().filter(|above| DIRS.contains(&above.as_str()))?;
    path.file_name().ends_with(".conf").then(|| above.join(unit).ok())?
}

/// A line of the section `[Service]`.
struct Setting {
    line: usize,
    name: String,
    value: String,
}

fn settings(text: &str) -> Vec<Setting> {
    let (mut settings, mut is_service) = (Vec::new(), false);
    for Line { number, text } in lines(text) {
        if text.starts_with('[') {
            is_service = text == "[Service]";
        } else if let Some((name, value)) = text.split_once('=').filter(|_| is_service) {
            let (name, value) = (name.trim().to_owned(), value.trim().to_owned());
            settings.push(Setting { line: number, name, value });
        }
    }
    settings
}

/// Why a service runs as root, if it does.
fn root(settings: &[Setting]) -> Option<String> {
    let last = |name: &str| {
        let mut values = settings.iter().rev().filter(|one| one.name == name);
        values.next().map(|one| one.value.as_str())
    };
    let runs = settings.iter().any(|one| one.name == "ExecStart" && !one.value.is_empty());
    // systemd.syntax(7): "1, yes, true and on are equivalent"; it takes `y` and `t`, too.
    let is_true = |value: &str| {
        ["1", "yes", "y", "true", "t", "on"].iter().any(|word| value.eq_ignore_ascii_case(word))
    };
    let is_dynamic = last("DynamicUser").is_some_and(is_true);
    match last("User").unwrap_or_default() {
        _ if !runs => None,
        "" if is_dynamic => None,
        "" => Some("it sets neither `User=` nor `DynamicUser=`".to_owned()),
        // systemd.exec(5), "DynamicUser=": a user of that name that is there is taken.
        user @ ("root" | "0") => Some(format!("it runs as root, by `User={user}`")),
        _ => None,
    }
}

/// What systemd would refuse, or not take as it was meant.
fn fault(path: &PkgPath, setting: &Setting) -> Option<Finding> {
    let Setting { line, name, value } = setting;
    let wrong = |what: String| {
        let message = format!("line {line}: {what}");
        Some(Finding::new("UNIT001", path.absolute(), message).at(Severity::Error))
    };
    if !name.starts_with("Exec") {
        return None;
    }
    if let Some(letter) = unknown_specifier(value) {
        return wrong(format!("`%{letter}` is no specifier; `%%` is a percent sign"));
    }
    if is_for_shell(value) {
        return wrong("`$(` is for a shell, and systemd is none".to_owned());
    }
    None
}

/// Whether a command line has a `$(` that no shell will read. `$$` is a dollar sign (systemd.service(5), "COMMAND
/// LINES").
fn is_for_shell(value: &str) -> bool {
    let is_separator = |at: char| at.is_whitespace() || "-+!@:|\"'".contains(at);
    let mut words = value.split(is_separator);
    let has_shell = words.any(|word| SHELLS.contains(&word.rsplit('/').next().unwrap_or_default()));
    !has_shell && value.replace("$$", "").contains("$(")
}

fn unknown_specifier(value: &str) -> Option<char> {
    let mut letters = value.chars();
    while let Some(letter) = letters.next() {
        if letter == '%' {
            let next = letters.next().unwrap_or(' ');
            if !SPECIFIERS.contains(next) {
                return Some(next);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::audit::units::findings;
    use crate::tree::content::Content;
    use crate::tree::{Entry, PkgPath, Tree};

    fn check(files: &[(&str, &str)], expected: &[&str]) {
        let mut tree = Tree::new();
        for (name, text) in files {
            let path = PkgPath::new(&format!("usr/lib/systemd/system/{name}")).unwrap();
            let entry = Entry::file(Content::bytes(*text), 0o644, &Arc::from(""));
            tree.insert(path, entry).unwrap();
        }
        let found = findings(&tree);
        let told: Vec<_> =
            found.iter().map(|one| format!("{} {}", one.severity.name(), one.message)).collect();
        assert_eq!(told, expected, "{files:?}");
    }

    #[test]
    fn accounts() {
        let unit = |lines: &str| format!("[Unit]\nUser=x\n[Service]\nExecStart=/x\n{lines}");
        let root = ["warn it sets neither `User=` nor `DynamicUser=`"];
        check(&[("a.service", &unit(""))], &root);
        check(&[("a.service", &unit("User=root\n"))], &["warn it runs as root, by `User=root`"]);
        let dynamic = "DynamicUser=Yes\n";
        check(&[("a.service", &unit(dynamic))], &[]);
        let both = unit(&format!("User=0\n{dynamic}"));
        check(&[("a.service", &both)], &["warn it runs as root, by `User=0`"]);
        check(&[("a.service", &unit("User=a\n"))], &[]);
        check(&[("a.service", &unit("DynamicUser=yes\n"))], &[]);
        check(&[("a.service", &unit("")), ("a.service.d/b.conf", "[Service]\nUser=b\n")], &[]);
        check(&[("a.timer", &unit(""))], &[]);
    }

    #[test]
    fn commands() {
        let verdict = |command: &str, expected: &[&str]| {
            let unit = format!("[Service]\nUser=a\nExecStart={command}\n");
            check(&[("a.service", &unit)], expected);
        };
        verdict("/x %i %% ${HOME} $MAINPID", &[]);
        verdict("/x --format %z", &["error line 3: `%z` is no specifier; `%%` is a percent sign"]);
        verdict(
            "/x \\\n  # not this: %z\n  100%",
            &["error line 3: `% ` is no specifier; `%%` is a percent sign"],
        );
        verdict("/x $(id -u)", &["error line 3: `$(` is for a shell, and systemd is none"]);
        verdict("-/bin/sh -c 'x $(id -u)'", &[]);
        verdict("/usr/bin/env bash -lc 'x $(id -u)'", &[]);
        verdict("/sbin/runuser -u a -- \"/bin/bash\" -lc 'x $(id -u)'", &[]);
        verdict("/x $$(id)", &[]);
        let told = ["error line 3: `$(` is for a shell, and systemd is none"];
        verdict("/x -c $(id -u)", &told);
        verdict("/usr/bin/env x $(id -u)", &told);
    }
}
