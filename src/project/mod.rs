//! Finds out what a directory is: its kind, its configuration, what its files state.
//!
//! Reads the project; builds and resolves nothing.

pub mod audit;
pub mod config;
pub mod epoch;
pub mod prefix;
pub mod repository;
pub mod services;
pub mod sources;
pub mod static_metadata;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::document::Table;
use crate::error::UserError;
use crate::lock;
use crate::pep::{Version, normalize_name};
use crate::project::config::Config;
use crate::project::static_metadata::{PyProject, StaticMetadata, agree, of_setup_cfg};

/// A directory that holds a Python application.
#[derive(Debug)]
pub struct Project {
    /// Canonical path.
    pub dir: PathBuf,
    /// How its code gets into the package.
    pub kind: ProjectKind,
    /// Its configuration, settings of the command line included.
    pub config: Config,
    /// What its files state.
    pub stated: StaticMetadata,
    /// Text of `pyproject.toml`, empty when there is none.
    pub pyproject: String,
}

/// How the code of a project gets into the package.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProjectKind {
    /// A wheel is built of it (PEP 517, or `setup.py`).
    Buildable,
    /// Requirements, and perhaps code beside them that is installed as it lies there.
    Bare,
    /// Requirements only: the project itself stays out of the package.
    Required,
}

/// Looks at `dir` and reads its configuration, or that in `file`, with `settings` (dotted key, value) over it.
pub fn load(dir: &Path, file: Option<&Path>, settings: &[(String, String)]) -> Result<Project> {
    let dir = dir.canonicalize().map_err(|error| {
        UserError::usage(format!("the project `{}` cannot be opened: {error}", dir.display()))
            .hint("name the directory that holds `pyproject.toml`")
    })?;
    if !dir.is_dir() {
        return Err(UserError::usage(format!(
            "the project `{}` is not a directory",
            dir.display()
        ))
        .hint("name the directory that holds `pyproject.toml`")
        .into());
    }
    let pyproject_text = read_if_there(&dir.join("pyproject.toml"))?;
    let pyproject =
        pyproject_text.as_deref().map(PyProject::parse).transpose()?.unwrap_or_default();
    let setup_cfg = read_if_there(&dir.join("setup.cfg"))?.unwrap_or_default();
    let stated = agree(&[
        ("pyproject.toml", pyproject.metadata()),
        ("setup.cfg", of_setup_cfg(&setup_cfg)),
    ])?;
    let config = match file {
        Some(file) => {
            let name = file.display().to_string();
            let text = read_if_there(file)?.ok_or_else(|| no_configuration(file))?;
            config::load(Some((config::parse(&text, &name)?, &name)), settings)?
        }
        None => {
            let own = read_if_there(&dir.join("mkpkg.toml"))?;
            config::load(config_table(own.as_deref(), &pyproject)?, settings)?
        }
    };
    let has_setup = dir.join("setup.py").is_file() || of_setup_cfg(&setup_cfg).name.is_some();
    let requires =
        !config.requirements.is_empty() || lock::NAMES.iter().any(|name| dir.join(name).is_file());
    let is_buildable = pyproject.is_buildable() || has_setup;
    let kind = match (config.install_project, is_buildable, requires) {
        (true, true, _) => ProjectKind::Buildable,
        (true, false, true) => ProjectKind::Bare,
        (false, _, true) => ProjectKind::Required,
        (false, true, false) => {
            let message = "`install-project` is false, and nothing is required";
            return Err(UserError::usage(message)
                .hint("name a requirements or lock file in `requirements`")
                .into());
        }
        (_, false, false) => return Err(no_project(&dir).into()),
    };
    if let Some(name) = &stated.name {
        normalize_name(name)?;
    }
    for version in [&stated.version, &config.version].into_iter().flatten() {
        version.parse::<Version>()?;
    }
    Ok(Project { dir, kind, config, stated, pyproject: pyproject_text.unwrap_or_default() })
}

/// The configuration in `file`, or else of the project in `dir`, and the file it is from; `None` when there is none.
pub fn configuration(file: Option<&Path>, dir: &Path) -> Result<Option<(Config, PathBuf)>> {
    let read = |path: &Path| -> Result<Option<(Config, PathBuf)>> {
        let Some(text) = read_if_there(path)? else { return Ok(None) };
        let is_pyproject = path.file_name().is_some_and(|name| name == "pyproject.toml");
        let name = path.display().to_string();
        let table = if is_pyproject {
            PyProject::parse(&text)?.config().cloned()
        } else {
            Some(config::parse(&text, &name)?)
        };
        let Some(table) = table else { return Ok(None) };
        Ok(Some((config::load(Some((table, &name)), &[])?, path.to_owned())))
    };
    let Some(file) = file else {
        let [own, pyproject] =
            [dir.join("mkpkg.toml"), dir.join("pyproject.toml")].map(|file| read(&file));
        return match (own?, pyproject?) {
            (Some(_), Some(_)) => Err(two_configurations()),
            (one, other) => Ok(one.or(other)),
        };
    };
    Ok(Some(read(file)?.ok_or_else(|| no_configuration(file))?))
}

fn no_configuration(file: &Path) -> UserError {
    UserError::usage(format!("there is no configuration in `{}`", file.display()))
}

fn no_project(dir: &Path) -> UserError {
    UserError::usage(format!("there is no Python project in `{}`", dir.display())).hint(
        "name a directory with `pyproject.toml`, `setup.py`, `setup.cfg` or a requirements or lock file",
    )
}

fn two_configurations() -> anyhow::Error {
    let message = "`mkpkg.toml` and `[tool.mkpkg]` in `pyproject.toml` both configure mkpkg";
    UserError::usage(message).hint("keep one of them").into()
}

fn config_table(own: Option<&str>, pyproject: &PyProject) -> Result<Option<(Table, &'static str)>> {
    match (own, pyproject.config()) {
        (Some(_), Some(_)) => Err(two_configurations()),
        (Some(text), None) => Ok(Some((config::parse(text, "mkpkg.toml")?, "mkpkg.toml"))),
        (None, Some(table)) => Ok(Some((table.clone(), "[tool.mkpkg] of pyproject.toml"))),
        (None, None) => Ok(None),
    }
}

fn read_if_there(path: &Path) -> Result<Option<String>> {
    match fs::read(path) {
        Ok(bytes) => match String::from_utf8(bytes) {
            Ok(text) => Ok(Some(text)),
            Err(_) => Err(UserError::usage(format!("`{}` is not UTF-8", path.display())).into()),
        },
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read `{}`", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use crate::project::{ProjectKind, load};

    fn check(files: &[(&str, &str)]) -> Result<ProjectKind, String> {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(dir.path().join(name), text).unwrap();
        }
        let shown = dir.path().canonicalize().unwrap().display().to_string();
        load(dir.path(), None, &[])
            .map(|project| project.kind)
            .map_err(|error| error.to_string().replace(&shown, "DIR"))
    }

    #[test]
    fn kinds() {
        let error = |text: &str| Err(text.to_owned());
        for (files, expected) in [
            (&[][..], error("there is no Python project in `DIR`")),
            (&[("requirements.txt", "")], Ok(ProjectKind::Bare)),
            (&[("setup.py", "")], Ok(ProjectKind::Buildable)),
            (&[("setup.cfg", "[metadata]\nname = x")], Ok(ProjectKind::Buildable)),
            (&[("setup.cfg", "[flake8]\nx = 1"), ("requirements.txt", "")], Ok(ProjectKind::Bare)),
            (&[("pyproject.toml", "[project]\nname = 'x'")], Ok(ProjectKind::Buildable)),
            (&[("pyproject.toml", "[tool.black]"), ("uv.lock", "")], Ok(ProjectKind::Bare)),
            (
                &[
                    (
                        "pyproject.toml",
                        "[project]\nname = 'x'\n[tool.mkpkg]\ninstall-project = false",
                    ),
                    ("uv.lock", ""),
                ],
                Ok(ProjectKind::Required),
            ),
            (
                &[("setup.py", ""), ("mkpkg.toml", "install-project = false")],
                error("`install-project` is false, and nothing is required"),
            ),
            (
                &[("pyproject.toml", "[project]\nname = '-x'")],
                error("`-x` is not a valid distribution name"),
            ),
            (
                &[("pyproject.toml", "[project]\nname = 'x'\nversion = 'one'")],
                error("`one` is not a valid version"),
            ),
            (
                &[("pyproject.toml", "[project]\nname = 'x'\n[tool.mkpkg]"), ("mkpkg.toml", "")],
                error("`mkpkg.toml` and `[tool.mkpkg]` in `pyproject.toml` both configure mkpkg"),
            ),
        ] {
            assert_eq!(check(files), expected, "{files:?}");
        }
    }
}
