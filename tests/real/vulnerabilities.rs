//! Which entries of a database are about a version, against the pseudo-code of the OSV schema with pip's own order.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::tools::{output, ready, repository};

/// Ids that an audit finds for the distribution `name`.
fn found(deb: &Path, database: &Path, name: &str) -> Result<BTreeSet<String>> {
    let mut mkpkg = Command::new(env!("CARGO_BIN_EXE_mkpkg"));
    mkpkg.arg("audit").arg(deb).args(["--json", "--fail-on", "never", "--max-db-age", "65535"]);
    let printed = output(mkpkg.arg("--vulnerabilities").arg(database).current_dir("/"))?;
    let report: Value = serde_json::from_str(&printed)?;
    let findings = report["findings"].as_array().context("there are findings")?;
    let advisories = findings.iter().map(|finding| &finding["advisory"]);
    let own = advisories.filter(|advisory| advisory["component"] == name);
    Ok(own.filter_map(|advisory| Some(advisory["id"].as_str()?.to_owned())).collect())
}

/// A package with nothing but the metadata of `rocket` in `version`.
fn packed(scratch: &Path, version: &str) -> Result<PathBuf> {
    let (tree, deb) = (scratch.join("tree"), scratch.join("rocket.deb"));
    let info = format!("opt/rocket/lib/python3.11/site-packages/rocket-{version}.dist-info");
    fs::create_dir_all(tree.join(&info))?;
    fs::create_dir(tree.join("DEBIAN"))?;
    let metadata = format!("Metadata-Version: 2.1\nName: rocket\nVersion: {version}\n");
    fs::write(tree.join(info).join("METADATA"), metadata)?;
    let control = "Package: rocket\nVersion: 1\nArchitecture: all\n\
                   Maintainer: A <a@b.example>\nDescription: x\n";
    fs::write(tree.join("DEBIAN/control"), control)?;
    output(Command::new("dpkg-deb").args(["--build", "-Znone"]).arg(tree).arg(&deb))?;
    Ok(deb)
}

#[test]
fn entries_match_as_the_schema_says() -> Result<()> {
    if !ready("entries_match_as_the_schema_says", &["python3.11", "dpkg-deb"])? {
        return Ok(());
    }
    let mut total = 0;
    for version in ["1", "1.0.0", "1.1rc1", "1.1.post1", "1.10", "2.0+local.1", "2!1", "3.0.dev1"] {
        let scratch = tempfile::tempdir()?;
        let deb = packed(scratch.path(), version)?;
        let database = scratch.path().join("database");
        fs::create_dir(&database)?;
        let mut judge = Command::new("python3.11");
        judge.arg(repository().join("tests/real/osv.py")).arg(&database);
        let expected = output(judge.args(["rocket", version, version]))?;
        let expected: BTreeSet<_> = expected.lines().map(str::to_owned).collect();
        total += expected.len();
        assert_eq!(found(&deb, &database, "rocket")?, expected, "{version}");
    }
    assert!(total > 500, "{total}");
    Ok(())
}
