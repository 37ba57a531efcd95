//! Files of the folder that no helper of debhelper known here reads.

use std::collections::BTreeMap;

use crate::import::draft::Draft;
use crate::import::helpers::matches;
use crate::import::kinds::{COMMON, OF_SOURCE};
use crate::import::{Found, Package};

/// A file at the top of the folder.
pub(super) fn file(of: &Package<'_>, file: &str, found: &Found, draft: &mut Draft) {
    let path = format!("debian/{file}");
    let is_made = file.contains(".debhelper") || file.ends_with(".log") || file.ends_with(".ex");
    if file == "patches/series" && !found.text.trim().is_empty() {
        draft.ask("debian/patches", "mkpkg packages the project as it is: apply the patches to it");
    } else if OF_SOURCE.contains(&file) {
        draft.drop(&path, "belongs to the source package, which mkpkg does not make");
    } else if COMMON.contains(&file) || file.contains('/') || is_made || is_installed(of, &path) {
        // Read elsewhere, or none of the package's business.
    } else if is_used(of, file) {
        draft.carry(&path, "is of the rules");
    } else {
        draft.ask(&path, "no helper of debhelper known here reads it: see what it was for");
    }
}

/// A file with a name that a helper could read, and does not.
pub(super) fn unread(of: &Package<'_>, file: &str, why: &str, draft: &mut Draft) {
    let path = format!("debian/{file}");
    if is_installed(of, &path) {
        // The list says what becomes of it.
    } else if is_used(of, file) {
        draft.carry(&path, "is of the rules");
    } else {
        draft.drop(&path, why);
    }
}

/// The directories of the folder, and what in them nothing names.
pub(super) fn directories(of: &Package<'_>, draft: &mut Draft) {
    let mut directories: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for path in of.folder.project.keys() {
        let below = path.strip_prefix("debian/").and_then(|below| below.split_once('/'));
        if let Some((dir, _)) = below {
            let unnamed = directories.entry(dir).or_default();
            if !is_installed(of, path) {
                unnamed.push(path);
            }
        }
    }
    for (dir, unnamed) in directories {
        let path = format!("debian/{dir}");
        // Where debhelper puts packages together.
        let is_made = of.names.contains(&dir) || ["tmp", "mkpkg", ".debhelper"].contains(&dir);
        if is_made || dir == "patches" || unnamed.is_empty() {
            continue;
        }
        if dir == "po" {
            draft.drop(&path, "translates the questions of debconf, which are not asked");
        } else if OF_SOURCE.contains(&dir) {
            draft.drop(&path, "belongs to the source package, which mkpkg does not make");
        } else if is_used(of, dir) {
            draft.carry(&path, "is of the rules");
        } else {
            let todo = "nothing known here names it: see what it was for";
            unnamed.iter().for_each(|path| draft.ask(path, todo));
        }
    }
}

fn is_used(of: &Package<'_>, name: &str) -> bool {
    let path = format!("debian/{name}");
    if of.folder.recipe.makefiles.contains(&path) {
        return true;
    }
    let own = format!("{}/{name}", of.folder.path);
    let is_end = |at: char| !at.is_ascii_alphanumeric() && !"._-".contains(at);
    let names = |text: &str, path: &str| {
        text.match_indices(path)
            .any(|(at, _)| text[at + path.len()..].chars().next().is_none_or(is_end))
    };
    of.folder.recipe.targets.values().any(|text| names(text, &path) || names(text, &own))
}

/// Whether a list of the folder names the file.
fn is_installed(of: &Package<'_>, path: &str) -> bool {
    let ends = ["install", "docs", "examples", "manpages", "links"];
    let mut lists =
        of.folder.files.iter().filter(|(name, _)| ends.iter().any(|end| name.ends_with(end)));
    let names =
        |text: &str| text.split_whitespace().any(|word| matches(word.trim_end_matches('/'), path));
    lists.any(|(_, found)| names(&found.text))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use crate::import::rules::Recipe;
    use crate::import::{Folder, Found, import};

    #[test]
    fn nothing_goes_by_silently() {
        let found = |text: &str| Found::new(text.into(), false);
        let files = [
            ("control", "Source: a\n\nPackage: acme\nArchitecture: all\n"),
            ("install", "debian/etc/named.yml etc/acme\ndebian/whole/ usr/share/acme\n"),
            ("compat", "12\n"),
            ("notes", "?\n"),
        ];
        let project = [
            "acme/usr/bin/x",
            "bin/used",
            "virtual/x",
            "etc/named.yml",
            "etc/other.yml",
            "po/POTFILES.in",
            "source/format",
            "whole/a/b",
        ];
        let mut recipe = Recipe::default();
        for (target, text) in [
            ("%", "dh build --with python-virtualenv"),
            ("override_dh_virtualenv", "dh_virtualenv\nsh debian/bin/used"),
            ("build", "dh build\nnpm run build"),
            ("clean", "dh_clean\nrm -rf node_modules"),
        ] {
            recipe.targets.insert(target.to_owned(), format!("{text}\n"));
        }
        let folder = Folder {
            path: "debian".to_owned(),
            files: BTreeMap::from(files.map(|(name, text)| (name.to_owned(), found(text)))),
            project: project.iter().map(|path| (format!("debian/{path}"), false)).collect(),
            recipe,
            ..Folder::default()
        };
        let draft = import(&folder).unwrap().remove(0).draft;
        let names = |remarks: &[crate::import::draft::Remark]| {
            remarks.iter().map(|remark| remark.what.clone()).collect::<Vec<_>>().join("\n")
        };
        let (carried, dropped, human) =
            (names(&draft.carried), names(&draft.dropped), names(&draft.human));
        assert!(carried.contains("debian/bin"), "{carried}");
        for what in ["debian/compat", "debian/po", "debian/source", "clean: rm -rf node_modules"] {
            assert!(dropped.lines().any(|line| line == what), "{what}:\n{dropped}");
        }
        for what in
            ["debian/notes", "debian/etc/other.yml", "debian/virtual/x", "build: npm run build"]
        {
            assert!(human.lines().any(|line| line == what), "{what}:\n{human}");
        }
        for what in ["debian/acme/", "named.yml", "debian/whole", "build: dh build"] {
            assert!(!human.contains(what), "{what}:\n{human}");
        }
    }
}
