//! What no package of any format may hold: entries that would harm the host they are installed on.
//!
//! Knows no format.

use anyhow::Result;

use crate::error::UserError;
use crate::tree::{Entry, PkgPath, Tree};

/// Refuses modes that grant what `root` alone has, and links that lead out of the package.
pub(super) fn check(prefix: &PkgPath, tree: &Tree) -> Result<()> {
    for (path, entry) in tree.iter() {
        match entry {
            Entry::Dir { mode } | Entry::File { mode, .. } => check_mode(path, *mode)?,
            Entry::Symlink { target } => check_link(prefix, tree, path, target)?,
        }
    }
    Ok(())
}

fn check_mode(path: &PkgPath, mode: u32) -> Result<()> {
    if mode & !0o755 == 0 {
        return Ok(());
    }
    let message =
        format!("`{path}` has mode {mode:04o}; set-id, sticky and write for others are refused");
    Err(UserError::input(message).hint("use 0755 or 0644, and systemd to grant privileges").into())
}

/// Refuses links out of the prefix: package managers write and delete through a link to a directory.
///
/// The interpreter is the exception. A link from elsewhere must lead into the prefix or to what the package has.
fn check_link(prefix: &PkgPath, tree: &Tree, path: &PkgPath, target: &str) -> Result<()> {
    let fault = |what: &str| {
        let message = format!("link `{path}` to `{}` {what}", target.escape_debug());
        Err(UserError::input(message).hint("link to a path below the prefix").into())
    };
    let Some(end) = resolve(path, target) else {
        return fault("does not lead to a plain path");
    };
    let is_inside = |path: &PkgPath| path == prefix || path.below(prefix).is_some();
    if is_inside(&end) || is_interpreter_link(prefix, path, &end) {
        return Ok(());
    }
    if is_inside(path) {
        return fault("leaves the prefix");
    }
    match tree.get(&end) {
        Some(Entry::File { .. } | Entry::Symlink { .. }) => Ok(()),
        Some(Entry::Dir { .. }) => fault("is a link to a directory outside the prefix"),
        None => fault("leads out of the package"),
    }
}

/// `<prefix>/bin/python3.X` to `/usr/bin/python3.X`.
fn is_interpreter_link(prefix: &PkgPath, path: &PkgPath, end: &PkgPath) -> bool {
    let minor = path.below(prefix).and_then(|inner| inner.strip_prefix("bin/python3."));
    let is_number = |minor: &str| !minor.is_empty() && minor.bytes().all(|at| at.is_ascii_digit());
    minor
        .is_some_and(|minor| is_number(minor) && end.as_str() == format!("usr/bin/python3.{minor}"))
}

/// Where `target` leads from the link at `path`.
///
/// `..` is allowed in front only, where it leaves real directories; after a name it could leave through another
/// link, and nobody could tell where to.
fn resolve(path: &PkgPath, target: &str) -> Option<PkgPath> {
    if let Some(absolute) = target.strip_prefix('/') {
        return PkgPath::new(absolute).ok();
    }
    let mut dir = path.parent();
    let mut rest = target.trim_end_matches('/');
    loop {
        if matches!(rest, "." | "..") {
            return if rest == "." { dir } else { dir?.parent() };
        }
        if let Some(tail) = rest.strip_prefix("../") {
            dir = dir?.parent();
            rest = tail;
        } else if let Some(tail) = rest.strip_prefix("./") {
            rest = tail;
        } else {
            return match dir {
                Some(dir) => dir.join(rest).ok(),
                None => PkgPath::new(rest).ok(),
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::backend::contents::check as check_tree;
    use crate::error::exit_code;
    use crate::tree::content::Content;
    use crate::tree::{Entry, PkgPath, Tree};

    fn path(text: &str) -> PkgPath {
        PkgPath::new(text).unwrap()
    }

    fn file(text: &str, mode: u32) -> Entry {
        Entry::file(Content::bytes(text), mode, &"mkpkg".into())
    }

    fn link(target: &str) -> Entry {
        Entry::Symlink { target: target.to_owned() }
    }

    fn check(entries: &[(&str, Entry)], expected: Option<&str>) {
        let mut tree = Tree::new();
        for (name, entry) in entries {
            tree.insert(path(name), entry.clone()).unwrap();
        }
        match (check_tree(&path("opt/acme-web"), &tree), expected) {
            (Ok(()), expected) => assert_eq!(expected, None, "{entries:?}"),
            (Err(error), None) => panic!("{error:#}"),
            (Err(error), Some(part)) => {
                assert!(error.to_string().contains(part), "{error:#}");
                assert!(exit_code(&error) < 4, "{error:#}");
            }
        }
    }

    #[test]
    fn modes() {
        for (mode, is_good) in
            [(0o644, true), (0o755, true), (0o600, true), (0o664, false), (0o646, false)]
        {
            check(&[("opt/x", file("", mode))], (!is_good).then_some("refused"));
        }
        for mode in [0o4755, 0o2755, 0o1755, 0o777] {
            check(&[("opt/x", file("", mode))], Some("refused"));
            check(&[("opt/x", Entry::Dir { mode })], Some("refused"));
        }
    }

    #[test]
    fn links() {
        let out = Some("leaves the prefix");
        for (name, target, expected) in [
            ("opt/acme-web/bin/python3", "python3.11", None),
            ("opt/acme-web/bin/python3.11", "/usr/bin/python3.11", None),
            ("opt/acme-web/bin/python3.11", "/usr/bin/python3.12", out),
            ("opt/acme-web/bin/python3.", "/usr/bin/python3.", out),
            ("opt/acme-web/bin/python", "/usr/bin/python3.11", out),
            ("opt/acme-web/lib64", "lib", None),
            ("opt/acme-web/lib/x", "../..", out),
            ("opt/acme-web/lib/x", "..", None),
            ("opt/acme-web/lib/x", "../../acme-web/y/", None),
            ("opt/acme-web/lib/x", "../../acme-webby", out),
            ("opt/acme-web/lib/x", "y/../../../z", Some("plain path")),
            ("opt/acme-web/lib/x", "../../../../z", Some("plain path")),
            ("opt/acme-web/lib/x", "", Some("plain path")),
            ("opt/acme-web/lib/x", "/", Some("plain path")),
            ("opt/acme-web/lib/x", "a\nb", Some("plain path")),
            ("opt/acme-web/lib/x", "/etc", out),
            ("usr/bin/acme", "/opt/acme-web/bin/acme", None),
            ("usr/bin/acme", "../../opt/acme-web/bin/acme", None),
            ("usr/bin/acme", "/bin/sh", Some("out of the package")),
            ("usr/bin/acme", "y", None),
            ("usr/bin/acme", "/usr/bin", Some("directory outside")),
        ] {
            check(&[("usr/bin/y", file("", 0o755)), (name, link(target))], expected);
        }
    }
}
