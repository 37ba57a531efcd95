//! What an upgrade has to prepare: the differences from the previous package that package managers do not handle.
//!
//! Pure: two trees go in. Knows nothing of who made the previous package, and little of formats.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;

use crate::error::UserError;
use crate::lifecycle::Changes;
use crate::tree::{Entry, PkgPath, Role, Tree};

/// Where packages have units; on all hosts since Debian 12 and Enterprise Linux 7 they are one directory.
pub const UNIT_DIRS: [&str; 2] = ["usr/lib/systemd/system", "lib/systemd/system"];
/// The types of units (systemd.unit(5)).
const UNIT_TYPES: [&str; 11] = [
    "service",
    "socket",
    "device",
    "mount",
    "automount",
    "swap",
    "target",
    "path",
    "timer",
    "slice",
    "scope",
];

/// What differs between the trees of two packages; refuses what no upgrade survives.
///
/// `replaces_dirs` says whether the package manager puts a file where the previous package has a directory. A
/// directory where there was a file, and a link where there was one or the reverse, are no trouble to any.
pub fn changes(old: &Tree, new: &Tree, replaces_dirs: bool) -> Result<Changes> {
    // A tree has nothing below a link or a file, so of two changes neither is below the other.
    let (mut dir_to_link, mut link_to_dir) = (BTreeMap::new(), BTreeMap::new());
    for (path, was) in old.iter() {
        match (was, new.get(path)) {
            (Entry::Dir { .. }, Some(Entry::Symlink { target })) => {
                refuse_lost_config(old, path, "a link")?;
                dir_to_link.insert(path.clone(), target.clone());
            }
            (Entry::Dir { .. }, Some(Entry::File { role, .. })) => {
                refuse_lost_config(old, path, "a file")?;
                refuse_stuck_dir(path, *role, replaces_dirs)?;
            }
            (Entry::Symlink { target }, Some(Entry::Dir { .. })) => {
                link_to_dir.insert(path.clone(), target.clone());
            }
            (Entry::Dir { .. }, Some(Entry::Dir { .. }) | None)
            | (Entry::Symlink { .. }, Some(Entry::Symlink { .. } | Entry::File { .. }) | None)
            | (Entry::File { .. }, Some(_) | None) => {}
        }
    }
    let remaining: BTreeSet<_> = configs(new).collect();
    let dropped_configs = configs(old).filter(|path| !remaining.contains(path)).cloned().collect();
    let remaining = units(new);
    let dropped_units = units(old).difference(&remaining).map(|name| (*name).to_owned()).collect();
    Ok(Changes { dir_to_link, link_to_dir, dropped_configs, dropped_units })
}

/// dpkg-maintscript-helper(1) refuses on the host to make a link of a directory that "contains conffiles"; elsewhere,
/// and where it becomes a file, edited ones would be gone.
fn refuse_lost_config(old: &Tree, dir: &PkgPath, now: &str) -> Result<()> {
    let Some(config) = configs(old).find(|config| config.below(dir).is_some()) else {
        return Ok(());
    };
    let message = format!(
        "`{dir}` is {now} now, and a directory with the configuration file `{config}` in the previous package: an \
         upgrade would lose what was changed there"
    );
    Err(UserError::usage(message)
        .hint("keep the directory, or release a version without its configuration files first")
        .into())
}

/// dpkg 1.21 leaves the directory where it is when the file is configuration.
fn refuse_stuck_dir(path: &PkgPath, role: Role, replaces_dirs: bool) -> Result<()> {
    let is_stuck = match role {
        Role::Config => true,
        Role::Plain | Role::Doc => !replaces_dirs,
    };
    if !is_stuck {
        return Ok(());
    }
    let message = format!(
        "`{path}` is a file now, and a directory in the previous package: an upgrade cannot replace it"
    );
    Err(UserError::usage(message)
        .hint("give the file another name, or release a version without the directory first")
        .into())
}

fn configs(tree: &Tree) -> impl Iterator<Item = &PkgPath> {
    tree.iter().filter_map(|(path, entry)| match entry {
        Entry::File { role: Role::Config, .. } => Some(path),
        Entry::File { role: Role::Plain | Role::Doc, .. }
        | Entry::Dir { .. }
        | Entry::Symlink { .. } => None,
    })
}

/// Names of the units in a tree. Links are other names of units, or there to mask one.
fn units(tree: &Tree) -> BTreeSet<&str> {
    let names = tree.files().filter_map(|(path, _, _)| {
        let (dir, name) = path.as_str().rsplit_once('/')?;
        (UNIT_DIRS.contains(&dir) && is_unit(name)).then_some(name)
    });
    names.collect()
}

/// "Valid unit names consist of a 'name prefix', and a suffix specifying the unit type which begins with a dot. The
/// 'name prefix' must consist of one or more valid characters (ASCII letters, digits, ':', '-', '_', '.', and '\')."
/// (systemd.unit(5)); templates have an `@` in it. What is called otherwise, systemd does not load; a name that begins
/// with `-` would be an option to its programs.
fn is_unit(name: &str) -> bool {
    let is_good = |at: char| at.is_ascii_alphanumeric() || ":-_.\\@".contains(at);
    let Some((prefix, kind)) = name.rsplit_once('.') else {
        return false;
    };
    let is_name = !prefix.is_empty() && !prefix.starts_with('-') && prefix.chars().all(is_good);
    is_name && UNIT_TYPES.contains(&kind)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::changes::changes;
    use crate::error::exit_code;
    use crate::tree::content::Content;
    use crate::tree::{Entry, PkgPath, Role, Tree};

    /// A tree of one entry a word: `a/` is a directory, `a->b` a link, `a!` configuration, all else a file.
    fn tree(words: &str) -> Tree {
        let mut tree = Tree::new();
        for word in words.split_whitespace() {
            let file = |role| Entry::File {
                content: Content::bytes(""),
                mode: 0o644,
                role,
                origin: Arc::from("demo 1"),
                mtime: None,
            };
            let (path, entry) = if let Some((path, target)) = word.split_once("->") {
                (path, Entry::Symlink { target: target.to_owned() })
            } else if let Some(path) = word.strip_suffix('/') {
                (path, Entry::Dir { mode: 0o755 })
            } else if let Some(path) = word.strip_suffix('!') {
                (path, file(Role::Config))
            } else {
                (word, file(Role::Plain))
            };
            tree.insert(PkgPath::new(path).unwrap(), entry).unwrap();
        }
        tree
    }

    /// What differs, one word each: `d` in front of what was a directory, `l` of what was a link, `-` of what is no more.
    fn check(old: &str, new: &str, expected: &str) {
        let found = changes(&tree(old), &tree(new), true).unwrap();
        let mut words = Vec::new();
        words
            .extend(found.dir_to_link.iter().map(|(path, to)| format!("d{}->{to}", path.as_str())));
        words.extend(
            found.link_to_dir.iter().map(|(path, was)| format!("l{}->{was}", path.as_str())),
        );
        words.extend(found.dropped_configs.iter().map(|path| format!("-{path}")));
        words.extend(found.dropped_units.iter().map(|name| format!("-{name}")));
        assert_eq!(words.join(" "), expected, "{old} / {new}");
    }

    #[test]
    fn types() {
        check("", "a->c", "");
        check("a/b", "", "");
        check("a/b c", "a/b c", "");
        check("a/", "a->b", "da->b");
        check("a/b/c a/d", "a->e e/", "da->e");
        check("a/b/c/d", "a/b->/srv/x", "da/b->/srv/x");
        check("a->b b/", "a/ b/", "la->b");
        check("a->/usr/lib/x", "a/b/c", "la->/usr/lib/x");
        check("a->b b/x", "b->a a/x", "db->a la->b");
        check("a->b", "a->c", "");
        check("a->b c d", "a c/e d->f", "");
        check("a/b", "a", "");
    }

    #[test]
    fn configs() {
        check("etc/a! etc/b!", "etc/b!", "-/etc/a");
        check("", "etc/a!", "");
        // What becomes another thing at the same place is no configuration file any more.
        check("etc/a! etc/b! etc/c!", "etc/a etc/b/d etc/c->a", "-/etc/a -/etc/b -/etc/c");
        check("etc/a", "etc/a!", "");
    }

    #[test]
    fn units() {
        let (usr, lib) = ("usr/lib/systemd/system", "lib/systemd/system");
        let old = format!("{usr}/a.service {lib}/b@.service {lib}/c.timer {usr}/d.socket");
        check(&old, &format!("{usr}/b@.service {usr}/d.socket"), "-a.service -c.timer");
        check(&old, &format!("{lib}/a.service {usr}/b@.service {lib}/c.timer {lib}/d.socket"), "");
        for other in ["x.conf", "x.service.d/y.service", ".service", "-x.service", "x$y.service"] {
            check(&format!("{usr}/{other}"), "", "");
        }
        check(&format!("{usr}/x.service->/dev/null etc/systemd/system/y.service"), "", "");
    }

    fn check_refused(old: &str, new: &str, replaces_dirs: bool, expected: &str) {
        let error = changes(&tree(old), &tree(new), replaces_dirs).unwrap_err();
        assert_eq!((exit_code(&error), error.to_string().as_str()), (2, expected));
    }

    #[test]
    fn what_no_upgrade_survives() {
        let stuck = "`/a` is a file now, and a directory in the previous package: an upgrade cannot replace it";
        check_refused("a/b", "a", false, stuck);
        check_refused("a/b", "a!", true, stuck);
        for (new, now) in [("a->x", "link"), ("a", "file")] {
            let lost = format!(
                "`/a` is a {now} now, and a directory with the configuration file `/a/b/c` in the previous package: \
                 an upgrade would lose what was changed there"
            );
            check_refused("a/b/c!", new, true, &lost);
        }
    }
}
