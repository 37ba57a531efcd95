//! Symbol versions: which ones a file needs and offers.
//!
//! Walks the tables the dynamic section points to, never those of section headers, which a file may lack. The records
//! are the same for 32 and 64 bit (gABI, "Symbol Versioning").

use std::collections::BTreeMap;

use goblin::container::{Ctx, Endian};

use crate::elf::VersionNeed;

/// A version table, and where the names in it are.
#[derive(Clone, Copy)]
pub(super) struct Table<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) strings: &'a [u8],
    pub(super) ctx: Ctx,
    /// Number of records, by the dynamic section.
    pub(super) count: u64,
}

/// More records than any linker writes; a cycle ends here.
const MAX_RECORDS: u64 = 1 << 16;
/// Mangled names of C++ templates have been seen with 20 KB.
const MAX_TEXT: usize = 64 << 10;
/// `VER_FLG_BASE`: the definition of the file itself.
const BASE: u16 = 1;
/// `VER_FLG_WEAK`: the version may be missing.
const WEAK: u16 = 2;

/// The bits of an entry of `DT_VERSYM` that are an index; the other one hides the symbol from those who ask for no
/// version.
pub(super) const INDEX: u16 = 0x7fff;

/// Where each version index leads: `(need, version)` in the list of needs.
pub(super) type Indices = BTreeMap<u16, (usize, usize)>;

/// Reads `DT_VERNEED` at `offset`: needs in order, and the index each version has in `DT_VERSYM`.
///
/// `None` when a record or a name lies out of reach.
pub(super) fn needs(table: &Table<'_>, offset: usize) -> Option<(Vec<VersionNeed>, Indices)> {
    let (mut needs, mut indices) = (Vec::new(), Indices::new());
    let mut at = offset;
    let mut left = MAX_RECORDS;
    for _ in 0..table.count.min(MAX_RECORDS) {
        let (count, aux) = (table.half(at, 2)?, table.word(at, 8)?);
        let mut need = VersionNeed { soname: table.name(at, 4)?, versions: Vec::new() };
        let mut inner = at.checked_add(aux)?;
        for _ in 0..count {
            left = left.checked_sub(1)?;
            let (flags, index) = (table.half(inner, 4)?, table.half(inner, 6)?);
            indices.insert(index & INDEX, (needs.len(), need.versions.len()));
            need.versions.push((table.name(inner, 8)?, flags & WEAK != 0));
            match table.word(inner, 12)? {
                0 => break,
                next => inner = inner.checked_add(next)?,
            }
        }
        needs.push(need);
        match table.word(at, 12)? {
            0 => break,
            next => at = at.checked_add(next)?,
        }
    }
    Some((needs, indices))
}

/// The name a file has as a version of itself, and the versions it offers, each with its index in `DT_VERSYM`.
pub(super) type Definitions = (Option<String>, Vec<(u16, String)>);

/// Reads `DT_VERDEF` at `offset`: the name of the file itself, and the other definitions in order.
pub(super) fn definitions(table: &Table<'_>, offset: usize) -> Option<Definitions> {
    let (mut base, mut definitions) = (None, Vec::new());
    let mut at = offset;
    for _ in 0..table.count.min(MAX_RECORDS) {
        let (flags, aux) = (table.half(at, 2)?, table.word(at, 12)?);
        let name = table.name(at.checked_add(aux)?, 0)?;
        if flags & BASE == 0 {
            definitions.push((table.half(at, 4)? & INDEX, name));
        } else {
            base = Some(name);
        }
        match table.word(at, 16)? {
            0 => break,
            next => at = at.checked_add(next)?,
        }
    }
    Some((base, definitions))
}

impl Table<'_> {
    /// The 16 bits `field` bytes behind `at`.
    pub(super) fn half(&self, at: usize, field: usize) -> Option<u16> {
        let start = at.checked_add(field)?;
        let bytes = self.bytes.get(start..start.checked_add(2)?)?.try_into().ok()?;
        Some(match self.ctx.le {
            Endian::Little => u16::from_le_bytes(bytes),
            Endian::Big => u16::from_be_bytes(bytes),
        })
    }

    /// The 32 bits `field` bytes behind `at`.
    pub(super) fn word(&self, at: usize, field: usize) -> Option<usize> {
        let start = at.checked_add(field)?;
        let bytes = self.bytes.get(start..start.checked_add(4)?)?.try_into().ok()?;
        let word = match self.ctx.le {
            Endian::Little => u32::from_le_bytes(bytes),
            Endian::Big => u32::from_be_bytes(bytes),
        };
        usize::try_from(word).ok()
    }

    /// The name whose place in the string table stands `field` bytes behind `at`.
    fn name(&self, at: usize, field: usize) -> Option<String> {
        text(self.strings, self.word(at, field)?)
    }
}

/// The text that begins at `at` in a string table. What would change how it is shown, or begin a line, is U+FFFD in it,
/// as is what is not UTF-8: no library has such a name.
///
/// Longer ones than [`MAX_TEXT`] are no names: a table can hold millions that all begin in one text and end far away.
pub(super) fn text(strings: &[u8], at: usize) -> Option<String> {
    let rest = strings.get(at..)?;
    let len = rest.iter().take(MAX_TEXT).position(|byte| *byte == 0)?;
    let text = String::from_utf8_lossy(&rest[..len]);
    let is_odd = |at: char| at.is_control() || DIRECTIONS.contains(&at);
    Some(text.replace(is_odd, "\u{fffd}"))
}

/// Characters that turn the direction of a text around (Unicode Standard Annex 9), and separators of lines.
const DIRECTIONS: [char; 14] = [
    '\u{61c}', '\u{200e}', '\u{200f}', '\u{2028}', '\u{2029}', '\u{202a}', '\u{202b}', '\u{202c}',
    '\u{202d}', '\u{202e}', '\u{2066}', '\u{2067}', '\u{2068}', '\u{2069}',
];
