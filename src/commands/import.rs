//! `mkpkg init --from-debian`: reads a `debian` directory, asks make what its rules do, and writes configurations.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::commands::init::write;
use crate::commands::{recipe, scratch};
use crate::error::UserError;
use crate::import::draft::{Draft, MARK, Remark};
use crate::import::rules::Recipe;
use crate::import::{Folder, Found, Imported, import, is_metadata};
use crate::project::sources::{SourceKind, list};
use crate::report::{Talk, print};

/// Imports the folder `dir` of the project `project`, by default the one it lies in.
pub fn run(dir: &Path, project: Option<&Path>, run_rules: bool, talk: &Talk) -> Result<()> {
    let Places { root, folder: path, shown } = places(dir, project)?;
    let folder = folder(&root, path, run_rules, talk)?;
    let imported = import(&folder)?;
    let files = files(&root, &imported);
    if let Some((path, _)) = files.iter().find(|(path, _)| path.symlink_metadata().is_ok()) {
        return Err(UserError::usage(format!("`{}` is there already", path.display()))
            .hint("move it away first: nothing was written")
            .into());
    }
    let mut made = Vec::new();
    let written = files.iter().try_for_each(|(path, text)| make(path, text, &mut made));
    if let Err(error) = written {
        // The first error counts; what else is wrong shows next time.
        for path in made.iter().rev() {
            let _ = if path.is_dir() { fs::remove_dir(path) } else { fs::remove_file(path) };
        }
        return Err(error);
    }
    for one in &imported {
        report(one, talk);
    }
    let paths = files.iter().map(|(path, _)| path);
    for path in paths.filter(|path| path.extension().is_some_and(|it| it == "toml")) {
        let below = path.strip_prefix(&root).unwrap_or(path);
        print(&format!("{}\n", shown.join(below).display()))?;
    }
    Ok(())
}

/// Writes a file and the directories it lies in, and adds what is new to `made`.
fn make(path: &Path, text: &str, made: &mut Vec<PathBuf>) -> Result<()> {
    let missing = path.ancestors().skip(1).take_while(|dir| dir.symlink_metadata().is_err());
    let missing: Vec<_> = missing.map(Path::to_owned).collect();
    for dir in missing.into_iter().rev() {
        let made_it = fs::create_dir(&dir);
        made_it.map_err(|error| unwritable(&dir, &error.to_string()))?;
        made.push(dir);
    }
    write(path, text).map_err(|error| unwritable(path, &error.root_cause().to_string()))?;
    made.push(path.to_owned());
    Ok(())
}

fn unwritable(path: &Path, why: &str) -> UserError {
    UserError::input(format!("cannot write `{}`: {why}", path.display()))
        .hint("nothing was written: make it possible, then run this again")
}

/// Where an import reads and writes.
struct Places {
    /// The directory of the project, absolute.
    root: PathBuf,
    /// The path of the folder from there.
    folder: String,
    /// The directory of the project as its user would name it.
    shown: PathBuf,
}

fn places(dir: &Path, project: Option<&Path>) -> Result<Places> {
    let open = |path: &Path| {
        let found = path.canonicalize().ok().filter(|path| path.is_dir());
        found.ok_or_else(|| {
            UserError::usage(format!("there is no directory `{}`", path.display()))
                .hint("name the `debian` directory of a package that dh-virtualenv makes")
        })
    };
    let folder = open(dir)?;
    let (root, shown) = match project {
        Some(project) => (open(project)?, project.to_owned()),
        None if folder.ends_with("debian") => {
            let above = if dir.ends_with("debian") { dir.parent() } else { None };
            let shown = above.map_or_else(|| dir.join(".."), Path::to_owned);
            (folder.parent().unwrap_or(&folder).to_owned(), shown)
        }
        None => (open(Path::new("."))?, PathBuf::new()),
    };
    let below =
        folder.strip_prefix(&root).ok().and_then(Path::to_str).filter(|path| !path.is_empty());
    let Some(below) = below else {
        let message = format!("`{}` is not in the project `{}`", folder.display(), root.display());
        return Err(UserError::usage(message)
            .hint("name the project: `mkpkg init PROJECT --from-debian DIR`")
            .into());
    };
    Ok(Places { folder: below.to_owned(), root, shown })
}

/// Reads everything an import depends on.
fn folder(root: &Path, path: String, run_rules: bool, talk: &Talk) -> Result<Folder> {
    let mut project = BTreeMap::new();
    let mut files = BTreeMap::new();
    let mut metadata = BTreeMap::new();
    for source in list(root, &[])? {
        let name = source.path.display().to_string();
        let is_file = match source.kind {
            SourceKind::File(_) => true,
            // What a link in the project leads to counts, as it does for helpers.
            SourceKind::Link(_) => {
                let to = root.join(&source.path).canonicalize();
                to.is_ok_and(|to| to.is_file() && to.starts_with(root))
            }
        };
        if !is_file {
            continue;
        }
        let is_executable = is_executable(&root.join(&source.path))?;
        let below = name.strip_prefix(&path).and_then(|rest| rest.strip_prefix('/'));
        if let Some(below) = below {
            let bytes = fs::read(root.join(&source.path))
                .with_context(|| format!("cannot read `{name}`"))?;
            files.insert(below.to_owned(), Found::new(bytes, is_executable));
            project.insert(format!("debian/{below}"), is_executable);
        } else {
            if is_metadata(&name) {
                let text = fs::read(root.join(&source.path));
                let text = text.with_context(|| format!("cannot read `{name}`"))?;
                metadata.insert(name.clone(), String::from_utf8_lossy(&text).into_owned());
            }
            project.insert(name, is_executable);
        }
    }
    // What helpers read lies at the top; directories hold what lists name, or what a build has made.
    files.retain(|name, _| !name.contains('/') || name == "patches/series");
    let Some(rules) = files.get("rules") else {
        return Err(UserError::usage(format!("there is no `{path}/rules`"))
            .hint("name the `debian` directory of a package that dh-virtualenv makes")
            .into());
    };
    let scratch = scratch()?;
    let recipe = recipe::read((root, &path), &rules.text, &scratch, talk)?;
    let record = || recipe::record((root, &path), &recipe, &scratch);
    let recorded = run_rules.then(record).transpose()?;
    Ok(Folder { recipe: Recipe { recorded, ..recipe }, path, files, project, metadata })
}

fn is_executable(path: &Path) -> Result<bool> {
    use std::os::unix::fs::PermissionsExt as _;
    let metadata = path.metadata().with_context(|| format!("cannot read `{}`", path.display()))?;
    Ok(metadata.permissions().mode() & 0o111 != 0)
}

/// What is to be written, and where.
fn files(root: &Path, imported: &[Imported]) -> Vec<(PathBuf, String)> {
    let mut files = Vec::new();
    for one in imported {
        files.push((root.join(&one.dir).join(&one.file), one.text.clone()));
        files.extend(one.draft.beside.iter().map(|(path, text)| (root.join(path), text.clone())));
    }
    let normal = |path: &PathBuf| path.components().collect::<PathBuf>();
    files.into_iter().map(|(path, text)| (normal(&path), text)).collect()
}

/// Tells what became of everything.
fn report(one: &Imported, talk: &Talk) {
    let Draft { carried, dropped, human, .. } = &one.draft;
    talk.say(&format!("{}, in `{}`:", one.package, one.file));
    for (what, remarks) in [("carried over", carried), ("left out", dropped), ("for you", human)] {
        for Remark { what: thing, text } in remarks {
            talk.say(&format!("{what:>14}  {thing}: {text}"));
        }
    }
    let place = if human.len() == 1 { "place needs" } else { "places need" };
    talk.say(&format!(
        "{} carried over, {} left out, {} {place} you: search for `{MARK}`",
        carried.len(),
        dropped.len(),
        human.len()
    ));
}
