//! `Pipfile.lock`: the `default` section; what is for development is left out.

use std::collections::BTreeMap;

use anyhow::Result;
use serde::Deserialize;

use crate::document::from_json;
use crate::lock::pin::Pin;
use crate::lock::request::Request;
use crate::lock::{Kind, Lock};
use crate::pep::normalize_name;

#[derive(Deserialize)]
struct Document {
    #[serde(rename = "_meta")]
    meta: Meta,
    #[serde(default)]
    default: BTreeMap<String, Package>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Meta {
    pipfile_spec: i64,
    #[serde(default)]
    requires: Requires,
    #[serde(default)]
    sources: Vec<Index>,
}

#[derive(Default, Deserialize)]
struct Requires {
    python_version: Option<String>,
    python_full_version: Option<String>,
}

#[derive(Deserialize)]
struct Index {
    name: Option<String>,
    url: String,
    verify_ssl: Option<bool>,
}

#[derive(Deserialize)]
struct Package {
    version: Option<String>,
    #[serde(default)]
    hashes: Vec<String>,
    index: Option<String>,
    #[serde(default)]
    markers: String,
    #[serde(default)]
    extras: Vec<String>,
    git: Option<String>,
    #[serde(rename = "ref")]
    reference: Option<String>,
    path: Option<String>,
    file: Option<String>,
    subdirectory: Option<String>,
}

/// Reads a `Pipfile.lock`.
pub(crate) fn read(text: &str, request: &Request) -> Result<Lock> {
    let document: Document = from_json(text.as_bytes(), request.file)?;
    if document.meta.pipfile_spec != 6 {
        let message = format!("pipfile-spec {} is unknown", document.meta.pipfile_spec);
        return Err(request.fault_hint(&message, "lock with a pipenv that writes 6"));
    }
    let Requires { python_version, python_full_version } = &document.meta.requires;
    let wanted = [(python_full_version, ""), (python_version, ".*")];
    for (version, suffix) in wanted {
        if let Some(version) =
            version.as_ref().filter(|version| !matches!(version.as_str(), "" | "*"))
        {
            request.check_python(&format!("=={version}{suffix}"))?;
        }
    }
    let mut pins = Vec::new();
    for (name, package) in &document.default {
        if request.applies(&package.markers, &[])? {
            pins.extend(pin(name, package, &document.meta.sources, request)?);
        }
    }
    let mut lock = request.lock(Kind::Pipfile, pins)?;
    for source in document.meta.sources.iter().filter(|source| source.verify_ssl == Some(false)) {
        let host = source
            .url
            .split("://")
            .nth(1)
            .unwrap_or_default()
            .split('/')
            .next()
            .unwrap_or_default();
        let host = host.rsplit('@').next().unwrap_or(host);
        lock.options.push(format!("--trusted-host {}", request.index(host)?));
    }
    Ok(lock)
}

fn pin(name: &str, package: &Package, sources: &[Index], request: &Request) -> Result<Option<Pin>> {
    let locate = |error: anyhow::Error| request.locate(&error);
    let Package { version, git, path, file, subdirectory, .. } = package;
    let subdirectory = subdirectory.as_deref();
    let pin = if let Some(git) = git {
        let Some(at) = &package.reference else {
            return Err(
                request.fault(&format!("the repository of `{}` has no `ref`", name.escape_debug()))
            );
        };
        Some(request.git(name, git, at, subdirectory)?)
    } else if let Some(file) = file.as_ref().filter(|file| file.contains("://")) {
        let part = subdirectory.map_or_else(String::new, |dir| format!("#subdirectory={dir}"));
        Some(Pin::url(Some(name), &format!("{file}{part}")).map_err(locate)?)
    } else if let Some(path) = path.as_ref().or(file.as_ref()) {
        request.local(Some(name), path)?
    } else {
        let index = index(package.index.as_deref(), sources, request)?;
        Some(Pin { index, ..registered(name, version.as_deref().unwrap_or("*"), request)? })
    };
    let Some(pin) = pin else { return Ok(None) };
    let extras = package.extras.iter().map(|extra| normalize_name(extra));
    let extras = extras.collect::<Result<_>>().map_err(locate)?;
    Ok(Some(Pin { extras, ..pin.hashed(&package.hashes).map_err(locate)? }))
}

/// A package from an index. pipenv leaves `*` in place of versions it did not resolve for its own platform.
fn registered(name: &str, version: &str, request: &Request) -> Result<Pin> {
    let exact = version.trim_start_matches('=');
    let pin = match version {
        "*" | "" => Pin::index(name, "", None),
        _ if version.starts_with("==") => Pin::exact(name, exact),
        _ => {
            let message = format!(
                "version `{}` of `{}` is not exact",
                version.escape_debug(),
                name.escape_debug()
            );
            return Err(request.fault(&message));
        }
    };
    pin.map_err(|error| request.locate(&error))
}

/// The index of a package: the one it names, or the first one.
fn index(name: Option<&str>, sources: &[Index], request: &Request) -> Result<Option<String>> {
    let named = sources.iter().find(|source| name.is_some() && source.name.as_deref() == name);
    named.or(sources.first()).map(|source| request.index(&source.url)).transpose()
}

#[cfg(test)]
mod tests {
    use crate::lock::pipfile::read;
    use crate::lock::testing::{self, summary, survives};

    const TEXT: &str = r#"{
    "_meta": {
        "hash": {"sha256": "934fc52569e3b1b581deeaaf230cd1c5c7258750173dc66ea0a4af0858f55ecd"},
        "pipfile-spec": 6,
        "requires": {"python_version": "3.11"},
        "sources": [
            {"name": "pypi", "url": "https://pypi.example/simple", "verify_ssl": true},
            {"name": "acme", "url": "https://u:${TOKEN}@pypi.acme.example:8443/simple", "verify_ssl": false}
        ]
    },
    "default": {
        "acme": {"index": "acme", "version": "==1.0"},
        "app": {"editable": true, "path": "."},
        "colorama": {"markers": "sys_platform == 'win32'", "version": "*"},
        "gitdep": {"git": "https://git.example/gitdep.git", "ref": "d0a9fc48a326e967088d9f1fb3c3168342d06672"},
        "helper": {"editable": true, "path": "./packages/helper"},
        "httpx": {
            "extras": ["http2"],
            "hashes": [
                "sha256:5e866ffb00000000000000000000000000000000000000000000000000000000",
                "sha256:6e866ffb00000000000000000000000000000000000000000000000000000000"
            ],
            "index": "pypi",
            "markers": "python_version >= '3.8'",
            "version": "==0.28.1"
        },
        "iniconfig": {
            "file": "https://files.example/iniconfig-2.0.0-py3-none-any.whl",
            "hashes": ["sha256:b6a85871a79d2e3b22d2d1b94ac2824226a63c6b741c88f7ae975f18b6778374"]
        }
    },
    "develop": {"pytest": {"version": "==9.2.0"}}
}"#;

    #[test]
    fn packages() {
        let lock = testing::read(read, TEXT, &[], None).unwrap();
        assert_eq!(
            summary(&lock),
            "./packages/helper\nacme==1.0\ngitdep @ git+https://git.example/gitdep.git@d0a9fc48a326e967088d9f1fb3c3168342d06672\nhttpx[http2]==0.28.1 #2\niniconfig @ https://files.example/iniconfig-2.0.0-py3-none-any.whl #1"
        );
        assert_eq!(
            lock.options,
            [
                "--extra-index-url https://u:${TOKEN}@pypi.acme.example:8443/simple",
                "--trusted-host pypi.acme.example:8443"
            ]
        );
    }

    #[test]
    fn faults() {
        for (from, to, message) in [
            ("spec\": 6", "spec\": 7", "pipfile-spec 7 is unknown"),
            ("\"3.11\"", "\"3.12\"", "it is for Python `==3.12.*`, the target is Python 3.11.2"),
            ("==0.28.1", ">=0.28", "version `>=0.28` of `httpx` is not exact"),
            ("\"ref\"", "\"rev\"", "the repository of `gitdep` has no `ref`"),
            (
                "\"sha256:5e",
                "\"sha256:5",
                "`sha256:5866ffb00000000000000000000000000000000000000000000000000000000` is not a hash of httpx==0.28.1",
            ),
        ] {
            let text = TEXT.replace(from, to);
            assert_ne!(text, TEXT, "{from}");
            let error = testing::read(read, &text, &[], None).unwrap_err();
            assert_eq!(error.to_string(), format!("cannot use `x.lock`: {message}"));
        }
        survives(|text| testing::read(read, text, &[], None), TEXT);
    }
}
