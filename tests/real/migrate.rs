//! Runs `migrate.sh`: packages of dh-virtualenv are imported, built by both tools, compared, and upgraded from one to the
//! other on a host with systemd.

use std::io::Write;

use anyhow::{Result, bail};

use crate::tools::{cache, namespaced, ready, repository, root};

/// What builds packages with dh-virtualenv, what the applications are built with and need, and what boots.
pub(crate) const PACKAGES: [&str; 20] = [
    "build-essential",
    "ca-certificates",
    "config-package-dev",
    "dbus",
    "debhelper",
    "dh-virtualenv",
    "libdbus-1-dev",
    "libglib2.0-dev",
    "libldap-2.5-0",
    "libpq-dev",
    "libxml2",
    "pkgconf",
    "procps",
    "python3-dev",
    "python3-pip",
    "python3-venv",
    "redis-server",
    "sudo",
    "systemd-sysv",
    "virtualenv",
];

#[test]
fn packages_of_dh_virtualenv_migrate() -> Result<()> {
    let programs = ["unshare", "mmdebstrap", "apt-get", "dpkg-deb", "systemd-nspawn", "nsenter"];
    if !ready("packages_of_dh_virtualenv_migrate", &programs)? {
        return Ok(());
    }
    let mut script = namespaced(repository().join("tests/real/migrate.sh"));
    script.arg(root("bookworm", &PACKAGES)?).arg(env!("CARGO_BIN_EXE_mkpkg"));
    script.arg(repository().join("fixtures/debian"));
    script.args([cache("migrate")?, cache("archives")?]);
    let output = script.output()?;
    let tables = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        bail!("{}\n{tables}{}", output.status, String::from_utf8_lossy(&output.stderr));
    }
    // Past the harness, which keeps the output of passing tests to itself.
    Ok(writeln!(std::io::stderr(), "{tables}")?)
}
