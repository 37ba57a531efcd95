//! Packages that mkpkg makes, before all judges.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::build::packaged;
use crate::lifecycle::in_pairs;
use crate::rpm::stub::{FLAVOURS, lives, resolve};
use crate::rpm::{lint, readers, sample, stub, twin};
use crate::rpm_file::rpm_agrees;
use crate::tools::{ready, repository};

#[test]
fn acme_web_is_a_good_rpm() -> Result<()> {
    let name = "acme_web_is_a_good_rpm";
    if !can_judge(name)? || !ready(name, &lint::PROGRAMS)? {
        return Ok(());
    }
    let rpm = rpm_of("acme-web", &[])?;
    // Enterprise Linux 10 has no Python 3.11.
    takes(&rpm, &[("el10", "nothing provides /usr/bin/python3.11 needed by")])?;
    let newer = rpm_of("acme-web", &["--release", "2"])?;
    for flavour in ["el8", "el9", "suse"] {
        lives(flavour, &rpm, Some(&newer))?;
    }
    equal_to_others(&rpm)?;
    let tags = lint::unexpected(&rpm)?;
    ensure!(tags.is_empty(), "{}", tags.join("\n"));
    Ok(())
}

#[test]
fn yardstick_is_a_good_rpm() -> Result<()> {
    if !can_judge("yardstick_is_a_good_rpm")? {
        return Ok(());
    }
    let rpm = rpm_of("yardstick", &["--compression", "zstd:3"])?;
    takes(
        &rpm,
        &[
            ("el8", "nothing provides libc.so.6(GLIBC_2.34)(64bit) needed by"),
            ("el10", "nothing provides /usr/bin/python3.11 needed by"),
        ],
    )?;
    lives("el9", &rpm, None)?;
    equal_to_others(&rpm)
}

/// Five of the applications whose .deb is lived with in `apps.rs`: with scripts, with compiled code, with namespaces.
#[test]
fn pypi_apps_are_good_rpms() -> Result<()> {
    if !can_judge("pypi_apps_are_good_rpms")? {
        return Ok(());
    }
    in_pairs(&["httpie", "black", "datasette", "mercurial", "zope-testrunner"], |app| {
        let project = repository().join("tests/real/apps").join(app);
        let rpm = packaged("rpm", &project, &["--compression", "zstd:3"])?;
        read_by_others(&rpm)?;
        lives("el9", &rpm, None)
    })
}

fn can_judge(test: &str) -> Result<bool> {
    for programs in [&stub::PROGRAMS[..], &twin::PROGRAMS, &readers::PROGRAMS, &sample::PROGRAMS] {
        if !ready(test, programs)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn rpm_of(project: &str, options: &[&str]) -> Result<PathBuf> {
    packaged("rpm", &repository().join("fixtures/projects").join(project), options)
}

/// Every distribution takes a package but those listed, which say so.
fn takes(rpm: &Path, refusals: &[(&str, &str)]) -> Result<()> {
    for flavour in FLAVOURS {
        let refusal = refusals.iter().find(|(name, _)| *name == flavour);
        match (resolve(flavour, rpm)?, refusal) {
            (None, None) => {}
            (Some(told), Some((_, reason))) if told.contains(reason) => {}
            (answer, _) => anyhow::bail!("{flavour}: {answer:?}, expected {refusal:?}"),
        }
    }
    Ok(())
}

/// rpmbuild would have written it, and whatever reads packages reads this one.
fn equal_to_others(rpm: &Path) -> Result<()> {
    twin::equals_rpmbuild(rpm)?;
    twin::requires_what_elfdeps_finds(rpm)?;
    read_by_others(rpm)
}

/// Whatever reads packages sees in it what mkpkg shows, and every rpm installs it.
fn read_by_others(rpm: &Path) -> Result<()> {
    readers::readers_agree(rpm)?;
    let home = tempfile::tempdir()?;
    rpm_agrees(home.path(), rpm).with_context(|| rpm.display().to_string())?;
    readers::RELEASES.iter().try_for_each(|release| readers::debian_accepts(release, rpm))
}
