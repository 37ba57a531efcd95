//! Builds the tree of a package: the environment with every wheel installed at its final path, byte code, links.
//!
//! Values in, a new value out; nothing is written but byte code to the spool.

pub mod bare;
pub mod credentials;
pub mod files;
pub mod leaks;
pub mod links;
pub mod loadable;
pub mod requirements;
pub mod search_paths;
pub mod smoke;
pub mod split;
pub mod targets;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;

use anyhow::{Context, Result};
use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use crate::app::{App, homepage, licence};
use crate::cache::Cache;
use crate::error::UserError;
use crate::host::bytecode::{Compiled, Compiler, Pyc};
use crate::host::interpreter::Interpreter;
use crate::host::worker::Workers;
use crate::package::{Bundled, InterpreterNeed};
use crate::parallel;
use crate::project::config::Config;
use crate::project::sources::SourceFile;
use crate::project::{Project, ProjectKind};
use crate::tree::content::Content;
use crate::tree::pile::Pile;
use crate::tree::{Entry, PkgPath, Tree};
use crate::wheel::Wheel;
use crate::wheel::install::{Installed, Layout, Note, install};
use crate::wheel::record::{Digest, Record};

/// Origin of files that no distribution brought.
pub const OWN: &str = "mkpkg";

/// What an environment is built of.
#[derive(Debug)]
pub struct Request<'a> {
    /// What the application is.
    pub app: &'a App,
    /// Its project.
    pub project: &'a Project,
    /// Source files of the project.
    pub sources: &'a [SourceFile],
    /// Verified wheels, one of each distribution.
    pub wheels: &'a [Wheel],
    /// The interpreter it is for.
    pub interpreter: &'a Interpreter,
    /// How much to do at once.
    pub jobs: usize,
    /// What earlier builds compiled.
    pub cache: &'a Cache,
}

/// The tree of a package, and what was learnt while it was built.
#[derive(Debug)]
pub struct Staged {
    /// Everything to install.
    pub tree: Tree,
    /// What is inside, the application first.
    pub bundled: Vec<Bundled>,
    /// The interpreter it needs.
    pub interpreter: InterpreterNeed,
    /// What is the application's own.
    pub own: Own,
    /// What the user should know.
    pub warnings: Vec<String>,
    /// What explains the tree.
    pub notes: Vec<String>,
}

/// What the application's own distribution brings.
#[derive(Debug, Default)]
pub struct Own {
    /// Its files.
    pub files: BTreeSet<PkgPath>,
    /// Names of its commands.
    pub commands: Vec<String>,
    /// Its top-level modules.
    pub modules: Vec<String>,
    /// `module:attribute` of its entry points.
    pub targets: Vec<String>,
}

/// Refuses what the configuration asks of every environment, before there is one.
pub fn check_config(config: &Config) -> Result<()> {
    globs(&config.exclude)?;
    for (key, rules) in [("deb.ignore", &config.deb.ignore), ("rpm.ignore", &config.rpm.ignore)] {
        if let Some(file) = rules.iter().find(|rule| rule.starts_with('/')) {
            let message = format!("`{key}` lists the file `{}`", file.escape_debug());
            return Err(UserError::usage(message)
                .hint("list files in `dependencies.ignore`; both formats get the same ones")
                .into());
        }
    }
    config.bin.iter().flatten().try_for_each(|name| links::check_name(name))
}

/// Builds the tree; byte code goes to `spool`.
pub fn stage(request: &Request<'_>, spool: File) -> Result<Staged> {
    let byte_compile = request.project.config.byte_compile;
    let workers = byte_compile.then(|| Workers::ahead(request.interpreter));
    let layout =
        Layout { prefix: request.app.prefix.clone(), minor: request.interpreter.minor.clone() };
    let Installs { mut tree, records, mut own, mut notes } = install_all(request, &layout)?;
    let infos: Vec<_> = records.iter().map(|record| record.path.clone()).collect();
    let mut secrets = Vec::new();
    if request.project.kind == ProjectKind::Bare {
        let code = bare::code(request.project, request.sources, request.app, &layout)?;
        let names = code.iter().map(|(path, _)| path);
        secrets = bare::secrets(&code);
        own.modules.extend(top_level(names, &layout.prefix.join(bare::DIR)?));
        tree.extend(code)?;
    }
    exclude(&mut tree, &request.project.config.exclude, &layout.prefix)?;
    if tree.is_empty() {
        let message = "there is neither a distribution nor code to package";
        return Err(UserError::usage(message)
            .hint("see what `requirements` and `exclude` say")
            .into());
    }
    targets::check(&tree, request.wheels, request.interpreter, &layout)?;
    tree.extend(files::environment(&layout, request.interpreter)?)?;
    tree.extend(files::configured(&request.project.config.files, request.project, request.app)?)?;
    tree.extend(links::links(
        &tree,
        request.project.config.bin.as_deref(),
        &own.commands,
        &layout,
    )?)?;
    let dropped = drop_byte_code(&mut tree, &layout.prefix);
    let compiled = match workers {
        Some(workers) => compile_tree(&tree, (request, workers), &layout, spool)?,
        None => Compiled::default(),
    };
    notes.extend(dropped);
    let warnings = compiled.warnings.iter().cloned().chain(secrets).collect();
    let split_modules = split::needed(&compiled.imports, &own.files, &tree);
    let tree = complete(tree, records, compiled, request.jobs)?;
    let bundled = bundled(request, &tree, &infos);
    let interpreter = InterpreterNeed { minor: layout.minor, split_modules };
    Ok(Staged { tree, bundled, interpreter, own, warnings, notes })
}

/// All wheels, installed.
struct Installs {
    tree: Tree,
    /// Of each wheel, in their order.
    records: Vec<Record>,
    own: Own,
    notes: Vec<String>,
}

/// Installs some wheels at a time, so that only these have trees beside that of all.
fn install_all(request: &Request<'_>, layout: &Layout) -> Result<Installs> {
    let (mut pile, mut records) = (Pile::default(), Vec::new());
    let (mut own, mut notes) = (Own::default(), Vec::new());
    let is_own = |wheel: &Wheel| Some(&wheel.name.name) == request.app.distribution.as_ref();
    for wheels in request.wheels.chunks(8 * request.jobs.max(1)) {
        let installed = parallel::map(wheels, request.jobs, |wheel| {
            let mtime = if is_own(wheel) { None } else { Some(wheel.made()?) };
            install(wheel, layout, mtime)
        })?;
        for (wheel, installed) in wheels.iter().zip(installed) {
            if is_own(wheel) {
                own = own_of(wheel, &installed, layout)?;
            }
            notes.extend(installed.notes.iter().map(note));
            pile.add(installed.tree)?;
            records.push(installed.record);
        }
    }
    Ok(Installs { tree: pile.into_tree()?, records, own, notes })
}

fn own_of(wheel: &Wheel, installed: &Installed, layout: &Layout) -> Result<Own> {
    let targets = wheel.entry_points.iter().map(|point| format!("{}:{}", point.module, point.attr));
    Ok(Own {
        files: installed.record.files.keys().cloned().collect(),
        commands: links::commands(installed, layout)?,
        modules: top_level(installed.record.files.keys(), &layout.site_packages()?),
        targets: targets.collect(),
    })
}

fn note(note: &Note) -> String {
    match note {
        Note::RunsAtStart(path) => format!("`{path}` runs code whenever the interpreter starts"),
        Note::Data(path) => format!("`{path}` is a data file of a wheel"),
    }
}

/// Modules and packages that `paths` put at the top of the import path `site`.
fn top_level<'a>(paths: impl Iterator<Item = &'a PkgPath>, site: &PkgPath) -> Vec<String> {
    let names = paths.filter_map(|path| {
        let below = path.below(site)?;
        let name = match below.split_once('/') {
            Some((dir, rest)) if rest.ends_with(".py") || rest.ends_with(".so") => dir,
            Some(_) => return None,
            None => below
                .strip_suffix(".py")
                .or_else(|| below.strip_suffix(".so")?.split('.').next())?,
        };
        let is_identifier = name.chars().all(|at| at.is_alphanumeric() || at == '_');
        is_identifier.then(|| name.to_owned())
    });
    names.collect::<BTreeSet<_>>().into_iter().collect()
}

fn exclude(tree: &mut Tree, patterns: &[String], prefix: &PkgPath) -> Result<()> {
    if patterns.is_empty() {
        return Ok(());
    }
    let globs = globs(patterns)?;
    tree.retain(|path| path.below(prefix).is_none_or(|below| !globs.is_match(below)));
    Ok(())
}

fn globs(patterns: &[String]) -> Result<GlobSet> {
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        let glob = GlobBuilder::new(pattern).literal_separator(true).build().map_err(|error| {
            UserError::usage(format!("`{pattern}` in `exclude` is not a pattern: {}", error.kind()))
        })?;
        set.add(glob);
    }
    set.build().context("cannot combine the patterns of `exclude`")
}

/// Whether `path` is one where interpreters look for byte code.
fn is_byte_code(path: &PkgPath) -> bool {
    // Whether it is there at all is told faster than where.
    path.as_str().contains(".pyc")
        && path.as_str().split_once("/__pycache__/").is_some_and(|(_, name)| name.contains(".pyc"))
}

/// Takes byte code out that wheels and the project brought, and says so: what has a source is compiled anew, nobody imports
/// what has none, and scriptlets clear all that mkpkg does not make.
fn drop_byte_code(tree: &mut Tree, prefix: &PkgPath) -> Option<String> {
    let is_dropped = |path: &PkgPath| is_byte_code(path) && path.below(prefix).is_some();
    let first = tree.iter().map(|(path, _)| path).find(|path| is_dropped(path))?.clone();
    tree.retain(|path| !is_dropped(path));
    Some(format!("byte code that was brought is left out, `{first}` among it"))
}

fn compile_tree(
    tree: &Tree,
    (request, workers): (&Request<'_>, Workers<'_>),
    layout: &Layout,
    spool: File,
) -> Result<Compiled> {
    let dirs = [layout.site_packages()?, layout.prefix.join(bare::DIR)?];
    let is_source = |path: &PkgPath| {
        path.as_str().ends_with(".py") && dirs.iter().any(|dir| path.below(dir).is_some())
    };
    let mut distributions: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (path, entry) in tree.iter().filter(|(path, _)| is_source(path)) {
        if let Entry::File { content, origin, mtime, .. } = entry {
            let is_settled = mtime.is_some();
            distributions.entry((origin, is_settled)).or_default().push((path, content));
        }
    }
    let groups = distributions.iter().flat_map(|((_, is_settled), sources)| {
        sources.split_inclusive(move |(path, _)| {
            !is_settled && path.fingerprint().is_multiple_of(GROUP)
        })
    });
    let groups: Vec<_> = groups.collect();
    let Request { interpreter, jobs, cache, .. } = *request;
    let compiled =
        Compiler { interpreter, workers: &workers, jobs, cache }.compile(&groups, spool)?;
    workers.end()?;
    Ok(compiled)
}

/// Distributions are compiled and kept whole, but for what is made anew with every package: of that, some so many files
/// at a time, so that a change costs them and not the application.
const GROUP: u64 = 4;

/// The tree with its byte code, and with RECORD files that list every file that is there.
fn complete(tree: Tree, records: Vec<Record>, compiled: Compiled, jobs: usize) -> Result<Tree> {
    let own = std::sync::Arc::from(OWN);
    let pycs = &compiled.pycs;
    let of = |source: &PkgPath| {
        pycs.binary_search_by(|pyc| pyc.source.cmp(source)).ok().map(|place| &pycs[place])
    };
    let files = parallel::filter_map(&records, jobs, |record| {
        let line =
            |pyc: &Pyc| (pyc.path.clone(), Digest { sha256: pyc.sha256, len: pyc.content.len() });
        let there = record.files.iter().filter(|(path, _)| tree.get(path).is_some());
        let there: Vec<_> = there.map(|(path, digest)| (path.clone(), *digest)).collect();
        let Some((first, _)) = there.first() else { return Ok(None) };
        let time = tree.mtime(first);
        let lines: Vec<_> = there.iter().filter_map(|(path, _)| of(path)).map(line).collect();
        let files = there.into_iter().chain(lines).collect();
        let record = Record { path: record.path.clone(), root: record.root.clone(), files };
        let text = Content::bytes(record.to_text());
        Ok(Some((record.path, Entry::file(text, 0o644, &own).made_at(time))))
    })?;
    let mut pile = Pile::default();
    files.into_iter().try_for_each(|(path, file)| pile.push(path, file))?;
    for pyc in compiled.pycs {
        let time = tree.mtime(&pyc.source);
        pile.push(pyc.path, Entry::file(pyc.content, 0o644, &own).made_at(time))?;
    }
    pile.add(tree)?;
    pile.into_tree()
}

/// The distributions of `request`, whose RECORD files are `infos`: the application first, then by name.
fn bundled(request: &Request<'_>, tree: &Tree, infos: &[PkgPath]) -> Vec<Bundled> {
    let is_other = |wheel: &Wheel| Some(&wheel.name.name) != request.app.distribution.as_ref();
    let pairs = request.wheels.iter().zip(infos);
    let mut bundled: Vec<_> =
        pairs.map(|(wheel, record)| (is_other(wheel), describe(wheel, tree, record))).collect();
    bundled.sort_by_cached_key(|(is_other, one)| (*is_other, one.name.to_lowercase()));
    bundled.into_iter().map(|(_, one)| one).collect()
}

fn describe(wheel: &Wheel, tree: &Tree, record: &PkgPath) -> Bundled {
    let metadata = &wheel.metadata;
    let info = record.parent();
    let named =
        metadata.license_files.iter().flat_map(|file| [format!("licenses/{file}"), file.clone()]);
    let usual = ["LICENSE", "LICENSE.txt", "LICENSE.md", "LICENSE.rst", "COPYING", "NOTICE"]
        .map(str::to_owned);
    let files = named.chain(usual).filter_map(|file| info.as_ref()?.join(&file).ok());
    let files: BTreeSet<_> = files.filter(|file| tree.get(file).is_some()).collect();
    let author = metadata.author.clone().or_else(|| metadata.author_email.clone());
    Bundled {
        name: metadata.name.clone(),
        version: metadata.version.clone(),
        licence: licence(metadata),
        author: author.or_else(|| metadata.maintainer.clone()).unwrap_or_default(),
        homepage: homepage(metadata).unwrap_or_default(),
        licence_files: files.into_iter().collect(),
    }
}
