//! The Python distributions of a tree, and whether their files are what their RECORDs say.

use std::collections::BTreeSet;

use anyhow::Result;
use serde::Serialize;

use crate::audit::contents::Contents;
use crate::audit::finding::{Finding, Severity};
use crate::audit::unlisted;
use crate::digest::base64url;
use crate::parallel;
use crate::pep::Requirement;
use crate::tree::content::Content;
use crate::tree::{Entry, PkgPath, Tree};
use crate::wheel::installed::{below, text};
use crate::wheel::metadata::Metadata;
use crate::wheel::record::{self, Listed};

/// One distribution.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Distribution {
    /// Its name, as it says it.
    pub name: String,
    /// Its version, as it says it.
    pub version: String,
    /// An SPDX expression, else what it says; empty when it says nothing.
    pub licence: String,
    /// Its directory of metadata.
    pub path: String,
    /// Normalised names of the distributions it always needs or needs on some systems; none of those for extras.
    pub requires: BTreeSet<String>,
    /// Who installed it.
    pub installer: String,
    /// How many files it lists.
    pub files: usize,
    /// How many of them are not what is listed.
    pub modified: usize,
    /// How many of them are not there.
    pub missing: usize,
    /// How many files lie among them that it does not list.
    pub unlisted: usize,
}

/// How the path of core metadata ends.
const METADATA: &str = ".dist-info/METADATA";

/// A file that a RECORD lists with a digest, as base64url.
struct Promise {
    owner: usize,
    path: PkgPath,
    sha256: String,
}

/// Distributions sorted by path, none of whose files are counted; `jobs` are read at a time.
pub(super) fn list(tree: &Tree, jobs: usize) -> Result<Vec<Distribution>> {
    let infos = tree.files().filter(|(path, ..)| path.as_str().ends_with(METADATA));
    let infos: Vec<_> =
        infos.filter_map(|(path, content, _)| Some((path.parent()?, content))).collect();
    parallel::filter_map(&infos, jobs, |(dir, content)| Ok(described(tree, dir, content)))
}

/// Distributions sorted by path, and what is wrong with them.
pub(super) fn read(tree: &Tree, contents: &Contents) -> (Vec<Distribution>, Vec<Finding>) {
    let (mut all, mut findings, mut promises) = (Vec::new(), Vec::new(), Vec::new());
    for (path, content, _) in tree.files() {
        let name = path.as_str();
        if name.ends_with(METADATA) {
            let Some(dir) = path.parent() else { continue };
            if let Some((one, listed)) = distribution(tree, &dir, content, all.len()) {
                findings.extend(of_metadata(&one, tree, &dir));
                all.push(one);
                promises.extend(listed);
            }
        } else if is_egg(path) {
            all.extend(egg(path, content));
        } else if is_read_at_start(path) {
            findings.extend(of_start(path, content));
        }
    }
    for Promise { owner, path, sha256 } in promises {
        if contents.digests.get(&path).map(|digest| base64url(digest)) != Some(sha256) {
            let owner: &mut Distribution = &mut all[owner];
            owner.modified += 1;
            let message = format!("it is not what {} {} lists", owner.name, owner.version);
            findings.push(Finding::new("PY003", path.absolute(), message));
        }
    }
    let is_torn = |one: &&Distribution| one.missing > 0;
    findings.extend(all.iter().filter(is_torn).map(|one| {
        let place = format!("{} {}", one.name, one.version);
        let message = match one.missing {
            1 => "a file that its RECORD lists is not there".to_owned(),
            count => format!("{count} files that its RECORD lists are not there"),
        };
        Finding::new("PY003", place, message).at(Severity::Warn)
    }));
    findings.extend(unlisted::findings(tree, &mut all));
    (all, findings)
}

/// Whether site reads a file when Python starts.
fn is_read_at_start(path: &PkgPath) -> bool {
    let is_site = |dir: PkgPath| dir.file_name().ends_with("-packages");
    path.as_str().ends_with(".pth") && path.parent().is_some_and(is_site)
}

/// Whether a file is the metadata of a distribution in the way of before PEP 376, which has no RECORD.
fn is_egg(path: &PkgPath) -> bool {
    path.as_str().ends_with(".egg-info/PKG-INFO") || path.file_name().ends_with(".egg-info")
}

fn egg(path: &PkgPath, content: &Content) -> Option<Distribution> {
    let metadata = Metadata::parse(&text(content).ok()?).ok()?;
    Some(Distribution {
        requires: requires(&metadata),
        licence: licence(&metadata),
        name: metadata.name,
        version: metadata.version,
        path: path.absolute(),
        installer: String::new(),
        files: 0,
        modified: 0,
        missing: 0,
        unlisted: 0,
    })
}

/// The distribution with its metadata in `dir`, and what its RECORD promises.
fn distribution(
    tree: &Tree,
    dir: &PkgPath,
    metadata: &Content,
    owner: usize,
) -> Option<(Distribution, Vec<Promise>)> {
    let mut one = described(tree, dir, metadata)?;
    let listed = beside(tree, dir, "RECORD").and_then(|text| record::parse(&text).ok());
    let listed = listed.unwrap_or_default();
    one.files = listed.len();
    let root = dir.parent()?;
    let mut promises = Vec::new();
    for (name, listed) in &listed {
        let Some(path) = below(&root, name) else { continue };
        match (tree.get(&path), listed) {
            (Some(Entry::File { .. }), Listed::Hashed { algorithm, digest, .. })
                if algorithm == "sha256" =>
            {
                let sha256 = digest.clone();
                promises.push(Promise { owner, path, sha256 });
            }
            (Some(_), _) => {}
            // Byte code is made anew where it is missing.
            (None, _) if name.ends_with(".pyc") => {}
            (None, _) => one.missing += 1,
        }
    }
    Some((one, promises))
}

/// What the distribution with its metadata in `dir` says of itself.
fn described(tree: &Tree, dir: &PkgPath, metadata: &Content) -> Option<Distribution> {
    let metadata = Metadata::parse(&text(metadata).ok()?).ok()?;
    Some(Distribution {
        requires: requires(&metadata),
        licence: licence(&metadata),
        name: metadata.name,
        version: metadata.version,
        path: dir.absolute(),
        installer: beside(tree, dir, "INSTALLER").unwrap_or_default().trim().to_owned(),
        files: 0,
        modified: 0,
        missing: 0,
        unlisted: 0,
    })
}

/// The text of the file `name` in a directory of metadata.
fn beside(tree: &Tree, dir: &PkgPath, name: &str) -> Option<String> {
    match tree.get(&dir.join(name).ok()?)? {
        Entry::File { content, .. } => text(content).ok(),
        Entry::Dir { .. } | Entry::Symlink { .. } => None,
    }
}

fn requires(metadata: &Metadata) -> BTreeSet<String> {
    let all = metadata.requires_dist.iter().filter_map(|text| text.parse::<Requirement>().ok());
    all.filter(|one| !one.marker.contains("extra")).map(|one| one.name).collect()
}

/// An SPDX expression, else a name, else a classifier, else the beginning of a text (PEP 639).
fn licence(metadata: &Metadata) -> String {
    const NAME: usize = 60;
    let classifier = metadata.classifiers.iter().find_map(|name| {
        let named = name.strip_prefix("License :: ")?;
        named.rsplit(" :: ").next()
    });
    let text = metadata.license.as_deref().map(str::trim).filter(|text| !text.is_empty());
    let name = text.filter(|text| text.len() <= NAME && !text.contains('\n'));
    let expression = metadata.license_expression.as_deref();
    match expression.or(name).or(classifier).or(text) {
        Some(text) if text.chars().count() > NAME => text
            .chars()
            .take(NAME)
            .map(|at| if at.is_control() { ' ' } else { at })
            .chain("...".chars())
            .collect(),
        text => text.unwrap_or_default().to_owned(),
    }
}

fn of_metadata(one: &Distribution, tree: &Tree, dir: &PkgPath) -> Vec<Finding> {
    let place = || format!("{} {}", one.name, one.version);
    let mut findings = Vec::new();
    if one.licence.is_empty() {
        findings.push(Finding::new("PY005", place(), "it names none".to_owned()));
    }
    let source = dir.join("direct_url.json").ok().and_then(|path| tree.get(&path));
    if let Some(Entry::File { content, .. }) = source
        && text(content).is_ok_and(|text| text.replace(' ', "").contains("\"editable\":true"))
    {
        let message = "direct_url.json says that it is editable".to_owned();
        findings.push(Finding::new("PY006", place(), message));
    }
    findings
}

/// Lines of a `.pth` file that are code (site, "import").
fn of_start(path: &PkgPath, content: &Content) -> Option<Finding> {
    let text = text(content).ok()?;
    let line =
        text.lines().find(|line| line.starts_with("import ") || line.starts_with("import\t"))?;
    let line: String = line.chars().take(80).collect();
    Some(Finding::new("PY007", path.absolute(), format!("it runs `{line}`")))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::audit::contents;
    use crate::audit::distributions::read;
    use crate::tree::content::Content;
    use crate::tree::{Entry, PkgPath, Tree};

    fn tree(files: &[(&str, &str)]) -> Tree {
        let mut tree = Tree::new();
        for (name, text) in files {
            let path = PkgPath::new(&format!("opt/a/lib/site-packages/{name}")).unwrap();
            tree.insert(path, Entry::file(Content::bytes(*text), 0o644, &Arc::from(""))).unwrap();
        }
        tree
    }

    #[test]
    fn files_are_compared_with_their_record() {
        let tree = tree(&[
            ("a.py", "x"),
            ("b.py", "y"),
            ("x.pth", "/path\nimport a; a.run()\n"),
            ("inside/x.pth", "import nothing\n"),
            ("c-3.egg-info/PKG-INFO", "Name: c\nVersion: 3\nLicense: MIT\n"),
            (
                "a-1.0.dist-info/METADATA",
                "Name: A\nVersion: 1.0\nClassifier: License :: OSI Approved :: MIT License\n",
            ),
            ("a-1.0.dist-info/INSTALLER", "pip\n"),
            (
                "a-1.0.dist-info/RECORD",
                "a.py,sha256=LXEWQrcmsEQBYnyp-6wy9chTD7GQPMTbAiWHF5IaSIE,1\n\
                 b.py,sha256=LXEWQrcmsEQBYnyp-6wy9chTD7GQPMTbAiWHF5IaSIE,1\ngone.py,,\n\
                 inside/__pycache__/x.cpython-311.pyc,,\na-1.0.dist-info/RECORD,,\n",
            ),
            ("b-2.dist-info/METADATA", "Name: b\nVersion: 2\n"),
            ("b-2.dist-info/direct_url.json", "{\"dir_info\": {\"editable\": true}}"),
        ]);
        let (all, findings) = read(&tree, &contents::read(&tree, 1).unwrap());
        let told: Vec<_> = all
            .iter()
            .map(|one| {
                (one.name.as_str(), one.licence.as_str(), one.files, one.modified, one.missing)
            })
            .collect();
        assert_eq!(
            told,
            [("A", "MIT License", 5, 1, 1), ("b", "", 0, 0, 0), ("c", "MIT", 0, 0, 0)]
        );
        let ids: Vec<_> = findings.iter().map(|finding| finding.id).collect();
        assert_eq!(ids, ["PY005", "PY006", "PY007", "PY003", "PY003"]);
    }
}
