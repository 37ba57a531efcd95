//! What a database is made of on disk: a dump in a zip archive, a directory of entries, or the result of pip-audit.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::audit::vulnerabilities::archive;
use crate::codec::Crc32;
use crate::document::from_json;
use crate::tree::content::Content;

/// Largest text that is read, in bytes.
const MAX_TEXT: u64 = 64 << 20;

/// Where the dump of Python's ecosystem is in a directory: in osv-scanner's cache, in one of its directories, or in a
/// directory somebody made.
const DUMPS: [&str; 3] = ["osv-scanner/PyPI/all.zip", "PyPI/all.zip", "all.zip"];

/// A database, opened.
#[derive(Debug)]
pub(super) enum Database {
    /// Entries in the OSV format.
    Osv(Vec<Text>),
    /// What pip-audit found.
    PipAudit(Vec<Audited>),
}

/// The text of one entry.
#[derive(Debug)]
pub(super) struct Text {
    /// What errors call it.
    pub(super) name: String,
    content: Content,
    crc32: Option<u32>,
}

/// A distribution in a result of pip-audit (`--format json`).
#[derive(Debug, Deserialize)]
pub(super) struct Audited {
    /// Its name.
    pub(super) name: String,
    /// Its version; `None` when it was skipped.
    pub(super) version: Option<String>,
    /// What it has.
    #[serde(default)]
    pub(super) vulns: Vec<Found>,
}

/// A vulnerability in a result of pip-audit.
#[derive(Debug, Deserialize)]
pub(super) struct Found {
    /// Its id.
    pub(super) id: String,
    /// Versions without it.
    #[serde(default)]
    pub(super) fix_versions: Vec<String>,
    /// Its other ids.
    #[serde(default)]
    pub(super) aliases: Vec<String>,
    /// What it is.
    #[serde(default)]
    pub(super) description: String,
}

#[derive(Deserialize)]
struct PipAudit {
    dependencies: Vec<Audited>,
}

impl Database {
    /// Opens what is at `path`.
    pub(super) fn open(path: &Path) -> Result<Self> {
        if path.is_dir() {
            let dump = DUMPS.iter().map(|dump| path.join(dump)).find(|dump| dump.is_file());
            return match dump {
                Some(dump) => Ok(Self::Osv(of_archive(File::open(dump)?)?)),
                None => Ok(Self::Osv(of_dir(path)?)),
            };
        }
        let file = File::open(path)?;
        let mut start = Vec::new();
        (&file).take(2).read_to_end(&mut start)?;
        if start == b"PK" {
            return Ok(Self::Osv(of_archive(file)?));
        }
        let text = Text::of_file(path)?;
        match from_json::<PipAudit>(&text.read()?, &text.name) {
            Ok(found) => Ok(Self::PipAudit(found.dependencies)),
            Err(_) => Ok(Self::Osv(vec![text])),
        }
    }
}

fn of_archive(file: File) -> Result<Vec<Text>> {
    let members = archive::members(&Arc::new(file))?.into_iter();
    let texts = members.filter(|member| member.name.ends_with(".json"));
    Ok(texts
        .map(|archive::Member { name, content, crc32 }| Text {
            name: name.escape_debug().to_string(),
            content,
            crc32: Some(crc32),
        })
        .collect())
}

/// Files `*.json` at any depth, sorted.
fn of_dir(dir: &Path) -> Result<Vec<Text>> {
    let (mut paths, mut pending) = (Vec::new(), vec![dir.to_owned()]);
    while let Some(dir) = pending.pop() {
        for entry in fs::read_dir(&dir)? {
            let entry = entry?;
            let path: PathBuf = entry.path();
            if entry.file_type()?.is_dir() {
                pending.push(path);
            } else if path.extension().is_some_and(|end| end == "json") {
                paths.push(path);
            }
        }
    }
    if paths.is_empty() {
        bail!("there is neither an `all.zip` nor a `*.json` in it");
    }
    paths.sort();
    paths.iter().map(|path| Text::of_file(path)).collect()
}

impl Text {
    fn of_file(path: &Path) -> Result<Self> {
        let len = fs::metadata(path)?.len();
        let content = Content::Path { path: path.to_owned(), len, sha256: None };
        Ok(Self { name: path.display().to_string(), content, crc32: None })
    }

    /// All of it, checked.
    pub(super) fn read(&self) -> Result<Vec<u8>> {
        if self.content.len() > MAX_TEXT {
            bail!("`{}` has {} bytes", self.name, self.content.len());
        }
        let bytes = self.content.read().with_context(|| format!("cannot read `{}`", self.name))?;
        let mut crc = Crc32::default();
        crc.update(&bytes);
        if self.crc32.is_some_and(|expected| crc.finish() != expected) {
            bail!("`{}` has a wrong checksum", self.name);
        }
        Ok(bytes)
    }
}
