//! What the host must have, and running its programs.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

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

/// The directory of a minimal root file system of Debian 12.
pub(crate) fn rootfs() -> Result<PathBuf> {
    rootfs_of("bookworm")
}

/// The directory of a minimal root file system of a Debian release, by its code name.
pub(crate) fn rootfs_of(release: &str) -> Result<PathBuf> {
    let script = repository().join("scripts/rootfs.sh");
    Ok(PathBuf::from(output(Command::new(script).arg(release))?.trim_end()))
}

/// A command that runs in its own mount and process namespace.
pub(crate) fn namespaced(program: impl AsRef<std::ffi::OsStr>) -> Command {
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
