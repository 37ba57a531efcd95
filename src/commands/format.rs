//! The flow of a build, whatever the format: validate, build the tree once, then relate and write each package.

use std::fs::File;

use anyhow::{Context, Result};

use crate::app::identify;
use crate::artifact;
use crate::cli::{BuildArgs, RpmArgs};
use crate::commands::build::{Built, Inputs, build, describe, inputs};
use crate::commands::deb::Deb;
use crate::commands::rpm::Rpm;
use crate::error::UserError;
use crate::package::{PackageMeta, Relation};
use crate::project::config::FormatName;
use crate::report::{Talk, print};
use crate::signer::Signer;
use crate::summary;
use crate::tree::Tree;

/// What differs between the formats in a build.
pub trait Format {
    /// The end of a file name.
    fn suffix(&self) -> &'static str;
    /// Whether the release called `target` installs packages of it.
    fn serves(&self, target: &str) -> bool;
    /// What the configuration relates the package to, checked with all else of the configuration that is this format's.
    fn configured(&self, inputs: &Inputs, args: &BuildArgs) -> Result<Vec<Relation>>;
    /// Refuses what [`Format::write`] would refuse, as far as it is known before there is a tree.
    fn check(&self, meta: &PackageMeta, inputs: &Inputs, args: &BuildArgs) -> Result<()>;
    /// All relations: those of the interpreter, of libraries, and what the configuration adds.
    fn relations(
        &self,
        inputs: &Inputs,
        built: &Built,
        args: &BuildArgs,
        talk: &Talk,
    ) -> Result<Vec<Relation>>;
    /// The name of the file.
    fn file_name(&self, meta: &PackageMeta) -> String;
    /// Writes the package to an empty file, with another empty one to work in.
    fn write(
        &self,
        package: (&PackageMeta, &Tree),
        inputs: &Inputs,
        args: &BuildArgs,
        files: (&mut File, File),
    ) -> Result<()>;
    /// Signs what was written, where that is asked for.
    fn sign(&self, _package: &File, _args: &BuildArgs) -> Result<()> {
        Ok(())
    }
}

/// The format called `name`, unsigned.
fn format(name: FormatName) -> Box<dyn Format> {
    match name {
        FormatName::Deb => Box::new(Deb),
        FormatName::Rpm => Box::new(Rpm { signer: None }),
    }
}

/// Builds a `.deb` and prints its path.
pub fn deb(args: &BuildArgs, talk: &Talk) -> Result<()> {
    refuse_stranger(&Deb, args)?;
    run(&[Box::new(Deb)], &inputs(args, talk)?, args, talk)
}

/// Builds an `.rpm` and prints its path.
pub fn rpm(args: &RpmArgs, talk: &Talk) -> Result<()> {
    refuse_stranger(&Rpm { signer: None }, &args.build)?;
    let inputs = inputs(&args.build, talk)?;
    run(&[Box::new(Rpm { signer: signer(args)? })], &inputs, &args.build, talk)
}

/// Builds a package of each format that is configured, and prints their paths.
pub fn all(args: &RpmArgs, talk: &Talk) -> Result<()> {
    let inputs = inputs(&args.build, talk)?;
    let signer = signer(args)?;
    let signed = |name| -> Box<dyn Format> {
        match name {
            FormatName::Deb => format(name),
            FormatName::Rpm => Box::new(Rpm { signer: signer.clone() }),
        }
    };
    let formats: Vec<_> = names(&inputs, &args.build).into_iter().map(signed).collect();
    run(&formats, &inputs, &args.build, talk)
}

fn signer(args: &RpmArgs) -> Result<Option<Signer>> {
    args.sign.as_deref().map(Signer::new).transpose()
}

/// Builds the tree once and writes every package.
fn run(formats: &[Box<dyn Format>], inputs: &Inputs, args: &BuildArgs, talk: &Talk) -> Result<()> {
    validate(formats, inputs, args)?;
    if !args.dry_run {
        artifact::prepare(&args.output)?;
    }
    let built = build(inputs, args, talk)?;
    // Every error that relations can make comes before the first package is written.
    let meta = |format: &dyn Format| {
        let relations = format.relations(inputs, &built, args, talk)?;
        let bundled = built.bundled.clone();
        let meta = describe(inputs, built.app.clone(), relations);
        Ok(PackageMeta { machine: built.machine, bundled, ..meta })
    };
    let metas = formats.iter().map(|format| meta(format.as_ref())).collect::<Result<Vec<_>>>()?;
    for (format, meta) in formats.iter().zip(&metas) {
        deliver(format.as_ref(), (meta, &built.tree), inputs, args, talk)?;
    }
    Ok(())
}

/// The formats of the configuration; else every one that the target installs.
pub fn configured(inputs: &Inputs, args: &BuildArgs) -> Vec<Box<dyn Format>> {
    names(inputs, args).into_iter().map(format).collect()
}

fn names(inputs: &Inputs, args: &BuildArgs) -> Vec<FormatName> {
    let chosen = inputs.project.config.formats.as_deref();
    let all = chosen.unwrap_or(&[FormatName::Deb, FormatName::Rpm]).iter().copied();
    match (chosen, &args.target) {
        (None, Some(target)) => all.filter(|name| format(*name).serves(target)).collect(),
        (Some(_), _) | (None, None) => all.collect(),
    }
}

/// Refuses what one of the formats would refuse, as far as it is known before anything is collected.
pub fn validate(formats: &[Box<dyn Format>], inputs: &Inputs, args: &BuildArgs) -> Result<()> {
    let project = &inputs.project;
    for format in formats {
        refuse_stranger(format.as_ref(), args)?;
        let relations = format.configured(inputs, args)?;
        if project.config.name.is_some() || project.stated.name.is_some() {
            let meta = describe(inputs, identify(project, &[], None)?, relations);
            format.check(&meta, inputs, args)?;
        }
    }
    Ok(())
}

/// Refuses a target, named on purpose, that installs packages of another format.
fn refuse_stranger(format: &dyn Format, args: &BuildArgs) -> Result<()> {
    let Some(target) = args.target.as_deref().filter(|target| !format.serves(target)) else {
        return Ok(());
    };
    let message = format!("`{target}` does not install {} packages", format.suffix());
    Err(UserError::usage(message)
        .hint("name a release that does with `--target`, or build the other format")
        .into())
}

/// Prints the plan of a dry run; else writes the package and prints its path.
fn deliver(
    format: &dyn Format,
    (meta, tree): (&PackageMeta, &Tree),
    inputs: &Inputs,
    args: &BuildArgs,
    talk: &Talk,
) -> Result<()> {
    let file_name = format.file_name(meta);
    if args.dry_run {
        let json = || summary::json(meta, None, talk);
        return print(&if args.json { json()? } else { summary::plan(meta, tree, &file_name) });
    }
    let artifact = talk.stage("written", || {
        artifact::write(&args.output, &file_name, |out| {
            let path = args.output.join(&file_name);
            let spool = artifact::spool(&args.output)?;
            let written = format.write((meta, tree), inputs, args, (&mut *out, spool));
            written.with_context(|| format!("cannot write `{}`", path.display()))?;
            let signed = format.sign(out, args);
            signed.with_context(|| format!("cannot sign `{}`", path.display()))
        })
    })?;
    summary::say(meta, &artifact, talk);
    print(&if args.json {
        summary::json(meta, Some(&artifact), talk)?
    } else {
        summary::path(&artifact)
    })
}
