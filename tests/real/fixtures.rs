//! The fixture projects, one of each kind, packaged and lived with.

use anyhow::Result;

use crate::build::package;
use crate::lifecycle::{Check, PROGRAMS, in_pairs, lives};
use crate::tools::{ready, repository};

#[test]
fn acme_web_lives() -> Result<()> {
    if !ready("acme_web_lives", &PROGRAMS)? {
        return Ok(());
    }
    let deb = package(&repository().join("fixtures/projects/acme-web"), &[])?;
    let checks = [
        Check::new("acme --version", "acme 1.4.0 (Django 5.2."),
        Check::new("acme check", "no issues"),
        Check::new("acme stats", "notices: 0 (no database yet"),
        Check::new("export STATE_DIRECTORY=$PWD && acme migrate && acme stats", "notices: 0"),
        Check::new("acme-serve --check-config && echo loads", "loads"),
        Check::new(
            "/opt/acme-web/bin/python -c 'import psycopg2; print(psycopg2.apilevel)'",
            "2.0",
        ),
    ];
    lives(&deb, &checks)
}

#[test]
fn every_kind_of_project_lives() -> Result<()> {
    let mut programs = PROGRAMS.to_vec();
    programs.push("cargo");
    if !ready("every_kind_of_project_lives", &programs)? {
        return Ok(());
    }
    let kinds = [
        (
            "bare-requirements",
            "/opt/bare-requirements/bin/python $(find /opt/bare-requirements -name app.py)",
            "bare 0.3",
        ),
        ("flit-app", "flit-app", "flit 1.0rc2"),
        ("hatchling-app", "hatchling-app", "hatchling 2.1.0"),
        ("maturin-app", "maturin-app", "maturin 0.4.0"),
        ("namespace-app", "namespace-app", "namespace 1.2"),
        ("pdm-app", "pdm-app", "pdm 0.5.1"),
        ("poetry-app", "poetry-app", "poetry 3.0.0"),
        ("setup-py-app", "setup-py-app", "setup.py 0.9"),
    ];
    in_pairs(&kinds, |(project, command, prints)| {
        let deb = package(&repository().join("fixtures/projects").join(project), &[])?;
        lives(&deb, &[Check::new(command, prints)])
    })
}
