//! `mkpkg diff` of two versions of an application from PyPI, against what the locks, dpkg and diff say.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::build::package;
use crate::tools::{output, ready, repository};

/// The report of a comparison as JSON.
fn report(old: &Path, new: &Path) -> Result<Value> {
    let mut mkpkg = Command::new(env!("CARGO_BIN_EXE_mkpkg"));
    mkpkg.arg("diff").args([old, new]).args(["--format", "json", "--fail-on", "never"]);
    Ok(serde_json::from_str(&output(mkpkg.current_dir("/"))?)?)
}

/// Texts below a key of each member of a list.
fn texts(list: &Value, key: &str) -> BTreeSet<String> {
    let members = list.as_array().into_iter().flatten();
    members.filter_map(|one| Some(one[key].as_str()?.to_owned())).collect()
}

/// Versions by name, as a lock has them.
fn locked(project: &Path) -> Result<BTreeMap<String, String>> {
    let text = fs::read_to_string(project.join("requirements.txt"))?;
    let pins = text.lines().filter_map(|line| line.trim_end_matches(" \\").split_once("=="));
    Ok(pins.map(|(name, version)| (name.to_owned(), version.to_owned())).collect())
}

/// Names with the versions before and now, where they differ.
fn changed(old: &BTreeMap<String, String>, new: &BTreeMap<String, String>) -> BTreeSet<String> {
    let names: BTreeSet<_> = old.keys().chain(new.keys()).collect();
    let line = |name: &&String| format!("{name} {:?} {:?}", old.get(*name), new.get(*name));
    let differ = |name: &&String| old.get(*name) != new.get(*name);
    names.into_iter().filter(differ).map(|name| line(&name)).collect()
}

/// Files and links that diff(1) finds in one directory only, or with other content.
fn judged(old: &Path, new: &Path) -> Result<[BTreeSet<String>; 3]> {
    let list = |dir: &Path| -> Result<BTreeSet<String>> {
        let mut find = Command::new("find");
        let found = output(find.current_dir(dir).args([".", "!", "-type", "d"]))?;
        Ok(found.lines().map(|line| line.trim_start_matches('.').to_owned()).collect())
    };
    let (was, is) = (list(old)?, list(new)?);
    let mut diff = Command::new("diff");
    // It ends with 1 when there are differences.
    let told = diff.args(["-rq", "--no-dereference"]).args([old, new]).output()?;
    let told = String::from_utf8(told.stdout)?;
    let prefix = format!("Files {}", old.display());
    let both = told.lines().filter_map(|line| line.strip_prefix(&prefix)?.split(" and ").next());
    let both = both.map(str::to_owned).collect();
    Ok([&is - &was, &was - &is, both])
}

#[test]
fn two_versions_of_an_application() -> Result<()> {
    if !ready("two_versions_of_an_application", &["dpkg-deb", "diff", "python3.11"])? {
        return Ok(());
    }
    let projects = ["old", "new"].map(|name| repository().join("tests/real/diff").join(name));
    let [old, new] = [package(&projects[0], &[])?, package(&projects[1], &[])?];
    let found = report(&old, &new)?;

    let spelled = |name: &str| name.to_lowercase();
    let distributions = found["distributions"].as_array().context("there are distributions")?;
    let told: BTreeSet<_> = distributions
        .iter()
        .map(|one| {
            let version = |key: &str| one[key].as_str().map(str::to_owned);
            let name = spelled(one["name"].as_str().unwrap_or_default());
            format!("{name} {:?} {:?}", version("old"), version("new"))
        })
        .collect();
    assert_eq!(told, changed(&locked(&projects[0])?, &locked(&projects[1])?));

    // The wheel of cryptography 46.0.3 for the build host is one of manylinux_2_34; that of 41.0.7 is of 2_28.
    let expected = ["almalinux:8", "ol:8", "rhel:8", "rocky:8"].map(str::to_owned);
    assert_eq!(texts(&found["releases_lost"], "release"), expected.into());
    let components = &found["components"];
    let openssl = ["openssl in cryptography", "openssl in psycopg2-binary"].map(str::to_owned);
    assert!(texts(components, "name").is_superset(&openssl.into()), "{components}");

    let dir = tempfile::tempdir_in("/var/tmp")?;
    for (deb, name) in [(&old, "old"), (&new, "new")] {
        output(Command::new("dpkg-deb").arg("-x").arg(deb).arg(dir.path().join(name)))?;
    }
    let expected = judged(&dir.path().join("old"), &dir.path().join("new"))?;
    let files = ["added", "removed", "changed"].map(|key| texts(&found["files"][key], "path"));
    assert_eq!(files, expected);

    // The other way round, what was added is removed, and what was lost is gained.
    let back = report(&new, &old)?;
    assert_eq!(back["files"]["added"].as_array().map(Vec::len), Some(files[1].len()));
    assert_eq!(back["releases_gained"].as_array().map(Vec::len), Some(4));
    assert_eq!(texts(&back["findings_new"], "place"), texts(&found["findings_gone"], "place"));
    Ok(())
}
