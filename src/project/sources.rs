//! The source files of a project: which they are, their digest, and a private copy to build in.
//!
//! Building in a copy keeps the project's directory clean, and keeps what earlier builds left there out.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use anyhow::{Context, Result};

use crate::digest::{Hasher, hex};
use crate::error::UserError;
use crate::project::repository::{self, tracked_files};

/// A file or link of the project.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SourceFile {
    /// Path relative to the project's directory.
    pub path: PathBuf,
    /// What it is.
    pub kind: SourceKind,
    /// When it was last changed: seconds since 1970.
    pub modified: u64,
}

/// What a source is; anything else (sockets, devices) is not one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SourceKind {
    /// A regular file and its size in bytes.
    File(u64),
    /// A symbolic link and its target.
    Link(PathBuf),
}

/// Directories of tools, never sources.
const TOOL_DIRS: [&str; 14] = [
    ".git",
    ".hg",
    ".svn",
    ".venv",
    ".tox",
    ".nox",
    ".eggs",
    ".mypy_cache",
    ".pytest_cache",
    ".ruff_cache",
    ".cache",
    ".idea",
    "node_modules",
    "__pycache__",
];

/// Lists the sources below `dir`, sorted by path; what is below one of `skipped` (absolute paths) is none.
pub fn list(dir: &Path, skipped: &[PathBuf]) -> Result<Vec<SourceFile>> {
    let mut files = Vec::new();
    let mut pending = vec![PathBuf::new()];
    while let Some(relative) = pending.pop() {
        let here = dir.join(&relative);
        let listing =
            fs::read_dir(&here).with_context(|| format!("cannot list `{}`", here.display()))?;
        for entry in listing {
            let entry = entry.with_context(|| format!("cannot list `{}`", here.display()))?;
            let path = relative.join(entry.file_name());
            let kind =
                entry.file_type().with_context(|| format!("cannot read `{}`", path.display()))?;
            if kind.is_dir() {
                let is_skipped = skipped.contains(&entry.path());
                if !is_skipped && !is_left_over(&entry.path(), relative.as_os_str().is_empty()) {
                    pending.push(path);
                }
            } else if let Some(file) = source(&entry.path(), path, false)? {
                files.push(file);
            }
        }
    }
    files.sort();
    Ok(files)
}

fn source(at: &Path, path: PathBuf, with_byte_code: bool) -> Result<Option<SourceFile>> {
    let fault = || format!("cannot read `{}`", at.display());
    let metadata = fs::symlink_metadata(at).with_context(fault)?;
    let modified = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    let modified = modified.map_or(0, |since| since.as_secs());
    let kind = if metadata.is_symlink() {
        SourceKind::Link(fs::read_link(at).with_context(fault)?)
    } else if metadata.is_file() && (with_byte_code || at.extension() != Some(OsStr::new("pyc"))) {
        SourceKind::File(metadata.len())
    } else {
        return Ok(None);
    };
    Ok(Some(SourceFile { path, kind, modified }))
}

/// Whether `dir` holds what a tool made: a virtual environment, or the products of an earlier build.
fn is_left_over(dir: &Path, is_top: bool) -> bool {
    let name = dir.file_name().and_then(OsStr::to_str).unwrap_or_default();
    let holds = |start: &str| {
        let names =
            fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.file_name());
        names.into_iter().any(|name| name.to_string_lossy().starts_with(start))
    };
    let holds_only_products = || {
        let products = ["whl", "gz", "deb", "rpm", "zip", "gitignore"];
        let mut names = fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path());
        names.all(|path| products.iter().any(|end| path.to_string_lossy().ends_with(end)))
    };
    TOOL_DIRS.contains(&name)
        || dir.join("pyvenv.cfg").is_file()
        || name.ends_with(".egg-info")
        || is_top && name == "dist" && holds_only_products()
        || is_top && name == "build" && (holds("lib") || holds("bdist.") || holds("temp."))
}

/// Time of the newest source: seconds since 1970.
pub fn newest(files: &[SourceFile]) -> Option<u64> {
    files.iter().map(|file| file.modified).max()
}

/// SHA-256 over names, kinds, executable bits and contents of `files`, hexadecimal.
pub fn digest(dir: &Path, files: &[SourceFile]) -> Result<String> {
    let mut hasher = Hasher::sha256();
    for file in files {
        let at = dir.join(&file.path);
        hasher.update(file.path.as_os_str().as_encoded_bytes());
        match &file.kind {
            SourceKind::Link(target) => {
                hasher.update(b"\0link\0");
                hasher.update(target.as_os_str().as_encoded_bytes());
            }
            SourceKind::File(_) => {
                let fault = || format!("cannot read `{}`", at.display());
                let mut input = fs::File::open(&at).with_context(fault)?;
                let mode = input.metadata().with_context(fault)?.permissions().mode() & 0o100;
                let (content, _) = Hasher::sha256().read(&mut input).with_context(fault)?;
                hasher.update(format!("\0file\0{mode:o}\0").as_bytes());
                hasher.update(&content);
            }
        }
        hasher.update(b"\0");
    }
    Ok(hex(&hasher.finish()))
}

/// Copies `files` to `to`, with fixed modes, and what makes a repository of it, if it is one.
pub fn copy(dir: &Path, files: &[SourceFile], to: &Path) -> Result<()> {
    fs::create_dir_all(to).with_context(|| format!("cannot make `{}`", to.display()))?;
    for file in files {
        let (from, at) = (dir.join(&file.path), to.join(&file.path));
        let fault = || format!("cannot copy `{}` to `{}`", from.display(), at.display());
        if let Some(parent) = at.parent() {
            fs::create_dir_all(parent).with_context(fault)?;
        }
        match &file.kind {
            SourceKind::Link(target) => symlink(target, &at).with_context(fault)?,
            SourceKind::File(_) => {
                fs::copy(&from, &at).with_context(fault)?;
                let is_executable =
                    fs::metadata(&from).with_context(fault)?.permissions().mode() & 0o100 != 0;
                let mode = if is_executable { 0o755 } else { 0o644 };
                fs::set_permissions(&at, fs::Permissions::from_mode(mode)).with_context(fault)?;
            }
        }
    }
    if dir.join(".git").exists() && !to.join(".git").exists() {
        copy_git(&dir.join(".git"), &to.join(".git"))
            .context("cannot copy the project's `.git`")?;
    }
    Ok(())
}

/// A `.git` that shares the history and has an index of its own, because looking at the state of a repository
/// rewrites its index.
fn copy_git(git: &Path, to: &Path) -> Result<()> {
    if !git.is_dir() {
        fs::copy(git, to)?;
        return Ok(());
    }
    fs::create_dir(to)?;
    for entry in fs::read_dir(git)? {
        let entry = entry?;
        let at = to.join(entry.file_name());
        if entry.path().is_dir() {
            symlink(entry.path(), at)?;
        } else if entry.file_type()?.is_file() {
            fs::copy(entry.path(), at)?;
        }
    }
    Ok(())
}

/// Copies the project in `dir` to `to`, and what its build needs of the repository around it; returns where the
/// project lies in the copy.
///
/// Backends that take the version from a repository want every tracked file in its place, or call the state
/// changed. A project in a subdirectory gets the whole repository when it seems to look beyond itself.
pub fn copy_to_build(dir: &Path, files: &[SourceFile], to: &Path) -> Result<PathBuf> {
    let top = repository::top(dir).unwrap_or(dir);
    if top != dir && !looks_beyond(dir) {
        copy(dir, files, to)?;
        return Ok(to.to_owned());
    }
    let below = dir.strip_prefix(top).unwrap_or(Path::new(""));
    let project = to.join(below);
    copy(dir, files, &project)?;
    let known: BTreeSet<_> = files.iter().map(|file| below.join(&file.path)).collect();
    let mut tracked = Vec::new();
    for path in tracked_files(top).into_iter().filter(|path| !known.contains(path)) {
        if top.join(&path).symlink_metadata().is_ok() {
            tracked.extend(source(&top.join(&path), path, true)?);
        }
    }
    copy(top, &tracked, to)?;
    Ok(project)
}

/// Whether what is built of a project is told by its own files: none is a link that leads out of it, and it is not built
/// with the repository around it.
pub fn is_alone(dir: &Path, files: &[SourceFile]) -> bool {
    let leads_out = |file: &SourceFile| match file.kind {
        SourceKind::Link(_) => {
            dir.join(&file.path).canonicalize().is_ok_and(|to| !to.starts_with(dir))
        }
        SourceKind::File(_) => false,
    };
    let is_top = repository::top(dir).is_none_or(|top| top == dir);
    !files.iter().any(leads_out) && (is_top || !looks_beyond(dir))
}

/// Whether a project in a subdirectory seems to need what is around it.
fn looks_beyond(dir: &Path) -> bool {
    let names = ["pyproject.toml", "setup.py", "setup.cfg"];
    let texts = names.iter().filter_map(|name| fs::read_to_string(dir.join(name)).ok());
    let signs = ["scm", "vcs", "versioningit", "versioneer", "dynamic-versioning", "../"];
    texts.into_iter().any(|text| signs.iter().any(|sign| text.contains(sign)))
}

/// The text of a path that has to be part of a package.
pub fn text(path: &Path) -> Result<&str> {
    path.to_str().ok_or_else(|| {
        UserError::input(format!("the name of `{}` is not UTF-8", path.display()))
            .hint("rename the file")
            .into()
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use crate::project::sources::{copy, digest, is_alone, list};

    #[test]
    fn what_lies_around_a_project_may_decide_what_is_built() {
        let around = tempfile::tempdir().unwrap();
        let dir = around.path().canonicalize().unwrap().join("app");
        fs::create_dir(&dir).unwrap();
        let write = |name: &str, text: &str| fs::write(dir.join(name), text).unwrap();
        let alone = || is_alone(&dir, &list(&dir, &[]).unwrap());
        write("pyproject.toml", "[project]\nversion = '1'\n");
        write("a.py", "");
        symlink("a.py", dir.join("inside.py")).unwrap();
        assert!(alone());
        // A repository around it matters to who looks there.
        fs::create_dir(around.path().join(".git")).unwrap();
        assert!(alone());
        write("pyproject.toml", "[tool.setuptools_scm]\nroot = '..'\n");
        assert!(!alone());
        fs::remove_dir(around.path().join(".git")).unwrap();
        assert!(alone());
        fs::write(around.path().join("shared.py"), "").unwrap();
        symlink("../shared.py", dir.join("shared.py")).unwrap();
        assert!(!alone());
    }

    #[test]
    fn left_overs_are_no_sources() {
        let dir = tempfile::tempdir().unwrap();
        for path in [
            "pkg/__init__.py",
            "pkg/__pycache__/x.pyc",
            "pkg/old.pyc",
            "venv/pyvenv.cfg",
            "venv/lib/x.py",
            "build/lib/pkg/gone.py",
            "dist/a.whl",
            "src/build/mod.py",
            "a.egg-info/PKG-INFO",
            ".env",
        ] {
            let at = dir.path().join(path);
            fs::create_dir_all(at.parent().unwrap()).unwrap();
            fs::write(at, path).unwrap();
        }
        let files = list(dir.path(), &[]).unwrap();
        let paths: Vec<_> = files.iter().map(|file| file.path.to_str().unwrap()).collect();
        assert_eq!(paths, [".env", "pkg/__init__.py", "src/build/mod.py"]);
        let copied = tempfile::tempdir().unwrap();
        copy(dir.path(), &files, copied.path()).unwrap();
        let again = list(copied.path(), &[]).unwrap();
        assert_eq!(digest(dir.path(), &files).unwrap(), digest(copied.path(), &again).unwrap());
        fs::write(copied.path().join("pkg/__init__.py"), "changed").unwrap();
        assert_ne!(digest(dir.path(), &files).unwrap(), digest(copied.path(), &again).unwrap());
    }
}
