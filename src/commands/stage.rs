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
use crate::package::PackageMeta;
use crate::report::Talk;
use crate::summary;
use crate::tree::Tree;

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
    let formats = [format];
    validate(&formats, &[], &inputs, &args.build)?;
    let [format] = formats;
    let built = build(&inputs, &args.build, talk)?;
    let inventory = listed(&built, &args.build, talk)?;
    let mut all = packages(format.as_ref(), &inputs, &built, &args.build, talk)?;
    let (Some((meta, tree)), None) = (all.pop(), all.pop()) else {
        let message = "an application beside its releases is two packages, which cannot be staged";
        return Err(UserError::usage(message)
            .hint("use `layout = \"plain\"`, or build the packages with `mkpkg build`")
            .into());
    };
    let (inside, target) = ((&built, &inventory), args.build.target.as_deref());
    let tree = with_parts(format.as_ref(), &inputs, inside, (&meta, tree), target)?;
    let dir = &args.build.output;
    refuse_second_owner(&meta, &tree, dir)?;
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

/// Refuses a unit that lies in `dir` already: both programs would enable, start and stop it.
fn refuse_second_owner(meta: &PackageMeta, tree: &Tree, dir: &Path) -> Result<()> {
    for unit in &meta.lifecycle.units {
        let name = &unit.name;
        let own = tree.files().find(|(path, ..)| path.file_name() == name);
        let own = own.map(|(_, content, _)| content.read()).transpose()?;
        for home in ["lib", "usr/lib"] {
            let at = dir.join(home).join("systemd/system").join(name);
            if at.is_file() && fs::read(&at).ok() != own {
                let message = format!("the unit `{name}` is in `{}` already", dir.display());
                return Err(UserError::usage(message)
                    .hint("leave it to one of both: remove it there, or from `services`")
                    .into());
            }
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
