//! Environments in which backends build (PEP 517, "Build environment"), made by venv and pip and kept between builds.
//!
//! Requirements of a build are seldom pinned. An environment is therefore kept for a day (UTC): on the next, new releases of
//! what is in it come in.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::SystemTime;

use anyhow::{Context, Result, bail};

use crate::cache::lock::{EXTENSION, Hold};
use crate::cache::prune::ENVIRONMENTS;
use crate::cache::{Cache, can_run, open_trusted};
use crate::date::Date;
use crate::digest::hex;
use crate::exec;
use crate::wheelhouse::{Run, installer, store};

/// A virtual environment.
#[derive(Debug)]
pub(super) struct Environment {
    /// Where it is.
    pub(super) dir: PathBuf,
    /// Nobody removes it as long as this lives; `None` for one that only this build has.
    _hold: Option<Hold>,
}

impl Run<'_> {
    /// An environment that has `requires`, requirements (PEP 508); `None` where pip cannot make one.
    pub(super) fn environment(&self, requires: &[String]) -> Result<Option<Environment>> {
        let (cache, key) = (self.means.cache, self.environment_key(requires));
        let passing = || self.passing(&key, requires);
        let Some(base) = cache.dir().filter(|dir| is_fit(dir)) else { return passing() };
        let dir = base.join(ENVIRONMENTS.0).join(&key);
        let lock = dir.with_extension(EXTENSION);
        let lock = match cache.found_or_locked_at(lock, || find(cache, &key, &dir)) {
            Ok(kept) => return Ok(Some(kept)),
            Err(lock) => lock,
        };
        let Some(hold) = lock.as_ref().and_then(|_| begin(&dir)) else { return passing() };
        let made = self.make(&dir, requires, || hold.stdin());
        if matches!(made, Ok(true)) {
            let manifest = describe(cache, &key, &dir);
            let kept = manifest.and_then(|text| Ok(fs::write(dir.join(ENVIRONMENTS.1), text)?));
            if let Err(error) = kept {
                cache.note(format!("cannot keep `{}`: {error:#}", dir.display()));
            }
            return Ok(Some(Environment { dir, _hold: Some(hold) }));
        }
        let _ = fs::remove_dir_all(&dir);
        match made {
            // The disk of the cache may be full, and that of temporary files not.
            Err(error) if error.to_string().contains("OSError") => {
                cache.note(format!("cannot make an environment in `{}`", base.display()));
                passing()
            }
            made => made.map(|_| None),
        }
    }

    /// One that is not kept.
    fn passing(&self, key: &str, requires: &[String]) -> Result<Option<Environment>> {
        let dir = self.means.scratch.dir("environments")?.join(key);
        fs::create_dir(&dir).with_context(|| format!("cannot make `{}`", dir.display()))?;
        let made = self.make(&dir, requires, || Ok(Stdio::null()))?;
        Ok(made.then_some(Environment { dir, _hold: None }))
    }

    fn environment_key(&self, requires: &[String]) -> String {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let day = Date::of_epoch(now.as_secs()).to_string();
        let python = self.request.interpreter.executable.to_string_lossy();
        let settings = self.settings.text();
        let mut parts = vec!["environment", &day, &python, &settings];
        parts.extend(requires.iter().map(String::as_str));
        self.key(&parts)
    }

    /// Makes one in the directory `dir`, by programs with such a standard input; `false` when there is no `venv`, or a pip
    /// before 22.3.
    fn make(
        &self,
        dir: &Path,
        requires: &[String],
        stdin: impl Fn() -> io::Result<Stdio>,
    ) -> Result<bool> {
        let interpreter = self.request.interpreter;
        let mut venv = exec::command(&interpreter.executable);
        venv.args(["-I", "-m", "venv", "--without-pip"]).arg(dir).stdin(stdin()?);
        if !exec::run(venv, self.means.listen)?.status.success() {
            return Ok(false);
        }
        if requires.is_empty() {
            return Ok(true);
        }
        let pip = installer::find_pip(interpreter, None)?;
        let mut command = installer::pip_install(&self.setting(), &pip, dir, requires)?;
        command.stdin(stdin()?);
        let finished = exec::run(command, self.means.listen)?;
        if finished.stderr.contains("no such option: --python") {
            return Ok(false);
        }
        installer::demand(finished, "collecting what the build of the project needs")?;
        Ok(true)
    }
}

/// Whether an environment works in `dir`: not where programs cannot be run, and backends mix up paths with unusual characters.
fn is_fit(dir: &Path) -> bool {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"/-_.+~".contains(byte);
    dir.as_os_str().as_encoded_bytes().iter().all(is_plain) && can_run(dir)
}

/// The environment of `key` in `dir`, if it is there and is what was made there.
fn find(cache: &Cache, key: &str, dir: &Path) -> Option<Environment> {
    let manifest = dir.join(ENVIRONMENTS.1);
    let hold = Hold::shared(&manifest)?;
    let stated = io::read_to_string(open_trusted(&manifest)?).ok()?;
    let is_whole = !stated.is_empty() && describe(cache, key, dir).ok()? == stated;
    is_whole.then(|| Environment { dir: dir.to_owned(), _hold: Some(hold) })
}

/// An empty directory, and the right to use it; `None` where none can be had, or somebody still uses what lies there.
///
/// Its manifest is empty until all is there, so that nobody finds what was left half-made.
fn begin(dir: &Path) -> Option<Hold> {
    let manifest = dir.join(ENVIRONMENTS.1);
    if manifest.exists() {
        let _alone = Hold::alone(&manifest)?;
        fs::remove_file(&manifest).ok()?;
    }
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return None,
        _ => fs::create_dir_all(dir).ok()?,
    }
    fs::write(&manifest, "").ok()?;
    Hold::shared(&manifest)
}

/// Everything in the environment of `key` in `dir`; it is that of no other.
fn describe(cache: &Cache, key: &str, dir: &Path) -> Result<String> {
    let mut lines = Vec::new();
    let mut pending = vec![dir.to_owned()];
    while let Some(parent) = pending.pop() {
        let fault = || format!("cannot read `{}`", parent.display());
        for entry in fs::read_dir(&parent).with_context(fault)? {
            let entry = entry.with_context(fault)?;
            let (path, kind) = (entry.path(), entry.file_type().with_context(fault)?);
            if kind.is_dir() {
                pending.push(path);
            } else if kind.is_symlink() {
                let target = fs::read_link(&path).with_context(fault)?;
                lines.push(format!("{path:?} -> {target:?}\n"));
            } else if !kind.is_file() {
                // To open a pipe would wait for its other end.
                bail!("`{}` is no file", path.display());
            } else if parent != dir || path.file_name() != Some(OsStr::new(ENVIRONMENTS.1)) {
                let mode = entry.metadata().with_context(fault)?.mode();
                let digest = hex(&store::file_sha256(cache, &path)?);
                lines.push(format!("{path:?} {mode:o} {digest}\n"));
            }
        }
    }
    lines.sort();
    Ok(format!("{key}\n{}", lines.concat()))
}
