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

/// Read and, of directories, search for others than the owner and the group.
const READABLE: (u32, u32) = (0o004, 0o005);
/// Where what only its owner may read is what it should be.
const PRIVATE: [&str; 4] = ["/etc/", "/root/", "/run/", "/var/"];

/// Findings of files, directories and links.
pub(super) fn findings(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, entry) in tree.iter() {
        let mut found = |id, message: String| {
            findings.push(Finding::new(id, path.absolute(), message));
        };
        match entry {
            Entry::File { mode, .. } | Entry::Dir { mode } => {
                let is_file = matches!(entry, Entry::File { .. });
                if is_file && mode & SET_ID != 0 {
                    found("FS001", format!("its mode is {mode:04o}"));
                }
                if mode & SHARED != 0 {
                    found("FS002", format!("its mode is {mode:04o}"));
                }
                let needed = if is_file { READABLE.0 } else { READABLE.1 };
                let is_private = PRIVATE.iter().any(|dir| path.absolute().starts_with(dir));
                if mode & needed != needed && !is_private {
                    found("FS003", format!("its mode is {mode:04o}"));
                }
            }
            Entry::Symlink { target } => {
                let end = leads_to(path, target);
                // systemd.unit(5): "a symlink to /dev/null" masks a unit.
                let is_fine = has(tree, &end)
                    || end == "/dev/null"
                    || SYSTEM.iter().any(|dir| end.starts_with(dir));
                if is_loop(tree, path, target) {
                    found("FS010", format!("it leads to `{end}`, and in a circle"));
                } else if is_fine {
                    continue;
                } else if tree_has_top(tree, &end) {
                    found("FS010", format!("it leads to `{end}`, which is not there"));
                } else {
                    found("FS006", format!("it leads to `{end}`"));
                }
            }
        }
    }
    findings
}

/// Whether a link leads to itself, or to links that do, or through more than the kernel follows (path_resolution(7)).
fn is_loop(tree: &Tree, path: &PkgPath, target: &str) -> bool {
    const MAX_LINKS: usize = 40;
    let mut end = leads_to(path, target);
    for _ in 0..MAX_LINKS {
        let Ok(next) = PkgPath::new(&end) else { return false };
        let Some(Entry::Symlink { target }) = tree.get(&next) else { return false };
        end = leads_to(&next, target);
    }
    true
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
    use crate::tree::content::Content;
    use crate::tree::{Entry, PkgPath, Tree};

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
        check("opt/a/x", Entry::Dir { mode: 0o750 }, &["FS003"]);
        check("opt/a/x", file(0o600), &["FS003"]);
        check("etc/a/x", file(0o600), &[]);
        check("opt/a/x", file(0o660), &["FS002", "FS003"]);
        check("opt/a/x", Entry::Dir { mode: 0o2755 }, &[]);
    }

    #[test]
    fn links() {
        let link = |target: &str| Entry::Symlink { target: target.to_owned() };
        check("opt/a/x", link("lib/file"), &[]);
        check("opt/a/x", link("/opt/a/lib"), &[]);
        check("opt/a/x", link("/usr/bin/python3.11"), &[]);
        check("usr/lib/systemd/system/a.service", link("/dev/null"), &[]);
        check("opt/a/x", link("gone"), &["FS010"]);
        check("opt/a/x", link("x"), &["FS010"]);
        check("usr/lib/x", link("../lib/x"), &["FS010"]);
        check("opt/a/x", link("/home/me/x"), &["FS006"]);
        check("opt/a/x", link("../../../x"), &["FS006"]);
    }
}
