//! `uv.lock`: a graph for every platform, walked from the project for one.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use serde::Deserialize;

use crate::document::from_toml;
use crate::lock::pin::Pin;
use crate::lock::request::Request;
use crate::lock::{Kind, Lock};
use crate::pep::normalize_name;

// A higher revision adds keys which readers of the same version may ignore.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Document {
    version: i64,
    requires_python: Option<String>,
    #[serde(default, rename = "package")]
    packages: Vec<Package>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Package {
    name: String,
    version: Option<String>,
    source: Source,
    #[serde(default)]
    resolution_markers: Vec<String>,
    #[serde(default)]
    dependencies: Vec<Dependency>,
    #[serde(default)]
    optional_dependencies: BTreeMap<String, Vec<Dependency>>,
    metadata: Option<Metadata>,
    sdist: Option<File>,
    #[serde(default)]
    wheels: Vec<File>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Metadata {
    #[serde(default)]
    provides_extras: Vec<String>,
}

/// Exactly one of these is given, and a part of an archive or repository may be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
struct Source {
    registry: Option<String>,
    git: Option<String>,
    url: Option<String>,
    path: Option<String>,
    directory: Option<String>,
    editable: Option<String>,
    #[serde(rename = "virtual")]
    virtual_: Option<String>,
    subdirectory: Option<String>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    version: Option<String>,
    source: Option<Source>,
    #[serde(default)]
    extra: Vec<String>,
    #[serde(default)]
    marker: String,
}

#[derive(Deserialize)]
struct File {
    hash: Option<String>,
}

/// Reads a `uv.lock`.
pub(crate) fn read(text: &str, request: &Request) -> Result<Lock> {
    let document: Document = from_toml(text, request.file)?;
    if document.version != 1 {
        let message = format!("its version {} is unknown", document.version);
        return Err(request.fault_hint(&message, "lock with a uv that writes version 1"));
    }
    if let Some(python) = &document.requires_python {
        request.check_python(python)?;
    }
    let root = root(&document, request)?;
    let walk = Walk {
        document: &document,
        request,
        conflicts: conflicts(&document.packages[root].name, request),
    };
    let mut pins = Vec::new();
    let mut finds = BTreeSet::new();
    for index in walk.reach(root)? {
        let package = &document.packages[index];
        pins.extend(pin(package, request)?);
        if let Some(dir) =
            package.source.registry.as_ref().filter(|registry| !registry.contains("://"))
        {
            finds.insert(format!(
                "--find-links {}",
                request.index(&request.path(dir).display().to_string())?
            ));
        }
    }
    let mut lock = request.lock(Kind::Uv, pins)?;
    lock.options.extend(finds);
    Ok(lock)
}

/// The package that is the project: the one at its path, or of its name in the lock of a workspace.
fn root(document: &Document, request: &Request) -> Result<usize> {
    let local = |package: &Package| {
        let Source { editable, virtual_, directory, .. } = &package.source;
        editable.as_ref().or(virtual_.as_ref()).or(directory.as_ref()).cloned()
    };
    let packages = || document.packages.iter();
    let here = packages().position(|package| {
        local(package).is_some_and(|path| request.path(&path).as_os_str().is_empty())
    });
    let named = packages().position(|package| {
        local(package).is_some() && request.roots.name.as_ref() == Some(&package.name)
    });
    let Some(root) = named.or(here) else {
        let name = request.roots.name.as_deref().unwrap_or(".");
        return Err(
            request.fault_hint(&format!("it does not hold the project `{name}`"), "run `uv lock`")
        );
    };
    let package = &document.packages[root];
    let provided = package.metadata.iter().flat_map(|metadata| &metadata.provides_extras);
    let mut known: Vec<_> =
        package.optional_dependencies.keys().chain(provided).map(String::as_str).collect();
    known.sort_unstable();
    known.dedup();
    request.check_extras(&known)?;
    Ok(root)
}

/// How uv writes the extras of the project in the markers of packages that conflicting extras pull apart.
fn conflicts(name: &str, request: &Request) -> Vec<String> {
    let extras = request.roots.extras.iter();
    extras.map(|extra| format!("extra-{}-{name}-{extra}", name.len())).collect()
}

struct Walk<'a> {
    document: &'a Document,
    request: &'a Request<'a>,
    conflicts: Vec<String>,
}

impl<'a> Walk<'a> {
    /// Every package the project needs here, the project itself left out.
    fn reach(&self, root: usize) -> Result<BTreeSet<usize>> {
        let extras = self.request.roots.extras.iter().map(|extra| (root, Some(extra.as_str())));
        let mut open: Vec<(usize, Option<&str>)> = extras.chain([(root, None)]).collect();
        let mut seen: BTreeSet<_> = open.iter().copied().collect();
        while let Some((index, extra)) = open.pop() {
            let package = &self.document.packages[index];
            let dependencies = match extra {
                None => package.dependencies.as_slice(),
                // An extra the package does not have asks for nothing, as with pip.
                Some(extra) => {
                    package.optional_dependencies.get(extra).map_or(&[][..], Vec::as_slice)
                }
            };
            for dependency in dependencies {
                if !self.request.applies(&dependency.marker, &self.conflicts)? {
                    continue;
                }
                let target = self.choose(dependency, package)?;
                let extras = dependency.extra.iter().map(|extra| (target, Some(extra.as_str())));
                open.extend(extras.chain([(target, None)]).filter(|node| seen.insert(*node)));
            }
        }
        Ok(seen.into_iter().map(|(index, _)| index).filter(|index| *index != root).collect())
    }

    /// The package a dependency means here.
    fn choose(&self, dependency: &Dependency, from: &Package) -> Result<usize> {
        let packages = self.document.packages.iter().enumerate();
        let mut found = Vec::new();
        for (index, package) in packages.filter(|(_, package)| package.name == dependency.name) {
            let version = dependency.version.is_none() || dependency.version == package.version;
            let source = dependency.source.as_ref().is_none_or(|source| *source == package.source);
            if version && source {
                found.push(index);
            }
        }
        if found.len() > 1 {
            let mut here = Vec::new();
            for index in found {
                if self.is_resolved_here(&self.document.packages[index])? {
                    here.push(index);
                }
            }
            found = here;
        }
        if let [index] = found[..] {
            return Ok(index);
        }
        let count = if found.is_empty() { "no" } else { "more than one" };
        let message =
            format!("`{}` needs `{}`, and {count} package is that", from.name, dependency.name);
        Err(self.request.fault_hint(&message.escape_debug().to_string(), "run `uv lock`"))
    }

    fn is_resolved_here(&self, package: &Package) -> Result<bool> {
        for marker in &package.resolution_markers {
            if self.request.applies(marker, &self.conflicts)? {
                return Ok(true);
            }
        }
        Ok(package.resolution_markers.is_empty())
    }
}

fn pin(package: &Package, request: &Request) -> Result<Option<Pin>> {
    let locate = |error: anyhow::Error| request.locate(&error);
    let name = normalize_name(&package.name).map_err(locate)?;
    let Source { registry, git, url, path, directory, editable, virtual_, subdirectory } =
        &package.source;
    let pin = if let Some(registry) = registry {
        let Some(version) = &package.version else {
            return Err(request.fault(&format!("`{name}` has no version")));
        };
        let index = registry.contains("://").then(|| request.index(registry)).transpose()?;
        Some(Pin { index, ..Pin::exact(&name, version).map_err(locate)? })
    } else if let Some(git) = git {
        Some(git_pin(&name, git, request)?)
    } else if let Some(url) = url {
        let part =
            subdirectory.as_ref().map_or_else(String::new, |dir| format!("#subdirectory={dir}"));
        Some(Pin::url(Some(&name), &format!("{url}{part}")).map_err(locate)?)
    } else if let Some(path) = path.as_ref().or(directory.as_ref()).or(editable.as_ref()) {
        request.local(Some(&name), path)?
    } else if virtual_.is_some() {
        // A virtual member stands for its dependencies alone.
        None
    } else {
        return Err(request.fault(&format!("the source of `{name}` is unknown")));
    };
    let hashes =
        package.sdist.iter().chain(&package.wheels).filter_map(|file| file.hash.as_deref());
    pin.map(|pin| pin.hashed(hashes).map_err(locate)).transpose()
}

/// A repository as uv writes it: `URL?tag=…&subdirectory=…#commit`.
fn git_pin(name: &str, git: &str, request: &Request) -> Result<Pin> {
    let Some((place, commit)) = git.rsplit_once('#') else {
        return Err(request.fault(&format!("the repository of `{name}` has no commit")));
    };
    let (url, query) = place.split_once('?').unwrap_or((place, ""));
    let subdirectory = query.split('&').find_map(|part| part.strip_prefix("subdirectory="));
    let subdirectory = subdirectory.map(|dir| dir.replace("%2F", "/").replace("%2f", "/"));
    request.git(name, url, commit, subdirectory.as_deref())
}
