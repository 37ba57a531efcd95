//! What a package provides of users and groups: the lines of its files in `/usr/lib/sysusers.d`, from which rpm 4.19 and
//! later makes accounts before it unpacks the package.
//!
//! The same as rpm's own generator (`fileattrs/sysusers.attr`, macro `%add_sysuser`), but that nothing is required for
//! members of groups: older releases of rpm provide no groups.

use anyhow::{Context, Result};

use crate::backend::rpm::dependency::Dependency;
use crate::digest::base64url;
use crate::error::UserError;
use crate::tree::{Entry, PkgPath, Tree};

const DIR: &str = "usr/lib/sysusers.d";

/// What the account files of a package provide.
pub(super) fn provided(tree: &Tree) -> Result<Vec<Dependency>> {
    let dir = PkgPath::new(DIR)?;
    let mut provided = Vec::new();
    for (path, entry) in tree.iter().filter(|(path, _)| is_account_file(path, &dir)) {
        let Entry::File { content, .. } = entry else { continue };
        let text = content.read().with_context(|| format!("cannot read `{path}`"))?;
        for line in String::from_utf8_lossy(&text).lines() {
            provided.extend(of_line(path, line)?);
        }
    }
    Ok(provided)
}

fn is_account_file(path: &PkgPath, dir: &PkgPath) -> bool {
    path.below(dir).is_some_and(|name| name.ends_with(".conf"))
}

/// What one line provides: a user comes with a group of the same name, whose line there is none of.
fn of_line(path: &PkgPath, line: &str) -> Result<Vec<Dependency>> {
    let words: Vec<_> = line.split_whitespace().collect();
    let [kind, name, ..] = words[..] else { return Ok(Vec::new()) };
    if kind.starts_with(['#', ';']) {
        return Ok(Vec::new());
    }
    let value = encoded(&words.join(" "));
    let exact = |capability: &str| Dependency::exact(capability, &value);
    Ok(match (kind, words.get(2)) {
        ("u" | "u!", _) => {
            let group = Dependency::any(&format!("group({name})"));
            vec![exact(&format!("user({name})")), group]
        }
        ("g", _) => vec![exact(&format!("group({name})"))],
        ("m", Some(group)) => vec![exact(&format!("groupmember({name}/{group})"))],
        ("r", _) => Vec::new(),
        _ => {
            let message = format!("`{path}` has a line of no known kind: `{line}`");
            let hint = "write it as sysusers.d(5) says: `u`, `g`, `m` or `r`, then a name";
            return Err(UserError::usage(message).hint(hint).into());
        }
    })
}

/// Base64, which NULs at the end keep free of `=`: that would begin a version.
fn encoded(line: &str) -> String {
    let mut bytes = line.as_bytes().to_vec();
    bytes.resize(bytes.len().next_multiple_of(3), 0);
    base64url(&bytes).replace('-', "+").replace('_', "/")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::backend::rpm::accounts::provided;
    use crate::error::exit_code;
    use crate::tree::content::Content;
    use crate::tree::{Entry, PkgPath, Tree};

    fn tree(path: &str, text: &str) -> Tree {
        let mut tree = Tree::new();
        let entry = Entry::file(Content::bytes(text), 0o644, &Arc::from("acme 1"));
        tree.insert(PkgPath::new(path).unwrap(), entry).unwrap();
        tree
    }

    fn check(text: &str, expected: &[&str]) {
        let found = provided(&tree("usr/lib/sysusers.d/acme.conf", text)).unwrap();
        let found: Vec<_> = found.iter().map(ToString::to_string).collect();
        assert_eq!(found, expected, "{text}");
    }

    /// The first line is what `rpm --eval '%add_sysuser …'` of rpm 4.20 makes.
    #[test]
    fn lines() {
        check(
            "# Accounts\n; a b\n\nu acme - \"The   Acme shop\"  /var/lib/acme /sbin/nologin\n",
            &[
                "user(acme) = dSBhY21lIC0gIlRoZSBBY21lIHNob3AiIC92YXIvbGliL2FjbWUgL3NiaW4vbm9sb2dpbgAA",
                "group(acme)",
            ],
        );
        check("g x 5\nm y x\nr - 5-9", &["group(x) = ZyB4IDUA", "groupmember(y/x) = bSB5IHgA"]);
        check("u \u{fb}\u{ff}", &["user(\u{fb}\u{ff}) = dSDDu8O/", "group(\u{fb}\u{ff})"]);
    }

    #[test]
    fn other_files_and_kinds() {
        assert_eq!(provided(&tree("usr/lib/sysusers.d/README", "x y")).unwrap(), []);
        let error = provided(&tree("usr/lib/sysusers.d/acme.conf", "x y")).unwrap_err();
        assert_eq!(exit_code(&error), 2, "{error:#}");
    }
}
