//! The project's own wheel: built in a private copy, and kept by everything that decides what is in it.

use std::fs;
use std::path::{Component, Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde::de::DeserializeOwned;

use crate::cache::Cache;
use crate::cache::lock::Hold;
use crate::document::from_json;
use crate::exec::{self, Finished};
use crate::pep::Requirement;
use crate::project::repository::revision;
use crate::project::sources::{self, digest};
use crate::project::static_metadata::{BuildSystem, PyProject};
use crate::wheel::filename::WheelName;
use crate::wheelhouse::environment::Environment;
use crate::wheelhouse::store::{self, Kept};
use crate::wheelhouse::{Run, installer};

/// What a program does that makes it.
const BUILDING: &str = "building the project";

/// The project's own wheel.
pub(super) struct Own {
    pub(super) path: PathBuf,
    /// Normalised name of the distribution.
    pub(super) name: String,
    /// The right to use the directory of the cache that has it.
    pub(super) hold: Option<Hold>,
}

impl Own {
    fn new(path: PathBuf, hold: Option<Hold>) -> Result<Self> {
        let file_name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Self { path, name: file_name.parse::<WheelName>()?.name, hold })
    }

    /// It with `extras`, as a requirement (PEP 508).
    pub(super) fn requirement(&self, extras: &[String]) -> String {
        let extras =
            if extras.is_empty() { String::new() } else { format!("[{}]", extras.join(",")) };
        format!("{}{extras} @ file://{}\n", self.name, url_path(&self.path))
    }
}

/// A path as it stands in a URL (RFC 3986).
fn url_path(path: &Path) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"/-_.~+".contains(byte);
    let bytes = path.as_os_str().as_encoded_bytes();
    bytes
        .iter()
        .map(
            |byte| if plain(byte) { char::from(*byte).to_string() } else { format!("%{byte:02X}") },
        )
        .collect()
}

impl Run<'_> {
    /// The project's own wheel, kept by everything that could decide what is in it: sources, repository, and
    /// environment.
    pub(super) fn project_wheel(&self) -> Result<Own> {
        let project = self.request.project;
        let content = digest(&project.dir, self.request.sources)?;
        let (revision, epoch) = (revision(&project.dir), self.request.epoch.to_string());
        let version = project.config.version.as_deref().unwrap_or_default();
        let uv = if self.uv.is_some() { "uv" } else { "pip" };
        let environment = store::environment();
        let key = self.key(&["project", &content, &revision, &epoch, version, uv, &environment]);
        let none = Cache::none();
        let is_kept = sources::is_alone(&project.dir, self.request.sources);
        let cache = if is_kept { self.means.cache } else { &none };
        let kept = match store::find(cache, &key) {
            Some(kept) => Ok(kept),
            None => {
                let dir = self.means.scratch.dir("project-wheel")?;
                self.build_project(&content, &dir)?;
                store::keep(cache, &key, &dir).ok_or(dir)
            }
        };
        let (dir, hold) = match kept {
            Ok(Kept { dir, hold }) => (dir, Some(hold)),
            Err(dir) => (dir, None),
        };
        let wheel = store::wheels(&dir)?.pop().context("the build of the project made no wheel")?;
        Own::new(wheel, hold)
    }

    fn build_project(&self, content: &str, out: &Path) -> Result<()> {
        let setting = self.setting();
        let source = self.copy_sources(content)?;
        if let Some(uv) = &self.uv {
            let build = ["build".into(), "--wheel".into(), "--out-dir".into()];
            let arguments: Vec<_> = build.into_iter().chain([out.into(), source.into()]).collect();
            let finished = self.run_backend(installer::uv(&setting, uv, &arguments)?)?;
            installer::demand(finished, BUILDING)?;
            return Ok(());
        }
        if self.built_by_hooks(&source, out)? {
            return Ok(());
        }
        let pip = installer::find_pip(self.request.interpreter, None)?;
        // Whatever hooks left there.
        let source = self.copy_sources(content)?;
        let arguments = ["--no-deps".into(), source.into()];
        let command = installer::pip_wheel(&setting, &pip, &arguments, out)?;
        installer::demand(self.run_backend(command)?, BUILDING)?;
        Ok(())
    }

    /// Builds as pip does, in an environment that is kept; `false` when it is pip that has to. What is wrong, pip says best.
    fn built_by_hooks(&self, source: &Path, out: &Path) -> Result<bool> {
        let system = build_system(source).filter(|_| !self.settings.are_for_pip_alone());
        let Some(system) = system else { return Ok(false) };
        let Some(mut environment) = self.environment(&system.requires)? else { return Ok(false) };
        let wheels = self.means.scratch.dir("hooks")?;
        let hooks = Hooks { run: self, system: &system, source, wheels: &wheels };
        let Some(wanted) = hooks.call::<Vec<String>>("requires", &environment)? else {
            return Ok(false);
        };
        if !wanted.is_empty() {
            let all: Vec<_> = system.requires.iter().cloned().chain(wanted).collect();
            let larger = if are_plain(&all) { self.environment(&all)? } else { None };
            let Some(larger) = larger else { return Ok(false) };
            environment = larger;
        }
        let name = hooks.call::<String>("wheel", &environment)?;
        let is_wheel = |name: &String| !name.contains('/') && name.ends_with(".whl");
        let Some(name) = name.filter(is_wheel) else { return Ok(false) };
        let wheel = wheels.join(&name);
        // pip shows backends another `sys.prefix`.
        Ok(!names(&wheel, &environment.dir) && fs::rename(wheel, out.join(name)).is_ok())
    }

    fn run_backend(&self, mut command: Command) -> Result<Finished> {
        command.env("SOURCE_DATE_EPOCH", self.request.epoch.to_string());
        if let Some(version) = &self.request.project.config.version {
            // Backends that take the version from a repository listen to these.
            command
                .env("SETUPTOOLS_SCM_PRETEND_VERSION", version)
                .env("PDM_BUILD_SCM_VERSION", version);
        }
        exec::run(command, self.means.listen)
    }

    /// A private copy of the project, whose sources have the digest `content`; one that was there goes.
    fn copy_sources(&self, content: &str) -> Result<PathBuf> {
        let request = self.request;
        let base = self.means.scratch.dir("source")?;
        fs::remove_dir_all(&base)
            .and_then(|()| fs::create_dir(&base))
            .with_context(|| format!("cannot write `{}`", base.display()))?;
        // A fixed name: what a directory is called is no part of what is built in it.
        let to = base.join("project");
        let source = sources::copy_to_build(&request.project.dir, request.sources, &to)?;
        if digest(&source, request.sources)? != content {
            bail!("files of the project changed while they were copied");
        }
        Ok(source)
    }
}

/// The hooks of a backend.
struct Hooks<'a> {
    run: &'a Run<'a>,
    system: &'a BuildSystem,
    /// Where the project is.
    source: &'a Path,
    /// Where its wheel goes.
    wheels: &'a Path,
}

impl Hooks<'_> {
    /// What the hook `name` answers in `environment`; `None` when it fails.
    fn call<T: DeserializeOwned>(
        &self,
        name: &str,
        environment: &Environment,
    ) -> Result<Option<T>> {
        let Self { run, system, source, wheels } = self;
        let scratch = run.means.scratch.path();
        let (script, answer) = (scratch.join("hooks.py"), scratch.join("answer.json"));
        fs::write(&script, include_str!("hooks.py"))
            .with_context(|| format!("cannot write `{}`", script.display()))?;
        let mut command = installer::python(&environment.dir)?;
        command.arg(script).arg(name).arg(&answer).arg(wheels);
        command.arg(&system.build_backend).args(&system.backend_path).current_dir(source);
        installer::build_environment(&run.setting(), &mut command, run.request.epoch)?;
        if !run.run_backend(command)?.status.success() {
            return Ok(None);
        }
        Ok(fs::read(&answer).ok().and_then(|text| from_json(&text, "the answer").ok()))
    }
}

/// How the project in `source` is built; `None` when it does not say so as it must.
fn build_system(source: &Path) -> Option<BuildSystem> {
    let system = match fs::read_to_string(source.join("pyproject.toml")) {
        Ok(text) => PyProject::parse(&text).ok()?.build_system().ok()?,
        Err(_) => BuildSystem::default(),
    };
    let is_below = |dir: &String| {
        let is_name = |part| matches!(part, Component::Normal(_) | Component::CurDir);
        Path::new(dir).components().all(is_name) && !dir.contains('\0')
    };
    let is_sound = are_plain(&system.requires)
        && system.backend_path.iter().all(is_below)
        && !system.build_backend.contains('\0');
    is_sound.then_some(system)
}

/// Whether all are requirements by name: what is at a URL or in a file may change without another name.
fn are_plain(requirements: &[String]) -> bool {
    requirements.iter().all(|text| text.parse::<Requirement>().is_ok_and(|it| it.url.is_none()))
}

/// Whether a wheel has the directory `dir` in the name of a file.
fn names(wheel: &Path, dir: &Path) -> bool {
    let dir = dir.as_os_str().as_encoded_bytes();
    let below_root = dir.strip_prefix(b"/").unwrap_or(dir);
    let Ok(bytes) = fs::read(wheel) else { return false };
    bytes.windows(below_root.len()).any(|window| window == below_root)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use crate::wheelhouse::own::build_system;

    #[test]
    fn what_is_odd_is_left_to_pip() {
        let dir = tempfile::tempdir().unwrap();
        let of_setup_py = build_system(dir.path()).unwrap();
        assert_eq!(of_setup_py.requires, ["setuptools>=40.8.0", "wheel"]);
        assert_eq!(of_setup_py.build_backend, "setuptools.build_meta:__legacy__");
        for (table, is_sound) in [
            ("requires = []", true),
            ("requires = ['a>=1; python_version > \"3\"', 'b[c]']\nbuild-backend = 'a.b:c'", true),
            ("requires = []\nbackend-path = ['.', 'back/end']", true),
            ("", false),
            ("requires = 'a'", false),
            ("requires = ['./a']", false),
            ("requires = ['--index-url=https://b.example']", false),
            ("requires = ['a @ file:///a.whl']", false),
            ("requires = []\nbackend-path = ['/back']", false),
            ("requires = []\nbackend-path = ['../back']", false),
            ("requires = []\nbuild-backend = \"a\\u0000\"", false),
        ] {
            let text = format!("[build-system]\n{table}\n");
            fs::write(dir.path().join("pyproject.toml"), text).unwrap();
            assert_eq!(build_system(dir.path()).is_some(), is_sound, "{table}");
        }
    }
}
