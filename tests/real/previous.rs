//! Upgrades that `--previous` prepares, by real dpkg and rpm.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::build::packaged;
use crate::tools::{namespaced, output, ready, repository, root};

/// A prefix at which a package with the usual one has a link.
const INNER: [&str; 2] = ["--set", "prefix=/opt/acme/bin/python"];
/// They have dpkg 1.21 and 1.22, rpm 4.18 and 4.20.
const RELEASES: [&str; 2] = ["bookworm", "trixie"];
const LINK: &str = "/opt/acme/bin/python";

/// A project without requirements, of a version, with files of the configuration.
fn project(dir: &Path, version: &str, files: &[&str]) -> Result<PathBuf> {
    let project = dir.join(version);
    fs::create_dir(&project)?;
    fs::write(project.join("requirements.txt"), "")?;
    fs::write(project.join("acme.py"), "print('beep')\n")?;
    fs::write(project.join("any"), "[Service]\nExecStart=/bin/true\n")?;
    let mut config = format!("name = 'acme'\nversion = '{version}'\npython = '3.11'\n");
    for target in files {
        config += &format!("[[files]]\nsource = 'any'\ntarget = '{target}'\n");
    }
    fs::write(project.join("mkpkg.toml"), config)?;
    Ok(project)
}

/// What an upgrade leaves of the link and of `files`, which only the earlier package has.
fn check(
    format: &str,
    (old, new): (&[&str], &[&str]),
    files: &[&str],
    left: &[&str],
) -> Result<()> {
    let dir = tempfile::tempdir()?;
    let old = packaged(format, &project(dir.path(), "1.0", files)?, old)?;
    let name = old.to_string_lossy();
    let options = [&["--previous", &name][..], new].concat();
    let new = packaged(format, &project(dir.path(), "2.0", &[])?, &options)?;
    for release in RELEASES {
        let mut script = namespaced(repository().join("tests/real/previous.sh"));
        script.arg(format).arg(root(release, &["rpm".to_owned()])?).args([&old, &new]);
        let told = output(script.arg(LINK).args(files))?;
        assert_eq!(told.lines().collect::<Vec<_>>(), left, "{format} {release}");
    }
    Ok(())
}

#[test]
fn upgrades_with_previous() -> Result<()> {
    if !ready("upgrades_with_previous", &["unshare", "mmdebstrap"])? {
        return Ok(());
    }
    let files =
        ["/etc/acme/edited", "/etc/acme/pristine", "/usr/lib/systemd/system/acme-old.service"];
    let link = "/opt/acme/bin/python l python3.11";
    check("deb", (&INNER, &[]), &files, &[link, "/etc/acme/edited.dpkg-bak f"])?;
    let moved = "/opt/acme/bin/python.rpmmoved d";
    check("rpm", (&INNER, &[]), &files, &[link, moved, "/etc/acme/edited.rpmsave f"])?;
    for format in ["deb", "rpm"] {
        check(format, (&[], &INNER), &[], &["/opt/acme/bin/python d"])?;
    }
    Ok(())
}
