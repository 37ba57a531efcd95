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

#[cfg(test)]
mod tests {
    use crate::lock::testing::{self, summary, survives};
    use crate::lock::uv::read;

    const TEXT: &str = r#"
version = 1
revision = 5
requires-python = ">=3.9"
resolution-markers = ["python_full_version >= '3.10'", "python_full_version < '3.10'"]

[manifest]
members = ["acme-web", "helper", "tools"]

[[package]]
name = "acme-web"
version = "1.0"
source = { editable = "." }
dependencies = [
    { name = "colorama", marker = "sys_platform == 'win32'" },
    { name = "gitdep" },
    { name = "helper" },
    { name = "httpx", extra = ["http2"], marker = "sys_platform == 'linux'" },
    { name = "iniconfig" },
    { name = "tools" },
]

[package.optional-dependencies]
new = [{ name = "idna", version = "3.7", source = { registry = "https://pypi.example/simple" }, marker = "extra == 'extra-8-acme-web-new'" }]
vendor = [{ name = "local" }, { name = "flat" }, { name = "private" }]

[package.dev-dependencies]
dev = [{ name = "pytest" }]

[package.metadata]
provides-extras = ["new", "vendor", "empty"]

[[package]]
name = "flat"
version = "1.0"
source = { registry = "vendor" }
wheels = [{ path = "flat-1.0-py3-none-any.whl" }]

[[package]]
name = "gitdep"
version = "0.3"
source = { git = "https://git.example/gitdep?subdirectory=py&tag=v0.3#d0a9fc48a326e967088d9f1fb3c3168342d06672" }

[[package]]
name = "h2"
version = "4.3.0"
source = { registry = "https://pypi.example/simple" }
resolution-markers = ["python_full_version < '3.10'"]

[[package]]
name = "h2"
version = "4.4.1"
source = { registry = "https://pypi.example/simple" }
resolution-markers = ["python_full_version >= '3.12'", "python_full_version == '3.11.*'"]
dependencies = [{ name = "httpx" }]
sdist = { url = "https://files.example/h2-4.4.1.tar.gz", hash = "sha256:4e866ffb00000000000000000000000000000000000000000000000000000000", size = 1, upload-time = "2026-08-03T11:45:09.509Z" }
wheels = [
    { url = "https://files.example/h2-4.4.1-py3-none-any.whl", hash = "sha256:5e866ffb00000000000000000000000000000000000000000000000000000000" },
]

[[package]]
name = "helper"
version = "0.1"
source = { editable = "packages/helper" }

[[package]]
name = "httpx"
version = "0.28.1"
source = { registry = "https://pypi.example/simple" }
dependencies = [
    { name = "idna", version = "2.10", source = { registry = "https://pypi.example/simple" }, marker = "extra != 'extra-8-acme-web-new'" },
]

[package.optional-dependencies]
http2 = [{ name = "h2" }]

[[package]]
name = "idna"
version = "2.10"
source = { registry = "https://pypi.example/simple" }

[[package]]
name = "idna"
version = "3.7"
source = { registry = "https://pypi.example/simple" }

[[package]]
name = "iniconfig"
version = "2.0.0"
source = { url = "https://files.example/iniconfig-2.0.0-py3-none-any.whl" }
wheels = [{ url = "https://files.example/iniconfig-2.0.0-py3-none-any.whl", hash = "sha256:b6a85871a79d2e3b22d2d1b94ac2824226a63c6b741c88f7ae975f18b6778374" }]

[[package]]
name = "local"
version = "2.0"
source = { path = "vendor/local-2.0-py3-none-any.whl" }
wheels = [{ filename = "local-2.0-py3-none-any.whl", hash = "sha256:c6a85871a79d2e3b22d2d1b94ac2824226a63c6b741c88f7ae975f18b6778374" }]

[[package]]
name = "private"
version = "3.0"
source = { registry = "https://u:p@pypi.acme.example/simple" }

[[package]]
name = "pytest"
version = "9.2.0"
source = { registry = "https://pypi.example/simple" }

[[package]]
name = "tools"
version = "0.1"
source = { virtual = "tools" }
dependencies = [{ name = "iniconfig" }]
"#;

    const COMMON: [&str; 5] = [
        "./packages/helper",
        "gitdep @ git+https://git.example/gitdep@d0a9fc48a326e967088d9f1fb3c3168342d06672#subdirectory=py",
        "h2==4.4.1 #2",
        "httpx==0.28.1",
        "iniconfig @ https://files.example/iniconfig-2.0.0-py3-none-any.whl #1",
    ];

    fn check(extras: &[&str], more: &[&str]) {
        let lock = testing::read(read, TEXT, extras, None).unwrap();
        let mut expected = [&COMMON[..], more].concat();
        expected.sort_unstable();
        assert_eq!(summary(&lock), expected.join("\n"));
    }

    #[test]
    fn the_graph_is_walked() {
        check(&[], &["idna==2.10"]);
        check(&["empty"], &["idna==2.10"]);
        check(&["new"], &["idna==3.7"]);
        let vendor =
            ["./vendor/local-2.0-py3-none-any.whl #1", "flat==1.0", "idna==2.10", "private==3.0"];
        check(&["vendor"], &vendor);
        let lock = testing::read(read, TEXT, &["vendor"], None).unwrap();
        assert_eq!(
            lock.options,
            ["--extra-index-url https://u:p@pypi.acme.example/simple", "--find-links vendor"]
        );
    }

    #[test]
    fn faults() {
        for (from, to, message) in [
            ("version = 1\n", "version = 2\n", "its version 2 is unknown"),
            ("\">=3.9\"", "\">=3.13\"", "it is for Python `>=3.13`, the target is Python 3.11.2"),
            (
                "{ name = \"h2\" }",
                "{ name = \"h3\" }",
                "`httpx` needs `h3`, and no package is that",
            ),
            ("== '3.11.*'\"", "== '3.13.*'\"", "`httpx` needs `h2`, and no package is that"),
            (
                "< '3.10'\"]\n\n[[",
                "> '3.10'\"]\n\n[[",
                "`httpx` needs `h2`, and more than one package is that",
            ),
            (
                "#d0a9",
                "#x d0a9",
                "`x d0a9fc48a326e967088d9f1fb3c3168342d06672` of `gitdep` is not a commit",
            ),
            (
                "sys_platform == 'linux'",
                "sys_platform ==",
                "`sys_platform ==` is not an environment marker: Expected marker value, found end of dependency specification",
            ),
            ("source = { virtual = \"tools\" }", "source = {}", ""),
        ] {
            let text = TEXT.replace(from, to);
            assert_ne!(text, TEXT, "{from}");
            match testing::read(read, &text, &[], None) {
                Err(error) if message.is_empty() => {
                    assert_eq!(
                        error.to_string(),
                        "cannot use `x.lock`: the source of `tools` is unknown"
                    );
                }
                Err(error) => {
                    assert_eq!(error.to_string(), format!("cannot use `x.lock`: {message}"))
                }
                Ok(_) => assert_eq!(from, "< '3.10'\"]\n\n[["),
            }
        }
        let error = testing::read(read, TEXT, &["nope"], None).unwrap_err();
        assert_eq!(error.to_string(), "cannot use `x.lock`: it has no extra `nope`");
        let other = TEXT.replace("name = \"acme-web\"", "name = \"other\"");
        assert!(
            testing::read(read, &other, &[], None).is_ok(),
            "the package at `.` is the project"
        );
        let error = testing::read(read, &other.replace("\".\"", "\"..\""), &[], None).unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot use `x.lock`: it does not hold the project `acme-web`"
        );
        survives(|text| testing::read(read, text, &["new"], None), TEXT);
    }
}
