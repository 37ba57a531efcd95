//! Which files, directories and links differ, and what an upgrade makes of that.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use serde::Serialize;

use crate::audit::diff::Side;
use crate::audit::diff::lines::{TextChange, TextKind, hunks};
use crate::audit::diff::versions::normal;
use crate::changes::{UNIT_DIRS, changes};
use crate::tree::content::Content;
use crate::tree::{Entry, PkgPath, Role, Tree};

/// Where packages have accounts, as sysusers.d(5) reads them.
const ACCOUNTS: &str = "usr/lib/sysusers.d/";
/// Set-user-ID, set-group-ID and sticky.
const SPECIAL: u32 = 0o7000;
/// Largest text that is compared line by line, in bytes.
const MAX_TEXT: u64 = 256 << 10;

/// Paths that differ, sorted. Of directories that are new or gone, only empty ones are told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Files {
    /// Those that were not there.
    pub added: Vec<FileChange>,
    /// Those that are gone.
    pub removed: Vec<FileChange>,
    /// Those with another content or target.
    pub changed: Vec<FileChange>,
    /// Those that are another kind of thing.
    pub types: Vec<TypeChange>,
    /// Those with other permissions.
    pub modes: Vec<ModeChange>,
    /// Files that have a set-user-ID, set-group-ID or sticky bit, and had none.
    pub special: Vec<String>,
    /// Why no upgrade from the old package to the new one works.
    pub refused: Option<String>,
}

/// A path, and who brought it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct FileChange {
    /// Where it is.
    pub path: String,
    /// Its distribution by name; empty for none.
    pub distribution: String,
}

/// A path that is another kind of thing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct TypeChange {
    /// Where it is.
    pub path: String,
    /// `directory`, `file` or `link`.
    pub old: &'static str,
    /// The same of the new package.
    pub new: &'static str,
    /// What an upgrade makes of it.
    pub upgrade: &'static str,
}

/// A path with other permissions.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct ModeChange {
    /// Where it is.
    pub path: String,
    /// Octal digits; or the user and the group, and the capabilities if there are any.
    pub old: String,
    /// The same of the new package.
    pub new: String,
}

/// A file of both packages that is configuration in one of them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct RoleChange {
    /// Where it is.
    pub path: String,
    /// Whether it is configuration now.
    pub is_configuration: bool,
}

/// What differs between two trees.
pub(super) fn files(old: Side<'_>, new: Side<'_>, replaces_dirs: bool) -> Files {
    let mut found = Files::default();
    let digest = |side: Side<'_>, path| side.report.digests.get(path).copied();
    let (parents, old_parents) = (parents(new.tree), parents(old.tree));
    for (path, now) in new.tree.iter() {
        let Some(was) = old.tree.get(path) else {
            if !parents.contains(path) {
                found.added.push(change(path, now));
            }
            found.special.extend(special(path, now));
            continue;
        };
        let kinds = (kind(was), kind(now));
        if kinds.0 != kinds.1 {
            found.types.push(TypeChange {
                path: path.absolute(),
                old: kinds.0,
                new: kinds.1,
                upgrade: upgrade(path, kinds, new.scripts),
            });
        }
        let modes = (mode(was), mode(now));
        if let (Some(was_mode), Some(mode)) = modes
            && was_mode != mode
            && kinds.0 == kinds.1
        {
            let (path, old, new) = (path.absolute(), octal(was_mode), octal(mode));
            found.modes.push(ModeChange { path, old, new });
        }
        found.modes.extend(owner_change(path, old, new));
        if special(path, was).is_none() {
            found.special.extend(special(path, now));
        }
        let is_changed = match (was, now) {
            (Entry::File { .. }, Entry::File { .. }) => digest(old, path) != digest(new, path),
            (Entry::Symlink { target: was }, Entry::Symlink { target }) => was != target,
            (Entry::File { .. } | Entry::Symlink { .. } | Entry::Dir { .. }, _) => false,
        };
        if is_changed {
            found.changed.push(change(path, now));
        }
    }
    let is_gone = |path: &PkgPath| new.tree.get(path).is_none() && !old_parents.contains(path);
    let gone = old.tree.iter().filter(|(path, _)| is_gone(path));
    found.removed = gone.map(|(path, entry)| change(path, entry)).collect();
    found.refused = changes(old.tree, new.tree, replaces_dirs).err().map(|it| it.to_string());
    found
}

/// How a path of both packages changes hands.
fn owner_change(path: &PkgPath, old: Side<'_>, new: Side<'_>) -> Option<ModeChange> {
    let owner = |side: Side<'_>| {
        let known = side.owners.get(path);
        known.map_or_else(|| "root:root".to_owned(), ToString::to_string)
    };
    let (old, new) = (owner(old), owner(new));
    (old != new).then(|| ModeChange { path: path.absolute(), old, new })
}

/// Directories that something is in: what is in them is told.
fn parents(tree: &Tree) -> BTreeSet<PkgPath> {
    let mut parents = BTreeSet::new();
    for (path, _) in tree.iter() {
        let mut parent = path.parent();
        while let Some(dir) = parent {
            parent = dir.parent();
            if !parents.insert(dir) {
                break;
            }
        }
    }
    parents
}

fn change(path: &PkgPath, entry: &Entry) -> FileChange {
    FileChange { path: path.absolute(), distribution: distribution(entry) }
}

/// The normal name of the distribution that brought an entry, without its version.
pub(super) fn distribution(entry: &Entry) -> String {
    match entry {
        Entry::File { origin, .. } => brought_by(origin),
        Entry::Dir { .. } | Entry::Symlink { .. } => String::new(),
    }
}

/// The normal name of a distribution such as `numpy 2.4.6`; empty for none.
pub(super) fn brought_by(origin: &str) -> String {
    origin.rsplit_once(' ').map(|(name, _)| normal(name)).unwrap_or_default()
}

fn kind(entry: &Entry) -> &'static str {
    match entry {
        Entry::Dir { .. } => "directory",
        Entry::File { .. } => "file",
        Entry::Symlink { .. } => "link",
    }
}

fn mode(entry: &Entry) -> Option<u32> {
    match entry {
        Entry::Dir { mode } | Entry::File { mode, .. } => Some(*mode),
        Entry::Symlink { .. } => None,
    }
}

fn octal(mode: u32) -> String {
    format!("{mode:04o}")
}

fn special(path: &PkgPath, entry: &Entry) -> Option<String> {
    mode(entry).filter(|mode| mode & SPECIAL != 0).map(|_| path.absolute())
}

/// What package managers make of a change of kind (dpkg-maintscript-helper(1), "dir_to_symlink"; rpm's "directory
/// replacement").
fn upgrade(
    path: &PkgPath,
    kinds: (&str, &str),
    scripts: &BTreeMap<String, String>,
) -> &'static str {
    let is_prepared = scripts.values().any(|text| text.contains(&path.absolute()));
    match kinds {
        ("directory", "link" | "file") if is_prepared => "its scripts prepare it",
        ("directory", "link" | "file") => {
            "an upgrade keeps the directory or fails: build with `--previous`"
        }
        ("link", "directory") if is_prepared => "its scripts prepare it",
        ("link", "directory") => "an upgrade follows the link: build with `--previous`",
        (_, _) => "an upgrade replaces it",
    }
}

/// Names of the accounts a tree makes hosts have ("u NAME …", sysusers.d(5)).
pub(super) fn accounts(tree: &Tree) -> Result<BTreeSet<String>> {
    let mut accounts = BTreeSet::new();
    for (path, content, _) in tree.files().filter(|(path, ..)| path.as_str().starts_with(ACCOUNTS))
    {
        let text = text(path, content)?.unwrap_or_default();
        let names = text.lines().filter_map(|line| {
            let mut words = line.split_whitespace();
            let kind = words.next()?;
            kind.starts_with('u').then(|| words.next()).flatten().map(str::to_owned)
        });
        accounts.extend(names);
    }
    Ok(accounts)
}

/// The text of a file that is compared line by line; `None` for what is no text, or too long.
fn text(path: &PkgPath, content: &Content) -> Result<Option<String>> {
    if content.len() > MAX_TEXT {
        return Ok(None);
    }
    let bytes = content.read().with_context(|| format!("cannot read `{path}`"))?;
    Ok(String::from_utf8(bytes).ok())
}

/// Scripts, units and configuration that differ, line by line.
pub(super) fn texts(old: Side<'_>, new: Side<'_>) -> Result<Vec<TextChange>> {
    let (was, is) = (watched(old, new.tree)?, watched(new, old.tree)?);
    let names: BTreeSet<_> = was.keys().chain(is.keys()).collect();
    let change = |(kind, name): &(TextKind, String)| {
        let of = |texts: &BTreeMap<_, String>| texts.get(&(*kind, name.clone())).cloned();
        let lines = hunks(&of(&was).unwrap_or_default(), &of(&is).unwrap_or_default());
        (!lines.is_empty()).then(|| TextChange { kind: *kind, name: name.clone(), lines })
    };
    Ok(names.into_iter().filter_map(change).collect())
}

/// Files that became configuration, or are it no longer.
pub(super) fn roles(old: &Tree, new: &Tree) -> Vec<RoleChange> {
    let role = |entry: &Entry| match entry {
        Entry::File { role, .. } => Some(*role == Role::Config),
        Entry::Dir { .. } | Entry::Symlink { .. } => None,
    };
    let change = |(path, entry): (&PkgPath, &Entry)| {
        let (was, is_configuration) = (role(old.get(path)?)?, role(entry)?);
        let path = path.absolute();
        (was != is_configuration).then_some(RoleChange { path, is_configuration })
    };
    new.iter().filter_map(change).collect()
}

/// Every text of a package that hosts act by, and those that hosts act by in the `other` one.
fn watched(side: Side<'_>, other: &Tree) -> Result<BTreeMap<(TextKind, String), String>> {
    let scripts = side.scripts.iter().filter(|(_, text)| !is_list_of_digests(text));
    let mut texts: BTreeMap<_, _> =
        scripts.map(|(name, text)| ((TextKind::Script, name.clone()), text.clone())).collect();
    for (path, entry) in side.tree.iter() {
        let Entry::File { content, .. } = entry else { continue };
        let kinds = [Some(entry), other.get(path)].into_iter().flatten();
        let Some(kind) = kinds.filter_map(|entry| text_kind(path, entry)).min() else { continue };
        if let Some(text) = text(path, content)? {
            texts.insert((kind, path.absolute()), text);
        }
    }
    Ok(texts)
}

/// What the text of a file is for; `None` where hosts do not act by it.
fn text_kind(path: &PkgPath, entry: &Entry) -> Option<TextKind> {
    let Entry::File { role, .. } = entry else { return None };
    let dir = path.as_str().rsplit_once('/').map_or("", |(dir, _)| dir);
    match role {
        Role::Config => Some(TextKind::Configuration),
        Role::Plain | Role::Doc => (UNIT_DIRS.contains(&dir)
            || path.as_str().starts_with(ACCOUNTS))
        .then_some(TextKind::Unit),
    }
}

/// Whether a list for the package manager has nothing but digests of files, which are compared anyway.
fn is_list_of_digests(text: &str) -> bool {
    let is_digest = |word: &str| word.len() == 32 && word.bytes().all(|at| at.is_ascii_hexdigit());
    let mut lines = text.lines().peekable();
    lines.peek().is_some() && lines.all(|line| line.split("  ").next().is_some_and(is_digest))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use crate::audit::diff::Side;
    use crate::audit::diff::files::{Files, accounts, files, roles, texts};
    use crate::audit::{Report, Subject, audit};
    use crate::package::Ownership;
    use crate::tree::content::Content;
    use crate::tree::{Entry, PkgPath, Role, Tree};

    /// A tree of one entry a word: `a/` is a directory, `a->b` a link, `a=TEXT` a file, `a!TEXT` configuration; `@MODE`
    /// behind a path is its mode.
    fn tree(words: &str) -> Tree {
        let mut tree = Tree::new();
        for word in words.split_whitespace() {
            let (path, entry) = match word.rsplit_once("->") {
                Some((path, target)) => (path, Entry::Symlink { target: target.to_owned() }),
                None if word.ends_with('/') => {
                    (word.trim_end_matches('/'), Entry::Dir { mode: 0o755 })
                }
                None => {
                    let at = word.find(['=', '!']).unwrap_or(word.len());
                    let (path, text) = word.split_at(at);
                    let role = if text.starts_with('!') { Role::Config } else { Role::Plain };
                    let (path, mode) = path.split_once('@').unwrap_or((path, "644"));
                    let mode = u32::from_str_radix(mode, 8).unwrap();
                    let content = Content::bytes(text.get(1..).unwrap_or("").replace('_', " "));
                    (
                        path,
                        Entry::File {
                            content,
                            mode,
                            role,
                            origin: Arc::from("demo 1"),
                            mtime: None,
                        },
                    )
                }
            };
            tree.insert(PkgPath::new(path).unwrap(), entry).unwrap();
        }
        tree
    }

    fn report(tree: &Tree) -> Report {
        let (name, version) = ("demo".to_owned(), "1".to_owned());
        let subject = Subject { name, version, kind: "deb", ..Subject::default() };
        audit(subject, tree.clone(), BTreeMap::new(), 1).unwrap()
    }

    /// What `check` makes of the sides of two trees; `script` is what the new package runs.
    fn compare<T>(
        old: &str,
        new: &str,
        script: &str,
        check: impl Fn(Side<'_>, Side<'_>) -> T,
    ) -> T {
        let (old, new) = (tree(old), tree(new));
        let (was, is) = (report(&old), report(&new));
        let scripts = BTreeMap::from([("run".to_owned(), script.to_owned())]);
        let nobody = BTreeMap::new();
        let side = |report, tree, scripts| {
            let owners = &nobody;
            Side { report, tree, relations: &[], scripts, fields: &[], owners }
        };
        check(side(&was, &old, &scripts), side(&is, &new, &scripts))
    }

    #[test]
    fn owners() {
        let tree = tree("a b=x");
        let (report, scripts) = (report(&tree), BTreeMap::new());
        let owners = |user: &str, capabilities: &str| {
            let owner = Ownership::new(user.to_owned(), "root".to_owned(), capabilities.to_owned());
            let path = PkgPath::new("b").unwrap();
            owner.map(|owner| (path, owner)).into_iter().collect::<BTreeMap<_, _>>()
        };
        let (old, new) = (owners("root", ""), owners("games", "cap_net_raw=ep"));
        let side = |owners| {
            let (report, tree, scripts) = (&report, &tree, &scripts);
            Side { report, tree, relations: &[], scripts, fields: &[], owners }
        };
        let told = |old, new| {
            let found = files(side(old), side(new), true).modes;
            found
                .iter()
                .map(|one| format!("{} {} {}", one.path, one.old, one.new))
                .collect::<String>()
        };
        assert_eq!(told(&old, &new), "/b root:root games:root cap_net_raw=ep");
        assert_eq!(told(&new, &new), "");
    }

    fn found(old: &str, new: &str, script: &str) -> Files {
        compare(old, new, script, |old, new| files(old, new, true))
    }

    fn check(old: &str, new: &str, expected: &[&str]) {
        let files = found(old, new, "");
        let mut words = Vec::new();
        for (sign, changes) in [('+', &files.added), ('-', &files.removed), ('~', &files.changed)] {
            words.extend(changes.iter().map(|it| format!("{sign}{}", it.path)));
        }
        words.extend(files.types.iter().map(|it| format!("{} {} {}", it.path, it.old, it.new)));
        words.extend(files.modes.iter().map(|it| format!("{} {} {}", it.path, it.old, it.new)));
        words.extend(files.special.iter().map(|path| format!("!{path}")));
        words.extend(files.refused);
        assert_eq!(words, expected, "{old} / {new}");
    }

    #[test]
    fn what_differs() {
        check("a=1 b=1 c=1", "a=1 b=2 d=1", &["+/d", "-/c", "~/b"]);
        check("a=1 b->a", "a=1 b->c", &["~/b"]);
        check("a=12", "a=1", &["~/a"]);
        check("", "d/x=1 e/", &["+/d/x", "+/e"]);
        check("a@644=1 d/", "a@755=1 d/", &["/a 0644 0755"]);
        check("a@755=1", "a@4755=1 b@2755=1", &["+/b", "/a 0755 4755", "!/a", "!/b"]);
        check("a@4755=1", "a@4755=2", &["~/a"]);
        check("a=1 b->a", "a->b b=1", &["/a file link", "/b link file"]);
        check(
            "etc/x!1",
            "etc->/srv",
            &[
                "-/etc/x",
                "/etc directory link",
                "`/etc` is a link now, and a directory with the configuration file `/etc/x` in the previous \
                 package: an upgrade would lose what was changed there",
            ],
        );
    }

    #[test]
    fn what_an_upgrade_makes_of_it() {
        let upgrade = |old: &str, new: &str, script: &str| found(old, new, script).types[0].upgrade;
        let unprepared = "an upgrade keeps the directory or fails: build with `--previous`";
        assert_eq!(upgrade("a/", "a->b", ""), unprepared);
        assert_eq!(upgrade("a/", "a->b", "helper '/a'"), "its scripts prepare it");
        assert!(upgrade("a->b b/", "a/ b/", "").starts_with("an upgrade follows the link"));
        assert_eq!(upgrade("a=1", "a->b", ""), "an upgrade replaces it");
    }

    #[test]
    fn what_became_configuration() {
        let check = |old: &str, new: &str, expected: &[(&str, bool)], lines: &[&str]| {
            let (changed, told) = compare(old, new, "", |old, new| {
                let told = texts(old, new).unwrap().into_iter().flat_map(|it| it.lines);
                (roles(old.tree, new.tree), told.collect::<Vec<_>>())
            });
            let changed = changed.iter().map(|it| (it.path.as_str(), it.is_configuration));
            assert_eq!(changed.collect::<Vec<_>>(), expected, "{old} / {new}");
            assert_eq!(told, lines, "{old} / {new}");
        };
        check("a=1", "a!1", &[("/a", true)], &[]);
        check("a!1", "a=1", &[("/a", false)], &[]);
        check("a=1", "a!2", &[("/a", true)], &["@@ line 1", "-1", "+2"]);
        check("a!1", "b!1", &[], &["@@ line 1", "-1", "@@ line 1", "+1"]);
    }

    #[test]
    fn texts_and_accounts() {
        let unit = "usr/lib/systemd/system/x.service";
        let old = format!("{unit}=a etc/c!1 etc/d!1 usr/share/y=1");
        let new = format!("{unit}=b etc/c!2 etc/d!1 usr/share/y=2 usr/lib/sysusers.d/x.conf=u_x_-");
        let (told, made) = compare(&old, &new, "same", |old, new| {
            let told = texts(old, new).unwrap().into_iter().map(|it| (it.name, it.lines.len()));
            (told.collect::<Vec<_>>(), accounts(new.tree).unwrap())
        });
        let name = |path: &str, lines| (path.to_owned(), lines);
        let sysusers = name("/usr/lib/sysusers.d/x.conf", 2);
        assert_eq!(told, [name(&format!("/{unit}"), 3), sysusers, name("/etc/c", 3)]);
        assert_eq!(made, ["x".to_owned()].into());
    }
}
