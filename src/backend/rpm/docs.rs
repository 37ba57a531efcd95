//! The file that says who holds the copyright of what is inside, and under which licences it may be used.
//!
//! Plain text: the format has no grammar for it.

use std::sync::Arc;

use anyhow::Result;

use crate::package::{Bundled, PackageMeta};
use crate::tree::content::Content;
use crate::tree::{Entry, PkgPath, Tree};

/// Where the file is: the place of licences, which are installed where documentation is not, as in many containers.
pub(super) fn copyright_path(meta: &PackageMeta) -> Result<PkgPath> {
    PkgPath::new(&format!("usr/share/licenses/{}/copyright", meta.name))
}

/// `tree` with that file, unless it has one.
pub(super) fn with_docs(meta: &PackageMeta, mut tree: Tree) -> Result<Tree> {
    let path = copyright_path(meta)?;
    if tree.get(&path).is_none() {
        let content = Content::bytes(copyright(meta));
        tree.insert(path, Entry::file(content, 0o644, &Arc::from("mkpkg")))?;
    }
    Ok(tree)
}

fn copyright(meta: &PackageMeta) -> String {
    let mut text = format!(
        "{} {}\n\nCopyright holders and licences as the metadata of each Python distribution inside name them.\n",
        meta.name, meta.version
    );
    text.extend(meta.bundled.iter().map(paragraph));
    text
}

fn paragraph(bundled: &Bundled) -> String {
    let mut text = format!("\n{} {}\n", one_line(&bundled.name), one_line(&bundled.version));
    let fields = [
        ("Home page", &bundled.homepage),
        ("Author", &bundled.author),
        ("Licence", &bundled.licence),
    ];
    for (name, value) in fields.iter().filter(|(_, value)| !value.is_empty()) {
        text += &format!("  {name}: {}\n", one_line(value));
    }
    text.extend(bundled.licence_files.iter().map(|path| format!("  Text: {path}\n")));
    text
}

/// Text that came with a distribution, without what could begin another paragraph.
fn one_line(text: &str) -> String {
    let clean = text.replace(char::is_control, " ");
    clean.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use crate::backend::rpm::docs::{copyright, copyright_path, with_docs};
    use crate::backend::rpm::tests::{meta, tree};
    use crate::tree::Entry;
    use crate::tree::content::Content;

    #[test]
    fn copyright_file() {
        let expected = "\
acme-web 1.4.2

Copyright holders and licences as the metadata of each Python distribution inside name them.

acme-web 4
  Author: Wile E. <w@acme.example>
  Licence: GPL-3.0-or-later

typing_extensions 4
  Licence: Python licence, see LICENSE
  Text: /opt/acme-web/lib/python3.11/site-packages/typing_extensions-4.dist-info/LICENSE
";
        assert_eq!(copyright(&meta()), expected);
    }

    #[test]
    fn a_file_of_the_tree_wins() {
        let path = copyright_path(&meta()).unwrap();
        let mut tree = tree();
        let own = Entry::file(Content::bytes("mine"), 0o644, &"x 1".into());
        tree.insert(path.clone(), own).unwrap();
        let whole = with_docs(&meta(), tree).unwrap();
        let Some(Entry::File { content, .. }) = whole.get(&path) else { panic!("lost") };
        assert_eq!(content.read().unwrap(), b"mine");
    }
}
