//! Maintainer scripts as snippets, each called the way dpkg called it.

use crate::import::draft::Draft;
use crate::import::{Found, Package};

/// A script, the arguments dpkg gives it, and the snippets it becomes.
const SCRIPTS: [(&str, &str, &[&str]); 4] = [
    ("preinst", "\"$MKPKG_ACTION\" \"$MKPKG_OLD_VERSION\"", &["before-install", "before-upgrade"]),
    ("postinst", "configure \"$MKPKG_OLD_VERSION\"", &["after-install", "after-upgrade"]),
    ("prerm", "remove", &["before-remove"]),
    ("postrm", "remove", &["after-remove"]),
];

/// What dpkg calls scripts with in the course of events (Debian Policy 6.5), and snippets are not run for.
const LOST: [(&str, &str); 6] = [
    ("postinst", "triggered"),
    ("prerm", "upgrade"),
    ("prerm", "deconfigure"),
    ("postrm", "upgrade"),
    ("postrm", "disappear"),
    ("postrm", "purge"),
];

/// What debhelper replaces in a script, other than `#DEBHELPER#` (dh_installdeb(1), Substitution in maintainer scripts).
fn token(text: &str) -> Option<String> {
    let mut parts = text.split('#');
    let is_token = |part: &&str| {
        let is_known = *part == "PACKAGE"
            || ["DEB_HOST_", "DEB_BUILD_", "DEB_TARGET_", "ENV."]
                .iter()
                .any(|it| part.starts_with(it));
        is_known && part.chars().all(|at| at.is_ascii_alphanumeric() || "_.".contains(at))
    };
    parts.find(is_token).map(|part| format!("#{part}#"))
}

/// Whether a word stands in a script, outside of comments.
fn has_word(text: &str, word: &str) -> bool {
    let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
    let is_end = |at: char| !at.is_ascii_alphanumeric() && at != '-' && at != '_';
    lines.flat_map(|line| line.split(is_end)).any(|found| found == word)
}

/// Whether a kind of file is a script of this module.
pub(super) fn is_script(kind: &str) -> bool {
    SCRIPTS.iter().any(|(script, ..)| *script == kind)
}

/// Carries one script over.
pub(super) fn carry(of: &Package<'_>, kind: &str, file: &str, found: &Found, draft: &mut Draft) {
    let text = found.text.as_str();
    let Some((_, arguments, keys)) = SCRIPTS.iter().find(|(script, ..)| *script == kind) else {
        return;
    };
    let first = text.lines().next().unwrap_or_default();
    if !first.starts_with("#!") || !first.trim_end_matches(" -e").ends_with("/sh") {
        draft.ask(file, "snippets are POSIX shell: rewrite it as such, and name it in `[scripts]`");
        return;
    }
    if text.contains("debconf") {
        let todo = "it asks debconf, which mkpkg does not: read the answers from a configuration file, and name \
                    the rest of the script in `[scripts]`";
        draft.ask(file, todo);
        return;
    }
    for (_, word) in LOST.iter().filter(|(script, word)| *script == kind && has_word(text, word)) {
        let todo = format!(
            "what it does at `{word}` never runs: mkpkg has no snippet there{}",
            if *word == "purge" { "; a purge deletes what services of mkpkg wrote" } else { "" }
        );
        draft.ask(file, &todo);
    }
    if let Some(token) = token(text) {
        let todo = format!(
            "debhelper replaces `{token}` in it: write what that comes to into the snippet"
        );
        draft.ask(file, &todo);
    }
    if found.is_foreign {
        let todo = "it is not UTF-8, which snippets are: it was read as Latin-1, and what it writes differs in the \
                    characters beyond ASCII";
        draft.ask(file, todo);
    }
    let lines = text.lines().skip(1).filter(|line| line.trim() != "#DEBHELPER#");
    let body = lines.collect::<Vec<_>>().join("\n");
    let path = format!("{}/mkpkg/{}.{kind}", of.folder.path, of.name);
    let snippet = format!(
        "# Made of `{file}` by `mkpkg init`: what dpkg gave it stands in its arguments.\nset -- {arguments}\n{body}\n"
    );
    let named = of.source_path(&format!("debian/mkpkg/{}.{kind}", of.name));
    for key in *keys {
        draft.set("scripts", key, named.as_str(), &format!("`{file}`"));
    }
    draft.beside.push((path, snippet));
}

#[cfg(test)]
mod tests {
    use crate::import::scripts::{has_word, token};

    #[test]
    fn tokens_of_scripts() {
        for (text, expected) in [
            ("#!/bin/sh\n#DEBHELPER#\n# a note #\n", None),
            ("dir=/usr/lib/#DEB_HOST_MULTIARCH#/x\n", Some("#DEB_HOST_MULTIARCH#")),
            ("#!/bin/sh\necho #PACKAGE#\n", Some("#PACKAGE#")),
            ("echo #ENV.HOME#", Some("#ENV.HOME#")),
            ("# ENV. and PACKAGE names\n#", None),
        ] {
            assert_eq!(token(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn words_of_scripts() {
        for (text, expected) in [
            ("case $1 in upgrade) x ;; esac", true),
            ("case $1 in\n\tremove|upgrade)\n", true),
            ("[ \"$1\" = \"upgrade\" ]", true),
            ("# upgrade\n", false),
            ("case $1 in failed-upgrade|abort-upgrade) ;; esac", false),
            ("pip install --upgrade x", false),
        ] {
            assert_eq!(has_word(text, "upgrade"), expected, "{text}");
        }
    }
}
