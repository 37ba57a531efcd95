//! `--previous`: the packages that hosts have, from which an upgrade to new ones is prepared.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::backend::{deb, rpm};
use crate::changes::changes;
use crate::commands::format::Format;
use crate::commands::show;
use crate::error::UserError;
use crate::lifecycle::Changes;
use crate::package::{Package, PackageMeta, PackageName};
use crate::project::config::FormatName;
use crate::report::Talk;
use crate::tree::Tree;

/// A package that was built before, whoever built it.
#[derive(Debug)]
pub struct Previous {
    file: PathBuf,
    format: FormatName,
    package: Package,
}

/// Reads the packages in `files`: at most one for each of the `formats` that are built.
pub fn read(files: &[PathBuf], formats: &[Box<dyn Format>]) -> Result<Vec<Previous>> {
    let mut found: Vec<Previous> = Vec::new();
    for file in files {
        let (package, format) = open(file)?;
        if !formats.iter().any(|built| built.name() == format) {
            let message = format!("no package of the format of `{}` is built", file.display());
            return Err(UserError::usage(message)
                .hint("name a package of a format that is built with `--previous`")
                .into());
        }
        if let Some(other) = found.iter().find(|other| other.format == format) {
            let (other, file) = (other.file.display(), file.display());
            let message = format!("`{other}` and `{file}` are of one format");
            return Err(UserError::usage(message)
                .hint("name one package for each format with `--previous`")
                .into());
        }
        found.push(Previous { file: file.clone(), format, package });
    }
    Ok(found)
}

/// Reads a package without keeping what is in its files: nobody will look into them.
fn open(file: &Path) -> Result<(Package, FormatName)> {
    let input = File::open(file)
        .map_err(|error| UserError::input(format!("cannot open `{}`: {error}", file.display())))?;
    let nowhere = OpenOptions::new().write(true).open("/dev/null");
    let nowhere = nowhere.context("cannot open `/dev/null`")?;
    show::open(input, nowhere).with_context(|| format!("cannot read `{}`", file.display()))
}

impl Previous {
    /// Refuses a package that is not called `name`: no upgrade leads from it to one that is.
    pub fn check_name(&self, name: &PackageName) -> Result<()> {
        let (was, _) = self.identity();
        if was == name.as_str() {
            return Ok(());
        }
        let (file, was) = (self.file.display(), was.escape_debug());
        let message = format!("`{file}` is the package `{was}`, and `{name}` is built");
        Err(UserError::usage(message)
            .hint(format!("name an earlier package of `{name}` with `--previous`"))
            .into())
    }

    /// Refuses a package that is not earlier: scripts would not take what they do for an upgrade.
    pub fn check_version(&self, meta: &PackageMeta) -> Result<()> {
        let (_, was) = self.identity();
        let (is_before, version) = match self.format {
            FormatName::Deb => (deb::is_before(&was, meta), deb::version(meta)),
            FormatName::Rpm => (rpm::is_before(&was, meta), rpm::version(meta)),
        };
        if is_before {
            return Ok(());
        }
        let (file, was) = (self.file.display(), was.escape_debug());
        let message = format!("`{file}` has version {was}, which is not before {version}");
        Err(UserError::usage(message)
            .hint("name an earlier package with `--previous`, or raise `version` or `release`")
            .into())
    }

    /// What an upgrade from it to the package of `meta` and `tree` has to prepare.
    fn changes(&self, meta: &PackageMeta, tree: &Tree) -> Result<Changes> {
        self.check_name(&meta.name)?;
        self.check_version(meta)?;
        let (whole, replaces_dirs) = match self.format {
            FormatName::Deb => (deb::with_docs(meta, tree.clone())?, deb::REPLACES_DIRS),
            FormatName::Rpm => (rpm::with_docs(meta, tree.clone())?, rpm::REPLACES_DIRS),
        };
        changes(&self.package.tree, &whole, replaces_dirs)
            .with_context(|| format!("cannot prepare an upgrade from `{}`", self.file.display()))
    }

    fn identity(&self) -> (String, String) {
        match self.format {
            FormatName::Deb => deb::identity(&self.package),
            FormatName::Rpm => rpm::identity(&self.package),
        }
    }
}

/// The one of the format.
pub fn of(previous: &[Previous], format: FormatName) -> Option<&Previous> {
    previous.iter().find(|previous| previous.format == format)
}

/// What the package of `meta` and `tree` has to prepare, each of which is told; nothing without a previous one.
pub fn changes_since(
    previous: Option<&Previous>,
    (meta, tree): (&PackageMeta, &Tree),
    talk: &Talk,
) -> Result<Changes> {
    let Some(previous) = previous else {
        return Ok(Changes::default());
    };
    let changes = previous.changes(meta, tree)?;
    let Changes { dir_to_link, link_to_dir, dropped_configs, dropped_units } = &changes;
    for path in dir_to_link.keys() {
        talk.note(&format!("`{path}` was a directory and is a link now"));
    }
    for path in link_to_dir.keys() {
        talk.note(&format!("`{path}` was a link and is a directory now"));
    }
    for path in dropped_configs {
        talk.note(&format!("`{path}` is no configuration file any more"));
    }
    for unit in dropped_units {
        talk.note(&format!("the unit `{unit}` is no more"));
    }
    Ok(changes)
}
