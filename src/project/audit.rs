//! The shapes of `audit` in the configuration: what fails, how bad findings are, which are known and accepted.
//!
//! What the ids mean is known elsewhere.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

/// How an audit judges.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Audit {
    /// What fails an audit: levels, ids of checks, ratings of vulnerabilities.
    pub fail_on: Vec<String>,
    /// Other levels for checks, by id.
    pub severity: BTreeMap<String, LevelName>,
    /// Findings that are known and accepted.
    pub ignore: Vec<Waiver>,
    /// Releases that the package must load on.
    pub target: Vec<String>,
    /// Databases of vulnerabilities, relative to the file of the configuration.
    pub database: Vec<PathBuf>,
    /// Days after which a database is too old; default: 5.
    pub max_db_age: Option<u16>,
}

impl Default for Audit {
    fn default() -> Self {
        Self {
            fail_on: vec!["error".to_owned()],
            severity: BTreeMap::new(),
            ignore: Vec::new(),
            target: Vec::new(),
            database: Vec::new(),
            max_db_age: None,
        }
    }
}

/// How bad what a check finds is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum LevelName {
    /// It does not work, or is unsafe.
    Error,
    /// It may bite.
    Warn,
    /// Good to know.
    Info,
    /// It is not told.
    Off,
}

/// A finding that is known and accepted until a day.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Waiver {
    /// A check, or a vulnerability by any of its ids.
    pub id: String,
    /// Pattern of the place: a path, or a distribution with its version.
    #[serde(default = "anywhere")]
    pub place: String,
    /// Why it is accepted.
    pub reason: String,
    /// The last day it is, as YYYY-MM-DD.
    pub until: String,
}

fn anywhere() -> String {
    "*".to_owned()
}
