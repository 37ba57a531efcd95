//! `mkpkg init`: writes the configuration a project starts with, or prints the schema of all configurations.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::artifact;
use crate::cli::init::InitArgs;
use crate::commands::import;
use crate::error::UserError;
use crate::host::release;
use crate::lock;
use crate::package::PackageName;
use crate::pep::normalize_name;
use crate::project::{self, Project};
use crate::report::{Talk, print};
use crate::starter::{Found, Home, text};

/// The JSON schema of the configuration; a test of `project::config` compares it with the types.
const SCHEMA: &str = include_str!("../../docs/config.schema.json");

/// Runs the command.
pub fn run(args: &InitArgs, talk: &Talk) -> Result<()> {
    if args.schema {
        return print(SCHEMA);
    }
    if let Some(dir) = &args.from_debian {
        return import::run(dir, args.project.as_deref(), args.run_rules, talk);
    }
    let dir = args.project.as_deref().unwrap_or(Path::new("."));
    if let Some((_, path)) = project::configuration(None, dir)? {
        return Err(exists(&path).into());
    }
    let project = project::load(dir, None, &[])?;
    let found = found(&project)?;
    let path = if args.pyproject {
        let path = project.dir.join("pyproject.toml");
        if !path.is_file() {
            let message = format!("there is no `{}` to write into", path.display());
            return Err(UserError::usage(message).hint("leave `--pyproject` out").into());
        }
        write(&path, &(project.pyproject.clone() + &text(&found, Home::PyProject)))?
    } else {
        write(&project.dir.join("mkpkg.toml"), &text(&found, Home::Own))?
    };
    talk.say("nothing is set yet: edit it, then run `mkpkg check`");
    print(&format!("{}\n", shown(&path, &project.dir, dir).display()))
}

/// The path as the user would type it.
fn shown(path: &Path, dir: &Path, typed: &Path) -> PathBuf {
    let below = path.strip_prefix(dir).map(|rest| typed.join(rest));
    let below = below.unwrap_or_else(|_| path.to_owned());
    below.strip_prefix(".").map(Path::to_owned).unwrap_or(below)
}

fn exists(path: &Path) -> UserError {
    UserError::usage(format!("`{}` configures mkpkg already", path.display()))
        .hint("edit it, or move it away first")
}

/// What can be told of a project without building it.
fn found(project: &Project) -> Result<Found> {
    let dir = project.dir.file_name().map(|name| name.to_string_lossy().into_owned());
    let name = project.stated.name.clone().or(dir).unwrap_or_default();
    let name = normalize_name(&name).and_then(|name| PackageName::new(&name));
    let lock = lock::NAMES.iter().find(|name| project.dir.join(name).is_file());
    let os_release = fs::read_to_string("/etc/os-release").ok();
    let host = os_release.and_then(|text| release::of_host(&text));
    let python =
        |release: release::Release| Some((release.python()?.to_owned(), release.name.to_owned()));
    Ok(Found {
        name: name.map_or_else(|_| "app".to_owned(), |name| name.to_string()),
        version: project.stated.version.clone(),
        lock: lock.map(|name| (*name).to_owned()),
        python: host.and_then(python),
    })
}

/// Writes a file whole or not at all; returns its path.
pub fn write(path: &Path, text: &str) -> Result<PathBuf> {
    let fault = || format!("cannot write `{}`", path.display());
    // A link leads to the file that is meant.
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let dir = path.parent().with_context(fault)?;
    let name = path.file_name().and_then(|name| name.to_str()).with_context(fault)?;
    let written =
        artifact::write(dir, name, |file| file.write_all(text.as_bytes()).with_context(fault))?;
    Ok(written.path)
}
