//! Runs `debhelper.sh` and `pair.sh`: packages that debhelper makes with `dh $@ --with mkpkg` are those mkpkg makes alone.

use std::fs;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::migrate::PACKAGES;
use crate::own;
use crate::tools::{namespaced, output, ready, repository, root};

#[test]
fn debhelper_makes_the_package_mkpkg_makes() -> Result<()> {
    let test = "debhelper_makes_the_package_mkpkg_makes";
    let project = repository().join("debian-example");
    let command = "/usr/bin/acme-greet && ! dpkg -V acme-greet | grep .";
    same(test, &project, "acme-greet", (command, "Good morning"))
}

/// One word of the recipe changes; the package lies at the same place, and has what an import has.
#[test]
fn a_recipe_of_dh_virtualenv_changes_its_word() -> Result<()> {
    let test = "a_recipe_of_dh_virtualenv_changes_its_word";
    let project = repository().join("fixtures/debian/mold-like");
    same(test, &project, "mold-tool", ("/usr/bin/mold-tool", "mold-tool 1.2.0"))
}

/// With dh-virtualenv, dpkg-shlibdeps stops at `libquadmath` of scipy, and dh_strip breaks `libscipy_openblas`.
#[test]
fn one_line_of_rules_packages_the_yardstick() -> Result<()> {
    let scratch = tempfile::tempdir()?;
    let dir = scratch.path();
    for name in ["mkpkg.toml", "requirements.txt"] {
        fs::copy(repository().join("fixtures/projects/yardstick").join(name), dir.join(name))?;
    }
    let example = repository().join("debian-example/debian");
    fs::create_dir(dir.join("debian"))?;
    for name in ["changelog", "control", "copyright", "rules"] {
        let text = fs::read_to_string(example.join(name))?;
        let text = text.replace("acme-greet", "yardstick").replace("1.0.0-1", "1.0-1");
        fs::write(dir.join("debian").join(name), text)?;
        fs::set_permissions(
            dir.join("debian").join(name),
            fs::metadata(example.join(name))?.permissions(),
        )?;
    }
    let test = "one_line_of_rules_packages_the_yardstick";
    let command = "/opt/yardstick/bin/python -c 'import numpy, scipy.linalg; print(scipy.linalg.det(numpy.eye(2)))'";
    same(test, dir, "yardstick", (command, "1.0"))
}

/// Options that choose packages, `DEB_BUILD_OPTIONS` and `DH_VERBOSE` mean to `dh_mkpkg` what they mean to debhelper.
#[test]
fn two_packages_of_one_source() -> Result<()> {
    if !is_ready("two_packages_of_one_source")? {
        return Ok(());
    }
    let mut script = namespaced(repository().join("tests/real/pair.sh"));
    script.arg(root("bookworm", &PACKAGES)?).arg(own::package()?);
    output(script.arg(repository().join("fixtures/debian/pair"))).map(drop)
}

fn is_ready(test: &str) -> Result<bool> {
    let programs = ["unshare", "mmdebstrap", "apt-get", "dpkg-parsechangelog"];
    ready(test, &[&own::PROGRAMS[..], &programs].concat())
}

/// Takes a project through `debhelper.sh`; once its package is there, `command` must print `prints`.
fn same(test: &str, project: &Path, name: &str, (command, prints): (&str, &str)) -> Result<()> {
    if !is_ready(test)? {
        return Ok(());
    }
    let mut script = namespaced(repository().join("tests/real/debhelper.sh"));
    script.arg(root("bookworm", &PACKAGES)?).arg(own::package()?);
    script.arg(project).args([name, command, prints]);
    let output = script.output().with_context(|| name.to_owned())?;
    let told = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        bail!("{}\n{told}{}", output.status, String::from_utf8_lossy(&output.stderr));
    }
    // Past the harness, which keeps the output of passing tests to itself.
    Ok(writeln!(std::io::stderr(), "{told}")?)
}
