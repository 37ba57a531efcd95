//! `mkpkg rpm`: a project goes in, an `.rpm` comes out.

use std::fs::File;
use std::io::{Seek, Write};

use anyhow::{Context, Result};

use crate::app::identify;
use crate::artifact;
use crate::backend::deb;
use crate::backend::rpm::{self, Options};
use crate::cli::{BuildArgs, RpmArgs};
use crate::codec::Compression;
use crate::commands::build::{Built, Inputs, build, describe, inputs, rules};
use crate::commands::deliver::{Product, deliver};
use crate::error::UserError;
use crate::needs::{Rules, abi, resolve};
use crate::package::{PackageMeta, Relation, RelationKind};
use crate::project::config::Rpm;
use crate::report::Talk;
use crate::signer::Signer;

/// Builds the package and prints its path.
pub fn run(args: &RpmArgs, talk: &Talk) -> Result<()> {
    let RpmArgs { build: args, sign } = args;
    let inputs = inputs(args, talk)?;
    validate(&inputs, args)?;
    let signer = sign.as_deref().map(Signer::new).transpose()?;
    if !args.dry_run {
        artifact::prepare(&args.output)?;
    }
    let built = build(&inputs, args, talk)?;
    let meta = PackageMeta {
        machine: built.machine,
        bundled: built.bundled.clone(),
        ..describe(&inputs, built.app.clone(), relations(&inputs, &built, args, talk)?)
    };
    let options = options(&inputs, args.jobs());
    let product = Product { meta: &meta, tree: &built.tree, file_name: rpm::file_name(&meta) };
    deliver(args, talk, &product, |out, spool| {
        rpm::write(&meta, &built.tree, &options, out, spool)?;
        match &signer {
            Some(signer) => rpm::sign(out, |header| signer.sign(held(header, args)?)),
            None => Ok(()),
        }
    })
}

/// A file with these bytes, for a program to read.
fn held(bytes: &[u8], args: &BuildArgs) -> Result<File> {
    let mut file = artifact::spool(&args.output)?;
    let written = file.write_all(bytes).and_then(|()| file.rewind());
    written.context("cannot write what is to be signed")?;
    Ok(file)
}

/// zstd is read by rpm of every release that is supported: since Enterprise Linux 8, Fedora 28, SUSE 15.
fn options(inputs: &Inputs, threads: usize) -> Options {
    Options { compression: inputs.compression.unwrap_or(Compression::ZSTD), threads }
}

fn configured_relations(inputs: &Inputs) -> Result<Vec<Relation>> {
    let config = &inputs.project.config;
    let of_kind = [
        (RelationKind::Needs, "dependencies.add", &config.dependencies.add),
        (RelationKind::Needs, "rpm.add", &config.rpm.add),
        (RelationKind::Recommends, "rpm.recommends", &config.rpm.recommends),
        (RelationKind::Suggests, "rpm.suggests", &config.rpm.suggests),
        (RelationKind::Conflicts, "rpm.conflicts", &config.rpm.conflicts),
        (RelationKind::Replaces, "rpm.obsoletes", &config.rpm.obsoletes),
        (RelationKind::Provides, "rpm.provides", &config.rpm.provides),
    ];
    let mut relations = Vec::new();
    for (kind, key, texts) in of_kind {
        for text in texts {
            relations.push(rpm::relation(kind, text, &format!("`{key}` asks for it"))?);
        }
    }
    Ok(relations)
}

/// The interpreter, libraries, and what the configuration adds.
pub fn relations(
    inputs: &Inputs,
    built: &Built,
    args: &BuildArgs,
    talk: &Talk,
) -> Result<Vec<Relation>> {
    let config = &inputs.project.config;
    let Rpm { ignore, weak, rename, .. } = &config.rpm;
    let own = Rules { table: "rpm", ignore, weak, rename };
    let needs = resolve(&built.elf, &built.tree, &[own, rules(config)]);
    // Without a name the target is this host, which may be of another kind.
    let release = inputs.target.release.filter(|_| args.target.is_some());
    if let (Some(release), Some(machine)) = (release, built.machine) {
        abi::check(&needs, &release, machine)?;
    }
    let derived = rpm::libraries(&needs)?;
    for warning in needs.warnings.iter().chain(&derived.warnings) {
        talk.warn(warning);
    }
    let is_main = release.and_then(|it| it.python()) == Some(built.interpreter.minor.as_str());
    let mut relations = rpm::relations(Some(&built.interpreter), is_main);
    relations.extend(derived.relations);
    relations.extend(configured_relations(inputs)?);
    Ok(rpm::simplify(relations))
}

/// Refuses what the format would refuse, as far as it is known before anything is collected.
pub fn validate(inputs: &Inputs, args: &BuildArgs) -> Result<()> {
    refuse_strangers(args)?;
    let configured = configured_relations(inputs)?;
    let project = &inputs.project;
    let (common, own) = (&project.config.dependencies.rename, &project.config.rpm.rename);
    for (key, packages) in [("dependencies.rename", common), ("rpm.rename", own)] {
        for package in packages.values() {
            rpm::relation(RelationKind::Needs, package, &format!("`{key}` names it"))?;
        }
    }
    if project.config.name.is_none() && project.stated.name.is_none() {
        return Ok(());
    }
    let meta = describe(inputs, identify(project, &[], None)?, configured);
    rpm::check(&meta, &options(inputs, args.jobs()))
}

/// Refuses a target, named on purpose, whose package manager is another.
fn refuse_strangers(args: &BuildArgs) -> Result<()> {
    match args.target.as_deref().filter(|target| deb::serves(target)) {
        None => Ok(()),
        Some(target) => Err(UserError::usage(format!("`{target}` does not install .rpm packages"))
            .hint("name a release of RHEL, Fedora, SUSE or their kin with `--target`")
            .into()),
    }
}
