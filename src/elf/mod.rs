//! Reads the ELF files of a tree: facts only, verdicts are for later stages.
//!
//! The only module that knows goblin. A file is ELF by its first four bytes, whatever its name.

mod dynamic;
mod header;
mod versions;

use std::io::Read;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use anyhow::{Context, Result};

use crate::package::Machine;
use crate::tree::{Content, PkgPath, Tree};

const MAGIC: &[u8] = b"\x7fELF";

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
#[derive(Clone, Debug, PartialEq, Eq)]
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
    /// What it tells the loader.
    pub dynamic: Dynamic,
    /// What could not be read of it, one sentence each; the rest of the facts holds.
    pub troubles: Vec<String>,
}

/// What must be equal for two files to be loaded into one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ElfKind {
    /// A program or library (`ET_EXEC`, `ET_DYN`).
    Loadable,
    /// An object file to be linked (`ET_REL`), or a core dump.
    Other,
}

/// The dynamic section and the tables it points to. Names that are not UTF-8 have U+FFFD in them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
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
    /// Symbols others must define; those it copies at start (`R_*_COPY`) are among them.
    pub undefined: Vec<Symbol>,
    /// Whether code must be changed when it is loaded.
    pub has_text_relocations: bool,
}

/// The versions an ELF file demands of one library.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionNeed {
    /// The library.
    pub soname: String,
    /// Names of versions, such as `GLIBC_2.34`, each with whether it may be missing.
    pub versions: Vec<(String, bool)>,
}

/// A symbol of the dynamic symbol table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Symbol {
    /// Its name.
    pub name: String,
    /// Place of its version, `(need, version)`, in [`Dynamic::version_needs`]; `None` when it has none.
    pub version: Option<(usize, usize)>,
    /// Whether it may be missing.
    pub is_weak: bool,
}

/// Reads every ELF file in `tree`, `jobs` at a time.
pub fn scan(tree: &Tree, jobs: usize) -> Result<ElfReport> {
    let files: Vec<_> = tree.files().filter(|(_, content, _)| content.len() >= 4).collect();
    let next = AtomicUsize::new(0);
    let found = Mutex::new(Vec::new());
    thread::scope(|scope| {
        let work = || -> Result<()> {
            while let Some((path, content, _)) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
                let read = read(content).with_context(|| format!("cannot read `{path}`"))?;
                if let Some(bytes) = read {
                    let file = ElfFile { path: (*path).clone(), facts: facts(&bytes) };
                    found.lock().expect("no worker panics").push(file);
                }
            }
            Ok(())
        };
        let workers: Vec<_> = (0..jobs.max(1)).map(|_| scope.spawn(work)).collect();
        workers.into_iter().try_for_each(|worker| worker.join().expect("no worker panics"))
    })?;
    let mut files = found.into_inner().expect("no worker panics");
    files.sort_by(|left, right| left.path.cmp(&right.path));
    Ok(ElfReport { files })
}

/// The whole content when it begins as ELF.
fn read(content: &Content) -> std::io::Result<Option<Vec<u8>>> {
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
    Ok(ElfFacts {
        kind: header.kind,
        abi: header.abi,
        machine: header.machine,
        load_faults: header.load_faults(bytes.len() as u64),
        interpreter: header.interpreter(bytes),
        has_executable_stack: header.has_executable_stack(),
        dynamic,
        troubles,
    })
}

/// The ABI of the file that begins with `head`; `None` when it is not ELF. Sixty-four bytes are enough.
pub fn abi(head: &[u8]) -> Option<Abi> {
    header::abi(head)
}

#[cfg(test)]
mod tests {
    use crate::elf::{ElfKind, facts};
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

    #[test]
    fn mutated_headers_never_panic() {
        let good = file(3, 0x1000, 0x3000);
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        for _ in 0..20_000 {
            let mut bytes = good.clone();
            for _ in 0..3 {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                let at = (state >> 8) as usize % bytes.len();
                bytes[at] = state as u8;
            }
            bytes.truncate(4 + (state >> 20) as usize % good.len());
            let _ = facts(&bytes);
        }
    }
}
