//! dpkg-shlibdeps of a root file system, asked about files of a tree.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use mkpkg::tree::PkgPath;

use crate::tools::{namespaced, output, repository};

/// What was derived, one relation each, or why nothing was.
pub(crate) type Answer = Result<Vec<String>, String>;

/// A source package with one binary package, whose tree is the one to ask about.
pub(crate) struct Source {
    dir: tempfile::TempDir,
}

impl Source {
    pub(crate) fn new() -> Result<Self> {
        let source = Self { dir: tempfile::tempdir_in("/var/tmp")? };
        // `$ORIGIN` is understood below a directory that has this one.
        fs::create_dir_all(source.tree().join("DEBIAN"))?;
        let control = "Source: app\nMaintainer: A <a@b.example>\n\nPackage: app\nArchitecture: any\nDescription: x\n";
        fs::write(source.dir.path().join("debian/control"), control)?;
        Ok(source)
    }

    /// Where the tree belongs.
    pub(crate) fn tree(&self) -> PathBuf {
        self.dir.path().join("debian/app")
    }

    /// What dpkg-shlibdeps of `root` derives for each list of files, which may have libraries in `private`.
    pub(crate) fn ask(
        &self,
        root: &Path,
        jobs: &[Vec<&PkgPath>],
        private: &BTreeSet<String>,
    ) -> Result<Vec<Answer>> {
        let dir = self.dir.path();
        fs::create_dir(dir.join("jobs"))?;
        for (number, files) in jobs.iter().enumerate() {
            let private = private.iter().map(|dir| format!("-l{dir}\n"));
            let files = files.iter().map(|file| format!("-edebian/app{file}\n"));
            let arguments: String = private.chain(files).collect();
            fs::write(dir.join("jobs").join(number.to_string()), arguments)?;
        }
        let mut script = namespaced(repository().join("tests/real/shlibdeps.sh"));
        output(script.arg(root).arg(dir))?;
        (0..jobs.len()).map(|number| answer(dir, &number.to_string())).collect()
    }
}

fn answer(dir: &Path, job: &str) -> Result<Answer> {
    let failed = dir.join("failed").join(job);
    if failed.exists() {
        return Ok(Err(fs::read_to_string(failed)?));
    }
    let text = fs::read_to_string(dir.join("out").join(job)).context("no answer")?;
    let line = text.lines().find_map(|line| line.strip_prefix("shlibs:Depends="));
    Ok(Ok(line.into_iter().flat_map(|line| line.split(", ")).map(str::to_owned).collect()))
}
