//! The dynamic section: names of libraries, search paths, versions and symbols.
//!
//! Takes what the loader takes: addresses of the dynamic section, mapped through the segments. Section headers only
//! tell how many symbols there are, which nothing else tells for sure.

use std::collections::{BTreeMap, BTreeSet};

use goblin::elf::dynamic::{
    DF_1_NOW, DF_1_PIE, DF_BIND_NOW, DF_TEXTREL, DT_BIND_NOW, DT_DEBUG, DT_FLAGS, DT_FLAGS_1,
    DT_GNU_HASH, DT_HASH, DT_JMPREL, DT_NEEDED, DT_PLTREL, DT_PLTRELSZ, DT_REL, DT_RELA, DT_RELASZ,
    DT_RELSZ, DT_RPATH, DT_RUNPATH, DT_SONAME, DT_STRSZ, DT_STRTAB, DT_SYMTAB, DT_TEXTREL,
    DT_VERDEF, DT_VERDEFNUM, DT_VERNEED, DT_VERNEEDNUM, DT_VERSYM,
};
use goblin::elf::header::{
    EM_386, EM_AARCH64, EM_ARM, EM_LOONGARCH, EM_PPC64, EM_RISCV, EM_S390, EM_X86_64,
};
use goblin::elf::section_header::{SHN_UNDEF, SHT_DYNSYM};
use goblin::elf::sym::{STB_LOCAL, STB_WEAK, Symtab};
use goblin::elf::{Dynamic as Section, RelocSection, Sym};

use crate::elf::header::Headers;
use crate::elf::versions::{
    Definitions, INDEX, Indices, Table, definitions as versions, needs, text,
};
use crate::elf::{Definition, Dynamic, Symbol};

/// Far more libraries than any file needs; the programs of the largest applications need some two hundred.
const MAX_NEEDED: usize = 1024;

/// A file, and the entries of its dynamic section.
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    headers: &'a Headers,
    pub(super) strings: &'a [u8],
    /// The last value of each tag.
    tags: BTreeMap<u64, u64>,
}

/// Reads what the dynamic section leads to. What cannot be read is said in `troubles`.
pub(super) fn read(bytes: &[u8], headers: &Headers, troubles: &mut Vec<String>) -> Dynamic {
    let (section, reader) = match open(bytes, headers) {
        Ok(Some(opened)) => opened,
        // It needs nothing: it is linked statically.
        Ok(None) => return Dynamic::default(),
        Err(trouble) => {
            troubles.push(trouble);
            return Dynamic::default();
        }
    };
    let mut names = |tag: u64| -> Vec<String> {
        let values = section.dyns.iter().filter(|entry| entry.d_tag == tag);
        let name = |at: u64| text(reader.strings, usize::try_from(at).ok()?);
        let found: Vec<_> = values.map(|entry| name(entry.d_val)).collect();
        if found.contains(&None) {
            troubles.push("a name in its dynamic section is out of reach".to_owned());
        }
        found.into_iter().flatten().collect()
    };
    let (mut needed, soname) = (names(DT_NEEDED), names(DT_SONAME).pop());
    let (rpath, runpath) = (names(DT_RPATH).pop(), names(DT_RUNPATH).pop());
    if needed.len() > MAX_NEEDED {
        needed.truncate(MAX_NEEDED);
        troubles.push(format!("it needs more than {MAX_NEEDED} libraries"));
    }
    let mut dynamic = Dynamic { soname, needed, rpath, runpath, ..Dynamic::default() };
    dynamic.has_text_relocations =
        reader.tags.contains_key(&DT_TEXTREL) || reader.has_flag(DT_FLAGS, DF_TEXTREL);
    dynamic.binds_now = reader.tags.contains_key(&DT_BIND_NOW)
        || reader.has_flag(DT_FLAGS, DF_BIND_NOW)
        || reader.has_flag(DT_FLAGS_1, DF_1_NOW);
    dynamic.is_marked_pie = reader.has_flag(DT_FLAGS_1, DF_1_PIE);
    dynamic.has_hash = reader.tags.contains_key(&DT_HASH);
    dynamic.has_gnu_hash = reader.tags.contains_key(&DT_GNU_HASH);
    dynamic.has_debug = reader.tags.contains_key(&DT_DEBUG);
    let indices = reader.versions(&mut dynamic, troubles);
    dynamic.undefined = reader.undefined(&indices, troubles);
    dynamic
}

/// The symbols a file offers.
pub(super) fn definitions(bytes: &[u8], headers: &Headers) -> Result<Vec<Definition>, String> {
    let Some((_, reader)) = open(bytes, headers)? else {
        return Ok(Vec::new());
    };
    let versions: BTreeMap<_, _> =
        reader.version_definitions().unwrap_or_default().1.into_iter().collect();
    let word = reader.symbol_versions();
    let last_symbol = reader.copied().last_symbol;
    let is_defined =
        |symbol: &Sym| symbol.st_shndx != SHN_UNDEF as usize && symbol.st_bind() != STB_LOCAL;
    let definition = |(index, symbol): (usize, Sym)| {
        let name = text(reader.strings, symbol.st_name).filter(|name| !name.is_empty())?;
        let word = word(index);
        let version = word.and_then(|word| versions.get(&(word & INDEX)).cloned());
        let is_default = word.is_none_or(|word| word & !INDEX == 0);
        Some(Definition { name, version, is_default, is_weak: symbol.st_bind() == STB_WEAK })
    };
    let symbols = reader.symbols(last_symbol).ok_or("its symbols are out of reach")?;
    let symbols = symbols.iter().enumerate().filter(|(_, symbol)| is_defined(symbol));
    Ok(symbols.filter_map(definition).collect())
}

/// The dynamic section; `None` when there is none.
pub(super) fn open<'a>(
    bytes: &'a [u8],
    headers: &'a Headers,
) -> Result<Option<(Section, Reader<'a>)>, String> {
    let section = Section::parse(bytes, &headers.segments, headers.ctx)
        .map_err(|error| format!("its dynamic section is malformed: {error}"))?;
    Ok(section.map(|section| {
        let entries = section.dyns.iter().map(|entry| (entry.d_tag, entry.d_val));
        let mut reader = Reader { bytes, headers, strings: &[], tags: entries.collect() };
        reader.strings = reader.strings().unwrap_or_default();
        (section, reader)
    }))
}

impl<'a> Reader<'a> {
    fn value(&self, tag: u64) -> Option<usize> {
        usize::try_from(*self.tags.get(&tag)?).ok()
    }

    /// The place in the file of the table that `tag` gives the address of.
    fn place(&self, tag: u64) -> Option<usize> {
        self.headers.offset(*self.tags.get(&tag)?)
    }

    fn has_flag(&self, tag: u64, flag: u64) -> bool {
        self.tags.get(&tag).is_some_and(|flags| flags & flag != 0)
    }

    fn strings(&self) -> Option<&'a [u8]> {
        let start = self.place(DT_STRTAB)?;
        let end = start.checked_add(self.value(DT_STRSZ)?)?;
        self.bytes.get(start..end.min(self.bytes.len()))
    }

    fn table(&self, count_tag: u64) -> Table<'a> {
        let count = self.tags.get(&count_tag).copied().unwrap_or(0);
        Table { bytes: self.bytes, strings: self.strings, ctx: self.headers.ctx, count }
    }

    fn versions(&self, dynamic: &mut Dynamic, troubles: &mut Vec<String>) -> Indices {
        let mut indices = Indices::new();
        if self.tags.contains_key(&DT_VERNEED) {
            let table = self.table(DT_VERNEEDNUM);
            match self.place(DT_VERNEED).and_then(|offset| needs(&table, offset)) {
                Some(found) => (dynamic.version_needs, indices) = found,
                None => troubles.push("the versions it needs are out of reach".to_owned()),
            }
        }
        if self.tags.contains_key(&DT_VERDEF) {
            match self.version_definitions() {
                Some((base, found)) => {
                    dynamic.version_base = base;
                    dynamic.version_definitions = found.into_iter().map(|(_, name)| name).collect();
                }
                None => troubles.push("the versions it defines are out of reach".to_owned()),
            }
        }
        indices
    }

    /// The name it has as a version, and the versions it offers, with their indices.
    fn version_definitions(&self) -> Option<Definitions> {
        versions(&self.table(DT_VERDEFNUM), self.place(DT_VERDEF)?)
    }

    /// What gives the entry of `DT_VERSYM` for a symbol.
    fn symbol_versions(&self) -> impl Fn(usize) -> Option<u16> {
        let (table, start) = (self.table(0), self.place(DT_VERSYM));
        move |symbol| table.half(start?, symbol.checked_mul(2)?)
    }

    /// The symbol table; empty when there is none, `None` when it is out of reach.
    pub(super) fn symbols(&self, last_symbol: usize) -> Option<Symtab<'a>> {
        let Some(start) = self.place(DT_SYMTAB) else {
            return Some(Symtab::default());
        };
        let size = Sym::size(self.headers.ctx.container);
        let room = self.bytes.len().saturating_sub(start) / size;
        let count = self.symbol_count(start, last_symbol).min(room);
        Symtab::parse(self.bytes, start, count, self.headers.ctx).ok()
    }

    fn undefined(&self, indices: &Indices, troubles: &mut Vec<String>) -> Vec<Symbol> {
        let copied = self.copied();
        let Some(symbols) = self.symbols(copied.last_symbol) else {
            troubles.push("its symbols are out of reach".to_owned());
            return Vec::new();
        };
        let version = self.symbol_versions();
        let (mut found, mut left) = (Vec::new(), self.bytes.len().saturating_mul(4));
        for (index, symbol) in symbols.iter().enumerate().skip(1) {
            let is_defined = symbol.st_shndx != SHN_UNDEF as usize;
            if symbol.st_bind() == STB_LOCAL || is_defined && !copied.symbols.contains(&index) {
                continue;
            }
            let Some(name) = text(self.strings, symbol.st_name).filter(|name| !name.is_empty())
            else {
                continue;
            };
            let version =
                version(index).and_then(|version| indices.get(&(version & INDEX)).copied());
            // Names may share their ends, but not so that they have more bytes together than the file by far.
            let Some(rest) = left.checked_sub(name.len()) else {
                troubles.push("the names of its symbols are too long".to_owned());
                break;
            };
            left = rest;
            found.push(Symbol { name, version, is_weak: symbol.st_bind() == STB_WEAK });
        }
        found
    }

    /// The number of symbols: by the section headers, else by hash tables and relocations.
    fn symbol_count(&self, start: usize, last_symbol: usize) -> usize {
        let own = self.headers.sections(self.bytes).into_iter().find(|section| {
            section.sh_type == SHT_DYNSYM && usize::try_from(section.sh_offset) == Ok(start)
        });
        if let Some(own) = own {
            let size = Sym::size(self.headers.ctx.container) as u64;
            return usize::try_from(own.sh_size / size).unwrap_or(usize::MAX);
        }
        let hashed = self.hash_count().or_else(|| self.gnu_hash_count()).unwrap_or(0);
        hashed.max(last_symbol.saturating_add(1))
    }

    /// gABI, "Hash Table": `nchain` equals the number of symbols.
    fn hash_count(&self) -> Option<usize> {
        // The entries of this table have 64 bits on s390x.
        let is_wide = self.headers.file.e_machine == EM_S390 && self.headers.ctx.is_big();
        let at = self.place(DT_HASH)?;
        self.table(0).word(at, if is_wide { 12 } else { 4 })
    }

    /// The chains of `DT_GNU_HASH` cover the symbols from `symoffset` on; the last one ends with an odd hash.
    fn gnu_hash_count(&self) -> Option<usize> {
        let (table, at) = (self.table(0), self.place(DT_GNU_HASH)?);
        let (buckets, offset, bloom) = (table.word(at, 0)?, table.word(at, 4)?, table.word(at, 8)?);
        let width: usize = if self.headers.ctx.is_big() { 8 } else { 4 };
        let first = at.checked_add(16)?.checked_add(bloom.checked_mul(width)?)?;
        let chains = first.checked_add(buckets.checked_mul(4)?)?;
        if chains > self.bytes.len() {
            return None;
        }
        let last = (0..buckets).filter_map(|bucket| table.word(first, bucket * 4)).max()?;
        if last < offset {
            return Some(offset);
        }
        let mut index = last;
        while table.word(chains, (index - offset).checked_mul(4)?)? & 1 == 0 {
            index = index.checked_add(1)?;
        }
        index.checked_add(1)
    }

    /// The relocations that have addends and are not of functions.
    pub(super) fn relocations(&self) -> Option<RelocSection<'a>> {
        let (start, size) = (self.place(DT_RELA)?, self.value(DT_RELASZ)?);
        let size = size.min(self.bytes.len().saturating_sub(start));
        RelocSection::parse(self.bytes, start, size, true, self.headers.ctx).ok()
    }

    /// Symbols that are copied into the file when it is loaded, and the last symbol any relocation names.
    fn copied(&self) -> Copied {
        let mut copied = Copied::default();
        let kind = copy_relocation(self.headers.file.e_machine);
        let is_rela = self.tags.get(&DT_PLTREL) == Some(&DT_RELA);
        for (address, size, is_rela) in [
            (DT_RELA, DT_RELASZ, true),
            (DT_REL, DT_RELSZ, false),
            (DT_JMPREL, DT_PLTRELSZ, is_rela),
        ] {
            let (Some(start), Some(size)) = (self.place(address), self.value(size)) else {
                continue;
            };
            let size = size.min(self.bytes.len().saturating_sub(start));
            let Ok(relocations) =
                RelocSection::parse(self.bytes, start, size, is_rela, self.headers.ctx)
            else {
                continue;
            };
            for relocation in relocations.iter() {
                copied.last_symbol = copied.last_symbol.max(relocation.r_sym);
                if Some(relocation.r_type) == kind {
                    copied.symbols.insert(relocation.r_sym);
                }
            }
        }
        copied
    }
}

#[derive(Default)]
struct Copied {
    symbols: BTreeSet<usize>,
    last_symbol: usize,
}

/// The number of `R_*_COPY` of a machine's psABI.
fn copy_relocation(machine: u16) -> Option<u32> {
    Some(match machine {
        EM_386 | EM_X86_64 => 5,
        EM_AARCH64 => 1024,
        EM_ARM => 20,
        EM_LOONGARCH | EM_RISCV => 4,
        EM_PPC64 => 19,
        EM_S390 => 9,
        _ => return None,
    })
}
