//! `mkpkg deb`: a project goes in, a `.deb` comes out.

use std::path::Path;

use anyhow::Result;

use crate::app::{App, identify};
use crate::artifact;
use crate::backend::deb::libraries::{Packages, Request};
use crate::backend::deb::{self, Options};
use crate::cli::BuildArgs;
use crate::codec::Compression;
use crate::commands::build::{Built, Inputs, build, inputs};
use crate::error::UserError;
use crate::needs::abi;
use crate::package::{Machine, PackageMeta, Relation, RelationKind};
use crate::report::{Talk, print};
use crate::summary;

/// Builds the package and prints its path.
pub fn run(args: &BuildArgs, talk: &Talk) -> Result<()> {
    let inputs = inputs(args, talk)?;
    validate(&inputs, args)?;
    if !args.dry_run {
        artifact::prepare(&args.output)?;
    }
    let built = build(&inputs, args, talk)?;
    let relations = relations(&inputs, &built, args, talk)?;
    let meta = PackageMeta {
        machine: built.machine,
        bundled: built.bundled.clone(),
        ..describe(&inputs, built.app.clone(), relations)
    };
    let (name, options) = (deb::file_name(&meta), options(&inputs, args.jobs()));
    if args.dry_run {
        let json = || summary::json(&meta, None, talk);
        return print(&if args.json { json()? } else { summary::plan(&meta, &built.tree, &name) });
    }
    let artifact = talk.stage("written", || {
        artifact::write(&args.output, &name, |out| {
            let spool = artifact::spool(&args.output)?;
            deb::write(&meta, &built.tree, &options, out, spool)
        })
    })?;
    summary::say(&meta, &artifact, talk);
    print(&if args.json {
        summary::json(&meta, Some(&artifact), talk)?
    } else {
        summary::path(&artifact)
    })
}

/// What suits the release: zstd where dpkg reads it, xz everywhere else.
fn options(inputs: &Inputs, threads: usize) -> Options {
    let reads_zstd = inputs.release.is_some_and(|release| release.reads_zstd);
    let suits = if reads_zstd { Compression::ZSTD } else { Compression::XZ };
    let deb = &inputs.project.config.deb;
    Options {
        compression: inputs.compression.unwrap_or(suits),
        threads,
        section: deb.section.clone(),
        priority: deb.priority.clone(),
        fields: deb.fields.clone(),
    }
}

fn configured_relations(inputs: &Inputs) -> Result<Vec<Relation>> {
    let config = &inputs.project.config;
    let of_kind = [
        (RelationKind::Needs, "dependencies.add", &config.dependencies.add),
        (RelationKind::Needs, "deb.add", &config.deb.add),
        (RelationKind::Recommends, "deb.recommends", &config.deb.recommends),
        (RelationKind::Suggests, "deb.suggests", &config.deb.suggests),
        (RelationKind::Conflicts, "deb.conflicts", &config.deb.conflicts),
        (RelationKind::Replaces, "deb.replaces", &config.deb.replaces),
        (RelationKind::Provides, "deb.provides", &config.deb.provides),
    ];
    let mut relations = Vec::new();
    for (kind, key, texts) in of_kind {
        for text in texts {
            relations.push(deb::relation(kind, text, &format!("`{key}` asks for it"))?);
        }
    }
    Ok(relations)
}

/// The interpreter, libraries, and what the configuration adds.
fn relations(
    inputs: &Inputs,
    built: &Built,
    args: &BuildArgs,
    talk: &Talk,
) -> Result<Vec<Relation>> {
    let mut relations = deb::relations(Some(&built.interpreter));
    if !built.needs.files.is_empty() {
        relations.extend(libraries(inputs, built, args, talk)?);
    }
    relations.extend(configured_relations(inputs)?);
    Ok(deb::simplify(relations))
}

fn libraries(
    inputs: &Inputs,
    built: &Built,
    args: &BuildArgs,
    talk: &Talk,
) -> Result<Vec<Relation>> {
    let packages = packages(inputs, args, built.machine);
    match (packages, inputs.release, built.machine) {
        (Packages::Released(release), _, Some(machine)) => {
            abi::check(&built.needs, &release, machine)?;
        }
        (Packages::Installed(_), Some(release), Some(_))
            if !inputs.is_host && args.sysroot.is_none() =>
        {
            let name = release.name;
            talk.warn(format!(
                "libraries are looked up among the packages of this host: name a root file system of {name} with `--sysroot`"
            ));
        }
        (Packages::Released(_) | Packages::Installed(_), _, _) => {}
    }
    let request = Request { packages, floor: args.floor(), machine: built.machine };
    let derived = talk.stage("resolved", || deb::libraries(&built.needs, &request))?;
    for warning in &derived.warnings {
        talk.warn(warning);
    }
    Ok(derived.relations)
}

/// A root file system the user names, else this host where the package is for one like it, else what is known of the
/// release.
fn packages<'a>(inputs: &Inputs, args: &'a BuildArgs, machine: Option<Machine>) -> Packages<'a> {
    let host = Path::new("/");
    let is_native = machine == Machine::from_uname(std::env::consts::ARCH);
    let is_like_host = inputs.is_host && is_native && deb::has_packages(host);
    match (&args.sysroot, inputs.release) {
        (Some(dir), _) => Packages::Installed(dir),
        (None, Some(release)) if !is_like_host && deb::knows(&release, machine) => {
            Packages::Released(release)
        }
        (None, _) => Packages::Installed(host),
    }
}

/// Refuses what the format would refuse, as far as it is known before anything is collected.
pub fn validate(inputs: &Inputs, args: &BuildArgs) -> Result<()> {
    let configured = configured_relations(inputs)?;
    let project = &inputs.project;
    for package in project.config.dependencies.rename.values() {
        deb::relation(RelationKind::Needs, package, "`dependencies.rename` names it")?;
    }
    if let Some(root) = args.sysroot.as_deref().filter(|root| !deb::has_packages(root)) {
        let message = format!("no packages are installed in `{}`", root.display());
        return Err(UserError::usage(message)
            .hint("name the root file system of a Debian or Ubuntu release with `--sysroot`")
            .into());
    }
    refuse_strangers(args)?;
    if project.config.name.is_none() && project.stated.name.is_none() {
        return Ok(());
    }
    let app = identify(project, &[], None)?;
    let meta = describe(inputs, app, configured);
    deb::check(&meta, &options(inputs, args.jobs()))
}

/// Refuses a target, named on purpose, whose package manager is another.
fn refuse_strangers(args: &BuildArgs) -> Result<()> {
    match args.target.as_deref().filter(|target| !deb::serves(target)) {
        None => Ok(()),
        Some(target) => Err(UserError::usage(format!("`{target}` does not install .deb packages"))
            .hint("name a release of Debian or Ubuntu with `--target`")
            .into()),
    }
}

/// What the package says of itself, but for what is inside.
fn describe(inputs: &Inputs, app: App, relations: Vec<Relation>) -> PackageMeta {
    PackageMeta {
        name: app.name,
        version: app.version,
        release: inputs.project.config.release.clone(),
        machine: None,
        summary: app.summary,
        description: app.description,
        licence: app.licence,
        homepage: app.homepage,
        maintainer: app.maintainer,
        prefix: app.prefix,
        epoch: inputs.epoch,
        relations,
        bundled: Vec::new(),
    }
}
