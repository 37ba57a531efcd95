//! The gate against ELF files the loader of the target would refuse.

use anyhow::Result;

use crate::elf::{ElfFacts, ElfKind, ElfReport};
use crate::error::UserError;
use crate::needs::matches;
use crate::package::{self, Machine};
use crate::tree::{Entry, PkgPath, Tree};

/// Takes the files off whose path one of `rules` is; a pattern may hold `*` and `?`. Returns the rest, and warnings.
pub fn without(mut report: ElfReport, rules: &[String]) -> (ElfReport, Vec<String>) {
    let mut warnings = Vec::new();
    let mut idle: Vec<&String> = rules.iter().collect();
    report.files.retain(|file| {
        let path = file.path.absolute();
        let Some(rule) = rules.iter().find(|rule| matches(rule, &path)) else { return true };
        idle.retain(|other| *other != rule);
        warnings.push(format!("`{path}` is ignored: neither its machine nor its libraries count"));
        false
    });
    warnings.extend(idle.into_iter().map(|rule| {
        format!("`dependencies.ignore` lists `{rule}`, which is no compiled file of the package")
    }));
    (report, warnings)
}

/// Fails at the first file that cannot be loaded on `target`; otherwise returns the machine of the package.
///
/// `None` when nothing in it is made for any machine.
pub fn check(report: &ElfReport, tree: &Tree, target: Option<Machine>) -> Result<Option<Machine>> {
    for file in &report.files {
        let verdict = match &file.facts {
            Err(reason) => Err(Fault::Damaged(reason.clone())),
            Ok(facts) => judge(file.path.file_name(), facts, target),
        };
        verdict.map_err(|fault| refusal(&who(tree, &file.path), &file.path, fault))?;
    }
    Ok(target.filter(|_| !report.files.is_empty()))
}

/// Files that are named as libraries and hold nothing; an import of one fails.
pub fn empty(tree: &Tree) -> Vec<String> {
    let files = tree
        .files()
        .filter(|(path, content, _)| content.is_empty() && path.file_name().ends_with(".so"));
    files.map(|(path, ..)| format!("{} is empty and cannot be loaded", who(tree, path))).collect()
}

/// A file, and the distribution that brought it.
pub(super) fn who(tree: &Tree, path: &PkgPath) -> String {
    match tree.get(path) {
        Some(Entry::File { origin, .. }) => package::who(path, origin),
        Some(Entry::Dir { .. } | Entry::Symlink { .. }) | None => package::who(path, ""),
    }
}

/// Why a file cannot be loaded.
enum Fault {
    /// Nothing could load it.
    Damaged(String),
    /// Another system could load it.
    Foreign(String),
    /// Some releases load it, and a process that did can be made to run its own stack.
    Unsafe(String),
}

fn refusal(who: &str, path: &PkgPath, fault: Fault) -> UserError {
    match fault {
        Fault::Damaged(reason) => UserError::input(format!("{who} cannot be loaded: {reason}"))
            .hint("get another wheel of it, or leave the file out with `exclude`"),
        Fault::Foreign(reason) => {
            UserError::unresolved(format!("{who} cannot be loaded: {reason}")).hint(format!(
                "get another wheel of it, leave the file out with `exclude`, or, if nothing loads it, list `{path}` in `dependencies.ignore`"
            ))
        }
        Fault::Unsafe(reason) => UserError::input(format!("{who} {reason}")).hint(format!(
            "get another wheel of it, leave the file out with `exclude`, or, if nothing loads it, list `{path}` in `dependencies.ignore`"
        )),
    }
}

fn judge(name: &str, facts: &ElfFacts, target: Option<Machine>) -> Result<(), Fault> {
    match facts.kind {
        // An extension is loaded by its name; an object file of that name cannot be.
        ElfKind::Other if name.ends_with(".so") => {
            Err(Fault::Damaged("it is no shared library".to_owned()))
        }
        ElfKind::Other => Ok(()),
        ElfKind::Loadable => {
            if facts.machine != target || target.is_none() {
                let name =
                    |machine: Option<Machine>| machine.map_or("another machine", Machine::uname);
                let (its, ours) = (name(facts.machine), name(target));
                return Err(Fault::Foreign(format!("it is for {its}, the package is for {ours}")));
            }
            if let Some(fault) = facts.load_faults.first() {
                return Err(Fault::Damaged(fault.clone()));
            }
            if let Some(name) = facts.musl() {
                return Err(Fault::Foreign(format!(
                    "it needs `{name}` of musl, the package is for glibc"
                )));
            }
            // glibc 2.41, NEWS: "dlopen and dlmopen no longer make the stack executable if a shared library requires it".
            if facts.gets_executable_stack() {
                let reason = "asks for a stack that can be executed, which glibc 2.41 refuses";
                return Err(Fault::Unsafe(reason.to_owned()));
            }
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::elf::{ElfFile, ElfKind, ElfReport, facts};
    use crate::error::exit_code;
    use crate::package::Machine;
    use crate::tree::content::Content;
    use crate::tree::{Entry, PkgPath, Tree};
    use crate::venv::loadable::{check, empty, without};

    const USER: &[u8] = include_bytes!("../../fixtures/elf/user.so");

    fn report(name: &str, bytes: &[u8]) -> ElfReport {
        let path = PkgPath::new(name).unwrap();
        ElfReport { files: vec![ElfFile { path, facts: facts(bytes) }] }
    }

    fn tree(name: &str, bytes: &[u8]) -> Tree {
        let mut tree = Tree::new();
        let file = Entry::file(Content::bytes(bytes), 0o644, &Arc::from("rocket 2.0"));
        tree.insert(PkgPath::new(name).unwrap(), file).unwrap();
        tree
    }

    fn verdict(name: &str, bytes: &[u8]) -> Result<Option<Machine>, (u8, String)> {
        let found = check(&report(name, bytes), &tree(name, bytes), Some(Machine::X86_64));
        found.map_err(|error| (exit_code(&error), error.to_string()))
    }

    /// [`USER`], changed where the header `PT_GNU_STACK` is.
    fn with_stack(change: impl FnOnce(&mut [u8])) -> Vec<u8> {
        let mut bytes = USER.to_vec();
        let stack = 0x6474_e551_u32.to_le_bytes();
        let at = (64..512).find(|at| bytes[*at..].starts_with(&stack)).unwrap();
        change(&mut bytes[at..]);
        bytes
    }

    /// With `PF_X` in its flags.
    fn with_executable_stack() -> Vec<u8> {
        with_stack(|header| header[4] |= 1)
    }

    #[test]
    fn verdicts() {
        let arm64 = include_bytes!("../../fixtures/elf/arm64.so");
        let mut object = arm64.to_vec();
        object[16] = 1;
        assert_eq!(facts(&object).unwrap().kind, ElfKind::Other);
        let mut askew = USER.to_vec();
        askew[64 + 8] = 1;
        let native = Ok(Some(Machine::X86_64));
        assert_eq!(verdict("x.so", USER), native);
        assert_eq!(verdict("x", include_bytes!("../../fixtures/elf/static")), native);
        assert_eq!(verdict("x", include_bytes!("../../fixtures/elf/static-pie")), native);
        assert_eq!(verdict("x.o", &object), native);
        for (name, bytes, code, reason) in [
            ("x.so", &object[..], 3, "it is no shared library"),
            (
                "x.so",
                &askew,
                3,
                "segment 0 lies at offset 0x1 and is to be loaded at 0x0, which differ modulo 0x1000",
            ),
            ("x.so", &USER[..40], 3, "it ends inside its header, after 40 bytes"),
            ("x.so", arm64, 4, "it is for aarch64, the package is for x86_64"),
            (
                "x.so",
                include_bytes!("../../fixtures/elf/powerpc.so"),
                4,
                "it is for another machine, the package is for x86_64",
            ),
            (
                "x.so",
                include_bytes!("../../fixtures/elf/musl.so"),
                4,
                "it needs `libc.musl-x86_64.so.1` of musl, the package is for glibc",
            ),
            (
                "x",
                include_bytes!("../../fixtures/elf/musl"),
                4,
                "it needs `/lib/ld-musl-x86_64.so.1` of musl, the package is for glibc",
            ),
        ] {
            let message = format!("`/{name}` of `rocket 2.0` cannot be loaded: {reason}");
            assert_eq!(verdict(name, bytes), Err((code, message)));
        }
        let message = "`/x.so` of `rocket 2.0` asks for a stack that can be executed, which glibc 2.41 refuses";
        assert_eq!(verdict("x.so", &with_executable_stack()), Err((3, message.to_owned())));
        // A file that says nothing gets one on this machine.
        let silent = with_stack(|header| header[..4].fill(0));
        assert_eq!(verdict("x.so", &silent), Err((3, message.to_owned())));
        let nothing = check(&ElfReport::default(), &Tree::new(), Some(Machine::X86_64));
        assert_eq!(nothing.unwrap(), None);
    }

    #[test]
    fn ignored_files() {
        let rules = ["/opt/*/x.so".to_owned(), "/opt/y.so".to_owned()];
        let (left, warnings) = without(report("opt/a/b/x.so", USER), &rules);
        assert_eq!(left, ElfReport::default());
        let [ignored, idle] = &warnings[..] else { panic!("{warnings:?}") };
        assert!(ignored.starts_with("`/opt/a/b/x.so` is ignored"), "{ignored}");
        assert!(idle.contains("lists `/opt/y.so`, which is no compiled file"), "{idle}");
    }

    #[test]
    fn empty_libraries() {
        assert_eq!(
            empty(&tree("x.so", b"")),
            ["`/x.so` of `rocket 2.0` is empty and cannot be loaded"]
        );
        // GNU ld takes scripts for libraries; they are texts.
        assert_eq!(empty(&tree("x.so", b"INPUT ( -lx )")), [""; 0]);
        assert_eq!(empty(&tree("x.py", b"")), [""; 0]);
    }
}
