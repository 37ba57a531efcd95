//! Runs commands on the finished tree before a package is written: imports of the application, and the
//! configuration's checks.
//!
//! The tree is laid out in the scratch directory and shown at its final path in a private mount namespace. Where
//! that is not allowed, the commands run on the copy as it lies, with its `#!` lines changed to match.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::exec::{command, failure, run, run_alone};
use crate::tree::content::Content;
use crate::tree::{Entry, PkgPath, Tree};

/// What must succeed.
#[derive(Debug)]
pub struct Trial<'a> {
    /// Directory everything lives under.
    pub prefix: &'a PkgPath,
    /// Modules to import.
    pub modules: &'a [String],
    /// `module:attribute` of every command of the application.
    pub targets: &'a [String],
    /// Shell commands.
    pub checks: &'a [String],
}

/// An import that takes longer waits for something that will not come.
const IMPORT_LIMIT: Duration = Duration::from_secs(120);

/// Checks may be whole test suites.
const CHECK_LIMIT: Duration = Duration::from_secs(3600);

/// Imports every module and command target it is given, and says all that fail at once.
const IMPORTER: &str = r#"
import importlib, sys
failed = []
for name in sys.argv[1:]:
    module, _, attr = name.partition(":")
    try:
        found = importlib.import_module(module)
        for part in attr.split(".") if attr else ():
            found = getattr(found, part)
    except BaseException as error:
        failed.append("%s: %s: %s" % (name, type(error).__name__, error))
if failed:
    sys.exit("\n".join(failed))
"#;

/// Lays `tree` out below `dir` and runs `trial` on it; `inside` is the program and arguments that show a directory at
/// another path, where that is possible.
pub fn check(tree: &Tree, trial: &Trial<'_>, dir: &Path, inside: Option<&Path>) -> Result<()> {
    let place = Place::new(tree, trial.prefix, dir, inside)?;
    let names: Vec<_> = trial.modules.iter().chain(trial.targets).collect();
    if !names.is_empty() {
        let mut import = place.command(&[place.python.as_str(), "-B", "-c", IMPORTER]);
        import.args(names);
        succeed(import, "importing the application", IMPORT_LIMIT)?;
    }
    for text in trial.checks {
        let check = place.command(&["/bin/sh", "-c", text]);
        succeed(check, &format!("the check `{text}`"), CHECK_LIMIT)?;
    }
    Ok(())
}

fn succeed(command: Command, what: &str, limit: Duration) -> Result<()> {
    let finished = run_alone(command, limit)?;
    if finished.status.success() {
        return Ok(());
    }
    Err(failure(what, &finished).hint("the package would not work; no package was written").into())
}

/// A tree that commands can run on.
struct Place {
    inside: Option<PathBuf>,
    /// Where the environment really lies.
    real: PathBuf,
    /// Where commands see it.
    seen: PathBuf,
    python: String,
}

impl Place {
    fn new(tree: &Tree, prefix: &PkgPath, dir: &Path, inside: Option<&Path>) -> Result<Self> {
        let real = dir.join(prefix.as_str());
        let inside = inside.filter(|program| can_show(program, dir, prefix));
        let seen = match inside {
            Some(_) => PathBuf::from(prefix.absolute()),
            None => real.clone(),
        };
        let shebang = (prefix.absolute(), seen.display().to_string());
        lay_out(tree, dir, &shebang)?;
        let python = seen.join("bin/python").display().to_string();
        Ok(Self { inside: inside.map(Path::to_owned), real, seen, python })
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = match &self.inside {
            None => command(Path::new(words[0])),
            Some(program) => {
                let mut command = command(program);
                command.arg("run-inside").arg(&self.real).arg(&self.seen).arg("--").arg(words[0]);
                command
            }
        };
        let path = std::env::var("PATH").unwrap_or_else(|_| "/usr/bin:/bin".to_owned());
        command.args(&words[1..]).env("PATH", format!("{}/bin:{path}", self.seen.display()));
        command.env("PYTHONDONTWRITEBYTECODE", "1").current_dir("/");
        command
    }
}

/// Whether a mount namespace can be made here, with something at `prefix`.
fn can_show(program: &Path, dir: &Path, prefix: &PkgPath) -> bool {
    let probe = dir.join("probe");
    let mut attempt = command(program);
    attempt.arg("run-inside").arg(&probe).arg(prefix.absolute()).args(["--", "/bin/true"]);
    fs::create_dir_all(&probe).is_ok()
        && run(attempt, &|_| ()).is_ok_and(|done| done.status.success())
}

/// Writes `tree` below `dir`; `#!` lines that begin with the first of `shebang` get the second instead.
fn lay_out(tree: &Tree, dir: &Path, shebang: &(String, String)) -> Result<()> {
    for (path, entry) in tree.iter() {
        let at = dir.join(path.as_str());
        let fault = || format!("cannot write `{}`", at.display());
        match entry {
            Entry::Dir { .. } => fs::create_dir_all(&at).with_context(fault)?,
            Entry::Symlink { target } => symlink(target, &at).with_context(fault)?,
            Entry::File { content, mode, .. } => {
                write(&at, content, shebang).with_context(fault)?;
                fs::set_permissions(&at, fs::Permissions::from_mode(*mode)).with_context(fault)?;
            }
        }
    }
    Ok(())
}

/// Longest file that is looked at for a `#!` line to change.
const MAX_SCRIPT: u64 = 1 << 20;

fn write(at: &Path, content: &Content, (from, to): &(String, String)) -> Result<()> {
    let mut file = fs::File::create(at)?;
    if from != to && content.len() < MAX_SCRIPT {
        let bytes = content.read()?;
        let text = String::from_utf8_lossy(&bytes);
        let is_path_file = at.extension().is_some_and(|end| end == "pth");
        let starts = [format!("#!{from}/"), format!("{from}/")];
        let [script, path] = starts.map(|start| text.strip_prefix(&start));
        match (script, path.filter(|_| is_path_file)) {
            (Some(rest), _) => file.write_all(format!("#!{to}/{rest}").as_bytes())?,
            (None, Some(rest)) => file.write_all(format!("{to}/{rest}").as_bytes())?,
            (None, None) => file.write_all(&bytes)?,
        }
    } else {
        std::io::copy(&mut content.open()?, &mut file)?;
    }
    Ok(())
}
