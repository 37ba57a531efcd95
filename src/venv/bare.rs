//! Code that lies beside its requirements and is no distribution: installed as it lies there, below `app/`, and put
//! on the import path.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path};
use std::sync::Arc;

use anyhow::{Context, Result};

use crate::app::App;
use crate::error::UserError;
use crate::project::Project;
use crate::project::sources::{SourceFile, SourceKind, text};
use crate::tree::content::Content;
use crate::tree::{Entry, Tree};
use crate::venv::OWN;
use crate::wheel::install::Layout;

/// Directory below the prefix that holds the code.
pub const DIR: &str = "app";

/// Files at the top of a project that describe it and are no part of it.
const DESCRIPTIONS: [&str; 7] = [
    "pyproject.toml",
    "setup.cfg",
    "pylock.toml",
    "uv.lock",
    "poetry.lock",
    "pdm.lock",
    "Pipfile.lock",
];

/// The code of `project` and the `.pth` file that makes it importable; nothing when there is no Python file.
///
/// Hidden files are left out: they are settings of tools, and `.env` holds secrets.
pub fn code(project: &Project, sources: &[SourceFile], app: &App, layout: &Layout) -> Result<Tree> {
    let mut tree = Tree::new();
    let code: Vec<_> = sources.iter().filter(|source| is_code(source)).collect();
    if !code.iter().any(|source| source.path.extension().is_some_and(|end| end == "py")) {
        return Ok(tree);
    }
    let dir = layout.prefix.join(DIR)?;
    let own: Arc<str> = Arc::from(app.name.as_str());
    for source in code {
        let path = dir.join(text(&source.path)?)?;
        let at = project.dir.join(&source.path);
        let entry = match &source.kind {
            SourceKind::File(len) => {
                let metadata =
                    fs::metadata(&at).with_context(|| format!("cannot read `{}`", at.display()))?;
                let mode = if metadata.permissions().mode() & 0o100 != 0 { 0o755 } else { 0o644 };
                let content = Content::Path { path: at, len: *len, sha256: None };
                let digest = content
                    .sha256()
                    .with_context(|| format!("cannot read `{}`", source.path.display()))?;
                Entry::file(content.with_sha256(digest), mode, &own)
            }
            SourceKind::Link(target) => {
                if target.is_absolute() || leaves(&source.path, target) {
                    let message =
                        format!("the link `{}` leaves the project", source.path.display());
                    return Err(UserError::input(message)
                        .hint("replace it by what it leads to")
                        .into());
                }
                Entry::Symlink { target: text(target)?.to_owned() }
            }
        };
        tree.insert(path, entry)?;
    }
    let path_line = Content::bytes(format!("{}\n", dir.absolute()));
    let pth = layout.site_packages()?.join(&format!("{}.pth", app.name))?;
    tree.insert(pth, Entry::file(path_line, 0o644, &Arc::from(OWN)))?;
    Ok(tree)
}

/// Whether a relative link at `path` leads out of the project.
fn leaves(path: &Path, target: &Path) -> bool {
    let mut depth = path.components().count() - 1;
    for part in target.components() {
        match part {
            Component::ParentDir if depth == 0 => return true,
            Component::ParentDir => depth -= 1,
            Component::Normal(_) => depth += 1,
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
    false
}

fn is_code(source: &SourceFile) -> bool {
    let mut parts = source.path.components();
    let is_hidden = parts.any(|part| part.as_os_str().as_encoded_bytes().starts_with(b"."));
    let name = source.path.to_str().unwrap_or_default();
    let is_requirements = name.starts_with("requirements") && name.ends_with(".txt");
    let is_package = [".deb", ".rpm", ".whl"].iter().any(|end| name.ends_with(end));
    // Several configurations lie side by side, as `--config` reads them.
    let is_config = name.starts_with("mkpkg") && name.ends_with(".toml");
    !is_hidden && !is_requirements && !is_package && !is_config && !DESCRIPTIONS.contains(&name)
}

/// Files of `tree` whose names are those that keys and passwords go by.
pub fn secrets(tree: &Tree) -> Vec<String> {
    let is_secret = |name: &str| {
        ["id_rsa", "id_ed25519", "id_ecdsa", "pip.conf", "credentials.json"].contains(&name)
            || [".pem", ".key", ".p12", ".pfx", ".env"].iter().any(|end| name.ends_with(end))
    };
    let found = tree.files().filter(|(path, ..)| is_secret(path.file_name()));
    found
        .map(|(path, ..)| format!("`{path}` looks like a secret: `exclude` it if it is one"))
        .collect()
}
