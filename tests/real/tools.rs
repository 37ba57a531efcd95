//! What the host must have, and running its programs.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

/// Whether the host has the programs and is ours to make namespaces on; says why not.
pub(crate) fn ready(test: &str, programs: &[&str]) -> Result<bool> {
    let mut missing: Vec<String> = programs
        .iter()
        .filter(|program| locate(program).is_none())
        .map(|program| format!("`{program}`"))
        .collect();
    if programs.contains(&"unshare") && !can_unshare() {
        missing.push("the right to make a mount namespace (root)".to_owned());
    }
    if missing.is_empty() {
        return Ok(true);
    }
    let reason = format!("{test} needs {}", missing.join(", "));
    if std::env::var_os("MKPKG_REAL").is_some_and(|value| value == "1") {
        bail!("{reason}; run scripts/prerequisites.sh --test");
    }
    // Past the test harness, which keeps the output of passing tests to itself.
    writeln!(std::io::stderr(), "skipped: {reason}")?;
    Ok(false)
}

/// The root of this repository.
pub(crate) fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A directory that outlives the run, for what is costly to make.
pub(crate) fn cache(name: &str) -> Result<PathBuf> {
    let base = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")))
        .context("neither XDG_CACHE_HOME nor HOME is set")?;
    let dir = base.join("mkpkg-tests").join(name);
    std::fs::create_dir_all(&dir).with_context(|| format!("cannot make `{}`", dir.display()))?;
    Ok(dir)
}

/// Runs a program to its end; what it printed on stdout, or an error with all it printed.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().with_context(|| format!("cannot run `{name}`"))?;
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        bail!("`{name}`: {}\n{stdout}{}", output.status, String::from_utf8_lossy(&output.stderr));
    }
    Ok(stdout)
}

/// What a judge found wrong: its stdout when it ends with 1, nothing when it ends with 0. All else is an error.
pub(crate) fn verdict(command: &mut Command) -> Result<Option<String>> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().with_context(|| format!("cannot run `{name}`"))?;
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    match output.status.code() {
        Some(0) => Ok(None),
        Some(1) if !stdout.is_empty() => Ok(Some(stdout)),
        _ => bail!("{command:?}: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr)),
    }
}

/// The directory of a minimal root file system of a release.
pub(crate) fn rootfs(release: &str) -> Result<PathBuf> {
    root::<&str>(release, &[])
}

/// The directory of a root file system with what `roots.toml` says is installed there.
pub(crate) fn root_with_libraries(release: &str) -> Result<PathBuf> {
    let text = std::fs::read_to_string(repository().join("tests/real/roots.toml"))?;
    let Roots { mut all, only } = toml::from_str(&text)?;
    all.extend(only.get(release).into_iter().flatten().cloned());
    root(release, &all)
}

/// The directory of a root file system of a release with further packages.
pub(crate) fn root<Name: AsRef<OsStr>>(release: &str, packages: &[Name]) -> Result<PathBuf> {
    let script = repository().join("scripts/rootfs.sh");
    let printed = output(Command::new(script).arg(release).args(packages))?;
    Ok(PathBuf::from(printed.trim_end()))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Roots {
    all: Vec<String>,
    only: BTreeMap<String, Vec<String>>,
}

/// A command that runs in its own mount and process namespace.
pub(crate) fn namespaced(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "--pid", "--fork", "--kill-child"]);
    command.arg("--").arg(program);
    command
}

fn locate(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let dirs = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    dirs.map(|dir| dir.join(program)).find(|file| file.is_file())
}

fn can_unshare() -> bool {
    nix::unistd::geteuid().is_root()
        && namespaced("true").output().is_ok_and(|output| output.status.success())
}
