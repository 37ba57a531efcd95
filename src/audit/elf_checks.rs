//! What is unsafe or wrong about compiled files.

use std::collections::BTreeMap;

use crate::audit::contents::Contents;
use crate::audit::finding::Finding;
use crate::audit::{Declared, machine};
use crate::elf::{ElfFacts, ElfKind, Relro};
use crate::needs::Needs;
use crate::package::Machine;
use crate::tree::{Entry, PkgPath, Tree};

/// Findings of every compiled file that is loaded when something runs.
pub(super) fn findings(
    declared: Declared,
    contents: &Contents,
    tree: &Tree,
    needs: &Needs,
) -> Vec<Finding> {
    let elf = &contents.elf;
    let mut findings = Vec::new();
    for file in &elf.files {
        let mut found = |id, message: String| {
            findings.push(Finding::new(id, file.path.absolute(), message));
        };
        match &file.facts {
            Err(reason) => found("ELF017", reason.clone()),
            Ok(facts) if facts.kind == ElfKind::Other => {}
            Ok(facts) => {
                if let Some(message) = stranger(declared, facts.machine, machine(elf)) {
                    found("ELF006", message);
                }
                for fault in &facts.load_faults {
                    found("ELF020", fault.clone());
                }
                of_file(facts, &mut found);
                modes(facts, &file.path, tree, &mut found);
            }
        }
    }
    let is_glibc = |facts: &ElfFacts| facts.dynamic.soname.as_deref() == Some("libc.so.6");
    // glibc's own files are made for each other.
    if !elf.files.iter().flat_map(|file| &file.facts).any(is_glibc) {
        findings.extend(private(needs));
    }
    findings.extend(twins(contents));
    findings
}

/// What is wrong with the machine of a file, where most of the package are for the `usual` one.
fn stranger(
    declared: Declared,
    machine: Option<Machine>,
    usual: Option<Machine>,
) -> Option<String> {
    let name = |machine: Option<Machine>| machine.map_or("an unknown machine", Machine::uname);
    let own = name(machine);
    match declared {
        Declared::Any => Some(format!("it is for {own}, and the package for any machine")),
        Declared::One(one) if machine != Some(one) => {
            Some(format!("it is for {own}, and the package for {}", one.uname()))
        }
        Declared::Nothing if machine != usual => {
            Some(format!("it is for {own}, and others for {}", name(usual)))
        }
        Declared::One(_) | Declared::Nothing => None,
    }
}

fn of_file(facts: &ElfFacts, found: &mut impl FnMut(&'static str, String)) {
    match facts.has_executable_stack {
        Some(true) => found("ELF007", "it asks for a stack that can be executed".to_owned()),
        None if facts.gets_executable_stack() => {
            found("ELF007", "it does not say that its stack need not be executed".to_owned());
        }
        Some(false) | None => {}
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
    if let Some(program) = facts.interpreter.as_ref().filter(|program| !is_loader(program)) {
        found("ELF021", format!("it is run by `{program}`"));
    }
    if let Some(name) = facts.musl() {
        found("ELF015", format!("it needs `{name}`, which is musl's"));
    }
}

/// Whether `path` is where the loader of some machine is in glibc or musl ("glibc ABI list", `ld.so.1` on some).
fn is_loader(path: &str) -> bool {
    let name = path.strip_prefix("/lib64/").or(path.strip_prefix("/lib/"));
    name.is_some_and(|name| {
        ["ld-linux", "ld-musl-", "ld64.so.", "ld.so."].iter().any(|start| name.starts_with(start))
    })
}

/// A library need not be executable: Debian Policy, 8.1. The loader and glibc can be run, and name an interpreter.
fn modes(
    facts: &ElfFacts,
    path: &PkgPath,
    tree: &Tree,
    found: &mut impl FnMut(&'static str, String),
) {
    let is_library = facts.dynamic.soname.is_some() && facts.interpreter.is_none();
    if let Some(Entry::File { mode, .. }) = tree.get(path)
        && mode & 0o111 != 0
        && is_library
        && !path.file_name().starts_with("ld-linux")
    {
        found("FS008", format!("its mode is {mode:04o}"));
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
        if let Some(other) = paths[1..].iter().find(|path| digests.get::<PkgPath>(path) != first) {
            let message = format!("`{soname}` is `{}`, too, with other content", other.absolute());
            findings.push(Finding::new("ELF019", paths[0].absolute(), message));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::audit::Declared;
    use crate::audit::elf_checks::{modes, of_file, stranger};
    use crate::elf::{Dynamic, ElfFacts, facts};
    use crate::package::Machine;
    use crate::tree::content::Content;
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
            machine: Some(Machine::X86_64),
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
        let silent = |facts: &mut ElfFacts| {
            (facts.machine, facts.has_executable_stack) = (Some(Machine::Aarch64), None);
        };
        check(silent, &[]);
        check(|facts| facts.dynamic.has_text_relocations = true, &["ELF008"]);
        check(|facts| facts.has_relro = false, &["ELF009"]);
        check(|facts| facts.dynamic.binds_now = false, &["ELF010"]);
        check(|facts| facts.is_movable = false, &["ELF011"]);
        check(|facts| facts.dynamic.needed = vec!["libc.musl-x86_64.so.1".to_owned()], &["ELF015"]);
        let run_by = |program: &str| Some(program.to_owned());
        check(|facts| facts.interpreter = run_by("/lib64/ld-linux-x86-64.so.2"), &[]);
        check(|facts| facts.interpreter = run_by("/lib/ld-linux-aarch64.so.1"), &[]);
        check(|facts| facts.interpreter = run_by("/build/ld-linux-x86-64.so.2"), &["ELF021"]);
    }

    #[test]
    fn machines() {
        let (here, there) = (Some(Machine::X86_64), Some(Machine::Aarch64));
        let told = |declared, machine| stranger(declared, machine, here);
        let one = Declared::One(Machine::X86_64);
        assert_eq!((told(Declared::Nothing, here), told(one, here)), (None, None));
        let text = "it is for aarch64, and others for x86_64";
        assert_eq!(told(Declared::Nothing, there).as_deref(), Some(text));
        let text = "it is for an unknown machine, and the package for x86_64";
        assert_eq!(told(one, None).as_deref(), Some(text));
        let text = "it is for x86_64, and the package for any machine";
        assert_eq!(told(Declared::Any, here).as_deref(), Some(text));
        // All files agree, and not with the package.
        let text = "it is for x86_64, and the package for aarch64";
        assert_eq!(told(Declared::One(Machine::Aarch64), here).as_deref(), Some(text));
    }

    #[test]
    fn libraries_that_can_be_run() {
        let path = PkgPath::new("opt/a/libx.so").unwrap();
        for (mode, soname, expected) in [
            (0o755, Some("libx.so"), &["FS008"][..]),
            (0o644, Some("libx.so"), &[]),
            (0o755, None, &[]),
        ] {
            let mut tree = Tree::new();
            let file = Entry::file(Content::bytes("x"), mode, &Arc::from(""));
            tree.insert(path.clone(), file).unwrap();
            let mut facts = sound();
            facts.dynamic.soname = soname.map(str::to_owned);
            let mut ids = Vec::new();
            modes(&facts, &path, &tree, &mut |id, _| ids.push(id));
            assert_eq!(ids, expected, "{mode:o} {soname:?}");
        }
    }
}
