//! The flow of a build, whatever the format: validate, build the tree once, then relate each package and hand it on.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::iter;

use anyhow::Result;

use crate::app::{App, identify};
use crate::artifact::{self, Draft};
use crate::cli::{BuildArgs, RpmArgs};
use crate::commands::build::{Built, Inputs, build, inputs};
use crate::commands::deb::Deb;
use crate::commands::deliver::deliver;
use crate::commands::parts::{listed, with_parts};
use crate::commands::previous::{self, Previous, changes_since};
use crate::commands::rpm::Rpm;
use crate::error::UserError;
use crate::lifecycle::Lifecycle;
use crate::package::{PackageMeta, Relation, RelationKind};
use crate::parallel::discard;
use crate::project::config::FormatName;
use crate::report::Talk;
use crate::services::command_line::Commands;
use crate::services::{self, Conventions, Services};
use crate::signer::Signer;
use crate::summary;
use crate::tree::Tree;

/// What relations are made of.
#[derive(Clone, Copy, Debug)]
pub struct Trees<'t> {
    /// Everything to install.
    pub all: &'t Tree,
    /// What of it is in the package that declares them.
    pub package: &'t Tree,
}

/// What differs between the formats in a build.
pub trait Format {
    /// What the configuration calls it.
    fn name(&self) -> FormatName;
    /// What package URLs call it.
    fn kind(&self) -> &'static str;
    /// The version and the machine of a package, as the format writes them.
    fn identity(&self, meta: &PackageMeta) -> (String, &'static str);
    /// The end of a file name.
    fn suffix(&self) -> &'static str;
    /// Whether the release called `target` installs packages of it.
    fn serves(&self, target: &str) -> bool;
    /// Where the distributions that install it have what services use.
    fn conventions(&self) -> Conventions;
    /// What the configuration relates the package to, checked with all else of the configuration that is this format's.
    fn configured(&self, inputs: &Inputs, args: &BuildArgs) -> Result<Vec<Relation>>;
    /// Refuses what [`Format::write`] would refuse, as far as it is known before there is a tree.
    fn check(&self, meta: &PackageMeta, inputs: &Inputs, args: &BuildArgs) -> Result<()>;
    /// All relations of the package with the environment: those of the interpreter, of accounts, of libraries, and what the
    /// configuration adds.
    fn relations(
        &self,
        inputs: &Inputs,
        built: (&Built, Trees<'_>),
        args: &BuildArgs,
        talk: &Talk,
    ) -> Result<Vec<Relation>>;
    /// All relations of an application beside its releases, from those it has anyway and its tree: it needs the one it
    /// leads to, exactly.
    fn selecting(
        &self,
        release: &PackageMeta,
        application: (Vec<Relation>, &Tree),
    ) -> Result<Vec<Relation>>;
    /// What decides the bytes of a package beside what it says of itself, its tree and this program; `None` if they differ
    /// whenever one is written.
    fn options(&self, inputs: &Inputs) -> Option<String>;
    /// The name of the file.
    fn file_name(&self, meta: &PackageMeta) -> String;
    /// The tree with the files that [`Format::write`] adds.
    fn with_docs(&self, meta: &PackageMeta, tree: Tree) -> Result<Tree>;
    /// Writes the package to an empty file, with another empty one to work in.
    fn write(
        &self,
        package: (&PackageMeta, Tree),
        inputs: &Inputs,
        args: &BuildArgs,
        files: (&mut dyn Write, File),
    ) -> Result<()>;
    /// The whole tree of the package that [`Format::write`] writes, and its scripts by name, refusing what it refuses.
    fn parts(
        &self,
        meta: &PackageMeta,
        tree: Tree,
    ) -> Result<(Tree, BTreeMap<&'static str, String>)>;
    /// The text of the file another program takes relations from; what was in it `before` and is not ours stays.
    fn relate(&self, package: (&PackageMeta, &Tree), before: &str) -> Result<String>;
    /// The text of the file another program takes the list of files from; empty where it takes all there are.
    fn file_list(&self, meta: &PackageMeta, tree: &Tree) -> Result<String>;
    /// Signs what was written, where that is asked for.
    fn sign(&self, _package: &mut Draft<'_>, _args: &BuildArgs) -> Result<()> {
        Ok(())
    }
}

/// Why an application needs its release.
pub const SELECTS: &str = "it is the release this package makes the current one";

/// Makes a relation of a text and the reason for it; refuses what is none in the format.
type Relate = fn(RelationKind, &str, &str) -> Result<Relation>;

/// Refuses packages that stand for libraries, by key of the configuration, if they make no relation.
pub fn check_renames(renames: &[(&str, &BTreeMap<String, String>)], relate: Relate) -> Result<()> {
    for (key, packages) in renames {
        for package in packages.values() {
            relate(RelationKind::Needs, package, &format!("`{key}` names it"))?;
        }
    }
    Ok(())
}

/// The relations that `lists` of the configuration ask for, each a kind, a key and texts.
pub fn relations_of(
    lists: &[(RelationKind, &str, &Vec<String>)],
    relate: Relate,
) -> Result<Vec<Relation>> {
    let mut relations = Vec::new();
    for (kind, key, texts) in lists {
        for text in *texts {
            relations.push(relate(*kind, text, &format!("`{key}` asks for it"))?);
        }
    }
    Ok(relations)
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
        lifecycle: Lifecycle::default(),
    }
}

/// Builds the tree once and writes every package.
fn run(formats: &[Box<dyn Format>], inputs: &Inputs, args: &BuildArgs, talk: &Talk) -> Result<()> {
    let previous = previous::read(&args.previous, formats)?;
    validate(formats, &previous, inputs, args)?;
    if !args.dry_run {
        artifact::prepare(&args.output)?;
    }
    let (built, tree) = build(inputs, args, talk)?;
    let inventory = listed((&built, &tree), args, talk)?;
    // Every error that relations can make comes before the first package is written.
    let mut all = Vec::new();
    // The last format gets the tree itself, which is then changed without a copy.
    for (format, tree) in formats.iter().zip(iter::repeat_n(tree, formats.len())) {
        let mut packages = packages(format.as_ref(), inputs, (&built, tree), args, talk)?;
        for (meta, tree) in &mut packages {
            let (inside, package) = ((&built, &inventory), (&*meta, std::mem::take(tree)));
            *tree = with_parts(format.as_ref(), inputs, inside, package, args.target.as_deref())?;
        }
        // The last one is what an upgrade is asked for by name.
        if let Some((meta, tree)) = packages.last_mut() {
            let previous = previous::of(&previous, format.name());
            meta.lifecycle.changes = changes_since(previous, (meta, tree), talk)?;
        }
        all.push(packages);
    }
    // Compressing takes the most memory; each package has a tree of its own.
    discard((built, inventory, previous));
    for (format, packages) in formats.iter().zip(all) {
        for (meta, tree) in packages {
            deliver(format.as_ref(), (&meta, tree), inputs, args, talk)?;
        }
    }
    inputs.cache.bound();
    if let Some(trouble) = inputs.cache.trouble() {
        talk.note(&trouble);
    }
    if args.timings {
        summary::say_timings(talk);
    }
    Ok(())
}

/// The packages of what was built: one; or where releases lie side by side, the release and then the application.
pub fn packages(
    format: &dyn Format,
    inputs: &Inputs,
    (built, tree): (&Built, Tree),
    args: &BuildArgs,
    talk: &Talk,
) -> Result<Vec<(PackageMeta, Tree)>> {
    let Services { tree, lifecycle, warnings } = services(format, inputs, (built, tree))?;
    for warning in &warnings {
        talk.warn(warning);
    }
    let meta = |relations| {
        let (machine, bundled) = (built.machine, built.bundled.clone());
        let meta = describe(inputs, built.app.clone(), relations);
        PackageMeta { machine, bundled, lifecycle, ..meta }
    };
    let Some(slot) = &built.app.slot else {
        let trees = Trees { all: &tree, package: &tree };
        let relations = format.relations(inputs, (built, trees), args, talk)?;
        return Ok(vec![(meta(relations), tree)]);
    };
    let (environment, rest) = slot.trees(&tree)?;
    let trees = Trees { all: &tree, package: &environment };
    let relations = format.relations(inputs, (built, trees), args, talk)?;
    let (release, application) = slot.packages(meta(relations));
    let relations = format.selecting(&release, (application.relations, &rest))?;
    let application = PackageMeta { relations, ..application };
    Ok(vec![(release, environment), (application, rest)])
}

/// The services of a package whose environment is known; the tree has both.
fn services(
    format: &dyn Format,
    inputs: &Inputs,
    (built, mut tree): (&Built, Tree),
) -> Result<Services> {
    let bin = built.app.prefix.join("bin")?;
    let commands = tree.iter().filter_map(|(path, _)| path.below(&bin));
    let commands: Vec<_> = commands.collect();
    let request = services_of(format, inputs, &built.app);
    let request = services::Request { commands: Commands::Known(&commands), ..request };
    let mut services = services::stage(&request)?;
    tree.extend(services.tree)?;
    services.tree = tree;
    Ok(services)
}

/// What there is to say of services before there is an environment.
fn services_of<'a>(format: &dyn Format, inputs: &'a Inputs, app: &'a App) -> services::Request<'a> {
    services::Request {
        project: &inputs.project,
        name: &app.name,
        prefix: app.entrance(),
        summary: &app.summary,
        homepage: app.homepage.as_deref(),
        commands: Commands::Unknown,
        conventions: format.conventions(),
    }
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
pub fn validate(
    formats: &[Box<dyn Format>],
    previous: &[Previous],
    inputs: &Inputs,
    args: &BuildArgs,
) -> Result<()> {
    let project = &inputs.project;
    for format in formats {
        refuse_stranger(format.as_ref(), args)?;
        let relations = format.configured(inputs, args)?;
        if project.config.name.is_some() || project.stated.name.is_some() {
            let app = identify(project, &[], None)?;
            let Services { lifecycle, .. } =
                services::stage(&services_of(format.as_ref(), inputs, &app))?;
            let meta = PackageMeta { lifecycle, ..describe(inputs, app, relations) };
            format.check(&meta, inputs, args)?;
            if let Some(previous) = previous::of(previous, format.name()) {
                previous.check_name(&meta.name)?;
                if project.config.version.is_some() || project.stated.version.is_some() {
                    previous.check_version(&meta)?;
                }
            }
        }
    }
    Ok(())
}

/// Refuses a target, named on purpose, that installs packages of another format.
pub fn refuse_stranger(format: &dyn Format, args: &BuildArgs) -> Result<()> {
    let Some(target) = args.target.as_deref().filter(|target| !format.serves(target)) else {
        return Ok(());
    };
    let message = format!("`{target}` does not install {} packages", format.suffix());
    Err(UserError::usage(message)
        .hint("name a release that does with `--target`, or build the other format")
        .into())
}
