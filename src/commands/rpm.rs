//! `mkpkg rpm`: a project goes in, an `.rpm` comes out.

use anyhow::Result;

use crate::app::identify;
use crate::artifact;
use crate::backend::rpm::{self, Options};
use crate::cli::BuildArgs;
use crate::codec::Compression;
use crate::commands::build::{Built, Inputs, build, describe, inputs};
use crate::commands::deliver::{Product, deliver};
use crate::package::{PackageMeta, Relation, RelationKind};
use crate::report::Talk;

/// Builds the package and prints its path.
pub fn run(args: &BuildArgs, talk: &Talk) -> Result<()> {
    let inputs = inputs(args, talk)?;
    validate(&inputs, args)?;
    if !args.dry_run {
        artifact::prepare(&args.output)?;
    }
    let built = build(&inputs, args, talk)?;
    let meta = PackageMeta {
        machine: built.machine,
        bundled: built.bundled.clone(),
        ..describe(&inputs, built.app.clone(), relations(&inputs, &built, talk)?)
    };
    let options = options(&inputs, args.jobs());
    let product = Product { meta: &meta, tree: &built.tree, file_name: rpm::file_name(&meta) };
    deliver(args, talk, &product, |out, spool| rpm::write(&meta, &built.tree, &options, out, spool))
}

/// zstd is read by rpm of every release that is supported: since Enterprise Linux 8, Fedora 28, SUSE 15.
fn options(inputs: &Inputs, threads: usize) -> Options {
    Options { compression: inputs.compression.unwrap_or(Compression::ZSTD), threads }
}

fn configured_relations(inputs: &Inputs) -> Result<Vec<Relation>> {
    let added = &inputs.project.config.dependencies.add;
    let because = "`dependencies.add` asks for it";
    added.iter().map(|text| rpm::relation(RelationKind::Needs, text, because)).collect()
}

/// The interpreter, and what the configuration adds.
fn relations(inputs: &Inputs, built: &Built, talk: &Talk) -> Result<Vec<Relation>> {
    let mut relations = rpm::relations(Some(&built.interpreter));
    if !built.needs.files.is_empty() {
        talk.warn(
            "the libraries that compiled files need are not derived for this format yet: list them in `dependencies.add`",
        );
    }
    relations.extend(configured_relations(inputs)?);
    Ok(relations)
}

/// Refuses what the format would refuse, as far as it is known before anything is collected.
fn validate(inputs: &Inputs, args: &BuildArgs) -> Result<()> {
    let configured = configured_relations(inputs)?;
    let project = &inputs.project;
    if project.config.name.is_none() && project.stated.name.is_none() {
        return Ok(());
    }
    let meta = describe(inputs, identify(project, &[], None)?, configured);
    rpm::check(&meta, &options(inputs, args.jobs()))
}
