//! What a project pins: the distributions that apply to one interpreter, read from any lock or requirements file.
//!
//! Readers turn text into pins. Only [`load`] touches files; nothing here resolves, fetches or runs anything.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::digest::{hex, sha256};
use crate::error::UserError;
use crate::lock::pin::{Pin, Source, normalize_path};
use crate::lock::redact::{located, redact};
use crate::lock::request::Request;
use crate::pep::{Environment, normalize_name};

pub mod pin;
pub mod redact;

mod constraint;
mod pdm;
mod pipfile;
mod poetry;
mod pylock;
mod request;
mod requirements;
#[cfg(test)]
mod testing;
mod uv;

/// Lock files are text; beyond this they are a mistake or an attack.
const MAX_LEN: u64 = 128 << 20;

/// Where a lock is looked for in a project, best first.
const NAMES: [&str; 6] =
    ["pylock.toml", "uv.lock", "poetry.lock", "pdm.lock", "Pipfile.lock", "requirements.txt"];

/// What a project pins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lock {
    /// Every file read, for talk and cache keys.
    pub files: Vec<PathBuf>,
    /// The format; [`Kind::Requirements`] when any file of several is one.
    pub kind: Kind,
    /// What applies to the target, sorted by name.
    pub pins: Vec<Pin>,
    /// Installer options as requirements files write them, such as `--index-url https://…`, in order.
    pub options: Vec<String>,
    /// What constraints files say; they limit versions and ask for nothing.
    pub constraints: Vec<Pin>,
    /// What was left out and why, for the user to read; free of credentials.
    pub notes: Vec<String>,
}

/// The format of a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A requirements file of pip.
    Requirements,
    /// `pylock.toml` (PEP 751).
    Pylock,
    /// `uv.lock`.
    Uv,
    /// `poetry.lock`.
    Poetry,
    /// `pdm.lock`.
    Pdm,
    /// `Pipfile.lock`.
    Pipfile,
}

/// How firmly a lock decides what is installed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pinning {
    /// Every pin is exact and hashed.
    Hashed,
    /// Every pin is exact, or a lock file says so; some lack a hash.
    Exact,
    /// Something needs resolving.
    Loose,
}

/// What the project asks of its lock.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Roots {
    /// The project's name, when it has one.
    pub name: Option<String>,
    /// Extras asked for.
    pub extras: Vec<String>,
}

/// Reads the lock of a project: the `explicit` files, or else the first of the usual names that exists.
///
/// Relative `explicit` paths are below `project_dir`, which a member of a uv workspace may leave with `../uv.lock`.
/// The result holds what applies to `environment` only. `None` when the project has no lock at all.
pub fn load(
    project_dir: &Path,
    explicit: &[PathBuf],
    roots: &Roots,
    environment: &Environment,
) -> Result<Option<Lock>> {
    let extras = roots.extras.iter().map(|extra| normalize_name(extra)).collect::<Result<_>>()?;
    let name = roots.name.as_deref().map(normalize_name).transpose()?;
    let roots = Roots { name, extras };
    let found = match explicit {
        [] => NAMES.iter().map(PathBuf::from).find(|name| project_dir.join(name).is_file()),
        _ => None,
    };
    let mut locks = Vec::new();
    for file in explicit.iter().chain(&found) {
        let file = normalize_path(file.strip_prefix(project_dir).unwrap_or(file));
        let lock = load_one(project_dir, &file, &roots, environment);
        locks.push(lock.map_err(|error| located("", &error))?);
    }
    locks.into_iter().reduce(Lock::join).map(Lock::settle).transpose()
}

impl Lock {
    /// How firmly this decides what is installed.
    pub fn pinning(&self) -> Pinning {
        let exact = self.pins.iter().all(Pin::is_exact);
        if exact && self.pins.iter().all(|pin| !pin.hashes.is_empty()) {
            Pinning::Hashed
        } else if exact || self.kind != Kind::Requirements {
            Pinning::Exact
        } else {
            Pinning::Loose
        }
    }

    /// Whether the pins are all that is needed, so that an installer should follow no dependencies.
    pub fn is_closure(&self) -> bool {
        let is_hashed = self.pins.iter().any(|pin| !pin.hashes.is_empty());
        self.kind != Kind::Requirements || (is_hashed && demand_hashes(self).is_ok())
    }

    /// A requirements file of everything, sorted, markers already decided. It holds the credentials of its URLs.
    ///
    /// Paths in it are relative to the project. Extras of a closure are dropped: what they ask for is pinned.
    pub fn to_requirements(&self) -> String {
        self.render(|_| true)
    }

    /// Requirements files to install one after the other.
    ///
    /// pip refuses a file in which some requirements are hashed and some are not. A closure can be installed in two
    /// steps, so its hashes are still checked.
    pub fn batches(&self) -> Vec<String> {
        let (hashed, plain): (Vec<&Pin>, Vec<&Pin>) =
            self.pins.iter().partition(|pin| !pin.hashes.is_empty());
        if hashed.is_empty() || plain.is_empty() || !self.is_closure() {
            return vec![self.to_requirements()];
        }
        vec![self.render(|pin| !pin.hashes.is_empty()), self.render(|pin| pin.hashes.is_empty())]
    }

    /// A constraints file of what limits versions; empty when nothing does.
    pub fn to_constraints(&self) -> String {
        lines(self.constraints.iter().map(|pin| pin.line(false)).collect())
    }

    /// SHA-256 in hexadecimal of all that decides which wheels come: a key for caches.
    ///
    /// It does not depend on credentials, on the order of requirements, or on where a file stands. What is in a
    /// local directory or in an unhashed archive does not enter it.
    pub fn digest(&self) -> String {
        let mut facts = format!("mkpkg lock 1\nclosure: {}\n", self.is_closure());
        facts.push_str(&self.to_requirements());
        facts.push_str("constraints:\n");
        facts.push_str(&self.to_constraints());
        hex(&sha256(redact(&facts).as_bytes()))
    }

    fn new(kind: Kind, pins: Vec<Pin>) -> Self {
        let (files, options, constraints, notes) = Default::default();
        Self { files, kind, pins, options, constraints, notes }
    }

    fn render(&self, keep: impl Fn(&Pin) -> bool) -> String {
        let with_extras = !self.is_closure();
        let pins = self.pins.iter().filter(|pin| keep(pin)).map(|pin| pin.line(with_extras));
        let mut text: String = self.options.iter().map(|option| format!("{option}\n")).collect();
        text.push_str(&lines(pins.collect()));
        text
    }

    fn join(mut self, other: Self) -> Self {
        if self.kind != other.kind && other.kind == Kind::Requirements {
            self.kind = Kind::Requirements;
        }
        self.files.extend(other.files);
        self.pins.extend(other.pins);
        let options = other.options.into_iter().filter(|option| !self.options.contains(option));
        let options: Vec<_> = options.collect();
        self.options.extend(options);
        self.constraints.extend(other.constraints);
        self.notes.extend(other.notes);
        self
    }

    /// Sorts and merges the pins; refuses two that cannot both be installed.
    fn settle(mut self) -> Result<Self> {
        let mut settled: BTreeMap<(Option<String>, String), Pin> = BTreeMap::new();
        let mut exact: BTreeMap<String, Pin> = BTreeMap::new();
        for pin in std::mem::take(&mut self.pins) {
            if let Some(name) = pin.name.clone().filter(|_| pin.is_exact()) {
                let first = exact.entry(name).or_insert_with(|| pin.clone());
                if !agree(first, &pin) {
                    return Err(self.conflict(first, &pin));
                }
            }
            let plain = Pin { hashes: Vec::new(), ..pin.clone() };
            let key = (pin.name.clone(), plain.line(true));
            match settled.get_mut(&key) {
                None => drop(settled.insert(key, pin)),
                Some(first) => {
                    first.hashes.extend(pin.hashes);
                    first.hashes.sort_unstable();
                    first.hashes.dedup();
                }
            }
        }
        self.pins = settled.into_values().collect();
        if self.options.iter().any(|option| option == "--require-hashes") {
            demand_hashes(&self)?;
            // Done; and an installer would refuse local directories, which have no hash.
            self.options.retain(|option| option != "--require-hashes");
        }
        Ok(self)
    }

    fn conflict(&self, first: &Pin, second: &Pin) -> anyhow::Error {
        let files: Vec<_> = self.files.iter().map(|file| format!("`{}`", file.display())).collect();
        let files = files.join(", ");
        let message = format!("`{first}` and `{second}` are both asked for in {files}");
        UserError::usage(message).hint("keep one of them").into()
    }
}

/// Refuses a lock in which something could be replaced unnoticed, for `--locked`.
///
/// Directories on this host pass: they are source like the project's own.
pub fn demand_hashes(lock: &Lock) -> Result<()> {
    let open = |pin: &&Pin| !pin.is_directory() && (pin.hashes.is_empty() || !pin.is_exact());
    let mut open_pins = lock.pins.iter().filter(open);
    let Some(first) = open_pins.next() else { return Ok(()) };
    let what = match (first.hashes.is_empty(), first.is_exact()) {
        (true, _) => "has no hash",
        (false, _) => "does not name one version",
    };
    let others = match open_pins.count() {
        0 => String::new(),
        1 => ", nor is another requirement locked".to_owned(),
        count => format!(", nor are {count} other requirements locked"),
    };
    let hint = match lock.kind {
        Kind::Requirements => {
            "lock with `uv pip compile --generate-hashes` or `pip-compile --generate-hashes`, or use `uv lock`"
        }
        Kind::Pylock | Kind::Uv | Kind::Poetry | Kind::Pdm | Kind::Pipfile => {
            "lock a release from an index in its place; repositories and some URLs have no hash"
        }
    };
    Err(UserError::usage(format!("`{first}` {what}{others}")).hint(hint).into())
}

/// Whether two exact pins of one name can stand side by side.
fn agree(first: &Pin, second: &Pin) -> bool {
    match (&first.source, &second.source) {
        (Source::Index(_), Source::Index(_)) => first.version == second.version,
        _ => first.source == second.source,
    }
}

fn lines(mut lines: Vec<String>) -> String {
    lines.sort_unstable();
    lines.dedup();
    lines.into_iter().map(|line| line + "\n").collect()
}

fn load_one(
    project_dir: &Path,
    file: &Path,
    roots: &Roots,
    environment: &Environment,
) -> Result<Lock> {
    let text = read(&project_dir.join(file), file)?;
    let kind = kind(file, &text)?;
    let base = file.parent().unwrap_or(Path::new(""));
    let name = file.display().to_string();
    let pyproject = base.join("pyproject.toml");
    let pyproject = match kind {
        Kind::Poetry | Kind::Pdm if project_dir.join(&pyproject).is_file() => {
            Some((read(&project_dir.join(&pyproject), &pyproject)?, pyproject))
        }
        _ => None,
    };
    let project = pyproject.as_ref().map(|(text, _)| text.as_str());
    let request = Request { file: &name, base, roots, environment, pyproject: project };
    let mut lock = match kind {
        Kind::Requirements => {
            let load = |file: &Path| read(&project_dir.join(file), file);
            return requirements::read(file, environment, &load);
        }
        Kind::Pylock => pylock::read(&text, &request)?,
        Kind::Uv => uv::read(&text, &request)?,
        Kind::Poetry => poetry::read(&text, &request)?,
        Kind::Pdm => pdm::read(&text, &request)?,
        Kind::Pipfile => pipfile::read(&text, &request)?,
    };
    let dir = project_dir.canonicalize();
    let is_project = |path: &Path| {
        dir.as_ref()
            .is_ok_and(|dir| project_dir.join(path).canonicalize().is_ok_and(|path| path == *dir))
    };
    // The lock of a workspace names its members by paths from its own directory.
    lock.pins.retain(|pin| !matches!(&pin.source, Source::Path(path) if is_project(path)));
    lock.files.push(file.to_owned());
    lock.files.extend(pyproject.map(|(_, file)| file));
    Ok(lock)
}

/// The format of a file, by its name or else by how it begins.
fn kind(file: &Path, text: &str) -> Result<Kind> {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let toml = file.extension().is_some_and(|extension| extension == "toml");
    match &*name {
        "uv.lock" => return Ok(Kind::Uv),
        "poetry.lock" => return Ok(Kind::Poetry),
        "pdm.lock" => return Ok(Kind::Pdm),
        "Pipfile.lock" => return Ok(Kind::Pipfile),
        _ if name.starts_with("pylock.") && toml => return Ok(Kind::Pylock),
        "Pipfile" | "setup.py" | "setup.cfg" | "pyproject.toml" => {
            let message = format!("`{}` is not a lock", file.display());
            let hint = "name a requirements file, `pylock.toml` or a lock file";
            return Err(UserError::usage(message).hint(hint).into());
        }
        _ => {}
    }
    let text = text.trim_start_matches('\u{feff}').trim_start();
    let has = |start: &str| text.lines().any(|line| line.trim_start().starts_with(start));
    Ok(if text.starts_with('{') {
        Kind::Pipfile
    } else if has("[[packages]]") || (has("lock-version") && toml) {
        Kind::Pylock
    } else if !has("[[package]]") {
        Kind::Requirements
    } else if has("lock_version") {
        Kind::Pdm
    } else if has("lock-version") || has("content-hash") {
        Kind::Poetry
    } else {
        Kind::Uv
    })
}

/// Reads one text file; `name` is what errors call it.
fn read(path: &Path, name: &Path) -> Result<String> {
    let fault = |why: &str| UserError::usage(format!("cannot read `{}`: {why}", name.display()));
    let meta = match fs::metadata(path) {
        Ok(meta) => meta,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(fault("no such file").into());
        }
        Err(error) => return Err(UserError::input(fault(&error.to_string()).message).into()),
    };
    if !meta.is_file() {
        return Err(fault("it is not a file").into());
    }
    if meta.len() > MAX_LEN {
        return Err(fault("it is larger than 128 MiB").into());
    }
    let bytes =
        fs::read(path).map_err(|error| UserError::input(fault(&error.to_string()).message))?;
    let text = String::from_utf8(bytes)
        .map_err(|_| fault("it is not UTF-8 text").hint("save it as UTF-8"))?;
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}
