//! Maintainer scripts as snippets, each called the way dpkg called it.

use crate::import::Package;
use crate::import::draft::Draft;

/// A script, the arguments dpkg gives it, and the snippets it becomes.
const SCRIPTS: [(&str, &str, &[&str]); 4] = [
    ("preinst", "\"$MKPKG_ACTION\" \"$MKPKG_OLD_VERSION\"", &["before-install", "before-upgrade"]),
    ("postinst", "configure \"$MKPKG_OLD_VERSION\"", &["after-install", "after-upgrade"]),
    ("prerm", "remove", &["before-remove"]),
    ("postrm", "remove", &["after-remove"]),
];

/// Whether a kind of file is a script of this module.
pub(super) fn is_script(kind: &str) -> bool {
    SCRIPTS.iter().any(|(script, ..)| *script == kind)
}

/// Carries one script over.
pub(super) fn carry(of: &Package<'_>, kind: &str, file: &str, text: &str, draft: &mut Draft) {
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
    for (word, is_lost) in [("purge", kind == "postrm"), ("upgrade", kind == "prerm")] {
        if is_lost && text.contains(word) {
            let todo = format!(
                "what it does at `{word}` never runs: mkpkg has no snippet there{}",
                if word == "purge" { "; a purge deletes what services of mkpkg wrote" } else { "" }
            );
            draft.ask(file, &todo);
        }
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
