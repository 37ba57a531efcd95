//! What a project's own files say of it before anything is built.

use anyhow::Result;
use serde::Deserialize;

use crate::document::{Table, from_table, from_toml};
use crate::error::UserError;
use crate::pep::normalize_name;

/// Name and version as far as files state them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StaticMetadata {
    /// As written.
    pub name: Option<String>,
    /// As written.
    pub version: Option<String>,
}

/// What of `pyproject.toml` matters here; other tools' tables are theirs.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct PyProject {
    build_system: Option<Table>,
    project: Option<ProjectTable>,
    tool: Option<Tool>,
}

/// How a wheel is built (PEP 517, PEP 518).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct BuildSystem {
    /// What has to be installed before the backend can be asked: requirements (PEP 508).
    pub requires: Vec<String>,
    /// The backend: `module`, or `module:object`.
    #[serde(default = "BuildSystem::legacy")]
    pub build_backend: String,
    /// Directories of the project to import it from.
    #[serde(default)]
    pub backend_path: Vec<String>,
}

impl BuildSystem {
    /// The backend of who names none (PEP 517, "Source trees").
    fn legacy() -> String {
        "setuptools.build_meta:__legacy__".to_owned()
    }
}

impl Default for BuildSystem {
    /// That of projects without the table (PEP 518, "build-system table"): setuptools of the first version with a backend,
    /// and wheel, which older ones of its versions need.
    fn default() -> Self {
        let requires = ["setuptools>=40.8.0", "wheel"].map(str::to_owned).to_vec();
        Self { requires, build_backend: Self::legacy(), backend_path: Vec::new() }
    }
}

#[derive(Debug, Deserialize)]
struct ProjectTable {
    name: Option<String>,
    version: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Tool {
    mkpkg: Option<Table>,
    poetry: Option<Poetry>,
    uv: Option<Uv>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Poetry {
    name: Option<String>,
    version: Option<String>,
    package_mode: Option<bool>,
}

#[derive(Debug, Deserialize)]
struct Uv {
    package: Option<bool>,
}

impl PyProject {
    /// Reads `pyproject.toml`.
    pub fn parse(text: &str) -> Result<Self> {
        from_toml(text, "pyproject.toml")
    }

    /// The table `[tool.mkpkg]`.
    pub fn config(&self) -> Option<&Table> {
        self.tool.as_ref()?.mkpkg.as_ref()
    }

    /// How a wheel of the project is built.
    pub fn build_system(&self) -> Result<BuildSystem> {
        match &self.build_system {
            Some(table) => from_table(table.clone(), "`[build-system]` in pyproject.toml"),
            None => Ok(BuildSystem::default()),
        }
    }

    /// Whether a wheel can be built of the project: not when it calls itself an application that is none.
    pub fn is_buildable(&self) -> bool {
        let tool = self.tool.as_ref();
        let poetry = tool.and_then(|tool| tool.poetry.as_ref());
        let says_no = tool.and_then(|tool| tool.uv.as_ref()?.package) == Some(false)
            || poetry.and_then(|poetry| poetry.package_mode) == Some(false);
        !says_no && (self.build_system.is_some() || self.project.is_some())
    }

    /// What it states.
    pub fn metadata(&self) -> StaticMetadata {
        if let Some(project) = &self.project {
            return StaticMetadata { name: project.name.clone(), version: project.version.clone() };
        }
        let poetry = self.tool.as_ref().and_then(|tool| tool.poetry.as_ref());
        poetry.map_or_else(StaticMetadata::default, |poetry| StaticMetadata {
            name: poetry.name.clone(),
            version: poetry.version.clone(),
        })
    }
}

/// What the `[metadata]` section of `setup.cfg` states; values that point elsewhere (`attr:`, `file:`) state nothing.
pub fn of_setup_cfg(text: &str) -> StaticMetadata {
    let mut metadata = StaticMetadata::default();
    let mut section = "";
    for line in text.lines() {
        if let Some(name) = line.trim().strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = name;
        }
        let Some((key, value)) = line.split_once('=').or_else(|| line.split_once(':')) else {
            continue;
        };
        let value = value.trim();
        if section != "metadata"
            || value.is_empty()
            || value.starts_with("attr:")
            || value.starts_with("file:")
        {
            continue;
        }
        match key.trim_end() {
            "name" => metadata.name = Some(value.to_owned()),
            "version" => metadata.version = Some(value.to_owned()),
            _ => {}
        }
    }
    metadata
}

/// The one name a `setup.py` gives as a literal, `name="…"`; `None` when it gives none, or several.
///
/// Good for telling wheels apart, not for a statement: the literal may name something else.
pub fn name_in_setup_py(text: &str) -> Option<String> {
    let mut names = text.match_indices("name").filter_map(|(at, word)| {
        let is_whole =
            !text[..at].ends_with(|at: char| at.is_alphanumeric() || at == '_' || at == '.');
        let rest = text[at + word.len()..].trim_start().strip_prefix('=')?.trim_start();
        let quote = rest.chars().next().filter(|at| is_whole && matches!(at, '"' | '\''))?;
        rest[1..].split(quote).next()
    });
    let first = names.next()?;
    names.all(|name| name == first).then(|| first.to_owned())
}

/// One statement from several files, each with its name; an error when two of them disagree.
pub fn agree(statements: &[(&str, StaticMetadata)]) -> Result<StaticMetadata> {
    let mut agreed = StaticMetadata::default();
    let mut sources = ("", "");
    for (file, statement) in statements {
        if let Some(name) = &statement.name {
            if agreed.name.as_ref().is_some_and(|known| !same_name(known, name)) {
                return Err(disagree("name", (sources.0, &agreed.name), (file, name)).into());
            }
            if agreed.name.is_none() {
                (agreed.name, sources.0) = (Some(name.clone()), file);
            }
        }
        if let Some(version) = &statement.version {
            if agreed.version.as_ref().is_some_and(|known| !same_version(known, version)) {
                return Err(
                    disagree("version", (sources.1, &agreed.version), (file, version)).into()
                );
            }
            if agreed.version.is_none() {
                (agreed.version, sources.1) = (Some(version.clone()), file);
            }
        }
    }
    Ok(agreed)
}

fn disagree(what: &str, known: (&str, &Option<String>), other: (&str, &str)) -> UserError {
    let known_value = known.1.as_deref().unwrap_or_default();
    UserError::usage(format!(
        "`{}` says the {what} is `{known_value}`, `{}` says `{}`",
        known.0, other.0, other.1
    ))
    .hint("let one file state it, or make both say the same")
}

/// Whether two spellings are one name (PEP 503).
pub fn same_name(left: &str, right: &str) -> bool {
    match (normalize_name(left), normalize_name(right)) {
        (Ok(left), Ok(right)) => left == right,
        (Ok(_) | Err(_), _) => left == right,
    }
}

/// Whether two spellings are one version (PEP 440).
pub fn same_version(left: &str, right: &str) -> bool {
    use crate::pep::Version;
    match (left.parse::<Version>(), right.parse::<Version>()) {
        (Ok(left), Ok(right)) => left == right,
        (Ok(_) | Err(_), _) => left == right,
    }
}

#[cfg(test)]
mod tests {
    use crate::project::static_metadata::{
        PyProject, StaticMetadata, agree, name_in_setup_py, of_setup_cfg,
    };

    fn check(pyproject: &str, setup_cfg: &str) -> Result<StaticMetadata, String> {
        let pyproject = PyProject::parse(pyproject).map_err(|error| error.to_string())?;
        agree(&[("pyproject.toml", pyproject.metadata()), ("setup.cfg", of_setup_cfg(setup_cfg))])
            .map_err(|error| error.to_string())
    }

    #[test]
    fn statements() {
        let both =
            check("[project]\nname = 'A_b'", "[metadata]\nname = a-b\nversion = 1.0\n").unwrap();
        assert_eq!((both.name.as_deref(), both.version.as_deref()), (Some("A_b"), Some("1.0")));
        let dynamic = check(
            "[project]\nname = 'a'\ndynamic = ['version']",
            "[metadata]\nversion = attr: a.V\n",
        );
        assert_eq!(dynamic.unwrap().version, None);
        let poetry = check("[tool.poetry]\nname = 'p'\nversion = '2'", "").unwrap();
        assert_eq!(poetry.version.as_deref(), Some("2"));
        let error = check("[project]\nname = 'a'", "[metadata]\nname = b\n").unwrap_err();
        assert_eq!(error, "`pyproject.toml` says the name is `a`, `setup.cfg` says `b`");
        let error = check("[project]\nversion = '1.0'", "[metadata]\nversion = 1.1\n").unwrap_err();
        assert_eq!(error, "`pyproject.toml` says the version is `1.0`, `setup.cfg` says `1.1`");
    }

    #[test]
    fn names_in_setup_py() {
        for (text, expected) in [
            ("setup(name='acme', version='1')", Some("acme")),
            ("setup(\n    name = \"acme\",\n)\nsetup(name='acme')", Some("acme")),
            ("setup(name=NAME)", None),
            ("setup(name='a', ext_modules=[Extension(name='b')])", None),
            ("filename='a'", None),
        ] {
            assert_eq!(name_in_setup_py(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn buildable() {
        for (text, expected) in [
            ("[project]\nname = 'a'", true),
            ("[build-system]\nrequires = []", true),
            ("[tool.black]\nx = 1", false),
            ("[project]\nname = 'a'\n[tool.uv]\npackage = false", false),
            ("[build-system]\nrequires = []\n[tool.poetry]\npackage-mode = false", false),
        ] {
            assert_eq!(PyProject::parse(text).unwrap().is_buildable(), expected, "{text}");
        }
    }
}
