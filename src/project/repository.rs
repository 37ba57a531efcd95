//! What git knows of a project; everything is empty where there is no repository or no git.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use crate::exec::{command, run};

/// The directory of the repository `dir` is in.
pub fn top(dir: &Path) -> Option<&Path> {
    dir.ancestors().find(|dir| dir.join(".git").exists())
}

/// Time of the last commit of the repository `dir` is in.
pub fn last_commit(dir: &Path) -> Option<u64> {
    top(dir)?;
    git(dir, &["log", "-1", "--format=%ct"])?.parse().ok()
}

/// What tools take a version from; empty outside of a repository. Whether files were changed is not asked: that
/// rewrites the repository's index.
pub fn revision(dir: &Path) -> String {
    if top(dir).is_some() {
        git(dir, &["describe", "--tags", "--always", "--long"]).unwrap_or_default()
    } else {
        String::new()
    }
}

/// Files git tracks below `top`, relative to it.
pub fn tracked_files(top: &Path) -> Vec<PathBuf> {
    let listing = output(top, &["ls-files", "-z"]).unwrap_or_default();
    let names = listing.split(|byte| *byte == 0).filter(|name| !name.is_empty());
    names.map(|name| PathBuf::from(OsString::from_vec(name.to_vec()))).collect()
}

fn git(dir: &Path, arguments: &[&str]) -> Option<String> {
    Some(String::from_utf8_lossy(&output(dir, arguments)?).trim().to_owned())
}

fn output(dir: &Path, arguments: &[&str]) -> Option<Vec<u8>> {
    let mut git = command(Path::new("git"));
    git.arg("-C").arg(dir).args(arguments).env("GIT_OPTIONAL_LOCKS", "0");
    // A repository of another user (a container's mount) is read only for its last commit.
    git.env("GIT_CONFIG_COUNT", "1")
        .env("GIT_CONFIG_KEY_0", "safe.directory")
        .env("GIT_CONFIG_VALUE_0", "*");
    let finished = run(git, &|_| ()).ok()?;
    finished.status.success().then_some(finished.stdout)
}
