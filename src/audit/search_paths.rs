//! Where files have the loader search for libraries (`DT_RUNPATH`, `DT_RPATH`), and which of that no package should.

use std::collections::BTreeSet;

use crate::audit::finding::{Finding, Severity};
use crate::elf::{ElfFile, ElfReport};
use crate::needs::paths::{hazard, is_system, normal, with_origin};
use crate::tree::{PkgPath, Tree};

/// Findings of every file that names directories.
pub(super) fn findings(elf: &ElfReport, tree: &Tree) -> Vec<Finding> {
    let environments: BTreeSet<_> = tree
        .files()
        .filter(|(path, ..)| path.file_name() == "pyvenv.cfg")
        .filter_map(|(path, ..)| path.parent())
        .collect();
    elf.files.iter().flat_map(|file| of_file(file, tree, &environments)).collect()
}

fn of_file(file: &ElfFile, tree: &Tree, environments: &BTreeSet<PkgPath>) -> Vec<Finding> {
    let Ok(facts) = &file.facts else { return Vec::new() };
    let list = facts.dynamic.runpath.as_ref().or(facts.dynamic.rpath.as_ref());
    let elements = list.iter().flat_map(|list| list.split(':'));
    elements.filter_map(|element| of_element(element, &file.path, tree, environments)).collect()
}

fn of_element(
    element: &str,
    path: &PkgPath,
    tree: &Tree,
    environments: &BTreeSet<PkgPath>,
) -> Option<Finding> {
    let found = |id, message| Finding::new(id, path.absolute(), message);
    let Some(dir) = normal(&with_origin(element, path)) else {
        return Some(found("ELF004", format!("it looks for libraries in `{element}`")));
    };
    let is_there = PkgPath::new(&dir).is_ok_and(|dir| tree.get(&dir).is_some());
    if is_there || is_system(&dir) || dir == home(path, environments) {
        return None;
    }
    if dir.starts_with(&format!("{}/", home(path, environments))) {
        return None;
    }
    let written = if dir == element { String::new() } else { format!(", by `{element}`") };
    let (why, severity) = match hazard(&dir) {
        Some(why) => (format!(", {why}"), Severity::Error),
        None => (String::new(), Severity::Warn),
    };
    let id = if element.contains("ORIGIN") { "ELF005" } else { "ELF003" };
    Some(found(id, format!("it looks for libraries in `{dir}`{written}{why}")).at(severity))
}

/// The directory that is the package's own around a file: its environment, else that of the second level, such as
/// `/opt/acme`.
fn home(path: &PkgPath, environments: &BTreeSet<PkgPath>) -> String {
    let above = std::iter::successors(path.parent(), PkgPath::parent);
    match above.into_iter().find(|dir| environments.contains(dir)) {
        Some(dir) => dir.absolute(),
        None => {
            let parts: Vec<_> = path.as_str().split('/').take(2).collect();
            format!("/{}", parts.join("/"))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use crate::audit::search_paths::of_element;
    use crate::tree::{Entry, PkgPath, Tree};

    fn check(element: &str, expected: Option<&str>) {
        let mut tree = Tree::new();
        let path = |text: &str| PkgPath::new(text).unwrap();
        tree.insert(path("usr/local/there"), Entry::Dir { mode: 0o755 }).unwrap();
        let found = of_element(element, &path("opt/a/x/b.so"), &tree, &BTreeSet::new());
        let told = found.map(|one| format!("{} {}", one.severity.name(), one.id));
        assert_eq!(told.as_deref(), expected, "{element}");
    }

    #[test]
    fn elements() {
        check("$ORIGIN/../lib", None);
        check("$ORIGIN", None);
        check("/opt/a", None);
        check("/usr/lib/x86_64-linux-gnu", None);
        check("/usr/local/there", None);
        check("/usr/local/lib64", Some("warn ELF003"));
        check("/opt/ab/lib", Some("warn ELF003"));
        check("/tmp/lib", Some("error ELF003"));
        check("/build/x-1/lib", Some("error ELF003"));
        check("${ORIGIN}/../../lib", Some("warn ELF005"));
        check("$ORIGIN/../../../../../build", Some("error ELF005"));
        check("lib", Some("error ELF004"));
        check("", Some("error ELF004"));
    }

    #[test]
    fn an_environment_is_all_its_own() {
        let path = |text: &str| PkgPath::new(text).unwrap();
        let verdict = |element: &str| {
            let environments = BTreeSet::from([path("home/me/v")]);
            let file = path("home/me/v/lib/x.so");
            of_element(element, &file, &Tree::new(), &environments).map(|one| one.id)
        };
        assert_eq!(verdict("/home/me/v/other"), None);
        assert_eq!(verdict("/home/me/other"), Some("ELF003"));
    }
}
