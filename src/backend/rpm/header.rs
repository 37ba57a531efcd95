//! Headers of the rpm format: tagged values in one index and one store, written and read without trust.
//!
//! Knows nothing of what a tag means. A crate for the format exists; its parser takes offsets into the store as they
//! come and ends the program on a bad one.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt;

use anyhow::{Context, Result};

use crate::error::UserError;

const MAGIC: [u8; 8] = [0x8e, 0xad, 0xe8, 1, 0, 0, 0, 0];
const INTRO: u64 = 16;
const ENTRY: usize = 16;
/// What rpm itself takes (lib/header.c): so many tags, so many bytes, so many values of a tag.
const MAX_TAGS: u32 = 0xffff;
const MAX_DATA: u32 = 256 << 20;
const MAX_VALUES: u32 = 1_000_000;

/// Which of the two headers of a package: the number of the tag that spans it all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Region {
    /// The header that says how the other one can be verified.
    Signature = 62,
    /// The header that describes the package.
    Immutable = 63,
}

/// What a tag holds; the names are those of the format's types.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    Int16(Vec<u16>),
    Int32(Vec<u32>),
    Int64(Vec<u64>),
    Text(String),
    Bytes(Vec<u8>),
    Texts(Vec<String>),
    /// One text per language; there is one language.
    I18n(String),
}

impl Value {
    fn kind(&self) -> u32 {
        match self {
            Self::Int16(_) => 3,
            Self::Int32(_) => 4,
            Self::Int64(_) => 5,
            Self::Text(_) => 6,
            Self::Bytes(_) => 7,
            Self::Texts(_) => 8,
            Self::I18n(_) => 9,
        }
    }

    fn count(&self) -> usize {
        match self {
            Self::Int16(numbers) => numbers.len(),
            Self::Int32(numbers) => numbers.len(),
            Self::Int64(numbers) => numbers.len(),
            Self::Text(_) | Self::I18n(_) => 1,
            Self::Bytes(bytes) => bytes.len(),
            Self::Texts(texts) => texts.len(),
        }
    }

    fn bytes(&self) -> Vec<u8> {
        let text = |text: &String| [text.as_bytes(), &[0]].concat();
        match self {
            Self::Int16(numbers) => {
                numbers.iter().flat_map(|number| number.to_be_bytes()).collect()
            }
            Self::Int32(numbers) => {
                numbers.iter().flat_map(|number| number.to_be_bytes()).collect()
            }
            Self::Int64(numbers) => {
                numbers.iter().flat_map(|number| number.to_be_bytes()).collect()
            }
            Self::Text(one) | Self::I18n(one) => text(one),
            Self::Bytes(bytes) => bytes.clone(),
            Self::Texts(texts) => texts.iter().flat_map(text).collect(),
        }
    }
}

/// Bytes a value of this type must be aligned to.
fn alignment(kind: u32) -> usize {
    match kind {
        3 => 2,
        4 => 4,
        5 => 8,
        _ => 1,
    }
}

/// The bytes of a header of these tags.
///
/// The first tag spans the others: its data, at the end of the store, is an index entry that points back over all of
/// the index. Whatever is added later lies outside and does not change what was signed.
pub(super) fn write(region: Region, tags: &BTreeMap<u32, Value>) -> Vec<u8> {
    let (mut index, mut store) = (Vec::new(), Vec::new());
    for (tag, value) in tags {
        store.resize(store.len().next_multiple_of(alignment(value.kind())), 0);
        index.extend(entry(*tag, value.kind(), offset(store.len()), value.count()));
        store.extend(value.bytes());
    }
    let span = -offset((tags.len() + 1) * ENTRY);
    let region = region as u32;
    let first = entry(region, 7, offset(store.len()), ENTRY);
    store.extend(entry(region, 7, span, ENTRY));
    let sizes = [tags.len() + 1, store.len()].map(|size| offset(size).to_be_bytes());
    [&MAGIC, &sizes.concat()[..], &first, &index, &store].concat()
}

fn entry(tag: u32, kind: u32, offset: i32, count: usize) -> [u8; ENTRY] {
    let mut bytes = [0; ENTRY];
    let count = u32::try_from(count).expect("a header is far smaller than 4 GiB");
    bytes[..4].copy_from_slice(&tag.to_be_bytes());
    bytes[4..8].copy_from_slice(&kind.to_be_bytes());
    bytes[8..12].copy_from_slice(&offset.to_be_bytes());
    bytes[12..].copy_from_slice(&count.to_be_bytes());
    bytes
}

fn offset(size: usize) -> i32 {
    i32::try_from(size).expect("a header is far smaller than 2 GiB")
}

/// A header of unknown origin. Values are decoded when they are asked for.
#[derive(Debug)]
pub(super) struct Header {
    /// Type, offset and number of values of each tag; all offsets lie in the store.
    index: BTreeMap<u32, (u32, usize, u32)>,
    store: Vec<u8>,
    /// The header as it is in the file.
    pub(super) bytes: Vec<u8>,
}

impl Header {
    /// Reads the header at `start` of `file`, which has `end` bytes.
    pub(super) fn read(file: &File, start: u64, end: u64) -> Result<Self> {
        let damaged = || UserError::input(format!("the header at byte {start} is damaged"));
        let cut = || UserError::input(format!("the header at byte {start} is cut short"));
        let mut intro = [0; INTRO as usize];
        if end.saturating_sub(start) < INTRO {
            return Err(cut().into());
        }
        file.read_exact_at(&mut intro, start).context("cannot read the package")?;
        let (tags, len) = (number(&intro[8..12]), number(&intro[12..]));
        if intro[..8] != MAGIC || tags == 0 || tags > MAX_TAGS || len > MAX_DATA {
            return Err(damaged().into());
        }
        let size = INTRO + u64::from(tags) * ENTRY as u64 + u64::from(len);
        if end - start < size {
            return Err(cut().into());
        }
        let mut bytes = vec![0; usize::try_from(size).map_err(|_| damaged())?];
        file.read_exact_at(&mut bytes, start).context("cannot read the package")?;
        let (before, store) = bytes.split_at(bytes.len() - len as usize);
        let mut index = BTreeMap::new();
        for entry in before[INTRO as usize..].chunks_exact(ENTRY) {
            let [tag, kind, offset, count] = [0, 4, 8, 12].map(|at| number(&entry[at..at + 4]));
            let slot = (kind, offset as usize, count);
            if offset > len || index.insert(tag, slot).is_some() {
                return Err(damaged().into());
            }
        }
        let store = store.to_vec();
        Ok(Self { index, store, bytes })
    }

    /// The text of a tag, the first of several; `None` when it is not there.
    pub(super) fn text(&self, tag: u32) -> Result<Option<String>> {
        Ok(self.texts(tag)?.into_iter().next())
    }

    /// The texts of a tag; none when it is not there.
    pub(super) fn texts(&self, tag: u32) -> Result<Vec<String>> {
        let Some((kind, offset, count)) = self.slot(tag)? else { return Ok(Vec::new()) };
        if !(matches!(kind, 6 | 8 | 9) && (kind != 6 || count == 1)) {
            return Err(fault(tag));
        }
        let mut rest = &self.store[offset..];
        let mut texts = Vec::new();
        for _ in 0..count {
            let end = rest.iter().position(|byte| *byte == 0).ok_or_else(|| fault(tag))?;
            texts.push(String::from_utf8_lossy(&rest[..end]).into_owned());
            rest = &rest[end + 1..];
        }
        Ok(texts)
    }

    /// The numbers of a tag; none when it is not there.
    pub(super) fn numbers(&self, tag: u32) -> Result<Vec<u64>> {
        let Some((kind, offset, count)) = self.slot(tag)? else { return Ok(Vec::new()) };
        if !matches!(kind, 3..=5) {
            return Err(fault(tag));
        }
        let width = alignment(kind);
        let end = offset.checked_add(count as usize * width);
        let bytes = end.and_then(|end| self.store.get(offset..end)).ok_or_else(|| fault(tag))?;
        let join = |bytes: &[u8]| bytes.iter().fold(0, |sum, byte| (sum << 8) | u64::from(*byte));
        Ok(bytes.chunks_exact(width).map(join).collect())
    }

    /// The bytes of a tag; `None` when it is not there.
    pub(super) fn binary(&self, tag: u32) -> Result<Option<&[u8]>> {
        let Some((kind, offset, count)) = self.slot(tag)? else { return Ok(None) };
        let end = offset.checked_add(count as usize).filter(|_| kind == 7);
        let bytes = end.and_then(|end| self.store.get(offset..end)).ok_or_else(|| fault(tag))?;
        Ok(Some(bytes))
    }

    fn slot(&self, tag: u32) -> Result<Option<(u32, usize, u32)>> {
        match self.index.get(&tag) {
            Some((_, _, count)) if *count > MAX_VALUES => Err(fault(tag)),
            found => Ok(found.copied()),
        }
    }
}

fn fault(tag: u32) -> anyhow::Error {
    UserError::input(format!("tag {tag} of the header is damaged")).into()
}

fn number(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |sum, byte| (sum << 8) | u32::from(*byte))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::io::Write;

    use crate::backend::rpm::header::{Header, Region, Value, write};
    use crate::error::exit_code;

    fn read(bytes: &[u8]) -> anyhow::Result<Header> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        Header::read(&file, 0, bytes.len() as u64)
    }

    fn tags() -> BTreeMap<u32, Value> {
        BTreeMap::from([
            (1000, Value::Text("acme".to_owned())),
            (1004, Value::I18n("shop".to_owned())),
            (1030, Value::Int16(vec![0o100_644, 0o040_755])),
            (1028, Value::Int32(vec![1, u32::MAX])),
            (5009, Value::Int64(vec![1 << 40])),
            (1008, Value::Bytes(vec![1, 2, 3])),
            (1117, Value::Texts(vec!["a".to_owned(), String::new()])),
        ])
    }

    /// What librpm writes for one text (rpm 4.18), the region around it included.
    #[test]
    fn known_bytes() {
        let tags = BTreeMap::from([(1000, Value::Text("ab".to_owned()))]);
        let expected = "8eade801000000000000000200000013\
            0000003f000000070000000300000010\
            000003e8000000060000000000000001\
            616200\
            0000003f00000007ffffffe000000010";
        assert_eq!(crate::digest::hex(&write(Region::Immutable, &tags)), expected);
    }

    #[test]
    fn values_come_back() {
        let header = read(&write(Region::Signature, &tags())).unwrap();
        assert_eq!(header.text(1000).unwrap().as_deref(), Some("acme"));
        assert_eq!(header.text(1004).unwrap().as_deref(), Some("shop"));
        assert_eq!(header.texts(1117).unwrap(), ["a", ""]);
        assert_eq!(header.numbers(1030).unwrap(), [0o100_644, 0o040_755]);
        assert_eq!(header.numbers(1028).unwrap(), [1, u64::from(u32::MAX)]);
        assert_eq!(header.numbers(5009).unwrap(), [1 << 40]);
        assert_eq!((header.text(7).unwrap(), header.numbers(7).unwrap()), (None, vec![]));
        for (tag, text) in [(1008, true), (1028, true), (1000, false), (1008, false)] {
            let error = if text { header.texts(tag).err() } else { header.numbers(tag).err() };
            assert_eq!(error.unwrap().to_string(), format!("tag {tag} of the header is damaged"));
        }
    }

    fn check(change: impl Fn(&mut Vec<u8>), part: &str) {
        let mut bytes = write(Region::Immutable, &tags());
        change(&mut bytes);
        let read = read(&bytes).and_then(|header| {
            [1000, 1004, 1117].iter().try_for_each(|tag| header.texts(*tag).map(drop))?;
            [1028, 1030, 5009].iter().try_for_each(|tag| header.numbers(*tag).map(drop))
        });
        let error = read.unwrap_err();
        assert!(error.to_string().contains(part), "{error:#}");
        assert_eq!(exit_code(&error), 3);
    }

    #[test]
    fn hostile_headers() {
        check(|bytes| bytes.truncate(15), "at byte 0 is cut short");
        check(|bytes| bytes.truncate(60), "at byte 0 is cut short");
        check(|bytes| bytes[0] = 0, "at byte 0 is damaged");
        check(|bytes| bytes[8..12].fill(0), "at byte 0 is damaged");
        check(|bytes| bytes[8..12].fill(0xff), "at byte 0 is damaged");
        check(|bytes| bytes[12..16].fill(0xff), "at byte 0 is damaged");
        check(|bytes| bytes[12] = 0x0f, "at byte 0 is cut short");
        // The first tag after the region: its offset, its number of values, its type, its number.
        check(|bytes| bytes[40..44].fill(0xff), "at byte 0 is damaged");
        check(|bytes| bytes[44..48].fill(0xff), "tag 1000 of the header is damaged");
        check(|bytes| bytes[44..48].copy_from_slice(&[0, 0, 0xff, 0]), "tag 1000 of the header");
        check(|bytes| bytes[39] = 4, "tag 1000 of the header is damaged");
        check(|bytes| bytes[34..36].copy_from_slice(&[3, 0xec]), "at byte 0 is damaged");
    }
}
