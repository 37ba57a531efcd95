//! What a spec file has to say of a package that rpmbuild packs: its relations, and its files.
//!
//! Leaves out what rpmbuild writes into every package by itself.

use std::fmt::Write;

use anyhow::Result;

use crate::backend::rpm::dependency::WRITTEN_BY_RPMBUILD;
use crate::backend::rpm::metadata::related;
use crate::backend::rpm::payload::{CONFIG, DOC, LICENCE, Marks};
use crate::backend::rpm::{accounts, scripts};
use crate::package::PackageMeta;
use crate::tree::{Entry, PkgPath, Tree};

/// The relations of a package with this tree, one `Tag: value` a line, as a spec file has them.
pub(super) fn relations(meta: &PackageMeta, tree: &Tree) -> Result<String> {
    let (scriptlets, accounts) = (scripts::scriptlets(meta)?, accounts::provided(tree)?);
    let mut text = String::new();
    for ((.., tag), dependencies) in related(meta, &scriptlets, &accounts)? {
        for one in dependencies.iter().filter(|one| one.flags & WRITTEN_BY_RPMBUILD == 0) {
            writeln!(text, "{tag}{}: {one}", one.times())?;
        }
    }
    Ok(text)
}

/// The files of a package and the directories it owns, as a file for `%files -f` has them.
pub(super) fn files(tree: &Tree, marks: &Marks) -> String {
    let owned = tree.iter().filter(|(path, entry)| marks.owns(path, entry));
    owned.map(|(path, entry)| line(path, entry, marks.flags(path, entry))).collect()
}

fn line(path: &PkgPath, entry: &Entry, flags: u32) -> String {
    let (mode, directory) = match entry {
        Entry::Dir { mode } => (format!("{mode:04o}"), "%dir "),
        Entry::File { mode, .. } => (format!("{mode:04o}"), ""),
        Entry::Symlink { .. } => ("-".to_owned(), ""),
    };
    let marks = [(CONFIG, "%config(noreplace) "), (DOC, "%doc "), (LICENCE, "%license ")];
    let marks = marks.iter().filter(|(flag, _)| flags & flag != 0);
    let marks: String = marks.map(|(_, mark)| *mark).collect();
    format!("%attr({mode},root,root) {marks}{directory}{}\n", pattern(path))
}

/// A path as rpmbuild reads it: in quotes, which keep blanks, and with macros of no meaning. There is no way to quote a
/// sign of glob(7) that all releases know: `?` stands for each, and for a blank then, as the quotes must go.
fn pattern(path: &PkgPath) -> String {
    let path = path.absolute().replace('%', "%%");
    let is_special = |at: char| matches!(at, '\\' | '*' | '?' | '[' | ']' | '{' | '}' | '"' | '\'');
    if path.contains(is_special) {
        path.replace(|at| is_special(at) || at == ' ', "?")
    } else {
        format!("\"{path}\"")
    }
}

#[cfg(test)]
mod tests {
    use crate::backend::rpm::spec::{files, relations};
    use crate::backend::rpm::tests::{file, link, meta, path};
    use crate::backend::rpm::{marks, relation};
    use crate::lifecycle::{Activation, OnUpgrade, Unit};
    use crate::package::RelationKind;
    use crate::tree::content::Content;
    use crate::tree::{Entry, Role, Tree};

    #[test]
    fn all_relations_but_those_rpmbuild_adds() {
        let mut meta = meta();
        let relate = |kind, text| relation(kind, text, "a test asks for it").unwrap();
        meta.relations = vec![
            relate(RelationKind::Needs, "nginx >= 1.2"),
            relate(RelationKind::Replaces, "acme < 1"),
        ];
        meta.lifecycle.units = vec![Unit {
            name: "acme.service".to_owned(),
            activation: Activation::Boot { enable: true, start: true },
            on_upgrade: OnUpgrade::Restart,
        }];
        let mut tree = Tree::new();
        let account = file("u acme - \"Acme\" /var/lib/acme /sbin/nologin\n", 0o644);
        tree.insert(path("usr/lib/sysusers.d/acme.conf"), account).unwrap();
        let text = relations(&meta, &tree).unwrap();
        for line in [
            "Requires: nginx >= 1.2",
            "Requires(postun): /usr/bin/find",
            "Obsoletes: acme < 1",
            "Provides: group(acme)",
            "Provides: bundled(python3dist(typing-extensions)) = 4",
            "OrderWithRequires(post,preun,postun,posttrans): systemd",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
        for word in ["rpmlib(", "/bin/sh", "config(", "Provides: acme-web"] {
            assert!(!text.contains(word), "{word} is in\n{text}");
        }
    }

    #[test]
    fn files_with_their_modes_and_marks() {
        let mut tree = Tree::new();
        let config = Entry::File {
            content: Content::bytes("a = 1\n"),
            mode: 0o640,
            role: Role::Config,
            origin: "acme-web 1.4.2".into(),
            mtime: None,
        };
        for (at, entry) in [
            ("etc/acme-web/acme.toml", config),
            ("opt/acme-web/bin/acme", file("", 0o755)),
            ("opt/acme-web/a b%c", file("", 0o644)),
            ("opt/acme-web/a [b]", file("", 0o644)),
            ("usr/bin/acme", link("/opt/acme-web/bin/acme")),
            ("usr/share/doc/acme-web/README", file("", 0o644)),
            ("usr/share/licenses/acme-web/copyright", file("", 0o644)),
        ] {
            tree.insert(path(at), entry).unwrap();
        }
        let meta = meta();
        let expected = "\
%attr(0755,root,root) %dir \"/etc/acme-web\"
%attr(0640,root,root) %config(noreplace) \"/etc/acme-web/acme.toml\"
%attr(0755,root,root) %dir \"/opt/acme-web\"
%attr(0644,root,root) /opt/acme-web/a??b?
%attr(0644,root,root) \"/opt/acme-web/a b%%c\"
%attr(0755,root,root) %dir \"/opt/acme-web/bin\"
%attr(0755,root,root) \"/opt/acme-web/bin/acme\"
%attr(-,root,root) \"/usr/bin/acme\"
%attr(0755,root,root) %dir \"/usr/share/doc/acme-web\"
%attr(0644,root,root) %doc \"/usr/share/doc/acme-web/README\"
%attr(0755,root,root) %dir \"/usr/share/licenses/acme-web\"
%attr(0644,root,root) %license \"/usr/share/licenses/acme-web/copyright\"
";
        assert_eq!(files(&tree, &marks(&meta).unwrap()), expected);
    }
}
