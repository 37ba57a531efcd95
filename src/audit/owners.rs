//! What is unsafe about whose the entries of a package are.

use std::collections::BTreeMap;

use crate::audit::finding::Finding;
use crate::package::Ownership;
use crate::tree::{Entry, PkgPath, Tree};

/// Where accounts have files of their own.
const DATA: [&str; 4] = ["etc/", "run/", "srv/", "var/"];

/// Findings of the entries of `tree` that are not root's alone.
pub fn findings(owners: &BTreeMap<PkgPath, Ownership>, tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, owner) in owners {
        let mode = match tree.get(path) {
            Some(Entry::File { mode, .. } | Entry::Dir { mode }) => *mode,
            Some(Entry::Symlink { .. }) | None => continue,
        };
        let Ownership { user, group, capabilities } = owner;
        if !capabilities.is_empty() {
            let message = format!("whoever runs it gets {capabilities}");
            findings.push(Finding::new("FS001", path.absolute(), message));
        }
        let is_root = user == "root" && group == "root";
        if !is_root && !DATA.iter().any(|dir| path.as_str().starts_with(dir)) {
            let message = format!("it is of `{user}:{group}`, and its mode is {mode:04o}");
            findings.push(Finding::new("FS012", path.absolute(), message));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use crate::audit::owners::findings;
    use crate::package::Ownership;
    use crate::tree::content::Content;
    use crate::tree::{Entry, PkgPath, Tree};

    #[test]
    fn owners() {
        let check = |path: &str, [user, group, capabilities]: [&str; 3], expected: &[&str]| {
            let path = PkgPath::new(path).unwrap();
            let mut tree = Tree::new();
            let file = Entry::file(Content::bytes("x"), 0o2755, &Arc::from(""));
            tree.insert(path.clone(), file).unwrap();
            let owner = Ownership::new(user.to_owned(), group.to_owned(), capabilities.to_owned());
            let owners: BTreeMap<_, _> = owner.map(|owner| (path, owner)).into_iter().collect();
            let told = findings(&owners, &tree);
            let told: Vec<_> = told
                .iter()
                .map(|one| format!("{} {}: {}", one.severity.name(), one.id, one.message))
                .collect();
            assert_eq!(told, expected);
        };
        check("usr/bin/x", ["root", "root", ""], &[]);
        let told = "warn FS012: it is of `root:games`, and its mode is 2755";
        check("usr/bin/x", ["root", "games", ""], &[told]);
        check("var/lib/x", ["acme", "acme", ""], &[]);
        let told = "error FS001: whoever runs it gets cap_net_raw=ep";
        check("usr/bin/x", ["root", "root", "cap_net_raw=ep"], &[told]);
    }
}
