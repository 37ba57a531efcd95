//! `mkpkg stage`: what a package would have, in a directory, for debhelper or rpmbuild to pack.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, Result};

use crate::cli::BuildArgs;
use crate::cli::stage::{StageArgs, StageFormat};
use crate::commands::build::{build, inputs};
use crate::commands::deb::Deb;
use crate::commands::format::{Format, packages, refuse_stranger, validate};
use crate::commands::parts::{listed, with_parts};
use crate::commands::rpm::Rpm;
use crate::error::UserError;
use crate::layout;
use crate::project::Project;
use crate::project::config::Config;
use crate::report::Talk;
use crate::summary;
use crate::tree::{Entry, PkgPath, Tree};

/// Builds as for a package, and writes its tree, its relations, its list of files and its scripts.
pub fn run(args: &StageArgs, talk: &Talk) -> Result<()> {
    let format: Box<dyn Format> = match (args.format, &args.files) {
        (StageFormat::Deb, None) => Box::new(Deb),
        (StageFormat::Deb, Some(_)) => {
            let message = "a .deb has all there is in its directory, and no list of files";
            let hint = "leave `--files` out, or add `--format rpm`";
            return Err(UserError::usage(message).hint(hint).into());
        }
        (StageFormat::Rpm, _) => Box::new(Rpm { signer: None }),
    };
    refuse_idle(&args.build)?;
    refuse_stranger(format.as_ref(), &args.build)?;
    let inputs = inputs(&args.build, talk)?;
    if let Some(dir) = &args.foreign {
        refuse_foreign(&inputs.project, dir)?;
    }
    let formats = [format];
    validate(&formats, &[], &inputs, &args.build)?;
    let [format] = formats;
    let (built, tree) = build(&inputs, &args.build, talk)?;
    let inventory = listed((&built, &tree), &args.build, talk)?;
    let mut all = packages(format.as_ref(), &inputs, (&built, tree), &args.build, talk)?;
    let (Some((meta, tree)), None) = (all.pop(), all.pop()) else {
        let message = "an application beside its releases is two packages, which cannot be staged";
        return Err(UserError::usage(message)
            .hint("use `layout = \"plain\"`, or build the packages with `mkpkg build`")
            .into());
    };
    let (inside, target) = ((&built, &inventory), args.build.target.as_deref());
    let tree = with_parts(format.as_ref(), &inputs, inside, (&meta, tree), target)?;
    let dir = &args.build.output;
    refuse_second_owner(&meta.prefix, &tree, dir)?;
    let own = tree.clone();
    let (tree, scripts) = format.parts(&meta, tree)?;
    // What the other program has for these files is of the package's own recipe.
    let keeps = |path: &_| own.get(path).is_none();
    talk.stage("staged", || layout::write(&tree, dir, inputs.epoch, &keeps))?;
    if let Some(file) = &args.relations {
        let before = if file.exists() { read(file)? } else { String::new() };
        write(file, &format.relate((&meta, &tree), &before)?, 0o644)?;
    }
    if let Some(file) = &args.files {
        write(file, &format.file_list(&meta, &tree)?, 0o644)?;
    }
    if let Some(dir) = &args.scripts {
        fs::create_dir_all(dir).with_context(|| format!("cannot make `{}`", dir.display()))?;
        scripts.iter().try_for_each(|(name, text)| write(&dir.join(name), text, 0o755))?;
    }
    if args.build.timings {
        summary::say_timings(talk);
    }
    Ok(())
}

/// Refuses flags of builds that change nothing here.
fn refuse_idle(args: &BuildArgs) -> Result<()> {
    let idle = [
        ("--previous", !args.previous.is_empty()),
        ("--dry-run", args.dry_run),
        ("--json", args.json),
    ];
    match idle.iter().find(|(_, is_given)| *is_given) {
        Some((flag, _)) => {
            Err(UserError::usage(format!("`{flag}` means nothing to `mkpkg stage`"))
                .hint("leave it out; no package is written here")
                .into())
        }
        None => Ok(()),
    }
}

/// Refuses what the configuration names in a directory whose files the other program installs and runs: a script would
/// run twice, and both would enable, start and stop a unit.
fn refuse_foreign(project: &Project, foreign: &Path) -> Result<()> {
    let Ok(dir) = foreign.canonicalize() else { return Ok(()) };
    let is_foreign =
        |file: &Path| project.dir.join(file).canonicalize().is_ok_and(|at| at.starts_with(&dir));
    let Config { files, services, scripts, .. } = &project.config;
    let units = services.iter().filter_map(|(key, service)| {
        service.unit.as_deref().map(|unit| (format!("services.{key}.unit"), unit))
    });
    let files = files.iter().map(|rule| ("files.source".to_owned(), rule.source.as_path()));
    let named = scripts.files().map(|(_, key, file)| (format!("scripts.{key}"), file));
    match named.chain(units).chain(files).find(|(_, file)| is_foreign(file)) {
        Some((key, file)) => {
            let (file, dir) = (file.display(), foreign.display());
            let message = format!("`{key}` names `{file}`, but `{dir}` is for the other program");
            Err(UserError::usage(message)
                .hint(format!("leave it to one of both: remove the key, or move the file out of `{dir}` and see that nothing else there does the same"))
                .into())
        }
        None => Ok(()),
    }
}

/// Refuses what lies in `dir` already: both programs would handle the same unit or configuration file, and of two contents
/// one would be lost. Links may be the same. What a run before this one left is its own, which its `pyvenv.cfg` tells.
fn refuse_second_owner(prefix: &PkgPath, tree: &Tree, dir: &Path) -> Result<()> {
    let mark = prefix.join("pyvenv.cfg")?;
    if let Some(Entry::File { content, .. }) = tree.get(&mark)
        && fs::read(dir.join(mark.as_str()))
            .is_ok_and(|there| content.read().is_ok_and(|own| own == there))
    {
        return Ok(());
    }
    for (path, entry) in tree.iter() {
        // Where directories are merged, `/lib` is another name of `/usr/lib`.
        let names = [Some(path.as_str()), path.as_str().strip_prefix("usr/")];
        let taken = names.into_iter().flatten().map(|name| dir.join(name)).find(|at| match entry {
            Entry::Dir { .. } => false,
            Entry::File { .. } => at.symlink_metadata().is_ok(),
            Entry::Symlink { target } => {
                at.symlink_metadata().is_ok()
                    && !at.read_link().is_ok_and(|it| it == Path::new(target))
            }
        });
        if let Some(at) = taken {
            let message = format!("`{}` is there already, and in what is staged", at.display());
            return Err(UserError::usage(message)
                .hint("leave it to one of both: remove it there, or from the configuration")
                .into());
        }
    }
    Ok(())
}

fn read(file: &Path) -> Result<String> {
    fs::read_to_string(file).map_err(|error| {
        UserError::input(format!("cannot read `{}`: {error}", file.display())).into()
    })
}

fn write(file: &Path, text: &str, mode: u32) -> Result<()> {
    fs::write(file, text)
        .and_then(|()| fs::set_permissions(file, fs::Permissions::from_mode(mode)))
        .with_context(|| format!("cannot write `{}`", file.display()))
}
