//! Finds the Python interpreter a package is made for and asks it what it is.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::cache::Cache;
use crate::cache::digests::{sha256_of, state};
use crate::cache::key::{Key, Kind};
use crate::digest::hex;
use crate::document::from_json;
use crate::error::UserError;
use crate::exec::{command, failure, run};
use crate::package::Machine;
use crate::pep::Environment;

/// A CPython on this host, as it describes itself.
#[derive(Clone, Debug)]
pub struct Interpreter {
    /// Its absolute path, links not followed.
    pub executable: PathBuf,
    /// `X.Y.Z`.
    pub version: String,
    /// `X.Y`.
    pub minor: String,
    /// When and how it was made, as it says itself.
    pub build: String,
    /// Tag in the names of its byte code files, such as `cpython-311`.
    pub cache_tag: String,
    /// Its C library, `(2, 36)`; `None` when that is not glibc.
    pub glibc: Option<(u32, u32)>,
    /// Its answers to marker variables.
    pub environment: Environment,
    /// Top-level modules of its standard library; empty before Python 3.10.
    pub stdlib: Vec<String>,
    /// SHA-256 of the executable, hexadecimal: byte code differs between builds of one version.
    pub sha256: String,
}

impl Interpreter {
    /// It as it would describe itself on `machine`, which is not this one. Byte code is the same on all.
    #[must_use]
    pub fn on(mut self, machine: Machine) -> Self {
        machine.uname().clone_into(&mut self.environment.platform_machine);
        self
    }
}

/// What the interpreter prints of itself.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Answer {
    build: String,
    cache_tag: String,
    environment: Environment,
    glibc: Option<String>,
    stdlib: Vec<String>,
}

/// Works with any Python, so that Python 2 can be told apart from a program that is no Python at all.
const QUESTION: &str = r#"
import sys
if sys.version_info < (3, 8):
    sys.stdout.write("too old: %d.%d" % sys.version_info[:2])
    sys.exit(0)
import json, os, platform
def full(info):
    kind = info.releaselevel
    return "%d.%d.%d" % info[:3] + ("" if kind == "final" else kind[0] + str(info.serial))
try:
    glibc = os.confstr("CS_GNU_LIBC_VERSION")
except (AttributeError, ValueError, OSError):
    glibc = None
json.dump({"build": sys.version, "cache_tag": sys.implementation.cache_tag, "glibc": glibc,
    "stdlib": sorted(getattr(sys, "stdlib_module_names", ())), "environment": {
    "implementation_name": sys.implementation.name,
    "implementation_version": full(sys.implementation.version),
    "os_name": os.name,
    "platform_machine": platform.machine(),
    "platform_python_implementation": platform.python_implementation(),
    "platform_release": platform.release(),
    "platform_system": platform.system(),
    "platform_version": platform.version(),
    "python_full_version": platform.python_version(),
    "python_version": ".".join(platform.python_version_tuple()[:2]),
    "sys_platform": sys.platform,
}}, sys.stdout)
"#;

/// Finds the interpreter for `wanted`: `X.Y`, a path, a command name, or nothing for `default_minor`.
///
/// The distribution's own below `/usr/bin` comes first: it is what the package will run on.
pub fn find(
    wanted: Option<&str>,
    default_minor: Option<&str>,
    cache: &Cache,
) -> Result<Interpreter> {
    let name = match (wanted, default_minor) {
        (Some(wanted), _) if is_minor(wanted) => format!("python{wanted}"),
        (Some(wanted), _) => wanted.to_owned(),
        (None, Some(minor)) => format!("python{minor}"),
        (None, None) => "python3".to_owned(),
    };
    let executable = locate(&name).ok_or_else(|| {
        UserError::unresolved(format!("the interpreter `{name}` is not on this host")).hint(
            match name.contains('/') {
                true => "name another with `--python`".to_owned(),
                false => {
                    format!("install it (`apt install {name}`), or name another with `--python`")
                }
            },
        )
    })?;
    ask(&executable, cache)
}

fn is_minor(text: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|at| at.is_ascii_digit());
    text.split_once('.').is_some_and(|(major, minor)| digits(major) && digits(minor))
}

fn locate(name: &str) -> Option<PathBuf> {
    if name.contains('/') {
        let path = std::path::absolute(name).ok()?;
        return path.is_file().then_some(path);
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let dirs = std::env::split_paths(&path).filter(|dir| dir.is_absolute());
    std::iter::once(PathBuf::from("/usr/bin"))
        .chain(dirs)
        .map(|dir| dir.join(name))
        .find(|at| at.is_file())
}

fn ask(executable: &Path, cache: &Cache) -> Result<Interpreter> {
    let shown = executable.display();
    let sha256 = sha256_of(cache, executable).with_context(|| format!("cannot read `{shown}`"))?;
    let key = key(executable, sha256).ok();
    let kept = key.and_then(|key| cache.load(&key));
    let is_kept = kept.is_some();
    let stdout = kept.map_or_else(|| put(executable), Ok)?;
    if let Some(version) = stdout.strip_prefix(b"too old: ") {
        let version = String::from_utf8_lossy(version).into_owned();
        return Err(UserError::usage(format!(
            "`{shown}` is Python {version}, which is not supported"
        ))
        .hint("use Python 3.8 or newer")
        .into());
    }
    let answer: Answer = from_json(&stdout, "the answer").map_err(|_| {
        UserError::unresolved(format!("`{shown}` does not answer as Python does"))
            .hint("name a Python interpreter with `--python`")
    })?;
    let environment = answer.environment;
    if environment.implementation_name != "cpython" || environment.sys_platform != "linux" {
        let what = format!("{} on {}", environment.implementation_name, environment.sys_platform);
        return Err(UserError::usage(format!(
            "`{shown}` is {what}; packages need CPython on Linux"
        ))
        .into());
    }
    if let Some(key) = key.filter(|_| !is_kept) {
        cache.keep(&key, &mut &stdout[..]);
    }
    Ok(Interpreter {
        executable: executable.to_owned(),
        version: environment.python_full_version.trim_end_matches('+').to_owned(),
        minor: environment.python_version.clone(),
        build: answer.build,
        cache_tag: answer.cache_tag,
        glibc: answer.glibc.as_deref().and_then(parse_glibc),
        stdlib: answer.stdlib,
        sha256: hex(&sha256),
        environment,
    })
}

/// The key of everything that decides what the interpreter answers: itself, the kernel, the libraries it is loaded with.
/// A script may start any interpreter, so it is asked each time.
fn key(executable: &Path, sha256: [u8; 32]) -> io::Result<Key> {
    let mut magic = [0; 4];
    File::open(executable)?.read_exact(&mut magic)?;
    if magic != *b"\x7fELF" {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut parts = vec![QUESTION.as_bytes().to_vec(), sha256.to_vec()];
    for file in ["ostype", "osrelease", "version"] {
        parts.push(fs::read(Path::new("/proc/sys/kernel").join(file))?);
    }
    // Of a process that runs as one of another machine, `uname` tells that.
    parts.push(fs::read("/proc/self/personality")?);
    // Whenever a library is installed, ldconfig writes this file anew.
    let libraries = state(&fs::metadata("/etc/ld.so.cache")?);
    parts.extend(libraries.map(|part| part.to_le_bytes().to_vec()));
    for variable in ["LD_LIBRARY_PATH", "LD_PRELOAD"] {
        parts.push(std::env::var_os(variable).unwrap_or_default().into_encoded_bytes());
    }
    Ok(Key::new(Kind::Facts, &parts))
}

/// Puts the question to an interpreter.
fn put(executable: &Path) -> Result<Vec<u8>> {
    let shown = executable.display();
    let mut question = command(executable);
    question.args(["-S", "-c", QUESTION]).current_dir("/");
    let finished = run(question, &|_| ())?;
    if !finished.status.success() {
        // Version managers put commands on the path for interpreters that are not installed.
        let said = failure(&format!("asking `{shown}` for its version"), &finished).message;
        return Err(UserError::unresolved(said)
            .hint("install the interpreter, or name another with `--python`")
            .into());
    }
    Ok(finished.stdout)
}

fn parse_glibc(text: &str) -> Option<(u32, u32)> {
    let (major, minor) = text.strip_prefix("glibc ")?.split_once('.')?;
    Some((major.parse().ok()?, minor.split('.').next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use crate::host::interpreter::{is_minor, parse_glibc};

    #[test]
    fn spellings() {
        assert!(is_minor("3.11") && !is_minor("3") && !is_minor("python3.11") && !is_minor("3.x"));
        assert_eq!(parse_glibc("glibc 2.36"), Some((2, 36)));
        assert_eq!(parse_glibc("musl 1.2"), None);
    }
}
