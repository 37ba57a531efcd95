//! The bytes of a package, in either format, depend on nothing but what goes into it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::build::{files, sha256};
use crate::equal::wheels;
use crate::tools::{output, ready, repository};

/// Where, by whom and when a build runs.
struct Circumstances {
    dir: &'static str,
    umask: &'static str,
    locale: &'static str,
    zone: &'static str,
    jobs: &'static str,
    /// Run as `nobody` with the clock a day ahead.
    foreign: bool,
}

const HERE: Circumstances = Circumstances {
    dir: "a",
    umask: "022",
    locale: "C.UTF-8",
    zone: "UTC",
    jobs: "1",
    foreign: false,
};

const THERE: Circumstances = Circumstances {
    dir: "another directory/with a much longer name",
    umask: "077",
    locale: "C",
    zone: "Asia/Kathmandu",
    jobs: "2",
    foreign: true,
};

#[test]
fn same_bytes() -> Result<()> {
    if !ready("same_bytes", &["faketime", "setpriv", "python3.11"])? {
        return Ok(());
    }
    for project in ["acme-web", "setup-py-app", "hatchling-app"] {
        check(project, &[])?;
    }
    // The cache may be below a home directory that is closed to others.
    let open = tempfile::tempdir_in("/var/tmp")?;
    fs::set_permissions(open.path(), fs::Permissions::from_mode(0o755))?;
    copy(&wheels()?, open.path())?;
    let wheels = open.path().to_str().context("the path is not UTF-8")?;
    check("yardstick", &["--wheelhouse", wheels])
}

/// Builds at once, with one cache that is damaged now and then, of which many are killed.
#[test]
fn same_bytes_whatever_happens_to_the_cache() -> Result<()> {
    if !ready("same_bytes_whatever_happens_to_the_cache", &["python3.11"])? {
        return Ok(());
    }
    let mut soak = Command::new("python3.11");
    soak.arg(repository().join("benches/soak.py")).arg(env!("CARGO_BIN_EXE_mkpkg"));
    output(soak.args(["--builds", "100"])).map(drop)
}

fn check(project: &str, options: &[&str]) -> Result<()> {
    // /var/tmp, because others must be able to reach it.
    let scratch = tempfile::tempdir_in("/var/tmp")?;
    fs::set_permissions(scratch.path(), fs::Permissions::from_mode(0o755))?;
    let here = build(project, options, scratch.path(), &HERE)?;
    let there = build(project, options, scratch.path(), &THERE)?;
    ensure!(here.len() == FORMATS.len() && there.len() == here.len(), "{here:?} and {there:?}");
    for ((here, there), format) in here.iter().zip(&there).zip(FORMATS) {
        ensure!(here.extension().is_some_and(|end| end == format), "{here:?}");
        ensure!(here.file_name() == there.file_name(), "{here:?} and {there:?}");
        if sha256(here)? != sha256(there)? {
            let kept = scratch.keep();
            anyhow::bail!("{project}: two .{format} differ; both are below `{}`", kept.display());
        }
    }
    Ok(())
}

/// What `mkpkg build` makes, in the order of the names of its files.
const FORMATS: [&str; 2] = ["rpm", "deb"];

/// The packages of a project, one of each format.
fn build(
    project: &str,
    options: &[&str],
    scratch: &Path,
    circumstances: &Circumstances,
) -> Result<Vec<PathBuf>> {
    let base = scratch.join(circumstances.dir);
    let home = base.join("home");
    let out = base.join("out");
    let source = base.join(project);
    copy(&repository().join("fixtures/projects").join(project), &source)?;
    fs::create_dir_all(&home)?;
    fs::create_dir_all(&out)?;
    let binary = base.join("mkpkg");
    fs::copy(env!("CARGO_BIN_EXE_mkpkg"), &binary)?;

    // umask is a shell's to set; everything else is in the arguments.
    let mut command = Command::new("sh");
    command.args(["-c", "umask \"$0\" && exec \"$@\"", circumstances.umask]);
    if circumstances.foreign {
        command.args(["faketime", "-f", "+93784s"]);
        if nix::unistd::geteuid().is_root() {
            for path in [&home, &out] {
                nix::unistd::chown(path, Some(65534.into()), Some(65534.into()))?;
            }
            command.args(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]);
        }
    }
    command.arg(&binary).arg("build").arg(&source).arg("-o").arg(&out);
    command.args(["--jobs", circumstances.jobs]).args(options);
    command.current_dir(&base);
    command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("HOME", &home);
    command.env("LC_ALL", circumstances.locale).env("TZ", circumstances.zone);
    command.env("SOURCE_DATE_EPOCH", "1700000000");
    command.env("NO_FAKE_STAT", "1").env("DONT_FAKE_MONOTONIC", "1");
    for name in NETWORK {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    output(&mut command)?;
    let mut packages = files(&out)?;
    packages.sort();
    Ok(packages)
}

/// What a machine behind a proxy, or with its own certificates, needs to fetch anything.
const NETWORK: [&str; 9] = [
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "SSL_CERT_FILE",
    "PIP_CERT",
    "PIP_INDEX_URL",
];

fn copy(source: &Path, target: &Path) -> Result<()> {
    for file in files(source)? {
        let to = target.join(file.strip_prefix(source)?);
        fs::create_dir_all(to.parent().context("a file has a directory")?)?;
        fs::copy(&file, &to)?;
    }
    Ok(())
}
