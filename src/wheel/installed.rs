//! Distributions of a tree that was installed: who brought each file, by the RECORDs in it.
//!
//! Trees come from packages of unknown origin: what cannot be read is said, and the rest holds.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::tree::content::Content;
use crate::tree::{Entry, PkgPath, Tree};
use crate::wheel::metadata::Metadata;
use crate::wheel::record;

/// RECORD and METADATA are text; the largest ones have some megabytes.
const TEXT_LIMIT: u64 = 64 << 20;

/// `tree` with the distribution of each file as its origin, such as `numpy 2.4.6`, or nothing for a file of none.
///
/// The sentences say what could not be read.
pub fn with_distributions(tree: Tree) -> (Tree, Vec<String>) {
    let (mut owners, mut troubles) = (BTreeMap::new(), Vec::new());
    let is_record = |path: &PkgPath| path.as_str().ends_with(".dist-info/RECORD");
    for (path, content, _) in tree.files().filter(|(path, ..)| is_record(path)) {
        match listed(&tree, path, content) {
            Ok((origin, files)) => {
                owners.extend(files.into_iter().map(|file| (file, Arc::clone(&origin))));
            }
            Err(what) => troubles.push(format!("`{path}` {what}")),
        }
    }
    let nobody: Arc<str> = Arc::from("");
    let mut with = Tree::new();
    for (path, entry) in tree.iter() {
        let entry = match entry {
            Entry::File { content, mode, role, mtime, .. } => {
                let origin = Arc::clone(owners.get(path).unwrap_or(&nobody));
                Entry::File {
                    content: content.clone(),
                    mode: *mode,
                    role: *role,
                    origin,
                    mtime: *mtime,
                }
            }
            Entry::Dir { .. } | Entry::Symlink { .. } => entry.clone(),
        };
        with.insert(path.clone(), entry).expect("the paths fit together in the first tree");
    }
    (with, troubles)
}

/// The distribution a RECORD is of, and the files it lists.
fn listed(
    tree: &Tree,
    path: &PkgPath,
    content: &Content,
) -> Result<(Arc<str>, Vec<PkgPath>), String> {
    let info = path.parent().ok_or("is in no directory")?;
    let root = info.parent().ok_or("is in no directory of modules")?;
    let files = record::parse(&text(content)?)?;
    let files = files.keys().filter_map(|name| below(&root, name)).collect();
    let metadata = info.join("METADATA").ok().and_then(|path| tree.get(&path));
    let metadata = match metadata {
        Some(Entry::File { content, .. }) => text(content)?,
        Some(Entry::Dir { .. } | Entry::Symlink { .. }) | None => {
            return Err("has no METADATA beside it".to_owned());
        }
    };
    let metadata =
        Metadata::parse(&metadata).map_err(|error| format!("is without use: {error}"))?;
    Ok((Arc::from(format!("{} {}", metadata.name, metadata.version)), files))
}

/// The text of a RECORD or METADATA; the error says what is wrong with it.
pub fn text(content: &Content) -> Result<String, String> {
    if content.len() > TEXT_LIMIT {
        return Err("is too large".to_owned());
    }
    let bytes = content.read().map_err(|error| format!("cannot be read: {error}"))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The file a RECORD in `root` calls `name`; `None` for what is in no package.
pub fn below(root: &PkgPath, name: &str) -> Option<PkgPath> {
    if name.starts_with('/') {
        return PkgPath::new(name).ok();
    }
    let mut parts: Vec<_> = root.as_str().split('/').collect();
    for part in name.split('/') {
        match part {
            "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    PkgPath::new(&parts.join("/")).ok()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::tree::content::Content;
    use crate::tree::{Entry, PkgPath, Tree};
    use crate::wheel::installed::with_distributions;

    const SITE: &str = "opt/a/lib/python3.11/site-packages";

    fn check(files: &[(&str, &str)], expected: &[(&str, &str)], told: &[&str]) {
        let mut tree = Tree::new();
        let package = Arc::from("a 1-1");
        for (name, text) in files {
            let path = PkgPath::new(&format!("{SITE}/{name}").replace("site-packages/^", "x/"));
            let entry = Entry::file(Content::bytes(*text), 0o644, &package);
            tree.insert(path.unwrap(), entry).unwrap();
        }
        let (tree, troubles) = with_distributions(tree);
        let troubles: Vec<_> =
            troubles.iter().map(|text| text.replace(&format!("/{SITE}/"), "")).collect();
        assert_eq!(troubles, told);
        for (name, origin) in expected {
            let path = PkgPath::new(&format!("{SITE}/{name}").replace("site-packages/^", "x/"));
            let entry = tree.get(&path.unwrap());
            let Some(Entry::File { origin: found, .. }) = entry else {
                panic!("{name}: {entry:?}")
            };
            assert_eq!(&**found, *origin, "{name}");
        }
    }

    #[test]
    fn files_belong_to_the_distribution_that_lists_them() {
        check(
            &[
                ("d-2.dist-info/METADATA", "Metadata-Version: 2.1\nName: D\nVersion: 2\n"),
                (
                    "d-2.dist-info/RECORD",
                    "d.so,,\n../x/run,,\nd-2.dist-info/RECORD,,\n../../../../../..,,\n",
                ),
                ("d.so", ""),
                ("^run", ""),
                ("other.so", ""),
            ],
            &[("d.so", "D 2"), ("^run", "D 2"), ("d-2.dist-info/RECORD", "D 2"), ("other.so", "")],
            &[],
        );
    }

    #[test]
    fn what_cannot_be_read_is_said() {
        check(
            &[
                ("a.dist-info/RECORD", "d.so,,\n"),
                ("b.dist-info/RECORD", "d.so\n"),
                ("c.dist-info/RECORD", "d.so,,\n"),
                ("c.dist-info/METADATA", "Name: c\n"),
                ("d.so", ""),
            ],
            &[("d.so", "")],
            &[
                "`a.dist-info/RECORD` has no METADATA beside it",
                "`b.dist-info/RECORD` has a line of other than three fields",
                "`c.dist-info/RECORD` is without use: METADATA has no `Version`",
            ],
        );
    }
}
