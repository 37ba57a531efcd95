//! Collects the wheels of an application: one directory in, or pip and uv run to make one.
//!
//! The Python world ends here; everything after works on wheels alone.

pub mod installer;
pub mod select;
pub mod store;

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::error::UserError;
use crate::host::interpreter::Interpreter;
use crate::lock::{Lock, Roots};
use crate::project::epoch::revision;
use crate::project::sources::{SourceFile, copy, digest};
use crate::project::{Project, ProjectKind};
use crate::scratch::Scratch;
use crate::wheel::tags::Tag;
use crate::wheelhouse::installer::{Choice, Setting};

/// What wheels are wanted, and of what.
#[derive(Debug)]
pub struct Request<'a> {
    /// The application.
    pub project: &'a Project,
    /// Its source files.
    pub sources: &'a [SourceFile],
    /// What it pins; `None` when it has no lock.
    pub lock: Option<&'a Lock>,
    /// The interpreter wheels must fit.
    pub interpreter: &'a Interpreter,
    /// Tags of wheels that fit the target, best first.
    pub tags: &'a [Tag],
    /// Time stamp of the project: seconds since 1970.
    pub epoch: u64,
}

/// How wheels may be had.
pub struct Means<'a> {
    /// Directory of wheels to use instead of any installer.
    pub wheelhouse: Option<&'a Path>,
    /// Which installer.
    pub choice: Choice,
    /// Whether the network is off limits.
    pub is_offline: bool,
    /// Directory that keeps wheels between builds.
    pub cache: Option<&'a Path>,
    /// Where to work.
    pub scratch: &'a Scratch,
    /// Hears what installers say.
    pub listen: &'a dyn Fn(&str),
}

/// The wheels of an application.
#[derive(Debug, Default)]
pub struct Wheelhouse {
    /// One wheel of each distribution, sorted by file name.
    pub wheels: Vec<PathBuf>,
    /// Names of the distributions that were built from sources in this run, the project aside.
    pub built: Vec<String>,
}

/// Collects the wheels `request` asks for.
pub fn collect(request: &Request<'_>, means: &Means<'_>) -> Result<Wheelhouse> {
    if let Some(dir) = means.wheelhouse {
        return given(request, dir);
    }
    let run = Run { request, means, uv: installer::find_uv(means.choice)? };
    let source = match request.project.kind {
        ProjectKind::Buildable => Some(run.copy_sources()?),
        ProjectKind::Bare => None,
    };
    match (request.lock, &run.uv) {
        (Some(lock), _) if lock.is_closure() => run.locked(lock, source.as_deref()),
        (lock, Some(uv)) => {
            let lock = run.resolve_with_uv(uv, lock, source.as_deref())?;
            run.locked(&lock, source.as_deref())
        }
        (lock, None) => run.resolve_with_pip(lock, source.as_deref()),
    }
}

/// Wheels from a directory the user made.
fn given(request: &Request<'_>, dir: &Path) -> Result<Wheelhouse> {
    if !dir.is_dir() {
        let message = format!("the wheelhouse `{}` is not a directory", dir.display());
        return Err(UserError::usage(message).hint("make it with `pip wheel -w DIR`").into());
    }
    let own = match request.project.kind {
        ProjectKind::Buildable => request.project.stated.name.as_deref(),
        ProjectKind::Bare => None,
    };
    let wheels = select::given(&store::wheels(dir)?, request.lock, own, request.tags)?;
    Ok(Wheelhouse { wheels, built: Vec::new() })
}

/// One run of installers.
struct Run<'a> {
    request: &'a Request<'a>,
    means: &'a Means<'a>,
    uv: Option<PathBuf>,
}

impl Run<'_> {
    fn setting(&self) -> Setting<'_> {
        Setting {
            interpreter: self.request.interpreter,
            scratch: self.means.scratch.path(),
            cache: self.means.cache,
            is_offline: self.means.is_offline,
        }
    }

    fn copy_sources(&self) -> Result<PathBuf> {
        let project = self.request.project;
        let name = project.dir.file_name().unwrap_or("project".as_ref());
        let to = self.means.scratch.dir("source")?.join(name);
        fs::create_dir_all(&to).with_context(|| format!("cannot make `{}`", to.display()))?;
        copy(&project.dir, self.request.sources, &to)?;
        Ok(to)
    }

    /// The wheels of a lock that names all of them, and the project's own.
    fn locked(&self, lock: &Lock, source: Option<&Path>) -> Result<Wheelhouse> {
        let (dir, built) = self.locked_dir(lock)?;
        let mut wheels = select::pinned(&store::wheels(&dir)?, self.request.tags)?;
        if let Some(source) = source {
            wheels.push(self.project_wheel(source)?);
        }
        wheels.sort_by(|left, right| left.file_name().cmp(&right.file_name()));
        Ok(Wheelhouse { wheels, built })
    }

    fn locked_dir(&self, lock: &Lock) -> Result<(PathBuf, Vec<String>)> {
        let key = self.key(&["lock", &lock.digest()]);
        let cache = self.means.cache.filter(|_| !lock.pins.iter().any(|pin| pin.is_directory()));
        if let Some(dir) = cache.and_then(|cache| store::find(cache, &key)) {
            (self.means.listen)("the wheels of this lock are in the cache");
            return Ok((dir, Vec::new()));
        }
        let dir = self.means.scratch.dir("wheels")?;
        let mut built = Vec::new();
        let pip = match lock.pins.is_empty() {
            true => Vec::new(),
            false => installer::find_pip(self.request.interpreter, self.uv.as_deref())?,
        };
        for (index, batch) in lock.batches().iter().enumerate().filter(|_| !pip.is_empty()) {
            let file = self.means.scratch.path().join(format!("requirements-{index}.txt"));
            fs::write(&file, batch)
                .with_context(|| format!("cannot write `{}`", file.display()))?;
            let mut arguments: Vec<OsString> =
                vec!["--no-deps".into(), "--requirement".into(), file.into()];
            if batch.contains("--hash=") {
                arguments.push("--require-hashes".into());
            }
            built.extend(self.pip_wheel(&pip, &arguments, &dir)?);
        }
        match cache {
            Some(cache) => Ok((store::keep(cache, &key, &dir)?, built)),
            None => Ok((dir, built)),
        }
    }

    /// The project's own wheel.
    fn project_wheel(&self, source: &Path) -> Result<PathBuf> {
        let project = self.request.project;
        let content = digest(&project.dir, self.request.sources)?;
        let (revision, epoch) = (revision(&project.dir), self.request.epoch.to_string());
        let version = project.config.version.as_deref().unwrap_or_default();
        let key = self.key(&["project", &content, &revision, &epoch, version]);
        let dir = match self.means.cache.and_then(|cache| store::find(cache, &key)) {
            Some(dir) => dir,
            None => {
                let dir = self.means.scratch.dir("project-wheel")?;
                self.build_project(source, &dir)?;
                match self.means.cache {
                    Some(cache) => store::keep(cache, &key, &dir)?,
                    None => dir,
                }
            }
        };
        store::wheels(&dir)?.pop().context("the build of the project made no wheel")
    }

    fn build_project(&self, source: &Path, out: &Path) -> Result<()> {
        let setting = self.setting();
        let mut command = match &self.uv {
            Some(uv) => {
                let arguments = [
                    "build".into(),
                    "--wheel".into(),
                    "--out-dir".into(),
                    out.into(),
                    source.into(),
                ];
                installer::uv(&setting, uv, &arguments)?
            }
            None => {
                let pip = installer::find_pip(self.request.interpreter, None)?;
                installer::pip_wheel(&setting, &pip, &["--no-deps".into(), source.into()], out)?
            }
        };
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

    /// Resolves, fetches and builds in one run of pip.
    fn resolve_with_pip(&self, lock: Option<&Lock>, source: Option<&Path>) -> Result<Wheelhouse> {
        let pip = installer::find_pip(self.request.interpreter, None)?;
        let dir = self.means.scratch.dir("wheels")?;
        let mut arguments: Vec<OsString> = Vec::new();
        for (flag, file) in self.loose_files(lock)? {
            arguments.extend([flag.into(), file.into()]);
        }
        arguments.extend(source.map(|source| self.with_extras(source)));
        let mut built = self.pip_wheel(&pip, &arguments, &dir)?;
        let own = self.request.project.stated.name.as_deref().filter(|_| source.is_some());
        built.retain(|name| Some(name.as_str()) != own);
        Ok(Wheelhouse { wheels: select::pinned(&store::wheels(&dir)?, self.request.tags)?, built })
    }

    /// Lets uv choose versions; the result is a lock with hashes.
    fn resolve_with_uv(
        &self,
        uv: &Path,
        lock: Option<&Lock>,
        source: Option<&Path>,
    ) -> Result<Lock> {
        let scratch = self.means.scratch.path();
        let out = scratch.join("resolved.txt");
        let mut arguments: Vec<OsString> =
            vec!["pip".into(), "compile".into(), "--generate-hashes".into()];
        arguments.extend(
            ["--no-header", "--no-annotate", "--emit-index-url", "--emit-find-links"]
                .map(Into::into),
        );
        arguments.extend(["--output-file".into(), out.clone().into()]);
        for (flag, file) in self.loose_files(lock)? {
            arguments.extend((flag == "--constraint").then(|| flag.into()));
            arguments.push(file.into());
        }
        if let Some(source) = source {
            let files = ["pyproject.toml", "setup.py", "setup.cfg"].map(|name| source.join(name));
            arguments.extend(files.into_iter().find(|file| file.is_file()).map(Into::into));
            let extras = &self.request.project.config.extras;
            arguments.extend(extras.iter().flat_map(|extra| ["--extra".into(), extra.into()]));
        }
        let mut command = installer::uv(&self.setting(), uv, &arguments)?;
        command.current_dir(&self.request.project.dir);
        installer::finish(command, "resolving the requirements", self.means.listen)?;
        let resolved = crate::lock::load(
            scratch,
            &[out],
            &Roots::default(),
            &self.request.interpreter.environment,
        )?;
        resolved.context("uv wrote no requirements")
    }

    /// The requirements and constraints of a lock that pins too little, as files with the flag each is passed by.
    fn loose_files(&self, lock: Option<&Lock>) -> Result<Vec<(&'static str, PathBuf)>> {
        let Some(lock) = lock else { return Ok(Vec::new()) };
        let texts =
            [("--requirement", lock.to_requirements()), ("--constraint", lock.to_constraints())];
        let mut files = Vec::new();
        for (flag, text) in texts.into_iter().filter(|(_, text)| !text.is_empty()) {
            let file = self.means.scratch.path().join(format!("loose{flag}.txt"));
            fs::write(&file, text).with_context(|| format!("cannot write `{}`", file.display()))?;
            files.push((flag, file));
        }
        Ok(files)
    }

    fn with_extras(&self, source: &Path) -> OsString {
        let mut text = source.as_os_str().to_owned();
        let extras = &self.request.project.config.extras;
        if !extras.is_empty() {
            text.push(format!("[{}]", extras.join(",")));
        }
        text
    }

    fn pip_wheel(
        &self,
        pip: &[OsString],
        arguments: &[OsString],
        out: &Path,
    ) -> Result<Vec<String>> {
        let mut command = installer::pip_wheel(&self.setting(), pip, arguments, out)?;
        command.current_dir(&self.request.project.dir);
        let finished = installer::finish(command, "collecting wheels with pip", self.means.listen)?;
        Ok(installer::built(&finished.stdout))
    }

    /// A key for wheels made for this interpreter.
    fn key(&self, parts: &[&str]) -> String {
        let interpreter = self.request.interpreter;
        let machine = &interpreter.environment.platform_machine;
        let glibc = format!("{:?}", interpreter.glibc);
        let mut whole = vec![interpreter.version.as_str(), &interpreter.sha256, machine, &glibc];
        whole.extend(parts);
        store::key(&whole)
    }
}
