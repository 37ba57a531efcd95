//! Notes: what build tools say of a file beside its code (gABI, "Note Section").
//!
//! Found through the program headers, as all that is read here: notes that are not loaded are no part of a file that
//! has no section headers.

use goblin::elf::header::{EM_386, EM_X86_64};
use goblin::elf::program_header::PT_NOTE;

use crate::digest::hex;
use crate::document::from_json;
use crate::elf::header::Headers;
use crate::elf::versions::Table;
use crate::elf::{Dlopen, Notes};

/// `NT_GNU_BUILD_ID` of the owner `GNU`.
const BUILD_ID: usize = 3;
/// `NT_GNU_PROPERTY_TYPE_0` of the owner `GNU`.
const PROPERTIES: usize = 5;
/// `GNU_PROPERTY_X86_ISA_1_NEEDED` (x86-64 psABI, "Program Property"): one bit a level, the lowest is x86-64-v1.
const ISA_NEEDED: usize = 0xc000_8002;
/// `.note.package` of the owner `FDO` (UAPI group, "Package Metadata for Executable Files").
const PACKAGE: usize = 0xcafe_1a7e;
/// `.note.dlopen` of the owner `FDO` (UAPI group, "ELF dlopen() Metadata").
const DLOPEN: usize = 0x407c_0c0a;

/// One note: who defines its type, its type, and what it says.
struct Note<'a> {
    owner: &'a [u8],
    kind: usize,
    text: &'a [u8],
}

/// Reads every note that is loaded. What cannot be read is said in `troubles`.
pub(super) fn read(bytes: &[u8], headers: &Headers, troubles: &mut Vec<String>) -> Notes {
    let mut notes = Notes::default();
    let is_x86 = matches!(headers.file.e_machine, EM_386 | EM_X86_64);
    for segment in headers.segments.iter().filter(|segment| segment.p_type == PT_NOTE) {
        let align = if segment.p_align == 8 { 8 } else { 4 };
        let start = usize::try_from(segment.p_offset).unwrap_or(usize::MAX);
        let len = usize::try_from(segment.p_filesz).unwrap_or(usize::MAX);
        let Some(span) = bytes.get(start..start.saturating_add(len)) else {
            troubles.push("its notes are out of reach".to_owned());
            continue;
        };
        let table = Table { bytes: span, strings: &[], ctx: headers.ctx, count: 0 };
        for note in split(&table, align) {
            match (note.owner, note.kind) {
                (b"GNU\0", BUILD_ID) => notes.build_id = Some(hex(note.text)),
                (b"GNU\0", PROPERTIES) if is_x86 => {
                    let table = Table { bytes: note.text, ..table };
                    notes.isa_level = isa_level(&table, align).or(notes.isa_level);
                }
                (b"FDO\0", PACKAGE) => {
                    notes.package = Some(String::from_utf8_lossy(json(note.text)).into_owned());
                }
                (b"FDO\0", DLOPEN) => match from_json::<Vec<Dlopen>>(json(note.text), "the note") {
                    Ok(entries) => notes.dlopen.extend(entries),
                    Err(_) => troubles.push("its `.note.dlopen` is malformed".to_owned()),
                },
                _ => {}
            }
        }
    }
    notes
}

/// The notes of a segment, up to the first that does not end in it.
fn split<'a>(table: &Table<'a>, align: usize) -> Vec<Note<'a>> {
    let mut notes = Vec::new();
    let mut at = 0;
    while let Some((note, next)) = note(table, at, align) {
        notes.push(note);
        at = next;
    }
    notes
}

/// The note at `at`, and where the next one would be.
fn note<'a>(table: &Table<'a>, at: usize, align: usize) -> Option<(Note<'a>, usize)> {
    let (owner_len, len, kind) = (table.word(at, 0)?, table.word(at, 4)?, table.word(at, 8)?);
    let owner = at.checked_add(12)?;
    let owner_end = owner.checked_add(owner_len)?;
    let start = owner_end.checked_next_multiple_of(align)?;
    let end = start.checked_add(len)?;
    let note = Note {
        owner: table.bytes.get(owner..owner_end)?,
        kind,
        text: table.bytes.get(start..end)?,
    };
    Some((note, end.checked_next_multiple_of(align)?))
}

/// The highest level of x86-64 among the properties: records of type, size and padded value.
fn isa_level(table: &Table<'_>, align: usize) -> Option<u8> {
    let mut at: usize = 0;
    loop {
        let (kind, len) = (table.word(at, 0)?, table.word(at, 4)?);
        let value = at.checked_add(8)?;
        if kind == ISA_NEEDED && len == 4 {
            let levels = u32::try_from(table.word(value, 0)?).ok()?;
            return u8::try_from(u32::BITS - levels.leading_zeros())
                .ok()
                .filter(|level| *level > 0);
        }
        at = value.checked_add(len)?.checked_next_multiple_of(align)?;
    }
}

/// The text without the NULs it is padded with.
fn json(text: &[u8]) -> &[u8] {
    let padding = text.iter().rev().take_while(|byte| **byte == 0).count();
    &text[..text.len() - padding]
}
