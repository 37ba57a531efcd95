//! What is unsafe about the modes and links of a tree.

use crate::audit::finding::Finding;
use crate::needs::paths::normal;
use crate::tree::{Entry, PkgPath, Tree};

/// Set-user-ID and set-group-ID.
const SET_ID: u32 = 0o6000;
/// Others than the owner may write.
const SHARED: u32 = 0o022;
/// Files are of the system where links of packages may lead.
const SYSTEM: [&str; 6] = ["/usr/", "/bin/", "/lib/", "/lib64/", "/etc/", "/run/"];

/// Findings of files, directories and links.
pub(super) fn findings(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, entry) in tree.iter() {
        let mut found = |id, message: String| {
            findings.push(Finding::new(id, path.absolute(), message));
        };
        match entry {
            Entry::File { mode, .. } | Entry::Dir { mode } => {
                if matches!(entry, Entry::File { .. }) && mode & SET_ID != 0 {
                    found("FS001", format!("its mode is {mode:04o}"));
                }
                if mode & SHARED != 0 {
                    found("FS002", format!("its mode is {mode:04o}"));
                }
            }
            Entry::Symlink { target } => {
                let end = leads_to(path, target);
                if has(tree, &end) || SYSTEM.iter().any(|dir| end.starts_with(dir)) {
                    continue;
                }
                if tree_has_top(tree, &end) {
                    found("FS010", format!("it leads to `{end}`, which is not there"));
                } else {
                    found("FS006", format!("it leads to `{end}`"));
                }
            }
        }
    }
    findings
}

/// The absolute path a link leads to; above the root there is the root.
fn leads_to(path: &PkgPath, target: &str) -> String {
    let base = path.parent().map_or_else(String::new, |dir| dir.absolute());
    let whole =
        if target.starts_with('/') { target.to_owned() } else { format!("{base}/{target}") };
    normal(&whole).unwrap_or(whole)
}

fn has(tree: &Tree, path: &str) -> bool {
    let Ok(path) = PkgPath::new(path) else { return path == "/" };
    tree.get(&path).is_some()
}

/// Whether the tree has anything in the top-level directory and the one below it that `path` is in.
fn tree_has_top(tree: &Tree, path: &str) -> bool {
    let top: Vec<_> = path.split('/').skip(1).take(2).collect();
    has(tree, &format!("/{}", top.join("/")))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::audit::file_checks::findings;
    use crate::tree::{Content, Entry, PkgPath, Tree};

    fn check(path: &str, entry: Entry, expected: &[&str]) {
        let mut tree = Tree::new();
        let file = Entry::file(Content::bytes("x"), 0o644, &Arc::from(""));
        tree.insert(PkgPath::new("opt/a/lib/file").unwrap(), file).unwrap();
        tree.insert(PkgPath::new(path).unwrap(), entry).unwrap();
        let ids: Vec<_> = findings(&tree).iter().map(|finding| finding.id).collect();
        assert_eq!(ids, expected, "{path}");
    }

    #[test]
    fn modes() {
        let file = |mode| Entry::file(Content::bytes("x"), mode, &Arc::from(""));
        check("opt/a/x", file(0o755), &[]);
        check("opt/a/x", file(0o4755), &["FS001"]);
        check("opt/a/x", file(0o664), &["FS002"]);
        check("opt/a/x", Entry::Dir { mode: 0o777 }, &["FS002"]);
        check("opt/a/x", Entry::Dir { mode: 0o2755 }, &[]);
    }

    #[test]
    fn links() {
        let link = |target: &str| Entry::Symlink { target: target.to_owned() };
        check("opt/a/x", link("lib/file"), &[]);
        check("opt/a/x", link("/opt/a/lib"), &[]);
        check("opt/a/x", link("/usr/bin/python3.11"), &[]);
        check("opt/a/x", link("gone"), &["FS010"]);
        check("opt/a/x", link("/home/me/x"), &["FS006"]);
        check("opt/a/x", link("../../../x"), &["FS006"]);
    }
}
