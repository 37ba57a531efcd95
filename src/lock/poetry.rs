//! `poetry.lock`: packages with groups and markers (2.1), or a graph to walk from the project (1.x, 2.0).

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use serde::Deserialize;

use crate::document::{Table, Value, from_toml};
use crate::lock::constraint::allows;
use crate::lock::pin::Pin;
use crate::lock::request::Request;
use crate::lock::{Kind, Lock};
use crate::pep::{Requirement, Version, normalize_name};

#[derive(Deserialize)]
struct Document {
    #[serde(default, rename = "package")]
    packages: Vec<Package>,
    #[serde(default)]
    extras: BTreeMap<String, Vec<String>>,
    metadata: Metadata,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Metadata {
    lock_version: Option<String>,
    #[serde(default)]
    python_versions: String,
    /// Where 1.x keeps the files, by package.
    #[serde(default)]
    files: BTreeMap<String, Vec<File>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Package {
    name: String,
    version: String,
    #[serde(default)]
    python_versions: String,
    groups: Option<Vec<String>>,
    /// One marker, or one for each group.
    markers: Option<Value>,
    #[serde(default)]
    files: Vec<File>,
    #[serde(default)]
    dependencies: BTreeMap<String, Value>,
    #[serde(default)]
    extras: BTreeMap<String, Vec<String>>,
    source: Option<Source>,
}

#[derive(Deserialize)]
struct File {
    hash: String,
}

#[derive(Deserialize)]
struct Source {
    #[serde(rename = "type")]
    kind: String,
    url: String,
    resolved_reference: Option<String>,
    subdirectory: Option<String>,
}

#[derive(Deserialize)]
struct Pyproject {
    #[serde(default)]
    project: Project,
    #[serde(default)]
    tool: Tool,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Project {
    dependencies: Option<Vec<String>>,
    #[serde(default)]
    optional_dependencies: BTreeMap<String, Vec<String>>,
}

#[derive(Default, Deserialize)]
struct Tool {
    #[serde(default)]
    poetry: Poetry,
}

#[derive(Default, Deserialize)]
struct Poetry {
    #[serde(default)]
    dependencies: BTreeMap<String, Value>,
    #[serde(default)]
    extras: BTreeMap<String, Vec<String>>,
}

/// One way a package or the project asks for another.
struct Dependency {
    name: String,
    constraint: String,
    marker: String,
    python: String,
    extras: Vec<String>,
    is_optional: bool,
}

/// Reads a `poetry.lock`.
pub(crate) fn read(text: &str, request: &Request) -> Result<Lock> {
    let document: Document = from_toml(text, request.file)?;
    let version = document.metadata.lock_version.as_deref().unwrap_or("1.0");
    if !version.starts_with("1.") && !version.starts_with("2.") {
        let message = format!("lock-version `{}` is unknown", version.escape_debug());
        return Err(request.fault_hint(&message, "lock with a Poetry that writes 2.1"));
    }
    let python = request.python()?;
    let wanted = &document.metadata.python_versions;
    if !allows(wanted, &python).map_err(|error| request.locate(&error))? {
        return Err(request.wrong_python(wanted, &python));
    }
    let has_groups = document.packages.iter().all(|package| package.groups.is_some());
    let chosen = match has_groups {
        true => grouped(&document, request)?,
        false => Walk { document: &document, request, python }.reach()?,
    };
    let mut pins = Vec::new();
    for package in chosen {
        pins.extend(pin(package, &document, request)?);
    }
    request.lock(Kind::Poetry, pins)
}

/// The packages of the main group whose markers hold.
fn grouped<'a>(document: &'a Document, request: &Request) -> Result<Vec<&'a Package>> {
    check_extras(document.extras.keys(), request)?;
    let mut chosen = Vec::new();
    for package in &document.packages {
        let marker = match &package.markers {
            Some(Value::Table(table)) => table.get("main"),
            markers => markers.as_ref(),
        };
        let marker = marker.and_then(Value::as_str).unwrap_or_default();
        let is_main = package.groups.iter().flatten().any(|group| group == "main");
        if is_main && request.applies(marker, &request.roots.extras)? {
            chosen.push(package);
        }
    }
    Ok(chosen)
}

fn check_extras<'a>(known: impl Iterator<Item = &'a String>, request: &Request) -> Result<()> {
    let known = known.map(|extra| normalize_name(extra)).collect::<Result<BTreeSet<_>>>();
    let known = known.map_err(|error| request.locate(&error))?;
    request.check_extras(&known.iter().map(String::as_str).collect::<Vec<_>>())
}

struct Walk<'a> {
    document: &'a Document,
    request: &'a Request<'a>,
    python: Version,
}

impl<'a> Walk<'a> {
    /// The packages that can be reached from what the project asks for.
    fn reach(&self) -> Result<Vec<&'a Package>> {
        let mut open: Vec<(usize, Option<String>)> = Vec::new();
        let mut seen = BTreeSet::new();
        for dependency in self.roots()? {
            self.follow(&dependency, &self.request.roots.extras, &mut open)?;
        }
        while let Some((index, extra)) = open.pop() {
            if !seen.insert((index, extra.clone())) {
                continue;
            }
            let package = &self.document.packages[index];
            let named = extra.iter().flat_map(|extra| extra_names(&package.extras, extra));
            let named: BTreeSet<_> = named.collect();
            let extra: Vec<_> = extra.into_iter().collect();
            for (name, value) in &package.dependencies {
                for dependency in dependencies(name, value, self.request)? {
                    let is_wanted = match extra.is_empty() {
                        true => !dependency.is_optional,
                        false => named.contains(&dependency.name),
                    };
                    if is_wanted {
                        self.follow(&dependency, &extra, &mut open)?;
                    }
                }
            }
        }
        let indexes: BTreeSet<_> = seen.into_iter().map(|(index, _)| index).collect();
        Ok(indexes.into_iter().map(|index| &self.document.packages[index]).collect())
    }

    /// What the project asks for, with its extras.
    fn roots(&self) -> Result<Vec<Dependency>> {
        let Some(text) = self.request.pyproject else {
            return Err(self.request.fault_hint(
                "it does not say what the project asks for, and there is no `pyproject.toml` beside it",
                "lock with Poetry 2.1 or later",
            ));
        };
        let Pyproject { project, tool: Tool { poetry } } = from_toml(text, "pyproject.toml")?;
        let extras = &self.request.roots.extras;
        let known = self.document.extras.keys();
        check_extras(
            known.chain(poetry.extras.keys()).chain(project.optional_dependencies.keys()),
            self.request,
        )?;
        if let Some(mut requirements) = project.dependencies {
            for (extra, optional) in project.optional_dependencies {
                if normalize_name(&extra).is_ok_and(|extra| extras.contains(&extra)) {
                    requirements.extend(optional);
                }
            }
            return requirements.iter().map(|text| requirement(text, self.request)).collect();
        }
        let named = extras.iter().flat_map(|extra| extra_names(&poetry.extras, extra));
        let named: BTreeSet<_> = named.collect();
        let mut roots = Vec::new();
        for (name, value) in poetry.dependencies.iter().filter(|(name, _)| *name != "python") {
            let found = dependencies(name, value, self.request)?;
            roots.extend(
                found.into_iter().filter(|root| !root.is_optional || named.contains(&root.name)),
            );
        }
        Ok(roots)
    }

    /// Adds the package a dependency means, and the extras asked of it, unless it does not apply.
    fn follow(
        &self,
        dependency: &Dependency,
        extras: &[String],
        open: &mut Vec<(usize, Option<String>)>,
    ) -> Result<()> {
        let python = self.allows(&dependency.python, &self.python)?;
        if !python || !self.request.applies(&dependency.marker, extras)? {
            return Ok(());
        }
        let target = self.choose(dependency)?;
        open.push((target, None));
        open.extend(dependency.extras.iter().map(|extra| (target, Some(extra.clone()))));
        Ok(())
    }

    fn choose(&self, dependency: &Dependency) -> Result<usize> {
        let mut found: Vec<(bool, Version, usize)> = Vec::new();
        for (index, package) in self.document.packages.iter().enumerate() {
            if normalize_name(&package.name).is_ok_and(|name| name == dependency.name) {
                let version: Version =
                    package.version.parse().map_err(|error| self.request.locate(&error))?;
                let is_for_here = self.allows(&package.python_versions, &self.python)?;
                // What the project takes from a URL may carry any version.
                let fits =
                    self.allows(&dependency.constraint, &version)? || package.source.is_some();
                found.push((is_for_here && fits, version, index));
            }
        }
        match found.into_iter().max() {
            Some((true, _, index)) => Ok(index),
            Some((false, ..)) | None => {
                let message = format!(
                    "it holds no `{}` for this Python that meets `{}`",
                    dependency.name, dependency.constraint
                );
                Err(self.request.fault_hint(&message, "run `poetry lock`"))
            }
        }
    }

    fn allows(&self, constraint: &str, version: &Version) -> Result<bool> {
        allows(constraint, version).map_err(|error| self.request.locate(&error))
    }
}

/// Normalised names of what an extra asks for, of texts such as `redis[hiredis] (>=4) ; os_name == 'posix'`.
fn extra_names(extras: &BTreeMap<String, Vec<String>>, extra: &str) -> Vec<String> {
    let found =
        extras.iter().filter(|(name, _)| normalize_name(name).is_ok_and(|name| name == extra));
    let texts = found.flat_map(|(_, texts)| texts);
    let names = texts.filter_map(|text| {
        let end = text.find(|at: char| !at.is_ascii_alphanumeric() && !"._-".contains(at));
        normalize_name(&text[..end.unwrap_or(text.len())]).ok()
    });
    names.collect()
}

/// The dependencies under one key: a constraint, a table, or several of either.
fn dependencies(name: &str, value: &Value, request: &Request) -> Result<Vec<Dependency>> {
    let normal = normalize_name(name).map_err(|error| request.locate(&error))?;
    let several = match value {
        Value::Array(values) => values.as_slice(),
        Value::String(_)
        | Value::Table(_)
        | Value::Integer(_)
        | Value::Float(_)
        | Value::Boolean(_)
        | Value::Datetime(_) => std::slice::from_ref(value),
    };
    let mut dependencies = Vec::new();
    for value in several {
        let empty = Table::new();
        let (constraint, table) = match value {
            Value::String(constraint) => (constraint.as_str(), &empty),
            Value::Table(table) => {
                (table.get("version").and_then(Value::as_str).unwrap_or_default(), table)
            }
            Value::Integer(_)
            | Value::Float(_)
            | Value::Boolean(_)
            | Value::Datetime(_)
            | Value::Array(_) => {
                return Err(request
                    .fault(&format!("the dependency `{normal}` is not a constraint or table")));
            }
        };
        let text =
            |key: &str| table.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let extras = table.get("extras").and_then(Value::as_array).into_iter().flatten();
        let extras = extras.filter_map(Value::as_str).map(normalize_name);
        dependencies.push(Dependency {
            name: normal.clone(),
            constraint: constraint.to_owned(),
            marker: text("markers"),
            python: text("python"),
            extras: extras.collect::<Result<_>>().map_err(|error| request.locate(&error))?,
            is_optional: table.get("optional").and_then(Value::as_bool).unwrap_or(false),
        });
    }
    Ok(dependencies)
}

fn requirement(text: &str, request: &Request) -> Result<Dependency> {
    let requirement: Requirement = text.parse().map_err(|error| request.locate(&error))?;
    let Requirement { name, extras, specifiers, marker, .. } = requirement;
    let python = String::new();
    Ok(Dependency { name, constraint: specifiers, marker, python, extras, is_optional: false })
}

fn pin(package: &Package, document: &Document, request: &Request) -> Result<Option<Pin>> {
    let locate = |error: anyhow::Error| request.locate(&error);
    let name = normalize_name(&package.name).map_err(locate)?;
    let version = || Pin::exact(&name, &package.version).map_err(locate);
    let pin = match &package.source {
        None => Some(version()?),
        Some(source) => match source.kind.as_str() {
            "legacy" => Some(Pin { index: Some(request.index(&source.url)?), ..version()? }),
            "url" => {
                let part = source.subdirectory.as_ref();
                let part = part.map_or_else(String::new, |dir| format!("#subdirectory={dir}"));
                Some(Pin::url(Some(&name), &format!("{}{part}", source.url)).map_err(locate)?)
            }
            "directory" | "file" => request.local(Some(&name), &source.url)?,
            "git" => {
                let at = source.resolved_reference.as_deref().unwrap_or_default();
                Some(request.git(&name, &source.url, at, source.subdirectory.as_deref())?)
            }
            kind => {
                return Err(request.fault(&format!(
                    "the source `{}` of `{name}` is unknown",
                    kind.escape_debug()
                )));
            }
        },
    };
    let old = document.metadata.files.iter();
    let old = old
        .filter(|(key, _)| normalize_name(key).is_ok_and(|key| key == name))
        .flat_map(|(_, files)| files);
    let hashes = package.files.iter().chain(old).map(|file| file.hash.as_str());
    pin.map(|pin| pin.hashed(hashes).map_err(locate)).transpose()
}

#[cfg(test)]
mod tests {
    use crate::lock::poetry::read;
    use crate::lock::testing::{self, summary, survives};

    const GROUPED: &str = r#"
[[package]]
name = "colorama"
version = "0.4.6"
optional = false
python-versions = ">=2.7"
groups = ["main", "dev"]
files = []
markers = {main = "sys_platform == \"win32\"", dev = "os_name == \"posix\""}

[[package]]
name = "gitdep"
version = "0.3"
python-versions = "*"
groups = ["main"]
files = []
[package.source]
type = "git"
url = "git@git.example:acme/gitdep.git"
reference = "HEAD"
resolved_reference = "d0a9fc48a326e967088d9f1fb3c3168342d06672"

[[package]]
name = "helper"
version = "0.1"
python-versions = ">=3.9"
groups = ["main"]
files = []
develop = true
[package.source]
type = "directory"
url = "packages/helper"

[[package]]
name = "private"
version = "3.0"
python-versions = ">=3.9"
groups = ["main"]
files = [{file = "private-3.0.tar.gz", hash = "sha256:5e866ffb00000000000000000000000000000000000000000000000000000000"}]
[package.source]
type = "legacy"
url = "https://pypi.acme.example/simple"
reference = "acme"

[[package]]
name = "pytest"
version = "9.2.0"
python-versions = ">=3.9"
groups = ["dev"]
files = []

[[package]]
name = "redis"
version = "8.1.0"
optional = true
python-versions = ">=3.10"
groups = ["main"]
markers = "python_version >= \"3.10\" and extra == \"cache\""
files = []

[extras]
cache = ["redis"]

[metadata]
lock-version = "2.1"
python-versions = "^3.9"
content-hash = "8406fb10e594adc355bf31c8984df7cb97b24451da6ef65ab9422897fa94c047"
"#;

    const GRAPH: &str = r#"
[[package]]
name = "h2"
version = "4.4.1"
optional = false
python-versions = ">=3.10"

[[package]]
name = "Httpx"
version = "0.28.1"
optional = false
python-versions = ">=3.8"
[package.dependencies]
anyio = {version = "*", markers = "python_version < \"3.8\""}
h2 = {version = ">=3,<5", optional = true, markers = "extra == \"http2\""}
Typing_Extensions = [{version = ">=4", markers = "python_version < \"3.9\""}, {version = ">=3", markers = "python_version >= \"3.9\""}]
[package.extras]
http2 = ["h2 (>=3,<5)"]

[[package]]
name = "numpy"
version = "2.0.2"
optional = false
python-versions = ">=3.9"

[[package]]
name = "numpy"
version = "2.2.6"
optional = false
python-versions = ">=3.10"

[[package]]
name = "pytest"
version = "9.2.0"
optional = false
python-versions = ">=3.9"

[[package]]
name = "redis"
version = "8.1.0"
optional = true
python-versions = ">=3.10"
[package.dependencies]
numpy = "*"

[[package]]
name = "typing-extensions"
version = "3.10"
optional = false
python-versions = "*"

[extras]
cache = ["redis"]

[metadata]
lock-version = "1.1"
python-versions = ">=3.9,<4.0"
content-hash = "8406fb10e594adc355bf31c8984df7cb97b24451da6ef65ab9422897fa94c047"

[metadata.files]
h2 = [{file = "h2-4.4.1-py3-none-any.whl", hash = "sha256:5e866ffb00000000000000000000000000000000000000000000000000000000"}]
httpx = [{file = "httpx-0.28.1.tar.gz", hash = "sha256:6e866ffb00000000000000000000000000000000000000000000000000000000"}]
pytest = []
"#;

    const POETRY: &str = r#"
[tool.poetry.dependencies]
python = "^3.9"
httpx = {version = "^0.28", extras = ["http2"]}
numpy = [{version = "~2.0", python = "<3.10"}, {version = ">=2.2,<2.3", python = ">=3.10"}]
redis = {version = "*", optional = true}
[tool.poetry.extras]
cache = ["redis"]
[tool.poetry.group.dev.dependencies]
pytest = "*"
"#;

    const PEP_621: &str = r#"
[project]
dependencies = ["httpx[http2] (>=0.28,<0.29)", "numpy~=2.0.0; python_version < '3.10'", "numpy>=2.2 ; python_version >= '3.10'"]
[project.optional-dependencies]
cache = ["redis (>=8)"]
"#;

    fn check(text: &str, extras: &[&str], pyproject: Option<&str>, expected: &str) {
        let lock = testing::read(read, text, extras, pyproject).unwrap();
        assert_eq!(summary(&lock), expected);
    }

    #[test]
    fn groups() {
        let common = "./packages/helper\ngitdep @ git+ssh://git@git.example/acme/gitdep.git@d0a9fc48a326e967088d9f1fb3c3168342d06672\nprivate==3.0 #1".replace("git@git.example", "****@git.example");
        check(GROUPED, &[], None, &common);
        check(GROUPED, &["cache"], None, &format!("{common}\nredis==8.1.0"));
        let lock = testing::read(read, GROUPED, &[], None).unwrap();
        assert_eq!(lock.options, ["--index-url https://pypi.acme.example/simple"]);
    }

    #[test]
    fn graph() {
        let common = "h2==4.4.1 #1\nhttpx==0.28.1 #1\nnumpy==2.2.6";
        for pyproject in [POETRY, PEP_621] {
            check(GRAPH, &[], Some(pyproject), &format!("{common}\ntyping-extensions==3.10"));
            check(
                GRAPH,
                &["cache"],
                Some(pyproject),
                &format!("{common}\nredis==8.1.0\ntyping-extensions==3.10"),
            );
        }
    }

    #[test]
    fn faults() {
        for (text, from, to, message) in [
            (GROUPED, "\"2.1\"", "\"3.0\"", "lock-version `3.0` is unknown"),
            (
                GROUPED,
                "\"^3.9\"",
                "\"^3.12\"",
                "it is for Python `^3.12`, the target is Python 3.11.2",
            ),
            (GROUPED, "\"legacy\"", "\"alien\"", "the source `alien` of `private` is unknown"),
            (
                GRAPH,
                "version = \"3.10\"",
                "version = \"2.0\"",
                "it holds no `typing-extensions` for this Python that meets `>=3`",
            ),
            (
                GRAPH,
                "numpy = \"*\"",
                "numpy = 1",
                "the dependency `numpy` is not a constraint or table",
            ),
        ] {
            let damaged = text.replace(from, to);
            assert_ne!(damaged, text, "{from}");
            let error = testing::read(read, &damaged, &["cache"], Some(POETRY)).unwrap_err();
            assert_eq!(error.to_string(), format!("cannot use `x.lock`: {message}"));
        }
        let error = testing::read(read, GRAPH, &[], None).unwrap_err();
        assert!(error.to_string().contains("no `pyproject.toml`"), "{error}");
        survives(|text| testing::read(read, text, &["cache"], None), GROUPED);
        survives(|text| testing::read(read, text, &["cache"], Some(POETRY)), GRAPH);
        survives(|text| testing::read(read, GRAPH, &["cache"], Some(text)), POETRY);
    }
}
