//! Applications from PyPI, packaged and lived with; `MKPKG_APPS=httpie,black` picks some.

use std::path::PathBuf;

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::build::packaged;
use crate::lifecycle::{Check, PROGRAMS, in_pairs, lives};
use crate::tools::{ready, repository};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    app: Vec<App>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct App {
    name: String,
    checks: Vec<Check>,
    /// Debian packages its sdists are built with.
    #[serde(default)]
    build_needs: Vec<String>,
}

impl App {
    fn project(&self) -> PathBuf {
        repository().join("tests/real/apps").join(&self.name)
    }

    fn lives(&self) -> Result<()> {
        let needs = self.build_needs.join(" ");
        // dpkg unpacks zstd, too, and a third of the time goes into the compression of a release.
        let deb = packaged("deb", &self.project(), &["--compression", "zstd:1"])
            .with_context(|| format!("{} (needs to build: {needs})", self.name))?;
        lives(&deb, &self.checks)
    }
}

#[test]
fn pypi_apps() -> Result<()> {
    if !ready("pypi_apps", &PROGRAMS)? {
        return Ok(());
    }
    let text = std::fs::read_to_string(repository().join("tests/real/apps.toml"))?;
    let mut table: Table = toml::from_str(&text)?;
    if let Ok(chosen) = std::env::var("MKPKG_APPS") {
        table.app.retain(|app| chosen.split(',').any(|name| name == app.name));
    }
    in_pairs(&table.app, App::lives)
}
