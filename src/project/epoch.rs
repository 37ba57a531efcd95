//! The one time stamp of a package: SOURCE_DATE_EPOCH, else the last commit, else the newest source.

use std::path::Path;

use anyhow::Result;

use crate::error::UserError;
use crate::exec::{command, run};
use crate::project::sources::{SourceFile, newest};

/// Latest time both formats can hold: an unsigned 32-bit number of seconds.
const MAX: u64 = u32::MAX as u64;

/// Earliest time a zip, and so a wheel that is built, can hold: 1980-01-01.
const ZIP_MIN: u64 = 315_532_800;

/// Seconds since 1970, from the value of `SOURCE_DATE_EPOCH` when there is one.
pub fn of_project(dir: &Path, files: &[SourceFile], variable: Option<&str>) -> Result<u64> {
    match variable {
        Some(text) => parse(text),
        None => {
            let found = last_commit(dir).or_else(|| newest(files)).unwrap_or(ZIP_MIN);
            Ok(found.clamp(ZIP_MIN, MAX))
        }
    }
}

fn parse(text: &str) -> Result<u64> {
    let digits = text.bytes().all(|at| at.is_ascii_digit());
    match text.parse() {
        Ok(epoch) if epoch <= MAX && digits => Ok(epoch),
        Ok(_) | Err(_) => Err(UserError::usage(format!(
            "SOURCE_DATE_EPOCH is {text:?}, not a number of seconds since 1970"
        ))
        .hint("unset it, or set it to `$(git log -1 --format=%ct)`")
        .into()),
    }
}

/// Time of the last commit of the repository `dir` is in.
fn last_commit(dir: &Path) -> Option<u64> {
    dir.ancestors().find(|dir| dir.join(".git").exists())?;
    git(dir, &["log", "-1", "--format=%ct"])?.parse().ok()
}

/// What identifies the state of the repository for tools that take a version from it; empty outside of one.
pub fn revision(dir: &Path) -> String {
    if dir.join(".git").exists() {
        git(dir, &["describe", "--tags", "--always", "--long", "--dirty"]).unwrap_or_default()
    } else {
        String::new()
    }
}

fn git(dir: &Path, arguments: &[&str]) -> Option<String> {
    let mut git = command(Path::new("git"));
    git.arg("-C").arg(dir).args(arguments).env("GIT_OPTIONAL_LOCKS", "0");
    // A repository of another user (a container's mount) is read only for its last commit.
    git.env("GIT_CONFIG_COUNT", "1")
        .env("GIT_CONFIG_KEY_0", "safe.directory")
        .env("GIT_CONFIG_VALUE_0", "*");
    let finished = run(git, &|_| ()).ok()?;
    finished.status.success().then(|| String::from_utf8_lossy(&finished.stdout).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use crate::project::epoch::parse;

    #[test]
    fn garbage_is_refused() {
        assert_eq!(parse("0").unwrap(), 0);
        assert_eq!(parse("1700000000").unwrap(), 1_700_000_000);
        for bad in ["", "-1", "+5", "1e9", "4294967296", "now"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
