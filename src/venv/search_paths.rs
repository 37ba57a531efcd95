//! The gate against search paths for libraries (`DT_RUNPATH`, `DT_RPATH`) that lead out of the package.
//!
//! Such a directory is searched before those of the system, on every host the package is installed on: whoever can
//! write there decides what the application runs. Most are left over from the machine a file was built on.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;

use crate::elf::ElfReport;
use crate::error::UserError;
use crate::needs::paths::{hazard, is_system, normal, with_origin};
use crate::tree::{PkgPath, Tree};
use crate::venv::loadable::who;

/// There on every host, and left in some well-known wheels.
const LOCAL: [&str; 2] = ["/usr/local/lib", "/usr/local/lib64"];

/// What a directory of a search path is.
enum Place {
    /// Below the prefix, or of the system.
    Sound,
    /// Relative to where a process is started.
    Relative,
    /// Somewhere else.
    Outside(String),
    /// Somewhere no package should look, and why.
    Wrong(String, &'static str),
}

/// Fails at the first file that is led to a build machine or to where others may write; returns warnings about others.
///
/// `is_here` tells whether a directory is on this host.
pub fn check(
    report: &ElfReport,
    tree: &Tree,
    prefix: &PkgPath,
    is_here: &dyn Fn(&Path) -> bool,
) -> Result<Vec<String>> {
    let mut outside: BTreeMap<String, Vec<&PkgPath>> = BTreeMap::new();
    for file in &report.files {
        let Ok(facts) = &file.facts else { continue };
        let list = facts.dynamic.runpath.as_ref().or(facts.dynamic.rpath.as_ref());
        for element in list.iter().flat_map(|list| list.split(':')) {
            let dir = match place(element, &file.path, &prefix.absolute(), is_here) {
                Place::Sound => continue,
                Place::Wrong(dir, what) => return Err(fault(&who(tree, &file.path), &dir, what)),
                Place::Relative => "the directory a process is started in".to_owned(),
                Place::Outside(dir) => format!("`{dir}`"),
            };
            let files = outside.entry(dir).or_default();
            if files.last() != Some(&&file.path) {
                files.push(&file.path);
            }
        }
    }
    let warning = |(dir, files): (&String, &Vec<&PkgPath>)| {
        let (first, others) = (who(tree, files[0]), files.len() - 1);
        let subject = match others {
            0 => format!("{first} looks"),
            _ => format!("{first} and {others} more look"),
        };
        format!("{subject} for libraries in {dir}, outside of `{prefix}`")
    };
    Ok(outside.iter().map(warning).collect())
}

fn fault(who: &str, dir: &str, what: &str) -> anyhow::Error {
    UserError::input(format!("{who} looks for libraries in `{dir}`, {what}"))
        .hint("build it with the distribution's Python and without `-rpath`, or leave it out with `exclude`")
        .into()
}

fn place(element: &str, file: &PkgPath, prefix: &str, is_here: &dyn Fn(&Path) -> bool) -> Place {
    let Some(dir) = normal(&with_origin(element, file)) else { return Place::Relative };
    if Path::new(&dir).starts_with(prefix) || is_system(&dir) {
        Place::Sound
    } else if let Some(what) = hazard(&dir) {
        Place::Wrong(dir, what)
    } else if !LOCAL.contains(&dir.as_str()) && is_here(Path::new(&dir)) {
        Place::Wrong(dir, "a directory of the machine that builds the package")
    } else {
        Place::Outside(dir)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use crate::elf::{ElfFile, ElfReport, facts};
    use crate::tree::content::Content;
    use crate::tree::{Entry, PkgPath, Tree};
    use crate::venv::search_paths::check;

    /// The verdict on `list` for a file in `/opt/app/lib`, on a host that has `/opt/vendor`.
    fn verdict(list: &str) -> Result<String, String> {
        let mut facts = facts(include_bytes!("../../fixtures/elf/user.so")).unwrap();
        facts.dynamic.runpath = Some(list.to_owned());
        let path = PkgPath::new("opt/app/lib/x.so").unwrap();
        let mut tree = Tree::new();
        let file = Entry::file(Content::bytes("x"), 0o644, &Arc::from("rocket 2.0"));
        tree.insert(path.clone(), file).unwrap();
        let report = ElfReport { files: vec![ElfFile { path, facts: Ok(facts) }] };
        let prefix = PkgPath::new("opt/app").unwrap();
        let is_here = |dir: &Path| dir.starts_with("/opt/vendor") || dir.starts_with("/usr/local");
        let cut = |text: String| {
            let text =
                text.replace("`/opt/app/lib/x.so` of `rocket 2.0` looks for libraries in ", "");
            text.replace(", outside of `/opt/app`", "")
        };
        let found = check(&report, &tree, &prefix, &is_here);
        found.map(|warnings| cut(warnings.join("; "))).map_err(|error| cut(error.to_string()))
    }

    #[test]
    fn places() {
        for sound in
            ["$ORIGIN", "${ORIGIN}/../x.libs", "/opt/app/lib", "/usr/lib/x86_64-linux-gnu/foo"]
        {
            assert_eq!(verdict(sound).as_deref(), Ok(""), "{sound}");
        }
        for (outside, shown) in [
            ("/usr/local/lib64", "`/usr/local/lib64`"),
            ("/opt/application:/opt/app/../b/", "`/opt/application`; `/opt/b`"),
            ("$ORIGIN/../../other", "`/opt/other`"),
            ("lib:$ORIGIN", "the directory a process is started in"),
            ("", "the directory a process is started in"),
        ] {
            assert_eq!(verdict(outside).as_deref(), Ok(shown), "{outside}");
        }
        for (wrong, shown) in [
            ("/tmp/build/lib", "`/tmp/build/lib`, where everybody may put some"),
            (
                "$ORIGIN:/home/ci/.pyenv/versions/3.11.9/lib",
                "`/home/ci/.pyenv/versions/3.11.9/lib`, somebody's home",
            ),
            (
                "/opt/vendor/lib",
                "`/opt/vendor/lib`, a directory of the machine that builds the package",
            ),
            (
                "/usr/local/pgsql/lib",
                "`/usr/local/pgsql/lib`, a directory of the machine that builds the package",
            ),
        ] {
            assert_eq!(verdict(wrong), Err(shown.to_owned()), "{wrong}");
        }
    }
}
