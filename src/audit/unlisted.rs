//! Files that lie among those of a distribution, and that its RECORD does not list.
//!
//! Of a file beside all distributions nobody can say whose it is; such files are not told.

use std::collections::{BTreeMap, BTreeSet};

use crate::audit::distributions::Distribution;
use crate::audit::finding::{Finding, Severity};
use crate::tree::{Entry, PkgPath, Tree};

/// What the interpreter or the loader runs when it is asked for by name.
const CODE: [&str; 3] = [".py", ".so", ".pth"];

/// A directory of packages right below the modules, such as `site-packages/numpy`.
#[derive(Default)]
struct Top<'a> {
    /// Distributions that list files in it.
    owners: BTreeSet<&'a str>,
    /// What none of them lists.
    unlisted: Vec<&'a PkgPath>,
}

/// Counts the files in `all`, and tells of them; the files of `tree` name who lists them.
pub(super) fn findings(tree: &Tree, all: &mut [Distribution]) -> Vec<Finding> {
    let mut unlisted: BTreeMap<&str, Vec<&PkgPath>> = BTreeMap::new();
    for Top { owners, unlisted: files } in tops(tree, all).into_values() {
        // Several share a directory when it is a namespace (PEP 420), and each may have left the file.
        if let (Some(owner), 1) = (owners.first(), owners.len()) {
            unlisted.entry(owner).or_default().extend(files);
        }
    }
    let mut findings = Vec::new();
    for one in all {
        let name = format!("{} {}", one.name, one.version);
        let files = unlisted.remove(name.as_str()).unwrap_or_default();
        one.unlisted = files.len();
        findings.extend(finding(name, &files));
    }
    findings
}

/// The directories right below those that the metadata of `all` lies in.
fn tops<'a>(tree: &'a Tree, all: &[Distribution]) -> BTreeMap<&'a str, Top<'a>> {
    let roots = all.iter().filter_map(|one| one.path.rsplit_once('/')).map(|(root, _)| root);
    let roots: BTreeSet<_> = roots.map(|root| root.trim_start_matches('/')).collect();
    let mut tops: BTreeMap<&str, Top<'_>> = BTreeMap::new();
    for (path, entry) in tree.iter() {
        let Entry::File { origin, .. } = entry else { continue };
        let Some(top) = top(path.as_str(), &roots) else { continue };
        let known = tops.entry(top).or_default();
        if !origin.is_empty() {
            known.owners.insert(origin);
        } else if !path.as_str().ends_with(".pyc") {
            known.unlisted.push(path);
        }
    }
    tops
}

/// The part of a file's path that is the directory right below one of `roots`; metadata is no package.
fn top<'a>(path: &'a str, roots: &BTreeSet<&str>) -> Option<&'a str> {
    let mut ends = path.match_indices('/').map(|(at, _)| at);
    ends.find(|at| roots.contains(&path[..*at]))?;
    let top = &path[..ends.next()?];
    let is_metadata = [".dist-info", ".egg-info"].iter().any(|end| top.ends_with(end));
    (!is_metadata).then_some(top)
}

fn finding(place: String, files: &[&PkgPath]) -> Option<Finding> {
    let is_code = |path: &PkgPath| CODE.iter().any(|end| path.as_str().ends_with(end));
    let code = files.iter().copied().find(|path| is_code(path));
    let (first, severity) = match code {
        Some(code) => (code, Severity::Warn),
        None => (*files.first()?, Severity::Info),
    };
    let message = match files.len() {
        1 => format!("`{first}` is among its files, and its RECORD does not list it"),
        count => format!(
            "{count} files are among its own, and its RECORD does not list them: `{first}` and others"
        ),
    };
    Some(Finding::new("PY003", place, message).at(severity))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::audit::distributions::list;
    use crate::audit::unlisted::findings;
    use crate::tree::content::Content;
    use crate::tree::{Entry, PkgPath, Tree};

    /// Files below `site-packages` with who lists them.
    fn check(files: &[(&str, &str)], expected: &[&str]) {
        let mut tree = Tree::new();
        let metadata = [("a-1.dist-info/METADATA", "a 1"), ("b-2.dist-info/METADATA", "b 2")];
        for (name, origin) in files.iter().chain(&metadata) {
            let path = PkgPath::new(&format!("opt/a/lib/site-packages/{name}")).unwrap();
            let text = origin
                .split_once(' ')
                .map(|(name, version)| format!("Name: {name}\nVersion: {version}\n"));
            let content = Content::bytes(text.unwrap_or_default());
            tree.insert(path, Entry::file(content, 0o644, &Arc::from(*origin))).unwrap();
        }
        let mut all = list(&tree, 1).unwrap();
        let told = findings(&tree, &mut all);
        let told: Vec<_> = told
            .iter()
            .map(|one| format!("{} {}: {}", one.severity.name(), one.place, one.message))
            .collect();
        let told: Vec<_> =
            told.iter().map(|one| one.replace("/opt/a/lib/site-packages/", "")).collect();
        assert_eq!(told, expected, "{files:?}");
        let count: usize = all.iter().map(|one| one.unlisted).sum();
        assert_eq!(count > 0, !expected.is_empty());
    }

    #[test]
    fn files_among_those_of_a_distribution() {
        let own = ("a/x.py", "a 1");
        let unlisted = "is among its files, and its RECORD does not list it";
        check(&[own], &[]);
        check(&[own, ("a/sub/y.py", "")], &[&format!("warn a 1: `a/sub/y.py` {unlisted}")]);
        check(&[own, ("a/y.json", "")], &[&format!("info a 1: `a/y.json` {unlisted}")]);
        let more = "2 files are among its own, and its RECORD does not list them";
        check(
            &[own, ("a/y.json", ""), ("a/z.so", "")],
            &[&format!("warn a 1: {more}: `a/z.so` and others")],
        );
        // Byte code, metadata, what is nobody's, and a directory that two have files in.
        check(&[own, ("a/__pycache__/x.cpython-311.pyc", "")], &[]);
        check(&[own, ("a-1.dist-info/x", "")], &[]);
        check(&[own, ("c/x.py", ""), ("x.py", "")], &[]);
        check(&[own, ("a/b.py", "b 2"), ("a/y.py", "")], &[]);
    }
}
