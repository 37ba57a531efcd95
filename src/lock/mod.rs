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
use crate::lock::request::Request;
use crate::pep::{Environment, normalize_name};
use crate::redact::{located, redact};

pub mod pin;

mod constraint;
mod line;
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
pub const NAMES: [&str; 6] =
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
        let file = below(project_dir, file);
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

/// A path as the project sees it: relative when it is below the project.
fn below(project_dir: &Path, file: &Path) -> PathBuf {
    let dir = project_dir.canonicalize();
    let dir = dir.as_deref().unwrap_or(project_dir);
    let below = file.strip_prefix(project_dir).or(file.strip_prefix(dir));
    normalize_path(below.unwrap_or(file))
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
    let is_asked = matches!(kind, Kind::Poetry | Kind::Pdm);
    let pyproject = match is_asked && project_dir.join(&pyproject).is_file() {
        true => Some((read(&project_dir.join(&pyproject), &pyproject)?, pyproject)),
        false => None,
    };
    let project = pyproject.as_ref().map(|(text, _)| text.as_str());
    let request = Request { file: &name, base, roots, environment, pyproject: project };
    let mut lock = match kind {
        Kind::Requirements => {
            let load = |file: &Path| read(&project_dir.join(file), file);
            requirements::read(file, environment, &load)?
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
    // The lock of a workspace names its members, the project among them, by paths from its own directory.
    lock.pins.retain(|pin| !matches!(&pin.source, Source::Path(path) if is_project(path)));
    if lock.files.is_empty() {
        lock.files.push(file.to_owned());
    }
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

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::{Path, PathBuf};

    use crate::error::{exit_code, hint};
    use crate::lock::{Kind, Lock, Pinning, Roots, demand_hashes, load};
    use crate::pep::environment;

    const HASH: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000000";
    const PYLOCK: &str = "lock-version = '1.0'\n[[packages]]\nname = 'a'\nversion = '1.0'\n";

    /// Loads from a directory that holds `files`; relative `explicit` paths are separated by spaces.
    fn read(files: &[(&str, &str)], explicit: &str) -> anyhow::Result<Option<Lock>> {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let explicit: Vec<_> = explicit.split_whitespace().map(PathBuf::from).collect();
        let roots = Roots { name: Some("Acme_Web".to_owned()), extras: Vec::new() };
        load(dir.path(), &explicit, &roots, &environment())
    }

    fn requirements(text: &str) -> Lock {
        read(&[("r.txt", &text.replace("HASH", HASH))], "r.txt").unwrap().unwrap()
    }

    fn fails(files: &[(&str, &str)], explicit: &str, message: &str) {
        let error = read(files, explicit).unwrap_err();
        assert_eq!(error.to_string(), message);
        assert!(matches!(exit_code(&error), 2 | 3));
    }

    #[test]
    fn discovery() {
        assert!(read(&[("setup.py", "")], "").unwrap().is_none());
        let both = [("requirements.txt", "b"), ("pylock.toml", PYLOCK)];
        assert_eq!(read(&both, "").unwrap().unwrap().kind, Kind::Pylock);
        let lock = read(&both[..1], "").unwrap().unwrap();
        assert_eq!(
            (lock.kind, lock.files),
            (Kind::Requirements, vec![PathBuf::from("requirements.txt")])
        );
        for (name, text, kind) in [
            ("pylock.web.toml", PYLOCK, Kind::Pylock),
            ("some.lock", PYLOCK, Kind::Pylock),
            ("x", "version = 1\n[[package]]\nname='acme-web'\nsource={virtual='.'}", Kind::Uv),
            (
                "x",
                "[[package]]\nname='a'\nversion='1'\ngroups=['main']\n[metadata]\nlock-version='2.1'",
                Kind::Poetry,
            ),
            (
                "x",
                "[metadata]\nlock_version='4.5'\n[[package]]\nname='a'\nversion='1'\ngroups=[]",
                Kind::Pdm,
            ),
            ("x", " {\"_meta\": {\"pipfile-spec\": 6}}", Kind::Pipfile),
            ("x", "\u{feff}a", Kind::Requirements),
        ] {
            assert_eq!(read(&[(name, text)], name).unwrap().unwrap().kind, kind, "{text}");
        }
    }

    #[test]
    fn several_files_are_merged() {
        let b = format!("--pre\nb==2\na==1.0 --hash={HASH}\n");
        let lock =
            read(&[("p", PYLOCK), ("r", &b), ("s", "--pre\nc>1\nc<3")], "p r s").unwrap().unwrap();
        let text = format!("--pre\na==1.0 --hash={HASH}\nb==2\nc<3\nc>1\n");
        assert_eq!((lock.to_requirements(), lock.kind), (text, Kind::Requirements));
        assert_eq!(lock.pinning(), Pinning::Loose);
        fails(
            &[("p", PYLOCK), ("r", "A==1.1")],
            "p r",
            "`a==1.0` and `a==1.1` are both asked for in `p`, `r`",
        );
        let urls = "a @ https://u:p@x/a-1.zip\na @ https://u:p@y/a-1.zip";
        fails(
            &[("r", urls)],
            "r",
            "`a @ https://****@x/a-1.zip` and `a @ https://****@y/a-1.zip` are both asked for in `r`",
        );
        assert_eq!(requirements("a==1\na==1.0\na>0").pins.len(), 3);
    }

    #[test]
    fn the_project_is_never_a_pin() {
        let lock = "version = 1\n[[package]]\nname='acme-web'\nsource={editable='web'}\ndependencies=[{name='lib'}]\n[[package]]\nname='lib'\nsource={editable='lib'}\n[[package]]\nname='root'\nsource={virtual='.'}";
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("web")).unwrap();
        fs::write(dir.path().join("uv.lock"), lock).unwrap();
        fs::write(
            dir.path().join("pylock.toml"),
            format!("{PYLOCK}[[packages]]\nname='acme-web'\ndirectory={{path='web'}}\n"),
        )
        .unwrap();
        let roots = Roots { name: Some("acme-web".to_owned()), extras: Vec::new() };
        for (file, text) in [("../uv.lock", "./../lib\n"), ("../pylock.toml", "a==1.0\n")] {
            let project = dir.path().join("web");
            let lock = load(&project, &[Path::new(file).into()], &roots, &environment()).unwrap();
            assert_eq!(lock.unwrap().to_requirements(), text);
        }
    }

    #[test]
    fn pinning_and_hashes() {
        for (text, pinning, closure, batches, message) in [
            ("", Pinning::Hashed, false, 1, ""),
            ("a==1 --hash=HASH", Pinning::Hashed, true, 1, ""),
            ("a==1 --hash=HASH\n./b", Pinning::Exact, true, 2, ""),
            (
                "a==1\nb==1 --hash=HASH\nc",
                Pinning::Loose,
                false,
                1,
                "`a==1` has no hash, nor is another requirement locked",
            ),
            ("a==1", Pinning::Exact, false, 1, "`a==1` has no hash"),
            ("a>=1 --hash=HASH", Pinning::Loose, false, 1, "`a>=1` does not name one version"),
            (
                "git+https://u:p@x/a@main#egg=a",
                Pinning::Loose,
                false,
                1,
                "`a @ git+https://****@x/a@main#egg=a` has no hash",
            ),
            ("https://x/a-1.zip", Pinning::Exact, false, 1, "`a @ https://x/a-1.zip` has no hash"),
        ] {
            let lock = requirements(text);
            assert_eq!(
                (lock.pinning(), lock.is_closure(), lock.batches().len()),
                (pinning, closure, batches),
                "{text}"
            );
            match demand_hashes(&lock) {
                Ok(()) => assert_eq!(message, ""),
                Err(error) => {
                    assert_eq!((error.to_string().as_str(), exit_code(&error)), (message, 2));
                    assert!(hint(&error).unwrap().contains("--generate-hashes"));
                }
            }
        }
        let pylock = read(&[("pylock.toml", PYLOCK)], "").unwrap().unwrap();
        assert!(
            pylock.is_closure()
                && pylock.pinning() == Pinning::Exact
                && demand_hashes(&pylock).is_err()
        );
        fails(&[("r", "--require-hashes\na==1")], "r", "`a==1` has no hash");
        assert!(requirements("--require-hashes\na==1 --hash=HASH\n./b").options.is_empty());
    }

    #[test]
    fn digests() {
        let one = "--index-url https://u:p@x/s\na[b]==1\nc @ https://v:q@x/c-1.zip\n-c k.txt";
        let two =
            "# comment\nc @ https://w:r@x/c-1.zip\n-c k.txt\na[b]==1 # same\n-i https://${T}@x/s";
        let digest = |name: &str, text: &str| {
            let constraints = Path::new(name).with_file_name("k.txt");
            let files = [(name, text), (constraints.to_str().unwrap(), "z<2")];
            read(&files, name).unwrap().unwrap().digest()
        };
        let expected = digest("r.txt", one);
        assert_eq!(expected.len(), 64);
        assert_eq!(digest("deep/er/s.txt", two), expected);
        for other in ["a[b]==1", "==1\nq", "https://y/s"] {
            assert_ne!(
                digest(
                    "r.txt",
                    &one.replacen("https://u:p@x/s", other, 1).replacen("--index-url a", "a", 1)
                ),
                expected
            );
        }
        assert_ne!(digest("r.txt", &one.replace("==1", "==1.1")), expected);
        assert_ne!(digest("r.txt", &one.replace("-c k.txt", "")), expected);
    }

    #[test]
    fn files_that_cannot_be_read() {
        fails(&[], "gone.txt", "cannot read `gone.txt`: no such file");
        fails(&[("d/x", "")], "d", "cannot read `d`: it is not a file");
        fails(&[("pyproject.toml", "")], "pyproject.toml", "`pyproject.toml` is not a lock");
        fails(
            &[("pylock.toml", "lock-version = 1")],
            "",
            "cannot read `pylock.toml:1:16`: invalid type: integer `1`, expected a string",
        );
        fails(
            &[("pylock.toml", "lock-version = '1.0'\npackages = ['https://u:p@x/']")],
            "",
            "cannot read `pylock.toml:2:13`: invalid type: string \"https://****@x/\", expected struct Package",
        );
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("requirements.txt"), b"\xff\xfea\0").unwrap();
        let error = load(dir.path(), &[], &Roots::default(), &environment()).unwrap_err();
        assert_eq!(error.to_string(), "cannot read `requirements.txt`: it is not UTF-8 text");
    }
}
