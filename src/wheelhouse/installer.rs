//! The command lines of pip and uv: how they are found, and the settings that make what they build reproducible.
//!
//! Both resolve, fetch and build wheels into a directory. They never install anything.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::error::UserError;
use crate::exec::{Finished, command, failure, run};
use crate::host::interpreter::Interpreter;
use crate::wheelhouse::settings::Settings;

/// Which program resolves and builds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// uv where it is installed, else pip.
    Auto,
    /// pip only.
    Pip,
    /// uv, and pip for what uv cannot do.
    Uv,
}

/// What every run of an installer needs to know.
#[derive(Clone, Debug)]
pub struct Setting<'a> {
    /// The interpreter wheels are for.
    pub interpreter: &'a Interpreter,
    /// Directory for everything temporary.
    pub scratch: &'a Path,
    /// Cache of the installers that is ours alone: what others cached may be built with other settings.
    pub cache: Option<&'a Path>,
    /// Whether the network is off limits.
    pub is_offline: bool,
}

/// Time stamp for wheels built from sdists: fixed, so that they stay the same from commit to commit.
/// 1980-01-01 is the earliest a zip can hold.
pub const SDIST_EPOCH: u64 = 315_532_800;

/// Path of uv, if it is wanted and installed.
pub fn find_uv(choice: Choice, settings: &Settings) -> Result<Option<PathBuf>> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|dir| dir.join("uv")).find(|at| at.is_file());
    match (choice, found) {
        (Choice::Pip, _) => Ok(None),
        // uv does not read pip's settings: where an index is set for pip, uv would ask another one.
        (Choice::Auto, found) => Ok(found.filter(|_| !settings.name_an_index())),
        (Choice::Uv, Some(uv)) => Ok(Some(uv)),
        (Choice::Uv, None) => Err(UserError::input("`uv` is not installed")
            .hint("install uv, or use `--installer pip`")
            .into()),
    }
}

/// The words that start pip for the target interpreter.
pub fn find_pip(interpreter: &Interpreter, uv: Option<&Path>) -> Result<Vec<OsString>> {
    let python = interpreter.executable.as_os_str();
    let words = |words: &[&std::ffi::OsStr]| {
        words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>()
    };
    // Without the current directory on the import path: a project may have a `pip.py`.
    // `-P` does just that since 3.11; `-I` leaves more out.
    let minor = interpreter.minor.split_once('.').and_then(|(_, minor)| minor.parse::<u32>().ok());
    let safely = if minor.is_some_and(|minor| minor >= 11) { "-P" } else { "-I" };
    let mut ways = vec![words(&[python, safely.as_ref(), "-m".as_ref(), "pip".as_ref()])];
    // `--python` is known since pip 22.3; an older one fails here and the next way is tried.
    ways.push(words(&["pip".as_ref(), "--python".as_ref(), python]));
    if let Some(uv) = uv {
        let uv = uv.as_os_str();
        ways.push(words(&[
            uv,
            "tool".as_ref(),
            "run".as_ref(),
            "pip".as_ref(),
            "--python".as_ref(),
            python,
        ]));
    }
    for way in ways {
        let mut probe = command(Path::new(&way[0]));
        probe.args(&way[1..]).arg("--version");
        if run(probe, &|_| ()).is_ok_and(|finished| finished.status.success()) {
            return Ok(way);
        }
    }
    Err(UserError::input(format!("there is no pip for `{}`", interpreter.executable.display()))
        .hint("install it (`apt install python3-pip`), or give the wheels with `--wheelhouse`")
        .into())
}

/// `pip wheel` into `out`, with `arguments`.
pub fn pip_wheel(
    setting: &Setting<'_>,
    pip: &[OsString],
    arguments: &[OsString],
    out: &Path,
) -> Result<Command> {
    let mut pip_command = command(Path::new(&pip[0]));
    pip_command.args(&pip[1..]).arg("wheel").arg("--wheel-dir").arg(out).args(arguments);
    set_up(setting, &mut pip_command)?;
    Ok(pip_command)
}

/// `pip install` of `requirements` into the virtual environment `dir`. pip can since 22.3.
pub fn pip_install(
    setting: &Setting<'_>,
    pip: &[OsString],
    dir: &Path,
    requirements: &[String],
) -> Result<Command> {
    let mut pip_command = command(Path::new(&pip[0]));
    pip_command.args(&pip[1..]).arg("--python").arg(dir.join("bin/python"));
    pip_command.args(["install", "--no-user"]);
    set_up(setting, &mut pip_command)?;
    pip_command.arg("--").args(requirements);
    Ok(pip_command)
}

/// The interpreter of the virtual environment `dir`, which finds the programs beside it, and writes no byte code there.
pub fn python(dir: &Path) -> Result<Command> {
    let bin = dir.join("bin");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let dirs = std::iter::once(bin.clone()).chain(std::env::split_paths(&path));
    let path = std::env::join_paths(dirs)
        .with_context(|| format!("`{}` cannot be in PATH", bin.display()))?;
    let mut python = command(&bin.join("python"));
    python.env("PATH", path).env("PYTHONDONTWRITEBYTECODE", "1").env("PYTHONNOUSERSITE", "1");
    Ok(python)
}

/// What every run of pip is told that builds.
fn set_up(setting: &Setting<'_>, pip: &mut Command) -> Result<()> {
    pip.args(["--use-pep517", "--disable-pip-version-check", "--progress-bar", "off"]);
    match setting.cache {
        Some(cache) => pip.arg("--cache-dir").arg(cache.join("pip")),
        None => pip.arg("--no-cache-dir"),
    };
    if setting.is_offline {
        pip.arg("--no-index").env("PIP_NO_INDEX", "1");
    }
    build_environment(setting, pip, SDIST_EPOCH)
}

/// A uv command with `arguments`.
pub fn uv(setting: &Setting<'_>, uv: &Path, arguments: &[OsString]) -> Result<Command> {
    let mut uv_command = command(uv);
    uv_command.args(arguments).arg("--python").arg(&setting.interpreter.executable);
    match setting.cache {
        Some(cache) => uv_command.arg("--cache-dir").arg(cache.join("uv")),
        None => uv_command.arg("--no-cache"),
    };
    if setting.is_offline {
        uv_command.arg("--offline");
    }
    uv_command.arg("--no-progress").env("UV_PYTHON_DOWNLOADS", "never");
    build_environment(setting, &mut uv_command, SDIST_EPOCH)?;
    Ok(uv_command)
}

/// Settings under which compilers and build backends give the same bytes anywhere: no debug information (it
/// holds the build directory; the linker drops what compilers add in spite of `-g0`), a fixed time, no paths of
/// this host.
pub fn build_environment(setting: &Setting<'_>, command: &mut Command, epoch: u64) -> Result<()> {
    let temporary = setting.scratch.join("tmp");
    std::fs::create_dir_all(&temporary)?;
    let appended = |name: &str, more: &str| {
        let old = std::env::var(name).unwrap_or_default();
        format!("{old} {more}").trim_start().to_owned()
    };
    let home = std::env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo")));
    let mut remap = format!("--remap-path-prefix={}=/build", setting.scratch.display());
    if let Some(home) = home {
        remap = format!("--remap-path-prefix={}=/cargo {remap}", home.display());
    }
    command.env("SOURCE_DATE_EPOCH", epoch.to_string()).env("TMPDIR", &temporary);
    command.env("CFLAGS", appended("CFLAGS", "-g0")).env("CXXFLAGS", appended("CXXFLAGS", "-g0"));
    command.env("LDFLAGS", appended("LDFLAGS", "-Wl,--strip-debug"));
    command
        .env("RUSTFLAGS", appended("RUSTFLAGS", &remap))
        .env("PYTHONHASHSEED", "0")
        .env("TZ", "UTC");
    Ok(())
}

/// Runs an installer, which must not fail.
pub fn finish(command: Command, what: &str, listen: &dyn Fn(&str)) -> Result<Finished> {
    demand(run(command, listen)?, what)
}

/// What an installer said, unless it failed; a wrong hash is told apart from other failures.
pub fn demand(finished: Finished, what: &str) -> Result<Finished> {
    if finished.status.success() {
        return Ok(finished);
    }
    let error = failure(what, &finished);
    let said = &error.message;
    if said.contains("DO NOT MATCH THE HASHES") || said.contains("Hash mismatch") {
        return Err(error
            .hint("a file changed after it was locked: lock again if you trust the new one")
            .into());
    }
    Err(error.into())
}

/// Names of the distributions pip built from sources, as it reported them.
pub fn built(stdout: &[u8]) -> Vec<String> {
    let stdout = String::from_utf8_lossy(stdout);
    let names = stdout.lines().filter_map(|line| {
        let (name, _) = line.trim().strip_prefix("Created wheel for ")?.split_once(':')?;
        Some(name.to_owned())
    });
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use crate::wheelhouse::installer::built;

    #[test]
    fn built_distributions_are_found_in_the_talk_of_pip() {
        let said = b"Collecting x\n  Building wheel for uWSGI (setup.py)\n  Created wheel for uWSGI: filename=u.whl size=1\n";
        assert_eq!(built(said), ["uWSGI"]);
    }
}
