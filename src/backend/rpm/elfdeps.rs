//! What rpm's `elfdeps` derives from one ELF file, by the rules of its source (`tools/elfdeps.c`).
//!
//! Knows no package: what of it a package declares is decided in `libraries`.

use std::collections::BTreeSet;

use crate::elf::{Abi, ElfFacts, ElfKind};

/// Releases of rpm that differ in which files they look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Generation {
    /// Before 4.17: files that somebody may execute (attribute flag `exeonly`).
    Executables,
    /// Since 4.17: every file; programs that nobody may execute require nothing.
    All,
}

/// Asked for by files that have no hash table but GNU's, so that the loader knows it (glibc 2.5 or newer).
pub(super) const GNU_HASH: &str = "rtld(GNU_HASH)";
/// Version of symbols that are nobody's business but glibc's own.
pub(super) const PRIVATE: &str = "GLIBC_PRIVATE";

/// What the file must find, each once, sorted. Files no loader loads require nothing.
pub fn requires(facts: &ElfFacts, is_executable: bool, generation: Generation) -> BTreeSet<String> {
    let may_run = match generation {
        Generation::Executables => is_executable,
        Generation::All => is_executable || facts.interpreter.is_none(),
    };
    if !may_run || facts.kind != ElfKind::Loadable {
        return BTreeSet::new();
    }
    let dynamic = &facts.dynamic;
    let plain = dynamic.needed.iter().filter_map(|soname| dependency(soname, "", facts.abi));
    let versioned = dynamic.version_needs.iter().flat_map(|need| {
        let versions = need.versions.iter();
        versions.filter_map(|(version, _)| dependency(&need.soname, version, facts.abi))
    });
    let is_gnu_hashed = dynamic.has_gnu_hash && !dynamic.has_hash;
    let loader = is_gnu_hashed.then(|| GNU_HASH.to_owned());
    plain.chain(versioned).chain(loader).collect()
}

/// What the file offers, each once, sorted. A shared object without a name is called by that of its file.
pub fn provides(
    facts: &ElfFacts,
    file_name: &str,
    is_executable: bool,
    generation: Generation,
) -> BTreeSet<String> {
    let is_seen = match generation {
        Generation::Executables => is_executable,
        Generation::All => true,
    };
    if !is_seen || facts.kind != ElfKind::Loadable {
        return BTreeSet::new();
    }
    let dynamic = &facts.dynamic;
    let versioned = dynamic.version_base.iter().flat_map(|soname| {
        let versions = dynamic.version_definitions.iter();
        versions.filter_map(|version| dependency(soname, version, facts.abi))
    });
    // Programs that are loaded anywhere have a place for debuggers; libraries have none.
    let is_library = facts.is_movable && !dynamic.has_debug;
    let soname = dynamic.soname.as_deref().unwrap_or(file_name);
    let plain = is_library.then(|| dependency(soname, "", facts.abi)).flatten();
    versioned.chain(plain).collect()
}

/// `libc.so.6(GLIBC_2.34)(64bit)`; `None` for what is not called like a library or the loader.
pub(super) fn dependency(soname: &str, version: &str, abi: Abi) -> Option<String> {
    let is_loader = ["ld.", "ld-", "ld64.", "ld64-"].iter().any(|start| soname.starts_with(start));
    if !soname.contains(".so") || !(is_loader || soname.starts_with("lib")) {
        return None;
    }
    let marker = marker(abi);
    Some(if version.is_empty() && marker.is_empty() {
        soname.to_owned()
    } else {
        format!("{soname}({version}){marker}")
    })
}

/// `ELFCLASS64`.
const CLASS_64: u8 = 2;
/// `EM_ALPHA` and the number it had before: 64 bits, and never marked.
const ALPHA: [u16; 2] = [0x9026, 41];

fn marker(abi: Abi) -> &'static str {
    if abi.class == CLASS_64 && !ALPHA.contains(&abi.machine) { "(64bit)" } else { "" }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use crate::backend::rpm::elfdeps::{Generation, dependency, provides, requires};
    use crate::elf::{Abi, ElfFacts, facts};

    const BASE: &[u8] = include_bytes!("../../../fixtures/elf/libbase.so.1");
    const USER: &[u8] = include_bytes!("../../../fixtures/elf/user.so");
    const OLD: &[u8] = include_bytes!("../../../fixtures/elf/old.so");
    const PROGRAM: &[u8] = include_bytes!("../../../fixtures/elf/program");

    fn check(found: &BTreeSet<String>, expected: &[&str]) {
        assert_eq!(found.iter().map(String::as_str).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn both_sides() {
        let base = facts(BASE).unwrap();
        check(
            &provides(&base, "x", false, Generation::All),
            &[
                "libbase.so.1()(64bit)",
                "libbase.so.1(BASE_1)(64bit)",
                "libbase.so.1(BASE_2)(64bit)",
            ],
        );
        check(&requires(&base, false, Generation::All), &["rtld(GNU_HASH)"]);
        check(
            &requires(&facts(USER).unwrap(), false, Generation::All),
            &[
                "libbase.so.1()(64bit)",
                "libbase.so.1(BASE_1)(64bit)",
                "libbase.so.1(BASE_2)(64bit)",
                "rtld(GNU_HASH)",
            ],
        );
        // 32 bits, and the old hash table.
        check(
            &requires(&facts(OLD).unwrap(), false, Generation::All),
            &["libbase.so.1", "libbase.so.1(BASE_1)", "libbase.so.1(BASE_2)"],
        );
    }

    #[test]
    fn who_may_execute_a_file() {
        let (program, user) = (facts(PROGRAM).unwrap(), facts(USER).unwrap());
        let count = |facts: &ElfFacts, is_executable, generation| {
            requires(facts, is_executable, generation).len()
        };
        assert_eq!(count(&program, true, Generation::All), 3);
        assert_eq!(count(&program, false, Generation::All), 0);
        assert_eq!(count(&user, false, Generation::All), 4);
        assert_eq!(count(&user, true, Generation::Executables), 4);
        assert_eq!(count(&user, false, Generation::Executables), 0);
        let library = facts(BASE).unwrap();
        check(&provides(&library, "x", false, Generation::Executables), &[]);
    }

    #[test]
    fn names_of_libraries() {
        let user = facts(USER).unwrap();
        // A shared object without a name is called like its file, if that is a name of a library.
        check(&provides(&user, "user.so", true, Generation::All), &[]);
        check(&provides(&user, "libuser.so", true, Generation::All), &["libuser.so()(64bit)"]);
        check(&provides(&facts(OLD).unwrap(), "libo.so", true, Generation::All), &["libo.so"]);
        // Programs are no libraries, wherever they can be loaded.
        let mut program = facts(PROGRAM).unwrap();
        check(&provides(&program, "libp.so", true, Generation::All), &[]);
        program.is_movable = true;
        check(&provides(&program, "libp.so", true, Generation::All), &[]);
        // Tools that rename a library leave the name its versions were made under.
        let mut base = facts(BASE).unwrap();
        base.dynamic.soname = Some("libbase-01234567.so.1".to_owned());
        let found = provides(&base, "x", true, Generation::All);
        assert!(found.contains("libbase.so.1(BASE_1)(64bit)"), "{found:?}");
    }

    #[test]
    fn texts() {
        let abi = |class, machine| Abi { class, data: 1, machine, flags: 0 };
        for (soname, version, abi, expected) in [
            ("libc.so.6", "", abi(2, 62), Some("libc.so.6()(64bit)")),
            ("libc.so.6", "GLIBC_2.4", abi(2, 62), Some("libc.so.6(GLIBC_2.4)(64bit)")),
            ("libc.so.6", "", abi(1, 3), Some("libc.so.6")),
            ("libc.so.6", "GLIBC_2.4", abi(1, 62), Some("libc.so.6(GLIBC_2.4)")),
            ("libc.so.6", "", abi(2, 0x9026), Some("libc.so.6")),
            ("ld-linux-x86-64.so.2", "", abi(2, 62), Some("ld-linux-x86-64.so.2()(64bit)")),
            ("ld64.so.2", "", abi(2, 22), Some("ld64.so.2()(64bit)")),
            ("user.so", "", abi(2, 62), None),
            ("/opt/lib/libx.so", "", abi(2, 62), None),
            ("libx.dll", "", abi(2, 62), None),
            (" ", "", abi(2, 62), None),
        ] {
            assert_eq!(dependency(soname, version, abi).as_deref(), expected, "{soname}");
        }
    }
}
