//! Commands in `/usr/bin`: links to those of the application.

use anyhow::Result;

use crate::error::UserError;
use crate::tree::{Entry, PkgPath, Tree};
use crate::wheel::install::{Installed, Layout};

/// Commands that packages every host has, or the interpreter, bring; taking one of these breaks a host. With
/// `/bin` a link to `/usr/bin`, dpkg does not even notice.
const SYSTEM: &str = include_str!("system_commands.txt");

/// Beginnings of the names of commands that come with Python itself.
const PYTHON: [&str; 9] =
    ["python", "pip", "pydoc", "2to3", "idle", "pygettext", "pdb3", "py3", "activate"];

/// Endings of scripts for other systems.
const FOREIGN: [&str; 4] = [".cmd", ".bat", ".ps1", ".exe"];

/// Names of the commands a distribution installs.
pub fn commands(installed: &Installed, layout: &Layout) -> Result<Vec<String>> {
    let bin = layout.bin()?;
    let names = installed.record.files.keys().filter_map(|path| path.below(&bin));
    let is_ours =
        |name: &&str| !name.contains('/') && !FOREIGN.iter().any(|end| name.ends_with(end));
    Ok(names.filter(is_ours).map(str::to_owned).collect())
}

/// A link in `/usr/bin` for each of `wanted`, or for the application's `own` commands.
///
/// The links are absolute, as Debian Policy 10.5 asks of links from one top-level directory into another.
pub fn links(
    tree: &Tree,
    wanted: Option<&[String]>,
    own: &[String],
    layout: &Layout,
) -> Result<Tree> {
    let mut links = Tree::new();
    for name in wanted.unwrap_or(own) {
        let target = layout.bin()?.join(name).ok().filter(|_| !name.contains('/'));
        let is_file = |target: &PkgPath| matches!(tree.get(target), Some(Entry::File { .. }));
        let Some(target) = target.filter(is_file) else {
            return Err(unknown(name, tree, &layout.bin()?).into());
        };
        check_name(name)?;
        let link = PkgPath::new("usr/bin")?.join(name)?;
        links.insert(link, Entry::Symlink { target: target.absolute() })?;
    }
    Ok(links)
}

/// Refuses names in `/usr/bin` that belong to the system.
pub fn check_name(name: &str) -> Result<()> {
    if !is_system(name) {
        return Ok(());
    }
    Err(UserError::usage(format!("`/usr/bin/{name}` belongs to the system and cannot be taken"))
        .hint("list the commands to link in `bin`, without this one (`bin = []` for none)")
        .into())
}

fn unknown(name: &str, tree: &Tree, bin: &PkgPath) -> UserError {
    let known: Vec<_> = tree.files().filter_map(|(path, ..)| path.below(bin)).collect();
    let hint = match known.as_slice() {
        [] => "no wheel installs a command; see that the application defines one".to_owned(),
        _ => format!("choose among {}", known.join(", ")),
    };
    UserError::usage(format!("`bin` names `{name}`, which no wheel installs")).hint(hint)
}

fn is_system(name: &str) -> bool {
    let is_python = |start: &&str| {
        let rest = name.strip_prefix(*start);
        rest.is_some_and(|rest| {
            rest.chars().all(|at| at.is_ascii_digit() || at == '.' || at == '-')
        })
    };
    SYSTEM.lines().any(|line| line == name)
        || PYTHON.iter().any(is_python)
        || ["py3clean", "py3compile", "py3versions", "python3-config"].contains(&name)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::tree::content::Content;
    use crate::tree::{Entry, Tree};
    use crate::venv::links::links;
    use crate::wheel::install::Layout;

    fn check(wanted: &[&str]) -> Result<Vec<String>, String> {
        let layout = Layout {
            prefix: crate::tree::PkgPath::new("/opt/app").unwrap(),
            minor: "3.11".to_owned(),
        };
        let mut tree = Tree::new();
        for name in ["acme", "pip3.11", "ls", "idler"] {
            let file = Entry::file(Content::bytes("#!"), 0o755, &Arc::from("a 1"));
            tree.insert(layout.bin().unwrap().join(name).unwrap(), file).unwrap();
        }
        let wanted: Vec<_> = wanted.iter().map(|name| (*name).to_owned()).collect();
        let links = links(&tree, Some(&wanted), &[], &layout).map_err(|error| error.to_string())?;
        let show = |(path, entry): (&crate::tree::PkgPath, &Entry)| match entry {
            Entry::Symlink { target } => Some(format!("{path} -> {target}")),
            Entry::Dir { .. } | Entry::File { .. } => None,
        };
        Ok(links.iter().filter_map(show).collect())
    }

    #[test]
    fn names() {
        assert_eq!(check(&["acme"]), Ok(vec!["/usr/bin/acme -> /opt/app/bin/acme".to_owned()]));
        assert_eq!(check(&[]), Ok(Vec::new()));
        assert!(check(&["idler"]).is_ok());
        for system in ["pip3.11", "ls"] {
            let expected = format!("`/usr/bin/{system}` belongs to the system and cannot be taken");
            assert_eq!(check(&[system]), Err(expected));
        }
        assert_eq!(check(&["acne"]), Err("`bin` names `acne`, which no wheel installs".to_owned()));
    }
}
