//! What is wrong with where things are, and with what they are called.

use std::collections::BTreeMap;

use crate::audit::finding::{Finding, Severity};
use crate::tree::{Entry, PkgPath, Tree};

/// The directories of the Filesystem Hierarchy Standard 3.0 (section 3), and those of 32-bit libraries.
const TOP: [&str; 21] = [
    "bin", "boot", "dev", "etc", "home", "lib", "lib32", "lib64", "libx32", "media", "mnt", "opt",
    "proc", "root", "run", "sbin", "srv", "sys", "tmp", "usr", "var",
];
/// Where no package puts files: they belong to users, the administrator (Debian Policy, 9.1.2), the kernel, or are gone
/// with the next start.
const FOREIGN: [&str; 11] = [
    "/dev/",
    "/home/",
    "/media/",
    "/mnt/",
    "/proc/",
    "/root/",
    "/run/",
    "/sys/",
    "/tmp/",
    "/usr/local/",
    "/var/tmp/",
];
/// Directories that version control systems keep.
const REPOSITORIES: [&str; 5] = [".git", ".hg", ".svn", ".bzr", "CVS"];
/// What editors, patch(1) and desktops leave behind.
const LEFT: [&str; 4] = [".orig", ".rej", ".swp", "~"];
/// Characters that change the order in which a terminal shows a name (Unicode, UAX #9).
const REORDERING: [char; 9] = [
    '\u{202a}', '\u{202b}', '\u{202c}', '\u{202d}', '\u{202e}', '\u{2066}', '\u{2067}', '\u{2068}',
    '\u{2069}',
];

/// Findings of names; where `is_package`, of places, too.
pub(super) fn findings(tree: &Tree, is_package: bool) -> Vec<Finding> {
    let mut findings = twins(tree);
    for (path, entry) in tree.iter() {
        let mut found = |id, severity, message: String| {
            findings.push(Finding::new(id, path.absolute(), message).at(severity));
        };
        if path.as_str().contains(REORDERING) {
            let message = "its name holds characters that reorder text".to_owned();
            found("FS005", Severity::Error, message);
        }
        let is_dir = matches!(entry, Entry::Dir { .. });
        if is_package
            && !is_dir
            && let Some(why) = misplaced(path)
        {
            found("FS004", Severity::Warn, why);
        }
        let name = path.file_name();
        if REPOSITORIES.contains(&name) {
            let message = "a version control system keeps its data there".to_owned();
            found("FS009", Severity::Warn, message);
        } else if !is_dir && LEFT.iter().any(|end| name.ends_with(end)) || name == ".DS_Store" {
            found("FS009", Severity::Info, "a program left it behind".to_owned());
        } else if let Some(source) = source(path)
            && tree.get(&source).is_none()
        {
            found("FS009", Severity::Info, format!("its source `{source}` is not there"));
        }
    }
    findings
}

fn misplaced(path: &PkgPath) -> Option<String> {
    let whole = path.absolute();
    let top = path.as_str().split('/').next().unwrap_or_default();
    if let Some(dir) = FOREIGN.iter().find(|dir| whole.starts_with(**dir)) {
        return Some(format!("`{dir}` is not for packages"));
    }
    (!TOP.contains(&top)).then(|| format!("`/{top}` is not known to the hierarchy of files"))
}

/// The source of the byte code at `path`, if that is what it is (PEP 3147).
fn source(path: &PkgPath) -> Option<PkgPath> {
    let dir = path.parent().filter(|dir| dir.file_name() == "__pycache__")?;
    let stem = path.file_name().strip_suffix(".pyc")?;
    let (name, _) = stem.split_once(".cpython-")?;
    let name = format!("{name}.py");
    match dir.parent() {
        Some(dir) => dir.join(&name).ok(),
        None => PkgPath::new(&name).ok(),
    }
}

/// Names that differ in case alone: a file system that ignores case can hold one of them.
fn twins(tree: &Tree) -> Vec<Finding> {
    let mut by_lower: BTreeMap<String, Vec<&PkgPath>> = BTreeMap::new();
    for (path, _) in tree.iter().filter(|(path, _)| path.as_str().contains(char::is_uppercase)) {
        by_lower.entry(path.as_str().to_lowercase()).or_default().push(path);
    }
    let mut findings = Vec::new();
    for (lower, paths) in &by_lower {
        let plain = PkgPath::new(lower).ok().filter(|lower| tree.get(lower).is_some());
        let other = plain.as_ref().or(paths.get(1).copied());
        if let Some(other) = other {
            let message = format!("`{other}` differs in case alone");
            findings.push(Finding::new("FS011", paths[0].absolute(), message));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::audit::name_checks::findings;
    use crate::tree::content::Content;
    use crate::tree::{Entry, PkgPath, Tree};

    fn check(paths: &[&str], is_package: bool, expected: &[&str]) {
        let mut tree = Tree::new();
        for path in paths {
            let entry = match path.strip_suffix('/') {
                Some(_) => Entry::Dir { mode: 0o755 },
                None => Entry::file(Content::bytes("x"), 0o644, &Arc::from("")),
            };
            tree.insert(PkgPath::new(path.trim_end_matches('/')).unwrap(), entry).unwrap();
        }
        let told: Vec<_> = findings(&tree, is_package)
            .iter()
            .map(|one| format!("{} {} {}", one.severity.name(), one.id, one.place))
            .collect();
        assert_eq!(told, expected, "{paths:?}");
    }

    #[test]
    fn places() {
        check(&["opt/a/x", "usr/share/doc/a", "etc/a", "home/", "usr/local/lib/"], true, &[]);
        for path in ["home/me/x", "usr/local/bin/x", "tmp/x", "opts/x"] {
            check(&[path], true, &[&format!("warn FS004 /{path}")]);
            check(&[path], false, &[]);
        }
    }

    #[test]
    fn names() {
        check(&["opt/a/.git/"], true, &["warn FS009 /opt/a/.git"]);
        check(&["opt/a/.gitignore", "opt/a/x.original", "opt/a/~x"], true, &[]);
        check(&["opt/a/x.py~"], true, &["info FS009 /opt/a/x.py~"]);
        check(&["opt/a/x.orig"], true, &["info FS009 /opt/a/x.orig"]);
        let byte_code = "opt/a/__pycache__/x.cpython-311.pyc";
        check(&[byte_code, "opt/a/x.py"], true, &[]);
        check(&[byte_code], true, &[&format!("info FS009 /{byte_code}")]);
        check(&["opt/a/x\u{202e}gpj.exe"], true, &["error FS005 /opt/a/x\u{202e}gpj.exe"]);
    }

    #[test]
    fn case() {
        check(&["opt/a/x", "opt/a/X"], true, &["info FS011 /opt/a/X"]);
        check(&["opt/a/xY", "opt/a/Xy"], true, &["info FS011 /opt/a/Xy"]);
        check(&["opt/a/X", "opt/b/x"], true, &[]);
    }
}
