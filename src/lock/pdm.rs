//! `pdm.lock`: packages with the groups they belong to, or a graph to walk from the project.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use serde::Deserialize;

use crate::document::from_toml;
use crate::lock::pin::Pin;
use crate::lock::request::Request;
use crate::lock::{Kind, Lock};
use crate::pep::{Requirement, normalize_name, satisfies};

#[derive(Deserialize)]
struct Document {
    metadata: Metadata,
    #[serde(default, rename = "package")]
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Metadata {
    lock_version: String,
    #[serde(default)]
    groups: Vec<String>,
    #[serde(default)]
    targets: Vec<Target>,
}

#[derive(Deserialize)]
struct Target {
    requires_python: Option<String>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: Option<String>,
    #[serde(default)]
    extras: Vec<String>,
    requires_python: Option<String>,
    groups: Option<Vec<String>>,
    #[serde(default)]
    marker: String,
    #[serde(default)]
    dependencies: Vec<String>,
    #[serde(default)]
    files: Vec<File>,
    git: Option<String>,
    revision: Option<String>,
    #[serde(rename = "ref")]
    reference: Option<String>,
    url: Option<String>,
    path: Option<String>,
    subdirectory: Option<String>,
}

#[derive(Deserialize)]
struct File {
    hash: Option<String>,
}

#[derive(Deserialize)]
struct Pyproject {
    #[serde(default)]
    project: Project,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Project {
    #[serde(default)]
    dependencies: Vec<String>,
    #[serde(default)]
    optional_dependencies: BTreeMap<String, Vec<String>>,
}

/// Reads a `pdm.lock`.
pub(crate) fn read(text: &str, request: &Request) -> Result<Lock> {
    let document: Document = from_toml(text, request.file)?;
    let Metadata { lock_version, groups, targets } = &document.metadata;
    if lock_version != "4" && !lock_version.starts_with("4.") {
        let message = format!("lock_version `{}` is unknown", lock_version.escape_debug());
        return Err(request.fault_hint(&message, "lock with a PDM that writes 4.x"));
    }
    check_targets(targets, request)?;
    let known = groups.iter().map(|group| normalize_name(group)).collect::<Result<Vec<_>>>();
    let known = known.map_err(|error| request.locate(&error))?;
    let extras: Vec<_> =
        known.iter().map(String::as_str).filter(|group| *group != "default").collect();
    if !groups.is_empty() {
        request.check_extras(&extras)?;
    }
    let has_groups = document.packages.iter().all(|package| package.groups.is_some());
    let chosen = match has_groups {
        true => grouped(&document.packages, request)?,
        false => walked(&document.packages, request)?,
    };
    let pins = chosen.into_iter().map(|package| pin(package, request));
    request.lock(Kind::Pdm, pins.collect::<Result<Vec<_>>>()?.into_iter().flatten().collect())
}

fn check_targets(targets: &[Target], request: &Request) -> Result<()> {
    let python = request.python()?;
    let mut wanted = Vec::new();
    for specifiers in targets.iter().map(|target| target.requires_python.as_deref().unwrap_or("")) {
        if satisfies(&python, specifiers).map_err(|error| request.locate(&error))? {
            return Ok(());
        }
        wanted.push(specifiers);
    }
    match wanted.is_empty() {
        true => Ok(()),
        false => Err(request.wrong_python(&wanted.join(" or "), &python)),
    }
}

/// The packages of the groups asked for.
fn grouped<'a>(packages: &'a [Package], request: &Request) -> Result<Vec<&'a Package>> {
    let asked = |group: &String| {
        group == "default"
            || normalize_name(group).is_ok_and(|group| request.roots.extras.contains(&group))
    };
    let mut chosen = Vec::new();
    for package in packages {
        if package.groups.iter().flatten().any(asked) && request.applies(&package.marker, &[])? {
            chosen.push(package);
        }
    }
    Ok(chosen)
}

/// The packages that can be reached from what the project asks for.
fn walked<'a>(packages: &'a [Package], request: &Request) -> Result<Vec<&'a Package>> {
    let mut open = roots(request)?;
    let mut seen = BTreeSet::new();
    let mut chosen = Vec::new();
    while let Some(text) = open.pop() {
        let requirement: Requirement = text.parse().map_err(|error| request.locate(&error))?;
        if !request.applies(&requirement.marker, &[])? {
            continue;
        }
        for (index, package) in packages.iter().enumerate() {
            let is_named = normalize_name(&package.name).is_ok_and(|name| name == requirement.name);
            let is_asked = package.extras.iter().all(|extra| {
                normalize_name(extra).is_ok_and(|extra| requirement.extras.contains(&extra))
            });
            if is_named && is_asked && is_for_here(package, request)? && seen.insert(index) {
                open.extend(package.dependencies.iter().cloned());
                chosen.push(package);
            }
        }
    }
    Ok(chosen)
}

fn roots(request: &Request) -> Result<Vec<String>> {
    let Some(text) = request.pyproject else {
        return Err(request.fault_hint(
            "it does not say what belongs to which group, and there is no `pyproject.toml` beside it",
            "run `pdm lock --strategy inherit_metadata`",
        ));
    };
    let Project { mut dependencies, optional_dependencies } =
        from_toml::<Pyproject>(text, "pyproject.toml")?.project;
    for (extra, requirements) in optional_dependencies {
        if normalize_name(&extra).is_ok_and(|extra| request.roots.extras.contains(&extra)) {
            dependencies.extend(requirements);
        }
    }
    Ok(dependencies)
}

fn is_for_here(package: &Package, request: &Request) -> Result<bool> {
    let python = package.requires_python.as_deref().unwrap_or("");
    let python = satisfies(&request.python()?, python).map_err(|error| request.locate(&error))?;
    Ok(python && request.applies(&package.marker, &[])?)
}

fn pin(package: &Package, request: &Request) -> Result<Option<Pin>> {
    let locate = |error: anyhow::Error| request.locate(&error);
    let name = normalize_name(&package.name).map_err(locate)?;
    let Package { git, url, path, subdirectory, .. } = package;
    let pin = if let Some(git) = git {
        let Some(at) = package.revision.as_ref().or(package.reference.as_ref()) else {
            return Err(request.fault(&format!("the repository of `{name}` has no `revision`")));
        };
        Some(request.git(&name, git, at, subdirectory.as_deref())?)
    } else if let Some(url) = url {
        let part =
            subdirectory.as_ref().map_or_else(String::new, |dir| format!("#subdirectory={dir}"));
        Some(Pin::url(Some(&name), &format!("{url}{part}")).map_err(locate)?)
    } else if let Some(path) = path {
        request.local(Some(&name), path)?
    } else if let Some(version) = &package.version {
        Some(Pin::exact(&name, version).map_err(locate)?)
    } else {
        return Err(request.fault(&format!("`{name}` has neither version nor source")));
    };
    let hashes = package.files.iter().filter_map(|file| file.hash.as_deref());
    pin.map(|pin| pin.hashed(hashes).map_err(locate)).transpose()
}

#[cfg(test)]
mod tests {
    use crate::lock::pdm::read;
    use crate::lock::testing::{self, summary, survives};

    const TEXT: &str = r#"
[metadata]
groups = ["default", "all", "dev", "postgres"]
strategy = ["inherit_metadata"]
lock_version = "4.5.0"
content_hash = "sha256:8e8578e51a944a5908daf7bbd11f23ee15356e3c489994f5f55915321c7d1ddb"

[[metadata.targets]]
requires_python = ">=3.9"

[[package]]
name = "exceptiongroup"
version = "1.3.1"
groups = ["default", "dev"]
marker = "python_version < \"3.11\""

[[package]]
name = "gitdep"
version = "0.3"
git = "https://git.example/gitdep.git"
ref = "v0.3"
revision = "d0a9fc48a326e967088d9f1fb3c3168342d06672"
groups = ["default"]

[[package]]
name = "helper"
version = "0.1"
path = "./packages/helper"
editable = true
groups = ["default"]

[[package]]
name = "h2"
version = "4.4.1"
groups = ["default"]
files = [
    {file = "h2-4.4.1-py3-none-any.whl", hash = "sha256:5e866ffb00000000000000000000000000000000000000000000000000000000"},
    {file = "h2-4.4.1.tar.gz", hash = "sha256:6e866ffb00000000000000000000000000000000000000000000000000000000"},
]

[[package]]
name = "httpx"
version = "0.28.1"
groups = ["default"]

[[package]]
name = "httpx"
version = "0.28.1"
extras = ["http2"]
groups = ["default"]
dependencies = ["h2<5,>=3", "httpx==0.28.1"]

[[package]]
name = "iniconfig"
version = "2.0.0"
url = "https://files.example/iniconfig-2.0.0-py3-none-any.whl"
groups = ["default", "dev"]
files = [{url = "https://files.example/iniconfig-2.0.0-py3-none-any.whl", hash = "sha256:b6a85871a79d2e3b22d2d1b94ac2824226a63c6b741c88f7ae975f18b6778374"}]

[[package]]
name = "psycopg2"
version = "2.9.12"
requires_python = "<3.10"
groups = ["postgres"]
marker = "python_version < '3.10'"

[[package]]
name = "psycopg2"
version = "2.9.13"
requires_python = ">=3.10"
groups = ["postgres"]
marker = "python_version >= '3.10'"

[[package]]
name = "pytest"
version = "9.2.0"
groups = ["dev"]
"#;

    const PYPROJECT: &str = r#"
[project]
dependencies = ["httpx[http2]", "helper", "gitdep", "iniconfig @ https://files.example/iniconfig-2.0.0-py3-none-any.whl", "exceptiongroup; python_version < '3.11'"]
[project.optional-dependencies]
Postgres = ["psycopg2"]
"#;

    const COMMON: &str = "./packages/helper\ngitdep @ git+https://git.example/gitdep.git@d0a9fc48a326e967088d9f1fb3c3168342d06672\nh2==4.4.1 #2\nhttpx==0.28.1\nhttpx==0.28.1\niniconfig @ https://files.example/iniconfig-2.0.0-py3-none-any.whl #1";

    #[test]
    fn groups_and_graph_agree() {
        let bare: String = TEXT
            .lines()
            .filter(|line| !line.starts_with("groups = "))
            .map(|line| format!("{line}\n"))
            .collect();
        for text in [TEXT, bare.as_str()] {
            let plain = testing::read(read, text, &[], Some(PYPROJECT)).unwrap();
            assert_eq!(summary(&plain), COMMON);
            let postgres = testing::read(read, text, &["postgres"], Some(PYPROJECT)).unwrap();
            assert_eq!(summary(&postgres), format!("{COMMON}\npsycopg2==2.9.13"));
            survives(|text| testing::read(read, text, &["postgres"], Some(PYPROJECT)), text);
        }
    }

    #[test]
    fn faults() {
        for (from, to, message) in [
            ("4.5.0", "5.0", "lock_version `5.0` is unknown"),
            (">=3.9", "<3.9", "it is for Python `<3.9`, the target is Python 3.11.2"),
            (
                "version = \"9.2.0\"\ngroups = [\"dev\"]",
                "",
                "it does not say what belongs to which group, and there is no `pyproject.toml` beside it",
            ),
            ("version = \"0.28.1\"\ngroups", "groups", "`httpx` has neither version nor source"),
            (
                "revision = \"d0",
                "revision = \"d0;",
                "`d0;a9fc48a326e967088d9f1fb3c3168342d06672` of `gitdep` is not a commit",
            ),
        ] {
            let text = TEXT.replace(from, to);
            assert_ne!(text, TEXT, "{from}");
            let error = testing::read(read, &text, &[], None).unwrap_err();
            assert_eq!(error.to_string(), format!("cannot use `x.lock`: {message}"));
        }
        let error = testing::read(read, TEXT, &["nope"], None).unwrap_err();
        assert_eq!(error.to_string(), "cannot use `x.lock`: it has no extra `nope`");
    }
}
