//! Reads the ELF files of a tree: facts only, verdicts are for later stages.
//!
//! The only module that knows goblin. A file is ELF by its first four bytes, whatever its name.

pub mod constants;
mod dynamic;
mod header;
mod notes;
mod versions;

use std::io::Read;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::package::Machine;
use crate::parallel;
use crate::tree::content::Content;
use crate::tree::{PkgPath, Tree};

/// The first bytes of every ELF file.
pub const MAGIC: &[u8] = b"\x7fELF";

/// What the ELF files of a tree say of themselves, sorted by path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ElfReport {
    /// Every file that begins as ELF.
    pub files: Vec<ElfFile>,
}

/// One ELF file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ElfFile {
    /// Where it is in the package.
    pub path: PkgPath,
    /// What its headers say, or why they cannot be read.
    pub facts: Result<ElfFacts, String>,
}

/// Facts from an ELF file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ElfFacts {
    /// Whether it is loaded at run time, or only linked into something else.
    pub kind: ElfKind,
    /// What it can be loaded beside.
    pub abi: Abi,
    /// The machine it is for; `None` for one packages are not made for.
    pub machine: Option<Machine>,
    /// Why the loader would refuse it, one sentence a fault.
    pub load_faults: Vec<String>,
    /// The program that runs it (`PT_INTERP`).
    pub interpreter: Option<String>,
    /// Whether it asks for a stack that can be executed; `None` when it does not say.
    pub has_executable_stack: Option<bool>,
    /// Whether it can be loaded at any address (`ET_DYN`).
    pub is_movable: bool,
    /// Whether some of its data is to be read-only once it is relocated (`PT_GNU_RELRO`).
    pub has_relro: bool,
    /// What it tells the loader.
    pub dynamic: Dynamic,
    /// What build tools say of it.
    pub notes: Notes,
    /// What could not be read of it, one sentence each; the rest of the facts holds.
    pub troubles: Vec<String>,
}

/// What must be equal for two files to be loaded into one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Abi {
    /// `EI_CLASS`: 1 is 32 bit, 2 is 64 bit.
    pub class: u8,
    /// `EI_DATA`: 1 is little endian, 2 is big endian.
    pub data: u8,
    /// `e_machine`.
    pub machine: u16,
    /// Those of `e_flags` that tell ABIs of one machine apart.
    pub flags: u32,
}

/// What an ELF file is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ElfKind {
    /// A program or library (`ET_EXEC`, `ET_DYN`).
    Loadable,
    /// An object file to be linked (`ET_REL`), or a core dump.
    Other,
}

/// The dynamic section and the tables it points to. Names have U+FFFD where they are not UTF-8 or hold control characters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dynamic {
    /// `DT_SONAME`.
    pub soname: Option<String>,
    /// `DT_NEEDED`, in order.
    pub needed: Vec<String>,
    /// `DT_RPATH` as written, directories with `:` between.
    pub rpath: Option<String>,
    /// `DT_RUNPATH` as written.
    pub runpath: Option<String>,
    /// The versions it demands, by library, in order.
    pub version_needs: Vec<VersionNeed>,
    /// The versions it offers, but for the one that repeats its name.
    pub version_definitions: Vec<String>,
    /// The name it had when its versions were made (`VER_FLG_BASE`); tools that rename libraries leave it.
    pub version_base: Option<String>,
    /// Symbols others must define; those it copies at start (`R_*_COPY`) are among them.
    pub undefined: Vec<Symbol>,
    /// Whether code must be changed when it is loaded.
    pub has_text_relocations: bool,
    /// Whether symbols are found through the hash table of the gABI (`DT_HASH`).
    pub has_hash: bool,
    /// Whether symbols are found through GNU's hash table (`DT_GNU_HASH`).
    pub has_gnu_hash: bool,
    /// Whether it has a place for debuggers (`DT_DEBUG`), as programs do.
    pub has_debug: bool,
    /// Whether every symbol is bound before the file runs (`DT_BIND_NOW`, `DF_BIND_NOW`, `DF_1_NOW`).
    pub binds_now: bool,
    /// Whether it says that it is a position-independent program (`DF_1_PIE`). Linkers before binutils 2.26 do not.
    pub is_marked_pie: bool,
}

/// Notes that are loaded with a file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notes {
    /// What tells this build from others, hexadecimal.
    pub build_id: Option<String>,
    /// The level of x86-64 it needs: 1 is the baseline, 3 is x86-64-v3. `None` when it does not say.
    pub isa_level: Option<u8>,
    /// The package it was made for, as the JSON of `.note.package`.
    pub package: Option<String>,
    /// Libraries it opens itself when it runs (`.note.dlopen`).
    pub dlopen: Vec<Dlopen>,
}

/// A library that a file opens when it runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dlopen {
    /// Its names, the one that is tried first at the front.
    #[serde(rename = "soname")]
    pub sonames: Vec<String>,
    /// How much is lost without it.
    #[serde(default)]
    pub priority: Priority,
}

/// How much is lost without a library, in the words of the specification of `.note.dlopen`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Priority {
    /// The file is of no use.
    Required,
    /// An important feature is missing; so it is where nothing is said.
    #[default]
    Recommended,
    /// Something is missing that few want.
    Suggested,
}

/// How much of what the loader writes into a file is read-only afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Relro {
    /// Nothing.
    None,
    /// All but the addresses of functions that are bound when they are first called.
    Partial,
    /// All.
    Full,
}

impl ElfFacts {
    /// Whether it is a program. glibc's own libraries name an interpreter, too, and have a name.
    pub fn is_program(&self) -> bool {
        let is_run = self.interpreter.is_some() && self.dynamic.soname.is_none();
        self.kind == ElfKind::Loadable && (!self.is_movable || self.dynamic.is_marked_pie || is_run)
    }

    /// Whether it is a program that can be loaded at any address.
    pub fn is_pie(&self) -> bool {
        self.is_program() && self.is_movable
    }

    /// Whether it is a program that runs without a loader, and so without libraries.
    pub fn is_static(&self) -> bool {
        self.is_program() && self.interpreter.is_none() && self.dynamic.needed.is_empty()
    }

    /// Whether it is given a stack that can be executed: it asks for one, or says nothing on a machine where the loader
    /// takes that for asking (`DEFAULT_STACK_PERMS` of glibc).
    pub fn gets_executable_stack(&self) -> bool {
        let is_default = matches!(self.machine, Some(Machine::X86_64 | Machine::I686));
        self.kind == ElfKind::Loadable && self.has_executable_stack.unwrap_or(is_default)
    }

    /// How much of it is read-only once it is loaded.
    pub fn relro(&self) -> Relro {
        match (self.has_relro, self.dynamic.binds_now) {
            (false, _) => Relro::None,
            (true, false) => Relro::Partial,
            (true, true) => Relro::Full,
        }
    }

    /// The loader or C library it names that is musl's, not glibc's; Alpine gives its own a name of its own.
    pub fn musl(&self) -> Option<&str> {
        let is_musl = |name: &&str| {
            *name == "libc.so"
                || name.starts_with("libc.musl-")
                || name.starts_with("/lib/ld-musl-")
        };
        let names = self.interpreter.iter().chain(&self.dynamic.needed);
        names.map(String::as_str).find(is_musl)
    }
}

/// The versions an ELF file demands of one library.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionNeed {
    /// The library.
    pub soname: String,
    /// Names of versions, such as `GLIBC_2.34`, each with whether it may be missing.
    pub versions: Vec<(String, bool)>,
}

/// A symbol of the dynamic symbol table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Symbol {
    /// Its name.
    pub name: String,
    /// Place of its version, `(need, version)`, in [`Dynamic::version_needs`]; `None` when it has none.
    pub version: Option<(usize, usize)>,
    /// Whether it may be missing.
    pub is_weak: bool,
}

/// A symbol that others can use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Definition {
    /// Its name.
    pub name: String,
    /// Its version; `None` when it has none.
    pub version: Option<String>,
    /// Whether it is the one that is meant where no version is asked for (`@@`).
    pub is_default: bool,
    /// Whether another definition may take its place when files are linked.
    pub is_weak: bool,
}

/// What is known of a content before it is read: nothing, that it is not ELF, or its facts.
pub type Known<'a> = &'a (dyn Fn(&Content) -> Option<Option<Result<ElfFacts, String>>> + Sync);

/// Reads every ELF file in `tree`, `jobs` at a time.
pub fn scan(tree: &Tree, jobs: usize) -> Result<ElfReport> {
    scan_unknown(tree, jobs, &|_| None)
}

/// The same, but what is `known` is not read.
pub fn scan_unknown(tree: &Tree, jobs: usize, known: Known<'_>) -> Result<ElfReport> {
    let files: Vec<_> = tree.files().collect();
    let files = parallel::filter_map(&files, jobs, |(path, content, _)| {
        if let Some(known) = known(content) {
            return Ok(known.map(|facts| ElfFile { path: (*path).clone(), facts }));
        }
        let bytes = read(content).with_context(|| format!("cannot read `{path}`"))?;
        Ok(bytes.map(|bytes| ElfFile { path: (*path).clone(), facts: facts(&bytes) }))
    })?;
    Ok(ElfReport { files })
}

/// The whole content when it begins as ELF.
pub fn read(content: &Content) -> std::io::Result<Option<Vec<u8>>> {
    if content.len() < MAGIC.len() as u64 {
        return Ok(None);
    }
    let mut reader = content.open()?;
    let mut bytes = vec![0; 4];
    reader.read_exact(&mut bytes)?;
    if bytes != MAGIC {
        return Ok(None);
    }
    bytes.reserve_exact(usize::try_from(content.len()).unwrap_or(0).min(1 << 30));
    reader.read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

/// The facts of one file, or why there are none.
pub fn facts(bytes: &[u8]) -> Result<ElfFacts, String> {
    let header = header::read(bytes)?;
    let mut troubles = Vec::new();
    let dynamic = match header.kind {
        ElfKind::Loadable => dynamic::read(bytes, &header, &mut troubles),
        ElfKind::Other => Dynamic::default(),
    };
    let notes = notes::read(bytes, &header, &mut troubles);
    Ok(ElfFacts {
        kind: header.kind,
        abi: header.abi,
        machine: header.machine,
        load_faults: header.load_faults(bytes.len() as u64),
        interpreter: header.interpreter(bytes),
        has_executable_stack: header.has_executable_stack(),
        is_movable: header.is_movable(),
        has_relro: header.has_relro(),
        dynamic,
        notes,
        troubles,
    })
}

/// The symbols a file offers, in the order of its table. They are many and few ask for them, so [`facts`] has none.
pub fn definitions(bytes: &[u8]) -> Result<Vec<Definition>, String> {
    dynamic::definitions(bytes, &header::read(bytes)?)
}

/// The parts of a file that are not machine code, as far as its section headers tell; in order.
pub fn data(bytes: &[u8]) -> Vec<&[u8]> {
    match header::read(bytes) {
        Ok(header) => header.data(bytes),
        Err(_) => vec![bytes],
    }
}

/// The ABI of the file that begins with `head`; `None` when it is not ELF. Sixty-four bytes are enough.
pub fn abi(head: &[u8]) -> Option<Abi> {
    header::abi(head)
}

#[cfg(test)]
mod tests {
    use crate::elf::{
        Dlopen, Dynamic, ElfKind, Notes, Priority, Relro, Symbol, abi, data, definitions, facts,
    };
    use crate::package::Machine;

    /// A 64-bit little-endian header for x86-64 with one PT_LOAD segment.
    fn file(kind: u16, offset: u64, address: u64) -> Vec<u8> {
        let mut bytes = b"\x7fELF\x02\x01\x01".to_vec();
        bytes.resize(16, 0);
        bytes.extend(kind.to_le_bytes());
        bytes.extend(62_u16.to_le_bytes());
        bytes.extend(1_u32.to_le_bytes());
        for word in [0_u64, 64, 0] {
            bytes.extend(word.to_le_bytes());
        }
        bytes.extend(0_u32.to_le_bytes());
        for half in [64_u16, 56, 1, 0, 0, 0] {
            bytes.extend(half.to_le_bytes());
        }
        bytes.extend(1_u32.to_le_bytes());
        bytes.extend(5_u32.to_le_bytes());
        for word in [offset, address, address, 8, 8, 0x1000] {
            bytes.extend(word.to_le_bytes());
        }
        bytes
    }

    fn check(bytes: &[u8], expected: Result<&[&str], &str>) {
        let mut bytes = bytes.to_vec();
        if bytes.len() >= 64 + 56 {
            bytes.resize(0x2000, 0);
        }
        let facts = facts(&bytes);
        let faults =
            facts.as_ref().map(|facts| facts.load_faults.iter().map(String::as_str).collect());
        assert_eq!(faults.map_err(String::as_str), expected.map(<[&str]>::to_vec));
    }

    #[test]
    fn segments() {
        check(&file(3, 0x1000, 0x3000), Ok(&[]));
        check(
            &file(3, 0x1200, 0x3000),
            Ok(&[
                "segment 0 lies at offset 0x1200 and is to be loaded at 0x3000, which differ modulo 0x1000",
            ]),
        );
        check(&file(3, 0x9000, 0x3000), Ok(&["segment 0 ends after the end of the file"]));
        check(&file(3, 0, 0)[..70], Err("its program headers are missing or out of reach"));
        check(b"\x7fELF", Err("its class is neither 32 nor 64 bit"));
        check(&file(3, 0, 0)[..40], Err("it ends inside its header, after 40 bytes"));
        let object = facts(&file(1, 0x1200, 0x3000)).unwrap();
        assert_eq!((object.kind, object.machine), (ElfKind::Other, Some(Machine::X86_64)));
    }

    const BASE: &[u8] = include_bytes!("../../fixtures/elf/libbase.so.1");
    const USER: &[u8] = include_bytes!("../../fixtures/elf/user.so");
    const OLD: &[u8] = include_bytes!("../../fixtures/elf/old.so");
    const PROGRAM: &[u8] = include_bytes!("../../fixtures/elf/program");

    /// Undefined symbols as `name@version`, weak ones with a `?`, sorted.
    fn undefined(dynamic: &Dynamic) -> Vec<String> {
        let version = |(need, version): (usize, usize)| {
            format!("@{}", dynamic.version_needs[need].versions[version].0)
        };
        let text = |symbol: &Symbol| {
            let version = symbol.version.map(version).unwrap_or_default();
            format!("{}{version}{}", symbol.name, if symbol.is_weak { "?" } else { "" })
        };
        let mut texts: Vec<_> = dynamic.undefined.iter().map(text).collect();
        texts.sort();
        texts
    }

    #[test]
    fn dynamic_facts() {
        let base = facts(BASE).unwrap();
        assert_eq!(base.dynamic.soname.as_deref(), Some("libbase.so.1"));
        assert_eq!(base.dynamic.version_definitions, ["BASE_1", "BASE_2"]);
        assert_eq!(base.dynamic.version_base.as_deref(), Some("libbase.so.1"));
        assert!(base.dynamic.needed.is_empty() && base.dynamic.undefined.is_empty());
        for (bytes, machine, lists, has_hash) in [
            (USER, Machine::X86_64, (None, Some("$ORIGIN/../lib")), false),
            (OLD, Machine::I686, (Some("$ORIGIN/../lib"), None), true),
        ] {
            let facts = facts(bytes).unwrap();
            let dynamic = &facts.dynamic;
            assert_eq!(facts.machine, Some(machine));
            assert_eq!((dynamic.rpath.as_deref(), dynamic.runpath.as_deref()), lists);
            assert_eq!(dynamic.needed, ["libbase.so.1"]);
            assert_eq!(undefined(dynamic), ["base_one@BASE_1", "base_two@BASE_2", "maybe?"]);
            assert_eq!(facts.has_executable_stack, Some(false));
            assert!(!dynamic.has_text_relocations && facts.troubles.is_empty());
            assert_eq!((dynamic.has_hash, dynamic.has_gnu_hash), (has_hash, !has_hash));
            assert!(!dynamic.has_debug && dynamic.version_base.is_none());
            assert_eq!(abi(bytes), Some(facts.abi));
        }
        let program = facts(PROGRAM).unwrap();
        assert_eq!(program.interpreter.as_deref(), Some("/lib64/ld-linux-x86-64.so.2"));
        assert_eq!(undefined(&program.dynamic), ["base_data@BASE_1", "base_one@BASE_1"]);
        assert_eq!(program.has_executable_stack, Some(true));
        assert!(program.dynamic.has_debug);
    }

    #[test]
    fn section_headers_are_not_needed() {
        for bytes in [BASE, USER, OLD, PROGRAM] {
            let mut bare = bytes.to_vec();
            let (start, numbers) =
                if bytes[4] == 2 { (0x28..0x30, 0x3a) } else { (0x20..0x24, 0x2e) };
            bare[start].fill(0);
            bare[numbers..numbers + 6].fill(0);
            assert_eq!(facts(&bare), facts(bytes));
        }
    }

    #[test]
    fn code_is_no_data() {
        let parts = data(PROGRAM);
        let len: usize = parts.iter().map(|part| part.len()).sum();
        assert!(parts.len() > 1 && len < PROGRAM.len());
        let has =
            |text: &[u8]| parts.iter().any(|part| part.windows(text.len()).any(|at| at == text));
        assert!(has(b"/lib64/ld-linux-x86-64.so.2") && has(b"base_one"));
        assert_eq!(data(b"\x7fELF"), [b"\x7fELF"]);
        let mut bare = PROGRAM.to_vec();
        bare[0x28..0x30].fill(0);
        assert_eq!(data(&bare), [&bare[..]]);
    }

    #[test]
    fn trouble_is_said() {
        let mut bytes = USER.to_vec();
        let names = bytes.windows(10).position(|at| at == b"\0base_one\0").unwrap();
        bytes.truncate(names);
        let facts = facts(&bytes).unwrap();
        assert!(!facts.troubles.is_empty() && !facts.load_faults.is_empty(), "{facts:?}");
    }

    #[test]
    fn other_machines() {
        for (bytes, machine) in [
            (&include_bytes!("../../fixtures/elf/arm64.so")[..], Some(Machine::Aarch64)),
            (include_bytes!("../../fixtures/elf/armhf.so"), Some(Machine::Armv7l)),
            (include_bytes!("../../fixtures/elf/s390x.so"), Some(Machine::S390x)),
            (include_bytes!("../../fixtures/elf/powerpc.so"), None),
        ] {
            let facts = facts(bytes).unwrap();
            assert_eq!(facts.machine, machine);
            assert_eq!(facts.dynamic.needed, ["libbase.so.1"]);
            assert_eq!(undefined(&facts.dynamic), ["base_one@BASE_1", "base_two@BASE_2", "maybe?"]);
            assert!(facts.load_faults.is_empty() && facts.troubles.is_empty(), "{facts:?}");
            assert_eq!(definitions(bytes).unwrap()[0].name, "user");
        }
    }

    #[test]
    fn offered_symbols() {
        let found = definitions(BASE).unwrap();
        let version = |version: &Option<String>| version.clone().unwrap_or_default();
        let texts = found.iter().map(|it| format!("{}@{}", it.name, version(&it.version)));
        let mut texts: Vec<_> = texts.collect();
        texts.sort();
        let expected = [
            "BASE_1@BASE_1",
            "BASE_2@BASE_2",
            "base_data@BASE_1",
            "base_one@BASE_1",
            "base_two@BASE_2",
        ];
        assert_eq!(texts, expected);
        assert!(found.iter().all(|it| it.is_default && !it.is_weak), "{found:?}");
        assert_eq!(definitions(STATIC), Ok(Vec::new()));
        assert!(definitions(b"\x7fELF").is_err());
    }

    const STATIC: &[u8] = include_bytes!("../../fixtures/elf/static");
    const NOTES: &[u8] = include_bytes!("../../fixtures/elf/notes.so");

    #[test]
    fn how_files_are_linked() {
        let pie = include_bytes!("../../fixtures/elf/pie");
        let static_pie = include_bytes!("../../fixtures/elf/static-pie");
        for (bytes, kind, relro) in [
            (BASE, "", Relro::None),
            (NOTES, "", Relro::Partial),
            (PROGRAM, "program", Relro::None),
            (pie, "program pie", Relro::Full),
            (STATIC, "program static", Relro::None),
            (static_pie, "program pie static", Relro::None),
        ] {
            let facts = facts(bytes).unwrap();
            let claims = [
                (facts.is_program(), "program"),
                (facts.is_pie(), "pie"),
                (facts.is_static(), "static"),
            ];
            let words: Vec<_> = claims.iter().filter(|it| it.0).map(|it| it.1).collect();
            assert_eq!((words.join(" ").as_str(), facts.relro()), (kind, relro));
            assert_eq!(facts.musl(), None);
        }
        let library = facts(include_bytes!("../../fixtures/elf/musl.so")).unwrap();
        assert_eq!(library.musl(), Some("libc.musl-x86_64.so.1"));
        let program = facts(include_bytes!("../../fixtures/elf/musl")).unwrap();
        assert_eq!(program.musl(), Some("/lib/ld-musl-x86_64.so.1"));
    }

    #[test]
    fn notes() {
        let dlopen = |sonames: &[&str], priority| {
            let sonames = sonames.iter().map(|name| (*name).to_owned()).collect();
            Dlopen { sonames, priority }
        };
        let expected = Notes {
            build_id: Some("0123456789abcdef".to_owned()),
            isa_level: Some(3),
            package: Some(r#"{"type":"deb","name":"notes"}"#.to_owned()),
            dlopen: vec![
                dlopen(&["libz.so.2", "libz.so.1"], Priority::Required),
                dlopen(&["libodd.so.1"], Priority::Recommended),
                dlopen(&["libfun.so.1"], Priority::Suggested),
            ],
        };
        let found = facts(NOTES).unwrap();
        assert_eq!((found.notes, found.troubles.len()), (expected, 0));
        assert_eq!(facts(BASE).unwrap().notes, Notes::default());
        let mut odd = NOTES.to_vec();
        let at = odd.windows(8).position(|at| at == b"required").unwrap();
        odd[at] = b'R';
        assert_eq!(facts(&odd).unwrap().troubles, ["its `.note.dlopen` is malformed"]);
    }
}
