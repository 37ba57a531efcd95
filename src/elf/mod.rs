//! Reads the ELF files of a tree: facts only, verdicts are for later stages.
//!
//! The only module that knows goblin. A file is ELF by its first four bytes, whatever its name.

use std::io::Read;

use anyhow::{Context, Result};
use goblin::container::{Container, Ctx, Endian};
use goblin::elf::header::{
    EI_CLASS, EI_DATA, ELFCLASS32, ELFCLASS64, ELFDATA2LSB, ELFDATA2MSB, ELFMAG,
};
use goblin::elf::header::{
    EM_386, EM_AARCH64, EM_ARM, EM_LOONGARCH, EM_PPC64, EM_RISCV, EM_S390, EM_X86_64,
};
use goblin::elf::header::{ET_DYN, ET_EXEC, ET_REL, header32, header64};
use goblin::elf::program_header::PT_LOAD;
use goblin::elf::{Elf, Header, ProgramHeader};

use crate::package::Machine;
use crate::tree::{Content, PkgPath, Tree};

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

/// Facts from the headers of an ELF file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ElfFacts {
    /// Whether it is loaded at run time, or only linked into something else.
    pub kind: ElfKind,
    /// The machine it is for; `None` for one packages are not made for.
    pub machine: Option<Machine>,
    /// Why the loader would refuse it, one sentence a fault.
    pub load_faults: Vec<String>,
}

/// What an ELF file is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ElfKind {
    /// A program or library (`ET_EXEC`, `ET_DYN`).
    Loadable,
    /// An object file to be linked (`ET_REL`), or a core dump.
    Other,
}

/// Reads the headers of every ELF file in `tree`.
pub fn scan(tree: &Tree) -> Result<ElfReport> {
    let mut files = Vec::new();
    for (path, content, _) in tree.files() {
        if content.len() < 4 {
            continue;
        }
        let head = head(content).with_context(|| format!("cannot read `{path}`"))?;
        if head.starts_with(ELFMAG) {
            files.push(ElfFile { path: path.clone(), facts: facts(&head, content.len()) });
        }
    }
    Ok(ElfReport { files })
}

/// Program headers lie right behind the file header in everything linkers write; far ones are a fault.
const HEAD: u64 = 64 * 1024;

fn head(content: &Content) -> std::io::Result<Vec<u8>> {
    let mut reader = content.open()?;
    let mut head = vec![0; 4];
    reader.read_exact(&mut head)?;
    if head == ELFMAG {
        reader.take(HEAD - 4).read_to_end(&mut head)?;
    }
    Ok(head)
}

/// Facts of a file of `len` bytes that begins with `head`, or why there are none.
pub fn facts(head: &[u8], len: u64) -> Result<ElfFacts, String> {
    let (container, size) = match head.get(EI_CLASS) {
        Some(&ELFCLASS32) => (Container::Little, header32::SIZEOF_EHDR),
        Some(&ELFCLASS64) => (Container::Big, header64::SIZEOF_EHDR),
        Some(_) | None => return Err("its class is neither 32 nor 64 bit".to_owned()),
    };
    let endian = match head.get(EI_DATA) {
        Some(&ELFDATA2LSB) => Endian::Little,
        Some(&ELFDATA2MSB) => Endian::Big,
        Some(_) | None => return Err("its byte order is not known".to_owned()),
    };
    if head.len() < size {
        return Err(format!("it ends inside its header, after {} bytes", head.len()));
    }
    let header =
        Elf::parse_header(head).map_err(|error| format!("its header is malformed: {error}"))?;
    let kind = match header.e_type {
        ET_DYN | ET_EXEC => ElfKind::Loadable,
        _ => ElfKind::Other,
    };
    let mut load_faults = Vec::new();
    if kind == ElfKind::Loadable && header.e_type != ET_REL {
        load_faults = segment_faults(head, &header, Ctx::new(container, endian), len)?;
    }
    Ok(ElfFacts { kind, machine: machine(&header, container, endian), load_faults })
}

fn segment_faults(head: &[u8], header: &Header, ctx: Ctx, len: u64) -> Result<Vec<String>, String> {
    let (offset, count) = (header.e_phoff, u64::from(header.e_phnum));
    let end = offset.checked_add(count.saturating_mul(u64::from(header.e_phentsize)));
    if count == 0 || end.is_none_or(|end| end > head.len() as u64) {
        return Err("its program headers are missing or out of reach".to_owned());
    }
    let offset =
        usize::try_from(offset).map_err(|_| "its program headers are out of reach".to_owned())?;
    let segments = ProgramHeader::parse(head, offset, usize::from(header.e_phnum), ctx)
        .map_err(|error| format!("its program headers are malformed: {error}"))?;
    let loads: Vec<_> = segments.iter().filter(|segment| segment.p_type == PT_LOAD).collect();
    if loads.is_empty() {
        return Err("it has nothing to load".to_owned());
    }
    let faults = loads.iter().enumerate().filter_map(|(index, load)| load_fault(index, load, len));
    Ok(faults.collect())
}

/// Smallest page of the machines packages are made for; what a segment says of alignment cannot go below it.
const PAGE: u64 = 4096;

/// ELF: "p_vaddr should equal p_offset, modulo p_align"; the kernel maps whole pages and refuses anything else.
fn load_fault(index: usize, load: &ProgramHeader, len: u64) -> Option<String> {
    let align = load.p_align.max(1);
    if !align.is_power_of_two() {
        return Some(format!("segment {index} has the alignment {align}, not a power of two"));
    }
    let align = align.max(PAGE);
    if load.p_offset % align != load.p_vaddr % align {
        return Some(format!(
            "segment {index} lies at offset {:#x} and is to be loaded at {:#x}, which differ modulo {align:#x}",
            load.p_offset, load.p_vaddr
        ));
    }
    let end = load.p_offset.checked_add(load.p_filesz);
    end.is_none_or(|end| end > len)
        .then(|| format!("segment {index} ends after the end of the file"))
}

fn machine(header: &Header, container: Container, endian: Endian) -> Option<Machine> {
    let is_little = endian == Endian::Little;
    match (header.e_machine, container) {
        (EM_X86_64, Container::Big) => Some(Machine::X86_64),
        (EM_AARCH64, Container::Big) => Some(Machine::Aarch64),
        (EM_ARM, Container::Little) => Some(Machine::Armv7l),
        (EM_386, Container::Little) => Some(Machine::I686),
        (EM_PPC64, Container::Big) if is_little => Some(Machine::Ppc64le),
        (EM_S390, Container::Big) => Some(Machine::S390x),
        (EM_RISCV, Container::Big) => Some(Machine::Riscv64),
        (EM_LOONGARCH, Container::Big) => Some(Machine::Loongarch64),
        _ => None,
    }
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
        let facts = facts(bytes, 0x2000);
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
        let object = facts(&file(1, 0x1200, 0x3000), 0).unwrap();
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
            let _ = facts(&bytes, 1 << 40);
        }
    }
}
