//! Packages for other machines, from wheels of theirs, related to packages of theirs.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Result, ensure};

use crate::build::only_entry;
use crate::tools::{output, ready, repository};

const PROGRAMS: [&str; 4] = ["mmdebstrap", "unshare", "dpkg-deb", "/usr/bin/python3.11"];
/// What the wheels are linked with.
const PACKAGES: [&str; 3] = ["libc6", "libgcc-s1", "zlib1g"];

/// Debian's name of a machine, that of wheels, and the relations of the package.
const MACHINES: [(&str, &str, &str); 2] = [
    ("arm64", "aarch64", "libc6 (>= 2.27), python3.11, zlib1g (>= 1:1.1.4)"),
    ("armhf", "armv7l", "libc6 (>= 2.4), libgcc-s1 (>= 3.5), python3.11"),
];

/// The wheels of a lock, for a machine.
fn wheels(lock: &Path, uname: &str, dir: &Path) -> Result<()> {
    let mut pip = Command::new("/usr/bin/python3.11");
    pip.args(["-m", "pip", "-q", "download", "--no-deps", "--require-hashes"]);
    pip.args(["--only-binary=:all:", "--python-version", "3.11"]);
    for level in ["2014", "_2_28"] {
        pip.arg("--platform").arg(format!("manylinux{level}_{uname}"));
    }
    output(pip.arg("-d").arg(dir).arg("-r").arg(lock)).map(drop)
}

#[test]
fn packages_for_other_machines() -> Result<()> {
    if !ready("packages_for_other_machines", &PROGRAMS)? {
        return Ok(());
    }
    for (arch, uname, depends) in MACHINES {
        let work = tempfile::tempdir()?;
        let dir = |name: &str| work.path().join(name);
        let lock = repository().join(format!("tests/real/foreign/{arch}.txt"));
        wheels(&lock, uname, &dir("wheels"))?;
        let mut root = Command::new(repository().join("tests/real/foreign.sh"));
        output(root.arg(dir("root")).arg(arch).args(PACKAGES))?;
        fs::create_dir(dir("app"))?;
        fs::copy(lock, dir("app/requirements.txt"))?;
        let mut mkpkg = Command::new(env!("CARGO_BIN_EXE_mkpkg"));
        mkpkg.arg("deb").arg(dir("app")).args(["--arch", arch, "--wheelhouse"]).arg(dir("wheels"));
        mkpkg.args(["--python", "3.11", "--target", "debian:12", "--sysroot"]).arg(dir("root"));
        output(mkpkg.arg("-o").arg(dir("out")))?;
        let deb = only_entry(&dir("out"))?;
        let field = |name: &str| output(Command::new("dpkg-deb").arg("-f").arg(&deb).arg(name));
        ensure!(field("Architecture")?.trim() == arch, "{arch}: {}", field("Architecture")?);
        ensure!(field("Depends")?.trim() == depends, "{arch}: {}", field("Depends")?);
    }
    Ok(())
}
