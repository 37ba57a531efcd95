//! The project's own wheel: built in a private copy, and kept by everything that decides what is in it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::cache::Cache;
use crate::cache::lock::Hold;
use crate::document::from_json;
use crate::project::repository::revision;
use crate::project::sources::{self, digest};
use crate::project::static_metadata::{BuildSystem, PyProject};
use crate::wheel::filename::WheelName;
use crate::wheelhouse::environment::Environment;
use crate::wheelhouse::store::{self, Kept};
use crate::wheelhouse::{Run, installer};

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
                let source = self.copy_sources()?;
                if digest(&source, self.request.sources)? != content {
                    bail!("files of the project changed while they were copied");
                }
                self.build_project(&source, &dir)?;
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

    fn build_project(&self, source: &Path, out: &Path) -> Result<()> {
        let setting = self.setting();
        if let Some(uv) = &self.uv {
            let build = ["build".into(), "--wheel".into(), "--out-dir".into()];
            let arguments: Vec<_> = build.into_iter().chain([out.into(), source.into()]).collect();
            return self.run_backend(installer::uv(&setting, uv, &arguments)?);
        }
        if self.built_by_hooks(source, out)? {
            return Ok(());
        }
        let pip = installer::find_pip(self.request.interpreter, None)?;
        self.run_backend(installer::pip_wheel(
            &setting,
            &pip,
            &["--no-deps".into(), source.into()],
            out,
        )?)
    }

    /// Builds as pip does, in an environment that is kept; `false` when it is pip that has to.
    fn built_by_hooks(&self, source: &Path, out: &Path) -> Result<bool> {
        if installer::is_pip_told_how_to_build() {
            return Ok(false);
        }
        // What is wrong with it, pip says best.
        let Some(BuildSystem { requires, build_backend, backend_path }) = build_system(source)
        else {
            return Ok(false);
        };
        let Some(environment) = self.environment(&requires)? else { return Ok(false) };
        let script = self.means.scratch.path().join("hooks.py");
        fs::write(&script, include_str!("hooks.py"))
            .with_context(|| format!("cannot write `{}`", script.display()))?;
        let call = |environment: &Environment, hook: &str, to: &Path| {
            let mut command = installer::python(&environment.dir)?;
            command.arg(&script).arg(hook).arg(to).arg(&build_backend).args(&backend_path);
            installer::build_environment(&self.setting(), &mut command, self.request.epoch)?;
            command.current_dir(source);
            self.run_backend(command)
        };
        let wanted = self.means.scratch.path().join("wanted.json");
        call(&environment, "requires", &wanted)?;
        let text =
            fs::read(&wanted).with_context(|| format!("cannot read `{}`", wanted.display()))?;
        let wanted: Vec<String> = from_json(&text, "what the backend asks for")?;
        if wanted.is_empty() {
            call(&environment, "wheel", out)?;
        } else {
            let all: Vec<_> = requires.into_iter().chain(wanted).collect();
            let Some(environment) = self.environment(&all)? else { return Ok(false) };
            call(&environment, "wheel", out)?;
        }
        Ok(true)
    }

    fn run_backend(&self, mut command: Command) -> Result<()> {
        command.env("SOURCE_DATE_EPOCH", self.request.epoch.to_string());
        if let Some(version) = &self.request.project.config.version {
            // Backends that take the version from a repository listen to these.
            command
                .env("SETUPTOOLS_SCM_PRETEND_VERSION", version)
                .env("PDM_BUILD_SCM_VERSION", version);
        }
        installer::finish(command, "building the project", self.means.listen)?;
        Ok(())
    }

    fn copy_sources(&self) -> Result<PathBuf> {
        // A fixed name: what a directory is called is no part of what is built in it.
        let to = self.means.scratch.dir("source")?.join("project");
        sources::copy_to_build(&self.request.project.dir, self.request.sources, &to)
    }
}

/// How the project in `source` is built; `None` when it does not say so as it must.
fn build_system(source: &Path) -> Option<BuildSystem> {
    match fs::read_to_string(source.join("pyproject.toml")) {
        Ok(text) => PyProject::parse(&text).ok()?.build_system().ok(),
        Err(_) => Some(BuildSystem::default()),
    }
}
