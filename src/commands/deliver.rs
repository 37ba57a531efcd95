//! How a build ends, whatever the format: the plan is printed, or the package is written and reported.

use std::fs::File;

use anyhow::Result;

use crate::artifact;
use crate::cli::BuildArgs;
use crate::package::PackageMeta;
use crate::report::{Talk, print};
use crate::summary;
use crate::tree::Tree;

/// A package that is ready to be written.
#[derive(Debug)]
pub struct Product<'a> {
    /// What it says of itself.
    pub meta: &'a PackageMeta,
    /// What it installs.
    pub tree: &'a Tree,
    /// The name of its file.
    pub file_name: String,
}

/// Prints the plan of a dry run; else lets `write` fill the file (and a spool beside it), and prints its path.
pub fn deliver(
    args: &BuildArgs,
    talk: &Talk,
    product: &Product,
    write: impl FnOnce(&mut File, File) -> Result<()>,
) -> Result<()> {
    let Product { meta, tree, file_name } = product;
    if args.dry_run {
        let json = || summary::json(meta, None, talk);
        return print(&if args.json { json()? } else { summary::plan(meta, tree, file_name) });
    }
    let artifact = talk.stage("written", || {
        artifact::write(&args.output, file_name, |out| write(out, artifact::spool(&args.output)?))
    })?;
    summary::say(meta, &artifact, talk);
    print(&if args.json {
        summary::json(meta, Some(&artifact), talk)?
    } else {
        summary::path(&artifact)
    })
}
