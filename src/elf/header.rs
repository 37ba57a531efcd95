//! The file header and the program headers: what is loaded, where, and whether it can be.

use goblin::container::{Container, Ctx, Endian};
use goblin::elf::header::{
    EI_CLASS, EI_DATA, ELFCLASS32, ELFCLASS64, ELFDATA2LSB, ELFDATA2MSB, ELFMAG,
};
use goblin::elf::header::{
    EM_386, EM_AARCH64, EM_ARM, EM_IA_64, EM_LOONGARCH, EM_MIPS, EM_OPENRISC, EM_PPC64, EM_RISCV,
    EM_S390, EM_X86_64,
};
use goblin::elf::header::{ET_DYN, ET_EXEC, header32, header64};
use goblin::elf::program_header::{PF_X, PT_GNU_RELRO, PT_GNU_STACK, PT_INTERP, PT_LOAD};
use goblin::elf::section_header::SHT_PROGBITS;
use goblin::elf::{Elf, Header, ProgramHeader, SectionHeader};

use crate::elf::{Abi, ElfKind};
use crate::package::Machine;

/// The headers of a file.
pub(super) struct Headers {
    pub(super) kind: ElfKind,
    pub(super) abi: Abi,
    pub(super) machine: Option<Machine>,
    pub(super) file: Header,
    pub(super) ctx: Ctx,
    /// Program headers; of object files, none.
    pub(super) segments: Vec<ProgramHeader>,
}

/// Reads the headers, or says why they cannot be read.
pub(super) fn read(bytes: &[u8]) -> Result<Headers, String> {
    let (container, size) = match bytes.get(EI_CLASS) {
        Some(&ELFCLASS32) => (Container::Little, header32::SIZEOF_EHDR),
        Some(&ELFCLASS64) => (Container::Big, header64::SIZEOF_EHDR),
        Some(_) | None => return Err("its class is neither 32 nor 64 bit".to_owned()),
    };
    let endian = match bytes.get(EI_DATA) {
        Some(&ELFDATA2LSB) => Endian::Little,
        Some(&ELFDATA2MSB) => Endian::Big,
        Some(_) | None => return Err("its byte order is not known".to_owned()),
    };
    if bytes.len() < size {
        return Err(format!("it ends inside its header, after {} bytes", bytes.len()));
    }
    let file =
        Elf::parse_header(bytes).map_err(|error| format!("its header is malformed: {error}"))?;
    let kind = match file.e_type {
        ET_DYN | ET_EXEC => ElfKind::Loadable,
        _ => ElfKind::Other,
    };
    let ctx = Ctx::new(container, endian);
    let segments = match kind {
        ElfKind::Loadable => segments(bytes, &file, ctx)?,
        ElfKind::Other => Vec::new(),
    };
    let abi = of_header(&file, bytes);
    let machine = machine(&file, container, endian);
    Ok(Headers { kind, abi, machine, file, ctx, segments })
}

/// The ABI of the file that begins with `head`.
pub(super) fn abi(head: &[u8]) -> Option<Abi> {
    let is_whole = head.len() >= header64::SIZEOF_EHDR && head.starts_with(ELFMAG);
    let header = is_whole.then(|| Elf::parse_header(head).ok()).flatten()?;
    Some(of_header(&header, head))
}

fn of_header(header: &Header, bytes: &[u8]) -> Abi {
    // Of most machines, `e_flags` say nothing that keeps two files apart.
    let mask = match header.e_machine {
        EM_IA_64 => 0x10,
        EM_LOONGARCH => 0x7,
        EM_MIPS => 0xf020,
        EM_OPENRISC => 1,
        EM_PPC64 => 3,
        EM_RISCV => 0xe,
        _ => 0,
    };
    Abi {
        class: bytes[EI_CLASS],
        data: bytes[EI_DATA],
        machine: header.e_machine,
        flags: header.e_flags & mask,
    }
}

fn segments(bytes: &[u8], header: &Header, ctx: Ctx) -> Result<Vec<ProgramHeader>, String> {
    let (offset, count) = (header.e_phoff, u64::from(header.e_phnum));
    let end = offset.checked_add(count.saturating_mul(u64::from(header.e_phentsize)));
    if count == 0 || end.is_none_or(|end| end > bytes.len() as u64) {
        return Err("its program headers are missing or out of reach".to_owned());
    }
    let offset =
        usize::try_from(offset).map_err(|_| "its program headers are out of reach".to_owned())?;
    let segments = ProgramHeader::parse(bytes, offset, usize::from(header.e_phnum), ctx)
        .map_err(|error| format!("its program headers are malformed: {error}"))?;
    if segments.iter().all(|segment| segment.p_type != PT_LOAD) {
        return Err("it has nothing to load".to_owned());
    }
    Ok(segments)
}

impl Headers {
    /// Why the loader would refuse a file of `len` bytes.
    pub(super) fn load_faults(&self, len: u64) -> Vec<String> {
        let loads = self.segments.iter().filter(|segment| segment.p_type == PT_LOAD);
        loads.enumerate().filter_map(|(index, load)| load_fault(index, load, len)).collect()
    }

    /// What lies between the sections of code.
    pub(super) fn data<'b>(&self, bytes: &'b [u8]) -> Vec<&'b [u8]> {
        let mut code: Vec<_> = self
            .sections(bytes)
            .iter()
            .filter(|section| section.sh_type == SHT_PROGBITS && section.is_executable())
            .filter_map(|section| {
                let start = usize::try_from(section.sh_offset).ok()?;
                Some((start, start.checked_add(usize::try_from(section.sh_size).ok()?)?))
            })
            .collect();
        code.sort_unstable();
        let (mut parts, mut from) = (Vec::new(), 0);
        for (start, end) in code {
            parts.extend(bytes.get(from..start));
            from = from.max(end);
        }
        parts.extend(bytes.get(from..));
        parts
    }

    /// The section headers; none where they are missing or malformed, which the loader does not mind.
    pub(super) fn sections(&self, bytes: &[u8]) -> Vec<SectionHeader> {
        let sections = usize::try_from(self.file.e_shoff).ok().and_then(|offset| {
            let count = usize::from(self.file.e_shnum);
            let size = usize::from(self.file.e_shentsize).checked_mul(count)?;
            let is_there = offset != 0 && offset.checked_add(size)? <= bytes.len();
            is_there.then(|| SectionHeader::parse(bytes, offset, count, self.ctx).ok())?
        });
        sections.unwrap_or_default()
    }

    /// The text of `PT_INTERP`.
    pub(super) fn interpreter(&self, bytes: &[u8]) -> Option<String> {
        let segment = self.segments.iter().find(|segment| segment.p_type == PT_INTERP)?;
        let start = usize::try_from(segment.p_offset).ok()?;
        let len = usize::try_from(segment.p_filesz).ok()?;
        let text = bytes.get(start..start.checked_add(len)?)?;
        let text = text.split(|byte| *byte == 0).next().unwrap_or_default();
        Some(String::from_utf8_lossy(text).into_owned())
    }

    /// What `PT_GNU_STACK` asks for.
    pub(super) fn has_executable_stack(&self) -> Option<bool> {
        let segment = self.segments.iter().find(|segment| segment.p_type == PT_GNU_STACK)?;
        Some(segment.p_flags & PF_X != 0)
    }

    pub(super) fn is_movable(&self) -> bool {
        self.file.e_type == ET_DYN
    }

    pub(super) fn has_relro(&self) -> bool {
        self.segments.iter().any(|segment| segment.p_type == PT_GNU_RELRO)
    }

    /// Where in the file the byte lies that is loaded at `address`.
    pub(super) fn offset(&self, address: u64) -> Option<usize> {
        let loads = self.segments.iter().filter(|segment| segment.p_type == PT_LOAD);
        let mut within = loads.filter_map(|load| {
            let distance = address.checked_sub(load.p_vaddr)?;
            (distance < load.p_filesz).then(|| load.p_offset.checked_add(distance))?
        });
        usize::try_from(within.next()?).ok()
    }
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
