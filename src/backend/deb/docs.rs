//! The files Debian wants in every package: copyright, changelog and lintian overrides.
//!
//! Knows what a package says of its parts. The copyright file is not shared with other formats: its grammar and
//! the directory of common licences it refers to are Debian's own.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use anyhow::Result;

use crate::backend::deb::version;
use crate::codec::gzip;
use crate::date::Date;
use crate::package::{Bundled, PackageMeta};
use crate::pep::normalize_name;
use crate::tree::content::Content;
use crate::tree::{Entry, PkgPath, Role, Tree};

/// Directory of the licences that are on every Debian system, and the SPDX identifiers each stands for.
const COMMON_LICENCES: &str = "/usr/share/common-licenses";
const COMMON: [(&str, &[&str]); 12] = [
    ("Apache-2.0", &["Apache-2.0"]),
    ("CC0-1.0", &["CC0-1.0"]),
    ("GFDL-1.2", &["GFDL-1.2", "GFDL-1.2-only", "GFDL-1.2-or-later"]),
    ("GFDL-1.3", &["GFDL-1.3", "GFDL-1.3-only", "GFDL-1.3-or-later"]),
    ("GPL-1", &["GPL-1.0-only", "GPL-1.0-or-later"]),
    ("GPL-2", &["GPL-2.0", "GPL-2.0-only", "GPL-2.0-or-later", "GPL-2.0+"]),
    ("GPL-3", &["GPL-3.0", "GPL-3.0-only", "GPL-3.0-or-later", "GPL-3.0+"]),
    ("LGPL-2", &["LGPL-2.0-only", "LGPL-2.0-or-later"]),
    ("LGPL-2.1", &["LGPL-2.1", "LGPL-2.1-only", "LGPL-2.1-or-later"]),
    ("LGPL-3", &["LGPL-3.0", "LGPL-3.0-only", "LGPL-3.0-or-later"]),
    ("MPL-1.1", &["MPL-1.1"]),
    ("MPL-2.0", &["MPL-2.0"]),
];
/// Longest licence statement that is repeated in the copyright file.
const STATEMENT: usize = 200;

/// `tree` with the files it lacks.
pub(super) fn with_docs(meta: &PackageMeta, mut tree: Tree) -> Result<Tree> {
    let name = &meta.name;
    let origin: Arc<str> = Arc::from("mkpkg");
    type Text = fn(&PackageMeta, &Tree) -> Vec<u8>;
    let files: [(String, Role, Text); 3] = [
        (format!("usr/share/doc/{name}/copyright"), Role::Doc, |meta, tree| {
            copyright(meta, tree).into_bytes()
        }),
        (format!("usr/share/doc/{name}/changelog.Debian.gz"), Role::Doc, |meta, _| {
            gzip(changelog(meta).as_bytes(), 9)
        }),
        (format!("usr/share/lintian/overrides/{name}"), Role::Plain, |meta, tree| {
            overrides(meta, tree).into_bytes()
        }),
    ];
    for (path, role, text) in files {
        let path = PkgPath::new(&path)?;
        if tree.get(&path).is_none() {
            let (content, origin) = (Content::bytes(text(meta, &tree)), Arc::clone(&origin));
            let entry = Entry::File { content, mode: 0o644, role, origin, mtime: None };
            tree.insert(path, entry)?;
        }
    }
    Ok(tree)
}

/// A copyright file in the machine-readable format 1.0.
fn copyright(meta: &PackageMeta, tree: &Tree) -> String {
    let app = meta.bundled.first();
    let date = Date::of_epoch(meta.epoch);
    let mut text = String::from(
        "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n",
    );
    text +=
        &format!("Upstream-Name: {}\n", one_line(app.map_or(meta.name.as_str(), |app| &app.name)));
    if let Some(homepage) = &meta.homepage {
        text += &format!("Source: {}\n", one_line(homepage));
    }
    text += &format!(
        "Comment:\n Copyright holders and licences as the metadata of each part named them on \
         {date}.\n Paths are those of the installed files.\n\n"
    );
    let licence = one_line(&meta.licence);
    let author = app.map_or("", |app| &app.author);
    text += &paragraph(
        "*",
        &holder(author, meta.name.as_str()),
        &Licence {
            of: meta.name.as_str(),
            statement: &licence,
            files: app.map_or(&[], |app| &app.licence_files),
        },
    );
    let patterns = patterns(tree);
    for bundled in &meta.bundled {
        if let Some(patterns) = patterns_of(bundled, &patterns) {
            let statement = one_line(&bundled.licence);
            let holder = holder(&bundled.author, &bundled.name);
            let files = &bundled.licence_files;
            text.push('\n');
            text += &paragraph(
                &patterns,
                &holder,
                &Licence { of: &bundled.name, statement: &statement, files },
            );
        }
    }
    text
}

struct Licence<'a> {
    of: &'a str,
    statement: &'a str,
    files: &'a [PkgPath],
}

fn paragraph(patterns: &str, holder: &str, licence: &Licence) -> String {
    let short = short_name(licence.statement).unwrap_or_else(|| {
        let of = licence.of.replace(|at: char| !at.is_ascii_alphanumeric() && at != '.', "-");
        format!("{of}-licence")
    });
    let mut text = format!("Files: {patterns}\nCopyright: {holder}\nLicense: {short}\n");
    if licence.statement.is_empty() {
        text += " The metadata name no licence.\n";
    } else if short_name(licence.statement).is_none() {
        let statement: String = licence.statement.chars().take(STATEMENT).collect();
        text += &format!(" The metadata say: {statement}\n");
    }
    if !licence.files.is_empty() {
        text += " The text of the licence is in this package:\n";
        text.extend(licence.files.iter().map(|path| format!("  {path}\n")));
    }
    let words = licence.statement.split(|at: char| at.is_whitespace() || matches!(at, '(' | ')'));
    let words: BTreeSet<_> = words.collect();
    for (name, _) in COMMON.iter().filter(|(_, ids)| ids.iter().any(|id| words.contains(id))) {
        text += &format!(" On Debian systems the full text of {name} is in\n");
        text += &format!(" {COMMON_LICENCES}/{name}.\n");
    }
    if text.ends_with(&format!("License: {short}\n")) {
        text += " See the home page of this part for the text of the licence.\n";
    }
    text
}

/// An SPDX expression as the copyright format writes it; `None` for anything else.
fn short_name(statement: &str) -> Option<String> {
    let is_id = |word: &str| {
        word.chars().all(|at| at.is_ascii_alphanumeric() || matches!(at, '.' | '+' | '-'))
    };
    let mut text = String::new();
    let mut exception = false;
    for (index, word) in statement.split(' ').enumerate() {
        let operator = match word {
            "AND" | "and" => "and",
            "OR" | "or" => "or",
            "WITH" | "with" => "with",
            _ => "",
        };
        if word.is_empty() || !is_id(word) || (index % 2 == 1) == operator.is_empty() {
            return None;
        }
        if index % 2 == 1 {
            text += &format!(" {operator} ");
        } else {
            text += word;
            text += if exception { " exception" } else { "" };
        }
        exception = operator == "with";
    }
    (statement.split(' ').count() % 2 == 1).then_some(text)
}

fn holder(author: &str, name: &str) -> String {
    let author = one_line(author);
    if author.is_empty() { format!("the authors of {}", one_line(name)) } else { author }
}

/// Text that came with a distribution, fit for one line of a field.
fn one_line(text: &str) -> String {
    let clean = text.replace(char::is_control, " ");
    clean.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The patterns that cover what each origin installs: a directory when all below it has one origin, else files.
///
/// Byte code follows its source, and what mkpkg made belongs to no distribution.
fn patterns(tree: &Tree) -> BTreeMap<String, Vec<String>> {
    let files = tree.iter().filter_map(|(path, entry)| match entry {
        Entry::File { origin, .. } => Some((path.as_str(), origin.as_ref())),
        Entry::Dir { .. } | Entry::Symlink { .. } => None,
    });
    let is_listed =
        |(path, origin): &(&str, &str)| *origin != "mkpkg" && !path.contains("/__pycache__/");
    let files: Vec<_> = files.filter(is_listed).collect();
    // The origin of all that is below a directory, if it is one.
    let mut origins: BTreeMap<&str, Option<&str>> = BTreeMap::new();
    let mut last = None;
    for (path, origin) in &files {
        // Most are of the same origin and directory as the one before.
        let place = Some((dirs_above(path).next(), origin));
        if last == place {
            continue;
        }
        last = place;
        for dir in dirs_above(path) {
            let seen = match origins.get(dir) {
                None => Some(*origin),
                Some(Some(known)) if known != origin => None,
                // So it is for all that are above.
                Some(_) => break,
            };
            origins.insert(dir, seen);
        }
    }
    let mut patterns: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut covered = None;
    for (path, origin) in files {
        if covered.is_some_and(|dir| is_below(path, dir)) {
            continue;
        }
        let of_one = |dir: &&str| origins.get(dir).is_some_and(Option::is_some);
        covered = dirs_above(path).take_while(of_one).last();
        let pattern = covered.map_or_else(|| escape(path), |dir| format!("{}/*", escape(dir)));
        patterns.entry(key(origin)).or_default().insert(pattern);
    }
    patterns.into_iter().map(|(origin, set)| (origin, set.into_iter().collect())).collect()
}

/// The directories a path is in, the nearest first.
fn dirs_above(path: &str) -> impl Iterator<Item = &str> {
    fn parent(path: &str) -> Option<&str> {
        path.rsplit_once('/').map(|(dir, _)| dir)
    }
    std::iter::successors(parent(path), |dir| parent(dir))
}

fn is_below(path: &str, dir: &str) -> bool {
    path.strip_prefix(dir).is_some_and(|rest| rest.starts_with('/'))
}

fn patterns_of(bundled: &Bundled, patterns: &BTreeMap<String, Vec<String>>) -> Option<String> {
    let known = patterns.get(&key(&format!("{} {}", bundled.name, bundled.version)))?;
    Some(known.join("\n "))
}

/// The normalised name in an origin such as `Django 5.1`.
fn key(origin: &str) -> String {
    let name = origin.split_once(' ').map_or(origin, |(name, _)| name);
    normalize_name(name).unwrap_or_else(|_| name.to_owned())
}

/// Blanks part patterns and `*`, `?` and `\` have a meaning in them; `?` stands for any of these.
fn escape(path: &str) -> String {
    path.replace(|at: char| at.is_whitespace() || matches!(at, '*' | '?' | '\\'), "?")
}

/// A changelog with one entry.
fn changelog(meta: &PackageMeta) -> String {
    format!(
        "{} ({}) stable; urgency=medium\n\n  * {}\n\n -- {}  {}\n",
        meta.name,
        version::full(meta),
        meta.change(),
        one_line(&meta.maintainer),
        rfc2822(meta.epoch)
    )
}

/// What a package in its own directory cannot do otherwise, tag by tag.
///
/// lintian prints the path in brackets; `*` matches it whatever the version puts around it.
fn overrides(meta: &PackageMeta, tree: &Tree) -> String {
    let prefix = meta.prefix.as_str();
    let has = |is_it: fn(&str) -> bool| {
        tree.iter().any(|(path, _)| path.below(&meta.prefix).is_some_and(is_it))
    };
    let mut tags = Vec::new();
    let home = meta.home();
    if home.as_str().starts_with("opt/") && tree.iter().any(|(path, _)| *path == home) {
        tags.push((
            "The application and all it needs is in a directory of its own.",
            format!("dir-or-file-in-opt *{}*", home.as_str()),
        ));
    }
    if has(|inner| inner.starts_with("bin/")) {
        tags.push((
            "Commands start the interpreter of the application's own environment.",
            format!("unusual-interpreter *{prefix}/bin/*"),
        ));
    }
    if has(|inner| inner.contains("__pycache__/")) {
        tags.push((
            "Byte code is part of the package, so that nothing is left when it is removed.",
            format!("package-installs-python-pycache-dir *{prefix}/*"),
        ));
    }
    if has(|inner| inner.ends_with(".js")) {
        tags.push((
            "Distributions bring the scripts they were tested with.",
            format!("embedded-javascript-library *{prefix}/*"),
        ));
    }
    tags.push((
        "The package is not part of Debian and closes no bug there.",
        "initial-upload-closes-no-bugs *".to_owned(),
    ));
    let name = &meta.name;
    tags.iter().map(|(reason, tag)| format!("# {reason}\n{name}: {tag}\n")).collect()
}

/// Seconds since 1970 as an RFC 2822 date in UTC.
fn rfc2822(epoch: u64) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let date = Date::of_epoch(epoch);
    let (year, month, day) = date.civil();
    let second = epoch % 86_400;
    format!(
        "{}, {day:02} {} {year:04} {:02}:{:02}:{:02} +0000",
        DAYS[(date.days() % 7) as usize],
        MONTHS[month as usize - 1],
        second / 3600,
        second / 60 % 60,
        second % 60
    )
}

#[cfg(test)]
mod tests {
    use crate::backend::deb::docs::{
        changelog, copyright, overrides, patterns, rfc2822, short_name, with_docs,
    };
    use crate::backend::deb::tests::{meta, path, tree};
    use crate::tree::content::Content;
    use crate::tree::{Entry, Tree};

    fn check(epoch: u64, expected: &str) {
        assert_eq!(rfc2822(epoch), expected);
    }

    #[test]
    fn dates() {
        check(0, "Thu, 01 Jan 1970 00:00:00 +0000");
        check(951_782_400, "Tue, 29 Feb 2000 00:00:00 +0000");
        check(1_767_225_599, "Wed, 31 Dec 2025 23:59:59 +0000");
        check(1_709_251_199, "Thu, 29 Feb 2024 23:59:59 +0000");
        check(4_107_542_400, "Mon, 01 Mar 2100 00:00:00 +0000");
        check(4_107_542_399, "Sun, 28 Feb 2100 23:59:59 +0000");
    }

    #[test]
    fn licence_names() {
        for (statement, expected) in [
            ("MIT", Some("MIT")),
            ("MIT OR Apache-2.0", Some("MIT or Apache-2.0")),
            (
                "GPL-2.0-or-later WITH Classpath-exception-2.0 AND MIT",
                Some("GPL-2.0-or-later with Classpath-exception-2.0 exception and MIT"),
            ),
            ("BSD License", None),
            ("MIT OR", None),
            ("OR", None),
            ("", None),
            ("(MIT OR X11) AND Y", None),
            ("MIT\nFiles: *", None),
        ] {
            assert_eq!(short_name(statement).as_deref(), expected, "{statement:?}");
        }
    }

    #[test]
    fn copyright_file() {
        let expected = "\
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: acme-web
Source: https://acme.example
Comment:
 Copyright holders and licences as the metadata of each part named them on 2026-01-01.
 Paths are those of the installed files.

Files: *
Copyright: Wile E. <w@acme.example>
License: GPL-3.0-or-later
 On Debian systems the full text of GPL-3 is in
 /usr/share/common-licenses/GPL-3.

Files: opt/acme-web/lib/python3.11/site-packages/acme/*
Copyright: Wile E. <w@acme.example>
License: GPL-3.0-or-later
 On Debian systems the full text of GPL-3 is in
 /usr/share/common-licenses/GPL-3.

Files: opt/acme-web/lib/python3.11/site-packages/typing?extensions.py
 opt/acme-web/lib/python3.11/site-packages/typing_extensions-4.dist-info/*
Copyright: the authors of typing_extensions
License: typing-extensions-licence
 The metadata say: Python licence, see LICENSE
 The text of the licence is in this package:
  /opt/acme-web/lib/python3.11/site-packages/typing_extensions-4.dist-info/LICENSE
";
        assert_eq!(copyright(&meta(), &tree()), expected);
    }

    #[test]
    fn shared_directories_are_listed_by_file() {
        let mut tree = Tree::new();
        for (name, origin) in [
            ("opt/a/x/1", "a 1"),
            ("opt/a/x/2", "b 1"),
            ("opt/a/y/1", "b 1"),
            ("opt/a/y/z/2", "b 1"),
            ("opt/a/y/__pycache__/3", "mkpkg"),
        ] {
            let entry = Entry::file(Content::bytes(""), 0o644, &origin.into());
            tree.insert(path(name), entry).unwrap();
        }
        let patterns = patterns(&tree);
        assert_eq!(patterns["a"], ["opt/a/x/1"]);
        assert_eq!(patterns["b"], ["opt/a/x/2", "opt/a/y/*"]);
    }

    #[test]
    fn changelog_and_overrides() {
        let expected = "\
acme-web (1.4.2-1) stable; urgency=medium

  * Version 1.4.2 and its 2 Python distributions, packed by mkpkg.

 -- Acme Ops <ops@acme.example>  Thu, 01 Jan 2026 00:00:00 +0000
";
        assert_eq!(changelog(&meta()), expected);
        let overrides = overrides(&meta(), &tree());
        assert!(overrides.contains("\nacme-web: unusual-interpreter *opt/acme-web/bin/*\n"));
        assert!(
            overrides.lines().all(|line| line.starts_with("# ") || line.starts_with("acme-web: "))
        );
    }

    #[test]
    fn files_of_the_tree_win() {
        let own = path("usr/share/doc/acme-web/copyright");
        let mut tree = tree();
        tree.insert(own.clone(), Entry::file(Content::bytes("mine"), 0o644, &"x 1".into()))
            .unwrap();
        let whole = with_docs(&meta(), tree).unwrap();
        let Some(Entry::File { content, .. }) = whole.get(&own) else { panic!("lost") };
        assert_eq!(content.read().unwrap(), b"mine");
        assert!(whole.get(&path("usr/share/lintian/overrides/acme-web")).is_some());
    }
}
