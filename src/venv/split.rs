//! Parts of the standard library that Debian and its kin ship in packages of their own.

use std::collections::{BTreeMap, BTreeSet};

use crate::tree::{PkgPath, Tree};

/// The split modules an application needs, each with the file that imports it.
///
/// `imports` lists files that import such a module as soon as they are imported themselves. Of the application's
/// `own` files every one counts. Of the other distributions only `distutils` counts: their graphical parts are
/// rarely what a service runs, while `distutils` is a habit of old code in the middle of things. setuptools brings
/// a `distutils` of its own.
pub fn needed(
    imports: &BTreeMap<String, Vec<PkgPath>>,
    own: &BTreeSet<PkgPath>,
    tree: &Tree,
) -> BTreeMap<String, String> {
    let has_setuptools =
        tree.files().any(|(path, ..)| path.as_str().ends_with("/_distutils_hack/__init__.py"));
    let mut needed = BTreeMap::new();
    for (module, files) in imports {
        let counts = |file: &&PkgPath| match module.as_str() {
            "distutils" => !has_setuptools && !is_build_code(file),
            _ => own.contains(*file),
        };
        if let Some(file) = files.iter().find(counts) {
            needed.insert(module.clone(), file.absolute());
        }
    }
    needed
}

/// Code that builds or tests extensions and is not run on a host.
fn is_build_code(path: &PkgPath) -> bool {
    let mut parts = path.as_str().split('/');
    parts.any(|part| {
        part.contains("distutils") || matches!(part, "tests" | "test" | "testing" | "setup.py")
    })
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use crate::tree::{PkgPath, Tree};
    use crate::venv::split::needed;

    #[test]
    fn what_counts() {
        let path = |text: &str| PkgPath::new(text).unwrap();
        let imports = BTreeMap::from([
            (
                "distutils".to_owned(),
                vec![path("s/numpy/distutils/core.py"), path("s/old/version.py")],
            ),
            ("tkinter".to_owned(), vec![path("s/PIL/ImageTk.py")]),
        ]);
        let found = needed(&imports, &BTreeSet::new(), &Tree::new());
        assert_eq!(
            found,
            BTreeMap::from([("distutils".to_owned(), "/s/old/version.py".to_owned())])
        );
        let own = BTreeSet::from([path("s/PIL/ImageTk.py")]);
        assert!(needed(&imports, &own, &Tree::new()).contains_key("tkinter"));
    }
}
