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
