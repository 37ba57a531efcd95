//! `mkpkg deb`: a project goes in, a `.deb` comes out.

use std::path::Path;

use anyhow::Result;

use crate::app::identify;
use crate::artifact;
use crate::backend::deb::libraries::{Packages, Request};
use crate::backend::deb::{self, Options};
use crate::cli::BuildArgs;
use crate::codec::Compression;
use crate::commands::build::{Built, Inputs, Target, build, describe, inputs, rules};
use crate::commands::deliver::{Product, deliver};
use crate::error::UserError;
use crate::needs::{Needs, Rules, abi, resolve};
use crate::package::{Machine, PackageMeta, Relation, RelationKind};
use crate::project::config::Deb;
use crate::report::Talk;

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
    let options = options(&inputs, args.jobs());
    let product = Product { meta: &meta, tree: &built.tree, file_name: deb::file_name(&meta) };
    deliver(args, talk, &product, |out, spool| deb::write(&meta, &built.tree, &options, out, spool))
}

/// What suits the release: zstd where dpkg reads it, xz everywhere else.
fn options(inputs: &Inputs, threads: usize) -> Options {
    let reads_zstd = inputs.target.release.is_some_and(|release| release.reads_zstd);
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
pub fn relations(
    inputs: &Inputs,
    built: &Built,
    args: &BuildArgs,
    talk: &Talk,
) -> Result<Vec<Relation>> {
    let config = &inputs.project.config;
    let Deb { ignore, weak, rename, .. } = &config.deb;
    let own = Rules { table: "deb", ignore, weak, rename };
    let needs = resolve(&built.elf, &built.tree, &[own, rules(config)]);
    for warning in &needs.warnings {
        talk.warn(warning);
    }
    let mut relations = deb::relations(Some(&built.interpreter));
    if !needs.files.is_empty() {
        relations.extend(libraries(inputs, (&needs, built.machine), args, talk)?);
    }
    relations.extend(configured_relations(inputs)?);
    Ok(deb::simplify(relations))
}

fn libraries(
    inputs: &Inputs,
    (needs, machine): (&Needs, Option<Machine>),
    args: &BuildArgs,
    talk: &Talk,
) -> Result<Vec<Relation>> {
    let packages = packages(inputs.target, args, machine);
    match (packages, inputs.target.release, machine) {
        (Packages::Released(release), _, Some(machine)) => {
            abi::check(needs, &release, machine)?;
        }
        (Packages::Installed(_), Some(release), Some(_))
            if !inputs.target.is_host && args.sysroot.is_none() =>
        {
            let name = release.name;
            talk.warn(format!(
                "libraries are looked up among the packages of this host: name a root file system of {name} with `--sysroot`"
            ));
        }
        (Packages::Released(_) | Packages::Installed(_), _, _) => {}
    }
    let request = Request { packages, floor: args.floor(), machine };
    let derived = talk.stage("resolved", || deb::libraries(needs, &request))?;
    for warning in &derived.warnings {
        talk.warn(warning);
    }
    Ok(derived.relations)
}

/// A root file system the user names, else this host where the package is for one like it, else what is known of the
/// release.
pub fn packages(target: Target, args: &BuildArgs, machine: Option<Machine>) -> Packages<'_> {
    let host = Path::new("/");
    let is_native = machine == Machine::from_uname(std::env::consts::ARCH);
    let is_like_host = target.is_host && is_native && deb::has_packages(host);
    match (&args.sysroot, target.release) {
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
    let (common, own) = (&project.config.dependencies.rename, &project.config.deb.rename);
    for (key, packages) in [("dependencies.rename", common), ("deb.rename", own)] {
        for package in packages.values() {
            deb::relation(RelationKind::Needs, package, &format!("`{key}` names it"))?;
        }
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
