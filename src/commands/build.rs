//! What every build shares: from a project to the description and the tree of a package.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::app::{App, identify};
use crate::backend::deb;
use crate::cache::{self, Cache};
use crate::cli::BuildArgs;
use crate::codec::Compression;
use crate::commands::locked::demand_lock;
use crate::commands::scratch;
use crate::elf::{self, ElfFile, ElfReport};
use crate::error::UserError;
use crate::facts::{self, Facts};
use crate::host::interpreter::{self, Interpreter};
use crate::host::release::{self, Release};
use crate::lock::{self, Lock, Roots};
use crate::needs::Rules;
use crate::package::{Bundled, InterpreterNeed, Machine};
use crate::project::config::{Config, Dependencies};
use crate::project::sources::{SourceFile, list};
use crate::project::{self, Project, epoch};
use crate::report::Talk;
use crate::sbom::origin::{Origin, origins};
use crate::scratch::Scratch;
use crate::tree::Tree;
use crate::tree::content::Content;
use crate::venv::leaks::BuildPaths;
use crate::venv::smoke::Trial;
use crate::venv::{self, Staged, credentials, leaks, loadable, requirements, search_paths, smoke};
use crate::wheel::Wheel;
use crate::wheel::tags::{Tag, supported};
use crate::wheelhouse::{self, Means};

/// The release a package is for.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// It, where it is a known one.
    pub release: Option<Release>,
    /// Whether that is the host's.
    pub is_host: bool,
}

/// What is known before anything is collected.
#[derive(Debug)]
pub struct Inputs {
    /// The project.
    pub project: Project,
    /// Its source files.
    pub sources: Vec<SourceFile>,
    /// The release the package is for.
    pub target: Target,
    /// The interpreter the package is for.
    pub interpreter: Interpreter,
    /// Whether that runs on another machine than this one.
    pub is_foreign: bool,
    /// Tags of wheels that fit, best first.
    pub tags: Vec<Tag>,
    /// What the project pins.
    pub lock: Option<Lock>,
    /// Time stamp of everything: seconds since 1970.
    pub epoch: u64,
    /// Compression asked for; `None` for what suits the release.
    pub compression: Option<Compression>,
    /// What earlier builds kept.
    pub cache: Cache,
}

/// What is to be said of a tree that passed every gate.
#[derive(Debug)]
pub struct Built {
    /// The application.
    pub app: App,
    /// The machine its code is for.
    pub machine: Option<Machine>,
    /// The interpreter it needs.
    pub interpreter: InterpreterNeed,
    /// What its compiled files say of themselves.
    pub elf: ElfReport,
    /// What is known of the files of wheels.
    pub facts: Facts,
    /// The distributions inside.
    pub bundled: Vec<Bundled>,
    /// Where they came from, by normalised name.
    pub origins: BTreeMap<String, Origin>,
}

/// Reads everything a build depends on.
pub fn inputs(args: &BuildArgs, talk: &Talk) -> Result<Inputs> {
    let compression = args.compression()?;
    let settings = args.settings(&|name| std::env::var(name).ok());
    let project = project::load(&args.project, args.config.as_deref(), &settings)?;
    venv::check_config(&project.config)?;
    let sources = list(&project.dir, &products(args))?;
    let variable = std::env::var("SOURCE_DATE_EPOCH").ok();
    let epoch = epoch::of_project(&project.dir, &sources, variable.as_deref())?;
    let target = target(args)?;
    let release = target.release;
    let minor = release.and_then(|release| release.python());
    let cache = if args.no_cache { Cache::none() } else { Cache::of_user() };
    let interpreter = interpreter::find(project.config.python.as_deref(), minor, &cache)?;
    ships(target, &interpreter, talk)?;
    let foreign = foreign(args, &interpreter)?;
    let is_foreign = foreign.is_some();
    let interpreter = match foreign {
        Some(machine) => interpreter.on(machine),
        None => interpreter,
    };
    let tags = target_tags(release, &interpreter)?;
    let roots = Roots { name: project.stated.name.clone(), extras: project.config.extras.clone() };
    let lock =
        lock::load(&project.dir, &project.config.requirements, &roots, &interpreter.environment)?;
    demand_lock(args, lock.as_ref(), talk)?;
    Ok(Inputs {
        project,
        sources,
        target,
        interpreter,
        is_foreign,
        tags,
        lock,
        epoch,
        compression,
        cache,
    })
}

/// The machine that is asked for, when it is not this one. Nothing for it can be fetched, built or run here.
fn foreign(args: &BuildArgs, interpreter: &Interpreter) -> Result<Option<Machine>> {
    let Some(name) = &args.arch else { return Ok(None) };
    let Some(machine) = Machine::from_uname(name).or_else(|| deb::machine_called(name)) else {
        let known: Vec<_> = Machine::ALL.into_iter().map(Machine::uname).collect();
        return Err(UserError::usage(format!("the machine `{name}` is not known"))
            .hint(format!("use one of {}, or its name in a package format", known.join(", ")))
            .into());
    };
    if Machine::from_uname(&interpreter.environment.platform_machine) == Some(machine) {
        return Ok(None);
    }
    if args.wheelhouse.is_none() {
        let uname = machine.uname();
        let message =
            format!("wheels for `{name}` can be neither fetched nor built on this machine");
        return Err(UserError::usage(message)
            .hint(format!(
                "give them with `--wheelhouse`, for example from `pip download --only-binary=:all: --platform manylinux2014_{uname}`"
            ))
            .into());
    }
    if args.smoke {
        let message = format!("`--smoke` cannot run code for `{name}` on this machine");
        return Err(UserError::usage(message)
            .hint("leave it out, or build on such a machine")
            .into());
    }
    Ok(Some(machine))
}

/// Directories that packages and wheels go to or come from; they are no part of a project they lie in.
fn products(args: &BuildArgs) -> Vec<PathBuf> {
    let dirs = std::iter::once(&args.output).chain(&args.wheelhouse);
    dirs.filter_map(|dir| dir.canonicalize().ok()).collect()
}

/// What the package is for: the release named, or the host's.
pub fn target(args: &BuildArgs) -> Result<Target> {
    let os_release = std::fs::read_to_string("/etc/os-release").ok();
    let host = os_release.and_then(|text| release::of_host(&text));
    let named = args.target.as_deref().map(release::find).transpose()?;
    let release = named.or(host);
    Ok(Target { release, is_host: release == host })
}

/// The package will need `/usr/bin/python3.X`; a release without it could not install the package.
fn ships(target: Target, interpreter: &Interpreter, talk: &Talk) -> Result<()> {
    let minor = &interpreter.minor;
    let of_release = target.release.and_then(|release| Some((release.name, release.python()?)));
    let Some((name, first)) = of_release else {
        return Ok(());
    };
    if target.release.is_some_and(|release| release.pythons.contains(&minor.as_str())) {
        return Ok(());
    }
    let message = format!("{name} has Python {first}, not {minor}");
    if !Path::new("/usr/bin").join(format!("python{minor}")).is_file() {
        return Err(UserError::unresolved(message)
            .hint(format!("use `--python {first}`, or another `--target`"))
            .into());
    }
    // A host shows that it can be had for it; other releases are taken at the user's word.
    if !target.is_host {
        talk.warn(format!(
            "{message}: the package installs where `/usr/bin/python{minor}` comes from elsewhere"
        ));
    }
    Ok(())
}

fn target_tags(release: Option<Release>, interpreter: &Interpreter) -> Result<Vec<Tag>> {
    let minor = interpreter.minor.strip_prefix("3.").and_then(|minor| minor.parse().ok());
    let glibc = release.map(|release| release.glibc).or(interpreter.glibc);
    match (minor, glibc) {
        (Some(minor), Some(glibc)) => {
            Ok(supported(minor, &interpreter.environment.platform_machine, glibc))
        }
        (None, _) | (_, None) => {
            let python = interpreter.executable.display();
            Err(UserError::unresolved(format!(
                "`{python}` does not run on glibc; its wheels are not known"
            ))
            .hint("build on a host with glibc, or name its interpreter with `--python`")
            .into())
        }
    }
}

/// Collects, installs and checks; the tree is everything to install.
pub fn build(inputs: &Inputs, args: &BuildArgs, talk: &Talk) -> Result<(Built, Tree)> {
    let scratch = scratch()?;
    let Collected { wheels, facts, own, origins } = wheels(inputs, args, &scratch, talk)?;
    let app = identify(&inputs.project, &wheels, own.as_deref())?;
    let environment = &inputs.interpreter.environment;
    let lock = inputs.lock.as_ref();
    let missing = requirements::check(&wheels, &app, &inputs.project, lock, environment)?;
    let leaky = credentials::check(&wheels, app.distribution.as_deref())?;
    let spool = scratch.spool()?;
    let staged = talk.stage("installed and compiled", || {
        let request = venv::Request {
            app: &app,
            project: &inputs.project,
            sources: &inputs.sources,
            wheels: &wheels,
            interpreter: &inputs.interpreter,
            jobs: args.jobs(),
            cache: &inputs.cache,
        };
        venv::stage(&request, spool)
    })?;
    for warning in app.warnings.iter().chain(&missing).chain(&leaky).chain(&staged.warnings) {
        talk.warn(warning);
    }
    for note in &staged.notes {
        talk.note(note);
    }
    let (machine, elf) = gates(inputs, args, &scratch, (&app, &staged, &facts), talk)?;
    let machine = machine.or(bound(&wheels, inputs, talk));
    let Staged { tree, interpreter, bundled, .. } = staged;
    Ok((Built { app, machine, interpreter, elf, facts, bundled, origins }, tree))
}

/// The wheels of an application, and what is known of them.
struct Collected {
    wheels: Vec<Wheel>,
    facts: Facts,
    /// Normalised name of the project's own distribution.
    own: Option<String>,
    origins: BTreeMap<String, Origin>,
}

fn wheels(inputs: &Inputs, args: &BuildArgs, scratch: &Scratch, talk: &Talk) -> Result<Collected> {
    let listen = |line: &str| talk.note(line);
    let request = wheelhouse::Request {
        project: &inputs.project,
        sources: &inputs.sources,
        lock: inputs.lock.as_ref(),
        interpreter: &inputs.interpreter,
        tags: &inputs.tags,
        epoch: inputs.epoch,
    };
    let means = Means {
        wheelhouse: args.wheelhouse.as_deref(),
        choice: args.installer(),
        is_offline: args.offline,
        cache: &inputs.cache,
        scratch,
        listen: &listen,
    };
    let wheelhouse = talk.stage("collected wheels", || wheelhouse::collect(&request, &means))?;
    if !wheelhouse.built.is_empty() {
        talk.say(&format!("built from sources: {}", wheelhouse.built.join(", ")));
    }
    let (wheels, facts) = talk
        .stage("verified wheels", || facts::open(&wheelhouse.wheels, args.jobs(), &inputs.cache))?;
    let are_given = args.wheelhouse.is_some();
    let how = (args.jobs(), &inputs.cache);
    let origins = origins(&wheelhouse.wheels, inputs.lock.as_ref(), are_given, how)?;
    Ok(Collected { wheels, facts, own: wheelhouse.own, origins })
}

/// The machine of a package without compiled files, when a wheel says of itself that it is for one.
///
/// What such a wheel holds was chosen for it, by its build or by its author: elsewhere there is another wheel.
fn bound(wheels: &[Wheel], inputs: &Inputs, talk: &Talk) -> Option<Machine> {
    let wheel = wheels.iter().find(|wheel| !wheel.name.is_universal())?;
    let uname = &inputs.interpreter.environment.platform_machine;
    talk.note(&format!("the package is for {uname} alone, as `{}` is", wheel.file_name()));
    Machine::from_uname(uname)
}

fn gates(
    inputs: &Inputs,
    args: &BuildArgs,
    scratch: &Scratch,
    (app, staged, facts): (&App, &Staged, &Facts),
    talk: &Talk,
) -> Result<(Option<Machine>, ElfReport)> {
    let (machine, report, warnings) =
        talk.stage("checked", || checked(inputs, args, scratch, (app, staged, facts)))?;
    for warning in &warnings {
        talk.warn(warning);
    }
    let checks = inputs.project.config.check.iter().filter(|check| check.on_build);
    let checks: Vec<_> = checks.map(|check| check.run.clone()).collect();
    if inputs.is_foreign && !checks.is_empty() {
        talk.warn("`check` is skipped: code for another machine cannot run here");
    } else if args.smoke || !checks.is_empty() {
        let trial = Trial {
            prefix: &app.prefix,
            modules: &staged.own.modules,
            targets: &staged.own.targets,
            checks: &checks,
        };
        let dir = scratch.dir("trial")?;
        let program = std::env::current_exe().ok();
        talk.stage("tried", || smoke::check(&staged.tree, &trial, &dir, program.as_deref()))?;
    }
    Ok((machine, report))
}

/// What the user decides about libraries for every format.
pub fn rules(config: &Config) -> Rules<'_> {
    let Dependencies { ignore, weak, rename, .. } = &config.dependencies;
    Rules { table: "dependencies", ignore, weak, rename }
}

/// The gates that read files, and what is read of them; with warnings.
fn checked(
    inputs: &Inputs,
    args: &BuildArgs,
    scratch: &Scratch,
    (app, staged, facts): (&App, &Staged, &Facts),
) -> Result<(Option<Machine>, ElfReport, Vec<String>)> {
    let ignore = inputs.project.config.dependencies.ignore.iter();
    // What begins with `/` is a file of the package, anything else a library.
    let files: Vec<_> = ignore.filter(|rule| rule.starts_with('/')).cloned().collect();
    let target = Machine::from_uname(&inputs.interpreter.environment.platform_machine);
    let known = |content: &Content| facts.elf(content);
    let report = elf::scan_unknown(&staged.tree, args.jobs(), &known)?;
    let has_code = !report.files.is_empty();
    let (report, mut warnings) = loadable::without(report, &files);
    // Files that are not looked at are still for one machine.
    let machine = loadable::check(&report, &staged.tree, target)?.or(target.filter(|_| has_code));
    warnings.extend(loadable::empty(&staged.tree));
    let is_here = |dir: &Path| dir.is_dir();
    warnings.extend(search_paths::check(&report, &staged.tree, &app.prefix, &is_here)?);
    let (fresh, unique) = (vec![scratch.path().to_owned()], cache::dir().into_iter().collect());
    let typed = std::path::absolute(&args.project).unwrap_or_else(|_| args.project.clone());
    let common = vec![inputs.project.dir.clone(), typed];
    let paths = BuildPaths { fresh, unique, common };
    leaks::check(&staged.tree, &paths, &app.prefix, (args.jobs(), &inputs.cache))?;
    warnings.extend(report.files.iter().flat_map(trouble));
    Ok((machine, report, warnings))
}

/// What could not be read of a file that is loaded nevertheless.
fn trouble(file: &ElfFile) -> Vec<String> {
    let troubles = file.facts.iter().flat_map(|facts| &facts.troubles);
    troubles.map(|trouble| format!("`{}` is not read whole: {trouble}", file.path)).collect()
}
