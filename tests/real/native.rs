//! Packages of the compiled distributions that `libraries/` lists: wheels of PyPI, and sdists that are built against
//! the libraries of Debian 12.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use anyhow::Result;

use crate::build::{self, sha256};
use crate::tools::{cache, namespaced, output, repository, root_with_libraries};

/// The package of all that `libraries/NAME.txt` lists.
pub(crate) fn package(name: &str) -> Result<PathBuf> {
    let root = root_with_libraries("bookworm")?;
    let dir = collected(name, &root)?;
    let options = [Path::new("--wheelhouse"), &dir.join("wheels"), Path::new("--sysroot"), &root];
    let options = options.map(|option| option.to_string_lossy().into_owned());
    build::package(&dir.join("project"), &options.each_ref().map(String::as_str))
}

/// A directory with a project and its wheels, made once.
fn collected(name: &str, root: &Path) -> Result<PathBuf> {
    static COLLECTING: Mutex<()> = Mutex::new(());
    let _alone = COLLECTING.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let lock = repository().join("tests/real/libraries").join(name).with_extension("txt");
    let native = cache("native")?;
    let dir = native.join(sha256(&lock)?);
    if !dir.is_dir() {
        let part = tempfile::tempdir_in(&native)?;
        let (project, wheels) = (part.path().join("project"), part.path().join("wheels"));
        fs::create_dir(&wheels)?;
        let mut script = namespaced(repository().join("tests/real/wheels.sh"));
        output(script.arg(root).arg(&lock).arg(&wheels).arg(cache("pip")?))?;
        fs::create_dir(&project)?;
        let config = format!("name = \"native-{name}\"\nversion = \"1.0\"\npython = \"3.11\"\n");
        fs::write(project.join("mkpkg.toml"), config)?;
        fs::write(project.join("requirements.txt"), versions(&fs::read_to_string(lock)?))?;
        fs::rename(part.keep(), &dir)?;
    }
    Ok(dir)
}

/// The versions in a lock, without hashes: those are of sdists, and what was built has others.
fn versions(lock: &str) -> String {
    let lines = lock.lines().filter_map(|line| line.strip_suffix(" \\"));
    lines.filter(|line| !line.starts_with(' ')).map(|line| format!("{line}\n")).collect()
}
