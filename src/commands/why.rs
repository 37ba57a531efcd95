//! `mkpkg why`: a package or project and a name go in, the reasons for that name come out.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;

use anyhow::{Context, Result};

use crate::backend::deb;
use crate::backend::deb::libraries::{Derived, Request};
use crate::backend::rpm;
use crate::cli::BuildArgs;
use crate::cli::why::WhyArgs;
use crate::commands::build::{build, inputs, target};
use crate::commands::format::{configured, packages, validate};
use crate::commands::{deb as flow, scratch, show};
use crate::elf;
use crate::error::UserError;
use crate::inert::inert_lines;
use crate::needs::{FileNeeds, Needs, resolve};
use crate::package::{Cause, InterpreterNeed, Package, Relation};
use crate::project::config::FormatName;
use crate::report::{Talk, print};
use crate::tree::{Entry, Tree};
use crate::wheel::installed::with_distributions;
use crate::why::{Case, answers, json, similar, text};

/// Answers for a package, or for the package a project would make.
pub fn run(args: &WhyArgs, talk: &Talk) -> Result<()> {
    let place = &args.build.project;
    let known = if place.is_dir() {
        of_project(&args.build, talk)?
    } else {
        let package =
            open(&args.build).with_context(|| format!("cannot read `{}`", place.display()))?;
        of_package(package, &args.build, talk)?
    };
    let case = Case { relations: &known.relations, loose: &known.loose, tree: &known.tree };
    let answers = answers(&case, &args.name);
    if answers.is_empty() {
        let name = args.name.escape_debug();
        let message = format!("`{}` neither has nor needs `{name}`", place.display());
        let error = UserError::negative(message);
        return Err(match similar(&case, &args.name) {
            Some(similar) => {
                error.hint(format!("did you mean `{}`?", inert_lines(&similar))).into()
            }
            None => error.into(),
        });
    }
    print(&if args.build.json {
        json(&answers, args.all)?
    } else {
        inert_lines(&text(&answers, args.all))
    })
}

/// What is known of a package, wherever it comes from.
struct Known {
    relations: Vec<Relation>,
    /// Uses of libraries that no package has.
    loose: Vec<Cause>,
    tree: Tree,
}

fn of_project(args: &BuildArgs, talk: &Talk) -> Result<Known> {
    let inputs = inputs(args, talk)?;
    // What two formats say would be told twice; the first of them is the one that is asked about.
    let formats: Vec<_> = configured(&inputs, args).into_iter().take(1).collect();
    validate(&formats, &[], &inputs, args)?;
    let (built, tree) = build(&inputs, args, talk)?;
    let packages = match formats.first() {
        Some(format) => packages(format.as_ref(), &inputs, (&built, tree), args, talk)?,
        None => Vec::new(),
    };
    let (mut relations, mut tree) = (Vec::new(), Tree::new());
    for (meta, own) in packages {
        tree.extend(own)?;
        relations.extend(meta.relations);
    }
    Ok(Known { relations, loose: Vec::new(), tree })
}

/// Reads a package of any format that is known.
fn open(args: &BuildArgs) -> Result<(Package, FormatName)> {
    let input = File::open(&args.project)
        .map_err(|error| UserError::input(format!("it cannot be opened: {error}")))?;
    let spool = scratch()?.spool()?;
    // What is no package at all is told what a `.deb` has.
    let format = show::recognise(&input).unwrap_or(FormatName::Deb);
    Ok((show::read(format, input, spool)?, format))
}

/// What a package declares, with the reasons its files give; those of a `.deb` are looked up in `--sysroot`.
fn of_package(
    (package, format): (Package, FormatName),
    args: &BuildArgs,
    talk: &Talk,
) -> Result<Known> {
    let (declared, machine) = match format {
        FormatName::Deb => (deb::declared(&package), deb::machine(&package)),
        FormatName::Rpm => (rpm::declared(&package), None),
    };
    let (tree, troubles) = with_distributions(package.tree);
    for trouble in troubles {
        talk.warn(format!("{trouble}: its files are those of no distribution"));
    }
    let report = elf::scan(&tree, args.jobs())?;
    let needs = resolve(&report, &tree, &[]);
    let interpreter = interpreter(&tree);
    match format {
        FormatName::Deb => {
            let packages = flow::packages(target(args)?, args, machine);
            let request = Request { packages, floor: args.floor(), machine, jobs: args.jobs() };
            let (derived, loose) = libraries(needs, &request, talk)?;
            let mut relations = deb::relations(interpreter.as_ref(), &tree);
            relations.extend(derived.relations);
            Ok(Known { relations: compare(declared, relations, deb::simplify), loose, tree })
        }
        FormatName::Rpm => {
            let mut relations = rpm::relations(interpreter.as_ref(), false);
            relations.extend(rpm::libraries(&needs)?.relations);
            let relations = compare(declared, relations, rpm::simplify);
            Ok(Known { relations, loose: Vec::new(), tree })
        }
    }
}

/// The interpreter of the system an environment is linked to.
fn interpreter(tree: &Tree) -> Option<InterpreterNeed> {
    let minor = tree.iter().find_map(|(path, entry)| match entry {
        Entry::Symlink { target } => {
            let minor = target.strip_prefix("/usr/bin/python")?;
            (path.file_name() == format!("python{minor}")).then(|| minor.to_owned())
        }
        Entry::Dir { .. } | Entry::File { .. } => None,
    })?;
    Some(InterpreterNeed { minor, split_modules: BTreeMap::new() })
}

/// What `needs` means in packages. Libraries that cannot be looked up here are told, and make loose ends.
fn libraries(needs: Needs, request: &Request<'_>, talk: &Talk) -> Result<(Derived, Vec<Cause>)> {
    if let Ok(derived) = deb::libraries(&needs, request) {
        return Ok((derived, Vec::new()));
    }
    let names = needs.files.iter().flat_map(|file| &file.libraries).map(|it| it.soname.clone());
    let names: BTreeSet<_> = names.collect();
    let mut absent = BTreeSet::new();
    for name in names {
        let alone = only(&needs, |soname| soname == name);
        if let Err(error) = deb::libraries(&alone, request) {
            talk.warn(format!("{error}: nothing is known of its package"));
            absent.insert(name);
        }
    }
    let derived = deb::libraries(&only(&needs, |soname| !absent.contains(soname)), request)?;
    let missing = only(&needs, |soname| absent.contains(soname));
    Ok((derived, missing.files.iter().flat_map(loose).collect()))
}

/// `needs` without the libraries that are not meant.
fn only(needs: &Needs, is_meant: impl Fn(&str) -> bool) -> Needs {
    let file = |file: &FileNeeds| {
        let mut file = file.clone();
        file.libraries.retain(|library| is_meant(&library.soname));
        file
    };
    let files = needs.files.iter().map(file).filter(|file| !file.libraries.is_empty());
    Needs { files: files.collect(), ..Needs::default() }
}

/// The uses of libraries by a file, as far as the file tells.
fn loose(file: &FileNeeds) -> Vec<Cause> {
    let cause = |soname: &str, version: Option<&str>| Cause {
        file: file.path.clone(),
        origin: file.origin.clone(),
        soname: soname.to_owned(),
        version: version.map(str::to_owned),
        symbol: None,
        asks: String::new(),
        is_decided_by_symbol: false,
    };
    let mut causes = Vec::new();
    for library in &file.libraries {
        let versions = library.versions.iter().map(|(version, _)| version.as_str());
        causes.extend(versions.map(|version| cause(&library.soname, Some(version))));
        causes.extend(library.versions.is_empty().then(|| cause(&library.soname, None)));
    }
    causes
}

/// Relations that are declared or derived, each once, with a sentence where the two differ.
fn compare(
    declared: Vec<Relation>,
    derived: Vec<Relation>,
    simplify: fn(Vec<Relation>) -> Vec<Relation>,
) -> Vec<Relation> {
    let texts = |list: &[Relation]| -> BTreeSet<String> {
        list.iter().map(|relation| relation.text.clone()).collect()
    };
    let (declared_texts, derived_texts) = (texts(&declared), texts(&derived));
    let fields = declared.iter().flat_map(|relation| relation.because.clone());
    let fields: BTreeSet<_> = fields.collect();
    let mut relations = simplify(declared.into_iter().chain(derived).collect());
    for relation in &mut relations {
        let is_declared = declared_texts.contains(&relation.text);
        let is_derived = derived_texts.contains(&relation.text);
        let is_listed = relation.because.iter().any(|reason| fields.contains(reason));
        let has_others = relation.reasons().iter().any(|reason| !fields.contains(reason));
        let note = match (is_declared, is_derived) {
            (true, true) => {
                relation.because.retain(|reason| !fields.contains(reason));
                continue;
            }
            (true, false) if has_others => "its files alone ask for less here",
            (true, false) => {
                "no file asks for it here: the configuration of the build did, or it is for another `--target`"
            }
            (false, _) if is_listed => "its files ask for more here than the package declares",
            (false, _) => "its files ask for it here, and the package does not declare it",
        };
        relation.because.push(note.to_owned());
    }
    relations
}
