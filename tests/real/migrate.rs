//! Runs `migrate.sh`: packages of dh-virtualenv are imported, built by both tools, and upgraded from one to the other.

use std::io::Write;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::tools::{namespaced, ready, repository, root};

/// What builds packages with dh-virtualenv, and what the applications are built with.
pub(crate) const PACKAGES: [&str; 12] = [
    "build-essential",
    "ca-certificates",
    "debhelper",
    "dh-virtualenv",
    "libdbus-1-dev",
    "libglib2.0-dev",
    "libpq-dev",
    "pkgconf",
    "python3-dev",
    "python3-pip",
    "python3-venv",
    "virtualenv",
];

#[test]
fn a_package_of_a_template_migrates() -> Result<()> {
    migrates("a_package_of_a_template_migrates", "mold-like", ("mold-tool", "mold-tool 1.2.0"))
}

#[test]
fn a_package_with_units_migrates() -> Result<()> {
    migrates("a_package_with_units_migrates", "st2-like", ("storm", "storm 3.8.1"))
}

/// Takes a fixture through `migrate.sh`; `command` must print `prints` with both packages.
fn migrates(test: &str, fixture: &str, (command, prints): (&str, &str)) -> Result<()> {
    if !ready(test, &["unshare", "mmdebstrap", "apt-get", "dpkg-deb"])? {
        return Ok(());
    }
    let mut script = namespaced(repository().join("tests/real/migrate.sh"));
    script.arg(root("bookworm", &PACKAGES)?).arg(env!("CARGO_BIN_EXE_mkpkg"));
    script.arg(repository().join("fixtures/debian").join(fixture)).args([command, prints]);
    told(&mut script).context(fixture.to_owned())
}

/// Prints the table past the harness, which keeps the output of passing tests to itself.
fn told(script: &mut Command) -> Result<()> {
    let output = script.output()?;
    let table = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        bail!("{}\n{table}{}", output.status, String::from_utf8_lossy(&output.stderr));
    }
    Ok(writeln!(std::io::stderr(), "{table}")?)
}
