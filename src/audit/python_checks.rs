//! What is wrong with the Python distributions of a tree as a whole.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;

use crate::audit::Aside;
use crate::audit::finding::{Finding, Severity};
use crate::package::Machine;
use crate::pep::{Environment, Version, normalize_name};
use crate::tree::content::Content;
use crate::tree::{PkgPath, Tree};
use crate::wheel::installed::{below, text};
use crate::wheel::metadata::Metadata;
use crate::wheel::record;
use crate::wheel::requirements::{Distribution, Extras, Unmet, unmet};

/// Longest requirement that is read. The time to read one grows faster than its length; true ones have 300 bytes.
const MAX_REQUIREMENT: usize = 2048;

/// Environments that are looked at; a package has one, or one of each of a few releases.
const MAX_ENVIRONMENTS: usize = 16;
/// Requirements of all distributions of an environment together.
const MAX_REQUIREMENTS: usize = 50_000;

/// Findings of the tree, and what could not be judged.
pub(super) fn findings(tree: &Tree, machine: Option<Machine>) -> Aside {
    let mut aside = Aside { findings: shared(tree), inconclusive: Vec::new() };
    aside.findings.extend(tree.iter().filter_map(|(path, _)| mismatch(tree, path)));
    aside
        .findings
        .extend(tree.files().flat_map(|(path, content, _)| elsewhere(tree, path, content)));
    let configs = tree.files().filter(|(path, ..)| path.file_name() == "pyvenv.cfg");
    for (path, content, _) in configs.take(MAX_ENVIRONMENTS) {
        let (Some(prefix), Ok(text)) = (path.parent(), text(content)) else { continue };
        for site in sites(tree, &prefix) {
            match requirements(tree, &site, &text, machine) {
                Ok(found) => aside.findings.extend(found),
                Err(error) => {
                    let what = format!("what distributions in `{site}` require: {error}");
                    aside.inconclusive.push(what);
                }
            }
        }
    }
    aside
}

/// An extension module whose name is for another Python than the directory it is in (PEP 3149): it is never imported.
fn mismatch(tree: &Tree, path: &PkgPath) -> Option<Finding> {
    let (stem, rest) = path.file_name().split_once(".cpython-")?;
    let (tag, platform) = rest.strip_suffix(".so")?.split_once('-')?;
    let version = path.as_str().split('/').rev().find_map(|part| part.strip_prefix("python3."))?;
    if tag == format!("3{version}") {
        return None;
    }
    let dir = path.parent()?;
    let right = format!(".cpython-3{version}-{platform}.so");
    let beside =
        |end: &str| dir.join(&format!("{stem}{end}")).is_ok_and(|it| tree.get(&it).is_some());
    // Of several builds side by side one is right.
    if [right.as_str(), ".so", ".abi3.so", ".py"].into_iter().any(beside) {
        return None;
    }
    let message = format!("it is for CPython {}, and Python 3.{version} looks there", dotted(tag));
    Some(Finding::new("PY001", path.absolute(), message))
}

/// `311t` as `3.11t`.
fn dotted(tag: &str) -> String {
    let (major, minor) = tag.split_at_checked(1).unwrap_or((tag, ""));
    format!("{major}.{minor}")
}

/// Files that several distributions list as theirs: removing one takes them from the other.
fn shared(tree: &Tree) -> Vec<Finding> {
    let mut owners: BTreeMap<PkgPath, String> = BTreeMap::new();
    let mut pairs: BTreeMap<(String, String), Vec<PkgPath>> = BTreeMap::new();
    for (path, content, _) in tree.files() {
        let Some(dir) = path.parent().filter(|_| path.as_str().ends_with(".dist-info/RECORD"))
        else {
            continue;
        };
        // What a distribution brings of another one is its own.
        let root = dir.parent().filter(|root| root.file_name().ends_with("-packages"));
        let (Some(root), Ok(text)) = (root, text(content)) else { continue };
        let name = dir.file_name().trim_end_matches(".dist-info").to_owned();
        for file in record::parse(&text).unwrap_or_default().keys() {
            let Some(file) = below(&root, file).filter(|file| tree.get(file).is_some()) else {
                continue;
            };
            match owners.get(&file) {
                Some(other) => pairs.entry((name.clone(), other.clone())).or_default().push(file),
                None => drop(owners.insert(file, name.clone())),
            }
        }
    }
    let finding = |((name, other), files): (&(String, String), &Vec<PkgPath>)| {
        let more = match files.len() - 1 {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let message = format!("{other} lists `{}`{more}, too", files[0]);
        Finding::new("PY002", name.clone(), message)
    };
    pairs.iter().map(finding).collect()
}

/// Signs that a distribution is imported from where it was developed: what setuptools and others leave for that.
fn elsewhere(tree: &Tree, path: &PkgPath, content: &Content) -> Vec<Finding> {
    let name = path.file_name();
    let is_module = path.parent().is_some_and(|dir| dir.file_name().ends_with("-packages"));
    let found = |message: String| Finding::new("PY006", path.absolute(), message);
    if !is_module {
        Vec::new()
    } else if name.starts_with("__editable__") || name.ends_with(".egg-link") {
        vec![found("it leads to where a distribution was developed".to_owned())]
    } else if name.ends_with(".pth") {
        let text = text(content).unwrap_or_default();
        let lines = text.lines().map(str::trim_end).filter(|line| line.starts_with('/'));
        let strange = lines.filter(|line| {
            let is_there = PkgPath::new(line).is_ok_and(|dir| tree.get(&dir).is_some());
            !is_there && !line.starts_with("/usr/lib/")
        });
        strange.map(|line| found(format!("it adds `{line}` to the path of modules"))).collect()
    } else {
        Vec::new()
    }
}

/// The directories of modules of the environment at `prefix`.
fn sites(tree: &Tree, prefix: &PkgPath) -> Vec<PkgPath> {
    let is_site = |path: &PkgPath| {
        let parts = path.below(prefix).map(|below| below.split('/').collect::<Vec<_>>());
        matches!(parts.as_deref(), Some(["lib", python, "site-packages"]) if python.starts_with("python3."))
    };
    tree.iter().map(|(path, _)| path).filter(|path| is_site(path)).cloned().collect()
}

/// What the distributions in `site` require and have not, as far as the environment has to be complete in itself.
fn requirements(
    tree: &Tree,
    site: &PkgPath,
    config: &str,
    machine: Option<Machine>,
) -> Result<Vec<Finding>> {
    let value = |key: &str| {
        let mut lines = config.lines().filter_map(|line| line.split_once('='));
        lines.find(|(name, _)| name.trim() == key).map(|(_, value)| value.trim())
    };
    // PEP 405: "include-system-site-packages".
    if value("include-system-site-packages").is_some_and(|is| is.eq_ignore_ascii_case("true")) {
        return Ok(Vec::new());
    }
    let all = distributions(tree, site);
    let distributions: Vec<_> = all
        .iter()
        .map(|(name, version, metadata)| Distribution { name, version, metadata })
        .collect();
    let minor = site.parent().map(|dir| dir.file_name().replace("python", "")).unwrap_or_default();
    let minor = minor.trim_end_matches('t');
    let full = value("version").or_else(|| value("version_info"));
    let full = full.filter(|full| full.starts_with(minor) && full.parse::<Version>().is_ok());
    let judge = |full: &str| {
        let environment = environment(minor, full, machine);
        unmet(&distributions, Extras::new(), &environment)
    };
    let mut missing = judge(full.unwrap_or(&format!("{minor}.0")))?;
    if full.is_none() {
        // Whatever holds for the first and the last release of the minor version holds.
        let last = judge(&format!("{minor}.99"))?;
        missing.retain(|one| last.contains(one));
    }
    Ok(missing.into_iter().map(|one| finding(&all[one.of].2, one)).collect())
}

fn finding(of: &Metadata, Unmet { requirement, found, .. }: Unmet) -> Finding {
    let wanted = format!("it requires `{}{}`", requirement.name, requirement.specifiers);
    let (message, severity) = match found {
        None => (format!("{wanted}, which is not there"), Severity::Error),
        Some(version) => (format!("{wanted}, and {version} is there"), Severity::Warn),
    };
    Finding::new("PY004", format!("{} {}", of.name, of.version), message).at(severity)
}

fn distributions(tree: &Tree, site: &PkgPath) -> Vec<(String, Version, Metadata)> {
    let mut all = Vec::new();
    let (mut names, mut requirements) = (BTreeSet::new(), 0);
    for (path, content, _) in tree.files() {
        let is_metadata = path.below(site).is_some_and(|below| {
            below.ends_with(".dist-info/METADATA") && below.matches('/').count() == 1
        });
        if !is_metadata {
            continue;
        }
        let metadata = text(content).ok().and_then(|text| Metadata::parse(&text).ok());
        let Some(mut metadata) = metadata else { continue };
        metadata.requires_dist.retain(|text| text.len() <= MAX_REQUIREMENT);
        metadata.requires_dist.truncate(MAX_REQUIREMENTS.saturating_sub(requirements));
        requirements += metadata.requires_dist.len();
        let name = normalize_name(&metadata.name);
        if let (Ok(name), Ok(version)) = (name, metadata.version.parse::<Version>())
            && names.insert(name.clone())
        {
            all.push((name, version, metadata));
        }
    }
    all
}

/// What CPython on Linux answers to markers; what a package cannot know is empty.
fn environment(minor: &str, full: &str, machine: Option<Machine>) -> Environment {
    let text = |text: &str| text.to_owned();
    Environment {
        implementation_name: text("cpython"),
        implementation_version: text(full),
        os_name: text("posix"),
        platform_machine: text(machine.map_or("x86_64", Machine::uname)),
        platform_python_implementation: text("CPython"),
        platform_release: String::new(),
        platform_system: text("Linux"),
        platform_version: String::new(),
        python_full_version: text(full),
        python_version: text(minor),
        sys_platform: text("linux"),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::audit::python_checks::findings;
    use crate::tree::content::Content;
    use crate::tree::{Entry, PkgPath, Tree};

    /// Files below `/opt/a/lib/python3.11/site-packages`, or absolute ones.
    fn check(files: &[(&str, &str)], expected: &[&str]) {
        let mut tree = Tree::new();
        for (name, text) in files {
            let path = match name.strip_prefix('/') {
                Some(path) => path.to_owned(),
                None => format!("opt/a/lib/python3.11/site-packages/{name}"),
            };
            let entry = Entry::file(Content::bytes(*text), 0o644, &Arc::from(""));
            tree.insert(PkgPath::new(&path).unwrap(), entry).unwrap();
        }
        let aside = findings(&tree, None);
        assert_eq!(aside.inconclusive, [""; 0]);
        let told: Vec<_> = aside
            .findings
            .iter()
            .map(|one| format!("{} {}: {}", one.severity.name(), one.id, one.message))
            .collect();
        assert_eq!(told, expected, "{files:?}");
    }

    #[test]
    fn extensions() {
        let other = "m.cpython-310-x86_64-linux-gnu.so";
        let told = "error PY001: it is for CPython 3.10, and Python 3.11 looks there";
        check(&[(other, "")], &[told]);
        check(&[(other, ""), ("x/m.cpython-311-x86_64-linux-gnu.so", "")], &[told]);
        check(&[(other, ""), ("m.cpython-311-x86_64-linux-gnu.so", "")], &[]);
        check(&[(other, ""), ("m.py", "")], &[]);
        let threads = "error PY001: it is for CPython 3.11t, and Python 3.11 looks there";
        check(&[("m.cpython-311t-x86_64-linux-gnu.so", "")], &[threads]);
        check(&[("m.abi3.so", ""), ("m.so", "")], &[]);
        check(&[("/usr/lib/python3/dist-packages/m.cpython-310-x86_64-linux-gnu.so", "")], &[]);
    }

    #[test]
    fn files_of_two() {
        let one = ("a-1.dist-info/RECORD", "x.py,,\ny.py,,\n");
        let files = [one, ("b-2.dist-info/RECORD", "x.py,,\nz.py,,\n"), ("x.py", ""), ("y.py", "")];
        check(
            &files,
            &[&format!(
                "warn PY002: a-1 lists `/{}/x.py`, too",
                "opt/a/lib/python3.11/site-packages"
            )],
        );
        check(&[one, ("x.py", "")], &[]);
        let vendored = ("b/_vendor/x-1.dist-info/RECORD", "../../x.py,,\n");
        check(&[one, vendored, ("x.py", "")], &[]);
    }

    #[test]
    fn sources_elsewhere() {
        let told = "error PY006: it leads to where a distribution was developed";
        check(&[("__editable___a_finder.py", "")], &[told]);
        check(&[("a.egg-link", "")], &[told]);
        check(
            &[("a.pth", "/home/me/a\n")],
            &["error PY006: it adds `/home/me/a` to the path of modules"],
        );
        check(&[("a.pth", "sub\n/opt/a/lib\n# /home\n")], &[]);
        check(&[("docs/__editable__.txt", "")], &[]);
    }

    #[test]
    fn requirements() {
        let needs = |text: &str| format!("Name: A\nVersion: 1\nRequires-Dist: {text}\n");
        let b = ("b-1.dist-info/METADATA", "Name: b\nVersion: 1\n");
        let verdict = |text: &str, config: &str, expected: &[&str]| {
            check(
                &[("a-1.dist-info/METADATA", &needs(text)), b, ("/opt/a/pyvenv.cfg", config)],
                expected,
            );
        };
        verdict("b>=1", "", &[]);
        verdict("c", "", &["error PY004: it requires `c`, which is not there"]);
        verdict("b>2", "", &["warn PY004: it requires `b>2`, and 1 is there"]);
        verdict("c; python_version < '3.11'", "", &[]);
        // It depends on the patch release, which the second knows.
        verdict("c; python_full_version < '3.11.3'", "", &[]);
        let old = "version = 3.11.2\n";
        verdict(
            "c; python_full_version < '3.11.3'",
            old,
            &["error PY004: it requires `c`, which is not there"],
        );
        verdict("c", "include-system-site-packages = true\n", &[]);
        check(&[("a-1.dist-info/METADATA", &needs("c"))], &[]);
    }
}
