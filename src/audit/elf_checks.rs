//! What is unsafe or wrong about compiled files.

use std::collections::BTreeMap;

use crate::audit::contents::Contents;
use crate::audit::finding::Finding;
use crate::audit::machine;
use crate::elf::{ElfFacts, ElfKind, Relro};
use crate::needs::Needs;
use crate::needs::paths::{normal, with_origin};
use crate::tree::{PkgPath, Tree};

/// Findings of every compiled file that is loaded when something runs.
pub(super) fn findings(contents: &Contents, tree: &Tree, needs: &Needs) -> Vec<Finding> {
    let elf = &contents.elf;
    let usual = machine(elf);
    let mut findings = Vec::new();
    for file in &elf.files {
        let mut found = |id, message: String| {
            findings.push(Finding::new(id, file.path.absolute(), message));
        };
        match &file.facts {
            Err(reason) => found("ELF017", reason.clone()),
            Ok(facts) if facts.kind == ElfKind::Other => {}
            Ok(facts) => {
                if facts.machine != usual {
                    let name = facts.machine.map_or("an unknown machine", |one| one.uname());
                    found("ELF006", format!("it is for {name}"));
                }
                for fault in &facts.load_faults {
                    found("ELF020", fault.clone());
                }
                of_file(facts, &mut found);
                search_path(facts, &file.path, tree, &mut found);
            }
        }
    }
    findings.extend(private(needs));
    findings.extend(twins(contents));
    findings
}

fn of_file(facts: &ElfFacts, found: &mut impl FnMut(&'static str, String)) {
    match facts.has_executable_stack {
        Some(true) => found("ELF007", "it asks for a stack that can be executed".to_owned()),
        None => found("ELF007", "it does not say that its stack need not be executed".to_owned()),
        Some(false) => {}
    }
    if facts.dynamic.has_text_relocations {
        found("ELF008", "it has relocations in its code".to_owned());
    }
    match facts.relro() {
        Relro::None => found("ELF009", "it has no PT_GNU_RELRO".to_owned()),
        Relro::Partial => found("ELF010", "it does not ask to be bound at once".to_owned()),
        Relro::Full => {}
    }
    if facts.is_program() && !facts.is_pie() {
        found("ELF011", "it is not position-independent".to_owned());
    }
    if let Some(level) = facts.notes.isa_level.filter(|level| *level > 1) {
        found("ELF014", format!("it is for x86-64-v{level}"));
    }
    if let Some(name) = facts.musl() {
        found("ELF015", format!("it needs `{name}`, which is musl's"));
    }
}

/// Directories it has the loader search that are neither in the package nor the system's.
fn search_path(
    facts: &ElfFacts,
    path: &PkgPath,
    tree: &Tree,
    found: &mut impl FnMut(&'static str, String),
) {
    let list = facts.dynamic.runpath.as_ref().or(facts.dynamic.rpath.as_ref());
    for element in list.iter().flat_map(|list| list.split(':')) {
        let Some(dir) = normal(&with_origin(element, path)) else {
            found("ELF004", format!("it looks for libraries in `{element}`"));
            continue;
        };
        let is_system = ["/lib", "/usr/lib", "/lib64", "/usr/lib64"]
            .iter()
            .any(|root| dir == *root || dir.starts_with(&format!("{root}/")));
        let is_inside = PkgPath::new(&dir).is_ok_and(|dir| tree.get(&dir).is_some());
        if !is_system && !is_inside {
            let written = if dir == element { String::new() } else { format!(", by `{element}`") };
            found("ELF003", format!("it looks for libraries in `{dir}`{written}"));
        }
    }
}

/// Symbols that glibc has for its own libraries only.
fn private(needs: &Needs) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in &needs.files {
        let mut versions = file.libraries.iter().flat_map(|library| &library.versions);
        if versions.any(|(version, _)| version == "GLIBC_PRIVATE") {
            let message = "it uses GLIBC_PRIVATE, which differs between builds".to_owned();
            findings.push(Finding::new("ELF013", file.path.absolute(), message));
        }
    }
    findings
}

/// Libraries that have one name and different content: which of them a process gets depends on what is loaded first.
fn twins(Contents { elf, digests, .. }: &Contents) -> Vec<Finding> {
    let mut by_name: BTreeMap<&str, Vec<&PkgPath>> = BTreeMap::new();
    for file in &elf.files {
        let soname = file.facts.as_ref().ok().and_then(|facts| facts.dynamic.soname.as_deref());
        if let Some(soname) = soname {
            by_name.entry(soname).or_default().push(&file.path);
        }
    }
    let mut findings = Vec::new();
    for (soname, paths) in by_name.into_iter().filter(|(_, paths)| paths.len() > 1) {
        let first = digests.get(paths[0]);
        if let Some(other) = paths[1..].iter().find(|path| digests.get(path) != first) {
            let message = format!("`{soname}` is `{}`, too, with other content", other.absolute());
            findings.push(Finding::new("ELF019", paths[0].absolute(), message));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use crate::audit::elf_checks::{of_file, search_path};
    use crate::elf::{Dynamic, ElfFacts, facts};
    use crate::tree::{Entry, PkgPath, Tree};

    /// A sound library of this machine.
    fn sound() -> ElfFacts {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/elf");
        let mut entries: Vec<_> = std::fs::read_dir(path).unwrap().flatten().collect();
        entries.sort_by_key(std::fs::DirEntry::path);
        let read = |entry: &std::fs::DirEntry| facts(&std::fs::read(entry.path()).ok()?).ok();
        let facts = entries.iter().find_map(read).unwrap();
        ElfFacts {
            has_executable_stack: Some(false),
            has_relro: true,
            is_movable: true,
            interpreter: None,
            dynamic: Dynamic { binds_now: true, ..Dynamic::default() },
            notes: crate::elf::Notes::default(),
            ..facts
        }
    }

    fn check(change: impl FnOnce(&mut ElfFacts), expected: &[&str]) {
        let mut facts = sound();
        change(&mut facts);
        let mut ids = Vec::new();
        of_file(&facts, &mut |id, _| ids.push(id));
        assert_eq!(ids, expected);
    }

    #[test]
    fn hardening() {
        check(|_| {}, &[]);
        check(|facts| facts.has_executable_stack = Some(true), &["ELF007"]);
        check(|facts| facts.has_executable_stack = None, &["ELF007"]);
        check(|facts| facts.dynamic.has_text_relocations = true, &["ELF008"]);
        check(|facts| facts.has_relro = false, &["ELF009"]);
        check(|facts| facts.dynamic.binds_now = false, &["ELF010"]);
        check(|facts| facts.is_movable = false, &["ELF011"]);
        check(|facts| facts.notes.isa_level = Some(3), &["ELF014"]);
        check(|facts| facts.dynamic.needed = vec!["libc.musl-x86_64.so.1".to_owned()], &["ELF015"]);
    }

    fn check_path(runpath: &str, expected: &[&str]) {
        let mut tree = Tree::new();
        let path = |text: &str| PkgPath::new(text).unwrap();
        tree.insert(path("opt/a/lib"), Entry::Dir { mode: 0o755 }).unwrap();
        let mut facts = sound();
        facts.dynamic.runpath = Some(runpath.to_owned());
        let mut ids = Vec::new();
        search_path(&facts, &path("opt/a/x/b.so"), &tree, &mut |id, _| ids.push(id));
        assert_eq!(ids, expected, "{runpath}");
    }

    #[test]
    fn search_paths() {
        check_path("$ORIGIN/../lib", &[]);
        check_path("/usr/lib/x86_64-linux-gnu:${ORIGIN}/../lib", &[]);
        check_path("/usr/local/lib64", &["ELF003"]);
        check_path("$ORIGIN/../../../../../build", &["ELF003"]);
        check_path("lib", &["ELF004"]);
        check_path("", &["ELF004"]);
    }
}
