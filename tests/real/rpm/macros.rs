//! Packages that rpmbuild makes with mkpkg's macros are those mkpkg makes alone.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::own;
use crate::rpm::{PYTHON, beside};
use crate::tools::{namespaced, output, ready, repository, root, verdict};

/// What builds packages with rpmbuild, and a program in one of them; brp-strip finds nothing to strip without `file`.
const PACKAGES: [&str; 6] = ["ca-certificates", "file", "gcc", "libc6-dev", "python3-pip", "rpm"];

#[test]
fn rpmbuild_makes_the_package_mkpkg_makes() -> Result<()> {
    if !is_ready("rpmbuild_makes_the_package_mkpkg_makes")? {
        return Ok(());
    }
    let greeting = ("/usr/bin/acme-greet", "Good morning");
    let spec = repository().join("rpm-example/acme-greet.spec");
    // rpm 4.18 and 4.20, which has accounts, another build directory, and other scripts of its own.
    for release in ["bookworm", "trixie"] {
        let scratch = tempfile::tempdir_in("/var/tmp")?;
        build(release, &spec, scratch.path(), greeting).context(release)?;
        let [alone, built] = ["alone", "built"].map(|dir| only(&scratch.path().join(dir)));
        let mut judge = Command::new(PYTHON);
        if let Some(different) = verdict(judge.arg(beside("macros.py")).arg(alone?).arg(built?))? {
            bail!("{release}:\n{different}");
        }
    }
    Ok(())
}

/// What else is in a spec file is treated as ever: its programs are stripped, their libraries required.
#[test]
fn a_spec_has_other_packages_too() -> Result<()> {
    if !is_ready("a_spec_has_other_packages_too")? {
        return Ok(());
    }
    let scratch = tempfile::tempdir_in("/var/tmp")?;
    let command = "acme-hello && /opt/venvs/acme-greet/bin/acme-greet && /opt/acme-other/bin/python -c 'import yaml'";
    build("bookworm", &beside("macros.spec"), scratch.path(), (command, "hello\nGood morning"))?;
    let built = |name: &str| scratch.path().join("built").join(format!("{name}-1-1.x86_64.rpm"));
    let query = |package: &Path, what: &str| {
        output(Command::new("rpm").args(["-qp", "--nosignature", what]).arg(package))
    };
    let tools = built("acme-tools");
    let program = output(
        Command::new("sh")
            .args([
                "-c",
                "rpm2cpio \"$1\" | cpio -i --quiet --to-stdout ./usr/bin/acme-hello | file -",
                "sh",
            ])
            .arg(&tools),
    )?;
    ensure!(program.contains("ELF") && !program.contains("debug_info"), "{program}");
    let [greet, other] = ["acme-greet", "acme-other"].map(built);
    for (package, relation, is_there) in [
        // The spec file leaves it out; without, rpmbuild would find it.
        (&tools, "/usr/bin/acme-nobody", false),
        (&tools, "libc.so.6()(64bit)", true),
        (&greet, "redis", false),
        (&other, "redis", true),
        (&greet, "/usr/sbin/useradd", true),
        (&other, "/usr/sbin/useradd", false),
        (&other, "libc.so.6(GLIBC_2.14)(64bit)", true),
    ] {
        let requires = query(package, "--requires")?;
        let found = requires.lines().any(|line| line == relation);
        ensure!(found == is_there, "{}: {relation}: {found}\n{requires}", package.display());
    }
    ensure!(
        !query(&other, "--provides")?.contains(".so"),
        "libraries of the environment are provided"
    );
    ensure!(query(&greet, "--scripts")?.contains("acme-greet.service"), "no scriptlets");
    let scripts = query(&other, "--scripts")?;
    ensure!(scripts.contains(": of the spec") && !scripts.contains("prein"), "{scripts}");
    ensure!(!query(&tools, "--list")?.contains("/opt"), "an environment is in the wrong package");
    Ok(())
}

fn is_ready(test: &str) -> Result<bool> {
    let own = own::PROGRAMS;
    let programs = ["unshare", "mmdebstrap", "rpm", "rpm2cpio", "cpio", "file", "python3"];
    ready(test, &[&own[..], &programs].concat())
}

/// Takes the example through `macros.sh` with a spec file; installed, `command` must print `prints`.
fn build(release: &str, spec: &Path, out: &Path, (command, prints): (&str, &str)) -> Result<()> {
    let mut script = namespaced(beside("macros.sh"));
    script.arg(root(release, &PACKAGES)?).arg(own::package()?).arg(out);
    script.arg(repository().join("debian-example")).arg(spec).args([command, prints]);
    output(&mut script).map(drop)
}

/// The only file in a directory.
fn only(dir: &Path) -> Result<PathBuf> {
    let files = fs::read_dir(dir)?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    match &files[..] {
        [file] => Ok(file.clone()),
        _ => bail!("{files:?} where one package was expected"),
    }
}
