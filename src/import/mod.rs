//! Reads the recipe of a package that dh-virtualenv makes, the `debian` folder, and writes what mkpkg needs to make the
//! same package.
//!
//! Values in, text out: nothing is opened or run here. Everything in the folder is carried over, left out with a
//! reason, or left to a human; nothing goes by silently.

pub mod changelog;
pub mod control;
mod debhelper;
pub mod draft;
mod environment;
mod fields;
mod helpers;
mod kinds;
mod manuals;
pub mod options;
mod overrides;
mod pip;
mod policies;
mod pythons;
pub mod rules;
mod scripts;
pub mod shell;
mod strangers;
mod units;

use std::collections::BTreeMap;

use anyhow::Result;

use crate::error::UserError;
use crate::import::changelog::{DebianVersion, latest};
use crate::import::control::{Stanza, is_for_all};
use crate::import::draft::Draft;
use crate::import::environment::Environment;
use crate::import::options::Call;
use crate::import::rules::Recipe;
use crate::package::PackageName;
use crate::project::config;
use crate::project::prefix::prefix;
use crate::project::static_metadata::{PyProject, StaticMetadata, agree, of_setup_cfg};
use crate::tree::PkgPath;

const PYPROJECT: &str = "pyproject.toml";
const SETUP_CFG: &str = "setup.cfg";

/// Whether a file states what a project is.
pub fn is_metadata(path: &str) -> bool {
    [PYPROJECT, SETUP_CFG].contains(&path.rsplit('/').next().unwrap_or_default())
}

/// A file of the folder or of the project.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Its text; what is no UTF-8 is read as Latin-1, in which every byte is a character.
    pub text: String,
    /// Whether it is no UTF-8.
    pub is_foreign: bool,
    /// Whether it can be run.
    pub is_executable: bool,
}

impl Found {
    /// A file with this content.
    pub fn new(bytes: Vec<u8>, is_executable: bool) -> Self {
        match String::from_utf8(bytes) {
            Ok(text) => Self { text, is_foreign: false, is_executable },
            Err(error) => {
                let text = error.as_bytes().iter().copied().map(char::from).collect();
                Self { text, is_foreign: true, is_executable }
            }
        }
    }
}

/// All that is known of a package before it is imported.
#[derive(Clone, Debug, Default)]
pub struct Folder {
    /// Path of the folder, from the project.
    pub path: String,
    /// Its files by name.
    pub files: BTreeMap<String, Found>,
    /// Paths of the project's files, and whether each can be run. Those of the folder are called `debian/…`.
    pub project: BTreeMap<String, bool>,
    /// What the rules do.
    pub recipe: Recipe,
    /// Texts of the project's files that state what it is, by their paths.
    pub metadata: BTreeMap<String, String>,
}

/// A configuration that was made of a folder.
#[derive(Clone, Debug)]
pub struct Imported {
    /// The package.
    pub package: String,
    /// Directory of its project, from the one the folder belongs to.
    pub dir: String,
    /// Name of the file of the configuration.
    pub file: String,
    /// Its text.
    pub text: String,
    /// What became of what.
    pub draft: Draft,
}

/// A binary package as its import proceeds.
struct Package<'a> {
    folder: &'a Folder,
    name: &'a str,
    stanza: &'a Stanza,
    source: &'a Stanza,
    is_first: bool,
    /// All packages of the folder.
    names: &'a [&'a str],
    /// Directory of its environment.
    prefix: PkgPath,
    environment: &'a Environment,
}

impl Package<'_> {
    /// What the project that is packaged states of itself.
    fn stated(&self) -> Result<StaticMetadata> {
        let text = |name: &str| {
            self.folder.metadata.get(&self.environment.path(name)).map_or("", String::as_str)
        };
        agree(&[
            (PYPROJECT, PyProject::parse(text(PYPROJECT))?.metadata()),
            (SETUP_CFG, of_setup_cfg(text(SETUP_CFG))),
        ])
    }

    /// The path of a file as the configuration names it, from the directory of the project that is packaged.
    fn source_path(&self, path: &str) -> String {
        let below = path.strip_prefix("debian/").map(|name| format!("{}/{name}", self.folder.path));
        let path = below.unwrap_or_else(|| path.to_owned());
        let dir = self.environment.dir.as_str();
        if dir.is_empty() {
            return path;
        }
        match path.strip_prefix(dir).and_then(|rest| rest.strip_prefix('/')) {
            Some(rest) => rest.to_owned(),
            None => format!("{}{path}", "../".repeat(dir.split('/').count())),
        }
    }
}

/// Makes a configuration of each package that has an environment.
pub fn import(folder: &Folder) -> Result<Vec<Imported>> {
    let text = |name: &str| folder.files.get(name).map(|found| found.text.as_str());
    let stanzas = control::parse(text("control").unwrap_or_default())?;
    let [source, packages @ ..] = stanzas.as_slice() else { return Err(no_packages().into()) };
    let names: Vec<_> = packages.iter().filter_map(|stanza| stanza.get("Package")).collect();
    if names.is_empty() {
        return Err(no_packages().into());
    }
    if !folder.recipe.uses_dh_virtualenv() && !calls_script(folder) {
        let message = "the rules neither call `dh_virtualenv` nor name its add-on";
        return Err(UserError::usage(message)
            .hint("`mkpkg init` without `--from-debian` writes a configuration to start with")
            .into());
    }
    pythons::refuse_old(folder, source)?;
    let version = latest(text("changelog").unwrap_or_default());
    let mut imported = Vec::new();
    for stanza in packages {
        let name = stanza.get("Package").unwrap_or_default();
        let environments = environment::of_package(folder, stanza, source)?;
        let Some(environment) = environments else { continue };
        let prefix = prefix(Some(&environment.prefix), &PackageName::new(name)?)?;
        let is_first = names.first() == Some(&name);
        let of = Package {
            folder,
            name,
            stanza,
            source,
            is_first,
            names: &names,
            prefix,
            environment: &environment,
        };
        let mut draft = one(&of, version.as_ref(), &names)?;
        for other in packages.iter().filter(|other| !has_environment(folder, other)) {
            draft.ask(
                other.get("Package").unwrap_or_default(),
                "this package has no environment and is not made by mkpkg: keep its recipe",
            );
        }
        shared(folder, &of, packages, &mut draft)?;
        imported.push(finished(of, draft, names.len())?);
    }
    if imported.is_empty() {
        let message = "no package of this folder has an environment";
        return Err(UserError::usage(message)
            .hint(
                "dh-virtualenv passes over packages called `python3…` and those of `--no-package`",
            )
            .into());
    }
    Ok(imported)
}

fn no_packages() -> UserError {
    UserError::usage("the folder's `control` names no package")
        .hint("name the `debian` directory of a package that dh-virtualenv makes")
}

fn calls_script(folder: &Folder) -> bool {
    folder.recipe.targets.contains_key("override_dh_virtualenv")
}

/// dh-virtualenv passes over packages of Python modules without a word.
fn has_environment(folder: &Folder, stanza: &Stanza) -> bool {
    let name = stanza.get("Package").unwrap_or_default();
    let is_about = |call: &Call| call.is_about(name, is_for_all(stanza));
    let calls = folder.recipe.calls();
    let is_meant = calls.is_empty() || calls.iter().any(is_about);
    is_meant && is_about(&folder.recipe.passed_on()) && !name.starts_with("python3")
}

/// Says of a package that it has an environment because no call names packages, and which others have it where it is.
fn shared(folder: &Folder, of: &Package<'_>, packages: &[Stanza], draft: &mut Draft) -> Result<()> {
    let calls = of.environment.calls.iter().chain([&of.environment.options]);
    let mut names = calls.flat_map(|call| &call.options).map(|option| option.name.as_str());
    if packages.len() > 1
        && !of.is_first
        && !names.any(|name| name == "--package" || name == "--no-package")
    {
        let todo = format!(
            "`dh_virtualenv` is told of no package, and makes an environment in each: delete `mkpkg-{0}.toml` if `{0}` \
             is to have none",
            of.name
        );
        draft.ask(of.name, &todo);
    }
    for other in packages.iter().filter(|other| other.get("Package") != Some(of.name)) {
        let theirs = environment::of_package(folder, other, of.source)?;
        if theirs.is_some_and(|theirs| theirs.prefix == of.environment.prefix) {
            let todo = format!(
                "it has its environment at `{}`, too, so only one of both packages can be installed: give one another \
                 `prefix`, or none",
                of.environment.prefix
            );
            draft.ask(other.get("Package").unwrap_or_default(), &todo);
        }
    }
    Ok(())
}

/// Everything about one package.
fn one(of: &Package<'_>, version: Option<&DebianVersion>, names: &[&str]) -> Result<Draft> {
    let mut draft = Draft::default();
    for file in ["control", "rules"] {
        if of.folder.files.get(file).is_some_and(|found| found.is_foreign) {
            let todo =
                "it is not UTF-8 and was read as Latin-1: see that names and texts are right";
            draft.ask(&format!("debian/{file}"), todo);
        }
    }
    fields::carry(of, version, &mut draft)?;
    environment::carry(of, &mut draft);
    helpers::carry(of, names, &mut draft);
    overrides::carry(of, &mut draft);
    if !draft.has("", "bin") {
        let value = crate::document::Value::Array(Vec::new());
        draft.set("", "bin", value, "dh-virtualenv, which links no command into /usr/bin");
    }
    let value = vec!["deb".to_owned()];
    draft.set(
        "",
        "formats",
        value,
        "the folder, which knows nothing of an .rpm: see the key `rpm`",
    );
    Ok(draft)
}

/// The text, which mkpkg must be able to read.
fn finished(of: Package<'_>, draft: Draft, count: usize) -> Result<Imported> {
    let file = match count {
        1 => "mkpkg.toml".to_owned(),
        _ => format!("mkpkg-{}.toml", of.name),
    };
    let config = if count == 1 { String::new() } else { format!("--config {file} ") };
    let flags: String = draft.flags.iter().map(|flag| format!("{flag} ")).collect();
    let todo = match draft.human.len() {
        0 => String::new(),
        1 => format!("# One place needs you: search for `{}`.\n", draft::MARK),
        number => format!("# {number} places need you: search for `{}`.\n", draft::MARK),
    };
    let start = format!(
        "# Made of `{}` by `mkpkg init --from-debian`. Build it with\n#\n#     mkpkg deb {config}{flags}.\n#\n{todo}\n",
        of.folder.path
    );
    let text = draft.text(&start);
    config::load(Some((config::parse(&text, &file)?, &file)), &[])?;
    let dir = of.environment.dir.clone();
    Ok(Imported { package: of.name.to_owned(), dir, file, text, draft })
}

#[cfg(test)]
pub(crate) mod tests {
    use anyhow::Result;

    use crate::import::rules::{Recipe, read};
    use crate::import::{Folder, Found, Imported, import};

    /// Imports a folder with these rules, as they are written, these files, and others of the project.
    pub(crate) fn imported(
        rules: &str,
        files: &[(&str, &str)],
        project: &[&str],
    ) -> Result<Vec<Imported>> {
        let found = |text: &str| Found::new(text.into(), false);
        import(&Folder {
            path: "debian".to_owned(),
            files: files.iter().map(|(name, text)| ((*name).to_owned(), found(text))).collect(),
            project: project.iter().map(|path| ((*path).to_owned(), false)).collect(),
            recipe: Recipe { targets: read(rules).recipes, ..Recipe::default() },
            ..Folder::default()
        })
    }
}
