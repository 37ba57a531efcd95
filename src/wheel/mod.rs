//! Wheels: opened and checked as if hostile, and laid out for their final path without being unpacked.
//!
//! Knows where the files of a distribution go; not which distributions, nor what a package does with them.

mod crc32;
mod dist_info;
pub mod entry_points;
pub mod filename;
#[cfg(test)]
pub mod fixture;
pub mod install;
pub mod metadata;
pub mod record;
mod scripts;
pub mod tags;
mod zip;

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;

use crate::digest::{Hasher, base64url};
use crate::wheel::dist_info::Dirs;
use crate::wheel::entry_points::EntryPoint;
use crate::wheel::filename::WheelName;
use crate::wheel::metadata::Metadata;
use crate::wheel::record::Listed;
use crate::wheel::zip::{Archive, Member};

/// An open wheel whose index, names and RECORD agree. The bytes are vouched for by [`Wheel::verify`].
#[derive(Clone, Debug)]
pub struct Wheel {
    /// What the file name says.
    pub name: WheelName,
    /// What METADATA says.
    pub metadata: Metadata,
    /// Commands to make.
    pub entry_points: Vec<EntryPoint>,
    archive: Archive,
    dirs: Dirs,
    /// Every member with a hash: all but RECORD and its signatures.
    record: BTreeMap<String, Listed>,
}

impl Wheel {
    /// Opens the wheel at `path` and checks everything but the content of its files.
    pub fn open(path: &Path) -> Result<Self> {
        let file_name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
        let name: WheelName = file_name.parse()?;
        let archive = Archive::open(path)?;
        let dirs = Dirs::find(&archive, &name)?;
        dist_info::check_wheel_version(&archive, &dirs)?;
        let metadata = dist_info::read_metadata(&archive, &dirs, &name)?;
        let record = dist_info::read_record(&archive, &dirs)?;
        let entry_points = dist_info::read_entry_points(&archive, &dirs)?;
        Ok(Self { name, metadata, entry_points, archive, dirs, record })
    }

    /// Reads every file once and checks its size, checksum and hash.
    pub fn verify(&self) -> Result<()> {
        self.archive.members.keys().try_for_each(|name| self.verify_member(name))
    }

    /// Name of the wheel file, printable.
    pub fn file_name(&self) -> &str {
        self.archive.name()
    }

    fn verify_member(&self, name: &str) -> Result<()> {
        let Some(Listed::Hashed { algorithm, digest, .. }) = self.record.get(name) else {
            return self.digest(name, Hasher::sha256()).map(drop);
        };
        let hasher = Hasher::strong(algorithm).ok_or_else(|| {
            self.refuse_member(name, &format!("has an unknown hash: `{algorithm}`"))
        })?;
        if base64url(&self.digest(name, hasher)?) == *digest {
            return Ok(());
        }
        let error = self.refuse_member(name, &format!("does not match its {algorithm} in RECORD"));
        Err(error)
    }

    fn members(&self) -> impl Iterator<Item = (&String, &Member)> {
        self.archive.members.iter()
    }

    fn read(&self, name: &str) -> Result<Vec<u8>> {
        self.archive.read(name)
    }

    fn digest(&self, name: &str, hasher: Hasher) -> Result<Vec<u8>> {
        self.archive.digest(name, hasher)
    }

    fn refuse_member(&self, name: &str, what: &str) -> anyhow::Error {
        self.archive.refuse_member(name, what)
    }
}
