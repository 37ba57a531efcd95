//! The package of mkpkg itself, which `scripts/package.sh` makes.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context, Result, ensure};

use crate::tools::{output, ready, repository};

/// The programs that make it.
pub(crate) const PROGRAMS: [&str; 4] = ["dpkg-deb", "dpkg-shlibdeps", "strip", "pod2man"];

/// The package of the program that the tests run; made once.
pub(crate) fn package() -> Result<PathBuf> {
    static MADE: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let made = MADE.get_or_init(|| make().map_err(|error| format!("{error:#}")));
    made.clone().map_err(anyhow::Error::msg)
}

fn make() -> Result<PathBuf> {
    let mut script = Command::new(repository().join("scripts/package.sh"));
    script.arg(env!("CARGO_TARGET_TMPDIR")).env("PROGRAM", env!("CARGO_BIN_EXE_mkpkg"));
    // Whoever runs the tests need not have a repository.
    script.env("SOURCE_DATE_EPOCH", "1764000000");
    script.env("DEBFULLNAME", "Acme Packagers").env("DEBEMAIL", "packages@acme.example");
    script.envs([("DPKG_DEB_COMPRESSOR_TYPE", "gzip"), ("DPKG_DEB_COMPRESSOR_LEVEL", "1")]);
    Ok(PathBuf::from(output(&mut script)?.trim_end()))
}

#[test]
fn lintian_has_nothing_to_say() -> Result<()> {
    let programs = [&PROGRAMS[..], &["lintian"]].concat();
    if !ready("lintian_has_nothing_to_say", &programs)? {
        return Ok(());
    }
    let mut lintian = Command::new("lintian");
    lintian.args(["--allow-root", "--no-cfg", "--tag-display-limit", "0", "--fail-on", "none"]);
    let printed = output(lintian.arg(package()?).env("LC_ALL", "C.UTF-8"))?;
    ensure!(printed.is_empty(), "{printed}");
    Ok(())
}

#[test]
fn all_parts_are_in_it() -> Result<()> {
    if !ready("all_parts_are_in_it", &PROGRAMS)? {
        return Ok(());
    }
    let listed = output(Command::new("dpkg-deb").arg("--contents").arg(package()?))?;
    for path in [
        "usr/bin/mkpkg",
        "usr/bin/dh_mkpkg",
        "usr/lib/rpm/fileattrs/mkpkg.attr",
        "usr/lib/rpm/macros.d/macros.mkpkg",
        "usr/lib/rpm/mkpkg-rpm",
        "usr/share/bash-completion/completions/mkpkg",
        "usr/share/man/man1/dh_mkpkg.1.gz",
        "usr/share/man/man1/mkpkg.1.gz",
        "usr/share/perl5/Debian/Debhelper/Sequence/mkpkg.pm",
    ] {
        let line = listed.lines().find(|line| line.ends_with(&format!(" ./{path}")));
        let mode = line.with_context(|| format!("{path} is not in it"))?.split(' ').next();
        let is_program = path.contains("/bin/") || path.ends_with("mkpkg-rpm");
        let expected = if is_program { "-rwxr-xr-x" } else { "-rw-r--r--" };
        ensure!(mode == Some(expected), "{path}: {mode:?}");
    }
    Ok(())
}
