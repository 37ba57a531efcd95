//! `pylock.toml` (PEP 751).
//!
//! Files are named by hash only: the installer picks the one for the target, from the index of the package.

use std::collections::BTreeMap;

use anyhow::Result;
use serde::Deserialize;

use crate::document::from_toml;
use crate::lock::pin::{Pin, is_plain};
use crate::lock::request::Request;
use crate::lock::{Kind, Lock};
use crate::pep::normalize_name;

// Later minor versions add keys, which readers must ignore (PEP 751, "Versioning").
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Document {
    lock_version: String,
    requires_python: Option<String>,
    #[serde(default)]
    environments: Vec<String>,
    #[serde(default)]
    extras: Vec<String>,
    #[serde(default)]
    default_groups: Vec<String>,
    #[serde(default)]
    packages: Vec<Package>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Package {
    name: String,
    version: Option<String>,
    #[serde(default)]
    marker: String,
    requires_python: Option<String>,
    index: Option<String>,
    vcs: Option<Vcs>,
    directory: Option<Directory>,
    archive: Option<File>,
    sdist: Option<File>,
    #[serde(default)]
    wheels: Vec<File>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Vcs {
    #[serde(rename = "type")]
    kind: String,
    url: Option<String>,
    path: Option<String>,
    commit_id: String,
    subdirectory: Option<String>,
}

#[derive(Deserialize)]
struct Directory {
    path: String,
}

#[derive(Deserialize)]
struct File {
    url: Option<String>,
    path: Option<String>,
    subdirectory: Option<String>,
    #[serde(default)]
    hashes: BTreeMap<String, String>,
}

/// Reads a `pylock.toml`.
pub(crate) fn read(text: &str, request: &Request) -> Result<Lock> {
    let document: Document = from_toml(text, request.file)?;
    let version = document.lock_version.as_str();
    if version != "1" && !version.starts_with("1.") {
        let message = format!("lock-version `{}` is unknown", version.escape_debug());
        return Err(request.fault_hint(&message, "lock with a tool that writes lock-version `1.0`"));
    }
    if let Some(python) = &document.requires_python {
        request.check_python(python)?;
    }
    let extras = document.extras.iter().map(|extra| normalize_name(extra));
    let extras: Vec<_> = extras.collect::<Result<_>>().map_err(|error| request.locate(&error))?;
    request.check_extras(&extras.iter().map(String::as_str).collect::<Vec<_>>())?;
    check_environments(&document, request)?;
    let mut pins = Vec::new();
    let mut finds = Vec::new();
    for package in &document.packages {
        let marker = rewrite(&package.marker, &document.default_groups);
        if !request.applies(&marker, &request.roots.extras)? {
            continue;
        }
        if let Some(python) = &package.requires_python {
            let scoped = format!("{}, package `{}`", request.file, package.name.escape_debug());
            Request { file: &scoped, ..*request }.check_python(python)?;
        }
        let pin = pin(package, request)?;
        if let Some(dir) = pin.as_ref().and_then(|_| local_dir(package, request)) {
            finds.push(dir);
        }
        pins.extend(pin);
    }
    let mut lock = request.lock(Kind::Pylock, pins)?;
    finds.sort_unstable();
    finds.dedup();
    lock.options.extend(finds);
    Ok(lock)
}

fn check_environments(document: &Document, request: &Request) -> Result<()> {
    for marker in &document.environments {
        if request.applies(marker, &[])? {
            return Ok(());
        }
    }
    match document.environments.is_empty() {
        true => Ok(()),
        false => Err(request.fault_hint(
            "none of its `environments` is the target's",
            "lock for the target, or choose another interpreter with `--python`",
        )),
    }
}

fn pin(package: &Package, request: &Request) -> Result<Option<Pin>> {
    let name = package.name.as_str();
    let locate = |error: anyhow::Error| request.locate(&error);
    if let Some(vcs) = &package.vcs {
        let path = vcs.path.as_ref().map(|path| format!("file:{path}"));
        let Some(url) = vcs.url.as_ref().or(path.as_ref()).filter(|_| vcs.kind == "git") else {
            let message =
                format!("`{}` comes from a repository that is not git", name.escape_debug());
            return Err(request.fault_hint(&message, "lock a release of it"));
        };
        return request.git(name, url, &vcs.commit_id, vcs.subdirectory.as_deref()).map(Some);
    }
    if let Some(directory) = &package.directory {
        return request.local(Some(name), &directory.path);
    }
    if let Some(archive) = &package.archive {
        let part = archive.subdirectory.as_ref();
        let part = part.map_or_else(String::new, |dir| format!("#subdirectory={dir}"));
        let pin = match (&archive.url, &archive.path) {
            (Some(url), _) => Some(Pin::url(Some(name), &format!("{url}{part}")).map_err(locate)?),
            (None, Some(path)) => request.local(Some(name), path)?,
            (None, None) => None,
        };
        let Some(pin) = pin else {
            return Err(request.fault(&format!("the archive of `{name}` has no `url` or `path`")));
        };
        return pin.hashed(strong(archive)).map_err(locate).map(Some);
    }
    let Some(version) = &package.version else {
        return Err(
            request.fault(&format!("`{}` has neither version nor source", name.escape_debug()))
        );
    };
    let pin = Pin::exact(name, version).map_err(locate)?;
    let mut pin =
        pin.hashed(package.sdist.iter().chain(&package.wheels).flat_map(strong)).map_err(locate)?;
    pin.index = package.index.as_deref().map(|index| request.index(index)).transpose()?;
    Ok(Some(pin))
}

/// The best hash of a file, or none that is strong enough.
fn strong(file: &File) -> Option<String> {
    let best = ["sha256", "sha512", "sha384"].into_iter();
    let mut best = best.filter_map(|name| file.hashes.get(name).map(|hex| format!("{name}:{hex}")));
    best.next()
}

/// The option that leads an installer to files which lie beside the lock.
fn local_dir(package: &Package, request: &Request) -> Option<String> {
    let file = package.wheels.iter().chain(&package.sdist).find(|file| file.url.is_none())?;
    let path = request.path(file.path.as_ref()?);
    let dir = path.parent()?.to_str().filter(|dir| is_plain(dir))?;
    Some(format!("--find-links {dir}"))
}

/// Turns `'x' in extras` into `extra == 'x'` and decides `'x' in dependency_groups`, which PEP 508 does not know.
fn rewrite(marker: &str, groups: &[String]) -> String {
    let words = words(marker);
    let mut plain: Vec<String> = Vec::new();
    let mut at = 0;
    while let Some(word) = words.get(at) {
        let following = |offset: usize| words.get(at + offset).map_or("", String::as_str);
        let (negated, set) = match following(1) {
            "in" => (false, following(2)),
            "not" if following(2) == "in" => (true, following(3)),
            _ => (false, ""),
        };
        let quoted = word.starts_with(['"', '\'']);
        match set {
            "extras" if quoted => {
                let operator = if negated { "!=" } else { "==" };
                plain.push(format!("extra {operator} {word}"));
            }
            "dependency_groups" if quoted => {
                let asked = word.trim_matches(['"', '\'']);
                let asked = normalize_name(asked).is_ok_and(|asked| {
                    groups
                        .iter()
                        .any(|group| normalize_name(group).is_ok_and(|group| group == asked))
                });
                let operator = if asked == negated { "<" } else { ">=" };
                plain.push(format!("python_version {operator} '0'"));
            }
            _ => {
                plain.push(word.clone());
                at += 1;
                continue;
            }
        }
        at += if negated { 4 } else { 3 };
    }
    plain.join(" ")
}

/// The words of a marker: strings, names, operators and parentheses.
fn words(marker: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = marker.trim_start();
    while let Some(first) = rest.chars().next() {
        let name = |at: char| at.is_alphanumeric() || matches!(at, '_' | '.');
        let stop =
            |at: char| name(at) || at.is_whitespace() || matches!(at, '"' | '\'' | '(' | ')');
        let len = match first {
            '"' | '\'' => rest[1..].find(first).map_or(rest.len(), |end| end + 2),
            '(' | ')' => 1,
            _ if name(first) => rest.find(|at| !name(at)).unwrap_or(rest.len()),
            _ => rest.find(stop).unwrap_or(rest.len()),
        };
        let (word, after) = rest.split_at(len);
        words.push(word.to_owned());
        rest = after.trim_start();
    }
    words
}

#[cfg(test)]
mod tests {
    use crate::lock::pylock::{read, rewrite};
    use crate::lock::testing::{self, summary, survives};

    const TEXT: &str = r#"
lock-version = "1.0"
created-by = "uv"
requires-python = ">=3.9"
environments = ["sys_platform == 'linux'"]
extras = ["Postgres", "docs"]
dependency-groups = ["dev"]
default-groups = ["main"]

[[packages]]
name = "acme-web"
directory = { path = ".", editable = true }

[[packages]]
name = "helper"
directory = { path = "packages/helper", editable = true }

[[packages]]
name = "click"
version = "8.1.8"
marker = "python_full_version < '3.10'"
index = "https://pypi.example/simple"
wheels = [{ url = "https://files.example/click-8.1.8-py3-none-any.whl", hashes = { sha256 = "63c132bbbed01578a06712a2d1f497bb62d9c1c0d329b7903a866228027263b2" } }]

[[packages]]
name = "click"
version = "8.5.1"
marker = "python_full_version >= '3.10'"
index = "https://pypi.example/simple"
sdist = { url = "https://files.example/click-8.5.1.tar.gz", upload-time = 2026-11-06T17:37:01Z, size = 1, hashes = { sha256 = "00c132bbbed01578a06712a2d1f497bb62d9c1c0d329b7903a866228027263b2" } }
wheels = [{ url = "https://files.example/click-8.5.1-py3-none-any.whl", hashes = { md5 = "00", sha256 = "63c132bbbed01578a06712a2d1f497bb62d9c1c0d329b7903a866228027263b2" } }]

[[packages]]
name = "gitdep"
version = "0.3"
vcs = { type = "git", url = "https://u:p@git.example/gitdep", commit-id = "d0a9fc48a326e967088d9f1fb3c3168342d06672", subdirectory = "py" }

[[packages]]
name = "iniconfig"
version = "2.0.0"
archive = { url = "https://files.example/iniconfig-2.0.0-py3-none-any.whl", hashes = { sha256 = "b6a85871a79d2e3b22d2d1b94ac2824226a63c6b741c88f7ae975f18b6778374" } }

[[packages]]
name = "psycopg2"
version = "2.9.13"
marker = "'postgres' in extras and os_name == 'posix'"
index = "https://mirror.example/simple"
wheels = [{ path = "wheels/psycopg2-2.9.13-cp311-cp311-linux_x86_64.whl", hashes = { sha256 = "10c132bbbed01578a06712a2d1f497bb62d9c1c0d329b7903a866228027263b2" } }]

[[packages]]
name = "pytest"
version = "9.2.0"
marker = "'dev' in dependency_groups"

[[packages]]
name = "rich"
version = "15.0"
marker = "'main' in dependency_groups and 'docs' not in extras"
"#;

    fn check(extras: &[&str], expected: &str) {
        let lock = testing::read(read, TEXT, extras, None).unwrap();
        assert_eq!(summary(&lock), expected);
    }

    #[test]
    fn packages() {
        let common = "./packages/helper\nclick==8.5.1 #2\ngitdep @ git+https://****@git.example/gitdep@d0a9fc48a326e967088d9f1fb3c3168342d06672#subdirectory=py\niniconfig @ https://files.example/iniconfig-2.0.0-py3-none-any.whl #1";
        check(&[], &format!("{common}\nrich==15.0"));
        check(&["docs"], common);
        check(&["postgres"], &format!("{common}\npsycopg2==2.9.13 #1\nrich==15.0"));
        let lock = testing::read(read, TEXT, &["postgres"], None).unwrap();
        assert_eq!(
            lock.options,
            ["--extra-index-url https://mirror.example/simple", "--find-links wheels"]
        );
        assert!(lock.is_closure());
    }

    #[test]
    fn markers() {
        for (marker, expected) in [
            ("'x' in extras", "extra == 'x'"),
            ("\"x\" not in extras and (os_name=='a')", "extra != \"x\" and ( os_name == 'a' )"),
            ("'G_1' in dependency_groups", "python_version >= '0'"),
            ("'g-1' not in dependency_groups", "python_version < '0'"),
            ("'h' in dependency_groups", "python_version < '0'"),
            ("'win' in sys_platform", "'win' in sys_platform"),
            ("'unclosed", "'unclosed"),
            ("", ""),
        ] {
            assert_eq!(rewrite(marker, &["g.1".to_owned()]), expected, "{marker}");
        }
    }

    #[test]
    fn faults() {
        for (from, to, message) in [
            ("\"1.0\"", "\"2.0\"", "cannot use `x.lock`: lock-version `2.0` is unknown"),
            (
                "\">=3.9\"",
                "\">=3.12\"",
                "cannot use `x.lock`: it is for Python `>=3.12`, the target is Python 3.11.2",
            ),
            (
                "= 'linux'",
                "= 'win32'",
                "cannot use `x.lock`: none of its `environments` is the target's",
            ),
            (
                "\"click\"",
                "\"-click\"",
                "cannot use `x.lock`: `-click` is not a valid distribution name",
            ),
            (
                "d0a9",
                "--upload-pack=x d0a9",
                "cannot use `x.lock`: `--upload-pack=x d0a9fc48a326e967088d9f1fb3c3168342d06672` of `gitdep` is not a commit",
            ),
            (
                "\"git\"",
                "\"hg\"",
                "cannot use `x.lock`: `gitdep` comes from a repository that is not git",
            ),
            (
                "version = \"9.2.0\"\nmarker = \"'dev' in dependency_groups\"",
                "",
                "cannot use `x.lock`: `pytest` has neither version nor source",
            ),
        ] {
            let text = TEXT.replace(from, to);
            assert_ne!(text, TEXT);
            assert_eq!(testing::read(read, &text, &[], None).unwrap_err().to_string(), message);
        }
        let error = testing::read(read, TEXT, &["nope"], None).unwrap_err();
        assert_eq!(error.to_string(), "cannot use `x.lock`: it has no extra `nope`");
        survives(|text| testing::read(read, text, &["postgres"], None), TEXT);
    }
}
