//! The open archive file: bounded reads, and the words its faults are told in.

use std::fmt::Display;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};

use crate::error::UserError;

const FETCH_AGAIN: &str = "fetch it again";

/// An archive file, read with `pread` only.
#[derive(Clone, Debug)]
pub(in crate::wheel) struct Source {
    /// The open file.
    pub(in crate::wheel) file: Arc<File>,
    /// Its name without the directory, printable.
    pub(in crate::wheel) name: String,
    /// Its size in bytes.
    pub(in crate::wheel) len: u64,
}

impl Source {
    pub(in crate::wheel) fn open(path: &Path) -> Result<Self> {
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
        let name = name.escape_debug().to_string();
        let context = || format!("cannot read `{}`", path.display());
        let file = File::open(path).with_context(context)?;
        let metadata = file.metadata().with_context(context)?;
        let source = Self { file: Arc::new(file), name, len: metadata.len() };
        if metadata.is_file() { Ok(source) } else { Err(source.refuse("is not a regular file")) }
    }

    /// The `len` bytes at `offset`.
    pub(in crate::wheel) fn read(&self, offset: u64, len: usize) -> Result<Vec<u8>> {
        let in_file = offset.checked_add(len as u64).is_some_and(|end| end <= self.len);
        if !in_file {
            return Err(self.damaged("is truncated"));
        }
        let mut bytes = vec![0; len];
        self.file
            .read_exact_at(&mut bytes, offset)
            .with_context(|| format!("cannot read `{}`", self.name))?;
        Ok(bytes)
    }

    /// A fault of the whole archive.
    pub(in crate::wheel) fn refuse(&self, what: impl Display) -> anyhow::Error {
        UserError::input(format!("`{}` {what}", self.name)).into()
    }

    /// A fault a download may have.
    pub(in crate::wheel) fn damaged(&self, what: impl Display) -> anyhow::Error {
        UserError::input(format!("`{}` {what}", self.name)).hint(FETCH_AGAIN).into()
    }

    /// A fault of one member a download may have.
    pub(in crate::wheel) fn damaged_member(
        &self,
        member: &str,
        what: impl Display,
    ) -> anyhow::Error {
        let member = member.escape_debug();
        let message = format!("member `{member}` of `{}` {what}", self.name);
        UserError::input(message).hint(FETCH_AGAIN).into()
    }

    /// A fault of one member.
    pub(in crate::wheel) fn refuse_member(
        &self,
        member: &str,
        what: impl Display,
    ) -> anyhow::Error {
        let member = member.escape_debug();
        UserError::input(format!("member `{member}` of `{}` {what}", self.name)).into()
    }
}

/// Little-endian fields taken from the front of some bytes.
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl<'a> Fields<'a> {
    pub(super) fn bytes(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        Some(u16::from_le_bytes(self.bytes(2)?.try_into().ok()?))
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(self.bytes(4)?.try_into().ok()?))
    }

    pub(super) fn u64(&mut self) -> Option<u64> {
        Some(u64::from_le_bytes(self.bytes(8)?.try_into().ok()?))
    }
}
