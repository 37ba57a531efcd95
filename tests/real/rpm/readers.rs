//! Other readers of an .rpm: rpm of three Debian releases, and three programs that list its payload.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use crate::rpm::beside;
use crate::tools::{namespaced, output, repository, verdict};

/// Releases of Debian whose rpm must take a package: 4.18, 4.20 and 6.
pub(crate) const RELEASES: [&str; 3] = ["bookworm", "trixie", "sid"];

/// The programs that both judges need.
pub(crate) const PROGRAMS: [&str; 6] =
    ["unshare", "mmdebstrap", "rpm", "rpm2cpio", "cpio", "bsdtar"];

/// The rpm of a Debian release verifies, installs and erases a package; an error says what it has against it.
pub(crate) fn debian_accepts(release: &str, rpm: &Path) -> Result<()> {
    debian_accepts_signed(release, rpm, None)
}

/// The same of a package that was signed with the key whose public part is in a file.
pub(crate) fn debian_accepts_signed(release: &str, rpm: &Path, key: Option<&Path>) -> Result<()> {
    let mut rootfs = Command::new(repository().join("scripts/rootfs.sh"));
    let root = PathBuf::from(output(rootfs.args([release, "rpm"]))?.trim_end());
    match verdict(namespaced(beside("debian.sh")).arg(root).arg(rpm).args(key))? {
        Some(faults) => bail!("{}: {faults}", rpm.display()),
        None => Ok(()),
    }
}

/// `rpm`, `cpio` and libarchive see the same paths in a package, but for those it owns without bringing them.
pub(crate) fn readers_agree(rpm: &Path) -> Result<()> {
    let mut query = Command::new("rpm");
    query.args([
        "-qp",
        "--nosignature",
        "--nodigest",
        "--qf",
        "[%{FILEFLAGS:fflags} %{FILENAMES}\\n]",
    ]);
    let listed = output(query.arg(rpm))?;
    let brought = listed.lines().filter_map(|line| line.split_once(' '));
    let brought: BTreeSet<_> = brought
        .filter(|(flags, _)| !flags.contains('g'))
        .map(|(_, path)| path.to_owned())
        .collect();
    for (reader, paths) in [("cpio", cpio(rpm)?), ("bsdtar", bsdtar(rpm)?)] {
        let different: Vec<_> = paths.symmetric_difference(&brought).collect();
        ensure!(different.is_empty(), "{}: {reader} differs in {different:?}", rpm.display());
    }
    Ok(())
}

fn cpio(rpm: &Path) -> Result<BTreeSet<String>> {
    let mut archive = Command::new("rpm2cpio").arg(rpm).stdout(Stdio::piped()).spawn()?;
    let stdin = archive.stdout.take().context("stdout is piped")?;
    let listed = output(Command::new("cpio").args(["--list", "--quiet"]).stdin(stdin));
    ensure!(archive.wait()?.success(), "rpm2cpio failed on `{}`", rpm.display());
    Ok(absolute(&listed?))
}

fn bsdtar(rpm: &Path) -> Result<BTreeSet<String>> {
    Ok(absolute(&output(Command::new("bsdtar").arg("-tf").arg(rpm).env("LC_ALL", "C.UTF-8"))?))
}

/// Paths of a listing as a package has them: `./opt/app/` is `/opt/app`.
fn absolute(listed: &str) -> BTreeSet<String> {
    let paths = listed.lines().filter_map(|line| line.strip_prefix('.'));
    paths.map(|path| path.trim_end_matches('/').to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use anyhow::{Context, Result, ensure};

    use crate::rpm::readers::{PROGRAMS, RELEASES, debian_accepts, readers_agree};
    use crate::rpm::sample::{self, GOOD, Sample};
    use crate::tools::ready;

    #[test]
    fn readers_take_a_package_and_no_damaged_one() -> Result<()> {
        let name = "readers_take_a_package_and_no_damaged_one";
        if !ready(name, &PROGRAMS)? || !ready(name, &sample::PROGRAMS)? {
            return Ok(());
        }
        let good = GOOD.build()?;
        readers_agree(&good.rpm)?;
        let loud = Sample { post: "echo loud", ..GOOD }.build()?;
        let scratch = tempfile::tempdir()?;
        let damaged = scratch.path().join("damaged.rpm");
        let mut bytes = fs::read(&good.rpm)?;
        let last = bytes.last_mut().context("the package is empty")?;
        *last ^= 1;
        fs::write(&damaged, bytes)?;
        for release in RELEASES {
            debian_accepts(release, &good.rpm).context(release)?;
            for (rpm, fault) in
                [(&damaged, "rpm -K failed"), (&loud.rpm, "-i --nodeps /package.rpm is not silent")]
            {
                let told = debian_accepts(release, rpm)
                    .err()
                    .with_context(|| format!("{release}: {fault}: not seen"))?;
                ensure!(format!("{told:#}").contains(fault), "{release}: {told:#}");
            }
        }
        Ok(())
    }

    #[test]
    fn readers_differ_when_the_header_lists_what_is_not_there() -> Result<()> {
        let name = "readers_differ_when_the_header_lists_what_is_not_there";
        if !ready(name, &PROGRAMS)? || !ready(name, &sample::PROGRAMS)? {
            return Ok(());
        }
        let good = GOOD.build()?;
        // In the header names stand between NULs.
        let mut bytes = fs::read(&good.rpm)?;
        let at = bytes.windows(5).position(|window| window == b"\x0050%\0");
        bytes[at.context("no file `50%`")? + 1] = b'6';
        let renamed = good.rpm.with_extension("renamed");
        fs::write(&renamed, bytes)?;
        let told = readers_agree(&renamed).err().context("not seen")?;
        ensure!(format!("{told:#}").contains("/opt/sample/60%"), "{told:#}");
        Ok(())
    }
}
