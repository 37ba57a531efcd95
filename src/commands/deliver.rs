//! The end of a build: a package is planned or written, and told of.

use anyhow::{Context, Result};

use crate::artifact::{self, Artifact};
use crate::cli::BuildArgs;
use crate::commands::build::Inputs;
use crate::commands::format::Format;
use crate::commands::unchanged;
use crate::package::PackageMeta;
use crate::parallel::discard;
use crate::report::{Talk, print};
use crate::segments::spool::is_damaged;
use crate::summary;
use crate::tree::Tree;

/// Prints the plan of a dry run; else writes the package and prints its path.
pub fn deliver(
    format: &dyn Format,
    (meta, tree): (&PackageMeta, Tree),
    inputs: &Inputs,
    args: &BuildArgs,
    talk: &Talk,
) -> Result<()> {
    let file_name = format.file_name(meta);
    if args.dry_run {
        let json = || summary::json(meta, None, talk);
        return print(&if args.json { json()? } else { summary::plan(meta, &tree, &file_name) });
    }
    let artifact =
        talk.stage("written", || written(format, (meta, tree), inputs, args, &file_name))?;
    summary::say(meta, &artifact, talk);
    print(&if args.json {
        summary::json(meta, Some(&artifact), talk)?
    } else {
        summary::path(&artifact)
    })
}

/// Writes the package called `file_name`, unless it is there.
fn written(
    format: &dyn Format,
    (meta, tree): (&PackageMeta, Tree),
    inputs: &Inputs,
    args: &BuildArgs,
    file_name: &str,
) -> Result<Artifact> {
    let path = args.output.join(file_name);
    let key = unchanged::key(format, (meta, &tree), (inputs, args.jobs()))?;
    if let Some(there) = key.and_then(|key| unchanged::find(&inputs.cache, &key, &path)) {
        return Ok(there);
    }
    // It is written anew sometimes: what is added once is not added to a copy of all.
    let tree = format.with_docs(meta, tree)?;
    let write = || {
        artifact::write(&args.output, file_name, |out| {
            let spool = artifact::spool(&args.output)?;
            let written = format.write((meta, tree.clone()), inputs, args, (out, spool));
            written.with_context(|| format!("cannot write `{}`", path.display()))?;
            let signed = format.sign(out, args);
            signed.with_context(|| format!("cannot sign `{}`", path.display()))
        })
    };
    // Each time another damaged entry of the cache is left out, and in the end all are.
    let artifact = loop {
        match write() {
            Err(error) if is_damaged(&error) => {}
            done => break done?,
        }
    };
    if let Some(key) = key {
        inputs.cache.keep(&key, &mut &artifact.sha256[..]);
    }
    discard(tree);
    Ok(artifact)
}
