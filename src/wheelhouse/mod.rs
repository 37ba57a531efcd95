//! Collects the wheels of an application: one directory in, or pip and uv run to make one.
//!
//! The Python world ends here; everything after works on wheels alone.

mod environment;
pub mod installer;
mod own;
pub mod select;
mod settings;
pub mod store;

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::cache::Cache;
use crate::cache::lock::Hold;
use crate::error::UserError;
use crate::host::interpreter::Interpreter;
use crate::lock::pin::Pin;
use crate::lock::{Lock, Roots};
use crate::pep::normalize_name;
use crate::project::sources::SourceFile;
use crate::project::static_metadata::name_in_setup_py;
use crate::project::{Project, ProjectKind};
use crate::scratch::Scratch;
use crate::wheel::tags::Tag;
use crate::wheelhouse::installer::{Choice, Setting};
use crate::wheelhouse::own::Own;
use crate::wheelhouse::settings::Settings;
use crate::wheelhouse::store::Kept;

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
    /// Keeps wheels between builds.
    pub cache: &'a Cache,
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
    /// Normalised name of the project's own distribution.
    pub own: Option<String>,
    /// Names of the distributions that were built from sources in this run, the project aside.
    pub built: Vec<String>,
    /// The directories of the cache that have them.
    pub holds: Vec<Hold>,
}

/// Collects the wheels `request` asks for.
pub fn collect(request: &Request<'_>, means: &Means<'_>) -> Result<Wheelhouse> {
    if let Some(dir) = means.wheelhouse {
        return given(request, dir, means.cache);
    }
    let own_dir = request.interpreter.sha256.get(..16).unwrap_or_default();
    let installers = store::installers(means.cache, own_dir);
    let settings = Settings::load(&request.interpreter.executable);
    let uv = installer::find_uv(means.choice, &settings)?;
    let run = Run { request, means, uv, settings, installers };
    let own = match request.project.kind {
        ProjectKind::Buildable => Some(run.project_wheel()?),
        ProjectKind::Bare | ProjectKind::Required => None,
    };
    match (request.lock, &run.uv) {
        (Some(lock), _) if lock.is_closure() || lock.pins.is_empty() && own.is_none() => {
            run.locked(lock, own)
        }
        (lock, Some(uv)) => {
            let lock = run.resolve_with_uv(uv, lock, own.as_ref())?;
            run.locked(&lock, own)
        }
        (lock, None) => run.resolve_with_pip(lock, own),
    }
}

/// Wheels from a directory the user made.
fn given(request: &Request<'_>, dir: &Path, cache: &Cache) -> Result<Wheelhouse> {
    if !dir.is_dir() {
        let message = format!("the wheelhouse `{}` is not a directory", dir.display());
        return Err(UserError::usage(message).hint("make it with `pip wheel -w DIR`").into());
    }
    let all = store::wheels(dir)?;
    let own = match (request.project.kind, &request.project.stated.name) {
        (ProjectKind::Bare | ProjectKind::Required, _) => None,
        (ProjectKind::Buildable, Some(name)) => Some(normalize_name(name)?),
        (ProjectKind::Buildable, None) => {
            let setup =
                fs::read_to_string(request.project.dir.join("setup.py")).unwrap_or_default();
            match name_in_setup_py(&setup) {
                Some(name) => Some(normalize_name(&name)?),
                None => Some(select::unlisted(&all, request.lock)?),
            }
        }
    };
    let wheels = select::given(&all, request.lock, (own.as_deref(), request.tags), cache)?;
    Ok(Wheelhouse { wheels, own, ..Wheelhouse::default() })
}

fn wheelhouse(
    wheels: Vec<PathBuf>,
    own: Option<Own>,
    (built, hold): (Vec<String>, Option<Hold>),
) -> Wheelhouse {
    let (own, held) = own.map(|own| (own.name, own.hold)).unzip();
    Wheelhouse { wheels, own, built, holds: hold.into_iter().chain(held.flatten()).collect() }
}

/// One run of installers.
struct Run<'a> {
    request: &'a Request<'a>,
    means: &'a Means<'a>,
    uv: Option<PathBuf>,
    /// What pip is told.
    settings: Settings,
    /// What installers cache: one directory an interpreter, because pip does not tell apart for which it built a wheel.
    installers: Option<Kept>,
}

impl Run<'_> {
    fn setting(&self) -> Setting<'_> {
        Setting {
            interpreter: self.request.interpreter,
            scratch: self.means.scratch.path(),
            cache: self.installers.as_ref().map(|kept| kept.dir.as_path()),
            is_offline: self.means.is_offline,
        }
    }

    /// The wheels of a lock that names all of them, and the project's own.
    fn locked(&self, lock: &Lock, own: Option<Own>) -> Result<Wheelhouse> {
        let (dir, built, hold) = self.locked_dir(lock)?;
        let mut wheels = select::pinned(&store::wheels(&dir)?, self.request.tags)?;
        wheels.extend(own.iter().map(|own| own.path.clone()));
        wheels.sort_by(|left, right| left.file_name().cmp(&right.file_name()));
        Ok(wheelhouse(wheels, own, (built, hold)))
    }

    fn locked_dir(&self, lock: &Lock) -> Result<(PathBuf, Vec<String>, Option<Hold>)> {
        let key = self.key(&["lock", &lock.digest()]);
        let none = Cache::none();
        let is_kept = !lock.pins.iter().any(Pin::is_open);
        let cache = if is_kept { self.means.cache } else { &none };
        if let Some(Kept { dir, hold }) = store::find(cache, &key) {
            (self.means.listen)("the wheels of this lock are in the cache");
            return Ok((dir, Vec::new(), Some(hold)));
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
        match store::keep(cache, &key, &dir) {
            Some(Kept { dir, hold }) => Ok((dir, built, Some(hold))),
            None => Ok((dir, built, None)),
        }
    }

    /// Resolves, fetches and builds in one run of pip.
    fn resolve_with_pip(&self, lock: Option<&Lock>, own: Option<Own>) -> Result<Wheelhouse> {
        let pip = installer::find_pip(self.request.interpreter, None)?;
        let dir = self.means.scratch.dir("wheels")?;
        let mut arguments: Vec<OsString> = Vec::new();
        for (flag, file) in self.loose_files(lock, own.as_ref())? {
            arguments.extend([flag.into(), file.into()]);
        }
        let built = self.pip_wheel(&pip, &arguments, &dir)?;
        let wheels = select::pinned(&store::wheels(&dir)?, self.request.tags)?;
        Ok(wheelhouse(wheels, own, (built, None)))
    }

    /// Lets uv choose versions; the result is a lock with hashes.
    fn resolve_with_uv(&self, uv: &Path, lock: Option<&Lock>, own: Option<&Own>) -> Result<Lock> {
        let scratch = self.means.scratch.path();
        let out = scratch.join("resolved.txt");
        let mut arguments: Vec<OsString> =
            vec!["pip".into(), "compile".into(), "--generate-hashes".into()];
        arguments.extend(
            ["--no-header", "--no-annotate", "--emit-index-url", "--emit-find-links"]
                .map(Into::into),
        );
        arguments.extend(["--output-file".into(), out.clone().into()]);
        for (flag, file) in self.loose_files(lock, own)? {
            arguments.extend((flag == "--constraint").then(|| flag.into()));
            arguments.push(file.into());
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
        let mut resolved = resolved.context("uv wrote no requirements")?;
        resolved.pins.retain(|pin| pin.name.as_ref() != own.map(|own| &own.name));
        Ok(resolved)
    }

    /// What has to be resolved, and what limits it, as files with the flag each is passed by.
    fn loose_files(
        &self,
        lock: Option<&Lock>,
        own: Option<&Own>,
    ) -> Result<Vec<(&'static str, PathBuf)>> {
        let extras = &self.request.project.config.extras;
        let mut requirements = lock.map(Lock::to_requirements).unwrap_or_default();
        requirements.extend(own.map(|own| own.requirement(extras)));
        let constraints = lock.map(Lock::to_constraints).unwrap_or_default();
        let mut files = Vec::new();
        for (flag, text) in [("--requirement", requirements), ("--constraint", constraints)] {
            if !text.is_empty() {
                let file = self.means.scratch.path().join(format!("loose{flag}.txt"));
                fs::write(&file, text)
                    .with_context(|| format!("cannot write `{}`", file.display()))?;
                files.push((flag, file));
            }
        }
        Ok(files)
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
        let (glibc, flags) = (format!("{:?}", interpreter.glibc), store::compiler_flags());
        let mut whole = vec![interpreter.version.as_str(), &interpreter.sha256, machine, &glibc];
        whole.push(&flags);
        whole.extend(parts);
        store::key(&whole)
    }
}
